//! Fewer colors: what makes a picture small on the wire. A photograph hardly
//! deflates; with 256 colors it is a quarter of its size and still looks the same
//! at the size of a thumbnail.

use image::RgbaImage;
use quantette::{ImageRef, IndexedImage, PaletteSize, Pipeline, deps::palette::Srgb};

/// A picture of few colors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub width: u32,
    pub height: u32,
    /// Red, green, blue.
    pub palette: Vec<[u8; 3]>,
    /// One entry of the palette for each pixel, or [`Indexed::clear`].
    pub indices: Vec<u8>,
    /// The entry that stands for a transparent pixel; it is past the palette's end.
    pub clear: Option<u8>,
}

impl Indexed {
    /// Reduces a picture to at most so many colors (2 to 256), the transparent one
    /// included. Without dither, which costs more bytes than it is worth.
    pub fn new(picture: &RgbaImage, colors: u16) -> Option<Self> {
        let (width, height) = picture.dimensions();
        let is_clear = |pixel: &image::Rgba<u8>| pixel.0[3] < 128;
        let has_holes = picture.pixels().any(is_clear);
        let colors = colors.clamp(2, 256) - u16::from(has_holes);
        let opaque: Vec<Srgb<u8>> = picture
            .pixels()
            .filter(|pixel| !is_clear(pixel))
            .map(|pixel| Srgb::new(pixel.0[0], pixel.0[1], pixel.0[2]))
            .collect();
        let count = u32::try_from(opaque.len()).ok()?;
        let reduced = if count == 0 {
            None
        } else {
            // The ground of a picture is no part of it and takes no color away.
            let line = ImageRef::new(count, 1, &opaque).ok()?;
            let size = PaletteSize::try_from(colors).unwrap_or(PaletteSize::MAX);
            Some(
                Pipeline::new()
                    .palette_size(size)
                    .ditherer(None)
                    .input_image(line)
                    .output_srgb8_indexed_image(),
            )
        };
        let palette: Vec<[u8; 3]> = reduced
            .iter()
            .flat_map(IndexedImage::palette)
            .map(|color| [color.red, color.green, color.blue])
            .collect();
        let clear = has_holes.then(|| u8::try_from(palette.len()).unwrap_or(u8::MAX));
        let mut found = reduced.iter().flat_map(IndexedImage::indices);
        let indices = picture
            .pixels()
            .map(|pixel| match clear {
                Some(clear) if is_clear(pixel) => clear,
                _ => found.next().copied().unwrap_or_default(),
            })
            .collect();
        Some(Self {
            width,
            height,
            palette,
            indices,
            clear,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_few_and_holes_stay_holes() {
        let picture = RgbaImage::from_fn(64, 64, |x, y| {
            let alpha = if x < 8 { 0 } else { 255 };
            let side = |at: u32| u8::try_from(at * 4).unwrap_or(255);
            image::Rgba([side(x), side(y), 128, alpha])
        });
        for colors in [2, 64, 256] {
            let indexed = Indexed::new(&picture, colors).unwrap();
            assert!(indexed.palette.len() < usize::from(colors));
            let clear = indexed.clear.unwrap();
            for (pixel, index) in picture.pixels().zip(&indexed.indices) {
                assert_eq!(pixel.0[3] == 0, *index == clear);
            }
        }
        let solid = RgbaImage::from_pixel(4, 4, image::Rgba([9, 8, 7, 255]));
        let indexed = Indexed::new(&solid, 256).unwrap();
        assert_eq!(
            (indexed.palette, indexed.clear),
            (vec![[9, 8, 7]], None),
            "one color, no hole"
        );
        let nothing = RgbaImage::new(3, 3);
        let indexed = Indexed::new(&nothing, 256).unwrap();
        assert_eq!(indexed.indices, [0; 9]);
        assert_eq!(indexed.clear, Some(0));
    }
}
