//! Text measured in cells: cutting, wrapping, and numbers as people read them.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

pub use crate::model::text::grouped;

/// The cells a text takes.
pub fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The text cut to `max` cells, with an ellipsis where it is cut. Never splits a
/// letter from its accents.
pub fn truncate(text: &str, max: u16, ellipsis: &str) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let Some(room) = max.checked_sub(width(ellipsis)) else {
        return String::new();
    };
    let mut short = take(text, room);
    short.push_str(ellipsis);
    short
}

/// The same, keeping the end: file names differ there, and the extension tells
/// what it is.
pub fn truncate_middle(text: &str, max: u16, ellipsis: &str) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    if max < 12 {
        return truncate(text, max, ellipsis);
    }
    let tail_room = max / 3;
    let mut tail = Vec::new();
    let mut used = 0;
    for grapheme in text.graphemes(true).rev() {
        used += width(grapheme);
        if used > tail_room {
            break;
        }
        tail.push(grapheme);
    }
    let tail: String = tail.into_iter().rev().collect();
    let room = max.saturating_sub(width(ellipsis) + width(&tail));
    format!("{}{ellipsis}{tail}", take(text, room))
}

/// As many whole graphemes as fit.
fn take(text: &str, room: u16) -> String {
    let mut used = 0;
    text.graphemes(true)
        .take_while(|grapheme| {
            used += width(grapheme);
            used <= room
        })
        .collect()
}

/// The text in lines of at most `max` cells, broken at white space; a word that is
/// longer than a line is broken anywhere.
pub fn wrap(text: &str, max: u16) -> Vec<String> {
    let max = max.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = u16::from(!line.is_empty());
        if width(&line) + gap + width(word) <= max {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for grapheme in word.graphemes(true) {
            if width(&line) + width(grapheme) > max && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `0:29`, `1:02:05`
pub fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `0.4 ms`, `12 ms`, `1.2 s`
pub fn duration(time: std::time::Duration) -> String {
    let micros = time.as_micros();
    if micros < 10_000 {
        format!("{}.{} ms", micros / 1000, micros / 100 % 10)
    } else if micros < 1_000_000 {
        format!("{} ms", micros / 1000)
    } else {
        format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn text_is_cut_between_letters_and_by_cells() {
        for (text, max, expected) in [
            ("beach", 5, "beach"),
            ("beach", 4, "bea…"),
            ("beach", 1, "…"),
            ("beach", 0, ""),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👩‍🚀👩‍🚀👩‍🚀", 4, "👩‍🚀…"),
        ] {
            assert_eq!(truncate(text, max, "…"), expected, "{text} {max}");
            assert!(width(&truncate_middle(text, max, "…")) <= max);
        }
        assert_eq!(
            truncate_middle("a_file_with_a_long_name.png", 18, "…"),
            "a_file_with…me.png"
        );
    }

    #[test]
    fn long_text_wraps_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), Vec::<String>::new());
        assert_eq!(wrap("日本語", 1), ["日", "本", "語"]);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(104_212), "104 212");
        assert_eq!(grouped(1_000_000), "1 000 000");
        assert_eq!(clock(29), "0:29");
        assert_eq!(clock(3725), "1:02:05");
        assert_eq!(duration(Duration::from_micros(412)), "0.4 ms");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(1234)), "1.2 s");
    }
}
