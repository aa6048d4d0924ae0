//! What a terminal can do: the questions, the answers, and the judgment.
//!
//! A terminal is asked, not guessed at: `TERM_PROGRAM` and its like do not survive
//! SSH and are stale inside tmux. [`decide`] is a pure function of the answers and
//! the environment. Answers are taken out of the input by [`Replies::take_from`],
//! so that they are never mistaken for keys.

use std::{fmt, process::Command, str::FromStr, time::Duration};

/// How long the terminal may take to answer.
pub const DEADLINE: Duration = Duration::from_millis(500);

/// The size of a cell when nobody knows it.
const DEFAULT_CELL: (u16, u16) = (10, 20);

/// How pictures reach the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graphics {
    /// The kitty protocol with Unicode placeholders.
    Kitty,
    Sixel,
    Iterm2,
    /// Two pixels a cell in text.
    Halfblocks,
    /// No pictures: lists with color swatches.
    None,
}

impl Graphics {
    pub const ALL: [Self; 5] = [
        Self::Kitty,
        Self::Sixel,
        Self::Iterm2,
        Self::Halfblocks,
        Self::None,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
            Self::Halfblocks => "halfblocks",
            Self::None => "none",
        }
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
        Self {
            colorterm: text("COLORTERM"),
            term_program: text("TERM_PROGRAM"),
            lc_terminal: text("LC_TERMINAL"),
            in_tmux: is_set("TMUX") || term.starts_with("tmux"),
            in_screen: is_set("STY"),
            over_ssh: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
            no_color: is_set("NO_COLOR"),
            is_utf8: locale.contains("utf-8") || locale.contains("utf8"),
            term,
        }
    }
}

/// What tmux says about itself and the terminal around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tmux {
    pub passes_through: bool,
    /// The outer terminal's own name and version, such as `kitty(0.41.1)`.
    pub outer: String,
}

/// Asks tmux by its own command. Changes no option of it: whether commands pass
/// through is the user's choice.
pub fn ask_tmux() -> Option<Tmux> {
    let output = Command::new("tmux")
        .args(["display", "-p", "#{allow-passthrough} #{client_termtype}"])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (passes, outer) = text.trim_end().split_once(' ').unwrap_or((&text, ""));
    Some(Tmux {
        // As a format the option is the number of its choice.
        passes_through: matches!(passes, "on" | "all" | "1" | "2"),
        outer: outer.to_owned(),
    })
}

/// The questions, the one that everybody answers last.
pub fn questions(environment: &Environment, tmux: Option<&Tmux>) -> String {
    // The kernel's console knows only the last one and prints parts of others.
    if environment.term == "linux" {
        return "\x1b[c".to_owned();
    }
    let kitty = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";
    let kitty = match tmux {
        _ if environment.in_screen => String::new(),
        Some(tmux) if tmux.passes_through => {
            format!("\x1bPtmux;{}\x1b\\", kitty.replace('\x1b', "\x1b\x1b"))
        }
        _ if environment.in_tmux => String::new(),
        _ => kitty.to_owned(),
    };
    // Name, cell and window size, background, keyboard protocol; whether a color
    // set as 24 bits is read back as such; device attributes.
    format!(
        "{kitty}\x1b[>q\x1b[16t\x1b[14t\x1b]11;?\x1b\\\x1b[?u\
         \x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c"
    )
}

/// What the terminal answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// XTVERSION, such as `kitty(0.41.1)` or `foot(1.13.1)`.
    pub version: Option<String>,
    /// The kitty graphics query was answered with OK.
    pub kitty: bool,
    pub sixel: bool,
    pub cell: Option<(u16, u16)>,
    pub window: Option<(u16, u16)>,
    pub background: Option<(u8, u8, u8)>,
    pub keyboard: bool,
    pub truecolor: bool,
    /// The last question was answered.
    pub is_complete: bool,
    pub tmux: Option<Tmux>,
}

impl Replies {
    /// Takes every whole answer out of the input and leaves the rest: keys, and an
    /// answer that has not fully come.
    pub fn take_from(&mut self, input: &mut Vec<u8>) {
        let mut rest = Vec::new();
        let mut at = 0;
        while at < input.len() {
            match sequence(&input[at..]) {
                Sequence::None => {
                    rest.push(input[at]);
                    at += 1;
                }
                Sequence::Unfinished => {
                    rest.extend_from_slice(&input[at..]);
                    break;
                }
                Sequence::Whole(len) => {
                    let whole = &input[at..at + len];
                    if !self.read(whole) {
                        rest.extend_from_slice(whole);
                    }
                    at += len;
                }
            }
        }
        *input = rest;
    }

