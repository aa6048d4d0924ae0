//! What the cache costs: hits in memory and on disk, beside python-diskcache where
//! that can be had; herds; pages from Redis; and the longest wait while Redis is
//! gone. Needs a redis-server. Times are those of this machine under this load.
//!
//! ```text
//! cargo bench --bench cache
//! cargo bench --bench cache -- disk      only rows with that word
//! ```

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the server of the tests, which ask more of it and may panic"
)]
#[path = "../tests/integration/redis_server.rs"]
mod server;

use std::{
    hint::black_box,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use server::{RedisServer, wait_until};
use tagloupe::engine::{
    Engine, EngineSettings, LayoutKind, Library,
    cache::{
        Backend, Value,
        disk::Disk,
        entry::Version,
        key::{Family, Key},
        layer::{Cache, Lookup},
        settings::{CacheSettings, Choice, RedisAddress},
    },
    event,
    job::system_clock,
};

const THUMBNAIL_BYTES: usize = 20_000;
const V: Version = Version(1);
/// Set for a process of a herd: the address of the server.
const HERD: &str = "TAGLOUPE_BENCH_HERD";
const HERD_PROCESSES: usize = 4;
const HERD_TASKS: usize = 1_000;

fn main() {
    if let Ok(url) = std::env::var(HERD) {
        return one_of_a_herd(&url);
    }
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let rows: [(&str, fn()); 9] = [
        ("memory: a hit", memory_hit),
        ("what a sidecar says: read, and kept", sidecar),
        ("disk: a hit of 20 KB, warm", disk_hit),
        ("disk: 100 000 entries, least recently used", disk_limit),
        ("herd: 1 000 tasks on one key", herd),
        (
            "herd: 1 000 tasks in 4 processes, with Redis",
            herd_of_processes,
        ),
        ("redis: a page of 60 thumbnails", redis_page),
        ("redis: killed, longest operation", || redis_down(true)),
        ("redis: frozen, longest operation", || redis_down(false)),
    ];
    for (name, row) in rows {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            print!("{name:<46}");
            row();
        }
    }
}

fn key(n: usize) -> Key {
    Key::new(Family::Lowres, &[&n.to_string(), "1024x1024", "picture"])
}

fn thumbnail(seed: usize) -> Vec<u8> {
    let mix = |n: usize| n.wrapping_mul(2_654_435_761).rotate_left(7).to_le_bytes()[2];
    (0..THUMBNAIL_BYTES).map(|n| mix(n + seed)).collect()
}

