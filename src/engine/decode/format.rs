//! What a file is, told by its first bytes and never by its name (TGA, which has
//! no mark of its own, excepted).

use std::fmt;

use crate::model::media::MediaKind;

/// How many bytes from the start [`Format::sniff`] wants to see.
pub const SNIFF_BYTES: usize = 4096;

/// The file formats this program tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Jpeg,
    Png,
    Apng,
    Gif,
    WebP,
    AnimatedWebP,
    Bmp,
    Qoi,
    Tga,
    Pnm,
    Ico,
    Tiff,
    // Recognized, but not decoded in this process.
    Avif,
    Heic,
    Jxl,
    Jp2,
    Svg,
    Psd,
    Exr,
    Mp4,
    Mov,
    WebM,
    Mkv,
    Avi,
}

/// Every format with its extension, mime type and name.
const TABLE: [(Format, &str, &str, &str); 24] = [
    (Format::Jpeg, "jpg", "image/jpeg", "JPEG"),
    (Format::Png, "png", "image/png", "PNG"),
    (Format::Apng, "png", "image/apng", "animated PNG"),
    (Format::Gif, "gif", "image/gif", "GIF"),
    (Format::WebP, "webp", "image/webp", "WebP"),
    (Format::AnimatedWebP, "webp", "image/webp", "animated WebP"),
    (Format::Bmp, "bmp", "image/bmp", "BMP"),
    (Format::Qoi, "qoi", "image/qoi", "QOI"),
    (Format::Tga, "tga", "image/x-tga", "TGA"),
    (Format::Pnm, "pnm", "image/x-portable-anymap", "PNM"),
    (Format::Ico, "ico", "image/x-icon", "ICO"),
    (Format::Tiff, "tif", "image/tiff", "TIFF"),
    (Format::Avif, "avif", "image/avif", "AVIF"),
    (Format::Heic, "heic", "image/heic", "HEIC"),
    (Format::Jxl, "jxl", "image/jxl", "JPEG XL"),
    (Format::Jp2, "jp2", "image/jp2", "JPEG 2000"),
    (Format::Svg, "svg", "image/svg+xml", "SVG"),
    (Format::Psd, "psd", "image/vnd.adobe.photoshop", "Photoshop"),
    (Format::Exr, "exr", "image/x-exr", "OpenEXR"),
    (Format::Mp4, "mp4", "video/mp4", "MP4 video"),
    (Format::Mov, "mov", "video/quicktime", "QuickTime video"),
    (Format::WebM, "webm", "video/webm", "WebM video"),
    (Format::Mkv, "mkv", "video/x-matroska", "Matroska video"),
    (Format::Avi, "avi", "video/x-msvideo", "AVI video"),
];

