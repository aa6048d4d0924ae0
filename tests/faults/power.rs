//! The power goes: from one run of a command all states are made that a disk may be
//! in afterwards, and each is looked at.
//!
//! The model is a journaling file system at its least generous: what was written is
//! there for certain only once its file was synced, and a name only once its folder
//! was; until then each write and each change of a name may be there or not, alone
//! or all of them, and a write may be there in part or as zeros. A rename is there
//! as a whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    fs::File,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use super::{
    scenario::{self, Scenario, every_scenario},
    scene::{Scene, has_recover, is_long, report},
    snapshot::differences,
    trace::{self, Call, Effect},
};

/// A file or folder, whatever its name is.
type Node = usize;

/// Something that happened to the disk, in order.
#[derive(Debug)]
enum Event {
    Write {
        node: Node,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        node: Node,
        length: usize,
    },
    /// Names that are given or taken away together.
    Names(Vec<(Node, String, Option<Node>)>),
    Sync(Node),
    /// The program told its user something.
    Said,
}

struct Kept {
    bytes: Vec<u8>,
    is_folder: bool,
    modified: Option<SystemTime>,
    /// Whether it belongs to the index.
    is_derived: bool,
}

/// A run as events, and the disk before them.
struct Disk {
    nodes: Vec<Kept>,
    names: BTreeMap<(Node, String), Node>,
    events: Vec<Event>,
}

/// The state of a disk: every name with what it leads to, every file's content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    names: BTreeMap<(Node, String), Node>,
    files: BTreeMap<Node, Vec<u8>>,
}

/// What happens to the writes that were not synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    There,
    Lost,
    /// The file has its length, and zeros.
    Zeros,
    /// The first half of each write.
    Half,
    /// Every other write.
    Alternate,
    LostOf(Node),
}

/// Which of the names that were not synced are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    All,
    None,
    AllBut(usize),
    Only(usize),
}

impl Disk {
    /// Reads the home as it was before the command, and what the command did.
    fn new(before: &Path, home: &Path, calls: &[Call]) -> Self {
        let mut disk = Self {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            events: Vec::new(),
        };
        let mut paths = BTreeMap::new();
        disk.load(before, home, &mut paths);
        let mut reader = Reader {
            disk: &mut disk,
            home,
            paths,
            open: BTreeMap::new(),
        };
        for call in calls {
            reader.read(call);
        }
        let paths = reader.paths;
        for (path, node) in paths {
            // The index knows a file by its time; what was written has that of the run.
            if let Ok(metadata) = fs::symlink_metadata(&path) {
                disk.nodes[node].modified = metadata.modified().ok();
            }
        }
        disk
    }

