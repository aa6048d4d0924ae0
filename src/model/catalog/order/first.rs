//! The beginning of an order that nobody made yet: chunks are looked at while they may
//! hold one of the first, and only those are kept and sorted.

use std::{cmp::Ordering, ops::Range, thread};

use roaring::RoaringBitmap;

use super::super::{
    Catalog,
    column::ordered,
    packed::{BLOCK, Bounds, CHUNK, Chunk},
    record::Record,
    summaries::Numbers,
};
use crate::model::{column::Column, id::MediaKey, media::Rating};

/// What stands for no value: behind all that there are.
const NONE: u64 = u64::MAX;
/// So many chunks are looked at by two threads, and so many before it is known how many
/// are left to be.
const MANY: usize = 256;
const SOME: usize = 64;
/// So many media of one value are looked for one by one; of more, so many are looked at to
/// find the first.
const FEW: usize = 2_048;
const LOOKED_AT: usize = 16_384;

/// Where a medium stands: by its value, favorites first if they are wanted so, by the
/// start of its id, and if that is all the same by its id.
type Place = (u64, bool, u64, MediaKey);

impl Catalog {
    /// Whether an order was made already, or is made of an earlier one at little cost.
    pub fn has_order(&self, column: Column) -> bool {
        let state = self.slot(column).state();
        state.order.get().is_some() || state.earlier.is_some()
    }

    /// The first of some media as [`sorted_by`](Self::sorted_by) gives them, in less time
    /// than it takes to make an order. `None` for the order of texts.
    pub fn first_by(
        &self,
        column: Column,
        is_reversed: bool,
        favorites_first: bool,
        found: &RoaringBitmap,
        limit: usize,
    ) -> Option<Vec<MediaKey>> {
        if !column.is_number() {
            return None;
        }
        if let Some(sets) = self.sets_of(column, is_reversed) {
            return Some(self.first_of_sets(&sets, favorites_first, found, limit));
        }
        let looking = Looking {
            catalog: self,
            numbers: Numbers::new(self, column),
            is_reversed,
            favorites_first,
            found,
            limit,
        };
        Some(looking.first())
    }

    /// Those of each value, where there is a bitmap for each, in their order.
    fn sets_of(&self, column: Column, is_reversed: bool) -> Option<Vec<RoaringBitmap>> {
        let mut sets: Vec<RoaringBitmap> = match column {
            Column::Stars => (1..=5)
                .map(|stars| self.with_stars(stars).clone())
                .collect(),
            Column::Rating => {
                let mut ratings = Rating::ALL;
                ratings.sort_by_key(|rating| *rating as u8);
                ratings.map(|rating| self.of_rating(rating).clone()).into()
            }
            _ => return None,
        };
        let others = sets
            .iter()
            .fold(self.all().clone(), |others, set| others - set);
        // No stars are a number, no rating is none.
        if column == Column::Stars {
            sets.insert(0, others.clone());
        }
        if !is_reversed {
            sets.reverse();
        }
        if column == Column::Rating {
            sets.push(others);
        }
        Some(sets)
    }

    fn first_of_sets(
        &self,
        sets: &[RoaringBitmap],
        favorites_first: bool,
        found: &RoaringBitmap,
        limit: usize,
    ) -> Vec<MediaKey> {
        let mut first = Vec::new();
        for set in sets {
            let inside = set & found;
            let parts = if favorites_first {
                vec![&inside & self.favorites(), inside - self.favorites()]
            } else {
                vec![inside]
            };
            for part in parts {
                first.extend(self.first_ids(&part, limit - first.len()));
            }
            if first.len() == limit {
                break;
            }
        }
        first
    }

    /// The first of some media by id.
    pub fn first_ids(&self, media: &RoaringBitmap, limit: usize) -> Vec<MediaKey> {
        let count = usize::try_from(media.len()).unwrap_or(usize::MAX);
        let limit = limit.min(count);
        if let Some(order) = self.slot(Column::Id).made() {
            // One in so many is one of them.
            let looked_at = limit.saturating_mul(order.keys.len()) / count.max(1);
            if looked_at < count.saturating_mul(4) {
                let keys = order.keys.iter().copied();
                return keys
                    .filter(|key| media.contains(key.0))
                    .take(limit)
                    .collect();
            }
        }
        let mut first = First::new(self, limit);
        for record in media.iter().filter_map(|key| self.record(MediaKey(key))) {
            first.offer(0, false, &record);
        }
        first.take_keys()
    }
}

