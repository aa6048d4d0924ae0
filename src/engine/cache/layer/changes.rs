//! Forgetting entries, here and everywhere: other processes of this host learn of it
//! from the disk, other hosts from Redis, by a message. What changes at Redis without
//! one, Redis tells, as far as it does that (`cache::redis::tracking`).
//!
//! Invariant: a message that is lost only leaves entries behind that carry the
//! version they were made from; nobody takes them for newer than they are.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

#[cfg(feature = "redis")]
use serde_json::Value as Json;
use serde_json::json;

#[cfg(feature = "redis")]
use super::Value;
use super::{Backend as _, Cache, Happening, Key};
#[cfg(feature = "redis")]
use crate::engine::cache::entry::mark;
#[cfg(feature = "redis")]
use crate::engine::cache::redis::tracking::Tracking;
use crate::{
    engine::{
        cache::{
            disk::Removals,
            key::{Family, of_medium},
        },
        job::{lock, panic_text},
    },
    model::id::MediaId,
};

/// Of more than these in one step others are told at once.
const ONE_BY_ONE: usize = 200;
/// How often something is told to a server that is late, and the pause between.
const TELLINGS: u32 = 10;
const TELLING_PAUSE: Duration = Duration::from_millis(60);
/// Entries that are compared with the server's in one round trip.
#[cfg(feature = "redis")]
const COMPARED_AT_ONCE: usize = 200;

/// What others, or this process, did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What matches is gone.
    Removed(String),
    /// Everything is, or nobody knows what.
    Everything,
    /// Another host changed these originals, or what goes with them.
    Files(Vec<String>),
    /// Another process tells of a file in the ingest, as JSON.
    Ingest(String),
}

/// What a clearing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    pub entries: u64,
    /// What could not be cleared, and why.
    pub failed: Vec<String>,
}

/// A name for the log, and what hears changes.
pub(super) type Listener = (
    String,
    Arc<dyn Fn(&Change) -> Result<(), String> + Send + Sync>,
);

impl Cache {
    /// Adds a listener. One that fails is logged and stops nobody.
    pub fn subscribe(
        &self,
        name: &str,
        listener: impl Fn(&Change) -> Result<(), String> + Send + Sync + 'static,
    ) {
        lock(&self.listeners).push((name.to_owned(), Arc::new(listener)));
    }

    /// Forgets an entry, everywhere.
    pub fn forget(&self, key: &Key) {
        let keys = [self.keys.full(key.as_str())];
        let mut removed = 0;
        if let Some(memory) = &self.memory {
            removed += memory.delete_many(&keys).unwrap_or(0);
        }
        for backend in self.all_behind() {
            let outcome = backend.delete_many(&keys);
            removed = removed.max(self.counted(key.family, outcome).unwrap_or(0));
        }
        self.counters
            .note(key.family, Happening::Delete, removed.min(1));
        self.tell_removed(key.as_str());
    }

    /// Forgets what was made of media in these families, everywhere.
    pub fn forget_media(&self, families: &[Family], ids: &[MediaId]) {
        for family in families {
            let patterns: Vec<String> = ids.iter().map(|id| of_medium(*family, id)).collect();
            let full: Vec<String> = patterns.iter().map(|p| self.keys.full(p)).collect();
            let mut cleared = 0;
            if let Some(memory) = &self.memory {
                let outcome = memory.clear_each(&full);
                cleared = self.counted(*family, outcome).unwrap_or(0);
            }
            for backend in self.all_behind() {
                let outcome = backend.clear_each(&full);
                cleared = cleared.max(self.counted(*family, outcome).unwrap_or(0));
            }
            self.counters.note(*family, Happening::Delete, cleared);
            if ids.len() > ONE_BY_ONE {
                // Rather too much: it only costs memory what lies behind it as well.
                self.tell_removed(&format!("{}:*", family.name()));
            } else {
                for pattern in &patterns {
                    self.tell_removed(pattern);
                }
            }
        }
    }

