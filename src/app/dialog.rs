//! Modals, stacked: a message, a choice, a list, a one-line question. Each answer
//! holds what it releases, so that nothing else has to remember why was asked.

use super::{action::Action, completion::Completion, message::Effect, text_input::TextInput};
use crate::model::{edit::Edit, id::MediaKey, tag::TagName};

/// One modal. All its text is safe to draw.
#[derive(Clone, Debug)]
pub struct Dialog {
    pub title: String,
    /// Lines above the answers; the screen wraps them.
    pub body: Vec<String>,
    pub kind: DialogKind,
}

/// What a modal asks.
#[derive(Clone, Debug)]
pub enum DialogKind {
    /// Nothing: any of its keys closes it. `scroll` is the first line shown.
    Message { scroll: usize },
    /// Buttons or lines, one of them highlighted.
    Choice { choices: Vec<Choice>, cursor: usize },
    /// A line of text, drawn where the command line is.
    Prompt(Box<Prompt>),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Choice {
    pub label: String,
    /// Pressing it takes this answer at once.
    pub key: Option<char>,
    /// Drawn in the color of danger.
    pub is_destructive: bool,
    pub release: Vec<Release>,
}

/// What an answer sets free.
#[derive(Clone, Debug)]
pub enum Release {
    Effect(Effect),
    Action(Action),
    /// Undo or redo until so many steps are in force.
    UndoTo(usize),
    /// Save everything and leave when it is saved.
    SaveAndQuit,
    Edit {
        label: String,
        changes: Vec<(MediaKey, Vec<Edit>)>,
    },
}

/// A one-line question with completion.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub purpose: Purpose,
    pub input: TextInput,
    pub completion: Completion,
    /// Why the answer was refused; drawn until it changes.
    pub error: Option<String>,
}

/// What the answer of a prompt is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Tag(Vec<MediaKey>),
    Untag(Vec<MediaKey>),
    RenameTag {
        targets: Vec<MediaKey>,
        from: TagName,
    },
    RenameEverywhere {
        from: TagName,
    },
    Caption(Vec<MediaKey>),
    Name(Vec<MediaKey>),
    FindTag,
}
