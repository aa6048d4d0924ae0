//! Writing rows: one transaction per batch, every table of a medium together.

use std::{collections::HashSet, sync::LazyLock};

use rusqlite::{CachedStatement, ToSql, Transaction, params};

use super::{Index, Packed, Seen, base, departed, set, tagging, tagging::TagIds, words};
use crate::{
    model::{
        entry::{Entry, Facets, FileFacts},
        fact::Fact,
        hash::PerceptualHash,
        id::{Md5, MediaId, MediaKey},
        media::{HASH_NAMES, Media, Rating, Status},
        sidecar::LeanTags,
        tag::{Tag, TagName, name_hash},
    },
    storage::{error::Error, requests::Unhashed},
};

/// The sidecar's text as it was last seen: how a later reader notices that
/// another program changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Stamp {
    pub bytes: u64,
    pub modified_ns: i64,
    pub digest: [u8; 16],
}

/// Everything the index stores of one medium.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Row {
    pub id: MediaId,
    pub facts: FileFacts,
    pub media: Media,
    /// The tags, where they were read without the objects that make them some of the
    /// medium; see [`Row::lean_tags`].
    pub tags: Option<LeanTags>,
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

impl Row {
    /// The tags that the medium does not hold itself.
    fn lean_tags(&self) -> Option<&LeanTags> {
        self.tags.as_ref().filter(|_| self.media.tags.is_empty())
    }

    /// Puts another medium, with its tags, in the place of what was read.
    pub(super) fn replace_media(&mut self, media: Media) {
        self.media = media;
        self.tags = None;
    }
}

/// What is known from one transaction of [`Index::enter_many`] to the next.
#[derive(Debug, Default)]
pub(in crate::storage) struct Many {
    tags: TagIds,
    /// The number of the last change, as long as nobody else changed the index.
    sequence: Option<i64>,
    /// Media are likely to be unknown.
    are_new: bool,
}

