//! What memory holds of a real Redis server in which others delete, write, flush and
//! run out of room, without a word of this program about it.

use std::{path::Path, sync::Arc, time::Duration};

use redis::{Connection, cmd};
use tagloupe::engine::{
    cache::{
        entry::Version,
        key::{Family, Key},
        layer::Cache,
        settings::{CacheSettings, Choice, RedisAddress},
    },
    job::system_clock,
};
use tempfile::TempDir;

use super::{
    redis_server::{RedisServer, wait_until},
    support::Home,
};

const V: Version = Version(1);

fn key_of(name: &str) -> Key {
    Key::new(Family::Source, &[name])
}

/// The key as the server knows it.
fn full(name: &str) -> String {
    format!("tl:library:g0:source:{name}")
}

/// A cache, and the folder that it would fall back to.
struct Host {
    cache: Arc<Cache>,
    _folder: TempDir,
}

impl Host {
    fn at(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            cache: open(RedisAddress::parse(url).unwrap(), folder.path()),
            _folder: folder,
        }
    }

    fn set(&self, name: &str, value: &str) {
        self.cache.set(&key_of(name), V, Some(value.as_bytes()));
    }

    fn found(&self, name: &str) -> Option<String> {
        let bytes = self.cache.get(&key_of(name), V).found()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Waits until it has a value and does not ask the server for it.
    fn wait_until_held(&self, connection: &mut Connection, name: &str, value: &str) {
        wait_until("it is in memory", || {
            let before = reads(connection);
            self.found(name).as_deref() == Some(value) && reads(connection) == before
        });
    }

    /// Waits until it has heard of all that changed at the server before this.
    fn wait_until_heard(&self, connection: &mut Connection) {
        wait_until("the server has it", || {
            self.set("mark", "1");
            let mut exists = cmd("EXISTS");
            exists.arg(full("mark")).query::<bool>(connection).unwrap()
        });
        delete(connection, "mark");
        wait_until("it heard so far", || self.found("mark").is_none());
    }
}

fn open(address: RedisAddress, folder: &Path) -> Arc<Cache> {
    let settings = CacheSettings {
        choice: Choice::Auto,
        redis: Some(address),
        // Not what these are about, and this machine may be busy.
        redis_patience: Duration::from_secs(20),
        ..CacheSettings::default()
    };
    let cache = Cache::open("library", &[folder], &settings, system_clock);
    cache.settle();
    assert_eq!(cache.backend_name(), "redis");
    cache
}

fn delete(connection: &mut Connection, name: &str) {
    cmd("DEL").arg(full(name)).exec(connection).unwrap();
}

/// How often anybody read an entry at the server.
fn reads(connection: &mut Connection) -> u64 {
    let told: String = cmd("INFO").arg("commandstats").query(connection).unwrap();
    let calls = |line: &str| {
        let (_, calls) = line.split_once(":calls=")?;
        calls.split(',').next()?.parse::<u64>().ok()
    };
    told.lines()
        .filter(|line| line.starts_with("cmdstat_get:") || line.starts_with("cmdstat_mget:"))
        .filter_map(calls)
        .sum()
}

