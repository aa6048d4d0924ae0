//! The door: whether a file is there, at rest, and not known yet; and where those
//! go that may not come in.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    super::{
        companion::Companions,
        decode::{DecodeError, probe},
        event::IngestOutcome,
        hashing::md5_file,
    },
    Shared,
    commit::{clear_source, stays},
    metadata,
    queue::Item,
    run::End,
};
use crate::{
    model::{
        catalog::Change,
        entry::Entry,
        id::{Md5, MediaId, MediaKey},
    },
    storage::{Error, LayoutKind, Library, Md5Lock, Tombstone, Transfer},
};

/// How long one attempt at the door's lock lasts before a stop is noticed.
const LOCK_STEP: Duration = Duration::from_millis(250);

/// A pause before another try where nothing better is known.
const PAUSE: Duration = Duration::from_millis(500);

/// What tells a file from one that was changed or put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    pub fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    pub fn of(path: &Path) -> io::Result<Self> {
        path.symlink_metadata().map(|metadata| Self::new(&metadata))
    }
}

/// A file that may come in, and the lock that keeps its equals out.
pub(super) struct Admitted {
    pub md5: Md5,
    pub stamp: Stamp,
    pub lock: Md5Lock,
}

pub(super) fn enter(shared: &Shared, item: &Item, how: Transfer) -> Result<Admitted, End> {
    let path = item.path.as_path();
    let stamp = regular_file(shared, item).map_err(|refusal| match refusal {
        Refusal::Io(error) => unreadable(&error),
        Refusal::End(end) => end,
    })?;
    check_place(shared, path)?;
    let format = match probe(path) {
        Ok(probe) => probe.format,
        Err(DecodeError::Io { source, .. }) => return Err(unreadable(&source)),
        Err(error) => {
            let now = crate::model::entry::format_time((shared.settings.clock)());
            let companions = super::super::companion::gather(path, &now);
            return Err(reject(shared, path, how, &companions, &error.reason()));
        }
    };
    let (md5, bytes) = md5_file(path, &shared.stop).map_err(|error| {
        if error.kind() == io::ErrorKind::Interrupted {
            End::Outcome(IngestOutcome::Cancelled)
        } else {
            unreadable(&error)
        }
    })?;
    if bytes != stamp.bytes {
        return Err(growing(shared));
    }
    check_unchanged(path, &stamp)?;
    let lock = take_lock(shared, item, &md5)?;
    check_index(shared)?;
    enter_filed(shared, &md5, format.extension());
    if let Some(known) = find_known(shared, &md5, bytes, path).map_err(|e| storage_end(&e))? {
        return Err(match known {
            Known::Same(twin) => {
                // Merging takes the lock of the sidecar; the answer is in the index.
                drop(lock);
                duplicate(shared, item, how, &stamp, md5, twin)
            }
            Known::Collides(name) => {
                drop(lock);
                let reason = format!("has the md5 of {name} but other bytes");
                reject(shared, path, how, &Companions::default(), &reason)
            }
        });
    }
    if !(shared.settings.takes_purged || item.submission.takes_purged)
        && let Some(stone) = (shared.parts.library.tombstone(&md5)).map_err(|e| storage_end(&e))?
    {
        drop(lock);
        return Err(refuse(shared, path, how, &stone));
    }
    // Another process may have moved it while this one waited for the lock.
    match Stamp::of(path) {
        Ok(now) if now == stamp => Ok(Admitted { md5, stamp, lock }),
        Ok(_) => Err(growing(shared)),
        Err(error) => Err(unreadable(&error)),
    }
}

enum Refusal {
    Io(io::Error),
    End(End),
}

/// The stamp of a regular file at rest.
fn regular_file(shared: &Shared, item: &Item) -> Result<Stamp, Refusal> {
    let metadata = item.path.symlink_metadata().map_err(Refusal::Io)?;
    let refuse = |reason: &str| Err(Refusal::End(End::failed(reason)));
    if metadata.is_symlink() {
        return refuse("is a symbolic link");
    }
    if !metadata.is_file() {
        return refuse("is not a regular file");
    }
    if metadata.len() > shared.settings.max_bytes {
        return refuse("is larger than a picture can be");
    }
    let settle = i64::try_from(shared.settings.settle.as_secs()).unwrap_or(i64::MAX);
    let age = (shared.settings.clock)().saturating_sub(metadata.mtime());
    // A watcher has seen for itself that the file is at rest. A time in the future
    // says nothing.
    if !item.submission.is_watched && (0..settle).contains(&age) {
        return Err(Refusal::End(End::Later {
            reason: "was written to just now".to_owned(),
            pause: Duration::from_secs((settle - age).unsigned_abs()),
        }));
    }
    Ok(Stamp::new(&metadata))
}

