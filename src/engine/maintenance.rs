//! Long jobs on the whole library: loading the catalog, rebuilding the index,
//! verifying, and following what other processes write.

use std::ops::ControlFlow;

use super::{
    catalog_store::CatalogStore,
    event::Events,
    job::{Cancel, JobId, Progress},
    save::flow,
};
use crate::{
    model::catalog::{Catalog, Change},
    storage::{Error, IndexState, Library, RebuildProgress, RebuildSummary, VerifyReport},
};

/// Media of the first page, which is shown before the catalog is loaded: enough for
/// the largest screen.
const FIRST_PAGE: usize = 600;

/// Media found by a rebuild before they are shown.
const SHOW_EVERY: u64 = 2_000;

/// Media read from the index before they are packed: unpacked, a medium with thirty
/// tags takes 3 KB.
const PACK_EVERY: usize = 25_000;

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
    let before = library.sequence().unwrap_or(0);
    let mut is_rebuilding = matches!(
        library.index_state(),
        IndexState::Missing | IndexState::Unusable(_)
    );
    let (mut shown, mut shown_at, mut last) = (before, 0, 0);
    let mut catalog = Catalog::default();
    let mut waiting = Vec::new();
    library.load_in_chunks(&mut |chunk, done, total| {
        // Counting starts again when the rebuild ends and the index is read, and
        // while it is read it can be asked nothing else.
        is_rebuilding &= done >= last;
        last = done;
        if is_rebuilding && done >= shown_at + SHOW_EVERY {
            shown = follow(library, store, shown);
            shown_at = done;
        }
        waiting.extend(chunk.into_iter().map(Change::Upsert));
        if waiting.len() >= PACK_EVERY {
            catalog = catalog.apply(&waiting);
            waiting.clear();
        }
        on(done, total)
    })?;
    store.replace(catalog.apply(&waiting).into_complete());
    Ok(follow(library, store, before))
}

/// Finds what other programs, or a crash, changed behind the index, with progress,
/// and shows it.
///
/// # Errors
/// When the library cannot be read or the index cannot be written.
pub fn refresh(
    library: &Library,
    store: &CatalogStore,
    sequence: u64,
    on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
) -> Result<u64, Error> {
    library.refresh(on)?;
    Ok(follow(library, store, sequence))
}

/// Applies what the index says has changed since a sequence number, by whichever
/// process, and returns the newest number. Applying a change twice is harmless.
pub fn follow(library: &Library, store: &CatalogStore, sequence: u64) -> u64 {
    match library.changed_since(sequence) {
        Ok((newest, entries, removed)) => {
            let changes: Vec<Change> = entries
                .into_iter()
                .map(Change::Upsert)
                .chain(removed.into_iter().map(Change::Remove))
                .collect();
            store.apply(&changes);
            newest
        }
        Err(error) => {
            tracing::debug!("cannot follow the index: {}", error.chain());
            sequence
        }
    }
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

/// Compares files, sidecars and index, with progress.
pub fn verify(
    library: &Library,
    events: &Events,
    job: JobId,
    cancel: &Cancel,
) -> Result<VerifyReport, Error> {
    let mut progress = Progress::new(job, "verifying");
    library.verify(&mut |step| {
        progress.done = step.done;
        progress.total = Some(step.total);
        progress.errors = step.findings;
        events.progress(progress.clone());
        flow(cancel)
    })
}
