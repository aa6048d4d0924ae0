//! `worker`: files of other hosts, without a screen.

use std::cell::RefCell;

use anyhow::{Result, anyhow};
use serde_json::json;

use super::{
    Status,
    command::WorkerArgs,
    context::Context,
    ingest::{summary, tell},
};
use crate::engine::{
    cluster::{WorkerNews, WorkerTally},
    event,
};

pub fn worker(context: &Context, arguments: &WorkerArgs) -> Result<Status> {
    let mut context = context.clone();
    if let Some(folder) = &arguments.folder {
        context.options.library = Some(folder.clone());
    }
    let (events, receiver) = event::channel();
    // Nobody hears them: what counts comes with the files.
    drop(receiver);
    let engine = context.engine_with_settings(events, |settings| {
        settings.workers = arguments.threads.filter(|n| *n > 0).or(settings.workers);
    })?;
    let failed = RefCell::new(None);
    let tally = engine.help_now(&context.cancel, &mut |news| {
        if let Err(error) = show(&context, engine.root(), news) {
            // Nobody reads any more.
            context.cancel.cancel();
            failed.borrow_mut().get_or_insert(error);
        }
    });
    engine.shutdown();
    let tally = tally.map_err(|reason| anyhow!(reason))?;
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    conclude(&context, &tally)?;
    // To be ended is how it ends.
    Ok(Status::Done)
}

fn show(context: &Context, root: &std::path::Path, news: WorkerNews) -> Result<()> {
    let output = &context.output;
    match news {
        WorkerNews::Joined { name } => {
            let root = root.display();
            output.note(&format!("helping with {root} as {name}; Ctrl-C ends it"));
        }
        WorkerNews::Lost(reason) => {
            output.note(&format!("Redis is away: {reason}; waiting for it"));
        }
        WorkerNews::Ended { path, outcome } => tell(context, &path, &outcome)?,
        WorkerNews::PutAside { path, reason } => {
            let file = path.to_string_lossy();
            if context.options.json {
                output.json(&json!({"outcome": "dead", "file": file, "reason": reason}))?;
            } else {
                output.line(&format!("dead: {}: {reason}", path.display()))?;
            }
            output.flush()?;
        }
        WorkerNews::HandedBack(files) => {
            output.note(&format!("handed back to the others: {files}"));
        }
    }
    Ok(())
}

fn conclude(context: &Context, tally: &WorkerTally) -> Result<()> {
    let ended = &tally.ended;
    if context.options.json {
        context.output.json(&json!({
            "stored": ended.stored + ended.kept,
            "duplicates": ended.duplicates,
            "quarantined": ended.quarantined,
            "refused": ended.refused,
            "failed": ended.failed,
            "handed_back": tally.handed_back,
            "taken_over": tally.taken_over,
            "dead": tally.put_aside,
        }))?;
        return Ok(());
    }
    let mut text = summary(ended);
    for (count, what) in [
        (tally.taken_over, "of them left by others"),
        (tally.handed_back, "handed back"),
        (tally.put_aside, "put aside"),
    ] {
        if count > 0 {
            text = format!("{text}, {count} {what}");
        }
    }
    context.output.line(&text)?;
    Ok(())
}
