//! One library on disk: its files, its SQLite index, its locks. Everything here
//! blocks, and knows nothing of threads that wait for it or of a screen.
//!
//! Invariant: files are the truth. Everything that changes them goes through
//! [`Library::write`], [`Library::store`], [`Library::merge_duplicate`],
//! [`Library::trash`], [`Library::restore`], [`Library::purge`] and
//! [`Library::quarantine`]; the index follows, and one that
//! is lost is built again from the files.

mod backup;
mod change;
mod desk;
mod error;
mod files;
mod findings;
mod ignore_rules;
mod inbox;
mod index;
mod index_choice;
mod intake;
mod journal;
mod layout;
mod library_file;
mod marks;
mod md5_lock;
mod merge_files;
mod outside;
mod parallel;
mod path_text;
mod purge;
mod reads;
mod rebuild;
mod recover;
mod relink;
mod remote_lock;
mod requests;
mod saved_searches;
mod scan;
mod scan_list;
mod shelf;
mod snapshot;
mod state;
mod tag_database;
mod tombstones;
mod trash;
mod undo;
mod verify;
mod writes;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use crate::model::{entry::Entry, id::Md5};

use desk::Desk;
use index_choice::OpenIndex;
use journal::Journal;
use rebuild::Extent;
use shelf::Shelf;
use state::State;
use tombstones::Tombstones;

pub use backup::{BackupProgress, BackupReport, RestoreReport, restore as restore_backup};
pub use error::{Error, IndexCause};
pub use findings::{Finding, Repair, Repaired, VerifyProgress, VerifyReport, VerifySettings};
pub use index::Moment;
pub use journal::{JournalSurvey, PendingChange};
pub use layout::{Layout, LayoutKind};
pub use md5_lock::Md5Lock;
pub use merge_files::merge_files;
pub use remote_lock::{RemoteGuard, RemoteLocks, Taken};
pub use requests::{
    Change, Followed, Incoming, IndexState, LookedAt, Past, Pending, RebuildProgress,
    RebuildSummary, Recognised, Recovered, Reverted, Stored, Transfer, Trashed, Unhashed, Which,
    Written,
};
pub use state::Question;
pub use tag_database::TagDbStamp;
pub use tombstones::Tombstone;

/// Captions looked at to tell a training set from other folders.
const CAPTION_SAMPLE: usize = 50;

/// An open library. Cheap to share; every method blocks on the disk.
#[derive(Debug)]
pub struct Library {
    shelf: Shelf,
    journal: Journal,
    /// Replaced only when it turns out to be damaged and is built again elsewhere.
    index: RwLock<Arc<OpenIndex>>,
    tombstones: Tombstones,
    state: State,
}

impl Library {
    /// Makes a library in a new or empty folder, or around the pictures of an
    /// existing one (in-place), and opens it.
    pub fn create(root: &Path, kind: LayoutKind, name: &str) -> Result<Self, Error> {
        files::make_folder(root)?;
        if library_file::find(root).is_some() {
            return Err(Error::library(root, "is a library already"));
        }
        let is_empty = library_file::is_unused(root)?;
        if !is_empty && kind != LayoutKind::InPlace {
            return Err(Error::library(root, "is not empty"));
        }
        let txt_is_tags = kind == LayoutKind::InPlace && has_tag_lists(root);
        let layout = Layout::new(root.to_owned(), kind);
        library_file::create(&layout, name, txt_is_tags)?;
        let library = Self::open(root)?;
        if is_empty {
            // There is nothing to build it from.
            library.current().index.complete()?;
        }
        Ok(library)
    }

