//! The index from the files: scan, read in parallel, write in steps.

use std::{ops::ControlFlow, sync::mpsc, thread};

use super::{
    error::Error,
    files,
    index::{Index, Many, Row},
    marks::Marks,
    md5_lock, parallel,
    requests::{RebuildProgress, RebuildSummary},
    scan,
    scan_list::{Found, FoundMedia},
    shelf::Shelf,
};
use crate::model::{id::MediaKey, sidecar::Sidecar};

/// Media per transaction: what a cancelled rebuild loses at most.
const STEP: usize = 1_000;
/// Where a rebuild that was stopped goes on: the path it finished last.
const CURSOR: &str = "rebuild_cursor";

/// Which media are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All; goes on where the last one stopped.
    All,
    /// Those whose files have another size or time than the index noted.
    Changed,
}

/// Brings the index to what the files say.
pub(super) fn run(
    shelf: &Shelf,
    index: &Index,
    marks: &Marks,
    extent: Extent,
    on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
) -> Result<RebuildSummary, Error> {
    let images = shelf.layout.images();
    if images.is_symlink() && !images.is_dir() {
        // Not that all of it is gone: nothing is known of what is there.
        let problem = "leads to a folder that is not there; mount its disk and try again";
        return Err(Error::library(&images, problem));
    }
    let _only_one = md5_lock::try_lock_file(&index.companion("rebuild"))?;
    let mut progress = RebuildProgress::default();
    let scanned = scan::scan(&shelf.layout, &mut |found| {
        on(RebuildProgress {
            total: count(found),
            ..progress
        })
    });
    let mut summary = RebuildSummary::default();
    let scan = match scanned {
        Ok(scan) => scan,
        Err(Error::Cancelled) => {
            summary.is_cancelled = true;
            return Ok(summary);
        }
        Err(error) => return Err(error),
    };
    scan::sweep(&shelf.layout, &scan.leftovers);
    if extent == Extent::All {
        scan::sweep(&shelf.layout, &scan::leftovers_elsewhere(&shelf.layout));
    }
    summary.links = scan.links;
    summary.errors = scan.errors;
    progress.errors = count(summary.errors.len());
    progress.total = count(scan.found.len());

    // Places among those that were found: they are unpacked when their turn comes.
    let wanted: Vec<usize> = match extent {
        Extent::All => {
            // What an earlier run finished is passed over.
            let cursor = index.setting(CURSOR)?;
            index.forget_words()?;
            let done = cursor.map_or(0, |cursor| scan.found.up_to(&cursor));
            progress.done = count(done);
            (done..scan.found.len()).collect()
        }
        Extent::Changed => {
            let mut looked_at = 0;
            let changed = changed(shelf, index, &scan.found, &mut || {
                looked_at += 1;
                progress.done = looked_at * count(STEP);
                on(progress)
            })?;
            let Some(changed) = changed else {
                summary.is_cancelled = true;
                return Ok(summary);
            };
            progress.done = progress.total - count(changed.len());
            changed
        }
    };
    let is_new = index.is_empty()?;
    let first = wanted.first().and_then(|place| scan.found.path(*place));
    let first = first.unwrap_or_default();
    let mut many = index.begin_many(!index.knows_path_from(first)?)?;
    let (wanted, media) = (&wanted, &scan.found);
    let written = index.in_bulk(is_new, || {
        // The next step is read while this one is written.
        thread::scope(|scope| {
            let (send, steps) = mpsc::sync_channel(1);
            scope.spawn(move || {
                for step in wanted.chunks(STEP) {
                    let found = step.iter().filter_map(|place| media.get(*place));
                    let found: Vec<Found> = found.collect();
                    let read = parallel::map(&found, |found| read_one(shelf, found));
                    let read: Vec<Read> = found.into_iter().zip(read).collect();
                    if send.send((step, read)).is_err() {
                        return;
                    }
                }
            });
            for (step, read) in steps {
                let last = step.last().filter(|_| extent == Extent::All);
                let last = last.and_then(|place| media.path(*place));
                let cursor = last.map(|path| (CURSOR, path));
                commit(shelf, index, marks, &mut many, read, cursor, &mut summary)?;
                progress.read += count(step.len());
                progress.done += count(step.len());
                progress.errors = count(summary.errors.len());
                if on(progress).is_break() {
                    summary.is_cancelled = true;
                    break;
                }
            }
            Ok(())
        })
    });
    written?;
    if summary.is_cancelled {
        return Ok(summary);
    }

    let gone = if is_new && many.is_alone() {
        // There was nothing, and nobody added anything.
        Vec::new()
    } else {
        gone(shelf, index, &scan.found)?
    };
    summary.removed = count(gone.len());
    if !gone.is_empty() {
        index.depart(&gone)?;
    }
    if extent == Extent::All && !is_new {
        index.drop_unused_tags()?;
    }
    index.complete()?;
    Ok(summary)
}