    fn load(&mut self, from: &Path, path: &Path, paths: &mut BTreeMap<PathBuf, Node>) -> Node {
        let metadata = fs::symlink_metadata(from).unwrap();
        let node = self.nodes.len();
        self.nodes.push(Kept {
            bytes: if metadata.is_file() {
                fs::read(from).unwrap()
            } else {
                Vec::new()
            },
            is_folder: metadata.is_dir(),
            modified: metadata.modified().ok(),
            is_derived: is_derived(path),
        });
        paths.insert(path.to_owned(), node);
        if metadata.is_dir() {
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let child = self.load(&entry.path(), &path.join(&name), paths);
                self.names.insert((node, name), child);
            }
        }
        node
    }

    /// The state after the first `cut` events.
    fn state(&self, cut: usize, data: Unsynced, which: Names) -> State {
        let mut files: BTreeMap<Node, Vec<u8>> = BTreeMap::new();
        let mut names = self.names.clone();
        for (node, kept) in self.nodes.iter().enumerate() {
            if !kept.is_folder {
                files.insert(node, kept.bytes.clone());
            }
        }
        let unsynced = self.unsynced_names(cut);
        for (at, event) in self.events[..cut].iter().enumerate() {
            match event {
                Event::Write {
                    node,
                    at: start,
                    bytes,
                } => {
                    let file = files.get_mut(node).unwrap();
                    let is_synced = self.is_synced(*node, at, cut);
                    let how = if is_synced { Unsynced::There } else { data };
                    let end = start + bytes.len();
                    let (bytes, end) = match how {
                        Unsynced::There => (bytes.clone(), end),
                        Unsynced::LostOf(lost) if lost != *node => (bytes.clone(), end),
                        Unsynced::Alternate if at % 2 == 0 => (bytes.clone(), end),
                        Unsynced::Lost | Unsynced::LostOf(_) | Unsynced::Alternate => continue,
                        Unsynced::Zeros => (vec![0; bytes.len()], end),
                        Unsynced::Half => {
                            let half = bytes.len() / 2;
                            (bytes[..half].to_vec(), start + half)
                        }
                    };
                    if file.len() < end {
                        file.resize(end, 0);
                    }
                    file[*start..end].copy_from_slice(&bytes);
                }
                Event::Truncate { node, length } => {
                    if self.is_synced(*node, at, cut) || data != Unsynced::Lost {
                        files.get_mut(node).unwrap().resize(*length, 0);
                    }
                }
                Event::Names(changes) => {
                    let is_there = !unsynced.contains(&at)
                        || match which {
                            Names::All => true,
                            Names::None => false,
                            Names::AllBut(lost) => lost != at,
                            Names::Only(kept) => kept == at,
                        };
                    if !is_there {
                        continue;
                    }
                    for (folder, name, node) in changes {
                        let key = (*folder, name.clone());
                        match node {
                            Some(node) => names.insert(key, *node),
                            None => names.remove(&key),
                        };
                    }
                }
                Event::Sync(_) | Event::Said => {}
            }
        }
        let mut state = State { names, files };
        state.forget_unreachable(&self.nodes);
        state
    }

    fn is_synced(&self, node: Node, at: usize, cut: usize) -> bool {
        self.events[at..cut]
            .iter()
            .any(|event| matches!(event, Event::Sync(synced) if *synced == node))
    }

    /// The changes of names before `cut` that need not be there.
    fn unsynced_names(&self, cut: usize) -> BTreeSet<usize> {
        let events = self.events[..cut].iter().enumerate();
        let unsynced = events.filter(|(at, event)| match event {
            Event::Names(changes) => changes
                .iter()
                .any(|(folder, ..)| !self.is_synced(*folder, *at, cut)),
            _ => false,
        });
        unsynced.map(|(at, _)| at).collect()
    }

    /// The files with writes before `cut` that need not be there.
    fn unsynced_files(&self, cut: usize) -> BTreeSet<Node> {
        let events = self.events[..cut].iter().enumerate();
        let unsynced = events.filter_map(|(at, event)| match event {
            Event::Write { node, .. } if !self.is_synced(*node, at, cut) => Some(*node),
            _ => None,
        });
        unsynced.collect()
    }

    /// All different states a power cut can leave, with where it was.
    fn states(&self) -> Vec<(usize, State)> {
        let mut seen = BTreeSet::new();
        let mut states = Vec::new();
        for cut in 0..=self.events.len() {
            if self.is_amid_index_writes(cut) {
                continue;
            }
            let mut add = |data, names| {
                let state = self.state(cut, data, names);
                // The same state before and after the user was told is two cases.
                if seen.insert((self.is_acknowledged(cut), digest(&state))) {
                    states.push((cut, state));
                }
            };
            for data in [
                Unsynced::There,
                Unsynced::Lost,
                Unsynced::Zeros,
                Unsynced::Half,
                Unsynced::Alternate,
            ] {
                for names in [Names::All, Names::None] {
                    add(data, names);
                }
            }
            for at in self.unsynced_names(cut) {
                for data in [Unsynced::There, Unsynced::Lost] {
                    add(data, Names::AllBut(at));
                    add(data, Names::Only(at));
                }
            }
            for node in self.unsynced_files(cut) {
                add(Unsynced::LostOf(node), Names::All);
            }
        }
        states
    }

    /// Between two pages of the index there is nothing new to see.
    fn is_amid_index_writes(&self, cut: usize) -> bool {
        let is_page = |event: Option<&Event>| matches!(event, Some(Event::Write { node, .. }) if self.nodes[*node].is_derived);
        cut > 0 && is_page(self.events.get(cut - 1)) && is_page(self.events.get(cut))
    }

    /// Whether the user had been told, before the cut, that all is done.
    fn is_acknowledged(&self, cut: usize) -> bool {
        let last_own = self.events.iter().rposition(|event| match event {
            Event::Write { node, .. } | Event::Truncate { node, .. } => {
                !self.nodes[*node].is_derived
            }
            Event::Names(changes) => changes
                .iter()
                .any(|(_, name, _)| !name.starts_with("library.")),
            Event::Sync(_) | Event::Said => false,
        });
        let from = last_own.map_or(0, |at| at + 1);
        let said = self.events[from..]
            .iter()
            .position(|event| matches!(event, Event::Said));
        said.map_or(cut == self.events.len(), |said| cut > from + said)
    }

    /// Makes a home of a state.
    fn build(&self, state: &State, home: &Path) {
        for entry in fs::read_dir(home).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        self.build_folder(state, 0, home);
    }

    fn build_folder(&self, state: &State, folder: Node, path: &Path) {
        for ((_, name), node) in state
            .names
            .range((folder, String::new())..(folder + 1, String::new()))
        {
            let path = path.join(name);
            let kept = &self.nodes[*node];
            if kept.is_folder {
                fs::create_dir(&path).unwrap();
                self.build_folder(state, *node, &path);
                continue;
            }
            // Shared memory does not outlive a power cut.
            if name.ends_with("-shm") {
                continue;
            }
            crate::support::write_bytes(&path, &state.files[node]);
            if let Some(modified) = kept.modified {
                File::options()
                    .append(true)
                    .open(&path)
                    .and_then(|file| file.set_modified(modified))
                    .unwrap();
            }
        }
    }
}