/// A look for the first of some media.
struct Looking<'a> {
    catalog: &'a Catalog,
    numbers: Numbers<'a>,
    is_reversed: bool,
    favorites_first: bool,
    found: &'a RoaringBitmap,
    limit: usize,
}

/// A chunk, its place, and before what its media do not stand.
type Candidate<'a> = (u64, usize, &'a Chunk);

impl<'a> Looking<'a> {
    fn first(&self) -> Vec<MediaKey> {
        let chunks = self.catalog.chunks.written();
        let mut chunks: Vec<Candidate<'a>> = chunks
            .filter(|(place, _)| self.found_in(*place, 0..CHUNK).next().is_some())
            .map(|(place, chunk)| (self.earliest(place, chunk), place, chunk))
            .collect();
        chunks.sort_unstable_by_key(|(earliest, place, _)| (*earliest, *place));
        let mut first = First::new(self.catalog, self.limit);
        let mut rest = chunks.as_slice();
        let mut is_new = true;
        // The most promising ones set a mark that most others do not reach.
        while let Some((earliest, ..)) = rest.first() {
            let reached = rest.partition_point(|(other, ..)| first.may_take(*other));
            if chunks.len() - rest.len() >= SOME && reached >= MANY {
                break;
            }
            let same = rest.partition_point(|(other, ..)| other == earliest);
            if is_new && same >= chunks.len() - chunks.len() / 64 {
                is_new = false;
                if let Some(keys) = self.of_one_value(*earliest, &mut first) {
                    return keys;
                }
            }
            let (now, later) = rest.split_at(reached.min(SOME));
            if now.is_empty() {
                return first.take_keys();
            }
            self.look_at(now.iter(), &mut first);
            rest = later;
        }
        if rest.is_empty() {
            return first.take_keys();
        }
        let mut second = First {
            last: first.last,
            ..First::new(self.catalog, self.limit)
        };
        thread::scope(|scope| {
            scope.spawn(|| self.look_at(rest.iter().skip(1).step_by(2), &mut second));
            self.look_at(rest.iter().step_by(2), &mut first);
        });
        first.kept.append(&mut second.kept);
        first.take_keys()
    }

    /// Those that were found among the media of a chunk, by their places in it.
    fn found_in(&self, place: usize, slots: Range<usize>) -> impl Iterator<Item = usize> {
        let first = place * CHUNK;
        let key = |slot: usize| u32::try_from(first + slot).unwrap_or(u32::MAX);
        let keys = self.found.range(key(slots.start)..=key(slots.end - 1));
        keys.map(move |key| key as usize - first)
    }

