//! What callers hand to a library and what they get back: plain values.

use std::path::PathBuf;

use crate::model::{
    edit::Edit,
    entry::{Entry, FileFacts},
    id::{Md5, MediaId, MediaKey},
    media::Media,
    operation::OperationId,
};

use super::{error::Error, journal::PendingChange};

/// Whether the index can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    Ready,
    /// There was none, or a rebuild was stopped half way: [`rebuild`](super::Library::rebuild).
    Missing,
    /// The one at the usual place is newer, damaged or foreign, and was left as it
    /// is; another one is in use and has to be rebuilt. Says why.
    Unusable(String),
    /// An index write failed after its files were written:
    /// [`catch_up`](super::Library::catch_up).
    Stale,
}

/// What a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    Library,
    /// No library, but this many pictures in it and below, counted up to
    /// [`Recognised::COUNT_LIMIT`].
    PicturesInside(usize),
    Empty,
    /// It does not exist.
    New,
    NotADirectory,
}

impl Recognised {
    /// How far the pictures of a folder that is no library are counted.
    pub const COUNT_LIMIT: usize = 10_000;
}

/// How a file gets into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The source stays, whatever happens.
    Copy,
    /// The source is removed once the medium is in the index.
    Move,
    /// A hard link, or a copy where the file system has none.
    Link,
}

/// A file that passed the door and is to be filed.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub source: PathBuf,
    pub how: Transfer,
    pub md5: Md5,
    /// Of the format found in the bytes, without dot.
    pub extension: String,
    /// Empty: the source's own name.
    pub original_name: String,
    pub media: Media,
}

/// A file that is in the library but not yet in the index.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: MediaId,
    pub facts: FileFacts,
    /// The medium as its sidecar now says it.
    pub media: Media,
    /// Library-relative path of the sidecar.
    pub sidecar: String,
    pub source: PathBuf,
    pub how: Transfer,
}

/// Edits of one medium.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: MediaKey,
    /// In order: the place of an operation in the list that comes along, and its
    /// edits.
    pub steps: Vec<(usize, Vec<Edit>)>,
}

/// Unsaved edits of a session that was broken off.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub id: OperationId,
    pub action: String,
    /// RFC 3339.
    pub at: String,
    pub changes: Vec<PendingChange>,
}

/// An operation that a crash had interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub action: String,
    /// RFC 3339.
    pub at: String,
    /// Media that had to be finished; the others were.
    pub media: usize,
    /// What stayed as it is, and why.
    pub left: Vec<String>,
    /// The fault is still there: the next start tries again.
    pub is_unfinished: bool,
}

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub id: OperationId,
    /// RFC 3339.
    pub at: String,
    pub host: String,
    pub user: String,
    pub action: String,
    pub media: usize,
    /// It filed pictures; undone, they go to the trash.
    pub is_ingest: bool,
    pub is_undone: bool,
    /// Still under way, or interrupted.
    pub is_unfinished: bool,
}

/// Which operation is undone or done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest of this user on this host.
    Newest,
    /// As `Newest`, leaving out ingests, which go on by themselves.
    NewestEdit,
    Named(OperationId),
}

/// What an undo or a redo did.
#[derive(Clone, Debug, Default)]
pub struct Reverted {
    /// Of the operation that was taken back or done again.
    pub action: String,
    /// Media as they are now.
    pub changed: Vec<Entry>,
    /// Media that left the library for the trash.
    pub removed: Vec<MediaKey>,
    /// What was left alone because it was changed since, and what failed.
    pub left: Vec<String>,
    /// What is said of sidecars that another program wrote too.
    pub merged: Vec<String>,
    pub warning: Option<String>,
    pub is_cancelled: bool,
    /// Something could not be written this time, and may be later.
    pub(super) is_unfinished: bool,
}

impl Reverted {
    /// Notes that one medium could not be brought to where it should be.
    pub(super) fn fail(&mut self, path: &str, error: &Error) {
        self.left.push(format!("{path}: {}", error.chain()));
        self.is_unfinished |= error.may_pass();
    }
}

/// A change that is on disk.
#[derive(Clone, Debug)]
pub struct Written {
    pub entry: Entry,
    pub is_changed: bool,
    /// How many tags it had before.
    pub tags_before: usize,
    /// What went wrong besides, such as an index that has to catch up later.
    pub warning: Option<String>,
    /// Another program had written the sidecar too: what became of both.
    pub merged: Option<String>,
}

/// A medium in the trash.
#[derive(Clone, Debug)]
pub struct Trashed {
    /// What it was, and where nobody took it will be again.
    pub id: MediaId,
    /// Library-relative path where it was and will be again.
    pub path: String,
    /// Library-relative path of the original in the trash; none where only its
    /// sidecar was left.
    pub original: Option<String>,
    /// When, in seconds since 1970.
    pub at: Option<i64>,
    /// On which host.
    pub by: String,
    pub reason: String,
    /// The medium that has its tags now.
    pub merged_into: Option<MediaId>,
    /// Of all its files.
    pub bytes: u64,
    /// What its sidecar says.
    pub media: Media,
    /// Library-relative path of the note.
    pub(super) note: String,
    pub(super) note_text: String,
    /// Library-relative, from the trash to where they belong.
    pub(super) files: Vec<(String, String)>,
}

/// A medium whose md5 nobody knows yet, and its file as the index noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhashed {
    pub key: MediaKey,
    /// Library-relative path of the original.
    pub path: String,
    pub bytes: u64,
    /// Seconds since 1970.
    pub modified: i64,
}

/// What touched files turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedAt {
    /// Media that were read again.
    pub changed: usize,
    /// As [`RebuildSummary::given_back`].
    pub given_back: Vec<PathBuf>,
    /// Library-relative paths of originals whose sidecar could not be read, and why.
    pub problems: Vec<(String, String)>,
    /// Something came, went or was renamed: [`refresh`](super::Library::refresh) tells.
    pub is_more: bool,
}

/// An original that another program renamed or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Library-relative, as its medium was known.
    pub from: String,
    /// Library-relative.
    pub to: String,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    pub done: u64,
    pub total: u64,
    /// How many of `done` were read by this run, and not by one that was stopped.
    pub read: u64,
    pub errors: u64,
}

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildSummary {
    pub media: u64,
    /// Originals without a sidecar.
    pub without_sidecar: u64,
    /// Sidecars whose original is gone.
    pub missing_originals: u64,
    /// Sidecars from which another program left out keys of ours since they were
    /// seen last. They are held, and given back by the next save.
    pub given_back: Vec<PathBuf>,
    /// Rows of media that no longer exist.
    pub removed: u64,
    /// Links to folders and pictures, which are no part of a library.
    pub links: Vec<PathBuf>,
    /// Sidecars that could not be read, with the reason; their originals are indexed.
    pub errors: Vec<(PathBuf, String)>,
    /// Stopped before the end.
    pub is_cancelled: bool,
}
