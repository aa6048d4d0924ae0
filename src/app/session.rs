//! What one session knows: which layer hears a key, what a tile shows, when something
//! is due. Changed by the files beside it.

mod hints;
mod looking;
mod settle;

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use super::{
    action::{Action, Layer},
    bulk::AskedEdits,
    cache_panel::CachePanel,
    changes::Changes,
    command_line::CommandLine,
    config::{Config, ViewState},
    context::{LastEdit, media},
    dialog::{Dialog, DialogKind},
    editor::{Editor, EditorMode},
    facets::Facets,
    frames::Frames,
    gallery::{Gallery, Tile},
    help::Help,
    info::{Info, Loaded},
    ingest_log::IngestLog,
    insight::Insight,
    key::Key,
    keymap::Keymap,
    marks::{MarkUse, Marks},
    message::{Effect, Message, Now, ScreenEffect, Viewport},
    notices::Notices,
    panes::{Pane, Panes},
    pictures::Pictures,
    query_bar::QueryBar,
    retry::Retry,
    viewer::Viewer,
};
use crate::{
    engine::{
        event::{IndexOffer, Level, PictureSize},
        job::Progress,
    },
    model::{catalog::Catalog, id::MediaKey, media::Media, tag::TagName},
};

/// How long a chord waits before the box says what may follow.
const BOX_AFTER: Duration = Duration::from_millis(400);

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
    /// What the next key is the letter of a mark for.
    pub letter: Option<MarkUse>,
    /// Since when the chord waits, since the start of the session.
    pub since: Duration,
    /// Whether it waits long enough for the box that says what may follow.
    pub shows_box: bool,
}

/// Everything one session knows. Fields are public for drawing; only
/// `App::update` changes them.
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
    /// What the rest of the library says of a picture: of the one under the cursor, when
    /// that is known.
    pub insight: Option<Insight>,
    asked_insight: Option<(MediaKey, u64)>,
    pub ingest_log: IngestLog,
    pub cache_panel: CachePanel,
    /// What the index lacks, until it is whole.
    pub index_offer: Option<IndexOffer>,
    pub query_bar: QueryBar,
    pub command_line: CommandLine,
    /// The last one is on top and hears the keys.
    pub dialogs: Vec<Dialog>,
    pub help: Help,
    /// The list of tags that a command was opened from: its word, and the place.
    pub(super) left_tag_list: Option<(String, usize)>,
    pub notices: Notices,
    /// Jobs that run, for the status line.
    pub jobs: Vec<Progress>,
    pub pending: Pending,
    pub marks: Marks,
    pub pictures: Pictures,
    /// The frames of the animation in the viewer.
    pub frames: Frames,
    pub changes: Changes,
    pub(super) retry: Retry,
    pub viewport: Viewport,
    /// The name of the theme in force.
    pub theme: String,
    /// The names of all themes, for completion; the screen fills it in.
    pub themes: Vec<String>,
    pub now: Now,
    pub(super) loaded: Loaded,
    pub(super) yanked: Vec<TagName>,
    pub(super) last_edit: Option<LastEdit>,
    /// A large edit that is looked at elsewhere, and what was typed since.
    pub(super) asked_edits: Option<Arc<AskedEdits>>,
    pub(super) held_back: VecDeque<Message>,
    /// What to do once the sidecar of a medium is read.
    pub(super) when_read: Option<(MediaKey, Action)>,
    /// The offer is to be made as soon as nobody is in the middle of something.
    pub(super) asks_about_index: bool,
    /// Leave as soon as everything is saved.
    pub(super) quits_when_saved: bool,
    pub(super) effects: Vec<Effect>,
    pub(super) generation: u64,
    pub(super) wanted: Vec<(MediaKey, PictureSize)>,
    settled: settle::Settled,
    looking: Option<looking::Looking>,
    pub(super) is_dirty: bool,
}

/// What the panes share, borrowed apart from the pane itself.
macro_rules! shared {
    ($app:ident) => {
        $crate::app::context::Context {
            catalog: &$app.catalog,
            marks: &$app.marks,
            config: &$app.config,
            changes: &mut $app.changes,
            loaded: &mut $app.loaded,
            notices: &mut $app.notices,
            dialogs: &mut $app.dialogs,
            effects: &mut $app.effects,
            generation: &mut $app.generation,
            last_edit: &mut $app.last_edit,
            asked_edits: &mut $app.asked_edits,
            now: $app.now,
        }
    };
}

