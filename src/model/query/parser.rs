//! Text to tree, after Danbooru's grammar: what its users type means the same here.
//!
//! Invariant: one pass over the text, bounded depth, no panic on any input.

mod terms;

use std::ops::Range;

use super::tree::{Node, QueryError, Vocabulary};

pub use self::terms::compile;
pub(super) use self::terms::{is_balanced_word, means_something_else};

/// Bytes of a query.
const MAX_BYTES: usize = 4096;
/// Terms of a query.
const MAX_TERMS: usize = 256;
/// Groups inside each other.
const MAX_DEPTH: usize = 32;
/// Parses a whole query; `None` is the empty one. With `is_typing`, a last word that
/// the text ends in is a prefix.
pub fn parse(
    text: &str,
    vocabulary: &dyn Vocabulary,
    is_typing: bool,
) -> Result<Option<Node>, QueryError> {
    if text.len() > MAX_BYTES {
        return Err(QueryError {
            message: format!("a query has at most {MAX_BYTES} bytes"),
            span: 0..text.len(),
            hint: None,
        });
    }
    let mut parser = Parser {
        text,
        vocabulary,
        is_typing,
        position: 0,
        open: Vec::new(),
        terms: 0,
    };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(None);
    }
    let node = parser.or()?;
    if parser.rest().is_empty() {
        return Ok(Some(node));
    }
    let start = parser.position;
    Err(failure(
        "unexpected \")\"",
        start..start + 1,
        Some("no group is open here"),
    ))
}

struct Parser<'a> {
    text: &'a str,
    vocabulary: &'a dyn Vocabulary,
    is_typing: bool,
    position: usize,
    /// Where the open groups start.
    open: Vec<usize>,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn accept(&mut self, c: char) -> bool {
        let is_next = self.rest().starts_with(c);
        if is_next {
            self.position += c.len_utf8();
        }
        is_next
    }

    /// The length of the keyword that stands here as a word of its own with
    /// something after it.
    fn keyword(&self, keyword: &str) -> Option<usize> {
        let word = next_word(self.rest());
        let is_followed = self.rest().len() > word.len();
        (word.eq_ignore_ascii_case(keyword) && is_followed).then_some(word.len())
    }

    fn accept_keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let length = self.keyword(keyword);
        self.position += length.unwrap_or(0);
        length.is_some()
    }

    fn or(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.and()?];
        while self.accept_keyword("or") {
            nodes.push(self.and()?);
        }
        Ok(join(nodes, Node::Or))
    }

    fn and(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.factors()?];
        while self.accept_keyword("and") {
            nodes.push(self.factors()?);
        }
        Ok(join(nodes, Node::And))
    }

    /// One list of factors: all its `~x` together are one alternative.
    fn factors(&mut self) -> Result<Node, QueryError> {
        let mut nodes = Vec::new();
        let mut options = Vec::new();
        loop {
            self.skip_space();
            let is_end = self.rest().is_empty()
                || self.rest().starts_with(')')
                || self.keyword("or").is_some()
                || self.keyword("and").is_some();
            if is_end && !(nodes.is_empty() && options.is_empty()) {
                break;
            }
            let start = self.position;
            if self.accept('-') {
                nodes.push(Node::Not(Box::new(self.expression(start)?)));
            } else if self.accept('~') {
                options.push(self.expression(start)?);
            } else {
                nodes.push(self.expression(start)?);
            }
        }
        if !options.is_empty() {
            nodes.insert(0, join(options, Node::Or));
        }
        Ok(join(nodes, Node::And))
    }

    /// A group or a term; `start` is where its operator stands.
    fn expression(&mut self, start: usize) -> Result<Node, QueryError> {
        self.skip_space();
        let begin = self.position;
        if !self.accept('(') {
            return self.term(start);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(failure(
                &format!("groups are nested deeper than {MAX_DEPTH}"),
                begin..begin + 1,
                None,
            ));
        }
        self.open.push(begin);
        self.skip_space();
        if self.rest().starts_with(')') {
            return Err(failure("empty group", begin..self.position + 1, None));
        }
        if self.rest().is_empty() {
            return Err(unclosed(begin));
        }
        let node = self.or()?;
        self.skip_space();
        if !self.accept(')') {
            return Err(unclosed(begin));
        }
        self.open.pop();
        Ok(node)
    }
}

fn failure(message: &str, span: Range<usize>, hint: Option<&str>) -> QueryError {
    QueryError {
        message: message.to_owned(),
        span,
        hint: hint.map(str::to_owned),
    }
}

fn unclosed(begin: usize) -> QueryError {
    failure("unclosed \"(\"", begin..begin + 1, Some("add a \")\""))
}

/// Up to the next white space.
fn next_word(text: &str) -> &str {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    &text[..end]
}

fn join(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            many(nodes)
        }
        None => many(nodes),
    }
}
