//! What an operation changed in one medium, with what stood there before: the
//! form in which the journal keeps it, so that it can be finished after a crash
//! and undone later.
//!
//! A patch is applied three-way: an element is changed only where it still is as
//! the patch found it. What another program changed since is left alone and named.
//! Laws: `between(a, b).apply(a)` gives `b`, the inverse gives `a` back, and
//! applying twice does what applying once does (in lists without repeats, where
//! it was applied to neither `a` nor `b`). `rev` is no part of it.
//!
//! As JSON (parts that did not change are left out):
//!
//! | key | form |
//! |---|---|
//! | `values` | `[{path, before?, after?}]`; `path` is `["caption"]`, `["metadata", "width"]`, `["sources", site]`, `["hashes", name]`, `["relations", relation, id]`, `["derived", key]`; `rating` is `{rating?, src?}`; no `before`: it was absent |
//! | `tags` `tags_removed` `urls` `locked` `captions` `notes` `relation_names` | a list's patch |
//! | `related` | `{relation: a list's patch}` |
//!
//! A list's patch is `{changes: [{key, before?, after?, place?}], order?}`. The
//! elements have the form of the sidecar, a tag without its `position`. `key` is
//! `category value` for tags, the name of a note, and the element itself else;
//! `place` is `[index, key of the element before it]` in the list that has it.
//! `order` is `{before: [key], after: [key]}` when elements that stayed were moved.

mod list;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use self::list::keys;
use self::{
    list::{Left, ListPatch},
    values::ValueChange,
};
use super::{
    media::Media,
    tag::{RemovedTag, Tag, TagName},
};

/// The difference between two states of a medium, in both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<ValueChange>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    tags: ListPatch<Tag>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    tags_removed: ListPatch<RemovedTag>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    urls: ListPatch<String>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    locked: ListPatch<String>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    captions: ListPatch<Value>,
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    notes: ListPatch<Value>,
    /// Which relations there are, in order; their ids are in `related`.
    #[serde(skip_serializing_if = "ListPatch::is_empty")]
    relation_names: ListPatch<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    related: BTreeMap<String, ListPatch<String>>,
}

impl Patch {
    /// What must be done to `before` so that it becomes `after`; `rev` is ignored.
    pub fn between(before: &Media, after: &Media) -> Self {
        let names = |media: &Media| -> Vec<String> {
            let names = media.related.iter();
            names.map(|(name, _)| name.clone()).collect()
        };
        let mut related = BTreeMap::new();
        for (name, _) in before.related.iter().chain(&after.related) {
            if !related.contains_key(name) {
                let ids =
                    ListPatch::between(before.related(name), after.related(name), String::clone);
                related.insert(name.clone(), ids);
            }
        }
        related.retain(|_, ids| !ids.is_empty());
        Self {
            values: values::between(before, after),
            tags: ListPatch::between(&before.tags, &after.tags, |tag| tag_key(&tag.name())),
            tags_removed: ListPatch::between(&before.tags_removed, &after.tags_removed, |tag| {
                tag_key(&tag.name())
            }),
            urls: ListPatch::between(&before.urls, &after.urls, String::clone),
            locked: ListPatch::between(&before.locked, &after.locked, String::clone),
            captions: ListPatch::between(&before.captions, &after.captions, Value::to_string),
            notes: ListPatch::between(&before.notes, &after.notes, note_key),
            relation_names: ListPatch::between(&names(before), &names(after), String::clone),
            related,
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The patch that takes this one back.
    pub fn inverse(&self) -> Self {
        Self {
            values: self.values.iter().map(ValueChange::inverse).collect(),
            tags: self.tags.inverse(),
            tags_removed: self.tags_removed.inverse(),
            urls: self.urls.inverse(),
            locked: self.locked.inverse(),
            captions: self.captions.inverse(),
            notes: self.notes.inverse(),
            relation_names: self.relation_names.inverse(),
            related: self
                .related
                .iter()
                .map(|(name, ids)| (name.clone(), ids.inverse()))
                .collect(),
        }
    }

    /// Changes what still is as the patch found it. Returns what was left alone
    /// because it was changed since, in words for people.
    pub fn apply(&self, media: &mut Media) -> Vec<String> {
        let mut left = values::apply(&self.values, media);
        let mut tell = |what: &str, title: fn(&str) -> String, list: Vec<Left>| {
            for item in list {
                left.push(match item {
                    Left::Changed(key) => {
                        format!("the {what} {} was changed since", title(&key))
                    }
                    Left::Removed(key) => {
                        format!("the {what} {} was removed since", title(&key))
                    }
                    Left::Order => format!("the order of the {what}s was changed since"),
                });
            }
        };
        let same = str::to_owned;
        tell(
            "tag",
            tag_title,
            self.tags.apply(&mut media.tags, |tag| tag_key(&tag.name())),
        );
        tell(
            "removed tag",
            tag_title,
            self.tags_removed
                .apply(&mut media.tags_removed, |tag| tag_key(&tag.name())),
        );
        tell("URL", same, self.urls.apply(&mut media.urls, String::clone));
        tell(
            "locked field",
            same,
            self.locked.apply(&mut media.locked, String::clone),
        );
        tell(
            "further caption",
            same,
            self.captions.apply(&mut media.captions, Value::to_string),
        );
        tell("note", same, self.notes.apply(&mut media.notes, note_key));
        tell("relation", same, self.apply_relations(media));
        left
    }

    /// A relation is taken out only when its list is empty by then: another
    /// program may have put an id into it.
    fn apply_relations(&self, media: &mut Media) -> Vec<Left> {
        let name = |(name, _): &(String, Vec<String>)| name.clone();
        let names = self
            .relation_names
            .map(|name| (name.clone(), Vec::<String>::new()));
        let mut related = list::keyed(std::mem::take(&mut media.related), name);
        // One to be added that is there already has its own ids: no conflict.
        names.add(&mut related);
        let mut left = Vec::new();
        for (name, patch) in &self.related {
            if let Some((_, (_, ids))) = related.iter_mut().find(|(_, (known, _))| known == name) {
                left.extend(patch.apply(ids, String::clone));
            } else {
                let mut ids = Vec::new();
                left.extend(patch.apply(&mut ids, String::clone));
                if !ids.is_empty() {
                    related.push((name.clone(), (name.clone(), ids)));
                }
            }
        }
        left.extend(names.order(&mut related));
        // One that still holds ids differs from the empty one of the patch.
        names.remove(&mut related);
        media.related = related.into_iter().map(|(_, relation)| relation).collect();
        left
    }
}

/// No normalized part of a name holds a space, so this is unambiguous.
pub(super) fn tag_key(name: &TagName) -> String {
    format!("{} {}", name.category, name.value)
}

fn tag_title(key: &str) -> String {
    let (category, value) = key.split_once(' ').unwrap_or(("", key));
    TagName::new(category, value).to_string()
}

pub(super) fn note_key(note: &Value) -> String {
    let name = note.get("name").and_then(Value::as_str);
    name.map_or_else(|| note.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
