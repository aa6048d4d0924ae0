//! A Redis server of a test's own: a child with a folder and a socket of its own,
//! that keeps nothing, and can be stopped, frozen and started again.

use std::{
    net::TcpListener,
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
    place: Place,
    options: Vec<String>,
    child: Option<Child>,
}

enum Place {
    Socket,
    Port(u16),
}

impl RedisServer {
    /// One behind a socket file.
    pub fn start() -> Self {
        Self::with(Place::Socket, &[])
    }

    /// One on a port of the loopback network, all of whose addresses it hears.
    pub fn start_on_port(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        Self::with(Place::Port(port), options)
    }

    fn with(place: Place, options: &[&str]) -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().unwrap(),
            place,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            child: None,
        };
        server.go_on();
        server
    }

    /// Starts it, again after [`Self::stop`]; as empty as before.
    pub fn go_on(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.folder.path());
        match self.place {
            Place::Socket => command
                .args(["--port", "0", "--unixsocket"])
                .arg(self.socket()),
            Place::Port(port) => command
                .args(["--bind", "0.0.0.0", "--protected-mode", "no", "--port"])
                .arg(port.to_string()),
        };
        let child = command
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "no redis-server: install the Debian package redis-server \
                 (apt-get install redis-server), as tests/run does",
            );
        self.child = Some(child);
        let until = Instant::now() + PATIENCE;
        while self.try_connect().is_err() {
            assert!(Instant::now() < until, "redis-server does not answer");
            std::thread::yield_now();
        }
    }

    /// Kills it at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it take connections and answer nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let id = Pid::from_raw(id.try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        self.url_by("127.0.0.1")
    }

    /// The URL by one of the addresses of the loopback network.
    pub fn url_by(&self, host: &str) -> String {
        match self.place {
            Place::Socket => format!("redis+unix://{}", self.socket().display()),
            Place::Port(port) => format!("redis://{host}:{port}/0"),
        }
    }

    pub fn address(&self) -> RedisAddress {
        RedisAddress::parse(&self.url()).unwrap()
    }

    /// A connection of the test's own, to look and to meddle.
    pub fn connection(&self) -> Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    fn try_connect(&self) -> redis::RedisResult<()> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        match redis::cmd("PING").query::<String>(&mut connection) {
            // It answers, which is all that is asked for here.
            Err(error) if error.code() == Some("NOAUTH") => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something holds, as long as a slow machine may take.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::yield_now();
    }
}
