//! The tags of the result with how often each occurs.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, Edge, scrolled};
use crate::{
    app::{App, message::Target, panes::Pane},
    model::text::display_text,
    tui::{text, theme::Role},
};

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    let facets = &app.facets;
    let is_focused = app.panes.focus == Pane::Facets;
    let note = if facets.is_stale { "counting" } else { "" };
    let inner = canvas.panel(area, Edge::Right, "IN THIS RESULT", note, is_focused);
    canvas.hit(area, Target::Pane(Pane::Facets));
    if facets.rows.is_empty() {
        let text = if facets.is_stale { "" } else { "no tags" };
        canvas.text(
            inner.x,
            inner.y,
            inner.width,
            text,
            canvas.style(Role::Muted),
        );
        return;
    }
    let rows = usize::from(inner.height);
    let top = scrolled(facets.top_row, facets.cursor, rows, facets.rows.len());
    let shown = (top..).zip(facets.rows.iter_from(top));
    for (y, (index, (name, count))) in (inner.top()..inner.bottom()).zip(shown) {
        let line = Rect {
            y,
            height: 1,
            ..inner
        };
        let at_cursor = index == facets.cursor && is_focused;
        if at_cursor {
            canvas.tint(line, canvas.style(Role::Cursor));
        }
        let ink = |style| if at_cursor { Style::new() } else { style };
        let count = text::grouped(count);
        let muted = ink(canvas.style(Role::Muted));
        let right = canvas
            .text_right(line.right(), line.x + 8, y, &count, muted)
            .saturating_sub(1);
        let style = ink(canvas.category(&name.category));
        canvas.text(
            line.x,
            y,
            right.saturating_sub(line.x),
            &display_text(&name.value),
            style,
        );
        canvas.hit(line, Target::FacetRow(index));
    }
    canvas.more(inner, top, rows, facets.rows.len());
}
