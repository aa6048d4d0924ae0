//! From the set of what was found to the list that is shown.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    terms::{Cancelled, Evaluation},
    text::natural_cmp,
};
use crate::model::{
    catalog::{Catalog, Record},
    id::{Md5, MediaKey},
    query::{
        Query,
        tree::{Order, OrderBy},
    },
    tag::BUILT_IN_CATEGORIES,
};

/// Samples, orders and cuts off; of what is left, gives no more than the first `most`,
/// and how many there are.
pub fn arrange(
    query: &Query,
    evaluation: &mut Evaluation<'_>,
    mut found: RoaringBitmap,
    most: usize,
) -> Result<(Arc<[MediaKey]>, u64), Cancelled> {
    let catalog = evaluation.catalog;
    if let Some(size) = query.sample() {
        found = sample(&found, size, seed(evaluation.now));
    }
    evaluation.check()?;
    let total = query
        .limit()
        .map_or(found.len(), |limit| limit.min(found.len()));
    let limit = usize::try_from(total).unwrap_or(usize::MAX).min(most);
    if limit == 0 {
        return Ok((Arc::default(), total));
    }
    let order = query.order().unwrap_or(Order {
        by: OrderBy::Imported,
        is_descending: true,
    });
    if let OrderBy::Unavailable(name) = order.by {
        evaluation.hint(format!("there is nothing to order by {name} yet"));
    }
    if is_kept(query) {
        return Ok((by_default(catalog, &found, limit), total));
    }
    let direction = |ordering: Ordering| {
        if order.is_descending {
            ordering.reverse()
        } else {
            ordering
        }
    };
    let sorted = match order.by {
        OrderBy::None => found.iter().map(MediaKey).take(limit).collect(),
        OrderBy::Id => sort(
            evaluation,
            &found,
            limit,
            |record| record.key(),
            |a, b| direction(catalog.id_cmp(*a, *b)),
        )?,
        OrderBy::Name => sort(
            evaluation,
            &found,
            limit,
            |record| record.title().into_owned(),
            |a, b| direction(natural_cmp(a, b)),
        )?,
        OrderBy::Path => sort(
            evaluation,
            &found,
            limit,
            |record| record.path().into_owned(),
            |a, b| direction(natural_cmp(a, b)),
        )?,
        OrderBy::Random(wanted) => {
            let seed = wanted.unwrap_or_else(|| seed(evaluation.now));
            sort(
                evaluation,
                &found,
                limit,
                |record| shuffle(record.key().0, seed),
                Ord::cmp,
            )?
        }
        OrderBy::Similarity => {
            let distances = &evaluation.distances;
            sort(
                evaluation,
                &found,
                limit,
                |record| distances.get(&record.key().0).copied().unwrap_or(u32::MAX),
                // The most similar first is the descending order.
                |a, b| direction(b.cmp(a)),
            )?
        }
        OrderBy::Project => {
            let places = &evaluation.places;
            sort(
                evaluation,
                &found,
                limit,
                |record| places.get(&record.key().0).copied().unwrap_or(usize::MAX),
                |a, b| direction(a.cmp(b)),
            )?
        }
        OrderBy::Dupsize => {
            let mut sizes: HashMap<Md5, usize> = HashMap::new();
            for md5 in catalog.keys().filter_map(|key| catalog.record(key)?.md5()) {
                *sizes.entry(md5).or_default() += 1;
            }
            let size = |record: &Record<'_>| sizes.get(&record.md5()?).copied();
            sort(
                evaluation,
                &found,
                limit,
                |record| size(&record).unwrap_or(1),
                |a, b| direction(a.cmp(b)),
            )?
        }
        OrderBy::Favcount => sort(
            evaluation,
            &found,
            limit,
            |record| (number(&record, order.by), record.fav()),
            |a, b| missing_last(a.0, b.0, order.is_descending).then_with(|| b.1.cmp(&a.1)),
        )?,
        OrderBy::CategoryCount(place) => {
            let category = BUILT_IN_CATEGORIES.get(usize::from(place)).copied();
            let is_counted = catalog.tags_of_category(category.unwrap_or_default());
            sort(
                evaluation,
                &found,
                limit,
                |record| record.tag_count_among(&is_counted),
                |a, b| direction(a.cmp(b)),
            )?
        }
        by => sort(
            evaluation,
            &found,
            limit,
            |record| number(&record, by),
            |a, b| missing_last(*a, *b, order.is_descending),
        )?,
    };
    evaluation.check()?;
    Ok((sorted.into_iter().take(limit).collect(), total))
}

