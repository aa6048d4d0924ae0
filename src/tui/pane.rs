//! What every pane draws on: the buffer with the theme, the signs, the pictures,
//! and a record of what can be clicked.
//!
//! Text that reaches a [`Canvas`] must be safe to draw; the state of `app` is where
//! it says so, everything else goes through `display_text` first.

pub mod cache;
pub mod dialog;
pub mod editor;
pub mod facets;
pub mod gallery;
pub mod help;
pub mod info;
pub mod ingest;
pub mod query;
pub mod status;
pub mod viewer;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Style},
};

use super::{
    glyph::Glyphs,
    image::Pictures,
    text,
    theme::{Role, Theme},
};
use crate::{
    app::{
        completion::{Candidate, Completion, Presence},
        message::Target,
        text_input::TextInput,
    },
    model::tagdb::TagDb,
};

/// One frame being drawn.
pub struct Canvas<'a> {
    pub buffer: &'a mut Buffer,
    pub theme: &'a Theme,
    /// What is known of tags and their categories.
    pub tags: &'a TagDb,
    pub glyphs: &'static Glyphs,
    pub pictures: &'a mut Pictures,
    /// How fast pictures arrive, when that is worth saying.
    pub link: Option<&'a str>,
    /// What stands where, the topmost last.
    pub hits: Vec<(Rect, Target)>,
    /// Where the terminal's cursor belongs, when a text is being typed.
    pub cursor: Option<Position>,
}

