//! One picture large, with its name below; its masks, crops and frames.

use ratatui::{layout::Rect, style::Style};

use super::{Canvas, gallery};
use crate::{
    app::{
        App,
        message::{PictureSize, Target},
        panes::Pane,
        viewer::Zoom,
    },
    model::{
        id::MediaKey,
        text::{display_text, human_bytes},
    },
    tui::{
        image::{Align, CROP_UNIT, Mask, Outline, Picture},
        layout::View,
        probe::Graphics,
        text,
        theme::Role,
    },
};

/// The part of the pane that the picture may cover: the last line names it, and one
/// above names its crops where no text can stand on a picture.
fn canvas_area(app: &App, area: Rect, graphics: Graphics) -> Rect {
    let names_crops = app.viewer.shows_crops && graphics.is_over_text();
    Rect {
        height: area.height.saturating_sub(1 + u16::from(names_crops)),
        ..area
    }
}

/// What is in view of the picture under the cursor.
pub fn view(app: &App, area: Rect, pictures: &crate::tui::image::Pictures) -> Option<View> {
    let key = app.gallery.current()?;
    let record = app.catalog.record(key);
    let natural = record.map_or((0, 0), |record| (record.width(), record.height()));
    let is_known = natural.0 > 0 && natural.1 > 0;
    // Of what was only found the pixels tell the size: not those of a thumbnail, or it
    // would be taken for the picture, and a thumbnail for all that is needed.
    let least = app.viewport.viewer_picture.max(PictureSize::Preview);
    let natural = if is_known {
        natural
    } else {
        let (_, pixels) = app.pictures.best(key, least)?;
        (pixels.width, pixels.height)
    };
    let area_px = pictures.area_px(canvas_area(app, area, pictures.graphics()));
    let view = View::new(natural, area_px, &app.viewer, pictures.graphics());
    Some(if is_known {
        view
    } else {
        View {
            picture: view.picture.max(PictureSize::Preview),
            ..view
        }
    })
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
                let outlines = outlines(app, key, canvas);
                let found = Picture {
                    mask: mask(app),
                    outlines: &outlines,
                    ..frame(app, found)
                };
                let area = canvas_area(app, area, canvas.pictures.graphics());
                let shown = show(&found, view, area, canvas);
                labels(app, &outlines, view, shown, canvas);
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
            let area = canvas_area(app, area, canvas.pictures.graphics());
            canvas.pictures.prepare(area, &picture, Align::Center);
        }
    }
}

/// The frame of an animation, or the last one before it that is there.
fn frame<'a>(app: &'a App, picture: Picture<'a>) -> Picture<'a> {
    match app.frames.best(picture.key, app.viewer.frame) {
        Some((frame, pixels)) if app.viewer.frame > 0 => Picture {
            frame,
            pixels: Some(pixels),
            ..picture
        },
        _ => picture,
    }
}

/// The colors of rectangles, in turn; each has a label of the same color.
const OUTLINE_COLORS: [[u8; 3]; 6] = [
    [84, 199, 214],
    [244, 190, 80],
    [240, 120, 170],
    [130, 210, 120],
    [160, 150, 250],
    [240, 130, 90],
];

/// The rectangles of crops, as shares of the picture.
fn outlines(app: &App, key: MediaKey, canvas: &Canvas) -> Vec<Outline> {
    let Some(record) = app.catalog.record(key).filter(|_| app.viewer.shows_crops) else {
        return Vec::new();
    };
    let share = |at: u32, side: u32| {
        let share = u64::from(at) * u64::from(CROP_UNIT) / u64::from(side.max(1));
        u32::try_from(share).unwrap_or(CROP_UNIT).min(CROP_UNIT)
    };
    let (width, height) = (record.width(), record.height());
    let colors = OUTLINE_COLORS.iter().cycle();
    app.viewer
        .crops
        .iter()
        .zip(colors)
        .map(|(crop, color)| {
            let [x, y, crop_width, crop_height] = crop.area;
            Outline {
                area: [
                    share(x, width),
                    share(y, height),
                    share(x.saturating_add(crop_width), width),
                    share(y.saturating_add(crop_height), height),
                ],
                color: if canvas.theme.is_monochrome() {
                    [255; 3]
                } else {
                    *color
                },
            }
        })
        .collect()
}

