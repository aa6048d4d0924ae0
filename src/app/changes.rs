//! Edits of this session that are not saved, and their undo and redo. What is saved
//! is undone by the journal, which knows every session.
//!
//! Every step is one command of the user over any number of media. A step is in the
//! journal from the moment it is made, so that a broken connection loses nothing; it
//! leaves this list when it is saved.
//!
//! Invariant: a step in the list never changes, but for media that were saved or are
//! gone; a new step drops those undone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::media_set::MediaSet;
use crate::{
    engine::{event::SaveReport, save::SaveStep},
    model::{edit::Edit, id::MediaKey, text::display_text},
};

/// One command of the user that is not saved. Cheap to copy, whatever it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub number: u64,
    /// What it does, for people, safe to draw: `tag 3: +solo`.
    pub label: String,
    /// By key.
    pub changes: Arc<[Change]>,
    /// The media in it.
    keys: MediaSet,
    /// The journal has it.
    pub is_kept: bool,
    /// The journal could not take it.
    is_refused: bool,
}

/// The edits of one medium.
pub type Change = (MediaKey, Arc<[Edit]>);

/// What an undo or redo has to do.
#[derive(Clone, Debug)]
pub enum Turn {
    /// It was an unsaved step; done.
    Unsaved(Step),
    /// It is for the journal.
    Saved,
    /// The step is being saved at this moment.
    Wait,
    Nothing,
}

/// Steps to try again.
#[derive(Debug, Default, PartialEq)]
pub struct Refused {
    /// To be saved.
    pub save: Vec<SaveStep>,
    /// To be put into the journal.
    pub keep: Vec<SaveStep>,
}

/// The unsaved edits of the session. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Steps in force, oldest first.
    pub steps: Vec<Step>,
    /// Steps that were undone, newest last.
    undone: Vec<Step>,
    /// Media whose last save failed, and why; safe to draw.
    pub failed: HashMap<MediaKey, String>,
    /// The media of all steps.
    pending: MediaSet,
    /// So many of the first steps are being saved.
    saving: usize,
    /// Nobody asked for the save that is under way: an earlier one failed.
    is_retry: bool,
    save_again: bool,
    /// Saved operations that were undone in a row: they are done again first.
    reverted: usize,
    last_number: u64,
    version: u64,
}

impl Step {
    fn to_save(&self) -> SaveStep {
        SaveStep {
            number: self.number,
            action: self.label.clone(),
            changes: self.changes.to_vec(),
        }
    }

    /// What is to be done to one medium.
    fn of(&self, key: MediaKey) -> &[Edit] {
        let is_there = self.keys.contains(key);
        let place = is_there.then(|| self.changes.binary_search_by_key(&key, |(key, _)| *key));
        match place {
            Some(Ok(place)) => &self.changes[place].1,
            _ => &[],
        }
    }

    fn set(&mut self, mut changes: Vec<Change>) {
        if !changes.is_sorted_by_key(|(key, _)| *key) {
            changes.sort_by_key(|(key, _)| *key);
        }
        self.keys = changes.iter().map(|(key, _)| *key).collect();
        self.changes = changes.into();
    }

    /// Keeps only what belongs to some media.
    fn retain(&mut self, is_kept: impl Fn(MediaKey) -> bool) {
        if self.keys.iter().all(&is_kept) {
            return;
        }
        let kept = self.changes.iter().filter(|(key, _)| is_kept(*key));
        self.set(kept.cloned().collect());
    }
}

impl Changes {
    /// Adds a step of edits. Media without edits are left out; a step without media
    /// is none. Gives what is to be kept.
    pub fn record(
        &mut self,
        label: String,
        changes: Vec<(MediaKey, Arc<[Edit]>)>,
    ) -> Option<SaveStep> {
        let changes: Vec<_> = changes
            .into_iter()
            .filter(|(_, edits)| !edits.is_empty())
            .collect();
        if changes.is_empty() {
            return None;
        }
        self.undone.clear();
        self.reverted = 0;
        self.last_number += 1;
        let mut step = Step {
            number: self.last_number,
            label,
            changes: Arc::default(),
            keys: MediaSet::default(),
            is_kept: false,
            is_refused: false,
        };
        step.set(changes);
        let kept = step.to_save();
        self.push(step);
        Some(kept)
    }

