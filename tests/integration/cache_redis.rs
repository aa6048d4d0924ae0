//! The cache with a real Redis server that is stopped, frozen, emptied and filled
//! with nonsense, and several processes' worth of caches on it.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tagloupe::{
    engine::{
        Engine, EngineSettings, LayoutKind, Library,
        cache::{
            Backend as _, Failure,
            disk::Disk,
            entry::Version,
            key::{Family, Key},
            layer::{Cache, Change, Lookup},
            redis::Redis,
            settings::{CacheSettings, Choice, PATIENCE, RedisAddress},
            stats::Tally,
        },
        event::{self, EventReceiver},
        job::{spawn, system_clock},
        save::SaveStep,
    },
    model::{
        edit::Edit,
        id::MediaKey,
        tag::{Tag, TagName},
    },
};

use super::redis_server::{RedisServer, wait_until};
use super::support::{Home, write_picture, write_text};

const LONG: Duration = Duration::from_secs(20);
const V: Version = Version(1);

fn key_of(name: &str) -> Key {
    Key::new(Family::Source, &[name])
}

fn open(server: &RedisServer, folder: &Path) -> Arc<Cache> {
    open_at(server.address(), folder)
}

fn open_at(address: RedisAddress, folder: &Path) -> Arc<Cache> {
    let settings = CacheSettings {
        choice: Choice::Auto,
        redis: Some(address),
        // Not what these are about, and this machine may be busy.
        redis_patience: LONG,
        ..CacheSettings::default()
    };
    let cache = Cache::open("library", &[folder], &settings, system_clock);
    cache.settle();
    cache
}

fn found(cache: &Cache, name: &str) -> Option<Vec<u8>> {
    cache
        .get(&key_of(name), V)
        .found()
        .map(|bytes| bytes.to_vec())
}

#[test]
fn a_lost_server_costs_no_answer_and_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&server, folder.path());
    assert_eq!(cache.backend_name(), "redis");
    cache.set(&key_of("a"), V, Some(b"1"));
    assert_eq!(found(&cache, "a").unwrap(), b"1");

    server.stop();
    // Nothing of this fails, and what is set now lies on the disk.
    cache.set(&key_of("b"), V, Some(b"2"));
    wait_until("the server is known to be gone", || {
        cache.set(&key_of("b"), V, Some(b"2"));
        cache.backend_name() == "disk"
    });
    cache.set(&key_of("b"), V, Some(b"2"));
    let other = Cache::on_disk(folder.path(), system_clock);
    assert_eq!(found(&other, "b").unwrap(), b"2");
    assert_eq!(found(&cache, "b").unwrap(), b"2");
    assert!(cache.stats(&Tally::default()).lost >= 1);
    let cleared = cache.clear("source:none");
    assert!(cleared.failed[0].starts_with("Redis keeps what it has: "));

    server.go_on();
    wait_until("it is used again", || cache.backend_name() == "redis");
    cache.set(&key_of("c"), V, Some(b"3"));
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("tl:library:*source:c")
        .query(&mut server.connection())
        .unwrap();
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_frozen_server_holds_nobody_up() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.address(), PATIENCE).unwrap();
    assert!(redis.wait_until_known(LONG));
    wait_until("it answers", || redis.get("tl:a").is_ok());
    server.freeze();
    let mut waited = 0;
    while redis.breaker().is_closed() {
        let begun = Instant::now();
        let failure = redis.get("tl:a").unwrap_err();
        assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
        waited += u32::from(begun.elapsed() >= PATIENCE);
        assert!(waited < 20, "the breaker never opens");
    }
    assert!(waited > 0);
    // Nobody waits now.
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert!(redis.get("tl:a").is_err());
    }
    assert!(begun.elapsed() < PATIENCE * 1_000, "they did not wait each");
    server.thaw();
    wait_until("it is used again", || redis.get("tl:a").is_ok());
}

/// Passes on what is said to a server and, as long as it is slow, its answers late.
fn start_passing_on(server: &RedisServer, is_slow: &Arc<AtomicBool>) -> RedisAddress {
    let url = server.url();
    let there = url.trim_start_matches("redis://").trim_end_matches("/0");
    let (there, is_slow) = (there.to_owned(), Arc::clone(is_slow));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    spawn("passing-on", move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&there).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            spawn("asking", move || {
                // Either may end.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            })
            .unwrap();
            let is_slow = Arc::clone(&is_slow);
            spawn("answering", move || {
                let mut answer = [0; 4096];
                while let Ok(length @ 1..) = server.read(&mut answer) {
                    if is_slow.load(Ordering::SeqCst) {
                        std::thread::sleep(PATIENCE * 2);
                    }
                    if client.write_all(&answer[..length]).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
            })
            .unwrap();
        }
    })
    .unwrap();
    RedisAddress::parse(&format!("redis://{here}/0")).unwrap()
}

