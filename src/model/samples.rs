//! Random media for property tests, over so small a vocabulary that two of them
//! have much in common and disagree about the rest.

use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::{
    media::{Hashes, Media, MediaKind, Rating, Status},
    tag::{RemovedTag, Tag, TagName},
};

/// Instants, so that `at` decides now and then.
pub(super) const INSTANTS: [&str; 3] = [
    "2025-01-01T00:00:00Z",
    "2025-02-01T00:00:00Z",
    "2025-03-01T00:00:00Z",
];

fn raw() -> impl Strategy<Value = Map<String, Value>> {
    select(vec!["{}", "{}", r#"{"weight": 1.20}"#, r#"{"conf": null}"#])
        .prop_map(|text| serde_json::from_str(text).unwrap())
}

fn at() -> impl Strategy<Value = Option<String>> {
    prop::option::of(select(INSTANTS.to_vec()).prop_map(str::to_owned))
}

pub(super) fn any_tag() -> impl Strategy<Value = Tag> {
    let src = select(vec![None, Some("user"), Some("danbooru"), Some("tagger:x")]);
    let conf = prop::option::of(select(vec![0.5, 0.971_234]));
    (
        select(vec!["general", "character", "odd"]),
        select(vec!["fox", "Blue Hair", "blue_hair", "sky", "a:b"]),
        (src, conf, at(), raw()),
    )
        .prop_map(|(category, value, (src, conf, at, raw))| Tag {
            src: src.map(str::to_owned),
            conf,
            at,
            raw,
            ..Tag::new(category, value)
        })
}

fn tags() -> impl Strategy<Value = Vec<Tag>> {
    prop::collection::vec(any_tag(), 0..7).prop_map(|mut tags| {
        let mut names = std::collections::HashSet::<TagName>::new();
        tags.retain(|tag| names.insert(tag.name()));
        tags
    })
}

fn tags_removed() -> impl Strategy<Value = Vec<RemovedTag>> {
    prop::collection::vec(any_tag(), 0..3).prop_map(|tags| {
        let removed = tags.into_iter().map(|tag| RemovedTag {
            category: tag.category,
            value: tag.value,
            src: tag.src,
            at: tag.at,
            raw: Map::new(),
        });
        removed.collect()
    })
}

fn object(keys: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let value = select(vec![
        json!(1),
        Value::Null,
        json!("x"),
        json!({"id": "7", "fetched": INSTANTS[0]}),
        json!({"id": "8", "fetched": INSTANTS[1]}),
        json!({}),
    ]);
    prop::collection::vec((select(keys), value), 0..4).prop_map(|items| {
        items
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

fn objects() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec(
        (
            select(vec!["similar", "parent"]),
            object(&["m1", "m2", "m3"]),
        ),
        0..3,
    )
    .prop_map(|items| {
        let items = items.into_iter();
        items
            .map(|(key, inner)| (key.to_owned(), Value::Object(inner)))
            .collect()
    })
}

fn texts(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(select(words).prop_map(str::to_owned), 0..4)
}

fn related() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let name = select(vec!["similar", "masks", "parent"]);
    prop::collection::vec((name, texts(&["m1", "m2", "m3"])), 0..4).prop_map(|lists| {
        let mut related: Vec<(String, Vec<String>)> = Vec::new();
        for (name, mut ids) in lists {
            ids.dedup();
            if related.iter().all(|(known, _)| known != name) {
                related.push((name.to_owned(), ids));
            }
        }
        related
    })
}

fn hashes() -> impl Strategy<Value = Hashes> {
    let hash = prop::option::of(select(vec!["aa", "bb"]).prop_map(str::to_owned));
    (hash.clone(), hash, object(&["unknown", "sha256"])).prop_map(|(md5, phash, mut rest)| {
        rest.retain(|key, value| key != "sha256" || !value.is_string());
        Hashes {
            md5,
            phash,
            rest,
            ..Hashes::default()
        }
    })
}

/// A medium in whose lists nothing stands twice.
pub(super) fn plain_media() -> impl Strategy<Value = Media> {
    any_media().prop_map(|mut media| {
        let mut seen = std::collections::HashSet::new();
        let mut is_new = |list: &str, key: &str| seen.insert(format!("{list} {key}"));
        media
            .tags_removed
            .retain(|tag| is_new("removed", &tag.name().to_string()));
        media.urls.retain(|url| is_new("url", url));
        media.locked.retain(|field| is_new("locked", field));
        media
            .captions
            .retain(|caption| is_new("caption", &caption.to_string()));
        media
            .notes
            .retain(|note| is_new("note", &note["name"].to_string()));
        for (name, ids) in &mut media.related {
            ids.retain(|id| is_new(name, id));
        }
        media
    })
}

pub(super) fn any_media() -> impl Strategy<Value = Media> {
    let caption = select(vec!["", "a fox", "a fox under a blue sky"]).prop_map(str::to_owned);
    let words = (
        select(MediaKind::ALL.to_vec()),
        select(vec!["", "one", "two"]).prop_map(str::to_owned),
        caption,
        prop::option::of(select(Rating::ALL.to_vec())),
        prop::option::of(select(vec!["user", "danbooru", "infer"]).prop_map(str::to_owned)),
        0..6_u8,
        any::<bool>(),
        prop::option::of(select(vec![Status::Inbox, Status::Archived])),
        prop::option::of(select(vec!["danbooru", "merged"]).prop_map(str::to_owned)),
    );
    let captions = select(vec![
        json!({"kind": "natural", "text": "long", "src": "user"}),
        json!({"kind": "natural", "text": "other", "src": "user"}),
        json!({"kind": "tags", "text": "a, b"}),
        json!("bare"),
    ]);
    let notes = select(vec![
        json!({"name": "n", "text": "one"}),
        json!({"name": "n", "text": "two", "box": [1, 2, 3, 4]}),
        json!({"name": "m", "text": "one"}),
    ]);
    let lists = (
        tags(),
        tags_removed(),
        related(),
        texts(&["https://a.example", "https://b.example", "\u{1}odd"]),
        texts(&["caption", "tags"]),
        prop::collection::vec(captions, 0..3),
        prop::collection::vec(notes, 0..3),
    );
    let maps = (
        objects(),
        object(&["danbooru", "e621"]),
        object(&["width", "mime", "unknown"]),
        object(&["source_image", "crop_rect"]),
        hashes(),
    );
    (words, lists, maps).prop_map(|(words, lists, maps)| {
        let (kind, name, caption, rating, rating_src, stars, fav, status, active_source) = words;
        let (tags, tags_removed, related, urls, locked, captions, notes) = lists;
        let (relations, sources, metadata, derived, hashes) = maps;
        Media {
            kind,
            name,
            caption,
            captions,
            tags,
            tags_removed,
            related,
            relations,
            rating,
            rating_src,
            stars,
            fav,
            status,
            notes,
            urls,
            sources,
            active_source,
            hashes,
            metadata,
            locked,
            rev: None,
            derived,
        }
    })
}
