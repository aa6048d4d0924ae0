//! Matching of names: substrings, globs, regular expressions.

use std::borrow::Cow;

use crate::model::query::{parser::compile, tree::Pattern};

/// A compiled pattern. One in lower case ignores case.
pub enum Matcher {
    Substring { needle: String, ignores_case: bool },
    Glob { pattern: String, ignores_case: bool },
    Regex(Box<regex::Regex>),
}

impl Matcher {
    /// `None` for a regular expression that does not compile, which the parser
    /// refuses.
    pub fn new(pattern: &Pattern) -> Option<Self> {
        let ignores_case = |text: &str| !text.chars().any(char::is_uppercase);
        Some(match pattern {
            Pattern::Substring(needle) => Self::Substring {
                ignores_case: ignores_case(needle),
                needle: needle.clone(),
            },
            Pattern::Glob(pattern) => Self::Glob {
                ignores_case: ignores_case(pattern),
                pattern: pattern.clone(),
            },
            Pattern::Regex {
                source,
                ignore_case,
            } => Self::Regex(Box::new(compile(source, *ignore_case).ok()?)),
        })
    }

    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Substring {
                needle,
                ignores_case: true,
            } => lower(text).contains(needle),
            Self::Substring { needle, .. } => text.contains(needle),
            Self::Glob {
                pattern,
                ignores_case: true,
            } => glob(pattern, &lower(text)),
            Self::Glob { pattern, .. } => glob(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// The text in lower case; borrowed when it is plainly so already.
fn lower(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_uppercase())
    {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// Whether the whole text matches a pattern in which `*` stands for anything.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last)
}

/// A pattern as [`glob`] takes it, made ready for many texts.
pub struct Glob {
    first: String,
    /// Literals; the search of the regex crate is several times as fast as str::find.
    middle: Vec<regex::Regex>,
    /// `None` for a pattern without `*`, which is all in `first`.
    last: Option<String>,
}

impl Glob {
    pub fn new(pattern: &str) -> Self {
        let (first, rest) = match pattern.split_once('*') {
            Some((first, rest)) => (first, Some(rest)),
            None => (pattern, None),
        };
        let (middle, last) = match rest.map(|rest| rest.rsplit_once('*').unwrap_or(("", rest))) {
            Some((middle, last)) => (middle, Some(last.to_owned())),
            None => ("", None),
        };
        Self {
            first: first.to_owned(),
            middle: middle
                .split('*')
                .filter(|part| !part.is_empty())
                .filter_map(|part| regex::Regex::new(&regex::escape(part)).ok())
                .collect(),
            last,
        }
    }

    pub fn matches(&self, text: &str) -> bool {
        let Some(last) = &self.last else {
            return text == self.first;
        };
        let Some(mut text) = text.strip_prefix(self.first.as_str()) else {
            return false;
        };
        for part in &self.middle {
            match part.find(text) {
                Some(found) => text = text.get(found.end()..).unwrap_or_default(),
                None => return false,
            }
        }
        text.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_ready_glob_says_what_a_glob_says(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            proptest::prop_assert_eq!(Glob::new(&pattern).matches(&text), glob(&pattern, &text));
        }
    }

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, expected) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "acb", false),
            ("abc", "abcd", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
