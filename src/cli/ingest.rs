//! `ingest`, `scan` and `watch`: the pipeline without a screen.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    Status,
    command::{IngestArgs, TransferArgs},
    context::{Context, HEARTBEAT},
    fetch::ask_about_ingested,
    output::failures,
};
use crate::engine::{
    Engine, Transfer,
    event::{self, Event, IngestEvent, IngestOutcome, Level},
    job::lock,
};

pub fn ingest(context: &Context, arguments: &IngestArgs) -> Result<Status> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
    };
    let paths = arguments
        .paths
        .iter()
        .map(absolute)
        .collect::<Result<Vec<_>>>()?;
    let (events, _) = event::channel();
    let engine = context.engine_with_settings(events, |settings| {
        settings.takes_purged = arguments.force;
    })?;
    run(context, &engine, paths, how(&arguments.transfer))
}

/// What the switches say; nothing said: by where each file lies.
fn how(transfer: &TransferArgs) -> Option<Transfer> {
    match transfer {
        TransferArgs { copy: true, .. } => Some(Transfer::Copy),
        TransferArgs { move_: true, .. } => Some(Transfer::Move),
        TransferArgs { link: true, .. } => Some(Transfer::Link),
        TransferArgs { .. } => None,
    }
}

pub fn scan(context: &Context) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.engine_with(events)?;
    let folder = engine.inbox();
    if !folder.is_dir() {
        context
            .output
            .note(&format!("there is no folder {}", folder.display()));
        return Ok(Status::Done);
    }
    run(context, &engine, vec![folder], Some(Transfer::Move))
}

/// So many files are told of one reason while it runs; the others are counted.
const TOLD: usize = 20;

/// A file that did not simply become part of the library, and why.
struct Trouble {
    path: PathBuf,
    word: &'static str,
    reason: String,
}

/// What went wrong so far.
#[derive(Default)]
struct Troubles {
    list: Vec<Trouble>,
    /// How often each word came with each reason.
    counts: BTreeMap<(&'static str, String), usize>,
}

impl Troubles {
    /// Says whether it is one to tell at once.
    fn push(&mut self, trouble: Trouble) -> bool {
        let kind = (trouble.word, trouble.reason.clone());
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let is_told = *count <= TOLD;
        self.list.push(trouble);
        is_told
    }

    /// A line for each reason that more files share than were told.
    fn untold(&self) -> impl Iterator<Item = String> {
        let counts = self.counts.iter().filter(|(_, count)| **count > TOLD);
        counts.map(|((word, reason), count)| format!("{word}: {} more: {reason}", count - TOLD))
    }
}

fn run(
    context: &Context,
    engine: &Engine,
    paths: Vec<PathBuf>,
    how: Option<Transfer>,
) -> Result<Status> {
    let started = Instant::now();
    let bar = context.output.bar("ingesting", None);
    let troubles: Arc<Mutex<Troubles>> = Arc::default();
    let listener = {
        let (troubles, output) = (Arc::clone(&troubles), context.output.clone());
        move |path: &Path, outcome: &IngestOutcome| {
            if let Some(reason) = reason(outcome) {
                let word = word(outcome);
                let text = format!("{word}: {}: {reason}", path.display());
                let trouble = Trouble {
                    path: path.to_owned(),
                    word,
                    reason,
                };
                if lock(&troubles).push(trouble) {
                    output.note(&text);
                }
            }
        }
    };
    let tally = engine.ingest_now(
        paths,
        how,
        Box::new(listener),
        &context.cancel,
        &mut |progress| bar.set(progress.done, progress.total),
    );
    drop(bar);
    let sources = ask_about_ingested(context, engine);
    engine.shutdown();
    let troubles = std::mem::take(&mut *lock(&troubles));
    if context.options.json {
        let list = |word| {
            let of_word = troubles.list.iter().filter(|trouble| trouble.word == word);
            failures(of_word.map(|trouble| (&trouble.path, trouble.reason.clone())))
        };
        context.output.json(&json!({
            "stored": tally.stored + tally.kept,
            "duplicates": tally.duplicates,
            "kept_unshown": list(KEPT),
            "quarantined": list(QUARANTINED),
            "refused": list(REFUSED),
            "failed": list(FAILED),
            "cancelled": tally.cancelled,
            "gone": tally.gone,
            "sources": sources,
        }))?;
    } else {
        for text in troubles.untold() {
            context.output.note(&text);
        }
        context.output.line(&tally.summary())?;
        context
            .output
            .note(&format!("in {:.1} s", started.elapsed().as_secs_f64()));
    }
    Ok(if context.cancel.is_cancelled() {
        Status::Interrupted
    } else if tally.failed + tally.quarantined > 0 {
        Status::Partly
    } else {
        Status::Done
    })
}

const KEPT: &str = "kept";
const QUARANTINED: &str = "quarantined";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// The word for how a file ended.
fn word(outcome: &IngestOutcome) -> &'static str {
    match outcome {
        IngestOutcome::Stored { .. } => "stored",
        IngestOutcome::Kept { .. } => KEPT,
        IngestOutcome::Duplicate { .. } => "duplicate",
        IngestOutcome::Quarantined { .. } => QUARANTINED,
        IngestOutcome::Refused { .. } => REFUSED,
        IngestOutcome::Waiting { .. } => "waiting",
        IngestOutcome::Failed { .. } => FAILED,
        IngestOutcome::Cancelled => "cancelled",
        IngestOutcome::Gone => "gone",
    }
}

