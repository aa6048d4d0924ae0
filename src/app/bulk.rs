//! Edits of very many media. Which of them an edit changes is found out on a thread of
//! its own; meanwhile the screen goes on and whatever is typed waits, so that all of
//! it happens in the order in which it was meant.

use std::sync::Arc;

use super::{
    changes::Change,
    context::{Context, changes_record},
    media_set::MediaSet,
    message::{Effect, Message},
    session::{App, shared},
};
use crate::model::{catalog::Catalog, edit::Edit, id::MediaKey, text::grouped};

/// What is to be found out.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedEdits {
    label: String,
    targets: Vec<MediaKey>,
    edits: Vec<Edit>,
    /// With edits that the catalog does not know yet: nobody can say without them.
    pending: MediaSet,
    /// The first one's caption as the user saw it.
    seen: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundEdits {
    asked: Arc<AskedEdits>,
    changes: Vec<Change>,
}

impl AskedEdits {
    /// Looks at each of the media. Takes a while; not for the thread that draws.
    pub fn find(self: Arc<Self>, catalog: &Catalog) -> FoundEdits {
        let edits: Arc<[Edit]> = self.edits.clone().into();
        let is_changed = |key: &MediaKey| {
            self.pending.contains(*key)
                || catalog
                    .record(*key)
                    .is_some_and(|record| changes_record(&record, &edits).unwrap_or(true))
        };
        let changed = self.targets.iter().copied().filter(is_changed);
        let mut changes: Vec<Change> = changed.map(|key| (key, Arc::clone(&edits))).collect();
        changes.sort_by_key(|(key, _)| *key);
        FoundEdits {
            asked: self,
            changes,
        }
    }
}

impl Context<'_> {
    /// Has a thread find out which media edits change; gives how many there are.
    pub(super) fn ask_edits(
        &mut self,
        label: &str,
        targets: &[MediaKey],
        edits: Vec<Edit>,
        seen: Option<&str>,
    ) -> usize {
        let count = targets.len();
        let asked = Arc::new(AskedEdits {
            label: label.to_owned(),
            targets: targets.to_vec(),
            edits,
            pending: self.changes.pending_set().clone(),
            seen: seen.map(str::to_owned),
        });
        *self.asked_edits = Some(Arc::clone(&asked));
        self.effect(Effect::FindEdits(asked));
        self.info(format!("{label}: {} pictures…", grouped(count as u64)));
        count
    }
}

impl App {
    /// Keeps what the user does while a large edit is looked at; everything else goes
    /// through. The end of the session does not wait: the edit is finished here.
    pub(super) fn hold_back(&mut self, message: Message) -> Option<Message> {
        if self.asked_edits.is_none() {
            return Some(message);
        }
        match message {
            Message::Key(_)
            | Message::Paste(_)
            | Message::Click(_)
            | Message::Action(_)
            | Message::Scroll { .. } => {
                self.held_back.push_back(message);
                None
            }
            Message::Terminate => {
                if let Some(asked) = self.asked_edits.clone() {
                    let found = asked.find(&self.catalog);
                    self.record_edits(found);
                }
                self.held_back.clear();
                Some(message)
            }
            other => Some(other),
        }
    }

    /// Takes the answer, and then what was typed meanwhile.
    pub(super) fn take_edits(&mut self, found: FoundEdits) {
        let is_asked = self
            .asked_edits
            .as_ref()
            .is_some_and(|asked| Arc::ptr_eq(asked, &found.asked));
        if !is_asked {
            return;
        }
        self.record_edits(found);
        while self.asked_edits.is_none()
            && let Some(message) = self.held_back.pop_front()
        {
            let before = std::mem::take(&mut self.effects);
            let more = self.update(message);
            self.effects = before;
            self.effects.extend(more);
        }
    }

    fn record_edits(&mut self, found: FoundEdits) {
        self.asked_edits = None;
        let FoundEdits { asked, mut changes } = found;
        let mut ctx = shared!(self);
        // Of the few whose sidecar was read the caption that is replaced is known.
        let sets_caption = |edit: &Edit| matches!(edit, Edit::SetCaption(_));
        if asked.edits.iter().any(sets_caption) {
            let first = asked.targets.first().copied();
            for (key, edits) in &mut changes {
                let seen = asked.seen.as_deref().filter(|_| Some(*key) == first);
                if seen.is_some() || ctx.loaded.media(*key).is_some() {
                    *edits = ctx.with_seen_caption(*key, edits, seen);
                }
            }
        }
        ctx.record_repeatable(&asked.label, asked.edits.clone(), changes);
    }
}
