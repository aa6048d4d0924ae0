//! The demo pictures as files.

use std::io::Cursor;

use image::{
    Delay, ExtendedColorType, Frame, ImageEncoder, RgbaImage,
    codecs::{
        gif::{GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
};

use crate::model::media::Pixels;

/// Milliseconds a frame of the animation is shown.
const FRAME_MS: u32 = 80;

/// A JPEG of the quality from 1 to 100.
pub fn jpeg(pixels: &Pixels, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    log(encoder.write_image(
        &rgb(pixels),
        pixels.width,
        pixels.height,
        ExtendedColorType::Rgb8,
    ));
    bytes
}

/// A JPEG whose pixels lie on their side and whose EXIF says so, as cameras write.
pub fn jpeg_turned(pixels: &Pixels) -> Vec<u8> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let upright = rgb(pixels);
    let mut turned = vec![0; upright.len()];
    let (source, target) = (upright.as_chunks::<3>().0, turned.as_chunks_mut::<3>().0);
    for y in 0..height {
        for x in 0..width {
            // Turned back by a quarter to the right, this is upright again.
            target[(width - 1 - x) * height + y] = source[y * width + x];
        }
    }
    // A big-endian directory with one entry: orientation 6.
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 88);
    log(encoder.set_exif_metadata(exif));
    log(encoder.write_image(
        &turned,
        pixels.height,
        pixels.width,
        ExtendedColorType::Rgb8,
    ));
    bytes
}

/// A PNG, with alpha when the picture has any.
pub fn png(pixels: &Pixels) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    let opaque = pixels.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
    let (width, height) = (pixels.width, pixels.height);
    log(if opaque {
        encoder.write_image(&rgb(pixels), width, height, ExtendedColorType::Rgb8)
    } else {
        encoder.write_image(&pixels.rgba, width, height, ExtendedColorType::Rgba8)
    });
    bytes
}

/// An endless animation.
pub fn gif(frames: &[Pixels]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    {
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, 20);
        log(encoder.set_repeat(Repeat::Infinite));
        for pixels in frames {
            if let Some(picture) =
                RgbaImage::from_raw(pixels.width, pixels.height, pixels.rgba.clone())
            {
                let delay = Delay::from_numer_denom_ms(FRAME_MS, 1);
                log(encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)));
            }
        }
    }
    bytes.into_inner()
}

/// A PNG whose download broke off.
pub fn broken_png(pixels: &Pixels) -> Vec<u8> {
    let mut bytes = png(pixels);
    bytes.truncate(bytes.len() / 3);
    bytes
}

fn rgb(pixels: &Pixels) -> Vec<u8> {
    pixels
        .rgba
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect()
}

/// Encoding into memory fails only for sizes that no demo picture has.
fn log<E: std::fmt::Display>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!("cannot encode a demo picture: {error}");
    }
}
