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

/// The text as a pattern that nothing else matches.
pub fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Patterns of which no two match the same text, since what is literal at the beginning
/// of each ends otherwise: to find out in one walk which keys match any of them.
pub struct Globs<'p> {
    /// Each behind its [`literal_prefix`], in their order.
    sorted: Vec<(String, &'p str)>,
}

impl<'p> Globs<'p> {
    pub fn new(patterns: &'p [String]) -> Self {
        let with_prefix = |pattern: &'p String| (literal_prefix(pattern), pattern.as_str());
        let mut sorted: Vec<_> = patterns.iter().map(with_prefix).collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// A pattern that everything matches which one of them does; `None` without any.
    pub fn common(&self) -> Option<String> {
        let ((first, _), (last, _)) = (self.sorted.first()?, self.sorted.last()?);
        let both = first.chars().zip(last.chars());
        let common: String = both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
        Some(format!("{}*", escaped(&common)))
    }

    /// Whether one of them matches.
    pub fn matches(&self, text: &str) -> bool {
        let behind = self
            .sorted
            .partition_point(|(prefix, _)| prefix.as_str() <= text);
        let candidate = behind.checked_sub(1).map(|at| self.sorted[at].1);
        candidate.is_some_and(|pattern| matches_glob(pattern, text))
    }
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
    fn many_patterns_match_what_one_of_them_does() {
        let patterns = ["x:b\\*:*", "x:a:*", "x:abc:*", "x:ab:*"].map(str::to_owned);
        let globs = Globs::new(&patterns);
        assert_eq!(globs.common().as_deref(), Some("x:*"));
        for text in [
            "x:a:1",
            "x:ab:",
            "x:abc:1:2",
            "x:b*:1",
            "x:b:1",
            "x:bc:1",
            "x:a",
            "x:abd:1",
            "y",
            "",
        ] {
            let expected = patterns.iter().any(|pattern| matches_glob(pattern, text));
            assert_eq!(globs.matches(text), expected, "{text}");
        }
        let one = ["a\\*b:*".to_owned()];
        assert_eq!(Globs::new(&one).common().as_deref(), Some("a\\*b:*"));
        assert!(Globs::new(&[]).common().is_none() && !Globs::new(&[]).matches("a"));
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
