//! A library in git: real clones, real merges, the program as git's merge driver.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use super::support::{Home, program, write_pictures, write_text};

/// Two clones of one library with one tagged picture.
struct Clones {
    home: Home,
    sidecar: PathBuf,
}

impl Clones {
    fn new() -> Self {
        let home = Home::new();
        home.init();
        write_pictures(&home.path().join("source"), 0..1);
        home.on_library(&["ingest", "source"]).expect(0);
        home.on_library(&["tag", "", "+fox", "+snow", "caption:\"a fox\""])
            .expect(0);
        let library = home.library();
        write_text(&library.join("images/package.json"), "{\"version\": 1}\n");
        let sidecar = super::support::files_below(&library)
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "json") && is_bucketed(path))
            .unwrap();
        let clones = Self { home, sidecar };
        let driver = format!("'{}' merge-driver %O %A %B %P", program());
        clones.git(&library, &["init", "-q", "-b", "main"]);
        for (key, value) in [
            ("user.name", "tester"),
            ("user.email", "tester@example.org"),
            ("merge.tagloupe.driver", &driver),
        ] {
            clones.git(&library, &["config", "--global", key, value]);
        }
        clones.commit(&library);
        let other = clones.other();
        clones.git(
            clones.home.path(),
            &["clone", "-q", "library", &other.to_string_lossy()],
        );
        clones
    }

    fn other(&self) -> PathBuf {
        self.home.path().join("other")
    }

    #[track_caller]
    fn git(&self, folder: &Path, arguments: &[&str]) {
        let output = self.try_git(folder, arguments);
        assert!(
            output.status.success(),
            "git {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn try_git(&self, folder: &Path, arguments: &[&str]) -> Output {
        Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .envs(self.home.environment())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git, which tests/run installs")
    }

    fn commit(&self, library: &Path) {
        self.git(library, &["add", "--all"]);
        self.git(library, &["commit", "-q", "-m", "change"]);
    }

    /// Changes the picture in one clone and commits.
    fn tag(&self, library: &Path, edits: &[&str]) {
        let mut arguments = vec!["--library", library.to_str().unwrap(), "tag", ""];
        arguments.extend(edits);
        self.home.run(&arguments).expect(0);
        self.commit(library);
    }

    fn media(&self, library: &Path) -> Value {
        let text = fs::read_to_string(library.join(&self.sidecar)).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

fn is_bucketed(path: &Path) -> bool {
    path.starts_with("images") && path.components().count() == 4
}

fn tags(media: &Value) -> Vec<&str> {
    let tags = media["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag["value"].as_str().unwrap()).collect()
}

#[test]
fn what_two_clones_did_to_one_picture_is_united() {
    let clones = Clones::new();
    let (library, other) = (clones.home.library(), clones.other());
    clones.tag(&library, &["+forest", "-snow", "stars:4"]);
    clones.tag(
        &other,
        &["+night", "+hill", "caption:\"a fox asleep at night\""],
    );
    clones.git(&library, &["pull", "-q", "--no-rebase", "../other", "main"]);

    let merged = clones.media(&library);
    let mut names = tags(&merged);
    names.sort_unstable();
    assert_eq!(names, ["forest", "fox", "hill", "night"]);
    assert_eq!(merged["stars"], 4);
    assert_eq!(merged["caption"], "a fox asleep at night");
    // The library goes on with what was merged.
    clones.home.on_library(&["rebuild"]).expect(0);
    let found = clones
        .home
        .on_library(&["search", "night forest"])
        .expect(0);
    assert_eq!(found.text().lines().count(), 1);
    clones.home.on_library(&["verify"]).expect(0);
    // And the other clone takes it without another merge.
    clones.git(&other, &["pull", "-q", "--ff-only", "../library", "main"]);
    assert_eq!(clones.media(&other), merged);
}

#[test]
fn two_captions_are_both_kept() {
    let clones = Clones::new();
    let (library, other) = (clones.home.library(), clones.other());
    clones.tag(&library, &["caption:\"a red fox in deep snow\""]);
    clones.tag(&other, &["caption:\"a vixen\""]);
    let merged = clones.try_git(&library, &["pull", "-q", "--no-rebase", "../other", "main"]);
    let media = clones.media(&library);
    assert_eq!(media["caption"], "a red fox in deep snow");
    assert_eq!(media["captions"][0]["text"], "a vixen");
    let told = String::from_utf8_lossy(&merged.stderr);
    assert!(
        told.contains("the caption was changed on both sides"),
        "{told}"
    );
    assert!(told.contains(&*clones.sidecar.to_string_lossy()), "{told}");
}

#[test]
fn a_file_that_is_no_sidecar_is_merged_as_git_does() {
    let clones = Clones::new();
    let (library, other) = (clones.home.library(), clones.other());
    let foreign = |library: &Path| library.join("images/package.json");
    write_text(&foreign(&library), "{\"version\": 2}\n");
    clones.commit(&library);
    write_text(&foreign(&other), "{\"version\": 3}\n");
    clones.commit(&other);
    let merged = clones.try_git(&library, &["pull", "-q", "--no-rebase", "../other", "main"]);
    assert_eq!(merged.status.code(), Some(1));
    let text = fs::read_to_string(foreign(&library)).unwrap();
    for line in [
        "<<<<<<< ours",
        "{\"version\": 2}",
        "{\"version\": 3}",
        ">>>>>>> theirs",
    ] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
