//! The frames of the animation that is looked at: those that came, bounded by bytes,
//! and which is on its way.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    engine::event::PictureSize,
    model::{id::MediaKey, media::Pixels, text::display_text},
};

/// Bytes of pixels that are kept.
const MAX_BYTES: usize = 64 << 20;

/// The frames of one animation at one size.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    of: Option<(MediaKey, PictureSize)>,
    held: BTreeMap<u32, Arc<Pixels>>,
    bytes: usize,
    asked: Option<u32>,
    /// Why the frame that was asked for cannot be shown; safe to draw.
    pub failure: Option<String>,
}

impl Frames {
    /// Whether this frame must be asked for; counts as asked from now on.
    pub fn ask(&mut self, key: MediaKey, size: PictureSize, number: u32) -> bool {
        if self.of != Some((key, size)) {
            *self = Self {
                of: Some((key, size)),
                ..Self::default()
            };
        }
        if self.held.contains_key(&number) || self.asked == Some(number) {
            return false;
        }
        self.asked = Some(number);
        self.failure = None;
        true
    }

    /// Takes a frame, or why there is none.
    pub fn receive(&mut self, key: MediaKey, number: u32, outcome: Result<Arc<Pixels>, String>) {
        if self.of.is_none_or(|(of, _)| of != key) {
            return;
        }
        match outcome {
            Ok(pixels) => {
                self.bytes += pixels.rgba.len();
                if let Some(old) = self.held.insert(number, pixels) {
                    self.bytes -= old.rgba.len();
                }
                self.drop_far(self.asked.unwrap_or(number));
            }
            Err(reason) if self.asked == Some(number) => {
                self.failure = Some(display_text(&reason).into_owned());
            }
            Err(_) => {}
        }
    }

    /// The frame with its number, or the last one before it that is there.
    pub fn best(&self, key: MediaKey, number: u32) -> Option<(u32, &Arc<Pixels>)> {
        self.of.filter(|(of, _)| *of == key)?;
        let (number, pixels) = self.held.range(..=number).next_back()?;
        Some((*number, pixels))
    }

    /// Forgets what is farthest from the frame that is looked at.
    fn drop_far(&mut self, from: u32) {
        while self.bytes > MAX_BYTES && self.held.len() > 1 {
            let ends = [self.held.keys().next(), self.held.keys().next_back()];
            let farthest = ends.into_iter().flatten().copied();
            let Some(farthest) = farthest.max_by_key(|number| number.abs_diff(from)) else {
                return;
            };
            if let Some(gone) = self.held.remove(&farthest) {
                self.bytes -= gone.rgba.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Arc<Pixels> {
        Arc::new(Pixels {
            width: 1,
            height: 1,
            rgba: vec![0; bytes],
        })
    }

    #[test]
    fn a_frame_is_asked_for_once_and_the_one_before_stands_in() {
        let (key, size) = (MediaKey(3), PictureSize::Preview);
        let mut frames = Frames::default();
        assert!(frames.ask(key, size, 1) && !frames.ask(key, size, 1));
        frames.receive(key, 1, Ok(frame(4)));
        frames.receive(MediaKey(9), 2, Ok(frame(4)));
        assert!(frames.ask(key, size, 2), "another one's");
        assert_eq!(frames.best(key, 2).map(|(number, _)| number), Some(1));
        frames.receive(key, 2, Err("bro\nken".to_owned()));
        assert_eq!(frames.failure.as_deref(), Some("bro\u{fffd}ken"));
        assert!(frames.ask(key, PictureSize::Full, 2));
        assert!(frames.best(key, 2).is_none() && frames.failure.is_none());
    }

    #[test]
    fn what_is_far_away_is_forgotten() {
        let (key, size) = (MediaKey(3), PictureSize::Preview);
        let mut frames = Frames::default();
        for number in 1..10 {
            frames.ask(key, size, number);
            frames.receive(key, number, Ok(frame(MAX_BYTES / 4)));
        }
        assert_eq!(
            frames.held.keys().copied().collect::<Vec<_>>(),
            [6, 7, 8, 9]
        );
        assert_eq!(frames.bytes, MAX_BYTES / 4 * 4);
    }
}
