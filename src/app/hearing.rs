//! What the engine tells: catalogs, results, pictures, the ends of jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    dialog::Dialog,
    editor,
    ingest_log::Source,
    message::Effect,
    session::{App, shared},
};
use crate::{
    engine::{
        event::{Event, IngestEvent, IngestOutcome, Level, RevertReport, SaveReport, Unsaved},
        search::Found,
    },
    model::{
        catalog::{Catalog, Record},
        entry::Facets as Has,
        id::MediaKey,
        text::display_text,
    },
};

impl App {
    pub(super) fn hear(&mut self, event: Event) {
        match event {
            Event::Catalog { catalog, changed } => self.take_catalog(catalog, changed),
            Event::Found { generation, found } => self.found(generation, found),
            Event::Suggestions {
                generation,
                suggestions,
            } => {
                let none = BTreeMap::new();
                if generation == self.query_bar.completion.generation {
                    let items = editor::candidates(&suggestions, &none);
                    self.query_bar.completion.receive_terms(generation, items);
                } else if let Some(prompt) = self.dialogs.last_mut().and_then(Dialog::as_prompt_mut)
                    && prompt.completion.generation == generation
                {
                    let items = editor::candidates(&suggestions, &none);
                    prompt.completion.receive(generation, items);
                } else {
                    self.editor.receive_suggestions(generation, &suggestions);
                }
            }
            Event::Picture { key, size, outcome } => self.pictures.insert(key, size, outcome),
            Event::Frame {
                key,
                number,
                outcome,
            } => self.frames.receive(key, number, outcome),
            Event::Media { key, outcome } => {
                self.loaded.receive(key, outcome);
                if let Some((wanted, action)) = self.when_read
                    && wanted == key
                {
                    self.when_read = None;
                    if self.targets().first() == Some(&key) {
                        self.copy(action);
                    }
                }
            }
            Event::Saved { report, .. } => self.saved(&report),
            Event::Ingest(event) => {
                if let IngestEvent::Finished {
                    path,
                    outcome:
                        IngestOutcome::Failed { reason } | IngestOutcome::Quarantined { reason },
                    ..
                } = &event
                {
                    let text = format!("{}: {reason}", path.display());
                    self.notices.log(Level::Warning, &text, self.now);
                }
                self.ingest_log.receive(event, self.now.elapsed);
            }
            Event::JobDone {
                job,
                label,
                outcome,
            } => {
                self.jobs.retain(|known| known.job != job);
                match outcome {
                    Ok(text) => self.say(Level::Info, &format!("{label}: {text}")),
                    Err(reason) => self.say(Level::Error, &format!("{label}: {reason}")),
                }
            }
            // Taken before, when it is news.
            Event::Cache(_) => {}
            Event::Sources(states) => {
                self.ingest_log.sources = states.iter().map(Source::of).collect();
            }
            Event::Notice { level, text } => self.say(level, &text),
            Event::IndexOffer(offer) => {
                self.index_offer = Some(offer);
                self.asks_about_index = true;
            }
            Event::Kept { number, result } => {
                let is_news = self.changes.kept(number, result.is_ok());
                if let Err(reason) = result {
                    self.retry.failed(self.now.elapsed);
                    if is_news {
                        let text = format!("unsaved edits are in memory only: {reason}");
                        self.say(Level::Error, &text);
                    }
                }
            }
            Event::Unsaved(found) => self.take_over(found),
            Event::Reverted { is_redo, result } => self.reverted(is_redo, result),
            Event::History(Ok(past)) => {
                let unsaved: Vec<String> = self
                    .changes
                    .steps
                    .iter()
                    .map(|step| step.label.clone())
                    .collect();
                if unsaved.is_empty() && past.is_empty() {
                    self.say(Level::Info, "nothing was done yet");
                } else {
                    self.dialogs.push(Dialog::history(&unsaved, &past));
                }
            }
            Event::History(Err(reason)) | Event::Searches(Err(reason)) => {
                self.say(Level::Error, &reason);
            }
            Event::Implication {
                suggested,
                left,
                skip,
            } => self.offer_implication(suggested, left, skip),
            Event::Why(reasons) => self.show_why(&reasons),
            Event::Marks(marks) => self.take_marks(&marks),
            Event::Searches(Ok(searches)) => self.show_searches(&searches),
        }
    }

