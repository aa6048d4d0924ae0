//! The SQLite file of a disk cache: its tables, and how it is opened.
//!
//! Values lie apart from the rows, so that walking over keys does not read them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::known::Log;

/// A file with another number is thrown away.
const SCHEMA: i64 = 2;
const TABLES: &str = "
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        expires INTEGER,
        used INTEGER NOT NULL,
        file TEXT,
        start INTEGER,
        length INTEGER
    );
    CREATE INDEX entry_used ON entry (used, id, size);
    CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
    CREATE INDEX entry_file ON entry (file, start, length) WHERE file IS NOT NULL;
    CREATE TABLE value (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE removal (sequence INTEGER PRIMARY KEY AUTOINCREMENT, pattern TEXT NOT NULL);
    CREATE TABLE total (bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
";
/// Others write for milliseconds; a disk that is busy may take longer.
const PATIENCE: Duration = Duration::from_secs(5);
const MAPPED_BYTES: i64 = 256 << 20;

/// An open connection and which file it is to.
pub struct File {
    pub connection: Connection,
    /// Tells whether somebody wrote; `None` where that cannot be seen.
    pub log: Option<Log>,
    path: PathBuf,
    inode: (u64, u64),
}

impl File {
    /// Whether the file that is open is the one with its name: it can have been
    /// deleted or made again meanwhile.
    pub fn is_in_place(&self) -> bool {
        inode(&self.path).is_ok_and(|inode| inode == self.inode)
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Opens the file, and makes it where there is none or one of another schema.
pub fn open(path: &Path) -> rusqlite::Result<File> {
    if let Some(folder) = path.parent() {
        // A failure is told by the opening.
        let _ = fs::create_dir_all(folder);
    }
    match try_open(path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => {
            delete(path);
            try_open(path)?.ok_or(rusqlite::Error::InvalidQuery)
        }
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
            ) =>
        {
            tracing::warn!("{} is damaged and made again: {error}", path.display());
            delete(path);
            try_open(path)?.ok_or(rusqlite::Error::InvalidQuery)
        }
        Err(error) => Err(error),
    }
}

/// `None` when the file is of another schema.
fn try_open(path: &Path) -> rusqlite::Result<Option<File>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    if schema(&connection)? == 0 {
        // Before the first table: later it has no effect.
        connection.pragma_update(None, "page_size", 8192)?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A program that is killed damages nothing. A power cut can, and then the file is
    // made again: entries know their key and whether they are whole.
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    if schema(&connection)? == 0 {
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have been first.
        if schema(&transaction)? == 0 {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.commit()?;
    }
    if schema(&connection)? != SCHEMA {
        return Ok(None);
    }
    let inode = inode(path).map_err(|_| {
        // Deleted in this very moment.
        rusqlite::Error::InvalidPath(path.to_owned())
    })?;
    Ok(Some(File {
        connection,
        log: Log::open(&sibling(path, "-shm")),
        path: path.to_owned(),
        inode,
    }))
}

fn schema(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Deletes the file and what belongs to it.
pub fn delete(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = sibling(path, suffix);
        if let Err(error) = fs::remove_file(&name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", name.display());
        }
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    /// The inodes that this process holds a lock on.
    #[cfg(target_os = "linux")]
    fn locked() -> Vec<u64> {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let of_this = locks.lines().filter_map(|line| {
            // `1: POSIX ADVISORY WRITE 1234 fe:00:5678 120 120`
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_ours = words.get(4)?.parse::<u32>().ok()? == process::id();
            let inode = words.get(5)?.rsplit(':').next()?.parse().ok()?;
            (is_ours && *words.get(3)? == "WRITE").then_some(inode)
        });
        of_this.collect()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_that_closes_lets_go_of_nobody_elses_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let (mut writer, reader) = (open(&path).unwrap(), open(&path).unwrap());
        assert!(writer.log.is_some() && reader.log.is_some());
        let transaction = writer
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .unwrap();
        let (_, shared_memory) = inode(&sibling(&path, "-shm")).unwrap();
        assert!(locked().contains(&shared_memory), "the lock of a writer");
        drop(reader);
        drop(open(&path).unwrap());
        assert!(locked().contains(&shared_memory), "it is still held");
        transaction.commit().unwrap();
    }
}
