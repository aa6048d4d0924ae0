//! The tag editor: the tags of one medium or of a whole selection, with how many
//! of them have each; a text field with completion; the caption. Every change
//! becomes an edit in [`changes`](super::changes), nothing is written from here.

mod commands;
mod input;
mod rows;

use std::{collections::HashSet, sync::Arc};

use self::rows::with_headings;
use super::{
    action::Action,
    completion::Completion,
    context::Context,
    dialog::{Dialog, Purpose},
    facets::{self, FacetRows},
    list,
    message::{Counted, Effect},
    text_input::TextInput,
};
use crate::model::{
    id::MediaKey,
    tag::{TagName, normalize},
    text::display_text,
};

pub use self::{
    input::{ask_completion, candidates, caption_of, caption_prompt, edits_of},
    rows::{EditorRow, TagRow},
};

/// More targets than this are counted in the background.
const COUNTED_AT_ONCE: usize = 400;

/// The state of the editor; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    /// What is being edited: the selection, or the medium under the cursor.
    pub targets: Vec<MediaKey>,
    pub mode: EditorMode,
    /// The list, made anew when the tags change.
    pub rows: Vec<EditorRow>,
    /// The row under the cursor, always a tag while there is one.
    pub cursor: usize,
    /// The first row on the screen.
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// Tags that the next command acts on, instead of the one under the cursor.
    pub marked: HashSet<TagName>,
    /// The field below the list: tags to add, in the tag language.
    pub input: TextInput,
    pub completion: Completion,
    /// Why the input was refused; drawn below it until it changes.
    pub error: Option<String>,
    pub order: EditorOrder,
    /// What was searched for in the list; matching rows are set off.
    pub find: String,
    /// The caption of the medium (of the first of several), pending edits included.
    pub caption: String,
    /// The display name likewise.
    pub name: String,
    /// Whether the tags of a large selection are still being counted.
    pub is_counting: bool,
    /// Why the sidecar could not be read; safe to draw.
    pub failure: Option<String>,
    /// The answer to the newest count of a large selection.
    counts: Option<Arc<FacetRows>>,
    counting: u64,
}

/// Which part of the editor hears the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EditorMode {
    List,
    #[default]
    Input,
}

/// How the list is arranged; changes nothing in the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EditorOrder {
    #[default]
    Category,
    Position,
    Name,
    Count,
}

/// What the input asks of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditorRequest {
    /// Nothing was typed: close, or go on to the next picture.
    Done,
}

impl Editor {
    /// Edits other media: the list is made anew, what was typed stays.
    pub fn set_targets(&mut self, targets: Vec<MediaKey>, ctx: &mut Context<'_>) {
        if self.targets != targets {
            self.targets = targets;
            self.marked.clear();
            self.counts = None;
            self.refresh(ctx);
        }
    }

    /// Whether the selection is so large that its tags are counted elsewhere.
    fn is_large(&self) -> bool {
        self.targets.len() > COUNTED_AT_ONCE
    }

    /// Makes the list anew after tags changed.
    pub fn refresh(&mut self, ctx: &mut Context<'_>) {
        self.failure = None;
        if let [key] = self.targets[..] {
            if ctx.loaded.ask(key) {
                ctx.effect(Effect::LoadMedia(key));
            }
            self.failure = ctx.loaded.failure(key).map(str::to_owned);
        }
        if let Some(first) = self.targets.first().and_then(|key| ctx.media(*key)) {
            self.caption = display_lines(&first.caption);
            self.name = display_text(&first.name).into_owned();
        } else {
            self.caption.clear();
            self.name.clear();
        }
        if self.is_large() {
            self.counting = facets::ask(Counted::Selection, &self.targets.clone().into(), ctx);
            self.is_counting = true;
        }
        self.rebuild(ctx);
    }

    /// Takes counts; says whether they were asked for here.
    pub fn receive_counts(
        &mut self,
        generation: u64,
        rows: &Arc<FacetRows>,
        ctx: &Context<'_>,
    ) -> bool {
        if generation != self.counting {
            return false;
        }
        self.counts = Some(Arc::clone(rows));
        self.is_counting = false;
        self.rebuild(ctx);
        true
    }

    fn rebuild(&mut self, ctx: &Context<'_>) {
        let current = self.current().map(|row| row.name.clone());
        let mut tags = if self.is_large() {
            self.counted_rows()
        } else {
            self.target_rows(ctx)
        };
        for row in &mut tags {
            row.library_count = ctx.catalog.tag_count(&row.name);
            row.is_marked = self.marked.contains(&row.name);
        }
        let several = self.targets.len() > 1;
        let known = ctx.catalog.tag_database();
        match self.order {
            EditorOrder::Position => {}
            EditorOrder::Name => tags.sort_by(|a, b| a.name.value.cmp(&b.name.value)),
            EditorOrder::Count => tags.sort_by_key(|row| std::cmp::Reverse(row.library_count)),
            EditorOrder::Category => tags.sort_by(|a, b| {
                let order = known
                    .category_rank(&a.name.category)
                    .cmp(&known.category_rank(&b.name.category));
                if several {
                    order
                        .then(b.have.cmp(&a.have))
                        .then(a.name.value.cmp(&b.name.value))
                } else {
                    order
                }
            }),
        }
        self.rows = if self.order == EditorOrder::Category {
            with_headings(tags)
        } else {
            tags.into_iter().map(EditorRow::Tag).collect()
        };
        let place = current.and_then(|name| self.place_of(&name));
        self.cursor = place.unwrap_or(self.cursor);
        self.land(true);
    }

