//! Kitty pictures that are placed by text: cells that name the picture by their
//! color. They move with the text, also inside tmux, and need kitty 0.28 or
//! Ghostty; anything else draws boxes.

use std::num::NonZeroU16;

use ratatui::{
    buffer::{Buffer, CellDiffOption},
    layout::Rect,
    style::Color,
};

/// The character of a placeholder.
pub const PLACEHOLDER: char = '\u{10EEEE}';

/// The characters that stand for numbers above a placeholder, as runs of code
/// points: where one begins and how many there are.
const NUMBERS: [(u32, u32); 86] = [
    (0x0305, 1),
    (0x030d, 2),
    (0x0310, 1),
    (0x0312, 1),
    (0x033d, 3),
    (0x0346, 1),
    (0x034a, 3),
    (0x0350, 3),
    (0x0357, 1),
    (0x035b, 1),
    (0x0363, 13),
    (0x0483, 5),
    (0x0592, 4),
    (0x0597, 3),
    (0x059c, 6),
    (0x05a8, 2),
    (0x05ab, 2),
    (0x05af, 1),
    (0x05c4, 1),
    (0x0610, 8),
    (0x0657, 5),
    (0x065d, 2),
    (0x06d6, 7),
    (0x06df, 4),
    (0x06e4, 1),
    (0x06e7, 2),
    (0x06eb, 2),
    (0x0730, 1),
    (0x0732, 2),
    (0x0735, 2),
    (0x073a, 1),
    (0x073d, 1),
    (0x073f, 3),
    (0x0743, 1),
    (0x0745, 1),
    (0x0747, 1),
    (0x0749, 2),
    (0x07eb, 7),
    (0x07f3, 1),
    (0x0816, 4),
    (0x081b, 9),
    (0x0825, 3),
    (0x0829, 5),
    (0x0951, 1),
    (0x0953, 2),
    (0x0f82, 2),
    (0x0f86, 2),
    (0x135d, 3),
    (0x17dd, 1),
    (0x193a, 1),
    (0x1a17, 1),
    (0x1a75, 8),
    (0x1b6b, 1),
    (0x1b6d, 7),
    (0x1cd0, 3),
    (0x1cda, 2),
    (0x1ce0, 1),
    (0x1dc0, 2),
    (0x1dc3, 7),
    (0x1dcb, 2),
    (0x1dd1, 22),
    (0x1dfe, 1),
    (0x20d0, 2),
    (0x20d4, 4),
    (0x20db, 2),
    (0x20e1, 1),
    (0x20e7, 1),
    (0x20e9, 1),
    (0x20f0, 1),
    (0x2cef, 3),
    (0x2de0, 32),
    (0xa66f, 1),
    (0xa67c, 2),
    (0xa6f0, 2),
    (0xa8e0, 18),
    (0xaab0, 1),
    (0xaab2, 2),
    (0xaab7, 2),
    (0xaabe, 2),
    (0xaac1, 1),
    (0xfe20, 7),
    (0x10a0f, 1),
    (0x10a38, 1),
    (0x1d185, 5),
    (0x1d1aa, 4),
    (0x1d242, 3),
];

/// The character for a number below 297.
fn number(n: u32) -> Option<char> {
    let mut left = n;
    for (start, count) in NUMBERS {
        if left < count {
            return char::from_u32(start + left);
        }
        left -= count;
    }
    None
}

/// Makes the cells of an area stand for a picture. The first of each row says which
/// row it is, the others follow from it.
pub fn draw(buffer: &mut Buffer, area: Rect, id: u32) {
    let (Ok(color), Some(left), Some(high)) =
        (u8::try_from(id & 0xff), number(0), number(id >> 24))
    else {
        return;
    };
    let bare = PLACEHOLDER.to_string();
    for (row, y) in (0..).zip(area.top()..area.bottom()) {
        let Some(row) = number(row) else { return };
        let first = format!("{PLACEHOLDER}{row}{left}{high}");
        for x in area.left()..area.right() {
            let symbol = if x == area.x { &first } else { &bare };
            let cell = &mut buffer[(x, y)];
            // What shows through the picture is the pane it stands on.
            let ground = cell.bg;
            cell.reset();
            cell.set_symbol(symbol)
                .set_fg(Color::Indexed(color))
                .set_bg(ground)
                // Its width is miscounted otherwise.
                .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
        }
    }
}

/// Tells cells their place again whose neighbor to the left told them before, and
/// is something else now.
pub fn mend(buffer: &mut Buffer, area: Rect, id: u32) {
    let (Some(high), true) = (number(id >> 24), area.width > 1) else {
        return;
    };
    let bare = PLACEHOLDER.to_string();
    for (row, y) in (0..).zip(area.top()..area.bottom()) {
        let Some(row) = number(row) else { return };
        for (column, x) in (1..).zip(area.left() + 1..area.right()) {
            let is_cut = buffer[(x, y)].symbol() == bare
                && !buffer[(x - 1, y)].symbol().starts_with(PLACEHOLDER);
            if is_cut && let Some(column) = number(column) {
                buffer[(x, y)].set_symbol(&format!("{PLACEHOLDER}{row}{column}{high}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Size;
    use ratatui_image::protocol::{Protocol, kitty::Kitty};

    use super::*;

    /// The library draws its pictures with the same cells.
    #[test]
    fn cells_name_the_picture_as_the_library_does() {
        let id = 0x1200_0042;
        let cells = Size::new(5, 70);
        let area = Rect::new(0, 0, cells.width, cells.height);
        let picture = image::DynamicImage::new_rgba8(50, 1400);
        let kitty = Protocol::Kitty(Kitty::new(picture, cells, id, false, true).unwrap());
        let mut theirs = Buffer::empty(area);
        ratatui::widgets::Widget::render(ratatui_image::Image::new(&kitty), area, &mut theirs);
        let mut ours = Buffer::empty(area);
        draw(&mut ours, area, id);
        for y in 0..cells.height {
            let symbol = theirs[(0, y)].symbol();
            let symbol = &symbol[symbol.find(PLACEHOLDER).unwrap()..];
            assert!(symbol.starts_with(ours[(0, y)].symbol()), "row {y}");
        }
        assert_eq!(ours[(0, 0)].fg, Color::Indexed(0x42));
        assert_eq!(ours[(1, 0)].symbol(), PLACEHOLDER.to_string());
    }

    #[test]
    fn what_is_left_of_a_row_is_told_its_place() {
        let area = Rect::new(2, 1, 6, 2);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 4));
        draw(&mut buffer, area, 0x1200_0042);
        let whole = buffer.clone();
        mend(&mut buffer, area, 0x1200_0042);
        assert_eq!(buffer, whole);
        buffer.set_string(3, 2, "ab", ratatui::style::Style::new());
        mend(&mut buffer, area, 0x1200_0042);
        let [row, column, high] = [1, 3, 0x12].map(|n| number(n).unwrap());
        let told = format!("{PLACEHOLDER}{row}{column}{high}");
        assert_eq!(buffer[(5, 2)].symbol(), told);
        assert_eq!(buffer[(6, 2)].symbol(), PLACEHOLDER.to_string());
        assert_eq!(buffer[(5, 1)], whole[(5, 1)]);
    }

    #[test]
    fn there_are_numbers_for_every_id_and_no_more() {
        assert!((0..297).all(|n| number(n).is_some()));
        assert_eq!(number(297), None);
    }
}
