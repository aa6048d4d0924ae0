use proptest::prelude::*;

use super::*;
use crate::model::{
    edit::{Edit, apply_all},
    samples::{any_media, plain_media},
    sidecar::Sidecar,
};

fn tagged(values: &[&str]) -> Media {
    Media {
        tags: values.iter().map(|value| Tag::new("", value)).collect(),
        ..Media::default()
    }
}

fn values(media: &Media) -> Vec<&str> {
    media.tags.iter().map(|tag| tag.value.as_str()).collect()
}

#[test]
fn the_json_form_is_the_documented_one() {
    let before = tagged(&["a", "b"]);
    let mut after = tagged(&["a", "fox", "b"]);
    after.caption = "a fox".into();
    after.stars = 3;
    after.metadata.insert("width".into(), 2.into());
    after.related = vec![("masks".into(), vec!["m".into()])];
    let patch = Patch::between(&before, &after);
    assert_eq!(
        serde_json::to_string(&patch).unwrap(),
        concat!(
            r#"{"values":[{"path":["caption"],"before":"","after":"a fox"},"#,
            r#"{"path":["stars"],"before":0,"after":3},"#,
            r#"{"path":["metadata","width"],"after":2}],"#,
            r#""tags":{"changes":[{"key":"general fox","#,
            r#""after":{"category":"general","value":"fox"},"place":[1,"general a"]}]},"#,
            r#""relation_names":{"changes":[{"key":"masks","after":"masks","place":[0,null]}]},"#,
            r#""related":{"masks":{"changes":[{"key":"m","after":"m","place":[0,null]}]}}}"#
        )
    );
    assert_eq!(
        serde_json::to_string(&Patch::default()).unwrap(),
        "{}",
        "nothing changed, nothing stored"
    );
}

