//! Which chord does what in which layer: the defaults of the action table, changed
//! by `keymap.toml`.
//!
//! ```toml
//! [gallery]
//! "g g" = "cursor.top"
//! "X" = ["select.all", "tag.prompt"]
//! ", z" = ":sort size"
//! "x" = "none"
//! ```

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{
    action::{ACTIONS, Action, Layer},
    config::line_of,
    key::{Key, parse_chord, print_chord},
};

/// What a chord does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// These, one after the other.
    Actions(Vec<Action>),
    /// A line for the command line, without its colon.
    Command(String),
}

/// The answer to the keys typed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    Found(&'a Binding),
    /// More keys may follow.
    Prefix,
    Unknown,
}

/// The bindings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    layers: BTreeMap<Layer, BTreeMap<Vec<Key>, Binding>>,
}

/// The keys of the action table.
impl Default for Keymap {
    fn default() -> Self {
        let mut layers: BTreeMap<Layer, BTreeMap<Vec<Key>, Binding>> = BTreeMap::new();
        for info in ACTIONS {
            for (layer, chords) in info.keys {
                // A chord that does not parse would be a mistake of the table, which
                // its test finds.
                for chord in chords.iter().filter_map(|chord| parse_chord(chord).ok()) {
                    layers
                        .entry(*layer)
                        .or_default()
                        .insert(chord, Binding::Actions(vec![info.action]));
                }
            }
        }
        Self { layers }
    }
}

