//! The ingest monitor: one line that says how it goes, then the files in flight
//! and how others ended.

use std::time::Duration;

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, scrolled};
use crate::{
    app::{
        App,
        ingest_log::{Finished, OutcomeKind, Row, Running, Source},
        message::{Stage, Target},
        panes::Pane,
    },
    tui::{text, theme::Role},
};

/// Rows of the list in a pane of this size.
pub fn rows(app: &App, area: Rect) -> usize {
    let below_header = area.height.saturating_sub(1);
    usize::from(below_header - u16::from(shows_sources(app, below_header)))
}

/// Whether the last line is for the sources.
fn shows_sources(app: &App, height: u16) -> bool {
    !app.ingest_log.sources.is_empty() && height > 3
}

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    let log = &app.ingest_log;
    let is_focused = app.panes.focus == Pane::Monitor;
    canvas.fill(area, canvas.style(Role::Panel));
    canvas.hit(area, Target::Pane(Pane::Monitor));
    let head = Rect {
        height: 1.min(area.height),
        ..area
    };
    header(app, head, is_focused, canvas);
    let mut list = Rect {
        x: area.x + 1.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    };
    if list.height == 0 {
        return;
    }
    if shows_sources(app, list.height) {
        list.height -= 1;
        let line = Rect {
            y: list.bottom(),
            height: 1,
            ..list
        };
        sources(&log.sources, line, canvas);
    }
    let all: Vec<Row> = log.rows().collect();
    if app.cache_panel.is_open {
        super::cache::draw(app, list, canvas);
        return;
    }
    if log.times {
        times(app, list, canvas);
        return;
    }
    if log.details && is_focused && list.height > 10 {
        let height = 8;
        list.height -= height;
        let below = Rect {
            y: list.bottom(),
            height,
            ..list
        };
        if let Some(row) = all.get(log.cursor) {
            details(row, below, canvas);
        }
    }
    if all.is_empty() {
        let folder = log
            .watching
            .as_deref()
            .or(app.library.ingest_folder.as_deref());
        let text = match folder {
            Some(folder) if log.watching.is_some() => format!("waiting for files in {folder}"),
            Some(folder) => format!("put files into {folder} and press s"),
            None => "nothing to do; :ingest PATH files pictures".to_owned(),
        };
        canvas.text(list.x, list.y, list.width, &text, canvas.style(Role::Muted));
        return;
    }
    let shown = usize::from(list.height);
    let top = scrolled(log.top_row, log.cursor, shown, all.len());
    for (y, (index, row)) in (list.top()..list.bottom()).zip(all.iter().enumerate().skip(top)) {
        // The last column says that there is more.
        let line = Rect {
            y,
            width: list.width.saturating_sub(u16::from(all.len() > shown) * 2),
            height: 1,
            ..list
        };
        let cursor = (index == log.cursor && is_focused).then(|| canvas.style(Role::Cursor));
        if let Some(cursor) = cursor {
            canvas.tint(line, cursor);
        }
        match row {
            Row::Running(file) => running(app, file, line, cursor, canvas),
            Row::Finished(file) => finished(file, line, cursor, canvas),
        }
        canvas.hit(line, Target::MonitorRow(index));
    }
    canvas.more(list, top, shown, all.len());
}

