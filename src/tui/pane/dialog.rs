//! What lies on top: dialogs, and the box that says which keys may follow.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, scrolled};
use crate::{
    app::{
        App, NextKey,
        dialog::{Choice, Dialog, DialogKind},
        message::Target,
    },
    tui::{text, theme::Role},
};

/// The area of a dialog in the middle of the screen.
pub fn area(dialog: &Dialog, screen: Rect) -> Option<Rect> {
    let most = screen.width.saturating_sub(4).min(92);
    let (choices, is_list) = match &dialog.kind {
        DialogKind::Prompt(_) => return None,
        DialogKind::Message { .. } => (&[][..], false),
        DialogKind::Choice { choices, .. } => (choices.as_slice(), is_list(choices, most)),
    };
    let longest = dialog
        .body
        .iter()
        .map(|line| text::width(line))
        .chain([
            text::width(&dialog.title),
            text::width(&dialog.footer),
            if is_list { 40 } else { row_width(choices) },
        ])
        .chain(
            choices
                .iter()
                .filter(|_| is_list)
                .map(|choice| text::width(&choice.label) + 6),
        )
        .max()
        .unwrap_or(0);
    let width = (longest + 6).clamp(30.min(most), most.max(1));
    let body: usize = dialog
        .body
        .iter()
        .map(|line| lines(line, width.saturating_sub(6)).len())
        .sum();
    let answers = match (choices.len(), is_list) {
        (0, _) => 0,
        (n, true) => n + 1,
        (_, false) => 2,
    };
    let footer = footer(dialog, width.saturating_sub(6)).len();
    let height = u16::try_from(body + answers + footer + 4).unwrap_or(u16::MAX);
    let height = height
        .min(screen.height.saturating_sub(2))
        .max(3.min(screen.height));
    Some(Rect {
        x: screen.x + (screen.width - width.min(screen.width)) / 2,
        y: screen.y + (screen.height - height) / 3,
        width: width.min(screen.width),
        height,
    })
}

/// What other keys do, below the answers, with a line between.
fn footer(dialog: &Dialog, width: u16) -> Vec<String> {
    if dialog.footer.is_empty() {
        return Vec::new();
    }
    let mut footer = vec![String::new()];
    footer.extend(text::wrap(&dialog.footer, width));
    footer
}

/// Answers stand in a row when there are few, else in a list.
fn is_list(choices: &[Choice], most: u16) -> bool {
    choices.len() > 4 || row_width(choices) + 6 > most
}

fn row_width(choices: &[Choice]) -> u16 {
    choices
        .iter()
        .map(|choice| text::width(&choice.label) + 5)
        .sum()
}

fn lines(line: &str, width: u16) -> Vec<String> {
    // What fits keeps its columns.
    if text::width(line) <= width {
        vec![line.to_owned()]
    } else {
        text::wrap(line, width)
    }
}

pub fn draw(dialog: &Dialog, area: Rect, screen: Rect, canvas: &mut Canvas) {
    surface(area, canvas);
    let mut inner = Rect {
        x: area.x + 3.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(6),
        height: area.height.saturating_sub(2),
    };
    for line in footer(dialog, inner.width).iter().rev() {
        inner.height = inner.height.saturating_sub(1);
        let muted = canvas.style(Role::Muted);
        canvas.text(inner.x, inner.bottom(), inner.width, line, muted);
    }
    canvas.text(
        inner.x,
        inner.y,
        inner.width,
        &dialog.title,
        canvas.style(Role::TitleFocused),
    );
    let body: Vec<String> = dialog
        .body
        .iter()
        .flat_map(|line| lines(line, inner.width))
        .collect();
    let (choices, cursor, scroll) = match &dialog.kind {
        DialogKind::Prompt(_) => return,
        DialogKind::Message { scroll } => (&[][..], 0, *scroll),
        DialogKind::Choice { choices, cursor } => (choices.as_slice(), *cursor, 0),
    };
    let most = screen.width.saturating_sub(4).min(92);
    let is_list = is_list(choices, most);
    let below = match (choices.len(), is_list) {
        (0, _) => 0,
        (n, true) => u16::try_from(n + 1)
            .unwrap_or(u16::MAX)
            .min(inner.height.saturating_sub(3)),
        (_, false) => 2,
    };
    let room = Rect {
        y: inner.y + 2.min(inner.height),
        height: inner.height.saturating_sub(2 + below),
        ..inner
    };
    let first = scroll.min(body.len().saturating_sub(usize::from(room.height)));
    for (y, line) in (room.top()..room.bottom()).zip(body.iter().skip(first)) {
        canvas.text(room.x, y, room.width, line, Style::new());
    }
    canvas.more(room, first, usize::from(room.height), body.len());
    if choices.is_empty() {
        return;
    }
    if is_list {
        let list = Rect {
            y: room.bottom() + 1,
            height: below.saturating_sub(1),
            ..inner
        };
        let top = scrolled(0, cursor, usize::from(list.height), choices.len());
        for (y, (index, choice)) in
            (list.top()..list.bottom()).zip(choices.iter().enumerate().skip(top))
        {
            let line = Rect {
                y,
                height: 1,
                ..list
            };
            answer(choice, index == cursor, line, canvas);
            canvas.hit(line, Target::DialogChoice(index));
        }
        canvas.more(list, top, usize::from(list.height), choices.len());
    } else {
        let mut x = inner.x;
        for (index, choice) in choices.iter().enumerate() {
            let width = (text::width(&choice.label) + 4).min(inner.right().saturating_sub(x));
            let button = Rect {
                x,
                y: inner.bottom().saturating_sub(1),
                width,
                height: 1,
            };
            answer(choice, index == cursor, button, canvas);
            canvas.hit(button, Target::DialogChoice(index));
            x += width + 1;
        }
    }
}

