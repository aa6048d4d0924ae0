//! Theme files: where they are found, and what stands in them. A mistake is a warning
//! with its line; what a color comes to is not known here.

use std::{collections::BTreeMap, fs, path::Path};

use ratatui::style::Modifier;
use toml::de::{DeTable, DeValue};

use super::{Role, Theme};

/// The themes that come with the program.
pub(super) const BUILT_IN: [(&str, &str); 5] = [
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../../themes/high-contrast.toml"),
    ),
    ("ansi16", include_str!("../../../themes/ansi16.toml")),
    (
        "colorblind",
        include_str!("../../../themes/colorblind.toml"),
    ),
];

/// How many themes may inherit from each other in a row.
pub(super) const MAX_DEPTH: usize = 8;

/// Names of the base16 scheme and the palette entries they stand for.
const BASE16: [(&str, &[&str]); 15] = [
    ("base00", &["background"]),
    ("base01", &["panel"]),
    ("base02", &["raised"]),
    ("base03", &["rule"]),
    ("base04", &["muted"]),
    ("base05", &["text"]),
    ("base06", &["strong"]),
    ("base07", &["strong"]),
    ("base08", &["error", "artist"]),
    ("base09", &["species"]),
    ("base0A", &["pending", "meta"]),
    ("base0B", &["done", "character"]),
    ("base0C", &["accent", "lore"]),
    ("base0D", &["info", "general"]),
    ("base0E", &["copyright"]),
];

/// The text of one color or style of a file, with its place.
pub(super) type Definitions = BTreeMap<String, (Definition, usize)>;

#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    pub(super) fg: Option<String>,
    pub(super) bg: Option<String>,
    pub(super) modifier: Modifier,
}

/// One theme file, read but not resolved.
#[derive(Default)]
pub(super) struct File {
    pub(super) inherits: Option<String>,
    pub(super) palette: BTreeMap<String, String>,
    pub(super) ui: Definitions,
}

pub(super) fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Where a theme was found and its text.
pub(super) fn read(name: &str, folder: Option<&Path>) -> Result<(String, String), String> {
    if let Some(folder) = folder.filter(|_| !name.contains(['/', '\\'])) {
        let path = folder.join(format!("{name}.toml"));
        match fs::read_to_string(&path) {
            Ok(text) => return Ok((path.display().to_string(), text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read theme {}: {error}", path.display())),
        }
    }
    built_in(name)
        .map(|text| (name.to_owned(), text.to_owned()))
        .ok_or_else(|| {
            let names: Vec<_> = Theme::built_in_names().collect();
            format!(
                "no theme {name:?}: one of {}, or a file in the themes folder",
                names.join(", ")
            )
        })
}

pub(super) fn parse(origin: &str, text: &str, warnings: &mut Vec<String>) -> File {
    let mut file = File::default();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            warnings.push(format!("{origin}:{line}: {}", error.message()));
            return file;
        }
    };
    let mut found = Vec::new();
    for (key, value) in &table {
        let line = line_at(text, key.span().start);
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("inherits", DeValue::String(parent)) => file.inherits = Some(parent.to_string()),
            ("palette", DeValue::Table(palette)) => {
                for (name, color) in palette {
                    let (line, name) = (line_at(text, name.span().start), name.get_ref());
                    match color.get_ref() {
                        DeValue::String(color) => {
                            file.palette.insert(name.to_string(), color.to_string());
                        }
                        _ => found.push((line, format!("palette.{name} is no text"))),
                    }
                }
            }
            ("ui", DeValue::Table(ui)) => {
                for (role, value) in ui {
                    let (line, role) = (line_at(text, role.span().start), role.get_ref());
                    let known = Role::ALL.iter().any(|(_, name, _)| name == role);
                    match definition(value.get_ref()) {
                        Some(definition) if known => {
                            file.ui.insert(role.to_string(), (definition, line));
                        }
                        Some(_) => found.push((line, format!("unknown key ui.{role}"))),
                        None => found.push((
                            line,
                            format!("ui.{role} must be a color or {{ fg, bg, bold, … }}"),
                        )),
                    }
                }
            }
            (key, _) => found.push((line, format!("unknown key {key}"))),
        }
    }
    found.sort();
    warnings.extend(
        found
            .into_iter()
            .map(|(line, text)| format!("{origin}:{line}: {text}")),
    );
    for (base16, names) in BASE16 {
        if let Some(color) = file.palette.get(base16).cloned() {
            for name in names {
                file.palette
                    .entry((*name).to_owned())
                    .or_insert_with(|| color.clone());
            }
        }
    }
    file
}

/// A color's name, or a table of colors and attributes.
fn definition(value: &DeValue) -> Option<Definition> {
    let table = match value {
        DeValue::String(color) => {
            return Some(Definition {
                fg: Some(color.to_string()),
                ..Definition::default()
            });
        }
        DeValue::Table(table) => table,
        _ => return None,
    };
    let mut definition = Definition::default();
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("fg", DeValue::String(color)) => definition.fg = Some(color.to_string()),
            ("bg", DeValue::String(color)) => definition.bg = Some(color.to_string()),
            (attribute, DeValue::Boolean(on)) => {
                let modifier = match attribute {
                    "bold" => Modifier::BOLD,
                    "dim" => Modifier::DIM,
                    "italic" => Modifier::ITALIC,
                    "underline" => Modifier::UNDERLINED,
                    "reversed" => Modifier::REVERSED,
                    _ => return None,
                };
                definition.modifier.set(modifier, *on);
            }
            _ => return None,
        }
    }
    Some(definition)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}
