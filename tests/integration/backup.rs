//! `backup` from outside: copies of a real library, brought up to date, interrupted,
//! damaged, and made a library again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    ops::ControlFlow,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use tagloupe::storage::{Library, restore_backup};

use super::support::{Home, files_below, originals, write_pictures, write_text};

/// A home with a managed library of that many pictures, tagged and with captions.
fn home_with(pictures: u32) -> Home {
    let home = Home::new();
    home.init();
    write_pictures(&home.path().join("source"), 0..pictures);
    home.on_library(&["ingest", "source"]).expect(0);
    home.on_library(&["tag", "", "+fox", "caption:\"a red fox\""])
        .expect(0);
    write_text(
        &home.library().join("projects/foxes.json"),
        "{\"project_name\": \"foxes\", \"images\": []}",
    );
    write_text(&home.library().join("tombstones.jsonl"), "{}\n");
    home
}

/// The files of a library that cannot be made again, with their bytes.
fn user_files(library: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_made_again = |path: &Path| {
        let first = path.iter().next().unwrap().to_string_lossy();
        first.starts_with("library.db") || ["locks", "cache"].contains(&&*first)
    };
    contents(library)
        .into_iter()
        .filter(|(path, _)| !is_made_again(path))
        .collect()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files_below(folder)
        .into_iter()
        .map(|path| (path.clone(), fs::read(folder.join(path)).unwrap()))
        .collect()
}

/// Changes bytes and leaves size and time as they are, as rot does.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_backup_holds_everything_that_cannot_be_made_again_and_gives_it_back() {
    let home = home_with(4);
    let library = home.library();
    let before = user_files(&library);
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    assert_eq!(run.json()["copied"], before.len());
    let copy = home.path().join("copy");
    assert_eq!(contents(&copy.join("files")), before);
    assert_eq!(user_files(&library), before);

    // Nothing changed: nothing is copied.
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    assert_eq!(run.json()["copied"], 0);
    assert_eq!(run.json()["unchanged"], before.len());
    assert!(!copy.join("old").exists());

    let run = home
        .run(&["backup", "copy", "--restore", "again"])
        .expect(0);
    assert!(run.text().contains("every md5 compared"), "{}", run.text());
    let again = home.path().join("again");
    assert_eq!(user_files(&again), before);
    let on_again = |arguments: &[&str]| {
        let mut all = vec!["--library", "again"];
        all.extend(arguments);
        home.run(&all)
    };
    on_again(&["rebuild"]).expect(0);
    on_again(&["verify"]).expect(0);
    let run = on_again(&["search", "--count", "fox"]).expect(0);
    assert_eq!(run.text().trim(), "4");
}

#[test]
fn a_folder_of_the_library_that_is_a_link_is_backed_up_as_if_it_were_none() {
    let home = home_with(3);
    let (library, disk) = (home.library(), home.path().join("disk"));
    let before = user_files(&library);
    home.on_library(&["backup", "copy"]).expect(0);
    fs::rename(library.join("images"), &disk).unwrap();
    symlink(&disk, library.join("images")).unwrap();
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    let json = run.json();
    assert_eq!(json["unchanged"], before.len(), "{}", run.text());
    assert_eq!(contents(&home.path().join("copy/files")), before);
    let run = home.on_library(&["backup", "disk/copy"]).expect(2);
    assert!(run.stderr.contains("inside the library"), "{}", run.stderr);

    // Its disk is not there: nothing is known of what is on it.
    fs::rename(&disk, home.path().join("away")).unwrap();
    let run = home.on_library(&["backup", "copy", "--json"]).expect(2);
    assert!(run.text().contains("library/images"), "{}", run.text());
    assert_eq!(contents(&home.path().join("copy/files")), before);
}

