//! A library from its backup.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{BATCH, BackupProgress, FILES, manifest::Manifest};
use crate::storage::{
    error::Error,
    files::{self, Writes},
    layout::{Layout, LayoutKind},
    md5_lock,
};

/// What shows that a folder is one into which a backup is being restored.
const MARK: &str = ".tagloupe-restoring";

/// What a restoration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// The library's name.
    pub name: String,
    pub restored: u64,
    pub restored_bytes: u64,
    /// When the backup was finished, as RFC 3339; empty when it never was.
    pub at: String,
    /// The last run of the backup was interrupted: what it holds is of two times.
    pub is_partial: bool,
    /// What is damaged or missing in the backup, or could not be written.
    pub failed: Vec<(PathBuf, String)>,
    pub is_cancelled: bool,
}

/// Copies a backup into a new or empty folder, and compares every file with its md5.
/// An interrupted one goes on.
pub fn restore(
    backup: &Path,
    into: &Path,
    on: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<RestoreReport, Error> {
    let manifest =
        Manifest::read(backup)?.ok_or_else(|| Error::library(backup, "holds no backup"))?;
    let kind = LayoutKind::from_word(&manifest.header.layout)
        .ok_or_else(|| Error::library(backup, "does not say how its library is laid out"))?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::file("find", path));
    if absolute(into)?.starts_with(absolute(backup)?) {
        return Err(Error::library(into, "is inside the backup"));
    }
    prepare(into)?;
    let target = Layout::new(into.to_owned(), kind);
    let source = Layout::new(backup.join(FILES), kind);
    let _alone = md5_lock::lock_library(&target.locks(), Duration::ZERO)?;
    let mut report = RestoreReport {
        name: manifest.header.name,
        at: manifest.header.at,
        is_partial: manifest.is_partial,
        ..RestoreReport::default()
    };
    // What makes the folder a library comes last.
    let mut files: Vec<_> = manifest.files.into_iter().collect();
    let library_file = target.relative(&target.library_file());
    files.sort_by_key(|(path, _)| Some(path) == library_file.as_ref());
    let total = u64::try_from(files.len()).unwrap_or(u64::MAX);
    let mut writes = Writes::default();
    for (done, (path, kept)) in files.iter().enumerate() {
        let progress = BackupProgress {
            done: u64::try_from(done).unwrap_or(u64::MAX),
            total,
        };
        if on(progress).is_break() {
            writes.finish()?;
            report.is_cancelled = true;
            return Ok(report);
        }
        let outcome = match (source.resolve(path), target.resolve(path)) {
            (Some(from), Some(to)) => restore_one(&from, &to, &kept.md5, &mut writes),
            _ => Err(Error::library(
                backup,
                format!("names {path:?}, which is no path"),
            )),
        };
        match outcome {
            Ok(()) => {
                report.restored += 1;
                report.restored_bytes += kept.bytes;
            }
            Err(error) if files::is_full(&error) => return Err(error),
            Err(error) => report
                .failed
                .push((source.root().join(path), error.chain())),
        }
        if done % BATCH == BATCH - 1 {
            std::mem::take(&mut writes).finish()?;
        }
    }
    writes.finish()?;
    let mut writes = Writes::default();
    writes.remove(&into.join(MARK))?;
    writes.finish()?;
    Ok(report)
}

/// Makes the folder, or sees that it is one of an interrupted restoration.
fn prepare(into: &Path) -> Result<(), Error> {
    let mark = into.join(MARK);
    if files::stat(&mark)?.is_some() {
        return Ok(());
    }
    fs::create_dir_all(into).map_err(Error::file("create folder", into))?;
    let mut entries = fs::read_dir(into).map_err(Error::file("list", into))?;
    if entries.next().is_some() {
        return Err(Error::library(into, "is not empty"));
    }
    let mut writes = Writes::default();
    writes.replace(&mark, b"A backup is being restored into this folder.\n")?;
    writes.finish()
}

fn restore_one(from: &Path, to: &Path, md5: &str, writes: &mut Writes) -> Result<(), Error> {
    let wrong = |found: String| {
        Err(Error::WrongBytes {
            path: from.to_owned(),
            expected: md5.to_owned(),
            found,
        })
    };
    if files::stat(to)?.is_some() {
        // Of a run before this one.
        return match files::md5_of_file(to, &mut || true)? {
            Some(found) if found.to_string() == md5 => Ok(()),
            _ => Err(Error::library(to, "is there with other bytes")),
        };
    }
    let (temp, found) = files::temp_copy(from, to)?;
    if found.to_string() != md5 {
        return wrong(found.to_string());
    }
    if writes.place(&mut Some(temp), to)? {
        Ok(())
    } else {
        Err(Error::library(to, "was made by somebody else just now"))
    }
}
