//! What is interrupted: each a home made ready and one command on it.

use std::{fs, fs::File, path::Path};

use serde_json::json;

use super::scene::long_ago;
use crate::support::{Home, write_picture, write_text};

pub struct Scenario {
    pub name: &'static str,
    pub setup: fn(&Home),
    pub command: &'static [&'static str],
    /// How the command may end when it is run again after an interruption.
    pub again: &'static [i32],
    /// Whether it changes files of the user, and not only the index.
    pub changes_files: bool,
    /// Whether more than one file of a medium changes: a crash in between leaves what
    /// only a recovery can complete.
    pub needs_recovery: bool,
    /// Temporary files that one interruption may leave.
    pub leftovers: usize,
    /// Faults of each kind in a run that is not long.
    pub sample: usize,
}

const BASE: Scenario = Scenario {
    name: "",
    setup: three,
    command: &[],
    again: &[0],
    changes_files: true,
    needs_recovery: false,
    leftovers: 1,
    sample: 16,
};

pub static TAG_ONE: Scenario = Scenario {
    name: "tag one",
    command: &["tag", "chosen", "+fox"],
    sample: 24,
    ..BASE
};

pub static TAG_FIFTY: Scenario = Scenario {
    name: "tag fifty",
    setup: |home| library(home, 50),
    command: &["tag", "", "+fox", "char:holo"],
    sample: 20,
    // Eight threads write, and an injection counts the calls of each of them.
    leftovers: 8,
    ..BASE
};

pub static TAG_FIVE: Scenario = Scenario {
    name: "tag five",
    setup: |home| library(home, 5),
    command: &["tag", "", "+fox", "-kept"],
    ..BASE
};

pub static RENAME: Scenario = Scenario {
    name: "merge two tags",
    needs_recovery: true,
    command: &["tagdb", "merge", "kept", "chosen"],
    again: &[0, 1],
    sample: 12,
    ..BASE
};

pub static UNDO: Scenario = Scenario {
    name: "undo",
    needs_recovery: true,
    setup: |home| {
        three(home);
        // Run again, it would take back what came before.
        fs::remove_dir_all(home.library().join("journal")).unwrap();
        home.on_library(&["tag", "", "+fox", "-kept"]).expect(0);
    },
    command: &["undo"],
    again: &[0, 1],
    sample: 12,
    ..BASE
};

pub static CAPTION: Scenario = Scenario {
    name: "caption and rating",
    needs_recovery: true,
    setup: captioned,
    command: &["tag", "old", "caption:a red fox", "rating:s", "-old"],
    // Nothing has the tag any more once it is done.
    again: &[0, 1],
    sample: 20,
    leftovers: 2,
    ..BASE
};

pub static INGEST: Scenario = Scenario {
    name: "ingest a copy",
    needs_recovery: true,
    setup: |home| {
        three(home);
        incoming(home, "source/new.png", 100);
    },
    command: &["ingest", "source/new.png"],
    sample: 24,
    ..BASE
};

pub static INGEST_MOVE: Scenario = Scenario {
    name: "ingest by moving",
    needs_recovery: true,
    setup: |home| {
        three(home);
        incoming(home, "library/ingest/new.png", 100);
        incoming(home, "library/ingest/other.png", 101);
    },
    command: &["scan"],
    sample: 24,
    leftovers: 2,
    ..BASE
};

pub static INGEST_DUPLICATE: Scenario = Scenario {
    name: "ingest a duplicate",
    setup: |home| {
        three(home);
        incoming(home, "library/ingest/twin.png", 1);
        write_text(&home.library().join("ingest/twin.txt"), "fox, forest");
        rest(&home.library().join("ingest/twin.txt"));
    },
    command: &["scan"],
    ..BASE
};

pub static DUPLICATES: Scenario = Scenario {
    name: "remove duplicates",
    needs_recovery: true,
    setup: duplicates,
    command: &["dups", "remove", "--exact"],
    again: &[0, 1],
    sample: 24,
    ..BASE
};

pub static RESTORE: Scenario = Scenario {
    name: "restore from the trash",
    needs_recovery: true,
    setup: trashed,
    command: &["trash", "restore", "--all"],
    again: &[0, 1],
    ..BASE
};