    /// Opens a library. Writes nothing but index, cache and locks; an index that
    /// is missing, damaged or newer stops nobody (see [`Library::index_state`]).
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = fs::canonicalize(root).map_err(Error::file("open library", root))?;
        let identity = library_file::identify(&root)?;
        let layout = Layout::new(root, identity.kind);
        let index = OpenIndex::choose(&layout, &identity.id)?;
        let host = library_file::host_name();
        Ok(Self {
            state: State::beside(&index.index),
            tombstones: Tombstones::new(layout.tombstones()),
            journal: Journal::new(layout.journal(), &host),
            shelf: Shelf {
                layout,
                identity,
                host,
                remote: OnceLock::new(),
            },
            index: RwLock::new(Arc::new(index)),
        })
    }

    /// The library that this path is in: the nearest folder upward that is one.
    pub fn find_around(start: &Path) -> Option<PathBuf> {
        let start = fs::canonicalize(start).ok()?;
        start
            .ancestors()
            .find(|folder| library_file::find(folder).is_some())
            .map(Path::to_owned)
    }

    /// What a folder is, for a caller that was given one and has to say something useful.
    pub fn recognise(folder: &Path) -> Recognised {
        if !folder.is_dir() {
            return if folder.exists() {
                Recognised::NotADirectory
            } else {
                Recognised::New
            };
        }
        if library_file::find(folder).is_some() {
            return Recognised::Library;
        }
        match scan::count_originals(folder, Recognised::COUNT_LIMIT) {
            0 => Recognised::Empty,
            pictures => Recognised::PicturesInside(pictures),
        }
    }

    pub fn name(&self) -> &str {
        &self.shelf.identity.name
    }

    /// The uuid in `library.json`, or a hash of the path where there is none.
    pub fn id(&self) -> &str {
        &self.shelf.identity.id
    }

    /// The name of this machine.
    pub fn host(&self) -> &str {
        &self.shelf.host
    }

    pub fn root(&self) -> &Path {
        self.shelf.layout.root()
    }

    pub fn layout(&self) -> &Layout {
        &self.shelf.layout
    }

    pub fn kind(&self) -> LayoutKind {
        self.shelf.layout.kind()
    }

    /// Folders on disks of this host for what is kept only to be fast, the best first.
    pub fn cache_folders(&self) -> Vec<PathBuf> {
        index_choice::cache_folders(self.layout(), self.id())
    }

    pub fn index_state(&self) -> IndexState {
        self.current().state()
    }

    /// Notes md5s in the index, where they count until their file changes. Sidecars
    /// stay as they are: nothing is written to a user's files before the first edit,
    /// and what can be computed again need not be. One whose file is no longer what
    /// was hashed is left out; returns the others.
    pub fn note_md5(&self, hashed: &[(Unhashed, Md5)]) -> Result<Vec<Entry>, Error> {
        self.current().index.note_md5(hashed)
    }

    /// Indexes the words of some media that a rebuild left without, a few thousand at a
    /// time, so that [`Library::full_text`] need not; `false` when all have theirs.
    pub fn supply_words(&self) -> Result<bool, Error> {
        self.current().index.supply_words()
    }

    /// Takes the lock of the one process that hashes in the background, or fails at
    /// once with [`Error::Locked`].
    pub fn lock_hashing(&self) -> Result<Md5Lock, Error> {
        md5_lock::try_lock_file(&self.current().index.companion("hashing"))
    }

    /// The path of an original (or of anything else below the library) from the
    /// text in [`Entry::path`]. A text that would lead outside gives a path that
    /// does not exist.
    pub fn original_path(&self, entry_path: &str) -> PathBuf {
        self.shelf
            .layout
            .resolve(entry_path)
            .unwrap_or_else(|| self.shelf.layout.home().join("outside-the-library"))
    }

    /// Brings the index to what the files say, 1 000 media a step. Stopped half
    /// way, the next call goes on where this one was. An index found damaged is
    /// left as it is, and another one built.
    pub fn rebuild(
        &self,
        on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
    ) -> Result<RebuildSummary, Error> {
        if self.current().index.is_damaged() {
            let fresh = OpenIndex::choose(&self.shelf.layout, &self.shelf.identity.id)?;
            *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        let current = self.current();
        rebuild::run(&self.shelf, &current.index, &current.marks, Extent::All, on)
    }

    /// As [`Library::rebuild`], but reads only media whose files have another size
    /// or time than when they were indexed: finds what other programs changed,
    /// added or took away. Sweeps temporary files that a crash left behind.
    pub fn refresh(
        &self,
        on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
    ) -> Result<RebuildSummary, Error> {
        let current = self.current();
        if current.is_complete() {
            rebuild::run(
                &self.shelf,
                &current.index,
                &current.marks,
                Extent::Changed,
                on,
            )
        } else {
            self.rebuild(on)
        }
    }

    /// Reads again what was touched, where it is not as the index knows it.
    pub fn look_at(&self, touched: &[PathBuf]) -> Result<LookedAt, Error> {
        self.at_desk(|desk| desk.look_at(touched))
    }

    /// Lets sidecars that stayed behind follow originals which another program
    /// renamed or moved, known by their md5. The index must be up to date.
    pub fn follow_renamed(&self, now: i64) -> Result<Vec<Followed>, Error> {
        let operation = self.operation("follow renamed originals");
        let followed = self.at_desk(|desk| desk.follow_renamed(&operation, now));
        self.finish(&operation);
        followed
    }

    /// Whether something waits for [`Library::catch_up`].
    pub fn is_behind(&self) -> bool {
        self.index_state() == IndexState::Stale || self.journal.has_waiting()
    }

    /// Does what a fault prevented, now that it may have gone away: indexes again
    /// what a failed index write left behind, and finishes the operations of this
    /// process that were written only in part. Returns these.
    pub fn catch_up(&self, now: i64) -> Result<Vec<Recovered>, Error> {
        self.at_desk(|desk| {
            let paths = desk.marks.take()?;
            for path in &paths {
                desk.reindex(path)?;
            }
            desk.marks.done(&paths)?;
            recover::retry(&desk, now)
        })
    }

    /// Compares every original with its md5, every sidecar with the schema, with its
    /// caption file and with its index row; looks at projects, trash and temporary
    /// files. Goes on where an interrupted one stopped. Changes nothing unless the
    /// settings ask for repairs, and never an original.
    pub fn verify(
        &self,
        settings: &VerifySettings,
        on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, Error> {
        let mut report = self.at_desk(|desk| verify::run(desk, settings, on))?;
        if settings.repair == Repair::Do && !report.is_cancelled {
            let followed = self.follow_renamed(settings.now)?;
            report.repairs.extend(followed.iter().map(|one| Repaired {
                path: self.root().join(&one.to),
                what: format!("was {}, whose sidecar follows it now", one.from),
                problem: None,
            }));
        }
        Ok(report)
    }

    /// Copies what is new or changed into a backup folder; what changed or vanished
    /// is moved to `old/` there. With `verify` bytes are compared, not only sizes and
    /// times. Goes on where an interrupted one stopped.
    pub fn back_up(
        &self,
        target: &Path,
        verify: bool,
        now: i64,
        on: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport, Error> {
        backup::run(&self.shelf, target, verify, now, on)
    }

    fn current(&self) -> Arc<OpenIndex> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&index)
    }

    fn at_desk<T>(&self, work: impl FnOnce(Desk<'_>) -> T) -> T {
        let current = self.current();
        work(Desk {
            shelf: &self.shelf,
            index: &current.index,
            marks: &current.marks,
            journal: &self.journal,
            tombstones: &self.tombstones,
        })
    }
}

/// Whether the `.txt` files beside the pictures of a folder are tag lists, as in
/// a training set.
fn has_tag_lists(root: &Path) -> bool {
    let captions = scan::some_captions(root, CAPTION_SAMPLE);
    let lists = captions.iter().filter(|path| {
        fs::read_to_string(path).is_ok_and(|text| shelf::is_tag_list(&text) && text.contains(','))
    });
    !captions.is_empty() && lists.count() * 2 > captions.len()
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod relink_tests;
#[cfg(test)]
mod tests;
