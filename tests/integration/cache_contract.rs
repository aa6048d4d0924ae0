//! What every place for cache entries promises: the same cases on all of them, Redis
//! on a real server.

use std::{
    collections::HashSet,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tagloupe::engine::{
    cache::{Backend, Value, disk::Disk, memory::Memory},
    job::system_clock,
};

const LIMIT: u64 = 50_000_000;

fn bytes(text: &str) -> Value {
    text.as_bytes().into()
}

fn text(value: Option<Value>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn names(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn set(backend: &dyn Backend, key: &str, value: &str) {
    backend.set(key, &bytes(value), None).unwrap();
}

fn get(backend: &dyn Backend, key: &str) -> Option<String> {
    text(backend.get(key).unwrap())
}

type Case = (&'static str, fn(&dyn Backend));

const CASES: [Case; 13] = [
    ("what is set comes back until it is deleted", |backend| {
        assert_eq!(get(backend, "tl:a"), None);
        set(backend, "tl:a", "1");
        set(backend, "tl:a", "2");
        assert_eq!(get(backend, "tl:a").as_deref(), Some("2"));
        assert_eq!(backend.delete_many(&names(&["tl:a", "tl:b"])).unwrap(), 1);
        assert_eq!(get(backend, "tl:a"), None);
        assert_eq!(backend.delete_many(&[]).unwrap(), 0);
    }),
    ("any bytes of any length, also none", |backend| {
        for length in [0, 1, 100, 32 << 10, (32 << 10) + 1, 1 << 20] {
            let value: Value = (0..length).map(|n: usize| n.to_le_bytes()[0]).collect();
            for _ in 0..2 {
                backend.set("tl:any", &value, None).unwrap();
                assert_eq!(backend.get("tl:any").unwrap(), Some(Value::clone(&value)));
            }
        }
        assert_eq!(backend.delete_many(&names(&["tl:any"])).unwrap(), 1);
    }),
    ("keys are any text", |backend| {
        let keys = ["tl:é ☃", "tl:a'b\"c", "tl:[x]*?\\", "tl:\u{1f41f}"];
        for key in keys {
            set(backend, key, key);
        }
        for key in keys {
            assert_eq!(get(backend, key).as_deref(), Some(key));
        }
    }),
    ("many answers in the order of the keys", |backend| {
        let entries: Vec<(String, Value)> = (0..60)
            .map(|n| (format!("tl:many:{n}"), bytes(&n.to_string())))
            .collect();
        backend.set_many(&entries, None).unwrap();
        backend.set_many(&[], None).unwrap();
        let mut keys: Vec<String> = entries.iter().rev().map(|(key, _)| key.clone()).collect();
        keys.insert(3, "tl:absent".to_owned());
        let found = backend.get_many(&keys).unwrap();
        assert_eq!(found.len(), 61);
        assert_eq!(found[3], None);
        assert_eq!(text(found[0].clone()).as_deref(), Some("59"));
        assert_eq!(text(found[60].clone()).as_deref(), Some("0"));
        assert!(backend.get_many(&[]).unwrap().is_empty());
    }),
    ("an entry lives as long as it was told", |backend| {
        let second = Some(Duration::from_secs(1));
        backend.set("tl:short", &bytes("x"), second).unwrap();
        backend
            .set("tl:long", &bytes("x"), Some(Duration::from_hours(1)))
            .unwrap();
        backend.set("tl:again", &bytes("x"), second).unwrap();
        backend.set("tl:again", &bytes("y"), None).unwrap();
        assert!(get(backend, "tl:short").is_some());
        let until = Instant::now() + Duration::from_secs(20);
        while get(backend, "tl:short").is_some() {
            assert!(Instant::now() < until, "it never ends");
            std::thread::yield_now();
        }
        assert!(get(backend, "tl:long").is_some());
        assert_eq!(get(backend, "tl:again").as_deref(), Some("y"));
        assert_eq!(backend.delete_many(&names(&["tl:short"])).unwrap(), 0);
        assert!(
            backend
                .set_if_absent("tl:short", &bytes("z"), None)
                .unwrap()
        );
        let mut listed = HashSet::new();
        backend
            .list("tl:*", &mut |key, _| {
                listed.insert(key);
            })
            .unwrap();
        assert_eq!(listed.len(), 3);
    }),
    ("of many who set what is absent one does", |backend| {
        let winners = AtomicUsize::new(0);
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (winners, start) = (&winners, &start);
                scope.spawn(move || {
                    start.wait();
                    let value = bytes(&n.to_string());
                    if backend.set_if_absent("tl:one", &value, None).unwrap() {
                        winners.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(backend.get("tl:one").unwrap(), Some(value));
                    }
                });
            }
        });
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    }),
    ("what is deleted by its value is only that", |backend| {
        set(backend, "tl:lock", "mine");
        assert!(!backend.delete_if("tl:lock", b"yours").unwrap());
        assert_eq!(get(backend, "tl:lock").as_deref(), Some("mine"));
        assert!(backend.delete_if("tl:lock", b"mine").unwrap());
        assert!(!backend.delete_if("tl:lock", b"mine").unwrap());
    }),
    ("no addition to a number is lost", |backend| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        backend.add("tl:sum", 0, 3, None).unwrap();
                    }
                });
            }
        });
        assert_eq!(backend.add("tl:sum", 0, -600, None).unwrap(), 0);
        assert_eq!(get(backend, "tl:sum").as_deref(), Some("0"));
        set(backend, "tl:sum", "no number");
        assert_eq!(backend.add("tl:sum", 0, 7, None).unwrap(), 7);
    }),
    ("a number goes on from what is known of it", |backend| {
        let add = |from, by| backend.add("tl:sum", from, by, None).unwrap();
        assert_eq!(add(1_000, 3), 1_003);
        assert_eq!(add(1_000, 3), 1_006);
        assert_eq!(add(2_000, 0), 2_000);
        assert_eq!(get(backend, "tl:sum").as_deref(), Some("2000"));
        let large = i64::MAX / 2;
        assert_eq!(backend.add("tl:large", large, 1, None).unwrap(), large + 1);
        // All of those who find it gone know as much of it, and it counts once.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        backend.add("tl:lost", 70, 1, None).unwrap();
                    }
                });
            }
        });
        assert_eq!(backend.add("tl:lost", 70, 0, None).unwrap(), 270);
    }),
    ("a number ends when its first time is over", |backend| {
        let second = Some(Duration::from_secs(1));
        backend.add("tl:views", 0, 5, second).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        // Each addition is younger than a second; the number is not.
        while backend.add("tl:views", 0, 1, second).unwrap() != 1 {
            assert!(Instant::now() < until, "it never ends");
            std::thread::yield_now();
        }
    }),
    ("patterns mean the same everywhere", |backend| {
        for (pattern, cleared) in [
            ("tl:x:*", 5),
            ("tl:x:a:*", 2),
            ("tl:x:?:1", 2),
            ("*:1", 2),
            ("tl:x:é", 1),
            ("tl:x:?", 1),
            ("tl:x:a:\\*", 1),
            ("tl:x:[ab]:1", 0),
            ("tl:y*", 0),
            ("*", 6),
        ] {
            for key in ["a:1", "a:*", "b:1", "é", "[ab]:"] {
                set(backend, &format!("tl:x:{key}"), "1");
            }
            set(backend, "other", "1");
            assert_eq!(backend.clear(pattern).unwrap(), cleared, "{pattern}");
            backend.clear("*").unwrap();
        }
    }),
    ("many entries are cleared beside others", |backend| {
        let entries: Vec<(String, Value)> = (0..3_000)
            .map(|n| (format!("tl:{}:{n}", n % 3), bytes("1")))
            .collect();
        backend.set_many(&entries, None).unwrap();
        assert_eq!(backend.clear("tl:1:*").unwrap(), 1_000);
        let mut left = 0;
        backend.list("tl:*", &mut |_, _| left += 1).unwrap();
        assert_eq!(left, 2_000);
    }),
    ("usage grows and shrinks", |backend| {
        let before = backend.usage().unwrap();
        let value: Value = vec![7; 20_000].into();
        for n in 0..50 {
            backend.set(&format!("tl:{n}"), &value, None).unwrap();
        }
        let full = backend.usage().unwrap();
        assert_eq!(full.entries, before.entries + 50);
        assert!(full.bytes >= before.bytes + 900_000, "{full:?}");
        backend.clear("*").unwrap();
        assert_eq!(backend.usage().unwrap().entries, 0);
    }),
];

