//! What stands on the screen, as far as text goes: the frame before and the one
//! being made, and the shortest way from the one to the other.

use std::mem;

use ratatui::{
    buffer::{Buffer, Cell, CellDiffOption},
    layout::{Position, Rect},
};

use super::paint::{Brush, Dialect, Pen, order};

/// The text of the screen.
#[derive(Debug)]
pub struct Surface {
    shown: Buffer,
    next: Buffer,
    cursor: Option<Position>,
    /// As the last frame left it.
    pen: Pen,
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
            pen: Pen::REST,
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
        let mut brush = Brush::new(self.dialect, self.next.area.width, self.pen);
        if mem::take(&mut self.is_unknown) {
            brush.clear_screen();
        }
        if let Some((top, bottom, up)) = self.scroll.take() {
            brush.scroll(top, bottom, up);
        }
        for (x, y, cell) in order(self.shown.diff(&self.next), brush.pen()) {
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
        let (bytes, pen) = brush.finish();
        self.pen = pen;
        bytes
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
    use ratatui::style::{Color, Modifier, Style};

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
                let color = |color| match color {
                    vt100::Color::Default => Color::Reset,
                    vt100::Color::Idx(index) => Color::Indexed(index),
                    vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
                };
                let attributes = [is.bold(), is.underline(), is.inverse()];
                let is_set = |modifier| cell.modifier.contains(modifier);
                let wanted = [Modifier::BOLD, Modifier::UNDERLINED, Modifier::REVERSED];
                assert_eq!(attributes, wanted.map(is_set), "{position:?}");
                let shown = look(text, color(is.fgcolor()), color(is.bgcolor()), cell);
                let drawn = look(cell.symbol(), cell.fg, cell.bg, cell);
                assert_eq!(shown, drawn, "{position:?}");
            }
            bytes.len()
        }
    }

    /// What is seen of a cell: no ink in a blank, and half blocks either way up.
    fn look<'a>(symbol: &'a str, fg: Color, bg: Color, cell: &Cell) -> (&'a str, Color, Color) {
        let is_turned = cell.modifier.is_empty();
        match symbol {
            " " if !cell.modifier.contains(Modifier::REVERSED) => (" ", Color::Reset, bg),
            "▀" | "▄" if is_turned && fg == bg => (" ", Color::Reset, bg),
            "▀" if is_turned => ("▄", bg, fg),
            _ => (symbol, fg, bg),
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

    /// Like a tile under the cursor: a bar above, corners, a caption of its own color.
    fn cursor(buffer: &mut Buffer, x: u16, ground: Style, accent: Color) {
        let ink = Style::new().fg(Color::Rgb(20, 22, 26)).bg(accent);
        buffer.set_string(x, 1, "▄".repeat(12), ground.fg(accent));
        for (left, y) in [(x, 2), (x + 11, 2), (x, 5), (x + 11, 5)] {
            buffer.set_string(left, y, " ", ink);
        }
        buffer.set_string(x, 6, "    a name  ", ink);
    }

    #[test]
    fn a_step_of_the_cursor_fits_in_a_packet() {
        let mut both = Both::new();
        let ground = Style::new()
            .fg(Color::Rgb(141, 150, 165))
            .bg(Color::Rgb(20, 22, 26));
        let mut step = |x: u16, place: &str| {
            both.frame(|buffer| {
                buffer.set_style(buffer.area, ground);
                for x in [2, 16] {
                    buffer.set_string(x, 6, "    a name  ", ground);
                }
                cursor(buffer, x, ground, Color::Rgb(84, 199, 214));
                buffer.set_string(28, 7, place, ground.bg(Color::Rgb(25, 28, 33)));
            })
        };
        step(2, "1");
        let bytes = step(16, "2");
        assert!(bytes < 200, "{bytes}");
        // The pen begins with what it had.
        let bytes = step(2, "1");
        assert!(bytes < 190, "{bytes}");
    }

    #[test]
    fn placeholders_are_repeated_where_that_is_understood() {
        let row = |repeats_placeholders| {
            let dialect = Dialect {
                repeats: true,
                repeats_placeholders,
                ..Dialect::default()
            };
            let mut surface = Surface::new(Rect::new(0, 0, 30, 1), dialect);
            surface.finish(None);
            let area = Rect::new(3, 0, 16, 1);
            crate::tui::image::draw_placeholder(surface.buffer(), area, 0x0100_0042);
            String::from_utf8(surface.finish(None)).unwrap()
        };
        assert!(row(true).ends_with("\u{10eeee}\x1b[14b"), "{:?}", row(true));
        assert_eq!(row(false).matches('\u{10eeee}').count(), 16);
    }

    const SYMBOLS: [&str; 6] = [" ", "x", "▄", "▀", "♥", "─"];
    const COLORS: [Color; 4] = [
        Color::Reset,
        Color::Indexed(130),
        Color::Rgb(9, 9, 9),
        Color::Rgb(90, 160, 250),
    ];

    proptest::proptest! {
        /// Whatever follows upon whatever, both show the same.
        #[test]
        fn frames_follow_upon_each_other(
            frames in proptest::collection::vec((
                -3..4_i32,
                proptest::collection::vec(
                    (0..30_u16, 0..8_u16, 0..6_usize, 0..4_usize, 0..4_usize, 0..4_usize, 1..14_u16),
                    0..12,
                ),
            ), 1..6)
        ) {
            let mut both = Both::new();
            for (up, cells) in frames {
                both.surface.scroll(1, 7, up);
                let before = both.surface.shown().clone();
                both.frame(|buffer| {
                    buffer.clone_from(&before);
                    for (x, y, symbol, fg, bg, modifier, length) in cells {
                        for x in x..(x + length).min(30) {
                            let modifier = [
                                Modifier::empty(),
                                Modifier::BOLD,
                                Modifier::REVERSED,
                                Modifier::UNDERLINED,
                            ][modifier];
                            let style = Style::new().fg(COLORS[fg]).bg(COLORS[bg]);
                            buffer[(x, y)].reset();
                            buffer[(x, y)]
                                .set_symbol(SYMBOLS[symbol])
                                .set_style(style.add_modifier(modifier));
                        }
                    }
                });
            }
        }
    }
}
