//! The engine: everything that takes time. Front ends ask it and hear back by
//! events; methods whose name ends in `_now` wait instead, for those without a
//! screen.
//!
//! Invariant: files first, then the index, then the catalog; the catalog is swapped
//! in [`catalog_store`] alone.

pub mod catalog_store;
pub mod companion;
pub mod decode;
pub mod duplicates;
pub mod event;
pub mod hashing;
pub mod ingest;
pub mod job;
pub mod maintenance;
pub mod save;
pub mod search;
pub mod source;
pub mod suggest;
pub mod thumbnail;
pub mod watch;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use self::{
    catalog_store::CatalogStore,
    event::{Event, Events, Level, SaveReport},
    job::{Cancel, Clock, JobId, Pool, Progress, Slot, lock, spawn},
    save::{Saver, flow},
    search::{Found, FullText},
    suggest::Suggester,
};
use crate::{
    model::{catalog::Catalog, edit::Edit, id::MediaKey, media::Media, query::Query, tag::TagName},
    storage::Change,
};

/// The values of the floor below that front ends hand in and get back.
pub use crate::storage::{
    Error, Finding, IndexState, LayoutKind, Library, RebuildProgress, RebuildSummary, Recognised,
    Transfer, VerifyProgress, VerifyReport,
};

/// How often an open library asks whether another process changed its index.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Completions offered at once.
const SUGGESTIONS: usize = 20;

/// What an engine is told when it starts.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    pub clock: Clock,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            clock: job::system_clock,
        }
    }
}

/// A second job of a kind of which one at a time is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is already being done")]
pub struct AlreadyRunning;

struct SearchRequest {
    query: Query,
    generation: u64,
}

struct SuggestRequest {
    typed: String,
    context: Vec<TagName>,
    generation: u64,
}

/// What all threads of an engine share.
struct Core {
    library: Arc<Library>,
    catalog: Arc<CatalogStore>,
    events: Events,
    settings: EngineSettings,
    searches: Slot<SearchRequest>,
    suggestions: Slot<SuggestRequest>,
    jobs: Mutex<BTreeMap<JobId, Cancel>>,
    is_loading: AtomicBool,
    stop: Stop,
}

