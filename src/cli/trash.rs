//! `trash`: what was put away, back again, or away for good.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    Status,
    command::{TrashAction, TrashArgs, TrashEmptyArgs, TrashRestoreArgs},
    context::Context,
    output::{counted, failures},
};
use crate::{
    engine::{
        Engine, Trashed, event,
        job::system_clock,
        trash::{Report, is_older},
    },
    model::{entry::format_time, id::MediaId, text::human_bytes},
};

pub fn trash(context: &Context, arguments: &TrashArgs) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = match arguments.action {
        // A medium that comes back needs an index it can come back to.
        TrashAction::Restore(_) | TrashAction::Empty(_) => context.engine_with(events)?,
        TrashAction::List => context.bare_engine(events)?,
    };
    let items = engine.trashed_now()?;
    match &arguments.action {
        TrashAction::List => list(context, &items),
        TrashAction::Restore(arguments) => restore(context, &engine, items, arguments),
        TrashAction::Empty(arguments) => empty(context, &engine, items, arguments),
    }
}

fn list(context: &Context, items: &[Trashed]) -> Result<Status> {
    if context.options.json {
        context.output.json_list(items.iter().map(item_json))?;
    } else {
        for item in items {
            context.output.line(&item_text(item))?;
        }
        context.output.note(&format!(
            "{} in the trash, {}",
            counted(items.len(), "medium", "media"),
            human_bytes(bytes(items))
        ));
    }
    Ok(if items.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

fn bytes(items: &[Trashed]) -> u64 {
    items.iter().map(|item| item.bytes).sum()
}

fn item_text(item: &Trashed) -> String {
    let at = item.at.map_or_else(|| "?".to_owned(), format_time);
    let size = human_bytes(item.bytes);
    format!("{at}  {size:>9}  {}  {}", item.path, item.reason)
}

fn item_json(item: &Trashed) -> Value {
    let tags: Vec<String> = item
        .media
        .tags
        .iter()
        .map(|tag| tag.name().to_string())
        .collect();
    json!({
        "id": item.id.as_str(),
        "path": item.path,
        "file": item.original,
        "at": item.at.map(format_time),
        "by": item.by,
        "reason": item.reason,
        "merged_into": item.merged_into.as_ref().map(MediaId::as_str),
        "bytes": item.bytes,
        "tags": tags,
    })
}

fn restore(
    context: &Context,
    engine: &Engine,
    items: Vec<Trashed>,
    arguments: &TrashRestoreArgs,
) -> Result<Status> {
    let chosen = if arguments.all {
        items
    } else {
        choose(engine.root(), &items, &arguments.items)?
    };
    let bar = context.output.bar("restoring", None);
    let report = engine.restore_now(&chosen, &mut |done, total| {
        context.step(&bar, done as u64, total as u64)
    });
    drop(bar);
    tell(context, &report, "restored", "brought back")
}

/// What each word means: an id, or the path of a file where it was. Of several in
/// the trash the newest.
fn choose(root: &Path, items: &[Trashed], words: &[String]) -> Result<Vec<Trashed>> {
    let is_meant = |item: &Trashed, word: &str| {
        item.id.as_str() == word
            || item.path == word
            || item.original.as_deref() == Some(word)
            || std::path::absolute(word).is_ok_and(|path| path == root.join(&item.path))
    };
    let mut chosen: Vec<Trashed> = Vec::new();
    for word in words {
        let Some(item) = items.iter().find(|item| is_meant(item, word)) else {
            bail!("{word} is not in the trash; tagloupe trash list shows what is");
        };
        if chosen.iter().all(|other| other.path != item.path) {
            chosen.push(item.clone());
        }
    }
    Ok(chosen)
}

fn empty(
    context: &Context,
    engine: &Engine,
    mut items: Vec<Trashed>,
    arguments: &TrashEmptyArgs,
) -> Result<Status> {
    if let Some(days) = arguments.older_than {
        let now = system_clock();
        items.retain(|item| is_older(item, days, now));
    }
    if arguments.dry_run {
        if context.options.json {
            context.output.json_list(items.iter().map(item_json))?;
        } else {
            for item in &items {
                context.output.line(&item_text(item))?;
            }
        }
        context.output.note(&format!(
            "would throw away {} for good, {}",
            counted(items.len(), "medium", "media"),
            human_bytes(bytes(&items))
        ));
        return Ok(if items.is_empty() {
            Status::Nothing
        } else {
            Status::Done
        });
    }
    let bar = context.output.bar("emptying the trash", None);
    let report = engine.purge_now(&items, &mut |done, total| {
        context.step(&bar, done as u64, total as u64)
    });
    drop(bar);
    tell(context, &report, "removed", "thrown away for good")
}

/// How it went: `key` in JSON, `what` in words.
fn tell(context: &Context, report: &Report, key: &str, what: &str) -> Result<Status> {
    if context.options.json {
        context.output.json(&json!({
            key: report.done,
            "bytes": report.bytes,
            "failed": failures(report.failed.iter().cloned()),
            "cancelled": report.is_cancelled,
        }))?;
    } else {
        context.output.failures(report.failed.iter().cloned());
        context.output.line(&format!(
            "{} {what}, {}",
            counted(report.done, "medium", "media"),
            human_bytes(report.bytes)
        ))?;
    }
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if !report.failed.is_empty() {
        Status::Partly
    } else if report.done == 0 {
        Status::Nothing
    } else {
        Status::Done
    })
}
