//! The info panel: facts of the medium under the cursor. Also keeps the few full
//! sidecars that are loaded, for the panel and the editor.

/// The state of the panel; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Label and value, safe to draw; made anew when the cursor moves.
    pub facts: Vec<Fact>,
    /// Whether the sidecar is still being read: the facts are those of the index.
    pub is_loading: bool,
    /// Why the sidecar could not be read.
    pub error: Option<String>,
}

/// One line of the panel; a long value is wrapped by the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub label: &'static str,
    pub value: String,
}
