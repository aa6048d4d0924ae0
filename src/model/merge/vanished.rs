//! A program that knows only the seed's keys rewrote a sidecar: what it lost without
//! meaning to comes back, and what it did stays.

use serde_json::{Map, Value};

use crate::model::{
    media::Media,
    sidecar::{Sidecar, insert_known},
    tag::Tag,
};

type Object = Map<String, Value>;

/// Top-level keys that Image Tagger does not know, and that say something.
const KINDS: [&str; 14] = [
    "rating",
    "stars",
    "fav",
    "status",
    "urls",
    "sources",
    "active_source",
    "hashes",
    "tags_removed",
    "captions",
    "notes",
    "relations",
    "locked",
    "ext",
];

/// Keys that come back together with the others, and alone mean nothing.
const COMPANIONS: [&str; 4] = ["schema", "type", "rating_src", "rev"];

/// What Image Tagger itself writes into `metadata`.
const SEED_METADATA: [&str; 3] = ["created", "width", "height"];

/// Known keys that vanished together because a program rewrote the file without
/// them: two or more kinds of them, or all there were. They are given back, with
/// everything else as the program left it; a tag it removed stays removed. `None`
/// when nothing did: one key that is gone was taken out on purpose, and a new `rev`
/// shows a program that knows the keys.
pub fn restore_vanished(base: &Sidecar, theirs: &Sidecar) -> Option<Sidecar> {
    let rev = &theirs.media.rev;
    if rev.is_some() && *rev != base.media.rev {
        return None;
    }
    let had: Vec<&str> = KINDS
        .into_iter()
        .filter(|key| base.document.contains_key(*key))
        .collect();
    let lost: Vec<&str> = had
        .iter()
        .copied()
        .filter(|key| !theirs.document.contains_key(*key))
        .collect();
    let tags = lost_by_tags(&base.media, &theirs.media);
    let facts = lost_facts(&base.media.metadata, &theirs.media.metadata);
    let kinds_had = had.len() + usize::from(tags.is_some()) + usize::from(facts.is_some());
    let kinds_lost =
        lost.len() + usize::from(tags == Some(true)) + usize::from(facts == Some(true));
    let all = kinds_lost == kinds_had && rev.is_none();
    if kinds_lost == 0 || kinds_lost == 1 && !all {
        return None;
    }

    let mut restored = theirs.clone();
    for key in lost.iter().copied().chain(COMPANIONS) {
        if let Some(value) = base.document.get(key)
            && !restored.document.contains_key(key)
        {
            insert_known(&mut restored.document, key, value.clone());
            give_back(key, &mut restored.media, &base.media);
        }
    }
    if tags == Some(true) {
        for tag in &mut restored.media.tags {
            if let Some(old) = base.media.tag(&tag.name()) {
                complete(tag, old);
            }
        }
    }
    if facts == Some(true) {
        for (key, value) in &base.media.metadata {
            let metadata = &mut restored.media.metadata;
            metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    settle(&mut restored.media, &base.media, &theirs.media);
    Some(restored)
}

fn give_back(key: &str, media: &mut Media, base: &Media) {
    match key {
        "type" => media.kind = base.kind,
        "rating" => media.rating = base.rating,
        "rating_src" => media.rating_src.clone_from(&base.rating_src),
        "stars" => media.stars = base.stars,
        "fav" => media.fav = base.fav,
        "status" => media.status = base.status,
        "urls" => media.urls.clone_from(&base.urls),
        "sources" => media.sources.clone_from(&base.sources),
        "active_source" => media.active_source.clone_from(&base.active_source),
        "hashes" => media.hashes.clone_from(&base.hashes),
        "tags_removed" => media.tags_removed.clone_from(&base.tags_removed),
        "captions" => media.captions.clone_from(&base.captions),
        "notes" => media.notes.clone_from(&base.notes),
        "relations" => media.relations.clone_from(&base.relations),
        "locked" => media.locked.clone_from(&base.locked),
        "rev" => media.rev.clone_from(&base.rev),
        _ => {}
    }
}

/// What came back gives way to what the program did: a tag it added has no
/// tombstone, a relation it removed no strength.
fn settle(media: &mut Media, base: &Media, theirs: &Media) {
    if theirs.tags_removed.is_empty() {
        media.tags_removed.retain(|removed| {
            let name = removed.name();
            base.has_tag(&name) || !theirs.has_tag(&name)
        });
    }
    if theirs.relations.is_empty() {
        for (relation, strengths) in &mut media.relations {
            if let Value::Object(strengths) = strengths {
                strengths.retain(|id, _| {
                    let has = |media: &Media| media.related(relation).contains(id);
                    !has(base) || has(theirs)
                });
            }
        }
        media.relations.retain(|_, strengths| {
            strengths
                .as_object()
                .is_none_or(|object| !object.is_empty())
        });
    }
}

fn is_described(tag: &Tag) -> bool {
    tag.src.is_some() || tag.conf.is_some() || tag.at.is_some()
}

/// Whether the tags that are still there lost all of their origin, confidence and
/// time; `None` when they had none.
fn lost_by_tags(base: &Media, theirs: &Media) -> Option<bool> {
    let described: Vec<&Tag> = theirs
        .tags
        .iter()
        .filter(|tag| base.tag(&tag.name()).is_some_and(is_described))
        .collect();
    (!described.is_empty()).then(|| !described.into_iter().any(is_described))
}

/// The same of `metadata` beyond what Image Tagger writes.
fn lost_facts(base: &Object, theirs: &Object) -> Option<bool> {
    let mut own = base
        .keys()
        .filter(|key| !SEED_METADATA.contains(&key.as_str()))
        .peekable();
    own.peek()?;
    Some(!own.any(|key| theirs.contains_key(key)))
}

/// Gives a tag what it had beyond category and value.
fn complete(tag: &mut Tag, old: &Tag) {
    tag.src.clone_from(&old.src);
    tag.conf = old.conf;
    tag.at.clone_from(&old.at);
    let mut raw = old.raw.clone();
    for (key, value) in &tag.raw {
        raw.insert(key.clone(), value.clone());
    }
    tag.raw = raw;
}
