//! Facts of a medium that searches ask for now and then: the index keeps them, one
//! short text for each, and the catalog in memory does not.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    id::MediaKey,
    media::{Media, post_name},
    sidecar::LeanTags,
    tag::USER,
};

/// Between the parts of a fact that has several: the end of a line.
pub const PART: char = '\n';

/// A kind of fact. The number is what the index stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fact {
    /// One part for each note: its name, `: ` and its text, without line ends.
    Notes = 1,
    /// One part for each URL.
    Urls = 2,
    /// Where the file lay before it came here.
    OriginalPath = 3,
    /// Who put the tags there, one part each; left out when it was the user alone.
    Provenance = 4,
    /// The confidences of tags that a model put there, one part each.
    Confidences = 5,
    /// Tags that were taken away, as `category:value` or `value`, one part each.
    Removed = 6,
    /// What a mask covers.
    MaskCategory = 7,
    /// Frames a second.
    FrameRate = 8,
    Pages = 9,
    /// RFC 3339.
    Taken = 10,
    /// RFC 3339, what the metadata say.
    Created = 11,
    /// What is embedded in the original: one part for each of [`EMBEDDED`].
    Embedded = 12,
    /// The posts that sites call its parents, one `site#id` each.
    ParentPosts = 13,
}

/// What the index can be asked for of all media at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Fact(Fact),
    Caption,
    /// By the name of its algorithm, see [`HASH_NAMES`](super::media::HASH_NAMES).
    Hash(&'static str),
    /// One for each related medium: the name of the relation, [`PART`], the other id.
    Relation,
    /// One for each post that it is: `site#id`.
    Post,
    /// The time of the original, in seconds since 1970.
    FileModified,
}

/// A project as a search sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Album {
    pub name: String,
    /// Its members in order, without those that are not here.
    pub media: Vec<MediaKey>,
    /// What a smart album finds besides.
    pub query: Option<String>,
}

/// What [`Fact::Embedded`] names, and the keys of the metadata that tell of it.
pub const EMBEDDED: [(&str, &[&str]); 6] = [
    ("audio", &["audio"]),
    (
        "exif",
        &["exif", "camera", "lens", "taken", "iso", "exposure"],
    ),
    ("xmp", &["xmp"]),
    ("iptc", &["iptc"]),
    ("icc", &["icc", "icc_profile"]),
    ("upscaled", &["upscaled", "upscaler"]),
];

impl Fact {
    pub const ALL: [Self; 13] = [
        Self::Notes,
        Self::Urls,
        Self::OriginalPath,
        Self::Provenance,
        Self::Confidences,
        Self::Removed,
        Self::MaskCategory,
        Self::FrameRate,
        Self::Pages,
        Self::Taken,
        Self::Created,
        Self::Embedded,
        Self::ParentPosts,
    ];

    /// What a sidecar says of this kind; `None` when it says nothing.
    pub fn of(self, media: &Media) -> Option<String> {
        joined(match self {
            Self::Notes => media.notes.iter().map(note).collect(),
            Self::Urls => media.urls.clone(),
            Self::OriginalPath => word(media.metadata.get("original_path")),
            Self::Provenance => {
                let sources: BTreeSet<&str> = media
                    .tags
                    .iter()
                    .map(|tag| tag.src.as_deref().unwrap_or(USER))
                    .collect();
                provenance(sources)
            }
            Self::Confidences => media
                .tags
                .iter()
                .filter_map(|tag| Some(tag.conf?.to_string()))
                .collect(),
            Self::Removed => media
                .tags_removed
                .iter()
                .map(|tag| tag.name().to_string())
                .collect(),
            Self::MaskCategory => word(media.derived.get("mask_category")),
            Self::FrameRate => word(media.metadata.get("fps")),
            Self::Pages => word(media.metadata.get("pages")),
            Self::Taken => word(media.metadata.get("taken")),
            Self::Created => word(media.metadata.get("created")),
            Self::Embedded => EMBEDDED
                .iter()
                .filter(|(_, keys)| {
                    let mut metadata = media.metadata.iter();
                    metadata.any(|(key, value)| keys.contains(&key.as_str()) && is_there(value))
                })
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            Self::ParentPosts => media
                .parent_posts()
                .map(|(site, id)| post_name(site, &id))
                .collect(),
        })
    }

    /// As [`Fact::of`], where the tags were read for an index.
    pub fn of_lean(self, media: &Media, tags: &LeanTags) -> Option<String> {
        match self {
            Self::Provenance => joined(provenance(
                tags.sources.iter().map(String::as_str).collect(),
            )),
            Self::Confidences => joined(tags.confidences.iter().map(f64::to_string).collect()),
            _ => self.of(media),
        }
    }
}

fn joined(mut parts: Vec<String>) -> Option<String> {
    for part in &mut parts {
        if part.contains(PART) {
            *part = part.replace(PART, " ");
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(parts.join("\n")),
    }
}

fn word(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Number(number)) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

fn is_there(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

fn note(note: &Value) -> String {
    let text = |key: &str| note.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{}: {}", text("name"), text("text"))
}

/// Who put tags there, each once; nothing when it was nobody but the user.
fn provenance(sources: BTreeSet<&str>) -> Vec<String> {
    if sources.iter().all(|source| *source == USER) {
        return Vec::new();
    }
    sources.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sidecar::Sidecar;

    #[test]
    fn only_what_is_said_is_a_fact() {
        let media = Sidecar::parse(
            r#"{"tags": [{"category": "general", "value": "a", "src": "tagger:x", "conf": 0.5},
                {"category": "general", "value": "b"}],
                "tags_removed": [{"category": "character", "value": "Holo"}],
                "notes": [{"name": "t", "text": "two\nlines"}],
                "urls": ["https://a.example/1", "https://b.example/2"],
                "sources": {"danbooru": {"id": "7", "parent_id": 5}, "e621": {"parent_id": null}},
                "metadata": {"camera": "X", "fps": 23.976, "pages": 3, "xmp": false}}"#,
        )
        .unwrap()
        .media;
        let facts: Vec<_> = Fact::ALL
            .into_iter()
            .filter_map(|fact| Some((fact, fact.of(&media)?)))
            .collect();
        let expected = [
            (Fact::Notes, "t: two lines"),
            (Fact::Urls, "https://a.example/1\nhttps://b.example/2"),
            (Fact::Provenance, "tagger:x\nuser"),
            (Fact::Confidences, "0.5"),
            (Fact::Removed, "character:holo"),
            (Fact::FrameRate, "23.976"),
            (Fact::Pages, "3"),
            (Fact::Embedded, "exif"),
            (Fact::ParentPosts, "danbooru#5"),
        ]
        .map(|(fact, text)| (fact, text.to_owned()));
        assert_eq!(facts, expected);
        let bare = Sidecar::parse("{}").unwrap().media;
        assert!(Fact::ALL.iter().all(|fact| fact.of(&bare).is_none()));
    }
}
