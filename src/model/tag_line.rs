//! The language of the quick tag prompt and of bulk edits on the command line:
//! `foo +foo -foo char:foo foo#3 rating:s fav stars:4 parent:ID url:… caption:"…"
//! old>new`, separated by commas when the line has one, else by white space.
//!
//! Invariant: the whole line is read before anything applies.

use std::ops::Range;

use super::{
    edit::Edit,
    id::MediaId,
    media::Rating,
    tag::{BUILT_IN_CATEGORIES, GENERAL, Tag, TagName, USER, normalize, normalize_category},
};

/// Why a line is no list of edits, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TagLineError {
    pub message: String,
    /// Bytes of the line.
    pub span: Range<usize>,
}

/// The edits a line asks for. `resolve` gives the category under which the library
/// knows a normalised tag value; `now` is RFC 3339.
pub fn parse_tag_line(
    line: &str,
    resolve: &dyn Fn(&str) -> Option<String>,
    now: &str,
) -> Result<Vec<Edit>, TagLineError> {
    let reader = Reader { resolve, now };
    let mut edits = Vec::new();
    for span in items(line)? {
        let item = line.get(span.clone()).unwrap_or_default();
        reader
            .item(item, &mut edits)
            .map_err(|message| TagLineError { message, span })?;
    }
    Ok(edits)
}

/// Where the items of a line stand; separators in quotes are text.
fn items(line: &str) -> Result<Vec<Range<usize>>, TagLineError> {
    let mut commas = Vec::new();
    let mut blanks = Vec::new();
    let mut quote: Option<(usize, char)> = None;
    let mut is_escaped = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some((_, end)) => {
                if c == end && !is_escaped {
                    quote = None;
                }
                is_escaped = c == '\\' && !is_escaped;
            }
            // A quote opens where a value or an item starts; elsewhere it is text.
            None if c == '"' && (before.is_whitespace() || ":,+->".contains(before)) => {
                quote = Some((at, c));
                is_escaped = false;
            }
            None if c == ',' => commas.push(at..at + 1),
            None if c.is_whitespace() => blanks.push(at..at + c.len_utf8()),
            None => {}
        }
        before = c;
    }
    if let Some((at, _)) = quote {
        return Err(TagLineError {
            message: "unclosed quote".to_owned(),
            span: at..line.len(),
        });
    }
    let separators = if commas.is_empty() { blanks } else { commas };
    let mut start = 0;
    let mut found = Vec::new();
    for separator in separators
        .into_iter()
        .chain(std::iter::once(line.len()..line.len()))
    {
        let item = line.get(start..separator.start).unwrap_or_default();
        let trimmed = item.trim_start();
        let from = start + item.len() - trimmed.len();
        let trimmed = trimmed.trim_end();
        if !trimmed.is_empty() {
            found.push(from..from + trimmed.len());
        }
        start = separator.end;
    }
    Ok(found)
}

struct Reader<'a> {
    resolve: &'a dyn Fn(&str) -> Option<String>,
    now: &'a str,
}

