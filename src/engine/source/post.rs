//! A post: what a site says of a picture, as JSON, however it came here, and how that
//! becomes part of a [`Media`].
//!
//! Rating letters are never taken by letter alone: `s` is sensitive on some sites and
//! safe on others. Nothing of a site is taken over unbounded, nor with control
//! characters in it.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::settings::SiteKind;
use crate::model::{
    edit::Edit,
    media::{Media, Rating},
    tag::{GENERAL, Tag, TagName, category_order, normalize},
};

pub type Object = Map<String, Value>;

/// Tags by category, in the order in which categories are shown.
pub type Grouped = Vec<(String, Vec<String>)>;

/// More tags than this are no tags of one picture.
pub const MAX_TAGS: usize = 2_000;
/// More links than this are none of one picture.
const MAX_URLS: usize = 1_000;
/// Longer words are no tags.
pub const MAX_TAG_BYTES: usize = 512;
const MAX_URL_BYTES: usize = 4_096;
/// More categories than this are none; what is beyond is general.
const MAX_CATEGORIES: usize = 32;
pub const MAX_CATEGORY_BYTES: usize = 40;
/// Of an id and of a number, which may have any number of digits.
const MAX_DIGITS: usize = 40;
const MAX_FACT_CHARS: usize = 1_000;

/// Sites by the names that gallery-dl gives them.
const NAMES: [(SiteKind, &[&str]); 5] = [
    (
        SiteKind::Danbooru,
        &["danbooru", "aibooru", "atfbooru", "booruvar"],
    ),
    (SiteKind::Gelbooru, &["gelbooru"]),
    (SiteKind::Dapi, &["safebooru", "rule34", "tbib"]),
    (SiteKind::E621, &["e621", "e926", "e6ai"]),
    (
        SiteKind::Moebooru,
        &[
            "yandere",
            "yande.re",
            "konachan",
            "sakugabooru",
            "lolibooru",
            "3dbooru",
        ],
    ),
];

/// What kind of site goes by this name.
pub fn kind_of(site: &str) -> Option<SiteKind> {
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&site))
        .map(|(kind, _)| *kind)
}

/// Our category of what a site calls a group of tags; `None` drops the group. Names
/// that mean the same everywhere, and those that nobody knows, stand for themselves.
fn category(group: &str, kind: Option<SiteKind>) -> Option<&str> {
    Some(match (kind, group) {
        (Some(SiteKind::E621), "contributor") | (Some(SiteKind::Moebooru), "circle") => "artist",
        (Some(SiteKind::E621), "invalid") => return None,
        (Some(SiteKind::Moebooru), "style" | "faults") | (_, "metadata") => "meta",
        (Some(SiteKind::Gelbooru | SiteKind::Dapi), "tag" | "deprecated") => GENERAL,
        _ => {
            let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
            if group.len() > MAX_CATEGORY_BYTES || !group.chars().all(is_plain) {
                GENERAL
            } else {
                group
            }
        }
    })
}

/// Words are the same everywhere, letters by the kind of the site.
pub fn rating(word: &str, kind: Option<SiteKind>) -> Option<Rating> {
    match word.trim().to_lowercase().as_str() {
        "g" | "general" | "safe" => Some(Rating::General),
        "sensitive" => Some(Rating::Sensitive),
        "q" | "questionable" | "sketchy" => Some(Rating::Questionable),
        "e" | "explicit" | "unsafe" => Some(Rating::Explicit),
        "s" => kind.map(|kind| match kind {
            SiteKind::Danbooru | SiteKind::Gelbooru => Rating::Sensitive,
            SiteKind::E621 | SiteKind::Moebooru | SiteKind::Dapi => Rating::General,
        }),
        _ => None,
    }
}