/// The median time of one of many.
fn median(times: usize, mut work: impl FnMut(usize)) -> Duration {
    let mut all: Vec<Duration> = (0..times)
        .map(|n| {
            let begun = Instant::now();
            work(n);
            begun.elapsed()
        })
        .collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn memory_hit() {
    const TIMES: u32 = 1_000_000;
    let settings = CacheSettings {
        choice: Choice::Memory,
        ..CacheSettings::default()
    };
    let cache = Cache::open("bench", &[], &settings, system_clock);
    let key = Key::new(Family::Search, &["a", "results"]);
    cache.set(&key, V, Some(&thumbnail(0)));
    let begun = Instant::now();
    for _ in 0..TIMES {
        black_box(cache.get(&key, V).found().expect("a hit"));
    }
    println!("{:?}", begun.elapsed() / TIMES);
}

/// What is said of a medium: read from its files, and kept while they look the same.
fn sidecar() {
    const MEDIA: usize = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("library");
    let write = |name: &str, text: &str| {
        let mut file = std::fs::File::create(root.join(name)).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
    };
    std::fs::create_dir_all(&root).expect("a folder");
    for n in 0..MEDIA {
        let tags: Vec<String> = (0..30)
            .map(|tag| format!(r#"{{"category": "general", "value": "tag number {tag}"}}"#))
            .collect();
        let tags = tags.join(",\n");
        write(&format!("{n}.png"), "a picture, as far as this goes");
        write(
            &format!("{n}.json"),
            &format!(
                r#"{{"tags": [{tags}], "caption": "a fox", "related": {{}}, "metadata": {{}}}}"#
            ),
        );
    }
    Library::create(&root, LayoutKind::InPlace, "bench").expect("a library");
    let [read, kept] = [Choice::Off, Choice::Memory].map(|choice| {
        let settings = EngineSettings {
            hashes_found: false,
            watches_files: false,
            cache: CacheSettings {
                choice,
                ..CacheSettings::default()
            },
            // What was written just now is read every time.
            clock: || system_clock() + 60,
            ..EngineSettings::default()
        };
        let library = Library::open(&root).expect("a library");
        let (events, _) = event::channel();
        let engine = Engine::start(library, settings, events).expect("an engine");
        let go_on = std::ops::ControlFlow::Continue(());
        engine.rebuild_now(&mut |_| go_on).expect("an index");
        engine
            .load_catalog_now(&mut |_, _| go_on)
            .expect("a catalog");
        let catalog = engine.catalog();
        let media: Vec<_> = catalog.records().map(|record| record.key()).collect();
        let mut ask = |n: usize| {
            black_box(engine.media_now(media[n % MEDIA]).expect("a sidecar"));
        };
        median(MEDIA, &mut ask);
        median(5_000, ask)
    });
    println!("read {read:?}; kept {kept:?}");
}

fn disk_hit() {
    const ENTRIES: usize = 2_000;
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::on_disk(folder.path(), system_clock);
    for n in 0..ENTRIES {
        cache.set(&key(n), V, Some(&thumbnail(n)));
    }
    let hit = |n: usize| {
        let bytes = cache.get(&key(n * 7 % ENTRIES), V).found();
        assert_eq!(bytes.expect("a hit").len(), THUMBNAIL_BYTES);
    };
    median(ENTRIES, hit);
    let ours = median(20_000, hit);
    let floor = bare_read(folder.path(), ENTRIES);
    print!("{ours:?}, of which reading the bytes {floor:?}   ");
    match diskcache(ENTRIES) {
        Ok(theirs) => {
            let [used, stored] = theirs.map(|time| {
                let ratio = time.as_secs_f64() / ours.as_secs_f64();
                format!("{time:?}, {ratio:.1} times as long")
            });
            println!("python-diskcache {used}; where it notes neither use nor hits {stored}");
        }
        Err(reason) => println!("python-diskcache skipped: {reason}"),
    }
}

/// What the system takes to hand over as many bytes, from as many places of one file,
/// into a buffer that is there already: nothing that copies can be faster.
fn bare_read(folder: &Path, entries: usize) -> Duration {
    let path = folder.join("bare");
    let mut file = std::fs::File::create(&path).expect("a file");
    for n in 0..entries {
        file.write_all(&thumbnail(n)).expect("written");
    }
    let file = std::fs::File::open(&path).expect("a file");
    let mut buffer = vec![0; THUMBNAIL_BYTES];
    let mut read = |n: usize| {
        let start = (n * 7 % entries * THUMBNAIL_BYTES) as u64;
        file.read_exact_at(&mut buffer, start).expect("bytes");
        black_box(&buffer);
    };
    median(entries, &mut read);
    median(20_000, read)
}

/// The same with python-diskcache, in an environment of its own below `target/`: doing
/// the same work, which is to drop what was used least recently and to count hits; and
/// as it comes, which drops what was stored first and counts nothing.
fn diskcache(entries: usize) -> Result<[Duration; 2], String> {
    const SCRIPT: &str = "
import sys, time, tempfile, statistics, os
import diskcache
entries, size = int(sys.argv[1]), int(sys.argv[2])
same_work = dict(eviction_policy='least-recently-used', statistics=1)
for settings in (same_work, {}):
    with tempfile.TemporaryDirectory() as folder:
        cache = diskcache.Cache(folder, **settings)
        for n in range(entries):
            cache.set(f'lowres:{n}:1024x1024:picture', os.urandom(size))
        for _ in range(2):
            times = []
            for n in range(20000):
                key = f'lowres:{n * 7 % entries}:1024x1024:picture'
                begun = time.perf_counter_ns()
                value = cache.get(key)
                times.append(time.perf_counter_ns() - begun)
                assert len(value) == size
        print(int(statistics.median(times)))
";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/diskcache");
    let python = folder.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| -> Result<String, String> {
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(said.lines().last().unwrap_or("it failed").to_owned())
        }
    };
    if run(&python, &["-c", "import diskcache"]).is_err() {
        let place = folder.display().to_string();
        run(&PathBuf::from("python3"), &["-m", "venv", &place])?;
        run(&python, &["-m", "pip", "install", "--quiet", "diskcache"])?;
    }
    let (entries, size) = (entries.to_string(), THUMBNAIL_BYTES.to_string());
    let said = run(&python, &["-c", SCRIPT, &entries, &size])?;
    let mut times = said.lines().map(str::parse);
    match (times.next(), times.next()) {
        (Some(Ok(used)), Some(Ok(stored))) => Ok([used, stored].map(Duration::from_nanos)),
        _ => Err(said),
    }
}

fn disk_limit() {
    const ENTRIES: usize = 100_000;
    const LIMIT: u64 = 200_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::open(folder.path(), LIMIT, system_clock).expect("a cache");
    let value: Value = vec![7; 4_000].into();
    let begun = Instant::now();
    let mut most = 0;
    for page in 0..ENTRIES / 100 {
        let entries: Vec<(String, Value)> = (0..100)
            .map(|n| (format!("tl:bench:{}", page * 100 + n), Arc::clone(&value)))
            .collect();
        disk.set_many(&entries, None).expect("set");
        most = most.max(disk.usage().expect("usage").bytes);
    }
    let took = begun.elapsed();
    let usage = disk.usage().expect("usage");
    let percent = |bytes: u64| bytes * 1_000 / LIMIT;
    println!(
        "{took:?}, {} left, {} evicted; between {}.{} % and {}.{} % of the limit once full",
        usage.entries,
        usage.evicted,
        percent(usage.bytes) / 10,
        percent(usage.bytes) % 10,
        percent(most) / 10,
        percent(most) % 10,
    );
}

fn open(address: &RedisAddress, folder: &Path, patience: Duration) -> Arc<Cache> {
    let settings = CacheSettings {
        redis: Some(address.clone()),
        redis_patience: patience,
        ..CacheSettings::default()
    };
    let cache = Cache::open("bench", &[folder], &settings, system_clock);
    cache.settle();
    cache
}

/// Asks for one key at once from many threads; how often it was computed.
fn stampede(cache: &Arc<Cache>, tasks: usize) -> usize {
    let computed = AtomicUsize::new(0);
    let start = std::sync::Barrier::new(tasks);
    let key = Key::new(Family::Source, &["herd"]);
    std::thread::scope(|scope| {
        for _ in 0..tasks {
            scope.spawn(|| {
                start.wait();
                let value = cache.get_or_compute(&key, V, || {
                    computed.fetch_add(1, Ordering::SeqCst);
                    // The work.
                    std::thread::sleep(Duration::from_millis(100));
                    Ok(Some(thumbnail(0)))
                });
                assert!(value.expect("a value").is_some());
            });
        }
    });
    computed.load(Ordering::SeqCst)
}

fn herd() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::on_disk(folder.path(), system_clock);
    let begun = Instant::now();
    let computed = stampede(&cache, HERD_TASKS);
    println!("computed {computed} times in {:?}", begun.elapsed());
}