/// Whether a query asks for the order that the catalog keeps.
pub fn is_kept(query: &Query) -> bool {
    query.order().is_none_or(|order| {
        order.by == OrderBy::Imported && order.is_descending
            || matches!(order.by, OrderBy::Unavailable(_))
    })
}

/// Newest import first. Either the order of the whole catalog is gone through until
/// enough was found, or what was found is sorted by its places in that order.
fn by_default(catalog: &Catalog, found: &RoaringBitmap, limit: usize) -> Arc<[MediaKey]> {
    let all = catalog.all().len();
    let wanted = found.len().min(limit as u64);
    // One in so many was found, and finding out about each costs as much as sorting
    // some.
    let looked_at = wanted.saturating_mul(all) / found.len().max(1);
    if looked_at > found.len().saturating_mul(8)
        && let Some(ranks) = catalog.default_ranks()
    {
        return by_ranks(catalog, &ranks, found, limit);
    }
    let order = catalog.default_order();
    if found.len() == all && limit >= order.len() {
        return order;
    }
    // Asking one by one is slower than unfolding the set, unless it is for a few.
    let is_found = if looked_at > all / 16 {
        dense(found)
    } else {
        None
    };
    order
        .iter()
        .filter(|key| match &is_found {
            Some(words) => words
                .get(key.0 as usize / 64)
                .is_some_and(|word| word >> (key.0 % 64) & 1 == 1),
            None => found.contains(key.0),
        })
        .take(limit)
        .copied()
        .collect()
}

/// The first of some media by their places in the default order.
fn by_ranks(
    catalog: &Catalog,
    ranks: &[u32],
    found: &RoaringBitmap,
    limit: usize,
) -> Arc<[MediaKey]> {
    let order = catalog.default_order();
    let mut places: Vec<u32> = found
        .iter()
        .filter_map(|key| ranks.get(key as usize).copied())
        .collect();
    if limit < places.len() {
        places.select_nth_unstable(limit);
        places.truncate(limit);
    }
    places.sort_unstable();
    places
        .into_iter()
        .filter_map(|place| order.get(place as usize).copied())
        .collect()
}

/// The set as one word for every 64 keys, where that is not wasteful.
fn dense(found: &RoaringBitmap) -> Option<Vec<u64>> {
    let max = found.max()?;
    if u64::from(max) > found.len() * 64 + 4096 {
        return None;
    }
    let mut words = vec![0_u64; max as usize / 64 + 1];
    for key in found {
        if let Some(word) = words.get_mut(key as usize / 64) {
            *word |= 1 << (key % 64);
        }
    }
    Some(words)
}

/// Records between two looks at the cancel flag.
const STEP: usize = 4096;

