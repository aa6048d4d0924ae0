//! JSON that refuses an object with the same key twice. serde_json keeps the last
//! one silently, and the next save would then destroy the first.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// The key under which serde_json hands over a number with all its digits
/// (`arbitrary_precision`). It is no public name; a test notices if it changes.
const NUMBER: &str = "$serde_json::private::Number";

pub(super) fn parse(text: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

pub(super) struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER && object.is_empty() {
                let digits = entries.next_value_seed(Digits)?;
                return digits.parse().map(Value::Number).map_err(de::Error::custom);
            }
            let value = entries.next_value_seed(Self)?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("key {key:?} stands twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The digits of a number, as text.
struct Digits;

impl<'de> DeserializeSeed<'de> for Digits {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        // An exponent without sign gets one from serde_json; the digits stay.
        assert_eq!(parse("1E9").unwrap().to_string(), "1e+9");
        for text in [
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
            "1e+999",
            "-0.0",
            "7",
            "1.50",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(parse(r#"{"a": 1, "b": {"c": 1, "c": 2}}"#).is_err());
        assert!(parse(r#"{"a": 1, "b": {"a": 1}}"#).is_ok());
    }

    #[test]
    fn nothing_but_json_is_read() {
        for text in ["", "{}{}", "[1,]", "NaN", "{/* */}", "\u{0}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&deep(100)).is_ok());
        assert!(parse(&deep(100_000)).is_err());
    }
}
