//! The JSON sidecar beside an original: its schema, its old forms, how it is
//! read and how it is written.
//!
//! | key | form |
//! |---|---|
//! | `schema` | 1; absent in files of Image Tagger |
//! | `type` | `image` (also when absent), `animation`, `video`, `mask`, `video_frame`, `crop` |
//! | `source_image` `mask_category`, `source_video` `frame_index` `timestamp`, `parent_image` `crop_rect` `aspect_ratio` `created_at` | by type |
//! | `name`, `caption` | text |
//! | `captions` | `[{kind, text, src}]` |
//! | `tags` | `[{category, value, position, src?, conf?, at?}]` |
//! | `tags_removed` | tombstones `[{category, value, src, at}]` |
//! | `related` | `{relation: [id]}` |
//! | `relations` | `{relation: {id: {score, by, at}}}` |
//! | `rating` `rating_src` | `g` `s` `q` `e` |
//! | `stars` `fav` `status` | 0 to 5, bool, `inbox` or `archived` |
//! | `notes` | `[{name, text, box?}]` |
//! | `urls` | `[text]` |
//! | `sources` | `{site: {id, url, parent_id, rating, score, tags, …}}` |
//! | `active_source` | site or `merged` |
//! | `hashes` | `{md5, sha256, pixel, phash, dhash, ahash, whash, colorhash}`, hexadecimal |
//! | `metadata` | `{created, width, height, bytes, mime, imported, original_name, …}` |
//! | `locked` | fields that no automatic process may change |
//! | `rev` | `{n, host, at}` |
//! | `ext` | for other programs |
//!
//! Invariants: unknown keys stay in place, digit for digit; a known key that did
//! not change keeps what stood there, whatever its form; an existing file keeps
//! its own order of keys. `tags`, `tags_removed` and `related` put one item on a
//! line, so that version control merges them.
//!
//! A text that says the same key twice, or whose tags, relations or metadata are
//! not of their form at all, is refused rather than half understood: it can then
//! not be written over.

mod brief;
mod lean;
pub(super) mod read;
mod render;
mod strict;

use serde_json::{Map, Value};

use super::media::Media;

pub use lean::LeanTags;

/// Larger files are refused before they are parsed: a million tags take 880 MB.
pub const MAX_BYTES: usize = 16 << 20;

/// The keys of the table above, in the order in which a new file has them.
const KEYS: [&str; 32] = [
    "schema",
    "type",
    "source_image",
    "mask_category",
    "source_video",
    "frame_index",
    "timestamp",
    "parent_image",
    "crop_rect",
    "aspect_ratio",
    "created_at",
    "name",
    "caption",
    "captions",
    "tags",
    "tags_removed",
    "related",
    "relations",
    "rating",
    "rating_src",
    "stars",
    "fav",
    "status",
    "notes",
    "urls",
    "sources",
    "active_source",
    "hashes",
    "metadata",
    "locked",
    "rev",
    "ext",
];

/// The keys that belong to one kind of medium: [`Media::derived`].
const DERIVED: std::ops::Range<usize> = 2..11;

/// A sidecar as read: the medium it describes, and the JSON object it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sidecar {
    pub media: Media,
    /// The object as it stood in the file; empty for a new sidecar.
    pub document: Map<String, Value>,
}

/// A sidecar that was read for an index, which wants to know what it says and not how.
#[derive(Clone, Debug, PartialEq)]
pub struct ForIndex {
    pub sidecar: Sidecar,
    /// The tags, where the sidecar holds none of them; its document then has an empty
    /// list in their place.
    pub tags: Option<LeanTags>,
    /// What an index remembers of it, where that can be said in brief: see
    /// [`Sidecar::parse_brief`].
    pub brief: Option<String>,
}

impl ForIndex {
    /// A sidecar of which nothing was left out.
    pub fn whole(sidecar: Sidecar) -> Self {
        Self {
            sidecar,
            tags: None,
            brief: None,
        }
    }
}

/// A text that is no sidecar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    #[error("larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    #[error("{0}")]
    Syntax(String),
    #[error("not a JSON object")]
    NotAnObject,
    #[error("`{key}` is not {expected}")]
    Form {
        key: &'static str,
        expected: &'static str,
    },
}

impl Sidecar {
    /// Reads a sidecar in today's form or an old one.
    pub fn parse(text: &str) -> Result<Self, SidecarError> {
        Self::from_document(document(text)?)
    }

    /// Reads a JSON file that stands where a sidecar would; `None` when it is that
    /// of another program.
    pub fn parse_own(text: &str) -> Result<Option<Self>, SidecarError> {
        let document = document(text)?;
        Self::is_own(&document)
            .then(|| Self::from_document(document))
            .transpose()
    }

    /// As [`parse_own`](Self::parse_own), for an index.
    pub fn parse_for_index(text: &str) -> Result<Option<ForIndex>, SidecarError> {
        match lean::parse(text).filter(|read| Self::is_own(&read.sidecar.document)) {
            Some(read) => Ok(Some(read)),
            None => Ok(Self::parse_own(text)?.map(ForIndex::whole)),
        }
    }

    fn from_document(document: Map<String, Value>) -> Result<Self, SidecarError> {
        Ok(Self {
            media: read::media(&document)?,
            document,
        })
    }

    /// The text to write: the document with every changed field brought up to date.
    pub fn render(&self) -> String {
        render::text(&self.to_document())
    }

    /// The document with every changed field brought up to date.
    pub fn to_document(&self) -> Map<String, Value> {
        render::document(self)
    }

    /// Whether a JSON object beside a picture is a sidecar of ours or of Image
    /// Tagger, and not that of another program (gallery-dl writes `x.json` too).
    pub fn is_own(document: &Map<String, Value>) -> bool {
        let is_text = |key: &str| document.get(key).is_some_and(Value::is_string);
        let by_gallery_dl = is_text("category")
            && ["subcategory", "extension", "filename"]
                .into_iter()
                .any(is_text);
        if by_gallery_dl {
            return false;
        }
        document.is_empty()
            || Self::is_surely_own(document)
            || document.get("tags").is_some_and(Value::is_array)
            || ["caption", "related", "similar_images"]
                .iter()
                .any(|key| document.contains_key(*key))
    }

    /// Stricter: for a JSON file that has no picture beside it.
    pub fn is_surely_own(document: &Map<String, Value>) -> bool {
        let tags = document.get("tags").and_then(Value::as_array);
        document.get("schema").is_some_and(Value::is_u64)
            || tags.is_some_and(|tags| {
                let is_tag =
                    |tag: &Value| tag.get("category").is_some() && tag.get("value").is_some();
                tags.iter().all(is_tag) && (!tags.is_empty() || document.contains_key("related"))
            })
    }
}

/// Whether the program knows this key of a sidecar.
pub(super) fn is_known_key(key: &str) -> bool {
    KEYS.contains(&key)
}

/// Puts a known key at its place in the table.
pub(super) fn insert_known(document: &mut Map<String, Value>, key: &str, value: Value) {
    render::insert(document, key, value);
}

fn document(text: &str) -> Result<Map<String, Value>, SidecarError> {
    if text.len() > MAX_BYTES {
        return Err(SidecarError::TooLarge);
    }
    match strict::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(SidecarError::NotAnObject),
        Err(error) => Err(SidecarError::Syntax(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
