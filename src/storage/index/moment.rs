//! What tells one state of an index from any other.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::Index;
use crate::storage::error::Error;

/// Changes of which the stamps are kept.
const KEPT: i64 = 20_000;

/// A state of an index. Sequence numbers alone do not tell: those of a copy that was
/// put back, or of an index that lost its last change with the power, are given
/// again. The stamp is drawn anew in the transaction of every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of the last change, as
    /// [`changed_since`](crate::storage::Library::changed_since) takes it.
    pub sequence: u64,
    pub stamp: [u8; 16],
}

/// Stamps the change that a transaction is.
pub(super) fn stamp(transaction: &Transaction<'_>, sequence: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO stamp VALUES (?1, randomblob(16))")?
        .execute([sequence])?;
    transaction
        .prepare_cached("DELETE FROM stamp WHERE sequence <= ?1")?
        .execute([sequence.saturating_sub(KEPT)])?;
    Ok(())
}

impl Index {
    /// The state it is in.
    pub(in crate::storage) fn moment(&self) -> Result<Moment, Error> {
        self.read("read", |connection| {
            connection
                .prepare_cached("SELECT sequence, stamp FROM stamp ORDER BY sequence DESC LIMIT 1")?
                .query_row([], |row| {
                    Ok(Moment {
                        sequence: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
                        stamp: row.get(1)?,
                    })
                })
        })
    }

    /// How many media changed since it was in a state; `None` when it never was, or
    /// too long ago.
    pub(in crate::storage) fn changes_after(&self, moment: Moment) -> Result<Option<u64>, Error> {
        let sequence = i64::try_from(moment.sequence).unwrap_or(i64::MAX);
        self.read("look for changes", |connection| {
            let transaction = connection.unchecked_transaction()?;
            let stamp: Option<[u8; 16]> = transaction
                .prepare_cached("SELECT stamp FROM stamp WHERE sequence = ?1")?
                .query_row([sequence], |row| row.get(0))
                .optional()?;
            if stamp != Some(moment.stamp) {
                return Ok(None);
            }
            let changes: i64 = transaction
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM medium WHERE sequence > ?1)
                        + (SELECT count(*) FROM removed WHERE sequence > ?1)",
                )?
                .query_row(params![sequence], |row| row.get(0))?;
            Ok(Some(u64::try_from(changes).unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{enter, index, row, tagged};
    use super::*;
    use crate::model::id::MediaKey;

    #[test]
    fn every_change_makes_another_moment_and_a_copy_goes_its_own_way() {
        let (dir, index) = index();
        let first = index.moment().unwrap();
        assert_eq!(index.changes_after(first).unwrap(), Some(0));
        enter(
            &index,
            vec![row("a", tagged(&["x"])), row("b", tagged(&["y"]))],
        );
        let second = index.moment().unwrap();
        assert_eq!(index.changes_after(first).unwrap(), Some(2));
        assert_eq!(index.changes_after(second).unwrap(), Some(0));
        index.commit(&mut [], &[MediaKey(1)], &mut |_| {}).unwrap();
        assert_eq!(index.changes_after(second).unwrap(), Some(1));
        let third = index.moment().unwrap();

        let copy = dir.path().join("copy.db");
        index
            .read("test", |connection| {
                connection.execute("VACUUM INTO ?1", [copy.to_str()])
            })
            .unwrap();
        let copy = Index::open(&copy).unwrap();
        enter(&index, vec![row("c", tagged(&[]))]);
        enter(&copy, vec![row("d", tagged(&[]))]);
        let (here, there) = (index.moment().unwrap(), copy.moment().unwrap());
        assert_eq!(here.sequence, there.sequence);
        assert_eq!(copy.changes_after(here).unwrap(), None);
        assert_eq!(index.changes_after(there).unwrap(), None);
        assert_eq!(copy.changes_after(third).unwrap(), Some(1));
    }

    #[test]
    fn old_stamps_are_forgotten() {
        let (_dir, index) = index();
        let first = index.moment().unwrap();
        index
            .write("test", |transaction| {
                transaction.execute(
                    "UPDATE library_metadata SET value = '30000' WHERE key = 'sequence'",
                    [],
                )
            })
            .unwrap();
        enter(&index, vec![row("a", tagged(&[]))]);
        assert_eq!(index.changes_after(first).unwrap(), None);
    }
}
