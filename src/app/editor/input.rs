//! The field below the list, the tag language in it, and its completions; captions
//! as one line.

use std::{collections::BTreeMap, sync::Arc};

use super::{Editor, EditorRequest};
use crate::{
    app::{
        completion::{Candidate, Completion, Presence},
        context::Context,
        dialog::{Dialog, Purpose},
        message::Effect,
        text_input::TextInput,
    },
    engine::suggest::Suggestion,
    model::{
        edit::Edit,
        id::MediaKey,
        tag::{Tag, TagName},
        tag_line::parse_tag_line,
        text::display_text,
    },
};

/// A line break in a caption while it is edited as one line.
const BREAK: char = '⏎';

impl Editor {
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

    pub(super) fn add_literally(&mut self, ctx: &mut Context<'_>) {
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
