//! The query language: text to a tree of terms.
//!
//! Parsing is pure and linear in the text, never panics, and gives a tree with
//! byte spans or one error. What the tree means to a library is the business of
//! the search, not of this module.

pub mod canonical;
pub mod key;
pub mod parser;
pub mod print;
mod session;
mod synonyms;
mod system;
pub mod tree;
mod value;

use std::{fmt, sync::Arc};

use self::{
    key::Key,
    tree::{Items, Node, Order, OrderBy, Term, Test},
};
pub use self::{
    session::Session,
    tree::{QueryError, Vocabulary},
};
use super::tag::{BUILT_IN_CATEGORIES, TagName};

/// The vocabulary without a library: the built-in categories.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Vocabulary for BuiltIn {
    fn is_category(&self, name: &str) -> bool {
        BUILT_IN_CATEGORIES.contains(&name)
    }
}

/// A parsed query; the default one finds everything visible.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    text: String,
    root: Option<Node>,
    /// Order, limit and sample: the last of each.
    modifiers: Vec<Term>,
    unknown_is_text: bool,
    session: Option<Arc<Session>>,
}

impl Query {
    /// Parses a finished query.
    pub fn parse(text: &str, vocabulary: &dyn Vocabulary) -> Result<Self, QueryError> {
        Self::read(text, vocabulary, false)
    }

    /// Parses a query that is still being typed: the last word, when the text ends in
    /// it, is a prefix. A word that is no tag is looked for in texts.
    pub fn parse_typing(text: &str, vocabulary: &dyn Vocabulary) -> Result<Self, QueryError> {
        Ok(Self::read(text, vocabulary, true)?.with_unknown_as_text(true))
    }

    fn read(text: &str, vocabulary: &dyn Vocabulary, is_typing: bool) -> Result<Self, QueryError> {
        let mut modifiers = Vec::new();
        let root = match parser::parse(text, vocabulary, is_typing)? {
            Some(root) => lift(root, true, &mut modifiers)?,
            None => None,
        };
        // The last one of each key wins.
        let mut last: Vec<Term> = Vec::new();
        for term in modifiers.into_iter().rev() {
            if last.iter().all(|known| key_of(known) != key_of(&term)) {
                last.push(term);
            }
        }
        last.reverse();
        Ok(Self {
            text: text.to_owned(),
            root,
            modifiers: last,
            unknown_is_text: false,
            session: None,
        })
    }

    /// Whether a plain word that is no tag is looked for in texts instead: so in the
    /// query bar, never on the command line.
    pub fn with_unknown_as_text(mut self, unknown_is_text: bool) -> Self {
        self.unknown_is_text = unknown_is_text;
        self
    }

    pub fn unknown_is_text(&self) -> bool {
        self.unknown_is_text
    }

    /// The meaning as an s-expression in conjunctive normal form; the empty query is
    /// `all`. Two queries of the same form find the same, in the same order.
    pub fn canonical(&self) -> String {
        canonical::print(self.root.as_ref(), &self.modifiers)
    }

    /// The text of the query made anew from what was understood: it parses to the same.
    pub fn rewritten(&self, vocabulary: &dyn Vocabulary) -> String {
        print::query(self.root.as_ref(), &self.modifiers, vocabulary)
    }

    /// Whether it finds everything visible in the default order.
    pub fn is_empty(&self) -> bool {
        self.root.is_none() && self.modifiers.is_empty()
    }

    /// The conditions; `None` is none.
    pub fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// The text of a term as it was written.
    pub fn source_of(&self, term: &Term) -> &str {
        self.text.get(term.span.clone()).unwrap_or_default()
    }

