//! One library on disk: its files, its SQLite index, its locks. Everything here
//! blocks, and knows nothing of threads that wait for it or of a screen.
//!
//! Invariant: files are the truth. Everything that changes them goes through
//! [`Library::write`], [`Library::store`], [`Library::merge_duplicate`],
//! [`Library::trash`] and [`Library::quarantine`]; the index follows, and one that
//! is lost is built again from the files.

mod error;
mod layout;
mod md5_lock;
mod path_text;
mod requests;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::{
    entry::Entry,
    id::{Md5, MediaId, MediaKey},
    media::Media,
    project::Project,
    sidecar::Sidecar,
};

pub use error::{Error, IndexCause};
pub use layout::{Layout, LayoutKind};
pub use md5_lock::Md5Lock;
pub use requests::{
    Change, Finding, Incoming, IndexState, RebuildProgress, RebuildSummary, Recognised, Stored,
    Transfer, VerifyProgress, VerifyReport, Written,
};

/// An open library. Cheap to share; every method blocks on the disk.
#[derive(Debug)]
pub struct Library {
    layout: Layout,
    name: String,
    id: String,
}

impl Library {
    /// Makes a library in a new or empty folder, or around the pictures of an
    /// existing one (in-place), and opens it.
    pub fn create(root: &Path, kind: LayoutKind, name: &str) -> Result<Self, Error> {
        let _ = (kind, name);
        Self::open(root)
    }

