//! Emptying the trash: files are removed for good, and their md5s noted, so that
//! they do not come back.
//!
//! Order: the journal says what goes, then the tombstone, the files, the note of the
//! trash. Removing is idempotent, so one that was cut off is finished at the next
//! start. It is the one operation that nothing takes back.

use serde::{Deserialize, Serialize};

use super::{
    change::LOCK_TIMEOUT,
    desk::Desk,
    error::Error,
    files::{self, Writes},
    journal::Part,
    md5_lock::{self, Md5Lock},
    requests::Trashed,
    tombstones::Tombstone,
};
use crate::model::{
    entry::format_time,
    id::{Md5, MediaId},
    operation::Operation,
};

/// Items that are noted down together.
const BATCH: usize = 256;

/// What of one medium is removed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purge {
    pub id: MediaId,
    /// Library-relative path where it was once.
    pub path: String,
    /// Library-relative paths in the trash.
    pub files: Vec<String>,
    /// Library-relative path of the note in the trash.
    pub note: String,
    /// What is remembered of it; none where the library has the same file still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stone: Option<Tombstone>,
}

impl Desk<'_> {
    /// See [`Library::purge`](super::Library::purge).
    pub(super) fn purge(
        &self,
        operation: &Operation,
        items: &[Trashed],
        now: i64,
    ) -> Vec<Result<u64, Error>> {
        let in_batch = |items: &[Trashed]| self.purge_batch(operation, items, now);
        items.chunks(BATCH).flat_map(in_batch).collect()
    }

    fn purge_batch(
        &self,
        operation: &Operation,
        items: &[Trashed],
        now: i64,
    ) -> Vec<Result<u64, Error>> {
        let alone = self.lock_alone();
        let plan = |item: &Trashed| {
            let _locked = alone.as_ref().map_err(Error::repeated)?;
            self.plan_purge(item, now)
        };
        let plans: Vec<Result<Purge, Error>> = items.iter().map(plan).collect();
        let part = Part::Purge(plans.iter().flatten().cloned().collect());
        let noted = self.journal.part(&[(operation, part)], false, now);
        let perform = |plan: Result<Purge, Error>| {
            let purge = plan?;
            noted.as_ref().map_err(Error::repeated)?;
            self.perform_purge(&purge)
                .inspect_err(|_| self.journal.hold_open([operation]))
        };
        plans.into_iter().map(perform).collect()
    }

    fn plan_purge(&self, item: &Trashed, now: i64) -> Result<Purge, Error> {
        let note = self.shelf.absolute(&item.note)?;
        if files::stat(&note)?.is_none() {
            return Err(Error::library(&note, "is no longer in the trash"));
        }
        Ok(Purge {
            id: item.id.clone(),
            path: item.path.clone(),
            files: item.files.iter().map(|(from, _)| from.clone()).collect(),
            note: item.note.clone(),
            stone: self.stone_for(item, now)?,
        })
    }

    /// What is to be remembered of an item: nothing where a copy stays, which is
    /// wanted, and so is its like.
    fn stone_for(&self, item: &Trashed, now: i64) -> Result<Option<Tombstone>, Error> {
        if let Some(twin) = &item.merged_into
            && self.index.key_of(twin.as_str())?.is_some()
        {
            return Ok(None);
        }
        let Some(md5) = self.md5_in_trash(item)? else {
            return Ok(None);
        };
        if !self.index.find_md5(&md5)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Tombstone {
            md5: md5.to_string(),
            at: format_time(now),
            by: self.shelf.host.clone(),
            reason: item.reason.clone(),
        }))
    }

    /// Removes what is still there of an item; returns the bytes that were freed.
    /// The tombstone first: a crash leaves a file that is still in the trash, not
    /// one that is gone and may come back.
    fn perform_purge(&self, purge: &Purge) -> Result<u64, Error> {
        if let Some(stone) = &purge.stone
            && let Ok(md5) = stone.md5.parse()
            && self.tombstones.find(&md5)?.is_none()
        {
            let mut writes = Writes::default();
            self.tombstones
                .add(std::slice::from_ref(stone), &mut writes)?;
            writes.finish()?;
        }
        let mut writes = Writes::default();
        let mut bytes = 0;
        for path in purge.files.iter().chain([&purge.note]) {
            let absolute = self.shelf.absolute(path)?;
            if *path != purge.note {
                bytes += files::stat(&absolute)?.map_or(0, |stat| stat.bytes);
            }
            writes.remove(&absolute)?;
        }
        writes.finish()?;
        Ok(bytes)
    }

    /// Finishes a removal that the journal has.
    pub(super) fn finish_purge(&self, purge: &Purge) -> Result<u64, Error> {
        let _alone = self.lock_alone()?;
        self.perform_purge(purge)
    }

    /// While files go for good, nobody else changes the library: a backup would be
    /// of nothing, a restore would bring back what is removed.
    fn lock_alone(&self) -> Result<Md5Lock, Error> {
        md5_lock::lock_library(&self.shelf.layout.locks(), LOCK_TIMEOUT)
    }

    fn md5_in_trash(&self, item: &Trashed) -> Result<Option<Md5>, Error> {
        if let Some(md5) = &item.media.hashes.md5
            && let Ok(md5) = md5.parse()
        {
            return Ok(Some(md5));
        }
        match &item.original {
            Some(original) => files::md5_of_file(&self.shelf.absolute(original)?, &mut || true),
            None => Ok(None),
        }
    }
}
