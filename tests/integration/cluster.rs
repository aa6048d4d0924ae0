//! Several hosts at one drop: real processes at one real Redis server which is
//! stopped, frozen and emptied, while they are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use redis::Connection;
use serde_json::Value;

use tagloupe::{
    app::ingest_log::IngestLog,
    engine::{
        Engine, EngineSettings, Library,
        cache::{
            redis::board::Board,
            settings::{CacheSettings, RedisAddress},
        },
        cluster::{How, Job, NO_KEY, Place, Report},
        event::{self, Event, EventReceiver, IngestEvent, IngestOutcome},
        job::spawn,
    },
    model::id::Md5,
};

use super::{
    hosts::{Host, Site, count, in_hand, left_in, pending},
    redis_server::{RedisServer, wait_until},
    support::{files_below, originals},
};

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
    // What it had in hand may have been filed by the victim in its last moment.
    let (stored, gone) = (count(&told, "stored"), count(&told, "gone"));
    assert_eq!(
        stored + gone + count(&told, "duplicates"),
        u64::from(PICTURES),
        "{told}"
    );
    assert!(gone <= 2, "{told}");
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
    assert_eq!(known + count(&told, "gone"), u64::from(PICTURES), "{told}");
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
    let library = Library::open(&site.storage.library()).unwrap();
    let known = consumers(&mut server.connection(), library.id());
    assert!(
        known.iter().all(|name| name == "nobody"),
        "nothing remembers it: {known:?}"
    );
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

/// Who ever took something from the board, as far as the server remembers.
fn consumers(connection: &mut Connection, library: &str) -> Vec<String> {
    let told: Vec<BTreeMap<String, redis::Value>> = redis::cmd("XINFO")
        .arg(&["CONSUMERS", &format!("tl:{library}:ingest"), "ingest"])
        .query(connection)
        .unwrap();
    let names = told.iter().map(|consumer| &consumer["name"]);
    names
        .map(|name| redis::from_redis_value_ref(name).unwrap())
        .collect()
}

