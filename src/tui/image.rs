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
mod sixel;
mod stock;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use ratatui::{
    buffer::{Buffer, CellDiffOption},
    layout::{Position, Rect, Size},
    style::Style,
};

use self::{
    encode::{Body, Encoder, Job, Look, Strip, Version, Workshop},
    kitty::{Ids, Placed},
    stock::Stock,
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
    raster::{Align, CROP_UNIT, Crop, WHOLE, fit, mean},
};

/// From this many cells on a picture is one to look at, not one of many.
const LARGE_CELLS: u32 = 1200;

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

/// Something on its way to the terminal: which picture, and for protocols that
/// draw at the cursor also where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shipment {
    look: Look,
    version: Version,
    place: Option<Rect>,
}

/// How it is known to the writer and to the terminal.
#[derive(Clone, Copy, Debug)]
struct Waybill {
    ticket: u64,
    kitty: Option<u32>,
}

/// A picture that was drawn over the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Painted {
    look: Look,
    version: Version,
    area: Rect,
}

/// A place of a picture that is placed by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Placement {
    id: u32,
    number: u32,
    area: Rect,
}

/// Rows that the terminal moves by itself: from `top` to before `bottom`, up, or down
/// when negative. What leaves them is gone, what comes in is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub top: u16,
    pub bottom: u16,
    pub up: i32,
}

impl Moved {
    /// Where an area is afterwards; `None` when it is gone or was cut.
    fn area(self, area: Rect) -> Option<Rect> {
        if area.bottom() <= self.top || area.y >= self.bottom {
            return Some(area);
        }
        let y = u16::try_from(i32::from(area.y) - self.up).ok()?;
        let moved = Rect { y, ..area };
        let is_inside = |area: Rect| area.y >= self.top && area.bottom() <= self.bottom;
        (is_inside(area) && is_inside(moved)).then_some(moved)
    }
}

/// What is wanted, how urgently: first the stage, then how far from the cursor.
struct Wish<T> {
    rank: (usize, u32),
    what: T,
}

