//! A catalog against plain maps: whatever is applied, both say the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::hash::PerceptualHash;

/// An entry of which everything follows from a few numbers.
pub fn entry(key: u32, seed: u64) -> Entry {
    let bit = |n: u32| seed >> n & 1 == 1;
    let md5 = bit(0).then(|| {
        let mut bytes = [0; 16];
        bytes[0] = u8::try_from(key % 256).unwrap();
        bytes[15] = u8::try_from(seed % 256).unwrap();
        Md5(bytes)
    });
    let id: MediaId = match md5 {
        Some(md5) if bit(1) => md5.into(),
        // Reads as an md5, but is not that of the medium.
        _ if bit(28) => Md5(u128::from(key).to_le_bytes()).into(),
        _ => format!("found {key}").parse().unwrap(),
    };
    let path = match (md5, bit(1)) {
        (Some(md5), true) => format!("images/{}/{md5}.jpg", md5.bucket()),
        _ if bit(28) && bit(29) => {
            let id = id.as_str();
            format!("images/{}/{}/{id}.png", &id[..2], &id[2..4])
        }
        _ if bit(2) => format!("2024/{id}.png"),
        _ => "elsewhere/日本.gif".to_owned(),
    };
    let number = |n: u32| i64::try_from(seed >> n & 0xff).unwrap();
    Entry {
        key: MediaKey(key),
        id,
        path,
        kind: MediaKind::ALL[usize::try_from(seed % 6).unwrap()],
        name: if bit(3) {
            "A name".into()
        } else {
            String::new()
        },
        md5,
        phash: bit(4).then(|| PerceptualHash::new(seed.to_be_bytes())),
        width: u32::try_from(number(5)).unwrap(),
        height: 7,
        bytes: seed,
        duration_ms: bit(6).then_some(seed),
        frames: 1,
        imported: number(7) - 100,
        created: if bit(8) { i64::MIN } else { number(9) },
        modified: i64::MAX,
        rating: bit(10).then(|| Rating::ALL[usize::try_from(seed % 4).unwrap()]),
        stars: u8::try_from(seed % 6).unwrap(),
        fav: bit(11),
        status: bit(12).then_some(Status::Inbox),
        tags: (0..6)
            .filter(|n| bit(13 + n))
            .map(|n| {
                TagName::new(
                    ["", "artist", "character"][n as usize % 3],
                    &format!("t{}", n / 2),
                )
            })
            .collect(),
        posts: (0..2)
            .filter(|n| bit(20 + n))
            .map(|n| (format!("site{n}"), format!("{}", number(22))))
            .collect(),
        origin: bit(23).then(|| "x".to_owned()),
        parent: bit(24).then(String::new),
        score: bit(25).then(|| -number(26)),
        favcount: bit(27).then_some(5),
        has: Facets(u32::try_from(seed >> 3 & 0x7ffff).unwrap()),
    }
}

/// Everything the catalog says must be what the plain map says.
pub fn assert_same(catalog: &Catalog, model: &BTreeMap<MediaKey, Entry>) {
    assert_eq!(catalog.len(), model.len());
    assert!(catalog.keys().eq(model.keys().copied()));
    let mut tags: BTreeMap<&TagName, u64> = BTreeMap::new();
    for entry in model.values() {
        let record = catalog.record(entry.key).unwrap();
        assert_eq!(record.to_entry(), *entry);
        assert_eq!(record.tag_count(), entry.tags.len());
        assert_eq!(record.title(), entry.title());
        let same_id = model.values().filter(|other| other.id == entry.id).count();
        if same_id == 1 {
            assert_eq!(catalog.key_of(&entry.id), Some(entry.key));
        }
        if let Some(md5) = entry.md5 {
            let expected: Vec<_> = model
                .values()
                .filter(|other| other.md5 == Some(md5))
                .map(|other| other.key)
                .collect();
            assert_eq!(catalog.keys_of_md5(&md5), expected);
        }
        for (site, id) in &entry.posts {
            let found = &model[&catalog.post(site, id).unwrap()];
            assert!(found.posts.contains(&(site.clone(), id.clone())));
        }
        for tag in &entry.tags {
            *tags.entry(tag).or_default() += 1;
        }
        assert!(catalog.of_kind(entry.kind).contains(entry.key.0));
        assert_eq!(catalog.favorites().contains(entry.key.0), entry.fav);
    }
    assert_eq!(catalog.tags().collect::<BTreeMap<_, _>>(), tags);
    for (tag, count) in tags {
        assert_eq!(catalog.tag_count(tag), count);
    }
    for (kind, expected) in MediaKind::ALL.map(|kind| {
        (
            kind,
            model.values().filter(|entry| entry.kind == kind).count(),
        )
    }) {
        assert_eq!(catalog.of_kind(kind).len(), expected as u64);
    }
    let mut order: Vec<&Entry> = model.values().collect();
    order.sort_by(|a, b| b.imported.cmp(&a.imported).then_with(|| a.id.cmp(&b.id)));
    let times = |keys: &[MediaKey]| -> Vec<(i64, MediaId)> {
        keys.iter()
            .map(|key| (model[key].imported, model[key].id.clone()))
            .collect()
    };
    let expected: Vec<MediaKey> = order.iter().map(|entry| entry.key).collect();
    assert_eq!(times(&catalog.default_order()), times(&expected));
}

