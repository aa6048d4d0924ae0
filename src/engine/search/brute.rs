//! Every key and every order against a second opinion: one line of plain code for
//! each, over small random libraries; and trees against their canonical forms.

mod table;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::json;

use self::table::{ORDERS, TERMS, Test};
use super::{terms::Lookup, *};
use crate::model::{
    entry::{Entry, FileFacts},
    fact::{Album, Detail},
    id::MediaId,
    mark::{Mark, MediaRef},
    media::{Media, post_name},
    query::{BuiltIn, tree::Node},
    sidecar::Sidecar,
};

/// 2025-03-15 12:00 UTC.
const NOW: i64 = 1_742_040_000;
const DAY: i64 = 86_400;

/// A medium as files say it.
struct Sample {
    entry: Entry,
    media: Media,
    facts: FileFacts,
}

impl Sample {
    fn has(&self, tag: &str) -> bool {
        self.media.tags.iter().any(|known| known.value == tag)
    }

    fn text(&self, key: &str) -> &str {
        self.media.fact(key).unwrap_or_default()
    }
}

/// An index in memory: what storage reads from its tables, from the sidecars.
struct Shelf<'a>(&'a [Sample]);

impl Lookup for Shelf<'_> {
    fn words(&self, _field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        let holds = |sample: &&Sample| {
            let caption = sample.media.caption.to_lowercase();
            words.split(' ').all(|word| {
                caption
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|known| known == word)
            })
        };
        let found = self.0.iter().filter(holds);
        Ok(found.map(|sample| sample.entry.key).collect())
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        for sample in self.0 {
            let key = sample.entry.key;
            match detail {
                Detail::Fact(fact) => {
                    if let Some(text) = fact.of(&sample.media) {
                        on(key, &text);
                    }
                }
                Detail::Caption => {
                    if !sample.media.caption.is_empty() {
                        on(key, &sample.media.caption);
                    }
                }
                Detail::Hash(name) => {
                    if let Some(hash) = sample.media.hashes.get(name) {
                        on(key, hash);
                    }
                }
                Detail::Relation => {
                    for (kind, others) in &sample.media.related {
                        for other in others {
                            on(key, &format!("{kind}\n{other}"));
                        }
                    }
                }
                Detail::Post => {
                    for (site, id) in sample.media.posts() {
                        on(key, &post_name(site, &id));
                    }
                }
                Detail::FileModified => on(key, &sample.facts.modified.to_string()),
            }
        }
        Ok(())
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        Ok(vec![
            Album {
                name: "Best of".to_owned(),
                media: (self.0.iter().rev())
                    .filter(|sample| in_best_of(sample))
                    .map(|sample| sample.entry.key)
                    .collect(),
                query: None,
            },
            Album {
                name: "smart".to_owned(),
                media: Vec::new(),
                query: Some("aa -b".to_owned()),
            },
        ])
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        let searches = [
            ("good", "stars:>=3 order:id limit:2"),
            ("good fox", "search:good aa"),
        ];
        let own = |(name, query): (&str, &str)| (name.to_owned(), query.to_owned());
        Ok(searches.into_iter().map(own).collect())
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        let mark = |(letter, key)| Mark {
            letter,
            medium: MediaRef {
                id: format!("id{key:04}").parse().unwrap(),
                md5: None,
            },
        };
        Ok(MARKS.into_iter().map(mark).collect())
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        let viewed = self.0.iter().filter_map(|sample| {
            let medium = MediaRef {
                id: sample.entry.id.clone(),
                md5: sample.entry.md5,
            };
            Some((medium, viewed(sample)?))
        });
        // One that is gone was looked at as well.
        let gone = MediaRef {
            id: "gone".parse().unwrap(),
            md5: None,
        };
        Ok(viewed.chain([(gone, NOW)]).collect())
    }
}

/// Marks and the keys of their media, one of which is never there.
const MARKS: [(char, u32); 4] = [('a', 2), ('B', 6), ('b', 2), ('z', 77)];

/// When a medium was looked at last.
fn viewed(sample: &Sample) -> Option<i64> {
    let key = i64::from(sample.entry.key.0);
    (key % 3 != 0).then_some(NOW - key / 4 * DAY)
}

fn in_best_of(sample: &Sample) -> bool {
    sample.entry.key.0.is_multiple_of(3)
}

