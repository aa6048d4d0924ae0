//! The rows of a disk cache: found, taken out, and how many bytes they stand for.
//!
//! Invariant: `total` is the sum of all sizes, because both change in one
//! transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::Value;

/// Entries that make room in one statement.
const EVICTED_AT_ONCE: i64 = 64;

/// What was found for a key.
pub struct Row {
    pub id: i64,
    pub file: Option<String>,
    pub bytes: Option<Value>,
}

/// Rows that were taken out, and the files they named.
#[derive(Default)]
pub struct Taken {
    pub entries: u64,
    pub files: Vec<String>,
}

impl Taken {
    pub fn extend(&mut self, other: Self) {
        self.entries += other.entries;
        self.files.extend(other.files);
    }
}

/// Whether there is an entry whose time is not over.
pub fn is_held(transaction: &Transaction<'_>, key: &str, now: i64) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT 1 FROM entry WHERE key = ?1 AND (expires IS NULL OR expires > ?2)")?
        .exists(params![key, now])
}

/// Takes out the entry of a key.
pub fn take_key(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Taken> {
    let id = transaction
        .prepare_cached("SELECT id FROM entry WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    take_ids(transaction, &id.into_iter().collect::<Vec<i64>>())
}

/// Takes out entries by the numbers of their rows.
pub fn take_ids(transaction: &Transaction<'_>, ids: &[i64]) -> rusqlite::Result<Taken> {
    let mut taken = Taken::default();
    let mut bytes = 0;
    for id in ids {
        let row: Option<(i64, Option<String>)> = transaction
            .prepare_cached("DELETE FROM entry WHERE id = ?1 RETURNING size, file")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((size, file)) = row else { continue };
        if file.is_none() {
            transaction
                .prepare_cached("DELETE FROM value WHERE id = ?1")?
                .execute([id])?;
        }
        bytes += size;
        taken.entries += 1;
        taken.files.extend(file);
    }
    add_bytes(transaction, -bytes)?;
    Ok(taken)
}

/// Counts bytes that came or, below 0, went.
pub fn add_bytes(transaction: &Transaction<'_>, bytes: i64) -> rusqlite::Result<()> {
    if bytes != 0 {
        transaction
            .prepare_cached("UPDATE total SET bytes = bytes + ?1")?
            .execute([bytes])?;
    }
    Ok(())
}

/// The bytes of all entries.
pub fn total_bytes(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT bytes FROM total")?
        .query_row([], |row| row.get(0))
}

/// Takes out what was used longest ago until the limit is kept.
pub fn make_room(transaction: &Transaction<'_>, limit_bytes: u64) -> rusqlite::Result<Taken> {
    let limit = i64::try_from(limit_bytes).unwrap_or(i64::MAX);
    let mut taken = Taken::default();
    let mut over = total_bytes(transaction)?.saturating_sub(limit);
    while over > 0 {
        let oldest = transaction
            .prepare_cached("SELECT id, size FROM entry ORDER BY used LIMIT ?1")?
            .query_map([EVICTED_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        let mut ids = Vec::new();
        for (id, size) in oldest {
            if over <= 0 {
                break;
            }
            over -= size;
            ids.push(id);
        }
        if ids.is_empty() {
            break;
        }
        taken.extend(take_ids(transaction, &ids)?);
    }
    Ok(taken)
}

/// The entry of a key, unless its time is over.
pub fn find(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached(
            "SELECT entry.id, expires, file, bytes FROM entry
             LEFT JOIN value ON value.id = entry.id WHERE key = ?1",
        )?
        .query_row([key], |row| {
            let expires: Option<i64> = row.get(1)?;
            if expires.is_some_and(|expires| expires <= now) {
                return Ok(None);
            }
            Ok(Some(Row {
                id: row.get(0)?,
                file: row.get(2)?,
                bytes: row.get_ref(3)?.as_blob_or_null()?.map(Value::from),
            }))
        })
        .optional()
        .map(Option::flatten)
}
