//! Reading and writing files so that a crash leaves the old content or the new
//! one, never a mixture: temporary file in the same folder, fsync, rename, fsync
//! of the folder.
//!
//! Invariant: every file of the user that is created, replaced or removed is so
//! through [`Writes`]. A journal that has to see changes before they happen goes here.

mod moving;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use tempfile::{NamedTempFile, TempPath};

use super::{error::Error, md5_lock::Md5Lock, remote_lock::RemoteGuard};
use crate::model::id::Md5;
pub(super) use moving::are_on_two_disks;
#[cfg(test)]
pub(super) use moving::disks;
use moving::rename_new;

const TEMP_PREFIX: &str = ".tagloupe-";
const TEMP_SUFFIX: &str = ".tmp";

/// What the file system says about a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Stat {
    pub(super) fn new(metadata: &fs::Metadata) -> Self {
        let modified_ns = match metadata.modified() {
            Ok(time) => match time.duration_since(UNIX_EPOCH) {
                Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
                Err(before) => {
                    i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns)
                }
            },
            Err(_) => 0,
        };
        Self {
            bytes: metadata.len(),
            modified_ns,
        }
    }

    /// Seconds since 1970.
    pub(super) fn modified(self) -> i64 {
        self.modified_ns.div_euclid(1_000_000_000)
    }
}

/// The state of a regular file; `None` when there is none (a link is not followed).
pub(super) fn stat(path: &Path) -> Result<Option<Stat>, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then(|| Stat::new(&metadata))),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::file("examine", path)(error)),
    }
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens a regular file for reading; links are not followed, and a pipe does not
/// make anybody wait.
pub(super) fn open(path: &Path) -> io::Result<(File, Stat)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, Stat::new(&metadata)))
}

/// A whole small file with its state; `None` when it does not exist.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<(Vec<u8>, Stat)>, Error> {
    let (file, stat) = match open(path) {
        Ok(opened) => opened,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let bytes = read_all(file, stat, limit).map_err(Error::file("read", path))?;
    Ok(Some((bytes, stat)))
}

/// The bytes of a file, one more than the limit at most. One that is as large as it
/// said is read at once: there is room for a byte more, which nobody gave.
fn read_all(mut file: File, stat: Stat, limit: u64) -> io::Result<Vec<u8>> {
    let expected = usize::try_from(stat.bytes.min(limit)).unwrap_or(0);
    let mut bytes = vec![0; expected + 1];
    let first = match file.read(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        read => read?,
    };
    bytes.truncate(first);
    if first != expected || u64::try_from(first) != Ok(stat.bytes) {
        let rest = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
        file.take(rest).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// What tells the bytes of a file from others that somebody may have written there: a
/// rebuild would otherwise spend a tenth of its time on md5s.
pub(super) fn digest_of(bytes: &[u8]) -> [u8; 16] {
    xxhash_rust::xxh3::xxh3_128(bytes).to_be_bytes()
}

pub(super) fn md5_of(bytes: &[u8]) -> Md5 {
    Md5(md5::compute(bytes).0)
}

/// The md5 of a file's bytes; `on` is asked between blocks whether to go on.
pub(super) fn md5_of_file(path: &Path, on: &mut dyn FnMut() -> bool) -> Result<Option<Md5>, Error> {
    let (mut file, _) = open(path).map_err(Error::file("read", path))?;
    let mut context = md5::Context::new();
    let mut block = vec![0; 1 << 18];
    loop {
        if !on() {
            return Ok(None);
        }
        match file.read(&mut block).map_err(Error::file("read", path))? {
            0 => return Ok(Some(Md5(context.finalize().0))),
            n => context.consume(&block[..n]),
        }
    }
}

/// Bytes that this user may still write to the file system of a path, which need
/// not exist; `None` where that cannot be told.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(existing).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The disk is full: whatever comes next would not fit either.
pub(super) fn is_full(error: &Error) -> bool {
    matches!(
        error.io_kind(),
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    )
}

/// A temporary file of ours that a crash left behind.
pub(super) fn is_leftover(name: &str) -> bool {
    name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX)
}

/// Whether a file was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    Yes,
    /// Another program had changed it meanwhile; its bytes are there, not ours.
    Changed,
}

