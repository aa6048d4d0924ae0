//! Results of queries as bytes, and which of them hold until the library changes.

use std::{cell::Cell, collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    engine::{
        cache::entry::Version,
        search::{Found, Lookup, TermInfo},
        tag_similarity::{Measure, Similar},
    },
    model::{
        catalog::Catalog,
        fact::{Album, Detail},
        id::MediaKey,
        mark::{Mark, MediaRef},
        query::{
            BuiltIn, Query,
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

/// On what else than catalog and index a result depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    #[default]
    Nothing,
    /// On the projects, which change without the catalog: as they were then.
    Projects(Version),
    /// On what is another in an hour, or could not be told.
    Passing,
}

/// Notes whether a search asked for projects.
pub struct Noting<'l> {
    lookup: &'l dyn Lookup,
    projects: &'l dyn Fn() -> Result<Version, String>,
    basis: Cell<Basis>,
}

impl<'l> Noting<'l> {
    /// `projects` gives the version that they have now.
    pub fn new(lookup: &'l dyn Lookup, projects: &'l dyn Fn() -> Result<Version, String>) -> Self {
        Self {
            lookup,
            projects,
            basis: Cell::default(),
        }
    }

    pub fn basis(&self) -> Basis {
        self.basis.get()
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
        // Before they are read: what changes meanwhile makes the result an old one.
        let version = (self.projects)();
        let albums = self.lookup.albums();
        let is_timeless = |album: &Album| {
            let query = album.query.as_deref();
            // One that does not parse gives the same hint every time.
            query.is_none_or(|query| Query::parse(query, &BuiltIn).is_ok_and(|q| is_timeless(&q)))
        };
        let basis = match (self.basis.get(), version, &albums) {
            (Basis::Nothing, Ok(version), Ok(albums)) if albums.iter().all(is_timeless) => {
                Basis::Projects(version)
            }
            (Basis::Projects(before), Ok(version), Ok(_)) if before == version => {
                Basis::Projects(before)
            }
            _ => Basis::Passing,
        };
        self.basis.set(basis);
        albums
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        // Any of them may be about what changes without the catalog.
        self.basis.set(Basis::Passing);
        self.lookup.searches()
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        // They change without the catalog, and cost little to ask for.
        self.basis.set(Basis::Passing);
        self.lookup.marks()
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        self.basis.set(Basis::Passing);
        self.lookup.viewed()
    }

    fn alike(
        &self,
        catalog: &Catalog,
        key: MediaKey,
        measure: Measure,
        count: usize,
    ) -> Vec<Similar> {
        self.lookup.alike(catalog, key, measure, count)
    }
}

/// The length of a text, the text with what is small, then four bytes a key.
///
/// `projects` is the version of those that it depends on.
pub fn write(found: &Found, projects: Option<Version>) -> Vec<u8> {
    let terms: Vec<Value> = found
        .terms
        .iter()
        .map(|term| json!([term.text, term.count]))
        .collect();
    let projects = projects.map(|version| version.0);
    let small = json!({"terms": terms, "hint": found.hint, "projects": projects}).to_string();
    let mut bytes = Vec::with_capacity(4 + small.len() + 4 * found.keys.len());
    bytes.extend(u32::try_from(small.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(small.as_bytes());
    for key in &*found.keys {
        bytes.extend(key.0.to_le_bytes());
    }
    bytes
}

/// What [`write()`] wrote; `None` when it is something else.
pub fn read(bytes: &[u8]) -> Option<(Found, Option<Version>)> {
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
    let found = Found {
        generation: 0,
        keys,
        elapsed: Duration::ZERO,
        terms: terms.collect::<Option<_>>()?,
        hint: small["hint"].as_str().map(str::to_owned),
    };
    let projects = small["projects"].as_u64().map(Version);
    rest.is_empty().then_some((found, projects))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let bytes = write(&found, Some(Version(u64::MAX)));
        let (back, projects) = read(&bytes).unwrap();
        assert_eq!(projects, Some(Version(u64::MAX)));
        assert_eq!(back.keys, found.keys);
        assert_eq!(back.terms, found.terms);
        assert_eq!(back.hint, found.hint);
        for length in 0..bytes.len() {
            let cut = read(&bytes[..length]);
            assert!(cut.is_none_or(|(cut, _)| cut.keys.len() < 3), "{length}");
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
