//! What is computed once and kept: one computation at a time in this process, and
//! with Redis one among all hosts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{Cache, Computed, Happening, Key, Lookup, Place, Version};
use crate::engine::cache::{Value, key::Family};

/// How long a computation of another process may take before this one does it too;
/// what a crashed process was at is free again after that.
const LEASE: Duration = Duration::from_secs(5);
/// How often to look whether another process is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(15);

/// One thing to have ready: its key, its version, and how it is computed.
pub type Warming<'w> = (
    Key,
    Version,
    Box<dyn FnOnce() -> Result<Option<Vec<u8>>, String> + Send + 'w>,
);

impl Cache {
    /// The bytes of an entry, computed when there is none. Of all who ask at once
    /// one computes; a failure is told to all of them and not kept.
    pub fn get_or_compute(
        &self,
        key: &Key,
        version: Version,
        compute: impl FnOnce() -> Result<Option<Vec<u8>>, String>,
    ) -> Computed {
        match self.get(key, version) {
            Lookup::Found(bytes) => return Ok(Some(bytes)),
            Lookup::Absent => return Ok(None),
            Lookup::Miss => {}
        }
        let flight = format!("{:x} {}", version.0, key.as_str());
        let (computed, is_shared) = self.flights.run(&flight, || {
            // Whoever flew before may have landed between the look and now.
            match self.look(key, version) {
                Lookup::Found(bytes) => Ok(Some(bytes)),
                Lookup::Absent => Ok(None),
                Lookup::Miss => self.compute_for_all(key, version, compute),
            }
        });
        if is_shared {
            self.counters.note(key.family, Happening::Coalesced, 1);
        }
        computed
    }

    /// As [`Self::get_or_compute`] for a value that travels as JSON. What does not
    /// parse is computed again.
    pub fn value_or_compute<T: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        version: Version,
        compute: impl Fn() -> Result<Option<T>, String>,
    ) -> Result<Option<T>, String> {
        let as_bytes = || {
            let computed = compute()?;
            let written = computed.map(|value| serde_json::to_vec(&value));
            written.transpose().map_err(|error| error.to_string())
        };
        let Some(bytes) = self.get_or_compute(key, version, as_bytes)? else {
            return Ok(None);
        };
        if let Ok(value) = serde_json::from_slice(&bytes) {
            return Ok(Some(value));
        }
        self.counters.note(key.family, Happening::Error, 1);
        self.forget(key);
        compute()
    }

    /// A function whose answers are kept: what `key_of` makes of the argument is
    /// where, `version_of` from what.
    pub fn memoise<A, T: Serialize + DeserializeOwned>(
        self: &Arc<Self>,
        key_of: impl Fn(&A) -> Key,
        version_of: impl Fn(&A) -> Version,
        work: impl Fn(&A) -> Result<Option<T>, String>,
    ) -> impl Fn(&A) -> Result<Option<T>, String> {
        let cache = Arc::clone(self);
        move |argument| {
            let (key, version) = (key_of(argument), version_of(argument));
            cache.value_or_compute(&key, version, || work(argument))
        }
    }

    /// Computes what is not there yet, in order, until `on` says that it is enough;
    /// it hears how many are done. Returns how many were computed.
    pub fn warm<'w>(
        &self,
        wanted: impl IntoIterator<Item = Warming<'w>>,
        on: &mut dyn FnMut(u64) -> bool,
    ) -> u64 {
        let mut computed = 0;
        for (done, (key, version, compute)) in (0..).zip(wanted) {
            if !on(done) {
                break;
            }
            let mut is_new = false;
            let outcome = self.get_or_compute(&key, version, || {
                is_new = true;
                compute()
            });
            match outcome {
                Ok(_) => computed += u64::from(is_new),
                Err(reason) => tracing::debug!("{} is not warmed: {reason}", key.as_str()),
            }
        }
        computed
    }

    /// Computes, unless another host is at it, whose answer is awaited.
    fn compute_for_all(
        &self,
        key: &Key,
        version: Version,
        compute: impl FnOnce() -> Result<Option<Vec<u8>>, String>,
    ) -> Computed {
        if self.policies.of(key.family).place == Place::Memory || !self.is_shared_now() {
            return self.compute_and_keep(key, version, compute);
        }
        let lock = Key::new(Family::Lock, &[key.as_str(), &format!("{:x}", version.0)]);
        let full = self.keys.full(lock.as_str());
        let token: Value = uuid::Uuid::new_v4().as_bytes().as_slice().into();
        let until = Instant::now() + LEASE;
        loop {
            let taken = self.at_server(|redis| redis.set_if_absent(&full, &token, Some(LEASE)));
            match taken {
                Some(true) => break,
                // Gone: every host for itself.
                None => return self.compute_and_keep(key, version, compute),
                Some(false) => {}
            }
            if Instant::now() >= until {
                return self.compute_and_keep(key, version, compute);
            }
            std::thread::sleep(LOOK_INTERVAL);
            match self.look(key, version) {
                Lookup::Miss => {}
                found => {
                    self.counters.note(key.family, Happening::Coalesced, 1);
                    return Ok(found.found());
                }
            }
        }
        // The one before may have ended between the look and the lock.
        let computed = match self.look(key, version) {
            Lookup::Miss => self.compute_and_keep(key, version, compute),
            found => Ok(found.found()),
        };
        // Only its own: after the lease it may be somebody else's. When this fails it
        // ends by itself.
        let _ = self.at_server(|redis| redis.delete_if(&full, &token));
        computed
    }

    fn compute_and_keep(
        &self,
        key: &Key,
        version: Version,
        compute: impl FnOnce() -> Result<Option<Vec<u8>>, String>,
    ) -> Computed {
        let value = compute()?;
        self.set(key, version, value.as_deref());
        // As it would come back.
        let sealed = super::seal("", version, value.as_deref(), None);
        Ok(
            super::open(&sealed, version, 0).and_then(|content| match content {
                super::Content::Found(bytes) => Some(bytes),
                super::Content::Absent => None,
            }),
        )
    }
}
