//! The viewer: one picture large. Zoom and pan are numbers here; what they mean in
//! cells and pixels is the screen's business.

use std::time::Duration;

use super::{action::Action, derived::CropOutline};
use crate::model::id::MediaKey;

/// The scales that zooming steps through, in pixels of the screen per pixel of the
/// picture.
const SCALES: [f64; 9] = [0.125, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0];
/// How far one step of panning goes, as a part of what is in view.
const PAN_STEP: f64 = 0.25;
/// How long a picture of a slideshow is shown: at first, at least, at most.
const EVERY: Duration = Duration::from_secs(4);
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);

/// The state of the viewer. Which picture: the one under the gallery's cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewer {
    pub zoom: Zoom,
    /// Which part is in view: the middle of the view as a share of the picture,
    /// 0.0 left or top, 1.0 right or bottom. Where there is nothing to pan it does
    /// not matter.
    pub center_x: f64,
    pub center_y: f64,
    /// The part of each side of the picture that fits the view, 0 to 1, as the
    /// screen told last; 1 means all of it is in view.
    pub visible_x: f64,
    pub visible_y: f64,
    /// Which mask is laid over the picture, from 1; 0: none.
    pub shown_mask: usize,
    /// The masks of the picture, when one is shown.
    pub masks: Vec<MediaKey>,
    /// Whether the rectangles of its crops are drawn.
    pub shows_crops: bool,
    /// Where they are, as far as that is known, when they are drawn.
    pub crops: Vec<CropOutline>,
    /// Which frame of an animation is shown, from 0.
    pub frame: u32,
    /// Set while one picture follows the other by itself.
    pub slideshow: Option<Slideshow>,
}

/// One picture after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slideshow {
    pub every: Duration,
    /// When the next one comes, since the session began.
    pub next: Duration,
}

impl Slideshow {
    /// Begins with the picture that is shown now.
    pub fn new(now: Duration) -> Self {
        Self {
            every: EVERY,
            next: now + EVERY,
        }
    }

    /// More or less time for each; the one that is shown gets it from now on.
    pub fn set_every(&mut self, every: Duration, now: Duration) {
        self.every = every.clamp(SHORTEST, LONGEST);
        self.next = now + self.every;
    }

    /// Whether the next picture is due; the one after it has its time then.
    pub fn tick(&mut self, now: Duration) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.every;
        }
        is_due
    }
}

/// How large the picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zoom {
    /// All of it, never enlarged beyond one to one.
    Fit,
    /// The full width of the view.
    Width,
    /// Pixels of the screen per pixel of the picture: 1.0 is one to one.
    Scale(f64),
}

impl Default for Viewer {
    fn default() -> Self {
        Self {
            zoom: Zoom::Fit,
            center_x: 0.5,
            center_y: 0.5,
            visible_x: 1.0,
            visible_y: 1.0,
            shown_mask: 0,
            masks: Vec::new(),
            shows_crops: false,
            crops: Vec::new(),
            frame: 0,
            slideshow: None,
        }
    }
}

impl Viewer {
    /// Another picture: the zoom stays, the view goes back to the middle.
    pub fn turn(&mut self) {
        (self.center_x, self.center_y) = (0.5, 0.5);
        self.masks.clear();
        self.shown_mask = self.shown_mask.min(1);
        self.crops.clear();
        self.frame = 0;
    }

    /// To the next mask; after the last to none.
    pub fn next_mask(&mut self) {
        self.shown_mask = if self.shown_mask == 0 || self.shown_mask < self.masks.len() {
            self.shown_mask + 1
        } else {
            0
        };
    }

    /// So many frames on or back in an animation of `count`; after the last the first.
    pub fn step_frame(&mut self, n: usize, forward: bool, count: u32) {
        let count = u64::from(count.max(1));
        let step = u64::try_from(n).unwrap_or(u64::MAX) % count;
        let step = if forward { step } else { count - step };
        let frame = (u64::from(self.frame) + step) % count;
        self.frame = u32::try_from(frame).unwrap_or(0);
    }

    /// The mask that is laid over the picture.
    pub fn mask(&self) -> Option<MediaKey> {
        self.masks.get(self.shown_mask.checked_sub(1)?).copied()
    }

    /// Runs an action of zoom and pan; says whether it was one that changed anything.
    pub fn act(&mut self, action: Action) -> bool {
        let before = self.clone();
        match action {
            Action::ZoomCycle => {
                self.set_zoom(match self.zoom {
                    Zoom::Fit => Zoom::Width,
                    Zoom::Width => Zoom::Scale(1.0),
                    Zoom::Scale(_) => Zoom::Fit,
                });
            }
            Action::ZoomIn => {
                let scale = match self.zoom {
                    Zoom::Fit | Zoom::Width => Some(1.0),
                    Zoom::Scale(now) => SCALES.into_iter().find(|scale| *scale > now),
                };
                self.set_zoom(scale.map_or(self.zoom, Zoom::Scale));
            }
            Action::ZoomOut => {
                let scale = match self.zoom {
                    Zoom::Fit | Zoom::Width => None,
                    Zoom::Scale(now) => SCALES.into_iter().rev().find(|scale| *scale < now),
                };
                self.set_zoom(scale.map_or(Zoom::Fit, Zoom::Scale));
            }
            Action::ZoomReset => {
                self.set_zoom(Zoom::Fit);
                (self.center_x, self.center_y) = (0.5, 0.5);
            }
            Action::PanLeft => self.pan(-PAN_STEP, 0.0),
            Action::PanRight => self.pan(PAN_STEP, 0.0),
            Action::PanUp => self.pan(0.0, -PAN_STEP),
            Action::PanDown => self.pan(0.0, PAN_STEP),
            _ => {}
        }
        *self != before
    }

