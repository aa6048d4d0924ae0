//! Several hosts at one ingest: what travels between the process that was given a
//! drop and the workers that help it, as plain data. The ways there are Redis
//! streams (`cache::redis::board`); both ends are in [`super::ingest`].
//!
//! A process with more files than its own threads take at once gives some away while
//! a worker is alive: one entry a file in the stream `tl:{library}:ingest`, read by
//! the consumer group `ingest`. A worker files it as the process itself would, then
//! acknowledges, deletes the entry and answers in one step.
//!
//! What is guaranteed, and by what:
//! - A file is filed once, whoever tries how often: by the door (md5 under a lock,
//!   known ones are duplicates) and by renames that replace nothing, not by Redis.
//! - A file is never lost: its source stays until it is in the library, and whoever
//!   gave it away takes it back when no worker answers, or when Redis has gone or
//!   forgotten it.
//! - The work of a dead worker is taken over: its entries rest, since nobody renews
//!   them, and others claim what rests. What several workers died over is put aside,
//!   in the stream `tl:{library}:ingest:dead`, and is a failed file for who gave it;
//!   it stays where it is, and is put up again when somebody asks for that.
//! - A file is on the board once: whoever gives it again, as processes do that watch
//!   the same folder, waits for the same entry, and all of them get the answer. One of
//!   them may do it after all; that it tells all who hear, and the others end with it.
//! - A worker takes no file for another: paths travel with size and time, and where
//!   they lead to something else, or nowhere, the file goes back to who gave it.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::event::IngestOutcome;
use crate::{
    model::{
        id::{MediaId, MediaKey},
        operation::OperationId,
    },
    storage::{Library, Transfer},
};

/// A key of no medium: what another host filed and this index does not hold yet.
pub const NO_KEY: MediaKey = MediaKey(u32::MAX);

/// A file to be ingested by whoever takes it, with everything that the drop said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The process that waits for the answer.
    pub giver: String,
    /// Its number there.
    pub file: u64,
    pub place: Place,
    pub bytes: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    pub how: How,
    /// What is undone together.
    pub group: Option<OperationId>,
    /// Found in a folder and not named by anybody.
    pub is_found: bool,
    /// Seen at rest by who watches its folder, who also sees it come to rest again.
    pub is_watched: bool,
    /// Taken even when it was thrown away for good before.
    pub takes_purged: bool,
}

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Below the library, wherever that is mounted.
    Library(String),
    /// The same path on every host.
    Path(String),
}

impl Place {
    /// `None`: a path that is no text does not travel.
    pub fn of(path: &Path, root: &Path) -> Option<Self> {
        match path.strip_prefix(root) {
            Ok(below) => Some(Self::Library(below.to_str()?.to_owned())),
            Err(_) => Some(Self::Path(path.to_str()?.to_owned())),
        }
    }

    pub fn path(&self, root: &Path) -> PathBuf {
        match self {
            Self::Library(below) => root.join(below),
            Self::Path(path) => PathBuf::from(path),
        }
    }
}

/// A [`Transfer`] that travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Copy,
    Move,
    Link,
}

impl From<Transfer> for How {
    fn from(how: Transfer) -> Self {
        match how {
            Transfer::Copy => Self::Copy,
            Transfer::Move => Self::Move,
            Transfer::Link => Self::Link,
        }
    }
}

impl From<How> for Transfer {
    fn from(how: How) -> Self {
        match how {
            How::Copy => Self::Copy,
            How::Move => Self::Move,
            How::Link => Self::Link,
        }
    }
}

impl Job {
    /// Notes which file it is.
    pub fn stamp(&mut self, found: &Metadata) {
        self.bytes = found.len();
        self.modified = (found.mtime(), found.mtime_nsec());
    }

    /// The same for every time that this file, as it is, is given away by anybody.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.place, self.bytes, self.modified)
    }

    /// Whether what lies there is the file that was given away.
    pub fn is_of(&self, found: &Metadata) -> bool {
        self.bytes == found.len() && self.modified == (found.mtime(), found.mtime_nsec())
    }
}

