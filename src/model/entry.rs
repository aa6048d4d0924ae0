//! What the index and the catalog know of one medium: the part of a sidecar that
//! is searched, sorted and drawn in the grid, and nothing else.

use super::{
    hash::PerceptualHash,
    id::{Md5, MediaId, MediaKey},
    media::{Media, MediaKind, Rating, Status},
    tag::TagName,
};

/// What storage found out about the original besides its sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Library-relative path with `/` separators; bytes that are not UTF-8 are
    /// percent-encoded.
    pub path: String,
    pub bytes: u64,
    /// Seconds since 1970, of the original.
    pub modified: i64,
    pub has_sidecar: bool,
    /// The original is gone and only the sidecar is left.
    pub is_missing: bool,
}

/// One row of the index as plain values. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: MediaKey,
    pub id: MediaId,
    pub path: String,
    pub kind: MediaKind,
    /// The display name: the sidecar's, else the stem of the name the file had when
    /// it was ingested; empty when there is neither.
    pub name: String,
    pub md5: Option<Md5>,
    pub phash: Option<PerceptualHash>,
    /// Pixels; 0 when unknown.
    pub width: u32,
    /// Pixels; 0 when unknown.
    pub height: u32,
    pub bytes: u64,
    pub duration_ms: Option<u64>,
    pub frames: u32,
    /// When it entered the library; the modification time of a found file.
    pub imported: i64,
    /// When it was made: the best of taken, created, and the file's own time.
    pub created: i64,
    /// When its sidecar was last changed by us, else the file.
    pub modified: i64,
    pub rating: Option<Rating>,
    pub stars: u8,
    pub fav: bool,
    pub status: Option<Status>,
    /// Normalised, in the sidecar's order.
    pub tags: Vec<TagName>,
    /// `(site, post id)`.
    pub posts: Vec<(String, String)>,
    /// The id this medium is derived from.
    pub origin: Option<String>,
    pub parent: Option<String>,
    /// Score and favourite count of the first source that gives one.
    pub score: Option<i64>,
    pub favcount: Option<i64>,
    pub has: Facets,
}

/// Yes-or-no facts of a medium, as bits: what `has:` and `is:` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facets(pub u32);

impl Facets {
    pub const CAPTION: Self = Self(1);
    pub const NOTE: Self = Self(1 << 1);
    pub const URL: Self = Self(1 << 2);
    pub const SOURCE: Self = Self(1 << 3);
    pub const PARENT: Self = Self(1 << 4);
    pub const CHILD: Self = Self(1 << 5);
    pub const MASK: Self = Self(1 << 6);
    pub const CROP: Self = Self(1 << 7);
    pub const FRAME: Self = Self(1 << 8);
    pub const SIMILAR: Self = Self(1 << 9);
    pub const RELATION: Self = Self(1 << 10);
    pub const SIDECAR: Self = Self(1 << 11);
    pub const MISSING: Self = Self(1 << 12);
    pub const LOCKED: Self = Self(1 << 13);
    pub const GPS: Self = Self(1 << 14);
    pub const GENERATION: Self = Self(1 << 15);
    pub const ALPHA: Self = Self(1 << 16);
    /// In the trash.
    pub const TRASHED: Self = Self(1 << 17);
    /// Recognised, but not decodable here: `needs:thumb`.
    pub const NEEDS_THUMBNAIL: Self = Self(1 << 18);
    /// Another program wrote the sidecar too, and both are merged; until the next
    /// save. No fact of the files, so rows do not hold it.
    pub const MERGED: Self = Self(1 << 19);

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn set(&mut self, facet: Self, on: bool) {
        if on {
            self.0 |= facet.0;
        } else {
            self.0 &= !facet.0;
        }
    }
}

impl Entry {
    /// What the index stores for a sidecar and its original.
    pub fn new(key: MediaKey, id: MediaId, facts: &FileFacts, media: &Media) -> Self {
        Self {
            tags: media.tags.iter().map(super::tag::Tag::name).collect(),
            ..Self::without_tags(key, id, facts, media)
        }
    }

    /// As [`Entry::new`], for who has no use for the tags, which cost most.
    pub fn without_tags(key: MediaKey, id: MediaId, facts: &FileFacts, media: &Media) -> Self {
        let (width, height) = media.dimensions().unwrap_or((0, 0));
        let time = |key: &str| media.fact(key).and_then(parse_time);
        let imported = time("imported").unwrap_or(facts.modified);
        let count = |key: &str| {
            media
                .sources
                .values()
                .find_map(|source| source.get(key).and_then(serde_json::Value::as_i64))
        };
        Self {
            key,
            id,
            path: facts.path.clone(),
            kind: media.kind,
            name: display_name(media).to_owned(),
            md5: media.hashes.md5.as_deref().and_then(|md5| md5.parse().ok()),
            phash: media
                .hashes
                .phash
                .as_deref()
                .and_then(|hash| hash.parse().ok()),
            width,
            height,
            bytes: if facts.bytes > 0 {
                facts.bytes
            } else {
                media.number("bytes").unwrap_or(0)
            },
            duration_ms: seconds(media, "duration")
                .map(|ms| ms.max(0))
                .and_then(|ms| u64::try_from(ms).ok()),
            frames: media
                .number("frames")
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(1),
            imported,
            created: time("taken")
                .or_else(|| time("created"))
                .unwrap_or(facts.modified),
            modified: media
                .rev
                .as_ref()
                .and_then(|rev| parse_time(&rev.at))
                .unwrap_or(facts.modified),
            rating: media.rating,
            stars: media.stars,
            fav: media.fav,
            status: media.status,
            tags: Vec::new(),
            posts: media
                .posts()
                .map(|(site, id)| (site.to_owned(), id))
                .collect(),
            origin: media.origin().map(str::to_owned),
            parent: media.related("parent").first().cloned(),
            score: count("score"),
            favcount: count("fav_count"),
            has: facets(facts, media),
        }
    }

