//! The state of one session and the only way it changes: `update(Message)`.
//!
//! One owner, synchronous, no I/O: what must be done in the world comes out as
//! effects. This file routes; each pane's state and rules are in its own file.

pub mod action;
pub mod command_line;
pub mod completion;
pub mod config;
pub mod dialog;
pub mod editor;
pub mod facets;
pub mod gallery;
pub mod help;
pub mod info;
pub mod ingest_log;
pub mod key;
pub mod keymap;
pub mod message;
pub mod notices;
pub mod panes;
pub mod pictures;
pub mod query_bar;
pub mod text_input;
pub mod viewer;

use std::{sync::Arc, time::Duration};

use crate::{engine::job::Progress, model::catalog::Catalog};
use action::Layer;
use command_line::CommandLine;
use config::Config;
use dialog::Dialog;
use editor::Editor;
use facets::Facets;
use gallery::{Gallery, Tile};
use help::Help;
use info::Info;
use ingest_log::IngestLog;
use key::Key;
use keymap::Keymap;
use message::{Effect, Message, Now, Viewport};
use notices::Notices;
use panes::Panes;
use pictures::Pictures;
use query_bar::QueryBar;
use viewer::Viewer;

/// What the session knows about the library it shows. All safe to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryInfo {
    pub name: String,
    /// Its folder.
    pub root: String,
    /// Where files to be filed are put, when there is such a folder.
    pub ingest_folder: Option<String>,
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
    /// What it does, or `…` and the number of keys behind it.
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
    pub viewport: Viewport,
    /// The name of the theme in force.
    pub theme: String,
    pub now: Now,
    is_dirty: bool,
}

impl App {
    /// A session that has heard nothing yet.
    pub fn new(library: LibraryInfo, config: Config, keymap: Keymap) -> Self {
        let theme = config.theme.clone();
        Self {
            library,
            catalog: Arc::default(),
            config,
            keymap,
            panes: Panes::default(),
            gallery: Gallery::default(),
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
            viewport: Viewport::default(),
            theme,
            now: Now::default(),
            is_dirty: true,
        }
    }

    /// Takes note of what happened; what comes back must be run, in order.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        if let Message::Tick(now) = message {
            self.now = now;
        }
        self.is_dirty = true;
        Vec::new()
    }

    /// Whether something changed since this was asked last: draw when it did.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// When the next [`Message::Tick`] is needed if nothing else happens, since the
    /// start of the session. `None`: not at all.
    pub fn deadline(&self) -> Option<Duration> {
        self.notices.current.as_ref().map(|notice| notice.expires)
    }

    /// The layer that hears the next key.
    pub fn layer(&self) -> Layer {
        Layer::Gallery
    }

    /// What tile `index` of the result shows; `None` past the end.
    pub fn tile(&self, index: usize) -> Option<Tile> {
        let _ = index;
        None
    }

    /// How many media have edits that are not saved.
    pub fn unsaved(&self) -> usize {
        0
    }

    /// The keys that matter here and now, most useful first.
    pub fn hints(&self) -> Vec<Hint> {
        Vec::new()
    }

    /// What may follow the keys typed so far; empty while no box is due.
    pub fn next_keys(&self) -> Vec<NextKey> {
        Vec::new()
    }
}
