//! What a terminal can do: the questions, the answers, and the judgment.
//!
//! A terminal is asked, not guessed at: `TERM_PROGRAM` and its like do not survive
//! SSH and are stale inside tmux. [`decide`] is a pure function of the answers and
//! the environment: environment variables only break ties.

mod replies;

use std::{fmt, str::FromStr, time::Duration};

use super::writer::window::{
    DEFAULT_RATE, Pace, STATUS, STATUS_THROUGH_TMUX, STATUS_THROUGH_TWO_TMUX,
};

pub use self::replies::{Replies, Tmux, ask_tmux, questions, through_tmux};

/// How long the terminal may take to answer.
pub const DEADLINE: Duration = Duration::from_millis(500);

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

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    pub term: String,
    pub colorterm: String,
    pub term_program: String,
    /// Survives SSH where `TERM_PROGRAM` does not; iTerm2 sets it.
    pub lc_terminal: String,
    pub in_tmux: bool,
    /// How many tmux there are between here and the terminal.
    pub tmux_depth: u8,
    pub in_screen: bool,
    pub over_ssh: bool,
    pub no_color: bool,
    pub is_utf8: bool,
}

impl Environment {
    pub fn from_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).unwrap_or_default();
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = text("TERM");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .map(text)
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let in_tmux = is_set("TMUX") || term.starts_with("tmux");
        Self {
            colorterm: text("COLORTERM"),
            term_program: text("TERM_PROGRAM"),
            lc_terminal: text("LC_TERMINAL"),
            in_tmux,
            tmux_depth: u8::from(in_tmux),
            in_screen: is_set("STY"),
            over_ssh: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
            no_color: is_set("NO_COLOR"),
            is_utf8: locale.contains("utf-8") || locale.contains("utf8"),
            term,
        }
    }

    /// The same where so many tmux run inside each other, if any does: nobody can be
    /// asked for the number.
    pub fn in_tmux_of(mut self, depth: u8) -> Self {
        self.tmux_depth = if self.in_tmux { depth.max(1) } else { 0 };
        self
    }
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
        let name = self.version.to_ascii_lowercase();
        !self.in_tmux && KNOWN.iter().any(|known| name.starts_with(known))
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

/// Judges the answers. `wanted` overrides the choice of graphics.
pub fn decide(
    replies: &Replies,
    environment: &Environment,
    window: Window,
    wanted: Option<Graphics>,
) -> Capabilities {
    let outer = replies.tmux.as_ref().map(|tmux| tmux.outer.as_str());
    let version = match (environment.in_tmux, outer) {
        (true, Some(outer)) => outer,
        (true, None) => "",
        (false, _) => replies.version.as_deref().unwrap_or_default(),
    };
    let (graphics, reason) = match wanted {
        Some(graphics) => (graphics, "as asked for".to_owned()),
        None => choose_graphics(replies, environment, version),
    };
    let colors = color_depth(replies, environment, version);
    let (graphics, reason) = match (graphics, colors) {
        (Graphics::Halfblocks, ColorDepth::Monochrome) => (
            Graphics::None,
            "half-blocks show nothing without colors".to_owned(),
        ),
        chosen => (chosen.0, reason),
    };
    Capabilities {
        graphics,
        reason,
        cell: [
            replies.cell,
            replies.window.and_then(|px| window.cell(px)),
            window.cell((window.width, window.height)),
        ]
        .into_iter()
        .flatten()
        .find(|(width, height)| (4..=64).contains(width) && (8..=128).contains(height))
        .unwrap_or(DEFAULT_CELL),
        window_cell: window.cell((window.width, window.height)),
        colors,
        background: replies.background,
        keyboard: replies.keyboard,
        in_tmux: environment.in_tmux,
        tmux_depth: environment.tmux_depth,
        over_ssh: environment.over_ssh,
        is_utf8: environment.is_utf8,
        answers: replies.status,
        version: if version.is_empty() {
            environment.term.clone()
        } else {
            version.to_owned()
        },
    }
}

