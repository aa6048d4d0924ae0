//! The command line from outside: the real program on real folders, judged by its
//! exit code, its output, and the files it leaves.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};

use super::support::{Home, files_below, originals, write_picture, write_pictures, write_text};

/// A home with a managed library of that many pictures, all copied in.
fn home_with(pictures: u32) -> Home {
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..pictures);
    home.on_library(&["ingest", "source"]).expect(0);
    home
}

fn sidecar(original: &Path) -> PathBuf {
    original.with_extension("json")
}

fn read_json(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values of the tags in a sidecar, in order.
fn tags(sidecar: &Path) -> Vec<String> {
    let json = read_json(sidecar);
    let tags = json["tags"].as_array().cloned().unwrap_or_default();
    tags.iter()
        .map(|tag| tag["value"].as_str().unwrap().to_owned())
        .collect()
}

fn ids(home: &Home, query: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["search", "--ids"];
    arguments.extend(query);
    let run = home.on_library(&arguments);
    assert!(matches!(run.code, Some(0 | 1)), "{}", run.stderr);
    run.text().lines().map(str::to_owned).collect()
}

#[test]
fn help_and_mistakes() {
    let home = Home::new();
    let help = home.run(&["--help"]).expect(0);
    for command in [
        "demo",
        "init",
        "ingest",
        "watch",
        "scan",
        "search",
        "tag",
        "projects",
        "rebuild",
        "verify",
        "doctor",
        "dups",
        "trash",
        "backup",
        "cache",
        "merge-driver",
        "completions",
        "man",
        "config",
    ] {
        assert!(help.text().contains(&format!("  {command}")), "{command}");
        let run = home.run(&[command, "--help"]).expect(0);
        assert!(run.text().contains("Usage"), "{command}");
    }
    home.run(&["--version"]).expect(0);
    let run = home.run(&["--no-such-switch"]).expect(2);
    assert!(run.text().is_empty() && !run.stderr.is_empty());
    let run = home.run(&["serch"]).expect(2);
    assert!(run.stderr.contains("search"), "{}", run.stderr);
    let run = home.run::<&str>(&[]).expect(2);
    assert!(run.stderr.contains("tagloupe init"), "{}", run.stderr);
    let run = home.run(&["search", "x"]).expect(2);
    assert!(run.stderr.contains("no library"), "{}", run.stderr);
}

#[test]
fn init_makes_the_library_that_fits_the_folder() {
    let home = Home::new();
    home.run(&["init", "managed", "--name", "Mine"]).expect(0);
    let library = read_json(&home.path().join("managed/library.json"));
    assert_eq!(library["library_name"], "Mine");
    assert_eq!(library["layout"], "bucketed");
    home.run(&["init", "managed"]).expect(2);

    write_pictures(&home.path().join("photos"), 0..2);
    home.run(&["init", "photos"]).expect(0);
    let library = read_json(&home.path().join("photos/.tagloupe/library.json"));
    assert_eq!(library["layout"], "in-place");
    assert!(home.path().join("photos/0.png").is_file());

    write_pictures(&home.path().join("more"), 0..2);
    home.run(&["init", "more", "--managed"]).expect(2);
    assert!(!home.path().join("more/library.json").exists());
}

#[test]
fn ingest_files_each_picture_once_and_leaves_the_sources() {
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..5);
    fs::copy(source.join("3.png"), source.join("again.png")).unwrap();
    let run = home.on_library(&["ingest", "source", "--json"]).expect(0);
    assert_eq!(run.json()["stored"], 5, "{}", run.text());
    assert_eq!(run.json()["duplicates"], 1);
    let stored = originals(&home.library());
    assert_eq!(stored.len(), 5);
    for original in &stored {
        let path = home.library().join("images").join(original);
        let json = read_json(&sidecar(&path));
        let md5 = json["hashes"]["md5"].as_str().unwrap();
        let name = format!("{}/{}/{md5}.png", &md5[..2], &md5[2..4]);
        assert_eq!(original, Path::new(&name));
        assert_eq!(json["metadata"]["width"], 64);
        assert!(json["hashes"]["phash"].is_string());
    }
    assert_eq!(fs::read_dir(&source).unwrap().count(), 6);

    // Everything again: all known, nothing changed.
    let run = home.on_library(&["ingest", "source"]).expect(0);
    assert!(run.text().contains("6 duplicates"), "{}", run.text());
    assert_eq!(originals(&home.library()), stored);
}

