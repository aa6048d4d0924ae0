//! From pixels to the bytes of a protocol, in threads of its own, the most wanted
//! first. What nobody wants any more is not begun.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use ratatui::{layout::Size, style::Color};

use super::{
    iterm2, kitty,
    raster::{Align, Crop, Ground, backing, lay_mask, pad, scale},
    sixel,
};
use crate::{
    model::{id::MediaKey, media::Pixels},
    tui::{probe::Graphics, theme::Theme},
};

/// Two: one may be busy with a large picture while the other serves the rest.
const THREADS: usize = 2;

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
        let part = u64::from(source_width) * u64::from(look.crop[2] - look.crop[0])
            / u64::from(super::raster::CROP_UNIT);
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

    fn encode(&self, job: &Job) -> Option<Body> {
        let quality = job.version.quality;
        let canvas = self.canvas(job.cells, quality);
        let size = match (self.graphics, quality) {
            (Graphics::Halfblocks | Graphics::None, _) => canvas,
            (_, Quality::Preview) => (job.look.size.0.div_ceil(2), job.look.size.1.div_ceil(2)),
            _ => job.look.size,
        };
        let size = (size.0.min(canvas.0), size.1.min(canvas.1));
        let mut scaled = scale(&job.pixels, job.look.crop, size)?;
        if let Some(mask) = &job.mask {
            lay_mask(&mut scaled, &scale(mask, job.look.crop, size)?);
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
    pub mask: Option<Arc<Pixels>>,
    pub cells: Size,
    pub encoder: Arc<Encoder>,
}

impl Job {
    fn name(&self) -> (Look, Version) {
        (self.look, self.version)
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
            let encode = std::panic::AssertUnwindSafe(|| job.encoder.encode(&job));
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
