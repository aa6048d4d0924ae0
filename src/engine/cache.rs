//! The cache: what costs time to make and may be gone at any moment. This is the
//! trait of the places where entries lie; [`layer`] is what the program uses.
//!
//! Blocking, since all who ask are worker threads: the screen never does. Redis is
//! asked through the blocking client on threads of its own, because a socket's
//! time-out counts from the last byte and looking up a name has none at all, so only
//! waiting for another thread bounds what a caller waits.
//!
//! Invariant: a cache never fails its caller. A backend tells of a [`Failure`], the
//! layer counts it and goes on as if nothing had been there.
//!
//! Invariant: an entry carries the version of what it was computed from
//! ([`entry`]), so a message about a change that is lost delays and never misleads.

pub mod breaker;
pub mod disk;
pub mod entry;
pub mod glob;
pub mod key;
pub mod layer;
pub mod memory;
pub mod policy;
#[cfg(feature = "redis")]
pub mod redis;
pub mod settings;
pub mod single_flight;
pub mod stats;

use std::{sync::Arc, time::Duration};

use self::glob::Globs;

/// The bytes of an entry.
pub type Value = Arc<[u8]>;

/// Why a backend could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not there now; whoever asks goes on without.
    #[error("{0}")]
    Unavailable(String),
    /// It answered, and that was an error.
    #[error("{0}")]
    Refused(String),
}

/// What a backend holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub entries: u64,
    pub bytes: u64,
    /// 0: unlimited.
    pub limit_bytes: u64,
    /// Entries that made room for others since this process started, or since the
    /// server did.
    pub evicted: u64,
}

/// A place for entries: full keys, bytes, and how long they are good for (`None`:
/// until they make room). Any number of threads may ask at once.
///
/// What these promise is written down once, as the cases that
/// `tests/integration/cache_contract.rs` runs on every backend.
pub trait Backend: Send + Sync {
    /// The word of the configuration.
    fn name(&self) -> &'static str;

    fn get(&self, key: &str) -> Result<Option<Value>, Failure>;

    /// As many answers as keys, in their order, in one round trip.
    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Value>>, Failure>;

    fn set(&self, key: &str, value: &Value, ttl: Option<Duration>) -> Result<(), Failure> {
        self.set_many(&[(key.to_owned(), Arc::clone(value))], ttl)
    }

    fn set_many(&self, entries: &[(String, Value)], ttl: Option<Duration>) -> Result<(), Failure>;

    /// Sets what is not there yet, and says whether it did; of many who try at once
    /// one does.
    fn set_if_absent(
        &self,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<bool, Failure>;

    /// Deletes what has exactly this value, and says whether it did.
    fn delete_if(&self, key: &str, value: &[u8]) -> Result<bool, Failure>;

    /// Returns how many were there.
    fn delete_many(&self, keys: &[String]) -> Result<u64, Failure>;

    /// Adds to a number and returns the sum. One that is not there, or less than `from`,
    /// is `from` before. Its time to live begins when it does. What is no number is
    /// replaced by one.
    fn add(&self, key: &str, from: i64, by: i64, ttl: Option<Duration>) -> Result<i64, Failure>;

    /// The keys that match ([`glob`]), with their bytes where those are known
    /// without reading them.
    fn list(&self, pattern: &str, on: &mut dyn FnMut(String, u64)) -> Result<(), Failure>;

    /// Deletes what matches and returns how many that were. Others go on meanwhile.
    fn clear(&self, pattern: &str) -> Result<u64, Failure> {
        self.clear_each(&[pattern.to_owned()])
    }

    /// As [`Self::clear`] for patterns that begin differently ([`Globs`]), in one walk.
    fn clear_each(&self, patterns: &[String]) -> Result<u64, Failure> {
        let globs = Globs::new(patterns);
        let Some(common) = globs.common() else {
            return Ok(0);
        };
        let mut keys = Vec::new();
        self.list(&common, &mut |key, _| {
            if globs.matches(&key) {
                keys.push(key);
            }
        })?;
        let mut cleared = 0;
        for keys in keys.chunks(CLEARED_AT_ONCE) {
            cleared += self.delete_many(keys)?;
        }
        Ok(cleared)
    }

    fn usage(&self) -> Result<Usage, Failure>;
}

/// Keys deleted in one step of a clearing, so that nobody waits long for it.
const CLEARED_AT_ONCE: usize = 500;
