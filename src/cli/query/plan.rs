//! `search --explain --plan`: how a library is asked.

use anyhow::Result;
use serde_json::{Value, json};

use super::parse;
use crate::{
    cli::{Status, context::Context},
    model::text::display_text,
};

/// Prints the canonical form of a query and the parts of its plan.
pub fn print(context: &Context, text: &str) -> Result<Status> {
    let engine = context.engine()?;
    let query = parse(text, &*engine.catalog())?;
    let plan = engine.explain_now(&query);
    let output = &context.output;
    if context.options.json {
        let steps: Vec<Value> = plan
            .steps
            .iter()
            .map(|step| {
                json!({
                    "depth": step.depth,
                    "part": step.text,
                    "how": step.how.as_str(),
                    "found": step.rows,
                    "microseconds": micros(step.elapsed),
                })
            })
            .collect();
        output.json(&json!({
            "canonical": query.canonical(),
            "found": plan.total,
            "microseconds": micros(plan.elapsed),
            "plan": steps,
        }))?;
        return Ok(Status::Done);
    }
    output.line(&query.canonical())?;
    let parts: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{}{}", "  ".repeat(step.depth), display_text(&step.text)))
        .collect();
    let width = parts.iter().map(|part| part.chars().count()).max();
    let width = width.unwrap_or(0);
    for (part, step) in parts.iter().zip(&plan.steps) {
        output.line(&format!(
            "{part:<width$}  {rows:>9}  {micros:>8} µs  {how}",
            rows = step.rows,
            micros = micros(step.elapsed),
            how = step.how.as_str(),
        ))?;
    }
    let all = micros(plan.elapsed);
    output.line(&format!("{:<width$}  {:>9}  {all:>8} µs", "", plan.total))?;
    if let Some(hint) = &plan.hint {
        output.note(hint);
    }
    Ok(Status::Done)
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
