//! The tag database, `tagdb.jsonl`: aliases, implications, suggestions, what is
//! hidden or deprecated, and the categories with their looks.
//!
//! Everything in it is virtual: it says how stored tags are to be read, and nothing
//! is written into a sidecar because of it. So each change is instant, counts for
//! all pictures at once, and can be taken back.
//!
//! Invariants: an alias names one tag and is no tag of the database itself;
//! implications have no cycle. A file that says otherwise (two branches were merged)
//! is read as far as it makes sense: [`TagDb::problems`] names the rest.

mod closure;
pub mod dictionary;
mod edit;
mod lines;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::tag::{TagName, category_order, normalize, normalize_category};

pub use self::{
    closure::{Counting, Step},
    dictionary::{DictionaryTag, ImportReport},
    edit::{Mistake, TagEdit},
    lines::LineChange,
};

/// What a tag has beyond its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagRow {
    /// Other names, normalised; of whatever category.
    pub aliases: Vec<String>,
    pub implies: Vec<TagName>,
    /// Shown when the tag is there, never added by itself.
    pub suggests: Vec<TagName>,
    /// Implications that were proposed and are not wanted.
    pub refuses: Vec<TagName>,
    /// Pictures with it are shown only when it is asked for.
    pub is_hidden: bool,
    /// Not to be used any more; `description` says what instead.
    pub is_deprecated: bool,
    pub description: String,
    /// How often others use it, from an imported dictionary.
    pub count: Option<u64>,
    /// Keys that are not ours, and `fine`.
    rest: Map<String, Value>,
}

impl TagRow {
    /// Whether it says anything.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a category is called and shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Category {
    pub name: String,
    pub aliases: Vec<String>,
    /// A color name or `#rrggbb`; empty: the theme's own.
    pub color: String,
    pub order: Option<i64>,
    /// How much it counts when pictures are compared by their tags.
    pub weight: Option<f64>,
    rest: Map<String, Value>,
}

/// The tag database of a library; the default one is empty.
#[derive(Clone, Debug, Default)]
pub struct TagDb {
    categories: Vec<Category>,
    rows: BTreeMap<TagName, TagRow>,
    /// From an alias to the tag it stands for.
    aliases: HashMap<String, TagName>,
    /// From a tag to those that imply it directly, and the other way round; without
    /// what contradicts the rest.
    implied_by: HashMap<TagName, Vec<TagName>>,
    implies: HashMap<TagName, Vec<TagName>>,
    /// The implications that contradict the rest, as the rows have them.
    circular: Vec<(TagName, TagName)>,
    /// From a value to the rows that have it.
    by_value: HashMap<String, Vec<TagName>>,
    problems: Vec<String>,
}

impl PartialEq for TagDb {
    fn eq(&self, other: &Self) -> bool {
        self.categories == other.categories && self.rows == other.rows
    }
}

