//! What a person sees and leaves behind: start, quit, sizes, pictures, names.

use std::{collections::BTreeSet, ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use rustix::process::Signal;

use super::pty::{Answers, Terminal};
use crate::support::{
    Home, files_below, originals, program, write_picture, write_pictures, write_text,
};

/// A home with an in-place library of pictures with these names.
fn in_place(names: &[&[u8]]) -> Home {
    let home = Home::new();
    let library = home.library();
    fs::create_dir(&library).unwrap();
    for (seed, name) in (0..).zip(names) {
        let picture = home.path().join("picture.png");
        write_picture(&picture, seed);
        fs::rename(picture, library.join(OsStr::from_bytes(name))).unwrap();
    }
    home.run(&["init".as_ref(), library.as_os_str()]).expect(0);
    home
}

#[test]
fn the_gallery_opens_and_quits_without_a_trace() {
    let home = in_place(&[b"otter.png", b"heron.png"]);
    let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
    terminal.wait_for("otter");
    terminal.wait_for("heron");
    terminal.wait("the alternate screen", vt100::Screen::alternate_screen);
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
}

#[test]
fn a_mark_outlives_the_session_and_the_index() {
    let home = in_place(&[b"otter.png"]);
    let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
    terminal.wait_for("otter");
    terminal.keys("ma");
    terminal.wait_for("mark a is here");
    // Whoever waits is told which marks there are.
    terminal.keys("'");
    terminal.wait("the box with the mark", |screen| {
        let mut lines = screen.rows(0, 80);
        lines.any(|line| line.trim_start().starts_with("a  otter"))
    });
    terminal.keys("aq");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
    for name in ["library.db", "library.db-wal", "library.db-shm"] {
        let path = home.library().join(".tagloupe").join(name);
        // The last two are there only after a crash.
        let _ = fs::remove_file(path);
    }
    let run = home.run(&["--library", "library", "search", "--ids", "mark:a"]);
    assert_eq!(run.expect(0).text(), "otter\n");
    let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
    terminal.wait_for("otter");
    terminal.keys("/badger\r");
    terminal.wait("a result without it", |screen| {
        !screen.contents().contains("otter")
    });
    terminal.keys("'a");
    terminal.wait_for("was not in that result");
    terminal.wait_for("otter");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
}

#[test]
fn a_terminal_that_answers_nothing_or_nonsense_is_served() {
    for answers in [Answers::Silent, Answers::Nonsense] {
        let home = in_place(&[b"otter.png"]);
        let mut terminal =
            Terminal::start_with(&home, (80, 24), answers, program(), &["library"], &[]);
        terminal.wait_for("otter");
        terminal.keys("q");
        assert!(terminal.wait_exit().success());
        terminal.assert_restored();
        assert_no_pictures(&terminal);
    }
}

#[test]
fn a_terminal_that_answers_late_gets_its_pictures_then() {
    let home = in_place(&[b"otter.png"]);
    let silent = Answers::Silent;
    let mut terminal = Terminal::start_with(&home, (80, 24), silent, program(), &["library"], &[]);
    // It draws without an answer, and then that comes: sixels, cells of 8 x 16.
    terminal.wait_for("otter");
    terminal.keys("\x1b[6;16;8t\x1b[?62;4;22c");
    terminal.wait_for_bytes(b"\x1bP");
    terminal.wait_for_bytes(b"\"1;1;");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
}

#[test]
fn a_plain_terminal_gets_no_picture_escapes() {
    let home = in_place(&[b"otter.png", b"heron.png"]);
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "vt100")]] {
        let mut terminal = Terminal::start_with(
            &home,
            (80, 24),
            Answers::Plain,
            program(),
            &["library"],
            variables,
        );
        terminal.wait_for("otter");
        // Into the viewer, out of it, and out.
        terminal.keys("\rqq");
        terminal.wait_exit();
        assert_no_pictures(&terminal);
    }
}

/// No kitty, sixel or iTerm2 picture among the bytes, apart from questions.
#[track_caller]
fn assert_no_pictures(terminal: &Terminal) {
    for sequence in sequences(&terminal.bytes()) {
        let is_question =
            sequence.starts_with(b"\x1b_G") && sequence.windows(3).any(|w| w == b"a=q");
        let is_picture = sequence.starts_with(b"\x1b_G")
            || sequence.starts_with(b"\x1b]1337;File")
            || (sequence.starts_with(b"\x1bP") && sequence.contains(&b'q') && sequence.len() > 64);
        assert!(
            !is_picture || is_question,
            "{:?}",
            String::from_utf8_lossy(&sequence)
        );
    }
}

