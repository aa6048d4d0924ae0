//! The tag database as a list that is worked in: a key for each thing that can be said
//! of the tag under the cursor. Each opens the command that says it, so that what is
//! typed is checked and undone in one place.

use super::{
    dialog::{Choice, Dialog, DialogKind, Keyed, Release, Subject},
    message::Effect,
    session::App,
};
use crate::{
    engine::event::Level,
    model::{
        tag::{TagName, normalize},
        tagdb::{TagDb, TagEdit, TagRow},
    },
};

/// Rows of a list on the screen.
const MAX_ROWS: usize = 2_000;
/// What the keys of the list do.
const FOOTER: &str =
    "Enter search · a alias · i imply · s suggest · c category · d describe · h hide · x remove";

impl App {
    pub(super) fn list_tags(&mut self, word: &str) {
        if let Some(dialog) = tag_list(self.catalog.tag_database(), &normalize(word)) {
            self.dialogs.push(dialog);
            return;
        }
        let text = if word.is_empty() {
            "nothing is known of any tag yet; :alias, :imply and :suggestions begin it"
        } else {
            "no such tag, alias or category in the tag database"
        };
        self.say(Level::Info, text);
    }

    /// Closes the list on top, to come back to it after the command that it opens.
    pub(super) fn leave_list(&mut self) {
        if let Some(Dialog {
            subject: Some(Subject::Tags(word)),
            kind: DialogKind::Choice { cursor, .. },
            ..
        }) = self.dialogs.pop()
        {
            self.left_tag_list = Some((word, cursor));
        }
    }

    /// A command that was opened from the list has ended: the list comes back.
    pub(super) fn reopen_tag_list(&mut self) {
        if self.command_line.is_open || !self.dialogs.is_empty() {
            return;
        }
        if let Some((word, at)) = self.left_tag_list.take()
            && let Some(mut dialog) = tag_list(self.catalog.tag_database(), &word)
        {
            move_to(&mut dialog, at);
            self.dialogs.push(dialog);
        }
    }

    /// Makes the list anew while it is shown: the database has changed.
    pub(super) fn refresh_tag_list(&mut self) {
        let Some(shown) = self.dialogs.last_mut() else {
            return;
        };
        let (Some(Subject::Tags(word)), DialogKind::Choice { cursor, .. }) =
            (&shown.subject, &shown.kind)
        else {
            return;
        };
        let at = *cursor;
        match tag_list(self.catalog.tag_database(), word) {
            Some(mut dialog) => {
                move_to(&mut dialog, at);
                *shown = dialog;
            }
            None => {
                self.dialogs.pop();
            }
        }
    }

    /// Opens the command line with the beginning of a command, to come back to the list
    /// afterward.
    pub(super) fn type_command(&mut self, before: &str, after: &str) {
        self.command_line.open(&format!("{before}{after}"));
        self.command_line.input.cursor = before.len();
    }
}

fn move_to(dialog: &mut Dialog, at: usize) {
    if let DialogKind::Choice { choices, cursor } = &mut dialog.kind {
        *cursor = at.min(choices.len().saturating_sub(1));
    }
}

/// The tags of which something is known and that contain a word; `None` without any.
fn tag_list(tags: &TagDb, word: &str) -> Option<Dialog> {
    let is_wanted = |name: &TagName, row: &TagRow| {
        let mut texts = row.aliases.iter().chain([&name.value, &name.category]);
        word.is_empty() || texts.any(|text| text.contains(word))
    };
    let rows: Vec<Choice> = tags
        .rows()
        .filter(|(name, row)| is_wanted(name, row))
        .take(MAX_ROWS)
        .map(|(name, row)| choice(name, row))
        .collect();
    let dialog = Dialog::choice("Tag database", None, rows);
    let is_empty = matches!(&dialog.kind, DialogKind::Choice { choices, .. } if choices.is_empty());
    (!is_empty).then(|| Dialog {
        footer: FOOTER.to_owned(),
        subject: Some(Subject::Tags(word.to_owned())),
        ..dialog
    })
}

fn choice(name: &TagName, row: &TagRow) -> Choice {
    let typed = |key, before: &str, after: String| Keyed {
        key,
        release: vec![Release::Type {
            before: before.to_owned(),
            after,
        }],
    };
    let hide = Release::Effect(Effect::ChangeTags {
        action: format!(
            "{name} is {}",
            if row.is_hidden { "shown" } else { "hidden" }
        ),
        edits: vec![TagEdit::Hide(name.clone(), !row.is_hidden)],
    });
    let search = Release::Search(super::query_bar::term_of(name));
    Choice {
        keyed: vec![
            typed('a', "alias ", format!(" {name}")),
            typed('i', &format!("imply {name} "), String::new()),
            typed('s', &format!("suggest {name} "), String::new()),
            typed('c', &format!("category {name} "), String::new()),
            typed('d', &format!("describe {name} "), row.description.clone()),
            Keyed {
                key: 'h',
                release: vec![Release::Stay, hide],
            },
            Keyed {
                key: 'x',
                release: vec![Release::Stay, Release::Ask(Box::new(removal(name, row)))],
            },
        ],
        ..Choice::new(&line(name, row), None, vec![search])
    }
}

/// What can be taken away from a tag.
fn removal(name: &TagName, row: &TagRow) -> Dialog {
    let remove = |what: String, edit: TagEdit| {
        let action = format!("{name}: not {what}");
        let edits = vec![edit];
        Choice::new(
            &what,
            None,
            vec![Release::Effect(Effect::ChangeTags { action, edits })],
        )
    };
    let from = || name.clone();
    let aliases = row
        .aliases
        .iter()
        .map(|alias| remove(format!("alias {alias}"), TagEdit::Unalias(alias.clone())));
    let implied = row.implies.iter().cloned().map(|to| {
        let from = from();
        remove(format!("implies {to}"), TagEdit::Unimply { from, to })
    });
    let suggested = row.suggests.iter().cloned().map(|to| {
        let from = from();
        remove(format!("suggests {to}"), TagEdit::Unsuggest { from, to })
    });
    let mut choices: Vec<Choice> = aliases.chain(implied).chain(suggested).collect();
    if !row.description.is_empty() {
        let edit = TagEdit::Describe(from(), String::new());
        choices.push(remove("its description".to_owned(), edit));
    }
    for (is_on, what, edit) in [
        (row.is_hidden, "hidden", TagEdit::Hide(from(), false)),
        (
            row.is_deprecated,
            "deprecated",
            TagEdit::Deprecate(from(), false),
        ),
    ] {
        if is_on {
            choices.push(remove(what.to_owned(), edit));
        }
    }
    choices.push(Choice::new("Nothing", None, Vec::new()));
    let body = [format!("What is not to be known of {name} any more?")];
    Dialog::choice("Remove", body, choices)
}

fn line(name: &TagName, row: &TagRow) -> String {
    let names = |names: &[TagName]| -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let mut line = name.to_string();
    for (sign, text) in [
        ("=", row.aliases.join(", ")),
        ("→", names(&row.implies)),
        ("+", names(&row.suggests)),
        ("·", row.description.clone()),
    ] {
        if !text.is_empty() {
            for part in ["  ", sign, " ", &text] {
                line.push_str(part);
            }
        }
    }
    for (word, is_on) in [("hidden", row.is_hidden), ("deprecated", row.is_deprecated)] {
        if is_on {
            line.push_str("  ");
            line.push_str(word);
        }
    }
    line
}
