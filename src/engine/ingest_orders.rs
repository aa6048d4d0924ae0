//! What a front end asks of the ingest.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Core, Engine, EngineSettings,
    cluster::{DeadFile, Retried, WorkerNews, WorkerTally},
    event::Level,
    ingest::{self, IngestPipeline, IngestSettings, Listener, Submission, Tally},
    job::{Cancel, JobId, Progress},
    watch::WatchSettings,
};
#[cfg(feature = "redis")]
use super::{
    cache::Failure,
    cluster::{Job, Report, Verdict},
    job::spawn_scoped,
};
#[cfg(feature = "redis")]
use crate::engine::cache::redis::board::Board;
use crate::storage::Transfer;

#[cfg(feature = "redis")]
const NO_SERVER: &str = "hosts meet at a Redis server, and none is named: set \
                         cache.redis_url, REDIS_URL, or REDIS_HOST";

#[cfg(not(feature = "redis"))]
const WITHOUT_REDIS: &str = "this program was built without Redis";

/// How often the progress of an ingest is told.
const INGEST_PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

impl Engine {
    /// Ingests files and folders in the background, told by
    /// [`Event::Ingest`](super::event::Event::Ingest). Without `how`: moves what lies
    /// in the library's inbox, copies all else.
    pub fn ingest(&self, paths: Vec<PathBuf>, how: Option<Transfer>) -> JobId {
        self.run_job(move |core, job, cancel| {
            let submission = core.ingest.submit(paths, how);
            let tally = core.await_ingest(&submission, cancel, &mut |progress| {
                core.events.progress(Progress {
                    job,
                    ..progress.clone()
                });
            });
            core.events.done(job, "ingesting", Ok(tally.summary()));
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

    /// Helps the ingest of others that share this library's Redis until it is
    /// cancelled, and waits. What is in hand then is finished, the rest handed back.
    ///
    /// # Errors
    /// When there is no Redis to meet the others at, or the index cannot be read.
    pub fn help_now(
        &self,
        cancel: &Cancel,
        on: &mut dyn FnMut(WorkerNews),
    ) -> Result<WorkerTally, String> {
        self.core.help(cancel, on)
    }

    /// The files that several workers died over, newest first; waits.
    ///
    /// # Errors
    /// When there is no Redis, or it does not answer.
    pub fn dead_files_now(&self) -> Result<Vec<DeadFile>, String> {
        self.core.dead_files()
    }

    /// Puts the files that several workers died over up for them again; waits.
    ///
    /// # Errors
    /// When there is no Redis, or it does not answer.
    pub fn retry_dead_now(&self) -> Result<Retried, String> {
        self.core.retry_dead()
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
    /// [`IngestEvent::State`](super::event::IngestEvent::State).
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

    /// Gives an order to the ingest, after those before it.
    pub(super) fn order(&self, order: impl FnOnce(&IngestPipeline) + Send + 'static) {
        let core = Arc::clone(&self.core);
        self.on(|pools| &pools.control, move || order(&core.ingest));
    }
}

impl EngineSettings {
    pub(super) fn ingest(&self) -> IngestSettings {
        let defaults = IngestSettings::default();
        IngestSettings {
            workers: self.workers.unwrap_or(defaults.workers),
            clock: self.clock,
            settle: self.settle,
            takes_purged: self.takes_purged,
            asks_sources: !self.sources.is_empty(),
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
    /// Lets workers elsewhere help from now on, where the settings name a Redis.
    #[cfg(feature = "redis")]
    pub(super) fn share_ingest(&self) {
        match self.board() {
            None => {}
            Some(Ok(board)) => {
                if let Err(error) = self.ingest.share(board, &self.cache) {
                    tracing::warn!("no worker is asked to help: {error}");
                }
            }
            // The cache has said so, too.
            Some(Err(failure)) => tracing::warn!("no worker is asked to help: {failure}"),
        }
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "as with Redis")]
    pub(super) fn share_ingest(&self) {}

    /// The board of this library; `None` without a Redis.
    #[cfg(feature = "redis")]
    fn board(&self) -> Option<Result<Board, Failure>> {
        let server = self.settings.cache.server()?;
        Some(Board::open(server, self.library.id()))
    }

    /// The board, where there has to be one.
    #[cfg(feature = "redis")]
    fn needed_board(&self) -> Result<Board, String> {
        let board = self.board().ok_or(NO_SERVER)?;
        board.map_err(|failure| failure.to_string())
    }

    #[cfg(feature = "redis")]
    fn dead_files(&self) -> Result<Vec<DeadFile>, String> {
        let dead = self.needed_board()?.put_aside();
        let dead = dead.map_err(|failure| failure.to_string())?;
        Ok(dead
            .into_iter()
            .filter_map(|dead| {
                let job: Job = serde_json::from_str(&dead.job).ok()?;
                let report: Report = serde_json::from_str(&dead.report).ok()?;
                let reason = match report.verdict {
                    Verdict::Failed(reason) => reason,
                    other => format!("{other:?}"),
                };
                let path = job.place.path(self.library.root());
                Some(DeadFile { path, reason })
            })
            .collect())
    }

    #[cfg(feature = "redis")]
    fn retry_dead(&self) -> Result<Retried, String> {
        let failed = |failure: Failure| failure.to_string();
        let mut board = self.needed_board()?;
        let mut retried = Retried::default();
        for dead in board.put_aside().map_err(failed)? {
            let Ok(mut job) = serde_json::from_str::<Job>(&dead.job) else {
                // Of a version that says it otherwise: that one may retry it.
                continue;
            };
            let path = job.place.path(self.library.root());
            match path.symlink_metadata() {
                Ok(found) => {
                    // It may have been mended.
                    job.stamp(&found);
                    let job = serde_json::to_string(&job).map_err(|error| error.to_string())?;
                    if board.put_up_again(&dead.entry, &job).map_err(failed)? {
                        retried.again.push(path);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    board.forget_dead(&dead.entry).map_err(failed)?;
                    retried.gone.push(path);
                }
                Err(error) => return Err(format!("cannot examine {}: {error}", path.display())),
            }
        }
        retried.workers = board.alive().map_err(failed)?.len();
        Ok(retried)
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "as with Redis")]
    fn dead_files(&self) -> Result<Vec<DeadFile>, String> {
        Err(WITHOUT_REDIS.to_owned())
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "as with Redis")]
    fn retry_dead(&self) -> Result<Retried, String> {
        Err(WITHOUT_REDIS.to_owned())
    }

    #[cfg(feature = "redis")]
    fn help(&self, cancel: &Cancel, on: &mut dyn FnMut(WorkerNews)) -> Result<WorkerTally, String> {
        let board = self.needed_board()?;
        std::thread::scope(|scope| {
            // What the others file is a duplicate here, too.
            let follower = spawn_scoped(scope, "follow", || {
                self.refresh(JobId::next());
                self.follow();
            });
            if let Err(error) = follower {
                return Err(format!("cannot start a thread: {error}"));
            }
            let tally = self.ingest.help(board, self.cache.origin(), cancel, on);
            self.stop.stop();
            Ok(tally)
        })
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "as with Redis")]
    fn help(&self, _: &Cancel, _: &mut dyn FnMut(WorkerNews)) -> Result<WorkerTally, String> {
        Err(WITHOUT_REDIS.to_owned())
    }

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
}
