//! Changes of the tag database, each checked before it is made.

use super::{Category, TagDb};
use crate::model::tag::{BUILT_IN_CATEGORIES, TagName, normalize};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum TagEdit {
    /// Another name for a tag.
    Alias {
        alias: String,
        tag: TagName,
    },
    Unalias(String),
    Imply {
        from: TagName,
        to: TagName,
    },
    Unimply {
        from: TagName,
        to: TagName,
    },
    Suggest {
        from: TagName,
        to: TagName,
    },
    Unsuggest {
        from: TagName,
        to: TagName,
    },
    /// An implication that was proposed is not wanted.
    Refuse {
        from: TagName,
        to: TagName,
    },
    Hide(TagName, bool),
    Deprecate(TagName, bool),
    Describe(TagName, String),
    /// How often others use it.
    Count(TagName, u64),
    /// Defines a category or changes what is given.
    Category {
        name: String,
        aliases: Option<Vec<String>>,
        color: Option<String>,
        order: Option<i64>,
        weight: Option<f64>,
    },
    /// All that is known of a tag is known of another one from now on.
    Rename {
        from: TagName,
        to: TagName,
    },
}

/// Why a change is not made, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(pub String);

fn mistake<T>(text: String) -> Result<T, Mistake> {
    Err(Mistake(text))
}

/// The names that a color may have besides `#rrggbb`.
const COLORS: [&str; 9] = [
    "red", "magenta", "green", "blue", "yellow", "cyan", "white", "gray", "orange",
];

impl TagDb {
    /// Makes a change, or says why not. What comes back is worth knowing, and no
    /// reason to refuse.
    pub fn apply(&mut self, edit: &TagEdit) -> Result<Vec<String>, Mistake> {
        let mut notes = Vec::new();
        match edit {
            TagEdit::Alias { alias, tag } => self.add_alias(alias, tag, &mut notes)?,
            TagEdit::Unalias(alias) => {
                let alias = normalize(alias);
                let Some(tag) = self.alias(&alias).cloned() else {
                    return mistake(format!("{alias} is no alias"));
                };
                if let Some(row) = self.rows.get_mut(&tag) {
                    row.aliases.retain(|known| *known != alias);
                }
            }
            TagEdit::Imply { from, to } => self.add_implication(from, to, &mut notes)?,
            TagEdit::Unimply { from, to } => {
                let row = self.rows.get_mut(from);
                if !row.is_some_and(|row| drop_from(&mut row.implies, to)) {
                    return mistake(format!("{from} does not itself imply {to}"));
                }
            }
            TagEdit::Suggest { from, to } => {
                let (from, to) = (self.resolve(from), self.resolve(to));
                if from == to {
                    return mistake(format!("{from} cannot suggest itself"));
                }
                let suggests = &mut self.rows.entry(from).or_default().suggests;
                if !suggests.contains(&to) {
                    suggests.push(to);
                }
            }
            TagEdit::Unsuggest { from, to } => {
                let row = self.rows.get_mut(from);
                if !row.is_some_and(|row| drop_from(&mut row.suggests, to)) {
                    return mistake(format!("{from} does not suggest {to}"));
                }
            }
            TagEdit::Refuse { from, to } => {
                let refuses = &mut self.rows.entry(from.clone()).or_default().refuses;
                if !refuses.contains(to) {
                    refuses.push(to.clone());
                    refuses.sort_unstable();
                }
            }
            TagEdit::Hide(tag, is_on) => {
                let tag = self.resolve(tag);
                self.rows.entry(tag).or_default().is_hidden = *is_on;
            }
            TagEdit::Deprecate(tag, is_on) => {
                self.rows.entry(tag.clone()).or_default().is_deprecated = *is_on;
            }
            TagEdit::Describe(tag, text) => {
                let tag = self.resolve(tag);
                let row = self.rows.entry(tag).or_default();
                text.trim().clone_into(&mut row.description);
            }
            TagEdit::Count(tag, count) => {
                self.rows.entry(tag.clone()).or_default().count = Some(*count);
            }
            TagEdit::Category {
                name,
                aliases,
                color,
                order,
                weight,
            } => self.define(name, aliases.as_deref(), color.as_deref(), *order, *weight)?,
            TagEdit::Rename { from, to } => self.rename(from, to),
        }
        self.rows.retain(|_, row| !row.is_empty());
        self.index();
        if matches!(edit, TagEdit::Rename { .. } | TagEdit::Alias { .. }) {
            self.drop_circular(&mut notes);
        }
        Ok(notes)
    }

    /// Two tags that became one may imply what implies them.
    fn drop_circular(&mut self, notes: &mut Vec<String>) {
        let circular = std::mem::take(&mut self.circular);
        for (from, to) in &circular {
            if let Some(row) = self.rows.get_mut(from) {
                row.implies.retain(|known| known != to);
                notes.push(format!("{from} no longer implies {to}, which implies it"));
            }
        }
        if !circular.is_empty() {
            self.rows.retain(|_, row| !row.is_empty());
            self.index();
        }
    }