impl State {
    fn forget_unreachable(&mut self, nodes: &[Kept]) {
        let mut reached = BTreeSet::from([0]);
        let mut folders = vec![0];
        while let Some(folder) = folders.pop() {
            let below = self
                .names
                .range((folder, String::new())..(folder + 1, String::new()));
            for node in below.map(|(_, node)| *node) {
                if reached.insert(node) && nodes[node].is_folder {
                    folders.push(node);
                }
            }
        }
        self.names.retain(|(folder, _), _| reached.contains(folder));
        self.files.retain(|node, _| reached.contains(node));
    }
}

fn digest(state: &State) -> [u8; 16] {
    let mut context = md5::Context::new();
    for ((folder, name), node) in &state.names {
        context.consume(format!("{folder}/{name}:{node};"));
    }
    for (node, bytes) in &state.files {
        context.consume(format!("{node}:{};", bytes.len()));
        context.consume(bytes);
    }
    context.finalize().0
}

fn is_derived(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("library.db") || name.starts_with("library.v1.db")
}

/// Turns calls into events.
struct Reader<'d> {
    disk: &'d mut Disk,
    home: &'d Path,
    /// Where everything is in the running system.
    paths: BTreeMap<PathBuf, Node>,
    /// Open files with the place of the next write; `None` appends.
    open: BTreeMap<u32, (Node, Option<usize>)>,
}