/// Sorts by a key that is made once for each medium, ties by id, and gives the first
/// `limit`: of many, no more than twice that are kept on the way.
fn sort<K>(
    evaluation: &Evaluation<'_>,
    found: &RoaringBitmap,
    limit: usize,
    key_of: impl Fn(Record<'_>) -> K,
    compare: impl Fn(&K, &K) -> Ordering,
) -> Result<Vec<MediaKey>, Cancelled> {
    let catalog = evaluation.catalog;
    let compare = |a: &(K, MediaKey), b: &(K, MediaKey)| {
        compare(&a.0, &b.0).then_with(|| catalog.id_cmp(a.1, b.1))
    };
    let is_long = limit < usize::try_from(found.len()).unwrap_or(usize::MAX) / 4;
    let full = if is_long { limit * 2 + 64 } else { usize::MAX };
    let mut kept: Vec<(K, MediaKey)> = Vec::new();
    let mut is_bounded = false;
    for (place, record) in records(catalog, found).enumerate() {
        if place % STEP == 0 {
            evaluation.check()?;
        }
        let keyed = (key_of(record), record.key());
        // Behind the last of a whole page there is nothing to keep.
        if is_bounded
            && let Some(last) = kept.get(limit - 1)
            && compare(&keyed, last).is_gt()
        {
            continue;
        }
        kept.push(keyed);
        if kept.len() >= full {
            kept.select_nth_unstable_by(limit - 1, compare);
            kept.truncate(limit);
            is_bounded = true;
        }
    }
    kept.sort_unstable_by(compare);
    kept.truncate(limit);
    Ok(kept.into_iter().map(|(_, key)| key).collect())
}

/// The records of some media in the order of their keys: of many, by going through all.
fn records<'a>(
    catalog: &'a Catalog,
    found: &'a RoaringBitmap,
) -> Box<dyn Iterator<Item = Record<'a>> + 'a> {
    let all = catalog.all().len();
    if found.len() == all {
        return Box::new(catalog.records());
    }
    match dense(found).filter(|_| found.len() * 8 > all) {
        Some(words) => Box::new(catalog.records().filter(move |record| {
            let key = record.key().0;
            let word = words.get(key as usize / 64);
            word.is_some_and(|word| word >> (key % 64) & 1 == 1)
        })),
        None => Box::new(found.iter().filter_map(|key| catalog.record(MediaKey(key)))),
    }
}

/// Media without a value come last in either direction.
fn missing_last(a: Option<f64>, b: Option<f64>, is_descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if is_descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an order needs no more than 52 bits"
)]
fn number(record: &Record<'_>, by: OrderBy) -> Option<f64> {
    let (width, height) = (f64::from(record.width()), f64::from(record.height()));
    let known = |number: f64| (number > 0.0).then_some(number);
    match by {
        OrderBy::Imported => Some(record.imported() as f64),
        OrderBy::Date => Some(record.created() as f64),
        OrderBy::Modified => Some(record.modified() as f64),
        OrderBy::Filesize => Some(record.bytes() as f64),
        OrderBy::Width => known(width),
        OrderBy::Height => known(height),
        OrderBy::Mpixels => known(width * height),
        OrderBy::Ratio => (width > 0.0 && height > 0.0).then(|| width / height),
        OrderBy::Duration => record.duration_ms().map(|ms| ms as f64),
        OrderBy::Frames => Some(f64::from(record.frames())),
        OrderBy::Tagcount => Some(record.tag_count() as f64),
        OrderBy::Stars => Some(f64::from(record.stars())),
        OrderBy::Score => record.score().map(|score| score as f64),
        OrderBy::Favcount => record.favcount().map(|count| count as f64),
        OrderBy::Rating => record.rating().map(|rating| f64::from(rating as u8)),
        OrderBy::CategoryCount(_)
        | OrderBy::Id
        | OrderBy::Name
        | OrderBy::Path
        | OrderBy::Similarity
        | OrderBy::Project
        | OrderBy::Dupsize
        | OrderBy::Random(_)
        | OrderBy::None
        | OrderBy::Unavailable(_) => None,
    }
}

fn seed(now: i64) -> u64 {
    now.cast_unsigned()
}

/// As many of them, drawn by the seed.
fn sample(found: &RoaringBitmap, size: u64, seed: u64) -> RoaringBitmap {
    if size >= found.len() {
        return found.clone();
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut drawn: Vec<(u64, u32)> = found.iter().map(|key| (shuffle(key, seed), key)).collect();
    drawn.select_nth_unstable(size);
    drawn.truncate(size);
    drawn.into_iter().map(|(_, key)| key).collect()
}

/// A number that looks random and follows from key and seed (splitmix64).
fn shuffle(key: u32, seed: u64) -> u64 {
    let mut state = seed.wrapping_add(
        u64::from(key)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15),
    );
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}
