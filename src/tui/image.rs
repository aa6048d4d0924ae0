//! Pictures on the screen: the one seam between panes and whatever protocol the
//! terminal speaks.
//!
//! A pane says which picture belongs where. Encoding happens in a thread of its
//! own, the visible pictures first; until one is ready its place is held by a
//! quiet block, so that no picture ever stands where another belongs. What was
//! encoded is kept within bounds, what the terminal holds already is not sent
//! again, and a frame sends only as many bytes as it may.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU16,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use fast_image_resize as fir;
use image::{DynamicImage, RgbaImage};
use ratatui::{
    buffer::{Buffer, CellDiffOption},
    layout::{Rect, Size},
    style::{Color, Style},
};
use ratatui_image::protocol::{Protocol, iterm2::Iterm2, kitty::Kitty, sixel::Sixel};

use super::{
    probe::{Capabilities, Graphics},
    terminal::delete_picture,
    theme::{Role, Theme},
};
use crate::model::{id::MediaKey, media::Pixels};

/// Encoded pictures that are kept, by number and by bytes that they take in the
/// terminal (kitty) or here (the others).
const MAX_KEPT: usize = 600;
const MAX_KEPT_BYTES: usize = 64 << 20;

/// The first character of a kitty placeholder.
const PLACEHOLDER: char = '\u{10EEEE}';

/// Kitty ids are `high << 24 | low` with `low` an entry of the 256-color table:
/// 24-bit colors, the usual carrier, are changed on the way by some multiplexers.
const KITTY_LOWS: u32 = 240;
const KITTY_IDS: u32 = KITTY_LOWS * 256;

/// The share of a picture that is shown, in 1/65536 of its width and height: left,
/// top, right, bottom.
pub type Crop = [u32; 4];

/// All of a picture.
pub const WHOLE: Crop = [0, 0, CROP_UNIT, CROP_UNIT];
pub const CROP_UNIT: u32 = 65_536;

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

/// Where in its area a picture stands, if it is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Align {
    Center,
    /// In the middle of the bottom edge, above its caption.
    Bottom,
}

/// How one frame's pictures reach the terminal.
#[derive(Debug, Default)]
pub struct FrameBytes {
    /// Written before the text: pictures that the text refers to.
    pub before: Vec<u8>,
    /// Written after the text: pictures that are drawn over it.
    pub after: Vec<u8>,
    /// The frame may not hold all pictures; another one is wanted soon.
    pub is_partial: bool,
}

/// One encoding: this much of this picture from these pixels at this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id {
    key: MediaKey,
    stamp: u64,
    source: (u32, u32),
    crop: Crop,
    /// Pixels on the screen.
    size: (u32, u32),
    align: Align,
    /// The mask laid over it, and how wide it is.
    mask: Option<(MediaKey, u32)>,
}

#[derive(Debug)]
enum Encoded {
    Kitty {
        id: u32,
        /// What makes the terminal know the picture; gone once it was sent.
        transmit: Option<String>,
        /// The first cell of each row; the others are bare placeholders.
        rows: Vec<String>,
    },
    /// Drawn over the text at its place: sixel and iTerm2.
    Direct(String),
    /// Upper and lower color of each cell.
    Half(Vec<[Color; 2]>),
    Failed,
}

struct Kept {
    encoded: Encoded,
    weight: usize,
    used: u64,
}

/// The pictures of the screen. Lives on the UI thread.
pub struct Pictures {
    graphics: Graphics,
    encoder: Encoder,
    cell: (u16, u16),
    in_tmux: bool,
    kept: HashMap<Id, Kept>,
    kept_bytes: usize,
    frame: u64,
    budget: usize,
    spent: usize,
    covers: Vec<Rect>,
    /// What is painted over the text, by place: as it was, and as it is becoming.
    painted: HashMap<(u16, u16), Id>,
    painting: HashMap<(u16, u16), Id>,
    wanted: Vec<Job>,
    ahead: Vec<Job>,
    bytes: FrameBytes,
    next_kitty: u32,
    /// The kitty ids that the terminal holds.
    alive: Arc<Mutex<Vec<u32>>>,
    worker: Arc<Worker>,
}

impl Pictures {
    /// Starts the encoding thread. `alive` is told every kitty id that is sent;
    /// `wake` is called from the thread when a picture is ready.
    pub fn new(
        capabilities: &Capabilities,
        theme: &Theme,
        alive: Arc<Mutex<Vec<u32>>>,
        wake: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let encoder = Encoder {
            graphics: capabilities.graphics,
            cell: capabilities.cell,
            in_tmux: capabilities.in_tmux,
            theme: theme.clone(),
        };
        let worker = Arc::new(Worker::default());
        let shared = Arc::clone(&worker);
        thread::Builder::new()
            .name("pictures".to_owned())
            .spawn(move || shared.run(&wake))?;
        Ok(Self {
            graphics: capabilities.graphics,
            cell: capabilities.cell,
            in_tmux: capabilities.in_tmux,
            encoder,
            kept: HashMap::new(),
            kept_bytes: 0,
            frame: 0,
            budget: usize::MAX,
            spent: 0,
            covers: Vec::new(),
            painted: HashMap::new(),
            painting: HashMap::new(),
            wanted: Vec::new(),
            ahead: Vec::new(),
            bytes: FrameBytes::default(),
            next_kitty: std::process::id().wrapping_mul(977) % KITTY_IDS,
            alive,
            worker,
        })
    }

