//! What must not go wrong when something else does: suspending, signals, a
//! terminal that hangs up, a panic.

use std::{fs, io::Write as _, path::PathBuf, process::Command};

use rustix::process::Signal;

use super::pty::{Answers, Terminal};
use crate::support::{Home, program, write_pictures};

/// A home with a managed library of three pictures.
fn home() -> Home {
    let home = Home::new();
    home.init();
    write_pictures(&home.path().join("source"), 0..3);
    home.on_library(&["ingest", "source"]).expect(0);
    home
}

#[test]
fn suspend_gives_the_terminal_back_and_continue_draws_again() {
    let home = home();
    // A shell with job control: a process without one has nobody to wake it up.
    let mut terminal = Terminal::start_with(
        &home,
        (80, 24),
        Answers::Plain,
        "sh",
        &["-i"],
        &[("PS1", "ready$ "), ("ENV", "")],
    );
    terminal.wait_for("ready$");
    terminal.keys(&format!("{} library\r", program()));
    terminal.wait("the gallery", |screen| {
        screen.alternate_screen() && screen.contents().contains("everything")
    });
    for _ in 0..2 {
        terminal.keys("\x1a");
        terminal.wait("the shell", |screen| {
            !screen.alternate_screen() && screen.contents().trim_end().ends_with("ready$")
        });
        terminal.keys("stty -a\r");
        terminal.wait("a sane terminal", |screen| {
            let text = screen.contents();
            text.contains(" icanon") && text.contains(" echo ")
        });
        terminal.keys("clear; fg\r");
        terminal.wait("the gallery again", |screen| {
            screen.alternate_screen() && screen.contents().contains("everything")
        });
    }
    terminal.keys("q");
    terminal.wait("the shell", |screen| {
        !screen.alternate_screen() && screen.contents().trim_end().ends_with("ready$")
    });
    terminal.keys("exit\r");
    terminal.wait_exit();
}

#[test]
fn signals_end_the_session_and_restore_the_terminal() {
    let home = home();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
        terminal.wait("the gallery", |screen| {
            screen.alternate_screen() && screen.contents().contains("everything")
        });
        terminal.end(signal);
        terminal.wait_exit();
        if signal != Signal::HUP {
            terminal.assert_restored();
        }
        assert_sound(&home);
    }
}

#[test]
fn a_terminal_that_hangs_up_ends_the_program() {
    let home = home();
    let inbox = home.library().join("ingest");
    let mut terminal = Terminal::start(&home, (80, 24), &["library"]);
    terminal.wait("the gallery", |screen| {
        screen.alternate_screen() && screen.contents().contains("everything")
    });
    // Work in hand when the connection drops.
    write_pictures(&inbox, 10..20);
    terminal.hang_up();
    terminal.wait_exit();
    assert_sound(&home);
    home.on_library(&["scan"]).expect(0);
    let run = home.on_library(&["search", "--count"]).expect(0);
    assert_eq!(run.text(), "13\n");
}

/// Mounts a small disk, makes a library on it and opens that.
const START: &str = "mount -t tmpfs -o size=4m none library && \
    \"$0\" init library && \"$0\" --library library ingest source && exec \"$0\" library";

#[test]
fn a_full_disk_keeps_the_edit_until_there_is_room() {
    // A small disk that only the program sees; where that is not allowed to whoever
    // runs this, there is none to fill.
    let may = |switch: &str| {
        let tried = Command::new("unshare").args([switch, "true"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(switch) = ["-m", "-Urm"].into_iter().find(|switch| may(switch)) else {
        println!("no mounts of its own: not tried");
        return;
    };
    let home = Home::new();
    fs::create_dir(home.library()).unwrap();
    write_pictures(&home.path().join("source"), 0..1);
    let arguments = [switch, "sh", "-c", START, program()];
    let mut terminal =
        Terminal::start_with(&home, (100, 30), Answers::Plain, "unshare", &arguments, &[]);
    terminal.wait("the gallery", |screen| {
        screen.alternate_screen() && screen.contents().contains("1/1")
    });
    let outside = PathBuf::from(format!("/proc/{}/root", terminal.process()));
    let library = outside.join(home.library().strip_prefix("/").unwrap());
    let sidecar = || {
        let files = crate::support::files_below(&library.join("images"));
        let sidecar = files
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "json"));
        fs::read_to_string(library.join("images").join(sidecar.unwrap())).unwrap()
    };
    let before = sidecar();

    let mut filler = fs::File::create(library.join("filler")).unwrap();
    while filler.write(&[0; 512]).is_ok_and(|written| written > 0) {}
    terminal.keys("tfox\r\x13");
    terminal.wait_for("No space left on device");
    terminal.wait_for("1 unsaved");
    assert_eq!(sidecar(), before);
    drop(filler);
    fs::remove_file(library.join("filler")).unwrap();
    // Nobody presses a key.
    terminal.wait("everything saved", |screen| {
        !screen.contents().contains("unsaved")
    });
    assert!(sidecar().contains("fox"), "{}", sidecar());
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_speaks() {
    let home = home();
    let mut terminal = Terminal::start_with(
        &home,
        (80, 24),
        Answers::Plain,
        program(),
        &["library"],
        &[("TAGLOUPE_FAULT", "panic"), ("RUST_BACKTRACE", "0")],
    );
    let status = terminal.wait_exit();
    assert!(!status.success());
    terminal.assert_restored();
    terminal.wait_for("planned");
    let bytes = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let left = bytes
        .rfind("\x1b[?1049l")
        .expect("the alternate screen was left");
    assert!(bytes[left..].contains("planned"), "the message came after");
    assert_sound(&home);
}

/// Nothing half done lies in the library, and everything in it is as it should be.
#[track_caller]
fn assert_sound(home: &Home) {
    let is_temporary = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".tmp") || name.starts_with(".tagloupe-")
    };
    let files = crate::support::files_below(&home.library().join("images"));
    let left: Vec<_> = files.into_iter().filter(is_temporary).collect();
    assert!(left.is_empty(), "{left:?}");
    home.on_library(&["verify"]).expect(0);
    assert!(fs::metadata(home.library().join("library.json")).is_ok());
}
