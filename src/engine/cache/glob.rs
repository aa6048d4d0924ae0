//! Patterns over cache keys: the same on every backend, which is why none of them
//! matches by itself.

/// The part of a pattern before anything that is not literal, its escapes undone:
/// what every match begins with.
pub fn literal_prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' => break,
            '\\' => prefix.extend(characters.next()),
            literal => prefix.push(literal),
        }
    }
    prefix
}

/// Whether the whole text matches: `*` is any text, `?` one character, `\` takes
/// the next character literally. Takes at most pattern times text steps.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // After the last star: where to go on when a later part does not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('\\') if pattern.get(p + 1) == Some(&text[t]) => Some(2),
            Some('\\') => None,
            Some(c) if *c == text[t] => Some(1),
            _ => None,
        };
        if let Some(step) = step {
            p += step;
            t += 1;
        } else if let Some((after_star, at)) = retry {
            p = after_star;
            t = at + 1;
            retry = Some((after_star, at + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_match_begins_with_is_known_from_the_pattern() {
        for (pattern, expected) in [
            ("*", ""),
            ("thumb:a*:b", "thumb:a"),
            ("a?b", "a"),
            ("a\\*b*", "a*b"),
            ("a", "a"),
            ("a\\", "a"),
        ] {
            assert_eq!(literal_prefix(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn globs_match_whole_keys() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a*b*c", "aXbYbZc", true),
            ("?", "é", true),
            ("?", "", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("**a", "ba", true),
            ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