    fn add_alias(
        &mut self,
        alias: &str,
        tag: &TagName,
        notes: &mut Vec<String>,
    ) -> Result<(), Mistake> {
        let alias = normalize(alias);
        if alias.is_empty() || tag.value.is_empty() {
            return mistake("an alias needs a name and a tag".to_owned());
        }
        let target = self.resolve(tag);
        if target != *tag {
            notes.push(format!(
                "{tag} is itself an alias; {alias} now stands for {target}"
            ));
        }
        if alias == target.value {
            return mistake(format!("{alias} cannot be an alias of itself"));
        }
        if let Some(other) = self.alias(&alias) {
            if *other == target {
                return Ok(());
            }
            return mistake(format!(
                "{alias} is an alias of {other} already; remove that first (tagdb alias --remove {alias})"
            ));
        }
        // What was known of the alias as a tag is known of the tag from now on.
        for name in self.with_value(&alias).to_vec() {
            notes.push(format!("what was known of {name} goes over to {target}"));
            self.rename(&name, &target);
            self.index();
        }
        let row = self.rows.entry(target).or_default();
        if !row.aliases.contains(&alias) {
            row.aliases.push(alias);
            row.aliases.sort_unstable();
        }
        Ok(())
    }

    fn add_implication(
        &mut self,
        from: &TagName,
        to: &TagName,
        notes: &mut Vec<String>,
    ) -> Result<(), Mistake> {
        for name in [from, to] {
            let resolved = self.resolve(name);
            if resolved != *name {
                notes.push(format!(
                    "{name} is an alias of {resolved}, which is meant here"
                ));
            }
        }
        let (from, to) = (self.resolve(from), self.resolve(to));
        if from.value.is_empty() || to.value.is_empty() {
            return mistake("an implication needs two tags".to_owned());
        }
        if from == to {
            return mistake(format!("{from} cannot imply itself"));
        }
        if self.implies(&to, &from) {
            return mistake(format!(
                "{to} implies {from} already; they would imply each other"
            ));
        }
        if self.row(&from).is_some_and(|row| row.implies.contains(&to)) {
            return Ok(());
        }
        if self.implies(&from, &to) {
            notes.push(format!("{from} implies {to} already, through other tags"));
        }
        let redundant: Vec<TagName> = self
            .row(&from)
            .map_or(&[][..], |row| &row.implies)
            .iter()
            .filter(|known| self.implies(&to, known))
            .cloned()
            .collect();
        for known in redundant {
            notes.push(format!(
                "{from} implies {known} through {to} now; its own line is redundant"
            ));
        }
        let implies = &mut self.rows.entry(from).or_default().implies;
        implies.push(to);
        implies.sort_unstable();
        Ok(())
    }

    fn define(
        &mut self,
        name: &str,
        aliases: Option<&[String]>,
        color: Option<&str>,
        order: Option<i64>,
        weight: Option<f64>,
    ) -> Result<(), Mistake> {
        let name = normalize(name);
        if name.is_empty() || name.contains(':') || name == "*" {
            return mistake(format!("{name:?} cannot be the name of a category"));
        }
        if let Some(color) = color {
            let is_hex = color.strip_prefix('#').is_some_and(|digits| {
                digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if !is_hex && !color.is_empty() && !COLORS.contains(&color) {
                return mistake(format!(
                    "{color:?} is no color; use #rrggbb or one of {}",
                    COLORS.join(", ")
                ));
            }
        }
        let aliases: Option<Vec<String>> =
            aliases.map(|aliases| aliases.iter().map(|alias| normalize(alias)).collect());
        for alias in aliases.iter().flatten() {
            let is_taken = BUILT_IN_CATEGORIES.contains(&alias.as_str())
                || self.categories.iter().any(|known| {
                    known.name == *alias || (known.name != name && known.aliases.contains(alias))
                });
            if is_taken {
                return mistake(format!("{alias} is the name of another category"));
            }
        }
        if self.category(&name).is_none() {
            self.categories.push(Category {
                name: name.clone(),
                ..Category::default()
            });
        }
        let Some(category) = self.categories.iter_mut().find(|known| known.name == name) else {
            return Ok(());
        };
        if let Some(aliases) = aliases {
            category.aliases = aliases;
        }
        if let Some(color) = color {
            color.clone_into(&mut category.color);
        }
        category.order = order.or(category.order);
        category.weight = weight.or(category.weight);
        self.categories.sort_by(|a, b| {
            (a.order.unwrap_or(i64::MAX), &a.name).cmp(&(b.order.unwrap_or(i64::MAX), &b.name))
        });
        Ok(())
    }

    fn rename(&mut self, from: &TagName, to: &TagName) {
        let old = self.rows.remove(from).unwrap_or_default();
        let row = self.rows.entry(to.clone()).or_default();
        for alias in old.aliases {
            if alias != to.value && !row.aliases.contains(&alias) {
                row.aliases.push(alias);
            }
        }
        row.aliases.sort_unstable();
        for (mine, theirs) in [
            (&mut row.implies, old.implies),
            (&mut row.suggests, old.suggests),
            (&mut row.refuses, old.refuses),
        ] {
            for name in theirs {
                if name != *to && !mine.contains(&name) {
                    mine.push(name);
                }
            }
            mine.sort_unstable();
        }
        row.is_hidden |= old.is_hidden;
        if row.description.is_empty() {
            row.description = old.description;
        }
        row.count = row.count.or(old.count);
        for (key, value) in old.rest {
            row.rest.entry(key).or_insert(value);
        }
        for (name, row) in &mut self.rows {
            // It is a tag of its own now, and what stands for it must not lead further.
            row.aliases.retain(|alias| *alias != to.value);
            for list in [&mut row.implies, &mut row.suggests] {
                for known in list.iter_mut().filter(|known| *known == from) {
                    known.clone_from(to);
                }
                list.retain(|known| known != name);
                let mut seen = std::collections::HashSet::new();
                list.retain(|known| seen.insert(known.clone()));
            }
        }
    }
}

fn drop_from(names: &mut Vec<TagName>, name: &TagName) -> bool {
    let before = names.len();
    names.retain(|known| known != name);
    names.len() < before
}
