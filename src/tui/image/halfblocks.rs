//! Two pixels a cell in text: where a terminal shows no pictures, where something
//! lies over one, and until one has come. Costs no bytes beyond the text's.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::raster::{CROP_UNIT, Crop, backing, over, pixel};
use crate::{model::media::Pixels, tui::theme::Theme};

/// Fills an area with one style.
pub fn block(buffer: &mut Buffer, area: Rect, style: Style) {
    for position in area.positions() {
        buffer[position].reset();
        buffer[position].set_symbol(" ").set_style(style);
    }
}

/// Draws two pixels a cell straight from the picture, coarse and quick.
pub fn draw(buffer: &mut Buffer, area: Rect, pixels: &Pixels, crop: Crop, theme: &Theme) {
    let (columns, rows) = (u32::from(area.width), u32::from(area.height) * 2);
    let ground = theme.background();
    let ground = backing(pixels, ground).unwrap_or(ground);
    let at = |column: u32, row: u32| {
        let scale = |i: u32, of: u32, from: u32, to: u32, side: u32| {
            let share = u64::from(from)
                + u64::from(to - from) * (2 * u64::from(i) + 1) / (2 * u64::from(of));
            let px = share * u64::from(side) / u64::from(CROP_UNIT);
            u32::try_from(px).unwrap_or(0).min(side.saturating_sub(1))
        };
        let x = scale(column, columns, crop[0], crop[2], pixels.width);
        let y = scale(row, rows, crop[1], crop[3], pixels.height);
        over(pixel(pixels, x, y), ground)
    };
    for position in area.positions() {
        let (column, row) = (
            u32::from(position.x - area.x),
            u32::from(position.y - area.y) * 2,
        );
        let cell = &mut buffer[position];
        cell.reset();
        if theme.is_monochrome() {
            cell.set_char(shade(at(column, row), at(column, row + 1)));
            continue;
        }
        cell.set_symbol("▀")
            .set_fg(theme.color(at(column, row)))
            .set_bg(theme.color(at(column, row + 1)));
    }
}

/// A character about as light as two pixels, for terminals without colors.
fn shade(upper: (u8, u8, u8), lower: (u8, u8, u8)) -> char {
    const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
    let luminance =
        |(r, g, b): (u8, u8, u8)| u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114;
    let mean = (luminance(upper) + luminance(lower)) / 2000;
    usize::try_from(mean * 10 / 256).map_or(' ', |step| RAMP[step.min(9)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_follow_the_light() {
        assert_eq!(shade((0, 0, 0), (0, 0, 0)), ' ');
        assert_eq!(shade((255, 255, 255), (255, 255, 255)), '@');
        assert_eq!(shade((255, 255, 255), (0, 0, 0)), '=');
    }
}
