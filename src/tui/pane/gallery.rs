//! The grid of thumbnails; a list with color swatches where no pictures can be
//! shown. Draws what is visible and nothing else, however long the result is.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::Canvas;
use crate::{
    app::{
        App, LibraryInfo,
        gallery::Tile,
        message::{PictureSize, Target},
        panes::Pane,
    },
    model::text::{display_text, human_bytes},
    tui::{
        image::{Align, Picture, mean},
        layout::Grid,
        probe::Graphics,
        text,
        theme::Role,
    },
};

/// Whether the result is drawn as a list.
pub fn is_list(area: Rect, graphics: Graphics) -> bool {
    graphics == Graphics::None || area.height < 4 || area.width < 10
}

/// The grid of that area.
pub fn grid(app: &App, area: Rect, cell: (u16, u16)) -> Grid {
    Grid::new(area, app.gallery.tile_cells, app.gallery.captions, cell)
}

/// What is drawn of a medium.
pub fn picture(app: &App, key: crate::model::id::MediaKey, size: PictureSize) -> Picture<'_> {
    let record = app.catalog.record(key);
    Picture {
        key,
        stamp: record.map_or(0, |record| record.bytes()),
        natural: record.map_or((0, 0), |record| (record.width(), record.height())),
        pixels: app.pictures.best(key, size).map(|(_, pixels)| pixels),
        mask: None,
        frame: 0,
        outlines: &[],
    }
}

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    canvas.fill(area, canvas.style(Role::Text));
    canvas.hit(area, Target::Pane(Pane::Gallery));
    if app.gallery.results.is_empty() {
        empty(app, area, canvas);
    } else if is_list(area, canvas.pictures.graphics()) {
        list(app, area, canvas);
    } else {
        tiles(app, area, canvas);
    }
}

fn tiles(app: &App, area: Rect, canvas: &mut Canvas) {
    let grid = grid(app, area, canvas.pictures.cell());
    let columns = usize::from(grid.columns);
    let first = app.gallery.top_row * columns;
    let number = |place: usize| u16::try_from(place).unwrap_or_default();
    let at = app.gallery.cursor.saturating_sub(first);
    canvas
        .pictures
        .focus(grid.tile(number(at % columns), number(at / columns)));
    for row in 0..grid.rows {
        for column in 0..grid.columns {
            let index = first + usize::from(row) * columns + usize::from(column);
            let Some(tile) = app.tile(index) else {
                continue;
            };
            let place = grid.tile(column, row);
            draw_tile(app, &tile, place, &grid, canvas);
            let whole = Rect {
                height: place.height + u16::from(grid.captions),
                ..place
            };
            canvas.hit(whole.intersection(area), Target::Tile(index));
        }
    }
    // One page ahead is encoded too, so that it is there when it scrolls into view.
    let page = columns * usize::from(grid.rows);
    for index in first + page..first + 2 * page {
        let Some(key) = app.gallery.results.get(index) else {
            break;
        };
        let picture = picture(app, *key, app.viewport.tile_picture);
        canvas
            .pictures
            .prepare(grid.tile(0, 0), &picture, Align::Bottom);
    }
}

fn draw_tile(app: &App, tile: &Tile, place: Rect, grid: &Grid, canvas: &mut Canvas) {
    let wanted = app.viewport.tile_picture;
    let picture = picture(app, tile.key, wanted);
    if let (None, Some(reason)) = (picture.pixels, app.pictures.failure(tile.key, wanted)) {
        broken(place, tile, reason, canvas);
    } else {
        let (buffer, theme) = (&mut *canvas.buffer, canvas.theme);
        canvas
            .pictures
            .draw(buffer, place, &picture, Align::Bottom, theme);
    }
    let is_focused = app.panes.focus == Pane::Gallery;
    if tile.at_cursor {
        let role = if is_focused { Role::Accent } else { Role::Rule };
        frame(place, grid, canvas.style(role), canvas);
    } else if tile.marks.selected {
        edges(
            place,
            [canvas.glyphs.edge_left, canvas.glyphs.edge_right],
            canvas.style(Role::Selected),
            canvas,
        );
    }
    if let Some(line) = grid.caption(place) {
        caption(tile, line, is_focused, canvas);
    }
}

/// Frames a tile in the gap around it, which is there anyway: a bar above, its caption
/// below, and corners between them. Whole sides would cost a packet more with every
/// step of the cursor. The frame is that of the tile and not of its picture: it has
/// one shape wherever the cursor goes, and no edge of a picture in the middle of a
/// cell tears it open.
fn frame(place: Rect, grid: &Grid, style: Style, canvas: &mut Canvas) {
    let glyphs = canvas.glyphs;
    match style.fg {
        // Many fonts leave seams between full blocks; backgrounds have none.
        Some(color) => corners(place, " ", Style::new().bg(color), canvas),
        None => corners(place, glyphs.frame_side, style, canvas),
    }
    let (left, width) = (place.x.saturating_sub(1), place.width + 2);
    if let Some(above) = place.y.checked_sub(1) {
        let line = glyphs.frame_top.repeat(usize::from(width));
        canvas.text(left, above, width, &line, style);
    }
    if !grid.captions {
        let line = glyphs.frame_bottom.repeat(usize::from(width));
        canvas.text(left, place.bottom(), width, &line, style);
    }
}

