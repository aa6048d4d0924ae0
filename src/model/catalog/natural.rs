//! The order in which people read names: numbers by value (`2` before `10`), letters
//! without case.

use std::cmp::Ordering;

/// Texts that are equal so far compare as they are.
pub fn natural_cmp(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let ((part, rest), (other, other_rest)) = (split_run(left), split_run(right));
        let ordering = if is_number(part) && is_number(other) {
            let (part, other) = (part.trim_start_matches('0'), other.trim_start_matches('0'));
            part.len().cmp(&other.len()).then_with(|| part.cmp(other))
        } else {
            part.chars()
                .flat_map(char::to_lowercase)
                .cmp(other.chars().flat_map(char::to_lowercase))
        };
        if ordering.is_ne() {
            return ordering;
        }
        if rest.is_empty() && other_rest.is_empty() {
            return a.cmp(b);
        }
        (left, right) = (rest, other_rest);
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The digits, or the other characters, that a text starts with.
fn split_run(text: &str) -> (&str, &str) {
    let is_number = is_number(text);
    let end = text
        .find(|c: char| c.is_ascii_digit() != is_number)
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What stands for the end of a run of letters, and before a character that small.
const END: u8 = 0;
const SMALL: u8 = 1;
/// What stands before the length of a number that has no room in one byte.
const LONG: u8 = u8::MAX;

/// Appends bytes that compare as the text does in [`natural_cmp`], as long as it need
/// not compare texts as they are. Says whether the text is plain: of two such with the
/// same bytes the texts are the same.
pub fn natural_key(text: &str, out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    let mut is_plain = true;
    while !rest.is_empty() {
        let (part, after) = split_run(rest);
        if is_number(part) {
            // A number stands where a digit would, and the longer one is larger.
            out.push(b'0');
            let digits = part.trim_start_matches('0');
            is_plain &= digits.len() == part.len();
            match u8::try_from(digits.len()) {
                Ok(length) if length < LONG => out.push(length),
                _ => {
                    out.push(LONG);
                    out.extend((digits.len() as u64).to_be_bytes());
                }
            }
            out.extend_from_slice(digits.as_bytes());
        } else if part.is_ascii() {
            for byte in part.bytes() {
                if byte <= SMALL {
                    out.push(SMALL);
                }
                is_plain &= !byte.is_ascii_uppercase();
                out.push(byte.to_ascii_lowercase());
            }
            if !after.is_empty() {
                out.push(END);
            }
        } else {
            is_plain &= part.chars().all(|c| c.to_lowercase().eq([c]));
            for c in part.chars().flat_map(char::to_lowercase) {
                if u32::from(c) <= u32::from(SMALL) {
                    out.push(SMALL);
                }
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            if !after.is_empty() {
                out.push(END);
            }
        }
        rest = after;
    }
    is_plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_compare_as_names_do(
            a in "([aAbB!~\u{0}\u{1}\u{2}é]|0{1,3}|[0-9]{1,2}){0,6}",
            b in "([aAbB!~\u{0}\u{1}\u{2}é]|0{1,3}|[0-9]{1,2}){0,6}",
        ) {
            let key = |text: &str| {
                let mut key = Vec::new();
                let is_plain = natural_key(text, &mut key);
                (key, is_plain)
            };
            let ((key_a, a_is_plain), (key_b, b_is_plain)) = (key(&a), key(&b));
            if key_a == key_b && a_is_plain && b_is_plain {
                prop_assert_eq!(&a, &b);
            }
            let by_keys = key_a.cmp(&key_b).then_with(|| a.cmp(&b));
            prop_assert_eq!(by_keys, natural_cmp(&a, &b));
        }
    }

    #[test]
    fn names_stand_in_natural_order() {
        let mut names = ["img10", "IMG2", "img1", "b", "img02", "a10b", "a9c", ""];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(
            names,
            ["", "a9c", "a10b", "b", "img1", "IMG2", "img02", "img10"]
        );
    }

    #[test]
    fn numbers_compare_by_value_however_long() {
        let long = "9".repeat(300);
        let mut names = [long.as_str(), "x10", "X9", "x2", "x", "x02"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, [long.as_str(), "x", "x02", "x2", "X9", "x10"]);
        let key = |text: &str| {
            let mut key = Vec::new();
            natural_key(text, &mut key);
            key
        };
        assert!(names.is_sorted_by_key(|name| (key(name), *name)));
        assert!(key(&"9".repeat(254)) < key(&"1".repeat(255)));
        assert!(key(&"9".repeat(255)) < key(&long));
    }
}