    /// The tag under the cursor.
    pub fn current(&self) -> Option<&TagRow> {
        match self.rows.get(self.cursor)? {
            EditorRow::Tag(row) => Some(row),
            EditorRow::Category { .. } => None,
        }
    }

    /// The tags a command acts on: the marked ones, else the one under the cursor.
    fn chosen(&self) -> Vec<TagName> {
        if self.marked.is_empty() {
            return self
                .current()
                .map(|row| row.name.clone())
                .into_iter()
                .collect();
        }
        self.tags()
            .filter(|row| self.marked.contains(&row.name))
            .map(|row| row.name.clone())
            .collect()
    }

    /// The tags of the list without headings.
    pub fn tags(&self) -> impl Iterator<Item = &TagRow> {
        self.rows.iter().filter_map(|row| match row {
            EditorRow::Tag(tag) => Some(tag),
            EditorRow::Category { .. } => None,
        })
    }

    /// Runs an action of the list or the input; says whether it was one.
    pub fn act(&mut self, action: Action, n: Option<usize>, ctx: &mut Context<'_>) -> bool {
        use Action as A;
        if let Some(cursor) = list::motion(action, n, self.cursor, self.rows.len(), self.height) {
            let forward = cursor >= self.cursor;
            self.cursor = cursor;
            self.land(forward);
            return true;
        }
        match action {
            A::EditorInsert => self.mode = EditorMode::Input,
            A::EditorList | A::Escape => {
                self.mode = EditorMode::List;
                self.completion.close();
            }
            A::EditorMark => self.toggle_mark(),
            A::EditorRemove => self.remove(ctx),
            A::EditorAddToAll => self.add_to_all(ctx),
            A::EditorMoveDown => self.move_tag(n.unwrap_or(1), true, ctx),
            A::EditorMoveUp => self.move_tag(n.unwrap_or(1), false, ctx),
            A::EditorRename => self.ask_rename(ctx),
            A::CategoryGeneral => self.recategorize("general", ctx),
            A::CategoryArtist => self.recategorize("artist", ctx),
            A::CategoryCopyright => self.recategorize("copyright", ctx),
            A::CategoryCharacter => self.recategorize("character", ctx),
            A::CategorySpecies => self.recategorize("species", ctx),
            A::CategoryMeta => self.recategorize("meta", ctx),
            A::CategoryLore => self.recategorize("lore", ctx),
            A::EditorFind => {
                let find = self.find.clone();
                ctx.dialogs
                    .push(Dialog::prompt("Find tag", Purpose::FindTag, find));
            }
            A::EditorFindNext => self.find_next(true),
            A::EditorFindPrevious => self.find_next(false),
            A::EditorCaption => {
                if let Some(media) = self.targets.first().and_then(|key| ctx.media(*key)) {
                    ctx.dialogs
                        .push(caption_prompt(&self.targets, &media.caption));
                }
            }
            A::EditorName => {
                ctx.dialogs.push(Dialog::prompt(
                    "Name",
                    Purpose::Name(self.targets.clone()),
                    self.name.clone(),
                ));
            }
            A::EditorSortPosition => self.arrange(EditorOrder::Position, ctx),
            A::EditorSortCategory => self.arrange(EditorOrder::Category, ctx),
            A::EditorSortName => self.arrange(EditorOrder::Name, ctx),
            A::EditorSortCount => self.arrange(EditorOrder::Count, ctx),
            A::EditorLiteral => self.add_literally(ctx),
            _ => return false,
        }
        true
    }

    pub fn find_first(&mut self, text: &str) {
        self.find = normalize(text);
        if !self.current().is_some_and(|row| self.is_found(row)) {
            self.find_next(true);
        }
    }

    /// Whether a row matches what was searched for.
    pub fn is_found(&self, row: &TagRow) -> bool {
        !self.find.is_empty() && row.name.value.contains(&self.find)
    }

    pub fn move_to(&mut self, row: usize) {
        self.cursor = row;
        self.land(true);
    }

    pub fn scroll(&mut self, lines: i32) {
        (self.top_row, self.cursor) = list::wheel(
            lines,
            self.top_row,
            self.cursor,
            self.rows.len(),
            self.height,
        );
        self.land(true);
    }

    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.land(true);
    }

    fn place_of(&self, name: &TagName) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| matches!(row, EditorRow::Tag(row) if row.name == *name))
    }

    /// Puts the cursor on a tag and into view.
    fn land(&mut self, forward: bool) {
        let is_tag = |row: usize| matches!(self.rows.get(row), Some(EditorRow::Tag(_)));
        self.cursor = self.cursor.min(self.rows.len().saturating_sub(1));
        if !is_tag(self.cursor) {
            let below = (self.cursor..self.rows.len()).find(|row| is_tag(*row));
            let above = (0..self.cursor).rev().find(|row| is_tag(*row));
            let place = if forward {
                below.or(above)
            } else {
                above.or(below)
            };
            self.cursor = place.unwrap_or(0);
        }
        let shown = if self.cursor == 1 { 0 } else { self.cursor };
        self.top_row = list::scrolled(self.top_row, shown, self.rows.len(), self.height);
    }

    fn arrange(&mut self, order: EditorOrder, ctx: &Context<'_>) {
        self.order = order;
        self.rebuild(ctx);
    }
}

fn display_lines(text: &str) -> String {
    text.lines()
        .map(display_text)
        .collect::<Vec<_>>()
        .join("\n")
}
