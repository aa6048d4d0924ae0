//! Keys and the mouse: chords with counts, text, clicks on what is drawn.

use super::{
    action::{Action, Layer},
    dialog::{Dialog, DialogKind, Release},
    editor::EditorMode,
    key::{Key, KeyCode},
    keymap::{Binding, Lookup},
    message::{Click, Target},
    panes::Pane,
    session::{App, Pending},
    text_input::TextInput,
};
use crate::engine::event::Level;

/// The largest count that can be typed.
const MAX_COUNT: usize = 9_999_999;
/// Lines of a page in a dialog.
const DIALOG_PAGE: usize = 10;

impl App {
    pub(super) fn key(&mut self, key: Key) {
        if let Some(wanted) = self.pending.letter {
            self.pending = Pending::default();
            self.take_letter(wanted, key);
            return;
        }
        let layer = self.layer();
        if self.pending.keys.is_empty() && self.take_digit(layer, key) {
            return;
        }
        if self.pending.keys.is_empty()
            && layer == Layer::Dialog
            && let Some(c) = key.typed()
            && self
                .dialogs
                .last_mut()
                .is_some_and(|dialog| dialog.choose(c))
        {
            self.accept_dialog();
            return;
        }
        if self.pending.keys.is_empty()
            && layer == Layer::Dialog
            && let Some(c) = key.typed()
            && let Some(released) = self.dialogs.last().and_then(|dialog| dialog.keyed(c))
        {
            if !released.contains(&Release::Stay) {
                self.leave_list();
            }
            self.release(released);
            return;
        }
        if !self.pending.keys.is_empty() && key.code == KeyCode::Escape {
            self.pending = Pending::default();
            return;
        }
        let mut keys = std::mem::take(&mut self.pending.keys);
        keys.push(key);
        match self.keymap.lookup(layer, &keys) {
            Lookup::Found(binding) => {
                let binding = binding.clone();
                let count = std::mem::take(&mut self.pending).count;
                match binding {
                    Binding::Actions(actions) => {
                        for action in actions {
                            self.perform(action, count);
                        }
                    }
                    Binding::Command(line) => self.run_line(&line),
                }
            }
            Lookup::Prefix => {
                self.pending.keys = keys;
                self.pending.since = self.now.elapsed;
                // The box stays while one reads on.
            }
            Lookup::Unknown => {
                self.pending = Pending::default();
                if layer.is_text() {
                    for c in keys.iter().filter_map(Key::typed) {
                        self.type_text(c.encode_utf8(&mut [0; 4]));
                    }
                }
            }
        }
    }

    /// Takes a digit of a count; says whether it was one.
    fn take_digit(&mut self, layer: Layer, key: Key) -> bool {
        let digit = match key.code {
            KeyCode::Char(c) if !key.ctrl && !key.alt => c.to_digit(10),
            _ => None,
        };
        let Some(digit) = digit else {
            return false;
        };
        let is_count = !layer.is_text()
            && layer != Layer::Dialog
            && (digit > 0 || self.pending.count.is_some())
            && (self.pending.count.is_some()
                || self.keymap.lookup(layer, &[key]) == Lookup::Unknown);
        if is_count {
            let count = self.pending.count.unwrap_or(0) * 10 + digit as usize;
            self.pending.count = Some(count.min(MAX_COUNT));
        }
        is_count
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.layer().is_text() {
            self.type_text(text);
        } else {
            self.say(
                Level::Info,
                "paste works in text fields: press / or t first",
            );
        }
    }

    pub(super) fn click(&mut self, click: Click) {
        match (self.layer(), click.target) {
            (Layer::Dialog, Target::DialogChoice(index)) => {
                if let Some(Dialog {
                    kind: DialogKind::Choice { choices, cursor },
                    ..
                }) = self.dialogs.last_mut()
                    && index < choices.len()
                {
                    *cursor = index;
                    self.accept_dialog();
                }
            }
            (_, Target::Completion(index)) => {
                if let Some((_, Some(completion))) = self.field()
                    && index < completion.items.len()
                {
                    completion.chosen = Some(index);
                }
            }
            (Layer::Help, Target::HelpRow(row)) => {
                self.help.move_to(row);
                if click.is_double {
                    self.accept();
                }
            }
            // Modals keep everything below them from being touched.
            (Layer::Dialog | Layer::Prompt | Layer::Help, _) => {}
            (_, Target::Query(at)) => {
                if !self.query_bar.is_editing {
                    self.query_bar.begin();
                }
                let mut input = TextInput::new(self.query_bar.input.text.clone());
                while input.cursor > at {
                    input.left();
                }
                self.query_bar.input = input;
            }
            (layer, target) => {
                if matches!(layer, Layer::Query | Layer::Command) {
                    self.leave_text();
                }
                self.point_at(target, click);
            }
        }
    }

    fn point_at(&mut self, target: Target, click: Click) {
        match target {
            Target::Tile(index) => {
                self.panes.focus = Pane::Gallery;
                if click.ctrl {
                    self.gallery.move_to(index);
                    self.gallery.toggle(index);
                } else if click.shift {
                    self.gallery.select_to(index);
                } else {
                    self.gallery.move_to(index);
                    if click.is_double {
                        self.perform(Action::View, None);
                    }
                }
            }
            Target::EditorRow(row) => {
                self.panes.focus = Pane::Editor;
                self.editor.mode = EditorMode::List;
                self.editor.move_to(row);
            }
            Target::FacetRow(row) => {
                self.panes.focus = Pane::Facets;
                self.facets.move_to(row);
                if click.is_double {
                    self.perform(Action::FacetAdd, None);
                }
            }
            Target::MonitorRow(row) => {
                self.panes.focus = Pane::Monitor;
                self.ingest_log.move_to(row);
                if click.is_double {
                    self.perform(Action::MonitorDetails, None);
                }
            }
            Target::Pane(pane) if self.panes.is_shown(pane) => self.panes.focus = pane,
            Target::Pane(_)
            | Target::HelpRow(_)
            | Target::DialogChoice(_)
            | Target::Completion(_)
            | Target::Query(_) => {}
        }
    }

    pub(super) fn scroll(&mut self, target: Target, lines: i32) {
        if let Some(dialog) = self.dialogs.last_mut() {
            let action = if lines < 0 {
                Action::CursorUp
            } else {
                Action::CursorDown
            };
            dialog.act(action, Some(lines.unsigned_abs() as usize), DIALOG_PAGE);
            return;
        }
        if self.help.is_open {
            self.help.scroll(lines);
            return;
        }
        match target {
            Target::Tile(_) | Target::Pane(Pane::Gallery) => self.gallery.scroll(lines.signum()),
            Target::Pane(Pane::Viewer) => self.turn_page(1, lines > 0),
            Target::EditorRow(_) | Target::Pane(Pane::Editor) => self.editor.scroll(lines),
            Target::FacetRow(_) | Target::Pane(Pane::Facets) => self.facets.scroll(lines),
            Target::MonitorRow(_) | Target::Pane(Pane::Monitor) => self.ingest_log.scroll(lines),
            Target::HelpRow(_)
            | Target::DialogChoice(_)
            | Target::Completion(_)
            | Target::Query(_) => {}
        }
    }
}
