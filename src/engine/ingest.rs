//! Ingest: how a file gets into the library. One function of six stages (door,
//! metadata, hashes, files, commit, after) is the only way in, for the watcher, the
//! command line and a scan alike.
//!
//! Invariants:
//! - The door's lock for an md5 is held from the question "known?" until the answer
//!   is in the index, so that no two threads or processes store one file twice. A
//!   waiter for a lock never holds one; the committer, who holds many, never waits.
//! - With copy or link the source is not touched, whatever becomes of it. With move
//!   it is removed after its commit, and only if it is still the file that was read.
//! - One bad file ends as a failed outcome and stops nobody.

mod commit;
mod door;
#[cfg(feature = "redis")]
mod giving;
mod hashes;
mod metadata;
mod queue;
mod run;
#[cfg(feature = "redis")]
mod taking;
mod telling;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread::JoinHandle,
    time::Duration,
};

use self::{
    commit::Committer,
    queue::{Close, Failures, Item, Queue},
    telling::Telling,
};
pub use self::{
    queue::{Listener, Submission, Tally},
    walk::{Walk, is_skipped_name},
};
use super::{
    catalog_store::CatalogStore,
    companion::is_companion_name,
    decode::{Limits, MemoryGate},
    event::{Event, Events, IngestEvent, IngestOutcome},
    job::{Cancel, Clock, lock, spawn, system_clock},
    thumbnail::ThumbnailStore,
    watch::{WatchSettings, Watcher},
};
use crate::storage::{Library, Transfer};

/// What an ingest works with; shared with the rest of the engine.
#[derive(Clone)]
pub struct IngestParts {
    pub library: Arc<Library>,
    pub catalog: Arc<CatalogStore>,
    pub thumbnails: Arc<ThumbnailStore>,
    pub memory: MemoryGate,
    pub events: Events,
}

/// How an ingest behaves.
#[derive(Clone)]
pub struct IngestSettings {
    /// Threads that take files; at least one.
    pub workers: usize,
    pub clock: Clock,
    /// How long size and time of a file must not have changed.
    pub settle: Duration,
    /// How long a file that never comes to rest is tried, when it was named and not
    /// found in a watched folder.
    pub patience: Duration,
    /// How long to wait for another process at the door.
    pub lock_timeout: Duration,
    /// Larger files are refused before they are read.
    pub max_bytes: u64,
    /// Files that are committed in one transaction.
    pub batch_files: usize,
    /// How long the first file of a batch waits for others.
    pub batch_wait: Duration,
    pub limits: Limits,
    /// Whether previews are stored besides thumbnails: they show at once what would
    /// else be decoded again, and cost as much as the rest of a small picture.
    pub store_previews: bool,
    /// Whether JSON of other programs that holds more than a sidecar has room for is
    /// kept below `raw/` when its picture is moved; else it is deleted.
    pub keep_raw: bool,
    /// Whether what was thrown away for good may come back.
    pub takes_purged: bool,
    /// Whether it is noted that sources are to be asked about what is stored.
    pub asks_sources: bool,
}

impl Default for IngestSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            workers: cores.saturating_sub(1).max(1),
            clock: system_clock,
            settle: Duration::from_secs(2),
            patience: Duration::from_mins(2),
            lock_timeout: Duration::from_mins(1),
            max_bytes: 2 << 30,
            batch_files: 32,
            batch_wait: Duration::from_millis(100),
            limits: Limits::default(),
            store_previews: true,
            keep_raw: true,
            takes_purged: false,
            asks_sources: false,
        }
    }
}

/// What all threads of an ingest share.
struct Shared {
    parts: IngestParts,
    settings: IngestSettings,
    queue: Queue,
    committer: Committer,
    /// Ends work at the next border between two stages.
    stop: Cancel,
    failures: Arc<Failures>,
    telling: Arc<Telling>,
    /// Once it shares its work with others.
    #[cfg(feature = "redis")]
    others: std::sync::OnceLock<giving::Others>,
}

/// The ingest of one library: its queue, its workers, its committer, its watcher.
///
/// Methods return at once unless they say that they wait, and none but
/// [`Self::ingest_one`] sends an event on the calling thread, which may be the one
/// that receives them. Dropping it ends the workers after the stage in hand.
pub struct IngestPipeline {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    helpers: Mutex<Vec<JoinHandle<()>>>,
    watcher: Mutex<Option<Watcher>>,
}

