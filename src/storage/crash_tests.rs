//! The machine dies before every single change of a file, for every kind of
//! operation; then the library is opened again. What was acknowledged is there,
//! what was not is there whole or not at all, and the index is what the files say.

mod random;

use std::{fs, ops::ControlFlow, path::Path};

use super::{files::fault::dying_after, *};
use crate::model::{
    edit::Edit,
    id::MediaKey,
    media::Media,
    tag::{Tag, TagName},
};

const NOW: i64 = 1_700_000_000;
/// More than any operation here takes.
const MAX_STEPS: usize = 400;

fn go_on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn add(value: &str) -> Edit {
    Edit::AddTag {
        tag: Tag::new("", value),
        position: None,
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let mut writes = files::Writes::default();
    writes.replace(&root.join(name), text.as_bytes()).unwrap();
}

/// A library of five media, one with sidecar and caption.
fn library(kind: LayoutKind) -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("library");
    Library::create(&root, kind, "Test").unwrap();
    let folder = match kind {
        LayoutKind::InPlace => "",
        LayoutKind::Bucketed | LayoutKind::Flat => "images/",
    };
    for name in ["a", "b", "c", "d", "e"] {
        write(&root, &format!("{folder}{name}.png"), name);
    }
    let sidecar =
        r#"{"tags": [{"category": "general", "value": "old"}], "caption": "words", "x": 1.50}"#;
    write(&root, &format!("{folder}a.json"), sidecar);
    write(&root, &format!("{folder}a.txt"), "words");
    let library = Library::open(&root).unwrap();
    library.rebuild(&mut go_on).unwrap();
    (dir, library)
}

fn all(library: &Library) -> Vec<Entry> {
    let mut entries = library
        .load_entries(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

/// What the user has: for each medium, its tags and caption; and what is in the trash.
fn state(library: &Library) -> Vec<(String, Vec<TagName>, String)> {
    let mut state: Vec<_> = all(library)
        .iter()
        .map(|entry| {
            let media = library.read_sidecar(entry.key).unwrap().media;
            let text = library.original_path(&entry.path).with_extension("txt");
            let text = fs::read_to_string(text).unwrap_or_default();
            assert_eq!(text, media.caption, "the text beside {}", entry.path);
            let tags = media.tags.iter().map(Tag::name).collect();
            (entry.path.clone(), tags, media.caption)
        })
        .collect();
    for item in library.trashed().unwrap() {
        let tags = item.media.tags.iter().map(Tag::name).collect();
        state.push((format!("trash {}", item.path), tags, item.media.caption));
    }
    state
}

/// Nothing broken, nothing left over, the index as a rebuild would make it.
fn check_sound(library: &Library, what: &str) {
    let report = library
        .verify(&VerifySettings::looking(NOW), &mut go_on)
        .unwrap();
    assert_eq!(report.findings, [], "{what}");
    let before = all(library);
    library.rebuild(&mut go_on).unwrap();
    assert_eq!(all(library), before, "{what}");
    let open = fs::read_dir(library.layout().journal())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "open"))
        .count();
    assert!(open <= 1, "{what}: journals of the dead are closed");
}

/// Runs an operation on a machine that dies after 0, 1, 2, … steps.
fn kill_everywhere(
    kind: LayoutKind,
    prepare: impl Fn(&Library, &Path),
    operation: impl Fn(&Library, &Path) -> bool,
) -> usize {
    let expected = {
        let (dir, library) = library(kind);
        prepare(&library, dir.path());
        assert!(
            operation(&library, dir.path()),
            "it works on a machine that lives"
        );
        state(&library)
    };
    for steps in 0..MAX_STEPS {
        let (dir, library) = library(kind);
        prepare(&library, dir.path());
        let before = state(&library);
        let (acknowledged, taken) = dying_after(steps, || operation(&library, dir.path()));
        let root = library.root().to_owned();
        drop(library);
        let library = Library::open(&root).unwrap();
        library.recover(NOW).unwrap();
        library.refresh(&mut go_on).unwrap();
        let what = format!("{kind:?}, died after {steps} of {taken} steps");
        let after = state(&library);
        if acknowledged {
            assert_eq!(after, expected, "{what}: acknowledged and lost");
        } else {
            assert!(
                after == before || after == expected,
                "{what}: half done\nbefore {before:#?}\nafter {after:#?}"
            );
        }
        check_sound(&library, &what);
        if taken <= steps {
            return steps;
        }
    }
    panic!("an operation takes more than {MAX_STEPS} steps");
}

