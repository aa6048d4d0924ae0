//! Keys, clicks and pastes: from the terminal library's events to the session's
//! messages. A thread of its own reads them, because reading blocks.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent,
    MouseEventKind,
};
use ratatui::layout::{Position, Rect};
use tokio::sync::mpsc;

use crate::app::{
    key::{Key, KeyCode as Code},
    message::{Click, Message, Target},
};

/// Events that may wait for the screen.
const CAPACITY: usize = 256;
/// Two clicks within this time are one double click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Lines that one turn of the wheel scrolls.
const WHEEL_LINES: i32 = 3;
/// How long the rest of a late answer may take to come.
const LATE_REPLY: Duration = Duration::from_millis(300);

/// The thread that reads the terminal.
pub struct Reader {
    pub events: mpsc::Receiver<Event>,
    gate: Arc<Gate>,
}

/// Stops the thread from reading while the terminal is lent to somebody else.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let mut is_closed = self
            .is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while *is_closed {
            is_closed = self
                .opened
                .wait(is_closed)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, is_closed: bool) {
        *self
            .is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = is_closed;
        self.opened.notify_all();
    }
}

impl Reader {
    /// Starts reading. The thread is never joined: once the terminal is gone,
    /// reading does not return, and the process must be able to end all the same.
    pub fn start() -> std::io::Result<Self> {
        let (sender, events) = mpsc::channel(CAPACITY);
        let gate = Arc::new(Gate::default());
        let own_gate = Arc::clone(&gate);
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                loop {
                    own_gate.wait();
                    match event::read() {
                        Ok(event) => {
                            if sender.blocking_send(event).is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            tracing::warn!("cannot read the terminal: {error}");
                            return;
                        }
                    }
                }
            })?;
        Ok(Self { events, gate })
    }

    /// Stops reading. The thread may sit in a read that only an event ends, so it
    /// is given one: a change of the window's size that is none.
    pub fn pause(&self) {
        self.gate.set(true);
        let us = rustix::process::getpid();
        if let Err(error) = rustix::process::kill_process(us, rustix::process::Signal::WINCH) {
            tracing::warn!("cannot stop reading the terminal: {error}");
        }
    }

    /// Reads again.
    pub fn resume(&self) {
        self.gate.set(false);
    }
}

/// Swallows answers of the terminal that came too late for the probe: the terminal
/// library takes them for Alt+letter and then for typed text.
#[derive(Debug, Default)]
pub struct ReplyFilter {
    since: Option<Instant>,
}

impl ReplyFilter {
    /// Whether this key is part of an answer and no key at all.
    pub fn swallows(&mut self, key: &KeyEvent, now: Instant) -> bool {
        if let Some(since) = self.since {
            if now.duration_since(since) <= LATE_REPLY {
                let is_end = matches!(
                    (key.code, key.modifiers),
                    (KeyCode::Char('\\'), KeyModifiers::ALT)
                        | (KeyCode::Char('g'), KeyModifiers::CONTROL)
                );
                self.since = (!is_end).then_some(now);
                return true;
            }
            self.since = None;
        }
        let begins = key.modifiers.contains(KeyModifiers::ALT)
            && matches!(key.code, KeyCode::Char('_' | ']' | 'P'));
        if begins {
            self.since = Some(now);
        }
        begins
    }
}

/// The key in the session's words; `None` for what it does not know and for
/// releases.
pub fn key(event: &KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let mut shift = event.modifiers.contains(KeyModifiers::SHIFT);
    let code = match event.code {
        KeyCode::Char(c) => Code::Char(if shift { upper(c) } else { c }),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Escape,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => {
            shift = true;
            Code::Tab
        }
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Insert => Code::Insert,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        KeyCode::F(n) => Code::Function(n),
        _ => return None,
    };
    Some(Key::new(
        code,
        event.modifiers.contains(KeyModifiers::CONTROL),
        shift,
        event.modifiers.contains(KeyModifiers::ALT),
    ))
}

/// Some terminals send shift and the small letter.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

/// What was typed while the terminal was being asked, as far as it is plain keys.
pub fn typed_ahead(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.split('\x1b').next().unwrap_or_default();
    text.chars()
        .filter_map(|c| match c {
            '\r' => Some(Key::plain(Code::Enter)),
            '\t' => Some(Key::plain(Code::Tab)),
            '\x7f' => Some(Key::plain(Code::Backspace)),
            '\x01'..='\x1a' => char::from_u32(u32::from(c) + 0x60).map(Key::ctrl),
            c if c.is_control() || c == char::REPLACEMENT_CHARACTER => None,
            c => Some(Key::char(c)),
        })
        .collect()
}