/// Changes of files that become durable together: each file is synced as it is
/// written, each folder once in [`Writes::finish`].
#[derive(Debug, Default)]
pub(super) struct Writes {
    folders: BTreeSet<PathBuf>,
    /// Locks of other hosts which must still be held when a file gets its name.
    guards: Vec<Arc<dyn RemoteGuard>>,
}

impl Writes {
    /// Changes under locks: a file whose lock passed to another host is not written.
    pub(super) fn under(locks: &[Md5Lock]) -> Self {
        let guards = locks.iter().filter_map(|lock| lock.remote.clone());
        Self {
            guards: guards.collect(),
            ..Self::default()
        }
    }

    fn check_held(&self, path: &Path) -> Result<(), Error> {
        if self.guards.iter().all(|guard| guard.still_held()) {
            return Ok(());
        }
        Err(Error::Superseded {
            path: path.to_owned(),
        })
    }

    /// Replaces or creates a file. Equal bytes are not written; returns whether
    /// anything was.
    pub(super) fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, Error> {
        let old = fs::symlink_metadata(path)
            .ok()
            .filter(fs::Metadata::is_file);
        if let Some(old) = &old
            && usize::try_from(old.len()) == Ok(bytes.len())
            && read(path, bytes.len())?.is_some_and(|(old, _)| old == bytes)
        {
            return Ok(false);
        }
        let temp = temp_with(path, bytes)?;
        if let Some(old) = old {
            fs::set_permissions(&temp, old.permissions())
                .map_err(Error::file("set permissions of", &temp))?;
        }
        step().map_err(Error::file("write", path))?;
        temp.persist(path)
            .map_err(|error| Error::file("write", path)(error.error))?;
        self.touched(path);
        Ok(true)
    }

    /// Adds whole lines at the end of a file, synced; makes it where there is none.
    /// A line that a crash cut off before stays a line of its own.
    pub(super) fn append(&mut self, path: &Path, lines: &[u8]) -> Result<(), Error> {
        make_folder_of(path)?;
        let write = || {
            let mut options = OpenOptions::new();
            options.create(true).read(true).append(true);
            let mut file = options.open(path)?;
            let bytes = file.metadata()?.len();
            let mut last = [b'\n'];
            if bytes > 0 {
                file.seek(io::SeekFrom::Start(bytes - 1))?;
                file.read_exact(&mut last)?;
            }
            // One write, so that lines of two processes do not mix.
            let text = if last == [b'\n'] {
                lines.to_vec()
            } else {
                [b"\n", lines].concat()
            };
            file.write_all(&text)?;
            file.sync_all()
        };
        step()
            .and_then(|()| write())
            .map_err(Error::file("write", path))?;
        self.touched(path);
        Ok(())
    }

    /// Replaces a file that still holds what was read from it, or creates one that
    /// was not there (`expected`: the md5 of what was read). Another program's bytes
    /// are never lost: where they are found instead, they stay and this one's are
    /// dropped.
    pub(super) fn replace_expected(
        &mut self,
        path: &Path,
        bytes: &[u8],
        expected: Option<Md5>,
    ) -> Result<Replaced, Error> {
        let Some(expected) = expected else {
            let mut temp = Some(temp_with(path, bytes)?);
            let is_placed = self.place(&mut temp, path)?;
            return Ok(if is_placed {
                Replaced::Yes
            } else {
                Replaced::Changed
            });
        };
        let old = match fs::symlink_metadata(path) {
            Ok(old) if old.is_file() => old,
            Ok(_) => return Ok(Replaced::Changed),
            Err(error) if is_absent(&error) => return Ok(Replaced::Changed),
            Err(error) => return Err(Error::file("examine", path)(error)),
        };
        if expected == md5_of(bytes) {
            return Ok(Replaced::Yes);
        }
        let temp = temp_with(path, bytes)?;
        fs::set_permissions(&temp, old.permissions())
            .map_err(Error::file("set permissions of", &temp))?;
        let holds_expected = |path: &Path| -> Result<bool, Error> {
            Ok(md5_of_file(path, &mut || true)? == Some(expected))
        };
        self.check_held(path)?;
        step().map_err(Error::file("write", path))?;
        match exchange(&temp, path) {
            Ok(()) => {
                self.touched(path);
                // What stood there is in the temporary file now, whoever wrote it.
                if holds_expected(&temp).unwrap_or(false) {
                    return Ok(Replaced::Yes);
                }
                exchange(&temp, path).map_err(Error::file("write", path))?;
                Ok(Replaced::Changed)
            }
            Err(error) if is_absent(&error) => Ok(Replaced::Changed),
            Err(error) if cannot(&error) => {
                if !holds_expected(path)? {
                    return Ok(Replaced::Changed);
                }
                temp.persist(path)
                    .map_err(|error| Error::file("write", path)(error.error))?;
                self.touched(path);
                Ok(Replaced::Yes)
            }
            Err(error) => Err(Error::file("write", path)(error)),
        }
    }

