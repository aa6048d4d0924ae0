//! What changes the files of the user: operations, each through the journal.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Library,
    error::Error,
    files, inbox, intake,
    journal::{self, JournalSurvey, PendingChange},
    md5_lock::{self, Md5Lock},
    recover,
    requests::{
        Change, Incoming, Past, Pending, Recovered, Reverted, Stored, Transfer, Trashed, Which,
        Written,
    },
    trash,
};
use crate::model::{
    entry::Entry,
    id::{Md5, MediaId, MediaKey},
    media::Media,
    operation::{Operation, OperationId},
    tagdb::TagDb,
};

impl Library {
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

    /// Adds what sites say of media, each in the name of one of the operations, as
    /// [`Library::write`] does; what people said wins. One result per medium, in order.
    pub fn learn(
        &self,
        operations: &[Operation],
        said: &[(usize, MediaKey, &Media)],
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        self.at_desk(|desk| desk.learn(operations, said, now))
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
        self.shelf.lock(md5_lock::Purpose::Door, md5, timeout)
    }

    /// Enters originals that another host filed, where this index lacks them: paths
    /// below the library. Returns how many were new.
    pub fn enter_filed(&self, paths: &[String]) -> Result<usize, Error> {
        self.at_desk(|desk| {
            let mut entered = 0;
            for path in paths {
                let is_known = desk.index.place_by_path(path)?.is_some();
                if !is_known && files::stat(&self.shelf.absolute(path)?)?.is_some() {
                    desk.reindex(path)?;
                    entered += 1;
                }
            }
            Ok(entered)
        })
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
}