/// The tags of a post, from groups where it has any, else from one of the `plain` lists.
pub fn tags(post: &Object, kind: Option<SiteKind>, plain: &[&str]) -> Grouped {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (key, value) in post {
        let group = key
            .strip_prefix("tags_")
            .or_else(|| key.strip_prefix("tag_string_"));
        if let Some(group) = group {
            groups.push((group, values(value)));
        }
    }
    if let Some(Value::Object(inner)) = post.get("tags") {
        groups.extend(
            inner
                .iter()
                .map(|(group, value)| (group.as_str(), values(value))),
        );
    }
    let grouped = grouped(groups, kind);
    if !grouped.is_empty() {
        return grouped;
    }
    let plain = plain.iter().find_map(|key| post.get(*key));
    self::grouped([(GENERAL, plain.map(values).unwrap_or_default())], kind)
}

/// Groups of tags as a site names them, by our categories.
pub fn grouped<'g>(
    groups: impl IntoIterator<Item = (&'g str, Vec<String>)>,
    kind: Option<SiteKind>,
) -> Grouped {
    let mut grouped = Grouped::new();
    for (group, values) in groups {
        let Some(category) = category(group, kind) else {
            continue;
        };
        let mut values: Vec<String> = values
            .into_iter()
            .filter(|value| value.len() <= MAX_TAG_BYTES)
            .map(|value| without_control(value.trim()))
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() {
            continue;
        }
        let place = |wanted: &str| grouped.iter().position(|(known, _)| known == wanted);
        match place(category) {
            Some(place) => grouped[place].1.append(&mut values),
            None if grouped.len() < MAX_CATEGORIES => grouped.push((category.to_owned(), values)),
            None => match place(GENERAL) {
                Some(place) => grouped[place].1.append(&mut values),
                None => grouped.push((GENERAL.to_owned(), values)),
            },
        }
    }
    grouped.sort_by(|(a, _), (b, _)| category_order(a).cmp(&category_order(b)));
    let mut room = MAX_TAGS;
    for (_, values) in &mut grouped {
        values.truncate(room);
        room -= values.len();
    }
    grouped.retain(|(_, values)| !values.is_empty());
    grouped
}

/// A list, or one text split at `, ` or else at white space. Of a translated tag
/// the translation.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(item).collect(),
        Value::String(text) if text.contains(", ") => text.split(", ").map(str::to_owned).collect(),
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn item(item: &Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text.clone()),
        Value::Object(tag) => ["translated_name", "name"]
            .iter()
            .find_map(|key| tag.get(*key)?.as_str())
            .map(str::to_owned),
        _ => None,
    }
}

/// Adds the tags of a post as those of this source.
pub fn add_tags(media: &mut Media, tags: &Grouped, src: &str) {
    add_outside_tags(
        media,
        tags.iter().flat_map(|(category, values)| {
            values
                .iter()
                .filter_map(|value| outside_tag(category, value, src))
        }),
    );
}

/// What a sidecar keeps of a post: enough to merge again later without asking.
pub fn kept(post: &Object, rating: Option<Rating>, tags: &Grouped, now: &str) -> Value {
    let mut kept = Map::new();
    let id = ["id", "tweet_id"]
        .iter()
        .find_map(|key| scalar(post.get(*key)?));
    if let Some(id) = id {
        kept.insert("id".to_owned(), id.into());
    }
    let related = |key: &str| {
        post.get("relationships")
            .and_then(|relations| relations.get(key))
    };
    let total = post.get("score").and_then(|score| score.get("total"));
    let facts = [
        ("url", post.get("post_url").and_then(fact)),
        (
            "parent_id",
            post.get("parent_id")
                .or(related("parent_id"))
                .and_then(parent),
        ),
        (
            "has_children",
            post.get("has_children")
                .or(related("has_active_children"))
                .and_then(flag),
        ),
        ("score", total.or(post.get("score")).and_then(count)),
        ("fav_count", post.get("fav_count").and_then(count)),
        ("title", post.get("title").and_then(fact)),
        (
            "created",
            post.get("date")
                .or(post.get("created_at"))
                .or(post.get("create_date"))
                .and_then(date),
        ),
        ("num", post.get("num").and_then(fact)),
    ];
    for (key, value) in facts {
        if let Some(value) = value {
            kept.insert(key.to_owned(), value);
        }
    }
    if let Some(rating) = rating {
        kept.insert("rating".to_owned(), rating.letter().into());
    }
    kept.insert("fetched".to_owned(), now.into());
    let tags: Object = tags
        .iter()
        .map(|(category, values)| {
            let values: Vec<String> = values.iter().map(|value| normalize(value)).collect();
            (category.clone(), values.join(" ").into())
        })
        .collect();
    if !tags.is_empty() {
        kept.insert("tags".to_owned(), tags.into());
    }
    kept.into()
}

