use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{samples::plain_media, tag::TagName};

fn parse(text: &str) -> Sidecar {
    Sidecar::parse(text).unwrap()
}

/// As if read from a file.
fn written(media: &Media) -> Sidecar {
    let sidecar = Sidecar {
        media: media.clone(),
        document: Map::new(),
    };
    parse(&sidecar.render())
}

fn revised(mut media: Media, n: u64) -> Sidecar {
    media.rev = Some(Revision {
        n,
        host: format!("host{n}"),
        at: format!("2025-01-0{n}T00:00:00Z"),
    });
    written(&media)
}

/// The same whatever the order in which lists and objects name their elements.
fn sorted(media: &Media) -> String {
    fn plain(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let mut items: Vec<String> = items.iter().map(plain).collect();
                items.sort();
                format!("[{}]", items.join(","))
            }
            Value::Object(object) => {
                let entries = object.iter().filter(|(key, _)| *key != "position");
                let mut entries: Vec<String> = entries
                    .map(|(key, item)| format!("{key}:{}", plain(item)))
                    .collect();
                entries.sort();
                format!("{{{}}}", entries.join(","))
            }
            scalar => scalar.to_string(),
        }
    }
    let sidecar = Sidecar {
        media: media.clone(),
        document: Map::new(),
    };
    plain(&Value::Object(sidecar.to_document()))
}

fn tag_list(tags: &str) -> Sidecar {
    let tags: Vec<Value> = tags.split(' ').map(Value::from).collect();
    parse(&json!({ "tags": tags }).to_string())
}

fn values(sidecar: &Sidecar) -> String {
    let tags = sidecar.media.tags.iter();
    tags.map(|tag| tag.value.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn tags_keep_the_order_of_the_base() {
    for (base, ours, theirs, expected) in [
        ("a b c", "a b c x", "a b c y", "a b c x y"),
        ("a b c", "x a b c", "a y b c", "x a y b c"),
        ("a b c", "c b a", "a b c y", "c y b a"),
        ("a b c", "a c", "a b", "a"),
        ("a b c", "a b x", "b c", "b x"),
        ("a", "b", "c", "b c"),
    ] {
        let merged = merge(Some(&tag_list(base)), &tag_list(ours), &tag_list(theirs));
        assert_eq!(
            values(&merged.sidecar),
            expected,
            "{base} / {ours} / {theirs}"
        );
    }
    let merged = merge(None, &tag_list("a b"), &tag_list("b c"));
    assert_eq!(values(&merged.sidecar), "a b c");
}

#[test]
fn between_a_tag_and_its_tombstone_the_later_wins() {
    let tombstone = |at: &str| {
        parse(
            &json!({"tags": ["x"], "tags_removed": [{"category": "general", "value": "fox", "at": at}]})
                .to_string(),
        )
    };
    let tag = parse(
        r#"{"tags": ["x", {"category": "general", "value": "fox", "src": "e621", "at": "2025-02-01T00:00:00Z"}]}"#,
    );
    let base = parse(r#"{"tags": ["x"]}"#);
    let fox = TagName::new("", "fox");
    for (at, stays) in [
        ("2025-01-01T00:00:00Z", true),
        ("2025-02-01T00:00:00Z", false),
        ("2025-02-01T00:30:00+01:00", true),
        ("2025-03-01T00:00:00Z", false),
    ] {
        for (ours, theirs) in [(&tombstone(at), &tag), (&tag, &tombstone(at))] {
            let media = merge(Some(&base), ours, theirs).sidecar.media;
            assert_eq!(media.has_tag(&fox), stays, "{at}");
            assert_eq!(media.tags_removed.is_empty(), stays, "{at}");
        }
    }
}

#[test]
fn each_field_has_its_rule() {
    let base = parse(
        r#"{"schema": 1, "tags": [], "rev": {"n": 1, "host": "a", "at": "2025-01-01T00:00:00Z"}}"#,
    );
    let ours = parse(
        r#"{"schema": 1, "name": "old", "caption": "a long caption", "tags": [], "rating": "q",
        "rating_src": "danbooru", "stars": 2, "fav": true, "status": "archived",
        "notes": [{"name": "n", "text": "one"}], "urls": ["u1"],
        "sources": {"danbooru": {"id": "1", "fetched": "2025-01-02T00:00:00Z"}},
        "relations": {"similar": {"x": {"score": 1, "at": "2025-01-03T00:00:00Z"}}},
        "rev": {"n": 5, "host": "a", "at": "2025-01-02T00:00:00Z"}}"#,
    );
    let theirs = parse(
        r#"{"schema": 1, "name": "new", "caption": "short", "tags": [], "rating": "g",
        "rating_src": "user", "stars": 4, "status": "inbox",
        "notes": [{"name": "n", "text": "two"}], "urls": ["u2"],
        "sources": {"danbooru": {"id": "2", "fetched": "2025-01-01T00:00:00Z"}, "e621": {"id": "3"}},
        "relations": {"similar": {"x": {"score": 2, "at": "2025-01-01T00:00:00Z"}, "y": {"score": 3}}},
        "rev": {"n": 3, "host": "b", "at": "2025-01-03T00:00:00Z"}}"#,
    );
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let Merged { sidecar, notes } = merge(Some(&base), ours, theirs);
        let media = &sidecar.media;
        assert_eq!(media.name, "new");
        assert_eq!(media.caption, "a long caption");
        assert_eq!(
            media.captions,
            [json!({"kind": "conflict", "text": "short", "src": "b"})]
        );
        assert_eq!(media.rating, Some(Rating::General));
        assert_eq!(media.rating_src.as_deref(), Some("user"));
        assert_eq!((media.stars, media.fav), (4, true));
        assert_eq!(media.status, Some(Status::Archived));
        assert_eq!(
            media.notes,
            [
                json!({"name": "n", "text": "one"}),
                json!({"name": "n (2)", "text": "two"})
            ]
        );
        assert_eq!(media.urls, ["u1", "u2"]);
        assert_eq!(media.sources["danbooru"]["id"], "1");
        assert_eq!(media.sources["e621"]["id"], "3");
        assert_eq!(media.relations["similar"]["x"]["score"], json!(1));
        assert_eq!(media.relations["similar"]["y"]["score"], json!(3));
        let rev = media.rev.as_ref().unwrap();
        assert_eq!((rev.n, rev.host.as_str()), (5, "b"));
        assert_eq!(
            notes,
            [
                "the caption was changed on both sides: the longer stays, the other is among the captions",
                "the name was changed on both sides: \"new\" is kept, \"old\" is not",
                "the note n was changed on both sides: the newer is n (2) now",
            ]
        );
        let text = sidecar.render();
        assert_eq!(parse(&text).render(), text);
    }
}

