//! Reading rows: single media by key, and everything in one ordered pass.

use std::{collections::HashMap, ops::ControlFlow};

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, Rows};

use super::{Index, Stamp, tagging};
use crate::{
    model::{
        entry::{Entry, Facets},
        hash::PerceptualHash,
        id::{Md5, MediaId, MediaKey},
        tag::TagName,
    },
    storage::{error::Error, requests::Unhashed},
};

/// The columns of [`entry_of`], in its order.
const COLUMNS: &str = "key, id, path, kind, name, md5, phash, width, height, bytes, duration_ms,
    frames, imported, created, modified, rating, stars, fav, status, origin, parent, score,
    favcount, has";
/// Entries handed over at once by [`Index::load`].
const CHUNK: usize = 1_000;

/// Where the files of a medium are, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Place {
    pub key: MediaKey,
    pub id: MediaId,
    pub path: String,
    pub sidecar: Option<String>,
    pub stamp: Option<Stamp>,
    pub bytes: u64,
    /// Seconds since 1970, of the original.
    pub modified: i64,
    pub is_missing: bool,
    /// The file lacks keys of ours, which the next save gives back.
    pub is_owed: bool,
}

impl Index {
    pub(in crate::storage) fn count(&self) -> Result<u64, Error> {
        self.read("count", |connection| {
            connection
                .prepare_cached("SELECT count(*) FROM medium WHERE derived = 0")?
                .query_row([], |row| unsigned(row, 0))
        })
    }

