//! The JSON form of a tag and of a tombstone, as sidecars, patches and the journal
//! store them: `{category, value, position, src?, conf?, at?}`. Keys that this
//! program does not know stay where they stand, digit for digit.
//!
//! Two tags are equal when a sidecar would store the same for both: where a tag
//! was read from a file its `raw` repeats what the fields say, and that counts
//! only once.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Number, Value};

use super::{GENERAL, RemovedTag, Tag};

type Object = Map<String, Value>;

impl Tag {
    /// Reads an object, or a plain text; `None` for what is no tag.
    pub fn from_json(item: &Value) -> Option<Self> {
        match item {
            Value::String(value) => Some(Self::new(GENERAL, value)),
            Value::Object(raw) if raw.get("value").is_some_and(Value::is_string) => {
                let part = |key| raw.get(key).and_then(Value::as_str);
                Some(Self {
                    src: part("src").map(str::to_owned),
                    conf: raw.get("conf").and_then(Value::as_f64),
                    at: part("at").map(str::to_owned),
                    raw: raw.clone(),
                    ..Self::new(
                        part("category").unwrap_or_default(),
                        part("value").unwrap_or_default(),
                    )
                })
            }
            _ => None,
        }
    }

    /// The object a sidecar stores for the tag at this position.
    pub fn to_object(&self, position: usize) -> Object {
        self.object(Some(position))
    }

    /// Without a position the object stands for the tag alone, wherever it is.
    fn object(&self, position: Option<usize>) -> Object {
        let mut object = self.raw.clone();
        named(&mut object, &self.category, &self.value);
        match position {
            Some(position) => {
                object.insert("position".to_owned(), position.into());
            }
            None => {
                object.shift_remove("position");
            }
        }
        optional(&mut object, "src", self.src.as_deref());
        if object.get("conf").and_then(Value::as_f64) != self.conf {
            match self.conf.and_then(|conf| Number::from_f64(rounded(conf))) {
                Some(conf) => {
                    object.insert("conf".to_owned(), conf.into());
                }
                None => {
                    object.shift_remove("conf");
                }
            }
        }
        optional(&mut object, "at", self.at.as_deref());
        object
    }

    /// Whether the fields say nothing about this entry of `raw`.
    fn is_unknown(&self, key: &str, value: &Value) -> bool {
        match key {
            "category" | "value" | "position" => false,
            "src" => self.src.is_none() && !value.is_string(),
            "conf" => self.conf.is_none() && value.as_f64().is_none(),
            "at" => self.at.is_none() && !value.is_string(),
            _ => true,
        }
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.category == other.category
            && self.value == other.value
            && self.src == other.src
            && self.conf.map(rounded) == other.conf.map(rounded)
            && self.at == other.at
            && same_unknown(
                (&self.raw, &|key, value| self.is_unknown(key, value)),
                (&other.raw, &|key, value| other.is_unknown(key, value)),
            )
    }
}

impl RemovedTag {
    /// Reads an object, or a plain text; `None` for what is no tag.
    pub fn from_json(item: &Value) -> Option<Self> {
        let tag = Tag::from_json(item)?;
        Some(Self {
            category: tag.category,
            value: tag.value,
            src: tag.src,
            at: tag.at,
            raw: tag.raw,
        })
    }

    /// The object a sidecar stores.
    pub fn to_object(&self) -> Object {
        let mut object = self.raw.clone();
        named(&mut object, &self.category, &self.value);
        optional(&mut object, "src", self.src.as_deref());
        optional(&mut object, "at", self.at.as_deref());
        object
    }

    fn is_unknown(&self, key: &str, value: &Value) -> bool {
        match key {
            "category" | "value" => false,
            "src" => self.src.is_none() && !value.is_string(),
            "at" => self.at.is_none() && !value.is_string(),
            _ => true,
        }
    }
}

impl PartialEq for RemovedTag {
    fn eq(&self, other: &Self) -> bool {
        self.category == other.category
            && self.value == other.value
            && self.src == other.src
            && self.at == other.at
            && same_unknown(
                (&self.raw, &|key, value| self.is_unknown(key, value)),
                (&other.raw, &|key, value| other.is_unknown(key, value)),
            )
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object(None).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| D::Error::custom("not a tag"))
    }
}

impl Serialize for RemovedTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_object().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RemovedTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| D::Error::custom("not a removed tag"))
    }
}

/// Numbers of ours have at most four decimals.
pub(in crate::model) fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

type Raw<'a> = (&'a Object, &'a dyn Fn(&str, &Value) -> bool);

fn same_unknown((one, in_one): Raw, (other, in_other): Raw) -> bool {
    one == other
        || (one
            .iter()
            .all(|(key, value)| !in_one(key, value) || other.get(key) == Some(value))
            && other
                .iter()
                .all(|(key, value)| !in_other(key, value) || one.get(key) == Some(value)))
}

/// Category and value, left alone where the object says the same already.
fn named(object: &mut Object, category: &str, value: &str) {
    let text = |object: &Object, key| {
        let text: Option<&str> = object.get(key).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    if text(object, "category").is_none_or(|old| old != category) {
        object.insert("category".to_owned(), category.into());
    }
    if text(object, "value").is_none_or(|old| old.trim() != value) {
        object.insert("value".to_owned(), value.into());
    }
}

/// A text that may be absent; one of another form stays where there is none to write.
fn optional(object: &mut Object, key: &str, text: Option<&str>) {
    match text {
        Some(text) => {
            object.insert(key.to_owned(), text.into());
        }
        None if object.get(key).is_some_and(Value::is_string) => {
            object.shift_remove(key);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tag {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_tag_equals_itself_read_from_a_file() {
        let tag = Tag {
            src: Some("tagger:x".into()),
            conf: Some(0.971_234),
            ..Tag::new("", "fox")
        };
        let stored = serde_json::to_string(&tag.to_object(7)).unwrap();
        assert_eq!(
            stored,
            r#"{"category":"general","value":"fox","position":7,"src":"tagger:x","conf":0.9712}"#
        );
        assert_eq!(read(&stored), tag);
    }

    #[test]
    fn what_the_fields_do_not_say_counts() {
        let plain = read(r#"{"category": "general", "value": "fox"}"#);
        assert_eq!(read(r#""fox""#), plain);
        for other in [
            r#"{"category": "general", "value": "fox", "weight": 1.20}"#,
            r#"{"category": "general", "value": "fox", "src": 5}"#,
            r#"{"category": "general", "value": "fox", "src": "user"}"#,
            r#"{"category": "general", "value": "Fox"}"#,
        ] {
            assert_ne!(read(other), plain, "{other}");
            assert_ne!(plain, read(other), "{other}");
            assert_eq!(read(other), read(other));
        }
        assert!(serde_json::from_str::<Tag>("7").is_err());
    }
}
