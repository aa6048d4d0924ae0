//! The last known text of every sidecar: what a merge starts from when another
//! program changed the file, and what is left when it broke it.
//!
//! What was read along with many others is remembered in brief, as text: see
//! [`Sidecar::parse_brief`]. Others are packed by deflate with a dictionary of what
//! nearly all of them say.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use rusqlite::{
    Connection, OptionalExtension as _, ToSql, Transaction, params,
    types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::{Index, Row, load::id, update::next_sequence};
use crate::{
    model::{
        entry::Facets,
        id::{Md5, MediaId, MediaKey},
        merge::restore_vanished,
        sidecar::{MAX_BYTES, Sidecar},
    },
    storage::error::Error,
};

/// What texts are packed against. It can never change: what was packed with it could
/// no longer be read. Another one needs a column that says which.
const DICTIONARY: &[u8] = br#""notes": [], "locked": [], "captions": [{"kind": "conflict", "text": "", "src": "file"}], "tags_removed": [
    {"category": "general", "value": "", "src": "tagger:wd-v3", "at": "20"related": {
    "similar": [""masks": ["children": ["siblings": ["duplicates": ["rating": "g",
  "rating_src": "danbooru",
  "stars": "fav": true,
  "status": "archived",
  "urls": ["https://"],
  "sources": {"danbooru": {"id": "", "url": "https://danbooru.donmai.us/posts/", "parent_id": null, "has_children": false, "rating": "g", "score": , "fav_count": , "created": "", "fetched": "", "title": "", "artist": "", "tags": {"artist": "", "copyright": "", "character": "", "general": "", "meta": "
  "hashes": {"md5": "", "sha256": "", "pixel": "", "phash": "", "dhash": "", "ahash": "", "whash": "", "colorhash": ""},
  "metadata": {"created": "202", "width": , "height": , "bytes": , "mime": "image/jpeg", "modified": "202", "imported": "202", "taken": "", "orientation": 1, "original_name": "", "original_path": "", "tagger": {"model": "image/png"},
  "rev": {"n": 1, "host": "", "at": "202{
  "schema": 1,
  "type": "image",
  "name": "",
  "caption": "",
  "tags": [
    {"category": "artist", "value": "", "position": 0},
    {"category": "copyright", "value": "", "position": 1},
    {"category": "character", "value": "", "position": 2},
    {"category": "meta", "value": "", "position": 3, "src": "tagger:wd-v3", "conf": 0.9
    {"category": "general", "value": "", "position": 1, "src": "danbooru", "at": "202-01-T::Z"},
    {"category": "general", "value": ""#;

thread_local! {
    /// Making one costs more than packing a usual text with it.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// A sidecar as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Packed {
    /// Its text, packed.
    Deflated(Vec<u8>),
    /// What it says, in brief.
    Brief(String),
}

impl Packed {
    /// Packing can fail only where memory does; a text that is not kept makes a
    /// later merge less exact, nothing else.
    pub(in crate::storage) fn new(text: &[u8]) -> Option<Self> {
        PACKER.with_borrow_mut(|compress| {
            compress.reset();
            compress.set_dictionary(DICTIONARY).ok()?;
            let mut packed = Vec::with_capacity(text.len() / 4 + 64);
            loop {
                let read = usize::try_from(compress.total_in()).ok()?;
                let rest = text.get(read..)?;
                let status = compress.compress_vec(rest, &mut packed, FlushCompress::Finish);
                match status.ok()? {
                    Status::StreamEnd => return Some(Self::Deflated(packed)),
                    Status::Ok | Status::BufError => packed.reserve(packed.len() + 64),
                }
            }
        })
    }

    /// The sidecar it holds; `None` where rot, or another program, spoiled it.
    fn sidecar(&self) -> Option<Sidecar> {
        match self {
            Self::Deflated(packed) => Sidecar::parse(&inflated(packed)?).ok(),
            Self::Brief(text) => Sidecar::parse_brief(text).ok(),
        }
    }
}

fn inflated(packed: &[u8]) -> Option<String> {
    let mut decompress = Decompress::new(false);
    decompress.set_dictionary(DICTIONARY).ok()?;
    let mut text = Vec::with_capacity(packed.len() * 8 + 64);
    while text.len() <= MAX_BYTES {
        let read = usize::try_from(decompress.total_in()).ok()?;
        let before = (read, text.len());
        let rest = packed.get(read..)?;
        let status = decompress.decompress_vec(rest, &mut text, FlushDecompress::Finish);
        if status.ok()? == Status::StreamEnd {
            return String::from_utf8(text).ok();
        }
        let has_room = text.len() < text.capacity();
        let read = usize::try_from(decompress.total_in()).ok()?;
        if has_room && before == (read, text.len()) {
            // Its end is missing.
            return None;
        }
        text.reserve(text.len() + 64);
    }
    None
}

impl ToSql for Packed {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Deflated(packed) => packed.to_sql(),
            Self::Brief(text) => text.to_sql(),
        }
    }
}

impl FromSql for Packed {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(_) => String::column_result(value).map(Self::Brief),
            _ => Vec::column_result(value).map(Self::Deflated),
        }
    }
}

/// How a row came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Seen {
    /// Read from files that anybody may have written.
    Read {
        /// Keys of ours that another program left out are held, to be given back.
        gives_back: bool,
    },
    /// Written by this program just now.
    Written {
        /// Over something that another program had written meanwhile.
        is_merged: bool,
    },
}

/// What a medium carries besides its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// What two programs wrote is merged in the file.
    Merged,
    /// The known text is ahead of the file, which another program rewrote without
    /// keys of ours: the next save gives them back.
    Owed,
}

/// What a row brings to the tables of this module.
pub(super) struct Settled {
    /// `None`: what is there stays.
    text: Option<Packed>,
    mark: Option<Mark>,
}

impl Settled {
    pub(super) fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    /// The text, where that is all there is to remember.
    pub(super) fn plain_text(&self) -> Option<&Packed> {
        self.text.as_ref().filter(|_| self.mark.is_none())
    }
}

/// A sidecar whose original is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Stray {
    pub id: MediaId,
    pub path: String,
    /// Library-relative.
    pub sidecar: String,
    /// What its original was.
    pub bytes: u64,
    pub md5: Md5,
}

/// An original that has no sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Unlinked {
    pub id: MediaId,
    pub path: String,
    pub md5: Option<Md5>,
}

impl Index {
    /// Sidecars whose original is gone and was known by its bytes.
    pub(in crate::storage) fn strays(&self) -> Result<Vec<Stray>, Error> {
        let sql = format!(
            "SELECT id, path, sidecar, base.bytes, coalesce(base.md5, medium.md5)
             FROM medium JOIN base ON base.medium = medium.key
             WHERE has & {missing} <> 0 AND sidecar IS NOT NULL AND base.bytes > 0
                AND coalesce(base.md5, medium.md5) IS NOT NULL
             ORDER BY path",
            missing = Facets::MISSING.0
        );
        self.read("look for lost originals", |connection| {
            connection
                .prepare(&sql)?
                .query_map([], |row| {
                    Ok(Stray {
                        id: id(row, 0)?,
                        path: row.get(1)?,
                        sidecar: row.get(2)?,
                        bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
                        md5: Md5(row.get(4)?),
                    })
                })?
                .collect()
        })
    }

    /// Hands what is owed to one medium on to the one that has its sidecar now.
    pub(in crate::storage) fn inherit(&self, from: &MediaId, to: &MediaId) -> Result<(), Error> {
        let ids = [from.as_str(), to.as_str()];
        self.write("hand on what is remembered", |transaction| {
            let is_owed = transaction.execute(
                "INSERT OR REPLACE INTO merged SELECT new.key, is_owed
                 FROM merged JOIN medium AS old ON old.key = medium, medium AS new
                 WHERE old.id = ?1 AND new.id = ?2 AND is_owed",
                ids,
            )?;
            if is_owed > 0 {
                let sequence = next_sequence(transaction)?;
                transaction.execute(
                    "UPDATE medium SET sequence = ?2 WHERE id = ?1",
                    params![to.as_str(), sequence],
                )?;
                transaction.execute(
                    "INSERT OR REPLACE INTO base SELECT new.key, text, base.bytes, base.md5
                     FROM base JOIN medium AS old ON old.key = medium, medium AS new
                     WHERE old.id = ?1 AND new.id = ?2",
                    ids,
                )?;
            }
            Ok(())
        })
    }

    /// Media that name another one: in a relation, or as what they are made from.
    pub(in crate::storage) fn naming(&self, id: &MediaId) -> Result<Vec<MediaKey>, Error> {
        self.read("look for relations", |connection| {
            connection
                .prepare(
                    "SELECT medium FROM relation WHERE other = ?1
                     UNION SELECT key FROM medium WHERE derived AND origin = ?1",
                )?
                .query_map([id.as_str()], |row| Ok(MediaKey(row.get(0)?)))?
                .collect()
        })
    }

    /// Originals of that size without a sidecar.
    pub(in crate::storage) fn unlinked(&self, bytes: u64) -> Result<Vec<Unlinked>, Error> {
        let sql = format!(
            "SELECT id, path, md5 FROM medium
             WHERE bytes = ?1 AND sidecar IS NULL AND has & {missing} = 0 ORDER BY path",
            missing = Facets::MISSING.0
        );
        self.read("look for originals without a sidecar", |connection| {
            connection
                .prepare(&sql)?
                .query_map([i64::try_from(bytes).unwrap_or(i64::MAX)], |row| {
                    Ok(Unlinked {
                        id: id(row, 0)?,
                        path: row.get(1)?,
                        md5: row.get::<_, Option<[u8; 16]>>(2)?.map(Md5),
                    })
                })?
                .collect()
        })
    }

    /// The last known sidecar of a medium.
    pub(in crate::storage) fn base(&self, key: MediaKey) -> Result<Option<Sidecar>, Error> {
        let packed = self.read("read", |connection| base(connection, key.0))?;
        Ok(packed.and_then(|packed| packed.sidecar()))
    }
}

/// Decides what the row of a medium says, and what is remembered, where files are
/// not what was known: keys of ours that another program left out are held, and one
/// whose sidecar cannot be read keeps what it said. `known_digest` is that of the file
/// when it was seen last.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    key: Option<u32>,
    row: &mut Row,
    known_digest: Option<[u8; 16]>,
) -> rusqlite::Result<Settled> {
    let mark = match key {
        Some(key) => mark(transaction, key)?,
        None => None,
    };
    let text = row.text.take();
    let gives_back = match (row.seen, &text) {
        (Seen::Written { is_merged }, Some(_)) => {
            let mark = is_merged.then_some(Mark::Merged);
            return Ok(Settled { text, mark });
        }
        (Seen::Read { gives_back }, Some(_)) => gives_back,
        (_, None) => true,
    };
    let is_same = known_digest.is_some() && known_digest == row.stamp.map(|stamp| stamp.digest);
    if is_same && text.is_some() && mark != Some(Mark::Owed) {
        return Ok(Settled { text, mark });
    }
    let base = match key {
        Some(key) if gives_back => base(transaction, key)?.and_then(|base| base.sidecar()),
        _ => None,
    };
    let (Some(base), true) = (base, row.sidecar.is_some()) else {
        // A sidecar that is gone leaves its text, for those who want it back.
        return Ok(Settled { text, mark: None });
    };
    let Some(theirs) = &text else {
        row.replace_media(base.media);
        return Ok(Settled { text: None, mark });
    };
    if is_same {
        row.replace_media(base.media);
        return Ok(Settled { text: None, mark });
    }
    let theirs = {
        let whole = theirs.sidecar().unwrap_or_default();
        let mut media = row.media.clone();
        // The row may have been read without the objects its tags were read from.
        if !whole.media.tags.is_empty() {
            media.tags.clone_from(&whole.media.tags);
        }
        Sidecar {
            media,
            document: whole.document,
        }
    };
    Ok(match restore_vanished(&base, &theirs) {
        Some(whole) => {
            let text = Packed::new(whole.render().as_bytes());
            row.replace_media(whole.media);
            row.is_given_back = true;
            let mark = Some(Mark::Owed);
            Settled { text, mark }
        }
        None => Settled { text, mark: None },
    })
}

/// Size and md5 of the original; none where it is not there, which leaves what it
/// was.
pub(super) type Original = Option<(i64, Option<[u8; 16]>)>;

pub(super) fn write(
    transaction: &Transaction<'_>,
    key: u32,
    settled: &Settled,
    original: Original,
) -> rusqlite::Result<()> {
    if let Some(text) = &settled.text {
        transaction
            .prepare_cached(
                "INSERT INTO base (medium, text) VALUES (?1, ?2)
                 ON CONFLICT (medium) DO UPDATE SET text = excluded.text",
            )?
            .execute(params![key, text])?;
    }
    if let Some((bytes, md5)) = original {
        transaction
            .prepare_cached("UPDATE base SET bytes = ?2, md5 = ?3 WHERE medium = ?1")?
            .execute(params![key, bytes, md5])?;
    }
    match settled.mark {
        Some(mark) => transaction
            .prepare_cached("INSERT OR REPLACE INTO merged VALUES (?1, ?2)")?
            .execute(params![key, mark == Mark::Owed])?,
        None => transaction
            .prepare_cached("DELETE FROM merged WHERE medium = ?1")?
            .execute([key])?,
    };
    Ok(())
}

pub(super) fn remove(transaction: &Transaction<'_>, key: MediaKey) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM base WHERE medium = ?1",
        "DELETE FROM merged WHERE medium = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([key.0])?;
    }
    Ok(())
}

