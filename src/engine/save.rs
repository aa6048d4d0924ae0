//! The one way from an edit to the files: a first-in-first-out queue with one
//! worker, so that nothing overtakes and nothing is dropped. It is drained before
//! the program ends.

use std::{
    ops::ControlFlow,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use super::{
    catalog_store::CatalogStore,
    event::{Event, Events, SaveReport},
    job::{Cancel, Clock, JobId, Progress, spawn},
};
use crate::{
    model::{catalog, id::MediaKey},
    storage::{Change, Library},
};

/// Media that are written, indexed and shown together: few enough that the screen
/// follows, many enough that the index transaction costs little.
const BATCH: usize = 256;

/// Saves of fewer media than this show no progress.
const LARGE: usize = 500;

enum Order {
    Save {
        job: JobId,
        changes: Vec<Change>,
    },
    Trash {
        job: JobId,
        keys: Vec<MediaKey>,
        reason: String,
    },
}

/// The queue and its worker.
pub struct Saver {
    orders: Option<mpsc::Sender<Order>>,
    worker: Option<JoinHandle<()>>,
}

impl Saver {
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(
        library: Arc<Library>,
        catalog: Arc<CatalogStore>,
        events: Events,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel();
        let worker = spawn("save", move || {
            for order in queue {
                match order {
                    Order::Save { job, changes } => {
                        let report =
                            save_with_progress(&library, &catalog, &events, job, changes, clock());
                        events.send(Event::Saved { job, report });
                    }
                    Order::Trash { job, keys, reason } => {
                        let outcome = trash(&library, &catalog, &keys, &reason, clock());
                        events.done(job, "moving to the trash", outcome);
                    }
                }
            }
        })?;
        Ok(Self {
            orders: Some(orders),
            worker: Some(worker),
        })
    }

    /// Queues a save and returns at once; answered by [`Event::Saved`].
    pub fn save(&self, job: JobId, changes: Vec<Change>) {
        self.order(Order::Save { job, changes });
    }

    /// Queues a move to the trash; answered by [`Event::JobDone`].
    pub fn trash(&self, job: JobId, keys: Vec<MediaKey>, reason: String) {
        self.order(Order::Trash { job, keys, reason });
    }

    fn order(&self, order: Order) {
        let sent = self
            .orders
            .as_ref()
            .is_some_and(|orders| orders.send(order).is_ok());
        if !sent {
            tracing::error!("a change came after the save queue had ended");
        }
    }

    /// Takes no more orders and waits until every one that is queued is on disk.
    pub fn drain(&mut self) {
        self.orders = None;
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the save queue ended by a panic");
        }
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.drain();
    }
}

/// Saves and waits: files, index, catalog. `on` hears (done, total) between two
/// batches and may stop it there; what is saved by then stays saved.
pub fn save(
    library: &Library,
    catalog: &CatalogStore,
    changes: Vec<Change>,
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> SaveReport {
    let mut report = SaveReport::default();
    let total = changes.len();
    let mut changes = changes.into_iter().peekable();
    let mut done = 0;
    while changes.peek().is_some() {
        let batch: Vec<Change> = changes.by_ref().take(BATCH).collect();
        let keys: Vec<MediaKey> = batch.iter().map(|change| change.key).collect();
        let mut upserts = Vec::with_capacity(batch.len());
        for (key, outcome) in keys.iter().zip(library.write(batch, now)) {
            match outcome {
                Ok(written) => {
                    report.warnings.extend(written.warning);
                    report.saved.push((*key, written.inverse));
                    upserts.push(catalog::Change::Upsert(written.entry));
                }
                Err(error) => report.failed.push((*key, error.chain())),
            }
        }
        catalog.apply(&upserts);
        done += keys.len();
        if on(done, total).is_break() {
            for change in changes {
                report.failed.push((change.key, "cancelled".to_owned()));
            }
            break;
        }
    }
    report.warnings.dedup();
    report
}

fn save_with_progress(
    library: &Library,
    catalog: &CatalogStore,
    events: &Events,
    job: JobId,
    changes: Vec<Change>,
    now: i64,
) -> SaveReport {
    if changes.len() < LARGE {
        return save(library, catalog, changes, now, &mut |_, _| {
            ControlFlow::Continue(())
        });
    }
    let mut progress = Progress::new(job, "saving");
    let report = save(library, catalog, changes, now, &mut |done, total| {
        progress.done = done as u64;
        progress.total = Some(total as u64);
        events.progress(progress.clone());
        ControlFlow::Continue(())
    });
    let saved = report.saved.len();
    events.done(job, "saving", Ok(format!("{saved} media saved")));
    report
}

/// Moves media to the trash and out of the catalog.
///
/// # Errors
/// Says how many failed and why the first did; the others are in the trash.
pub fn trash(
    library: &Library,
    catalog: &CatalogStore,
    keys: &[MediaKey],
    reason: &str,
    now: i64,
) -> Result<String, String> {
    let mut gone = Vec::with_capacity(keys.len());
    let mut failures = Vec::new();
    for (key, outcome) in keys.iter().zip(library.trash(keys, reason, None, now)) {
        match outcome {
            Ok(()) => gone.push(catalog::Change::Remove(*key)),
            Err(error) => failures.push(error.chain()),
        }
    }
    catalog.apply(&gone);
    match failures.first() {
        None => Ok(format!("{} in the trash", gone.len())),
        Some(first) => Err(format!(
            "{} of {} not moved: {first}",
            failures.len(),
            keys.len()
        )),
    }
}

/// Turns a cancel flag into what a storage callback returns.
pub fn flow(cancel: &Cancel) -> ControlFlow<()> {
    if cancel.is_cancelled() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
