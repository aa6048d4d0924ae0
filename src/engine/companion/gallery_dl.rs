//! The JSON that gallery-dl writes beside a picture, site by site.
//!
//! Rating letters are never taken by letter alone: `s` is sensitive on some sites
//! and safe on others.

use serde_json::{Map, Value, json};

use crate::model::{
    media::{Media, Rating},
    tag::{GENERAL, Tag},
};

use super::{add_outside_tags, add_urls, outside_tag};

type Object = Map<String, Value>;

/// How one family of sites names things.
struct Site {
    names: &'static [&'static str],
    /// Suffix of `tags_<suffix>` to our category; an empty category drops the tags.
    groups: &'static [(&'static str, &'static str)],
    /// What `s` means.
    letter_s: Option<Rating>,
}

/// Groups that mean the same everywhere; others keep their name as category.
const COMMON_GROUPS: [(&str, &str); 1] = [("metadata", "meta")];

const SITES: [Site; 4] = [
    Site {
        names: &["danbooru", "aibooru", "atfbooru", "booruvar"],
        groups: &[],
        letter_s: Some(Rating::Sensitive),
    },
    Site {
        names: &["gelbooru", "safebooru", "rule34", "tbib"],
        groups: &[],
        letter_s: Some(Rating::Sensitive),
    },
    Site {
        names: &["e621", "e926", "e6ai"],
        groups: &[("contributor", "artist"), ("invalid", "")],
        letter_s: Some(Rating::General),
    },
    Site {
        names: &[
            "yandere",
            "yande.re",
            "konachan",
            "sakugabooru",
            "lolibooru",
            "3dbooru",
        ],
        groups: &[("circle", "artist"), ("style", "meta"), ("faults", "meta")],
        letter_s: Some(Rating::General),
    },
];

/// Whether this is a file of gallery-dl: it names its site and more.
pub(super) fn recognises(object: &Object) -> bool {
    let is_text = |key: &str| object.get(key).is_some_and(Value::is_string);
    is_text("category")
        && ["subcategory", "extension", "filename"]
            .iter()
            .any(|key| is_text(key))
}

/// The site and what it said.
pub(super) fn read(object: &Object, now: &str) -> (String, Media) {
    let site = text(object, "category").to_lowercase();
    let mut media = Media::default();
    let tags = tags(object, &site);
    match site.as_str() {
        "pixiv" => read_pixiv(object, &mut media),
        "twitter" => read_twitter(object, &mut media),
        _ => read_booru(object, &site, &mut media),
    }
    let source = source(object, &media, &tags, now);
    add_outside_tags(
        &mut media,
        tags.iter()
            .flat_map(|(category, values)| {
                values
                    .iter()
                    .filter_map(|value| outside_tag(category, value, &site))
            })
            .collect::<Vec<Tag>>(),
    );
    for key in ["source", "sources", "url", "file_url", "post_url"] {
        match object.get(key) {
            Some(Value::String(text)) => add_urls(&mut media, text),
            Some(Value::Array(texts)) => {
                for text in texts.iter().filter_map(Value::as_str) {
                    add_urls(&mut media, text);
                }
            }
            _ => {}
        }
    }
    let (stem, extension) = (text(object, "filename"), text(object, "extension"));
    if !stem.is_empty() && !extension.is_empty() {
        media.metadata.insert(
            "original_name".to_owned(),
            format!("{stem}.{extension}").into(),
        );
    }
    if media.rating.is_some() {
        media.rating_src = Some(site.clone());
    }
    if !site.is_empty() {
        media.sources.insert(site.clone(), source);
    }
    (site, media)
}

