use std::collections::BTreeMap;

use super::*;
use crate::model::{
    edit::Edit,
    id::MediaKey,
    media::Media,
    tag::{Tag, TagName},
};

pub(super) const NOW: i64 = 1_700_000_000;

pub(super) fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(name)).unwrap()
}

/// All files below a folder with their bytes, those of the index and locks left out.
pub(super) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.contains("library.db") && !name.contains("locks/") {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

pub(super) fn rebuilt(library: &Library) -> RebuildSummary {
    library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap()
}

pub(super) fn entries(library: &Library) -> Vec<Entry> {
    library
        .load_entries(&mut |_, _| ControlFlow::Continue(()))
        .unwrap()
}

pub(super) fn key(library: &Library, id: &str) -> MediaKey {
    library.key_of(&id.parse().unwrap()).unwrap().unwrap()
}

pub(super) fn change(library: &Library, id: &str, edits: Vec<Edit>) -> Written {
    let change = Change {
        key: key(library, id),
        steps: vec![(0, edits)],
    };
    let operation = library.operation("test");
    let written = library
        .write(std::slice::from_ref(&operation), vec![change], NOW)
        .pop()
        .unwrap()
        .unwrap();
    library.finish(&operation);
    written
}

/// Takes the newest operation back; all of it.
pub(super) fn undo(library: &Library) -> Reverted {
    let undone = library
        .undo(Which::Newest, NOW, &mut |_, _| ControlFlow::Continue(()))
        .unwrap()
        .unwrap();
    assert_eq!(undone.left, Vec::<String>::new());
    undone
}

pub(super) fn add(value: &str) -> Edit {
    Edit::AddTag {
        tag: Tag::new("", value),
        position: None,
    }
}

fn incoming(source: &Path, how: Transfer) -> Incoming {
    let bytes = fs::read(source).unwrap();
    Incoming {
        source: source.to_owned(),
        how,
        md5: files::md5_of(&bytes),
        extension: "png".into(),
        original_name: String::new(),
        media: Media::default(),
    }
}

pub(super) fn ingest(library: &Library, source: &Path, how: Transfer) -> Entry {
    let operation = library.operation("ingest");
    let stored = library
        .store(&operation, incoming(source, how), NOW)
        .unwrap();
    let entry = library
        .commit(std::slice::from_ref(&stored))
        .unwrap()
        .remove(0);
    library.finish_move(&stored).unwrap();
    library.finish(&operation);
    entry
}

fn bucketed() -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::create(&dir.path().join("lib"), LayoutKind::Bucketed, "test").unwrap();
    (dir, library)
}

#[test]
fn a_new_library_is_complete_and_found_from_inside() {
    let (dir, library) = bucketed();
    assert_eq!(library.index_state(), IndexState::Ready);
    assert_eq!((library.name(), library.count().unwrap()), ("test", 0));
    let root = dir.path().join("lib");
    assert_eq!(
        Library::find_around(&root.join("images")),
        Some(fs::canonicalize(&root).unwrap())
    );
    assert_eq!(Library::recognise(&root), Recognised::Library);
    assert_eq!(Library::recognise(dir.path()), Recognised::Empty);
    assert_eq!(Library::recognise(&root.join("nothing")), Recognised::New);
    assert!(Library::create(&root, LayoutKind::InPlace, "again").is_err());
    let again = Library::open(&root).unwrap();
    assert_eq!(again.id(), library.id());
    write(dir.path(), "pictures/a/b.png", "x");
    let pictures = dir.path().join("pictures");
    assert_eq!(Library::recognise(&pictures), Recognised::PicturesInside(1));
    assert!(Library::create(&pictures, LayoutKind::Bucketed, "x").is_err());
}

