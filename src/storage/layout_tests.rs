//! Libraries of every layout, those of other programs too.

use super::{tests::*, *};
use crate::model::{edit::Edit, tag::TagName};

#[test]
fn a_library_file_beside_an_images_folder_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "library.json", r#"{"name": "by a script"}"#);
    assert_ne!(Library::recognise(dir.path()), Recognised::Library);
    write(dir.path(), "images/ab/cd/abcd.png", "one");
    assert_eq!(Library::recognise(dir.path()), Recognised::Library);
    assert_eq!(
        Library::open(dir.path()).unwrap().kind(),
        LayoutKind::Bucketed
    );
}

#[test]
fn a_library_of_image_tagger_opens_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let tagger = r#"{"library_name": "Fotos", "images": ["0123456789abcdef"], "projects": {"p": "projects/p.json"}, "own": 1.10}"#;
    write(root, "library.json", tagger);
    write(root, "images/0123456789abcdef.png", "one");
    write(
        root,
        "images/0123456789abcdef.json",
        "{\"name\": \"n\", \"x_custom\": {\"z\": 1.0, \"a\": 12345678901234567890123}, \"tags\": [{\"category\": \"class\", \"value\": \"fox\", \"w\": 2.50}], \"similar_images\": [[\"fedcba9876543210.png\", 8]], \"metadata\": {}}",
    );
    write(root, "images/0123456789abcdef.txt", "a fox");
    write(root, "images/fedcba9876543210.jpg", "two");
    write(
        root,
        "images/mask1.json",
        r#"{"type": "mask", "source_image": "0123456789abcdef", "tags": [{"category": "mask_type", "value": "fox"}]}"#,
    );
    write(root, "images/mask1.png", "mask");
    write(
        root,
        "projects/p.json",
        r#"{"project_name": "P", "images": [{"path": "a.png", "repeats": 2}]}"#,
    );
    write(root, "library.db", "");
    let before = tree(root);

    let library = Library::open(root).unwrap();
    assert_eq!(
        (library.kind(), library.name()),
        (LayoutKind::Flat, "Fotos")
    );
    assert_eq!(library.index_state(), IndexState::Missing);
    let loaded = entries(&library);
    assert_eq!(loaded.len(), 3);
    assert_eq!(library.count().unwrap(), 2, "masks are hidden");
    assert_eq!(library.index_state(), IndexState::Ready);
    assert_eq!(tree(root), before, "opening writes nothing");
    assert_eq!(library.projects().unwrap()[0].items[0].repeats, 2);
    let caption = library.full_text(Some("caption"), "fox").unwrap();
    assert_eq!(caption, [key(&library, "0123456789abcdef")]);

    change(&library, "0123456789abcdef", vec![add("new")]);
    let text = read(root, "images/0123456789abcdef.json");
    assert!(
        text.contains(r#""x_custom": {"z": 1.0, "a": 12345678901234567890123}"#),
        "{text}"
    );
    assert!(text.contains(r#""w": 2.50"#) && text.contains("similar_images"));
    change(&library, "fedcba9876543210", vec![add("new")]);
    assert!(root.join("images/fedcba9876543210.json").exists());
    assert_eq!(read(root, "library.json"), tagger);
    assert_eq!(read(root, "images/0123456789abcdef.txt"), "a fox");
}

#[test]
fn an_in_place_library_leaves_originals_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "2024/a.jpg", "1");
    write(root, "2024/a.png", "2");
    write(root, "2024/b.png", "3");
    write(
        root,
        "2024/b.json",
        r#"{"name": "package", "version": "1"}"#,
    );
    write(root, ".hidden/c.png", "4");
    let library = Library::create(root, LayoutKind::InPlace, "photos").unwrap();
    assert_eq!(library.index_state(), IndexState::Missing);
    let ids: Vec<String> = entries(&library)
        .iter()
        .map(|entry| entry.id.to_string())
        .collect();
    assert_eq!(ids, ["2024/a.jpg", "2024/a.png", "2024/b"]);
    for id in ids {
        change(&library, &id, vec![add("tag")]);
    }
    let names: Vec<String> = tree(root)
        .into_keys()
        .filter(|name| !name.starts_with(".tagloupe/"))
        .collect();
    assert_eq!(
        names,
        [
            ".hidden/c.png",
            "2024/a.jpg",
            "2024/a.jpg.json",
            "2024/a.png",
            "2024/a.png.json",
            "2024/b.json",
            "2024/b.png",
            "2024/b.png.json",
        ]
    );
    assert!(read(root, "2024/b.json").contains("package"));

    let outside = tempfile::tempdir().unwrap();
    for expected in ["2023/11/Fuchs", "2023/11/Fuchs-2"] {
        let source = write(outside.path(), "Fuchs.png", expected);
        let entry = ingest(&library, &source, Transfer::Move);
        assert_eq!(entry.id.as_str(), expected);
        assert!(root.join(format!("{expected}.json")).exists());
    }
    let dropped = write(root, "2025/new.png", "new");
    let entry = ingest(&library, &dropped, Transfer::Move);
    assert_eq!((entry.id.as_str(), dropped.exists()), ("2025/new", true));
    assert_eq!(library.find_size(1).unwrap().len(), 3);
}

#[test]
fn in_a_training_set_the_text_file_is_the_tag_list() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "a.png", "1");
    write(root, "a.txt", "1girl, blue hair, solo\n");
    write(root, "b.png", "2");
    write(root, "b.txt", "fox, snow");
    let library = Library::create(root, LayoutKind::InPlace, "set").unwrap();
    let loaded = entries(&library);
    assert_eq!(loaded[0].tags.len(), 3);
    change(
        &library,
        "a",
        vec![Edit::RemoveTag {
            name: TagName::new("", "solo"),
            at: String::new(),
        }],
    );
    assert_eq!(read(root, "a.txt"), "1girl, blue hair\n");
    assert_eq!(read(root, "b.txt"), "fox, snow");
    rebuilt(&library);
    assert_eq!(entries(&library)[0].tags.len(), 2);
}
