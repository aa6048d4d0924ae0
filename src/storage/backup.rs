//! Copies of everything that cannot be made again, in a folder elsewhere, and the
//! way back.
//!
//! A backup is `files/` with the library's own paths, `manifest.jsonl` with what each
//! file was, and `old/<date>/` with what changed or vanished since.
//!
//! Invariants: nothing in a backup is ever overwritten or removed, only moved to
//! `old/`; a file is in the manifest only when its bytes are durable.

mod manifest;
mod restore;
mod sources;

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    error::Error,
    files::{self, Stat, Writes},
    layout::Layout,
    md5_lock,
    shelf::Shelf,
};
use crate::model::{entry::format_time, id::Md5};
use manifest::{Header, Kept, Manifest, Progress};
use sources::{Source, Sources};

pub use restore::{RestoreReport, restore};

/// Where the files are.
const FILES: &str = "files";
/// Where those go that changed or vanished.
const OLD: &str = "old";
/// Files that are made durable together.
const BATCH: usize = 128;
/// Attempts at a file that changes while it is copied.
const MAX_ATTEMPTS: u32 = 3;
/// What a disk needs besides the bytes of files: manifest, folders, rounding up.
const SPARE_BYTES: u64 = 16 << 20;
/// The same for each file.
const SPARE_BYTES_PER_FILE: u64 = 4096;

/// How far a backup, or its restoration, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    pub done: u64,
    pub total: u64,
}

/// What a backup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    pub copied: u64,
    pub copied_bytes: u64,
    /// Were there already.
    pub unchanged: u64,
    /// Older versions and vanished files that went to `old/`.
    pub kept_old: u64,
    /// Where they are.
    pub old: Option<PathBuf>,
    /// Library-relative paths of files whose bytes changed while size and time did
    /// not: rot, or a program that hides what it does. The version before is in `old/`.
    pub silently_changed: Vec<String>,
    /// Copies that had rotted in the backup, and were made again.
    pub damaged_copies: Vec<String>,
    /// What could not be copied, with the reason.
    pub failed: Vec<(PathBuf, String)>,
    /// It went on with one that was interrupted.
    pub is_continued: bool,
    pub is_cancelled: bool,
}

/// Brings the backup in a folder up to date. With `verify` the bytes of all files on
/// both sides are compared, not only sizes and times.
pub(super) fn run(
    shelf: &Shelf,
    target: &Path,
    verify: bool,
    now: i64,
    on: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<BackupReport, Error> {
    check_place(&shelf.layout, target)?;
    let before = open(target)?;
    let identity = &shelf.identity;
    let header = Header::new(
        &identity.id,
        &identity.name,
        shelf.layout.kind().as_str(),
        String::new(),
    );
    if let Some(before) = &before
        && !is_same_library(&before.header, &header)
    {
        let problem = format!("is a backup of another library, {}", before.header.name);
        return Err(Error::library(target, problem));
    }
    fs::create_dir_all(target).map_err(Error::file("create folder", target))?;
    let lock = md5_lock::try_lock_file(&target.join("backup.lock"));
    let _only_one = lock.map_err(|error| match error {
        Error::Locked { .. } => Error::library(target, "is being written by another backup"),
        error => error,
    })?;
    let sources = sources::list(&shelf.layout);
    let mut report = BackupReport {
        is_continued: before.as_ref().is_some_and(|before| before.is_partial),
        failed: sources.errors.clone(),
        ..BackupReport::default()
    };
    let known = before.map(|before| before.files).unwrap_or_default();
    check_space(target, &sources, &known)?;
    let mut keeper = Keeper {
        layout: &shelf.layout,
        target,
        old: old_folder(target, now)?,
        progress: Progress::begin(target, &header)?,
        writes: Writes::default(),
        waiting: 0,
        known,
        verify,
    };
    let total = u64::try_from(sources.files.len()).unwrap_or(u64::MAX);
    for (done, source) in sources.files.iter().enumerate() {
        let done = u64::try_from(done).unwrap_or(u64::MAX);
        if on(BackupProgress { done, total }).is_break() {
            keeper.settle()?;
            report.is_cancelled = true;
            return Ok(report);
        }
        if let Err(error) = keeper.keep(source, &mut report) {
            if files::is_full(&error) {
                keeper.settle()?;
                return Err(error);
            }
            let path = shelf.layout.root().join(&source.path);
            report.failed.push((path, error.chain()));
        }
    }
    keeper.put_away_vanished(&sources, &mut report)?;
    keeper.settle()?;
    if report.kept_old > 0 {
        report.old = Some(keeper.old);
    }
    Manifest {
        header: Header {
            at: format_time(now),
            ..header
        },
        files: keeper.known,
        is_partial: false,
    }
    .write(target)?;
    Ok(report)
}

/// The manifest of the backup in a folder; `None` where one can begin.
fn open(target: &Path) -> Result<Option<Manifest>, Error> {
    if let Some(manifest) = Manifest::read(target)? {
        return Ok(Some(manifest));
    }
    let is_ours = |name: &std::ffi::OsStr| name == "backup.lock";
    match fs::read_dir(target) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(Error::file("list", target))?;
                let name = entry.file_name();
                if !is_ours(&name) && !files::is_leftover(&name.to_string_lossy()) {
                    return Err(Error::library(target, "is not empty and holds no backup"));
                }
            }
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("list", target)(error)),
    }
}

