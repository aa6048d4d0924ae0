//! What goes into `App::update` and what comes out: the two closed enums between
//! the session's state, the screen and the engine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{action::Action, key::Key, panes::Pane};
use crate::{
    engine::{event::Event, job::JobId, save::SaveStep, search::Plan},
    model::{id::MediaKey, operation::OperationId, query::Query, tag::TagName, tagdb::TagEdit},
};

// What the screen draws of the engine's words; it names the engine nowhere else.
pub use crate::engine::{
    LayoutKind,
    event::{IngestOutcome, Level, PictureSize, Stage},
    job::Progress,
};

/// The time, as told from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the session began; never goes back.
    pub elapsed: Duration,
    /// Seconds since 1970.
    pub unix: i64,
}

/// Anything that can happen to a session.
#[derive(Clone, Debug)]
pub enum Message {
    /// The time. Sent before every other message of a turn, and when
    /// `App::deadline` has come.
    Tick(Now),
    Key(Key),
    /// Text from the terminal's clipboard.
    Paste(String),
    Click(Click),
    /// Wheel over something, in lines; negative is up.
    Scroll {
        target: Target,
        lines: i32,
    },
    /// The sizes the screen gives to things. Sent when they change, never otherwise.
    Viewport(Viewport),
    /// An action without a key: from a click on a hint, from a test.
    Action(Action),
    /// From the engine.
    Engine(Event),
    /// The jobs that run now.
    Progress(Vec<Progress>),
    /// The tags of a result, counted.
    Facets {
        generation: u64,
        rows: Arc<super::facets::FacetRows>,
    },
    /// How a query is understood, in its canonical form, and how it was run.
    Plan(String, Box<Plan>),
    /// Which media a large edit changes.
    Edits(Box<super::bulk::FoundEdits>),
    /// What the rest of the library says of a picture.
    Insight(Box<super::insight::Insight>),
    /// The terminal is gone or the system wants us to end: save and leave, unasked.
    Terminate,
}

/// A click, already translated from cells to what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Click {
    pub target: Target,
    /// The second of two quick clicks on the same thing.
    pub is_double: bool,
    /// With Ctrl: select or not.
    pub ctrl: bool,
    /// With Shift: select from the cursor to here.
    pub shift: bool,
}

/// Things on the screen that can be pointed at. Numbers index the pane's own rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tile, by its place in the result.
    Tile(usize),
    EditorRow(usize),
    FacetRow(usize),
    MonitorRow(usize),
    HelpRow(usize),
    DialogChoice(usize),
    /// A line of whichever completion list is open.
    Completion(usize),
    /// The query bar, at a byte of its text.
    Query(usize),
    /// Anywhere else in a pane.
    Pane(Pane),
}

/// The sizes the screen gives to things.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// Tiles side by side, and whole rows of tiles.
    pub columns: usize,
    pub rows: usize,
    /// The stored size that fills a tile.
    pub tile_picture: PictureSize,
    /// The stored size that fills the viewer at its present zoom.
    pub viewer_picture: PictureSize,
    /// The part of each side of the viewer's picture that is in view, 0 to 1.
    pub visible_x: f64,
    pub visible_y: f64,
    /// Rows of the lists.
    pub editor_rows: usize,
    pub facet_rows: usize,
    pub monitor_rows: usize,
    pub help_rows: usize,
    /// Whether there is room for one pane only.
    pub is_narrow: bool,
}

impl Default for Viewport {
    fn default() -> Self {
        Self {
            columns: 1,
            rows: 1,
            tile_picture: PictureSize::Thumbnail,
            viewer_picture: PictureSize::Preview,
            visible_x: 1.0,
            visible_y: 1.0,
            editor_rows: 1,
            facet_rows: 1,
            monitor_rows: 1,
            help_rows: 1,
            is_narrow: false,
        }
    }
}

/// Whose tags are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those of the result, for the sidebar.
    Result,
    /// Those of the selection, for the editor.
    Selection,
}

/// What the session asks of the world. None of it blocks the one who asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Latest wins; answered by results of the same generation.
    Search {
        query: Query,
        generation: u64,
    },
    /// Latest wins.
    Suggest {
        prefix: String,
        context: Vec<TagName>,
        generation: u64,
    },
    /// Latest wins: what is no longer in the list is no longer wanted. First things first.
    Pictures(Vec<(MediaKey, PictureSize)>),
    /// Latest of its kind wins: count the tags of many media.
    Facets {
        of: Counted,
        keys: Arc<[MediaKey]>,
        /// Edits that the catalog does not know yet.
        pending: super::changes::Changes,
        generation: u64,
    },
    /// A frame of an animation, from 0. Latest wins.
    Frame {
        key: MediaKey,
        number: u32,
        size: PictureSize,
    },
    LoadMedia(MediaKey),
    /// Run a query and say how; answered by [`Message::Plan`].
    Explain(Query),
    /// Find out which media an edit changes; answered by [`Message::Edits`].
    FindEdits(Arc<super::bulk::AskedEdits>),
    /// Latest wins.
    Insight(MediaKey),
    /// In order, never lost, like the next four: unsaved edits, for the journal.
    Keep(SaveStep),
    /// Kept edits that were undone.
    Discard(Vec<u64>),
    /// Kept edits of earlier sessions that are kept anew, or not wanted.
    Forget(Vec<OperationId>),
    /// Answered in the same order.
    Save(Vec<SaveStep>),
    /// Undo or redo what is saved, the newest edit.
    RevertNewest {
        is_redo: bool,
    },
    Revert {
        id: OperationId,
        is_redo: bool,
    },
    /// What the journal has.
    History,
    Trash(Vec<MediaKey>),
    Ingest(Vec<PathBuf>),
    Scan,
    PauseIngest(bool),
    SetWorkers(usize),
    Retry(PathBuf),
    ReloadCatalog,
    /// Answered by what the cache did and holds.
    AskCache,
    /// Forget what matches a pattern.
    ClearCache(String),
    /// Make the missing thumbnails.
    WarmCache(Arc<[MediaKey]>),
    Rebuild,
    Verify,
    /// Ask the sources about these.
    Fetch {
        keys: Vec<MediaKey>,
        again: bool,
    },
    Cancel(JobId),
    /// Hand an address to the desktop, where there is one.
    OpenUrl(String),
    /// Remember how the screen is set up, for this library.
    Remember(super::config::ViewState),
    /// Change the tag database; told by a notice.
    ChangeTags {
        action: String,
        edits: Vec<TagEdit>,
    },
    /// Rename a tag on every medium, as a job.
    RenameTag {
        from: TagName,
        to: TagName,
        leaves_alias: bool,
    },
    /// The surest implication that the data suggest, but for so many.
    SuggestImplication {
        skip: usize,
    },
    /// Why a medium matches.
    Why {
        query: Query,
        key: MediaKey,
    },
    /// A medium was looked at.
    NoteViewed(MediaKey),
    /// Put a mark on a medium, or take it away. In order.
    SetMark {
        letter: char,
        key: Option<MediaKey>,
    },
    NameSearch {
        name: String,
        query: Option<String>,
    },
    Searches,
    /// For the screen itself.
    Screen(ScreenEffect),
}

/// What only the one who owns the terminal can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenEffect {
    /// To the terminal's clipboard (OSC 52).
    Copy(String),
    /// Forget what is on the screen, ask the terminal again, draw everything.
    Redraw,
    /// Give the terminal back to the shell until it returns.
    Suspend,
    /// Another theme, by name.
    Theme(String),
    /// Make the folder that was given a library: asked before one is open.
    Create(LayoutKind),
    /// Leave the event loop.
    Quit,
}
