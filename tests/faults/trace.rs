//! System calls of the real program, by `strace`: all calls of a run in order, and
//! runs in which one call is the last one or fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::support::program;

/// One system call of a run.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// Everything behind the name, files in angle brackets behind their numbers.
    pub text: String,
    /// Which call of this name by this thread it is, from 1: as strace counts.
    pub nth: usize,
}

/// What a call does to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Opens a file for writing, which may make it.
    Open,
    Write,
    Sync,
    Rename,
    Link,
    Unlink,
    MakeFolder,
    Truncate,
    /// Mode and times of a file.
    Attributes,
    Lock,
}

impl Call {
    /// What it does to a file below `home`; `None` for any other call.
    pub fn effect(&self, home: &Path) -> Option<Effect> {
        let effect = match self.name.as_str() {
            "open" | "openat" | "creat" => {
                let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
                let is_written = writes.iter().any(|flag| self.text.contains(flag));
                (is_written || self.name == "creat").then_some(Effect::Open)?
            }
            "write" | "writev" | "pwrite64" | "pwritev" | "copy_file_range" | "sendfile" => {
                Effect::Write
            }
            "fsync" | "fdatasync" | "sync_file_range" => Effect::Sync,
            "rename" | "renameat" | "renameat2" => Effect::Rename,
            "link" | "linkat" | "symlink" | "symlinkat" => Effect::Link,
            "unlink" | "unlinkat" | "rmdir" => Effect::Unlink,
            "mkdir" | "mkdirat" => Effect::MakeFolder,
            "ftruncate" | "truncate" | "fallocate" => Effect::Truncate,
            "chmod" | "fchmod" | "fchmodat" | "utimensat" | "futimens" => Effect::Attributes,
            "flock" => Effect::Lock,
            _ => return None,
        };
        let home = home.to_str().unwrap();
        // The folder a path is relative to is the home in every call.
        let at_home = format!("AT_FDCWD<{home}>");
        self.text
            .replace(&at_home, "")
            .contains(home)
            .then_some(effect)
    }

    /// Whether it is about the index, which can be made again, or about a cache.
    pub fn is_derived(&self) -> bool {
        ["/library.db", "/cache/", "/state/"]
            .iter()
            .any(|part| self.text.contains(part))
    }
}

/// A place in a run where the fault is put: the `nth` call of this name by the
/// thread that gets there first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub call: String,
    pub nth: usize,
    /// For people: the call as it was in the traced run.
    pub what: String,
    pub is_derived: bool,
}

/// Whether this machine lets a program be traced; says so once when it does not.
pub fn can_trace() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let traced = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=none", "-o", "/dev/null", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let can = traced.is_ok_and(|status| status.success());
        if !can {
            println!("strace cannot trace here: named crash points take its place");
        }
        can
    })
}

/// How a traced run ended.
pub struct Ended {
    pub code: Option<i32>,
    pub was_killed: bool,
    pub stderr: String,
    /// The fault hit what the program had to say: points are counted in each thread,
    /// so one of another thread may be a write to standard error.
    pub is_gagged: bool,
}

/// Puts strace with these switches in front of a command.
fn traced(command: &Command, switches: &[String], log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-y", "-o"])
        .arg(log)
        .args(switches)
        .arg("--")
        .arg(program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        strace.current_dir(folder);
    }
    strace
}

fn run(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        was_killed: output.status.signal() == Some(9),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        is_gagged: false,
    }
}

/// Runs a command to its end and returns all its system calls.
pub fn record(command: &Command, log: &Path, switches: &[&str]) -> (Ended, Vec<Call>) {
    let switches: Vec<String> = switches.iter().map(|&switch| switch.to_owned()).collect();
    let ended = run(traced(command, &switches, log));
    let text = fs::read_to_string(log).unwrap();
    fs::remove_file(log).unwrap();
    (ended, parse(&text))
}

/// A command in which the call at this point gets a fault: `signal=SIGKILL`,
/// `error=EIO`.
pub fn injected(command: &Command, log: &Path, point: &Point, fault: &str) -> Command {
    let trace = format!("-etrace={}", point.call);
    let inject = format!("-einject={}:{fault}:when={}", point.call, point.nth);
    traced(command, &[trace, inject], log)
}