/// `INGEST ▂▃▅▇ 41/s  queue 1 204  done 3 310 …`
fn header(app: &App, line: Rect, is_focused: bool, canvas: &mut Canvas) {
    let log = &app.ingest_log;
    let y = line.y;
    canvas.fill(line, canvas.style(Role::Popup));
    let role = if is_focused {
        Role::TitleFocused
    } else {
        Role::Title
    };
    let mut x = canvas.text(
        line.x + 1,
        y,
        line.width.saturating_sub(1),
        "INGEST",
        canvas.style(role),
    ) + 2;
    let end = line.right().saturating_sub(1);
    // The graph has its place even when nothing happens, so that nothing jumps.
    let graph = (line.width / 6).clamp(8, 30);
    if line.width >= 60 {
        canvas.sparkline(x, y, graph, log.rate.iter());
        x += graph + 1;
    }
    let rate = recent_rate(log.rate.iter().copied());
    let rate_text = format!("{:>5}", format!("{rate}/s"));
    x = canvas.text(
        x,
        y,
        end.saturating_sub(x),
        &rate_text,
        canvas.style(Role::Strong),
    ) + 3;
    let mut counts = [
        ("queue", log.queue, Role::Text, 6),
        ("done", log.counts.stored, Role::Done, 7),
        ("dup", log.counts.duplicates, Role::Info, 5),
        (
            "failed",
            log.counts.failed + log.counts.quarantined,
            Role::Error,
            4,
        ),
    ];
    let mut right = end;
    let state = if log.paused {
        Some((format!("{} paused", canvas.glyphs.paused), Role::Pending))
    } else if log.queue > 0 && rate > 0 {
        Some((format!("ETA {}", text::clock(log.queue / rate)), Role::Text))
    } else if log.polling && log.watching.is_some() {
        Some(("polling".to_owned(), Role::Muted))
    } else {
        None
    };
    if let Some((text, role)) = state {
        right = canvas
            .text_right(
                right,
                x,
                y,
                &text,
                Style {
                    bg: None,
                    ..canvas.style(role)
                },
            )
            .saturating_sub(2);
    }
    if line.width >= 110 {
        let workers = match log.workers {
            1 => "1 worker".to_owned(),
            n => format!("{n} workers"),
        };
        right = canvas
            .text_right(right, x + 50, y, &workers, canvas.style(Role::Muted))
            .saturating_sub(2);
    }
    let muted = canvas.style(Role::Muted);
    let is_short = line.width < 100;
    if is_short {
        // What does not fit is left out, and what went wrong is not the first to go.
        counts.swap(2, 3);
    }
    for (label, count, role, digits) in counts {
        let number = text::grouped(count);
        let number = if is_short {
            number
        } else {
            format!("{number:>digits$}")
        };
        let style = if count == 0 {
            muted
        } else {
            Style::new().patch(canvas.style(role))
        };
        let style = Style { bg: None, ..style };
        if x + text::width(label) + text::width(&number) + 1 > right {
            break;
        }
        x = canvas.text(x, y, right.saturating_sub(x), label, muted) + 1;
        x = canvas.text(x, y, right.saturating_sub(x), &number, style)
            + if is_short { 2 } else { 3 };
    }
}

/// `danbooru 38 of 100 known, 12 kept   e621 503 Service Unavailable`. Who has more to
/// say than there is room leaves the others theirs.
fn sources(sources: &[Source], line: Rect, canvas: &mut Canvas) {
    let (muted, y) = (canvas.style(Role::Muted), line.y);
    let said: Vec<String> = sources.iter().map(says).collect();
    let wanted: Vec<u16> = sources
        .iter()
        .zip(&said)
        .map(|(source, says)| {
            let name = text::width(&source.name);
            name.saturating_add(text::width(says)).saturating_add(4)
        })
        .collect();
    let mut x = line.x;
    for (number, (source, says)) in sources.iter().zip(&said).enumerate() {
        let rest = line.right().saturating_sub(x);
        let later = &wanted[number + 1..];
        let share = rest / u16::try_from(later.len() + 1).unwrap_or(u16::MAX);
        let theirs: u16 = later.iter().map(|wanted| share.min(*wanted)).sum();
        // Three cells lie between two of them.
        let gap = if later.is_empty() { 0 } else { 3 };
        let room = rest.saturating_sub(theirs + gap);
        if room == 0 {
            break;
        }
        let name = match source.trouble {
            Some(_) => canvas.style(Role::Error),
            None => canvas.style(Role::Accent),
        };
        let end = x + room;
        x = canvas.text(x, y, room, &source.name, name) + 1;
        x = canvas
            .text(x, y, end.saturating_sub(x), says, muted)
            .min(end)
            + 3;
    }
}

