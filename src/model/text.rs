//! Text from data made safe to show: names, tags, captions and error causes can
//! hold anything, and none of it may reach a terminal as a control sequence.
//!
//! ratatui drops control characters silently, which makes two different names
//! look the same, and passes bidirectional overrides; so everything that is
//! printed or drawn goes through [`display_text`] first.

use std::borrow::Cow;

/// Combining marks allowed on one base character before the rest are dropped.
const MAX_COMBINING: usize = 8;

/// The text with everything invisible or steering replaced by `U+FFFD`: control,
/// format (except a joiner inside an emoji), line and paragraph separators, tag
/// characters; and at most eight combining marks in a row. Borrowed when clean.
pub fn display_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut marks = 0;
    let mut changed = false;
    let mut previous = '\0';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_combining(c) {
            marks += 1;
            if marks > MAX_COMBINING {
                changed = true;
                continue;
            }
        } else {
            marks = 0;
        }
        let joins = c == '\u{200d}'
            && is_pictographic(previous)
            && chars.peek().is_some_and(|next| is_pictographic(*next));
        if is_steering(c) && !joins {
            safe.push('\u{fffd}');
            changed = true;
        } else {
            safe.push(c);
        }
        previous = c;
    }
    if changed {
        Cow::Owned(safe)
    } else {
        Cow::Borrowed(text)
    }
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn is_pictographic(c: char) -> bool {
    matches!(c, '\u{fe0f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Categories Cc, Cf, Zl, Zp and fillers that draw nothing.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Bytes for people: `512 B`, `1.2 MB`; decimal units, as disks are sold.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 9995 && unit < UNITS.len() - 1 {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    if tenths >= 100 {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// `104 212`: digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steering_characters_become_visible() {
        for (input, expected) in [
            ("plain", "plain"),
            ("a\x1b[2Jb", "a\u{fffd}[2Jb"),
            ("tab\tand\nline", "tab\u{fffd}and\u{fffd}line"),
            ("right\u{202e}left", "right\u{fffd}left"),
            ("c1\u{9b}31m", "c1\u{fffd}31m"),
            ("日本語 é", "日本語 é"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
            ("a\u{200d}b", "a\u{fffd}b"),
        ] {
            assert_eq!(display_text(input), expected, "{input:?}");
        }
    }

    #[test]
    fn combining_marks_are_bounded() {
        let tower = format!("a{}", "\u{301}".repeat(200));
        assert_eq!(display_text(&tower).chars().count(), 1 + MAX_COMBINING);
    }

    #[test]
    fn bytes_read_well() {
        for (n, expected) in [
            (999, "999 B"),
            (1234, "1.2 kB"),
            (45_600, "45 kB"),
            (1_234_567, "1.2 MB"),
            (999_950, "1.0 MB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(human_bytes(n), expected);
        }
    }
}
