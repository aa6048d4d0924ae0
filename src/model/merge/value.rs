//! JSON of three sides, entry by entry: what the program does not know, and what it
//! only carries around.

use serde_json::{Map, Value};

use super::is_later;
use crate::model::sidecar::is_known_key;

type Object = Map<String, Value>;

/// Which of two values stays when both sides changed one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Preference {
    /// Said in the notes.
    First,
    /// Said in the notes.
    Newer,
    /// The object with the later `fetched`.
    Fetched,
    /// Two levels down, the object with the later `at`.
    Dated,
}

/// Merges the entries of base, older and newer.
pub(super) fn entries(
    what: &str,
    [base, older, newer]: [&Object; 3],
    preference: Preference,
    notes: &mut Vec<String>,
) -> Object {
    let added = newer.keys().filter(|key| !older.contains_key(*key));
    let mut merged = Object::new();
    for key in older.keys().chain(added) {
        let path = if what.is_empty() {
            key.clone()
        } else {
            format!("{what} {key}")
        };
        let sides = [base.get(key), older.get(key), newer.get(key)];
        if let Some(value) = value(&path, sides, preference, notes) {
            merged.insert(key.clone(), value);
        }
    }
    merged
}

fn value(
    path: &str,
    [base, older, newer]: [Option<&Value>; 3],
    preference: Preference,
    notes: &mut Vec<String>,
) -> Option<Value> {
    if older == newer || newer == base {
        return older.cloned();
    }
    if older == base {
        return newer.cloned();
    }
    let (Some(one), Some(other)) = (older, newer) else {
        // Changed on one side and removed on the other: nothing is lost.
        return older.or(newer).cloned();
    };
    let text =
        |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let dated = |key: &str| {
        let earlier = is_later(text(one, key).as_deref(), text(other, key).as_deref());
        Some(if earlier { one } else { other }.clone())
    };
    let is_dated = |value: &Value| value.get("at").is_some_and(Value::is_string);
    match (preference, one, other) {
        (Preference::Fetched, ..) => dated("fetched"),
        (Preference::Dated, ..) if is_dated(one) || is_dated(other) => dated("at"),
        (_, Value::Object(one), Value::Object(other)) => {
            let empty = Object::new();
            let base = base.and_then(Value::as_object).unwrap_or(&empty);
            let merged = entries(path, [base, one, other], preference, notes);
            Some(Value::Object(merged))
        }
        (Preference::First, ..) => {
            notes.push(format!(
                "{path} was changed on both sides: ours is kept, {other} is not"
            ));
            Some(one.clone())
        }
        (Preference::Newer | Preference::Dated, ..) => {
            notes.push(format!(
                "{path} was changed on both sides: {other} is kept, {one} is not"
            ));
            Some(other.clone())
        }
    }
}

/// The document the merged fields are written over: unknown keys merged, and of the
/// known ones the form of the side that changed it, in the order of ours.
pub(super) fn documents(
    base: &Object,
    ours: &Object,
    theirs: &Object,
    notes: &mut Vec<String>,
) -> Object {
    let mut merged = Object::new();
    for key in joined_keys(ours, theirs) {
        let sides = [base.get(key), ours.get(key), theirs.get(key)];
        let kept = if is_known_key(key) && key != "ext" {
            let [base, ours, theirs] = sides;
            if ours == base {
                theirs.cloned()
            } else {
                ours.cloned()
            }
        } else {
            value(key, sides, Preference::First, notes)
        };
        if let Some(value) = kept {
            merged.insert(key.to_owned(), value);
        }
    }
    merged
}

/// The keys of ours in their order, each of theirs behind the one it follows there.
fn joined_keys<'k>(ours: &'k Object, theirs: &'k Object) -> Vec<&'k str> {
    let mut keys: Vec<&str> = ours.keys().map(String::as_str).collect();
    let mut last = None;
    for key in theirs.keys() {
        if !ours.contains_key(key) {
            let place = last.and_then(|last| keys.iter().position(|known| *known == last));
            keys.insert(place.map_or(0, |place| place + 1), key);
        }
        last = Some(key.as_str());
    }
    keys
}
