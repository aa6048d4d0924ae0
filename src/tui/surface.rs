//! What stands on the screen, as far as text goes: the frame before and the one
//! being made, and the shortest way from the one to the other.

use std::mem;

use ratatui::{
    buffer::{Buffer, Cell, CellDiffOption},
    layout::{Position, Rect},
};

use super::paint::{Brush, Dialect, order};

/// The text of the screen.
#[derive(Debug)]
pub struct Surface {
    shown: Buffer,
    next: Buffer,
    cursor: Option<Position>,
    /// The next frame begins with an empty screen.
    is_unknown: bool,
    /// Rows that move before the next frame: top, bottom, and how far up.
    scroll: Option<(u16, u16, i32)>,
    pub dialect: Dialect,
}

impl Surface {
    /// A screen of that size of which nothing is known.
    pub fn new(area: Rect, dialect: Dialect) -> Self {
        Self {
            shown: Buffer::empty(area),
            next: Buffer::empty(area),
            cursor: None,
            is_unknown: true,
            scroll: None,
            dialect,
        }
    }

    pub fn area(&self) -> Rect {
        self.next.area
    }

    /// The frame to draw on; empty at first.
    pub fn buffer(&mut self) -> &mut Buffer {
        &mut self.next
    }

    /// The screen has this size now and may show anything.
    pub fn reset(&mut self, area: Rect) {
        *self = Self::new(area, self.dialect);
    }

    /// Something else may stand there than the text that was written.
    pub fn forget(&mut self, area: Rect) {
        for position in area.intersection(self.shown.area).positions() {
            self.shown[position] = unknown();
        }
    }

    /// Has the terminal move the rows from `top` to before `bottom` up, or down when
    /// negative, before the next frame. Whatever is drawn over them moves along. Says
    /// whether it will.
    pub fn scroll(&mut self, top: u16, bottom: u16, up: i32) -> bool {
        let area = self.shown.area;
        let height = i32::from(bottom.saturating_sub(top));
        if self.is_unknown || up == 0 || up.abs() >= height || bottom > area.bottom() {
            return false;
        }
        let before = self.shown.clone();
        for y in top..bottom {
            let from = i32::from(y) + up;
            let from = u16::try_from(from)
                .ok()
                .filter(|from| (top..bottom).contains(from));
            for x in area.left()..area.right() {
                self.shown[(x, y)] =
                    from.map_or_else(Cell::default, |from| before[(x, from)].clone());
            }
        }
        self.scroll = Some((top, bottom, up));
        true
    }

    /// The bytes that make the screen show the frame; `cursor` is where the cursor
    /// stands, if it is to be seen. The next frame is empty again.
    pub fn finish(&mut self, cursor: Option<Position>) -> Vec<u8> {
        let mut brush = Brush::new(self.dialect, self.next.area.width);
        if mem::take(&mut self.is_unknown) {
            brush.clear_screen();
        }
        if let Some((top, bottom, up)) = self.scroll.take() {
            brush.scroll(top, bottom, up);
        }
        for (x, y, cell) in order(self.shown.diff(&self.next)) {
            brush.cell(Position { x, y }, cell, &self.next);
        }
        match (cursor, self.cursor) {
            (Some(at), _) => {
                brush.move_to(at);
                if self.cursor.is_none() {
                    brush.raw(b"\x1b[?25h");
                }
            }
            (None, Some(_)) => brush.raw(b"\x1b[?25l"),
            (None, None) => {}
        }
        self.cursor = cursor;
        mem::swap(&mut self.shown, &mut self.next);
        self.next.reset();
        brush.finish()
    }

    /// The frame that is shown, for whoever wants to look.
    pub fn shown(&self) -> &Buffer {
        &self.shown
    }
}

