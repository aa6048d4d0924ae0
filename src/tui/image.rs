//! Pictures on the screen: the one seam between panes and whatever protocol the
//! terminal speaks. A file below for each protocol; here is what they share.
//!
//! A pane says which picture belongs where. Threads encode it, the writer sends it
//! when the link has room, and only when all of it was sent does the screen refer
//! to it; until then its place is held, so that no picture ever stands where
//! another belongs. A picture comes in stages, each better than the one before: all
//! that is visible in the first stage, then in the second, from the cursor outward.
//!
//! Invariant: the terminal is given a picture once, told to forget it when others
//! need the room, and told to forget all of them in the end. Nothing is sent that
//! has left the screen before its turn came.

mod direct;
mod encode;
mod halfblocks;
mod iterm2;
mod kitty;
mod palette;
mod placeholder;
mod raster;
mod shipping;
mod sixel;
mod standing;
mod stock;
mod wishes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect, Size},
    style::Style,
};

use self::{
    encode::{Encoder, Job, Look, Over, Workshop, outlines_hash},
    kitty::Ids,
    shipping::{Shipment, Waybill},
    standing::{Painted, Placement},
    stock::Stock,
    wishes::{LARGE_CELLS, Wish, center, distance, stages},
};
use super::{
    probe::{Capabilities, Graphics},
    theme::{Role, Theme},
    writer::{Parcel, Report},
};
use crate::{
    app::pictures::Payloads,
    model::{id::MediaKey, media::Pixels},
};

pub use self::{
    encode::Quality,
    kitty::delete as delete_picture,
    placeholder::{PLACEHOLDER, draw as draw_placeholder},
    raster::{Align, CROP_UNIT, Crop, Outline, WHOLE, fit, mean},
    standing::Moved,
};

/// A picture that a pane wants to show.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    pub key: MediaKey,
    /// Changes when the original changes.
    pub stamp: u64,
    /// The size of the original in pixels; zero when unknown.
    pub natural: (u32, u32),
    /// The best pixels there are, if any have come.
    pub pixels: Option<&'a Arc<Pixels>>,
    /// A mask to lay over it.
    pub mask: Option<Mask<'a>>,
    /// Which frame of an animation it is, from 0.
    pub frame: u32,
    /// Rectangles to draw over it.
    pub outlines: &'a [Outline],
}

/// A mask: light where it marks something.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    pub key: MediaKey,
    pub pixels: &'a Arc<Pixels>,
}

/// What one frame's pictures need besides its text.
#[derive(Debug, Default)]
pub struct FrameParts {
    /// Commands that follow the text: what is to be moved, lifted or forgotten.
    pub commands: Vec<u8>,
    /// Everything that is to be sent from now on, the most wanted first.
    pub parcels: Vec<Parcel>,
    /// Where something else may stand than the text that was last written there.
    pub stale: Vec<Rect>,
}

/// The pictures of the screen. Lives on the UI thread and never waits.
pub struct Pictures {
    encoder: Arc<Encoder>,
    tmux_depth: u8,
    /// The terminal moves rows by itself, and all that stands on them.
    scrolls: bool,
    /// The user's choice, if there is one.
    quality: Option<Quality>,
    /// The stages in which a picture comes: one of many, and one to look at.
    stages: [Vec<Quality>; 2],
    stock: Stock,
    frame: u64,
    focus: Position,
    covers: Vec<Rect>,
    /// What is drawn over the text, by place: as it was, and as it is becoming.
    painted: HashMap<(u16, u16), Painted>,
    painting: HashMap<(u16, u16), Painted>,
    placed: Vec<Placement>,
    placing: Vec<(u32, Rect)>,
    /// What stands as text in this frame.
    standing: Vec<(u32, Rect)>,
    jobs: Vec<Wish<Job>>,
    shipments: Vec<Wish<Shipment>>,
    bills: HashMap<Shipment, Waybill>,
    /// Begun, but not all of it was sent when the frame began.
    begun: Option<u64>,
    /// What the terminal moves before this frame.
    moved: Option<Moved>,
    next_ticket: u64,
    commands: Vec<u8>,
    stale: Vec<Rect>,
    ids: Ids,
    /// The kitty ids that the terminal may hold.
    alive: Arc<Mutex<Vec<u32>>>,
    workshop: Arc<Workshop>,
}

