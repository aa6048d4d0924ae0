//! Results of queries as bytes, and which of them hold until the library changes.

use std::{cell::Cell, sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    engine::search::{Found, Lookup, TermInfo},
    model::{
        fact::{Album, Detail},
        id::MediaKey,
        query::{
            Query,
            key::Key,
            tree::{Items, OrderBy, Test},
        },
    },
};

/// What stands for a query: all ways to write the same are one, unless the words on
/// the screen tell them apart.
pub fn canonical(query: &Query) -> String {
    // The chips show the terms as they were written.
    let terms: Vec<&str> = query
        .terms()
        .into_iter()
        .map(|term| query.source_of(term))
        .collect();
    format!(
        "{}\n{}\n{}",
        query.canonical(),
        terms.join("\n"),
        query.unknown_is_text()
    )
}

/// Whether a query means the same in an hour and in another session, and finds the same
/// twice.
pub fn is_timeless(query: &Query) -> bool {
    let is_of_the_hour = |test: &Test| match test {
        Test::Key { key, value, .. } => *key == Key::Age || matches!(value.items, Items::Dates(_)),
        Test::Tag { .. } | Test::Wildcard { .. } => false,
    };
    let order = query.order().map(|order| order.by);
    query.session().is_none()
        && query.sample().is_none()
        && order != Some(OrderBy::Random(None))
        && !query.terms().iter().any(|term| is_of_the_hour(&term.test))
}

/// Notes whether a search asked for albums, which change without the catalog.
pub struct Noting<'l> {
    lookup: &'l dyn Lookup,
    albums: Cell<bool>,
}

impl<'l> Noting<'l> {
    pub fn new(lookup: &'l dyn Lookup) -> Self {
        Self {
            lookup,
            albums: Cell::new(false),
        }
    }

    pub fn asked_for_albums(&self) -> bool {
        self.albums.get()
    }
}

impl Lookup for Noting<'_> {
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        self.lookup.words(field, words)
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        self.lookup.each(detail, on)
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        self.albums.set(true);
        self.lookup.albums()
    }
}

/// The length of a text, the text with what is small, then four bytes a key.
pub fn write(found: &Found) -> Vec<u8> {
    let terms: Vec<Value> = found
        .terms
        .iter()
        .map(|term| json!([term.text, term.count]))
        .collect();
    let small = json!({"terms": terms, "hint": found.hint}).to_string();
    let mut bytes = Vec::with_capacity(4 + small.len() + 4 * found.keys.len());
    bytes.extend(u32::try_from(small.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(small.as_bytes());
    for key in &*found.keys {
        bytes.extend(key.0.to_le_bytes());
    }
    bytes
}

/// What [`write()`] wrote; `None` when it is something else.
pub fn read(bytes: &[u8]) -> Option<Found> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (small, keys) = rest.split_at_checked(length)?;
    let small: Value = serde_json::from_slice(small).ok()?;
    let terms = small["terms"].as_array()?.iter().map(|term| {
        Some(TermInfo {
            text: term[0].as_str()?.to_owned(),
            count: term[1].as_u64()?,
        })
    });
    let (keys, rest) = keys.as_chunks::<4>();
    let keys: Arc<[MediaKey]> = keys
        .iter()
        .map(|key| MediaKey(u32::from_le_bytes(*key)))
        .collect();
    rest.is_empty().then_some(Found {
        generation: 0,
        keys,
        elapsed: Duration::ZERO,
        terms: terms.collect::<Option<_>>()?,
        hint: small["hint"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::BuiltIn;

    fn query(text: &str) -> Query {
        Query::parse(text, &BuiltIn).unwrap()
    }

    #[test]
    fn results_come_back_as_they_were() {
        let found = Found {
            generation: 0,
            keys: [3, 1, u32::MAX].map(MediaKey).into(),
            elapsed: Duration::ZERO,
            terms: vec![TermInfo {
                text: "fox \"x\"".to_owned(),
                count: 7,
            }],
            hint: Some("nobody knows é".to_owned()),
        };
        let bytes = write(&found);
        let back = read(&bytes).unwrap();
        assert_eq!(back.keys, found.keys);
        assert_eq!(back.terms, found.terms);
        assert_eq!(back.hint, found.hint);
        for length in 0..bytes.len() {
            let cut = read(&bytes[..length]);
            assert!(cut.is_none_or(|cut| cut.keys.len() < 3), "{length}");
        }
    }

    #[test]
    fn what_depends_on_the_hour_or_on_chance_is_not_kept() {
        for (text, expected) in [
            ("", true),
            ("fox -badger width:>100 order:width", true),
            ("order:random:7", true),
            ("order:random", false),
            ("random:5", false),
            ("age:<2d", false),
            ("fox or (badger imported:today)", false),
        ] {
            assert_eq!(is_timeless(&query(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_shows_other_words_is_kept_apart() {
        assert_eq!(
            canonical(&query("fox  badger")),
            canonical(&query("fox badger"))
        );
        assert_ne!(
            canonical(&query("char:x")),
            canonical(&query("character:x"))
        );
        let text = query("fox").with_unknown_as_text(true);
        let tag = query("fox").with_unknown_as_text(false);
        assert_ne!(canonical(&text), canonical(&tag));
    }
}
