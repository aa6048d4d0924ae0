use std::ops::ControlFlow;

use super::*;
use crate::model::{
    entry::FileFacts,
    id::MediaKey,
    media::{Media, MediaKind},
    tag::{Tag, TagName},
};

pub(super) fn row(id: &str, media: Media) -> Row {
    Row {
        id: id.parse().unwrap(),
        facts: FileFacts {
            path: format!("images/{id}.png"),
            bytes: 7,
            modified: 100,
            has_sidecar: true,
            is_missing: false,
        },
        media,
        tags: None,
        sidecar: Some(format!("images/{id}.json")),
        stamp: Some(Stamp {
            bytes: 1,
            modified_ns: 2,
            digest: [3; 16],
        }),
        text: None,
        seen: Seen::Read { gives_back: true },
        is_given_back: false,
    }
}

pub(super) fn tagged(values: &[&str]) -> Media {
    Media {
        tags: values.iter().map(|value| Tag::new("", value)).collect(),
        ..Media::default()
    }
}

pub(super) fn index() -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("library.db")).unwrap();
    (dir, index)
}

pub(super) fn enter(index: &Index, rows: Vec<Row>) -> Vec<crate::model::entry::Entry> {
    let mut rows = rows;
    index.commit(&mut rows, &[], &mut |_| {}).unwrap()
}