#[test]
fn every_size_is_drawn() {
    let home = in_place(&[b"otter.png", b"heron.png", b"crane.png"]);
    let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
    terminal.wait_for("otter");
    for _ in 0..3 {
        for size in [
            (20, 5),
            (400, 120),
            (40, 12),
            (1, 1),
            (132, 43),
            (500, 1),
            (2, 200),
        ] {
            terminal.resize(size);
        }
        // Sizes that come while others are drawn, then one that must be right.
        terminal.resize((100, 30));
        terminal.wait_for("otter");
    }
    terminal.resize((20, 5));
    terminal.wait("something in a tiny window", |screen| {
        !screen.contents().trim().is_empty()
    });
    terminal.resize((80, 24));
    terminal.wait_for("otter");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
}

#[test]
fn hostile_texts_never_steer_the_terminal() {
    let home = in_place(&[
        b"otter.png",
        b"title\x1b]0;STEERED\x07.png",
        b"clear\x1b[2J\x1b[31mSTEERED.png",
        b"line\nSTEERED\r.png",
        b"eightbit\x9b31mSTEERED.png",
        "c1\u{9d}0;STEERED\u{9c}.png".as_bytes(),
        "bidi\u{202e}STEERED.png".as_bytes(),
    ]);
    write_text(
        &home.library().join("otter.json"),
        r#"{"name": "otter\u001b]52;c;U1RFRVJFRA==\u0007", "caption": "\u009bSTEERED\u001b[8m",
            "tags": [{"category": "gen\u001b[7mSTEERED", "value": "\u001bc STEERED"}]}"#,
    );
    home.on_library(&["rebuild"]).expect(0);
    // The gallery with its panes and the viewer; the editor; the monitor and the help.
    for keys in [&["i", "l", "h", "\r"][..], &["e"], &["w", "?"]] {
        let mut terminal = Terminal::start(&home, (120, 40), &["library"]);
        terminal.wait_for("otter");
        for keys in keys {
            let before = terminal.bytes().len();
            terminal.keys(keys);
            terminal.wait_for_more(before);
        }
        terminal.end(Signal::TERM);
        terminal.wait_exit();
        terminal.assert_restored();
        assert_nothing_steers(&terminal.bytes());
    }
}

/// No control character that came from data, alone or inside a sequence.
#[track_caller]
fn assert_nothing_steers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(
        !text.contains('\u{202e}'),
        "a bidirectional override was printed"
    );
    assert!(
        !text.chars().any(|c| ('\u{80}'..'\u{a0}').contains(&c)),
        "a C1 control was printed"
    );
    let mut kinds = BTreeSet::new();
    for sequence in sequences(bytes) {
        let shown = String::from_utf8_lossy(&sequence).into_owned();
        assert!(
            !shown.contains("STEERED") && !shown.contains("U1RFRVJFRA"),
            "{shown:?}"
        );
        assert!(!shown.starts_with("\x1bc"), "the terminal was reset");
        kinds.insert(sequence.get(1).copied());
    }
    assert!(kinds.contains(&Some(b'[')), "sequences were looked at");
}

/// Every escape sequence in these bytes, from its ESC to its end.
fn sequences(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut sequences = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|byte| *byte == 0x1b) {
        let start = at + start;
        let kind = bytes.get(start + 1).copied().unwrap_or(0);
        let rest = &bytes[(start + 2).min(bytes.len())..];
        let length = match kind {
            b'[' => rest
                .iter()
                .position(|byte| (0x40..=0x7e).contains(byte))
                .map(|n| n + 1),
            b']' | b'P' | b'_' | b'^' | b'X' => {
                let bell = rest.iter().position(|byte| *byte == 7).map(|n| n + 1);
                let terminator = rest
                    .windows(2)
                    .position(|pair| pair == b"\x1b\\")
                    .map(|n| n + 2);
                match (bell.filter(|_| kind == b']'), terminator) {
                    (Some(bell), Some(terminator)) => Some(bell.min(terminator)),
                    (bell, terminator) => bell.or(terminator),
                }
            }
            _ => Some(0),
        };
        let end = length.map_or(bytes.len(), |length| start + 2 + length);
        sequences.push(bytes[start..end].to_vec());
        at = end;
    }
    sequences
}