/// The pictures of the screen. Lives on the UI thread and never waits.
pub struct Pictures {
    encoder: Arc<Encoder>,
    tmux_depth: u8,
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
        };
        let shown = self.show(buffer, area, &look);
        let rank = distance(self.focus, area);
        for (stage, version) in self.versions(&look, pixels, area).into_iter().enumerate() {
            if shown.is_none_or(|shown| shown < version) {
                let mask = picture.mask.map(|mask| Arc::clone(mask.pixels));
                self.wish((stage, rank), look, version, area, pixels, mask);
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
                self.wish((ahead + stage, 0), look, version, area, pixels, None);
            }
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

    /// Whether the terminal moves pictures exactly when it moves rows: sixels do, and
    /// tmux does not know of them.
    pub fn scrolls(&self) -> bool {
        self.graphics() == Graphics::Sixel && self.tmux_depth == 0
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

    /// The stages of a look, each better than the one before.
    fn versions(&self, look: &Look, pixels: &Pixels, area: Rect) -> Vec<Version> {
        let stages = &self.stages[usize::from(area.area() > LARGE_CELLS)];
        let mut versions: Vec<Version> = stages
            .iter()
            .map(|quality| Version::new(look, pixels.width, *quality))
            .collect();
        versions.dedup();
        versions
    }

    /// Shows the best version that the terminal has; says which.
    fn show(&mut self, buffer: &mut Buffer, area: Rect, look: &Look) -> Option<Version> {
        self.stock.touch(look, self.frame);
        match self.graphics() {
            Graphics::Kitty => {
                let (version, id) = self.stock.alive(look)?;
                placeholder::draw(buffer, area, id);
                self.drop_worse(look, version);
                Some(version)
            }
            Graphics::KittyDirect => {
                let (version, id) = self.stock.alive(look)?;
                clear(buffer, area);
                self.placing.push((id, area));
                self.drop_worse(look, version);
                Some(version)
            }
            Graphics::Sixel | Graphics::Iterm2 => {
                let place = (area.x, area.y);
                let painted = *self.painted.get(&place)?;
                if (painted.look, painted.area) != (*look, area) {
                    return None;
                }
                self.painting.insert(place, painted);
                for position in area.positions() {
                    buffer[position].reset();
                    buffer[position].set_diff_option(CellDiffOption::Skip);
                }
                Some(painted.version)
            }
            Graphics::Halfblocks => {
                let (version, body) = self.stock.best(look)?;
                let Body::Half(colors) = &*body else {
                    return None;
                };
                for (position, [upper, lower]) in area.positions().zip(colors) {
                    buffer[position]
                        .set_symbol("▀")
                        .set_fg(*upper)
                        .set_bg(*lower);
                }
                Some(version)
            }
            Graphics::None => None,
        }
    }

    /// Forgets the stages that a better one has replaced.
    fn drop_worse(&mut self, look: &Look, than: Version) {
        for id in self.stock.kill_worse(look, than) {
            self.forget(id);
        }
    }

    /// Notes that a version is missing: here, or in the terminal.
    fn wish(
        &mut self,
        rank: (usize, u32),
        look: Look,
        version: Version,
        area: Rect,
        pixels: &Arc<Pixels>,
        mask: Option<Arc<Pixels>>,
    ) {
        if !self.stock.has(&look, version) {
            let what = Job {
                look,
                version,
                pixels: Arc::clone(pixels),
                mask,
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

    /// All of it was written to the terminal.
    fn sent(&mut self, ticket: u64) {
        let bill = self.bills.iter().find(|(_, bill)| bill.ticket == ticket);
        let Some((shipment, bill)) = bill.map(|(shipment, bill)| (*shipment, *bill)) else {
            return;
        };
        self.bills.remove(&shipment);
        if let Some(area) = shipment.place {
            let painted = Painted {
                look: shipment.look,
                version: shipment.version,
                area,
            };
            self.painted.insert((area.x, area.y), painted);
        } else if let Some(id) = bill.kitty
            && !self.stock.born(&shipment.look, shipment.version, id)
        {
            self.forget(id);
        }
    }

    /// The writer gave it up and had the terminal forget what it had of it.
    fn given_up(&mut self, ticket: u64) {
        let bills = self.bills.extract_if(|_, bill| bill.ticket == ticket);
        let ids: Vec<u32> = bills.filter_map(|(_, bill)| bill.kitty).collect();
        for id in ids {
            self.release(id);
        }
    }

    /// Gives a number back and has the terminal forget what it stood for.
    fn forget(&mut self, id: u32) {
        self.commands.extend(delete_picture(id, self.tmux_depth));
        self.placed.retain(|placement| placement.id != id);
        self.release(id);
    }

    /// Gives a number back that stands for nothing.
    fn release(&mut self, id: u32) {
        self.ids.give_back(id);
        self.alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|alive| *alive != id);
    }

    /// Where pictures were drawn over the text and are no more, the text is written
    /// again: the terminal does not know that it was ever gone.
    fn leave_painted(&mut self) {
        let painting = std::mem::take(&mut self.painting);
        for (place, painted) in &self.painted {
            if painting.get(place) != Some(painted) {
                self.stale.push(painted.area);
            }
        }
        self.painted = painting;
    }

    /// Moves pictures that are placed by command to where they belong now.
    fn move_placed(&mut self) {
        let mut before = std::mem::take(&mut self.placed);
        let wanted = std::mem::take(&mut self.placing);
        let mut now = Vec::new();
        let mut homeless = Vec::new();
        for (id, area) in wanted {
            match before
                .iter()
                .position(|old| (old.id, old.area) == (id, area))
            {
                Some(at) => now.push(before.swap_remove(at)),
                None => homeless.push((id, area)),
            }
        }
        let mut moved = Vec::new();
        for (id, area) in homeless {
            let number = match before.iter().position(|old| old.id == id) {
                Some(at) => before.swap_remove(at).number,
                None => (1..u32::MAX)
                    .find(|number| {
                        let is_taken = |old: &Placement| (old.id, old.number) == (id, *number);
                        !now.iter().chain(&before).any(is_taken)
                    })
                    .unwrap_or(1),
            };
            moved.extend(direct::place(id, number, area));
            now.push(Placement { id, number, area });
        }
        for gone in before {
            self.commands.extend(direct::lift(gone.id, gone.number));
        }
        if !moved.is_empty() {
            self.commands.extend(b"\x1b7");
            self.commands.extend(moved);
            self.commands.extend(b"\x1b8");
        }
        self.placed = now;
    }

    /// What is to be sent from now on. A picture that is on its way keeps its
    /// ticket, by which the writer knows it.
    fn parcels(&mut self) -> Vec<Parcel> {
        self.shipments.sort_by_key(|wish| wish.rank);
        let mut wanted = HashSet::new();
        let mut parcels = Vec::new();
        for Wish { what, .. } in std::mem::take(&mut self.shipments) {
            if !wanted.insert(what) {
                continue;
            }
            let Some(body) = self.stock.body(&what.look, what.version) else {
                continue;
            };
            let bill = match self.bills.get(&what) {
                Some(bill) => *bill,
                None => match self.bill(&what) {
                    Some(bill) => bill,
                    None => continue,
                },
            };
            self.bills.insert(what, bill);
            parcels.push(self.parcel(&what, bill, body));
        }
        let begun = self.begun;
        let dropped: Vec<(Shipment, Waybill)> = self
            .bills
            .extract_if(|shipment, bill| !wanted.contains(shipment) && Some(bill.ticket) != begun)
            .collect();
        for (_, bill) in dropped {
            // The terminal never heard of it.
            bill.kitty.inspect(|id| self.release(*id));
        }
        // Strips of one that was begun stand on the screen already.
        let begun = self
            .bills
            .iter()
            .find(|(_, bill)| Some(bill.ticket) == begun);
        if let Some((shipment, _)) = begun
            && let Some(area) = shipment.place
            && !wanted.contains(shipment)
        {
            let moved = self.moved.map_or(Some(area), |moved| moved.area(area));
            self.stale.extend(moved);
            let gone = *shipment;
            self.bills.remove(&gone);
        }
        parcels
    }

    fn bill(&mut self, shipment: &Shipment) -> Option<Waybill> {
        let kitty = match shipment.place {
            Some(_) => None,
            None => Some(self.ids.take()?),
        };
        if let Some(id) = kitty {
            self.alive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(id);
        }
        self.next_ticket += 1;
        Some(Waybill {
            ticket: self.next_ticket,
            kitty,
        })
    }

    fn parcel(&self, shipment: &Shipment, bill: Waybill, body: Arc<Body>) -> Parcel {
        let tmux_depth = self.tmux_depth;
        let cells = self.cells(shipment.look.size);
        let placed = match self.graphics() {
            Graphics::Kitty => Placed::Virtual(cells),
            _ => Placed::Later,
        };
        let ground = self.encoder.theme.background_sequence();
        let place = shipment.place.unwrap_or_default();
        let id = bill.kitty.unwrap_or_default();
        Parcel {
            ticket: bill.ticket,
            pieces: Box::new(move || match &*body {
                Body::Png(png) => kitty::transmit(id, png, placed, tmux_depth),
                Body::Strips(strips) => paint(strips, place, &ground),
                Body::Half(_) => Vec::new(),
            }),
            // Only kitty has to be told that no more will come.
            give_up: bill
                .kitty
                .map(|id| delete_picture(id, tmux_depth))
                .unwrap_or_default(),
        }
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.workshop.close();
    }
}

/// The pieces that draw a picture over the text, each by itself. Its cells are made
/// empty first: what is clear in the picture must not show the text below, and a
/// terminal that cannot draw it shows nothing rather than half of something.
fn paint(strips: &[Strip], place: Rect, ground: &str) -> Vec<Vec<u8>> {
    let ends = strips.iter().skip(1).map(|strip| strip.row);
    let ends = ends.chain([place.height]);
    let blank = " ".repeat(usize::from(place.width));
    strips
        .iter()
        .zip(ends)
        .map(|(strip, end)| {
            let at = |row: u16| format!("\x1b[{};{}H", place.y + row + 1, place.x + 1);
            let mut piece = format!("\x1b7{ground}");
            for row in strip.row..end {
                piece.push_str(&at(row));
                piece.push_str(&blank);
            }
            piece.push_str(&at(strip.row));
            let mut piece = piece.into_bytes();
            piece.extend_from_slice(&strip.bytes);
            piece.extend_from_slice(b"\x1b[m\x1b8");
            piece
        })
        .collect()
}

/// The stages in which pictures come: over a slow link first small ones, and what
/// nobody could tell from the original; in the end all of it only for the one that
/// is looked at.
fn stages(capabilities: &Capabilities, quality: Option<Quality>) -> [Vec<Quality>; 2] {
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

/// Empty cells of the pane's own color.
fn clear(buffer: &mut Buffer, area: Rect) {
    for position in area.positions() {
        let ground = buffer[position].bg;
        buffer[position].reset();
        buffer[position].set_bg(ground);
    }
}

fn center(area: Rect) -> Position {
    Position::new(area.x + area.width / 2, area.y + area.height / 2)
}

/// How far an area is from a place, a row counting twice a column.
fn distance(from: Position, area: Rect) -> u32 {
    let to = center(area);
    let (x, y) = (from.x.abs_diff(to.x), 2 * u32::from(from.y.abs_diff(to.y)));
    u32::from(x).pow(2) + y.pow(2)
}

#[cfg(test)]
mod tests;
