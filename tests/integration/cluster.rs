//! Several hosts, one library: real processes, each with a home, an index and a cache
//! of its own and the files in common, at one real Redis server which is stopped,
//! frozen and emptied, while they are killed.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use tagloupe::{
    engine::{
        Engine, EngineSettings, Error, Library,
        cache::{
            redis::{Redis, locks::Locks},
            settings::{CacheSettings, PATIENCE, RedisAddress},
        },
        cluster::NO_KEY,
        event::{self, Event, IngestEvent, IngestOutcome},
        job::{Cancel, spawn},
        save::SaveStep,
    },
    model::{edit::Edit, id::Md5, tag::Tag},
    storage::{RemoteGuard, RemoteLocks, Taken},
};

use super::{
    redis_server::{RedisServer, wait_until},
    support::{Home, files_below, originals, picture, write_picture},
};

const LONG: Duration = Duration::from_secs(20);

/// What the hosts have in common; index and cache are not among it.
const SHARED: [&str; 8] = [
    "images",
    "ingest",
    "quarantine",
    "deleted",
    "journal",
    "locks",
    "projects",
    "raw",
];

/// One host: a home, and the library where this host has mounted it.
struct Host {
    home: Home,
    url: String,
}

/// The storage that all have in common, and its hosts.
struct Site {
    storage: Home,
    hosts: Vec<Host>,
}

impl Site {
    /// Hosts that reach the server by different addresses of the loopback network.
    fn new(server: &RedisServer, hosts: usize) -> Self {
        let storage = Home::new();
        storage.init();
        for name in SHARED {
            fs::create_dir_all(storage.library().join(name)).unwrap();
        }
        let hosts = (1..=hosts)
            .map(|number| {
                let home = Home::new();
                fs::create_dir_all(home.library()).unwrap();
                for name in SHARED {
                    let there = storage.library().join(name);
                    symlink(there, home.library().join(name)).unwrap();
                }
                let described = storage.library().join("library.json");
                fs::copy(described, home.library().join("library.json")).unwrap();
                let url = server.url_by(&format!("127.0.0.{number}"));
                Host { home, url }
            })
            .collect();
        Self { storage, hosts }
    }

    /// Pictures that are dropped, on storage that all see.
    fn drop_pictures(&self, name: &str, seeds: std::ops::Range<u32>) -> PathBuf {
        let folder = self.storage.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        for seed in seeds {
            // Large enough to be in work for a moment.
            let ending = if seed % 3 == 0 { "jpg" } else { "png" };
            let path = folder.join(format!("{seed}.{ending}"));
            picture(seed, 200, 150).save(path).unwrap();
        }
        folder
    }

    fn filed(&self) -> usize {
        originals(&self.storage.library()).len()
    }
}

impl Host {
    fn command(&self, arguments: &[&str]) -> Command {
        let library = self.home.library();
        let mut all = vec!["--library", library.to_str().unwrap()];
        all.extend(arguments);
        let mut command = self.home.command(&all);
        command.env("REDIS_URL", &self.url);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that must succeed.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let notes = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {notes}\n{text}");
        text
    }

    /// What this host finds; nothing is no failure.
    fn find(&self, query: &str) -> BTreeSet<String> {
        let output = self.run(&["search", "--ids", query]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn worker(&self) -> Helper {
        Helper::start(self.command(&["worker", "--threads", "1", "--json"]))
    }
}

/// A worker whose lines are read as they come.
struct Helper {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Helper {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (out, notes) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = |stream: Box<dyn std::io::Read + Send>| {
            let lines = Arc::clone(&lines);
            let read = move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                }
            };
            spawn("reader", read).unwrap()
        };
        let readers = vec![read(Box::new(out)), read(Box::new(notes))];
        let mut helper = Self {
            child,
            lines,
            readers,
        };
        wait_until("it helps", || {
            assert!(
                helper.says("helping with") || helper.is_running(),
                "{:?}",
                helper.lines
            );
            helper.says("helping with")
        });
        helper
    }

    fn says(&self, part: &str) -> bool {
        let lines = self.lines.lock().unwrap();
        lines.iter().any(|line| line.contains(part))
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.all()
    }

