//! Media whose sidecar names no md5, as flat and in-place libraries have them: their
//! originals are read, those first that may have a twin, and what they are is noted
//! in the index. Stopped at any file, the next run goes on where this one was.
//!
//! Before that the words are indexed which a rebuild left for later.

use std::{
    collections::HashMap,
    io,
    ops::ControlFlow,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    Core, Engine,
    catalog_store::CatalogStore,
    hashing::md5_file,
    job::{Cancel, JobId, Progress, lock, step_back},
};
use crate::{
    model::{
        catalog::Change,
        id::{Md5, MediaKey},
    },
    storage::{Error, Library, Unhashed},
};

/// How often what was found is noted: each time the searches on the screen run again.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Media that are read and noted at once.
const STEP: usize = 1_000;

/// How far the hashing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashProgress {
    pub done: u64,
    pub total: u64,
    /// Files that could not be read.
    pub errors: u64,
}

/// What the hashing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashReport {
    /// Media that have an md5 now.
    pub hashed: u64,
    /// Files that could not be read, or changed meanwhile.
    pub left: u64,
    pub is_cancelled: bool,
}

/// Hashes what has no md5; with `twins_only` just files of whose size there are
/// several, which is all that can be duplicates. `on` hears of every file before it
/// is read; `cancel` works also in the middle of a large one.
///
/// # Errors
/// When the index cannot be read or written.
pub fn hash(
    library: &Library,
    store: &CatalogStore,
    twins_only: bool,
    cancel: &Cancel,
    on: &mut dyn FnMut(HashProgress) -> ControlFlow<()>,
) -> Result<HashReport, Error> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let keys = library.unhashed_keys(twins_only)?;
    let mut progress = HashProgress {
        total: count(keys.len()),
        ..HashProgress::default()
    };
    let mut report = HashReport::default();
    let mut found: Vec<(Unhashed, Md5)> = Vec::new();
    let mut noted = Instant::now();
    let note = |found: &mut Vec<(Unhashed, Md5)>| -> Result<u64, Error> {
        let mut noted = 0;
        // A medium takes kilobytes while it is entered.
        for found in found.chunks(STEP) {
            let entries = library.note_md5(found)?;
            let changes: Vec<Change> = entries.into_iter().map(Change::Upsert).collect();
            store.apply(&changes);
            noted += count(changes.len());
        }
        found.clear();
        Ok(noted)
    };
    'steps: for (step, keys) in keys.chunks(STEP).enumerate() {
        // What somebody hashed meanwhile is not among them.
        let files = library.unhashed(keys)?;
        progress.done = count(step * STEP + keys.len() - files.len());
        for file in files {
            if cancel.is_cancelled() || on(progress).is_break() {
                report.is_cancelled = true;
                break 'steps;
            }
            match md5_of(library, &file, cancel) {
                Ok(Some(md5)) => found.push((file, md5)),
                // It changed since it was indexed: whoever indexes it again sees to it.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    report.is_cancelled = true;
                    break 'steps;
                }
                Err(error) => {
                    tracing::info!("cannot hash {}: {error}", file.path);
                    progress.errors += 1;
                }
            }
            progress.done += 1;
            if noted.elapsed() >= NOTE_EVERY {
                report.hashed += note(&mut found)?;
                noted = Instant::now();
            }
        }
    }
    report.hashed += note(&mut found)?;
    report.left = progress.total - report.hashed;
    on(progress).is_break();
    Ok(report)
}

/// The md5 of a file that is as the index noted it, before and after it was read.
fn md5_of(library: &Library, file: &Unhashed, cancel: &Cancel) -> io::Result<Option<Md5>> {
    if !library.is_as_noted(file) {
        return Ok(None);
    }
    let (md5, bytes) = md5_file(&library.original_path(&file.path), cancel)?;
    Ok((bytes == file.bytes && library.is_as_noted(file)).then_some(md5))
}

impl Engine {
    /// From now on hashes originals whose md5 nobody knows in the background, as
    /// [`Engine::start_catalog`] does by itself.
    pub fn start_hashing(&self) {
        let core = &self.core;
        core.hashes
            .store(core.settings.hashes_found, Ordering::Release);
        core.wake_hashing();
    }

    /// Hashes the originals that may have a twin and whose md5 nobody knows, and
    /// waits: after that [`Engine::exact_duplicates`] knows all of them.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn hash_twins_now(
        &self,
        on: &mut dyn FnMut(HashProgress) -> ControlFlow<()>,
    ) -> Result<HashReport, Error> {
        let core = &self.core;
        hash(&core.library, &core.catalog, true, &Cancel::default(), on)
    }
}

impl Core {
    pub(super) fn wake_hashing(&self) {
        if self.hashes.load(Ordering::Acquire) && self.library.is_indexed() {
            self.unhashed.put(());
        }
    }

    /// Hashes what has no md5, each time that somebody says that there may be some.
    pub(super) fn hash_unhashed(&self) {
        step_back();
        while self.unhashed.take().is_some() {
            // Somebody else does it for all.
            let Ok(_only_one) = self.library.lock_hashing() else {
                continue;
            };
            let (job, cancel) = (JobId::next(), Cancel::default());
            lock(&self.jobs).insert(job, cancel.clone());
            // Asked for and shut down in the same moment.
            if self.stop.wait(Duration::ZERO) {
                cancel.cancel();
            }
            self.supply_words(&cancel);
            self.hash_once(job, &cancel);
            lock(&self.jobs).remove(&job);
        }
    }

