//! The tag database from outside: the real program, its file, and undo.

use std::fs;

use super::support::{Home, write_pictures, write_text};

/// A home with a managed library of three pictures: two wolves and a fox.
fn home() -> Home {
    let home = Home::new();
    home.init();
    write_pictures(&home.path().join("source"), 0..3);
    home.on_library(&["ingest", "source"]).expect(0);
    let ids = lines(&home, &["search", "--ids", "order:id"]);
    home.on_library(&["tag", &format!("id:{},{}", ids[0], ids[1]), "+char:holo"])
        .expect(0);
    home.on_library(&["tag", &format!("id:{}", ids[2]), "+fox", "+blond_hair"])
        .expect(0);
    home
}

fn lines(home: &Home, arguments: &[&str]) -> Vec<String> {
    let run = home.on_library(arguments);
    run.text().lines().map(str::to_owned).collect()
}

fn count(home: &Home, query: &str) -> String {
    lines(home, &["search", "--count", query]).join("\n")
}

fn file(home: &Home) -> String {
    fs::read_to_string(home.library().join("tagdb.jsonl")).unwrap_or_default()
}

#[test]
fn what_the_database_says_counts_at_once_and_is_taken_back() {
    let home = home();
    home.on_library(&["tagdb", "alias", "wise wolf", "holo"])
        .expect(0);
    home.on_library(&["tagdb", "imply", "holo", "copy:spice_and_wolf", "wolf_girl"])
        .expect(0);
    assert_eq!(
        file(&home),
        "{\"category\":\"character\",\"tag\":\"holo\",\"aliases\":[\"wise_wolf\"],\
         \"implies\":[\"copyright:spice_and_wolf\",\"general:wolf_girl\"]}\n"
    );
    for query in ["wise_wolf", "wolf_girl", "spice_and_wolf", "copy:*"] {
        assert_eq!(count(&home, query), "2", "{query}");
    }
    let id = &lines(&home, &["search", "--ids", "holo"])[0];
    assert_eq!(
        lines(&home, &["search", "--why", id, "wolf_girl", "-fox"]),
        ["yes wolf_girl  by character:holo → wolf_girl", "no  fox"]
    );

    // What would make no sense is refused, and nothing is written.
    let before = file(&home);
    for arguments in [
        &["tagdb", "imply", "wolf_girl", "holo"][..],
        &["tagdb", "imply", "holo", "holo"],
        &["tagdb", "alias", "fox", "holo"],
        &["tagdb", "alias", "wise_wolf", "fox"],
        &["tagdb", "define", "thing", "--color", "mauve-ish"],
    ] {
        home.on_library(arguments).expect(2);
    }
    assert_eq!(file(&home), before);

    // Each command is one step; a later one stays when an earlier one is undone.
    home.on_library(&["tagdb", "hide", "fox"]).expect(0);
    assert_eq!(count(&home, ""), "2");
    assert_eq!(count(&home, "fox"), "1");
    home.on_library(&["undo"]).expect(0);
    assert_eq!((file(&home), count(&home, "")), (before, "3".to_owned()));
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, "wolf_girl"), "0");
    home.on_library(&["redo"]).expect(0);
    assert_eq!(count(&home, "wolf_girl"), "2");
}

#[test]
fn a_tag_is_renamed_everywhere_in_one_step() {
    let home = home();
    home.on_library(&["tagdb", "imply", "holo", "wolf_girl"])
        .expect(0);
    let before = file(&home);
    home.on_library(&["tagdb", "rename", "char:nobody", "y"])
        .expect(2);
    home.on_library(&["tagdb", "rename", "holo", "fox"])
        .expect(2);

    home.on_library(&["tagdb", "merge", "holo", "char:horo"])
        .expect(0);
    assert_eq!(count(&home, "direct:horo"), "2");
    assert_eq!(count(&home, "direct:holo"), "0");
    assert_eq!(count(&home, "holo"), "2", "the old name is an alias");
    assert_eq!(count(&home, "wolf_girl"), "2", "what it implied went along");
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, "direct:holo"), "2");
    assert_eq!(file(&home), before);

    home.on_library(&["tagdb", "category", "blond_hair", "meta"])
        .expect(0);
    assert_eq!(count(&home, "meta:blond_hair"), "1");
}

#[test]
fn a_dictionary_is_taken_in_and_a_broken_file_is_left_alone() {
    let home = home();
    let list = home.path().join("tags.csv");
    write_text(&list, "holo,4,900,\"horo,fox\"\nwolf,0,50,\n");
    let list = list.to_str().unwrap();
    home.on_library(&["tagdb", "import", list, "--dry-run"])
        .expect(0);
    assert_eq!(file(&home), "");
    home.on_library(&["tagdb", "import", list]).expect(0);
    assert_eq!(count(&home, "horo"), "2");
    assert_eq!(count(&home, "fox"), "1", "a tag that is used stays one");
    home.on_library(&["undo"]).expect(0);
    assert_eq!(file(&home), "");

    let broken = "<<<<<<< HEAD\n";
    write_text(&home.library().join("tagdb.jsonl"), broken);
    home.on_library(&["tagdb", "imply", "holo", "fox"])
        .expect(2);
    assert_eq!(file(&home), broken);
    assert_eq!(count(&home, "holo"), "2");
}
