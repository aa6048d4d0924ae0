//! From cells to bytes, as few as possible: the pen changes only what differs, the
//! way to the next cell is the shortest, blanks are erased by the run. Over SSH a
//! cursor that moves should cost a packet, not ten.

mod order;

use std::io::Write as _;

use ratatui::{
    buffer::{Buffer, Cell, CellDiffOption},
    layout::Position,
    style::{Color, Modifier},
};

use super::image::PLACEHOLDER;

pub use self::order::order;

/// What a terminal understands beyond the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Erasing takes the background color along.
    pub erases_in_color: bool,
    /// Repeats a character on demand.
    pub repeats: bool,
    /// Also the placeholder of a picture.
    pub repeats_placeholders: bool,
}

/// What the terminal writes with. It stays from one frame to the next: to put it to
/// rest and take it up again costs more than most frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Pen {
    /// No colors, no attributes.
    pub const REST: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    /// The codes that make it write this cell, and what it is then.
    fn codes(self, cell: &Cell) -> (Vec<String>, Self) {
        let mut pen = self;
        let mut codes: Vec<String> = Vec::new();
        if pen.modifier != cell.modifier {
            if !(pen.modifier - cell.modifier).is_empty() {
                codes.push("0".to_owned());
                pen = Self::REST;
            }
            for (flag, code) in MODIFIERS {
                if (cell.modifier - pen.modifier).contains(flag) {
                    codes.push(code.to_owned());
                }
            }
            pen.modifier = cell.modifier;
        }
        // The ink of a blank is not seen.
        let is_blank = cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED);
        if pen.fg != cell.fg && !is_blank {
            codes.push(color(cell.fg, 30));
            pen.fg = cell.fg;
        }
        if pen.bg != cell.bg {
            codes.push(color(cell.bg, 40));
            pen.bg = cell.bg;
        }
        (codes, pen)
    }

    /// How many bytes it takes to write this cell.
    fn cost(self, cell: &Cell) -> usize {
        self.codes(cell).0.iter().map(|code| code.len() + 1).sum()
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            erases_in_color: true,
            repeats: false,
            repeats_placeholders: false,
        }
    }
}

/// From so many cells on a run is cheaper said than written.
const RUN: u16 = 6;
/// The same where the cursor has to be moved behind it, too.
const BLANK_RUN: u16 = 10;
/// A gap of so many cells is rather written again than jumped over.
const GAP: u16 = 3;

/// Writes cells in the order of rows.
pub struct Brush {
    bytes: Vec<u8>,
    dialect: Dialect,
    /// Columns of the screen.
    width: u16,
    /// Where the terminal writes next, when that is known.
    at: Option<Position>,
    /// The row of it, which is known more often.
    row: Option<u16>,
    pen: Pen,
    /// Cells alike that are not written yet.
    run: Option<Run>,
}

struct Run {
    cell: Cell,
    count: u16,
    from: Position,
}

impl Brush {
    pub fn new(dialect: Dialect, width: u16, pen: Pen) -> Self {
        Self {
            bytes: Vec::new(),
            dialect,
            width,
            at: None,
            row: None,
            pen,
            run: None,
        }
    }

    pub fn pen(&self) -> Pen {
        self.pen
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.end_run();
        self.bytes.extend_from_slice(bytes);
    }

    pub fn clear_screen(&mut self) {
        self.raw(b"\x1b[m\x1b[H\x1b[2J");
        self.pen = Pen::REST;
        (self.at, self.row) = (Some(Position::ORIGIN), Some(0));
    }

    /// Moves rows up, or down when negative; what comes in is empty.
    pub fn scroll(&mut self, top: u16, bottom: u16, up: i32) {
        let (rows, way) = (up.unsigned_abs(), if up > 0 { 'S' } else { 'T' });
        // What comes in has the color of the pen.
        let rest = if self.pen == Pen::REST { "" } else { "\x1b[m" };
        let bytes = format!("{rest}\x1b[{};{bottom}r\x1b[{rows}{way}\x1b[r", top + 1);
        self.raw(bytes.as_bytes());
        self.pen = Pen::REST;
        (self.at, self.row) = (None, None);
    }