    /// Forgets what matches (see [`super::super::glob`]; keys without the prefix of the
    /// library), everywhere.
    pub fn clear(&self, pattern: &str) -> Cleared {
        let is_all = pattern == "*";
        let full = if is_all {
            self.keys.everything()
        } else {
            self.keys.full(pattern)
        };
        let mut cleared = Cleared::default();
        if let Some(memory) = &self.memory {
            // What lies behind as well is counted there.
            let mut only_here = 0;
            let outcome = memory.list(&full, &mut |key, _| {
                only_here += u64::from(self.is_only_in_memory(&key));
            });
            self.counted(Family::Status, outcome);
            self.counted(Family::Status, memory.clear(&full));
            cleared.entries += only_here;
        }
        // All that is there is left behind with its generation anyway.
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis
            && !is_all
            && !redis.breaker().is_closed()
        {
            let reason = redis.breaker().reason();
            cleared
                .failed
                .push(format!("Redis keeps what it has: {reason}"));
        }
        for backend in self.all_behind() {
            let mut outcome = backend.clear(&full);
            if let Some(disk) = self
                .disk
                .as_ref()
                .filter(|disk| disk.name() == backend.name())
                && is_all
                && outcome.is_err()
            {
                let held = disk.usage().unwrap_or_default().entries;
                outcome = disk.discard().map(|()| held);
            }
            if let Err(failure) = &outcome {
                cleared.failed.push(failure.to_string());
            }
            cleared.entries += self.counted(Family::Status, outcome).unwrap_or(0);
        }
        if is_all {
            self.begin_generation();
        }
        let family = pattern.split(':').next().and_then(Family::by_name);
        let family = family.unwrap_or(Family::Status);
        self.counters
            .note(family, Happening::Delete, cleared.entries);
        self.tell_removed(pattern);
        cleared
    }

    /// Forgets what matches in this process alone: what was computed from a state
    /// that is past, and only takes room.
    pub fn forget_here(&self, patterns: &[&str]) {
        let Some(memory) = &self.memory else { return };
        for pattern in patterns {
            // Memory cannot fail.
            let _ = memory.clear(&self.keys.full(pattern));
        }
    }

    /// The keys that match, without the prefix of the library, with their bytes
    /// where those are known.
    pub fn list(&self, pattern: &str) -> Vec<(String, u64)> {
        let full = self.keys.full(pattern);
        let mut found = Vec::new();
        let mut on = |key: String, bytes| {
            if let Some(own) = self.keys.own(&key) {
                found.push((own.to_owned(), bytes));
            }
        };
        let listed = match self.all_behind().first() {
            Some(backend) => backend.list(&full, &mut on),
            None => self
                .memory
                .as_ref()
                .map_or(Ok(()), |memory| memory.list(&full, &mut on)),
        };
        self.counted(Family::Status, listed);
        found
    }

