//! Modals, stacked: a message, a choice, a one-line question. Each answer holds
//! what it releases, so that nothing else has to remember why was asked.

use super::{
    action::Action,
    completion::Completion,
    list,
    message::{Effect, LayoutKind, ScreenEffect},
    text_input::TextInput,
};
use crate::{
    engine::{
        Past,
        event::{IndexLack, IndexOffer},
    },
    model::{
        id::MediaKey,
        operation::OperationId,
        tag::TagName,
        text::{display_text, grouped},
    },
};

/// One modal. All its text is safe to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    pub title: String,
    /// Lines above the answers; the screen wraps them.
    pub body: Vec<String>,
    pub kind: DialogKind,
    /// What keys do besides; a line below the answers.
    pub footer: String,
    /// Of what it is a list, so that it can be made anew.
    pub subject: Option<Subject>,
}

/// What a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The tags of the database that contain this.
    Tags(String),
}

/// What a modal asks.
#[derive(Clone, Debug, PartialEq)]
pub enum DialogKind {
    /// Nothing: it is read and closed. `scroll` is the first line shown.
    Message { scroll: usize },
    /// Buttons or lines, one of them highlighted.
    Choice { choices: Vec<Choice>, cursor: usize },
    /// A line of text, drawn where the command line is.
    Prompt(Box<Prompt>),
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub label: String,
    /// Pressing it takes this answer at once.
    pub key: Option<char>,
    /// Drawn in the color of danger.
    pub is_destructive: bool,
    pub release: Vec<Release>,
    /// What other keys set free while it is highlighted.
    pub keyed: Vec<Keyed>,
}

/// What a key sets free.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyed {
    pub key: char,
    pub release: Vec<Release>,
}

/// What an answer sets free.
#[derive(Clone, Debug, PartialEq)]
pub enum Release {
    Effect(Effect),
    /// Take back so many unsaved steps.
    UndoUnsaved(usize),
    /// Take an operation of the journal back, or do it again.
    Revert {
        id: OperationId,
        is_redo: bool,
    },
    /// Save everything and leave when it is saved.
    SaveAndQuit,
    /// Leave without the unsaved edits.
    DiscardAndQuit,
    /// Move to the trash, after saving what is unsaved.
    Trash(Vec<MediaKey>),
    /// Run a query.
    Search(String),
    /// Open the command line with this, the cursor between the two.
    Type {
        before: String,
        after: String,
    },
    /// Ask something else on top.
    Ask(Box<Dialog>),
    /// The dialog stays.
    Stay,
}

/// A one-line question with completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub purpose: Purpose,
    pub input: TextInput,
    pub completion: Completion,
    /// Why the answer was refused; drawn until it changes. Safe to draw.
    pub error: Option<String>,
}

/// What the answer of a prompt is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Tag(Vec<MediaKey>),
    Untag(Vec<MediaKey>),
    RenameTag {
        targets: Vec<MediaKey>,
        from: TagName,
    },
    Caption {
        targets: Vec<MediaKey>,
        /// The caption of the first as it was shown.
        seen: String,
    },
    Name(Vec<MediaKey>),
    FindTag,
}

impl Dialog {
    pub fn message(title: &str, body: impl IntoIterator<Item = String>) -> Self {
        Self {
            title: title.to_owned(),
            body: safe(body),
            kind: DialogKind::Message { scroll: 0 },
            footer: String::new(),
            subject: None,
        }
    }

    pub fn choice(
        title: &str,
        body: impl IntoIterator<Item = String>,
        choices: Vec<Choice>,
    ) -> Self {
        Self {
            title: title.to_owned(),
            body: safe(body),
            kind: DialogKind::Choice { choices, cursor: 0 },
            footer: String::new(),
            subject: None,
        }
    }

    /// A question with the text it starts from.
    pub fn prompt(title: &str, purpose: Purpose, text: impl Into<String>) -> Self {
        Self {
            title: display_text(title).into_owned(),
            body: Vec::new(),
            kind: DialogKind::Prompt(Box::new(Prompt {
                purpose,
                input: TextInput::new(text),
                completion: Completion::default(),
                error: None,
            })),
            footer: String::new(),
            subject: None,
        }
    }

    /// What leaving with unsaved edits asks. `failed` says why the last save failed.
    pub fn quit(unsaved: usize, failed: Option<&str>) -> Self {
        let what = if unsaved == 1 {
            "1 picture has edits that are not saved.".to_owned()
        } else {
            format!("{unsaved} pictures have edits that are not saved.")
        };
        let why = failed.map(|reason| format!("The last save failed: {reason}"));
        Self::choice(
            "Quit",
            std::iter::once(what).chain(why),
            vec![
                Choice::new("Save and quit", 's', vec![Release::SaveAndQuit]),
                Choice::destructive("Discard them and quit", 'd', vec![Release::DiscardAndQuit]),
                Choice::new("Stay", 'c', Vec::new()),
            ],
        )
    }

