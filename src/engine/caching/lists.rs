//! Lists that are worked out from the catalog: pictures with much the same tags,
//! completions, the tags of a result. They hold until the catalog is another one, in this process, which
//! alone numbers its catalogs so.

use crate::{
    engine::{
        Core, Engine,
        cache::{entry::Version, key::Key},
        suggest::Suggestion,
        tag_counts::tag_counts,
        tag_similarity::{Measure, Similar, nearest},
    },
    model::{catalog::Catalog, id::MediaKey, tag::TagName},
};

impl Engine {
    /// How often each tag occurs on some media, by the numbers of the tags; `None` when
    /// nobody waits for it any more. Takes a while the first time.
    pub fn tag_counts_now(
        &self,
        catalog: &Catalog,
        keys: &[MediaKey],
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<u32>> {
        self.core.kept_tag_counts(catalog, keys, is_cancelled)
    }
}

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

    /// As [`tag_counts`].
    pub(in crate::engine) fn kept_tag_counts(
        &self,
        catalog: &Catalog,
        keys: &[MediaKey],
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<u32>> {
        if !self.cache.is_on() {
            return tag_counts(catalog, keys, is_cancelled);
        }
        let (_, known) = catalog.vocabulary();
        let place = Key::tag_counts(keys);
        let version = Version::of(&[catalog.version()]);
        let kept = self.cache.get(&place, version).found();
        if let Some(counts) = kept.and_then(|kept| read_counts(&kept, known)) {
            return Some(counts);
        }
        // Not together with others who ask: each may give up by itself.
        let counts = tag_counts(catalog, keys, is_cancelled)?;
        self.cache
            .set(&place, version, Some(&write_counts(&counts)));
        Some(counts)
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

/// Number and count of each tag that occurs, four bytes each.
fn write_counts(counts: &[u32]) -> Vec<u8> {
    let occurring = (0_u32..).zip(counts).filter(|(_, count)| **count > 0);
    occurring
        .flat_map(|(number, count)| [number.to_le_bytes(), count.to_le_bytes()])
        .flatten()
        .collect()
}

/// What [`write_counts`] wrote of so many tags; `None` when it is something else.
fn read_counts(bytes: &[u8], known: usize) -> Option<Vec<u32>> {
    let (pairs, rest) = bytes.as_chunks::<8>();
    let mut counts = vec![0; known];
    for pair in pairs {
        let (number, count) = pair.split_first_chunk::<4>()?;
        let count = count.first_chunk::<4>()?;
        let number = usize::try_from(u32::from_le_bytes(*number)).ok()?;
        *counts.get_mut(number)? = u32::from_le_bytes(*count);
    }
    rest.is_empty().then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were() {
        let counts = vec![0, 7, 0, u32::MAX, 1, 0];
        let bytes = write_counts(&counts);
        assert_eq!(bytes.len(), 3 * 8);
        assert_eq!(read_counts(&bytes, 6), Some(counts));
        assert_eq!(read_counts(&bytes, 4), None, "of more tags");
        assert_eq!(read_counts(&bytes[..23], 6), None, "cut");
        assert_eq!(read_counts(&[], 2), Some(vec![0, 0]));
    }
}