const KINDS: [LayoutKind; 2] = [LayoutKind::Flat, LayoutKind::InPlace];

fn edit(library: &Library, names: &[&str], edits: &[Edit]) -> bool {
    let changes: Vec<Change> = all(library)
        .iter()
        .filter(|entry| names.contains(&entry.file_name()))
        .map(|entry| Change {
            key: entry.key,
            steps: vec![(0, edits.to_vec())],
        })
        .collect();
    let operation = library.operation("edit");
    let written = library.write(std::slice::from_ref(&operation), changes, NOW);
    library.finish(&operation);
    written.iter().all(Result::is_ok)
}

fn trash(library: &Library, names: &[&str]) -> bool {
    let entries = all(library).into_iter();
    let keys: Vec<MediaKey> = entries
        .filter(|entry| names.contains(&entry.file_name()))
        .map(|entry| entry.key)
        .collect();
    let operation = library.operation("trash");
    let results = library.trash(&operation, &keys, "test", None, NOW);
    library.finish(&operation);
    results.iter().all(Result::is_ok)
}

fn undo(library: &Library) -> bool {
    let undone = library.undo(Which::Newest, NOW, &mut |_, _| ControlFlow::Continue(()));
    undone.is_ok_and(|undone| undone.is_some_and(|undone| undone.left.is_empty()))
}

#[test]
fn an_edit_of_one_medium() {
    for kind in KINDS {
        let edits = [add("new"), Edit::SetStars(4)];
        let steps = kill_everywhere(
            kind,
            |_, _| {},
            |library, _| edit(library, &["a.png"], &edits),
        );
        assert!(steps >= 3, "journal, sidecar, name");
    }
}

#[test]
fn an_edit_of_all_media() {
    let names = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    let edits = [
        add("new"),
        Edit::RemoveTag {
            name: TagName::new("", "old"),
            at: String::new(),
        },
    ];
    kill_everywhere(
        LayoutKind::Flat,
        |_, _| {},
        |library, _| edit(library, &names, &edits),
    );
}

#[test]
fn a_caption_and_the_text_beside_it() {
    for kind in KINDS {
        kill_everywhere(
            kind,
            |_, _| {},
            |library, _| {
                edit(
                    library,
                    &["a.png", "b.png"],
                    &[Edit::SetCaption("two words".into()), add("c")],
                )
            },
        );
    }
}

#[test]
fn moving_to_the_trash_and_bringing_back() {
    for kind in KINDS {
        kill_everywhere(
            kind,
            |_, _| {},
            |library, _| trash(library, &["a.png", "b.png"]),
        );
        kill_everywhere(
            kind,
            |library, _| assert!(trash(library, &["a.png", "b.png"])),
            |library, _| {
                let items = library.trashed().unwrap();
                let operation = library.operation("restore");
                let results = library.restore(&operation, &items, NOW);
                library.finish(&operation);
                results.iter().all(Result::is_ok)
            },
        );
    }
}

/// Moves the originals of a library to another disk, with a link in their place.
fn images_elsewhere(library: &Library) -> tempfile::TempDir {
    let images = library.layout().images();
    let disk = files::disks::elsewhere(&images);
    for entry in fs::read_dir(&images).unwrap().flatten() {
        fs::copy(entry.path(), disk.path().join(entry.file_name())).unwrap();
    }
    fs::remove_dir_all(&images).unwrap();
    std::os::unix::fs::symlink(disk.path(), &images).unwrap();
    library.refresh(&mut go_on).unwrap();
    disk
}

