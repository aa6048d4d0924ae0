//! What is missing, and how urgently: the stages in which a picture comes, all that
//! is visible first, from the cursor outward, then what will be needed next.

use std::sync::Arc;

use ratatui::layout::{Position, Rect};

use super::{
    Picture, Pictures,
    encode::{Job, Look, Over, Quality, Version},
    natural,
    raster::{Align, WHOLE, fit},
    shipping::Shipment,
};
use crate::{
    model::media::Pixels,
    tui::probe::{Capabilities, Graphics},
};

/// From this many cells on a picture is one to look at, not one of many.
pub(super) const LARGE_CELLS: u32 = 1200;

/// What is wanted, how urgently: first the stage, then how far from the cursor.
pub(super) struct Wish<T> {
    pub(super) rank: (usize, u32),
    pub(super) what: T,
}

impl Pictures {
    /// Has a picture ready that will be needed soon, after all that is visible.
    pub fn prepare(&mut self, area: Rect, picture: &Picture, align: Align) {
        let Some(pixels) = picture.pixels else { return };
        if self.graphics() == Graphics::None {
            return;
        }
        let look = Look {
            key: picture.key,
            stamp: picture.stamp,
            crop: WHOLE,
            size: fit(natural(picture), self.area_px(area), self.graphics()),
            align,
            mask: None,
            frame: 0,
            outlines: 0,
        };
        self.stock.touch(&look, self.frame);
        let shown = self.stock.alive(&look).map(|(version, _)| version);
        let ahead = self.stages[0].len().max(self.stages[1].len());
        let area = Rect::from((Position::ORIGIN, self.cells(look.size)));
        let versions = self.versions(&look, pixels, area);
        // The last stage of a large one is for what is looked at.
        let count = versions.len().min(self.stages[0].len());
        for (stage, version) in versions.into_iter().take(count).enumerate() {
            if shown.is_none_or(|shown| shown < version) {
                self.wish(
                    (ahead + stage, 0),
                    look,
                    version,
                    area,
                    pixels,
                    Over::default(),
                );
            }
        }
    }

    /// The stages of a look, each better than the one before.
    pub(super) fn versions(&self, look: &Look, pixels: &Pixels, area: Rect) -> Vec<Version> {
        let stages = &self.stages[usize::from(area.area() > LARGE_CELLS)];
        let mut versions: Vec<Version> = stages
            .iter()
            .map(|quality| Version::new(look, pixels.width, *quality))
            .collect();
        versions.dedup();
        versions
    }

    /// Notes that a version is missing: here, or in the terminal.
    pub(super) fn wish(
        &mut self,
        rank: (usize, u32),
        look: Look,
        version: Version,
        area: Rect,
        pixels: &Arc<Pixels>,
        over: Over,
    ) {
        if !self.stock.has(&look, version) {
            let what = Job {
                look,
                version,
                pixels: Arc::clone(pixels),
                over,
                cells: area.as_size(),
                encoder: Arc::clone(&self.encoder),
            };
            self.jobs.push(Wish { rank, what });
        } else if self.graphics() != Graphics::Halfblocks {
            let place = match self.graphics() {
                Graphics::Sixel | Graphics::Iterm2 => Some(area),
                _ => None,
            };
            // What is not on the screen cannot be drawn over it.
            let ahead = self.stages[0].len().max(self.stages[1].len());
            if place.is_none() || rank.0 < ahead {
                let what = Shipment {
                    look,
                    version,
                    place,
                };
                self.shipments.push(Wish { rank, what });
            }
        }
    }
}

/// The stages in which pictures come: over a slow link first small ones, and what
/// nobody could tell from the original; in the end all of it only for the one that
/// is looked at.
pub(super) fn stages(capabilities: &Capabilities, quality: Option<Quality>) -> [Vec<Quality>; 2] {
    use Quality::{Balanced, Lossless, Preview};
    if let Some(quality) = quality {
        return [vec![quality], vec![quality]];
    }
    match capabilities.graphics {
        Graphics::Halfblocks | Graphics::None => [vec![Lossless], vec![Lossless]],
        _ if !capabilities.over_ssh => [vec![Lossless], vec![Lossless]],
        Graphics::Kitty | Graphics::KittyDirect => {
            [vec![Preview, Balanced], vec![Preview, Balanced, Lossless]]
        }
        // Every stage of a sixel is drawn over the one before, and iTerm2 keeps every
        // file that it ever got: one must do.
        Graphics::Sixel | Graphics::Iterm2 => [vec![Balanced], vec![Balanced]],
    }
}

pub(super) fn center(area: Rect) -> Position {
    Position::new(area.x + area.width / 2, area.y + area.height / 2)
}

/// How far an area is from a place, a row counting twice a column.
pub(super) fn distance(from: Position, area: Rect) -> u32 {
    let to = center(area);
    let (x, y) = (from.x.abs_diff(to.x), 2 * u32::from(from.y.abs_diff(to.y)));
    u32::from(x).pow(2) + y.pow(2)
}