#[test]
fn a_server_that_is_always_late_is_not_tried_again_and_again() {
    let server = RedisServer::start_on_port(&[]);
    let is_slow = Arc::new(AtomicBool::new(true));
    let address = start_passing_on(&server, &is_slow);
    let redis = Redis::connect(&address, PATIENCE).unwrap();
    assert!(!redis.wait_until_known(LONG));
    assert_eq!(redis.breaker().reason(), "it does not answer in time");
    is_slow.store(false, Ordering::SeqCst);
    wait_until("it is used", || redis.breaker().is_closed());
    assert_eq!(redis.breaker().opened(), 0, "nobody was made to wait");
}

#[test]
fn a_server_that_comes_later_is_found() {
    let mut server = RedisServer::start();
    server.stop();
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&server, folder.path());
    assert_eq!(cache.backend_name(), "disk");
    cache.set(&key_of("a"), V, Some(b"1"));
    assert_eq!(found(&cache, "a").unwrap(), b"1");
    server.go_on();
    wait_until("it is used", || cache.backend_name() == "redis");
}

#[test]
fn nonsense_is_a_miss_and_gone() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&server, folder.path());
    let mut connection = server.connection();
    for nonsense in [&b"{\"json\": 1}"[..], b"", b"\xc1\x01", &[0; 1000]] {
        redis::cmd("SET")
            .arg("tl:library:g0:source:a")
            .arg(nonsense)
            .exec(&mut connection)
            .unwrap();
        assert!(matches!(cache.get(&key_of("a"), V), Lookup::Miss));
        let left: bool = redis::cmd("EXISTS")
            .arg("tl:library:g0:source:a")
            .query(&mut connection)
            .unwrap();
        assert!(!left);
    }
    // A value of another type is what no question fits; the answer is a miss.
    redis::cmd("LPUSH")
        .arg("tl:library:g0:source:b")
        .arg(1)
        .exec(&mut connection)
        .unwrap();
    assert!(matches!(cache.get(&key_of("b"), V), Lookup::Miss));
    let left: bool = redis::cmd("EXISTS")
        .arg("tl:library:g0:source:b")
        .query(&mut connection)
        .unwrap();
    assert!(!left);
    assert_eq!(cache.backend_name(), "redis", "the server is not to blame");
    // Neither is any of that a number.
    let views = Key::new(Family::Counter, &["views"]);
    for nonsense in [
        "cat",
        "1.5",
        "0x10",
        "nan",
        "007",
        "-",
        "99999999999999999999",
    ] {
        redis::cmd("SET")
            .arg("tl:library:g0:counter:views")
            .arg(nonsense)
            .exec(&mut connection)
            .unwrap();
        assert_eq!(cache.add(&views, 3, 2), Some(5), "{nonsense}");
    }
    // And nobody's turn.
    redis::cmd("SET")
        .arg("tl:library:g0:lock:turn:site")
        .arg("cat")
        .exec(&mut connection)
        .unwrap();
    let turn = || cache.takes_turn("site", LONG);
    wait_until("it is our turn", || turn() == Some(true));
    assert_eq!(turn(), Some(false));
    redis::cmd("DEL")
        .arg("tl:library:g0:counter:views")
        .exec(&mut connection)
        .unwrap();
    redis::cmd("LPUSH")
        .arg("tl:library:g0:counter:views")
        .arg(1)
        .exec(&mut connection)
        .unwrap();
    assert_eq!(cache.add(&views, -7, 2), Some(-5));
    assert_eq!(cache.add(&views, -7, 6), Some(1));
    assert!(cache.stats(&Tally::default()).tally.errors >= 5);
}