pub use hints::{Hint, NextKey};
pub(super) use shared;

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
            insight: None,
            asked_insight: None,
            ingest_log: IngestLog::default(),
            cache_panel: CachePanel::default(),
            index_offer: None,
            query_bar: QueryBar::default(),
            command_line: CommandLine::default(),
            dialogs: Vec::new(),
            help: Help::default(),
            left_tag_list: None,
            notices: Notices::default(),
            jobs: Vec::new(),
            pending: Pending::default(),
            marks: Marks::default(),
            pictures: Pictures::default(),
            frames: Frames::default(),
            changes: Changes::default(),
            retry: Retry::default(),
            viewport: Viewport::default(),
            theme,
            themes: Vec::new(),
            now: Now::default(),
            loaded: Loaded::default(),
            yanked: Vec::new(),
            last_edit: None,
            asked_edits: None,
            held_back: VecDeque::new(),
            when_read: None,
            asks_about_index: false,
            quits_when_saved: false,
            effects: Vec::new(),
            generation: 0,
            wanted: Vec::new(),
            settled: settle::Settled::default(),
            looking: None,
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
        self.query_bar.history.clone_from(&view.queries);
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
        let second = (self.panes.monitor
            && (self.ingest_log.is_busy() || self.cache_panel.is_open))
            .then(|| Duration::from_secs(self.now.elapsed.as_secs() + 1));
        let slide = self.viewer.slideshow.map(|show| show.next);
        let retry = self.retry.due();
        let look = self.looking.and_then(|looking| looking.due);
        [notice, chord, second, slide, retry, look]
            .into_iter()
            .flatten()
            .min()
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
        tile.letters = self.marks.letters_on(key, &self.catalog);
        tile.marks.unsaved = self.changes.has_pending(key);
        tile.marks.failed = self.changes.failed.contains_key(&key);
        Some(tile)
    }

    /// A medium with the edits that are pending: from its sidecar when that is
    /// loaded, else from what the catalog knows.
    pub fn media(&self, key: MediaKey) -> Option<Media> {
        media(&self.catalog, &self.loaded, &self.changes, key)
    }

    /// How many media have edits that are not saved.
    pub fn unsaved(&self) -> usize {
        self.changes.unsaved()
    }

    pub(super) fn tick(&mut self, now: Now) {
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
        if self.panes.monitor {
            let second = now.elapsed.as_secs();
            self.cache_panel.tick(second, &mut self.effects);
        }
        self.slide(now.elapsed);
        self.note_look();
        if self.retry.tick(now.elapsed) {
            self.try_again();
        }
    }

    /// Shows the next picture of a slideshow when it is due, after the last the first.
    fn slide(&mut self, now: Duration) {
        if !self.panes.viewer {
            self.viewer.slideshow = None;
        }
        let is_due = self
            .viewer
            .slideshow
            .as_mut()
            .is_some_and(|show| show.tick(now));
        if is_due {
            let next = self.gallery.cursor + 1;
            let is_last = next >= self.gallery.results.len();
            self.gallery.move_to(if is_last { 0 } else { next });
            self.is_dirty = true;
        }
    }

    pub(super) fn resize(&mut self, viewport: Viewport) {
        self.viewport = viewport;
        self.gallery.resize(viewport.columns, viewport.rows);
        self.viewer.resize(viewport.visible_x, viewport.visible_y);
        self.editor.resize(viewport.editor_rows);
        self.facets.resize(viewport.facet_rows);
        self.ingest_log.resize(viewport.monitor_rows);
        self.help.resize(viewport.help_rows);
    }

    /// What a command acts on: the editor's media there, else the selection or the
    /// medium under the cursor. The viewer shows one, and acts on that.
    pub(super) fn targets(&self) -> Vec<MediaKey> {
        match self.panes.focus {
            Pane::Viewer => self.gallery.current().into_iter().collect(),
            Pane::Editor => self.editor.targets.clone(),
            Pane::Gallery | Pane::Facets | Pane::Monitor => self.gallery.targets(),
        }
    }

    /// Passes on whether there is a picture to do something with; says so when there
    /// is none.
    pub(super) fn has_picture(&mut self, is_any: bool) -> bool {
        if !is_any {
            self.say(Level::Info, "there is no picture here");
        }
        is_any
    }

    pub(super) fn save(&mut self) {
        let steps = self.changes.take_save();
        if !steps.is_empty() {
            self.effects.push(Effect::Save(steps));
        }
    }

    /// What a fault kept from being written, once more.
    fn try_again(&mut self) {
        let refused = self.changes.take_refused();
        if !refused.save.is_empty() {
            self.effects.push(Effect::Save(refused.save));
        }
        self.effects
            .extend(refused.keep.into_iter().map(Effect::Keep));
        self.is_dirty = true;
    }

    pub(super) fn leave(&mut self) {
        self.remember();
        self.effects.push(Effect::Screen(ScreenEffect::Quit));
    }

    pub(super) fn remember(&mut self) {
        self.effects.push(Effect::Remember(ViewState {
            tile_cells: Some(self.gallery.tile_cells),
            captions: Some(self.gallery.captions),
            info: Some(self.panes.info),
            monitor: Some(self.panes.monitor),
            theme: (self.theme != self.config.theme).then(|| self.theme.clone()),
            queries: self.query_bar.history.clone(),
        }));
    }

    pub(super) fn search(&mut self, query: String) {
        if !matches!(self.panes.focus, Pane::Facets) {
            self.panes.show(Pane::Gallery);
        }
        let mut ctx = shared!(self);
        self.query_bar.run(query, self.gallery.sort, &mut ctx);
    }
}
