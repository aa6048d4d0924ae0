//! Where everything stands: pure arithmetic from the size of the screen and what
//! is to be shown. The same numbers serve drawing, clicks, and what the session is
//! told about its viewport.

use ratatui::layout::Rect;

use super::{
    image::{CROP_UNIT, Crop, fit},
    probe::Graphics,
};
use crate::app::{
    message::PictureSize,
    panes::{Pane, Panes},
    viewer::{Viewer, Zoom},
};

/// From this width on several panes stand side by side.
const WIDE: u16 = 100;
/// Below this size there is the query line, the grid and the status line.
const TINY: (u16, u16) = (40, 12);

/// The areas of one screen. What is not shown is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub screen: Rect,
    pub query: Option<Rect>,
    /// The gallery or the viewer.
    pub main: Option<Rect>,
    pub facets: Option<Rect>,
    pub editor: Option<Rect>,
    pub info: Option<Rect>,
    pub monitor: Option<Rect>,
    pub status: Option<Rect>,
    /// There is room for one pane only.
    pub is_narrow: bool,
    pub is_tiny: bool,
}

impl Layout {
    pub fn new(screen: Rect, panes: Panes) -> Self {
        let is_narrow = screen.width < WIDE;
        let is_tiny = screen.width < TINY.0 || screen.height < TINY.1;
        let mut layout = Self {
            screen,
            is_narrow,
            is_tiny,
            ..Self::default()
        };
        let mut rest = screen;
        if rest.height >= 3 {
            layout.query = Some(take_top(&mut rest, 1));
        }
        if rest.height >= 2 {
            layout.status = Some(take_bottom(&mut rest, 1));
        }
        if is_narrow {
            layout.one_pane(rest, panes);
        } else {
            layout.side_by_side(rest, panes);
        }
        layout
    }

    fn one_pane(&mut self, mut rest: Rect, panes: Panes) {
        if panes.monitor && panes.focus != Pane::Monitor && !self.is_tiny {
            self.monitor = Some(take_bottom(&mut rest, 1));
        }
        match panes.focus {
            Pane::Monitor => self.monitor = Some(rest),
            Pane::Editor => self.editor = Some(rest),
            Pane::Facets => self.facets = Some(rest),
            Pane::Gallery | Pane::Viewer => {
                if panes.info && rest.height >= 20 {
                    let height = (rest.height / 3).min(12);
                    self.info = Some(take_bottom(&mut rest, height));
                }
                self.main = Some(rest);
            }
        }
    }

    fn side_by_side(&mut self, mut rest: Rect, panes: Panes) {
        if panes.monitor && !self.is_tiny {
            let height = if panes.focus == Pane::Monitor {
                (rest.height / 2).clamp(8, 24)
            } else {
                (rest.height / 5).clamp(3, 8)
            };
            let height = height.min(rest.height / 2);
            self.monitor = Some(take_bottom(&mut rest, height));
        }
        if panes.facets {
            self.facets = Some(take_left(&mut rest, 28));
        }
        if panes.editor || panes.info {
            let mut side = take_right(&mut rest, (self.screen.width / 4).clamp(34, 48));
            if panes.editor && panes.info {
                let height = (side.height / 3).min(14);
                self.info = Some(take_bottom(&mut side, height));
                self.editor = Some(side);
            } else if panes.editor {
                self.editor = Some(side);
            } else {
                self.info = Some(side);
            }
        }
        self.main = Some(rest);
    }
}

fn take_top(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let taken = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    taken
}

fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect {
        y: rest.bottom(),
        height,
        ..*rest
    }
}

fn take_left(rest: &mut Rect, width: u16) -> Rect {
    let width = width.min(rest.width);
    let taken = Rect { width, ..*rest };
    rest.x += width;
    rest.width -= width;
    taken
}

fn take_right(rest: &mut Rect, width: u16) -> Rect {
    let width = width.min(rest.width);
    rest.width -= width;
    Rect {
        x: rest.right(),
        width,
        ..*rest
    }
}

