//! Locks that hosts share beside the lock files, where a front end gave the library a
//! place for them ([`Library::share_locks`]); the engine's is Redis.
//!
//! Who enters the door or writes a sidecar takes the lock file first, then the lock of
//! the same name here, for many sidecars all at once or none.
//!
//! What is guaranteed, and by what:
//! - With a shared place that answers, one holder at a time on all hosts, also where
//!   the storage does not pass on file locks. A holder that dies is in nobody's way
//!   for longer than a lease.
//! - Each taking gets a higher number. A holder that stood still for longer than its
//!   lease, and whose lock somebody took meanwhile, finds its number outdated: it is
//!   asked at the last moment before a rename, and what it had to write is dropped
//!   ([`Error::Superseded`]).
//! - Without a shared place, or while that does not answer, by the lock files alone,
//!   as before. A place that forgets everything lets two in, where file locks do not
//!   work either.
//! - Whatever else fails, nothing that another one wrote is overwritten: a sidecar is
//!   only exchanged for the bytes it was read from, and a picture gets only a name
//!   that is free. That is decided by the file system, and needs no lock.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Library,
    error::Error,
    md5_lock::{self, Md5Lock, Purpose},
    shelf::Shelf,
};
use crate::model::id::Md5;

/// The longest pause between two attempts to take a lock that is held.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A place where hosts take locks. Never waits for long: one that does not answer
/// is away.
pub trait RemoteLocks: Debug + Send + Sync {
    /// Takes all of these or none.
    fn try_take(&self, names: &[String]) -> Taken;
}

/// Whether locks were taken.
#[derive(Debug)]
pub enum Taken {
    /// Until this and all its clones are dropped.
    Held(Arc<dyn RemoteGuard>),
    /// Somebody else has one of them.
    Busy,
    /// Nobody knows.
    Away,
}

/// Locks that are held.
pub trait RemoteGuard: Debug + Send + Sync {
    /// False when another one has taken one of them since. True while nobody can say.
    fn still_held(&self) -> bool;
}

impl Library {
    /// Takes locks there, too, from now on; the first place counts.
    pub fn share_locks(&self, place: Arc<dyn RemoteLocks>) {
        // A second one would be the same place.
        let _ = self.shelf.remote.set(place);
    }
}

impl Shelf {
    /// Takes the lock for an md5, waiting at most `timeout`.
    pub(super) fn lock(
        &self,
        purpose: Purpose,
        md5: &Md5,
        timeout: Duration,
    ) -> Result<Md5Lock, Error> {
        let started = Instant::now();
        let folder = self.layout.locks();
        let mut lock = md5_lock::lock(&folder, purpose, md5, timeout)?;
        let path = md5_lock::lock_path(&folder, purpose, md5);
        lock.remote = self.guard(&[path], started, timeout)?;
        Ok(lock)
    }

    /// Takes the locks for these, in their order; each waits at most `timeout`.
    pub(super) fn lock_all<'m>(
        &self,
        purpose: Purpose,
        md5s: impl Iterator<Item = &'m Md5>,
        timeout: Duration,
    ) -> Result<Vec<Md5Lock>, Error> {
        let folder = self.layout.locks();
        let (mut locks, mut paths) = (Vec::new(), Vec::new());
        for md5 in md5s {
            locks.push(md5_lock::lock(&folder, purpose, md5, timeout)?);
            paths.push(md5_lock::lock_path(&folder, purpose, md5));
        }
        if let Some(first) = locks.first_mut() {
            first.remote = self.guard(&paths, Instant::now(), timeout)?;
        }
        Ok(locks)
    }

    fn guard(
        &self,
        paths: &[PathBuf],
        started: Instant,
        timeout: Duration,
    ) -> Result<Option<Arc<dyn RemoteGuard>>, Error> {
        let Some(remote) = self.remote.get() else {
            return Ok(None);
        };
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        let names: Vec<String> = paths.iter().filter_map(name).collect();
        let mut pause = Duration::from_millis(1);
        loop {
            match remote.try_take(&names) {
                Taken::Held(guard) => return Ok(Some(guard)),
                Taken::Away => return Ok(None),
                Taken::Busy => {}
            }
            let waited = started.elapsed();
            if waited >= timeout {
                let path = paths.first().map_or(Path::new("lock"), PathBuf::as_path);
                return Err(Error::Locked {
                    path: path.to_owned(),
                    waited,
                });
            }
            std::thread::sleep(pause.min(timeout.saturating_sub(waited)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