/// The places of those that the index does not know as they are; `on` hears of every
/// step, and `None` is that it stopped this.
fn changed(
    shelf: &Shelf,
    index: &Index,
    media: &FoundMedia,
    on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Vec<usize>>, Error> {
    let mut wanted = Vec::new();
    let mut next = 0;
    let mut looked_at = 0;
    let is_whole = index.each_place(&mut |place| {
        let new = next;
        next += media.between(next, &place.path);
        wanted.extend(new..next);
        if media.path(next) == Some(&place.path) {
            let known = media.get(next);
            let known = known.filter(|known| known.id == place.id);
            if known.is_none_or(|known| !is_unchanged(shelf, &known, &place)) {
                wanted.push(next);
            }
            next += 1;
        }
        looked_at += 1;
        if looked_at % STEP == 0 {
            on()
        } else {
            ControlFlow::Continue(())
        }
    })?;
    wanted.extend(next..media.len());
    Ok(is_whole.then_some(wanted))
}

/// What the index knows and is not there any more. Folders that could not be listed
/// say nothing about what is in them, and what came in after the scan is still there.
fn gone(shelf: &Shelf, index: &Index, media: &FoundMedia) -> Result<Vec<MediaKey>, Error> {
    let mut gone = Vec::new();
    let mut next = 0;
    index.each_place(&mut |place| {
        next += media.between(next, &place.path);
        let is_found = media.path(next) == Some(&place.path);
        let mut paths = [Some(&place.path), place.sidecar.as_ref()]
            .into_iter()
            .flatten();
        if !is_found && paths.all(|path| is_absent(shelf, path)) {
            gone.push(place.key);
        }
        ControlFlow::Continue(())
    })?;
    Ok(gone)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn is_absent(shelf: &Shelf, path: &str) -> bool {
    let path = shelf.layout.resolve(path);
    path.is_none_or(|path| matches!(files::stat(&path), Ok(None)))
}

fn is_unchanged(shelf: &Shelf, found: &Found, place: &super::index::Place) -> bool {
    let stat = |path: &str| {
        let path = shelf.layout.resolve(path)?;
        files::stat(&path).ok()?
    };
    let original = stat(&found.spot.path);
    let same_original = match original {
        Some(stat) => {
            !place.is_missing && stat.bytes == place.bytes && stat.modified() == place.modified
        }
        None => place.is_missing,
    };
    let same_sidecar = match (&place.sidecar, place.stamp) {
        (None, _) => found.spot.sidecars.is_empty(),
        (Some(path), Some(stamp)) => {
            found.spot.sidecars.contains(path)
                && stat(path).is_some_and(|stat| {
                    stat.bytes == stamp.bytes && stat.modified_ns == stamp.modified_ns
                })
        }
        (Some(_), None) => false,
    };
    same_original && same_sidecar
}

/// A medium as read: its row, or the reason why there is none.
type Read = (Found, (Option<Row>, Option<Error>));

fn read_one(shelf: &Shelf, found: &Found) -> (Option<Row>, Option<Error>) {
    load(shelf, found).unwrap_or_else(|problem| (None, Some(problem)))
}

/// The row of a found medium; none for a JSON file that is no sidecar.
pub(super) fn load(shelf: &Shelf, found: &Found) -> Result<(Option<Row>, Option<Error>), Error> {
    let mut loaded = if found.is_orphan {
        shelf.load(&found.spot)?
    } else {
        shelf.load_for_index(&found.spot)?
    };
    let problem = loaded.problem.take();
    let is_stray =
        found.is_orphan && (problem.is_some() || !Sidecar::is_surely_own(&loaded.sidecar.document));
    if is_stray || loaded.is_gone() {
        return Ok((None, None));
    }
    Ok((Some(loaded.into_row(found.id.clone())), problem))
}

fn commit(
    shelf: &Shelf,
    index: &Index,
    marks: &Marks,
    many: &mut Many,
    read: Vec<Read>,
    cursor: Option<(&str, &str)>,
    summary: &mut RebuildSummary,
) -> Result<(), Error> {
    let mut found = Vec::with_capacity(read.len());
    let mut rows = Vec::with_capacity(read.len());
    for (medium, (row, problem)) in read {
        if let Some(problem) = problem {
            let path = shelf.layout.root().join(&medium.spot.path);
            summary.errors.push((path, problem.chain()));
            if problem.may_pass() {
                // What could not be read this time is read again; a mark that cannot
                // be kept leaves it to the next rebuild.
                let _ = marks.add([medium.spot.path.as_str()]);
            }
        }
        if let Some(row) = row {
            summary.media += 1;
            summary.without_sidecar += u64::from(!row.facts.has_sidecar);
            summary.missing_originals += u64::from(row.facts.is_missing);
            found.push(medium);
            rows.push(row);
        }
    }
    index.enter_many(many, &mut rows, cursor, &mut |place, row| {
        // Another writer may have changed the sidecar since it was read.
        if !is_current(shelf, row)
            && let Some(found) = found.get(place)
            && let Ok((Some(fresh), _)) = load(shelf, found)
        {
            *row = fresh;
        }
    })?;
    let given_back = rows.iter().filter(|row| row.is_given_back);
    summary
        .given_back
        .extend(given_back.map(|row| shelf.layout.root().join(&row.facts.path)));
    Ok(())
}

/// Whether the sidecar on disk is still the one a row was read from.
pub(super) fn is_current(shelf: &Shelf, row: &Row) -> bool {
    let (Some(path), Some(stamp)) = (&row.sidecar, row.stamp) else {
        return true;
    };
    let stat = shelf.layout.resolve(path).map(|path| files::stat(&path));
    match stat {
        Some(Ok(Some(stat))) => stat.bytes == stamp.bytes && stat.modified_ns == stamp.modified_ns,
        _ => false,
    }
}
