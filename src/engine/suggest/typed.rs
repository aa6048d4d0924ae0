//! What was typed, and how it can be found in a tag.

use super::{
    distance::{max_wrong, typo},
    words::words,
};
use crate::model::{catalog::Catalog, query::Vocabulary, tag::normalize};

/// The shortest text in which a typo is looked for.
const MIN_TYPO: usize = 3;

/// How what was typed is found in a tag, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Exact,
    Prefix,
    Words,
    Initials,
    Substring,
    Typo,
    Letters,
}

/// What was typed, taken apart.
pub struct Typed {
    /// Normalised, without category and sign.
    pub text: String,
    pub words: Vec<String>,
    /// The letters after `/`.
    pub initials: Option<String>,
    pub category: Option<String>,
}

impl Typed {
    pub fn new(catalog: &Catalog, typed: &str) -> Self {
        let typed = typed.trim_start().trim_start_matches(['-', '+', '~']);
        let (category, text) = match typed.split_once(':') {
            Some((category, text))
                if !category.is_empty()
                    && catalog.is_category(&catalog.category_name(category)) =>
            {
                (Some(catalog.category_name(category)), text)
            }
            _ => (None, typed),
        };
        let text = normalize(text);
        Self {
            words: words(&text).map(|(_, word)| word.to_owned()).collect(),
            initials: text
                .strip_prefix('/')
                .filter(|letters| !letters.is_empty())
                .map(str::to_owned),
            text,
            category,
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many letters of it may be wrong.
    pub fn max_wrong(&self) -> u32 {
        if self.text.chars().count() < MIN_TYPO {
            0
        } else {
            max_wrong(&self.text)
        }
    }

    /// Whether a value is of this class; it may be of a better one, too.
    pub fn matches(&self, class: Class, value: &str) -> bool {
        match class {
            Class::Exact => value == self.text,
            Class::Prefix => value.starts_with(&self.text),
            Class::Words => {
                !self.words.is_empty()
                    && self
                        .words
                        .iter()
                        .all(|typed| words(value).any(|(_, word)| word.starts_with(typed)))
            }
            Class::Initials => self.initials.as_ref().is_some_and(|typed| {
                let mut initials = words(value).filter_map(|(_, word)| word.chars().next());
                typed.chars().all(|letter| initials.next() == Some(letter))
            }),
            Class::Substring => self.text.chars().count() > 1 && value.contains(&self.text),
            Class::Typo => typo(&self.text, value, self.max_wrong()).is_some(),
            Class::Letters => {
                let mut letters = value.chars();
                !self.is_empty()
                    && self
                        .text
                        .chars()
                        .all(|letter| letters.any(|other| other == letter))
            }
        }
    }

    /// The characters of a value of this class that were typed.
    pub fn matched(&self, class: Class, value: &str) -> Vec<usize> {
        let characters = |at: usize, text: &str| {
            let start = value.get(..at).map_or(0, |before| before.chars().count());
            start..start + text.chars().count()
        };
        match class {
            Class::Exact | Class::Prefix => characters(0, &self.text).collect(),
            Class::Substring => value
                .find(&self.text)
                .map(|at| characters(at, &self.text).collect())
                .unwrap_or_default(),
            Class::Words => {
                let mut matched: Vec<usize> = self
                    .words
                    .iter()
                    .filter_map(|typed| {
                        let (at, _) = words(value).find(|(_, word)| word.starts_with(typed))?;
                        Some(characters(at, typed))
                    })
                    .flatten()
                    .collect();
                matched.sort_unstable();
                matched.dedup();
                matched
            }
            Class::Initials => {
                let count = self
                    .initials
                    .as_ref()
                    .map_or(0, |typed| typed.chars().count());
                words(value)
                    .take(count)
                    .flat_map(|(at, _)| characters(at, "a"))
                    .collect()
            }
            Class::Typo | Class::Letters => Vec::new(),
        }
    }
}