    /// The file name part of the path.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What to call it on the screen: its name, else its file name. Not yet safe
    /// to draw: see [`display_text`](super::text::display_text).
    pub fn title(&self) -> &str {
        if self.name.is_empty() {
            self.file_name()
        } else {
            &self.name
        }
    }
}

/// Seconds since 1970 of an RFC 3339 time, or of a date with time that names no
/// zone (taken as UTC); `None` for anything else.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| {
            text.parse::<jiff::civil::Date>()
                .map(jiff::civil::DateTime::from)
        })
        .ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp().as_second())
}

/// Seconds since 1970 as RFC 3339 in UTC, the form sidecars store.
pub fn format_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

fn display_name(media: &Media) -> &str {
    if !media.name.is_empty() {
        return &media.name;
    }
    let original = media.fact("original_name").unwrap_or_default();
    original.rsplit_once('.').map_or(original, |(stem, _)| stem)
}

/// Milliseconds of a fact that is stored as seconds.
fn seconds(media: &Media, key: &str) -> Option<i64> {
    let value = media
        .metadata
        .get(key)?
        .as_f64()
        .filter(|seconds| seconds.abs() < 1e9)?;
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    Some((value * 1000.0).round() as i64)
}

fn facets(facts: &FileFacts, media: &Media) -> Facets {
    let mut has = Facets::default();
    let related = |name: &str| !media.related(name).is_empty();
    let flag = |key: &str| {
        media
            .metadata
            .get(key)
            .is_some_and(|value| !value.is_null())
    };
    for (facet, on) in [
        (Facets::CAPTION, !media.caption.trim().is_empty()),
        (Facets::NOTE, !media.notes.is_empty()),
        (Facets::URL, !media.urls.is_empty()),
        (Facets::SOURCE, !media.sources.is_empty()),
        (Facets::PARENT, related("parent")),
        (Facets::CHILD, related("children")),
        (Facets::MASK, related("masks")),
        (Facets::CROP, related("crops")),
        (Facets::FRAME, related("frames")),
        (Facets::SIMILAR, related("similar")),
        (
            Facets::RELATION,
            media.related.iter().any(|(_, ids)| !ids.is_empty()),
        ),
        (Facets::SIDECAR, facts.has_sidecar),
        (Facets::MISSING, facts.is_missing),
        (Facets::LOCKED, !media.locked.is_empty()),
        (Facets::GPS, flag("gps")),
        (Facets::GENERATION, flag("gen")),
        (
            Facets::ALPHA,
            media
                .metadata
                .get("alpha")
                .and_then(serde_json::Value::as_bool)
                == Some(true),
        ),
        (
            Facets::NEEDS_THUMBNAIL,
            media.metadata.contains_key("undecodable"),
        ),
    ] {
        has.set(facet, on);
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_called_by_its_name_else_by_that_of_its_file() {
        let title = |media: &str| {
            let media = super::super::sidecar::Sidecar::parse(media).unwrap().media;
            let facts = FileFacts {
                path: "images/ab/cd/abcd.png".to_owned(),
                ..FileFacts::default()
            };
            let id = "abcd".parse().unwrap();
            Entry::new(MediaKey(1), id, &facts, &media)
                .title()
                .to_owned()
        };
        assert_eq!(
            title(r#"{"name": "Fox", "metadata": {"original_name": "IMG_1.png"}}"#),
            "Fox"
        );
        assert_eq!(
            title(r#"{"metadata": {"original_name": "IMG_1.v2.png"}}"#),
            "IMG_1.v2"
        );
        assert_eq!(title("{}"), "abcd.png");
    }

    #[test]
    fn times_are_read_in_several_forms() {
        assert_eq!(parse_time("1970-01-01T00:01:00Z"), Some(60));
        assert_eq!(parse_time("1970-01-01T01:01:00+01:00"), Some(60));
        assert_eq!(parse_time("1970-01-01T00:01:00"), Some(60));
        assert_eq!(parse_time("1970-01-02"), Some(86_400));
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(format_time(60), "1970-01-01T00:01:00Z");
    }
}
