//! The rows of a disk cache: found, taken out, and how many bytes they stand for.
//!
//! Invariant: `total` is the sum of all sizes, because both change in one
//! transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{Value, files::Place};

/// Entries that make room in one statement.
const EVICTED_AT_ONCE: i64 = 64;

/// What was found for a key.
pub struct Row {
    pub id: i64,
    pub expires: Option<i64>,
    pub held: Held,
}

/// Where the bytes are.
pub enum Held {
    Here(Value),
    Beside(Place),
}

/// What a transaction took out.
#[derive(Default)]
pub struct Taken {
    pub keys: Vec<String>,
    /// Where values lay.
    pub places: Vec<Place>,
}

/// Whether there is an entry whose time is not over.
pub fn is_held(transaction: &Transaction<'_>, key: &str, now: i64) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT 1 FROM entry WHERE key = ?1 AND (expires IS NULL OR expires > ?2)")?
        .exists(params![key, now])
}

/// Takes out the entry of a key; returns how many that were.
pub fn take_key(
    transaction: &Transaction<'_>,
    key: &str,
    taken: &mut Taken,
) -> rusqlite::Result<u64> {
    let id = transaction
        .prepare_cached("SELECT id FROM entry WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    take_ids(transaction, &id.into_iter().collect::<Vec<i64>>(), taken)
}

/// Takes out entries by the numbers of their rows; returns how many.
pub fn take_ids(
    transaction: &Transaction<'_>,
    ids: &[i64],
    taken: &mut Taken,
) -> rusqlite::Result<u64> {
    let (mut bytes, mut entries) = (0, 0);
    for id in ids {
        let row: Option<(i64, String, Option<Place>)> = transaction
            .prepare_cached(
                "DELETE FROM entry WHERE id = ?1 RETURNING file, start, length, size, key",
            )?
            .query_row([id], |row| Ok((row.get(3)?, row.get(4)?, place(row, 0)?)))
            .optional()?;
        let Some((size, key, place)) = row else {
            continue;
        };
        if place.is_none() {
            transaction
                .prepare_cached("DELETE FROM value WHERE id = ?1")?
                .execute([id])?;
        }
        bytes += size;
        entries += 1;
        taken.keys.push(key);
        taken.places.extend(place);
    }
    add_bytes(transaction, -bytes)?;
    Ok(entries)
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

/// Takes out what was used longest ago until the limit is kept; returns how many
/// entries that were.
pub fn make_room(
    transaction: &Transaction<'_>,
    limit_bytes: u64,
    taken: &mut Taken,
) -> rusqlite::Result<u64> {
    let limit = i64::try_from(limit_bytes).unwrap_or(i64::MAX);
    let mut entries = 0;
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
        entries += take_ids(transaction, &ids, taken)?;
    }
    Ok(entries)
}

/// The entry of a key, unless its time is over.
pub fn find(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached(
            "SELECT file, start, length, entry.id, expires, bytes FROM entry
             LEFT JOIN value ON value.id = entry.id WHERE key = ?1",
        )?
        .query_row([key], |row| {
            let expires: Option<i64> = row.get(4)?;
            if expires.is_some_and(|expires| expires <= now) {
                return Ok(None);
            }
            let beside = place(row, 0)?.map(Held::Beside);
            let here = row.get_ref(5)?.as_blob_or_null()?;
            let here = here.map(|bytes| Held::Here(Value::from(bytes)));
            let (id, held) = (row.get(3)?, beside.or(here));
            Ok(held.map(|held| Row { id, expires, held }))
        })
        .optional()
        .map(Option::flatten)
}

/// File, start and length, from a column on.
fn place(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Place>> {
    let file: Option<String> = row.get(column)?;
    let Some(file) = file else { return Ok(None) };
    let (start, length): (i64, i64) = (row.get(column + 1)?, row.get(column + 2)?);
    Ok(Some(Place {
        file: file.into(),
        start: start.unsigned_abs(),
        length: usize::try_from(length).unwrap_or(0),
    }))
}

/// Whether a row names a file.
pub fn is_named(connection: &Connection, file: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM entry WHERE file = ?1")?
        .exists([file])
}

/// What no row names around a part of a file: from the end of the one before to the
/// start of the one behind.
pub fn gap(connection: &Connection, place: &Place) -> rusqlite::Result<(u64, u64)> {
    let start = i64::try_from(place.start).unwrap_or(i64::MAX);
    let before: Option<i64> = connection
        .prepare_cached(
            "SELECT start + length FROM entry WHERE file = ?1 AND start < ?2
             ORDER BY start DESC LIMIT 1",
        )?
        .query_row(params![&*place.file, start], |row| row.get(0))
        .optional()?;
    let behind: Option<i64> = connection
        .prepare_cached("SELECT min(start) FROM entry WHERE file = ?1 AND start >= ?2")?
        .query_row(params![&*place.file, start], |row| row.get(0))?;
    Ok((
        before.map_or(0, i64::unsigned_abs),
        behind.map_or(place.end(), i64::unsigned_abs),
    ))
}
