//! The tag sidebar: the tags of the result with how often each occurs. Counted in
//! the background, because a result can hold everything.

use std::{collections::HashMap, sync::Arc};

use super::{
    action::Action,
    changes::Changes,
    context::{Context, sketch},
    list,
    message::{Counted, Effect},
    query_bar::term_of,
};
use crate::{
    engine::tag_counts::tag_counts,
    model::{
        catalog::Catalog,
        edit::apply_all,
        id::MediaKey,
        tag::{Tag, TagName},
    },
};

/// The state of the sidebar; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// Tags by category, those that stand out first within each.
    pub rows: Arc<[FacetRow]>,
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// The newest request.
    pub generation: u64,
    /// Whether the counts shown are those of an older result.
    pub is_stale: bool,
}

/// One tag of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRow {
    /// As the catalog has it.
    pub name: Arc<TagName>,
    pub count: u64,
}

impl Facets {
    /// Asks for the counts of a result.
    pub fn ask(&mut self, results: &Arc<[MediaKey]>, ctx: &mut Context<'_>) {
        self.generation = ask(Counted::Result, results, ctx);
        self.is_stale = true;
    }

    /// Takes counts; says whether they were asked for here.
    pub fn receive(&mut self, generation: u64, rows: &Arc<[FacetRow]>) -> bool {
        if generation != self.generation {
            return false;
        }
        let current = self.rows.get(self.cursor).map(|row| Arc::clone(&row.name));
        self.rows = Arc::clone(rows);
        self.is_stale = false;
        let place = current.and_then(|name| self.rows.iter().position(|row| row.name == name));
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
    }

    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.show_cursor();
    }

    /// The tag under the cursor as a term of the query.
    pub fn term(&self) -> Option<String> {
        Some(term_of(&self.rows.get(self.cursor)?.name))
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
/// out, that is, which are here more often than elsewhere. Looks at every one of
/// them: not for the thread that draws.
pub fn count(
    catalog: &Catalog,
    keys: &[MediaKey],
    pending: &Changes,
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<FacetRow>> {
    let (edited, stored): (Vec<MediaKey>, Vec<MediaKey>) = if pending.unsaved() == 0 {
        (Vec::new(), Vec::new())
    } else {
        keys.iter().partition(|key| pending.has_pending(**key))
    };
    let stored = if edited.is_empty() { keys } else { &stored };
    let counts = tag_counts(catalog, stored, is_cancelled)?;
    // Those of unsaved edits, some of which no medium has yet.
    let mut others: HashMap<TagName, u64> = HashMap::new();
    for record in edited.iter().filter_map(|key| catalog.record(*key)) {
        let mut media = sketch(&record);
        apply_all(&pending.pending(record.key()), &mut media);
        for name in media.tags.iter().map(Tag::name) {
            *others.entry(name).or_default() += 1;
        }
    }
    let mut rows: Vec<(f64, u32, FacetRow)> = Vec::new();
    let mut push = |number: u32, name: Arc<TagName>, count: u64, everywhere: u64| {
        let prominence = prominence(count, keys.len(), everywhere, catalog.len());
        rows.push((prominence, number, FacetRow { name, count }));
    };
    for (number, count) in (0..).zip(counts) {
        if count == 0 && others.is_empty() {
            continue;
        }
        if let Some(name) = catalog.tag_name(number)
            && let Some((_, media)) = catalog.tag_at(number)
        {
            let unsaved = if others.is_empty() {
                None
            } else {
                others.remove(name.as_ref())
            };
            let count = count + unsaved.unwrap_or(0);
            if count > 0 {
                push(number, Arc::clone(name), count, media.len());
            }
        }
    }
    for (name, count) in others {
        push(u32::MAX, Arc::new(name), count, count);
    }
    // The place of a category is looked up once for each row, not at every comparison.
    let tags = catalog.tag_database();
    let mut categories: Vec<String> = Vec::new();
    for (.., row) in &rows {
        if !categories.contains(&row.name.category) {
            categories.push(row.name.category.clone());
        }
    }
    categories.sort_by(|a, b| tags.category_rank(a).cmp(&tags.category_rank(b)));
    let mut rows: Vec<(Option<usize>, f64, u32, FacetRow)> = rows
        .into_iter()
        .map(|(prominence, number, row)| {
            let mut known = categories.iter();
            let place = known.position(|known| *known == row.name.category);
            (place, prominence, number, row)
        })
        .collect();
    // Of those that are alike in all of that the one with the lower number, which is
    // the more common or the older one: to compare names would mean to look for each of
    // them in memory. Only tags that nothing has yet have no number.
    rows.sort_unstable_by(|a, b| {
        let ((a_place, a_prominence, a_number, a), (b_place, b_prominence, b_number, b)) = (a, b);
        a_place
            .cmp(b_place)
            .then(b_prominence.total_cmp(a_prominence))
            .then(b.count.cmp(&a.count))
            .then(a_number.cmp(b_number))
            .then_with(|| a.name.value.cmp(&b.name.value))
    });
    Some(rows.into_iter().map(|(.., row)| row).collect())
}

/// How much a tag says of a result: its count there, and more so where it is rarer
/// elsewhere. What is on everything everywhere says as much as its count.
#[expect(clippy::cast_precision_loss, reason = "a rank needs three digits")]
fn prominence(count: u64, of: usize, everywhere: u64, all: usize) -> f64 {
    let here = count as f64 / of.max(1) as f64;
    let there = everywhere as f64 / all.max(1) as f64;
    count as f64 * (1.0 + (here / there.max(f64::MIN_POSITIVE)).max(1.0).ln())
}
