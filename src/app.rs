//! The state of one session and the only way it changes: `update(Message)`.
//!
//! One owner, synchronous, no I/O: what must be done in the world comes out as
//! effects. This file routes; each pane's state and rules are in its own file.

pub mod action;
pub mod changes;
pub mod command_line;
pub mod completion;
pub mod config;
pub mod context;
pub mod dialog;
pub mod editor;
pub mod facets;
pub mod gallery;
pub mod help;
pub mod info;
pub mod ingest_log;
pub mod key;
pub mod keymap;
pub mod list;
pub mod message;
pub mod notices;
pub mod panes;
pub mod pictures;
pub mod query_bar;
pub mod runtime;
pub mod text_input;
pub mod viewer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    engine::{
        event::{Event, IngestEvent, IngestOutcome, Level, PictureSize, SaveReport},
        job::Progress,
        search::Found,
    },
    model::{
        catalog::Catalog,
        edit::Edit,
        id::{MediaId, MediaKey},
        media::{Media, Rating, Status},
        query::Vocabulary,
        tag::{TagName, USER, normalize_category},
    },
};
use action::{Action, Layer};
use changes::Changes;
use command_line::{Command, CommandLine, Setting};
use completion::Presence;
use config::{Config, Graphics, ViewState};
use context::{Context, LastEdit};
use dialog::{Dialog, DialogKind, Prompt, Purpose, Release};
use editor::{Editor, EditorMode, EditorRequest};
use facets::Facets;
use gallery::{Gallery, Jump, Sort, SortKey, Tile};
use help::{Help, HelpRow};
use info::{Info, Loaded};
use ingest_log::IngestLog;
use key::{Key, KeyCode};
use keymap::{Binding, Keymap, Lookup};
use message::{Click, Effect, Message, Now, ScreenEffect, Target, Viewport};
use notices::Notices;
use panes::{Pane, Panes};
use pictures::Pictures;
use query_bar::{QueryBar, term_of};
use text_input::TextInput;
use viewer::Viewer;

/// How long a chord waits before the box says what may follow.
const BOX_AFTER: Duration = Duration::from_millis(400);
/// The largest count that can be typed.
const MAX_COUNT: usize = 9_999_999;
/// Lines of a page in a dialog.
const DIALOG_PAGE: usize = 10;

/// What the session knows about the library it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryInfo {
    /// Safe to draw, as all but the last.
    pub name: String,
    /// Its folder.
    pub root: String,
    /// Where files to be filed are put, when there is such a folder.
    pub ingest_folder: Option<String>,
    /// Its folder as it really is: what paths to be copied begin with.
    pub folder: PathBuf,
}

/// Keys of an unfinished command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The count typed before it.
    pub count: Option<usize>,
    /// The keys of a chord so far.
    pub keys: Vec<Key>,
    /// Since when the chord waits, since the start of the session.
    pub since: Duration,
    /// Whether it waits long enough for the box that says what may follow.
    pub shows_box: bool,
}

/// One way to go on after a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextKey {
    pub key: Key,
    /// What it does, or `…` when further keys follow.
    pub help: String,
}

/// A hint of the bottom line: a key and a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub key: String,
    pub word: &'static str,
}

/// Everything one session knows. Fields are public for drawing; only
/// [`App::update`] changes them.
pub struct App {
    pub library: LibraryInfo,
    pub catalog: Arc<Catalog>,
    pub config: Config,
    pub keymap: Keymap,
    pub panes: Panes,
    pub gallery: Gallery,
    pub viewer: Viewer,
    pub editor: Editor,
    pub facets: Facets,
    pub info: Info,
    pub ingest_log: IngestLog,
    pub query_bar: QueryBar,
    pub command_line: CommandLine,
    /// The last one is on top and hears the keys.
    pub dialogs: Vec<Dialog>,
    pub help: Help,
    pub notices: Notices,
    /// Jobs that run, for the status line.
    pub jobs: Vec<Progress>,
    pub pending: Pending,
    pub pictures: Pictures,
    pub changes: Changes,
    pub viewport: Viewport,
    /// The name of the theme in force.
    pub theme: String,
    /// The names of all themes, for completion; the screen fills it in.
    pub themes: Vec<String>,
    pub now: Now,
    loaded: Loaded,
    yanked: Vec<TagName>,
    last_edit: Option<LastEdit>,
    /// What to do once the sidecar of a medium is read.
    when_read: Option<(MediaKey, Action)>,
    /// Leave as soon as everything is saved.
    quits_when_saved: bool,
    effects: Vec<Effect>,
    generation: u64,
    wanted: Vec<(MediaKey, PictureSize)>,
    settled: Settled,
    is_dirty: bool,
}

/// For what the derived panes were made last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settled {
    current: Option<MediaKey>,
    changes: u64,
    loaded: u64,
    catalog: u64,
    editor: bool,
    info: bool,
    masks: bool,
}

/// What the panes share, borrowed apart from the pane itself.
macro_rules! context {
    ($app:ident) => {
        Context {
            catalog: &$app.catalog,
            config: &$app.config,
            changes: &mut $app.changes,
            loaded: &mut $app.loaded,
            notices: &mut $app.notices,
            dialogs: &mut $app.dialogs,
            effects: &mut $app.effects,
            generation: &mut $app.generation,
            last_edit: &mut $app.last_edit,
            now: $app.now,
        }
    };
}

impl App {
    /// A session that has heard nothing yet.
    pub fn new(library: LibraryInfo, config: Config, keymap: Keymap) -> Self {
        let theme = config.theme.clone();
        let gallery = Gallery {
            tile_cells: config.tile_cells,
            ..Gallery::default()
        };
        Self {
            library,
            catalog: Arc::default(),
            config,
            keymap,
            panes: Panes::default(),
            gallery,
            viewer: Viewer::default(),
            editor: Editor::default(),
            facets: Facets::default(),
            info: Info::default(),
            ingest_log: IngestLog::default(),
            query_bar: QueryBar::default(),
            command_line: CommandLine::default(),
            dialogs: Vec::new(),
            help: Help::default(),
            notices: Notices::default(),
            jobs: Vec::new(),
            pending: Pending::default(),
            pictures: Pictures::default(),
            changes: Changes::default(),
            viewport: Viewport::default(),
            theme,
            themes: Vec::new(),
            now: Now::default(),
            loaded: Loaded::default(),
            yanked: Vec::new(),
            last_edit: None,
            when_read: None,
            quits_when_saved: false,
            effects: Vec::new(),
            generation: 0,
            wanted: Vec::new(),
            settled: Settled::default(),
            is_dirty: true,
        }
    }

    /// Sets the screen up as it was when this library was last open.
    pub fn restore(&mut self, view: &ViewState) {
        if let Some(cells) = view.tile_cells {
            self.gallery.set_tile_cells(cells);
        }
        self.gallery.captions = view.captions.unwrap_or(self.gallery.captions);
        self.panes.info = view.info.unwrap_or(self.panes.info);
        self.panes.monitor = view.monitor.unwrap_or(self.panes.monitor);
        if let Some(theme) = &view.theme {
            self.theme.clone_from(theme);
        }
    }

