//! Walks through the blocks of containers without decoding them: how many frames,
//! how long, whether a JPEG reaches its end.
//!
//! Invariant: every loop moves forward in the file and stops at the deadline, so
//! no arrangement of lengths keeps a worker busy.

use std::{
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    time::Instant,
};

/// Frames beyond this are not counted.
const MAX_FRAMES: u32 = 1_000_000;
/// Programs show a frame of at most this many milliseconds for [`SLOW_MS`].
const FAST_MS: u64 = 10;
const SLOW_MS: u64 = 100;

/// The frames of an animation and the time one pass takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Animation {
    pub frames: u32,
    pub duration_ms: u64,
}

impl Animation {
    fn add(&mut self, delay_ms: u64) {
        self.frames += 1;
        self.duration_ms += if delay_ms <= FAST_MS {
            SLOW_MS
        } else {
            delay_ms
        };
    }

    fn may_go_on(&self, until: Instant) -> bool {
        self.frames < MAX_FRAMES && (!self.frames.is_multiple_of(64) || Instant::now() < until)
    }
}

/// Counts the frames of a GIF that stands at its start; what was counted before
/// the file ends or errs.
pub fn walk_gif(reader: &mut (impl BufRead + Seek), until: Instant) -> Animation {
    let mut animation = Animation::default();
    // A file that ends early has the frames it has.
    let _ends_early = gif_blocks(reader, &mut animation, until);
    animation
}

fn gif_blocks(
    reader: &mut (impl BufRead + Seek),
    animation: &mut Animation,
    until: Instant,
) -> io::Result<()> {
    let screen: [u8; 13] = read_array(reader)?;
    skip_color_table(reader, screen[10])?;
    let mut delay_ms = 0;
    while animation.may_go_on(until) {
        match read_array::<1>(reader)?[0] {
            0x2c => {
                let image: [u8; 9] = read_array(reader)?;
                skip_color_table(reader, image[8])?;
                let [_code_size] = read_array(reader)?;
                skip_sub_blocks(reader)?;
                animation.add(delay_ms);
                delay_ms = 0;
            }
            0x21 => {
                if read_array::<1>(reader)?[0] == 0xf9 {
                    let control: [u8; 5] = read_array(reader)?;
                    delay_ms = u64::from(u16::from_le_bytes([control[2], control[3]])) * 10;
                    // The length byte is always 4; anything else is skipped below.
                    if control[0] > 4 {
                        skip(reader, u64::from(control[0] - 4))?;
                    }
                }
                skip_sub_blocks(reader)?;
            }
            _ => break,
        }
    }
    Ok(())
}

