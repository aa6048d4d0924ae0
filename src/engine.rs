//! The engine: everything that takes time. Front ends ask it and hear back by
//! events; methods whose name ends in `_now` wait instead, for those without a
//! screen.
//!
//! Invariant: files first, then the index, then the catalog; the catalog is swapped
//! in [`catalog_store`] alone.

pub mod catalog_store;
pub mod companion;
pub mod decode;
pub mod demo;
pub mod duplicates;
pub mod event;
pub mod hashing;
pub mod implications;
pub mod ingest;
pub mod job;
pub mod maintenance;
mod outside;
pub mod pictures;
pub mod rating_guess;
pub mod save;
pub mod search;
pub mod source;
pub mod suggest;
pub mod tag_similarity;
pub mod tags;
pub mod thumbnail;
pub mod trash;
mod unhashed;
pub mod verify;
pub mod watch;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use self::{
    catalog_store::CatalogStore,
    decode::MemoryGate,
    event::{
        Event, Events, IndexLack, IndexOffer, Level, PictureSize, RevertReport, SaveReport, Unsaved,
    },
    ingest::{IngestParts, IngestPipeline, IngestSettings, Listener, Submission, Tally},
    job::{Cancel, Clock, JobId, Pool, Progress, Slot, lock, spawn, step_back},
    pictures::{Payloads, PictureParts, Pictures},
    save::{SaveStep, Saver, flow},
    search::{Found, Lookup},
    suggest::Suggester,
    thumbnail::{Stats, ThumbnailStore},
    watch::WatchSettings,
};
use crate::model::{
    catalog::{self, Catalog},
    edit::Edit,
    fact::{Album, Detail},
    id::MediaKey,
    media::Media,
    operation::OperationId,
    query::Query,
    tag::TagName,
};

use crate::storage::{PendingChange, TagDbStamp};
pub use unhashed::{HashProgress, HashReport};

/// The values of the floor below that front ends hand in and get back.
pub use crate::storage::{
    BackupProgress, BackupReport, Error, Finding, IndexState, JournalSurvey, LayoutKind, Library,
    Past, RebuildProgress, RebuildSummary, Recognised, Recovered, Repair, Repaired, RestoreReport,
    Transfer, Trashed, VerifyProgress, VerifyReport, VerifySettings, Which, merge_files,
    restore_backup,
};

/// Operations that the history shows on a screen.
const HISTORY: usize = 500;

/// How often an open library asks whether another process changed its index.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Turns of following after which an index that fell behind is tried again.
const REINDEX_TURNS: u64 = 5;

/// Completions offered at once.
const SUGGESTIONS: usize = 20;

/// How often the progress of an ingest is told.
const INGEST_PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What an engine is told when it starts.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    pub clock: Clock,
    /// Threads of the ingest; `None`: one fewer than cores.
    pub workers: Option<usize>,
    /// How long size and time of a file must not have changed before it is ingested.
    pub settle: Duration,
    /// Ask the ingest folder again and again instead of the system's notices.
    pub force_polling: bool,
    /// Bytes of thumbnails and previews that are kept.
    pub cache_bytes: u64,
    /// How long the trash keeps what is in it; 0: for ever.
    pub trash_days: u64,
    /// Whether an ingest takes what was thrown away for good.
    pub takes_purged: bool,
    /// Whether originals and sidecars are watched for what other programs do to them.
    pub watches_files: bool,
    /// Whether originals whose md5 nobody knows are read in the background.
    pub hashes_found: bool,
    /// Media that are taken into an index that lacks them without asking; the index
    /// of a small library is whole after that.
    pub index_unasked: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            clock: job::system_clock,
            workers: None,
            settle: Duration::from_secs(2),
            force_polling: false,
            cache_bytes: 1_000 << 20,
            trash_days: 60,
            takes_purged: false,
            watches_files: true,
            hashes_found: true,
            index_unasked: 1_000,
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
    thumbnails: Arc<ThumbnailStore>,
    ingest: IngestPipeline,
    events: Events,
    settings: EngineSettings,
    searches: Slot<SearchRequest>,
    suggestions: Slot<SuggestRequest>,
    jobs: Mutex<BTreeMap<JobId, Cancel>>,
    is_loading: AtomicBool,
    /// Wakes the thread that hashes what has no md5.
    unhashed: Slot<()>,
    /// Whether that is wanted in this session.
    hashes: AtomicBool,
    /// Up to which change of the index the catalog is.
    followed: AtomicU64,
    /// What the tag database looked like when it was read last.
    tags_read: Mutex<Option<TagDbStamp>>,
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
    pictures: Mutex<Pictures>,
    pools: Mutex<Option<Pools>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What runs where: nothing that somebody looks at waits behind a long job, and
