//! Writing rows: one transaction per batch, every table of a medium together.

use std::{collections::HashSet, sync::LazyLock};

use rusqlite::{ToSql, Transaction, params};

use super::{Index, Packed, Seen, TagIds, base, departed, tagging};
use crate::{
    model::{
        entry::{Entry, Facets, FileFacts},
        fact::Fact,
        hash::PerceptualHash,
        id::{Md5, MediaId, MediaKey},
        media::{HASH_NAMES, Media, Rating, Status},
    },
    storage::{error::Error, requests::Unhashed},
};

/// The sidecar's text as it was last seen: how a later reader notices that
/// another program changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Stamp {
    pub bytes: u64,
    pub modified_ns: i64,
    pub md5: [u8; 16],
}

/// Everything the index stores of one medium.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Row {
    pub id: MediaId,
    pub facts: FileFacts,
    pub media: Media,
    /// Library-relative path of the sidecar, if it has one.
    pub sidecar: Option<String>,
    pub stamp: Option<Stamp>,
    /// The text of the sidecar; none where there is none, or none that can be read.
    pub text: Option<Packed>,
    pub seen: Seen,
    /// Another program left keys of ours out since it was seen last, which are held
    /// now. Filled in by [`Index::commit`].
    pub is_given_back: bool,
}

impl Index {
    /// Writes rows and removes keys, all or nothing, and returns the rows as
    /// entries. `check` sees each row after the transaction began: from there on
    /// no other writer can commit, so what it finds on disk is the last word.
    pub(in crate::storage) fn commit(
        &self,
        rows: &mut [Row],
        removed: &[MediaKey],
        check: &mut dyn FnMut(&mut Row),
    ) -> Result<Vec<Entry>, Error> {
        self.commit_with(&mut TagIds::default(), rows, removed, check)
    }

    /// As [`commit`](Self::commit), for one of many.
    pub(in crate::storage) fn commit_with(
        &self,
        tags: &mut TagIds,
        rows: &mut [Row],
        removed: &[MediaKey],
        check: &mut dyn FnMut(&mut Row),
    ) -> Result<Vec<Entry>, Error> {
        let written = self.write("write", |transaction| {
            let sequence = next_sequence(transaction)?;
            tags.enter(transaction)?;
            for key in removed {
                remove(transaction, *key, sequence)?;
            }
            let mut entries = Vec::with_capacity(rows.len());
            let mut replaced = HashSet::new();
            for row in rows.iter_mut() {
                check(row);
                let (entry, is_known) = upsert(transaction, row, sequence, tags)?;
                if is_known {
                    replaced.insert(entry.key);
                }
                entries.push(entry);
            }
            // Other statements in between would make FTS5 write a part for each row.
            for (row, entry) in rows.iter().zip(&entries) {
                if replaced.contains(&entry.key) {
                    clear_text(transaction, entry.key)?;
                }
                full_text(transaction, entry, &row.media)?;
            }
            Ok(entries)
        });
        if written.is_err() {
            tags.forget();
        }
        written
    }

    /// Notes the md5 of originals whose sidecar names none, each only if the row still
    /// says of the file what was hashed, and returns the rows that were changed.
    pub(in crate::storage) fn note_md5(
        &self,
        hashed: &[(Unhashed, Md5)],
    ) -> Result<Vec<Entry>, Error> {
        self.write("write", |transaction| {
            let sequence = next_sequence(transaction)?;
            let mut changed = Vec::new();
            for (file, md5) in hashed {
                let rows = transaction
                    .prepare_cached(
                        "UPDATE medium SET md5 = ?2, file_md5 = ?2, sequence = ?3
                         WHERE key = ?1 AND md5 IS NULL AND bytes = ?4 AND file_modified = ?5",
                    )?
                    .execute(params![
                        file.key.0,
                        md5.0,
                        sequence,
                        i64::try_from(file.bytes).unwrap_or(i64::MAX),
                        file.modified
                    ])?;
                transaction
                    .prepare_cached("UPDATE base SET md5 = ?2 WHERE medium = ?1 AND bytes = ?3")?
                    .execute(params![
                        file.key.0,
                        md5.0,
                        i64::try_from(file.bytes).unwrap_or(i64::MAX)
                    ])?;
                if rows > 0 {
                    changed.extend(super::load::entry(transaction, file.key)?);
                }
            }
            Ok(changed)
        })
    }

    /// The last touch of a rebuild: the index counts as complete.
    pub(in crate::storage) fn complete(&self) -> Result<(), Error> {
        self.write("finish the rebuild", |transaction| {
            transaction.execute_batch(
                "UPDATE library_metadata SET value = '1' WHERE key = 'complete';
                 DELETE FROM library_metadata WHERE key = 'rebuild_cursor';",
            )
        })
    }
}