    pub fn graphics(&self) -> Graphics {
        self.graphics
    }

    /// The size of a cell in pixels.
    pub fn cell(&self) -> (u16, u16) {
        self.cell
    }

    /// Begins a frame that may send about so many bytes of pictures, with the areas
    /// that lie on top of the panes. At least one new picture is sent whatever the
    /// budget, so that every frame gets further.
    pub fn begin_frame(&mut self, budget: usize, covers: Vec<Rect>) {
        self.frame += 1;
        self.budget = budget;
        self.spent = 0;
        self.covers = covers;
        self.wanted.clear();
        self.ahead.clear();
        self.bytes = FrameBytes::default();
        let done = std::mem::take(&mut self.worker.lock().done);
        for (job, encoded) in done {
            self.keep(&job, encoded);
        }
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
        let size = fit(natural(picture), self.area_px(area), self.graphics);
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
            block(buffer, area, theme.style(Role::Placeholder));
            return area;
        };
        let id = Id {
            key: picture.key,
            stamp: picture.stamp,
            source: (pixels.width, pixels.height),
            crop,
            size,
            align,
            mask: picture.mask.map(|mask| (mask.key, mask.pixels.width)),
        };
        let paints = matches!(self.graphics, Graphics::Sixel | Graphics::Iterm2);
        let is_covered = paints && self.covers.iter().any(|cover| cover.intersects(area));
        if self.graphics == Graphics::None || is_covered {
            half_blocks(buffer, area, pixels, crop, theme);
            return area;
        }
        if !self.kept.contains_key(&id) {
            self.wanted.push(Job {
                id,
                pixels: Arc::clone(pixels),
                mask: picture.mask.map(|mask| Arc::clone(mask.pixels)),
                cells: area.as_size(),
                kitty: 0,
                encoder: self.encoder.clone(),
            });
        }
        // Until it is ready, the same picture from other pixels will do.
        let other = self.other_source(&id);
        if self.show(buffer, area, &id) {
            if let Some(coarser) = other.filter(|other| other.source.0 < id.source.0) {
                self.remove(&coarser);
            }
            return area;
        }
        if other.is_some_and(|other| self.show(buffer, area, &other)) {
            return area;
        }
        if u32::from(area.width) * u32::from(area.height) > 1200 {
            half_blocks(buffer, area, pixels, crop, theme);
        } else {
            block(buffer, area, Style::new().bg(theme.color(mean(pixels))));
        }
        area
    }

    /// Has a picture encoded that will be needed soon, after all that is visible.
    pub fn prepare(&mut self, area: Rect, picture: &Picture, align: Align) {
        let Some(pixels) = picture.pixels else { return };
        let size = fit(natural(picture), self.area_px(area), self.graphics);
        let id = Id {
            key: picture.key,
            stamp: picture.stamp,
            source: (pixels.width, pixels.height),
            crop: WHOLE,
            size,
            align,
            mask: None,
        };
        if self.graphics != Graphics::None && !self.kept.contains_key(&id) {
            self.ahead.push(Job {
                id,
                pixels: Arc::clone(pixels),
                mask: None,
                cells: self.cells(size),
                kitty: 0,
                encoder: self.encoder.clone(),
            });
        }
    }

    /// Ends the frame: gives the bytes to send and hands the missing pictures to
    /// the thread, in place of those that were missing before.
    pub fn end_frame(&mut self) -> FrameBytes {
        self.painted = std::mem::take(&mut self.painting);
        self.evict();
        let mut jobs: VecDeque<Job> = self.wanted.drain(..).chain(self.ahead.drain(..)).collect();
        for job in &mut jobs {
            self.next_kitty = (self.next_kitty + 1) % KITTY_IDS;
            job.kitty = (self.next_kitty / KITTY_LOWS) << 24 | (16 + self.next_kitty % KITTY_LOWS);
        }
        if self.graphics != Graphics::None {
            self.worker.replace(jobs);
        }
        std::mem::take(&mut self.bytes)
    }

    /// The terminal may have lost every picture: after a resize, a suspension, or
    /// when the user asks for a redraw.
    pub fn forget_sent(&mut self, capabilities: &Capabilities, theme: &Theme) {
        self.cell = capabilities.cell;
        self.encoder.cell = capabilities.cell;
        self.encoder.theme = theme.clone();
        self.painted.clear();
        let ids: Vec<Id> = self.kept.keys().copied().collect();
        for id in ids {
            self.remove(&id);
        }
    }

    /// The pixels of an area of cells.
    pub fn area_px(&self, area: Rect) -> (u32, u32) {
        (
            u32::from(area.width) * u32::from(self.cell.0),
            u32::from(area.height) * u32::from(self.cell.1),
        )
    }

    /// The cells that so many pixels need.
    fn cells(&self, (width, height): (u32, u32)) -> Size {
        let cells = |px: u32, cell: u16| {
            u16::try_from(px.div_ceil(u32::from(cell.max(1))))
                .unwrap_or(u16::MAX)
                .max(1)
        };
        Size::new(cells(width, self.cell.0), cells(height, self.cell.1))
    }

    /// Another encoding of the same part at the same size.
    fn other_source(&self, id: &Id) -> Option<Id> {
        self.kept
            .keys()
            .filter(|known| {
                known.source != id.source
                    && Id {
                        source: id.source,
                        ..**known
                    } == *id
            })
            .max_by_key(|known| known.source.0)
            .copied()
    }

    /// Puts an encoded picture into the frame, unless the frame is full.
    fn show(&mut self, buffer: &mut Buffer, area: Rect, id: &Id) -> bool {
        let Some(kept) = self.kept.get_mut(id) else {
            return false;
        };
        kept.used = self.frame;
        match &mut kept.encoded {
            Encoded::Kitty { id, transmit, rows } => {
                if let Some(bytes) = transmit {
                    if self.spent > 0 && self.spent + bytes.len() > self.budget {
                        self.bytes.is_partial = true;
                        return false;
                    }
                    self.spent += bytes.len();
                    self.bytes.before.extend_from_slice(bytes.as_bytes());
                    *transmit = None;
                    self.alive
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(*id);
                }
                placeholders(buffer, area, *id, rows);
            }
            Encoded::Direct(data) => {
                let place = (area.x, area.y);
                if self.painted.get(&place) != Some(id) {
                    if self.spent > 0 && self.spent + data.len() > self.budget {
                        self.bytes.is_partial = true;
                        return false;
                    }
                    self.spent += data.len();
                    // Each clears its cells first, to the color that is set.
                    let ground = self.encoder.theme.background_sequence();
                    let move_to = format!("\x1b[{};{}H{ground}", area.y + 1, area.x + 1);
                    self.bytes.after.extend_from_slice(move_to.as_bytes());
                    self.bytes.after.extend_from_slice(data.as_bytes());
                }
                self.painting.insert(place, *id);
                for position in area.positions() {
                    buffer[position].reset();
                    buffer[position].set_diff_option(CellDiffOption::Skip);
                }
            }
            Encoded::Half(colors) => {
                for (position, [upper, lower]) in area.positions().zip(colors) {
                    buffer[position]
                        .set_symbol("▀")
                        .set_fg(*upper)
                        .set_bg(*lower);
                }
            }
            Encoded::Failed => return false,
        }
        true
    }

    fn keep(&mut self, job: &Job, encoded: Encoded) {
        let weight = match &encoded {
            Encoded::Kitty { .. } => {
                let (width, height) = job.encoder.canvas(job.cells);
                usize::try_from(width).unwrap_or(0) * usize::try_from(height).unwrap_or(0) * 4
            }
            Encoded::Direct(data) => data.len(),
            Encoded::Half(colors) => colors.len() * size_of::<[Color; 2]>(),
            Encoded::Failed => 0,
        };
        self.remove(&job.id);
        self.kept_bytes += weight;
        self.kept.insert(
            job.id,
            Kept {
                encoded,
                weight,
                used: self.frame,
            },
        );
    }

    fn remove(&mut self, id: &Id) {
        let Some(kept) = self.kept.remove(id) else {
            return;
        };
        self.kept_bytes -= kept.weight;
        if let Encoded::Kitty {
            id, transmit: None, ..
        } = kept.encoded
        {
            self.bytes
                .before
                .extend(delete_picture(id, self.in_tmux).as_bytes());
            self.alive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|alive| *alive != id);
        }
    }

    /// Lets go of what was not shown for longest, never of what this frame shows.
    fn evict(&mut self) {
        while self.kept.len() > MAX_KEPT || self.kept_bytes > MAX_KEPT_BYTES {
            let oldest = self
                .kept
                .iter()
                .filter(|(_, kept)| kept.used < self.frame)
                .min_by_key(|(_, kept)| kept.used)
                .map(|(id, _)| *id);
            match oldest {
                Some(id) => self.remove(&id),
                None => break,
            }
        }
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.worker.lock().is_stopped = true;
        self.worker.bell.notify_all();
    }
}

