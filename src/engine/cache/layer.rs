//! The cache that the program uses: memory in front, disk or Redis behind it.
//!
//! Invariant: nothing here fails. Without an entry the caller computes; what a
//! backend could not do is counted, and while Redis is gone the disk stands in.

mod changes;
mod compute;
mod report;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "redis")]
use super::redis::{Redis, hearing::Hearing};
use super::{
    super::job::Clock,
    Backend, Failure, Value,
    disk::Disk,
    entry::{Bytes, Content, Version, is_whole, open, seal},
    key::{Family, Key, Keyspace},
    memory::{Memory, Seen},
    policy::{Place, Policies, Policy},
    settings::{CacheSettings, Choice},
    single_flight::Flights,
    stats::{Counters, Happening, Tally},
};
pub use changes::{Change, Cleared};

/// How long those who want to know the backend wait for Redis.
#[cfg(feature = "redis")]
const REDIS_START: Duration = Duration::from_secs(1);

/// What a cache knows about a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    Found(Bytes),
    /// Somebody looked, and there is none.
    Absent,
    /// Nobody knows.
    Miss,
}

impl Lookup {
    /// The bytes, if there are any.
    pub fn found(self) -> Option<Bytes> {
        match self {
            Self::Found(bytes) => Some(bytes),
            Self::Absent | Self::Miss => None,
        }
    }
}

/// What a computation gave: bytes, none, or why it failed.
pub type Computed = Result<Option<Bytes>, String>;

/// The cache of one library.
pub struct Cache {
    keys: Keyspace,
    policies: Policies,
    clock: Clock,
    memory: Option<Memory>,
    disk: Option<Disk>,
    #[cfg(feature = "redis")]
    redis: Option<Arc<Redis>>,
    #[cfg(feature = "redis")]
    hearing: Mutex<Option<Hearing>>,
    /// Why the backend is the one it is.
    reason: String,
    flights: Flights<Computed>,
    counters: Counters,
    /// What of that was told to the others.
    told: Mutex<Tally>,
    /// Tells its own messages from those of others.
    origin: String,
    listeners: Mutex<Vec<changes::Listener>>,
    /// Up to which removal of the disk this process has followed.
    followed: AtomicI64,
}

impl Cache {
    /// The cache of a library: on the disk in the first of the folders that can be
    /// written. Always gives one, if need be only in memory; the log says which and
    /// why. Does not wait for Redis, which comes in as soon as it answers.
    pub fn open(
        library: &str,
        folders: &[&Path],
        settings: &CacheSettings,
        clock: Clock,
    ) -> Arc<Self> {
        let mut reasons = Vec::new();
        let wants_disk = !matches!(settings.choice, Choice::Memory | Choice::Off);
        let disk = wants_disk
            .then(|| open_disk(folders, settings, clock, &mut reasons))
            .flatten();
        #[cfg(feature = "redis")]
        let redis = connect_redis(settings, &mut reasons);
        #[cfg(not(feature = "redis"))]
        if settings.redis.is_some() || settings.choice == Choice::Redis {
            reasons.push("this program was built without Redis".to_owned());
        }
        let memory = (settings.choice != Choice::Off).then(|| Memory::new(settings.memory_bytes));
        let cache = Self {
            keys: Keyspace::new(library),
            policies: settings.policies.clone(),
            clock,
            memory,
            disk,
            #[cfg(feature = "redis")]
            redis,
            #[cfg(feature = "redis")]
            hearing: Mutex::default(),
            reason: if reasons.is_empty() {
                format!("cache.backend = {}", settings.choice.name())
            } else {
                reasons.join("; ")
            },
            flights: Flights::default(),
            counters: Counters::default(),
            told: Mutex::default(),
            origin: uuid::Uuid::new_v4().simple().to_string(),
            listeners: Mutex::default(),
            followed: AtomicI64::new(0),
        };
        cache.enter_generation();
        if let Some(disk) = &cache.disk
            && let Ok((newest, _)) = disk.removals_since(i64::MAX)
        {
            cache.followed.store(newest, Ordering::Release);
        }
        let (backend, reason) = (cache.backend_name(), &cache.reason);
        tracing::info!("using the {backend} cache backend ({reason})");
        let cache = Arc::new(cache);
        #[cfg(feature = "redis")]
        cache.start_hearing(settings);
        cache
    }

