//! Keys and answers out of one stream of bytes. Answers of the terminal come in
//! among the keys, at any time and in any piece; they are told apart here by their
//! form, so that none is ever typed and no key is ever lost to a question.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyEventState, KeyModifiers, MouseButton, MouseEvent,
    MouseEventKind,
};

/// An answer longer than this is none.
const LONGEST_ANSWER: usize = 4096;
/// A paste longer than this is cut: somebody pasted a file.
const LONGEST_PASTE: usize = 1 << 20;

/// How many silences the rest of an answer may take to come.
const PATIENCE: u32 = 20;

const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// What the terminal said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The user did something.
    Event(Event),
    /// It lives and has read everything up to the question (`CSI 0n`).
    Status,
    /// An answer to another question, as it came.
    Answer(Vec<u8>),
}

/// Takes bytes apart, however they are cut.
#[derive(Debug, Default)]
pub struct Parser {
    pending: Vec<u8>,
    paste: Option<Vec<u8>>,
    /// How often it was asked to rest since the last byte.
    silences: u32,
}

enum Found {
    /// So many bytes were this; `None`: they mean nothing to us.
    Whole(usize, Option<Said>),
    Unfinished,
}

impl Parser {
    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8], say: &mut dyn FnMut(Said)) {
        self.pending.extend_from_slice(bytes);
        self.silences = 0;
        loop {
            if self.paste.is_some() {
                if !self.take_paste(say) {
                    return;
                }
                continue;
            }
            if self.pending.is_empty() {
                return;
            }
            if self.pending.starts_with(PASTE_START) {
                self.pending.drain(..PASTE_START.len());
                self.paste = Some(Vec::new());
                continue;
            }
            match find(&self.pending) {
                Found::Whole(count, said) => {
                    self.pending.drain(..count);
                    if let Some(said) = said {
                        say(said);
                    }
                }
                Found::Unfinished => return,
            }
        }
    }

    /// Whether something has begun and not ended.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || self.paste.is_some()
    }

    /// Nothing more came for a while: what looks like the beginning of a sequence
    /// was a key.
    pub fn rest(&mut self, say: &mut dyn FnMut(Said)) {
        if self.paste.is_some() {
            return;
        }
        self.silences += 1;
        if self.pending.len() > 2 && self.silences < PATIENCE {
            // The link may have cut an answer, and the rest of it must not be typed.
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        match pending.as_slice() {
            [] => {}
            [0x1b] => say(press(KeyCode::Esc, KeyModifiers::NONE)),
            [0x1b, rest] if rest.is_ascii_graphic() => {
                say(character(char::from(*rest), KeyModifiers::ALT));
            }
            // An answer that was cut, or half a letter.
            _ => tracing::debug!("the terminal said {} bytes of nothing", pending.len()),
        }
    }

    /// Whether the paste has ended.
    fn take_paste(&mut self, say: &mut dyn FnMut(Said)) -> bool {
        let end = self
            .pending
            .windows(PASTE_END.len())
            .position(|window| window == PASTE_END);
        // The end may be cut in two.
        let count = end.unwrap_or(self.pending.len().saturating_sub(PASTE_END.len() - 1));
        let text: Vec<u8> = self.pending.drain(..count).collect();
        if let Some(paste) = &mut self.paste {
            let room = LONGEST_PASTE.saturating_sub(paste.len());
            paste.extend_from_slice(&text[..text.len().min(room)]);
        }
        if end.is_none() {
            return false;
        }
        self.pending.drain(..PASTE_END.len());
        if let Some(paste) = self.paste.take() {
            let text = String::from_utf8_lossy(&paste).into_owned();
            say(Said::Event(Event::Paste(text)));
        }
        true
    }
}

