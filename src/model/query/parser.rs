//! Text to tree, after Danbooru's grammar: what its users type means the same here.
//!
//! Invariant: one pass over the text, bounded depth, no panic on any input.

use std::ops::Range;

use super::{
    key::{self, Key, ValueKind},
    system,
    tree::{Items, Node, Pattern, QueryError, TagOrigin, Term, Test, Value, Vocabulary},
    value,
};
use crate::model::tag::{normalize, normalize_category};

/// Bytes of a query.
const MAX_BYTES: usize = 4096;
/// Terms of a query.
const MAX_TERMS: usize = 256;
/// Groups inside each other.
const MAX_DEPTH: usize = 32;
/// Bytes a regular expression may need once compiled.
pub const MAX_REGEX_BYTES: usize = 1 << 20;

/// Emoticons that are tags although their parenthesis has no partner.
const EMOTICONS: [&str; 6] = [":)", ";)", ">:)", ":-)", ";-)", ">;)"];

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

    fn term(&mut self, operator: usize) -> Result<Node, QueryError> {
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err(if operator < start {
                failure("an operator without a term", operator..operator + 1, None)
            } else {
                let start = self.text.trim_end().len();
                failure("a term is missing", start..start, None)
            });
        };
        match first {
            ')' => {
                let hint = self.open.is_empty().then_some("no group is open here");
                return Err(failure("unexpected \")\"", start..start + 1, hint));
            }
            '-' | '~' => {
                return Err(failure(
                    "two operators in a row",
                    operator..start + 1,
                    Some("write -(-a) for a double negation"),
                ));
            }
            _ => {}
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(failure(
                &format!("a query has at most {MAX_TERMS} terms"),
                start..start + first.len_utf8(),
                None,
            ));
        }
        if matches!(first, '"' | '\'') {
            let value = normalize(&self.quoted()?);
            let span = start..self.position;
            if value.is_empty() {
                return Err(failure("an empty tag", span, None));
            }
            return Ok(Node::Term(Term {
                test: Test::Tag {
                    category: None,
                    value,
                    origin: TagOrigin::Exact,
                },
                span,
            }));
        }
        let word = next_word(rest);
        if let Some((name, _)) = word.split_once(':').filter(|(name, _)| !name.is_empty()) {
            let lower = name.to_lowercase();
            if lower == "system" {
                return self.system(start, name.len());
            }
            if let Some(site) = site_key(&lower) {
                return self.post(start, name.len(), site);
            }
            if let Some((key, category, prefix)) = key_named(&lower) {
                return self.key_term(start, name.len(), key, category, prefix);
            }
            let category = normalize_category(name);
            if self.vocabulary.is_category(&category) {
                return self.category_term(start, name.len(), category);
            }
        }
        self.plain_tag(start)
    }

    /// The text in the quotes that start here, without escapes.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.position;
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map_or('"', |(_, quote)| quote);
        let mut value = String::new();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.position = start + at + quote.len_utf8();
                return Ok(value);
            }
            if c == '\\'
                && let Some(escaped) = chars
                    .clone()
                    .next()
                    .map(|(_, next)| next)
                    .filter(|next| *next == quote || *next == '\\')
            {
                chars.next();
                value.push(escaped);
                continue;
            }
            value.push(c);
        }
        Err(failure(
            "unclosed quote",
            start..self.text.len(),
            Some("close it, or put a tag that starts with a quote in the other quotes"),
        ))
    }

    /// The word that starts here, without the parentheses at its end that belong to
    /// open groups. A tag keeps them when its own balance.
    fn word(&mut self, is_tag: bool) -> &'a str {
        let rest = self.rest();
        let word = if is_tag {
            next_word(rest)
        } else {
            next_value(rest)
        };
        let word = self.give_back(word, is_tag);
        self.position += word.len();
        word
    }

    fn give_back(&self, mut word: &'a str, is_tag: bool) -> &'a str {
        for _ in &self.open {
            if is_tag && (is_balanced(word) || EMOTICONS.contains(&word)) {
                break;
            }
            let Some(shorter) = word.strip_suffix(')') else {
                break;
            };
            word = shorter;
        }
        word
    }

    fn plain_tag(&mut self, start: usize) -> Result<Node, QueryError> {
        let word = self.word(true);
        let span = start..self.position;
        let is_unfinished = self.is_typing && self.position == self.text.len();
        let is_keyword = word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or");
        if is_keyword && !is_unfinished {
            return Err(failure(
                &format!("\"{word}\" has nothing to join"),
                span,
                Some("the tag of that name needs quotes"),
            ));
        }
        if let Some(extension) = word.strip_prefix('.')
            && key::EXTENSIONS.contains(&extension.to_lowercase().as_str())
        {
            return finish_key(Key::Ext, None, extension, false, span);
        }
        tag(None, word, TagOrigin::Word, is_unfinished, span)
    }

    fn category_term(
        &mut self,
        start: usize,
        name_length: usize,
        category: String,
    ) -> Result<Node, QueryError> {
        self.position += name_length + 1;
        if self.rest().starts_with(['"', '\'']) {
            let value = self.quoted()?;
            let span = start..self.position;
            return tag(Some(category), &value, TagOrigin::Exact, false, span);
        }
        // Parentheses balance over the whole term, as they do without a category.
        let word = self.give_back(next_word(&self.text[start..]), true);
        let word = word.get(name_length + 1..).unwrap_or_default();
        self.position += word.len();
        let span = start..self.position;
        if word.is_empty() {
            return finish_key(Key::Tagcount, Some(category), "0", false, span);
        }
        let is_unfinished = self.is_typing && self.position == self.text.len();
        tag(Some(category), word, TagOrigin::Exact, is_unfinished, span)
    }

    fn key_term(
        &mut self,
        start: usize,
        name_length: usize,
        key: Key,
        category: Option<String>,
        operator: &str,
    ) -> Result<Node, QueryError> {
        self.position += name_length + 1;
        let kind = key.kind();
        if matches!(kind, ValueKind::Text | ValueKind::Tag) && self.rest().starts_with('/') {
            return self.regex(start, key);
        }
        if self.rest().starts_with(['"', '\'']) {
            let value = self.quoted()?;
            let span = start..self.position;
            return finish_key(key, category, &value, true, span);
        }
        let word = self.word(kind == ValueKind::Tag);
        let span = start..self.position;
        if kind == ValueKind::Tag {
            return self.forced_tag(key, word, span);
        }
        let mut value = unescape(word);
        if !operator.is_empty() {
            value.insert_str(0, operator);
        }
        if key == Key::Needs && value.eq_ignore_ascii_case("missing") {
            "metadata".clone_into(&mut value);
        }
        finish_key(key, category, &value, false, span)
    }

    /// `tag:x` is the tag `x` of any category; `direct:x` the same without
    /// implications.
    fn forced_tag(&self, key: Key, word: &str, span: Range<usize>) -> Result<Node, QueryError> {
        if key != Key::Tag || word.is_empty() {
            return finish_key(key, None, word, false, span);
        }
        let means_else = word.split_once(':').is_some_and(|(name, _)| {
            let lower = name.to_lowercase();
            lower == "system"
                || site_key(&lower).is_some()
                || key_named(&lower).is_some()
                || (!name.is_empty() && self.vocabulary.is_category(&normalize_category(name)))
        });
        let origin = if means_else {
            TagOrigin::Forced
        } else {
            TagOrigin::Exact
        };
        tag(None, word, origin, false, span)
    }

    /// `/…/` up to the next slash without a backslash, then an optional `i`.
    fn regex(&mut self, start: usize, key: Key) -> Result<Node, QueryError> {
        let begin = self.position;
        let rest = self.rest();
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find_map(|(at, c)| {
            let ends = c == '/' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends.then_some(at)
        });
        let Some(end) = end else {
            return Err(failure(
                "unclosed regular expression",
                begin..self.text.len(),
                Some("a value that starts with / needs quotes"),
            ));
        };
        self.position += end + 1;
        let is_flag = self.rest().strip_prefix('i').is_some_and(|rest| {
            rest.is_empty() || rest.starts_with([')', ' ']) || rest.starts_with(char::is_whitespace)
        });
        if is_flag {
            self.position += 1;
        }
        let source = rest.get(1..end).unwrap_or_default().replace("\\/", "/");
        let ignore_case = is_flag || !source.chars().any(char::is_uppercase);
        let raw = self.text[begin..self.position].to_owned();
        if let Err(error) = compile(&source, ignore_case) {
            return Err(failure(
                &format!(
                    "not a regular expression: {}",
                    last_line(&error.to_string())
                ),
                begin..self.position,
                None,
            ));
        }
        Ok(Node::Term(Term {
            test: Test::Key {
                key,
                category: None,
                value: Value {
                    raw,
                    is_quoted: false,
                    items: Items::Pattern(Pattern::Regex {
                        source,
                        ignore_case,
                    }),
                },
            },
            span: start..self.position,
        }))
    }

    /// `danbooru:123` is `post:danbooru:123`.
    fn post(&mut self, start: usize, name_length: usize, site: &str) -> Result<Node, QueryError> {
        self.position += name_length + 1;
        let (value, is_quoted) = if self.rest().starts_with(['"', '\'']) {
            (self.quoted()?, true)
        } else {
            (unescape(self.word(false)), false)
        };
        let span = start..self.position;
        let posts: Vec<String> = value
            .split(',')
            .filter(|post| !post.is_empty())
            .map(|post| format!("{site}:{post}"))
            .collect();
        if posts.is_empty() {
            return finish_key(Key::Site, None, site, false, span);
        }
        finish_key(Key::Post, None, &posts.join(","), is_quoted, span)
    }

    /// The rest of the line, as hydrus writes it, translated.
    fn system(&mut self, start: usize, name_length: usize) -> Result<Node, QueryError> {
        self.position += name_length + 1;
        let line = self.rest().lines().next().unwrap_or_default();
        let line = self.give_back(line.trim_end(), false);
        self.position += line.len();
        let span = start..self.position;
        let Some(translated) = system::translate(line) else {
            return Err(failure(
                "unknown system predicate",
                span,
                Some(system::SUPPORTED),
            ));
        };
        match parse(&translated, self.vocabulary, false) {
            Ok(Some(mut node)) => {
                move_to(&mut node, &span);
                Ok(node)
            }
            Ok(None) => finish_key(Key::Path, None, "*", false, span),
            Err(error) => Err(QueryError { span, ..error }),
        }
    }
}