/// The number of this change. Whatever changes an entry takes one, and notes it at the
/// medium.
pub(super) fn next_sequence(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let sequence: i64 = transaction
        .prepare_cached(
            "UPDATE library_metadata SET value = CAST(value AS INTEGER) + 1
             WHERE key = 'sequence' RETURNING CAST(value AS INTEGER)",
        )?
        .query_row([], |row| row.get(0))?;
    super::moment::stamp(transaction, sequence)?;
    Ok(sequence)
}

pub(super) fn remove(
    transaction: &Transaction<'_>,
    key: MediaKey,
    sequence: i64,
) -> rusqlite::Result<()> {
    clear(transaction, key)?;
    clear_text(transaction, key)?;
    base::remove(transaction, key)?;
    let rows = transaction
        .prepare_cached("DELETE FROM medium WHERE key = ?1")?
        .execute([key.0])?;
    if rows > 0 {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO removed VALUES (?1, ?2)")?
            .execute(params![key.0, sequence])?;
    }
    Ok(())
}

fn clear_text(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM full_text WHERE rowid = ?1")?
        .execute([key.0])?;
    Ok(())
}

/// Takes out what other tables hold of a medium, but for the full text.
fn clear(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    tagging::clear(transaction, key)?;
    for statement in [
        "DELETE FROM relation WHERE medium = ?1",
        "DELETE FROM hash WHERE medium = ?1",
        "DELETE FROM post WHERE medium = ?1",
        "DELETE FROM caption WHERE medium = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([key.0])?;
    }
    let mut facts =
        transaction.prepare_cached("DELETE FROM fact WHERE kind = ?1 AND medium = ?2")?;
    for fact in Fact::ALL {
        facts.execute(params![fact as u8, key.0])?;
    }
    Ok(())
}

type Md5Bytes = Option<[u8; 16]>;

/// Writes a row; also says whether the index knew its medium.
fn upsert(
    transaction: &Transaction<'_>,
    row: &mut Row,
    sequence: i64,
    tags: &mut TagIds,
) -> rusqlite::Result<(Entry, bool)> {
    rename(transaction, row, sequence)?;
    let found: Option<(u32, Md5Bytes, Md5Bytes)> = transaction
        .prepare_cached(
            "SELECT key, iif(bytes = ?2 AND file_modified = ?3, file_md5, NULL), sidecar_md5
             FROM medium WHERE id = ?1",
        )?
        .query_map(
            params![row.id.as_str(), signed(row.facts.bytes), row.facts.modified],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .next()
        .transpose()?;
    let known = found.map(|(key, ..)| key);
    let known_sidecar = found.and_then(|(_, _, md5)| md5);
    let settled = base::settle(transaction, known, row, known_sidecar)?;
    if let Some(key) = known {
        clear(transaction, MediaKey(key))?;
    }
    let mut entry = Entry::new(
        MediaKey(known.unwrap_or_default()),
        row.id.clone(),
        &row.facts,
        &row.media,
    );
    let file_md5 = found
        .and_then(|(_, md5, _)| md5)
        .filter(|_| entry.md5.is_none() && !row.facts.is_missing);
    entry.md5 = entry.md5.or(file_md5.map(Md5));
    entry.key = medium(transaction, known, &entry, row, file_md5, sequence)?;
    entry.has.set(Facets::MERGED, settled.is_marked());
    let key = entry.key.0;
    let original = (!row.facts.is_missing).then(|| {
        let md5 = entry.md5.map(|md5| md5.0);
        (signed(row.facts.bytes), md5)
    });
    match known {
        Some(_) => base::write(transaction, key, &settled, original)?,
        None => base::write_new(transaction, key, &settled, original)?,
    }
    tags.write(transaction, key, &entry.tags)?;
    for (position, (site, post)) in entry.posts.iter().enumerate() {
        transaction
            .prepare_cached("INSERT INTO post VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, ordinal(position), site, post])?;
    }
    children(transaction, key, &row.media)?;
    Ok((entry, known.is_some()))
}

/// A path that the index knows under another id keeps its key with the new one;
/// where another medium has that id, the path is that one's from now on.
fn rename(transaction: &Transaction<'_>, row: &Row, sequence: i64) -> rusqlite::Result<()> {
    let known: Option<u32> = transaction
        .prepare_cached("SELECT key FROM medium WHERE path = ?1 AND id <> ?2")?
        .query_map(params![row.facts.path, row.id.as_str()], |row| row.get(0))?
        .next()
        .transpose()?;
    let Some(key) = known else {
        return Ok(());
    };
    departed::note(transaction, MediaKey(key))?;
    let renamed = transaction
        .prepare_cached("UPDATE OR IGNORE medium SET id = ?2 WHERE key = ?1")?
        .execute(params![key, row.id.as_str()])?;
    if renamed == 0 {
        remove(transaction, MediaKey(key), sequence)?;
    }
    Ok(())
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The columns of `medium` that [`medium`] writes, in its order.
const COLUMNS: [&str; 31] = [
    "id",
    "path",
    "kind",
    "derived",
    "name",
    "md5",
    "phash",
    "width",
    "height",
    "bytes",
    "duration_ms",
    "frames",
    "imported",
    "created",
    "modified",
    "rating",
    "stars",
    "fav",
    "status",
    "origin",
    "parent",
    "score",
    "favcount",
    "has",
    "file_modified",
    "sidecar",
    "sidecar_bytes",
    "sidecar_modified_ns",
    "sidecar_md5",
    "file_md5",
    "sequence",
];

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (1..=COLUMNS.len()).map(|n| format!("?{n}")).collect();
    format!(
        "INSERT INTO medium ({}) VALUES ({})",
        COLUMNS.join(", "),
        places.join(", ")
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = (1..).zip(COLUMNS);
    let set: Vec<String> = columns.map(|(n, name)| format!("{name} = ?{n}")).collect();
    format!(
        "UPDATE medium SET {} WHERE key = ?{}",
        set.join(", "),
        COLUMNS.len() + 1
    )
});

/// Writes the row of a medium itself, and gives its key.
fn medium(
    transaction: &Transaction<'_>,
    known: Option<u32>,
    entry: &Entry,
    row: &Row,
    file_md5: Md5Bytes,
    sequence: i64,
) -> rusqlite::Result<MediaKey> {
    let sql = if known.is_some() { &*UPDATE } else { &*INSERT };
    let mut statement = transaction.prepare_cached(sql)?;
    let stamp = row.stamp;
    let values: [&dyn ToSql; COLUMNS.len()] = [
        &entry.id.as_str(),
        &entry.path,
        &entry.kind.as_str(),
        &entry.kind.is_derived(),
        &entry.name,
        &entry.md5.map(|md5| md5.0),
        &entry.phash.as_ref().map(PerceptualHash::as_bytes),
        &entry.width,
        &entry.height,
        &signed(entry.bytes),
        &entry.duration_ms.map(signed),
        &entry.frames,
        &entry.imported,
        &entry.created,
        &entry.modified,
        &entry.rating.map(Rating::letter),
        &entry.stars,
        &entry.fav,
        &entry.status.map(Status::as_str),
        &entry.origin,
        &entry.parent,
        &entry.score,
        &entry.favcount,
        &entry.has.0,
        &row.facts.modified,
        &row.sidecar,
        &stamp.map(|stamp| signed(stamp.bytes)),
        &stamp.map(|stamp| stamp.modified_ns),
        &stamp.map(|stamp| stamp.md5),
        &file_md5,
        &sequence,
    ];
    for (place, value) in (1..).zip(values) {
        statement.raw_bind_parameter(place, value)?;
    }
    if let Some(key) = known {
        statement.raw_bind_parameter(COLUMNS.len() + 1, key)?;
        statement.raw_execute()?;
        return Ok(MediaKey(key));
    }
    statement.raw_execute()?;
    let key = transaction.last_insert_rowid();
    u32::try_from(key)
        .map(MediaKey)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, key))
}