/// The beginning of an order must be the same without it.
fn assert_first(catalog: &Catalog, column: Column) {
    let some = catalog.keys().filter(|key| key.0 % 3 != 1);
    let some: RoaringBitmap = some.map(|key| key.0).collect();
    for (found, is_reversed, limit) in [(catalog.all(), false, 5), (&some, true, 300)] {
        assert_begins(catalog, column, found, is_reversed, limit);
    }
}

fn assert_begins(
    catalog: &Catalog,
    column: Column,
    found: &RoaringBitmap,
    is_reversed: bool,
    limit: usize,
) {
    let keys = found.iter().map(MediaKey);
    let sorted = catalog.sorted_by(column, is_reversed, is_reversed, keys, limit);
    let first = catalog.first_by(column, is_reversed, is_reversed, found, limit);
    assert_eq!(first, column.is_number().then_some(sorted), "{column:?}");
}

/// Every order must be what sorting gives, in groups of equal values, and every cut out
/// of it what looking at each record gives.
fn assert_ordered(catalog: &Catalog, bound: f64) {
    assert_some_ordered(catalog, bound, u32::MAX);
    assert_cut_and_counted(catalog);
}

/// The same for the columns whose bits are set.
fn assert_some_ordered(catalog: &Catalog, bound: f64, wanted: u32) {
    let columns = Column::all().filter(|column| wanted >> column.place() & 1 == 1);
    for column in columns {
        let order = catalog.ordered(column);
        let value = |key: MediaKey| column.value(&catalog.record(key).unwrap());
        for is_reversed in [false, true] {
            let sorted = catalog.sorted_by(column, is_reversed, false, catalog.keys(), usize::MAX);
            // Those that stand together, compared one by one and then noted.
            let compared: Vec<&[MediaKey]> = order.groups(catalog, is_reversed, true).collect();
            let groups: Vec<&[MediaKey]> = order.groups(catalog, is_reversed, false).collect();
            assert!(groups.concat() == sorted, "{column:?}");
            assert_eq!(compared, groups, "{column:?}");
            for group in &groups {
                assert!(group.iter().all(|key| value(*key) == value(group[0])));
            }
            let is_apart = |pair: &[&[MediaKey]]| value(pair[0][0]) != value(pair[1][0]);
            assert!(groups.windows(2).all(is_apart), "{column:?}");
        }
        assert_eq!(
            order
                .groups(catalog, false, false)
                .collect::<Vec<_>>()
                .concat(),
            order.keys().to_vec()
        );
        assert_first(catalog, column);
        let number = |record: &Record<'_>| column.number(record);
        let found = catalog.between(column, bound - 90.0, bound);
        let expected = catalog.records().filter(|record| {
            number(record).is_some_and(|number| number >= bound - 90.0 && number <= bound)
        });
        assert_eq!(
            found,
            expected.map(|record| record.key().0).collect(),
            "{column:?}"
        );
    }
}

/// What texts and prefixes cut out, and which media have the same bytes.
fn assert_cut_and_counted(catalog: &Catalog) {
    for text in ["jpg", "png", "gif", ""] {
        let expected = (catalog.records())
            .filter(|record| Column::Extension.text(record).as_deref() == Some(text));
        assert_eq!(
            catalog.with_text(Column::Extension, text),
            expected.map(|record| record.key().0).collect()
        );
    }
    for prefix in ["found 1", "found", "00", "a", "found 12345"] {
        let expected = catalog
            .records()
            .filter(|record| record.id().as_str().starts_with(prefix));
        assert_eq!(
            catalog.with_id_prefix(prefix),
            expected.map(|record| record.key().0).collect()
        );
    }
    let mut counts: BTreeMap<Md5, Vec<MediaKey>> = BTreeMap::new();
    for record in catalog.records() {
        if let Some(md5) = record.md5() {
            counts.entry(md5).or_default().push(record.key());
        }
    }
    let expected = counts.values().filter(|keys| keys.len() > 1);
    let expected = expected.flat_map(|keys| keys.iter().map(|key| (*key, keys.len())));
    assert_eq!(catalog.same_md5(), expected.collect());
}