#[test]
fn a_server_that_keeps_nothing_is_left_alone_until_it_does() {
    let server = RedisServer::start();
    let ask = |question: &str| {
        let mut words = question.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        for word in words {
            asked.arg(word);
        }
        asked.exec(&mut server.connection()).unwrap();
    };
    let refusals = || -> Option<u64> {
        let told: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut server.connection())
            .unwrap();
        let sets = told.lines().find(|line| line.starts_with("cmdstat_set:"))?;
        let refused = sets.split("rejected_calls=").nth(1)?;
        refused.split(',').next()?.parse().ok()
    };
    for (of_no_use, mended) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&server, folder.path());
        assert_eq!(cache.backend_name(), "redis");
        ask(of_no_use);
        cache.set(&key_of("a"), V, Some(b"1"));
        wait_until("it is left alone", || cache.backend_name() == "disk");
        assert_eq!(found(&cache, "a").unwrap(), b"1");
        let other = Cache::on_disk(folder.path(), system_clock);
        assert_eq!(found(&other, "a").unwrap(), b"1", "{of_no_use}");
        // Somebody looks whether it is of use again, and that costs nobody anything.
        ask("CONFIG RESETSTAT");
        wait_until("it is looked at", || refusals() >= Some(1));
        ask(mended);
        wait_until("it is used again", || cache.backend_name() == "redis");
        assert_eq!(cache.stats(&Tally::default()).lost, 1, "{of_no_use}");
    }
}

#[test]
fn what_a_user_may_not_do_is_no_loss_of_the_server() {
    let server = RedisServer::start_on_port(&[]);
    redis::cmd("ACL")
        .arg(&[
            "SETUSER",
            "guest",
            "on",
            ">pw",
            "~tl:library:*",
            "&*",
            "+@all",
        ])
        .arg("-@dangerous")
        .exec(&mut server.connection())
        .unwrap();
    let url = server.url().replace("redis://", "redis://guest:pw@");
    let folder = tempfile::tempdir().unwrap();
    let cache = open_at(RedisAddress::parse(&url).unwrap(), folder.path());
    assert_eq!(cache.backend_name(), "redis");
    // How full it is is not told to everybody.
    let stats = cache.stats(&Tally::default());
    assert!(stats.tiers.last().unwrap().state.is_ok());
    assert_eq!(cache.backend_name(), "redis");
    cache.set(&key_of("a"), V, Some(b"1"));
    let kept: bool = redis::cmd("EXISTS")
        .arg("tl:library:g0:source:a")
        .query(&mut server.connection())
        .unwrap();
    assert!(kept);
    let home = Home::new();
    let mut doctor = home.command(&["doctor"]);
    let told = doctor.env("REDIS_URL", &url).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("ok    Redis: redis://***@127.0.0.1"),
        "{told}"
    );
    assert!(told.contains("it does not tell how full it is"), "{told}");
}

#[test]
fn who_may_keep_nothing_there_keeps_it_on_the_disk() {
    let server = RedisServer::start_on_port(&[]);
    for (name, rules) in [("strange", ["~other:*", "+@all"]), ("mute", ["~*", "-set"])] {
        redis::cmd("ACL")
            .arg(&["SETUSER", name, "on", ">pw", "&*", "+@all"])
            .arg(&rules)
            .exec(&mut server.connection())
            .unwrap();
        let url = server
            .url()
            .replace("redis://", &format!("redis://{name}:pw@"));
        let folder = tempfile::tempdir().unwrap();
        let cache = open_at(RedisAddress::parse(&url).unwrap(), folder.path());
        // Of a kind that memory does not hold.
        let key = Key::new(Family::Lowres, &["a"]);
        cache.set(&key, V, Some(b"1"));
        assert!(cache.get(&key, V).found().is_some(), "{name}");
        let other = Cache::on_disk(folder.path(), system_clock);
        assert!(other.get(&key, V).found().is_some(), "{name}");
    }
}

