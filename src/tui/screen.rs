//! One whole frame: the panes in their places, and what lies on top of them. Knows
//! no terminal: it fills a buffer and says which bytes belong around it.

use std::sync::Arc;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::{
    glyph::{ASCII, Glyphs, UNICODE},
    image::{FrameParts, Moved, Pictures},
    layout::{Grid, Layout, picture_size},
    pane::{Canvas, dialog, editor, facets, gallery, help, info, ingest, query, status, viewer},
    theme::Theme,
    writer::Report,
};
use crate::{
    app::{
        App,
        message::{Target, Viewport},
    },
    model::id::MediaKey,
};

/// Everything that drawing needs besides the state.
pub struct Screen {
    pub theme: Theme,
    pub pictures: Pictures,
    glyphs: &'static Glyphs,
    /// What stood where in the last frame, the topmost last.
    pub hits: Vec<(Rect, Target)>,
    /// How fast pictures arrive, for the status line.
    pub link: Option<String>,
    scene: Option<Scene>,
}

/// What of the gallery the last frame showed.
struct Scene {
    area: Rect,
    grid: Grid,
    results: Arc<[MediaKey]>,
    top_row: usize,
}

/// What a frame needs besides its text.
#[derive(Debug, Default)]
pub struct Drawn {
    pub cursor: Option<Position>,
    pub parts: FrameParts,
}

/// What hangs over the panes in this frame.
struct Over<'a> {
    below_query: query::Below,
    query_list: Option<Rect>,
    field: Option<(status::Field<'a>, Rect)>,
    field_list: Option<Rect>,
    dialog: Option<Rect>,
    which_key: Option<Rect>,
}

impl Screen {
    pub fn new(theme: Theme, pictures: Pictures, is_utf8: bool) -> Self {
        Self {
            theme,
            pictures,
            glyphs: if is_utf8 { &UNICODE } else { &ASCII },
            hits: Vec::new(),
            link: None,
            scene: None,
        }
    }

    pub fn glyphs(&self) -> &'static Glyphs {
        self.glyphs
    }

    /// The rows that the terminal can move by itself before this frame is drawn, if it
    /// moves pictures along. To be asked once for each frame.
    pub fn scroll(&mut self, app: &App, screen: Rect) -> Option<Moved> {
        let layout = Layout::new(screen, app.panes);
        let Some(area) = layout.main.filter(|_| !app.panes.viewer) else {
            self.scene = None;
            return None;
        };
        let scene = Scene {
            area,
            grid: gallery::grid(app, area, self.pictures.cell()),
            results: Arc::clone(&app.gallery.results),
            top_row: app.gallery.top_row,
        };
        let before = self.scene.replace(scene)?;
        let scene = self.scene.as_ref()?;
        let is_same = before.area == area
            && before.grid == scene.grid
            && Arc::ptr_eq(&before.results, &scene.results);
        // What stands beside it moves along and must be written again.
        let is_most = u32::from(area.width) * 2 > u32::from(screen.width);
        if !is_same || !is_most || !self.pictures.scrolls() {
            return None;
        }
        let [to, from] = [scene.top_row, before.top_row].map(|row| i64::try_from(row).ok());
        let up = (to? - from?).checked_mul(i64::from(scene.grid.pitch_y))?;
        let up = i32::try_from(up).ok()?;
        (up != 0 && up.unsigned_abs() < u32::from(area.height)).then_some(Moved {
            top: area.y,
            bottom: area.bottom(),
            up,
        })
    }

    /// The sizes that the session must know of.
    pub fn viewport(&self, app: &App, screen: Rect) -> Viewport {
        let layout = Layout::new(screen, app.panes);
        let mut viewport = Viewport {
            help_rows: help::rows(screen).max(1),
            is_narrow: layout.is_narrow,
            ..app.viewport
        };
        if let Some(main) = layout.main {
            if gallery::is_list(main, self.pictures.graphics()) {
                viewport.columns = 1;
                viewport.rows = usize::from(main.height).max(1);
            } else {
                let grid = gallery::grid(app, main, self.pictures.cell());
                viewport.columns = usize::from(grid.columns);
                viewport.rows = usize::from(grid.rows);
                let (width, height) = self.pictures.area_px(grid.tile(0, 0));
                viewport.tile_picture = picture_size(width.max(height));
            }
            if let Some(view) = viewer::view(app, main, &self.pictures) {
                viewport.viewer_picture = view.picture;
                (viewport.visible_x, viewport.visible_y) = view.visible;
            }
        }
        if let Some(area) = layout.editor {
            viewport.editor_rows = usize::from(editor::parts(app, area).list.height).max(1);
        }
        if let Some(area) = layout.facets {
            viewport.facet_rows = usize::from(area.height.saturating_sub(1)).max(1);
        }
        if let Some(area) = layout.monitor {
            viewport.monitor_rows = ingest::rows(app, area).max(1);
        }
        viewport
    }

    /// Draws everything, with what the writer did since the last frame.
    pub fn draw(&mut self, app: &App, buffer: &mut Buffer, report: Report) -> Drawn {
        let screen = buffer.area;
        let layout = Layout::new(screen, app.panes);
        let next_keys = app.next_keys();
        let mut canvas = Canvas {
            buffer,
            theme: &self.theme,
            tags: app.catalog.tag_database(),
            glyphs: self.glyphs,
            pictures: &mut self.pictures,
            link: self.link.as_deref(),
            hits: std::mem::take(&mut self.hits),
            cursor: None,
        };
        canvas.hits.clear();
        let over = over(app, &layout, &next_keys, &canvas);
        let mut covers: Vec<Rect> = [
            over.query_list,
            over.field_list,
            over.dialog,
            over.which_key,
        ]
        .into_iter()
        .flatten()
        .chain(over.below_query.note.iter().map(|(area, _)| *area))
        .collect();
        if app.help.is_open {
            covers.push(help::area(screen));
        }
        if let Some((field, line)) = &over.field
            && field.error.is_some()
        {
            covers.push(
                Rect {
                    y: line.y.saturating_sub(1),
                    ..screen
                }
                .intersection(screen),
            );
        }
        canvas.pictures.begin_frame(report, covers);
        panes(app, &layout, &mut canvas);
        on_top(app, &layout, &over, &next_keys, &mut canvas);
        canvas.pictures.mend(canvas.buffer);
        let cursor = canvas.cursor;
        self.hits = canvas.hits;
        Drawn {
            cursor,
            parts: self.pictures.end_frame(),
        }
    }
}

