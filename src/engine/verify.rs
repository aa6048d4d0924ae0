//! Verifying: files, sidecars and index, which storage does, and the cache, which
//! it does not know.

use std::{ops::ControlFlow, path::Path};

use super::{
    decode::{Limits, MemoryGate, decode},
    event::Events,
    job::{Cancel, JobId, Progress},
    save::flow,
    thumbnail::ThumbnailStore,
};
use crate::storage::{
    Error, Finding, Library, Repair, Repaired, VerifyProgress, VerifyReport, VerifySettings,
};

/// Compares everything, with progress. Repairs nothing.
pub fn verify_with_progress(
    library: &Library,
    thumbnails: &ThumbnailStore,
    events: &Events,
    job: JobId,
    now: i64,
    cancel: &Cancel,
) -> Result<VerifyReport, Error> {
    let mut progress = Progress::new(job, "verifying");
    let settings = VerifySettings::looking(now);
    verify(library, thumbnails, &settings, &mut |step| {
        progress.done = step.done;
        progress.total = Some(step.total);
        progress.errors = step.findings;
        events.progress(progress.clone());
        flow(cancel)
    })
}

/// Compares files, sidecars and index with each other, and the cache with them;
/// repairs what the settings ask for.
///
/// # Errors
/// When the library cannot be read, or another process verifies it now.
pub fn verify(
    library: &Library,
    thumbnails: &ThumbnailStore,
    settings: &VerifySettings,
    on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
) -> Result<VerifyReport, Error> {
    let mut report = library.verify(settings, on)?;
    if report.is_cancelled {
        return Ok(report);
    }
    let (ids, trashed) = (library.ids()?, library.trashed()?);
    let known = ids.iter().chain(trashed.iter().map(|item| &item.id));
    let strays = thumbnails.strays(known);
    if strays.is_empty() {
        return Ok(report);
    }
    let path = library.layout().cache();
    let mut left = strays.len();
    if settings.repair != Repair::No {
        if settings.repair == Repair::Do {
            left -= thumbnails.remove_strays(&strays);
        }
        report.repairs.push(Repaired {
            path: path.clone(),
            what: format!("{} thumbnails of no medium removed", strays.len()),
            problem: None,
        });
    }
    if left > 0 {
        report.findings.push(Finding::StrayCache {
            path,
            files: left as u64,
            bytes: strays.iter().map(|(_, bytes)| bytes).sum(),
        });
    }
    Ok(report)
}

/// Width and height of a picture by its bytes; `None` when it cannot be told.
pub fn dimensions(path: &Path) -> Option<(u32, u32)> {
    let facts = match decode(path, &Limits::default(), &MemoryGate::default()) {
        Ok(decoded) => decoded.facts,
        Err(error) => error.facts()?.clone(),
    };
    (facts.width > 0 && facts.height > 0).then_some((facts.width, facts.height))
}
