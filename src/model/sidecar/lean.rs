//! Reading many sidecars for the index, which wants to know what they say and not
//! how they say it: of tags it wants little more than the names, and to take them
//! apart is most of what reading costs.
//!
//! Only the usual is read here; whatever is odd is left to the whole way, which says
//! what is wrong with it.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    ForIndex, MAX_BYTES, Sidecar,
    brief::{BriefTags, Others},
    read,
    strict::Strict,
};
use crate::model::tag::{GENERAL, TagName, USER, is_plain_name, name_hash};

/// Tags of which each is compared with each other one.
const FEW: usize = 64;

/// The tags of a sidecar as an index wants them: their names, normalised and in order,
/// no two the same, and who put them there. All names are one text, since most of what
/// many short ones cost is to make room for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeanTags {
    text: String,
    names: Vec<LeanName>,
    /// Who put them there, each once.
    pub sources: BTreeSet<String>,
    /// In order, of those that have one.
    pub confidences: Vec<f64>,
}

/// Where in the text a name is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LeanName {
    start: usize,
    /// The end of the category, where the value begins.
    middle: usize,
    end: usize,
    hash: u64,
}

impl LeanTags {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Category, value and [`name_hash`] of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.names.iter().map(|name| self.name(name))
    }

    fn name(&self, name: &LeanName) -> (&str, &str, u64) {
        let part = |start, end| self.text.get(start..end).unwrap_or_default();
        let (category, value) = (part(name.start, name.middle), part(name.middle, name.end));
        (category, value, name.hash)
    }

    fn push(&mut self, category: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(category);
        let middle = self.text.len();
        self.text.push_str(value);
        self.names.push(LeanName {
            start,
            middle,
            end: self.text.len(),
            hash: name_hash(category, value),
        });
    }

    /// Whether no two have the same name.
    fn are_different(&self) -> bool {
        if self.names.len() > FEW {
            let mut seen = HashSet::with_capacity(self.names.len());
            return self.iter().all(|name| seen.insert(name));
        }
        // Most are told apart by their numbers alone.
        self.names.iter().enumerate().all(|(place, name)| {
            let mut others = self.names.get(..place).unwrap_or_default().iter();
            !others.any(|other| other.hash == name.hash && self.name(other) == self.name(name))
        })
    }
}

/// The sidecar; `None` where the whole way has to be taken.
pub(super) fn parse(text: &str) -> Option<ForIndex> {
    // A number would look like an object: see `strict`.
    if text.len() > MAX_BYTES || !text.trim_start().starts_with('{') {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (document, tags, brief) = deserializer.deserialize_any(Document).ok()?;
    deserializer.end().ok()?;
    let media = read::media(&document).ok()?;
    let brief = brief.text(&document);
    Some(ForIndex {
        sidecar: Sidecar { media, document },
        tags: Some(tags),
        brief,
    })
}

struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = (Map<String, Value>, LeanTags, BriefTags);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut document = Map::new();
        let mut tags = LeanTags::default();
        let mut brief = BriefTags::default();
        while let Some(key) = entries.next_key::<String>()? {
            let value = if key == "tags" {
                tags = entries.next_value_seed(Tags(&mut brief))?;
                Value::Array(Vec::new())
            } else {
                entries.next_value_seed(Strict)?
            };
            if document.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok((document, tags, brief))
    }
}

struct Tags<'b>(&'b mut BriefTags);

impl<'de> DeserializeSeed<'de> for Tags<'_> {
    type Value = LeanTags;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LeanTags, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tags<'_> {
    type Value = LeanTags;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LeanTags, A::Error> {
        let mut tags = LeanTags {
            text: String::with_capacity(1024),
            names: Vec::with_capacity(FEW),
            ..LeanTags::default()
        };
        // Where each of them wants to stand, and the confidence that it has.
        let mut places: Vec<(usize, Option<f64>)> = Vec::with_capacity(FEW);
        let mut count = 0;
        while let Some(tag) = items.next_element_seed(OneTag(&mut *self.0))? {
            let place = tag.position.unwrap_or(count);
            count += 1;
            let value = tag.value.trim();
            if value.is_empty() {
                continue;
            }
            if is_plain_name(&tag.category, value) {
                tags.push(&tag.category, value);
            } else {
                let name = TagName::new(&tag.category, value);
                tags.push(&name.category, &name.value);
            }
            let source = tag.src.as_deref().unwrap_or(USER);
            if !tags.sources.contains(source) {
                tags.sources.insert(source.to_owned());
            }
            places.push((place, tag.conf));
        }
        if !places.is_sorted_by_key(|(place, _)| *place) {
            let names = tags.names.iter().zip(&places);
            let mut names: Vec<_> = names.map(|(name, place)| (*place, *name)).collect();
            names.sort_by_key(|((place, _), _)| *place);
            (places, tags.names) = names.into_iter().unzip();
        }
        if !tags.are_different() {
            return Err(de::Error::custom("a tag stands twice"));
        }
        tags.confidences = places.into_iter().filter_map(|(_, conf)| conf).collect();
        Ok(tags)
    }
}

