//! Entries in one SQLite file below a folder, larger values in files beside it:
//! survives restarts, holds at most so many bytes, the least recently used make
//! room. Any number of processes of one host share it.
//!
//! Invariant: a row is written after the bytes it names and removed before them, so a
//! crash leaves at worst a file that nobody names, which a later start sweeps. A row
//! whose bytes are gone or cut is a miss.
//!
//! A second hit does not ask SQLite, whose transactions alone cost more than reading
//! a thumbnail ([`known`]).
//!
//! What was read is noted in memory and written with the next change or every few
//! thousand reads, so that a hit writes nothing; a crash costs a little of the order.

mod files;
mod known;
mod reading;
mod rows;
mod schema;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Transaction, params};

use self::{
    files::{Files, Place, Written},
    known::{Known, Log},
    rows::{
        Held, Row, Taken, add_bytes, find, gap, is_held, is_named, make_room, take_ids, take_key,
        total_bytes,
    },
    schema::{File, open},
};
use super::{
    super::job::{Clock, lock},
    Backend, Failure, Usage, Value,
    glob::{literal_prefix, matches_glob},
    memory::number,
};

/// Values beyond this lie in files: those that fit into a page of SQLite's or so are
/// not worth it.
const IN_FILE_BYTES: usize = 4 << 10;
/// What an entry takes besides key and value, about: its row and two indexes.
const OVERHEAD_BYTES: usize = 128;
/// Reads that are noted before they are written.
const NOTED_READS: usize = 2_048;
/// Connections that wait for the next read.
const IDLE_READERS: usize = 4;
/// Removals that other processes can still learn one by one.
const REMEMBERED_REMOVALS: i64 = 1_000;

/// A cache folder.
pub struct Disk {
    path: PathBuf,
    files: Files,
    limit_bytes: u64,
    clock: Clock,
    writer: Mutex<Option<File>>,
    readers: Mutex<Vec<File>>,
    known: Known,
    /// Entries that were read, with when, to be written.
    reads: Mutex<HashMap<i64, i64>>,
    /// The number of the newest use; grows in all processes alike, since it begins
    /// with the time.
    uses: AtomicU64,
    evicted: AtomicU64,
}

/// What other processes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removals {
    /// What matches these.
    Of(Vec<String>),
    /// More than is remembered.
    Unknown,
}

