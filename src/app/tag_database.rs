//! The tag database on the screen: its commands, the implications that the data suggest
//! one by one, how a query is understood, why a picture is there, and named searches.

use std::{collections::BTreeMap, time::Duration};

use super::{
    dialog::{Choice, Dialog, Release},
    message::Effect,
    session::App,
};
use crate::{
    engine::{
        event::Level,
        implications::Suggested,
        search::{Plan, Reason},
    },
    model::{
        query::Query,
        tag::{GENERAL, TagName, normalize},
        tagdb::TagEdit,
        text::{display_text, grouped},
    },
};

/// What the command line asks of the tag database and of named searches.
#[derive(Clone, Debug, PartialEq)]
pub enum TagCommand {
    /// Another name, and the tag.
    Alias(String, String),
    Unalias(String),
    /// A tag, and what it implies.
    Imply(String, Vec<String>),
    /// The first becomes the second, and an alias of it.
    Merge(String, String),
    /// A tag, and its new category.
    Category(String, String),
    /// Everything, or what contains a word.
    List(String),
    Suggest,
    /// A tag, and what is suggested where it is.
    SuggestTags(String, Vec<String>),
    /// A tag, and what it does not imply after all.
    Unimply(String, Vec<String>),
    /// A tag, and what is to be known of it.
    Describe(String, String),
    /// A category, its color and its place.
    Look(String, String, Option<i64>),
    Explain,
    Why,
    Related,
    /// Name the search in the query bar.
    NameSearch(String),
    Searches,
}

impl App {
    pub(super) fn run_tag_command(&mut self, command: TagCommand) {
        match command {
            TagCommand::Alias(alias, tag) => self.alias(&alias, &tag),
            TagCommand::Unalias(alias) => self.change_tags(
                format!("{alias} is no alias any more"),
                vec![TagEdit::Unalias(alias)],
            ),
            TagCommand::Imply(tag, implied) => {
                self.relate(&tag, "implies", &implied, |from, to| TagEdit::Imply {
                    from,
                    to,
                });
            }
            TagCommand::Merge(from, to) => {
                let from = self.catalog.stored_name(&from);
                let mut to_name = self.tag_named(&to);
                let is_new = self.catalog.tag_count(&to_name) == 0
                    && !self.catalog.tag_database().knows(&to_name);
                if to_name.category == GENERAL && is_new {
                    to_name.category.clone_from(&from.category);
                }
                self.rename_tag(from, to_name, true);
            }
            TagCommand::Category(tag, category) => {
                let from = self.tag_named(&tag);
                let category = self.catalog.tag_database().category_name(&category);
                let to = TagName::new(&category, &from.value);
                self.rename_tag(from, to, false);
            }
            TagCommand::List(word) => self.list_tags(&word),
            TagCommand::Suggest => self.effects.push(Effect::SuggestImplication { skip: 0 }),
            TagCommand::SuggestTags(tag, others) => {
                self.relate(&tag, "suggests", &others, |from, to| TagEdit::Suggest {
                    from,
                    to,
                });
            }
            TagCommand::Unimply(tag, others) => {
                let edit = |from, to| TagEdit::Unimply { from, to };
                self.relate(&tag, "does not imply", &others, edit);
            }
            TagCommand::Describe(tag, text) => {
                let tag = self.tag_named(&tag);
                let action = format!("description of {tag}");
                self.change_tags(action, vec![TagEdit::Describe(tag, text)]);
            }
            TagCommand::Look(category, color, order) => {
                let name = self.catalog.tag_database().category_name(&category);
                let edit = TagEdit::Category {
                    name: name.clone(),
                    aliases: None,
                    color: Some(if color == "-" { String::new() } else { color }),
                    order,
                    weight: None,
                };
                self.change_tags(format!("looks of {name}"), vec![edit]);
            }
            TagCommand::Explain => self.ask_plan(),
            TagCommand::Why => self.ask_why(),
            TagCommand::Related => self.show_related(),
            TagCommand::NameSearch(name) => {
                let query = self.query_bar.input.text.trim().to_owned();
                self.effects.push(Effect::NameSearch {
                    name,
                    query: Some(query),
                });
            }
            TagCommand::Searches => self.effects.push(Effect::Searches),
        }
    }

    /// A tag as it was written, or what it is an alias of.
    fn tag_named(&self, text: &str) -> TagName {
        let catalog = &self.catalog;
        let category = |value: &str| catalog.category_of(value).map(str::to_owned);
        catalog.tag_database().read_name(text, category)
    }

    fn relate(
        &mut self,
        tag: &str,
        verb: &str,
        others: &[String],
        edit: impl Fn(TagName, TagName) -> TagEdit,
    ) {
        let from = self.tag_named(tag);
        let others: Vec<TagName> = others.iter().map(|tag| self.tag_named(tag)).collect();
        let told: Vec<String> = others.iter().map(ToString::to_string).collect();
        let edits = others
            .into_iter()
            .map(|to| edit(from.clone(), to))
            .collect();
        self.change_tags(format!("{from} {verb} {}", told.join(", ")), edits);
    }

    fn alias(&mut self, alias: &str, tag: &str) {
        let value = normalize(alias);
        let tag = self.tag_named(tag);
        let used: u64 = (self.catalog.tagged_value(&value))
            .map(|(_, media)| media.len())
            .sum();
        if used > 0 && value != tag.value {
            let text =
                format!("{value} is a tag on {used} media; :merge-tag {value} {tag} moves them");
            self.say(Level::Error, &text);
            return;
        }
        let edit = TagEdit::Alias {
            alias: value.clone(),
            tag: tag.clone(),
        };
        self.change_tags(format!("alias {value} of {tag}"), vec![edit]);
    }

