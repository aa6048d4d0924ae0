//! The layer over memory and disk; with Redis it is tried from outside.

use std::{
    cell::Cell,
    sync::atomic::{AtomicI64, Ordering},
};

use super::*;
use crate::{
    engine::cache::{key::of_medium, stats::Tally},
    model::id::MediaId,
};

const V1: Version = Version(1);
const V2: Version = Version(2);

fn clock() -> i64 {
    1_000
}

fn memory_only() -> Arc<Cache> {
    let settings = CacheSettings {
        choice: Choice::Memory,
        ..CacheSettings::default()
    };
    Cache::open("library", &[], &settings, clock)
}

fn key(name: &str) -> Key {
    Key::new(Family::Source, &[name])
}

fn found(cache: &Cache, name: &str, version: Version) -> Option<String> {
    let bytes = cache.get(&key(name), version).found()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Both kinds of cache, and what is to hold for each.
fn on_each(check: impl Fn(&Arc<Cache>)) {
    check(&memory_only());
    let folder = tempfile::tempdir().unwrap();
    check(&Cache::on_disk(folder.path(), clock));
}

#[test]
fn an_entry_is_found_for_its_version_only() {
    on_each(|cache| {
        cache.set(&key("a"), V1, Some(b"one"));
        assert_eq!(found(cache, "a", V1).as_deref(), Some("one"));
        assert_eq!(found(cache, "a", V2), None);
        cache.set(&key("a"), V2, Some(b"two"));
        assert_eq!(found(cache, "a", V1), None, "there is one entry a key");
        assert_eq!(found(cache, "a", V2).as_deref(), Some("two"));
        let tally = cache.stats(&Tally::default()).tally;
        assert_eq!((tally.hits, tally.misses, tally.sets), (2, 2, 2));
    });
}

#[test]
fn that_there_is_nothing_is_kept_too() {
    on_each(|cache| {
        let asked = Cell::new(0);
        for _ in 0..3 {
            let none = cache.get_or_compute(&key("none"), V1, || {
                asked.set(asked.get() + 1);
                Ok(None)
            });
            assert!(none.unwrap().is_none());
        }
        assert_eq!(asked.get(), 1);
        assert!(matches!(cache.get(&key("none"), V1), Lookup::Absent));
    });
}

#[test]
fn a_failure_is_told_and_not_kept() {
    on_each(|cache| {
        let failed = cache.get_or_compute(&key("a"), V1, || Err("planned".to_owned()));
        assert_eq!(failed.unwrap_err(), "planned");
        let value = cache.get_or_compute(&key("a"), V1, || Ok(Some(b"1".to_vec())));
        assert_eq!(&*value.unwrap().unwrap(), b"1");
        assert_eq!(found(cache, "a", V1).as_deref(), Some("1"));
    });
}

#[test]
fn an_entry_ends_in_every_tier_when_its_time_is_over() {
    static NOW: AtomicI64 = AtomicI64::new(1_000);
    let folder = tempfile::tempdir().unwrap();
    let mut settings = CacheSettings::default();
    let minute = Duration::from_mins(1);
    settings.policies.ttl.insert(Family::Source, minute);
    let clock = || NOW.load(Ordering::SeqCst);
    let cache = Cache::open("library", &[folder.path()], &settings, clock);
    cache.set(&key("a"), V1, Some(b"1"));
    NOW.store(1_060, Ordering::SeqCst);
    assert!(found(&cache, "a", V1).is_some());
    NOW.store(1_061, Ordering::SeqCst);
    assert_eq!(found(&cache, "a", V1), None);
    cache.sweep();
    assert_eq!(cache.list("*"), []);
}

#[test]
fn pages_come_back_in_order_whichever_tier_they_lie_in() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::on_disk(folder.path(), clock);
    let names: Vec<Key> = (0..10).map(|n| key(&n.to_string())).collect();
    let entries: Vec<_> = names[..8]
        .iter()
        .map(|key| (key, V1, Some(key.as_str().as_bytes())))
        .collect();
    cache.set_many(&entries);
    let other = Cache::on_disk(folder.path(), clock);
    // One of them from its memory.
    assert!(found(&other, "3", V1).is_some());
    let wanted: Vec<(Key, Version)> = names.into_iter().map(|key| (key, V1)).collect();
    let page = other.get_many(&wanted);
    for ((key, _), lookup) in wanted[..8].iter().zip(&page) {
        let bytes = lookup.clone().found().unwrap();
        assert_eq!(&*bytes, key.as_str().as_bytes());
    }
    assert!(
        page[8..]
            .iter()
            .all(|lookup| matches!(lookup, Lookup::Miss))
    );
    assert_eq!(other.stats(&Tally::default()).tally.misses, 2);
}

