//! Locks that hosts take at a Redis server: one holder at a time, and one that comes
//! too late writes nothing.

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tagloupe::{
    engine::{
        Engine, EngineSettings, Error, Library,
        cache::{
            redis::{Redis, locks::Locks},
            settings::PATIENCE,
        },
        event::{self, IngestOutcome},
        job::Cancel,
        save::SaveStep,
    },
    model::{edit::Edit, id::Md5, tag::Tag},
    storage::{RemoteGuard, RemoteLocks, Taken},
};

use super::{
    hosts::Site,
    redis_server::{RedisServer, wait_until},
    support::{files_below, write_picture},
};

const LONG: Duration = Duration::from_secs(20);

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
fn nonsense_in_place_of_a_lock_holds_nobody_up() {
    let server = RedisServer::start_on_port(&[]);
    let site = Site::new(&server, 2);
    let (one, other) = (alone(&server, &site, 0), alone(&server, &site, 1));
    let md5 = Md5([7; 16]);
    // As somebody leaves it who writes over everything.
    for name in ["fence", "fences", "lock:07"] {
        redis::cmd("SET")
            .arg(format!("tl:{}:{name}", one.id()))
            .arg("cat")
            .exec(&mut server.connection())
            .unwrap();
    }
    let held = one.lock_md5(&md5, Duration::ZERO).unwrap();
    let is_held_for_all = || {
        matches!(
            other.lock_md5(&md5, Duration::ZERO),
            Err(Error::Locked { .. })
        )
    };
    assert!(is_held_for_all());
    wait_until("it is renewed", || {
        let mut connection = server.connection();
        let left: i64 = redis::cmd("PTTL")
            .arg(format!("tl:{}:lock:07", one.id()))
            .query(&mut connection)
            .unwrap();
        redis::cmd("INFO")
            .arg("commandstats")
            .query::<String>(&mut connection)
            .is_ok_and(|told| told.contains("cmdstat_hget:"))
            && left > 0
    });
    assert!(held.still_held() && is_held_for_all());
    drop(held);
    assert!(other.lock_md5(&md5, Duration::ZERO).is_ok());
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
