//! Actions and commands: what a key, a line of the command line or a dialog's answer
//! does to the session.

use std::sync::Arc;

use super::{
    action::{Action, Layer},
    command_line::{self, CacheCommand, Command, Setting},
    dialog::{Dialog, Release},
    editing::rate,
    editor::{self, EditorMode, EditorRequest},
    gallery::{Jump, Sort, SortKey},
    marks::MarkUse,
    message::{Effect, ScreenEffect},
    panes::Pane,
    query_bar::term_of,
    session::{App, shared},
    typing::{Then, removals},
    viewer::Slideshow,
};
use crate::{
    engine::event::Level,
    model::{edit::Edit, entry::Facets as Has, media::Rating},
};

/// Lines of a page in a dialog.
const DIALOG_PAGE: usize = 10;
/// Why what was quarantined is not tried again from here.
const PUT_ASIDE: &str = "what cannot be read lies in quarantine/, each with its reason";

impl App {
    /// Enter in a text field.
    pub(super) fn accept(&mut self) {
        match self.accept_text() {
            Some(Then::Act(action)) => self.perform(action, None),
            Some(Then::Run(command)) => self.run(command),
            None => {}
        }
    }

    pub(super) fn perform(&mut self, action: Action, count: Option<usize>) {
        use Action as A;
        if self.edit_text(action) {
            return;
        }
        if self.layer() == Layer::Dialog
            && self
                .dialogs
                .last_mut()
                .is_some_and(|dialog| dialog.act(action, count, DIALOG_PAGE))
        {
            return;
        }
        match action {
            A::TextAccept => self.accept(),
            A::TextLeave => self.leave_text(),
            A::HistoryPrevious
            | A::HistoryNext
            | A::QueryNegate
            | A::QueryKeep
            | A::QueryOr
            | A::QueryText => {
                self.edit_line(action);
            }
            A::DialogAccept => self.accept_dialog(),
            A::DialogCancel => {
                self.dialogs.pop();
            }
            A::NextPane => self.panes.turn(true),
            A::PreviousPane => self.panes.turn(false),
            A::GoGallery => self.panes.show(Pane::Gallery),
            A::GoEditor | A::EditTags => self.open_editor(),
            A::GoFacets => self.open_facets(),
            A::GoMonitor => self.panes.show(Pane::Monitor),
            A::ToggleInfo => self.panes.info = !self.panes.info,
            A::ToggleMonitor => {
                if self.panes.monitor {
                    self.panes.hide(Pane::Monitor);
                } else {
                    self.panes.monitor = true;
                    // Where one pane fits, the new one is what the user wants to see.
                    if self.viewport.is_narrow {
                        self.panes.focus = Pane::Monitor;
                    }
                }
            }
            A::ToggleFacets => {
                if self.panes.facets {
                    self.panes.hide(Pane::Facets);
                } else {
                    self.open_facets();
                }
            }
            A::View => {
                if self.has_picture(self.gallery.current().is_some()) {
                    self.panes.show(Pane::Viewer);
                }
            }
            A::Help => {
                let layer = self.layer();
                self.help.open(layer, &self.keymap);
            }
            A::CommandLine => self.command_line.open(""),
            A::EditQuery => self.query_bar.begin(),
            A::Back => self.back(),
            A::SaveAndQuit => self.save_and_quit(),
            A::QuitNow => self.quit(),
            A::Redraw => self.effects.push(Effect::Screen(ScreenEffect::Redraw)),
            A::Suspend => self.effects.push(Effect::Screen(ScreenEffect::Suspend)),
            A::Cancel => self.cancel(),
            A::Undo => self.undo(count.unwrap_or(1)),
            A::Redo => self.redo(count.unwrap_or(1)),
            A::History => self.show_history(),
            A::Save => {
                if self.changes.unsaved() == 0 {
                    self.say(Level::Info, "nothing to save");
                } else {
                    self.save();
                }
            }
            A::Log => self.show_log(),
            _ if self.perform_edit(action) => {}
            _ if self.perform_search(action) => {}
            _ => self.perform_in_pane(action, count),
        }
    }