#[test]
fn what_is_cleared_is_gone_for_another_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let one = Cache::on_disk(folder.path(), clock);
    let other = Cache::on_disk(folder.path(), clock);
    for name in ["a", "b"] {
        one.set(&key(name), V1, Some(b"1"));
        // And into its memory.
        assert!(found(&other, name, V1).is_some());
    }
    assert_eq!(one.clear("source:a").entries, 1);
    other.follow();
    assert_eq!(found(&other, "a", V1), None);
    assert!(found(&other, "b", V1).is_some());
    assert_eq!(one.clear("*").entries, 1);
    assert_eq!(found(&one, "b", V1), None);
    other.follow();
    assert_eq!(found(&other, "b", V1), None);
    // Both are in the new generation.
    other.set(&key("c"), V1, Some(b"1"));
    assert!(found(&one, "c", V1).is_some());
}

#[test]
fn what_was_made_of_a_medium_goes_with_it_and_nothing_else() {
    on_each(|cache| {
        let ids: Vec<MediaId> = ["a", "ab", "a:b"].map(|id| id.parse().unwrap()).into();
        let put = |id: &MediaId| {
            cache.set(&Key::thumb(id, (8, 8), "jpeg"), V1, Some(b"1"));
            cache.set(&Key::thumb(id, (8, 8), "kitty"), V1, Some(b"1"));
            cache.set(&Key::lowres(id, (8, 8), "jpeg"), V1, Some(b"1"));
        };
        ids.iter().for_each(put);
        cache.forget_media(&[Family::Thumb], &ids[..1]);
        let left = cache.list("*");
        assert_eq!(left.len(), 7, "{left:?}");
        assert!(cache.list(&of_medium(Family::Thumb, &ids[0])).is_empty());
        assert_eq!(cache.list(&of_medium(Family::Thumb, &ids[2])).len(), 2);
        let many: Vec<MediaId> = (0..300).map(|n| n.to_string().parse().unwrap()).collect();
        cache.forget_media(&[Family::Thumb], &many);
        assert_eq!(cache.list("thumb:*").len(), 4, "they had none");
        cache.forget_media(&[Family::Thumb], &[&many[..], &ids[1..]].concat());
        assert_eq!(cache.list("thumb:*"), []);
        assert_eq!(cache.list("lowres:*").len(), 3);
    });
}

#[test]
fn of_those_who_set_what_is_absent_one_does_and_numbers_add_up() {
    on_each(|cache| {
        assert!(cache.set_if_absent(&key("a"), V1, b"1"));
        assert!(!cache.set_if_absent(&key("a"), V1, b"2"));
        assert_eq!(found(cache, "a", V1).as_deref(), Some("1"));
        let views = Key::new(Family::Counter, &["views"]);
        assert_eq!(cache.add(&views, 0, 2), Some(2));
        assert_eq!(cache.add(&views, 0, 3), Some(5));
    });
}

#[test]
fn a_memoised_function_is_called_once_a_version() {
    on_each(|cache| {
        let calls = Cell::new(0);
        let version = Cell::new(V1);
        let length = cache.memoise(
            |text: &String| key(text),
            |_| version.get(),
            |text| {
                calls.set(calls.get() + 1);
                Ok((!text.is_empty()).then_some(text.len()))
            },
        );
        for _ in 0..2 {
            assert_eq!(length(&"cat".to_owned()), Ok(Some(3)));
            assert_eq!(length(&String::new()), Ok(None));
        }
        assert_eq!(calls.get(), 2);
        version.set(V2);
        assert_eq!(length(&"cat".to_owned()), Ok(Some(3)));
        assert_eq!(calls.get(), 3);
        // What does not parse is computed again.
        cache.set(&key("cat"), V2, Some(b"no number"));
        assert_eq!(length(&"cat".to_owned()), Ok(Some(3)));
        assert_eq!(calls.get(), 4);
    });
}

