//! Searches and completions: a newer question cancels the one before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Core, Engine,
    event::Event,
    job::Cancel,
    search::{self, Found, Lookup, Page, Plan},
    suggest::Suggester,
    tag_similarity::{Measure, Similar},
};
use crate::model::{
    catalog::Catalog,
    fact::{Album, Detail},
    id::MediaKey,
    mark::{Mark, MediaRef},
    query::Query,
    tag::TagName,
};

/// Media that are put in order when a query is explained: a screen full.
const PAGE: usize = 600;

/// Completions offered at once.
const SUGGESTIONS: usize = 20;

pub(super) struct SearchRequest {
    query: Query,
    generation: u64,
}

pub(super) struct SuggestRequest {
    typed: String,
    context: Vec<TagName>,
    generation: u64,
}

impl Engine {
    /// Searches in the background; a newer search cancels this one. Answered by
    /// [`Event::Found`].
    pub fn search(&self, query: Query, generation: u64) {
        self.core.searches.put(SearchRequest { query, generation });
    }

    pub fn search_now(&self, query: &Query) -> Found {
        let found = self.core.search(query, &Cancel::default());
        found.unwrap_or_else(|| Found {
            generation: 0,
            keys: Arc::default(),
            elapsed: Duration::ZERO,
            terms: Vec::new(),
            hint: None,
        })
    }

    /// The first media that a query finds and how many it finds; waits.
    pub fn first_page_now(&self, query: &Query, size: usize) -> Page {
        let core = &self.core;
        let lookup = CoreLookup(core);
        let catalog = core.catalog.load();
        search::first_page(
            query,
            &catalog,
            &lookup,
            core.now(),
            &Cancel::default(),
            size,
        )
        .unwrap_or_default()
    }

    /// How a query is run, with a page of media put in order; waits.
    pub fn explain_now(&self, query: &Query) -> Plan {
        let core = &self.core;
        let lookup = CoreLookup(core);
        let catalog = core.catalog.load();
        search::explain(
            query,
            &catalog,
            &lookup,
            core.now(),
            &Cancel::default(),
            PAGE,
        )
        .unwrap_or_default()
    }

    /// What each term of a query says of a medium; waits. Empty when it is not there.
    pub fn why_now(&self, query: &Query, key: MediaKey) -> Vec<search::Reason> {
        self.core.why(query, key, &Cancel::default())
    }

    /// The `count` pictures whose tags are most like those of one, the most similar
    /// first; takes a while the first time.
    pub fn similar_now(
        &self,
        catalog: &Catalog,
        key: MediaKey,
        measure: Measure,
        count: usize,
    ) -> Vec<Similar> {
        self.core.kept_similar(catalog, key, measure, count)
    }

    /// Completes tags in the background; answered by [`Event::Suggestions`].
    pub fn suggest(&self, typed: String, context: Vec<TagName>, generation: u64) {
        self.core.suggestions.put(SuggestRequest {
            typed,
            context,
            generation,
        });
    }
}

impl Core {
    fn search(&self, query: &Query, cancel: &Cancel) -> Option<Found> {
        let catalog = self.catalog.load();
        let lookup = CoreLookup(self);
        self.kept_search(query, &catalog, &lookup, &|lookup| {
            search::search(query, &catalog, lookup, self.now(), cancel)
        })
    }

    pub(super) fn why(&self, query: &Query, key: MediaKey, cancel: &Cancel) -> Vec<search::Reason> {
        let lookup = CoreLookup(self);
        let catalog = self.catalog.load();
        search::why(query, &catalog, &lookup, self.now(), cancel, key).unwrap_or_default()
    }

    pub(super) fn answer_searches(&self) {
        while let Some((request, cancel)) = self.searches.take() {
            if let Some(found) = self.search(&request.query, &cancel) {
                let generation = request.generation;
                self.events.send(Event::Found {
                    generation,
                    found: Found {
                        generation,
                        ..found
                    },
                });
            }
        }
    }

    pub(super) fn answer_suggestions(&self) {
        let suggester = Suggester::default();
        while let Some((request, cancel)) = self.suggestions.take() {
            let catalog = self.catalog.load();
            let suggestions = self.kept_suggestions(
                &catalog,
                &request.typed,
                &request.context,
                SUGGESTIONS,
                || suggester.suggest(&catalog, &request.typed, &request.context, SUGGESTIONS),
            );
            if !cancel.is_cancelled() {
                let generation = request.generation;
                self.events.send(Event::Suggestions {
                    generation,
                    suggestions,
                });
            }
        }
    }
}

/// Index and cache of a library, as search asks them.
struct CoreLookup<'a>(&'a Core);

impl Lookup for CoreLookup<'_> {
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        let found = self.0.library.full_text(field, words);
        found.map_err(|error| error.chain())
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        let read = self.0.library.details(detail, on);
        read.map_err(|error| error.chain())
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        self.0.kept_albums()
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        self.0.library.searches().map_err(|error| error.chain())
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        self.0.marks()
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        self.0.viewed()
    }

    fn alike(
        &self,
        catalog: &Catalog,
        key: MediaKey,
        measure: Measure,
        count: usize,
    ) -> Vec<Similar> {
        self.0.kept_similar(catalog, key, measure, count)
    }
}