    /// A cache on the disk alone, say for a test.
    pub fn on_disk(folder: &Path, clock: Clock) -> Arc<Self> {
        let settings = CacheSettings {
            choice: Choice::Disk,
            ..CacheSettings::default()
        };
        Self::open("library", &[folder], &settings, clock)
    }

    /// Waits until it is known whether Redis can be used, for a short time at most.
    pub fn settle(&self) {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            redis.wait_until_known(REDIS_START);
            self.enter_generation();
        }
    }

    /// Whether there is a cache at all.
    pub fn is_on(&self) -> bool {
        self.memory.is_some() || self.disk.is_some()
    }

    /// The bytes of an entry that was computed from that version.
    pub fn get(&self, key: &Key, version: Version) -> Lookup {
        let lookup = self.look(key, version);
        let what = match lookup {
            Lookup::Miss => Happening::Miss,
            Lookup::Found(_) | Lookup::Absent => Happening::Hit,
        };
        self.counters.note(key.family, what, 1);
        lookup
    }

    /// As [`Self::get`] for many, in one round trip behind memory.
    pub fn get_many(&self, wanted: &[(Key, Version)]) -> Vec<Lookup> {
        let now = (self.clock)();
        let mut lookups = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for (at, (key, version)) in wanted.iter().enumerate() {
            let full = self.keys.full(key.as_str());
            let held = self.in_memory(key.family, &full);
            let lookup = held.and_then(|held| open(&held, *version, now));
            if lookup.is_none() && self.policies.of(key.family).place != Place::Memory {
                let seen = self.seen(&full);
                missing.push((at, full, seen));
            }
            lookups.push(lookup.map_or(Lookup::Miss, Lookup::from));
        }
        let keys: Vec<String> = missing.iter().map(|(_, full, _)| full.clone()).collect();
        let values = if keys.is_empty() {
            None
        } else {
            self.behind(Family::Status, |backend| backend.get_many(&keys))
        };
        for ((at, full, seen), value) in missing.into_iter().zip(values.into_iter().flatten()) {
            let (key, version) = &wanted[at];
            let taken = value.and_then(|value| self.take(key, &full, *version, &value, seen));
            if let Some(content) = taken {
                lookups[at] = content.into();
            }
        }
        for ((key, _), lookup) in wanted.iter().zip(&lookups) {
            let what = match lookup {
                Lookup::Miss => Happening::Miss,
                Lookup::Found(_) | Lookup::Absent => Happening::Hit,
            };
            self.counters.note(key.family, what, 1);
        }
        lookups
    }

    /// Keeps bytes, or that there are none.
    pub fn set(&self, key: &Key, version: Version, value: Option<&[u8]>) {
        self.set_many(&[(key, version, value)]);
    }

    /// As [`Self::set`] for many of one family, in one round trip behind memory.
    pub fn set_many(&self, entries: &[(&Key, Version, Option<&[u8]>)]) {
        if !self.is_on() {
            return;
        }
        let mut sealed: Vec<(Family, Option<Duration>, String, Value)> = Vec::new();
        for (key, version, value) in entries {
            let policy = self.policies.of(key.family);
            let ttl = ttl(&policy, value.is_some());
            let full = self.keys.full(key.as_str());
            let entry = seal(&full, *version, *value, self.ends(ttl));
            sealed.push((key.family, ttl, full, entry));
        }
        for (family, ttl, full, entry) in &sealed {
            if let Some(memory) = self.memory_for(*family) {
                self.counted(*family, memory.set(full, entry, *ttl));
            }
        }
        // Those of one kind go together.
        let mut rest = &sealed[..];
        while let Some((family, ttl, ..)) = rest.first() {
            let same = rest.iter().take_while(|(f, t, ..)| (f, t) == (family, ttl));
            let (now, later) = rest.split_at(same.count());
            rest = later;
            self.counters
                .note(*family, Happening::Set, now.len() as u64);
            if self.policies.of(*family).place == Place::Memory {
                continue;
            }
            let entries: Vec<(String, Value)> = now
                .iter()
                .map(|(.., full, entry)| (full.clone(), Arc::clone(entry)))
                .collect();
            self.behind(*family, |backend| backend.set_many(&entries, *ttl));
        }
    }

    /// Keeps bytes where there are none yet, and says whether it did: of all
    /// processes that try, one does.
    pub fn set_if_absent(&self, key: &Key, version: Version, value: &[u8]) -> bool {
        let policy = self.policies.of(key.family);
        let full = self.keys.full(key.as_str());
        let entry = seal(&full, version, Some(value), self.ends(policy.ttl));
        let set = self.shared(key.family, policy.place, |backend| {
            backend.set_if_absent(&full, &entry, policy.ttl)
        });
        if set == Some(true) {
            self.counters.note(key.family, Happening::Set, 1);
        }
        set == Some(true)
    }

    /// Adds to a number that all processes share, which is at least `from` before: what
    /// is known of it outside of the cache. `None` when it cannot be told.
    pub fn add(&self, key: &Key, from: i64, by: i64) -> Option<i64> {
        let policy = self.policies.of(key.family);
        let full = self.keys.full(key.as_str());
        self.shared(key.family, policy.place, |backend| {
            backend.add(&full, from, by, policy.ttl)
        })
    }

    /// Whether this process may do now what the hosts that share a Redis do one after the
    /// other, no more often than once in `interval`; `None` where there is none.
    pub fn takes_turn(&self, what: &str, interval: Duration) -> Option<bool> {
        if !self.is_shared_now() {
            return None;
        }
        let key = Key::new(Family::Lock, &["turn", what]);
        let full = self.keys.full(key.as_str());
        let taken: Value = b"taken".as_slice().into();
        self.at_server(|redis| {
            let is_taken = redis.set_if_absent(&full, &taken, Some(interval))?;
            // What is none of ours may never end.
            if !is_taken && redis.get(&full)?.is_some_and(|held| held != taken) {
                redis.delete_many(std::slice::from_ref(&full))?;
            }
            Ok(is_taken)
        })
    }

    /// Where something must be the same for all: behind memory when there is
    /// anything, else in it.
    fn shared<T>(
        &self,
        family: Family,
        place: Place,
        work: impl Fn(&dyn Backend) -> Result<T, Failure>,
    ) -> Option<T> {
        if place != Place::Memory && (self.disk.is_some() || self.has_redis()) {
            return self.behind(family, work);
        }
        let memory = self.memory.as_ref()?;
        self.counted(family, work(memory))
    }

    fn look(&self, key: &Key, version: Version) -> Lookup {
        if !self.is_on() {
            return Lookup::Miss;
        }
        let full = self.keys.full(key.as_str());
        if let Some(held) = self.in_memory(key.family, &full)
            && let Some(content) = open(&held, version, (self.clock)())
        {
            return content.into();
        }
        if self.policies.of(key.family).place == Place::Memory {
            return Lookup::Miss;
        }
        let seen = self.seen(&full);
        let found = self.behind(key.family, |backend| backend.get(&full));
        found
            .flatten()
            .and_then(|value| self.take(key, &full, version, &value, seen))
            .map_or(Lookup::Miss, Lookup::from)
    }

    fn in_memory(&self, family: Family, full: &str) -> Option<Value> {
        self.memory_for(family)?.get(full).ok().flatten()
    }

    fn seen(&self, full: &str) -> Option<Seen> {
        self.memory.as_ref().map(|memory| memory.seen(full))
    }

    /// The memory that keeps entries of a family.
    fn memory_for(&self, family: Family) -> Option<&Memory> {
        let is_kept = self.policies.of(family).place != Place::Behind || !self.has_behind();
        self.memory.as_ref().filter(|_| is_kept)
    }

    /// Opens what came from behind and keeps it in memory, unless that changed behind
    /// since it was `seen`; deletes what is damaged.
    fn take(
        &self,
        key: &Key,
        full: &str,
        version: Version,
        value: &Value,
        seen: Option<Seen>,
    ) -> Option<Content> {
        if !is_whole(full, value) {
            self.counters.note(key.family, Happening::Error, 1);
            tracing::warn!("a damaged cache entry is deleted: {}", key.as_str());
            self.behind(key.family, |backend| {
                backend.delete_many(&[full.to_owned()])
            });
            return None;
        }
        let content = open(value, version, (self.clock)())?;
        let policy = self.policies.of(key.family);
        let is_found = matches!(content, Content::Found(_));
        if let (Some(memory), Some(seen)) = (self.memory_for(key.family), seen) {
            memory.keep(full, value, ttl(&policy, is_found), seen);
        }
        Some(content)
    }

    /// Asks Redis, and the disk when that is not there.
    fn behind<T>(
        &self,
        family: Family,
        work: impl Fn(&dyn Backend) -> Result<T, Failure>,
    ) -> Option<T> {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis
            && redis.breaker().lets_pass()
        {
            // What this user may not do there is done here.
            let answer = self.counted(family, work(redis.as_ref()));
            if answer.is_some() {
                return answer;
            }
        }
        let disk = self.disk.as_ref()?;
        self.counted(family, work(disk))
    }

    fn counted<T>(&self, family: Family, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(answer) => Some(answer),
            Err(failure) => {
                self.counters.note(family, Happening::Error, 1);
                tracing::debug!("the cache goes on without: {failure}");
                None
            }
        }
    }

    fn has_behind(&self) -> bool {
        self.disk.is_some() || self.has_redis()
    }

    #[cfg(feature = "redis")]
    fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "as with Redis")]
    fn has_redis(&self) -> bool {
        false
    }

    fn ends(&self, ttl: Option<Duration>) -> Option<i64> {
        let seconds = i64::try_from(ttl?.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        // This second has begun already, and nothing ends early.
        Some((self.clock)().saturating_add(seconds).saturating_add(1))
    }
}