fn skip_color_table(reader: &mut (impl BufRead + Seek), flags: u8) -> io::Result<()> {
    if flags & 0x80 != 0 {
        skip(reader, 3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

fn skip_sub_blocks(reader: &mut (impl BufRead + Seek)) -> io::Result<()> {
    loop {
        match read_array::<1>(reader)?[0] {
            0 => return Ok(()),
            length => skip(reader, u64::from(length))?,
        }
    }
}

/// Moves on through the buffer; seeks only over what is not in it.
fn skip(reader: &mut (impl BufRead + Seek), mut bytes: u64) -> io::Result<()> {
    let buffered = reader.fill_buf()?.len();
    if buffered == 0 && bytes > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let near = usize::try_from(bytes).unwrap_or(usize::MAX).min(buffered);
    reader.consume(near);
    bytes -= near as u64;
    if bytes > 0 {
        let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        reader.seek(SeekFrom::Current(bytes))?;
    }
    Ok(())
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether an animation control chunk stands before the pixels of a PNG. Moves
/// the reader.
pub fn png_is_animated(reader: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut reader = BufReader::new(reader);
    reader.seek(SeekFrom::Start(8))?;
    // A file with more chunks before its pixels than this is no picture anyone made.
    for _ in 0..4_096 {
        let header: [u8; 8] = read_array(&mut reader)?;
        match &header[4..] {
            b"acTL" => return Ok(true),
            b"IDAT" | b"IEND" => return Ok(false),
            _ => skip(&mut reader, chunk_length(header) + 4)?,
        }
    }
    Ok(false)
}

fn chunk_length(header: [u8; 8]) -> u64 {
    u64::from(u32::from_be_bytes([
        header[0], header[1], header[2], header[3],
    ]))
}

/// Counts the frames of an animated PNG that stands at its start.
pub fn walk_apng(reader: &mut (impl BufRead + Seek), until: Instant) -> Animation {
    let mut animation = Animation::default();
    // A file that ends early has the frames it has.
    let _ends_early = apng_chunks(reader, &mut animation, until);
    animation
}

fn apng_chunks(
    reader: &mut (impl BufRead + Seek),
    animation: &mut Animation,
    until: Instant,
) -> io::Result<()> {
    skip(reader, 8)?;
    let mut chunks = 0_u32;
    while animation.may_go_on(until) {
        chunks += 1;
        if chunks.is_multiple_of(1_024) && Instant::now() >= until {
            break;
        }
        let header: [u8; 8] = read_array(reader)?;
        let length = chunk_length(header);
        match &header[4..] {
            b"fcTL" if length == 26 => {
                let control: [u8; 26] = read_array(reader)?;
                let numerator = u64::from(u16::from_be_bytes([control[20], control[21]]));
                let denominator = match u16::from_be_bytes([control[22], control[23]]) {
                    0 => 100,
                    some => u64::from(some),
                };
                animation.add(numerator * 1_000 / denominator);
                skip(reader, 4)?;
            }
            b"IEND" => break,
            _ => skip(reader, length + 4)?,
        }
    }
    Ok(())
}

/// Counts the frames of an animated WebP that stands at its start.
pub fn walk_webp(reader: &mut (impl BufRead + Seek), until: Instant) -> Animation {
    let mut animation = Animation::default();
    // A file that ends early has the frames it has.
    let _ends_early = webp_chunks(reader, &mut animation, until);
    animation
}

fn webp_chunks(
    reader: &mut (impl BufRead + Seek),
    animation: &mut Animation,
    until: Instant,
) -> io::Result<()> {
    skip(reader, 12)?;
    let mut chunks = 0_u32;
    while animation.may_go_on(until) {
        chunks += 1;
        if chunks.is_multiple_of(1_024) && Instant::now() >= until {
            break;
        }
        let header: [u8; 8] = read_array(reader)?;
        let length = u64::from(u32::from_le_bytes([
            header[4], header[5], header[6], header[7],
        ]));
        let mut rest = length + length % 2;
        if header.starts_with(b"ANMF") && length >= 16 {
            let frame: [u8; 16] = read_array(reader)?;
            animation.add(u64::from(u32::from_le_bytes([
                frame[12], frame[13], frame[14], 0,
            ])));
            rest -= 16;
        }
        if rest > 0 {
            skip(reader, rest)?;
        }
    }
    Ok(())
}

/// What the headers of a JPEG say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegHeader {
    pub width: u32,
    pub height: u32,
    pub components: u32,
    pub progressive: bool,
    /// Samples of all components together for every 64 luma blocks' worth of
    /// pixels, as `samples * pixels / full`; see [`JpegHeader::coefficients`].
    samples: u64,
    full: u64,
    /// Whether an end mark follows the first scan.
    pub complete: bool,
}

impl JpegHeader {
    /// How many coefficients all components have together.
    pub fn coefficients(&self) -> u64 {
        let pad = |side: u32| u64::from(side).next_multiple_of(32);
        pad(self.width) * pad(self.height) * self.samples / self.full.max(1)
    }
}

/// Reads the frame header of a JPEG; `None` when there is none.
pub fn jpeg_header(data: &[u8]) -> Option<JpegHeader> {
    let mut header = None;
    let mut at = 2;
    loop {
        // Markers may be preceded by any number of fill bytes, and by junk.
        at += data.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        at += data[at..].iter().position(|byte| *byte != 0xff)?;
        let marker = data[at];
        at += 1;
        match marker {
            0 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return header,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
        let segment = data.get(at + 2..at.saturating_add(length.max(2)));
        match (marker, segment) {
            (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, Some(segment))
                if header.is_none() =>
            {
                header = frame_header(marker, segment);
            }
            (0xda, _) => {
                if let Some(header) = &mut header {
                    header.complete = data[at..].windows(2).rev().any(|two| two == [0xff, 0xd9]);
                }
                return header;
            }
            _ => {}
        }
        at += length.max(2);
    }
}

fn frame_header(marker: u8, segment: &[u8]) -> Option<JpegHeader> {
    let [_, h1, h0, w1, w0, components, tables @ ..] = segment else {
        return None;
    };
    let factors = tables
        .chunks_exact(3)
        .take(usize::from(*components))
        .map(|table| (u64::from(table[1] >> 4), u64::from(table[1] & 15)));
    let across = factors.clone().map(|(h, _)| h).max().unwrap_or(1);
    let down = factors.clone().map(|(_, v)| v).max().unwrap_or(1);
    Some(JpegHeader {
        width: u32::from(u16::from_be_bytes([*w1, *w0])),
        height: u32::from(u16::from_be_bytes([*h1, *h0])),
        components: u32::from(*components),
        progressive: matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce),
        samples: factors.map(|(h, v)| h * v).sum(),
        full: across * down,
        complete: false,
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn gif(delays: &[u16]) -> Vec<u8> {
        let mut bytes = b"GIF89a\x04\0\x04\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        bytes.extend(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0");
        for delay in delays {
            bytes.extend(b"\x21\xf9\x04\0");
            bytes.extend(delay.to_le_bytes());
            bytes.extend(b"\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
        }
        bytes.push(0x3b);
        bytes
    }

    #[test]
    fn gif_frames_are_counted_without_decoding() {
        let bytes = gif(&[5, 20, 0]);
        assert_eq!(
            walk_gif(&mut Cursor::new(&bytes), soon()),
            Animation {
                frames: 3,
                duration_ms: 50 + 200 + SLOW_MS
            }
        );
        let cut = &bytes[..bytes.len() - 30];
        assert_eq!(walk_gif(&mut Cursor::new(cut), soon()).frames, 1);
        assert_eq!(walk_gif(&mut Cursor::new(b""), soon()).frames, 0);
    }

    #[test]
    fn apng_and_webp_frames_are_counted() {
        let chunk = |name: &[u8; 4], data: &[u8]| {
            let mut bytes = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(name);
            bytes.extend(data);
            bytes.extend([0; 4]);
            bytes
        };
        let mut control = [0; 26];
        control[21] = 1;
        control[23] = 4;
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        png.extend(chunk(b"acTL", &[0; 8]));
        png.extend(chunk(b"fcTL", &control));
        png.extend(chunk(b"IDAT", &[0; 9]));
        png.extend(chunk(b"fcTL", &control));
        png.extend(chunk(b"IEND", &[]));
        let expected = Animation {
            frames: 2,
            duration_ms: 500,
        };
        assert_eq!(walk_apng(&mut Cursor::new(&png), soon()), expected);
        assert!(png_is_animated(&mut Cursor::new(&png)).unwrap());

        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0".to_vec();
        for _ in 0..2 {
            webp.extend(b"ANMF\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xfa\0\0\0z\0");
        }
        assert_eq!(walk_webp(&mut Cursor::new(&webp), soon()), expected);
    }

    #[test]
    fn jpeg_headers_are_found_behind_junk() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\0junk\xff\xff\xc2\0\x11\x08\0\x10\0\x20\x03\
            \x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda\0\x02scan\xff\xd9";
        let header = jpeg_header(jpeg).unwrap();
        assert_eq!((header.width, header.height), (32, 16));
        assert!(header.progressive && header.complete);
        assert_eq!(header.coefficients(), 32 * 32 * 3 / 2);
        assert!(!jpeg_header(&jpeg[..jpeg.len() - 1]).unwrap().complete);
        assert_eq!(jpeg_header(b"\xff\xd8"), None);
        assert_eq!(jpeg_header(b"\xff\xd8\xff\xc0\xff\xff"), None);
    }
}
