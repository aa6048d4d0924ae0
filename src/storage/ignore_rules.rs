//! `.tagloupeignore`: which files of an in-place library are left alone, in the
//! language of gitignore (`*`, `?`, `[a-z]`, `**`, `/` at either end, `!`, `#`).

use std::path::Path;

use super::files;

/// A file of rules is small; a larger one is something else.
const MAX_BYTES: usize = 1 << 20;

/// The rules of one library, the last match deciding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IgnoreRules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Parts between slashes; `**` stands for any number of parts.
    parts: Vec<String>,
    is_negated: bool,
    only_folders: bool,
}

impl IgnoreRules {
    /// The rules in the root of a library; none when there is no such file.
    pub(super) fn read(root: &Path) -> Self {
        let bytes = files::read(&root.join(".tagloupeignore"), MAX_BYTES);
        match bytes {
            Ok(Some((bytes, _))) => Self::parse(&String::from_utf8_lossy(&bytes)),
            _ => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Rule::parse).collect())
    }

    /// Whether nothing is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a library-relative path is left out. Files in a folder that is left
    /// out are never asked about.
    pub(super) fn ignores(&self, path: &str, is_folder: bool) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.0
            .iter()
            .rev()
            .find(|rule| (is_folder || !rule.only_folders) && matches(&rule.parts, &parts))
            .is_some_and(|rule| !rule.is_negated)
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (line, is_negated) = match line.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (line.strip_prefix('\\').unwrap_or(line), false),
        };
        let (line, only_folders) = match line.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        // Without a slash in front or inside, a rule matches at any depth.
        let is_anchored = line.contains('/');
        let mut parts: Vec<String> = line
            .trim_start_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect();
        if !is_anchored {
            parts.insert(0, "**".to_owned());
        }
        Some(Self {
            parts,
            is_negated,
            only_folders,
        })
    }
}

fn matches(rule: &[String], path: &[&str]) -> bool {
    match rule.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => {
            if rest.is_empty() {
                return !path.is_empty();
            }
            (0..=path.len()).any(|skipped| matches(rest, &path[skipped..]))
        }
        Some((first, rest)) => path.split_first().is_some_and(|(part, path)| {
            matches_part(
                &first.chars().collect::<Vec<_>>(),
                &part.chars().collect::<Vec<_>>(),
            ) && matches(rest, path)
        }),
    }
}

/// One part of a path against one part of a rule. Goes back to the last `*` only,
/// so that no rule takes more than length times length steps.
fn matches_part(rule: &[char], text: &[char]) -> bool {
    let (mut r, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if rule.get(r) == Some(&'*') {
            star = Some((r, t));
            r += 1;
        } else if let Some(next) = matches_char(rule, r, text[t]) {
            r = next;
            t += 1;
        } else if let Some((star_r, star_t)) = star {
            r = star_r + 1;
            t = star_t + 1;
            star = Some((star_r, t));
        } else {
            return false;
        }
    }
    rule[r..].iter().all(|c| *c == '*')
}

/// Where the rule goes on after it matched one character.
fn matches_char(rule: &[char], at: usize, c: char) -> Option<usize> {
    match *rule.get(at)? {
        '?' => Some(at + 1),
        '\\' => (rule.get(at + 1) == Some(&c)).then_some(at + 2),
        '[' => {
            let (is_negated, start) = match rule.get(at + 1) {
                Some('!' | '^') => (true, at + 2),
                _ => (false, at + 1),
            };
            let end = start + 1 + rule.get(start + 1..)?.iter().position(|c| *c == ']')?;
            let class = &rule[start..end];
            let mut found = false;
            let mut i = 0;
            while i < class.len() {
                if class.get(i + 1) == Some(&'-') && i + 2 < class.len() {
                    found |= (class[i]..=class[i + 2]).contains(&c);
                    i += 3;
                } else {
                    found |= class[i] == c;
                    i += 1;
                }
            }
            (found != is_negated).then_some(end + 1)
        }
        literal => (literal == c).then_some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_as_in_git() {
        let rules = IgnoreRules::parse(
            "# comment\n*.gif\nraw/\n/top.png\na/**/z.png\n!keep.gif\nimg[0-3]?.jpg\n\\#odd\n",
        );
        for (path, is_folder, expected) in [
            ("x.gif", false, true),
            ("deep/er/x.gif", false, true),
            ("keep.gif", false, false),
            ("raw", true, true),
            ("raw", false, false),
            ("sub/raw", true, true),
            ("top.png", false, true),
            ("sub/top.png", false, false),
            ("a/z.png", false, true),
            ("a/b/c/z.png", false, true),
            ("b/z.png", false, false),
            ("img2x.jpg", false, true),
            ("img4x.jpg", false, false),
            ("#odd", false, true),
        ] {
            assert_eq!(rules.ignores(path, is_folder), expected, "{path}");
        }
    }

    #[test]
    fn a_hostile_rule_costs_little() {
        let rules = IgnoreRules::parse(&"*a".repeat(200));
        assert!(!rules.ignores(&"a".repeat(150), false));
    }
}
