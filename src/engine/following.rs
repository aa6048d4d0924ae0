//! Following what other processes and programs do to an open library.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Core, catalog_file,
    event::Level,
    job::{Cancel, JobId, Progress},
    maintenance,
};
use crate::storage::Error;

/// How often an open library asks whether another process changed its index.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Turns of following after which an index that fell behind is tried again.
const REINDEX_TURNS: u64 = 5;

impl Core {
    /// Finds what changed behind the index since it was written last.
    pub(super) fn refresh(&self, job: JobId) {
        let sequence = self.followed.load(Ordering::Acquire);
        let mut progress = Progress::new(job, "looking for changed files");
        let refreshed = maintenance::refresh(&self.library, &self.catalog, sequence, &mut |step| {
            self.tell_rebuild(&mut progress, step);
            self.stop.flow()
        });
        self.events.end_progress(job);
        match refreshed {
            Ok((sequence, summary)) => {
                self.followed.store(sequence, Ordering::Release);
                self.tell_given_back(&summary.given_back);
                self.follow_renamed();
            }
            // Another process is at it; what it finds is followed.
            Err(Error::Locked { .. }) => {}
            Err(error) => {
                let reason = error.chain();
                let text = format!("cannot look for changed files: {reason}");
                self.events.notice(Level::Warning, text);
            }
        }
    }

    /// Applies what other processes write, and brings the index up to files that it
    /// could not follow, until the end.
    pub(super) fn follow(&self) {
        let follow = || {
            let sequence = self.followed.load(Ordering::Acquire);
            let newest = maintenance::follow(&self.library, &self.catalog, sequence);
            if newest != sequence {
                self.wake_hashing();
            }
            // A load that ended meanwhile knows better.
            let _ = self.followed.compare_exchange(
                sequence,
                newest,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
        };
        let mut version = self.library.data_version().ok();
        let mut turn = 0_u64;
        let mut rest = catalog_file::Rest::default();
        while !self.stop.wait(FOLLOW_INTERVAL) {
            turn += 1;
            rest.look(&self.library, &self.catalog, &follow);
            self.refresh_tags();
            self.tell_marks();
            self.cache.follow();
            if turn.is_multiple_of(REINDEX_TURNS) && self.library.is_behind() {
                match self.library.catch_up(self.now()) {
                    Ok(finished) => {
                        self.tell_recovered(&finished);
                        follow();
                    }
                    Err(error) => tracing::warn!("the index is still behind: {}", error.chain()),
                }
            }
            let newest = self.library.data_version().ok();
            if newest != version {
                version = newest;
                if !self.catalog.load().is_complete() && self.library.is_indexed() {
                    // Another process has made the index whole.
                    self.load_catalog(JobId::next(), &Cancel::default());
                } else {
                    follow();
                }
            }
        }
    }
}
