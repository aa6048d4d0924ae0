//! From pixels to the bytes of a protocol, in threads of its own, the most wanted
//! first. What nobody wants any more is not begun.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use ratatui::{layout::Size, style::Color};

use super::{
    iterm2, kitty,
    raster::{
        Align, CROP_UNIT, Crop, Ground, Outline, TINY, WHOLE, backing, lay_mask, outline, pad,
        scale,
    },
    sixel,
};
use crate::{
    app::pictures::Payloads,
    model::{id::MediaKey, media::Pixels},
    tui::{probe::Graphics, theme::Theme},
};

/// Two: one may be busy with a large picture while the other serves the rest.
const THREADS: usize = 2;
/// The longest side of what is kept on disk.
const KEPT_SIDE: u32 = 512;

/// How many bytes a picture is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// Half the size and few colors; the terminal enlarges it.
    Preview,
    /// What cannot be told from the original at the size of a thumbnail.
    Balanced,
    /// Every pixel as it is.
    Lossless,
}

impl Quality {
    /// How many colors there may be; `None` for all.
    pub fn colors(self) -> Option<u16> {
        match self {
            Self::Preview => Some(64),
            Self::Balanced => Some(256),
            Self::Lossless => None,
        }
    }
}

/// What of a picture is to be seen, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    pub key: MediaKey,
    /// Changes when the original changes.
    pub stamp: u64,
    pub crop: Crop,
    /// Pixels on the screen.
    pub size: (u32, u32),
    pub align: Align,
    /// The mask laid over it, and how wide it is.
    pub mask: Option<(MediaKey, u32)>,
    /// Of an animation, from 0.
    pub frame: u32,
    /// Tells apart what is drawn over it; 0: nothing.
    pub outlines: u64,
}

/// What is laid over a picture.
#[derive(Default)]
pub struct Over {
    pub mask: Option<Arc<Pixels>>,
    pub outlines: Box<[Outline]>,
}

impl Over {
    fn is_empty(&self) -> bool {
        self.mask.is_none() && self.outlines.is_empty()
    }
}

/// A number for rectangles; 0 for none.
pub fn outlines_hash(outlines: &[Outline]) -> u64 {
    if outlines.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    outlines.hash(&mut hasher);
    hasher.finish().max(1)
}

/// How well it is seen; the greater the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Pixels of a row that differ from each other.
    detail: u32,
    pub quality: Quality,
}

impl Version {
    /// A look made from a picture that is so many pixels wide.
    pub fn new(look: &Look, source_width: u32, quality: Quality) -> Self {
        let part =
            u64::from(source_width) * u64::from(look.crop[2] - look.crop[0]) / u64::from(CROP_UNIT);
        let shown = match quality {
            Quality::Preview => look.size.0 / 2,
            Quality::Balanced | Quality::Lossless => look.size.0,
        };
        Self {
            detail: shown.min(u32::try_from(part).unwrap_or(u32::MAX)),
            quality,
        }
    }
}

/// A part of a picture that is drawn where the cursor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Rows below the top of the picture.
    pub row: u16,
    pub bytes: Vec<u8>,
}

/// An encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// For the kitty protocol.
    Png(Vec<u8>),
    /// Drawn at its place: sixel and iTerm2.
    Strips(Vec<Strip>),
    /// Upper and lower color of each cell.
    Half(Vec<[Color; 2]>),
}

impl Body {
    /// Bytes that it takes here.
    pub fn weight(&self) -> usize {
        match self {
            Self::Png(bytes) => bytes.len(),
            Self::Strips(strips) => strips.iter().map(|strip| strip.bytes.len()).sum(),
            Self::Half(colors) => colors.len() * size_of::<[Color; 2]>(),
        }
    }

