//! What is looked at: a picture that the viewer shows for a second was. Whoever leafs
//! past it in less, or sees it among others in the gallery, has not looked at it.

use std::time::Duration;

use super::{super::message::Effect, App};
use crate::model::id::MediaKey;

/// How long the viewer shows a picture that counts as looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The picture in the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looking {
    key: MediaKey,
    /// When it counts, since the session began; nothing when it does already.
    pub due: Option<Duration>,
}

impl App {
    /// Follows what the viewer shows.
    pub(super) fn follow_look(&mut self) {
        let is_noted = self.panes.viewer && self.config.note_viewed;
        let shown = self.gallery.current().filter(|_| is_noted);
        if self.looking.map(|looking| looking.key) != shown {
            let due = Some(self.now.elapsed + LOOK);
            self.looking = shown.map(|key| Looking { key, due });
        }
    }

    /// Notes that a picture was looked at, once it was for long enough.
    pub(super) fn note_look(&mut self) {
        let now = self.now.elapsed;
        if let Some(looking) = &mut self.looking
            && looking.due.is_some_and(|due| now >= due)
        {
            looking.due = None;
            self.effects.push(Effect::NoteViewed(looking.key));
        }
        self.follow_look();
    }
}