impl Keymap {
    /// The defaults with the user's changes, and what was wrong with those, each with
    /// its line. What is wrong is left out; the rest counts.
    pub fn with_user(text: &str) -> (Self, Vec<String>) {
        let mut keymap = Self::default();
        let mut problems = Vec::new();
        match DeTable::parse(text) {
            Ok(table) => {
                for (name, value) in table.get_ref() {
                    let line = line_of(text, name.span().start);
                    let Some(layer) = Layer::ALL
                        .into_iter()
                        .find(|layer| layer.name() == name.get_ref().as_ref())
                    else {
                        problems.push((line, format!("unknown table [{}]", name.get_ref())));
                        continue;
                    };
                    let Some(bindings) = value.get_ref().as_table() else {
                        problems.push((line, format!("[{}] must be a table", layer.name())));
                        continue;
                    };
                    for (chord, binding) in bindings {
                        if let Err(problem) = keymap.bind(layer, chord.get_ref(), binding.get_ref())
                        {
                            let line = line_of(text, chord.span().start);
                            problems.push((line, problem));
                        }
                    }
                }
            }
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                problems.push((line, error.message().to_owned()));
            }
        }
        problems.sort_by_key(|(line, _)| *line);
        let problems = problems
            .into_iter()
            .map(|(line, problem)| format!("line {line}: {problem}"))
            .chain(keymap.conflicts())
            .collect();
        (keymap, problems)
    }

    fn bind(&mut self, layer: Layer, chord: &str, value: &DeValue<'_>) -> Result<(), String> {
        let keys = parse_chord(chord).map_err(|error| error.to_string())?;
        let table = self.layers.entry(layer).or_default();
        let binding = match value {
            DeValue::String(word) if word.as_ref() == "none" => {
                // An unbound prefix takes everything behind it along.
                table.retain(|known, _| !known.starts_with(&keys));
                return Ok(());
            }
            DeValue::String(word) => match word.strip_prefix(':') {
                Some(command) => Binding::Command(command.trim().to_owned()),
                None => Binding::Actions(vec![action(word)?]),
            },
            DeValue::Array(words) => Binding::Actions(
                words
                    .iter()
                    .map(|word| match word.get_ref() {
                        DeValue::String(word) => action(word),
                        _ => Err("a list of actions holds names".to_owned()),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(format!("{chord:?} needs the name of an action")),
        };
        // A new binding for `g` frees it from being a prefix, and the other way round.
        table.retain(|known, _| {
            !(known.starts_with(&keys) || keys.starts_with(known)) || *known == keys
        });
        table.insert(keys, binding);
        Ok(())
    }

    /// What these keys mean in a layer, or in the one behind it.
    pub fn lookup(&self, layer: Layer, keys: &[Key]) -> Lookup<'_> {
        let mut at = Some(layer);
        while let Some(layer) = at {
            if let Some(table) = self.layers.get(&layer) {
                if let Some(binding) = table.get(keys) {
                    return Lookup::Found(binding);
                }
                if table.keys().any(|known| known.starts_with(keys)) {
                    return Lookup::Prefix;
                }
            }
            at = layer.behind();
        }
        Lookup::Unknown
    }

    /// The keys that may follow a prefix, each once, with what they do, or nothing
    /// when further keys follow them.
    pub fn after(&self, layer: Layer, prefix: &[Key]) -> Vec<(Key, Option<&Binding>)> {
        let mut next: BTreeMap<Key, Option<&Binding>> = BTreeMap::new();
        let mut at = Some(layer);
        while let Some(layer) = at {
            for (keys, binding) in self.layers.get(&layer).into_iter().flatten() {
                if keys.starts_with(prefix) && keys.len() > prefix.len() {
                    let leaf = keys.len() == prefix.len() + 1;
                    next.entry(keys[prefix.len()])
                        .or_insert(leaf.then_some(binding));
                }
            }
            at = layer.behind();
        }
        next.into_iter().collect()
    }

    /// The chords of an action in one layer, as they are printed.
    pub fn keys_of(&self, layer: Layer, action: Action) -> Vec<String> {
        let wanted = Binding::Actions(vec![action]);
        let mut chords: Vec<&Vec<Key>> = self
            .layers
            .get(&layer)
            .into_iter()
            .flatten()
            .filter(|(_, binding)| **binding == wanted)
            .map(|(keys, _)| keys)
            .collect();
        // In the order of the table, so that the usual key comes first.
        let order: Vec<Vec<Key>> = action
            .info()
            .keys
            .iter()
            .filter(|(known, _)| *known == layer)
            .flat_map(|(_, chords)| *chords)
            .filter_map(|chord| parse_chord(chord).ok())
            .collect();
        chords.sort_by_key(|keys| {
            order
                .iter()
                .position(|known| known == *keys)
                .unwrap_or(usize::MAX)
        });
        chords.into_iter().map(|keys| print_chord(keys)).collect()
    }

    /// The first chord of an action in a layer or behind it.
    pub fn key_of(&self, layer: Layer, action: Action) -> Option<String> {
        let mut at = Some(layer);
        while let Some(layer) = at {
            if let Some(key) = self.keys_of(layer, action).into_iter().next() {
                return Some(key);
            }
            at = layer.behind();
        }
        None
    }

    /// Keys that are both an action and a prefix within one layer.
    pub fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (layer, table) in &self.layers {
            for short in table.keys() {
                if let Some(long) = table
                    .keys()
                    .find(|long| long.len() > short.len() && long.starts_with(short))
                {
                    found.push(format!(
                        "[{}] {:?} is bound, so {:?} cannot be reached",
                        layer.name(),
                        print_chord(short),
                        print_chord(long)
                    ));
                }
            }
        }
        found
    }

    /// The keys of a layer that hide one of the layer behind it, printed.
    pub fn overrides(&self, layer: Layer) -> Vec<String> {
        let (Some(own), Some(behind)) = (
            self.layers.get(&layer),
            layer.behind().and_then(|behind| self.layers.get(&behind)),
        ) else {
            return Vec::new();
        };
        behind
            .keys()
            .filter(|hidden| {
                own.keys()
                    .any(|keys| hidden.starts_with(keys) || keys.starts_with(hidden))
                    && !matches!(self.lookup(layer, hidden), Lookup::Found(found)
                        if behind.get(*hidden) == Some(found))
            })
            .map(|keys| print_chord(keys))
            .collect()
    }
}