    /// The actions that only one pane has.
    fn perform_in_pane(&mut self, action: Action, count: Option<usize>) {
        use Action as A;
        if self.help.is_open {
            self.help.act(action, count);
            return;
        }
        match action {
            A::Next => self.turn_page(count.unwrap_or(1), true),
            A::Previous => self.turn_page(count.unwrap_or(1), false),
            A::First => self.gallery.move_to(0),
            A::Last => self.gallery.move_to(usize::MAX),
            A::ToggleMasks => self.viewer.next_mask(),
            A::ToggleCrops => self.viewer.shows_crops = !self.viewer.shows_crops,
            A::NextFrame => self.step_frame(count.unwrap_or(1), true),
            A::PreviousFrame => self.step_frame(count.unwrap_or(1), false),
            A::Slideshow => self.toggle_slideshow(),
            A::SlideshowSlower | A::SlideshowFaster => {
                let now = self.now.elapsed;
                if let Some(show) = &mut self.viewer.slideshow {
                    let slower = action == A::SlideshowSlower;
                    let every = if slower {
                        show.every * 2
                    } else {
                        show.every / 2
                    };
                    show.set_every(every, now);
                }
            }
            A::PanLeft if !self.viewer.pans_sideways() => self.turn_page(1, false),
            A::PanRight if !self.viewer.pans_sideways() => self.turn_page(1, true),
            A::NextUntagged => self.jump(Jump::Untagged, true),
            A::PreviousUntagged => self.jump(Jump::Untagged, false),
            A::NextSelected => self.jump(Jump::Selected, true),
            A::PreviousSelected => self.jump(Jump::Selected, false),
            A::NextSimilar => self.jump(Jump::Similar, true),
            A::PreviousSimilar => self.jump(Jump::Similar, false),
            A::NextBroken => self.jump(Jump::Broken, true),
            A::PreviousBroken => self.jump(Jump::Broken, false),
            A::RepeatJump | A::RepeatJumpBack => {
                if let Some(jump) = self.gallery.last_jump {
                    self.jump(jump, action == A::RepeatJump);
                }
            }
            A::SetMark => self.ask_letter(action, MarkUse::Set),
            A::GoToMark => self.ask_letter(action, MarkUse::Jump),
            A::Random => {
                // Not for secrets: any number that differs from press to press does.
                let count = self.gallery.results.len().max(1);
                self.generation += 1;
                let seed = self.generation.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ u64::from(self.now.elapsed.subsec_nanos());
                let pick = usize::try_from(seed >> 16).unwrap_or(0) % count;
                self.gallery.move_to(pick);
            }
            A::TilesDefault => self.gallery.set_tile_cells(self.config.tile_cells),
            A::EditorAccept => {
                let mut ctx = shared!(self);
                if self.editor.accept(&mut ctx) == Some(EditorRequest::Done) {
                    self.editor_done();
                }
            }
            A::EditorRenameEverywhere => {
                if let Some(row) = self.editor.current() {
                    let line = format!("rename {} ", row.name);
                    self.command_line.open(&line);
                }
            }
            A::MonitorPause => {
                let paused = !self.ingest_log.paused;
                self.effects.push(Effect::PauseIngest(paused));
            }
            A::MonitorCache => self.cache_panel.toggle(&mut self.effects),
            A::CacheClear => self.command_line.open("cache clear "),
            A::CacheWarm => self.warm_cache(),
            A::MonitorScan => self.effects.push(Effect::Scan),
            A::MonitorMoreWorkers => self.set_workers(self.ingest_log.workers + 1),
            A::MonitorFewerWorkers => {
                self.set_workers(self.ingest_log.workers.saturating_sub(1));
            }
            A::MonitorRetry => match self.ingest_log.take_failed() {
                Some(path) => self.effects.push(Effect::Retry(path)),
                None if self.ingest_log.is_quarantined() => self.say(Level::Info, PUT_ASIDE),
                None => self.say(Level::Info, "only a failed file can be tried again"),
            },
            A::MonitorRetryAll => self.retry_all(),
            A::MonitorCancel => self.cancel_job(),
            A::MonitorOpen => self.open_ingested(),
            _ => self.act_in_focus(action, count),
        }
    }