    /// Takes the newest step back.
    pub fn undo(&mut self) -> Turn {
        if self.steps.len() > self.saving {
            let Some(step) = self.steps.pop() else {
                return Turn::Nothing;
            };
            self.undone.push(step.clone());
            self.recount();
            Turn::Unsaved(step)
        } else if self.saving > 0 {
            Turn::Wait
        } else {
            Turn::Saved
        }
    }

    /// Puts the step undone last in force again.
    pub fn redo(&mut self) -> Turn {
        if self.reverted > 0 || self.undone.is_empty() && self.steps.is_empty() {
            return Turn::Saved;
        }
        match self.undone.pop() {
            Some(mut step) => {
                step.is_kept = false;
                step.is_refused = false;
                self.push(step.clone());
                Turn::Unsaved(step)
            }
            None => Turn::Nothing,
        }
    }

    /// The journal has undone something, or done it again.
    pub fn reverted(&mut self, is_redo: bool) {
        if is_redo {
            self.reverted = self.reverted.saturating_sub(1);
        } else {
            self.reverted += 1;
        }
    }

    /// The journal has a step, or could not take it. Says whether that it could not
    /// is news.
    pub fn kept(&mut self, number: u64, is_kept: bool) -> bool {
        let Some(step) = self.steps.iter_mut().find(|step| step.number == number) else {
            return !is_kept;
        };
        let is_news = !is_kept && !step.is_refused;
        step.is_kept = is_kept;
        step.is_refused = !is_kept;
        is_news
    }

    /// Whether the journal has everything that is unsaved.
    pub fn is_kept(&self) -> bool {
        self.steps.iter().all(|step| step.is_kept)
    }

    /// Drops every unsaved step that is not being saved; gives their numbers.
    pub fn discard(&mut self) -> Vec<u64> {
        let dropped = self.steps.split_off(self.saving);
        let numbers = dropped.iter().map(|step| step.number).collect();
        self.undone.extend(dropped.into_iter().rev());
        self.recount();
        numbers
    }

    /// What must still be written of one medium, in order.
    pub fn pending(&self, key: MediaKey) -> Vec<Edit> {
        let edits = self.steps.iter().flat_map(|step| step.of(key));
        edits.cloned().collect()
    }

    pub fn has_pending(&self, key: MediaKey) -> bool {
        self.pending.contains(key)
    }

    /// Media with something to write, by key.
    pub fn pending_set(&self) -> &MediaSet {
        &self.pending
    }

    /// Media with something to write, in no particular order.
    pub fn pending_keys(&self) -> impl Iterator<Item = MediaKey> {
        self.pending.iter()
    }

    /// How many media have something to write.
    pub fn unsaved(&self) -> usize {
        self.pending.len()
    }

    /// Whether a save is under way.
    pub fn is_saving(&self) -> bool {
        self.saving > 0
    }

    /// A number that grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Everything to write, step by step. While a save is under way there is
    /// nothing, and [`Changes::saved`] asks for the rest.
    pub fn take_save(&mut self) -> Vec<SaveStep> {
        if self.is_saving() {
            self.save_again = true;
            return Vec::new();
        }
        self.saving = self.steps.len();
        self.version += 1;
        self.steps.iter().map(Step::to_save).collect()
    }

    /// What a fault kept from being written, to be tried again: the steps that the
    /// last save left, all of them or none, and those that the journal could not take.
    pub fn take_refused(&mut self) -> Refused {
        if self.is_saving() {
            return Refused::default();
        }
        // What a save leaves comes first, with nothing in it but what failed.
        let is_failed = |step: &&Step| step.keys.iter().all(|key| self.failed.contains_key(&key));
        self.saving = self.steps.iter().take_while(is_failed).count();
        self.is_retry = self.is_saving();
        self.version += 1;
        let (failed, rest) = self.steps.split_at(self.saving);
        let unkept = rest.iter().filter(|step| step.is_refused);
        Refused {
            save: failed.iter().map(Step::to_save).collect(),
            keep: unkept.map(Step::to_save).collect(),
        }
    }

    /// Whether the save that is under way repeats one that failed.
    pub fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// Takes the answer to a save; says whether another was asked for meanwhile.
    pub fn saved(&mut self, report: &SaveReport) -> bool {
        if !self.failed.is_empty() {
            for key in &report.saved {
                self.failed.remove(key);
            }
        }
        for (key, reason) in &report.failed {
            self.failed.insert(*key, display_text(reason).into_owned());
        }
        let failed: HashSet<MediaKey> = report.failed.iter().map(|(key, _)| *key).collect();
        for step in self.steps.iter_mut().take(self.saving) {
            step.retain(|key| failed.contains(&key));
        }
        self.saving = 0;
        self.is_retry = false;
        self.drop_empty();
        std::mem::take(&mut self.save_again) && self.unsaved() > 0
    }

