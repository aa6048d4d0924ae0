//! Keys as the program sees them: one key with its modifiers, its written form,
//! and chords (several keys in a row). Knows nothing of any terminal library.

use std::{fmt, str::FromStr};

/// Which key was pressed, apart from modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyCode {
    /// A character as the layout produced it: `A`, not shift and `a`.
    Char(char),
    Enter,
    Escape,
    Tab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Function(u8),
}

/// One key press.
///
/// Invariant: with [`KeyCode::Char`] `shift` is false, because the character says
/// it already; with `ctrl` the character is lower case. [`Key::new`] sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub code: KeyCode,
    pub ctrl: bool,
    pub shift: bool,
    pub alt: bool,
}

/// A written key that names none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key {0:?}")]
pub struct ParseKeyError(String);

/// The written names of the keys that are not characters; the first of each is
/// the one that is shown.
const NAMES: [(&str, KeyCode); 24] = [
    ("Enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("Esc", KeyCode::Escape),
    ("escape", KeyCode::Escape),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("bs", KeyCode::Backspace),
    ("Del", KeyCode::Delete),
    ("delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("pageup", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("pagedown", KeyCode::PageDown),
    ("Space", KeyCode::Char(' ')),
    ("minus", KeyCode::Char('-')),
    ("lt", KeyCode::Char('<')),
    ("gt", KeyCode::Char('>')),
];

impl Key {
    /// A key in its normal form.
    pub fn new(code: KeyCode, ctrl: bool, shift: bool, alt: bool) -> Self {
        let (code, shift) = match code {
            KeyCode::Char(c) if ctrl => (KeyCode::Char(c.to_ascii_lowercase()), false),
            KeyCode::Char(c) => (KeyCode::Char(c), false),
            other => (other, shift),
        };
        Self {
            code,
            ctrl,
            shift,
            alt,
        }
    }

    pub fn plain(code: KeyCode) -> Self {
        Self::new(code, false, false, false)
    }

    pub fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    pub fn ctrl(c: char) -> Self {
        Self::new(KeyCode::Char(c), true, false, false)
    }

    /// The character this key types into a text, if it types one.
    pub fn typed(&self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt && !c.is_control() => Some(c),
            _ => None,
        }
    }
}

/// Reads `g`, `G`, `Space`, `Ctrl-d`, `C-d`, `S-Tab`, `shift-tab`, `F2`; names and
/// modifiers in any case.
impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseKeyError(text.to_owned());
        let (mut ctrl, mut shift, mut alt) = (false, false, false);
        let mut rest = text;
        while let Some((modifier, tail)) = rest.split_once('-').filter(|(_, tail)| !tail.is_empty())
        {
            match modifier.to_ascii_lowercase().as_str() {
                "ctrl" | "c" => ctrl = true,
                "shift" | "s" => shift = true,
                "alt" | "a" | "m" => alt = true,
                _ => return Err(error()),
            }
            rest = tail;
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() => {
                KeyCode::Char(if shift { c.to_ascii_uppercase() } else { c })
            }
            _ => named(rest).ok_or_else(error)?,
        };
        Ok(Self::new(code, ctrl, shift, alt))
    }
}

/// Prints the form that [`FromStr`] reads and the help shows.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (on, name) in [
            (self.ctrl, "Ctrl-"),
            (self.alt, "Alt-"),
            (self.shift, "Shift-"),
        ] {
            if on {
                f.write_str(name)?;
            }
        }
        match self.code {
            KeyCode::Char(c) if c != ' ' => write!(f, "{c}"),
            KeyCode::Function(n) => write!(f, "F{n}"),
            code => f.write_str(
                NAMES
                    .iter()
                    .find(|(_, known)| *known == code)
                    .map_or("?", |(name, _)| name),
            ),
        }
    }
}

/// Reads a chord: keys with white space between them, `"g g"`.
pub fn parse_chord(text: &str) -> Result<Vec<Key>, ParseKeyError> {
    let keys: Vec<Key> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(ParseKeyError(text.to_owned()));
    }
    Ok(keys)
}

/// Prints a chord as one types it: `gg`, `g Enter`, `Ctrl-d`.
pub fn print_chord(keys: &[Key]) -> String {
    let short = keys
        .iter()
        .all(|key| matches!(key.code, KeyCode::Char(c) if c != ' ') && !key.ctrl && !key.alt);
    let words: Vec<String> = keys.iter().map(Key::to_string).collect();
    words.join(if short { "" } else { " " })
}

fn named(name: &str) -> Option<KeyCode> {
    if let Some((_, code)) = NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
    {
        return Some(*code);
    }
    let number = name.strip_prefix(['f', 'F'])?.parse().ok()?;
    (1..=24)
        .contains(&number)
        .then_some(KeyCode::Function(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_print_what_they_read() {
        for text in [
            "g",
            "G",
            "Space",
            "Ctrl-d",
            "Shift-Tab",
            "F2",
            "Enter",
            "Esc",
            "PgDn",
            "-",
            "+",
            ",",
            "[",
            "Ctrl-Enter",
            "Alt-x",
            "é",
        ] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn several_spellings_mean_one_key() {
        for (input, expected) in [
            ("ctrl-D", "Ctrl-d"),
            ("C-d", "Ctrl-d"),
            ("s-tab", "Shift-Tab"),
            ("S-g", "G"),
            ("minus", "-"),
            ("space", "Space"),
            ("c--", "Ctrl--"),
        ] {
            assert_eq!(input.parse::<Key>().unwrap().to_string(), expected);
        }
        for wrong in ["", "gg", "hyper-x", "F99"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn chords_print_short_when_they_can() {
        assert_eq!(print_chord(&parse_chord("g g").unwrap()), "gg");
        assert_eq!(print_chord(&parse_chord("g Enter").unwrap()), "g Enter");
        assert!(parse_chord("  ").is_err());
    }
}