fn fingerprint(place: &Place, bytes: u64, modified: (i64, i64)) -> String {
    let place = match place {
        Place::Library(below) => format!("library {below}"),
        Place::Path(path) => format!("path {path}"),
    };
    let (seconds, nanoseconds) = modified;
    let text = format!("{place}\n{bytes} {seconds} {nanoseconds}");
    format!("{:x}", md5::compute(text))
}

/// [`Job::fingerprint`] of what lies at a path now; `None` where nothing does, or
/// what cannot be told.
pub fn fingerprint_at(path: &Path, root: &Path) -> Option<String> {
    let found = path.symlink_metadata().ok()?;
    let modified = (found.mtime(), found.mtime_nsec());
    Some(fingerprint(&Place::of(path, root)?, found.len(), modified))
}

/// A process that waits for a file, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Waiting {
    pub giver: String,
    pub file: u64,
}

/// What a worker tells of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// All who gave it: those who watch the same folder give the same files.
    pub givers: Vec<Waiting>,
    pub place: Place,
    /// Of the file that lay there, for those who gave it and whom the teller does not
    /// know of; `None` where it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The worker: `host:process`.
    pub by: String,
    pub verdict: Verdict,
}

/// How far a file came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A worker has it.
    Taken,
    Stored(Filed),
    Kept {
        filed: Filed,
        reason: String,
    },
    Duplicate {
        of: Filed,
        of_name: String,
        merged_tags: usize,
    },
    Quarantined(String),
    Refused(String),
    Waiting(String),
    Failed(String),
    /// Neither done nor failed: the worker cannot see that file, or had to leave it.
    Back,
}

/// A medium, as hosts with indexes of their own call it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filed {
    pub id: MediaId,
    /// Its original, below the library; empty where it is not known.
    pub path: String,
}

impl Report {
    /// What all who hear are told, as a message of `origin`.
    pub fn news(&self, origin: &str) -> String {
        json!({"from": origin, "ingest": self}).to_string()
    }

    /// The number of the file at that giver; `None` for one that did not give it.
    pub fn number_for(&self, giver: &str) -> Option<u64> {
        let mut givers = self.givers.iter();
        let waiting = givers.find(|waiting| waiting.giver == giver)?;
        Some(waiting.file)
    }
}

impl Verdict {
    /// What a worker tells of an outcome; `path_of` gives the original of a medium.
    pub fn of(outcome: &IngestOutcome, path_of: impl Fn(MediaKey) -> String) -> Self {
        let filed = |key: MediaKey, id: &MediaId| Filed {
            id: id.clone(),
            path: path_of(key),
        };
        match outcome {
            IngestOutcome::Stored { key, id } => Self::Stored(filed(*key, id)),
            IngestOutcome::Kept { key, id, reason } => Self::Kept {
                filed: filed(*key, id),
                reason: reason.clone(),
            },
            IngestOutcome::Duplicate {
                key,
                of,
                of_name,
                merged_tags,
            } => Self::Duplicate {
                of: filed(*key, of),
                of_name: of_name.clone(),
                merged_tags: *merged_tags,
            },
            IngestOutcome::Quarantined { reason } => Self::Quarantined(reason.clone()),
            IngestOutcome::Refused { reason } => Self::Refused(reason.clone()),
            IngestOutcome::Waiting { reason } => Self::Waiting(reason.clone()),
            IngestOutcome::Failed { reason } => Self::Failed(reason.clone()),
            IngestOutcome::Cancelled | IngestOutcome::Gone => Self::Back,
        }
    }

    /// As [`Self::of`], in a library with an index that knows the medium.
    pub fn filed_in(library: &Library, outcome: &IngestOutcome) -> Self {
        Self::of(outcome, |key| {
            let found = library.entry(key).ok().flatten();
            found.map_or_else(String::new, |entry| entry.path)
        })
    }

    /// The medium it led to.
    pub fn filed(&self) -> Option<&Filed> {
        match self {
            Self::Stored(filed) | Self::Kept { filed, .. } | Self::Duplicate { of: filed, .. } => {
                Some(filed)
            }
            _ => None,
        }
    }

