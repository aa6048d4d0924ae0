//! The tag editor: the field on top, the tags below it, the caption at the end.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, Edge, scrolled};
use crate::{
    app::{
        App,
        completion::Presence,
        editor::{EditorMode, EditorRow, TagRow},
        message::Target,
        panes::Pane,
    },
    model::text::display_text,
    tui::{text, theme::Role},
};

/// Where the parts of the pane stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    pub input: Rect,
    pub list: Rect,
    pub caption: Rect,
}

/// Splits the pane; `top` is the space taken by its title.
pub fn parts(app: &App, area: Rect) -> Parts {
    let inner = Rect {
        x: area.x + 1.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    };
    let below = 1 + u16::from(inner.height > 8);
    let caption = if app.editor.caption.is_empty() || inner.height < 14 {
        0
    } else {
        let lines = text::wrap(&display_text(&app.editor.caption), inner.width).len();
        2 + u16::try_from(lines.min(4)).unwrap_or(4)
    };
    Parts {
        input: Rect {
            height: 1.min(inner.height),
            ..inner
        },
        list: Rect {
            y: inner.y + below.min(inner.height),
            height: inner.height.saturating_sub(below + caption),
            ..inner
        },
        caption: Rect {
            y: inner.bottom().saturating_sub(caption),
            height: caption,
            ..inner
        },
    }
}

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    let editor = &app.editor;
    let is_focused = app.panes.focus == Pane::Editor;
    let note = match editor.targets.len() {
        0 => String::new(),
        1 => display_text(&editor.name).into_owned(),
        n => format!("{} pictures", text::grouped(n as u64)),
    };
    canvas.panel(area, Edge::Left, "TAGS", &note, is_focused);
    canvas.hit(area, Target::Pane(Pane::Editor));
    let parts = parts(app, area);
    list(app, parts.list, is_focused, canvas);
    caption(app, parts.caption, canvas);
    input(app, parts.input, is_focused, canvas);
    if is_focused && editor.mode == EditorMode::Input {
        let within = Rect {
            y: parts.input.bottom(),
            height: area.bottom().saturating_sub(parts.input.bottom()),
            ..area
        };
        if let Some(error) = &editor.error {
            let style = canvas.style(Role::Popup).patch(canvas.style(Role::Error));
            let lines = text::wrap(error, parts.input.width);
            for (y, text) in (within.top()..within.bottom()).zip(&lines) {
                let line = Rect {
                    y,
                    height: 1,
                    ..parts.input
                };
                canvas.fill(line, style);
                canvas.text(line.x, y, line.width, text, style);
            }
        } else if let Some(found) = canvas.completion_area(parts.input, within, &editor.completion)
        {
            let area = Rect {
                width: parts.input.width,
                ..found
            };
            canvas.completion(area, &editor.completion);
        }
    }
}

fn input(app: &App, area: Rect, is_focused: bool, canvas: &mut Canvas) {
    if area.is_empty() {
        return;
    }
    let is_typing = is_focused && app.editor.mode == EditorMode::Input;
    let field_style = canvas.style(Role::Popup);
    canvas.fill(area, field_style);
    let sign = canvas.style(if is_typing { Role::Accent } else { Role::Muted });
    canvas.text(area.x, area.y, 1, "+", sign);
    let field = Rect {
        x: area.x + 2.min(area.width),
        width: area.width.saturating_sub(2),
        ..area
    };
    if app.editor.input.is_empty() && !is_typing {
        canvas.text(
            field.x,
            field.y,
            field.width,
            "i adds a tag",
            canvas.style(Role::Muted),
        );
    } else {
        canvas.input(field, &app.editor.input, field_style, is_typing);
    }
}

