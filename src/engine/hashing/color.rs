//! The color hash: which colors a picture has, and how much of each.

use crate::model::{
    color::{CLASSES, class},
    media::Pixels,
};

/// Shares of the picture that raise the level of a class, in 1/1000.
const LEVELS: [u64; 4] = [20, 80, 200, 450];

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

#[cfg(test)]
mod tests {
    use super::*;

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