fn keeps_the_contract(backend: &dyn Backend) {
    for (name, case) in CASES {
        println!("{}: {name}", backend.name());
        backend.clear("*").unwrap();
        case(backend);
    }
}

#[test]
fn memory_keeps_the_contract() {
    keeps_the_contract(&Memory::new(LIMIT));
}

#[test]
fn the_disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    keeps_the_contract(&Disk::open(folder.path(), LIMIT, system_clock).unwrap());
}

/// Two processes share a folder as two connections do; what one does the other sees.
#[test]
fn a_shared_disk_keeps_the_contract() {
    struct InTurns([Disk; 2], AtomicUsize);
    impl InTurns {
        fn one(&self) -> &Disk {
            &self.0[self.1.fetch_add(1, Ordering::SeqCst) % 2]
        }
    }
    type Answer<T> = Result<T, tagloupe::engine::cache::Failure>;
    impl Backend for InTurns {
        fn name(&self) -> &'static str {
            "shared disk"
        }
        fn get(&self, key: &str) -> Answer<Option<Value>> {
            self.one().get(key)
        }
        fn get_many(&self, keys: &[String]) -> Answer<Vec<Option<Value>>> {
            self.one().get_many(keys)
        }
        fn set_many(&self, entries: &[(String, Value)], ttl: Option<Duration>) -> Answer<()> {
            self.one().set_many(entries, ttl)
        }
        fn set_if_absent(&self, key: &str, value: &Value, ttl: Option<Duration>) -> Answer<bool> {
            self.one().set_if_absent(key, value, ttl)
        }
        fn delete_if(&self, key: &str, value: &[u8]) -> Answer<bool> {
            self.one().delete_if(key, value)
        }
        fn delete_many(&self, keys: &[String]) -> Answer<u64> {
            self.one().delete_many(keys)
        }
        fn add(&self, key: &str, from: i64, by: i64, ttl: Option<Duration>) -> Answer<i64> {
            self.one().add(key, from, by, ttl)
        }
        fn list(&self, pattern: &str, on: &mut dyn FnMut(String, u64)) -> Answer<()> {
            self.one().list(pattern, on)
        }
        fn usage(&self) -> Answer<tagloupe::engine::cache::Usage> {
            self.one().usage()
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let open = || Disk::open(folder.path(), LIMIT, system_clock).unwrap();
    keeps_the_contract(&InTurns([open(), open()], AtomicUsize::new(0)));
}

#[cfg(feature = "redis")]
#[test]
fn redis_keeps_the_contract() {
    use super::redis_server::RedisServer;
    use tagloupe::engine::cache::redis::Redis;

    let server = RedisServer::start();
    let redis = Redis::connect(&server.address(), Duration::from_secs(20)).unwrap();
    assert!(redis.wait_until_known(Duration::from_secs(20)));
    keeps_the_contract(&redis);
}

/// Both places with a limit of their own make room by throwing out what was used
/// longest ago, and keep the limit.
#[test]
fn what_was_used_longest_ago_makes_room() {
    const SMALL: u64 = 400_000;
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(SMALL);
    let disk = Disk::open(folder.path(), SMALL, system_clock).unwrap();
    for backend in [&memory as &dyn Backend, &disk] {
        let small: Value = vec![1; 3_000].into();
        let large: Value = vec![2; 40_000].into();
        backend.set("tl:kept", &small, None).unwrap();
        backend.set("tl:kept:large", &large, None).unwrap();
        for n in 0..400 {
            backend.set(&format!("tl:{n}"), &small, None).unwrap();
            assert!(backend.get("tl:kept").unwrap().is_some(), "{n}");
            assert!(backend.get("tl:kept:large").unwrap().is_some(), "{n}");
            backend.usage().unwrap();
        }
        let usage = backend.usage().unwrap();
        let name = backend.name();
        assert!(usage.bytes <= SMALL, "{name}: {usage:?}");
        assert!(usage.bytes > SMALL * 9 / 10, "{name}: {usage:?}");
        assert!(usage.evicted > 250, "{name}: {usage:?}");
        assert!(backend.get("tl:0").unwrap().is_none());
        assert!(backend.get("tl:399").unwrap().is_some());
    }
}

mod disk {
    use std::{fs, path::Path};

    use tagloupe::engine::cache::{
        entry::Version,
        key::{Family, Key},
        layer::Cache,
    };

    use super::*;

    fn open(folder: &Path) -> Disk {
        Disk::open(folder, LIMIT, system_clock).unwrap()
    }

    fn large() -> Value {
        vec![3; 100_000].into()
    }

    fn value_files(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut files = Vec::new();
        for bucket in fs::read_dir(folder.join("values")).into_iter().flatten() {
            for file in fs::read_dir(bucket.unwrap().path()).unwrap() {
                files.push(file.unwrap().path());
            }
        }
        files
    }

    #[test]
    fn entries_survive_a_restart_in_the_order_of_their_use() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        for key in ["a", "b", "c"] {
            disk.set(key, &large(), None).unwrap();
        }
        disk.get("a").unwrap().unwrap();
        drop(disk);
        let disk = Disk::open(folder.path(), 250_000, system_clock).unwrap();
        disk.set("d", &bytes("small"), None).unwrap();
        let left = ["a", "b", "c", "d"].map(|key| disk.get(key).unwrap().is_some());
        assert_eq!(left, [true, false, true, true]);
        assert_eq!(value_files(folder.path()).len(), 2);
    }

    /// As large as a thumbnail: kept with others in one file.
    fn thumbnail(fill: u8) -> Value {
        vec![fill; 20_000].into()
    }

    #[test]
    fn what_another_process_replaced_or_removed_is_not_shown_from_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), open(folder.path()));
        for fill in 1..20 {
            one.set("a", &thumbnail(fill), None).unwrap();
            for _ in 0..3 {
                assert_eq!(one.get("a").unwrap(), Some(thumbnail(fill)));
                assert_eq!(other.get("a").unwrap(), Some(thumbnail(fill)));
            }
            other.set("a", &thumbnail(100 + fill), None).unwrap();
            assert_eq!(one.get("a").unwrap(), Some(thumbnail(100 + fill)));
            assert_eq!(other.get("a").unwrap(), Some(thumbnail(100 + fill)));
            other.delete_many(&names(&["a"])).unwrap();
            assert_eq!(one.get("a").unwrap(), None);
            // What is written besides leaves it known, and right.
            one.set("a", &thumbnail(fill), None).unwrap();
            one.set("b", &thumbnail(fill), None).unwrap();
            assert_eq!(one.get("a").unwrap(), Some(thumbnail(fill)));
        }
        let short = Some(Duration::from_millis(1));
        one.set("a", &thumbnail(1), short).unwrap();
        one.get("a").unwrap();
        while one.get("a").unwrap().is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn room_that_is_given_back_is_never_shown_to_who_reads_at_that_moment() {
        const WRITERS: u8 = 2;
        // So small that every set throws something out.
        let folder = tempfile::tempdir().unwrap();
        let open = || Disk::open(folder.path(), 300_000, system_clock).unwrap();
        let (one, other) = (open(), open());
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (n, disk) in [&one, &other].into_iter().enumerate() {
                let done = &done;
                scope.spawn(move || {
                    for round in 0..400_u32 {
                        let fill = u8::try_from(round % 23).unwrap() + 1;
                        let large = vec![
                            fill;
                            if usize::try_from(round % 7) == Ok(n) {
                                90_000
                            } else {
                                20_000
                            }
                        ];
                        disk.set(&format!("k{fill}"), &large.into(), None).unwrap();
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                });
                scope.spawn(move || {
                    let mut fill = 0;
                    while done.load(Ordering::SeqCst) < usize::from(WRITERS) {
                        fill = fill % 23 + 1;
                        if let Some(found) = disk.get(&format!("k{fill}")).unwrap() {
                            assert!(found.iter().all(|byte| *byte == fill), "{fill}");
                        }
                    }
                });
            }
        });
        let usage = one.usage().unwrap();
        assert!(usage.bytes <= 300_000 && usage.entries > 3, "{usage:?}");
    }

    #[test]
    fn small_values_share_a_file_and_give_their_room_back() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        let keys: Vec<String> = (0..50).map(|n| format!("a{n}")).collect();
        for key in &keys {
            disk.set(key, &thumbnail(7), None).unwrap();
        }
        let files = value_files(folder.path());
        assert_eq!(files.len(), 1);
        let blocks = || files[0].metadata().map_or(0, |found| found.blocks());
        let full = blocks();
        // Nobody touches a file to which its process may still write.
        let other = open(folder.path());
        other.delete_many(&keys[10..30]).unwrap();
        assert_eq!(blocks(), full);
        drop(disk);
        other.delete_many(&keys[30..40]).unwrap();
        assert!(blocks() < full / 2, "{} of {full}", blocks());
        for key in keys[..10].iter().chain(&keys[40..]) {
            assert_eq!(other.get(key).unwrap(), Some(thumbnail(7)));
        }
        other.delete_many(&keys).unwrap();
        assert!(value_files(folder.path()).is_empty());
    }

    #[test]
    fn what_a_crash_leaves_is_swept_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        disk.set("kept", &large(), None).unwrap();
        disk.set("gone", &large(), None).unwrap();
        fs::create_dir_all(folder.path().join("values/0f")).unwrap();
        for (n, file) in value_files(folder.path()).into_iter().enumerate() {
            // As after a crash between a file and its row, long ago.
            let orphan = folder.path().join(format!("values/0f/0f0f0f{n}"));
            fs::copy(&file, &orphan).unwrap();
            for old in [&file, &orphan] {
                let day_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
                fs::File::options()
                    .write(true)
                    .open(old)
                    .unwrap()
                    .set_modified(day_ago)
                    .unwrap();
            }
        }
        let former = folder.path().join("thumbnails/ab");
        fs::create_dir_all(&former).unwrap();
        disk.sweep().unwrap();
        assert_eq!(value_files(folder.path()).len(), 2, "the named ones stay");
        assert!(!folder.path().join("thumbnails").exists());
        for file in value_files(folder.path()) {
            fs::remove_file(file).unwrap();
        }
        assert_eq!(disk.get("gone").unwrap(), None);
        assert_eq!(disk.usage().unwrap().entries, 1, "the row is gone too");
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache.db");
        for damage in [
            &b"no database at all, but long enough to be read as one"[..],
            b"",
        ] {
            fs::File::create(&file).unwrap();
            {
                use std::io::Write as _;
                fs::File::create(&file).unwrap().write_all(damage).unwrap();
            }
            let disk = open(folder.path());
            disk.set("a", &bytes("1"), None).unwrap();
            assert_eq!(text(disk.get("a").unwrap()).as_deref(), Some("1"));
            drop(disk);
        }
    }

    #[test]
    fn what_cannot_be_taken_out_is_cleared_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::on_disk(folder.path(), system_clock);
        let key = |name: &str| Key::new(Family::Lowres, &[name]);
        for name in ["small", "large"] {
            let bytes = if name == "small" { 10 } else { 100_000 };
            cache.set(&key(name), Version(1), Some(&vec![0; bytes]));
        }
        // As on a disk that is full.
        let file = rusqlite::Connection::open(folder.path().join("cache.db")).unwrap();
        file.execute_batch(
            "CREATE TRIGGER full BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
        let cleared = cache.clear("lowres:small");
        assert_eq!(cleared.entries, 0);
        assert!(cleared.failed[0].contains("full"), "{cleared:?}");
        let cleared = cache.clear("*");
        assert_eq!(
            (cleared.entries, cleared.failed.len()),
            (2, 0),
            "{cleared:?}"
        );
        assert_eq!(value_files(folder.path()).len(), 0);
        assert!(cache.get(&key("small"), Version(1)).found().is_none());
        cache.set(&key("small"), Version(1), Some(b"1"));
        assert!(cache.get(&key("small"), Version(1)).found().is_some());
        let other = Cache::on_disk(folder.path(), system_clock);
        assert!(other.get(&key("small"), Version(1)).found().is_some());
    }

    #[test]
    fn a_folder_deleted_in_between_costs_only_what_was_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let disk = open(&cache);
        disk.set("a", &large(), None).unwrap();
        disk.get("a").unwrap().unwrap();
        fs::remove_dir_all(&cache).unwrap();
        assert_eq!(disk.get("a").unwrap(), None);
        disk.set("a", &large(), None).unwrap();
        assert_eq!(disk.get("a").unwrap(), Some(large()));
        let other = open(&cache);
        assert_eq!(
            other.get("a").unwrap(),
            Some(large()),
            "both see the same file"
        );
    }

    #[test]
    fn other_processes_learn_what_was_removed() {
        use tagloupe::engine::cache::disk::Removals;
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), open(folder.path()));
        let (start, _) = other.removals_since(0).unwrap();
        one.note_removal("thumb:a:*").unwrap();
        one.note_removal("media:b:*").unwrap();
        let (next, removals) = other.removals_since(start).unwrap();
        let expected = Removals::Of(names(&["thumb:a:*", "media:b:*"]));
        assert_eq!(removals, expected);
        assert_eq!(
            other.removals_since(next).unwrap(),
            (next, Removals::Of(Vec::new()))
        );
        for _ in 0..1_100 {
            one.note_removal("x").unwrap();
        }
        let (_, removals) = other.removals_since(next).unwrap();
        assert_eq!(removals, Removals::Unknown);
    }
}
