//! The top line: where I am, what is asked, and how many there are.

use ratatui::layout::Rect;

use super::Canvas;
use crate::{
    app::{App, message::Target},
    tui::{text, theme::Role},
};

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    canvas.fill(area, canvas.style(Role::Panel));
    let muted = canvas.style(Role::Muted);
    let y = area.y;
    let mut left = area.x + 1;
    let mut right = area.right().saturating_sub(1);
    if app.gallery.is_loaded {
        let count = text::grouped(app.gallery.results.len() as u64);
        let time = text::duration(app.gallery.elapsed);
        if area.width >= 60 && !app.query_bar.input.is_empty() {
            let note = format!(" {} {time}", canvas.glyphs.dot);
            right = canvas.text_right(right, left, y, &note, muted);
        }
        right = canvas.text_right(right, left, y, &count, canvas.style(Role::Strong));
    }
    if !app.catalog.is_complete() && app.gallery.is_loaded && area.width >= 50 {
        let text = match &app.index_offer {
            // Nobody is at it: this is all there is until somebody asks for more.
            Some(offer) if app.jobs.is_empty() => format!(
                "{} of {} indexed",
                text::grouped(app.catalog.len() as u64),
                text::grouped(offer.total)
            ),
            _ => "loading".to_owned(),
        };
        let style = canvas.style(Role::Pending);
        right = canvas.text_right(right.saturating_sub(2), left, y, &text, style);
    }
    right = right.saturating_sub(2);
    if area.width >= 100 {
        left = canvas.text(left, y, 24, &app.library.name, canvas.style(Role::Strong)) + 3;
    }
    let bar = &app.query_bar;
    let sign = if bar.is_editing {
        canvas.style(Role::Accent)
    } else {
        muted
    };
    left = canvas.text(left, y, 1, canvas.glyphs.search, sign) + 1;
    let field = Rect {
        x: left,
        width: right.saturating_sub(left),
        ..area
    };
    let style = if bar.is_editing {
        canvas.style(Role::Strong)
    } else {
        canvas.style(Role::Text).patch(canvas.style(Role::Panel))
    };
    if bar.input.is_empty() && !bar.is_editing {
        let all = if app.gallery.is_loaded {
            "everything"
        } else {
            ""
        };
        canvas.text(field.x, y, field.width, all, muted);
    } else {
        let span = bar.error.as_ref().map(|mistake| &mistake.span);
        canvas.typed(
            field,
            &bar.input.text,
            bar.input.cursor,
            style,
            bar.is_editing,
            span,
        );
    }
    for (offset, x) in (0..=bar.input.text.len()).zip(field.x..field.right()) {
        canvas.hits.push((
            Rect {
                x,
                width: 1,
                ..field
            },
            Target::Query(offset),
        ));
    }
    canvas.hit(
        Rect {
            width: left.saturating_sub(area.x),
            ..area
        },
        Target::Query(0),
    );
}

/// What hangs below the line while it is being edited: the mistake, a hint, the
/// completion. Gives the area covered.
pub fn below(app: &App, line: Rect, screen: Rect) -> Below {
    let bar = &app.query_bar;
    let offset = if line.width >= 100 {
        text::width(&app.library.name).min(24) + 3
    } else {
        0
    };
    let x = line.x + 3 + offset;
    let mut below = Below::default();
    if !bar.is_editing {
        return below;
    }
    let message = bar.error.as_ref().map(|mistake| match &mistake.hint {
        Some(hint) => format!("{}; {hint}", mistake.message),
        None => mistake.message.clone(),
    });
    below.is_error = message.is_some();
    if let Some(message) = message.or_else(|| bar.hint.clone()) {
        let width = (text::width(&message) + 2).min(screen.right().saturating_sub(x));
        below.note = Some((
            Rect {
                x,
                y: line.bottom(),
                width,
                height: 1,
            }
            .intersection(screen),
            message,
        ));
    }
    below.line = Rect {
        x,
        y: line.y + u16::from(below.note.is_some()),
        width: line.width.saturating_sub(x),
        height: 1,
    };
    below
}

/// What hangs below the query line.
#[derive(Debug, Default)]
pub struct Below {
    pub note: Option<(Rect, String)>,
    pub is_error: bool,
    /// The line that the completion list hangs from.
    pub line: Rect,
}

pub fn draw_below(app: &App, below: &Below, list: Option<Rect>, canvas: &mut Canvas) {
    if let Some((area, message)) = &below.note {
        let role = if below.is_error {
            Role::Error
        } else {
            Role::Muted
        };
        let style = canvas.style(Role::Popup).patch(canvas.style(role));
        canvas.fill(*area, style);
        canvas.text(
            area.x + 1,
            area.y,
            area.width.saturating_sub(1),
            message,
            style,
        );
    }
    if let Some(list) = list {
        canvas.completion(list, &app.query_bar.completion);
    }
}
