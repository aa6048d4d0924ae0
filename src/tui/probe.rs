//! What a terminal can do: the questions, the answers, and the judgment.
//!
//! A terminal is asked, not guessed at: `TERM_PROGRAM` and its like do not survive
//! SSH and are stale inside tmux. [`decide`] is a pure function of the answers and
//! the environment: environment variables only break ties.

mod environment;
mod judgment;
mod replies;

use std::{fmt, str::FromStr, time::Duration};

use super::writer::window::{
    DEFAULT_RATE, Pace, STATUS, STATUS_THROUGH_TMUX, STATUS_THROUGH_TWO_TMUX,
};

pub use self::{
    environment::Environment,
    judgment::decide,
    replies::{Replies, Tmux, ask_tmux, questions, through_tmux},
};

/// How long the terminal may take to answer before the first frame is drawn.
pub const DEADLINE: Duration = Duration::from_millis(500);
/// How long answers are believed that come after that, from far away.
pub const LATEST: Duration = Duration::from_secs(10);

/// The size of a cell when nobody knows it.
const DEFAULT_CELL: (u16, u16) = (10, 20);

/// How pictures reach the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graphics {
    /// The kitty protocol with Unicode placeholders.
    Kitty,
    /// The kitty protocol, placed by commands.
    KittyDirect,
    Sixel,
    Iterm2,
    /// Two pixels a cell in text.
    Halfblocks,
    /// No pictures: lists with color swatches.
    None,
}

impl Graphics {
    pub const ALL: [Self; 6] = [
        Self::Kitty,
        Self::KittyDirect,
        Self::Sixel,
        Self::Iterm2,
        Self::Halfblocks,
        Self::None,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kitty => "kitty",
            Self::KittyDirect => "kitty-direct",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
            Self::Halfblocks => "halfblocks",
            Self::None => "none",
        }
    }

    /// Whether pictures lie over the text, and would lie over a popup, too.
    pub fn is_over_text(self) -> bool {
        matches!(self, Self::KittyDirect | Self::Sixel | Self::Iterm2)
    }
}

impl FromStr for Graphics {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|graphics| graphics.name() == word)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("unknown graphics {word:?}: one of {names}")
            })
    }
}

/// How many colors the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColorDepth {
    /// `NO_COLOR`: bold, underline and reverse only.
    Monochrome,
    Ansi16,
    Ansi256,
    TrueColor,
}

/// What the program may rely on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub graphics: Graphics,
    /// One sentence for the user who expected something else.
    pub reason: String,
    /// A cell in pixels, width and height.
    pub cell: (u16, u16),
    /// The same as the kernel has it, which may count other pixels.
    window_cell: Option<(u16, u16)>,
    pub colors: ColorDepth,
    pub background: Option<(u8, u8, u8)>,
    pub keyboard: bool,
    /// Picture commands must be wrapped for tmux.
    pub in_tmux: bool,
    /// So many times.
    pub tmux_depth: u8,
    pub over_ssh: bool,
    pub is_utf8: bool,
    /// The terminal says how far it has read when it is asked.
    pub answers: bool,
    /// What the terminal calls itself.
    pub version: String,
}

impl Capabilities {
    /// Whether the terminal's background is light, when it told us.
    pub fn is_light(&self) -> Option<bool> {
        let (r, g, b) = self.background?;
        Some(u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 > 127_500)
    }

    /// How pictures are kept from flooding the link.
    pub fn pace(&self) -> Pace {
        match (self.answers, self.tmux_depth) {
            (true, 0) => Pace::Acknowledged(STATUS),
            (true, 1) => Pace::Acknowledged(STATUS_THROUGH_TMUX),
            (true, _) => Pace::Acknowledged(STATUS_THROUGH_TWO_TMUX),
            (false, _) if self.over_ssh => Pace::Fixed(DEFAULT_RATE),
            (false, _) => Pace::Unlimited,
        }
    }

