//! Edits of this session: what is in force, what is in the files, undo and redo.
//!
//! Every step is one command of the user over any number of media. For each medium
//! a timeline remembers its edits and which of them its file holds, so that the
//! edits still to be written follow from where the user stands: forward through the
//! edits, or back through the inverses that saving returned.
//!
//! Invariant: a step in the list never changes; a new one drops those undone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    engine::event::SaveReport,
    model::{edit::Edit, id::MediaKey, text::display_text},
};

/// The file holds edits of a branch that was left by undo.
const ELSEWHERE: usize = usize::MAX;

/// One command of the user.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it did, for people, safe to draw: `tag 3: +solo`.
    pub label: String,
    pub keys: Arc<[MediaKey]>,
}

/// The history of one medium.
#[derive(Clone, Debug, Default)]
struct Timeline {
    /// Edits with the step they belong to, ascending.
    edits: Vec<(usize, Arc<[Edit]>)>,
    /// How many of `edits` the file holds, or [`ELSEWHERE`].
    at: usize,
    /// What saving returned, newest last: applying the edits to the file takes it
    /// back to where it held so many of `edits`.
    back: Vec<(usize, Vec<Edit>)>,
    /// What `at` becomes when the save under way succeeds.
    saving: Option<usize>,
}

/// The edits of the session.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Every step, those undone last.
    pub steps: Vec<Step>,
    /// How many steps are in force.
    pub position: usize,
    /// Media whose last save failed, and why; safe to draw.
    pub failed: HashMap<MediaKey, String>,
    timelines: HashMap<MediaKey, Timeline>,
    unsaved: usize,
    is_saving: bool,
    save_again: bool,
    version: u64,
}

impl Timeline {
    /// How many edits are in force.
    fn target(&self, position: usize) -> usize {
        self.edits.partition_point(|(step, _)| *step < position)
    }

    fn pending(&self, position: usize) -> Vec<Edit> {
        let target = self.target(position);
        let mut edits = Vec::new();
        let mut at = self.at;
        for (to, inverse) in self.back.iter().rev() {
            if at <= target {
                break;
            }
            edits.extend_from_slice(inverse);
            at = *to;
        }
        let forward = self.edits.get(at.min(target)..target).unwrap_or_default();
        edits.extend(forward.iter().flat_map(|(_, edits)| edits.iter().cloned()));
        edits
    }

    /// Forgets the edits of steps from `position` on.
    fn truncate(&mut self, position: usize) {
        let target = self.target(position);
        self.edits.truncate(target);
        let places = std::iter::once(&mut self.at)
            .chain(&mut self.saving)
            .chain(self.back.iter_mut().map(|(to, _)| to));
        for place in places.filter(|place| **place > target) {
            *place = ELSEWHERE;
        }
    }
}

impl Changes {
    /// Adds a step of edits and puts it in force. Media without edits are left out;
    /// a step without media is none. Says whether there was one.
    pub fn record(&mut self, label: String, changes: Vec<(MediaKey, Arc<[Edit]>)>) -> bool {
        let changes: Vec<_> = changes
            .into_iter()
            .filter(|(_, edits)| !edits.is_empty())
            .collect();
        if changes.is_empty() {
            return false;
        }
        let undone: HashSet<MediaKey> = self
            .steps
            .drain(self.position..)
            .flat_map(|step| step.keys.to_vec())
            .collect();
        for key in undone {
            if let Some(timeline) = self.timelines.get_mut(&key) {
                timeline.truncate(self.position);
            }
        }
        let step = self.steps.len();
        let keys = changes.iter().map(|(key, _)| *key).collect();
        for (key, edits) in changes {
            self.timelines
                .entry(key)
                .or_default()
                .edits
                .push((step, edits));
        }
        self.steps.push(Step { label, keys });
        self.position = self.steps.len();
        self.recount();
        true
    }

    /// Takes the newest step in force back.
    pub fn undo(&mut self) -> Option<&Step> {
        self.position = self.position.checked_sub(1)?;
        self.recount();
        self.steps.get(self.position)
    }

    /// Puts the oldest undone step in force again.
    pub fn redo(&mut self) -> Option<&Step> {
        if self.position == self.steps.len() {
            return None;
        }
        self.position += 1;
        self.recount();
        self.steps.get(self.position - 1)
    }

    /// What must still be written of one medium, in order.
    pub fn pending(&self, key: MediaKey) -> Vec<Edit> {
        self.timelines
            .get(&key)
            .map_or_else(Vec::new, |timeline| timeline.pending(self.position))
    }

    pub fn has_pending(&self, key: MediaKey) -> bool {
        self.timelines
            .get(&key)
            .is_some_and(|timeline| timeline.at != timeline.target(self.position))
    }

