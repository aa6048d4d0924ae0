//! What a watcher knows of the files in its folder: which are still moving, which
//! are at rest, which are in work, and which came back and stay where they are.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    super::{
        companion::{find, is_companion_name},
        ingest::{Walk, is_skipped_name},
    },
    WatchSettings,
};

/// Files that are kept an eye on at once; the rest waits in the folder unseen.
const MAX_CANDIDATES: usize = 4_096;

/// Files that came back and stay. With more of them something else is wrong than
/// the files, and no more are offered.
const MAX_RESTING: usize = 100_000;

/// How often files that move are looked at, at most.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How a file came to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Written, changed, removed, or whatever else.
    Written,
    /// Renamed into its place, so complete.
    Renamed,
    /// Seen when the folder was looked through.
    Found,
}

/// Size and time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

struct Candidate {
    stamp: Stamp,
    companions: Vec<(PathBuf, Stamp)>,
    noticed: Instant,
    /// Since when nothing about it has changed.
    since: Instant,
    is_renamed: bool,
}

pub(super) struct Desk {
    settings: WatchSettings,
    candidates: HashMap<PathBuf, Candidate>,
    ready: VecDeque<PathBuf>,
    /// All of `ready`, and what was offered and has not come back.
    taken: HashSet<PathBuf>,
    resting: HashMap<PathBuf, Stamp>,
    /// There was no room for some that are in the folder.
    has_missed: bool,
    checked: Option<Instant>,
}

/// Which folder this is: device and number, or `None` when it is no folder.
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = folder.metadata().ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

impl Desk {
    pub fn new(settings: WatchSettings) -> Self {
        Self {
            settings,
            candidates: HashMap::new(),
            ready: VecDeque::new(),
            taken: HashSet::new(),
            resting: HashMap::new(),
            has_missed: false,
            checked: None,
        }
    }

    /// Looks through the folder for what is not known yet.
    pub fn rescan(&mut self, now: Instant) {
        self.has_missed = false;
        self.resting
            .retain(|path, _| path.symlink_metadata().is_ok());
        let folder = self.settings.folder.clone();
        for path in Walk::new(&folder) {
            self.notice(path, Hint::Found, now);
            if self.has_missed {
                break;
            }
        }
    }

    /// Whether the folder holds more than was taken up and there is room again.
    pub fn has_room_for_more(&self) -> bool {
        self.has_missed && self.watched() < MAX_CANDIDATES / 2 && self.resting.len() < MAX_RESTING
    }

    fn watched(&self) -> usize {
        self.candidates.len() + self.ready.len()
    }