impl Reader<'_> {
    fn read(&mut self, call: &Call) {
        let (arguments, result) = call.text.rsplit_once(" = ").unwrap_or((&call.text, ""));
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let strings = strings(arguments);
        if matches!(call.name.as_str(), "write" | "writev")
            && (arguments.starts_with("1<") || arguments.starts_with("2<"))
        {
            self.disk.events.push(Event::Said);
            return;
        }
        if matches!(call.name.as_str(), "open" | "openat") {
            self.open(arguments, &strings, result);
            return;
        }
        let Some(effect) = call.effect(self.home) else {
            return;
        };
        let path = |at: usize| {
            let text = String::from_utf8(strings[at].clone()).unwrap();
            self.home.join(text)
        };
        match effect {
            Effect::Open | Effect::Attributes | Effect::Lock => {}
            Effect::Write => self.write(&call.name, arguments, &strings),
            Effect::Truncate => {
                assert_eq!(call.name, "ftruncate", "{call:?}");
                if let Some((node, _)) = self.descriptor(arguments) {
                    let length = last_number(arguments);
                    self.disk.events.push(Event::Truncate { node, length });
                }
            }
            Effect::Sync => {
                if let Some((node, _)) = self.descriptor(arguments) {
                    self.disk.events.push(Event::Sync(node));
                }
            }
            Effect::Rename => {
                let (from, to) = (path(0), path(1));
                if let Some(node) = self.paths.remove(&from) {
                    self.paths.insert(to.clone(), node);
                    let mut changes = self.change(&from, None);
                    changes.extend(self.change(&to, Some(node)));
                    self.disk.events.push(Event::Names(changes));
                }
            }
            Effect::Link => {
                let (from, to) = (path(0), path(1));
                let node = self.paths[&from];
                self.paths.insert(to.clone(), node);
                let changes = self.change(&to, Some(node));
                self.disk.events.push(Event::Names(changes));
            }
            Effect::Unlink => {
                let path = path(0);
                if self.paths.remove(&path).is_some() {
                    let changes = self.change(&path, None);
                    self.disk.events.push(Event::Names(changes));
                }
            }
            Effect::MakeFolder => {
                let path = path(0);
                self.make(&path, true);
            }
        }
    }

    fn open(&mut self, arguments: &str, strings: &[Vec<u8>], result: &str) {
        let descriptor: u32 = number(result);
        let path = self
            .home
            .join(String::from_utf8_lossy(&strings[0]).as_ref());
        self.open.remove(&descriptor);
        if !path.starts_with(self.home) || is_ignored(self.home, &path) {
            return;
        }
        let node = match self.paths.get(&path) {
            Some(node) => *node,
            None if arguments.contains("O_CREAT") => self.make(&path, false),
            None => return,
        };
        if arguments.contains("O_TRUNC") && !self.disk.nodes[node].is_folder {
            self.disk.events.push(Event::Truncate { node, length: 0 });
        }
        let start = (!arguments.contains("O_APPEND")).then_some(0);
        self.open.insert(descriptor, (node, start));
    }

    fn write(&mut self, name: &str, arguments: &str, strings: &[Vec<u8>]) {
        let Some((node, next)) = self.descriptor(arguments) else {
            return;
        };
        let bytes = strings[0].clone();
        let at = match (name, next) {
            ("pwrite64", _) => last_number(arguments),
            ("write", Some(next)) => next,
            ("write", None) => self.length(node),
            _ => panic!("the model does not know {name}({arguments}"),
        };
        if name == "write" && next.is_some() {
            self.open
                .insert(number(arguments), (node, Some(at + bytes.len())));
        }
        self.disk.events.push(Event::Write { node, at, bytes });
    }

    /// The length of a file after all that has happened.
    fn length(&self, node: Node) -> usize {
        let mut length = self.disk.nodes[node].bytes.len();
        for event in &self.disk.events {
            match event {
                Event::Write {
                    node: of,
                    at,
                    bytes,
                } if *of == node => {
                    length = length.max(at + bytes.len());
                }
                Event::Truncate {
                    node: of,
                    length: to,
                } if *of == node => length = *to,
                _ => {}
            }
        }
        length
    }

    fn descriptor(&self, arguments: &str) -> Option<(Node, Option<usize>)> {
        self.open.get(&number::<u32>(arguments)).copied()
    }

    fn make(&mut self, path: &Path, is_folder: bool) -> Node {
        let node = self.disk.nodes.len();
        self.disk.nodes.push(Kept {
            bytes: Vec::new(),
            is_folder,
            modified: None,
            is_derived: is_derived(path),
        });
        self.paths.insert(path.to_owned(), node);
        let changes = self.change(path, Some(node));
        self.disk.events.push(Event::Names(changes));
        node
    }

    fn change(&self, path: &Path, node: Option<Node>) -> Vec<(Node, String, Option<Node>)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match self.paths.get(path.parent().unwrap()) {
            Some(folder) => vec![(*folder, name, node)],
            None => Vec::new(),
        }
    }
}