/// Why a file did not simply become part of the library; `None` where it did, or
/// is there already, or is still on its way.
fn reason(outcome: &IngestOutcome) -> Option<String> {
    match outcome {
        IngestOutcome::Kept { reason, .. }
        | IngestOutcome::Quarantined { reason }
        | IngestOutcome::Refused { reason }
        | IngestOutcome::Failed { reason } => Some(reason.clone()),
        IngestOutcome::Stored { .. }
        | IngestOutcome::Duplicate { .. }
        | IngestOutcome::Waiting { .. }
        | IngestOutcome::Cancelled
        | IngestOutcome::Gone => None,
    }
}

pub fn watch(context: &Context) -> Result<Status> {
    let (events, mut receiver) = event::channel();
    let engine = context.engine_with(events)?;
    engine.watch(Some(engine.inbox()));
    engine.empty_old_trash();
    engine.start_hashing();
    engine.start_sources();
    while !context.cancel.is_cancelled() {
        while let Ok(event) = receiver.events.try_recv() {
            match event {
                Event::Ingest(IngestEvent::Finished { path, outcome, .. }) => {
                    tell(context, &path, &outcome)?;
                }
                Event::Ingest(IngestEvent::State {
                    watching: Some(folder),
                    ..
                }) => {
                    let folder = folder.display();
                    context
                        .output
                        .note(&format!("watching {folder}; Ctrl-C ends it"));
                }
                Event::Notice { level, text } if level > Level::Info => context.output.note(&text),
                _ => {}
            }
        }
        // The receiver of the events cannot wait for them and for Ctrl-C.
        std::thread::park_timeout(HEARTBEAT);
    }
    // What is in hand is finished; nobody reads events any more.
    drop(receiver);
    engine.shutdown();
    Ok(Status::Interrupted)
}

/// One line for a file that came to an end.
pub(super) fn tell(context: &Context, path: &Path, outcome: &IngestOutcome) -> Result<()> {
    let mut parts = vec![format!("{}: {}", word(outcome), path.display())];
    let mut object = json!({"outcome": word(outcome), "file": path.to_string_lossy()});
    match outcome {
        IngestOutcome::Waiting { .. } | IngestOutcome::Cancelled | IngestOutcome::Gone => {
            return Ok(());
        }
        IngestOutcome::Stored { id, .. } | IngestOutcome::Kept { id, .. } => {
            object["id"] = id.as_str().into();
        }
        IngestOutcome::Duplicate { of, of_name, .. } => {
            parts.push(format!("of {of_name} ({of})"));
            object["of"] = of.as_str().into();
        }
        IngestOutcome::Quarantined { .. }
        | IngestOutcome::Refused { .. }
        | IngestOutcome::Failed { .. } => {}
    }
    if let Some(reason) = reason(outcome) {
        object["reason"] = reason.as_str().into();
        parts.push(reason);
    }
    if context.options.json {
        context.output.json(&object)?;
    } else {
        context.output.line(&parts.join(": "))?;
    }
    context.output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_many_share_is_counted_after_a_while() {
        let mut troubles = Troubles::default();
        let told = (0..50).filter(|n| {
            troubles.push(Trouble {
                path: format!("{n}.png").into(),
                word: FAILED,
                reason: "disk full".to_owned(),
            })
        });
        assert_eq!(told.count(), TOLD);
        let untold: Vec<String> = troubles.untold().collect();
        assert_eq!(untold, ["failed: 30 more: disk full"]);
    }
}
