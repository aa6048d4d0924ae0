//! `tombstones.jsonl`: the md5 of every file that was thrown away for good, one
//! JSON object a line, so that a downloader does not bring it back.
//!
//! Lines are only ever appended. One that cannot be understood, such as one torn
//! by a power cut, blocks nothing and stays.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    files::{self, Stat, Writes},
};
use crate::model::id::Md5;

/// Larger ones are none of ours: two million lines.
const MAX_BYTES: usize = 512 << 20;

/// That a file was thrown away, when, where and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub md5: String,
    /// When, as RFC 3339.
    #[serde(default)]
    pub at: String,
    /// On which host.
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub reason: String,
}

/// The tombstones of one library, read again when the file has changed.
#[derive(Debug)]
pub(super) struct Tombstones {
    path: PathBuf,
    read: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The file these were read from; nothing was read before the first question.
    stat: Option<Stat>,
    stones: HashMap<Md5, Tombstone>,
}

impl Tombstones {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    /// What is known of a file that was thrown away.
    pub(super) fn find(&self, md5: &Md5) -> Result<Option<Tombstone>, Error> {
        let Some(stat) = files::stat(&self.path)? else {
            return Ok(None);
        };
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if known.stat != Some(stat)
            && let Some((bytes, stat)) = files::read(&self.path, MAX_BYTES)?
        {
            *known = Known {
                stat: Some(stat),
                stones: parse(&bytes),
            };
        }
        Ok(known.stones.get(md5).cloned())
    }

    /// Adds tombstones; they are on disk when `writes` is finished.
    pub(super) fn add(&self, stones: &[Tombstone], writes: &mut Writes) -> Result<(), Error> {
        let mut text = String::new();
        for stone in stones {
            let line = serde_json::to_string(stone).map_err(|source| Error::Json {
                path: self.path.clone(),
                source,
            })?;
            text.push_str(&line);
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        writes.append(&self.path, text.as_bytes())
    }
}

fn parse(bytes: &[u8]) -> HashMap<Md5, Tombstone> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice::<Tombstone>(line).ok())
        .filter_map(|stone| Some((stone.md5.parse().ok()?, stone)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stone(byte: u8) -> Tombstone {
        Tombstone {
            md5: Md5([byte; 16]).to_string(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            by: "desk".to_owned(),
            reason: "blurred".to_owned(),
        }
    }

    fn add(tombstones: &Tombstones, byte: u8) {
        let mut writes = Writes::default();
        tombstones.add(&[stone(byte)], &mut writes).unwrap();
        writes.finish().unwrap();
    }

    #[test]
    fn what_is_added_is_found_by_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones.jsonl");
        let (one, other) = (Tombstones::new(path.clone()), Tombstones::new(path));
        assert_eq!(one.find(&Md5([1; 16])).unwrap(), None);
        add(&one, 1);
        assert_eq!(other.find(&Md5([1; 16])).unwrap(), Some(stone(1)));
        add(&other, 2);
        assert_eq!(one.find(&Md5([2; 16])).unwrap(), Some(stone(2)));
        assert_eq!(one.find(&Md5([3; 16])).unwrap(), None);
    }

    #[test]
    fn a_torn_line_spoils_neither_those_before_nor_those_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones.jsonl");
        let tombstones = Tombstones::new(path.clone());
        add(&tombstones, 1);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"md5\":\"0202");
        Writes::default().replace(&path, &torn).unwrap();
        add(&tombstones, 3);
        for (byte, is_known) in [(1, true), (2, false), (3, true)] {
            let found = tombstones.find(&Md5([byte; 16])).unwrap();
            assert_eq!(found.is_some(), is_known, "{byte}");
        }
    }
}