    /// The unsaved edits of a session that was broken off go on in this one.
    fn take_over(&mut self, found: Vec<Unsaved>) {
        // Several steps may be of one picture.
        let mut media = BTreeSet::new();
        let mut old = Vec::new();
        for unsaved in found {
            old.push(unsaved.id);
            media.extend(unsaved.changes.iter().map(|(key, _)| *key));
            if let Some(step) = self.changes.record(unsaved.action, unsaved.changes) {
                self.effects.push(Effect::Keep(step));
            }
        }
        // In the same order as what is kept anew, so that they are never nowhere.
        self.effects.push(Effect::Forget(old));
        if !media.is_empty() {
            let pictures = match media.len() {
                1 => "1 picture".to_owned(),
                n => format!("{n} pictures"),
            };
            let text = format!(
                "unsaved edits of {pictures} are back from an earlier session: \
                 save them, or undo them"
            );
            self.say(Level::Warning, &text);
        }
    }

    fn reverted(&mut self, is_redo: bool, result: Result<Option<RevertReport>, String>) {
        let report = match result {
            Ok(Some(report)) => report,
            Ok(None) if is_redo => return self.say(Level::Info, "nothing to do again"),
            Ok(None) => return self.say(Level::Info, "nothing to undo"),
            Err(reason) => return self.say(Level::Error, &reason),
        };
        self.changes.reverted(is_redo);
        self.loaded.clear();
        let what = if is_redo { "done again" } else { "undone" };
        let is_nothing = report.changed + report.trashed == 0 && !report.left.is_empty();
        let not = if is_nothing { "not " } else { "" };
        let text = format!("{not}{what}: {}", report.action);
        if let Some(warning) = &report.warning {
            self.say(Level::Warning, warning);
        }
        self.say_merged(&report.merged);
        match report.left.as_slice() {
            [] => self.say(Level::Info, &text),
            [only] => self.say(Level::Warning, &format!("{text}; left alone: {only}")),
            [first, rest @ ..] => {
                let text = format!("{text}; left alone: {first}, and {} more", rest.len());
                self.say(Level::Warning, &text);
            }
        }
    }

    fn say_merged(&mut self, merged: &[String]) {
        match merged {
            [] => {}
            [only] => self.say(Level::Warning, only),
            [first, rest @ ..] => {
                let text = format!("{first}; and {} more", rest.len());
                self.say(Level::Warning, &text);
            }
        }
    }

    fn saved(&mut self, report: &SaveReport) {
        let is_retry = self.changes.is_retry();
        let again = self.changes.saved(report);
        for key in &report.saved {
            self.loaded.forget(*key);
        }
        for warning in &report.warnings {
            self.say(Level::Warning, warning);
        }
        self.say_merged(&report.merged);
        if let Some((key, reason)) = report.failed.first() {
            self.retry.failed(self.now.elapsed);
            // Said when it was asked for; who asks again is told again.
            if is_retry {
                if again {
                    self.save();
                }
                return;
            }
            let name = self
                .catalog
                .record(*key)
                .map_or_else(String::new, |record| record.title().into_owned());
            let text = match report.failed.len() {
                1 => format!("cannot save {name}, to be tried again: {reason}"),
                n => format!("cannot save {n} pictures, to be tried again; {name}: {reason}"),
            };
            self.say(Level::Error, &text);
            if std::mem::take(&mut self.quits_when_saved) {
                self.dialogs
                    .push(Dialog::quit(self.changes.unsaved(), Some(reason)));
            }
            return;
        }
        self.retry.reset();
        if again {
            self.save();
            return;
        }
        self.say(Level::Info, &format!("saved {}", report.saved.len()));
        if self.quits_when_saved {
            self.save_and_quit();
        }
    }

