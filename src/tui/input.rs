//! Keys and clicks: from the terminal library's events to the session's messages.

use std::time::{Duration, Instant};

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect};

use crate::app::{
    key::{Key, KeyCode as Code},
    message::{Click, Message, Target},
};

/// Two clicks within this time are one double click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Lines that one turn of the wheel scrolls.
const WHEEL_LINES: i32 = 3;

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