pub static EMPTY: Scenario = Scenario {
    name: "empty the trash",
    needs_recovery: true,
    setup: trashed,
    command: &["trash", "empty", "--all"],
    again: &[0, 1],
    ..BASE
};

pub static REBUILD: Scenario = Scenario {
    name: "rebuild",
    setup: |home| {
        library(home, 20);
        for name in ["library.db", "library.db-wal", "library.db-shm"] {
            // Only the first of them is always there.
            let _ = fs::remove_file(home.library().join(name));
        }
    },
    command: &["rebuild"],
    changes_files: false,
    leftovers: 0,
    ..BASE
};

pub static INIT: Scenario = Scenario {
    name: "init",
    setup: |_| {},
    command: &["init", "{library}"],
    // It is a library already.
    again: &[0, 2],
    ..BASE
};

fn init(home: &Home, in_place: bool) {
    let layout = if in_place { "--in-place" } else { "--managed" };
    let library = home.library();
    home.run(&["init", layout, library.to_str().unwrap()])
        .expect(0);
    // Threads that come and go would make two runs of a command differ.
    write_text(
        &home.path().join("config/tagloupe/config.toml"),
        "[ingest]\nworkers = 1\n",
    );
}

fn three(home: &Home) {
    library(home, 3);
}

/// A managed library of this many pictures, with a few tags.
pub fn library(home: &Home, pictures: u32) {
    init(home, false);
    incoming(home, "source/0.png", 0);
    home.on_library(&["ingest", "source"]).expect(0);
    home.on_library(&["tag", "", "+chosen"]).expect(0);
    for seed in 1..pictures {
        incoming(home, &format!("source/{seed}.png"), seed);
    }
    home.on_library(&["ingest", "source"]).expect(0);
    home.on_library(&["tag", "", "+kept"]).expect(0);
    fs::remove_dir_all(home.path().join("source")).unwrap();
}

/// An in-place library in which two pictures are there twice.
fn duplicates(home: &Home) {
    for (name, seed, tag) in [
        ("a", 1, "fox"),
        ("b", 1, "forest"),
        ("c", 2, "sea"),
        ("d", 2, "ship"),
        ("e", 3, "alone"),
    ] {
        let path = home.library().join(format!("{name}.png"));
        write_picture(&path, seed);
        rest(&path);
        let md5 = format!("{:x}", md5::compute(fs::read(&path).unwrap()));
        let sidecar = json!({
            "caption": format!("picture {name}"),
            "tags": [{"category": "general", "value": tag}],
            "hashes": {"md5": md5},
        });
        write_text(&path.with_extension("json"), &sidecar.to_string());
        write_text(&path.with_extension("txt"), &format!("picture {name}"));
    }
    init(home, true);
    home.on_library(&["rebuild"]).expect(0);
}

fn trashed(home: &Home) {
    duplicates(home);
    home.on_library(&["dups", "remove", "--exact"]).expect(0);
}

fn captioned(home: &Home) {
    three(home);
    home.on_library(&["tag", "", "caption:what it was", "+old", "rating:g"])
        .expect(0);
}

/// A small picture that has been at rest for long.
pub fn incoming(home: &Home, name: &str, seed: u32) {
    let path = home.path().join(name);
    write_picture(&path, seed);
    rest(&path);
}

fn rest(path: &Path) {
    File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(long_ago()))
        .unwrap();
}

/// A test of each scenario that every kind of fault is tried on, and of those that are
/// named besides.
macro_rules! every_scenario {
    (@ $check:ident; $($name:ident: $scenario:ident;)+) => {
        $(#[test]
        fn $name() {
            $check(&scenario::$scenario);
        })+
    };
    ($check:ident; $($more:tt)*) => {
        every_scenario! {
            @ $check;
            tagging_one_picture: TAG_ONE;
            merging_two_tags: RENAME;
            undoing: UNDO;
            changing_caption_and_rating: CAPTION;
            filing_a_copy: INGEST;
            filing_by_moving: INGEST_MOVE;
            filing_a_duplicate: INGEST_DUPLICATE;
            removing_duplicates: DUPLICATES;
            restoring_from_the_trash: RESTORE;
            emptying_the_trash: EMPTY;
            making_a_library: INIT;
            $($more)*
        }
    };
}
pub(super) use every_scenario;