/// A text, or a number as it stands there.
fn fact(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) => short(number).map(|_| value.clone()),
        Value::String(text) => {
            let start: String = text.chars().take(MAX_FACT_CHARS).collect();
            let text = without_control(start.trim());
            (!text.is_empty()).then(|| text.into())
        }
        Value::Bool(_) => Some(value.clone()),
        _ => None,
    }
}

/// `0`, an empty text and nothing at all are how sites say that there is no parent.
fn parent(value: &Value) -> Option<Value> {
    scalar(value).filter(|id| id != "0").map(Value::from)
}

/// Some sites write flags as words.
fn flag(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value.clone()),
        Value::String(word) => word.parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

/// Some sites write numbers as words.
fn count(value: &Value) -> Option<Value> {
    match value {
        Value::String(digits) => digits.trim().parse::<i64>().ok().map(Value::from),
        Value::Number(_) => fact(value),
        _ => None,
    }
}

/// A date as it stands there, but seconds since 1970 and what Ruby prints as RFC 3339.
fn date(value: &Value) -> Option<Value> {
    let time = match value {
        Value::Number(seconds) => seconds
            .as_i64()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()),
        Value::String(text) => {
            jiff::Timestamp::strptime("%a %b %d %H:%M:%S %z %Y", text.trim()).ok()
        }
        _ => return None,
    };
    time.map_or_else(|| fact(value), |time| Some(time.to_string().into()))
}

/// A text of a post; empty where there is none.
pub fn text<'a>(post: &'a Object, key: &str) -> &'a str {
    post.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An id, which is a number or a text.
pub fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => short(number)?,
        _ => return None,
    };
    let is_id = !text.is_empty() && text.len() <= MAX_DIGITS && !text.contains(char::is_control);
    is_id.then_some(text)
}

fn short(number: &Number) -> Option<String> {
    let digits = number.to_string();
    (digits.len() <= MAX_DIGITS).then_some(digits)
}

/// The characters that HTML writes as entities.
pub fn unescape(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#039;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, sign)| {
        text.replace(entity, sign)
    })
}

