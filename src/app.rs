//! The state of one session and the only way it changes: `update(Message)`.
//!
//! One owner, synchronous, no I/O: what must be done in the world comes out as
//! effects. Each pane's state and rules are in its own file; the session puts them
//! together, and six files beside it change it: keys and mouse, text fields, edits,
//! commands, the tag database, and what the engine tells.

pub mod action;
pub mod bulk;
pub mod cache_panel;
pub mod changes;
pub mod command_line;
mod commands;
pub mod completion;
pub mod config;
pub mod context;
mod derived;
pub mod dialog;
mod editing;
pub mod editor;
pub mod facets;
pub mod frames;
pub mod gallery;
mod hearing;
pub mod help;
pub mod info;
pub mod ingest_log;
mod input;
pub mod insight;
pub mod key;
pub mod keymap;
pub mod list;
pub mod marks;
pub mod media_set;
pub mod message;
pub mod notices;
pub mod panes;
pub mod pictures;
pub mod query_bar;
mod retry;
pub mod runtime;
mod session;
pub mod tag_database;
mod tag_list;
pub mod text_input;
mod typing;
pub mod viewer;

pub use derived::CropOutline;
pub use session::{App, Hint, LibraryInfo, NextKey, Pending};

use crate::{engine::event::Event, model::query::Session};
use message::{Effect, Message};
use session::shared;

impl App {
    /// Takes note of what happened; what comes back must be run, in order.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let Some(message) = self.hold_back(message) else {
            return self.take_effects();
        };
        match message {
            Message::Tick(now) => {
                self.tick(now);
                return self.take_effects();
            }
            Message::Viewport(viewport) if viewport == self.viewport => return Vec::new(),
            Message::Progress(jobs) if jobs == self.jobs => return Vec::new(),
            Message::Engine(Event::Cache(stats)) => {
                if !self.cache_panel.receive(stats) {
                    return Vec::new();
                }
            }
            Message::Viewport(viewport) => self.resize(viewport),
            Message::Progress(jobs) => self.jobs = jobs,
            Message::Key(key) => self.key(key),
            Message::Paste(text) => self.paste(&text),
            Message::Click(click) => self.click(click),
            Message::Scroll { target, lines } => self.scroll(target, lines),
            Message::Action(action) => self.perform(action, None),
            Message::Engine(event) => self.hear(event),
            Message::Facets { generation, rows } => {
                if !self.facets.receive(generation, &rows) {
                    let ctx = shared!(self);
                    self.editor.receive_counts(generation, &rows, &ctx);
                }
            }
            Message::Plan(canonical, plan) => self.show_plan(canonical, &plan),
            Message::Edits(edits) => self.take_edits(*edits),
            Message::Insight(insight) => self.insight = Some(*insight),
            Message::Terminate => {
                self.save();
                self.leave();
            }
        }
        self.is_dirty = true;
        self.settle();
        self.take_effects()
    }

    /// What is to be done, with what a search wants to know of this session.
    fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in &mut effects {
            if let Effect::Search { query, .. } = effect
                && query.asks_session()
            {
                *query = std::mem::take(query).with_session(Session {
                    selected: self.gallery.selection.numbers().clone(),
                    unsaved: self.changes.pending_set().numbers().clone(),
                });
            }
        }
        effects
    }
}
