//! What is known of 256 media together: the numbers between which those of a column lie,
//! and how many tags of each category every one has. Whoever looks for the first of an
//! order passes by most media then, and unpacks no tags.

use super::{CHUNK, Details, Row, numbers};
use crate::model::{column::Column, tag::BUILT_IN_CATEGORIES};

/// Media whose numbers have common bounds.
pub const BLOCK: usize = 32;
const BLOCKS: usize = CHUNK / BLOCK;

/// The columns that have bounds: those whose orders no stored catalog brings, and whose
/// values have no bitmaps.
const BOUNDED: [Column; 8] = [
    Column::Width,
    Column::Height,
    Column::Mpixels,
    Column::Ratio,
    Column::Duration,
    Column::Frames,
    Column::Score,
    Column::Favcount,
];

const CATEGORIES: usize = BUILT_IN_CATEGORIES.len();
/// How far to the left a tag of no built-in category counts in a word of eight counts.
const OTHER: u8 = 56;
const _: () = assert!(8 * CATEGORIES <= OTHER as usize, "there are eight counts");
/// What stands for so many tags of one category and for more.
const MANY: u8 = u8::MAX;

/// A number that is no larger than any of some, and one that is no smaller.
#[derive(Clone, Copy)]
pub struct Bounds {
    low: f32,
    high: f32,
}

#[derive(Clone)]
pub struct Summary {
    /// Of each of the columns, by blocks.
    bounds: [[Bounds; BLOCKS]; BOUNDED.len()],
    /// Of each category how many tags of it every medium has; nothing where none has any.
    counts: [Option<Box<[u8; CHUNK]>>; CATEGORIES],
}

impl Bounds {
    /// Of no numbers.
    const NONE: Self = Self {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
    };

    /// As wide as must be to hold a number, too.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is lost is made up for by the next number beyond"
    )]
    pub fn include(&mut self, number: f64) {
        let near = number as f32;
        let low = if f64::from(near) > number {
            near.next_down()
        } else {
            near
        };
        let high = if f64::from(near) < number {
            near.next_up()
        } else {
            near
        };
        self.low = self.low.min(low);
        self.high = self.high.max(high);
    }

    /// As wide as must be to hold what others do, too.
    pub fn join(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// The lower and the upper one, if there are any numbers at all.
    pub fn ends(self) -> Option<(f64, f64)> {
        (self.low <= self.high).then_some((self.low.into(), self.high.into()))
    }
}

/// The categories of tags by their numbers, as places among the built-in ones.
pub struct Kinds {
    /// How far to the left each counts.
    shifts: Vec<u8>,
}

impl Kinds {
    /// Of the category of each tag its place among the built-in ones, if it has one.
    pub fn new(places: impl Iterator<Item = Option<usize>>) -> Self {
        let shift = |place: Option<usize>| {
            let place = place.filter(|place| *place < CATEGORIES);
            place.map_or(OTHER, |place| u8::try_from(8 * place).unwrap_or(OTHER))
        };
        Self {
            shifts: places.map(shift).collect(),
        }
    }

    /// How many tags of each category there are among some.
    fn counts(&self, tags: &[u8], count: usize) -> [u8; 8] {
        let shifts = numbers(tags).map(|number| {
            let shift = self.shifts.get(number as usize);
            shift.copied().unwrap_or(OTHER)
        });
        if count < usize::from(MANY) {
            // No count can run over into the next one.
            let word = shifts.fold(0_u64, |word, shift| word.wrapping_add(1 << (shift & 63)));
            return word.to_le_bytes();
        }
        let mut counts = [0_u8; 8];
        for shift in shifts {
            if let Some(count) = counts.get_mut(usize::from(shift / 8)) {
                *count = count.saturating_add(1);
            }
        }
        counts
    }
}

impl Summary {
    /// Of rows with their places and bytes.
    pub fn of<'a>(rows: impl Iterator<Item = (usize, &'a Row, &'a [u8])>, kinds: &Kinds) -> Self {
        let mut summary = Self {
            bounds: [[Bounds::NONE; BLOCKS]; BOUNDED.len()],
            counts: [const { None }; CATEGORIES],
        };
        for (slot, row, bytes) in rows {
            let details = Details::read(row, bytes);
            for (column, bounds) in BOUNDED.iter().zip(&mut summary.bounds) {
                let number = column.plain_number(row, || details);
                if let (Some(number), Some(bounds)) = (number, bounds.get_mut(slot / BLOCK)) {
                    bounds.include(number);
                }
            }
            let counts = kinds.counts(details.tags, details.tag_count);
            for (counts, count) in summary.counts.iter_mut().zip(counts) {
                if count > 0
                    && let Some(known) =
                        (counts.get_or_insert_with(|| Box::new([0; CHUNK]))).get_mut(slot)
                {
                    *known = count;
                }
            }
        }
        summary
    }

    /// The bounds of a column in each block of [`BLOCK`] media; `None` where they are not
    /// known.
    pub fn bounds(&self, column: Column) -> Option<[Bounds; BLOCKS]> {
        if let Column::CategoryTags(place) = column {
            return self.count_bounds(usize::from(place));
        }
        let mut columns = BOUNDED.iter().zip(&self.bounds);
        let found = columns.find(|(known, _)| **known == column);
        found.map(|(_, bounds)| *bounds)
    }

    fn count_bounds(&self, category: usize) -> Option<[Bounds; BLOCKS]> {
        let mut bounds = [Bounds {
            low: 0.0,
            high: 0.0,
        }; BLOCKS];
        if let Some(counts) = self.counts.get(category)? {
            for (bounds, counts) in bounds.iter_mut().zip(counts.as_chunks::<BLOCK>().0) {
                let low = counts.iter().fold(MANY, |low, count| low.min(*count));
                let high = counts.iter().fold(0, |high, count| high.max(*count));
                if high == MANY {
                    return None;
                }
                (bounds.low, bounds.high) = (low.into(), high.into());
            }
        }
        Some(bounds)
    }

    /// How many tags of a category the medium at a place has; `None` where they are too
    /// many to be kept.
    pub fn count(&self, category: u8, slot: usize) -> Option<u8> {
        match self.counts.get(usize::from(category))? {
            Some(counts) => counts.get(slot).copied().filter(|count| *count < MANY),
            None => Some(0),
        }
    }
}
