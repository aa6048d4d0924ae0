//! Text fields: the query bar, the command line, prompts, the editor's input and the
//! search of the help share their keys, and differ in what a change and Enter do.

use super::{
    action::{Action, Layer},
    command_line::Command,
    completion::{Candidate, Completion, Presence},
    context::Context,
    dialog::{Dialog, Prompt, Purpose},
    editor::{self, EditorMode},
    help::HelpRow,
    session::{App, shared},
    text_input::TextInput,
};
use crate::model::{
    edit::Edit,
    id::MediaKey,
    query::Vocabulary,
    tag::{TagName, normalize_category},
};

/// What Enter in a text field leads to.
pub(super) enum Then {
    Act(Action),
    Run(Command),
}

impl App {
    /// The field that is being typed into.
    pub(super) fn field(&mut self) -> Option<(&mut TextInput, Option<&mut Completion>)> {
        match self.layer() {
            Layer::Prompt => {
                let prompt = self.dialogs.last_mut()?.as_prompt_mut()?;
                Some((&mut prompt.input, Some(&mut prompt.completion)))
            }
            Layer::Command => Some((
                &mut self.command_line.input,
                Some(&mut self.command_line.completion),
            )),
            Layer::Query => Some((
                &mut self.query_bar.input,
                Some(&mut self.query_bar.completion),
            )),
            Layer::EditorInput => Some((&mut self.editor.input, Some(&mut self.editor.completion))),
            Layer::Help => Some((&mut self.help.input, None)),
            _ => None,
        }
    }

    pub(super) fn type_text(&mut self, text: &str) {
        if let Some((input, completion)) = self.field() {
            if let Some(completion) = completion {
                completion.put_chosen(input);
            }
            input.insert_str(text);
            self.text_changed();
        }
    }

    fn text_changed(&mut self) {
        match self.layer() {
            Layer::Prompt => self.prompt_changed(),
            Layer::Command => self.command_line.changed(&self.themes),
            Layer::Query => {
                let mut ctx = shared!(self);
                self.query_bar.changed(self.gallery.sort, &mut ctx);
            }
            Layer::EditorInput => {
                let mut ctx = shared!(self);
                self.editor.changed(&mut ctx);
            }
            Layer::Help => self.help.search(&self.keymap),
            _ => {}
        }
    }

    pub(super) fn prompt_changed(&mut self) {
        let mut dialogs = std::mem::take(&mut self.dialogs);
        if let Some(prompt) = dialogs.last_mut().and_then(Dialog::as_prompt_mut) {
            prompt.error = None;
            let mut ctx = shared!(self);
            match &prompt.purpose {
                Purpose::Tag(targets) => {
                    let context = targets
                        .first()
                        .map_or_else(Vec::new, |key| ctx.tag_names(*key));
                    prompt.completion = editor::ask_completion(&prompt.input, context, &mut ctx);
                }
                Purpose::Untag(targets) => {
                    prompt.completion = present_tags(&prompt.input, targets, &ctx);
                }
                Purpose::RenameTag { .. } => {
                    prompt.completion = editor::ask_completion(&prompt.input, Vec::new(), &mut ctx);
                }
                Purpose::Caption { .. } | Purpose::Name(_) | Purpose::FindTag => {}
            }
        }
        self.dialogs = dialogs;
    }

