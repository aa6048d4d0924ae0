//! The cache panel: tiers and how full they are, hits and misses, and the same by
//! the first word of the keys.

use ratatui::{layout::Rect, style::Style};

use super::Canvas;
use crate::{
    app::App,
    model::text::{display_text, human_bytes},
    tui::theme::Role,
};

/// Cells of a bar that says how full a tier is.
const BAR_CELLS: u16 = 20;

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    let muted = canvas.style(Role::Muted);
    let mut lines = area.top()..area.bottom();
    let Some(stats) = &app.cache_panel.stats else {
        canvas.text(area.x, area.y, area.width, "asking the cache", muted);
        return;
    };
    let Some(y) = lines.next() else { return };
    let strong = canvas.style(Role::Strong);
    let x = canvas.text(area.x, y, area.width, "cache ", muted);
    let x = canvas.text(x, y, area.right().saturating_sub(x), stats.backend, strong);
    let reason = format!("  {}", display_text(&stats.reason));
    canvas.text(x, y, area.right().saturating_sub(x), &reason, muted);

    for tier in &stats.tiers {
        let Some(y) = lines.next() else { return };
        let x = canvas.text(area.x, y, area.width, &format!("{:<7}", tier.name), muted);
        let rest = area.right().saturating_sub(x);
        if let Err(reason) = &tier.state {
            let text = format!("not used now: {}", display_text(reason));
            canvas.text(x, y, rest, &text, canvas.style(Role::Pending));
            continue;
        }
        let mut text = format!(
            "{:>9} entries  {:>8}",
            tier.entries,
            human_bytes(tier.bytes)
        );
        if tier.limit_bytes > 0 {
            let limit = human_bytes(tier.limit_bytes);
            let percent = tier.usage_percent();
            text = format!("{text} of {limit:>8}  {percent:>5.1} % ");
        }
        let x = canvas.text(x, y, rest, &text, Style::new());
        if tier.limit_bytes > 0 && area.right().saturating_sub(x) > BAR_CELLS {
            canvas.bar(x, y, BAR_CELLS, tier.bytes, tier.limit_bytes);
        }
    }

    let Some(y) = lines.next() else { return };
    let mut text = format!(
        "all processes: {} hits of {} ({})",
        stats.everyone.hits,
        stats.everyone.requests(),
        stats.everyone.hit_rate()
    );
    if stats.lost > 0 {
        text.push_str("   times that Redis was lost: ");
        text.push_str(&stats.lost.to_string());
    }
    canvas.text(area.x, y, area.width, &text, muted);

    let Some(y) = lines.next() else { return };
    let head = "this one      hits    misses      rate      sets   deletes    errors";
    canvas.text(area.x, y, area.width, head, muted);
    let whole = [("all", stats.tally)].into_iter();
    let families = stats.families.iter();
    for (name, tally) in whole.chain(families.map(|(family, tally)| (family.name(), *tally))) {
        let Some(y) = lines.next() else { return };
        let text = format!(
            "{name:<8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            tally.hits,
            tally.misses,
            tally.hit_rate(),
            tally.sets,
            tally.deletes,
            tally.errors
        );
        let style = if tally.errors > 0 {
            canvas.style(Role::Pending)
        } else {
            Style::new()
        };
        canvas.text(area.x, y, area.width, &text, style);
    }
}