    /// Writes one cell; `around` is the frame it belongs to.
    pub fn cell(&mut self, at: Position, cell: &Cell, around: &Buffer) {
        if let Some(run) = &mut self.run {
            let is_next = at.y == run.from.y && at.x == run.from.x + run.count;
            if is_next && look(cell) == look(&run.cell) {
                run.count += 1;
                return;
            }
        }
        self.bridge(at, around);
        self.end_run();
        if is_plain(cell) || self.repeats_placeholder(cell) {
            self.run = Some(Run {
                cell: cell.clone(),
                count: 1,
                from: at,
            });
        } else {
            self.move_to(at);
            self.take(cell);
            self.bytes.extend_from_slice(cell.symbol().as_bytes());
            // Wide ones and those of unknown width leave the cursor who knows where.
            self.at = match cell.diff_option {
                CellDiffOption::ForcedWidth(width) => self.after(at, width.get()),
                _ => None,
            };
            // Not even the row where the edge is near.
            self.row = (at.x + 2 < self.width).then_some(at.y);
        }
    }

    /// Whether a cell is a placeholder without a number of its own, and the terminal
    /// repeats those.
    fn repeats_placeholder(&self, cell: &Cell) -> bool {
        let mut chars = cell.symbol().chars();
        self.dialect.repeats_placeholders
            && (chars.next(), chars.next()) == (Some(PLACEHOLDER), None)
    }

    /// Writes a short gap before a cell again when that is shorter than a jump.
    fn bridge(&mut self, to: Position, around: &Buffer) {
        let Some(run) = &self.run else { return };
        let end = run.from.x + run.count;
        if to.y != run.from.y || to.x <= end || to.x - end > GAP {
            return;
        }
        let (fg, bg, modifier) = (run.cell.fg, run.cell.bg, run.cell.modifier);
        let is_alike = (end..to.x).all(|x| {
            let cell = &around[(x, to.y)];
            let style = (cell.fg, cell.bg, cell.modifier);
            is_plain(cell) && cell.symbol().is_ascii() && style == (fg, bg, modifier)
        });
        if is_alike {
            for x in end..to.x {
                self.cell(Position { x, y: to.y }, &around[(x, to.y)], around);
            }
        }
    }

    fn end_run(&mut self) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        turn_over(self.pen, &mut run.cell);
        self.move_to(run.from);
        self.take(&run.cell);
        let symbol = run.cell.symbol();
        let is_blank = symbol == " "
            && !run
                .cell
                .modifier
                .intersects(Modifier::REVERSED | Modifier::UNDERLINED | Modifier::CROSSED_OUT)
            && (self.dialect.erases_in_color || run.cell.bg == Color::Reset);
        if is_blank && run.count > BLANK_RUN {
            self.say(format_args!("\x1b[{}X", run.count));
            self.at = Some(run.from);
            return;
        }
        if self.dialect.repeats && run.count > RUN {
            self.bytes.extend_from_slice(symbol.as_bytes());
            self.say(format_args!("\x1b[{}b", run.count - 1));
        } else {
            for _ in 0..run.count {
                self.bytes.extend_from_slice(symbol.as_bytes());
            }
        }
        self.at = self.after(run.from, run.count);
        self.row = self.at.map(|at| at.y);
    }

    /// After writing to the right edge nobody knows where the cursor is.
    fn after(&self, from: Position, count: u16) -> Option<Position> {
        let x = from.x.saturating_add(count);
        (x < self.width).then_some(Position { x, y: from.y })
    }

    pub fn move_to(&mut self, to: Position) {
        self.end_run();
        if self.at == Some(to) {
            return;
        }
        let direct = match (to.x, to.y) {
            (0, y) if self.row.is_some_and(|row| row <= y && y - row <= 2) => {
                let down = self.row.map_or(0, |row| y - row);
                "\r".to_owned() + &"\n".repeat(usize::from(down))
            }
            (0, 0) => "\x1b[H".to_owned(),
            (0, y) => format!("\x1b[{}H", y + 1),
            (x, y) if self.row == Some(y) => format!("\x1b[{}G", x + 1),
            (x, y) => format!("\x1b[{};{}H", y + 1, x + 1),
        };
        let steps = match self.at {
            Some(at) if at.y == to.y && to.x > at.x => match to.x - at.x {
                1 => "\x1b[C".to_owned(),
                count => format!("\x1b[{count}C"),
            },
            // Straight down, or down and a little back, as along an edge.
            Some(at) if to.y > at.y && to.y - at.y <= 2 && at.x >= to.x && at.x - to.x <= 3 => {
                "\n".repeat(usize::from(to.y - at.y)) + &"\x08".repeat(usize::from(at.x - to.x))
            }
            _ => direct.clone(),
        };
        let shorter = if steps.len() < direct.len() {
            steps
        } else {
            direct
        };
        self.bytes.extend_from_slice(shorter.as_bytes());
        (self.at, self.row) = (Some(to), Some(to.y));
    }

    /// Takes the colors and attributes of a cell.
    fn take(&mut self, cell: &Cell) {
        let (codes, pen) = self.pen.codes(cell);
        self.pen = pen;
        if !codes.is_empty() {
            let codes = codes.join(";");
            let codes = if codes == "0" { "" } else { &codes };
            self.say(format_args!("\x1b[{codes}m"));
        }
    }

    fn say(&mut self, text: std::fmt::Arguments) {
        // Writing to a Vec cannot fail.
        let _ = self.bytes.write_fmt(text);
    }

    /// Everything written, and the pen as it is now.
    pub fn finish(mut self) -> (Vec<u8>, Pen) {
        self.end_run();
        (self.bytes, self.pen)
    }
}

