//! A day at the screen in a minute: pictures arrive, somebody walks about, searches,
//! tags and changes the window, another process tags too, an editor rewrites sidecars.
//! Nothing that was acknowledged is lost, nothing is left behind, nothing grows.
//!
//! `TAGLOUPE_SOAK_ROUNDS` says how often (a round takes about three seconds); the long
//! variant goes on for twenty minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    editor::{edit_like_an_editor, tags_of},
    pty::Terminal,
};
use crate::support::{Home, files_below, originals, write_picture};

/// How long anything may take before the test gives up: long, for slow machines.
const LIMIT: Duration = Duration::from_secs(90);

/// What somebody does who looks around; each leaves the gallery in front.
const VISITS: [&str; 10] = [
    "llllljjjkkkhhhhh",
    "Gggjjjj\x04\x15",
    "\r\x1b[C\x1b[C\x1b[C\x1b[Dzzq",
    "/soak\r",
    "/\x15rating:none width:>10\r",
    "/\x15\r",
    "iiFF",
    "ww",
    "++--",
    "?\x1b",
];

const SIZES: [(u16, u16); 4] = [(120, 40), (60, 20), (160, 50), (100, 30)];

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Holding {
    resident_kb: usize,
    files: usize,
    threads: usize,
}

impl Holding {
    fn of(process: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let status = fs::read_to_string(folder.join("status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.unwrap().split_whitespace().next().unwrap();
            word.parse::<usize>().unwrap()
        };
        Self {
            resident_kb: number("VmRSS:"),
            files: fs::read_dir(folder.join("fd")).unwrap().count(),
            threads: number("Threads:"),
        }
    }

    /// The least that was held: what comes and goes is not what leaks.
    fn least(held: &[Self]) -> Self {
        let least = |of: fn(&Self) -> usize| held.iter().map(of).min().unwrap();
        Self {
            resident_kb: least(|held| held.resident_kb),
            files: least(|held| held.files),
            threads: least(|held| held.threads),
        }
    }
}

fn rounds() -> usize {
    let asked = env::var("TAGLOUPE_SOAK_ROUNDS").ok();
    let usual = match env::var_os("TAGLOUPE_LONG_TESTS") {
        Some(_) => 400,
        None => 20,
    };
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(usual)
}

#[test]
fn nothing_grows_and_nothing_is_lost_in_a_long_session() {
    let home = Home::new();
    home.init();
    let inbox = home.library().join("ingest");
    let mut terminal = Terminal::start(&home, SIZES[0], &["library"]);
    terminal.wait("the gallery", vt100::Screen::alternate_screen);
    let process = terminal.process();

    let rounds = rounds();
    let mut seeds = 0;
    // Tags that a process or an editor was told are written, by the id of the medium.
    let mut acknowledged: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut held = Vec::with_capacity(rounds);
    for round in 0..rounds {
        for picture in 0..2 {
            let name = format!("{round}-{picture}.png");
            arrive(&home, &inbox, &name, seeds);
            seeds += 1;
        }
        if round % 3 == 0 {
            arrive(&home, &inbox, &format!("{round}-twin.png"), seeds - 1);
        }
        terminal.keys(VISITS[round % VISITS.len()]);
        if round % 7 == 0 {
            terminal.resize(SIZES[round / 7 % SIZES.len()]);
        }
        empty(&inbox, &terminal);
        let ids = ids(&home);
        let id = &ids[(round * 31) % ids.len()];
        let tag = format!("soak_{round}");
        match round % 4 {
            0 => {
                let edit = format!("+{tag}");
                home.on_library(&["tag", &format!("id:{id}"), &edit])
                    .expect(0);
                acknowledged.entry(id.clone()).or_default().insert(tag);
            }
            1 => {
                edit_like_an_editor(&sidecar(&home, id), &tag);
                acknowledged.entry(id.clone()).or_default().insert(tag);
            }
            2 => terminal.keys(&format!("ttyped_{round} other\r\x13")),
            _ => terminal.keys("fu"),
        }
        held.push(Holding::of(process));
    }
    terminal.keys("/\x15\r");
    terminal.wait("all pictures", |screen| {
        screen.contents().contains(&format!("/{}", spaced(seeds)))
    });
    terminal.keys("q");
    assert!(terminal.wait_exit().success());
    terminal.assert_restored();

    let middle = Holding::least(&held[rounds / 3..rounds * 2 / 3]);
    let end = Holding::least(&held[rounds * 2 / 3..]);
    println!("{rounds} rounds, {seeds} pictures: {middle:?} in the middle, {end:?} at the end");
    assert!(end.files <= middle.files + 2, "{middle:?}, {end:?}");
    assert!(end.threads <= middle.threads + 2, "{middle:?}, {end:?}");
    let may_grow = (middle.resident_kb / 20).max(20 << 10);
    assert!(
        end.resident_kb <= middle.resident_kb + may_grow,
        "{middle:?}, {end:?}"
    );

    home.on_library(&["recover"]).expect(0);
    home.on_library(&["rebuild"]).expect(0);
    home.on_library(&["verify"]).expect(0);
    assert_eq!(
        originals(&home.library()).len(),
        usize::try_from(seeds).unwrap()
    );
    for (id, tags) in acknowledged {
        let written = tags_of(&sidecar(&home, &id));
        assert!(tags.is_subset(&written), "{id}: {tags:?} in {written:?}");
    }
    let left: Vec<_> = files_below(&home.library())
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A picture of this content comes into the inbox, whole at once.
fn arrive(home: &Home, inbox: &Path, name: &str, seed: u32) {
    let made = home.path().join(name);
    write_picture(&made, seed);
    fs::rename(made, inbox.join(name)).unwrap();
}

#[track_caller]
fn empty(inbox: &Path, terminal: &Terminal) {
    let deadline = Instant::now() + LIMIT;
    while let Some(Ok(waiting)) = fs::read_dir(inbox).unwrap().next() {
        assert!(
            Instant::now() < deadline,
            "{} waits; the screen:\n{}",
            waiting.path().display(),
            terminal.contents()
        );
        // Nothing announces it to us: looked at again and again.
        thread::park_timeout(Duration::from_millis(10));
    }
}

fn ids(home: &Home) -> Vec<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    originals(&home.library()).into_iter().map(stem).collect()
}

fn sidecar(home: &Home, id: &str) -> PathBuf {
    let images = home.library().join("images");
    images.join(format!("{}/{}/{id}.json", &id[..2], &id[2..4]))
}

/// As the screen shows it: 1 234.
fn spaced(number: u32) -> String {
    let digits = number.to_string();
    match digits.len() {
        0..=3 => digits,
        n => format!("{} {}", &digits[..n - 3], &digits[n - 3..]),
    }
}
