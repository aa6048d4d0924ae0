//! Moving files to names that are free, also to another disk.

use std::{fs, io, path::Path};

use super::{Writes, make_folder_of, md5_of_file, step, sync, temp_copy};
use crate::storage::error::Error;

/// Whether two files are on different file systems, so that a move from one to the
/// other can be cut off with both there.
pub(in crate::storage) fn are_on_two_disks(one: &Path, other: &Path) -> Result<bool, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| {
        let found = fs::symlink_metadata(path).map_err(Error::file("examine", path));
        found.map(|metadata| metadata.dev())
    };
    Ok(device(one)? != device(other)?)
}

impl Writes {
    /// Moves a file to a name that is free, in another folder of the same library,
    /// which may be on another disk.
    pub(in crate::storage) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        make_folder_of(to)?;
        match step().and_then(|()| rename_new(from, to)) {
            Ok(()) => {
                self.touched(from);
                self.touched(to);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.carry_over(from, to)
            }
            Err(error) => Err(Error::file("move", from)(error)),
        }
    }

    /// Moves a file to another file system: a copy of it, whole and durable, has the
    /// new name before the old one goes.
    fn carry_over(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let (temp, _) = temp_copy(from, to)?;
        let found = fs::symlink_metadata(from).map_err(Error::file("examine", from))?;
        fs::set_permissions(&temp, found.permissions())
            .map_err(Error::file("set permissions of", &temp))?;
        if !self.place(&mut Some(temp), to)? {
            return Err(Error::file("move", from)(
                io::ErrorKind::AlreadyExists.into(),
            ));
        }
        if self.finish_carrying(from, to)? {
            return Ok(());
        }
        self.remove(to)?;
        Err(Error::library(from, "changed while it was moved"))
    }

    /// Ends a move to another file system whose copy has its name: the old name goes.
    /// `false`, and nothing is done, unless both hold the same bytes.
    pub(in crate::storage) fn finish_carrying(
        &mut self,
        from: &Path,
        to: &Path,
    ) -> Result<bool, Error> {
        let copied = md5_of_file(to, &mut || true)?;
        if copied.is_none() || md5_of_file(from, &mut || true)? != copied {
            return Ok(false);
        }
        sync(to.parent().unwrap_or(Path::new("/")))?;
        self.remove(from)?;
        Ok(true)
    }
}

/// A rename that never replaces.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            renamed => return renamed.map_err(io::Error::from),
        }
    }
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(in crate::storage) mod disks {
    //! Another disk than the one that tests work on.

    use std::path::Path;

    /// A folder on another file system than that one.
    pub(in crate::storage) fn elsewhere(than: &Path) -> tempfile::TempDir {
        ["/dev/shm", "/tmp", "/var/tmp", "/run"]
            .iter()
            .filter_map(|place| tempfile::tempdir_in(place).ok())
            .find(|folder| super::are_on_two_disks(folder.path(), than).unwrap())
            .expect("a second file system, as /dev/shm is one")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::{
        super::{read, stat, tests::names},
        *,
    };

    #[test]
    fn a_move_to_another_disk_keeps_what_a_rename_keeps_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = disks::elsewhere(dir.path());
        let (from, to) = (dir.path().join("x"), elsewhere.path().join("deep/x"));
        let mut writes = Writes::default();
        writes.replace(&from, b"mine").unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o640)).unwrap();
        let before = stat(&from).unwrap();
        writes.rename(&from, &to).unwrap();
        assert_eq!(stat(&to).unwrap(), before);
        let mode = fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(names(dir.path()).is_empty());

        writes.replace(&from, b"other").unwrap();
        assert!(writes.rename(&from, &to).is_err());
        assert_eq!(read(&to, 10).unwrap().unwrap().0, b"mine");
        assert_eq!(read(&from, 10).unwrap().unwrap().0, b"other");
        // As a cut leaves it, were they the same.
        assert!(!writes.finish_carrying(&from, &to).unwrap());
        writes.replace(&from, b"mine").unwrap();
        assert!(writes.finish_carrying(&from, &to).unwrap());
        assert_eq!(names(to.parent().unwrap()), ["x"]);
        assert!(names(dir.path()).is_empty());
    }
}