fn failure(message: &str, span: Range<usize>, hint: Option<&str>) -> QueryError {
    QueryError {
        message: message.to_owned(),
        span,
        hint: hint.map(str::to_owned),
    }
}

/// The key of a lower-case name; for `width-min` also the operator it implies.
fn key_named(name: &str) -> Option<(Key, Option<String>, &'static str)> {
    if name == "metadata" {
        return Some((Key::Needs, None, ""));
    }
    if let Some(key) = Key::find(name) {
        return Some((key, None, ""));
    }
    if let Some(category) = key::counted_category(name) {
        return Some((Key::Tagcount, Some(category.to_owned()), ""));
    }
    if let Some(category) = name.strip_prefix("count.").filter(|name| !name.is_empty()) {
        return Some((Key::Tagcount, Some(normalize_category(category)), ""));
    }
    let (base, operator) = name
        .strip_suffix("-min")
        .map(|base| (base, ">="))
        .or_else(|| name.strip_suffix("-max").map(|base| (base, "<=")))?;
    let key = Key::find(base)?;
    matches!(
        key.kind(),
        ValueKind::Number | ValueKind::Size | ValueKind::Ratio | ValueKind::Duration
    )
    .then_some((key, None, operator))
}

fn tag(
    category: Option<String>,
    word: &str,
    origin: TagOrigin,
    is_unfinished: bool,
    span: Range<usize>,
) -> Result<Node, QueryError> {
    let value = normalize(word);
    if value.is_empty() {
        return Err(failure("an empty tag", span, None));
    }
    let test = if value.contains('*') || is_unfinished {
        let mut pattern = value;
        if is_unfinished && !pattern.ends_with('*') {
            pattern.push('*');
        }
        Test::Wildcard {
            category,
            pattern,
            is_unfinished,
        }
    } else {
        Test::Tag {
            category,
            value,
            origin,
        }
    };
    Ok(Node::Term(Term { test, span }))
}

