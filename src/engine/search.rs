//! Runs a query over a catalog: bitmaps where there are any, one pass over the
//! records where there are none, then order and limit.

mod explain;
mod order;
mod terms;
mod text;
mod why;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roaring::{MultiOps, RoaringBitmap};

use self::terms::{Cancelled, Evaluation, tags};
pub use self::{
    explain::{How, Plan, PlanStep, explain},
    terms::{Lookup, NoLookup},
    why::{Reason, why},
};
use super::job::Cancel;
use crate::model::{
    catalog::Catalog,
    entry::Facets,
    id::MediaKey,
    media::MediaKind,
    query::{
        Query,
        key::Key,
        tree::{Items, Term, Test},
    },
    tag::TagName,
};

/// One term of the query with how many visible media it matches by itself: a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermInfo {
    /// As it was written; `text:word` for a word that is no tag and was looked for
    /// in texts.
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

/// The beginning of what a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub keys: Arc<[MediaKey]>,
    /// How many there are.
    pub total: u64,
    /// As in [`Found`].
    pub hint: Option<String>,
}

/// Runs a query for its first `size` media and how many it finds, which takes less
/// than to list all; `None` when it was cancelled.
pub fn first_page(
    query: &Query,
    catalog: &Catalog,
    lookup: &dyn Lookup,
    now: i64,
    cancel: &Cancel,
    size: usize,
) -> Option<Page> {
    let mut evaluation = Evaluation::new(query, catalog, lookup, now, cancel);
    let unseen = unseen(query, catalog);
    let found = matching(query, &mut evaluation, &unseen).ok()?;
    let (keys, total) = order::arrange(query, &mut evaluation, found, size).ok()?;
    Some(Page {
        keys,
        total,
        hint: evaluation.hints.into_iter().next(),
    })
}

/// Runs a query; `None` when it was cancelled. `now` is seconds since 1970.
pub fn search(
    query: &Query,
    catalog: &Catalog,
    lookup: &dyn Lookup,
    now: i64,
    cancel: &Cancel,
) -> Option<Found> {
    let started = Instant::now();
    let mut evaluation = Evaluation::new(query, catalog, lookup, now, cancel);
    let unseen = unseen(query, catalog);
    let (keys, terms) = run(query, &mut evaluation, &unseen).ok()?;
    Some(Found {
        generation: 0,
        keys,
        elapsed: started.elapsed(),
        terms,
        hint: evaluation.hints.into_iter().next(),
    })
}

fn run(
    query: &Query,
    evaluation: &mut Evaluation<'_>,
    unseen: &RoaringBitmap,
) -> Result<(Arc<[MediaKey]>, Vec<TermInfo>), Cancelled> {
    let found = matching(query, evaluation, unseen)?;
    let terms = evaluation
        .counted
        .iter()
        .map(|(text, media)| TermInfo {
            text: text.clone(),
            count: media.difference_len(unseen),
        })
        .collect();
    let (keys, _) = order::arrange(query, evaluation, found, usize::MAX)?;
    Ok((keys, terms))
}

fn matching(
    query: &Query,
    evaluation: &mut Evaluation<'_>,
    unseen: &RoaringBitmap,
) -> Result<RoaringBitmap, Cancelled> {
    evaluation.check()?;
    let mut found = match query.root() {
        Some(root) => evaluation.node(root)?.into_owned(),
        None => evaluation.catalog.all().clone(),
    };
    found -= unseen;
    Ok(found)
}

/// What a query does not find in any case, mostly little: the trash is hidden, and so are
/// masks, crops, frames, and what has a hidden tag, unless the query asks about such
/// things.
fn unseen(query: &Query, catalog: &Catalog) -> RoaringBitmap {
    let terms = query.terms();
    let mentions = |asks: &dyn Fn(Key, &Items) -> bool| {
        terms.iter().any(|term| match &term.test {
            Test::Key { key, value, .. } => *key == Key::All || asks(*key, &value.items),
            _ => false,
        })
    };
    let is = |items: &Items, word: &str| match items {
        Items::List(words) => words.iter().any(|known| known == word),
        _ => false,
    };
    let mut unseen = RoaringBitmap::new();
    let asks_status =
        mentions(&|key, items| key == Key::Status || (key == Key::Is && is(items, "trash")));
    if !asks_status {
        unseen |= catalog.with_facet(Facets::TRASHED);
    }
    let asks_hidden = mentions(&|key, items| key == Key::Is && is(items, "hidden"));
    if !asks_hidden {
        unseen |= hidden(catalog, &terms);
    }
    let asks_kind = mentions(&|key, items| {
        matches!(key, Key::Type | Key::Mask | Key::Of) || (key == Key::Is && is(items, "derived"))
    });
    if !asks_kind {
        for kind in MediaKind::ALL.into_iter().filter(|kind| kind.is_derived()) {
            unseen |= catalog.of_kind(kind);
        }
    }
    unseen
}

/// The media that a hidden tag hides, but for those tags that a query names.
fn hidden(catalog: &Catalog, terms: &[&Term]) -> RoaringBitmap {
    let named: Vec<TagName> = terms
        .iter()
        .filter_map(|term| match &term.test {
            Test::Tag {
                category, value, ..
            } => Some(tags::meant(catalog, category.as_deref(), value).names),
            _ => None,
        })
        .flatten()
        .collect();
    let mut parts = Vec::new();
    let hidden = catalog.tag_database().hidden();
    for name in hidden.filter(|name| !named.contains(name)) {
        tags::counting(catalog, name, &mut parts);
    }
    parts.union()
}

#[cfg(test)]
mod brute;
#[cfg(test)]
mod tests;
