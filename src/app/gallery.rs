//! The gallery: a virtual grid over the result of the query. Holds keys and
//! numbers only, whatever the size of the library; what a tile shows is asked of
//! the catalog when it is drawn.

use std::{sync::Arc, time::Duration};

use super::{action::Action, media_set::MediaSet};
use crate::model::{
    catalog::Record,
    entry::Facets,
    id::MediaKey,
    media::{Media, MediaKind, Rating},
    text::display_text,
};

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
    pub selection: MediaSet,
    /// Set while a range is being selected.
    pub range: Option<Range>,
    /// What was selected before the selection was cleared.
    pub last_selection: MediaSet,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Where it began.
    pub anchor: usize,
    /// Whole rows instead of tiles.
    pub rows: bool,
    /// What was selected before.
    pub before: MediaSet,
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
    Color,
    Random,
}

impl Sort {
    /// The term of the query language, or `None` for the order that every result has
    /// by itself. `seed` keeps a shuffle the same until the next one.
    pub fn order(self, seed: u64) -> Option<String> {
        let (word, flipped) = match self.key {
            SortKey::Name => ("name", "_desc"),
            SortKey::Date => ("date", "_asc"),
            SortKey::Imported if !self.reverse => return None,
            SortKey::Imported => ("imported", "_asc"),
            SortKey::Size => ("filesize", "_asc"),
            SortKey::Width => ("width", "_asc"),
            SortKey::Tags => ("tagcount", "_asc"),
            SortKey::Stars => ("stars", "_asc"),
            SortKey::Modified => ("modified", "_asc"),
            SortKey::Color => ("color", "_desc"),
            SortKey::Random => return Some(format!("order:random:{seed}")),
        };
        let suffix = if self.reverse { flipped } else { "" };
        Some(format!("order:{word}{suffix}"))
    }

    /// The sort an action asks for.
    pub fn of(action: Action) -> Option<Self> {
        use Action as A;
        let (key, reverse) = match action {
            A::SortName => (SortKey::Name, false),
            A::SortNameReverse => (SortKey::Name, true),
            A::SortDate => (SortKey::Date, false),
            A::SortDateReverse => (SortKey::Date, true),
            A::SortImported => (SortKey::Imported, false),
            A::SortImportedReverse => (SortKey::Imported, true),
            A::SortSize => (SortKey::Size, false),
            A::SortSizeReverse => (SortKey::Size, true),
            A::SortWidth => (SortKey::Width, false),
            A::SortWidthReverse => (SortKey::Width, true),
            A::SortTags => (SortKey::Tags, false),
            A::SortTagsReverse => (SortKey::Tags, true),
            A::SortStars => (SortKey::Stars, false),
            A::SortModified => (SortKey::Modified, false),
            A::SortModifiedReverse => (SortKey::Modified, true),
            A::SortColor => (SortKey::Color, false),
            A::SortColorReverse => (SortKey::Color, true),
            A::SortRandom => (SortKey::Random, false),
            _ => return None,
        };
        Some(Self { key, reverse })
    }
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
    /// Of the marks that stand on it.
    pub letters: String,
    pub marks: Marks,
}

/// The signs of a tile. Each has a glyph of its own, colour is never all.
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
    /// Another program wrote its sidecar too, and both are merged.
    pub merged: bool,
    pub animated: bool,
    pub video: bool,
}

impl Marks {
    /// What the catalog and the pending edits say; the gallery adds the rest.
    pub fn new(record: &Record<'_>, media: &Media) -> Self {
        let has = record.has();
        Self {
            favorite: media.fav,
            stars: media.stars,
            rating: media.rating,
            similar: has.contains(Facets::SIMILAR),
            missing: has.contains(Facets::MISSING),
            undecodable: has.contains(Facets::NEEDS_THUMBNAIL),
            merged: has.contains(Facets::MERGED),
            animated: record.kind() == MediaKind::Animation,
            video: record.kind() == MediaKind::Video,
            ..Self::default()
        }
    }
}

