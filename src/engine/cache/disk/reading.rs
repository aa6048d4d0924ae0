//! Reading an entry: by what is known of it, else by its row.

use std::sync::Arc;

use super::{
    Disk, Failure, Value,
    known::{Entry, Log},
    rows::{Held, Row, find},
};

/// How often a value is read anew while somebody writes in the middle of it.
const ATTEMPTS: usize = 3;

impl Disk {
    /// The value of a row; `None` when its bytes are gone.
    pub(super) fn value(&self, held: &Held) -> Option<Value> {
        match held {
            Held::Here(bytes) => Some(Arc::clone(bytes)),
            Held::Beside(place) => self.files.read(place),
        }
    }

    /// The value of an entry that this process found before, if nobody wrote since.
    pub(super) fn get_known(&self, key: &str, now: i64) -> Option<(i64, Value)> {
        let (entry, log, moment) = self.known.get(key)?;
        if entry.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        let value = self.files.read(&entry.place);
        let now = log.now();
        if now.is_none() {
            // The folder was deleted.
            self.files.close();
        }
        (now == Some(moment)).then_some((entry.id, value?))
    }

    /// The row of a key, and its value; `None` for a value whose bytes are gone.
    pub(super) fn look_up(
        &self,
        key: &str,
        now: i64,
    ) -> Result<Option<(i64, Option<Value>)>, Failure> {
        let mut looked = None;
        for _ in 0..ATTEMPTS {
            let (row, log, before) = self.read(|file| {
                let before = file.log.as_ref().and_then(Log::now);
                let row = find(&file.connection, key, now)?;
                Ok((row, file.log.clone(), before))
            })?;
            let Some(Row { id, expires, held }) = row else {
                return Ok(None);
            };
            looked = Some((id, self.value(&held)));
            let (Held::Beside(place), Some(log)) = (held, log) else {
                break;
            };
            if let Some(moment) = before.filter(|before| log.now() == Some(*before)) {
                if looked.as_ref().is_some_and(|(_, value)| value.is_some()) {
                    let entry = Entry { id, expires, place };
                    self.known.note(&log, moment, key, entry);
                }
                break;
            }
            // Somebody wrote meanwhile: the bytes may be those of nobody.
        }
        Ok(looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        cache::{Backend as _, disk::NOTED_READS},
        job::system_clock,
    };

    #[test]
    fn what_is_there_is_read_also_where_nothing_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path(), 1 << 30, system_clock).unwrap();
        let value: Value = b"1"[..].into();
        let entries: Vec<(String, Value)> = (0..=NOTED_READS)
            .map(|n| (n.to_string(), Arc::clone(&value)))
            .collect();
        disk.set_many(&entries, None).unwrap();
        // As on a disk that is full.
        let file = rusqlite::Connection::open(folder.path().join("cache.db")).unwrap();
        file.execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
        for (key, _) in &entries {
            assert_eq!(disk.get(key).unwrap().as_deref(), Some(&b"1"[..]), "{key}");
        }
    }
}
