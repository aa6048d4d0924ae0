//! What a crash interrupted is finished: an operation that has begun was wanted, and
//! everything that finishing takes was written down before its first file was
//! touched. Unsaved edits are kept for the next session.
//!
//! Invariant: only journals that nobody holds are touched. Finishing changes a field
//! only where it still is as the operation found it, so it may itself be interrupted
//! and start again.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::Duration,
};

use super::{
    change::Work,
    desk::Desk,
    error::Error,
    files::{self, Replaced, Writes},
    journal::{self, Held, Journal, Part, Record, Records, State, StoreItem},
    md5_lock::Purpose,
    path_text::decode,
    requests::{Pending, Recovered, Reverted},
};
use crate::model::{edit::apply_all, id::MediaId, media::Media, operation::Operation};

/// A journal of another host is left alone until nothing was written to it for this
/// long: its lock may not be visible from here.
const LEASE: Duration = Duration::from_mins(10);
/// How long finishing a store waits for a door that someone else holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Media that are changed together.
const BATCH: usize = 256;

/// Finishes the operations of every journal that nobody holds.
pub(super) fn run(desk: &Desk<'_>, now: i64) -> Result<Vec<Recovered>, Error> {
    let mut recovered = Vec::new();
    for path in orphans(desk.journal)? {
        let Some(mut held) = Held::take(&path) else {
            continue;
        };
        let records = Records::read_file(&path)?;
        held.set_open(open(&records).map(|record| record.id).collect());
        for record in open(&records).filter(|record| record.state == State::Begun) {
            let report = finish(desk, record, now);
            if !report.is_unfinished {
                desk.journal.done(record.id)?;
                held.done(record.id)?;
            }
            recovered.push(report);
        }
        held.seal();
    }
    Ok(recovered)
}

/// Tries again what this process could write only in part; operations that are
/// still unfinished then stay so.
pub(super) fn retry(desk: &Desk<'_>, now: i64) -> Result<Vec<Recovered>, Error> {
    let mut recovered = Vec::new();
    for (id, path) in desk.journal.waiting() {
        let records = Records::read_file(&path)?;
        let Some(record) = records.get(id) else {
            continue;
        };
        let report = finish(desk, record, now);
        if !report.is_unfinished {
            desk.journal.finished(id)?;
            recovered.push(report);
        }
    }
    Ok(recovered)
}

/// See [`Library::take_pending`](super::Library::take_pending).
pub(super) fn take_pending(journal: &Journal) -> Result<Vec<Pending>, Error> {
    let mut all = Vec::new();
    for path in orphans(journal)? {
        let Some(mut held) = Held::take(&path) else {
            continue;
        };
        let records = Records::read_file(&path)?;
        held.set_open(open(&records).map(|record| record.id).collect());
        let pending = open(&records).filter(|record| record.state == State::Pending);
        let before = all.len();
        for record in pending {
            all.push(Pending {
                id: record.id,
                action: record.action.clone(),
                at: record.at.clone(),
                changes: journal::changes(&record.files, record.id)?,
            });
        }
        if all.len() > before {
            journal.adopt(held);
        } else {
            held.seal();
        }
    }
    all.sort_by_key(|pending| pending.id);
    Ok(all)
}

/// Journals in use or left by a crash, those of this host and abandoned ones.
fn orphans(journal: &Journal) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut paths = journal::paths(journal.folder())?;
    paths.retain(|path| journal::is_open(path) && !is_leased(path, journal));
    Ok(paths)
}

fn is_leased(path: &Path, journal: &Journal) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(&format!("{}-", journal.file_host())) {
        return false;
    }
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    // The age is told by the clock of the file system where possible; a clock that
    // jumped makes the lease longer, never a live journal ours.
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < LEASE))
}

fn open(records: &Records) -> impl Iterator<Item = &Record> {
    let is_open = |record: &&Record| matches!(record.state, State::Begun | State::Pending);
    records.0.iter().filter(is_open)
}

