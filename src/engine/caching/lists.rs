//! Lists that are worked out from the catalog: pictures with much the same tags,
//! completions. They hold until the catalog is another one, in this process, which
//! alone numbers its catalogs so.

use crate::{
    engine::{
        Core,
        cache::{entry::Version, key::Key},
        suggest::Suggestion,
        tag_similarity::{Measure, Similar, nearest},
    },
    model::{catalog::Catalog, id::MediaKey, tag::TagName},
};

impl Core {
    /// As [`nearest`].
    pub(in crate::engine) fn kept_similar(
        &self,
        catalog: &Catalog,
        key: MediaKey,
        measure: Measure,
        count: usize,
    ) -> Vec<Similar> {
        let Some(record) = catalog.record(key) else {
            return Vec::new();
        };
        let place = Key::similar(&record.id(), measure.name(), count);
        // Scores travel as their bits: JSON may round them.
        let list = self.kept(&place, catalog, || {
            let similar = nearest(catalog, key, measure, count);
            let pairs = similar
                .iter()
                .map(|similar| (similar.key.0, similar.score.to_bits()));
            pairs.collect::<Vec<_>>()
        });
        list.into_iter()
            .map(|(key, score)| Similar {
                key: MediaKey(key),
                score: f64::from_bits(score),
            })
            .collect()
    }

    /// What `complete` gives for what was typed beside the tags of a context.
    pub(in crate::engine) fn kept_suggestions(
        &self,
        catalog: &Catalog,
        typed: &str,
        context: &[TagName],
        count: usize,
        complete: impl Fn() -> Vec<Suggestion>,
    ) -> Vec<Suggestion> {
        let names = context
            .iter()
            .map(|name| format!("{}\t{}\n", name.category, name.value));
        let place = Key::suggestions(typed, &names.collect::<String>(), count);
        self.kept(&place, catalog, complete)
    }

    /// What was computed from this catalog before, or is now.
    fn kept<T: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        place: &Key,
        catalog: &Catalog,
        compute: impl Fn() -> Vec<T>,
    ) -> Vec<T> {
        if !self.cache.is_on() {
            return compute();
        }
        let version = Version::of(&[catalog.version()]);
        let found = self
            .cache
            .value_or_compute(place, version, || Ok(Some(compute())));
        match found {
            Ok(Some(list)) => list,
            // Neither is ever kept for a list.
            Ok(None) | Err(_) => compute(),
        }
    }
}