    /// Media with something to write, in no particular order.
    pub fn pending_keys(&self) -> impl Iterator<Item = MediaKey> {
        self.timelines
            .iter()
            .filter(|(_, timeline)| timeline.at != timeline.target(self.position))
            .map(|(key, _)| *key)
    }

    /// How many media have something to write.
    pub fn unsaved(&self) -> usize {
        self.unsaved
    }

    /// Whether a save is under way.
    pub fn is_saving(&self) -> bool {
        self.is_saving
    }

    /// A number that grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Everything to write, by key. While a save is under way there is nothing, and
    /// [`Changes::saved`] asks for the rest.
    pub fn take_save(&mut self) -> Vec<(MediaKey, Vec<Edit>)> {
        if self.is_saving {
            self.save_again = true;
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (key, timeline) in &mut self.timelines {
            let target = timeline.target(self.position);
            if timeline.at != target {
                timeline.saving = Some(target);
                changes.push((*key, timeline.pending(self.position)));
            }
        }
        changes.sort_by_key(|(key, _)| *key);
        self.is_saving = !changes.is_empty();
        self.version += 1;
        changes
    }

    /// Takes the answer to a save; says whether another was asked for meanwhile.
    pub fn saved(&mut self, report: &SaveReport) -> bool {
        for (key, inverse) in &report.saved {
            self.failed.remove(key);
            if let Some(timeline) = self.timelines.get_mut(key)
                && let Some(target) = timeline.saving.take()
            {
                let from = std::mem::replace(&mut timeline.at, target);
                timeline.back.push((from, inverse.clone()));
            }
        }
        for (key, reason) in &report.failed {
            self.failed.insert(*key, display_text(reason).into_owned());
        }
        for timeline in self.timelines.values_mut() {
            timeline.saving = None;
        }
        self.is_saving = false;
        self.recount();
        std::mem::take(&mut self.save_again) && self.unsaved > 0
    }

    /// Every medium that was edited.
    pub fn keys(&self) -> impl Iterator<Item = MediaKey> {
        self.timelines.keys().copied()
    }

    /// Follows media whose keys changed; those that have none any more are forgotten.
    pub fn rename_keys(&mut self, new_key: &dyn Fn(MediaKey) -> Option<MediaKey>) {
        self.timelines = std::mem::take(&mut self.timelines)
            .into_iter()
            .filter_map(|(key, timeline)| Some((new_key(key)?, timeline)))
            .collect();
        self.failed = std::mem::take(&mut self.failed)
            .into_iter()
            .filter_map(|(key, reason)| Some((new_key(key)?, reason)))
            .collect();
        for step in &mut self.steps {
            step.keys = step.keys.iter().filter_map(|key| new_key(*key)).collect();
        }
        self.recount();
    }

    /// Forgets what was to be written of media that are gone.
    pub fn forget(&mut self, keys: &[MediaKey]) {
        for key in keys {
            self.timelines.remove(key);
            self.failed.remove(key);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.version += 1;
        self.unsaved = self.pending_keys().count();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        edit::apply_all,
        media::Media,
        tag::{Tag, TagName},
    };

    const KEY: MediaKey = MediaKey(1);

    fn add(value: &str) -> Arc<[Edit]> {
        Arc::from([Edit::AddTag {
            tag: Tag::new("", value),
            position: None,
        }])
    }

    fn values(media: &Media) -> Vec<&str> {
        media.tags.iter().map(|tag| tag.value.as_str()).collect()
    }

    /// A file, and a save of it.
    #[derive(Default)]
    struct File {
        media: Media,
        /// What the save under way is to write.
        under_way: Option<Vec<Edit>>,
    }

    impl File {
        fn begin(&mut self, changes: &mut Changes) {
            if let Some((_, edits)) = changes.take_save().pop() {
                self.under_way = Some(edits);
            }
        }

        fn finish(&mut self, changes: &mut Changes) {
            if let Some(edits) = self.under_way.take() {
                let inverse = apply_all(&edits, &mut self.media);
                let again = changes.saved(&SaveReport {
                    saved: vec![(KEY, inverse)],
                    ..SaveReport::default()
                });
                if again {
                    self.begin(changes);
                }
            }
        }

        fn shown(&self, changes: &Changes) -> Media {
            let mut media = self.media.clone();
            apply_all(&changes.pending(KEY), &mut media);
            media
        }
    }

    #[test]
    fn undo_goes_back_through_a_save_and_redo_forward() {
        let (mut changes, mut file) = (Changes::default(), File::default());
        for value in ["a", "b", "c"] {
            assert!(changes.record(value.into(), vec![(KEY, add(value))]));
        }
        file.begin(&mut changes);
        file.finish(&mut changes);
        assert_eq!(changes.unsaved(), 0);
        assert_eq!(values(&file.media), ["a", "b", "c"]);

        assert_eq!(changes.undo().unwrap().label, "c");
        assert_eq!(values(&file.shown(&changes)), ["a", "b"]);
        assert_eq!(changes.unsaved(), 1);
        file.begin(&mut changes);
        file.finish(&mut changes);
        assert_eq!(values(&file.media), ["a", "b"]);

        assert_eq!(changes.undo().unwrap().label, "b");
        assert_eq!(values(&file.shown(&changes)), ["a"]);
        changes.redo();
        assert_eq!(changes.redo().unwrap().label, "c");
        assert_eq!(values(&file.shown(&changes)), ["a", "b", "c"]);
        assert!(changes.redo().is_none());
    }

    #[test]
    fn a_new_step_after_undo_leaves_what_was_saved() {
        let (mut changes, mut file) = (Changes::default(), File::default());
        changes.record("a".into(), vec![(KEY, add("a"))]);
        changes.record("b".into(), vec![(KEY, add("b"))]);
        file.begin(&mut changes);
        file.finish(&mut changes);
        changes.undo();
        changes.record("c".into(), vec![(KEY, add("c"))]);
        assert_eq!(values(&file.shown(&changes)), ["a", "c"]);
        assert_eq!(changes.steps.len(), 2);
        file.begin(&mut changes);
        file.finish(&mut changes);
        assert_eq!(values(&file.media), ["a", "c"]);
        assert_eq!(changes.unsaved(), 0);
    }

    #[test]
    fn a_failed_save_keeps_the_edit_and_says_why() {
        let mut changes = Changes::default();
        changes.record("a".into(), vec![(KEY, add("a"))]);
        assert_eq!(changes.take_save().len(), 1);
        changes.saved(&SaveReport {
            failed: vec![(KEY, "disk\nfull".into())],
            ..SaveReport::default()
        });
        assert_eq!(changes.unsaved(), 1);
        assert_eq!(changes.failed[&KEY], "disk\u{fffd}full");
        assert_eq!(changes.take_save().len(), 1, "it can be tried again");
    }

    #[test]
    fn only_one_save_is_under_way() {
        let mut changes = Changes::default();
        changes.record("a".into(), vec![(KEY, add("a"))]);
        assert_eq!(changes.take_save().len(), 1);
        changes.record("b".into(), vec![(KEY, add("b"))]);
        assert!(changes.take_save().is_empty());
        let again = changes.saved(&SaveReport {
            saved: vec![(
                KEY,
                vec![Edit::RestoreTags {
                    tags: vec![],
                    tags_removed: vec![],
                }],
            )],
            ..SaveReport::default()
        });
        assert!(again);
        let save = changes.take_save();
        assert_eq!(save[0].1, add("b").to_vec());
    }

    #[test]
    fn media_without_edits_make_no_step() {
        let mut changes = Changes::default();
        assert!(!changes.record("nothing".into(), vec![(KEY, Arc::from([]))]));
        assert!(changes.steps.is_empty());
    }

    proptest! {
        /// Whatever is done in whatever order, what is shown is what the steps in
        /// force make of the first state.
        #[test]
        fn what_is_shown_is_what_is_in_force(
            moves in prop::collection::vec((0..6_u8, 0..5_usize), 0..60)
        ) {
            let (mut changes, mut file) = (Changes::default(), File::default());
            let mut in_force: Vec<Arc<[Edit]>> = Vec::new();
            let mut undone: Vec<Arc<[Edit]>> = Vec::new();
            for (kind, n) in moves {
                let value = ["a", "b", "c", "d", "e"][n];
                match kind {
                    0 | 1 => {
                        let edits: Arc<[Edit]> = if kind == 0 {
                            add(value)
                        } else {
                            Arc::from([Edit::RemoveTag {
                                name: TagName::new("", value),
                                at: String::new(),
                            }])
                        };
                        changes.record(value.into(), vec![(KEY, Arc::clone(&edits))]);
                        in_force.push(edits);
                        undone.clear();
                    }
                    2 => {
                        changes.undo();
                        undone.extend(in_force.pop());
                    }
                    3 => {
                        changes.redo();
                        in_force.extend(undone.pop());
                    }
                    4 => file.begin(&mut changes),
                    _ => file.finish(&mut changes),
                }
                if file.under_way.is_none() {
                    let mut expected = Media::default();
                    for edits in &in_force {
                        apply_all(edits, &mut expected);
                    }
                    prop_assert_eq!(file.shown(&changes), expected);
                }
            }
        }
    }
}