    /// The outcome, for an index that calls the medium `key`; `None` when it has not
    /// ended.
    pub fn outcome(self, key: MediaKey) -> Option<IngestOutcome> {
        Some(match self {
            Self::Stored(filed) => IngestOutcome::Stored { key, id: filed.id },
            Self::Kept { filed, reason } => IngestOutcome::Kept {
                key,
                id: filed.id,
                reason,
            },
            Self::Duplicate {
                of,
                of_name,
                merged_tags,
            } => IngestOutcome::Duplicate {
                key,
                of: of.id,
                of_name,
                merged_tags,
            },
            Self::Quarantined(reason) => IngestOutcome::Quarantined { reason },
            Self::Refused(reason) => IngestOutcome::Refused { reason },
            Self::Waiting(reason) => IngestOutcome::Waiting { reason },
            Self::Failed(reason) => IngestOutcome::Failed { reason },
            Self::Taken | Self::Back => return None,
        })
    }
}

/// What a worker tells its own front end.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerNews {
    /// It is known to the others, as this.
    Joined { name: String },
    /// Redis does not answer, and why; it goes on when it does.
    Lost(String),
    /// A file ended.
    Ended {
        path: PathBuf,
        outcome: IngestOutcome,
    },
    /// A file that several workers died over was put aside.
    PutAside { path: PathBuf, reason: String },
    /// Files that go back to the others at the end.
    HandedBack(usize),
}

/// A file that was put aside, since several workers died over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadFile {
    pub path: PathBuf,
    pub reason: String,
}

/// What became of files that had been put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Put up for the workers again.
    pub again: Vec<PathBuf>,
    /// No longer where they were, and forgotten.
    pub gone: Vec<PathBuf>,
    /// Workers that are there to take them.
    pub workers: usize,
}

/// How many files a worker ended in which way, at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerTally {
    pub ended: super::ingest::Tally,
    /// Not seen from here, or left to others at the end.
    pub handed_back: u64,
    /// Put aside, since several workers died over them.
    pub put_aside: u64,
    /// Of those that it took: work of others, who had left it.
    pub taken_over: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_library_is_found_wherever_that_is() {
        let place = Place::of(Path::new("/mnt/a/ingest/x.png"), Path::new("/mnt/a")).unwrap();
        assert_eq!(place.path(Path::new("/b")), Path::new("/b/ingest/x.png"));
        let place = Place::of(Path::new("/drop/x.png"), Path::new("/mnt/a")).unwrap();
        assert_eq!(place.path(Path::new("/b")), Path::new("/drop/x.png"));
    }

    #[test]
    fn what_is_told_arrives() {
        let id: MediaId = "abc".parse().unwrap();
        let outcomes = [
            IngestOutcome::Stored {
                key: MediaKey(7),
                id: id.clone(),
            },
            IngestOutcome::Kept {
                key: MediaKey(7),
                id: id.clone(),
                reason: "too large".into(),
            },
            IngestOutcome::Duplicate {
                key: MediaKey(7),
                of: id,
                of_name: "fox".into(),
                merged_tags: 2,
            },
            IngestOutcome::Quarantined { reason: "a".into() },
            IngestOutcome::Refused { reason: "b".into() },
            IngestOutcome::Waiting { reason: "c".into() },
            IngestOutcome::Failed { reason: "d".into() },
        ];
        for outcome in outcomes {
            let report = Report {
                givers: vec![Waiting {
                    giver: "one".into(),
                    file: 3,
                }],
                place: Place::Library("ingest/x.png".into()),
                fingerprint: Some("abc".into()),
                by: "two".into(),
                verdict: Verdict::of(&outcome, |key| format!("images/{}.png", key.0)),
            };
            let text = serde_json::to_string(&report).unwrap();
            let back: Report = serde_json::from_str(&text).unwrap();
            assert_eq!(back, report);
            let key = back.verdict.filed().map_or(NO_KEY, |filed| {
                assert_eq!(filed.path, "images/7.png");
                MediaKey(7)
            });
            assert_eq!(back.verdict.outcome(key), Some(outcome));
        }
        let left = Verdict::of(&IngestOutcome::Cancelled, |_| String::new());
        assert_eq!((left.clone(), left.outcome(NO_KEY)), (Verdict::Back, None));
    }
}
