//! Marks: `m` and a letter puts one on a picture, `'` and the letter goes there, as in
//! vim. They are kept with the library; here is what was heard of them last.

use std::collections::BTreeMap;

use super::{
    action::Action,
    dialog::Dialog,
    key::{Key, KeyCode, parse_chord},
    message::Effect,
    panes::Pane,
    session::{App, NextKey, Pending, shared},
};
use crate::{
    engine::event::Level,
    model::{
        catalog::Catalog,
        entry::Facets,
        id::MediaKey,
        mark::{Mark, MediaRef, is_letter},
    },
};

/// The key that, typed twice, goes back to where the last jump began.
const BACK: char = '\'';

/// What a letter is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkUse {
    Set,
    Jump,
}

/// The marks, and the way back from the last jump.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    set: BTreeMap<char, MediaRef>,
    back: Option<Place>,
    /// Where the cursor is to stand once the result is there that was asked for.
    arriving: Option<MediaKey>,
}

/// Where somebody was.
#[derive(Clone, Debug)]
struct Place {
    query: String,
    /// Nothing where nothing was found.
    key: Option<MediaKey>,
}

impl Marks {
    /// The letters that stand on this picture.
    pub fn letters_on(&self, key: MediaKey, catalog: &Catalog) -> String {
        let is_on = |medium: &MediaRef| medium.key(catalog) == Some(key);
        let on = self.set.iter().filter(|(_, medium)| is_on(medium));
        on.map(|(letter, _)| letter).collect()
    }

    /// The letters that stand on a picture.
    pub fn letters(&self) -> impl Iterator<Item = char> {
        self.set.keys().copied()
    }
}

impl App {
    /// The next key is the letter of a mark.
    pub(super) fn ask_letter(&mut self, action: Action, wanted: MarkUse) {
        let chord = self.keymap.key_of(self.layer(), action);
        let keys = chord.and_then(|chord| parse_chord(&chord).ok());
        self.pending = Pending {
            keys: keys.unwrap_or_default(),
            since: self.now.elapsed,
            letter: Some(wanted),
            ..Pending::default()
        };
    }

    /// Takes the key after `m` or `'`.
    pub(super) fn take_letter(&mut self, wanted: MarkUse, key: Key) {
        if key.code == KeyCode::Escape || (key.ctrl && key.code == KeyCode::Char('c')) {
            return;
        }
        match (wanted, key.typed()) {
            (MarkUse::Set, Some(letter)) if is_letter(letter) => self.set_mark(letter),
            (MarkUse::Jump, Some(letter)) if is_letter(letter) => self.go_to_mark(letter),
            (MarkUse::Jump, Some(BACK)) => self.go_back(),
            _ => self.say(Level::Info, "a mark is a letter, a to z or A to Z"),
        }
    }

    /// Puts a mark on the picture under the cursor, or on the one that is edited.
    pub(super) fn set_mark(&mut self, letter: char) {
        let key = match self.panes.focus {
            Pane::Editor => self.editor.targets.first().copied(),
            _ => self.gallery.current(),
        };
        let Some((key, record)) = key.and_then(|key| Some((key, self.catalog.record(key)?))) else {
            self.say(Level::Info, "there is no picture to mark");
            return;
        };
        let medium = MediaRef::of(&record);
        let text = format!("mark {letter} is here: '{letter} comes back");
        // The screen knows it before the disk does.
        self.marks.set.insert(letter, medium);
        self.effects.push(Effect::SetMark {
            letter,
            key: Some(key),
        });
        self.say(Level::Info, &text);
    }

    /// Takes marks away, by their letters.
    pub(super) fn delete_marks(&mut self, letters: &str) {
        let letters: Vec<char> = letters
            .chars()
            .filter(|letter| self.marks.set.remove(letter).is_some())
            .collect();
        let text = match letters.len() {
            0 => "none of these marks is set".to_owned(),
            1 => "1 mark taken away".to_owned(),
            n => format!("{n} marks taken away"),
        };
        let gone = letters.into_iter();
        self.effects
            .extend(gone.map(|letter| Effect::SetMark { letter, key: None }));
        self.say(Level::Info, &text);
    }