impl Canvas<'_> {
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Writes a text into at most `max` cells; gives the cell after it.
    pub fn text(&mut self, x: u16, y: u16, max: u16, text: &str, style: Style) -> u16 {
        let max = max.min(self.buffer.area.right().saturating_sub(x));
        if max == 0 || !self.buffer.area.contains(Position { x, y }) {
            return x;
        }
        let text = text::truncate(text, max, self.glyphs.ellipsis);
        self.buffer
            .set_stringn(x, y, text, usize::from(max), style)
            .0
    }

    /// Writes a text that ends before cell `right`; gives the cell where it begins.
    /// Nothing is written where it would not fit.
    pub fn text_right(&mut self, right: u16, left: u16, y: u16, text: &str, style: Style) -> u16 {
        let width = text::width(text);
        match right.checked_sub(width) {
            Some(x) if x >= left => {
                self.text(x, y, width, text, style);
                x
            }
            _ => right,
        }
    }

    /// Writes pieces of a line one after the other, up to cell `right`.
    pub fn spans(&mut self, x: u16, y: u16, right: u16, spans: &[(&str, Style)]) -> u16 {
        spans.iter().fold(x, |x, (text, style)| {
            self.text(x, y, right.saturating_sub(x), text, *style)
        })
    }

    /// Clears an area to one style.
    pub fn fill(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        for position in area.positions() {
            let cell = &mut self.buffer[position];
            cell.reset();
            cell.set_style(style);
        }
    }

    /// The style of a tag's category, as the tag database has it or else the theme.
    pub fn category(&self, category: &str) -> Style {
        let own = self.tags.category(category);
        own.and_then(|own| self.theme.category_color(&own.color))
            .unwrap_or_else(|| self.theme.category(category))
    }

    /// Lays a style over an area and keeps its text.
    pub fn tint(&mut self, area: Rect, style: Style) {
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    pub fn hit(&mut self, area: Rect, target: Target) {
        self.hits.push((area, target));
    }

    /// Whether side panes stand on a background of their own; if not, a thin line
    /// must tell them apart.
    pub fn has_panels(&self) -> bool {
        let bg = |role| self.style(role).bg.unwrap_or(Color::Reset);
        bg(Role::Panel) != bg(Role::Text)
    }

    /// Clears a side pane, draws its edge towards the gallery and its title, and
    /// gives the space below the title.
    pub fn panel(
        &mut self,
        area: Rect,
        edge: Edge,
        title: &str,
        note: &str,
        focused: bool,
    ) -> Rect {
        self.fill(area, self.style(Role::Panel));
        let mut inner = area;
        let line = if self.has_panels() {
            " "
        } else {
            self.glyphs.vertical
        };
        let rule = self.style(Role::Rule);
        match edge {
            Edge::Left if area.width > 2 => {
                for y in area.top()..area.bottom() {
                    self.text(area.x, y, 1, line, rule);
                }
                inner.x += 1;
                inner.width -= 2;
            }
            Edge::Right if area.width > 2 => {
                for y in area.top()..area.bottom() {
                    self.text(area.right() - 1, y, 1, line, rule);
                }
                inner.x += 1;
                inner.width -= 2;
            }
            Edge::Left | Edge::Right => {}
            Edge::Top => {
                if area.height > 1 {
                    let line = self.glyphs.horizontal.repeat(usize::from(area.width));
                    self.text(area.x, area.y, area.width, &line, rule);
                    inner.y += 1;
                    inner.height -= 1;
                }
                inner.x += 1.min(inner.width);
                inner.width = inner.width.saturating_sub(2);
            }
        }
        let role = if focused {
            Role::TitleFocused
        } else {
            Role::Title
        };
        let x = self.text(inner.x, inner.y, inner.width, title, self.style(role));
        let room = inner.right().saturating_sub(x);
        if room > 3 && !note.is_empty() {
            self.text(x + 2, inner.y, room - 2, note, self.style(Role::Muted));
        }
        Rect {
            y: inner.y + 1.min(inner.height),
            height: inner.height.saturating_sub(1),
            ..inner
        }
    }

    /// Draws one line of typed text with its cursor in view; gives its right end.
    pub fn input(&mut self, area: Rect, input: &TextInput, style: Style, has_cursor: bool) -> u16 {
        self.typed(area, &input.text, input.cursor, style, has_cursor, None)
    }

    /// The same with the part that is wrong set off. The text is the user's own and
    /// is made safe here; what is scrolled out at the left is cut off.
    pub fn typed(
        &mut self,
        area: Rect,
        typed: &str,
        cursor: usize,
        style: Style,
        has_cursor: bool,
        mistake: Option<&std::ops::Range<usize>>,
    ) -> u16 {
        if area.is_empty() {
            return area.x;
        }
        let before = crate::model::text::display_text(typed.get(..cursor).unwrap_or_default());
        // One cell stays free for the cursor at the end of the text.
        let room = area.width - 1;
        let skip = text::width(&before).saturating_sub(room);
        let wrong = self.style(Role::Mistake);
        let mut at = 0u16;
        let mut end = area.x;
        for (offset, grapheme) in
            unicode_segmentation::UnicodeSegmentation::grapheme_indices(typed, true)
        {
            let shown = crate::model::text::display_text(grapheme);
            let width = text::width(&shown);
            if at >= skip && at + width <= skip + area.width {
                let is_wrong = mistake.is_some_and(|span| span.contains(&offset));
                let style = if is_wrong { style.patch(wrong) } else { style };
                end = self.text(area.x + at - skip, area.y, width, &shown, style);
            }
            at += width;
        }
        if mistake.is_some_and(|span| span.start >= typed.len()) && end < area.right() {
            self.text(end, area.y, 1, " ", style.patch(wrong));
        }
        if has_cursor {
            self.cursor = Some(Position {
                x: (area.x + text::width(&before) - skip).min(area.right() - 1),
                y: area.y,
            });
        }
        end
    }

    /// How many rows of a completion list fit, and where it stands: below `line`,
    /// or above where there is more room.
    pub fn completion_area(
        &self,
        line: Rect,
        within: Rect,
        completion: &Completion,
    ) -> Option<Rect> {
        const ROWS: u16 = 10;
        if completion.items.is_empty() {
            return None;
        }
        let wanted = u16::try_from(completion.items.len())
            .unwrap_or(u16::MAX)
            .min(ROWS);
        let below = within.bottom().saturating_sub(line.bottom());
        let above = line.y.saturating_sub(within.y);
        let (y, height) = if below >= wanted.min(3) && below >= above.min(wanted) {
            (line.bottom(), wanted.min(below))
        } else {
            let height = wanted.min(above);
            (line.y - height, height)
        };
        let longest = completion
            .items
            .iter()
            .map(|item| {
                let via = item.via.as_ref().map_or(0, |via| text::width(via) + 3);
                let note = item.note.as_ref().map_or(0, |note| text::width(note) + 3);
                text::width(&item.text) + via + note + 14
            })
            .max()
            .unwrap_or(0);
        let width = longest
            .clamp(24, 72)
            .min(within.right().saturating_sub(line.x));
        (height > 0 && width > 4).then_some(Rect {
            x: line.x,
            y,
            width,
            height,
        })
    }

    /// Draws a completion list into its area.
    pub fn completion(&mut self, area: Rect, completion: &Completion) {
        let popup = self.style(Role::Popup);
        self.fill(area, popup);
        let rows = usize::from(area.height);
        let chosen = completion.chosen.unwrap_or(0);
        let first = chosen.saturating_sub(rows.saturating_sub(1));
        let notes_at = completion
            .items
            .iter()
            .filter(|item| item.note.is_some())
            .map(|item| text::width(&item.text) + 5)
            .max()
            .unwrap_or(0);
        for (y, (index, item)) in
            (area.top()..area.bottom()).zip(completion.items.iter().enumerate().skip(first))
        {
            let line = Rect {
                y,
                height: 1,
                ..area
            };
            self.candidate(line, item, notes_at, completion.chosen == Some(index));
            self.hit(line, Target::Completion(index));
        }
    }

    fn candidate(&mut self, line: Rect, item: &Candidate, notes_at: u16, is_chosen: bool) {
        let row = if is_chosen {
            self.style(Role::Cursor)
        } else {
            Style::new()
        };
        self.tint(line, row);
        let ink = |style: Style| if is_chosen { row } else { style };
        let muted = ink(self.style(Role::Muted));
        let presence = match item.presence {
            Presence::None => " ",
            Presence::Some => self.glyphs.some,
            Presence::All => self.glyphs.done,
        };
        let mut right = line.right() - 1;
        if let Some(count) = item.count {
            right = self.text_right(right, line.x + 12, line.y, &text::grouped(count), muted);
            right = right.saturating_sub(1);
        }
        let mut x = self.text(line.x, line.y, 1, presence, ink(self.style(Role::Done))) + 1;
        if let Some(via) = &item.via {
            x = self.text(x, line.y, right.saturating_sub(x), via, muted);
            let arrow = format!(" {} ", self.glyphs.arrow);
            x = self.text(x, line.y, right.saturating_sub(x), &arrow, muted);
        }
        let style = match &item.tag {
            Some(tag) => self.category(&tag.category),
            None => Style::new(),
        };
        let matched = ink(style.patch(self.style(Role::Match)));
        let style = ink(style);
        for (offset, grapheme) in
            unicode_segmentation::UnicodeSegmentation::grapheme_indices(item.text.as_str(), true)
        {
            let style = if item.matched.contains(&offset) && item.via.is_none() {
                matched
            } else {
                style
            };
            x = self.text(x, line.y, right.saturating_sub(x), grapheme, style);
        }
        if let Some(note) = &item.note {
            let x = (line.x + notes_at).max(x + 2);
            self.text(x, line.y, right.saturating_sub(x), note, muted);
        }
    }

    /// Marks that a list goes on above or below what is shown.
    pub fn more(&mut self, area: Rect, top: usize, shown: usize, all: usize) {
        if area.is_empty() {
            return;
        }
        let muted = self.style(Role::Muted);
        if top > 0 {
            self.text(area.right() - 1, area.y, 1, self.glyphs.more_up, muted);
        }
        if top + shown < all && area.height > 1 {
            self.text(
                area.right() - 1,
                area.bottom() - 1,
                1,
                self.glyphs.more_down,
                muted,
            );
        }
    }

    /// A progress bar of `width` cells.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, done: u64, total: u64) -> u16 {
        let full =
            u16::try_from(done.min(total) * u64::from(width) / total.max(1)).unwrap_or(width);
        let full_text = self.glyphs.full.repeat(usize::from(full));
        let empty_text = self
            .glyphs
            .empty
            .repeat(usize::from(width - full.min(width)));
        let x = self.text(x, y, full, &full_text, self.style(Role::Accent));
        self.text(
            x,
            y,
            width - full.min(width),
            &empty_text,
            self.style(Role::Rule),
        )
    }

    /// A graph of the last values that fit into `width` cells, the newest at the right.
    pub fn sparkline<'v>(
        &mut self,
        x: u16,
        y: u16,
        width: u16,
        values: impl DoubleEndedIterator<Item = &'v u64> + Clone,
    ) {
        let values = values.rev().take(usize::from(width));
        let most = values.clone().copied().max().unwrap_or(0).max(1);
        let style = self.style(Role::Graph);
        for (back, value) in (0..width).zip(values) {
            // Anything above nothing shows at least the lowest step.
            let level = usize::try_from((value * 8).div_ceil(most))
                .unwrap_or(8)
                .min(8);
            self.text(x + width - 1 - back, y, 1, self.glyphs.levels[level], style);
        }
    }

    /// Text in the middle of an area: a title, and lines that explain.
    pub fn message(&mut self, area: Rect, title: &str, lines: &[String], role: Role) {
        let width = area.width.saturating_sub(4).min(72);
        if width == 0 || area.height == 0 {
            return;
        }
        let wrapped: Vec<String> = lines
            .iter()
            .flat_map(|line| {
                if line.is_empty() {
                    vec![String::new()]
                } else {
                    text::wrap(line, width)
                }
            })
            .collect();
        let height = u16::try_from(wrapped.len() + 2).unwrap_or(u16::MAX);
        let mut y = area.y + area.height.saturating_sub(height) / 2;
        let title = text::truncate(title, width, self.glyphs.ellipsis);
        let center = |text: &str| area.x + (area.width - text::width(text).min(area.width)) / 2;
        self.text(
            center(&title),
            y,
            width,
            &title,
            self.style(role).patch(Style::new().bold()),
        );
        y += 2;
        for line in wrapped {
            if y >= area.bottom() {
                break;
            }
            self.text(center(&line), y, width, &line, self.style(Role::Muted));
            y += 1;
        }
    }
}

/// The side on which a pane meets the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Left,
    Right,
    Top,
}

/// The first row to show so that `cursor` is among `rows` of `all`, near `top`.
pub fn scrolled(top: usize, cursor: usize, rows: usize, all: usize) -> usize {
    let rows = rows.max(1);
    top.min(cursor)
        .max((cursor + 1).saturating_sub(rows))
        .min(all.saturating_sub(rows))
}
