//! Hashes of a file's bytes and of its pixels.
//!
//! All perceptual hashes are made from the same 64 x 64 gray picture, which comes
//! from the decoded one by way of at most 1024 and 256 pixels: the way costs a
//! fraction of a hash of all pixels and changes at most a bit. Transparent pixels
//! count as white. Bits are stored most significant first.

mod color;
mod digest;
mod haar;

use std::{
    io::{self, Read as _},
    path::Path,
    sync::OnceLock,
};

use fast_image_resize::{
    FilterType as Filter, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{GrayImage, imageops::FilterType};
use img_hash::{BitOrder, HashAlg, Hasher, HasherConfig};

use super::{
    decode::{MAX_FILE_BYTES, open_regular, resize},
    event::PictureSize,
    job::Cancel,
};
use crate::model::{hash::PerceptualHash, id::Md5, media::Pixels};

/// Bytes read at a time; [`md5_file`] can be stopped between two of them.
const BLOCK_BYTES: usize = 256 << 10;
/// The sides of the gray picture that all perceptual hashes are made from.
const GRAY_SIDE: u32 = 64;

/// The md5 and the size of a file, read once from start to end. Never waits on a
/// pipe and follows no link.
///
/// # Errors
/// What the system says; `Interrupted` when it was canceled; `FileTooLarge` beyond
/// [`MAX_FILE_BYTES`], also while it grows.
pub fn md5_file(path: &Path, cancel: &Cancel) -> io::Result<(Md5, u64)> {
    let (mut file, metadata) = open_regular(path)?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "larger than 2 GiB");
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let mut context = md5::Context::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0_u64;
    loop {
        if cancel.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "canceled"));
        }
        let length = match file.read(&mut block) {
            Ok(0) => return Ok((Md5(context.finalize().0), bytes)),
            Ok(length) => length,
            // A signal, not a cancellation.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += length as u64;
        if bytes > MAX_FILE_BYTES {
            return Err(too_large());
        }
        context.consume(&block[..length]);
    }
}

/// The hashes of one picture as a sidecar stores them, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelHashes {
    /// 8 x 8, low frequencies of a cosine transform against their median.
    pub phash: String,
    /// 16 x 16, each pixel against its right neighbor.
    pub dhash: String,
    /// 8 x 8, each pixel against the mean.
    pub ahash: String,
    /// 8 x 8, low band of a Haar transform against its median.
    pub whash: String,
    /// 16 classes of color with 4 levels each, see [`colorhash`](color::colorhash).
    pub colorhash: String,
    /// Of every pixel; see [`pixel_digest`](digest::pixel_digest).
    pub pixel: String,
}

/// The name and the parameters of each hash, as `library.json` records them.
pub const HASH_PARAMETERS: [(&str, &str); 6] = [
    ("phash", "8x8 DCT median"),
    ("dhash", "16x16 gradient"),
    ("ahash", "8x8 mean"),
    ("whash", "8x8 Haar median"),
    ("colorhash", "16x4 HSV thermometer"),
    ("pixel", "md5 of sides and row digests"),
];

/// All hashes of a decoded picture.
pub fn hash_pixels(pixels: &Pixels) -> PixelHashes {
    hash_with_preview(pixels, &resize(pixels, PictureSize::Preview.max_side()))
}

/// The same for a caller that has made the preview already: the resize of a large
/// picture costs more than all hashes together.
pub fn hash_with_preview(pixels: &Pixels, preview: &Pixels) -> PixelHashes {
    let thumbnail = resize(preview, PictureSize::Thumbnail.max_side());
    let gray = small_gray(&thumbnail);
    let hashers = Hashers::shared();
    let hash = |hasher: &Hasher| hasher.hash_image(&gray).into_inner();
    let hex = |bytes: Box<[u8]>| PerceptualHash::new(bytes).to_string();
    PixelHashes {
        phash: hex(hash(&hashers.phash)),
        dhash: hex(hash(&hashers.dhash)),
        ahash: hex(hash(&hashers.ahash)),
        whash: hex(haar::whash(gray.as_raw()).into()),
        colorhash: hex(color::colorhash(&thumbnail).into()),
        pixel: digest::pixel_digest(pixels).to_string(),
    }
}

struct Hashers {
    phash: Hasher,
    dhash: Hasher,
    ahash: Hasher,
}

impl Hashers {
    /// Planning a cosine transform costs more than doing one.
    fn shared() -> &'static Self {
        static HASHERS: OnceLock<Hashers> = OnceLock::new();
        HASHERS.get_or_init(|| {
            let config = |side| {
                HasherConfig::new()
                    .hash_size(side, side)
                    .resize_filter(FilterType::Triangle)
                    .bit_order(BitOrder::MsbFirst)
            };
            Self {
                phash: config(8)
                    .hash_alg(HashAlg::Median)
                    .preproc_dct()
                    .to_hasher(),
                dhash: config(16).hash_alg(HashAlg::Gradient).to_hasher(),
                ahash: config(8).hash_alg(HashAlg::Mean).to_hasher(),
            }
        })
    }
}

