//! The state of a cache for people, and its connection to the other hosts.

#[cfg(feature = "redis")]
use std::sync::{Arc, Weak};

use serde_json::Value as Json;

use super::{Backend, Cache, Family, Key};
#[cfg(feature = "redis")]
use crate::engine::cache::redis::{
    Redis,
    hearing::{Heard, Hearing},
};
#[cfg(feature = "redis")]
use crate::engine::cache::settings::CacheSettings;
use crate::engine::{
    cache::{
        Failure,
        stats::{Stats, Tally, Tier},
    },
    job::lock,
};

impl Cache {
    /// What this cache did and holds. `kept` are the numbers of all processes that were
    /// written back last; the cache may have lost its own.
    pub fn stats(&self, kept: &Tally) -> Stats {
        let mut stats = Stats {
            backend: self.backend_name(),
            reason: self.reason.clone(),
            ..Stats::default()
        };
        if let Some(memory) = &self.memory {
            stats.tiers.push(tier(memory, Ok(())));
        }
        if let Some(disk) = &self.disk {
            stats.tiers.push(tier(disk, Ok(())));
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            let breaker = redis.breaker();
            let state = if breaker.is_closed() {
                Ok(())
            } else {
                Err(breaker.reason())
            };
            stats.tiers.push(tier(redis.as_ref(), state));
            stats.lost = breaker.opened();
        }
        stats.db_size = stats.last_tier().map_or(0, |tier| tier.entries);
        for family in Family::ALL {
            let tally = self.counters.of(family);
            if tally != Tally::default() {
                stats.tally.add(&tally);
                stats.families.push((family, tally));
            }
        }
        let (everyone, counters) = self.everyone(kept);
        stats.everyone = everyone;
        // These numbers are no entries that anybody keeps.
        for tier in &mut stats.tiers {
            if tier.name == self.backend_name() {
                tier.entries = tier.entries.saturating_sub(counters);
            }
        }
        stats
    }

    /// Adds what this process did since it told last to the numbers that all share, which
    /// are at least those that were kept outside of the cache. Returns what is to be kept
    /// from now on; `None` when there is nothing new. To be asked now and then, and at the
    /// end.
    pub fn tell_counts(&self, kept: &Tally) -> Option<Tally> {
        let now = self.own_tally();
        let new = {
            let mut told = lock(&self.told);
            let new = now.since(&told);
            *told = now;
            new
        };
        if !self.is_on() {
            return None;
        }
        let number = |figure| i64::try_from(figure).unwrap_or(i64::MAX);
        let mut sums = *kept;
        for ((name, figure), (_, from)) in new.figures().into_iter().zip(kept.figures()) {
            let known = self.figure_of_all(name);
            // A cache that has lost it, or never knew, learns it as well.
            if figure > 0 || known.unwrap_or(0) < from {
                let key = Key::new(Family::Counter, &["cache", name]);
                let sum = self.add(&key, number(from), number(figure));
                let sum = sum.and_then(|sum| u64::try_from(sum).ok());
                sums.set(name, sum.unwrap_or(from.saturating_add(figure)));
            } else {
                sums.set(name, known.unwrap_or(0));
            }
        }
        (sums != *kept).then_some(sums)
    }

    fn own_tally(&self) -> Tally {
        let mut tally = Tally::default();
        for family in Family::ALL {
            let of_family = self.counters.of(family);
            // What counting itself does would never come to rest.
            let is_of_counting = matches!(family, Family::Counter | Family::Status);
            tally.add(&if is_of_counting {
                Tally {
                    deletes: of_family.deletes,
                    ..Tally::default()
                }
            } else {
                of_family
            });
        }
        tally
    }

    /// What all processes did that share the cache: what they told, now or before the
    /// cache lost it, and what this one has not told yet. And how many numbers the cache
    /// has it in.
    fn everyone(&self, kept: &Tally) -> (Tally, u64) {
        let mut everyone = self.own_tally().since(&lock(&self.told));
        let (mut told, mut counters) = (Tally::default(), 0);
        for (name, _) in told.figures() {
            let number = self.figure_of_all(name);
            counters += u64::from(number.is_some());
            told.set(name, number.unwrap_or(0));
        }
        everyone.add(&told.at_least(kept));
        // The number of the generation is there from the second one on.
        counters += u64::from(self.keys.generation() > 0);
        (everyone, counters)
    }

