//! Searches over small libraries: a table of queries, and a naive evaluator that
//! must agree with the bitmaps on any tree.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{
    catalog::Change,
    entry::Entry,
    fact::{Album, Detail},
    hash::PerceptualHash,
    mark::{Mark, MediaRef},
    media::{Rating, Status},
    query::{BuiltIn, tree::Node},
    tag::TagName,
};

/// 2025-03-15 12:00 UTC.
const NOW: i64 = 1_742_040_000;

fn entry(key: u32, tags: &[&str]) -> Entry {
    Entry {
        key: MediaKey(key),
        id: format!("id{key:04}").parse().unwrap(),
        path: format!("images/file {key}.png"),
        kind: MediaKind::Image,
        name: String::new(),
        md5: None,
        phash: None,
        width: 0,
        height: 0,
        bytes: 0,
        duration_ms: None,
        frames: 1,
        imported: i64::from(key),
        created: 0,
        modified: 0,
        rating: None,
        stars: 0,
        fav: false,
        status: None,
        tags: tags
            .iter()
            .map(|tag| match tag.split_once(':') {
                Some((category, value)) => TagName::new(category, value),
                None => TagName::new("", tag),
            })
            .collect(),
        posts: Vec::new(),
        origin: None,
        parent: None,
        score: None,
        favcount: None,
        has: Facets::default(),
    }
}

fn library() -> Catalog {
    let day = 86_400;
    Catalog::from_entries(
        vec![
            Entry {
                width: 1920,
                height: 1080,
                bytes: 1 << 20,
                rating: Some(Rating::General),
                stars: 5,
                fav: true,
                imported: NOW - day,
                created: NOW - 365 * day,
                posts: vec![("danbooru".into(), "6059".into())],
                score: Some(10),
                phash: Some(PerceptualHash::new([0, 0])),
                has: Facets(Facets::CAPTION.0 | Facets::SOURCE.0 | Facets::MASK.0),
                ..entry(1, &["blue_hair", "1girl", "character:holo"])
            },
            Entry {
                width: 1000,
                height: 2000,
                bytes: 5000,
                rating: Some(Rating::Explicit),
                stars: 2,
                status: Some(Status::Inbox),
                imported: NOW - 30 * day,
                created: NOW,
                score: Some(-3),
                phash: Some(PerceptualHash::new([0, 7])),
                parent: Some("id0001".into()),
                path: "2024/a/raw/x10.JPG".into(),
                has: Facets::PARENT,
                ..entry(2, &["blue_hair", "sketch", "artist:holo"])
            },
            Entry {
                imported: NOW - 400 * day,
                path: "2024/b/raw/x9.jpg".into(),
                phash: Some(PerceptualHash::new([255, 255])),
                ..entry(3, &["red_hair", "re:zero"])
            },
            Entry {
                kind: MediaKind::Mask,
                origin: Some("id0001".into()),
                imported: NOW,
                ..entry(4, &["blue_hair"])
            },
            Entry {
                has: Facets::TRASHED,
                imported: NOW,
                ..entry(5, &["blue_hair"])
            },
        ],
        true,
    )
}

struct Texts;

impl Lookup for Texts {
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        match (field, words) {
            (None, "sunset" | "suns*") => Ok(vec![MediaKey(3)]),
            _ => Ok(Vec::new()),
        }
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        if detail == Detail::Caption {
            on(MediaKey(1), "Two red cars");
        }
        Ok(())
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        Ok(Vec::new())
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        Ok(BTreeMap::from([(
            "round".to_owned(),
            "search:round stars:5".to_owned(),
        )]))
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        Ok(Vec::new())
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        Ok(Vec::new())
    }
}

fn find(query: &Query, catalog: &Catalog) -> Found {
    search(query, catalog, &Texts, NOW, &Cancel::default()).unwrap()
}

fn keys(text: &str) -> Vec<u32> {
    let catalog = library();
    let query = Query::parse(text, &catalog).unwrap_or_else(|error| panic!("{text}: {error}"));
    find(&query, &catalog)
        .keys
        .iter()
        .map(|key| key.0)
        .collect()
}

