//! `fetch`: what sources know of pictures that are in the library already, and of what
//! an ingest just filed.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{
    Status,
    command::FetchArgs,
    context::Context,
    output::{counted, failures},
    query::parse,
};
use crate::engine::{
    Engine,
    fetching::{Fetch, FetchReport, Fetched},
};

pub fn fetch(context: &Context, arguments: &FetchArgs) -> Result<Status> {
    let engine = context.engine()?;
    let catalog = engine.catalog();
    let query = parse(&arguments.query.join(" "), &*catalog)?;
    let found = engine.search_now(&query);
    if let Some(hint) = &found.hint {
        context.output.note(hint);
    }
    let fetch = Fetch {
        only: arguments.source.clone(),
        again: arguments.again,
        is_dry_run: arguments.dry_run,
    };
    let bar = context.output.bar("asking the sources", None);
    let report = engine
        .fetch_now(&found.keys, &fetch, &context.cancel, &mut |done, total| {
            bar.set(done, Some(total));
        })
        .map_err(|reason| anyhow!(reason))?;
    drop(bar);
    if arguments.source.is_empty() {
        for problem in engine.source_problems() {
            context.output.note(problem);
        }
    }
    let name = |fetched: &Fetched| {
        catalog
            .record(fetched.key)
            .map_or_else(String::new, |record| record.path().into_owned())
    };
    let problems = || {
        let problem = |f: &Fetched| Some((name(f), f.problem.clone()?));
        report.fetched.iter().filter_map(problem)
    };
    if context.options.json {
        let media: Vec<Value> = report
            .fetched
            .iter()
            .filter(|fetched| !fetched.posts.is_empty())
            .map(|fetched| {
                json!({
                    "file": name(fetched),
                    "posts": fetched.posts,
                    "new_tags": fetched.new_tags,
                    "changed": fetched.is_changed,
                })
            })
            .collect();
        context.output.json(&json!({
            "dry_run": arguments.dry_run,
            "matched": found.keys.len(),
            "asked": report.fetched.len(),
            "known": report.known(),
            "new_tags": report.new_tags(),
            "media": media,
            "failed": failures(problems()),
            "troubles": report.troubles,
            "warnings": report.warnings,
        }))?;
    } else {
        for fetched in report.fetched.iter().filter(|f| !f.posts.is_empty()) {
            let tags = counted(fetched.new_tags, "new tag", "new tags");
            let (name, posts) = (name(fetched), fetched.posts.join(" "));
            context.output.line(&format!("{name}: {posts}: {tags}"))?;
        }
        context.output.failures(problems());
        context.output.note(&format!(
            "{}, {} known, {} {}",
            counted(found.keys.len(), "match", "matches"),
            report.known(),
            if arguments.dry_run {
                "would get"
            } else {
                "got"
            },
            counted(report.new_tags(), "new tag", "new tags"),
        ));
    }
    tell_troubles(context, &report);
    Ok(if report.is_cancelled {
        Status::Interrupted
    } else if !report.troubles.is_empty() || problems().next().is_some() {
        Status::Partly
    } else if found.keys.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

/// Asks the sources that are switched on about what was ingested, and says what came of
/// it; what is interrupted or not answered is asked about later. `None` where there is
/// nobody to ask.
pub(super) fn ask_about_ingested(context: &Context, engine: &Engine) -> Option<Value> {
    for problem in engine.source_problems() {
        context.output.note(problem);
    }
    if engine.sources().is_empty() {
        return None;
    }
    let bar = context.output.bar("asking the sources", None);
    let report = engine.ask_sources_now(&context.cancel, &mut |done, left| {
        bar.set(done, Some(done + left));
    });
    drop(bar);
    if !report.fetched.is_empty() {
        context.output.note(&format!(
            "asked the sources about {}: {} known, {}",
            counted(report.fetched.len(), "picture", "pictures"),
            report.known(),
            counted(report.new_tags(), "new tag", "new tags"),
        ));
    }
    for problem in report.fetched.iter().filter_map(|f| f.problem.as_ref()) {
        context
            .output
            .note(&format!("asked again later: {problem}"));
    }
    tell_troubles(context, &report);
    Some(json!({
        "asked": report.fetched.len(),
        "known": report.known(),
        "new_tags": report.new_tags(),
        "troubles": report.troubles,
        "warnings": report.warnings,
    }))
}

fn tell_troubles(context: &Context, report: &FetchReport) {
    for trouble in report.troubles.values() {
        context.output.note(trouble);
    }
    for warning in &report.warnings {
        context.output.note(&format!("warning: {warning}"));
    }
}