    /// Moving several media, or one with unsaved edits, to the trash.
    pub fn trash(keys: Vec<MediaKey>, unsaved: usize) -> Self {
        let what = match keys.len() {
            1 => "Move this picture to the trash?".to_owned(),
            n => format!("Move {n} pictures to the trash?"),
        };
        let saved = (unsaved > 0).then(|| "Unsaved edits are saved before.".to_owned());
        Self::choice(
            "Trash",
            std::iter::once(what)
                .chain(saved)
                .chain(["Undo brings them back; they stay in the folder deleted/.".to_owned()]),
            vec![
                Choice::destructive("Move to the trash", 'y', vec![Release::Trash(keys)]),
                Choice::new("Keep", 'n', Vec::new()),
            ],
        )
    }

    /// Making the index that a library lacks. `stop` is the key that stops a job.
    pub fn index(offer: &IndexOffer, stop: Option<&str>) -> Self {
        let (indexed, total) = (grouped(offer.indexed), grouped(offer.total));
        let (title, what) = match &offer.lack {
            IndexLack::New => (
                "No index",
                format!("This library has no index yet: {total} media."),
            ),
            IndexLack::Unfinished => (
                "Unfinished index",
                format!("The index of this library holds {indexed} of {total} media."),
            ),
            IndexLack::Unusable(reason) => (
                "Unusable index",
                format!(
                    "The index cannot be used ({reason}) and stays as it is. \
                     Another one has to be made: {total} media."
                ),
            ),
        };
        let stop = stop.map_or_else(String::new, |key| format!("{key} stops it, "));
        Self::choice(
            title,
            [
                what,
                format!("Until it is whole, only these {indexed} are shown and found."),
                format!("It is made in the background; {stop}:rebuild goes on at any time."),
            ],
            vec![
                Choice::new("Build it now", 'b', vec![Release::Effect(Effect::Rebuild)]),
                Choice::new("Not now", 'n', Vec::new()),
            ],
        )
    }

    /// Opening a folder that is no library yet, which `what` it is being said.
    pub fn create(what: String, kind: LayoutKind) -> Self {
        let (label, key, how) = match kind {
            LayoutKind::InPlace => (
                "Make it a library in place",
                'i',
                "In place: nothing is moved or renamed. Tags go into small files beside the \
                 pictures, everything else into the folder .tagloupe/.",
            ),
            LayoutKind::Bucketed | LayoutKind::Flat => (
                "Make a library here",
                'm',
                "What you drop into its folder ingest/ is filed by its content, each picture once.",
            ),
        };
        let create = Release::Effect(Effect::Screen(ScreenEffect::Create(kind)));
        Self::choice(
            "No library",
            [
                what,
                how.to_owned(),
                "Nothing is written before you answer.".to_owned(),
            ],
            vec![
                Choice::new(label, key, vec![create]),
                Choice::new("Leave it alone", 'n', Vec::new()),
            ],
        )
    }

    /// What was done, newest first: unsaved steps, then what the journal has. Choosing
    /// an entry takes it back, or does it again.
    pub fn history(unsaved: &[String], past: &[Past]) -> Self {
        let unsaved = unsaved
            .iter()
            .rev()
            .enumerate()
            .map(|(newer, label)| Choice {
                label: display_text(&format!("● {label}, not saved")).into_owned(),
                key: None,
                is_destructive: false,
                release: vec![Release::UndoUnsaved(newer + 1)],
                keyed: Vec::new(),
            });
        let past = past.iter().map(|past| {
            let mark = match (past.is_unfinished, past.is_undone) {
                (true, _) => "…",
                (false, true) => "↷",
                (false, false) => " ",
            };
            let at = past.at.get(..16).unwrap_or(&past.at).replace('T', " ");
            let line = format!("{mark} {at}  {}", past.action);
            let release = Release::Revert {
                id: past.id,
                is_redo: past.is_undone,
            };
            Choice {
                label: display_text(&line).into_owned(),
                key: None,
                is_destructive: false,
                keyed: Vec::new(),
                release: vec![release],
            }
        });
        Self::choice(
            "History: Enter takes back, or does again what is marked ↷",
            None,
            unsaved.chain(past).collect(),
        )
    }

