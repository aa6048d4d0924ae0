//! The one way from an edit to the files: a first-in-first-out queue with one
//! worker, so that nothing overtakes and nothing is dropped. It keeps unsaved edits
//! in the journal, saves, moves to the trash, undoes; and is drained before the
//! program ends.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use super::{
    catalog_store::CatalogStore,
    event::{Event, Events, RevertReport, SaveReport},
    job::{Cancel, Clock, JobId, Progress, spawn},
};
use crate::{
    model::{
        catalog,
        edit::Edit,
        id::MediaKey,
        operation::{Operation, OperationId},
    },
    storage::{Change, Library, PendingChange, Reverted, Which},
};

/// Media that are written, indexed and shown together: few enough that the screen
/// follows, many enough that the index transaction costs little.
const BATCH: usize = 256;

/// Saves of fewer media than this show no progress.
const LARGE: usize = 500;

/// One command of the user: what it does, in words, and its edits.
#[derive(Clone, Debug, PartialEq)]
pub struct SaveStep {
    /// The number under which the front end knows it; see [`Saver::keep`].
    pub number: u64,
    pub action: String,
    pub changes: Vec<(MediaKey, Arc<[Edit]>)>,
}

enum Order {
    Keep(SaveStep),
    Discard(Vec<u64>),
    Forget(Vec<OperationId>),
    Save {
        job: JobId,
        steps: Vec<SaveStep>,
    },
    Trash {
        job: JobId,
        keys: Vec<MediaKey>,
        reason: String,
    },
    Revert {
        what: Which,
        is_redo: bool,
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
            let mut worker = Worker {
                library: &library,
                catalog: &catalog,
                events: &events,
                clock,
                kept: HashMap::new(),
            };
            for order in queue {
                worker.carry_out(order);
            }
        })?;
        Ok(Self {
            orders: Some(orders),
            worker: Some(worker),
        })
    }

    /// Keeps unsaved edits in the journal; answered by [`Event::Kept`]. A step that
    /// is kept already is kept once.
    pub fn keep(&self, step: SaveStep) {
        self.order(Order::Keep(step));
    }

    /// Drops kept edits: their steps were undone.
    pub fn discard(&self, numbers: Vec<u64>) {
        self.order(Order::Discard(numbers));
    }

    /// Drops the unsaved edits of broken-off sessions, which are kept under new
    /// numbers or not wanted.
    pub fn forget(&self, ids: Vec<OperationId>) {
        self.order(Order::Forget(ids));
    }

    /// Queues a save and returns at once; answered by [`Event::Saved`].
    pub fn save(&self, job: JobId, steps: Vec<SaveStep>) {
        self.order(Order::Save { job, steps });
    }

    /// Queues a move to the trash; answered by [`Event::JobDone`].
    pub fn trash(&self, job: JobId, keys: Vec<MediaKey>, reason: String) {
        self.order(Order::Trash { job, keys, reason });
    }

    /// Queues an undo or redo; answered by [`Event::Reverted`].
    pub fn revert(&self, what: Which, is_redo: bool) {
        self.order(Order::Revert { what, is_redo });
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

/// What the thread of the queue works with.
struct Worker<'w> {
    library: &'w Library,
    catalog: &'w CatalogStore,
    events: &'w Events,
    clock: Clock,
    /// The operations under which unsaved steps are in the journal.
    kept: HashMap<u64, Operation>,
}