fn base(connection: &Connection, key: u32) -> rusqlite::Result<Option<Packed>> {
    connection
        .prepare_cached("SELECT text FROM base WHERE medium = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

fn mark(connection: &Connection, key: u32) -> rusqlite::Result<Option<Mark>> {
    connection
        .prepare_cached("SELECT is_owed FROM merged WHERE medium = ?1")?
        .query_row([key], |row| {
            Ok(if row.get(0)? {
                Mark::Owed
            } else {
                Mark::Merged
            })
        })
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(text: &str) -> Vec<u8> {
        match Packed::new(text.as_bytes()) {
            Some(Packed::Deflated(packed)) => packed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_come_back_and_a_usual_one_takes_a_fraction() {
        for text in ["", "{}", "{\"tags\": []}", "日本語 😀", "\u{0}"] {
            assert_eq!(inflated(&deflated(text)).as_deref(), Some(text));
        }
        let mut text = "{\n  \"schema\": 1,\n  \"tags\": [\n".to_owned();
        for n in 0..20 {
            let tag = format!(
                "    {{\"category\": \"general\", \"value\": \"tag_{n}\", \"position\": {n}}},\n"
            );
            text.push_str(&tag);
        }
        let packed = deflated(&text);
        assert!(
            packed.len() * 6 < text.len(),
            "{} of {}",
            packed.len(),
            text.len()
        );
    }

    #[test]
    fn what_is_spoiled_is_no_sidecar() {
        let packed = deflated("{\"tags\": [\"a\"]}");
        assert!(Packed::Deflated(packed.clone()).sidecar().is_some());
        for spoiled in [&packed[..3], b"", b"\xff\xff\xff"] {
            assert_eq!(Packed::Deflated(spoiled.to_vec()).sidecar(), None);
        }
        for spoiled in ["", "{\"tags\": [\"a\"]}", "{\"tags\": [[]]}"] {
            assert_eq!(Packed::Brief(spoiled.to_owned()).sidecar(), None);
        }
    }
}