impl IngestPipeline {
    /// Starts the committer; workers start with the first file.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn new(parts: IngestParts, settings: IngestSettings) -> std::io::Result<Self> {
        let (committer, thread) = Committer::start(&parts, &settings)?;
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            committer,
            stop: Cancel::default(),
            failures: Arc::default(),
            #[cfg(feature = "redis")]
            others: std::sync::OnceLock::new(),
            telling: Arc::default(),
            parts,
            settings,
        });
        shared.queue.set_workers(shared.settings.workers.max(1));
        Ok(Self {
            shared,
            workers: Mutex::default(),
            helpers: Mutex::new(vec![thread]),
            watcher: Mutex::default(),
        })
    }

    /// Queues files and folders. `how` is `None` where [`Self::usual_transfer`] is
    /// to decide. A named hidden or unfinished file is taken, one found in a folder
    /// is not.
    pub fn submit(&self, paths: Vec<PathBuf>, how: Option<Transfer>) -> Arc<Submission> {
        self.submit_with(paths, how, None)
    }

    /// Like [`Self::submit`]; the listener hears how each file ended, on the thread
    /// that ended it.
    pub fn submit_with(
        &self,
        paths: Vec<PathBuf>,
        how: Option<Transfer>,
        listener: Option<Listener>,
    ) -> Arc<Submission> {
        let mut submission = Submission::new(how, false, listener);
        submission.group = Some(self.shared.parts.library.operation("ingest").id);
        let submission = Arc::new(submission);
        self.count_ahead(paths.clone(), &submission);
        self.shared.queue.submit(paths, &submission);
        self.start_workers();
        submission
    }

    /// Ingests one file on this thread and waits until it is in the index and its
    /// thumbnails are made. Does not wait for a file to come to rest.
    pub fn ingest_one(&self, path: &Path, how: Option<Transfer>) -> IngestOutcome {
        let (sender, receiver) = std::sync::mpsc::channel();
        let sender = Mutex::new(sender);
        let listener: Listener = Box::new(move |_, outcome| {
            // The receiver is gone only when its caller is.
            let _ = lock(&sender).send(outcome.clone());
        });
        // Marked as watched, so that an unready file comes back instead of waiting
        // in the queue.
        let submission = Arc::new(Submission::new(how, true, Some(listener)));
        let item = self.shared.queue.single(path, &submission);
        run::ingest(&self.shared, item);
        self.shared.committer.hurry();
        receiver.recv().unwrap_or(IngestOutcome::Cancelled)
    }

    /// Move for what lies in the library's own ingest or quarantine folder, copy for
    /// everything else.
    pub fn usual_transfer(&self, path: &Path) -> Transfer {
        self.shared.usual_transfer(path)
    }

    /// The library's ingest folder.
    pub fn ingest_folder(&self) -> PathBuf {
        self.shared.parts.library.layout().ingest()
    }

    /// Watches a folder, in place of the one before; what lies in it is moved into
    /// the library.
    ///
    /// # Errors
    /// When the folder cannot be made or the system has no thread to give.
    pub fn watch(&self, settings: WatchSettings) -> std::io::Result<()> {
        self.stop_watching();
        self.start_workers();
        let shared = Arc::downgrade(&self.shared);
        let announce = Arc::downgrade(&self.shared);
        let watcher = Watcher::start(
            settings,
            Box::new(move |path, submission| {
                shared
                    .upgrade()
                    .is_some_and(|shared| shared.queue.offer(path, submission))
            }),
            Box::new(move |folder, is_polling| {
                if let Some(shared) = announce.upgrade() {
                    shared.announce(folder.map(Path::to_owned), is_polling);
                }
            }),
        )?;
        *lock(&self.watcher) = Some(watcher);
        Ok(())
    }

    /// Stops watching and waits for the watcher's thread.
    pub fn stop_watching(&self) {
        let watcher = lock(&self.watcher).take();
        if let Some(watcher) = watcher {
            watcher.stop();
            self.shared.announce(None, false);
        }
    }

    /// Forgets the files of a submission that wait; those in work end at the border
    /// of their stage.
    pub fn cancel(&self, submission: &Arc<Submission>) {
        end_all(self.shared.queue.forget(submission));
    }

    /// Has the watcher look through its folder now; false when nothing is watched.
    pub fn rescan(&self) -> bool {
        lock(&self.watcher).as_ref().map(Watcher::rescan).is_some()
    }

    /// Holds back what waits; files in work go on.
    pub fn pause(&self, paused: bool) {
        self.shared.queue.pause(paused);
        self.announce();
    }

    pub fn is_paused(&self) -> bool {
        self.shared.queue.is_paused()
    }

    /// Changes the number of workers; those that are too many end after their file.
    pub fn set_workers(&self, workers: usize) {
        self.shared.queue.set_workers(workers.max(1));
        self.start_workers();
        self.announce();
    }

    pub fn workers(&self) -> usize {
        self.shared.queue.workers()
    }

    /// Files that wait, as far as they are counted.
    pub fn waiting(&self) -> u64 {
        self.shared.queue.waiting()
    }

    /// Tries a failed file again, before all others; any other path is submitted.
    pub fn retry(&self, path: &Path) {
        match self.shared.failures.take(path) {
            Some(submission) => {
                self.shared.queue.prefer(path, &submission);
                self.start_workers();
            }
            None => {
                self.submit(vec![path.to_owned()], None);
            }
        }
    }

    /// Tries every failed file again; returns how many.
    pub fn retry_all(&self) -> usize {
        let failed = self.shared.failures.take_all();
        for (path, submission) in &failed {
            self.shared.queue.prefer(path, submission);
        }
        self.start_workers();
        failed.len()
    }

    /// Ends the ingest and waits: files in work end at the border of their stage,
    /// and what is stored is committed. With `drain` everything that waits is done
    /// first. Nothing can be submitted afterwards.
    pub fn stop(&self, drain: bool) {
        self.stop_watching();
        let close = if drain { Close::Drain } else { Close::Now };
        if !drain {
            self.shared.stop.cancel();
        }
        end_all(self.shared.queue.close(close));
        let workers = std::mem::take(&mut *lock(&self.workers));
        join(workers);
        self.shared.stop.cancel();
        self.shared.committer.close();
        let helpers = std::mem::take(&mut *lock(&self.helpers));
        join(helpers);
        #[cfg(feature = "redis")]
        self.shared.telling.end();
    }

    /// Starts the threads that are missing.
    fn start_workers(&self) {
        if self.shared.queue.is_closed() {
            return;
        }
        let mut workers = lock(&self.workers);
        let wanted = self.shared.queue.workers();
        // A worker that was let go by a smaller number may be followed by a new one
        // of the same number: join it first.
        while workers.last().is_some_and(JoinHandle::is_finished) {
            join(workers.pop());
        }
        for number in workers.len()..wanted {
            let shared = Arc::clone(&self.shared);
            match spawn(&format!("ingest-{number}"), move || shared.work(number)) {
                Ok(thread) => workers.push(thread),
                Err(error) => {
                    tracing::warn!("cannot start ingest worker {number}: {error}");
                    break;
                }
            }
        }
    }

    /// Counts what a submission holds while it is being worked on, for the length of
    /// the queue; walking is a hundred times faster than reading.
    fn count_ahead(&self, paths: Vec<PathBuf>, submission: &Arc<Submission>) {
        let shared = Arc::downgrade(&self.shared);
        let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
        let is_picture =
            |path: &&PathBuf| path.file_name().is_none_or(|name| !is_companion_name(name));
        submission.count(files.iter().filter(is_picture).count() as u64);
        if folders.is_empty() {
            return;
        }
        let submission = Arc::clone(submission);
        let counting = spawn("ingest-count", move || {
            count_folders(&shared, &folders, &submission);
        });
        match counting {
            Ok(thread) => {
                let mut helpers = lock(&self.helpers);
                helpers.retain(|helper| !helper.is_finished());
                helpers.push(thread);
            }
            Err(error) => tracing::warn!("cannot count the files of a folder: {error}"),
        }
    }

    fn announce(&self) {
        let (folder, is_polling) = match &*lock(&self.watcher) {
            Some(watcher) => (Some(watcher.folder().to_owned()), watcher.is_polling()),
            None => (None, false),
        };
        self.shared.announce(folder, is_polling);
    }
}

