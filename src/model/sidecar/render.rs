//! From a [`Media`] back to JSON: only fields that differ from what the document
//! says are written; everything else stays as it stands there.

use serde_json::{Map, Value, json};

use super::{DERIVED, KEYS, Sidecar, read};
use crate::model::media::{HASH_NAMES, Hashes, Media, Revision};

type Object = Map<String, Value>;

/// The version of the schema that new and changed sidecars name.
const SCHEMA: u64 = 1;

pub(super) fn document(sidecar: &Sidecar) -> Object {
    let media = &sidecar.media;
    let mut document = Document(sidecar.document.clone());
    // A document in memory is one that was read, so this cannot fail; an empty
    // medium makes every field count as changed.
    let old = read::media(&sidecar.document).unwrap_or_default();

    document.default("schema", || SCHEMA.into());
    document.default("type", || media.kind.as_str().into());
    document.change("type", old.kind == media.kind, || {
        Some(media.kind.as_str().into())
    });
    for key in &KEYS[DERIVED] {
        let value = media.derived.get(*key);
        document.change(key, old.derived.get(*key) == value, || value.cloned());
    }
    for (key, old, new) in [
        ("name", &old.name, &media.name),
        ("caption", &old.caption, &media.caption),
    ] {
        let stays = document.0.contains_key(key);
        document.change(key, old == new, || {
            (stays || !new.is_empty()).then(|| new.as_str().into())
        });
    }
    document.change("captions", old.captions == media.captions, || {
        filled(media.captions.clone())
    });
    document.change("tags", old.tags == media.tags, || {
        let tags = media.tags.iter().enumerate();
        Some(
            tags.map(|(position, tag)| Value::Object(tag.to_object(position)))
                .collect(),
        )
    });
    document.change(
        "tags_removed",
        old.tags_removed == media.tags_removed,
        || {
            let removed = media.tags_removed.iter();
            filled(removed.map(|tag| Value::Object(tag.to_object())).collect())
        },
    );
    if old.related != media.related || old.relations != media.relations {
        // What this old key said is in `related` and `relations` now; left here it
        // would bring back relations that were removed.
        if document.0.shift_remove("similar_images").is_some() {
            let before = read::media(&document.0).unwrap_or_default();
            relations(&mut document, &before, media);
        } else {
            relations(&mut document, &old, media);
        }
    }
    document.change("rating", old.rating == media.rating, || {
        media.rating.map(|rating| rating.letter().into())
    });
    document.change("rating_src", old.rating_src == media.rating_src, || {
        media.rating_src.clone().map(Value::from)
    });
    document.change("stars", old.stars == media.stars, || {
        (media.stars > 0).then(|| media.stars.into())
    });
    document.change("fav", old.fav == media.fav, || {
        media.fav.then_some(Value::Bool(true))
    });
    document.change("status", old.status == media.status, || {
        media.status.map(|status| status.as_str().into())
    });
    document.change("notes", old.notes == media.notes, || {
        filled(media.notes.clone())
    });
    for (key, old, new) in [
        ("urls", &old.urls, &media.urls),
        ("locked", &old.locked, &media.locked),
    ] {
        let rest = not_texts(document.0.get(key));
        document.change(key, old == new, || {
            filled(new.iter().cloned().map(Value::from).chain(rest).collect())
        });
    }
    document.change("sources", old.sources == media.sources, || {
        filled_object(media.sources.clone())
    });
    document.change(
        "active_source",
        old.active_source == media.active_source,
        || media.active_source.clone().map(Value::from),
    );
    let raw = object(document.0.get("hashes"));
    document.change("hashes", old.hashes == media.hashes, || {
        filled_object(hashes(raw, &media.hashes))
    });
    document.change("metadata", old.metadata == media.metadata, || {
        Some(Value::Object(media.metadata.clone()))
    });
    let raw = object(document.0.get("rev"));
    document.change("rev", old.rev == media.rev, || {
        media.rev.as_ref().map(|rev| revision(raw, rev))
    });
    if sidecar.document.is_empty() {
        // Readers of the old form expect these three.
        document.default("tags", || json!([]));
        document.default("related", || json!({}));
        document.default("metadata", || json!({}));
    }
    document.0
}