/// Does what is missing of an operation.
fn finish(desk: &Desk<'_>, record: &Record, now: i64) -> Recovered {
    let mut reverted = Reverted::default();
    let media = match finish_parts(desk, record, now, &mut reverted) {
        Ok(media) => media,
        Err(error) => {
            reverted.left.push(error.chain());
            reverted.is_unfinished = true;
            0
        }
    };
    Recovered {
        action: record.action.clone(),
        at: record.at.clone(),
        media: media + reverted.changed.len() + reverted.removed.len(),
        left: reverted.left,
        is_unfinished: reverted.is_unfinished,
    }
}

/// Says how many media needed something besides those in `reverted`.
fn finish_parts(
    desk: &Desk<'_>,
    record: &Record,
    now: i64,
    reverted: &mut Reverted,
) -> Result<usize, Error> {
    let mut covered: HashMap<MediaId, usize> = HashMap::new();
    let mut media = 0;
    for part in journal::parts(&record.files, record.id)? {
        for id in part.ids() {
            *covered.entry(id.clone()).or_default() += 1;
        }
        match part {
            Part::Edit(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| (item, item.patch.clone()))
                    .collect();
                for items in items.chunks(BATCH) {
                    // The journal has it already, hence no operation to note it for.
                    desk.apply_patches(&[], items, now, reverted);
                }
                let items: Vec<_> = items.into_iter().map(|(item, _)| item.clone()).collect();
                desk.complete_texts(&items)?;
            }
            Part::Move(moves) => desk.carry_out_again(&moves, now, reverted),
            Part::Tags(changes) => desk.apply_lines(None, &changes, now, reverted)?,
            Part::Searches(changes) => desk.change_searches(None, &changes, now, reverted)?,
            Part::Store(items) => {
                for item in &items {
                    match finish_store(desk, item) {
                        Ok(n) => media += n,
                        Err(error) => reverted.fail(&item.path, &error),
                    }
                }
            }
            Part::Purge(items) => {
                for item in &items {
                    match desk.finish_purge(item) {
                        Ok(bytes) => media += usize::from(bytes > 0),
                        Err(error) => reverted.fail(&item.path, &error),
                    }
                }
            }
        }
    }
    let operation = Operation {
        id: record.id,
        action: record.action.clone(),
        group: record.group,
        inverts: record.inverts,
    };
    finish_rest(desk, &operation, record, &covered, now, reverted)?;
    Ok(media)
}

/// What was to be done and is in no part yet: the rest of a bulk edit, or of an undo.
fn finish_rest(
    desk: &Desk<'_>,
    operation: &Operation,
    record: &Record,
    covered: &HashMap<MediaId, usize>,
    now: i64,
    reverted: &mut Reverted,
) -> Result<(), Error> {
    if let Some(inverted) = record.inverts {
        let records = Records::read(desk.journal.folder())?;
        if let Some(inverted) = records.get(inverted) {
            let go_on = &mut |_| std::ops::ControlFlow::Continue(());
            let _ = desk.invert(operation, inverted, covered, now, reverted, go_on)?;
        }
        return Ok(());
    }
    let mut seen: HashSet<&MediaId> = HashSet::new();
    let changes = journal::changes(&record.files, record.id)?;
    for change in &changes {
        let rest: Vec<&MediaId> = change
            .ids
            .iter()
            .filter(|id| !covered.contains_key(id) && seen.insert(id))
            .collect();
        for ids in rest.chunks(BATCH) {
            let mut work = Vec::new();
            for id in ids {
                // One that left the library meanwhile needs no edit.
                let Some(key) = desk.index.key_of(id.as_str())? else {
                    continue;
                };
                let edits = change.edits.clone();
                let apply = move |media: &mut Media| {
                    apply_all(&edits, media);
                };
                work.push(Work {
                    key,
                    steps: vec![(0, Box::new(apply))],
                });
            }
            for outcome in desk.change(std::slice::from_ref(operation), work, now) {
                match outcome {
                    Ok(written) => reverted.changed.push(written.entry),
                    Err(error) => {
                        reverted.is_unfinished |= error.may_pass();
                        reverted.left.push(error.chain());
                    }
                }
            }
        }
    }
    Ok(())
}