    /// Moves in it; says whether the action was a motion. `height` is a page.
    pub fn act(&mut self, action: Action, n: Option<usize>, height: usize) -> bool {
        match &mut self.kind {
            DialogKind::Message { scroll } => {
                match list::motion(action, n, *scroll, self.body.len(), height) {
                    Some(line) => *scroll = line,
                    None => return false,
                }
            }
            DialogKind::Choice { choices, cursor } => {
                match list::motion(action, n, *cursor, choices.len(), height) {
                    // A step past the end goes round, as buttons do.
                    Some(to) if to == *cursor && action == Action::CursorDown => *cursor = 0,
                    Some(to) if to == *cursor && action == Action::CursorUp => {
                        *cursor = choices.len().saturating_sub(1);
                    }
                    Some(to) => *cursor = to,
                    None => return false,
                }
            }
            DialogKind::Prompt(_) => return false,
        }
        true
    }

    /// What the highlighted answer releases.
    pub fn chosen(&self) -> Vec<Release> {
        match &self.kind {
            DialogKind::Choice { choices, cursor } => choices
                .get(*cursor)
                .map_or_else(Vec::new, |choice| choice.release.clone()),
            DialogKind::Message { .. } | DialogKind::Prompt(_) => Vec::new(),
        }
    }

    /// Highlights the answer with this key; says whether there is one.
    pub fn choose(&mut self, key: char) -> bool {
        let DialogKind::Choice { choices, cursor } = &mut self.kind else {
            return false;
        };
        match choices.iter().position(|choice| choice.key == Some(key)) {
            Some(place) => {
                *cursor = place;
                true
            }
            None => false,
        }
    }

    /// What a key sets free that is no answer.
    pub fn keyed(&self, key: char) -> Option<Vec<Release>> {
        let DialogKind::Choice { choices, cursor } = &self.kind else {
            return None;
        };
        let mut keyed = choices.get(*cursor)?.keyed.iter();
        let found = keyed.find(|keyed| keyed.key == key)?;
        Some(found.release.clone())
    }

    pub fn as_prompt(&self) -> Option<&Prompt> {
        match &self.kind {
            DialogKind::Prompt(prompt) => Some(prompt),
            DialogKind::Message { .. } | DialogKind::Choice { .. } => None,
        }
    }

    pub fn as_prompt_mut(&mut self) -> Option<&mut Prompt> {
        match &mut self.kind {
            DialogKind::Prompt(prompt) => Some(prompt),
            DialogKind::Message { .. } | DialogKind::Choice { .. } => None,
        }
    }
}

impl Choice {
    /// An answer; the label may come from data.
    pub fn new(label: &str, key: impl Into<Option<char>>, release: Vec<Release>) -> Self {
        Self {
            label: display_text(label).into_owned(),
            key: key.into(),
            is_destructive: false,
            release,
            keyed: Vec::new(),
        }
    }

    fn destructive(label: &str, key: char, release: Vec<Release>) -> Self {
        Self {
            is_destructive: true,
            ..Self::new(label, key, release)
        }
    }
}

fn safe(body: impl IntoIterator<Item = String>) -> Vec<String> {
    body.into_iter()
        .map(|line| display_text(&line).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_releases_what_it_holds() {
        let mut dialog = Dialog::quit(3, Some("disk\nfull"));
        assert_eq!(dialog.body.len(), 2);
        assert!(dialog.body[1].ends_with("disk\u{fffd}full"));
        assert_eq!(dialog.chosen(), [Release::SaveAndQuit]);
        assert!(dialog.choose('d'));
        assert_eq!(dialog.chosen(), [Release::DiscardAndQuit]);
        assert!(!dialog.choose('x'));
        dialog.act(Action::CursorDown, None, 10);
        assert_eq!(dialog.chosen(), []);
        dialog.act(Action::CursorDown, None, 10);
        assert_eq!(dialog.chosen(), [Release::SaveAndQuit], "it goes round");
    }

    #[test]
    fn the_history_tells_what_choosing_does() {
        let past = |action: &str, is_undone| Past {
            id: OperationId(7),
            at: "2026-01-02T03:04:05Z".into(),
            host: "desk".into(),
            user: "me".into(),
            action: action.into(),
            media: 1,
            is_ingest: false,
            is_undone,
            is_unfinished: false,
        };
        let unsaved = ["x".to_owned(), "y\u{1b}".to_owned()];
        let mut dialog = Dialog::history(&unsaved, &[past("b", true), past("a", false)]);
        let DialogKind::Choice { choices, .. } = &dialog.kind else {
            panic!("a choice");
        };
        let lines: Vec<&str> = choices.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(
            lines,
            [
                "● y\u{fffd}, not saved",
                "● x, not saved",
                "↷ 2026-01-02 03:04  b",
                "  2026-01-02 03:04  a",
            ]
        );
        assert_eq!(dialog.chosen(), [Release::UndoUnsaved(1)]);
        dialog.act(Action::CursorDown, Some(2), 10);
        let id = OperationId(7);
        assert_eq!(dialog.chosen(), [Release::Revert { id, is_redo: true }]);
    }
}