/// The size of the original, or of the pixels when it is unknown.
fn natural(picture: &Picture) -> (u32, u32) {
    match (picture.natural, picture.pixels) {
        ((0, _) | (_, 0), Some(pixels)) => (pixels.width, pixels.height),
        (natural, _) => natural,
    }
}

/// The largest size within `area` that keeps the shape. Pictures are not enlarged,
/// except tiny ones by a whole factor; half-blocks are too coarse for such care.
pub fn fit(natural: (u32, u32), area: (u32, u32), graphics: Graphics) -> (u32, u32) {
    let (width, height) = (u64::from(natural.0), u64::from(natural.1));
    let (area_width, area_height) = (u64::from(area.0), u64::from(area.1));
    if width == 0 || height == 0 {
        return area;
    }
    let fits = width <= area_width && height <= area_height;
    let (width, height) = if fits && graphics != Graphics::Halfblocks {
        let room = (area_width / width).min(area_height / height);
        let factor = if width.max(height) <= 64 {
            room.clamp(1, 4)
        } else {
            1
        };
        (width * factor, height * factor)
    } else if width * area_height > height * area_width {
        (area_width, (height * area_width / width).max(1))
    } else {
        ((width * area_height / height).max(1), area_height)
    };
    let side = |px: u64| u32::try_from(px).unwrap_or(u32::MAX);
    (side(width), side(height))
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

fn block(buffer: &mut Buffer, area: Rect, style: Style) {
    for position in area.positions() {
        buffer[position].reset();
        buffer[position].set_symbol(" ").set_style(style);
    }
}

/// The cells that stand for a kitty picture.
fn placeholders(buffer: &mut Buffer, area: Rect, id: u32, rows: &[String]) {
    let Ok(color) = u8::try_from(id & 0xff) else {
        return;
    };
    let bare = PLACEHOLDER.to_string();
    for (y, first) in (area.top()..area.bottom()).zip(rows) {
        for x in area.left()..area.right() {
            let symbol = if x == area.x { first } else { &bare };
            let cell = &mut buffer[(x, y)];
            // What shows through the picture is the pane it stands on.
            let ground = cell.bg;
            cell.reset();
            cell.set_symbol(symbol)
                .set_fg(Color::Indexed(color))
                .set_bg(ground)
                .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
        }
    }
}

/// Draws two pixels a cell straight from the picture, coarse and quick.
fn half_blocks(buffer: &mut Buffer, area: Rect, pixels: &Pixels, crop: Crop, theme: &Theme) {
    let (columns, rows) = (u32::from(area.width), u32::from(area.height) * 2);
    let ground = theme.background();
    let ground = backing(pixels, ground).unwrap_or(ground);
    let at = |column: u32, row: u32| {
        let scale = |i: u32, of: u32, from: u32, to: u32, side: u32| {
            let share = u64::from(from)
                + u64::from(to - from) * (2 * u64::from(i) + 1) / (2 * u64::from(of));
            let px = share * u64::from(side) / u64::from(CROP_UNIT);
            u32::try_from(px).unwrap_or(0).min(side.saturating_sub(1))
        };
        let x = scale(column, columns, crop[0], crop[2], pixels.width);
        let y = scale(row, rows, crop[1], crop[3], pixels.height);
        over(pixel(pixels, x, y), ground)
    };
    for position in area.positions() {
        let (column, row) = (
            u32::from(position.x - area.x),
            u32::from(position.y - area.y) * 2,
        );
        let cell = &mut buffer[position];
        cell.reset();
        if theme.is_monochrome() {
            cell.set_char(shade(at(column, row), at(column, row + 1)));
            continue;
        }
        cell.set_symbol("▀")
            .set_fg(theme.color(at(column, row)))
            .set_bg(theme.color(at(column, row + 1)));
    }
}

/// A character about as light as two pixels, for terminals without colors.
fn shade(upper: (u8, u8, u8), lower: (u8, u8, u8)) -> char {
    const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
    let luminance =
        |(r, g, b): (u8, u8, u8)| u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114;
    let mean = (luminance(upper) + luminance(lower)) / 2000;
    usize::try_from(mean * 10 / 256).map_or(' ', |step| RAMP[step.min(9)])
}

fn pixel(pixels: &Pixels, x: u32, y: u32) -> [u8; 4] {
    let at = (y as usize * pixels.width as usize + x as usize) * 4;
    match pixels.rgba.get(at..at + 4) {
        Some(&[red, green, blue, alpha]) => [red, green, blue, alpha],
        _ => [0; 4],
    }
}

/// A pixel laid on a ground.
fn over([r, g, b, a]: [u8; 4], ground: (u8, u8, u8)) -> (u8, u8, u8) {
    let mix = |top: u8, ground: u8| {
        let sum = u32::from(top) * u32::from(a) + u32::from(ground) * (255 - u32::from(a));
        u8::try_from(sum / 255).unwrap_or(255)
    };
    (mix(r, ground.0), mix(g, ground.1), mix(b, ground.2))
}

/// The mean color, from a few pixels.
pub fn mean(pixels: &Pixels) -> (u8, u8, u8) {
    const STEPS: u32 = 16;
    let mut sums = [0u32; 4];
    for y in 0..STEPS {
        for x in 0..STEPS {
            let at = |i: u32, side: u32| (2 * i + 1) * side / (2 * STEPS);
            let [r, g, b, a] = pixel(pixels, at(x, pixels.width), at(y, pixels.height));
            let alpha = u32::from(a);
            for (sum, channel) in sums.iter_mut().zip([r, g, b]) {
                *sum += u32::from(channel) * alpha;
            }
            sums[3] += alpha;
        }
    }
    let share = |sum: u32| u8::try_from(sum / sums[3].max(1)).unwrap_or(255);
    (share(sums[0]), share(sums[1]), share(sums[2]))
}

struct Job {
    id: Id,
    pixels: Arc<Pixels>,
    mask: Option<Arc<Pixels>>,
    cells: Size,
    /// The id it gets if the protocol is kitty's.
    kitty: u32,
    encoder: Encoder,
}

/// What the thread and the screen share.
#[derive(Default)]
struct Worker {
    state: Mutex<WorkerState>,
    bell: Condvar,
}

#[derive(Default)]
struct WorkerState {
    jobs: VecDeque<Job>,
    running: Option<Id>,
    done: Vec<(Job, Encoded)>,
    is_stopped: bool,
}

impl Worker {
    fn lock(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs from now on; those not begun are dropped.
    fn replace(&self, mut jobs: VecDeque<Job>) {
        let mut state = self.lock();
        jobs.retain(|job| {
            state.running != Some(job.id) && !state.done.iter().any(|(done, _)| done.id == job.id)
        });
        state.jobs = jobs;
        drop(state);
        self.bell.notify_one();
    }

    fn run(&self, wake: &dyn Fn()) {
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return;
            }
            let Some(job) = state.jobs.pop_front() else {
                state.running = None;
                state = self
                    .bell
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.running = Some(job.id);
            drop(state);
            let encode = std::panic::AssertUnwindSafe(|| job.encoder.encode(&job));
            let encoded = std::panic::catch_unwind(encode)
                .ok()
                .flatten()
                .unwrap_or_else(|| {
                    tracing::warn!("cannot encode picture {:?} for the screen", job.id);
                    Encoded::Failed
                });
            state = self.lock();
            state.running = None;
            state.done.push((job, encoded));
            wake();
        }
    }
}

/// Turns pixels into what the terminal reads.
#[derive(Clone)]
struct Encoder {
    graphics: Graphics,
    cell: (u16, u16),
    in_tmux: bool,
    theme: Theme,
}

impl Encoder {
    /// The pixels of the whole cells that a picture covers.
    fn canvas(&self, cells: Size) -> (u32, u32) {
        match self.graphics {
            Graphics::Halfblocks | Graphics::None => {
                (u32::from(cells.width), u32::from(cells.height) * 2)
            }
            _ => (
                u32::from(cells.width) * u32::from(self.cell.0),
                u32::from(cells.height) * u32::from(self.cell.1),
            ),
        }
    }

    fn encode(&self, job: &Job) -> Option<Encoded> {
        let (width, height) = self.canvas(job.cells);
        let size = match self.graphics {
            Graphics::Halfblocks | Graphics::None => (width, height),
            _ => (job.id.size.0.min(width), job.id.size.1.min(height)),
        };
        let mut scaled = scale(&job.pixels, job.id.crop, size)?;
        if let Some(mask) = &job.mask {
            lay_mask(&mut scaled, &scale(mask, job.id.crop, size)?);
        }
        let ground = match self.graphics {
            Graphics::Kitty | Graphics::Iterm2 => Ground::None,
            // Sixel knows no half transparent pixel, but its colors are too coarse to
            // hit the background: what is quite transparent stays so.
            Graphics::Sixel => Ground::WithHoles(self.theme.background()),
            Graphics::Halfblocks | Graphics::None => Ground::Solid(self.theme.background()),
        };
        let backing = backing(&job.pixels, self.theme.background());
        let picture = pad(&scaled, (width, height), job.id.align, ground, backing);
        Some(match self.graphics {
            Graphics::Kitty => self.kitty(picture, job.cells, job.kitty)?,
            Graphics::Sixel => {
                let picture = DynamicImage::ImageRgba8(picture);
                Encoded::Direct(Sixel::new(picture, job.cells, self.in_tmux).ok()?.data)
            }
            Graphics::Iterm2 => {
                let picture = DynamicImage::ImageRgba8(picture);
                Encoded::Direct(Iterm2::new(picture, job.cells, self.in_tmux).ok()?.data)
            }
            Graphics::Halfblocks | Graphics::None => {
                let at = |x: u32, y: u32| {
                    let [r, g, b, _] = picture.get_pixel(x, y).0;
                    self.theme.color((r, g, b))
                };
                let colors = (0..height / 2)
                    .flat_map(|y| (0..width).map(move |x| (x, y)))
                    .map(|(x, y)| [at(x, 2 * y), at(x, 2 * y + 1)])
                    .collect();
                Encoded::Half(colors)
            }
        })
    }

    /// The library draws the transmission and the placeholders into cells; here
    /// they are taken apart, because they go different ways and at different times.
    fn kitty(&self, picture: RgbaImage, cells: Size, id: u32) -> Option<Encoded> {
        let picture = DynamicImage::ImageRgba8(picture);
        let kitty = Protocol::Kitty(Kitty::new(picture, cells, id, self.in_tmux, true).ok()?);
        let area = Rect::from((ratatui::layout::Position::ORIGIN, cells));
        let mut buffer = Buffer::empty(area);
        ratatui::widgets::Widget::render(ratatui_image::Image::new(&kitty), area, &mut buffer);
        let first = buffer.cell((0, 0))?.symbol();
        let transmit = first[..first.find(PLACEHOLDER)?].to_owned();
        let rows = (0..cells.height)
            .map(|y| {
                let symbol = buffer[(0, y)].symbol();
                symbol[symbol.find(PLACEHOLDER).unwrap_or(0)..].to_owned()
            })
            .collect();
        Some(Encoded::Kitty {
            id,
            transmit: Some(transmit),
            rows,
        })
    }
}

/// A part of a picture at another size; `None` when the pixels are not what they
/// say they are.
fn scale(pixels: &Pixels, crop: Crop, (width, height): (u32, u32)) -> Option<RgbaImage> {
    let source = fir::images::ImageRef::new(
        pixels.width,
        pixels.height,
        &pixels.rgba,
        fir::PixelType::U8x4,
    )
    .ok()?;
    let mut scaled = fir::images::Image::new(width.max(1), height.max(1), fir::PixelType::U8x4);
    let side = |part: u32, side: u32| f64::from(part) * f64::from(side) / f64::from(CROP_UNIT);
    let (left, top) = (side(crop[0], pixels.width), side(crop[1], pixels.height));
    let (right, bottom) = (side(crop[2], pixels.width), side(crop[3], pixels.height));
    let (part_width, part_height) = ((right - left).max(1.0), (bottom - top).max(1.0));
    let grows = f64::from(width) >= 2.0 * part_width && part_width.max(part_height) <= 64.0;
    let algorithm = if grows {
        fir::ResizeAlg::Nearest
    } else {
        fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom)
    };
    let options = fir::ResizeOptions::new().resize_alg(algorithm).crop(
        left.min(f64::from(pixels.width) - part_width).max(0.0),
        top.min(f64::from(pixels.height) - part_height).max(0.0),
        part_width,
        part_height,
    );
    fir::Resizer::new()
        .resize(&source, &mut scaled, &options)
        .ok()?;
    RgbaImage::from_raw(width.max(1), height.max(1), scaled.into_vec())
}

