//! Entries on a Redis server, which several hosts share.
//!
//! Invariant: a caller waits as long as it was told at most, whatever the server or the
//! network does ([`lanes`]); while the server is gone it does not wait at all
//! ([`Breaker`]).
//!
//! Never `KEYS`: patterns walk with SCAN and delete with UNLINK, and are matched
//! here ([`super::glob`]), so that they mean the same as on the other backends.

pub mod board;
pub mod hearing;
mod lanes;
pub mod locks;
pub mod tracking;

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, TlsCertificates, cmd, pipe};

use self::lanes::Lanes;
use super::{
    Backend, Failure, Usage, Value,
    breaker::Breaker,
    glob::{literal_prefix, matches_glob},
    settings::RedisAddress,
};

/// Keys that one step of a walk looks at.
const SCANNED_AT_ONCE: usize = 1_000;
/// A walk is as long as the server is full; each of its steps waits like this.
const WALK_PATIENCE: Duration = Duration::from_secs(2);

/// Deletes a key that has a certain value, in one step.
const DELETE_IF: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Adds to a number that is at least another one; one that begins, or replaces what is
/// none, gets its time.
const ADD: &str = "\
local held = redis.pcall('GET', KEYS[1])
local number = type(held) == 'string' and #held < 19
  and (held == '0' or string.match(held, '^-?[1-9]%d*$')) and tonumber(held)
if not number then
  redis.call('SET', KEYS[1], ARGV[3])
  if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
elseif number < tonumber(ARGV[3]) then
  redis.call('INCRBY', KEYS[1], string.format('%.0f', tonumber(ARGV[3]) - number))
end
return redis.call('INCRBY', KEYS[1], ARGV[1])";

/// What a server tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerUsage {
    /// Keys in its database, of whoever.
    pub keys: u64,
    pub used_bytes: u64,
    /// 0: unlimited.
    pub limit_bytes: u64,
    pub evicted: u64,
}

/// A server and the connections to it.
pub struct Redis {
    lanes: Lanes,
    breaker: Arc<Breaker>,
    patience: Duration,
}

impl Redis {
    /// Begins to connect, and returns at once: until the server answers it counts as
    /// gone.
    ///
    /// # Errors
    /// When the address is none, or the system has no threads to give.
    pub fn connect(address: &RedisAddress, patience: Duration) -> Result<Self, Failure> {
        let client = client(address)?;
        let breaker = Arc::new(Breaker::new("Redis"));
        let lanes = Lanes::start(client, Arc::clone(&breaker), patience).map_err(|error| {
            Failure::Unavailable(format!("cannot start the threads of Redis: {error}"))
        })?;
        Ok(Self {
            lanes,
            breaker,
            patience,
        })
    }

    /// Waits until the server has answered or refused for the first time, for a
    /// limited time; says whether it can be used.
    pub fn wait_until_known(&self, limit: Duration) -> bool {
        self.lanes.wait_until_known(limit);
        self.breaker.is_closed()
    }

    /// The state of the server.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What the server tells of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn server_usage(&self) -> Result<ServerUsage, Failure> {
        let mut questions = pipe();
        questions.cmd("DBSIZE").cmd("INFO").arg("memory");
        questions.cmd("INFO").arg("stats");
        let (keys, memory, stats): (u64, String, String) = self.pipe(questions)?;
        Ok(ServerUsage {
            keys,
            used_bytes: figure(&memory, "used_memory"),
            limit_bytes: figure(&memory, "maxmemory"),
            evicted: figure(&stats, "evicted_keys"),
        })
    }

    /// Tells all who hear a channel.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn publish(&self, channel: &str, message: &str) -> Result<(), Failure> {
        let mut publish = cmd("PUBLISH");
        publish.arg(channel).arg(message);
        self.ask::<u64>(publish).map(|_| ())
    }

    /// Asks one thing, and waits as long as a caller may.
    pub(in crate::engine) fn ask<T>(&self, question: Cmd) -> Result<T, Failure>
    where
        T: FromRedisValue + Send + 'static,
    {
        self.lanes
            .run(self.patience, move |connection| question.query(connection))
    }

    pub(in crate::engine) fn pipe<T>(&self, questions: Pipeline) -> Result<T, Failure>
    where
        T: FromRedisValue + Send + 'static,
    {
        self.lanes
            .run(self.patience, move |connection| questions.query(connection))
    }
}

