//! The completion list below a text field: what is offered, what is chosen, and
//! which request it answers.

use super::{query_bar::term_of, text_input::TextInput};
use crate::model::tag::TagName;

/// One line of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// What stands in the list and is put into the text.
    pub text: String,
    /// The tag, when it is one; its category gives the colour.
    pub tag: Option<TagName>,
    /// How many media have it; right-aligned.
    pub count: Option<u64>,
    /// What was matched instead, shown as `via → text`.
    pub via: Option<String>,
    /// Help shown behind it, for commands.
    pub note: Option<String>,
    /// Byte offsets in `text` of the letters that matched, to be set off.
    pub matched: Vec<usize>,
    /// Whether the media being edited have it: none, some (`±`), all (`✓`).
    pub presence: Presence,
}

/// How many of the media being edited have something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    #[default]
    None,
    Some,
    All,
}

/// The list and its state. Empty means: draw none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    pub items: Vec<Candidate>,
    /// The highlighted line; none until the user chooses one.
    pub chosen: Option<usize>,
    /// The newest request; an answer to an older one is dropped.
    pub generation: u64,
    /// The bytes of the text that a candidate replaces.
    pub range: std::ops::Range<usize>,
}

impl Completion {
    /// Takes an answer when it is the one that was asked for last.
    pub fn receive(&mut self, generation: u64, items: Vec<Candidate>) -> bool {
        if generation != self.generation {
            return false;
        }
        self.items = items;
        self.chosen = None;
        true
    }

    /// Takes tags for the query, where some must be written differently.
    pub fn receive_terms(&mut self, generation: u64, mut items: Vec<Candidate>) -> bool {
        for item in &mut items {
            if let Some(tag) = &item.tag {
                let term = term_of(tag);
                if term != item.text {
                    item.matched.clear();
                    item.text = term;
                }
            }
        }
        self.receive(generation, items)
    }

    /// Puts the chosen candidate in place of what was typed; a sign before it stays.
    pub fn put_chosen(&mut self, input: &mut TextInput) -> bool {
        let Some(candidate) = self.chosen() else {
            return false;
        };
        let typed = input.text.get(self.range.clone()).unwrap_or_default();
        let sign = match typed.chars().next() {
            Some(c @ ('-' | '+')) => c.to_string(),
            _ => String::new(),
        };
        let text = format!("{sign}{}", candidate.text);
        input.replace(self.range.clone(), &text);
        self.close();
        true
    }

    /// Takes the list away; an answer still on its way is dropped too.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    pub fn choose_next(&mut self) {
        if !self.items.is_empty() {
            self.chosen = Some(self.chosen.map_or(0, |at| (at + 1) % self.items.len()));
        }
    }

    pub fn choose_previous(&mut self) {
        let count = self.items.len();
        if count > 0 {
            self.chosen = Some(self.chosen.map_or(count - 1, |at| (at + count - 1) % count));
        }
    }

    pub fn chosen(&self) -> Option<&Candidate> {
        self.items.get(self.chosen?)
    }
}
