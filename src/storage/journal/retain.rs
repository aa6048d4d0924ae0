//! How long journals are kept, and what they hold: whole files go, oldest first, and
//! never one in which anything is unsaved or unfinished.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    super::{
        error::Error,
        files::{self, Writes},
    },
    is_open, paths,
    read::{Records, State},
};

/// What was done longer ago than this cannot be undone any more.
const KEEP_SECONDS: i64 = 90 * 86_400;
/// All files together are not kept larger than this.
const KEEP_BYTES: u64 = 200 << 20;

/// What the journals of a library hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalSurvey {
    pub files: usize,
    pub bytes: u64,
    /// When the oldest was written to last, in seconds since 1970.
    pub oldest: Option<i64>,
    /// Operations that were begun and not finished, by processes that are gone.
    pub unfinished: usize,
    /// Unsaved edits of sessions that are gone.
    pub unsaved: usize,
}

/// A journal file as it lies there.
struct Kept {
    path: PathBuf,
    bytes: u64,
    modified: i64,
}

/// Drops files that are too old or too many; says how many.
pub(in crate::storage) fn trim(folder: &Path, now: i64) -> Result<usize, Error> {
    trim_to(folder, KEEP_BYTES, now)
}

fn trim_to(folder: &Path, keep_bytes: u64, now: i64) -> Result<usize, Error> {
    let mut kept = list(folder)?;
    kept.sort_by_key(|file| file.modified);
    let mut bytes: u64 = kept.iter().map(|file| file.bytes).sum();
    let mut writes = Writes::default();
    let mut dropped = 0;
    for file in kept {
        let is_old = now.saturating_sub(file.modified) > KEEP_SECONDS;
        if !is_old && bytes <= keep_bytes {
            break;
        }
        if is_open(&file.path) || has_open(&file.path)? {
            continue;
        }
        writes.remove(&file.path)?;
        bytes -= file.bytes;
        dropped += 1;
    }
    writes.finish()?;
    Ok(dropped)
}

pub(in crate::storage) fn survey(folder: &Path) -> Result<JournalSurvey, Error> {
    let mut survey = JournalSurvey::default();
    for file in list(folder)? {
        survey.files += 1;
        survey.bytes += file.bytes;
        survey.oldest = Some(survey.oldest.unwrap_or(i64::MAX).min(file.modified));
        // What a living process has open is its own affair.
        if !is_open(&file.path) || is_held(&file.path) {
            continue;
        }
        for record in Records::read_file(&file.path)?.0 {
            match record.state {
                State::Begun => survey.unfinished += 1,
                State::Pending => survey.unsaved += 1,
                State::Done | State::Discarded => {}
            }
        }
    }
    Ok(survey)
}

fn list(folder: &Path) -> Result<Vec<Kept>, Error> {
    let mut kept = Vec::new();
    for path in paths(folder)? {
        // One that another process closed or dropped at this moment is no longer there.
        if let Some(stat) = files::stat(&path)? {
            let (bytes, modified) = (stat.bytes, stat.modified());
            kept.push(Kept {
                path,
                bytes,
                modified,
            });
        }
    }
    Ok(kept)
}

/// A closed file has nothing open, unless somebody renamed it by hand.
fn has_open(path: &Path) -> Result<bool, Error> {
    let records = Records::read_file(path)?.0;
    let is_open = |state| matches!(state, State::Begun | State::Pending);
    Ok(records.iter().any(|record| is_open(record.state)))
}

fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock_shared().is_err())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    const DAY: u64 = 86_400;

    /// A journal file with this text, last written so many days after 1970.
    fn put(folder: &Path, name: &str, text: &str, day: u64) {
        let path = folder.join(name);
        Writes::default().replace(&path, text.as_bytes()).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(day * DAY);
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn line(op: u128, state: &str) -> String {
        format!("{{\"op\":\"{op:032x}\",\"state\":\"{state}\"}}\n")
    }

    #[test]
    fn old_files_go_whole_but_for_those_with_something_open() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let done = line(1, "begin") + &line(1, "done");
        put(folder, "a.jsonl", &done, 1);
        put(folder, "b.jsonl", &(line(2, "begin") + &line(3, "done")), 2);
        put(folder, "c.jsonl", &line(4, "pending"), 3);
        put(folder, "d.open", &done, 4);
        put(folder, "e.jsonl", &done, 9);
        put(folder, "f.jsonl", "half a li", 200);
        let now = |day: i64| day * 86_400;
        assert_eq!(trim(folder, now(50)).unwrap(), 0);
        assert_eq!(trim(folder, now(98)).unwrap(), 1);
        assert_eq!(
            names(folder),
            ["b.jsonl", "c.jsonl", "d.open", "e.jsonl", "f.jsonl"]
        );
        assert_eq!(trim(folder, now(205)).unwrap(), 1);
        assert_eq!(names(folder), ["b.jsonl", "c.jsonl", "d.open", "f.jsonl"]);
        // A clock before all of them drops nothing.
        assert_eq!(trim(folder, 0).unwrap(), 0);
        assert_eq!(trim(&folder.join("none"), 0).unwrap(), 0);
    }

    #[test]
    fn of_too_many_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let done = line(1, "begin") + &line(1, "done");
        for n in 1..=5 {
            put(dir.path(), &format!("{n}.jsonl"), &done, n);
        }
        let bytes = u64::try_from(done.len()).unwrap();
        assert_eq!(trim_to(dir.path(), 3 * bytes, 86_400 * 6).unwrap(), 2);
        assert_eq!(names(dir.path()), ["3.jsonl", "4.jsonl", "5.jsonl"]);
    }

    #[test]
    fn what_was_left_open_is_counted_unless_its_owner_lives() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert_eq!(
            survey(&folder.join("none")).unwrap(),
            JournalSurvey::default()
        );
        let text = line(1, "begin")
            + &line(1, "part")
            + &line(1, "done")
            + &line(2, "begin")
            + &line(3, "pending")
            + &line(4, "pending")
            + &line(4, "discarded")
            + "{\"op\":\"5\",\"sta";
        put(folder, "desk-1-a.open", &text, 3);
        put(folder, "desk-2-b.jsonl", &line(7, "done"), 2);
        let found = survey(folder).unwrap();
        assert_eq!((found.files, found.oldest), (2, Some(2 * 86_400)));
        assert_eq!((found.unfinished, found.unsaved), (1, 1));
        let owner = File::options()
            .append(true)
            .open(folder.join("desk-1-a.open"))
            .unwrap();
        owner.lock().unwrap();
        let found = survey(folder).unwrap();
        assert_eq!((found.files, found.unfinished, found.unsaved), (2, 0, 0));
    }
}
