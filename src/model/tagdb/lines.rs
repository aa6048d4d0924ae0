//! The lines of `tagdb.jsonl`: one for the categories, one for each tag, sorted, so
//! that two branches that touch different tags merge by themselves.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Category, TagDb, TagRow};
use crate::model::tag::{TagName, normalize};

/// The change of one line, found by its key: what stood there and what stands there
/// now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineChange {
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The key of the line with the categories.
const CATEGORIES: &str = "*";

impl TagDb {
    /// Reads the file. A line that is no line of a tag database is an error that
    /// names it: nothing is ever lost by writing over what was not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut database = Self::default();
        let mut problems = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let object: Map<String, Value> =
                serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
            if object.get("category").and_then(Value::as_str) == Some(CATEGORIES) {
                database.read_categories(&object, number)?;
                continue;
            }
            let (name, row) = read_row(object).ok_or_else(|| {
                format!("line {number}: names no category and tag (a merge that was not finished?)")
            })?;
            if database.rows.insert(name.clone(), row).is_some() {
                problems.push(format!("{name} stands in two lines; the later counts"));
            }
        }
        database.index();
        database.problems.extend(problems);
        Ok(database)
    }

    fn read_categories(&mut self, object: &Map<String, Value>, number: u32) -> Result<(), String> {
        let definitions = object
            .get("defs")
            .and_then(Value::as_array)
            .ok_or_else(|| format!("line {number}: the categories have no \"defs\""))?;
        for definition in definitions {
            let category = definition
                .as_object()
                .cloned()
                .and_then(read_category)
                .ok_or_else(|| format!("line {number}: a category has no name"))?;
            self.categories.retain(|known| known.name != category.name);
            self.categories.push(category);
        }
        Ok(())
    }

    /// The lines by their keys, in the order of the file.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if !self.categories.is_empty() {
            let defs: Vec<Value> = self.categories.iter().map(category_value).collect();
            let line = json!({"category": CATEGORIES, "defs": defs});
            lines.push((CATEGORIES.to_owned(), line.to_string()));
        }
        for (name, row) in &self.rows {
            if !row.is_empty() {
                lines.push((key_of(name), row_value(name, row).to_string()));
            }
        }
        lines
    }

    /// The whole file.
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (_, line) in self.lines() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// What has to change in the file for it to become another one.
    pub fn changes_to(&self, other: &Self) -> Vec<LineChange> {
        let before: BTreeMap<_, _> = self.lines().into_iter().collect();
        let mut after: BTreeMap<_, _> = other.lines().into_iter().collect();
        let mut changes = Vec::new();
        for (key, line) in before {
            let new = after.remove(&key);
            if new.as_ref() != Some(&line) {
                changes.push(LineChange {
                    key,
                    before: Some(line),
                    after: new,
                });
            }
        }
        changes.extend(after.into_iter().map(|(key, line)| LineChange {
            key,
            before: None,
            after: Some(line),
        }));
        changes
    }

    /// Makes changes where the lines still are as these found them. One answer for
    /// each: whether it was made, or why its new line makes no sense.
    pub fn change_lines(&mut self, changes: &[LineChange]) -> Vec<Result<bool, String>> {
        let current: HashMap<String, String> = self.lines().into_iter().collect();
        let names: HashMap<String, TagName> =
            (self.rows.keys().map(|name| (key_of(name), name.clone()))).collect();
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            if current.get(&change.key) != change.before.as_ref() {
                answers.push(Ok(false));
                continue;
            }
            let new = match change.after.as_deref().map(Self::parse).transpose() {
                Ok(new) => new.unwrap_or_default(),
                Err(problem) => {
                    answers.push(Err(problem));
                    continue;
                }
            };
            if change.key == CATEGORIES {
                self.categories.clear();
            } else if let Some(name) = names.get(&change.key) {
                self.rows.remove(name);
            }
            self.categories.extend(new.categories);
            self.rows.extend(new.rows);
            answers.push(Ok(true));
        }
        self.index();
        answers
    }
}

fn key_of(name: &TagName) -> String {
    format!("{}:{}", name.category, name.value)
}