/// Tags by category, in the order artist to general in which sites show them.
fn tags(object: &Object, site: &str) -> Vec<(String, Vec<String>)> {
    let family = SITES.iter().find(|family| family.names.contains(&site));
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |group: &str, values: Vec<String>| {
        let category = family
            .into_iter()
            .flat_map(|family| family.groups)
            .chain(&COMMON_GROUPS)
            .find(|(name, _)| *name == group)
            .map_or(group, |(_, category)| *category);
        if !category.is_empty() && !values.is_empty() {
            grouped.push((category.to_owned(), values));
        }
    };
    for (key, value) in object {
        let group = key
            .strip_prefix("tags_")
            .or_else(|| key.strip_prefix("tag_string_"));
        if let Some(group) = group {
            add(group, values(value));
        }
    }
    if let Some(Value::Object(groups)) = object.get("tags") {
        for (group, value) in groups {
            add(group, values(value));
        }
    }
    if grouped.is_empty() {
        let key = if site == "twitter" {
            "hashtags"
        } else {
            "tags"
        };
        let plain = object
            .get(key)
            .or_else(|| object.get("tag_string"))
            .map(values)
            .unwrap_or_default();
        grouped.push((GENERAL.to_owned(), plain));
    }
    grouped.sort_by_key(|(category, _)| crate::model::tag::category_order(category).0);
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

fn read_booru(object: &Object, site: &str, media: &mut Media) {
    media.rating = rating(text(object, "rating"), site);
    add_note(media, "description", text(object, "description"));
}

fn read_pixiv(object: &Object, media: &mut Media) {
    // 0 says only that it is not for adults, which is no rating yet.
    if matches!(number(object, "x_restrict"), Some(1 | 2)) {
        media.rating = Some(Rating::Explicit);
    }
    text(object, "title").clone_into(&mut media.name);
    add_note(media, "caption", &strip_html(text(object, "caption")));
    let artist = object
        .get("user")
        .and_then(|user| user.get("name").or_else(|| user.get("account")))
        .and_then(Value::as_str)
        .unwrap_or_default();
    media.tags.extend(outside_tag("artist", artist, "pixiv"));
    if number(object, "illust_ai_type") == Some(2) {
        media
            .tags
            .extend(outside_tag("meta", "ai_generated", "pixiv"));
    }
}

fn read_twitter(object: &Object, media: &mut Media) {
    let author = object
        .get("author")
        .and_then(|author| author.get("name"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    media.tags.extend(outside_tag("artist", author, "twitter"));
    add_note(media, "content", text(object, "content"));
}

fn add_note(media: &mut Media, name: &str, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        media.notes.push(json!({"name": name, "text": text}));
    }
}

/// Words are the same everywhere, letters by the table of their site.
fn rating(word: &str, site: &str) -> Option<Rating> {
    match word.trim().to_lowercase().as_str() {
        "g" | "general" | "safe" => Some(Rating::General),
        "sensitive" => Some(Rating::Sensitive),
        "q" | "questionable" | "sketchy" => Some(Rating::Questionable),
        "e" | "explicit" | "unsafe" => Some(Rating::Explicit),
        "s" => {
            SITES
                .iter()
                .find(|family| family.names.contains(&site))?
                .letter_s
        }
        _ => None,
    }
}

/// What the sidecar keeps of the site's answer: enough to merge again later
/// without asking.
fn source(object: &Object, media: &Media, tags: &[(String, Vec<String>)], now: &str) -> Value {
    let mut source = Map::new();
    let id = ["id", "tweet_id"]
        .iter()
        .find_map(|key| scalar(object.get(*key)?));
    if let Some(id) = id {
        source.insert("id".to_owned(), id.into());
    }
    let related = |key: &str| {
        object
            .get("relationships")
            .and_then(|relations| relations.get(key))
    };
    let nested = |key: &str| object.get("score").and_then(|score| score.get(key));
    let facts = [
        ("url", object.get("post_url")),
        (
            "parent_id",
            object.get("parent_id").or(related("parent_id")),
        ),
        (
            "has_children",
            object
                .get("has_children")
                .or(related("has_active_children")),
        ),
        ("score", nested("total").or(object.get("score"))),
        ("fav_count", object.get("fav_count")),
        ("title", object.get("title")),
        (
            "created",
            object
                .get("date")
                .or(object.get("created_at"))
                .or(object.get("create_date")),
        ),
        ("num", object.get("num")),
    ];
    for (key, value) in facts {
        match value {
            Some(Value::Bool(flag)) => {
                source.insert(key.to_owned(), (*flag).into());
            }
            Some(Value::Number(number)) if key == "parent_id" => {
                source.insert(key.to_owned(), number.to_string().into());
            }
            Some(value @ (Value::Number(_) | Value::String(_))) => {
                source.insert(key.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    if let Some(rating) = media.rating {
        source.insert("rating".to_owned(), rating.letter().into());
    }
    source.insert("fetched".to_owned(), now.into());
    let tags: Object = tags
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(category, values)| {
            let joined: Vec<String> = values
                .iter()
                .map(|value| crate::model::tag::normalize(value))
                .collect();
            (category.clone(), joined.join(" ").into())
        })
        .collect();
    if !tags.is_empty() {
        source.insert("tags".to_owned(), tags.into());
    }
    source.into()
}

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Object, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text of a fragment of HTML: tags removed, line breaks kept.
fn strip_html(html: &str) -> String {
    let mut plain = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        plain.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('>') else {
            rest = "";
            break;
        };
        if rest[open..].starts_with("<br") || rest[open..].starts_with("</p") {
            plain.push('\n');
        }
        rest = &rest[open + close + 1..];
    }
    plain.push_str(rest);
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(plain, |text, (entity, sign)| text.replace(entity, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> (String, Media) {
        let object: Object = serde_json::from_str(json).unwrap();
        assert!(recognises(&object), "{json}");
        read(&object, "2025-01-01T00:00:00Z")
    }

    fn names(media: &Media) -> Vec<String> {
        media
            .tags
            .iter()
            .map(|tag| tag.name().to_string())
            .collect()
    }

    #[test]
    fn a_booru_gives_categories_rating_links_and_post() {
        let (site, media) = read_text(
            r#"{"category": "danbooru", "subcategory": "post", "id": 6059, "rating": "s",
                "tags_general": "fox tree", "tags_artist": ["jane"], "tags_meta": "highres",
                "tags": "fox tree jane highres", "source": "https://a.example/1", "score": 12,
                "parent_id": 5, "filename": "abc", "extension": "png", "created_at": "2020-01-01"}"#,
        );
        assert_eq!(site, "danbooru");
        assert_eq!(
            names(&media),
            ["artist:jane", "fox", "tree", "meta:highres"]
        );
        assert_eq!(media.tags[0].src.as_deref(), Some("danbooru"));
        assert_eq!(media.rating, Some(Rating::Sensitive));
        assert_eq!(media.urls, ["https://a.example/1"]);
        assert_eq!(media.fact("original_name"), Some("abc.png"));
        let source = &media.sources["danbooru"];
        assert_eq!(source["id"], "6059");
        assert_eq!(source["parent_id"], "5");
        assert_eq!(source["score"], 12);
        assert_eq!(source["tags"]["general"], "fox tree");
    }

    #[test]
    fn the_letter_s_means_what_its_site_means_by_it() {
        for (site, word, expected) in [
            ("danbooru", "s", Some(Rating::Sensitive)),
            ("e621", "s", Some(Rating::General)),
            ("yandere", "s", Some(Rating::General)),
            ("konachan", "q", Some(Rating::Questionable)),
            ("gelbooru", "sensitive", Some(Rating::Sensitive)),
            ("somewhere", "s", None),
            ("somewhere", "explicit", Some(Rating::Explicit)),
            ("somewhere", "", None),
        ] {
            assert_eq!(rating(word, site), expected, "{site} {word}");
        }
    }

    #[test]
    fn groups_of_other_boorus_find_their_category() {
        let (_, media) = read_text(
            r#"{"category": "e621", "extension": "png", "id": 1, "score": {"total": 7},
                "tags": {"contributor": ["bob"], "species": ["fox"], "invalid": ["tagme"], "lore": ["x_(lore)"]},
                "relationships": {"parent_id": 3}, "sources": ["https://a.example", "gone"]}"#,
        );
        assert_eq!(
            names(&media),
            ["artist:bob", "species:fox", "lore:x_(lore)"]
        );
        assert_eq!(media.sources["e621"]["score"], 7);
        assert_eq!(media.sources["e621"]["parent_id"], "3");
        let (_, media) = read_text(
            r#"{"category": "yandere", "extension": "png", "tags_circle": "c", "tags_faults": "f"}"#,
        );
        assert_eq!(names(&media), ["artist:c", "meta:f"]);
    }

    #[test]
    fn pixiv_and_twitter_have_their_own_names() {
        let (_, media) = read_text(
            r#"{"category": "pixiv", "extension": "png", "id": 9, "x_restrict": 1, "title": "Dawn",
                "caption": "one<br/>two &amp; <a href=\"x\">three</a>", "illust_ai_type": 2,
                "user": {"name": "Jane", "account": "j"},
                "tags": [{"name": "空", "translated_name": "sky"}, {"name": "海"}]}"#,
        );
        assert_eq!(
            names(&media),
            ["artist:jane", "meta:ai_generated", "sky", "海"]
        );
        assert_eq!(media.name, "Dawn");
        assert_eq!(media.rating, Some(Rating::Explicit));
        assert_eq!(media.notes[0]["text"], "one\ntwo & three");
        let (_, media) = read_text(
            r#"{"category": "twitter", "extension": "png", "tweet_id": 77, "author": {"name": "jane"},
                "hashtags": ["Art"], "content": "hello", "sensitive": true}"#,
        );
        assert_eq!(names(&media), ["artist:jane", "art"]);
        assert_eq!(media.rating, None);
        assert_eq!(media.sources["twitter"]["id"], "77");
    }
}