/// A tag, and where it wants to stand.
struct ReadTag<'de> {
    category: Cow<'de, str>,
    value: Cow<'de, str>,
    position: Option<usize>,
    src: Option<String>,
    conf: Option<f64>,
}

struct OneTag<'b>(&'b mut BriefTags);

impl<'de> DeserializeSeed<'de> for OneTag<'_> {
    type Value = ReadTag<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneTag<'_> {
    type Value = ReadTag<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a tag")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        self.0.give_up();
        Ok(ReadTag {
            category: Cow::Borrowed(GENERAL),
            value: Cow::Owned(value.to_owned()),
            position: None,
            src: None,
            conf: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let brief = self.0;
        let (mut category, mut value, mut position) = (None, None, None);
        let mut others = Others::new();
        let mut unknown: Vec<String> = Vec::new();
        // Keys in the usual order.
        let mut next = 0;
        while let Some(key) = entries.next_key_seed(Key)? {
            let is_twice = match key {
                Ok(place) => {
                    if place < next {
                        brief.give_up();
                    }
                    next = place + 1;
                    match place {
                        0 => category.replace(entries.next_value_seed(Text)?).is_some(),
                        1 => value.replace(entries.next_value_seed(Text)?).is_some(),
                        // Read as such a number is not made a text first.
                        2 => position.replace(entries.next_value::<u64>()?).is_some(),
                        _ => {
                            let is_known = others.iter().any(|(other, _)| *other == place);
                            others.push((place, entries.next_value_seed(Strict)?));
                            is_known
                        }
                    }
                }
                Err(key) => {
                    brief.give_up();
                    entries.next_value_seed(Strict)?;
                    let is_known = unknown.contains(&key);
                    unknown.push(key);
                    is_known
                }
            };
            if is_twice {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        let value = value.ok_or_else(|| de::Error::custom("no tag"))?;
        let position = position.and_then(|position| usize::try_from(position).ok());
        let other = |wanted: &str| {
            let mut others = others.iter();
            let found = others.find(|(place, _)| KEYS.get(*place) == Some(&wanted));
            found.map(|(_, value)| value)
        };
        let src = other("src").and_then(Value::as_str).map(str::to_owned);
        let conf = other("conf").and_then(Value::as_f64);
        match (&category, position) {
            (Some(category), Some(position)) => brief.add(category, &value, position, others),
            _ => brief.give_up(),
        }
        Ok(ReadTag {
            category: category
                .filter(|category| !category.is_empty())
                .unwrap_or(Cow::Borrowed(GENERAL)),
            value,
            position,
            src,
            conf,
        })
    }
}

/// A text, without a copy where none is needed.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What is known of a tag, in the usual order.
pub(super) const KEYS: [&str; 6] = ["category", "value", "position", "src", "conf", "at"];

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
    use crate::model::{fact::Fact, media::Media, tag::Tag};

    /// Whatever is read the lean way says what the whole way says.
    fn assert_alike(text: &str) -> bool {
        let whole = Sidecar::parse_own(text);
        let lean = Sidecar::parse_for_index(text);
        let (Ok(Some(whole)), Ok(Some(lean))) = (&whole, &lean) else {
            let lean = lean.map(|lean| lean.map(|lean| lean.sidecar));
            assert_eq!(whole, lean, "{text}");
            return false;
        };
        if let Some(brief) = &lean.brief {
            let back = Sidecar::parse_brief(brief).unwrap();
            assert_eq!(back, *whole, "{text} as {brief}");
            let order = |sidecar: &Sidecar| serde_json::to_string(&sidecar.document).unwrap();
            assert_eq!(order(&back), order(whole), "{brief}");
            assert!(brief.len() < text.len() + 16, "{text} as {brief}");
        }
        let document = &lean.sidecar.document;
        assert!(whole.document.keys().eq(document.keys()), "{text}");
        let Some(tags) = &lean.tags else {
            assert_eq!(*whole, lean.sidecar, "{text}");
            return false;
        };
        let names = |media: &Media| media.tags.iter().map(Tag::name).collect::<Vec<_>>();
        let found: Vec<_> = tags.iter().map(|(c, v, _)| TagName::new(c, v)).collect();
        assert_eq!(names(&whole.media), found, "{text}");
        for fact in Fact::ALL {
            let media = &lean.sidecar.media;
            assert_eq!(fact.of(&whole.media), fact.of_lean(media, tags), "{text}");
        }
        let mut bare = whole.media.clone();
        bare.tags.clear();
        assert_eq!(bare, lean.sidecar.media, "{text}");
        true
    }

    #[test]
    fn usual_and_odd_sidecars_say_the_same() {
        // The oldest says a tag twice.
        for (name, is_usual) in [
            ("everything", true),
            ("oldest", false),
            ("image-tagger", true),
        ] {
            let path = format!(
                "{}/tests/fixtures/sidecar/{name}.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let text = std::fs::read_to_string(path).unwrap();
            assert_eq!(assert_alike(&text), is_usual, "{name}");
        }
        for (text, is_usual) in [
            ("{}", true),
            (r#"{"tags": []}"#, true),
            (
                r#"{"tags": ["Blue Hair", {"value": "blue"}, {"value": " "}]}"#,
                true,
            ),
            (r#"{"tags": ["Blue Hair", {"value": "blue_hair"}]}"#, false),
            (
                r#"{"tags": [{"value": "b", "position": 1}, {"value": "a", "position": 0}, "c"]}"#,
                true,
            ),
            (
                r#"{"tags": [{"value": "a", "x": {"y": [1, 2.50]}, "position": 0, "conf": 1e9}]}"#,
                true,
            ),
            (r#"{"tags": [{"value": "a", "position": "0"}]}"#, false),
            (r#"{"tags": [{"value": "a", "position": -1}]}"#, false),
            (
                r#"{"tags": [{"value": "a", "category": "b", "src": null, "at": {}}]}"#,
                true,
            ),
            (r#"{"tags": [{"value": "a", "category": 7}]}"#, false),
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
            .map(|n| json!({"value": format!("t{n}")}))
            .collect();
        assert!(assert_alike(&json!({"tags": many}).to_string()));
        let twice: Vec<_> = (0..300)
            .map(|n| json!({"value": format!("t{}", n % 150)}))
            .collect();
        assert!(!assert_alike(&json!({"tags": twice}).to_string()));
    }

    #[test]
    fn what_is_usual_is_brief() {
        let brief = |text: &str| parse(text).and_then(|read| read.brief);
        let tag = |category: &str, value: &str, position: usize, rest: &str| {
            format!(
                r#"{{"category": "{category}", "value": "{value}", "position": {position}{rest}}}"#
            )
        };
        let of = |tags: &[String]| {
            let text = format!(
                r#"{{"name": "n", "tags": [{}], "x": 1.50}}"#,
                tags.join(", ")
            );
            assert_alike(&text);
            brief(&text)
        };
        let by = r#", "src": "tagger:x", "conf": 0.970, "at": "2025""#;
        let tags = [
            tag("general", "fox", 0, ""),
            tag("general", r#"Snow \""#, 1, ""),
            tag("meta", "a", 2, by),
            tag("meta", "b", 3, by),
            tag("meta", "c", 4, ""),
        ];
        assert_eq!(
            of(&tags).as_deref(),
            Some(
                r#"{"name":"n","tags":[["general","fox","Snow \""],[{"category":"meta","src":"tagger:x","conf":0.970,"at":"2025"},"a","b"],["meta","c"]],"x":1.50}"#
            )
        );
        assert_eq!(
            of(&[]).as_deref(),
            Some(r#"{"name":"n","tags":[],"x":1.50}"#)
        );
        assert_eq!(brief("{}").as_deref(), Some("{}"));
        for odd in [
            tag("general", "fox", 1, ""),
            tag("general", "fox", 0, r#", "x": 1"#),
            tag("general", "fox", 0, r#", "at": "2025", "src": "x""#),
            r#"{"value": "fox", "category": "general", "position": 0}"#.to_owned(),
            r#"{"category": "general", "value": "fox"}"#.to_owned(),
            r#""fox""#.to_owned(),
        ] {
            assert_eq!(of(std::slice::from_ref(&odd)), None, "{odd}");
        }
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
