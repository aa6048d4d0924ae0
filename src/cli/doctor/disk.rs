//! Whether the file system of a library keeps what this program relies on: writing,
//! locks, syncing, room; and whether anything was left half done.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{Report, State};
use crate::{
    cli::output::counted,
    engine::JournalSurvey,
    model::{entry::format_time, text::human_bytes},
};

const AREA: &str = "disk";
/// With less room than this the next ingest may not fit.
const ENOUGH_BYTES: u64 = 256 << 20;
/// Each medium is three files and their thumbnails.
const ENOUGH_INODES: u64 = 10_000;

/// Looks at the folder that holds what is ours.
pub(super) fn check(report: &mut Report, home: &Path) {
    check_space(report, home);
    let probe = match tempfile::NamedTempFile::with_prefix_in(".doctor.", home) {
        Ok(probe) => probe,
        Err(error) => {
            let (value, fix) = if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
                ("the file system is read-only".to_owned(), READ_ONLY)
            } else {
                (error.to_string(), NO_RIGHT)
            };
            report.add_with_fix(AREA, "writing", State::Wrong, value, fix);
            return;
        }
    };
    report.add(AREA, "writing", State::Good, "files can be made");
    match try_locks(probe.path()) {
        Ok(()) => report.add(
            AREA,
            "locks",
            State::Good,
            "a lock that is held is refused to others",
        ),
        Err(error) => report.add_with_fix(
            AREA,
            "locks",
            State::Wrong,
            error.to_string(),
            "use the library from one program at a time, or move it to a local disk",
        ),
    }
    match try_sync(probe.as_file(), home) {
        Ok(()) => report.add(
            AREA,
            "syncing",
            State::Good,
            "files and folders can be made durable",
        ),
        Err(error) => report.add_with_fix(
            AREA,
            "syncing",
            State::Wrong,
            error.to_string(),
            "a power cut may take back what was saved last; keep a backup elsewhere",
        ),
    }
}

const READ_ONLY: &str = "mount it for writing; until then the library can only be looked at, with an index in your \
     cache folder";
const NO_RIGHT: &str =
    "give yourself the right to write there; until then it can only be looked at";

/// Takes one lock twice, through two open files: the second must be refused while
/// the first is held, and granted after it.
fn try_locks(path: &Path) -> io::Result<()> {
    let open = || File::options().read(true).write(true).open(path);
    let (one, other) = (open()?, open()?);
    one.try_lock().map_err(io::Error::from)?;
    match other.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {}
        Err(fs::TryLockError::Error(error)) => return Err(error),
        Ok(()) => return Err(io::Error::other("locks have no effect on this file system")),
    }
    drop(one);
    other.try_lock().map_err(io::Error::from)
}

fn try_sync(file: &File, folder: &Path) -> io::Result<()> {
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn check_space(report: &mut Report, home: &Path) {
    let Ok(found) = rustix::fs::statvfs(home) else {
        return;
    };
    let bytes = found.f_bavail.saturating_mul(found.f_frsize);
    let value = format!("{} free", human_bytes(bytes));
    if bytes < ENOUGH_BYTES {
        let fix = "make room: tagloupe trash empty --older-than 30, tagloupe cache clear";
        report.add_with_fix(AREA, "space", State::Wrong, value, fix);
    } else {
        report.add(AREA, "space", State::Good, value);
    }
    // Some file systems have no fixed number of files, and say 0.
    if found.f_files > 0 {
        let value = format!("room for {} more", found.f_favail);
        if found.f_favail < ENOUGH_INODES {
            let fix = "each picture takes about five files: remove others, or move the library";
            report.add_with_fix(AREA, "files", State::Wrong, value, fix);
        } else {
            report.add(AREA, "files", State::Good, value);
        }
    }
}

/// What the journals hold, and what nobody will finish any more.
pub(super) fn check_journals(report: &mut Report, survey: &JournalSurvey) {
    let held = format!(
        "{}, {}",
        counted(survey.files, "file", "files"),
        human_bytes(survey.bytes)
    );
    let since = survey.oldest.map(format_time);
    let since = since.map_or_else(String::new, |at| format!(", back to {}", &at[..10]));
    if survey.unfinished > 0 {
        report.add_with_fix(
            AREA,
            "journal",
            State::Wrong,
            format!("{held}; {} begun and not finished", survey.unfinished),
            "tagloupe recover, or open the library: what a crash left is finished at every start",
        );
    } else {
        let value = format!("{held}{since}; nothing was left half done");
        report.add(AREA, "journal", State::Good, value);
    }
    if survey.unsaved > 0 {
        report.add_with_fix(
            AREA,
            "unsaved edits",
            State::Note,
            format!("{} of sessions that ended without saving", survey.unsaved),
            "open the library on the screen, which offers them",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(report: &Report) -> Vec<(&str, &str)> {
        let checks = report.0.iter();
        checks
            .map(|check| (check.name.as_str(), check.state.word()))
            .collect()
    }

    #[test]
    fn a_folder_that_can_be_written_is_told_from_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::default();
        check(&mut report, folder.path());
        for name in ["writing", "locks", "syncing"] {
            assert!(states(&report).contains(&(name, "ok")), "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut report = Report::default();
        check(&mut report, &folder.path().join("gone"));
        assert!(states(&report).contains(&("writing", "wrong")));
    }
}
