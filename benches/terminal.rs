//! What the screen costs on the way to a terminal: the real program in a pseudo
//! terminal, at the end of a modeled link. Bytes are exact; times are those of this
//! machine under this load.
//!
//! ```text
//! cargo bench --bench terminal                        pictures made on the spot
//! TAGLOUPE_BENCH_PICTURES=DIR cargo bench …           the first forty of a folder
//! cargo bench --bench terminal -- known               only rows with that word
//! ```

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

#[path = "terminal/line.rs"]
mod line;
#[path = "terminal/pictures.rs"]
mod pictures;
#[path = "terminal/sheet.rs"]
mod sheet;

use std::{path::Path, process::Command, time::Duration};

use line::{Kind, Line, Link};
use sheet::Sheet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tagloupe");
/// Eight columns and five rows of tiles of 16 x 8 cells.
const SIZE: (u16, u16) = (144, 56);

const NONE: Link = Link::direct();
const FAST: Link = Link::new(10.0, 40, 2048);
const SLOW: Link = Link::new(2.0, 100, 2048);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    pictures::make(&folder.path().join("forty"), 40);
    pictures::make(&folder.path().join("many"), 2_048);
    for name in ["forty", "many"] {
        library(folder.path(), name);
    }
    let bench = Bench {
        folder: folder.path(),
        wanted,
    };
    println!("{:<58}{:>12}", "what", "measured");
    bench.pages();
    bench.scrolls();
    bench.links();
    bench.keys();
}

fn library(folder: &Path, name: &str) {
    let run = |arguments: &[&str]| {
        let status = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(folder)
            .env("TAGLOUPE_CONFIG_DIR", folder.join("config"))
            .stdout(std::process::Stdio::null())
            .status()
            .expect("the program starts");
        assert!(status.success(), "{arguments:?}");
    };
    let library = format!("library-{name}");
    run(&["init", &library]);
    run(&["--library", &library, "ingest", name]);
}

struct Bench<'a> {
    folder: &'a Path,
    wanted: Vec<String>,
}

