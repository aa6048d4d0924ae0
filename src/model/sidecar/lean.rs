//! Reading many sidecars for the index, which wants to know what they say and not
//! how they say it: tags come without the objects they were read from, which are
//! most of what reading costs.
//!
//! Only the usual is read here; whatever is odd is left to the whole way, which says
//! what is wrong with it.

use std::collections::HashSet;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{MAX_BYTES, Sidecar, read, strict::Strict};
use crate::model::tag::{BUILT_IN_CATEGORIES, GENERAL, Tag, is_normal};

/// Tags of which each may be compared with each other one.
const FEW: usize = 64;

/// The sidecar, with an empty list in the place of the tags in its document; `None`
/// where the whole way has to be taken.
pub(super) fn parse(text: &str) -> Option<Sidecar> {
    // A number would look like an object: see `strict`.
    if text.len() > MAX_BYTES || !text.trim_start().starts_with('{') {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (document, tags) = deserializer.deserialize_any(Document).ok()?;
    deserializer.end().ok()?;
    let mut media = read::media(&document).ok()?;
    media.tags = tags;
    Some(Sidecar { media, document })
}

struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = (Map<String, Value>, Vec<Tag>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut document = Map::new();
        let mut tags = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = if key == "tags" {
                tags = entries.next_value_seed(Tags)?;
                Value::Array(Vec::new())
            } else {
                entries.next_value_seed(Strict)?
            };
            if document.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok((document, tags))
    }
}

struct Tags;