fn over<'a>(
    app: &'a App,
    layout: &Layout,
    next_keys: &[crate::app::NextKey],
    canvas: &Canvas,
) -> Over<'a> {
    let screen = layout.screen;
    let below_query = layout.query.map_or_else(query::Below::default, |line| {
        query::below(app, line, screen)
    });
    let query_list = if app.query_bar.is_editing && !below_query.line.is_empty() {
        canvas.completion_area(below_query.line, screen, &app.query_bar.completion)
    } else {
        None
    };
    let field = status::field(app).zip(layout.status);
    let field_list = field.as_ref().and_then(|(field, line)| {
        let line = status::field_line(field, *line);
        canvas.completion_area(line, screen, field.completion)
    });
    Over {
        below_query,
        query_list,
        field,
        field_list,
        dialog: app.dialogs.last().and_then(|top| dialog::area(top, screen)),
        which_key: dialog::which_key_area(next_keys, screen),
    }
}

fn panes(app: &App, layout: &Layout, canvas: &mut Canvas) {
    if let Some(area) = layout.query {
        query::draw(app, area, canvas);
    }
    if let Some(area) = layout.main {
        if app.panes.viewer {
            viewer::draw(app, area, canvas);
        } else {
            gallery::draw(app, area, canvas);
        }
    }
    if let Some(area) = layout.facets {
        facets::draw(app, area, canvas);
    }
    if let Some(area) = layout.editor {
        editor::draw(app, area, canvas);
    }
    if let Some(area) = layout.info {
        info::draw(
            app,
            area,
            layout.is_narrow || layout.editor.is_some(),
            canvas,
        );
    }
    if let Some(area) = layout.monitor {
        ingest::draw(app, area, canvas);
    }
    if let Some(area) = layout.status {
        status::draw(app, area, layout.is_tiny, canvas);
    }
}

fn on_top(
    app: &App,
    layout: &Layout,
    over: &Over,
    next_keys: &[crate::app::NextKey],
    canvas: &mut Canvas,
) {
    query::draw_below(app, &over.below_query, over.query_list, canvas);
    if let Some(area) = over.which_key {
        dialog::draw_which_key(app, next_keys, area, layout.screen, canvas);
    }
    if app.help.is_open {
        help::draw(app, layout.screen, canvas);
    }
    if let (Some(area), Some(top)) = (over.dialog, app.dialogs.last()) {
        canvas.cursor = None;
        dialog::draw(top, area, layout.screen, canvas);
    }
    if let Some((field, line)) = &over.field {
        if let Some(error) = field.error {
            let line = status::field_line(field, *line);
            status::draw_error(error, line, layout.screen, canvas);
        } else if let Some(list) = over.field_list {
            canvas.completion(list, field.completion);
        }
    }
}
