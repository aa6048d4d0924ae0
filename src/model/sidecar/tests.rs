use proptest::prelude::*;

use super::*;
use crate::model::{
    edit::{Edit, apply_all},
    media::{Hashes, MediaKind, Rating, Revision, Status},
    tag::{RemovedTag, Tag, TagName},
};

/// As Image Tagger writes it: four spaces, no type, no positions, no schema.
const SEED: &str = r#"{
    "name": "mountain",
    "zeta": {"b": 1.50, "a": [123456789012345678901234567890, null]},
    "caption": "mountains, sunset",
    "tags": [
        {"category": "class", "value": "landscape", "weight": 1.20},
        {"category": "general", "value": "Sun Set"},
        {"category": "general", "value": "sun_set"},
        "plain"
    ],
    "related": {"similar": ["xyz789"], "custom": []},
    "metadata": {"created": "2025-01-15T10:30:00Z", "width": 1920, "height": 1080, "iso": 1e+2}
}"#;

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut sidecar = Sidecar::parse(text).unwrap();
    apply_all(edits, &mut sidecar.media);
    sidecar.render()
}

#[test]
fn an_old_file_keeps_its_order_its_unknown_keys_and_their_digits() {
    let text = edited(
        SEED,
        &[Edit::AddTag {
            tag: Tag::new("", "new"),
            position: Some(0),
        }],
    );
    assert_eq!(
        text,
        r#"{
  "schema": 1,
  "type": "image",
  "name": "mountain",
  "zeta": {"b": 1.50, "a": [123456789012345678901234567890, null]},
  "caption": "mountains, sunset",
  "tags": [
    {"category": "general", "value": "new", "position": 0},
    {"category": "class", "value": "landscape", "weight": 1.20, "position": 1},
    {"category": "general", "value": "Sun Set", "position": 2},
    {"category": "general", "value": "plain", "position": 3}
  ],
  "related": {
    "similar": ["xyz789"],
    "custom": []
  },
  "metadata": {"created": "2025-01-15T10:30:00Z", "width": 1920, "height": 1080, "iso": 1e+2}
}
"#
    );
}

#[test]
fn a_key_that_did_not_change_keeps_its_value_whatever_its_form() {
    let text = r#"{"type": "hologram", "caption": 7, "stars": 9, "rating": "rating_safe", "fav": "yes", "tags": ["a", "a"], "hashes": {"md5": 5, "x": 1}, "rev": {"n": "two"}}"#;
    let rendered = edited(text, &[Edit::SetName("n".into())]);
    assert_eq!(
        rendered,
        r#"{
  "schema": 1,
  "type": "hologram",
  "name": "n",
  "caption": 7,
  "stars": 9,
  "rating": "rating_safe",
  "fav": "yes",
  "tags": [
    "a",
    "a"
  ],
  "hashes": {"md5": 5, "x": 1},
  "rev": {"n": "two"}
}
"#
    );
}

#[test]
fn a_new_file_has_the_order_of_the_table() {
    let mut media = Media {
        kind: MediaKind::Mask,
        name: "日本 \"q\"".into(),
        caption: "two\nlines".into(),
        tags: vec![Tag {
            src: Some("tagger:x".into()),
            conf: Some(0.971_234),
            at: Some("2025-01-16T08:00:00Z".into()),
            ..Tag::new("mask_type", "person")
        }],
        tags_removed: vec![RemovedTag {
            category: "general".into(),
            value: "text".into(),
            src: Some("user".into()),
            at: None,
            raw: Map::new(),
        }],
        related: vec![("masks".into(), vec!["m".into()])],
        rating: Some(Rating::General),
        stars: 4,
        fav: true,
        status: Some(Status::Inbox),
        urls: vec!["https://example.org/1".into()],
        rev: Some(Revision {
            n: 7,
            host: "desk".into(),
            at: "2025-01-16T08:00:01Z".into(),
        }),
        ..Media::default()
    };
    media.hashes.md5 = Some("aa".into());
    media.derived.insert("source_image".into(), "abc".into());
    media.metadata.insert("width".into(), 2.into());
    let sidecar = Sidecar {
        media,
        document: Map::new(),
    };
    assert_eq!(
        sidecar.render(),
        r#"{
  "schema": 1,
  "type": "mask",
  "source_image": "abc",
  "name": "日本 \"q\"",
  "caption": "two\nlines",
  "tags": [
    {"category": "mask_type", "value": "person", "position": 0, "src": "tagger:x", "conf": 0.9712, "at": "2025-01-16T08:00:00Z"}
  ],
  "tags_removed": [
    {"category": "general", "value": "text", "src": "user"}
  ],
  "related": {
    "masks": ["m"]
  },
  "rating": "g",
  "stars": 4,
  "fav": true,
  "status": "inbox",
  "urls": ["https://example.org/1"],
  "hashes": {"md5": "aa"},
  "metadata": {"width": 2},
  "rev": {"n": 7, "host": "desk", "at": "2025-01-16T08:00:01Z"}
}
"#
    );
    let empty = Sidecar::default().render();
    assert_eq!(
        empty,
        "{\n  \"schema\": 1,\n  \"type\": \"image\",\n  \"tags\": [],\n  \"related\": {},\n  \"metadata\": {}\n}\n"
    );
}