fn without_control(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A tag made of text from outside: control characters removed, `src` given.
/// `None` when nothing is left.
pub fn outside_tag(category: &str, value: &str, src: &str) -> Option<Tag> {
    let tag = Tag {
        src: Some(src.to_owned()),
        ..Tag::new(category.trim(), &without_control(value))
    };
    (!tag.name().value.is_empty()).then_some(tag)
}

/// Adds tags in order, each name once, up to the number that makes sense.
pub fn add_outside_tags(media: &mut Media, tags: impl IntoIterator<Item = Tag>) {
    let mut names: HashSet<TagName> = media.tags.iter().map(Tag::name).collect();
    for tag in tags {
        if media.tags.len() >= MAX_TAGS {
            break;
        }
        if names.insert(tag.name()) {
            media.tags.push(tag);
        }
    }
}

/// The URLs of a text: each word that is an `http` or `https` address, up to the
/// number that makes sense.
pub fn add_urls(media: &mut Media, text: &str) {
    for word in text.split_whitespace() {
        if media.urls.len() >= MAX_URLS {
            break;
        }
        if (word.starts_with("https://") || word.starts_with("http://"))
            && word.len() <= MAX_URL_BYTES
            && !word.contains(char::is_control)
        {
            Edit::AddUrl(word.to_owned()).apply(media);
        }
    }
}

/// Adds the URLs of a text or of a list of texts.
pub fn add_url_values(media: &mut Media, value: &Value) {
    match value {
        Value::String(text) => add_urls(media, text),
        Value::Array(texts) => {
            for text in texts.iter().filter_map(Value::as_str) {
                add_urls(media, text);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_letter_s_means_what_its_site_means_by_it() {
        for (site, word, expected) in [
            ("danbooru", "s", Some(Rating::Sensitive)),
            ("e621", "s", Some(Rating::General)),
            ("yandere", "s", Some(Rating::General)),
            ("konachan", "q", Some(Rating::Questionable)),
            ("gelbooru", "sensitive", Some(Rating::Sensitive)),
            ("gelbooru", "s", Some(Rating::Sensitive)),
            ("rule34", "s", Some(Rating::General)),
            ("rule34", "safe", Some(Rating::General)),
            ("somewhere", "s", None),
            ("somewhere", "explicit", Some(Rating::Explicit)),
            ("somewhere", "", None),
        ] {
            assert_eq!(rating(word, kind_of(site)), expected, "{site} {word}");
        }
    }

    #[test]
    fn what_is_kept_is_of_one_form_whatever_the_site_writes() {
        let kept = |post: Value| {
            let Value::Object(post) = post else {
                unreachable!("an object")
            };
            let mut kept = kept(&post, None, &Grouped::new(), "now");
            kept.as_object_mut().unwrap().shift_remove("fetched");
            kept
        };
        for (post, expected) in [
            (
                json!({"id": "7", "parent_id": 0, "has_children": "false", "score": "-3"}),
                json!({"id": "7", "has_children": false, "score": -3}),
            ),
            (
                json!({"id": 7, "parent_id": "", "score": {"up": 4, "total": 3}}),
                json!({"id": "7", "score": 3}),
            ),
            (
                json!({"parent_id": null, "relationships": {"parent_id": 5}}),
                json!({}),
            ),
            (
                json!({"relationships": {"parent_id": 5, "has_active_children": true}}),
                json!({"parent_id": "5", "has_children": true}),
            ),
            (
                json!({"created_at": 1_767_323_045}),
                json!({"created": "2026-01-02T03:04:05Z"}),
            ),
            (
                json!({"created_at": "Fri Jan 02 03:04:05 -0600 2026"}),
                json!({"created": "2026-01-02T09:04:05Z"}),
            ),
            (
                json!({"created_at": "2026-01-02T03:04:05.000-05:00"}),
                json!({"created": "2026-01-02T03:04:05.000-05:00"}),
            ),
            (
                json!({"id": "1".repeat(80), "title": "a\u{1b}[2Jb", "score": [], "has_children": 1}),
                json!({"title": "a[2Jb"}),
            ),
        ] {
            assert_eq!(kept(post.clone()), expected, "{post}");
        }
    }

    #[test]
    fn no_site_can_say_more_than_is_good() {
        let many: Vec<String> = (0..5_000).map(|n| format!("tag{n}")).collect();
        let post = json!({
            "tags": {
                "general": many,
                "artist": ["jane\u{7}", "\u{1b}", "x".repeat(5_000)],
                "a\u{1b}b": ["odd"],
            },
        });
        let tags = tags(post.as_object().unwrap(), None, &[]);
        let count: usize = tags.iter().map(|(_, values)| values.len()).sum();
        assert_eq!(count, MAX_TAGS);
        assert_eq!(tags[0], ("artist".to_owned(), vec!["jane".to_owned()]));
        assert_eq!(tags.len(), 2, "an odd group is a general one");
        let mut media = Media::default();
        let urls: Vec<String> = (0..5_000)
            .map(|n| format!("https://a.example/{n}"))
            .collect();
        add_url_values(&mut media, &json!(urls));
        assert_eq!(media.urls.len(), MAX_URLS);
        let mut media = Media::default();
        add_urls(&mut media, "https://a.example/\u{1b}c javascript:x");
        assert_eq!(media.urls, [""; 0]);
    }
}
