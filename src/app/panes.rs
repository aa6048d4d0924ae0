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
        Self::Facets,
        Self::Gallery,
        Self::Viewer,
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

impl Panes {
    pub fn is_shown(&self, pane: Pane) -> bool {
        match pane {
            Pane::Gallery => !self.viewer,
            Pane::Viewer => self.viewer,
            Pane::Facets => self.facets,
            Pane::Editor => self.editor,
            Pane::Monitor => self.monitor,
        }
    }

    /// The gallery, or what stands in its place.
    pub fn main(&self) -> Pane {
        if self.viewer {
            Pane::Viewer
        } else {
            Pane::Gallery
        }
    }

    /// Shows a pane and gives it the focus.
    pub fn show(&mut self, pane: Pane) {
        match pane {
            Pane::Gallery => self.viewer = false,
            Pane::Viewer => self.viewer = true,
            Pane::Facets => self.facets = true,
            Pane::Editor => self.editor = true,
            Pane::Monitor => self.monitor = true,
        }
        self.focus = pane;
    }

    /// Takes a pane away; the focus goes to the gallery or the viewer. The gallery
    /// stays.
    pub fn hide(&mut self, pane: Pane) {
        match pane {
            Pane::Gallery => return,
            Pane::Viewer => self.viewer = false,
            Pane::Facets => self.facets = false,
            Pane::Editor => self.editor = false,
            Pane::Monitor => self.monitor = false,
        }
        if self.focus == pane {
            self.focus = self.main();
        }
    }

    /// The focus to the next pane that is shown, or the previous one.
    pub fn turn(&mut self, forward: bool) {
        let shown: Vec<Pane> = Pane::ALL
            .into_iter()
            .filter(|pane| self.is_shown(*pane))
            .collect();
        let at = shown
            .iter()
            .position(|pane| *pane == self.focus)
            .unwrap_or(0);
        let step = if forward { 1 } else { shown.len() - 1 };
        if let Some(pane) = shown.get((at + step) % shown.len().max(1)) {
            self.focus = *pane;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_focus_goes_round_what_is_shown() {
        let mut panes = Panes::default();
        panes.turn(true);
        assert_eq!(panes.focus, Pane::Gallery);
        panes.show(Pane::Editor);
        panes.monitor = true;
        for expected in [Pane::Monitor, Pane::Gallery, Pane::Editor] {
            panes.turn(true);
            assert_eq!(panes.focus, expected);
        }
        panes.turn(false);
        assert_eq!(panes.focus, Pane::Gallery);
        panes.show(Pane::Viewer);
        panes.hide(Pane::Viewer);
        assert_eq!(panes.focus, Pane::Gallery);
        panes.hide(Pane::Gallery);
        assert!(panes.is_shown(Pane::Gallery));
    }
}
