//! The one place that swaps the catalog: readers load the newest snapshot and never
//! wait, writers take turns, and whoever subscribed hears of each change.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;

use super::job::panic_text;
use crate::model::{
    catalog::{Catalog, Change},
    id::MediaKey,
    tagdb::TagDb,
};

/// The catalog was swapped.
#[derive(Clone)]
pub struct CatalogEvent {
    /// The new snapshot.
    pub catalog: Arc<Catalog>,
    /// What differs from the one before, or `None` when it was replaced whole.
    pub changed: Option<Vec<MediaKey>>,
}

/// A listener: its failure is logged and stops nobody.
pub type Listener = Box<dyn Fn(&CatalogEvent) -> Result<(), String> + Send + Sync>;

/// Holds the newest catalog.
///
/// Invariant: events reach every listener in the order of the swaps, because they
/// are sent while the writer's turn lasts; a listener must not change the catalog.
#[derive(Default)]
pub struct CatalogStore {
    current: ArcSwap<Catalog>,
    listeners: Mutex<Vec<(String, Arc<Listener>)>>,
    turn: Mutex<()>,
    writing: Mutex<()>,
}

impl CatalogStore {
    pub fn new(catalog: Catalog) -> Self {
        Self {
            current: ArcSwap::from_pointee(catalog),
            ..Self::default()
        }
    }

    /// The newest snapshot; never waits.
    pub fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Adds a listener; the name is for the log.
    pub fn subscribe(&self, name: &str, listener: Listener) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name.to_owned(), Arc::new(listener)));
    }

    /// Held by whoever changes media that are there and then shows what it wrote: of two
    /// that change the same medium, the one that wrote last is shown last.
    pub fn while_writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps in a catalog with these changes. Waits for other writers only.
    pub fn apply(&self, changes: &[Change]) -> Arc<Catalog> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.is_empty() {
            return self.load();
        }
        let changed = changes
            .iter()
            .map(|change| match change {
                Change::Upsert(entry) => entry.key,
                Change::Remove(key) => *key,
            })
            .collect();
        self.swap(self.load().apply(changes), Some(changed))
    }

    /// Swaps in another catalog, say after a full load.
    pub fn replace(&self, catalog: Catalog) -> Arc<Catalog> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let tags = Arc::clone(self.load().tag_database());
        self.swap(catalog.with_tag_database(tags), None)
    }

    /// Reads the tags with another database from now on.
    pub fn read_tags_with(&self, tags: TagDb) -> Arc<Catalog> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = Catalog::clone(&self.load()).with_tag_database(Arc::new(tags));
        self.swap(catalog, None)
    }

    fn swap(&self, catalog: Catalog, changed: Option<Vec<MediaKey>>) -> Arc<Catalog> {
        let catalog = Arc::new(catalog);
        self.current.store(Arc::clone(&catalog));
        let event = CatalogEvent {
            catalog: Arc::clone(&catalog),
            changed,
        };
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (name, listener) in listeners {
            match catch_unwind(AssertUnwindSafe(|| listener(&event))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("catalog listener {name} failed: {error}"),
                Err(panic) => tracing::error!(
                    "catalog listener {name} panicked: {}",
                    panic_text(panic.as_ref())
                ),
            }
        }
        catalog
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_listener_that_fails_or_panics_stops_nobody() {
        let store = CatalogStore::default();
        let heard = Arc::new(AtomicUsize::new(0));
        store.subscribe("failing", Box::new(|_| Err("no".into())));
        store.subscribe("panicking", Box::new(|_| panic!("no")));
        let counter = Arc::clone(&heard);
        store.subscribe(
            "counting",
            Box::new(move |event| {
                counter.fetch_add(
                    event.changed.as_ref().map_or(100, Vec::len),
                    Ordering::SeqCst,
                );
                Ok(())
            }),
        );
        store.replace(Catalog::from_entries(Vec::new(), true));
        store.apply(&[Change::Remove(MediaKey(3))]);
        store.apply(&[]);
        assert_eq!(heard.load(Ordering::SeqCst), 101);
        assert!(store.load().is_complete());
    }
}