/// What a source did, or why it does nothing.
fn says(source: &Source) -> String {
    if let Some(trouble) = &source.trouble {
        // `NAME: ADDRESS: REASON`, and the line has the name.
        let reason = trouble.strip_prefix(&source.name).unwrap_or(trouble);
        let reason = reason.trim_start_matches([':', ' ']);
        let is_address = |part: &str| part.starts_with("http") && !part.contains(' ');
        return match reason.split_once(": ") {
            Some((address, reason)) if is_address(address) => reason.to_owned(),
            _ => reason.to_owned(),
        };
    }
    let (known, asked) = (text::grouped(source.known), text::grouped(source.asked));
    match (source.asked, source.kept) {
        (0, 0) => "not asked yet".to_owned(),
        (0, kept) => format!("{} kept", text::grouped(kept)),
        (_, 0) => format!("{known} of {asked} known"),
        (_, kept) => format!("{known} of {asked} known, {} kept", text::grouped(kept)),
    }
}

/// Files a second over the last few seconds.
fn recent_rate(rate: impl DoubleEndedIterator<Item = u64>) -> u64 {
    let (sum, seconds) = rate
        .rev()
        .take(5)
        .fold((0, 0), |(sum, n), value| (sum + value, n + 1));
    if seconds == 0 {
        0
    } else {
        u64::div_ceil(sum, seconds)
    }
}

/// The width of the name column.
fn name_width(line: Rect) -> u16 {
    (line.width / 3).clamp(12, 44)
}

fn running(app: &App, file: &Running, line: Rect, cursor: Option<Style>, canvas: &mut Canvas) {
    let ink = |style: Style| cursor.unwrap_or(style);
    let (muted, y) = (ink(canvas.style(Role::Muted)), line.y);
    let elapsed = app.now.elapsed.saturating_sub(file.started);
    let beat =
        usize::try_from(elapsed.as_millis() / 100).unwrap_or(0) % canvas.glyphs.spinner.len();
    canvas.text(
        line.x,
        y,
        1,
        canvas.glyphs.spinner[beat],
        ink(canvas.style(Role::Accent)),
    );
    let width = name_width(line);
    let name = text::truncate_middle(&file.name, width, canvas.glyphs.ellipsis);
    canvas.text(line.x + 2, y, width, &name, ink(Style::new()));
    let time = text::duration(elapsed);
    let right = canvas
        .text_right(line.right(), line.x + width + 2, y, &time, muted)
        .saturating_sub(2);
    let mut x = line.x + width + 4;
    if let Some(by) = &file.by {
        // Its stages are known where it is.
        let by = format!("by {by}");
        canvas.text(x, y, right.saturating_sub(x), &by, muted);
        return;
    }
    if right.saturating_sub(x) < 52 {
        let stage = file.stage.map_or("", Stage::name);
        canvas.text(
            x,
            y,
            right.saturating_sub(x),
            stage,
            ink(canvas.style(Role::Accent)),
        );
        return;
    }
    for stage in Stage::ALL {
        let (sign, role) = match file.stage {
            Some(now) if stage < now => (canvas.glyphs.done, Role::Done),
            Some(now) if stage == now => (canvas.glyphs.unsaved, Role::Accent),
            _ => (canvas.glyphs.dot, Role::Rule),
        };
        let word = if Some(stage) == file.stage {
            ink(Style::new())
        } else {
            muted
        };
        x = canvas.text(x, y, right.saturating_sub(x), stage.name(), word) + 1;
        x = canvas.text(x, y, right.saturating_sub(x), sign, ink(canvas.style(role))) + 2;
    }
}