    /// As it is kept on disk; what takes no time to make is not kept.
    fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Png(bytes) => Some(bytes.clone()),
            Self::Strips(strips) => {
                let mut bytes = Vec::new();
                for strip in strips {
                    bytes.extend(strip.row.to_le_bytes());
                    bytes.extend(u32::try_from(strip.bytes.len()).ok()?.to_le_bytes());
                    bytes.extend(&strip.bytes);
                }
                Some(bytes)
            }
            Self::Half(_) => None,
        }
    }

    fn from_bytes(graphics: Graphics, bytes: Vec<u8>) -> Option<Self> {
        if matches!(graphics, Graphics::Kitty | Graphics::KittyDirect) {
            return Some(Self::Png(bytes));
        }
        let mut strips = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (row, after) = rest.split_first_chunk()?;
            let (count, after) = after.split_first_chunk()?;
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            let (strip, after) = after.split_at_checked(count)?;
            strips.push(Strip {
                row: u16::from_le_bytes(*row),
                bytes: strip.to_vec(),
            });
            rest = after;
        }
        Some(Self::Strips(strips))
    }
}

/// Turns pixels into what the terminal reads.
#[derive(Clone, PartialEq)]
pub struct Encoder {
    pub graphics: Graphics,
    /// A cell in pixels.
    pub cell: (u16, u16),
    pub theme: Theme,
}

impl Encoder {
    /// The pixels of the whole cells that a picture covers.
    pub fn canvas(&self, cells: Size, quality: Quality) -> (u32, u32) {
        let (columns, rows) = (u32::from(cells.width), u32::from(cells.height));
        let (width, height) = match self.graphics {
            Graphics::Halfblocks | Graphics::None => return (columns, rows * 2),
            _ => (
                columns * u32::from(self.cell.0),
                rows * u32::from(self.cell.1),
            ),
        };
        match quality {
            Quality::Preview => (width.div_ceil(2), height.div_ceil(2)),
            Quality::Balanced | Quality::Lossless => (width, height),
        }
    }

    /// A part that is seen larger than it is goes as it is, and kitty enlarges it: eight
    /// times as large has 64 times the pixels. What is drawn over it would be enlarged
    /// as well, and tiny pictures keep their square pixels.
    fn as_it_is(
        &self,
        job: &Job,
        canvas: (u32, u32),
        size: (u32, u32),
    ) -> ((u32, u32), (u32, u32)) {
        let part = |from: u32, to: u32, side: u32| {
            let share = u64::from(to.saturating_sub(from)) * u64::from(side);
            u32::try_from(share.div_ceil(u64::from(CROP_UNIT))).unwrap_or(u32::MAX)
        };
        let [left, top, right, bottom] = job.look.crop;
        let part = (
            part(left, right, job.pixels.width),
            part(top, bottom, job.pixels.height),
        );
        let is_kitty = matches!(self.graphics, Graphics::Kitty | Graphics::KittyDirect);
        let is_larger = part.0 < size.0 && part.1 < size.1;
        if !is_kitty || !is_larger || part.0.max(part.1) <= TINY || !job.over.is_empty() {
            return (canvas, size);
        }
        let scaled = |side: u32, part: u32, whole: u32| {
            let side = u64::from(side) * u64::from(part) / u64::from(whole.max(1));
            u32::try_from(side).unwrap_or(u32::MAX).max(part)
        };
        let canvas = (
            scaled(canvas.0, part.0, size.0),
            scaled(canvas.1, part.1, size.1),
        );
        (canvas, part)
    }