/// What may be gone after a power cut without anybody missing it.
fn is_ignored(home: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(home).unwrap().to_str().unwrap();
    ["cache", "state", "library/cache", "library/.tagloupe/cache"]
        .iter()
        .any(|folder| below.starts_with(&format!("{folder}/")))
}

/// The number at the start of a text: a descriptor with its path behind it.
fn number<N: std::str::FromStr>(text: &str) -> N
where
    N::Err: std::fmt::Debug,
{
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().unwrap()
}

/// The last argument.
fn last_number(arguments: &str) -> usize {
    let last = arguments
        .trim_end()
        .trim_end_matches(')')
        .rsplit(", ")
        .next();
    number(last.unwrap())
}

/// The quoted strings among the arguments, unescaped.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let mut bytes = arguments.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            continue;
        }
        let mut string = Vec::new();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => match bytes.next().unwrap() {
                    b'n' => string.push(b'\n'),
                    b't' => string.push(b'\t'),
                    b'r' => string.push(b'\r'),
                    b'v' => string.push(0x0b),
                    b'f' => string.push(0x0c),
                    digit @ b'0'..=b'7' => {
                        let mut value = u32::from(digit - b'0');
                        for _ in 0..2 {
                            match bytes.peek() {
                                Some(digit @ b'0'..=b'7') => {
                                    value = value * 8 + u32::from(digit - b'0');
                                    bytes.next();
                                }
                                _ => break,
                            }
                        }
                        string.push(u8::try_from(value).unwrap());
                    }
                    other => string.push(other),
                },
                other => string.push(other),
            }
        }
        strings.push(string);
    }
    strings
}

#[track_caller]
fn cut_everywhere(scenario: &'static Scenario) {
    if !trace::can_trace() || (scenario.needs_recovery && !has_recover()) {
        return;
    }
    let started = Instant::now();
    let scene = Scene::new(scenario);
    scene.reset();
    // Whole contents this time.
    let switches = ["-s", "16777216"];
    let (ended, calls) = trace::record(&scene.command(), &scene.log(), &switches);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let home = scene.home.path();
    let disk = Disk::new(&scene.template(), home, &calls);
    let done = disk.state(disk.events.len(), Unsynced::There, Names::All);
    disk.build(&done, home);
    let wrong = differences(&scene.snapshot(), &scene.after, &scene.after, true);
    assert!(wrong.is_empty(), "the model is wrong: {wrong:?}");

    let all = disk.states();
    let count = all.len();
    let limit = if is_long() { 2_000 } else { scenario.sample };
    let states = trace::spread(all, limit);
    let (checked, mut wrong) = (states.len(), Vec::new());
    for (cut, state) in states {
        disk.build(&state, home);
        let acknowledged = disk.is_acknowledged(cut);
        let problems = scene.problems_after_power_cut(acknowledged);
        if !problems.is_empty() {
            let last = cut.checked_sub(1).map(|last| &disk.events[last]);
            wrong.push(format!(
                "after {cut} events, acknowledged: {acknowledged}, the last {:.200}:\n  {}",
                format!("{last:?}"),
                problems.join("\n  ")
            ));
        }
    }
    report(&format!(
        "powered off {}: {checked} of {count} states, {} bad, {:.1} s",
        scenario.name,
        wrong.len(),
        started.elapsed().as_secs_f64()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 5, "{checked} states");
}

every_scenario! {
    cut_everywhere;
    tagging_five_pictures: TAG_FIVE;
}