impl TagDb {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.categories.is_empty()
    }

    /// All tags that have a row, by category and name.
    pub fn rows(&self) -> impl Iterator<Item = (&TagName, &TagRow)> {
        self.rows.iter()
    }

    pub fn row(&self, name: &TagName) -> Option<&TagRow> {
        self.rows.get(name)
    }

    /// The tags with a row that have this normalised value.
    pub fn with_value(&self, value: &str) -> &[TagName] {
        self.by_value.get(value).map_or(&[], Vec::as_slice)
    }

    /// The tag that a normalised value is an alias of.
    pub fn alias(&self, value: &str) -> Option<&TagName> {
        self.aliases.get(value)
    }

    /// The tags that others count as: those with aliases, or that something implies.
    pub fn targets(&self) -> impl Iterator<Item = &TagName> {
        let aliased = self.rows.iter().filter(|(_, row)| !row.aliases.is_empty());
        let aliased = aliased.map(|(name, _)| name);
        let implied = self.implied_by.keys().filter(|name| {
            let row = self.rows.get(*name);
            row.is_none_or(|row| row.aliases.is_empty())
        });
        aliased.chain(implied)
    }

    /// Whether it says anything about a tag: has a row, or is implied.
    pub fn knows(&self, name: &TagName) -> bool {
        self.rows.contains_key(name) || self.implied_by.contains_key(name)
    }

    /// All aliases with the tags they stand for, in no particular order.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &TagName)> {
        self.aliases
            .iter()
            .map(|(alias, tag)| (alias.as_str(), tag))
    }

    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    pub fn category(&self, name: &str) -> Option<&Category> {
        self.categories.iter().find(|known| known.name == name)
    }

    /// Where a category stands on the screen: those with an order by that, then the
    /// built-in ones, then the others by name.
    pub fn category_rank<'a>(&self, name: &'a str) -> (i64, usize, &'a str) {
        let order = self.category(name).and_then(|category| category.order);
        let (place, name) = category_order(name);
        (order.unwrap_or(i64::MAX), place, name)
    }

    /// The full name of a category: by an alias of this library, else by a built-in
    /// one.
    pub fn category_name(&self, name: &str) -> String {
        let normal = normalize(name);
        let by_alias = self
            .categories
            .iter()
            .find(|known| known.aliases.contains(&normal));
        by_alias.map_or_else(|| normalize_category(&normal), |known| known.name.clone())
    }

    /// The tags whose pictures are hidden.
    pub fn hidden(&self) -> impl Iterator<Item = &TagName> {
        let hidden = self.rows.iter().filter(|(_, row)| row.is_hidden);
        hidden.map(|(name, _)| name)
    }

    /// What does not make sense in the file it was read from, one line each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What is meant by a tag of that name: itself, or what it is an alias of.
    pub fn resolve(&self, name: &TagName) -> TagName {
        self.alias(&name.value)
            .filter(|_| !self.rows.contains_key(name))
            .cloned()
            .unwrap_or_else(|| name.clone())
    }

    /// A tag as a person writes it, `holo` or `char:holo`, with what is known of the
    /// value deciding where no category is named.
    pub fn read_name(&self, text: &str, category_of: impl Fn(&str) -> Option<String>) -> TagName {
        if let Some((category, value)) = text.split_once(':').filter(|(_, value)| !value.is_empty())
        {
            let category = self.category_name(category);
            let is_known = super::tag::BUILT_IN_CATEGORIES.contains(&category.as_str())
                || self.category(&category).is_some()
                || self.rows.keys().any(|name| name.category == category);
            if is_known {
                return TagName::new(&category, value);
            }
        }
        let value = normalize(text);
        if let Some(tag) = self.alias(&value) {
            return tag.clone();
        }
        match self.with_value(&value) {
            [only] => only.clone(),
            _ => TagName::new(&category_of(&value).unwrap_or_default(), &value),
        }
    }

    /// Makes the look-ups anew, and leaves out what contradicts the rest.
    fn index(&mut self) {
        self.aliases.clear();
        self.implied_by.clear();
        self.implies.clear();
        self.circular.clear();
        self.by_value.clear();
        self.problems.clear();
        for (name, row) in &self.rows {
            let same_value = self.by_value.entry(name.value.clone()).or_default();
            same_value.push(name.clone());
            for alias in &row.aliases {
                match self.aliases.get(alias) {
                    Some(other) if other != name => self
                        .problems
                        .push(format!("{alias} is an alias of both {other} and {name}")),
                    _ => {
                        self.aliases.insert(alias.clone(), name.clone());
                    }
                }
            }
        }
        // An alias of an alias stands for what that one stands for.
        let chained: Vec<(String, TagName)> = self
            .aliases
            .iter()
            .filter_map(|(alias, tag)| {
                let next = self.aliases.get(&tag.value)?;
                (next != tag).then(|| (alias.clone(), next.clone()))
            })
            .collect();
        for (alias, tag) in chained {
            self.problems
                .push(format!("{alias} is an alias of an alias of {tag}"));
            self.aliases.insert(alias, tag);
        }
        let edges: Vec<(TagName, TagName)> = self
            .rows
            .iter()
            .flat_map(|(name, row)| row.implies.iter().map(|to| (name.clone(), to.clone())))
            .collect();
        for edge in edges {
            let (from, to) = (self.resolve(&edge.0), self.resolve(&edge.1));
            if from == to || self.implies(&to, &from) {
                self.problems
                    .push(format!("{from} and {to} imply each other"));
                self.circular.push(edge);
                continue;
            }
            let implying = self.implied_by.entry(to.clone()).or_default();
            if !implying.contains(&from) {
                implying.push(from.clone());
                self.implies.entry(from).or_default().push(to);
            }
        }
        self.problems.sort_unstable();
    }
}

#[cfg(test)]
mod tests;