    fn encode(&self, job: &Job) -> Option<Body> {
        let quality = job.version.quality;
        let canvas = self.canvas(job.cells, quality);
        let size = match (self.graphics, quality) {
            (Graphics::Halfblocks | Graphics::None, _) => canvas,
            (_, Quality::Preview) => (job.look.size.0.div_ceil(2), job.look.size.1.div_ceil(2)),
            _ => job.look.size,
        };
        let size = (size.0.min(canvas.0), size.1.min(canvas.1));
        let (canvas, size) = self.as_it_is(job, canvas, size);
        let mut scaled = scale(&job.pixels, job.look.crop, size)?;
        if let Some(mask) = &job.over.mask {
            lay_mask(&mut scaled, &scale(mask, job.look.crop, size)?);
        }
        for rectangle in &job.over.outlines {
            outline(&mut scaled, job.look.crop, rectangle);
        }
        let background = self.theme.background();
        let ground = match self.graphics {
            Graphics::Kitty | Graphics::KittyDirect if quality == Quality::Lossless => Ground::None,
            // A palette knows no half transparent pixel.
            Graphics::Kitty | Graphics::KittyDirect | Graphics::Sixel => {
                Ground::WithHoles(background)
            }
            Graphics::Iterm2 | Graphics::Halfblocks | Graphics::None => Ground::Solid(background),
        };
        let backing = backing(&job.pixels, background);
        let picture = pad(&scaled, canvas, job.look.align, ground, backing);
        Some(match self.graphics {
            Graphics::Kitty | Graphics::KittyDirect => {
                Body::Png(kitty::payload(&picture, quality)?)
            }
            Graphics::Sixel => Body::Strips(sixel::payload(&picture, quality, self.cell.1)?),
            Graphics::Iterm2 => Body::Strips(iterm2::payload(&picture, quality, job.cells)?),
            Graphics::Halfblocks | Graphics::None => {
                let at = |x: u32, y: u32| {
                    let [r, g, b, _] = picture.get_pixel(x, y).0;
                    self.theme.color((r, g, b))
                };
                let (width, height) = canvas;
                let colors = (0..height / 2)
                    .flat_map(|y| (0..width).map(move |x| (x, y)))
                    .map(|(x, y)| [at(x, 2 * y), at(x, 2 * y + 1)])
                    .collect();
                Body::Half(colors)
            }
        })
    }
}

/// One picture to encode.
pub struct Job {
    pub look: Look,
    pub version: Version,
    pub pixels: Arc<Pixels>,
    pub over: Over,
    pub cells: Size,
    pub encoder: Arc<Encoder>,
}

impl Job {
    fn name(&self) -> (Look, Version) {
        (self.look, self.version)
    }

    /// What its bytes are called on disk: all that they depend on besides the
    /// original. Only whole thumbnails are worth it.
    fn payload_name(&self) -> Option<String> {
        let Look {
            crop,
            size,
            align,
            mask,
            frame,
            outlines,
            ..
        } = self.look;
        let is_changed = mask.is_some() || frame > 0 || outlines > 0;
        if crop != WHOLE || is_changed || size.0.max(size.1) > KEPT_SIDE {
            return None;
        }
        let (width, height) = size;
        let Size {
            width: columns,
            height: rows,
        } = self.cells;
        let (red, green, blue) = self.encoder.theme.background();
        let (cell_width, cell_height) = self.encoder.cell;
        Some(format!(
            "{} {:?} {}px to {width}x{height} in {columns}x{rows} of {cell_width}x{cell_height} \
             {align:?} on {red},{green},{blue} v1",
            self.encoder.graphics.name(),
            self.version.quality,
            self.pixels.width,
        ))
    }

    /// Its bytes, made or as they were made before.
    fn run(&self, payloads: Option<&Payloads>) -> Option<Body> {
        let kept = payloads.zip(self.payload_name());
        if let Some((payloads, name)) = &kept
            && let Some(bytes) = payloads.get(self.look.key, name)
            && let Some(body) = Body::from_bytes(self.encoder.graphics, bytes)
        {
            return Some(body);
        }
        let body = self.encoder.encode(self)?;
        if let Some((payloads, name)) = kept
            && let Some(bytes) = body.to_bytes()
        {
            payloads.put(self.look.key, &name, &bytes);
        }
        Some(body)
    }
}

/// One that is done; without a body when it cannot be.
pub struct Done {
    pub job: Job,
    pub body: Option<Body>,
}

/// The threads that encode, and the list they work on.
#[derive(Default)]
pub struct Workshop {
    state: Mutex<State>,
    bell: Condvar,
    payloads: OnceLock<Payloads>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: Vec<(Look, Version)>,
    done: Vec<Done>,
    is_closed: bool,
}

