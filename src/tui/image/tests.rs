//! The whole way of a picture, with a writer that is a list.

use std::sync::mpsc;

use ratatui::{buffer::CellDiffOption, style::Color};

use super::*;
use crate::tui::probe::{self, Environment, Replies, Window};

struct Screen {
    pictures: Pictures,
    theme: Theme,
    ready: mpsc::Receiver<()>,
    alive: Arc<Mutex<Vec<u32>>>,
    capabilities: Capabilities,
    /// What the writer will report.
    report: Report,
    /// Every byte after the text, in order.
    sent: String,
}

fn screen(graphics: Graphics, over_ssh: bool) -> Screen {
    let environment = Environment {
        colorterm: "truecolor".to_owned(),
        is_utf8: true,
        over_ssh,
        ..Environment::default()
    };
    let capabilities = probe::decide(
        &Replies::default(),
        &environment,
        Window::default(),
        Some(graphics),
    );
    let (theme, _) = Theme::load("dark", None, capabilities.colors);
    let alive = Arc::<Mutex<Vec<u32>>>::default();
    let (wake, ready) = mpsc::channel();
    let pictures = Pictures::new(&capabilities, None, &theme, Arc::clone(&alive), move || {
        let _ = wake.send(());
    })
    .unwrap();
    Screen {
        pictures,
        theme,
        ready,
        alive,
        capabilities,
        report: Report::default(),
        sent: String::new(),
    }
}

