//! The tag sidebar: the tags of the result with how often each occurs. Counted in
//! the background, because a result can hold everything.

use std::sync::Arc;

use crate::model::tag::TagName;

/// The state of the sidebar; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// Tags by category, the most frequent first within each.
    pub rows: Arc<[FacetRow]>,
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// The newest request.
    pub generation: u64,
    /// Whether the counts shown are those of an older result.
    pub is_stale: bool,
}

/// One tag of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRow {
    pub name: TagName,
    pub count: u64,
}
