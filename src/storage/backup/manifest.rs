//! What a backup holds: `manifest.jsonl`, one line a file after a line about the
//! backup itself, and `manifest.partial.jsonl`, which grows while one is made and
//! counts on top of it after an interruption.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::storage::{
    error::Error,
    files::{self, Writes},
};

const NAME: &str = "manifest.jsonl";
const PARTIAL: &str = "manifest.partial.jsonl";
/// Of the format; a newer one is left alone.
const VERSION: u32 = 1;
/// Larger ones are none of ours: ten million files.
const MAX_BYTES: usize = 2 << 30;

/// The first line: whose backup it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    #[serde(rename = "tagloupe_backup")]
    pub version: u32,
    pub library_id: String,
    pub name: String,
    pub layout: String,
    /// When it was last finished, as RFC 3339; empty while the first is being made.
    pub at: String,
}

impl Header {
    pub(super) fn new(library_id: &str, name: &str, layout: &str, at: String) -> Self {
        Self {
            version: VERSION,
            library_id: library_id.to_owned(),
            name: name.to_owned(),
            layout: layout.to_owned(),
            at,
        }
    }
}

/// One file of the backup, as it was in the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    pub md5: String,
}

/// A line about a file; without the rest it says that the file is no longer there.
#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    #[serde(flatten)]
    kept: Option<Kept>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// What a backup holds, by library-relative path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub header: Header,
    pub files: BTreeMap<String, Kept>,
    /// The last run was interrupted.
    pub is_partial: bool,
}

impl Manifest {
    /// The manifest of a backup; `None` for a folder that is none.
    pub(super) fn read(backup: &Path) -> Result<Option<Self>, Error> {
        let mut manifest: Option<Self> = None;
        for name in [NAME, PARTIAL] {
            let path = backup.join(name);
            let Some((bytes, _)) = files::read(&path, MAX_BYTES)? else {
                continue;
            };
            let mut lines = bytes.split(|byte| *byte == b'\n');
            let header = lines.next().unwrap_or_default();
            let header: Header = match serde_json::from_slice(header) {
                Ok(header) => header,
                // Torn by a crash before anything was copied.
                Err(_) if name == PARTIAL && manifest.is_some() => continue,
                Err(source) => return Err(Error::Json { path, source }),
            };
            if header.version > VERSION {
                return Err(Error::library(&path, "was made by a newer tagloupe"));
            }
            let files = manifest.take().map(|manifest| manifest.files);
            let mut files = files.unwrap_or_default();
            for line in lines.filter(|line| !line.is_empty()) {
                match serde_json::from_slice::<Line>(line) {
                    Ok(Line {
                        path,
                        kept: Some(kept),
                        gone: false,
                    }) => {
                        files.insert(path, kept);
                    }
                    Ok(line) => {
                        files.remove(&line.path);
                    }
                    // A line torn by a crash: that file is copied once more.
                    Err(_) if name == PARTIAL => {}
                    Err(source) => return Err(Error::Json { path, source }),
                }
            }
            manifest = Some(Self {
                header,
                files,
                is_partial: name == PARTIAL,
            });
        }
        Ok(manifest)
    }

    /// Writes it whole; what was partial is part of it.
    pub(super) fn write(&self, backup: &Path) -> Result<(), Error> {
        let path = backup.join(NAME);
        let mut text = line(&path, &self.header)?;
        for (name, kept) in &self.files {
            text.push_str(&line(&path, &entry(name, Some(kept)))?);
        }
        let mut writes = Writes::default();
        writes.replace(&path, text.as_bytes())?;
        writes.finish()?;
        let mut writes = Writes::default();
        writes.remove(&backup.join(PARTIAL))?;
        writes.finish()
    }
}

/// What a run has done so far, on disk before it counts.
pub(super) struct Progress {
    path: PathBuf,
    waiting: String,
}

impl Progress {
    /// Makes the folder recognizable as a backup before anything is copied to it.
    pub(super) fn begin(backup: &Path, header: &Header) -> Result<Self, Error> {
        let path = backup.join(PARTIAL);
        if files::stat(&path)?.is_none_or(|stat| stat.bytes == 0) {
            let mut writes = Writes::default();
            writes.replace(&path, line(&path, header)?.as_bytes())?;
            writes.finish()?;
        }
        Ok(Self {
            path,
            waiting: String::new(),
        })
    }

    /// Notes that a file is there, or no longer there.
    pub(super) fn note(&mut self, name: &str, kept: Option<&Kept>) -> Result<(), Error> {
        self.waiting
            .push_str(&line(&self.path, &entry(name, kept))?);
        Ok(())
    }

    /// Writes down what was noted; the files must be durable by now.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut writes = Writes::default();
        writes.append(&self.path, self.waiting.as_bytes())?;
        writes.finish()?;
        self.waiting.clear();
        Ok(())
    }
}

fn entry(path: &str, kept: Option<&Kept>) -> Line {
    Line {
        path: path.to_owned(),
        kept: kept.cloned(),
        gone: kept.is_none(),
    }
}

fn line(path: &Path, value: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string(value).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u64) -> Kept {
        Kept {
            bytes: n,
            mtime_ns: 5,
            md5: format!("{n:032x}"),
        }
    }

    #[test]
    fn what_was_noted_counts_on_top_of_the_last_manifest() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let header = Header::new("id", "Name", "flat", "then".to_owned());
        let files = [("a", 1), ("b", 2)].map(|(name, n)| (name.to_owned(), kept(n)));
        let whole = Manifest {
            header: header.clone(),
            files: files.into(),
            is_partial: false,
        };
        whole.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(whole.clone()));
        let mut progress = Progress::begin(dir.path(), &header).unwrap();
        progress.note("c", Some(&kept(3))).unwrap();
        progress.note("a", None).unwrap();
        progress.flush().unwrap();
        // A line that a crash tore, and one of the run after it.
        let mut writes = Writes::default();
        writes
            .append(&dir.path().join(PARTIAL), b"{\"path\": \"d")
            .unwrap();
        let mut progress = Progress::begin(dir.path(), &header).unwrap();
        progress.note("e", Some(&kept(5))).unwrap();
        progress.flush().unwrap();
        let read = Manifest::read(dir.path()).unwrap().unwrap();
        assert!(read.is_partial);
        assert_eq!(read.files.keys().collect::<Vec<_>>(), ["b", "c", "e"]);
        read.write(dir.path()).unwrap();
        let again = Manifest::read(dir.path()).unwrap().unwrap();
        assert!(!again.is_partial);
        assert_eq!(again.files, read.files);
    }
}