    fn go_to_mark(&mut self, letter: char) {
        let Some(medium) = self.marks.set.get(&letter) else {
            let text = format!("mark {letter} is not set; m{letter} on a picture sets it");
            self.say(Level::Info, &text);
            return;
        };
        let Some(key) = medium.key(&self.catalog) else {
            let text = format!("the picture of mark {letter} is not in the library any more");
            self.say(Level::Warning, &text);
            return;
        };
        // What results hide must be asked for.
        let is_hidden = self.catalog.record(key).is_some_and(|record| {
            record.has().contains(Facets::TRASHED) || record.kind().is_derived()
        });
        let all = if is_hidden { " all:" } else { "" };
        if self.go_to(Some(key), || format!("mark:{letter}{all}")) {
            let text = format!("mark {letter} was not in that result; '' goes back to it");
            self.say(Level::Info, &text);
        }
    }

    fn go_back(&mut self) {
        match self.marks.back.take() {
            Some(Place { query, key }) => {
                self.go_to(key, || query);
            }
            None => self.say(Level::Info, "no mark was jumped to yet"),
        }
    }

    /// Puts the cursor on a picture of the result, else runs a query that has it; says
    /// whether it had to. Where one was is the way back.
    fn go_to(&mut self, key: Option<MediaKey>, query: impl FnOnce() -> String) -> bool {
        self.marks.back = Some(Place {
            query: self.query_bar.input.text.clone(),
            key: self.gallery.current(),
        });
        let mut results = self.gallery.results.iter();
        if let Some(key) = key
            && let Some(place) = results.position(|known| *known == key)
        {
            self.gallery.move_to(place);
            let main = self.panes.main();
            self.panes.show(main);
            return false;
        }
        self.search(query());
        self.marks.arriving = key;
        true
    }

    /// The result came that a jump asked for.
    pub(super) fn arrive(&mut self) {
        if let Some(key) = self.marks.arriving.take()
            && let Some(place) = self.gallery.results.iter().position(|known| *known == key)
        {
            self.gallery.move_to(place);
        }
    }

    pub(super) fn take_marks(&mut self, marks: &[Mark]) {
        let marks = marks.iter().map(|mark| (mark.letter, mark.medium.clone()));
        self.marks.set = marks.collect();
        if self.query_bar.input.text.contains("mark:") {
            let mut ctx = shared!(self);
            self.query_bar.refresh(self.gallery.sort, &mut ctx);
        }
    }

    /// What the box says while a letter is awaited.
    pub(super) fn letters_to_type(&self, wanted: MarkUse) -> Vec<NextKey> {
        let mut next: Vec<NextKey> = self
            .titles()
            .map(|(letter, title)| NextKey {
                key: Key::char(letter),
                help: match wanted {
                    MarkUse::Set => format!("moves here from {title}"),
                    MarkUse::Jump => title,
                },
            })
            .collect();
        let further = |key: char, help: &str| NextKey {
            key: Key::char(key),
            help: help.to_owned(),
        };
        match wanted {
            MarkUse::Jump if self.marks.back.is_some() => {
                next.push(further(BACK, "back to where the last jump began"));
            }
            MarkUse::Jump if next.is_empty() => {
                next.push(further('a', "no mark is set yet; ma sets one"));
            }
            MarkUse::Set if next.is_empty() => {
                next.push(further('a', "or any other letter marks this picture"));
            }
            _ => {}
        }
        next
    }

    pub(super) fn show_marks(&mut self) {
        let lines: Vec<String> = self
            .titles()
            .map(|(letter, title)| format!("{letter}  {title}"))
            .collect();
        if lines.is_empty() {
            self.say(Level::Info, "no mark is set; ma on a picture sets one");
        } else {
            self.dialogs.push(Dialog::message("Marks", lines));
        }
    }

    /// Each mark with what it stands on; safe to draw.
    fn titles(&self) -> impl Iterator<Item = (char, String)> {
        self.marks.set.iter().map(|(letter, medium)| {
            let record = medium
                .key(&self.catalog)
                .and_then(|key| self.catalog.record(key));
            let title = match record {
                Some(record) => record.title().into_owned(),
                None => format!("{} (gone)", medium.id),
            };
            (
                *letter,
                crate::model::text::display_text(&title).into_owned(),
            )
        })
    }
}