/// The mouse, with the memory that a double click needs.
#[derive(Debug, Default)]
pub struct Mouse {
    last: Option<(Target, Instant)>,
}

impl Mouse {
    /// What a mouse event means, given what stands where on the screen.
    pub fn message(
        &mut self,
        event: &MouseEvent,
        hits: &[(Rect, Target)],
        now: Instant,
    ) -> Option<Message> {
        let position = Position {
            x: event.column,
            y: event.row,
        };
        let (_, target) = hits
            .iter()
            .rev()
            .find(|(area, _)| area.contains(position))?;
        let target = *target;
        match event.kind {
            MouseEventKind::ScrollDown => Some(Message::Scroll {
                target,
                lines: WHEEL_LINES,
            }),
            MouseEventKind::ScrollUp => Some(Message::Scroll {
                target,
                lines: -WHEEL_LINES,
            }),
            MouseEventKind::Down(MouseButton::Left) => {
                let is_double = self.last.take().is_some_and(|(last, at)| {
                    last == target && now.duration_since(at) <= DOUBLE_CLICK
                });
                // A third click is a first one again.
                if !is_double {
                    self.last = Some((target, now));
                }
                Some(Message::Click(Click {
                    target,
                    is_double,
                    ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
                    shift: event.modifiers.contains(KeyModifiers::SHIFT),
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::panes::Pane;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn keys_have_one_normal_form() {
        for (code, modifiers, expected) in [
            (KeyCode::Char('a'), KeyModifiers::NONE, "a"),
            (KeyCode::Char('A'), KeyModifiers::SHIFT, "A"),
            (KeyCode::Char('a'), KeyModifiers::SHIFT, "A"),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, "?"),
            (KeyCode::Char('S'), KeyModifiers::CONTROL, "Ctrl-s"),
            (KeyCode::BackTab, KeyModifiers::SHIFT, "Shift-Tab"),
            (KeyCode::BackTab, KeyModifiers::NONE, "Shift-Tab"),
            (KeyCode::Char(' '), KeyModifiers::NONE, "Space"),
            (KeyCode::Enter, KeyModifiers::CONTROL, "Ctrl-Enter"),
            (KeyCode::F(5), KeyModifiers::NONE, "F5"),
        ] {
            let key = key(&press(code, modifiers)).unwrap();
            assert_eq!(key.to_string(), expected, "{code:?} {modifiers:?}");
        }
        let mut release = press(KeyCode::Char('a'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(key(&release), None);
    }

    #[test]
    fn late_answers_are_never_typed() {
        let start = Instant::now();
        let mut filter = ReplyFilter::default();
        let answer = [
            press(KeyCode::Char('_'), KeyModifiers::ALT),
            press(KeyCode::Char('G'), KeyModifiers::SHIFT),
            press(KeyCode::Char('i'), KeyModifiers::NONE),
            press(KeyCode::Char('\\'), KeyModifiers::ALT),
        ];
        assert!(answer.iter().all(|key| filter.swallows(key, start)));
        let letter = press(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert!(!filter.swallows(&letter, start));
        // An answer that never ends must not swallow for ever.
        assert!(filter.swallows(&answer[0], start));
        assert!(!filter.swallows(&letter, start + 2 * LATE_REPLY));
    }

    #[test]
    fn keys_typed_ahead_are_not_lost() {
        let keys: Vec<_> = typed_ahead(b"j/\x13\r\x1b[A")
            .iter()
            .map(Key::to_string)
            .collect();
        assert_eq!(keys, ["j", "/", "Ctrl-s", "Enter"]);
    }

    #[test]
    fn the_topmost_thing_is_clicked_and_twice_is_double() {
        let hits = [
            (Rect::new(0, 0, 80, 24), Target::Pane(Pane::Gallery)),
            (Rect::new(0, 0, 10, 5), Target::Tile(3)),
        ];
        let event = |column| MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row: 2,
            modifiers: KeyModifiers::NONE,
        };
        let mut mouse = Mouse::default();
        let now = Instant::now();
        let mut click = |column, at| match mouse.message(&event(column), &hits, at) {
            Some(Message::Click(click)) => (click.target, click.is_double),
            other => panic!("{other:?}"),
        };
        assert_eq!(click(2, now), (Target::Tile(3), false));
        assert_eq!(click(3, now), (Target::Tile(3), true));
        assert_eq!(click(3, now), (Target::Tile(3), false));
        assert_eq!(click(3, now + 2 * DOUBLE_CLICK), (Target::Tile(3), false));
        assert_eq!(click(20, now), (Target::Pane(Pane::Gallery), false));
    }
}