/// What the bytes begin with; there is at least one.
fn find(bytes: &[u8]) -> Found {
    match bytes {
        [0x1b] => Found::Unfinished,
        [0x1b, b'[', rest @ ..] => control(rest),
        [0x1b, b'O', rest @ ..] => match rest.first() {
            None => Found::Unfinished,
            Some(kind) => Found::Whole(3, function(*kind)),
        },
        [0x1b, b'P' | b'_' | b']' | b'^' | b'X', rest @ ..] => string(bytes, rest),
        // Escape itself, pressed right before something else.
        [0x1b, 0x1b, ..] => Found::Whole(1, Some(press(KeyCode::Esc, KeyModifiers::NONE))),
        [0x1b, rest @ ..] => match letter(rest) {
            Found::Whole(count, Some(Said::Event(Event::Key(mut key)))) => {
                key.modifiers |= KeyModifiers::ALT;
                Found::Whole(count + 1, Some(Said::Event(Event::Key(key))))
            }
            Found::Whole(count, _) => Found::Whole(count + 1, None),
            Found::Unfinished => Found::Unfinished,
        },
        bytes => letter(bytes),
    }
}

/// A string of the terminal: DCS, APC, OSC. Never typed.
fn string(bytes: &[u8], rest: &[u8]) -> Found {
    let terminator = rest.windows(2).position(|pair| pair == b"\x1b\\");
    let bell = rest.iter().position(|byte| *byte == 7);
    let end = match (terminator, bell) {
        (Some(terminator), Some(bell)) if bell < terminator => bell + 3,
        (Some(terminator), _) => terminator + 4,
        (None, Some(bell)) => bell + 3,
        (None, None) if bytes.len() < LONGEST_ANSWER => return Found::Unfinished,
        (None, None) => return Found::Whole(bytes.len(), None),
    };
    Found::Whole(end, Some(Said::Answer(bytes[..end].to_vec())))
}

/// A control sequence, after its `ESC [`.
fn control(rest: &[u8]) -> Found {
    // The keys F1 to F5 of the kernel's console.
    if let [b'[', after @ ..] = rest {
        return match after.first() {
            None => Found::Unfinished,
            Some(key) => Found::Whole(
                4,
                (b'A'..=b'E')
                    .contains(key)
                    .then(|| press(KeyCode::F(key - b'A' + 1), KeyModifiers::NONE)),
            ),
        };
    }
    let Some(end) = rest.iter().position(|byte| (0x40..0x7f).contains(byte)) else {
        return if rest.len() < LONGEST_ANSWER {
            Found::Unfinished
        } else {
            Found::Whole(rest.len() + 2, None)
        };
    };
    let (body, last) = (&rest[..end], rest[end]);
    let text = String::from_utf8_lossy(body);
    let answer = || {
        let mut whole = b"\x1b[".to_vec();
        whole.extend_from_slice(&rest[..=end]);
        Some(Said::Answer(whole))
    };
    let said = match (body.first(), last) {
        (Some(b'<'), b'M' | b'm') => mouse(&text[1..], last == b'm'),
        (Some(b'?' | b'>' | b'=' | b'<'), _) | (_, b't' | b'c' | b'y') => answer(),
        (_, b'n') if body == b"0" => Some(Said::Status),
        (_, b'n') => answer(),
        (_, b'I') => Some(Said::Event(Event::FocusGained)),
        (_, b'O') => Some(Said::Event(Event::FocusLost)),
        // Where the cursor is, which nobody asked, looks like F3 with a modifier.
        (_, b'R') if !text.starts_with("1;") => answer(),
        _ => key(&text, last),
    };
    Found::Whole(end + 3, said)
}