/// Runs such a command to its end.
pub fn inject(command: &Command, log: &Path, point: &Point, fault: &str) -> Ended {
    let mut ended = run(injected(command, log, point, fault));
    // A run that was killed early enough wrote no log.
    let text = fs::read_to_string(log).unwrap_or_default();
    ended.is_gagged = text
        .lines()
        .any(|line| line.contains(" write(2<") && line.ends_with("(INJECTED)"));
    let _ = fs::remove_file(log);
    ended
}

/// The calls in a log, each where it began.
fn parse(text: &str) -> Vec<Call> {
    let mut counts: BTreeMap<(u32, String), usize> = BTreeMap::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: BTreeMap<u32, usize> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let (Ok(thread), rest) = (thread.parse::<u32>(), rest.trim_start()) else {
            continue;
        };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let end = resumed.split_once(" resumed>").map_or("", |(_, end)| end);
            if let Some(at) = unfinished.remove(&thread) {
                calls[at].text.push_str(end);
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let nth = counts.entry((thread, name.to_owned())).or_default();
        *nth += 1;
        let text = match arguments.split_once(" <unfinished ...>") {
            Some((begun, _)) => {
                unfinished.insert(thread, calls.len());
                begun
            }
            None => arguments,
        };
        calls.push(Call {
            name: name.to_owned(),
            text: text.to_owned(),
            nth: *nth,
        });
    }
    calls
}

/// The points of a run in which each of its effects is the first one that does not
/// happen, as far as strace can name them, and how many it cannot: it counts per
/// thread, so the third sync of one thread hides behind the third sync of an
/// earlier one. Any other call just before does as well.
pub fn kill_points(calls: &[Call], home: &Path) -> (Vec<Point>, usize) {
    let mut seen = BTreeSet::new();
    let mut before: Option<&Call> = None;
    let mut points = Vec::new();
    let mut hidden = 0;
    for call in calls {
        let is_first = seen.insert((call.name.clone(), call.nth));
        if call.effect(home).is_none() {
            // How often a lock or the scheduler is asked differs from run to run.
            let is_steady = !matches!(
                call.name.as_str(),
                "futex" | "sched_yield" | "madvise" | "munmap" | "execve" | "read" | "epoll_wait"
            );
            if is_first && is_steady {
                before = Some(call);
            }
            continue;
        }
        let at = if is_first { Some(call) } else { before };
        match at {
            Some(at) => points.push(Point {
                call: at.name.clone(),
                nth: at.nth,
                what: format!("{}({}", call.name, shorten(&call.text)),
                is_derived: call.is_derived(),
            }),
            None => hidden += 1,
        }
        before = None;
    }
    (points, hidden)
}

/// The points at which calls with these effects can be made to fail.
pub fn error_points(calls: &[Call], home: &Path, wanted: &[Effect]) -> Vec<Point> {
    let mut seen = BTreeSet::new();
    let mut points = Vec::new();
    for call in calls {
        let is_first = seen.insert((call.name.clone(), call.nth));
        let is_wanted = call
            .effect(home)
            .is_some_and(|effect| wanted.contains(&effect));
        // One that fails anyway, such as making a folder that is there, says nothing.
        if is_first && is_wanted && !call.text.contains(" = -1 ") {
            points.push(Point {
                call: call.name.clone(),
                nth: call.nth,
                what: format!("{}({}", call.name, shorten(&call.text)),
                is_derived: call.is_derived(),
            });
        }
    }
    points
}

fn shorten(text: &str) -> String {
    text.chars().take(300).collect()
}

/// An even sample of at most `limit` points, three of four of them about what
/// cannot be made again.
pub fn sample(points: Vec<Point>, limit: usize) -> Vec<Point> {
    if points.len() <= limit {
        return points;
    }
    let (derived, own): (Vec<Point>, Vec<Point>) =
        points.into_iter().partition(|point| point.is_derived);
    let for_derived = (limit / 4)
        .max(limit.saturating_sub(own.len()))
        .min(derived.len());
    let mut sample = spread(own, limit - for_derived);
    sample.extend(spread(derived, for_derived));
    sample
}

/// An even sample of at most `limit`.
pub fn spread<T>(all: Vec<T>, limit: usize) -> Vec<T> {
    let (count, limit) = (all.len(), limit.min(all.len()));
    all.into_iter()
        .enumerate()
        .filter(|(at, _)| (at * limit) / count != ((at + 1) * limit) / count)
        .map(|(_, one)| one)
        .collect()
}