#[test]
fn similar_images_become_relations_and_go_when_these_change() {
    let text = r#"{"tags": [], "similar_images": [["images/b.png", 16], ["c.jpg", 0], "d"]}"#;
    let sidecar = Sidecar::parse(text).unwrap();
    assert_eq!(sidecar.media.related("similar"), ["b", "c", "d"]);
    assert_eq!(
        sidecar.media.relations["similar"]["b"]["score"].as_f64(),
        Some(0.75)
    );
    let name = edited(text, &[Edit::SetName("x".into())]);
    assert!(name.contains("similar_images") && !name.contains("related"));

    let removed = edited(
        text,
        &[Edit::RemoveRelation {
            relation: "similar".into(),
            id: "b".into(),
        }],
    );
    assert!(!removed.contains("similar_images"), "{removed}");
    let again = Sidecar::parse(&removed).unwrap().media;
    assert_eq!(again.related("similar"), ["c", "d"]);
    assert_eq!(again.relations["similar"]["c"]["score"].as_f64(), Some(1.0));
}

#[test]
fn positions_order_the_tags() {
    let sidecar = Sidecar::parse(
        r#"{"tags": [{"category": "g", "value": "c", "position": 2}, {"category": "g", "value": "a", "position": 0}, {"category": "g", "value": "b"}]}"#,
    )
    .unwrap();
    let values: Vec<_> = sidecar.media.tags.iter().map(|tag| &tag.value).collect();
    assert_eq!(values, ["a", "c", "b"]);
}

#[test]
fn what_is_no_sidecar_is_refused() {
    for text in [
        "",
        "[]",
        "null",
        "<!DOCTYPE html>",
        r#"{"tags": "a, b"}"#,
        r#"{"tags": [1, null, {"value": 3}]}"#,
        r#"{"metadata": []}"#,
        r#"{"related": []}"#,
        r#"{"tags": [], "tags": []}"#,
        r#"{"name": "\ud800"}"#,
    ] {
        assert!(Sidecar::parse(text).is_err(), "{text}");
    }
    let large = format!(r#"{{"caption": "{}"}}"#, "x".repeat(MAX_BYTES));
    assert_eq!(Sidecar::parse(&large), Err(SidecarError::TooLarge));
    assert!(Sidecar::parse("\u{feff}{}").is_ok());
}

#[test]
fn foreign_json_is_recognised() {
    let object = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    };
    for (text, own, surely) in [
        (SEED, true, false),
        (r#"{"schema": 1}"#, true, true),
        (r#"{"tags": [{"category": "a", "value": "b"}]}"#, true, true),
        (r#"{"tags": ["a"], "caption": ""}"#, true, false),
        (
            r#"{"category": "danbooru", "subcategory": "tag", "tags": ["a"]}"#,
            false,
            false,
        ),
        (r#"{"name": "package", "version": "1"}"#, false, false),
        ("{}", true, false),
    ] {
        let object = object(text);
        assert_eq!(Sidecar::is_own(&object), own, "{text}");
        assert_eq!(Sidecar::is_surely_own(&object), surely, "{text}");
    }
}

/// The medium without the objects its tags were read from.
fn bare(mut media: Media) -> Media {
    for tag in &mut media.tags {
        tag.raw.clear();
    }
    for tag in &mut media.tags_removed {
        tag.raw.clear();
    }
    media
}

fn any_media() -> impl Strategy<Value = Media> {
    let word = "[a-zé_ \"\\\\\n\u{0}-]{1,6}";
    let tag =
        (word, word, prop::option::of(0..10_000_u32)).prop_map(|(category, value, conf)| Tag {
            conf: conf.map(|conf| f64::from(conf) / 1e4),
            src: conf.map(|_| "tagger".to_owned()),
            ..Tag::new(&category, &value)
        });
    (
        prop::collection::vec(tag, 0..6),
        prop::collection::vec(word, 0..3),
        (".*", ".*", 0..6_u8, any::<bool>()),
        prop::sample::select(MediaKind::ALL.to_vec()),
        prop::option::of(prop::sample::select(Rating::ALL.to_vec())),
        prop::collection::vec((word, prop::collection::vec(word, 1..3)), 0..3),
    )
        .prop_map(
            |(tags, urls, (name, caption, stars, fav), kind, rating, related)| {
                let mut names = std::collections::HashSet::<TagName>::new();
                let mut relations = std::collections::HashSet::new();
                Media {
                    kind,
                    name,
                    caption,
                    tags: tags
                        .into_iter()
                        .filter(|tag| !tag.value.is_empty() && names.insert(tag.name()))
                        .collect(),
                    urls: urls.clone(),
                    locked: urls,
                    stars,
                    fav,
                    rating,
                    related: related
                        .into_iter()
                        .filter(|(relation, _)| relations.insert(relation.clone()))
                        .collect(),
                    hashes: Hashes {
                        md5: Some("x".into()),
                        ..Hashes::default()
                    },
                    ..Media::default()
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(media in any_media()) {
        let text = Sidecar { media: media.clone(), document: Map::new() }.render();
        let read = Sidecar::parse(&text).unwrap();
        prop_assert_eq!(read.render(), text);
        prop_assert_eq!(bare(read.media), media);
    }

    #[test]
    fn a_change_over_any_document_reads_the_same(media in any_media()) {
        for document in [SEED, "{}", r#"{"zzz": 1, "metadata": {}, "type": "crop", "tags": []}"#] {
            let mut sidecar = Sidecar::parse(document).unwrap();
            let unknown: Vec<_> = sidecar.document.iter()
                .filter(|(key, _)| !KEYS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let metadata = sidecar.media.metadata.clone();
            sidecar.media = Media { metadata, ..media.clone() };
            let read = Sidecar::parse(&sidecar.render()).unwrap();
            for (key, value) in unknown {
                prop_assert_eq!(read.document.get(&key), Some(&value));
            }
            prop_assert_eq!(bare(read.media), bare(sidecar.media));
        }
    }
}