proptest! {
    #[test]
    fn apply_agrees_with_a_plain_map(
        start in prop::collection::vec((0..300_u32, any::<u64>()), 0..20),
        bound in -150.0..400.0,
        // Each step asks for some orders before its changes and for some after them, so
        // that those of earlier catalogs are followed through any number of steps.
        steps in prop::collection::vec(
            (
                (any::<u32>(), any::<u32>(), any::<u32>()),
                prop::collection::vec((0..300_u32, prop::option::weighted(0.7, any::<u64>())), 0..5),
            ),
            0..6,
        ),
        last in any::<u32>(),
    ) {
        let mut model: BTreeMap<MediaKey, Entry> = BTreeMap::new();
        for (key, seed) in &start {
            model.insert(MediaKey(*key), entry(*key, *seed));
        }
        let mut catalog = Catalog::from_entries(
            start.iter().map(|(key, seed)| entry(*key, *seed)).collect(),
            true,
        );
        assert_same(&catalog, &model);
        for ((before_it, after_it, few), changes) in steps {
            let few = few & few.rotate_left(7);
            assert_some_ordered(&catalog, bound, before_it & few);
            let before = (catalog.clone(), model.clone());
            let changes: Vec<Change> = changes
                .iter()
                .map(|(key, seed)| {
                    if let Some(seed) = seed {
                        model.insert(MediaKey(*key), entry(*key, *seed));
                        Change::Upsert(entry(*key, *seed))
                    } else {
                        model.remove(&MediaKey(*key));
                        Change::Remove(MediaKey(*key))
                    }
                })
                .collect();
            catalog = catalog.apply(&changes);
            assert_same(&catalog, &model);
            assert_same(&before.0, &before.1);
            assert_some_ordered(&catalog, bound, after_it & few);
            prop_assert_ne!(before.0.version(), catalog.version());
        }
        assert_some_ordered(&catalog, bound, last);
        assert_cut_and_counted(&catalog);
    }
}

#[test]
fn an_edit_of_tags_keeps_the_order_and_the_vocabulary() {
    let catalog = Catalog::from_entries(
        (0..1000)
            .map(|key| entry(key, u64::from(key) << 8))
            .collect(),
        true,
    );
    let order = catalog.default_order();
    let mut changed = catalog.record(MediaKey(17)).unwrap().to_entry();
    changed.tags = vec![TagName::new("artist", "t0"), TagName::new("lore", "new")];
    let next = catalog.apply(&[Change::Upsert(changed)]);
    assert!(Arc::ptr_eq(&order, &next.default_order()));
    assert_eq!(next.vocabulary().0, catalog.vocabulary().0);
    assert_eq!(next.category_of("new"), Some("lore"));
    assert!(next.is_category("lore") && !next.is_category("nowhere"));
}

#[test]
fn a_long_order_is_mended_where_it_was_touched() {
    let number = |key: u32| u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut catalog = Catalog::from_entries(
        (0..2_000).map(|key| entry(key, number(key))).collect(),
        true,
    );
    for round in 0..3 {
        // A third of the columns, so that none of their orders is let go meanwhile.
        let wanted = 0x4924_9249 << round;
        assert_some_ordered(&catalog, 60.0, wanted);
        let changes: Vec<Change> = (0..90)
            .map(|n| match n % 3 {
                0 => Change::Remove(MediaKey(n * 20 + round)),
                1 => Change::Upsert(entry(2_500 + n * 3 + round, number(n))),
                _ => Change::Upsert(entry(n * 17 + round, number(n * 7 + round))),
            })
            .collect();
        catalog = catalog.apply(&changes);
        let is_wanted = |column: &Column| wanted >> column.place() & 1 == 1;
        assert!(
            Column::all()
                .filter(is_wanted)
                .all(|column| catalog.has_order(column))
        );
        assert_some_ordered(&catalog, 60.0, wanted);
    }
    assert_cut_and_counted(&catalog);
}

/// Four media of every chunk, in blocks of their own, so that few media lie in many
/// chunks.
fn scattered(media: u32) -> Catalog {
    let number = |key: u32| u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let entries = (0..media).map(|key| entry(key * 64 + key % 3, number(key)));
    Catalog::from_entries(entries.collect(), true)
}

#[test]
fn the_first_of_many_chunks_are_the_first_of_all() {
    let catalog = scattered(1_400);
    // An edit lies over its chunk, which knows less of it then.
    let number = |key: u32| u64::from(key).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let changes = (0..1_400).step_by(7).map(|key| match key % 2 {
        0 => Change::Upsert(entry(key * 64 + key % 3, number(key))),
        _ => Change::Remove(MediaKey(key * 64 + key % 3)),
    });
    let changed = catalog.apply(&changes.collect::<Vec<_>>());
    for catalog in [catalog, changed] {
        let some: RoaringBitmap = catalog.all().iter().filter(|key| key % 5 < 2).collect();
        for column in Column::all() {
            for (is_reversed, limit) in [(false, 1), (true, 40), (false, 300)] {
                assert_begins(&catalog, column, catalog.all(), is_reversed, limit);
                assert_begins(&catalog, column, &some, is_reversed, limit);
            }
        }
    }
}

