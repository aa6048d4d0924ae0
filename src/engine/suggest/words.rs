//! What a word of a tag is.

pub fn is_separator(c: char) -> bool {
    matches!(c, '_' | '(' | ')' | '-' | ':' | '/' | ' ')
}

/// The words of a value, each with the byte it starts at.
pub fn words(value: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    value.split(is_separator).filter_map(move |word| {
        let start = at;
        // Every separator is one byte.
        at += word.len() + 1;
        (!word.is_empty()).then_some((start, word))
    })
}