/// What lies in the library is not taken in a second time, except from its ingest
/// and quarantine folders.
fn check_place(shared: &Shared, path: &Path) -> Result<(), End> {
    let library = &shared.parts.library;
    let real = path.canonicalize().map_err(|error| unreadable(&error))?;
    let root = library
        .root()
        .canonicalize()
        .unwrap_or_else(|_| library.root().to_owned());
    if !real.starts_with(&root) {
        return Ok(());
    }
    let layout = library.layout();
    for folder in [layout.ingest(), layout.quarantine()] {
        if folder
            .canonicalize()
            .is_ok_and(|folder| real.starts_with(folder))
        {
            return Ok(());
        }
    }
    Err(End::failed(
        "lies in the library already; `rebuild` finds what is not indexed",
    ))
}

/// Where files keep their names only a whole index knows what is known. With names
/// made of md5s the files themselves do.
fn check_index(shared: &Shared) -> Result<(), End> {
    let library = &shared.parts.library;
    if library.kind() == LayoutKind::Bucketed || library.is_indexed() {
        return Ok(());
    }
    Err(End::Later {
        reason: "the index is not complete yet".to_owned(),
        pause: PAUSE,
    })
}

/// Another host may have filed it a moment ago, of which this index has not heard.
/// Where names are made of md5s the file itself tells.
fn enter_filed(shared: &Shared, md5: &Md5, extension: &str) {
    let library = &shared.parts.library;
    let folder = match library.kind() {
        LayoutKind::Bucketed => format!("images/{}", md5.bucket()),
        LayoutKind::Flat => "images".to_owned(),
        LayoutKind::InPlace => return,
    };
    if !shared.has_others() {
        return;
    }
    let path = format!("{folder}/{md5}.{extension}");
    if let Err(error) = library.enter_filed(&[path]) {
        // A store finds the file, too.
        tracing::debug!("what another host filed is not seen: {}", error.chain());
    }
}

fn take_lock(shared: &Shared, item: &Item, md5: &Md5) -> Result<Md5Lock, End> {
    let started = Instant::now();
    let mut step = Duration::ZERO;
    loop {
        match shared.parts.library.lock_md5(md5, step) {
            Ok(lock) => return Ok(lock),
            Err(Error::Locked { .. }) => {}
            Err(error) => return Err(storage_end(&error)),
        }
        // It may be our own committer that holds it, waiting for more to commit.
        shared.committer.hurry();
        step = LOCK_STEP;
        if shared.stop.is_cancelled() || item.submission.cancel.is_cancelled() {
            return Err(End::Outcome(IngestOutcome::Cancelled));
        }
        if started.elapsed() > shared.settings.lock_timeout {
            return Err(End::Later {
                reason: "another process holds its lock".to_owned(),
                pause: PAUSE,
            });
        }
    }
}

enum Known {
    /// A medium has the same bytes.
    Same(Twin),
    /// The name of a medium with the same md5 and other bytes.
    Collides(String),
}

struct Twin {
    key: MediaKey,
    id: MediaId,
    name: String,
}

fn find_known(shared: &Shared, md5: &Md5, bytes: u64, path: &Path) -> Result<Option<Known>, Error> {
    let library = &shared.parts.library;
    let mut collides = None;
    let by_md5 = library
        .find_md5(md5)?
        .into_iter()
        .map(|(key, _)| (key, true));
    let by_size = library
        .find_size(bytes)?
        .into_iter()
        .map(|key| (key, false));
    for (key, has_md5) in by_md5.chain(by_size) {
        let Some(entry) = library.entry(key)? else {
            continue;
        };
        let original = library.original_path(&entry.path);
        let name = known_name(library, &entry);
        match same_bytes(path, &original) {
            Ok(true) => {
                let id = entry.id;
                return Ok(Some(Known::Same(Twin { key, id, name })));
            }
            Ok(false) if has_md5 => collides = Some(Known::Collides(name)),
            // An original that is gone is nobody's duplicate; and a source that is
            // gone was taken by another process, which the caller sees next.
            Ok(false) | Err(_) => {}
        }
    }
    Ok(collides)
}

/// What its owner calls a medium: its name, else that of the file it came from.
fn known_name(library: &Library, entry: &Entry) -> String {
    if !entry.name.is_empty() {
        return entry.name.clone();
    }
    let sidecar = library.read_sidecar(entry.key).ok();
    sidecar
        .and_then(|sidecar| Some(sidecar.media.fact("original_name")?.to_owned()))
        .unwrap_or_else(|| entry.file_name().to_owned())
}

/// Whether two files hold the same bytes.
fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (size, other_size) = (one.metadata()?.len(), other.metadata()?.len());
    if size != other_size {
        return Ok(false);
    }
    let mut left = vec![0; 64 * 1024];
    let mut right = vec![0; 64 * 1024];
    let mut rest = size;
    while rest > 0 {
        let step = usize::try_from(rest).unwrap_or(usize::MAX).min(left.len());
        one.read_exact(&mut left[..step])?;
        other.read_exact(&mut right[..step])?;
        if left[..step] != right[..step] {
            return Ok(false);
        }
        rest -= step as u64;
    }
    Ok(true)
}

