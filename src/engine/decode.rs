//! From a file to pixels and facts, whatever the file is.
//!
//! Files come from strangers. What one may cost is counted from its headers before
//! anything is allocated, decoders run behind `catch_unwind`, and all pixels in
//! flight share one budget ([`MemoryGate`]). The answer is always pixels or a
//! [`DecodeError`], never a panic. Everything here blocks.

pub mod canvas;
mod color;
mod container;
pub mod error;
mod exif;
pub mod facts;
pub mod file;
pub mod format;
mod jpeg;
pub mod limits;
mod orient;
mod other;
mod png;
mod recognized;
mod resize;

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use self::{
    canvas::{Raw, Room},
    error::{Failure, printable},
    file::open_media,
};
pub use self::{
    error::DecodeError,
    facts::{Facts, Place},
    file::{MAX_FILE_BYTES, Probe, open_regular, probe},
    format::Format,
    limits::{Limits, MAX_DECODED_BYTES, MemoryGate, MemoryPermit},
    resize::{fit, resize},
};
use super::job::panic_text;
use crate::model::media::Pixels;

/// How long counting the frames of an animation may take.
const MAX_WALK: Duration = Duration::from_secs(2);
/// TIFF files up to this size are searched for EXIF fields.
const MAX_TIFF_EXIF_BYTES: u64 = 32 << 20;

/// A decoded picture, or the first frame of an animation.
#[derive(Debug)]
pub struct Decoded {
    /// Upright, sRGB. Pictures above 33 megapixels come reduced by a whole number;
    /// their facts have the true size.
    pub pixels: Pixels,
    pub facts: Facts,
    /// Whether a color profile was applied.
    pub profile_applied: bool,
    /// The pixels' share of the memory budget. Keep it as long as them.
    pub permit: MemoryPermit,
}

/// Decodes a file once, giving its pixels and everything it says about itself.
/// Waits while other decoded pictures fill the memory budget.
///
/// # Errors
/// See [`DecodeError`]: unreadable, no media, damaged, too large, or of a format
/// that is only recognized.
pub fn decode(path: &Path, limits: &Limits, memory: &MemoryGate) -> Result<Decoded, DecodeError> {
    let (mut file, probe) = open_media(path)?;
    let mut facts = Facts::new(probe.format, probe.bytes);
    if !probe.format.is_decodable() {
        recognized::read(&mut file, &mut facts);
        return Err(DecodeError::Unsupported {
            path: printable(path),
            facts: Box::new(facts),
        });
    }
    let room = Room { limits, memory };
    let outcome = catch_unwind(AssertUnwindSafe(|| read(&mut file, &mut facts, room)))
        .unwrap_or_else(|panic| {
            Err(Failure::broken(format_args!(
                "the decoder failed: {}",
                panic_text(panic.as_ref())
            )))
        });
    match outcome {
        Ok((pixels, permit, profile_applied)) => Ok(Decoded {
            pixels,
            facts,
            profile_applied,
            permit,
        }),
        Err(Failure::Broken(reason)) => Err(DecodeError::Broken {
            path: printable(path),
            format: facts.format,
            reason,
        }),
        Err(Failure::TooLarge(reason)) => Err(DecodeError::TooLarge {
            path: printable(path),
            reason,
            facts: Box::new(facts),
        }),
    }
}

fn read(
    file: &mut File,
    facts: &mut Facts,
    room: Room,
) -> Result<(Pixels, MemoryPermit, bool), Failure> {
    let Raw {
        mut pixels,
        icc,
        exif,
        mut permit,
    } = match facts.format {
        Format::Jpeg => jpeg::decode(file, facts, room),
        Format::Png | Format::Apng => png::decode(BufReader::new(&mut *file), facts, room),
        _ => other::decode(BufReader::new(&mut *file), facts, room),
    }?;
    if let Some(exif) = exif {
        exif::read(&exif, facts);
    }
    read_more(file, facts, room.limits)?;
    facts.alpha = pixels.rgba.chunks_exact(4).any(|pixel| pixel[3] != 255);
    let profile_applied = icc.is_some_and(|icc| color::to_srgb(&mut pixels.rgba, &icc));
    if orient::swaps_sides(facts.orientation) {
        (facts.width, facts.height) = (facts.height, facts.width);
    }
    pixels = orient::upright(pixels, facts.orientation);
    permit.shrink_to(pixels.rgba.len() as u64);
    Ok((pixels, permit, profile_applied))
}

/// What stands elsewhere in the file: the frames of an animation, EXIF of a TIFF.
fn read_more(file: &mut File, facts: &mut Facts, limits: &Limits) -> Result<(), Failure> {
    let until = Instant::now() + MAX_WALK.min(limits.deadline);
    let walk = match facts.format {
        Format::Gif => container::walk_gif,
        Format::Apng => container::walk_apng,
        Format::AnimatedWebP => container::walk_webp,
        Format::Tiff if facts.bytes <= MAX_TIFF_EXIF_BYTES => {
            file.rewind()?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let orientation = facts.orientation;
            exif::read_tiff(&bytes, facts);
            facts.orientation = orientation;
            return Ok(());
        }
        _ => return Ok(()),
    };
    file.rewind()?;
    let animation = walk(&mut BufReader::new(file), until);
    if animation.frames > 1 {
        facts.frames = animation.frames;
        facts.duration_ms = Some(animation.duration_ms);
    }
    Ok(())
}