impl Reader<'_> {
    fn item(&self, item: &str, edits: &mut Vec<Edit>) -> Result<(), String> {
        let (is_removal, rest) = match item.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, item.strip_prefix('+').unwrap_or(item).trim_start()),
        };
        if rest.is_empty() {
            return Err(format!("a tag is missing after {item:?}"));
        }
        if rest.eq_ignore_ascii_case("fav") {
            edits.push(Edit::SetFav(!is_removal));
            return Ok(());
        }
        if let Some((key, value)) = rest.split_once(':')
            && let Some(edit) = setting(&key.to_lowercase(), value.trim(), is_removal)
        {
            edits.push(edit?);
            return Ok(());
        }
        if let Some(number) = rest.strip_prefix('@')
            && matches!(number.as_bytes(), [b'1'..=b'9'])
            && !is_removal
        {
            return Err(format!("there is no saved script @{number}"));
        }
        if is_removal {
            return self.remove(rest, edits);
        }
        if let Some((old, new)) = rest.split_once('>')
            && !old.trim().is_empty()
            && !new.trim().is_empty()
            && !self.is_known(rest)
        {
            return self.rename(old.trim(), new.trim(), edits);
        }
        if let Some((name, digits)) = rest.rsplit_once('#')
            && !name.is_empty()
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !self.is_known(rest)
        {
            // People count from one.
            let position = digits.parse::<usize>().unwrap_or(usize::MAX).max(1) - 1;
            return self.add(name, Some(position), edits);
        }
        self.add(rest, None, edits)
    }

    fn is_known(&self, text: &str) -> bool {
        (self.resolve)(&normalize(text)).is_some()
    }

    fn tag(&self, category: &str, value: &str) -> Tag {
        Tag {
            src: Some(USER.to_owned()),
            at: Some(self.now.to_owned()),
            ..Tag::new(category, value)
        }
    }

    /// The category a text names, if any, and its value. A prefix is a category
    /// unless the whole is a tag the library knows, or in quotes.
    fn split(&self, text: &str) -> Result<(Option<String>, String), String> {
        let (category, value) = match text.split_once(':') {
            Some((category, value))
                if is_category_name(category) && !value.is_empty() && !self.is_known(text) =>
            {
                (Some(normalize_category(category)), value)
            }
            _ => (None, text),
        };
        let value = unquote(value);
        let normal = normalize(&value);
        if normal.is_empty() {
            return Err(format!("{text:?} is no tag"));
        }
        if value.chars().any(char::is_control) {
            return Err("a tag cannot hold control characters".to_owned());
        }
        Ok((category, value))
    }

    fn add(
        &self,
        text: &str,
        position: Option<usize>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), String> {
        let (given, value) = self.split(text)?;
        let known = (self.resolve)(&normalize(&value));
        let category = given.clone().or_else(|| known.clone());
        let tag = self.tag(category.as_deref().unwrap_or(GENERAL), &value);
        let name = tag.name();
        if given.is_some() {
            // One that is there under the category where it usually stands moves.
            for other in [known.as_deref().unwrap_or(GENERAL), GENERAL] {
                let from = TagName::new(other, &value);
                let rename = Edit::RenameTag {
                    from: from.clone(),
                    to: tag.clone(),
                };
                if from != name && !edits.contains(&rename) {
                    edits.push(rename);
                }
            }
        }
        edits.push(Edit::AddTag { tag, position });
        if let Some(to) = position {
            edits.push(Edit::MoveTag { name, to });
        }
        Ok(())
    }

    /// Without a category, the tag goes wherever it stands.
    fn remove(&self, text: &str, edits: &mut Vec<Edit>) -> Result<(), String> {
        let (given, value) = self.split(text)?;
        let categories = given.map_or_else(
            || {
                let known = (self.resolve)(&normalize(&value));
                let mut categories: Vec<String> = known.into_iter().collect();
                for category in std::iter::once(GENERAL).chain(BUILT_IN_CATEGORIES) {
                    if !categories.iter().any(|known| known == category) {
                        categories.push(category.to_owned());
                    }
                }
                categories
            },
            |given| vec![given],
        );
        edits.extend(categories.iter().map(|category| Edit::RemoveTag {
            name: TagName::new(category, &value),
            at: self.now.to_owned(),
        }));
        Ok(())
    }

    fn rename(&self, old: &str, new: &str, edits: &mut Vec<Edit>) -> Result<(), String> {
        let (old_category, old) = self.split(old)?;
        let (new_category, new) = self.split(new)?;
        let resolve = |value: &str| (self.resolve)(&normalize(value));
        let from = old_category
            .or_else(|| resolve(&old))
            .unwrap_or_else(|| GENERAL.to_owned());
        let to = new_category
            .or_else(|| resolve(&new))
            .unwrap_or_else(|| from.clone());
        edits.push(Edit::RenameTag {
            from: TagName::new(&from, &old),
            to: self.tag(&to, &new),
        });
        Ok(())
    }
}

/// The edit of an item that is no tag, or `None` when the key is none.
fn setting(key: &str, value: &str, is_removal: bool) -> Option<Result<Edit, String>> {
    let text = unquote(value);
    let is_none = text.is_empty() || text == "none";
    Some(match key {
        "rating" if is_removal || is_none => Ok(Edit::SetRating {
            rating: None,
            src: Some(USER.to_owned()),
        }),
        "rating" => text
            .parse::<Rating>()
            .map(|rating| Edit::SetRating {
                rating: Some(rating),
                src: Some(USER.to_owned()),
            })
            .map_err(|_| "rating takes g, s, q, e or none".to_owned()),
        "stars" if is_removal || is_none => Ok(Edit::SetStars(0)),
        "stars" => match text.parse() {
            Ok(stars @ 0..=5) => Ok(Edit::SetStars(stars)),
            _ => Err("stars takes a number from 0 to 5".to_owned()),
        },
        "parent" => match text.parse::<MediaId>() {
            Ok(_) if is_removal => Ok(Edit::RemoveRelation {
                relation: key.to_owned(),
                id: text,
            }),
            Ok(_) => Ok(Edit::AddRelation {
                relation: key.to_owned(),
                id: text,
            }),
            Err(_) => Err("parent takes the id of a medium".to_owned()),
        },
        "url" if text.is_empty() || text.chars().any(char::is_control) => {
            Err("url takes an address".to_owned())
        }
        "url" if is_removal => Ok(Edit::RemoveUrl(text)),
        "url" => Ok(Edit::AddUrl(text)),
        "caption" if is_removal => Ok(Edit::SetCaption(String::new())),
        "caption" => Ok(Edit::SetCaption(text)),
        "project" => Err("projects cannot be changed in this version".to_owned()),
        _ => return None,
    })
}