/// A library without an id of its own is known by its path, which may change.
fn is_same_library(one: &Header, other: &Header) -> bool {
    let is_by_path = |header: &Header| header.library_id.starts_with("path-");
    one.library_id == other.library_id
        || is_by_path(one) && is_by_path(other) && one.name == other.name
}

/// A backup inside the library would be part of the next one, and the other way
/// round.
fn check_place(layout: &Layout, target: &Path) -> Result<(), Error> {
    let absolute = std::path::absolute(target).map_err(Error::file("find", target))?;
    let existing = absolute.ancestors().find(|folder| folder.exists());
    let real = existing
        .and_then(|folder| {
            let rest = absolute.strip_prefix(folder).ok()?;
            Some(folder.canonicalize().ok()?.join(rest))
        })
        .unwrap_or(absolute);
    let own = layout.own_folders();
    let elsewhere = own.iter().filter_map(|folder| folder.canonicalize().ok());
    for folder in elsewhere.chain([layout.root().to_owned()]) {
        if real.starts_with(&folder) {
            return Err(Error::library(target, "is inside the library"));
        }
        if folder.starts_with(&real) {
            return Err(Error::library(target, "has the library inside"));
        }
    }
    Ok(())
}

/// Whether what is new or changed fits, before the first byte is written.
fn check_space(
    target: &Path,
    sources: &Sources,
    known: &BTreeMap<String, Kept>,
) -> Result<(), Error> {
    let new = sources.files.iter().filter(|source| {
        known
            .get(&source.path)
            .is_none_or(|kept| !is_same(kept, source.stat))
    });
    let needed: u64 = new
        .map(|source| source.stat.bytes.saturating_add(SPARE_BYTES_PER_FILE))
        .fold(SPARE_BYTES, u64::saturating_add);
    let Some(free) = files::free_bytes(target) else {
        return Ok(());
    };
    if free < needed {
        let size = crate::model::text::human_bytes;
        let problem = format!("has {} free, and {} are needed", size(free), size(needed));
        return Err(Error::library(target, problem));
    }
    Ok(())
}

fn is_same(kept: &Kept, stat: Stat) -> bool {
    kept.bytes == stat.bytes && kept.mtime_ns == stat.modified_ns
}

/// The folder for what this run moves away; it is made with its first file.
fn old_folder(target: &Path, now: i64) -> Result<PathBuf, Error> {
    // File systems of other computers know no colon.
    let date = format_time(now).replace(':', "");
    (1..1000_u32)
        .map(|n| match n {
            1 => target.join(OLD).join(&date),
            n => target.join(OLD).join(format!("{date}-{n}")),
        })
        .find(|folder| !folder.exists())
        .ok_or_else(|| Error::library(target, "has no free name for what is old"))
}

/// One run of a backup.
struct Keeper<'l> {
    layout: &'l Layout,
    target: &'l Path,
    old: PathBuf,
    progress: Progress,
    writes: Writes,
    waiting: usize,
    known: BTreeMap<String, Kept>,
    verify: bool,
}