    /// Motions and the rest that the focused pane knows by itself.
    fn act_in_focus(&mut self, action: Action, count: Option<usize>) {
        match self.panes.focus {
            Pane::Gallery => {
                let before = (self.gallery.tile_cells, self.gallery.captions);
                self.gallery.act(action, count);
                if before != (self.gallery.tile_cells, self.gallery.captions) {
                    self.remember();
                }
            }
            Pane::Viewer => {
                self.viewer.act(action);
            }
            Pane::Facets => {
                self.facets.act(action, count);
            }
            Pane::Monitor => {
                self.ingest_log.act(action, count);
            }
            Pane::Editor => {
                let mut ctx = shared!(self);
                self.editor.act(action, count, &mut ctx);
            }
        }
    }

    /// Searches, sorts and facets; says whether the action was one.
    fn perform_search(&mut self, action: Action) -> bool {
        use Action as A;
        if let Some(sort) = Sort::of(action) {
            self.sort(sort);
            return true;
        }
        let current = self
            .gallery
            .current()
            .and_then(|key| self.catalog.record(key));
        let query = match action {
            A::Similar => current.map(|record| format!("similar:{}", record.id())),
            A::Parent => current
                .and_then(|record| record.parent().or_else(|| record.origin()))
                .map(|id| format!("id:{id}")),
            A::Children => current.map(|record| format!("parent:{}", record.id())),
            A::Derived => current.map(|record| format!("is:derived of:{}", record.id())),
            A::SameArtist => current
                .and_then(|record| record.tags().find(|tag| tag.category == "artist"))
                .map(term_of),
            A::FacetAdd => self
                .facets
                .term()
                .map(|term| self.query_bar.with_term(&term)),
            A::FacetExclude => self
                .facets
                .term()
                .map(|term| self.query_bar.with_term(&format!("-{term}"))),
            _ => return false,
        };
        match query {
            Some(query) => self.search(query),
            None => self.say(Level::Info, "there is none"),
        }
        true
    }

    fn sort(&mut self, sort: Sort) {
        self.gallery.sort = sort;
        let mut ctx = shared!(self);
        self.query_bar.resort(sort, &mut ctx);
        let word = match sort.key {
            SortKey::Name => "name",
            SortKey::Date => "date",
            SortKey::Imported => "import",
            SortKey::Size => "file size",
            SortKey::Width => "width",
            SortKey::Tags => "number of tags",
            SortKey::Stars => "stars",
            SortKey::Modified => "last change",
            SortKey::Color => "color",
            SortKey::Random => "chance",
        };
        let reverse = if sort.reverse { ", reversed" } else { "" };
        self.say(Level::Info, &format!("sorted by {word}{reverse}"));
    }

    fn open_editor(&mut self) {
        let is_any = self.gallery.current().is_some() || !self.gallery.selection.is_empty();
        if self.has_picture(is_any) {
            self.editor.mode = EditorMode::Input;
            self.panes.show(Pane::Editor);
        }
    }

    fn editor_done(&mut self) {
        if self.config.editor_flow {
            self.save();
            self.turn_page(1, true);
        } else {
            self.panes.hide(Pane::Editor);
        }
    }

    fn open_facets(&mut self) {
        self.panes.show(Pane::Facets);
        let results = Arc::clone(&self.gallery.results);
        let mut ctx = shared!(self);
        self.facets.ask(&results, &mut ctx);
    }