    /// Follows media whose keys changed; those that have none any more are forgotten.
    pub fn rename_keys(&mut self, new_key: &dyn Fn(MediaKey) -> Option<MediaKey>) {
        for step in self.steps.iter_mut().chain(&mut self.undone) {
            let changes = step.changes.iter();
            let renamed =
                changes.filter_map(|(key, edits)| Some((new_key(*key)?, Arc::clone(edits))));
            step.set(renamed.collect());
        }
        self.failed = std::mem::take(&mut self.failed)
            .into_iter()
            .filter_map(|(key, reason)| Some((new_key(key)?, reason)))
            .collect();
        self.recount();
    }

    /// Forgets what was to be written of media that are gone; gives the numbers of
    /// steps of which nothing is left.
    pub fn forget(&mut self, keys: &[MediaKey]) -> Vec<u64> {
        let keys: MediaSet = keys.iter().copied().collect();
        for step in self.steps.iter_mut().chain(&mut self.undone) {
            step.retain(|key| !keys.contains(key));
        }
        self.failed.retain(|key, _| !keys.contains(*key));
        self.drop_empty()
    }

    fn drop_empty(&mut self) -> Vec<u64> {
        let is_empty = |step: &&Step| step.changes.is_empty();
        let saving = self.steps.iter().take(self.saving);
        let saving = saving.filter(|step| !is_empty(step)).count();
        let empty = self.steps.iter().filter(is_empty);
        let numbers = empty.map(|step| step.number).collect();
        self.steps.retain(|step| !step.changes.is_empty());
        self.undone.retain(|step| !step.changes.is_empty());
        self.saving = saving;
        self.recount();
        numbers
    }

    fn push(&mut self, step: Step) {
        self.pending.unite(&step.keys);
        self.steps.push(step);
        self.version += 1;
    }