/// Lays a mask of the same size over a picture: what it marks is tinted, so that
/// what is below stays visible.
fn lay_mask(picture: &mut RgbaImage, mask: &RgbaImage) {
    const TINT: [u8; 3] = [255, 48, 96];
    for (pixel, mask) in picture.pixels_mut().zip(mask.pixels()) {
        let [r, g, b, a] = mask.0.map(u32::from);
        // Of 255 * 255; a little more than half of it at most.
        let share = (r * 299 + g * 587 + b * 114) / 1000 * a * 11 / 20;
        for (channel, tint) in pixel.0.iter_mut().zip(TINT) {
            let sum = u32::from(tint) * share + u32::from(*channel) * (255 * 255 - share);
            *channel = u8::try_from(sum / (255 * 255)).unwrap_or(255);
        }
        let opaque = u8::try_from(share / 255).unwrap_or(255);
        pixel.0[3] = pixel.0[3].max(opaque);
    }
}

fn solid(pixel: [u8; 4], ground: (u8, u8, u8)) -> [u8; 4] {
    let (r, g, b) = over(pixel, ground);
    [r, g, b, 255]
}

/// A ground for a transparent picture that could not be told from the screen's
/// own: black ink on a dark theme, white ink on a light one.
fn backing(pixels: &Pixels, ground: (u8, u8, u8)) -> Option<(u8, u8, u8)> {
    const LIGHT: (u8, u8, u8) = (200, 202, 206);
    const DARK: (u8, u8, u8) = (56, 60, 68);
    let luminance = |(r, g, b): (u8, u8, u8)| {
        (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000
    };
    let steps = 16;
    let samples = (0..steps * steps).map(|i| {
        let at = |i: u32, side: u32| (2 * i + 1) * side / (2 * steps);
        pixel(
            pixels,
            at(i % steps, pixels.width),
            at(i / steps, pixels.height),
        )
    });
    let clear = samples.filter(|pixel| pixel[3] < 128).count();
    let is_alike = luminance(mean(pixels)).abs_diff(luminance(ground)) < 32;
    (clear > 12 && is_alike).then_some(if luminance(ground) < 128 { LIGHT } else { DARK })
}

/// What a picture with transparent pixels is laid on.
#[derive(Clone, Copy)]
enum Ground {
    None,
    WithHoles((u8, u8, u8)),
    Solid((u8, u8, u8)),
}

/// Lays the picture on a canvas of whole cells, and on a backing of its own first.
fn pad(
    picture: &RgbaImage,
    (width, height): (u32, u32),
    align: Align,
    ground: Ground,
    backing: Option<(u8, u8, u8)>,
) -> RgbaImage {
    let laid = |pixel: [u8; 4]| match ground {
        Ground::None => pixel,
        Ground::WithHoles(_) if pixel[3] < 16 => [0; 4],
        Ground::WithHoles(ground) | Ground::Solid(ground) => solid(pixel, ground),
    };
    let mut canvas = RgbaImage::from_pixel(width, height, image::Rgba(laid([0; 4])));
    let left = (width - picture.width().min(width)) / 2;
    let down = height - picture.height().min(height);
    let top = match align {
        Align::Center => down / 2,
        Align::Bottom => down,
    };
    for (x, y, pixel) in picture.enumerate_pixels() {
        if let Some(target) = canvas.get_pixel_mut_checked(left + x, top + y) {
            target.0 = match backing {
                Some(backing) => solid(pixel.0, backing),
                None => laid(pixel.0),
            };
        }
    }
    canvas
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::tui::probe::{self, Environment, Replies, Window};

    struct Screen {
        pictures: Pictures,
        theme: Theme,
        ready: mpsc::Receiver<()>,
        alive: Arc<Mutex<Vec<u32>>>,
        capabilities: Capabilities,
    }

    fn screen(graphics: Graphics) -> Screen {
        let environment = Environment {
            colorterm: "truecolor".to_owned(),
            is_utf8: true,
            ..Environment::default()
        };
        let capabilities = probe::decide(
            &Replies::default(),
            &environment,
            Window::default(),
            Some(graphics),
        );
        let (theme, _) = Theme::load("dark", None, capabilities.colors);
        let alive = Arc::<Mutex<Vec<u32>>>::default();
        let (wake, ready) = mpsc::channel();
        let pictures = Pictures::new(&capabilities, &theme, Arc::clone(&alive), move || {
            let _ = wake.send(());
        })
        .unwrap();
        Screen {
            pictures,
            theme,
            ready,
            alive,
            capabilities,
        }
    }

    impl Screen {
        /// Draws pictures side by side in 8x4 cells each, and gives what is sent.
        fn frame(
            &mut self,
            budget: usize,
            covers: Vec<Rect>,
            pictures: &[(u32, &Arc<Pixels>)],
        ) -> (Buffer, FrameBytes) {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 10));
            self.pictures.begin_frame(budget, covers);
            for (place, (key, pixels)) in (0..).zip(pictures) {
                let picture = Picture {
                    key: MediaKey(*key),
                    stamp: 0,
                    natural: (pixels.width, pixels.height),
                    pixels: Some(pixels),
                    mask: None,
                };
                let area = Rect::new(place * 10, 1, 8, 4);
                self.pictures
                    .draw(&mut buffer, area, &picture, Align::Center, &self.theme);
            }
            let bytes = self.pictures.end_frame();
            (buffer, bytes)
        }

        fn wait(&self, pictures: usize) {
            for _ in 0..pictures {
                self.ready
                    .recv_timeout(std::time::Duration::from_mins(1))
                    .unwrap();
            }
        }
    }

    fn pixels(width: u32, height: u32, color: [u8; 4]) -> Arc<Pixels> {
        Arc::new(Pixels {
            width,
            height,
            rgba: color.repeat((width * height) as usize),
        })
    }

    #[test]
    fn pictures_keep_their_shape() {
        for (natural, area, expected) in [
            ((400, 200), (100, 100), (100, 50)),
            ((200, 400), (100, 100), (50, 100)),
            ((100, 50), (400, 400), (100, 50)),
            ((16, 16), (400, 400), (64, 64)),
            ((64, 1), (400, 400), (256, 4)),
            ((65_535, 1), (100, 100), (100, 1)),
            ((0, 0), (100, 50), (100, 50)),
        ] {
            assert_eq!(fit(natural, area, Graphics::Kitty), expected, "{natural:?}");
        }
        assert_eq!(fit((10, 10), (100, 50), Graphics::Halfblocks), (50, 50));
    }

    #[test]
    fn a_place_is_held_until_the_picture_is_ready() {
        let mut screen = screen(Graphics::Halfblocks);
        let red = pixels(80, 80, [200, 0, 0, 255]);
        let (buffer, _) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert_eq!(buffer[(1, 1)].symbol(), " ");
        assert_eq!(buffer[(1, 1)].bg, Color::Rgb(200, 0, 0));
        screen.wait(1);
        let (buffer, _) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert_eq!(buffer[(1, 1)].symbol(), "▀");
        assert_eq!(buffer[(1, 1)].fg, Color::Rgb(200, 0, 0));
        assert!(screen.pictures.worker.lock().jobs.is_empty());
    }

    #[test]
    fn kitty_pictures_are_sent_once_and_deleted_when_forgotten() {
        let mut screen = screen(Graphics::Kitty);
        let red = pixels(80, 80, [200, 0, 0, 255]);
        screen.frame(usize::MAX, vec![], &[(1, &red)]);
        screen.wait(1);
        let (buffer, bytes) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert!(bytes.before.starts_with(b"\x1b_G") && bytes.after.is_empty());
        assert!(buffer[(0, 1)].symbol().starts_with(PLACEHOLDER));
        assert_eq!(buffer[(1, 1)].symbol(), PLACEHOLDER.to_string());
        let ids = screen.alive.lock().unwrap().clone();
        assert_eq!(ids.len(), 1);
        assert_eq!(buffer[(0, 1)].fg, Color::Indexed((ids[0] & 0xff) as u8));
        // At another place it is the same picture: nothing is sent.
        let (_, bytes) = screen.frame(usize::MAX, vec![], &[(1, &red), (1, &red)]);
        assert!(bytes.before.is_empty());
        let capabilities = screen.capabilities.clone();
        screen.pictures.begin_frame(0, vec![]);
        screen.pictures.forget_sent(&capabilities, &screen.theme);
        let bytes = screen.pictures.end_frame();
        assert_eq!(bytes.before, delete_picture(ids[0], false).into_bytes());
        assert!(screen.alive.lock().unwrap().is_empty());
    }

    #[test]
    fn a_frame_sends_no_more_than_it_may_but_gets_further() {
        let mut screen = screen(Graphics::Kitty);
        let red = pixels(80, 80, [200, 0, 0, 255]);
        let three = [(1, &red), (2, &red), (3, &red)];
        screen.frame(usize::MAX, vec![], &three);
        screen.wait(3);
        for (sent, is_partial) in [(1, true), (2, true), (3, false)] {
            let (_, bytes) = screen.frame(1, vec![], &three);
            assert_eq!(screen.alive.lock().unwrap().len(), sent);
            assert_eq!(bytes.is_partial, is_partial);
        }
    }

    #[test]
    fn sixel_is_painted_when_it_is_new_or_was_covered() {
        let mut screen = screen(Graphics::Sixel);
        let red = pixels(80, 80, [200, 0, 0, 255]);
        screen.frame(usize::MAX, vec![], &[(1, &red)]);
        screen.wait(1);
        let (buffer, bytes) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert!(bytes.after.starts_with(b"\x1b[2;1H"));
        assert_eq!(buffer[(0, 1)].diff_option, CellDiffOption::Skip);
        let (_, bytes) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert!(bytes.after.is_empty());
        let (buffer, bytes) = screen.frame(usize::MAX, vec![Rect::new(3, 3, 20, 3)], &[(1, &red)]);
        assert!(bytes.after.is_empty());
        assert_eq!(buffer[(0, 1)].symbol(), "▀");
        let (_, bytes) = screen.frame(usize::MAX, vec![], &[(1, &red)]);
        assert!(!bytes.after.is_empty());
    }

    #[test]
    fn broken_pixels_hold_a_place_and_nothing_else() {
        let mut screen = screen(Graphics::Kitty);
        let broken = Arc::new(Pixels {
            width: 100,
            height: 100,
            rgba: vec![1; 10],
        });
        screen.frame(usize::MAX, vec![], &[(1, &broken)]);
        screen.wait(1);
        let (_, bytes) = screen.frame(usize::MAX, vec![], &[(1, &broken)]);
        assert!(bytes.before.is_empty());
        assert!(screen.pictures.worker.lock().jobs.is_empty());
    }

    #[test]
    fn ink_like_the_background_gets_a_ground_of_its_own() {
        let dark = (20, 22, 26);
        let mut line_art = vec![0; 64 * 64 * 4];
        for pixel in line_art.chunks_exact_mut(4).step_by(5) {
            pixel.copy_from_slice(&[0, 0, 0, 255]);
        }
        let line_art = Pixels {
            width: 64,
            height: 64,
            rgba: line_art,
        };
        assert!(backing(&line_art, dark).is_some_and(|(r, ..)| r > 128));
        assert_eq!(backing(&line_art, (250, 250, 250)), None);
        assert_eq!(backing(&pixels(64, 64, [0, 0, 0, 255]), dark), None);
    }

    #[test]
    fn a_mask_tints_what_it_marks_and_nothing_else() {
        let mut picture = RgbaImage::from_pixel(2, 1, image::Rgba([100, 100, 100, 255]));
        let mut mask = RgbaImage::from_pixel(2, 1, image::Rgba([0, 0, 0, 255]));
        mask.put_pixel(1, 0, image::Rgba([255, 255, 255, 255]));
        lay_mask(&mut picture, &mask);
        assert_eq!(picture.get_pixel(0, 0).0, [100, 100, 100, 255]);
        let [r, g, b, a] = picture.get_pixel(1, 0).0;
        assert!(r > 150 && g < 80 && b < 110 && a == 255, "{r} {g} {b} {a}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut screen = screen(Graphics::Halfblocks);
        let red = pixels(8, 8, [200, 0, 0, 255]);
        for first in (0..1000).step_by(4) {
            let four: Vec<_> = (first..first + 4).map(|key| (key, &red)).collect();
            screen.frame(usize::MAX, vec![], &four);
            screen.wait(4);
        }
        screen.frame(usize::MAX, vec![], &[]);
        assert!(screen.pictures.kept.len() <= MAX_KEPT);
    }
}