#[test]
fn queries_find_what_they_say() {
    for (text, expected) in [
        ("", &[1, 2, 3][..]),
        ("blue_hair", &[1, 2]),
        ("Blue_Hair -sketch", &[1]),
        ("-blue_hair", &[3]),
        ("1girl or red_hair", &[1, 3]),
        ("~sketch ~red_hair", &[2, 3]),
        ("holo", &[1, 2]),
        ("char:holo", &[1]),
        ("artist:*", &[2]),
        ("*_hair", &[1, 2, 3]),
        ("re:zero", &[3]),
        ("tag:character:holo", &[1]),
        ("direct:sketch", &[2]),
        ("tag:/^.{3}_hair$/", &[3]),
        ("all: blue_hair", &[4, 5, 1, 2]),
        ("status:trash", &[5]),
        ("status:inbox", &[2]),
        ("is:trash", &[5]),
        ("type:mask", &[4]),
        ("is:derived blue_hair", &[4]),
        ("of:id0001", &[4]),
        ("width:>=1920", &[1]),
        ("width:none", &[3]),
        ("height:1080..2160", &[1, 2]),
        ("ratio:16:9", &[1]),
        ("is:portrait", &[2]),
        ("filesize:1mb", &[1]),
        ("filesize:..200kb", &[2]),
        ("mpixels:>1.9", &[1, 2]),
        ("tagcount:2", &[3]),
        ("tagcount:0", &[]),
        ("count.artist:1", &[2]),
        ("chartags:>0", &[1]),
        ("rating:g", &[1]),
        ("rating:nsfw,g", &[1, 2]),
        ("rating:none", &[3]),
        ("-rating:e", &[1, 3]),
        ("stars:>=2", &[1, 2]),
        ("stars:0", &[3]),
        ("fav:yes", &[1]),
        ("-fav:no", &[1]),
        ("age:<2w", &[1]),
        ("age:>1y", &[3]),
        ("imported:2025-03", &[1]),
        ("imported:<2025", &[3]),
        ("date:2024", &[1]),
        ("date:today", &[2]),
        ("has:mask", &[1]),
        ("has:parent", &[2]),
        ("-has:caption", &[2, 3]),
        ("needs:metadata", &[2, 3]),
        ("parent:id0001", &[1, 2]),
        ("child:id0002", &[1]),
        ("site:danbooru", &[1]),
        ("source:danbooru", &[1]),
        ("danbooru:6059", &[1]),
        ("post:6059", &[1]),
        ("id:id0002,id0003", &[2, 3]),
        ("id:id00", &[1, 2, 3]),
        ("id:id0", &[]),
        ("ext:jpg", &[2, 3]),
        (".png", &[1]),
        ("path:2024/*/raw/*.jpg", &[2, 3]),
        ("filename:X10", &[]),
        ("filename:x10", &[2]),
        ("folder:2024", &[2, 3]),
        ("filename:/^x[0-9]+/i", &[2, 3]),
        ("score:<0", &[2]),
        ("text:sunset", &[3]),
        ("caption:\"red car\"", &[1]),
        ("similar:id0001,d<=4", &[1, 2]),
        ("similar:id0001,d<=16,n=3 order:similarity_asc", &[3, 2, 1]),
        ("order:old", &[3, 2, 1]),
        ("order:id_desc", &[3, 2, 1]),
        ("order:filesize", &[1, 2, 3]),
        ("order:score_asc", &[2, 1, 3]),
        ("order:path", &[2, 3, 1]),
        ("order:name", &[1, 3, 2]),
        ("order:stars limit:1", &[1]),
        ("order:chartags limit:1", &[1]),
        ("limit:2", &[1, 2]),
        ("nobody_has_this", &[]),
    ] {
        assert_eq!(keys(text), expected, "{text}");
    }
}

#[test]
fn random_orders_follow_their_seed() {
    assert_eq!(keys("order:random:7"), keys("order:random:7"));
    assert_eq!(keys("random:2").len(), 2);
    let shuffled: std::collections::BTreeSet<_> = keys("order:random:7").into_iter().collect();
    assert_eq!(shuffled, [1, 2, 3].into());
}

#[test]
fn an_unknown_word_is_named_or_looked_for_in_texts() {
    let catalog = library();
    let query = Query::parse("blue_hiar", &catalog).unwrap();
    let found = find(&query, &catalog);
    assert!(found.keys.is_empty());
    assert_eq!(
        found.hint.as_deref(),
        Some("no tag blue_hiar; did you mean blue_hair (4)?")
    );
    let query = Query::parse("sunset", &catalog)
        .unwrap()
        .with_unknown_as_text(true);
    let found = find(&query, &catalog);
    assert_eq!(*found.keys, [MediaKey(3)]);
    assert_eq!(
        found.terms,
        [TermInfo {
            text: "text:sunset".into(),
            count: 1
        }]
    );
    let query = Query::parse_typing("suns", &catalog).unwrap();
    assert_eq!(*find(&query, &catalog).keys, [MediaKey(3)]);
    let query = Query::parse("\"sunset\"", &catalog)
        .unwrap()
        .with_unknown_as_text(true);
    assert!(find(&query, &catalog).keys.is_empty());
}

#[test]
fn chips_count_visible_media() {
    let catalog = library();
    let query = Query::parse_typing("blue_hair -sketch re", &catalog).unwrap();
    let chips: Vec<_> = find(&query, &catalog)
        .terms
        .into_iter()
        .map(|chip| (chip.text, chip.count))
        .collect();
    assert_eq!(
        chips,
        [
            ("blue_hair".to_owned(), 2),
            ("re".to_owned(), 1),
            ("sketch".to_owned(), 1)
        ]
    );
}

