//! The trash from outside: the real program on a library whose media were put away.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tagloupe::{
    engine::{cache::layer::Cache, job::system_clock, thumbnail::ThumbnailStore, trash::empty_old},
    model::id::MediaKey,
    storage::Library,
};

use super::support::{Home, files_below, originals, write_pictures, write_text};

const DAY: i64 = 86_400;
/// 2026-01-01, in seconds.
const NEW_YEAR: i64 = 1_767_225_600;

/// A home with a managed library of that many pictures, each with tags and a caption.
fn home_with(pictures: u32) -> Home {
    let home = Home::new();
    home.init();
    write_pictures(&home.path().join("source"), 0..pictures);
    home.on_library(&["ingest", "source"]).expect(0);
    home.on_library(&["tag", "", "+fox", "caption:\"a red fox\""])
        .expect(0);
    home
}

fn keys(library: &Library) -> Vec<MediaKey> {
    let entries = library
        .load_entries(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

/// Puts everything away, as the screen does.
fn trash_all(home: &Home, reason: &str, now: i64) {
    let library = Library::open(&home.library()).unwrap();
    let operation = library.operation("trash");
    for outcome in library.trash(&operation, &keys(&library), reason, None, now) {
        outcome.unwrap();
    }
    library.finish(&operation);
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files_below(folder)
        .into_iter()
        .map(|path| (path.clone(), fs::read(folder.join(path)).unwrap()))
        .collect()
}

fn count(home: &Home, query: &str) -> String {
    let run = home.on_library(&["search", "--count", query]);
    run.text().trim().to_owned()
}

#[test]
fn what_was_put_away_is_listed_and_comes_back_as_it_was() {
    let home = home_with(3);
    let images = home.library().join("images");
    let before = contents(&images);
    assert_eq!(before.len(), 9, "picture, sidecar and caption of each");
    trash_all(&home, "blurred", NEW_YEAR);
    assert_eq!(contents(&images), BTreeMap::new());
    assert_eq!(count(&home, "fox"), "0");

    let list = home.on_library(&["trash", "list", "--json"]).expect(0);
    let list = list.json();
    let items = list.as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0]["reason"], "blurred");
    assert_eq!(items[0]["at"], "2026-01-01T00:00:00Z");
    assert_eq!(items[0]["tags"][0], "fox");
    assert!(items[0]["bytes"].as_u64().unwrap() > 100);
    let text = home.on_library(&["trash", "list"]).expect(0).text();
    assert!(
        text.lines().count() == 3 && text.contains("blurred"),
        "{text}"
    );

    // One by its id, one by the path where it was, the last with the rest.
    let word = |n: usize, key: &str| items[n][key].as_str().unwrap().to_owned();
    home.on_library(&["trash", "restore", &word(0, "id"), &word(1, "path")])
        .expect(0);
    assert_eq!(count(&home, "fox"), "2");
    let run = home.on_library(&["trash", "restore", "--all"]).expect(0);
    assert!(
        run.text().contains("1 medium brought back"),
        "{}",
        run.text()
    );
    assert_eq!(contents(&images), before);
    assert_eq!(count(&home, "fox"), "3");
    let left = files_below(&home.library().join("deleted"));
    assert_eq!(left, [] as [PathBuf; 0]);
    home.on_library(&["verify"]).expect(0);
    home.on_library(&["trash", "list"]).expect(1);
    home.on_library(&["trash", "restore", "nothing-of-that-name"])
        .expect(2);
    for command in ["empty", "restore"] {
        let run = home.on_library(&["trash", command]).expect(2);
        assert!(run.stderr.contains("--all"), "{}", run.stderr);
    }
}

#[test]
fn a_place_that_is_taken_is_left_alone() {
    let home = home_with(1);
    let original = originals(&home.library()).remove(0);
    trash_all(&home, "", NEW_YEAR);
    let place = home.library().join("images").join(&original);
    write_text(&place, "something else");
    let run = home.on_library(&["trash", "restore", "--all"]).expect(2);
    assert!(run.stderr.contains("is there already"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&place).unwrap(), "something else");
    fs::remove_file(&place).unwrap();
    // A sidecar there would become that of the picture.
    let sidecar = place.with_extension("json");
    write_text(&sidecar, "{\"tags\": [\"badger\"]}");
    home.on_library(&["trash", "restore", "--all"]).expect(2);
    assert!(!place.exists());
    fs::remove_file(&sidecar).unwrap();
    home.on_library(&["trash", "restore", "--all"]).expect(0);
    assert_eq!(count(&home, "fox"), "1");
}

