//! `init`, `rebuild` and `dups`: the library itself.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    Status,
    command::{DupsAction, DupsArgs, DupsRemoveArgs, InitArgs},
    context::Context,
    output::{counted, failures},
};
use crate::{
    engine::{Engine, Error, LayoutKind, Library, Recognised, duplicates::Group, event},
    model::{id::Md5, text::human_bytes},
};

pub fn init(context: &Context, arguments: &InitArgs) -> Result<Status> {
    let root = &arguments.dir;
    let shown = root.display();
    let kind = match Library::recognise(root) {
        Recognised::Library => bail!("{shown} is a library already; open it: tagloupe {shown}"),
        Recognised::NotADirectory => bail!("{shown} is not a folder"),
        Recognised::PicturesInside(_) if !arguments.managed => LayoutKind::InPlace,
        Recognised::PicturesInside(_) => bail!(
            "{shown} holds pictures: make it an in-place library (--in-place), or a managed one \
             elsewhere and ingest them"
        ),
        _ if arguments.in_place => LayoutKind::InPlace,
        _ => LayoutKind::Bucketed,
    };
    let library = Context::create(root, kind, arguments.name.as_deref())?;
    let layout = kind.as_str();
    if context.options.json {
        context.output.json(&json!({
            "root": root.to_string_lossy(),
            "name": library.name(),
            "layout": layout,
        }))?;
    } else {
        context
            .output
            .line(&format!("made the {layout} library {shown}"))?;
        context.output.note(&match kind {
            LayoutKind::InPlace => format!("open it: tagloupe {shown}"),
            _ => format!("file pictures in it: tagloupe ingest --library {shown} PATH…"),
        });
    }
    Ok(Status::Done)
}

