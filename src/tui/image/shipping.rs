//! The way of a picture to the terminal: what is handed to the writer, what became
//! of it, and the numbers by which the terminal knows what it was given.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use ratatui::layout::Rect;

use super::{
    Pictures, delete_picture,
    encode::{Body, Look, Strip, Version},
    kitty::{self, Placed},
    standing::Painted,
    wishes::Wish,
};
use crate::tui::{probe::Graphics, writer::Parcel};

/// Something on its way to the terminal: which picture, and for protocols that
/// draw at the cursor also where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shipment {
    pub(super) look: Look,
    pub(super) version: Version,
    pub(super) place: Option<Rect>,
}

/// How it is known to the writer and to the terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waybill {
    pub(super) ticket: u64,
    pub(super) kitty: Option<u32>,
}

impl Pictures {
    /// All of it was written to the terminal.
    pub(super) fn sent(&mut self, ticket: u64) {
        let bill = self.bills.iter().find(|(_, bill)| bill.ticket == ticket);
        let Some((shipment, bill)) = bill.map(|(shipment, bill)| (*shipment, *bill)) else {
            return;
        };
        self.bills.remove(&shipment);
        if let Some(area) = shipment.place {
            let painted = Painted {
                look: shipment.look,
                version: shipment.version,
                area,
            };
            self.painted.insert((area.x, area.y), painted);
        } else if let Some(id) = bill.kitty
            && !self.stock.born(&shipment.look, shipment.version, id)
        {
            self.forget(id);
        }
    }

    /// The writer gave it up and had the terminal forget what it had of it.
    pub(super) fn given_up(&mut self, ticket: u64) {
        let bills = self.bills.extract_if(|_, bill| bill.ticket == ticket);
        let ids: Vec<u32> = bills.filter_map(|(_, bill)| bill.kitty).collect();
        for id in ids {
            self.release(id);
        }
    }

    /// Gives a number back and has the terminal forget what it stood for.
    pub(super) fn forget(&mut self, id: u32) {
        self.commands.extend(delete_picture(id, self.tmux_depth));
        self.placed.retain(|placement| placement.id != id);
        self.release(id);
    }

    /// Gives a number back that stands for nothing.
    pub(super) fn release(&mut self, id: u32) {
        self.ids.give_back(id);
        self.alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|alive| *alive != id);
    }

    /// What is to be sent from now on. A picture that is on its way keeps its
    /// ticket, by which the writer knows it.
    pub(super) fn parcels(&mut self) -> Vec<Parcel> {
        self.shipments.sort_by_key(|wish| wish.rank);
        let mut wanted = HashSet::new();
        let mut parcels = Vec::new();
        for Wish { what, .. } in std::mem::take(&mut self.shipments) {
            if !wanted.insert(what) {
                continue;
            }
            let Some(body) = self.stock.body(&what.look, what.version) else {
                continue;
            };
            let bill = match self.bills.get(&what) {
                Some(bill) => *bill,
                None => match self.bill(&what) {
                    Some(bill) => bill,
                    None => continue,
                },
            };
            self.bills.insert(what, bill);
            parcels.push(self.parcel(&what, bill, body));
        }
        let begun = self.begun;
        let dropped: Vec<(Shipment, Waybill)> = self
            .bills
            .extract_if(|shipment, bill| !wanted.contains(shipment) && Some(bill.ticket) != begun)
            .collect();
        for (_, bill) in dropped {
            // The terminal never heard of it.
            bill.kitty.inspect(|id| self.release(*id));
        }
        // Strips of one that was begun stand on the screen already.
        let begun = self
            .bills
            .iter()
            .find(|(_, bill)| Some(bill.ticket) == begun);
        if let Some((shipment, _)) = begun
            && let Some(area) = shipment.place
            && !wanted.contains(shipment)
        {
            let moved = self.moved.map_or(Some(area), |moved| moved.area(area));
            self.stale.extend(moved);
            let gone = *shipment;
            self.bills.remove(&gone);
        }
        parcels
    }

    fn bill(&mut self, shipment: &Shipment) -> Option<Waybill> {
        let kitty = match shipment.place {
            Some(_) => None,
            None => Some(self.ids.take(self.graphics())?),
        };
        if let Some(id) = kitty {
            self.alive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(id);
        }
        self.next_ticket += 1;
        Some(Waybill {
            ticket: self.next_ticket,
            kitty,
        })
    }

    fn parcel(&self, shipment: &Shipment, bill: Waybill, body: Arc<Body>) -> Parcel {
        let tmux_depth = self.tmux_depth;
        let cells = self.cells(shipment.look.size);
        let placed = match self.graphics() {
            Graphics::Kitty => Placed::Virtual(cells),
            _ => Placed::Later,
        };
        let ground = self.encoder.theme.background_sequence();
        let place = shipment.place.unwrap_or_default();
        let id = bill.kitty.unwrap_or_default();
        Parcel {
            ticket: bill.ticket,
            pieces: Box::new(move || match &*body {
                Body::Png(png) => kitty::transmit(id, png, placed, tmux_depth),
                Body::Strips(strips) => paint(strips, place, &ground),
                Body::Half(_) => Vec::new(),
            }),
            // Only kitty has to be told that no more will come.
            give_up: bill
                .kitty
                .map(|id| delete_picture(id, tmux_depth))
                .unwrap_or_default(),
        }
    }
}

/// The pieces that draw a picture over the text, each by itself. Its cells are made
/// empty first: what is clear in the picture must not show the text below, and a
/// terminal that cannot draw it shows nothing rather than half of something.
fn paint(strips: &[Strip], place: Rect, ground: &str) -> Vec<Vec<u8>> {
    let ends = strips.iter().skip(1).map(|strip| strip.row);
    let ends = ends.chain([place.height]);
    let blank = " ".repeat(usize::from(place.width));
    strips
        .iter()
        .zip(ends)
        .map(|(strip, end)| {
            let at = |row: u16| format!("\x1b[{};{}H", place.y + row + 1, place.x + 1);
            let mut piece = format!("\x1b7{ground}");
            for row in strip.row..end {
                piece.push_str(&at(row));
                piece.push_str(&blank);
            }
            piece.push_str(&at(strip.row));
            let mut piece = piece.into_bytes();
            piece.extend_from_slice(&strip.bytes);
            piece.extend_from_slice(b"\x1b[m\x1b8");
            piece
        })
        .collect()
}
