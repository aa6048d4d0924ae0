//! `undo`, `redo`, `history` and `recover`: what the journal is for.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{
    Status,
    command::{HistoryArgs, RevertArgs},
    context::Context,
    output::counted,
};
use crate::engine::{Engine, Past, Which, event};

/// So many of those that were left alone are named.
const LEFT: usize = 20;

pub fn undo(context: &Context, arguments: &RevertArgs) -> Result<Status> {
    revert(context, arguments, false)
}

pub fn redo(context: &Context, arguments: &RevertArgs) -> Result<Status> {
    revert(context, arguments, true)
}

fn revert(context: &Context, arguments: &RevertArgs, is_redo: bool) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.engine_with(events)?;
    let what = match arguments.id {
        Some(id) => Which::Named(id),
        None => Which::Newest,
    };
    let verb = if is_redo { "done again" } else { "undone" };
    let bar = context
        .output
        .bar(if is_redo { "redo" } else { "undo" }, None);
    let report = engine
        .revert_now(what, is_redo, &mut |done, total| {
            context.step(&bar, done as u64, total as u64)
        })
        .map_err(|reason| anyhow!(reason))?;
    drop(bar);
    let Some(report) = report else {
        if context.options.json {
            context.output.json(&Value::Null)?;
        } else {
            let what = if is_redo { "do again" } else { "undo" };
            context.output.note(&format!("nothing to {what}"));
        }
        return Ok(Status::Nothing);
    };
    if context.options.json {
        context.output.json(&json!({
            "action": report.action,
            "changed": report.changed,
            "trashed": report.trashed,
            "left": report.left,
            "merged": report.merged,
            "warning": report.warning,
        }))?;
    } else {
        let action = &report.action;
        context.output.note(&match report.changed + report.trashed {
            0 if !report.left.is_empty() => format!("not {verb}: {action}"),
            n => format!("{verb}: {action}, {}", counted(n, "medium", "media")),
        });
        for merged in &report.merged {
            context.output.note(merged);
        }
        for left in report.left.iter().take(LEFT) {
            context.output.note(&format!("left alone: {left}"));
        }
        if let Some(more @ 1..) = report.left.len().checked_sub(LEFT) {
            context.output.note(&format!("left alone: {more} more"));
        }
    }
    if let Some(warning) = &report.warning {
        context.output.note(&format!("warning: {warning}"));
    }
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if report.left.is_empty() {
        Status::Done
    } else {
        Status::Partly
    })
}

pub fn history(context: &Context, arguments: &HistoryArgs) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    let past = engine.history_now(arguments.limit)?;
    if context.options.json {
        context.output.json_list(past.iter().map(describe))?;
    } else {
        for past in &past {
            context.output.line(&line(past))?;
        }
    }
    Ok(if past.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

fn line(past: &Past) -> String {
    let state = match (past.is_unfinished, past.is_undone) {
        (true, _) => "  (not finished)",
        (false, true) => "  (undone)",
        (false, false) => "",
    };
    format!(
        "{}  {}  {}@{}  {}{state}",
        past.id, past.at, past.user, past.host, past.action
    )
}

fn describe(past: &Past) -> Value {
    json!({
        "id": past.id.to_string(),
        "at": past.at,
        "host": past.host,
        "user": past.user,
        "action": past.action,
        "media": past.media,
        "ingest": past.is_ingest,
        "undone": past.is_undone,
        "unfinished": past.is_unfinished,
    })
}

/// Every command does this when it starts; this one does nothing else.
pub fn recover(context: &Context) -> Result<Status> {
    let (events, _) = event::channel();
    // What is found is told where the engine is started.
    let _engine: Engine = context.engine_with(events)?;
    Ok(Status::Done)
}