/// The tiles of the gallery in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    area: Rect,
    pub columns: u16,
    /// Whole rows; at least 1.
    pub rows: u16,
    pub tile_width: u16,
    /// Of the picture, without its caption.
    pub tile_height: u16,
    pub captions: bool,
    pitch_x: u16,
    /// Rows from one row of tiles to the next.
    pub pitch_y: u16,
}

/// Cells between two tiles: the frame of the one under the cursor needs both.
const GAP: u16 = 2;

impl Grid {
    /// Tiles of about `wanted` cells, grown so that they fill the area.
    pub fn new(area: Rect, wanted: u16, captions: bool, cell: (u16, u16)) -> Self {
        let inner = Rect {
            x: area.x + 1.min(area.width),
            y: area.y + 1.min(area.height),
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(1),
        };
        let wanted = wanted.min(inner.width).max(1);
        let columns = ((inner.width + GAP) / (wanted + GAP)).max(1);
        let tile_width = (inner.width.saturating_sub((columns - 1) * GAP) / columns).max(1);
        let square = u32::from(tile_width) * u32::from(cell.0) / u32::from(cell.1.max(1));
        let square = u16::try_from(square).unwrap_or(u16::MAX).max(1);
        let below = u16::from(captions) + 1;
        // A row that almost fits is better than an empty one: tiles shrink or grow by
        // a third at most, then the gaps take what is left.
        let rows = ((inner.height + (square + below) / 3) / (square + below)).max(1);
        let share = (inner.height / rows).max(1);
        let tile_height = share
            .saturating_sub(below)
            .clamp(1, (square + square / 3).max(1));
        let pitch_x = tile_width + GAP;
        Self {
            area: Rect {
                x: inner.x + inner.width.saturating_sub(columns * pitch_x - GAP) / 2,
                ..inner
            },
            columns,
            rows,
            tile_width,
            tile_height,
            captions,
            pitch_x,
            pitch_y: share.max(tile_height + u16::from(captions)),
        }
    }

    /// The place of the picture in that column and row of the screen.
    pub fn tile(&self, column: u16, row: u16) -> Rect {
        Rect {
            x: self.area.x + column * self.pitch_x,
            y: self.area.y + row * self.pitch_y,
            width: self.tile_width,
            height: self.tile_height,
        }
        .intersection(self.area)
    }

    /// The line of the caption below a tile.
    pub fn caption(&self, tile: Rect) -> Option<Rect> {
        let line = Rect {
            y: tile.bottom(),
            height: 1,
            ..tile
        };
        (self.captions && line.y < self.area.bottom()).then_some(line)
    }
}

/// The stored size that shows this many pixels without visible loss.
pub fn picture_size(longest_px: u32) -> PictureSize {
    [PictureSize::Thumbnail, PictureSize::Preview]
        .into_iter()
        .find(|size| longest_px <= size.max_side() * 5 / 4)
        .unwrap_or(PictureSize::Full)
}