impl Pictures {
    /// Starts the encoding threads. `alive` is told every kitty id before it is
    /// sent; `wake` is called from the threads when a picture is ready.
    pub fn new(
        capabilities: &Capabilities,
        quality: Option<Quality>,
        theme: &Theme,
        alive: Arc<Mutex<Vec<u32>>>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let encoder = Arc::new(Encoder {
            graphics: capabilities.graphics,
            cell: capabilities.cell,
            theme: theme.clone(),
        });
        Ok(Self {
            encoder,
            tmux_depth: capabilities.tmux_depth,
            scrolls: capabilities.scrolls(),
            quality,
            stages: stages(capabilities, quality),
            stock: Stock::default(),
            frame: 0,
            focus: Position::ORIGIN,
            covers: Vec::new(),
            painted: HashMap::new(),
            painting: HashMap::new(),
            placed: Vec::new(),
            placing: Vec::new(),
            standing: Vec::new(),
            jobs: Vec::new(),
            shipments: Vec::new(),
            bills: HashMap::new(),
            begun: None,
            moved: None,
            next_ticket: 0,
            commands: Vec::new(),
            stale: Vec::new(),
            ids: Ids::new(std::process::id()),
            alive,
            workshop: Workshop::open(wake)?,
        })
    }

    /// Keeps small encoded pictures on disk, and looks there first.
    pub fn keep_in(&self, payloads: Payloads) {
        self.workshop.keep_in(payloads);
    }

    pub fn graphics(&self) -> Graphics {
        self.encoder.graphics
    }

    /// The size of a cell in pixels.
    pub fn cell(&self) -> (u16, u16) {
        self.encoder.cell
    }

    /// Begins a frame with what the writer did since the last one, and with the
    /// areas that lie on top of the panes.
    pub fn begin_frame(&mut self, report: Report, covers: Vec<Rect>) {
        self.frame += 1;
        self.covers = covers;
        self.focus = Position::ORIGIN;
        self.jobs.clear();
        self.shipments.clear();
        self.standing.clear();
        self.begun = report.begun;
        for done in self.workshop.take_done() {
            let canvas = self
                .encoder
                .canvas(done.job.cells, done.job.version.quality);
            self.stock.keep(done, canvas, self.frame);
        }
        for ticket in report.sent {
            self.sent(ticket);
        }
        for ticket in report.given_up {
            self.given_up(ticket);
        }
        if let Some(moved) = self.moved {
            self.painted = std::mem::take(&mut self.painted)
                .into_values()
                .filter_map(|painted| {
                    let area = moved.area(painted.area)?;
                    Some(((area.x, area.y), Painted { area, ..painted }))
                })
                .collect();
            for placement in &mut self.placed {
                // One that was cut or is gone stands nowhere that anybody wants it.
                placement.area = moved.area(placement.area).unwrap_or_default();
            }
        }
    }

    /// Where the eye is: what is nearest to it comes first.
    pub fn focus(&mut self, area: Rect) {
        self.focus = center(area);
    }

    /// Draws a picture whole, as large as the area and its own pixels allow; gives
    /// the cells it covers or will cover.
    pub fn draw(
        &mut self,
        buffer: &mut Buffer,
        area: Rect,
        picture: &Picture,
        align: Align,
        theme: &Theme,
    ) -> Rect {
        let size = fit(natural(picture), self.area_px(area), self.graphics());
        self.draw_part(buffer, area, picture, WHOLE, size, align, theme)
    }

