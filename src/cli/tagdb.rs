//! `tagdb`: aliases, implications, categories, and tags renamed everywhere.

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{
    Status,
    context::Context,
    output::counted,
    tagdb_arguments::{TagDbAction, TagDbArgs, TagDbSuggestArgs},
};
use crate::{
    engine::{Engine, implications, rating_guess::Ratings},
    model::{
        id::MediaId,
        query::Query,
        tag::{GENERAL, TagName},
        tagdb::{TagEdit, TagRow, dictionary},
    },
};

/// Suggestions that are printed unless all are asked for.
const SHOWN: usize = 50;

pub fn tagdb(context: &Context, arguments: &TagDbArgs) -> Result<Status> {
    use TagDbAction as A;
    let engine = context.engine()?;
    let desk = Desk {
        context,
        engine: &engine,
    };
    match &arguments.action {
        A::List { pattern } => desk.list(pattern.as_deref()),
        A::Show { tag } => desk.show(tag),
        A::Alias { alias, tag, remove } => desk.alias(alias, tag.as_deref(), *remove),
        A::Imply {
            tag,
            implied,
            remove,
        } => desk.pairs(
            tag,
            implied,
            if *remove { Pair::Unimply } else { Pair::Imply },
        ),
        A::Suggest(suggest) => desk.suggest(suggest),
        A::Category { tag, category } => {
            let from = desk.name(tag);
            let to = TagName::new(&desk.category(category), &from.value);
            desk.rename(&from, &to, false)
        }
        A::Define {
            name,
            alias,
            color,
            order,
            weight,
        } => desk.change(
            &format!("define category {name}"),
            &[TagEdit::Category {
                name: name.clone(),
                aliases: (!alias.is_empty()).then(|| alias.clone()),
                color: color.clone(),
                order: *order,
                weight: *weight,
            }],
        ),
        A::Rename {
            from,
            to,
            leave_alias,
        } => {
            let (from, to) = (desk.stored_name(from), desk.new_name(from, to));
            if desk.engine.catalog().tag_count(&to) > 0 {
                bail!("{to} is a tag already; tagloupe tagdb merge makes one of the two");
            }
            desk.rename(&from, &to, *leave_alias)
        }
        A::Merge { from, into } => {
            let (tag, to) = (desk.stored_name(from), desk.new_name(from, into));
            if tag == to {
                let said = format!("{from} is {to} already, and no picture has it otherwise");
                desk.context.output.note(&said);
                return Ok(Status::Nothing);
            }
            desk.rename(&tag, &to, true)
        }
        A::Hide { tag, off } => desk.mark(tag, if *off { "show" } else { "hide" }, |name| {
            TagEdit::Hide(name, !off)
        }),
        A::Deprecate { tag, off } => {
            let verb = if *off { "use again" } else { "deprecate" };
            desk.mark(tag, verb, |name| TagEdit::Deprecate(name, !off))
        }
        A::Describe { tag, text } => desk.mark(tag, "describe", |name| {
            TagEdit::Describe(name, text.join(" "))
        }),
        A::Import {
            file,
            min_count,
            dry_run,
        } => desk.import(file, *min_count, *dry_run),
        A::Ratings { query } => desk.ratings(&query.join(" ")),
    }
}

#[derive(Clone, Copy)]
enum Pair {
    Imply,
    Unimply,
    Suggest,
    Unsuggest,
    Refuse,
}

impl Pair {
    fn edit(self, from: TagName, to: TagName) -> TagEdit {
        match self {
            Self::Imply => TagEdit::Imply { from, to },
            Self::Unimply => TagEdit::Unimply { from, to },
            Self::Suggest => TagEdit::Suggest { from, to },
            Self::Unsuggest => TagEdit::Unsuggest { from, to },
            Self::Refuse => TagEdit::Refuse { from, to },
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Imply => "imply",
            Self::Unimply => "no longer imply",
            Self::Suggest => "suggest",
            Self::Unsuggest => "no longer suggest",
            Self::Refuse => "refuse to imply",
        }
    }
}

struct Desk<'c> {
    context: &'c Context,
    engine: &'c Engine,
}

