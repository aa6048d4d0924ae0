//! `verify` from outside: every kind of damage is found and named, a repair mends
//! what can be derived and touches nothing else, and an interrupted run goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tagloupe::{
    engine::{
        cache::{
            entry::Version,
            key::Key,
            layer::Cache,
            settings::{CacheSettings, Choice},
        },
        job::system_clock,
    },
    storage::{LayoutKind, Library, VerifySettings},
};

use super::support::{Home, Run, files_below, originals, write_pictures, write_text};

/// A home with a managed library of that many pictures, each with tags and a caption.
fn home_with(pictures: u32) -> Home {
    let home = Home::new();
    home.init();
    write_pictures(&home.path().join("source"), 0..pictures);
    home.on_library(&["ingest", "source"]).expect(0);
    home.on_library(&["tag", "", "+fox", "caption:\"a red fox\"", "stars:4"])
        .expect(0);
    home
}

/// The cache that the program keeps for a library.
fn cache_of(root: &Path) -> Arc<Cache> {
    let library = Library::open(root).unwrap();
    let settings = CacheSettings {
        choice: Choice::Disk,
        ..CacheSettings::default()
    };
    let folder = library.layout().cache();
    Cache::open(library.id(), &[&folder], &settings, system_clock)
}

/// The absolute paths of the originals.
fn pictures(home: &Home) -> Vec<PathBuf> {
    let images = home.library().join("images");
    let originals = originals(&home.library());
    originals.iter().map(|path| images.join(path)).collect()
}

