//! What other programs do to the files of an open library: heard, looked at, shown,
//! and said where the user should know.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Core,
    event::Level,
    job::JobId,
    maintenance,
    watch::{Collecting, OutsideWatcher, Touched},
};

impl Core {
    /// Notes from now on what is touched, for [`Core::hear_touches`].
    pub(super) fn collect_touches(&self) -> Option<Collecting> {
        let polls = self.settings.force_polling;
        let images = || self.library.layout().images();
        self.settings
            .watches_files
            .then(|| Collecting::new(images(), polls))
    }

    /// Sees what other programs do to originals and sidecars from now on.
    pub(super) fn hear_touches(self: &Arc<Self>, touches: Collecting) -> Option<OutsideWatcher> {
        let core = Arc::clone(self);
        let watcher = touches.start(Box::new(move |touched| core.look_outside(touched)));
        watcher
            .inspect_err(|error| tracing::error!("cannot watch the library: {error}"))
            .ok()
    }

    fn look_outside(&self, touched: Touched) {
        if !self.library.is_indexed() {
            // What makes the index whole looks at everything.
            return;
        }
        let is_more = match touched {
            Touched::Everything => true,
            Touched::Files(paths) => match self.library.look_at(&paths) {
                Ok(looked) => {
                    if looked.changed > 0 {
                        self.catch_up_with_index();
                    }
                    self.tell_given_back(&looked.given_back);
                    if let Some((path, reason)) = looked.problems.first() {
                        let text = format!("another program broke the sidecar of {path}: {reason}");
                        self.events.notice(Level::Warning, text);
                    }
                    looked.is_more
                }
                Err(error) => {
                    tracing::warn!("cannot look at touched files: {}", error.chain());
                    true
                }
            },
        };
        if is_more {
            self.refresh(JobId::next());
            self.wake_hashing();
        }
    }

    /// Shows what was written to the index since.
    pub(super) fn catch_up_with_index(&self) {
        let sequence = self.followed.load(Ordering::Acquire);
        let newest = maintenance::follow(&self.library, &self.catalog, sequence);
        // A load that ended meanwhile knows better.
        let _ =
            self.followed
                .compare_exchange(sequence, newest, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Lets the sidecars of renamed originals follow them, and says so.
    pub(super) fn follow_renamed(&self) {
        match self.library.follow_renamed(self.now()) {
            Ok(followed) => {
                let Some(first) = followed.first() else {
                    return;
                };
                let text = match followed.len() {
                    1 => format!(
                        "{} was renamed from {}: its tags follow",
                        first.to, first.from
                    ),
                    n => format!(
                        "{n} pictures were renamed, {} first: their tags follow",
                        first.to
                    ),
                };
                self.catch_up_with_index();
                self.events.notice(Level::Info, text);
            }
            Err(error) => {
                tracing::warn!("renamed originals are not followed: {}", error.chain());
            }
        }
    }

    /// Says of sidecars that another program rewrote without what it does not know.
    pub(super) fn tell_given_back(&self, paths: &[PathBuf]) {
        let Some(first) = paths.first() else {
            return;
        };
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        let whose = match paths.len() {
            1 => format!("the sidecar of {name}"),
            n => format!("{n} sidecars, {name} first,"),
        };
        let text = format!(
            "\u{21c4} another program rewrote {whose} without what it does not know: that is kept, \
             and the next save puts it back"
        );
        self.events.notice(Level::Warning, text);
    }
}