    /// Deletes what [`Self::list`] found, and returns how many are gone.
    pub fn remove_listed<'k>(&self, keys: impl Iterator<Item = &'k str>) -> usize {
        let keys: Vec<String> = keys.map(|key| self.keys.full(key)).collect();
        let mut removed = 0;
        for keys in keys.chunks(ONE_BY_ONE) {
            if let Some(memory) = &self.memory {
                // Memory cannot fail.
                let _ = memory.delete_many(keys);
            }
            let gone = self.behind(Family::Status, |backend| backend.delete_many(keys));
            removed += usize::try_from(gone.unwrap_or(0)).unwrap_or(0);
        }
        removed
    }

    /// Tells other hosts that originals, or what goes with them, changed on the shared
    /// storage: paths below the library. Waits for a server that is late for a moment.
    pub fn tell_files(&self, paths: &[String]) {
        for paths in paths.chunks(ONE_BY_ONE) {
            if !self.is_shared_now() {
                return;
            }
            let message = json!({"from": self.origin, "files": paths});
            // Until it is told, or the server counts as gone.
            for _ in 0..TELLINGS {
                if self.publish(&message) {
                    break;
                }
                std::thread::sleep(TELLING_PAUSE);
            }
        }
    }

    /// Learns what other processes of this host removed. To be asked now and then.
    pub fn follow(&self) {
        self.enter_generation();
        let Some(disk) = &self.disk else { return };
        let since = self.followed.load(Ordering::Acquire);
        let Some((newest, removals)) = self.counted(Family::Status, disk.removals_since(since))
        else {
            return;
        };
        self.followed.store(newest, Ordering::Release);
        match removals {
            Removals::Unknown => self.take_change(&Change::Everything),
            Removals::Of(patterns) => {
                for pattern in patterns {
                    self.take_change(&Change::Removed(pattern));
                }
            }
        }
    }

    /// Takes a message of another host.
    #[cfg(feature = "redis")]
    pub(super) fn take_message(&self, text: &str) {
        let Ok(message) = serde_json::from_str::<Json>(text) else {
            tracing::debug!("a message that is none of ours: {text:.80}");
            return;
        };
        if message["from"] == self.origin {
            return;
        }
        if let Some(pattern) = message["removed"].as_str() {
            self.take_change(&Change::Removed(pattern.to_owned()));
        }
        if !message["ingest"].is_null() {
            self.take_change(&Change::Ingest(message["ingest"].to_string()));
        }
        if let Some(paths) = message["files"].as_array() {
            let paths = paths.iter().filter_map(Json::as_str);
            self.take_change(&Change::Files(paths.map(str::to_owned).collect()));
        }
    }

    /// Forgets of the keys that changed at the server, by whomever, what memory holds
    /// and the server does not: of what this process wrote both have the same.
    #[cfg(feature = "redis")]
    pub(super) fn take_changed(&self, keys: &[String], tracking: &mut Tracking) {
        let Some(memory) = &self.memory else { return };
        let held: Vec<(&str, Value)> = keys
            .iter()
            .filter_map(|key| Some((key.as_str(), memory.changed(key)?)))
            .collect();
        for held in held.chunks(COMPARED_AT_ONCE) {
            let keys: Vec<&str> = held.iter().map(|(key, _)| *key).collect();
            let there = tracking.marks(&keys);
            for (at, (key, value)) in held.iter().enumerate() {
                let there = there.as_ref().and_then(|marks| marks.get(at));
                if there != Some(&mark(value)) {
                    // Memory cannot fail; and what was set since is not this value.
                    let _ = memory.delete_if(key, value);
                }
            }
        }
    }

    /// Forgets in memory what is gone elsewhere, and tells whoever wants to know.
    pub(super) fn take_change(&self, change: &Change) {
        if let Some(memory) = &self.memory {
            match change {
                Change::Everything => {
                    memory.forget();
                    self.enter_generation();
                }
                Change::Removed(pattern) if pattern == "*" => {
                    memory.forget();
                    self.enter_generation();
                }
                Change::Removed(pattern) => {
                    let full = self.keys.full(pattern);
                    memory.note_all_changed();
                    // Memory cannot fail.
                    let _ = memory.clear(&full);
                }
                // They carry the version of their file.
                Change::Files(_) | Change::Ingest(_) => {}
            }
        }
        let listeners = lock(&self.listeners).clone();
        for (name, listener) in listeners {
            match catch_unwind(AssertUnwindSafe(|| listener(change))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("cache listener {name} failed: {error}"),
                Err(panic) => {
                    tracing::error!("cache listener {name} panicked: {}", panic_text(&*panic));
                }
            }
        }
    }

    fn tell_removed(&self, pattern: &str) {
        if let Some(disk) = &self.disk {
            self.counted(Family::Status, disk.note_removal(pattern));
        }
        self.publish(&json!({"from": self.origin, "removed": pattern}));
    }

    /// Goes on in the generation that all are in, which is not before that of this
    /// process: a server that lost it is told.
    pub(super) fn enter_generation(&self) {
        let key = self.keys.generation_key();
        let own = self.keys.generation();
        let number = if own == 0 {
            let found = self.behind(Family::Status, |backend| backend.get(&key));
            found
                .flatten()
                .and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok())
        } else {
            let own = i64::try_from(own).unwrap_or(i64::MAX);
            let known = self.behind(Family::Status, |backend| backend.add(&key, own, 0, None));
            known.and_then(|number| u64::try_from(number).ok())
        };
        if let Some(generation) = number
            && self.keys.enter(generation)
        {
            self.note_generation(generation);
            if let Some(memory) = &self.memory {
                memory.forget();
            }
        }
    }

    /// So that the next process begins in it before it has found the server, and goes on
    /// in it without one.
    fn note_generation(&self, generation: u64) {
        if let (Some(disk), Ok(generation)) = (&self.disk, i64::try_from(generation)) {
            let noted = disk.add(&self.keys.generation_key(), generation, 0, None);
            self.counted(Family::Status, noted);
        }
    }

    /// Leaves everything before it behind, also what somebody writes at this moment.
    fn begin_generation(&self) {
        let key = self.keys.generation_key();
        let own = i64::try_from(self.keys.generation()).unwrap_or(i64::MAX);
        let begun = self.behind(Family::Status, |backend| backend.add(&key, own, 1, None));
        let begun = begun.and_then(|generation| u64::try_from(generation).ok());
        let begun = begun.unwrap_or_else(|| self.keys.generation() + 1);
        if self.keys.enter(begun) {
            self.note_generation(begun);
        }
    }

    fn is_only_in_memory(&self, full: &str) -> bool {
        let own = self.keys.own(full).unwrap_or_default();
        let family = own.split(':').next().and_then(Family::by_name);
        !self.has_behind()
            || family.is_some_and(|family| self.policies.of(family).place == super::Place::Memory)
    }
}