/// The numbers of the connections that others are told for.
fn trackers(connection: &mut Connection) -> Vec<String> {
    let clients: String = cmd("CLIENT").arg("LIST").query(connection).unwrap();
    clients
        .lines()
        .filter(|line| line.contains(" redir=") && !line.contains(" redir=-1"))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

fn wait_until_told(connection: &mut Connection, hosts: usize) {
    wait_until("the server tells them", || {
        trackers(connection).len() == hosts
    });
}

#[test]
fn memory_loses_what_the_server_loses_without_a_word_of_ours() {
    let server = RedisServer::start();
    let (one, other) = (
        Host::at(&server.url()),
        // In this protocol the server would tell of it in another way.
        Host::at(&format!("{}?protocol=resp3", server.url())),
    );
    let connection = &mut server.connection();
    wait_until_told(connection, 2);
    let hold = |connection: &mut Connection| {
        one.set("a", "1");
        for host in [&one, &other] {
            host.wait_until_held(connection, "a", "1");
        }
    };
    let lost = |what: &str| {
        for host in [&one, &other] {
            wait_until(what, || host.found("a").is_none());
        }
    };

    hold(connection);
    delete(connection, "a");
    lost("deleted by hand");

    hold(connection);
    cmd("PEXPIRE")
        .arg(full("a"))
        .arg(1)
        .exec(connection)
        .unwrap();
    lost("its time is over");

    hold(connection);
    let policy = ["SET", "maxmemory-policy", "allkeys-random"];
    cmd("CONFIG").arg(&policy).exec(connection).unwrap();
    cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(connection)
        .unwrap();
    // Refused as well; what is asked for room are the keys.
    let _full = cmd("SET").arg("x").arg("1").exec(connection);
    lost("it made room");
    cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .exec(connection)
        .unwrap();

    hold(connection);
    other.set("b", "1");
    cmd("FLUSHDB").exec(connection).unwrap();
    lost("emptied");
    wait_until("all of it", || other.found("b").is_none());

    hold(connection);
    one.set("a", "2");
    wait_until("written by another host", || {
        other.found("a").as_deref() == Some("2")
    });
    assert_eq!(one.found("a").as_deref(), Some("2"));
}

#[test]
fn what_a_process_writes_itself_stays_in_its_memory() {
    const ENTRIES: usize = 300;
    let server = RedisServer::start();
    let (one, other) = (Host::at(&server.url()), Host::at(&server.url()));
    let connection = &mut server.connection();
    wait_until_told(connection, 2);
    let names: Vec<String> = (0..ENTRIES).map(|n| n.to_string()).collect();
    let (singly, together) = names.split_at(ENTRIES / 2);
    for name in singly {
        one.set(name, name);
    }
    let keys: Vec<Key> = together.iter().map(|name| key_of(name)).collect();
    let entries: Vec<_> = keys
        .iter()
        .zip(together)
        .map(|(key, name)| (key, V, Some(name.as_bytes())))
        .collect();
    one.cache.set_many(&entries);
    one.wait_until_heard(connection);
    let before = reads(connection);
    for name in &names {
        assert_eq!(one.found(name).as_ref(), Some(name));
    }
    assert_eq!(reads(connection), before, "the server was asked");
    // One of them changes, and only that one is gone.
    other.set("7", "other");
    wait_until("it is seen", || one.found("7").as_deref() == Some("other"));
    one.wait_until_heard(connection);
    let before = reads(connection);
    for name in &names {
        assert!(one.found(name).is_some());
    }
    assert_eq!(reads(connection), before, "the server was asked");
}

#[test]
fn a_connection_that_is_killed_costs_what_memory_holds_and_comes_back() {
    let server = RedisServer::start();
    let host = Host::at(&server.url());
    let connection = &mut server.connection();
    wait_until_told(connection, 1);
    // The one that hears, then the one that has it told.
    for kind in ["pubsub", "normal"] {
        host.set("a", "1");
        host.wait_until_held(connection, "a", "1");
        let before = trackers(connection);
        let kill = ["KILL", "TYPE", kind];
        cmd("CLIENT").arg(&kill).exec(connection).unwrap();
        // Of this nobody is told.
        delete(connection, "a");
        wait_until("memory is not trusted", || host.found("a").is_none());
        wait_until("it is told again", || {
            let now = trackers(connection);
            now.len() == 1 && now != before
        });
        host.wait_until_heard(connection);
    }
}

#[test]
fn where_the_server_does_not_tell_messages_of_ours_do() {
    let server = RedisServer::start_on_port(&[]);
    let connection = &mut server.connection();
    // Neither may use CLIENT; one may not even hear.
    for (name, channels) in [("hearing", "&*"), ("deaf", "resetchannels")] {
        let rules = ["on", ">pw", "~*", channels, "+@all", "-client"];
        cmd("ACL")
            .arg("SETUSER")
            .arg(name)
            .arg(&rules)
            .exec(connection)
            .unwrap();
    }
    let url = |name: &str| {
        let credentials = format!("redis://{name}:pw@");
        server.url().replace("redis://", &credentials)
    };
    let (one, other) = (Host::at(&url("hearing")), Host::at(&url("hearing")));
    let heard = || {
        let mut count = cmd("PUBSUB");
        count.arg("NUMSUB").arg("tl:library:changes");
        let (_, hearing): (String, usize) = count.query(&mut server.connection()).unwrap();
        hearing
    };
    wait_until("both hear", || heard() == 2);
    for name in ["a", "b"] {
        one.set(name, "1");
        other.wait_until_held(connection, name, "1");
    }
    delete(connection, "a");
    one.cache.forget(&key_of("b"));
    wait_until("it is told", || other.found("b").is_none());
    assert!(trackers(connection).is_empty());
    assert!(
        other.found("a").is_some(),
        "nobody told, until its time is over"
    );

    let deaf = Host::at(&url("deaf"));
    deaf.set("c", "1");
    deaf.wait_until_held(connection, "c", "1");
    assert_eq!(other.found("c").as_deref(), Some("1"));
    assert_eq!(heard(), 2);

    let home = Home::new();
    let doctor = |url: &str| {
        let mut doctor = home.command(&["doctor"]);
        let told = doctor.env("REDIS_URL", url).output().unwrap().stdout;
        String::from_utf8(told).unwrap()
    };
    let told = doctor(&url("hearing"));
    assert!(told.contains("it does not tell what changes: "), "{told}");
    let told = doctor(&server.url());
    assert!(told.contains("; it tells what changes"), "{told}");
}
