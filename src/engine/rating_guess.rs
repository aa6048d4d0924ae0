//! Ratings that the tags of a picture suggest, learned from the pictures that have
//! one: what the ratings of this library's owner say of each tag and each pair of
//! tags. Suggestions with a probability, never applied by themselves.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::tag_similarity::real;
use crate::model::{catalog::Catalog, id::MediaKey, media::Rating, tag::TagName};

/// Rated media that it takes to say anything.
const MIN_RATED: u64 = 50;
/// Rated media that have to have a tag, or a pair of tags.
const MIN_COUNT: u64 = 10;
/// A weight below this says nothing.
const MIN_WEIGHT: f64 = 0.01;
/// What pairs count for, against single tags.
const PAIRS: f64 = 1.5;
/// Tags of which pairs are made, and pairs in all.
const PAIRED_TAGS: usize = 120;
const MAX_PAIRS: usize = 25_000;
/// Tags of one medium of which pairs are looked at.
const MAX_TAGS: usize = 100;
/// How probable each rating has to be before it is suggested.
const THRESHOLDS: [f64; 4] = [0.5, 0.6, 0.7, 0.8];

type Weights = [f64; 4];

/// What the rated media teach.
pub struct Ratings {
    prior: Weights,
    tags: HashMap<u32, Weights>,
    pairs: HashMap<(u32, u32), Weights>,
    /// How many media it was learned from.
    pub rated: u64,
}

/// A rating that may be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    pub rating: Rating,
    /// From 0 to 1.
    pub probability: f64,
    /// The tags that speak for it most.
    pub because: Vec<TagName>,
}

impl Ratings {
    /// Learns from a catalog; `None` when too little in it is rated.
    pub fn learn(catalog: &Catalog) -> Option<Self> {
        let by_rating = Rating::ALL.map(|rating| catalog.of_rating(rating));
        let sizes = by_rating.map(RoaringBitmap::len);
        let rated: u64 = sizes.iter().sum();
        if rated < MIN_RATED {
            return None;
        }
        let all = by_rating[0] | by_rating[1] | by_rating[2] | by_rating[3];
        let mut tags = HashMap::new();
        let mut common: Vec<(u64, u32, RoaringBitmap)> = Vec::new();
        let (_, known) = catalog.vocabulary();
        for number in (0..).take(known) {
            let Some((_, media)) = catalog.tag_at(number) else {
                continue;
            };
            let count = media.intersection_len(&all);
            if count < MIN_COUNT {
                continue;
            }
            if let Some(weights) = weigh(media, &by_rating, sizes) {
                tags.insert(number, weights);
            }
            common.push((count, number, media & &all));
        }
        common.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        common.truncate(PAIRED_TAGS);
        let mut pairs = HashMap::new();
        'pairs: for (place, (_, a, media)) in common.iter().enumerate() {
            for (_, b, others) in common.iter().skip(place + 1) {
                let together = media & others;
                if together.len() >= MIN_COUNT
                    && let Some(weights) = weigh(&together, &by_rating, sizes)
                {
                    pairs.insert((*a.min(b), *a.max(b)), weights);
                    if pairs.len() >= MAX_PAIRS {
                        break 'pairs;
                    }
                }
            }
        }
        Some(Self {
            prior: sizes.map(|size| ((real(size) + 1.0) / (real(rated) + 4.0)).ln()),
            tags,
            pairs,
            rated,
        })
    }

    /// What a medium may be rated, when its tags say it clearly enough.
    pub fn guess(&self, catalog: &Catalog, key: MediaKey) -> Option<Guess> {
        let record = catalog.record(key)?;
        let numbers: Vec<u32> = record.tag_numbers().take(MAX_TAGS).collect();
        let mut scores = self.prior;
        let mut add = |weights: &Weights, factor: f64| {
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += weight * factor;
            }
        };
        let mut evidence = 0;
        for number in &numbers {
            if let Some(weights) = self.tags.get(number) {
                add(weights, 1.0);
                evidence += 1;
            }
        }
        if evidence == 0 {
            return None;
        }
        for (place, a) in numbers.iter().enumerate() {
            for b in numbers.iter().skip(place + 1) {
                if let Some(weights) = self.pairs.get(&(*a.min(b), *a.max(b))) {
                    add(weights, PAIRS);
                }
            }
        }
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers = scores.map(|score| (score - highest).exp());
        let sum: f64 = powers.iter().sum();
        let (place, rating) = Rating::ALL
            .into_iter()
            .enumerate()
            .max_by(|(a, _), (b, _)| powers[*a].total_cmp(&powers[*b]))?;
        let probability = powers[place] / sum;
        if probability < THRESHOLDS[place].max(0.4) {
            return None;
        }
        let mut because: Vec<(f64, u32)> = numbers
            .iter()
            .filter_map(|number| Some((self.tags.get(number)?[place], *number)))
            .filter(|(weight, _)| *weight > 0.0)
            .collect();
        because.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let names = because
            .iter()
            .filter_map(|(_, number)| catalog.tag_at(*number));
        Some(Guess {
            rating,
            probability,
            because: names.map(|(name, _)| name.clone()).take(3).collect(),
        })
    }
}

