//! The commands of the kitty graphics protocol and the numbers of its pictures.
//! How a picture stands on the screen is the business of
//! [`placeholder`](super::placeholder) and [`direct`](super::direct).
//!
//! Every command asks for silence (`q=2`): an answer would come in among the keys.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::RgbaImage;
use ratatui::layout::Size;

use super::{encode::Quality, palette::Indexed};
use crate::tui::probe::{Graphics, through_tmux};

/// The most text of a picture in one command. tmux drops a sequence of about a
/// megabyte, and text can only overtake a picture between two commands.
const CHUNK: usize = 4096;

/// Ids are `high << 24 | low` with `low` an entry of the 256-color table: a
/// placeholder carries it as its color, and 24-bit colors, the usual carrier, are
/// changed on the way by tmux where the outer terminal is not known to have them.
const LOWS: u32 = 240;
const IDS: u32 = LOWS * 256;
/// Where no text carries it a number is told in every command, and short.
const SHORT: u32 = 10_000;

/// How a picture is known to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It stands wherever placeholders name it.
    Virtual(Size),
    /// It stands nowhere until it is placed.
    Later,
}

/// Numbers for pictures that no other program is likely to use. Each is given
/// again only after all others.
#[derive(Debug)]
pub struct Ids {
    next: u32,
    taken: HashSet<u32>,
}

impl Ids {
    /// Begins somewhere else in every process.
    pub fn new(seed: u32) -> Self {
        Self {
            next: seed.wrapping_mul(977) % IDS,
            taken: HashSet::new(),
        }
    }

    /// A number that is free; `None` when all are taken.
    pub fn take(&mut self, graphics: Graphics) -> Option<u32> {
        for _ in 0..IDS {
            self.next = (self.next + 1) % IDS;
            let id = match graphics {
                Graphics::KittyDirect => SHORT + self.next,
                _ => (self.next / LOWS) << 24 | (16 + self.next % LOWS),
            };
            if self.taken.insert(id) {
                return Some(id);
            }
        }
        None
    }

    pub fn give_back(&mut self, id: u32) {
        self.taken.remove(&id);
    }
}

/// The bytes of a picture: PNG, smaller than anything else this protocol takes.
pub fn payload(picture: &RgbaImage, quality: Quality) -> Option<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels = if let Some(colors) = quality.colors() {
        let indexed = Indexed::new(picture, colors)?;
        let mut palette: Vec<u8> = indexed.palette.concat();
        if let Some(clear) = indexed.clear {
            let mut opacity = vec![255; usize::from(clear)];
            opacity.push(0);
            palette.extend([0; 3]);
            encoder.set_trns(opacity);
        }
        encoder.set_palette(palette);
        encoder.set_color(png::ColorType::Indexed);
        // Filters mix up what a palette keeps apart.
        encoder.set_filter(png::Filter::NoFilter);
        encoder.set_compression(png::Compression::Balanced);
        indexed.indices
    } else {
        // Faster than zlib's fastest and smaller.
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        if picture.pixels().all(|pixel| pixel.0[3] == 255) {
            encoder.set_color(png::ColorType::Rgb);
            let (pixels, _) = picture.as_raw().as_chunks::<4>();
            let rgb = pixels.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]);
            rgb.collect()
        } else {
            encoder.set_color(png::ColorType::Rgba);
            picture.as_raw().clone()
        }
    };
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

/// The commands that make the terminal know a picture. Text may be written between
/// two of them, another graphics command may not.
pub fn transmit(id: u32, png: &[u8], placed: Placed, tmux_depth: u8) -> Vec<Vec<u8>> {
    let text = STANDARD.encode(png);
    let mut chunks = text.as_bytes().chunks(CHUNK).peekable();
    let mut first = true;
    let mut commands = Vec::new();
    while let Some(chunk) = chunks.next() {
        let more = u8::from(chunks.peek().is_some());
        let head = match (std::mem::take(&mut first), placed) {
            (false, _) => format!("q=2,m={more}"),
            (true, Placed::Later) => format!("a=t,f=100,i={id},q=2,m={more}"),
            (true, Placed::Virtual(cells)) => format!(
                "a=T,U=1,f=100,i={id},c={},r={},q=2,m={more}",
                cells.width, cells.height
            ),
        };
        let mut command = format!("\x1b_G{head};").into_bytes();
        command.extend_from_slice(chunk);
        command.extend_from_slice(b"\x1b\\");
        commands.push(through_tmux(command, tmux_depth));
    }
    commands
}