    /// Takes up a file that something happened to. True when it is a folder, which
    /// has to be looked through.
    pub fn notice(&mut self, path: PathBuf, hint: Hint, now: Instant) -> bool {
        let Ok(below) = path.strip_prefix(&self.settings.folder) else {
            return false;
        };
        if below
            .components()
            .any(|part| is_skipped_name(part.as_os_str()))
        {
            return false;
        }
        let metadata = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => return true,
            Ok(metadata) if metadata.is_file() => metadata,
            _ => {
                self.candidates.remove(&path);
                self.resting.remove(&path);
                return false;
            }
        };
        if self.taken.contains(&path) || path.file_name().is_none_or(is_companion_name) {
            return false;
        }
        let stamp = Stamp::new(&metadata);
        if self.resting.get(&path) == Some(&stamp) {
            return false;
        }
        if let Some(candidate) = self.candidates.get_mut(&path) {
            if candidate.stamp != stamp {
                candidate.stamp = stamp;
                candidate.since = now;
                candidate.is_renamed = false;
            }
            candidate.is_renamed |= hint == Hint::Renamed;
            return false;
        }
        if self.watched() >= MAX_CANDIDATES || self.resting.len() >= MAX_RESTING {
            self.has_missed = true;
            return false;
        }
        self.resting.remove(&path);
        if hint == Hint::Found && self.is_old(&metadata) {
            self.make_ready(path);
            return false;
        }
        let candidate = Candidate {
            stamp,
            companions: companions(&path),
            noticed: now,
            since: now,
            is_renamed: hint == Hint::Renamed,
        };
        self.candidates.insert(path, candidate);
        false
    }

    /// Whether nobody has written to a file for longer than any wait would be. A
    /// time in the future says nothing.
    fn is_old(&self, metadata: &Metadata) -> bool {
        let wait = self.settings.settle.max(self.settings.companion_grace);
        let age = (self.settings.clock)().saturating_sub(metadata.mtime());
        u64::try_from(age).is_ok_and(|age| age > wait.as_secs() + 1)
    }

    /// Sorts out which of the files that moved have come to rest.
    pub fn check(&mut self, now: Instant) {
        if self
            .checked
            .is_some_and(|checked| now < checked + self.check_interval())
        {
            return;
        }
        self.checked = Some(now);
        let mut at_rest = Vec::new();
        let settings = &self.settings;
        self.candidates.retain(|path, candidate| {
            if now < candidate.due(settings) {
                return true;
            }
            let Ok(metadata) = path.symlink_metadata() else {
                return false;
            };
            let (stamp, beside) = (Stamp::new(&metadata), companions(path));
            if stamp != candidate.stamp || beside != candidate.companions {
                candidate.is_renamed &= stamp == candidate.stamp;
                candidate.stamp = stamp;
                candidate.companions = beside;
                candidate.since = now;
                return true;
            }
            at_rest.push((candidate.noticed, path.clone()));
            false
        });
        at_rest.sort();
        for (_, path) in at_rest {
            self.make_ready(path);
        }
    }

    fn check_interval(&self) -> Duration {
        CHECK_INTERVAL.min(self.settings.settle / 2)
    }

    fn make_ready(&mut self, path: PathBuf) {
        self.taken.insert(path.clone());
        self.ready.push_back(path);
    }

    /// A file that is at rest, to be offered.
    pub fn next_ready(&mut self) -> Option<PathBuf> {
        self.ready.pop_front()
    }

    /// It was offered and there was no room.
    pub fn put_back(&mut self, path: PathBuf) {
        self.ready.push_front(path);
    }

    /// An offered file came back: gone, or to be tried again, or to stay.
    pub fn ended(&mut self, path: PathBuf, again: bool, now: Instant) {
        self.taken.remove(&path);
        let Ok(metadata) = path.symlink_metadata() else {
            return;
        };
        if again {
            self.notice(path, Hint::Written, now);
        } else {
            self.resting.insert(path, Stamp::new(&metadata));
        }
    }

    /// When to look again, if nothing happens before.
    pub fn wake_at(&self, now: Instant, offer_interval: Duration) -> Option<Instant> {
        let due = self
            .candidates
            .values()
            .map(|candidate| candidate.due(&self.settings))
            .min()
            .map(|due| due.max(now + self.check_interval()));
        let offer = (!self.ready.is_empty()).then(|| now + offer_interval);
        [due, offer].into_iter().flatten().min()
    }
}

impl Candidate {
    /// When it will be at rest if nothing changes.
    fn due(&self, settings: &WatchSettings) -> Instant {
        let settle = if self.is_renamed {
            settings.settle_renamed
        } else {
            settings.settle
        };
        let rest = self.since + settle;
        if self.companions.is_empty() {
            rest.max(self.noticed + settings.companion_grace)
        } else {
            rest
        }
    }
}

