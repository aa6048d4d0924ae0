//! The floors of the house: a module uses floors below its own, never one above
//! or beside it, and some crates have one home.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Floors from the ground; those of equal height do not know each other.
const FLOORS: [(&str, u8); 6] = [
    ("model", 0),
    ("storage", 1),
    ("engine", 2),
    ("app", 3),
    ("tui", 4),
    ("cli", 4),
];

/// Floors that lie below but are closed: the screen asks the app, never the engine.
const CLOSED: [(&str, &str); 4] = [
    ("tui", "engine"),
    ("tui", "storage"),
    ("app", "storage"),
    ("cli", "storage"),
];

/// Paths that only some places may name: the start of the path, then the starts
/// of the file names (without `.rs`) that may.
const HOMES: [(&str, &[&str]); 8] = [
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    (
        "rusqlite",
        &["storage/index", "storage/state", "engine/cache/disk"],
    ),
    ("redis::", &["engine/cache/redis"]),
    ("moka", &["engine/cache/memory"]),
    ("ureq", &["engine/source/http"]),
    (
        "std::fs",
        &["storage", "engine", "cli", "tui/theme", "app/config"],
    ),
    ("tokio", &["engine", "app/runtime", "tui", "main"]),
];

/// Calls that change files. What belongs to the user is changed by `storage` alone,
/// through its journal.
const CHANGES: [&str; 12] = [
    "fs::rename",
    "fs::remove_file",
    "fs::remove_dir",
    "fs::copy",
    "fs::create_dir",
    "fs::hard_link",
    "fs::write",
    "fs::set_permissions",
    "File::create",
    "File::options",
    "OpenOptions",
    "NamedTempFile",
];

/// Places outside `storage` that change files, none of which are the user's.
const WRITERS: [(&str, &str); 10] = [
    ("app/config", "the configuration, when it is asked for"),
    ("cli/demo", "a library that is made up"),
    ("cli/doctor/disk", "tries of its own"),
    ("cli/log", "the log"),
    ("cli/settings", "the configuration, when it is asked for"),
    ("engine/cache/disk/files", "the cache"),
    ("engine/cache/disk/schema", "the cache"),
    ("engine/watch", "the inbox folder, where there is none"),
    ("engine/demo", "a library that is made up"),
    ("tui/theme", "nothing: its tests"),
];

#[test]
fn only_storage_changes_what_is_the_users() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut breaches = Vec::new();
    let mut seen = 0;
    for file in files {
        let module = module_name(&root, &file);
        let is_test = module.ends_with("tests");
        if is_test || WRITERS.iter().any(|(writer, _)| module == *writer) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        // What stands behind the unit tests' module is theirs.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let found = CHANGES.iter().filter(|call| code.contains(**call));
        if module.starts_with("storage") {
            seen += found.count();
        } else {
            breaches.extend(found.map(|call| format!("{module} calls {call}")));
        }
    }
    assert!(seen > 5, "the guard looks for what nobody calls");
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn modules_only_look_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    // A file of unit tests may use whatever it needs to look from outside.
    files.retain(|file| file.file_name().is_some_and(|name| name != "tests.rs"));
    assert!(files.len() > 10, "no sources under {}", root.display());
    let mut breaches: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            breaches(&module_name(&root, file), &text)
        })
        .collect();
    breaches.sort();
    breaches.dedup();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// The guard itself: each planted breach is named, and innocent code is not.
#[test]
fn the_guard_sees_a_breach() {
    for (module, code, expected) in [
        ("model/tag", "use crate::storage::Library;", 1),
        ("model/tag", "use super::super::engine::job::Cancel;", 1),
        ("model/tag", "use super::text;", 0),
        (
            "storage/files",
            "use crate::{model::{id::Md5, tag}, engine::job};",
            1,
        ),
        (
            "tui/pane/gallery",
            "fn f() { crate::engine::job::run() }",
            1,
        ),
        ("app", "pub use crate::storage::Error;", 1),
        ("cli/query", "use crate::tui::theme;", 1),
        ("engine/search", "use crate::{model::query, storage};", 0),
        ("app/gallery", "use std::{fs, path::Path};", 1),
        ("app/gallery", "let a = rusqlite::Connection::open(b);", 1),
        ("app/gallery", "// std::fs::read in a comment", 0),
        ("storage/index/write", "use rusqlite::params;", 0),
        ("app/gallery", "#[cfg(test)]\nmod tests { use std::fs; }", 0),
        ("app/gallery", "use ratatui_image::Resize;", 1),
    ] {
        let found = breaches(module, code);
        assert_eq!(found.len(), expected, "{module}: {code}: {found:?}");
    }
}

fn breaches(module: &str, text: &str) -> Vec<String> {
    let floors = BTreeMap::from(FLOORS);
    let own = module.split('/').next().unwrap();
    let mut breaches = Vec::new();
    for path in paths(text) {
        let seen = floor_of(module, &path);
        if let (Some(mine), Some(theirs)) = (floors.get(own), floors.get(seen))
            && seen != own
            && (theirs >= mine || CLOSED.contains(&(own, seen)))
        {
            breaches.push(format!("{module}: {own} may not use {seen} ({path})"));
        }
        for (word, homes) in HOMES {
            if path.starts_with(word) && !homes.iter().any(|home| module.starts_with(home)) {
                let homes = homes.join(", ");
                breaches.push(format!("{module}: {word} lives in {homes} ({path})"));
            }
        }
    }
    breaches.sort();
    breaches.dedup();
    breaches
}

/// The floor that a path leads to, or a word that is none.
fn floor_of<'p>(module: &str, path: &'p str) -> &'p str {
    let ups = path.matches("super::").count();
    let rest = if let Some(rest) = path.strip_prefix("crate::") {
        rest
    } else if let Some(rest) = path.strip_prefix("tagloupe::") {
        rest
    } else if ups > 0 && ups == module.split('/').count() {
        path.trim_start_matches("super::")
    } else {
        ""
    };
    rest.split("::").next().unwrap()
}

/// Every path a file names, in `use` trees and in the code, up to its test module.
fn paths(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap().trim())
        .collect();
    let code = code.join("\n");
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut paths = Vec::new();
    for statement in code.split(';') {
        let start = statement
            .rfind("use ")
            .filter(|at| *at == 0 || !statement.as_bytes()[at - 1].is_ascii_alphanumeric());
        if let Some(at) = start {
            let tree = statement[at + 4..].replace('\n', " ");
            expand("", &tree, &mut paths);
        }
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    paths.extend(
        code.split(|c| !is_path(c))
            .filter(|word| word.contains("::"))
            .map(String::from),
    );
    paths
}

/// `a::{b, c::{d, e}}` gives `a::b`, `a::c::d`, `a::c::e`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let (Some(open), Some(close)) = (tree.find('{'), tree.rfind('}')) else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let head = format!("{prefix}{}", &tree[..open]);
    let inner = &tree[open + 1..close.max(open + 1)];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&head, &inner[start..at], paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn module_name(root: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    relative.to_str().unwrap().replace('\\', "/")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
