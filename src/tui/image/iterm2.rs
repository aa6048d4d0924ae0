//! iTerm2's inline pictures: files in the text, here JPEG. The terminal keeps every
//! one that it was ever given, so an unchanged picture is never given twice.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, ImageEncoder as _, RgbaImage, codecs::jpeg::JpegEncoder};
use ratatui::layout::Size;

use super::encode::{Quality, Strip};

/// The most of a picture in one sequence, before it is made text: longer ones are
/// dropped on the way by some multiplexers, and text waits for one to end.
const PIECE: usize = 24 << 10;

/// The picture in strips of whole cells, each a file of its own.
pub fn payload(picture: &RgbaImage, quality: Quality, cells: Size) -> Option<Vec<Strip>> {
    let all = jpeg(picture, quality)?;
    let strips = u32::try_from(all.len().div_ceil(PIECE)).ok()?;
    let rows = u32::from(cells.height).max(1);
    let step = rows.div_ceil(strips.max(1));
    if step >= rows {
        return Some(vec![Strip {
            row: 0,
            bytes: file(&all, cells),
        }]);
    }
    // Of a canvas of whole cells every row is as high as the others.
    let cell = picture.height() / rows;
    let strips = (0..rows).step_by(usize::try_from(step).ok()?).map(|row| {
        let count = step.min(rows - row);
        let part = image::imageops::crop_imm(picture, 0, row * cell, picture.width(), count * cell)
            .to_image();
        let height = u16::try_from(count).ok()?;
        Some(Strip {
            row: u16::try_from(row).ok()?,
            bytes: file(&jpeg(&part, quality)?, Size { height, ..cells }),
        })
    });
    strips.collect()
}

fn jpeg(picture: &RgbaImage, quality: Quality) -> Option<Vec<u8>> {
    let quality = match quality {
        Quality::Preview => 60,
        Quality::Balanced => 80,
        Quality::Lossless => 92,
    };
    let (pixels, _) = picture.as_raw().as_chunks::<4>();
    let rgb: Vec<u8> = pixels
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(
            &rgb,
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(bytes)
}

fn file(jpeg: &[u8], cells: Size) -> Vec<u8> {
    format!(
        "\x1b]1337;File=inline=1;size={};width={};height={};preserveAspectRatio=0;\
         doNotMoveCursor=1:{}\x07",
        jpeg.len(),
        cells.width,
        cells.height,
        STANDARD.encode(jpeg)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_is_files_of_whole_rows() {
        let picture = RgbaImage::from_fn(800, 600, |x, y| {
            let noise = (x * 7919 + y * 104_729) % 200;
            let side = |at: u32| u8::try_from((at / 4 + noise).min(255)).unwrap_or(255);
            image::Rgba([side(x), side(y), side(x + y), 255])
        });
        let strips = payload(&picture, Quality::Balanced, Size::new(80, 30)).unwrap();
        assert!(strips.len() > 2);
        let mut next = 0;
        for strip in &strips {
            assert_eq!(strip.row, next);
            let text = String::from_utf8(strip.bytes.clone()).unwrap();
            assert!(text.len() < 3 * PIECE, "{}", text.len());
            let body = text
                .strip_suffix('\x07')
                .unwrap()
                .rsplit(':')
                .next()
                .unwrap();
            let picture = image::load_from_memory(&STANDARD.decode(body).unwrap()).unwrap();
            assert_eq!(picture.width(), 800);
            next += u16::try_from(picture.height() / 20).unwrap();
            assert!(text.contains(&format!("height={};", picture.height() / 20)));
        }
        assert_eq!(next, 30);
    }
}
