//! Where pictures stand on the screen, by each protocol's means: as placeholders,
//! as placements, drawn over the text, or as half-blocks. What stood somewhere and
//! does not belong there any more is lifted, or its text written again.

use ratatui::{
    buffer::{Buffer, CellDiffOption},
    layout::Rect,
};

use super::{
    Pictures, direct,
    encode::{Body, Look, Version},
    placeholder,
};
use crate::tui::probe::Graphics;

/// A picture that was drawn over the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Painted {
    pub(super) look: Look,
    pub(super) version: Version,
    pub(super) area: Rect,
}

/// A place of a picture that is placed by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Placement {
    pub(super) id: u32,
    pub(super) number: u32,
    pub(super) area: Rect,
}

/// Rows that the terminal moves by itself: from `top` to before `bottom`, up, or down
/// when negative. What leaves them is gone, what comes in is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub top: u16,
    pub bottom: u16,
    pub up: i32,
}

impl Moved {
    /// Where an area is afterwards; `None` when it is gone or was cut.
    pub(super) fn area(self, area: Rect) -> Option<Rect> {
        if area.bottom() <= self.top || area.y >= self.bottom {
            return Some(area);
        }
        let y = u16::try_from(i32::from(area.y) - self.up).ok()?;
        let moved = Rect { y, ..area };
        let is_inside = |area: Rect| area.y >= self.top && area.bottom() <= self.bottom;
        (is_inside(area) && is_inside(moved)).then_some(moved)
    }
}

impl Pictures {
    /// Shows the best version that the terminal has; says which.
    pub(super) fn show(&mut self, buffer: &mut Buffer, area: Rect, look: &Look) -> Option<Version> {
        self.stock.touch(look, self.frame);
        match self.graphics() {
            Graphics::Kitty => {
                let (version, id) = self.stock.alive(look)?;
                placeholder::draw(buffer, area, id);
                self.standing.push((id, area));
                self.drop_worse(look, version);
                Some(version)
            }
            Graphics::KittyDirect => {
                let (version, id) = self.stock.alive(look)?;
                clear(buffer, area);
                self.placing.push((id, area));
                self.drop_worse(look, version);
                Some(version)
            }
            Graphics::Sixel | Graphics::Iterm2 => {
                let place = (area.x, area.y);
                let painted = *self.painted.get(&place)?;
                if (painted.look, painted.area) != (*look, area) {
                    return None;
                }
                self.painting.insert(place, painted);
                for position in area.positions() {
                    buffer[position].reset();
                    buffer[position].set_diff_option(CellDiffOption::Skip);
                }
                Some(painted.version)
            }
            Graphics::Halfblocks => {
                let (version, body) = self.stock.best(look)?;
                let Body::Half(colors) = &*body else {
                    return None;
                };
                for (position, [upper, lower]) in area.positions().zip(colors) {
                    buffer[position]
                        .set_symbol("▀")
                        .set_fg(*upper)
                        .set_bg(*lower);
                }
                Some(version)
            }
            Graphics::None => None,
        }
    }

    /// Forgets the stages that a better one has replaced.
    pub(super) fn drop_worse(&mut self, look: &Look, than: Version) {
        for id in self.stock.kill_worse(look, than) {
            self.forget(id);
        }
    }

    /// Where pictures were drawn over the text and are no more, the text is written
    /// again: the terminal does not know that it was ever gone.
    pub(super) fn leave_painted(&mut self) {
        let painting = std::mem::take(&mut self.painting);
        for (place, painted) in &self.painted {
            if painting.get(place) != Some(painted) {
                self.stale.push(painted.area);
            }
        }
        self.painted = painting;
    }

    /// Moves pictures that are placed by command to where they belong now.
    pub(super) fn move_placed(&mut self) {
        let mut before = std::mem::take(&mut self.placed);
        let wanted = std::mem::take(&mut self.placing);
        let mut now = Vec::new();
        let mut homeless = Vec::new();
        for (id, area) in wanted {
            match before
                .iter()
                .position(|old| (old.id, old.area) == (id, area))
            {
                Some(at) => now.push(before.swap_remove(at)),
                None => homeless.push((id, area)),
            }
        }
        let mut moved = Vec::new();
        for (id, area) in homeless {
            let number = match before.iter().position(|old| old.id == id) {
                Some(at) => before.swap_remove(at).number,
                None => (1..u32::MAX)
                    .find(|number| {
                        let is_taken = |old: &Placement| (old.id, old.number) == (id, *number);
                        !now.iter().chain(&before).any(is_taken)
                    })
                    .unwrap_or(1),
            };
            moved.extend(direct::place(id, number, area));
            now.push(Placement { id, number, area });
        }
        for gone in before {
            self.commands.extend(direct::lift(gone.id, gone.number));
        }
        if !moved.is_empty() {
            self.commands.extend(b"\x1b7");
            self.commands.extend(moved);
            self.commands.extend(b"\x1b8");
        }
        self.placed = now;
    }
}

/// Empty cells of the pane's own color.
fn clear(buffer: &mut Buffer, area: Rect) {
    for position in area.positions() {
        let ground = buffer[position].bg;
        buffer[position].reset();
        buffer[position].set_bg(ground);
    }
}