/// The next number of a sequence that a seed gives (splitmix64).
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut n = *state;
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (n ^ n >> 31) % below
}

const TAGS: [(&str, &str); 6] = [
    ("general", "aa"),
    ("general", "ab"),
    ("general", "b"),
    ("artist", "b"),
    ("artist", "ab"),
    ("character", "c_(d)"),
];

fn library(seed: u64) -> Vec<Sample> {
    let mut state = seed;
    let count = next(&mut state, 24);
    (0..count)
        .map(|n| sample(u32::try_from(n).unwrap() * 2, &mut state))
        .collect()
}

/// A sidecar in which anything may be there or not.
fn sample(key: u32, state: &mut u64) -> Sample {
    let mut pick = |below: u64| next(state, below);
    let mut document = json!({"tags": [], "related": {}, "metadata": {}});
    let object = document.as_object_mut().unwrap();
    for (category, value) in TAGS {
        if pick(3) == 0 {
            let mut tag = json!({"category": category, "value": value});
            if pick(3) == 0 {
                tag["src"] = ["tagger:x", "danbooru"][usize::from(pick(2) == 0)].into();
                tag["conf"] = (f64::from(u32::try_from(pick(10)).unwrap()) / 10.0).into();
            }
            object["tags"].as_array_mut().unwrap().push(tag);
        }
    }
    for (chance, name, value) in [
        (3, "caption", json!("A Red fox, in the snow")),
        (3, "caption", json!("")),
        (4, "name", json!("Shrine 10")),
        (4, "name", json!("shrine 9")),
        (
            3,
            "rating",
            json!(["g", "s", "q", "e"][usize::try_from(pick(4)).unwrap()]),
        ),
        (2, "stars", json!(pick(6))),
        (3, "fav", json!(true)),
        (
            3,
            "status",
            json!(["inbox", "archived"][usize::from(pick(2) == 0)]),
        ),
        (
            3,
            "notes",
            json!([{"name": "n", "text": "Translated"}, {"name": "m", "text": "x"}]),
        ),
        (3, "urls", json!(["https://www.pixiv.net/artworks/1"])),
        (
            3,
            "tags_removed",
            json!([{"category": "general", "value": "aa"}]),
        ),
        (3, "locked", json!(["caption"])),
        (
            3,
            "sources",
            json!({"danbooru": {"id": "6059", "score": 7, "fav_count": pick(4)}}),
        ),
    ] {
        if pick(chance) == 0 {
            object.insert(name.to_owned(), value);
        }
    }
    let metadata = object["metadata"].as_object_mut().unwrap();
    for (chance, name, value) in [
        (2, "width", json!(100 * (1 + pick(3)))),
        (2, "height", json!(100 * (1 + pick(3)))),
        (3, "duration", json!(pick(4))),
        (3, "frames", json!(1 + pick(3))),
        (3, "fps", json!(12.5)),
        (3, "pages", json!(3)),
        (3, "taken", json!("2024-07-01T00:00:00Z")),
        (3, "created", json!("2023-07-01T00:00:00Z")),
        (2, "imported", json!("2025-03-14T12:00:00Z")),
        (3, "original_path", json!("/old/place.png")),
        (3, "exif", json!({"Make": "x"})),
        (3, "audio", json!(true)),
        (3, "alpha", json!(true)),
        (3, "undecodable", json!("no decoder")),
    ] {
        if pick(chance) == 0 {
            metadata.insert(name.to_owned(), value);
        }
    }
    for (chance, kind) in [
        (4, "similar"),
        (5, "duplicates"),
        (5, "not_duplicate"),
        (4, "parent"),
        (4, "children"),
        (5, "masks"),
        (6, "variants"),
    ] {
        if pick(chance) == 0 {
            object["related"][kind] = json!([format!("id{:04}", 2 * pick(12))]);
        }
    }
    if pick(3) == 0 {
        object.insert(
            "hashes".to_owned(),
            json!({
                "md5": format!("{:032x}", pick(6)),
                "sha256": format!("{:064x}", pick(6)),
                "pixel": format!("{:032x}", 0xabcd_0000_u64 + pick(3)),
                "phash": format!("{:016x}", pick(4)),
            }),
        );
    }
    if pick(3) > 0 {
        let digits =
            (0..16).map(|_| ["0", "0", "0", "1", "3", "7", "f"][usize::try_from(pick(7)).unwrap()]);
        let digits: String = digits.collect();
        let hashes = object.entry("hashes").or_insert_with(|| json!({}));
        hashes["colorhash"] = digits.into();
    }
    if pick(6) == 0 {
        object.insert("type".to_owned(), json!("animation"));
    }
    let media = Sidecar::parse(&document.to_string()).unwrap().media;
    let facts = FileFacts {
        path: format!(
            "images/{}/file {key}.{}",
            ["x", "y"][usize::from(pick(2) == 0)],
            ["png", "JPG"][usize::from(pick(2) == 0)]
        ),
        bytes: 1000 * (1 + pick(3)),
        modified: NOW - DAY * i64::try_from(pick(800)).unwrap(),
        has_sidecar: pick(2) == 0,
        is_missing: pick(5) == 0,
    };
    let id = format!("id{key:04}").parse().unwrap();
    Sample {
        entry: Entry::new(MediaKey(key), id, &facts, &media),
        media,
        facts,
    }
}

