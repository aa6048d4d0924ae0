//! Terms: tags, wildcards, keys with their values, quotes, regular expressions.

use std::ops::Range;

use super::{MAX_TERMS, Parser, failure, next_word, parse};
use crate::model::{
    media::is_extension,
    query::{
        key::{self, Key, ValueKind},
        synonyms, system,
        tree::{Items, Node, Pattern, QueryError, TagOrigin, Term, Test, Value, Vocabulary},
        value,
    },
    tag::{normalize, normalize_category},
};

/// Bytes a regular expression may need once compiled.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Emoticons that are tags although their parenthesis has no partner.
const EMOTICONS: [&str; 6] = [":)", ";)", ">:)", ":-)", ";-)", ">;)"];

impl<'a> Parser<'a> {
    pub(super) fn term(&mut self, operator: usize) -> Result<Node, QueryError> {
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
            let value = self.quoted()?;
            return literal(None, &value, start..self.position);
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
            let category = self.vocabulary.category_name(name);
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
            if is_tag && is_balanced_word(word) {
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
            && is_extension(extension)
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
            return literal(Some(category), &value, span);
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
        let (mut value, is_quoted) = unescape(word);
        if !operator.is_empty() {
            value.insert_str(0, operator);
        }
        if key == Key::Needs && value.eq_ignore_ascii_case("missing") {
            "metadata".clone_into(&mut value);
        }
        finish_key(key, category, &value, is_quoted, span)
    }

    /// `tag:x` is the tag `x` of any category; `direct:x` the same without
    /// implications.
    fn forced_tag(&self, key: Key, word: &str, span: Range<usize>) -> Result<Node, QueryError> {
        if key != Key::Tag || word.is_empty() {
            return finish_key(key, None, word, false, span);
        }
        let origin = if means_something_else(word, self.vocabulary) {
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
            unescape(self.word(false))
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
            // No condition at all is met by everything.
            Ok(None) => Ok(Node::And(Vec::new())),
            Err(error) => Err(QueryError { span, ..error }),
        }
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

/// A tag in quotes: no wildcard, whatever it holds.
fn literal(category: Option<String>, text: &str, span: Range<usize>) -> Result<Node, QueryError> {
    let value = normalize(text);
    if value.is_empty() {
        return Err(failure("an empty tag", span, None));
    }
    Ok(Node::Term(Term {
        test: Test::Tag {
            category,
            value,
            origin: TagOrigin::Exact,
        },
        span,
    }))
}

fn finish_key(
    key: Key,
    category: Option<String>,
    raw: &str,
    is_quoted: bool,
    span: Range<usize>,
) -> Result<Node, QueryError> {
    if key == Key::Tag && is_quoted {
        return literal(None, raw, span);
    }
    let (key, raw) = if is_quoted {
        (key, raw.into())
    } else {
        synonyms::of(key, raw)
    };
    let items = value::parse(key, &raw, is_quoted).map_err(|wrong| QueryError {
        message: wrong.message,
        span: span.clone(),
        hint: wrong.hint,
    })?;
    let raw = match items {
        Items::None if !is_quoted => "none".to_owned(),
        _ => raw.into_owned(),
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

/// `\ ` is a space, any other backslash is itself; and whether there was one, which
/// makes the value as good as quoted.
fn unescape(value: &str) -> (String, bool) {
    let mut plain = String::with_capacity(value.len());
    let mut is_escaped = false;
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_whitespace() => is_escaped = true,
            _ => plain.push(c),
        }
    }
    (plain, is_escaped)
}

/// Whether a plain word would be read as a key, a category or an extension.
pub fn means_something_else(word: &str, vocabulary: &dyn Vocabulary) -> bool {
    let is_extension = word.strip_prefix('.').is_some_and(is_extension);
    is_extension
        || word.split_once(':').is_some_and(|(name, _)| {
            let lower = name.to_lowercase();
            lower == "system"
                || site_key(&lower).is_some()
                || key_named(&lower).is_some()
                || (!name.is_empty() && vocabulary.is_category(&vocabulary.category_name(name)))
        })
}

/// Whether the parentheses at the end of a word are its own.
pub fn is_balanced_word(word: &str) -> bool {
    is_balanced(word) || EMOTICONS.contains(&word)
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