    /// To the next picture; what was selected no longer matters then.
    pub(super) fn turn_page(&mut self, n: usize, forward: bool) {
        if !self.gallery.selection.is_empty() && self.panes.focus == Pane::Editor {
            self.gallery.last_selection = std::mem::take(&mut self.gallery.selection);
            self.gallery.range = None;
        }
        let at = self.gallery.cursor;
        self.gallery.move_to(if forward {
            at.saturating_add(n)
        } else {
            at.saturating_sub(n)
        });
    }

    fn step_frame(&mut self, n: usize, forward: bool) {
        let current = self.gallery.current();
        let record = current.and_then(|key| self.catalog.record(key));
        match record.map_or(0, |record| record.frames()) {
            0 | 1 => self.say(Level::Info, "this has one picture and no frames"),
            count => self.viewer.step_frame(n, forward, count),
        }
    }

    fn toggle_slideshow(&mut self) {
        if self.viewer.slideshow.take().is_none()
            && self.has_picture(self.gallery.current().is_some())
        {
            self.panes.show(Pane::Viewer);
            self.viewer.slideshow = Some(Slideshow::new(self.now.elapsed));
        }
    }

    fn jump(&mut self, jump: Jump, forward: bool) {
        self.gallery.last_jump = Some(jump);
        let found = self.gallery.find(forward, |key| match jump {
            Jump::Selected => self.gallery.selection.contains(key),
            Jump::Untagged if self.changes.has_pending(key) => {
                self.media(key).is_some_and(|media| media.tags.is_empty())
            }
            Jump::Untagged => self
                .catalog
                .record(key)
                .is_some_and(|record| record.tag_count() == 0),
            Jump::Similar => self
                .catalog
                .record(key)
                .is_some_and(|record| record.has().contains(Has::SIMILAR)),
            Jump::Broken => self.catalog.record(key).is_some_and(|record| {
                record.has().contains(Has::MISSING) || record.has().contains(Has::NEEDS_THUMBNAIL)
            }),
        });
        match found {
            Some(index) => self.gallery.move_to(index),
            None => self.say(Level::Info, "no further one"),
        }
    }

    fn show_history(&mut self) {
        self.effects.push(Effect::History);
    }

    fn show_log(&mut self) {
        let lines: Vec<String> = self.notices.lines();
        let body = if lines.is_empty() {
            vec!["nothing yet".to_owned()]
        } else {
            lines
        };
        self.dialogs
            .push(Dialog::message("Log, newest first", body));
    }

    fn back(&mut self) {
        match self.panes.focus {
            Pane::Gallery => self.quit(),
            pane => self.panes.hide(pane),
        }
    }

    fn quit(&mut self) {
        let unsaved = self.changes.unsaved();
        let is_safe = self.changes.is_kept() && self.changes.failed.is_empty();
        if unsaved > 0 && !is_safe {
            let failed = self.changes.failed.values().next().map(String::as_str);
            self.dialogs.push(Dialog::quit(unsaved, failed));
        } else {
            self.leave();
        }
    }

    pub(super) fn save_and_quit(&mut self) {
        if self.changes.unsaved() == 0 && !self.changes.is_saving() {
            self.leave();
            return;
        }
        self.quits_when_saved = true;
        if self.changes.unsaved() > 0 {
            self.save();
        }
    }

    /// Ctrl-c: what is being typed or asked, else the running job, else a hint.
    fn cancel(&mut self) {
        match self.layer() {
            Layer::Dialog => {
                self.dialogs.pop();
            }
            layer if layer.is_text() => self.leave_text(),
            _ if !self.jobs.is_empty() => self.cancel_job(),
            _ => self.say(Level::Info, "q quits"),
        }
    }

    fn cancel_job(&mut self) {
        match self.jobs.last() {
            Some(job) => {
                let text = format!("stopping: {}", job.label);
                self.effects.push(Effect::Cancel(job.job));
                self.say(Level::Info, &text);
            }
            None => self.say(Level::Info, "no job is running"),
        }
    }

