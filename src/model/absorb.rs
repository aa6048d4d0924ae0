//! What a picture takes over from another description of the same picture, when two
//! copies become one.

use serde_json::Value;

use super::{
    edit::{Edit, apply_all},
    media::{HASH_NAMES, Media},
};

/// Adds what another description of the same picture knows; what is there wins.
pub fn absorb(media: &mut Media, other: &Media) {
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(other.tags.iter().map(|tag| Edit::AddTag {
        tag: tag.clone(),
        position: None,
    }));
    edits.extend(other.urls.iter().cloned().map(Edit::AddUrl));
    for (relation, ids) in &other.related {
        edits.extend(ids.iter().map(|id| Edit::AddRelation {
            relation: relation.clone(),
            id: id.clone(),
        }));
    }
    let is_locked = |field: &str| media.locked.iter().any(|locked| locked == field);
    if media.caption.is_empty() && !other.caption.is_empty() && !is_locked("caption") {
        edits.push(Edit::SetCaption(other.caption.clone()));
    }
    if media.name.is_empty() && !other.name.is_empty() && !is_locked("name") {
        edits.push(Edit::SetName(other.name.clone()));
    }
    if media.rating.is_none() && other.rating.is_some() && !is_locked("rating") {
        edits.push(Edit::SetRating {
            rating: other.rating,
            src: other.rating_src.clone(),
        });
    }
    if other.stars > media.stars {
        edits.push(Edit::SetStars(other.stars));
    }
    if other.fav {
        edits.push(Edit::SetFav(true));
    }
    if is_locked("tags") {
        edits.retain(|edit| !matches!(edit, Edit::AddTag { .. }));
    }
    apply_all(&edits, media);
    fill(&mut media.sources, &other.sources);
    fill(&mut media.metadata, &other.metadata);
    fill(&mut media.derived, &other.derived);
    for note in &other.notes {
        if !media.notes.contains(note) {
            media.notes.push(note.clone());
        }
    }
    for name in HASH_NAMES {
        if let (Some(hash), Some(field)) = (other.hashes.get(name), media.hashes.get_mut(name))
            && field.is_none()
        {
            *field = Some(hash.to_owned());
        }
    }
}

/// Takes over keys that are not there yet.
fn fill(object: &mut serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>) {
    for (key, value) in other {
        if !object.contains_key(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}