fn choose_graphics(
    replies: &Replies,
    environment: &Environment,
    version: &str,
) -> (Graphics, String) {
    let name = version.to_ascii_lowercase();
    let half = |reason: &str| (Graphics::Halfblocks, reason.to_owned());
    if !environment.is_utf8 {
        return (Graphics::None, "the locale is not UTF-8".to_owned());
    }
    if environment.in_screen {
        return half("GNU screen passes no pictures on");
    }
    if environment.in_tmux && replies.sixel {
        // tmux itself draws them and keeps track of where they are.
        return (Graphics::Sixel, "tmux says it has sixel".to_owned());
    }
    if environment.in_tmux
        && !replies
            .tmux
            .as_ref()
            .is_some_and(|tmux| tmux.passes_through)
    {
        return half("tmux passes no pictures on; `set -g allow-passthrough on` lets it");
    }
    if name.starts_with("kitty") || name.starts_with("ghostty") {
        let has_placeholders = name.starts_with("ghostty")
            || version_number(&name).is_some_and(|number| number >= (0, 28));
        return match (replies.kitty, has_placeholders) {
            (true, true) => (
                Graphics::Kitty,
                "kitty protocol with placeholders".to_owned(),
            ),
            (true, false) if environment.in_tmux => {
                half("inside tmux kitty needs placeholders, which came with 0.28")
            }
            (true, false) => (
                Graphics::KittyDirect,
                "kitty before 0.28 has no placeholders: pictures are placed by command".to_owned(),
            ),
            (false, _) => half("the terminal did not answer the picture query"),
        };
    }
    if environment.in_tmux {
        return half("inside tmux only kitty and Ghostty show pictures reliably");
    }
    let is_iterm = |text: &str| text.to_ascii_lowercase().contains("iterm");
    if name.starts_with("iterm2")
        || name.starts_with("wezterm")
        || (name.is_empty()
            && (is_iterm(&environment.lc_terminal) || is_iterm(&environment.term_program)))
    {
        return (Graphics::Iterm2, "iTerm2 inline pictures".to_owned());
    }
    if name.starts_with("konsole") && replies.kitty {
        // It draws boxes for placeholders.
        return (
            Graphics::KittyDirect,
            "Konsole knows kitty pictures that are placed by command".to_owned(),
        );
    }
    if replies.sixel {
        return (Graphics::Sixel, "the terminal says it has sixel".to_owned());
    }
    if replies.is_complete {
        half("the terminal offers no pictures")
    } else {
        half("the terminal did not answer in time")
    }
}

