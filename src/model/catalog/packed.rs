//! Records as bytes: a fixed row of what is filtered and sorted most, and a string
//! of bytes for the rest, 256 media to a chunk.
//!
//! Times are stored as differences, tags as short numbers (frequent tags have the
//! lowest), an id that is the md5 and a path that follows from it not at all, another
//! that reads as an md5 in half.

mod chunk;
mod number;
mod stored;
mod summary;

use std::borrow::Cow;

use crate::model::{
    entry::Entry,
    id::Md5,
    media::{MediaKind, Rating, Status},
};

pub use self::{
    chunk::Chunk,
    number::{Reader, Writer, numbers},
    summary::{BLOCK, Bounds, Kinds, Summary},
};

/// Media of one chunk.
pub const CHUNK: usize = 256;

/// Bits of [`Row::flags`], one bitmap each; facets stand in the upper half.
pub mod flag {
    pub const RATING: u32 = 6;
    pub const STARS: u32 = 10;
    pub const FAV: u32 = 15;
    pub const INBOX: u32 = 16;
    pub const ARCHIVED: u32 = 17;
    pub const MD5: u32 = 18;
    pub const ID_IS_MD5: u32 = 19;
    pub const PRESENT: u32 = 20;
    /// The id reads as an md5, but it is not that of the medium.
    pub const ID_IS_HEX: u32 = 21;
    pub const FACETS: u32 = 32;
    /// How many there are.
    pub const COUNT: usize = 64;
}

#[derive(Clone, Copy, Default)]
pub struct Row {
    pub md5: [u8; 16],
    pub imported: i64,
    pub bytes: u64,
    pub flags: u64,
    pub width: u32,
    pub height: u32,
    offset: u32,
    length: u32,
}

impl Row {
    pub fn is(&self, flag: u32) -> bool {
        self.flags >> flag & 1 == 1
    }

    pub fn md5(&self) -> Option<Md5> {
        self.is(flag::MD5).then_some(Md5(self.md5))
    }

    pub fn kind(&self) -> MediaKind {
        (0..)
            .zip(MediaKind::ALL)
            .find(|(bit, _)| self.is(*bit))
            .map_or(MediaKind::Image, |(_, kind)| kind)
    }

    pub fn rating(&self) -> Option<Rating> {
        (flag::RATING..)
            .zip(Rating::ALL)
            .find(|(bit, _)| self.is(*bit))
            .map(|(_, rating)| rating)
    }

    pub fn stars(&self) -> u8 {
        (1..=5)
            .find(|stars| self.is(flag::STARS + u32::from(*stars) - 1))
            .unwrap_or(0)
    }

    pub fn status(&self) -> Option<Status> {
        if self.is(flag::INBOX) {
            Some(Status::Inbox)
        } else if self.is(flag::ARCHIVED) {
            Some(Status::Archived)
        } else {
            None
        }
    }
}

/// The flags of an entry.
pub fn flags(entry: &Entry) -> u64 {
    let kind = (0..)
        .zip(MediaKind::ALL)
        .find(|(_, kind)| *kind == entry.kind)
        .map_or(0, |(bit, _)| bit);
    let mut flags = 1_u64 << flag::PRESENT | 1 << kind | u64::from(entry.has.0) << flag::FACETS;
    if let Some(rating) = entry.rating {
        let bit = (flag::RATING..)
            .zip(Rating::ALL)
            .find(|(_, known)| *known == rating);
        flags |= bit.map_or(0, |(bit, _)| 1 << bit);
    }
    if entry.stars > 0 {
        flags |= 1 << (flag::STARS + u32::from(entry.stars.min(5)) - 1);
    }
    flags |= u64::from(entry.fav) << flag::FAV;
    flags |= match entry.status {
        Some(Status::Inbox) => 1 << flag::INBOX,
        Some(Status::Archived) => 1 << flag::ARCHIVED,
        None => 0,
    };
    flags |= u64::from(entry.md5.is_some()) << flag::MD5;
    flags |= match of_hex(entry.id.as_str()) {
        None => 0,
        Some(id) if entry.md5 == Some(id) => 1 << flag::ID_IS_MD5,
        Some(_) => 1 << flag::ID_IS_HEX,
    };
    flags
}

