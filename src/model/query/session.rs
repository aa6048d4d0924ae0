//! What a query may ask of the session on whose screen it was typed.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{
    Query,
    key::Key,
    tree::{Items, Test},
};

/// What only a session knows: `sel:` and `is:dirty`, when they were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// The media selected.
    pub selected: RoaringBitmap,
    /// The media with edits that are not saved.
    pub unsaved: RoaringBitmap,
}

impl Query {
    /// Whether what it finds depends on a session.
    pub fn asks_session(&self) -> bool {
        self.terms().iter().any(|term| match &term.test {
            Test::Key { key, value, .. } => match (key, &value.items) {
                (Key::Selected, _) => true,
                (Key::Is, Items::List(words)) => words.iter().any(|word| word == "dirty"),
                _ => false,
            },
            Test::Tag { .. } | Test::Wildcard { .. } => false,
        })
    }

    /// The same query, asked in a session.
    pub fn with_session(self, session: Session) -> Self {
        Self {
            session: Some(Arc::new(session)),
            ..self
        }
    }

    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }
}