#[test]
fn a_cancelled_search_finds_nothing() {
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(search(&Query::default(), &library(), &NoLookup, NOW, &cancel).is_none());
}

#[test]
fn what_cannot_be_answered_is_said() {
    for text in [
        "dup:near",
        "dup:G1",
        "order:viewed",
        "has:audio",
        "text:x",
        "caption:a*",
        "project:x",
    ] {
        let query = Query::parse(text, &BuiltIn).unwrap();
        let found = search(&query, &library(), &NoLookup, NOW, &Cancel::default()).unwrap();
        assert!(found.hint.is_some(), "{text}");
    }
}

/// What a tree means, one medium at a time.
fn naive(node: &Node, entry: &Entry) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| naive(node, entry)),
        Node::Or(nodes) => nodes.iter().any(|node| naive(node, entry)),
        Node::Not(node) => !naive(node, entry),
        Node::Term(term) => match &term.test {
            Test::Tag {
                category, value, ..
            } => entry.tags.iter().any(|tag| {
                tag.value == *value && category.as_ref().is_none_or(|known| tag.category == *known)
            }),
            Test::Wildcard {
                category, pattern, ..
            } => {
                let start = pattern.trim_end_matches('*');
                entry.tags.iter().any(|tag| {
                    tag.value.starts_with(start)
                        && category.as_ref().is_none_or(|known| tag.category == *known)
                })
            }
            Test::Key { key, value, .. } => match (key, &value.items) {
                (Key::Tagcount, Items::Numbers(tests)) => {
                    let count = u8::try_from(entry.tags.len()).unwrap();
                    tests.iter().any(|test| test.matches(f64::from(count)))
                }
                (Key::Fav, Items::Flag(is_on)) => entry.fav == *is_on,
                (Key::Stars, Items::Numbers(tests)) => tests
                    .iter()
                    .any(|test| test.matches(f64::from(entry.stars))),
                other => panic!("{other:?}"),
            },
        },
    }
}

proptest! {
    #[test]
    fn bitmaps_agree_with_a_naive_evaluation(
        media in prop::collection::vec(
            (0..1000_u32, prop::collection::btree_set(0..6_usize, 0..4), any::<bool>(), 0..6_u8),
            0..40,
        ),
        late in 0..3_u32,
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "-", "~", " ", "or ", "and ", "aa ", "ab ", "b ", "artist:b ", "a* ", "artist:* ",
                "fav:yes ", "tagcount:>1 ", "stars:2..4 ", "zzz ",
            ]),
            0..14,
        ),
    ) {
        const TAGS: [&str; 6] = ["aa", "ab", "b", "artist:b", "artist:ab", "character:c"];
        let mut entries: Vec<Entry> = media
            .into_iter()
            .map(|(key, tags, fav, stars)| {
                let tags: Vec<&str> = tags.into_iter().map(|tag| TAGS[tag]).collect();
                Entry { stars, fav, ..entry(key, &tags) }
            })
            .collect();
        entries.sort_by_key(|entry| entry.key);
        entries.dedup_by_key(|entry| entry.key);
        // Some of them arrive later.
        let split = entries.len() / (late as usize + 1);
        let catalog = Catalog::from_entries(entries[..split].to_vec(), false).apply(
            &entries[split..].iter().cloned().map(Change::Upsert).collect::<Vec<_>>(),
        );
        if let Ok(query) = Query::parse(&tokens.concat(), &BuiltIn) {
            let found = search(&query, &catalog, &NoLookup, NOW, &Cancel::default()).unwrap();
            let mut expected: Vec<&Entry> = entries
                .iter()
                .filter(|entry| query.root().is_none_or(|root| naive(root, entry)))
                .collect();
            expected.sort_by(|a, b| b.imported.cmp(&a.imported).then_with(|| a.id.cmp(&b.id)));
            let expected: Vec<MediaKey> = expected.into_iter().map(|entry| entry.key).collect();
            prop_assert_eq!(found.keys.to_vec(), expected);
        }
    }
}

