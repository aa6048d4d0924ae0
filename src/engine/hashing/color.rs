//! The color hash: which colors a picture has, and how much of each.

use crate::model::media::Pixels;

/// Shares of the picture that raise the level of a class, in 1/1000.
const LEVELS: [u64; 4] = [20, 80, 200, 450];
const CLASSES: usize = 16;

/// Sixteen classes, four bits each: black, dark gray, light gray, white, six faint
/// hues from red on, the same six hues strong. The bits of a class fill up from the
/// right (0, 1, 3, 7, f) as its share passes 2, 8, 20 and 45 percent, so that the
/// number of differing bits measures how different the colors are. Transparent
/// pixels do not count.
pub fn colorhash(pixels: &Pixels) -> [u8; 8] {
    let mut counts = [0_u64; CLASSES];
    for pixel in pixels.rgba.chunks_exact(4).filter(|pixel| pixel[3] >= 128) {
        counts[class(pixel[0], pixel[1], pixel[2])] += 1;
    }
    let total: u64 = counts.iter().sum::<u64>().max(1);
    let mut bytes = [0; 8];
    for (i, count) in counts.iter().enumerate() {
        let level = LEVELS
            .iter()
            .filter(|share| count * 1000 > total * **share)
            .count();
        let bits = (1_u8 << level) - 1;
        bytes[i / 2] |= if i % 2 == 0 { bits << 4 } else { bits };
    }
    bytes
}

fn class(r: u8, g: u8, b: u8) -> usize {
    let max = i32::from(r.max(g).max(b));
    let min = i32::from(r.min(g).min(b));
    let spread = max - min;
    if max < 32 {
        return 0;
    }
    // Saturation below an eighth has no hue worth telling.
    if spread * 8 < max {
        return match max {
            ..96 => 1,
            96..224 => 2,
            _ => 3,
        };
    }
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    // In sixths of the circle, rounded to the nearest of six hues.
    let sixty = 60 * spread;
    let degrees = if max == r {
        60 * (g - b)
    } else if max == g {
        2 * sixty + 60 * (b - r)
    } else {
        4 * sixty + 60 * (r - g)
    };
    let hue = (degrees + sixty / 2).rem_euclid(6 * sixty) / sixty;
    let strong = spread * 5 >= max * 2 && max >= 64;
    4 + if strong { 6 } else { 0 } + usize::try_from(hue).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_color_has_its_class() {
        for (color, expected) in [
            ([0, 0, 0], 0),
            ([60, 60, 60], 1),
            ([128, 128, 130], 2),
            ([255, 255, 255], 3),
            ([255, 220, 220], 4),
            ([255, 0, 0], 10),
            ([255, 255, 0], 11),
            ([0, 255, 0], 12),
            ([0, 255, 255], 13),
            ([0, 0, 255], 14),
            ([255, 0, 255], 15),
            ([255, 0, 20], 10),
        ] {
            assert_eq!(class(color[0], color[1], color[2]), expected, "{color:?}");
        }
    }

    #[test]
    fn shares_fill_bits() {
        let mut rgba = [255, 0, 0, 255].repeat(70);
        rgba.extend([255, 255, 255, 255].repeat(30));
        rgba.extend([0, 0, 255, 0].repeat(100));
        let pixels = Pixels {
            width: 200,
            height: 1,
            rgba,
        };
        assert_eq!(colorhash(&pixels), [0, 0x07, 0, 0, 0, 0xf0, 0, 0]);
    }
}
