//! Who besides the front end is told of files that end here: other hosts, once there
//! are any.

use std::sync::{Arc, PoisonError, RwLock};
#[cfg(feature = "redis")]
use std::{sync::Mutex, thread::JoinHandle};

use super::{super::event::IngestOutcome, queue::Item};
#[cfg(feature = "redis")]
use super::{super::job::lock, join};

type Tell = Arc<dyn Fn(&Item, &IngestOutcome) + Send + Sync>;

/// Tells nobody until it is told whom to tell.
#[derive(Default)]
pub(super) struct Telling {
    tell: RwLock<Option<Tell>>,
    /// Passes on what is told, until nothing tells any more.
    #[cfg(feature = "redis")]
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Telling {
    /// Tells by this from now on, which hands it to a thread.
    #[cfg(feature = "redis")]
    pub fn begin(
        &self,
        tell: impl Fn(&Item, &IngestOutcome) + Send + Sync + 'static,
        thread: JoinHandle<()>,
    ) {
        *self.tell.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tell));
        *lock(&self.thread) = Some(thread);
    }

    /// Nothing is told from now on. Waits until what was told is passed on.
    #[cfg(feature = "redis")]
    pub fn end(&self) {
        *self.tell.write().unwrap_or_else(PoisonError::into_inner) = None;
        let thread = lock(&self.thread).take();
        join(thread);
    }

    /// A file ended. What a worker took from others it tells of itself.
    pub fn tell(&self, item: &Item, outcome: &IngestOutcome) {
        let is_over = !matches!(
            outcome,
            IngestOutcome::Waiting { .. } | IngestOutcome::Cancelled | IngestOutcome::Gone
        );
        if !is_over || item.submission.is_of_others {
            return;
        }
        let tell = self
            .tell
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(tell) = tell {
            tell(item, outcome);
        }
    }
}
