//! Several processes on one library: none stores a picture twice, none loses what
//! another one wrote, and one that dies is in nobody's way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    editor::{edit_like_an_editor, tags_of},
    scenario::{incoming, library},
    scene::{has_recover, is_long, report, scratch},
    trace,
};
use crate::support::{Home, files_below, originals};

/// How long anything may take before a test gives up: long, for slow machines.
const LIMIT: Duration = Duration::from_secs(90);

/// A program that runs beside the test; it ends with it.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command on the library of a home.
fn on(home: &Home, arguments: &[&str]) -> Command {
    let library = home.library();
    let mut all = vec!["--library", library.to_str().unwrap()];
    all.extend(arguments);
    home.command(&all)
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// The sidecars of a managed library by the ids of their media.
fn sidecars(home: &Home) -> BTreeMap<String, PathBuf> {
    let images = home.library().join("images");
    let files = files_below(&images).into_iter();
    let sidecars = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
    sidecars
        .map(|path| {
            let id = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (id, images.join(path))
        })
        .collect()
}

/// That the library is whole: index, files, locks.
#[track_caller]
fn assert_whole(home: &Home) {
    if has_recover() {
        home.on_library(&["recover"]).expect(0);
    }
    // What an editor wrote is seen by a look at the files.
    home.on_library(&["rebuild"]).expect(0);
    home.on_library(&["verify"]).expect(0);
    let index = home.on_library(&["search", "--json"]).expect(0).text();
    for name in ["library.db", "library.db-wal", "library.db-shm"] {
        // Only the first of them is always there.
        let _ = fs::remove_file(home.library().join(name));
    }
    let rebuilt = home.on_library(&["search", "--json"]).expect(0).text();
    assert_eq!(index, rebuilt, "the index and the files");
}

#[test]
fn many_at_once_store_once_and_lose_nothing() {
    let started = Instant::now();
    let (processes, fresh, edits) = if is_long() {
        (8, 500, 150)
    } else {
        (4, 24, 12)
    };
    let home = Home::new_in(&scratch());
    library(&home, 12);
    // Half of what comes in has a twin of another name.
    for seed in 0..fresh {
        let seed = u32::try_from(seed).unwrap() + 1_000;
        incoming(&home, &format!("source/{seed}.png"), seed);
        incoming(&home, &format!("source/again/{seed}-twin.png"), seed);
    }
    let locks_before: BTreeSet<_> = files_below(&home.library().join("locks"))
        .into_iter()
        .collect();
    let known: Vec<String> = sidecars(&home).into_keys().collect();
    // Two editors that do not know each other's locks cannot share a file.
    let (for_tags, for_editor) = known.split_at(8);
    let all_sidecars = sidecars(&home);
    let is_over = AtomicBool::new(false);
    let (kills, acknowledged) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let refused = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let ingests: Vec<_> = (0..processes)
            .map(|_| {
                scope.spawn(|| {
                    let output = on(&home, &["ingest", "source"]).output().unwrap();
                    assert!(
                        output.status.success(),
                        "{}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                })
            })
            .collect();
        let taggers: Vec<_> = (0..2_u64)
            .map(|tagger| {
                let (home, acknowledged, refused) = (&home, &acknowledged, &refused);
                scope.spawn(move || {
                    let mut random = Random(0x9e37_79b9 + tagger);
                    for edit in 0..edits {
                        let id = &for_tags[random.below(for_tags.len())];
                        let tag = format!("t{tagger}_{edit}");
                        let query = format!("id:{id}");
                        let output = on(home, &["tag", &query, &format!("+{tag}")])
                            .output()
                            .unwrap();
                        if output.status.success() {
                            acknowledged.lock().unwrap().push((id.clone(), tag));
                        } else {
                            let said = String::from_utf8_lossy(&output.stderr).into_owned();
                            refused.lock().unwrap().push(said);
                        }
                    }
                })
            })
            .collect();
        let editor = scope.spawn(|| {
            let mut random = Random(0xdead_beef);
            for edit in 0..edits {
                let id = &for_editor[random.below(for_editor.len())];
                let tag = format!("e_{edit}");
                edit_like_an_editor(&all_sidecars[id], &tag);
                acknowledged.lock().unwrap().push((id.clone(), tag));
            }
        });
        let killer = scope.spawn(|| {
            let mut random = Random(0xfeed);
            while !is_over.load(Ordering::SeqCst) {
                let query = format!("id:{}", for_tags[random.below(for_tags.len())]);
                let arguments: [&[&str]; 2] = [
                    &["ingest", "source"],
                    &["tag", &query, "+of_the_killed", "-of_the_killed"],
                ];
                let victim = Running::start(on(&home, arguments[random.below(2)]));
                // A moment at random, not one that is waited for.
                thread::park_timeout(Duration::from_millis(random.below(40) as u64));
                drop(victim);
                kills.fetch_add(1, Ordering::SeqCst);
            }
        });
        for thread in ingests.into_iter().chain(taggers).chain([editor]) {
            thread.join().unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        killer.join().unwrap();
    });
    let refused = refused.into_inner().unwrap();
    assert!(refused.is_empty(), "{refused:?}");

    assert_whole(&home);
    let stored = originals(&home.library());
    let md5s: BTreeSet<String> = stored
        .iter()
        .map(|path| {
            let bytes = fs::read(home.library().join("images").join(path)).unwrap();
            format!("{:x}", md5::compute(bytes))
        })
        .collect();
    assert_eq!((stored.len(), md5s.len()), (12 + fresh, 12 + fresh));
    let acknowledged = acknowledged.into_inner().unwrap();
    for (id, tag) in &acknowledged {
        assert!(tags_of(&all_sidecars[id]).contains(tag), "{id} lost {tag}");
    }
    let locks: BTreeSet<_> = files_below(&home.library().join("locks"))
        .into_iter()
        .collect();
    assert!(locks.is_superset(&locks_before), "lock files are gone");
    report(&format!(
        "in company: {processes} ingests of {} files, {} edits, {} kills, 0 bad, {:.1} s",
        2 * fresh,
        acknowledged.len(),
        kills.load(Ordering::SeqCst),
        started.elapsed().as_secs_f64()
    ));
}

#[test]
fn two_writers_of_one_picture_lose_nothing() {
    let started = Instant::now();
    let edits = if is_long() { 1_000 } else { 100 };
    let home = Home::new_in(&scratch());
    library(&home, 2);
    thread::scope(|scope| {
        for writer in 0..2 {
            let home = &home;
            scope.spawn(move || {
                for edit in 0..edits {
                    let tag = format!("+w{writer}_{edit}");
                    home.on_library(&["tag", "chosen", &tag]).expect(0);
                }
            });
        }
    });
    let chosen = home.on_library(&["search", "--ids", "chosen"]).expect(0);
    let tags = tags_of(&sidecars(&home)[chosen.text().trim()]);
    for writer in 0..2 {
        for edit in 0..edits {
            let tag = format!("w{writer}_{edit}");
            assert!(tags.contains(&tag), "{tag} is lost");
        }
    }
    assert_whole(&home);
    report(&format!(
        "in company: 2 writers of one picture, {edits} edits each, 0 lost, {:.1} s",
        started.elapsed().as_secs_f64()
    ));
}

/// Starts a command and stops it just before the first call of this name on a file
/// of ours that is being made, with whatever it holds at that moment.
struct Held {
    strace: Running,
    log: PathBuf,
}

impl Held {
    fn start(home: &Home, arguments: &[&str], point: &trace::Point) -> Self {
        let log = home.path().join("held.log");
        let command = trace::injected(&on(home, arguments), &log, point, "signal=SIGSTOP");
        let held = Self {
            strace: Running::start(command),
            log,
        };
        let deadline = Instant::now() + LIMIT;
        let is_stopped = || fs::read_to_string(&held.log).is_ok_and(|log| log.contains("SIGSTOP"));
        while !is_stopped() {
            assert!(Instant::now() < deadline, "it never came to {point:?}");
            // Nothing announces a line in a log: asked again and again.
            thread::park_timeout(Duration::from_millis(2));
        }
        held
    }

    /// The process itself.
    fn id(&self) -> rustix::process::Pid {
        let strace = self.strace.0.id();
        let list = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
        let id = list.split_whitespace().next().unwrap().parse().unwrap();
        rustix::process::Pid::from_raw(id).unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.id(), signal).unwrap();
    }

    fn code(mut self) -> Option<i32> {
        self.strace.0.wait().unwrap().code()
    }
}

/// The call with which `tag chosen …` puts its sidecar in place, or syncs it.
fn point_of_sidecar(home: &Home, name: &str, tag: &str) -> trace::Point {
    let command = on(home, &["tag", "chosen", tag]);
    let (ended, calls) = trace::record(&command, &home.path().join("calls.log"), &["-s", "16"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let points = trace::kill_points(&calls, home.path()).0;
    points
        .into_iter()
        .find(|point| {
            point.call.starts_with(name)
                && point.what.contains("/images/")
                && point.what.contains(".tagloupe-")
        })
        .expect("a sidecar is written")
}

#[test]
fn the_lock_of_a_killed_process_is_free() {
    if !trace::can_trace() {
        return;
    }
    let home = Home::new_in(&scratch());
    library(&home, 3);
    let point = point_of_sidecar(&home, "rename", "+first");
    let held = Held::start(&home, &["tag", "chosen", "+second"], &point);
    let next = thread::scope(|scope| {
        let next = scope.spawn(|| on(&home, &["tag", "chosen", "+third"]).output().unwrap());
        held.signal(rustix::process::Signal::KILL);
        next.join().unwrap()
    });
    assert!(
        next.status.success(),
        "{}",
        String::from_utf8_lossy(&next.stderr)
    );
    drop(held);
    assert_whole(&home);
    let chosen = home.on_library(&["search", "--ids", "chosen"]).expect(0);
    let tags = tags_of(&sidecars(&home)[chosen.text().trim()]);
    assert!(tags.contains("first") && tags.contains("third"), "{tags:?}");
}

#[test]
fn an_editor_that_saves_while_we_save_loses_nothing() {
    if !trace::can_trace() || !has_recover() {
        return;
    }
    let home = Home::new_in(&scratch());
    library(&home, 3);
    // The sidecar has been read, the new one is written and about to be synced.
    let point = point_of_sidecar(&home, "fsync", "+first");
    let chosen = home.on_library(&["search", "--ids", "chosen"]).expect(0);
    let sidecar = sidecars(&home)[chosen.text().trim()].clone();
    let held = Held::start(&home, &["tag", "chosen", "+ours"], &point);
    edit_like_an_editor(&sidecar, "of_the_editor");
    held.signal(rustix::process::Signal::CONT);
    assert_eq!(held.code(), Some(0));
    assert_whole(&home);
    let tags = tags_of(&sidecar);
    for tag in ["chosen", "first", "ours", "of_the_editor"] {
        assert!(tags.contains(tag), "{tag} is lost: {tags:?}");
    }
}