/// A key that is a control sequence.
fn key(text: &str, last: u8) -> Option<Said> {
    let numbers: Vec<Vec<u32>> = text
        .split(';')
        .map(|part| part.split(':').map(|n| n.parse().unwrap_or(0)).collect())
        .collect();
    let number = |at: usize, sub: usize| {
        let numbers: Option<&Vec<u32>> = numbers.get(at);
        numbers.and_then(|subs| subs.get(sub)).copied().unwrap_or(0)
    };
    let (held, kind) = (number(1, 0), number(1, 1));
    let code = match last {
        b'~' if number(0, 0) == 27 => {
            let c = char::from_u32(number(2, 0))?;
            return Some(with_kind(plain(c)?, modifiers(held), 1));
        }
        b'~' => tilde(number(0, 0))?,
        b'u' => unicode(number(0, 0), number(0, 1))?,
        b'Z' => KeyCode::BackTab,
        last => return function(last).map(|said| change(said, modifiers(held), kind)),
    };
    let mut held = modifiers(held);
    if code == KeyCode::BackTab {
        held |= KeyModifiers::SHIFT;
    }
    Some(with_kind(code, held, kind))
}

/// Keys of one letter after `ESC O`, or after `ESC [` and maybe modifiers.
fn function(kind: u8) -> Option<Said> {
    let code = match kind {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(kind - b'P' + 1),
        _ => return None,
    };
    Some(press(code, KeyModifiers::NONE))
}

fn tilde(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(u8::try_from(number - 10).ok()?),
        17..=21 => KeyCode::F(u8::try_from(number - 11).ok()?),
        23 | 24 => KeyCode::F(u8::try_from(number - 12).ok()?),
        _ => return None,
    })
}

/// A key of the kitty keyboard protocol; `shifted` is what it is with Shift.
fn unicode(number: u32, shifted: u32) -> Option<KeyCode> {
    match number {
        // Keys that only hold others, media keys, the keypad's strange ones.
        57_358..=57_454 => keypad(number),
        _ => plain(char::from_u32(if shifted > 0 { shifted } else { number })?),
    }
}

fn keypad(number: u32) -> Option<KeyCode> {
    const SIGNS: [char; 17] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.', '/', '*', '-', '+', '\r', '=',
    ];
    let at = usize::try_from(number.checked_sub(57_399)?).ok()?;
    match number {
        57_399..=57_415 => plain(*SIGNS.get(at)?),
        57_417 => Some(KeyCode::Left),
        57_418 => Some(KeyCode::Right),
        57_419 => Some(KeyCode::Up),
        57_420 => Some(KeyCode::Down),
        57_421 => Some(KeyCode::PageUp),
        57_422 => Some(KeyCode::PageDown),
        57_423 => Some(KeyCode::Home),
        57_424 => Some(KeyCode::End),
        57_425 => Some(KeyCode::Insert),
        57_426 => Some(KeyCode::Delete),
        _ => None,
    }
}

fn plain(c: char) -> Option<KeyCode> {
    Some(match c {
        '\r' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x7f' => KeyCode::Backspace,
        '\x1b' => KeyCode::Esc,
        c if c.is_control() => return None,
        c => KeyCode::Char(c),
    })
}

/// A key that is one character.
fn letter(bytes: &[u8]) -> Found {
    let Some(first) = bytes.first() else {
        return Found::Unfinished;
    };
    let key = |code| press(code, KeyModifiers::NONE);
    let said = match first {
        b'\r' => key(KeyCode::Enter),
        b'\t' => key(KeyCode::Tab),
        0x7f => key(KeyCode::Backspace),
        0 => press(KeyCode::Char(' '), KeyModifiers::CONTROL),
        1..=0x1a => press(
            KeyCode::Char(char::from(first + 0x60)),
            KeyModifiers::CONTROL,
        ),
        0x1c..=0x1f => press(
            KeyCode::Char(char::from(first - 0x1c + b'4')),
            KeyModifiers::CONTROL,
        ),
        _ => {
            let count = match first {
                0..=0x7f => 1,
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                // No letter begins like this.
                _ => return Found::Whole(1, None),
            };
            let Some(bytes) = bytes.get(..count) else {
                return Found::Unfinished;
            };
            let c = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.chars().next());
            return match c {
                Some(c) => Found::Whole(count, Some(character(c, KeyModifiers::NONE))),
                None => Found::Whole(1, None),
            };
        }
    };
    Found::Whole(1, Some(said))
}

