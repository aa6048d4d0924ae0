//! The SQLite index: a copy of what the files say, for fast answers. It can be
//! thrown away at any time; [`schema`] describes its tables.
//!
//! Invariants: one transaction per batch; a database that is newer, damaged or
//! not ours is never written to, and its views and triggers never run.

mod base;
mod departed;
mod details;
mod load;
mod moment;
mod remember;
mod schema;
mod tagging;
mod update;
mod words;

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, config::DbConfig};

use super::error::{Error, IndexCause};

pub(super) use base::{Packed, Seen, Stray, Unlinked};
pub(super) use load::Place;
pub use moment::Moment;
pub(super) use update::{Many, Row, Stamp};

/// How long one process waits for another one's transaction.
const BUSY: Duration = Duration::from_secs(10);
/// Memory for pages, in KiB as SQLite counts it, and the pages in the log after which
/// it is worked into the file: usually, and while much is written.
const CACHE: i64 = -4_096;
const CHECKPOINT: i64 = 500;
const BULK_CACHE: i64 = -24_576;
const BULK_CHECKPOINT: i64 = 12_000;
/// Bytes of a page.
const PAGE: i64 = 8_192;
/// Connections for reading that are kept open while nobody reads.
const IDLE_READERS: usize = 4;

/// An open index.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    is_damaged: AtomicBool,
}

/// Why a database file cannot be the index.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is there and must stay as it is: newer, damaged, or someone else's.
    Unusable(String),
    /// Nothing can be written at that place.
    NoAccess(Error),
}

impl Index {
    /// Opens or creates the index at a path.
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .map_err(|error| Refusal::NoAccess(Error::file("create folder", folder)(error)))?;
        // Two processes that start at once would otherwise see half a new file.
        let lock_path = beside(path, "lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| Refusal::NoAccess(Error::file("open lock", &lock_path)(error)))?;
        // Without locks on this file system SQLite's own have to do.
        let _ = lock.lock();
        if let Some(problem) = damage_noted(path).or_else(|| problem_of_header(path)) {
            return Err(Refusal::Unusable(problem));
        }
        let refuse = |error: rusqlite::Error| {
            if is_corrupt(&error) {
                Refusal::Unusable(error.to_string())
            } else {
                Refusal::NoAccess(cause("open", path, &error))
            }
        };
        let mut writer = connect(path).map_err(refuse)?;
        if writer.is_readonly(rusqlite::MAIN_DB).map_err(refuse)? {
            let error = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
            return Err(Refusal::NoAccess(Error::file("write index", path)(error)));
        }
        let stored: i32 = writer
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(refuse)?;
        if stored > schema::version() {
            return Err(Refusal::Unusable(newer(stored)));
        }
        schema::migrate(&mut writer).map_err(refuse)?;
        if !schema::is_as_expected(&writer).map_err(refuse)? {
            return Err(Refusal::Unusable(
                "its tables are not those of an index".to_owned(),
            ));
        }
        // The header names us before the first page goes to the log, so that a
        // second process recognises the file at any time.
        writer
            .pragma_update(None, "journal_mode", "wal")
            .map_err(refuse)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            is_damaged: AtomicBool::new(false),
        })
    }

    /// The path of a file of ours that goes with the index.
    pub(super) fn companion(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }

    /// The folder it lies in.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Whether the folder it lies in is that of one library.
    pub(super) fn is_alone(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("library.")
    }

    /// Whether a read or write found damaged pages since it was opened.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Runs a read on a connection of its own, so that it waits for no writer.
    fn read<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path).map_err(|error| self.failed(action, &error))?,
        };
        let result = read(&connection).map_err(|error| self.failed(action, &error));
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Runs one transaction; anything that fails takes all of it back.
    fn write<T>(
        &self,
        action: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut writer = lock(&self.writer);
        let run = |writer: &mut Connection| {
            let transaction =
                writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut writer).map_err(|error| self.failed(action, &error))
    }

    /// Runs work that writes much, with more memory and fewer checkpoints. Where nearly
    /// all there will be `are_new`, it does without the index of the first page, whose
    /// pages each step would change all over; cut off, the next start makes it again.
    pub(super) fn in_bulk<T>(
        &self,
        are_new: bool,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !are_new {
            return self.with_much_memory(work);
        }
        self.write("write", |transaction| {
            transaction.execute_batch("DROP INDEX IF EXISTS medium_shown")
        })?;
        let done = self.with_much_memory(work);
        self.write("write", |transaction| {
            transaction.execute_batch(schema::SHOWN)
        })?;
        done
    }

    fn with_much_memory<T>(&self, work: impl FnOnce() -> T) -> T {
        let settle = |cache: i64, checkpoint: i64| {
            let writer = lock(&self.writer);
            // What these settings change is how long it takes.
            let _ = writer.pragma_update(None, "cache_size", cache);
            let _ = writer.pragma_update(None, "wal_autocheckpoint", checkpoint);
            let _ = writer.release_memory();
        };
        settle(BULK_CACHE, BULK_CHECKPOINT);
        let done = work();
        settle(CACHE, CHECKPOINT);
        done
    }

    /// Changes when another process, or another connection of this one, wrote.
    pub(super) fn data_version(&self) -> Result<i64, Error> {
        lock(&self.writer)
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|error| self.failed("look for changes", &error))
    }

    /// A value of `library_metadata`.
    pub(super) fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        self.read("read", |connection| {
            connection
                .prepare_cached("SELECT value FROM library_metadata WHERE key = ?1")?
                .query_map([key], |row| row.get(0))?
                .next()
                .transpose()
        })
    }

    /// Any SQL, so that tests can break an index.
    #[cfg(test)]
    pub(super) fn execute(&self, sql: &str) -> Result<(), Error> {
        self.write("test", |transaction| transaction.execute_batch(sql))
    }

    fn failed(&self, action: &'static str, error: &rusqlite::Error) -> Error {
        if is_corrupt(error) && !self.is_damaged.swap(true, Ordering::Relaxed) {
            // The next start must not trust it; that it cannot be noted down (a
            // full disk) only means that the next start finds out for itself.
            #[expect(
                clippy::disallowed_methods,
                reason = "a note about a file of ours that holds no user data"
            )]
            let _ = fs::write(beside(&self.path, "damaged"), error.to_string());
        }
        cause(action, &self.path, error)
    }
}

