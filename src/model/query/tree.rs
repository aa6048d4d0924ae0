//! The tree a query is parsed into: what it means, without how to evaluate it.

use std::ops::Range;

use super::key::Key;
use crate::model::{color::ColorTest, column::Column, tag::normalize_category};

/// What the parser asks about the library: which words before a colon are categories.
pub trait Vocabulary {
    /// `name` is a full category name, normalised.
    fn is_category(&self, name: &str) -> bool;

    /// The full name of a category that a person named, whether it is one or not.
    fn category_name(&self, name: &str) -> String {
        normalize_category(name)
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

/// Boolean logic over terms.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Term(Term),
}

/// One condition and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub test: Test,
    /// Bytes of the text, without a leading `-` or `~`.
    pub span: Range<usize>,
}

/// What a term asks of a medium.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Has this tag; names are normalised.
    Tag {
        /// `None`: of any category.
        category: Option<String>,
        value: String,
        origin: TagOrigin,
    },
    /// Has a tag that matches this pattern with `*`.
    Wildcard {
        category: Option<String>,
        pattern: String,
        /// It is the unfinished last word of a query being typed.
        is_unfinished: bool,
    },
    /// A key and its value.
    Key {
        key: Key,
        /// The category whose tags are counted, for [`Key::Tagcount`].
        category: Option<String>,
        value: Value,
    },
}

/// How a tag was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagOrigin {
    /// A plain word, which may be no tag at all.
    Word,
    /// In quotes, or with a category.
    Exact,
    /// With `tag:`, and it would mean something else without.
    Forced,
}

/// The value of a key: as written, and as understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Without quotes and escapes.
    pub raw: String,
    pub is_quoted: bool,
    pub items: Items,
}

/// A value as its key understands it. Lists mean any of their items.
#[derive(Clone, Debug, PartialEq)]
pub enum Items {
    /// Has a value at all.
    Any,
    /// Has no value.
    None,
    Pattern(Pattern),
    /// As written.
    Words(String),
    /// Lower case.
    List(Vec<String>),
    Flag(bool),
    Numbers(Vec<NumberTest>),
    Dates(Vec<DateTest>),
    Similar(Similar),
    Colors(Vec<ColorTest>),
    Order(Order),
    Count(u64),
    Nothing,
}

/// How a text is matched. A pattern in lower case ignores case.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    Substring(String),
    /// With `*` for anything.
    Glob(String),
    Regex {
        source: String,
        ignore_case: bool,
    },
}

/// Between two bounds, both inclusive; or not so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberTest {
    pub low: f64,
    pub high: f64,
    pub is_negated: bool,
}

impl NumberTest {
    pub fn matches(&self, number: f64) -> bool {
        (number >= self.low && number <= self.high) != self.is_negated
    }
}

/// From the start of one stretch of time to the end of another; `None` is open.
#[derive(Clone, Debug, PartialEq)]
pub struct DateTest {
    /// At or after the start of this.
    pub from: Option<Moment>,
    /// Before the end of this.
    pub until: Option<Moment>,
    /// After the end of this.
    pub after: Option<Moment>,
    /// Before the start of this.
    pub before: Option<Moment>,
    pub is_negated: bool,
}

/// A stretch of the local calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    Year(i16),
    Month(i16, i8),
    Day(jiff::civil::Date),
    /// One minute, or one second when `seconds` were given.
    Time {
        start: jiff::civil::DateTime,
        seconds: bool,
    },
    Today,
    Yesterday,
    ThisWeek,
    ThisMonth,
    ThisYear,
    /// `3_days_ago`: that day, or one second, minute or hour from then on.
    Ago(u32, Unit),
}

/// What is counted back from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// What `similar:` asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    pub id: String,
    /// Differing bits of the perceptual hash, at most.
    pub distance: Option<u32>,
    /// How many at most.
    pub count: Option<usize>,
    /// `phash` unless given.
    pub by: Option<String>,
}

/// An order of results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    pub by: OrderBy,
    pub is_descending: bool,
}

/// What results are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// One value of every medium.
    Column(Column),
    Similarity,
    /// The place in the projects that the query names.
    Project,
    /// How many media have the same bytes.
    Dupsize,
    /// When it was looked at last.
    Viewed,
    /// Its colors: hues from red on, then white, gray, black.
    Color,
    /// With a seed, or a new shuffle every time.
    Random(Option<u64>),
    /// As the keys come.
    None,
}
