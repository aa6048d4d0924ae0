//! The help: every action and command with its keys, searchable; Enter runs the
//! chosen one, which makes it the palette too.

use super::{
    action::{ACTIONS, Action, Layer},
    command_line::{COMMANDS, CommandInfo},
    keymap::Keymap,
    list,
    text_input::TextInput,
};

/// The state of the help; it is open while `is_open`.
#[derive(Clone, Debug, Default)]
pub struct Help {
    pub is_open: bool,
    /// What is searched for.
    pub input: TextInput,
    /// What matches, the layer asked about first.
    pub rows: Vec<HelpRow>,
    /// The row under the cursor; never a heading while there is another.
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// Where it was opened.
    layer: Option<Layer>,
}

/// One line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpRow {
    Heading(Layer),
    Action {
        action: Action,
        /// As the keymap has them now: `gg  Home`; empty when unbound.
        keys: String,
    },
    Command {
        /// `sort KEY`
        usage: &'static str,
        help: &'static str,
    },
    /// The heading above the commands.
    Commands,
}

impl HelpRow {
    fn is_heading(&self) -> bool {
        matches!(self, Self::Heading(_) | Self::Commands)
    }
}

impl Help {
    pub fn open(&mut self, layer: Layer, keymap: &Keymap) {
        *self = Self {
            is_open: true,
            layer: Some(layer),
            height: self.height,
            ..Self::default()
        };
        self.search(keymap);
    }

    pub fn close(&mut self) {
        self.is_open = false;
    }

    /// Makes the rows anew from what is searched for.
    pub fn search(&mut self, keymap: &Keymap) {
        let words: Vec<String> = self
            .input
            .text
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let matches = |texts: &[&str]| {
            words.iter().all(|word| {
                texts
                    .iter()
                    .any(|text| text.to_lowercase().contains(word.as_str()))
            })
        };
        self.rows.clear();
        for layer in self.layers() {
            let start = self.rows.len();
            for info in ACTIONS {
                let keys = keymap.keys_of(layer, info.action).join("  ");
                let is_here = info.keys.iter().any(|(known, _)| *known == layer);
                if (!keys.is_empty() || is_here)
                    && matches(&[info.name, info.help, &keys, layer.title()])
                {
                    self.rows.push(HelpRow::Action {
                        action: info.action,
                        keys,
                    });
                }
            }
            if self.rows.len() > start {
                self.rows.insert(start, HelpRow::Heading(layer));
            }
        }
        let start = self.rows.len();
        for CommandInfo { usage, help, .. } in COMMANDS {
            if matches(&[usage, help, "commands"]) {
                self.rows.push(HelpRow::Command { usage, help });
            }
        }
        if self.rows.len() > start {
            self.rows.insert(start, HelpRow::Commands);
        }
        (self.cursor, self.top_row) = (0, 0);
        self.skip_heading(true);
        self.show_cursor();
    }

    /// Moves; says whether the action was a motion.
    pub fn act(&mut self, action: Action, n: Option<usize>) -> bool {
        let Some(cursor) = list::motion(action, n, self.cursor, self.rows.len(), self.height)
        else {
            return false;
        };
        let forward = cursor >= self.cursor;
        self.cursor = cursor;
        self.skip_heading(forward);
        self.show_cursor();
        true
    }

    pub fn move_to(&mut self, row: usize) {
        self.cursor = row.min(self.rows.len().saturating_sub(1));
        self.skip_heading(true);
        self.show_cursor();
    }

    pub fn scroll(&mut self, lines: i32) {
        (self.top_row, self.cursor) = list::wheel(
            lines,
            self.top_row,
            self.cursor,
            self.rows.len(),
            self.height,
        );
        self.skip_heading(true);
    }

    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.show_cursor();
    }

    pub fn current(&self) -> Option<&HelpRow> {
        self.rows.get(self.cursor)
    }

    /// The layer it was opened in and those behind it first, then the others.
    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut at = self.layer;
        while let Some(layer) = at {
            layers.push(layer);
            at = layer.behind();
        }
        for layer in Layer::ALL {
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        layers
    }

    fn skip_heading(&mut self, forward: bool) {
        if !self.current().is_some_and(HelpRow::is_heading) {
            return;
        }
        // Every heading has a row below it; the first one has none above.
        if forward || self.cursor == 0 {
            self.cursor += 1;
        } else {
            self.cursor -= 1;
        }
    }

    fn show_cursor(&mut self) {
        // The heading above the first row comes into view with it.
        let cursor = if self.cursor == 1 { 0 } else { self.cursor };
        self.top_row = list::scrolled(self.top_row, cursor, self.rows.len(), self.height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_with_a_key_is_in_the_help() {
        let (mut help, keymap) = (Help::default(), Keymap::default());
        help.open(Layer::Monitor, &keymap);
        assert_eq!(help.rows[0], HelpRow::Heading(Layer::Monitor));
        for info in ACTIONS {
            assert!(
                help.rows.iter().any(
                    |row| matches!(row, HelpRow::Action { action, .. } if *action == info.action)
                ),
                "{}",
                info.name
            );
        }
    }

    #[test]
    fn searching_narrows_and_the_cursor_skips_headings() {
        let (mut help, keymap) = (Help::default(), Keymap::default());
        help.resize(5);
        help.open(Layer::Gallery, &keymap);
        help.input.insert_str("five STARS");
        help.search(&keymap);
        assert_eq!(
            help.current(),
            Some(&HelpRow::Action {
                action: Action::Stars5,
                keys: "s5".into()
            })
        );
        assert_eq!(
            help.rows.len(),
            4,
            "gallery and viewer, each with a heading"
        );
        help.act(Action::CursorDown, None);
        assert_eq!(help.cursor, 3);
        help.act(Action::CursorUp, None);
        assert_eq!(help.cursor, 1);
        help.act(Action::CursorUp, None);
        assert_eq!(help.cursor, 1);
        help.input.insert_str(" zzz");
        help.search(&keymap);
        assert!(help.rows.is_empty() && help.current().is_none());
    }
}
