//! Which keys matter here and now: the hints of the bottom line, and what may follow
//! the keys of a chord.

use super::{
    super::{
        action::{Action, Layer},
        key::Key,
        keymap::Binding,
    },
    App,
};

/// One way to go on after a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextKey {
    pub key: Key,
    /// What it does, or `…` when further keys follow.
    pub help: String,
}

/// A hint of the bottom line: a key and a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub key: String,
    pub word: &'static str,
}

impl App {
    /// The keys that matter here and now, most useful first.
    pub fn hints(&self) -> Vec<Hint> {
        use Action as A;
        let layer = self.layer();
        let wanted: &[(Action, &'static str)] = match layer {
            Layer::Gallery if self.gallery.range.is_some() => &[
                (A::SelectRange, "end range"),
                (A::TagPrompt, "tag"),
                (A::EditTags, "edit"),
                (A::Escape, "leave"),
            ],
            Layer::Gallery => &[
                (A::ToggleSelect, "select"),
                (A::TagPrompt, "tag"),
                (A::EditTags, "edit"),
                (A::Save, "save"),
                (A::EditQuery, "search"),
                (A::Help, "help"),
            ],
            Layer::Viewer => &[
                (A::Next, "next"),
                (A::Previous, "previous"),
                (A::ZoomCycle, "zoom"),
                (A::TagPrompt, "tag"),
                (A::Back, "back"),
                (A::Help, "help"),
            ],
            Layer::Facets => &[
                (A::FacetAdd, "add"),
                (A::FacetExclude, "exclude"),
                (A::Back, "close"),
                (A::Help, "help"),
            ],
            Layer::Editor => &[
                (A::EditorInsert, "type"),
                (A::EditorRemove, "remove"),
                (A::EditorRename, "rename"),
                (A::Undo, "undo"),
                (A::Save, "save"),
                (A::Help, "help"),
            ],
            Layer::EditorInput => &[
                (A::EditorAccept, "add"),
                (A::CompleteNext, "complete"),
                (A::EditorList, "list"),
                (A::Save, "save"),
            ],
            Layer::Monitor => &[
                (A::MonitorPause, "pause"),
                (A::MonitorRetry, "retry"),
                (A::MonitorDetails, "details"),
                (A::MonitorTimes, "times"),
                (A::MonitorCache, "cache"),
                (A::Back, "close"),
                (A::Help, "help"),
            ],
            Layer::Query => &[
                (A::TextAccept, "run"),
                (A::CompleteNext, "complete"),
                (A::QueryNegate, "negate"),
                (A::HistoryPrevious, "history"),
                (A::TextLeave, "cancel"),
            ],
            Layer::Command | Layer::Prompt => &[
                (A::TextAccept, "run"),
                (A::CompleteNext, "complete"),
                (A::TextLeave, "cancel"),
            ],
            Layer::Help => &[(A::TextAccept, "run"), (A::TextLeave, "close")],
            Layer::Dialog => &[(A::DialogAccept, "choose"), (A::DialogCancel, "cancel")],
            Layer::Global | Layer::Text => &[],
        };
        wanted
            .iter()
            .filter_map(|(action, word)| {
                Some(Hint {
                    key: self.keymap.key_of(layer, *action)?,
                    word,
                })
            })
            .collect()
    }

    /// What may follow the keys typed so far; empty while no box is due.
    pub fn next_keys(&self) -> Vec<NextKey> {
        if !self.pending.shows_box {
            return Vec::new();
        }
        if let Some(wanted) = self.pending.letter {
            return self.letters_to_type(wanted);
        }
        self.keymap
            .after(self.layer(), &self.pending.keys)
            .into_iter()
            .map(|(key, binding)| NextKey {
                key,
                help: match binding {
                    Some(Binding::Actions(actions)) => actions
                        .iter()
                        .map(|action| action.help())
                        .collect::<Vec<_>>()
                        .join(", then "),
                    Some(Binding::Command(line)) => format!(":{line}"),
                    None => "…".to_owned(),
                },
            })
            .collect()
    }
}
