//! What each family answers, and what becomes of it. How they are asked is seen by
//! real servers, in the integration tests.

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::engine::source::settings::{Secret, default_sites};

const NOW: &str = "2026-02-03T04:05:06Z";
const MD5: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

const DANBOORU: &str = r#"[{"id":1001,"created_at":"2026-01-02T03:04:05.000-05:00",
    "md5":"0123456789abcdef0123456789abcdef","rating":"s","parent_id":null,"has_children":true,
    "source":"https://example.org/a/1","image_width":640,"file_ext":"png","score":3,
    "tag_string":"1girl blue_sky sample_artist sample_hero sample_series highres",
    "tag_string_general":"1girl blue_sky","tag_string_artist":"sample_artist",
    "tag_string_character":"sample_hero","tag_string_copyright":"sample_series",
    "tag_string_meta":"highres","file_url":"https://example.org/f.png"}]"#;

const E621: &str = r#"{"posts":[{"id":2002,"created_at":"2026-01-02T03:04:05.000-04:00",
    "file":{"width":640,"md5":"0123456789abcdef0123456789abcdef","url":null},
    "score":{"up":4,"down":-1,"total":3},"tags":{"general":["sky"],"artist":["sample_artist"],
    "contributor":["sample_helper"],"copyright":["sample_series"],"character":["sample_hero"],
    "species":["fox"],"invalid":["tagme"],"meta":["hi_res"],"lore":[]},"rating":"s",
    "sources":["https://example.org/a/1","gone"],"pools":[77],
    "relationships":{"parent_id":2001,"has_children":false,"has_active_children":false}}]}"#;

const MOEBOORU: &str = r#"{"posts":[{"id":3003,"tags":"sample_artist sky sample_circle bad",
    "created_at":1767323045,"source":"","score":1,"md5":"0123456789abcdef0123456789abcdef",
    "rating":"s","has_children":false,"parent_id":null,"status":"active"}],
    "tags":{"sample_artist":"artist","sky":"general","sample_circle":"circle","bad":"faults"},
    "pools":[],"pool_posts":[],"votes":{}}"#;

const RULE34: &str = r#"[{"id":5005,"hash":"0123456789abcdef0123456789abcdef","rating":"safe",
    "tags":"blue_sky sample_hero don&#039;t","change":1767323045,"parent_id":0,"score":2,
    "source":"","tag_info":[{"tag":"sample_hero","count":12,"type":"character"},
    {"tag":"blue_sky","count":99,"type":"tag"},{"tag":"don&#039;t","type":"metadata"}]}]"#;

fn booru(site: &str) -> Booru {
    let settings = default_sites()
        .into_iter()
        .find(|settings| settings.name == site)
        .unwrap();
    assert_ne!(settings.kind, SiteKind::Gelbooru, "it asks for more");
    Booru {
        name: settings.name.clone(),
        kind: settings.kind,
        client: Client::new(&settings, Credentials::None, "test").unwrap(),
        types: Mutex::default(),
    }
}

