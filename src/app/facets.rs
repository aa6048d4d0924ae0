//! The tag sidebar: the tags of the result with how often each occurs. Counted in
//! the background, because a result can hold everything.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{
    action::Action,
    changes::Changes,
    context::{Context, sketch},
    list,
    message::{Counted, Effect},
    query_bar::term_of,
};
use crate::model::{
    catalog::{Catalog, TagNames},
    edit::apply_all,
    id::MediaKey,
    tag::{Tag, TagName},
};

/// The state of the sidebar; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// Tags by category, those that stand out first within each.
    pub rows: Arc<FacetRows>,
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// The newest request.
    pub generation: u64,
    /// Whether the counts shown are those of an older result.
    pub is_stale: bool,
    /// The rows and the row to which somebody moved last: the cursor goes back to that
    /// tag when it comes back, say after a query that was typed and given up.
    chosen: Option<(Arc<FacetRows>, usize)>,
}

/// The tags of some media with how many of them have each. A result has tens of
/// thousands of tags, of which a screen shows some: they stand here as numbers, and
/// their names are looked up where they are drawn.
#[derive(Clone, Debug, Default)]
pub struct FacetRows {
    /// The number of each tag and its count.
    rows: Vec<(u32, u32)>,
    names: TagNames,
    /// Names that no medium has yet, for the numbers past those of the catalog.
    new: Vec<TagName>,
}

impl FacetRows {
    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no tag.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A tag, as the catalog has it, and how many of the media have it.
    pub fn get(&self, row: usize) -> Option<(&TagName, u64)> {
        let (number, count) = self.rows.get(row)?;
        Some((self.name(*number)?, u64::from(*count)))
    }

    /// All tags in their order, from a row on.
    pub fn iter_from(&self, row: usize) -> impl Iterator<Item = (&TagName, u64)> {
        let rows = self.rows.get(row..).unwrap_or_default().iter();
        rows.filter_map(|(number, count)| Some((self.name(*number)?, u64::from(*count))))
    }

    fn name(&self, number: u32) -> Option<&TagName> {
        let known = self.names.get(number);
        known.or_else(|| {
            self.new
                .get((number as usize).checked_sub(self.names.len())?)
        })
    }

    /// Where the tag of a row of other counts stands in these.
    fn place_of(&self, row: usize, others: &Self) -> Option<usize> {
        let (number, _) = others.rows.get(row)?;
        let name = others.name(*number)?;
        // A number is the same tag for as long as the catalog goes on, and names need
        // not be looked at.
        if self.names.get(*number) == Some(name) {
            return self.rows.iter().position(|(known, _)| known == number);
        }
        let mut rows = self.rows.iter();
        rows.position(|(number, _)| self.name(*number) == Some(name))
    }
}

impl Facets {
    /// Asks for the counts of a result.
    pub fn ask(&mut self, results: &Arc<[MediaKey]>, ctx: &mut Context<'_>) {
        self.generation = ask(Counted::Result, results, ctx);
        self.is_stale = true;
    }

    /// Takes counts; says whether they were asked for here.
    pub fn receive(&mut self, generation: u64, rows: &Arc<FacetRows>) -> bool {
        if generation != self.generation {
            return false;
        }
        let (before, row) = match &self.chosen {
            Some((rows, row)) => (rows, *row),
            None => (&self.rows, self.cursor),
        };
        let place = rows.place_of(row, before);
        self.rows = Arc::clone(rows);
        self.is_stale = false;
        self.cursor = place
            .unwrap_or(self.cursor)
            .min(self.rows.len().saturating_sub(1));
        self.show_cursor();
        true
    }

    /// Moves; says whether the action was a motion.
    pub fn act(&mut self, action: Action, n: Option<usize>) -> bool {
        let Some(cursor) = list::motion(action, n, self.cursor, self.rows.len(), self.height)
        else {
            return false;
        };
        self.move_to(cursor);
        true
    }

    pub fn move_to(&mut self, row: usize) {
        self.cursor = row.min(self.rows.len().saturating_sub(1));
        self.chosen = Some((Arc::clone(&self.rows), self.cursor));
        self.show_cursor();
    }

    pub fn scroll(&mut self, lines: i32) {
        (self.top_row, self.cursor) = list::wheel(
            lines,
            self.top_row,
            self.cursor,
            self.rows.len(),
            self.height,
        );
        self.chosen = Some((Arc::clone(&self.rows), self.cursor));
    }

    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.show_cursor();
    }

    /// The tag under the cursor as a term of the query.
    pub fn term(&self) -> Option<String> {
        Some(term_of(self.rows.get(self.cursor)?.0))
    }

    fn show_cursor(&mut self) {
        self.top_row = list::scrolled(self.top_row, self.cursor, self.rows.len(), self.height);
    }
}

