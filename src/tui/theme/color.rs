//! Colors: from the words of a theme file, and down to what a terminal shows.

use std::collections::BTreeMap;

use ratatui::style::Color;

use crate::tui::probe::ColorDepth;

/// A color by palette name, `#rrggbb`, number, name of the sixteen, or `default`.
pub(super) fn resolve(text: &str, palette: &BTreeMap<String, String>) -> Option<Color> {
    let text = palette.get(text).map_or(text, String::as_str);
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some(digits) = text.strip_prefix('#') {
        let value = u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == 6)?;
        let [_, r, g, b] = value.to_be_bytes();
        return Some(Color::Rgb(r, g, b));
    }
    text.parse().ok()
}

/// The nearest color that the terminal has.
pub(super) fn reduce(color: Color, depth: ColorDepth) -> Color {
    let rgb = match color {
        Color::Rgb(r, g, b) => (r, g, b),
        Color::Indexed(index) if index >= 16 => indexed(index),
        _ => return color,
    };
    match depth {
        ColorDepth::TrueColor => color,
        ColorDepth::Ansi256 => Color::Indexed(nearest_256(rgb)),
        ColorDepth::Ansi16 => nearest_16(rgb),
        ColorDepth::Monochrome => Color::Reset,
    }
}

const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The color of an entry of the 256-color table from 16 on.
pub(super) fn indexed(index: u8) -> (u8, u8, u8) {
    if index >= 232 {
        let grey = 8 + (index - 232) * 10;
        return (grey, grey, grey);
    }
    let cube = usize::from(index.saturating_sub(16));
    (CUBE[cube / 36 % 6], CUBE[cube / 6 % 6], CUBE[cube % 6])
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    2 * square(a.0, b.0) + 4 * square(a.1, b.1) + 3 * square(a.2, b.2)
}

fn nearest_256(rgb: (u8, u8, u8)) -> u8 {
    let step = |channel: u8| {
        (0u8..6)
            .min_by_key(|i| CUBE[usize::from(*i)].abs_diff(channel))
            .unwrap_or(0)
    };
    let cube = 16 + 36 * step(rgb.0) + 6 * step(rgb.1) + step(rgb.2);
    let mean = (u16::from(rgb.0) + u16::from(rgb.1) + u16::from(rgb.2)) / 3;
    let grey = 232
        + u8::try_from(mean.saturating_sub(3) / 10)
            .unwrap_or(23)
            .min(23);
    if distance(indexed(grey), rgb) < distance(indexed(cube), rgb) {
        grey
    } else {
        cube
    }
}

fn nearest_16(rgb: (u8, u8, u8)) -> Color {
    const COLORS: [(Color, (u8, u8, u8)); 16] = [
        (Color::Black, (0, 0, 0)),
        (Color::Red, (170, 0, 0)),
        (Color::Green, (0, 170, 0)),
        (Color::Yellow, (170, 120, 0)),
        (Color::Blue, (0, 0, 190)),
        (Color::Magenta, (170, 0, 170)),
        (Color::Cyan, (0, 170, 170)),
        (Color::Gray, (190, 190, 190)),
        (Color::DarkGray, (100, 100, 100)),
        (Color::LightRed, (255, 90, 90)),
        (Color::LightGreen, (90, 255, 90)),
        (Color::LightYellow, (255, 255, 90)),
        (Color::LightBlue, (100, 100, 255)),
        (Color::LightMagenta, (255, 90, 255)),
        (Color::LightCyan, (90, 255, 255)),
        (Color::White, (255, 255, 255)),
    ];
    COLORS
        .into_iter()
        .min_by_key(|(_, known)| distance(*known, rgb))
        .map_or(Color::Reset, |(color, _)| color)
}

/// How light a color looks, 0 to 1.
fn luminance((r, g, b): (u8, u8, u8)) -> f64 {
    let channel = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
}

/// How well two colors can be told apart: 1 not at all, 21 black from white.
pub(super) fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

/// The nearest to a color, lighter or darker, that can be read on a ground.
pub(super) fn readable(color: (u8, u8, u8), ground: (u8, u8, u8)) -> (u8, u8, u8) {
    const ENOUGH: f64 = 4.5;
    let end = if luminance(ground) < 0.18 { 255 } else { 0 };
    let mixed = |share: u32| {
        let mix = |channel: u8| {
            let sum = u32::from(channel) * (16 - share) + end * share;
            u8::try_from(sum / 16).unwrap_or(u8::MAX)
        };
        (mix(color.0), mix(color.1), mix(color.2))
    };
    let mut mixes = (0..=16).map(mixed);
    mixes
        .find(|mixed| contrast(*mixed, ground) >= ENOUGH)
        .unwrap_or(color)
}
