//! Pictures that have much the same tags: exact over the whole library, with the
//! shared tags that say most as the reason.

use std::{cmp::Ordering, str::FromStr};

use crate::model::{
    catalog::{Catalog, Record},
    id::MediaKey,
    tag::TagName,
};

/// What tags of a category count for, unless the tag database says otherwise.
const CATEGORY_WEIGHTS: [(&str, f64); 6] = [
    ("character", 6.0),
    ("copyright", 3.0),
    ("general", 3.0),
    ("species", 2.5),
    ("artist", 2.0),
    ("meta", 0.5),
];
const OTHER_WEIGHT: f64 = 1.0;
/// The part that what is shared of the first picture's tags has in
/// [`Measure::Asymmetric`]; the rest is what is shared of both.
const ALPHA: f64 = 0.6;
/// Candidates that are looked at first; more when that proves too few.
const FIRST: usize = 1_024;

/// How tags are weighed and what is shared is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Shared tags of all tags, each the same.
    Jaccard,
    /// As that, tags weighed by 1 / ln(how many have it).
    Idf,
    /// As that, tags weighed by ln(all / how many have it).
    TfIdf,
    /// What is shared of the first one's tags counts for more.
    Asymmetric,
}

impl Measure {
    /// A word after `by=` that means it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jaccard => "jaccard",
            Self::Idf => "idf",
            Self::TfIdf => "tfidf",
            Self::Asymmetric => "asymmetric",
        }
    }
}

/// The word after `by=`.
impl FromStr for Measure {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "jaccard" => Ok(Self::Jaccard),
            "idf" => Ok(Self::Idf),
            "tags" | "tfidf" => Ok(Self::TfIdf),
            "asymmetric" => Ok(Self::Asymmetric),
            _ => Err(()),
        }
    }
}

/// What every tag of a catalog weighs, by its number.
struct Weights(Vec<f64>);

impl Weights {
    fn new(catalog: &Catalog, measure: Measure) -> Self {
        let (_, known) = catalog.vocabulary();
        let all = real(catalog.len() as u64);
        let weight = |number: u32| {
            let Some((name, media)) = catalog.tag_at(number) else {
                return 0.0;
            };
            let count = real(media.len());
            let rarity = match measure {
                Measure::Jaccard => return 1.0,
                Measure::Idf => 1.0 / (count + 1.0).ln().max(f64::EPSILON),
                // One that everything has still says a little.
                Measure::TfIdf | Measure::Asymmetric => ((all / (count + 1.0)).ln() + 1.0).max(0.1),
            };
            rarity * category_weight(catalog, &name.category)
        };
        Self((0..).take(known).map(weight).collect())
    }

    fn of(&self, number: u32) -> f64 {
        self.0.get(number as usize).copied().unwrap_or(0.0)
    }

    fn sum(&self, record: &Record<'_>) -> f64 {
        record.tag_numbers().map(|number| self.of(number)).sum()
    }
}

fn category_weight(catalog: &Catalog, category: &str) -> f64 {
    let own = catalog.tag_database().category(category);
    own.and_then(|category| category.weight).unwrap_or_else(|| {
        let default = CATEGORY_WEIGHTS.iter().find(|(name, _)| *name == category);
        default.map_or(OTHER_WEIGHT, |(_, weight)| *weight)
    })
}

/// A picture with much the same tags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    pub key: MediaKey,
    /// From 0 to 1.
    pub score: f64,
}

/// The `count` pictures whose tags are most like those of one, the most similar first;
/// itself is not among them, nor is what shares nothing.
pub fn nearest(catalog: &Catalog, key: MediaKey, measure: Measure, count: usize) -> Vec<Similar> {
    let Some(record) = catalog.record(key) else {
        return Vec::new();
    };
    let weights = Weights::new(catalog, measure);
    let own = weights.sum(&record);
    let size = catalog.all().max().map_or(0, |max| max as usize + 1);
    let mut shared = vec![0.0_f64; size];
    for number in record.tag_numbers() {
        let weight = weights.of(number);
        for key in catalog
            .tag_at(number)
            .into_iter()
            .flat_map(|(_, media)| media)
        {
            if let Some(sum) = shared.get_mut(key as usize) {
                *sum += weight;
            }
        }
    }
    let mut candidates: Vec<(f64, u32)> = (0..)
        .zip(shared)
        .filter(|(other, shared)| *shared > 0.0 && *other != key.0)
        .map(|(other, shared)| (shared, other))
        .collect();
    let by_shared = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let mut looked_at = FIRST.max(count.saturating_mul(4));
    loop {
        let is_all = looked_at >= candidates.len();
        if !is_all {
            candidates.select_nth_unstable_by(looked_at, by_shared);
        }
        let best = &candidates[..looked_at.min(candidates.len())];
        let mut found: Vec<Similar> = best
            .iter()
            .filter_map(|(shared, other)| {
                let record = catalog.record(MediaKey(*other))?;
                Some(Similar {
                    key: MediaKey(*other),
                    score: score(measure, *shared, own, weights.sum(&record)),
                })
            })
            .collect();
        found.sort_by(|a, b| by_score(catalog, a, b));
        found.truncate(count);
        // No score is higher than the shared part of the first one's tags.
        let highest_left = candidates
            .get(looked_at)
            .map_or(0.0, |(shared, _)| shared / own);
        let is_settled =
            found.len() == count && found.last().is_some_and(|last| last.score > highest_left);
        if is_all || is_settled {
            return found;
        }
        looked_at = looked_at.saturating_mul(8);
    }
}

