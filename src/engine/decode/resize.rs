//! Making pictures smaller.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use crate::model::media::Pixels;

/// The picture with its longer side at most `max_side` pixels; smaller ones come
/// back as they are. Gamma is left alone, as every other viewer does; colors
/// of transparent pixels do not bleed.
pub fn resize(pixels: &Pixels, max_side: u32) -> Pixels {
    let (width, height) = fit(pixels.width, pixels.height, max_side);
    resize_exact(pixels, width, height)
}

/// The size that keeps the proportions and has no side above `max_side` nor below 1.
pub fn fit(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= max_side {
        return (width, height);
    }
    let scale = |side: u32| {
        let scaled =
            (u64::from(side) * u64::from(max_side) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(max_side).max(1)
    };
    (scale(width), scale(height))
}

fn resize_exact(pixels: &Pixels, width: u32, height: u32) -> Pixels {
    if (width, height) == (pixels.width, pixels.height) {
        return pixels.clone();
    }
    let opaque = pixels.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(!opaque);
    let mut smaller = Image::new(width, height, PixelType::U8x4);
    let done = ImageRef::new(pixels.width, pixels.height, &pixels.rgba, PixelType::U8x4)
        .map_err(|_| ())
        .and_then(|source| {
            Resizer::new()
                .resize(&source, &mut smaller, &options)
                .map_err(|_| ())
        });
    if done.is_err() {
        // Only when the buffer is not what the sides say.
        tracing::warn!(?pixels, "cannot resize");
    }
    Pixels {
        width,
        height,
        rgba: smaller.into_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: u32, height: u32, color: [u8; 4]) -> Pixels {
        Pixels {
            width,
            height,
            rgba: color.repeat((width * height) as usize),
        }
    }

    #[test]
    fn proportions_stay_and_no_side_vanishes() {
        for (size, max_side, expected) in [
            ((1000, 500), 256, (256, 128)),
            ((500, 1000), 256, (128, 256)),
            ((30_000, 1), 256, (256, 1)),
            ((1, 30_000), 256, (1, 256)),
            ((100, 50), 256, (100, 50)),
        ] {
            assert_eq!(fit(size.0, size.1, max_side), expected, "{size:?}");
        }
        let smaller = resize(&plain(300, 100, [1, 2, 3, 255]), 30);
        assert_eq!(smaller, plain(30, 10, [1, 2, 3, 255]));
    }

    #[test]
    fn transparent_colors_do_not_bleed() {
        let mut pixels = plain(64, 64, [255, 0, 0, 0]);
        for (i, pixel) in pixels.rgba.chunks_exact_mut(4).enumerate() {
            if i % 2 == 0 {
                pixel.copy_from_slice(&[0, 0, 255, 255]);
            }
        }
        for pixel in resize(&pixels, 8).rgba.chunks_exact(4) {
            assert_eq!((pixel[0], pixel[2]), (0, 255));
            assert!((100..155).contains(&pixel[3]));
        }
    }
}