    /// Whether the sequence was an answer.
    fn read(&mut self, sequence: &[u8]) -> bool {
        let text = String::from_utf8_lossy(sequence);
        let string = |start: &str| {
            let body = text.strip_prefix(start)?;
            body.strip_suffix("\x1b\\")
                .or_else(|| body.strip_suffix('\x07'))
        };
        if let Some(body) = string("\x1b_G") {
            self.kitty |= body.contains("i=31") && body.ends_with(";OK");
        } else if let Some(body) = string("\x1bP>|") {
            self.version = Some(body.chars().filter(|c| !c.is_control()).take(80).collect());
        } else if let Some(body) = string("\x1bP1$r") {
            self.truecolor |= ["2:1:2:3", "2::1:2:3", "2;1;2;3"]
                .iter()
                .any(|color| body.contains(color));
        } else if let Some(body) = string("\x1b]11;") {
            self.background = parse_color(body);
        } else if let Some(body) = text.strip_prefix("\x1b[?") {
            match body.as_bytes().last() {
                Some(b'c') => {
                    // One number that no terminal gives, and none is believed.
                    let attributes: Option<Vec<u16>> = body
                        .trim_end_matches('c')
                        .split(';')
                        .map(|n| n.parse().ok())
                        .collect();
                    self.sixel = attributes.is_some_and(|all| all.iter().skip(1).any(|n| *n == 4));
                    self.is_complete = true;
                }
                Some(b'u') => self.keyboard = true,
                _ => return false,
            }
        } else if let Some(body) = text.strip_prefix("\x1b[").and_then(|b| b.strip_suffix('t')) {
            let mut numbers = body.split(';').map(|n| n.parse::<u16>().ok());
            let kind = numbers.next().flatten();
            let (Some(Some(height)), Some(Some(width))) = (numbers.next(), numbers.next()) else {
                return true;
            };
            match kind {
                Some(6) => self.cell = Some((width, height)),
                Some(4) => self.window = Some((width, height)),
                _ => return false,
            }
        } else {
            return text.starts_with("\x1b_")
                || text.starts_with("\x1bP")
                || text.starts_with("\x1b]");
        }
        true
    }
}

enum Sequence {
    None,
    Unfinished,
    Whole(usize),
}

/// The escape sequence that the bytes begin with. One that grows past any sane
/// answer is none.
fn sequence(bytes: &[u8]) -> Sequence {
    const LONGEST: usize = 512;
    let unfinished = if bytes.len() < LONGEST {
        Sequence::Unfinished
    } else {
        Sequence::None
    };
    match bytes {
        [0x1b, b'[', rest @ ..] => match rest.iter().position(|byte| (0x40..0x7f).contains(byte)) {
            Some(end) => Sequence::Whole(end + 3),
            None => unfinished,
        },
        [0x1b, b'_' | b'P' | b']', rest @ ..] => {
            let st = rest
                .windows(2)
                .position(|pair| pair == b"\x1b\\")
                .map(|at| at + 4);
            let bell = rest.iter().position(|byte| *byte == 7).map(|at| at + 3);
            match (st, bell) {
                (Some(st), Some(bell)) => Sequence::Whole(st.min(bell)),
                (Some(end), None) | (None, Some(end)) => Sequence::Whole(end),
                (None, None) => unfinished,
            }
        }
        _ => Sequence::None,
    }
}

/// `rgb:1e1e/1e1e/2e2e`, with one to four digits a channel.
fn parse_color(text: &str) -> Option<(u8, u8, u8)> {
    let mut channels = text.strip_prefix("rgb:")?.split('/').map(|digits| {
        let bits = u32::try_from(digits.len())
            .ok()
            .filter(|n| (1..=4).contains(n))?
            * 4;
        let value = u32::from_str_radix(digits, 16).ok()?;
        u8::try_from(value * 255 / ((1 << bits) - 1)).ok()
    });
    let color = (channels.next()??, channels.next()??, channels.next()??);
    channels.next().is_none().then_some(color)
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
    pub over_ssh: bool,
    pub is_utf8: bool,
    /// What the terminal calls itself.
    pub version: String,
}

impl Capabilities {
    /// Whether the terminal's background is light, when it told us.
    pub fn is_light(&self) -> Option<bool> {
        let (r, g, b) = self.background?;
        Some(u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 > 127_500)
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
        over_ssh: environment.over_ssh,
        is_utf8: environment.is_utf8,
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
            (true, false) => half("kitty before 0.28 has no placeholders"),
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
    if name.starts_with("konsole") {
        return half("Konsole's pictures are not reliable");
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
        let mut input = bytes.as_bytes().to_vec();
        replies.take_from(&mut input);
        assert!(input.is_empty(), "left over: {input:?}");
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
                Graphics::Halfblocks,
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
                Graphics::Halfblocks,
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
                Graphics::Halfblocks,
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
    fn answers_are_taken_out_and_keys_stay() {
        let mut input =
            format!("a{KITTY_OK}\x1b[A\x1b[6;20;10tq\x1b]11;rgb:ffff/0000/8080\x07\x1b[?")
                .into_bytes();
        let mut answers = Replies::default();
        answers.take_from(&mut input);
        assert_eq!(input, b"a\x1b[Aq\x1b[?");
        assert_eq!(answers.cell, Some((10, 20)));
        assert_eq!(answers.background, Some((255, 0, 128)));
        assert!(answers.kitty && !answers.is_complete);
        input.extend_from_slice(b"64;4c");
        answers.take_from(&mut input);
        assert_eq!(input, b"a\x1b[Aq");
        assert!(answers.is_complete && answers.sixel);
        let mut answers = Replies::default();
        answers.take_from(&mut b"\x1b[?4;4;99999999999c".to_vec());
        assert!(answers.is_complete && !answers.sixel);
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
        let mut endless = b"\x1b_".to_vec();
        endless.resize(2000, b'x');
        Replies::default().take_from(&mut endless);
        assert_eq!(endless.len(), 2000);
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