fn ordinal(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// Relations, hashes and caption: what searches rarely ask for.
fn children(transaction: &Transaction<'_>, key: u32, media: &Media) -> rusqlite::Result<()> {
    for (kind, ids) in &media.related {
        for (position, other) in ids.iter().enumerate() {
            let strength = media.relations.get(kind).and_then(|all| all.get(other));
            let score = strength
                .and_then(|strength| strength.get("score"))
                .and_then(serde_json::Value::as_f64);
            transaction
                .prepare_cached("INSERT INTO relation VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![key, kind, ordinal(position), other, score])?;
        }
    }
    for algorithm in HASH_NAMES {
        if let Some(value) = media.hashes.get(algorithm) {
            transaction
                .prepare_cached("INSERT INTO hash VALUES (?1, ?2, ?3)")?
                .execute(params![key, algorithm, value])?;
        }
    }
    if !media.caption.is_empty() {
        transaction
            .prepare_cached("INSERT INTO caption VALUES (?1, ?2)")?
            .execute(params![key, media.caption])?;
    }
    for fact in Fact::ALL {
        if let Some(text) = fact.of(media) {
            transaction
                .prepare_cached("INSERT INTO fact VALUES (?1, ?2, ?3)")?
                .execute(params![fact as u8, key, text])?;
        }
    }
    Ok(())
}

fn full_text(transaction: &Transaction<'_>, entry: &Entry, media: &Media) -> rusqlite::Result<()> {
    let mut tags = String::new();
    for tag in &entry.tags {
        tags.push_str(&tag.value);
        tags.push(' ');
    }
    let mut notes = String::new();
    for part in media.notes.iter().flat_map(|note| {
        ["name", "text"]
            .iter()
            .filter_map(|key| note.get(*key)?.as_str())
    }) {
        notes.push_str(part);
        notes.push('\n');
    }
    transaction
        .prepare_cached(
            "INSERT INTO full_text (rowid, caption, name, notes, file_name, tags)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            entry.key.0,
            media.caption,
            entry.name,
            notes,
            entry.file_name(),
            tags
        ])?;
    Ok(())
}