    /// The newest `limit` media that are not derived from others.
    pub(in crate::storage) fn first_page(&self, limit: usize) -> Result<Vec<Entry>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read("read", |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM medium WHERE derived = 0
                 ORDER BY imported DESC, id LIMIT ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let entries = statement.query_map([limit], entry_of)?;
            entries
                .map(|entry| with_children(connection, entry?))
                .collect()
        })
    }

    pub(in crate::storage) fn entry(&self, key: MediaKey) -> Result<Option<Entry>, Error> {
        self.read("read", |connection| entry(connection, key))
    }

    /// All media in order of their keys, in chunks; `on` gets each chunk with
    /// (done, total) and may stop, which gives `false`.
    pub(in crate::storage) fn load(
        &self,
        on: &mut dyn FnMut(Vec<Entry>, u64, u64) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        self.read("load", |connection| {
            // One snapshot for the three passes that run side by side.
            let transaction = connection.unchecked_transaction()?;
            let total =
                transaction.query_row("SELECT count(*) FROM medium", [], |row| unsigned(row, 0))?;
            let names = tag_names(&transaction)?;
            let mut media =
                transaction.prepare(&format!("SELECT {COLUMNS} FROM medium ORDER BY key"))?;
            let mut tags =
                transaction.prepare("SELECT medium, tags FROM tagging ORDER BY medium")?;
            let mut posts = transaction
                .prepare("SELECT medium, site, post FROM post ORDER BY medium, position")?;
            let mut merged = transaction.prepare("SELECT medium FROM merged ORDER BY medium")?;
            let mut tags = Side::new(tags.query([])?, |row| row.get::<_, String>(1))?;
            let mut posts = Side::new(posts.query([])?, |row| Ok((row.get(1)?, row.get(2)?)))?;
            let mut merged = Side::new(merged.query([])?, |_| Ok(()))?;
            let mut rows = media.query([])?;
            let (mut chunk, mut done) = (Vec::with_capacity(CHUNK), 0);
            while let Some(row) = rows.next()? {
                let mut entry = entry_of(row)?;
                tags.take(entry.key.0, |list| {
                    let numbers = tagging::numbers(&list);
                    entry
                        .tags
                        .extend(numbers.filter_map(|tag| names.get(&tag).cloned()));
                })?;
                posts.take(entry.key.0, |post| entry.posts.push(post))?;
                merged.take(entry.key.0, |()| entry.has.set(Facets::MERGED, true))?;
                chunk.push(entry);
                done += 1;
                if chunk.len() == CHUNK {
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                    if on(full, done, total).is_break() {
                        return Ok(false);
                    }
                }
            }
            Ok(chunk.is_empty() || on(chunk, done, total).is_continue())
        })
    }

    /// Those of some media that are there.
    pub(in crate::storage) fn entries(&self, keys: &[MediaKey]) -> Result<Vec<Entry>, Error> {
        self.read("read", |connection| {
            // One lock for all, in place of one for each question.
            let transaction = connection.unchecked_transaction()?;
            let entries = keys.iter().map(|key| entry(&transaction, *key));
            entries.filter_map(Result::transpose).collect()
        })
    }

    /// The media written and those removed after a sequence number, with the newest
    /// number.
    pub(in crate::storage) fn changed_since(
        &self,
        sequence: u64,
    ) -> Result<(u64, Vec<MediaKey>, Vec<MediaKey>), Error> {
        let since = i64::try_from(sequence).unwrap_or(i64::MAX);
        self.read("look for changes", |connection| {
            let transaction = connection.unchecked_transaction()?;
            let newest = transaction.query_row(
                "SELECT CAST(value AS INTEGER) FROM library_metadata WHERE key = 'sequence'",
                [],
                |row| unsigned(row, 0),
            )?;
            let changed = keys(
                &transaction,
                "SELECT key FROM medium WHERE sequence > ?1 ORDER BY key",
                since,
            )?;
            let removed = keys(
                &transaction,
                "SELECT key FROM removed WHERE sequence > ?1 ORDER BY key",
                since,
            )?;
            Ok((newest, changed, removed))
        })
    }

    pub(in crate::storage) fn find_md5(
        &self,
        md5: &Md5,
    ) -> Result<Vec<(MediaKey, MediaId)>, Error> {
        self.read("look up md5", |connection| {
            connection
                .prepare_cached("SELECT key, id FROM medium WHERE md5 = ?1 ORDER BY path")?
                .query_map([md5.0], |row| Ok((MediaKey(row.get(0)?), id(row, 1)?)))?
                .collect()
        })
    }

    pub(in crate::storage) fn find_size(&self, bytes: u64) -> Result<Vec<MediaKey>, Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.read("look up size", |connection| {
            keys(
                connection,
                "SELECT key FROM medium WHERE bytes = ?1 AND md5 IS NULL ORDER BY path",
                bytes,
            )
        })
    }

    /// Media whose md5 is not known and whose original is there: first those whose
    /// size another one has as well.
    pub(in crate::storage) fn unhashed_keys(
        &self,
        twins_only: bool,
    ) -> Result<Vec<MediaKey>, Error> {
        self.read("look for what has no md5", |connection| {
            let sql = format!(
                "WITH twin AS (SELECT bytes FROM medium WHERE has & {missing} = 0
                    GROUP BY bytes HAVING count(*) > 1)
                 SELECT key, bytes IN twin AS is_twin FROM medium
                 WHERE md5 IS NULL AND has & {missing} = 0 AND (is_twin OR NOT ?1)
                 ORDER BY is_twin DESC, key",
                missing = Facets::MISSING.0
            );
            connection
                .prepare(&sql)?
                .query_map([twins_only], |row| Ok(MediaKey(row.get(0)?)))?
                .collect()
        })
    }

    /// The files of those of some media whose md5 is not known.
    pub(in crate::storage) fn unhashed(&self, keys: &[MediaKey]) -> Result<Vec<Unhashed>, Error> {
        self.read("look for what has no md5", |connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut statement = transaction.prepare_cached(
                "SELECT path, bytes, file_modified FROM medium WHERE key = ?1 AND md5 IS NULL",
            )?;
            let files = keys.iter().map(|key| {
                let file = statement.query_row([key.0], |row| {
                    Ok(Unhashed {
                        key: *key,
                        path: row.get(0)?,
                        bytes: unsigned(row, 1)?,
                        modified: row.get(2)?,
                    })
                });
                file.optional()
            });
            files.filter_map(Result::transpose).collect()
        })
    }

    pub(in crate::storage) fn place(&self, key: MediaKey) -> Result<Option<Place>, Error> {
        self.read("read", |connection| {
            connection
                .prepare_cached(&places_sql("WHERE key = ?1"))?
                .query_map([key.0], place_of)?
                .next()
                .transpose()
        })
    }

    /// The places of all media, by path.
    pub(in crate::storage) fn places(&self) -> Result<HashMap<String, Place>, Error> {
        self.read("read", |connection| {
            connection
                .prepare(&places_sql(""))?
                .query_map([], |row| {
                    place_of(row).map(|place| (place.path.clone(), place))
                })?
                .collect()
        })
    }

    /// Hands over the places of all media in the order of their paths, one at a time;
    /// `on` may stop it, which gives `false`.
    pub(in crate::storage) fn each_place(
        &self,
        on: &mut dyn FnMut(Place) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        self.read("read", |connection| {
            let mut statement = connection.prepare(&places_sql("ORDER BY path"))?;
            for place in statement.query_map([], place_of)? {
                if on(place?).is_break() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    pub(in crate::storage) fn place_by_path(&self, path: &str) -> Result<Option<Place>, Error> {
        self.read("read", |connection| {
            connection
                .prepare_cached(&places_sql("WHERE path = ?1"))?
                .query_map([path], place_of)?
                .next()
                .transpose()
        })
    }

    pub(in crate::storage) fn key_of(&self, id: &str) -> Result<Option<MediaKey>, Error> {
        self.read("look up id", |connection| {
            connection
                .prepare_cached("SELECT key FROM medium WHERE id = ?1")?
                .query_map([id], |row| Ok(MediaKey(row.get(0)?)))?
                .next()
                .transpose()
        })
    }

    /// The paths that begin with `stem.`, where `stem` has its folder: a medium
    /// and those that share its name but not its extension (and longer names).
    pub(in crate::storage) fn paths_with_stem(&self, stem: &str) -> Result<Vec<String>, Error> {
        self.read("read", |connection| {
            connection
                .prepare_cached(
                    // `/` is the character after `.`, so this is a range of the path index.
                    "SELECT path FROM medium
                     WHERE path >= ?1 || '.' AND path < ?1 || '/' ORDER BY path",
                )?
                .query_map([stem], |row| row.get(0))?
                .collect()
        })
    }
}

fn places_sql(filter: &str) -> String {
    format!(
        "SELECT key, id, path, sidecar, sidecar_bytes, sidecar_modified_ns, sidecar_digest, bytes,
            file_modified, has,
            EXISTS (SELECT 1 FROM merged WHERE medium = key AND is_owed) FROM medium {filter}"
    )
}

fn place_of(row: &SqlRow<'_>) -> rusqlite::Result<Place> {
    let stamp = match (row.get::<_, Option<i64>>(4)?, row.get(5)?, row.get(6)?) {
        (Some(bytes), Some(modified_ns), Some(digest)) => Some(Stamp {
            bytes: u64::try_from(bytes).unwrap_or_default(),
            modified_ns,
            digest,
        }),
        _ => None,
    };
    Ok(Place {
        key: MediaKey(row.get(0)?),
        id: id(row, 1)?,
        path: row.get(2)?,
        sidecar: row.get(3)?,
        stamp,
        bytes: unsigned(row, 7)?,
        modified: row.get(8)?,
        is_missing: Facets(row.get(9)?).contains(Facets::MISSING),
        is_owed: row.get(10)?,
    })
}

/// The rows of a table that belong to media, read in step with a pass over these.
struct Side<'s, T, F: Fn(&SqlRow<'_>) -> rusqlite::Result<T>> {
    rows: Rows<'s>,
    read: F,
    next: Option<(u32, T)>,
}

impl<'s, T, F: Fn(&SqlRow<'_>) -> rusqlite::Result<T>> Side<'s, T, F> {
    fn new(rows: Rows<'s>, read: F) -> rusqlite::Result<Self> {
        let mut side = Self {
            rows,
            read,
            next: None,
        };
        side.advance()?;
        Ok(side)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, (self.read)(row)?)),
            None => None,
        };
        Ok(())
    }

    /// Hands over the rows of one medium; those of media that are no more are skipped.
    fn take(&mut self, key: u32, mut on: impl FnMut(T)) -> rusqlite::Result<()> {
        while let Some((medium, value)) = self.next.take_if(|(medium, _)| *medium <= key) {
            if medium == key {
                on(value);
            }
            self.advance()?;
        }
        Ok(())
    }
}

