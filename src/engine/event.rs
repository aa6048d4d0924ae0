//! What the engine tells its front end: one closed enum through one bounded
//! channel, and progress of which only the latest counts.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{
    cache::stats::Stats,
    fetching::SourceState,
    implications::Suggested,
    job::{JobId, Progress},
    search::{Found, Reason},
    suggest::Suggestion,
};
use crate::model::{
    catalog::Catalog,
    edit::Edit,
    id::{MediaId, MediaKey},
    mark::Mark,
    media::{Media, Pixels},
    operation::OperationId,
};
use crate::storage::Past;

/// Events that may wait for the front end before a worker has to.
const EVENT_CAPACITY: usize = 1024;

/// The stored sizes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureSize {
    /// Longest side at most 256 pixels.
    Thumbnail,
    /// Longest side at most 1024 pixels.
    Preview,
    /// Longest side at most 4096 pixels; decoded on demand, never stored.
    Full,
}

impl PictureSize {
    /// The longest side in pixels.
    pub fn max_side(self) -> u32 {
        match self {
            Self::Thumbnail => 256,
            Self::Preview => 1024,
            Self::Full => 4096,
        }
    }
}

/// The stages of an ingest, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Settled, hashed, known already?
    Door,
    /// Sidecars that travel with it.
    Metadata,
    /// Decoded once; perceptual hashes.
    Hashes,
    /// Stored in the library.
    Files,
    /// In the index.
    Commit,
    /// Thumbnails, events.
    After,
}

impl Stage {
    pub const ALL: [Self; 6] = [
        Self::Door,
        Self::Metadata,
        Self::Hashes,
        Self::Files,
        Self::Commit,
        Self::After,
    ];

    /// The short name on the monitor.
    pub fn name(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Metadata => "meta",
            Self::Hashes => "hash",
            Self::Files => "files",
            Self::Commit => "commit",
            Self::After => "after",
        }
    }
}

/// How the ingest of one file ended.
#[derive(Clone, Debug, PartialEq)]
pub enum IngestOutcome {
    Stored {
        key: MediaKey,
        id: MediaId,
    },
    /// Stored, but it cannot be shown here: too large, or a format without decoder.
    Kept {
        key: MediaKey,
        id: MediaId,
        reason: String,
    },
    /// Known already; what traveled with it was merged into the one we have.
    Duplicate {
        key: MediaKey,
        of: MediaId,
        of_name: String,
        merged_tags: usize,
    },
    /// Broken or no medium; moved to `quarantine/` with its reason.
    Quarantined {
        reason: String,
    },
    /// Thrown away for good before. A file that was to be moved is in `quarantine/`,
    /// any other where it was.
    Refused {
        reason: String,
    },
    /// Still growing, or locked: tried again by itself.
    Waiting {
        reason: String,
    },
    /// Left where it is; can be retried.
    Failed {
        reason: String,
    },
    Cancelled,
    /// Found in a folder and gone from there: another process took it, or its owner.
    Gone,
}

/// What happens in the ingest. `file` is a serial number of this run.
#[derive(Clone, Debug, PartialEq)]
pub enum IngestEvent {
    /// The number of files that wait.
    Queue {
        waiting: u64,
    },
    Started {
        file: u64,
        path: PathBuf,
    },
    /// A worker has the file, in another process or on another host.
    Taken {
        file: u64,
        /// Which one: `host:process`.
        by: String,
    },
    /// The file entered this stage.
    Stage {
        file: u64,
        stage: Stage,
    },
    Finished {
        file: u64,
        path: PathBuf,
        outcome: IngestOutcome,
        /// Time spent in each stage of [`Stage::ALL`], microseconds.
        stage_micros: [u32; 6],
    },
    State {
        paused: bool,
        workers: usize,
        /// The folder that is watched, if one is.
        watching: Option<PathBuf>,
        /// Watched by asking again and again, because the system cannot notify.
        polling: bool,
    },
}

/// An index that does not hold the whole library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexOffer {
    pub lack: IndexLack,
    /// Media that are in it, masks and the like included.
    pub indexed: u64,
    /// Media of the library.
    pub total: u64,
}

/// Why an index is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexLack {
    /// There was none.
    New,
    /// Making it was stopped.
    Unfinished,
    /// There is one that cannot be used, and why; another one takes its place.
    Unusable(String),
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// What one save did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaveReport {
    pub saved: Vec<MediaKey>,
    /// Those of them that were not so already.
    pub changed: Vec<MediaKey>,
    /// Not saved, and why.
    pub failed: Vec<(MediaKey, String)>,
    /// Saved, but the index could not follow.
    pub warnings: Vec<String>,
    /// Saved over what another program had written meanwhile: what became of both.
    pub merged: Vec<String>,
}

/// What an undo or a redo did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevertReport {
    /// The operation that was taken back, or done again.
    pub action: String,
    pub changed: usize,
    pub trashed: usize,
    /// What was left alone because it was changed since, or could not be done.
    pub left: Vec<String>,
    /// What is said of sidecars that another program wrote too.
    pub merged: Vec<String>,
    pub warning: Option<String>,
    pub is_cancelled: bool,
}