#[test]
fn files_are_told_to_who_is_late_for_a_moment() {
    let server = RedisServer::start_on_port(&["--enable-debug-command", "yes"]);
    let (one_folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = CacheSettings {
        redis: Some(server.address()),
        // As long as people wait, and no longer.
        redis_patience: PATIENCE,
        ..CacheSettings::default()
    };
    let one = Cache::open("library", &[one_folder.path()], &settings, system_clock);
    one.settle();
    let other = open(&server, other_folder.path());
    let heard: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    other.subscribe("hearing", move |change| {
        if let Change::Files(paths) = change {
            hearing.lock().unwrap().extend(paths.iter().cloned());
        }
        Ok(())
    });
    wait_until("they hear each other", || {
        one.tell_files(&["first".to_owned()]);
        !heard.lock().unwrap().is_empty()
    });
    // It is busy with a question of somebody else's.
    let mut connection = server.connection();
    let question = redis::cmd("DEBUG")
        .arg("SLEEP")
        .arg("0.07")
        .get_packed_command();
    connection.send_packed_command(&question).unwrap();
    let paths: Vec<String> = (0..1_000).map(|n| format!("images/{n}.png")).collect();
    one.tell_files(&paths);
    connection.recv_response().unwrap();
    wait_until("everything is told", || {
        heard.lock().unwrap().len() == 1_001
    });
}

#[test]
fn a_password_is_asked_for_and_never_told() {
    let server = RedisServer::start_on_port(&["--requirepass", "sesame"]);
    for (credentials, reason) in [
        ("", "it wants a password"),
        (":wrong@", "it refuses the password"),
    ] {
        let url = server
            .url()
            .replace("redis://", &format!("redis://{credentials}"));
        let redis = Redis::connect(&RedisAddress::parse(&url).unwrap(), LONG).unwrap();
        assert!(!redis.wait_until_known(LONG));
        let told = redis.breaker().reason();
        assert!(told.starts_with(reason), "{told}");
        assert!(!told.contains("wrong"));
    }
    let url = server.url().replace("redis://", "redis://:sesame@");
    let redis = Redis::connect(&RedisAddress::parse(&url).unwrap(), LONG).unwrap();
    assert!(redis.wait_until_known(LONG));
}

#[test]
fn a_herd_computes_once_on_all_hosts() {
    let server = RedisServer::start();
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let caches: Vec<Arc<Cache>> = folders
        .iter()
        .map(|folder| open(&server, folder.path()))
        .collect();
    let (computed, start) = (AtomicUsize::new(0), Barrier::new(40));
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (cache, computed, start) = (&caches[n % 4], &computed, &start);
            scope.spawn(move || {
                start.wait();
                let value = cache.get_or_compute(&key_of("herd"), V, || {
                    computed.fetch_add(1, Ordering::SeqCst);
                    Ok(Some(b"value".to_vec()))
                });
                assert_eq!(&*value.unwrap().unwrap(), b"value");
            });
        }
    });
    assert_eq!(computed.load(Ordering::SeqCst), 1);
}

#[test]
fn a_holder_that_died_blocks_nobody_for_long() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&server, folder.path());
    // As one leaves it that was killed in the middle.
    let lock = Key::new(Family::Lock, &[key_of("a").as_str(), "1"]);
    redis::cmd("SET")
        .arg(format!("tl:library:g0:{}", lock.as_str()))
        .arg("dead")
        .arg("PX")
        .arg(300)
        .exec(&mut server.connection())
        .unwrap();
    let value = cache.get_or_compute(&key_of("a"), V, || Ok(Some(b"1".to_vec())));
    assert_eq!(&*value.unwrap().unwrap(), b"1");
    // And the lock is free again.
    let left: Vec<String> = redis::cmd("KEYS")
        .arg("*lock*")
        .query(&mut server.connection())
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_one_host_removes_is_gone_on_the_others() {
    let mut server = RedisServer::start();
    let (one_folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (
        open(&server, one_folder.path()),
        open(&server, other_folder.path()),
    );
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    other.subscribe("failing", |_| Err("planned".to_owned()));
    other.subscribe("counting", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    wait_until("they hear each other", || {
        let before = heard.load(Ordering::SeqCst);
        one.forget(&key_of("nothing"));
        heard.load(Ordering::SeqCst) > before
    });
    one.set(&key_of("a"), V, Some(b"1"));
    assert!(found(&other, "a").is_some(), "and in its memory now");
    one.forget(&key_of("a"));
    wait_until("it is gone there", || found(&other, "a").is_none());

    one.set(&key_of("a"), V, Some(b"1"));
    assert!(found(&other, "a").is_some());
    one.clear("*");
    wait_until("all is gone there", || found(&other, "a").is_none());

    // After the server was away nobody knows what was told meanwhile.
    one.set(&key_of("a"), V, Some(b"1"));
    wait_until("it is in the new generation too", || {
        found(&other, "a").is_some()
    });
    server.stop();
    wait_until("its memory is not trusted any more", || {
        found(&other, "a").is_none()
    });
}

#[test]
fn a_page_is_one_round_trip() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&server, folder.path());
    let names: Vec<Key> = (0..60).map(|n| key_of(&n.to_string())).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|key| (key, V, Some(&b"thumbnail"[..])))
        .collect();
    cache.set_many(&entries);
    let fresh = tempfile::tempdir().unwrap();
    let other = open(&server, fresh.path());
    let mut connection = server.connection();
    let calls = |connection: &mut redis::Connection| -> String {
        redis::cmd("INFO")
            .arg("commandstats")
            .query(connection)
            .unwrap()
    };
    redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .exec(&mut connection)
        .unwrap();
    let wanted: Vec<(Key, Version)> = names.into_iter().map(|key| (key, V)).collect();
    let page = other.get_many(&wanted);
    assert!(page.iter().all(|lookup| matches!(lookup, Lookup::Found(_))));
    let told = calls(&mut connection);
    assert!(told.contains("cmdstat_mget:calls=1,"), "{told}");
    let one_by_one = told.lines().find_map(|line| {
        let rest = line.strip_prefix("cmdstat_get:calls=")?;
        rest.split(',').next()?.parse().ok()
    });
    // Which generation it is may be asked meanwhile.
    assert!(one_by_one.unwrap_or(0) <= 2, "{told}");
}