impl<'de> DeserializeSeed<'de> for Tags {
    type Value = Vec<Tag>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Tag>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tags {
    type Value = Vec<Tag>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Tag>, A::Error> {
        let mut placed: Vec<(usize, Tag)> = Vec::with_capacity(32);
        while let Some((position, tag)) = items.next_element_seed(OneTag)? {
            placed.push((position.unwrap_or(placed.len()), tag));
        }
        placed.sort_by_key(|(position, _)| *position);
        // Texts that differ can be the same name only where one of them is not normal.
        let is_plain = placed.len() <= FEW
            && placed.iter().enumerate().all(|(place, (_, tag))| {
                let others = placed.get(..place).unwrap_or_default();
                is_normal(&tag.value)
                    && BUILT_IN_CATEGORIES.contains(&tag.category.as_str())
                    && others.iter().all(|(_, other)| {
                        other.value.len() != tag.value.len() || other.value != tag.value
                    })
            });
        let tags = placed.into_iter().map(|(_, tag)| tag);
        if is_plain {
            return Ok(tags.filter(|tag| !tag.value.is_empty()).collect());
        }
        let mut names = HashSet::new();
        Ok(tags
            .filter(|tag| !tag.value.is_empty() && names.insert(tag.name()))
            .collect())
    }
}

/// A tag, and where it wants to stand.
struct OneTag;

impl<'de> DeserializeSeed<'de> for OneTag {
    type Value = (Option<usize>, Tag);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneTag {
    type Value = (Option<usize>, Tag);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a tag")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok((None, Tag::new(GENERAL, value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut known: [Option<Value>; KEYS.len()] = [const { None }; KEYS.len()];
        let mut others: Vec<String> = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            let value = entries.next_value_seed(Strict)?;
            let is_twice = match key {
                Ok(place) => known
                    .get_mut(place)
                    .is_none_or(|known| known.replace(value).is_some()),
                Err(key) => {
                    let is_known = others.contains(&key);
                    others.push(key);
                    is_known
                }
            };
            if is_twice {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        let [category, value, position, src, conf, at] = known;
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let value = text(value).ok_or_else(|| de::Error::custom("no tag"))?;
        let position = position
            .and_then(|position| position.as_u64())
            .and_then(|position| usize::try_from(position).ok());
        let category = text(category).filter(|category| !category.is_empty());
        let tag = Tag {
            category: category.unwrap_or_else(|| GENERAL.to_owned()),
            value: if is_normal(&value) {
                value
            } else {
                value.trim().to_owned()
            },
            src: text(src),
            conf: conf.and_then(|conf| conf.as_f64()),
            at: text(at),
            raw: Map::new(),
        };
        Ok((position, tag))
    }
}

/// What is known of a tag, in the order in which [`OneTag`] takes it apart.
const KEYS: [&str; 6] = ["category", "value", "position", "src", "conf", "at"];

/// A place in [`KEYS`], or another key.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let place = KEYS.iter().position(|known| *known == key);
        Ok(place.ok_or_else(|| key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Whatever is read the lean way says what the whole way says.
    fn assert_alike(text: &str) -> bool {
        let whole = Sidecar::parse_own(text);
        let lean = Sidecar::parse_for_index(text);
        let (Ok(Some(whole)), Ok(Some(lean))) = (&whole, &lean) else {
            assert_eq!(whole, lean, "{text}");
            return false;
        };
        let bare = |sidecar: &Sidecar| {
            let mut media = sidecar.media.clone();
            for tag in &mut media.tags {
                tag.raw = Map::new();
            }
            media
        };
        assert_eq!(bare(whole), bare(lean), "{text}");
        assert!(whole.document.keys().eq(lean.document.keys()), "{text}");
        parse(text).is_some()
    }

    #[test]
    fn usual_and_odd_sidecars_say_the_same() {
        for name in ["everything", "oldest", "image-tagger"] {
            let path = format!(
                "{}/tests/fixtures/sidecar/{name}.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let text = std::fs::read_to_string(path).unwrap();
            assert!(assert_alike(&text), "{name} is usual");
        }
        for (text, is_usual) in [
            ("{}", true),
            (r#"{"tags": []}"#, true),
            (
                r#"{"tags": ["Blue Hair", {"value": "blue_hair"}, {"value": " "}]}"#,
                true,
            ),
            (
                r#"{"tags": [{"value": "b", "position": 1}, {"value": "a", "position": 0}, "c"]}"#,
                true,
            ),
            (
                r#"{"tags": [{"value": "a", "x": {"y": [1, 2.50]}, "position": "0", "conf": 1e9}]}"#,
                true,
            ),
            (
                r#"{"tags": [{"value": "a", "category": 7, "src": null, "at": {}}]}"#,
                true,
            ),
            (r#"{"tags": [{"value": "a\n\u0041"}]}"#, true),
            (r#"{"tags": [{"value": "a", "value": "b"}]}"#, false),
            (r#"{"tags": [{"value": "a", "x": 1, "x": 1}]}"#, false),
            (r#"{"tags": [{"value": 1}]}"#, false),
            (r#"{"tags": [1]}"#, false),
            (r#"{"tags": [null]}"#, false),
            (r#"{"tags": {}}"#, false),
            (r#"{"tags": null, "caption": "x"}"#, false),
            (r#"{"tags": [], "tags": []}"#, false),
            (r#"{"tags": [{"value": "a"}], "metadata": 3}"#, false),
            (r#"{"tags": [{"value": "a"}]"#, false),
            (r#"[{"value": "a"}]"#, false),
            ("", false),
            ("7", false),
            ("\u{feff}{}", false),
        ] {
            assert_eq!(assert_alike(text), is_usual, "{text}");
        }
        let many: Vec<_> = (0..300)
            .map(|n| json!({"value": format!("t{}", n % 150)}))
            .collect();
        assert!(assert_alike(&json!({"tags": many}).to_string()));
    }

    proptest! {
        #[test]
        fn no_text_is_read_in_two_ways(
            keys in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        "category", "value", "position", "src", "conf", "at", "x",
                    ]),
                    prop::sample::select(vec![
                        "\"Artist\"", "\"a b\"", "1", "-1", "0.5", "null", "true", "[]", "{}",
                        "{\"a\": 1, \"a\": 2}", "\"\"",
                    ]),
                ),
                0..5,
            ),
            tags in 1..4_usize,
        ) {
            let tag: Vec<String> = keys
                .iter()
                .map(|(key, value)| format!("\"{key}\": {value}"))
                .collect();
            let tag = format!("{{{}}}", tag.join(", "));
            assert_alike(&format!("{{\"tags\": [{}]}}", vec![tag; tags].join(", ")));
        }
    }
}