#[test]
fn what_changed_or_vanished_is_kept_as_it_was() {
    let home = home_with(3);
    let library = home.library();
    home.on_library(&["backup", "copy"]).expect(0);
    let first = contents(&home.path().join("copy/files"));

    home.on_library(&["tag", "", "+badger"]).expect(0);
    let gone = originals(&library).remove(0);
    fs::remove_file(library.join("images").join(&gone)).unwrap();
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    let json = run.json();
    // Three sidecars changed, one picture vanished.
    assert_eq!(json["kept_old"], 4, "{}", run.text());
    let old = PathBuf::from(json["old"].as_str().unwrap());
    let old = contents(&home.path().join(old));
    assert_eq!(old.len(), 4);
    for (path, bytes) in &old {
        assert_eq!(&first[path], bytes, "{}", path.display());
    }
    assert!(old.contains_key(&Path::new("images").join(&gone)));
    let now = contents(&home.path().join("copy/files"));
    assert_eq!(now, user_files(&library));

    // Only touched: what is there is as good.
    let touched = originals(&library).remove(0);
    File::options()
        .write(true)
        .open(library.join("images").join(touched))
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
        .unwrap();
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    assert_eq!(
        (&run.json()["copied"], &run.json()["kept_old"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn rot_on_either_side_is_found_and_the_sound_version_survives() {
    let home = home_with(2);
    let library = home.library();
    home.on_library(&["backup", "copy"]).expect(0);
    home.on_library(&["backup", "copy", "--verify"]).expect(0);
    let pictures = originals(&library);
    let here = library.join("images").join(&pictures[0]);
    let there = home.path().join("copy/files/images").join(&pictures[1]);
    let (sound_here, sound_there) = (fs::read(&here).unwrap(), fs::read(&there).unwrap());
    rot(&here);
    rot(&there);
    // By size and time all is well, so that the sound version is not replaced.
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    assert_eq!(run.json()["copied"], 0);
    // A restoration never hands out what is damaged.
    let run = home
        .run(&["backup", "copy", "--restore", "again"])
        .expect(2);
    assert!(run.stderr.contains("not"), "{}", run.stderr);
    let again = home.path().join("again/images");
    assert!(!again.join(&pictures[1]).exists());
    assert_eq!(fs::read(again.join(&pictures[0])).unwrap(), sound_here);

    let run = home
        .on_library(&["backup", "copy", "--verify", "--json"])
        .expect(1);
    let json = run.json();
    let name = |picture: &Path| Path::new("images").join(picture);
    let is_listed = |key: &str, picture: &Path| {
        let list = json[key].as_array().unwrap();
        list.len() == 1 && list[0] == name(picture).to_str().unwrap()
    };
    assert!(is_listed("silently_changed", &pictures[0]), "{json}");
    assert!(is_listed("damaged_copies", &pictures[1]), "{json}");
    let old = home.path().join(json["old"].as_str().unwrap());
    assert_eq!(fs::read(old.join(name(&pictures[0]))).unwrap(), sound_here);
    assert_eq!(fs::read(&there).unwrap(), sound_there);
    home.on_library(&["backup", "copy", "--verify"]).expect(0);
}

#[test]
fn an_interrupted_backup_goes_on_and_so_does_its_restoration() {
    let home = home_with(60);
    let files = user_files(&home.library());
    let copy = home.path().join("copy");
    let library = Library::open(&home.library()).unwrap();
    let until = |last: u64| {
        move |progress: tagloupe::storage::BackupProgress| match progress.done {
            done if done < last => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    let report = library.back_up(&copy, false, 0, &mut until(150)).unwrap();
    assert!(report.is_cancelled);
    assert_eq!(report.copied, 150);
    drop(library);
    // As after a crash: copies that were not noted yet, and a line cut off.
    let partial = copy.join("manifest.partial.jsonl");
    let text = fs::read_to_string(&partial).unwrap();
    write_text(&partial, &text[..text.len() - 2_000]);
    let run = home.on_library(&["backup", "copy", "--json"]).expect(0);
    let json = run.json();
    assert_eq!(json["continued"], true);
    assert!(json["unchanged"].as_u64().unwrap() > 100, "{json}");
    assert_eq!(contents(&copy.join("files")), files);
    assert!(!partial.exists());

    let again = home.path().join("again");
    let report = restore_backup(&copy, &again, &mut until(20)).unwrap();
    assert!(report.is_cancelled);
    // It is no library before all of it is there.
    assert!(!again.join("library.json").exists());
    home.run(&["backup", "copy", "--restore", "again"])
        .expect(0);
    assert_eq!(user_files(&again), files);
    home.run(&["backup", "copy", "--restore", "again"])
        .expect(2);
}

#[test]
fn a_killed_backup_is_finished_by_the_next() {
    let home = home_with(40);
    let files = user_files(&home.library());
    let library = home.library();
    let mut child = home
        .command(&[
            "--library".as_ref(),
            library.as_os_str(),
            "backup".as_ref(),
            "copy".as_ref(),
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // As soon as anything is there; a backup that was faster is just as good.
    let began = home.path().join("copy/files");
    let started = std::time::Instant::now();
    while !began.exists() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_mins(1));
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    home.on_library(&["backup", "copy"]).expect(0);
    let is_temporary = |path: &PathBuf| path.to_string_lossy().contains(".tagloupe-");
    let mut found = contents(&began);
    found.retain(|path, _| !is_temporary(path));
    assert_eq!(found, files);
    home.on_library(&["backup", "copy", "--verify"]).expect(0);
}

#[test]
fn places_where_no_backup_belongs_are_refused() {
    let home = home_with(1);
    let library = home.library();
    let inside = library.join("backup");
    let refused = |target: &Path, why: &str| {
        let run = home
            .on_library(&["backup".as_ref(), target.as_os_str()])
            .expect(2);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    };
    refused(&inside, "inside the library");
    assert!(!inside.exists());
    refused(home.path(), "library inside");
    let full = home.path().join("full");
    write_text(&full.join("mine.txt"), "mine");
    refused(&full, "no backup");
    assert_eq!(files_below(&full), [Path::new("mine.txt")]);

    home.on_library(&["backup", "copy"]).expect(0);
    home.run(&["init", "other"]).expect(0);
    let run = home
        .run(&["--library", "other", "backup", "copy"])
        .expect(2);
    assert!(run.stderr.contains("another library"), "{}", run.stderr);
    home.run(&["backup", "copy", "--restore", "full"]).expect(2);
    home.run(&["backup", "copy", "--restore", "copy/again"])
        .expect(2);
    home.run(&["backup", "full", "--restore", "again"])
        .expect(2);
    // A manifest cannot send files elsewhere.
    let manifest = home.path().join("copy/manifest.jsonl");
    let text = fs::read_to_string(&manifest).unwrap();
    let hostile = text.replacen("\"path\":\"images/", "\"path\":\"../evil/", 1);
    assert_ne!(hostile, text);
    write_text(&manifest, &hostile);
    home.run(&["backup", "copy", "--restore", "again"])
        .expect(2);
    assert!(!home.path().join("evil").exists());
}

#[test]
fn an_in_place_library_is_backed_up_with_what_lies_in_it() {
    let home = Home::new();
    let photos = home.path().join("photos");
    write_pictures(&photos, 0..2);
    write_text(&photos.join("0.txt"), "a red fox");
    write_text(&photos.join("notes.md"), "about these");
    write_text(&photos.join(".git/HEAD"), "ref");
    home.run(&["init", "--in-place", "photos"]).expect(0);
    home.run(&["--library", "photos", "tag", "", "+fox"])
        .expect(0);
    home.run(&["--library", "photos", "backup", "copy"])
        .expect(0);
    let found = files_below(&home.path().join("copy/files"));
    for name in [
        "0.png",
        "0.txt",
        "0.json",
        "notes.md",
        ".tagloupe/library.json",
    ] {
        assert!(found.contains(&PathBuf::from(name)), "{name}: {found:?}");
    }
    let is_left_out = |path: &Path| {
        path.starts_with(".git")
            || path.starts_with(".tagloupe/locks")
            || path.starts_with(".tagloupe/library.db")
    };
    assert!(!found.iter().any(|path| is_left_out(path)), "{found:?}");
    home.run(&["backup", "copy", "--restore", "again"])
        .expect(0);
    let run = home
        .run(&["--library", "again", "search", "--count", "fox"])
        .expect(0);
    assert_eq!(run.text().trim(), "2");
}