impl Worker<'_> {
    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Keep(step) => {
                let number = step.number;
                let result = self.keep(step);
                self.events.send(Event::Kept { number, result });
            }
            Order::Discard(numbers) => {
                let ids = numbers.iter().filter_map(|number| self.kept.remove(number));
                let ids = ids.map(|operation| operation.id).collect();
                self.forget(ids);
            }
            Order::Forget(ids) => self.forget(ids),
            Order::Save { job, steps } => {
                let report = self.save(job, steps);
                self.events.send(Event::Saved { job, report });
            }
            Order::Trash { job, keys, reason } => {
                let outcome = trash(self.library, self.catalog, &keys, &reason, (self.clock)());
                self.events.done(job, "moving to the trash", outcome);
            }
            Order::Revert { what, is_redo } => {
                let go_on = &mut |_, _| ControlFlow::Continue(());
                let now = (self.clock)();
                let result = revert(self.library, self.catalog, what, is_redo, now, go_on);
                self.events.send(Event::Reverted { is_redo, result });
            }
        }
    }

    fn keep(&mut self, step: SaveStep) -> Result<(), String> {
        if self.kept.contains_key(&step.number) {
            return Ok(());
        }
        let operation = self.library.operation(step.action);
        let changes = by_id(self.catalog, &step.changes);
        self.library
            .keep_pending(&operation, &changes, (self.clock)())
            .map_err(|error| error.chain())?;
        self.kept.insert(step.number, operation);
        Ok(())
    }

    fn forget(&self, ids: Vec<OperationId>) {
        for id in ids {
            if let Err(error) = self.library.discard_pending(id) {
                // They are offered once more at the next start.
                tracing::warn!("unsaved edits stay in the journal: {}", error.chain());
            }
        }
    }

    fn save(&mut self, job: JobId, steps: Vec<SaveStep>) -> SaveReport {
        let numbers: Vec<u64> = steps.iter().map(|step| step.number).collect();
        let mut operations = Vec::with_capacity(steps.len());
        for step in &steps {
            let kept = self.kept.remove(&step.number);
            operations.push(kept.unwrap_or_else(|| self.library.operation(&*step.action)));
        }
        let changes = by_medium(&steps);
        let total = changes.len();
        let mut progress = (total >= LARGE).then(|| Progress::new(job, "saving"));
        let now = (self.clock)();
        let report = save(
            self.library,
            self.catalog,
            &operations,
            changes,
            now,
            &mut |done, total| {
                if let Some(progress) = &mut progress {
                    progress.done = done as u64;
                    progress.total = Some(total as u64);
                    self.events.progress(progress.clone());
                }
                ControlFlow::Continue(())
            },
        );
        if progress.is_some() {
            let saved = report.saved.len();
            self.events
                .done(job, "saving", Ok(format!("{saved} media saved")));
        }
        // What could not be saved is unsaved as before, and kept as before.
        let failed: std::collections::HashSet<MediaKey> =
            report.failed.iter().map(|(key, _)| *key).collect();
        for (mut step, number) in steps.into_iter().zip(numbers) {
            step.changes.retain(|(key, _)| failed.contains(key));
            if !step.changes.is_empty() {
                let result = self.keep(step);
                self.events.send(Event::Kept { number, result });
            }
        }
        report
    }
}

/// Edits by the ids of their media, equal ones once: keys are those of one index.
pub(super) fn by_id(
    catalog: &CatalogStore,
    changes: &[(MediaKey, Arc<[Edit]>)],
) -> Vec<PendingChange> {
    let catalog = catalog.load();
    let mut by_edits: Vec<PendingChange> = Vec::new();
    for (key, edits) in changes {
        let Some(record) = catalog.record(*key) else {
            continue;
        };
        match by_edits.last_mut() {
            Some(change) if change.edits == **edits => change.ids.push(record.id()),
            _ => by_edits.push(PendingChange {
                ids: vec![record.id()],
                edits: edits.to_vec(),
            }),
        }
    }
    by_edits
}

/// The edits of each medium, step by step.
fn by_medium(steps: &[SaveStep]) -> Vec<Change> {
    let mut places: HashMap<MediaKey, usize> = HashMap::new();
    let mut changes: Vec<Change> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        for (key, edits) in &step.changes {
            let place = *places.entry(*key).or_insert_with(|| {
                changes.push(Change {
                    key: *key,
                    steps: Vec::new(),
                });
                changes.len() - 1
            });
            changes[place].steps.push((number, edits.to_vec()));
        }
    }
    changes
}