fn by_score(catalog: &Catalog, a: &Similar, b: &Similar) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| catalog.id_cmp(a.key, b.key))
}

fn score(measure: Measure, shared: f64, own: f64, other: f64) -> f64 {
    let of_both = shared / (own + other - shared).max(f64::MIN_POSITIVE);
    match measure {
        Measure::Asymmetric => {
            ALPHA * shared / own.max(f64::MIN_POSITIVE) + (1.0 - ALPHA) * of_both
        }
        _ => of_both,
    }
}

/// The tags that two pictures share, those that say most first.
pub fn shared(catalog: &Catalog, a: MediaKey, b: MediaKey) -> Vec<TagName> {
    let (Some(a), Some(b)) = (catalog.record(a), catalog.record(b)) else {
        return Vec::new();
    };
    let all = real(catalog.len() as u64);
    let theirs: Vec<u32> = b.tag_numbers().collect();
    let mut shared: Vec<(f64, &TagName)> = a
        .tag_numbers()
        .filter(|number| theirs.contains(number))
        .filter_map(|number| {
            let (name, media) = catalog.tag_at(number)?;
            let rarity = (all / (real(media.len()) + 1.0)).ln() + 1.0;
            Some((rarity * category_weight(catalog, &name.category), name))
        })
        .collect();
    shared.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    shared.into_iter().map(|(_, name)| name.clone()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of media are small")]
pub(super) fn real(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::samples::catalog;

    fn words(media: &[&str]) -> Vec<Vec<String>> {
        let split = |tags: &&str| tags.split(' ').map(str::to_owned).collect();
        media.iter().map(split).collect()
    }

    #[test]
    fn rare_shared_tags_count_most() {
        let mut media = words(&[
            "sky tree character:holo",
            "sky tree",
            "character:holo",
            "sea",
        ]);
        media.extend(vec![vec!["sky".to_owned(), "tree".to_owned()]; 20]);
        let catalog = catalog(&media);
        let first = |measure| nearest(&catalog, MediaKey(0), measure, 2)[0].key;
        assert_eq!(first(Measure::TfIdf), MediaKey(2));
        assert_eq!(first(Measure::Jaccard), MediaKey(1));
        assert!(nearest(&catalog, MediaKey(3), Measure::TfIdf, 5).is_empty());
        let shared = shared(&catalog, MediaKey(0), MediaKey(2));
        assert_eq!(shared, [TagName::new("character", "holo")]);
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_that_a_look_at_all_gives(
            media in prop::collection::vec(prop::collection::btree_set(0..9_u8, 1..6), 2..60),
            count in 1..8_usize,
        ) {
            let named: Vec<Vec<String>> = media.iter().map(|tags| tags.iter().map(|tag| format!("t{tag}")).collect()).collect();
            let catalog = catalog(&named);
            let mut all: Vec<(f64, u32)> = (0..).zip(&media).skip(1).map(|(key, tags)| {
                let both = tags.intersection(&media[0]).count();
                let either = tags.union(&media[0]).count();
                (f64::from(u32::try_from(both).unwrap()) / f64::from(u32::try_from(either).unwrap()), key)
            }).filter(|(score, _)| *score > 0.0).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(count);
            let found: Vec<(f64, u32)> = nearest(&catalog, MediaKey(0), Measure::Jaccard, count)
                .into_iter().map(|similar| (similar.score, similar.key.0)).collect();
            prop_assert_eq!(found, all);
        }
    }
}