impl Default for Gallery {
    fn default() -> Self {
        Self {
            results: Arc::from([]),
            cursor: 0,
            top_row: 0,
            columns: 1,
            rows: 1,
            selection: MediaSet::default(),
            range: None,
            last_selection: MediaSet::default(),
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

    /// What a command acts on: the selection in the order of the result (what is
    /// selected but not in it comes last), else the medium under the cursor.
    pub fn targets(&self) -> Vec<MediaKey> {
        if self.selection.is_empty() {
            return self.current().into_iter().collect();
        }
        let mut targets: Vec<MediaKey> = self
            .results
            .iter()
            .filter(|key| self.selection.contains(**key))
            .copied()
            .collect();
        if targets.len() < self.selection.len() {
            let listed: MediaSet = targets.iter().copied().collect();
            targets.extend(self.selection.without(&listed).iter());
        }
        targets
    }

    /// The tile of a medium.
    pub fn tile(&self, index: usize, record: &Record<'_>, media: &Media) -> Tile {
        let name = if media.name.is_empty() {
            record.title()
        } else {
            media.name.as_str().into()
        };
        Tile {
            key: record.key(),
            caption: display_text(&name).into_owned(),
            width: record.width(),
            height: record.height(),
            at_cursor: index == self.cursor,
            letters: String::new(),
            marks: Marks {
                selected: self.selection.contains(record.key()),
                ..Marks::new(record, media)
            },
        }
    }

    /// Takes a result. The cursor stays on its medium; where that is gone, it stays
    /// where it is, or goes to the top when the query is another.
    pub fn receive(&mut self, results: Arc<[MediaKey]>, is_new_query: bool) {
        let current = self.current();
        let offset = (self.cursor / self.columns.max(1)).saturating_sub(self.top_row);
        self.results = results;
        self.is_loaded = true;
        let place = current.and_then(|key| self.results.iter().position(|known| *known == key));
        self.cursor = match place {
            Some(place) => place,
            None if is_new_query => 0,
            None => self.cursor.min(self.results.len().saturating_sub(1)),
        };
        if let Some(range) = &mut self.range {
            range.anchor = range.anchor.min(self.results.len().saturating_sub(1));
        }
        // The row stays where it is on the screen, too.
        self.top_row = (self.cursor / self.columns.max(1)).saturating_sub(offset);
        self.show_cursor();
    }

    /// Drops media that are gone.
    pub fn forget(&mut self, keys: &[MediaKey]) {
        for key in keys {
            self.selection.remove(*key);
            self.last_selection.remove(*key);
        }
        let gone: MediaSet = keys.iter().copied().collect();
        if self.results.iter().any(|key| gone.contains(*key)) {
            let before = self.results[..self.cursor.min(self.results.len())]
                .iter()
                .filter(|key| gone.contains(**key))
                .count();
            self.results = self
                .results
                .iter()
                .filter(|key| !gone.contains(**key))
                .copied()
                .collect();
            self.cursor = (self.cursor - before).min(self.results.len().saturating_sub(1));
            self.show_cursor();
        }
    }

    /// Takes the grid's size in tiles.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        (self.columns, self.rows) = (columns.max(1), rows.max(1));
        self.show_cursor();
    }

    /// The results on the screen, and those on the page after it.
    pub fn visible(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let page = self.columns * self.rows;
        let count = self.results.len();
        let start = (self.top_row * self.columns).min(count);
        // A row cut off at the bottom may be in view, too.
        let end = (start + page + self.columns).min(count);
        (start..end, end..(end + page).min(count))
    }

    /// What should be loaded: what is visible, from the cursor outward, then a page ahead.
    pub fn wanted(&self) -> Vec<MediaKey> {
        let (visible, ahead) = self.visible();
        let mut order: Vec<usize> = visible.collect();
        order.sort_by_key(|index| index.abs_diff(self.cursor));
        order
            .into_iter()
            .chain(ahead)
            .filter_map(|index| self.results.get(index).copied())
            .collect()
    }

    /// Runs an action of the grid; says whether it was one.
    pub fn act(&mut self, action: Action, count: Option<usize>) -> bool {
        use Action as A;
        let n = count.unwrap_or(1);
        let page = self.columns * self.rows;
        let half = self.columns * (self.rows / 2).max(1);
        let last = self.results.len().saturating_sub(1);
        let row = self.cursor / self.columns;
        let nth = |count: usize| count.saturating_sub(1).min(last);
        match action {
            A::CursorLeft => self.move_to(self.cursor.saturating_sub(n)),
            A::CursorRight => self.move_to(self.cursor.saturating_add(n)),
            A::CursorDown => self.down(n.saturating_mul(self.columns)),
            A::CursorUp => self.up(n.saturating_mul(self.columns)),
            A::RowStart => self.move_to(row * self.columns),
            A::RowEnd => self.move_to(row * self.columns + self.columns - 1),
            A::CursorTop => self.move_to(count.map_or(0, nth)),
            A::CursorBottom => self.move_to(count.map_or(last, nth)),
            A::ScreenTop => self.move_to_row(self.top_row),
            A::ScreenMiddle => self.move_to_row(self.top_row + (self.rows - 1) / 2),
            A::ScreenBottom => self.move_to_row(self.top_row + self.rows - 1),
            A::HalfPageDown => self.down(n.saturating_mul(half)),
            A::HalfPageUp => self.up(n.saturating_mul(half)),
            A::PageDown => self.down(n.saturating_mul(page)),
            A::PageUp => self.up(n.saturating_mul(page)),
            A::ScrollTop => self.scroll_cursor_to(0),
            A::ScrollMiddle => self.scroll_cursor_to((self.rows - 1) / 2),
            A::ScrollBottom => self.scroll_cursor_to(self.rows - 1),
            A::ToggleSelect => self.toggle_and_move(n),
            A::SelectRange => self.toggle_range(false),
            A::SelectRows => self.toggle_range(true),
            A::SelectAll => {
                self.range = None;
                self.selection = self.results.iter().copied().collect();
            }
            A::SelectInvert => {
                self.range = None;
                self.selection = self
                    .results
                    .iter()
                    .filter(|key| !self.selection.contains(**key))
                    .copied()
                    .collect();
            }
            A::Reselect => self.selection.clone_from(&self.last_selection),
            A::Escape => {
                if self.range.take().is_none() && !self.selection.is_empty() {
                    self.last_selection = std::mem::take(&mut self.selection);
                }
            }
            A::TilesLarger => self.set_tile_cells(self.tile_cells.saturating_add(2)),
            A::TilesSmaller => self.set_tile_cells(self.tile_cells.saturating_sub(2)),
            A::ToggleCaptions => self.captions = !self.captions,
            _ => return false,
        }
        true
    }

    /// Moves the cursor; past the end means the last tile.
    pub fn move_to(&mut self, index: usize) {
        self.cursor = index.min(self.results.len().saturating_sub(1));
        self.extend_range();
        self.show_cursor();
    }

    /// Moves the view by rows; the cursor comes along when it would leave it.
    pub fn scroll(&mut self, rows: i32) {
        let rows_in_all = self.results.len().div_ceil(self.columns);
        let bottom = rows_in_all.saturating_sub(self.rows);
        let by = rows.unsigned_abs() as usize;
        self.top_row = if rows < 0 {
            self.top_row.saturating_sub(by)
        } else {
            (self.top_row + by).min(bottom)
        };
        let row = self.cursor / self.columns;
        if row < self.top_row {
            self.cursor += (self.top_row - row) * self.columns;
        } else if row >= self.top_row + self.rows {
            self.cursor -= (row + 1 - self.top_row - self.rows) * self.columns;
        }
        self.cursor = self.cursor.min(self.results.len().saturating_sub(1));
        self.extend_range();
    }

    /// Selects these tiles, both ends included.
    fn select_between(&mut self, from: usize, to: usize) {
        let end = (to + 1).min(self.results.len());
        let between = self.results.get(from..end).unwrap_or_default();
        self.selection.extend(between.iter().copied());
    }

    /// Selects from the cursor to a tile, and moves there.
    pub fn select_to(&mut self, index: usize) {
        let (from, to) = (self.cursor.min(index), self.cursor.max(index));
        self.select_between(from, to);
        self.move_to(index);
    }

    /// Selects a tile or not.
    pub fn toggle(&mut self, index: usize) {
        if let Some(key) = self.results.get(index)
            && !self.selection.remove(*key)
        {
            self.selection.insert(*key);
        }
    }

    pub fn set_tile_cells(&mut self, cells: u16) {
        self.tile_cells = cells.clamp(*TILE_CELLS.start(), *TILE_CELLS.end());
    }

    /// The next or previous tile that passes, without the one under the cursor.
    pub fn find(&self, forward: bool, mut passes: impl FnMut(MediaKey) -> bool) -> Option<usize> {
        let mut passes = |index: &usize| passes(self.results[*index]);
        if forward {
            ((self.cursor + 1)..self.results.len()).find(&mut passes)
        } else {
            (0..self.cursor.min(self.results.len()))
                .rev()
                .find(&mut passes)
        }
    }

    fn down(&mut self, by: usize) {
        let last = self.results.len().saturating_sub(1);
        let target = self.cursor.saturating_add(by);
        if target <= last {
            self.move_to(target);
        } else if self.cursor / self.columns < last / self.columns {
            // Into the last row, however short it is.
            let column = self.cursor % self.columns;
            self.move_to((last / self.columns * self.columns + column).min(last));
        }
    }

    fn up(&mut self, by: usize) {
        let column = self.cursor % self.columns;
        self.move_to(self.cursor.checked_sub(by).unwrap_or(column));
    }

    fn move_to_row(&mut self, row: usize) {
        let last = self.results.len().saturating_sub(1);
        let column = self.cursor % self.columns;
        self.move_to(row.min(last / self.columns) * self.columns + column);
    }

    fn scroll_cursor_to(&mut self, row_on_screen: usize) {
        self.top_row = (self.cursor / self.columns).saturating_sub(row_on_screen);
        self.show_cursor();
    }

    fn toggle_and_move(&mut self, n: usize) {
        for _ in 0..n.min(self.results.len()) {
            self.toggle(self.cursor);
            if self.cursor + 1 >= self.results.len() {
                break;
            }
            self.cursor += 1;
        }
        self.show_cursor();
    }

    fn toggle_range(&mut self, rows: bool) {
        match &mut self.range {
            Some(range) if range.rows == rows => {
                self.range = None;
                return;
            }
            Some(range) => range.rows = rows,
            None => {
                self.range = Some(Range {
                    anchor: self.cursor,
                    rows,
                    before: self.selection.clone(),
                });
            }
        }
        self.extend_range();
    }

    fn extend_range(&mut self) {
        let Some(range) = &self.range else {
            return;
        };
        let (mut from, mut to) = (range.anchor.min(self.cursor), range.anchor.max(self.cursor));
        if range.rows {
            from = from / self.columns * self.columns;
            to = to / self.columns * self.columns + self.columns - 1;
        }
        self.selection.clone_from(&range.before);
        self.select_between(from, to);
    }

    fn show_cursor(&mut self) {
        let row = self.cursor / self.columns;
        let bottom = self
            .results
            .len()
            .div_ceil(self.columns)
            .saturating_sub(self.rows);
        if row < self.top_row {
            self.top_row = row;
        } else if row >= self.top_row + self.rows {
            self.top_row = row + 1 - self.rows;
        }
        // No empty rows below while there are hidden ones above.
        self.top_row = self.top_row.min(bottom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(count: u32, columns: usize, rows: usize) -> Gallery {
        let mut gallery = Gallery::default();
        gallery.resize(columns, rows);
        gallery.receive((0..count).map(MediaKey).collect(), true);
        gallery
    }

    fn after(gallery: &mut Gallery, actions: &[(Action, Option<usize>)]) -> usize {
        for (action, count) in actions {
            assert!(gallery.act(*action, *count), "{action:?}");
        }
        gallery.cursor
    }

    #[test]
    fn motions_take_counts_and_stop_at_the_ends() {
        use Action as A;
        let mut g = gallery(23, 5, 3);
        for (actions, expected) in [
            (vec![(A::CursorRight, Some(3))], 3),
            (vec![(A::CursorDown, Some(2))], 13),
            (vec![(A::CursorDown, Some(9))], 22),
            (vec![(A::CursorDown, None)], 22),
            (vec![(A::RowStart, None)], 20),
            (vec![(A::CursorUp, None), (A::RowEnd, None)], 19),
            (vec![(A::CursorTop, None)], 0),
            (vec![(A::CursorBottom, None)], 22),
            (vec![(A::CursorBottom, Some(7))], 6),
            (vec![(A::CursorUp, Some(99))], 1),
            (vec![(A::CursorLeft, Some(99))], 0),
            (vec![(A::PageDown, None)], 15),
            (vec![(A::PageUp, None)], 0),
            (vec![(A::HalfPageDown, None)], 5),
            (vec![(A::CursorRight, Some(usize::MAX))], 22),
        ] {
            assert_eq!(after(&mut g, &actions), expected, "{actions:?}");
        }
    }

    #[test]
    fn the_view_follows_the_cursor() {
        use Action as A;
        let mut g = gallery(100, 10, 3);
        after(&mut g, &[(A::CursorDown, Some(5))]);
        assert_eq!(g.top_row, 3);
        assert_eq!(after(&mut g, &[(A::ScreenTop, None)]), 30);
        assert_eq!(after(&mut g, &[(A::ScreenBottom, None)]), 50);
        assert_eq!(after(&mut g, &[(A::ScreenMiddle, None)]), 40);
        after(&mut g, &[(A::ScrollTop, None)]);
        assert_eq!(g.top_row, 4);
        after(&mut g, &[(A::CursorBottom, None)]);
        assert_eq!(g.top_row, 7);
        g.scroll(-5);
        assert_eq!((g.top_row, g.cursor), (2, 49));
        g.resize(50, 3);
        assert_eq!(g.top_row, 0);
    }

    #[test]
    fn a_new_result_keeps_the_cursor_on_its_medium() {
        let mut g = gallery(100, 10, 3);
        g.move_to(42);
        let reversed: Arc<[MediaKey]> = (0..100).rev().map(MediaKey).collect();
        g.receive(reversed, true);
        assert_eq!(g.current(), Some(MediaKey(42)));
        g.receive((0..10).map(MediaKey).collect(), false);
        assert_eq!(g.cursor, 9, "gone: stays where it was, within the result");
        g.receive((50..60).map(MediaKey).collect(), true);
        assert_eq!(g.cursor, 0, "gone with another query: the top");
        g.receive(Arc::from([]), true);
        assert_eq!((g.cursor, g.top_row, g.current()), (0, 0, None));
    }

    #[test]
    fn ranges_grow_and_shrink_with_the_cursor() {
        use Action as A;
        let mut g = gallery(20, 5, 4);
        after(
            &mut g,
            &[
                (A::ToggleSelect, None),
                (A::CursorRight, None),
                (A::SelectRange, None),
                (A::CursorRight, Some(2)),
            ],
        );
        assert_eq!(g.selection.len(), 4);
        after(&mut g, &[(A::CursorLeft, None)]);
        assert_eq!(g.selection.len(), 3);
        after(&mut g, &[(A::SelectRows, None), (A::CursorDown, None)]);
        assert_eq!(g.selection.len(), 10);
        after(&mut g, &[(A::Escape, None)]);
        assert_eq!((g.range.is_none(), g.selection.len()), (true, 10));
        after(&mut g, &[(A::Escape, None)]);
        assert!(g.selection.is_empty());
        after(&mut g, &[(A::Reselect, None)]);
        assert_eq!(g.selection.len(), 10);
        after(&mut g, &[(A::SelectInvert, None)]);
        assert_eq!(g.targets(), (10..20).map(MediaKey).collect::<Vec<_>>());
        after(&mut g, &[(A::SelectAll, None)]);
        assert_eq!(g.selection.len(), 20);
    }

    #[test]
    fn pictures_are_wanted_from_the_cursor_outward_then_a_page_ahead() {
        let mut g = gallery(100, 4, 2);
        g.move_to(5);
        let wanted = g.wanted();
        assert_eq!(wanted[0], MediaKey(5));
        assert_eq!(wanted.len(), 4 * 2 + 4 + 4 * 2);
        assert!(wanted[1..3].contains(&MediaKey(4)));
        assert_eq!(wanted.last(), Some(&MediaKey(19)));
    }

    #[test]
    fn what_is_gone_leaves_result_and_selection() {
        let mut g = gallery(10, 5, 2);
        g.move_to(5);
        g.toggle(2);
        g.forget(&[MediaKey(2), MediaKey(5)]);
        assert_eq!(g.current(), Some(MediaKey(6)));
        assert!(g.selection.is_empty());
        assert_eq!(g.results.len(), 8);
    }

    #[test]
    fn an_empty_gallery_survives_every_action() {
        let mut g = gallery(0, 1, 1);
        for info in super::super::action::ACTIONS {
            g.act(info.action, Some(7));
        }
        assert_eq!(g.cursor, 0);
        assert!(g.wanted().is_empty());
    }
}
