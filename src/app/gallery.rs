//! The gallery: a virtual grid over the result of the query. Holds keys and
//! numbers only, whatever the size of the library; what a tile shows is asked of
//! the catalog when it is drawn.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::model::{id::MediaKey, media::Rating};

/// The widest and narrowest tile, in cells.
pub const TILE_CELLS: std::ops::RangeInclusive<u16> = 8..=40;
/// The width of a tile unless the user says otherwise, in cells.
pub const DEFAULT_TILE_CELLS: u16 = 16;

/// The state of the grid.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// The result in order. Tile `n` of the grid is `results[n]`, row by row.
    pub results: Arc<[MediaKey]>,
    /// The index of the tile under the cursor; 0 when there is none.
    pub cursor: usize,
    /// The first row of tiles on the screen.
    pub top_row: usize,
    /// Tiles side by side, and whole rows on the screen, as the screen told last;
    /// at least 1.
    pub columns: usize,
    pub rows: usize,
    pub selection: HashSet<MediaKey>,
    /// Set while a range is being selected.
    pub range: Option<Range>,
    /// What was selected before the selection was cleared.
    pub last_selection: HashSet<MediaKey>,
    /// The wanted width of a tile in cells, within [`TILE_CELLS`].
    pub tile_cells: u16,
    /// Whether a line of text stands below each tile.
    pub captions: bool,
    pub sort: Sort,
    /// How long the search took; shown beside the count.
    pub elapsed: Duration,
    /// Terms that found nothing, and what to do about it; shown on an empty result.
    pub hint: Option<String>,
    /// Whether any result came yet: until then the screen says it is loading.
    pub is_loaded: bool,
    /// The last jump, for repeating it.
    pub last_jump: Option<Jump>,
}

/// A range being selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it began.
    pub anchor: usize,
    /// Whole rows instead of tiles.
    pub rows: bool,
    /// What was selected before.
    pub before: HashSet<MediaKey>,
}

/// What a jump looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    Untagged,
    Selected,
    Similar,
    Broken,
}

/// The order of the result unless the query names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub key: SortKey,
    pub reverse: bool,
}

/// What the result is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    Name,
    Date,
    Imported,
    Size,
    Width,
    Tags,
    Stars,
    Modified,
    Random,
}

/// What one tile shows besides its picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    pub key: MediaKey,
    /// Safe to draw.
    pub caption: String,
    /// Pixels of the original; 0 when unknown. Gives the place that is kept free
    /// before the picture arrives.
    pub width: u32,
    pub height: u32,
    pub at_cursor: bool,
    pub marks: Marks,
}

/// The marks of a tile. Each has a glyph of its own, colour is never all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub selected: bool,
    /// Has edits that are not saved.
    pub unsaved: bool,
    /// Its last save failed.
    pub failed: bool,
    pub favorite: bool,
    /// 0 to 5.
    pub stars: u8,
    pub rating: Option<Rating>,
    /// Has a known near-duplicate.
    pub similar: bool,
    /// The original is gone.
    pub missing: bool,
    /// Cannot be decoded here.
    pub undecodable: bool,
    pub animated: bool,
    pub video: bool,
}

impl Default for Gallery {
    fn default() -> Self {
        Self {
            results: Arc::from([]),
            cursor: 0,
            top_row: 0,
            columns: 1,
            rows: 1,
            selection: HashSet::new(),
            range: None,
            last_selection: HashSet::new(),
            tile_cells: DEFAULT_TILE_CELLS,
            captions: true,
            sort: Sort {
                key: SortKey::Imported,
                reverse: false,
            },
            elapsed: Duration::ZERO,
            hint: None,
            is_loaded: false,
            last_jump: None,
        }
    }
}

impl Gallery {
    /// The medium under the cursor.
    pub fn current(&self) -> Option<MediaKey> {
        self.results.get(self.cursor).copied()
    }
}