#[test]
fn workers_mend_a_board_that_is_full_of_nonsense() {
    const PICTURES: u32 = 20;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let library = Library::open(&site.storage.library()).unwrap();
    let helper = site.hosts[0].worker();
    let mut connection = server.connection();
    // Everything that is there, and the board.
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let board = ["ingest", "ingest:workers"].map(|name| format!("tl:{}:{name}", library.id()));
    for key in keys.iter().chain(&board) {
        redis::cmd("SET")
            .arg(key)
            .arg("cat")
            .exec(&mut connection)
            .unwrap();
    }
    let mut board = Board::open(&server.address(), library.id()).unwrap();
    wait_until("the worker is seen again", || {
        board.alive().is_ok_and(|alive| alive.len() == 1)
    });
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let ingest = site.hosts[1]
        .command(&["ingest", "--json", drop.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = ingest.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(count(&told, "stored"), u64::from(PICTURES), "{told}");
    let helped = helper.end();
    assert!(count(&helped, "stored") > 0, "{helped}");
    check_all_is_filed(&site, PICTURES as usize);
}

#[test]
fn an_answer_is_heard_also_where_it_cannot_be_deleted() {
    let server = RedisServer::start_on_port(&[]);
    let mut connection = server.connection();
    redis::cmd("ACL")
        .arg(&[
            "SETUSER", "guest", "on", ">pw", "~*", "&*", "+@all", "-xdel",
        ])
        .exec(&mut connection)
        .unwrap();
    let url = server.url().replace("redis://", "redis://guest:pw@");
    let mut board = Board::open(&RedisAddress::parse(&url).unwrap(), "library").unwrap();
    redis::cmd("XADD")
        .arg(&["tl:library:ingest:done:me", "*", "report", "stored"])
        .exec(&mut connection)
        .unwrap();
    let mut heard = || board.answers_for("me", Duration::ZERO).unwrap();
    assert_eq!(heard(), ["stored"]);
    assert_eq!(heard(), Vec::<String>::new(), "once");
}

#[test]
fn what_three_workers_died_over_is_put_aside_and_can_be_tried_again() {
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let library = Library::open(&site.storage.library()).unwrap();
    let drop = site.drop_pictures("drop", 0..1);
    let path = fs::canonicalize(drop.join("0.jpg")).unwrap();
    // Whoever takes it waits at the door, with the file in hand.
    let md5 = Md5(md5::compute(fs::read(&path).unwrap()).0);
    let door = library.lock_md5(&md5, Duration::ZERO).unwrap();
    let job = job(&path, "one that is gone", 0);
    let mut board = Board::open(&server.address(), library.id()).unwrap();
    let entry = board.give(&job).unwrap();
    for death in 1..=3 {
        let worker = site.hosts[0].worker();
        let mut connection = server.connection();
        wait_until("it has the file", || {
            in_hand(&mut connection, library.id()).1 == death
        });
        worker.kill();
        // As if it had not been heard of for long.
        let (name, _) = in_hand(&mut connection, library.id());
        let stream = format!("tl:{}:ingest", library.id());
        redis::cmd("XCLAIM")
            .arg(&[
                &stream, "ingest", &name, "0", &entry, "IDLE", "60000", "JUSTID",
            ])
            .exec(&mut connection)
            .unwrap();
    }
    let host = &site.hosts[1];
    assert_eq!(host.run(&["worker", "--dead"]).status.code(), Some(1));
    let fourth = site.hosts[0].worker();
    wait_until("it is put aside", || fourth.says("\"dead\""));
    std::mem::drop(door);
    let told = fourth.end();
    assert_eq!(
        (count(&told, "dead"), count(&told, "stored")),
        (1, 0),
        "{told}"
    );
    assert_eq!(pending(&mut server.connection()), 0);

    let listed: Value = serde_json::from_str(&host.text(&["worker", "--dead", "--json"])).unwrap();
    assert_eq!(listed[0]["file"], path.to_str().unwrap());
    assert_eq!(listed[0]["reason"], "put aside: 3 workers ended over it");
    let doctor = host.run(&["doctor"]);
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains("tagloupe worker --dead"), "{doctor}");

    // Nobody is there; who comes next takes it.
    let again = host.text(&["worker", "--retry-dead"]);
    assert_eq!(again, format!("again: {}\n", path.display()));
    assert_eq!(host.run(&["worker", "--dead"]).status.code(), Some(1));
    assert_eq!(host.run(&["worker", "--retry-dead"]).status.code(), Some(1));
    let worker = site.hosts[0].worker();
    wait_until("it is filed", || worker.says("stored"));
    worker.end();
    assert_eq!(site.filed(), 1);
}

#[test]
fn the_monitor_shows_what_workers_do() {
    const PICTURES: u32 = 24;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 3);
    let helper = site.hosts[0].worker();
    let drop = site.drop_pictures("drop", 0..PICTURES);
    let (engine, mut receiver) = gallery(&site.hosts[1]);
    let (onlooker, mut seen) = gallery(&site.hosts[2]);
    wait_until_all_hear(&server, &site);
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
    // Another gallery sees each of them once, whoever filed it.
    let (mut files, mut hands) = (BTreeSet::new(), BTreeSet::new());
    while files.len() < PICTURES as usize {
        match seen.events.blocking_recv().expect("the engine goes on") {
            Event::Ingest(IngestEvent::Taken { by, .. }) => {
                hands.insert(by);
            }
            Event::Ingest(IngestEvent::Finished { path, outcome, .. }) => {
                assert!(
                    matches!(outcome, IngestOutcome::Stored { .. }),
                    "{outcome:?}"
                );
                assert!(files.insert(path.clone()), "twice: {}", path.display());
            }
            _ => {}
        }
    }
    assert_eq!(hands.len(), 2, "{hands:?}");
    engine.shutdown();
    onlooker.shutdown();
    helper.end();
}