/// What the answer says of [`MD5`] and [`OTHER`].
fn read(site: &str, body: &str) -> [Option<Media>; 2] {
    let pictures = [MD5, OTHER].map(|md5| md5.parse().unwrap());
    let answer = answer::read(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"));
    let known = booru(site)
        .known(answer, &pictures, NOW, &Cancel::default())
        .unwrap();
    pictures.map(|md5| known.get(&md5).cloned())
}

fn one(site: &str, body: &str) -> Media {
    let [known, other] = read(site, body);
    assert_eq!(other, None);
    known.unwrap_or_else(|| panic!("{site}: nothing known"))
}

fn names(media: &Media) -> Vec<String> {
    media
        .tags
        .iter()
        .map(|tag| tag.name().to_string())
        .collect()
}

#[test]
fn danbooru_tells_categories_rating_links_and_relations() {
    let media = one("danbooru", DANBOORU);
    assert_eq!(
        names(&media),
        [
            "artist:sample_artist",
            "copyright:sample_series",
            "character:sample_hero",
            "1girl",
            "blue_sky",
            "meta:highres"
        ]
    );
    assert!(
        media
            .tags
            .iter()
            .all(|tag| tag.src.as_deref() == Some("danbooru"))
    );
    assert_eq!(media.rating, Some(crate::model::media::Rating::Sensitive));
    assert_eq!(media.rating_src.as_deref(), Some("danbooru"));
    assert_eq!(
        media.urls,
        [
            "https://danbooru.donmai.us/posts/1001",
            "https://example.org/a/1"
        ]
    );
    assert!(media.metadata.is_empty());
    assert_eq!(
        media.sources["danbooru"],
        serde_json::json!({
            "id": "1001",
            "url": "https://danbooru.donmai.us/posts/1001",
            "has_children": true,
            "score": 3,
            "created": "2026-01-02T03:04:05.000-05:00",
            "rating": "s",
            "fetched": NOW,
            "tags": {
                "artist": "sample_artist",
                "copyright": "sample_series",
                "character": "sample_hero",
                "general": "1girl blue_sky",
                "meta": "highres"
            }
        })
    );
}

#[test]
fn e621_tells_species_and_means_safe_by_s() {
    let media = one("e621", E621);
    assert_eq!(
        names(&media),
        [
            "artist:sample_artist",
            "artist:sample_helper",
            "copyright:sample_series",
            "character:sample_hero",
            "species:fox",
            "sky",
            "meta:hi_res"
        ]
    );
    assert_eq!(media.rating, Some(crate::model::media::Rating::General));
    assert_eq!(
        media.urls,
        ["https://e621.net/posts/2002", "https://example.org/a/1"]
    );
    let kept = &media.sources["e621"];
    assert_eq!(kept["parent_id"], "2001");
    assert_eq!(kept["has_children"], false);
    assert_eq!(kept["score"], 3);
    assert_eq!(kept["tags"]["artist"], "sample_artist sample_helper");
}

#[test]
fn moebooru_tells_types_beside_its_posts_or_not_at_all() {
    let media = one("yandere", MOEBOORU);
    assert_eq!(
        names(&media),
        [
            "artist:sample_artist",
            "artist:sample_circle",
            "sky",
            "meta:bad"
        ]
    );
    assert_eq!(media.rating, Some(crate::model::media::Rating::General));
    assert_eq!(media.urls, ["https://yande.re/post/show/3003"]);
    let kept = &media.sources["yandere"];
    assert_eq!(kept["created"], "2026-01-02T03:04:05Z");
    assert_eq!(kept.get("parent_id"), None);
    let flat = format!(r#"[{{"id":"1","md5":"{MD5}","tags":" a  b ","rating":"q"}}]"#);
    assert_eq!(names(&one("konachan", &flat)), ["a", "b"]);
}

#[test]
fn what_came_of_gelbooru_tells_types_with_the_post_or_not_at_all() {
    let media = one("rule34", RULE34);
    assert_eq!(
        names(&media),
        ["character:sample_hero", "blue_sky", "meta:don't"]
    );
    assert_eq!(media.rating, Some(crate::model::media::Rating::General));
    assert_eq!(
        media.urls,
        ["https://rule34.xxx/index.php?page=post&s=view&id=5005"]
    );
    let kept = &media.sources["rule34"];
    assert_eq!(kept.get("parent_id"), None);
    assert_eq!(kept.get("created"), None, "a change is no creation");
    let flat = format!(r#"[{{"id":1,"hash":"{MD5}","tags":"a b","rating":"general"}}]"#);
    assert_eq!(names(&one("safebooru", &flat)), ["a", "b"]);
    let info = format!(
        r#"[{{"id":1,"hash":"{MD5}","tag_info":[{{"tag":"b","type":"artist"}},{{"tag":"a","type":"tag"}}]}}]"#
    );
    assert_eq!(names(&one("rule34", &info)), ["artist:b", "a"]);
}

#[test]
fn answers_come_in_many_wrappings() {
    let post = format!(r#"{{"id":"9","md5":"{MD5}","tags":"a","rating":"e","parent_id":""}}"#);
    for body in [
        format!("[{post}]"),
        post.clone(),
        format!("\u{feff} [{post}]"),
        format!(r#"{{"posts":[{post}]}}"#),
        format!(r#"{{"post":[{post}]}}"#),
        format!(r#"{{"post":{post}}}"#),
        format!(r#"{{"@attributes":{{"count":"1"}},"post":{post}}}"#),
        format!(r#"{{"posts":[null, 1, {post}, {{"id":3}}]}}"#),
    ] {
        let media = one("konachan", &body);
        assert_eq!(names(&media), ["a"], "{body}");
        assert_eq!(media.sources["konachan"]["id"], "9");
    }
    for body in [
        "[]",
        r#"{"posts":[]}"#,
        r#"{"posts":null}"#,
        r#"{"@attributes":{"limit":100,"offset":0,"count":0}}"#,
        r#"[{"id":1,"tags":"hidden"}]"#,
        r#"[{"id":1,"md5":null,"tags":"hidden"}]"#,
        r#"[{"id":1,"md5":"short","tags":"odd"}]"#,
        r#"[{"id":1,"md5":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","tags":"not asked for"}]"#,
    ] {
        assert_eq!(read("konachan", body), [None, None], "{body}");
    }
}

#[test]
fn posts_find_their_pictures_in_any_order_and_the_first_counts() {
    let upper = MD5.to_uppercase();
    let body = format!(
        r#"[{{"id":2,"md5":"{OTHER}","tags":"other"}},{{"id":1,"md5":"{upper}","tags":"first"}},
            {{"id":3,"md5":"{MD5}","tags":"again"}}]"#
    );
    let [first, other] = read("konachan", &body);
    assert_eq!(names(&first.unwrap()), ["first"]);
    assert_eq!(names(&other.unwrap()), ["other"]);
}

#[test]
fn what_is_no_answer_is_said_to_be_none() {
    let said = |text: &str| Fault::Said(text.to_owned());
    for (body, expected) in [
        (
            r#""Missing authentication. Go to api.example for more information""#,
            said("Missing authentication. Go to api.example for more information"),
        ),
        ("Missing authentication.\n", said("Missing authentication.")),
        (
            r#"{"success":false,"message":"","reason":"too busy"}"#,
            said("too busy"),
        ),
    ] {
        assert_eq!(answer::read(body.as_bytes()), Err(expected), "{body}");
    }
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let wide = format!("[{}0]", "0,".repeat(4_000_000));
    let mut objects = String::from("[{}");
    for n in 0..300_000 {
        write!(objects, r#",{{"a":{n}}}"#).unwrap();
    }
    objects.push(']');
    let digits = "9".repeat(7 << 20);
    for body in [
        "",
        "  \n",
        "<html>busy</html>",
        "{",
        "[{\"md5\":\"0123",
        "[1,2]",
        "{}",
        "{\"posts\":7}",
        "7",
        "null",
        "\u{0}",
        deep.as_str(),
        wide.as_str(),
        objects.as_str(),
        digits.as_str(),
    ] {
        let answer = answer::read(body.as_bytes());
        let start: String = body.chars().take(40).collect();
        assert!(
            matches!(answer, Err(Fault::Garbled(_) | Fault::Said(_))),
            "{start}: {answer:?}"
        );
    }
}

#[test]
fn a_hostile_post_is_taken_within_bounds() {
    let many: Vec<String> = (0..20_000).map(|n| format!("t{n}")).collect();
    let groups: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("g{n}"), serde_json::json!([format!("x{n}")])))
        .collect();
    for tags in [
        serde_json::json!(many.join(" ")),
        serde_json::json!({ "general": many }),
        Value::Object(groups),
        serde_json::json!("a\u{1b}[31mred\u{7}\u{0} \u{1b}"),
        serde_json::json!([[[]]]),
        serde_json::json!(null),
    ] {
        for site in ["danbooru", "e621", "konachan", "safebooru"] {
            let body = serde_json::json!([{
                "id": "1\u{1b}", "md5": MD5, "tags": tags, "rating": "\u{1b}", "score": {"total": []},
                "source": "https://example.org/\u{1b}]0;x\u{7}", "parent_id": {}, "has_children": [],
                "created_at": "\u{1b}c", "post_url": "javascript:x",
            }]);
            let media = one(site, &body.to_string());
            assert!(media.tags.len() <= MAX_TAGS);
            assert_eq!(media.rating, None);
            assert_eq!(media.urls, [""; 0], "{site}");
            let kept = media.sources[site].to_string();
            assert!(
                !format!("{kept}{:?}", names(&media)).contains("\\u00"),
                "{kept}"
            );
            assert!(media.tags.iter().all(|tag| {
                !tag.value.contains(char::is_control) && !tag.category.contains(char::is_control)
            }));
        }
    }
}

#[test]
fn names_are_asked_for_in_parts_that_fit_an_address() {
    let check = |names: Vec<String>, expected: &[usize]| {
        let batches = batches(&names);
        let lengths: Vec<usize> = batches.iter().map(|batch| batch.len()).collect();
        assert_eq!(lengths, expected);
        assert_eq!(batches.concat(), names);
    };
    check(Vec::new(), &[]);
    check(vec!["a".to_owned(); 250], &[100, 100, 50]);
    check(vec!["x".repeat(499); 9], &[4, 4, 1]);
    check(vec!["x".repeat(5_000); 2], &[1, 1]);
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_do() {
    let site = |name: &str| {
        default_sites()
            .into_iter()
            .find(|settings| settings.name == name)
            .unwrap()
    };
    let key = || Some(Secret("SENTINEL".to_owned()));
    let refused = |settings: &SourceSettings| open(settings).err().unwrap();
    assert_eq!(
        refused(&site("gelbooru")),
        "gelbooru wants an account, set [sources.gelbooru] login (its number) and api_key"
    );
    let half = SourceSettings {
        api_key: key(),
        ..site("danbooru")
    };
    assert_eq!(
        refused(&half),
        "[sources.danbooru] needs both login and api_key, or neither"
    );
    let odd = SourceSettings {
        url: "https://a:SENTINEL@b.example".to_owned(),
        ..site("danbooru")
    };
    assert!(refused(&odd).starts_with("[sources.danbooru] url is no address"));
    assert!(!refused(&odd).contains("SENTINEL"));
    for settings in default_sites() {
        let with_key = SourceSettings {
            login: Some("7".to_owned()),
            api_key: key(),
            ..settings
        };
        assert_eq!(open(&with_key).unwrap().name(), with_key.name);
        assert!(!format!("{with_key:?}").contains("SENTINEL"));
    }
}

#[test]
fn e621_is_told_who_asks() {
    let mut settings = default_sites().remove(1);
    let program = concat!("tagloupe/", env!("CARGO_PKG_VERSION"));
    assert!(user_agent(&settings).starts_with(program));
    settings.login = Some("jane".to_owned());
    assert!(user_agent(&settings).contains("by jane on e621"));
    settings.login = Some("jane\r\nX-Evil: 1".to_owned());
    assert!(!user_agent(&settings).contains("Evil"));
    settings.kind = SiteKind::Danbooru;
    settings.login = Some("jane".to_owned());
    assert!(!user_agent(&settings).contains("jane"));
}

/// JSON of the words that posts are made of, in any arrangement.
fn any_json() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 24] = [
        "@attributes",
        "created_at",
        "file",
        "has_children",
        "hash",
        "id",
        "md5",
        "message",
        "name",
        "parent_id",
        "post",
        "posts",
        "rating",
        "relationships",
        "score",
        "source",
        "sources",
        "tag",
        "tag_info",
        "tag_string_general",
        "tags",
        "total",
        "type",
        "\u{1b}[2J",
    ];
    const TEXTS: [&str; 10] = [
        "",
        "0",
        "1",
        "s",
        "true",
        "fox\u{7} \u{1b}[31m &#039;",
        "https://example.org/a \u{0}",
        "Fri Jan 02 03:04:05 -0600 2026",
        MD5,
        OTHER,
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&TEXTS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let pairs = vec((select(&KEYS[..]), inner.clone()), 0..8);
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            pairs.prop_map(|pairs| {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(pairs.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_within_bounds_or_refused(value in any_json(), wrapped in any::<bool>()) {
        let value = match value {
            Value::Object(mut post) if wrapped => {
                post.insert("md5".to_owned(), MD5.into());
                serde_json::json!([post])
            }
            value => value,
        };
        let pictures = [MD5, OTHER].map(|md5| md5.parse().unwrap());
        for site in ["danbooru", "e621", "konachan", "safebooru"] {
            let Ok(answer) = answer::read(value.to_string().as_bytes()) else {
                continue;
            };
            let known = booru(site)
                .known(answer, &pictures, NOW, &Cancel::default())
                .unwrap();
            for media in known.values() {
                let kept = media.sources[site].as_object().unwrap();
                prop_assert!(kept.values().all(|fact| !fact.is_null()));
                let shown = format!("{kept:?} {:?} {:?}", media.urls, media.tags);
                prop_assert!(!shown.contains("\\u{"), "{shown}");
                prop_assert_eq!(media.rating.is_some(), media.rating_src.is_some());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(body in vec(any::<u8>(), 0..200)) {
        // Whether it is an answer is not the question.
        let _ = answer::read(&body);
    }
}
