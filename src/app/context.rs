//! What the panes share while a message is handled: the catalog, the edits, the
//! loaded sidecars, and the way out for effects and notices.

use std::sync::Arc;

use super::{
    bulk::AskedEdits,
    changes::Changes,
    config::Config,
    dialog::Dialog,
    info::Loaded,
    marks::Marks,
    message::{Effect, Now, ScreenEffect},
    notices::Notices,
};
use crate::{
    engine::event::Level,
    model::{
        catalog::{Catalog, Record},
        edit::{Edit, apply_all},
        entry::format_time,
        id::MediaKey,
        media::Media,
        tag::{Tag, TagName, USER},
    },
};

/// Borrowed from the session for the time of one message.
pub struct Context<'a> {
    pub catalog: &'a Arc<Catalog>,
    pub marks: &'a Marks,
    pub config: &'a Config,
    pub changes: &'a mut Changes,
    pub loaded: &'a mut Loaded,
    pub notices: &'a mut Notices,
    pub dialogs: &'a mut Vec<Dialog>,
    pub effects: &'a mut Vec<Effect>,
    /// The number of the newest request of any kind.
    pub generation: &'a mut u64,
    /// The edits of the last command, for repeating it.
    pub last_edit: &'a mut Option<LastEdit>,
    /// Set while a thread looks what a large edit changes.
    pub asked_edits: &'a mut Option<Arc<AskedEdits>>,
    pub now: Now,
}

/// From so many targets on a thread of its own looks which of them an edit changes.
pub const BULK: usize = 2_000;

/// A command that can be repeated on other media.
#[derive(Clone, Debug, PartialEq)]
pub struct LastEdit {
    pub label: String,
    pub edits: Vec<Edit>,
}

impl Context<'_> {
    pub fn say(&mut self, level: Level, text: impl AsRef<str>) {
        self.notices.say(level, text.as_ref(), self.now);
    }

    pub fn info(&mut self, text: impl AsRef<str>) {
        self.say(Level::Info, text);
    }

    pub fn warn(&mut self, text: impl AsRef<str>) {
        self.say(Level::Warning, text);
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Puts text on the clipboard and says so.
    pub fn copy(&mut self, what: &str, text: String) {
        if text.is_empty() {
            self.warn(format!("there is no {what} to copy"));
        } else {
            self.effect(Effect::Screen(ScreenEffect::Copy(text)));
            self.info(format!("copied the {what}"));
        }
    }

    /// A number for a new request.
    pub fn next_generation(&mut self) -> u64 {
        *self.generation += 1;
        *self.generation
    }

    /// The time as sidecars store it.
    pub fn now_text(&self) -> String {
        format_time(self.now.unix)
    }

    /// A tag the user puts on a medium now.
    pub fn user_tag(&self, name: &TagName) -> Tag {
        Tag {
            src: Some(USER.to_owned()),
            at: Some(self.now_text()),
            ..Tag::new(&name.category, &name.value)
        }
    }

    /// A medium with the edits that are pending.
    pub fn media(&self, key: MediaKey) -> Option<Media> {
        media(self.catalog, self.loaded, self.changes, key)
    }

    /// The names of the tags of a medium, pending edits included.
    pub fn tag_names(&self, key: MediaKey) -> Vec<TagName> {
        if self.changes.has_pending(key) {
            self.media(key)
                .map_or_else(Vec::new, |media| media.tags.iter().map(Tag::name).collect())
        } else {
            self.catalog
                .record(key)
                .map_or_else(Vec::new, |record| record.tags().cloned().collect())
        }
    }

    /// Records the same edits for several media, leaving out those they do not
    /// change, and remembers them for repeating. Gives how many they change.
    pub fn edit(&mut self, label: &str, targets: &[MediaKey], edits: Vec<Edit>) -> usize {
        if targets.len() > BULK {
            return self.ask_edits(label, targets, edits, None);
        }
        let shared: Arc<[Edit]> = edits.clone().into();
        let changes: Vec<_> = targets
            .iter()
            .filter(|key| self.would_change(**key, &edits))
            .map(|key| (*key, self.with_seen_caption(*key, &shared, None)))
            .collect();
        self.record_repeatable(label, edits, changes)
    }

    /// Records a caption for several media; `seen` is what the user was shown as
    /// the caption of the first.
    pub fn edit_caption(&mut self, targets: &[MediaKey], text: String, seen: &str) -> usize {
        let edits = vec![Edit::SetCaption(text)];
        if targets.len() > BULK {
            return self.ask_edits("caption", targets, edits, Some(seen));
        }
        let shared: Arc<[Edit]> = edits.clone().into();
        let changes: Vec<_> = targets
            .iter()
            .enumerate()
            .filter(|(_, key)| self.would_change(**key, &edits))
            .map(|(n, key)| {
                let seen = (n == 0).then_some(seen);
                (*key, self.with_seen_caption(*key, &shared, seen))
            })
            .collect();
        self.record_repeatable("caption", edits, changes)
    }

    /// A caption is set in the place of the one that the user saw or that is shown
    /// now, so that one written by another program meanwhile is not lost.
    pub(super) fn with_seen_caption(
        &self,
        key: MediaKey,
        edits: &Arc<[Edit]>,
        seen: Option<&str>,
    ) -> Arc<[Edit]> {
        if !edits.iter().any(|edit| matches!(edit, Edit::SetCaption(_))) {
            return Arc::clone(edits);
        }
        let shown = || {
            self.loaded.media(key)?;
            Some(self.media(key)?.caption)
        };
        let Some(mut seen) = seen.map(str::to_owned).or_else(shown) else {
            return Arc::clone(edits);
        };
        let edits = edits.iter().map(|edit| match edit {
            Edit::SetCaption(text) => Edit::ReplaceCaption {
                seen: std::mem::replace(&mut seen, text.clone()),
                text: text.clone(),
            },
            other => other.clone(),
        });
        edits.collect()
    }

    pub(super) fn record_repeatable(
        &mut self,
        label: &str,
        edits: Vec<Edit>,
        changes: Vec<(MediaKey, Arc<[Edit]>)>,
    ) -> usize {
        *self.last_edit = Some(LastEdit {
            label: label.to_owned(),
            edits,
        });
        self.record(label, changes)
    }

    /// Records edits that differ from medium to medium.
    pub fn record(&mut self, label: &str, changes: Vec<(MediaKey, Arc<[Edit]>)>) -> usize {
        let count = changes.len();
        let label = match count {
            0 => {
                self.info(format!("{label}: nothing to change"));
                return 0;
            }
            1 => label.to_owned(),
            n => format!("{label} on {n}"),
        };
        let Some(step) = self.changes.record(label.clone(), changes) else {
            return 0;
        };
        self.effect(Effect::Keep(step));
        self.info(label);
        count
    }

    /// Whether edits change a medium. Asks the catalog where that is enough, because
    /// a selection can hold everything.
    fn would_change(&self, key: MediaKey, edits: &[Edit]) -> bool {
        if !self.changes.has_pending(key) {
            let Some(record) = self.catalog.record(key) else {
                return false;
            };
            if let Some(changes) = changes_record(&record, edits) {
                return changes;
            }
        }
        // What only the sidecar holds may change as long as that is not read.
        let is_read = self.loaded.media(key).is_some();
        let is_in_sidecar = |edit: &Edit| {
            !matches!(
                edit,
                Edit::AddTag { .. }
                    | Edit::RemoveTag { .. }
                    | Edit::MoveTag { .. }
                    | Edit::RenameTag { .. }
                    | Edit::SetName(_)
                    | Edit::SetRating { .. }
                    | Edit::SetStars(_)
                    | Edit::SetFav(_)
                    | Edit::SetStatus(_)
            )
        };
        self.media(key).is_some_and(|mut media| {
            !apply_all(edits, &mut media).is_empty() || !is_read && edits.iter().any(is_in_sidecar)
        })
    }
}