#[test]
fn a_broken_file_is_named_and_stops_nothing() {
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..2);
    let whole = fs::read(source.join("0.png")).unwrap();
    fs::File::create(source.join("broken.png"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, &whole[..whole.len() / 3]))
        .unwrap();
    let run = home.on_library(&["ingest", "source"]).expect(2);
    assert!(run.stderr.contains("broken.png"), "{}", run.stderr);
    assert_eq!(originals(&home.library()).len(), 2);
    assert!(source.join("broken.png").is_file());
    let run = home.on_library(&["ingest", "nowhere"]).expect(2);
    assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
}

#[test]
fn ingest_moves_or_links_when_told() {
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..2);
    home.on_library(&["ingest", "--move", "source/0.png"])
        .expect(0);
    assert!(!source.join("0.png").exists());
    home.on_library(&["ingest", "--link", "source/1.png"])
        .expect(0);
    let inode = fs::metadata(source.join("1.png")).unwrap().ino();
    let is_linked = |original: &PathBuf| {
        let path = home.library().join("images").join(original);
        fs::metadata(path).unwrap().ino() == inode
    };
    assert!(originals(&home.library()).iter().any(is_linked));
}

#[test]
fn scan_empties_the_librarys_own_inbox() {
    let home = Home::new();
    home.init();
    let inbox = home.library().join("ingest");
    write_pictures(&inbox, 0..3);
    write_text(&inbox.join("1.txt"), "A red fox is asleep in the snow.");
    home.on_library(&["scan"]).expect(0);
    assert_eq!(originals(&home.library()).len(), 3);
    assert!(!inbox.join("0.png").exists());
    let run = home
        .on_library(&["search", "has:caption", "--count"])
        .expect(0);
    assert_eq!(run.text(), "1\n");
    home.on_library(&["scan"]).expect(0);
}

#[test]
fn watch_files_what_arrives_until_interrupted() {
    let home = Home::new();
    home.init();
    let library = home.library();
    let mut child = home
        .command(&["watch".as_ref(), "--library".as_ref(), library.as_os_str()])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let watching = notes.next().unwrap().unwrap();
    assert!(watching.contains("watching"), "{watching}");
    write_picture(&home.path().join("7.png"), 7);
    fs::rename(home.path().join("7.png"), library.join("ingest/7.png")).unwrap();
    let mut filed = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut filed)
        .unwrap();
    assert!(filed.contains("7.png"), "{filed}");
    assert_eq!(originals(&library).len(), 1);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn search_prints_what_is_asked_for() {
    let home = home_with(4);
    let all = home.on_library(&["search"]).expect(0);
    assert_eq!(all.text().lines().count(), 4);
    for line in all.text().lines() {
        assert!(Path::new(line).is_file(), "{line}");
    }
    assert_eq!(home.on_library(&["search", "--paths"]).text(), all.text());
    let zero = home.on_library(&["search", "-0"]).expect(0);
    assert_eq!(zero.text(), all.text().replace('\n', "\0"));
    let count = home.on_library(&["search", "--count"]).expect(0);
    assert_eq!(count.text(), "4\n");
    let two = home
        .on_library(&["search", "--ids", "--limit", "2"])
        .expect(0);
    assert_eq!(two.text().lines().count(), 2);
    let list = home
        .on_library(&["--json", "search", "width:64"])
        .expect(0)
        .json();
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert_eq!(list[0]["height"], 48);

    let nothing = home.on_library(&["search", "no_such_tag"]).expect(1);
    assert!(nothing.text().is_empty());
    let zero = home
        .on_library(&["search", "no_such_tag", "--count"])
        .expect(0);
    assert_eq!(zero.text(), "0\n");
    let wrong = home.on_library(&["search", "(a"]).expect(2);
    assert!(wrong.text().is_empty() && !wrong.stderr.is_empty());
}

fn page(number: &str) -> [&str; 6] {
    ["projects", "best of", "--per-page", "2", "--page", number]
}