#[test]
fn warming_computes_what_is_not_there() {
    on_each(|cache| {
        cache.set(&key("b"), V1, Some(b"1"));
        let warm = |stop_at: u64| {
            let wanted = ["a", "b", "c"].map(|name| -> compute::Warming<'_> {
                let compute = || Ok(Some(b"1".to_vec()));
                (key(name), V1, Box::new(compute))
            });
            cache.warm(wanted, &mut |done| done < stop_at)
        };
        assert_eq!(warm(2), 1);
        assert_eq!(found(cache, "c", V1), None);
        assert_eq!(warm(9), 1);
        assert!(found(cache, "c", V1).is_some());
    });
}

#[test]
fn counts_of_all_processes_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let one = Cache::on_disk(folder.path(), clock);
    let other = Cache::on_disk(folder.path(), clock);
    one.set(&key("a"), V1, Some(b"1"));
    found(&one, "a", V1);
    found(&other, "a", V1);
    found(&other, "b", V1);
    let told = one.tell_counts(&Tally::default()).unwrap();
    assert_eq!((told.hits, told.misses, told.sets), (1, 0, 1));
    assert_eq!(one.tell_counts(&told), None, "nothing new");
    let everyone = other.stats(&Tally::default()).everyone;
    assert_eq!((everyone.hits, everyone.misses, everyone.sets), (2, 1, 1));
    assert_eq!(everyone.hit_rate(), "66.67%");

    // What was written back before goes on, also when the cache has lost it.
    other.clear("*");
    let kept = Tally { hits: 90, ..told };
    assert_eq!(other.stats(&kept).everyone.hits, 91);
    let told = other.tell_counts(&kept).unwrap();
    assert_eq!((told.hits, told.misses), (91, 1));
    assert!(told.deletes > 0, "a clear is counted as well");
    found(&one, "b", V1);
    let told = one.tell_counts(&told).unwrap();
    assert_eq!((told.hits, told.misses, told.sets), (91, 2, 1));
}

#[test]
fn without_a_cache_nothing_is_counted() {
    let settings = CacheSettings {
        choice: Choice::Off,
        ..CacheSettings::default()
    };
    let cache = Cache::open("library", &[], &settings, clock);
    let kept = Tally {
        hits: 90,
        ..Tally::default()
    };
    found(&cache, "a", V1);
    assert_eq!(cache.tell_counts(&kept), None);
    assert_eq!(cache.stats(&kept).everyone.hits, 90);
}

#[test]
fn a_cache_that_is_off_keeps_nothing() {
    let settings = CacheSettings {
        choice: Choice::Off,
        ..CacheSettings::default()
    };
    let cache = Cache::open("library", &[], &settings, clock);
    cache.set(&key("a"), V1, Some(b"1"));
    assert_eq!(found(&cache, "a", V1), None);
    let value = cache.get_or_compute(&key("a"), V1, || Ok(Some(b"1".to_vec())));
    assert_eq!(&*value.unwrap().unwrap(), b"1");
    assert_eq!(cache.stats(&Tally::default()).backend, "off");
}

#[test]
fn a_folder_that_cannot_be_written_leaves_the_next_or_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::File::create(&file).unwrap();
    let second = folder.path().join("second");
    let settings = CacheSettings::default();
    let cache = Cache::open("library", &[&file, &second], &settings, clock);
    assert_eq!(cache.backend_name(), "disk");
    assert!(second.join("cache.db").exists());
    let cache = Cache::open("library", &[&file], &settings, clock);
    assert_eq!(cache.backend_name(), "memory");
    assert!(
        cache.stats(&Tally::default()).reason.contains("file"),
        "{}",
        cache.stats(&Tally::default()).reason
    );
    cache.set(&key("a"), V1, Some(b"1"));
    assert!(found(&cache, "a", V1).is_some());
}