/// A cell that equals none that is ever drawn.
fn unknown() -> Cell {
    let mut cell = Cell::default();
    cell.set_diff_option(CellDiffOption::AlwaysUpdate);
    cell
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Style};

    use super::*;

    /// A surface beside an emulator that reads its bytes.
    struct Both {
        surface: Surface,
        screen: vt100::Parser,
    }

    impl Both {
        fn new() -> Self {
            Self {
                surface: Surface::new(Rect::new(0, 0, 30, 8), Dialect::default()),
                screen: vt100::Parser::new(8, 30, 0),
            }
        }

        /// Draws a frame; both must show the same. Gives the number of bytes.
        fn frame(&mut self, draw: impl FnOnce(&mut Buffer)) -> usize {
            draw(self.surface.buffer());
            let bytes = self.surface.finish(None);
            self.screen.process(&bytes);
            let shown = self.surface.shown();
            for position in shown.area.positions() {
                let is = self.screen.screen().cell(position.y, position.x).unwrap();
                let cell = &shown[position];
                let text = if is.has_contents() {
                    is.contents()
                } else {
                    " "
                };
                assert_eq!(text, cell.symbol(), "{position:?}");
                let color = |color| match color {
                    vt100::Color::Default => Color::Reset,
                    vt100::Color::Idx(index) => Color::Indexed(index),
                    vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
                };
                assert_eq!(color(is.bgcolor()), cell.bg, "{position:?}");
                if text != " " {
                    assert_eq!(color(is.fgcolor()), cell.fg, "{position:?}");
                }
            }
            bytes.len()
        }
    }

    fn lines(buffer: &mut Buffer, from: usize) {
        let ground = Style::new()
            .fg(Color::Indexed(250))
            .bg(Color::Rgb(20, 22, 26));
        buffer.set_style(buffer.area, ground);
        for y in 0..8 {
            buffer.set_string(
                2,
                y,
                format!("line {} and more", from + usize::from(y)),
                ground,
            );
        }
    }

    #[test]
    fn a_terminal_shows_what_was_drawn() {
        let mut both = Both::new();
        both.frame(|buffer| lines(buffer, 0));
        assert_eq!(both.frame(|buffer| lines(buffer, 0)), 0);
        let mark = |buffer: &mut Buffer, x: u16| {
            lines(buffer, 0);
            let accent = Style::new()
                .fg(Color::Indexed(0))
                .bg(Color::Rgb(90, 160, 250));
            buffer.set_style(Rect::new(x, 1, 1, 5), accent);
            buffer.set_style(Rect::new(x, 6, 12, 1), accent.bold().italic());
        };
        both.frame(|buffer| mark(buffer, 3));
        let bytes = both.frame(|buffer| mark(buffer, 17));
        // Two edges, two bars: each color is named once.
        assert!(bytes < 170, "{bytes}");
        both.frame(|buffer| buffer.set_style(buffer.area, Style::new().bg(Color::Reset)));
    }

    #[test]
    fn scrolled_rows_are_not_written_again() {
        let mut both = Both::new();
        both.frame(|buffer| lines(buffer, 0));
        assert!(both.surface.scroll(1, 7, 2));
        let bytes = both.frame(|buffer| {
            lines(buffer, 2);
            for (y, n) in [(0, 0), (7, 7)] {
                let style = buffer[(2, y)].style();
                buffer.set_string(2, y, format!("line {n} and more"), style);
            }
        });
        assert!(bytes < 160, "{bytes}");
        assert!(both.surface.scroll(1, 7, -2));
        assert!(!both.surface.scroll(1, 7, 6), "nothing would stay");
        both.frame(|buffer| lines(buffer, 0));
    }

    #[test]
    fn what_was_painted_over_is_written_again() {
        let mut both = Both::new();
        both.frame(|buffer| lines(buffer, 0));
        both.surface.forget(Rect::new(2, 2, 4, 2));
        let bytes = both.frame(|buffer| lines(buffer, 0));
        assert!(bytes >= 8, "{bytes}");
        assert_eq!(both.frame(|buffer| lines(buffer, 0)), 0);
    }
}