/// Tells the thread that follows the index to end, without waiting out its pause.
#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Waits; true when it is time to end.
    fn wait(&self, pause: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, pause, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

/// One open library and everything that works on it.
pub struct Engine {
    core: Arc<Core>,
    saver: Mutex<Saver>,
    background: Mutex<Option<Pool>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the threads. The catalog is empty until [`Engine::start_catalog`] or
    /// [`Engine::load_catalog_now`].
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn start(
        library: Library,
        settings: EngineSettings,
        events: Events,
    ) -> std::io::Result<Self> {
        let core = Arc::new(Core {
            library: Arc::new(library),
            catalog: Arc::new(CatalogStore::default()),
            events,
            settings,
            searches: Slot::default(),
            suggestions: Slot::default(),
            jobs: Mutex::default(),
            is_loading: AtomicBool::new(false),
            stop: Stop::default(),
        });
        let events = core.events.clone();
        core.catalog.subscribe(
            "front end",
            Box::new(move |swap| {
                events.send(Event::Catalog {
                    catalog: Arc::clone(&swap.catalog),
                    changed: swap.changed.clone(),
                });
                Ok(())
            }),
        );
        let saver = Saver::start(
            Arc::clone(&core.library),
            Arc::clone(&core.catalog),
            core.events.clone(),
            core.settings.clock,
        )?;
        let mut threads = Vec::new();
        for (name, work) in [
            ("search", Core::answer_searches as fn(&Core)),
            ("suggest", Core::answer_suggestions),
        ] {
            let core = Arc::clone(&core);
            threads.push(spawn(name, move || work(&core))?);
        }
        Ok(Self {
            background: Mutex::new(Some(Pool::new("background", 2)?)),
            core,
            saver: Mutex::new(saver),
            threads: Mutex::new(threads),
        })
    }

    /// The newest catalog; never waits.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.core.catalog.load()
    }

    pub fn library_name(&self) -> &str {
        self.core.library.name()
    }

    pub fn root(&self) -> &Path {
        self.core.library.root()
    }

    pub fn index_state(&self) -> IndexState {
        self.core.library.index_state()
    }

    /// Where the original of an entry lies.
    pub fn original_path(&self, entry_path: &str) -> PathBuf {
        self.core.library.original_path(entry_path)
    }

    /// Shows the first page, then loads everything in the background and goes on to
    /// follow what other processes write.
    pub fn start_catalog(&self) {
        let job = JobId::next();
        let core = Arc::clone(&self.core);
        let started = spawn("follow", move || {
            maintenance::load_first_page(&core.library, &core.catalog);
            let sequence = core.load_catalog(job, &Cancel::default());
            core.follow(sequence.unwrap_or(0));
        });
        match started {
            Ok(thread) => lock(&self.threads).push(thread),
            Err(error) => tracing::error!("cannot start a thread to load the catalog: {error}"),
        }
    }

    /// Loads the catalog again in the background.
    ///
    /// # Errors
    /// When it is being loaded already.
    pub fn reload_catalog(&self) -> Result<JobId, AlreadyRunning> {
        if self.core.is_loading.load(Ordering::Acquire) {
            return Err(AlreadyRunning);
        }
        Ok(self.run_job(|core, job, cancel| {
            core.load_catalog(job, cancel);
        }))
    }

    /// Loads the catalog and waits; `on` hears (done, total).
    ///
    /// # Errors
    /// When the library cannot be read, or `on` stopped it.
    pub fn load_catalog_now(
        &self,
        on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        maintenance::load_catalog(&self.core.library, &self.core.catalog, on).map(|_| ())
    }

    /// Searches in the background; a newer search cancels this one. Answered by
    /// [`Event::Found`].
    pub fn search(&self, query: Query, generation: u64) {
        self.core.searches.put(SearchRequest { query, generation });
    }

    pub fn search_now(&self, query: &Query) -> Found {
        let found = self.core.search(query, &Cancel::default());
        found.unwrap_or_else(|| Found {
            generation: 0,
            keys: Arc::default(),
            elapsed: Duration::ZERO,
            terms: Vec::new(),
            hint: None,
        })
    }

    /// Completes tags in the background; answered by [`Event::Suggestions`].
    pub fn suggest(&self, typed: String, context: Vec<TagName>, generation: u64) {
        self.core.suggestions.put(SuggestRequest {
            typed,
            context,
            generation,
        });
    }

    /// Reads the sidecar of a medium; answered by [`Event::Media`].
    pub fn load_media(&self, key: MediaKey) {
        let core = Arc::clone(&self.core);
        self.run(move || {
            let outcome = core
                .read_media(key)
                .map(Box::new)
                .map_err(|error| error.chain());
            core.events.send(Event::Media { key, outcome });
        });
    }

    /// Reads the sidecar of a medium and waits.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn media_now(&self, key: MediaKey) -> Result<Media, Error> {
        self.core.read_media(key)
    }

    /// Queues edits for the files; answered by [`Event::Saved`].
    pub fn save(&self, changes: Vec<(MediaKey, Vec<Edit>)>) -> JobId {
        let job = JobId::next();
        lock(&self.saver).save(job, to_changes(changes));
        job
    }

    /// Saves and waits. `on` hears (done, total) and may stop it.
    pub fn save_now(
        &self,
        changes: Vec<(MediaKey, Vec<Edit>)>,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> SaveReport {
        let core = &self.core;
        let now = (core.settings.clock)();
        save::save(&core.library, &core.catalog, to_changes(changes), now, on)
    }

    /// Queues a move to the trash; answered by [`Event::JobDone`].
    pub fn trash(&self, keys: Vec<MediaKey>, reason: &str) -> JobId {
        let job = JobId::next();
        lock(&self.saver).trash(job, keys, reason.to_owned());
        job
    }

    /// Rebuilds the index from the files in the background, then loads the catalog.
    pub fn rebuild(&self) -> JobId {
        self.run_job(|core, job, cancel| {
            let label = "rebuilding the index";
            match maintenance::rebuild(&core.library, &core.events, job, cancel) {
                Ok(summary) => {
                    core.load_catalog(job, cancel);
                    core.events.done(job, label, Ok(rebuild_summary(&summary)));
                }
                Err(error) => core.events.done(job, label, Err(error.chain())),
            }
        })
    }

    /// Rebuilds the index and waits.
    ///
    /// # Errors
    /// When the library cannot be read or the index cannot be written.
    pub fn rebuild_now(
        &self,
        on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
    ) -> Result<RebuildSummary, Error> {
        self.core.library.rebuild(on)
    }

    /// Compares files, sidecars and index in the background.
    pub fn verify(&self) -> JobId {
        self.run_job(|core, job, cancel| {
            let outcome = maintenance::verify(&core.library, &core.events, job, cancel)
                .map(|report| {
                    format!(
                        "{} checked, {} findings",
                        report.checked,
                        report.findings.len()
                    )
                })
                .map_err(|error| error.chain());
            core.events.done(job, "verifying", outcome);
        })
    }

    /// Compares files, sidecars and index, and waits.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn verify_now(
        &self,
        on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, Error> {
        self.core.library.verify(on)
    }

    /// Groups of media with the same bytes, by what their sidecars say.
    pub fn exact_duplicates(&self) -> Vec<duplicates::Group> {
        duplicates::exact_groups(&self.catalog())
    }

    /// Keeps the first of each group, merges the others into it and moves them to
    /// the trash; waits.
    pub fn remove_duplicates_now(
        &self,
        groups: &[duplicates::Group],
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> duplicates::RemovalReport {
        let core = &self.core;
        let now = (core.settings.clock)();
        duplicates::remove(&core.library, &core.catalog, groups, now, on)
    }

    /// Asks a job to stop at its next step.
    pub fn cancel(&self, job: JobId) {
        if let Some(cancel) = lock(&self.core.jobs).get(&job) {
            cancel.cancel();
        }
    }

    /// Ends everything: requests are forgotten, jobs stop at their next step, saves
    /// that are queued are written.
    pub fn shutdown(&self) {
        let core = &self.core;
        core.stop.stop();
        core.searches.close();
        core.suggestions.close();
        for cancel in lock(&core.jobs).values() {
            cancel.cancel();
        }
        lock(&self.saver).drain();
        drop(lock(&self.background).take());
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine ended by a panic");
            }
        }
    }

    fn run(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(pool) = &*lock(&self.background) {
            pool.run(task);
        } else {
            tracing::debug!("a task came after the end");
        }
    }

    fn run_job(&self, work: impl FnOnce(&Core, JobId, &Cancel) + Send + 'static) -> JobId {
        let (job, cancel) = (JobId::next(), Cancel::default());
        lock(&self.core.jobs).insert(job, cancel.clone());
        let core = Arc::clone(&self.core);
        self.run(move || {
            work(&core, job, &cancel);
            lock(&core.jobs).remove(&job);
        });
        job
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Core {
    fn search(&self, query: &Query, cancel: &Cancel) -> Option<Found> {
        let full_text = LibraryText(&self.library);
        search::search(
            query,
            &self.catalog.load(),
            &full_text,
            (self.settings.clock)(),
            cancel,
        )
    }

    fn answer_searches(&self) {
        while let Some((request, cancel)) = self.searches.take() {
            if let Some(found) = self.search(&request.query, &cancel) {
                let generation = request.generation;
                self.events.send(Event::Found {
                    generation,
                    found: Found {
                        generation,
                        ..found
                    },
                });
            }
        }
    }

    fn answer_suggestions(&self) {
        let suggester = Suggester::default();
        while let Some((request, cancel)) = self.suggestions.take() {
            let catalog = self.catalog.load();
            let suggestions =
                suggester.suggest(&catalog, &request.typed, &request.context, SUGGESTIONS);
            if !cancel.is_cancelled() {
                let generation = request.generation;
                self.events.send(Event::Suggestions {
                    generation,
                    suggestions,
                });
            }
        }
    }

    fn read_media(&self, key: MediaKey) -> Result<Media, Error> {
        self.library.read_sidecar(key).map(|sidecar| sidecar.media)
    }

    /// Loads everything and returns the index's sequence number, or `None` when it
    /// failed, which the front end has heard of.
    fn load_catalog(&self, job: JobId, cancel: &Cancel) -> Option<u64> {
        if self.is_loading.swap(true, Ordering::AcqRel) {
            self.events
                .notice(Level::Info, "the catalog is being loaded already");
            return None;
        }
        let mut progress = Progress::new(job, "loading the library");
        let loaded = maintenance::load_catalog(&self.library, &self.catalog, &mut |done, total| {
            progress.done = done;
            progress.total = Some(total);
            self.events.progress(progress.clone());
            if self.stop.wait(Duration::ZERO) {
                ControlFlow::Break(())
            } else {
                flow(cancel)
            }
        });
        self.is_loading.store(false, Ordering::Release);
        let label = "loading the library";
        match loaded {
            Ok(sequence) => {
                self.events.done(
                    job,
                    label,
                    Ok(format!("{} media", self.catalog.load().len())),
                );
                Some(sequence)
            }
            Err(error) => {
                self.events.done(job, label, Err(error.chain()));
                None
            }
        }
    }

    /// Applies what other processes write, until the end.
    fn follow(&self, mut sequence: u64) {
        let mut version = self.library.data_version().ok();
        while !self.stop.wait(FOLLOW_INTERVAL) {
            let newest = self.library.data_version().ok();
            if newest != version {
                version = newest;
                sequence = maintenance::follow(&self.library, &self.catalog, sequence);
            }
        }
    }
}

/// The full-text index of a library, as search asks for it.
struct LibraryText<'a>(&'a Library);

impl FullText for LibraryText<'_> {
    fn find(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        self.0
            .full_text(field, words)
            .map_err(|error| error.chain())
    }
}

fn to_changes(changes: Vec<(MediaKey, Vec<Edit>)>) -> Vec<Change> {
    changes
        .into_iter()
        .map(|(key, edits)| Change { key, edits })
        .collect()
}

fn rebuild_summary(summary: &RebuildSummary) -> String {
    let stopped = if summary.is_cancelled {
        ", stopped before the end"
    } else {
        ""
    };
    format!(
        "{} media indexed, {} problems{stopped}",
        summary.media,
        summary.errors.len()
    )
}