fn take_text(object: &mut Map<String, Value>, key: &str) -> String {
    match object.shift_remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

fn take_list(object: &mut Map<String, Value>, key: &str) -> Vec<String> {
    match object.shift_remove(key) {
        Some(Value::Array(values)) => values
            .into_iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}

fn read_category(mut object: Map<String, Value>) -> Option<Category> {
    let name = normalize(&take_text(&mut object, "name"));
    let mut aliases = take_list(&mut object, "alias");
    for alias in &mut aliases {
        *alias = normalize(alias);
    }
    let color = take_text(&mut object, "color");
    let order = object
        .shift_remove("order")
        .and_then(|order| order.as_i64());
    let weight = object
        .shift_remove("weight")
        .and_then(|weight| weight.as_f64());
    (!name.is_empty()).then_some(Category {
        name,
        aliases,
        color,
        order,
        weight,
        rest: object,
    })
}

fn category_value(category: &Category) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), category.name.as_str().into());
    if !category.aliases.is_empty() {
        object.insert("alias".to_owned(), category.aliases.clone().into());
    }
    if !category.color.is_empty() {
        object.insert("color".to_owned(), category.color.as_str().into());
    }
    if let Some(order) = category.order {
        object.insert("order".to_owned(), order.into());
    }
    if let Some(weight) = category.weight {
        object.insert("weight".to_owned(), weight.into());
    }
    object.extend(category.rest.clone());
    Value::Object(object)
}

/// `copyright:spice_and_wolf`; without a category, a general tag.
pub(super) fn read_full_name(text: &str) -> TagName {
    match text
        .split_once(':')
        .filter(|(category, value)| !category.is_empty() && !value.is_empty())
    {
        Some((category, value)) => TagName::new(category, value),
        None => TagName::new("", text),
    }
}

fn read_row(mut object: Map<String, Value>) -> Option<(TagName, TagRow)> {
    let category = take_text(&mut object, "category");
    let tag = take_text(&mut object, "tag");
    let name = TagName::new(&category, &tag);
    if category.is_empty() || name.value.is_empty() {
        return None;
    }
    let mut aliases: Vec<String> = take_list(&mut object, "aliases");
    for alias in &mut aliases {
        *alias = normalize(alias);
    }
    aliases.retain(|alias| !alias.is_empty() && *alias != name.value);
    let names = |list: Vec<String>| list.iter().map(|name| read_full_name(name)).collect();
    let row = TagRow {
        aliases,
        implies: names(take_list(&mut object, "implies")),
        suggests: names(take_list(&mut object, "suggests")),
        refuses: names(take_list(&mut object, "refuses")),
        is_hidden: object.shift_remove("hidden") == Some(Value::Bool(true)),
        is_deprecated: object.shift_remove("deprecated") == Some(Value::Bool(true)),
        description: take_text(&mut object, "desc"),
        count: object
            .shift_remove("count")
            .and_then(|count| count.as_u64()),
        rest: object
            .into_iter()
            .filter(|(key, value)| key != "fine" || value.as_str() != Some(""))
            .collect(),
    };
    Some((name, row))
}

fn row_value(name: &TagName, row: &TagRow) -> Value {
    let full = |names: &[TagName]| -> Value { names.iter().map(key_of).collect() };
    let mut object = Map::new();
    let mut put = |key: &str, value: Value, is_there: bool| {
        if is_there {
            object.insert(key.to_owned(), value);
        }
    };
    put("category", name.category.as_str().into(), true);
    put("tag", name.value.as_str().into(), true);
    put(
        "aliases",
        row.aliases.clone().into(),
        !row.aliases.is_empty(),
    );
    put("implies", full(&row.implies), !row.implies.is_empty());
    put("suggests", full(&row.suggests), !row.suggests.is_empty());
    put("refuses", full(&row.refuses), !row.refuses.is_empty());
    put("hidden", true.into(), row.is_hidden);
    put("deprecated", true.into(), row.is_deprecated);
    put(
        "desc",
        row.description.as_str().into(),
        !row.description.is_empty(),
    );
    put("count", row.count.into(), row.count.is_some());
    object.extend(row.rest.clone());
    Value::Object(object)
}
