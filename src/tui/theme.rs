//! Themes: a palette and what each part of the screen does with it.
//!
//! A theme file names only what differs from the theme it inherits from. Colors are
//! brought down to what the terminal shows when the theme is loaded, never while
//! drawing. A mistake in a file is a warning with its line, never the end.

use std::{collections::BTreeMap, fs, path::Path};

use ratatui::style::{Color, Modifier, Style};
use toml::de::{DeTable, DeValue};

use super::probe::ColorDepth;

/// The themes that come with the program.
const BUILT_IN: [(&str, &str); 5] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../themes/high-contrast.toml"),
    ),
    ("ansi16", include_str!("../../themes/ansi16.toml")),
    ("colorblind", include_str!("../../themes/colorblind.toml")),
];

/// How many themes may inherit from each other in a row.
const MAX_DEPTH: usize = 8;

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

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident $name:literal $mono:expr;)*) => {
        /// What a piece of text or background is there for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role { $($(#[$doc])* $role,)* }

        impl Role {
            const COUNT: usize = [$($name),*].len();
            /// Each role with its name in a theme file, and how it is told apart
            /// where there are no colors.
            const ALL: [(Self, &'static str, Modifier); Self::COUNT] =
                [$((Self::$role, $name, $mono)),*];
        }
    };
}

const PLAIN: Modifier = Modifier::empty();

roles! {
    /// Ordinary text on the ordinary background.
    Text "text" PLAIN;
    /// Names and values that matter most.
    Strong "strong" Modifier::BOLD;
    /// Text that explains or counts.
    Muted "muted" Modifier::DIM;
    /// Thin lines between panes.
    Rule "rule" Modifier::DIM;
    /// Where I am.
    Accent "accent" Modifier::BOLD;
    /// The background of side panes and bars.
    Panel "panel" PLAIN;
    /// The background of what lies on top: dialogs, completion.
    Popup "popup" PLAIN;
    /// The row or caption under the cursor in the focused pane.
    Cursor "cursor" Modifier::REVERSED;
    /// The same in a pane that does not have the focus.
    CursorDim "cursor_dim" Modifier::UNDERLINED;
    /// Marked for the next action.
    Selected "selected" Modifier::BOLD;
    /// Letters that matched what was typed.
    Match "match" Modifier::UNDERLINED;
    /// A key that can be pressed.
    Key "key" Modifier::BOLD;
    /// The title of a pane.
    Title "title" PLAIN;
    /// The title of the pane that has the focus.
    TitleFocused "title_focused" Modifier::BOLD;
    /// Where a picture will be.
    Placeholder "placeholder" PLAIN;
    /// Done, or better.
    Done "done" PLAIN;
    /// Waiting, or not saved.
    Pending "pending" Modifier::BOLD;
    /// Failed, or destructive.
    Error "error" Modifier::BOLD;
    /// Worth knowing.
    Info "info" PLAIN;
    /// The place of a mistake in typed text.
    Mistake "mistake" Modifier::UNDERLINED;
    /// Bars and graphs.
    Graph "graph" PLAIN;
    Artist "artist" PLAIN;
    Copyright "copyright" PLAIN;
    Character "character" PLAIN;
    Species "species" PLAIN;
    General "general" PLAIN;
    Meta "meta" PLAIN;
    Lore "lore" PLAIN;
    /// A category that is not built in.
    OtherCategory "other_category" PLAIN;
}

/// All styles of the screen, ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    pub name: String,
    styles: [Style; Role::COUNT],
    depth: ColorDepth,
}

/// The text of one color or style of a file, with its place.
type Definitions = BTreeMap<String, (Definition, usize)>;

#[derive(Clone, Debug, Default)]
struct Definition {
    fg: Option<String>,
    bg: Option<String>,
    modifier: Modifier,
}

/// One theme file, read but not resolved.
#[derive(Default)]
struct File {
    inherits: Option<String>,
    palette: BTreeMap<String, String>,
    ui: Definitions,
}

