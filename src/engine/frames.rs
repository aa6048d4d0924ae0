//! Frames of animations, on request. Frames stand upon those before them, so a few
//! that follow are made in the same walk; a newer request ends the older one.

use std::sync::Arc;

use super::{
    Core, Engine,
    decode::{Limits, frames::walk_frames, resize},
    event::{Event, PictureSize},
    job::Cancel,
};
use crate::model::{id::MediaKey, media::Pixels};

/// Frames that are made besides the one that was asked for, if they are small.
const AHEAD: u32 = 12;
const AHEAD_BYTES: usize = 24 << 20;

pub(super) struct FrameRequest {
    key: MediaKey,
    number: u32,
    size: PictureSize,
}

impl Engine {
    /// Decodes a frame of an animation, from 0, and some that follow; answered by an
    /// [`Event::Frame`] for each.
    pub fn want_frame(&self, key: MediaKey, number: u32, size: PictureSize) {
        let request = FrameRequest { key, number, size };
        self.core.frames.put(request);
    }
}

impl Core {
    pub(super) fn answer_frames(&self) {
        while let Some((request, cancel)) = self.frames.take() {
            let FrameRequest { key, number, .. } = request;
            let mut is_answered = false;
            let outcome = self.walk_to(&request, &cancel, &mut |made, pixels| {
                is_answered |= made == number;
                self.events.send(Event::Frame {
                    key,
                    number: made,
                    outcome: Ok(Arc::new(pixels)),
                });
            });
            let reason = match outcome {
                _ if is_answered || cancel.is_cancelled() => continue,
                Ok(()) => "the animation ends before this frame".to_owned(),
                Err(reason) => reason,
            };
            self.events.send(Event::Frame {
                key,
                number,
                outcome: Err(reason),
            });
        }
    }

    fn walk_to(
        &self,
        request: &FrameRequest,
        cancel: &Cancel,
        tell: &mut dyn FnMut(u32, Pixels),
    ) -> Result<(), String> {
        let catalog = self.catalog.load();
        let record = catalog
            .record(request.key)
            .ok_or("it is not in the library any more")?;
        let path = self.library.original_path(&record.path());
        let mut bytes = 0;
        let walked = walk_frames(
            &path,
            &Limits::default(),
            &self.memory,
            &mut |number, pixels| {
                if cancel.is_cancelled() {
                    return false;
                }
                if number < request.number {
                    return true;
                }
                let pixels = resize(&pixels, request.size.max_side());
                bytes += pixels.rgba.len();
                tell(number, pixels);
                number < request.number + AHEAD && bytes < AHEAD_BYTES
            },
        );
        walked.map_err(|error| error.to_string())
    }
}