    /// Moves the view by parts of itself.
    pub fn pan(&mut self, x: f64, y: f64) {
        self.center_x = clamp(self.center_x + x * self.visible_x, self.visible_x);
        self.center_y = clamp(self.center_y + y * self.visible_y, self.visible_y);
    }

    /// Whether there is anything to the left or right of the view.
    pub fn pans_sideways(&self) -> bool {
        self.visible_x < 1.0
    }

    /// Takes what the screen found to be in view.
    pub fn resize(&mut self, visible_x: f64, visible_y: f64) {
        self.visible_x = visible_x.clamp(0.0, 1.0);
        self.visible_y = visible_y.clamp(0.0, 1.0);
        self.pan(0.0, 0.0);
    }

    fn set_zoom(&mut self, zoom: Zoom) {
        self.zoom = zoom;
        if zoom == Zoom::Fit {
            (self.visible_x, self.visible_y) = (1.0, 1.0);
        }
    }
}

/// Keeps the view inside the picture.
fn clamp(center: f64, visible: f64) -> f64 {
    let half = (visible / 2.0).min(0.5);
    center.clamp(half, 1.0 - half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zoom_cycles_and_steps() {
        let mut viewer = Viewer::default();
        for expected in [Zoom::Width, Zoom::Scale(1.0), Zoom::Fit] {
            viewer.act(Action::ZoomCycle);
            assert_eq!(viewer.zoom, expected);
        }
        for expected in [1.0, 1.5, 2.0] {
            viewer.act(Action::ZoomIn);
            assert_eq!(viewer.zoom, Zoom::Scale(expected));
        }
        for _ in 0..20 {
            viewer.act(Action::ZoomOut);
        }
        assert_eq!(viewer.zoom, Zoom::Fit);
        for _ in 0..20 {
            viewer.act(Action::ZoomIn);
        }
        assert_eq!(viewer.zoom, Zoom::Scale(8.0));
    }

    #[test]
    fn masks_come_one_after_the_other() {
        let mut viewer = Viewer::default();
        viewer.next_mask();
        viewer.masks = vec![MediaKey(4), MediaKey(7)];
        assert_eq!(viewer.mask(), Some(MediaKey(4)));
        viewer.next_mask();
        assert_eq!(viewer.mask(), Some(MediaKey(7)));
        viewer.turn();
        assert_eq!((viewer.shown_mask, viewer.mask()), (1, None));
        viewer.next_mask();
        assert_eq!(viewer.shown_mask, 0);
    }

    #[test]
    fn frames_go_round() {
        let mut viewer = Viewer::default();
        let mut step = |n, forward| {
            viewer.step_frame(n, forward, 5);
            viewer.frame
        };
        assert_eq!([step(1, true), step(3, true), step(1, true)], [1, 4, 0]);
        assert_eq!([step(1, false), step(12, false)], [4, 2]);
    }

    #[test]
    fn a_slideshow_keeps_its_pace_within_reason() {
        let mut show = Slideshow::new(Duration::from_secs(10));
        assert!(!show.tick(Duration::from_secs(13)));
        assert!(show.tick(Duration::from_secs(14)));
        assert!(!show.tick(Duration::from_secs(15)));
        for _ in 0..20 {
            show.set_every(show.every / 2, Duration::from_secs(20));
        }
        assert_eq!(show.every, SHORTEST);
        assert_eq!(show.next, Duration::from_secs(20) + SHORTEST);
        show.set_every(LONGEST * 3, Duration::ZERO);
        assert_eq!(show.every, LONGEST);
    }

    #[test]
    fn the_view_stays_inside_the_picture() {
        let mut viewer = Viewer {
            zoom: Zoom::Scale(2.0),
            ..Viewer::default()
        };
        assert!(!viewer.act(Action::PanLeft), "all of it is in view");
        viewer.resize(0.5, 0.25);
        for _ in 0..10 {
            viewer.act(Action::PanRight);
            viewer.act(Action::PanUp);
        }
        assert!((viewer.center_x - 0.75).abs() < 1e-9);
        assert!((viewer.center_y - 0.125).abs() < 1e-9);
        viewer.resize(1.0, 1.0);
        assert!((viewer.center_x - 0.5).abs() < 1e-9);
    }
}