#[test]
fn projects_are_listed_page_by_page() {
    let home = Home::new();
    home.init();
    let run = home.on_library(&["projects"]).expect(1);
    assert_eq!(run.stderr, "there is no project\n");
    let folder = home.library().join("projects");
    let images: Vec<String> = (0..5).map(|n| format!("ab/cd/{n}.png")).collect();
    let project = json!({"project_name": "best of", "images": images, "description": "a\nb"});
    write_text(&folder.join("b.json"), &project.to_string());
    let smart = json!({"images": [], "query": "fox"});
    write_text(&folder.join("smart.json"), &smart.to_string());

    let text = home.on_library(&["projects"]).expect(0).text();
    assert_eq!(
        text,
        "best of  5 pictures  a b\nsmart  0 pictures, and what fox finds\n"
    );
    let list = home.on_library(&["projects", "--json"]).expect(0).json();
    assert_eq!(
        (&list[0]["listed"], &list[1]["query"]),
        (&json!(5), &json!("fox"))
    );

    let text = home.on_library(&page("2")).expect(0).text();
    let lines: Vec<&str> = text.lines().collect();
    let images = home.library().join("images/ab/cd");
    assert_eq!(
        lines,
        [2, 3].map(|n| images.join(format!("{n}.png")).display().to_string())
    );
    let mut last = page("3").to_vec();
    last.push("--json");
    let last = home.on_library(&last).expect(0).json();
    assert_eq!((&last["pages"], &last["total"]), (&json!(3), &json!(5)));
    assert_eq!(last["items"].as_array().map(Vec::len), Some(1));
    home.on_library(&page("4")).expect(1);
    let run = home
        .on_library(&["projects", "none of that name"])
        .expect(2);
    assert!(run.stderr.contains("tagloupe projects"), "{}", run.stderr);
    home.on_library(&["projects", "best of", "--page", "0"])
        .expect(2);
}

#[test]
fn search_explains_without_a_library() {
    let home = Home::new();
    for (query, expected) in [
        (&["a", "-b"][..], "(and (not b) a)"),
        (&["~a ~b c"], "(and (or a b) c)"),
        (&["char:holo"], "character:holo"),
        (&["FOO*"], "(wildcard foo*)"),
        (&[], "all"),
    ] {
        let mut arguments = vec!["search", "--explain"];
        arguments.extend(query);
        let run = home.run(&arguments).expect(0);
        assert_eq!(run.text().trim_end(), expected, "{query:?}");
    }
    let run = home.run(&["search", "(a", "--explain"]).expect(2);
    assert_eq!(run.text(), "none\n");
    assert!(!run.stderr.is_empty());
}

#[test]
fn the_library_is_found_in_four_ways() {
    let home = home_with(1);
    let library = home.library();
    let inside = home
        .command(&["search", "--count"])
        .current_dir(library.join("images"))
        .output();
    assert_eq!(inside.unwrap().stdout, b"1\n");
    let variable = home
        .command(&["search", "--count"])
        .env("TAGLOUPE_LIBRARY", &library)
        .output();
    assert_eq!(variable.unwrap().stdout, b"1\n");
    home.run(&["search", "--count", "--library", "library"])
        .expect(0);
    home.run(&["--library", "library", "search", "--count"])
        .expect(0);
    home.run(&["--library", "source", "search", "--count"])
        .expect(2);
}

#[test]
fn tag_edits_every_match() {
    let home = home_with(3);
    let all = ids(&home, &[]);
    let one = all.first().unwrap().as_str();
    home.on_library(&["tag", "", "+fox", "char:holo", "rating:s", "stars:3"])
        .expect(0);
    assert_eq!(
        ids(&home, &["fox", "character:holo", "rating:s", "stars:3"]),
        all
    );
    let query = format!("id:{one}");
    let run = home
        .on_library(&["tag", "--dry-run", &query, "-fox"])
        .expect(0);
    assert!(run.text().contains(one), "{}", run.text());
    assert_eq!(ids(&home, &["fox"]).len(), 3);
    home.on_library(&["tag", &query, "-fox", "fav", "caption:a red fox, asleep"])
        .expect(0);
    assert_eq!(ids(&home, &["fox"]).len(), 2);
    assert_eq!(ids(&home, &["-fox"]), BTreeSet::from([one.to_owned()]));
    let path = home
        .library()
        .join(format!("images/{}/{}/{one}.json", &one[..2], &one[2..4]));
    let json = read_json(&path);
    assert_eq!(tags(&path), ["holo"]);
    assert_eq!(json["fav"], true);
    assert_eq!(json["caption"], "a red fox, asleep");
    let caption = fs::read_to_string(path.with_extension("txt")).unwrap();
    assert_eq!(caption.trim_end(), "a red fox, asleep");

    let run = home.on_library(&["--json", "tag", "fox", "+fox"]).expect(0);
    assert_eq!(run.json()["matched"], 2);
    assert_eq!(run.json()["changed"], 0);
    home.on_library(&["tag", "no_such_tag", "+x"]).expect(1);
    home.on_library(&["tag", "fox", "+good", "rating:nonsense"])
        .expect(2);
    assert!(
        ids(&home, &["good"]).is_empty(),
        "nothing applies unless all is understood"
    );
}