fn action(name: &str) -> Result<Action, String> {
    Action::by_name(name).ok_or_else(|| format!("unknown action {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        parse_chord(text).unwrap()
    }

    #[test]
    fn no_default_key_is_both_an_action_and_a_prefix() {
        assert_eq!(Keymap::default().conflicts(), Vec::<String>::new());
    }

    #[test]
    fn every_default_key_is_reached() {
        let keymap = Keymap::default();
        for info in ACTIONS {
            for (layer, chords) in info.keys {
                for chord in *chords {
                    assert_eq!(
                        keymap.lookup(*layer, &keys(chord)),
                        Lookup::Found(&Binding::Actions(vec![info.action])),
                        "{chord} in {layer:?} is bound twice"
                    );
                }
            }
        }
    }

    #[test]
    fn what_panes_hide_of_the_global_keys_is_intended() {
        let keymap = Keymap::default();
        for (layer, hidden) in [
            (Layer::Gallery, vec![]),
            (Layer::Viewer, vec!["m"]),
            (Layer::Facets, vec![]),
            (Layer::Monitor, vec![]),
            (Layer::Editor, vec!["/", "i"]),
        ] {
            assert_eq!(keymap.overrides(layer), hidden, "{layer:?}");
        }
    }

    #[test]
    fn a_layer_asks_the_one_behind_it() {
        let keymap = Keymap::default();
        assert_eq!(keymap.lookup(Layer::Gallery, &keys("g")), Lookup::Prefix);
        assert_eq!(
            keymap.lookup(Layer::Gallery, &keys("g w")),
            Lookup::Found(&Binding::Actions(vec![Action::GoMonitor]))
        );
        assert_eq!(keymap.lookup(Layer::Query, &keys("a")), Lookup::Unknown);
        let after = keymap.after(Layer::Gallery, &keys("g"));
        assert!(after.iter().any(|(key, _)| *key == Key::char('g')));
        assert!(after.iter().any(|(key, _)| *key == Key::char('w')));
    }

    #[test]
    fn the_user_changes_lists_and_unbinds() {
        let (keymap, problems) = Keymap::with_user(
            "[gallery]\n\"x\" = [\"select.all\", \"tag.prompt\"]\n\"g g\" = \"none\"\n\
             \"Z\" = \":sort size\"\n[global]\n\"Z\" = \"quit.save\"\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            keymap.lookup(Layer::Gallery, &keys("x")),
            Lookup::Found(&Binding::Actions(vec![
                Action::SelectAll,
                Action::TagPrompt
            ]))
        );
        assert_eq!(keymap.lookup(Layer::Gallery, &keys("g g")), Lookup::Unknown);
        assert_eq!(
            keymap.lookup(Layer::Gallery, &keys("Z")),
            Lookup::Found(&Binding::Command("sort size".into()))
        );
        assert_eq!(
            keymap.lookup(Layer::Global, &keys("Z")),
            Lookup::Found(&Binding::Actions(vec![Action::SaveAndQuit]))
        );
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        let (_, problems) = Keymap::with_user(
            "[gallery]\n\"x\" = \"no.such\"\n\"hyper-x\" = \"help\"\n[nowhere]\n\"a\" = \"help\"\n",
        );
        assert_eq!(
            problems,
            [
                "line 2: unknown action \"no.such\"",
                "line 3: unknown key \"hyper-x\"",
                "line 4: unknown table [nowhere]",
            ]
        );
        let (keymap, problems) = Keymap::with_user("[gallery\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("line 1: "), "{problems:?}");
        assert_eq!(keymap, Keymap::default());
    }

    #[test]
    fn the_usual_key_comes_first() {
        let keymap = Keymap::default();
        assert_eq!(
            keymap.keys_of(Layer::Gallery, Action::CursorTop),
            ["gg", "Home"]
        );
        assert_eq!(
            keymap.key_of(Layer::Gallery, Action::Save).as_deref(),
            Some("Ctrl-s")
        );
    }
}