    /// Looks at chunks until one comes that holds nothing to take.
    fn look_at<'c>(&self, chunks: impl Iterator<Item = &'c Candidate<'a>>, first: &mut First<'a>)
    where
        'a: 'c,
    {
        for (earliest, place, chunk) in chunks {
            if !first.may_take(*earliest) {
                return;
            }
            let blocks = self.numbers.bounds(*place, chunk);
            for block in 0..CHUNK / BLOCK {
                let bounds = blocks.and_then(|blocks| blocks.get(block).copied());
                if bounds.is_some_and(|bounds| !first.may_take(self.earliest_of(bounds))) {
                    continue;
                }
                let slots = self.found_in(*place, block * BLOCK..(block + 1) * BLOCK);
                self.numbers.each(*place, chunk, slots, |slot, number| {
                    let value = self.value(number);
                    if first.may_take(value)
                        && let Some(record) = self.numbers.record(*place, chunk, slot)
                    {
                        let is_behind = self.favorites_first && !record.fav();
                        first.offer(value, is_behind, &record);
                    }
                });
            }
        }
    }

    fn value(&self, number: Option<f64>) -> u64 {
        match number.map(ordered) {
            Some(number) if self.is_reversed => number.min(NONE - 1),
            // The largest come first.
            Some(number) => (!number).min(NONE - 1),
            None => NONE,
        }
    }

    /// Before what no medium of a chunk stands.
    fn earliest(&self, place: usize, chunk: &'a Chunk) -> u64 {
        let blocks = self.numbers.bounds(place, chunk);
        let bounds = blocks.and_then(|blocks| blocks.into_iter().reduce(Bounds::join));
        bounds.map_or(0, |bounds| self.earliest_of(bounds))
    }

    fn earliest_of(&self, bounds: Bounds) -> u64 {
        let ends = bounds.ends();
        self.value(ends.map(|(low, high)| if self.is_reversed { low } else { high }))
    }

    /// The first where so many have one value that they are soon found by id. All that
    /// stand before them have been offered.
    fn of_one_value(&self, value: u64, first: &mut First<'a>) -> Option<Vec<MediaKey>> {
        first.cut();
        let before = first.kept.iter().filter(|place| place.0 < value);
        let wanted = self.limit - before.count();
        let same = if self.favorites_first {
            let favorites = self.catalog.favorites();
            let mut same = self.with_value(value, &(self.found & favorites), wanted)?;
            let others = wanted - same.len();
            same.extend(self.with_value(value, &(self.found - favorites), others)?);
            same
        } else {
            self.with_value(value, self.found, wanted)?
        };
        // Of fewer, those with other values come next.
        (same.len() == wanted).then_some(())?;
        first.kept.retain(|place| place.0 < value);
        let mut keys = first.take_keys();
        keys.extend(same);
        Some(keys)
    }

    /// The first by id of those with one value; `None` where that takes long.
    fn with_value(&self, value: u64, media: &RoaringBitmap, limit: usize) -> Option<Vec<MediaKey>> {
        let has_it = |key: MediaKey| self.value(self.numbers.of(key)) == value;
        if limit == 0 {
            return Some(Vec::new());
        }
        if media.len() <= FEW as u64 {
            let mut first = First::new(self.catalog, limit);
            let keys = media.iter().map(MediaKey).filter(|key| has_it(*key));
            for record in keys.filter_map(|key| self.catalog.record(key)) {
                first.offer(0, false, &record);
            }
            return Some(first.take_keys());
        }
        let order = self.catalog.slot(Column::Id).made()?;
        let mut keys = Vec::new();
        let mut looked_at = 0;
        for key in order.keys.iter().filter(|key| media.contains(key.0)) {
            looked_at += 1;
            if looked_at > LOOKED_AT {
                return None;
            }
            if has_it(*key) {
                keys.push(*key);
                if keys.len() == limit {
                    break;
                }
            }
        }
        Some(keys)
    }
}

/// The first of the media that were offered, and some more.
struct First<'a> {
    catalog: &'a Catalog,
    limit: usize,
    kept: Vec<Place>,
    /// The last of the first, once there were as many.
    last: Option<Place>,
}

impl<'a> First<'a> {
    fn new(catalog: &'a Catalog, limit: usize) -> Self {
        Self {
            catalog,
            limit,
            kept: Vec::new(),
            last: None,
        }
    }

    fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let known = (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2));
        known.then_with(|| self.catalog.id_cmp(a.3, b.3))
    }

    /// Whether something of this value may be one of the first.
    fn may_take(&self, value: u64) -> bool {
        self.last.is_none_or(|last| value <= last.0)
    }

    fn offer(&mut self, value: u64, is_behind: bool, record: &Record<'_>) {
        // Most stand behind all that are kept.
        if let Some(last) = &self.last
            && (value, is_behind) > (last.0, last.1)
        {
            return;
        }
        let place = (value, is_behind, record.sort_id().start(), record.key);
        if let Some(last) = &self.last
            && self.compare(&place, last).is_gt()
        {
            return;
        }
        self.kept.push(place);
        if self.kept.len() >= self.limit.saturating_add(self.limit / 8).saturating_add(64) {
            self.cut();
        }
    }

    /// Leaves no more than are wanted.
    fn cut(&mut self) {
        let Some(end) = self.limit.checked_sub(1) else {
            return self.kept.clear();
        };
        if end >= self.kept.len() {
            return;
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.select_nth_unstable_by(end, |a, b| self.compare(a, b));
        kept.truncate(self.limit);
        self.last = kept.last().copied();
        self.kept = kept;
    }

    fn take_keys(&mut self) -> Vec<MediaKey> {
        self.cut();
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_unstable_by(|a, b| self.compare(a, b));
        kept.into_iter().map(|(.., key)| key).collect()
    }
}