    pub(super) fn accept_dialog(&mut self) {
        let Some(dialog) = self.dialogs.pop() else {
            return;
        };
        self.release(dialog.chosen());
    }

    /// Sets free what an answer held.
    pub(super) fn release(&mut self, released: Vec<Release>) {
        for release in released {
            match release {
                Release::Effect(Effect::Screen(ScreenEffect::Quit)) => self.leave(),
                Release::Effect(effect) => self.effects.push(effect),
                Release::UndoUnsaved(count) => self.undo(count),
                Release::Revert { id, is_redo } => {
                    self.effects.push(Effect::Revert { id, is_redo });
                }
                Release::SaveAndQuit => self.save_and_quit(),
                Release::DiscardAndQuit => {
                    self.discard();
                    self.leave();
                }
                Release::Trash(keys) => self.save_and_trash(keys),
                Release::Search(query) => self.search(query),
                Release::Type { before, after } => self.type_command(&before, &after),
                Release::Ask(dialog) => self.dialogs.push(*dialog),
                // Whoever took the key has seen to it.
                Release::Stay => {}
            }
        }
    }

    fn set_workers(&mut self, workers: usize) {
        if workers > 0 {
            self.effects.push(Effect::SetWorkers(workers));
        }
    }

    fn retry_all(&mut self) {
        let failed = self.ingest_log.take_all_failed();
        if failed.is_empty() {
            let is_aside = self.ingest_log.counts.quarantined > 0;
            self.say(
                Level::Info,
                if is_aside {
                    PUT_ASIDE
                } else {
                    "no file failed"
                },
            );
        }
        self.effects.extend(failed.into_iter().map(Effect::Retry));
    }

    fn open_ingested(&mut self) {
        let Some(key) = self.ingest_log.current_key() else {
            self.say(Level::Info, "this file is not in the library");
            return;
        };
        let place = self.gallery.results.iter().position(|known| *known == key);
        match (place, self.catalog.record(key)) {
            (Some(place), _) => {
                self.panes.show(Pane::Gallery);
                self.gallery.move_to(place);
            }
            (None, Some(record)) => {
                let query = format!("id:{}", record.id());
                self.search(query);
            }
            (None, None) => self.say(Level::Info, "it is not in the library any more"),
        }
    }

