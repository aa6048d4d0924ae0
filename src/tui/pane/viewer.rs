//! One picture large, with its name below.

use ratatui::layout::Rect;

use super::{Canvas, gallery};
use crate::{
    app::{App, message::Target, panes::Pane, viewer::Zoom},
    model::text::{display_text, human_bytes},
    tui::{
        image::{Align, Mask, Picture},
        layout::View,
        text,
        theme::Role,
    },
};

/// The part of the pane that the picture may cover: the last line names it.
pub fn canvas_area(area: Rect) -> Rect {
    Rect {
        height: area.height.saturating_sub(1),
        ..area
    }
}

/// What is in view of the picture under the cursor.
pub fn view(app: &App, area: Rect, pictures: &crate::tui::image::Pictures) -> Option<View> {
    let key = app.gallery.current()?;
    let record = app.catalog.record(key);
    let natural = record.map_or((0, 0), |record| (record.width(), record.height()));
    let natural = if natural.0 == 0 || natural.1 == 0 {
        let (_, pixels) = app.pictures.best(key, app.viewport.viewer_picture)?;
        (pixels.width, pixels.height)
    } else {
        natural
    };
    let area_px = pictures.area_px(canvas_area(area));
    Some(View::new(
        natural,
        area_px,
        &app.viewer,
        pictures.graphics(),
    ))
}

pub fn draw(app: &App, area: Rect, canvas: &mut Canvas) {
    canvas.fill(area, canvas.style(Role::Text));
    canvas.hit(area, Target::Pane(Pane::Viewer));
    let Some(key) = app.gallery.current() else {
        canvas.message(area, "No picture", &[], Role::Muted);
        return;
    };
    let view = view(app, area, canvas.pictures);
    let wanted = app.viewport.viewer_picture;
    let found = gallery::picture(app, key, wanted);
    match (found.pixels, app.pictures.failure(key, wanted)) {
        (None, Some(reason)) => {
            let path = app
                .catalog
                .record(key)
                .map(|record| display_text(&record.path()).into_owned());
            let lines: Vec<String> = [Some(reason.to_owned()), path]
                .into_iter()
                .flatten()
                .collect();
            canvas.message(area, "This picture cannot be shown", &lines, Role::Error);
        }
        _ => {
            if let Some(view) = &view {
                let found = Picture {
                    mask: mask(app),
                    ..found
                };
                show(&found, view, area, canvas);
            }
        }
    }
    ahead(app, area, canvas);
    line(app, key, view.as_ref(), area, canvas);
}

/// Has the next picture and the one before ready, as they will be seen.
fn ahead(app: &App, area: Rect, canvas: &mut Canvas) {
    if app.viewer.zoom != Zoom::Fit {
        return;
    }
    let at = app.gallery.cursor;
    for index in [at.checked_add(1), at.checked_sub(1)].into_iter().flatten() {
        if let Some(key) = app.gallery.results.get(index) {
            let picture = gallery::picture(app, *key, app.viewport.viewer_picture);
            canvas
                .pictures
                .prepare(canvas_area(area), &picture, Align::Center);
        }
    }
}

fn show(picture: &Picture, view: &View, area: Rect, canvas: &mut Canvas) {
    let (buffer, theme) = (&mut *canvas.buffer, canvas.theme);
    canvas.pictures.draw_part(
        buffer,
        canvas_area(area),
        picture,
        view.crop,
        view.size,
        Align::Center,
        theme,
    );
}

/// The mask that is laid over the picture, if its pixels are there.
fn mask(app: &App) -> Option<Mask<'_>> {
    let key = app.viewer.mask()?;
    let (_, pixels) = app.pictures.best(key, app.viewport.viewer_picture)?;
    Some(Mask { key, pixels })
}

/// Place, name, size and zoom.
fn line(
    app: &App,
    key: crate::model::id::MediaKey,
    view: Option<&View>,
    area: Rect,
    canvas: &mut Canvas,
) {
    if area.height < 2 {
        return;
    }
    let y = area.bottom() - 1;
    let muted = canvas.style(Role::Muted);
    let mut right = area.right().saturating_sub(1);
    if let Some(view) = view {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a percentage, clamped"
        )]
        let percent = (view.scale * 100.0).round().clamp(1.0, 99_999.0) as u32;
        right = canvas
            .text_right(right, area.x, y, &format!("{percent}%"), muted)
            .saturating_sub(2);
    }
    if app.viewer.shown_mask > 0 {
        let text = match app.viewer.masks.len() {
            0 => "no mask".to_owned(),
            count => format!("mask {}/{count}", app.viewer.shown_mask.min(count)),
        };
        let style = canvas.style(Role::Accent);
        right = canvas
            .text_right(right, area.x, y, &text, style)
            .saturating_sub(2);
    }
    if let Some(show) = &app.viewer.slideshow {
        let text = format!("{} {:.1} s", canvas.glyphs.video, show.every.as_secs_f64());
        let style = canvas.style(Role::Accent);
        right = canvas
            .text_right(right, area.x, y, &text, style)
            .saturating_sub(2);
    }
    let Some(record) = app.catalog.record(key) else {
        return;
    };
    let facts = format!(
        "{} x {}   {}",
        record.width(),
        record.height(),
        human_bytes(record.bytes())
    );
    right = canvas
        .text_right(right, area.x + 20, y, &facts, muted)
        .saturating_sub(2);
    let mut x = area.x + 1;
    if let Some(tile) = app.tile(app.gallery.cursor) {
        for (sign, role) in gallery::marks(&tile.marks, canvas) {
            x = canvas.text(x, y, right.saturating_sub(x), &sign, canvas.style(role)) + 1;
        }
    }
    let title = display_text(&record.title()).into_owned();
    let room = right.saturating_sub(x);
    let title = text::truncate_middle(&title, room, canvas.glyphs.ellipsis);
    canvas.text(x, y, room, &title, canvas.style(Role::Strong));
}