/// The md5 of which a text is how it prints itself.
fn of_hex(text: &str) -> Option<Md5> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == 32 && text.bytes().all(is_digit);
    text.parse().ok().filter(|_| is_hex)
}

/// What the bytes of a row say, without copying any of it.
#[derive(Clone, Copy)]
pub struct Details<'a> {
    pub created: i64,
    pub modified: i64,
    pub duration_ms: Option<u64>,
    pub frames: u32,
    pub score: Option<i64>,
    pub favcount: Option<i64>,
    pub phash: &'a [u8],
    pub tag_count: usize,
    /// The numbers of the tags, for [`numbers`].
    pub tags: &'a [u8],
    texts: Reader<'a>,
}

/// The texts of a row.
pub struct Texts<'a> {
    /// As an md5, where it reads as one.
    pub id: Result<Md5, &'a str>,
    path: (u64, &'a str, &'a str),
    pub name: &'a str,
    pub parent: Option<&'a str>,
    pub origin: Option<&'a str>,
    posts: Reader<'a>,
}

/// A post: the number of its site, or the name of one that has no number.
pub type Post<'a> = (Result<usize, &'a str>, &'a str);

const PATH_LITERAL: u64 = 0;
/// `images/ab/cd/<id>.<extension>` of an id that reads as an md5: only the extension is
/// stored.
const PATH_BUCKET: u64 = 1;
/// What stands before and after the id.
const PATH_AROUND_ID: u64 = 2;

/// Packs what does not fit a row. `tags` are the numbers of the entry's tags,
/// `site` gives the number of a site.
pub fn encode(
    entry: &Entry,
    flags: u64,
    tags: &[u32],
    site: impl Fn(&str) -> Option<usize>,
) -> (Row, Vec<u8>) {
    let row = Row {
        md5: entry.md5.map(|md5| md5.0).unwrap_or_default(),
        imported: entry.imported,
        bytes: entry.bytes,
        flags,
        width: entry.width,
        height: entry.height,
        offset: 0,
        length: 0,
    };
    let mut out = Writer(Vec::with_capacity(64 + tags.len() * 2));
    out.signed(entry.created.wrapping_sub(entry.imported));
    out.signed(entry.modified.wrapping_sub(entry.imported));
    out.number(entry.duration_ms.map_or(0, |ms| ms.saturating_add(1)));
    out.number(u64::from(entry.frames));
    out.optional(entry.score);
    out.optional(entry.favcount);
    out.bytes(entry.phash.as_ref().map_or(&[], |hash| hash.as_bytes()));
    out.number(tags.len() as u64);
    let mut numbers = Writer(Vec::with_capacity(tags.len() * 2));
    for tag in tags {
        numbers.number(u64::from(*tag));
    }
    out.bytes(&numbers.0);

    let id = entry.id.as_str();
    let hex_id = of_hex(id);
    match hex_id {
        _ if row.is(flag::ID_IS_MD5) => {}
        Some(hex_id) => out.bytes(&hex_id.0),
        None => out.bytes(id.as_bytes()),
    }
    let prefix = hex_id.map(bucket_prefix);
    let extension = prefix.and_then(|prefix| entry.path.strip_prefix(&prefix));
    if let Some(extension) = extension {
        out.number(PATH_BUCKET);
        out.bytes(extension.as_bytes());
    } else if let Some(at) = entry.path.find(id) {
        let (before, after) = entry.path.split_at(at);
        out.number(PATH_AROUND_ID);
        out.bytes(before.as_bytes());
        out.bytes(after.get(id.len()..).unwrap_or_default().as_bytes());
    } else {
        out.number(PATH_LITERAL);
        out.bytes(entry.path.as_bytes());
    }
    out.bytes(entry.name.as_bytes());
    out.text_or_none(entry.parent.as_deref());
    out.text_or_none(entry.origin.as_deref());
    for (name, id) in &entry.posts {
        let number = site(name).map_or(0, |number| number as u64 + 1);
        out.number(number);
        if number == 0 {
            out.bytes(name.as_bytes());
        }
        out.bytes(id.as_bytes());
    }
    (row, out.0)
}

