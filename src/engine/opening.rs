//! Opening a library: the catalog is loaded, an index that is not whole is begun and
//! offered, what a crash interrupted is finished.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

use super::{
    AlreadyRunning, Core, Engine,
    event::{Event, IndexLack, IndexOffer, Level, Unsaved},
    job::{Cancel, JobId, Progress, lock, spawn},
    maintenance,
    save::flow,
};
use crate::{
    model::{column::Column, edit::Edit},
    storage::{Error, IndexState, PendingChange, RebuildProgress, RebuildSummary, Recovered},
};

const LOADING: &str = "loading the library";

impl Engine {
    /// Shows the first page, then loads everything in the background and goes on to
    /// follow what other processes write. Where the index lacks more than a few
    /// media, loads what it holds and offers the rest: [`Event::IndexOffer`].
    pub fn start_catalog(&self) {
        let job = JobId::next();
        let core = Arc::clone(&self.core);
        core.hashes
            .store(core.settings.hashes_found, Ordering::Release);
        let started = spawn("follow", move || {
            maintenance::load_first_page(&core.library, &core.catalog);
            // From before the look for changes on, so that none falls between both.
            let touches = core.collect_touches();
            core.refresh_tags();
            if core.library.is_indexed() || core.begin_index(job) {
                core.load_catalog(job, &Cancel::default());
                core.take_up();
            }
            core.wake_hashing();
            core.cache.sweep();
            core.empty_old_trash(&Cancel::default());
            core.trim_journal();
            core.make_orders();
            let _watcher = touches.and_then(|touches| core.hear_touches(touches));
            core.follow();
        });
        match started {
            Ok(thread) => lock(&self.threads).push(thread),
            Err(error) => tracing::error!("cannot start a thread to load the catalog: {error}"),
        }
    }

    /// Loads the catalog again in the background.
    ///
    /// # Errors
    /// When it is being loaded already.
    pub fn reload_catalog(&self) -> Result<JobId, AlreadyRunning> {
        if self.core.is_loading.load(Ordering::Acquire) {
            return Err(AlreadyRunning);
        }
        Ok(self.run_job(|core, job, cancel| {
            if core.library.is_indexed() {
                if core.load_catalog(job, cancel) {
                    core.events.done(job, LOADING, Ok(core.loaded()));
                }
            } else {
                core.load_part(job);
            }
        }))
    }

    /// Loads the catalog and waits; `on` hears (done, total).
    ///
    /// # Errors
    /// When the library cannot be read, or `on` stopped it.
    pub fn load_catalog_now(
        &self,
        on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.core.refresh_tags();
        maintenance::load_catalog(&self.core.library, &self.core.catalog, on).map(|_| ())
    }

    /// Rebuilds the index from the files in the background, then loads the catalog.
    /// One that is not whole is finished, and shown as it grows.
    pub fn rebuild(&self) -> JobId {
        self.run_job(|core, job, cancel| {
            if !core.library.is_indexed() {
                if core.load_catalog(job, cancel) {
                    core.take_up();
                    core.wake_hashing();
                }
                return;
            }
            let label = "rebuilding the index";
            match maintenance::rebuild(&core.library, &core.events, job, cancel) {
                Ok(summary) => {
                    core.load_catalog(job, cancel);
                    core.events.done(job, label, Ok(rebuild_summary(&summary)));
                    core.wake_hashing();
                }
                Err(error) => core.events.done(job, label, Err(error.chain())),
            }
        })
    }

    /// Rebuilds the index and waits.
    ///
    /// # Errors
    /// When the library cannot be read or the index cannot be written.
    pub fn rebuild_now(
        &self,
        on: &mut dyn FnMut(RebuildProgress) -> ControlFlow<()>,
    ) -> Result<RebuildSummary, Error> {
        self.core.library.rebuild(on)
    }
}

impl Core {
    /// Loads everything, an index that is not whole is finished first, and says
    /// whether it could; the front end has heard of it.
    pub(super) fn load_catalog(&self, job: JobId, cancel: &Cancel) -> bool {
        if self.is_loading.swap(true, Ordering::AcqRel) {
            self.events
                .notice(Level::Info, "the catalog is being loaded already");
            return false;
        }
        let was_indexed = self.library.is_indexed();
        let label = if was_indexed {
            LOADING
        } else {
            "making the index"
        };
        let mut progress = Progress::new(job, label);
        let loaded = maintenance::load_catalog(&self.library, &self.catalog, &mut |done, total| {
            progress.done = done;
            progress.total = Some(total);
            self.events.progress(progress.clone());
            self.stop.flow()?;
            flow(cancel)
        });
        self.is_loading.store(false, Ordering::Release);
        match loaded {
            Ok(sequence) => {
                self.followed.store(sequence, Ordering::Release);
                if was_indexed {
                    // What it found is on the screen.
                    self.events.end_progress(job);
                } else {
                    self.events.done(job, label, Ok(self.loaded()));
                }
                true
            }
            Err(Error::Cancelled) if !self.library.is_indexed() => {
                self.load_part(job);
                let text = "stopped; :rebuild goes on where it was".to_owned();
                self.events.done(job, label, Ok(text));
                false
            }
            Err(error) => {
                self.events.done(job, label, Err(error.chain()));
                false
            }
        }
    }

