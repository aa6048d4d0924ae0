//! The viewer: one picture large. Zoom and pan are numbers here; what they mean in
//! cells and pixels is the screen's business.

use crate::model::id::MediaKey;

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
    /// Whether masks are laid over the picture.
    pub show_masks: bool,
    /// The masks of the picture, when they are shown.
    pub masks: Vec<MediaKey>,
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
            show_masks: false,
            masks: Vec::new(),
        }
    }
}