/// Writes a value of `library_metadata`.
fn set(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO library_metadata VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([key, value])?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside a transaction rolled it back; the connection is sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a file that goes with the index: `library.db.<suffix>`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Opens a database of ours so that nothing a stranger put into it runs.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // Of a new file; what is remembered of a sidecar is often more than a KiB.
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

pub(super) fn cause(action: &'static str, path: &Path, error: &rusqlite::Error) -> Error {
    Error::Index {
        action,
        path: path.to_owned(),
        source: IndexCause {
            message: error.to_string(),
            is_corrupt: is_corrupt(error),
        },
    }
}

fn newer(version: i32) -> String {
    format!("it was made by a newer tagloupe (version {version})")
}

/// A note that [`Index::failed`] left about this very file.
fn damage_noted(path: &Path) -> Option<String> {
    let note = beside(path, "damaged");
    let text = fs::read_to_string(&note).ok()?;
    if path.exists() {
        return Some(text);
    }
    // The damaged file is gone, and the note with it.
    let _ = fs::remove_file(note);
    None
}

/// What speaks against a database file before SQLite touches it: opening one can
/// already write to it when it has a log.
///
/// For a process that has no connection to it: closing the file here would let go of
/// the locks of one (<https://sqlite.org/howtocorrupt.html>, section 2.2).
fn problem_of_header(path: &Path) -> Option<String> {
    let mut header = [0; 100];
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    if bytes == 0 {
        return None;
    }
    if (&file).read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Some("it is not a database".to_owned());
    }
    let number = |at: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&header[at..at + 4]);
        u32::from_be_bytes(four)
    };
    if number(68) != schema::APPLICATION_ID.cast_unsigned() {
        return Some("it is a database of another program".to_owned());
    }
    let version = number(60).cast_signed();
    if version > schema::version() {
        return Some(newer(version));
    }
    let page = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        bytes => bytes,
    };
    // A log says more than the file; a journal says that its last change was cut
    // short, which SQLite takes back.
    let log = ["-wal", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(PathBuf::from(name)).map_or(0, |log| log.len())
    });
    let is_current = number(24) == number(92);
    if log == [0, 0] && is_current && u64::from(number(28)) * page > bytes {
        return Some("its end is missing".to_owned());
    }
    None
}

#[cfg(test)]
mod tests;
