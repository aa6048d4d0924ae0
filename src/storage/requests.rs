//! What callers hand to a library and what they get back: plain values.

use std::path::PathBuf;

use crate::model::{
    edit::Edit,
    entry::{Entry, FileFacts},
    id::{Md5, MediaId, MediaKey},
    media::Media,
};

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
    /// [`reindex_marked`](super::Library::reindex_marked).
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
    pub edits: Vec<Edit>,
}

/// A change that is on disk.
#[derive(Clone, Debug)]
pub struct Written {
    pub entry: Entry,
    /// Undoes the change, in this order; empty when nothing changed.
    pub inverse: Vec<Edit>,
    /// What went wrong besides, such as an index that has to catch up later.
    pub warning: Option<String>,
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
    /// Rows of media that no longer exist.
    pub removed: u64,
    /// Sidecars that could not be read, with the reason; their originals are indexed.
    pub errors: Vec<(PathBuf, String)>,
    /// Stopped before the end.
    pub is_cancelled: bool,
}
