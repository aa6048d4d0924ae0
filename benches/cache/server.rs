//! A Redis server of the bench's own, that can be killed and frozen.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tagloupe::engine::cache::settings::RedisAddress;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct RedisServer {
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    pub fn start() -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().expect("a folder"),
            child: None,
        };
        server.go_on();
        server
    }

    pub fn go_on(&mut self) {
        let child = Command::new("redis-server")
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .args(["--port", "0", "--dir"])
            .arg(self.folder.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("no redis-server: install the Debian package redis-server");
        self.child = Some(child);
        wait_until("redis-server answers", || {
            let client = redis::Client::open(self.url()).expect("a client");
            client.get_connection().is_ok()
        });
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let id = id.try_into().ok().and_then(Pid::from_raw).expect("an id");
        kill_process(id, signal).expect("it runs");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub fn address(&self) -> RedisAddress {
        RedisAddress::parse(&self.url()).expect("an address")
    }

    pub fn connection(&self) -> Connection {
        let client = redis::Client::open(self.url()).expect("a client");
        client.get_connection().expect("a connection")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::yield_now();
    }
}