fn one_of_a_herd(url: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let address = RedisAddress::parse(url).expect("an address");
    let cache = open(&address, folder.path(), Duration::from_secs(5));
    println!("{}", stampede(&cache, HERD_TASKS / HERD_PROCESSES));
}

fn herd_of_processes() {
    let server = RedisServer::start();
    let own = std::env::current_exe().expect("this program");
    let begun = Instant::now();
    let children: Vec<_> = (0..HERD_PROCESSES)
        .map(|_| {
            Command::new(&own)
                .env(HERD, server.url())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process")
        })
        .collect();
    let computed: usize = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("an end");
            let said = String::from_utf8_lossy(&output.stdout);
            said.trim().parse::<usize>().expect("a number")
        })
        .sum();
    println!("computed {computed} times in {:?}", begun.elapsed());
}

fn redis_page() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(&server.address(), folder.path(), Duration::from_secs(5));
    let names: Vec<Key> = (0..60).map(key).collect();
    let values: Vec<Vec<u8>> = (0..60).map(thumbnail).collect();
    let entries: Vec<_> = names
        .iter()
        .zip(&values)
        .map(|(key, value)| (key, V, Some(value.as_slice())))
        .collect();
    cache.set_many(&entries);
    let wanted: Vec<(Key, Version)> = names.iter().map(|key| (key.clone(), V)).collect();
    let mut connection = server.connection();
    redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .exec(&mut connection)
        .expect("reset");
    let page = median(200, |_| {
        let page = cache.get_many(&wanted);
        assert!(page.iter().all(|lookup| matches!(lookup, Lookup::Found(_))));
    });
    let one_by_one = median(50, |_| {
        for (key, version) in &wanted {
            assert!(cache.get(key, *version).found().is_some());
        }
    });
    println!("{page:?} in one round trip; one by one {one_by_one:?}");
}

/// What a busy screen would feel: reads, writes and deletions all the time.
fn redis_down(is_killed: bool) {
    let mut server = RedisServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(
        &server.address(),
        folder.path(),
        CacheSettings::default().redis_patience,
    );
    let value = thumbnail(0);
    let mut all: Vec<Duration> = Vec::new();
    for n in 0..5_000 {
        if n == 1_000 {
            if is_killed {
                server.stop();
            } else {
                server.freeze();
            }
        }
        let begun = Instant::now();
        let key = key(n % 100);
        match n % 10 {
            0 => cache.set(&key, V, Some(&value)),
            1 => cache.forget(&key),
            _ => {
                black_box(cache.get(&key, V));
            }
        }
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    let longest = all[all.len() - 1];
    let waited = all.iter().filter(|took| **took > Duration::from_millis(10));
    let waited = waited.count();
    if is_killed {
        server.go_on();
    } else {
        server.thaw();
    }
    let begun = Instant::now();
    wait_until("it is used again", || cache.backend_name() == "redis");
    println!(
        "{longest:?}, {waited} of 4 000 above 10 ms; used again after {:?}",
        begun.elapsed()
    );
}
