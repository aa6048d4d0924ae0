//! What searches ask for now and then, of all media that have it.

use rusqlite::{Connection, types::ValueRef};

use super::Index;
use crate::{
    model::{fact::Detail, id::MediaKey},
    storage::error::Error,
};

impl Index {
    /// Hands over one detail of every medium that has it, each medium's together.
    pub(in crate::storage) fn details(
        &self,
        detail: Detail,
        on: &mut dyn FnMut(MediaKey, &str),
    ) -> Result<(), Error> {
        self.read("read details", |connection| match detail {
            Detail::Fact(fact) => each(
                connection,
                "SELECT medium, text FROM fact WHERE kind = ?1",
                [fact as u8],
                on,
            ),
            Detail::Caption => each(connection, "SELECT medium, text FROM caption", [], on),
            Detail::Hash(algorithm) => each(
                connection,
                "SELECT medium, value FROM hash WHERE algorithm = ?1",
                [algorithm],
                on,
            ),
            Detail::Relation => each(
                connection,
                "SELECT medium, kind || char(10) || other FROM relation",
                [],
                on,
            ),
            Detail::Post => each(
                connection,
                "SELECT medium, site || '#' || post FROM post",
                [],
                on,
            ),
            Detail::FileModified => each(
                connection,
                "SELECT key, CAST(file_modified AS TEXT) FROM medium",
                [],
                on,
            ),
        })
    }

    /// The medium with this path.
    pub(in crate::storage) fn key_of_path(&self, path: &str) -> Result<Option<MediaKey>, Error> {
        self.read("look up path", |connection| {
            connection
                .prepare_cached("SELECT key FROM medium WHERE path = ?1")?
                .query_map([path], |row| Ok(MediaKey(row.get(0)?)))?
                .next()
                .transpose()
        })
    }
}

fn each(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    on: &mut dyn FnMut(MediaKey, &str),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        let key = MediaKey(row.get(0)?);
        if let ValueRef::Text(text) = row.get_ref(1)?
            && let Ok(text) = std::str::from_utf8(text)
        {
            on(key, text);
        }
    }
    Ok(())
}