/// The companions that are there, with their stamps.
fn companions(path: &Path) -> Vec<(PathBuf, Stamp)> {
    find(path)
        .into_iter()
        .filter_map(|path| {
            let stamp = Stamp::new(&path.symlink_metadata().ok()?);
            Some((path, stamp))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Folder {
        dir: tempfile::TempDir,
        desk: Desk,
        start: Instant,
    }

    impl Folder {
        /// Files are new whatever the machine's clock says.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let settings = WatchSettings {
                clock: || 0,
                ..WatchSettings::new(dir.path().to_owned())
            };
            Self {
                dir,
                desk: Desk::new(settings),
                start: Instant::now(),
            }
        }

        fn put(&self, name: &str, bytes: u64) -> PathBuf {
            let path = self.dir.path().join(name);
            File::create(&path).unwrap().set_len(bytes).unwrap();
            path
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        fn ready(&mut self, seconds: f64) -> Option<PathBuf> {
            let now = self.at(seconds);
            self.desk.check(now);
            self.desk.next_ready()
        }
    }

    #[test]
    fn a_file_is_ready_when_size_and_time_rest_and_its_companions_had_time() {
        let mut folder = Folder::new();
        let path = folder.put("a.png", 1);
        folder
            .desk
            .notice(path.clone(), Hint::Written, folder.at(0.0));
        assert_eq!(folder.ready(1.9), None);
        folder.put("a.png", 2);
        assert_eq!(folder.ready(3.1), None, "it grew meanwhile");
        assert_eq!(folder.ready(5.0), None);
        assert_eq!(folder.ready(5.2), Some(path));
    }

    #[test]
    fn a_renamed_file_with_its_companion_is_ready_soon() {
        let mut folder = Folder::new();
        let path = folder.put("a.png", 1);
        folder.put("a.png.json", 1);
        folder
            .desk
            .notice(path.clone(), Hint::Renamed, folder.at(0.0));
        assert_eq!(folder.ready(0.1), None);
        assert_eq!(folder.ready(0.3), Some(path));
    }

    #[test]
    fn a_companion_that_still_grows_holds_its_picture_back() {
        let mut folder = Folder::new();
        let path = folder.put("a.png", 1);
        folder.put("a.png.json", 1);
        folder
            .desk
            .notice(path.clone(), Hint::Written, folder.at(0.0));
        folder.put("a.png.json", 2);
        assert_eq!(folder.ready(2.1), None);
        assert_eq!(folder.ready(4.2), Some(path));
    }

    #[test]
    fn what_is_in_work_or_came_back_is_not_offered_until_it_changes() {
        let mut folder = Folder::new();
        let path = folder.put("a.png", 1);
        let now = folder.at(0.0);
        folder.desk.notice(path.clone(), Hint::Written, now);
        assert_eq!(folder.ready(3.1), Some(path.clone()));
        folder.desk.rescan(folder.at(4.0));
        assert_eq!(folder.ready(9.0), None, "in work");
        folder.desk.ended(path.clone(), false, folder.at(9.0));
        folder.desk.rescan(folder.at(9.0));
        assert_eq!(folder.ready(15.0), None, "failed and unchanged");
        folder.put("a.png", 2);
        folder.desk.rescan(folder.at(15.0));
        assert_eq!(folder.ready(19.0), Some(path.clone()));
        folder.desk.ended(path.clone(), true, folder.at(19.0));
        assert_eq!(folder.ready(23.0), Some(path), "asked to wait");
    }

    #[test]
    fn what_does_not_fit_is_found_again_when_there_is_room() {
        let mut folder = Folder::new();
        for n in 0..MAX_CANDIDATES + 10 {
            folder.put(&format!("{n}.png"), 0);
        }
        folder.desk.rescan(folder.at(0.0));
        assert!(folder.desk.has_missed && !folder.desk.has_room_for_more());
        let mut offered = HashSet::new();
        for round in 1..4 {
            let now = folder.start + SECOND * 10 * round;
            folder.desk.check(now);
            while let Some(path) = folder.desk.next_ready() {
                fs::remove_file(&path).unwrap();
                folder.desk.ended(path.clone(), false, now);
                assert!(offered.insert(path));
            }
            if folder.desk.has_room_for_more() {
                folder.desk.rescan(now);
            }
        }
        assert_eq!(offered.len(), MAX_CANDIDATES + 10);
        assert!(folder.desk.resting.is_empty() && folder.desk.taken.is_empty());
    }

    #[test]
    fn hidden_unfinished_and_companion_files_are_never_offered() {
        let mut folder = Folder::new();
        for name in [".a.png", ".x.png.Ab12Cd", "b.png.part", "c.json", "c.txt"] {
            let path = folder.put(name, 1);
            assert!(!folder.desk.notice(path, Hint::Renamed, folder.at(0.0)));
        }
        fs::create_dir(folder.dir.path().join(".hidden")).unwrap();
        let path = folder.put(".hidden/d.png", 1);
        folder.desk.notice(path, Hint::Written, folder.at(0.0));
        assert_eq!(folder.ready(99.0), None);
        fs::create_dir(folder.dir.path().join("sub")).unwrap();
        let sub = folder.dir.path().join("sub");
        assert!(folder.desk.notice(sub, Hint::Written, folder.at(0.0)));
    }

    #[test]
    fn an_old_file_found_by_looking_need_not_wait() {
        let mut folder = Folder::new();
        folder.desk.settings.clock = || i64::MAX / 2;
        let path = folder.put("a.png", 1);
        folder.desk.rescan(folder.at(0.0));
        assert_eq!(folder.desk.next_ready(), Some(path));
    }
}