    /// Opens a library. Writes nothing but index, cache and locks; an index that
    /// is missing, damaged or newer stops nobody (see [`Library::index_state`]).
    pub fn open(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            layout: Layout::new(root.to_owned(), LayoutKind::Bucketed),
            name: String::new(),
            id: String::new(),
        })
    }

    /// The library that this path is in: the nearest folder upward that is one.
    pub fn find_around(start: &Path) -> Option<PathBuf> {
        start
            .ancestors()
            .find(|folder| matches!(Self::recognise(folder), Recognised::Library))
            .map(Path::to_owned)
    }

    /// What a folder is, for a caller that was given one and has to say something useful.
    pub fn recognise(folder: &Path) -> Recognised {
        if folder.join(layout::LIBRARY_FILE).is_file()
            || folder
                .join(layout::HIDDEN_HOME)
                .join(layout::LIBRARY_FILE)
                .is_file()
        {
            return Recognised::Library;
        }
        Recognised::Empty
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uuid in `library.json`, or a hash of the path where there is none.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn kind(&self) -> LayoutKind {
        self.layout.kind()
    }

    pub fn index_state(&self) -> IndexState {
        IndexState::Missing
    }

    /// The number of media, derived ones (masks, crops, frames) left out.
    pub fn count(&self) -> Result<u64, Error> {
        self.unavailable()
    }

    /// The first media in default order (newest import first, ties by id), derived
    /// ones left out: one indexed query.
    pub fn first_page(&self, limit: usize) -> Result<Vec<Entry>, Error> {
        let _ = limit;
        self.unavailable()
    }

    /// All media, derived ones too, in order of their keys. An index that is not
    /// complete is completed from the files first. `on` hears (done, total) and may
    /// stop it, which gives [`Error::Cancelled`].
    pub fn load_entries(
        &self,
        on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Vec<Entry>, Error> {
        let _ = on;
        self.unavailable()
    }

    /// One medium, or `None` when the index has no such key.
    pub fn entry(&self, key: MediaKey) -> Result<Option<Entry>, Error> {
        let _ = key;
        self.unavailable()
    }

    /// The media whose sidecar gives this md5; several in flat and in-place libraries.
    pub fn find_md5(&self, md5: &Md5) -> Result<Vec<(MediaKey, MediaId)>, Error> {
        let _ = md5;
        self.unavailable()
    }

    /// Media of this size whose md5 is not known: the door compares their bytes.
    pub fn find_size(&self, bytes: u64) -> Result<Vec<MediaKey>, Error> {
        let _ = bytes;
        self.unavailable()
    }

    /// Full text over caption, name, notes, file name and tags: all words must be
    /// there; `"a phrase"` in quotes, `word*` for a prefix.
    pub fn full_text(&self, field: Option<&str>, query: &str) -> Result<Vec<MediaKey>, Error> {
        let _ = (field, query);
        self.unavailable()
    }

    /// A number that changes when another connection (so another process) wrote to the index.
    pub fn data_version(&self) -> Result<i64, Error> {
        self.unavailable()
    }

    /// What changed since a sequence number: the newest number, the media written,
    /// the keys removed. 0 gives everything.
    pub fn changed_since(&self, sequence: u64) -> Result<(u64, Vec<Entry>, Vec<MediaKey>), Error> {
        let _ = sequence;
        self.unavailable()
    }

    /// The path of an original (or of anything else below the library) from the
    /// text in [`Entry::path`]. A text that would lead outside gives a path that
    /// does not exist.
    pub fn original_path(&self, entry_path: &str) -> PathBuf {
        self.layout
            .resolve(entry_path)
            .unwrap_or_else(|| self.layout.home().join("outside-the-library"))
    }

    /// The sidecar of a medium as it is on disk now, an empty one when there is
    /// none. Heals the index when its row was wrong.
    pub fn read_sidecar(&self, key: MediaKey) -> Result<Sidecar, Error> {
        let _ = key;
        self.unavailable()
    }

    /// Changes media. Files first: each sidecar is read now, edited, and written
    /// atomically if its bytes differ, the caption beside it likewise; then one
    /// index transaction for all. An index failure is a warning, never a failed
    /// change. One result per change, in order.
    pub fn write(&self, changes: Vec<Change>, now: i64) -> Vec<Result<Written, Error>> {
        let _ = now;
        changes.iter().map(|_| self.unavailable()).collect()
    }

    /// Files a picture and its sidecar, under the md5 lock that the caller holds.
    /// Nothing is in the index yet: [`Library::commit`]. The source of a move is
    /// still there: [`Library::finish_move`].
    pub fn store(&self, incoming: Incoming, now: i64) -> Result<Stored, Error> {
        let _ = (incoming, now);
        self.unavailable()
    }

    /// Enters stored media into the index, all in one transaction.
    pub fn commit(&self, stored: &[Stored]) -> Result<Vec<Entry>, Error> {
        let _ = stored;
        self.unavailable()
    }

    /// Removes the source of a move; does nothing for a copy or link.
    pub fn finish_move(&self, stored: &Stored) -> Result<(), Error> {
        let _ = stored;
        self.unavailable()
    }

    /// Merges what came with a duplicate (tags, urls, sources, origin) into the
    /// medium we have; what is there wins.
    pub fn merge_duplicate(
        &self,
        key: MediaKey,
        media: &Media,
        now: i64,
    ) -> Result<Written, Error> {
        let _ = (key, media, now);
        self.unavailable()
    }

    /// Moves media to the trash with their sidecars. One result per key, in order.
    pub fn trash(
        &self,
        keys: &[MediaKey],
        reason: &str,
        merged_into: Option<&MediaId>,
        now: i64,
    ) -> Vec<Result<(), Error>> {
        let _ = (reason, merged_into, now);
        keys.iter().map(|_| self.unavailable()).collect()
    }

    /// Puts a file into quarantine with the reason beside it and returns where it
    /// is now. The source is removed only for a move.
    pub fn quarantine(
        &self,
        source: &Path,
        how: Transfer,
        reason: &str,
        now: i64,
    ) -> Result<PathBuf, Error> {
        let _ = (source, how, reason, now);
        self.unavailable()
    }

    /// Takes the door's lock for an md5, across threads and processes.
    pub fn lock_md5(&self, md5: &Md5, timeout: Duration) -> Result<Md5Lock, Error> {
        md5_lock::lock(&self.layout.locks(), md5_lock::Purpose::Door, md5, timeout)
    }

    /// Brings the index to what the files say, 1 000 media a step. Stopped half
    /// way, the next call goes on where this one was.
    pub fn rebuild(
        &self,
        on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
    ) -> Result<RebuildSummary, Error> {
        let _ = on;
        self.unavailable()
    }

    /// Indexes again what a failed index write left behind; returns how many media.
    pub fn reindex_marked(&self) -> Result<usize, Error> {
        self.unavailable()
    }

    /// Compares every original with its md5, every sidecar with the schema, and
    /// every index row with its sidecar. Changes nothing.
    pub fn verify(
        &self,
        on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, Error> {
        let _ = on;
        self.unavailable()
    }

    /// The projects of the library, by file name.
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        Ok(Vec::new())
    }

    fn unavailable<T>(&self) -> Result<T, Error> {
        Err(Error::library(self.root(), "has no index yet"))
    }
}