    fn recount(&mut self) {
        self.pending.clear();
        for step in &self.steps {
            self.pending.unite(&step.keys);
        }
        self.failed.retain(|key, _| self.pending.contains(*key));
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{edit::apply_all, media::Media, tag::Tag};

    const KEY: MediaKey = MediaKey(1);
    const OTHER: MediaKey = MediaKey(2);

    fn add(value: &str) -> Arc<[Edit]> {
        Arc::from([Edit::AddTag {
            tag: Tag::new("", value),
            position: None,
        }])
    }

    fn shown(changes: &Changes) -> Vec<String> {
        let mut media = Media::default();
        apply_all(&changes.pending(KEY), &mut media);
        media.tags.into_iter().map(|tag| tag.value).collect()
    }

    fn record(changes: &mut Changes, value: &str) {
        let changes = changes.record(value.into(), vec![(KEY, add(value))]);
        assert_eq!(changes.unwrap().action, value);
    }

    #[test]
    fn unsaved_steps_are_undone_here_and_saved_ones_by_the_journal() {
        let mut changes = Changes::default();
        for value in ["a", "b", "c"] {
            record(&mut changes, value);
        }
        assert!(matches!(changes.undo(), Turn::Unsaved(step) if step.label == "c"));
        assert_eq!(shown(&changes), ["a", "b"]);
        assert!(matches!(changes.redo(), Turn::Unsaved(step) if step.label == "c"));
        assert_eq!(changes.take_save().len(), 3);
        assert!(matches!(changes.undo(), Turn::Wait));
        changes.saved(&SaveReport {
            saved: vec![KEY],
            ..SaveReport::default()
        });
        assert_eq!(changes.unsaved(), 0);
        assert!(matches!(changes.undo(), Turn::Saved));
        changes.reverted(false);
        assert!(matches!(changes.redo(), Turn::Saved));
    }

    #[test]
    fn what_the_journal_undid_is_done_again_before_what_was_undone_here() {
        let mut changes = Changes::default();
        record(&mut changes, "a");
        assert!(matches!(changes.undo(), Turn::Unsaved(_)));
        assert!(matches!(changes.undo(), Turn::Saved));
        changes.reverted(false);
        assert!(matches!(changes.redo(), Turn::Saved));
        changes.reverted(true);
        assert!(matches!(changes.redo(), Turn::Unsaved(step) if step.label == "a"));
    }

    #[test]
    fn a_new_step_drops_those_undone() {
        let mut changes = Changes::default();
        record(&mut changes, "a");
        changes.undo();
        record(&mut changes, "b");
        assert!(matches!(changes.redo(), Turn::Nothing));
        assert_eq!(shown(&changes), ["b"]);
    }

    #[test]
    fn a_failed_save_keeps_the_edit_and_says_why() {
        let mut changes = Changes::default();
        let both = vec![(KEY, add("a")), (OTHER, add("a"))];
        changes.record("a".into(), both);
        assert_eq!(changes.take_save().len(), 1);
        changes.saved(&SaveReport {
            saved: vec![OTHER],
            failed: vec![(KEY, "disk\nfull".into())],
            ..SaveReport::default()
        });
        assert_eq!(changes.unsaved(), 1);
        assert!(!changes.has_pending(OTHER));
        assert_eq!(changes.failed[&KEY], "disk\u{fffd}full");
        assert_eq!(changes.take_save().len(), 1, "it can be tried again");
    }

    #[test]
    fn what_failed_is_tried_again_and_nothing_that_nobody_saved() {
        let mut changes = Changes::default();
        assert_eq!(changes.take_refused(), Refused::default());
        record(&mut changes, "a");
        changes.take_save();
        changes.saved(&SaveReport {
            failed: vec![(KEY, "disk full".into())],
            ..SaveReport::default()
        });
        let both = vec![(KEY, add("b")), (OTHER, add("b"))];
        changes.record("b".into(), both);
        changes.record("c".into(), vec![(OTHER, add("c"))]);
        let (b, c) = (changes.steps[1].number, changes.steps[2].number);
        changes.kept(b, true);
        assert!(changes.kept(c, false), "news");
        assert!(!changes.kept(c, false), "known");
        let refused = changes.take_refused();
        let actions = |steps: &[SaveStep]| -> Vec<String> {
            steps.iter().map(|step| step.action.clone()).collect()
        };
        assert_eq!(actions(&refused.save), ["a"]);
        assert_eq!(actions(&refused.keep), ["c"]);
        assert!(changes.is_retry());
        assert_eq!(changes.take_refused(), Refused::default(), "one at a time");
        changes.saved(&SaveReport {
            saved: vec![KEY],
            ..SaveReport::default()
        });
        assert!(!changes.is_retry());
        assert!(changes.failed.is_empty());
        assert_eq!(changes.unsaved(), 2);
        assert_eq!(shown(&changes), ["b"]);
    }

    #[test]
    fn what_is_taken_back_has_not_failed() {
        let mut changes = Changes::default();
        record(&mut changes, "a");
        changes.take_save();
        changes.saved(&SaveReport {
            failed: vec![(KEY, "disk full".into())],
            ..SaveReport::default()
        });
        changes.undo();
        assert!(changes.failed.is_empty());
        assert_eq!(changes.take_refused(), Refused::default());
    }

    #[test]
    fn only_one_save_is_under_way() {
        let mut changes = Changes::default();
        record(&mut changes, "a");
        assert_eq!(changes.take_save().len(), 1);
        record(&mut changes, "b");
        assert!(changes.take_save().is_empty());
        let again = changes.saved(&SaveReport {
            saved: vec![KEY],
            ..SaveReport::default()
        });
        assert!(again);
        assert_eq!(changes.take_save()[0].action, "b");
    }

    #[test]
    fn what_is_kept_is_known_step_by_step() {
        let mut changes = Changes::default();
        assert!(changes.is_kept());
        record(&mut changes, "a");
        assert!(!changes.is_kept());
        changes.kept(changes.steps[0].number, true);
        assert!(changes.is_kept());
        assert_eq!(changes.discard().len(), 1);
        assert_eq!(changes.unsaved(), 0);
    }

    #[test]
    fn media_that_are_gone_leave_nothing_to_save() {
        let mut changes = Changes::default();
        record(&mut changes, "a");
        assert_eq!(changes.forget(&[OTHER]), Vec::<u64>::new());
        assert_eq!(changes.forget(&[KEY]).len(), 1);
        assert!(changes.steps.is_empty());
    }

    #[test]
    fn media_without_edits_make_no_step() {
        let mut changes = Changes::default();
        let none = changes.record("nothing".into(), vec![(KEY, Arc::from([]))]);
        assert_eq!(none, None);
        assert!(changes.steps.is_empty());
    }
}
