//! What waits for an ingest worker: single files, folders that are walked only as
//! fast as workers take from them, and files that are tried again later.

#[cfg(feature = "redis")]
mod away;

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    super::{
        companion::is_spoken_for,
        event::IngestOutcome,
        job::{Cancel, lock},
    },
    walk::Walk,
};
use crate::{
    model::operation::{Operation, OperationId},
    storage::{Library, Transfer},
};

/// Single files that may wait; a watcher whose folder holds more keeps them there.
const READY: usize = 64;

/// Files that may wait for a later try before no more are taken from folders.
const DELAYED: usize = 4_096;

/// Paths taken from a folder at once.
const STEP: usize = 16;

/// How many files of a submission ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub stored: u64,
    pub kept: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    /// Thrown away for good before.
    pub refused: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Taken by somebody else before it was begun.
    pub gone: u64,
}

impl Tally {
    pub fn done(&self) -> u64 {
        let taken = self.stored + self.kept + self.duplicates;
        let left = self.cancelled + self.gone;
        taken + self.quarantined + self.refused + self.failed + left
    }

    /// One line for people: `3 stored, 1 duplicate`.
    pub fn summary(&self) -> String {
        let mut parts = vec![format!("{} stored", self.stored + self.kept)];
        let duplicates = if self.duplicates == 1 {
            "duplicate"
        } else {
            "duplicates"
        };
        for (count, what) in [
            (self.duplicates, duplicates),
            (self.kept, "of them cannot be shown here"),
            (self.quarantined, "put into quarantine"),
            (self.refused, "refused: thrown away before"),
            (self.failed, "failed"),
            (self.cancelled, "left alone"),
            (self.gone, "taken by others"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join(", ")
    }

    /// Counts one more.
    pub(super) fn count(&mut self, outcome: &IngestOutcome) {
        match outcome {
            IngestOutcome::Stored { .. } => self.stored += 1,
            IngestOutcome::Kept { .. } => self.kept += 1,
            IngestOutcome::Duplicate { .. } => self.duplicates += 1,
            IngestOutcome::Quarantined { .. } => self.quarantined += 1,
            IngestOutcome::Refused { .. } => self.refused += 1,
            IngestOutcome::Failed { .. } => self.failed += 1,
            IngestOutcome::Cancelled => self.cancelled += 1,
            IngestOutcome::Gone => self.gone += 1,
            IngestOutcome::Waiting { .. } => {}
        }
    }
}

/// Hears how each file of a submission ended.
pub type Listener = Box<dyn Fn(&Path, &IngestOutcome) + Send + Sync>;

/// Files that were handed in together.
pub struct Submission {
    /// `None`: decided for each file by where it lies.
    pub(super) how: Option<Transfer>,
    pub(super) cancel: Cancel,
    /// A watcher sees itself whether a file that was not ready comes to rest.
    pub(super) is_watched: bool,
    /// Undone together; the files of a watched folder are undone one by one.
    pub(super) group: Option<OperationId>,
    /// Whether what was thrown away for good may come back, whatever the settings say.
    pub(super) takes_purged: bool,
    /// Whether somebody else was asked for it, whom a worker here helps.
    pub(super) is_of_others: bool,
    listener: Option<Listener>,
    progress: Mutex<SubmissionProgress>,
    changed: Condvar,
}

#[derive(Default)]
struct SubmissionProgress {
    tally: Tally,
    /// Files that were taken and have not ended.
    open: u64,
    /// Nothing more will be taken.
    exhausted: bool,
    /// Files found so far by counting ahead.
    counted: u64,
}

impl Submission {
    pub(super) fn new(how: Option<Transfer>, is_watched: bool, listener: Option<Listener>) -> Self {
        Self {
            how,
            cancel: Cancel::default(),
            is_watched,
            group: None,
            takes_purged: false,
            is_of_others: false,
            listener,
            progress: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// For the files of a watched folder, offered one by one.
    pub fn watched(how: Transfer, listener: Listener) -> Self {
        Self::new(Some(how), true, Some(listener))
    }

    pub fn tally(&self) -> Tally {
        lock(&self.progress).tally
    }

    /// Files found so far; grows while folders are still being counted.
    pub fn found(&self) -> u64 {
        let progress = lock(&self.progress);
        progress.counted.max(progress.tally.done() + progress.open)
    }

    pub fn is_done(&self) -> bool {
        let progress = lock(&self.progress);
        progress.exhausted && progress.open == 0
    }

    /// Waits until every file has ended, at most for `limit`; false when it was too
    /// short.
    pub fn wait(&self, limit: Duration) -> bool {
        let progress = lock(&self.progress);
        let (progress, _) = self
            .changed
            .wait_timeout_while(progress, limit, |progress| {
                !(progress.exhausted && progress.open == 0)
            })
            .unwrap_or_else(PoisonError::into_inner);
        progress.exhausted && progress.open == 0
    }

    pub(super) fn count(&self, files: u64) {
        lock(&self.progress).counted += files;
    }

    fn open(&self, files: usize) {
        lock(&self.progress).open += files as u64;
    }

    fn exhaust(&self) {
        lock(&self.progress).exhausted = true;
        self.changed.notify_all();
    }

    /// A file ended; the listener hears of it first.
    pub(super) fn end(&self, path: &Path, outcome: &IngestOutcome) {
        if let Some(listener) = &self.listener {
            listener(path, outcome);
        }
        let mut progress = lock(&self.progress);
        progress.open = progress.open.saturating_sub(1);
        progress.tally.count(outcome);
        self.changed.notify_all();
    }
}

/// Failed files that are remembered for a retry of all.
const MAX_FAILED: usize = 100_000;

/// The files that failed and were left where they are.
#[derive(Default)]
pub(super) struct Failures(Mutex<BTreeMap<PathBuf, Arc<Submission>>>);

impl Failures {
    /// Remembers or forgets a file by how it ended.
    pub fn note(&self, item: &Item, outcome: &IngestOutcome) {
        let mut failed = lock(&self.0);
        if let IngestOutcome::Failed { reason } = outcome {
            tracing::warn!("not ingested: {}: {reason}", item.path.display());
            if failed.len() < MAX_FAILED {
                failed.insert(item.path.clone(), Arc::clone(&item.submission));
            }
        } else {
            failed.remove(&item.path);
        }
    }

    pub fn take(&self, path: &Path) -> Option<Arc<Submission>> {
        lock(&self.0).remove(path)
    }

    pub fn take_all(&self) -> BTreeMap<PathBuf, Arc<Submission>> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// One file on its way.
pub(super) struct Item {
    pub file: u64,
    pub path: PathBuf,
    pub submission: Arc<Submission>,
    /// Found in a folder, not named by anybody: nobody misses it when it is gone.
    pub is_found: bool,
    /// When it was first taken, so that patience has an end.
    pub since: Instant,
    /// Was given to others in vain: it is done here.
    #[cfg(feature = "redis")]
    pub is_local: bool,
    /// Which file it was when its ingest began, once others are told of it.
    #[cfg(feature = "redis")]
    pub fingerprint: Option<String>,
}

impl Item {
    /// What its ingest is in the journal.
    pub fn operation(&self, library: &Library) -> Operation {
        let name = self.path.file_name().unwrap_or_default();
        let mut operation = library.operation(format!("ingest {}", name.to_string_lossy()));
        operation.group = self.submission.group;
        operation
    }
}

struct Feed {
    submission: Arc<Submission>,
    paths: VecDeque<PathBuf>,
    walk: Option<Walk>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Item>,
    feeds: VecDeque<Feed>,
    delayed: BTreeMap<(Instant, u64), Item>,
    /// Workers that are just now taking paths from a folder.
    pulling: usize,
    /// Files that others have, who may give them back.
    away: usize,
    paused: bool,
    workers: usize,
    closed: Option<Close>,
}

/// How a queue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// After everything in it.
    Drain,
    /// Now; what waits is forgotten.
    Now,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    serial: AtomicU64,
}

impl Queue {
    /// Adds paths; folders among them are walked later.
    pub fn submit(&self, paths: Vec<PathBuf>, submission: &Arc<Submission>) {
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            drop(state);
            submission.exhaust();
            return;
        }
        state.feeds.push_back(Feed {
            submission: Arc::clone(submission),
            paths: paths.into(),
            walk: None,
        });
        self.changed.notify_all();
    }

    /// Cancels a submission and hands back its files that wait.
    pub fn forget(&self, submission: &Arc<Submission>) -> Vec<Item> {
        submission.cancel.cancel();
        let is_its = |item: &Item| Arc::ptr_eq(&item.submission, submission);
        let mut state = lock(&self.state);
        let feeds = state.feeds.len();
        state
            .feeds
            .retain(|feed| !Arc::ptr_eq(&feed.submission, submission));
        // One that is being pulled from just now ends by its flag.
        if state.feeds.len() < feeds {
            submission.exhaust();
        }
        let (forgotten, ready): (VecDeque<Item>, _) = state.ready.drain(..).partition(is_its);
        state.ready = ready;
        let mut forgotten = Vec::from(forgotten);
        for (due, item) in std::mem::take(&mut state.delayed) {
            if is_its(&item) {
                forgotten.push(item);
            } else {
                state.delayed.insert(due, item);
            }
        }
        self.changed.notify_all();
        forgotten
    }

    /// Adds one file if there is room for it.
    pub fn offer(&self, path: &Path, submission: &Arc<Submission>) -> bool {
        let mut state = lock(&self.state);
        if state.ready.len() >= READY || state.closed.is_some() {
            return false;
        }
        submission.count(1);
        submission.open(1);
        let item = self.item(path.to_owned(), submission, true);
        state.ready.push_back(item);
        self.changed.notify_all();
        true
    }

    /// Adds one file before all others.
    pub fn prefer(&self, path: &Path, submission: &Arc<Submission>) {
        let mut state = lock(&self.state);
        if state.closed.is_none() {
            submission.open(1);
            let item = self.item(path.to_owned(), submission, false);
            state.ready.push_front(item);
            self.changed.notify_all();
        }
    }

    /// Puts a file back until later. Hands it back when nothing waits any more.
    pub fn delay(&self, item: Item, pause: Duration) -> Option<Item> {
        let mut state = lock(&self.state);
        if state.closed == Some(Close::Now) || item.submission.cancel.is_cancelled() {
            return Some(item);
        }
        let due = (Instant::now() + pause, item.file);
        state.delayed.insert(due, item);
        self.changed.notify_all();
        None
    }

    /// The next file for the worker of this number, waiting for one; `None` when
    /// this worker is to end.
    pub fn take(&self, worker: usize) -> Option<Item> {
        let mut state = lock(&self.state);
        loop {
            if worker >= state.workers || state.closed == Some(Close::Now) {
                self.changed.notify_all();
                return None;
            }
            if !state.paused {
                if let Some(item) = state.next_item() {
                    return Some(item);
                }
                if state.delayed.len() < DELAYED
                    && let Some(feed) = state.feeds.pop_front()
                {
                    state = self.pull_into(state, feed);
                    continue;
                }
                if state.closed == Some(Close::Drain) && state.is_empty() {
                    self.changed.notify_all();
                    return None;
                }
            }
            let pause = state
                .delayed
                .first_key_value()
                .filter(|_| !state.paused)
                .map(|((due, _), _)| due.saturating_duration_since(Instant::now()));
            state = match pause {
                Some(pause) => {
                    self.changed
                        .wait_timeout(state, pause)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes a few paths from a submission without holding up the others.
    fn pull_into<'q>(
        &'q self,
        mut state: MutexGuard<'q, State>,
        feed: Feed,
    ) -> MutexGuard<'q, State> {
        state.pulling += 1;
        drop(state);
        let (items, feed) = self.pull(feed);
        let mut state = lock(&self.state);
        state.pulling -= 1;
        state.ready.extend(items);
        if let Some(feed) = feed {
            state.feeds.push_front(feed);
        }
        self.changed.notify_all();
        state
    }

    /// Takes a few paths from a submission; it comes back unless it is used up.
    fn pull(&self, mut feed: Feed) -> (Vec<Item>, Option<Feed>) {
        let mut items = Vec::new();
        while items.len() < STEP && !feed.submission.cancel.is_cancelled() {
            if let Some(walk) = &mut feed.walk {
                if let Some(path) = walk.next() {
                    items.push(self.item(path, &feed.submission, true));
                    continue;
                }
                for (folder, reason) in &walk.errors {
                    tracing::warn!("cannot read folder {}: {reason}", folder.display());
                }
                feed.walk = None;
                continue;
            }
            match feed.paths.pop_front() {
                Some(path) if is_spoken_for(&path) => {}
                Some(path) if path.is_dir() => feed.walk = Some(Walk::new(&path)),
                Some(path) => items.push(self.item(path, &feed.submission, false)),
                None => break,
            }
        }
        feed.submission.open(items.len());
        let used_up =
            feed.submission.cancel.is_cancelled() || (feed.walk.is_none() && feed.paths.is_empty());
        if used_up {
            feed.submission.exhaust();
        }
        (items, (!used_up).then_some(feed))
    }

    fn item(&self, path: PathBuf, submission: &Arc<Submission>, is_found: bool) -> Item {
        Item {
            file: self.serial.fetch_add(1, Ordering::Relaxed) + 1,
            path,
            submission: Arc::clone(submission),
            is_found,
            since: Instant::now(),
            #[cfg(feature = "redis")]
            is_local: false,
            #[cfg(feature = "redis")]
            fingerprint: None,
        }
    }

    /// A number for a file that does not go through the queue.
    pub fn single(&self, path: &Path, submission: &Arc<Submission>) -> Item {
        submission.open(1);
        submission.exhaust();
        self.item(path.to_owned(), submission, false)
    }

    /// Whether a worker would have to wait now.
    pub fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.ready.is_empty() && state.feeds.is_empty() && state.pulling == 0
    }

    pub fn waiting(&self) -> u64 {
        let state = lock(&self.state);
        let counted: u64 = state
            .feeds
            .iter()
            .map(|feed| {
                let progress = lock(&feed.submission.progress);
                progress
                    .counted
                    .saturating_sub(progress.tally.done() + progress.open)
            })
            .sum();
        counted + (state.ready.len() + state.delayed.len()) as u64
    }

    pub fn pause(&self, paused: bool) {
        lock(&self.state).paused = paused;
        self.changed.notify_all();
    }

    pub fn is_paused(&self) -> bool {
        lock(&self.state).paused
    }

    /// Workers with this number or a higher one end after their file.
    pub fn set_workers(&self, workers: usize) {
        lock(&self.state).workers = workers;
        self.changed.notify_all();
    }

    pub fn workers(&self) -> usize {
        lock(&self.state).workers
    }

    /// Ends the queue and hands back what is forgotten.
    pub fn close(&self, how: Close) -> Vec<Item> {
        let mut state = lock(&self.state);
        state.closed = Some(how);
        let mut forgotten = Vec::new();
        if how == Close::Now {
            forgotten.extend(state.ready.drain(..));
            forgotten.extend(std::mem::take(&mut state.delayed).into_values());
            for feed in state.feeds.drain(..) {
                feed.submission.exhaust();
            }
        } else {
            // A pause would never end.
            state.paused = false;
        }
        self.changed.notify_all();
        forgotten
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed.is_some()
    }
}

impl State {
    fn next_item(&mut self) -> Option<Item> {
        if let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= Instant::now()
        {
            return Some(entry.remove());
        }
        self.ready.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.feeds.is_empty()
            && self.delayed.is_empty()
            && self.pulling == 0
            && self.away == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_only_what_happened() {
        let tally = Tally {
            stored: 3,
            duplicates: 1,
            ..Tally::default()
        };
        assert_eq!(tally.summary(), "3 stored, 1 duplicate");
        let tally = Tally {
            kept: 1,
            quarantined: 2,
            ..Tally::default()
        };
        assert_eq!(
            tally.summary(),
            "1 stored, 1 of them cannot be shown here, 2 put into quarantine"
        );
    }
}
