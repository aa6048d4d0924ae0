//! A medium as its sidecar describes it: what it is, its tags, its relations,
//! and everything else people and programs said about it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::tag::{RemovedTag, Tag, TagName};

/// Extensions of originals, lower case: those of the formats that are told apart, and
/// the other names that they go by. What a file really is its bytes say.
pub const EXTENSIONS: [&str; 37] = [
    "apng", "avi", "avif", "bmp", "exr", "gif", "heic", "heif", "ico", "j2k", "jfif", "jp2", "jpe",
    "jpeg", "jpf", "jpg", "jpx", "jxl", "m4v", "mkv", "mov", "mp4", "pam", "pbm", "pgm", "png",
    "pnm", "ppm", "psb", "psd", "qoi", "svg", "tga", "tif", "tiff", "webm", "webp",
];

/// Whether an extension (without the dot, in any case) is that of an original.
pub fn is_extension(extension: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

/// What a medium is. Masks, crops and video frames are derived from another one
/// and hidden unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    #[default]
    Image,
    Animation,
    Video,
    Mask,
    VideoFrame,
    Crop,
}

impl MediaKind {
    pub const ALL: [Self; 6] = [
        Self::Image,
        Self::Animation,
        Self::Video,
        Self::Mask,
        Self::VideoFrame,
        Self::Crop,
    ];

    /// The word a sidecar and a query use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Animation => "animation",
            Self::Video => "video",
            Self::Mask => "mask",
            Self::VideoFrame => "video_frame",
            Self::Crop => "crop",
        }
    }

    pub fn is_derived(self) -> bool {
        matches!(self, Self::Mask | Self::VideoFrame | Self::Crop)
    }
}

/// A word that names no [`MediaKind`], [`Rating`] or [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}: {word:?}")]
pub struct UnknownWord {
    pub what: &'static str,
    pub word: String,
}

impl FromStr for MediaKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownWord {
                what: "media type",
                word: word.to_owned(),
            })
    }
}

/// The content rating, from mild to explicit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rating {
    General,
    Sensitive,
    Questionable,
    Explicit,
}

impl Rating {
    pub const ALL: [Self; 4] = [
        Self::General,
        Self::Sensitive,
        Self::Questionable,
        Self::Explicit,
    ];

    /// The letter a sidecar stores.
    pub fn letter(self) -> &'static str {
        match self {
            Self::General => "g",
            Self::Sensitive => "s",
            Self::Questionable => "q",
            Self::Explicit => "e",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Sensitive => "sensitive",
            Self::Questionable => "questionable",
            Self::Explicit => "explicit",
        }
    }
}

impl FromStr for Rating {
    type Err = UnknownWord;

    /// Understands letters, names, and the old form `rating_general`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let lower = word.to_ascii_lowercase();
        let bare = lower.strip_prefix("rating_").unwrap_or(&lower);
        Self::ALL
            .into_iter()
            .find(|rating| rating.letter() == bare || rating.name() == bare)
            .ok_or_else(|| UnknownWord {
                what: "rating",
                word: word.to_owned(),
            })
    }
}

/// Where a medium stands in its owner's triage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Inbox,
    Archived,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Archived => "archived",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "inbox" => Ok(Self::Inbox),
            "archived" => Ok(Self::Archived),
            _ => Err(UnknownWord {
                what: "status",
                word: word.to_owned(),
            }),
        }
    }
}

impl Serialize for Rating {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.letter())
    }
}

impl<'de> Deserialize<'de> for Rating {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(D::Error::custom)
    }
}

/// Hashes of the original and of its pixels, as hexadecimal text. The parameters
/// of the perceptual ones are in `library.json` `hash_params`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hashes {
    pub md5: Option<String>,
    pub sha256: Option<String>,
    /// Of the decoded RGBA8 pixels after orientation.
    pub pixel: Option<String>,
    pub phash: Option<String>,
    pub dhash: Option<String>,
    pub ahash: Option<String>,
    pub whash: Option<String>,
    pub colorhash: Option<String>,
    /// Unknown keys, and known ones of a wrong type.
    pub rest: Map<String, Value>,
}

/// The names under which a sidecar stores the fields of [`Hashes`], in order.
pub const HASH_NAMES: [&str; 8] = [
    "md5",
    "sha256",
    "pixel",
    "phash",
    "dhash",
    "ahash",
    "whash",
    "colorhash",
];

impl Hashes {
    pub fn get(&self, name: &str) -> Option<&str> {
        match name {
            "md5" => self.md5.as_deref(),
            "sha256" => self.sha256.as_deref(),
            "pixel" => self.pixel.as_deref(),
            "phash" => self.phash.as_deref(),
            "dhash" => self.dhash.as_deref(),
            "ahash" => self.ahash.as_deref(),
            "whash" => self.whash.as_deref(),
            "colorhash" => self.colorhash.as_deref(),
            _ => None,
        }
    }

    /// The field of that name, or `None` for a name that is not in [`HASH_NAMES`].
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "md5" => Some(&mut self.md5),
            "sha256" => Some(&mut self.sha256),
            "pixel" => Some(&mut self.pixel),
            "phash" => Some(&mut self.phash),
            "dhash" => Some(&mut self.dhash),
            "ahash" => Some(&mut self.ahash),
            "whash" => Some(&mut self.whash),
            "colorhash" => Some(&mut self.colorhash),
            _ => None,
        }
    }
}