/// Another host may have been let in, when this process stood still for long.
pub(super) fn check_held(admitted: &Admitted) -> Result<(), End> {
    if admitted.lock.still_held() {
        return Ok(());
    }
    Err(End::Later {
        reason: "its lock passed to another host".to_owned(),
        pause: PAUSE,
    })
}

/// Merges what came with a duplicate into the medium we have; then it may go.
fn duplicate(
    shared: &Shared,
    item: &Item,
    how: Transfer,
    stamp: &Stamp,
    md5: Md5,
    twin: Twin,
) -> End {
    let (mut media, companions) = metadata::collect(shared, &item.path);
    // Facts and hashes are those of the one we have.
    media.hashes = crate::model::media::Hashes::default();
    let now = (shared.settings.clock)();
    let library = &shared.parts.library;
    let operation = item.operation(library);
    let writing = shared.parts.catalog.while_writing();
    let written = match library.merge_duplicate(&operation, twin.key, &media, now) {
        Ok(written) => written,
        Err(error) => return storage_end(&error),
    };
    if let Some(warning) = &written.warning {
        tracing::warn!("{}: {warning}", item.path.display());
    }
    let after = written.entry.tags.len();
    if written.is_changed {
        shared.parts.catalog.apply(&[Change::Upsert(written.entry)]);
    }
    drop(writing);
    if how == Transfer::Move
        && let Err(problem) = clear_source(shared, &item.path, stamp, &md5, &companions)
    {
        return End::Outcome(stays(&problem));
    }
    library.finish(&operation);
    tracing::info!("{} is a duplicate of {}", item.path.display(), twin.id);
    End::Outcome(IngestOutcome::Duplicate {
        key: twin.key,
        of: twin.id,
        of_name: twin.name,
        merged_tags: after.saturating_sub(written.tags_before),
    })
}

/// Where a file goes that is broken or no picture: with move to the quarantine, its
/// companions with it; otherwise it stays where it is.
pub(super) fn reject(
    shared: &Shared,
    path: &Path,
    how: Transfer,
    companions: &Companions,
    reason: &str,
) -> End {
    if how != Transfer::Move {
        return End::failed(reason);
    }
    let now = (shared.settings.clock)();
    let files = &companions.files;
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let library = &shared.parts.library;
    match library.quarantine(path, &paths, how, reason, now) {
        Ok(_) => End::Outcome(IngestOutcome::Quarantined {
            reason: reason.to_owned(),
        }),
        Err(error) => End::failed(format!("{reason}; {}", error.chain())),
    }
}

/// Keeps out what was thrown away for good. It is not deleted: whoever put it there
/// may have had a reason.
fn refuse(shared: &Shared, path: &Path, how: Transfer, stone: &Tombstone) -> End {
    let when = stone.at.split('T').next().unwrap_or_default();
    let why = if stone.reason.is_empty() {
        String::new()
    } else {
        format!(" ({})", stone.reason)
    };
    let reason = format!("was thrown away for good on {when}{why}; ingest --force takes it");
    match reject(shared, path, how, &Companions::default(), &reason) {
        End::Outcome(IngestOutcome::Failed { reason } | IngestOutcome::Quarantined { reason }) => {
            End::Outcome(IngestOutcome::Refused { reason })
        }
        end => end,
    }
}

/// The file cannot be read, or is there no more.
pub(super) fn unreadable(error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::NotFound {
        End::failed("is gone")
    } else {
        End::failed(format!("cannot read it: {error}"))
    }
}

pub(super) fn check_unchanged(path: &Path, stamp: &Stamp) -> Result<(), End> {
    match Stamp::of(path) {
        Ok(now) if now == *stamp => Ok(()),
        Ok(_) => Err(End::Later {
            reason: "is still being written".to_owned(),
            pause: PAUSE,
        }),
        Err(error) => Err(unreadable(&error)),
    }
}

fn growing(shared: &Shared) -> End {
    End::Later {
        reason: "is still being written".to_owned(),
        pause: shared.settings.settle.max(PAUSE),
    }
}

/// A storage failure as the end of one file.
pub(super) fn storage_end(error: &Error) -> End {
    match error {
        // Held by another process, changed since it was hashed, or just stored.
        Error::Locked { .. }
        | Error::Superseded { .. }
        | Error::WrongBytes { .. }
        | Error::AlreadyStored(_) => End::Later {
            reason: error.chain(),
            pause: PAUSE,
        },
        Error::Cancelled => End::Outcome(IngestOutcome::Cancelled),
        _ => End::failed(error.chain()),
    }
}
