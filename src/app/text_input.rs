//! One line of text being edited. The cursor stands between grapheme clusters,
//! so that a letter with its accents or an emoji is one step.

use unicode_segmentation::UnicodeSegmentation;

/// The longest text that can be typed or pasted, in bytes: as long as a query may be.
const MAX_BYTES: usize = 4096;

/// A line with a cursor.
///
/// Invariant: `cursor` is the byte offset of a grapheme boundary of `text`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextInput {
    pub text: String,
    pub cursor: usize,
}

impl TextInput {
    /// A line with the cursor at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            cursor: text.len(),
            text,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text up to the cursor; its width is where the cursor is drawn.
    pub fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    pub fn after_cursor(&self) -> &str {
        &self.text[self.cursor..]
    }

    pub fn insert(&mut self, c: char) {
        self.insert_str(c.encode_utf8(&mut [0; 4]));
    }

    /// Inserts at the cursor. Line breaks and tabs become spaces, other control
    /// characters are left out, and what exceeds the limit is cut off.
    pub fn insert_str(&mut self, text: &str) {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            if self.text.len() + clean.len() + c.len_utf8() > MAX_BYTES {
                break;
            }
            match c {
                '\n' | '\r' | '\t' => clean.push(' '),
                c if c.is_control() => {}
                c => clean.push(c),
            }
        }
        self.text.insert_str(self.cursor, &clean);
        self.cursor = self.boundary_from(self.cursor + clean.len());
    }

    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn left(&mut self) {
        self.cursor = self.previous_boundary();
    }

    pub fn right(&mut self) {
        self.cursor = self.next_boundary();
    }

    pub fn home(&mut self) {
        self.cursor = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub fn word_right(&mut self) {
        let rest = self.after_cursor();
        let word = rest.trim_start();
        let skip = rest.len() - word.len();
        let length = word.find(char::is_whitespace).unwrap_or(word.len());
        self.cursor += skip + length;
    }

    /// Removes the grapheme before the cursor; says whether there was one.
    pub fn backspace(&mut self) -> bool {
        let start = self.previous_boundary();
        self.remove(start, self.cursor)
    }

    /// Removes the grapheme after the cursor; says whether there was one.
    pub fn delete(&mut self) -> bool {
        let end = self.next_boundary();
        self.remove(self.cursor, end)
    }

    pub fn delete_word_left(&mut self) -> bool {
        let start = self.word_start();
        self.remove(start, self.cursor)
    }

    /// Removes everything before the cursor.
    pub fn delete_to_start(&mut self) -> bool {
        self.remove(0, self.cursor)
    }

    /// Removes everything from the cursor on.
    pub fn delete_to_end(&mut self) -> bool {
        self.remove(self.cursor, self.text.len())
    }

    /// The bytes of the word the cursor is in or behind: up to the next white space
    /// on either side. Empty between words.
    pub fn word(&self) -> std::ops::Range<usize> {
        let start = self
            .before_cursor()
            .rfind(char::is_whitespace)
            .map_or(0, |at| {
                at + self.text[at..].chars().next().map_or(1, char::len_utf8)
            });
        let end = self
            .after_cursor()
            .find(char::is_whitespace)
            .map_or(self.text.len(), |at| self.cursor + at);
        start..end
    }

    /// Puts `replacement` in place of some bytes and the cursor behind it. A range
    /// that does not lie on character borders changes nothing.
    pub fn replace(&mut self, range: std::ops::Range<usize>, replacement: &str) {
        if self.text.get(range.clone()).is_none() {
            return;
        }
        self.text.replace_range(range.clone(), "");
        self.cursor = range.start;
        self.insert_str(replacement);
    }

    fn remove(&mut self, start: usize, end: usize) -> bool {
        self.text.replace_range(start..end, "");
        self.cursor = self.boundary_from(start);
        start < end
    }

    fn previous_boundary(&self) -> usize {
        self.before_cursor()
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn next_boundary(&self) -> usize {
        self.after_cursor()
            .graphemes(true)
            .next()
            .map_or(self.cursor, |grapheme| self.cursor + grapheme.len())
    }

    /// The first grapheme boundary at or after a byte offset: text inserted before a
    /// combining mark takes the mark with it.
    fn boundary_from(&self, offset: usize) -> usize {
        self.text
            .grapheme_indices(true)
            .map(|(at, _)| at)
            .find(|at| *at >= offset)
            .unwrap_or(self.text.len())
    }

    fn word_start(&self) -> usize {
        let before = self.before_cursor();
        let trimmed = before.trim_end();
        trimmed
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(at, c)| at + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_moves_by_graphemes() {
        let mut input = TextInput::new("ae\u{301}👩\u{200d}🚀");
        input.left();
        assert_eq!(input.before_cursor(), "ae\u{301}");
        input.left();
        assert_eq!(input.before_cursor(), "a");
        assert!(input.delete());
        assert_eq!(input.text, "a👩\u{200d}🚀");
        input.end();
        assert!(input.backspace());
        assert!(input.backspace());
        assert!(!input.backspace());
    }

    #[test]
    fn words_are_what_white_space_parts() {
        let mut input = TextInput::new("blue_hair -sketch  ");
        assert!(input.delete_word_left());
        assert_eq!(input.text, "blue_hair ");
        input.insert_str("long");
        assert_eq!(input.word(), 10..14);
        input.replace(10..14, "long_hair ");
        assert_eq!(input.text, "blue_hair long_hair ");
        input.word_left();
        assert_eq!(input.before_cursor(), "blue_hair ");
        input.home();
        input.word_right();
        assert_eq!(input.before_cursor(), "blue_hair");
    }

    #[test]
    fn pasted_text_is_one_clean_line() {
        let mut input = TextInput::default();
        input.insert_str("a\nb\u{1b}[31m\tc");
        assert_eq!(input.text, "a b[31m c");
        input.insert_str(&"é".repeat(4096));
        assert!(input.text.len() <= MAX_BYTES);
        assert_eq!(input.cursor, input.text.len());
    }

    #[test]
    fn a_mark_typed_after_a_letter_joins_it() {
        let mut input = TextInput::new("e");
        input.insert('\u{301}');
        assert!(input.backspace());
        assert!(input.is_empty());
        let mut input = TextInput::new("\u{301}x");
        input.home();
        input.insert('e');
        assert_eq!(input.before_cursor(), "e\u{301}");
    }
}
