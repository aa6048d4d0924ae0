//! The order in which a few cells take the fewest bytes. Colors are the dear part:
//! each costs as much as a word, and an edge that is drawn by rows changes them in
//! every one.

use ratatui::{
    buffer::{Cell, CellDiffOption},
    style::{Color, Modifier},
};

use super::{Pen, turn_over};

/// So few changed cells are put in an order of their own.
const FEW: usize = 256;
/// So many styles among them at most.
const FEW_STYLES: usize = 32;
/// So many cells below each other are a column.
const COLUMN: usize = 3;

type At<'a> = (u16, u16, &'a Cell);

/// What of a cell matters to the pen: the ink of a blank does not, and half blocks
/// may be turned over.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    fg: Option<Color>,
    bg: Color,
    modifier: Modifier,
    is_half: bool,
}

/// Cells that the pen writes without being changed.
struct Group<'a> {
    look: Look,
    cells: Vec<At<'a>>,
}

/// One look after the other, beginning with what the pen has; what stands below
/// each other downward.
pub fn order(cells: Vec<At<'_>>, mut pen: Pen) -> Vec<At<'_>> {
    let is_placeholder = |at: &At| matches!(at.2.diff_option, CellDiffOption::ForcedWidth(_));
    if cells.len() > FEW || cells.iter().any(is_placeholder) {
        return cells;
    }
    let mut groups: Vec<Group> = Vec::new();
    for (at, look) in cells.iter().zip(looks(&cells)) {
        match groups.iter_mut().find(|group| group.look == look) {
            Some(group) => group.cells.push(*at),
            None => groups.push(Group {
                look,
                cells: vec![*at],
            }),
        }
    }
    if groups.len() > FEW_STYLES {
        return cells;
    }
    let mut ordered = Vec::with_capacity(cells.len());
    loop {
        let costs = groups.iter().enumerate().filter_map(|(place, group)| {
            let inked = group.cells.iter().find(|at| !is_blank(at.2));
            let mut cell = inked.or(group.cells.first())?.2.clone();
            turn_over(pen, &mut cell);
            // Half blocks last: whatever the pen has by then may do for them.
            let rank = (pen.cost(&cell), group.look.is_half);
            Some((rank, place, cell))
        });
        let Some((_, place, cell)) = costs.min_by_key(|(rank, place, _)| (*rank, *place)) else {
            return ordered;
        };
        pen = pen.codes(&cell).1;
        ordered.extend(downward(&groups.remove(place).cells));
    }
}

fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED)
}

/// The looks of cells; blanks between and beside words go with them.
fn looks(cells: &[At<'_>]) -> Vec<Look> {
    let look = |cell: &Cell| Look {
        fg: (!is_blank(cell)).then_some(cell.fg),
        bg: cell.bg,
        modifier: cell.modifier,
        is_half: matches!(cell.symbol(), "▀" | "▄"),
    };
    let mut looks: Vec<Look> = cells.iter().map(|at| look(at.2)).collect();
    let is_near = |left: &At, right: &At| (left.0 + 1, left.1) == (right.0, right.1);
    let mut lend = |from: usize, to: usize| {
        let (lender, blank) = (looks[from], &mut looks[to]);
        let is_alike = (lender.bg, lender.modifier) == (blank.bg, blank.modifier);
        if blank.fg.is_none() && is_alike && !lender.is_half {
            blank.fg = lender.fg;
        }
    };
    for at in 1..cells.len() {
        if is_near(&cells[at - 1], &cells[at]) {
            lend(at - 1, at);
        }
    }
    for at in (1..cells.len()).rev() {
        if is_near(&cells[at - 1], &cells[at]) {
            lend(at, at - 1);
        }
    }
    looks
}

/// Rows first, then the columns of cells that stand alone in their rows.
fn downward<'a>(group: &[At<'a>]) -> Vec<At<'a>> {
    let has = |x: u16, y: u16| group.iter().any(|cell| (cell.0, cell.1) == (x, y));
    let is_alone = |x: u16, y: u16| !has(x + 1, y) && (x == 0 || !has(x - 1, y));
    let mut columns: Vec<Vec<At>> = Vec::new();
    let mut rows = Vec::new();
    for (x, y, cell) in group.iter().copied() {
        if !is_alone(x, y) {
            rows.push((x, y, cell));
            continue;
        }
        let above = columns.iter_mut().find(|column| {
            let last = column.last();
            last.is_some_and(|last| (last.0, last.1 + 1) == (x, y))
        });
        match above {
            Some(column) => column.push((x, y, cell)),
            None => columns.push(vec![(x, y, cell)]),
        }
    }
    let (tall, short): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .partition(|column| column.len() >= COLUMN);
    rows.extend(short.into_iter().flatten());
    rows.sort_by_key(|(x, y, _)| (*y, *x));
    rows.extend(tall.into_iter().flatten());
    rows
}
