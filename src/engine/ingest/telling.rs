//! Who besides the front end is told of files that end here: other hosts, once there
//! are any.

use std::sync::OnceLock;

use super::{super::event::IngestOutcome, queue::Item};

type Tell = Box<dyn Fn(&Item, &IngestOutcome) + Send + Sync>;

/// Tells nobody until it is told whom to tell.
#[derive(Default)]
pub(super) struct Telling(OnceLock<Tell>);

impl Telling {
    /// Tells by this from now on; only the first counts.
    #[cfg(feature = "redis")]
    pub fn begin(&self, tell: impl Fn(&Item, &IngestOutcome) + Send + Sync + 'static) {
        // A second one would tell the same twice.
        let _ = self.0.set(Box::new(tell));
    }

    /// A file ended. What a worker took from others it tells of itself.
    pub fn tell(&self, item: &Item, outcome: &IngestOutcome) {
        let is_over = !matches!(
            outcome,
            IngestOutcome::Waiting { .. } | IngestOutcome::Cancelled
        );
        if let Some(tell) = self.0.get().filter(|_| is_over)
            && !item.submission.is_of_others
        {
            tell(item, outcome);
        }
    }
}
