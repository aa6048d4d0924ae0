//! The bottom line: what is unsaved, what runs, what was just said, which keys
//! matter here, and where in the result I am. A command or prompt takes its place.

use ratatui::{layout::Rect, style::Style};

use super::Canvas;
use crate::{
    app::{
        App, Hint,
        completion::Completion,
        dialog::{DialogKind, Prompt, Purpose},
        message::{Level, Progress, Target},
        panes::Pane,
        text_input::TextInput,
    },
    tui::{text, theme::Role},
};

/// The text field that stands on the line instead of the status, if one is open.
pub struct Field<'a> {
    label: String,
    input: &'a TextInput,
    pub completion: &'a Completion,
    pub error: Option<&'a str>,
}

/// What is being typed on the line.
pub fn field(app: &App) -> Option<Field<'_>> {
    if let Some(dialog) = app.dialogs.last() {
        let DialogKind::Prompt(prompt) = &dialog.kind else {
            return None;
        };
        return Some(Field {
            label: format!("{}: ", label(prompt, &dialog.title)),
            input: &prompt.input,
            completion: &prompt.completion,
            error: prompt.error.as_deref(),
        });
    }
    let line = &app.command_line;
    line.is_open.then_some(Field {
        label: ":".to_owned(),
        input: &line.input,
        completion: &line.completion,
        error: line.error.as_deref(),
    })
}

fn label(prompt: &Prompt, title: &str) -> String {
    let of = |targets: &[_]| {
        if targets.len() == 1 {
            String::new()
        } else {
            format!(" ({})", targets.len())
        }
    };
    match &prompt.purpose {
        _ if !title.is_empty() => title.to_owned(),
        Purpose::Tag(targets) => format!("tag{}", of(targets)),
        Purpose::Untag(targets) => format!("remove{}", of(targets)),
        Purpose::RenameTag { .. } => "rename to".to_owned(),
        Purpose::Caption { targets, .. } => format!("caption{}", of(targets)),
        Purpose::Name(targets) => format!("name{}", of(targets)),
        Purpose::FindTag => "find".to_owned(),
    }
}

/// Where the field of the line begins, for what hangs above it.
pub fn field_line(field: &Field, area: Rect) -> Rect {
    let offset = (text::width(&field.label) + 1).min(area.width);
    Rect {
        x: area.x + offset,
        width: area.width - offset,
        ..area
    }
}

pub fn draw(app: &App, area: Rect, is_tiny: bool, canvas: &mut Canvas) {
    canvas.fill(area, canvas.style(Role::Panel));
    if let Some(field) = field(app) {
        let line = field_line(&field, area);
        canvas.text(
            area.x + 1,
            area.y,
            area.width.saturating_sub(1),
            &field.label,
            canvas.style(Role::Accent),
        );
        let style = Style {
            bg: None,
            ..canvas.style(Role::Strong)
        };
        canvas.input(line, field.input, style, !app.help.is_open);
        return;
    }
    let y = area.y;
    let end = area.right().saturating_sub(1);
    let mut right = position(app, area, end, canvas);
    let mut x = area.x + 1;
    let unsaved = app.unsaved();
    if unsaved > 0 {
        let text = if is_tiny {
            format!("{}{unsaved}", canvas.glyphs.unsaved)
        } else {
            format!(
                "{} {} unsaved",
                canvas.glyphs.unsaved,
                text::grouped(unsaved as u64)
            )
        };
        x = canvas.text(
            x,
            y,
            right.saturating_sub(x),
            &text,
            canvas.style(Role::Pending),
        ) + 3;
    }
    if let Some(notice) = &app.notices.current {
        let (sign, role) = match notice.level {
            Level::Info => (canvas.glyphs.done, Role::Done),
            Level::Warning => ("!", Role::Pending),
            Level::Error => (canvas.glyphs.failed, Role::Error),
        };
        x = canvas.text(x, y, right.saturating_sub(x), sign, canvas.style(role)) + 1;
        let style = Style {
            bg: None,
            ..canvas
                .style(Role::Strong)
                .remove_modifier(ratatui::style::Modifier::BOLD)
        };
        // Why it failed stands at the end.
        let room = right.saturating_sub(x + 1);
        let said = text::truncate_middle(&notice.text, room, canvas.glyphs.ellipsis);
        canvas.text(x, y, room, &said, style);
        return;
    }
    if let Some(job) = app.jobs.iter().max_by_key(|job| job.total.unwrap_or(0)) {
        x = progress(job, app.jobs.len(), x, y, right, canvas) + 3;
    }
    if !is_tiny {
        right = right.saturating_sub(1);
        let hints = app.hints();
        // Who does not know the keys needs the one that tells them most.
        let (others, help) = match hints.split_last() {
            Some((last, others)) if last.word == "help" => (others, Some(last)),
            _ => (&hints[..], None),
        };
        let reserved = help.map_or(0, |help| hint_width(help) + 3);
        for hint in others {
            if x + hint_width(hint) + reserved > right {
                break;
            }
            x = draw_hint(hint, x, y, canvas) + 3;
        }
        if let Some(help) = help.filter(|help| x + hint_width(help) <= right) {
            draw_hint(help, x, y, canvas);
        }
    }
}