/// `images/ab/cd/<md5>.` of an id that reads as an md5.
fn bucket_prefix(id: Md5) -> String {
    let hex = hex(id);
    let mut prefix = String::with_capacity(64);
    for part in ["images/", &hex[..2], "/", &hex[2..4], "/", &hex, "."] {
        prefix.push_str(part);
    }
    prefix
}

/// As the md5 prints itself, at a tenth of the cost: a scan of paths does it for every
/// medium.
fn hex(md5: Md5) -> String {
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(md5.0) {
        *pair = [byte >> 4, byte & 15].map(|digit| {
            let first = if digit < 10 { b'0' } else { b'a' - 10 };
            first + digit
        });
    }
    std::str::from_utf8(&digits).unwrap_or_default().to_owned()
}

impl<'a> Details<'a> {
    pub fn read(row: &Row, bytes: &'a [u8]) -> Self {
        let mut reader = Reader(bytes);
        Self {
            created: reader.signed().wrapping_add(row.imported),
            modified: reader.signed().wrapping_add(row.imported),
            duration_ms: reader.number().checked_sub(1),
            frames: u32::try_from(reader.number()).unwrap_or(u32::MAX),
            score: reader.optional(),
            favcount: reader.optional(),
            phash: reader.bytes(),
            tag_count: usize::try_from(reader.number()).unwrap_or(0),
            tags: reader.bytes(),
            texts: reader,
        }
    }

    /// Whether the texts are others, but for those that follow from the id.
    pub fn has_other_texts(&self, other: &Self) -> bool {
        self.texts.0 != other.texts.0
    }

    pub fn texts(self, row: &Row) -> Texts<'a> {
        let mut reader = self.texts;
        let id = if row.is(flag::ID_IS_MD5) {
            Ok(Md5(row.md5))
        } else if row.is(flag::ID_IS_HEX) {
            let bytes = reader.bytes().first_chunk().copied();
            Ok(Md5(bytes.unwrap_or_default()))
        } else {
            Err(reader.text())
        };
        let mode = reader.number();
        let first = reader.text();
        let second = if mode == PATH_AROUND_ID {
            reader.text()
        } else {
            ""
        };
        Texts {
            id,
            path: (mode, first, second),
            name: reader.text(),
            parent: reader.text_or_none(),
            origin: reader.text_or_none(),
            posts: reader,
        }
    }
}

impl<'a> Texts<'a> {
    fn id_text(&self) -> Cow<'a, str> {
        match self.id {
            Ok(id) => Cow::Owned(hex(id)),
            Err(id) => Cow::Borrowed(id),
        }
    }

    pub fn path(&self) -> Cow<'a, str> {
        let (mode, first, second) = self.path;
        match mode {
            PATH_BUCKET => {
                let mut path = self.id.map(bucket_prefix).unwrap_or_default();
                path.push_str(first);
                Cow::Owned(path)
            }
            PATH_AROUND_ID => Cow::Owned(format!("{first}{}{second}", self.id_text())),
            _ => Cow::Borrowed(first),
        }
    }

    pub fn posts(self) -> impl Iterator<Item = Post<'a>> {
        let mut reader = self.posts;
        std::iter::from_fn(move || {
            if reader.0.is_empty() {
                return None;
            }
            let site = match usize::try_from(reader.number()).ok()?.checked_sub(1) {
                Some(number) => Ok(number),
                None => Err(reader.text()),
            };
            Some((site, reader.text()))
        })
    }
}
