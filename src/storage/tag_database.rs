//! `tagdb.jsonl`: read whole, changed line by line through the journal, so that a
//! change can be undone after others were made.
//!
//! Invariant: the file is written only over the bytes it was read from, and never
//! when it could not be understood.

use std::path::PathBuf;

use super::{
    change::LOCK_TIMEOUT,
    desk::Desk,
    error::Error,
    files::{self, Replaced, Writes},
    journal::Part,
    md5_lock::{Md5Lock, Purpose},
    requests::Reverted,
};
use crate::model::{
    id::Md5,
    operation::Operation,
    tagdb::{LineChange, TagDb},
};

/// Larger ones are no tag database.
const MAX_BYTES: usize = 256 << 20;
/// Attempts at a file that another program keeps changing.
const MAX_ATTEMPTS: u32 = 8;

/// What the file looked like; another one means that it has to be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagDbStamp(Option<(u64, i64)>);

/// The database as it was read, and the md5 of its bytes where there is a file.
struct Loaded {
    database: TagDb,
    md5: Option<Md5>,
}

impl Desk<'_> {
    fn tag_file(&self) -> PathBuf {
        self.shelf.layout.tag_database()
    }

    fn lock_tags(&self) -> Result<Md5Lock, Error> {
        let md5 = files::md5_of(b"tagdb.jsonl");
        self.shelf.lock(Purpose::Sidecar, &md5, LOCK_TIMEOUT)
    }

    pub(super) fn tag_database_stamp(&self) -> TagDbStamp {
        let stat = files::stat(&self.tag_file()).ok().flatten();
        TagDbStamp(stat.map(|stat| (stat.bytes, stat.modified_ns)))
    }

    /// The database as the file has it; an empty one where there is no file.
    pub(super) fn tag_database(&self) -> Result<TagDb, Error> {
        self.load_tags().map(|loaded| loaded.database)
    }

    fn load_tags(&self) -> Result<Loaded, Error> {
        let path = self.tag_file();
        let Some((bytes, stat)) = files::read(&path, MAX_BYTES)? else {
            return Ok(Loaded {
                database: TagDb::default(),
                md5: None,
            });
        };
        if stat.bytes > MAX_BYTES as u64 {
            return Err(Error::library(&path, "is too large to be a tag database"));
        }
        let text = str::from_utf8(&bytes)
            .map_err(|_| Error::library(&path, "is not UTF-8; restore it from a backup or git"))?;
        let database = TagDb::parse(text).map_err(|problem| {
            Error::library(
                &path,
                format!("cannot be understood: {problem}; mend it by hand"),
            )
        })?;
        Ok(Loaded {
            database,
            md5: Some(files::md5_of(&bytes)),
        })
    }

    /// Changes the database in the name of an operation, which stays open. What
    /// `change` says no to is not done.
    pub(super) fn change_tags<T>(
        &self,
        operation: &Operation,
        change: &mut dyn FnMut(&mut TagDb) -> Result<T, String>,
        now: i64,
    ) -> Result<(TagDb, T), Error> {
        let _lock = self.lock_tags()?;
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.load_tags()?;
            let mut database = loaded.database.clone();
            let said = change(&mut database).map_err(|reason| {
                Error::library(&self.tag_file(), format!("stays as it is: {reason}"))
            })?;
            let changes = loaded.database.changes_to(&database);
            if changes.is_empty() {
                return Ok((database, said));
            }
            self.journal
                .part(&[(operation, Part::Tags(changes))], false, now)?;
            if self.write_tags(&database, loaded.md5)? {
                return Ok((database, said));
            }
        }
        Err(self.keeps_changing())
    }

    /// Says whether the file was still the one that was read.
    fn write_tags(&self, database: &TagDb, expected: Option<Md5>) -> Result<bool, Error> {
        let path = self.tag_file();
        let mut writes = Writes::default();
        let replaced = writes.replace_expected(&path, database.print().as_bytes(), expected)?;
        writes.finish()?;
        Ok(replaced == Replaced::Yes)
    }

    fn keeps_changing(&self) -> Error {
        Error::library(
            &self.tag_file(),
            "is changed by another program again and again; try again",
        )
    }

    /// Makes changes of lines where they still are as the changes say; names the rest.
    /// Without an operation they are in the journal already.
    pub(super) fn apply_lines(
        &self,
        operation: Option<&Operation>,
        changes: &[LineChange],
        now: i64,
        reverted: &mut Reverted,
    ) -> Result<(), Error> {
        let _lock = self.lock_tags()?;
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.load_tags()?;
            let mut database = loaded.database.clone();
            let mut made = Vec::new();
            let mut left = Vec::new();
            for (change, answer) in changes.iter().zip(database.change_lines(changes)) {
                match answer {
                    Ok(true) => made.push(change.clone()),
                    // A crash came after the file was written.
                    Ok(false) if operation.is_none() => {}
                    Ok(false) => left.push(format!(
                        "tagdb.jsonl: the line of {} was changed since",
                        change.key
                    )),
                    Err(problem) => left.push(format!("tagdb.jsonl: {problem}")),
                }
            }
            if made.is_empty() {
                reverted.left.extend(left);
                return Ok(());
            }
            if let Some(operation) = operation {
                self.journal
                    .part(&[(operation, Part::Tags(made))], false, now)?;
            }
            if self.write_tags(&database, loaded.md5)? {
                reverted.left.extend(left);
                return Ok(());
            }
        }
        Err(self.keeps_changing())
    }
}

/// The change that takes one back.
pub(super) fn inverse(change: &LineChange) -> LineChange {
    LineChange {
        key: change.key.clone(),
        before: change.after.clone(),
        after: change.before.clone(),
    }
}