/// A picture that was placed gets its sidecar and its row; one that was not is still
/// where it came from. Says how many media needed something.
fn finish_store(desk: &Desk<'_>, item: &StoreItem) -> Result<usize, Error> {
    let _door = desk.shelf.lock(Purpose::Door, &item.md5.0, LOCK_TIMEOUT)?;
    let target = desk.shelf.absolute(&item.path)?;
    if files::stat(&target)?.is_none() {
        return withdraw(desk, item);
    }
    let found = files::md5_of_file(&target, &mut || true)?;
    if found != Some(item.md5.0) {
        return Err(Error::WrongBytes {
            path: target,
            expected: item.md5.0.to_string(),
            found: found.map_or_else(String::new, |md5| md5.to_string()),
        });
    }
    let mut writes = Writes::default();
    let sidecar = desk.shelf.absolute(&item.sidecar)?;
    let mut needed = false;
    if files::stat(&sidecar)?.is_none() {
        needed = writes.replace_expected(&sidecar, item.text.as_bytes(), None)? == Replaced::Yes;
    }
    writes.finish()?;
    let place = desk.index.place_by_path(&item.path)?;
    // One that is known may have been indexed before it had its sidecar.
    if needed || place.is_none() {
        needed = true;
        let loaded = desk.shelf.load(&desk.spot(&item.path)?)?;
        let id = match (place, desk.index.key_of(item.id.as_str())?) {
            (Some(place), _) => place.id,
            (None, None) => item.id.clone(),
            (None, Some(_)) => desk.free_id(&item.path)?,
        };
        desk.enter(&mut [loaded.into_row(id)])?;
    }
    if let Some(source) = &item.source {
        let source = decode(source);
        let source = Path::new(&source);
        let is_same = matches!(files::stat(source), Ok(Some(_)))
            && files::md5_of_file(source, &mut || true)? == Some(item.md5.0);
        if is_same {
            let mut writes = Writes::default();
            writes.remove(source)?;
            writes.finish()?;
        }
    }
    Ok(usize::from(needed))
}

/// A power cut may keep the name of a new sidecar and lose that of its picture: it
/// describes nothing then. It goes if nobody wrote to it since and the picture is
/// still where it came from, so that nothing is known only by it.
fn withdraw(desk: &Desk<'_>, item: &StoreItem) -> Result<usize, Error> {
    let has_source = match &item.source {
        Some(source) => files::stat(Path::new(&decode(source)))?.is_some(),
        None => true,
    };
    let _lock = desk.lock_sidecar(&item.id)?;
    let sidecar = desk.shelf.absolute(&item.sidecar)?;
    let is_as_written = files::read(&sidecar, item.text.len())?
        .is_some_and(|(bytes, _)| bytes == item.text.as_bytes());
    if !item.is_new || !has_source || !is_as_written {
        return Ok(0);
    }
    let mut writes = Writes::default();
    writes.remove(&sidecar)?;
    writes.finish()?;
    if let Some(place) = desk.index.place_by_path(&item.path)? {
        desk.forget(&[place])?;
    }
    Ok(0)
}

/// What became of one operation, for the report of a start.
impl std::fmt::Display for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let media = match self.media {
            0 => "everything was in place".to_owned(),
            1 => "1 medium".to_owned(),
            n => format!("{n} media"),
        };
        if self.is_unfinished {
            write!(f, "not finished yet: {}", self.action)?;
        } else {
            write!(f, "finished what was interrupted: {}, {media}", self.action)?;
        }
        match self.left.as_slice() {
            [] => Ok(()),
            [only] => write!(f, "; left alone: {only}"),
            [first, rest @ ..] => {
                write!(f, "; left alone: {first}, and {} more", rest.len())
            }
        }
    }
}