/// A client for an address, with the cryptography that is compiled in.
pub(in crate::engine) fn client(address: &RedisAddress) -> Result<redis::Client, Failure> {
    // Fails when it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = match address.authority().filter(|_| address.is_encrypted()) {
        None => redis::Client::open(address.secret()),
        Some(file) => {
            let certificates = std::fs::read(file).map_err(|error| {
                let file = file.display();
                Failure::Refused(format!("cannot read the certificates {file}: {error}"))
            })?;
            let trusted = TlsCertificates {
                client_tls: None,
                root_cert: Some(certificates),
            };
            redis::Client::build_with_tls(address.secret(), trusted)
        }
    };
    made.map_err(|error| {
        let reason = error.detail().unwrap_or("it cannot be read");
        Failure::Refused(format!("the Redis address is wrong: {reason}"))
    })
}

/// The number after `name:` in what INFO says.
fn figure(info: &str, name: &str) -> u64 {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| *key == name);
    found.map_or(0, |(_, value)| value.trim().parse().unwrap_or(0))
}

fn set(key: &str, value: &Value, ttl: Option<Duration>) -> Cmd {
    let mut set = cmd("SET");
    set.arg(key).arg(&value[..]);
    if let Some(ttl) = ttl {
        set.arg("PX").arg(milliseconds(ttl));
    }
    set
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn get(&self, key: &str) -> Result<Option<Value>, Failure> {
        let mut get = cmd("GET");
        get.arg(key);
        let found: Result<Option<Vec<u8>>, Failure> = self.ask(get);
        if matches!(&found, Err(Failure::Refused(reason)) if reason.contains("WRONGTYPE")) {
            self.delete_many(&[key.to_owned()])?;
        }
        Ok(found?.map(Value::from))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Value>>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("MGET");
        get.arg(keys);
        let found: Vec<Option<Vec<u8>>> = self.ask(get)?;
        Ok(found
            .into_iter()
            .map(|value| value.map(Value::from))
            .collect())
    }

    fn set_many(&self, entries: &[(String, Value)], ttl: Option<Duration>) -> Result<(), Failure> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut sets = pipe();
        for (key, value) in entries {
            sets.add_command(set(key, value, ttl)).ignore();
        }
        self.pipe(sets)
    }

    fn set_if_absent(
        &self,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<bool, Failure> {
        let mut set = set(key, value, ttl);
        set.arg("NX");
        let done: Option<String> = self.ask(set)?;
        Ok(done.is_some())
    }

    fn delete_if(&self, key: &str, value: &[u8]) -> Result<bool, Failure> {
        let mut script = cmd("EVAL");
        script.arg(DELETE_IF).arg(1).arg(key).arg(value);
        self.ask(script)
    }

    fn delete_many(&self, keys: &[String]) -> Result<u64, Failure> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut unlink = cmd("UNLINK");
        unlink.arg(keys);
        self.ask(unlink)
    }

    fn add(&self, key: &str, from: i64, by: i64, ttl: Option<Duration>) -> Result<i64, Failure> {
        let mut script = cmd("EVAL");
        script.arg(ADD).arg(1).arg(key).arg(by);
        script.arg(ttl.map_or(0, milliseconds)).arg(from);
        self.ask(script)
    }

    fn list(&self, pattern: &str, on: &mut dyn FnMut(String, u64)) -> Result<(), Failure> {
        // What the server matches is the part that reads the same everywhere.
        let mut begins = String::new();
        for character in literal_prefix(pattern).chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                begins.push('\\');
            }
            begins.push(character);
        }
        begins.push('*');
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&begins);
            scan.arg("COUNT").arg(SCANNED_AT_ONCE);
            let (next, keys): (u64, Vec<Vec<u8>>) = self
                .lanes
                .run(WALK_PATIENCE.max(self.patience), move |connection| {
                    scan.query(connection)
                })?;
            for key in keys {
                // Ours are text.
                if let Ok(key) = String::from_utf8(key)
                    && matches_glob(pattern, &key)
                {
                    on(key, 0);
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn usage(&self) -> Result<Usage, Failure> {
        let server = self.server_usage()?;
        Ok(Usage {
            entries: server.keys,
            bytes: server.used_bytes,
            limit_bytes: server.limit_bytes,
            evicted: server.evicted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_their_whole_name() {
        let info = "# Memory\r\nused_memory:1234\r\nused_memory_human:1K\r\nmaxmemory:0\r\n";
        assert_eq!(figure(info, "used_memory"), 1234);
        assert_eq!(figure(info, "maxmemory"), 0);
        assert_eq!(figure(info, "absent"), 0);
    }

    #[test]
    fn a_wrong_address_is_told_without_it() {
        let address = RedisAddress::parse("redis://:secret@host:notaport/").unwrap();
        let Err(Failure::Refused(reason)) = client(&address).map(|_| ()) else {
            panic!("accepted");
        };
        assert!(!reason.contains("secret"), "{reason}");
    }
}