impl Bench<'_> {
    fn is_wanted(&self, what: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|word| what.contains(word.as_str()))
    }

    fn open(&self, library: &str, kind: Kind, link: Link, variables: &[(&str, &str)]) -> Line {
        let path = self.folder.join(format!("library-{library}"));
        Line::open(PROGRAM, &path, self.folder, SIZE, kind, link, variables)
    }

    /// The bytes of one page of forty, by stage and protocol.
    fn pages(&self) {
        const SSH: (&str, &str) = ("SSH_TTY", "/dev/pts/9");
        let quality = |word| ("TAGLOUPE_PICTURE_QUALITY", word);
        let auto = quality("auto");
        for (what, kind, variables) in [
            (
                "E1 kitty page, preview",
                Kind::Kitty,
                [SSH, quality("preview")],
            ),
            (
                "E1 kitty page, balanced",
                Kind::Kitty,
                [SSH, quality("balanced")],
            ),
            ("E1 kitty page, both stages", Kind::Kitty, [SSH, auto]),
            (
                "E1 kitty page, lossless",
                Kind::Kitty,
                [auto, quality("lossless")],
            ),
            ("E2 iterm2 page", Kind::Iterm2, [SSH, auto]),
            ("E2 sixel page over SSH", Kind::Sixel, [SSH, auto]),
            ("E2 sixel page, local", Kind::Sixel, [auto, auto]),
            ("E2 half-blocks page", Kind::Plain, [auto, auto]),
        ] {
            if self.is_wanted(what) {
                let line = self.open("forty", kind, NONE, &variables);
                line.settle();
                let sheet = line.sheet();
                row(what, &kilobytes(sheet.bytes));
                finish(line);
            }
        }
    }

    /// The bytes of scrolling: to new pictures, back to known ones, and no further
    /// than the next picture.
    fn scrolls(&self) {
        const DIRECT: (&str, &str) = ("TAGLOUPE_GRAPHICS", "kitty-direct");
        const SSH: (&str, &str) = ("SSH_TTY", "/dev/pts/9");
        for (name, kind, variables) in [
            ("kitty", Kind::Kitty, vec![SSH]),
            ("kitty-direct", Kind::Kitty, vec![SSH, DIRECT]),
            ("sixel", Kind::Sixel, vec![SSH]),
            ("iterm2", Kind::Iterm2, vec![SSH]),
        ] {
            if !self.is_wanted(&format!("E3 E4 E5 E6 scroll {name}")) {
                continue;
            }
            let line = self.open("many", kind, NONE, &variables);
            line.settle();
            // To the last row of the page, and back: every picture is known.
            line.keys("jjjj");
            line.settle();
            let step = |keys: &str| {
                let before = line.sheet();
                line.keys(keys);
                line.settle();
                line.sheet().since(&before)
            };
            let cursor = step("l");
            row(
                &format!("E5 cursor, {name}"),
                &format!("{} B", cursor.bytes),
            );
            let down = step("j");
            row(&format!("E3 one row down, {name}"), &kilobytes(down.bytes));
            let up = step("kkkkk");
            let sent = up.transmissions;
            let text = format!("{}, {sent} sent", kilobytes(up.bytes));
            row(&format!("E4 back to known, {name}"), &text);
            for _ in 0..62 {
                line.keys("jjjj");
                line.settle();
            }
            let sheet = line.sheet();
            let end = finish(line);
            row(
                &format!("E6 {} pictures, {name}", sheet.transmissions),
                &format!(
                    "{} at most, {} at the end, {} twice, {} broken",
                    end.alive_most, end.alive, end.resent, end.broken
                ),
            );
        }
    }

    /// Time over a link, and keys while a page streams.
    fn links(&self) {
        let quality = |word| ("TAGLOUPE_PICTURE_QUALITY", word);
        for (what, link, variables) in [
            ("E7 10 Mbit, preview page", FAST, [quality("preview")]),
            ("E7 10 Mbit, balanced page", FAST, [quality("balanced")]),
            ("E7 10 Mbit, both stages", FAST, [quality("auto")]),
            ("E7 10 Mbit, lossless page", FAST, [quality("lossless")]),
            ("E7 2 Mbit, both stages", SLOW, [quality("auto")]),
        ] {
            if self.is_wanted(what) {
                let line = self.open("forty", Kind::Kitty, link, &variables);
                line.settle();
                let sheet = line.sheet();
                let first = sheet.first_text.unwrap_or_default();
                let after = |time: Option<Duration>| match time {
                    Some(time) => milliseconds(time.saturating_sub(first)),
                    None => "-".to_owned(),
                };
                let text = format!(
                    "first {} last {}",
                    after(sheet.first_picture),
                    after(sheet.last_picture)
                );
                row(what, &text);
                finish(line);
            }
        }
        for (what, link, kind) in [
            ("E8 10 Mbit, key to text, kitty", FAST, Kind::Kitty),
            ("E8 2 Mbit, key to text, kitty", SLOW, Kind::Kitty),
            ("E8 10 Mbit, key to text, sixel", FAST, Kind::Sixel),
            ("E8 2 Mbit, key to text, sixel", SLOW, Kind::Sixel),
        ] {
            if self.is_wanted(what) {
                let variables = [("TAGLOUPE_PICTURE_QUALITY", "lossless")];
                let variables = if kind == Kind::Kitty {
                    &variables[..]
                } else {
                    &[]
                };
                let line = self.open("forty", kind, link, variables);
                line.wait_for_text();
                let times = line.presses("lh", 14, Duration::from_millis(100));
                row(what, &times.summary());
                line.settle();
                finish(line);
            }
        }
        let what = "E10 10 Mbit, 40 keys held, after the last";
        if self.is_wanted(what) {
            let line = self.open("many", Kind::Kitty, FAST, &[]);
            line.settle();
            line.presses("j", 40, Duration::from_millis(30));
            let (words, pictures) = line.rests();
            let text = format!(
                "text {}, pictures {}",
                milliseconds(words),
                milliseconds(pictures)
            );
            row(what, &text);
            finish(line);
        }
    }

    /// Keys at rest, without a link.
    fn keys(&self) {
        let what = "E9 no link, key to frame at rest";
        if self.is_wanted(what) {
            let line = self.open("forty", Kind::Kitty, NONE, &[]);
            line.settle();
            let times = line.presses("lh", 60, Duration::from_millis(40));
            row(what, &times.summary());
            finish(line);
        }
    }
}

/// Ends the program; what the terminal holds afterwards.
fn finish(line: Line) -> Sheet {
    line.keys("q");
    line.end()
}

fn row(what: &str, measured: &str) {
    println!("{what:<46}{measured:>46}");
}

fn kilobytes(bytes: usize) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
