//! A tree back to the text of a query: what is printed parses to the same tree.

use super::{
    key::Key,
    parser::{is_balanced_word, means_something_else},
    tree::{Items, Node, Pattern, TagOrigin, Term, Test, Value, Vocabulary},
};

/// The text of a query with these conditions and these modifiers.
pub fn query(root: Option<&Node>, modifiers: &[Term], vocabulary: &dyn Vocabulary) -> String {
    let printer = Printer { vocabulary };
    let mut text = String::new();
    if let Some(root) = root {
        // Beside an order, alternatives need their parentheses.
        let is_inner = !modifiers.is_empty();
        printer.node(root, is_inner && matches!(root, Node::Or(_)), 0, &mut text);
    }
    for modifier in modifiers {
        if !text.is_empty() {
            text.push(' ');
        }
        printer.term(modifier, 0, &mut text);
    }
    text
}

/// One term by itself, as a chip shows it.
pub fn term(term: &Term) -> String {
    let mut text = String::new();
    let printer = Printer {
        vocabulary: &super::BuiltIn,
    };
    printer.term(term, 0, &mut text);
    text
}

struct Printer<'v> {
    vocabulary: &'v dyn Vocabulary,
}

impl Printer<'_> {
    /// `depth` is the number of groups that are open here.
    fn node(&self, node: &Node, in_group: bool, depth: usize, text: &mut String) {
        if in_group {
            text.push('(');
            self.node(node, false, depth + 1, text);
            text.push(')');
            return;
        }
        match node {
            Node::Term(term) => self.term(term, depth, text),
            Node::Not(inner) => {
                text.push('-');
                let is_group = !matches!(**inner, Node::Term(_)) && !is_everything(inner);
                self.node(inner, is_group, depth, text);
            }
            Node::And(nodes) if nodes.is_empty() => text.push_str("system:everything\n"),
            Node::And(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    if place > 0 {
                        text.push(' ');
                    }
                    let is_group =
                        matches!(node, Node::And(_) | Node::Or(_)) && !is_everything(node);
                    self.node(node, is_group, depth, text);
                }
            }
            Node::Or(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    if place > 0 {
                        text.push_str(" or ");
                    }
                    self.node(node, matches!(node, Node::Or(_)), depth, text);
                }
            }
        }
    }

    fn term(&self, term: &Term, depth: usize, text: &mut String) {
        match &term.test {
            Test::Tag {
                category: Some(category),
                value,
                ..
            } => {
                text.push_str(category);
                text.push(':');
                if is_plain(value, depth) && !value.contains('*') && !value.starts_with(['"', '\''])
                {
                    text.push_str(value);
                } else {
                    quote(value, text);
                }
            }
            Test::Tag {
                category: None,
                value,
                origin,
            } => match origin {
                TagOrigin::Word if self.is_word(value, depth) => text.push_str(value),
                TagOrigin::Forced if is_plain(value, depth) && !value.contains('*') => {
                    text.push_str("tag:");
                    text.push_str(value);
                }
                _ => quote(value, text),
            },
            Test::Wildcard {
                category, pattern, ..
            } => {
                if let Some(category) = category {
                    text.push_str(category);
                    text.push(':');
                } else if !self.is_word(pattern, depth) {
                    text.push_str("tag:");
                }
                text.push_str(pattern);
            }
            Test::Key {
                key,
                category,
                value,
            } => {
                match category {
                    Some(category) => {
                        text.push_str("count.");
                        text.push_str(category);
                    }
                    None => text.push_str(key.name()),
                }
                text.push(':');
                key_value(*key, value, depth, text);
            }
        }
    }

    /// Whether a bare word is read as this tag again.
    fn is_word(&self, value: &str, depth: usize) -> bool {
        is_plain(value, depth)
            && !value.starts_with(['-', '~', '(', ')', '"', '\''])
            && !value.eq_ignore_ascii_case("and")
            && !value.eq_ignore_ascii_case("or")
            && !means_something_else(value, self.vocabulary)
    }
}

fn is_everything(node: &Node) -> bool {
    matches!(node, Node::And(nodes) if nodes.is_empty())
}

/// Whether the parentheses at the end stay with a word inside so many groups.
fn is_plain(value: &str, depth: usize) -> bool {
    !value.contains(char::is_whitespace)
        && !value.is_empty()
        && (depth == 0 || !value.ends_with(')') || is_balanced_word(value))
}

fn key_value(key: Key, value: &Value, depth: usize, text: &mut String) {
    let is_regex = matches!(value.items, Items::Pattern(Pattern::Regex { .. }));
    if is_regex {
        text.push_str(&value.raw);
        return;
    }
    if value.items == Items::Nothing {
        return;
    }
    // In a group, a parenthesis at the end would close it.
    let is_torn = depth > 0 && value.raw.ends_with(')') && key != Key::Direct;
    if value.is_quoted || is_torn {
        quote(&value.raw, text);
    } else {
        text.push_str(&value.raw);
    }
}

/// In quotes; a backslash is doubled where it would be read as part of an escape.
pub(super) fn quote(raw: &str, text: &mut String) {
    text.push('"');
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        let is_escape = c == '\\' && matches!(chars.peek(), None | Some('"' | '\\'));
        if c == '"' || is_escape {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}