    /// Tells the user something before the first message, such as a mistake in the
    /// configuration.
    pub fn say(&mut self, level: Level, text: &str) {
        self.notices.say(level, text, self.now);
        self.is_dirty = true;
    }

    /// Asks something, on top of everything else.
    pub fn ask(&mut self, dialog: Dialog) {
        self.dialogs.push(dialog);
        self.is_dirty = true;
    }

    /// Takes note of what happened; what comes back must be run, in order.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Tick(now) => {
                self.tick(now);
                return std::mem::take(&mut self.effects);
            }
            Message::Viewport(viewport) if viewport == self.viewport => return Vec::new(),
            Message::Progress(jobs) if jobs == self.jobs => return Vec::new(),
            Message::Viewport(viewport) => self.resize(viewport),
            Message::Progress(jobs) => self.jobs = jobs,
            Message::Key(key) => self.key(key),
            Message::Paste(text) => self.paste(&text),
            Message::Click(click) => self.click(click),
            Message::Scroll { target, lines } => self.scroll(target, lines),
            Message::Action(action) => self.perform(action, None),
            Message::Engine(event) => self.hear(event),
            Message::Facets { generation, rows } => {
                if !self.facets.receive(generation, &rows) {
                    let ctx = context!(self);
                    self.editor.receive_counts(generation, &rows, &ctx);
                }
            }
            Message::Terminate => {
                self.save();
                self.leave();
            }
        }
        self.is_dirty = true;
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// Whether something changed since this was asked last: draw when it did.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// When the next [`Message::Tick`] is needed if nothing else happens, since the
    /// start of the session. `None`: not at all.
    pub fn deadline(&self) -> Option<Duration> {
        let notice = self.notices.current.as_ref().map(|notice| notice.expires);
        let chord = (!self.pending.keys.is_empty() && !self.pending.shows_box)
            .then(|| self.pending.since + BOX_AFTER);
        let second = (self.panes.monitor && self.ingest_log.is_busy())
            .then(|| Duration::from_secs(self.now.elapsed.as_secs() + 1));
        [notice, chord, second].into_iter().flatten().min()
    }

    /// The layer that hears the next key.
    pub fn layer(&self) -> Layer {
        if let Some(dialog) = self.dialogs.last() {
            return match dialog.kind {
                DialogKind::Prompt(_) => Layer::Prompt,
                DialogKind::Message { .. } | DialogKind::Choice { .. } => Layer::Dialog,
            };
        }
        if self.help.is_open {
            return Layer::Help;
        }
        if self.command_line.is_open {
            return Layer::Command;
        }
        if self.query_bar.is_editing {
            return Layer::Query;
        }
        match self.panes.focus {
            Pane::Gallery => Layer::Gallery,
            Pane::Viewer => Layer::Viewer,
            Pane::Facets => Layer::Facets,
            Pane::Monitor => Layer::Monitor,
            Pane::Editor => match self.editor.mode {
                EditorMode::List => Layer::Editor,
                EditorMode::Input => Layer::EditorInput,
            },
        }
    }

    /// What tile `index` of the result shows; `None` past the end, and for a medium
    /// that the catalog does not hold (yet).
    pub fn tile(&self, index: usize) -> Option<Tile> {
        let key = *self.gallery.results.get(index)?;
        let record = self.catalog.record(key)?;
        let media = if self.changes.has_pending(key) {
            self.media(key)?
        } else {
            // Without its tags, which no tile shows.
            Media {
                name: record.name().to_owned(),
                rating: record.rating(),
                stars: record.stars(),
                fav: record.fav(),
                ..Media::default()
            }
        };
        let mut tile = self.gallery.tile(index, &record, &media);
        tile.marks.unsaved = self.changes.has_pending(key);
        tile.marks.failed = self.changes.failed.contains_key(&key);
        Some(tile)
    }

    /// A medium with the edits that are pending: from its sidecar when that is
    /// loaded, else from what the catalog knows.
    pub fn media(&self, key: MediaKey) -> Option<Media> {
        context::media(&self.catalog, &self.loaded, &self.changes, key)
    }

    /// How many media have edits that are not saved.
    pub fn unsaved(&self) -> usize {
        self.changes.unsaved()
    }

    /// The keys that matter here and now, most useful first.
    pub fn hints(&self) -> Vec<Hint> {
        use Action as A;
        let layer = self.layer();
        let wanted: &[(Action, &'static str)] = match layer {
            Layer::Gallery if self.gallery.range.is_some() => &[
                (A::SelectRange, "end range"),
                (A::TagPrompt, "tag"),
                (A::EditTags, "edit"),
                (A::Escape, "leave"),
            ],
            Layer::Gallery => &[
                (A::ToggleSelect, "select"),
                (A::TagPrompt, "tag"),
                (A::EditTags, "edit"),
                (A::Save, "save"),
                (A::EditQuery, "search"),
                (A::Help, "help"),
            ],
            Layer::Viewer => &[
                (A::Next, "next"),
                (A::Previous, "previous"),
                (A::ZoomCycle, "zoom"),
                (A::TagPrompt, "tag"),
                (A::Back, "back"),
                (A::Help, "help"),
            ],
            Layer::Facets => &[
                (A::FacetAdd, "add"),
                (A::FacetExclude, "exclude"),
                (A::Back, "close"),
                (A::Help, "help"),
            ],
            Layer::Editor => &[
                (A::EditorInsert, "type"),
                (A::EditorRemove, "remove"),
                (A::EditorRename, "rename"),
                (A::Undo, "undo"),
                (A::Save, "save"),
                (A::Help, "help"),
            ],
            Layer::EditorInput => &[
                (A::EditorAccept, "add"),
                (A::CompleteNext, "complete"),
                (A::EditorList, "list"),
                (A::Save, "save"),
            ],
            Layer::Monitor => &[
                (A::MonitorPause, "pause"),
                (A::MonitorRetry, "retry"),
                (A::MonitorDetails, "details"),
                (A::MonitorTimes, "times"),
                (A::Back, "close"),
                (A::Help, "help"),
            ],
            Layer::Query => &[
                (A::TextAccept, "run"),
                (A::CompleteNext, "complete"),
                (A::QueryNegate, "negate"),
                (A::HistoryPrevious, "history"),
                (A::TextLeave, "cancel"),
            ],
            Layer::Command | Layer::Prompt => &[
                (A::TextAccept, "run"),
                (A::CompleteNext, "complete"),
                (A::TextLeave, "cancel"),
            ],
            Layer::Help => &[(A::TextAccept, "run"), (A::TextLeave, "close")],
            Layer::Dialog => &[(A::DialogAccept, "choose"), (A::DialogCancel, "cancel")],
            Layer::Global | Layer::Text => &[],
        };
        wanted
            .iter()
            .filter_map(|(action, word)| {
                Some(Hint {
                    key: self.keymap.key_of(layer, *action)?,
                    word,
                })
            })
            .collect()
    }

    /// What may follow the keys typed so far; empty while no box is due.
    pub fn next_keys(&self) -> Vec<NextKey> {
        if !self.pending.shows_box {
            return Vec::new();
        }
        self.keymap
            .after(self.layer(), &self.pending.keys)
            .into_iter()
            .map(|(key, binding)| NextKey {
                key,
                help: match binding {
                    Some(Binding::Actions(actions)) => actions
                        .iter()
                        .map(|action| action.help())
                        .collect::<Vec<_>>()
                        .join(", then "),
                    Some(Binding::Command(line)) => format!(":{line}"),
                    None => "…".to_owned(),
                },
            })
            .collect()
    }

    fn tick(&mut self, now: Now) {
        self.now = now;
        if self.notices.tick(now.elapsed) {
            self.is_dirty = true;
        }
        if !self.pending.keys.is_empty()
            && !self.pending.shows_box
            && now.elapsed >= self.pending.since + BOX_AFTER
        {
            self.pending.shows_box = true;
            self.is_dirty = true;
        }
        if self.ingest_log.tick(now.elapsed) && self.panes.monitor {
            self.is_dirty = true;
        }
    }

    fn resize(&mut self, viewport: Viewport) {
        self.viewport = viewport;
        self.gallery.resize(viewport.columns, viewport.rows);
        self.viewer.resize(viewport.visible_x, viewport.visible_y);
        self.editor.resize(viewport.editor_rows);
        self.facets.resize(viewport.facet_rows);
        self.ingest_log.resize(viewport.monitor_rows);
        self.help.resize(viewport.help_rows);
    }

    /// Brings up to date what follows from the rest: the editor's targets, the info
    /// panel, the masks, the pictures that are wanted.
    fn settle(&mut self) {
        let current = self.gallery.current();
        if current != self.settled.current {
            self.viewer.turn();
        }
        if self.panes.editor {
            let targets = self.gallery.targets();
            let mut ctx = context!(self);
            self.editor.set_targets(targets, &mut ctx);
        }
        let now = Settled {
            current,
            changes: self.changes.version(),
            loaded: self.loaded.version(),
            catalog: self.catalog.version(),
            editor: self.panes.editor,
            info: self.panes.info,
            masks: self.panes.viewer && self.viewer.show_masks,
        };
        if now != self.settled {
            if self.panes.editor {
                let mut ctx = context!(self);
                self.editor.refresh(&mut ctx);
            }
            if let Some(key) = current.filter(|_| now.info || now.masks)
                && self.loaded.ask(key)
            {
                self.effects.push(Effect::LoadMedia(key));
            }
            self.show_info();
            self.find_masks();
            self.settled = Settled {
                loaded: self.loaded.version(),
                ..now
            };
        }
        self.want_pictures();
    }

    fn show_info(&mut self) {
        self.info = Info::default();
        if !self.panes.info {
            return;
        }
        if let Some(key) = self.gallery.current()
            && let (Some(record), Some(media)) = (self.catalog.record(key), self.media(key))
        {
            self.info = Info::of(&record, &media, &self.loaded);
        }
    }

    fn find_masks(&mut self) {
        self.viewer.masks.clear();
        if !(self.panes.viewer && self.viewer.show_masks) {
            return;
        }
        if let Some(media) = self
            .gallery
            .current()
            .and_then(|key| self.loaded.media(key))
        {
            self.viewer.masks = media
                .related("masks")
                .iter()
                .filter_map(|id| self.catalog.key_of(&id.parse::<MediaId>().ok()?))
                .collect();
        }
    }

    fn want_pictures(&mut self) {
        let mut wanted: Vec<(MediaKey, PictureSize)> = Vec::new();
        if self.config.graphics == Graphics::None {
            return;
        }
        if self.panes.viewer {
            let at = self.gallery.cursor;
            let neighbor = |index: Option<usize>| self.gallery.results.get(index?).copied();
            let size = self.viewport.viewer_picture;
            if let Some(key) = self.gallery.current() {
                // Something at once, then what is really wanted.
                wanted.push((key, PictureSize::Preview));
                if size != PictureSize::Preview {
                    wanted.push((key, size));
                }
                wanted.extend(self.viewer.masks.iter().map(|mask| (*mask, size)));
            }
            for key in [neighbor(at.checked_add(1)), neighbor(at.checked_sub(1))] {
                wanted.extend(key.map(|key| (key, PictureSize::Preview)));
            }
        } else {
            let size = self.viewport.tile_picture;
            wanted.extend(self.gallery.wanted().into_iter().map(|key| (key, size)));
        }
        if wanted == self.wanted {
            return;
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(key, size)| !self.pictures.touch(*key, *size))
            .copied()
            .collect();
        self.wanted = wanted;
        if !missing.is_empty() {
            self.generation += 1;
            self.effects.push(Effect::Pictures {
                wanted: missing,
                generation: self.generation,
            });
        }
    }

    // Keys.

    fn key(&mut self, key: Key) {
        let layer = self.layer();
        if self.pending.keys.is_empty() && self.take_digit(layer, key) {
            return;
        }
        if self.pending.keys.is_empty()
            && layer == Layer::Dialog
            && let Some(c) = key.typed()
            && self
                .dialogs
                .last_mut()
                .is_some_and(|dialog| dialog.choose(c))
        {
            self.accept_dialog();
            return;
        }
        if !self.pending.keys.is_empty() && key.code == KeyCode::Escape {
            self.pending = Pending::default();
            return;
        }
        let mut keys = std::mem::take(&mut self.pending.keys);
        keys.push(key);
        match self.keymap.lookup(layer, &keys) {
            Lookup::Found(binding) => {
                let binding = binding.clone();
                let count = std::mem::take(&mut self.pending).count;
                match binding {
                    Binding::Actions(actions) => {
                        for action in actions {
                            self.perform(action, count);
                        }
                    }
                    Binding::Command(line) => self.run_line(&line),
                }
            }
            Lookup::Prefix => {
                self.pending.keys = keys;
                self.pending.since = self.now.elapsed;
                // The box stays while one reads on.
            }
            Lookup::Unknown => {
                self.pending = Pending::default();
                if layer.is_text() {
                    for c in keys.iter().filter_map(Key::typed) {
                        self.type_text(c.encode_utf8(&mut [0; 4]));
                    }
                }
            }
        }
    }

    /// Takes a digit of a count; says whether it was one.
    fn take_digit(&mut self, layer: Layer, key: Key) -> bool {
        let digit = match key.code {
            KeyCode::Char(c) if !key.ctrl && !key.alt => c.to_digit(10),
            _ => None,
        };
        let Some(digit) = digit else {
            return false;
        };
        let is_count = !layer.is_text()
            && layer != Layer::Dialog
            && (digit > 0 || self.pending.count.is_some())
            && (self.pending.count.is_some()
                || self.keymap.lookup(layer, &[key]) == Lookup::Unknown);
        if is_count {
            let count = self.pending.count.unwrap_or(0) * 10 + digit as usize;
            self.pending.count = Some(count.min(MAX_COUNT));
        }
        is_count
    }

    fn paste(&mut self, text: &str) {
        if self.layer().is_text() {
            self.type_text(text);
        } else {
            self.say(
                Level::Info,
                "paste works in text fields: press / or t first",
            );
        }
    }

    // Text fields.

    /// The field that is being typed into.
    fn field(&mut self) -> Option<(&mut TextInput, Option<&mut completion::Completion>)> {
        match self.layer() {
            Layer::Prompt => {
                let prompt = self.dialogs.last_mut()?.as_prompt_mut()?;
                Some((&mut prompt.input, Some(&mut prompt.completion)))
            }
            Layer::Command => Some((
                &mut self.command_line.input,
                Some(&mut self.command_line.completion),
            )),
            Layer::Query => Some((
                &mut self.query_bar.input,
                Some(&mut self.query_bar.completion),
            )),
            Layer::EditorInput => Some((&mut self.editor.input, Some(&mut self.editor.completion))),
            Layer::Help => Some((&mut self.help.input, None)),
            _ => None,
        }
    }

    fn type_text(&mut self, text: &str) {
        if let Some((input, completion)) = self.field() {
            if let Some(completion) = completion {
                completion.put_chosen(input);
            }
            input.insert_str(text);
            self.text_changed();
        }
    }

    fn text_changed(&mut self) {
        match self.layer() {
            Layer::Prompt => self.prompt_changed(),
            Layer::Command => self.command_line.changed(&self.themes),
            Layer::Query => {
                let mut ctx = context!(self);
                self.query_bar.changed(self.gallery.sort, &mut ctx);
            }
            Layer::EditorInput => {
                let mut ctx = context!(self);
                self.editor.changed(&mut ctx);
            }
            Layer::Help => self.help.search(&self.keymap),
            _ => {}
        }
    }

    fn prompt_changed(&mut self) {
        let mut dialogs = std::mem::take(&mut self.dialogs);
        if let Some(prompt) = dialogs.last_mut().and_then(Dialog::as_prompt_mut) {
            prompt.error = None;
            let mut ctx = context!(self);
            match &prompt.purpose {
                Purpose::Tag(targets) => {
                    let context = targets
                        .first()
                        .map_or_else(Vec::new, |key| ctx.tag_names(*key));
                    prompt.completion = editor::ask_completion(&prompt.input, context, &mut ctx);
                }
                Purpose::Untag(targets) => {
                    prompt.completion = present_tags(&prompt.input, targets, &ctx);
                }
                Purpose::RenameTag { .. } => {
                    prompt.completion = editor::ask_completion(&prompt.input, Vec::new(), &mut ctx);
                }
                Purpose::Caption(_) | Purpose::Name(_) | Purpose::FindTag => {}
            }
        }
        self.dialogs = dialogs;
    }

    /// Runs an action of text fields; says whether it was one.
    fn edit_text(&mut self, action: Action) -> bool {
        use Action as A;
        let Some((input, completion)) = self.field() else {
            return false;
        };
        if let Some(completion) = completion {
            match action {
                A::CompleteNext => {
                    completion.choose_next();
                    return true;
                }
                A::CompletePrevious => {
                    completion.choose_previous();
                    return true;
                }
                _ => {}
            }
        }
        match action {
            A::TextLeft => input.left(),
            A::TextRight => input.right(),
            A::TextWordLeft => input.word_left(),
            A::TextWordRight => input.word_right(),
            A::TextHome => input.home(),
            A::TextEnd => input.end(),
            A::TextBackspace
            | A::TextDelete
            | A::TextDeleteWord
            | A::TextDeleteToStart
            | A::TextDeleteToEnd => {
                let changed = match action {
                    A::TextBackspace => input.backspace(),
                    A::TextDelete => input.delete(),
                    A::TextDeleteWord => input.delete_word_left(),
                    A::TextDeleteToStart => input.delete_to_start(),
                    _ => input.delete_to_end(),
                };
                if changed {
                    self.text_changed();
                }
            }
            _ => return false,
        }
        true
    }

    fn accept_text(&mut self) {
        match self.layer() {
            Layer::Prompt => self.accept_prompt(),
            Layer::Command => {
                if let Some(command) = self.command_line.accept() {
                    self.run(command);
                }
            }
            Layer::Query => {
                let mut ctx = context!(self);
                self.query_bar.accept(self.gallery.sort, &mut ctx);
            }
            Layer::Help => {
                let row = self.help.current().cloned();
                self.help.close();
                match row {
                    Some(HelpRow::Action { action, .. }) => self.perform(action, None),
                    Some(HelpRow::Command { usage, .. }) => {
                        let word = usage.split_whitespace().next().unwrap_or_default();
                        let space = if usage.contains(' ') { " " } else { "" };
                        self.command_line.open(&format!("{word}{space}"));
                    }
                    Some(HelpRow::Heading(_) | HelpRow::Commands) | None => {}
                }
            }
            _ => {}
        }
    }

    fn leave_text(&mut self) {
        match self.layer() {
            Layer::Prompt => {
                self.dialogs.pop();
            }
            Layer::Command => self.command_line.close(),
            Layer::Query => {
                let mut ctx = context!(self);
                self.query_bar.leave(self.gallery.sort, &mut ctx);
            }
            Layer::Help => self.help.close(),
            Layer::EditorInput => {
                self.editor.mode = EditorMode::List;
                self.editor.completion.close();
            }
            _ => {}
        }
    }

    fn accept_prompt(&mut self) {
        let Some(mut dialog) = self.dialogs.pop() else {
            return;
        };
        let Some(prompt) = dialog.as_prompt_mut() else {
            return;
        };
        prompt.completion.put_chosen(&mut prompt.input);
        if let Err(error) = self.answer(prompt) {
            prompt.error = Some(error);
            prompt.completion.close();
            self.dialogs.push(dialog);
        }
    }

    /// Does what the answer of a prompt asks for.
    fn answer(&mut self, prompt: &Prompt) -> Result<(), String> {
        let line = prompt.input.text.trim();
        let mut ctx = context!(self);
        match &prompt.purpose {
            Purpose::Tag(targets) => {
                if !line.is_empty() {
                    let edits = editor::edits_of(line, &ctx)?;
                    ctx.edit(&format!("tag {line}"), targets, edits);
                }
            }
            Purpose::Untag(targets) => {
                let edits = removals(line, &ctx)?;
                if !edits.is_empty() {
                    ctx.edit(&format!("untag {line}"), targets, edits);
                }
            }
            Purpose::RenameTag { targets, from } => {
                let to = tag_of(line, &ctx).ok_or("a tag needs a name")?;
                let edit = Edit::RenameTag {
                    from: from.clone(),
                    to: ctx.user_tag(&to),
                };
                ctx.edit(&format!("rename {from} to {to}"), targets, vec![edit]);
            }
            Purpose::Caption(targets) => {
                let caption = editor::caption_of(&prompt.input.text);
                ctx.edit("caption", targets, vec![Edit::SetCaption(caption)]);
            }
            Purpose::Name(targets) => {
                ctx.edit("name", targets, vec![Edit::SetName(line.to_owned())]);
            }
            Purpose::FindTag => self.editor.find_first(line),
        }
        Ok(())
    }

    // Actions.

    fn perform(&mut self, action: Action, count: Option<usize>) {
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
            A::TextAccept => self.accept_text(),
            A::TextLeave => self.leave_text(),
            A::HistoryPrevious | A::HistoryNext | A::QueryNegate | A::QueryOr | A::QueryText => {
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
                if self.gallery.current().is_some() {
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
            A::ToggleMasks => self.viewer.show_masks = !self.viewer.show_masks,
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
                let mut ctx = context!(self);
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
            A::MonitorScan => self.effects.push(Effect::Scan),
            A::MonitorMoreWorkers => self.set_workers(self.ingest_log.workers + 1),
            A::MonitorFewerWorkers => {
                self.set_workers(self.ingest_log.workers.saturating_sub(1));
            }
            A::MonitorRetry => match self.ingest_log.take_failed() {
                Some(path) => self.effects.push(Effect::Retry(path)),
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
                let mut ctx = context!(self);
                self.editor.act(action, count, &mut ctx);
            }
        }
    }

    /// What a command acts on: the editor's media there, else the selection or the
    /// medium under the cursor. The viewer shows one, and acts on that.
    fn targets(&self) -> Vec<MediaKey> {
        match self.panes.focus {
            Pane::Viewer => self.gallery.current().into_iter().collect(),
            Pane::Editor => self.editor.targets.clone(),
            Pane::Gallery | Pane::Facets | Pane::Monitor => self.gallery.targets(),
        }
    }

    /// Edits of the targets; says whether the action was one.
    fn perform_edit(&mut self, action: Action) -> bool {
        use Action as A;
        let simple = match action {
            A::Stars0 => Some(("stars 0", Edit::SetStars(0))),
            A::Stars1 => Some(("stars 1", Edit::SetStars(1))),
            A::Stars2 => Some(("stars 2", Edit::SetStars(2))),
            A::Stars3 => Some(("stars 3", Edit::SetStars(3))),
            A::Stars4 => Some(("stars 4", Edit::SetStars(4))),
            A::Stars5 => Some(("stars 5", Edit::SetStars(5))),
            A::RatingGeneral => Some(("rating general", rate(Some(Rating::General)))),
            A::RatingSensitive => Some(("rating sensitive", rate(Some(Rating::Sensitive)))),
            A::RatingQuestionable => {
                Some(("rating questionable", rate(Some(Rating::Questionable))))
            }
            A::RatingExplicit => Some(("rating explicit", rate(Some(Rating::Explicit)))),
            A::RatingClear => Some(("no rating", rate(None))),
            A::Archive => Some(("archive", Edit::SetStatus(Some(Status::Archived)))),
            A::Inbox => Some(("back to the inbox", Edit::SetStatus(Some(Status::Inbox)))),
            _ => None,
        };
        if let Some((label, edit)) = simple {
            let targets = self.targets();
            let mut ctx = context!(self);
            ctx.edit(label, &targets, vec![edit]);
            return true;
        }
        match action {
            A::TagPrompt => self.ask_tags(true),
            A::UntagPrompt => self.ask_tags(false),
            A::Favorite => self.toggle_favorite(),
            A::RepeatEdit => self.repeat_edit(),
            A::YankTags => self.yank(),
            A::PasteTags => self.paste_tags(false),
            A::PasteTagsOver => self.paste_tags(true),
            A::Trash => self.trash(),
            A::CopyPath
            | A::CopyMd5
            | A::CopyTags
            | A::CopyCaption
            | A::CopyUrl
            | A::OpenSource => self.copy(action),
            _ => return false,
        }
        true
    }

    fn ask_tags(&mut self, adds: bool) {
        let targets = self.targets();
        if targets.is_empty() {
            return;
        }
        let verb = if adds { "Tag" } else { "Remove tags from" };
        let title = match &targets[..] {
            [key] => {
                let title = self.catalog.record(*key).map(|record| record.title());
                format!("{verb} {}", title.unwrap_or_default())
            }
            many => format!("{verb} {} pictures", many.len()),
        };
        let purpose = if adds {
            Purpose::Tag(targets)
        } else {
            Purpose::Untag(targets)
        };
        self.dialogs.push(Dialog::prompt(&title, purpose, ""));
        self.prompt_changed();
    }

    fn toggle_favorite(&mut self) {
        let targets = self.targets();
        let all = targets
            .iter()
            .all(|key| self.media(*key).is_some_and(|media| media.fav));
        let label = if all { "no favorite" } else { "favorite" };
        let mut ctx = context!(self);
        ctx.edit(label, &targets, vec![Edit::SetFav(!all)]);
    }

    fn repeat_edit(&mut self) {
        let Some(last) = self.last_edit.clone() else {
            self.say(Level::Info, "no edit to repeat yet");
            return;
        };
        let targets = self.targets();
        let mut ctx = context!(self);
        ctx.edit(&last.label, &targets, last.edits);
    }

    fn yank(&mut self) {
        let mut yanked: Vec<TagName> = Vec::new();
        let targets = self.targets();
        let ctx = context!(self);
        for name in targets.iter().flat_map(|key| ctx.tag_names(*key)) {
            if !yanked.contains(&name) {
                yanked.push(name);
            }
        }
        let text = match yanked.len() {
            1 => "yanked 1 tag".to_owned(),
            n => format!("yanked {n} tags"),
        };
        self.yanked = yanked;
        self.say(Level::Info, &text);
    }

    fn paste_tags(&mut self, replaces: bool) {
        if self.yanked.is_empty() {
            self.say(Level::Info, "no tags yanked yet");
            return;
        }
        let targets = self.targets();
        let yanked = self.yanked.clone();
        let mut ctx = context!(self);
        let additions: Vec<Edit> = yanked
            .iter()
            .map(|name| Edit::AddTag {
                tag: ctx.user_tag(name),
                position: None,
            })
            .collect();
        let count = yanked.len();
        if !replaces {
            ctx.edit(&format!("paste {count} tags"), &targets, additions);
            return;
        }
        let at = ctx.now_text();
        let changes = targets
            .iter()
            .filter_map(|key| {
                let present = ctx.tag_names(*key);
                if present == yanked {
                    return None;
                }
                let removals = present
                    .iter()
                    .filter(|name| !yanked.contains(name))
                    .map(|name| Edit::RemoveTag {
                        name: name.clone(),
                        at: at.clone(),
                    });
                Some((*key, removals.chain(additions.clone()).collect()))
            })
            .collect();
        ctx.record(&format!("replace the tags by {count}"), changes);
    }

    fn trash(&mut self) {
        let keys = self.targets();
        let unsaved = keys
            .iter()
            .filter(|key| self.changes.has_pending(**key))
            .count();
        if keys.is_empty() {
            return;
        }
        if keys.len() > 1 || unsaved > 0 {
            self.dialogs.push(Dialog::trash(keys, unsaved));
        } else {
            self.effects.push(Effect::Trash(keys));
        }
    }

    fn copy(&mut self, action: Action) {
        let targets = self.targets();
        let Some(first) = targets.first().copied() else {
            return;
        };
        if matches!(
            action,
            Action::CopyCaption | Action::CopyUrl | Action::OpenSource
        ) && self.loaded.media(first).is_none()
            && self.loaded.failure(first).is_none()
        {
            // Only the sidecar knows; go on when it has been read.
            self.when_read = Some((first, action));
            if self.loaded.ask(first) {
                self.effects.push(Effect::LoadMedia(first));
            }
            return;
        }
        let folder = self.library.folder.clone();
        let mut ctx = context!(self);
        let catalog = Arc::clone(ctx.catalog);
        let records = || targets.iter().filter_map(|key| catalog.record(*key));
        match action {
            Action::CopyPath => {
                let paths: Vec<String> = records()
                    .map(|record| {
                        folder
                            .join(record.path().as_ref())
                            .to_string_lossy()
                            .into_owned()
                    })
                    .collect();
                ctx.copy("path", paths.join("\n"));
            }
            Action::CopyMd5 => {
                let sums: Vec<String> = records()
                    .filter_map(|record| record.md5())
                    .map(|md5| md5.to_string())
                    .collect();
                ctx.copy("md5", sums.join("\n"));
            }
            Action::CopyTags => {
                let lines: Vec<String> = targets
                    .iter()
                    .map(|key| {
                        let names: Vec<String> =
                            ctx.tag_names(*key).iter().map(TagName::to_string).collect();
                        names.join(" ")
                    })
                    .collect();
                ctx.copy("tags", lines.join("\n"));
            }
            Action::CopyCaption => {
                let caption = ctx.media(first).map(|media| media.caption);
                ctx.copy("caption", caption.unwrap_or_default());
            }
            _ => {
                let url = ctx.media(first).and_then(|media| source_url(&media));
                match url {
                    Some(url) if action == Action::OpenSource => ctx.effect(Effect::OpenUrl(url)),
                    url => ctx.copy("source URL", url.unwrap_or_default()),
                }
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

    fn search(&mut self, query: String) {
        if !matches!(self.panes.focus, Pane::Facets) {
            self.panes.show(Pane::Gallery);
        }
        let mut ctx = context!(self);
        self.query_bar.run(query, self.gallery.sort, &mut ctx);
    }

    fn sort(&mut self, sort: Sort) {
        self.gallery.sort = sort;
        let mut ctx = context!(self);
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
            SortKey::Random => "chance",
        };
        let reverse = if sort.reverse { ", reversed" } else { "" };
        self.say(Level::Info, &format!("sorted by {word}{reverse}"));
    }

    /// The keys of single text fields beyond plain editing.
    fn edit_line(&mut self, action: Action) {
        use Action as A;
        if self.layer() == Layer::Command {
            match action {
                A::HistoryPrevious => self.command_line.older(),
                A::HistoryNext => self.command_line.newer(),
                _ => {}
            }
            return;
        }
        let sort = self.gallery.sort;
        let mut ctx = context!(self);
        let bar = &mut self.query_bar;
        match action {
            A::HistoryPrevious => bar.older(sort, &mut ctx),
            A::HistoryNext => bar.newer(sort, &mut ctx),
            A::QueryNegate => bar.negate(sort, &mut ctx),
            A::QueryOr => bar.offer_or(sort, &mut ctx),
            A::QueryText => bar.as_text(sort, &mut ctx),
            _ => {}
        }
    }

    fn open_editor(&mut self) {
        if self.gallery.current().is_some() || !self.gallery.selection.is_empty() {
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
        let mut ctx = context!(self);
        self.facets.ask(&results, &mut ctx);
    }

    /// To the next picture; what was selected no longer matters then.
    fn turn_page(&mut self, n: usize, forward: bool) {
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

    fn jump(&mut self, jump: Jump, forward: bool) {
        use crate::model::entry::Facets as Has;
        self.gallery.last_jump = Some(jump);
        let found = self.gallery.find(forward, |key| match jump {
            Jump::Selected => self.gallery.selection.contains(&key),
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

    // Saving, undoing, leaving.

    fn save(&mut self) {
        let changes = self.changes.take_save();
        if !changes.is_empty() {
            self.effects.push(Effect::Save { changes });
        }
    }

    fn saved(&mut self, report: &SaveReport) {
        let again = self.changes.saved(report);
        for (key, _) in &report.saved {
            self.loaded.forget(*key);
        }
        for warning in &report.warnings {
            self.say(Level::Warning, warning);
        }
        if let Some((key, reason)) = report.failed.first() {
            let name = self
                .catalog
                .record(*key)
                .map_or_else(String::new, |record| record.title().into_owned());
            let text = match report.failed.len() {
                1 => format!("cannot save {name}: {reason}"),
                n => format!("cannot save {n} pictures, {name} first: {reason}"),
            };
            self.say(Level::Error, &text);
            if std::mem::take(&mut self.quits_when_saved) {
                self.dialogs
                    .push(Dialog::quit(self.changes.unsaved(), Some(reason)));
            }
            return;
        }
        if again {
            self.save();
            return;
        }
        self.say(Level::Info, &format!("saved {}", report.saved.len()));
        if self.quits_when_saved {
            self.save_and_quit();
        }
    }

    fn undo(&mut self, n: usize) {
        let mut said = None;
        for _ in 0..n {
            let Some(step) = self.changes.undo() else {
                break;
            };
            said = Some(format!("undone: {}", step.label));
        }
        let text = said.unwrap_or_else(|| "nothing to undo".to_owned());
        self.say(Level::Info, &text);
    }

    fn redo(&mut self, n: usize) {
        let mut said = None;
        for _ in 0..n {
            let Some(step) = self.changes.redo() else {
                break;
            };
            said = Some(format!("done again: {}", step.label));
        }
        let text = said.unwrap_or_else(|| "nothing to do again".to_owned());
        self.say(Level::Info, &text);
    }

    fn undo_to(&mut self, position: usize) {
        let at = self.changes.position;
        if position < at {
            self.undo(at - position);
        } else if position > at {
            self.redo(position - at);
        }
    }

    fn show_history(&mut self) {
        if self.changes.steps.is_empty() {
            self.say(Level::Info, "nothing was edited yet");
            return;
        }
        let labels: Vec<String> = self
            .changes
            .steps
            .iter()
            .map(|step| step.label.clone())
            .collect();
        self.dialogs
            .push(Dialog::history(&labels, self.changes.position));
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
        if unsaved > 0 {
            let failed = self.changes.failed.values().next().map(String::as_str);
            self.dialogs.push(Dialog::quit(unsaved, failed));
        } else {
            self.leave();
        }
    }

    fn save_and_quit(&mut self) {
        if self.changes.unsaved() == 0 && !self.changes.is_saving() {
            self.leave();
            return;
        }
        self.quits_when_saved = true;
        if self.changes.unsaved() > 0 {
            self.save();
        }
    }

    fn leave(&mut self) {
        self.remember();
        self.effects.push(Effect::Screen(ScreenEffect::Quit));
    }

    fn remember(&mut self) {
        self.effects.push(Effect::Remember(ViewState {
            tile_cells: Some(self.gallery.tile_cells),
            captions: Some(self.gallery.captions),
            info: Some(self.panes.info),
            monitor: Some(self.panes.monitor),
            theme: (self.theme != self.config.theme).then(|| self.theme.clone()),
        }));
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

    fn accept_dialog(&mut self) {
        let Some(dialog) = self.dialogs.pop() else {
            return;
        };
        for release in dialog.chosen() {
            match release {
                Release::Effect(Effect::Screen(ScreenEffect::Quit)) => self.leave(),
                Release::Effect(effect) => self.effects.push(effect),
                Release::UndoTo(position) => self.undo_to(position),
                Release::SaveAndQuit => self.save_and_quit(),
                Release::Trash(keys) => {
                    self.changes.forget(&keys);
                    self.effects.push(Effect::Trash(keys));
                }
            }
        }
    }

    // The ingest.

    fn set_workers(&mut self, workers: usize) {
        if workers > 0 {
            self.effects.push(Effect::SetWorkers(workers));
        }
    }

    fn retry_all(&mut self) {
        let failed = self.ingest_log.take_all_failed();
        if failed.is_empty() {
            self.say(Level::Info, "no file failed");
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

    // The command line.

    fn run_line(&mut self, line: &str) {
        match command_line::parse(line) {
            Ok(command) => self.run(command),
            Err(error) => self.say(Level::Error, &error),
        }
    }

    fn run(&mut self, command: Command) {
        match command {
            Command::Quit { discard: true } => self.leave(),
            Command::Quit { discard: false } => self.quit(),
            Command::Save => self.perform(Action::Save, None),
            Command::SaveAndQuit => self.save_and_quit(),
            Command::Discard => self.discard(),
            Command::Tag(line) => {
                let targets = self.targets();
                let mut ctx = context!(self);
                match editor::edits_of(&line, &ctx) {
                    Ok(edits) => {
                        ctx.edit(&format!("tag {line}"), &targets, edits);
                    }
                    Err(error) => ctx.say(Level::Error, error),
                }
            }
            Command::Untag(line) => {
                let targets = self.targets();
                let mut ctx = context!(self);
                match removals(&line, &ctx) {
                    Ok(edits) => {
                        ctx.edit(&format!("untag {line}"), &targets, edits);
                    }
                    Err(error) => ctx.say(Level::Error, error),
                }
            }
            Command::Rename { from, to } => self.rename_everywhere(&from, &to),
            Command::Caption(text) => {
                let targets = self.targets();
                let mut ctx = context!(self);
                let caption = editor::caption_of(&text);
                ctx.edit("caption", &targets, vec![Edit::SetCaption(caption)]);
            }
            Command::Rating(rating) => {
                let targets = self.targets();
                let label = rating.map_or("no rating", Rating::name);
                let mut ctx = context!(self);
                ctx.edit(&format!("rating {label}"), &targets, vec![rate(rating)]);
            }
            Command::Stars(stars) => {
                let targets = self.targets();
                let mut ctx = context!(self);
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

    /// Goes back to what is in the files.
    fn discard(&mut self) {
        let mut steps = 0;
        while self.changes.unsaved() > 0 && self.changes.undo().is_some() {
            steps += 1;
        }
        let text = match steps {
            0 => "nothing to discard".to_owned(),
            1 => "1 edit discarded; redo brings it back".to_owned(),
            n => format!("{n} edits discarded; redo brings them back"),
        };
        self.say(Level::Info, &text);
    }

    fn rename_everywhere(&mut self, from: &str, to: &str) {
        let mut ctx = context!(self);
        let (Some(from), Some(to)) = (tag_of(from, &ctx), tag_of(to, &ctx)) else {
            ctx.say(Level::Error, "a tag needs a name");
            return;
        };
        let catalog = Arc::clone(ctx.catalog);
        let targets: Vec<MediaKey> = catalog
            .keys()
            .filter(|key| {
                catalog
                    .record(*key)
                    .is_some_and(|record| record.tags().any(|tag| *tag == from))
            })
            .collect();
        let edit = Edit::RenameTag {
            from: from.clone(),
            to: ctx.user_tag(&to),
        };
        ctx.edit(&format!("rename {from} to {to}"), &targets, vec![edit]);
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

    // The mouse.

    fn click(&mut self, click: Click) {
        match (self.layer(), click.target) {
            (Layer::Dialog, Target::DialogChoice(index)) => {
                if let Some(Dialog {
                    kind: DialogKind::Choice { choices, cursor },
                    ..
                }) = self.dialogs.last_mut()
                    && index < choices.len()
                {
                    *cursor = index;
                    self.accept_dialog();
                }
            }
            (_, Target::Completion(index)) => {
                if let Some((_, Some(completion))) = self.field()
                    && index < completion.items.len()
                {
                    completion.chosen = Some(index);
                }
            }
            (Layer::Help, Target::HelpRow(row)) => {
                self.help.move_to(row);
                if click.is_double {
                    self.accept_text();
                }
            }
            // Modals keep everything below them from being touched.
            (Layer::Dialog | Layer::Prompt | Layer::Help, _) => {}
            (_, Target::Query(at)) => {
                if !self.query_bar.is_editing {
                    self.query_bar.begin();
                }
                let mut input = TextInput::new(self.query_bar.input.text.clone());
                while input.cursor > at {
                    input.left();
                }
                self.query_bar.input = input;
            }
            (layer, target) => {
                if matches!(layer, Layer::Query | Layer::Command) {
                    self.leave_text();
                }
                self.point_at(target, click);
            }
        }
    }

    fn point_at(&mut self, target: Target, click: Click) {
        match target {
            Target::Tile(index) => {
                self.panes.focus = Pane::Gallery;
                if click.ctrl {
                    self.gallery.move_to(index);
                    self.gallery.toggle(index);
                } else if click.shift {
                    self.gallery.select_to(index);
                } else {
                    self.gallery.move_to(index);
                    if click.is_double {
                        self.perform(Action::View, None);
                    }
                }
            }
            Target::EditorRow(row) => {
                self.panes.focus = Pane::Editor;
                self.editor.mode = EditorMode::List;
                self.editor.move_to(row);
            }
            Target::FacetRow(row) => {
                self.panes.focus = Pane::Facets;
                self.facets.move_to(row);
                if click.is_double {
                    self.perform(Action::FacetAdd, None);
                }
            }
            Target::MonitorRow(row) => {
                self.panes.focus = Pane::Monitor;
                self.ingest_log.move_to(row);
                if click.is_double {
                    self.perform(Action::MonitorDetails, None);
                }
            }
            Target::Pane(pane) if self.panes.is_shown(pane) => self.panes.focus = pane,
            Target::Pane(_)
            | Target::HelpRow(_)
            | Target::DialogChoice(_)
            | Target::Completion(_)
            | Target::Query(_) => {}
        }
    }

    fn scroll(&mut self, target: Target, lines: i32) {
        if let Some(dialog) = self.dialogs.last_mut() {
            let action = if lines < 0 {
                Action::CursorUp
            } else {
                Action::CursorDown
            };
            dialog.act(action, Some(lines.unsigned_abs() as usize), DIALOG_PAGE);
            return;
        }
        if self.help.is_open {
            self.help.scroll(lines);
            return;
        }
        match target {
            Target::Tile(_) | Target::Pane(Pane::Gallery) => self.gallery.scroll(lines.signum()),
            Target::Pane(Pane::Viewer) => self.turn_page(1, lines > 0),
            Target::EditorRow(_) | Target::Pane(Pane::Editor) => self.editor.scroll(lines),
            Target::FacetRow(_) | Target::Pane(Pane::Facets) => self.facets.scroll(lines),
            Target::MonitorRow(_) | Target::Pane(Pane::Monitor) => self.ingest_log.scroll(lines),
            Target::HelpRow(_)
            | Target::DialogChoice(_)
            | Target::Completion(_)
            | Target::Query(_) => {}
        }
    }

    // From the engine.

    fn hear(&mut self, event: Event) {
        match event {
            Event::Catalog { catalog, changed } => self.take_catalog(catalog, changed),
            Event::Found { generation, found } => self.found(generation, found),
            Event::Suggestions {
                generation,
                suggestions,
            } => {
                let none = std::collections::BTreeMap::new();
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
            Event::Notice { level, text } => self.say(level, &text),
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
        .map(|hint| crate::model::text::display_text(&hint).into_owned());
        self.query_bar.hint = found
            .hint
            .map(|hint| crate::model::text::display_text(&hint).into_owned());
        self.gallery.receive(found.keys, is_new);
        if self.panes.facets {
            let results = Arc::clone(&self.gallery.results);
            let mut ctx = context!(self);
            self.facets.ask(&results, &mut ctx);
        }
        let mut ctx = context!(self);
        self.query_bar.after_answer(self.gallery.sort, &mut ctx);
    }

    fn take_catalog(&mut self, catalog: Arc<Catalog>, changed: Option<Vec<MediaKey>>) {
        let old = std::mem::replace(&mut self.catalog, catalog);
        if let Some(keys) = changed {
            self.take_changed(&old, &keys);
        } else {
            self.loaded.clear();
            self.follow_keys(&old);
        }
        let mut ctx = context!(self);
        self.query_bar.refresh(self.gallery.sort, &mut ctx);
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
            if let Some(before) = before {
                let look = |record: &crate::model::catalog::Record<'_>| {
                    let has = record.has();
                    (
                        record.bytes(),
                        record.width(),
                        record.height(),
                        has.contains(crate::model::entry::Facets::MISSING),
                        has.contains(crate::model::entry::Facets::NEEDS_THUMBNAIL),
                    )
                };
                if look(&before) != look(&after) {
                    self.pictures.forget(*key);
                    self.wanted.clear();
                }
                if self.changes.has_pending(*key) && !self.changes.is_saving() {
                    elsewhere += 1;
                }
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
            self.changes.forget(&gone);
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
            || self.gallery.selection.iter().any(|key| is_moved(*key))
            || self.changes.keys().any(is_moved);
        if !moved {
            return;
        }
        let selection = self
            .gallery
            .selection
            .iter()
            .filter_map(|key| new_key(*key))
            .collect();
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

fn rate(rating: Option<Rating>) -> Edit {
    Edit::SetRating {
        rating,
        src: rating.map(|_| USER.to_owned()),
    }
}

/// The tag a word names: with its category, or with the one the library knows it by.
fn tag_of(word: &str, ctx: &Context<'_>) -> Option<TagName> {
    let word = word.trim();
    if let Some((category, value)) = word.split_once(':')
        && !value.is_empty()
        && ctx.catalog.is_category(&normalize_category(category))
    {
        return Some(TagName::new(category, value));
    }
    let name = TagName::new("", word);
    if name.value.is_empty() {
        return None;
    }
    let category = ctx.catalog.category_of(&name.value).unwrap_or_default();
    Some(TagName::new(category, &name.value))
}

/// The edits that remove the tags of a line, separated as in the tag language.
fn removals(line: &str, ctx: &Context<'_>) -> Result<Vec<Edit>, String> {
    let words: Vec<&str> = if line.contains(',') {
        line.split(',').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    };
    let at = ctx.now_text();
    words
        .into_iter()
        .map(|word| word.trim_start_matches('-'))
        .filter(|word| !word.is_empty())
        .map(|word| {
            let name = tag_of(word, ctx).ok_or_else(|| format!("no tag {word:?}"))?;
            Ok(Edit::RemoveTag {
                name,
                at: at.clone(),
            })
        })
        .collect()
}

/// The tags that the targets have, as completions of the word at the cursor.
fn present_tags(
    input: &TextInput,
    targets: &[MediaKey],
    ctx: &Context<'_>,
) -> completion::Completion {
    let mut counts: Vec<(TagName, usize)> = Vec::new();
    // More would take too long, and the list would be too long to read.
    let looked_at = &targets[..targets.len().min(200)];
    for name in looked_at.iter().flat_map(|key| ctx.tag_names(*key)) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let mut range = input.word();
    range.end = input.cursor;
    let typed = input.text[range.clone()]
        .trim_start_matches('-')
        .to_lowercase();
    let items = counts
        .into_iter()
        .filter(|(name, _)| name.to_string().contains(&typed))
        .map(|(name, count)| completion::Candidate {
            text: name.to_string(),
            count: Some(ctx.catalog.tag_count(&name)),
            presence: if count < looked_at.len() {
                Presence::Some
            } else {
                Presence::All
            },
            tag: Some(name),
            ..completion::Candidate::default()
        })
        .collect();
    completion::Completion {
        items,
        range,
        ..completion::Completion::default()
    }
}

/// Where a medium came from.
fn source_url(media: &Media) -> Option<String> {
    let site = media.sources.values().find_map(|source| {
        ["url", "post_url", "source"]
            .iter()
            .find_map(|key| source.get(*key)?.as_str().map(str::to_owned))
    });
    media
        .urls
        .first()
        .cloned()
        .or(site)
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
}
