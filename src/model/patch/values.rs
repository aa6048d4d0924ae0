//! The part of a patch that is no list: fields and the entries of objects, each
//! under its path, with what stood there before and after.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::list::present;
use crate::model::{
    media::{HASH_NAMES, Hashes, Media},
    sidecar::read,
};

type Object = Map<String, Value>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ValueChange {
    path: Vec<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    before: Option<Value>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    after: Option<Value>,
}

impl ValueChange {
    pub(super) fn inverse(&self) -> Self {
        Self {
            path: self.path.clone(),
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }

    /// What the change is about, as people say it.
    fn title(&self) -> String {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path[..] {
            ["type"] => "the media type".to_owned(),
            ["active_source"] => "the active source".to_owned(),
            ["fav"] => "the favorite mark".to_owned(),
            ["sources", site] => format!("what {site} says"),
            ["hashes", name] => format!("the hash {name}"),
            ["metadata", key] => format!("the metadata {key}"),
            ["relations", ref rest @ ..] => format!("the strength {}", rest.join(" ")),
            ["derived", key] | [key] => format!("the {key}"),
            _ => path.join(" "),
        }
    }
}

pub(super) fn between(before: &Media, after: &Media) -> Vec<ValueChange> {
    let mut changes = Vec::new();
    let mut path = Vec::new();
    compare(&fields(before), &fields(after), 1, &mut path, &mut changes);
    for (name, before, after, depth) in [
        ("metadata", &before.metadata, &after.metadata, 1),
        ("sources", &before.sources, &after.sources, 1),
        ("relations", &before.relations, &after.relations, 2),
        ("derived", &before.derived, &after.derived, 1),
        ("hashes", &hashes(&before.hashes), &hashes(&after.hashes), 1),
    ] {
        path.push(name.to_owned());
        compare(before, after, depth, &mut path, &mut changes);
        path.pop();
    }
    changes
}

/// Applies the changes and returns what was left alone.
pub(super) fn apply(changes: &[ValueChange], media: &mut Media) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut root = fields(media);
    for (name, object) in [
        ("metadata", std::mem::take(&mut media.metadata)),
        ("sources", std::mem::take(&mut media.sources)),
        ("relations", std::mem::take(&mut media.relations)),
        ("derived", std::mem::take(&mut media.derived)),
        ("hashes", hashes(&media.hashes)),
    ] {
        root.insert(name.to_owned(), Value::Object(object));
    }
    let mut left = Vec::new();
    // Removals last: they take out an object that they leave empty.
    let (others, removals): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| change.after.is_some());
    for change in others.into_iter().chain(removals) {
        if !apply_one(change, &mut root) {
            left.push(format!("{} was changed since", change.title()));
        }
    }
    for (name, object) in [
        ("metadata", &mut media.metadata),
        ("sources", &mut media.sources),
        ("relations", &mut media.relations),
        ("derived", &mut media.derived),
    ] {
        *object = taken(&mut root, name);
    }
    media.hashes = read::hashes(&taken(&mut root, "hashes"));
    set_fields(media, &root);
    left
}

fn taken(root: &mut Object, name: &str) -> Object {
    match root.get_mut(name).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

/// Lists the entries that differ. Down to `depth`, objects are compared entry by
/// entry; one that is absent counts as empty there, so that two programs can each
/// put something into it.
fn compare(
    before: &Object,
    after: &Object,
    depth: usize,
    path: &mut Vec<String>,
    changes: &mut Vec<ValueChange>,
) {
    let empty = Object::new();
    let inner = |value: Option<&Value>| match value {
        None => true,
        Some(Value::Object(object)) => !object.is_empty(),
        Some(_) => false,
    };
    let added = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(added) {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        path.push(key.clone());
        if depth > 1 && inner(old) && inner(new) {
            let object = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
            let (old, new) = (object(old), object(new));
            compare(
                old.as_ref().unwrap_or(&empty),
                new.as_ref().unwrap_or(&empty),
                depth - 1,
                path,
                changes,
            );
        } else {
            changes.push(ValueChange {
                path: path.clone(),
                before: old.cloned(),
                after: new.cloned(),
            });
        }
        path.pop();
    }
}

/// False when the value is neither as before nor as after.
fn apply_one(change: &ValueChange, root: &mut Object) -> bool {
    let Some((key, above)) = change.path.split_last() else {
        return false;
    };
    let current = above
        .iter()
        .try_fold(&*root, |object, key| object.get(key)?.as_object())
        .and_then(|object| object.get(key));
    if current == change.after.as_ref() {
        return true;
    }
    if current != change.before.as_ref() {
        return false;
    }
    match &change.after {
        Some(after) => {
            let mut object = root;
            for key in above {
                let entry = object
                    .entry(key.clone())
                    .or_insert_with(|| Value::Object(Object::new()));
                let Value::Object(inner) = entry else {
                    return false;
                };
                object = inner;
            }
            object.insert(key.clone(), after.clone());
        }
        None => remove(root, &change.path),
    }
    true
}

/// Takes out an entry, and the object it stood in when that is empty then; those
/// of the medium itself stay.
fn remove(object: &mut Object, path: &[String]) {
    match path {
        [key] => {
            object.shift_remove(key);
        }
        [key, rest @ ..] => {
            if let Some(Value::Object(inner)) = object.get_mut(key) {
                remove(inner, rest);
                if inner.is_empty() {
                    object.shift_remove(key);
                }
            }
        }
        [] => {}
    }
}

/// The single fields under their names in the sidecar; the rating with its source,
/// since one means nothing without the other.
fn fields(media: &Media) -> Object {
    let mut fields = Object::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };
    set("type", Some(media.kind.as_str().into()));
    set("name", Some(media.name.as_str().into()));
    set("caption", Some(media.caption.as_str().into()));
    let mut rating = Object::new();
    if let Some(letter) = media.rating {
        rating.insert("rating".to_owned(), letter.letter().into());
    }
    if let Some(src) = &media.rating_src {
        rating.insert("src".to_owned(), src.as_str().into());
    }
    set("rating", Some(Value::Object(rating)));
    set("stars", Some(media.stars.into()));
    set("fav", Some(media.fav.into()));
    set("status", media.status.map(|status| status.as_str().into()));
    set(
        "active_source",
        media.active_source.as_deref().map(Value::from),
    );
    fields
}

fn set_fields(media: &mut Media, fields: &Object) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let own = |key: &str| text(fields.get(key));
    let rating = |key: &str| text(fields.get("rating").and_then(|rating| rating.get(key)));
    if let Some(kind) = own("type").and_then(|word| word.parse().ok()) {
        media.kind = kind;
    }
    media.name = own("name").unwrap_or_default();
    media.caption = own("caption").unwrap_or_default();
    media.rating = rating("rating").and_then(|letter| letter.parse().ok());
    media.rating_src = rating("src");
    let stars = fields.get("stars").and_then(Value::as_u64);
    media.stars = stars
        .and_then(|stars| u8::try_from(stars).ok())
        .unwrap_or_default();
    media.fav = fields.get("fav") == Some(&json!(true));
    media.status = own("status").and_then(|word| word.parse().ok());
    media.active_source = own("active_source");
}

/// All hashes as one object, the unknown ones first.
fn hashes(hashes: &Hashes) -> Object {
    let mut object = hashes.rest.clone();
    for name in HASH_NAMES {
        if let Some(hash) = hashes.get(name) {
            object.insert(name.to_owned(), hash.into());
        }
    }
    object
}