/// Whether edits change what the catalog knows of a medium; `None` when they may change
/// what only its sidecar has.
pub fn changes_record(record: &Record<'_>, edits: &[Edit]) -> Option<bool> {
    let answer = |edit: &Edit| match edit {
        Edit::AddTag { tag, .. } => {
            let name = tag.name();
            Some(!record.tags().any(|known| *known == name))
        }
        Edit::RemoveTag { name, .. } | Edit::MoveTag { name, .. } => {
            Some(record.tags().any(|known| known == name))
        }
        Edit::RenameTag { from, .. } => Some(record.tags().any(|known| known == from)),
        Edit::SetFav(fav) => Some(record.fav() != *fav),
        Edit::SetStars(stars) => Some(record.stars() != *stars),
        Edit::SetStatus(status) => Some(record.status() != *status),
        Edit::SetRating { rating, .. } => Some(record.rating() != *rating),
        _ => None,
    };
    let answers: Option<Vec<bool>> = edits.iter().map(answer).collect();
    answers.map(|answers| answers.contains(&true))
}

/// A medium as it stands with the pending edits: from its sidecar when that is
/// loaded, else from what the catalog knows.
pub fn media(
    catalog: &Catalog,
    loaded: &Loaded,
    changes: &Changes,
    key: MediaKey,
) -> Option<Media> {
    let mut media = match loaded.media(key) {
        Some(media) => media.clone(),
        None => sketch(&catalog.record(key)?),
    };
    apply_all(&changes.pending(key), &mut media);
    Some(media)
}

/// What the catalog knows of a medium, in the form of a sidecar.
pub fn sketch(record: &Record<'_>) -> Media {
    Media {
        kind: record.kind(),
        name: record.name().to_owned(),
        tags: record
            .tags()
            .map(|name| Tag::new(&name.category, &name.value))
            .collect(),
        rating: record.rating(),
        stars: record.stars(),
        fav: record.fav(),
        status: record.status(),
        ..Media::default()
    }
}
