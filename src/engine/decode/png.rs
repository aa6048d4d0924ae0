//! PNG: whole when it fits, row by row and reduced on the way when it is huge.

use std::{
    io::{BufRead, Seek},
    time::Instant,
};

use png::{DecodingError, Transformations};
use serde_json::{Map, Value};

use super::{
    canvas::{Raw, Reducer, Room, reduction, rgba_bytes, spread},
    error::Failure,
    facts::Facts,
};
use crate::model::media::Pixels;

/// Texts image generators write; other comments are left in the file.
const GENERATION_TEXTS: [&str; 6] = [
    "parameters",
    "prompt",
    "workflow",
    "invokeai_metadata",
    "sd-metadata",
    "dream",
];
/// Longer ones are left in the file.
const MAX_TEXT_BYTES: usize = 128 << 10;
/// Texts and profiles together, unpacked.
const MAX_EXTRAS_BYTES: usize = 32 << 20;

pub fn decode(file: impl BufRead + Seek, facts: &mut Facts, room: Room) -> Result<Raw, Failure> {
    let until = Instant::now() + room.limits.deadline;
    let mut decoder = png::Decoder::new_with_limits(
        file,
        png::Limits {
            bytes: MAX_EXTRAS_BYTES,
        },
    );
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let header = decoder.read_header_info().map_err(failure)?;
    let (width, height) = (header.width, header.height);
    (facts.width, facts.height) = (width, height);
    // The rows of one picture; what is larger is reduced and never held whole.
    room.check(width, height, rgba_bytes(width, 2))?;
    let factor = reduction(width, height);

    let mut reader = decoder.read_info().map_err(failure)?;
    facts.generation = generation(reader.info());
    let icc = reader.info().icc_profile.as_ref().map(|icc| icc.to_vec());
    let exif = reader
        .info()
        .exif_metadata
        .as_ref()
        .map(|exif| exif.to_vec());
    let (color, _) = reader.output_color_type();
    let channels = color.samples();

    let (pixels, permit) = if factor == 1 {
        let bytes = rgba_bytes(width, height);
        let permit = room.acquire(bytes);
        let mut rgba = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        let used = rgba.len() / 4 * channels;
        reader.next_frame(&mut rgba[..used]).map_err(failure)?;
        spread(&mut rgba, channels);
        let pixels = Pixels {
            width,
            height,
            rgba,
        };
        (pixels, permit)
    } else if reader.info().interlaced {
        // The rows come in seven passes, so all of them must be held.
        let native = rgba_bytes(width, height) / 4 * channels as u64;
        room.check(width, height, native)?;
        let mut permit = room.acquire(native);
        let mut buffer = vec![0; usize::try_from(native).unwrap_or(usize::MAX)];
        reader.next_frame(&mut buffer).map_err(failure)?;
        let mut reducer = Reducer::new(width, height, factor);
        for row in buffer.chunks_exact(width as usize * channels) {
            reducer.push(row, channels);
        }
        drop(buffer);
        let pixels = reducer.finish();
        permit.shrink_to(pixels.rgba.len() as u64);
        (pixels, permit)
    } else {
        let permit = room.acquire(rgba_bytes(width.div_ceil(factor), height.div_ceil(factor)));
        let mut reducer = Reducer::new(width, height, factor);
        for row in 0..height {
            if row % 64 == 0 && Instant::now() >= until {
                return Err(Failure::TooLarge(format!(
                    "{width} x {height} pixels take more than {:?} to read",
                    room.limits.deadline
                )));
            }
            let line = reader
                .next_row()
                .map_err(failure)?
                .ok_or_else(|| Failure::broken("rows are missing"))?;
            reducer.push(line.data(), channels);
        }
        (reducer.finish(), permit)
    };
    Ok(Raw {
        pixels,
        icc,
        exif,
        permit,
    })
}

fn generation(info: &png::Info) -> Map<String, Value> {
    let mut texts = Map::new();
    let mut keep = |keyword: &str, text: Option<String>| {
        let known = GENERATION_TEXTS
            .iter()
            .find(|known| keyword.eq_ignore_ascii_case(known));
        if let (Some(known), Some(text)) = (known, text)
            && text.len() <= MAX_TEXT_BYTES
        {
            texts.insert((*known).to_owned(), text.into());
        }
    };
    for chunk in &info.uncompressed_latin1_text {
        // The standard says Latin-1, the programs that write prompts say UTF-8.
        let bytes: Option<Vec<u8>> = chunk
            .text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).ok())
            .collect();
        let text = bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_else(|| chunk.text.clone());
        keep(&chunk.keyword, Some(text));
    }
    for chunk in &info.compressed_latin1_text {
        let mut chunk = chunk.clone();
        let unpacked = chunk.decompress_text_with_limit(MAX_TEXT_BYTES);
        keep(
            &chunk.keyword,
            unpacked.ok().and_then(|()| chunk.get_text().ok()),
        );
    }
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        let unpacked = chunk.decompress_text_with_limit(MAX_TEXT_BYTES);
        keep(
            &chunk.keyword,
            unpacked.ok().and_then(|()| chunk.get_text().ok()),
        );
    }
    texts
}

fn failure(error: DecodingError) -> Failure {
    match error {
        DecodingError::LimitsExceeded => {
            Failure::TooLarge("its texts and profiles are too long".to_owned())
        }
        other => Failure::broken(other),
    }
}