    /// Whether a character can be repeated by command: known of some, harmful in
    /// others.
    pub fn repeats(&self) -> bool {
        const KNOWN: [&str; 6] = ["kitty", "foot", "xterm(", "wezterm", "ghostty", "iterm2"];
        !self.in_tmux && self.is_one_of(&KNOWN)
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        let version = self.version.to_ascii_lowercase();
        names.iter().any(|name| version.starts_with(name))
    }

    /// Whether a placeholder is repeated like any character: seen in kitty alone.
    pub fn repeats_placeholders(&self) -> bool {
        self.repeats() && self.is_one_of(&["kitty"])
    }

    /// Whether rows are moved by command, and the pictures on them exactly along.
    /// tmux does not know of pictures but those made of text; Linux' own console and
    /// whatever does not say its name may not move rows at all.
    pub fn scrolls(&self) -> bool {
        match self.graphics {
            Graphics::Sixel => !self.in_tmux,
            Graphics::KittyDirect => self.repeats_placeholders(),
            Graphics::Kitty => true,
            Graphics::Halfblocks => self.in_tmux || self.repeats(),
            // In these a picture is part of the cells it covers.
            Graphics::Iterm2 => !self.in_tmux && self.is_one_of(&["iterm2", "wezterm", "mlterm"]),
            Graphics::None => false,
        }
    }

    /// The window changed: its cells did too when the user chose another font size.
    pub fn resize(&mut self, window: Window) {
        let Some(now) = window
            .cell((window.width, window.height))
            .filter(|(width, height)| *width > 0 && *height > 0)
        else {
            return;
        };
        if let Some(before) = self.window_cell.replace(now) {
            let scale = |cell: u16, before: u16, now: u16, least: u16, most: u16| {
                let scaled = u32::from(cell) * u32::from(now) / u32::from(before.max(1));
                u16::try_from(scaled).unwrap_or(most).clamp(least, most)
            };
            self.cell = (
                scale(self.cell.0, before.0, now.0, 4, 64),
                scale(self.cell.1, before.1, now.1, 8, 128),
            );
        }
    }

    /// Label and value of everything found out, for a report.
    pub fn report(&self) -> Vec<(&'static str, String)> {
        vec![
            ("terminal", self.version.clone()),
            (
                "pictures",
                format!("{} ({})", self.graphics.name(), self.reason),
            ),
            ("cell", format!("{}x{} pixels", self.cell.0, self.cell.1)),
            ("colors", self.colors.to_string()),
            (
                "background",
                self.background.map_or("unknown".to_owned(), |(r, g, b)| {
                    format!("#{r:02x}{g:02x}{b:02x}")
                }),
            ),
            ("keyboard protocol", yes_no(self.keyboard)),
            ("tmux", yes_no(self.in_tmux)),
            ("SSH", yes_no(self.over_ssh)),
            ("UTF-8 locale", yes_no(self.is_utf8)),
            (
                "pace",
                match self.pace() {
                    Pace::Unlimited => "as fast as the terminal reads".to_owned(),
                    Pace::Acknowledged(_) => "measured by the terminal's answers".to_owned(),
                    Pace::Fixed(rate) => {
                        format!("{} KB/s: the terminal does not answer", rate / 1000)
                    }
                },
            ),
        ]
    }
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

impl fmt::Display for ColorDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monochrome => "none (NO_COLOR)",
            Self::Ansi16 => "16",
            Self::Ansi256 => "256",
            Self::TrueColor => "16 million",
        })
    }
}

/// The window as the kernel knows it; pixels are zero where nobody told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub columns: u16,
    pub rows: u16,
    pub width: u16,
    pub height: u16,
}

impl Window {
    /// The size of a cell, of this many pixels.
    fn cell(self, (width, height): (u16, u16)) -> Option<(u16, u16)> {
        Some((
            width.checked_div(self.columns)?,
            height.checked_div(self.rows)?,
        ))
    }
}

#[cfg(test)]
mod tests;