fn hint_width(hint: &Hint) -> u16 {
    text::width(&hint.key) + 1 + text::width(hint.word)
}

fn draw_hint(hint: &Hint, x: u16, y: u16, canvas: &mut Canvas) -> u16 {
    let width = hint_width(hint);
    let key = Style {
        bg: None,
        ..canvas.style(Role::Key)
    };
    let x = canvas.text(x, y, width, &hint.key, key) + 1;
    canvas.text(x, y, width, hint.word, canvas.style(Role::Muted))
}

/// `12 selected   3/4 205  27%` at the right, with the keys typed so far.
fn position(app: &App, area: Rect, end: u16, canvas: &mut Canvas) -> u16 {
    let y = area.y;
    let mut right = end;
    let count = app.gallery.results.len();
    if count > 0 && matches!(app.panes.focus, Pane::Gallery | Pane::Viewer) {
        let all = text::grouped(count as u64);
        let now = text::grouped(app.gallery.cursor as u64 + 1);
        // As wide as the largest place, so that it stands still.
        let place = format!("{now:>width$}/{all}", width = all.chars().count());
        right = canvas
            .text_right(right, area.x, y, &place, canvas.style(Role::Muted))
            .saturating_sub(2);
    }
    if let Some(link) = canvas.link
        && area.width >= 60
    {
        right = canvas
            .text_right(right, area.x + 20, y, link, canvas.style(Role::Muted))
            .saturating_sub(2);
    }
    let selected = app.gallery.selection.len();
    if selected > 0 {
        let text = format!("{} selected", text::grouped(selected as u64));
        right = canvas
            .text_right(right, area.x + 4, y, &text, canvas.style(Role::Selected))
            .saturating_sub(2);
    }
    if let Some(range) = &app.gallery.range {
        let text = if range.rows { "ROWS" } else { "RANGE" };
        right = canvas
            .text_right(right, area.x + 4, y, text, canvas.style(Role::Accent))
            .saturating_sub(2);
    }
    let mut typed = app
        .pending
        .count
        .map(|count| count.to_string())
        .unwrap_or_default();
    typed.push_str(&crate::app::key::print_chord(&app.pending.keys));
    if !typed.is_empty() {
        right = canvas
            .text_right(right, area.x + 4, y, &typed, canvas.style(Role::Accent))
            .saturating_sub(2);
    }
    right
}

/// `rebuilding ━━━━──── 45%  +1`
fn progress(job: &Progress, jobs: usize, x: u16, y: u16, right: u16, canvas: &mut Canvas) -> u16 {
    let muted = canvas.style(Role::Muted);
    let label = crate::model::text::display_text(&job.label).into_owned();
    let mut x = canvas.text(x, y, right.saturating_sub(x).min(40), &label, Style::new()) + 1;
    match job.total {
        Some(total) if total > 0 => {
            if right.saturating_sub(x) > 24 {
                x = canvas.bar(x, y, 12, job.done, total) + 1;
            }
            let percent = format!("{:>3}%", job.done.min(total) * 100 / total);
            x = canvas.text(x, y, right.saturating_sub(x), &percent, muted);
        }
        _ if job.done > 0 => {
            x = canvas.text(
                x,
                y,
                right.saturating_sub(x),
                &text::grouped(job.done),
                muted,
            );
        }
        _ => {}
    }
    if job.errors > 0 {
        let errors = format!(" {} {}", canvas.glyphs.failed, text::grouped(job.errors));
        x = canvas.text(
            x,
            y,
            right.saturating_sub(x),
            &errors,
            canvas.style(Role::Error),
        );
    }
    if jobs > 1 {
        x = canvas.text(
            x,
            y,
            right.saturating_sub(x),
            &format!(" +{}", jobs - 1),
            muted,
        );
    }
    x
}

/// What hangs above the line while something is typed on it: why it was refused.
pub fn draw_error(error: &str, line: Rect, screen: Rect, canvas: &mut Canvas) {
    let Some(y) = line.y.checked_sub(1) else {
        return;
    };
    let area = Rect {
        x: line.x.saturating_sub(1),
        y,
        width: (text::width(error) + 2)
            .min(screen.right().saturating_sub(line.x.saturating_sub(1))),
        height: 1,
    };
    let style = canvas.style(Role::Popup).patch(canvas.style(Role::Error));
    canvas.fill(area, style);
    canvas.text(area.x + 1, y, area.width.saturating_sub(2), error, style);
    canvas.hit(area, Target::Pane(Pane::Gallery));
}