fn finish_key(
    key: Key,
    category: Option<String>,
    raw: &str,
    is_quoted: bool,
    span: Range<usize>,
) -> Result<Node, QueryError> {
    if key == Key::Tag && is_quoted {
        return tag(None, raw, TagOrigin::Exact, false, span);
    }
    let items = value::parse(key, raw, is_quoted).map_err(|wrong| QueryError {
        message: wrong.message,
        span: span.clone(),
        hint: wrong.hint,
    })?;
    let raw = match items {
        Items::None if !is_quoted => "none".to_owned(),
        _ => raw.to_owned(),
    };
    Ok(Node::Term(Term {
        test: Test::Key {
            key,
            category,
            value: Value {
                raw,
                is_quoted,
                items,
            },
        },
        span,
    }))
}

fn unclosed(begin: usize) -> QueryError {
    failure("unclosed \"(\"", begin..begin + 1, Some("add a \")\""))
}

/// Compiles a regular expression of a query; bounded in size, linear in the text.
pub fn compile(source: &str, ignore_case: bool) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(source)
        .case_insensitive(ignore_case)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .build()
}

fn last_line(text: &str) -> &str {
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
}

/// The site of keys like `danbooru:` and `pixiv_id:`.
fn site_key(name: &str) -> Option<&'static str> {
    let name = name.strip_suffix("_id").unwrap_or(name);
    key::SITES
        .iter()
        .find(|site| **site == name && *site != &"twitter" && *site != &"local_tagger")
        .copied()
}

/// Up to the next white space.
fn next_word(text: &str) -> &str {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    &text[..end]
}

/// Up to the next white space without a backslash before it.
fn next_value(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        let ends = c.is_whitespace() && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    &text[..end.unwrap_or(text.len())]
}

/// `\ ` is a space; any other backslash is itself.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_whitespace() => {}
            _ => plain.push(c),
        }
    }
    plain
}

fn is_balanced(word: &str) -> bool {
    let mut depth = 0_usize;
    for c in word.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
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

fn move_to(node: &mut Node, span: &Range<usize>) {
    match node {
        Node::And(nodes) | Node::Or(nodes) => {
            for node in nodes {
                move_to(node, span);
            }
        }
        Node::Not(node) => move_to(node, span),
        Node::Term(term) => term.span = span.clone(),
    }
}
