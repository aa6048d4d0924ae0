//! The frames of an animation, one after the other from the start, as they are
//! composed. What this may cost is counted before it begins, like any other decode.

use std::{
    io::{BufRead, BufReader, Seek},
    path::Path,
    time::Instant,
};

use image::{
    AnimationDecoder, Frames, ImageDecoder,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
};

use super::{
    DecodeError, Format, Limits, MemoryGate,
    canvas::{Room, rgba_bytes},
    color,
    error::{Failure, printable},
    facts::Facts,
    file::open_media,
    guard::guarded,
};
use crate::model::media::Pixels;

/// Canvases that a decoder may hold besides the one it hands over.
const CANVASES: u64 = 4;

/// Hands over the frames from the first on, with their numbers from 0, until `take`
/// says that it has enough. Waits while other decoded pictures fill the memory.
///
/// # Errors
/// When the file is no animation, damaged before the first frame, too large, or
/// takes longer than its limit.
pub fn walk_frames(
    path: &Path,
    limits: &Limits,
    memory: &MemoryGate,
    take: &mut dyn FnMut(u32, Pixels) -> bool,
) -> Result<(), DecodeError> {
    let (file, probe) = open_media(path)?;
    let format = probe.format;
    let room = Room { limits, memory };
    let outcome = guarded(|| walk(BufReader::new(file), format, room, take));
    let broken = |reason| DecodeError::Broken {
        path: printable(path),
        format,
        reason,
    };
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Failure::Broken(reason))) | Err(reason) => Err(broken(reason)),
        Ok(Err(Failure::TooLarge(reason))) => Err(DecodeError::TooLarge {
            path: printable(path),
            reason,
            facts: Box::new(Facts::new(format, probe.bytes)),
        }),
    }
}

fn walk(
    file: impl BufRead + Seek,
    format: Format,
    room: Room,
    take: &mut dyn FnMut(u32, Pixels) -> bool,
) -> Result<(), Failure> {
    let until = Instant::now() + room.limits.deadline;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(room.limits.max_side);
    limits.max_image_height = Some(room.limits.max_side);
    limits.max_alloc = Some(room.limits.max_decoded_bytes);
    let begin = |decoder: &mut dyn Opened| {
        let (width, height) = decoder.size();
        let bytes = CANVASES * rgba_bytes(width, height);
        room.check(width, height, bytes)?;
        Ok::<_, Failure>((room.acquire(bytes), decoder.profile()))
    };
    let (_permit, icc, frames): (_, _, Frames) = match format {
        Format::Gif => {
            let mut decoder = GifDecoder::new(file)?;
            decoder.set_limits(limits)?;
            let (permit, icc) = begin(&mut decoder)?;
            (permit, icc, decoder.into_frames())
        }
        Format::AnimatedWebP => {
            let mut decoder = WebPDecoder::new(file)?;
            decoder.set_limits(limits)?;
            let (permit, icc) = begin(&mut decoder)?;
            (permit, icc, decoder.into_frames())
        }
        Format::Apng => {
            let mut decoder = PngDecoder::with_limits(file, limits)?;
            let (permit, icc) = begin(&mut decoder)?;
            (permit, icc, decoder.apng()?.into_frames())
        }
        other => return Err(Failure::broken(format_args!("{other} has one picture"))),
    };
    for (number, frame) in (0..).zip(frames) {
        let buffer = match frame {
            Ok(frame) => frame.into_buffer(),
            // What comes before the damage can be shown.
            Err(error) if number > 0 => {
                tracing::debug!("an animation ends at frame {number}: {error}");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (width, height) = buffer.dimensions();
        let mut rgba = buffer.into_raw();
        if let Some(icc) = &icc {
            color::to_srgb(&mut rgba, icc);
        }
        let pixels = Pixels {
            width,
            height,
            rgba,
        };
        if !take(number, pixels) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Failure::TooLarge(format!(
                "the frames before it take longer than {} s",
                room.limits.deadline.as_secs()
            )));
        }
    }
    Ok(())
}

/// What is asked of a decoder before its frames.
trait Opened {
    fn size(&self) -> (u32, u32);
    fn profile(&mut self) -> Option<Vec<u8>>;
}

impl<D: ImageDecoder> Opened for D {
    fn size(&self) -> (u32, u32) {
        self.dimensions()
    }

    fn profile(&mut self) -> Option<Vec<u8>> {
        self.icc_profile().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use image::{Delay, Frame, RgbaImage, codecs::gif::GifEncoder};

    use super::*;

    fn animation(folder: &Path, side: u32, frames: u8) -> PathBuf {
        let path = folder.join("a.gif");
        let mut encoder = GifEncoder::new(fs::File::create(&path).unwrap());
        for number in 0..frames {
            let picture = RgbaImage::from_pixel(side, side, image::Rgba([number * 40, 9, 9, 255]));
            let delay = Delay::from_numer_denom_ms(100, 1);
            let frame = Frame::from_parts(picture, 0, 0, delay);
            encoder.encode_frame(frame).unwrap();
        }
        path
    }

    fn reds(path: &Path, limits: &Limits, count: usize) -> Result<Vec<u8>, DecodeError> {
        let memory = MemoryGate::default();
        let mut reds = Vec::new();
        let walked = walk_frames(path, limits, &memory, &mut |number, pixels| {
            assert_eq!(usize::try_from(number).unwrap(), reds.len());
            assert!(memory.in_use() >= pixels.rgba.len() as u64);
            reds.push(pixels.rgba[0]);
            reds.len() < count
        });
        assert_eq!(memory.in_use(), 0);
        walked.map(|()| reds)
    }

    #[test]
    fn frames_come_in_order_until_there_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = animation(folder.path(), 16, 5);
        let limits = Limits::default();
        let all = reds(&path, &limits, 99).unwrap();
        assert_eq!(all.len(), 5);
        assert!(all.is_sorted() && all[4] > 150, "{all:?}");
        assert_eq!(reds(&path, &limits, 2).unwrap(), all[..2]);
    }

    #[test]
    fn what_would_take_too_much_is_refused_before_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = animation(folder.path(), 64, 2);
        let limits = Limits {
            max_decoded_bytes: 64 * 64 * 4,
            ..Limits::default()
        };
        let refused = reds(&path, &limits, 1);
        assert!(
            matches!(refused, Err(DecodeError::TooLarge { .. })),
            "{refused:?}"
        );
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(20).unwrap();
        assert!(reds(&path, &Limits::default(), 1).is_err());
    }
}
