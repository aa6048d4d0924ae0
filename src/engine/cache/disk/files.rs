//! Values beside the rows: small ones one after the other in packs of a few
//! megabytes, which are read with one call from a handle that stays open; large ones
//! in files of their own.
//!
//! Invariant: bytes in a pack are written once, and zeroed only after the rows that
//! named them are gone. A pack grows only under the lock of the process that made it,
//! and nobody removes one or makes holes in it while that lock is held.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, flock},
    io::Errno,
};

use super::Value;
use crate::engine::job::lock;

const FOLDER: &str = "values";
const TEMPORARY: &str = ".tmp";
/// A file that is younger may belong to an entry that is being written.
const GRACE_SECONDS: i64 = 3_600;
/// Where earlier versions kept each entry as a file.
const FORMER: [&str; 3] = ["thumbnails", "lowres", "payloads"];
/// Larger values have a file of their own.
const PACKED_BYTES: usize = 64 << 10;
/// A pack that has grown so far is followed by another one.
const PACK_BYTES: u64 = 8 << 20;
/// Files that stay open for the next read.
const OPEN_FILES: usize = 64;

/// Where the bytes of a value lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub start: u64,
    pub length: usize,
}

impl Place {
    pub fn end(&self) -> u64 {
        self.start + self.length as u64
    }
}

/// A value that was written and has no row yet.
pub struct Written {
    pub place: Place,
    /// Keeps the lock of its pack.
    _pack: Option<Arc<File>>,
}

/// The pack that grows.
struct Pack {
    name: Arc<str>,
    file: Arc<File>,
    end: u64,
}

/// The files of a cache.
pub struct Files {
    cache: PathBuf,
    pack: Mutex<Option<Pack>>,
    open: Mutex<HashMap<Arc<str>, Arc<File>>>,
}

impl Files {
    pub fn new(cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
            pack: Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// Writes a value.
    pub fn write(&self, value: &[u8]) -> io::Result<Written> {
        if value.len() > PACKED_BYTES {
            return self.write_alone(value);
        }
        let mut current = lock(&self.pack);
        let pack = match current.take().filter(Pack::has_room) {
            Some(pack) => current.insert(pack),
            None => current.insert(self.new_pack()?),
        };
        let place = Place {
            file: Arc::clone(&pack.name),
            start: pack.end,
            length: value.len(),
        };
        pack.file.write_all_at(value, pack.end)?;
        pack.end = place.end();
        Ok(Written {
            place,
            _pack: Some(Arc::clone(&pack.file)),
        })
    }

    fn write_alone(&self, value: &[u8]) -> io::Result<Written> {
        let name = new_name();
        let path = self.path(&name);
        let folder = path.parent().unwrap_or(&self.cache);
        fs::create_dir_all(folder)?;
        let mut temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(folder)?;
        temporary.write_all(value)?;
        temporary.persist(path)?;
        Ok(Written {
            place: Place {
                file: name,
                start: 0,
                length: value.len(),
            },
            _pack: None,
        })
    }

    fn new_pack(&self) -> io::Result<Pack> {
        let name = new_name();
        let path = self.path(&name);
        fs::create_dir_all(path.parent().unwrap_or(&self.cache))?;
        let file = File::options().write(true).create_new(true).open(path)?;
        // Storage without locks is storage that this host has to itself, or where a
        // value may be lost, which is a miss.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Pack {
            name,
            file: Arc::new(file),
            end: 0,
        })
    }

    /// `None` when it is gone.
    pub fn read(&self, place: &Place) -> Option<Value> {
        let file = self.opened(&place.file)?;
        let mut value: Value = std::iter::repeat_n(0, place.length).collect();
        file.read_exact_at(Arc::get_mut(&mut value)?, place.start)
            .ok()?;
        Some(value)
    }

    fn opened(&self, name: &Arc<str>) -> Option<Arc<File>> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(name) {
            return Some(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.path(name)).ok()?);
        if open.len() >= OPEN_FILES {
            open.clear();
        }
        open.insert(Arc::clone(name), Arc::clone(&file));
        Some(file)
    }

    /// Closes what is open for reading: it may have been deleted.
    pub fn close(&self) {
        lock(&self.open).clear();
    }

    /// Gives back the room of values whose rows are gone: their file, when `is_named`
    /// says that no row names it any more, else the part of it that `gap` says nobody
    /// names. Says whether the file is gone.
    pub fn release(
        &self,
        name: &str,
        is_named: impl FnOnce() -> bool,
        gaps: impl FnOnce() -> Vec<(u64, u64)>,
    ) -> bool {
        let path = self.path(name);
        let Ok(file) = File::options().write(true).open(&path) else {
            return false;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            // It grows; what is written now has no row yet.
            return false;
        }
        if is_named() {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            for (start, end) in gaps() {
                if let Err(error) = fallocate(&file, flags, start, end.saturating_sub(start)) {
                    // The room comes back with the whole file.
                    tracing::debug!("no holes can be made in {}: {error}", path.display());
                    break;
                }
            }
            return false;
        }
        lock(&self.open).remove(name);
        match fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("cannot remove {}: {error}", path.display());
                }
                false
            }
        }
    }

    /// Removes all of them.
    pub fn discard(&self) -> io::Result<()> {
        *lock(&self.pack) = None;
        self.close();
        match fs::remove_dir_all(self.cache.join(FOLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of the files that have been there for a while, as a start finds
    /// them. Removes what earlier versions left.
    pub fn old_ones(&self, now: i64) -> Vec<String> {
        for former in FORMER {
            let folder = self.cache.join(former);
            if folder.is_dir()
                && let Err(error) = fs::remove_dir_all(&folder)
            {
                tracing::warn!("cannot remove {}: {error}", folder.display());
            }
        }
        let mut names = Vec::new();
        for folder in fs::read_dir(self.cache.join(FOLDER))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let is_old = file
                    .metadata()
                    .is_ok_and(|metadata| metadata.mtime() < now - GRACE_SECONDS);
                let Ok(name) = file.file_name().into_string() else {
                    continue;
                };
                if !is_old {
                    continue;
                }
                if name.starts_with(TEMPORARY) {
                    // A failure leaves it to the next start.
                    let _ = fs::remove_file(file.path());
                } else {
                    names.push(name);
                }
            }
        }
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        let bucket = name.get(..2).unwrap_or("00");
        self.cache.join(FOLDER).join(bucket).join(name)
    }
}

impl Pack {
    fn has_room(&self) -> bool {
        // The folder may have been deleted, which is allowed at any time.
        let is_there = || self.file.metadata().is_ok_and(|found| found.nlink() > 0);
        self.end < PACK_BYTES && is_there()
    }
}

fn new_name() -> Arc<str> {
    uuid::Uuid::new_v4().simple().to_string().into()
}