fn relations(document: &mut Document, old: &Media, media: &Media) {
    let raw = object(document.0.get("related"));
    document.change("related", old.related == media.related, || {
        let lists = media.related.iter().map(|(relation, ids)| {
            let rest = not_texts(raw.get(relation));
            let ids = ids.iter().cloned().map(Value::from).chain(rest);
            (relation.clone(), ids.collect())
        });
        Some(Value::Object(lists.collect()))
    });
    document.change("relations", old.relations == media.relations, || {
        filled_object(media.relations.clone())
    });
}

/// An object that takes new keys at their place in the table of the schema.
struct Document(Object);

impl Document {
    fn default(&mut self, key: &str, value: impl FnOnce() -> Value) {
        if !self.0.contains_key(key) {
            self.insert(key, value());
        }
    }

    /// Writes a field unless it is unchanged; `None` takes it out.
    fn change(&mut self, key: &str, unchanged: bool, value: impl FnOnce() -> Option<Value>) {
        if unchanged {
            return;
        }
        match value() {
            Some(value) => self.insert(key, value),
            None => {
                self.0.shift_remove(key);
            }
        }
    }

    fn insert(&mut self, key: &str, value: Value) {
        insert(&mut self.0, key, value);
    }
}

pub(super) fn insert(document: &mut Object, key: &str, value: Value) {
    if let Some(old) = document.get_mut(key) {
        *old = value;
        return;
    }
    let place = KEYS.iter().position(|known| *known == key).unwrap_or(0);
    let before = KEYS[..place].iter().rev();
    let index = before
        .filter_map(|known| document.keys().position(|present| present == known))
        .max();
    document.shift_insert(index.map_or(0, |index| index + 1), key.to_owned(), value);
}

fn object(value: Option<&Value>) -> Object {
    value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn filled(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

fn filled_object(object: Object) -> Option<Value> {
    (!object.is_empty()).then_some(Value::Object(object))
}

/// Items of a list of texts that are something else, and that nobody may lose.
fn not_texts(value: Option<&Value>) -> Vec<Value> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter(|item| !item.is_string()).cloned().collect()
}

fn hashes(mut object: Object, hashes: &Hashes) -> Object {
    for name in HASH_NAMES {
        match hashes.get(name) {
            Some(hash) => {
                object.insert(name.to_owned(), hash.into());
            }
            None if !hashes.rest.contains_key(name) => {
                object.shift_remove(name);
            }
            None => {}
        }
    }
    object.retain(|key, _| HASH_NAMES.contains(&key.as_str()) || hashes.rest.contains_key(key));
    for (key, value) in &hashes.rest {
        if hashes.get(key).is_none() {
            object.insert(key.clone(), value.clone());
        }
    }
    object
}

fn revision(mut object: Object, rev: &Revision) -> Value {
    object.insert("n".to_owned(), rev.n.into());
    object.insert("host".to_owned(), rev.host.as_str().into());
    object.insert("at".to_owned(), rev.at.as_str().into());
    Value::Object(object)
}

/// The whole file: one key on a line, and one item on a line where merges need it.
pub(super) fn text(document: &Object) -> String {
    let mut text = String::with_capacity(1024);
    text.push('{');
    for (index, (key, value)) in document.iter().enumerate() {
        text.push_str(if index == 0 { "\n  " } else { ",\n  " });
        push_text(&mut text, key);
        text.push_str(": ");
        match (key.as_str(), value) {
            ("tags" | "tags_removed", Value::Array(items)) if !items.is_empty() => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index == 0 { "\n    " } else { ",\n    " });
                    push(&mut text, item);
                }
                text.push_str("\n  ]");
            }
            ("related", Value::Object(lists)) if !lists.is_empty() => {
                text.push('{');
                for (index, (relation, ids)) in lists.iter().enumerate() {
                    text.push_str(if index == 0 { "\n    " } else { ",\n    " });
                    push_text(&mut text, relation);
                    text.push_str(": ");
                    push(&mut text, ids);
                }
                text.push_str("\n  }");
            }
            _ => push(&mut text, value),
        }
    }
    text.push_str(if document.is_empty() { "}\n" } else { "\n}\n" });
    text
}

/// A value on one line, with a space after `:` and `,`.
fn push(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                push(text, item);
            }
            text.push(']');
        }
        Value::Object(object) => {
            text.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                push_text(text, key);
                text.push_str(": ");
                push(text, value);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn push_text(text: &mut String, content: &str) {
    text.push_str(&Value::from(content).to_string());
}
