//! The list of the editor: one row for each tag of what is being edited, with how
//! many of the targets have it.

use std::collections::{HashMap, HashSet};

use super::Editor;
use crate::{
    app::{completion::Presence, context::Context},
    model::{tag::TagName, text::display_text},
};

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

impl Editor {
    /// The tags of a few media, as they come.
    pub(super) fn target_rows(&self, ctx: &Context<'_>) -> Vec<TagRow> {
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
    pub(super) fn counted_rows(&self) -> Vec<TagRow> {
        let of = self.targets.len();
        self.counts
            .iter()
            .flat_map(|rows| rows.iter_from(0))
            .map(|(name, count)| {
                let have = usize::try_from(count).unwrap_or(of);
                TagRow {
                    name: name.clone(),
                    text: display_text(&name.value).into_owned(),
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
}

fn presence(have: usize, of: usize) -> Presence {
    match have {
        0 => Presence::None,
        have if have < of => Presence::Some,
        _ => Presence::All,
    }
}

pub(super) fn tag_name(row: &EditorRow) -> Option<&TagName> {
    match row {
        EditorRow::Tag(row) => Some(&row.name),
        EditorRow::Category { .. } => None,
    }
}

pub(super) fn with_headings(tags: Vec<TagRow>) -> Vec<EditorRow> {
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