fn id(original: &Path) -> String {
    original.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn edit_sidecar(original: &Path, change: impl FnOnce(&mut Value)) {
    let path = original.with_extension("json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    write_text(&path, &format!("{json:#}\n"));
}

fn sidecar(original: &Path) -> Value {
    serde_json::from_slice(&fs::read(original.with_extension("json")).unwrap()).unwrap()
}

/// Changes bytes and leaves size and time as they are, as rot does.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(modified).unwrap();
}

/// How often each kind of finding is reported.
fn kinds(run: &Run) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for finding in run.json()["findings"].as_array().unwrap() {
        let kind = finding["kind"].as_str().unwrap().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// All files of the user with their bytes.
fn user_files(library: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_ours = |path: &Path| {
        let first = path.iter().next().unwrap().to_string_lossy();
        first.starts_with("library.db") || ["locks", "cache"].contains(&&*first)
    };
    files_below(library)
        .into_iter()
        .filter(|path| !is_ours(path))
        .map(|path| (path.clone(), fs::read(library.join(path)).unwrap()))
        .collect()
}

#[test]
fn every_kind_of_damage_is_found_and_what_can_be_derived_is_mended() {
    let home = home_with(7);
    let library = home.library();
    home.on_library(&["verify"]).expect(0);
    let all = pictures(&home);

    // Of the first the sidecar is cut off, of the second a bit has rotted.
    let whole = fs::read_to_string(all[0].with_extension("json")).unwrap();
    write_text(&all[0].with_extension("json"), &whole[..whole.len() / 2]);
    rot(&all[1]);
    // The third lost its facts, the fourth was tagged behind the index's back.
    edit_sidecar(&all[2], |json| {
        json["hashes"].as_object_mut().unwrap().remove("md5");
        for key in ["width", "height", "bytes"] {
            json["metadata"].as_object_mut().unwrap().remove(key);
        }
    });
    edit_sidecar(&all[3], |json| json["tags"] = serde_json::json!(["badger"]));
    // The fifth is a mask of the sixth, which does not know.
    let source = id(&all[5]);
    edit_sidecar(&all[4], |json| {
        json["type"] = "mask".into();
        json["source_image"] = source.as_str().into();
    });
    // The seventh got another caption from another program.
    write_text(&all[6].with_extension("txt"), "a brown badger");
    write_text(
        &library.join("projects/foxes.json"),
        "{\"project_name\": \"foxes\", \"images\": [{\"path\": \"gone.png\"}]}",
    );
    write_text(&library.join("projects/broken.json"), "[");
    write_text(
        &library.join("deleted/ab/cd/x.png.del.json"),
        "{\"restore_path\": \"images/ab/cd/x.png\"}",
    );
    write_text(&library.join("deleted/ab/cd/stranger.png"), "no note");
    let leftover = library.join("images/.tagloupe-old.tmp");
    write_text(&leftover, "half");
    fs::File::options()
        .write(true)
        .open(&leftover)
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
        .unwrap();
    let stray = Key::thumb(&"nothing".parse().unwrap(), (256, 256), "picture");
    cache_of(&library).set(&stray, Version::default(), Some(b"a thumbnail of nothing"));

    let before = user_files(&library);
    let run = home.on_library(&["verify", "--json"]).expect(1);
    let expected: BTreeMap<String, usize> = [
        ("broken sidecar", 1),
        ("wrong bytes", 1),
        ("wrong index row", 3),
        ("one-sided relation", 1),
        ("caption differs", 1),
        ("dangling member", 1),
        ("broken project", 1),
        ("bad note in the trash", 1),
        ("in the trash without a note", 1),
        ("leftover", 1),
        ("stray cache", 1),
    ]
    .map(|(kind, n)| (kind.to_owned(), n))
    .into();
    assert_eq!(kinds(&run), expected, "{}", run.text());
    assert_eq!(run.json()["without_md5"], 1);
    assert_eq!(user_files(&library), before, "looking changes nothing");

    let run = home
        .on_library(&["verify", "--repair", "--dry-run"])
        .expect(1);
    assert!(run.text().contains("would repair"), "{}", run.text());
    assert_eq!(user_files(&library), before, "neither does planning");
    let held = || cache_of(&library).get(&stray, Version::default()).found();
    assert!(held().is_some());

    let run = home.on_library(&["verify", "--repair"]).expect(1);
    let repaired = run.text();
    assert!(repaired.contains("repaired: removed"), "{repaired}");
    let run = home.on_library(&["verify", "--json"]).expect(1);
    let left: BTreeSet<String> = kinds(&run).into_keys().collect();
    let expected = [
        "wrong bytes",
        "caption differs",
        "dangling member",
        "broken project",
        "in the trash without a note",
    ];
    assert_eq!(left, expected.map(str::to_owned).into(), "{}", run.text());
    assert_eq!(run.json()["without_md5"], 0);
    assert!(held().is_none() && !leftover.exists());

    for original in &all {
        let path = original.strip_prefix(&library).unwrap();
        assert_eq!(fs::read(original).unwrap(), before[path], "untouched");
    }
    let remade = sidecar(&all[0]);
    assert_eq!(remade["tags"][0]["value"], "fox");
    assert_eq!(remade["caption"], "a red fox");
    assert_eq!(remade["stars"], 4);
    assert_eq!(remade["hashes"]["md5"], id(&all[0]).as_str());
    let name = all[0].with_extension("json");
    let aside = library.join("quarantine").join(name.file_name().unwrap());
    assert_eq!(
        fs::read_to_string(&aside).unwrap(),
        whole[..whole.len() / 2]
    );
    assert!(aside.with_extension("json.err.json").is_file());
    let completed = sidecar(&all[2]);
    assert_eq!(completed["hashes"]["md5"], id(&all[2]).as_str());
    assert_eq!(completed["metadata"]["width"], 64);
    assert_eq!(
        completed["metadata"]["bytes"],
        fs::metadata(&all[2]).unwrap().len()
    );
    assert_eq!(
        sidecar(&all[5])["related"]["masks"][0],
        id(&all[4]).as_str()
    );
    let run = home.on_library(&["search", "--count", "badger"]).expect(0);
    assert_eq!(run.text().trim(), "1");
}

#[test]
fn an_interrupted_verification_goes_on_and_forgets_nothing() {
    let home = Home::new();
    let root = home.library();
    let library = Library::create(&root, LayoutKind::Flat, "Test").unwrap();
    for n in 0..250 {
        write_text(&root.join(format!("images/{n:03}.png")), &n.to_string());
        let md5 = md5::compute(n.to_string());
        write_text(
            &root.join(format!("images/{n:03}.json")),
            &format!("{{\"tags\": [], \"related\": {{}}, \"hashes\": {{\"md5\": \"{md5:x}\"}}}}"),
        );
    }
    library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
    rot(&root.join("images/007.png"));

    let mut calls = 0;
    let settings = VerifySettings::looking(0);
    let report = library
        .verify(&settings, &mut |progress| {
            // The scan tells too, with nothing done.
            calls += u32::from(progress.done > 0);
            match calls {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })
        .unwrap();
    assert!(report.is_cancelled);
    assert_eq!((report.checked, report.findings.len()), (100, 1));
    // What comes before the place where it goes on is not read again: this rot is
    // found by the next run from the start.
    rot(&root.join("images/008.png"));
    drop(library);

    let run = home.on_library(&["verify", "--json"]).expect(1);
    let json = run.json();
    assert_eq!(json["resumed_after"], "images/099.png");
    assert_eq!(json["checked"], 250);
    assert_eq!(kinds(&run)["wrong bytes"], 1);
    assert!(run.stderr.contains("went on after"), "{}", run.stderr);
    let run = home.on_library(&["verify", "--json"]).expect(1);
    assert_eq!(run.json()["resumed_after"], Value::Null);
    assert_eq!(kinds(&run)["wrong bytes"], 2);
}

#[test]
fn a_restart_begins_anew_and_a_useless_cursor_is_ignored() {
    let home = home_with(2);
    let cursor = home.library().join("library.db.verify");
    let state = "{\"version\":1,\"after\":\"z\",\"sound\":9,\"without_md5\":0,\"again\":[]}";
    for (text, arguments, resumed) in [
        (state, &["verify", "--json"][..], true),
        (state, &["verify", "--json", "--restart"], false),
        ("{", &["verify", "--json"], false),
        (
            "{\"version\":99,\"after\":\"z\",\"sound\":9,\"without_md5\":0,\"again\":[]}",
            &["verify", "--json"],
            false,
        ),
    ] {
        write_text(&cursor, text);
        let run = home.on_library(arguments).expect(0);
        assert_eq!(run.json()["resumed_after"].is_string(), resumed, "{text}");
        assert_eq!(run.json()["checked"], if resumed { 9 } else { 2 });
        assert!(!cursor.exists(), "the end leaves no cursor");
    }
}

#[test]
fn thumbnails_of_what_is_thrown_away_go_with_it() {
    let home = home_with(2);
    let library = Library::open(&home.library()).unwrap();
    let entries = library
        .load_entries(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let operation = library.operation("trash");
    for outcome in library.trash(&operation, &[entries[0].key], "", None, 0) {
        outcome.unwrap();
    }
    library.finish(&operation);
    drop(library);
    // In the trash they are kept, since it may come back.
    home.on_library(&["verify"]).expect(0);
    home.on_library(&["trash", "empty", "--all"]).expect(0);
    home.on_library(&["verify"]).expect(0);
    let stored = cache_of(&home.library()).list("thumb:*");
    assert_eq!(stored.len(), 1, "{stored:?}");
}
