//! Where the words of a vocabulary stand: one text of all values, and the starts of
//! their words in alphabetical order, so that candidates are found without looking
//! at every tag.

use std::{cmp::Reverse, collections::HashMap};

use super::{
    distance::{
        inner_pairs, letters, may_be_near, may_share_pairs, pairs, wrong_in_start, wrong_letters,
    },
    typed::{Class, Typed},
    words::{is_separator, words},
};
use crate::model::catalog::Catalog;

/// Candidates handed out of one class, the most frequent ones.
const MAX_CANDIDATES: usize = 1000;
/// Tags kept for a word that many have.
const MAX_OF_PART: usize = 64;
/// Bytes of the shortest text that few values may hold, by their letters and pairs.
const DISTINCT: usize = 4;
/// Places of a shorter substring that are looked at; frequent tags come first in the text.
const MAX_PLACES: usize = 20_000;

struct Word {
    /// Where it starts in the text.
    start: u32,
    number: u32,
}

struct Value {
    start: u32,
    count: u32,
    category: u16,
}

/// What the search for typos looks at first, packed, and those of one length together,
/// by their first byte, because it looks at all of about the length of what was typed.
#[derive(Default)]
struct Shapes {
    /// Of each, its letters.
    letters: Vec<u64>,
    others: Vec<Shape>,
    /// Where each length starts.
    starts: Vec<usize>,
}

struct Shape {
    pairs: u64,
    length: u8,
    first: u8,
    place: u32,
}

impl Shapes {
    fn new(texts: impl Iterator<Item = (u32, String)>) -> Self {
        let mut shapes: Vec<(u64, Shape)> = texts
            .map(|(place, text)| {
                let shape = Shape {
                    pairs: pairs(&text),
                    length: u8::try_from(text.len()).unwrap_or(u8::MAX),
                    first: text.bytes().next().unwrap_or_default(),
                    place,
                };
                (letters(&text), shape)
            })
            .collect();
        shapes.sort_by_key(|(_, shape)| (shape.length, shape.first));
        let start = |length| shapes.partition_point(|(_, shape)| shape.length < length);
        let starts = (0..=u8::MAX).map(start).collect();
        let (letters, others) = shapes.into_iter().unzip();
        Self {
            letters,
            others,
            starts,
        }
    }

    fn start(&self, length: usize) -> usize {
        let start = self.starts.get(length).copied();
        start.unwrap_or(self.others.len())
    }

    /// The places of those that may have no more wrong letters than that; of those with
    /// two, the first one is right.
    fn near(&self, text: &str, limit: u32) -> Vec<u32> {
        let wanted = (letters(text), pairs(text));
        let first = text.bytes().next().unwrap_or_default();
        // A letter that is not ASCII has up to four bytes.
        let slack = limit as usize * if text.is_ascii() { 1 } else { 4 };
        let mut near = Vec::new();
        for length in text.len().saturating_sub(slack)..=text.len() + slack {
            let mut range = self.start(length)..self.start(length + 1);
            if limit > 1 {
                let same_length = self.others.get(range.clone()).unwrap_or_default();
                let from = same_length.partition_point(|shape| shape.first < first);
                let until = same_length.partition_point(|shape| shape.first <= first);
                range = range.start + from..range.start + until;
            }
            let letters = self.letters.get(range.clone()).unwrap_or_default();
            let others = self.others.get(range).unwrap_or_default();
            for (letters, shape) in letters.iter().zip(others) {
                if may_be_near(wanted.0, *letters, limit)
                    && may_share_pairs(wanted.1, shape.pairs, limit)
                {
                    near.push(shape.place);
                }
            }
        }
        near
    }

