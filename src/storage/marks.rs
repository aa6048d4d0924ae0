//! The re-index mark: paths of media whose files were written but whose index
//! rows could not be. One path a line in a file beside the index, appended and
//! synced; a mark that cannot even be written is kept in memory.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{error::Error, index::beside};

const MARKED: &str = "reindex";

/// The marks of one index.
#[derive(Debug)]
pub(super) struct Marks {
    file: PathBuf,
    /// The marks that are being worked off; they count until that has succeeded.
    taken: PathBuf,
    /// The marks of better indexes that could not be used this time.
    others: Vec<PathBuf>,
    unwritten: Mutex<BTreeSet<String>>,
}

impl Marks {
    /// Marks for the index with this path. `others` are better indexes that are
    /// there and could not be used.
    pub(super) fn new(index: &Path, others: &[PathBuf]) -> Self {
        Self {
            file: beside(index, MARKED),
            taken: beside(index, "reindexing"),
            others: others.iter().map(|other| beside(other, MARKED)).collect(),
            unwritten: Mutex::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unwritten().is_empty() && !self.file.exists() && !self.taken.exists()
    }

    /// Marks paths; says whether the marks survive this process.
    pub(super) fn add<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> bool {
        let paths: Vec<&str> = paths.into_iter().collect();
        let is_written = append(&self.file, &paths).is_ok();
        if !is_written {
            self.unwritten()
                .extend(paths.into_iter().map(str::to_owned));
        }
        is_written
    }

    /// Tells the indexes that are there and could not be used this time what they
    /// miss. One that cannot even be told finds out by the times of the files.
    pub(super) fn tell_others<'a>(&self, paths: impl Iterator<Item = &'a str>) {
        if self.others.is_empty() {
            return;
        }
        let paths: Vec<&str> = paths.collect();
        for other in &self.others {
            if let Err(error) = append(other, &paths) {
                tracing::warn!("an index that is not in use: {}", error.chain());
            }
        }
    }

    /// All marked paths. They stay marked until [`Marks::done`].
    pub(super) fn take(&self) -> Result<BTreeSet<String>, Error> {
        let mut paths = self.unwritten().clone();
        paths.extend(lines(&self.taken)?);
        let fresh = lines(&self.file)?;
        if !fresh.is_empty() {
            paths.extend(fresh);
            let all: Vec<&str> = paths.iter().map(String::as_str).collect();
            append(&self.taken, &all)?;
            fs::remove_file(&self.file).map_err(Error::file("remove", &self.file))?;
        }
        Ok(paths)
    }

    /// Forgets what [`Marks::take`] gave.
    pub(super) fn done(&self, paths: &BTreeSet<String>) -> Result<(), Error> {
        self.unwritten().retain(|path| !paths.contains(path));
        match fs::remove_file(&self.taken) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &self.taken)(error))
            }
            _ => Ok(()),
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn append(file: &Path, paths: &[&str]) -> Result<(), Error> {
    let mut text = paths.join("\n");
    text.push('\n');
    let write = || {
        let mut opened = File::options().create(true).append(true).open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    };
    write().map_err(Error::file("write", file))
}

fn lines(file: &Path) -> Result<Vec<String>, Error> {
    match fs::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines = text.lines().filter(|line| !line.is_empty());
            Ok(lines.map(str::to_owned).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("read", file)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_until_they_are_worked_off() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Marks::new(&dir.path().join("library.db"), &[]);
        let marks = open();
        assert!(marks.is_empty());
        assert!(marks.add(["a", "b"]));
        assert_eq!(marks.take().unwrap().len(), 2);
        let again = open();
        assert!(!again.is_empty(), "taken is not done");
        again.add(["c"]);
        let taken = again.take().unwrap();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        again.done(&BTreeSet::new()).unwrap();
        assert!(again.is_empty());
    }

    #[test]
    fn what_cannot_be_written_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(&dir.path().join("no/library.db"), &[]);
        assert!(!marks.add(["a"]));
        assert!(!marks.is_empty());
        let taken = marks.take().unwrap();
        marks.done(&taken).unwrap();
        assert!(marks.is_empty());
    }

    #[test]
    fn an_index_that_was_passed_over_learns_what_it_missed() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("library.db");
        let marks = Marks::new(&dir.path().join("other.db"), std::slice::from_ref(&usual));
        marks.tell_others(["a"].into_iter());
        assert!(marks.is_empty());
        let taken = Marks::new(&usual, &[]).take().unwrap();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