fn finished(file: &Finished, line: Rect, cursor: Option<Style>, canvas: &mut Canvas) {
    let ink = |style: Style| cursor.unwrap_or(style);
    let y = line.y;
    let (sign, role) = match file.kind {
        OutcomeKind::Stored => (canvas.glyphs.done, Role::Done),
        OutcomeKind::Duplicate => (canvas.glyphs.similar, Role::Info),
        OutcomeKind::Waiting => (canvas.glyphs.paused, Role::Pending),
        OutcomeKind::Failed => (canvas.glyphs.failed, Role::Error),
    };
    canvas.text(line.x, y, 1, sign, ink(canvas.style(role)));
    let width = name_width(line);
    let name = text::truncate_middle(&file.name, width, canvas.glyphs.ellipsis);
    canvas.text(line.x + 2, y, width, &name, ink(Style::new()));
    let total: u64 = file
        .stage_micros
        .iter()
        .map(|micros| u64::from(*micros))
        .sum();
    let mut right = line.right();
    if total > 0 {
        let time = text::duration(Duration::from_micros(total));
        right = canvas.text_right(
            right,
            line.x + width + 2,
            y,
            &time,
            ink(canvas.style(Role::Muted)),
        );
    }
    let x = line.x + width + 4;
    let role = if file.kind == OutcomeKind::Failed {
        Role::Error
    } else {
        Role::Muted
    };
    canvas.text(
        x,
        y,
        right.saturating_sub(x + 2),
        &file.text,
        ink(canvas.style(role)),
    );
}

/// Everything about one row: path, reason, time of each stage.
fn details(row: &Row, area: Rect, canvas: &mut Canvas) {
    let rule = canvas.glyphs.horizontal.repeat(usize::from(area.width));
    canvas.text(area.x, area.y, area.width, &rule, canvas.style(Role::Rule));
    let (path, text, micros) = match row {
        Row::Running(file) => (&file.path, "", None),
        Row::Finished(file) => (&file.path, file.text.as_str(), Some(&file.stage_micros)),
    };
    let muted = canvas.style(Role::Muted);
    let path = path.display().to_string();
    let path = crate::model::text::display_text(&path).into_owned();
    let mut y = area.y + 1;
    let shown = text::truncate_middle(&path, area.width, canvas.glyphs.ellipsis);
    canvas.text(area.x, y, area.width, &shown, muted);
    for line in text::wrap(text, area.width).iter().take(3) {
        y += 1;
        canvas.text(area.x, y, area.width, line, Style::new());
    }
    y += 1;
    let Some(micros) = micros.filter(|_| y + 1 < area.bottom()) else {
        return;
    };
    let total: u64 = micros.iter().map(|micros| u64::from(*micros)).sum();
    let cell = (area.width / 6).max(1);
    for (place, (stage, micros)) in (0u16..).zip(Stage::ALL.iter().zip(micros)) {
        let x = area.x + place * cell;
        let time = text::duration(Duration::from_micros(u64::from(*micros)));
        canvas.text(
            x,
            y,
            cell.saturating_sub(1),
            &format!("{} {time}", stage.name()),
            muted,
        );
        if y + 1 < area.bottom() && cell > 4 {
            canvas.bar(x, y + 1, (cell - 2).min(16), u64::from(*micros), total);
        }
    }
}

/// The times of the stages over all files of the session.
fn times(app: &App, area: Rect, canvas: &mut Canvas) {
    let muted = canvas.style(Role::Muted);
    let mut columns: [Vec<u32>; 6] = Default::default();
    for file in &app.ingest_log.outcomes {
        for (column, micros) in columns.iter_mut().zip(file.stage_micros) {
            if micros > 0 {
                column.push(micros);
            }
        }
    }
    canvas.text(
        area.x,
        area.y,
        area.width,
        "stage         p50        p95      files",
        muted,
    );
    let most = columns.iter().flatten().copied().max().unwrap_or(1);
    for (y, (stage, mut times)) in (area.y + 1..area.bottom()).zip(Stage::ALL.iter().zip(columns)) {
        times.sort_unstable();
        let at = |percent: usize| {
            times
                .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0)
        };
        let show = |micros: u32| text::duration(Duration::from_micros(u64::from(micros)));
        let line = format!(
            "{:<8} {:>9}  {:>9}  {:>9}  ",
            stage.name(),
            show(at(50)),
            show(at(95)),
            times.len()
        );
        let x = canvas.text(area.x, y, area.width, &line, Style::new());
        let width = area.right().saturating_sub(x + 1).min(40);
        if width > 4 {
            canvas.bar(x, y, width, u64::from(at(50)), u64::from(most));
        }
    }
}