#[test]
fn the_first_of_many_with_one_value_are_the_first_by_id() {
    let catalog = scattered(2_400);
    // All have one frame, and most no duration; with the order of ids at hand.
    catalog.ordered(Column::Id);
    for column in [Column::Frames, Column::Duration, Column::CategoryTags(3)] {
        for (is_reversed, limit) in [(false, 3), (true, 50), (true, 2_300), (false, 2_390)] {
            assert_begins(&catalog, column, catalog.all(), is_reversed, limit);
        }
    }
}

#[test]
fn more_tags_than_a_chunk_counts_are_counted() {
    let mut entries: Vec<Entry> = (0..40).map(|key| entry(key, 0x1_2345 << key)).collect();
    for (place, count) in [(3, 254), (17, 255), (18, 256), (30, 300)] {
        let tags = (0..count).map(|n| TagName::new("artist", &format!("a{n}")));
        entries[place].tags = tags.collect();
    }
    let catalog = Catalog::from_entries(entries, true);
    for column in [Column::CategoryTags(0), Column::CategoryTags(4)] {
        assert_first(&catalog, column);
        let order = catalog.ordered(column);
        let sorted = catalog.sorted_by(column, false, false, catalog.keys(), usize::MAX);
        assert!(**order.keys() == *sorted, "{column:?}");
    }
}

#[test]
fn two_threads_order_many_as_one_does_few() {
    let number = |key: u32| u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let entries = (0..33_000).map(|key| entry(key, number(key))).collect();
    let catalog = Catalog::from_entries(entries, true);
    for column in [Column::Height, Column::Bytes, Column::Path] {
        let order = catalog.ordered(column);
        let sorted = catalog.sorted_by(column, false, false, catalog.keys(), usize::MAX);
        assert!(**order.keys() == *sorted, "{column:?}");
    }
}

#[test]
fn equal_orders_are_kept_once() {
    let numbered = (0..400).map(|key| Entry {
        name: String::new(),
        path: format!("x/{key:03}.png"),
        id: format!("{key:03}").parse().unwrap(),
        md5: None,
        width: 1 + key,
        ..entry(key, 0)
    });
    let catalog = Catalog::from_entries(numbered.collect(), true);
    let keys = |column| Arc::clone(catalog.ordered(column).keys());
    let by_path = keys(Column::Path);
    assert!(Arc::ptr_eq(&by_path, &keys(Column::Id)));
    assert!(Arc::ptr_eq(&by_path, &keys(Column::Title)));
    assert!(!Arc::ptr_eq(&by_path, &keys(Column::Width)));
}

#[test]
fn only_the_latest_orders_are_kept() {
    let catalog = scattered(200);
    let kept = |catalog: &Catalog| -> Vec<Column> {
        Column::all()
            .filter(|column| catalog.has_order(*column))
            .collect()
    };
    let (stored, others): (Vec<Column>, Vec<Column>) =
        Column::all().partition(|column| Column::KEPT.contains(column));
    let (early, late) = others.split_at(others.len() - 8);
    assert!(early.len() > 8);
    // Those that the catalog is stored with stay, however long ago somebody asked.
    for column in stored.iter().chain(early).chain(late) {
        catalog.ordered(*column);
    }
    let expected = |others: &[Column]| -> Vec<Column> {
        let is_kept = |column: &Column| stored.contains(column) || others.contains(column);
        Column::all().filter(is_kept).collect()
    };
    assert_eq!(kept(&catalog), expected(late));

    // An edit changes nothing in that, and who asks again makes his one of the latest.
    let next = catalog.apply(&[Change::Upsert(entry(0, 12)), Change::Remove(MediaKey(64))]);
    assert_eq!(kept(&next), expected(late));
    next.ordered(late[0]);
    next.ordered(early[0]);
    let latest = [&late[..1], &late[2..], &early[..1]].concat();
    assert_eq!(kept(&next), expected(&latest));
    assert_eq!(kept(&catalog), expected(late));
    assert_ordered(&next, 60.0);
}

#[test]
fn a_far_key_costs_little() {
    let catalog = Catalog::from_entries(vec![entry(u32::MAX, 5)], false);
    assert_ordered(&catalog, 50.0);
    let more = catalog.apply(&[
        Change::Upsert(entry(1, 9)),
        Change::Upsert(entry(u32::MAX, 8)),
    ]);
    assert_ordered(&more, 50.0);
    assert_eq!(catalog.len(), 1);
    assert!(catalog.record(MediaKey(u32::MAX)).is_some());
    assert!(!catalog.is_complete());
}
