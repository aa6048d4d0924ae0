//! Changing a library: saving, undo, history, the trash.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    Core, Engine,
    event::{Event, Level, RevertReport, SaveReport},
    job::{Cancel, JobId, lock},
    save::{self, SaveStep, flow},
    trash,
};
use crate::{
    model::{id::MediaKey, operation::OperationId},
    storage::{Error, Past, Recovered, Trashed, Which},
};

/// Operations that the history shows on a screen.
const HISTORY: usize = 500;

impl Engine {
    /// Keeps unsaved edits in the journal; answered by [`Event::Kept`].
    pub fn keep(&self, step: SaveStep) {
        lock(&self.saver).keep(step);
    }

    /// Drops kept edits, by the numbers of their steps.
    pub fn discard(&self, numbers: Vec<u64>) {
        lock(&self.saver).discard(numbers);
    }

    /// Drops the unsaved edits of broken-off sessions that [`Event::Unsaved`] named.
    pub fn forget_unsaved(&self, ids: Vec<OperationId>) {
        lock(&self.saver).forget(ids);
    }

    /// Queues edits for the files, in order; answered by [`Event::Saved`].
    pub fn save(&self, steps: Vec<SaveStep>) -> JobId {
        let job = JobId::next();
        lock(&self.saver).save(job, steps);
        job
    }

    /// Saves one step and waits. `on` hears (done, total) and may stop it.
    pub fn save_now(
        &self,
        step: &SaveStep,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> SaveReport {
        let core = &self.core;
        save::save_step(&core.library, &core.catalog, step, core.now(), on)
    }

    /// Queues an undo or a redo; answered by [`Event::Reverted`].
    pub fn revert(&self, what: Which, is_redo: bool) {
        lock(&self.saver).revert(what, is_redo);
    }

    /// Undoes or redoes and waits; `None` when there is nothing to do.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or has no such operation.
    pub fn revert_now(
        &self,
        what: Which,
        is_redo: bool,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<RevertReport>, String> {
        let core = &self.core;
        let report = save::revert(&core.library, &core.catalog, what, is_redo, core.now(), on);
        core.refresh_tags();
        report
    }

    /// Reads what was done; answered by [`Event::History`].
    pub fn history(&self) {
        let core = Arc::clone(&self.core);
        self.on(
            |pools| &pools.interactive,
            move || {
                let past = core.library.history(HISTORY);
                let past = past.map_err(|error| error.chain());
                core.events.send(Event::History(past));
            },
        );
    }

    /// What was done, newest first; waits.
    pub fn history_now(&self, limit: usize) -> Result<Vec<Past>, Error> {
        self.core.library.history(limit)
    }

    /// What a crash interrupted is finished; waits. One report per operation.
    pub fn recover_now(&self) -> Result<Vec<Recovered>, Error> {
        self.core.library.recover(self.core.now())
    }

    /// Queues a move to the trash; answered by [`Event::JobDone`].
    pub fn trash(&self, keys: Vec<MediaKey>, reason: &str) -> JobId {
        let job = JobId::next();
        lock(&self.saver).trash(job, keys, reason.to_owned());
        job
    }

    /// What is in the trash, the newest first; waits.
    ///
    /// # Errors
    /// When the trash cannot be listed.
    pub fn trashed_now(&self) -> Result<Vec<Trashed>, Error> {
        self.core.library.trashed()
    }

    /// Brings media back from the trash and waits. `on` hears (done, total) and may
    /// stop it.
    pub fn restore_now(
        &self,
        items: &[Trashed],
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> trash::Report {
        let core = &self.core;
        trash::restore(&core.library, &core.catalog, items, core.now(), on)
    }

    /// Removes media in the trash for good and waits. `on` hears (done, total) and
    /// may stop it.
    pub fn purge_now(
        &self,
        items: &[Trashed],
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> trash::Report {
        let now = self.core.now();
        trash::purge(&self.core.library, &self.core.thumbnails, items, now, on)
    }

    /// Removes for good, in the background, what has been in the trash longer than
    /// the settings keep it.
    pub fn empty_old_trash(&self) {
        self.run_job(|core, _, cancel| core.empty_old_trash(cancel));
    }
}

impl Core {
    pub(super) fn empty_old_trash(&self, cancel: &Cancel) {
        let now = self.now();
        let days = self.settings.trash_days;
        let emptied = trash::empty_old(&self.library, &self.thumbnails, days, now, &mut || {
            self.stop.flow()?;
            flow(cancel)
        });
        match emptied {
            Ok(report) if report.done > 0 => {
                let n = report.done;
                let text = format!("{n} media that were in the trash for {days} days are gone");
                self.events.notice(Level::Info, text);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the trash is not emptied: {}", error.chain()),
        }
    }
}
