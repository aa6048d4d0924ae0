//! Ids that no medium has any more, which relations may still name: what a picture
//! was called before another program renamed it together with its sidecar, or before
//! one of two that share a name came or went.

use rusqlite::{Transaction, params};

use super::{
    Index,
    load::id,
    update::{next_sequence, remove},
};
use crate::{
    model::id::{MediaId, MediaKey},
    storage::error::Error,
};

/// How many are remembered; the oldest go first.
const LIMIT: u32 = 65_536;

/// Ids that others name, of media that do not exist.
const NAMED: &str = "id NOT IN (SELECT id FROM medium) AND id IN (
    SELECT other FROM relation
    UNION SELECT origin FROM medium WHERE derived AND origin IS NOT NULL)";

impl Index {
    /// Removes media whose files are gone, and remembers what they were called.
    pub(in crate::storage) fn depart(&self, gone: &[MediaKey]) -> Result<(), Error> {
        self.write("write", |transaction| {
            let sequence = next_sequence(transaction)?;
            for key in gone {
                note(transaction, *key)?;
                remove(transaction, *key, sequence)?;
            }
            transaction.execute(
                "DELETE FROM departed
                 WHERE rowid <= (SELECT max(rowid) FROM departed) - ?1",
                [LIMIT],
            )?;
            Ok(())
        })
    }

    /// The ids that are still named, each with that of the medium which has its path,
    /// or else alone has its bytes.
    pub(in crate::storage) fn departed(&self) -> Result<Vec<(MediaId, MediaId)>, Error> {
        let sql = format!(
            "SELECT id, coalesce(
                (SELECT medium.id FROM medium WHERE medium.path = departed.path),
                (SELECT iif(count(*) = 1, min(medium.id), NULL) FROM medium
                 WHERE medium.md5 = departed.md5)) AS now
             FROM departed WHERE {NAMED} AND now IS NOT NULL ORDER BY id"
        );
        self.read("look for renamed pictures", |connection| {
            let is_empty: bool = connection
                .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM departed)")?
                .query_row([], |row| row.get(0))?;
            if is_empty {
                return Ok(Vec::new());
            }
            connection
                .prepare(&sql)?
                .query_map([], |row| Ok((id(row, 0)?, id(row, 1)?)))?
                .collect()
        })
    }
}

/// Remembers what a medium is called that goes, or gets another id.
pub(super) fn note(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO departed
             SELECT id, path, coalesce(base.md5, medium.md5)
             FROM medium LEFT JOIN base ON base.medium = medium.key WHERE key = ?1",
        )?
        .execute(params![key.0])?;
    Ok(())
}
