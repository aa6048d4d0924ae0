//! What people type behind `:`, and what it means.

use super::*;

#[test]
fn lines_are_understood() {
    for (line, expected) in [
        ("q", Command::Quit { discard: false }),
        ("q!", Command::Quit { discard: true }),
        ("  wq ", Command::SaveAndQuit),
        ("tag solo -sketch", Command::Tag("solo -sketch".into())),
        (
            "sort -name",
            Command::Sort(Sort {
                key: SortKey::Name,
                reverse: true,
            }),
        ),
        ("rating q", Command::Rating(Some(Rating::Questionable))),
        ("rating -", Command::Rating(None)),
        ("stars 4", Command::Stars(4)),
        ("set nocaptions", Command::Set(Setting::Captions(false))),
        ("set tiles=20", Command::Set(Setting::Tiles(20))),
        ("set flow=off", Command::Set(Setting::Flow(false))),
        ("search", Command::Search(String::new())),
        ("select invert", Command::SelectInvert),
        ("ingest /a b/c", Command::Ingest("/a b/c".into())),
        (
            "rename a b",
            Command::Rename {
                from: "a".into(),
                to: "b".into(),
            },
        ),
        ("resume", Command::Pause(false)),
    ] {
        assert_eq!(parse(line), Ok(expected), "{line}");
    }
}

#[test]
fn mistakes_say_what_would_be_right() {
    for (line, expected) in [
        ("tags x", "unknown command tags; did you mean tag?"),
        (
            "frobnicate",
            "unknown command frobnicate; Tab lists them all",
        ),
        ("tag", "usage: tag EDIT…"),
        ("stars 9", "stars go from 0 to 5"),
        ("rename a", "usage: rename OLD NEW"),
        ("rating x", "rating takes g, s, q, e or none"),
        ("undo 3", "undo takes nothing more; usage: undo"),
        ("x all", "x takes nothing more; usage: wq"),
        ("set tiles=big", "tiles=N takes a width in cells"),
    ] {
        assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
    }
    assert!(
        parse("sort colour")
            .unwrap_err()
            .starts_with("sort by one of")
    );
}

#[test]
fn every_command_of_the_table_is_understood() {
    for info in COMMANDS {
        for name in info.names.split('|') {
            let error = parse(name).err().unwrap_or_default();
            assert!(!error.starts_with("unknown"), "{name}: {error}");
        }
    }
}

#[test]
fn words_and_arguments_are_completed() {
    let themes = ["dark".to_owned(), "light".to_owned()];
    let offered = |text: &str| -> Vec<String> {
        complete(&TextInput::new(text), &themes)
            .items
            .into_iter()
            .map(|item| item.text)
            .collect()
    };
    assert_eq!(
        offered("re"),
        [
            "rename", "related", "resume", "retry", "rebuild", "reload", "redo"
        ]
    );
    assert_eq!(offered("sort mo"), ["modified"]);
    assert_eq!(offered("theme "), ["dark", "light"]);
    assert!(offered("tag x").is_empty());
    let mut line = CommandLine::default();
    line.open("");
    line.input.insert_str("sort na");
    line.changed(&themes);
    line.completion.choose_next();
    assert!(matches!(line.accept(), Some(Command::Sort(_))));
    assert!(!line.is_open);
    line.open("");
    line.older();
    assert_eq!(line.input.text, "sort name");
    line.newer();
    assert!(line.input.is_empty());
}
