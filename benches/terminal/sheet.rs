//! What arrived at the terminal: bytes by kind, and the pictures that it holds.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// The account of one session so far.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    pub bytes: usize,
    pub transmissions: usize,
    /// Ids that were sent more than once.
    pub resent: usize,
    pub alive: usize,
    pub alive_most: usize,
    /// Placeholders of pictures that were not there.
    pub broken: usize,
    pub first_text: Option<Duration>,
    pub first_picture: Option<Duration>,
    pub last_picture: Option<Duration>,
    /// When text came, as often as it did.
    pub texts: Vec<Duration>,
    /// When the words of the screen changed last; the status line, which tells of
    /// the link, does not count, nor do pictures made of text.
    pub last_words: Duration,
}

impl Sheet {
    /// What came after another account was taken.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            transmissions: self.transmissions - before.transmissions,
            ..self.clone()
        }
    }
}

/// Reads the stream as a terminal does, as far as the account needs it.
pub struct Accountant {
    pub sheet: Sheet,
    screen: vt100::Parser,
    words: String,
    pending: Vec<u8>,
    alive: HashSet<u32>,
    sent: HashMap<u32, usize>,
    /// The picture whose pieces are coming.
    loading: Option<u32>,
    color: u32,
}

impl Accountant {
    pub fn new((columns, rows): (u16, u16)) -> Self {
        Self {
            sheet: Sheet::default(),
            screen: vt100::Parser::new(rows, columns, 0),
            words: String::new(),
            pending: Vec::new(),
            alive: HashSet::new(),
            sent: HashMap::new(),
            loading: None,
            color: 0,
        }
    }

    /// Takes bytes that arrived then; gives the questions among them.
    pub fn take(&mut self, bytes: &[u8], at: Duration) -> Vec<Vec<u8>> {
        self.sheet.bytes += bytes.len();
        self.read_words(bytes, at);
        self.pending.extend_from_slice(bytes);
        let mut questions = Vec::new();
        while !self.pending.is_empty() {
            let Some(count) = token(&self.pending) else {
                break;
            };
            let token: Vec<u8> = self.pending.drain(..count).collect();
            self.token(&token, at, &mut questions);
        }
        questions
    }

    fn read_words(&mut self, bytes: &[u8], at: Duration) {
        self.screen.process(bytes);
        let (rows, columns) = self.screen.screen().size();
        let words: String = self
            .screen
            .screen()
            .rows(0, columns)
            .take(usize::from(rows) - 1)
            .flat_map(|row| row.chars().collect::<Vec<_>>())
            .filter(char::is_ascii_alphanumeric)
            .collect();
        if words != self.words {
            self.words = words;
            self.sheet.last_words = at;
        }
    }

    fn token(&mut self, token: &[u8], at: Duration, questions: &mut Vec<Vec<u8>>) {
        if token.starts_with(b"\x1b_G") {
            self.graphics(&String::from_utf8_lossy(token), at);
            if token.starts_with(b"\x1b_Gi=31,") {
                questions.push(token.to_vec());
            }
        } else if token.starts_with(b"\x1bP") && !token.starts_with(b"\x1bP$")
            || token.starts_with(b"\x1b]1337;")
        {
            self.sheet.transmissions += 1;
            self.picture(at);
        } else if token.starts_with(b"\x1b[") {
            let text = String::from_utf8_lossy(token);
            match token.last() {
                Some(b'm') => self.pen(&text),
                Some(b'n' | b'c' | b'q' | b't' | b'u') => questions.push(token.to_vec()),
                _ => {}
            }
        } else if token[0] != 0x1b {
            self.sheet.first_text.get_or_insert(at);
            if self.sheet.texts.last() != Some(&at) {
                self.sheet.texts.push(at);
            }
            self.placeholder(token);
        }
    }

    fn picture(&mut self, at: Duration) {
        self.sheet.first_picture.get_or_insert(at);
        self.sheet.last_picture = Some(at);
    }

    fn graphics(&mut self, text: &str, at: Duration) {
        let head = text[3..].split([';', '\x1b']).next().unwrap_or_default();
        let field = |name: &str| {
            let mut fields = head.split(',').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let id = field("i").and_then(|id| id.parse().ok());
        match (field("a"), id) {
            (Some("t" | "T"), Some(id)) => self.loading = Some(id),
            (Some("d"), Some(id)) if field("d") == Some("I") => {
                self.alive.remove(&id);
                self.loading = self.loading.filter(|loading| *loading != id);
            }
            _ => {}
        }
        let is_data = matches!(field("a"), None | Some("t" | "T"));
        if is_data
            && field("m") != Some("1")
            && let Some(id) = self.loading.take()
        {
            self.alive.insert(id);
            self.sheet.transmissions += 1;
            *self.sent.entry(id).or_default() += 1;
            self.picture(at);
        }
        self.sheet.resent = self.sent.values().filter(|times| **times > 1).count();
        self.sheet.alive = self.alive.len();
        self.sheet.alive_most = self.sheet.alive_most.max(self.alive.len());
    }

    fn pen(&mut self, text: &str) {
        let codes: Vec<u32> = text[2..text.len() - 1]
            .split(';')
            .map(|code| code.parse().unwrap_or(0))
            .collect();
        if let Some(at) = codes.windows(2).position(|pair| pair == [38, 5]) {
            self.color = codes.get(at + 2).copied().unwrap_or(0);
        }
    }

    fn placeholder(&mut self, token: &[u8]) {
        let Ok(text) = std::str::from_utf8(token) else {
            return;
        };
        let mut chars = text.chars().skip_while(|c| *c != '\u{10EEEE}').skip(1);
        // Only the first of a row says all of its number; rows say the others.
        if chars.next().is_some_and(|row| row != '\u{10EEEE}') {
            let is_there = self.alive.iter().any(|id| id & 0xff == self.color);
            self.sheet.broken += usize::from(!is_there);
        }
    }
}

/// The length of the first whole token; `None` when it has not all come.
fn token(bytes: &[u8]) -> Option<usize> {
    let string = |rest: &[u8], skip: usize| {
        let end = rest
            .windows(2)
            .position(|pair| pair == b"\x1b\\")
            .map(|at| at + 2);
        let bell = rest.iter().position(|byte| *byte == 7).map(|at| at + 1);
        [end, bell].into_iter().flatten().min().map(|at| at + skip)
    };
    match bytes {
        [0x1b, b'P' | b'_' | b']', rest @ ..] => string(rest, 2),
        [0x1b, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..0x7f).contains(byte))?;
            Some(end + 3)
        }
        [0x1b, _, ..] => Some(2),
        [0x1b] => None,
        bytes => Some(
            bytes
                .iter()
                .position(|byte| *byte == 0x1b)
                .unwrap_or(bytes.len()),
        ),
    }
}
