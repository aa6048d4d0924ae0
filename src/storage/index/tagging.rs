//! The tags of media: a number for each name, and for each medium the list of its
//! numbers.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use rusqlite::Transaction;

use super::Index;
use crate::{model::id::MediaKey, storage::error::Error};

/// The numbers of tags, kept from one transaction to the next.
#[derive(Debug, Default)]
pub(super) struct TagIds {
    /// By [`name_hash`](crate::model::tag::name_hash).
    known: HashMap<u64, Known, BuildHasherDefault<Hashed>>,
    /// All names, one after another, each with its number.
    names: String,
    /// What SQLite says of writes by others: one of them may have removed a tag.
    version: Option<i64>,
}

/// A tag that has a number. It is small, since all of them are looked up all over again.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Where its name is: the category, and the value behind it.
    start: u32,
    middle: u32,
    end: u32,
    /// The end of its number, which stands behind the name in digits.
    last: u32,
}

impl Known {
    /// The digits of its number, where it is the tag of this name.
    fn number<'n>(self, names: &'n str, category: &str, value: &str) -> Option<&'n str> {
        let part = |start: u32, end: u32| names.get(start as usize..end as usize);
        let is_it = part(self.start, self.middle) == Some(category)
            && part(self.middle, self.end) == Some(value);
        part(self.end, self.last).filter(|_| is_it)
    }
}

impl TagIds {
    /// Forgets what may be so no longer; to be called in every transaction.
    pub(super) fn enter(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.version.replace(version) != Some(version) {
            self.forget();
        }
        Ok(())
    }

    /// What was numbered in a transaction that was taken back has no number.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.names.clear();
    }

    /// The list of the numbers of tags, of which normalised category and value are
    /// given, with their hash.
    pub(super) fn list<'n>(
        &mut self,
        transaction: &Transaction<'_>,
        tags: impl Iterator<Item = (&'n str, &'n str, u64)>,
    ) -> rusqlite::Result<String> {
        let mut list = String::with_capacity(256);
        for (category, value, hash) in tags {
            list.push(if list.is_empty() { '[' } else { ',' });
            let known = self.known.get(&hash);
            let known = known.and_then(|known| known.number(&self.names, category, value));
            if let Some(number) = known {
                list.push_str(number);
            } else {
                let number = numbered(transaction, category, value)?.to_string();
                list.push_str(&number);
                self.learn(category, value, hash, &number);
            }
        }
        list.push(']');
        Ok(list)
    }

    fn learn(&mut self, category: &str, value: &str, hash: u64, number: &str) {
        let start = u32::try_from(self.names.len());
        let ends = [category, value, number].map(|part| {
            self.names.push_str(part);
            u32::try_from(self.names.len())
        });
        // One that lies too far behind is asked for again.
        if let (Ok(start), [Ok(middle), Ok(end), Ok(last)]) = (start, ends) {
            let known = Known {
                start,
                middle,
                end,
                last,
            };
            self.known.insert(hash, known);
        }
    }
}

/// Takes numbers that are hashes already for what they are.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

fn numbered(transaction: &Transaction<'_>, category: &str, value: &str) -> rusqlite::Result<i64> {
    let found: Option<i64> = transaction
        .prepare_cached("SELECT id FROM tag WHERE value = ?1 AND category = ?2")?
        .query_map([value, category], |row| row.get(0))?
        .next()
        .transpose()?;
    match found {
        Some(id) => Ok(id),
        None => transaction
            .prepare_cached("INSERT INTO tag (category, value) VALUES (?1, ?2)")?
            .insert([category, value]),
    }
}

/// The numbers of a list, as [`TagIds::list`] made it.
pub(super) fn numbers(list: &str) -> impl Iterator<Item = i64> {
    list.trim_matches(['[', ']'])
        .split(',')
        .filter_map(|number| number.parse().ok())
}

impl Index {
    /// Removes the tags that no medium has any more.
    pub(in crate::storage) fn drop_unused_tags(&self) -> Result<(), Error> {
        self.write("forget unused tags", |transaction| {
            transaction
                .execute_batch("DELETE FROM tag WHERE id NOT IN (SELECT tag FROM medium_tag)")
        })
    }

    /// Whether it knows any medium whose path does not come before this one.
    pub(in crate::storage) fn knows_path_from(&self, path: &str) -> Result<bool, Error> {
        self.read("read", |connection| {
            connection
                .prepare("SELECT 1 FROM medium WHERE path >= ?1 LIMIT 1")?
                .exists([path])
        })
    }

    /// Whether it knows any medium.
    pub(in crate::storage) fn is_empty(&self) -> Result<bool, Error> {
        self.read("read", |connection| {
            let any = connection
                .prepare("SELECT 1 FROM medium LIMIT 1")?
                .exists([])?;
            Ok(!any)
        })
    }
}

/// Takes a medium its tags.
pub(super) fn clear(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM tagging WHERE medium = ?1")?
        .execute([key.0])?;
    Ok(())
}