#[test]
fn a_stored_file_is_where_its_md5_says_and_the_source_stays_or_goes() {
    let (dir, library) = bucketed();
    for (how, stays) in [
        (Transfer::Copy, true),
        (Transfer::Link, true),
        (Transfer::Move, false),
    ] {
        let source = write(dir.path(), "in/Bild 1.png", format!("{how:?}"));
        let entry = ingest(&library, &source, how);
        let md5 = files::md5_of(format!("{how:?}").as_bytes());
        assert_eq!(entry.path, format!("images/{}/{md5}.png", md5.bucket()));
        assert_eq!(entry.id.as_str(), md5.to_string());
        assert_eq!(source.exists(), stays, "{how:?}");
        assert_eq!(read(library.root(), &entry.path), format!("{how:?}"));
        let sidecar = library.read_sidecar(entry.key).unwrap();
        assert_eq!(sidecar.media.fact("original_name"), Some("Bild 1.png"));
        assert_eq!(library.find_md5(&md5).unwrap()[0].0, entry.key);
    }
    let names: Vec<_> = tree(library.root()).into_keys().collect();
    assert!(!names.iter().any(|name| name.contains(".tmp")), "{names:?}");
}

#[test]
fn bytes_that_changed_after_the_door_are_refused() {
    let (dir, library) = bucketed();
    for how in [Transfer::Copy, Transfer::Move] {
        let source = write(dir.path(), "in/a.png", "one");
        let incoming = incoming(&source, how);
        write(dir.path(), "in/a.png", "two");
        assert!(matches!(
            library.store(&library.operation("ingest"), incoming, NOW),
            Err(Error::WrongBytes { .. })
        ));
        assert!(source.exists());
    }
    assert!(
        !tree(library.root())
            .keys()
            .any(|name| name.starts_with("images/"))
    );
}

#[test]
fn a_store_that_a_crash_cut_off_is_finished_by_the_next() {
    let (dir, library) = bucketed();
    let source = write(dir.path(), "in/a.png", "bytes");
    library
        .store(
            &library.operation("ingest"),
            incoming(&source, Transfer::Move),
            NOW,
        )
        .unwrap();
    // Neither committed nor finished: the source is still there.
    let entry = ingest(&library, &source, Transfer::Move);
    assert!(!source.exists());
    assert_eq!(library.count().unwrap(), 1);
    assert_eq!(library.read_sidecar(entry.key).unwrap().media.rev, None);
}

#[test]
fn a_foreign_file_at_the_target_is_never_replaced() {
    let (dir, library) = bucketed();
    let source = write(dir.path(), "in/a.png", "bytes");
    let md5 = files::md5_of(b"bytes");
    let target = format!("images/{}/{md5}.png", md5.bucket());
    write(library.root(), &target, "other");
    assert!(
        library
            .store(
                &library.operation("ingest"),
                incoming(&source, Transfer::Move),
                NOW
            )
            .is_err()
    );
    assert_eq!(read(library.root(), &target), "other");
    fs::remove_file(library.root().join(&target)).unwrap();

    let sidecar = format!("images/{}/{md5}.json", md5.bucket());
    write(
        library.root(),
        &sidecar,
        r#"{"category": "danbooru", "filename": "x"}"#,
    );
    let entry = ingest(&library, &source, Transfer::Move);
    assert!(read(library.root(), &sidecar).contains("danbooru"));
    assert!(read(library.root(), &format!("{target}.json")).contains(&md5.to_string()));
    change(&library, entry.id.as_str(), vec![add("tag")]);
    assert!(read(library.root(), &format!("{target}.json")).contains("\"tag\""));
}

