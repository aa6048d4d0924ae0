//! Ids change when files get other names, and relations go along.

use std::fs;

use super::{requests::Unhashed, tests::*, *};
use crate::model::{media::Media, sidecar::Sidecar};

const TEXT: &str = "a picture, as far as storage knows";

fn library(layout: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lib");
    let settings = format!("{{\"library_name\": \"x\", \"layout\": \"{layout}\"}}");
    let place = match layout {
        "in-place" => ".tagloupe/library.json",
        _ => "library.json",
    };
    write(&root, place, settings);
    for (name, text) in files {
        write(&root, name, text);
    }
    let library = Library::open(&root).unwrap();
    rebuilt(&library);
    (dir, library)
}

fn says(library: &Library, sidecar: &str) -> Media {
    Sidecar::parse(&read(library.root(), sidecar))
        .unwrap()
        .media
}

fn refreshed(library: &Library) {
    library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
}

fn ids(library: &Library) -> Vec<(String, String)> {
    let entries = entries(library).into_iter();
    let mut ids: Vec<_> = entries
        .map(|entry| (entry.path, entry.id.to_string()))
        .collect();
    ids.sort();
    ids
}

#[test]
fn relations_follow_a_renamed_picture() {
    let (_dir, library) = library(
        "flat",
        &[("images/a.png", TEXT), ("images/a.json", "{\"schema\": 1}")],
    );
    let md5 = files::md5_of(TEXT.as_bytes());
    let related =
        r#"{"related": {"similar": ["z", "a"]}, "relations": {"similar": {"a": {"score": 0.5}}}}"#;
    write(library.root(), "images/c.png", "another picture");
    write(library.root(), "images/c.json", related);
    let mask = r#"{"type": "mask", "source_image": "a", "tags": [], "metadata": {}}"#;
    write(library.root(), "images/m.png", "a mask");
    write(library.root(), "images/m.json", mask);
    refreshed(&library);
    let keys = library.unhashed_keys(false).unwrap();
    let unhashed = library.unhashed(&keys).unwrap();
    let is_a = |file: &Unhashed| file.path == "images/a.png";
    let hashed = unhashed.into_iter().filter(is_a).map(|file| (file, md5));
    library.note_md5(&hashed.collect::<Vec<_>>()).unwrap();
    let from = library.root().join("images/a.png");
    fs::rename(from, library.root().join("images/b.png")).unwrap();
    refreshed(&library);
    library.follow_renamed(NOW).unwrap();
    let c = says(&library, "images/c.json");
    assert_eq!(c.related("similar"), ["z", "b"]);
    assert_eq!(c.relations["similar"]["b"]["score"], 0.5);
    assert_eq!(says(&library, "images/m.json").origin(), Some("b"));
    // One step of the user's history, which can be taken back.
    assert_eq!(library.history(10).unwrap().len(), 1);
}

fn sidecar(md5_of: &str, related: &str) -> String {
    let md5 = files::md5_of(md5_of.as_bytes());
    format!(
        r#"{{"schema": 1, "related": {{"parent": ["{related}"]}}, "hashes": {{"md5": "{md5}"}}}}"#
    )
}

#[test]
fn relations_follow_pictures_that_were_moved_with_their_sidecars() {
    let (a, b) = (sidecar("a", "2020/b"), sidecar("b", "2020/a"));
    let files = [
        ("2020/a.png", "a"),
        ("2020/a.json", &a),
        ("2020/b.png", "b"),
        ("2020/b.json", &b),
    ];
    let (_dir, library) = library("in-place", &files);
    let (from, to) = (library.root().join("2020"), library.root().join("2021"));
    fs::rename(from, to).unwrap();
    refreshed(&library);
    library.follow_renamed(NOW).unwrap();
    assert_eq!(says(&library, "2021/a.json").related("parent"), ["2021/b"]);
    assert_eq!(says(&library, "2021/b.json").related("parent"), ["2021/a"]);
    // Nothing is left to follow.
    library.follow_renamed(NOW).unwrap();
    assert_eq!(library.history(10).unwrap().len(), 1);
}

#[test]
fn the_other_of_a_name_gets_the_short_id_and_keeps_its_relations() {
    let child = sidecar("c", "a.png");
    let files = [
        ("images/a.jpg", "jpeg"),
        ("images/a.png", "png"),
        ("images/c.png", "c"),
        ("images/c.json", &child),
    ];
    let (_dir, library) = library("flat", &files);
    let png = key(&library, "a.png");
    let operation = library.operation("trash 1");
    let trashed = library.trash(&operation, &[key(&library, "a.jpg")], "", None, NOW);
    assert!(trashed.iter().all(Result::is_ok));
    library.finish(&operation);
    assert_eq!(key(&library, "a"), png);
    assert_eq!(says(&library, "images/c.json").related("parent"), ["a"]);
    let kept = ids(&library);
    rebuilt(&library);
    assert_eq!(ids(&library), kept);

    undo(&library);
    assert_eq!(key(&library, "a.png"), png);
    assert_eq!(says(&library, "images/c.json").related("parent"), ["a.png"]);
    let both = ids(&library);
    rebuilt(&library);
    assert_eq!(ids(&library), both);
}
