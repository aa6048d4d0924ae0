//! The formats that the image crate reads: GIF, WebP, BMP, QOI, TGA, PNM, ICO, TIFF.

use std::io::{BufRead, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{
    canvas::{Raw, Room, rgba_bytes, spread},
    error::Failure,
    facts::Facts,
    format::Format,
};
use crate::model::media::Pixels;

pub fn decode(file: impl BufRead + Seek, facts: &mut Facts, room: Room) -> Result<Raw, Failure> {
    let format = match facts.format {
        Format::Gif => ImageFormat::Gif,
        Format::WebP | Format::AnimatedWebP => ImageFormat::WebP,
        Format::Bmp => ImageFormat::Bmp,
        Format::Qoi => ImageFormat::Qoi,
        Format::Tga => ImageFormat::Tga,
        Format::Pnm => ImageFormat::Pnm,
        Format::Ico => ImageFormat::Ico,
        Format::Tiff => ImageFormat::Tiff,
        other => return Err(Failure::broken(format_args!("{other} is not read here"))),
    };
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(room.limits.max_side);
    limits.max_image_height = Some(room.limits.max_side);
    limits.max_alloc = Some(room.limits.max_decoded_bytes);
    let mut reader = ImageReader::with_format(file, format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;

    let (width, height) = decoder.dimensions();
    (facts.width, facts.height) = (width, height);
    let native = decoder.total_bytes();
    let rgba = rgba_bytes(width, height);
    room.check(width, height, native.max(rgba))?;
    // into_decoder does not count the picture itself (image 0.25.10): without this
    // a header of a few bytes could ask for any allocation.
    limits.reserve(native)?;
    decoder.set_limits(limits)?;

    let icc = decoder.icc_profile().ok().flatten();
    let exif = decoder.exif_metadata().ok().flatten();
    if format == ImageFormat::Tiff
        && let Ok(orientation) = decoder.orientation()
    {
        facts.orientation = orientation.to_exif();
    }
    let channels = match decoder.color_type() {
        ColorType::L8 => Some(1),
        ColorType::La8 => Some(2),
        ColorType::Rgb8 => Some(3),
        ColorType::Rgba8 => Some(4),
        _ => None,
    };
    let mut permit;
    let buffer = if let Some(channels) = channels {
        permit = room.acquire(rgba);
        let mut buffer = vec![0; usize::try_from(rgba).unwrap_or(usize::MAX)];
        let used = buffer.len() / 4 * channels;
        decoder.read_image(&mut buffer[..used])?;
        spread(&mut buffer, channels);
        buffer
    } else {
        permit = room.acquire(native + rgba);
        DynamicImage::from_decoder(decoder)?.into_rgba8().into_raw()
    };
    permit.shrink_to(rgba);
    Ok(Raw {
        pixels: Pixels {
            width,
            height,
            rgba: buffer,
        },
        icc,
        exif,
        permit,
    })
}