impl Many {
    /// Whether nobody else has changed the index since [`Index::begin_many`].
    pub(in crate::storage) fn is_alone(&self) -> bool {
        self.sequence.is_some()
    }
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
        self.write("write", |transaction| {
            let sequence = next_sequence(transaction)?;
            for key in removed {
                remove(transaction, *key, sequence)?;
            }
            let mut tags = TagIds::default();
            let mut entries = Vec::with_capacity(rows.len());
            let mut replaced = HashSet::new();
            let mut statements = Statements::new(transaction)?;
            for row in rows.iter_mut() {
                check(row);
                let mut written = statements.upsert(row, sequence, &mut tags)?;
                written.entry.tags = row.media.tags.iter().map(Tag::name).collect();
                if written.is_replaced {
                    replaced.insert(written.entry.key);
                }
                entries.push(written.entry);
            }
            // Other statements in between would make FTS5 write a part for each row.
            for (row, entry) in rows.iter().zip(&entries) {
                if replaced.contains(&entry.key) {
                    words::clear(transaction, entry.key)?;
                }
                words::write(transaction, entry, &row.media)?;
            }
            Ok(entries)
        })
    }

    /// What [`Index::enter_many`] needs, noted before the first row is read; `are_new`:
    /// the index is likely not to know them.
    pub(in crate::storage) fn begin_many(&self, are_new: bool) -> Result<Many, Error> {
        let sequence = i64::try_from(self.moment()?.sequence).ok();
        Ok(Many {
            sequence,
            are_new,
            ..Many::default()
        })
    }

    /// Writes many rows in several transactions, and a setting with each. Their words
    /// are left for later. `check` sees a row, by its place, as in [`Index::commit`], but
    /// only where somebody else wrote since [`Index::begin_many`]: nobody changes a
    /// sidecar and leaves the index as it is.
    pub(in crate::storage) fn enter_many(
        &self,
        many: &mut Many,
        rows: &mut [Row],
        setting: Option<(&str, &str)>,
        check: &mut dyn FnMut(usize, &mut Row),
    ) -> Result<(), Error> {
        let written = self.write("write", |transaction| {
            let sequence = next_sequence(transaction)?;
            let is_alone = many.sequence.is_some_and(|last| last + 1 == sequence);
            many.sequence = is_alone.then_some(sequence);
            many.tags.enter(transaction)?;
            let mut known = Vec::new();
            let mut new = Vec::with_capacity(rows.len());
            let mut statements = Statements::new(transaction)?;
            for (place, row) in rows.iter_mut().enumerate() {
                if !is_alone {
                    check(place, row);
                }
                let inserted = if many.are_new {
                    statements.insert(row, sequence, &mut many.tags)?
                } else {
                    None
                };
                let written = match inserted {
                    Some(written) => written,
                    None => statements.upsert(row, sequence, &mut many.tags)?,
                };
                let keys = if written.is_replaced {
                    &mut known
                } else {
                    &mut new
                };
                keys.push(written.entry.key);
            }
            // Other statements in between would make FTS5 write a part for each row.
            for key in &known {
                words::clear(transaction, *key)?;
            }
            for key in new.iter().chain(&known) {
                words::owe(transaction, *key)?;
            }
            if let Some((key, value)) = setting {
                set(transaction, key, value)?;
            }
            Ok(())
        });
        if written.is_err() {
            many.tags.forget();
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
    words::clear(transaction, key)?;
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

/// A row that was written: its entry, without tags, and whether the index knew it.
struct WrittenRow {
    entry: Entry,
    is_replaced: bool,
}

/// The statements that write a row, made once for all rows of a transaction.
struct Statements<'t> {
    transaction: &'t Transaction<'t>,
    medium: CachedStatement<'t>,
    tagging: CachedStatement<'t>,
    base: CachedStatement<'t>,
    caption: CachedStatement<'t>,
    fact: CachedStatement<'t>,
    relation: CachedStatement<'t>,
}

impl<'t> Statements<'t> {
    fn new(transaction: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        let prepare = |sql| transaction.prepare_cached(sql);
        Ok(Self {
            transaction,
            medium: prepare(&INSERT)?,
            tagging: prepare("INSERT INTO tagging VALUES (?1, ?2)")?,
            base: prepare("INSERT OR REPLACE INTO base VALUES (?1, ?2, ?3, ?4)")?,
            caption: prepare("INSERT INTO caption VALUES (?1, ?2)")?,
            fact: prepare("INSERT INTO fact VALUES (?1, ?2, ?3)")?,
            relation: prepare("INSERT INTO relation VALUES (?1, ?2, ?3, ?4, ?5)")?,
        })
    }

    /// Writes a row that the index does not know; `None`, and nothing is written, where
    /// it knows the id or the path.
    fn insert(
        &mut self,
        row: &mut Row,
        sequence: i64,
        tags: &mut TagIds,
    ) -> rusqlite::Result<Option<WrittenRow>> {
        let mut entry = Entry::without_tags(MediaKey(0), row.id.clone(), &row.facts, &row.media);
        if !self.insert_medium(&mut entry, row, None, sequence)? {
            return Ok(None);
        }
        let settled = base::settle(self.transaction, None, row, None)?;
        self.remember(&settled, &entry, row)?;
        self.children(&entry, row, tags)?;
        Ok(Some(WrittenRow {
            entry,
            is_replaced: false,
        }))
    }

    /// Writes a row, whether the index knows its medium or not.
    fn upsert(
        &mut self,
        row: &mut Row,
        sequence: i64,
        tags: &mut TagIds,
    ) -> rusqlite::Result<WrittenRow> {
        let transaction = self.transaction;
        rename(transaction, row, sequence)?;
        let found: Option<(u32, Md5Bytes, Md5Bytes)> = transaction
            .prepare_cached(
                "SELECT key, iif(bytes = ?2 AND file_modified = ?3, file_md5, NULL),
                    sidecar_digest
                 FROM medium WHERE id = ?1",
            )?
            .query_map(
                params![row.id.as_str(), signed(row.facts.bytes), row.facts.modified],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .next()
            .transpose()?;
        let known = found.map(|(key, ..)| key);
        let known_sidecar = found.and_then(|(_, _, digest)| digest);
        let settled = base::settle(transaction, known, row, known_sidecar)?;
        if let Some(key) = known {
            clear(transaction, MediaKey(key))?;
        }
        let mut entry = Entry::without_tags(
            MediaKey(known.unwrap_or_default()),
            row.id.clone(),
            &row.facts,
            &row.media,
        );
        let file_md5 = found
            .and_then(|(_, md5, _)| md5)
            .filter(|_| entry.md5.is_none() && !row.facts.is_missing);
        entry.md5 = entry.md5.or(file_md5.map(Md5));
        match known {
            Some(_) => {
                let mut statement = transaction.prepare_cached(&UPDATE)?;
                bind(&mut statement, &entry, row, file_md5, sequence)?;
                statement.raw_bind_parameter(COLUMNS.len() + 1, entry.key.0)?;
                statement.raw_execute()?;
            }
            None => {
                self.insert_medium(&mut entry, row, file_md5, sequence)?;
            }
        }
        entry.has.set(Facets::MERGED, settled.is_marked());
        match known {
            Some(key) => base::write(transaction, key, &settled, original(&entry, row))?,
            None => self.remember(&settled, &entry, row)?,
        }
        self.children(&entry, row, tags)?;
        Ok(WrittenRow {
            entry,
            is_replaced: known.is_some(),
        })
    }

    /// Inserts into `medium`, and gives the entry its key; `false` where another row has
    /// its id or its path.
    fn insert_medium(
        &mut self,
        entry: &mut Entry,
        row: &Row,
        file_md5: Md5Bytes,
        sequence: i64,
    ) -> rusqlite::Result<bool> {
        bind(&mut self.medium, entry, row, file_md5, sequence)?;
        if self.medium.raw_execute()? == 0 {
            return Ok(false);
        }
        let key = self.transaction.last_insert_rowid();
        let out_of_range = |_| rusqlite::Error::IntegralValueOutOfRange(0, key);
        entry.key = MediaKey(u32::try_from(key).map_err(out_of_range)?);
        Ok(true)
    }

    /// Writes what is remembered of a medium that the index did not know.
    fn remember(
        &mut self,
        settled: &base::Settled,
        entry: &Entry,
        row: &Row,
    ) -> rusqlite::Result<()> {
        let original = original(entry, row);
        match settled.plain_text() {
            Some(text) => {
                let (bytes, md5) = original.unzip();
                self.base
                    .execute(params![entry.key.0, text, bytes, md5.flatten()])
                    .map(|_| ())
            }
            None if settled.is_marked() => {
                base::write(self.transaction, entry.key.0, settled, original)
            }
            None => Ok(()),
        }
    }

    /// What other tables hold of a medium, but for words and what is remembered.
    fn children(&mut self, entry: &Entry, row: &Row, tags: &mut TagIds) -> rusqlite::Result<()> {
        let (key, media) = (entry.key.0, &row.media);
        let lean = row.lean_tags();
        let list = match lean {
            Some(lean) if lean.is_empty() => None,
            Some(lean) => Some(tags.list(self.transaction, lean.iter())?),
            None if media.tags.is_empty() => None,
            None => {
                let names: Vec<TagName> = media.tags.iter().map(Tag::name).collect();
                let names = names.iter().map(|TagName { category, value }| {
                    (
                        category.as_str(),
                        value.as_str(),
                        name_hash(category, value),
                    )
                });
                Some(tags.list(self.transaction, names)?)
            }
        };
        if let Some(list) = list {
            self.tagging.execute(params![key, list])?;
        }
        for (kind, ids) in &media.related {
            for (position, other) in ids.iter().enumerate() {
                let strength = media.relations.get(kind).and_then(|all| all.get(other));
                let score = strength
                    .and_then(|strength| strength.get("score"))
                    .and_then(serde_json::Value::as_f64);
                self.relation
                    .execute(params![key, kind, ordinal(position), other, score])?;
            }
        }
        if !media.caption.is_empty() {
            self.caption.execute(params![key, media.caption])?;
        }
        for fact in Fact::ALL {
            let text = match lean {
                Some(lean) => fact.of_lean(media, lean),
                None => fact.of(media),
            };
            if let Some(text) = text {
                self.fact.execute(params![fact as u8, key, text])?;
            }
        }
        for algorithm in HASH_NAMES {
            if let Some(value) = media.hashes.get(algorithm) {
                self.transaction
                    .prepare_cached("INSERT INTO hash VALUES (?1, ?2, ?3)")?
                    .execute(params![key, algorithm, value])?;
            }
        }
        for (position, (site, post)) in entry.posts.iter().enumerate() {
            self.transaction
                .prepare_cached("INSERT INTO post VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![key, ordinal(position), site, post])?;
        }
        Ok(())
    }
}

/// Size and md5 of the original, where it is there.
fn original(entry: &Entry, row: &Row) -> base::Original {
    let md5 = entry.md5.map(|md5| md5.0);
    (!row.facts.is_missing).then(|| (signed(row.facts.bytes), md5))
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

/// The columns of `medium` that [`bind`] binds, in its order.
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
    "sidecar_digest",
    "file_md5",
    "sequence",
];

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (1..=COLUMNS.len()).map(|n| format!("?{n}")).collect();
    format!(
        "INSERT INTO medium ({}) VALUES ({}) ON CONFLICT DO NOTHING",
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

/// Binds [`COLUMNS`].
fn bind(
    statement: &mut CachedStatement<'_>,
    entry: &Entry,
    row: &Row,
    file_md5: Md5Bytes,
    sequence: i64,
) -> rusqlite::Result<()> {
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
        &stamp.map(|stamp| stamp.digest),
        &file_md5,
        &sequence,
    ];
    for (place, value) in (1..).zip(values) {
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

fn ordinal(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