impl Drop for IngestPipeline {
    fn drop(&mut self) {
        self.stop(false);
    }
}

impl Shared {
    fn work(&self, number: usize) {
        while let Some(item) = self.queue.take(number) {
            self.tell_waiting();
            run::ingest(self, item);
            if self.queue.is_idle() {
                self.committer.hurry();
            }
        }
    }

    /// Whether other hosts work on the same library.
    fn has_others(&self) -> bool {
        #[cfg(feature = "redis")]
        {
            self.others.get().is_some()
        }
        #[cfg(not(feature = "redis"))]
        {
            false
        }
    }

    fn tell_waiting(&self) {
        let waiting = self.queue.waiting();
        self.parts
            .events
            .send(Event::Ingest(IngestEvent::Queue { waiting }));
    }

    fn announce(&self, watching: Option<PathBuf>, polling: bool) {
        self.committer.tell(IngestEvent::State {
            paused: self.queue.is_paused(),
            workers: self.queue.workers(),
            watching,
            polling,
        });
    }

    fn usual_transfer(&self, path: &Path) -> Transfer {
        let layout = self.parts.library.layout();
        let inside = |folder: &Path| {
            path.starts_with(folder)
                || match (path.canonicalize(), folder.canonicalize()) {
                    (Ok(path), Ok(folder)) => path.starts_with(folder),
                    _ => false,
                }
        };
        if inside(&layout.ingest()) || inside(&layout.quarantine()) {
            Transfer::Move
        } else {
            Transfer::Copy
        }
    }
}

fn end_all(forgotten: Vec<Item>) {
    for item in forgotten {
        item.submission.end(&item.path, &IngestOutcome::Cancelled);
    }
}

fn count_folders(shared: &Weak<Shared>, folders: &[PathBuf], submission: &Submission) {
    let is_over = || {
        submission.cancel.is_cancelled()
            || shared
                .upgrade()
                .is_none_or(|shared| shared.stop.is_cancelled())
    };
    for folder in folders {
        let mut walk = Walk::new(folder);
        loop {
            let some = walk.by_ref().take(1_000).count();
            submission.count(some as u64);
            if let Some(shared) = shared.upgrade() {
                shared.tell_waiting();
            }
            if some == 0 || is_over() {
                break;
            }
        }
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the ingest ended by a panic");
        }
    }
}