/// A library as another host has it: the same files, its own index and cache.
fn mount(shared: &Path, root: &Path) {
    fs::create_dir_all(root).unwrap();
    std::os::unix::fs::symlink(shared.join("images"), root.join("images")).unwrap();
    fs::copy(shared.join("library.json"), root.join("library.json")).unwrap();
}

fn start(root: &Path, server: &RedisServer) -> (Engine, EventReceiver) {
    let settings = EngineSettings {
        cache: CacheSettings {
            redis: Some(server.address()),
            redis_patience: LONG,
            ..CacheSettings::default()
        },
        // A network file system tells nobody.
        watches_files: false,
        ..EngineSettings::default()
    };
    let (events, receiver) = event::channel();
    let engine = Engine::start(Library::open(root).unwrap(), settings, events).unwrap();
    engine.start_catalog();
    wait_until("the library is loaded", || engine.catalog().is_complete());
    engine.cache().settle();
    (engine, receiver)
}

#[test]
fn an_edit_on_one_host_is_seen_on_the_other() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let (one_root, other_root) = (folder.path().join("one"), folder.path().join("other"));
    Library::create(&one_root, LayoutKind::Flat, "Shared").unwrap();
    for n in 0..5 {
        write_picture(&one_root.join(format!("images/{n}.png")), n);
    }
    mount(&one_root, &other_root);
    let (one, mut one_events) = start(&one_root, &server);
    let (other, mut other_events) = start(&other_root, &server);
    let drain = |events: &mut EventReceiver| while events.events.try_recv().is_ok() {};
    let name = TagName::new("general", "fox");
    let key = |engine: &Engine| engine.catalog().key_of(&"3".parse().unwrap()).unwrap();
    let tag = |engine: &Engine, value: &str| {
        let edit = Edit::AddTag {
            tag: Tag::new("general", value),
            position: None,
        };
        let step = SaveStep {
            number: 0,
            action: "tag".to_owned(),
            changes: vec![(key(engine), Arc::from([edit]))],
        };
        let report = engine.save_now(&step, &mut |_, _| ControlFlow::Continue(()));
        assert!(report.failed.is_empty());
    };
    for (speaker, hearer) in [(&one, &other), (&other, &one)] {
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        hearer.cache().subscribe("counting", move |change| {
            let is_message = matches!(change, Change::Removed(pattern) if pattern == "source:x");
            counter.fetch_add(usize::from(is_message), Ordering::SeqCst);
            Ok(())
        });
        wait_until("they hear each other", || {
            speaker.cache().forget(&key_of("x"));
            heard.load(Ordering::SeqCst) > 0
        });
    }
    tag(&one, "fox");
    wait_until("it is seen there", || {
        drain(&mut one_events);
        drain(&mut other_events);
        other.catalog().tag_count(&name) == 1
    });
    tag(&other, "badger");
    let name = TagName::new("general", "badger");
    wait_until("and here", || {
        drain(&mut one_events);
        drain(&mut other_events);
        one.catalog().tag_count(&name) == 1
    });
}