/// Where the sides of a frame begin and end.
fn corners(place: Rect, side: &str, style: Style, canvas: &mut Canvas) {
    let length = (place.height / 8).max(1);
    let below = Rect {
        y: place.bottom().saturating_sub(length),
        height: length,
        ..place
    };
    let above = Rect {
        height: length,
        ..place
    };
    for part in [above, below] {
        edges(part.intersection(place), [side; 2], style, canvas);
    }
}

/// The gap at the left and at the right of a tile.
fn edges(place: Rect, [left, right]: [&str; 2], style: Style, canvas: &mut Canvas) {
    for y in place.top()..place.bottom() {
        canvas.text(place.x.saturating_sub(1), y, 1, left, style);
        canvas.text(place.right(), y, 1, right, style);
    }
}

/// Name and marks on one line; inverse under the cursor.
fn caption(tile: &Tile, line: Rect, is_focused: bool, canvas: &mut Canvas) {
    let style = match (tile.at_cursor, is_focused) {
        (true, true) => canvas.style(Role::Cursor),
        (true, false) => {
            let dim = canvas.style(Role::CursorDim);
            let is_reversed = dim.add_modifier.contains(Modifier::REVERSED);
            Style {
                // Of one piece with the frame; reversed it would be the ink.
                bg: canvas.style(Role::Rule).fg.filter(|_| !is_reversed),
                ..dim
            }
        }
        (false, _) if tile.marks.selected => canvas.style(Role::Selected),
        (false, _) => canvas.style(Role::Muted),
    };
    let bar = Rect {
        x: line.x.saturating_sub(u16::from(tile.at_cursor)),
        width: line.width + 2 * u16::from(tile.at_cursor),
        ..line
    };
    if tile.at_cursor {
        canvas.tint(bar, style);
    }
    let signs = signs(tile, canvas);
    let signs_width: u16 = signs.iter().map(|(sign, _)| text::width(sign) + 1).sum();
    let room = line.width.saturating_sub(signs_width);
    let name = text::truncate_middle(&tile.caption, room, canvas.glyphs.ellipsis);
    // Signs and name stand together below the middle of the picture.
    let mut x = line.x + (room - text::width(&name).min(room)) / 2;
    for (sign, role) in signs {
        let ink = if tile.at_cursor {
            style
        } else {
            canvas.style(role)
        };
        let end = canvas.text(x, line.y, line.right().saturating_sub(x), &sign, ink);
        x = end + u16::from(end > x);
    }
    canvas.text(x, line.y, line.right().saturating_sub(x), &name, style);
}

/// The signs of a tile, most important first.
pub fn signs(tile: &Tile, canvas: &Canvas) -> Vec<(String, Role)> {
    let (marks, glyphs) = (&tile.marks, canvas.glyphs);
    let mut signs = Vec::new();
    let mut sign = |on: bool, sign: &str, role| {
        if on {
            signs.push((sign.to_owned(), role));
        }
    };
    sign(marks.selected, glyphs.selected, Role::Accent);
    sign(marks.failed, glyphs.failed, Role::Error);
    sign(
        marks.unsaved && !marks.failed,
        glyphs.unsaved,
        Role::Pending,
    );
    sign(marks.missing, glyphs.missing, Role::Error);
    sign(marks.undecodable, glyphs.broken, Role::Pending);
    sign(marks.merged, glyphs.merged, Role::Pending);
    sign(
        !tile.letters.is_empty(),
        &format!("'{}", tile.letters),
        Role::Accent,
    );
    sign(marks.favorite, glyphs.favorite, Role::Error);
    sign(
        marks.stars > 0,
        &format!("{}{}", marks.stars, glyphs.star),
        Role::Pending,
    );
    sign(marks.similar, glyphs.similar, Role::Info);
    sign(
        marks.animated || marks.video,
        if marks.video {
            glyphs.video
        } else {
            glyphs.animated
        },
        Role::Muted,
    );
    if let Some(rating) = marks.rating {
        use crate::model::media::Rating::{Explicit, General, Questionable, Sensitive};
        let role = match rating {
            General => return signs,
            Sensitive => Role::Muted,
            Questionable => Role::Pending,
            Explicit => Role::Error,
        };
        sign(true, rating.letter(), role);
    }
    signs
}

