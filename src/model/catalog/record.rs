//! A view of one medium in a catalog.

use std::borrow::Cow;

use super::{
    Catalog,
    lookup::hash,
    packed::{self, Details, Row, Texts, flag},
};
use crate::model::{
    entry::{Entry, Facets},
    hash::PerceptualHash,
    id::{Md5, MediaId, MediaKey},
    media::{MediaKind, Rating, Status},
    tag::TagName,
};

/// An id as the default order compares it, without printing those that are md5s:
/// their bytes compare as their hexadecimal text does.
#[derive(Clone, Debug)]
pub(super) enum SortId<'a> {
    Md5(Md5),
    Text(Cow<'a, str>),
}

impl SortId<'_> {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Md5(md5) => Cow::Owned(md5.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The first bytes of its text as a number that compares alike.
    pub(super) fn start(&self) -> u64 {
        let mut start = [0; 8];
        match self {
            Self::Md5(md5) => {
                let digits = md5.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                for (to, digit) in start.iter_mut().zip(digits) {
                    *to = if digit < 10 { b'0' } else { b'a' - 10 } + digit;
                }
            }
            Self::Text(text) => start
                .iter_mut()
                .zip(text.bytes())
                .for_each(|(to, byte)| *to = byte),
        }
        u64::from_be_bytes(start)
    }
}

