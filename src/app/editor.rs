//! The tag editor: the tags of one medium or of a whole selection, with how many
//! of them have each; a text field with completion; the caption. Every change
//! becomes an edit in [`changes`](super::changes), nothing is written from here.

use std::collections::HashSet;

use super::{
    completion::{Completion, Presence},
    text_input::TextInput,
};
use crate::model::{id::MediaKey, tag::TagName};

/// The state of the editor; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    /// What is being edited: the selection, or the medium under the cursor.
    pub targets: Vec<MediaKey>,
    pub mode: EditorMode,
    /// The list, made anew when the tags change.
    pub rows: Vec<EditorRow>,
    /// The row under the cursor, always a tag while there is one.
    pub cursor: usize,
    /// The first row on the screen.
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// Tags that the next command acts on, instead of the one under the cursor.
    pub marked: HashSet<TagName>,
    /// The field below the list: tags to add, in the tag language.
    pub input: TextInput,
    pub completion: Completion,
    /// Why the input was refused; drawn below it until it changes.
    pub error: Option<String>,
    pub order: EditorOrder,
    /// What was searched for in the list; matching rows are set off.
    pub find: String,
    /// The caption of the medium (of the first of several), pending edits included.
    pub caption: String,
    /// The display name likewise.
    pub name: String,
}

/// Which part of the editor hears the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EditorMode {
    List,
    #[default]
    Input,
}

/// How the list is arranged; changes nothing in the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EditorOrder {
    #[default]
    Category,
    Position,
    Name,
    Count,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum EditorRow {
    /// A heading: the name of the category and how many tags follow.
    Category {
        name: String,
        count: usize,
    },
    Tag(TagRow),
}

/// A tag and how it stands with the media being edited.
#[derive(Clone, Debug, PartialEq)]
pub struct TagRow {
    pub name: TagName,
    /// As it is stored, safe to draw; without the category.
    pub text: String,
    /// `●` all, `◐` some.
    pub presence: Presence,
    /// How many of the targets have it, of how many; shown for `Some`.
    pub have: usize,
    pub of: usize,
    /// How many media of the library have it.
    pub library_count: u64,
    /// Who put it there, when it was not the user: a site, a tagger, an import.
    pub source: Option<String>,
    /// Confidence of a tagger, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether an edit that is not saved put it here or changed it.
    pub is_pending: bool,
    pub is_marked: bool,
}