#[test]
fn an_edit_is_written_once_and_its_inverse_takes_it_back() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let written = change(
        &library,
        entry.id.as_str(),
        vec![add("fox"), Edit::SetStars(3)],
    );
    assert_eq!(written.warning, None);
    assert_eq!(written.entry.tags, [TagName::new("", "fox")]);
    assert_eq!(library.entry(entry.key).unwrap(), Some(written.entry));
    let sidecar = library.read_sidecar(entry.key).unwrap();
    assert_eq!(sidecar.media.rev.as_ref().map(|rev| rev.n), Some(1));

    let before = tree(library.root());
    let nothing = change(&library, entry.id.as_str(), vec![add("FOX")]);
    assert!(!nothing.is_changed);
    assert_eq!(
        tree(library.root()),
        before,
        "nothing changed, nothing written"
    );

    undo(&library);
    let back = library.entry(entry.key).unwrap().unwrap();
    assert_eq!(back.tags, []);
    assert_eq!(back.stars, 0);
}

#[test]
fn the_caption_beside_the_picture_follows() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let id = entry.id.as_str();
    let txt = entry.path.replace(".png", ".txt");
    change(&library, id, vec![Edit::SetCaption("a fox".into())]);
    assert_eq!(read(library.root(), &txt), "a fox");
    change(&library, id, vec![add("tag")]);
    write(library.root(), &txt, "a fox\n");
    change(&library, id, vec![Edit::SetCaption("two foxes".into())]);
    assert_eq!(read(library.root(), &txt), "two foxes\n");
    assert_eq!(
        library.full_text(Some("caption"), "foxes").unwrap(),
        [entry.key]
    );
    assert!(library.full_text(None, "fox").unwrap().is_empty());
    change(&library, id, vec![Edit::SetCaption(String::new())]);
    assert!(!library.root().join(&txt).exists());
    undo(&library);
    undo(&library);
    assert_eq!(read(library.root(), &txt), "a fox");
}

#[test]
fn work_of_another_program_between_two_edits_is_kept() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let id = entry.id.as_str();
    change(&library, id, vec![add("one")]);
    let name = entry.path.replace(".png", ".json");
    let theirs = read(library.root(), &name).replacen(
        "\"tags\": [",
        "\"theirs\": 1.50,\n  \"tags\": [{\"category\": \"general\", \"value\": \"between\"},",
        1,
    );
    write(library.root(), &name, theirs);
    let written = change(&library, id, vec![add("two")]);
    let values: Vec<_> = written
        .entry
        .tags
        .iter()
        .map(|tag| tag.value.as_str())
        .collect();
    assert_eq!(values, ["between", "one", "two"]);
    assert!(read(library.root(), &name).contains("\"theirs\": 1.50"));
}

#[test]
fn a_broken_sidecar_is_never_written_over() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let name = entry.path.replace(".png", ".json");
    for text in [
        "",
        "{\"tags\": 7, \"caption\": \"\"}",
        "{\"a\": 1, \"a\": 2}",
        "<<<<<<< HEAD",
    ] {
        write(library.root(), &name, text);
        let changed = Change {
            key: entry.key,
            steps: vec![(0, vec![add("tag")])],
        };
        let operations = [library.operation("test")];
        let failed = library
            .write(&operations, vec![changed], NOW)
            .pop()
            .unwrap();
        assert!(matches!(failed, Err(Error::Sidecar { .. })), "{text}");
        assert_eq!(read(library.root(), &name), text);
        let summary = rebuilt(&library);
        assert_eq!((summary.media, summary.errors.len()), (1, 1));
        assert!(library.entry(entry.key).unwrap().is_some());
    }
}

#[test]
fn media_on_a_disk_that_is_not_there_stay_known() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let (images, disk) = (library.layout().images(), dir.path().join("disk"));
    fs::rename(&images, &disk).unwrap();
    std::os::unix::fs::symlink(&disk, &images).unwrap();
    let away = dir.path().join("away");
    fs::rename(&disk, &away).unwrap();
    let refreshed = library.refresh(&mut |_| ControlFlow::Continue(()));
    for outcome in [
        refreshed,
        library.rebuild(&mut |_| ControlFlow::Continue(())),
    ] {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("mount its disk"), "{error}");
    }
    assert!(library.entry(entry.key).unwrap().is_some());
    fs::rename(&away, &disk).unwrap();
    let summary = library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.media, summary.removed), (0, 0));
}