fn tag_names(connection: &Connection) -> rusqlite::Result<HashMap<i64, TagName>> {
    connection
        .prepare("SELECT id, category, value FROM tag")?
        .query_map([], |row| {
            let name = TagName {
                category: row.get(1)?,
                value: row.get(2)?,
            };
            Ok((row.get(0)?, name))
        })?
        .collect()
}

fn keys(connection: &Connection, sql: &str, parameter: i64) -> rusqlite::Result<Vec<MediaKey>> {
    connection
        .prepare_cached(sql)?
        .query_map([parameter], |row| Ok(MediaKey(row.get(0)?)))?
        .collect()
}

pub(super) fn entry(connection: &Connection, key: MediaKey) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM medium WHERE key = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([key.0], entry_of)?.next();
    found
        .map(|entry| with_children(connection, entry?))
        .transpose()
}

fn with_children(connection: &Connection, mut entry: Entry) -> rusqlite::Result<Entry> {
    entry.tags = connection
        .prepare_cached(
            "SELECT category, tag.value FROM tagging JOIN json_each(tagging.tags) AS each
             JOIN tag ON tag.id = each.value WHERE medium = ?1 ORDER BY each.key",
        )?
        .query_map([entry.key.0], |row| {
            Ok(TagName {
                category: row.get(0)?,
                value: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    entry.posts = connection
        .prepare_cached("SELECT site, post FROM post WHERE medium = ?1 ORDER BY position")?
        .query_map([entry.key.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let is_merged = connection
        .prepare_cached("SELECT 1 FROM merged WHERE medium = ?1")?
        .exists([entry.key.0])?;
    entry.has.set(Facets::MERGED, is_merged);
    Ok(entry)
}

/// A row as an entry without tags and posts.
fn entry_of(row: &SqlRow<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: MediaKey(row.get(0)?),
        id: id(row, 1)?,
        path: row.get(2)?,
        kind: word(row, 3)?.unwrap_or_default(),
        name: row.get(4)?,
        md5: row.get::<_, Option<[u8; 16]>>(5)?.map(Md5),
        phash: row.get::<_, Option<Vec<u8>>>(6)?.map(PerceptualHash::new),
        width: row.get(7)?,
        height: row.get(8)?,
        bytes: unsigned(row, 9)?,
        duration_ms: row
            .get::<_, Option<i64>>(10)?
            .and_then(|ms| u64::try_from(ms).ok()),
        frames: row.get(11)?,
        imported: row.get(12)?,
        created: row.get(13)?,
        modified: row.get(14)?,
        rating: word(row, 15)?,
        stars: row.get(16)?,
        fav: row.get(17)?,
        status: word(row, 18)?,
        tags: Vec::new(),
        posts: Vec::new(),
        origin: row.get(19)?,
        parent: row.get(20)?,
        score: row.get(21)?,
        favcount: row.get(22)?,
        has: Facets(row.get(23)?),
    })
}

fn word<T: std::str::FromStr>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn unsigned(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
}

pub(super) fn id(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<MediaId> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