/// Who changed the sidecar last; a counter that detects lost updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    pub n: u64,
    pub host: String,
    /// RFC 3339.
    pub at: String,
}

/// Keys of derived media that name what they are made from.
const ORIGINS: [&str; 3] = ["source_image", "source_video", "parent_image"];

/// Everything a sidecar says about one medium.
///
/// Fields that the program only carries around stay JSON: `relations`, `notes`,
/// `captions`, `sources`, `metadata`, and `derived`, which holds the keys that
/// belong to one kind (`source_image`, `mask_category`, `crop_rect`, …).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    pub name: String,
    pub caption: String,
    /// Further captions: `{kind, text, src}`.
    pub captions: Vec<Value>,
    /// In order; no two have the same [`TagName`].
    pub tags: Vec<Tag>,
    pub tags_removed: Vec<RemovedTag>,
    /// Relation name (`similar`, `masks`, `parent`, …) to ids, in the sidecar's order.
    pub related: Vec<(String, Vec<String>)>,
    /// Strengths: `{type: {id: {score, by, at}}}`.
    pub relations: Map<String, Value>,
    pub rating: Option<Rating>,
    pub rating_src: Option<String>,
    /// 0 (none) to 5.
    pub stars: u8,
    pub fav: bool,
    pub status: Option<Status>,
    /// `{name, text, box?}`.
    pub notes: Vec<Value>,
    pub urls: Vec<String>,
    /// Site to what it said: `{id, url, parent_id, rating, tags, …}`.
    pub sources: Map<String, Value>,
    pub active_source: Option<String>,
    pub hashes: Hashes,
    pub metadata: Map<String, Value>,
    /// Fields that no automatic process may change.
    pub locked: Vec<String>,
    pub rev: Option<Revision>,
    /// Keys of the derived kinds, by their sidecar name.
    pub derived: Map<String, Value>,
}

impl Media {
    pub fn tag(&self, name: &TagName) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.name() == *name)
    }

    pub fn has_tag(&self, name: &TagName) -> bool {
        self.tag(name).is_some()
    }

    /// The ids under one relation name.
    pub fn related(&self, relation: &str) -> &[String] {
        self.related
            .iter()
            .find(|(name, _)| name == relation)
            .map_or(&[], |(_, ids)| ids)
    }

    /// A text of `metadata`.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }

    /// A whole number of `metadata`; a fraction is cut off.
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = self.metadata.get(key)?;
        value.as_u64().or_else(|| {
            let number = value.as_f64().filter(|n| *n >= 0.0 && *n < 9e15)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked"
            )]
            Some(number as u64)
        })
    }

    /// Width and height in pixels, when both are known and not zero.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        let side = |key| {
            self.number(key)
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| *n > 0)
        };
        Some((side("width")?, side("height")?))
    }

    /// Follows a medium that has another id now, wherever this one names it.
    pub fn redirect(&mut self, from: &str, to: &str) {
        for (_, ids) in &mut self.related {
            let is_known = ids.iter().any(|id| id == to);
            match ids.iter().position(|id| id == from) {
                Some(at) if is_known => drop(ids.remove(at)),
                Some(at) => to.clone_into(&mut ids[at]),
                None => {}
            }
        }
        for strengths in self.relations.values_mut().filter_map(Value::as_object_mut) {
            if let Some(strength) = strengths.remove(from) {
                strengths.entry(to).or_insert(strength);
            }
        }
        for key in ORIGINS {
            if let Some(origin) = self.derived.get_mut(key)
                && origin == from
            {
                *origin = to.into();
            }
        }
    }

    /// The id of the medium this one is derived from.
    pub fn origin(&self) -> Option<&str> {
        ORIGINS
            .iter()
            .find_map(|key| self.derived.get(*key)?.as_str())
    }

    /// The post ids of this medium on the sites it is known to: `(site, id)`.
    pub fn posts(&self) -> impl Iterator<Item = (&str, String)> {
        self.post_ids("id")
    }

    /// The posts that those sites call its parents: `(site, id)`.
    pub fn parent_posts(&self) -> impl Iterator<Item = (&str, String)> {
        self.post_ids("parent_id")
    }

    fn post_ids(&self, name: &'static str) -> impl Iterator<Item = (&str, String)> {
        self.sources.iter().filter_map(move |(site, source)| {
            let id = match source.get(name)? {
                Value::String(id) if !id.is_empty() => id.clone(),
                Value::Number(id) => id.to_string(),
                _ => return None,
            };
            Some((site.as_str(), id))
        })
    }
}

/// A post as people write it: `site#id`.
pub fn post_name(site: &str, id: &str) -> String {
    format!("{site}#{id}")
}

/// Decoded pixels: RGBA, 8 bits a channel, row by row from the top left, not
/// premultiplied.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// `width * height * 4` bytes.
    pub rgba: Vec<u8>,
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for kind in MediaKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for rating in Rating::ALL {
            assert_eq!(rating.letter().parse(), Ok(rating));
            assert_eq!(format!("rating_{}", rating.name()).parse(), Ok(rating));
        }
        assert!("photo".parse::<MediaKind>().is_err());
    }

    #[test]
    fn numbers_survive_any_notation() {
        let media = Media {
            metadata: serde_json::from_str(r#"{"width": 1920, "height": 1080.0, "bytes": -1}"#)
                .unwrap(),
            ..Media::default()
        };
        assert_eq!(media.dimensions(), Some((1920, 1080)));
        assert_eq!(media.number("bytes"), None);
    }
}