/// ln(P(tag | rating) / P(tag | another rating)), with one more medium of each kind,
/// so that a tag which was never met with a rating is no proof.
fn weigh(
    media: &RoaringBitmap,
    by_rating: &[&RoaringBitmap; 4],
    sizes: [u64; 4],
) -> Option<Weights> {
    let counts = by_rating.map(|rated| media.intersection_len(rated));
    let (all, size): (u64, u64) = (counts.iter().sum(), sizes.iter().sum());
    let mut weights = [0.0; 4];
    for (place, weight) in weights.iter_mut().enumerate() {
        let with = (real(counts[place]) + 1.0) / (real(sizes[place]) + 2.0);
        let others = (real(all - counts[place]) + 1.0) / (real(size - sizes[place]) + 2.0);
        let ratio = (with / others).ln();
        if ratio.abs() > MIN_WEIGHT {
            *weight = ratio;
        }
    }
    weights
        .iter()
        .any(|weight| *weight != 0.0)
        .then_some(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        entry::{Entry, FileFacts},
        media::Media,
        tag::Tag,
    };

    fn catalog(media: Vec<(Option<Rating>, &[&str])>) -> Catalog {
        let entries = (0..).zip(media).map(|(key, (rating, tags))| {
            let media = Media {
                rating,
                tags: tags.iter().map(|tag| Tag::new("", tag)).collect(),
                ..Media::default()
            };
            let id = format!("m{key}").parse().unwrap();
            Entry::new(MediaKey(key), id, &FileFacts::default(), &media)
        });
        Catalog::from_entries(entries.collect(), true)
    }

    #[test]
    fn tags_tell_what_they_were_rated_with() {
        let mut media: Vec<(Option<Rating>, &[&str])> = Vec::new();
        media.extend(vec![(Some(Rating::General), &["sky", "tree"][..]); 40]);
        media.extend(vec![(Some(Rating::Explicit), &["blood", "sky"][..]); 40]);
        media.push((None, &["blood", "sky"]));
        media.push((None, &["tree"]));
        media.push((None, &["sky"]));
        media.push((None, &["unheard_of"]));
        let catalog = catalog(media);
        let ratings = Ratings::learn(&catalog).unwrap();
        let guess = |key: u32| ratings.guess(&catalog, MediaKey(key));
        let bloody = guess(80).unwrap();
        assert_eq!(bloody.rating, Rating::Explicit);
        assert!(
            bloody.probability > 0.9 && bloody.probability < 1.0,
            "{bloody:?}"
        );
        assert_eq!(bloody.because[0].value, "blood");
        assert_eq!(guess(81).map(|guess| guess.rating), Some(Rating::General));
        assert_eq!(guess(82), None, "the sky is on both");
        assert_eq!(guess(83), None, "nothing is known");
    }

    #[test]
    fn too_few_say_nothing() {
        let catalog = catalog(vec![(Some(Rating::General), &["sky"][..]); 49]);
        assert!(Ratings::learn(&catalog).is_none());
    }
}