    /// Hashes those of some media that have no md5; returns why some cannot be read,
    /// which stay without.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub(super) fn hash_these(
        &self,
        keys: &[MediaKey],
        cancel: &Cancel,
    ) -> Result<HashMap<MediaKey, String>, String> {
        let failed = |error: Error| error.chain();
        let mut found = Vec::new();
        let mut unreadable = HashMap::new();
        for file in self.library.unhashed(keys).map_err(failed)? {
            match md5_of(&self.library, &file, cancel) {
                Ok(Some(md5)) => found.push((file, md5)),
                Ok(None) => {}
                Err(error) => {
                    unreadable.insert(file.key, error.to_string());
                }
            }
        }
        let entries = self.library.note_md5(&found).map_err(failed)?;
        let changes: Vec<Change> = entries.into_iter().map(Change::Upsert).collect();
        self.catalog.apply(&changes);
        Ok(unreadable)
    }

    /// Indexes the words that a rebuild left for later, so that who asks for a text need
    /// not wait for them.
    fn supply_words(&self, cancel: &Cancel) {
        while !cancel.is_cancelled() {
            match self.library.supply_words() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::info!("words stay for later: {}", error.chain());
                    return;
                }
            }
        }
    }

    fn hash_once(&self, job: JobId, cancel: &Cancel) {
        let label = "hashing originals";
        let mut progress = Progress::new(job, label);
        let hashed = hash(&self.library, &self.catalog, false, cancel, &mut |step| {
            progress.done = step.done;
            progress.total = Some(step.total);
            progress.errors = step.errors;
            self.events.progress(progress.clone());
            ControlFlow::Continue(())
        });
        match hashed {
            Ok(report) if report.is_cancelled => {
                self.hashes.store(false, Ordering::Release);
                let text = "stopped; the next start goes on".to_owned();
                self.events.done(job, label, Ok(text));
            }
            Ok(report) if report.hashed > 0 => {
                let text = format!("{} have their md5 now", report.hashed);
                self.events.done(job, label, Ok(text));
            }
            Ok(_) => self.events.end_progress(job),
            Err(error) => self.events.done(job, label, Err(error.chain())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, path::Path};

    use super::*;
    use crate::storage::LayoutKind;

    fn put(path: &Path, text: &str) {
        fs::File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn library(root: &Path, files: &[(&str, &str)]) -> Library {
        for (name, text) in files {
            put(&root.join(name), text);
        }
        let library = Library::create(root, LayoutKind::InPlace, "Test").unwrap();
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        library
    }

    fn run(library: &Library, twins_only: bool) -> HashReport {
        let store = CatalogStore::default();
        let goes_on = &mut |_: HashProgress| ControlFlow::Continue(());
        hash(library, &store, twins_only, &Cancel::default(), goes_on).unwrap()
    }

    fn known(library: &Library, text: &str) -> usize {
        let md5 = Md5(md5::compute(text).0);
        library.find_md5(&md5).unwrap().len()
    }

    #[test]
    fn twins_come_first_and_nothing_is_written_beside_the_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("a.png", "one"),
            ("b.png", "longer"),
            ("c.png", "one"),
            ("d.png", "two"),
        ];
        let library = library(dir.path(), &files);
        let keys = library.unhashed_keys(false).unwrap();
        let unhashed = library.unhashed(&keys).unwrap();
        let order: Vec<&str> = unhashed.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(order, ["a.png", "c.png", "d.png", "b.png"]);
        let report = run(&library, true);
        assert_eq!((report.hashed, report.left), (3, 0));
        assert_eq!((known(&library, "one"), known(&library, "two")), (2, 1));
        assert_eq!(known(&library, "longer"), 0);
        assert_eq!(run(&library, false).hashed, 1);
        assert_eq!(known(&library, "longer"), 1);
        assert_eq!(run(&library, false), HashReport::default());
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".tagloupe", "a.png", "b.png", "c.png", "d.png"]);
    }

    #[test]
    fn what_was_noted_survives_a_rebuild_and_not_a_change_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let library = library(dir.path(), &[("a.png", "one"), ("b.png", "two")]);
        assert_eq!(run(&library, false).hashed, 2);
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((known(&library, "one"), known(&library, "two")), (1, 1));

        put(&dir.path().join("b.png"), "three");
        library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((known(&library, "one"), known(&library, "two")), (1, 0));
        assert_eq!(known(&library, "three"), 0);
        assert_eq!(run(&library, false).hashed, 1);
        assert_eq!(known(&library, "three"), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_or_changed_is_left_and_a_stopped_run_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a.png", "one"), ("b.png", "two"), ("c.png", "six")];
        let library = library(dir.path(), &files);
        fs::remove_file(dir.path().join("a.png")).unwrap();
        put(&dir.path().join("b.png"), "changed");
        let report = run(&library, false);
        assert_eq!((report.hashed, report.left), (1, 2));
        assert_eq!(known(&library, "six"), 1);

        put(&dir.path().join("d.png"), "ten");
        library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
        let stops_after_one = &mut |progress: HashProgress| match progress.done {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let store = CatalogStore::default();
        let cancel = Cancel::default();
        let report = hash(&library, &store, false, &cancel, stops_after_one).unwrap();
        assert!(report.is_cancelled);
        assert_eq!((report.hashed, report.left), (1, 1));
        assert_eq!(run(&library, false).hashed, 1);
    }
}