    pub(super) fn run_line(&mut self, line: &str) {
        match command_line::parse(line) {
            Ok(command) => self.run(command),
            Err(error) => self.say(Level::Error, &error),
        }
    }

    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::Quit { discard: true } => {
                self.discard();
                self.leave();
            }
            Command::Quit { discard: false } => self.quit(),
            Command::Save => self.perform(Action::Save, None),
            Command::SaveAndQuit => self.save_and_quit(),
            Command::Discard => self.discard(),
            Command::Tag(line) => {
                let targets = self.targets();
                let mut ctx = shared!(self);
                match editor::edits_of(&line, &ctx) {
                    Ok(edits) => {
                        ctx.edit(&format!("tag {line}"), &targets, edits);
                    }
                    Err(error) => ctx.say(Level::Error, error),
                }
            }
            Command::Untag(line) => {
                let targets = self.targets();
                let mut ctx = shared!(self);
                match removals(&line, &ctx) {
                    Ok(edits) => {
                        ctx.edit(&format!("untag {line}"), &targets, edits);
                    }
                    Err(error) => ctx.say(Level::Error, error),
                }
            }
            Command::Rename { from, to } => self.rename_everywhere(&from, &to),
            Command::Tags(command) => self.run_tag_command(command),
            Command::Caption(text) => {
                let targets = self.targets();
                let mut ctx = shared!(self);
                let caption = editor::caption_of(&text);
                ctx.edit("caption", &targets, vec![Edit::SetCaption(caption)]);
            }
            Command::Rating(rating) => {
                let targets = self.targets();
                let label = rating.map_or("no rating", Rating::name);
                let mut ctx = shared!(self);
                ctx.edit(&format!("rating {label}"), &targets, vec![rate(rating)]);
            }
            Command::Stars(stars) => {
                let targets = self.targets();
                let mut ctx = shared!(self);
                ctx.edit(
                    &format!("stars {stars}"),
                    &targets,
                    vec![Edit::SetStars(stars)],
                );
            }
            Command::Favorite => self.toggle_favorite(),
            Command::Archive => self.perform(Action::Archive, None),
            Command::Trash => self.trash(),
            Command::Search(query) => self.search(query),
            Command::Similar => self.perform(Action::Similar, None),
            Command::Mark(letter) => self.set_mark(letter),
            Command::DeleteMarks(letters) => self.delete_marks(&letters),
            Command::Marks => self.show_marks(),
            Command::SelectAll => {
                self.gallery.act(Action::SelectAll, None);
            }
            Command::SelectNone => {
                self.gallery.range = None;
                self.gallery.act(Action::Escape, None);
            }
            Command::SelectInvert => {
                self.gallery.act(Action::SelectInvert, None);
            }
            Command::Sort(sort) => self.sort(sort),
            Command::Set(setting) => self.set(setting),
            Command::Theme(name) => self.set_theme(name),
            Command::Scan => self.effects.push(Effect::Scan),
            Command::Ingest(path) => self.effects.push(Effect::Ingest(vec![path])),
            Command::Pause(paused) => self.effects.push(Effect::PauseIngest(paused)),
            Command::Retry => self.retry_all(),
            Command::Workers(workers) => self.set_workers(workers),
            Command::Cache(CacheCommand::Stats) => self.show_cache(),
            Command::Cache(CacheCommand::Clear(pattern)) => {
                self.effects.push(Effect::ClearCache(pattern));
            }
            Command::Cache(CacheCommand::Warm) => self.warm_cache(),
            Command::Fetch { again } => {
                let keys = self.targets();
                if keys.is_empty() {
                    self.say(Level::Info, "there is no picture to ask about");
                } else {
                    self.effects.push(Effect::Fetch { keys, again });
                }
            }
            Command::Rebuild => self.effects.push(Effect::Rebuild),
            Command::Verify => self.effects.push(Effect::Verify),
            Command::Reload => self.effects.push(Effect::ReloadCatalog),
            Command::Undo => self.undo(1),
            Command::Redo => self.redo(1),
            Command::Log => self.show_log(),
            Command::Help(word) => {
                let layer = self.layer();
                self.help.open(layer, &self.keymap);
                self.help.input.set(word);
                self.help.search(&self.keymap);
            }
        }
    }

    fn show_cache(&mut self) {
        self.panes.show(Pane::Monitor);
        if !self.cache_panel.is_open {
            self.cache_panel.toggle(&mut self.effects);
        }
    }

    /// For all that the query finds.
    fn warm_cache(&mut self) {
        let keys = Arc::clone(&self.gallery.results);
        self.effects.push(Effect::WarmCache(keys));
    }

    fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Captions(on) => self.gallery.captions = on,
            Setting::Tiles(cells) => self.gallery.set_tile_cells(cells),
            Setting::Info(on) => self.panes.info = on,
            Setting::Monitor(true) => self.panes.monitor = true,
            Setting::Monitor(false) => self.panes.hide(Pane::Monitor),
            Setting::Flow(on) => self.config.editor_flow = on,
        }
        self.remember();
    }

    fn set_theme(&mut self, name: String) {
        if !self.themes.is_empty() && !self.themes.contains(&name) {
            let known = self.themes.join(" ");
            self.say(Level::Error, &format!("no theme {name}; there are {known}"));
            return;
        }
        self.theme.clone_from(&name);
        self.effects.push(Effect::Screen(ScreenEffect::Theme(name)));
        self.remember();
    }
}