#[test]
fn screens_that_watch_the_same_inbox_show_each_file_once() {
    const PICTURES: usize = 24;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 3);
    let helper = site.hosts[0].worker();
    let mut screens: Vec<_> = site.hosts[1..].iter().map(gallery).collect();
    for (engine, _) in &screens {
        engine.watch(Some(engine.inbox()));
    }
    wait_until_all_hear(&server, &site);
    site.drop_pictures("library/ingest", 0..24);
    wait_until("all are filed", || site.filed() == PICTURES);
    for (_, receiver) in &mut screens {
        let mut log = IngestLog::default();
        wait_until("a screen shows all", || {
            while let Ok(event) = receiver.events.try_recv() {
                if let Event::Ingest(event) = event {
                    log.receive(event, Duration::ZERO);
                }
            }
            log.running.is_empty() && log.queue == 0 && log.outcomes.len() >= PICTURES
        });
        let names: BTreeSet<&str> = log.outcomes.iter().map(|row| &*row.name).collect();
        assert_eq!(names.len(), PICTURES, "{:?}", log.outcomes);
        assert_eq!(log.counts.stored, PICTURES as u64, "{:?}", log.outcomes);
        assert_eq!(log.outcomes.len(), PICTURES, "{:?}", log.outcomes);
    }
    for (engine, _) in screens {
        engine.shutdown();
    }
    helper.end();
}