impl Screen {
    /// Draws pictures side by side in 8x4 cells each, and hands the frame to the
    /// writer, which sends nothing yet.
    fn draw(
        &mut self,
        covers: Vec<Rect>,
        pictures: &[(u32, &Arc<Pixels>)],
    ) -> (Buffer, FrameParts) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 10));
        self.pictures
            .begin_frame(std::mem::take(&mut self.report), covers);
        for (place, (key, pixels)) in (0..).zip(pictures) {
            let picture = Picture {
                key: MediaKey(*key),
                stamp: 0,
                natural: (pixels.width, pixels.height),
                pixels: Some(pixels),
                mask: None,
                frame: 0,
                outlines: &[],
            };
            let area = Rect::new(place * 10, 1, 8, 4);
            self.pictures
                .draw(&mut buffer, area, &picture, Align::Center, &self.theme);
        }
        let parts = self.pictures.end_frame();
        self.sent.push_str(&text(&parts.commands));
        (buffer, parts)
    }

    /// Sends parcels as the writer would; gives their bytes.
    fn send(&mut self, parcels: Vec<Parcel>) -> String {
        let mut bytes = String::new();
        for parcel in parcels {
            for piece in (parcel.pieces)() {
                bytes.push_str(&text(&piece));
            }
            self.report.sent.push(parcel.ticket);
        }
        self.sent.push_str(&bytes);
        bytes
    }

    fn wait(&self, pictures: usize) {
        for _ in 0..pictures {
            self.ready
                .recv_timeout(std::time::Duration::from_mins(1))
                .unwrap();
        }
    }

    /// Draws until everything stands; gives what was sent for it.
    fn settle(&mut self, pictures: &[(u32, &Arc<Pixels>)]) -> String {
        let from = self.sent.len();
        loop {
            let (_, parts) = self.draw(vec![], pictures);
            if parts.parcels.is_empty() && !self.is_waiting(pictures) {
                return self.sent[from..].to_owned();
            }
            if parts.parcels.is_empty() {
                self.wait(1);
            } else {
                self.send(parts.parcels);
            }
        }
    }

    fn is_waiting(&self, pictures: &[(u32, &Arc<Pixels>)]) -> bool {
        let stages = self.pictures.stages[0].len();
        pictures.iter().any(|(key, pixels)| {
            let known = self.pictures.stock.versions(MediaKey(*key));
            pixels.rgba.len() > 10 && known < stages
        })
    }

    fn alive(&self) -> Vec<u32> {
        self.alive.lock().unwrap().clone()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn pixels(width: u32, height: u32, color: [u8; 4]) -> Arc<Pixels> {
    Arc::new(Pixels {
        width,
        height,
        rgba: color.repeat((width * height) as usize),
    })
}

#[test]
fn a_place_is_held_until_the_picture_is_ready() {
    let mut screen = screen(Graphics::Halfblocks, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    let (buffer, _) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(buffer[(1, 1)].symbol(), " ");
    assert_eq!(buffer[(1, 1)].bg, Color::Rgb(200, 0, 0));
    screen.wait(1);
    let (buffer, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(buffer[(1, 1)].symbol(), "▀");
    assert_eq!(buffer[(1, 1)].fg, Color::Rgb(200, 0, 0));
    assert!(parts.parcels.is_empty());
    assert_eq!(screen.pictures.workshop.waiting(), 0);
}

#[test]
fn cells_name_a_picture_only_when_all_of_it_was_sent() {
    let mut screen = screen(Graphics::Kitty, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    screen.draw(vec![], &[(1, &red)]);
    screen.wait(1);
    let (buffer, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(buffer[(0, 1)].symbol(), " ");
    let ids = screen.alive();
    assert_eq!((parts.parcels.len(), ids.len()), (1, 1));
    // Asked again before it is sent, it is the same parcel.
    let ticket = parts.parcels[0].ticket;
    let (_, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(parts.parcels[0].ticket, ticket);
    assert!(
        screen
            .send(parts.parcels)
            .starts_with("\x1b_Ga=T,U=1,f=100")
    );
    let (buffer, parts) = screen.draw(vec![], &[(1, &red)]);
    assert!(
        buffer[(0, 1)]
            .symbol()
            .starts_with(placeholder::PLACEHOLDER)
    );
    assert_eq!(buffer[(0, 1)].fg, Color::Indexed((ids[0] & 0xff) as u8));
    assert!(parts.parcels.is_empty());
    // At another place it is the same picture: nothing is sent.
    let (_, parts) = screen.draw(vec![], &[(1, &red), (1, &red)]);
    assert!(parts.parcels.is_empty() && parts.commands.is_empty());
}

#[test]
fn over_ssh_a_picture_comes_in_stages_and_the_first_one_is_forgotten() {
    let mut screen = screen(Graphics::Kitty, true);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    let pictures = [(1, &red), (2, &red)];
    // A second stage that is ready before the first would be all that is sent.
    while screen.is_waiting(&pictures) {
        screen.draw(vec![], &pictures);
        screen.wait(usize::from(screen.is_waiting(&pictures)));
    }
    let sent = screen.settle(&pictures);
    assert_eq!(sent.matches("a=T").count(), 4);
    assert_eq!(sent.matches("a=d,d=I").count(), 2);
    // All first stages before any second one.
    let sizes: Vec<bool> = sent
        .split("a=T")
        .skip(1)
        .map(|part| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let body = part.split([';', '\x1b']).nth(1).unwrap();
            let png = STANDARD.decode(body).unwrap();
            image::load_from_memory(&png).unwrap().width() == 80
        })
        .collect();
    assert_eq!(sizes, [false, false, true, true]);
    assert_eq!(screen.alive().len(), 2);
}

#[test]
fn what_may_be_lost_is_deleted_and_sent_again() {
    let mut screen = screen(Graphics::Kitty, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    screen.settle(&[(1, &red)]);
    let before = screen.alive();
    let capabilities = screen.capabilities.clone();
    screen.pictures.forget_sent(&capabilities, &screen.theme);
    // Encoded it is still: it is sent at once, by another number.
    let (_, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(parts.commands, delete_picture(before[0], 0));
    assert_eq!(parts.parcels.len(), 1);
    assert_ne!(screen.alive(), before);
}

#[test]
fn placed_by_command_a_picture_moves_without_being_sent() {
    let mut screen = screen(Graphics::KittyDirect, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    let blue = pixels(80, 80, [0, 0, 200, 255]);
    let sent = screen.settle(&[(1, &red), (2, &blue)]);
    assert_eq!(sent.matches("a=t,f=100").count(), 2);
    assert_eq!(sent.matches("a=p").count(), 2);
    let (buffer, parts) = screen.draw(vec![], &[(2, &blue), (1, &red)]);
    let commands = text(&parts.commands);
    assert_eq!(commands.matches("a=p").count(), 2);
    assert!(
        !commands.contains("a=d") && commands.len() < 200,
        "{commands}"
    );
    assert_eq!(buffer[(1, 1)].symbol(), " ");
    let (_, parts) = screen.draw(vec![], &[(2, &blue)]);
    assert_eq!(text(&parts.commands).matches("a=d,d=i").count(), 1);
    // A popup over it: the picture lies over text, so it has to go.
    let popup = Rect::new(3, 3, 20, 3);
    let (buffer, parts) = screen.draw(vec![popup], &[(2, &blue)]);
    assert_eq!(buffer[(0, 1)].symbol(), "▀");
    assert_eq!(text(&parts.commands).matches("a=d,d=i").count(), 1);
}

#[test]
fn sixel_is_painted_when_it_is_new_or_was_covered() {
    let mut screen = screen(Graphics::Sixel, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    screen.draw(vec![], &[(1, &red)]);
    screen.wait(1);
    let (buffer, parts) = screen.draw(vec![], &[(1, &red)]);
    // Until it is there, the text is something else.
    assert_eq!(buffer[(0, 1)].symbol(), "▀");
    // Nothing of it may show through where the picture is clear.
    let sent = screen.send(parts.parcels);
    let blank = " ".repeat(8);
    for row in 2..6 {
        assert!(sent.contains(&format!("\x1b[{row};1H{blank}")), "{sent}");
    }
    let (before, _) = sent.split_once("\x1bP").unwrap();
    assert!(before.ends_with("\x1b[2;1H"), "{before}");
    let (buffer, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(buffer[(0, 1)].diff_option, CellDiffOption::Skip);
    assert!(parts.parcels.is_empty() && parts.stale.is_empty());
    let popup = Rect::new(3, 3, 20, 3);
    let (buffer, parts) = screen.draw(vec![popup], &[(1, &red)]);
    assert!(parts.parcels.is_empty());
    assert_eq!(parts.stale, [Rect::new(0, 1, 8, 4)]);
    assert_eq!(buffer[(0, 1)].symbol(), "▀");
    let (_, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(parts.parcels.len(), 1);
}

/// The terminal moves what is drawn on the rows that it moves.
#[test]
fn sixels_that_scroll_along_are_not_painted_again() {
    let mut screen = screen(Graphics::Sixel, false);
    assert!(screen.pictures.scrolls());
    let red = pixels(80, 80, [200, 0, 0, 255]);
    let blue = pixels(80, 80, [0, 0, 200, 255]);
    screen.settle(&[(1, &red), (2, &blue)]);
    let moved = Moved {
        top: 0,
        bottom: 10,
        up: -4,
    };
    screen.pictures.scroll(moved);
    screen.pictures.begin_frame(Report::default(), vec![]);
    let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 10));
    let picture = Picture {
        key: MediaKey(1),
        stamp: 0,
        natural: (80, 80),
        pixels: Some(&red),
        mask: None,
        frame: 0,
        outlines: &[],
    };
    let area = Rect::new(0, 5, 8, 4);
    screen
        .pictures
        .draw(&mut buffer, area, &picture, Align::Center, &screen.theme);
    let parts = screen.pictures.end_frame();
    assert!(parts.parcels.is_empty());
    assert_eq!(buffer[(0, 5)].diff_option, CellDiffOption::Skip);
    // The other one moved, too, and is not wanted where it stands now.
    assert_eq!(parts.stale, [Rect::new(10, 5, 8, 4)]);
}

#[test]
fn areas_move_with_their_rows_or_are_cut() {
    let moved = Moved {
        top: 2,
        bottom: 12,
        up: 3,
    };
    let area = |y, height| moved.area(Rect::new(0, y, 4, height)).map(|area| area.y);
    assert_eq!(area(0, 2), Some(0), "above");
    assert_eq!(area(12, 3), Some(12), "below");
    assert_eq!(area(6, 4), Some(3));
    assert_eq!(area(3, 2), None, "out at the top");
    assert_eq!(area(10, 4), None, "half of it stays");
}

#[test]
fn what_was_begun_and_left_the_screen_is_written_over() {
    let mut screen = screen(Graphics::Sixel, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    screen.draw(vec![], &[(1, &red)]);
    screen.wait(1);
    let (_, parts) = screen.draw(vec![], &[(1, &red)]);
    screen.report.begun = Some(parts.parcels[0].ticket);
    let (_, parts) = screen.draw(vec![], &[]);
    assert_eq!(parts.stale, [Rect::new(0, 1, 8, 4)]);
}

#[test]
fn what_left_the_screen_before_its_turn_gives_its_number_back() {
    let mut screen = screen(Graphics::Kitty, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    screen.draw(vec![], &[(1, &red)]);
    screen.wait(1);
    let (_, parts) = screen.draw(vec![], &[(1, &red)]);
    assert_eq!(screen.alive().len(), 1);
    // The writer has begun it: its number stays taken until that is decided.
    let ticket = parts.parcels[0].ticket;
    screen.report.begun = Some(ticket);
    screen.draw(vec![], &[]);
    assert_eq!(screen.alive().len(), 1);
    screen.report.given_up.push(ticket);
    screen.draw(vec![], &[]);
    assert!(screen.alive().is_empty());
    // Never begun, it is gone at once and the terminal hears nothing of it.
    screen.draw(vec![], &[(1, &red)]);
    let (_, parts) = screen.draw(vec![], &[]);
    assert!(screen.alive().is_empty() && parts.commands.is_empty());
}

#[test]
fn broken_pixels_hold_a_place_and_nothing_else() {
    let mut screen = screen(Graphics::Kitty, false);
    let broken = Arc::new(Pixels {
        width: 100,
        height: 100,
        rgba: vec![1; 10],
    });
    screen.draw(vec![], &[(1, &broken)]);
    screen.wait(1);
    let (_, parts) = screen.draw(vec![], &[(1, &broken)]);
    assert!(parts.parcels.is_empty());
    assert_eq!(screen.pictures.workshop.waiting(), 0);
}

/// Terminals keep what they are given until they are told to forget it.
#[test]
fn what_the_terminal_holds_is_bounded() {
    let mut screen = screen(Graphics::Kitty, false);
    let red = pixels(8, 8, [200, 0, 0, 255]);
    let mut most = 0;
    for first in (0..1000).step_by(4) {
        let four: Vec<_> = (first..first + 4).map(|key| (key, &red)).collect();
        screen.settle(&four);
        most = most.max(screen.alive().len());
    }
    assert!((400..=600).contains(&most), "{most}");
    assert_eq!(screen.sent.matches("a=T").count(), 1000, "each once");
    let deleted = screen.sent.matches("a=d,d=I").count();
    assert_eq!(deleted, 1000 - screen.alive().len());
}

#[test]
fn the_nearest_to_the_cursor_come_first() {
    let mut screen = screen(Graphics::Kitty, false);
    let red = pixels(80, 80, [200, 0, 0, 255]);
    let three = [(1, &red), (2, &red), (3, &red)];
    screen.draw(vec![], &three);
    screen.wait(3);
    let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 10));
    screen.pictures.begin_frame(Report::default(), vec![]);
    for place in 0..3 {
        let area = Rect::new(place * 10, 1, 8, 4);
        if place == 0 {
            screen.pictures.focus(Rect::new(20, 1, 8, 4));
        }
        let picture = Picture {
            key: MediaKey(u32::from(place) + 1),
            stamp: 0,
            natural: (80, 80),
            pixels: Some(&red),
            mask: None,
            frame: 0,
            outlines: &[],
        };
        screen
            .pictures
            .draw(&mut buffer, area, &picture, Align::Center, &screen.theme);
    }
    let order: Vec<u32> = {
        let parts = screen.pictures.end_frame();
        let bills = &screen.pictures.bills;
        parts
            .parcels
            .iter()
            .filter_map(|parcel| bills.iter().find(|(_, bill)| bill.ticket == parcel.ticket))
            .map(|(shipment, _)| shipment.look.key.0)
            .collect()
    };
    assert_eq!(order, [3, 2, 1]);
}