#[test]
fn waiting_files_are_filed_while_the_screen_is_open() {
    let home = Home::new();
    home.init();
    let inbox = home.library().join("ingest");
    write_pictures(&inbox, 0..3);
    let mut terminal = Terminal::start(&home, (120, 40), &["library"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    while originals(&home.library()).len() < 3 {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            terminal.contents()
        );
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    // One more arrives while it is open, and is seen without a key.
    write_picture(&home.path().join("late.png"), 9);
    fs::rename(home.path().join("late.png"), inbox.join("late.png")).unwrap();
    terminal.wait("four pictures", |screen| screen.contents().contains("/4"));
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
    assert_eq!(originals(&home.library()).len(), 4);
    assert!(!inbox.join("0.png").exists());
}

#[test]
fn the_demo_opens_and_says_how_to_go_on() {
    let home = Home::new();
    let folder = home.path().join("try");
    let arguments: [&OsStr; 3] = ["demo".as_ref(), "--dir".as_ref(), folder.as_os_str()];
    // Made beforehand: without optimization, drawing takes minutes.
    let make = [&arguments[..], &["--no-screen".as_ref()]].concat();
    home.run(&make).expect(0);
    assert!((8..=12).contains(&fs::read_dir(folder.join("ingest")).unwrap().count()));
    let mut terminal = Terminal::start(&home, (120, 40), &arguments);
    terminal.wait("the gallery", vt100::Screen::alternate_screen);
    let inbox = folder.join("ingest");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    let waiting = |inbox: &Path| fs::read_dir(inbox).map_or(0, Iterator::count);
    while waiting(&inbox) > 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            terminal.contents()
        );
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();
    terminal.wait_for("tagloupe init");

    let on = |arguments: &[&str]| {
        let mut all = vec!["--library", "try"];
        all.extend(arguments);
        home.run(&all)
    };
    let count = on(&["search", "--count"]).expect(0).text();
    assert!(count.trim().parse::<u64>().unwrap() >= 40, "{count}");
    for query in [
        "type:mask",
        "type:animation",
        "has:caption",
        "stars:>0",
        "rating:any",
    ] {
        on(&["search", query]).expect(0);
    }
    on(&["verify"]).expect(0);
    // A second start keeps what was done, and needs no time.
    on(&["tag", "limit:1", "+mine"]).expect(0);
    home.run(&make).expect(0);
    on(&["search", "mine"]).expect(0);
}

#[test]
fn a_folder_that_is_no_library_is_offered() {
    let home = Home::new();
    write_picture(&home.path().join("photos/otter.png"), 1);
    let before = files_below(home.path());
    for keys in ["n", "q", "\x03"] {
        let mut refused = Terminal::start(&home, (80, 24), &["photos"]);
        refused.wait_for("Make it a library in place");
        refused.wait_for("There is a picture in it and below");
        refused.keys(keys);
        assert_eq!(refused.wait_exit().exit_code(), 2, "{keys:?}");
        refused.assert_restored();
        let now = files_below(&home.path().join("photos"));
        assert_eq!(now, ["otter.png".as_ref() as &Path], "{keys:?}");
    }
    let mut accepted = Terminal::start(&home, (80, 24), &["photos"]);
    accepted.wait_for("Make it a library in place");
    accepted.keys("i");
    accepted.wait_for("otter");
    accepted.keys("q");
    assert!(accepted.wait_exit().success());
    accepted.assert_restored();
    assert!(home.path().join("photos/otter.png").is_file());
    assert!(home.path().join("photos/.tagloupe").is_dir());
    assert!(before.iter().all(|path| home.path().join(path).is_file()));

    // A folder that does not exist yet becomes a managed one.
    let mut made = Terminal::start(&home, (80, 24), &["new"]);
    made.wait_for("does not exist");
    assert!(!home.path().join("new").exists());
    made.keys("\r");
    made.wait_for("This library is empty");
    made.keys("q");
    assert!(made.wait_exit().success());
    assert!(home.path().join("new/library.json").is_file());
}

#[test]
fn a_large_library_without_an_index_opens_and_offers_one() {
    let home = in_place(&[b"otter.png"]);
    let library = home.library();
    for n in 0..1_100 {
        // No pictures, but media of the library, and made in no time.
        write_text(&library.join(format!("x{n:04}.png")), "");
    }
    let index = library.join(".tagloupe/library.db");
    fs::remove_file(&index).unwrap();
    let mut terminal = Terminal::start(&home, (100, 30), &["library"]);
    terminal.wait_for("This library has no index yet: 1 101 media.");
    terminal.keys("n");
    terminal.wait_for("1 000 of 1 101 indexed");
    terminal.keys("/filename:x0500\r");
    terminal.wait_for("1/1");
    // What lies behind is not found yet, and that is said.
    terminal.keys("/\x15filename:x1099\r");
    terminal.wait_for("No picture found");
    terminal.keys(":rebuild\r");
    terminal.wait_for("1/1");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();

    // One that is no database is left as it is, and another one made at once on demand.
    write_text(&index, "this is not a database");
    for log in ["library.db-wal", "library.db-shm"] {
        // They may be gone with the last process.
        let _ = fs::remove_file(library.join(".tagloupe").join(log));
    }
    let mut terminal = Terminal::start(&home, (100, 30), &["library"]);
    terminal.wait_for("it is not a database");
    terminal.keys("b");
    terminal.wait_for("/1 101");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    assert_eq!(fs::read(&index).unwrap(), b"this is not a database");
    let mut terminal = Terminal::start(&home, (100, 30), &["library"]);
    terminal.wait_for("/1 101");
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
}
