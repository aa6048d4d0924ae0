//! Kitty pictures that are placed by commands: two kilobytes move a whole page,
//! and terminals without placeholders know them too (kitty before 0.28, Konsole).
//! Not for tmux, which does not know that they are there.

use ratatui::layout::Rect;

/// Puts a picture at its place, or moves it there. `number` tells apart the places
/// of one picture.
pub fn place(id: u32, number: u32, area: Rect) -> Vec<u8> {
    format!(
        "\x1b[{};{}H\x1b_Ga=p,i={id},p={number},c={},r={},C=1,q=2\x1b\\",
        area.y + 1,
        area.x + 1,
        area.width,
        area.height
    )
    .into_bytes()
}

/// Takes a picture from one of its places; the terminal keeps it.
pub fn lift(id: u32, number: u32) -> Vec<u8> {
    format!("\x1b_Ga=d,d=i,i={id},p={number},q=2\x1b\\").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_costs_little_and_says_its_size() {
        let command = place(0x0500_0042, 1, Rect::new(9, 4, 16, 8));
        assert_eq!(
            command,
            b"\x1b[5;10H\x1b_Ga=p,i=83886146,p=1,c=16,r=8,C=1,q=2\x1b\\"
        );
        assert!(command.len() < 64);
        assert_eq!(lift(7, 2), b"\x1b_Ga=d,d=i,i=7,p=2,q=2\x1b\\");
    }
}