#[test]
fn what_is_thrown_away_costs_few_walks_over_the_server() {
    const PICTURES: u32 = 20;
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    Library::create(folder.path(), LayoutKind::Flat, "Test").unwrap();
    for n in 0..PICTURES {
        write_picture(&folder.path().join(format!("images/{n}.png")), n);
    }
    let (engine, mut events) = start(folder.path(), &server);
    wait_until("it is indexed", || {
        while events.events.try_recv().is_ok() {}
        engine.catalog().len() == PICTURES as usize
    });
    let keys: Vec<MediaKey> = engine.catalog().records().map(|r| r.key()).collect();
    let (_, failed) = engine.warm_cache_now(&keys, &mut |_, _| true);
    assert!(failed.is_empty(), "{failed:?}");
    // A server has more to do than this.
    let mut others = redis::pipe();
    for n in 0..5_000 {
        others.set(format!("other:{n}"), 1).ignore();
    }
    others.exec(&mut server.connection()).unwrap();
    let kept = engine.catalog().key_of(&"7".parse().unwrap()).unwrap();
    let rest = keys.into_iter().filter(|key| *key != kept).collect();
    engine.trash(rest, "");
    wait_until("they are in the trash", || {
        while events.events.try_recv().is_ok() {}
        engine.trashed_now().unwrap().len() == PICTURES as usize - 1
    });
    redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .exec(&mut server.connection())
        .unwrap();
    let items = engine.trashed_now().unwrap();
    let report = engine.purge_now(&items, &mut |_, _| ControlFlow::Continue(()));
    assert!(report.failed.is_empty(), "{report:?}");
    let left: Vec<String> = engine.cache().list("*").into_iter().map(|l| l.0).collect();
    assert!(
        left.iter().any(|key| key.starts_with("thumb:7:")),
        "{left:?}"
    );
    let of_others = left.iter().filter(|key| key.starts_with("thumb:"));
    assert!(
        of_others.clone().all(|key| key.starts_with("thumb:7:")),
        "{left:?}"
    );
    let told: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut server.connection())
        .unwrap();
    let walked = told.lines().find_map(|line| {
        let rest = line.strip_prefix("cmdstat_scan:calls=")?;
        rest.split(',').next()?.parse::<u32>().ok()
    });
    // One walk a family, and the list above.
    assert!(walked.unwrap() < 50, "{told}");
}

#[test]
fn what_the_caches_did_outlives_redis_and_the_hosts() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let (one_root, other_root) = (folder.path().join("one"), folder.path().join("other"));
    Library::create(&one_root, LayoutKind::Flat, "Shared").unwrap();
    mount(&one_root, &other_root);
    let hits = |engine: &Engine| engine.cache_stats_now().everyone.hits;
    for root in [&one_root, &other_root] {
        let (engine, _events) = start(root, &server);
        engine.cache().set(&key_of("a"), V, Some(b"1"));
        for _ in 0..1_000 {
            assert!(found(&engine.cache(), "a").is_some());
        }
    }
    let flush = || {
        redis::cmd("FLUSHALL")
            .exec(&mut server.connection())
            .unwrap();
    };
    flush();
    let (one, _events) = start(&one_root, &server);
    assert!((1_000..2_000).contains(&hits(&one)), "what it knew itself");
    {
        let (other, _events) = start(&other_root, &server);
        assert!(hits(&other) >= 2_000, "the last one knew it all");
        assert!(found(&other.cache(), "a").is_none());
    }
    wait_until("what one host kept is told to the others", || {
        hits(&one) >= 2_000
    });
    assert!(hits(&one) < 3_000, "and counts once");
    // Clearing the cache does not begin the count anew.
    one.clear_cache_now("*");
    drop(one);
    let (one, _events) = start(&one_root, &server);
    assert!((2_000..3_000).contains(&hits(&one)));
}

#[test]
fn a_server_that_was_emptied_learns_which_generation_it_is() {
    let server = RedisServer::start();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let one = open(&server, folders[0].path());
    one.clear("*");
    one.clear("*");
    redis::cmd("FLUSHALL")
        .exec(&mut server.connection())
        .unwrap();
    let generation = || -> Option<u64> {
        redis::cmd("GET")
            .arg("tl:library:epoch")
            .query(&mut server.connection())
            .unwrap()
    };
    wait_until("it knows", || generation() == Some(2));
    // So who comes later shares what those have who were there before.
    one.set(&key_of("a"), V, Some(b"1"));
    let other = open(&server, folders[1].path());
    assert!(found(&other, "a").is_some());
}

