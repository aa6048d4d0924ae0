//! What other programs do to sidecars behind our back, and that nothing is lost.

use std::collections::BTreeSet;

use super::{tests::*, *};
use crate::model::{
    edit::Edit,
    entry::Facets,
    media::{Media, Rating},
    sidecar::Sidecar,
    tag::{Tag, TagName},
};

const PICTURE: &str = "images/a.png";
const SIDECAR: &str = "images/a.json";

/// A sidecar with much that Image Tagger does not know.
const WHOLE: &str = r#"{
  "schema": 1,
  "name": "fox",
  "caption": "a fox",
  "tags": [
    {"category": "general", "value": "fox", "position": 0, "src": "danbooru"}
  ],
  "related": {},
  "rating": "s",
  "stars": 4,
  "fav": true,
  "urls": ["https://example.org/1"],
  "metadata": {},
  "plugin": {"kept": 1},
  "rev": {"n": 3, "host": "desk", "at": "2025-01-01T00:00:00Z"}
}
"#;

/// The same as Image Tagger leaves it, with a tag more.
const REWRITTEN: &str = r#"{
  "name": "fox",
  "caption": "a fox",
  "tags": [
    {"category": "general", "value": "fox", "position": 0},
    {"category": "general", "value": "snow", "position": 1}
  ],
  "related": {},
  "metadata": {}
}
"#;

fn library(settings: &str) -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lib");
    write(
        &root,
        "library.json",
        format!("{{\"library_name\": \"x\", \"layout\": \"flat\"{settings}}}"),
    );
    write(&root, PICTURE, "a picture, as far as storage knows");
    write(&root, SIDECAR, WHOLE);
    let library = Library::open(&root).unwrap();
    rebuilt(&library);
    (dir, library)
}

fn refreshed(library: &Library) -> RebuildSummary {
    library.refresh(&mut |_| ControlFlow::Continue(())).unwrap()
}

fn entry(library: &Library) -> Entry {
    library.entry(key(library, "a")).unwrap().unwrap()
}

fn on_disk(library: &Library) -> Media {
    Sidecar::parse(&read(library.root(), SIDECAR))
        .unwrap()
        .media
}

fn values(media: &Media) -> BTreeSet<&str> {
    media.tags.iter().map(|tag| tag.value.as_str()).collect()
}

fn repaired(library: &Library) -> VerifyReport {
    let settings = VerifySettings {
        repair: Repair::Do,
        ..VerifySettings::looking(NOW)
    };
    let go_on = &mut |_| ControlFlow::Continue(());
    library.verify(&settings, go_on).unwrap()
}

fn looked_at(library: &Library) -> VerifyReport {
    let go_on = &mut |_| ControlFlow::Continue(());
    library
        .verify(&VerifySettings::looking(NOW), go_on)
        .unwrap()
}

#[test]
fn a_path_that_came_into_the_index_meanwhile_keeps_its_id() {
    let (_dir, library) = library("");
    let entry = entry(&library);
    // Who looked before that, and saw no such path, asks for an id now.
    let free_id = |path: &str| library.at_desk(|desk| desk.free_id(path)).unwrap();
    assert_eq!(free_id(&entry.path), entry.id);
    let twin = entry.path.replace(".png", ".jpg");
    assert_ne!(free_id(&twin), entry.id, "that is someone else's");
}

#[test]
fn keys_that_another_program_left_out_are_held_and_come_back_with_the_next_save() {
    let (_dir, library) = library("");
    write(library.root(), SIDECAR, REWRITTEN);
    assert_eq!(refreshed(&library).given_back.len(), 1);
    for _ in 0..2 {
        let entry = entry(&library);
        assert_eq!(
            (entry.stars, entry.fav, entry.rating),
            (4, true, Some(Rating::Sensitive))
        );
        assert_eq!(entry.tags.len(), 2);
        assert!(entry.has.contains(Facets::MERGED));
        assert_eq!(library.read_sidecar(entry.key).unwrap().media.stars, 4);
        // Looking writes nothing, and a second look says nothing new.
        assert_eq!(read(library.root(), SIDECAR), REWRITTEN);
        assert_eq!(refreshed(&library).given_back.len(), 0);
        assert_eq!(rebuilt(&library).given_back.len(), 0);
    }
    let written = change(&library, "a", vec![add("night")]);
    assert!(written.merged.unwrap().contains("what it left out is back"));
    let media = on_disk(&library);
    assert_eq!(values(&media), BTreeSet::from(["fox", "night", "snow"]));
    assert_eq!(
        (media.stars, media.fav, media.rating),
        (4, true, Some(Rating::Sensitive))
    );
    assert_eq!(media.tags[0].src.as_deref(), Some("danbooru"));
    assert_eq!(media.rev.unwrap().n, 4);
    assert_eq!(entry(&library).tags.len(), 3);

    // Undoing the edit takes back the edit and nothing else.
    undo(&library);
    let media = on_disk(&library);
    assert_eq!(values(&media), BTreeSet::from(["fox", "snow"]));
    assert_eq!(media.stars, 4);
    assert!(!entry(&library).has.contains(Facets::MERGED));
}