    /// Runs an action of text fields; says whether it was one.
    pub(super) fn edit_text(&mut self, action: Action) -> bool {
        use Action as A;
        let Some((input, completion)) = self.field() else {
            return false;
        };
        if let Some(completion) = completion {
            match action {
                A::CompleteNext => {
                    completion.choose_next();
                    return true;
                }
                A::CompletePrevious => {
                    completion.choose_previous();
                    return true;
                }
                _ => {}
            }
        }
        match action {
            A::TextLeft => input.left(),
            A::TextRight => input.right(),
            A::TextWordLeft => input.word_left(),
            A::TextWordRight => input.word_right(),
            A::TextHome => input.home(),
            A::TextEnd => input.end(),
            A::TextBackspace
            | A::TextDelete
            | A::TextDeleteWord
            | A::TextDeleteToStart
            | A::TextDeleteToEnd => {
                let changed = match action {
                    A::TextBackspace => input.backspace(),
                    A::TextDelete => input.delete(),
                    A::TextDeleteWord => input.delete_word_left(),
                    A::TextDeleteToStart => input.delete_to_start(),
                    _ => input.delete_to_end(),
                };
                if changed {
                    self.text_changed();
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn accept_text(&mut self) -> Option<Then> {
        match self.layer() {
            Layer::Prompt => {
                self.accept_prompt();
                None
            }
            Layer::Command => self.command_line.accept().map(Then::Run),
            Layer::Query => {
                let mut ctx = shared!(self);
                self.query_bar.accept(self.gallery.sort, &mut ctx);
                None
            }
            Layer::Help => {
                let row = self.help.current().cloned();
                self.help.close();
                match row? {
                    HelpRow::Action { action, .. } => Some(Then::Act(action)),
                    HelpRow::Command { usage, .. } => {
                        let word = usage.split_whitespace().next().unwrap_or_default();
                        let space = if usage.contains(' ') { " " } else { "" };
                        self.command_line.open(&format!("{word}{space}"));
                        None
                    }
                    HelpRow::Heading(_) | HelpRow::Commands => None,
                }
            }
            _ => None,
        }
    }

    pub(super) fn leave_text(&mut self) {
        match self.layer() {
            Layer::Prompt => {
                self.dialogs.pop();
            }
            Layer::Command => self.command_line.close(),
            Layer::Query => {
                let mut ctx = shared!(self);
                self.query_bar.leave(self.gallery.sort, &mut ctx);
            }
            Layer::Help => self.help.close(),
            Layer::EditorInput => {
                self.editor.mode = EditorMode::List;
                self.editor.completion.close();
            }
            _ => {}
        }
    }

    fn accept_prompt(&mut self) {
        let Some(mut dialog) = self.dialogs.pop() else {
            return;
        };
        let Some(prompt) = dialog.as_prompt_mut() else {
            return;
        };
        prompt.completion.put_chosen(&mut prompt.input);
        if let Err(error) = self.answer(prompt) {
            prompt.error = Some(error);
            prompt.completion.close();
            self.dialogs.push(dialog);
        }
    }

    /// Does what the answer of a prompt asks for.
    fn answer(&mut self, prompt: &Prompt) -> Result<(), String> {
        let line = prompt.input.text.trim();
        let mut ctx = shared!(self);
        match &prompt.purpose {
            Purpose::Tag(targets) => {
                if !line.is_empty() {
                    let edits = editor::edits_of(line, &ctx)?;
                    ctx.edit(&format!("tag {line}"), targets, edits);
                }
            }
            Purpose::Untag(targets) => {
                let edits = removals(line, &ctx)?;
                if !edits.is_empty() {
                    ctx.edit(&format!("untag {line}"), targets, edits);
                }
            }
            Purpose::RenameTag { targets, from } => {
                let to = tag_of(line, &ctx).ok_or("a tag needs a name")?;
                let edit = Edit::RenameTag {
                    from: from.clone(),
                    to: ctx.user_tag(&to),
                };
                ctx.edit(&format!("rename {from} to {to}"), targets, vec![edit]);
            }
            Purpose::Caption { targets, seen } => {
                let caption = editor::caption_of(&prompt.input.text);
                ctx.edit_caption(targets, caption, seen);
            }
            Purpose::Name(targets) => {
                ctx.edit("name", targets, vec![Edit::SetName(line.to_owned())]);
            }
            Purpose::FindTag => self.editor.find_first(line),
        }
        Ok(())
    }

    /// The keys of single text fields beyond plain editing.
    pub(super) fn edit_line(&mut self, action: Action) {
        use Action as A;
        if self.layer() == Layer::Command {
            match action {
                A::HistoryPrevious => self.command_line.older(),
                A::HistoryNext => self.command_line.newer(),
                _ => {}
            }
            return;
        }
        let sort = self.gallery.sort;
        let mut ctx = shared!(self);
        let bar = &mut self.query_bar;
        match action {
            A::HistoryPrevious => bar.older(sort, &mut ctx),
            A::HistoryNext => bar.newer(sort, &mut ctx),
            A::QueryNegate => bar.negate(sort, &mut ctx),
            A::QueryKeep => {
                bar.keep(sort, &mut ctx);
                self.command_line.open("name-search ");
            }
            A::QueryOr => bar.offer_or(sort, &mut ctx),
            A::QueryText => bar.as_text(sort, &mut ctx),
            _ => {}
        }
    }
}

/// The tag a word names: with its category, or with the one the library knows it by.
pub(super) fn tag_of(word: &str, ctx: &Context<'_>) -> Option<TagName> {
    let word = word.trim();
    if let Some((category, value)) = word.split_once(':')
        && !value.is_empty()
        && ctx.catalog.is_category(&normalize_category(category))
    {
        return Some(TagName::new(category, value));
    }
    let name = TagName::new("", word);
    if name.value.is_empty() {
        return None;
    }
    let category = ctx.catalog.category_of(&name.value).unwrap_or_default();
    Some(TagName::new(category, &name.value))
}

/// The edits that remove the tags of a line, separated as in the tag language.
pub(super) fn removals(line: &str, ctx: &Context<'_>) -> Result<Vec<Edit>, String> {
    let words: Vec<&str> = if line.contains(',') {
        line.split(',').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    };
    let at = ctx.now_text();
    words
        .into_iter()
        .map(|word| word.trim_start_matches('-'))
        .filter(|word| !word.is_empty())
        .map(|word| {
            let name = tag_of(word, ctx).ok_or_else(|| format!("no tag {word:?}"))?;
            Ok(Edit::RemoveTag {
                name,
                at: at.clone(),
            })
        })
        .collect()
}

/// The tags that the targets have, as completions of the word at the cursor.
fn present_tags(input: &TextInput, targets: &[MediaKey], ctx: &Context<'_>) -> Completion {
    let mut counts: Vec<(TagName, usize)> = Vec::new();
    // More would take too long, and the list would be too long to read.
    let looked_at = &targets[..targets.len().min(200)];
    for name in looked_at.iter().flat_map(|key| ctx.tag_names(*key)) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let mut range = input.word();
    range.end = input.cursor;
    let typed = input.text[range.clone()]
        .trim_start_matches('-')
        .to_lowercase();
    let items = counts
        .into_iter()
        .filter(|(name, _)| name.to_string().contains(&typed))
        .map(|(name, count)| Candidate {
            text: name.to_string(),
            count: Some(ctx.catalog.tag_count(&name)),
            presence: if count < looked_at.len() {
                Presence::Some
            } else {
                Presence::All
            },
            tag: Some(name),
            ..Candidate::default()
        })
        .collect();
    Completion {
        items,
        range,
        ..Completion::default()
    }
}