    /// The places of those in which a text may stand.
    fn may_hold(&self, text: &str) -> impl Iterator<Item = u32> {
        let (wanted, pairs) = (letters(text), inner_pairs(text));
        let longer = self.start(text.len())..self.others.len();
        let letters = self.letters.get(longer.clone()).unwrap_or_default();
        let others = self.others.get(longer).unwrap_or_default();
        let shapes = letters.iter().zip(others);
        shapes
            .filter(move |(letters, _)| wanted & !**letters == 0)
            .filter(move |(_, shape)| pairs & !shape.pairs == 0)
            .map(|(_, shape)| shape.place)
    }
}

pub struct Index {
    lineage: u64,
    /// The values of all tags by number, each with a line end.
    text: String,
    values: Vec<Value>,
    categories: Vec<String>,
    /// In the order of the text from each on.
    words: Vec<Word>,
    /// The tags in the order of their values, each with its letters.
    sorted: Vec<(u32, u64)>,
    value_shapes: Shapes,
    /// Every word that is only part of a value, once, with the most frequent tags that
    /// have it.
    parts: Vec<(Box<str>, Vec<u32>)>,
    part_shapes: Shapes,
}

impl Index {
    pub fn new(catalog: &Catalog) -> Self {
        let (lineage, len) = catalog.vocabulary();
        let mut index = Self {
            lineage,
            text: String::new(),
            values: Vec::with_capacity(len),
            categories: Vec::new(),
            words: Vec::new(),
            sorted: Vec::new(),
            value_shapes: Shapes::default(),
            parts: Vec::new(),
            part_shapes: Shapes::default(),
        };
        let mut places: HashMap<&str, usize> = HashMap::new();
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        for number in (0..).take(len) {
            let Some((name, media)) = catalog.tag_at(number) else {
                continue;
            };
            let known = index
                .categories
                .iter()
                .position(|known| *known == name.category);
            let category = known.unwrap_or_else(|| {
                index.categories.push(name.category.clone());
                index.categories.len() - 1
            });
            let start = index.text.len();
            index.values.push(Value {
                start: position(start),
                count: u32::try_from(media.len()).unwrap_or(u32::MAX),
                category: u16::try_from(category).unwrap_or(u16::MAX),
            });
            index.sorted.push((number, letters(&name.value)));
            for (at, word) in words(&name.value) {
                index.words.push(Word {
                    start: position(start + at),
                    number,
                });
                // A single word is the value itself.
                if word.len() == name.value.len() {
                    continue;
                }
                places.entry(word).or_insert_with(|| {
                    index.parts.push((word.into(), Vec::new()));
                    index.parts.len() - 1
                });
            }
            // A value that starts with a separator is found by its start, too.
            if !name.value.starts_with(|c| !is_separator(c)) {
                index.words.push(Word {
                    start: position(start),
                    number,
                });
            }
            index.text.push_str(&name.value);
            index.text.push('\n');
        }
        let mut by_count: Vec<u32> = (0..).take(index.values.len()).collect();
        let count = |number: &u32| index.values.get(*number as usize).map(|value| value.count);
        by_count.sort_by_key(|number| Reverse(count(number)));
        for number in by_count {
            let Some((name, _)) = catalog.tag_at(number) else {
                continue;
            };
            for (_, word) in words(&name.value) {
                if let Some(place) = places.get(word)
                    && word.len() < name.value.len()
                    && let Some((_, numbers)) = index.parts.get_mut(*place)
                    && numbers.len() < MAX_OF_PART
                {
                    numbers.push(number);
                }
            }
        }
        let values = (0..).take(index.values.len());
        let values = values.map(|number| (number, index.value(number).to_owned()));
        index.value_shapes = Shapes::new(values);
        let parts = (0..).zip(&index.parts);
        index.part_shapes = Shapes::new(parts.map(|(place, (word, _))| (place, word.to_string())));
        let mut sorted = std::mem::take(&mut index.sorted);
        sorted.sort_unstable_by(|(a, _), (b, _)| index.value(*a).cmp(index.value(*b)));
        index.sorted = sorted;
        let text = index.text.as_bytes();
        index
            .words
            .sort_unstable_by(|a, b| line(text, a.start).cmp(line(text, b.start)));
        index
    }

