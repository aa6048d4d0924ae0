//! The tag database: its lines, its rules, what follows from it.

use proptest::prelude::*;

use super::*;

fn tag(text: &str) -> TagName {
    match text.split_once(':') {
        Some((category, value)) => TagName::new(category, value),
        None => TagName::new("", text),
    }
}

fn imply(from: &str, to: &str) -> TagEdit {
    TagEdit::Imply {
        from: tag(from),
        to: tag(to),
    }
}

fn alias(alias: &str, to: &str) -> TagEdit {
    TagEdit::Alias {
        alias: alias.to_owned(),
        tag: tag(to),
    }
}

fn database(edits: &[TagEdit]) -> TagDb {
    let mut database = TagDb::default();
    for edit in edits {
        database
            .apply(edit)
            .unwrap_or_else(|mistake| panic!("{edit:?}: {mistake}"));
    }
    database
}

fn counting(database: &TagDb, name: &str) -> String {
    let counting = database.counting_as(&tag(name));
    let names: Vec<String> = counting.names.iter().map(ToString::to_string).collect();
    let text = format!("{} | {}", names.join(" "), counting.aliases.join(" "));
    text.trim_end().to_owned()
}

const FILE: &str = r#"{"category":"*","defs":[{"name":"character","alias":["char"],"color":"green","order":1,"weight":6.0,"x":1}]}
{"category":"character","tag":"holo","aliases":["horo"],"implies":["copyright:spice_and_wolf"],"suggests":["general:wolf_girl"],"hidden":true,"deprecated":true,"desc":"a wolf","count":12,"fine":"f","own":{"b":1,"a":2}}
"#;

#[test]
fn what_is_read_is_written_again() {
    let read = TagDb::parse(FILE).unwrap();
    assert_eq!(read.print(), FILE);
    let row = read.row(&tag("character:holo")).unwrap();
    assert_eq!(
        (row.is_hidden, row.is_deprecated, row.count),
        (true, true, Some(12))
    );
    assert_eq!(read.alias("horo"), Some(&tag("character:holo")));
    assert_eq!(read.category("character").unwrap().weight, Some(6.0));
    assert!(read.problems().is_empty());
    for broken in ["{", "[]", "<<<<<<< HEAD", r#"{"tag":"x"}"#] {
        assert!(
            TagDb::parse(broken).unwrap_err().starts_with("line 1: "),
            "{broken}"
        );
    }
}

#[test]
fn aliases_name_one_tag_and_have_no_chains() {
    let mut db = database(&[alias("horo", "character:holo"), imply("old", "wolf")]);
    assert_eq!(counting(&db, "character:holo"), "character:holo | horo");
    // An alias of an alias is one of the tag behind it.
    let notes = db.apply(&alias("the wise wolf", "character:horo")).unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(db.alias("the_wise_wolf"), Some(&tag("character:holo")));
    assert!(db.apply(&alias("horo", "other")).is_err());
    assert!(db.apply(&alias("holo", "character:holo")).is_err());
    // What was known of a name that becomes an alias goes over.
    db.apply(&alias("old", "new")).unwrap();
    assert_eq!(db.row(&tag("new")).unwrap().implies, [tag("wolf")]);
    assert_eq!(db.row(&tag("old")), None);
    db.apply(&TagEdit::Unalias("horo".to_owned())).unwrap();
    assert!(db.alias("horo").is_none());
    assert!(db.apply(&TagEdit::Unalias("horo".to_owned())).is_err());
}

#[test]
fn implications_are_transitive_and_have_no_cycles() {
    let mut db = database(&[
        imply("a", "b"),
        imply("b", "c"),
        imply("d", "c"),
        alias("bee", "b"),
    ]);
    assert_eq!(counting(&db, "c"), "c b d a | bee");
    for (from, to) in [("a", "a"), ("c", "a"), ("b", "a"), ("c", "bee")] {
        assert!(db.apply(&imply(from, to)).is_err(), "{from} {to}");
    }
    assert_eq!(db.apply(&imply("a", "c")).unwrap().len(), 1, "redundant");
    assert_eq!(
        db.why(&tag("a"), &tag("c")),
        Some(vec![Step::Implies(tag("c"))])
    );
    db.apply(&TagEdit::Unimply {
        from: tag("a"),
        to: tag("c"),
    })
    .unwrap();
    assert_eq!(
        db.why(&tag("a"), &tag("c")),
        Some(vec![Step::Implies(tag("b")), Step::Implies(tag("c"))])
    );
    assert_eq!(
        db.why(&tag("bee"), &tag("c")),
        Some(vec![Step::Alias(tag("b")), Step::Implies(tag("c"))])
    );
    assert_eq!(db.why(&tag("c"), &tag("c")), Some(Vec::new()));
    assert_eq!(db.why(&tag("c"), &tag("a")), None);
}