    /// Gives a temporary file its name; `false` when that name is taken, which
    /// leaves both as they are.
    pub(super) fn place(
        &mut self,
        temp: &mut Option<TempPath>,
        path: &Path,
    ) -> Result<bool, Error> {
        self.check_held(path)?;
        let Some(from) = temp.take() else {
            return Ok(false);
        };
        match step().and_then(|()| rename_new(&from, path)) {
            Ok(()) => {
                // It has another name now; there is nothing left to remove.
                let _ = from.keep();
                self.touched(path);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                *temp = Some(from);
                Ok(false)
            }
            Err(error) => Err(Error::file("write", path)(error)),
        }
    }

    /// Removes a file; one that is gone already is no error.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Error> {
        match step().and_then(|()| fs::remove_file(path)) {
            Ok(()) => {
                self.touched(path);
                Ok(())
            }
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(Error::file("remove", path)(error)),
        }
    }

    /// Takes over what others changed, to make it durable together.
    pub(super) fn join(&mut self, other: Self) {
        self.folders.extend(other.folders);
    }

    /// Makes everything durable: from here on a power cut takes nothing back.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.folders.iter().try_for_each(|folder| sync(folder))
    }

    fn touched(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.folders.insert(folder.to_owned());
        }
    }
}

/// A synced temporary file beside `path` with these bytes.
pub(super) fn temp_with(path: &Path, bytes: &[u8]) -> Result<TempPath, Error> {
    let mut temp = temp_beside(path)?;
    let write = |file: &mut File| {
        step()?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(temp.as_file_mut()).map_err(Error::file("write", path))?;
    Ok(temp.into_temp_path())
}

/// A synced temporary copy of `source` beside `path`, with the md5 of the bytes
/// that were kept.
pub(super) fn temp_copy(source: &Path, path: &Path) -> Result<(TempPath, Md5), Error> {
    let (mut from, _) = open(source).map_err(Error::file("read", source))?;
    let mut temp = temp_beside(path)?;
    let mut context = md5::Context::new();
    let mut block = vec![0; 1 << 18];
    loop {
        let n = from.read(&mut block).map_err(Error::file("read", source))?;
        if n == 0 {
            break;
        }
        context.consume(&block[..n]);
        temp.as_file_mut()
            .write_all(&block[..n])
            .map_err(Error::file("write", path))?;
    }
    let file = temp.as_file();
    if let Ok(metadata) = from.metadata()
        && let Ok(modified) = metadata.modified()
    {
        // The time is a courtesy: file systems that refuse it lose nothing we need.
        let _ = file.set_modified(modified);
    }
    file.sync_all().map_err(Error::file("write", path))?;
    Ok((temp.into_temp_path(), Md5(context.finalize().0)))
}

/// A second name of `source` beside `path`, its bytes synced and hashed; `None`
/// when the file systems differ or know no hard links.
pub(super) fn temp_link(source: &Path, path: &Path) -> Result<Option<(TempPath, Md5)>, Error> {
    let folder = make_folder_of(path)?;
    let name = format!(
        "{TEMP_PREFIX}{}{TEMP_SUFFIX}",
        uuid::Uuid::new_v4().simple()
    );
    let temp = folder.join(name);
    // The source must be a regular file, which a link to it would not tell.
    let (file, _) = open(source).map_err(Error::file("read", source))?;
    if fs::hard_link(source, &temp).is_err() {
        return Ok(None);
    }
    let temp = TempPath::try_from_path(temp).map_err(Error::file("link", path))?;
    file.sync_all().map_err(Error::file("sync", source))?;
    let md5 = md5_of_file(&temp, &mut || true)?;
    Ok(md5.map(|md5| (temp, md5)))
}

fn temp_beside(path: &Path) -> Result<NamedTempFile, Error> {
    let folder = make_folder_of(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The default would hide sidecars from everybody else; the umask still applies.
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder
        .tempfile_in(&folder)
        .map_err(Error::file("write into", &folder))
}

/// Creates the folder of a path where it is missing, durably.
fn make_folder_of(path: &Path) -> Result<PathBuf, Error> {
    make_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Creates a folder where it is missing, durably.
pub(super) fn make_folder(folder: &Path) -> Result<PathBuf, Error> {
    if !folder.is_dir() {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| !folder.is_dir())
            .collect();
        step()
            .and_then(|()| fs::create_dir_all(folder))
            .map_err(Error::file("create folder", folder))?;
        for made in missing {
            if let Some(parent) = made.parent() {
                sync(parent)?;
            }
        }
    }
    Ok(folder.to_owned())
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), Error> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    match File::open(folder).and_then(|opened| opened.sync_all()) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
            ) =>
        {
            Err(Error::file("sync folder", folder)(error))
        }
        // Some file systems cannot sync a folder; a folder that is gone needs no sync.
        _ => Ok(()),
    }
}

