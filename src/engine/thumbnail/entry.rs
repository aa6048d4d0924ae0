//! The bytes of a stored picture: a JPEG or PNG that any viewer shows, and behind
//! it the key it was made for, the key's length, and an md5 of all that.

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
const CHECKSUM_BYTES: usize = 16;

/// A JPEG of opaque pixels, else a PNG.
pub fn encode(pixels: &Pixels, opaque: bool) -> io::Result<Vec<u8>> {
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

/// Puts key and checksum behind a picture.
pub fn seal(mut picture: Vec<u8>, key: &str) -> Vec<u8> {
    picture.extend(key.as_bytes());
    picture.extend(u32::try_from(key.len()).unwrap_or(0).to_le_bytes());
    let checksum = md5::compute(&picture);
    picture.extend(checksum.0);
    picture
}

/// The key and the picture of a sealed entry; `None` when it is damaged.
pub fn open(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (sealed, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if md5::compute(sealed).0 != checksum {
        return None;
    }
    let (rest, length) = sealed.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (picture, key) = rest.split_at_checked(rest.len().checked_sub(length)?)?;
    Some((std::str::from_utf8(key).ok()?, picture))
}