#[test]
fn a_file_that_two_branches_made_is_read_as_far_as_it_makes_sense() {
    let file = r#"{"category":"general","tag":"a","implies":["general:b"]}
{"category":"general","tag":"b","aliases":["x"],"implies":["general:a"]}
{"category":"general","tag":"c","aliases":["x"]}
"#;
    let db = TagDb::parse(file).unwrap();
    assert_eq!(db.problems().len(), 2, "{:?}", db.problems());
    assert_eq!(db.print(), file, "nothing is lost");
    assert_eq!(counting(&db, "a"), "a |");
    assert_eq!(counting(&db, "b"), "b a | x");
}

#[test]
fn renaming_takes_everything_along() {
    let mut db = database(&[
        imply("holo", "wolf_girl"),
        imply("young_holo", "holo"),
        alias("horo", "holo"),
    ]);
    db.apply(&TagEdit::Rename {
        from: tag("holo"),
        to: tag("character:holo"),
    })
    .unwrap();
    assert_eq!(
        counting(&db, "wolf_girl"),
        "wolf_girl character:holo young_holo | horo"
    );
    // An implication that would go round in a circle is dropped.
    let mut db = database(&[imply("a", "b"), imply("b", "c")]);
    db.apply(&TagEdit::Rename {
        from: tag("c"),
        to: tag("a"),
    })
    .unwrap();
    assert!(db.problems().is_empty(), "{:?}", db.problems());
    let left: usize = db.rows().map(|(_, row)| row.implies.len()).sum();
    assert_eq!(left, 1);
}

#[test]
fn categories_have_looks() {
    let mut db = TagDb::default();
    let define = |color: &str, aliases: &[&str]| TagEdit::Category {
        name: "Vehicle".to_owned(),
        aliases: Some(aliases.iter().map(|alias| (*alias).to_owned()).collect()),
        color: Some(color.to_owned()),
        order: Some(9),
        weight: None,
    };
    db.apply(&define("#a0b0c0", &["veh"])).unwrap();
    assert_eq!(db.category_name("VEH"), "vehicle");
    assert_eq!(db.category_name("char"), "character");
    assert!(db.apply(&define("mauve-ish", &[])).is_err());
    assert!(db.apply(&define("red", &["artist"])).is_err());
}

#[test]
fn changes_are_made_line_by_line_and_taken_back() {
    let before = database(&[imply("a", "b"), imply("x", "y")]);
    let mut after = before.clone();
    after.apply(&imply("a", "c")).unwrap();
    after.apply(&alias("z", "a")).unwrap();
    let changes = before.changes_to(&after);
    assert_eq!(changes.len(), 1, "one line");
    // Somebody changed another line meanwhile.
    let mut current = before.clone();
    current.apply(&imply("x", "v")).unwrap();
    assert_eq!(current.change_lines(&changes), [Ok(true)]);
    assert_eq!(current.alias("z"), Some(&tag("a")));
    assert_eq!(current.change_lines(&changes), [Ok(false)], "not as it was");
    let back = LineChange {
        key: changes[0].key.clone(),
        before: changes[0].after.clone(),
        after: changes[0].before.clone(),
    };
    assert_eq!(current.change_lines(&[back]), [Ok(true)]);
    assert_eq!(current.row(&tag("a")).unwrap().implies, [tag("b")]);
    assert_eq!(current.row(&tag("x")).unwrap().implies.len(), 2);
}

#[test]
fn a_tag_renamed_to_what_was_an_alias_is_a_tag_again() {
    let mut db = TagDb::default();
    for edit in [
        alias("wolf", "canine"),
        alias("dog_like", "dog"),
        TagEdit::Rename {
            from: tag("dog"),
            to: tag("wolf"),
        },
    ] {
        db.apply(&edit).unwrap();
    }
    assert_eq!(db.alias("dog_like"), Some(&tag("wolf")));
    assert_eq!(db.alias("wolf"), None);
}

proptest! {
    #[test]
    fn no_sequence_of_edits_makes_a_cycle_or_a_chain(
        edits in prop::collection::vec((0..4_u8, 0..6_u8, 0..6_u8), 0..40)
    ) {
        let mut db = TagDb::default();
        for (kind, from, to) in edits {
            let (from, to) = (format!("t{from}"), format!("t{to}"));
            let _ = db.apply(&match kind {
                0 => alias(&from, &to),
                1 => TagEdit::Unalias(from),
                2 => TagEdit::Rename { from: tag(&from), to: tag(&to) },
                _ => imply(&from, &to),
            });
            let again = TagDb::parse(&db.print()).unwrap();
            prop_assert_eq!(&again, &db);
            for (alias, name) in db.aliases() {
                prop_assert!(db.alias(&name.value).is_none_or(|other| other == name), "{} {}", alias, name);
            }
            for n in 0..6 {
                let name = tag(&format!("t{n}"));
                let implied = db.implied(&name);
                prop_assert!(implied.iter().all(|(other, _)| *other != name));
                for (other, _) in implied {
                    prop_assert!(db.counting_as(&other).names.contains(&name));
                    prop_assert!(db.why(&name, &other).is_some());
                }
            }
        }
    }
}