/// An unsaved step of a session that was broken off.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsaved {
    pub id: OperationId,
    pub action: String,
    pub changes: Vec<(MediaKey, Arc<[Edit]>)>,
}

/// Everything the engine tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new snapshot. `changed` names what differs from the one before; `None`
    /// means that everything may.
    Catalog {
        catalog: Arc<Catalog>,
        changed: Option<Vec<MediaKey>>,
    },
    Found {
        generation: u64,
        found: Found,
    },
    Suggestions {
        generation: u64,
        suggestions: Vec<Suggestion>,
    },
    /// A picture that was wished for, or why it cannot be shown.
    Picture {
        key: MediaKey,
        size: PictureSize,
        outcome: Result<Arc<Pixels>, String>,
    },
    /// A frame of an animation, from 0, or why there is none.
    Frame {
        key: MediaKey,
        number: u32,
        outcome: Result<Arc<Pixels>, String>,
    },
    /// The full sidecar of one medium, or why it cannot be read.
    Media {
        key: MediaKey,
        outcome: Result<Box<Media>, String>,
    },
    Saved {
        job: JobId,
        report: SaveReport,
    },
    /// Whether the journal has an unsaved step.
    Kept {
        number: u64,
        result: Result<(), String>,
    },
    /// Unsaved steps of earlier sessions; oldest first.
    Unsaved(Vec<Unsaved>),
    /// The answer to an undo or redo; `None`: there was nothing to do.
    Reverted {
        is_redo: bool,
        result: Result<Option<RevertReport>, String>,
    },
    /// The newest operations, newest first.
    History(Result<Vec<Past>, String>),
    /// An implication that the data suggest; `left` counts it and those after it.
    Implication {
        suggested: Option<Suggested>,
        left: usize,
        skip: usize,
    },
    /// What each term of a query says of a medium.
    Why(Vec<Reason>),
    /// The marks, when they are others than before.
    Marks(Arc<[Mark]>),
    /// The named searches, name to query.
    Searches(Result<BTreeMap<String, String>, String>),
    Ingest(IngestEvent),
    /// The index lacks media, and making it takes a while: only what it holds is
    /// shown until somebody wants the rest.
    IndexOffer(IndexOffer),
    /// What the cache did and holds.
    Cache(Box<Stats>),
    /// How the sources stand.
    Sources(Vec<SourceState>),
    /// A job ended: what it did, or why it failed.
    JobDone {
        job: JobId,
        label: String,
        outcome: Result<String, String>,
    },
    Notice {
        level: Level,
        text: String,
    },
}

/// The sending side; clones share the channel. Not for the thread that receives.
#[derive(Clone, Debug)]
pub struct Events {
    events: mpsc::Sender<Event>,
    progress: watch::Sender<Vec<Progress>>,
}

/// The receiving side: events in order, and the progress of the jobs that run.
#[derive(Debug)]
pub struct EventReceiver {
    pub events: mpsc::Receiver<Event>,
    pub progress: watch::Receiver<Vec<Progress>>,
}

/// A new channel.
pub fn channel() -> (Events, EventReceiver) {
    let (events, events_rx) = mpsc::channel(EVENT_CAPACITY);
    let (progress, progress_rx) = watch::channel(Vec::new());
    (
        Events { events, progress },
        EventReceiver {
            events: events_rx,
            progress: progress_rx,
        },
    )
}

impl Events {
    /// Sends an event, waiting while the channel is full. When nobody listens any
    /// more the event is dropped: the front end has ended.
    pub fn send(&self, event: Event) {
        if self.events.blocking_send(event).is_err() {
            tracing::debug!("an event came after the end");
        }
    }

    pub fn notice(&self, level: Level, text: impl Into<String>) {
        self.send(Event::Notice {
            level,
            text: text.into(),
        });
    }

    /// Replaces the progress of this job; never waits.
    pub fn progress(&self, progress: Progress) {
        self.progress.send_modify(|all| {
            match all.iter_mut().find(|known| known.job == progress.job) {
                Some(known) => *known = progress,
                None => all.push(progress),
            }
        });
    }

    /// Takes a job out of the progress that has nothing to say at its end.
    pub fn end_progress(&self, job: JobId) {
        self.progress
            .send_modify(|all| all.retain(|known| known.job != job));
    }

    /// Takes the job out of the progress and says how it ended.
    pub fn done(&self, job: JobId, label: impl Into<String>, outcome: Result<String, String>) {
        self.end_progress(job);
        self.send(Event::JobDone {
            job,
            label: label.into(),
            outcome,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_keeps_the_latest_of_each_job() {
        let (events, mut rx) = channel();
        let (first, second) = (JobId::next(), JobId::next());
        events.progress(Progress::new(first, "one"));
        events.progress(Progress::new(second, "two"));
        events.progress(Progress {
            done: 5,
            ..Progress::new(first, "one")
        });
        let done: Vec<_> = rx
            .progress
            .borrow_and_update()
            .iter()
            .map(|p| (p.job, p.done))
            .collect();
        assert_eq!(done, [(first, 5), (second, 0)]);
        events.done(first, "one", Ok("5 files".into()));
        assert_eq!(rx.progress.borrow().len(), 1);
        assert!(matches!(rx.events.try_recv(), Ok(Event::JobDone { job, .. }) if job == first));
    }
}