impl Ord for SortId<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Md5(a), Self::Md5(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for SortId<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortId<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for SortId<'_> {}

/// A view of one medium in a catalog. Cheap facts are read from its row; what is
/// packed is unpacked each time it is asked for.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) key: MediaKey,
    pub(super) row: &'a Row,
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn details(&self) -> Details<'a> {
        Details::read(self.row, self.bytes)
    }

    fn texts(&self) -> Texts<'a> {
        self.details().texts(self.row)
    }

    pub(super) fn sort_id(&self) -> SortId<'a> {
        if self.row.is(flag::ID_IS_MD5) {
            return SortId::Md5(Md5(self.row.md5));
        }
        match self.texts().id {
            Ok(id) => SortId::Md5(id),
            Err(id) => SortId::Text(Cow::Borrowed(id)),
        }
    }

    pub(super) fn post_hashes(&self) -> Vec<u32> {
        self.posts().map(hash).collect()
    }

    pub fn key(&self) -> MediaKey {
        self.key
    }

    pub fn id(&self) -> MediaId {
        if self.row.is(flag::ID_IS_MD5) {
            return Md5(self.row.md5).into();
        }
        match self.texts().id {
            Ok(id) => id.into(),
            // What was packed was an id, so it reads as one.
            Err(id) => id.parse().unwrap_or_else(|_| Md5(self.row.md5).into()),
        }
    }

    /// Library-relative path of the original.
    pub fn path(&self) -> Cow<'a, str> {
        self.texts().path()
    }

    /// The file name part of the path.
    pub fn file_name(&self) -> Cow<'a, str> {
        match self.path() {
            Cow::Borrowed(path) => Cow::Borrowed(file_name(path)),
            Cow::Owned(path) => Cow::Owned(file_name(&path).to_owned()),
        }
    }

    /// The display name the sidecar gives; empty when it gives none.
    pub fn name(&self) -> &'a str {
        self.texts().name
    }

    /// What to call it on the screen: its name, else its file name. Not yet safe
    /// to draw: see [`display_text`](crate::model::text::display_text).
    pub fn title(&self) -> Cow<'a, str> {
        match self.name() {
            "" => self.file_name(),
            name => Cow::Borrowed(name),
        }
    }

    pub fn kind(&self) -> MediaKind {
        self.row.kind()
    }

    pub fn md5(&self) -> Option<Md5> {
        self.row.md5()
    }

    pub fn phash(&self) -> Option<PerceptualHash> {
        let phash = self.details().phash;
        (!phash.is_empty()).then(|| PerceptualHash::new(phash))
    }

    /// Pixels; 0 when unknown.
    pub fn width(&self) -> u32 {
        self.row.width
    }

    /// Pixels; 0 when unknown.
    pub fn height(&self) -> u32 {
        self.row.height
    }

    pub fn bytes(&self) -> u64 {
        self.row.bytes
    }

    pub fn duration_ms(&self) -> Option<u64> {
        self.details().duration_ms
    }

    pub fn frames(&self) -> u32 {
        self.details().frames
    }

    /// Seconds since 1970, as all times here.
    pub fn imported(&self) -> i64 {
        self.row.imported
    }

    pub fn created(&self) -> i64 {
        self.details().created
    }

    pub fn modified(&self) -> i64 {
        self.details().modified
    }

    pub fn rating(&self) -> Option<Rating> {
        self.row.rating()
    }

    pub fn stars(&self) -> u8 {
        self.row.stars()
    }

    pub fn fav(&self) -> bool {
        self.row.is(flag::FAV)
    }

    pub fn status(&self) -> Option<Status> {
        self.row.status()
    }

    /// Normalised, in the sidecar's order.
    pub fn tags(&self) -> impl Iterator<Item = &'a TagName> + use<'a> {
        let catalog = self.catalog;
        packed::numbers(self.details().tags).filter_map(|number| catalog.tags.name(number))
    }

    /// The tags that those it has imply, each with the one it follows from; not those
    /// it has itself.
    pub fn implied(&self) -> Vec<(TagName, TagName)> {
        let tags = self.catalog.tag_database();
        if tags.is_empty() {
            return Vec::new();
        }
        let own: Vec<TagName> = self.tags().map(|name| tags.resolve(name)).collect();
        let mut implied: Vec<(TagName, TagName)> = Vec::new();
        for (name, by) in own.iter().flat_map(|name| tags.implied(name)) {
            if !own.contains(&name) && implied.iter().all(|(known, _)| *known != name) {
                implied.push((name, by));
            }
        }
        implied
    }

    /// The numbers of its tags, for [`Catalog::tag_at`].
    pub fn tag_numbers(&self) -> impl Iterator<Item = u32> + use<'a> {
        packed::numbers(self.details().tags)
    }

    /// How many of its tags are among some, given by number.
    pub fn tag_count_among(&self, is_counted: &[bool]) -> usize {
        self.tag_numbers()
            .filter(|number| is_counted.get(*number as usize) == Some(&true))
            .count()
    }

    pub fn tag_count(&self) -> usize {
        self.details().tag_count
    }

    /// `(site, post id)`.
    pub fn posts(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let catalog = self.catalog;
        self.texts().posts().map(|(site, id)| {
            let site = site.map_or_else(
                |name| name,
                |number| {
                    catalog
                        .sites
                        .get(number)
                        .map_or("", std::convert::AsRef::as_ref)
                },
            );
            (site, id)
        })
    }

    /// The id of the medium this one is derived from.
    pub fn origin(&self) -> Option<&'a str> {
        self.texts().origin
    }

    pub fn parent(&self) -> Option<&'a str> {
        self.texts().parent
    }

    pub fn score(&self) -> Option<i64> {
        self.details().score
    }

    pub fn favcount(&self) -> Option<i64> {
        self.details().favcount
    }

    pub fn has(&self) -> Facets {
        Facets(u32::try_from(self.row.flags >> flag::FACETS).unwrap_or(0))
    }

    /// The whole of it as plain values.
    pub fn to_entry(&self) -> Entry {
        Entry {
            key: self.key,
            id: self.id(),
            path: self.path().into_owned(),
            kind: self.kind(),
            name: self.name().to_owned(),
            md5: self.md5(),
            phash: self.phash(),
            width: self.width(),
            height: self.height(),
            bytes: self.bytes(),
            duration_ms: self.duration_ms(),
            frames: self.frames(),
            imported: self.imported(),
            created: self.created(),
            modified: self.modified(),
            rating: self.rating(),
            stars: self.stars(),
            fav: self.fav(),
            status: self.status(),
            tags: self.tags().cloned().collect(),
            posts: self
                .posts()
                .map(|(site, id)| (site.to_owned(), id.to_owned()))
                .collect(),
            origin: self.origin().map(str::to_owned),
            parent: self.parent().map(str::to_owned),
            score: self.score(),
            favcount: self.favcount(),
            has: self.has(),
        }
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_entry().fmt(f)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
