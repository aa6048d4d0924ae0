//! What the engine keeps in the cache, and what becomes of it when the catalog
//! changes.
//!
//! | family | what | its version | where |
//! |---|---|---|---|
//! | `thumb`, `lowres` | pictures, and what a screen is sent for them | size and time of the original | all tiers |
//! | `media` | what the sidecars say | times, sizes and numbers of the files, row of the index | memory |
//! | `search` | results of queries | catalog, index, and the projects' files where it asked for them | memory |
//! | `analysis` | similarity lists, counts of tags, members of projects | catalog (and index, projects' files) | memory |
//! | `suggest` | completions | catalog | memory |
//! | `project` | the list of projects, pages of one | the projects' files | all tiers |
//!
//! A change needs no message to be noticed: it makes another version. What a catalog
//! is part of stays in memory, since each process numbers its media itself; when a
//! newer catalog comes, all of that is forgotten ([`OF_THE_CATALOG`]), for any tag of
//! any medium may change any list. Not kept is what depends on the hour or on chance.

mod lists;
mod projects;
mod results;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

pub use self::projects::{ListedPicture, ProjectPage, ProjectSummary};
use self::results::{Basis, Noting, read, write};
use super::{
    Core, Engine, EngineSettings,
    cache::{
        entry::Version,
        key::Key,
        layer::{Cache, Change, Cleared},
        stats::{Stats, Tally},
    },
    event::{Event, PictureSize},
    job::{JobId, Progress, lock},
    pictures::{PictureParts, fetch},
    search::{Found, Lookup},
};
#[cfg(feature = "redis")]
use crate::engine::cache::redis::locks::Locks;
use crate::{
    model::{catalog::Catalog, id::MediaKey, query::Query},
    storage::Library,
};

/// What the names of the cache's own counters begin with, among those written back.
const COUNTER_PREFIX: &str = "cache:";
/// How often this process tells the others what its cache did, and writes it back.
const TELL_COUNTS: Duration = Duration::from_mins(1);
/// How many questions, hits and misses, are worth a write at the end: a command that looks
/// up a picture does not wait for a disk because of it, and others write it back later.
const WORTH_A_WRITE: u64 = 1_000;
/// A look at all files that another host asked for comes no more often.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Families whose entries are of one state of the catalog.
const OF_THE_CATALOG: [&str; 3] = ["search:*", "analysis:*", "suggest:*"];
/// More results than these are cheaper to find again than to copy.
const MAX_RESULTS: usize = 250_000;

/// What waits for the threads that follow up changes: one that shows and tells them, and
/// one that looks at all files, which may take long on slow storage.
#[derive(Default)]
pub(super) struct Aftermath {
    state: Mutex<Waiting>,
    changed: Condvar,
    /// The first one, once it runs.
    showing: OnceLock<ThreadId>,
    /// The other one.
    looking: OnceLock<ThreadId>,
}

#[derive(Default)]
struct Waiting {
    /// A newer catalog, and what differs in it.
    catalog: Option<(Arc<Catalog>, Vec<MediaKey>)>,
    /// Originals that other hosts changed.
    files: Vec<String>,
    /// Whether there is more than these that other hosts changed.
    look_around: bool,
    closed: bool,
}

impl Aftermath {
    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }

    fn is_own_thread(&self) -> bool {
        let own = thread::current().id();
        [&self.showing, &self.looking]
            .iter()
            .any(|thread| thread.get() == Some(&own))
    }

    /// Ends the threads.
    pub fn close(&self) {
        self.put(|waiting| waiting.closed = true);
    }

    /// What came since; `None` at the end. Waits, but no longer than that.
    fn take(&self, patience: Duration) -> Option<Waiting> {
        let state = lock(&self.state);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, patience, |waiting| {
                !waiting.closed && waiting.catalog.is_none() && waiting.files.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            // What was written last is told before the end: nobody else tells it.
            let catalog = state.catalog.take()?;
            return Some(Waiting {
                catalog: Some(catalog),
                ..Waiting::default()
            });
        }
        Some(Waiting {
            catalog: state.catalog.take(),
            files: std::mem::take(&mut state.files),
            ..Waiting::default()
        })
    }

    /// Waits until all files are to be looked at; `false` at the end.
    fn wait_to_look(&self) -> bool {
        let state = lock(&self.state);
        let mut state = self
            .changed
            .wait_while(state, |waiting| !waiting.closed && !waiting.look_around)
            .unwrap_or_else(PoisonError::into_inner);
        state.look_around = false;
        !state.closed
    }
}

/// The cache of a library.
pub(super) fn open(library: &Library, settings: &EngineSettings) -> Arc<Cache> {
    let folders = library.cache_folders();
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let cache = Cache::open(library.id(), &folders, &settings.cache, settings.clock);
    #[cfg(feature = "redis")]
    if let Some(server) = cache.server() {
        match Locks::new(server, library.id()) {
            Ok(locks) => library.share_locks(Arc::new(locks)),
            Err(error) => tracing::warn!("locks are those of the storage alone: {error}"),
        }
    }
    cache
}

