//! The language of the quick tag prompt and of bulk edits on the command line:
//! `foo +foo -foo char:foo foo#3 rating:s fav stars:4 old>new`.
//!
//! Invariant: the whole line is read before anything applies.

use std::ops::Range;

use super::edit::Edit;

/// Why a line is no list of edits, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TagLineError {
    pub message: String,
    /// Bytes of the line.
    pub span: Range<usize>,
}

/// The edits a line asks for. `resolve` gives the category under which the library
/// knows a normalised tag value; `now` is RFC 3339.
pub fn parse_tag_line(
    line: &str,
    _resolve: &dyn Fn(&str) -> Option<String>,
    _now: &str,
) -> Result<Vec<Edit>, TagLineError> {
    if line.trim().is_empty() {
        return Ok(Vec::new());
    }
    Err(TagLineError {
        message: "no edit is understood yet".to_owned(),
        span: 0..line.len(),
    })
}
