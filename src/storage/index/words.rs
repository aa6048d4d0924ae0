//! The words of texts, in FTS5: captions, names, notes, file names and tags.
//!
//! Whoever writes a medium writes its words, but for a rebuild: they would take it a
//! third of its time, and many libraries are never asked for them. Media without words
//! are listed; whoever asks for words first, or has nothing else to do, supplies them.

use std::{collections::HashMap, fmt::Write as _};

use rusqlite::{Connection, Transaction, params};

use super::{Index, tagging};
use crate::{
    model::{entry::Entry, fact::Fact, id::MediaKey, media::Media},
    storage::error::Error,
};

/// Media supplied with words in one transaction.
const STEP: usize = 2_000;

/// What the query language calls the columns of the full text.
const TEXT_FIELDS: [(&str, &str); 5] = [
    ("caption", "caption"),
    ("name", "name"),
    ("note", "notes"),
    ("filename", "file_name"),
    ("tag", "tags"),
];

impl Index {
    /// Media whose texts match; none for a field that does not exist.
    pub(in crate::storage) fn full_text(
        &self,
        field: Option<&str>,
        query: &str,
    ) -> Result<Vec<MediaKey>, Error> {
        let Some(words) = match_expression(query) else {
            return Ok(Vec::new());
        };
        let expression = match field {
            None => words,
            Some(field) => match TEXT_FIELDS.iter().find(|(name, _)| *name == field) {
                Some((_, column)) => format!("{{{column}}} : ({words})"),
                None => return Ok(Vec::new()),
            },
        };
        while self.supply_words()? {}
        self.read("search the full text", |connection| {
            connection
                .prepare_cached(
                    "SELECT rowid FROM full_text WHERE full_text MATCH ?1 ORDER BY rowid",
                )?
                .query_map([expression], |row| Ok(MediaKey(row.get(0)?)))?
                .collect()
        })
    }

    /// Supplies some media with words; `false` when all have theirs.
    pub(in crate::storage) fn supply_words(&self) -> Result<bool, Error> {
        let lacks_some = self.read("read", |connection| {
            connection
                .prepare_cached("SELECT 1 FROM unworded LIMIT 1")?
                .exists([])
        })?;
        if lacks_some {
            self.write("index the words", |transaction| supply(transaction, STEP))?;
        }
        Ok(lacks_some)
    }

    /// Takes all media their words, before all are written anew.
    pub(in crate::storage) fn forget_words(&self) -> Result<(), Error> {
        self.write("forget the words", |transaction| {
            transaction.execute_batch(
                "INSERT INTO full_text (full_text) VALUES ('delete-all');
                 INSERT OR IGNORE INTO unworded SELECT key FROM medium;",
            )
        })
    }
}

/// Takes a medium its words.
pub(super) fn clear(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM full_text WHERE rowid = ?1",
        "DELETE FROM unworded WHERE medium = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([key.0])?;
    }
    Ok(())
}

/// Leaves the words of a medium, which has none, for later.
pub(super) fn owe(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO unworded VALUES (?1)")?
        .execute([key.0])?;
    Ok(())
}

/// Gives a medium, which has none, its words.
pub(super) fn write(
    transaction: &Transaction<'_>,
    entry: &Entry,
    media: &Media,
) -> rusqlite::Result<()> {
    let mut tags = String::new();
    for tag in &entry.tags {
        tags.push_str(&tag.value);
        tags.push(' ');
    }
    insert(
        transaction,
        entry.key.0,
        &Texts {
            path: &entry.path,
            name: &entry.name,
            caption: &media.caption,
            notes: &Fact::Notes.of(media).unwrap_or_default(),
            tags: &tags,
        },
    )
}

/// What the words of a medium are taken from.
struct Texts<'a> {
    path: &'a str,
    name: &'a str,
    caption: &'a str,
    notes: &'a str,
    tags: &'a str,
}

fn insert(transaction: &Transaction<'_>, key: u32, texts: &Texts<'_>) -> rusqlite::Result<()> {
    let file_name = texts.path.rsplit('/').next().unwrap_or(texts.path);
    transaction
        .prepare_cached(
            "INSERT INTO full_text (rowid, caption, name, notes, file_name, tags)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key,
            texts.caption,
            texts.name,
            texts.notes,
            file_name,
            texts.tags
        ])?;
    Ok(())
}

/// Supplies the first of those that have no words with what the other tables say.
fn supply(transaction: &Transaction<'_>, limit: usize) -> rusqlite::Result<()> {
    let values = tag_values(transaction)?;
    let sql = format!(
        "SELECT key, path, name, coalesce(caption.text, ''), coalesce(fact.text, ''),
            coalesce(tagging.tags, '')
         FROM unworded JOIN medium ON key = unworded.medium
            LEFT JOIN caption ON caption.medium = key
            LEFT JOIN fact ON fact.kind = {notes} AND fact.medium = key
            LEFT JOIN tagging ON tagging.medium = key
         WHERE unworded.medium <= ?1 ORDER BY unworded.medium",
        notes = Fact::Notes as u8
    );
    let last: i64 = transaction.query_row(
        "SELECT max(medium) FROM (SELECT medium FROM unworded ORDER BY medium LIMIT ?1)",
        [i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get::<_, Option<i64>>(0).map(Option::unwrap_or_default),
    )?;
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query([last])?;
    let mut tags = String::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        tags.clear();
        for number in tagging::numbers(text(5)?) {
            // A tag that is not there has no words.
            let value = values.get(&number).map_or("", String::as_str);
            let _ = write!(tags, "{value} ");
        }
        let texts = Texts {
            path: text(1)?,
            name: text(2)?,
            caption: text(3)?,
            notes: text(4)?,
            tags: &tags,
        };
        insert(transaction, row.get(0)?, &texts)?;
    }
    transaction.execute("DELETE FROM unworded WHERE medium <= ?1", [last])?;
    Ok(())
}

fn tag_values(connection: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    connection
        .prepare("SELECT id, value FROM tag")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// What a person typed as an FTS5 expression that can only ever be words, prefixes
/// and phrases; `None` when there is nothing to look for.
fn match_expression(query: &str) -> Option<String> {
    let mut expression = String::new();
    for (index, part) in query.split('"').enumerate() {
        let is_phrase = index % 2 == 1;
        let words: Vec<&str> = if is_phrase {
            vec![part]
        } else {
            part.split_whitespace().collect()
        };
        for word in words {
            if !word.chars().any(char::is_alphanumeric) {
                continue;
            }
            let is_prefix = !is_phrase && word.ends_with('*');
            if !expression.is_empty() {
                expression.push(' ');
            }
            expression.push('"');
            expression.push_str(word.trim_end_matches('*'));
            expression.push_str(if is_prefix { "\"*" } else { "\"" });
        }
    }
    (!expression.is_empty()).then_some(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_hold_nothing_but_words() {
        for (query, expected) in [
            ("blue sky", Some("\"blue\" \"sky\"")),
            ("sun*", Some("\"sun\"*")),
            ("\"blue sky\" x", Some("\"blue sky\" \"x\"")),
            ("a OR NOT b:c", Some("\"a\" \"OR\" \"NOT\" \"b:c\"")),
            ("\"open", Some("\"open\"")),
            (" * \"\" - ", None),
            ("日本", Some("\"日本\"")),
        ] {
            assert_eq!(match_expression(query).as_deref(), expected, "{query}");
        }
    }
}