#[test]
fn a_failed_index_write_is_a_warning_and_made_good_later() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let id = entry.id.as_str();
    let execute = |sql: &str| library.current().index.execute(sql).unwrap();
    execute("DROP TABLE post; CREATE TABLE post (broken INTEGER)");
    let written = change(&library, id, vec![add("tag")]);
    assert!(written.warning.is_some());
    assert_eq!(
        written.entry.tags.len(),
        1,
        "the answer is right all the same"
    );
    assert_eq!(library.index_state(), IndexState::Stale);
    assert!(read(library.root(), &entry.path.replace(".png", ".json")).contains("tag"));
    execute(
        "DROP TABLE post; CREATE TABLE post (
    medium INTEGER NOT NULL,
    position INTEGER NOT NULL,
    site TEXT NOT NULL,
    post TEXT NOT NULL,
    PRIMARY KEY (medium, position)
) WITHOUT ROWID",
    );
    let again = Library::open(library.root()).unwrap();
    assert_eq!(again.index_state(), IndexState::Stale);
    assert!(again.is_behind());
    assert!(again.catch_up(0).unwrap().is_empty());
    assert!(!again.is_behind());
    assert_eq!(again.index_state(), IndexState::Ready);
    assert_eq!(entries(&again)[0].tags.len(), 1);
}

#[test]
fn a_wrong_row_heals_when_its_sidecar_is_read() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let name = entry.path.replace(".png", ".json");
    write(
        library.root(),
        &name,
        r#"{"tags": [{"category": "general", "value": "new"}]}"#,
    );
    assert_eq!(library.read_sidecar(entry.key).unwrap().media.tags.len(), 1);
    assert_eq!(library.entry(entry.key).unwrap().unwrap().tags.len(), 1);
}

#[test]
fn a_duplicate_brings_its_tags_and_takes_nothing() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    change(
        &library,
        entry.id.as_str(),
        vec![add("mine"), Edit::SetCaption("mine".into())],
    );
    let mut other = Media {
        caption: "theirs".into(),
        name: "theirs".into(),
        tags: vec![Tag::new("", "MINE"), Tag::new("artist", "someone")],
        urls: vec!["https://example.org/1".into()],
        ..Media::default()
    };
    other.sources = serde_json::from_str(r#"{"danbooru": {"id": "7"}}"#).unwrap();
    let written = library
        .merge_duplicate(&library.operation("merge"), entry.key, &other, NOW)
        .unwrap();
    assert_eq!(written.entry.tags.len(), 2);
    assert_eq!(written.entry.posts.len(), 1);
    let media = library.read_sidecar(entry.key).unwrap().media;
    assert_eq!(
        (media.caption.as_str(), media.name.as_str()),
        ("mine", "theirs")
    );
}

#[test]
fn trash_keeps_everything_and_says_where_it_was() {
    let (dir, library) = bucketed();
    let mut keys = Vec::new();
    for n in 0..2 {
        let entry = ingest(
            &library,
            &write(dir.path(), "a.png", format!("{n}")),
            Transfer::Copy,
        );
        change(
            &library,
            entry.id.as_str(),
            vec![Edit::SetCaption("c".into())],
        );
        keys.push(entry);
    }
    let results = library.trash(
        &library.operation("trash"),
        &[keys[0].key, MediaKey(999)],
        "test",
        Some(&keys[1].id),
        NOW,
    );
    assert!(results[0].is_ok() && matches!(results[1], Err(Error::UnknownKey(_))));
    assert_eq!(library.entry(keys[0].key).unwrap(), None);
    let files = tree(library.root());
    let id = keys[0].id.as_str();
    let folder = format!("deleted/{}/{}", &id[..2], &id[2..4]);
    for suffix in ["png", "json", "txt", "png.del.json"] {
        assert!(
            files.contains_key(&format!("{folder}/{id}.{suffix}")),
            "{suffix}"
        );
    }
    let note = read(library.root(), &format!("{folder}/{id}.png.del.json"));
    assert!(note.contains(&keys[0].path) && note.contains(keys[1].id.as_str()));
    let source = write(dir.path(), "a.png", "0");
    let again = ingest(&library, &source, Transfer::Copy);
    assert!(
        library.trash(
            &library.operation("trash"),
            &[again.key],
            "again",
            None,
            NOW
        )[0]
        .is_ok()
    );
    assert!(library.root().join(format!("{folder}/{id}-2.png")).exists());
    assert_eq!(library.changed_since(0).unwrap().2.len(), 2);
}