/// The picture on white, in gray, 64 x 64 whatever its proportions.
fn small_gray(pixels: &Pixels) -> GrayImage {
    let gray: Vec<u8> = pixels
        .rgba
        .chunks_exact(4)
        .map(|pixel| {
            let [r, g, b, alpha] = [pixel[0], pixel[1], pixel[2], pixel[3]].map(u32::from);
            // ITU-R BT.601, in 1/1000.
            let luma = (r * 299 + g * 587 + b * 114 + 500) / 1000;
            let on_white = (luma * alpha + 255 * (255 - alpha) + 127) / 255;
            u8::try_from(on_white).unwrap_or(255)
        })
        .collect();
    let mut small = Image::new(GRAY_SIDE, GRAY_SIDE, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(Filter::Bilinear));
    let resized = ImageRef::new(pixels.width, pixels.height, &gray, PixelType::U8)
        .is_ok_and(|source| Resizer::new().resize(&source, &mut small, &options).is_ok());
    if !resized {
        // Only when the buffer is not what the sides say.
        tracing::warn!(?pixels, "cannot reduce for hashing");
    }
    GrayImage::from_raw(GRAY_SIDE, GRAY_SIDE, small.into_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Waves and a disk: smooth, but with something to tell in every corner.
    fn picture(width: u32, height: u32) -> Pixels {
        let mut rgba = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (
                    f64::from(x) / f64::from(width),
                    f64::from(y) / f64::from(height),
                );
                let wave = (u * 7.0 + (v * 5.0).sin()).sin() * 0.5 + 0.5;
                let disk = if (u - 0.3).hypot(v - 0.6) < 0.2 {
                    0.9
                } else {
                    0.2
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 255"
                )]
                let byte = |value: f64| (value.clamp(0.0, 1.0) * 255.0) as u8;
                rgba.extend([byte(wave), byte(disk), byte(v), 255]);
            }
        }
        Pixels {
            width,
            height,
            rgba,
        }
    }

    fn distance(a: &str, b: &str) -> u32 {
        let hash = |text: &str| text.parse::<PerceptualHash>().unwrap();
        hash(a).distance(&hash(b)).unwrap()
    }

    #[test]
    fn the_hashes_are_fixed() {
        // Stored in libraries: a change here needs a migration.
        let hashes = hash_pixels(&picture(300, 200));
        for (hash, expected) in [
            (&hashes.phash, "e23d1bc0c437dc3c"),
            (
                &hashes.dhash,
                "e01fc03fc07f807f807f807fb07fe07fe03fe01ff01ff00ff807f807fc07fc03",
            ),
            (&hashes.ahash, "c0c1c1e1f1f07078"),
            (&hashes.whash, "e0c1c3f1f1f07878"),
            (&hashes.colorhash, "0000011100711173"),
        ] {
            assert_eq!(hash, expected);
        }
    }

    #[test]
    fn a_resized_picture_keeps_its_hashes() {
        let large = hash_pixels(&picture(1200, 800));
        let small = hash_pixels(&picture(150, 100));
        assert!(
            distance(&large.phash, &small.phash) <= 2,
            "{large:?} {small:?}"
        );
        assert!(distance(&large.ahash, &small.ahash) <= 2);
        assert!(distance(&large.whash, &small.whash) <= 2);
        assert!(distance(&large.dhash, &small.dhash) <= 12);
        assert!(distance(&large.colorhash, &small.colorhash) <= 1);
        assert_ne!(large.pixel, small.pixel);
    }

    #[test]
    fn a_given_preview_changes_nothing() {
        let pixels = picture(1500, 1000);
        let preview = resize(&pixels, 1024);
        assert_eq!(hash_with_preview(&pixels, &preview), hash_pixels(&pixels));
    }

    #[test]
    fn tiny_and_narrow_pictures_have_hashes() {
        for (width, height) in [(1, 1), (1, 3000), (3000, 1)] {
            assert_eq!(hash_pixels(&picture(width, height)).phash.len(), 16);
        }
    }

    #[test]
    fn md5_is_that_of_the_bytes() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'a'; BLOCK_BYTES + 1]).unwrap();
        let (md5, bytes) = md5_file(file.path(), &Cancel::default()).unwrap();
        assert_eq!(bytes, BLOCK_BYTES as u64 + 1);
        assert_eq!(md5.0, md5::compute(vec![b'a'; BLOCK_BYTES + 1]).0);
    }

    #[test]
    fn md5_can_be_stopped_and_refuses_what_is_no_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let error = md5_file(file.path(), &cancel).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        let folder = tempfile::tempdir().unwrap();
        assert!(md5_file(folder.path(), &Cancel::default()).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        assert!(md5_file(&link, &Cancel::default()).is_err());
        let sparse = std::fs::File::create(folder.path().join("sparse")).unwrap();
        sparse.set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = md5_file(&folder.path().join("sparse"), &Cancel::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
