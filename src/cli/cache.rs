//! `cache`: what is kept only to be fast, and can go at any time.

use anyhow::Result;
use serde_json::json;

use super::{
    Status,
    command::{CacheAction, CacheArgs},
    context::Context,
    output::counted,
};
use crate::{engine::event, model::text::human_bytes};

pub fn cache(context: &Context, arguments: &CacheArgs) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    match &arguments.action {
        CacheAction::Stats => {
            let stats = engine.cache_stats_now();
            if context.options.json {
                context.output.json(&json!({
                    "backend": "disk",
                    "count": stats.files,
                    "size_bytes": stats.bytes,
                    "hits": stats.hits,
                    "misses": stats.misses,
                    "sets": stats.sets,
                    "errors": stats.errors,
                }))?;
            } else {
                let files = counted(stats.files, "file", "files");
                let line = format!(
                    "thumbnails and previews: {files}, {}",
                    human_bytes(stats.bytes)
                );
                context.output.line(&line)?;
            }
        }
        CacheAction::Clear { pattern } => {
            let removed = engine.clear_cache_now(pattern.as_deref().unwrap_or("*"));
            if context.options.json {
                context.output.json(&json!({"removed": removed}))?;
            } else {
                context
                    .output
                    .line(&format!("removed {}", counted(removed, "file", "files")))?;
            }
        }
    }
    Ok(Status::Done)
}
