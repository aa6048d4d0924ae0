//! `search` and `tag`: what a query finds, and bulk edits of it.

mod plan;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{
    Status,
    command::{SearchArgs, TagArgs},
    context::{Context, rfc3339_now},
    output::{counted, failures},
};
use crate::{
    engine::{Engine, save::SaveStep, search::Found},
    model::{
        catalog::Record,
        edit::{Edit, apply_all},
        id::MediaKey,
        media::Rating,
        query::{BuiltIn, Query, QueryError, Vocabulary},
        tag_line::parse_tag_line,
    },
};

pub fn search(context: &Context, arguments: &SearchArgs) -> Result<Status> {
    let text = arguments.query.join(" ");
    if arguments.plan {
        return plan::print(context, &text);
    }
    if arguments.form.explain {
        return explain(context, &text);
    }
    let output = &context.output;
    let engine = context.engine()?;
    let catalog = engine.catalog();
    let query = parse(&text, &*catalog)?;
    if let Some(id) = &arguments.why {
        return why(context, &engine, &query, id);
    }
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let form = &arguments.form;
    let page = engine.first_page_now(&query, if form.count { 0 } else { limit });
    if let Some(hint) = &page.hint {
        context.output.note(hint);
    }
    let keys = &page.keys;
    let records = || keys.iter().filter_map(|key| catalog.record(*key));
    if form.count {
        let count = page.total.min(limit as u64);
        if context.options.json {
            output.json(&json!({"count": count}))?;
        } else {
            output.line(&count.to_string())?;
        }
        return Ok(Status::Done);
    }
    if context.options.json {
        output.json_list(records().map(|record| describe(&engine, record)))?;
    } else {
        for record in records() {
            if form.ids {
                output.line(record.id().as_str())?;
            } else if form.zero {
                output.path_zero(path(&engine, record).as_os_str())?;
            } else {
                output.path(path(&engine, record).as_os_str())?;
            }
        }
    }
    Ok(if keys.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

/// Prints what each term says of one medium.
fn why(context: &Context, engine: &Engine, query: &Query, id: &str) -> Result<Status> {
    let catalog = engine.catalog();
    let key = id.parse().ok().and_then(|id| catalog.key_of(&id));
    let Some(key) = key else {
        bail!("no medium has the id {id}; tagloupe search --ids QUERY prints ids");
    };
    let reasons = engine.why_now(query, key);
    let is_found = engine.search_now(query).keys.contains(&key);
    if context.options.json {
        let terms: Vec<Value> = reasons
            .iter()
            .map(|reason| {
                json!({
                    "term": reason.term,
                    "met": reason.is_met,
                    "because": reason.because,
                })
            })
            .collect();
        context
            .output
            .json(&json!({"found": is_found, "terms": terms}))?;
    } else {
        for reason in &reasons {
            let sign = if reason.is_met { "yes" } else { "no " };
            let because = match reason.because.as_slice() {
                [] => String::new(),
                because => format!("  by {}", because.join(", ")),
            };
            context
                .output
                .line(&format!("{sign} {}{because}", reason.term))?;
        }
        let word = if is_found { "found" } else { "not found" };
        context.output.note(&format!("{id} is {word}"));
    }
    Ok(if is_found {
        Status::Done
    } else {
        Status::Nothing
    })
}

/// Prints how a query is understood; with a library around, its categories count.
fn explain(context: &Context, text: &str) -> Result<Status> {
    let parsed = match context.root().ok().and_then(|_| context.engine().ok()) {
        Some(engine) => Query::parse(text, &*engine.catalog()),
        None => Query::parse(text, &BuiltIn),
    };
    match parsed {
        Ok(query) if context.options.json => {
            context
                .output
                .json(&json!({"canonical": query.canonical()}))?;
        }
        Ok(query) => context.output.line(&query.canonical())?,
        Err(error) => {
            if context.options.json {
                context
                    .output
                    .json(&json!({"canonical": null, "error": error.message}))?;
            } else {
                context.output.line("none")?;
            }
            return Err(mistake(text, &error));
        }
    }
    Ok(Status::Done)
}

/// The query, or an error that shows where it is wrong.
pub(super) fn parse(text: &str, vocabulary: &dyn Vocabulary) -> Result<Query> {
    Query::parse(text, vocabulary).map_err(|error| mistake(text, &error))
}

fn mistake(text: &str, error: &QueryError) -> anyhow::Error {
    let before = text.get(..error.span.start).unwrap_or(text);
    let hint = error.hint.as_deref().map(|hint| format!("; {hint}"));
    anyhow!(
        "{} at character {} of the query '{text}'{}",
        error.message,
        before.chars().count() + 1,
        hint.unwrap_or_default()
    )
}

/// Runs the query and passes on what the engine has to say about it.
fn find(context: &Context, engine: &Engine, query: &Query) -> Found {
    let found = engine.search_now(query);
    if let Some(hint) = &found.hint {
        context.output.note(hint);
    }
    found
}

fn path(engine: &Engine, record: Record<'_>) -> PathBuf {
    engine.original_path(&record.path())
}

fn describe(engine: &Engine, record: Record<'_>) -> Value {
    let tags: Vec<String> = record.tags().map(ToString::to_string).collect();
    json!({
        "id": record.id().as_str(),
        "path": path(engine, record).to_string_lossy(),
        "file": record.path(),
        "type": record.kind().as_str(),
        "name": record.title(),
        "md5": record.md5().map(|md5| md5.to_string()),
        "width": record.width(),
        "height": record.height(),
        "bytes": record.bytes(),
        "imported": record.imported(),
        "created": record.created(),
        "rating": record.rating().map(Rating::letter),
        "stars": record.stars(),
        "fav": record.fav(),
        "tags": tags,
    })
}

pub fn tag(context: &Context, arguments: &TagArgs) -> Result<Status> {
    let Some((text, words)) = arguments.words.split_first() else {
        bail!("a query and at least one edit are needed");
    };
    let engine = context.engine()?;
    let catalog = engine.catalog();
    let query = parse(text, &*catalog)?;
    let edits = read_edits(words, &|value| {
        catalog.category_of(value).map(str::to_owned)
    })?;
    let found = find(context, &engine, &query);
    let done = if arguments.dry_run {
        let changes = found.keys.iter().map(|key| (*key, edits.clone())).collect();
        preview(context, &engine, changes)
    } else {
        let shared: Arc<[Edit]> = edits.into();
        let changes = found.keys.iter().map(|key| (*key, Arc::clone(&shared)));
        let step = SaveStep {
            number: 0,
            action: format!("tag {}: {} on {}", text, words.join(" "), found.keys.len()),
            changes: changes.collect(),
        };
        save(context, &engine, &step)
    };
    let name = |key: MediaKey| {
        catalog
            .record(key)
            .map_or_else(String::new, |record| record.path().into_owned())
    };
    if context.options.json {
        let failed = done
            .failed
            .iter()
            .map(|(key, reason)| (name(*key), reason.clone()));
        context.output.json(&json!({
            "dry_run": arguments.dry_run,
            "matched": found.keys.len(),
            "changed": done.changed.len(),
            "failed": failures(failed),
            "warnings": done.warnings,
            "merged": done.merged,
        }))?;
    } else {
        if arguments.dry_run {
            for key in &done.changed {
                context.output.line(&name(*key))?;
            }
        }
        let failed = done.failed.iter();
        context
            .output
            .failures(failed.map(|(key, reason)| (name(*key), reason.clone())));
        let verb = if arguments.dry_run {
            "would change"
        } else {
            "changed"
        };
        context.output.note(&format!(
            "{}, {verb} {}",
            counted(found.keys.len(), "match", "matches"),
            done.changed.len(),
        ));
    }
    for merged in &done.merged {
        context.output.note(merged);
    }
    for warning in &done.warnings {
        context.output.note(&format!("warning: {warning}"));
    }
    Ok(if context.cancel.is_cancelled() {
        Status::Interrupted
    } else if !done.failed.is_empty() {
        Status::Partly
    } else if found.keys.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

/// What a bulk edit did, or would do.
#[derive(Default)]
struct Tagged {
    changed: Vec<MediaKey>,
    failed: Vec<(MediaKey, String)>,
    warnings: Vec<String>,
    merged: Vec<String>,
}

fn save(context: &Context, engine: &Engine, step: &SaveStep) -> Tagged {
    let bar = context.output.bar("saving", None);
    let report = engine.save_now(step, &mut |done, total| {
        context.step(&bar, done as u64, total as u64)
    });
    Tagged {
        changed: report.changed,
        failed: report.failed,
        warnings: report.warnings,
        merged: report.merged,
    }
}

fn preview(context: &Context, engine: &Engine, changes: Vec<(MediaKey, Vec<Edit>)>) -> Tagged {
    let bar = context.output.bar("reading", None);
    let mut would = Tagged::default();
    let total = changes.len() as u64;
    for (done, (key, edits)) in (0..).zip(changes) {
        bar.set(done, Some(total));
        if context.flow().is_break() {
            break;
        }
        match engine.media_now(key) {
            Ok(mut media) => {
                if !apply_all(&edits, &mut media).is_empty() {
                    would.changed.push(key);
                }
            }
            Err(error) => would.failed.push((key, error.chain())),
        }
    }
    would
}

/// Reads all words before anything is changed. A single word may be a whole line
/// (`'+a -b'`); of several, each is one edit, whatever blanks the shell let through.
fn read_edits(words: &[String], resolve: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Edit>> {
    let now = rfc3339_now();
    let mut edits = Vec::new();
    for word in words {
        let line = one_edit(word, words.len() == 1);
        let parsed = parse_tag_line(&line, resolve, &now)
            .map_err(|error| anyhow!("{} in the edit '{word}'", error.message))?;
        edits.extend(parsed);
    }
    if edits.is_empty() {
        bail!("there is no edit in '{}'", words.join(" "));
    }
    Ok(edits)
}

fn one_edit(word: &str, may_be_line: bool) -> String {
    if let Some(caption) = word.strip_prefix("caption:") {
        if caption.starts_with('"') {
            return word.to_owned();
        }
        let escaped = caption.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("caption:\"{escaped}\"");
    }
    if may_be_line {
        return word.to_owned();
    }
    word.split_whitespace().collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_edit_and_a_lone_word_a_line() {
        for (word, alone, expected) in [
            ("+a -b", true, "+a -b"),
            ("blue hair", false, "blue_hair"),
            ("caption:a red fox", true, "caption:\"a red fox\""),
            ("caption:say \"hi\"", false, r#"caption:"say \"hi\"""#),
            ("caption:\"done\"", false, "caption:\"done\""),
        ] {
            assert_eq!(one_edit(word, alone), expected);
        }
    }

    #[test]
    fn a_mistake_shows_where() {
        let error = QueryError {
            message: "unclosed group".to_owned(),
            span: 3..4,
            hint: Some("add )".to_owned()),
        };
        assert_eq!(
            mistake("é (a", &error).to_string(),
            "unclosed group at character 3 of the query 'é (a'; add )"
        );
    }
}