/// A mouse event, after its `ESC [ <`.
fn mouse(text: &str, is_release: bool) -> Option<Said> {
    let mut numbers = text.split(';').map(|n| n.parse::<u16>().ok());
    let (code, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let button = match code & 3 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (code >> 6, code & 32 != 0, is_release) {
        (1, ..) => match code & 3 {
            0 => MouseEventKind::ScrollUp,
            1 => MouseEventKind::ScrollDown,
            2 => MouseEventKind::ScrollLeft,
            _ => MouseEventKind::ScrollRight,
        },
        (0, true, _) if code & 3 == 3 => MouseEventKind::Moved,
        (0, true, _) => MouseEventKind::Drag(button),
        (0, false, true) => MouseEventKind::Up(button),
        (0, false, false) => MouseEventKind::Down(button),
        _ => return None,
    };
    let held = |bit: u16, modifier| {
        if code & bit == 0 {
            KeyModifiers::NONE
        } else {
            modifier
        }
    };
    Some(Said::Event(Event::Mouse(MouseEvent {
        kind,
        column: x.checked_sub(1)?,
        row: y.checked_sub(1)?,
        modifiers: held(4, KeyModifiers::SHIFT)
            | held(8, KeyModifiers::ALT)
            | held(16, KeyModifiers::CONTROL),
    })))
}

/// What is held, counted from 1 as terminals do.
fn modifiers(number: u32) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let mut held = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
        (8, KeyModifiers::SUPER),
    ] {
        if bits & bit != 0 {
            held |= modifier;
        }
    }
    held
}

fn press(code: KeyCode, modifiers: KeyModifiers) -> Said {
    with_kind(code, modifiers, 1)
}

fn character(c: char, modifiers: KeyModifiers) -> Said {
    let shift = if c.is_uppercase() {
        KeyModifiers::SHIFT
    } else {
        KeyModifiers::NONE
    };
    press(KeyCode::Char(c), modifiers | shift)
}

fn with_kind(code: KeyCode, modifiers: KeyModifiers, kind: u32) -> Said {
    let kind = match kind {
        2 => KeyEventKind::Repeat,
        3 => KeyEventKind::Release,
        _ => KeyEventKind::Press,
    };
    Said::Event(Event::Key(KeyEvent {
        code,
        modifiers,
        kind,
        state: KeyEventState::NONE,
    }))
}

