//! From the set of what was found to the list that is shown.

use std::{
    cmp::{Ordering, Reverse},
    sync::Arc,
};

use roaring::RoaringBitmap;

use super::terms::{Cancelled, Evaluation};
use crate::model::{
    column::Column,
    id::MediaKey,
    query::{
        Query,
        tree::{Order, OrderBy},
    },
};

/// Samples, orders and cuts off; of what is left, gives no more than the first `most`,
/// and how many there are.
pub fn arrange(
    query: &Query,
    evaluation: &mut Evaluation<'_>,
    mut found: RoaringBitmap,
    most: usize,
) -> Result<(Arc<[MediaKey]>, u64), Cancelled> {
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
        by: OrderBy::Column(Column::Imported),
        is_descending: true,
    });
    if let Some((column, is_reversed)) = column_of(order) {
        let favorites_first = column == Column::Favcount;
        let keys = by_column(
            evaluation,
            &found,
            column,
            is_reversed,
            favorites_first,
            limit,
        )?;
        return Ok((keys, total));
    }
    let sorted = match order.by {
        OrderBy::Random(wanted) => {
            let seed = wanted.unwrap_or_else(|| seed(evaluation.now));
            sort(
                evaluation,
                &found,
                limit,
                |key| shuffle(key.0, seed),
                Ord::cmp,
            )?
        }
        OrderBy::Similarity => {
            let distances = evaluation.distances.iter();
            // The most similar first is the descending order.
            let ranked = distances.map(|(key, distance)| (*distance, *key)).collect();
            with_rank(evaluation, &found, limit, ranked, !order.is_descending)
        }
        OrderBy::Project => {
            let places = evaluation.places.iter();
            let ranked = places.map(|(key, place)| (*place, *key)).collect();
            with_rank(evaluation, &found, limit, ranked, order.is_descending)
        }
        OrderBy::Viewed => {
            let viewed = evaluation.viewed().into_iter();
            // What nobody looked at comes behind what was looked at first.
            let ranked = viewed.map(|(key, at)| (Reverse(at), key)).collect();
            with_rank(evaluation, &found, limit, ranked, !order.is_descending)
        }
        OrderBy::Color => {
            let ranked = evaluation.color_places()?;
            with_rank(evaluation, &found, limit, ranked, order.is_descending)
        }
        OrderBy::Dupsize => {
            let sizes = evaluation.catalog.same_md5().into_iter();
            // Those that are alone come behind the smallest group.
            let ranked = sizes.map(|(key, size)| (Reverse(size), key.0)).collect();
            with_rank(evaluation, &found, limit, ranked, !order.is_descending)
        }
        _ => found.iter().map(MediaKey).take(limit).collect(),
    };
    evaluation.check()?;
    Ok((sorted.into_iter().take(limit).collect(), total))
}

/// Whether a query asks for an order that the catalog keeps.
pub fn is_kept(query: &Query) -> bool {
    query.order().is_none_or(|order| column_of(order).is_some())
}

/// The column that an order goes by, and whether it goes the other way than the column
/// itself; `None` for an order that comes from the query.
fn column_of(order: Order) -> Option<(Column, bool)> {
    let column = match order.by {
        OrderBy::Column(column) => column,
        OrderBy::Similarity
        | OrderBy::Project
        | OrderBy::Dupsize
        | OrderBy::Viewed
        | OrderBy::Color
        | OrderBy::Random(_)
        | OrderBy::None => return None,
    };
    Some((column, order.is_descending != column.is_descending()))
}

/// The first where some have a rank, those with the same one by id, and all others stand
/// behind them; or the other way round.
fn with_rank<K: Ord>(
    evaluation: &Evaluation<'_>,
    found: &RoaringBitmap,
    limit: usize,
    mut ranked: Vec<(K, u32)>,
    is_reversed: bool,
) -> Vec<MediaKey> {
    let catalog = evaluation.catalog;
    ranked.retain(|(_, key)| found.contains(*key));
    ranked.sort_unstable();
    let with_one: RoaringBitmap = ranked.iter().map(|(_, key)| *key).collect();
    let others = found - with_one;
    let mut first = Vec::new();
    if is_reversed {
        first = catalog.first_ids(&others, limit);
    }
    let mut groups = ranked.chunk_by(|a, b| a.0 == b.0);
    while first.len() < limit
        && let Some(group) = if is_reversed {
            groups.next_back()
        } else {
            groups.next()
        }
    {
        let keys = group.iter().map(|(_, key)| *key);
        if group.len() == 1 {
            first.extend(keys.map(MediaKey));
        } else {
            first.extend(catalog.first_ids(&keys.collect(), limit - first.len()));
        }
    }
    if !is_reversed {
        first.extend(catalog.first_ids(&others, limit - first.len()));
    }
    first
}

