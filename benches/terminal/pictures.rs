//! Pictures that compress about as badly as photographs: smooth light, several
//! scales of structure, and the noise of a sensor.

use std::{fs, path::Path};

/// Fills a folder with so many.
pub fn make(folder: &Path, count: u32) {
    fs::create_dir_all(folder).expect("a folder for pictures");
    let given = std::env::var_os("TAGLOUPE_BENCH_PICTURES").unwrap_or_default();
    let mut given: Vec<_> = fs::read_dir(given)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    given.sort();
    for number in 0..count {
        match given.get(number as usize) {
            Some(path) => {
                let name = path.file_name().expect("a file has a name");
                fs::copy(path, folder.join(name)).expect("a picture can be copied");
            }
            None => photo(number)
                .save(folder.join(format!("{number:03}.jpg")))
                .expect("a JPEG"),
        }
    }
}

fn photo(seed: u32) -> image::RgbImage {
    let (width, height) = if seed.is_multiple_of(4) {
        (600, 800)
    } else {
        (800, 600)
    };
    image::RgbImage::from_fn(width, height, |x, y| {
        let light = 90 + (x * 60 / width) + (y * 40 / height);
        let color = |channel: u32| {
            let mut sum = light * 8;
            for (scale, weight) in [(180, 4), (60, 3), (20, 2), (7, 1)] {
                sum += smooth(x, y, scale, seed * 31 + channel * 7) * weight / 2;
            }
            let noise = hash(x, y, seed * 97 + channel) % 12;
            u8::try_from((sum / 12 + noise).min(255)).unwrap_or(255)
        };
        image::Rgb([color(0), color(1), color(2)])
    })
}

/// Noise between 0 and 255 that changes over `scale` pixels.
fn smooth(x: u32, y: u32, scale: u32, seed: u32) -> u32 {
    let at = |x: u32, y: u32| hash(x, y, seed) % 256;
    let (left, top) = (x / scale, y / scale);
    let (right, down) = (x % scale, y % scale);
    let mix = |a: u32, b: u32, share: u32| (a * (scale - share) + b * share) / scale;
    mix(
        mix(at(left, top), at(left + 1, top), right),
        mix(at(left, top + 1), at(left + 1, top + 1), right),
        down,
    )
}

fn hash(x: u32, y: u32, seed: u32) -> u32 {
    let mut bits = x
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add(y.wrapping_mul(0x85eb_ca77))
        .wrapping_add(seed.wrapping_mul(0xc2b2_ae3d));
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^= bits >> 12;
    bits = bits.wrapping_mul(0x297a_2d39);
    bits ^ (bits >> 15)
}