/// Letters, digits and underscores: what a category looks like. An address or an
/// emoticon does not.
fn is_category_name(text: &str) -> bool {
    text.starts_with(char::is_alphabetic)
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !matches!(text, "http" | "https")
}

/// The text inside quotes, without escapes; any other text as it is.
fn unquote(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ ('"' | '\\')) if c == '\\' => {
                plain.push(*next);
                chars.next();
            }
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{edit::apply_all, media::Media};

    fn resolve(value: &str) -> Option<String> {
        match value {
            "holo" => Some("character".to_owned()),
            "foo#9" | "a>b" | "re:zero" => Some("copyright".to_owned()),
            "fox" => Some("general".to_owned()),
            _ => None,
        }
    }

    /// What a line makes of a medium with the tags `fox` and `artist:lynx`.
    fn apply(line: &str) -> Media {
        let mut media = Media {
            tags: vec![Tag::new("", "fox"), Tag::new("artist", "lynx")],
            ..Media::default()
        };
        let edits = parse_tag_line(line, &resolve, "now").unwrap_or_else(|e| panic!("{line}: {e}"));
        apply_all(&edits, &mut media);
        media
    }

    #[test]
    fn tags_are_added_removed_moved_and_renamed() {
        for (line, expected) in [
            ("", &["fox", "artist:lynx"][..]),
            ("cat", &["fox", "artist:lynx", "cat"]),
            ("+cat -fox", &["artist:lynx", "cat"]),
            ("-lynx", &["fox"]),
            ("-char:lynx", &["fox", "artist:lynx"]),
            ("holo", &["fox", "artist:lynx", "character:holo"]),
            (
                "blue hair, cat",
                &["fox", "artist:lynx", "blue_hair", "cat"],
            ),
            (
                "\"blue hair\" cat",
                &["fox", "artist:lynx", "blue_hair", "cat"],
            ),
            ("char:fox", &["character:fox", "artist:lynx"]),
            (
                "char:\"two words\"",
                &["fox", "artist:lynx", "character:two_words"],
            ),
            ("costume:hat", &["fox", "artist:lynx", "costume:hat"]),
            ("re:zero", &["fox", "artist:lynx", "copyright:re:zero"]),
            ("\"x:y\"", &["fox", "artist:lynx", "x:y"]),
            (":3", &["fox", "artist:lynx", ":3"]),
            ("cat#1", &["cat", "fox", "artist:lynx"]),
            ("fox#2", &["artist:lynx", "fox"]),
            ("foo#9", &["fox", "artist:lynx", "copyright:foo#9"]),
            ("c#", &["fox", "artist:lynx", "c#"]),
            ("fox>wolf", &["wolf", "artist:lynx"]),
            ("fox>char:wolf", &["character:wolf", "artist:lynx"]),
            ("artist:lynx>lynn", &["fox", "artist:lynn"]),
            ("a>b", &["fox", "artist:lynx", "copyright:a>b"]),
            (">:)", &["fox", "artist:lynx", ">:)"]),
        ] {
            let media = apply(line);
            let tags: Vec<String> = media
                .tags
                .iter()
                .map(|tag| tag.name().to_string())
                .collect();
            assert_eq!(tags, expected, "{line}");
        }
    }

    #[test]
    fn settings_are_understood() {
        let media = apply(
            "rating:s fav stars:4 parent:ab12 url:https://x.example/?a=b caption:\"red, \\\"car\\\"\"",
        );
        assert_eq!(media.rating, Some(Rating::Sensitive));
        assert!(media.fav);
        assert_eq!(media.stars, 4);
        assert_eq!(media.related("parent"), ["ab12"]);
        assert_eq!(media.urls, ["https://x.example/?a=b"]);
        assert_eq!(media.caption, "red, \"car\"");
        assert_eq!(media.tags.len(), 2);
        assert!(!apply("fav -fav").fav);
        assert_eq!(apply("rating:e rating:none").rating, None);
    }

    #[test]
    fn errors_say_where() {
        for (line, span) in [
            ("cat rating:x", 4..12),
            ("stars:6", 0..7),
            ("a, project:x", 3..12),
            ("a -", 2..3),
            ("a caption:\"b", 10..12),
            ("@1", 0..2),
        ] {
            let error = parse_tag_line(line, &resolve, "now").unwrap_err();
            assert_eq!(error.span, span, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[-+:,>#@\" \\\\a-c1é]{0,24}") {
            if let Err(error) = parse_tag_line(&line, &resolve, "now") {
                prop_assert!(error.span.end <= line.len());
            }
        }
    }
}
