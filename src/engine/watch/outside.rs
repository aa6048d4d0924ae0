//! Watches the originals and sidecars of an open library for what other programs do
//! to them. Only tells that something was touched; what it means is found out by
//! whoever is told.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use notify::RecommendedWatcher;

use super::{Mail, Mailbox, ask_system, is_remote};
use crate::engine::job::spawn;

/// Notices are gathered until it has been quiet for this long,
const QUIET: Duration = Duration::from_millis(200);
/// or for this long altogether.
const LONGEST_GATHERING: Duration = Duration::from_secs(2);
/// Each folder costs a watch of the system and about a kilobyte of its memory.
const MAX_FOLDERS: usize = 20_000;
/// How often everything is looked at where the system gives no notice.
const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// Between two looks it rests this many times as long as the first of them took: an
/// ingest of thousands of files must not have them looked for all the time.
const SHARE: u32 = 20;

/// What somebody did to the files of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    Files(Vec<PathBuf>),
    /// Notices were lost, there are none, or whole folders came or went.
    Everything,
}

/// Hears what was touched; it is called again only after it returns.
pub type Look = Box<dyn Fn(Touched) + Send>;

/// A library that is being watched. Dropping it stops the thread, which ends after
/// the look that is under way.
pub struct OutsideWatcher {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

/// Notices that are being collected and that nobody hears yet.
pub struct Collecting {
    folder: PathBuf,
    mailbox: Arc<Mailbox>,
    system: Option<RecommendedWatcher>,
}

impl Collecting {
    /// Watches a folder and all below it from here on: what is touched from now to
    /// [`Collecting::start`] is not missed.
    pub fn new(folder: PathBuf, force_polling: bool) -> Self {
        let mut collecting = Self {
            folder,
            mailbox: Arc::default(),
            system: None,
        };
        if let Err(reason) = collecting.ask_system(force_polling) {
            let folder = collecting.folder.display();
            tracing::info!("looking at {folder} again and again: {reason}");
        }
        collecting
    }

    /// Tells of what was touched.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(self, look: Look) -> std::io::Result<OutsideWatcher> {
        let mailbox = Arc::clone(&self.mailbox);
        let watch = Watch {
            mailbox: self.mailbox,
            system: self.system,
            look,
        };
        let thread = spawn("outside", move || watch.run())?;
        Ok(OutsideWatcher {
            mailbox,
            thread: Some(thread),
        })
    }

    fn ask_system(&mut self, force_polling: bool) -> Result<(), String> {
        if force_polling {
            return Err("asked for".to_owned());
        }
        if is_remote(&self.folder) {
            return Err("a network file system tells nobody what others do".to_owned());
        }
        let folders = folders_below(&self.folder);
        if folders.len() > MAX_FOLDERS {
            return Err(format!("it has more than {MAX_FOLDERS} folders"));
        }
        let system = ask_system(&self.folder, &self.mailbox).map_err(|error| error.to_string())?;
        self.system = Some(system);
        Ok(())
    }
}

impl Drop for OutsideWatcher {
    fn drop(&mut self) {
        self.mailbox.put(|mail| mail.stop = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("watching the library ended by a panic");
        }
    }
}

struct Watch {
    mailbox: Arc<Mailbox>,
    system: Option<RecommendedWatcher>,
    look: Look,
}

impl Watch {
    fn run(mut self) {
        let mut files: HashSet<PathBuf> = HashSet::new();
        let mut is_everything = false;
        let mut poll_at = Instant::now() + POLL_INTERVAL;
        let mut not_before = Instant::now();
        loop {
            let is_waiting = is_everything || !files.is_empty();
            let wake = if is_waiting { not_before } else { poll_at };
            let Some(mail) = self.gather(wake.saturating_duration_since(Instant::now())) else {
                return;
            };
            if mail.exhausted && self.system.take().is_some() {
                tracing::info!("the system has no watches left; looking again and again");
            }
            files.extend(mail.touched.into_keys());
            is_everything |= mail.rescan || mail.new_folder || mail.exhausted;
            let now = Instant::now();
            if now >= poll_at {
                is_everything |= self.system.is_none();
                poll_at = now + POLL_INTERVAL;
            }
            if now < not_before {
                continue;
            }
            let files = std::mem::take(&mut files);
            let touched = if std::mem::take(&mut is_everything) {
                Touched::Everything
            } else if files.is_empty() {
                continue;
            } else {
                Touched::Files(files.into_iter().collect())
            };
            (self.look)(touched);
            not_before = Instant::now() + now.elapsed() * SHARE;
        }
    }

    /// Waits for notices and gathers those that come with them; `None`: the end.
    fn gather(&self, wait: Duration) -> Option<Mail> {
        let mut mail = self.mailbox.take(wait);
        let until = Instant::now() + LONGEST_GATHERING;
        let is_empty = |mail: &Mail| {
            mail.touched.is_empty() && !(mail.rescan || mail.new_folder || mail.exhausted)
        };
        if is_empty(&mail) {
            return (!mail.stop).then_some(mail);
        }
        while !mail.stop && Instant::now() < until {
            let more = self.mailbox.take(QUIET);
            mail.stop |= more.stop;
            if is_empty(&more) {
                break;
            }
            mail.touched.extend(more.touched);
            mail.rescan |= more.rescan;
            mail.new_folder |= more.new_folder;
            mail.exhausted |= more.exhausted;
        }
        (!mail.stop).then_some(mail)
    }
}

/// The folders below one, itself included, until there are too many.
fn folders_below(root: &Path) -> HashSet<PathBuf> {
    let mut found = HashSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        if found.len() > MAX_FOLDERS {
            break;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
        found.insert(folder);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn hear(collecting: Collecting) -> (OutsideWatcher, mpsc::Receiver<Touched>) {
        let (touched, heard) = mpsc::channel();
        let look = move |what| {
            // The test may have ended.
            let _ = touched.send(what);
        };
        (collecting.start(Box::new(look)).unwrap(), heard)
    }

    #[test]
    fn what_is_touched_is_told_even_before_anybody_hears() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ab")).unwrap();
        let collecting = Collecting::new(dir.path().to_owned(), false);
        let path = dir.path().join("ab/x.json");
        fs::File::create(&path).unwrap();
        let (watcher, heard) = hear(collecting);
        let expected = Touched::Files(vec![path.clone()]);
        assert_eq!(heard.recv_timeout(LIMIT), Ok(expected.clone()));
        fs::remove_file(&path).unwrap();
        assert_eq!(heard.recv_timeout(LIMIT), Ok(expected));
        fs::create_dir(dir.path().join("cd")).unwrap();
        assert_eq!(heard.recv_timeout(LIMIT), Ok(Touched::Everything));
        drop(watcher);
        assert!(heard.recv().is_err(), "it has ended");
    }

    #[test]
    fn a_link_to_a_folder_elsewhere_is_watched_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let (real, folder) = (dir.path().join("disk"), dir.path().join("images"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &folder).unwrap();
        let (_watcher, heard) = hear(Collecting::new(folder.clone(), false));
        fs::File::create(real.join("x.json")).unwrap();
        let expected = Touched::Files(vec![folder.join("x.json")]);
        assert_eq!(heard.recv_timeout(LIMIT), Ok(expected));
    }

    #[test]
    fn without_notices_it_waits_and_can_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        let collecting = Collecting::new(dir.path().to_owned(), true);
        assert!(collecting.system.is_none());
        let (watcher, heard) = hear(collecting);
        drop(watcher);
        assert!(heard.recv().is_err());
    }
}
