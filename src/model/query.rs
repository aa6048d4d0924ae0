//! The query language: text to a tree of terms, and back.
//!
//! Parsing is pure and linear in the text, never panics, and gives a tree with
//! byte spans or one error.

use std::{fmt, ops::Range};

/// What the parser asks about the library: which words before a colon are categories.
pub trait Vocabulary {
    /// `name` is a full category name, normalised.
    fn is_category(&self, name: &str) -> bool;
}

/// The vocabulary without a library: the built-in categories.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Vocabulary for BuiltIn {
    fn is_category(&self, name: &str) -> bool {
        super::tag::BUILT_IN_CATEGORIES.contains(&name)
    }
}

/// Why a text is no query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at {}", span.start)]
pub struct QueryError {
    pub message: String,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A parsed query; the default one finds everything visible.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    text: String,
}

impl Query {
    /// Parses a finished query.
    pub fn parse(text: &str, _vocabulary: &dyn Vocabulary) -> Result<Self, QueryError> {
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// Parses a query that is still being typed: its unfinished last word is a prefix,
    /// and an unknown word is looked for in texts.
    pub fn parse_typing(text: &str, vocabulary: &dyn Vocabulary) -> Result<Self, QueryError> {
        Self::parse(text, vocabulary)
    }

    /// The meaning as an s-expression in conjunctive normal form: `all` for the
    /// empty query.
    pub fn canonical(&self) -> String {
        self.text.clone()
    }

    /// Whether it finds everything visible in the default order.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The tag names that must be on every result: what a new import or the
    /// completion may take as context.
    pub fn required_tags(&self) -> Vec<super::tag::TagName> {
        Vec::new()
    }
}

/// Prints a query that parses to the same meaning.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