#[test]
fn quarantine_keeps_the_file_and_the_reason() {
    let (dir, library) = bucketed();
    for (how, stays) in [(Transfer::Copy, true), (Transfer::Move, false)] {
        let source = write(dir.path(), "in/bad\u{202e}.png", "junk");
        let at = library
            .quarantine(&source, &[], how, "not a picture", NOW)
            .unwrap();
        assert_eq!(fs::read(&at).unwrap(), b"junk");
        assert_eq!(source.exists(), stays);
        let name = at.file_name().unwrap().to_string_lossy().into_owned();
        let note = read(library.root(), &format!("quarantine/{name}.err.json"));
        assert!(note.contains("not a picture"));
    }
}

#[test]
fn a_stopped_rebuild_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(
        root,
        "library.json",
        r#"{"layout": "flat", "library_name": "x"}"#,
    );
    for n in 0..2_300 {
        write(root, &format!("images/{n:05}.png"), "x");
    }
    let library = Library::open(root).unwrap();
    let stopped = library
        .rebuild(&mut |progress| {
            if progress.done >= 1_000 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert!(stopped.is_cancelled);
    assert_eq!(library.count().unwrap(), 1_000);
    assert_eq!(library.index_state(), IndexState::Missing);
    let library = Library::open(root).unwrap();
    let rest = rebuilt(&library);
    assert_eq!((rest.media, rest.without_sidecar), (1_300, 1_300));
    assert_eq!(library.index_state(), IndexState::Ready);
    assert_eq!(entries(&library).len(), 2_300);
}

#[test]
fn refresh_finds_what_others_did() {
    let (dir, library) = bucketed();
    let mut all = Vec::new();
    for n in 0..3 {
        all.push(ingest(
            &library,
            &write(dir.path(), "a.png", format!("{n}")),
            Transfer::Copy,
        ));
    }
    let refresh = || library.refresh(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(refresh().media, 0, "nothing changed, nothing read");
    let sidecar = |n: usize| all[n].path.replace(".png", ".json");
    write(
        library.root(),
        &sidecar(0),
        r#"{"tags": [{"category": "general", "value": "theirs"}], "metadata": {}}"#,
    );
    fs::remove_file(library.root().join(&all[1].path)).unwrap();
    fs::remove_file(library.root().join(sidecar(1))).unwrap();
    fs::remove_file(library.root().join(&all[2].path)).unwrap();
    write(library.root(), "images/found.png", "found");
    let summary = refresh();
    assert_eq!((summary.removed, summary.missing_originals), (1, 1));
    let loaded = entries(&library);
    assert_eq!(loaded.len(), 3);
    assert_eq!(loaded[0].tags.len(), 1);
    assert!(loaded[1].has.contains(crate::model::entry::Facets::MISSING));
    assert_eq!(loaded[2].id.as_str(), "found");
}

#[test]
fn verify_finds_rot_strangers_and_wrong_rows() {
    let (dir, library) = bucketed();
    let mut all = Vec::new();
    for n in 0..4 {
        all.push(ingest(
            &library,
            &write(dir.path(), "a.png", format!("{n}")),
            Transfer::Copy,
        ));
    }
    let settings = VerifySettings::looking(NOW);
    let verify = || {
        library
            .verify(&settings, &mut |_| ControlFlow::Continue(()))
            .unwrap()
    };
    let report = verify();
    assert_eq!(
        (report.checked, report.findings.len()),
        (4, 0),
        "{report:?}"
    );
    let name = |n: usize| all[n].path.replace(".png", ".json");
    write(library.root(), &all[0].path, "X");
    write(library.root(), &name(1), "{");
    fs::remove_file(library.root().join(&all[2].path)).unwrap();
    let text = read(library.root(), &name(3))
        .replace("\"related\": {}", "\"related\": {\"masks\": [\"gone\"]}");
    write(library.root(), &name(3), text);
    write(library.root(), "images/found.png", "found");
    let findings = verify().findings;
    let has = |wanted: fn(&Finding) -> bool| findings.iter().any(wanted);
    assert!(has(|finding| matches!(finding, Finding::WrongBytes { .. })));
    assert!(has(|finding| matches!(
        finding,
        Finding::BrokenSidecar { .. }
    )));
    assert!(has(|finding| matches!(
        finding,
        Finding::MissingOriginal { .. }
    )));
    assert!(has(|finding| matches!(
        finding,
        Finding::DanglingRelation { .. }
    )));
    assert!(has(|finding| matches!(finding, Finding::WrongRow { .. })));
    let stopped = library
        .verify(&settings, &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert!(stopped.is_cancelled);
}

#[test]
fn two_writers_lose_nothing() {
    let (dir, library) = bucketed();
    let entry = ingest(&library, &write(dir.path(), "a.png", "x"), Transfer::Copy);
    let other = Library::open(library.root()).unwrap();
    std::thread::scope(|scope| {
        for (library, name) in [(&library, "a"), (&other, "b")] {
            scope.spawn(move || {
                for n in 0..25 {
                    let change = Change {
                        key: entry.key,
                        steps: vec![(0, vec![add(&format!("{name}{n}"))])],
                    };
                    let operation = library.operation("test");
                    for result in library.write(&[operation], vec![change], NOW) {
                        assert_eq!(result.unwrap().warning, None);
                    }
                }
            });
        }
    });
    let loaded = entries(&library);
    assert_eq!(loaded[0].tags.len(), 50);
    let media = library.read_sidecar(entry.key).unwrap().media;
    assert_eq!(media.tags.len(), 50);
    assert_eq!(media.rev.map(|rev| rev.n), Some(50));
}

#[test]
fn searches_are_named_one_by_one_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let text = r#"{"library_name": "x", "own": 1.10, "filters": {"old": "a b"}}"#;
    write(root, "library.json", text);
    std::fs::create_dir_all(root.join("images")).unwrap();
    let library = Library::open(root).unwrap();
    let name = |name: &str, query: Option<&str>| {
        let operation = library.operation(format!("name {name}"));
        library.name_search(&operation, name, query, 0).unwrap();
        library.finish(&operation);
    };
    name("new", Some("fox -cat"));
    name("old", None);
    let searches = |library: &Library| -> Vec<(String, String)> {
        library.searches().unwrap().into_iter().collect()
    };
    let fox = ("new".to_owned(), "fox -cat".to_owned());
    assert_eq!(searches(&library), [fox]);
    assert!(read(root, "library.json").contains("\"own\": 1.10"));

    // Naming the first one is undone after the second was forgotten.
    let past = library.history(2).unwrap();
    let undo = |id| {
        let on = &mut |_, _| std::ops::ControlFlow::Continue(());
        library.undo(Which::Named(id), 0, on).unwrap().unwrap()
    };
    assert_eq!(undo(past[1].id).left, Vec::<String>::new());
    assert_eq!(searches(&library), []);
    undo(past[0].id);
    assert_eq!(searches(&library), [("old".to_owned(), "a b".to_owned())]);
}
