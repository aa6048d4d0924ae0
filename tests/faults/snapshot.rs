//! What lies in a home, in a form that two runs have in common: pictures by their
//! md5, JSON without the moments at which it was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::files_below;

/// Parts of a path below which nothing of the user lies.
const DERIVED: [&str; 8] = [
    "cache/",
    "config/",
    "data/",
    "state/",
    "locks/",
    "journal/",
    "library.db",
    "library.v1.db",
];

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Json(Value),
    Text(String),
    /// The md5 of a picture.
    Picture(String),
    /// JSON or text that cannot be read as such.
    Damaged(String),
}

/// All files of the user below a home.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub files: BTreeMap<String, Content>,
    /// Temporary files of ours.
    pub leftovers: Vec<PathBuf>,
}

impl Snapshot {
    pub fn take(home: &Path) -> Self {
        let mut snapshot = Self::default();
        for path in files_below(home) {
            let text = path.to_str().unwrap();
            let below = text.strip_prefix("library/").unwrap_or(text);
            let below = below.strip_prefix(".tagloupe/").unwrap_or(below);
            if DERIVED.iter().any(|part| below.starts_with(part)) {
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with(".tagloupe-") && name.strip_suffix(".tmp").is_some() {
                snapshot.leftovers.push(home.join(&path));
                continue;
            }
            snapshot
                .files
                .insert(text.to_owned(), content(&home.join(&path)));
        }
        snapshot
    }

    /// The md5 of every picture, wherever it lies.
    pub fn pictures(&self) -> BTreeSet<&str> {
        let pictures = self.files.values().filter_map(|content| match content {
            Content::Picture(md5) => Some(md5.as_str()),
            _ => None,
        });
        pictures.collect()
    }

    /// The files of each medium: those with one stem, wherever they lie.
    pub fn media(&self) -> BTreeMap<&str, BTreeMap<&str, &Content>> {
        let mut media: BTreeMap<&str, BTreeMap<&str, &Content>> = BTreeMap::new();
        for (path, content) in &self.files {
            media
                .entry(medium(path))
                .or_default()
                .insert(path.as_str(), content);
        }
        media
    }
}

/// What the files of one medium have in common in their names.
fn medium(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    // What waits in the inbox is no medium yet: a duplicate whose companions were
    // cleared away, and which could not be, is cleared by the next try.
    let is_waiting = path.contains("/ingest/");
    // The note of a file in the trash is about it, and is no part of it.
    if is_waiting || name.ends_with(".del.json") || name.ends_with(".err.json") {
        return path;
    }
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

fn content(path: &Path) -> Content {
    let bytes = fs::read(path).unwrap();
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("json") if path.ends_with("library.json") => {
            // Its id is another one in each library that is made.
            match serde_json::from_slice::<Value>(&bytes) {
                Ok(mut value) => {
                    value["id"] = Value::Null;
                    Content::Json(value)
                }
                Err(error) => Content::Damaged(error.to_string()),
            }
        }
        Some("json") => match serde_json::from_slice(&bytes) {
            Ok(mut value) => {
                strip(&mut value);
                Content::Json(value)
            }
            Err(error) => Content::Damaged(format!("{error}: {}", bytes.escape_ascii())),
        },
        Some("jsonl") => lines(&bytes),
        Some("txt") => match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(error) => Content::Damaged(error.to_string()),
        },
        Some(_) => Content::Picture(format!("{:x}", md5::compute(&bytes))),
        None => Content::Text(bytes.escape_ascii().to_string()),
    }
}

/// JSON line by line, in any order.
fn lines(bytes: &[u8]) -> Content {
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let values: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
    match values {
        Ok(mut values) => {
            values.iter_mut().for_each(strip);
            values.sort_by_key(Value::to_string);
            values.dedup();
            Content::Json(Value::Array(values))
        }
        Err(error) => Content::Damaged(error.to_string()),
    }
}

/// Takes out what differs from run to run.
fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["at", "rev", "imported", "host", "op"] {
                object.remove(key);
            }
            object.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What of `now` is neither as it was before nor as it should be after, in words.
/// After a recovery the files of one medium have to go together.
pub fn differences(
    now: &Snapshot,
    before: &Snapshot,
    after: &Snapshot,
    together: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, content) in &now.files {
        if let Content::Damaged(how) = content {
            wrong.push(format!("{path} is damaged: {how}"));
        }
    }
    let lost: Vec<_> = before
        .pictures()
        .intersection(&after.pictures())
        .filter(|md5| !now.pictures().contains(**md5))
        .map(|md5| (*md5).to_owned())
        .collect();
    if !lost.is_empty() {
        wrong.push(format!("pictures lost: {lost:?}"));
    }
    let paths: BTreeSet<&String> = [now, before, after]
        .into_iter()
        .flat_map(|snapshot| snapshot.files.keys())
        .collect();
    for path in paths {
        let of = |snapshot: &Snapshot| snapshot.files.get(path).cloned();
        let (is, was, will) = (of(now), of(before), of(after));
        if is != was && is != will {
            wrong.push(format!(
                "{path}\n      is      {}\n      was     {}\n      becomes {}",
                shown(is.as_ref()),
                shown(was.as_ref()),
                shown(will.as_ref())
            ));
        }
    }
    if together {
        let (is, was, will) = (now.media(), before.media(), after.media());
        let stems: BTreeSet<&&str> = is.keys().chain(was.keys()).chain(will.keys()).collect();
        for stem in stems {
            let (is, was, will) = (is.get(*stem), was.get(*stem), will.get(*stem));
            if is != was && is != will {
                let files: Vec<_> = is.into_iter().flat_map(BTreeMap::keys).collect();
                wrong.push(format!("{stem} is half done, with {files:?}"));
            }
        }
    }
    wrong
}

fn shown(content: Option<&Content>) -> String {
    match content {
        None => "absent".to_owned(),
        Some(Content::Json(value)) => value.to_string(),
        Some(Content::Text(text)) => format!("{text:?}"),
        Some(Content::Picture(md5)) => format!("a picture, md5 {md5}"),
        Some(Content::Damaged(how)) => how.clone(),
    }
}