    /// Ends it as a service manager would; what it says at its end.
    fn end(mut self) -> Value {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        let lines = self.all();
        assert!(status.success(), "{status}: {lines:?}");
        let summary = lines.iter().rfind(|line| line.contains("handed_back"));
        serde_json::from_str(summary.unwrap_or_else(|| panic!("{lines:?}"))).unwrap()
    }

    fn all(&mut self) -> Vec<String> {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

/// Files in a drop that nobody has taken away.
fn left_in(folder: &Path) -> usize {
    files_below(folder).len()
}

/// The key of the stream, and what workers have of it.
fn pending(connection: &mut Connection) -> u64 {
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("tl:*:ingest")
        .query(connection)
        .unwrap();
    let Some(key) = keys.first() else { return 0 };
    let summary: redis::RedisResult<Vec<redis::Value>> = redis::cmd("XPENDING")
        .arg(key)
        .arg("ingest")
        .query(connection);
    match summary.as_deref() {
        Ok([redis::Value::Int(pending), ..]) => u64::try_from(*pending).unwrap(),
        _ => 0,
    }
}

/// Every picture is filed once, with a sidecar, and every host knows all of them.
fn check_all_is_filed(site: &Site, pictures: usize) {
    let library = site.storage.library();
    let originals = originals(&library);
    assert_eq!(originals.len(), pictures);
    let names: BTreeSet<_> = originals.iter().map(|path| path.file_stem()).collect();
    assert_eq!(names.len(), pictures, "no md5 twice");
    let quarantined = files_below(&library.join("quarantine"));
    assert!(quarantined.is_empty(), "{quarantined:?}");
    for host in &site.hosts {
        // What a gallery does when it opens.
        host.text(&["rebuild"]);
        host.text(&["verify"]);
        assert_eq!(host.find("").len(), pictures);
    }
}

#[test]
fn workers_share_a_drop_and_take_over_from_one_that_is_killed() {
    const PICTURES: u32 = 40;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 3);
    let [one, two, asked] = &site.hosts[..] else {
        unreachable!("three hosts")
    };
    let (victim, helper) = (one.worker(), two.worker());
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let folder = drop.to_str().unwrap();
    let ingest = asked
        .command(&["ingest", "--json", "--move", folder])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // In the middle of its work, with more in hand.
    wait_until("the first one has filed something", || {
        victim.says("stored")
    });
    let victims = victim.kill();
    let output = ingest.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    // One may have been filed by the victim in its last moment.
    let (stored, gone) = (count(&told, "stored"), count(&told, "cancelled"));
    assert_eq!(
        stored + gone + count(&told, "duplicates"),
        u64::from(PICTURES),
        "{told}"
    );
    assert!(gone <= 1, "{told}");
    assert_eq!(told["failed"].as_array().map(Vec::len), Some(0), "{told}");
    assert_eq!(left_in(&drop), 0);
    assert_eq!(pending(&mut server.connection()), 0);

    // What one host filed the others find, and their edits.
    wait_until("the worker's index follows", || {
        two.find("").len() == PICTURES as usize
    });
    let id = two.find("").into_iter().next().unwrap();
    asked.text(&["rebuild"]);
    asked.text(&["tag", &format!("id:{id}"), "+seen"]);
    wait_until("the edit is seen there", || two.find("seen").len() == 1);
    let helped = helper.end();
    assert!(count(&helped, "stored") > 0, "{helped}");
    assert!(!victims.is_empty());
    check_all_is_filed(&site, PICTURES as usize);
}

#[test]
fn nothing_is_lost_while_the_server_is_frozen_emptied_and_restarted() {
    const PICTURES: u32 = 70;
    let mut server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 3);
    let [one, two, asked] = &site.hosts[..] else {
        unreachable!("three hosts")
    };
    let (victim, helper) = (one.worker(), two.worker());
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let ingest = asked
        .command(&["ingest", "--json", "--move", drop.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let filed = |more: usize| {
        let goal = (site.filed() + more).min(PICTURES as usize);
        wait_until("more is filed", || site.filed() >= goal);
    };
    filed(6);
    server.freeze();
    filed(4);
    server.thaw();
    filed(6);
    redis::cmd("FLUSHALL")
        .exec(&mut server.connection())
        .unwrap();
    filed(6);
    victim.kill();
    filed(4);
    server.stop();
    filed(4);
    server.go_on();
    let output = ingest.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = count(&told, "stored") + count(&told, "duplicates");
    assert_eq!(
        known + count(&told, "cancelled"),
        u64::from(PICTURES),
        "{told}"
    );
    assert_eq!(told["failed"].as_array().map(Vec::len), Some(0), "{told}");
    assert_eq!(left_in(&drop), 0);
    // What was in hand when the server went is told, or claimed by nobody.
    wait_until("nothing waits for anybody", || {
        pending(&mut server.connection()) == 0
    });
    let helped = helper.end();
    assert!(count(&helped, "stored") > 0, "{helped}");
    check_all_is_filed(&site, PICTURES as usize);
}

#[test]
fn a_worker_that_is_asked_to_end_hands_back_what_it_has_not_begun() {
    const PICTURES: u32 = 30;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let helper = site.hosts[0].worker();
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let ingest = site.hosts[1]
        .command(&["ingest", "--json", drop.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("it is at work", || helper.says("stored"));
    let helped = helper.end();
    let output = ingest.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Everything that it said it did, and nothing twice.
    assert_eq!(
        count(&told, "stored"),
        u64::from(PICTURES),
        "{told} {helped}"
    );
    assert_eq!(count(&told, "duplicates"), 0, "{told} {helped}");
    assert_eq!(left_in(&drop), PICTURES as usize, "copied, not moved");
    check_all_is_filed(&site, PICTURES as usize);
}

#[test]
fn the_monitor_shows_what_workers_do() {
    const PICTURES: u32 = 24;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let helper = site.hosts[0].worker();
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let settings = EngineSettings {
        workers: Some(1),
        cache: CacheSettings {
            redis: Some(RedisAddress::parse(&site.hosts[1].url).unwrap()),
            ..CacheSettings::default()
        },
        ..EngineSettings::default()
    };
    let (events, mut receiver) = event::channel();
    let library = Library::open(&site.hosts[1].home.library()).unwrap();
    let engine = Engine::start(library, settings, events).unwrap();
    engine.start_catalog();
    let job = engine.ingest(vec![drop], None);
    let (mut taken, mut ended) = (BTreeSet::new(), Vec::new());
    loop {
        match receiver.events.blocking_recv().expect("the engine goes on") {
            Event::Ingest(IngestEvent::Taken { file, by }) => {
                assert!(by.contains(':'), "{by}");
                taken.insert(file);
            }
            // Written to just now: it comes again.
            Event::Ingest(IngestEvent::Finished {
                outcome: IngestOutcome::Waiting { .. },
                ..
            }) => {}
            Event::Ingest(IngestEvent::Finished { file, outcome, .. }) => {
                ended.push((file, outcome));
            }
            Event::JobDone { job: done, .. } if done == job => break,
            _ => {}
        }
    }
    assert!(!taken.is_empty(), "the worker had some");
    assert_eq!(ended.len(), PICTURES as usize);
    for (file, outcome) in ended {
        let IngestOutcome::Stored { key, .. } = outcome else {
            panic!("{outcome:?}");
        };
        // Also what the worker filed can be opened from its row.
        assert_ne!(key, NO_KEY, "{file}");
        assert!(engine.media_now(key).is_ok(), "{file}");
    }
    engine.shutdown();
    helper.end();
}

/// A library whose lock files no other host sees, as on storage that does not pass
/// locks on, and which takes them at the server.
fn alone(server: &RedisServer, site: &Site, host: usize) -> Library {
    let root = site.hosts[host].home.library();
    fs::remove_file(root.join("locks")).unwrap();
    fs::create_dir(root.join("locks")).unwrap();
    let library = Library::open(&root).unwrap();
    let redis = Redis::connect(&server.address(), PATIENCE).unwrap();
    assert!(redis.wait_until_known(LONG));
    let locks = Locks::new(Arc::new(redis), library.id()).unwrap();
    library.share_locks(Arc::new(locks));
    library
}

#[test]
fn locks_count_on_all_hosts_and_a_late_holder_writes_nothing() {
    let mut server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let (one, other) = (alone(&server, &site, 0), alone(&server, &site, 1));
    let md5 = Md5([7; 16]);
    let at_once = Duration::ZERO;
    let held = one.lock_md5(&md5, at_once).unwrap();
    assert!(matches!(
        other.lock_md5(&md5, at_once),
        Err(Error::Locked { .. })
    ));
    assert!(held.still_held());
    drop(held);
    let held = other.lock_md5(&md5, at_once).unwrap();
    drop(held);

    // A server that forgot everything: who held it goes on, unless another came first.
    let held = one.lock_md5(&md5, at_once).unwrap();
    let flush = |server: &RedisServer| {
        redis::cmd("FLUSHALL")
            .exec(&mut server.connection())
            .unwrap();
    };
    flush(&server);
    let exists = || -> bool {
        let mut connection = server.connection();
        let key = format!("tl:{}:lock:07", one.id());
        redis::cmd("EXISTS")
            .arg(key)
            .query(&mut connection)
            .unwrap()
    };
    wait_until("it is asked, and has it again", || {
        held.still_held() && exists()
    });
    flush(&server);
    let second = other.lock_md5(&md5, at_once).unwrap();
    wait_until("the first one learns of it", || !held.still_held());
    drop(held);
    assert!(
        second.still_held(),
        "who is late releases nothing of others"
    );
    drop(second);

    // A holder that died: its lease ends.
    let key = format!("tl:{}:lock:07", one.id());
    redis::cmd("SET")
        .arg(&key)
        .arg("1:dead")
        .arg("PX")
        .arg(300)
        .exec(&mut server.connection())
        .unwrap();
    let held = one.lock_md5(&md5, LONG).unwrap();
    drop(held);

    // Without a server, the lock files.
    server.stop();
    let held = one.lock_md5(&md5, at_once).unwrap();
    assert!(matches!(
        one.lock_md5(&md5, at_once),
        Err(Error::Locked { .. })
    ));
    assert!(held.still_held(), "nobody can say, and the file is locked");
}

#[test]
fn an_edit_whose_lock_passed_on_is_dropped_and_can_be_made_again() {
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 1);
    let library = site.storage.library();
    write_picture(&library.join("ingest/a.png"), 1);
    let storage = Library::open(&library).unwrap();
    let stolen = Arc::new(Stolen(AtomicBool::new(false)));
    storage.share_locks(Arc::clone(&stolen) as Arc<dyn RemoteLocks>);
    let (events, _) = event::channel();
    let engine = Engine::start(storage, EngineSettings::default(), events).unwrap();
    let listener = Box::new(|_: &Path, _: &IngestOutcome| {});
    let folder = vec![library.join("ingest")];
    let tally = engine.ingest_now(folder, None, listener, &Cancel::default(), &mut |_| {});
    assert_eq!(tally.stored, 1);
    let key = engine.catalog().records().next().unwrap().key();
    let tag = || {
        let edit = Edit::AddTag {
            tag: Tag::new("general", "fox"),
            position: None,
        };
        let step = SaveStep {
            number: 0,
            action: "tag".to_owned(),
            changes: vec![(key, Arc::from([edit]))],
        };
        engine.save_now(&step, &mut |_, _| ControlFlow::Continue(()))
    };
    let has_tag = || {
        let sidecars = files_below(&library.join("images"));
        let mut sidecars = sidecars
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "json"));
        let sidecar = sidecars.next().unwrap();
        let text = fs::read_to_string(library.join("images").join(sidecar)).unwrap();
        text.contains("\"fox\"")
    };
    stolen.0.store(true, Ordering::SeqCst);
    let report = tag();
    assert!(
        report.failed[0].1.contains("passed to another host"),
        "{report:?}"
    );
    assert!(!has_tag());
    stolen.0.store(false, Ordering::SeqCst);
    assert!(tag().failed.is_empty());
    assert!(has_tag());
}

/// Locks that can be lost at will.
#[derive(Debug)]
struct Stolen(AtomicBool);

#[derive(Debug)]
struct StolenGuard(bool);

impl RemoteLocks for Stolen {
    fn try_take(&self, _: &[String]) -> Taken {
        Taken::Held(Arc::new(StolenGuard(self.0.load(Ordering::SeqCst))))
    }
}

impl RemoteGuard for StolenGuard {
    fn still_held(&self) -> bool {
        !self.0
    }
}
