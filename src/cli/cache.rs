//! `cache`: what is kept only to be fast, and can go at any time.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Status,
    command::{CacheAction, CacheArgs},
    context::Context,
    output::counted,
    query,
};
use crate::{
    engine::{
        cache::stats::{Stats, Tally, Tier},
        event,
    },
    model::{id::MediaKey, text::human_bytes},
};

pub fn cache(context: &Context, arguments: &CacheArgs) -> Result<Status> {
    match &arguments.action {
        CacheAction::Stats => stats(context),
        CacheAction::Clear { pattern } => clear(context, pattern.as_deref().unwrap_or("*")),
        CacheAction::Warm { query } => warm(context, &query.join(" ")),
    }
}

fn stats(context: &Context) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    engine.cache().settle();
    let stats = engine.cache_stats_now();
    if context.options.json {
        context.output.json(&as_json(&stats))?;
        return Ok(Status::Done);
    }
    let output = &context.output;
    output.line(&format!("backend: {} ({})", stats.backend, stats.reason))?;
    for tier in &stats.tiers {
        output.line(&tier_line(tier))?;
    }
    let tally = &stats.everyone;
    output.line(&format!(
        "{} hits, {} misses ({}), {} sets, {} deletes, {} errors",
        tally.hits,
        tally.misses,
        tally.hit_rate(),
        tally.sets,
        tally.deletes,
        tally.errors
    ))?;
    Ok(Status::Done)
}

fn tier_line(tier: &Tier) -> String {
    let held = format!(
        "{}, {}",
        counted(tier.entries, "entry", "entries"),
        human_bytes(tier.bytes)
    );
    match &tier.state {
        Err(reason) => format!("{}: not used now: {reason}", tier.name),
        Ok(()) if tier.limit_bytes == 0 => format!("{}: {held}", tier.name),
        Ok(()) => format!(
            "{}: {held} of {} ({:.1} %)",
            tier.name,
            human_bytes(tier.limit_bytes),
            tier.usage_percent()
        ),
    }
}

/// The figures of the last tier and of all processes, then each tier and family.
fn as_json(stats: &Stats) -> Value {
    let mut report = serde_json::Map::new();
    report.insert("backend".to_owned(), json!(stats.backend));
    report.insert("reason".to_owned(), json!(stats.reason));
    let mut add = |figures: Value| {
        if let Value::Object(figures) = figures {
            report.extend(figures);
        }
    };
    if let Some(tier) = stats.last_tier() {
        add(tier_json(tier));
    }
    add(tally_json(&stats.everyone));
    add(json!({"db_size": stats.db_size, "redis_lost": stats.lost}));
    let tiers: Vec<Value> = stats
        .tiers
        .iter()
        .map(|tier| {
            let mut figures = tier_json(tier);
            figures["name"] = json!(tier.name);
            figures["used"] = json!(tier.state.is_ok());
            figures["problem"] = json!(tier.state.as_ref().err());
            figures
        })
        .collect();
    add(json!({"tiers": tiers}));
    Value::Object(report)
}

fn tier_json(tier: &Tier) -> Value {
    json!({
        "size_bytes": tier.bytes,
        "size_mb": megabytes(tier.bytes),
        "limit_mb": megabytes(tier.limit_bytes),
        "usage_percent": rounded(tier.usage_percent()),
        "count": tier.entries,
        "evicted": tier.evicted,
    })
}

fn tally_json(tally: &Tally) -> Value {
    json!({
        "hits": tally.hits,
        "misses": tally.misses,
        "total_requests": tally.requests(),
        "hit_rate": tally.hit_rate(),
        "hit_ratio": tally.hit_ratio(),
        "sets": tally.sets,
        "deletes": tally.deletes,
        "errors": tally.errors,
        "coalesced": tally.coalesced,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "megabytes for people: fifteen digits are enough"
)]
fn megabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / 1e6)
}

/// To two digits.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn clear(context: &Context, pattern: &str) -> Result<Status> {
    let (events, _) = event::channel();
    let engine = context.bare_engine(events)?;
    engine.cache().settle();
    let cleared = engine.clear_cache_now(pattern);
    if context.options.json {
        context
            .output
            .json(&json!({"removed": cleared.entries, "failed": cleared.failed}))?;
    } else {
        let removed = counted(cleared.entries, "entry", "entries");
        context.output.line(&format!("removed {removed}"))?;
        for reason in &cleared.failed {
            context.output.note(reason);
        }
    }
    Ok(if cleared.failed.is_empty() {
        Status::Done
    } else {
        Status::Partly
    })
}

fn warm(context: &Context, text: &str) -> Result<Status> {
    let engine = context.engine()?;
    engine.cache().settle();
    let query = query::parse(text, &*engine.catalog())?;
    let keys: Arc<[MediaKey]> = engine.search_now(&query).keys;
    if keys.is_empty() {
        return Ok(Status::Nothing);
    }
    let bar = context
        .output
        .bar("making thumbnails", Some(keys.len() as u64));
    let (made, failed) = engine.warm_cache_now(&keys, &mut |done, total| {
        context.step(&bar, done, total).is_continue()
    });
    drop(bar);
    if context.options.json {
        context
            .output
            .json(&json!({"made": made, "looked_at": keys.len(), "failed": failed}))?;
    } else {
        let made = counted(made, "thumbnail", "thumbnails");
        context.output.line(&format!("made {made}"))?;
        for reason in &failed {
            context.output.note(reason);
        }
    }
    Ok(if failed.is_empty() {
        Status::Done
    } else {
        Status::Partly
    })
}
