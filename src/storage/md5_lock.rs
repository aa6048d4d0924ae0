//! Locks between processes: 256 files, one for each first byte of an md5, that
//! are never unlinked. Removing one after use would let two processes hold "the
//! same" lock on two different files. The kernel releases a lock when its holder
//! dies, so nobody ever has to clean up.
//!
//! One more file, `library`, is locked by all of them together, shared by everybody
//! who changes something. Whoever must be alone takes it for itself, and then needs
//! none of the others.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{error::Error, remote_lock::RemoteGuard};
use crate::model::id::Md5;

/// The longest pause between two attempts to take a lock that is held.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The name of the lock on the library as a whole.
const LIBRARY: &str = "library";

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub struct Md5Lock {
    /// Closing the file releases the lock.
    _file: File,
    /// The share of the lock on the library.
    _library: Option<File>,
    /// The same on other hosts; of locks that were taken together the first has it.
    pub(super) remote: Option<Arc<dyn RemoteGuard>>,
}

impl Md5Lock {
    /// False when another host has taken it since. To be asked at the last moment
    /// before something is written.
    pub fn still_held(&self) -> bool {
        self.remote.as_ref().is_none_or(|guard| guard.still_held())
    }
}

/// What a lock guards. The two sets are apart because the door asks for a sidecar
/// lock while it holds its own; in one set two processes could wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether a file with this md5 is known, and filing it.
    Door,
    /// Reading, changing and writing one sidecar.
    Sidecar,
}

/// Takes the lock for an md5, waiting at most `timeout`.
pub(super) fn lock(
    folder: &Path,
    purpose: Purpose,
    md5: &Md5,
    timeout: Duration,
) -> Result<Md5Lock, Error> {
    let library = take(
        folder,
        &folder.join(LIBRARY),
        timeout,
        File::try_lock_shared,
    )?;
    let path = lock_path(folder, purpose, md5);
    Ok(Md5Lock {
        _file: take(folder, &path, timeout, File::try_lock)?,
        _library: Some(library),
        remote: None,
    })
}

/// Takes the whole library, waiting at most `timeout` until nobody changes
/// anything. Its holder must not ask for any other lock of the folder.
pub(super) fn lock_library(folder: &Path, timeout: Duration) -> Result<Md5Lock, Error> {
    Ok(Md5Lock {
        _file: take(folder, &folder.join(LIBRARY), timeout, File::try_lock)?,
        _library: None,
        remote: None,
    })
}

fn take(
    folder: &Path,
    path: &Path,
    timeout: Duration,
    try_lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<File, Error> {
    let file = open(folder, path)?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
        }
        let waited = started.elapsed();
        if waited >= timeout {
            return Err(Error::Locked {
                path: path.to_owned(),
                waited,
            });
        }
        std::thread::sleep(pause.min(timeout.saturating_sub(waited)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Takes a lock of its own kind, or fails at once when someone holds it.
pub(super) fn try_lock_file(path: &Path) -> Result<Md5Lock, Error> {
    let file = open(path.parent().unwrap_or(Path::new(".")), path)?;
    match file.try_lock() {
        Ok(()) => Ok(Md5Lock {
            _file: file,
            _library: None,
            remote: None,
        }),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: path.to_owned(),
            waited: Duration::ZERO,
        }),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", path)(error)),
    }
}

/// The file of a lock; its name is that of the lock everywhere.
pub(super) fn lock_path(folder: &Path, purpose: Purpose, md5: &Md5) -> PathBuf {
    let suffix = match purpose {
        Purpose::Door => "",
        Purpose::Sidecar => ".sidecar",
    };
    folder.join(format!("{:02x}{suffix}", md5.0[0]))
}

fn open(folder: &Path, path: &Path) -> Result<File, Error> {
    let try_open = || {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    };
    match try_open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(Error::file("create folder", folder))?;
            try_open().map_err(Error::file("open lock", path))
        }
        opened => opened.map_err(Error::file("open lock", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(byte: u8) -> Md5 {
        Md5([byte; 16])
    }

    #[test]
    fn a_held_lock_is_refused_and_a_released_one_taken() {
        let dir = tempfile::tempdir().unwrap();
        let take = |purpose, byte| lock(dir.path(), purpose, &md5(byte), Duration::from_millis(5));
        let held = take(Purpose::Door, 7).unwrap();
        assert!(matches!(take(Purpose::Door, 7), Err(Error::Locked { .. })));
        assert!(take(Purpose::Door, 8).is_ok());
        assert!(take(Purpose::Sidecar, 7).is_ok());
        drop(held);
        assert!(take(Purpose::Door, 7).is_ok());
        assert!(dir.path().join("07").exists(), "lock files stay");
    }

    #[test]
    fn whoever_takes_the_library_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let short = Duration::from_millis(5);
        let share = |byte| lock(dir.path(), Purpose::Sidecar, &md5(byte), short);
        let (one, other) = (share(1).unwrap(), share(2).unwrap());
        let alone = || lock_library(dir.path(), short);
        assert!(matches!(alone(), Err(Error::Locked { .. })));
        drop(one);
        assert!(matches!(alone(), Err(Error::Locked { .. })));
        drop(other);
        let held = alone().unwrap();
        assert!(matches!(share(1), Err(Error::Locked { .. })));
        assert!(matches!(alone(), Err(Error::Locked { .. })));
        drop(held);
        assert!(share(1).is_ok());
    }

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock =
                            lock(dir.path(), Purpose::Door, &md5(1), Duration::from_mins(1))
                                .unwrap();
                        let before = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(before, 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