/// The command that makes the terminal forget one picture and wherever it stands.
/// It also ends a transmission that was given up in the middle.
pub fn delete(id: u32, tmux_depth: u8) -> Vec<u8> {
    through_tmux(
        format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\").into_bytes(),
        tmux_depth,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            let noise = (x * 7919 + y * 104_729) % 23;
            let side = |at: u32| u8::try_from((at + noise).min(255)).unwrap_or(255);
            image::Rgba([side(x), side(y), side(x / 2 + y / 2), 255])
        })
    }

    #[test]
    fn ids_are_indexed_colors_and_come_back_last() {
        let mut ids = Ids::new(7);
        let first = ids.take(Graphics::Kitty).unwrap();
        let mut seen = HashSet::from([first]);
        for _ in 1..IDS {
            let id = ids.take(Graphics::Kitty).unwrap();
            assert!((16..256).contains(&(id & 0xff_ffff)), "{id:x}");
            assert!(seen.insert(id));
        }
        assert_eq!(ids.take(Graphics::Kitty), None);
        ids.give_back(first);
        assert_eq!(ids.take(Graphics::Kitty), Some(first));
        let short = ids.take(Graphics::KittyDirect).unwrap();
        assert!((SHORT..100_000).contains(&short) && !seen.contains(&short));
    }

    #[test]
    fn every_quality_is_a_png_and_fewer_colors_are_fewer_bytes() {
        let picture = photo(160, 120);
        let sizes: Vec<usize> = [Quality::Preview, Quality::Balanced, Quality::Lossless]
            .into_iter()
            .map(|quality| {
                let bytes = payload(&picture, quality).unwrap();
                let decoded = image::load_from_memory(&bytes).unwrap().into_rgba8();
                assert_eq!(decoded.dimensions(), (160, 120));
                if quality == Quality::Lossless {
                    assert_eq!(decoded, picture);
                }
                bytes.len()
            })
            .collect();
        assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2], "{sizes:?}");
    }

    #[test]
    fn holes_survive_the_palette() {
        let mut picture = photo(16, 16);
        picture.put_pixel(3, 4, image::Rgba([0; 4]));
        let bytes = payload(&picture, Quality::Balanced).unwrap();
        let decoded = image::load_from_memory(&bytes).unwrap().into_rgba8();
        assert_eq!(decoded.get_pixel(3, 4).0[3], 0);
        assert_eq!(decoded.get_pixel(4, 4).0[3], 255);
    }

    /// tmux drops long sequences, and text must find gaps.
    #[test]
    fn a_picture_is_many_short_silent_commands() {
        let png = vec![0x5a; 20_000];
        let placed = Placed::Virtual(Size::new(16, 8));
        for tmux_depth in [0, 1] {
            let commands = transmit(0x0100_0010, &png, placed, tmux_depth);
            assert_eq!(commands.len(), 7);
            for (at, command) in commands.iter().enumerate() {
                assert!(command.len() <= CHUNK + 100);
                let text = String::from_utf8(command.clone()).unwrap();
                assert!(text.contains("q=2"));
                assert_eq!(text.contains("m=1"), at < 6);
                assert_eq!(text.contains("a=T,U=1,f=100,i=16777232,c=16,r=8"), at == 0);
                assert_eq!(text.starts_with("\x1bPtmux;\x1b\x1b_G"), tmux_depth == 1);
                assert_eq!(text.ends_with("\x1b\x1b\\\x1b\\"), tmux_depth == 1);
            }
        }
        assert_eq!(delete(5, 0), b"\x1b_Ga=d,d=I,i=5,q=2\x1b\\");
    }
}
