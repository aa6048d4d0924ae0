//! The bytes of a stored picture: a JPEG, or a PNG where it is not opaque.

use std::io::{self, Cursor};

use image::{
    ExtendedColorType, ImageEncoder as _, ImageReader,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
};

use crate::model::media::Pixels;

/// Of JPEG, 1 to 100: artifacts do not show at this size.
const QUALITY: u8 = 80;

/// A JPEG of opaque pixels, else a PNG.
pub fn encode(pixels: &Pixels) -> io::Result<Vec<u8>> {
    let opaque = pixels.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width, pixels.height);
    if opaque {
        let rgb: Vec<u8> = pixels
            .rgba
            .as_chunks::<4>()
            .0
            .iter()
            .flat_map(|[r, g, b, _]| [*r, *g, *b])
            .collect();
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            &rgb,
            width,
            height,
            ExtendedColorType::Rgb8,
        )
    } else {
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
            .write_image(&pixels.rgba, width, height, ExtendedColorType::Rgba8)
    }
    .map_err(io::Error::other)?;
    Ok(bytes)
}

/// The pixels, unless a side is longer than it should be.
pub fn decode(bytes: &[u8], max_side: u32) -> Option<Pixels> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(max_side);
    limits.max_image_height = Some(max_side);
    reader.limits(limits);
    let picture = reader.decode().ok()?.into_rgba8();
    Some(Pixels {
        width: picture.width(),
        height: picture.height(),
        rgba: picture.into_raw(),
    })
}