#[test]
fn the_generation_of_the_server_is_that_of_the_next_start() {
    let mut server = RedisServer::start();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let generation = |folder: &Path| {
        let disk = Disk::open(folder, 1 << 20, system_clock).unwrap();
        disk.get("tl:library:epoch")
            .unwrap()
            .map(|text| text.to_vec())
    };
    let one = open(&server, folders[0].path());
    one.clear("*");
    assert_eq!(generation(folders[0].path()).unwrap(), b"1");
    // Who learns it from the server begins in it without one.
    let other = open(&server, folders[1].path());
    assert_eq!(generation(folders[1].path()).unwrap(), b"1");
    drop(other);
    server.stop();
    let other = open(&server, folders[1].path());
    other.set(&key_of("a"), V, Some(b"1"));
    let disk = Disk::open(folders[1].path(), 1 << 20, system_clock).unwrap();
    assert!(disk.get("tl:library:g1:source:a").unwrap().is_some());
}

/// A certificate for 127.0.0.1 and the authority that vouches for it, made on the spot.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .expect("no openssl: install the Debian package openssl, as tests/run does");
        let notes = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {arguments}: {notes}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=Authority"
    ));
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=redis"
    ));
    write_text(&folder.join("names"), "subjectAltName=IP:127.0.0.1\n");
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
         -extfile names -out server.pem",
    );
}

#[test]
fn an_encrypted_server_is_used_when_somebody_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
        .to_string();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key, authority) = (place("server.pem"), place("server.key"), place("ca.pem"));
    let _server = RedisServer::start_on_port(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "sesame",
    ]);
    let address = |credentials: &str| {
        RedisAddress::parse(&format!("rediss://{credentials}127.0.0.1:{port}/0")).unwrap()
    };
    let trusted = address(":sesame@").with_authority(authority.clone().into());
    let redis = Redis::connect(&trusted, LONG).unwrap();
    assert!(redis.wait_until_known(LONG), "{}", redis.breaker().reason());
    redis.set("tl:a", &b"1"[..].into(), None).unwrap();
    assert_eq!(redis.get("tl:a").unwrap().as_deref(), Some(&b"1"[..]));
    // What changes there is told over it, too.
    let cache = open_at(trusted, folder.path());
    wait_until("it is told", || {
        cache.set(&key_of("a"), V, Some(b"1"));
        redis.clear("tl:library:*").unwrap();
        found(&cache, "a").is_none()
    });

    // Whom the system trusts does not include who made these a moment ago.
    let redis = Redis::connect(&address(":sesame@"), LONG).unwrap();
    assert!(!redis.wait_until_known(LONG));
    let told = redis.breaker().reason();
    assert!(told.contains("certificate"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
    // Neither does another authority.
    let other = tempfile::tempdir().unwrap();
    make_certificates(other.path());
    let wrong = address(":sesame@").with_authority(other.path().join("ca.pem"));
    let redis = Redis::connect(&wrong, LONG).unwrap();
    assert!(!redis.wait_until_known(LONG));
    assert!(redis.breaker().reason().contains("REDIS_CA"));
    let refused = address(":wrong@").with_authority(authority.clone().into());
    let redis = Redis::connect(&refused, LONG).unwrap();
    assert!(!redis.wait_until_known(LONG));
    assert_eq!(redis.breaker().reason(), "it refuses the password");
    let absent = address("").with_authority(place("absent.pem").into());
    let Err(Failure::Refused(told)) = Redis::connect(&absent, LONG).map(|_| ()) else {
        panic!("connected");
    };
    assert!(told.contains("absent.pem"), "{told}");

    // And so says the doctor.
    let home = Home::new();
    let asked = |authority: &str| {
        let mut doctor = home.command(&["doctor"]);
        doctor.env("REDIS_URL", address(":sesame@").secret());
        let told = doctor.env("REDIS_CA", authority).output().unwrap().stdout;
        String::from_utf8(told).unwrap()
    };
    let told = asked(&authority);
    assert!(
        told.contains("ok    Redis: rediss://***@127.0.0.1"),
        "{told}"
    );
    let told = asked(&other.path().join("ca.pem").to_string_lossy());
    assert!(
        told.contains("wrong Redis: ") && told.contains("cache.redis_ca"),
        "{told}"
    );
    assert!(!told.contains("sesame"), "{told}");
}