    fn loaded(&self) -> String {
        format!("{} media", self.catalog.load().len())
    }

    /// Takes the first media into an index that is not whole. Says whether it is now;
    /// otherwise what it holds is shown, and the rest is offered.
    fn begin_index(&self, job: JobId) -> bool {
        let label = "making the index";
        let mut progress = Progress::new(job, label);
        let limit = self.settings.index_unasked;
        let state = self.library.index_state();
        let begun = maintenance::begin_index(&self.library, limit, &mut |step| {
            self.tell_rebuild(&mut progress, step);
            self.stop.flow()
        });
        self.events.end_progress(job);
        let begun = match begun {
            Ok(None) => {
                if let IndexState::Unusable(reason) = state {
                    let text = format!("the index cannot be used ({reason}): made another one");
                    self.events.notice(Level::Warning, text);
                }
                return true;
            }
            Ok(Some(begun)) => Some(begun),
            Err(Error::Cancelled) => return false,
            Err(Error::Locked { .. }) => {
                let text = "another tagloupe makes the index of this library";
                self.events.notice(Level::Info, text);
                None
            }
            Err(error) => {
                self.events.done(job, label, Err(error.chain()));
                None
            }
        };
        self.load_part(job);
        if let Some(begun) = begun {
            self.events.send(Event::IndexOffer(IndexOffer {
                lack: match self.library.index_state() {
                    IndexState::Unusable(reason) => IndexLack::Unusable(reason),
                    _ if begun.is_old => IndexLack::Unfinished,
                    _ => IndexLack::New,
                },
                indexed: begun.indexed,
                total: begun.total,
            }));
        }
        false
    }

    pub(super) fn tell_rebuild(&self, progress: &mut Progress, step: RebuildProgress) {
        progress.done = step.done;
        progress.total = Some(step.total);
        progress.errors = step.errors;
        self.events.progress(progress.clone());
    }

    /// Shows what an index holds that is not whole.
    fn load_part(&self, job: JobId) {
        match maintenance::load_part(&self.library, &self.catalog) {
            Ok(sequence) => self.followed.store(sequence, Ordering::Release),
            Err(error) => self.events.done(job, LOADING, Err(error.chain())),
        }
    }

    /// What an index that is whole makes possible: to finish what a crash
    /// interrupted, and to look for what other programs changed.
    fn take_up(&self) {
        self.recover();
        self.offer_unsaved();
        self.refresh(JobId::next());
    }

    /// Finishes what a crash interrupted, and says so.
    fn recover(&self) {
        match self.library.recover(self.now()) {
            Ok(recovered) => self.tell_recovered(&recovered),
            Err(error) => {
                let text = format!("interrupted work is not finished: {}", error.chain());
                self.events.notice(Level::Error, text);
            }
        }
    }

    /// Makes the orders that people ask for most, so that nobody waits for the first of
    /// each, where no stored catalog brought them. Another catalog may come meanwhile; it
    /// takes over what there is.
    fn make_orders(&self) {
        for column in Column::KEPT {
            if self.stop.flow().is_break() {
                return;
            }
            self.catalog.load().ordered(column);
        }
    }

    fn trim_journal(&self) {
        if let Err(error) = self.library.trim_journal(self.now()) {
            // It only grows; the next start tries again.
            tracing::warn!("old journals stay: {}", error.chain());
        }
    }

    pub(super) fn tell_recovered(&self, recovered: &[Recovered]) {
        for operation in recovered {
            let level = if operation.left.is_empty() {
                Level::Info
            } else {
                Level::Warning
            };
            self.events.notice(level, operation.to_string());
        }
    }

    /// Hands the unsaved edits of broken-off sessions to this one.
    fn offer_unsaved(&self) {
        let found = match self.library.take_pending() {
            Ok(found) => found,
            Err(error) => {
                let text = format!("unsaved edits cannot be read: {}", error.chain());
                return self.events.notice(Level::Error, text);
            }
        };
        let catalog = self.catalog.load();
        let of_change = |change: PendingChange| {
            let edits: Arc<[Edit]> = change.edits.into();
            let keys = change.ids.into_iter();
            // One that left the library since has nothing to save.
            let keys = keys
                .filter_map(|id| catalog.key_of(&id))
                .collect::<Vec<_>>();
            keys.into_iter().map(move |key| (key, Arc::clone(&edits)))
        };
        let unsaved: Vec<Unsaved> = found
            .into_iter()
            .map(|pending| Unsaved {
                id: pending.id,
                action: pending.action,
                changes: pending.changes.into_iter().flat_map(of_change).collect(),
            })
            .collect();
        if !unsaved.is_empty() {
            self.events.send(Event::Unsaved(unsaved));
        }
    }
}

fn rebuild_summary(summary: &RebuildSummary) -> String {
    let stopped = if summary.is_cancelled {
        ", stopped before the end"
    } else {
        ""
    };
    let links = match summary.links.len() {
        0 => String::new(),
        n => format!(", {n} links not followed"),
    };
    format!(
        "{} media indexed, {} problems{links}{stopped}",
        summary.media,
        summary.errors.len()
    )
}
