//! `merge-driver`: what git calls to merge two versions of a sidecar.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Status, command::MergeDriverArgs, context::Context};
use crate::engine::merge_files;

pub fn merge_driver(context: &Context, arguments: &MergeDriverArgs) -> Result<Status> {
    let MergeDriverArgs {
        base,
        ours,
        theirs,
        path,
    } = arguments;
    let name = path.as_ref().unwrap_or(ours).display();
    match merge_files(base, ours, theirs) {
        Ok(notes) => {
            for note in notes {
                context.output.note(&format!("{name}: {note}"));
            }
            Ok(Status::Done)
        }
        Err(error) => {
            let reason = error.chain();
            context
                .output
                .note(&format!("{name}: merged as text, since {reason}"));
            merge_as_text(arguments)
        }
    }
}

/// What git does where no driver is named, so that a file which is no sidecar is
/// none the worse for it: lines of both, and markers around what conflicts.
fn merge_as_text(arguments: &MergeDriverArgs) -> Result<Status> {
    let merged = Command::new("git")
        .args(["merge-file", "-L", "ours", "-L", "base", "-L", "theirs"])
        .args([&arguments.ours, &arguments.base, &arguments.theirs])
        .status()
        .context("cannot run git merge-file")?;
    Ok(if merged.success() {
        Status::Done
    } else {
        Status::Nothing
    })
}
