//! The JSON that gallery-dl writes beside a picture, site by site.

use serde_json::{Value, json};

use crate::model::media::{Media, Rating};

use super::post::{
    Object, add_tags, add_url_values, kept, kind_of, outside_tag, rating, tags, text, unescape,
};

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
    let kind = kind_of(&site);
    let mut media = Media::default();
    let plain: &[&str] = match site.as_str() {
        "twitter" => &["hashtags", "tag_string"],
        _ => &["tags", "tag_string"],
    };
    let tags = tags(object, kind, plain);
    match site.as_str() {
        "pixiv" => read_pixiv(object, &mut media),
        "twitter" => read_twitter(object, &mut media),
        _ => {
            media.rating = rating(text(object, "rating"), kind);
            add_note(&mut media, "description", text(object, "description"));
        }
    }
    let source = kept(object, media.rating, &tags, now);
    add_tags(&mut media, &tags, &site);
    for key in ["source", "sources", "url", "file_url", "post_url"] {
        if let Some(value) = object.get(key) {
            add_url_values(&mut media, value);
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

fn number(object: &Object, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
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
    unescape(&plain)
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
