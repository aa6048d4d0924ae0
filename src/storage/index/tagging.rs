//! The tags of media: a number for each name, and for each medium the list of its
//! numbers.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::Index;
use crate::{
    model::{id::MediaKey, tag::TagName},
    storage::error::Error,
};

/// The numbers of tags, kept from one transaction to the next.
#[derive(Debug, Default)]
pub(in crate::storage) struct TagIds {
    known: HashMap<TagName, i64>,
    /// What SQLite says of writes by others: one of them may have removed a tag.
    version: Option<i64>,
}

impl TagIds {
    /// Forgets what may be so no longer; to be called in every transaction.
    pub(super) fn enter(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.version.replace(version) != Some(version) {
            self.known.clear();
        }
        Ok(())
    }

    /// What was numbered in a transaction that was taken back has no number.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The number of a tag, made when it is new.
    fn id(&mut self, transaction: &Transaction<'_>, tag: &TagName) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.get(tag) {
            return Ok(*id);
        }
        let found: Option<i64> = transaction
            .prepare_cached("SELECT id FROM tag WHERE value = ?1 AND category = ?2")?
            .query_map([&tag.value, &tag.category], |row| row.get(0))?
            .next()
            .transpose()?;
        let id = match found {
            Some(id) => id,
            None => transaction
                .prepare_cached("INSERT INTO tag (category, value) VALUES (?1, ?2)")?
                .insert([&tag.category, &tag.value])?,
        };
        self.known.insert(tag.clone(), id);
        Ok(id)
    }

    /// Gives a medium its tags; it must have none.
    pub(super) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        medium: u32,
        tags: &[TagName],
    ) -> rusqlite::Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut list = String::with_capacity(tags.len() * 6);
        for tag in tags {
            list.push(if list.is_empty() { '[' } else { ',' });
            list.push_str(&self.id(transaction, tag)?.to_string());
        }
        list.push(']');
        transaction
            .prepare_cached("INSERT INTO tagging VALUES (?1, ?2)")?
            .execute(params![medium, list])?;
        Ok(())
    }
}

/// The numbers of a list, as [`TagIds::write`] made it.
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
