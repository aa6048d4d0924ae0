//! Themes: a palette and what each part of the screen does with it.
//!
//! A theme file names only what differs from the theme it inherits from. Colors are
//! brought down to what the terminal shows when the theme is loaded, never while
//! drawing. A mistake in a file is a warning with its line, never the end.

mod color;
mod file;

use std::{collections::BTreeMap, fs, path::Path};

use ratatui::style::{Color, Modifier, Style};

use self::{
    color::{indexed, readable, reduce, resolve},
    file::{BUILT_IN, Definitions, MAX_DEPTH, built_in, parse, read},
};
use super::probe::ColorDepth;

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

    /// The style of a category with a color of its own: by name that of the theme for
    /// that color, else as given, made readable on this theme. `None` when it is no
    /// color.
    pub fn category_color(&self, color: &str) -> Option<Style> {
        let role = match color {
            "red" => Role::Artist,
            "magenta" => Role::Copyright,
            "green" => Role::Character,
            "orange" => Role::Species,
            "blue" => Role::General,
            "yellow" => Role::Meta,
            "cyan" => Role::Lore,
            "gray" => Role::OtherCategory,
            "white" => Role::Strong,
            color => {
                let Some(Color::Rgb(r, g, b)) = resolve(color, &BTreeMap::new()) else {
                    return None;
                };
                let style = self.style(Role::OtherCategory);
                if self.is_monochrome() {
                    return Some(style);
                }
                let color = readable((r, g, b), self.background());
                return Some(style.fg(self.color(color)));
            }
        };
        Some(self.style(role))
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

#[cfg(test)]
mod tests;