#[test]
fn what_is_entered_is_loaded() {
    let (_dir, index) = index();
    let mut media = tagged(&["Blue Hair", "solo"]);
    media.sources = serde_json::from_str(r#"{"danbooru": {"id": "7", "score": 3}}"#).unwrap();
    media.hashes.md5 = Some("d41d8cd98f00b204e9800998ecf8427e".into());
    media.hashes.phash = Some("ff00ff00ff00ff00".into());
    media.caption = "a caption".into();
    let written = enter(
        &index,
        vec![
            row("a", media),
            row("b", tagged(&[])),
            row("c", tagged(&["solo"])),
        ],
    );
    let mut loaded = Vec::new();
    let whole = index
        .load(&mut |chunk, _, total| {
            assert_eq!(total, 3);
            loaded.extend(chunk);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(whole);
    assert_eq!(loaded, written);
    assert_eq!(loaded[0].tags[0], TagName::new("", "blue hair"));
    assert_eq!(loaded[0].posts, [("danbooru".to_owned(), "7".to_owned())]);
    for entry in loaded {
        assert_eq!(index.entry(entry.key).unwrap().as_ref(), Some(&entry));
    }
    let md5 = "d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
    assert_eq!(index.find_md5(&md5).unwrap().len(), 1);
    assert_eq!(index.find_size(7).unwrap().len(), 2);
    assert!(
        index
            .load(&mut |_, _, _| ControlFlow::Break(()))
            .is_ok_and(|whole| !whole)
    );
}

#[test]
fn keys_stay_and_changes_are_numbered() {
    let (_dir, index) = index();
    let first = enter(
        &index,
        vec![row("a", tagged(&["x"])), row("b", tagged(&["y"]))],
    );
    let (before, all, _) = index.changed_since(0).unwrap();
    assert_eq!(index.entries(&all).unwrap(), first);
    let again = enter(&index, vec![row("b", tagged(&["z"]))]);
    assert_eq!(again[0].key, first[1].key);
    index.commit(&mut [], &[first[0].key], &mut |_| {}).unwrap();
    let (now, changed, removed) = index.changed_since(before).unwrap();
    assert_eq!(removed, [first[0].key]);
    assert_eq!(index.entries(&changed).unwrap(), again);
    assert_eq!(index.entries(&removed).unwrap(), []);
    assert!(now > before);
    let (newest, none, _) = index.changed_since(u64::MAX).unwrap();
    assert_eq!((newest, none.len()), (now, 0));
    let new = enter(&index, vec![row("c", tagged(&[]))]);
    assert!(new[0].key > first[1].key, "a key is never used again");
}

#[test]
fn the_first_page_is_the_newest_without_derived_media() {
    let (_dir, index) = index();
    let imported = |id: &str, time: &str, kind| {
        let mut media = tagged(&["t"]);
        media.kind = kind;
        media.metadata.insert("imported".into(), time.into());
        row(id, media)
    };
    enter(
        &index,
        vec![
            imported("old", "2020-01-01T00:00:00Z", MediaKind::Image),
            imported("b", "2021-01-01T00:00:00Z", MediaKind::Image),
            imported("a", "2021-01-01T00:00:00Z", MediaKind::Video),
            imported("mask", "2022-01-01T00:00:00Z", MediaKind::Mask),
        ],
    );
    let ids = |limit| -> Vec<String> {
        let page = index.first_page(limit).unwrap();
        page.iter().map(|entry| entry.id.to_string()).collect()
    };
    assert_eq!(ids(10), ["a", "b", "old"]);
    assert_eq!(ids(1), ["a"]);
    assert_eq!(index.count().unwrap(), 3);
    let plan: Vec<String> = index
        .read("explain", |connection| {
            connection
                .prepare(
                    "EXPLAIN QUERY PLAN SELECT * FROM medium WHERE derived = 0
                     ORDER BY imported DESC, id LIMIT 10",
                )?
                .query_map([], |row| row.get(3))?
                .collect()
        })
        .unwrap();
    assert!(plan.join(" ").contains("medium_shown"), "{plan:?}");
    assert!(!plan.join(" ").contains("TEMP B-TREE"), "{plan:?}");
}

#[test]
fn full_text_finds_words_phrases_and_prefixes_by_field() {
    let (_dir, index) = index();
    let mut media = tagged(&["blue_hair"]);
    media.caption = "A quick brown fox; it's \"here\"".into();
    media.notes = vec![serde_json::json!({"name": "n", "text": "memo"})];
    enter(
        &index,
        vec![row("one", media), row("two", tagged(&["fox"]))],
    );
    for (field, query, expected) in [
        (None, "fox", 2),
        (None, "brown fox", 1),
        (None, "\"fox brown\"", 0),
        (None, "\"brown fox\"", 1),
        (None, "qui*", 1),
        (None, "blue hair", 1),
        (None, "memo", 1),
        (None, "two", 1),
        (Some("caption"), "fox", 1),
        (Some("tag"), "fox", 1),
        (Some("note"), "fox", 0),
        (Some("filename"), "png", 2),
        (Some("nonsense"), "fox", 0),
        (None, "'); DROP TABLE medium;--", 0),
        (None, "a* NEAR b", 0),
        (None, "***", 0),
    ] {
        let found = index.full_text(field, query).unwrap();
        assert_eq!(found.len(), expected, "{field:?} {query:?}");
    }
}

#[test]
fn a_failed_batch_leaves_nothing() {
    let (_dir, index) = index();
    enter(&index, vec![row("a", tagged(&["x"]))]);
    index
        .write("limit", |transaction| {
            transaction.pragma_update(None, "max_page_count", 1)
        })
        .unwrap();
    let many: Vec<&str> = vec!["tag"];
    let mut rows: Vec<Row> = (0..3000)
        .map(|n| row(&format!("r{n}"), tagged(&many)))
        .collect();
    assert!(index.commit(&mut rows, &[], &mut |_| {}).is_err());
    assert_eq!(index.count().unwrap(), 1);
}

#[test]
fn names_of_the_older_schema_answer() {
    let (_dir, index) = index();
    let mut media = tagged(&["x", "y"]);
    media.caption = "text".into();
    media.related = vec![("similar".into(), vec!["other".into()])];
    media.relations = serde_json::from_str(r#"{"similar": {"other": {"score": 0.5}}}"#).unwrap();
    media.hashes.phash = Some("ff".into());
    enter(&index, vec![row("a", media)]);
    let one = |sql: &str| -> String {
        index
            .read("ask", |connection| {
                connection.query_row(sql, [], |row| row.get(0))
            })
            .unwrap()
    };
    assert_eq!(one("SELECT id || type || caption FROM media"), "aimagetext");
    assert_eq!(
        one("SELECT media_id || category || value || position FROM tags ORDER BY position DESC"),
        "ageneraly1"
    );
    assert_eq!(
        one("SELECT source_id || target_id || relationship_type || strength FROM relationships"),
        "aothersimilar0.5"
    );
    assert_eq!(
        one("SELECT media_id || algorithm || hash_value FROM perceptual_hashes"),
        "aphashff"
    );
    assert_eq!(
        one("SELECT value FROM library_metadata WHERE key = 'schema_version'"),
        schema::version().to_string()
    );
}

#[test]
fn another_process_is_noticed() {
    let (dir, index) = index();
    let version = index.data_version().unwrap();
    enter(&index, vec![row("a", tagged(&[]))]);
    assert_eq!(index.data_version().unwrap(), version);
    let other = Index::open(&dir.path().join("library.db")).unwrap();
    enter(&other, vec![row("b", tagged(&[]))]);
    assert_ne!(index.data_version().unwrap(), version);
    assert_eq!(index.count().unwrap(), 2);
    assert_eq!(index.place(MediaKey(99)).unwrap(), None);
}

fn enter_many(index: &Index, many: &mut Many, rows: &mut [Row]) -> usize {
    let mut checked = 0;
    index
        .enter_many(many, rows, Some(("cursor", "x")), &mut |_, _| checked += 1)
        .unwrap();
    checked
}

#[test]
fn many_rows_are_checked_once_somebody_else_wrote() {
    let (dir, index) = index();
    let mut many = index.begin_many(true).unwrap();
    let rows = |id: &str| [row(id, tagged(&["x"]))];
    assert_eq!(enter_many(&index, &mut many, &mut rows("a")), 0);
    assert_eq!(enter_many(&index, &mut many, &mut rows("b")), 0);
    assert!(many.is_alone());
    assert_eq!(index.setting("cursor").unwrap().as_deref(), Some("x"));
    let other = Index::open(&dir.path().join("library.db")).unwrap();
    enter(&other, vec![row("c", tagged(&["y"]))]);
    // What was read before the other wrote may come in any later step.
    assert_eq!(enter_many(&index, &mut many, &mut rows("d")), 1);
    assert_eq!(enter_many(&index, &mut many, &mut rows("e")), 1);
    assert!(!many.is_alone());
    assert_eq!(index.count().unwrap(), 5);
}

#[test]
fn many_rows_may_be_known_where_none_was_expected() {
    let (_dir, index) = index();
    enter(
        &index,
        vec![row("a", tagged(&["x"])), row("b", tagged(&["x"]))],
    );
    let mut many = index.begin_many(true).unwrap();
    let mut moved = row("c", tagged(&["y"]));
    moved.facts.path = "images/b.png".to_owned();
    let mut rows = [row("a", tagged(&["y"])), moved, row("d", tagged(&["y"]))];
    enter_many(&index, &mut many, &mut rows);
    let mut found = Vec::new();
    index
        .load(&mut |entries, _, _| {
            found.extend(entries);
            ControlFlow::Continue(())
        })
        .unwrap();
    let ids: Vec<&str> = found.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "d"]);
    assert_eq!((found[0].key, found[1].key), (MediaKey(1), MediaKey(2)));
    assert!(
        found
            .iter()
            .all(|entry| entry.tags == [TagName::new("", "y")])
    );
    for (word, times) in [("x", 0), ("y", 3)] {
        assert_eq!(index.full_text(None, word).unwrap().len(), times, "{word}");
    }
}

#[test]
fn words_are_supplied_to_whoever_asks_and_each_once() {
    let (_dir, index) = index();
    let mut many = index.begin_many(true).unwrap();
    let mut fox = tagged(&["Blue Hair"]);
    fox.caption = "a fox".into();
    fox.notes = vec![serde_json::json!({"name": "n", "text": "memo"})];
    let mut rows = [
        row("one", fox),
        row("two", tagged(&["fox"])),
        row("three", tagged(&[])),
    ];
    enter_many(&index, &mut many, &mut rows);
    // Written again, and removed, before anybody asks.
    enter(&index, vec![row("two", tagged(&["wolf"]))]);
    index.commit(&mut [], &[MediaKey(3)], &mut |_| {}).unwrap();
    assert_eq!(
        index.full_text(Some("caption"), "fox").unwrap(),
        [MediaKey(1)]
    );
    assert!(!index.supply_words().unwrap());
    for (query, expected) in [
        ("fox", vec![1]),
        ("wolf", vec![2]),
        ("\"blue hair\"", vec![1]),
        ("memo", vec![1]),
        ("png", vec![1, 2]),
    ] {
        let keys: Vec<MediaKey> = expected.into_iter().map(MediaKey).collect();
        assert_eq!(index.full_text(None, query).unwrap(), keys, "{query}");
    }
    index.forget_words().unwrap();
    assert!(index.supply_words().unwrap());
    assert_eq!(index.full_text(None, "wolf").unwrap(), [MediaKey(2)]);
}

#[test]
fn what_a_killed_rebuild_did_without_is_made_again() {
    let (dir, index) = index();
    let path = dir.path().join("library.db");
    let is_there = |index: &Index| {
        index
            .read("look", |connection| {
                connection
                    .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'medium_shown'")?
                    .exists([])
            })
            .unwrap()
    };
    index
        .in_bulk(true, || {
            enter(&index, vec![row("a", tagged(&["x"]))]);
            assert!(!is_there(&index));
            // Another process starts meanwhile, or the next one after the end of this.
            let other = Index::open(&path).map_err(|refusal| format!("{refusal:?}"));
            assert!(is_there(&other.unwrap()));
            enter(&index, vec![row("b", tagged(&["x"]))]);
            Ok(())
        })
        .unwrap();
    assert!(is_there(&index));
    assert_eq!(index.first_page(10).unwrap().len(), 2);
}
