//! Which panes there are, which are shown, and which one hears the keys.

/// A part of the screen that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pane {
    Gallery,
    /// Stands in the gallery's place.
    Viewer,
    Facets,
    Editor,
    Monitor,
}

impl Pane {
    pub const ALL: [Self; 5] = [
        Self::Gallery,
        Self::Viewer,
        Self::Facets,
        Self::Editor,
        Self::Monitor,
    ];
}

/// What is shown. On a narrow screen only the focused pane is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panes {
    pub focus: Pane,
    /// The viewer instead of the gallery.
    pub viewer: bool,
    pub facets: bool,
    pub editor: bool,
    pub monitor: bool,
    pub info: bool,
}

impl Default for Panes {
    fn default() -> Self {
        Self {
            focus: Pane::Gallery,
            viewer: false,
            facets: false,
            editor: false,
            monitor: false,
            info: false,
        }
    }
}