/// One half block is the other with its colors exchanged, and a blank when both are
/// one: whichever is cheaper for the pen.
fn turn_over(pen: Pen, cell: &mut Cell) {
    let other = match cell.symbol() {
        _ if !cell.modifier.is_empty() => return,
        "▀" => "▄",
        "▄" => "▀",
        _ => return,
    };
    if cell.fg == cell.bg {
        cell.set_symbol(" ");
        return;
    }
    let mut turned = cell.clone();
    turned.set_symbol(other).set_fg(cell.bg).set_bg(cell.fg);
    if pen.cost(&turned) < pen.cost(cell) {
        *cell = turned;
    }
}

const MODIFIERS: [(Modifier, &str); 8] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::SLOW_BLINK, "5"),
    (Modifier::REVERSED, "7"),
    (Modifier::HIDDEN, "8"),
    (Modifier::CROSSED_OUT, "9"),
];

/// Whether a cell is one character of one cell, so that cells can be counted.
fn is_plain(cell: &Cell) -> bool {
    let mut chars = cell.symbol().chars();
    let is_one = match (chars.next(), chars.next()) {
        (Some(c), None) => c.is_ascii() || is_narrow(c),
        _ => false,
    };
    is_one && !matches!(cell.diff_option, CellDiffOption::ForcedWidth(_))
}

/// Characters of ours outside ASCII that every terminal draws in one cell: lines,
/// blocks, Latin letters.
fn is_narrow(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{17f}' | '\u{2500}'..='\u{259f}')
}

/// What makes two cells look alike; the ink of a blank does not.
fn look(cell: &Cell) -> (&str, Color, Color, Modifier) {
    let is_blank = cell.symbol() == " " && cell.modifier.is_empty();
    let fg = if is_blank { Color::Reset } else { cell.fg };
    (cell.symbol(), fg, cell.bg, cell.modifier)
}

/// The code of a color; `base` is 30 for ink and 40 for the ground.
fn color(color: Color, base: u8) -> String {
    let plain = |n: u8| (base + n).to_string();
    let bright = |n: u8| (base + 60 + n).to_string();
    match color {
        Color::Reset => plain(9),
        Color::Black => plain(0),
        Color::Red => plain(1),
        Color::Green => plain(2),
        Color::Yellow => plain(3),
        Color::Blue => plain(4),
        Color::Magenta => plain(5),
        Color::Cyan => plain(6),
        Color::Gray => plain(7),
        Color::DarkGray => bright(0),
        Color::LightRed => bright(1),
        Color::LightGreen => bright(2),
        Color::LightYellow => bright(3),
        Color::LightBlue => bright(4),
        Color::LightMagenta => bright(5),
        Color::LightCyan => bright(6),
        Color::White => bright(7),
        Color::Indexed(index) => format!("{};5;{index}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}
