//! `verify`: what is wrong with a library, in plain words, and what was repaired.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Status, command::VerifyArgs, context::Context, output::counted};
use crate::{
    engine::{Finding, Repair, Repaired, VerifyReport, event},
    model::text::human_bytes,
};

pub fn verify(context: &Context, arguments: &VerifyArgs) -> Result<Status> {
    let repair = match (arguments.repair, arguments.dry_run) {
        (false, _) => Repair::No,
        (true, true) => Repair::Plan,
        (true, false) => Repair::Do,
    };
    let (events, _) = event::channel();
    let engine = context.engine_with(events)?;
    let bar = context.output.bar("verifying", None);
    let report = engine.verify_now(arguments.restart, repair, &mut |progress| {
        context.step(&bar, progress.done, progress.total)
    })?;
    drop(bar);
    if let Some(path) = &report.resumed_after {
        context
            .output
            .note(&format!("went on after {path}; --restart begins anew"));
    }
    if context.options.json {
        let findings: Vec<Value> = report.findings.iter().map(finding_json).collect();
        let repairs: Vec<Value> = report.repairs.iter().map(repair_json).collect();
        context.output.json(&json!({
            "checked": report.checked,
            "without_md5": report.without_md5,
            "findings": findings,
            "repairs": repairs,
            "dry_run": repair == Repair::Plan,
            "resumed_after": report.resumed_after,
            "cancelled": report.is_cancelled,
        }))?;
    } else {
        for repaired in &report.repairs {
            context.output.line(&repair_text(repaired, repair))?;
        }
        for finding in &report.findings {
            context.output.line(&finding_text(finding))?;
        }
        context.output.note(&summary(&report, repair));
    }
    if report.is_cancelled {
        context
            .output
            .note("stopped before the end; the next verify goes on from here");
    }
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if report.findings.is_empty() {
        Status::Done
    } else {
        Status::Nothing
    })
}

fn summary(report: &VerifyReport, repair: Repair) -> String {
    let mut parts = vec![
        counted(report.checked, "medium checked", "media checked"),
        counted(report.findings.len(), "finding", "findings"),
    ];
    let failed = report.repairs.iter().filter(|one| one.problem.is_some());
    let failed = failed.count();
    let made = report.repairs.len() - failed;
    match repair {
        Repair::No => {}
        Repair::Plan => parts.push(format!("{made} would be repaired")),
        Repair::Do => parts.push(format!("{made} repaired")),
    }
    if failed > 0 {
        parts.push(format!("{failed} not repaired"));
    }
    if report.without_md5 > 0 {
        parts.push(format!("{} without a known md5", report.without_md5));
    }
    parts.join(", ")
}

fn repair_text(repaired: &Repaired, repair: Repair) -> String {
    let word = match (&repaired.problem, repair) {
        (Some(_), _) => "not repaired",
        (None, Repair::Plan) => "would repair",
        (None, _) => "repaired",
    };
    let (path, what) = (repaired.path.display(), &repaired.what);
    match &repaired.problem {
        Some(problem) => format!("{path}: {word}: {what}: {problem}"),
        None => format!("{path}: {word}: {what}"),
    }
}

fn repair_json(repaired: &Repaired) -> Value {
    json!({
        "file": repaired.path.to_string_lossy(),
        "what": repaired.what,
        "problem": repaired.problem,
    })
}

/// The parts of a finding: its kind, its file, and what is wrong.
fn finding_parts(finding: &Finding) -> (&'static str, &Path, String) {
    match finding {
        Finding::WrongBytes {
            path,
            expected,
            found,
        } => (
            "wrong bytes",
            path,
            format!(
                "the sidecar says md5 {expected}, the file has {found}: damaged, or changed by \
                 another program; a backup may have the right one"
            ),
        ),
        Finding::MissingOriginal { path } => (
            "missing original",
            path,
            "only its sidecar is left".to_owned(),
        ),
        Finding::Unreadable { path, reason } => ("unreadable", path, reason.clone()),
        Finding::BrokenSidecar { path, reason } => ("broken sidecar", path, reason.clone()),
        Finding::LostSidecar { path } => (
            "lost sidecar",
            path,
            "it is gone, and the index still has what it said (--repair makes it again)".to_owned(),
        ),
        Finding::LeftOut { path } => (
            "left out",
            path,
            "another program rewrote the sidecar without what it does not know (--repair, or the \
             next edit, puts that back)"
                .to_owned(),
        ),
        Finding::WrongRow { path, reason } => (
            "wrong index row",
            path,
            format!("{reason} (--repair or tagloupe rebuild mends it)"),
        ),
        Finding::DanglingRelation { path, relation, id } => (
            "dangling relation",
            path,
            format!("{relation} names {id}, which is not in the library"),
        ),
        Finding::OneSidedRelation { path, reason } => ("one-sided relation", path, reason.clone()),
        Finding::CaptionDiffers { path, caption } => (
            "caption differs",
            path,
            format!(
                "the sidecar says something else than {}, which is not read any more",
                caption.display()
            ),
        ),
        Finding::BrokenProject { path, reason } => ("broken project", path, reason.clone()),
        Finding::DanglingMember { path, member } => (
            "dangling member",
            path,
            format!("names {member}, which is not there"),
        ),
        Finding::BadNote { path, reason } => ("bad note in the trash", path, reason.clone()),
        Finding::WithoutNote { path } => (
            "in the trash without a note",
            path,
            "nothing says where it belongs".to_owned(),
        ),
        Finding::Leftover { path } => (
            "leftover",
            path,
            "a temporary file that a crash left behind".to_owned(),
        ),
        Finding::StrayCache { path, files, bytes } => (
            "stray cache",
            path,
            format!(
                "{} of media that are gone, {}",
                counted(*files, "thumbnail", "thumbnails"),
                human_bytes(*bytes)
            ),
        ),
    }
}

fn finding_text(finding: &Finding) -> String {
    let (kind, path, reason) = finding_parts(finding);
    format!("{}: {kind}: {reason}", path.display())
}

fn finding_json(finding: &Finding) -> Value {
    let (kind, path, reason) = finding_parts(finding);
    json!({"kind": kind, "file": path.to_string_lossy(), "reason": reason})
}