    /// All conditions, from left to right.
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        if let Some(root) = &self.root {
            collect(root, &mut terms);
        }
        terms
    }

    /// The order asked for. `similar:` implies its own, and so does `ordproject:`.
    pub fn order(&self) -> Option<Order> {
        let asked = self.modifiers.iter().find_map(|term| match &term.test {
            Test::Key {
                value:
                    tree::Value {
                        items: Items::Order(order),
                        ..
                    },
                ..
            } => Some(*order),
            _ => None,
        });
        let implied = |key: Key, by: OrderBy, is_descending: bool| {
            self.terms()
                .iter()
                .any(|term| key_of(term) == Some(key))
                .then_some(Order { by, is_descending })
        };
        asked
            .or_else(|| implied(Key::Similar, OrderBy::Similarity, true))
            .or_else(|| implied(Key::Ordproject, OrderBy::Project, false))
    }

    /// How many results at most.
    pub fn limit(&self) -> Option<u64> {
        self.count(Key::Limit)
    }

    /// How many results to draw at random.
    pub fn sample(&self) -> Option<u64> {
        self.count(Key::Random)
    }

    fn count(&self, key: Key) -> Option<u64> {
        self.modifiers.iter().find_map(|term| match &term.test {
            Test::Key {
                key: found, value, ..
            } if *found == key => match value.items {
                Items::Count(count) => Some(count),
                _ => None,
            },
            _ => None,
        })
    }

    /// The tags that every result has: context for the completion of the next word.
    pub fn required_tags(&self) -> Vec<TagName> {
        fn gather(node: &Node, tags: &mut Vec<TagName>) {
            match node {
                Node::And(nodes) => nodes.iter().for_each(|node| gather(node, tags)),
                Node::Term(Term {
                    test:
                        Test::Tag {
                            category, value, ..
                        },
                    ..
                }) => tags.push(TagName::new(category.as_deref().unwrap_or_default(), value)),
                _ => {}
            }
        }
        let mut tags = Vec::new();
        if let Some(root) = &self.root {
            gather(root, &mut tags);
        }
        tags
    }
}

/// Prints the text it was parsed from.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn key_of(term: &Term) -> Option<Key> {
    match &term.test {
        Test::Key { key, .. } => Some(*key),
        _ => None,
    }
}

fn collect<'a>(node: &'a Node, terms: &mut Vec<&'a Term>) {
    match node {
        Node::And(nodes) | Node::Or(nodes) => {
            for node in nodes {
                collect(node, terms);
            }
        }
        Node::Not(node) => collect(node, terms),
        Node::Term(term) => terms.push(term),
    }
}

/// Takes order, limit and sample out of the tree; they mean something only where
/// they hold for the whole query.
fn lift(node: Node, is_top: bool, modifiers: &mut Vec<Term>) -> Result<Option<Node>, QueryError> {
    match node {
        Node::Term(term) if key_of(&term).is_some_and(Key::is_modifier) => {
            if !is_top {
                let name = key_of(&term).map_or("order", Key::name);
                return Err(QueryError {
                    message: format!("{name} holds for the whole query"),
                    span: term.span,
                    hint: Some(format!("put {name} outside of \"or\", \"-\" and \"~\"")),
                });
            }
            modifiers.push(term);
            Ok(None)
        }
        Node::Term(_) => Ok(Some(node)),
        Node::And(nodes) if nodes.is_empty() => Ok(Some(Node::And(nodes))),
        Node::And(nodes) => {
            let mut rest = Vec::with_capacity(nodes.len());
            for node in nodes {
                rest.extend(lift(node, is_top, modifiers)?);
            }
            Ok(match rest.len() {
                0 => None,
                1 => rest.pop(),
                _ => Some(Node::And(rest)),
            })
        }
        Node::Or(nodes) => {
            let mut rest = Vec::with_capacity(nodes.len());
            for node in nodes {
                rest.extend(lift(node, false, modifiers)?);
            }
            Ok(Some(Node::Or(rest)))
        }
        Node::Not(node) => Ok(lift(*node, false, modifiers)?.map(|node| Node::Not(Box::new(node)))),
    }
}

#[cfg(test)]
mod tests;
