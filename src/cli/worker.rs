//! `worker`: files of other hosts, without a screen.

use std::{cell::RefCell, path::PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::{Status, command::WorkerArgs, context::Context, ingest::tell};
use crate::engine::{
    Engine,
    cluster::{WorkerNews, WorkerTally},
    event,
};

pub fn worker(context: &Context, arguments: &WorkerArgs) -> Result<Status> {
    let mut context = context.clone();
    if let Some(folder) = &arguments.folder {
        context.options.library = Some(folder.clone());
    }
    if arguments.dead || arguments.retry_dead {
        let (events, _) = event::channel();
        let engine = context.bare_engine(events)?;
        return if arguments.dead {
            dead(&context, &engine)
        } else {
            retry_dead(&context, &engine)
        };
    }
    let (events, receiver) = event::channel();
    // Nobody hears them: what counts comes with the files.
    drop(receiver);
    let engine = context.engine_with_settings(events, |settings| {
        settings.workers = arguments.threads.filter(|n| *n > 0).or(settings.workers);
        // Whoever gave a file asks about it.
        settings.sources.clear();
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

/// Lists what was put aside.
fn dead(context: &Context, engine: &Engine) -> Result<Status> {
    let files = engine.dead_files_now().map_err(|reason| anyhow!(reason))?;
    if context.options.json {
        let files = files
            .iter()
            .map(|file| json!({"file": file.path.to_string_lossy(), "reason": file.reason}));
        context.output.json_list(files)?;
    } else {
        for file in &files {
            let path = file.path.display();
            context.output.line(&format!("{path}: {}", file.reason))?;
        }
    }
    Ok(if files.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

fn retry_dead(context: &Context, engine: &Engine) -> Result<Status> {
    let retried = engine.retry_dead_now().map_err(|reason| anyhow!(reason))?;
    let (again, gone) = (&retried.again, &retried.gone);
    let output = &context.output;
    if context.options.json {
        let texts = |paths: &[PathBuf]| -> Vec<String> {
            let text = |path: &PathBuf| path.to_string_lossy().into_owned();
            paths.iter().map(text).collect()
        };
        output.json(&json!({
            "again": texts(again),
            "gone": texts(gone),
            "workers": retried.workers,
        }))?;
    } else {
        for path in again {
            output.line(&format!("again: {}", path.display()))?;
        }
        for path in gone {
            output.line(&format!("gone: {}", path.display()))?;
        }
        if !again.is_empty() && retried.workers == 0 {
            output.note("no worker is there; the next one takes them");
        }
    }
    Ok(if again.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
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
    let mut text = ended.summary();
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