/// Saves and waits: journal, files, index, catalog. `on` hears (done, total) between
/// two batches and may stop it there; what is saved by then stays saved.
pub fn save(
    library: &Library,
    catalog: &CatalogStore,
    operations: &[Operation],
    changes: Vec<Change>,
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> SaveReport {
    let mut report = SaveReport::default();
    let total = changes.len();
    let mut changes = changes.into_iter();
    let mut done = 0;
    loop {
        match write_batch(library, catalog, operations, &mut changes, now, &mut report) {
            0 => break,
            n => done += n,
        }
        if on(done, total).is_break() {
            for change in changes {
                report.failed.push((change.key, "cancelled".to_owned()));
            }
            break;
        }
    }
    for operation in operations {
        library.finish(operation);
    }
    report.warnings.dedup();
    report
}

/// Writes and shows the first of some changes, and returns how many those were: 0 when
/// there are none left.
pub(super) fn write_batch(
    library: &Library,
    catalog: &CatalogStore,
    operations: &[Operation],
    changes: &mut dyn Iterator<Item = Change>,
    now: i64,
    report: &mut SaveReport,
) -> usize {
    let batch: Vec<Change> = changes.take(BATCH).collect();
    let keys: Vec<MediaKey> = batch.iter().map(|change| change.key).collect();
    if keys.is_empty() {
        return 0;
    }
    let mut upserts = Vec::with_capacity(batch.len());
    let _writing = catalog.while_writing();
    for (key, outcome) in keys.iter().zip(library.write(operations, batch, now)) {
        match outcome {
            Ok(written) => {
                report.warnings.extend(written.warning);
                report.merged.extend(written.merged);
                report.saved.push(*key);
                if written.is_changed {
                    report.changed.push(*key);
                }
                upserts.push(catalog::Change::Upsert(written.entry));
            }
            Err(error) => report.failed.push((*key, error.chain())),
        }
    }
    catalog.apply(&upserts);
    keys.len()
}

/// Saves one step in the name of a command and waits. A large one is written down
/// as a whole first, so that a crash in its middle does not leave half of it.
pub fn save_step(
    library: &Library,
    catalog: &CatalogStore,
    step: &SaveStep,
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> SaveReport {
    let operation = library.operation(&*step.action);
    if step.changes.len() > BATCH {
        let intent = by_id(catalog, &step.changes);
        if let Err(error) = library.keep_pending(&operation, &intent, now) {
            let reason = error.chain();
            return SaveReport {
                failed: step
                    .changes
                    .iter()
                    .map(|(key, _)| (*key, reason.clone()))
                    .collect(),
                ..SaveReport::default()
            };
        }
    }
    let changes = by_medium(std::slice::from_ref(step));
    save(library, catalog, &[operation], changes, now, on)
}

/// Undoes or redoes, and shows it.
///
/// # Errors
/// When the journal cannot be read or written, or the operation named is not there.
pub fn revert(
    library: &Library,
    catalog: &CatalogStore,
    what: Which,
    is_redo: bool,
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<RevertReport>, String> {
    let _writing = catalog.while_writing();
    let reverted = if is_redo {
        library.redo(what, now, on)
    } else {
        library.undo(what, now, on)
    };
    let Some(reverted) = reverted.map_err(|error| error.chain())? else {
        return Ok(None);
    };
    Ok(Some(show(catalog, reverted)))
}

fn show(catalog: &CatalogStore, reverted: Reverted) -> RevertReport {
    let report = RevertReport {
        action: reverted.action,
        changed: reverted.changed.len(),
        trashed: reverted.removed.len(),
        left: reverted.left,
        merged: reverted.merged,
        warning: reverted.warning,
        is_cancelled: reverted.is_cancelled,
    };
    let changed = reverted.changed.into_iter().map(catalog::Change::Upsert);
    let removed = reverted.removed.into_iter().map(catalog::Change::Remove);
    let changes: Vec<catalog::Change> = changed.chain(removed).collect();
    catalog.apply(&changes);
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
    let count = keys.len();
    let operation = library.operation(format!("trash {count}"));
    let mut gone = Vec::with_capacity(count);
    let mut failures = Vec::new();
    let _writing = catalog.while_writing();
    for (key, outcome) in keys
        .iter()
        .zip(library.trash(&operation, keys, reason, None, now))
    {
        match outcome {
            Ok(()) => gone.push(catalog::Change::Remove(*key)),
            Err(error) => failures.push(error.chain()),
        }
    }
    library.finish(&operation);
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
