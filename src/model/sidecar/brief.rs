//! A sidecar in few bytes, for an index that remembers what each one said: its JSON
//! without white space, and its tags by what they have in common,
//! `[["general", "fox", "snow"], [{"category": "meta", "src": "x"}, "sketch"]]`.
//!
//! Only what comes back exactly is made brief: tags that say no more than is known of
//! them, in the usual order of keys and in order of their positions.

use serde_json::{Map, Value};

use super::{Sidecar, SidecarError, document, lean::KEYS};

/// The key of the list that is made brief.
const TAGS: &str = "tags";

/// Tags on their way into a brief text.
#[derive(Debug, Default)]
pub(super) struct BriefTags {
    json: Vec<u8>,
    count: usize,
    /// What the last tag said besides its value.
    common: Option<Common>,
    is_odd: bool,
}

/// What a tag says besides category, value and position: values by their place in
/// [`KEYS`], in order.
pub(super) type Others = Vec<(usize, Value)>;

/// What a tag says besides value and position.
#[derive(Debug)]
struct Common {
    category: String,
    others: Others,
}

impl BriefTags {
    /// Adds a tag by the values of [`KEYS`], which stood in this order.
    pub(super) fn add(&mut self, category: &str, value: &str, position: usize, others: Others) {
        if position != self.count {
            return self.give_up();
        }
        self.count += 1;
        let is_common = self
            .common
            .as_ref()
            .is_some_and(|common| common.category == category && common.others == others);
        if !is_common {
            let start: &[u8] = if self.json.is_empty() { b"[[" } else { b"],[" };
            self.json.extend_from_slice(start);
            let common = Common {
                category: category.to_owned(),
                others,
            };
            self.push(&common.head());
            self.common = Some(common);
        }
        self.json.push(b',');
        self.push(value);
    }

    /// There is a tag that cannot be said in brief.
    pub(super) fn give_up(&mut self) {
        self.is_odd = true;
    }

    fn push<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        // Nothing that can fail is written.
        let is_written = serde_json::to_writer(&mut self.json, value).is_ok();
        self.is_odd |= !is_written;
    }

    /// The brief text of a document that has these tags; `None` where they are odd.
    pub(super) fn text(mut self, document: &Map<String, Value>) -> Option<String> {
        if self.is_odd {
            return None;
        }
        let end: &[u8] = if self.json.is_empty() { b"[]" } else { b"]]" };
        self.json.extend_from_slice(end);
        let mut text = Vec::with_capacity(self.json.len() + 1024);
        for (key, value) in document {
            text.push(if text.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut text, key).ok()?;
            text.push(b':');
            if key == TAGS {
                text.extend_from_slice(&self.json);
            } else {
                serde_json::to_writer(&mut text, value).ok()?;
            }
        }
        text.extend_from_slice(if text.is_empty() { b"{}" } else { b"}" });
        String::from_utf8(text).ok()
    }
}

impl Common {
    /// How a list of tags begins that have this in common.
    fn head(&self) -> Value {
        let category = Value::String(self.category.clone());
        if self.others.is_empty() {
            return category;
        }
        let others = self.others.iter().cloned();
        let values = std::iter::once((0, category)).chain(others);
        let pairs = values.filter_map(|(place, value)| Some((*KEYS.get(place)?, value)));
        pairs.collect()
    }
}

impl Sidecar {
    /// Reads what [`Sidecar::parse_for_index`] made brief.
    pub fn parse_brief(text: &str) -> Result<Self, SidecarError> {
        let mut document = document(text)?;
        if let Some(tags) = document.get_mut(TAGS) {
            *tags = whole(tags).ok_or(SidecarError::Form {
                key: TAGS,
                expected: "a list of lists",
            })?;
        }
        Self::from_document(document)
    }
}

/// The list of tags that was made brief.
fn whole(brief: &Value) -> Option<Value> {
    let mut tags = Vec::new();
    for list in brief.as_array()? {
        let (head, values) = list.as_array()?.split_first()?;
        for value in values {
            let part = |key: &str| match (key, head) {
                ("value", _) => Some(value.clone()),
                ("position", _) => Some(tags.len().into()),
                ("category", Value::String(_)) => Some(head.clone()),
                (key, head) => head.get(key).cloned(),
            };
            let tag: Map<String, Value> = KEYS
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), part(key)?)))
                .collect();
            tags.push(Value::Object(tag));
        }
    }
    Some(Value::Array(tags))
}