impl Engine {
    /// The cache, for those who keep something of their own in it.
    pub fn cache(&self) -> Arc<Cache> {
        Arc::clone(&self.core.cache)
    }

    /// What the cache did and holds; waits.
    pub fn cache_stats_now(&self) -> Stats {
        self.core.cache_stats()
    }

    /// Forgets what matches; waits.
    pub fn clear_cache_now(&self, pattern: &str) -> Cleared {
        self.core.clear_cache(pattern)
    }

    /// Makes the thumbnails that are not there yet, and waits. `on` hears (done,
    /// total) and may stop it by false. Returns how many were made, and why others
    /// were not.
    pub fn warm_cache_now(
        &self,
        keys: &[MediaKey],
        on: &mut dyn FnMut(u64, u64) -> bool,
    ) -> (u64, Vec<String>) {
        self.core.warm(keys, on)
    }

    /// What the cache did and holds; answered by [`Event::Cache`].
    pub fn ask_cache(&self) {
        let core = Arc::clone(&self.core);
        self.on(
            |pools| &pools.interactive,
            move || core.events.send(Event::Cache(Box::new(core.cache_stats()))),
        );
    }

    /// Forgets what matches, in the background.
    pub fn clear_cache(&self, pattern: String) -> JobId {
        self.run_job(move |core, job, _| {
            let Cleared { entries, failed } = core.clear_cache(&pattern);
            let text = format!("{entries} entries removed");
            let outcome = match failed.first() {
                None => Ok(text),
                Some(reason) => Err(format!("{text}; {reason}")),
            };
            core.events.done(job, "clearing the cache", outcome);
            core.events.send(Event::Cache(Box::new(core.cache_stats())));
        })
    }

    /// Makes the thumbnails of these that are not there yet, in the background.
    pub fn warm_cache(&self, keys: Arc<[MediaKey]>) -> JobId {
        self.run_job(move |core, job, cancel| {
            let label = "warming the cache";
            let mut progress = Progress::new(job, label);
            let (made, failed) = core.warm(&keys, &mut |done, total| {
                progress.done = done;
                progress.total = Some(total);
                core.events.progress(progress.clone());
                !cancel.is_cancelled() && !core.stop.wait(Duration::ZERO)
            });
            let text = match failed.len() {
                0 => format!("{made} thumbnails made"),
                n => format!("{made} thumbnails made, {n} not: {}", failed[0]),
            };
            core.events.done(job, label, Ok(text));
            core.events.send(Event::Cache(Box::new(core.cache_stats())));
        })
    }
}

impl Core {
    /// The result of a query: one that is kept, else that of `run`, which is kept
    /// when it holds for as long as the library stays as it is.
    pub(super) fn kept_search(
        &self,
        query: &Query,
        catalog: &Catalog,
        lookup: &dyn Lookup,
        run: &dyn Fn(&dyn Lookup) -> Option<Found>,
    ) -> Option<Found> {
        let sequence = self.library.sequence();
        let (true, Ok(sequence)) = (results::is_timeless(query), sequence) else {
            return run(lookup);
        };
        let started = Instant::now();
        let key = Key::search(&results::canonical(query));
        let version = Version::of(&[catalog.version(), sequence]);
        let projects_now = || self.projects_version();
        if let Some(found) = self.cache.get(&key, version).found()
            && let Some((found, projects)) = read(&found)
            && projects.is_none_or(|projects| projects_now() == Ok(projects))
        {
            return Some(Found {
                elapsed: started.elapsed(),
                ..found
            });
        }
        let noting = Noting::new(lookup, &projects_now);
        let found = run(&noting)?;
        let projects = match noting.basis() {
            Basis::Nothing => None,
            Basis::Projects(version) => Some(version),
            Basis::Passing => return Some(found),
        };
        if found.keys.len() <= MAX_RESULTS {
            self.cache
                .set(&key, version, Some(&write(&found, projects)));
        }
        Some(found)
    }

    /// Hears of changes from now on: of this host to tell others, of others to show
    /// them here.
    pub(super) fn follow_up_changes(self: &Arc<Self>) {
        let core = Arc::downgrade(self);
        self.catalog.subscribe(
            "cache",
            Box::new(move |swap| {
                if let Some(core) = core.upgrade() {
                    // What was heard of other hosts is not told again.
                    let is_heard = core.aftermath.is_own_thread();
                    let changed = swap.changed.as_ref().filter(|_| !is_heard);
                    core.aftermath.put(|waiting| {
                        let catalog = Arc::clone(&swap.catalog);
                        let (newest, keys) = waiting
                            .catalog
                            .get_or_insert_with(|| (Arc::clone(&catalog), Vec::new()));
                        *newest = catalog;
                        keys.extend(changed.into_iter().flatten());
                    });
                }
                Ok(())
            }),
        );
        let core = Arc::downgrade(self);
        self.cache.subscribe("library", move |change| {
            if let (Change::Files(paths), Some(core)) = (change, core.upgrade()) {
                core.aftermath
                    .put(|waiting| waiting.files.extend_from_slice(paths));
            }
            Ok(())
        });
    }