#[test]
fn where_the_other_program_is_to_be_believed_nothing_comes_back() {
    let (_dir, library) = library(r#", "adopt_external": "theirs""#);
    write(library.root(), SIDECAR, REWRITTEN);
    assert_eq!(refreshed(&library).given_back.len(), 0);
    assert_eq!((entry(&library).stars, entry(&library).tags.len()), (0, 2));
    change(&library, "a", vec![add("night")]);
    assert_eq!(
        (on_disk(&library).stars, on_disk(&library).tags.len()),
        (0, 3)
    );
}

#[test]
fn an_edit_over_what_another_program_just_wrote_keeps_both() {
    let (_dir, library) = library("");
    let theirs = WHOLE
        .replace("a fox", "a red fox asleep under a tree")
        .replace("\"stars\": 4", "\"stars\": 5")
        .replace("\"value\": \"fox\"", "\"value\": \"vixen\"");
    write(library.root(), SIDECAR, &theirs);
    // Nobody has looked since: the index still has the old one.
    let edits = vec![
        add("night"),
        Edit::SetCaption("my words".into()),
        Edit::SetStars(1),
    ];
    let written = change(&library, "a", edits);
    let told = written.merged.unwrap();
    assert!(
        told.contains("the caption was changed on both sides"),
        "{told}"
    );
    let media = on_disk(&library);
    assert_eq!(values(&media), BTreeSet::from(["night", "vixen"]));
    assert_eq!(media.caption, "a red fox asleep under a tree");
    assert_eq!(media.captions[0]["text"], "my words");
    assert_eq!(media.stars, 5);
    assert!(entry(&library).has.contains(Facets::MERGED));
    assert!(read(library.root(), SIDECAR).contains("\"plugin\""));
    // The next save is an ordinary one.
    let written = change(&library, "a", vec![Edit::SetStars(2)]);
    assert_eq!(written.merged, None);
    assert_eq!(on_disk(&library).stars, 2);
    assert!(!entry(&library).has.contains(Facets::MERGED));
}

#[test]
fn a_broken_sidecar_is_remembered_and_made_again() {
    let (_dir, library) = library("");
    for broken in ["", "{\"tags\": [", "<<<<<<< ours\n{}\n"] {
        write(library.root(), SIDECAR, broken);
        refreshed(&library);
        rebuilt(&library);
        assert_eq!((entry(&library).stars, entry(&library).tags.len()), (4, 1));
        let report = repaired(&library);
        assert_eq!(report.findings, [], "{broken:?}");
        let text = read(library.root(), SIDECAR);
        assert!(text.contains("\"kept\": 1"), "{text}");
        assert_eq!(on_disk(&library).stars, 4);
    }
    let quarantined = tree(library.root());
    let quarantined = quarantined
        .iter()
        .filter(|(path, _)| path.starts_with("quarantine/"));
    assert!(
        quarantined
            .clone()
            .any(|(_, bytes)| bytes == b"{\"tags\": [")
    );
    assert_eq!(looked_at(&library).findings, []);
}

#[test]
fn a_sidecar_that_is_gone_is_made_again_only_for_its_own_picture() {
    let (_dir, library) = library("");
    let md5 = files::md5_of(b"a picture, as far as storage knows");
    let text = WHOLE.replace(
        "\"metadata\"",
        &format!("\"hashes\": {{\"md5\": \"{md5}\"}},\n  \"metadata\""),
    );
    write(library.root(), SIDECAR, &text);
    refreshed(&library);
    fs::remove_file(library.root().join(SIDECAR)).unwrap();
    refreshed(&library);
    assert_eq!(entry(&library).tags, Vec::<TagName>::new());
    assert!(matches!(
        looked_at(&library).findings[..],
        [Finding::LostSidecar { .. }]
    ));

    let picture = read(library.root(), PICTURE);
    write(library.root(), PICTURE, "another picture");
    refreshed(&library);
    let report = repaired(&library);
    assert!(
        report.repairs[0]
            .problem
            .as_ref()
            .unwrap()
            .contains("another picture")
    );
    assert!(!library.root().join(SIDECAR).exists());

    write(library.root(), PICTURE, picture);
    refreshed(&library);
    assert_eq!(repaired(&library).findings, []);
    let media = on_disk(&library);
    assert_eq!((media.stars, values(&media)), (4, BTreeSet::from(["fox"])));
    assert_eq!(entry(&library).tags.len(), 1);
}

#[test]
fn repairs_are_one_step_that_can_be_undone() {
    let (_dir, library) = library("");
    write(library.root(), SIDECAR, REWRITTEN);
    refreshed(&library);
    assert_eq!(looked_at(&library).findings.len(), 1);
    assert_eq!(repaired(&library).findings, []);
    assert_eq!(on_disk(&library).stars, 4);
    assert_eq!(
        library.history(9).unwrap()[0].action,
        "repairs of a verification"
    );
    undo(&library);
    assert_eq!(on_disk(&library).stars, 0);
    assert_eq!(on_disk(&library).tags.len(), 2);
}

#[test]
fn an_undo_says_that_another_program_wrote_in_between() {
    let (_dir, library) = library("");
    change(&library, "a", vec![add("night")]);
    let ours = read(library.root(), SIDECAR);
    let theirs = ours.replace("\"stars\": 4", "\"stars\": 5");
    assert_ne!(ours, theirs);
    write(library.root(), SIDECAR, theirs);
    let undone = undo(&library);
    assert!(
        undone.merged[0].contains("another program wrote"),
        "{undone:?}"
    );
    let media = on_disk(&library);
    assert_eq!((media.stars, values(&media).contains("night")), (5, false));
}

#[test]
fn what_was_taken_out_on_purpose_stays_out() {
    let (_dir, library) = library("");
    write(
        library.root(),
        SIDECAR,
        WHOLE.replace("  \"stars\": 4,\n", ""),
    );
    assert_eq!(refreshed(&library).given_back.len(), 0);
    assert_eq!((entry(&library).stars, entry(&library).fav), (0, true));
    let tag = Edit::AddTag {
        tag: Tag::new("", "night"),
        position: None,
    };
    change(&library, "a", vec![tag]);
    assert_eq!((on_disk(&library).stars, on_disk(&library).fav), (0, true));
}

#[test]
fn what_is_owed_goes_along_with_a_renamed_picture() {
    let (_dir, library) = library("");
    let text = "a picture, as far as storage knows";
    let keys = library.unhashed_keys(false).unwrap();
    let unhashed = library.unhashed(&keys).unwrap();
    let md5 = files::md5_of(text.as_bytes());
    let hashed: Vec<_> = unhashed.into_iter().map(|file| (file, md5)).collect();
    library.note_md5(&hashed).unwrap();
    write(library.root(), SIDECAR, REWRITTEN);
    refreshed(&library);
    let from = library.root().join(PICTURE);
    fs::rename(from, library.root().join("images/b.png")).unwrap();
    refreshed(&library);
    let followed = library.follow_renamed(NOW).unwrap();
    assert_eq!(followed[0].to, "images/b.png");
    let entry = library.entry(key(&library, "b")).unwrap().unwrap();
    assert_eq!((entry.stars, entry.tags.len()), (4, 2));
    assert_eq!(library.key_of(&"a".parse().unwrap()).unwrap(), None);
    assert_eq!(read(library.root(), "images/b.json"), REWRITTEN);
    change(&library, "b", vec![add("night")]);
    let media = Sidecar::parse(&read(library.root(), "images/b.json")).unwrap();
    assert_eq!((media.media.stars, media.media.tags.len()), (4, 3));
}
