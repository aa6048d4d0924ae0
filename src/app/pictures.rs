//! Decoded pictures that arrived, for the screen to draw. Bounded by bytes; what
//! was wanted longest ago goes first.

use std::{collections::HashMap, sync::Arc};

use crate::{
    engine::event::PictureSize,
    model::{id::MediaKey, media::Pixels, text::display_text},
};

// What the screen keeps of the engine; it names the engine nowhere else.
pub use crate::engine::pictures::Payloads;

/// Bytes of pixels that are kept.
const MAX_BYTES: usize = 160 << 20;

/// The pictures.
#[derive(Debug, Default)]
pub struct Pictures {
    held: HashMap<(MediaKey, PictureSize), Held>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Held {
    picture: Picture,
    used: u64,
}

/// How a picture stands.
#[derive(Clone, Debug)]
pub enum Picture {
    Ready(Arc<Pixels>),
    /// Why it cannot be shown; safe to draw.
    Failed(String),
}

impl Pictures {
    /// The picture in this size.
    pub fn get(&self, key: MediaKey, size: PictureSize) -> Option<&Picture> {
        self.held.get(&(key, size)).map(|held| &held.picture)
    }

    /// The pixels to draw when `wanted` may not be there yet: the wanted size, else
    /// the next larger, else the next smaller.
    pub fn best(&self, key: MediaKey, wanted: PictureSize) -> Option<(PictureSize, &Arc<Pixels>)> {
        use PictureSize::{Full, Preview, Thumbnail};
        let order = match wanted {
            Thumbnail => [Thumbnail, Preview, Full],
            Preview => [Preview, Full, Thumbnail],
            Full => [Full, Preview, Thumbnail],
        };
        order
            .into_iter()
            .find_map(|size| match self.get(key, size)? {
                Picture::Ready(pixels) => Some((size, pixels)),
                Picture::Failed(_) => None,
            })
    }

    /// Whether there is anything of a medium, good or bad.
    pub fn holds(&self, key: MediaKey) -> bool {
        let sizes = [
            PictureSize::Thumbnail,
            PictureSize::Preview,
            PictureSize::Full,
        ];
        sizes
            .iter()
            .any(|size| self.held.contains_key(&(key, *size)))
    }

    /// Why the picture in this size cannot be shown.
    pub fn failure(&self, key: MediaKey, size: PictureSize) -> Option<&str> {
        match self.get(key, size)? {
            Picture::Failed(reason) => Some(reason),
            Picture::Ready(_) => None,
        }
    }

    /// Whether an answer for this size came, good or bad. Counts as a use.
    pub fn touch(&mut self, key: MediaKey, size: PictureSize) -> bool {
        self.clock += 1;
        let clock = self.clock;
        match self.held.get_mut(&(key, size)) {
            Some(held) => {
                held.used = clock;
                true
            }
            None => false,
        }
    }

    /// Keeps an answer and drops what was used longest ago beyond the limit.
    pub fn insert(
        &mut self,
        key: MediaKey,
        size: PictureSize,
        outcome: Result<Arc<Pixels>, String>,
    ) {
        self.clock += 1;
        let picture = match outcome {
            Ok(pixels) => Picture::Ready(pixels),
            Err(reason) => Picture::Failed(display_text(&reason).into_owned()),
        };
        self.bytes += picture.bytes();
        let held = Held {
            picture,
            used: self.clock,
        };
        if let Some(old) = self.held.insert((key, size), held) {
            self.bytes -= old.picture.bytes();
        }
        while self.bytes > MAX_BYTES && self.held.len() > 1 {
            let Some(oldest) = self
                .held
                .iter()
                .min_by_key(|(_, held)| held.used)
                .map(|(at, _)| *at)
            else {
                break;
            };
            self.remove(oldest);
        }
    }

    /// Forgets everything about a medium: its original changed or is gone.
    pub fn forget(&mut self, key: MediaKey) {
        for size in [
            PictureSize::Thumbnail,
            PictureSize::Preview,
            PictureSize::Full,
        ] {
            self.remove((key, size));
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn remove(&mut self, at: (MediaKey, PictureSize)) {
        if let Some(held) = self.held.remove(&at) {
            self.bytes -= held.picture.bytes();
        }
    }
}

impl Picture {
    fn bytes(&self) -> usize {
        match self {
            Self::Ready(pixels) => pixels.rgba.len(),
            // Failures must not pile up either.
            Self::Failed(reason) => reason.len() + 64,
        }
    }
}