impl Workshop {
    /// `wake` is called from the threads whenever a picture is ready.
    pub fn open(wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Arc<Self>> {
        let workshop = Arc::new(Self::default());
        let wake = Arc::new(wake);
        for n in 0..THREADS {
            let (own, wake) = (Arc::clone(&workshop), Arc::clone(&wake));
            thread::Builder::new()
                .name(format!("encode-{n}"))
                .spawn(move || own.work(&*wake))?;
        }
        Ok(workshop)
    }

    /// Keeps what is made on disk, and looks there first.
    pub fn keep_in(&self, payloads: Payloads) {
        // A session has one library.
        let _ = self.payloads.set(payloads);
    }

    /// The jobs from now on; those not begun before are dropped.
    pub fn replace(&self, mut jobs: VecDeque<Job>) {
        let mut state = self.lock();
        jobs.retain(|job| {
            let name = job.name();
            !state.running.contains(&name) && state.done.iter().all(|done| done.job.name() != name)
        });
        state.jobs = jobs;
        drop(state);
        self.bell.notify_all();
    }

    /// What became ready since it was asked last.
    pub fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut self.lock().done)
    }

    /// Ends the threads after what they have in hand.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_all();
    }

    /// How many wait to be begun.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, wake: &dyn Fn()) {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return;
            }
            let Some(job) = state.jobs.pop_front() else {
                state = self
                    .bell
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let name = job.name();
            state.running.push(name);
            drop(state);
            let encode = std::panic::AssertUnwindSafe(|| job.run(self.payloads.get()));
            let body = std::panic::catch_unwind(encode).ok().flatten();
            if body.is_none() {
                tracing::warn!("cannot encode picture {:?} for the screen", job.look);
            }
            state = self.lock();
            state.running.retain(|running| *running != name);
            state.done.push(Done { job, body });
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::probe::ColorDepth;

    /// The size of the PNG for a square part of a picture of 1000 x 1000 pixels that
    /// is shown on 40 x 20 cells of 10 x 20.
    fn sent(part: u32, over: Over) -> (u32, u32) {
        let look = Look {
            key: MediaKey(1),
            stamp: 0,
            crop: [0, 0, part, part].map(|px| px * CROP_UNIT / 1000),
            size: (400, 400),
            align: Align::Center,
            mask: None,
            frame: 0,
            outlines: 0,
        };
        let pixels = Arc::new(Pixels {
            width: 1000,
            height: 1000,
            rgba: vec![200; 4_000_000],
        });
        let encoder = Arc::new(Encoder {
            graphics: Graphics::Kitty,
            cell: (10, 20),
            theme: Theme::load("dark", None, ColorDepth::TrueColor).0,
        });
        let job = Job {
            version: Version::new(&look, 1000, Quality::Lossless),
            look,
            pixels,
            over,
            cells: Size::new(40, 20),
            encoder: Arc::clone(&encoder),
        };
        let Some(Body::Png(png)) = encoder.encode(&job) else {
            panic!("no PNG");
        };
        let png = image::load_from_memory(&png).unwrap();
        (png.width(), png.height())
    }

    #[test]
    fn a_part_that_is_enlarged_is_sent_as_it_is() {
        assert_eq!(sent(1000, Over::default()), (400, 400));
        assert_eq!(sent(400, Over::default()), (400, 400));
        assert_eq!(sent(100, Over::default()), (100, 100));
        assert_eq!(sent(50, Over::default()), (400, 400), "pixel art");
        let outlined = Over {
            outlines: Box::new([Outline {
                area: WHOLE,
                color: [9; 3],
            }]),
            ..Over::default()
        };
        assert_eq!(sent(100, outlined), (400, 400), "a thin line stays thin");
    }

    #[test]
    fn what_is_kept_comes_back_and_nonsense_does_not() {
        let strip = |row, text: &str| Strip {
            row,
            bytes: text.as_bytes().to_vec(),
        };
        let body = Body::Strips(vec![strip(0, "first"), strip(3, ""), strip(6, "third")]);
        let bytes = body.to_bytes().unwrap();
        let back = Body::from_bytes(Graphics::Sixel, bytes.clone());
        assert_eq!(back, Some(body));
        for cut in [1, 5, 7, bytes.len() - 1] {
            let cut = bytes[..cut].to_vec();
            assert_eq!(Body::from_bytes(Graphics::Sixel, cut), None);
        }
        let png = Body::Png(vec![1, 2, 3]);
        let bytes = png.to_bytes().unwrap();
        assert_eq!(Body::from_bytes(Graphics::Kitty, bytes), Some(png));
        assert_eq!(Body::Half(Vec::new()).to_bytes(), None);
    }
}