#[test]
fn a_medium_written_and_read_again_is_still_undone() {
    let mut sidecar = Sidecar::parse(
        r#"{"tags": [{"category": "general", "value": "a", "weight": 1.20}, "b"], "caption": "old"}"#,
    )
    .unwrap();
    let before = sidecar.media.clone();
    let tag = Tag {
        src: Some("tagger:x".into()),
        conf: Some(0.971_234),
        ..Tag::new("", "new")
    };
    let edits = [
        Edit::AddTag {
            tag,
            position: Some(1),
        },
        Edit::MoveTag {
            name: TagName::new("", "b"),
            to: 0,
        },
        Edit::SetName("name".into()),
    ];
    apply_all(&edits, &mut sidecar.media);
    let patch = Patch::between(&before, &sidecar.media);
    let journaled: Patch = serde_json::from_str(&serde_json::to_string(&patch).unwrap()).unwrap();
    let mut read = Sidecar::parse(&sidecar.render()).unwrap();
    assert_eq!(
        journaled.inverse().apply(&mut read.media),
        Vec::<String>::new()
    );
    assert_eq!(read.media, before);
    assert!(read.render().contains(r#""weight": 1.20"#));
}

#[test]
fn what_was_changed_since_is_left_alone_and_named() {
    let before = tagged(&["a", "b", "c", "e"]);
    let mut after = tagged(&["e", "b", "c", "d"]);
    after.caption = "ours".into();
    after.stars = 5;
    let patch = Patch::between(&before, &after);

    let mut media = tagged(&["c", "a", "b", "e", "z"]);
    media.tags[1].src = Some("danbooru".into());
    media.caption = "theirs".into();
    media.stars = 5;
    let left = patch.apply(&mut media);
    assert_eq!(
        left,
        [
            "the caption was changed since",
            "the order of the tags was changed since",
            "the tag a was changed since",
        ]
    );
    // `d` followed `c`; the order is theirs; `z` is theirs and stays.
    assert_eq!(values(&media), ["c", "d", "a", "b", "e", "z"]);
    assert_eq!((media.caption.as_str(), media.stars), ("theirs", 5));
}

#[test]
fn a_tag_goes_back_to_its_place_among_others() {
    let before = tagged(&["a", "b", "c", "d"]);
    let after = tagged(&["a", "d"]);
    let undo = Patch::between(&before, &after).inverse();
    let mut media = tagged(&["new", "a", "d", "last"]);
    assert!(undo.apply(&mut media).is_empty());
    assert_eq!(values(&media), ["new", "a", "b", "c", "d", "last"]);
    let mut media = tagged(&["new", "d", "last"]);
    assert!(undo.apply(&mut media).is_empty());
    assert_eq!(values(&media), ["new", "b", "c", "d", "last"]);
}

#[test]
fn a_move_keeps_what_came_since_in_its_place() {
    let patch = Patch::between(&tagged(&["a", "b", "c"]), &tagged(&["c", "a", "b"]));
    let mut media = tagged(&["a", "new", "b", "c"]);
    assert!(patch.apply(&mut media).is_empty());
    assert_eq!(values(&media), ["c", "new", "a", "b"]);
}

#[test]
fn two_programs_put_something_into_the_same_relation() {
    let before = Media::default();
    let with = |id: &str| {
        let mut media = Media {
            related: vec![("similar".into(), vec![id.into()])],
            ..Media::default()
        };
        media
            .relations
            .insert("similar".into(), serde_json::json!({ id: { "score": 1 } }));
        media
    };
    let patch = Patch::between(&before, &with("x"));
    let mut media = with("y");
    assert!(patch.apply(&mut media).is_empty());
    assert_eq!(media.related("similar"), ["x", "y"]);
    assert_eq!(media.relations["similar"]["x"]["score"], 1);
    assert!(patch.inverse().apply(&mut media).is_empty());
    assert_eq!(media, with("y"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn between_apply_and_inverse(a in any_media(), b in any_media()) {
        let patch = Patch::between(&a, &b);
        prop_assert_eq!(patch.is_empty(), a == b);
        let mut media = a.clone();
        prop_assert_eq!(patch.apply(&mut media), Vec::<String>::new());
        prop_assert_eq!(&media, &b);
        prop_assert_eq!(patch.apply(&mut media), Vec::<String>::new(), "already applied");
        prop_assert_eq!(&media, &b);
        prop_assert_eq!(patch.inverse().apply(&mut media), Vec::<String>::new());
        prop_assert_eq!(&media, &a);
        prop_assert_eq!(patch.inverse().inverse(), patch);
        prop_assert!(Patch::between(&a, &a).is_empty());
    }

    #[test]
    fn applying_twice_is_applying_once(a in plain_media(), b in plain_media(), c in plain_media()) {
        let patch = Patch::between(&a, &b);
        let mut once = c;
        let left = patch.apply(&mut once);
        let mut twice = once.clone();
        prop_assert_eq!(patch.apply(&mut twice), left);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn nothing_changed_since_is_overwritten(a in plain_media(), b in plain_media(), c in plain_media()) {
        let patch = Patch::between(&a, &b);
        let mut media = c.clone();
        let left = patch.apply(&mut media);
        let names: std::collections::BTreeSet<TagName> =
            [&a, &b, &c].iter().flat_map(|media| media.tags.iter().map(Tag::name)).collect();
        for name in names {
            let (before, after, current) = (a.tag(&name), b.tag(&name), c.tag(&name));
            let expected = if current == before { after } else { current };
            prop_assert_eq!(media.tag(&name), expected);
            if before != after && current != before && current != after {
                let title = format!("the tag {name} was ");
                prop_assert!(left.iter().any(|text| text.starts_with(&title)), "{left:?}");
            }
        }
        prop_assert_eq!(
            &media.caption,
            if c.caption == a.caption { &b.caption } else { &c.caption }
        );
        prop_assert_eq!(
            media.metadata.get("width"),
            if c.metadata.get("width") == a.metadata.get("width") {
                b.metadata.get("width")
            } else {
                c.metadata.get("width")
            }
        );
        if b.tags.is_empty() && a.tags.is_empty() {
            prop_assert_eq!(media.tags, c.tags);
        }
    }

    #[test]
    fn json_round_trip(a in any_media(), b in any_media(), c in any_media()) {
        let patch = Patch::between(&a, &b);
        let text = serde_json::to_string(&patch).unwrap();
        let read: Patch = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let (mut one, mut other) = (c.clone(), c);
        prop_assert_eq!(read.apply(&mut one), patch.apply(&mut other));
        prop_assert_eq!(one, other);
        prop_assert_eq!(read, patch);
    }
}
