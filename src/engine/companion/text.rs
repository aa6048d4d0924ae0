//! Text beside a picture: tag lists by line or comma, captions, links, notes.

use serde_json::json;

use crate::model::{
    media::{Media, Rating},
    tag::{GENERAL, Tag},
};

use super::post::{add_outside_tags, add_urls, outside_tag};

/// The provenance of tags that came from a text file.
const SRC: &str = "import:txt";

/// Words in a line from which on it is prose, not a tag.
const PROSE_WORDS: usize = 12;

/// A `.txt` or `.caption`: a list of tags by line (hydrus, gallery-dl) or by comma
/// (boorus, training sets), or a caption.
pub(super) fn caption_or_tags(text: &str) -> Media {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines[..] {
        [] => Media::default(),
        [line] if line.contains(',') && !is_sentence(line) => comma_tags(line),
        [line] if words(line) <= 3 && !ends_sentence(line) => tag_lines(line),
        [_] => caption(text),
        _ if lines.iter().any(|line| words(line) > PROSE_WORDS) => caption(text),
        // Training sets keep alternatives, one a line, of which one is drawn at a time.
        _ if lines.iter().any(|line| line.matches(',').count() >= 2) => Media {
            caption: lines[0].to_owned(),
            captions: lines
                .iter()
                .map(|line| json!({"kind": "tags", "text": line, "src": SRC}))
                .collect(),
            ..Media::default()
        },
        _ => tag_lines(text),
    }
}

/// One tag a line; the part before the first colon is its namespace.
pub(super) fn tag_lines(text: &str) -> Media {
    let mut media = Media::default();
    let mut tags = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (namespace, value) = split_namespace(line);
        match namespace.to_lowercase().as_str() {
            "rating" => {
                if let Some(rating) = rating(value) {
                    media.rating = media.rating.max(Some(rating));
                    media.rating_src = Some(SRC.to_owned());
                }
            }
            "title" if media.name.is_empty() => media.name = clean(value),
            "artist" | "creator" => tags.extend(outside_tag("artist", value, SRC)),
            "series" | "studio" => tags.extend(outside_tag("copyright", value, SRC)),
            "person" => tags.extend(outside_tag("character", value, SRC)),
            "medium" => tags.extend(outside_tag("meta", value, SRC)),
            other => tags.extend(outside_tag(other, value, SRC)),
        }
    }
    add_outside_tags(&mut media, tags);
    media
}

/// One link a line.
pub(super) fn urls(text: &str) -> Media {
    let mut media = Media::default();
    add_urls(&mut media, text);
    media
}

/// `name: text` by line; `:\ ` inside a name stands for a colon and a space.
pub(super) fn notes(text: &str) -> Media {
    let notes = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, text) = line.split_once(": ").unwrap_or(("note", line));
            json!({"name": name.replace(":\\ ", ": "), "text": text})
        })
        .collect();
    Media {
        notes,
        ..Media::default()
    }
}

fn comma_tags(line: &str) -> Media {
    let mut media = Media::default();
    let tags: Vec<Tag> = line
        .split(',')
        .filter_map(|value| outside_tag(GENERAL, value, SRC))
        .collect();
    add_outside_tags(&mut media, tags);
    media
}

fn caption(text: &str) -> Media {
    Media {
        caption: text.trim().replace("\r\n", "\n"),
        ..Media::default()
    }
}

/// An empty namespace is written as a leading colon when the tag itself has one.
fn split_namespace(line: &str) -> (&str, &str) {
    match line.split_once(':') {
        Some(("", rest)) if rest.contains(':') => ("", rest),
        Some(("", _)) | None => ("", line),
        Some((_, rest)) if rest.trim().is_empty() => ("", line),
        Some((namespace, rest)) => (namespace.trim(), rest.trim()),
    }
}

/// Ratings in words only: a letter means different things on different sites.
fn rating(word: &str) -> Option<Rating> {
    match word.trim().to_lowercase().as_str() {
        "safe" | "general" => Some(Rating::General),
        "sensitive" => Some(Rating::Sensitive),
        "questionable" => Some(Rating::Questionable),
        "explicit" => Some(Rating::Explicit),
        _ => None,
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn words(line: &str) -> usize {
    line.split_whitespace().count()
}

fn ends_sentence(line: &str) -> bool {
    line.ends_with(['.', '!', '?', '。'])
}

/// Whether a line with commas is prose all the same.
fn is_sentence(line: &str) -> bool {
    let longest = line.split(',').map(words).max().unwrap_or(0);
    longest > PROSE_WORDS || (ends_sentence(line) && longest > 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(media: &Media) -> Vec<String> {
        media
            .tags
            .iter()
            .map(|tag| tag.name().to_string())
            .collect()
    }

    #[test]
    fn a_text_is_a_list_by_line_a_list_by_comma_or_a_caption() {
        for (text, expected_tags, expected_caption) in [
            ("", &[][..], ""),
            (
                "1girl, long hair,, solo\n",
                &["1girl", "long_hair", "solo"],
                "",
            ),
            (
                "fox\ncreator:Jane Doe\nseries:x",
                &["fox", "artist:jane_doe", "copyright:x"],
                "",
            ),
            ("landscape", &["landscape"], ""),
            (
                "A red house stands in the snow.",
                &[],
                "A red house stands in the snow.",
            ),
            (
                "A red house stands in the snow, seen from far above.",
                &[],
                "A red house stands in the snow, seen from far above.",
            ),
            ("a house in the snow", &[], "a house in the snow"),
            ("cat, hat, mat\ndog, log, fog", &[], "cat, hat, mat"),
            ("::p\n:d\npage:", &[":p", ":d", "page:"], ""),
        ] {
            let media = caption_or_tags(text);
            assert_eq!(tags(&media), expected_tags, "{text:?}");
            assert_eq!(media.caption, expected_caption, "{text:?}");
        }
    }

    #[test]
    fn namespaces_become_ratings_names_and_categories() {
        let media = tag_lines("rating:safe\ntitle:Dawn\npage:3\nunknown:thing");
        assert_eq!(media.rating, Some(Rating::General));
        assert_eq!(media.name, "Dawn");
        assert_eq!(tags(&media), ["page:3", "unknown:thing"]);
    }

    #[test]
    fn control_characters_and_floods_of_tags_do_not_come_in() {
        let media = tag_lines("a\x1b[2Jb");
        assert_eq!(tags(&media), ["a[2jb"]);
        let flood: Vec<String> = (0..5_000).map(|n| format!("tag{n}")).collect();
        assert_eq!(
            tag_lines(&flood.join("\n")).tags.len(),
            super::super::post::MAX_TAGS
        );
    }

    #[test]
    fn links_and_notes_are_read_by_line() {
        let media = urls("https://a.example/1\nnot a link\n\nhttp://b.example\n");
        assert_eq!(media.urls, ["https://a.example/1", "http://b.example"]);
        let media = notes("artist:\\ says: hello\nplain");
        assert_eq!(media.notes[0]["name"], "artist: says");
        assert_eq!(media.notes[1], json!({"name": "note", "text": "plain"}));
    }
}
