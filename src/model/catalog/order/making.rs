//! How an order comes into being: from all records, or from an earlier order and the
//! media that were touched since.

use std::{cmp::Ordering, hash::BuildHasher, thread};

use roaring::RoaringBitmap;

use super::{
    super::{
        Catalog,
        column::ordered,
        lookup::Quick,
        natural::natural_key,
        packed::{CHUNK, Chunk},
        summaries::Numbers,
    },
    Order,
    digits::sort_by_code,
};
use crate::model::{column::Column, id::MediaKey};

/// One bit for each place.
#[derive(Clone, Default)]
pub struct Marks {
    words: Vec<u64>,
    len: usize,
}

impl Marks {
    /// As many marks as they were when these were their [words](Self::words).
    pub fn of(words: Vec<u64>, len: usize) -> Option<Self> {
        (words.len() == len.div_ceil(64)).then_some(Self { words, len })
    }

    /// The marks of 64 places each, the first in the lowest bit.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    fn push(&mut self, is_set: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(is_set) << (self.len % 64);
        }
        self.len += 1;
    }

    fn set(&mut self, place: usize, is_set: bool) {
        if let Some(word) = self.words.get_mut(place / 64) {
            *word = *word & !(1 << (place % 64)) | u64::from(is_set) << (place % 64);
        }
    }

    fn get(&self, place: usize) -> bool {
        let word = self.words.get(place / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// The next mark after a place, or the end.
    pub fn next_after(&self, place: usize) -> usize {
        let next = place + 1;
        let mut words = self.words.iter().enumerate().skip(next / 64);
        let found = words.find_map(|(at, word)| {
            let masked = if at == next / 64 {
                *word & !0 << (next % 64)
            } else {
                *word
            };
            (masked != 0).then(|| at * 64 + masked.trailing_zeros() as usize)
        });
        found.unwrap_or(self.len)
    }

    /// The last mark before a place, or the beginning.
    pub fn last_before(&self, place: usize) -> usize {
        let words = self.words.iter().enumerate().take(place.div_ceil(64)).rev();
        for (at, word) in words {
            let masked = if at == place / 64 {
                *word & !(!0 << (place % 64))
            } else {
                *word
            };
            if masked != 0 {
                return at * 64 + 63 - masked.leading_zeros() as usize;
            }
        }
        0
    }
}

/// A text that is to be sorted: its first bytes that differ from others, the place of
/// all its bytes, and whether those are all there is to compare.
struct Text {
    start: u64,
    at: (usize, usize),
    is_plain: bool,
    rank: u32,
    key: MediaKey,
}

impl Catalog {
    pub(super) fn make_order(&self, column: Column) -> Order {
        match column {
            Column::Id => self.order_ids(),
            Column::Extension | Column::Title | Column::Path => self.order_texts(column),
            _ => self.order_numbers(column),
        }
    }

    fn order_ids(&self) -> Order {
        let mut rows: Vec<(u64, MediaKey)> = self
            .records()
            .map(|record| (record.sort_id().start(), record.key()))
            .collect();
        sort(&mut rows, |a, b| {
            a.0.cmp(&b.0).then_with(|| self.id_cmp(a.1, b.1))
        });
        let mut starts = Marks::default();
        let mut before: Option<&(u64, MediaKey)> = None;
        for row @ (start, key) in &rows {
            let is_same = before.is_some_and(|(other_start, other)| {
                start == other_start
                    && self.value(Column::Id, *key) == self.value(Column::Id, *other)
            });
            starts.push(!is_same);
            before = Some(row);
        }
        let len = rows.len();
        let keys: Vec<MediaKey> = rows.into_iter().map(|(_, key)| key).collect();
        Order::new(Column::Id, keys, len).with_starts(starts)
    }

    /// The place of every medium in the order of ids, in the order of keys.
    fn id_ranks(&self) -> Vec<u32> {
        let order = self.ordered(Column::Id);
        let places = order.places();
        if !places.is_empty() {
            let rank = |key: MediaKey| places.get(key.0 as usize).copied();
            return self.keys().filter_map(rank).collect();
        }
        let mut by_key: Vec<(MediaKey, u32)> = order.keys().iter().copied().zip(0..).collect();
        by_key.sort_unstable();
        by_key.into_iter().map(|(_, rank)| rank).collect()
    }

    fn order_numbers(&self, column: Column) -> Order {
        let numbers = Numbers::new(self, column);
        let codes = self.codes(column);
        // In the order of their ids, which those with the same number keep.
        let mut rows: Vec<(u64, MediaKey)> = Vec::with_capacity(self.len());
        let mut others: Vec<MediaKey> = Vec::new();
        for key in self.ordered(Column::Id).keys().iter().copied() {
            let code = match &codes {
                Some(codes) => codes.get(key.0 as usize).copied().unwrap_or(NONE),
                None => numbers.of(key).map_or(NONE, ordered),
            };
            match code {
                NONE => others.push(key),
                // The largest come first.
                code => rows.push((!code, key)),
            }
        }
        drop(codes);
        let rows = sort_by_code(rows);
        let mut starts = Marks::default();
        let mut before = None;
        for (code, _) in &rows {
            starts.push(before != Some(*code));
            before = Some(*code);
        }
        let valued = rows.len();
        let keys = rows.into_iter().map(|(_, key)| key);
        let keys: Vec<MediaKey> = keys.chain(others).collect();
        Order::new(column, keys, valued).with_starts(starts)
    }

    fn order_texts(&self, column: Column) -> Order {
        let mut bytes: Vec<u8> = Vec::new();
        let mut rows: Vec<Text> = Vec::with_capacity(self.len());
        let mut others: Vec<(u32, MediaKey)> = Vec::new();
        for (record, rank) in self.records().zip(self.id_ranks()) {
            let key = record.key();
            let Some(text) = column.text(&record) else {
                others.push((rank, key));
                continue;
            };
            let from = bytes.len();
            let is_plain = natural_key(&text, &mut bytes);
            rows.push(Text {
                start: 0,
                at: (from, bytes.len()),
                is_plain,
                rank,
                key,
            });
        }
        let of = |row: &Text| bytes.get(row.at.0..row.at.1).unwrap_or_default();
        // What all of them start with tells none from another.
        let first = rows.first().map(of).unwrap_or_default();
        let shared = rows.iter().fold(first.len(), |shared, row| {
            let same = first.iter().zip(of(row)).take(shared);
            same.take_while(|(a, b)| a == b).count()
        });
        for row in &mut rows {
            let rest = bytes.get(row.at.0 + shared..row.at.1).unwrap_or_default();
            let mut start = [0; 8];
            start
                .iter_mut()
                .zip(rest)
                .for_each(|(to, from)| *to = *from);
            row.start = u64::from_be_bytes(start);
        }
        let compare = |a: &Text, b: &Text| {
            let same = a.start.cmp(&b.start).then_with(|| of(a).cmp(of(b)));
            same.then_with(|| {
                if a.is_plain && b.is_plain {
                    return Ordering::Equal;
                }
                self.value(column, a.key).cmp(&self.value(column, b.key))
            })
        };
        sort(&mut rows, |a, b| compare(a, b).then(a.rank.cmp(&b.rank)));
        let mut starts = Marks::default();
        let mut before = None;
        for row in &rows {
            starts.push(before.is_none_or(|before| compare(before, row).is_ne()));
            before = Some(row);
        }
        let valued = rows.len();
        let keys = rows.into_iter().map(|row| row.key);
        finish(column, keys, valued, others, starts)
    }

    /// Where values begin in an order that came without saying so.
    pub(super) fn find_starts(&self, column: Column, keys: &[MediaKey], valued: usize) -> Marks {
        let codes = self.codes(column);
        let code = |key: MediaKey| codes.as_ref().and_then(|codes| codes.get(key.0 as usize));
        let is_exact = codes.is_some() && column.is_number();
        let mut starts = Marks::default();
        let mut before: Option<MediaKey> = None;
        for key in keys.iter().take(valued).copied() {
            let is_same = before.is_some_and(|before| {
                let value = |key| self.value(column, key);
                code(before) == code(key) && (is_exact || value(before) == value(key))
            });
            starts.push(!is_same);
            before = Some(key);
        }
        starts
    }

    /// Of each medium that has a value, by its key, a number that is the same for those
    /// with the same value; where values are numbers one that compares as they do, and else
    /// one that hardly any other has. To ask the records in the order of their values would
    /// be a look at far memory for each. `None` where keys lie too far apart.
    fn codes(&self, column: Column) -> Option<Vec<u64>> {
        let last = self.all().max()? as usize;
        if last > 4 * self.len() + 4_096 {
            return None;
        }
        let mut codes = vec![NONE; last + 1];
        let chunks: Vec<(usize, &Chunk)> = self.chunks.written().collect();
        let numbers = Numbers::new(self, column);
        let (first, second) = chunks.split_at(chunks.len() / 2);
        let middle = second.first().map_or(0, |(place, _)| place * CHUNK);
        if codes.len() < MANY || middle > codes.len() {
            fill_codes(&numbers, &chunks, 0, &mut codes);
            return Some(codes);
        }
        let (low, high) = codes.split_at_mut(middle);
        thread::scope(|scope| {
            scope.spawn(|| fill_codes(&numbers, second, middle, high));
            fill_codes(&numbers, first, 0, low);
        });
        Some(codes)
    }

    /// The order after some media were touched: added, removed, or given other values.
    pub(super) fn mend_order(&self, earlier: &Order, touched: &RoaringBitmap) -> Order {
        let column = earlier.column;
        let present = touched.iter().map(MediaKey);
        let present = present.filter(|key| self.contains(*key));
        let moved = self.sorted_by(column, false, false, present, usize::MAX);
        let mut is_touched = vec![0_u64; touched.max().map_or(0, |max| max as usize / 64 + 1)];
        if is_touched.len() > earlier.keys.len() / 16 + 64 {
            // Far keys: nothing that a row of bits is made for.
            return self.make_order(column);
        }
        for key in touched {
            if let Some(word) = is_touched.get_mut(key as usize / 64) {
                *word |= 1 << (key % 64);
            }
        }

        // What stays, and where values begin in it.
        let starts = earlier.starts.get();
        let mut kept = Vec::with_capacity(earlier.keys.len());
        let mut marks = Marks::default();
        let mut valued = 0;
        let mut is_start = false;
        for (place, key) in earlier.keys.iter().enumerate() {
            is_start |= starts.is_some_and(|starts| starts.get(place));
            let word = is_touched.get(key.0 as usize / 64);
            if word.is_some_and(|word| word >> (key.0 % 64) & 1 == 1) {
                continue;
            }
            kept.push(*key);
            marks.push(is_start);
            is_start = false;
            valued += usize::from(place < earlier.valued);
        }

        // What moved goes to its place.
        let mut keys = Vec::with_capacity(kept.len() + moved.len());
        let mut all_marks = Marks::default();
        let mut inserted = Vec::with_capacity(moved.len());
        let mut done = 0;
        for key in moved {
            let rest = kept.get(done..).unwrap_or_default();
            let value = self.value(column, key);
            valued += usize::from(value.is_some());
            let end = done
                + rest.partition_point(|known| {
                    let known_value = self.value(column, *known);
                    Self::value_cmp(column, false, known_value.as_ref(), value.as_ref())
                        .then_with(|| self.id_cmp(*known, key))
                        .is_lt()
                });
            keys.extend_from_slice(kept.get(done..end).unwrap_or_default());
            (done..end).for_each(|place| all_marks.push(marks.get(place)));
            inserted.push(keys.len());
            keys.push(key);
            all_marks.push(false);
            done = end;
        }
        keys.extend_from_slice(kept.get(done..).unwrap_or_default());
        (done..kept.len()).for_each(|place| all_marks.push(marks.get(place)));
        let order = Order::new(column, keys, valued);
        if starts.is_none() {
            return order;
        }
        for place in inserted {
            for place in [place, place + 1] {
                let before = place.checked_sub(1).and_then(|place| order.keys.get(place));
                let value = |key: &MediaKey| self.value(column, *key);
                let is_start = before
                    .is_none_or(|before| value(before) != order.keys.get(place).and_then(value));
                all_marks.set(place, is_start);
            }
        }
        order.with_starts(all_marks)
    }
}

/// The codes of the media in some chunks, from a key on.
fn fill_codes<'a>(
    numbers: &Numbers<'a>,
    chunks: &[(usize, &'a Chunk)],
    first: usize,
    codes: &mut [u64],
) {
    let column = numbers.column();
    numbers.all(chunks, |record, number| {
        let place = (record.key().0 as usize).checked_sub(first);
        if let Some(code) = place.and_then(|place| codes.get_mut(place)) {
            *code = match number {
                Some(number) => ordered(number),
                None if column.is_number() => NONE,
                None if column == Column::Id => record.sort_id().start(),
                None => Quick::default().hash_one(column.text(&record)),
            };
        }
    });
}

/// What stands for no number: before all that there are.
const NONE: u64 = 0;

/// So many are sorted by two threads.
const MANY: usize = 32_768;

/// Sorts what differs.
fn sort<T: Send>(rows: &mut [T], compare: impl Fn(&T, &T) -> Ordering + Sync) {
    if rows.len() < MANY {
        return rows.sort_unstable_by(compare);
    }
    let (first, second) = rows.split_at_mut(rows.len() / 2);
    thread::scope(|scope| {
        scope.spawn(|| second.sort_unstable_by(&compare));
        first.sort_unstable_by(&compare);
    });
    // Two runs that are sorted are found and merged.
    rows.sort_by(compare);
}

/// An order of those with a value, and then those without.
fn finish(
    column: Column,
    keys: impl Iterator<Item = MediaKey>,
    valued: usize,
    mut others: Vec<(u32, MediaKey)>,
    starts: Marks,
) -> Order {
    others.sort_unstable();
    let keys: Vec<MediaKey> = keys.chain(others.into_iter().map(|(_, key)| key)).collect();
    Order::new(column, keys, valued).with_starts(starts)
}