/// The first in the order of a column. Either the order of the whole catalog is gone
/// through until enough was found, or what was found is sorted.
fn by_column(
    evaluation: &Evaluation<'_>,
    found: &RoaringBitmap,
    column: Column,
    is_reversed: bool,
    favorites_first: bool,
    limit: usize,
) -> Result<Arc<[MediaKey]>, Cancelled> {
    let catalog = evaluation.catalog;
    let all = catalog.all().len();
    let wanted = found.len().min(limit as u64);
    // One in so many was found, and finding out about each costs a part of what sorting
    // some does.
    let looked_at = wanted.saturating_mul(all) / found.len().max(1);
    // Where each medium stands in the order that most queries ask for is known.
    let is_default = column == Column::Imported && !is_reversed;
    if is_default
        && looked_at.saturating_mul(RANKING) > found.len()
        && let order = catalog.ordered(column)
        && let Some(ranks) = order.ranks()
    {
        return Ok(by_ranks(order.keys(), ranks, found, limit));
    }
    let is_plain = !is_reversed && !favorites_first;
    let has_order = catalog.has_order(column);
    // Where the values are that are to stand together is not known: each is asked for.
    let is_unknown = has_order && !is_plain && !catalog.ordered(column).knows_groups();
    let sorting = if is_unknown { 1 } else { SORTING };
    if looked_at > found.len().saturating_mul(sorting) {
        let keys = found.iter().map(MediaKey);
        let sorted = catalog.sorted_by(column, is_reversed, favorites_first, keys, limit);
        return Ok(sorted.into());
    }
    // Nobody asked for that order yet: to find its beginning takes less than to make it.
    let is_beginning = found.len() / BEGINNING > wanted || all / BEGINNING > found.len();
    if is_beginning && !has_order {
        let first = catalog.first_by(column, is_reversed, favorites_first, found, limit);
        if let Some(first) = first {
            return Ok(first.into());
        }
    }
    let order = catalog.ordered(column);
    evaluation.check()?;
    let is_whole = found.len() == all && limit >= order.keys().len();
    if is_whole && is_plain {
        return Ok(Arc::clone(order.keys()));
    }
    // Asking one by one is slower than unfolding the set, unless it is for a few.
    let unfolded = if looked_at > all / 16 {
        dense(found)
    } else {
        None
    };
    let is_found = |key: &&MediaKey| has(found, unfolded.as_deref(), **key);
    if is_plain {
        return Ok(order
            .keys()
            .iter()
            .filter(is_found)
            .take(limit)
            .copied()
            .collect());
    }
    let mut first: Vec<MediaKey> = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    let favorites = catalog.favorites();
    let is_few = looked_at < all / 16;
    let unfolded_favorites = if favorites_first && !is_few {
        dense(favorites)
    } else {
        None
    };
    for group in order.groups(catalog, is_reversed, is_few) {
        let is_favorite = |key: &MediaKey| has(favorites, unfolded_favorites.as_deref(), *key);
        let group = || group.iter().filter(is_found).copied();
        if favorites_first {
            first.extend(group().filter(is_favorite).take(limit - first.len()));
            let others = group().filter(|key| !is_favorite(key));
            first.extend(others.take(limit - first.len()));
        } else {
            first.extend(group().take(limit - first.len()));
        }
        if first.len() == limit {
            break;
        }
    }
    Ok(first.into())
}

/// The first of some media by their places in an order.
fn by_ranks(
    order: &[MediaKey],
    ranks: &[u32],
    found: &RoaringBitmap,
    limit: usize,
) -> Arc<[MediaKey]> {
    let place = |key: u32| ranks.get(key as usize).copied();
    // Where twice as many as are wanted stand if they are spread evenly; of fewer, all are
    // looked at again.
    let count = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let likely = (order.len() / count.max(1)).saturating_mul(limit.saturating_mul(2));
    let likely = u32::try_from(likely).unwrap_or(u32::MAX);
    let mut places: Vec<u32> = found.iter().filter_map(place).collect();
    let near = places.iter().filter(|place| **place < likely).count();
    if near >= limit {
        places.retain(|place| *place < likely);
    }
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

/// Whether a medium is in a set, which may have been unfolded.
fn has(set: &RoaringBitmap, unfolded: Option<&[u64]>, key: MediaKey) -> bool {
    match unfolded {
        Some(words) => words
            .get(key.0 as usize / 64)
            .is_some_and(|word| word >> (key.0 % 64) & 1 == 1),
        None => set.contains(key.0),
    }
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

/// Media between two looks at the cancel flag.
const STEP: usize = 4096;

/// What part of what was found, or of all there is, is worth no order of its own.
const BEGINNING: u64 = 8;

/// How many places of media are looked up while an order is gone through by one.
const RANKING: u64 = 6;

/// How many media an order is gone through for each that would have to be sorted.
const SORTING: u64 = 16;

/// Sorts by a key that is made once for each medium, ties by id, and gives the first
/// `limit`: of many, no more than twice that are kept on the way.
fn sort<K>(
    evaluation: &Evaluation<'_>,
    found: &RoaringBitmap,
    limit: usize,
    key_of: impl Fn(MediaKey) -> K,
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
    for (place, key) in found.iter().map(MediaKey).enumerate() {
        if place % STEP == 0 {
            evaluation.check()?;
        }
        let keyed = (key_of(key), key);
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
