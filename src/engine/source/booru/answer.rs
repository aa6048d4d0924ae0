//! What boorus answer, read leniently: they differ in how they wrap a post, and in
//! whether a number is one.
//!
//! Invariant: no answer, whatever is in it, costs more than some tens of megabytes.

use std::collections::HashMap;

use serde_json::Value;

use super::super::post::{MAX_CATEGORY_BYTES, Object, text, unescape};
use crate::model::{id::Md5, tag::GENERAL};

/// A value may cost hundreds of bytes where it is two in the answer. A hundred posts
/// have some ten thousand.
const MAX_VALUES: usize = 250_000;

/// What an answer holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub posts: Vec<Object>,
    /// Type by tag, where the answer tells.
    pub types: HashMap<String, String>,
}

/// Why an answer is none.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// The site says something else.
    Said(String),
    Garbled(String),
}

pub(super) fn read(body: &[u8]) -> Result<Answer, Fault> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let values = body.iter().filter(|byte| b"[{,:".contains(byte)).count();
    if values > MAX_VALUES {
        return Err(Fault::Garbled(
            "the answer holds more than anybody asked for".to_owned(),
        ));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| no_json(body, &error))?;
    match value {
        Value::Array(items) => objects(items).map(|posts| Answer {
            posts,
            ..Answer::default()
        }),
        Value::Object(answer) => wrapped(answer),
        Value::String(text) => Err(Fault::Said(text)),
        _ => Err(Fault::Garbled("the answer holds no posts".to_owned())),
    }
}

/// Sites that want a key may say so in a line of plain text.
fn no_json(body: &[u8], error: &serde_json::Error) -> Fault {
    let text = String::from_utf8_lossy(&body[..body.len().min(1_000)]);
    let text = text.trim();
    if text.is_empty() {
        Fault::Garbled("the answer is empty".to_owned())
    } else if text.starts_with(['<', '{', '[']) {
        Fault::Garbled(format!("the answer is no JSON: {error}"))
    } else {
        Fault::Said(text.to_owned())
    }
}

fn objects(items: Vec<Value>) -> Result<Vec<Object>, Fault> {
    let is_empty = items.is_empty();
    let objects: Vec<Object> = items
        .into_iter()
        .filter_map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        })
        .collect();
    if objects.is_empty() && !is_empty {
        return Err(Fault::Garbled("the answer holds no posts".to_owned()));
    }
    Ok(objects)
}

fn wrapped(mut answer: Object) -> Result<Answer, Fault> {
    if let Some(tags) = answer.get("tag") {
        return Ok(Answer {
            types: named_types(tags),
            ..Answer::default()
        });
    }
    let types = match answer.get("tags") {
        Some(Value::Object(types)) => types
            .iter()
            .map(|(name, kind)| (unescape(name), type_name(kind)))
            .collect(),
        _ => HashMap::new(),
    };
    let posts = match answer
        .shift_remove("posts")
        .or_else(|| answer.shift_remove("post"))
    {
        Some(Value::Array(items)) => objects(items)?,
        Some(Value::Object(post)) => vec![post],
        Some(Value::Null) => Vec::new(),
        Some(_) => return Err(Fault::Garbled("the answer holds no posts".to_owned())),
        None if md5(&answer).is_some() => vec![answer],
        // A count without anything to count.
        None if answer.contains_key("@attributes") => Vec::new(),
        None => return Err(said(&answer)),
    };
    Ok(Answer { posts, types })
}

/// What a site says instead of posts.
fn said(answer: &Object) -> Fault {
    ["message", "reason", "error"]
        .iter()
        .map(|key| text(answer, key).trim())
        .find(|text| !text.is_empty())
        .map_or_else(
            || Fault::Garbled("the answer holds no posts".to_owned()),
            |text| Fault::Said(text.to_owned()),
        )
}

/// The md5 of a post; hidden ones have none.
pub(super) fn md5(post: &Object) -> Option<Md5> {
    let of_file = post.get("file").and_then(|file| file.get("md5"));
    [post.get("md5"), post.get("hash"), of_file]
        .into_iter()
        .flatten()
        .find_map(|md5| md5.as_str()?.trim().parse().ok())
}

/// The tags of a post with their types, where it tells.
pub(super) fn tag_info(post: &Object) -> Vec<(String, String)> {
    let infos = post.get("tag_info").and_then(Value::as_array);
    infos
        .into_iter()
        .flatten()
        .filter_map(|info| {
            let name = info.get("tag")?.as_str()?.trim();
            Some((unescape(name), type_name(info.get("type")?)))
        })
        .collect()
}

/// Type by tag, from a list of tags or a single one.
fn named_types(tags: &Value) -> HashMap<String, String> {
    let tags = match tags {
        Value::Array(tags) => tags.as_slice(),
        tag => std::slice::from_ref(tag),
    };
    tags.iter()
        .filter_map(|tag| {
            let name = tag.get("name")?.as_str()?.trim();
            Some((unescape(name), type_name(tag.get("type")?)))
        })
        .collect()
}

/// The word for a type; the numbers are the same wherever there are any.
fn type_name(kind: &Value) -> String {
    let word = match kind {
        Value::String(word) => word.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match word.as_str() {
        "1" => "artist".to_owned(),
        "3" => "copyright".to_owned(),
        "4" => "character".to_owned(),
        "5" => "meta".to_owned(),
        word if word.len() > MAX_CATEGORY_BYTES || word.bytes().all(|b| b.is_ascii_digit()) => {
            GENERAL.to_owned()
        }
        word => word.to_owned(),
    }
}
