//! Terms about what the person who asks did: marks, and what was looked at.

use std::{borrow::Cow, collections::HashMap};

use roaring::RoaringBitmap;

use super::{Evaluation, Media, Result};
use crate::{
    engine::search::explain::How,
    model::{id::MediaKey, text::display_text},
};

impl<'a> Evaluation<'a> {
    /// The media with any mark.
    pub(super) fn marked_at_all(&mut self) -> Media<'a> {
        let marked = self.marks().into_iter().map(|(_, key)| key.0);
        Cow::Owned(marked.collect())
    }

    /// The medium with a mark; says so when there is none.
    pub(super) fn marked(&mut self, word: &str) -> Media<'a> {
        let known = self.marks();
        let letter = word.chars().next();
        let key = known.iter().find(|(known, _)| Some(*known) == letter);
        if key.is_none() {
            let word = display_text(word);
            self.hint(format!(
                "mark {word} stands on no picture here; on the screen m{word} sets it"
            ));
        }
        Cow::Owned(key.map(|(_, key)| key.0).into_iter().collect())
    }

    fn marks(&mut self) -> Vec<(char, MediaKey)> {
        self.did(How::Index);
        match self.lookup.marks() {
            Ok(marks) => marks
                .iter()
                .filter_map(|mark| Some((mark.letter, mark.medium.key(self.catalog)?)))
                .collect(),
            Err(error) => {
                self.hint(format!("cannot read the marks: {}", display_text(&error)));
                Vec::new()
            }
        }
    }

    /// When each medium was looked at last, of those that were.
    pub fn viewed(&mut self) -> HashMap<u32, i64> {
        self.did(How::Index);
        let mut last: HashMap<u32, i64> = HashMap::new();
        match self.lookup.viewed() {
            Ok(viewed) => {
                for (medium, at) in viewed {
                    if let Some(key) = medium.key(self.catalog) {
                        let known = last.entry(key.0).or_insert(at);
                        *known = (*known).max(at);
                    }
                }
            }
            Err(error) => {
                let error = display_text(&error);
                self.hint(format!("cannot read what was looked at: {error}"));
            }
        }
        last
    }

    /// The media whose last look passes a test.
    pub(super) fn viewed_when(&mut self, is_met: impl Fn(i64) -> bool) -> Result<Media<'a>> {
        self.check()?;
        let viewed = self.viewed();
        let found = viewed.into_iter().filter(|(_, at)| is_met(*at));
        let found: RoaringBitmap = found.map(|(key, _)| key).collect();
        Ok(Cow::Owned(found))
    }
}
