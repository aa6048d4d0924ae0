//! What the headers of formats that are not decoded here tell cheaply: sides, and
//! the duration of videos. Whatever is damaged or missing stays unknown.

use std::io::{Read, Seek, SeekFrom};

use super::{facts::Facts, format::Format};

/// Bytes read of a header at most.
const MAX_HEADER: u64 = 1 << 20;

/// Fills in what can be read.
pub fn read(file: &mut (impl Read + Seek), facts: &mut Facts) {
    let sides = match facts.format {
        Format::Mp4 | Format::Mov => movie(file, facts),
        _ => start(file).and_then(|head| match facts.format {
            Format::Avif | Format::Heic => item_sides(&head),
            Format::Jxl => jxl_sides(&head),
            Format::Jp2 => {
                after(&head, b"ihdr").and_then(|at| Some((be32(&head, at + 4)?, be32(&head, at)?)))
            }
            Format::Psd => Some((be32(&head, 18).unwrap_or(0), be32(&head, 14).unwrap_or(0))),
            Format::Svg => svg_sides(&head),
            Format::WebM | Format::Mkv => matroska(&head, facts),
            Format::Avi => avi(&head, facts),
            _ => None,
        }),
    };
    if let Some((width, height)) = sides.filter(|(width, height)| *width > 0 && *height > 0) {
        (facts.width, facts.height) = (width, height);
    }
}

fn start(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut head = Vec::new();
    file.take(MAX_HEADER).read_to_end(&mut head).ok()?;
    Some(head)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

/// Where the content after a mark begins.
fn after(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes
        .windows(mark.len())
        .position(|window| window == mark)
        .map(|at| at + mark.len())
}

/// The largest image of an AVIF or HEIC file: tiles and thumbnails are smaller.
fn item_sides(head: &[u8]) -> Option<(u32, u32)> {
    head.windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"ispe")
        .filter_map(|(at, _)| Some((be32(head, at + 8)?, be32(head, at + 12)?)))
        .max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// Bits of a JPEG XL codestream, lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for i in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Some(value)
    }

    /// A side: in steps of 8, or with one of four lengths.
    fn side(&mut self, small: bool) -> Option<u32> {
        if small {
            return Some((self.take(5)? + 1) * 8);
        }
        let length = [9, 13, 18, 30][self.take(2)? as usize];
        Some(self.take(length)? + 1)
    }
}

fn jxl_sides(head: &[u8]) -> Option<(u32, u32)> {
    let at = if head.starts_with(&[0xff, 0x0a]) {
        0
    } else {
        let code = after(head, b"jxlc").or_else(|| after(head, b"jxlp").map(|at| at + 4))?;
        head.get(code..)?
            .starts_with(&[0xff, 0x0a])
            .then_some(code)?
    };
    let mut bits = Bits {
        bytes: head.get(at + 2..)?,
        at: 0,
    };
    let small = bits.take(1)? == 1;
    let height = bits.side(small)?;
    let width = match bits.take(3)? {
        0 => bits.side(small)?,
        ratio => {
            let (across, down) =
                [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)][ratio as usize - 1];
            u32::try_from(u64::from(height) * across / down).ok()?
        }
    };
    Some((width, height))
}

fn svg_sides(head: &[u8]) -> Option<(u32, u32)> {
    let text = String::from_utf8_lossy(&head[..head.len().min(64 << 10)]);
    let element = &text[text.find("<svg").or_else(|| text.find(":svg"))?..];
    let element = &element[..element.find('>').unwrap_or(element.len())];
    let attribute = |name: &str| {
        let at = element.find(&format!(" {name}="))? + name.len() + 2;
        let quote = element[at..].chars().next()?;
        element[at + 1..].split(quote).next()
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked"
    )]
    let side = |text: &str| {
        let text = text.trim().trim_end_matches("px");
        let side = text.parse::<f64>().ok()?.round();
        (1.0..1e9).contains(&side).then_some(side as u32)
    };
    if let (Some(width), Some(height)) = (
        attribute("width").and_then(side),
        attribute("height").and_then(side),
    ) {
        return Some((width, height));
    }
    let mut numbers = attribute("viewBox")?
        .split([' ', ','])
        .filter(|number| !number.is_empty())
        .skip(2);
    Some((side(numbers.next()?)?, side(numbers.next()?)?))
}

/// Finds the movie header, at the start or the end of the file.
fn movie(file: &mut (impl Read + Seek), facts: &mut Facts) -> Option<(u32, u32)> {
    let mut at = 0_u64;
    // Real files have a handful of boxes on the top level.
    for _ in 0..256 {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut header = [0; 16];
        file.read_exact(&mut header[..8]).ok()?;
        let (size, content) = match be32(&header, 0)? {
            0 => return None,
            1 => {
                file.read_exact(&mut header[8..]).ok()?;
                (
                    u64::from(be32(&header, 8)?) << 32 | u64::from(be32(&header, 12)?),
                    16,
                )
            }
            size => (u64::from(size), 8),
        };
        if size < content {
            return None;
        }
        if &header[4..8] == b"moov" {
            let mut moov = Vec::new();
            file.take((size - content).min(MAX_HEADER))
                .read_to_end(&mut moov)
                .ok()?;
            facts.duration_ms = movie_duration(&moov);
            return track_sides(&moov);
        }
        at = at.checked_add(size)?;
    }
    None
}