#[test]
fn the_index_can_be_thrown_away() {
    let home = home_with(4);
    home.on_library(&["tag", "limit:2", "+kept"]).expect(0);
    let before = ids(&home, &["kept"]);
    let remove_index = || {
        for name in ["library.db", "library.db-wal", "library.db-shm"] {
            // The two at its side need not exist.
            let _ = fs::remove_file(home.library().join(name));
        }
    };
    remove_index();
    assert_eq!(
        ids(&home, &["kept"]),
        before,
        "made again without being asked"
    );
    remove_index();
    let run = home.on_library(&["rebuild", "--json"]).expect(0);
    assert_eq!(run.json()["media"], 4);
    assert_eq!(ids(&home, &["kept"]), before);
    write_text(&home.library().join("library.db"), "no database at all");
    assert_eq!(ids(&home, &["kept"]), before);
}

#[test]
fn verify_finds_a_changed_byte() {
    let home = home_with(3);
    home.on_library(&["verify"]).expect(0);
    let original = &originals(&home.library())[1];
    let path = home.library().join("images").join(original);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::File::create(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &bytes))
        .unwrap();
    let run = home.on_library(&["verify"]).expect(1);
    let name = original.file_name().unwrap().to_str().unwrap();
    assert!(run.text().contains(name), "{}", run.text());
    let run = home.on_library(&["verify", "--json"]).expect(1);
    let findings = run.json()["findings"].as_array().cloned().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["kind"] == "wrong bytes"),
        "{findings:?}"
    );
}

/// A library as Image Tagger makes it: flat, index beside the files, keys of its
/// own and of others in the sidecars.
fn image_tagger_library(home: &Home) -> PathBuf {
    let root = home.path().join("tagger");
    write_text(
        &root.join("library.json"),
        &serde_json::to_string_pretty(&json!({
            "library_name": "Seed",
            "images": ["images/0123456789abcdef.jpg"],
            "projects": {},
            "similar_images": {},
            "metadata": {"created": "2025-01-15T10:30:00Z"},
            "filters": {},
            "active_caption_profile": "{general}",
            "own_extension": {"window": [1, 2]},
        }))
        .unwrap(),
    );
    for (seed, name) in [(1, "0123456789abcdef"), (2, "fedcba9876543210")] {
        write_picture(&root.join(format!("images/{name}.jpg")), seed);
    }
    write_text(
        &root.join("images/0123456789abcdef.json"),
        r#"{
  "zebra": 123456789012345678901234567890,
  "type": "image",
  "name": "mountain",
  "caption": "mountains, sunset",
  "tags": [
    {"category": "class", "value": "landscape", "certainty": 0.1000000000000000055},
    {"category": "setting", "value": "mountain", "position": 1, "by": {"tool": "old"}}
  ],
  "related": {"similar": ["fedcba9876543210"]},
  "similar_images": [["fedcba9876543210.jpg", 4]],
  "metadata": {"created": "2025-01-15T10:30:00Z", "width": 64, "height": 48, "grain": null},
  "apple": ["kept", {"in": "place"}]
}"#,
    );
    write_text(
        &root.join("images/0123456789abcdef.txt"),
        "mountains, sunset",
    );
    write_text(
        &root.join("images/fedcba9876543210.json"),
        r#"{"name": "plain", "caption": "", "tags": [], "related": {}}"#,
    );
    root
}

