//! Buffers for decoded pixels: room asked for before it is allocated, native
//! samples spread to RGBA in place, huge pictures reduced row by row.

use super::{
    error::Failure,
    limits::{Limits, MemoryGate, MemoryPermit},
};
use crate::model::media::Pixels;

/// Pictures with more RGBA bytes than this are reduced while they are read, so
/// that decoder, reduced picture and a turned copy fit together.
const MAX_WHOLE_BYTES: u64 = 128 << 20;

/// Pixels as a decoder gave them, not yet turned upright, with what the file says
/// about them. The permit covers the pixels.
pub struct Raw {
    pub pixels: Pixels,
    pub icc: Option<Vec<u8>>,
    pub exif: Option<Vec<u8>>,
    pub permit: MemoryPermit,
}

/// What a decoder may use.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    pub limits: &'a Limits,
    pub memory: &'a MemoryGate,
}

impl Room<'_> {
    /// Checks the sides and the bytes a decoder will hand over.
    pub fn check(&self, width: u32, height: u32, decoded_bytes: u64) -> Result<(), Failure> {
        if width == 0 || height == 0 {
            return Err(Failure::broken(format_args!(
                "its size is {width} x {height}"
            )));
        }
        if width.max(height) > self.limits.max_side {
            return Err(Failure::TooLarge(format!(
                "{width} x {height} pixels, a side may have {}",
                self.limits.max_side
            )));
        }
        if decoded_bytes > self.limits.max_decoded_bytes {
            return Err(Failure::TooLarge(format!(
                "{width} x {height} pixels are {} MiB, the limit is {}",
                decoded_bytes >> 20,
                self.limits.max_decoded_bytes >> 20
            )));
        }
        Ok(())
    }

    /// Waits until so many bytes may be used.
    pub fn acquire(&self, bytes: u64) -> MemoryPermit {
        self.memory.acquire(bytes)
    }
}

/// By how much both sides are divided while the picture is read; 1 for nearly all.
pub fn reduction(width: u32, height: u32) -> u32 {
    (1..256)
        .find(|factor| {
            rgba_bytes(width.div_ceil(*factor), height.div_ceil(*factor)) <= MAX_WHOLE_BYTES
        })
        .unwrap_or(256)
}

pub fn rgba_bytes(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * 4
}

/// Spreads samples of 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA) bytes a pixel
/// that fill the start of the buffer over all of it.
pub fn spread(buffer: &mut [u8], channels: usize) {
    let pixels = buffer.len() / 4;
    match channels {
        1 => {
            for i in (0..pixels).rev() {
                let gray = buffer[i];
                buffer[i * 4..i * 4 + 4].copy_from_slice(&[gray, gray, gray, 255]);
            }
        }
        2 => {
            for i in (0..pixels).rev() {
                let (gray, alpha) = (buffer[i * 2], buffer[i * 2 + 1]);
                buffer[i * 4..i * 4 + 4].copy_from_slice(&[gray, gray, gray, alpha]);
            }
        }
        3 => {
            for i in (0..pixels).rev() {
                let [r, g, b] = [buffer[i * 3], buffer[i * 3 + 1], buffer[i * 3 + 2]];
                buffer[i * 4..i * 4 + 4].copy_from_slice(&[r, g, b, 255]);
            }
        }
        _ => {}
    }
}

/// Averages blocks of `factor` x `factor` pixels of rows that come from the top.
pub struct Reducer {
    factor: u32,
    pixels: Pixels,
    /// Per output pixel: color times alpha, alpha, each summed.
    sums: Vec<[u32; 4]>,
    rows_in_sums: u32,
    next_row: u32,
    width: u32,
}

impl Reducer {
    /// For a picture of that size; the output has the sides divided, rounded up.
    pub fn new(width: u32, height: u32, factor: u32) -> Self {
        let (out_width, out_height) = (width.div_ceil(factor), height.div_ceil(factor));
        Self {
            factor,
            pixels: Pixels {
                width: out_width,
                height: out_height,
                rgba: vec![0; out_width as usize * out_height as usize * 4],
            },
            sums: vec![[0; 4]; out_width as usize],
            rows_in_sums: 0,
            next_row: 0,
            width,
        }
    }

