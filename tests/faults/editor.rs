//! Another program at work on the same sidecars: a text editor.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::support::write_text;

/// The values of all tags that a sidecar holds.
pub fn tags_of(sidecar: &Path) -> BTreeSet<String> {
    let value: Value = serde_json::from_slice(&fs::read(sidecar).unwrap()).unwrap();
    let tags = value["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag["value"].as_str().unwrap().to_owned())
        .collect()
}

/// Adds a tag as a text editor does: reads all, writes all, renames.
pub fn edit_like_an_editor(sidecar: &Path, tag: &str) {
    let mut value: Value = serde_json::from_slice(&fs::read(sidecar).unwrap()).unwrap();
    let tags = value["tags"].as_array_mut().unwrap();
    tags.push(json!({"category": "general", "value": tag}));
    let temporary = sidecar.with_extension("json~");
    write_text(&temporary, &format!("{value:#}\n"));
    fs::rename(temporary, sidecar).unwrap();
}