impl Keeper<'_> {
    /// Sees to it that the backup has a file as it is now.
    fn keep(&mut self, source: &Source, report: &mut BackupReport) -> Result<(), Error> {
        let path = self.absolute(self.layout, &source.path)?;
        let copy = self.copy_path(&source.path)?;
        let known = self.known.get(&source.path).cloned();
        let stored = files::stat(&copy)?;
        if let Some(known) = &known
            && is_same(known, source.stat)
            && stored.is_some_and(|stored| stored.bytes == known.bytes)
            && self.is_sound(known, &path, &copy, source, report)?
        {
            report.unchanged += 1;
            return Ok(());
        }
        let Some((temp, kept)) = copy_at_rest(&path, &copy)? else {
            // It went meanwhile; the next run sees that.
            return Ok(());
        };
        if stored.is_some() && known.as_ref().is_some_and(|known| known.md5 == kept.md5) {
            let is_whole = files::md5_of_file(&copy, &mut || true)?;
            if is_whole.is_some_and(|md5| md5.to_string() == kept.md5) {
                // Touched, not changed: the copy that is there is as good.
                report.unchanged += 1;
                return self.note(&source.path, kept);
            }
        }
        if stored.is_some() {
            self.put_away(&source.path, &copy, report)?;
        }
        if !self.writes.place(&mut Some(temp), &copy)? {
            return Err(Error::library(&copy, "was made by somebody else just now"));
        }
        report.copied += 1;
        report.copied_bytes += kept.bytes;
        self.note(&source.path, kept)
    }

    /// With `verify`: whether both sides still have the bytes they had.
    fn is_sound(
        &self,
        known: &Kept,
        path: &Path,
        copy: &Path,
        source: &Source,
        report: &mut BackupReport,
    ) -> Result<bool, Error> {
        if !self.verify {
            return Ok(true);
        }
        let has = |md5: Option<Md5>| md5.is_some_and(|md5| md5.to_string() == known.md5);
        if !has(files::md5_of_file(path, &mut || true)?) {
            report.silently_changed.push(source.path.clone());
            return Ok(false);
        }
        if !has(files::md5_of_file(copy, &mut || true)?) {
            report.damaged_copies.push(source.path.clone());
            return Ok(false);
        }
        Ok(true)
    }

    fn note(&mut self, path: &str, kept: Kept) -> Result<(), Error> {
        self.progress.note(path, Some(&kept))?;
        self.known.insert(path.to_owned(), kept);
        self.step()
    }

    /// Moves a copy out of the way of the next one.
    fn put_away(
        &mut self,
        path: &str,
        copy: &Path,
        report: &mut BackupReport,
    ) -> Result<(), Error> {
        let old = Layout::new(self.old.clone(), self.layout.kind());
        let old = self.absolute(&old, path)?;
        self.writes.rename(copy, &old)?;
        report.kept_old += 1;
        Ok(())
    }

    fn put_away_vanished(
        &mut self,
        sources: &Sources,
        report: &mut BackupReport,
    ) -> Result<(), Error> {
        let is_there = |path: &str| {
            let found = sources
                .files
                .binary_search_by(|source| source.path.as_str().cmp(path));
            found.is_ok() || sources.is_unknown(&self.layout.root().join(path))
        };
        let vanished: Vec<String> = self
            .known
            .keys()
            .filter(|path| !is_there(path))
            .cloned()
            .collect();
        for path in vanished {
            let copy = self.copy_path(&path)?;
            if files::stat(&copy)?.is_some() {
                self.put_away(&path, &copy, report)?;
            }
            self.known.remove(&path);
            self.progress.note(&path, None)?;
            self.step()?;
        }
        Ok(())
    }

    fn copy_path(&self, path: &str) -> Result<PathBuf, Error> {
        let copies = Layout::new(self.target.join(FILES), self.layout.kind());
        self.absolute(&copies, path)
    }

    fn absolute(&self, layout: &Layout, path: &str) -> Result<PathBuf, Error> {
        layout
            .resolve(path)
            .ok_or_else(|| Error::library(self.target, format!("cannot hold {path:?}")))
    }

    fn step(&mut self) -> Result<(), Error> {
        self.waiting += 1;
        if self.waiting < BATCH {
            return Ok(());
        }
        self.settle()
    }

    /// Makes durable what was done, then writes it down.
    fn settle(&mut self) -> Result<(), Error> {
        self.waiting = 0;
        std::mem::take(&mut self.writes).finish()?;
        self.progress.flush()
    }
}

/// A synced temporary copy of a file that did not change meanwhile; `None` for one
/// that is gone.
fn copy_at_rest(path: &Path, copy: &Path) -> Result<Option<(tempfile::TempPath, Kept)>, Error> {
    for _ in 0..MAX_ATTEMPTS {
        let Some(before) = files::stat(path)? else {
            return Ok(None);
        };
        let (temp, md5) = files::temp_copy(path, copy)?;
        if files::stat(path)? == Some(before) {
            let kept = Kept {
                bytes: before.bytes,
                mtime_ns: before.modified_ns,
                md5: md5.to_string(),
            };
            return Ok(Some((temp, kept)));
        }
    }
    Err(Error::library(path, "keeps changing while it is copied"))
}