#[test]
fn aliases_implications_and_hidden_tags_count() {
    let tags = crate::model::tagdb::TagDb::parse(
        r#"{"category":"*","defs":[{"name":"character","alias":["figure"]}]}
{"category":"character","tag":"holo","aliases":["wise_wolf"],"implies":["copyright:spice_and_wolf"]}
{"category":"copyright","tag":"spice_and_wolf","implies":["genre"]}
{"category":"general","tag":"colored_hair","aliases":["red_hair"]}
{"category":"general","tag":"blue_hair","implies":["general:colored_hair"]}
{"category":"general","tag":"sketch","hidden":true}
{"category":"general","tag":"old","deprecated":true,"desc":"use new"}
"#,
    )
    .unwrap();
    let catalog = library().with_tag_database(std::sync::Arc::new(tags));
    let found = |text: &str| {
        let query = Query::parse(text, &catalog).unwrap_or_else(|error| panic!("{text}: {error}"));
        find(&query, &catalog)
    };
    for (text, expected) in [
        ("", &[1, 3][..]),
        ("wise_wolf", &[1]),
        ("figure:holo", &[1]),
        ("spice_and_wolf", &[1]),
        ("copyright:spice_and_wolf", &[1]),
        ("genre", &[1]),
        ("g*nre", &[1]),
        ("copy:*", &[1]),
        ("direct:genre", &[]),
        ("colored_hair", &[1, 3]),
        ("red_hair", &[1, 3]),
        ("direct:red_hair", &[3]),
        ("-colored_hair", &[]),
        ("sketch", &[2]),
        ("is:hidden", &[2]),
        ("all: colored_hair", &[4, 5, 1, 2, 3]),
        ("old", &[]),
    ] {
        let keys: Vec<u32> = found(text).keys.iter().map(|key| key.0).collect();
        assert_eq!(keys, expected, "{text}");
    }
    assert_eq!(
        found("wise_wolf").terms[0].text,
        "wise_wolf → character:holo"
    );
    assert_eq!(
        found("old").hint.as_deref(),
        Some("old is not used any more: use new")
    );
    let query = Query::parse("genre -sketch red_hair", &catalog).unwrap();
    let reasons = why(
        &query,
        &catalog,
        &Texts,
        NOW,
        &Cancel::default(),
        MediaKey(1),
    )
    .unwrap();
    let told: Vec<_> = reasons
        .iter()
        .map(|reason| {
            (
                reason.term.as_str(),
                reason.is_met,
                reason.because.join(", "),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "genre",
                true,
                "character:holo → copyright:spice_and_wolf → genre".to_owned()
            ),
            ("sketch", false, String::new()),
            ("red_hair", true, "blue_hair → colored_hair".to_owned()),
        ]
    );
}

#[test]
fn what_only_a_session_knows_is_asked_of_it() {
    let catalog = library();
    let asked = |text: &str| {
        let query = Query::parse(text, &catalog).unwrap();
        assert!(query.asks_session(), "{text}");
        let alone = find(&query, &catalog);
        let hint = alone.hint.unwrap_or_default();
        assert!(hint.contains("on the screen"), "{text}: {hint}");
        let session = crate::model::query::Session {
            selected: [1, 3, 77].into_iter().collect(),
            unsaved: [2].into_iter().collect(),
        };
        let found = find(&query.with_session(session), &catalog);
        assert_eq!(found.hint, None);
        let mut keys: Vec<u32> = found.keys.iter().map(|key| key.0).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(asked("sel:"), [1, 3]);
    assert_eq!(asked("-sel:"), [2]);
    assert_eq!(asked("sel:none"), [2]);
    assert_eq!(asked("sel: blue_hair"), [1]);
    assert_eq!(asked("is:dirty or sel:"), [1, 2, 3]);
    assert_eq!(asked("is:fav,dirty"), [1, 2]);
}

#[test]
fn the_king_of_equal_files_is_the_one_that_stays() {
    let file = |key: u32, path: &str, byte: u8| Entry {
        path: path.to_owned(),
        md5: Some(crate::model::id::Md5([byte; 16])),
        ..entry(key, &[])
    };
    let entries = vec![
        file(1, "b.png", 7),
        file(2, "a.png", 7),
        file(3, "c.png", 8),
        file(4, "d.png", 9),
        file(5, "e.png", 9),
        file(6, "0.png", 9),
    ];
    let catalog = Catalog::from_entries(entries, true);
    let query = Query::parse("is:king order:id", &catalog).unwrap();
    let keys: Vec<u32> = find(&query, &catalog)
        .keys
        .iter()
        .map(|key| key.0)
        .collect();
    assert_eq!(keys, [2, 6]);
}

#[test]
fn what_nothing_can_answer_says_why() {
    for (text, expected) in [
        ("color:red", "nothing of the colors of 3 others"),
        ("embed:\"a cat\"", "no model"),
        ("mark:a", "mark a stands on no picture"),
        ("search:round", "the search round asks for itself"),
        ("search:other", "no search of that name; there are round"),
        ("fav:somebody", "not a person's"),
        ("dup:G12", "no name of a group"),
        ("dup:same", "none of exact, pixel"),
        ("dup:G0000", "no duplicates are called g0000"),
    ] {
        let catalog = library();
        let query = Query::parse(text, &catalog).unwrap();
        let hint = find(&query, &catalog).hint.unwrap_or_default();
        assert!(hint.contains(expected), "{text}: {hint}");
    }
}