#[test]
fn an_image_tagger_library_opens_edits_and_rebuilds() {
    let home = Home::new();
    let root = image_tagger_library(&home);
    let read = |name: &str| fs::read(root.join(name)).unwrap();
    let files = [
        "library.json",
        "images/0123456789abcdef.json",
        "images/fedcba9876543210.json",
    ];
    let before = files.map(read);
    let on = |arguments: &[&str]| {
        let mut all = vec!["--library", "tagger"];
        all.extend(arguments);
        home.run(&all)
    };
    let run = on(&["search", "--ids", "setting:mountain"]).expect(0);
    assert_eq!(run.text(), "0123456789abcdef\n");
    assert_eq!(
        files.map(read),
        before,
        "opening writes no file of the library"
    );

    on(&["tag", "setting:mountain", "+sky", "-landscape"]).expect(0);
    let [library, edited, other] = files.map(read);
    assert_eq!((library, other), (before[0].clone(), before[2].clone()));
    let text = String::from_utf8(edited).unwrap();
    assert!(text.contains("123456789012345678901234567890"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["apple"], json!(["kept", {"in": "place"}]));
    assert_eq!(json["metadata"]["grain"], Value::Null);
    assert!(json["metadata"].as_object().unwrap().contains_key("grain"));
    assert_eq!(json["tags"][0]["by"], json!({"tool": "old"}));
    assert_eq!(tags(&root.join(files[1])), ["mountain", "sky"]);
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let place = |key: &str| keys.iter().position(|known| *known == key).unwrap();
    assert!(place("zebra") < place("type"));
    assert!(place("metadata") < place("apple"));

    let before = on(&["--json", "search"]).expect(0).text();
    for name in ["library.db", "library.db-wal", "library.db-shm"] {
        let _ = fs::remove_file(root.join(name));
    }
    on(&["rebuild"]).expect(0);
    assert_eq!(on(&["--json", "search"]).expect(0).text(), before);
}

#[test]
fn exact_duplicates_go_to_the_trash_and_leave_their_tags() {
    let home = Home::new();
    let photos = home.path().join("photos");
    write_pictures(&photos, 0..2);
    fs::copy(photos.join("0.png"), photos.join("copy.png")).unwrap();
    let md5 = |name: &str| format!("{:x}", md5::compute(fs::read(photos.join(name)).unwrap()));
    for name in ["0", "1", "copy"] {
        let hash = md5(&format!("{name}.png"));
        let text = json!({
            "tags": [{"category": "general", "value": format!("tag_{name}")}],
            "hashes": {"md5": hash},
        });
        write_text(&photos.join(format!("{name}.json")), &text.to_string());
    }
    home.run(&["init", "photos"]).expect(0);
    let on = |arguments: &[&str]| {
        let mut all = vec!["--library", "photos"];
        all.extend(arguments);
        home.run(&all)
    };
    let run = on(&["dups"]).expect(0);
    assert!(
        run.text().contains("  0.png\n  copy.png\n"),
        "{}",
        run.text()
    );
    // Its name finds the group again.
    let name = run.text().split(' ').next().unwrap().to_owned();
    assert!(name.starts_with('G'), "{name}");
    let run = on(&["search", "--ids", &format!("dup:{name} order:id")]).expect(0);
    assert_eq!(run.text(), "0\ncopy\n");
    let run = on(&["dups", "remove", "--exact", "--dry-run"]).expect(0);
    assert_eq!(run.text(), "copy.png\n");
    assert!(photos.join("copy.png").exists());
    let run = on(&["dups", "remove", "--exact", "--json"]).expect(0);
    assert_eq!(run.json()["found"], 1);
    assert_eq!(run.json()["removed"], 1);
    assert!(run.json()["space_saved"].as_u64().unwrap() > 0);
    assert!(!photos.join("copy.png").exists());
    assert_eq!(tags(&photos.join("0.json")), ["tag_0", "tag_copy"]);
    on(&["dups"]).expect(1);

    // The other way round: the one that stays is named.
    fs::copy(photos.join("1.png"), photos.join("second.png")).unwrap();
    let text = json!({"tags": [], "hashes": {"md5": md5("1.png")}});
    write_text(&photos.join("second.json"), &text.to_string());
    on(&["rebuild"]).expect(0);
    let hash = md5("1.png");
    on(&["dups", "remove", "--md5", &hash, "--keep", "0.png"]).expect(2);
    on(&["dups", "remove", "--md5", &hash, "--keep", "second.png"]).expect(0);
    assert!(photos.join("second.png").exists() && !photos.join("1.png").exists());
    assert_eq!(tags(&photos.join("second.json")), ["tag_1"]);
}

#[test]
fn duplicates_are_found_where_no_sidecar_says_what_a_file_is() {
    let home = Home::new();
    let photos = home.path().join("photos");
    write_pictures(&photos, 0..3);
    fs::copy(photos.join("0.png"), photos.join("copy.png")).unwrap();
    home.run(&["init", "photos"]).expect(0);
    let on = |arguments: &[&str]| {
        let mut all = vec!["--library", "photos"];
        all.extend(arguments);
        home.run(&all)
    };
    let run = on(&["dups"]).expect(0);
    assert!(
        run.text().contains("  0.png\n  copy.png\n"),
        "{}",
        run.text()
    );
    let written = |name: &str| files_below(&photos).contains(&name.into());
    assert!(!written("0.json") && !written("copy.json"));
    let run = on(&["dups", "remove", "--exact", "--json"]).expect(0);
    assert_eq!(run.json()["removed"], 1);
    assert!(photos.join("0.png").exists() && !photos.join("copy.png").exists());
    on(&["verify"]).expect(0);
    on(&["dups"]).expect(1);
}

#[test]
fn two_processes_ingest_the_same_files() {
    let files = if std::env::var_os("TAGLOUPE_LONG_TESTS").is_some() {
        1000
    } else {
        60
    };
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..files);
    let library = home.library();
    let ingest = || {
        home.command(&[
            "ingest".as_ref(),
            source.as_os_str(),
            "--json".as_ref(),
            "--library".as_ref(),
            library.as_os_str(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let processes = [ingest(), ingest()];
    let mut stored = 0;
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let notes = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{notes}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        stored += json["stored"].as_u64().unwrap();
        let duplicates = json["duplicates"].as_u64().unwrap();
        assert_eq!(
            json["stored"].as_u64().unwrap() + duplicates,
            u64::from(files),
            "{json}"
        );
    }
    assert_eq!(stored, u64::from(files), "each stored by exactly one");
    assert_eq!(originals(&library).len(), files as usize);
    assert_eq!(ids(&home, &[]).len(), files as usize);
    home.on_library(&["verify"]).expect(0);
    let before = ids(&home, &[]);
    home.on_library(&["rebuild"]).expect(0);
    assert_eq!(ids(&home, &[]), before);
}

#[test]
fn an_ingest_that_is_ended_goes_on_where_it_was() {
    let home = Home::new();
    home.init();
    let source = home.path().join("source");
    write_pictures(&source, 0..40);
    let library = home.library();
    for (signal, code) in [
        (rustix::process::Signal::INT, Some(130)),
        (rustix::process::Signal::KILL, None),
        (rustix::process::Signal::TERM, Some(130)),
    ] {
        let before = originals(&library).len();
        let mut child = home
            .command(&[
                "ingest".as_ref(),
                source.as_os_str(),
                "--library".as_ref(),
                library.as_os_str(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the middle of it, whatever that is.
        while originals(&library).len() == before && child.try_wait().unwrap().is_none() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let id = rustix::process::Pid::from_child(&child);
        // On a fast machine it may be through before the signal comes.
        let _ = rustix::process::kill_process(id, signal);
        let ended = child.wait().unwrap().code();
        assert!(ended == code || ended == Some(0), "{signal:?}: {ended:?}");
        assert_eq!(fs::read_dir(&source).unwrap().count(), 40);
    }
    home.on_library(&["ingest", "source"]).expect(0);
    assert_eq!(originals(&library).len(), 40);
    home.on_library(&["verify"]).expect(0);
    // A kill may leave what was being written; nothing else does.
    let left: Vec<_> = files_below(&library.join("images"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("tmp"))
        .collect();
    assert!(left.len() <= 4, "{left:?}");
}

#[test]
fn names_come_back_byte_for_byte() {
    let home = Home::new();
    let photos = home.path().join("photos");
    let hostile: [&[u8]; 5] = [
        b"plain.png",
        b"new\nline.png",
        b"esc\x1b]0;title\x07.png",
        b"not-utf8-\xff\xfe.png",
        "日本語 ñ.png".as_bytes(),
    ];
    write_picture(&home.path().join("any.png"), 1);
    fs::create_dir(&photos).unwrap();
    for name in hostile {
        fs::copy(
            home.path().join("any.png"),
            photos.join(OsStr::from_bytes(name)),
        )
        .unwrap();
    }
    home.run(&["init", "photos"]).expect(0);
    let run = home.run(&["--library", "photos", "search", "-0"]).expect(0);
    let names: BTreeSet<&[u8]> = run
        .stdout
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| {
            Path::new(OsStr::from_bytes(path))
                .file_name()
                .unwrap()
                .as_bytes()
        })
        .collect();
    assert_eq!(names, BTreeSet::from(hostile));
    home.run(&["--library", "photos", "tag", "", "+seen"])
        .expect(0);
    let run = home
        .run(&["--library", "photos", "search", "seen", "--count"])
        .expect(0);
    assert_eq!(run.text(), "5\n");
    home.run(&["--library", "photos", "rebuild"]).expect(0);
    let run = home
        .run(&["--library", "photos", "search", "seen", "--count"])
        .expect(0);
    assert_eq!(run.text(), "5\n");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = home_with(1);
    let library = home.library();
    let mut child = home
        .command(&["man".as_ref(), "--library".as_ref(), library.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut notes = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut notes)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{notes}");
    assert!(notes.is_empty(), "{notes}");
    // A full disk is one.
    let full = fs::File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        let status = home
            .command(&["man"])
            .stdout(full)
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(2));
    }
}

#[test]
fn generated_texts() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let run = home.run(&["completions", shell]).expect(0);
        assert!(run.text().contains("ingest"), "{shell}");
    }
    let page = home.run(&["man"]).expect(0).text();
    assert!(page.starts_with(".ie") && page.contains("ingest"), "{page}");
}

#[test]
fn doctor_names_what_is_wrong() {
    let home = home_with(2);
    let report = home.on_library(&["doctor", "--json"]).json();
    let check = |report: &Value, name: &str| {
        let list = report.as_array().unwrap();
        list.iter()
            .find(|check| check["name"] == name)
            .cloned()
            .unwrap_or(Value::Null)
    };
    assert_eq!(check(&report, "index")["state"], "ok");
    assert_eq!(check(&report, "layout")["value"], "bucketed");
    assert_eq!(
        check(&report, "media")["value"],
        "2 in the index, 2 sidecars"
    );
    assert_eq!(check(&report, "writing")["state"], "ok");
    let run = home.run(&["--library", "source", "doctor"]).expect(1);
    assert!(run.text().contains("tagloupe init"), "{}", run.text());
}

#[test]
fn the_cache_is_counted_and_cleared() {
    let home = home_with(3);
    let stats = home
        .on_library(&["cache", "stats", "--json"])
        .expect(0)
        .json();
    assert!(stats["count"].as_u64().unwrap() >= 3, "{stats}");
    for field in [
        "size_bytes",
        "size_mb",
        "limit_mb",
        "usage_percent",
        "count",
        "hits",
        "misses",
        "total_requests",
        "hit_ratio",
        "sets",
        "deletes",
        "errors",
        "db_size",
    ] {
        assert!(stats[field].is_number(), "{field}: {stats}");
    }
    assert_eq!(stats["backend"], "disk");
    assert!(stats["hit_rate"].as_str().unwrap().ends_with('%'));
    assert!(stats["sets"].as_u64().unwrap() >= 3, "what the ingest did");
    let cleared = home
        .on_library(&["cache", "clear", "thumb:*", "--json"])
        .expect(0);
    assert_eq!(cleared.json()["removed"], 3);
    let warmed = home.on_library(&["cache", "warm", "--json"]).expect(0);
    assert_eq!(warmed.json()["made"], 3);
    let run = home.on_library(&["cache", "warm", "no-such-tag"]);
    run.expect(1);
    home.on_library(&["cache", "clear"]).expect(0);
    let stats = home
        .on_library(&["cache", "stats", "--json"])
        .expect(0)
        .json();
    assert_eq!(stats["count"], 0);
}

#[test]
fn the_configuration_is_shown_and_begun() {
    let home = Home::new();
    let run = home.run(&["config", "path"]).expect(0);
    let path = PathBuf::from(run.text().trim_end());
    assert_eq!(path, home.path().join("config/tagloupe/config.toml"));
    assert!(!path.exists());
    let shown = home.run(&["config", "show"]).expect(0).text();
    assert!(shown.contains("theme"), "{shown}");
    home.run(&["config", "init"]).expect(0);
    assert!(path.is_file());
    assert_eq!(
        home.run(&["config", "show"]).expect(0).text(),
        shown,
        "the defaults, explained"
    );
    home.run(&["config", "init"]).expect(2);
}
