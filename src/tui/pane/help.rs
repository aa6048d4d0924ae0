//! The help: every key and command, searched by typing.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, dialog::surface, scrolled};
use crate::{
    app::{App, help::HelpRow, message::Target},
    tui::{text, theme::Role},
};

/// The area of the help on a screen.
pub fn area(screen: Rect) -> Rect {
    let width = screen
        .width
        .saturating_sub(if screen.width > 60 { 6 } else { 0 })
        .min(110);
    let height = screen
        .height
        .saturating_sub(if screen.height > 16 { 4 } else { 0 });
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}

/// Rows of the list on that screen.
pub fn rows(screen: Rect) -> usize {
    usize::from(list(area(screen)).height)
}

fn list(area: Rect) -> Rect {
    Rect {
        x: area.x + 2.min(area.width),
        y: area.y + 3.min(area.height),
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(4),
    }
}

pub fn draw(app: &App, screen: Rect, canvas: &mut Canvas) {
    let area = area(screen);
    surface(area, canvas);
    let help = &app.help;
    let title = canvas.style(Role::TitleFocused);
    let x = canvas.text(
        area.x + 2,
        area.y + 1,
        area.width.saturating_sub(4),
        "HELP",
        title,
    ) + 3;
    let field = Rect {
        x,
        y: area.y + 1,
        width: area.right().saturating_sub(x + 2),
        height: 1,
    };
    if help.input.is_empty() {
        canvas.text(
            field.x,
            field.y,
            field.width,
            "type to search, Enter does it",
            canvas.style(Role::Muted),
        );
    }
    canvas.input(field, &help.input, canvas.style(Role::Strong), true);
    let list = list(area);
    if help.rows.is_empty() {
        canvas.text(
            list.x,
            list.y,
            list.width,
            "nothing like that",
            canvas.style(Role::Muted),
        );
        return;
    }
    let keys_width = (list.width / 4).clamp(10, 22).min(list.width);
    let rows = usize::from(list.height);
    let top = scrolled(help.top_row, help.cursor, rows, help.rows.len());
    for (y, (index, row)) in (list.top()..list.bottom()).zip(help.rows.iter().enumerate().skip(top))
    {
        let line = Rect {
            y,
            height: 1,
            ..list
        };
        let at_cursor = index == help.cursor;
        let heading = |text: &str, canvas: &mut Canvas| {
            canvas.text(line.x, y, line.width, text, canvas.style(Role::Title));
        };
        let (keys, about, name) = match row {
            HelpRow::Heading(layer) => {
                heading(&layer.title().to_uppercase(), canvas);
                continue;
            }
            HelpRow::Commands => {
                heading("COMMANDS", canvas);
                continue;
            }
            HelpRow::Action { action, keys } => (keys.clone(), action.help(), action.name()),
            HelpRow::Command { usage, help } => (format!(":{usage}"), *help, ""),
        };
        // The usage of a command may be longer than any key.
        let keys_width = match row {
            HelpRow::Command { .. } => keys_width.max((text::width(&keys) + 4).min(line.width / 2)),
            _ => keys_width,
        };
        if at_cursor {
            canvas.tint(line, canvas.style(Role::Cursor));
        }
        let ink = |role| {
            if at_cursor {
                Style::new()
            } else {
                Style {
                    bg: None,
                    ..canvas.style(role)
                }
            }
        };
        let (key, plain, muted) = (ink(Role::Key), ink(Role::Text), ink(Role::Muted));
        canvas.text(line.x + 1, y, keys_width.saturating_sub(2), &keys, key);
        let mut right = line.right().saturating_sub(1);
        if line.width >= 80 && !name.is_empty() {
            right = canvas
                .text_right(right, line.x + keys_width + 20, y, name, muted)
                .saturating_sub(2);
        }
        let x = line.x + keys_width;
        canvas.text(x, y, right.saturating_sub(x), about, plain);
        canvas.hit(line, Target::HelpRow(index));
    }
    canvas.more(list, top, rows, help.rows.len());
}