/// A label with its key underlined.
fn answer(choice: &Choice, is_chosen: bool, line: Rect, canvas: &mut Canvas) {
    let role = match (is_chosen, choice.is_destructive) {
        (true, _) => Role::Cursor,
        (false, true) => Role::Error,
        (false, false) => Role::Strong,
    };
    let style = canvas.style(role);
    if is_chosen {
        canvas.tint(line, style);
    }
    let x = line.x + 2.min(line.width);
    canvas.text(
        x,
        line.y,
        line.width.saturating_sub(3),
        &choice.label,
        style,
    );
    let Some(key) = choice.key else { return };
    let found = choice
        .label
        .char_indices()
        .find(|(_, c)| c.eq_ignore_ascii_case(&key));
    if let Some((at, c)) = found {
        let x = x + text::width(&choice.label[..at]);
        if x < line.right() {
            canvas.text(x, line.y, 1, c.encode_utf8(&mut [0; 4]), style.underlined());
        }
    }
}

/// The background of something on top, with an edge where a background alone
/// would not set it off.
pub fn surface(area: Rect, canvas: &mut Canvas) {
    canvas.fill(area, canvas.style(Role::Popup));
    if canvas.has_panels() || area.width < 2 || area.height < 2 {
        return;
    }
    let rule = canvas.style(Role::Rule);
    let line = canvas.glyphs.horizontal.repeat(usize::from(area.width));
    for y in [area.top(), area.bottom() - 1] {
        canvas.text(area.x, y, area.width, &line, rule);
    }
    for y in area.top() + 1..area.bottom() - 1 {
        canvas.text(area.x, y, 1, canvas.glyphs.vertical, rule);
        canvas.text(area.right() - 1, y, 1, canvas.glyphs.vertical, rule);
    }
}

/// The area of the which-key box above the status line.
pub fn which_key_area(next: &[NextKey], screen: Rect) -> Option<Rect> {
    if next.is_empty() || screen.height < 6 {
        return None;
    }
    let columns = columns(next, screen);
    let rows = u16::try_from(next.len().div_ceil(columns)).unwrap_or(u16::MAX);
    let height = (rows + 2).min(screen.height - 2);
    Some(Rect {
        y: screen.bottom() - 1 - height,
        height,
        ..screen
    })
}

fn column_width(next: &[NextKey]) -> u16 {
    next.iter()
        .map(|next| text::width(&next.key.to_string()) + 2 + text::width(&next.help))
        .max()
        .unwrap_or(0)
        .min(44)
        + 3
}

fn columns(next: &[NextKey], screen: Rect) -> usize {
    usize::from((screen.width.saturating_sub(2) / column_width(next).max(1)).max(1))
}

pub fn draw_which_key(app: &App, next: &[NextKey], area: Rect, screen: Rect, canvas: &mut Canvas) {
    surface(area, canvas);
    let typed = crate::app::key::print_chord(&app.pending.keys);
    canvas.text(
        area.x + 2,
        area.y,
        area.width.saturating_sub(4),
        &typed,
        canvas.style(Role::TitleFocused),
    );
    let (width, columns) = (column_width(next), columns(next, screen));
    let rows = usize::from(area.height.saturating_sub(2)).max(1);
    for (at, next) in next.iter().enumerate() {
        let (column, row) = (at / rows, at % rows);
        if column >= columns {
            break;
        }
        let x = area.x + 2 + u16::try_from(column).unwrap_or(0) * width;
        let y = area.y + 1 + u16::try_from(row).unwrap_or(0);
        let end = canvas.text(
            x,
            y,
            width.saturating_sub(1),
            &next.key.to_string(),
            canvas.style(Role::Key),
        );
        let room = (x + width).saturating_sub(end + 3);
        canvas.text(end + 2, y, room, &next.help, canvas.style(Role::Muted));
    }
}
