//! From a file to pixels and facts, whatever the file is.
//!
//! Files come from strangers. What one may cost is counted from its headers before
//! anything is allocated, decoders run behind a guard that catches their panics, and all pixels in
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
pub mod frames;
mod guard;
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
    path::Path,
    time::{Duration, Instant},
};

use self::{
    canvas::{Raw, Room},
    error::{Failure, printable},
    file::open_media,
    guard::guarded,
};
pub use self::{
    error::DecodeError,
    facts::{Facts, Place},
    file::{MAX_FILE_BYTES, Probe, open_regular, probe},
    format::Format,
    guard::quiet_decoders,
    limits::{Limits, MAX_DECODED_BYTES, MemoryGate, MemoryPermit},
    resize::{fit, resize},
};
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
    let outcome = guarded(|| read(&mut file, &mut facts, room))
        .unwrap_or_else(|reason| Err(Failure::Broken(reason)));
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

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, path::PathBuf};

    use image::{
        DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, RgbaImage,
        codecs::jpeg::JpegEncoder,
    };

    use super::*;

    fn decode_now(path: &Path) -> Result<Decoded, DecodeError> {
        decode(path, &Limits::default(), &MemoryGate::default())
    }

    fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    }

    /// Red, green, blue and white quarters.
    fn quarters(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |x, y| {
            image::Rgba(match (x < width / 2, y < height / 2) {
                (true, true) => [255, 0, 0, 255],
                (false, true) => [0, 255, 0, 255],
                (true, false) => [0, 0, 255, 255],
                (false, false) => [255, 255, 255, 255],
            })
        }))
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn jpeg(picture: &DynamicImage, exif: Option<Vec<u8>>, icc: Option<Vec<u8>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        if let Some(exif) = exif {
            encoder.set_exif_metadata(exif).unwrap();
        }
        if let Some(icc) = icc {
            encoder.set_icc_profile(icc).unwrap();
        }
        let rgb = picture.to_rgb8();
        encoder
            .write_image(
                &rgb,
                picture.width(),
                picture.height(),
                ExtendedColorType::Rgb8,
            )
            .unwrap();
        bytes
    }

    #[track_caller]
    fn assert_color(pixels: &Pixels, x: u32, y: u32, expected: [u8; 4]) {
        let at = (y as usize * pixels.width as usize + x as usize) * 4;
        let found = &pixels.rgba[at..at + 4];
        assert!(
            found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 12),
            "{x},{y}: {found:?} is not {expected:?}"
        );
    }

    #[test]
    fn every_format_gives_its_pixels_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let picture = quarters(40, 20);
        let rgb = DynamicImage::ImageRgb8(picture.to_rgb8());
        for (source, format, expected) in [
            (&rgb, ImageFormat::Jpeg, Format::Jpeg),
            (&picture, ImageFormat::Png, Format::Png),
            (&picture, ImageFormat::Gif, Format::Gif),
            (&picture, ImageFormat::WebP, Format::WebP),
            (&rgb, ImageFormat::Bmp, Format::Bmp),
            (&picture, ImageFormat::Qoi, Format::Qoi),
            (&rgb, ImageFormat::Pnm, Format::Pnm),
            (&picture, ImageFormat::Ico, Format::Ico),
            (&picture, ImageFormat::Tiff, Format::Tiff),
            (&rgb, ImageFormat::Tga, Format::Tga),
        ] {
            let name = if expected == Format::Tga {
                "a.tga"
            } else {
                "a.txt"
            };
            let path = file(&folder, name, &encoded(source, format));
            let decoded = decode_now(&path).unwrap();
            assert_eq!(decoded.facts.format, expected);
            assert_eq!((decoded.facts.width, decoded.facts.height), (40, 20));
            assert!(!decoded.facts.alpha && !decoded.facts.damaged);
            assert_color(&decoded.pixels, 5, 5, [255, 0, 0, 255]);
            assert_color(&decoded.pixels, 35, 5, [0, 255, 0, 255]);
            assert_color(&decoded.pixels, 5, 15, [0, 0, 255, 255]);
        }
    }

    #[test]
    fn samples_of_all_depths_become_eight_bits() {
        let folder = tempfile::tempdir().unwrap();
        let picture = quarters(8, 8);
        for (converted, alpha) in [
            (DynamicImage::ImageLuma8(picture.to_luma8()), false),
            (DynamicImage::ImageLumaA16(picture.to_luma_alpha16()), false),
            (DynamicImage::ImageRgb16(picture.to_rgb16()), false),
            (DynamicImage::ImageRgba16(picture.to_rgba16()), false),
        ] {
            for format in [ImageFormat::Png, ImageFormat::Tiff] {
                if format == ImageFormat::Tiff && converted.color().channel_count() == 2 {
                    continue;
                }
                let path = file(&folder, "a", &encoded(&converted, format));
                let decoded = decode_now(&path).unwrap();
                assert_eq!(decoded.facts.alpha, alpha);
                assert_color(&decoded.pixels, 7, 7, [255, 255, 255, 255]);
                assert_eq!(decoded.pixels.rgba.len(), 8 * 8 * 4);
            }
        }
    }

    #[test]
    fn alpha_means_a_pixel_that_is_not_opaque() {
        let folder = tempfile::tempdir().unwrap();
        let mut picture = quarters(4, 4).into_rgba8();
        picture.put_pixel(1, 1, image::Rgba([9, 9, 9, 254]));
        let path = file(&folder, "a", &encoded(&picture.into(), ImageFormat::Png));
        assert!(decode_now(&path).unwrap().facts.alpha);
    }

    #[test]
    fn a_turned_jpeg_comes_out_upright() {
        let folder = tempfile::tempdir().unwrap();
        // A big-endian directory with one entry: orientation 6.
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let path = file(&folder, "a", &jpeg(&quarters(64, 32), Some(exif), None));
        let decoded = decode_now(&path).unwrap();
        assert_eq!(decoded.facts.orientation, 6);
        assert_eq!((decoded.facts.width, decoded.facts.height), (32, 64));
        assert_eq!((decoded.pixels.width, decoded.pixels.height), (32, 64));
        assert_color(&decoded.pixels, 4, 4, [0, 0, 255, 255]);
        assert_color(&decoded.pixels, 28, 4, [255, 0, 0, 255]);
    }

    #[test]
    fn a_profile_is_applied() {
        let folder = tempfile::tempdir().unwrap();
        let icc = moxcms::ColorProfile::new_display_p3().encode().unwrap();
        let gray = DynamicImage::ImageRgba8(RgbaImage::from_pixel(
            16,
            16,
            image::Rgba([200, 100, 100, 255]),
        ));
        let path = file(&folder, "a", &jpeg(&gray, None, Some(icc)));
        let decoded = decode_now(&path).unwrap();
        assert!(decoded.profile_applied);
        assert!(
            decoded.pixels.rgba[0] > 205,
            "{:?}",
            &decoded.pixels.rgba[..4]
        );
    }

    #[test]
    fn a_cut_jpeg_shows_what_is_left_and_a_cut_png_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = jpeg(&quarters(400, 400), None, None);
        let path = file(&folder, "a", &bytes[..bytes.len() * 3 / 4]);
        let decoded = decode_now(&path).unwrap();
        assert!(decoded.facts.damaged);
        assert_color(&decoded.pixels, 10, 10, [255, 0, 0, 255]);
        let bytes = encoded(&quarters(400, 400), ImageFormat::Png);
        let path = file(&folder, "b\x1b[2J.png", &bytes[..bytes.len() / 2]);
        let error = decode_now(&path).unwrap_err();
        assert!(matches!(error, DecodeError::Broken { .. }), "{error}");
        assert!(error.to_string().contains("b\u{fffd}[2J.png"));
    }

    #[test]
    fn bombs_are_refused_from_their_headers() {
        let folder = tempfile::tempdir().unwrap();
        let gate = MemoryGate::default();
        let mut gif = b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec();
        gif.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;");
        let jpeg =
            b"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\
            \xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0";
        for (bytes, sides) in [
            (&gif[..], (65_535, 65_535)),
            (&jpeg[..], (65_500, 65_500)),
            (b"P6\n60000 60000 255\n", (60_000, 60_000)),
            (b"qoif\0\0\x4e\x20\0\0\x4e\x20\x04\0", (20_000, 20_000)),
        ] {
            let path = file(&folder, "a", bytes);
            let error = decode(&path, &Limits::default(), &gate).unwrap_err();
            let facts = error.facts().unwrap_or_else(|| panic!("{error}"));
            assert_eq!((facts.width, facts.height), sides);
        }
        assert_eq!(gate.in_use(), 0);
    }

    #[test]
    fn a_huge_png_is_reduced_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (width, height) = (9_000, 9_001);
        let path = folder.path().join("a.png");
        let mut encoder = ::png::Encoder::new(fs::File::create(&path).unwrap(), width, height);
        encoder.set_depth(::png::BitDepth::One);
        let mut writer = encoder.write_header().unwrap();
        let mut stream = writer.stream_writer().unwrap();
        for y in 0..height {
            let row = [if y < height / 2 { 0xff } else { 0 }; 9_000 / 8];
            stream.write_all(&row).unwrap();
        }
        stream.finish().unwrap();
        writer.finish().unwrap();
        let gate = MemoryGate::default();
        let patient = Limits {
            deadline: Duration::from_mins(10),
            ..Limits::default()
        };
        let decoded = decode(&path, &patient, &gate).unwrap();
        assert_eq!((decoded.facts.width, decoded.facts.height), (width, height));
        assert_eq!(
            (decoded.pixels.width, decoded.pixels.height),
            (4_500, 4_501)
        );
        assert_color(&decoded.pixels, 4_000, 10, [255, 255, 255, 255]);
        assert_color(&decoded.pixels, 4_499, 4_500, [0, 0, 0, 255]);
        assert_eq!(gate.in_use(), 4_500 * 4_501 * 4);
        drop(decoded);
        let hasty = Limits {
            deadline: Duration::ZERO,
            ..Limits::default()
        };
        let error = decode(&path, &hasty, &gate).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let text = file(&folder, "a.png", b"just text");
        let empty = file(&folder, "b.png", b"");
        for path in [&text, &empty] {
            let error = decode_now(path).unwrap_err();
            assert!(matches!(error, DecodeError::NotMedia { .. }), "{error}");
        }
        let link = folder.path().join("link.png");
        std::os::unix::fs::symlink(&text, &link).unwrap();
        let pipe = folder.path().join("pipe.png");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        for path in [&link, &pipe, &folder.path().to_owned(), &"/dev/zero".into()] {
            let error = decode_now(path).unwrap_err();
            assert!(matches!(error, DecodeError::Io { .. }), "{error}");
        }
        let svg = file(&folder, "c", b"<svg width='30' height='20'></svg>");
        let error = decode_now(&svg).unwrap_err();
        assert!(matches!(error, DecodeError::Unsupported { .. }), "{error}");
        assert_eq!(error.facts().unwrap().width, 30);
    }
}
