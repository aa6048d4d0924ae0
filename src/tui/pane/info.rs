//! The facts of the picture under the cursor.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, Edge};
use crate::{
    app::App,
    tui::{text, theme::Role},
};

pub fn draw(app: &App, area: Rect, is_below: bool, canvas: &mut Canvas) {
    let edge = if is_below { Edge::Top } else { Edge::Left };
    let inner = canvas.panel(area, edge, "INFO", "", false);
    let label_width = app
        .info
        .facts
        .iter()
        .map(|fact| text::width(fact.label))
        .max()
        .unwrap_or(0)
        .min(inner.width / 3);
    let value_x = inner.x + label_width + 2;
    let value_width = inner.right().saturating_sub(value_x);
    let mut y = inner.y;
    if let Some(error) = &app.info.error {
        for line in text::wrap(error, inner.width) {
            if y >= inner.bottom() {
                return;
            }
            canvas.text(inner.x, y, inner.width, &line, canvas.style(Role::Error));
            y += 1;
        }
    }
    for fact in &app.info.facts {
        for (row, line) in text::wrap(&fact.value, value_width).iter().enumerate() {
            if y >= inner.bottom() {
                return;
            }
            if row == 0 {
                canvas.text(
                    inner.x,
                    y,
                    label_width,
                    fact.label,
                    canvas.style(Role::Muted),
                );
            }
            canvas.text(value_x, y, value_width, line, Style::new());
            y += 1;
        }
    }
}