#[test]
fn who_gave_a_file_learns_how_another_process_ended_it() {
    const PICTURES: u32 = 5;
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let library = Library::open(&site.storage.library()).unwrap();
    let drop = site.drop_pictures("drop", 0..PICTURES);
    // Nothing ends before it is let through the door.
    let mut doors = BTreeMap::new();
    for name in files_below(&drop) {
        let path = drop.join(name);
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let md5 = Md5(md5::compute(fs::read(&path).unwrap()).0);
        doors.insert(path, library.lock_md5(&md5, Duration::ZERO).unwrap());
    }
    let awake = Awake::start(&server, library.id());
    let giver = site.hosts[0]
        .command(&["ingest", "--json", "--move", drop.to_str().unwrap()])
        .env("MAX_WORKERS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_so_many_hear(&server, library.id(), 1);
    let mut given: Vec<(String, PathBuf)> = Vec::new();
    wait_until("two are given away", || {
        given = on_board(&server, library.id());
        given.len() == 2
    });
    // One that another process was told to file as well; and one that another gave as
    // well, took back when nobody came for it, and did.
    for ((entry, path), is_taken_back) in given.iter().zip([false, true]) {
        doors.remove(path);
        let told = site.hosts[1].text(&["ingest", "--json", "--move", path.to_str().unwrap()]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(count(&told, "stored"), 1, "{told}");
        if is_taken_back {
            let mut board = Board::open(&server.address(), library.id()).unwrap();
            board.take_back(entry, true).unwrap();
        }
    }
    doors.clear();
    awake.end();
    let output = giver.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(count(&told, "stored"), u64::from(PICTURES), "{told}");
    assert_eq!(left_in(&drop), 0);
    check_all_is_filed(&site, PICTURES as usize);
}

/// A worker as the others see it, that takes nothing.
struct Awake {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Awake {
    fn start(server: &RedisServer, library: &str) -> Self {
        let mut board = Board::open(&server.address(), library).unwrap();
        let (end, ended) = channel();
        let (tell, told) = channel();
        let thread = spawn("awake", move || {
            while ended.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) {
                let as_others = r#"{"name": "awake", "threads": 1}"#;
                board.beat("awake", as_others, &[]).unwrap();
                // Heard the first time only.
                let _ = tell.send(());
            }
            board.leave("awake").unwrap();
        });
        told.recv().unwrap();
        Self {
            end,
            thread: thread.unwrap(),
        }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// The files that are given away, with their entries.
fn on_board(server: &RedisServer, library: &str) -> Vec<(String, PathBuf)> {
    let entries: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
        .arg(format!("tl:{library}:ingest"))
        .arg(&["-", "+"])
        .query(&mut server.connection())
        .unwrap();
    let path = |fields: &[String]| {
        let job: Job = serde_json::from_str(&fields[1]).unwrap();
        job.place.path(Path::new("/nowhere"))
    };
    let entries = entries.into_iter();
    entries
        .map(|(entry, fields)| (entry, path(&fields)))
        .collect()
}

/// What is told before somebody hears is not told again.
fn wait_until_all_hear(server: &RedisServer, site: &Site) {
    let library = Library::open(&site.storage.library()).unwrap();
    wait_until_so_many_hear(server, library.id(), site.hosts.len());
}

fn wait_until_so_many_hear(server: &RedisServer, library: &str, processes: usize) {
    wait_until("all hear", || {
        let mut count = redis::cmd("PUBSUB");
        count.arg("NUMSUB").arg(format!("tl:{library}:changes"));
        let (_, hearing): (String, usize) = count.query(&mut server.connection()).unwrap();
        hearing == processes
    });
}

/// What a host has open that shows the ingest of all.
fn gallery(host: &Host) -> (Engine, EventReceiver) {
    let settings = EngineSettings {
        workers: Some(1),
        cache: CacheSettings {
            redis: Some(RedisAddress::parse(&host.url).unwrap()),
            ..CacheSettings::default()
        },
        ..EngineSettings::default()
    };
    let (events, receiver) = event::channel();
    let library = Library::open(&host.home.library()).unwrap();
    let engine = Engine::start(library, settings, events).unwrap();
    engine.start_catalog();
    wait_until("its index is made", || {
        Library::open(engine.root()).unwrap().is_indexed()
    });
    (engine, receiver)
}

/// A job for a file outside the library, from a process that is named.
fn job(path: &Path, giver: &str, file: u64) -> Job {
    let mut job = Job {
        giver: giver.to_owned(),
        file,
        place: Place::of(path, Path::new("/nowhere")).unwrap(),
        bytes: 0,
        modified: (0, 0),
        how: How::Copy,
        group: None,
        is_found: false,
        is_watched: false,
        takes_purged: false,
    };
    job.stamp(&path.symlink_metadata().unwrap());
    job
}

#[test]
fn a_file_that_is_given_again_is_done_once_and_answered_to_all_who_gave_it() {
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 1);
    let library = Library::open(&site.storage.library()).unwrap();
    let drop = site.drop_pictures("drop", 0..2);
    let [first, second] = ["0.jpg", "1.png"].map(|name| drop.join(name));
    let mut board = Board::open(&server.address(), library.id()).unwrap();
    let entry = board.give(&job(&first, "before", 7)).unwrap();
    let other = board.give(&job(&second, "before", 8)).unwrap();
    // Another process, or the same, started again.
    assert_eq!(board.give(&job(&first, "after", 0)).unwrap(), entry);
    assert_ne!(other, entry);
    let worker = site.hosts[0].worker();
    let answers = |giver: &str| -> BTreeSet<u64> {
        let mut board = Board::open(&server.address(), library.id()).unwrap();
        let answers = board.answers_for(giver, Duration::ZERO).unwrap();
        let number = |text: &String| {
            let report: Report = serde_json::from_str(text).unwrap();
            report.number_for(giver).expect("a file of its own")
        };
        answers.iter().map(number).collect()
    };
    wait_until("both are filed", || site.filed() == 2);
    let told = worker.end();
    assert_eq!((count(&told, "stored"), count(&told, "duplicates")), (2, 0));
    assert_eq!(answers("after"), [0].into());
    assert_eq!(answers("before"), [7, 8].into());
    // Nothing of it stays there.
    let left: Vec<String> = redis::cmd("KEYS")
        .arg("tl:*:up:*")
        .query(&mut server.connection())
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
    // One that was changed since is another file.
    std::fs::File::options()
        .append(true)
        .open(&first)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_ne!(board.give(&job(&first, "after", 1)).unwrap(), entry);
}