/// Asks for the tags of some media, pending edits included; gives the number of the
/// request.
pub fn ask(of: Counted, keys: &Arc<[MediaKey]>, ctx: &mut Context<'_>) -> u64 {
    let generation = ctx.next_generation();
    let pending = ctx.changes.clone();
    ctx.effect(Effect::Facets {
        of,
        keys: Arc::clone(keys),
        pending,
        generation,
    });
    generation
}

/// Counts the tags of some media: by category, and within each first those that stand
/// out, that is, which are here more often than elsewhere. `tags_of` looks at every one
/// of them ([`tag_counts`](crate::engine::tag_counts::tag_counts)): not for the thread
/// that draws.
pub fn count(
    catalog: &Catalog,
    keys: &[MediaKey],
    pending: &Changes,
    tags_of: impl FnOnce(&[MediaKey]) -> Option<Vec<u32>>,
) -> Option<FacetRows> {
    let (edited, stored): (Vec<MediaKey>, Vec<MediaKey>) = if pending.unsaved() == 0 {
        (Vec::new(), Vec::new())
    } else {
        keys.iter().partition(|key| pending.has_pending(**key))
    };
    let stored = if edited.is_empty() { keys } else { &stored };
    let mut counts = tags_of(stored)?;
    let names = catalog.tag_names().clone();
    // Those of unsaved edits, some of which no medium has yet.
    let mut unsaved: HashMap<TagName, u32> = HashMap::new();
    for record in edited.iter().filter_map(|key| catalog.record(*key)) {
        let mut media = sketch(&record);
        apply_all(&pending.pending(record.key()), &mut media);
        for name in media.tags.iter().map(Tag::name) {
            *unsaved.entry(name).or_default() += 1;
        }
    }
    let mut new: Vec<(TagName, u32)> = Vec::new();
    for (name, more) in unsaved {
        let number = catalog.tag_number(&name);
        match number.and_then(|number| counts.get_mut(number as usize)) {
            Some(count) => *count += more,
            None => new.push((name, more)),
        }
    }
    new.sort_unstable();

    // The place of a category is looked up once, not at every comparison.
    let tags = catalog.tag_database();
    let mut categories: Vec<&str> = catalog.categories().collect();
    for (name, _) in &new {
        if !categories.contains(&name.category.as_str()) {
            categories.push(&name.category);
        }
    }
    let mut by_rank = categories.clone();
    by_rank.sort_by(|a, b| tags.category_rank(a).cmp(&tags.category_rank(b)));
    let place = |category: &&str| by_rank.iter().position(|known| known == category);
    let places: Vec<Option<usize>> = categories.iter().map(place).collect();
    let place = |category: usize| places.get(category).copied().flatten();

    // Of those that are alike in all of that the one with the lower number, which is
    // the more common or the older one: to compare names would mean to look for each of
    // them in memory.
    let mut rows: Vec<Ranked> = Vec::new();
    let numbered = (0_u32..).zip(counts).zip(catalog.tag_sizes());
    for ((number, count), (category, everywhere)) in numbered.filter(|((_, count), _)| *count > 0) {
        let prominence = prominence(count, keys.len(), everywhere, catalog.len());
        rows.push((place(category), Reverse(prominence), Reverse(count), number));
    }
    let numbers = u32::try_from(names.len()).unwrap_or(u32::MAX)..;
    for (number, (name, count)) in numbers.zip(&new) {
        let prominence = prominence(*count, keys.len(), *count, catalog.len());
        let category = categories.iter().position(|known| *known == name.category);
        let place = category.and_then(place);
        rows.push((place, Reverse(prominence), Reverse(*count), number));
    }
    rows.sort_unstable();
    Some(FacetRows {
        rows: rows
            .into_iter()
            .map(|(.., count, number)| (number, count.0))
            .collect(),
        new: new.into_iter().map(|(name, _)| name).collect(),
        names,
    })
}

/// Where a tag stands: by the place of its category, how much it says, its count, and
/// its number.
type Ranked = (Option<usize>, Reverse<u64>, Reverse<u32>, u32);

/// How much a tag says of a result: its count there, and more so where it is rarer
/// elsewhere, as a number that compares like it. What is on everything everywhere says
/// as much as its count.
#[expect(clippy::cast_precision_loss, reason = "a rank needs three digits")]
fn prominence(count: u32, of: usize, everywhere: u32, all: usize) -> u64 {
    let count = f64::from(count);
    let here = count / of.max(1) as f64;
    let there = f64::from(everywhere) / all.max(1) as f64;
    let prominence = count * (1.0 + (here / there.max(f64::MIN_POSITIVE)).max(1.0).ln());
    // It is not negative, and such numbers compare as their bits do.
    prominence.to_bits()
}