impl Disk {
    /// A cache below a folder, which is made if need be.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn open(folder: &Path, limit_bytes: u64, clock: Clock) -> Result<Self, Failure> {
        let disk = Self {
            path: folder.join("cache.db"),
            files: Files::new(folder),
            limit_bytes,
            clock,
            writer: Mutex::default(),
            readers: Mutex::default(),
            known: Known::default(),
            reads: Mutex::default(),
            uses: AtomicU64::new(u64::try_from(clock()).unwrap_or_default() << 20),
            evicted: AtomicU64::new(0),
        };
        let newest: Option<i64> = disk.write(|transaction, _| {
            transaction.query_row("SELECT max(used) FROM entry", [], |row| row.get(0))
        })?;
        let newest = newest.and_then(|newest| u64::try_from(newest).ok());
        disk.uses
            .fetch_max(newest.unwrap_or(0) + 1, Ordering::Relaxed);
        Ok(disk)
    }

    /// Removes files that no entry names, as crashes leave them, and what is too old.
    /// For a thread in the background.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sweep(&self) -> Result<u64, Failure> {
        let (now, mut swept) = ((self.clock)(), 0);
        let files = self.files.old_ones(now);
        let unnamed = self.read(|file| {
            let mut unnamed = Vec::new();
            for name in files {
                if !is_named(&file.connection, &name)? {
                    unnamed.push(name);
                }
            }
            Ok(unnamed)
        })?;
        for file in unnamed {
            swept += u64::from(self.release(&file, &[]));
        }
        let expired = self.write(|transaction, _| {
            let mut query =
                transaction.prepare_cached("SELECT id FROM entry WHERE expires <= ?1")?;
            let ids = query.query_map([now], |row| row.get(0))?;
            ids.collect::<Result<Vec<i64>, _>>()
        })?;
        for ids in expired.chunks(super::CLEARED_AT_ONCE) {
            swept += self.write(|transaction, taken| take_ids(transaction, ids, taken))?;
        }
        // The limit may be lower than when it was filled.
        let limit = self.limit_bytes;
        swept += self.write(|transaction, taken| make_room(transaction, limit, taken))?;
        Ok(swept)
    }

    /// Gives up the whole folder, which begins anew: on a disk that is full no entry can
    /// be taken out, since that has to be written.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn discard(&self) -> Result<(), Failure> {
        let mut writer = lock(&self.writer);
        *writer = None;
        lock(&self.readers).clear();
        self.known.forget();
        schema::delete(&self.path);
        self.files.discard().map_err(|error| {
            Failure::Unavailable(format!("cannot remove the values of the cache: {error}"))
        })
    }

    /// What other processes and this one removed after a removal of that number, and
    /// the number of the newest.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn removals_since(&self, sequence: i64) -> Result<(i64, Removals), Failure> {
        self.read(|File { connection, .. }| {
            let (oldest, newest): (Option<i64>, Option<i64>) = connection
                .prepare_cached("SELECT min(sequence), max(sequence) FROM removal")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let newest = newest.unwrap_or(0);
            // Fewer than before: the file was deleted and made again.
            if newest < sequence || oldest.is_some_and(|oldest| oldest > sequence + 1) {
                return Ok((newest, Removals::Unknown));
            }
            let mut query = connection.prepare_cached(
                "SELECT pattern FROM removal WHERE sequence > ?1 ORDER BY sequence",
            )?;
            let patterns = query.query_map([sequence], |row| row.get(0))?;
            Ok((newest, Removals::Of(patterns.collect::<Result<_, _>>()?)))
        })
    }

    /// Tells other processes what no longer holds, as a pattern.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note_removal(&self, pattern: &str) -> Result<(), Failure> {
        self.write(|transaction, _| {
            transaction
                .prepare_cached("INSERT INTO removal (pattern) VALUES (?1)")?
                .execute([pattern])?;
            let newest = transaction.last_insert_rowid();
            transaction
                .prepare_cached("DELETE FROM removal WHERE sequence <= ?1")?
                .execute([newest - REMEMBERED_REMOVALS])?;
            Ok(())
        })
    }

    /// Reads with a connection that nobody else uses meanwhile.
    fn read<T>(&self, work: impl FnOnce(&File) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let idle = lock(&self.readers).pop();
        let file = match idle.filter(File::is_in_place) {
            Some(file) => file,
            None => open(&self.path).map_err(|error| self.failure(&error))?,
        };
        let outcome = work(&file);
        if let Err(error) = &outcome {
            return Err(self.after_error(error));
        }
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(file);
        }
        drop(readers);
        outcome.map_err(|error| self.failure(&error))
    }

    /// Changes entries in one transaction, and notes what was read since the last.
    /// Gives back the room of what that took out.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &mut Taken) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let mut writer = lock(&self.writer);
        let outcome = self
            .open_writer(&mut writer)
            .and_then(|file| self.transact(file, work));
        match outcome {
            Ok((answer, taken)) => {
                drop(writer);
                self.release_all(&taken.places);
                Ok(answer)
            }
            Err(error) => {
                *writer = None;
                drop(writer);
                Err(self.after_error(&error))
            }
        }
    }

    fn open_writer<'w>(
        &self,
        writer: &'w mut MutexGuard<'_, Option<File>>,
    ) -> rusqlite::Result<&'w mut File> {
        // The folder may have been deleted, which is allowed at any time.
        let held = writer.take().filter(File::is_in_place);
        let file = match held {
            Some(file) => file,
            None => open(&self.path)?,
        };
        Ok(writer.insert(file))
    }

    fn transact<T>(
        &self,
        file: &mut File,
        work: impl FnOnce(&Transaction<'_>, &mut Taken) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<(T, Taken)> {
        let (reads, log) = (self.take_reads(), file.log.clone());
        let now = || log.as_ref().and_then(Log::now);
        let transaction = file
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Nobody else writes from here to the end of the transaction.
        let before = now();
        {
            let mut touch = transaction
                .prepare_cached("UPDATE entry SET used = ?2 WHERE id = ?1 AND used < ?2")?;
            for (id, used) in &reads {
                touch.execute([id, used])?;
            }
        }
        let mut taken = Taken::default();
        let outcome = work(&transaction, &mut taken)?;
        transaction.commit()?;
        self.known.follow(before, now(), &taken.keys);
        Ok((outcome, taken))
    }

    /// Gives back the room of values that no row names any more.
    fn release_all(&self, places: &[Place]) {
        let mut by_file: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for place in places {
            by_file.entry(&place.file).or_default().push(place);
        }
        for (file, places) in by_file {
            self.release(file, &places);
        }
    }

    /// As [`Self::release_all`] for one file; says whether that is gone.
    fn release(&self, file: &str, places: &[&Place]) -> bool {
        // In doubt it stays for the next start to sweep.
        let is_named = || {
            let named = self.read(|reader| is_named(&reader.connection, file));
            named.unwrap_or(true)
        };
        let gaps = || {
            let gaps = self.read(|reader| {
                let gap = |place: &&Place| gap(&reader.connection, place);
                places.iter().map(gap).collect()
            });
            gaps.unwrap_or_default()
        };
        self.files.release(file, is_named, gaps)
    }

    fn take_reads(&self) -> HashMap<i64, i64> {
        std::mem::take(&mut *lock(&self.reads))
    }

    /// Notes that an entry was read. What cannot be written costs a little of the order.
    fn note_read(&self, id: i64) {
        let used = self.next_use();
        let noted = {
            let mut reads = lock(&self.reads);
            reads.insert(id, used);
            reads.len()
        };
        if noted >= NOTED_READS
            && let Err(error) = self.write(|_, _| Ok(()))
        {
            tracing::debug!("what was read last is not noted: {error}");
            lock(&self.reads).clear();
        }
    }

    fn next_use(&self) -> i64 {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        i64::try_from(used).unwrap_or(i64::MAX)
    }

    fn expiry(&self, ttl: Option<Duration>) -> Option<i64> {
        let seconds = i64::try_from(ttl?.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        // This second has begun already, and nothing ends early.
        Some((self.clock)().saturating_add(seconds).saturating_add(1))
    }

    /// Deletes the file when it is damaged: the next one who asks makes it again.
    fn after_error(&self, error: &rusqlite::Error) -> Failure {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        self.known.forget();
        if matches!(
            error.sqlite_error_code(),
            Some(DatabaseCorrupt | NotADatabase)
        ) {
            tracing::warn!("{} is damaged and made again: {error}", self.path.display());
            lock(&self.readers).clear();
            schema::delete(&self.path);
        }
        self.failure(error)
    }

    fn failure(&self, error: &rusqlite::Error) -> Failure {
        Failure::Unavailable(format!(
            "cannot use the cache {}: {error}",
            self.path.display()
        ))
    }

    /// Puts entries in place, and makes room.
    fn put(
        &self,
        entries: &[(String, Value)],
        ttl: Option<Duration>,
        only_absent: bool,
    ) -> Result<u64, Failure> {
        let mut written: Vec<Option<Written>> = Vec::new();
        for (_, value) in entries {
            written.push(if value.len() > IN_FILE_BYTES {
                let written = self.files.write(value).map_err(|error| {
                    Failure::Unavailable(format!("cannot write a cache entry: {error}"))
                })?;
                Some(written)
            } else {
                None
            });
        }
        let (now, expires) = ((self.clock)(), self.expiry(ttl));
        let outcome = self.write(|transaction, taken| {
            let (mut set, mut added) = (0, 0);
            for ((key, value), written) in entries.iter().zip(&written) {
                let place = written.as_ref().map(|written| &written.place);
                if only_absent && is_held(transaction, key, now)? {
                    taken.places.extend(place.cloned());
                    continue;
                }
                take_key(transaction, key, taken)?;
                let size = key.len() + value.len() + OVERHEAD_BYTES;
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                let file = place.map(|place| &*place.file);
                let start = place.map(|place| i64::try_from(place.start).unwrap_or(0));
                let length = place.map(|place| i64::try_from(place.length).unwrap_or(0));
                let used = self.next_use();
                transaction
                    .prepare_cached(
                        "INSERT INTO entry (key, size, expires, used, file, start, length)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![key, size, expires, used, file, start, length])?;
                if file.is_none() {
                    transaction
                        .prepare_cached("INSERT INTO value (id, bytes) VALUES (?1, ?2)")?
                        .execute(params![transaction.last_insert_rowid(), &value[..]])?;
                }
                added += size;
                set += 1;
            }
            add_bytes(transaction, added)?;
            let evicted = make_room(transaction, self.limit_bytes, taken)?;
            self.evicted.fetch_add(evicted, Ordering::Relaxed);
            Ok(set)
        });
        if outcome.is_err() {
            let places = written
                .iter()
                .flatten()
                .map(|written| written.place.clone());
            self.release_all(&places.collect::<Vec<_>>());
        }
        outcome
    }
}

impl Backend for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn get(&self, key: &str) -> Result<Option<Value>, Failure> {
        let now = (self.clock)();
        if let Some((id, value)) = self.get_known(key, now) {
            self.note_read(id);
            return Ok(Some(value));
        }
        let Some((id, value)) = self.look_up(key, now)? else {
            return Ok(None);
        };
        if value.is_some() {
            self.note_read(id);
        } else {
            self.write(|transaction, taken| take_ids(transaction, &[id], taken))?;
        }
        Ok(value)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Value>>, Failure> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn set_many(&self, entries: &[(String, Value)], ttl: Option<Duration>) -> Result<(), Failure> {
        self.put(entries, ttl, false).map(|_| ())
    }

    fn set_if_absent(
        &self,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<bool, Failure> {
        let entry = [(key.to_owned(), Value::clone(value))];
        Ok(self.put(&entry, ttl, true)? == 1)
    }

    fn delete_if(&self, key: &str, value: &[u8]) -> Result<bool, Failure> {
        let now = (self.clock)();
        let removed = self.write(|transaction, taken| match find(transaction, key, now)? {
            Some(row) if self.value(&row.held).is_some_and(|held| *held == *value) => {
                take_ids(transaction, &[row.id], taken)
            }
            _ => Ok(0),
        })?;
        Ok(removed == 1)
    }

    fn delete_many(&self, keys: &[String]) -> Result<u64, Failure> {
        if keys.is_empty() {
            return Ok(0);
        }
        let now = (self.clock)();
        self.write(|transaction, taken| {
            let mut held = 0;
            for key in keys {
                // What is over counts as gone already.
                held += u64::from(is_held(transaction, key, now)?);
                take_key(transaction, key, taken)?;
            }
            Ok(held)
        })
    }

    fn add(&self, key: &str, from: i64, by: i64, ttl: Option<Duration>) -> Result<i64, Failure> {
        let (now, expires) = ((self.clock)(), self.expiry(ttl));
        self.write(|transaction, taken| {
            let before = match find(transaction, key, now)? {
                Some(Row {
                    id,
                    held: Held::Here(bytes),
                    ..
                }) => number(&bytes).map(|before| (id, before)),
                _ => None,
            };
            let least = before.map_or(from, |(_, before)| before.max(from));
            let sum = least.saturating_add(by);
            let bytes = sum.to_string().into_bytes();
            if let Some((id, _)) = before {
                transaction
                    .prepare_cached("UPDATE value SET bytes = ?2 WHERE id = ?1")?
                    .execute(params![id, bytes])?;
                return Ok(sum);
            }
            take_key(transaction, key, taken)?;
            let size = i64::try_from(key.len() + bytes.len() + OVERHEAD_BYTES).unwrap_or(i64::MAX);
            transaction
                .prepare_cached(
                    "INSERT INTO entry (key, size, expires, used) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![key, size, expires, self.next_use()])?;
            transaction
                .prepare_cached("INSERT INTO value (id, bytes) VALUES (?1, ?2)")?
                .execute(params![transaction.last_insert_rowid(), bytes])?;
            add_bytes(transaction, size)?;
            Ok(sum)
        })
    }

    fn list(&self, pattern: &str, on: &mut dyn FnMut(String, u64)) -> Result<(), Failure> {
        let now = (self.clock)();
        let prefix = literal_prefix(pattern);
        self.read(|File { connection, .. }| {
            let mut query = connection.prepare_cached(
                "SELECT key, size FROM entry
                 WHERE key >= ?1 AND (expires IS NULL OR expires > ?2) ORDER BY key",
            )?;
            let mut rows = query.query(params![prefix, now])?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(&prefix) {
                    break;
                }
                if matches_glob(pattern, &key) {
                    on(key, row.get::<_, i64>(1)?.unsigned_abs());
                }
            }
            Ok(())
        })
    }

    fn usage(&self) -> Result<Usage, Failure> {
        self.read(|File { connection, .. }| {
            let entries: i64 = connection
                .prepare_cached("SELECT count(*) FROM entry")?
                .query_row([], |row| row.get(0))?;
            Ok(Usage {
                entries: entries.unsigned_abs(),
                bytes: total_bytes(connection)?.unsigned_abs(),
                limit_bytes: self.limit_bytes,
                evicted: self.evicted.load(Ordering::Relaxed),
            })
        })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if !lock(&self.reads).is_empty()
            && let Err(error) = self.write(|_, _| Ok(()))
        {
            tracing::debug!("what was read last is not noted: {error}");
        }
    }
}