/// Names crops: where they are if text can stand there, else in the line above the
/// picture's own.
fn labels(app: &App, outlines: &[Outline], view: &View, shown: Rect, canvas: &mut Canvas) {
    let is_below = canvas.pictures.graphics().is_over_text();
    let mut x = shown.x;
    for (crop, outline) in app.viewer.crops.iter().zip(outlines) {
        let [left, top, right, bottom] = outline.area;
        let [view_left, view_top, view_right, view_bottom] = view.crop;
        let is_seen =
            left < view_right && right > view_left && top < view_bottom && bottom > view_top;
        if !is_below && !is_seen {
            continue;
        }
        let label = format!(" {} ", crop.label);
        let width = text::width(&label);
        let [r, g, b] = outline.color;
        let ink = Style::new()
            .fg(canvas.theme.color((16, 16, 16)))
            .bg(canvas.theme.color((r, g, b)));
        let (at_x, at_y) = if is_below {
            (x, shown.bottom())
        } else {
            let place = |at: u32, from: u32, to: u32, start: u16, cells: u16| {
                let inside = u64::from(at.clamp(from, to) - from) * u64::from(cells);
                let cells = inside / u64::from((to - from).max(1));
                start + u16::try_from(cells).unwrap_or(0)
            };
            (
                place(left, view_left, view_right, shown.x, shown.width),
                place(top, view_top, view_bottom, shown.y, shown.height),
            )
        };
        let line = Rect {
            x: at_x,
            y: at_y,
            width,
            height: 1,
        }
        .intersection(if is_below {
            Rect {
                y: shown.bottom(),
                height: 1,
                ..shown
            }
        } else {
            shown
        });
        if !line.is_empty() {
            canvas.fill(line, ink);
            canvas.text(line.x, line.y, line.width, &label, ink);
            x = line.right() + 1;
        }
    }
}

fn show(picture: &Picture, view: &View, area: Rect, canvas: &mut Canvas) -> Rect {
    let (buffer, theme) = (&mut *canvas.buffer, canvas.theme);
    canvas.pictures.draw_part(
        buffer,
        area,
        picture,
        view.crop,
        view.size,
        Align::Center,
        theme,
    )
}

/// The mask that is laid over the picture, if its pixels are there.
fn mask(app: &App) -> Option<Mask<'_>> {
    let key = app.viewer.mask()?;
    let (_, pixels) = app.pictures.best(key, app.viewport.viewer_picture)?;
    Some(Mask { key, pixels })
}

/// Place, name, size and zoom.
fn line(app: &App, key: MediaKey, view: Option<&View>, area: Rect, canvas: &mut Canvas) {
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
    if app.viewer.shows_crops {
        let text = match app.viewer.crops.len() {
            0 => "no crops".to_owned(),
            1 => "1 crop".to_owned(),
            count => format!("{count} crops"),
        };
        let style = canvas.style(Role::Accent);
        right = canvas
            .text_right(right, area.x, y, &text, style)
            .saturating_sub(2);
    }
    let frames = app.catalog.record(key).map_or(0, |record| record.frames());
    if app.viewer.frame > 0 {
        let (text, role) = match &app.frames.failure {
            Some(reason) => (reason.clone(), Role::Error),
            None => (
                format!("frame {}/{frames}", app.viewer.frame + 1),
                Role::Accent,
            ),
        };
        let style = canvas.style(role);
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
    let bytes = human_bytes(record.bytes());
    let facts = match (record.width(), record.height()) {
        (0, _) | (_, 0) => bytes,
        (width, height) => format!("{width} x {height}   {bytes}"),
    };
    right = canvas
        .text_right(right, area.x + 20, y, &facts, muted)
        .saturating_sub(2);
    let mut x = area.x + 1;
    if let Some(tile) = app.tile(app.gallery.cursor) {
        for (sign, role) in gallery::signs(&tile, canvas) {
            x = canvas.text(x, y, right.saturating_sub(x), &sign, canvas.style(role)) + 1;
        }
    }
    let title = display_text(&record.title()).into_owned();
    let room = right.saturating_sub(x);
    let title = text::truncate_middle(&title, room, canvas.glyphs.ellipsis);
    canvas.text(x, y, room, &title, canvas.style(Role::Strong));
}