    /// Draws a part of a picture at a size in pixels, which must fit the area.
    #[expect(
        clippy::too_many_arguments,
        reason = "where, what, which part, how large, how"
    )]
    pub fn draw_part(
        &mut self,
        buffer: &mut Buffer,
        area: Rect,
        picture: &Picture,
        crop: Crop,
        size: (u32, u32),
        align: Align,
        theme: &Theme,
    ) -> Rect {
        let cells = self.cells(size);
        let area = place(area.intersection(buffer.area), cells, align);
        if area.is_empty() {
            return area;
        }
        let Some(pixels) = picture.pixels else {
            halfblocks::block(buffer, area, theme.style(Role::Placeholder));
            return area;
        };
        // What is drawn over the text would be drawn over a popup, too.
        let is_covered = self.graphics().is_over_text()
            && self.covers.iter().any(|cover| cover.intersects(area));
        if self.graphics() == Graphics::None || is_covered {
            halfblocks::draw(buffer, area, pixels, crop, theme);
            return area;
        }
        let look = Look {
            key: picture.key,
            stamp: picture.stamp,
            crop,
            size,
            align,
            mask: picture.mask.map(|mask| (mask.key, mask.pixels.width)),
            frame: picture.frame,
            outlines: outlines_hash(picture.outlines),
        };
        let shown = self.show(buffer, area, &look);
        let rank = distance(self.focus, area);
        for (stage, version) in self.versions(&look, pixels, area).into_iter().enumerate() {
            if shown.is_none_or(|shown| shown < version) {
                let over = Over {
                    mask: picture.mask.map(|mask| Arc::clone(mask.pixels)),
                    outlines: picture.outlines.into(),
                };
                self.wish((stage, rank), look, version, area, pixels, over);
            }
        }
        if shown.is_none() {
            let is_slow = matches!(self.graphics(), Graphics::Sixel | Graphics::Iterm2);
            if area.area() > LARGE_CELLS || is_slow {
                halfblocks::draw(buffer, area, pixels, crop, theme);
            } else {
                halfblocks::block(buffer, area, Style::new().bg(theme.color(mean(pixels))));
            }
        }
        area
    }

    /// What lies over pictures made of text has cut their rows: what is left of them is
    /// told its place again. To be called when all is drawn.
    pub fn mend(&self, buffer: &mut Buffer) {
        for (id, area) in &self.standing {
            placeholder::mend(buffer, *area, *id);
        }
    }

    /// Ends the frame: hands what is missing to the threads, in place of what was
    /// missing before, and gives what is to be sent.
    pub fn end_frame(&mut self) -> FrameParts {
        self.leave_painted();
        self.move_placed();
        let parcels = self.parcels();
        for id in self.stock.evict(self.frame) {
            self.forget(id);
        }
        self.jobs.sort_by_key(|wish| wish.rank);
        let jobs = self.jobs.drain(..).map(|wish| wish.what).collect();
        self.workshop.replace(jobs);
        self.moved = None;
        FrameParts {
            commands: std::mem::take(&mut self.commands),
            parcels,
            stale: std::mem::take(&mut self.stale),
        }
    }

    /// Whether the terminal moves pictures exactly when it moves rows.
    pub fn scrolls(&self) -> bool {
        self.scrolls
    }

    /// The next frame begins with the terminal moving rows and what is drawn on them.
    pub fn scroll(&mut self, moved: Moved) {
        self.moved = Some(moved);
    }

    /// The terminal may have lost every picture, or be another one: after a resize,
    /// a suspension, another client of tmux, or when the user asks for a redraw.
    /// What was encoded stays good unless the terminal is another.
    pub fn forget_sent(&mut self, capabilities: &Capabilities, theme: &Theme) {
        self.stages = stages(capabilities, self.quality);
        self.tmux_depth = capabilities.tmux_depth;
        self.scrolls = capabilities.scrolls();
        let encoder = Encoder {
            graphics: capabilities.graphics,
            cell: capabilities.cell,
            theme: theme.clone(),
        };
        if encoder != *self.encoder {
            self.encoder = Arc::new(encoder);
            for id in self.stock.clear() {
                self.forget(id);
            }
        }
        for id in self.stock.kill_all() {
            self.forget(id);
        }
        for bill in std::mem::take(&mut self.bills).into_values() {
            bill.kitty.inspect(|id| self.forget(*id));
        }
        self.painted.clear();
        self.placed.clear();
    }

    /// The pixels of an area of cells.
    pub fn area_px(&self, area: Rect) -> (u32, u32) {
        let (width, height) = self.cell();
        (
            u32::from(area.width) * u32::from(width),
            u32::from(area.height) * u32::from(height),
        )
    }

    /// The cells that so many pixels need.
    fn cells(&self, (width, height): (u32, u32)) -> Size {
        let cells = |px: u32, cell: u16| {
            u16::try_from(px.div_ceil(u32::from(cell.max(1))))
                .unwrap_or(u16::MAX)
                .max(1)
        };
        Size::new(cells(width, self.cell().0), cells(height, self.cell().1))
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.workshop.close();
    }
}

/// The size of the original, or of the pixels when it is unknown.
fn natural(picture: &Picture) -> (u32, u32) {
    match (picture.natural, picture.pixels) {
        ((0, _) | (_, 0), Some(pixels)) => (pixels.width, pixels.height),
        (natural, _) => natural,
    }
}

/// The part of the area that the picture covers.
fn place(area: Rect, cells: Size, align: Align) -> Rect {
    let width = cells.width.min(area.width);
    let height = cells.height.min(area.height);
    let down = area.height - height;
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y
            + match align {
                Align::Center => down / 2,
                Align::Bottom => down,
            },
        width,
        height,
    }
}

#[cfg(test)]
mod tests;