    fn found(&mut self, generation: u64, found: Found) {
        let Some(is_new) = self.query_bar.receive(generation) else {
            return;
        };
        self.gallery.elapsed = found.elapsed;
        let nowhere: Vec<String> = found
            .terms
            .iter()
            .filter(|term| term.count == 0)
            .map(|term| term.text.clone())
            .collect();
        self.gallery.hint = match (&found.hint, &nowhere[..]) {
            (Some(hint), _) => Some(hint.clone()),
            (None, []) => None,
            (None, [term]) => Some(format!("no picture has {term}")),
            (None, terms) => Some(format!("no picture has any of {}", terms.join(", "))),
        }
        .map(|hint| display_text(&hint).into_owned());
        self.query_bar.hint = found.hint.map(|hint| display_text(&hint).into_owned());
        self.gallery.receive(found.keys, is_new);
        self.arrive();
        if self.panes.facets {
            let results = Arc::clone(&self.gallery.results);
            let mut ctx = shared!(self);
            self.facets.ask(&results, &mut ctx);
        }
        let mut ctx = shared!(self);
        self.query_bar.after_answer(self.gallery.sort, &mut ctx);
    }

    fn take_catalog(&mut self, catalog: Arc<Catalog>, changed: Option<Vec<MediaKey>>) {
        let old = std::mem::replace(&mut self.catalog, catalog);
        if self.catalog.is_complete() {
            self.index_offer = None;
        }
        if let Some(keys) = changed {
            self.take_changed(&old, &keys);
        } else {
            self.loaded.clear();
            self.follow_keys(&old);
        }
        let mut ctx = shared!(self);
        self.query_bar.refresh(self.gallery.sort, &mut ctx);
        self.refresh_tag_list();
    }

    fn take_changed(&mut self, old: &Catalog, keys: &[MediaKey]) {
        let mut gone = Vec::new();
        let mut elsewhere = 0;
        for key in keys {
            self.loaded.forget(*key);
            let (before, after) = (old.record(*key), self.catalog.record(*key));
            let Some(after) = after else {
                gone.push(*key);
                continue;
            };
            let Some(before) = before else { continue };
            // Asked of few: what changed may be everything.
            if self.pictures.holds(*key) {
                let look = |record: &Record<'_>| {
                    let has = record.has();
                    (
                        record.bytes(),
                        record.width(),
                        record.height(),
                        has.contains(Has::MISSING),
                        has.contains(Has::NEEDS_THUMBNAIL),
                    )
                };
                if look(&before) != look(&after) {
                    self.pictures.forget(*key);
                    self.wanted.clear();
                }
            }
            if self.changes.has_pending(*key) && !self.changes.is_saving() {
                // A hash that was found in the background is nobody's edit.
                let mut entry = before.to_entry();
                entry.md5 = after.md5();
                elsewhere += usize::from(entry != after.to_entry());
            }
        }
        if elsewhere > 0 {
            self.say(
                Level::Warning,
                "changed by another program meanwhile: both its edits and yours are kept",
            );
        }
        if !gone.is_empty() {
            let lost = gone
                .iter()
                .filter(|key| self.changes.has_pending(**key))
                .count();
            if lost > 0 {
                self.say(
                    Level::Warning,
                    &format!("{lost} with unsaved edits left the library"),
                );
            }
            let emptied = self.changes.forget(&gone);
            if !emptied.is_empty() {
                self.effects.push(Effect::Discard(emptied));
            }
            self.gallery.forget(&gone);
            for key in gone {
                self.pictures.forget(key);
            }
        }
    }

    /// After a rebuild media may have other keys: what refers to them follows by id.
    fn follow_keys(&mut self, old: &Catalog) {
        let new_key = |key: MediaKey| {
            let id = old.record(key)?.id();
            match self.catalog.record(key) {
                Some(record) if record.id() == id => Some(key),
                _ => self.catalog.key_of(&id),
            }
        };
        let current = self.gallery.current();
        let is_moved = |key: MediaKey| old.contains(key) && new_key(key) != Some(key);
        let moved = current.is_some_and(is_moved)
            || self.gallery.selection.iter().any(is_moved)
            || self.changes.pending_keys().any(is_moved);
        if !moved {
            return;
        }
        let selection = self.gallery.selection.iter().filter_map(new_key).collect();
        let results = self
            .gallery
            .results
            .iter()
            .map(|key| new_key(*key).unwrap_or(*key))
            .collect();
        self.changes.rename_keys(&new_key);
        self.gallery.selection = selection;
        self.gallery.results = results;
        self.gallery.last_selection.clear();
        self.gallery.range = None;
        self.pictures.clear();
        self.wanted.clear();
    }
}
