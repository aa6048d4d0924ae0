//! Runs a query over a catalog: bitmaps first, columns where there is no bitmap,
//! then order and limit.

use std::{sync::Arc, time::Duration};

use super::job::Cancel;
use crate::model::{catalog::Catalog, id::MediaKey, query::Query};

/// The full-text index, which only storage knows.
pub trait FullText {
    /// Media whose texts match. `field` is `caption`, `name`, `note` or `filename`,
    /// or `None` for all of them; `words` is what the user wrote: words that must all
    /// be there, `"a phrase"`, `prefix*`.
    ///
    /// # Errors
    /// When the index cannot be asked; the text names the cause.
    fn find(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String>;
}

/// A library without full-text index: finds nothing and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFullText;

impl FullText for NoFullText {
    fn find(&self, _field: Option<&str>, _words: &str) -> Result<Vec<MediaKey>, String> {
        Err("this library has no full-text index yet".to_owned())
    }
}

/// One term of the query with how many media it matches by itself: a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermInfo {
    /// As the query prints it.
    pub text: String,
    pub count: u64,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of the request this answers.
    pub generation: u64,
    /// In the order asked for.
    pub keys: Arc<[MediaKey]>,
    pub elapsed: Duration,
    pub terms: Vec<TermInfo>,
    /// A word nobody knows, an index that cannot be asked: one line for the status.
    pub hint: Option<String>,
}

/// Runs a query; `None` when it was cancelled. `now` is seconds since 1970.
pub fn search(
    _query: &Query,
    catalog: &Catalog,
    _full_text: &dyn FullText,
    _now: i64,
    cancel: &Cancel,
) -> Option<Found> {
    if cancel.is_cancelled() {
        return None;
    }
    Some(Found {
        generation: 0,
        keys: catalog.default_order(),
        elapsed: Duration::ZERO,
        terms: Vec::new(),
        hint: None,
    })
}
