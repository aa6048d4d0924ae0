//! JPEG: straight to RGBA, with the memory of progressive files counted first.

use std::io::Read;

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{
    canvas::{Raw, Reducer, Room, reduction, rgba_bytes, spread},
    container,
    error::Failure,
    facts::Facts,
};
use crate::model::media::Pixels;

/// Passes over the picture beyond this are an attack: real files have ten.
const MAX_SCANS: usize = 100;

pub fn decode(file: &mut impl Read, facts: &mut Facts, room: Room) -> Result<Raw, Failure> {
    if facts.bytes > room.limits.max_decoded_bytes {
        return Err(Failure::TooLarge(format!("{} MiB", facts.bytes >> 20)));
    }
    let mut data = Vec::with_capacity(usize::try_from(facts.bytes).unwrap_or(0));
    file.take(room.limits.max_decoded_bytes)
        .read_to_end(&mut data)?;
    let header =
        container::jpeg_header(&data).ok_or_else(|| Failure::broken("it has no frame header"))?;
    let (width, height) = (header.width, header.height);
    (facts.width, facts.height) = (width, height);
    facts.damaged = !header.complete;

    let factor = reduction(width, height);
    let channels: u32 = if factor > 1 { 3 } else { 4 };
    let decoded = rgba_bytes(width, height) / 4 * u64::from(channels);
    room.check(width, height, decoded)?;
    // A progressive file keeps all its coefficients until the last pass.
    let coefficients = if header.progressive {
        header.coefficients() * 2
    } else {
        0
    };
    let working = decoded + coefficients + data.len() as u64;
    if working > room.limits.max_decoded_bytes / 2 * 3 {
        return Err(Failure::TooLarge(format!(
            "{width} x {height} pixels in passes take {} MiB to decode",
            working >> 20
        )));
    }
    let mut permit = room.acquire(working);

    let side = room.limits.max_side as usize;
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_max_scans(MAX_SCANS);
    // The output has to be chosen before the headers are read: that is when zune-jpeg
    // 0.5 picks the function that converts, and a later choice garbles the pixels.
    let open = |output| {
        let options = options.jpeg_set_out_colorspace(output);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data.as_slice()), options);
        decoder.decode_headers().map_err(broken)?;
        Ok::<_, Failure>(decoder)
    };
    let mut output = if factor > 1 {
        ColorSpace::RGB
    } else {
        ColorSpace::RGBA
    };
    let mut decoder = open(output)?;
    let input = decoder.input_colorspace();
    if input == Some(ColorSpace::RGB) && output != ColorSpace::RGB {
        // Samples that are RGB already are only copied.
        output = ColorSpace::RGB;
        decoder = open(output)?;
    }
    if decoder.dimensions() != Some((width as usize, height as usize)) {
        return Err(Failure::broken("it has two frame headers that disagree"));
    }
    let samples = output.num_components();
    let mut buffer = vec![0; width as usize * height as usize * channels as usize];
    let used = width as usize * height as usize * samples;
    decoder.decode_into(&mut buffer[..used]).map_err(broken)?;

    // The profile of a CMYK file is about inks, and those are gone by now.
    let is_ink = matches!(input, Some(ColorSpace::CMYK | ColorSpace::YCCK));
    let icc = decoder.icc_profile().filter(|_| !is_ink);
    let exif = decoder.exif().cloned();
    drop(decoder);
    drop(data);

    let pixels = if factor > 1 {
        let mut reducer = Reducer::new(width, height, factor);
        for row in buffer.chunks_exact(width as usize * samples) {
            reducer.push(row, samples);
        }
        drop(buffer);
        reducer.finish()
    } else {
        if samples < 4 {
            spread(&mut buffer, samples);
        }
        Pixels {
            width,
            height,
            rgba: buffer,
        }
    };
    permit.shrink_to(pixels.rgba.len() as u64);
    Ok(Raw {
        pixels,
        icc,
        exif,
        permit,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn broken(error: DecodeErrors) -> Failure {
    Failure::broken(format_args!("{error:?}"))
}