    /// How many tags it knows: those with lower numbers.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it fits this catalog but for a few new tags.
    pub fn serves(&self, catalog: &Catalog, max_new: usize) -> bool {
        let (lineage, len) = catalog.vocabulary();
        lineage == self.lineage && len <= self.len() + max_new
    }

    fn value(&self, number: u32) -> &str {
        let start = self
            .values
            .get(number as usize)
            .map_or(usize::MAX, |value| value.start as usize);
        let end = self
            .values
            .get(number as usize + 1)
            .map_or(self.text.len(), |value| value.start as usize);
        self.text
            .get(start..end.saturating_sub(1))
            .unwrap_or_default()
    }

    /// The word starts from which the text goes on like this.
    fn range(&self, prefix: &str) -> &[Word] {
        let text = self.text.as_bytes();
        let prefix = prefix.as_bytes();
        let start = self
            .words
            .partition_point(|word| line(text, word.start) < prefix);
        let rest = self.words.get(start..).unwrap_or_default();
        let end = rest.partition_point(|word| line(text, word.start).starts_with(prefix));
        rest.get(..end).unwrap_or_default()
    }

    /// The tags whose values start like this, with their letters.
    fn starting(&self, prefix: &str) -> &[(u32, u64)] {
        let start = self
            .sorted
            .partition_point(|(number, _)| self.value(*number) < prefix);
        let rest = self.sorted.get(start..).unwrap_or_default();
        let end = rest.partition_point(|(number, _)| self.value(*number).starts_with(prefix));
        rest.get(..end).unwrap_or_default()
    }

    /// Tags that may be of this class, the most frequent ones when they are many.
    pub fn candidates(&self, class: Class, typed: &Typed) -> Vec<u32> {
        let text = typed.text.as_str();
        let first = text.get(..text.chars().next().map_or(0, char::len_utf8));
        let first = first.unwrap_or_default();
        let Ok(category) = self.category(typed) else {
            return Vec::new();
        };
        let found: Vec<u32> = match class {
            Class::Prefix if text.is_empty() => (0..).take(self.len()).collect(),
            _ if text.is_empty() => Vec::new(),
            Class::Exact => self
                .starting(text)
                .iter()
                .map(|(number, _)| *number)
                .take_while(|number| self.value(*number) == text)
                .collect(),
            Class::Prefix => self
                .starting(text)
                .iter()
                .map(|(number, _)| *number)
                .collect(),
            Class::Words => {
                let longest = typed.words.iter().max_by_key(|word| word.len());
                let range = longest.map_or(&[][..], |word| self.range(word));
                let is_one = typed.words.len() == 1;
                range
                    .iter()
                    .map(|word| word.number)
                    .filter(|number| is_one || typed.matches(class, self.value(*number)))
                    .collect()
            }
            Class::Initials => match typed.initials.as_deref().and_then(|i| i.chars().next()) {
                Some(first) => self
                    .starting(first.encode_utf8(&mut [0; 4]))
                    .iter()
                    .map(|(number, _)| *number)
                    .filter(|number| typed.matches(class, self.value(*number)))
                    .collect(),
                None => Vec::new(),
            },
            Class::Substring => self.containing(text),
            // Those come with a distance.
            Class::Typo => Vec::new(),
            Class::Letters => {
                let wanted = letters(text);
                self.starting(first)
                    .iter()
                    .filter(|(_, known)| wanted & !known == 0)
                    .map(|(number, _)| *number)
                    .collect()
            }
        };
        self.most_frequent(found, category, MAX_CANDIDATES)
    }

