//! From a JSON object to a [`Media`]. A field that is absent or of another form
//! gives its default; what stood there is kept by the document.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{DERIVED, KEYS, SidecarError};
use crate::model::{
    media::{Hashes, Media, Revision},
    tag::{RemovedTag, Tag, TagName, rounded},
};

/// Image Tagger compares hashes of 16 hexadecimal digits.
const SIMILAR_BITS: f64 = 64.0;

type Object = Map<String, Value>;

pub(super) fn media(document: &Object) -> Result<Media, SidecarError> {
    let mut related = related(document)?;
    let mut relations = object(document, "relations");
    similar_images(document, &mut related, &mut relations);
    Ok(Media {
        kind: word(document, "type").unwrap_or_default(),
        name: text(document, "name").unwrap_or_default(),
        caption: text(document, "caption").unwrap_or_default(),
        captions: list(document, "captions"),
        tags: tags(document)?,
        tags_removed: tags_removed(document)?,
        related,
        relations,
        rating: word(document, "rating"),
        rating_src: text(document, "rating_src"),
        stars: document
            .get("stars")
            .and_then(Value::as_u64)
            .map_or(0, |stars| u8::try_from(stars.min(5)).unwrap_or(5)),
        fav: document.get("fav") == Some(&Value::Bool(true)),
        status: word(document, "status"),
        notes: list(document, "notes"),
        urls: texts(document.get("urls")),
        sources: object(document, "sources"),
        active_source: text(document, "active_source"),
        hashes: hashes(&object(document, "hashes")),
        metadata: metadata(document)?,
        locked: texts(document.get("locked")),
        rev: revision(document),
        derived: derived(document),
    })
}

fn derived(document: &Object) -> Object {
    let keys = &KEYS[DERIVED];
    if !document.keys().any(|key| keys.contains(&key.as_str())) {
        return Object::new();
    }
    keys.iter()
        .filter_map(|key| Some(((*key).to_owned(), document.get(*key)?.clone())))
        .collect()
}

fn text(object: &Object, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

fn word<T: std::str::FromStr>(object: &Object, key: &str) -> Option<T> {
    object.get(key)?.as_str()?.parse().ok()
}

fn list(object: &Object, key: &str) -> Vec<Value> {
    let list = object.get(key).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

fn object(document: &Object, key: &str) -> Object {
    let object = document.get(key).and_then(Value::as_object);
    object.cloned().unwrap_or_default()
}

/// The texts of a list; a single text counts as a list of one.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

fn tags(document: &Object) -> Result<Vec<Tag>, SidecarError> {
    let items = match document.get("tags") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(SidecarError::Form {
                key: "tags",
                expected: "a list",
            });
        }
    };
    let mut placed = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let tag = Tag::from_json(item).ok_or(SidecarError::Form {
            key: "tags",
            expected: "a list of tags",
        })?;
        placed.push((position(item, index), tag));
    }
    placed.sort_by_key(|(position, _)| *position);
    let mut names: HashSet<TagName> = HashSet::with_capacity(placed.len());
    Ok(placed
        .into_iter()
        .map(|(_, tag)| tag)
        .filter(|tag| !tag.value.is_empty() && names.insert(tag.name()))
        .collect())
}

/// Where a tag wants to stand; its place in the list when it does not say.
fn position(item: &Value, index: usize) -> usize {
    item.get("position")
        .and_then(Value::as_u64)
        .and_then(|position| usize::try_from(position).ok())
        .unwrap_or(index)
}

fn tags_removed(document: &Object) -> Result<Vec<RemovedTag>, SidecarError> {
    let error = || SidecarError::Form {
        key: "tags_removed",
        expected: "a list of tags",
    };
    match document.get("tags_removed") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| RemovedTag::from_json(item).ok_or_else(error))
            .collect(),
        Some(_) => Err(error()),
    }
}

fn related(document: &Object) -> Result<Vec<(String, Vec<String>)>, SidecarError> {
    match document.get("related") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(lists)) => Ok(lists
            .iter()
            .map(|(relation, ids)| (relation.clone(), texts(Some(ids))))
            .collect()),
        Some(_) => Err(SidecarError::Form {
            key: "related",
            expected: "an object of lists",
        }),
    }
}

/// The form before `related`: `[[file, distance], …]` or `[file, …]`.
fn similar_images(
    document: &Object,
    related: &mut Vec<(String, Vec<String>)>,
    relations: &mut Object,
) {
    let Some(items) = document.get("similar_images").and_then(Value::as_array) else {
        return;
    };
    for item in items {
        let (file, distance) = match item {
            Value::String(file) => (file.as_str(), None),
            Value::Array(pair) => match pair.first().and_then(Value::as_str) {
                Some(file) => (file, pair.get(1).and_then(Value::as_f64)),
                None => continue,
            },
            _ => continue,
        };
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let id = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        if id.is_empty() {
            continue;
        }
        match related
            .iter_mut()
            .find(|(relation, _)| relation == "similar")
        {
            Some((_, ids)) if ids.iter().any(|known| known == id) => {}
            Some((_, ids)) => ids.push(id.to_owned()),
            None => related.push(("similar".to_owned(), vec![id.to_owned()])),
        }
        if let Some(distance) = distance {
            let score = (1.0 - distance / SIMILAR_BITS).clamp(0.0, 1.0);
            let strengths = relations
                .entry("similar")
                .or_insert_with(|| Value::Object(Object::new()));
            if let Value::Object(strengths) = strengths {
                strengths
                    .entry(id)
                    .or_insert_with(|| serde_json::json!({ "score": rounded(score) }));
            }
        }
    }
}

pub(in crate::model) fn hashes(object: &Object) -> Hashes {
    let mut hashes = Hashes::default();
    for (key, value) in object {
        match (hashes.get_mut(key), value) {
            (Some(field), Value::String(hash)) => *field = Some(hash.clone()),
            _ => {
                hashes.rest.insert(key.clone(), value.clone());
            }
        }
    }
    hashes
}

fn metadata(document: &Object) -> Result<Object, SidecarError> {
    match document.get("metadata") {
        None | Some(Value::Null) => Ok(Object::new()),
        Some(Value::Object(metadata)) => Ok(metadata.clone()),
        Some(_) => Err(SidecarError::Form {
            key: "metadata",
            expected: "an object",
        }),
    }
}

fn revision(document: &Object) -> Option<Revision> {
    let rev = document.get("rev")?.as_object()?;
    Some(Revision {
        n: rev.get("n")?.as_u64()?,
        host: text(rev, "host").unwrap_or_default(),
        at: text(rev, "at").unwrap_or_default(),
    })
}