/// `kitty(0.41.1)` gives `(0, 41)`.
fn version_number(name: &str) -> Option<(u32, u32)> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut parts = digits.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn color_depth(replies: &Replies, environment: &Environment, version: &str) -> ColorDepth {
    const TRUECOLOR: [&str; 8] = [
        "kitty",
        "ghostty",
        "wezterm",
        "iterm2",
        "foot",
        "konsole",
        "contour",
        "alacritty",
    ];
    let name = version.to_ascii_lowercase();
    if environment.no_color {
        ColorDepth::Monochrome
    } else if replies.truecolor
        || matches!(environment.colorterm.as_str(), "truecolor" | "24bit")
        || environment.term.contains("direct")
        || (!environment.in_tmux && TRUECOLOR.iter().any(|known| name.starts_with(known)))
    {
        ColorDepth::TrueColor
    } else if environment.term.contains("256") || replies.sixel {
        ColorDepth::Ansi256
    } else {
        ColorDepth::Ansi16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::reader::parse::{Parser, Said};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(|name| {
            let mut known = variables.iter().chain(&[("LANG", "C.UTF-8")]);
            known
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn replies(bytes: &str) -> Replies {
        let mut replies = Replies::default();
        Parser::default().feed(bytes.as_bytes(), &mut |said| match said {
            Said::Answer(answer) => replies.hear(&answer),
            Said::Status => replies.hear(b"\x1b[0n"),
            Said::Event(event) => panic!("typed: {event:?}"),
        });
        replies
    }

    const KITTY_OK: &str = "\x1b_Gi=31;OK\x1b\\";
    const DA1: &str = "\x1b[?62;22c";
    const DA1_SIXEL: &str = "\x1b[?62;4;22c";

    #[test]
    fn graphics_follow_the_answers() {
        let version = |name: &str| format!("\x1bP>|{name}\x1b\\");
        for (what, answers, variables, expected) in [
            (
                "kitty",
                format!("{KITTY_OK}{}{DA1}", version("kitty(0.41.1)")),
                vec![],
                Graphics::Kitty,
            ),
            (
                "old kitty",
                format!("{KITTY_OK}{}{DA1}", version("kitty(0.26.5)")),
                vec![],
                Graphics::KittyDirect,
            ),
            (
                "kitty that refuses",
                format!("{}{DA1}", version("kitty(0.41.1)")),
                vec![],
                Graphics::Halfblocks,
            ),
            (
                "ghostty",
                format!("{KITTY_OK}{}{DA1}", version("ghostty 1.1.3")),
                vec![],
                Graphics::Kitty,
            ),
            (
                "wezterm",
                format!("{KITTY_OK}{}{DA1_SIXEL}", version("WezTerm 20240203")),
                vec![],
                Graphics::Iterm2,
            ),
            (
                "iterm2",
                format!("{}{DA1_SIXEL}", version("iTerm2 3.5.0")),
                vec![],
                Graphics::Iterm2,
            ),
            (
                "iterm2 over ssh",
                DA1.to_owned(),
                vec![("LC_TERMINAL", "iTerm2")],
                Graphics::Iterm2,
            ),
            (
                "konsole",
                format!("{KITTY_OK}{}{DA1_SIXEL}", version("Konsole 23.08")),
                vec![],
                Graphics::KittyDirect,
            ),
            (
                "foot",
                format!("{}{DA1_SIXEL}", version("foot(1.13.1)")),
                vec![],
                Graphics::Sixel,
            ),
            ("mlterm", DA1_SIXEL.to_owned(), vec![], Graphics::Sixel),
            (
                "unknown with kitty",
                format!("{KITTY_OK}{DA1}"),
                vec![],
                Graphics::Halfblocks,
            ),
            ("plain", DA1.to_owned(), vec![], Graphics::Halfblocks),
            ("silent", String::new(), vec![], Graphics::Halfblocks),
            (
                "screen",
                DA1_SIXEL.to_owned(),
                vec![("STY", "1.x")],
                Graphics::Halfblocks,
            ),
            (
                "tmux, sixel",
                DA1_SIXEL.to_owned(),
                vec![("TMUX", "/tmp/x")],
                Graphics::Sixel,
            ),
            (
                "no UTF-8",
                DA1_SIXEL.to_owned(),
                vec![("LANG", "C")],
                Graphics::None,
            ),
        ] {
            let decided = decide(
                &replies(&answers),
                &environment(&variables),
                Window::default(),
                None,
            );
            assert_eq!(decided.graphics, expected, "{what}: {}", decided.reason);
            let forced = decide(
                &replies(&answers),
                &environment(&variables),
                Window::default(),
                Some(Graphics::Sixel),
            );
            assert_eq!(forced.graphics, Graphics::Sixel, "{what}");
        }
    }

    #[test]
    fn tmux_needs_pass_through_and_a_new_kitty_around_it() {
        let inside = environment(&[("TMUX", "/tmp/x"), ("TERM", "tmux-256color")]);
        for (passes_through, outer, expected) in [
            (true, "kitty(0.41.1)", Graphics::Kitty),
            (false, "kitty(0.41.1)", Graphics::Halfblocks),
            (true, "kitty(0.26.5)", Graphics::Halfblocks),
            (true, "foot(1.13.1)", Graphics::Halfblocks),
            (true, "", Graphics::Halfblocks),
        ] {
            let answers = Replies {
                tmux: Some(Tmux {
                    passes_through,
                    outer: outer.to_owned(),
                }),
                ..replies(&format!("{KITTY_OK}{DA1}"))
            };
            let decided = decide(&answers, &inside, Window::default(), None);
            assert_eq!(decided.graphics, expected, "{passes_through} {outer}");
        }
    }

    #[test]
    fn answers_say_what_the_terminal_can() {
        let answers = replies(&format!(
            "{KITTY_OK}\x1b[6;20;10t\x1b]11;rgb:ffff/0000/8080\x07\x1b[0n"
        ));
        assert_eq!(answers.cell, Some((10, 20)));
        assert_eq!(answers.background, Some((255, 0, 128)));
        assert!(answers.kitty && answers.status && !answers.are_complete());
        let answers = replies("\x1b[?64;4c");
        assert!(answers.are_complete() && answers.sixel);
        let answers = replies("\x1b[?4;4;99999999999c");
        assert!(answers.are_complete() && !answers.sixel);
        // tmux is quick, the terminal around it is not.
        let mut answers = Replies {
            is_complete: true,
            tmux: Some(Tmux {
                passes_through: true,
                outer: String::new(),
            }),
            ..Replies::default()
        };
        assert!(!answers.are_complete());
        answers.hear(b"\x1b[0n");
        assert!(answers.are_complete());
    }

    #[test]
    fn pictures_are_paced_by_whoever_answers() {
        let pace = |answers: &str, variables: &[(&str, &str)]| {
            let environment = environment(variables);
            decide(&replies(answers), &environment, Window::default(), None).pace()
        };
        let ssh = ("SSH_TTY", "/dev/pts/1");
        assert_eq!(pace("\x1b[0n", &[ssh]), Pace::Acknowledged(STATUS));
        assert_eq!(pace(DA1, &[ssh]), Pace::Fixed(DEFAULT_RATE));
        assert_eq!(pace(DA1, &[]), Pace::Unlimited);
        let tmux = ("TMUX", "/tmp/x");
        let through = Pace::Acknowledged(STATUS_THROUGH_TMUX);
        assert_eq!(pace("\x1b[0n", &[ssh, tmux]), through);
        for (depth, question) in [(1, STATUS_THROUGH_TMUX), (2, STATUS_THROUGH_TWO_TMUX)] {
            assert_eq!(through_tmux(STATUS.to_vec(), depth), question);
        }
    }

    #[test]
    fn nonsense_answers_do_no_harm() {
        for answer in [
            "\x1b[6;0;0t",
            "\x1b[6;65535;65535t",
            "\x1b[6;99999;1t",
            "\x1b[6t",
            "\x1b[?c",
            "\x1b]11;rgb:zz/1/2\x1b\\",
            "\x1b]11;rgb:\x1b\\",
            "\x1bP>|\x1b\\",
            "\x1b_G\x1b\\",
        ] {
            let decided = decide(&replies(answer), &environment(&[]), Window::default(), None);
            assert_eq!(decided.cell, DEFAULT_CELL, "{answer:?}");
        }
    }

    #[test]
    fn colors_are_counted_carefully() {
        for (variables, answers, expected) in [
            (vec![("TERM", "xterm-256color")], DA1, ColorDepth::Ansi256),
            (vec![("TERM", "xterm")], DA1, ColorDepth::Ansi16),
            (
                vec![("TERM", "xterm")],
                "\x1bP1$r0;48:2::1:2:3m\x1b\\",
                ColorDepth::TrueColor,
            ),
            (
                vec![("TERM", "xterm"), ("COLORTERM", "truecolor")],
                DA1,
                ColorDepth::TrueColor,
            ),
            (
                vec![("TERM", "xterm-kitty")],
                "\x1bP>|kitty(0.26.5)\x1b\\",
                ColorDepth::TrueColor,
            ),
            (
                vec![("COLORTERM", "truecolor"), ("NO_COLOR", "1")],
                DA1,
                ColorDepth::Monochrome,
            ),
            (
                vec![("TERM", "xterm-256color"), ("NO_COLOR", "")],
                DA1,
                ColorDepth::Ansi256,
            ),
        ] {
            let decided = decide(
                &replies(answers),
                &environment(&variables),
                Window::default(),
                None,
            );
            assert_eq!(decided.colors, expected, "{variables:?}");
        }
    }

    #[test]
    fn another_font_size_is_another_cell() {
        let window = |width, height| Window {
            columns: 100,
            rows: 50,
            width,
            height,
        };
        let replies = Replies {
            cell: Some((20, 40)),
            ..Replies::default()
        };
        // The kernel counts half the pixels here.
        let environment = Environment::default();
        let mut decided = decide(&replies, &environment, window(1000, 1000), None);
        assert_eq!(decided.cell, (20, 40));
        decided.resize(window(1500, 1600));
        assert_eq!(decided.cell, (30, 64));
        decided.resize(window(0, 0));
        assert_eq!(decided.cell, (30, 64));
    }
}