impl Desk<'_> {
    /// A tag as it was written: with its category, else that under which it is used.
    fn name(&self, text: &str) -> TagName {
        let catalog = self.engine.catalog();
        let category = |value: &str| catalog.category_of(value).map(str::to_owned);
        catalog.tag_database().read_name(text, category)
    }

    fn stored_name(&self, text: &str) -> TagName {
        self.engine.catalog().stored_name(text)
    }

    /// The new name of a tag: in the category of the old one, unless another is named.
    fn new_name(&self, old: &str, text: &str) -> TagName {
        let name = self.name(text);
        let catalog = self.engine.catalog();
        let is_known = catalog.tag_count(&name) > 0 || catalog.tag_database().knows(&name);
        if name.category == GENERAL && !is_known && !text.starts_with("general:") {
            return TagName::new(&self.name(old).category, &name.value);
        }
        name
    }

    fn category(&self, text: &str) -> String {
        self.engine.catalog().tag_database().category_name(text)
    }

    /// Makes changes, all or none, and says what is worth knowing.
    fn change(&self, action: &str, edits: &[TagEdit]) -> Result<Status> {
        let notes = self
            .engine
            .change_tags_now(action, edits)
            .map_err(|reason| anyhow!(reason))?;
        if self.context.options.json {
            self.context
                .output
                .json(&json!({"action": action, "notes": notes}))?;
        } else {
            for note in &notes {
                self.context.output.note(note);
            }
            self.context
                .output
                .note(&format!("{action}; tagloupe undo takes it back"));
        }
        Ok(Status::Done)
    }

    fn mark(&self, tag: &str, verb: &str, edit: impl Fn(TagName) -> TagEdit) -> Result<Status> {
        let name = self.name(tag);
        self.change(&format!("{verb} {name}"), &[edit(name)])
    }

    fn list(&self, pattern: Option<&str>) -> Result<Status> {
        let catalog = self.engine.catalog();
        let tags = catalog.tag_database();
        let pattern = pattern.map(crate::model::tag::normalize);
        let is_wanted = |name: &TagName, row: &TagRow| {
            pattern.as_ref().is_none_or(|pattern| {
                let names = row.aliases.iter().chain([&name.value, &name.category]);
                names
                    .into_iter()
                    .any(|text| text.contains(pattern.as_str()))
            })
        };
        let rows: Vec<_> = tags
            .rows()
            .filter(|(name, row)| is_wanted(name, row))
            .collect();
        if self.context.options.json {
            self.context
                .output
                .json_list(rows.iter().map(|(name, row)| describe(name, row)))?;
        } else {
            for category in tags.categories().iter().filter(|_| pattern.is_none()) {
                let aliases = category.aliases.join(", ");
                self.context.output.line(&format!(
                    "category {}  {aliases}  {}",
                    category.name, category.color
                ))?;
            }
            for (name, row) in &rows {
                self.context.output.line(&line(name, row))?;
            }
            if rows.is_empty() {
                self.context.output.note(match pattern {
                    Some(_) => "nothing is known of such a tag",
                    None => "nothing is known of any tag yet",
                });
            }
            for problem in tags.problems() {
                self.context.output.note(&format!("tagdb.jsonl: {problem}"));
            }
        }
        Ok(if rows.is_empty() {
            Status::Nothing
        } else {
            Status::Done
        })
    }

    fn show(&self, tag: &str) -> Result<Status> {
        let catalog = self.engine.catalog();
        let tags = catalog.tag_database();
        let name = self.name(tag);
        let row = tags.row(&name).cloned().unwrap_or_default();
        let stored = catalog.tag_count(&name);
        let found = self.engine.search_now(&Query::parse(
            &format!("all: {}", quoted(&name)),
            &*catalog,
        )?);
        let implied: Vec<String> = tags
            .implied(&name)
            .iter()
            .map(|(implied, by)| format!("{implied} (by {by})"))
            .collect();
        let implying: Vec<String> = tags
            .counting_as(&name)
            .names
            .iter()
            .skip(1)
            .map(ToString::to_string)
            .collect();
        if self.context.options.json {
            let mut value = describe(&name, &row);
            value["stored"] = stored.into();
            value["found"] = found.keys.len().into();
            value["implied"] = implied.into();
            value["implied_by"] = implying.into();
            self.context.output.json(&value)?;
            return Ok(Status::Done);
        }
        let output = &self.context.output;
        output.line(&line(&name, &row))?;
        output.line(&format!(
            "on {}, found on {}",
            counted(stored, "medium", "media"),
            found.keys.len()
        ))?;
        for (what, names) in [("implies", implied), ("implied by", implying)] {
            if !names.is_empty() {
                output.line(&format!("{what}: {}", names.join(", ")))?;
            }
        }
        Ok(Status::Done)
    }

    fn alias(&self, alias: &str, tag: Option<&str>, is_removed: bool) -> Result<Status> {
        let (Some(tag), false) = (tag, is_removed) else {
            if !is_removed {
                bail!("an alias needs the tag that it stands for");
            }
            return self.change(
                &format!("{alias} is no alias any more"),
                &[TagEdit::Unalias(alias.to_owned())],
            );
        };
        let tag = self.name(tag);
        let value = crate::model::tag::normalize(alias);
        let catalog = self.engine.catalog();
        let used: u64 = catalog
            .tagged_value(&value)
            .map(|(_, media)| media.len())
            .sum();
        if used > 0 && value != tag.value {
            bail!(
                "{value} is itself a tag on {}; tagloupe tagdb merge {value} {tag} moves them over \
                 and leaves the alias",
                counted(used, "medium", "media")
            );
        }
        self.change(
            &format!("alias {value} of {tag}"),
            &[TagEdit::Alias { alias: value, tag }],
        )
    }

    fn pairs(&self, tag: &str, others: &[String], pair: Pair) -> Result<Status> {
        let from = self.name(tag);
        let others: Vec<TagName> = others.iter().map(|other| self.name(other)).collect();
        let told: Vec<String> = others.iter().map(ToString::to_string).collect();
        let edits: Vec<TagEdit> = others
            .into_iter()
            .map(|to| pair.edit(from.clone(), to))
            .collect();
        self.change(
            &format!("{from}: {} {}", pair.verb(), told.join(", ")),
            &edits,
        )
    }

    fn suggest(&self, arguments: &TagDbSuggestArgs) -> Result<Status> {
        if let Some((tag, others)) = arguments.tags.split_first() {
            if others.is_empty() {
                bail!(
                    "a suggestion needs the tag that it comes with and the one that is suggested"
                );
            }
            let pair = match (arguments.remove, arguments.refuse) {
                (true, _) => Pair::Unsuggest,
                (_, true) => Pair::Refuse,
                _ => Pair::Suggest,
            };
            return self.pairs(tag, others, pair);
        }
        let catalog = self.engine.catalog();
        let mut found = implications::suggest(&catalog);
        found.retain(|suggested| suggested.confidence >= arguments.min);
        if arguments.accept {
            if found.is_empty() {
                self.context.output.note("nothing is suggested");
                return Ok(Status::Nothing);
            }
            // What one of them makes impossible is left out, and said.
            let mut tags = crate::model::tagdb::TagDb::clone(catalog.tag_database());
            let mut edits = Vec::new();
            for suggested in found {
                let edit = Pair::Imply.edit(suggested.from, suggested.to);
                match tags.apply(&edit) {
                    Ok(_) => edits.push(edit),
                    Err(mistake) => self.context.output.note(&format!("left out: {mistake}")),
                }
            }
            return self.change(
                &format!(
                    "accept {}",
                    counted(edits.len(), "implication", "implications")
                ),
                &edits,
            );
        }
        let total = found.len();
        if !arguments.all {
            found.truncate(SHOWN);
        }
        if self.context.options.json {
            self.context
                .output
                .json_list(found.iter().map(|suggested| {
                json!({
                    "from": suggested.from.to_string(),
                    "to": suggested.to.to_string(),
                    "confidence": suggested.confidence,
                    "evidence": suggested.evidence.to_string(),
                    "count": suggested.count,
                    "examples": suggested.examples.iter().map(MediaId::as_str).collect::<Vec<_>>(),
                })
            }))?;
        } else {
            for suggested in &found {
                self.context.output.line(&format!(
                    "{:.2}  {} → {}  {}; on {}",
                    suggested.confidence,
                    suggested.from,
                    suggested.to,
                    suggested.evidence,
                    counted(suggested.count, "medium", "media"),
                ))?;
            }
            if total > 0 {
                self.context.output.note(&format!(
                    "{total} suggested, {} shown; tagdb imply TAG IMPLIED accepts one, tagdb suggest \
                     --accept --min 0.9 all that are as sure, tagdb suggest --refuse TAG IMPLIED never asks again",
                    found.len()
                ));
            }
        }
        Ok(if found.is_empty() {
            Status::Nothing
        } else {
            Status::Done
        })
    }

    fn rename(&self, from: &TagName, to: &TagName, leaves_alias: bool) -> Result<Status> {
        let bar = self.context.output.bar("renaming", None);
        let report = self
            .engine
            .rename_tag_now(from, to, leaves_alias, &mut |done, total| {
                self.context.step(&bar, done as u64, total as u64)
            })
            .map_err(|reason| anyhow!(reason))?;
        drop(bar);
        let saved = &report.saved;
        if self.context.options.json {
            self.context.output.json(&json!({
                "from": from.to_string(),
                "to": to.to_string(),
                "changed": saved.changed.len(),
                "failed": saved.failed.len(),
                "notes": report.notes,
            }))?;
        } else {
            for note in report.notes.iter().chain(&saved.warnings) {
                self.context.output.note(note);
            }
            let catalog = self.engine.catalog();
            let failed = saved.failed.iter().map(|(key, reason)| {
                let record = catalog.record(*key);
                let path = record.map_or_else(String::new, |record| record.path().into_owned());
                (path, reason.clone())
            });
            self.context.output.failures(failed);
            self.context.output.note(&format!(
                "{from} is {to} now, on {}; tagloupe undo takes it back",
                counted(saved.changed.len(), "medium", "media")
            ));
        }
        Ok(if self.context.cancel.is_cancelled() {
            Status::Interrupted
        } else if saved.failed.is_empty() {
            Status::Done
        } else {
            Status::Partly
        })
    }

    fn import(&self, file: &std::path::Path, min_count: u64, is_dry_run: bool) -> Result<Status> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| anyhow!("cannot read {}: {error}", file.display()))?;
        let mut tags =
            dictionary::parse(&text).map_err(|problem| anyhow!("{}: {problem}", file.display()))?;
        tags.retain(|tag| tag.count >= min_count);
        let name = file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let report = self
            .engine
            .import_tags_now(&format!("import tags of {name}"), &tags, is_dry_run)
            .map_err(|reason| anyhow!(reason))?;
        if self.context.options.json {
            self.context.output.json(&json!({
                "dry_run": is_dry_run,
                "new": report.new,
                "matched": report.matched,
                "conflicts": report.conflicts,
                "sample": report.sample,
            }))?;
            return Ok(Status::Done);
        }
        if is_dry_run {
            for line in &report.sample {
                self.context.output.line(line)?;
            }
        }
        self.context.output.note(&format!(
            "{} new, {} known, {} left out because they mean something else here{}",
            report.new,
            report.matched,
            report.conflicts,
            if is_dry_run {
                "; nothing was written"
            } else {
                "; tagloupe undo takes it back"
            }
        ));
        Ok(Status::Done)
    }

    /// Ratings that the tags of unrated media suggest.
    fn ratings(&self, query: &str) -> Result<Status> {
        let catalog = self.engine.catalog();
        let Some(ratings) = Ratings::learn(&catalog) else {
            self.context
                .output
                .note("fewer than 50 media are rated: too few to learn from");
            return Ok(Status::Nothing);
        };
        let query = Query::parse(query, &*catalog)
            .map_err(|error| anyhow!("{error} in the query '{query}'"))?;
        let found = self.engine.search_now(&query);
        let guesses: Vec<_> = found
            .keys
            .iter()
            .filter_map(|key| Some((catalog.record(*key)?, ratings.guess(&catalog, *key)?)))
            .filter(|(record, _)| record.rating().is_none())
            .collect();
        let because =
            |names: &[TagName]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        if self.context.options.json {
            self.context
                .output
                .json_list(guesses.iter().map(|(record, guess)| {
                    json!({
                        "id": record.id().as_str(),
                        "rating": guess.rating.letter(),
                        "probability": guess.probability,
                        "because": because(&guess.because),
                    })
                }))?;
        } else {
            for (record, guess) in &guesses {
                self.context.output.line(&format!(
                    "{}  {:.2}  {}  {}",
                    guess.rating.letter(),
                    guess.probability,
                    record.id().as_str(),
                    because(&guess.because).join(", ")
                ))?;
            }
            self.context.output.note(&format!(
                "{} suggested from {} rated; nothing was changed: tagloupe tag 'id:…' rating:s accepts one",
                counted(guesses.len(), "rating", "ratings"),
                ratings.rated
            ));
        }
        Ok(if guesses.is_empty() {
            Status::Nothing
        } else {
            Status::Done
        })
    }
}

/// A tag as a term that means nothing else.
pub fn quoted(name: &TagName) -> String {
    format!("{}:\"{}\"", name.category, name.value.replace('"', "\\\""))
}

fn line(name: &TagName, row: &TagRow) -> String {
    let mut line = name.to_string();
    let names = |names: &[TagName]| -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    for (what, text) in [
        ("aliases", row.aliases.join(", ")),
        ("implies", names(&row.implies)),
        ("suggests", names(&row.suggests)),
        ("refuses", names(&row.refuses)),
        ("", row.description.clone()),
    ] {
        if !text.is_empty() {
            line.push_str("  ");
            line.push_str(what);
            if !what.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    for (word, is_on) in [("hidden", row.is_hidden), ("deprecated", row.is_deprecated)] {
        if is_on {
            line.push_str("  ");
            line.push_str(word);
        }
    }
    line
}

fn describe(name: &TagName, row: &TagRow) -> Value {
    let names =
        |names: &[TagName]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    json!({
        "category": name.category,
        "tag": name.value,
        "aliases": row.aliases,
        "implies": names(&row.implies),
        "suggests": names(&row.suggests),
        "hidden": row.is_hidden,
        "deprecated": row.is_deprecated,
        "description": row.description,
        "count": row.count,
    })
}