fn change(said: Said, modifiers: KeyModifiers, kind: u32) -> Said {
    match said {
        Said::Event(Event::Key(key)) => with_kind(key.code, modifiers, kind),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::input;

    fn parse(bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        let mut parser = Parser::default();
        parser.feed(bytes, &mut |one| said.push(one));
        for _ in 0..PATIENCE {
            parser.rest(&mut |one| said.push(one));
        }
        said
    }

    fn keys(bytes: &[u8]) -> Vec<String> {
        parse(bytes)
            .iter()
            .map(|said| match said {
                Said::Event(Event::Key(key)) => input::key(key).unwrap().to_string(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn keys_of_every_kind() {
        for (bytes, expected) in [
            ("jK/?", vec!["j", "K", "/", "?"]),
            ("\r\t\x7f\x1b", vec!["Enter", "Tab", "Backspace", "Esc"]),
            ("\x13\x01\x0a", vec!["Ctrl-s", "Ctrl-a", "Ctrl-j"]),
            ("\x1b[A\x1bOB\x1b[5~", vec!["Up", "Down", "PgUp"]),
            ("\x1b[1;5C\x1b[3;2~", vec!["Ctrl-Right", "Shift-Del"]),
            ("\x1b[Z\x1bOP\x1b[15~", vec!["Shift-Tab", "F1", "F5"]),
            ("\x1b[[B\x1b[1;2R", vec!["F2", "Shift-F3"]),
            ("\x1bx\x1b\x1b[B", vec!["Alt-x", "Esc", "Down"]),
            ("é日", vec!["é", "日"]),
            // The kitty keyboard protocol and xterm's older one.
            ("\x1b[13;5u\x1b[27u", vec!["Ctrl-Enter", "Esc"]),
            ("\x1b[97;5u\x1b[97:65;2u", vec!["Ctrl-a", "A"]),
            ("\x1b[27;5;13~\x1b[57414u", vec!["Ctrl-Enter", "Enter"]),
        ] {
            assert_eq!(keys(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    /// The terminal's answers as they come while somebody types.
    const MIXED: &[u8] = b"a\x1b_Gi=31;OK\x1b\\b\x1b[0n\x1b[?62;4cc\x1b]11;rgb:1/2/3\x07\
        \x1bP>|kitty(0.41.1)\x1b\\d\x1b[6;20;10te\x1b[12;40R\x1b[200~x\x1b[0ny\x1b[201~f";

    #[test]
    fn answers_are_never_typed_and_keys_never_lost() {
        let said = parse(MIXED);
        let typed: String = said
            .iter()
            .filter_map(|said| match said {
                Said::Event(Event::Key(key)) => key.code.as_char(),
                _ => None,
            })
            .collect();
        assert_eq!(typed, "abcdef");
        let statuses = said.iter().filter(|said| **said == Said::Status).count();
        assert_eq!(statuses, 1);
        let answers = said.iter().filter(|said| matches!(said, Said::Answer(_)));
        assert_eq!(answers.count(), 6);
        assert!(said.contains(&Said::Event(Event::Paste("x\x1b[0ny".to_owned()))));
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let whole = parse(MIXED);
        for size in 1..20 {
            let mut said = Vec::new();
            let mut parser = Parser::default();
            for piece in MIXED.chunks(size) {
                parser.feed(piece, &mut |one| said.push(one));
            }
            assert!(!parser.is_waiting());
            assert_eq!(said, whole, "pieces of {size}");
        }
    }

    #[test]
    fn the_mouse_is_counted_from_zero() {
        let said = parse(b"\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<65;1;1M\x1b[<16;2;3M");
        let kinds: Vec<_> = said
            .iter()
            .map(|said| match said {
                Said::Event(Event::Mouse(event)) => (event.kind, event.column, event.row),
                other => panic!("{other:?}"),
            })
            .collect();
        let left = MouseButton::Left;
        assert_eq!(
            kinds,
            [
                (MouseEventKind::Down(left), 9, 4),
                (MouseEventKind::Up(left), 9, 4),
                (MouseEventKind::ScrollDown, 0, 0),
                (MouseEventKind::Down(left), 1, 2),
            ]
        );
    }

    #[test]
    fn nonsense_does_no_harm() {
        for bytes in [
            &b"\xff\xfe\x80"[..],
            b"\x1b[99999999999999u",
            b"\x1b[<1M\x1b[<0;0;0M",
            b"\x1b[999;999R",
            b"\x1b]never ends",
            b"\x1b[;;;;;;~",
            b"\xe6\x97",
        ] {
            let events = parse(bytes)
                .into_iter()
                .filter(|said| matches!(said, Said::Event(_)));
            assert_eq!(events.count(), 0, "{bytes:?}");
        }
        let mut endless = b"\x1b_".to_vec();
        endless.resize(3 * LONGEST_ANSWER, b'x');
        let mut parser = Parser::default();
        parser.feed(&endless, &mut |_| {});
        assert!(!parser.is_waiting());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_stop_it(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let mut parser = Parser::default();
            parser.feed(&bytes, &mut |_| {});
            // A paste waits for its end, everything else is decided in the end.
            for _ in 0..PATIENCE {
                parser.rest(&mut |_| {});
            }
            proptest::prop_assert!(!parser.is_waiting() || parser.paste.is_some());
        }
    }
}
