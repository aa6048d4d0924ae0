//! The help: every action and command with its keys, searchable; Enter runs the
//! chosen one, which makes it the palette too.

use super::{
    action::{Action, Layer},
    text_input::TextInput,
};

/// The state of the help; it is open while `is_open`.
#[derive(Clone, Debug, Default)]
pub struct Help {
    pub is_open: bool,
    /// What is searched for.
    pub input: TextInput,
    /// What matches, the layer asked about first.
    pub rows: Vec<HelpRow>,
    /// The row under the cursor; never a heading while there is another.
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
}

/// One line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpRow {
    Heading(Layer),
    Action {
        action: Action,
        /// As the keymap has them now: `gg  Home`; empty when unbound.
        keys: String,
    },
    Command {
        /// `sort KEY`
        usage: &'static str,
        help: &'static str,
    },
    /// The heading above the commands.
    Commands,
}