fn ttl(policy: &Policy, is_found: bool) -> Option<Duration> {
    if is_found {
        policy.ttl
    } else {
        policy.negative_ttl
    }
}

impl From<Content> for Lookup {
    fn from(content: Content) -> Self {
        match content {
            Content::Found(bytes) => Self::Found(bytes),
            Content::Absent => Self::Absent,
        }
    }
}

fn open_disk(
    folders: &[&Path],
    settings: &CacheSettings,
    clock: Clock,
    reasons: &mut Vec<String>,
) -> Option<Disk> {
    for folder in folders {
        match Disk::open(folder, settings.disk_bytes, clock) {
            Ok(disk) => return Some(disk),
            Err(failure) => reasons.push(failure.to_string()),
        }
    }
    None
}

#[cfg(feature = "redis")]
fn connect_redis(settings: &CacheSettings, reasons: &mut Vec<String>) -> Option<Arc<Redis>> {
    if !matches!(settings.choice, Choice::Auto | Choice::Redis) {
        return None;
    }
    let Some(address) = &settings.redis else {
        if settings.choice == Choice::Redis {
            reasons.push("cache.backend = redis, but no cache.redis_url is set".to_owned());
        }
        return None;
    };
    match Redis::connect(address, settings.redis_patience) {
        Ok(redis) => {
            reasons.push(format!("Redis at {address}"));
            Some(Arc::new(redis))
        }
        Err(failure) => {
            reasons.push(failure.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests;
