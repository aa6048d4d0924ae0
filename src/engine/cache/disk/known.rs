//! Where this process found entries last, so that the next hit needs no question to
//! SQLite: one read of the value, and one look at whether anybody has written since.
//!
//! Whether somebody has is told by the header of the shared memory of SQLite's log
//! (`cache.db-shm`, <https://sqlite.org/walformat.html>, section 2), which every commit
//! of any process changes, and by which SQLite itself sees that.
//!
//! Invariant: what is given out was named by a row when its bytes had been read. The
//! look comes after the reading, rows go before the bytes they name, so a value that
//! is replaced or zeroed meanwhile is not shown.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    sync::{Arc, Mutex},
};

use super::{super::super::job::lock, files::Place};

/// The first of the two copies of the header.
const HEADER_BYTES: usize = 48;
/// In the header: how many transactions were written.
const COUNTER: std::ops::Range<usize> = 8..12;
/// More entries are forgotten, all at once.
const MAX_KNOWN: usize = 32_768;

/// The state of a file of SQLite at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment([u8; HEADER_BYTES]);

impl Moment {
    fn counter(&self) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[COUNTER]);
        u32::from_ne_bytes(bytes)
    }

    /// Whether one transaction lies between the two.
    fn is_just_after(&self, before: &Self) -> bool {
        self.counter() == before.counter().wrapping_add(1)
    }
}

/// The shared memory of the log of a file that is open.
#[derive(Clone, Debug)]
pub struct Log(Arc<File>);

/// Every shared memory that this process has open, by device and inode.
///
/// SQLite's locks on it belong to the process, and closing any handle of the file lets
/// go of all of them (<https://sqlite.org/howtocorrupt.html>, section 2.2): there is one
/// handle for all connections, and it stays open as long as the file is there.
static LOGS: Mutex<BTreeMap<(u64, u64), Log>> = Mutex::new(BTreeMap::new());

impl Log {
    /// That of a file of SQLite; `None` when it cannot be read.
    pub fn open(shared_memory: &Path) -> Option<Self> {
        let mut logs = lock(&LOGS);
        // Nobody shares what was deleted and what no connection uses.
        logs.retain(|_, log| Arc::strong_count(&log.0) > 1 || log.is_there());
        if let Some(log) = logs.get(&inode(&fs::metadata(shared_memory).ok()?)) {
            return Some(log.clone());
        }
        let file = File::open(shared_memory).ok()?;
        let inode = inode(&file.metadata().ok()?);
        // It may have been made again between the two looks.
        if let Some(log) = logs.get(&inode) {
            std::mem::forget(file);
            return Some(log.clone());
        }
        let log = Self(Arc::new(file));
        logs.insert(inode, log.clone());
        Some(log)
    }

    fn is_there(&self) -> bool {
        self.0.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// `None` when it was deleted or cannot be told.
    pub fn now(&self) -> Option<Moment> {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact_at(&mut header, 0).ok()?;
        self.is_there().then_some(Moment(header))
    }
}

fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// An entry whose value lies in a file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: i64,
    pub expires: Option<i64>,
    pub place: Place,
}

/// What was found, as of a moment.
#[derive(Default)]
pub struct Known(Mutex<Option<Page>>);

struct Page {
    log: Log,
    moment: Moment,
    entries: HashMap<String, Entry>,
}

impl Known {
    /// An entry, and how to see whether that still holds once its value was read.
    pub fn get(&self, key: &str) -> Option<(Entry, Log, Moment)> {
        let page = lock(&self.0);
        let page = page.as_ref()?;
        let entry = page.entries.get(key)?.clone();
        Some((entry, page.log.clone(), page.moment))
    }

    /// Notes an entry that was found at that moment.
    pub fn note(&self, log: &Log, moment: Moment, key: &str, entry: Entry) {
        let mut known = lock(&self.0);
        let page = match &mut *known {
            Some(page) if page.moment == moment && page.entries.len() < MAX_KNOWN => page,
            _ => known.insert(Page {
                log: log.clone(),
                moment,
                entries: HashMap::new(),
            }),
        };
        page.entries.insert(key.to_owned(), entry);
    }

    /// Goes on from the moment before a transaction of this process to the one after,
    /// without the keys that it took out; knows nothing more if somebody else wrote in
    /// between.
    pub fn follow(&self, before: Option<Moment>, after: Option<Moment>, taken: &[String]) {
        let mut known = lock(&self.0);
        let Some(page) = &mut *known else { return };
        match (before, after) {
            (Some(before), Some(after))
                if page.moment == before && (after == before || after.is_just_after(&before)) =>
            {
                for key in taken {
                    page.entries.remove(key);
                }
                page.moment = after;
            }
            _ => *known = None,
        }
    }

    pub fn forget(&self) {
        *lock(&self.0) = None;
    }
}
