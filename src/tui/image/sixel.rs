//! Sixel: pictures drawn in bands of six rows, one color after the other. The
//! terminal keeps none of them, so whatever moves is drawn again.

use std::fmt::Write as _;

use image::RgbaImage;

use super::{
    encode::{Quality, Strip},
    palette::Indexed,
};

const BAND: usize = 6;
/// What is to be in one piece at most, about; text waits for a piece to end.
const PIECE: usize = 16 << 10;
/// Colors over a slow link: each has its own line in every band.
const FEW_COLORS: u16 = 64;

/// The picture in strips of whole cells, each a drawing of its own.
pub fn payload(picture: &RgbaImage, quality: Quality, cell_height: u16) -> Option<Vec<Strip>> {
    let colors = match quality {
        Quality::Preview | Quality::Balanced => FEW_COLORS,
        Quality::Lossless => 256,
    };
    let indexed = Indexed::new(picture, colors)?;
    let all = draw(&indexed, 0, indexed.height as usize);
    // A strip ends between two bands and between two rows of cells at once.
    let cell = usize::from(cell_height.max(1));
    let rows = (1..=BAND).find(|rows| (rows * cell).is_multiple_of(BAND))?;
    let pieces = all.len().div_ceil(PIECE);
    let units = (indexed.height as usize).div_ceil(rows * cell);
    if pieces < 2 || units < 2 {
        return Some(vec![Strip { row: 0, bytes: all }]);
    }
    let step = units.div_ceil(pieces) * rows;
    let strips = (0..indexed.height as usize)
        .step_by(step * cell)
        .map(|top| {
            let bottom = (top + step * cell).min(indexed.height as usize);
            Some(Strip {
                row: u16::try_from(top / cell).ok()?,
                bytes: draw(&indexed, top, bottom),
            })
        });
    strips.collect()
}

/// The rows from `top` to `bottom`, in the colors that they use.
fn draw(picture: &Indexed, top: usize, bottom: usize) -> Vec<u8> {
    let width = picture.width as usize;
    let rows = &picture.indices[top * width..bottom * width];
    // Square pixels, said twice: by the first number for terminals that go by it and
    // by the raster attributes for those that go by them. Clear stays clear.
    let mut text = format!("\x1bP9;1q\"1;1;{width};{}", bottom - top);
    let mut is_used = [false; 256];
    for index in rows {
        is_used[usize::from(*index)] = true;
    }
    // Writing to a String cannot fail.
    for (at, [r, g, b]) in picture.palette.iter().enumerate() {
        if is_used[at] {
            let percent = |channel: &u8| (u32::from(*channel) * 100 + 127) / 255;
            let (r, g, b) = (percent(r), percent(g), percent(b));
            let _ = write!(text, "#{at};2;{r};{g};{b}");
        }
    }
    let mut bits = vec![0u8; picture.palette.len() * width];
    for (number, band) in rows.chunks(BAND * width).enumerate() {
        if number > 0 {
            text.push('-');
        }
        bits.fill(0);
        for (y, row) in band.chunks(width).enumerate() {
            for (x, index) in row.iter().enumerate() {
                if picture.clear != Some(*index)
                    && let Some(bits) = bits.get_mut(usize::from(*index) * width + x)
                {
                    *bits |= 1 << y;
                }
            }
        }
        let mut is_first = true;
        for (at, row) in bits.chunks(width).enumerate() {
            // What is empty at the end of a row need not be said.
            let Some(last) = row.iter().rposition(|bits| *bits != 0) else {
                continue;
            };
            if !std::mem::take(&mut is_first) {
                text.push('$');
            }
            let _ = write!(text, "#{at}");
            for run in row[..=last].chunk_by(|a, b| a == b) {
                let sign = char::from(b'?' + run[0]);
                match run.len() {
                    1..=3 => text.extend(std::iter::repeat_n(sign, run.len())),
                    count => {
                        let _ = write!(text, "!{count}{sign}");
                    }
                }
            }
        }
    }
    text.push_str("\x1b\\");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            let noise = (x * 7919 + y * 104_729) % 61;
            let side = |at: u32| u8::try_from((at + noise).min(255)).unwrap_or(255);
            image::Rgba([side(x), side(y), side(x / 2 + y / 2), 255])
        })
    }

    /// Decoded by another implementation, the strips make up the picture again.
    #[test]
    fn strips_make_up_the_picture() {
        let picture = photo(160, 160);
        let strips = payload(&picture, Quality::Lossless, 20).unwrap();
        assert!(strips.len() > 1);
        let indexed = Indexed::new(&picture, 256).unwrap();
        for strip in &strips {
            assert!(strip.bytes.len() < 3 * PIECE, "{}", strip.bytes.len());
            let decoded = icy_sixel::SixelImage::decode(&strip.bytes).unwrap();
            assert_eq!(decoded.width, 160);
            let top = usize::from(strip.row) * 20;
            assert!(top.is_multiple_of(60));
            for y in 0..decoded.height.min(160 - top) {
                for x in 0..160 {
                    let at = (y * 160 + x) * 4;
                    let index = indexed.indices[(top + y) * 160 + x];
                    let expected = indexed.palette[usize::from(index)];
                    for (is, expected) in decoded.pixels[at..].iter().zip(expected) {
                        // Percents are coarser than bytes.
                        assert!(is.abs_diff(expected) <= 2, "{x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_small_picture_is_one_piece_and_clear_stays_clear() {
        let mut picture = photo(16, 20);
        picture.put_pixel(2, 3, image::Rgba([0; 4]));
        let strips = payload(&picture, Quality::Balanced, 20).unwrap();
        assert_eq!(strips.len(), 1);
        let decoded = icy_sixel::SixelImage::decode(&strips[0].bytes).unwrap();
        let alpha = |x: usize, y: usize| decoded.pixels[(y * 16 + x) * 4 + 3];
        assert_eq!((alpha(2, 3), alpha(3, 3)), (0, 255));
    }
}
