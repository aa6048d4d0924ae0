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
mod rebuild;
mod recover;
mod relink;
mod requests;
mod saved_searches;
mod scan;
mod shelf;
mod tag_database;
mod tombstones;
mod trash;
mod undo;
mod verify;

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crate::model::{
    entry::Entry,
    fact::{Album, Detail},
    id::{Md5, MediaId, MediaKey},
    media::Media,
    operation::{Operation, OperationId},
    project::Project,
    sidecar::Sidecar,
    tagdb::TagDb,
};

use change::Desk;
use index_choice::OpenIndex;
use journal::Journal;
use rebuild::Extent;
use shelf::Shelf;
use tombstones::Tombstones;

pub use backup::{BackupProgress, BackupReport, RestoreReport, restore as restore_backup};
pub use error::{Error, IndexCause};
pub use findings::{Finding, Repair, Repaired, VerifyProgress, VerifyReport, VerifySettings};
pub use journal::{JournalSurvey, PendingChange};
pub use layout::{Layout, LayoutKind};
pub use md5_lock::Md5Lock;
pub use merge_files::merge_files;
pub use requests::{
    Change, Followed, Incoming, IndexState, LookedAt, Past, Pending, RebuildProgress,
    RebuildSummary, Recognised, Recovered, Reverted, Stored, Transfer, Trashed, Unhashed, Which,
    Written,
};
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
}