#[test]
fn unknown_keys_are_merged_entry_by_entry() {
    let base = parse(r#"{"tags": [], "ext": {"a": 1, "b": [1]}, "zeta": 1.50, "gone": 1}"#);
    let ours = parse(
        r#"{"tags": ["x"], "ext": {"a": 2, "b": [1], "c": 1}, "zeta": 1.50, "mine": 1, "gone": 1}"#,
    );
    let theirs =
        parse(r#"{"tags": ["y"], "ext": {"a": 3, "b": [2]}, "zeta": 1.250, "theirs": [1.0]}"#);
    let Merged { sidecar, notes } = merge(Some(&base), &ours, &theirs);
    assert_eq!(
        sidecar.render(),
        r#"{
  "schema": 1,
  "type": "image",
  "tags": [
    {"category": "general", "value": "x", "position": 0},
    {"category": "general", "value": "y", "position": 1}
  ],
  "ext": {"a": 2, "b": [2], "c": 1},
  "zeta": 1.250,
  "theirs": [1.0],
  "mine": 1
}
"#
    );
    assert_eq!(
        notes,
        ["ext a was changed on both sides: ours is kept, 3 is not"]
    );
}

#[test]
fn of_one_tag_the_word_of_the_user_stays_and_no_key_is_lost() {
    let tag = |text: &str| parse(&format!(r#"{{"tags": [{text}]}}"#));
    let base = tag(r#"{"category": "general", "value": "fox", "src": "e621"}"#);
    let ours = tag(r#"{"category": "general", "value": "Fox", "src": "user", "weight": 1.20}"#);
    let theirs = tag(
        r#"{"category": "general", "value": "fox", "src": "tagger:x", "conf": 0.9, "mark": 1, "at": "2025-01-01T00:00:00Z"}"#,
    );
    let merged = merge(Some(&base), &ours, &theirs).sidecar;
    assert!(
        merged.render().contains(
            r#"{"category": "general", "value": "Fox", "src": "user", "weight": 1.20, "mark": 1, "position": 0}"#
        ),
        "{}",
        merged.render()
    );
}

const FULL: &str = r#"{"schema": 1, "type": "animation", "caption": "old",
    "tags": [{"category": "general", "value": "a", "position": 0, "src": "e621", "at": "2025-01-01T00:00:00Z", "weight": 2},
             {"category": "general", "value": "b", "position": 1, "src": "tagger:x", "conf": 0.5}],
    "tags_removed": [{"category": "general", "value": "c"}, {"category": "general", "value": "d"}],
    "related": {"similar": ["x", "y"]}, "relations": {"similar": {"x": {"score": 1}, "y": {"score": 0.5}}},
    "rating": "s", "rating_src": "user", "stars": 3, "urls": ["u"], "hashes": {"md5": "aa"},
    "metadata": {"created": "t", "width": 1, "height": 2, "mime": "image/gif"},
    "locked": ["caption"], "rev": {"n": 4, "host": "desk", "at": "2025-01-01T00:00:00Z"}, "ext": {"q": 1.50}}"#;

#[test]
fn keys_that_vanished_together_come_back_and_the_other_programs_work_stays() {
    let base = parse(FULL);
    let theirs = parse(
        r#"{"name": "n", "caption": "new", "tags": [{"category": "general", "value": "new"}, {"category": "general", "value": "a"}, {"category": "general", "value": "c"}],
        "related": {"similar": ["y"]}, "metadata": {"created": "t", "width": 1, "height": 2}}"#,
    );
    let restored = restore_vanished(&base, &theirs).unwrap();
    let text = restored.render();
    assert_eq!(
        text,
        r#"{
  "schema": 1,
  "type": "animation",
  "name": "n",
  "caption": "new",
  "tags": [
    {"category": "general", "value": "new", "position": 0},
    {"category": "general", "value": "a", "position": 1, "src": "e621", "at": "2025-01-01T00:00:00Z", "weight": 2},
    {"category": "general", "value": "c", "position": 2}
  ],
  "tags_removed": [
    {"category": "general", "value": "d"}
  ],
  "related": {
    "similar": ["y"]
  },
  "relations": {"similar": {"y": {"score": 0.5}}},
  "rating": "s",
  "rating_src": "user",
  "stars": 3,
  "urls": ["u"],
  "hashes": {"md5": "aa"},
  "metadata": {"created": "t", "width": 1, "height": 2, "mime": "image/gif"},
  "locked": ["caption"],
  "rev": {"n": 4, "host": "desk", "at": "2025-01-01T00:00:00Z"},
  "ext": {"q": 1.50}
}
"#
    );
    assert_eq!(
        restore_vanished(&base, &parse(&text)),
        None,
        "nothing is gone now"
    );
}

#[test]
fn an_edit_does_not_take_the_place_of_what_nobody_saw() {
    let base = parse(r#"{"caption": "a", "stars": 1, "rating": "g", "tags": ["x"]}"#).media;
    let theirs =
        parse(r#"{"caption": "their words", "stars": 4, "rating": "e", "tags": ["x", "y"]}"#).media;
    let mut edited = theirs.clone();
    edited.caption = "mine".to_owned();
    edited.stars = 2;
    edited.rating = Some(Rating::Sensitive);
    edited.tags.push(Tag::new("", "z"));
    let notes = settle(&base, &theirs, &mut edited);
    assert_eq!(edited.caption, "their words");
    assert_eq!(edited.captions[0]["text"], "mine");
    assert_eq!((edited.stars, edited.rating), (4, Some(Rating::Explicit)));
    assert_eq!(edited.tags.len(), 3);
    assert_eq!(notes.len(), 2, "{notes:?}");
    // Where they changed nothing, the edit is what counts.
    let mut edited = theirs.clone();
    edited.stars = 2;
    edited.caption = "mine".to_owned();
    assert_eq!(settle(&theirs, &theirs, &mut edited), [""; 0]);
    assert_eq!((edited.stars, edited.caption.as_str()), (2, "mine"));
}

#[test]
fn what_was_taken_out_on_purpose_stays_out() {
    let base = parse(FULL);
    let without = |keys: &[&str]| {
        let mut document = base.document.clone();
        for key in keys {
            document.shift_remove(*key);
        }
        parse(&Value::Object(document).to_string())
    };
    assert_eq!(restore_vanished(&base, &without(&[])), None);
    assert_eq!(
        restore_vanished(&base, &without(&["rating", "rating_src"])),
        None
    );
    assert!(restore_vanished(&base, &without(&["rating", "urls"])).is_some());
    // A program that knows the keys counts the revision up.
    let mut newer = without(&["rating", "urls", "stars"]);
    newer.document.insert(
        "rev".to_owned(),
        json!({"n": 5, "host": "desk", "at": "2025-01-02T00:00:00Z"}),
    );
    let newer = parse(&Value::Object(newer.document).to_string());
    assert_eq!(restore_vanished(&base, &newer), None);
    // All there was, although it is one key.
    let one = parse(r#"{"schema": 1, "tags": ["a"], "stars": 3, "rev": {"n": 1}}"#);
    let plain = parse(r#"{"tags": ["a", "b"]}"#);
    let restored = restore_vanished(&one, &plain).unwrap();
    assert_eq!((restored.media.stars, restored.media.tags.len()), (3, 2));
    assert_eq!(restore_vanished(&plain, &one), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_one_side_did_is_taken_as_it_is(base in plain_media(), x in plain_media()) {
        let (base, x) = (written(&base), written(&x));
        for (ours, theirs) in [(&x, &base), (&base, &x), (&x, &x)] {
            let merged = merge(Some(&base), ours, theirs);
            prop_assert_eq!(&merged.sidecar, &x);
            prop_assert_eq!(merged.notes, Vec::<String>::new());
        }
        // The same field by field, where something else was changed as well.
        let touched = |sidecar: &Sidecar| {
            let mut sidecar = sidecar.clone();
            sidecar.document.insert("zeta".to_owned(), 1.into());
            sidecar
        };
        for (ours, theirs) in [(&x, &touched(&base)), (&touched(&base), &x)] {
            let merged = merge(Some(&base), ours, theirs);
            prop_assert_eq!(&merged.sidecar.media, &x.media);
            prop_assert_eq!(merged.notes, Vec::<String>::new());
            let read = parse(&merged.sidecar.render());
            prop_assert_eq!(&read.media, &x.media);
            prop_assert_eq!(read.document.get("zeta"), Some(&Value::from(1)));
        }
    }

    #[test]
    fn it_does_not_matter_which_side_is_ours(
        base in plain_media(), one in plain_media(), other in plain_media()
    ) {
        let (base, one, other) = (revised(base, 1), revised(one, 2), revised(other, 3));
        let here = merge(Some(&base), &one, &other);
        let there = merge(Some(&base), &other, &one);
        prop_assert_eq!(&here.sidecar.media.tags, &there.sidecar.media.tags);
        prop_assert_eq!(sorted(&here.sidecar.media), sorted(&there.sidecar.media));
        prop_assert_eq!(here.notes, there.notes);
    }

    #[test]
    fn no_tag_is_lost_that_neither_removed(
        base in prop::option::of(plain_media()), ours in plain_media(), theirs in plain_media()
    ) {
        let base = base.map(|base| written(&base));
        let (ours, theirs) = (written(&ours), written(&theirs));
        let merged = merge(base.as_ref(), &ours, &theirs).sidecar.media;
        let has = |media: &Media, name: &TagName| media.has_tag(name);
        let buries = |media: &Media, name: &TagName| {
            media.tags_removed.iter().any(|removed| removed.name() == *name)
        };
        for (one, other) in [(&ours.media, &theirs.media), (&theirs.media, &ours.media)] {
            for tag in &one.tags {
                let name = tag.name();
                let in_base = base.as_ref().is_some_and(|base| has(&base.media, &name));
                let removed = in_base && !has(other, &name);
                if !removed && !buries(other, &name) && !buries(one, &name) {
                    prop_assert!(has(&merged, &name), "{name}");
                }
                let untouched = base.as_ref().and_then(|base| base.media.tag(&name)) == Some(tag);
                if removed && untouched {
                    prop_assert!(!has(&merged, &name), "{name}");
                }
            }
            for url in &one.urls {
                let in_base = base.as_ref().is_some_and(|base| base.media.urls.contains(url));
                if !in_base {
                    prop_assert!(merged.urls.contains(url), "{url}");
                }
            }
            if !one.caption.is_empty() {
                let in_base = base.as_ref().is_some_and(|base| base.media.caption == one.caption);
                let among = merged.captions.iter().any(|caption| caption["text"] == one.caption);
                prop_assert!(in_base || merged.caption == one.caption || among);
            }
        }
        for tag in &merged.tags {
            prop_assert!(has(&ours.media, &tag.name()) || has(&theirs.media, &tag.name()));
        }
    }

    #[test]
    fn the_result_reads_back(
        base in plain_media(), ours in plain_media(), theirs in plain_media()
    ) {
        let merged = merge(Some(&written(&base)), &written(&ours), &written(&theirs)).sidecar;
        let text = merged.render();
        let read = parse(&text);
        prop_assert_eq!(&read.media, &merged.media);
        prop_assert_eq!(read.render(), text);
    }

    #[test]
    fn restoring_is_done_once(base in plain_media(), theirs in plain_media()) {
        let (base, theirs) = (written(&base), written(&theirs));
        if let Some(restored) = restore_vanished(&base, &theirs) {
            let read = parse(&restored.render());
            prop_assert_eq!(&read.media, &restored.media);
            // What gave way to the other program may be missed again, to no effect.
            if let Some(again) = restore_vanished(&base, &read) {
                prop_assert_eq!(written(&again.media).media, written(&read.media).media);
            }
            let names = |media: &Media| media.tags.iter().map(Tag::name).collect::<Vec<_>>();
            prop_assert_eq!(names(&read.media), names(&theirs.media));
            prop_assert_eq!(read.media.caption, theirs.media.caption);
        }
    }
}
