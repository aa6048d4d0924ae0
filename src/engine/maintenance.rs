//! Long jobs on the whole library: loading the catalog, rebuilding the index,
//! verifying, and following what other processes write.

use std::ops::ControlFlow;

use super::{
    catalog_file,
    catalog_store::CatalogStore,
    event::Events,
    job::{Cancel, JobId, Progress},
    save::flow,
};
use crate::{
    model::catalog::{Building, Catalog, Change},
    storage::{Error, Library, RebuildProgress, RebuildSummary},
};

/// Media of the first page, which is shown before the catalog is loaded: enough for
/// the largest screen.
const FIRST_PAGE: usize = 600;

/// Media found by a rebuild before they are shown.
const SHOW_EVERY: u64 = 2_000;

/// Changed media that are in memory at once while they are followed.
const FOLLOWED_AT_ONCE: usize = 4_000;

/// Puts the first page into an empty catalog: one indexed query.
pub fn load_first_page(library: &Library, store: &CatalogStore) {
    if store.load().is_complete() {
        return;
    }
    match library.first_page(FIRST_PAGE) {
        Ok(entries) => {
            store.replace(Catalog::from_entries(entries, false));
        }
        Err(error) => tracing::info!("no first page: {}", error.chain()),
    }
}

/// What an index holds that was begun but not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub indexed: u64,
    pub total: u64,
    /// Whether an earlier run had begun it.
    pub is_old: bool,
}

/// Takes media that the index lacks into it until about so many are read, and says
/// how far it is; `None` when it is whole now.
///
/// # Errors
/// When the library cannot be read, the index cannot be written, another process is
/// making it, or `on` stopped it.
pub fn begin_index(
    library: &Library,
    limit: u64,
    on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
) -> Result<Option<Begun>, Error> {
    let is_old = library.count()? > 0;
    let mut begun = None;
    let summary = library.rebuild(&mut |step| {
        on(step)?;
        if step.read >= limit && step.done < step.total {
            begun = Some(Begun {
                indexed: step.done,
                total: step.total,
                is_old,
            });
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if summary.is_cancelled && begun.is_none() {
        return Err(Error::Cancelled);
    }
    Ok(begun)
}

/// Swaps in what the index holds, as a catalog that is not complete.
///
/// # Errors
/// When the index cannot be read.
pub fn load_part(library: &Library, store: &CatalogStore) -> Result<u64, Error> {
    let before = library.sequence().unwrap_or(0);
    let mut building = Building::default();
    library.load_indexed(&mut |chunk, _, _| {
        building.extend(chunk);
        ControlFlow::Continue(())
    })?;
    store.replace(building.finish());
    Ok(follow(library, store, before))
}

/// Loads all media and swaps them in, then what was written meanwhile. An index that
/// is not complete is completed from the files first, and what is found so far is
/// shown.
///
/// # Errors
/// When the library cannot be read, or the load was cancelled; the catalog stays
/// as it is.
pub fn load_catalog(
    library: &Library,
    store: &CatalogStore,
    on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<u64, Error> {
    let mut is_rebuilding = !library.is_indexed();
    if !is_rebuilding && let Some(stored) = catalog_file::read(library) {
        let moment = library.moment();
        store.replace(stored.catalog);
        let newest = follow(library, store, stored.sequence);
        if let (true, Ok(moment)) = (stored.is_old, moment) {
            catalog_file::write(library, store, moment);
        }
        return Ok(newest);
    }
    let before = library.sequence().unwrap_or(0);
    let (mut shown, mut shown_at, mut last) = (before, 0, 0);
    let mut building = Building::default();
    library.load_in_chunks(&mut |chunk, done, total| {
        // Counting starts again when the rebuild ends and the index is read, and
        // while it is read it can be asked nothing else.
        is_rebuilding &= done >= last;
        last = done;
        if is_rebuilding && done >= shown_at + SHOW_EVERY {
            shown = follow(library, store, shown);
            shown_at = done;
        }
        building.extend(chunk);
        on(done, total)
    })?;
    let moment = library.moment();
    store.replace(building.finish().into_complete());
    let newest = follow(library, store, before);
    if let Ok(moment) = moment {
        catalog_file::write(library, store, moment);
    }
    Ok(newest)
}

/// Finds what other programs, or a crash, changed behind the index, with progress,
/// and shows it. Returns the newest change of the index, and what was found.
///
/// # Errors
/// When the library cannot be read or the index cannot be written.
pub fn refresh(
    library: &Library,
    store: &CatalogStore,
    sequence: u64,
    on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
) -> Result<(u64, RebuildSummary), Error> {
    let summary = library.refresh(on)?;
    Ok((follow(library, store, sequence), summary))
}

/// Applies what the index says has changed since a sequence number, by whichever
/// process, and returns the newest number. Applying a change twice is harmless.
pub fn follow(library: &Library, store: &CatalogStore, sequence: u64) -> u64 {
    let follow = || -> Result<u64, Error> {
        let (newest, changed, removed) = library.changed_since(sequence)?;
        let removed: Vec<Change> = removed.into_iter().map(Change::Remove).collect();
        store.apply(&removed);
        for keys in changed.chunks(FOLLOWED_AT_ONCE) {
            let entries = library.entries(keys)?.into_iter();
            let changes: Vec<Change> = entries.map(Change::Upsert).collect();
            store.apply(&changes);
        }
        Ok(newest)
    };
    follow().unwrap_or_else(|error| {
        tracing::debug!("cannot follow the index: {}", error.chain());
        sequence
    })
}

/// Rebuilds the index from the files, with progress.
pub fn rebuild(
    library: &Library,
    events: &Events,
    job: JobId,
    cancel: &Cancel,
) -> Result<RebuildSummary, Error> {
    let mut progress = Progress::new(job, "rebuilding the index");
    library.rebuild(&mut |step| {
        progress.done = step.done;
        progress.total = Some(step.total);
        progress.errors = step.errors;
        events.progress(progress.clone());
        flow(cancel)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LayoutKind;

    #[test]
    fn an_index_is_made_in_parts_that_go_on_where_the_last_one_stopped() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..2_100 {
            std::fs::File::create(dir.path().join(format!("{n:04}.png"))).unwrap();
        }
        let library = Library::create(dir.path(), LayoutKind::InPlace, "Test").unwrap();
        let goes_on = |_: RebuildProgress| ControlFlow::Continue(());
        let store = CatalogStore::default();
        for indexed in [1_000, 2_000] {
            let begun = begin_index(&library, 1_000, &mut { goes_on }).unwrap();
            let expected = Begun {
                indexed,
                total: 2_100,
                is_old: indexed > 1_000,
            };
            assert_eq!(begun, Some(expected));
            load_part(&library, &store).unwrap();
            let catalog = store.load();
            assert_eq!(catalog.len() as u64, indexed);
            assert!(!catalog.is_complete());
            assert!(!library.is_indexed());
        }
        // Somebody stops it while it passes what was done before.
        let stops = |_: RebuildProgress| ControlFlow::Break(());
        let stopped = begin_index(&library, 1_000, &mut { stops });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        let mut read = 0;
        let begun = begin_index(&library, 1_000, &mut |step| {
            read = step.read;
            ControlFlow::Continue(())
        });
        assert_eq!(begun.unwrap(), None);
        assert_eq!(read, 100, "what was read before is not read again");
        assert!(library.is_indexed());
    }
}
