//! `projects`: the albums of the library, and what they list, a page at a time.

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{Status, command::ProjectsArgs, context::Context, output::counted};
use crate::engine::{Engine, ProjectSummary, event};

pub fn projects(context: &Context, arguments: &ProjectsArgs) -> Result<Status> {
    let (events, _) = event::channel();
    // What stands in the files of the projects needs no index.
    let engine = context.bare_engine(events)?;
    match &arguments.name {
        None => list(context, &engine),
        Some(name) => page(context, &engine, name, arguments),
    }
}

fn list(context: &Context, engine: &Engine) -> Result<Status> {
    let projects = engine.projects_now().map_err(|reason| anyhow!(reason))?;
    let output = &context.output;
    if context.options.json {
        output.json_list(projects.iter().map(summary_json))?;
    } else {
        for project in &projects {
            output.line(&summary(project))?;
        }
        if projects.is_empty() {
            output.note("there is no project");
        }
    }
    Ok(if projects.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}

fn summary(project: &ProjectSummary) -> String {
    let listed = counted(project.listed, "picture", "pictures");
    let mut text = format!("{}  {listed}", project.name);
    if let Some(query) = &project.query {
        text = format!("{text}, and what {query} finds");
    }
    if !project.description.is_empty() {
        text = format!("{text}  {}", project.description.replace('\n', " "));
    }
    text
}

fn summary_json(project: &ProjectSummary) -> Value {
    json!({
        "name": project.name,
        "description": project.description,
        "listed": project.listed,
        "query": project.query,
    })
}

fn page(
    context: &Context,
    engine: &Engine,
    name: &str,
    arguments: &ProjectsArgs,
) -> Result<Status> {
    let (size, number) = (arguments.per_page.get(), arguments.page.get());
    let found = engine.project_page_now(name, size, number - 1);
    let Some(page) = found.map_err(|reason| anyhow!(reason))? else {
        bail!("there is no project {name}; tagloupe projects lists them");
    };
    let output = &context.output;
    let pages = page.total.div_ceil(size).max(1);
    if context.options.json {
        let items: Vec<Value> = page
            .items
            .iter()
            .map(|item| {
                let path = engine.original_path(&item.path);
                json!({"path": path.to_string_lossy(), "repeats": item.repeats})
            })
            .collect();
        output.json(&json!({
            "name": name,
            "page": number,
            "pages": pages,
            "per_page": size,
            "total": page.total,
            "items": items,
        }))?;
    } else {
        for item in &page.items {
            output.path(engine.original_path(&item.path).as_os_str())?;
        }
        let listed = counted(page.total, "picture", "pictures");
        output.note(&format!("page {number} of {pages}, {listed}"));
    }
    Ok(if page.items.is_empty() {
        Status::Nothing
    } else {
        Status::Done
    })
}
