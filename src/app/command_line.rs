//! The command line: `:` and the words of the program, with completion, history,
//! and an error that says what was wrong.

use super::{completion::Completion, text_input::TextInput};

/// The state of the line; it is open while `is_open`.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    pub is_open: bool,
    pub input: TextInput,
    pub completion: Completion,
    /// Why the line was refused; drawn until it changes. Safe to draw.
    pub error: Option<String>,
    /// Lines that were run, oldest first.
    pub history: Vec<String>,
}