/// What the viewer shows of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub crop: Crop,
    /// The size on the screen in pixels.
    pub size: (u32, u32),
    /// The part of each side that is in view.
    pub visible: (f64, f64),
    /// Pixels of the screen for one of the picture.
    pub scale: f64,
    /// The stored size that is good enough.
    pub picture: PictureSize,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides of a picture and shares of it, clamped above zero"
)]
impl View {
    pub fn new(
        natural: (u32, u32),
        area_px: (u32, u32),
        viewer: &Viewer,
        graphics: Graphics,
    ) -> Self {
        let (width, height) = (f64::from(natural.0.max(1)), f64::from(natural.1.max(1)));
        let scale = match viewer.zoom {
            Zoom::Fit => f64::from(fit(natural, area_px, graphics).0) / width,
            Zoom::Width => f64::from(area_px.0) / width,
            Zoom::Scale(scale) => scale.clamp(0.01, 64.0),
        };
        // A thin picture may not vanish.
        let full = ((width * scale).max(1.0), (height * scale).max(1.0));
        let visible = (
            (f64::from(area_px.0) / full.0).clamp(f64::EPSILON, 1.0),
            (f64::from(area_px.1) / full.1).clamp(f64::EPSILON, 1.0),
        );
        let part = |center: f64, visible: f64| {
            let start = (center - visible / 2.0).clamp(0.0, 1.0 - visible);
            let unit = f64::from(CROP_UNIT);
            let from = (start * unit).round() as u32;
            (
                from,
                (((start + visible) * unit).round() as u32).max(from + 1),
            )
        };
        let (left, right) = part(viewer.center_x, visible.0);
        let (top, bottom) = part(viewer.center_y, visible.1);
        Self {
            crop: [left, top, right, bottom],
            size: (
                ((full.0 * visible.0).round() as u32).max(1),
                ((full.1 * visible.1).round() as u32).max(1),
            ),
            visible,
            scale,
            picture: picture_size(full.0.max(full.1) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_panes(focus: Pane) -> Panes {
        Panes {
            focus,
            viewer: false,
            facets: true,
            editor: true,
            monitor: true,
            info: true,
        }
    }

    fn parts(layout: &Layout) -> Vec<Rect> {
        [
            layout.query,
            layout.main,
            layout.facets,
            layout.editor,
            layout.info,
            layout.monitor,
            layout.status,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn panes_never_overlap_and_fill_the_screen_at_every_size() {
        for width in (1..=160).chain([400, 1000]) {
            for height in (1..=60).chain([120, 500]) {
                for focus in Pane::ALL {
                    let screen = Rect::new(0, 0, width, height);
                    let layout = Layout::new(screen, all_panes(focus));
                    let parts = parts(&layout);
                    let cells: u32 = parts.iter().map(|part| part.area()).sum();
                    assert_eq!(cells, screen.area(), "{width}x{height} {layout:?}");
                    for (at, part) in parts.iter().enumerate() {
                        assert_eq!(part.intersection(screen), *part);
                        for other in &parts[at + 1..] {
                            assert!(!part.intersects(*other), "{width}x{height} {layout:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn tiles_stay_inside_the_grid() {
        for width in 1..=130 {
            for height in 1..=50 {
                for wanted in [8, 16, 40] {
                    let area = Rect::new(3, 2, width, height);
                    let grid = Grid::new(area, wanted, true, (10, 20));
                    let mut seen = Vec::<Rect>::new();
                    for row in 0..grid.rows {
                        for column in 0..grid.columns {
                            let tile = grid.tile(column, row);
                            assert_eq!(tile.intersection(area), tile, "{width}x{height} {grid:?}");
                            assert!(seen.iter().all(|other| !other.intersects(tile)));
                            seen.push(tile);
                            if let Some(caption) = grid.caption(tile) {
                                assert_eq!(caption.intersection(area), caption);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_viewer_shows_what_its_zoom_says() {
        let view = |zoom, center_x| {
            let viewer = Viewer {
                zoom,
                center_x,
                ..Viewer::default()
            };
            View::new((4000, 2000), (1000, 800), &viewer, Graphics::Kitty)
        };
        let fit = view(Zoom::Fit, 0.5);
        assert_eq!(
            (fit.size, fit.crop),
            ((1000, 500), [0, 0, CROP_UNIT, CROP_UNIT])
        );
        assert_eq!(fit.picture, PictureSize::Preview);
        let real = view(Zoom::Scale(1.0), 0.5);
        assert_eq!(real.size, (1000, 800));
        assert_eq!(real.crop, [24_576, 19_661, 40_960, 45_875]);
        assert_eq!(real.picture, PictureSize::Full);
        let left = view(Zoom::Scale(1.0), -3.0);
        assert_eq!(left.crop[0], 0);
        let right = view(Zoom::Scale(1.0), 9.0);
        assert_eq!(right.crop[2], CROP_UNIT);
    }
}
