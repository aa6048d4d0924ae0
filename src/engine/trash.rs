//! The trash from the outside: bringing media back, and throwing them away for good.

use std::ops::ControlFlow;

use super::{catalog_store::CatalogStore, thumbnail::ThumbnailStore};
use crate::{
    model::catalog::Change,
    storage::{Error, Library, Trashed},
};

/// Media that are moved, indexed and shown together.
const BATCH: usize = 64;
const DAY: i64 = 86_400;

/// What became of media in the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many came back, or are gone.
    pub done: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Library-relative path and reason of each that is where it was.
    pub failed: Vec<(String, String)>,
    /// Stopped before the end.
    pub is_cancelled: bool,
}

/// Brings media back and shows them. `on` hears (done, total) between two batches
/// and may stop it there.
pub fn restore(
    library: &Library,
    catalog: &CatalogStore,
    items: &[Trashed],
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Report {
    let operation = library.operation(match items {
        [only] => format!("restore {}", only.path),
        several => format!("restore {}", several.len()),
    });
    let report = in_batches(items, on, |batch, report| {
        let mut changes = Vec::with_capacity(batch.len());
        for (item, outcome) in batch.iter().zip(library.restore(&operation, batch, now)) {
            match outcome {
                Ok(entry) => {
                    report.done += 1;
                    report.bytes += item.bytes;
                    changes.push(Change::Upsert(entry));
                }
                Err(error) => report.failed.push((item.path.clone(), error.chain())),
            }
        }
        catalog.apply(&changes);
    });
    library.finish(&operation);
    report
}

/// Removes media for good. `on` hears (done, total) between two batches and may
/// stop it there.
pub fn purge(
    library: &Library,
    thumbnails: &ThumbnailStore,
    items: &[Trashed],
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Report {
    let operation = library.operation(match items {
        [only] => format!("remove {} for good", only.path),
        several => format!("remove {} for good", several.len()),
    });
    let report = in_batches(items, on, |batch, report| {
        let mut gone = Vec::new();
        for (item, outcome) in batch.iter().zip(library.purge(&operation, batch, now)) {
            match outcome {
                Ok(bytes) => {
                    report.done += 1;
                    report.bytes += bytes;
                    // Another one may have its id by now.
                    if matches!(library.key_of(&item.id), Ok(None)) {
                        gone.push(item.id.clone());
                    }
                }
                Err(error) => report.failed.push((item.path.clone(), error.chain())),
            }
        }
        thumbnails.forget(&gone);
    });
    library.finish(&operation);
    report
}

/// Removes for good what has been in the trash for more than that many days; with 0
/// nothing.
///
/// # Errors
/// When the trash cannot be listed.
pub fn empty_old(
    library: &Library,
    thumbnails: &ThumbnailStore,
    days: u64,
    now: i64,
    on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Report, Error> {
    // Only a whole index tells whether a copy of a file stays.
    if days == 0 || !library.is_indexed() {
        return Ok(Report::default());
    }
    let mut items = library.trashed()?;
    items.retain(|item| is_older(item, days, now));
    let report = purge(library, thumbnails, &items, now, &mut |_, _| on());
    for (path, reason) in &report.failed {
        tracing::warn!("{path} stays in the trash: {reason}");
    }
    Ok(report)
}

/// Whether something has been in the trash for more than that many days. What does
/// not say since when is never too old.
pub fn is_older(item: &Trashed, days: u64, now: i64) -> bool {
    let age = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY);
    item.at.is_some_and(|at| now.saturating_sub(at) >= age)
}

fn in_batches(
    items: &[Trashed],
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    mut work: impl FnMut(&[Trashed], &mut Report),
) -> Report {
    let mut report = Report::default();
    let mut done = 0;
    for batch in items.chunks(BATCH) {
        if on(done, items.len()).is_break() {
            report.is_cancelled = true;
            break;
        }
        work(batch, &mut report);
        done += batch.len();
    }
    report
}
