//! Entries in this process: bounded by bytes, the least recently used make room.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{
    Entry, Expiry,
    notification::RemovalCause,
    ops::compute::{CompResult, Op},
    policy::EvictionPolicy,
    sync::Cache,
};

use super::{Backend, Failure, Usage, Value, glob::matches_glob};

/// What an entry takes besides key and value, about.
const OVERHEAD_BYTES: usize = 128;
/// Keys of one shard change together, which costs a look behind memory now and then.
const SHARDS: usize = 256;

#[derive(Clone)]
struct Held {
    value: Value,
    /// `None`: it makes room one day.
    ends: Option<Instant>,
}

impl Held {
    fn new(value: &Value, ttl: Option<Duration>) -> Self {
        Self {
            value: Arc::clone(value),
            ends: ttl.and_then(|ttl| Instant::now().checked_add(ttl)),
        }
    }

    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }
}

/// Each entry lives as long as it was told.
struct OwnTime;

impl Expiry<String, Held> for OwnTime {
    fn expire_after_create(&self, _: &String, held: &Held, now: Instant) -> Option<Duration> {
        held.ends.map(|ends| ends.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        key: &String,
        held: &Held,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, held, now)
    }
}

/// The memory of one process.
pub struct Memory {
    entries: Cache<String, Held>,
    limit_bytes: u64,
    evicted: Arc<AtomicU64>,
    /// How often keys changed elsewhere, by their shard.
    changes: [AtomicU64; SHARDS],
}

/// The state of a key elsewhere, before it was read there.
#[derive(Clone, Copy, Debug)]
pub struct Seen(u64);

impl Memory {
    pub fn new(limit_bytes: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&evicted);
        let entries = Cache::builder()
            .max_capacity(limit_bytes)
            .weigher(|key: &String, held: &Held| {
                u32::try_from(key.len() + held.value.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            })
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(OwnTime)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self {
            entries,
            limit_bytes,
            evicted,
            changes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Forgets everything at once, also what is being read elsewhere at this moment.
    pub fn forget(&self) {
        self.note_all_changed();
        self.entries.invalidate_all();
    }

    /// To be asked before a key is read elsewhere, for [`Self::keep`].
    pub fn seen(&self, key: &str) -> Seen {
        Seen(self.shard(key).load(Ordering::SeqCst))
    }

    /// Keeps what was read elsewhere, unless it changed there meanwhile: then nobody
    /// would say so again.
    pub fn keep(&self, key: &str, value: &Value, ttl: Option<Duration>, seen: Seen) {
        let has_changed = || self.shard(key).load(Ordering::SeqCst) != seen.0;
        if has_changed() {
            return;
        }
        self.entries.insert(key.to_owned(), Held::new(value, ttl));
        // Whoever heard of the change in between may have looked too early.
        if has_changed() {
            // Memory cannot fail.
            let _ = self.delete_if(key, value);
        }
    }

    /// Notes that a key changed elsewhere, and returns what is held of it here.
    pub fn changed(&self, key: &str) -> Option<Value> {
        self.shard(key).fetch_add(1, Ordering::SeqCst);
        self.entries.get(key).map(|held| held.value)
    }

    /// Notes that nobody knows which keys changed elsewhere.
    pub fn note_all_changed(&self) {
        for shard in &self.changes {
            shard.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn shard(&self, key: &str) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let shard = usize::try_from(hasher.finish() % SHARDS as u64);
        &self.changes[shard.unwrap_or(0)]
    }
}

impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn get(&self, key: &str) -> Result<Option<Value>, Failure> {
        let held = self.entries.get(key).filter(|held| !held.is_over());
        Ok(held.map(|held| held.value))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Value>>, Failure> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn set_many(&self, entries: &[(String, Value)], ttl: Option<Duration>) -> Result<(), Failure> {
        for (key, value) in entries {
            self.entries.insert(key.clone(), Held::new(value, ttl));
        }
        Ok(())
    }

    fn set_if_absent(
        &self,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<bool, Failure> {
        let entry = self.entries.entry_by_ref(key);
        // Its `or_insert` lets two that come at once both believe that they did.
        let outcome = entry.and_compute_with(|held| match held {
            Some(held) if !held.value().is_over() => Op::Nop,
            _ => Op::Put(Held::new(value, ttl)),
        });
        let is_set = |outcome| {
            matches!(
                outcome,
                CompResult::Inserted(_) | CompResult::ReplacedWith(_)
            )
        };
        Ok(is_set(outcome))
    }

    fn delete_if(&self, key: &str, value: &[u8]) -> Result<bool, Failure> {
        let entry = self.entries.entry_by_ref(key);
        let outcome = entry.and_compute_with(|held| match held {
            Some(held) if *held.value().value == *value && !held.value().is_over() => Op::Remove,
            _ => Op::Nop,
        });
        Ok(matches!(outcome, CompResult::Removed(_)))
    }

    fn delete_many(&self, keys: &[String]) -> Result<u64, Failure> {
        let mut removed = 0;
        for key in keys {
            // What is over counts as gone already, before it is thrown out.
            let held = self.entries.remove(key);
            removed += u64::from(held.is_some_and(|held| !held.is_over()));
        }
        Ok(removed)
    }

    fn add(&self, key: &str, from: i64, by: i64, ttl: Option<Duration>) -> Result<i64, Failure> {
        let mut sum = from.saturating_add(by);
        self.entries.entry_by_ref(key).and_compute_with(|held| {
            let before = held.map(Entry::into_value).filter(|held| !held.is_over());
            let number = before.as_ref().and_then(|held| number(&held.value));
            sum = number
                .map_or(from, |number| number.max(from))
                .saturating_add(by);
            let value: Value = sum.to_string().into_bytes().into();
            Op::Put(match (number, before) {
                // It ends when it would have.
                (Some(_), Some(held)) => Held { value, ..held },
                _ => Held::new(&value, ttl),
            })
        });
        Ok(sum)
    }

    fn list(&self, pattern: &str, on: &mut dyn FnMut(String, u64)) -> Result<(), Failure> {
        for (key, held) in &self.entries {
            if matches_glob(pattern, &key) && !held.is_over() {
                on(String::clone(&key), held.value.len() as u64);
            }
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, Failure> {
        self.entries.run_pending_tasks();
        Ok(Usage {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            limit_bytes: self.limit_bytes,
            evicted: self.evicted.load(Ordering::Relaxed),
        })
    }
}

/// The number that a value is.
pub fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_elsewhere_while_it_was_read_is_not_kept() {
        let memory = Memory::new(1_000_000);
        let value: Value = b"1"[..].into();
        let keep = |change: &dyn Fn()| {
            let seen = memory.seen("key");
            change();
            memory.keep("key", &value, None, seen);
            memory.get("key").unwrap().is_some()
        };
        assert!(!keep(&|| assert!(memory.changed("key").is_none())));
        assert!(!keep(&|| memory.note_all_changed()));
        assert!(!keep(&|| memory.forget()));
        assert!(keep(&|| {}), "and nothing of that stays behind");
        // What is held is told to who hears of the change, and is theirs to judge.
        assert_eq!(memory.changed("key").as_deref(), Some(&b"1"[..]));
        assert!(memory.get("key").unwrap().is_some());
    }
}