    /// The number of the category typed, if one is; an error when no tag is of it.
    fn category(&self, typed: &Typed) -> Result<Option<u16>, ()> {
        let Some(wanted) = &typed.category else {
            return Ok(None);
        };
        let place = self.categories.iter().position(|known| known == wanted);
        let place = place.ok_or(())?;
        u16::try_from(place).map(Some).map_err(|_| ())
    }

    fn containing(&self, text: &str) -> Vec<u32> {
        if text.chars().nth(1).is_none() {
            return Vec::new();
        }
        if text.len() >= DISTINCT {
            let shapes = self.value_shapes.may_hold(text);
            return shapes
                .filter(|number| self.value(*number).contains(text))
                .collect();
        }
        // The literal search of the regex crate is several times as fast as str::find.
        let Ok(literal) = regex::Regex::new(&regex::escape(text)) else {
            return Vec::new();
        };
        let mut found: Vec<u32> = Vec::new();
        let mut number = 0;
        for place in literal.find_iter(&self.text).take(MAX_PLACES) {
            // They come in the order of the text, and lie close together when many.
            while let Some(next) = self.values.get(number as usize + 1)
                && next.start as usize <= place.start()
            {
                number += 1;
            }
            if found.last() != Some(&number) {
                found.push(number);
            }
        }
        found
    }

    /// Tags with no more wrong letters than that, with their distance as [`typo`](super::distance::typo) has it:
    /// whole values, words of values, and the starts of those values that have most of
    /// the letters. Of a word that many have, the most frequent `most`.
    pub fn typos(&self, typed: &Typed, limit: u32, most: usize) -> Vec<(u32, u32)> {
        let text = typed.text.as_str();
        let Ok(category) = self.category(typed) else {
            return Vec::new();
        };
        let Some(first) = text.chars().next() else {
            return Vec::new();
        };
        let most = if category.is_some() { usize::MAX } else { most };
        let mut found: Vec<(u32, u32)> = Vec::new();
        for number in self.value_shapes.near(text, limit) {
            let wrong = wrong_letters(text, self.value(number), limit);
            found.extend(wrong.map(|wrong| (number, 2 * wrong)));
        }
        for place in self.part_shapes.near(text, limit) {
            let Some((word, numbers)) = self.parts.get(place as usize) else {
                continue;
            };
            if let Some(wrong) = wrong_letters(text, word, limit) {
                let numbers = numbers.iter().take(most);
                found.extend(numbers.map(|number| (*number, 2 * wrong + 1)));
            }
        }
        let wanted = letters(text);
        let starts = self
            .starting(first.encode_utf8(&mut [0; 4]))
            .iter()
            .filter(|(_, known)| (wanted & !known).count_ones() <= limit)
            .map(|(number, _)| *number);
        // Whole values and their words were looked at above.
        for number in self.most_frequent(starts.collect(), None, MAX_CANDIDATES) {
            let wrong = wrong_in_start(text, self.value(number), limit);
            found.extend(wrong.map(|wrong| (number, 2 * wrong + 1)));
        }
        if category.is_some() {
            let is_of = |number: u32| self.values.get(number as usize).map(|value| value.category);
            found.retain(|(number, _)| is_of(*number) == category);
        }
        // The nearest of each.
        found.sort_unstable();
        found.dedup_by_key(|(number, _)| *number);
        found
    }

    fn most_frequent(
        &self,
        mut numbers: Vec<u32>,
        category: Option<u16>,
        limit: usize,
    ) -> Vec<u32> {
        let value = |number: u32| self.values.get(number as usize);
        if let Some(category) = category {
            numbers.retain(|number| value(*number).is_some_and(|value| value.category == category));
        }
        if numbers.len() > limit {
            numbers.select_nth_unstable_by_key(limit, |number| {
                Reverse(value(*number).map_or(0, |value| value.count))
            });
            numbers.truncate(limit);
        }
        numbers
    }
}

/// The bytes from a place to the end of its line.
fn line(text: &[u8], start: u32) -> &[u8] {
    let rest = text.get(start as usize..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}
