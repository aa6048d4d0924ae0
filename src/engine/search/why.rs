//! Why a medium matches a query or does not: term by term, with the stored tags that
//! count and the aliases and implications that make them count.

use super::terms::{Cancelled, Evaluation, Lookup, tags};
use crate::{
    engine::job::Cancel,
    model::{
        catalog::{Catalog, Record},
        id::MediaKey,
        query::{
            Query, print,
            tree::{Node, Term, Test},
        },
        tag::TagName,
        tagdb::Step,
    },
};

/// What one term says of a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The term as a query.
    pub term: String,
    pub is_met: bool,
    /// The stored tags that count for it, each with how it comes to count:
    /// `horo = character:holo → copyright:spice_and_wolf`.
    pub because: Vec<String>,
}

/// What each term of a query says of a medium; `None` when it was cancelled.
pub fn why(
    query: &Query,
    catalog: &Catalog,
    lookup: &dyn Lookup,
    now: i64,
    cancel: &Cancel,
    key: MediaKey,
) -> Option<Vec<Reason>> {
    let mut evaluation = Evaluation::new(query, catalog, lookup, now, cancel);
    let record = catalog.record(key)?;
    let terms = query.terms();
    terms
        .into_iter()
        .map(|term| {
            let media = evaluation.node(&Node::Term(term.clone()))?;
            Ok(Reason {
                term: print::term(term),
                is_met: media.contains(key.0),
                because: because(catalog, &record, term),
            })
        })
        .collect::<Result<_, Cancelled>>()
        .ok()
}

fn because(catalog: &Catalog, record: &Record<'_>, term: &Term) -> Vec<String> {
    let wanted: Vec<TagName> = match &term.test {
        Test::Tag {
            category, value, ..
        } => tags::meant(catalog, category.as_deref(), value).names,
        Test::Wildcard {
            category, pattern, ..
        } => {
            let matches = |name: &TagName| {
                category
                    .as_ref()
                    .is_none_or(|category| name.category == *category)
                    && super::text::glob(pattern, &name.value)
            };
            let stored = record.tags().filter(|name| matches(name));
            let targets = catalog.tag_database().targets();
            stored
                .chain(targets.filter(|name| matches(name)))
                .cloned()
                .collect()
        }
        Test::Key { .. } => return Vec::new(),
    };
    let mut reasons = Vec::new();
    for stored in record.tags() {
        for wanted in &wanted {
            let Some(steps) = catalog.tag_database().why(stored, wanted) else {
                continue;
            };
            let mut reason = stored.to_string();
            for step in steps {
                let (sign, name) = match step {
                    Step::Alias(name) => (" = ", name),
                    Step::Implies(name) => (" → ", name),
                };
                reason.push_str(sign);
                reason.push_str(&name.to_string());
            }
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons
}
