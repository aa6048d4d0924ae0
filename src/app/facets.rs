//! The tag sidebar: the tags of the result with how often each occurs. Counted in
//! the background, because a result can hold everything.

use std::{collections::HashMap, sync::Arc};

use super::{
    action::Action,
    context::{Context, sketch},
    list,
    message::{Counted, Effect},
    query_bar::term_of,
};
use crate::model::{
    catalog::Catalog,
    edit::{Edit, apply_all},
    id::MediaKey,
    tag::{Tag, TagName, category_order},
};

/// The state of the sidebar; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// Tags by category, the most frequent first within each.
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
    pub name: TagName,
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
        let current = self.rows.get(self.cursor).map(|row| row.name.clone());
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
    let pending = ctx
        .changes
        .pending_keys()
        .map(|key| (key, ctx.changes.pending(key)))
        .collect();
    ctx.effect(Effect::Facets {
        of,
        keys: Arc::clone(keys),
        pending,
        generation,
    });
    generation
}

/// Counts the tags of some media, by category and then the most frequent first.
/// Looks at every one of them: not for the thread that draws.
pub fn count(
    catalog: &Catalog,
    keys: &[MediaKey],
    pending: &[(MediaKey, Vec<Edit>)],
    is_cancelled: &dyn Fn() -> bool,
) -> Option<Vec<FacetRow>> {
    let pending: HashMap<MediaKey, &[Edit]> = pending
        .iter()
        .map(|(key, edits)| (*key, edits.as_slice()))
        .collect();
    let mut counts: HashMap<TagName, u64> = HashMap::new();
    for (n, key) in keys.iter().enumerate() {
        if n % 1024 == 0 && is_cancelled() {
            return None;
        }
        let Some(record) = catalog.record(*key) else {
            continue;
        };
        if let Some(edits) = pending.get(key) {
            let mut media = sketch(&record);
            apply_all(edits, &mut media);
            for name in media.tags.iter().map(Tag::name) {
                *counts.entry(name).or_default() += 1;
            }
        } else {
            for name in record.tags() {
                match counts.get_mut(name) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(name.clone(), 1);
                    }
                }
            }
        }
    }
    let mut rows: Vec<FacetRow> = counts
        .into_iter()
        .map(|(name, count)| FacetRow { name, count })
        .collect();
    rows.sort_by(|a, b| {
        category_order(&a.name.category)
            .cmp(&category_order(&b.name.category))
            .then(b.count.cmp(&a.count))
            .then(a.name.value.cmp(&b.name.value))
    });
    Some(rows)
}