fn found(text: &str, samples: &[Sample]) -> (Vec<u32>, Option<String>) {
    let catalog = Catalog::from_entries(samples.iter().map(|s| s.entry.clone()).collect(), true);
    let query = Query::parse(text, &BuiltIn).unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = search(&query, &catalog, &Shelf(samples), NOW, &Cancel::default()).unwrap();
    (found.keys.iter().map(|key| key.0).collect(), found.hint)
}

#[test]
fn every_term_finds_what_plain_code_finds() {
    let mut wrong: Vec<(&str, u64, Vec<u32>, Vec<u32>)> = Vec::new();
    for seed in 0..60 {
        let samples = library(seed);
        for (term, test) in TERMS {
            let expected: Vec<u32> = samples
                .iter()
                .filter(|sample| test(sample, &samples))
                .map(|sample| sample.entry.key.0)
                .collect();
            let (mut keys, _) = found(&format!("all: order:none {term}"), &samples);
            keys.sort_unstable();
            if keys != expected && wrong.iter().all(|(known, ..)| known != term) {
                wrong.push((*term, seed, keys, expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_order_is_what_plain_code_sorts() {
    for seed in 0..60 {
        let mut samples = library(seed);
        for (order, before) in ORDERS {
            let (keys, hint) = found(&format!("all: order:{order}"), &samples);
            samples.sort_by(|a, b| before(a, b).then_with(|| a.entry.id.cmp(&b.entry.id)));
            let expected: Vec<u32> = samples.iter().map(|sample| sample.entry.key.0).collect();
            assert_eq!((keys, hint), (expected, None), "{order} with seed {seed}");
            samples.sort_by_key(|sample| sample.entry.key);
        }
    }
}

/// Whether two media are in one group of duplicates without a third.
fn hang_together(a: &Sample, b: &Sample) -> bool {
    let names = |a: &Sample, b: &Sample, kind: &str| {
        a.media
            .related(kind)
            .iter()
            .any(|id| id == b.entry.id.as_str())
    };
    let either = |kind: &str| names(a, b, kind) || names(b, a, kind);
    let is_same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    is_same(&a.media.hashes.md5, &b.media.hashes.md5)
        || is_same(&a.media.hashes.pixel, &b.media.hashes.pixel)
        || (either("similar") || either("duplicates")) && !either("not_duplicate")
}

#[test]
fn a_group_of_duplicates_is_found_by_its_name() {
    let mut seen = 0;
    for seed in 0..60 {
        let samples = library(seed);
        for sample in &samples {
            let mut group = vec![sample];
            loop {
                let is_next = |other: &&Sample| {
                    group.iter().all(|known| known.entry.key != other.entry.key)
                        && group.iter().any(|known| hang_together(known, other))
                };
                let Some(next) = samples.iter().find(is_next) else {
                    break;
                };
                group.push(next);
            }
            let first = group
                .iter()
                .min_by_key(|sample| (sample.entry.imported, sample.entry.id.clone()))
                .unwrap();
            let name = format!("{:x}", md5::compute(first.entry.id.as_str()));
            let mut expected: Vec<u32> = group.iter().map(|sample| sample.entry.key.0).collect();
            expected.sort_unstable();
            if group.len() == 1 {
                expected.clear();
            }
            seen += expected.len();
            let (mut keys, _) = found(&format!("all: dup:G{}", &name[..8]), &samples);
            keys.sort_unstable();
            assert_eq!(keys, expected, "{seed} {}", sample.entry.id);
        }
    }
    assert!(seen > 100, "{seen}");
}

/// How many media have the bytes of one, itself included.
fn copies(sample: &Sample, samples: &[Sample]) -> usize {
    let same = |other: &&Sample| other.entry.md5.is_some() && other.entry.md5 == sample.entry.md5;
    samples.iter().filter(same).count().max(1)
}

#[test]
fn what_has_copies_stands_before_what_has_none() {
    for seed in 0..60 {
        let samples = library(seed);
        let mut sorted: Vec<(usize, &MediaId, u32)> = samples
            .iter()
            .map(|sample| {
                let count = copies(sample, &samples);
                (count, &sample.entry.id, sample.entry.key.0)
            })
            .collect();
        for (order, is_descending) in [("dupsize", true), ("dupsize_asc", false)] {
            sorted.sort_by(|a, b| {
                let counts = if is_descending {
                    b.0.cmp(&a.0)
                } else {
                    a.0.cmp(&b.0)
                };
                counts.then_with(|| a.1.cmp(b.1))
            });
            let expected: Vec<u32> = sorted.iter().map(|(.., key)| *key).collect();
            let (keys, _) = found(&format!("all: order:{order}"), &samples);
            assert_eq!(keys, expected, "{order} with seed {seed}");
        }
    }
}

/// The first page and its count must be what the whole list begins with, whether the
/// order was made already or not.
#[test]
fn a_first_page_is_the_beginning_of_the_whole_list() {
    for seed in 0..12 {
        let samples = library(seed);
        let entries = samples.iter().map(|sample| sample.entry.clone());
        let asked = Catalog::from_entries(entries.clone().collect(), true);
        for (order, _) in ORDERS
            .iter()
            .chain([("dupsize", ORDERS[0].1), ("random:7", ORDERS[0].1)].iter())
        {
            for terms in [
                "",
                "all:",
                "aa",
                "-b",
                "all: (aa or artist:*)",
                "project:best_of",
                "limit:4",
            ] {
                let text = format!("{terms} order:{order}");
                let query = Query::parse(&text, &BuiltIn).unwrap();
                let cancel = Cancel::default();
                for size in [0, 1, 3, 7] {
                    let fresh = Catalog::from_entries(entries.clone().collect(), true);
                    for catalog in [&fresh, &asked] {
                        let page =
                            first_page(&query, catalog, &Shelf(&samples), NOW, &cancel, size);
                        let page = page.unwrap();
                        let whole = search(&query, catalog, &Shelf(&samples), NOW, &cancel);
                        let whole = whole.unwrap().keys;
                        assert_eq!(page.total, whole.len() as u64, "{text}");
                        assert_eq!(*page.keys, whole[..size.min(whole.len())], "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn members_of_a_project_stand_in_its_order() {
    let samples = library(3);
    let (keys, _) = found("ordproject:best_of", &samples);
    assert!(
        keys.len() > 2 && keys.is_sorted_by(|a, b| a > b),
        "{keys:?}"
    );
    assert_eq!(found("project:best_of order:project", &samples).0, keys);
}

/// What a canonical form means, read from its text alone.
fn meaning(form: &str, leaves: &HashMap<String, Vec<bool>>, count: usize) -> Vec<bool> {
    fn read(rest: &mut &str, leaves: &HashMap<String, Vec<bool>>, count: usize) -> Vec<bool> {
        let (fold, start): (fn(bool, bool) -> bool, bool) =
            if let Some(inner) = rest.strip_prefix("(and ") {
                *rest = inner;
                (|a, b| a && b, true)
            } else if let Some(inner) = rest.strip_prefix("(or ") {
                *rest = inner;
                (|a, b| a || b, false)
            } else if let Some(inner) = rest.strip_prefix("(not ") {
                *rest = inner;
                let truth = read(rest, leaves, count);
                *rest = rest.strip_prefix(')').unwrap();
                return truth.into_iter().map(|is| !is).collect();
            } else {
                let longest = leaves
                    .keys()
                    .filter(|leaf| rest.starts_with(leaf.as_str()))
                    .max_by_key(|leaf| leaf.len());
                let leaf = longest.unwrap_or_else(|| panic!("no leaf at {rest}"));
                *rest = &rest[leaf.len()..];
                return leaves[leaf].clone();
            };
        let mut truth = vec![start; count];
        loop {
            let part = read(rest, leaves, count);
            truth = truth
                .into_iter()
                .zip(part)
                .map(|(a, b)| fold(a, b))
                .collect();
            match rest.strip_prefix(' ') {
                Some(more) => *rest = more,
                None => break,
            }
        }
        *rest = rest.strip_prefix(')').unwrap();
        truth
    }
    match form {
        "all" => vec![true; count],
        "none" => vec![false; count],
        form => {
            let mut rest = form;
            let truth = read(&mut rest, leaves, count);
            assert_eq!(rest, "", "the whole form is read");
            truth
        }
    }
}

fn truth(node: &Node, leaf: &dyn Fn(&str) -> Vec<bool>, text: &str, count: usize) -> Vec<bool> {
    let many = |nodes: &[Node], start: bool, fold: fn(bool, bool) -> bool| {
        nodes.iter().fold(vec![start; count], |truth_so_far, node| {
            let part = truth(node, leaf, text, count);
            truth_so_far
                .into_iter()
                .zip(part)
                .map(|(a, b)| fold(a, b))
                .collect()
        })
    };
    match node {
        Node::And(nodes) => many(nodes, true, |a, b| a && b),
        Node::Or(nodes) => many(nodes, false, |a, b| a || b),
        Node::Not(inner) => truth(inner, leaf, text, count)
            .into_iter()
            .map(|is| !is)
            .collect(),
        Node::Term(term) => leaf(&text[term.span.clone()]),
    }
}

proptest! {
    #[test]
    fn trees_canonical_forms_and_bitmaps_agree(
        seed in any::<u64>(),
        tokens in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["(", ")", "-", "~", "or ", "and "]).prop_map(str::to_owned),
                prop::sample::select(TERMS.to_vec()).prop_map(|(term, _)| format!("{term} ")),
            ],
            0..12,
        ),
    ) {
        let text = tokens.concat();
        let Ok(query) = Query::parse(&text, &BuiltIn) else {
            return Ok(());
        };
        let samples = library(seed);
        let truth_of = |test: Test| samples.iter().map(|s| test(s, &samples)).collect::<Vec<bool>>();
        let of_term: HashMap<&str, Vec<bool>> = TERMS.iter().map(|(term, test)| (term.trim(), truth_of(*test))).collect();
        let leaves: HashMap<String, Vec<bool>> = TERMS
            .iter()
            .map(|(term, test)| (Query::parse(term, &BuiltIn).unwrap().canonical(), truth_of(*test)))
            .collect();
        let count = samples.len();
        let expected = query.root().map_or_else(
            || vec![true; count],
            |root| truth(root, &|leaf| of_term[leaf.trim()].clone(), &text, count),
        );
        prop_assert_eq!(&meaning(&query.canonical(), &leaves, count), &expected, "{}", query.canonical());
        let text = if query.root().is_some() { format!("({text}\n)") } else { String::new() };
        let (mut keys, _) = found(&format!("{text} all: order:none"), &samples);
        keys.sort_unstable();
        let expected: Vec<u32> = samples
            .iter()
            .zip(expected)
            .filter(|(_, is_found)| *is_found)
            .map(|(sample, _)| sample.entry.key.0)
            .collect();
        prop_assert_eq!(keys, expected, "{}", text);
    }

    #[test]
    fn what_is_printed_is_the_same_query(
        tokens in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["(", ")", "-", "~", "or ", "and ", "limit:5 ", "order:id ", "\"or\" ", "tag:order:x ", ":) ", "source:\"a \\\" b\\\\\" ", "caption:/a (b|c)/i ", "foo) ", "source:a\\ b ", "re:zero ", "((x) "]).prop_map(str::to_owned),
                prop::sample::select(TERMS.to_vec()).prop_map(|(term, _)| format!("{term} ")),
            ],
            0..12,
        ),
    ) {
        if let Ok(query) = Query::parse(&tokens.concat(), &BuiltIn) {
            let printed = query.rewritten(&BuiltIn);
            let again = Query::parse(&printed, &BuiltIn).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
            prop_assert_eq!(again.canonical(), query.canonical(), "{}", printed);
            prop_assert_eq!(again.rewritten(&BuiltIn), printed);
        }
    }
}