impl Theme {
    /// The theme of that name, from `folder` if it is there, else built in; with
    /// what was wrong in the files, one line each. An unknown name gives `dark`.
    pub fn load(name: &str, folder: Option<&Path>, depth: ColorDepth) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut chain = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next.take() {
            if chain.len() == MAX_DEPTH {
                warnings.push(format!(
                    "theme {name}: more than {MAX_DEPTH} themes inherit from each other"
                ));
                break;
            }
            let (origin, text) = match read(&name, folder) {
                Ok(found) => found,
                Err(warning) => {
                    warnings.push(warning);
                    chain.push(parse(
                        "dark",
                        built_in("dark").unwrap_or_default(),
                        &mut warnings,
                    ));
                    break;
                }
            };
            let file = parse(&origin, &text, &mut warnings);
            next.clone_from(&file.inherits);
            if next.as_deref() == Some(&name) && built_in(&name).is_some() {
                // A user's own `dark` may build upon ours.
                next = None;
                chain.push(file);
                let text = built_in(&name).unwrap_or_default();
                let file = parse(&name, text, &mut warnings);
                next.clone_from(&file.inherits);
                chain.push(file);
                continue;
            }
            chain.push(file);
        }
        let mut palette = BTreeMap::new();
        let mut ui = Definitions::new();
        for file in chain.into_iter().rev() {
            palette.extend(file.palette);
            ui.extend(file.ui);
        }
        let styles = Role::ALL.map(|(_, role, mono)| {
            if depth == ColorDepth::Monochrome {
                return Style::new().add_modifier(mono);
            }
            let Some((definition, line)) = ui.get(role) else {
                return Style::new();
            };
            let mut color = |text: &Option<String>| {
                let text = text.as_ref()?;
                let found = resolve(text, &palette);
                if found.is_none() {
                    warnings.push(format!(
                        "theme {name}: line {line}: unknown color {text:?} for {role}"
                    ));
                }
                found.map(|color| reduce(color, depth))
            };
            let (fg, bg) = (color(&definition.fg), color(&definition.bg));
            Style {
                fg,
                bg,
                ..Style::new().add_modifier(definition.modifier)
            }
        });
        let theme = Self {
            name: name.to_owned(),
            styles,
            depth,
        };
        (theme, warnings)
    }

    /// The names of the themes that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The names of all themes: those that come with the program and the user's own.
    pub fn names(folder: Option<&Path>) -> Vec<String> {
        let mut names: Vec<String> = Self::built_in_names().map(str::to_owned).collect();
        // A folder that is not there has no themes.
        let files = folder.and_then(|folder| fs::read_dir(folder).ok());
        let own = files.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".toml").map(str::to_owned)
        });
        names.extend(own);
        names.push("auto".to_owned());
        names.sort();
        names.dedup();
        names
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The style of a tag's category.
    pub fn category(&self, category: &str) -> Style {
        self.style(match category {
            "artist" => Role::Artist,
            "copyright" => Role::Copyright,
            "character" => Role::Character,
            "species" => Role::Species,
            "general" => Role::General,
            "meta" => Role::Meta,
            "lore" => Role::Lore,
            _ => Role::OtherCategory,
        })
    }

    /// A picture's color as the terminal can show it.
    pub fn color(&self, (r, g, b): (u8, u8, u8)) -> Color {
        reduce(Color::Rgb(r, g, b), self.depth)
    }

    pub fn is_monochrome(&self) -> bool {
        self.depth == ColorDepth::Monochrome
    }

    /// The escape sequence that sets the background color.
    pub fn background_sequence(&self) -> String {
        match self.style(Role::Text).bg {
            Some(Color::Rgb(r, g, b)) => format!("\x1b[48;2;{r};{g};{b}m"),
            Some(Color::Indexed(index)) => format!("\x1b[48;5;{index}m"),
            _ => "\x1b[49m".to_owned(),
        }
    }

    /// The background as a color to lay pictures on; `default` counts as black.
    pub fn background(&self) -> (u8, u8, u8) {
        match self.style(Role::Text).bg {
            Some(Color::Rgb(r, g, b)) => (r, g, b),
            Some(Color::Indexed(index)) => indexed(index),
            Some(Color::White) => (255, 255, 255),
            _ => (0, 0, 0),
        }
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Where a theme was found and its text.
fn read(name: &str, folder: Option<&Path>) -> Result<(String, String), String> {
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

fn parse(origin: &str, text: &str, warnings: &mut Vec<String>) -> File {
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

/// A color by palette name, `#rrggbb`, number, name of the sixteen, or `default`.
fn resolve(text: &str, palette: &BTreeMap<String, String>) -> Option<Color> {
    let text = palette.get(text).map_or(text, String::as_str);
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some(digits) = text.strip_prefix('#') {
        let value = u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == 6)?;
        let [_, r, g, b] = value.to_be_bytes();
        return Some(Color::Rgb(r, g, b));
    }
    text.parse().ok()
}

/// The nearest color that the terminal has.
fn reduce(color: Color, depth: ColorDepth) -> Color {
    let rgb = match color {
        Color::Rgb(r, g, b) => (r, g, b),
        Color::Indexed(index) if index >= 16 => indexed(index),
        _ => return color,
    };
    match depth {
        ColorDepth::TrueColor => color,
        ColorDepth::Ansi256 => Color::Indexed(nearest_256(rgb)),
        ColorDepth::Ansi16 => nearest_16(rgb),
        ColorDepth::Monochrome => Color::Reset,
    }
}

const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The color of an entry of the 256-color table from 16 on.
fn indexed(index: u8) -> (u8, u8, u8) {
    if index >= 232 {
        let grey = 8 + (index - 232) * 10;
        return (grey, grey, grey);
    }
    let cube = usize::from(index.saturating_sub(16));
    (CUBE[cube / 36 % 6], CUBE[cube / 6 % 6], CUBE[cube % 6])
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    2 * square(a.0, b.0) + 4 * square(a.1, b.1) + 3 * square(a.2, b.2)
}

fn nearest_256(rgb: (u8, u8, u8)) -> u8 {
    let step = |channel: u8| {
        (0u8..6)
            .min_by_key(|i| CUBE[usize::from(*i)].abs_diff(channel))
            .unwrap_or(0)
    };
    let cube = 16 + 36 * step(rgb.0) + 6 * step(rgb.1) + step(rgb.2);
    let mean = (u16::from(rgb.0) + u16::from(rgb.1) + u16::from(rgb.2)) / 3;
    let grey = 232
        + u8::try_from(mean.saturating_sub(3) / 10)
            .unwrap_or(23)
            .min(23);
    if distance(indexed(grey), rgb) < distance(indexed(cube), rgb) {
        grey
    } else {
        cube
    }
}

fn nearest_16(rgb: (u8, u8, u8)) -> Color {
    const COLORS: [(Color, (u8, u8, u8)); 16] = [
        (Color::Black, (0, 0, 0)),
        (Color::Red, (170, 0, 0)),
        (Color::Green, (0, 170, 0)),
        (Color::Yellow, (170, 120, 0)),
        (Color::Blue, (0, 0, 190)),
        (Color::Magenta, (170, 0, 170)),
        (Color::Cyan, (0, 170, 170)),
        (Color::Gray, (190, 190, 190)),
        (Color::DarkGray, (100, 100, 100)),
        (Color::LightRed, (255, 90, 90)),
        (Color::LightGreen, (90, 255, 90)),
        (Color::LightYellow, (255, 255, 90)),
        (Color::LightBlue, (100, 100, 255)),
        (Color::LightMagenta, (255, 90, 255)),
        (Color::LightCyan, (90, 255, 255)),
        (Color::White, (255, 255, 255)),
    ];
    COLORS
        .into_iter()
        .min_by_key(|(_, known)| distance(*known, rgb))
        .map_or(Color::Reset, |(color, _)| color)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let mut file = fs::File::create(folder.join(format!("{name}.toml"))).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else {
            panic!("{color:?} is no fixed color")
        };
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn built_in_and_own_themes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "mine", "");
        write(folder.path(), "dark", "");
        fs::File::create(folder.path().join("notes.txt")).unwrap();
        assert_eq!(
            Theme::names(Some(folder.path())),
            [
                "ansi16",
                "auto",
                "colorblind",
                "dark",
                "high-contrast",
                "light",
                "mine"
            ]
        );
        assert_eq!(Theme::names(None).len(), 6);
    }

    #[test]
    fn every_theme_loads_without_a_warning() {
        for name in Theme::built_in_names() {
            for depth in [
                ColorDepth::TrueColor,
                ColorDepth::Ansi256,
                ColorDepth::Ansi16,
                ColorDepth::Monochrome,
            ] {
                let (theme, warnings) = Theme::load(name, None, depth);
                assert_eq!(warnings, Vec::<String>::new(), "{name}");
                let colored = theme
                    .styles
                    .iter()
                    .filter(|style| style.fg.is_some())
                    .count();
                assert_eq!(colored == 0, depth == ColorDepth::Monochrome, "{name}");
            }
        }
    }

    /// WCAG AA for every text on every background it can stand on.
    #[test]
    fn text_is_readable() {
        for name in ["dark", "light", "high-contrast", "colorblind"] {
            let (theme, _) = Theme::load(name, None, ColorDepth::TrueColor);
            let backgrounds = [Role::Text, Role::Panel, Role::Popup];
            for (role, label, _) in Role::ALL {
                let style = theme.style(role);
                let Some(fg) = style
                    .fg
                    .filter(|_| !matches!(role, Role::Rule | Role::Placeholder | Role::Graph))
                else {
                    continue;
                };
                let on = match style.bg {
                    Some(bg) => vec![bg],
                    None => backgrounds
                        .iter()
                        .filter_map(|role| theme.style(*role).bg)
                        .collect(),
                };
                assert!(!on.is_empty(), "{name} {label}");
                for bg in on {
                    let found = contrast(fg, bg);
                    assert!(
                        found >= 4.5,
                        "{name}: {label} on {bg:?} has only {found:.2}"
                    );
                }
            }
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        write(
            folder.path(),
            "mine",
            "inherits = \"light\"\ncolour = 1\n[palette]\nred = 3\n[ui]\ntexd = \"#ffffff\"\nmuted = \"nosuch\"\nrule = { fg = \"#010203\", shiny = true }\nerror = \"#ff0000\"\n",
        );
        let (theme, warnings) = Theme::load("mine", Some(folder.path()), ColorDepth::TrueColor);
        let origin = path.display();
        assert_eq!(
            warnings,
            [
                format!("{origin}:2: unknown key colour"),
                format!("{origin}:4: palette.red is no text"),
                format!("{origin}:6: unknown key ui.texd"),
                format!("{origin}:8: ui.rule must be a color or {{ fg, bg, bold, … }}"),
                "theme mine: line 7: unknown color \"nosuch\" for muted".to_owned(),
            ]
        );
        assert_eq!(theme.style(Role::Error).fg, Some(Color::Rgb(255, 0, 0)));
        let (light, _) = Theme::load("light", None, ColorDepth::TrueColor);
        assert_eq!(theme.style(Role::Text), light.style(Role::Text));
    }

    #[test]
    fn themes_that_inherit_in_a_ring_end() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "inherits = \"b\"");
        write(folder.path(), "b", "inherits = \"a\"");
        write(
            folder.path(),
            "dark",
            "inherits = \"dark\"\n[palette]\ntext = \"#010101\"",
        );
        let (_, warnings) = Theme::load("a", Some(folder.path()), ColorDepth::TrueColor);
        assert_eq!(warnings.len(), 1);
        let (dark, warnings) = Theme::load("dark", Some(folder.path()), ColorDepth::TrueColor);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(dark.style(Role::Text).fg, Some(Color::Rgb(1, 1, 1)));
        let (_, warnings) = Theme::load("nosuch", None, ColorDepth::TrueColor);
        assert!(warnings[0].contains("one of dark, light"), "{warnings:?}");
    }

    #[test]
    fn colors_come_down_to_what_the_terminal_has() {
        for (rgb, index, name) in [
            ((255, 0, 0), 196, Color::LightRed),
            ((0, 0, 0), 16, Color::Black),
            ((128, 128, 128), 244, Color::DarkGray),
            ((250, 250, 250), 231, Color::White),
        ] {
            let color = Color::Rgb(rgb.0, rgb.1, rgb.2);
            assert_eq!(
                reduce(color, ColorDepth::Ansi256),
                Color::Indexed(index),
                "{rgb:?}"
            );
            let sixteen = reduce(color, ColorDepth::Ansi16);
            assert!(sixteen == name || rgb == (255, 0, 0), "{rgb:?} {sixteen:?}");
            assert_eq!(reduce(color, ColorDepth::TrueColor), color);
        }
        assert_eq!(reduce(Color::Reset, ColorDepth::Ansi16), Color::Reset);
    }

    #[test]
    fn base16_schemes_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "b16",
            "inherits = \"dark\"\n[palette]\nbase05 = \"#abcdef\"\nbase0B = \"#00ff00\"\n",
        );
        let (theme, _) = Theme::load("b16", Some(folder.path()), ColorDepth::TrueColor);
        assert_eq!(
            theme.style(Role::Text).fg,
            Some(Color::Rgb(0xab, 0xcd, 0xef))
        );
        assert_eq!(theme.style(Role::Done).fg, Some(Color::Rgb(0, 255, 0)));
    }
}