pub fn rebuild(context: &Context) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    let bar = context.output.bar("making the index from the files", None);
    let summary =
        engine.rebuild_now(&mut |progress| context.step(&bar, progress.done, progress.total))?;
    drop(bar);
    if context.options.json {
        context.output.json(&json!({
            "media": summary.media,
            "without_sidecar": summary.without_sidecar,
            "missing_originals": summary.missing_originals,
            "removed": summary.removed,
            "links": summary.links,
            "errors": failures(summary.errors.iter().cloned()),
            "given_back": summary.given_back.len(),
            "cancelled": summary.is_cancelled,
        }))?;
    } else {
        let mut parts = vec![counted(summary.media, "medium indexed", "media indexed")];
        for (count, what) in [
            (summary.without_sidecar, "without sidecar"),
            (summary.missing_originals, "whose original is gone"),
            (
                u64::try_from(summary.given_back.len()).unwrap_or(u64::MAX),
                "rewritten by another program without what it does not know (verify --repair puts it back)",
            ),
            (summary.removed, "no longer there"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        context.output.line(&parts.join(", "))?;
        if let Some(first) = summary.links.first() {
            let links = counted(summary.links.len(), "link is", "links are");
            let first = first.display();
            context.output.note(&format!(
                "{links} not followed, such as {first}: what it leads to is no part of this library"
            ));
        }
        for (path, reason) in &summary.errors {
            context
                .output
                .note(&format!("{}: {reason}", path.display()));
        }
    }
    Ok(if summary.is_cancelled {
        context
            .output
            .note("stopped before the end; the next rebuild goes on from here");
        Status::Interrupted
    } else if summary.errors.is_empty() {
        Status::Done
    } else {
        Status::Partly
    })
}

pub fn dups(context: &Context, arguments: &DupsArgs) -> Result<Status> {
    match &arguments.action {
        None => report_duplicates(context),
        Some(DupsAction::Remove(arguments)) => remove_duplicates(context, arguments),
    }
}

fn report_duplicates(context: &Context) -> Result<Status> {
    let engine = context.engine()?;
    let groups = find_duplicates(context, &engine)?;
    let (redundant, bytes) = redundancy(&groups);
    let names = engine.duplicate_groups_now()?;
    let name_of = |group: &Group| {
        let group = names.group_of(group.copies.first()?.key)?;
        Some(group.name.clone())
    };
    if context.options.json {
        let list: Vec<Value> = groups
            .iter()
            .map(|group| group_json(group, name_of(group).as_deref()))
            .collect();
        context.output.json(&json!({
            "groups": list,
            "redundant": redundant,
            "bytes": bytes,
        }))?;
    } else {
        for group in &groups {
            let name = name_of(group).map_or_else(String::new, |name| format!("{name} "));
            context.output.line(&format!("{name}{}:", group.md5))?;
            for copy in &group.copies {
                context.output.line(&format!("  {}", copy.path))?;
            }
        }
        context.output.note(&format!(
            "{} of equal files, {} more than needed, {}",
            counted(groups.len(), "group", "groups"),
            counted(redundant, "file", "files"),
            human_bytes(bytes)
        ));
    }
    Ok(if groups.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

/// Groups of equal files, after those were hashed that may be in one.
fn find_duplicates(context: &Context, engine: &Engine) -> Result<Vec<Group>> {
    let mut bar = None;
    let report = engine.hash_twins_now(&mut |progress| {
        if progress.total > 0 {
            bar.get_or_insert_with(|| context.output.bar("hashing", Some(progress.total)))
                .set(progress.done, Some(progress.total));
        }
        context.flow()
    })?;
    drop(bar);
    if report.is_cancelled {
        return Err(Error::Cancelled.into());
    }
    if report.left > 0 {
        let files = counted(report.left, "file", "files");
        context
            .output
            .note(&format!("could not hash {files}; the log says which"));
    }
    Ok(engine.exact_duplicates())
}

fn group_json(group: &Group, name: Option<&str>) -> Value {
    let files: Vec<&str> = group.copies.iter().map(|copy| copy.path.as_str()).collect();
    json!({"group": name, "md5": group.md5.to_string(), "files": files})
}

/// How many files are more than one of a kind, and their bytes.
fn redundancy(groups: &[Group]) -> (usize, u64) {
    let others = || groups.iter().flat_map(|group| group.copies.iter().skip(1));
    (others().count(), others().map(|copy| copy.bytes).sum())
}

fn remove_duplicates(context: &Context, arguments: &DupsRemoveArgs) -> Result<Status> {
    let engine = context.engine()?;
    let mut groups = find_duplicates(context, &engine)?;
    if let (Some(md5), Some(keep)) = (&arguments.md5, &arguments.keep) {
        let md5: Md5 = md5.parse()?;
        groups.retain(|group| group.md5 == md5);
        for group in &mut groups {
            put_first(&engine, group, keep)?;
        }
    }
    let (found, bytes) = redundancy(&groups);
    if arguments.dry_run {
        for group in &groups {
            for copy in group.copies.iter().skip(1) {
                context.output.line(&copy.path)?;
            }
        }
        context.output.note(&format!(
            "would move {} to the trash, {}",
            counted(found, "file", "files"),
            human_bytes(bytes)
        ));
        return Ok(if found == 0 {
            Status::Nothing
        } else {
            Status::Done
        });
    }
    let bar = context.output.bar("removing duplicates", None);
    let report = engine.remove_duplicates_now(&groups, &mut |done, total| {
        context.step(&bar, done as u64, total as u64)
    });
    drop(bar);
    if context.options.json {
        context.output.json(&json!({
            "found": found,
            "removed": report.removed,
            "space_saved": report.saved_bytes,
            "failed": failures(report.failed.iter().cloned()),
        }))?;
    } else {
        context.output.failures(report.failed.iter().cloned());
        context.output.line(&format!(
            "found {}, removed {}, saved {}",
            counted(found, "duplicate", "duplicates"),
            report.removed,
            human_bytes(report.saved_bytes)
        ))?;
    }
    Ok(if context.cancel.is_cancelled() {
        Status::Interrupted
    } else if !report.failed.is_empty() {
        Status::Partly
    } else if found == 0 {
        Status::Nothing
    } else {
        Status::Done
    })
}

/// Makes the file with this path, as given or inside the library, the one that stays.
fn put_first(engine: &Engine, group: &mut Group, keep: &Path) -> Result<()> {
    let wanted = [keep.to_owned(), engine.root().join(keep)].map(|path| path.canonicalize().ok());
    let is_kept = |path: &str| {
        let path = engine.original_path(path).canonicalize().ok();
        path.is_some() && wanted.contains(&path)
    };
    let Some(at) = group.copies.iter().position(|copy| is_kept(&copy.path)) else {
        bail!(
            "{} is none of the files with md5 {}",
            keep.display(),
            group.md5
        );
    };
    group.copies[..=at].rotate_right(1);
    Ok(())
}

/// Whether an error only says that Ctrl-C was pressed.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::Cancelled))
}