impl Library {
    /// Makes a library in a new or empty folder, or around the pictures of an
    /// existing one (in-place), and opens it.
    pub fn create(root: &Path, kind: LayoutKind, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::file("create folder", root))?;
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
            tombstones: Tombstones::new(layout.tombstones()),
            journal: Journal::new(layout.journal(), &host),
            shelf: Shelf {
                layout,
                identity,
                host,
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

    pub fn root(&self) -> &Path {
        self.shelf.layout.root()
    }

    pub fn layout(&self) -> &Layout {
        &self.shelf.layout
    }

    pub fn kind(&self) -> LayoutKind {
        self.shelf.layout.kind()
    }

    pub fn index_state(&self) -> IndexState {
        self.current().state()
    }

    /// The number of media, derived ones (masks, crops, frames) left out.
    pub fn count(&self) -> Result<u64, Error> {
        self.current().index.count()
    }

    /// The first media in default order (newest import first, ties by id), derived
    /// ones left out: one indexed query.
    pub fn first_page(&self, limit: usize) -> Result<Vec<Entry>, Error> {
        self.current().index.first_page(limit)
    }

    /// All media, derived ones too, in order of their keys. An index that is not
    /// complete is completed from the files first. `on` hears (done, total) and may
    /// stop it, which gives [`Error::Cancelled`].
    pub fn load_entries(
        &self,
        on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        self.load_in_chunks(&mut |chunk, done, total| {
            if entries.is_empty() {
                entries.reserve(usize::try_from(total).unwrap_or(0));
            }
            entries.extend(chunk);
            on(done, total)
        })?;
        Ok(entries)
    }

    /// As [`Library::load_entries`], handing over a thousand media at a time, so
    /// that a caller who packs them never holds all of them unpacked.
    pub fn load_in_chunks(
        &self,
        on: &mut dyn FnMut(Vec<Entry>, u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if !self.is_indexed() {
            let summary =
                self.rebuild(&mut |progress| on(Vec::new(), progress.done, progress.total))?;
            if summary.is_cancelled {
                return Err(Error::Cancelled);
            }
        }
        self.load_indexed(on)
    }

    /// Whether the index holds the whole library. Otherwise it is a new one, or a
    /// rebuild of it was stopped half way.
    pub fn is_indexed(&self) -> bool {
        let current = self.current();
        current.is_complete() && !current.index.is_damaged()
    }

    /// As [`Library::load_in_chunks`], but hands over what the index holds now, the
    /// whole library or not.
    pub fn load_indexed(
        &self,
        on: &mut dyn FnMut(Vec<Entry>, u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if self.current().index.load(on)? {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    }

    /// One medium, or `None` when the index has no such key.
    pub fn entry(&self, key: MediaKey) -> Result<Option<Entry>, Error> {
        self.current().index.entry(key)
    }

    /// The key of a medium with exactly this id.
    pub fn key_of(&self, id: &MediaId) -> Result<Option<MediaKey>, Error> {
        self.current().index.key_of(id.as_str())
    }

    /// The media whose sidecar gives this md5; several in flat and in-place libraries.
    pub fn find_md5(&self, md5: &Md5) -> Result<Vec<(MediaKey, MediaId)>, Error> {
        self.current().index.find_md5(md5)
    }

    /// Media of this size whose md5 is not known: the door compares their bytes.
    pub fn find_size(&self, bytes: u64) -> Result<Vec<MediaKey>, Error> {
        self.current().index.find_size(bytes)
    }

    /// Media whose md5 is not known though their original is there, first those of
    /// whose size there are several; with `twins_only` no others: nothing else can
    /// be a duplicate.
    pub fn unhashed(&self, twins_only: bool) -> Result<Vec<Unhashed>, Error> {
        self.current().index.unhashed(twins_only)
    }

    /// Whether the file of a medium still has the size and the time that the index
    /// noted.
    pub fn is_as_noted(&self, file: &Unhashed) -> bool {
        let path = self.original_path(&file.path);
        matches!(files::stat(&path), Ok(Some(stat))
            if (stat.bytes, stat.modified()) == (file.bytes, file.modified))
    }

    /// Notes md5s in the index, where they count until their file changes. Sidecars
    /// stay as they are: nothing is written to a user's files before the first edit,
    /// and what can be computed again need not be. One whose file is no longer what
    /// was hashed is left out; returns the others.
    pub fn note_md5(&self, hashed: &[(Unhashed, Md5)]) -> Result<Vec<Entry>, Error> {
        self.current().index.note_md5(hashed)
    }

    /// Takes the lock of the one process that hashes in the background, or fails at
    /// once with [`Error::Locked`].
    pub fn lock_hashing(&self) -> Result<Md5Lock, Error> {
        md5_lock::try_lock_file(&self.current().index.companion("hashing"))
    }

    /// Full text over caption, name, notes, file name and tags, or over one of them
    /// (`caption`, `name`, `note`, `filename`, `tag`): all words must be there;
    /// `"a phrase"` in quotes, `word*` for a prefix.
    pub fn full_text(&self, field: Option<&str>, query: &str) -> Result<Vec<MediaKey>, Error> {
        self.current().index.full_text(field, query)
    }

    /// Hands over one detail of every medium that has it, each medium's together.
    pub fn details(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), Error> {
        self.current().index.details(detail, on)
    }

    /// The projects with the media that the index knows of them.
    pub fn albums(&self) -> Result<Vec<Album>, Error> {
        let index = &self.current().index;
        // Paths of projects are relative to the folder of the originals.
        let layout = &self.shelf.layout;
        let prefix = match layout.kind() {
            LayoutKind::InPlace => "",
            LayoutKind::Bucketed | LayoutKind::Flat => "images/",
        };
        let mut albums = Vec::new();
        for project in self.projects()? {
            let mut media = Vec::with_capacity(project.items.len());
            for item in &project.items {
                media.extend(index.key_of_path(&format!("{prefix}{}", item.path))?);
            }
            albums.push(Album {
                name: project.name,
                media,
                query: project.query,
            });
        }
        Ok(albums)
    }

    /// The tag database as its file has it.
    pub fn tag_database(&self) -> Result<TagDb, Error> {
        self.at_desk(|desk| desk.tag_database())
    }

    /// The named searches, name to query.
    pub fn searches(&self) -> Result<BTreeMap<String, String>, Error> {
        self.at_desk(|desk| desk.searches())
    }

    /// Names a search, or forgets one (`None`), in the name of an operation, which
    /// stays open.
    pub fn name_search(
        &self,
        operation: &Operation,
        name: &str,
        query: Option<&str>,
        now: i64,
    ) -> Result<(), Error> {
        self.at_desk(|desk| desk.name_search(operation, name, query, now))
    }

    /// What the file of the tag database looks like now.
    pub fn tag_database_stamp(&self) -> TagDbStamp {
        self.at_desk(|desk| desk.tag_database_stamp())
    }

    /// Changes the tag database in the name of an operation, which stays open.
    /// Nothing is written when `change` says no. Returns what it is now, and what
    /// `change` had to say.
    pub fn change_tags<T>(
        &self,
        operation: &Operation,
        change: &mut dyn FnMut(&mut TagDb) -> Result<T, String>,
        now: i64,
    ) -> Result<(TagDb, T), Error> {
        self.at_desk(|desk| desk.change_tags(operation, change, now))
    }

    /// A number that changes when another process wrote to the index.
    pub fn data_version(&self) -> Result<i64, Error> {
        self.current().index.data_version()
    }

    /// What changed since a sequence number: the newest number, the media written,
    /// the keys removed. 0 gives everything.
    pub fn changed_since(&self, sequence: u64) -> Result<(u64, Vec<Entry>, Vec<MediaKey>), Error> {
        self.current().index.changed_since(sequence)
    }

    /// The newest sequence number, to ask [`Library::changed_since`] later.
    pub fn sequence(&self) -> Result<u64, Error> {
        let sequence = self.current().index.setting("sequence")?;
        Ok(sequence.and_then(|n| n.parse().ok()).unwrap_or_default())
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

    /// The sidecar of a medium as it is on disk now, an empty one when there is
    /// none. Heals the index when its row was wrong.
    pub fn read_sidecar(&self, key: MediaKey) -> Result<Sidecar, Error> {
        self.at_desk(|desk| desk.read_sidecar(key))
    }

    /// A new step of the user. It exists once something is changed in its name, and
    /// ends with [`Library::finish`].
    pub fn operation(&self, action: impl Into<String>) -> Operation {
        Operation {
            id: journal::new_id(),
            action: action.into(),
            group: None,
            inverts: None,
        }
    }

    /// Notes that the caller is through with an operation. One without this, or of
    /// which something could be written only in part, is finished later: by
    /// [`Library::catch_up`], or at the next start.
    pub fn finish(&self, operation: &Operation) {
        if let Err(error) = self.journal.done(operation.id) {
            tracing::warn!("{}", error.chain());
        }
    }

    /// Changes media in the name of operations. The journal first, then the files:
    /// each sidecar is read now, edited, and written atomically if its bytes differ,
    /// the caption beside it likewise; then one index transaction for all. An index
    /// failure is a warning, never a failed change. One result per change, in order.
    pub fn write(
        &self,
        operations: &[Operation],
        changes: Vec<Change>,
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        self.at_desk(|desk| desk.write(operations, changes, now))
    }

    /// Keeps edits that are not saved yet, so that a broken-off session loses none.
    /// The operation is saved later by [`Library::write`], or dropped by
    /// [`Library::discard_pending`].
    pub fn keep_pending(
        &self,
        operation: &Operation,
        changes: &[PendingChange],
        now: i64,
    ) -> Result<(), Error> {
        self.journal.pending(operation, changes, now)
    }

    /// Drops unsaved edits.
    pub fn discard_pending(&self, id: OperationId) -> Result<(), Error> {
        self.journal.discard(id)
    }

    /// Takes over the unsaved edits of sessions that were broken off, oldest first.
    /// They stay in the journal until they are saved or discarded.
    pub fn take_pending(&self) -> Result<Vec<Pending>, Error> {
        recover::take_pending(&self.journal)
    }

    /// Finishes what a crash interrupted, one report per operation. What other
    /// processes have under way is left alone.
    pub fn recover(&self, now: i64) -> Result<Vec<Recovered>, Error> {
        if !self.current().is_complete() {
            // Whom an operation means is found by the index: first that, then this.
            return Ok(Vec::new());
        }
        if self.is_behind()
            && let Err(error) = self.catch_up(now)
        {
            tracing::warn!("the index is still behind: {}", error.chain());
        }
        self.at_desk(|desk| recover::run(&desk, now))
    }

    /// Drops what the journal has of long ago: whole files, oldest first, and none
    /// with anything unsaved or unfinished. Says how many files.
    pub fn trim_journal(&self, now: i64) -> Result<usize, Error> {
        journal::trim(self.journal.folder(), now)
    }

    /// What the journals hold.
    pub fn journal_survey(&self) -> Result<JournalSurvey, Error> {
        journal::survey(self.journal.folder())
    }

    /// What was done, newest first, by everybody.
    pub fn history(&self, limit: usize) -> Result<Vec<Past>, Error> {
        self.at_desk(|desk| desk.history(limit))
    }

    /// Takes an operation back: the one named, or the newest of this user on this
    /// host. Fields that were changed since are left alone and named. `None`: there
    /// is nothing to undo. `on` hears (done, total) and may stop it; the next undo
    /// of the same operation goes on.
    pub fn undo(
        &self,
        what: Which,
        now: i64,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Reverted>, Error> {
        self.at_desk(|desk| desk.undo(what, now, on))
    }

    /// Does again what was undone last, or the operation named. `None`: nothing was
    /// undone, or something newer was done since.
    pub fn redo(
        &self,
        what: Which,
        now: i64,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Reverted>, Error> {
        self.at_desk(|desk| desk.redo(what, now, on))
    }

    /// Files a picture and its sidecar, under the md5 lock that the caller holds.
    /// Nothing is in the index yet: [`Library::commit`]. The source of a move is
    /// still there: [`Library::finish_move`].
    pub fn store(
        &self,
        operation: &Operation,
        incoming: Incoming,
        now: i64,
    ) -> Result<Stored, Error> {
        self.at_desk(|desk| desk.store(operation, incoming, now))
    }

    /// Enters stored media into the index, all in one transaction. When that fails
    /// they are marked for [`Library::catch_up`]: their files are safe.
    pub fn commit(&self, stored: &[Stored]) -> Result<Vec<Entry>, Error> {
        self.at_desk(|desk| desk.commit(stored))
    }

    /// Removes files whose content is in the library now, durably; those that are
    /// gone already are no error.
    pub fn clear_sources(&self, paths: &[&Path]) -> Result<(), Error> {
        inbox::clear_sources(paths)
    }

    /// Moves what a site told about a picture to `raw/ab/cd/<md5>.<site>.json`. The
    /// newest one wins.
    pub fn keep_raw(&self, md5: &Md5, site: &str, source: &Path) -> Result<(), Error> {
        inbox::keep_raw(&self.shelf, md5, site, source)
    }

    /// Removes the source of a move; does nothing for a copy or link.
    pub fn finish_move(&self, stored: &Stored) -> Result<(), Error> {
        intake::finish_move(stored)
    }

    /// Merges what came with a duplicate (tags, urls, sources, origin) into the
    /// medium we have; what is there wins.
    pub fn merge_duplicate(
        &self,
        operation: &Operation,
        key: MediaKey,
        media: &Media,
        now: i64,
    ) -> Result<Written, Error> {
        self.at_desk(|desk| desk.merge(operation, key, media, now))
    }

    /// Moves media to the trash with their sidecars. One result per key, in order.
    pub fn trash(
        &self,
        operation: &Operation,
        keys: &[MediaKey],
        reason: &str,
        merged_into: Option<&MediaId>,
        now: i64,
    ) -> Vec<Result<(), Error>> {
        self.at_desk(|desk| desk.trash(operation, keys, reason, merged_into, now))
    }

    /// What is in the trash, the newest first. A note that cannot be read is left
    /// out here and found by [`Library::verify`].
    pub fn trashed(&self) -> Result<Vec<Trashed>, Error> {
        Ok(trash::list(&self.shelf)?.items)
    }

    /// Brings media back from the trash to where they were, with sidecar and
    /// caption. Refused where something else lies there now. One result per item,
    /// in order.
    pub fn restore(
        &self,
        operation: &Operation,
        items: &[Trashed],
        now: i64,
    ) -> Vec<Result<Entry, Error>> {
        self.at_desk(|desk| desk.restore(operation, items, now))
    }

    /// Removes media in the trash for good. Their md5s are noted, so that they are
    /// not taken in again, unless the library still has the same file. One result
    /// per item, in order: the bytes that were freed.
    pub fn purge(
        &self,
        operation: &Operation,
        items: &[Trashed],
        now: i64,
    ) -> Vec<Result<u64, Error>> {
        self.at_desk(|desk| desk.purge(operation, items, now))
    }

    /// What is known of a file that was thrown away for good.
    pub fn tombstone(&self, md5: &Md5) -> Result<Option<Tombstone>, Error> {
        self.tombstones.find(md5)
    }

    /// Puts a file into quarantine, the reason and what traveled with it beside it,
    /// and returns where it is now. The sources are removed only for a move.
    pub fn quarantine(
        &self,
        source: &Path,
        companions: &[PathBuf],
        how: Transfer,
        reason: &str,
        now: i64,
    ) -> Result<PathBuf, Error> {
        self.at_desk(|desk| desk.quarantine(source, companions, how, reason, now))
    }

    /// Takes the door's lock for an md5, across threads and processes.
    pub fn lock_md5(&self, md5: &Md5, timeout: Duration) -> Result<Md5Lock, Error> {
        let locks = self.shelf.layout.locks();
        md5_lock::lock(&locks, md5_lock::Purpose::Door, md5, timeout)
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

    /// The ids of all media in the index.
    pub fn ids(&self) -> Result<Vec<MediaId>, Error> {
        let places = self.current().index.places()?;
        Ok(places.into_values().map(|place| place.id).collect())
    }

    /// The projects of the library, by file name. One that cannot be read is left
    /// out here and stays as it is.
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        let folder = self.shelf.layout.projects();
        let mut paths: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) if files::is_absent(&error) => Vec::new(),
            Err(error) => return Err(Error::file("list", &folder)(error)),
        };
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        paths.sort();
        let read = |path: PathBuf| {
            let (bytes, _) = files::read(&path, crate::model::sidecar::MAX_BYTES).ok()??;
            let mut project = Project::parse(str::from_utf8(&bytes).ok()?)?;
            if project.name.is_empty() {
                project.name = path.file_stem()?.to_string_lossy().into_owned();
            }
            Some(project)
        };
        Ok(paths.into_iter().filter_map(read).collect())
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
mod outside_tests;
#[cfg(test)]
mod tests;