    /// Does what follows from changes, until the end.
    pub(super) fn do_aftermath(&self) {
        let mut before = self.catalog.load();
        let mut told = Instant::now();
        // The first and only thread that does this.
        let _ = self.aftermath.showing.set(thread::current().id());
        while let Some(waiting) = self.aftermath.take(TELL_COUNTS) {
            if let Some((catalog, keys)) = waiting.catalog {
                self.cache.forget_here(&OF_THE_CATALOG);
                let paths = changed_paths(&before, &catalog, &keys);
                self.cache.tell_files(&paths);
                before = catalog;
            }
            if !waiting.files.is_empty() && self.look_at_files(&waiting.files) {
                self.aftermath.put(|waiting| waiting.look_around = true);
            }
            if told.elapsed() >= TELL_COUNTS {
                told = Instant::now();
                self.write_counts_back(0);
            }
        }
        self.write_counts_back(WORTH_A_WRITE);
    }

    /// Looks at all files when other hosts changed more than they said, until the end.
    pub(super) fn look_around(&self) {
        // The first and only thread that does this.
        let _ = self.aftermath.looking.set(thread::current().id());
        while self.aftermath.wait_to_look() {
            self.refresh(JobId::next());
            if self.stop.wait(LOOK_AROUND) {
                break;
            }
        }
    }

    fn clear_cache(&self, pattern: &str) -> Cleared {
        // What is counted in it goes on.
        self.write_counts_back(0);
        self.cache.clear(pattern)
    }

    fn cache_stats(&self) -> Stats {
        self.cache.stats(&self.kept_counts())
    }

    /// What all processes that share the cache had done when it was written back last.
    fn kept_counts(&self) -> Tally {
        let mut kept = Tally::default();
        match self.library.counters() {
            Ok(counters) => {
                for (name, figure) in counters {
                    if let Some(name) = name.strip_prefix(COUNTER_PREFIX) {
                        kept.set(name, figure);
                    }
                }
            }
            Err(error) => tracing::debug!("what the cache did before: {}", error.chain()),
        }
        kept
    }

    /// Tells the others what this process's cache did, and writes back what all did, if
    /// that are so many questions more than before: the cache forgets it, when it is
    /// cleared at the latest.
    fn write_counts_back(&self, worth: u64) {
        let kept = self.kept_counts();
        let Some(sums) = self.cache.tell_counts(&kept) else {
            return;
        };
        if sums.since(&kept).requests() < worth {
            return;
        }
        let sums = sums
            .figures()
            .map(|(name, figure)| (format!("{COUNTER_PREFIX}{name}"), figure));
        let sums: Vec<(&str, u64)> = sums.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        if let Err(error) = self.library.write_back(&sums) {
            // Nothing but the numbers is lost with it.
            tracing::debug!("what the cache did: {}", error.chain());
        }
    }

    /// Shows what other hosts changed; says whether there is more than can be seen
    /// from these.
    fn look_at_files(&self, paths: &[String]) -> bool {
        if !self.library.is_indexed() {
            return false;
        }
        let paths: Vec<PathBuf> = paths
            .iter()
            .map(|path| self.library.original_path(path))
            .collect();
        match self.library.look_at(&paths) {
            Ok(looked) => {
                if looked.changed > 0 {
                    self.catch_up_with_index();
                }
                looked.is_more
            }
            Err(error) => {
                tracing::warn!("what another host changed is not seen: {}", error.chain());
                true
            }
        }
    }

    fn warm(&self, keys: &[MediaKey], on: &mut dyn FnMut(u64, u64) -> bool) -> (u64, Vec<String>) {
        let parts = PictureParts {
            library: Arc::clone(&self.library),
            catalog: Arc::clone(&self.catalog),
            thumbnails: Arc::clone(&self.thumbnails),
            memory: self.memory.clone(),
            events: self.events.clone(),
        };
        let (mut made, mut failed) = (0, Vec::new());
        for (done, key) in (0..).zip(keys) {
            if !on(done, keys.len() as u64) {
                break;
            }
            if parts.has_thumbnail(*key) {
                continue;
            }
            match fetch(&parts, *key, PictureSize::Thumbnail) {
                Ok(_) => made += 1,
                Err(reason) => failed.push(reason),
            }
        }
        (made, failed)
    }
}

/// The originals of media that differ between two catalogs.
fn changed_paths(before: &Catalog, now: &Catalog, keys: &[MediaKey]) -> Vec<String> {
    let path = |catalog: &Catalog, key: MediaKey| {
        let record = catalog.record(key)?;
        Some(record.path().into_owned())
    };
    let mut paths: Vec<String> = keys
        .iter()
        .flat_map(|key| [path(now, *key), path(before, *key)])
        .flatten()
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}
