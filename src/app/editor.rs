//! The tag editor: the tags of one medium or of a whole selection, with how many
//! of them have each; a text field with completion; the caption. Every change
//! becomes an edit in [`changes`](super::changes), nothing is written from here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    action::Action,
    completion::{Candidate, Completion, Presence},
    context::Context,
    dialog::{Dialog, Purpose},
    facets::{self, FacetRow},
    list,
    message::{Counted, Effect},
    text_input::TextInput,
};
use crate::{
    engine::suggest::Suggestion,
    model::{
        edit::Edit,
        id::MediaKey,
        tag::{Tag, TagName, category_order, normalize},
        tag_line::parse_tag_line,
        text::display_text,
    },
};

/// More targets than this are counted in the background.
const COUNTED_AT_ONCE: usize = 400;
/// A line break in a caption while it is edited as one line.
const BREAK: char = '⏎';

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
    counts: Option<Arc<[FacetRow]>>,
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

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum EditorRow {
    /// A heading: the name of the category and how many tags follow.
    Category {
        name: String,
        count: usize,
    },
    Tag(TagRow),
}

/// A tag and how it stands with the media being edited.
#[derive(Clone, Debug, PartialEq)]
pub struct TagRow {
    pub name: TagName,
    /// As it is stored, safe to draw; without the category.
    pub text: String,
    /// `●` all, `◐` some.
    pub presence: Presence,
    /// How many of the targets have it, of how many; shown for `Some`.
    pub have: usize,
    pub of: usize,
    /// How many media of the library have it.
    pub library_count: u64,
    /// Who put it there, when it was not the user: a site, a tagger, an import.
    pub source: Option<String>,
    /// Confidence of a tagger, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether an edit that is not saved put it here or changed it.
    pub is_pending: bool,
    pub is_marked: bool,
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
        rows: &Arc<[FacetRow]>,
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
        match self.order {
            EditorOrder::Position => {}
            EditorOrder::Name => tags.sort_by(|a, b| a.name.value.cmp(&b.name.value)),
            EditorOrder::Count => tags.sort_by_key(|row| std::cmp::Reverse(row.library_count)),
            EditorOrder::Category => tags.sort_by(|a, b| {
                let order = category_order(&a.name.category).cmp(&category_order(&b.name.category));
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

    /// The tags of a few media, as they come.
    fn target_rows(&self, ctx: &Context<'_>) -> Vec<TagRow> {
        let mut rows: Vec<TagRow> = Vec::new();
        let mut places: HashMap<TagName, usize> = HashMap::new();
        for key in &self.targets {
            let Some(media) = ctx.media(*key) else {
                continue;
            };
            let saved: Option<HashSet<&TagName>> = ctx
                .changes
                .has_pending(*key)
                .then(|| ctx.catalog.record(*key))
                .flatten()
                .map(|record| record.tags().collect());
            for tag in &media.tags {
                let name = tag.name();
                let is_pending = saved.as_ref().is_some_and(|saved| !saved.contains(&name));
                let place = *places.entry(name.clone()).or_insert_with(|| {
                    rows.push(TagRow {
                        text: display_text(&tag.value).into_owned(),
                        name,
                        presence: Presence::None,
                        have: 0,
                        of: self.targets.len(),
                        library_count: 0,
                        source: (!tag.is_by_user())
                            .then(|| tag.src.as_deref().map(display_text))
                            .flatten()
                            .map(std::borrow::Cow::into_owned),
                        confidence: tag.conf,
                        is_pending: false,
                        is_marked: false,
                    });
                    rows.len() - 1
                });
                rows[place].have += 1;
                rows[place].is_pending |= is_pending;
            }
        }
        for row in &mut rows {
            row.presence = presence(row.have, row.of);
        }
        rows
    }

    /// The tags of many media, as they were counted.
    fn counted_rows(&self) -> Vec<TagRow> {
        let of = self.targets.len();
        self.counts
            .iter()
            .flat_map(|rows| rows.iter())
            .map(|row| {
                let have = usize::try_from(row.count).unwrap_or(of);
                TagRow {
                    name: row.name.clone(),
                    text: display_text(&row.name.value).into_owned(),
                    presence: presence(have, of),
                    have,
                    of,
                    library_count: 0,
                    source: None,
                    confidence: None,
                    is_pending: false,
                    is_marked: false,
                }
            })
            .collect()
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

    /// Enter in the input: takes the chosen completion, or the whole line.
    pub fn accept(&mut self, ctx: &mut Context<'_>) -> Option<EditorRequest> {
        if let Some(candidate) = self.completion.chosen().cloned() {
            let sign = if self.input.text[self.completion.range.clone()].starts_with('-') {
                "-"
            } else {
                ""
            };
            let range = self.completion.range.clone();
            self.input
                .replace(range, &format!("{sign}{}", candidate.text));
            self.completion.close();
        }
        let line = self.input.text.trim().to_owned();
        if line.is_empty() {
            self.input.clear();
            return Some(EditorRequest::Done);
        }
        match edits_of(&line, ctx) {
            Ok(edits) => {
                let targets = self.targets.clone();
                ctx.edit(&format!("tag {line}"), &targets, edits);
                self.input.clear();
                self.completion.close();
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
        None
    }

    /// The text of the input was edited.
    pub fn changed(&mut self, ctx: &mut Context<'_>) {
        self.error = None;
        let context = self.tags().map(|row| row.name.clone()).take(64).collect();
        self.completion = ask_completion(&self.input, context, ctx);
    }

    /// Takes completions; says whether they were asked for here.
    pub fn receive_suggestions(&mut self, generation: u64, suggestions: &[Suggestion]) -> bool {
        let presences: BTreeMap<TagName, Presence> = self
            .tags()
            .map(|row| (row.name.clone(), row.presence))
            .collect();
        self.completion
            .receive(generation, candidates(suggestions, &presences))
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

    fn toggle_mark(&mut self) {
        let Some(name) = self.current().map(|row| row.name.clone()) else {
            return;
        };
        let is_marked = !self.marked.remove(&name);
        if is_marked {
            self.marked.insert(name);
        }
        if let Some(EditorRow::Tag(row)) = self.rows.get_mut(self.cursor) {
            row.is_marked = is_marked;
        }
        if self.cursor + 1 < self.rows.len() {
            self.cursor += 1;
        }
        self.land(true);
    }

    fn edit(&mut self, label: &str, edits: Vec<Edit>, ctx: &mut Context<'_>) {
        if !edits.is_empty() {
            let targets = self.targets.clone();
            ctx.edit(label, &targets, edits);
            self.marked.clear();
        }
    }

    fn remove(&mut self, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let at = ctx.now_text();
        let edits = names
            .iter()
            .map(|name| Edit::RemoveTag {
                name: name.clone(),
                at: at.clone(),
            })
            .collect();
        self.edit(&format!("remove {}", print(&names)), edits, ctx);
    }

    fn add_to_all(&mut self, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let edits = names
            .iter()
            .map(|name| Edit::AddTag {
                tag: ctx.user_tag(name),
                position: None,
            })
            .collect();
        self.edit(&format!("add {}", print(&names)), edits, ctx);
    }

    fn recategorize(&mut self, category: &str, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let edits = names
            .iter()
            .filter(|name| name.category != category)
            .map(|name| Edit::RenameTag {
                from: name.clone(),
                to: ctx.user_tag(&TagName::new(category, &name.value)),
            })
            .collect();
        self.edit(&format!("{category}: {}", print(&names)), edits, ctx);
        if let [name] = &names[..] {
            self.refresh(ctx);
            if let Some(place) = self.place_of(&TagName::new(category, &name.value)) {
                self.cursor = place;
                self.land(true);
            }
        }
    }

    /// Moves a tag past its neighbor in the list, which gives it that one's place in
    /// the sidecar.
    fn move_tag(&mut self, n: usize, down: bool, ctx: &mut Context<'_>) {
        let [key] = self.targets[..] else {
            ctx.warn("tags are moved in one picture at a time");
            return;
        };
        let (Some(row), Some(media)) = (self.current(), ctx.media(key)) else {
            return;
        };
        let name = row.name.clone();
        let mut neighbors: Vec<&TagName> = if down {
            self.rows[self.cursor + 1..]
                .iter()
                .map_while(tag_name)
                .take(n)
                .collect()
        } else {
            self.rows[..self.cursor]
                .iter()
                .rev()
                .map_while(tag_name)
                .take(n)
                .collect()
        };
        let Some(neighbor) = neighbors.pop() else {
            return;
        };
        if let Some(to) = media.tags.iter().position(|tag| tag.name() == *neighbor) {
            let label = format!("move {name}");
            self.edit(&label, vec![Edit::MoveTag { name, to }], ctx);
        }
    }

    fn ask_rename(&mut self, ctx: &mut Context<'_>) {
        if let Some(row) = self.current() {
            ctx.dialogs.push(Dialog::prompt(
                &format!("Rename {}", row.name),
                Purpose::RenameTag {
                    targets: self.targets.clone(),
                    from: row.name.clone(),
                },
                row.name.to_string(),
            ));
        }
    }

    fn add_literally(&mut self, ctx: &mut Context<'_>) {
        let text = self.input.text.trim().to_owned();
        if text.is_empty() {
            return;
        }
        let name = TagName::new("", &text);
        let tag = Tag {
            value: text,
            ..ctx.user_tag(&name)
        };
        let edits = vec![Edit::AddTag {
            tag,
            position: None,
        }];
        self.edit(&format!("tag {name}"), edits, ctx);
        self.input.clear();
        self.completion.close();
    }

    fn find_next(&mut self, forward: bool) {
        let count = self.rows.len();
        let place = (1..=count)
            .map(|step| {
                if forward {
                    (self.cursor + step) % count
                } else {
                    (self.cursor + count - step % count) % count
                }
            })
            .find(|row| matches!(&self.rows[*row], EditorRow::Tag(row) if self.is_found(row)));
        if let Some(place) = place {
            self.cursor = place;
            self.land(true);
        }
    }
}

/// The edits of a line of the tag language.
///
/// # Errors
/// What is wrong with the line, safe to draw.
pub fn edits_of(line: &str, ctx: &Context<'_>) -> Result<Vec<Edit>, String> {
    let catalog = Arc::clone(ctx.catalog);
    parse_tag_line(
        line,
        &|value| catalog.category_of(value).map(str::to_owned),
        &ctx.now_text(),
    )
    .map_err(|error| display_text(&error.message).into_owned())
}

/// Asks for completions of the tag at the cursor.
pub fn ask_completion(
    input: &TextInput,
    context: Vec<TagName>,
    ctx: &mut Context<'_>,
) -> Completion {
    let mut completion = Completion::default();
    let before = input.before_cursor();
    let start = if before.contains(',') {
        before.rfind(',').map_or(0, |at| at + 1)
    } else {
        before
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(at, c)| at + c.len_utf8())
    };
    let start = start + before[start..].len() - before[start..].trim_start().len();
    let typed = &before[start..];
    if typed.trim_start_matches(['-', '+']).is_empty() {
        return completion;
    }
    completion.range = start..input.cursor;
    completion.generation = ctx.next_generation();
    ctx.effect(Effect::Suggest {
        prefix: typed.trim_start_matches(['-', '+']).to_owned(),
        context,
        generation: completion.generation,
    });
    completion
}

/// The rows of a completion list.
pub fn candidates(
    suggestions: &[Suggestion],
    presences: &BTreeMap<TagName, Presence>,
) -> Vec<Candidate> {
    suggestions
        .iter()
        .map(|suggestion| {
            let text = suggestion.name.to_string();
            let shift = text.len() - suggestion.name.value.len();
            let offsets: Vec<usize> = suggestion
                .name
                .value
                .char_indices()
                .map(|(at, _)| at + shift)
                .collect();
            Candidate {
                matched: suggestion
                    .matched
                    .iter()
                    .filter_map(|n| offsets.get(*n).copied())
                    .collect(),
                text,
                tag: Some(suggestion.name.clone()),
                count: Some(suggestion.count),
                via: suggestion.via.clone(),
                note: None,
                presence: presences.get(&suggestion.name).copied().unwrap_or_default(),
            }
        })
        .collect()
}

/// The question for a caption. It is one line on the screen: line breaks are shown
/// as a sign, so that none is lost.
pub fn caption_prompt(targets: &[MediaKey], caption: &str) -> Dialog {
    Dialog::prompt(
        "Caption",
        Purpose::Caption {
            targets: targets.to_vec(),
            seen: caption.to_owned(),
        },
        caption.replace('\n', &BREAK.to_string()),
    )
}

/// The caption that a prompt's answer stands for.
pub fn caption_of(answer: &str) -> String {
    answer.replace(BREAK, "\n")
}

fn display_lines(text: &str) -> String {
    text.lines()
        .map(display_text)
        .collect::<Vec<_>>()
        .join("\n")
}

fn presence(have: usize, of: usize) -> Presence {
    match have {
        0 => Presence::None,
        have if have < of => Presence::Some,
        _ => Presence::All,
    }
}

fn tag_name(row: &EditorRow) -> Option<&TagName> {
    match row {
        EditorRow::Tag(row) => Some(&row.name),
        EditorRow::Category { .. } => None,
    }
}

fn with_headings(tags: Vec<TagRow>) -> Vec<EditorRow> {
    let mut rows: Vec<EditorRow> = Vec::new();
    let mut heading = 0;
    let mut category: Option<String> = None;
    for tag in tags {
        if category.as_ref() != Some(&tag.name.category) {
            category = Some(tag.name.category.clone());
            heading = rows.len();
            rows.push(EditorRow::Category {
                name: display_text(&tag.name.category).into_owned(),
                count: 0,
            });
        }
        if let Some(EditorRow::Category { count, .. }) = rows.get_mut(heading) {
            *count += 1;
        }
        rows.push(EditorRow::Tag(tag));
    }
    rows
}

fn print(names: &[TagName]) -> String {
    match names {
        [] => String::new(),
        [name] => name.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
