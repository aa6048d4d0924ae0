//! The beginning of an order that nobody made yet: one look at each medium, and only
//! the first are kept and sorted.

use std::{cmp::Ordering, thread};

use roaring::RoaringBitmap;

use super::super::{Catalog, column::ordered, packed::CHUNK, record::Record};
use crate::model::{column::Column, id::MediaKey, tag::BUILT_IN_CATEGORIES};

/// What stands for no value: behind all that there are.
const NONE: u64 = u64::MAX;
/// So many media are looked at by two threads.
const MANY: u64 = 32_768;

/// Where a medium stands: by its value, favorites first if they are wanted so, by the
/// start of its id, and if that is all the same by its id.
type Place = (u64, bool, u64, MediaKey);

impl Catalog {
    /// Whether an order was made already, or is made of an earlier one at little cost.
    pub fn has_order(&self, column: Column) -> bool {
        let slot = self.slot(column);
        slot.order.get().is_some() || slot.has_earlier()
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
        let counts = match column {
            Column::CategoryTags(place) => self.category_counts(place),
            _ => None,
        };
        let number = |record: &Record<'_>| match &counts {
            Some(counts) => counts.get(record.key.0 as usize).copied().map(f64::from),
            None => column.number(record),
        };
        let value = |record: &Record<'_>| match number(record).map(ordered) {
            Some(number) if is_reversed => number.min(NONE - 1),
            // The largest come first.
            Some(number) => (!number).min(NONE - 1),
            None => NONE,
        };
        let first_of = |from: usize, until: usize| {
            let mut first = First::new(self, limit);
            let chunks = self.chunks.written();
            for (place, chunk) in chunks.filter(|(place, _)| (from..until).contains(place)) {
                let Ok(start) = u32::try_from(place * CHUNK) else {
                    continue;
                };
                let inside = found.range(start..);
                for key in inside.take_while(|key| *key as usize / CHUNK == place) {
                    let Some((row, bytes)) = chunk.row((key - start) as usize) else {
                        continue;
                    };
                    let record = Record {
                        catalog: self,
                        key: MediaKey(key),
                        row,
                        bytes,
                    };
                    let is_behind = favorites_first && !record.fav();
                    first.offer(value(&record), is_behind, &record);
                }
            }
            first
        };
        let end = found.max().map_or(0, |last| last as usize / CHUNK + 1);
        if found.len() < MANY {
            return Some(first_of(0, end).into_keys());
        }
        thread::scope(|scope| {
            let second = scope.spawn(|| first_of(end / 2, end));
            let mut first = first_of(0, end / 2);
            first.kept.extend(second.join().ok()?.kept);
            Some(first.into_keys())
        })
    }

    /// How many tags of a built-in category each medium has, by its key; `None` where
    /// keys lie too far apart.
    pub(super) fn category_counts(&self, place: u8) -> Option<Vec<u16>> {
        let last = self.all().max()? as usize;
        if last > 4 * self.len() + 4_096 {
            return None;
        }
        let wanted = BUILT_IN_CATEGORIES.get(usize::from(place))?;
        let wanted = self.categories().position(|known| known == *wanted);
        let numbers = || (0_u32..).zip(self.tag_sizes());
        let of_it: u64 = numbers()
            .filter(|(_, (category, _))| Some(*category) == wanted)
            .map(|(_, (_, count))| u64::from(count))
            .sum();
        let of_all: u64 = numbers().map(|(_, (_, count))| u64::from(count)).sum();
        // Of the most common category: all tags but those of others.
        let is_left_out = of_it > of_all / 2;
        let count = |part: usize| {
            let mut counts = vec![0_u16; last + 1];
            for (number, (category, _)) in numbers().skip(part).step_by(2) {
                if (Some(category) == wanted) == is_left_out {
                    continue;
                }
                let Some(media) = self.tags.media(number) else {
                    continue;
                };
                for key in media.iter() {
                    if let Some(count) = counts.get_mut(key as usize) {
                        *count = count.saturating_add(1);
                    }
                }
            }
            counts
        };
        let (mut counts, others) = thread::scope(|scope| {
            let others = scope.spawn(|| count(1));
            (count(0), others.join().ok())
        });
        for (count, other) in counts.iter_mut().zip(others?) {
            *count = count.saturating_add(other);
        }
        if is_left_out {
            for record in self.records() {
                if let Some(count) = counts.get_mut(record.key.0 as usize) {
                    let all = u16::try_from(record.tag_count()).unwrap_or(u16::MAX);
                    *count = all.saturating_sub(*count);
                }
            }
        }
        Some(counts)
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
        if self.kept.len() >= self.limit.saturating_mul(2).saturating_add(64) {
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

    fn into_keys(mut self) -> Vec<MediaKey> {
        self.cut();
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_unstable_by(|a, b| self.compare(a, b));
        kept.into_iter().map(|(.., key)| key).collect()
    }
}