/// orders to the ingest keep their order.
struct Pools {
    interactive: Pool,
    background: Pool,
    control: Pool,
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
        let library = Arc::new(library);
        let catalog = Arc::new(CatalogStore::default());
        let thumbnails = Arc::new(ThumbnailStore::new(library.layout().cache()));
        let memory = MemoryGate::default();
        let pictures = Pictures::start(PictureParts {
            library: Arc::clone(&library),
            catalog: Arc::clone(&catalog),
            thumbnails: Arc::clone(&thumbnails),
            memory: memory.clone(),
            events: events.clone(),
        })?;
        let ingest = IngestPipeline::new(
            IngestParts {
                library: Arc::clone(&library),
                catalog: Arc::clone(&catalog),
                thumbnails: Arc::clone(&thumbnails),
                memory,
                events: events.clone(),
            },
            settings.ingest(),
        )?;
        let core = Arc::new(Core {
            library,
            catalog,
            thumbnails,
            ingest,
            events,
            settings,
            searches: Slot::default(),
            suggestions: Slot::default(),
            jobs: Mutex::default(),
            is_loading: AtomicBool::new(false),
            unhashed: Slot::default(),
            hashes: AtomicBool::new(false),
            followed: AtomicU64::new(0),
            tags_read: Mutex::default(),
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
            ("hashes", Core::hash_unhashed),
        ] {
            let core = Arc::clone(&core);
            threads.push(spawn(name, move || work(&core))?);
        }
        Ok(Self {
            pools: Mutex::new(Some(Pools {
                interactive: Pool::new("interactive", 2)?,
                background: Pool::new("background", 2)?,
                control: Pool::new("control", 1)?,
            })),
            core,
            saver: Mutex::new(saver),
            pictures: Mutex::new(pictures),
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
    /// follow what other processes write. Where the index lacks more than a few
    /// media, loads what it holds and offers the rest: [`Event::IndexOffer`].
    pub fn start_catalog(&self) {
        let job = JobId::next();
        let core = Arc::clone(&self.core);
        core.hashes
            .store(core.settings.hashes_found, Ordering::Release);
        let started = spawn("follow", move || {
            maintenance::load_first_page(&core.library, &core.catalog);
            // From before the look for changes on, so that none falls between both.
            let touches = core.collect_touches();
            core.refresh_tags();
            if core.library.is_indexed() || core.begin_index(job) {
                core.load_catalog(job, &Cancel::default());
                core.take_up();
            }
            core.wake_hashing();
            core.thumbnails.trim(core.settings.cache_bytes);
            core.empty_old_trash(&Cancel::default());
            core.trim_journal();
            let _watcher = touches.and_then(|touches| core.hear_touches(touches));
            core.follow();
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
            if core.library.is_indexed() {
                core.load_catalog(job, cancel);
            } else {
                core.load_part(job);
            }
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
        self.core.refresh_tags();
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

    /// What each term of a query says of a medium; waits. Empty when it is not there.
    pub fn why_now(&self, query: &Query, key: MediaKey) -> Vec<search::Reason> {
        self.core.why(query, key, &Cancel::default())
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
        self.on(
            |pools| &pools.interactive,
            move || {
                let outcome = core
                    .read_media(key)
                    .map(Box::new)
                    .map_err(|error| error.chain());
                core.events.send(Event::Media { key, outcome });
            },
        );
    }

    /// Reads the sidecar of a medium and waits.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn media_now(&self, key: MediaKey) -> Result<Media, Error> {
        self.core.read_media(key)
    }

    /// Keeps unsaved edits in the journal; answered by [`Event::Kept`].
    pub fn keep(&self, step: SaveStep) {
        lock(&self.saver).keep(step);
    }

    /// Drops kept edits, by the numbers of their steps.
    pub fn discard(&self, numbers: Vec<u64>) {
        lock(&self.saver).discard(numbers);
    }

    /// Drops the unsaved edits of broken-off sessions that [`Event::Unsaved`] named.
    pub fn forget_unsaved(&self, ids: Vec<OperationId>) {
        lock(&self.saver).forget(ids);
    }

    /// Queues edits for the files, in order; answered by [`Event::Saved`].
    pub fn save(&self, steps: Vec<SaveStep>) -> JobId {
        let job = JobId::next();
        lock(&self.saver).save(job, steps);
        job
    }

    /// Saves one step and waits. `on` hears (done, total) and may stop it.
    pub fn save_now(
        &self,
        step: &SaveStep,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> SaveReport {
        let core = &self.core;
        save::save_step(&core.library, &core.catalog, step, core.now(), on)
    }

    /// Queues an undo or a redo; answered by [`Event::Reverted`].
    pub fn revert(&self, what: Which, is_redo: bool) {
        lock(&self.saver).revert(what, is_redo);
    }

    /// Undoes or redoes and waits; `None` when there is nothing to do.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or has no such operation.
    pub fn revert_now(
        &self,
        what: Which,
        is_redo: bool,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<RevertReport>, String> {
        let core = &self.core;
        let report = save::revert(&core.library, &core.catalog, what, is_redo, core.now(), on);
        core.refresh_tags();
        report
    }

    /// Reads what was done; answered by [`Event::History`].
    pub fn history(&self) {
        let core = Arc::clone(&self.core);
        self.on(
            |pools| &pools.interactive,
            move || {
                let past = core.library.history(HISTORY);
                let past = past.map_err(|error| error.chain());
                core.events.send(Event::History(past));
            },
        );
    }

    /// What was done, newest first; waits.
    pub fn history_now(&self, limit: usize) -> Result<Vec<Past>, Error> {
        self.core.library.history(limit)
    }

    /// What a crash interrupted is finished; waits. One report per operation.
    pub fn recover_now(&self) -> Result<Vec<Recovered>, Error> {
        self.core.library.recover(self.core.now())
    }

    /// Queues a move to the trash; answered by [`Event::JobDone`].
    pub fn trash(&self, keys: Vec<MediaKey>, reason: &str) -> JobId {
        let job = JobId::next();
        lock(&self.saver).trash(job, keys, reason.to_owned());
        job
    }

    /// What is in the trash, the newest first; waits.
    ///
    /// # Errors
    /// When the trash cannot be listed.
    pub fn trashed_now(&self) -> Result<Vec<Trashed>, Error> {
        self.core.library.trashed()
    }

    /// Brings media back from the trash and waits. `on` hears (done, total) and may
    /// stop it.
    pub fn restore_now(
        &self,
        items: &[Trashed],
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> trash::Report {
        let core = &self.core;
        trash::restore(&core.library, &core.catalog, items, core.now(), on)
    }

    /// Removes media in the trash for good and waits. `on` hears (done, total) and
    /// may stop it.
    pub fn purge_now(
        &self,
        items: &[Trashed],
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> trash::Report {
        let now = self.core.now();
        trash::purge(&self.core.library, &self.core.thumbnails, items, now, on)
    }

    /// Removes for good, in the background, what has been in the trash longer than
    /// the settings keep it.
    pub fn empty_old_trash(&self) {
        self.run_job(|core, _, cancel| core.empty_old_trash(cancel));
    }

    /// Rebuilds the index from the files in the background, then loads the catalog.
    /// One that is not whole is finished, and shown as it grows.
    pub fn rebuild(&self) -> JobId {
        self.run_job(|core, job, cancel| {
            if !core.library.is_indexed() {
                if core.load_catalog(job, cancel) {
                    core.take_up();
                    core.wake_hashing();
                }
                return;
            }
            let label = "rebuilding the index";
            match maintenance::rebuild(&core.library, &core.events, job, cancel) {
                Ok(summary) => {
                    core.load_catalog(job, cancel);
                    core.events.done(job, label, Ok(rebuild_summary(&summary)));
                    core.wake_hashing();
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
            let now = (core.settings.clock)();
            let (library, thumbnails) = (&core.library, &core.thumbnails);
            let outcome =
                verify::verify_with_progress(library, thumbnails, &core.events, job, now, cancel)
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

    /// Compares files, sidecars and index, and waits. Goes on where an interrupted
    /// one stopped, unless it is to `restart`.
    ///
    /// # Errors
    /// When the library cannot be read, or another process verifies it now.
    pub fn verify_now(
        &self,
        restart: bool,
        repair: Repair,
        on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, Error> {
        let core = &self.core;
        let settings = VerifySettings {
            restart,
            repair,
            dimensions: verify::dimensions,
            now: (core.settings.clock)(),
        };
        verify::verify(&core.library, &core.thumbnails, &settings, on)
    }

    /// Wishes for pictures, the most wanted first, in place of the wishes before.
    /// Answered by [`Event::Picture`].
    pub fn want_pictures(&self, wanted: Vec<(MediaKey, PictureSize)>) {
        lock(&self.pictures).want(wanted);
    }

    /// What a screen was sent for a picture before.
    pub fn payloads(&self) -> Payloads {
        let core = &self.core;
        Payloads::new(
            Arc::clone(&core.library),
            Arc::clone(&core.catalog),
            Arc::clone(&core.thumbnails),
        )
    }

    /// Ingests files and folders in the background, told by [`Event::Ingest`].
    /// Without `how`: moves what lies in the library's inbox, copies all else.
    pub fn ingest(&self, paths: Vec<PathBuf>, how: Option<Transfer>) -> JobId {
        self.run_job(move |core, job, cancel| {
            let submission = core.ingest.submit(paths, how);
            let tally = core.await_ingest(&submission, cancel, &mut |progress| {
                core.events.progress(Progress {
                    job,
                    ..progress.clone()
                });
            });
            core.events
                .done(job, "ingesting", Ok(ingest_summary(&tally)));
        })
    }

    /// Ingests files and folders and waits. The listener hears how each file ended,
    /// `on` how far it is.
    pub fn ingest_now(
        &self,
        paths: Vec<PathBuf>,
        how: Option<Transfer>,
        listener: Listener,
        cancel: &Cancel,
        on: &mut dyn FnMut(&Progress),
    ) -> Tally {
        let submission = self.core.ingest.submit_with(paths, how, Some(listener));
        self.core.await_ingest(&submission, cancel, on)
    }

    /// The folder whose files are filed into the library.
    pub fn inbox(&self) -> PathBuf {
        self.core.ingest.ingest_folder()
    }

    /// Whether files wait in a folder; looks no further than the first.
    pub fn has_files_now(folder: &Path) -> bool {
        ingest::Walk::new(folder).next().is_some()
    }

    /// Ingests what lies in the inbox now. Where it is watched the watcher looks
    /// again, so that no file is queued twice.
    pub fn scan_inbox(&self) {
        self.order(|ingest| {
            if !ingest.rescan() {
                ingest.submit(vec![ingest.ingest_folder()], Some(Transfer::Move));
            }
        });
    }

    /// Watches a folder, or no longer; answered by
    /// [`IngestEvent::State`](event::IngestEvent::State).
    pub fn watch(&self, folder: Option<PathBuf>) {
        let settings = folder.map(|folder| self.core.settings.watch(folder));
        let events = self.core.events.clone();
        self.order(move |ingest| match settings {
            None => ingest.stop_watching(),
            Some(settings) => {
                let folder = settings.folder.clone();
                if let Err(error) = ingest.watch(settings) {
                    let folder = folder.display();
                    events.notice(Level::Error, format!("cannot watch {folder}: {error}"));
                }
            }
        });
    }

    pub fn pause_ingest(&self, paused: bool) {
        self.order(move |ingest| ingest.pause(paused));
    }

    pub fn set_ingest_workers(&self, workers: usize) {
        self.order(move |ingest| ingest.set_workers(workers));
    }

    /// Tries a file that failed again.
    pub fn retry(&self, path: PathBuf) {
        self.order(move |ingest| ingest.retry(&path));
    }

    /// Tries every file that failed again.
    pub fn retry_all(&self) {
        self.order(|ingest| {
            ingest.retry_all();
        });
    }

    /// What the store of thumbnails did and holds; walks its folder.
    pub fn cache_stats_now(&self) -> Stats {
        self.core.thumbnails.stats()
    }

    /// Deletes thumbnails whose key matches and returns how many.
    pub fn clear_cache_now(&self, pattern: &str) -> u64 {
        self.core.thumbnails.clear(pattern)
    }

    /// From now on hashes originals whose md5 nobody knows in the background, as
    /// [`Engine::start_catalog`] does by itself.
    pub fn start_hashing(&self) {
        let core = &self.core;
        core.hashes
            .store(core.settings.hashes_found, Ordering::Release);
        core.wake_hashing();
    }

    /// Hashes the originals that may have a twin and whose md5 nobody knows, and
    /// waits: after that [`Engine::exact_duplicates`] knows all of them.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn hash_twins_now(
        &self,
        on: &mut dyn FnMut(HashProgress) -> ControlFlow<()>,
    ) -> Result<HashReport, Error> {
        let core = &self.core;
        unhashed::hash(&core.library, &core.catalog, true, &Cancel::default(), on)
    }

    /// Groups of media with the same bytes, by what their sidecars say or their
    /// originals were found to be.
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
        let now = core.now();
        duplicates::remove(&core.library, &core.catalog, groups, now, on)
    }

    /// Brings a backup up to date and waits.
    ///
    /// # Errors
    /// When the folder is not one for a backup of this library, or is full.
    pub fn back_up_now(
        &self,
        target: &Path,
        verify: bool,
        on: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport, Error> {
        let now = (self.core.settings.clock)();
        self.core.library.back_up(target, verify, now, on)
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
        core.unhashed.close();
        for cancel in lock(&core.jobs).values() {
            cancel.cancel();
        }
        lock(&self.pictures).stop();
        core.ingest.stop(false);
        lock(&self.saver).drain();
        drop(lock(&self.pools).take());
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine ended by a panic");
            }
        }
    }

    fn on(&self, pool: impl FnOnce(&Pools) -> &Pool, task: impl FnOnce() + Send + 'static) {
        if let Some(pools) = &*lock(&self.pools) {
            pool(pools).run(task);
        } else {
            tracing::debug!("a task came after the end");
        }
    }

    /// Gives an order to the ingest, after those before it.
    fn order(&self, order: impl FnOnce(&IngestPipeline) + Send + 'static) {
        let core = Arc::clone(&self.core);
        self.on(|pools| &pools.control, move || order(&core.ingest));
    }

    fn run_job(&self, work: impl FnOnce(&Core, JobId, &Cancel) + Send + 'static) -> JobId {
        let (job, cancel) = (JobId::next(), Cancel::default());
        lock(&self.core.jobs).insert(job, cancel.clone());
        let core = Arc::clone(&self.core);
        self.on(
            |pools| &pools.background,
            move || {
                work(&core, job, &cancel);
                lock(&core.jobs).remove(&job);
            },
        );
        job
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl EngineSettings {
    fn ingest(&self) -> IngestSettings {
        let defaults = IngestSettings::default();
        IngestSettings {
            workers: self.workers.unwrap_or(defaults.workers),
            clock: self.clock,
            settle: self.settle,
            takes_purged: self.takes_purged,
            ..defaults
        }
    }

    fn watch(&self, folder: PathBuf) -> WatchSettings {
        WatchSettings {
            settle: self.settle,
            force_polling: self.force_polling,
            clock: self.clock,
            ..WatchSettings::new(folder)
        }
    }
}

impl Core {
    /// Waits for the end of a submission, telling how far it is.
    fn await_ingest(
        &self,
        submission: &Arc<Submission>,
        cancel: &Cancel,
        on: &mut dyn FnMut(&Progress),
    ) -> Tally {
        let mut progress = Progress::new(JobId::next(), "ingesting");
        while !submission.wait(INGEST_PROGRESS_INTERVAL) {
            if cancel.is_cancelled() || self.stop.wait(Duration::ZERO) {
                self.ingest.cancel(submission);
            }
            let tally = submission.tally();
            progress.done = tally.done();
            progress.total = Some(submission.found());
            progress.errors = tally.failed + tally.quarantined;
            on(&progress);
        }
        submission.tally()
    }

    fn search(&self, query: &Query, cancel: &Cancel) -> Option<Found> {
        let lookup = LibraryLookup(&self.library);
        search::search(query, &self.catalog.load(), &lookup, self.now(), cancel)
    }

    fn why(&self, query: &Query, key: MediaKey, cancel: &Cancel) -> Vec<search::Reason> {
        let lookup = LibraryLookup(&self.library);
        let catalog = self.catalog.load();
        search::why(query, &catalog, &lookup, self.now(), cancel, key).unwrap_or_default()
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

    /// Reads a sidecar as it is now. What the index and the catalog said otherwise is
    /// put right.
    fn read_media(&self, key: MediaKey) -> Result<Media, Error> {
        let sidecar = self.library.read_sidecar(key)?;
        if let Some(entry) = self.library.entry(key)? {
            let catalog = self.catalog.load();
            if catalog.record(key).map(|record| record.to_entry()) != Some(entry.clone()) {
                self.catalog.apply(&[catalog::Change::Upsert(entry)]);
            }
        }
        Ok(sidecar.media)
    }

    /// Loads everything, an index that is not whole is finished first, and says
    /// whether it could; the front end has heard of it.
    fn load_catalog(&self, job: JobId, cancel: &Cancel) -> bool {
        if self.is_loading.swap(true, Ordering::AcqRel) {
            self.events
                .notice(Level::Info, "the catalog is being loaded already");
            return false;
        }
        let label = if self.library.is_indexed() {
            "loading the library"
        } else {
            "making the index"
        };
        let mut progress = Progress::new(job, label);
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
        match loaded {
            Ok(sequence) => {
                self.followed.store(sequence, Ordering::Release);
                self.events.done(
                    job,
                    label,
                    Ok(format!("{} media", self.catalog.load().len())),
                );
                true
            }
            Err(Error::Cancelled) if !self.library.is_indexed() => {
                self.load_part(job);
                let text = "stopped; :rebuild goes on where it was".to_owned();
                self.events.done(job, label, Ok(text));
                false
            }
            Err(error) => {
                self.events.done(job, label, Err(error.chain()));
                false
            }
        }
    }

    /// Takes the first media into an index that is not whole. Says whether it is now;
    /// otherwise what it holds is shown, and the rest is offered.
    fn begin_index(&self, job: JobId) -> bool {
        let label = "making the index";
        let mut progress = Progress::new(job, label);
        let limit = self.settings.index_unasked;
        let state = self.library.index_state();
        let begun = maintenance::begin_index(&self.library, limit, &mut |step| {
            progress.done = step.done;
            progress.total = Some(step.total);
            progress.errors = step.errors;
            self.events.progress(progress.clone());
            if self.stop.wait(Duration::ZERO) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.events.end_progress(job);
        let begun = match begun {
            Ok(None) => {
                if let IndexState::Unusable(reason) = state {
                    let text = format!("the index cannot be used ({reason}): made another one");
                    self.events.notice(Level::Warning, text);
                }
                return true;
            }
            Ok(Some(begun)) => Some(begun),
            Err(Error::Cancelled) => return false,
            Err(Error::Locked { .. }) => {
                let text = "another tagloupe makes the index of this library";
                self.events.notice(Level::Info, text);
                None
            }
            Err(error) => {
                self.events.done(job, label, Err(error.chain()));
                None
            }
        };
        self.load_part(job);
        if let Some(begun) = begun {
            self.events.send(Event::IndexOffer(IndexOffer {
                lack: match self.library.index_state() {
                    IndexState::Unusable(reason) => IndexLack::Unusable(reason),
                    _ if begun.is_old => IndexLack::Unfinished,
                    _ => IndexLack::New,
                },
                indexed: begun.indexed,
                total: begun.total,
            }));
        }
        false
    }

    /// Shows what an index holds that is not whole.
    fn load_part(&self, job: JobId) {
        match maintenance::load_part(&self.library, &self.catalog) {
            Ok(sequence) => self.followed.store(sequence, Ordering::Release),
            Err(error) => self
                .events
                .done(job, "loading the library", Err(error.chain())),
        }
    }

    fn empty_old_trash(&self, cancel: &Cancel) {
        let now = self.now();
        let days = self.settings.trash_days;
        let emptied = trash::empty_old(&self.library, &self.thumbnails, days, now, &mut || {
            if self.stop.wait(Duration::ZERO) {
                ControlFlow::Break(())
            } else {
                flow(cancel)
            }
        });
        match emptied {
            Ok(report) if report.done > 0 => {
                let n = report.done;
                let text = format!("{n} media that were in the trash for {days} days are gone");
                self.events.notice(Level::Info, text);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the trash is not emptied: {}", error.chain()),
        }
    }

    fn wake_hashing(&self) {
        if self.hashes.load(Ordering::Acquire) && self.library.is_indexed() {
            self.unhashed.put(());
        }
    }

    /// Hashes what has no md5, each time that somebody says that there may be some.
    fn hash_unhashed(&self) {
        step_back();
        while self.unhashed.take().is_some() {
            // Somebody else does it for all.
            let Ok(_only_one) = self.library.lock_hashing() else {
                continue;
            };
            let (job, cancel) = (JobId::next(), Cancel::default());
            lock(&self.jobs).insert(job, cancel.clone());
            // Asked for and shut down in the same moment.
            if self.stop.wait(Duration::ZERO) {
                cancel.cancel();
            }
            self.hash_once(job, &cancel);
            lock(&self.jobs).remove(&job);
        }
    }

    fn hash_once(&self, job: JobId, cancel: &Cancel) {
        let label = "hashing originals";
        let mut progress = Progress::new(job, label);
        let hashed = unhashed::hash(&self.library, &self.catalog, false, cancel, &mut |step| {
            progress.done = step.done;
            progress.total = Some(step.total);
            progress.errors = step.errors;
            self.events.progress(progress.clone());
            ControlFlow::Continue(())
        });
        match hashed {
            Ok(report) if report.is_cancelled => {
                self.hashes.store(false, Ordering::Release);
                let text = "stopped; the next start goes on".to_owned();
                self.events.done(job, label, Ok(text));
            }
            Ok(report) if report.hashed > 0 => {
                let text = format!("{} have their md5 now", report.hashed);
                self.events.done(job, label, Ok(text));
            }
            Ok(_) => self.events.end_progress(job),
            Err(error) => self.events.done(job, label, Err(error.chain())),
        }
    }

    /// The time, in seconds since 1970.
    fn now(&self) -> i64 {
        (self.settings.clock)()
    }

    /// What an index that is whole makes possible: to finish what a crash
    /// interrupted, and to look for what other programs changed.
    fn take_up(&self) {
        self.recover();
        self.offer_unsaved();
        self.refresh(JobId::next());
    }

    /// Finishes what a crash interrupted, and says so.
    fn recover(&self) {
        match self.library.recover(self.now()) {
            Ok(recovered) => self.tell_recovered(&recovered),
            Err(error) => {
                let text = format!("interrupted work is not finished: {}", error.chain());
                self.events.notice(Level::Error, text);
            }
        }
    }

    fn trim_journal(&self) {
        if let Err(error) = self.library.trim_journal(self.now()) {
            // It only grows; the next start tries again.
            tracing::warn!("old journals stay: {}", error.chain());
        }
    }

    fn tell_recovered(&self, recovered: &[Recovered]) {
        for operation in recovered {
            let level = if operation.left.is_empty() {
                Level::Info
            } else {
                Level::Warning
            };
            self.events.notice(level, operation.to_string());
        }
    }

    /// Hands the unsaved edits of broken-off sessions to this one.
    fn offer_unsaved(&self) {
        let found = match self.library.take_pending() {
            Ok(found) => found,
            Err(error) => {
                let text = format!("unsaved edits cannot be read: {}", error.chain());
                return self.events.notice(Level::Error, text);
            }
        };
        let catalog = self.catalog.load();
        let of_change = |change: PendingChange| {
            let edits: Arc<[Edit]> = change.edits.into();
            let keys = change.ids.into_iter();
            // One that left the library since has nothing to save.
            let keys = keys
                .filter_map(|id| catalog.key_of(&id))
                .collect::<Vec<_>>();
            keys.into_iter().map(move |key| (key, Arc::clone(&edits)))
        };
        let unsaved: Vec<Unsaved> = found
            .into_iter()
            .map(|pending| Unsaved {
                id: pending.id,
                action: pending.action,
                changes: pending.changes.into_iter().flat_map(of_change).collect(),
            })
            .collect();
        if !unsaved.is_empty() {
            self.events.send(Event::Unsaved(unsaved));
        }
    }

    /// Finds what changed behind the index since it was written last.
    fn refresh(&self, job: JobId) {
        let sequence = self.followed.load(Ordering::Acquire);
        let mut progress = Progress::new(job, "looking for changed files");
        let refreshed = maintenance::refresh(&self.library, &self.catalog, sequence, &mut |step| {
            progress.done = step.done;
            progress.total = Some(step.total);
            progress.errors = step.errors;
            self.events.progress(progress.clone());
            if self.stop.wait(Duration::ZERO) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.events.end_progress(job);
        match refreshed {
            Ok((sequence, summary)) => {
                self.followed.store(sequence, Ordering::Release);
                self.tell_given_back(&summary.given_back);
                self.follow_renamed();
            }
            // Another process is at it; what it finds is followed.
            Err(Error::Locked { .. }) => {}
            Err(error) => {
                let reason = error.chain();
                let text = format!("cannot look for changed files: {reason}");
                self.events.notice(Level::Warning, text);
            }
        }
    }

    /// Applies what other processes write, and brings the index up to files that it
    /// could not follow, until the end.
    fn follow(&self) {
        let follow = || {
            let sequence = self.followed.load(Ordering::Acquire);
            let newest = maintenance::follow(&self.library, &self.catalog, sequence);
            if newest != sequence {
                self.wake_hashing();
            }
            // A load that ended meanwhile knows better.
            let _ = self.followed.compare_exchange(
                sequence,
                newest,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
        };
        let mut version = self.library.data_version().ok();
        let mut turn = 0_u64;
        while !self.stop.wait(FOLLOW_INTERVAL) {
            turn += 1;
            self.refresh_tags();
            if turn.is_multiple_of(REINDEX_TURNS) && self.library.is_behind() {
                match self.library.catch_up(self.now()) {
                    Ok(finished) => {
                        self.tell_recovered(&finished);
                        follow();
                    }
                    Err(error) => tracing::warn!("the index is still behind: {}", error.chain()),
                }
            }
            let newest = self.library.data_version().ok();
            if newest != version {
                version = newest;
                if !self.catalog.load().is_complete() && self.library.is_indexed() {
                    // Another process has made the index whole.
                    self.load_catalog(JobId::next(), &Cancel::default());
                } else {
                    follow();
                }
            }
        }
    }
}

/// The index of a library, as search asks it.
struct LibraryLookup<'a>(&'a Library);

impl Lookup for LibraryLookup<'_> {
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        let found = self.0.full_text(field, words);
        found.map_err(|error| error.chain())
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        let read = self.0.details(detail, on);
        read.map_err(|error| error.chain())
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        self.0.albums().map_err(|error| error.chain())
    }
}

fn ingest_summary(tally: &Tally) -> String {
    let mut parts = vec![format!("{} stored", tally.stored + tally.kept)];
    for (n, what) in [
        (tally.duplicates, "duplicates"),
        (tally.quarantined, "in quarantine"),
        (tally.refused, "refused"),
        (tally.failed, "failed"),
        (tally.cancelled, "cancelled"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    parts.join(", ")
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

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, read_to_string};

    use super::*;

    #[test]
    fn a_sidecar_that_another_program_changed_is_seen_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let folder = root.join("images/ab/cd");
        create_dir_all(&folder).unwrap();
        let sidecar = folder.join("abcd.json");
        let put = |path: &Path, text: &str| {
            use std::io::Write as _;
            let mut file = std::fs::File::create(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        put(
            &folder.join("abcd.png"),
            "a picture, as far as storage knows",
        );
        put(
            &sidecar,
            r#"{"tags": [{"category": "general", "value": "fox"}], "related": {}, "metadata": {}}"#,
        );

        let (events, _receiver) = event::channel();
        let engine = Engine::start(library, EngineSettings::default(), events).unwrap();
        engine
            .rebuild_now(&mut |_| ControlFlow::Continue(()))
            .unwrap();
        engine
            .load_catalog_now(&mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        let key = engine.catalog().keys().next().unwrap();
        let version = engine.catalog().version();
        engine.media_now(key).unwrap();
        assert_eq!(engine.catalog().version(), version, "nothing had changed");

        let text = read_to_string(&sidecar).unwrap();
        put(&sidecar, &text.replace("fox", "badger"));
        engine.media_now(key).unwrap();
        let count = |value| engine.catalog().tag_count(&TagName::new("", value));
        assert_eq!((count("fox"), count("badger")), (0, 1));
    }
}