fn movie_duration(moov: &[u8]) -> Option<u64> {
    let at = after(moov, b"mvhd")?;
    let (scale, duration) = if moov.get(at) == Some(&1) {
        let duration = u64::from(be32(moov, at + 24)?) << 32 | u64::from(be32(moov, at + 28)?);
        (be32(moov, at + 20)?, duration)
    } else {
        (be32(moov, at + 12)?, u64::from(be32(moov, at + 16)?))
    };
    duration
        .checked_mul(1_000)?
        .checked_div(u64::from(scale))
        .filter(|ms| *ms > 0)
}

/// The sides of the largest track, upright: a quarter turn is in its matrix.
fn track_sides(moov: &[u8]) -> Option<(u32, u32)> {
    moov.windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"tkhd")
        .filter_map(|(at, _)| {
            let matrix = at + 4 + if moov.get(at + 4) == Some(&1) { 52 } else { 40 };
            let sides = (
                be32(moov, matrix + 36)? >> 16,
                be32(moov, matrix + 40)? >> 16,
            );
            let turned = be32(moov, matrix)? == 0 && be32(moov, matrix + 4)? != 0;
            Some(if turned { (sides.1, sides.0) } else { sides })
        })
        .max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// Sides and duration out of the first element of each name, where they stand in
/// the form that programs write.
fn matroska(head: &[u8], facts: &mut Facts) -> Option<(u32, u32)> {
    // A name of one byte alone is found everywhere: the length of two goes with it.
    let side = |name: u8| {
        let bytes = head.get(after(head, &[name, 0x82])?..)?;
        Some(u32::from(u16::from_be_bytes(*bytes.first_chunk()?)))
    };
    let scale = after(head, &[0x2a, 0xd7, 0xb1, 0x83])
        .and_then(|at| Some(be32(head, at)? >> 8))
        .unwrap_or(1_000_000);
    let duration = after(head, &[0x44, 0x89]).and_then(|at| {
        let bytes = head.get(at + 1..)?;
        match head.get(at)? {
            0x88 => Some(f64::from_be_bytes(*bytes.first_chunk()?)),
            0x84 => Some(f64::from(f32::from_be_bytes(*bytes.first_chunk()?))),
            _ => None,
        }
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded: ten years at most"
    )]
    {
        facts.duration_ms = duration
            .map(|duration| duration * f64::from(scale) / 1e6)
            .filter(|ms| (1.0..3e11).contains(ms))
            .map(|ms| ms as u64);
    }
    Some((side(0xb0)?, side(0xba)?))
}

fn avi(head: &[u8], facts: &mut Facts) -> Option<(u32, u32)> {
    let at = after(head, b"avih")? + 4;
    let frame_us = u64::from(le32(head, at)?);
    let frames = u64::from(le32(head, at + 16)?);
    facts.duration_ms = Some(frame_us * frames / 1_000).filter(|ms| *ms > 0);
    Some((le32(head, at + 32)?, le32(head, at + 36)?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn sides(format: Format, bytes: &[u8]) -> (u32, u32, Option<u64>) {
        let mut facts = Facts::new(format, bytes.len() as u64);
        read(&mut Cursor::new(bytes), &mut facts);
        (facts.width, facts.height, facts.duration_ms)
    }

    #[test]
    fn sides_are_read_from_headers() {
        let mut avif = b"\0\0\0\x1cftypavif\0\0\0\0".to_vec();
        for (width, height) in [(160_u32, 120_u32), (1920, 1080)] {
            avif.extend(b"\0\0\0\x14ispe\0\0\0\0");
            avif.extend(width.to_be_bytes());
            avif.extend(height.to_be_bytes());
        }
        assert_eq!(sides(Format::Avif, &avif), (1920, 1080, None));
        for (svg, expected) in [
            ("<svg width='12px' height=\"7.6\">", (12, 8)),
            ("<svg viewBox='0 0 30,40'>", (30, 40)),
            ("<svg width='100%' height='x' viewBox='0 0 3 4'>", (3, 4)),
            ("<svg width='-1' height='1'>", (0, 0)),
            ("<svg width=", (0, 0)),
        ] {
            let (width, height, _) = sides(Format::Svg, svg.as_bytes());
            assert_eq!((width, height), expected, "{svg}");
        }
        // 64 high in steps of 8, 16:9 would be ratio 5; here equal sides.
        let bits: u32 = 1 | 7 << 1 | 1 << 6;
        let mut jxl = vec![0xff, 0x0a];
        jxl.extend(bits.to_le_bytes());
        assert_eq!(sides(Format::Jxl, &jxl), (64, 64, None));
        let webm = b"\x1a\x45\xdf\xa3\x44\x89\x84\x44\x7a\0\0\xb0\x82\x02\x80\xba\x82\x01\xe0";
        assert_eq!(sides(Format::WebM, webm), (640, 480, Some(1_000)));
    }

    #[test]
    fn movies_tell_sides_and_duration() {
        let mut moov = b"\0\0\0\x6cmvhd".to_vec();
        moov.extend([0; 12]);
        moov.extend(600_u32.to_be_bytes());
        moov.extend(1_500_u32.to_be_bytes());
        moov.extend(b"\0\0\0\x5ctkhd");
        moov.extend([0; 40]);
        for matrix in [0, 0x10000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000_u32] {
            moov.extend(matrix.to_be_bytes());
        }
        moov.extend((1280_u32 << 16).to_be_bytes());
        moov.extend((720_u32 << 16).to_be_bytes());
        let mut file = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x0cmdat1234".to_vec();
        file.extend(u32::try_from(moov.len() + 8).unwrap().to_be_bytes());
        file.extend(b"moov");
        file.extend(&moov);
        assert_eq!(sides(Format::Mp4, &file), (720, 1280, Some(2_500)));
        for cut in 0..file.len() {
            sides(Format::Mp4, &file[..cut]);
        }
    }
}
