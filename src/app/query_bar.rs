//! The query bar: the text, its error, its history and its completion. A broken
//! query keeps the old result; the place of the error is marked.

use super::{completion::Completion, text_input::TextInput};

/// The state of the bar.
#[derive(Clone, Debug, Default)]
pub struct QueryBar {
    pub input: TextInput,
    /// Whether the bar hears the keys.
    pub is_editing: bool,
    pub error: Option<QueryMistake>,
    /// A remark about the query that ran: `no key re`, `text:word`.
    pub hint: Option<String>,
    pub completion: Completion,
    /// The number of the newest search.
    pub generation: u64,
    /// Whether the newest search has not been answered yet.
    pub is_searching: bool,
    /// Queries that were run, oldest first.
    pub history: Vec<String>,
    /// What the bar held when editing began; Esc goes back to it.
    pub before: String,
}

/// Where and why a query does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMistake {
    /// Safe to draw.
    pub message: String,
    /// Bytes of the text, on character borders; may be empty at the end.
    pub span: std::ops::Range<usize>,
    pub hint: Option<String>,
}