#[test]
fn a_trash_on_another_disk() {
    let disks = std::cell::RefCell::new(Vec::new());
    let kind = LayoutKind::Flat;
    let prepare = |library: &Library| disks.borrow_mut().push(images_elsewhere(library));
    let names = ["a.png", "b.png"];
    let steps = kill_everywhere(
        kind,
        |library, _| prepare(library),
        |library, _| trash(library, &names),
    );
    assert!(
        steps >= 12,
        "each of four files is copied, named and removed"
    );
    kill_everywhere(
        kind,
        |library, _| {
            prepare(library);
            assert!(trash(library, &names));
        },
        |library, _| undo(library),
    );
}

#[test]
fn undoing_and_doing_again() {
    let prepared = |library: &Library| {
        assert!(edit(library, &["a.png", "b.png"], &[add("new")]));
    };
    kill_everywhere(
        LayoutKind::Flat,
        |library, _| prepared(library),
        |library, _| undo(library),
    );
    kill_everywhere(
        LayoutKind::Flat,
        |library, _| {
            prepared(library);
            assert!(undo(library));
        },
        |library, _| {
            let redone = library.redo(Which::Newest, NOW, &mut |_, _| ControlFlow::Continue(()));
            redone.is_ok_and(|redone| redone.is_some_and(|redone| redone.left.is_empty()))
        },
    );
    kill_everywhere(
        LayoutKind::Flat,
        |library, _| assert!(trash(library, &["a.png"])),
        |library, _| undo(library),
    );
}

#[test]
fn filing_a_picture() {
    for kind in [LayoutKind::Bucketed, LayoutKind::Flat, LayoutKind::InPlace] {
        for how in [Transfer::Copy, Transfer::Move] {
            kill_everywhere(
                kind,
                |_, folder| write(folder, "inbox/new.png", "new picture"),
                |library, folder| {
                    let source = folder.join("inbox/new.png");
                    let incoming = Incoming {
                        md5: files::md5_of(b"new picture"),
                        source,
                        how,
                        extension: "png".into(),
                        original_name: String::new(),
                        media: Media {
                            tags: vec![Tag::new("", "came with it")],
                            ..Media::default()
                        },
                    };
                    let operation = library.operation("ingest");
                    let Ok(stored) = library.store(&operation, incoming, NOW) else {
                        return false;
                    };
                    let done = library.commit(std::slice::from_ref(&stored)).is_ok()
                        && library.finish_move(&stored).is_ok();
                    if done {
                        library.finish(&operation);
                    }
                    done
                },
            );
        }
    }
}

#[test]
fn emptying_the_trash() {
    for kind in KINDS {
        kill_everywhere(
            kind,
            |library, _| assert!(trash(library, &["a.png", "b.png"])),
            |library, _| {
                let Ok(items) = library.trashed() else {
                    return false;
                };
                let operation = library.operation("empty");
                let results = library.purge(&operation, &items, NOW);
                library.finish(&operation);
                results.iter().all(Result::is_ok)
            },
        );
    }
}

#[test]
fn what_was_removed_for_good_is_in_the_history_and_stays_gone() {
    let (_dir, library) = library(LayoutKind::Flat);
    assert!(trash(&library, &["a.png"]));
    assert!(edit(&library, &["b.png"], &[add("fox")]));
    let items = library.trashed().unwrap();
    let operation = library.operation("empty");
    assert!(library.purge(&operation, &items, NOW)[0].is_ok());
    library.finish(&operation);
    let past = library.history(10).unwrap();
    assert_eq!(past[0].action, "empty");
    let named = Which::Named(past[0].id);
    let refused = library.undo(named, NOW, &mut |_, _| go_on(())).unwrap_err();
    assert!(refused.chain().contains("for good"), "{}", refused.chain());
    let undone = library
        .undo(Which::Newest, NOW, &mut |_, _| go_on(()))
        .unwrap()
        .unwrap();
    assert_eq!(
        undone.action, "edit",
        "what cannot be undone is passed over"
    );
}