#[test]
fn what_is_thrown_away_for_good_stays_out_unless_it_is_forced() {
    let home = home_with(2);
    let library = home.library();
    trash_all(&home, "blurred", NEW_YEAR);
    let usage = home.on_library(&["trash", "empty"]).expect(2);
    assert!(usage.stderr.contains("--older-than"), "{}", usage.stderr);

    let run = home
        .on_library(&["trash", "empty", "--all", "--dry-run"])
        .expect(0);
    assert_eq!(run.text().lines().count(), 2);
    assert!(run.stderr.contains("2 media"), "{}", run.stderr);
    assert_eq!(files_below(&library.join("deleted")).len(), 8);

    let run = home.on_library(&["trash", "empty", "--all"]).expect(0);
    assert!(run.text().contains("2 media thrown away"), "{}", run.text());
    assert_eq!(files_below(&library.join("deleted")), [] as [PathBuf; 0]);
    let tombstones = fs::read_to_string(library.join("tombstones.jsonl")).unwrap();
    assert_eq!(tombstones.lines().count(), 2);
    let stone: Value = serde_json::from_str(tombstones.lines().next().unwrap()).unwrap();
    assert_eq!(stone["md5"].as_str().unwrap().len(), 32);
    assert_eq!(stone["reason"], "blurred");

    // A refusal is no failure, and the source is not touched.
    let run = home.on_library(&["ingest", "source", "--json"]).expect(0);
    let json = run.json();
    assert_eq!(json["stored"], 0);
    assert_eq!(json["refused"].as_array().unwrap().len(), 2);
    let reason = json["refused"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("for good") && reason.contains("--force"),
        "{reason}"
    );
    assert_eq!(files_below(&home.path().join("source")).len(), 2);

    // What falls into the inbox goes to quarantine, not away.
    fs::create_dir_all(library.join("ingest")).unwrap();
    fs::copy(
        home.path().join("source/0.png"),
        library.join("ingest/0.png"),
    )
    .unwrap();
    home.on_library(&["scan"]).expect(0);
    assert_eq!(files_below(&library.join("ingest")), [] as [PathBuf; 0]);
    assert!(library.join("quarantine/0.png").is_file());

    home.on_library(&["ingest", "--force", "source"]).expect(0);
    assert_eq!(originals(&library).len(), 2);
    // Known again, and so a duplicate.
    let run = home.on_library(&["ingest", "source", "--json"]).expect(0);
    assert_eq!(run.json()["duplicates"], 2);
}

#[test]
fn only_what_is_old_enough_goes() {
    let home = home_with(2);
    let library = Library::open(&home.library()).unwrap();
    let keys = keys(&library);
    let now = tagloupe::engine::job::system_clock();
    for (key, age) in keys.iter().zip([10, 100]) {
        let operation = library.operation("trash");
        for outcome in library.trash(&operation, &[*key], "", None, now - age * DAY) {
            outcome.unwrap();
        }
        library.finish(&operation);
    }
    drop(library);
    let left = |home: &Home| {
        let run = home.on_library(&["trash", "list", "--json"]);
        run.json().as_array().unwrap().len()
    };
    home.on_library(&["trash", "empty", "--older-than", "200"])
        .expect(1);
    assert_eq!(left(&home), 2);
    home.on_library(&["trash", "empty", "--older-than", "50"])
        .expect(0);
    assert_eq!(left(&home), 1);

    // By itself, as the settings say: never, and after five days.
    for (days, expected) in [(0, 1), (5, 0)] {
        let library = Library::open(&home.library()).unwrap();
        let thumbnails =
            ThumbnailStore::new(Cache::on_disk(&library.layout().cache(), system_clock));
        empty_old(&library, &thumbnails, days, now, &mut || {
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(left(&home), expected, "{days} days");
    }
}

#[test]
fn a_copy_that_stays_is_not_refused_later() {
    let home = Home::new();
    let photos = home.path().join("photos");
    write_pictures(&photos, 0..1);
    fs::create_dir_all(photos.join("more")).unwrap();
    fs::copy(photos.join("0.png"), photos.join("more/0.png")).unwrap();
    home.run(&["init", "--in-place", "photos"]).expect(0);
    let on_photos = |arguments: &[&str]| {
        let mut all = vec!["--library", "photos"];
        all.extend(arguments);
        home.run(&all)
    };
    on_photos(&["rebuild"]).expect(0);
    // Found files have no md5 yet: write it into the sidecars.
    let md5 = format!(
        "{:x}",
        md5::compute(fs::read(photos.join("0.png")).unwrap())
    );
    let sidecar = format!(
        "{{\"tags\": [], \"related\": {{}}, \"metadata\": {{}}, \"hashes\": {{\"md5\": \"{md5}\"}}}}"
    );
    write_text(&photos.join("0.json"), &sidecar);
    write_text(&photos.join("more/0.json"), &sidecar);
    on_photos(&["rebuild"]).expect(0);
    on_photos(&["dups", "remove", "--exact"]).expect(0);
    assert!(!photos.join("more/0.png").exists());
    on_photos(&["trash", "empty", "--all"]).expect(0);
    assert!(!photos.join(".tagloupe/tombstones.jsonl").exists());
    assert!(photos.join("0.png").is_file());
}

#[test]
fn a_note_cannot_put_a_file_where_it_likes() {
    let home = home_with(1);
    trash_all(&home, "", NEW_YEAR);
    let deleted = home.library().join("deleted");
    let note = files_below(&deleted)
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".del.json"))
        .unwrap();
    let text = fs::read_to_string(deleted.join(&note)).unwrap();
    let object: Value = serde_json::from_str(&text).unwrap();
    let path = object["restore_path"].as_str().unwrap();
    let outside = home.path().join("evil.png");
    for target in [
        "../evil.png".to_owned(),
        outside.to_string_lossy().into_owned(),
        "images/.git/hooks/evil.png".to_owned(),
        "library.json".to_owned(),
        "images/evil.sh".to_owned(),
    ] {
        let hostile = text.replace(path, &target);
        write_text(&deleted.join(&note), &hostile);
        home.on_library(&["trash", "list"]).expect(1);
        home.on_library(&["trash", "restore", "--all"]).expect(1);
        assert!(!outside.exists());
    }
    write_text(&deleted.join(&note), &text);
    home.on_library(&["trash", "restore", "--all"]).expect(0);
}