    pub(super) fn change_tags(&mut self, action: String, edits: Vec<TagEdit>) {
        self.effects.push(Effect::ChangeTags { action, edits });
    }

    /// Sidecars are rewritten at once, so what is unsaved is saved first.
    pub(super) fn rename_tag(&mut self, from: TagName, to: TagName, leaves_alias: bool) {
        self.save();
        self.effects.push(Effect::RenameTag {
            from,
            to,
            leaves_alias,
        });
    }

    /// How the query is understood and run.
    fn ask_plan(&mut self) {
        match Query::parse(&self.query_bar.input.text, self.catalog.as_ref()) {
            Ok(query) => self.effects.push(Effect::Explain(query)),
            Err(error) => self.say(Level::Error, &error.message),
        }
    }

    /// Each part of a query with what it found, in what time and how.
    pub(super) fn show_plan(&mut self, canonical: String, plan: &Plan) {
        let parts: Vec<String> = plan
            .steps
            .iter()
            .map(|step| format!("{}{}", "  ".repeat(step.depth), display_text(&step.text)))
            .collect();
        let width = parts.iter().map(|part| part.chars().count()).max();
        let width = width.unwrap_or(0).clamp(12, 32);
        let line = |part: &str, rows: u64, elapsed: Duration, how: &str| {
            let part: String = part.chars().take(width).collect();
            let (rows, took) = (grouped(rows), elapsed.as_secs_f64() * 1e3);
            format!("{part:<width$} {rows:>11} {took:>8.2} ms  {how}")
        };
        let mut lines = vec![canonical, String::new()];
        for (part, step) in parts.iter().zip(&plan.steps) {
            lines.push(line(part, step.rows, step.elapsed, step.how.as_str()));
        }
        lines.push(line("together", plan.total, plan.elapsed, ""));
        lines.extend(plan.hint.iter().cloned());
        self.dialogs.push(Dialog::message(
            "How the query is understood and run",
            lines,
        ));
    }

    fn ask_why(&mut self) {
        let Some(key) = self.gallery.current() else {
            self.say(Level::Info, "there is no picture here");
            return;
        };
        match Query::parse(&self.query_bar.input.text, self.catalog.as_ref()) {
            Ok(query) => self.effects.push(Effect::Why { query, key }),
            Err(error) => self.say(Level::Error, &error.message),
        }
    }

    fn show_related(&mut self) {
        let record = self
            .gallery
            .current()
            .and_then(|key| self.catalog.record(key));
        let Some(record) = record else {
            self.say(Level::Info, "there is no picture here");
            return;
        };
        let query = format!("similar:\"{},by=tags\"", record.id());
        self.search(query);
    }

    pub(super) fn show_why(&mut self, reasons: &[Reason]) {
        let lines = reasons.iter().map(|reason| {
            let sign = if reason.is_met { "✓" } else { "✗" };
            let because = match reason.because.as_slice() {
                [] => String::new(),
                because => format!("   {}", because.join(", ")),
            };
            format!("{sign} {}{because}", reason.term)
        });
        let mut lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            lines.push("the query asks for nothing in particular".to_owned());
        }
        self.dialogs.push(Dialog::message("Why it is here", lines));
    }

    /// One implication at a time: yes, never, later.
    pub(super) fn offer_implication(
        &mut self,
        suggested: Option<Suggested>,
        left: usize,
        skip: usize,
    ) {
        let Some(suggested) = suggested else {
            let text = if skip == 0 {
                "no implication is suggested"
            } else {
                "that were all"
            };
            self.say(Level::Info, text);
            return;
        };
        let Suggested { from, to, .. } = &suggested;
        let body = [
            format!("{from} → {to}"),
            format!(
                "{}; sure to {:.0} %; {from} is on {}",
                suggested.evidence,
                suggested.confidence * 100.0,
                suggested.count
            ),
            format!("{left} left. Nothing is written into pictures; u takes it back."),
        ];
        let next = |skip: usize| Release::Effect(Effect::SuggestImplication { skip });
        let change = |action: String, edit: TagEdit| {
            Release::Effect(Effect::ChangeTags {
                action,
                edits: vec![edit],
            })
        };
        let imply = TagEdit::Imply {
            from: from.clone(),
            to: to.clone(),
        };
        let refuse = TagEdit::Refuse {
            from: from.clone(),
            to: to.clone(),
        };
        let choices = vec![
            Choice::new(
                "Yes, it does",
                'y',
                vec![change(format!("{from} implies {to}"), imply), next(skip)],
            ),
            Choice::new(
                "No, never ask again",
                'n',
                vec![
                    change(format!("{from} does not imply {to}"), refuse),
                    next(skip),
                ],
            ),
            Choice::new("Later", 'l', vec![next(skip + 1)]),
            Choice::new("Enough", 'q', Vec::new()),
        ];
        self.dialogs
            .push(Dialog::choice("Does it imply this?", body, choices));
    }

    pub(super) fn show_searches(&mut self, searches: &BTreeMap<String, String>) {
        if searches.is_empty() {
            self.say(
                Level::Info,
                "no search is named yet; Ctrl-b in the query bar names one",
            );
            return;
        }
        let rows = searches.iter().map(|(name, query)| {
            let release = vec![Release::Search(query.clone())];
            Choice::new(&format!("{name}   {query}"), None, release)
        });
        let title = "Named searches: Enter runs one";
        self.dialogs
            .push(Dialog::choice(title, None, rows.collect()));
    }
}
