//! The numbers of one column, and what the summaries of the chunks say of them.

use std::{sync::OnceLock, thread};

use super::{
    Catalog,
    packed::{BLOCK, Bounds, CHUNK, Chunk, Kinds, Summary},
    record::Record,
};
use crate::model::{column::Column, id::MediaKey, tag::BUILT_IN_CATEGORIES};

/// Blocks of a chunk.
const BLOCKS: usize = CHUNK / BLOCK;
/// Chunks that are summed up by two threads.
const MANY: usize = 64;

impl Catalog {
    /// Sums up all chunks, so that who asks for an order first does not have to.
    pub(super) fn sum_up(&self) {
        let chunks: Vec<&Chunk> = self.chunks.written().map(|(_, chunk)| chunk).collect();
        let numbers = Numbers::new(self, Column::Imported);
        let sum_up = |chunks: &[&Chunk]| {
            for chunk in chunks {
                numbers.summary(chunk);
            }
        };
        if chunks.len() < MANY {
            return sum_up(&chunks);
        }
        let (first, second) = chunks.split_at(chunks.len() / 2);
        thread::scope(|scope| {
            scope.spawn(|| sum_up(second));
            sum_up(first);
        });
    }

    /// Which category each tag is of.
    fn kinds(&self) -> Kinds {
        let built_in = |name: &str| BUILT_IN_CATEGORIES.iter().position(|known| *known == name);
        let places: Vec<Option<usize>> = self.categories().map(built_in).collect();
        let sizes = self.tags.sizes();
        Kinds::new(sizes.map(|(category, _)| places.get(category).copied().flatten()))
    }
}

/// The numbers of one column.
pub(super) struct Numbers<'a> {
    catalog: &'a Catalog,
    column: Column,
    kinds: OnceLock<Kinds>,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(catalog: &'a Catalog, column: Column) -> Self {
        Self {
            catalog,
            column,
            kinds: OnceLock::new(),
        }
    }

    pub(super) fn column(&self) -> Column {
        self.column
    }

    fn summary<'c>(&self, chunk: &'c Chunk) -> &'c Summary {
        chunk.summary(|rows| {
            let kinds = self.kinds.get_or_init(|| self.catalog.kinds());
            Summary::of(rows, kinds)
        })
    }

    /// The bounds of the numbers in each block of a chunk; `None` where they are not known.
    pub(super) fn bounds(&self, place: usize, chunk: &'a Chunk) -> Option<[Bounds; BLOCKS]> {
        let mut bounds = self.summary(chunk).bounds(self.column)?;
        for slot in chunk.changed() {
            let record = self.record(place, chunk, slot);
            let number = record.and_then(|record| self.column.number(&record));
            if let (Some(number), Some(bounds)) = (number, bounds.get_mut(slot / BLOCK)) {
                bounds.include(number);
            }
        }
        Some(bounds)
    }

    /// The numbers of the media at some places of a chunk; what calls for the medium
    /// itself, which may lie in far memory, `on` gets it from [`record`](Self::record).
    pub(super) fn each(
        &self,
        place: usize,
        chunk: &'a Chunk,
        slots: impl Iterator<Item = usize>,
        mut on: impl FnMut(usize, Option<f64>),
    ) {
        let Column::CategoryTags(category) = self.column else {
            for slot in slots {
                if let Some(record) = self.record(place, chunk, slot) {
                    on(slot, self.column.number(&record));
                }
            }
            return;
        };
        let summary = self.summary(chunk);
        let changed: Vec<usize> = chunk.changed().collect();
        for slot in slots {
            let known = summary.count(category, slot).map(f64::from);
            let number = known.filter(|_| !changed.contains(&slot)).or_else(|| {
                let record = self.record(place, chunk, slot)?;
                self.column.number(&record)
            });
            on(slot, number);
        }
    }

    /// The number of one medium.
    pub(super) fn of(&self, key: MediaKey) -> Option<f64> {
        let (place, slot) = super::place(key);
        let chunk = self.catalog.chunks.get(place)?;
        let mut found = None;
        self.each(place, chunk, std::iter::once(slot), |_, number| {
            found = number;
        });
        found
    }

    /// The media of some chunks with their numbers, in the order of their keys.
    pub(super) fn all(
        &self,
        chunks: &[(usize, &'a Chunk)],
        mut on: impl FnMut(Record<'a>, Option<f64>),
    ) {
        for (place, chunk) in chunks {
            let slots = chunk.rows().map(|(slot, ..)| slot);
            self.each(*place, chunk, slots, |slot, number| {
                if let Some(record) = self.record(*place, chunk, slot) {
                    on(record, number);
                }
            });
        }
    }

    pub(super) fn record(&self, place: usize, chunk: &'a Chunk, slot: usize) -> Option<Record<'a>> {
        let (row, bytes) = chunk.row(slot)?;
        Some(Record {
            catalog: self.catalog,
            key: MediaKey(u32::try_from(place * CHUNK + slot).ok()?),
            row,
            bytes,
        })
    }
}