    /// A figure as all have told it, if the cache has it.
    fn figure_of_all(&self, name: &str) -> Option<u64> {
        let key = Key::new(Family::Counter, &["cache", name]);
        let full = self.keys.full(key.as_str());
        let found = self.shared(Family::Status, super::Place::Behind, |backend| {
            backend.get(&full)
        });
        std::str::from_utf8(&found.flatten()?).ok()?.parse().ok()
    }

    /// Sweeps what crashes left on the disk. For a thread in the background.
    pub fn sweep(&self) {
        if let Some(disk) = &self.disk {
            let swept = self.counted(Family::Status, disk.sweep());
            if let Some(swept @ 1..) = swept {
                tracing::debug!("{swept} old cache entries are gone");
            }
        }
    }

    /// The backend that is asked behind memory now.
    pub fn backend_name(&self) -> &'static str {
        if self.is_shared_now() {
            "redis"
        } else if self.disk.is_some() {
            "disk"
        } else if self.memory.is_some() {
            "memory"
        } else {
            "off"
        }
    }

    /// The server that this cache uses, there or not.
    #[cfg(feature = "redis")]
    pub(in crate::engine) fn server(&self) -> Option<Arc<Redis>> {
        self.redis.clone()
    }

    /// What tells the messages of this process from those of others.
    #[cfg(feature = "redis")]
    pub(in crate::engine) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether other hosts see what this one keeps.
    pub fn is_shared_now(&self) -> bool {
        #[cfg(feature = "redis")]
        {
            let redis = self.redis.as_ref();
            redis.is_some_and(|redis| redis.breaker().is_closed())
        }
        #[cfg(not(feature = "redis"))]
        {
            false
        }
    }

    /// Every backend behind memory that can be asked, the shared one first.
    pub(super) fn all_behind(&self) -> Vec<&dyn Backend> {
        let mut all: Vec<&dyn Backend> = Vec::new();
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis
            && redis.breaker().is_closed()
        {
            all.push(redis.as_ref());
        }
        if let Some(disk) = &self.disk {
            all.push(disk);
        }
        all
    }

    /// Asks Redis alone; `None` when it is not there.
    pub(super) fn at_server<T>(
        &self,
        work: impl FnOnce(&dyn Backend) -> Result<T, Failure>,
    ) -> Option<T> {
        #[cfg(feature = "redis")]
        {
            let redis = self.redis.as_ref()?;
            self.counted(Family::Lock, work(redis.as_ref()))
        }
        #[cfg(not(feature = "redis"))]
        {
            let _nobody_answers = work;
            None
        }
    }

    /// Tells other hosts; says whether that is done, or need not be.
    pub(super) fn publish(&self, message: &Json) -> bool {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis
            && redis.breaker().is_closed()
        {
            let told = redis.publish(&self.keys.channel(), &message.to_string());
            let is_late = matches!(told, Err(Failure::Unavailable(_)));
            self.counted(Family::Status, told);
            return !is_late;
        }
        #[cfg(not(feature = "redis"))]
        let _nobody_hears = message;
        true
    }

    /// Hears other hosts from now on, for as long as the cache lives.
    #[cfg(feature = "redis")]
    pub(super) fn start_hearing(self: &Arc<Self>, settings: &CacheSettings) {
        let (Some(_), Some(address)) = (&self.redis, &settings.redis) else {
            return;
        };
        let cache: Weak<Self> = Arc::downgrade(self);
        let (channel, entries) = (self.keys.channel(), self.keys.entries());
        let hearing = Hearing::start(address, channel, entries, move |heard| {
            let Some(cache) = cache.upgrade() else { return };
            match heard {
                Heard::Message(text) => cache.take_message(&text),
                Heard::Changed(keys, tracking) => cache.take_changed(&keys, tracking),
                Heard::Emptied => cache.take_change(&super::Change::Everything),
                Heard::Gap => {
                    // This connection may have been faster than the others.
                    cache.settle();
                    cache.take_change(&super::Change::Everything);
                }
            }
        });
        match hearing {
            Ok(hearing) => *lock(&self.hearing) = Some(hearing),
            Err(failure) => tracing::warn!("other hosts are not heard: {failure}"),
        }
    }
}

fn tier(backend: &dyn Backend, state: Result<(), String>) -> Tier {
    let usage = backend.usage().unwrap_or_default();
    Tier {
        name: backend.name(),
        state,
        entries: usage.entries,
        bytes: usage.bytes,
        limit_bytes: usage.limit_bytes,
        evicted: usage.evicted,
    }
}