    /// Takes the next row, with 1 to 4 bytes a pixel as in [`spread`].
    pub fn push(&mut self, row: &[u8], channels: usize) {
        let step = self.factor as usize * channels;
        let row = &row[..row.len().min(self.width as usize * channels)];
        for (sum, block) in self.sums.iter_mut().zip(row.chunks(step)) {
            match channels {
                1 => {
                    let gray: u32 = block.iter().map(|gray| u32::from(*gray)).sum();
                    let count = u32::try_from(block.len()).unwrap_or(0);
                    for (sum, more) in sum.iter_mut().zip([gray, gray, gray, count]) {
                        *sum += more * 255;
                    }
                }
                3 => {
                    let (mut r, mut g, mut b, mut count) = (0, 0, 0, 0);
                    for pixel in block.chunks_exact(3) {
                        r += u32::from(pixel[0]);
                        g += u32::from(pixel[1]);
                        b += u32::from(pixel[2]);
                        count += 1;
                    }
                    for (sum, more) in sum.iter_mut().zip([r, g, b, count]) {
                        *sum += more * 255;
                    }
                }
                _ => {
                    for pixel in block.chunks_exact(channels) {
                        let (r, g, b, alpha) = match *pixel {
                            [gray, alpha] => (gray, gray, gray, alpha),
                            [r, g, b, alpha] => (r, g, b, alpha),
                            _ => (0, 0, 0, 0),
                        };
                        let alpha = u32::from(alpha);
                        sum[0] += u32::from(r) * alpha;
                        sum[1] += u32::from(g) * alpha;
                        sum[2] += u32::from(b) * alpha;
                        sum[3] += alpha;
                    }
                }
            }
        }
        self.rows_in_sums += 1;
        if self.rows_in_sums == self.factor {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.rows_in_sums == 0 || self.next_row >= self.pixels.height {
            return;
        }
        let stride = self.pixels.width as usize * 4;
        let at = self.next_row as usize * stride;
        for (i, (sum, out)) in self
            .sums
            .iter_mut()
            .zip(self.pixels.rgba[at..at + stride].chunks_exact_mut(4))
            .enumerate()
        {
            let start = u32::try_from(i).unwrap_or(0) * self.factor;
            let count = self.factor.min(self.width - start) * self.rows_in_sums;
            let [r, g, b, alpha] = *sum;
            for (out, color) in out.iter_mut().zip([r, g, b]) {
                *out = byte((color + alpha / 2).checked_div(alpha).unwrap_or(0));
            }
            out[3] = byte((alpha + count / 2) / count);
            *sum = [0; 4];
        }
        self.rows_in_sums = 0;
        self.next_row += 1;
    }

    pub fn finish(mut self) -> Pixels {
        self.flush();
        self.pixels
    }
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_in_place() {
        for (channels, samples, expected) in [
            (1, &[1, 2][..], [1, 1, 1, 255, 2, 2, 2, 255]),
            (2, &[1, 9, 2, 8], [1, 1, 1, 9, 2, 2, 2, 8]),
            (3, &[1, 2, 3, 4, 5, 6], [1, 2, 3, 255, 4, 5, 6, 255]),
            (4, &[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]),
        ] {
            let mut buffer = [0; 8];
            buffer[..samples.len()].copy_from_slice(samples);
            spread(&mut buffer, channels);
            assert_eq!(buffer, expected, "{channels}");
        }
    }

    #[test]
    fn blocks_are_averaged_and_ragged_edges_too() {
        let mut reducer = Reducer::new(3, 3, 2);
        for row in [[0, 10, 20], [20, 30, 40], [100, 100, 7]] {
            reducer.push(&row, 1);
        }
        let pixels = reducer.finish();
        assert_eq!((pixels.width, pixels.height), (2, 2));
        let grays: Vec<u8> = pixels.rgba.chunks(4).map(|pixel| pixel[0]).collect();
        assert_eq!(grays, [15, 30, 100, 7]);
        assert!(pixels.rgba.chunks(4).all(|pixel| pixel[3] == 255));
    }

    #[test]
    fn transparent_pixels_do_not_color_their_block() {
        let mut reducer = Reducer::new(2, 1, 2);
        reducer.push(&[200, 100, 0, 255, 9, 9, 9, 0], 4);
        assert_eq!(reducer.finish().rgba, [200, 100, 0, 128]);
    }

    #[test]
    fn only_huge_pictures_are_reduced() {
        assert_eq!(reduction(7680, 4320), 1);
        assert_eq!(reduction(20_990, 29_700), 5);
        assert_eq!(reduction(65_535, 65_535), 12);
    }
}