fn list(app: &App, area: Rect, is_focused: bool, canvas: &mut Canvas) {
    let editor = &app.editor;
    if editor.rows.is_empty() {
        canvas.text(
            area.x,
            area.y,
            area.width,
            "no tags yet",
            canvas.style(Role::Muted),
        );
        return;
    }
    let rows = usize::from(area.height);
    let top = scrolled(editor.top_row, editor.cursor, rows, editor.rows.len());
    let is_list = is_focused && editor.mode == EditorMode::List;
    for (y, (index, row)) in
        (area.top()..area.bottom()).zip(editor.rows.iter().enumerate().skip(top))
    {
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        match row {
            EditorRow::Category { name, count } => {
                let name = display_text(name);
                canvas.text(line.x, y, line.width, &name, canvas.category(&name).bold());
                let count = text::grouped(*count as u64);
                canvas.text_right(
                    line.right().saturating_sub(1),
                    line.x + text::width(&name) + 1,
                    y,
                    &count,
                    canvas.style(Role::Muted),
                );
            }
            EditorRow::Tag(tag) => {
                let at_cursor = index == editor.cursor;
                let cursor = match (at_cursor, is_list) {
                    (true, true) => Some(canvas.style(Role::Cursor)),
                    (true, false) if editor.mode == EditorMode::List => {
                        Some(canvas.style(Role::CursorDim))
                    }
                    _ => None,
                };
                let is_found = !editor.find.is_empty() && tag.text.contains(editor.find.as_str());
                draw_tag(
                    tag,
                    editor.targets.len() > 1,
                    cursor,
                    is_found,
                    line,
                    canvas,
                );
                canvas.hit(line, Target::EditorRow(index));
            }
        }
    }
    canvas.more(area, top, rows, editor.rows.len());
}

fn draw_tag(
    tag: &TagRow,
    is_many: bool,
    cursor: Option<Style>,
    is_found: bool,
    line: Rect,
    canvas: &mut Canvas,
) {
    if let Some(cursor) = cursor {
        canvas.tint(line, cursor);
    }
    let ink = |style: Style| cursor.unwrap_or(style);
    let muted = ink(canvas.style(Role::Muted));
    let y = line.y;
    let sign = match (tag.is_marked, tag.is_pending, tag.presence) {
        (true, ..) => (canvas.glyphs.selected, Role::Accent),
        (_, true, _) => (canvas.glyphs.unsaved, Role::Pending),
        (_, _, Presence::Some) => (canvas.glyphs.some, Role::Muted),
        (_, _, Presence::All) if is_many => (canvas.glyphs.all, Role::Muted),
        (_, _, Presence::None) => (canvas.glyphs.suggested, Role::Muted),
        _ => (" ", Role::Muted),
    };
    canvas.text(line.x + 1, y, 1, sign.0, ink(canvas.style(sign.1)));
    // The count has a field of its own, so that the others do not move.
    let count_width = 8.min(line.width / 3);
    let mut right = line.right().saturating_sub(1);
    canvas.text_right(
        right,
        right.saturating_sub(count_width),
        y,
        &text::grouped(tag.library_count),
        muted,
    );
    right = right.saturating_sub(count_width + 1);
    if tag.presence == Presence::Some {
        let share = format!("{}/{}", tag.have, tag.of);
        right = canvas
            .text_right(
                right,
                line.x + 10,
                y,
                &share,
                ink(canvas.style(Role::Pending)),
            )
            .saturating_sub(1);
    }
    if let Some(confidence) = tag.confidence {
        right = canvas
            .text_right(right, line.x + 16, y, &format!("{confidence:.2}"), muted)
            .saturating_sub(1);
    }
    if let Some(source) = tag.source.as_deref().filter(|_| line.width >= 34) {
        let source = text::truncate(&display_text(source), 10, canvas.glyphs.ellipsis);
        right = canvas
            .text_right(right, line.x + 20, y, &source, muted)
            .saturating_sub(1);
    }
    let mut style = ink(canvas.category(&tag.name.category));
    if is_found {
        style = style.patch(canvas.style(Role::Match));
    }
    let x = line.x + 3;
    canvas.text(x, y, right.saturating_sub(x), &tag.text, style);
}

fn caption(app: &App, area: Rect, canvas: &mut Canvas) {
    if area.height < 3 {
        return;
    }
    canvas.text(
        area.x,
        area.y + 1,
        area.width,
        "caption",
        canvas.style(Role::Title),
    );
    let lines = text::wrap(&display_text(&app.editor.caption), area.width);
    let room = usize::from(area.height - 2);
    for (row, line) in lines.iter().enumerate().take(room) {
        let is_cut = row + 1 == room && lines.len() > room;
        let line = if is_cut {
            format!("{line} {}", canvas.glyphs.ellipsis)
        } else {
            line.clone()
        };
        let y = area.y + 2 + u16::try_from(row).unwrap_or(0);
        canvas.text(area.x, y, area.width, &line, Style::new());
    }
}
