//! `backup`: what cannot be made again, copied elsewhere, and back.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::{
    Status,
    command::BackupArgs,
    context::Context,
    output::{counted, failures},
};
use crate::{
    engine::{BackupReport, RestoreReport, event, restore_backup},
    model::text::human_bytes,
};

pub fn backup(context: &Context, arguments: &BackupArgs) -> Result<Status> {
    match &arguments.restore {
        Some(into) => restore(context, &arguments.dest, into),
        None => back_up(context, &arguments.dest, arguments.verify),
    }
}

fn back_up(context: &Context, target: &Path, verify: bool) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    let bar = context.output.bar("backing up", None);
    let report = engine.back_up_now(target, verify, &mut |progress| {
        context.step(&bar, progress.done, progress.total)
    })?;
    drop(bar);
    if context.options.json {
        context.output.json(&json!({
            "copied": report.copied,
            "copied_bytes": report.copied_bytes,
            "unchanged": report.unchanged,
            "kept_old": report.kept_old,
            "old": report.old.as_ref().map(|old| old.to_string_lossy()),
            "silently_changed": report.silently_changed,
            "damaged_copies": report.damaged_copies,
            "failed": failures(report.failed.iter().cloned()),
            "continued": report.is_continued,
            "cancelled": report.is_cancelled,
        }))?;
    } else {
        for path in &report.silently_changed {
            context.output.line(&format!(
                "{path}: other bytes, but the same size and time: the version before is in old/"
            ))?;
        }
        for path in &report.damaged_copies {
            context
                .output
                .line(&format!("{path}: the copy was damaged, and was made again"))?;
        }
        let failed = report.failed.iter();
        context
            .output
            .failures(failed.map(|(path, reason)| (path.display(), reason.clone())));
        context.output.line(&summary(&report))?;
    }
    if report.is_cancelled {
        let note = "stopped before the end; the next backup goes on from here";
        context.output.note(note);
    }
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if !report.failed.is_empty() {
        Status::Partly
    } else if report.silently_changed.is_empty() && report.damaged_copies.is_empty() {
        Status::Done
    } else {
        Status::Nothing
    })
}

fn summary(report: &BackupReport) -> String {
    let mut parts = Vec::new();
    if report.is_continued {
        parts.push("went on with an interrupted backup".to_owned());
    }
    parts.push(format!(
        "{} copied, {}",
        counted(report.copied, "file", "files"),
        human_bytes(report.copied_bytes)
    ));
    parts.push(format!("{} were there already", report.unchanged));
    if let Some(old) = &report.old {
        let old = old.display();
        parts.push(format!("{} moved to {old}", report.kept_old));
    }
    parts.join(", ")
}

fn restore(context: &Context, backup: &Path, into: &Path) -> Result<Status> {
    let bar = context.output.bar("restoring", None);
    let report = restore_backup(backup, into, &mut |progress| {
        context.step(&bar, progress.done, progress.total)
    })?;
    drop(bar);
    if context.options.json {
        context.output.json(&json!({
            "name": report.name,
            "at": report.at,
            "restored": report.restored,
            "restored_bytes": report.restored_bytes,
            "partial": report.is_partial,
            "failed": failures(report.failed.iter().cloned()),
            "cancelled": report.is_cancelled,
        }))?;
    } else {
        let failed = report.failed.iter();
        context
            .output
            .failures(failed.map(|(path, reason)| (path.display(), reason.clone())));
        context.output.line(&restored(&report, into))?;
    }
    if report.is_partial {
        context.output.note(
            "the backup was interrupted when it was last made: some files may be older than others",
        );
    }
    if report.is_cancelled {
        let note = "stopped before the end; the same command goes on from here";
        context.output.note(note);
    }
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if report.failed.is_empty() {
        Status::Done
    } else {
        Status::Partly
    })
}

fn restored(report: &RestoreReport, into: &Path) -> String {
    let of = match report.at.as_str() {
        "" => "a backup that was never finished".to_owned(),
        at => format!("the backup of {at}"),
    };
    let mut text = format!(
        "{} ({}) restored from {of} into {}, every md5 compared",
        counted(report.restored, "file", "files"),
        human_bytes(report.restored_bytes),
        into.display()
    );
    if !report.failed.is_empty() {
        text.push_str("; ");
        text.push_str(&counted(
            report.failed.len(),
            "file was not",
            "files were not",
        ));
    }
    text
}
