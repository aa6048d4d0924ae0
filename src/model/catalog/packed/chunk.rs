//! Rows that lie together with their bytes.

use std::sync::{Arc, OnceLock};

use super::{CHUNK, Row, Summary, flag};

/// Rows that may lie over those of the base: each is looked at to find one, and copied
/// with every change.
const OVER: usize = 24;

/// 256 media. Of two catalogs that differ little, most chunks have the same base: an
/// edit copies what it changes, and not what lies beside it.
#[derive(Clone, Default)]
pub struct Chunk {
    base: Arc<Base>,
    /// What differs from the base: places with their rows and bytes.
    over: Vec<(usize, Row, Arc<[u8]>)>,
}

#[derive(Clone, Default)]
pub(super) struct Base {
    /// Empty, or [`CHUNK`] long.
    pub rows: Vec<Row>,
    pub bytes: Vec<u8>,
    /// Bytes that no row points to any more.
    pub wasted: usize,
    /// Made when it is first asked for.
    pub summary: OnceLock<Box<Summary>>,
}

impl Chunk {
    pub(super) fn of(base: Base) -> Self {
        Self {
            base: Arc::new(base),
            over: Vec::new(),
        }
    }

    /// The row at a place, when something is there, and its bytes.
    pub fn row(&self, slot: usize) -> Option<(&Row, &[u8])> {
        if let Some((_, row, bytes)) = self.over.iter().find(|(place, ..)| *place == slot) {
            return row.is(flag::PRESENT).then_some((row, bytes));
        }
        self.base.row(slot)
    }

    /// All rows there are with their places and bytes, in order.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &Row, &[u8])> {
        let is_empty = self.base.rows.is_empty() && self.over.is_empty();
        let slots = 0..if is_empty { 0 } else { CHUNK };
        slots.filter_map(|slot| {
            let (row, bytes) = self.row(slot)?;
            Some((slot, row, bytes))
        })
    }

    /// The places that do not lie as they do in the base.
    pub fn changed(&self) -> impl Iterator<Item = usize> {
        self.over.iter().map(|(slot, ..)| *slot)
    }

    /// What is known of all rows but those that [changed](Self::changed); `make` makes
    /// it, of rows with their places and bytes.
    pub fn summary<'a>(
        &'a self,
        make: impl FnOnce(&mut dyn Iterator<Item = (usize, &'a Row, &'a [u8])>) -> Summary,
    ) -> &'a Summary {
        let base: &Base = &self.base;
        base.summary.get_or_init(|| {
            let mut rows = (0..base.rows.len()).filter_map(|slot| {
                let (row, bytes) = base.row(slot)?;
                Some((slot, row, bytes))
            });
            Box::new(make(&mut rows))
        })
    }

    /// Writes a row; its bytes come from [`encode`](super::encode).
    pub fn set(&mut self, slot: usize, row: Row, bytes: &[u8]) {
        if u32::try_from(bytes.len()).is_err() {
            // Four gigabytes for one medium: its sidecar could not have been read.
            return;
        }
        match Arc::get_mut(&mut self.base) {
            Some(base) if self.over.is_empty() => base.set(slot, row, bytes),
            _ => self.lay_over(slot, row, bytes.into()),
        }
    }

    pub fn clear(&mut self, slot: usize) {
        self.set(slot, Row::default(), &[]);
    }

    fn lay_over(&mut self, slot: usize, row: Row, bytes: Arc<[u8]>) {
        match self.over.iter_mut().find(|(place, ..)| *place == slot) {
            Some(known) => *known = (slot, row, bytes),
            None => self.over.push((slot, row, bytes)),
        }
        if self.over.len() > OVER {
            let base = Arc::make_mut(&mut self.base);
            for (slot, row, bytes) in self.over.drain(..) {
                base.set(slot, row, &bytes);
            }
        }
    }

    /// Bytes on the heap.
    pub fn size(&self) -> usize {
        let over = self
            .over
            .iter()
            .map(|(.., bytes)| size_of::<Row>() + bytes.len());
        self.base.rows.capacity() * size_of::<Row>()
            + self.base.bytes.capacity()
            + over.sum::<usize>()
    }

    pub fn shrink(&mut self) {
        if let Some(base) = Arc::get_mut(&mut self.base) {
            base.bytes.shrink_to_fit();
        }
    }
}

impl Base {
    fn row(&self, slot: usize) -> Option<(&Row, &[u8])> {
        let row = self.rows.get(slot).filter(|row| row.is(flag::PRESENT))?;
        let start = row.offset as usize;
        let bytes = self.bytes.get(start..start + row.length as usize)?;
        Some((row, bytes))
    }

    /// Writes a row, or takes one away that says that nothing is there.
    fn set(&mut self, slot: usize, mut row: Row, bytes: &[u8]) {
        self.summary.take();
        if self.rows.is_empty() {
            self.rows = vec![Row::default(); CHUNK];
        }
        if let Some(old) = self.rows.get_mut(slot) {
            self.wasted += old.length as usize;
            *old = Row::default();
        }
        if self.wasted > self.bytes.len() / 2 {
            self.compact();
        }
        let (Ok(offset), Ok(length)) =
            (u32::try_from(self.bytes.len()), u32::try_from(bytes.len()))
        else {
            // Four gigabytes in one chunk: its sidecars could not have been read.
            return;
        };
        (row.offset, row.length) = (offset, length);
        self.bytes.extend_from_slice(bytes);
        if let Some(place) = self.rows.get_mut(slot) {
            *place = row;
        }
    }

    fn compact(&mut self) {
        let mut packed = Vec::with_capacity(self.bytes.len() - self.wasted);
        for row in &mut self.rows {
            let start = row.offset as usize;
            let bytes = self.bytes.get(start..start + row.length as usize);
            row.offset = u32::try_from(packed.len()).unwrap_or(0);
            packed.extend_from_slice(bytes.unwrap_or_default());
        }
        (self.bytes, self.wasted) = (packed, 0);
    }
}
