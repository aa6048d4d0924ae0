//! Hosts that share a library: each with a home, an index and a cache of its own, the
//! files in common, and one Redis server that they reach by different addresses.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use tagloupe::engine::job::spawn;

use super::{
    redis_server::{RedisServer, wait_until},
    support::{Home, files_below, originals, picture},
};

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
pub struct Host {
    pub home: Home,
    pub url: String,
}

/// The storage that all have in common, and its hosts.
pub struct Site {
    pub storage: Home,
    pub hosts: Vec<Host>,
}

impl Site {
    /// Hosts that reach the server by different addresses of the loopback network.
    pub fn new(server: &RedisServer, hosts: usize) -> Self {
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
    pub fn drop_pictures(&self, name: &str, seeds: std::ops::Range<u32>) -> PathBuf {
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

    pub fn filed(&self) -> usize {
        originals(&self.storage.library()).len()
    }
}

impl Host {
    pub fn command(&self, arguments: &[&str]) -> Command {
        let library = self.home.library();
        let mut all = vec!["--library", library.to_str().unwrap()];
        all.extend(arguments);
        let mut command = self.home.command(&all);
        command.env("REDIS_URL", &self.url);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that must succeed.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let notes = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {notes}\n{text}");
        text
    }

    /// What this host finds; nothing is no failure.
    pub fn find(&self, query: &str) -> BTreeSet<String> {
        let output = self.run(&["search", "--ids", query]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub fn worker(&self) -> Worker {
        Worker::start(self.command(&["worker", "--threads", "1", "--json"]))
    }
}

/// A worker whose lines are read as they come.
pub struct Worker {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Worker {
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
        let mut worker = Self {
            child,
            lines,
            readers,
        };
        wait_until("it helps", || {
            assert!(
                worker.says("helping with") || worker.is_running(),
                "{:?}",
                worker.lines
            );
            worker.says("helping with")
        });
        worker
    }

    pub fn says(&self, part: &str) -> bool {
        let lines = self.lines.lock().unwrap();
        lines.iter().any(|line| line.contains(part))
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.all()
    }

    /// Ends it as a service manager would; what it says at its end.
    pub fn end(mut self) -> Value {
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

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of a report.
pub fn count(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

/// Files in a drop that nobody has taken away.
pub fn left_in(folder: &Path) -> usize {
    files_below(folder).len()
}

/// How many files workers have in hand, of whichever library the server knows.
pub fn pending(connection: &mut Connection) -> u64 {
    let streams: Vec<String> = redis::cmd("KEYS")
        .arg("tl:*:ingest")
        .query(connection)
        .unwrap();
    let Some(stream) = streams.first() else {
        return 0;
    };
    let summary: redis::RedisResult<Vec<redis::Value>> = redis::cmd("XPENDING")
        .arg(stream)
        .arg("ingest")
        .query(connection);
    match summary.as_deref() {
        Ok([redis::Value::Int(pending), ..]) => u64::try_from(*pending).unwrap(),
        _ => 0,
    }
}

/// The worker that has the first file in hand, and how often that was handed out.
pub fn in_hand(connection: &mut Connection, library: &str) -> (String, u64) {
    let held: redis::RedisResult<Vec<(String, String, u64, u64)>> = redis::cmd("XPENDING")
        .arg(format!("tl:{library}:ingest"))
        .arg(&["ingest", "-", "+", "1"])
        .query(connection);
    let first = held.ok().and_then(|held| held.into_iter().next());
    first.map_or_else(Default::default, |(_, name, _, times)| (name, times))
}
