//! The stored catalog: read when a library is opened, written when it is at rest.

use super::catalog_store::CatalogStore;
use crate::{
    model::catalog::{Catalog, Change, Restoring},
    storage::{Library, Moment},
};

/// Media of the smallest library that is worth a file: fewer are read at once.
const WORTH_IT: usize = 2_000;
/// The part of all media that may have changed since the file was written before it
/// is written again, and the most that may be asked of the index one by one.
const STALE_PART: u64 = 50;
const STALE_MOST: u64 = 10_000;
/// How often the index must be found unchanged before it counts as resting.
const LOOKS: u32 = 3;

/// A stored catalog with what changed since.
pub struct Read {
    pub catalog: Catalog,
    /// The number of the last change in it.
    pub sequence: u64,
    /// So much changed that it should be stored again.
    pub is_old: bool,
}

/// The stored catalog, brought up to the index. `None` when there is none to be
/// believed, or when reading all of the index is the shorter way.
pub fn read(library: &Library) -> Option<Read> {
    let mut restoring = Restoring::default();
    let moment = library.snapshot(Catalog::FRAMES, &mut |frame| restoring.take(frame))?;
    let catalog = restoring.finish()?;
    let count = library.changes_after(moment).ok()??;
    let most = most_changes(&catalog);
    if count > 2 * most {
        return None;
    }
    let (sequence, changed, removed) = library.changed_since(moment.sequence).ok()?;
    let changes: Vec<Change> = library
        .entries(&changed)
        .ok()?
        .into_iter()
        .map(Change::Upsert)
        .chain(removed.into_iter().map(Change::Remove))
        .collect();
    Some(Read {
        catalog: match changes.as_slice() {
            [] => catalog,
            changes => catalog.apply(changes),
        },
        sequence,
        is_old: count > most,
    })
}

fn most_changes(catalog: &Catalog) -> u64 {
    (catalog.len() as u64 / STALE_PART).clamp(100, STALE_MOST)
}

/// Stores what a store holds, unless the index is no longer in the state it was in
/// before the store followed it.
pub fn write(library: &Library, store: &CatalogStore, moment: Moment) {
    let catalog = store.load();
    if !catalog.is_complete() || catalog.len() < WORTH_IT || library.moment().ok() != Some(moment) {
        return;
    }
    let written = library.store_snapshot(moment, Catalog::FRAMES, &mut |put| catalog.frames(put));
    if let Err(error) = written {
        // It costs time at the next start, and nothing else.
        tracing::info!("the catalog is not stored: {}", error.chain());
    }
}

/// Watches for a moment at which the catalog should be stored again.
#[derive(Debug, Default)]
pub struct Rest {
    /// The state of the index at the last look, and how long it has lasted.
    seen: Option<(Moment, u32)>,
}

impl Rest {
    /// To be called now and then. When the index rests and the stored catalog is
    /// missing or old, follows what the store may lack, and stores it.
    pub fn look(&mut self, library: &Library, store: &CatalogStore, follow: &dyn Fn()) {
        let Ok(now) = library.moment() else {
            return;
        };
        let looks = match self.seen {
            Some((seen, looks)) if seen == now => looks.saturating_add(1),
            _ => 0,
        };
        self.seen = Some((now, looks));
        // Once for each rest.
        if looks != LOOKS {
            return;
        }
        let stored = library.snapshot_moment(Catalog::FRAMES);
        let changes = stored.and_then(|stored| library.changes_after(stored).ok()?);
        if changes.is_none_or(|changes| changes > most_changes(&store.load())) {
            follow();
            write(library, store, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::maintenance::{follow, load_catalog},
        model::id::MediaKey,
        storage::LayoutKind,
    };
    use std::{fs::File, ops::ControlFlow, path::Path};

    fn load(library: &Library) -> CatalogStore {
        let store = CatalogStore::default();
        load_catalog(library, &store, &mut |_, _| ControlFlow::Continue(())).unwrap();
        store
    }

    fn add(folder: &Path, numbers: std::ops::Range<u32>) {
        for n in numbers {
            File::create(folder.join(format!("{n:05}.png"))).unwrap();
        }
    }

    fn assert_same(catalog: &Catalog, library: &Library) {
        let entries = library
            .load_entries(&mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(catalog.len(), entries.len());
        for entry in &entries {
            assert_eq!(catalog.record(entry.key).unwrap().to_entry(), *entry);
        }
        let expected = Catalog::from_entries(entries, true);
        assert_eq!(catalog.default_order(), expected.default_order());
    }

    #[test]
    fn a_stored_catalog_is_what_the_index_says_after_any_change() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), 0..2_100);
        let library = Library::create(dir.path(), LayoutKind::InPlace, "Test").unwrap();
        assert!(read(&library).is_none());
        // Loading stores it.
        let store = load(&library);
        let stored = read(&library).unwrap();
        assert!(!stored.is_old);
        assert_same(&stored.catalog, &library);

        // What came later is asked of the index, by whichever way it came.
        add(dir.path(), 2_100..2_150);
        std::fs::remove_file(dir.path().join("00007.png")).unwrap();
        library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
        let stored = read(&library).unwrap();
        assert_eq!(stored.catalog.len(), 2_149);
        assert_same(&stored.catalog, &library);

        // A few changes are not worth another file; many are, once they are over.
        let mut rest = Rest::default();
        let before = library.snapshot_moment(Catalog::FRAMES).unwrap();
        let follow = || {
            follow(&library, &store, before.sequence);
        };
        let rests = |rest: &mut Rest| {
            for _ in 0..=LOOKS {
                rest.look(&library, &store, &follow);
            }
            library.snapshot_moment(Catalog::FRAMES).unwrap()
        };
        assert_eq!(rests(&mut rest), before);
        add(dir.path(), 2_200..2_400);
        library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(rests(&mut rest), library.moment().unwrap());
        let stored = read(&library).unwrap();
        assert_same(&stored.catalog, &library);
        assert!(stored.catalog.contains(MediaKey(1)));

        // An index that is made anew has another history.
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_same(&load(&library).load(), &library);
        drop(library);
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("library.db{suffix}");
            let _ = std::fs::remove_file(dir.path().join(".tagloupe").join(name));
        }
        let library = Library::open(dir.path()).unwrap();
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(read(&library).is_none());
    }
}