impl Format {
    fn row(self) -> &'static (Self, &'static str, &'static str, &'static str) {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .unwrap_or(&TABLE[TABLE.len() - 1])
    }

    /// The extension a stored file gets, without the dot.
    pub fn extension(self) -> &'static str {
        self.row().1
    }

    pub fn mime(self) -> &'static str {
        self.row().2
    }

    /// The name people know it by.
    pub fn name(self) -> &'static str {
        self.row().3
    }

    /// Whether [`decode`](super::decode) can give pixels of it.
    pub fn is_decodable(self) -> bool {
        matches!(
            self,
            Self::Jpeg
                | Self::Png
                | Self::Apng
                | Self::Gif
                | Self::WebP
                | Self::AnimatedWebP
                | Self::Bmp
                | Self::Qoi
                | Self::Tga
                | Self::Pnm
                | Self::Ico
                | Self::Tiff
        )
    }

    /// The kind of medium as far as the format alone tells. A GIF counts as an
    /// image here; [`Facts::kind`](super::Facts::kind) knows how many frames it has.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Apng | Self::AnimatedWebP => MediaKind::Animation,
            Self::Mp4 | Self::Mov | Self::WebM | Self::Mkv | Self::Avi => MediaKind::Video,
            _ => MediaKind::Image,
        }
    }

    /// Whether the first bytes and the extension (without dot) are those of a
    /// format known here. `head` is the start of the file, [`SNIFF_BYTES`] of it if
    /// there are so many.
    pub fn sniff(head: &[u8], extension: &str) -> Option<Self> {
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(if has_actl(head) {
                Self::Apng
            } else {
                Self::Png
            }),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                rest @ ..,
            ] => {
                // The flags follow the name and the length of the first chunk.
                Some(match rest {
                    [b'V', b'P', b'8', b'X', _, _, _, _, flags, ..] if flags & 2 != 0 => {
                        Self::AnimatedWebP
                    }
                    _ => Self::WebP,
                })
            }
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'A',
                b'V',
                b'I',
                b' ',
                ..,
            ] => Some(Self::Avi),
            [
                b'B',
                b'M',
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                size,
                0,
                0,
                0,
                ..,
            ] if (12..=124).contains(size) => Some(Self::Bmp),
            [b'q', b'o', b'i', b'f', ..] => Some(Self::Qoi),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [b'P', b'1'..=b'7', b'\t' | b'\n' | b'\r' | b' ' | b'#', ..] => Some(Self::Pnm),
            [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some(Self::Jxl),
            [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
                Some(Self::Jp2)
            }
            [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Some(Self::Psd),
            [0x76, 0x2f, 0x31, 0x01, ..] => Some(Self::Exr),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => {
                let document_type = &head[..head.len().min(64)];
                Some(if contains(document_type, b"webm") {
                    Self::WebM
                } else {
                    Self::Mkv
                })
            }
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::from_brands(head)),
            [_, _, _, _, b'm', b'o', b'o', b'v', ..] => Some(Self::Mov),
            [0, 0, 1 | 2, 0, low, high, ..] if (*low, *high) != (0, 0) && plausible_icon(head) => {
                Some(Self::Ico)
            }
            _ if is_svg(head) => Some(Self::Svg),
            _ if is_tga(head, extension) => Some(Self::Tga),
            _ => None,
        }
    }

    /// ISO base media files say who may read them: the brands decide.
    fn from_brands(head: &[u8]) -> Self {
        let size = head
            .first_chunk::<4>()
            .map_or(0, |size| u32::from_be_bytes(*size) as usize);
        let brands = head.get(8..size.min(head.len()).max(12)).unwrap_or(&[]);
        let has = |wanted: &[&[u8]]| brands.chunks_exact(4).any(|brand| wanted.contains(&brand));
        if has(&[b"avif", b"avis"]) {
            Self::Avif
        } else if has(&[
            b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1",
        ]) {
            Self::Heic
        } else if has(&[b"jxl "]) {
            Self::Jxl
        } else if brands.starts_with(b"qt  ") {
            Self::Mov
        } else {
            Self::Mp4
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// Whether an animation control chunk stands before the pixels.
fn has_actl(head: &[u8]) -> bool {
    let mut at = 8_usize;
    while let Some(header) = head.get(at..at + 8) {
        match &header[4..] {
            b"acTL" => return true,
            b"IDAT" | b"IEND" => return false,
            _ => {}
        }
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        at = at.saturating_add(length).saturating_add(12);
        if at >= head.len() {
            return false;
        }
    }
    false
}

/// The first directory entry of an icon has a reserved zero and points past itself.
fn plausible_icon(head: &[u8]) -> bool {
    head.get(6..22).is_some_and(|entry| {
        entry[3] == 0 && u32::from_le_bytes([entry[12], entry[13], entry[14], entry[15]]) >= 22
    })
}

/// Text whose first element, after an XML declaration, comments and a document
/// type, is `svg`.
fn is_svg(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = text.trim_ascii_start();
    if !start.starts_with(b"<") {
        return false;
    }
    let Some(at) = start
        .windows(4)
        .position(|window| window == b"<svg" || window == b":svg")
    else {
        return false;
    };
    // A web page with a drawing inside is no drawing.
    !contains(&start[..at], b"<html") && !contains(&start[..at], b"<HTML")
}

fn is_tga(head: &[u8], extension: &str) -> bool {
    let known = ["tga", "icb", "vda", "vst"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    known
        && head.len() >= 18
        && head[1] <= 1
        && matches!(head[2], 1..=3 | 9..=11)
        && matches!(head[16], 8 | 15 | 16 | 24 | 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::media::is_extension;

    #[test]
    fn every_format_has_a_row() {
        for (format, ..) in TABLE {
            assert_eq!(format.row().0, format);
        }
    }

    #[test]
    fn what_is_stored_is_found_again_by_its_extension() {
        for (format, extension, ..) in TABLE {
            assert!(is_extension(extension), "{format:?}");
        }
    }

    #[test]
    fn the_first_bytes_decide() {
        for (head, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (
                b"\x89PNG\r\n\x1a\n\0\0\0\0tEXt\0\0\0\0\0\0\0\x08acTL",
                Some(Format::Apng),
            ),
            (
                b"\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXt\0\0\0\0",
                Some(Format::Png),
            ),
            (b"GIF89a", Some(Format::Gif)),
            (b"RIFF\0\0\0\0WEBPVP8L", Some(Format::WebP)),
            (
                b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02",
                Some(Format::AnimatedWebP),
            ),
            (b"\0\0\0\x20ftypavif\0\0\0\0", Some(Format::Avif)),
            (b"\0\0\0\x18ftypheic", Some(Format::Heic)),
            (b"\0\0\0\x14ftypqt  ", Some(Format::Mov)),
            (b"\0\0\0\x14ftypisom", Some(Format::Mp4)),
            (b"\x1a\x45\xdf\xa3\x42\x82\x84webm", Some(Format::WebM)),
            (b"P6\n1 1 255\n", Some(Format::Pnm)),
            (b"Plain text", None),
            (b"<?xml version='1.0'?>\n<svg xmlns=''>", Some(Format::Svg)),
            (b"<!doctype html><html><svg>", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            assert_eq!(Format::sniff(head, "png"), expected, "{head:?}");
        }
    }

    #[test]
    fn only_tga_needs_its_extension() {
        let mut head = [0; 18];
        head[2] = 2;
        head[16] = 24;
        assert_eq!(Format::sniff(&head, "TGA"), Some(Format::Tga));
        assert_eq!(Format::sniff(&head, "png"), None);
    }
}