/// Swaps the names of two files, so that what was replaced can be looked at.
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(io::Error::from)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (a, b);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether a file system, or a system, has no such call.
fn cannot(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// Every change of a file passes here, so that tests can let the machine die before
/// any of them.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(super) fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use fault::step;

#[cfg(test)]
pub(super) mod fault {
    //! A machine that dies: after so many steps no file changes any more on this
    //! thread.

    use std::{cell::Cell, io};

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::storage) fn step() -> io::Result<()> {
        TAKEN.set(TAKEN.get() + 1);
        match LEFT.get() {
            Some(0) => Err(io::Error::other("the machine died")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Runs with a machine that dies after so many steps; says how many were taken.
    pub(in crate::storage) fn dying_after<T>(steps: usize, run: impl FnOnce() -> T) -> (T, usize) {
        TAKEN.set(0);
        LEFT.set(Some(steps));
        let result = run();
        LEFT.set(None);
        (result, TAKEN.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn equal_bytes_are_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/x.json");
        let mut writes = Writes::default();
        assert!(writes.replace(&path, b"one").unwrap());
        let before = stat(&path).unwrap();
        assert!(!writes.replace(&path, b"one").unwrap());
        assert_eq!(stat(&path).unwrap(), before);
        assert!(writes.replace(&path, b"two").unwrap());
        writes.finish().unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().0, b"two");
        assert_eq!(names(path.parent().unwrap()), ["x.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut writes = Writes::default();
        writes.replace(&path, b"one").unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        writes.replace(&path, b"two").unwrap();
        assert_eq!(mode(), 0o640);
    }

    #[test]
    fn a_taken_name_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut writes = Writes::default();
        writes.replace(&path, b"mine").unwrap();
        let mut temp = Some(temp_with(&path, b"other").unwrap());
        assert!(!writes.place(&mut temp, &path).unwrap());
        assert!(temp.is_some());
        assert!(writes.place(&mut temp, &dir.path().join("y")).unwrap());
        assert!(writes.rename(&path, &dir.path().join("y")).is_err());
        assert_eq!(read(&path, 10).unwrap().unwrap().0, b"mine");
        drop(temp);
        assert_eq!(names(dir.path()), ["x", "y"]);
    }

    #[test]
    fn copies_and_links_know_their_md5() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        Writes::default().replace(&source, b"bytes").unwrap();
        let target = dir.path().join("target");
        let (_, copied) = temp_copy(&source, &target).unwrap();
        let (_, linked) = temp_link(&source, &target).unwrap().unwrap();
        assert_eq!(copied, md5_of(b"bytes"));
        assert_eq!(linked, copied);
        assert_eq!(names(dir.path()), ["source"], "temporary files are removed");
        assert!(is_leftover(".tagloupe-abc.tmp") && !is_leftover(".tagloupeignore"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(read(&link, 10).is_err());
        assert_eq!(stat(&link).unwrap(), None);
        assert!(open(dir.path()).is_err());
    }
}