/// What stands in place of a picture that cannot be shown.
fn broken(place: Rect, tile: &Tile, reason: &str, canvas: &mut Canvas) {
    let style = canvas.style(Role::Placeholder);
    canvas.fill(place, style);
    let sign = if tile.marks.missing {
        canvas.glyphs.missing
    } else {
        canvas.glyphs.broken
    };
    let lines = text::wrap(reason, place.width.saturating_sub(2));
    let count = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .min(place.height.saturating_sub(2));
    let mut y = place.y + place.height.saturating_sub(count + 2) / 2;
    canvas.text(
        place.x + place.width / 2,
        y,
        1,
        sign,
        canvas.style(Role::Error),
    );
    for line in lines.iter().take(usize::from(count)) {
        y += 1;
        let x = place.x + (place.width - text::width(line).min(place.width)) / 2;
        canvas.text(x, y + 1, place.width, line, canvas.style(Role::Muted));
    }
}

/// One medium a line: swatch, marks, name, size, tags.
fn list(app: &App, area: Rect, canvas: &mut Canvas) {
    let is_focused = app.panes.focus == Pane::Gallery;
    let has_swatches = canvas.pictures.graphics() != Graphics::None;
    for (row, y) in (area.top()..area.bottom()).enumerate() {
        let index = app.gallery.top_row + row;
        let Some(tile) = app.tile(index) else { break };
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        canvas.hit(line, Target::Tile(index));
        if tile.at_cursor {
            let role = if is_focused {
                Role::Cursor
            } else {
                Role::CursorDim
            };
            canvas.tint(line, canvas.style(role));
        }
        let base = |role| {
            if tile.at_cursor {
                Style::new()
            } else {
                canvas.style(role)
            }
        };
        let (muted, plain) = (
            base(Role::Muted),
            base(if tile.marks.selected {
                Role::Selected
            } else {
                Role::Text
            }),
        );
        let signs = signs(&tile, canvas);
        let ink: Vec<Style> = signs.iter().map(|(_, role)| base(*role)).collect();
        let record = app.catalog.record(tile.key);
        let swatch = app
            .pictures
            .best(tile.key, PictureSize::Thumbnail)
            .map(|(_, pixels)| mean(pixels));
        let mut x = area.x + 1;
        let block = match swatch {
            Some(color) => Style::new().bg(canvas.theme.color(color)),
            None => canvas.style(Role::Placeholder),
        };
        if area.width >= 30 && has_swatches {
            canvas.text(x, y, 3, "   ", block);
            x += 4;
        }
        // Columns stand still: name, marks, size, tags.
        let name_width = if area.width >= 60 {
            area.width / 3
        } else {
            area.right().saturating_sub(x + 8)
        };
        let name = text::truncate_middle(&tile.caption, name_width, canvas.glyphs.ellipsis);
        canvas.text(x, y, name_width, &name, plain);
        x += name_width + 1;
        for ((sign, _), ink) in signs.iter().zip(ink) {
            x = canvas.text(x, y, area.right().saturating_sub(x), sign, ink) + 1;
        }
        let Some(record) = record else { continue };
        let mut column = area.x + 5 + name_width + 9;
        if area.width >= 60 {
            // What was only found so far has no known size.
            if record.width() > 0 {
                let size = format!("{}x{}", record.width(), record.height());
                canvas.text_right(column + 11, column, y, &size, muted);
            }
            canvas.text_right(
                column + 20,
                column + 12,
                y,
                &human_bytes(record.bytes()),
                muted,
            );
            column += 23;
            for tag in record.tags() {
                if column + 3 >= area.right() {
                    break;
                }
                let style = if tile.at_cursor {
                    Style::new()
                } else {
                    canvas.category(&tag.category)
                };
                column = canvas.text(
                    column,
                    y,
                    area.right() - column,
                    &display_text(&tag.value),
                    style,
                ) + 1;
            }
        }
    }
}

/// Every way of having nothing to show says why and what to do.
fn empty(app: &App, area: Rect, canvas: &mut Canvas) {
    let query = display_text(app.query_bar.input.text.trim());
    if app.library == LibraryInfo::default() {
        // It is being asked whether there is to be one.
    } else if !app.gallery.is_loaded {
        canvas.message(
            area,
            "Opening the library",
            std::slice::from_ref(&app.library.root),
            Role::Muted,
        );
    } else if app.catalog.is_empty() && app.catalog.is_complete() {
        let folder = match &app.library.ingest_folder {
            Some(folder) => format!("Drop pictures into {folder}"),
            None => "Put pictures into the folder of the library".to_owned(),
        };
        let lines = [
            folder,
            "or run: tagloupe ingest PATH".to_owned(),
            String::new(),
            "w shows how they are filed, ? shows every key.".to_owned(),
        ];
        canvas.message(area, "This library is empty", &lines, Role::Strong);
    } else {
        let hint = app
            .gallery
            .hint
            .clone()
            .or_else(|| app.query_bar.hint.clone());
        let lines = [
            hint.unwrap_or_else(|| format!("Nothing has all of: {query}")),
            String::new(),
            "/ changes the query.".to_owned(),
        ];
        canvas.message(area, "No picture found", &lines, Role::Strong);
    }
}
