//! Turning pictures upright.

use crate::model::media::Pixels;

/// Pixels of a square that is turned at a time, so that both sides of the copy
/// stay in the cache.
const TILE: usize = 32;

/// Whether an EXIF orientation swaps width and height.
pub fn swaps_sides(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// Applies an EXIF orientation; 1 and anything out of range change nothing.
pub fn upright(mut pixels: Pixels, orientation: u8) -> Pixels {
    match orientation {
        2 => mirror_rows(&mut pixels),
        3 => {
            mirror_rows(&mut pixels);
            flip(&mut pixels);
        }
        4 => flip(&mut pixels),
        5 => pixels = transpose(&pixels),
        6 => {
            pixels = transpose(&pixels);
            mirror_rows(&mut pixels);
        }
        7 => {
            pixels = transpose(&pixels);
            mirror_rows(&mut pixels);
            flip(&mut pixels);
        }
        8 => {
            pixels = transpose(&pixels);
            flip(&mut pixels);
        }
        _ => {}
    }
    pixels
}

fn stride(pixels: &Pixels) -> usize {
    pixels.width as usize * 4
}

fn mirror_rows(pixels: &mut Pixels) {
    let stride = stride(pixels);
    for row in pixels.rgba.chunks_exact_mut(stride) {
        row.as_chunks_mut::<4>().0.reverse();
    }
}

fn flip(pixels: &mut Pixels) {
    let stride = stride(pixels);
    let height = pixels.height as usize;
    let (top, bottom) = pixels.rgba.split_at_mut(height / 2 * stride);
    let bottom_rows = bottom.chunks_exact_mut(stride).rev();
    for (upper, lower) in top.chunks_exact_mut(stride).zip(bottom_rows) {
        upper.swap_with_slice(lower);
    }
}

fn transpose(pixels: &Pixels) -> Pixels {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let source = pixels.rgba.as_chunks::<4>().0;
    let mut rgba = vec![0; pixels.rgba.len()];
    let target = rgba.as_chunks_mut::<4>().0;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for x in left..(left + TILE).min(width) {
                for y in top..(top + TILE).min(height) {
                    target[x * height + y] = source[y * width + x];
                }
            }
        }
    }
    Pixels {
        width: pixels.height,
        height: pixels.width,
        rgba,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture `abc / def`, one gray value a letter.
    fn letters(text: &str) -> Pixels {
        let rows: Vec<&str> = text.split('/').collect();
        Pixels {
            width: u32::try_from(rows[0].len()).unwrap(),
            height: u32::try_from(rows.len()).unwrap(),
            rgba: rows.concat().bytes().flat_map(|b| [b, b, b, 255]).collect(),
        }
    }

    #[test]
    fn all_orientations_come_out_upright() {
        // How the upright picture `abc/def` is stored under each orientation.
        for (orientation, stored) in [
            (0, "abc/def"),
            (1, "abc/def"),
            (2, "cba/fed"),
            (3, "fed/cba"),
            (4, "def/abc"),
            (5, "ad/be/cf"),
            (6, "cf/be/ad"),
            (7, "fc/eb/da"),
            (8, "da/eb/fc"),
            (9, "abc/def"),
        ] {
            assert_eq!(
                upright(letters(stored), orientation),
                letters("abc/def"),
                "{orientation}"
            );
        }
    }
}
