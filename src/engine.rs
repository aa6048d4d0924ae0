//! The engine: everything that takes time. Front ends ask it and hear back by
//! events; methods whose name ends in `_now` wait instead, for those without a
//! screen.
//!
//! Invariant: files first, then the index, then the catalog; the catalog is swapped
//! in [`catalog_store`] alone.

mod answers;
pub mod cache;
mod caching;
mod catalog_file;
pub mod catalog_store;
mod changes;
pub mod cluster;
pub mod companion;
pub mod decode;
pub mod demo;
pub mod duplicate_groups;
pub mod duplicates;
pub mod event;
pub mod fetching;
mod following;
mod frames;
pub mod hashing;
pub mod implications;
pub mod ingest;
mod ingest_orders;
pub mod job;
pub mod maintenance;
mod noted;
mod opening;
mod outside;
pub mod pictures;
pub mod rating_guess;
mod reading;
#[cfg(test)]
mod samples;
pub mod save;
pub mod search;
pub mod source;
pub mod suggest;
pub mod tag_counts;
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
        atomic::{AtomicBool, AtomicU64},
    },
    thread::JoinHandle,
    time::Duration,
};

use self::{
    answers::{SearchRequest, SuggestRequest},
    cache::{layer::Cache, settings::CacheSettings},
    caching::Aftermath,
    catalog_store::CatalogStore,
    decode::MemoryGate,
    duplicate_groups::KnownGroups,
    event::{Event, Events, PictureSize},
    fetching::Sources,
    frames::FrameRequest,
    ingest::{IngestParts, IngestPipeline},
    job::{Cancel, Clock, JobId, Pool, Slot, lock, spawn},
    noted::Noted,
    pictures::{Payloads, PictureParts, Pictures},
    save::Saver,
    source::settings::SourceSettings,
    thumbnail::ThumbnailStore,
};
use crate::{
    model::{catalog::Catalog, id::MediaKey, media::Media},
    storage::TagDbStamp,
};
pub use caching::{ListedPicture, ProjectPage, ProjectSummary};
pub use unhashed::{HashProgress, HashReport};

/// The values of the floor below that front ends hand in and get back.
pub use crate::storage::{
    BackupProgress, BackupReport, Error, Finding, IndexState, JournalSurvey, LayoutKind, Library,
    Past, RebuildProgress, RebuildSummary, Recognised, Recovered, Repair, Repaired, RestoreReport,
    Transfer, Trashed, VerifyProgress, VerifyReport, VerifySettings, Which, merge_files,
    restore_backup,
};

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
    pub cache: CacheSettings,
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
    /// The sources that are switched on, in the order of their priority.
    pub sources: Vec<SourceSettings>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            clock: job::system_clock,
            workers: None,
            settle: Duration::from_secs(2),
            force_polling: false,
            cache: CacheSettings::default(),
            trash_days: 60,
            takes_purged: false,
            watches_files: true,
            hashes_found: true,
            index_unasked: 1_000,
            sources: Vec::new(),
        }
    }
}

/// A second job of a kind of which one at a time is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is already being done")]
pub struct AlreadyRunning;

/// What all threads of an engine share.
struct Core {
    library: Arc<Library>,
    catalog: Arc<CatalogStore>,
    cache: Arc<Cache>,
    thumbnails: Arc<ThumbnailStore>,
    ingest: IngestPipeline,
    events: Events,
    settings: EngineSettings,
    searches: Slot<SearchRequest>,
    suggestions: Slot<SuggestRequest>,
    frames: Slot<FrameRequest>,
    memory: MemoryGate,
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
    aftermath: Aftermath,
    noted: Noted,
    sources: Sources,
    /// Whether sources are asked in this session about what is ingested.
    asks: AtomicBool,
    /// The groups of duplicates as they were found last.
    groups: Mutex<Option<KnownGroups>>,
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

    /// What a loop with progress returns: to end, or to go on.
    fn flow(&self) -> ControlFlow<()> {
        if self.wait(Duration::ZERO) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
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
        let cache = caching::open(&library, &settings);
        let thumbnails = Arc::new(ThumbnailStore::new(Arc::clone(&cache)));
        let memory = MemoryGate::default();
        let pictures = Pictures::start(PictureParts {
            library: Arc::clone(&library),
            catalog: Arc::clone(&catalog),
            thumbnails: Arc::clone(&thumbnails),
            memory: memory.clone(),
            events: events.clone(),
        })?;
        let sources = Sources::open(&settings.sources);
        let ingest = IngestPipeline::new(
            IngestParts {
                library: Arc::clone(&library),
                catalog: Arc::clone(&catalog),
                thumbnails: Arc::clone(&thumbnails),
                memory: memory.clone(),
                events: events.clone(),
            },
            settings.ingest(),
        )?;
        let core = Arc::new(Core {
            library,
            catalog,
            cache,
            thumbnails,
            ingest,
            events,
            settings,
            searches: Slot::default(),
            suggestions: Slot::default(),
            frames: Slot::default(),
            memory,
            jobs: Mutex::default(),
            is_loading: AtomicBool::new(false),
            unhashed: Slot::default(),
            hashes: AtomicBool::new(false),
            followed: AtomicU64::new(0),
            tags_read: Mutex::default(),
            stop: Stop::default(),
            aftermath: Aftermath::default(),
            noted: Noted::default(),
            sources,
            asks: AtomicBool::new(false),
            groups: Mutex::default(),
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
        core.follow_up_changes();
        core.follow_new_pictures();
        core.share_ingest();
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
            ("frames", Core::answer_frames),
            ("hashes", Core::hash_unhashed),
            ("aftermath", Core::do_aftermath),
            ("look-around", Core::look_around),
            ("noting", Core::do_noting),
            ("sources", Core::ask_sources),
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
        core.frames.close();
        core.unhashed.close();
        core.aftermath.close();
        core.noted.close();
        core.sources.close();
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

impl Core {
    /// The time, in seconds since 1970.
    fn now(&self) -> i64 {
        (self.settings.clock)()
    }
}
