//! Sidecars as files: each `NAME.json` in `tests/fixtures/sidecar` is opened, gets
//! one tag, and is saved; the result is compared with `NAME.expected.json`.

#![expect(
    clippy::disallowed_methods,
    reason = "files of other programs are written by hand"
)]

use std::{fs, ops::ControlFlow, path::Path};

use tagloupe::{
    model::{edit::Edit, sidecar::Sidecar, tag::Tag},
    storage::{Change, Library},
};

/// 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000;

#[test]
fn fixtures_survive_open_edit_and_save() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sidecar");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".expected"))
        .collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        fs::create_dir(&images).unwrap();
        fs::write(
            dir.path().join("library.json"),
            r#"{"library_name": "x", "images": []}"#,
        )
        .unwrap();
        fs::write(images.join("x.png"), "picture").unwrap();
        fs::copy(folder.join(format!("{name}.json")), images.join("x.json")).unwrap();
        let library = Library::open(dir.path()).unwrap();
        let entries = library
            .load_entries(&mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        let edits = vec![Edit::AddTag {
            tag: Tag::new("", "added"),
            position: None,
        }];
        let change = Change {
            key: entries[0].key,
            steps: vec![(0, edits)],
        };
        let operation = library.operation("edit");
        for written in library.write(&[operation], vec![change], NOW) {
            written.unwrap();
        }
        let saved = fs::read_to_string(images.join("x.json")).unwrap();
        let host = Sidecar::parse(&saved).unwrap().media.rev.unwrap().host;
        let saved = saved.replace(&format!("\"host\": \"{host}\""), "\"host\": \"HOST\"");
        let expected = fs::read_to_string(folder.join(format!("{name}.expected.json"))).unwrap();
        assert_eq!(saved, expected, "{name}");
        assert_eq!(Sidecar::parse(&expected).unwrap().render(), expected);
    }
}
