//! Watches a folder and offers each file in it once it has come to rest.
//!
//! The folder itself is the queue: what does not fit into memory or into the ingest
//! queue stays there and is found again. The system's notices only make it faster;
//! where they are missing, lost or not to be had, looking again takes their place.

mod desk;
mod outside;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use notify::{
    Config, ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};

use self::desk::{Desk, Hint};
pub use self::outside::{Collecting, OutsideWatcher, Touched};
use super::{
    event::IngestOutcome,
    ingest::Submission,
    job::{Clock, lock, spawn, system_clock},
};
use crate::storage::Transfer;

/// Notices kept apart before the rest is found by looking at the folder.
const MAX_NOTICES: usize = 8_192;

/// How often the watched folder itself is looked at: it may be deleted and made anew.
const ROOT_INTERVAL: Duration = Duration::from_secs(1);

/// How often a full ingest queue is tried again when nothing else happens.
const OFFER_INTERVAL: Duration = Duration::from_millis(200);

/// How a folder is watched.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    pub folder: PathBuf,
    /// How long size and time of a file must not have changed.
    pub settle: Duration,
    /// The same for one that was renamed into its place.
    pub settle_renamed: Duration,
    /// How long a file without companions waits for some to come.
    pub companion_grace: Duration,
    /// How often to look when the system gives no notice.
    pub poll_interval: Duration,
    /// How often to look all the same.
    pub rescan_interval: Duration,
    /// Never ask for the system's notices.
    pub force_polling: bool,
    pub clock: Clock,
}

impl WatchSettings {
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            settle: Duration::from_secs(2),
            settle_renamed: Duration::from_millis(200),
            companion_grace: Duration::from_secs(3),
            poll_interval: Duration::from_secs(2),
            rescan_interval: Duration::from_secs(30),
            force_polling: false,
            clock: system_clock,
        }
    }
}

/// Takes a file that is at rest, or says that there is no room for it now.
pub type Offer = Box<dyn Fn(&Path, &Arc<Submission>) -> bool + Send>;

/// Hears which folder is watched (`None`: it is gone) and whether by polling.
pub type Announce = Box<dyn Fn(Option<&Path>, bool) + Send>;

/// A folder that is being watched. Dropping it stops the thread.
pub struct Watcher {
    folder: PathBuf,
    mailbox: Arc<Mailbox>,
    is_polling: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Makes the folder if need be and starts to watch it.
    ///
    /// # Errors
    /// When the folder cannot be made or the system has no thread to give.
    pub fn start(
        settings: WatchSettings,
        offer: Offer,
        announce: Announce,
    ) -> std::io::Result<Self> {
        fs::create_dir_all(&settings.folder)?;
        let mailbox = Arc::new(Mailbox::default());
        let is_polling = Arc::new(AtomicBool::new(settings.force_polling));
        let folder = settings.folder.clone();
        let ended = Arc::clone(&mailbox);
        let submission = Submission::watched(
            Transfer::Move,
            Box::new(move |path, outcome| {
                ended.ended(path, matches!(outcome, IngestOutcome::Waiting { .. }));
            }),
        );
        let watch = Watch {
            desk: Desk::new(settings.clone()),
            settings,
            mailbox: Arc::clone(&mailbox),
            is_polling: Arc::clone(&is_polling),
            offer,
            announce,
            submission: Arc::new(submission),
            system: None,
            root: None,
        };
        let thread = spawn("watch", move || watch.run())?;
        Ok(Self {
            folder,
            mailbox,
            is_polling,
            thread: Some(thread),
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder is looked at again and again for want of notices.
    pub fn is_polling(&self) -> bool {
        self.is_polling.load(Ordering::Acquire)
    }

    /// Looks at the whole folder now.
    pub fn rescan(&self) {
        self.mailbox.put(|mail| mail.rescan = true);
    }

    /// Stops and waits for the thread. Files that were offered are not called back.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.mailbox.put(|mail| mail.stop = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watcher ended by a panic");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the watching thread has been told since it last looked.
#[derive(Default)]
struct Mail {
    touched: HashMap<PathBuf, Hint>,
    /// Files that came back from the ingest, and whether they are to be tried again.
    ended: Vec<(PathBuf, bool)>,
    /// Notices were lost, or something asks for a look at everything.
    rescan: bool,
    /// A new folder: what was put in before it was watched gave no notice.
    new_folder: bool,
    /// The system cannot watch any more.
    exhausted: bool,
    stop: bool,
}

#[derive(Default)]
struct Mailbox {
    mail: Mutex<Mail>,
    changed: Condvar,
}

impl Mailbox {
    fn put(&self, change: impl FnOnce(&mut Mail)) {
        change(&mut lock(&self.mail));
        self.changed.notify_all();
    }

    fn touched(&self, path: PathBuf, hint: Hint) {
        self.put(|mail| {
            if mail.touched.len() < MAX_NOTICES || mail.touched.contains_key(&path) {
                mail.touched.insert(path, hint);
            } else {
                mail.rescan = true;
            }
        });
    }

    fn ended(&self, path: &Path, again: bool) {
        self.put(|mail| mail.ended.push((path.to_owned(), again)));
    }

    /// Waits for mail, at most this long, and empties the box.
    fn take(&self, limit: Duration) -> Mail {
        let mail = lock(&self.mail);
        let is_empty = |mail: &mut Mail| {
            mail.touched.is_empty()
                && mail.ended.is_empty()
                && !(mail.rescan || mail.new_folder || mail.exhausted || mail.stop)
        };
        let (mut mail, _) = self
            .changed
            .wait_timeout_while(mail, limit, is_empty)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *mail)
    }
}

/// Has the system tell of what happens below a folder. That may be a link to one
/// elsewhere: the system follows none, and names what it sees by where it really is.
fn ask_system(folder: &Path, mailbox: &Arc<Mailbox>) -> notify::Result<RecommendedWatcher> {
    let real = folder.canonicalize().map_err(notify::Error::io)?;
    let (seen, named, mailbox) = (real.clone(), folder.to_owned(), Arc::clone(mailbox));
    let tell = move |notice: notify::Result<notify::Event>| {
        let notice = notice.map(|mut event| {
            for path in &mut event.paths {
                if let Ok(below) = path.strip_prefix(&seen) {
                    *path = named.join(below);
                }
            }
            event
        });
        handle(&mailbox, notice);
    };
    let config = Config::default().with_follow_symlinks(false);
    let mut system = RecommendedWatcher::new(tell, config)?;
    system.watch(&real, RecursiveMode::Recursive)?;
    Ok(system)
}

/// Sorts a notice of the system into the mailbox.
fn handle(mailbox: &Mailbox, notice: notify::Result<notify::Event>) {
    let event = match notice {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!("watching: {error}");
            let exhausted = matches!(error.kind, ErrorKind::MaxFilesWatch);
            mailbox.put(|mail| {
                mail.rescan = true;
                mail.exhausted |= exhausted;
            });
            return;
        }
    };
    if event.need_rescan() {
        mailbox.put(|mail| mail.rescan = true);
        return;
    }
    let hint = match event.kind {
        EventKind::Create(CreateKind::Folder) => {
            mailbox.put(|mail| mail.new_folder = true);
            return;
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Hint::Renamed,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Any
        | EventKind::Other => Hint::Written,
        EventKind::Access(_) => return,
    };
    for path in event.paths {
        mailbox.touched(path, hint);
    }
}

/// The watching thread.
struct Watch {
    settings: WatchSettings,
    desk: Desk,
    mailbox: Arc<Mailbox>,
    is_polling: Arc<AtomicBool>,
    offer: Offer,
    announce: Announce,
    submission: Arc<Submission>,
    system: Option<RecommendedWatcher>,
    /// Which folder it was when it was last looked at.
    root: Option<(u64, u64)>,
}

impl Watch {
    fn run(mut self) {
        let mut root_at = Instant::now();
        let mut rescan_at = Some(Instant::now());
        loop {
            let now = Instant::now();
            if now >= root_at {
                root_at = now + ROOT_INTERVAL;
                if self.look_at_root() {
                    rescan_at = Some(now);
                }
            }
            if rescan_at.is_some_and(|at| now >= at) || self.desk.has_room_for_more() {
                self.desk.rescan(now);
                let interval = if self.is_polling.load(Ordering::Acquire) {
                    self.settings.poll_interval
                } else {
                    self.settings.rescan_interval
                };
                rescan_at = Some(now + interval);
            }
            self.desk.check(now);
            while let Some(path) = self.desk.next_ready() {
                if !(self.offer)(&path, &self.submission) {
                    self.desk.put_back(path);
                    break;
                }
            }
            let wake = [
                Some(root_at),
                rescan_at,
                self.desk.wake_at(now, OFFER_INTERVAL),
            ]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(root_at);
            let mail = self
                .mailbox
                .take(wake.saturating_duration_since(Instant::now()));
            if mail.stop {
                return;
            }
            let now = Instant::now();
            for (path, again) in mail.ended {
                self.desk.ended(path, again, now);
            }
            for (path, hint) in mail.touched {
                if path == self.settings.folder {
                    root_at = now;
                } else if self.desk.notice(path, hint, now) {
                    rescan_at = Some(now);
                }
            }
            if mail.exhausted {
                self.fall_back("the system has no watches left");
            }
            if mail.new_folder {
                // Once more when the system has had time to watch it.
                self.desk.rescan(now);
                let soon = now + ROOT_INTERVAL;
                rescan_at = Some(rescan_at.map_or(soon, |at| at.min(soon)));
            }
            if mail.rescan {
                rescan_at = Some(now);
            }
        }
    }

    /// Watches the folder anew when it is another one than before. True when it is
    /// to be looked through.
    fn look_at_root(&mut self) -> bool {
        let identity = desk::identity(&self.settings.folder);
        if identity == self.root {
            return false;
        }
        self.system = None;
        let was_known = self.root.is_some();
        self.root = identity;
        if identity.is_none() {
            if was_known {
                let folder = self.settings.folder.display();
                tracing::warn!("the watched folder {folder} is gone; waiting for it");
                (self.announce)(None, self.is_polling.load(Ordering::Acquire));
            }
            return false;
        }
        let reason = if self.settings.force_polling {
            Some("asked for".to_owned())
        } else if is_remote(&self.settings.folder) {
            Some("a network file system tells nobody what other machines do".to_owned())
        } else {
            match ask_system(&self.settings.folder, &self.mailbox) {
                Ok(system) => {
                    self.system = Some(system);
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        };
        self.is_polling.store(false, Ordering::Release);
        match reason {
            Some(reason) => self.fall_back(&reason),
            None => (self.announce)(Some(&self.settings.folder), false),
        }
        true
    }

    fn fall_back(&mut self, reason: &str) {
        if !self.is_polling.swap(true, Ordering::AcqRel) {
            let folder = self.settings.folder.display();
            tracing::warn!("polling {folder}: {reason}");
            self.system = None;
            (self.announce)(Some(&self.settings.folder), true);
        }
    }
}

/// Whether a folder lies on a file system of another machine.
fn is_remote(folder: &Path) -> bool {
    /// The magic numbers of NFS, SMB, CIFS, SMB2, FUSE, 9P, AFS, Ceph and Coda.
    const REMOTE: [u64; 9] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x5346_414f,
        0x00c3_6400,
        0x7375_7245,
    ];
    rustix::fs::statfs(folder)
        .is_ok_and(|facts| u64::try_from(facts.f_type).is_ok_and(|kind| REMOTE.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::mpsc};

    use notify::event::Flag;

    use super::*;

    /// A generous limit: nothing waits for it to pass.
    const LIMIT: Duration = Duration::from_secs(30);

    struct Found {
        watcher: Watcher,
        offered: mpsc::Receiver<PathBuf>,
        announced: mpsc::Receiver<(bool, bool)>,
    }

    fn quick(folder: &Path) -> WatchSettings {
        WatchSettings {
            settle: Duration::from_millis(20),
            settle_renamed: Duration::from_millis(5),
            companion_grace: Duration::ZERO,
            poll_interval: Duration::from_millis(20),
            ..WatchSettings::new(folder.to_owned())
        }
    }

    fn start(settings: WatchSettings) -> Found {
        let (offer, offered) = mpsc::channel();
        let (announce, announced) = mpsc::channel();
        let watcher = Watcher::start(
            settings,
            Box::new(move |path, _| offer.send(path.to_owned()).is_ok()),
            Box::new(move |folder, polling| {
                // The test may have ended.
                let _ = announce.send((folder.is_some(), polling));
            }),
        )
        .unwrap();
        Found {
            watcher,
            offered,
            announced,
        }
    }

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = path.with_extension("part");
        File::create(&temporary).unwrap().set_len(10).unwrap();
        fs::rename(&temporary, path).unwrap();
    }

    #[test]
    fn files_in_the_folder_and_new_ones_are_offered_once() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("old.png"));
        let found = start(quick(dir.path()));
        assert_eq!(
            found.offered.recv_timeout(LIMIT).unwrap(),
            dir.path().join("old.png")
        );
        put(&dir.path().join("new.png"));
        assert_eq!(
            found.offered.recv_timeout(LIMIT).unwrap(),
            dir.path().join("new.png")
        );
        put(&dir.path().join("deep/er/new.png"));
        assert_eq!(
            found.offered.recv_timeout(LIMIT).unwrap(),
            dir.path().join("deep/er/new.png")
        );
        found.watcher.rescan();
        found.watcher.stop();
        assert!(
            found.offered.try_recv().is_err(),
            "nothing is offered twice"
        );
    }

    #[test]
    fn a_link_to_a_folder_elsewhere_is_watched_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let (real, folder) = (dir.path().join("disk"), dir.path().join("ingest"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &folder).unwrap();
        // Only a notice is in time.
        let found = start(WatchSettings {
            rescan_interval: Duration::from_hours(1),
            ..quick(&folder)
        });
        assert_eq!(found.announced.recv_timeout(LIMIT), Ok((true, false)));
        put(&real.join("a.png"));
        let offered = found.offered.recv_timeout(LIMIT);
        assert_eq!(offered, Ok(folder.join("a.png")));
    }

    #[test]
    fn polling_finds_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let found = start(WatchSettings {
            force_polling: true,
            ..quick(dir.path())
        });
        assert_eq!(found.announced.recv_timeout(LIMIT), Ok((true, true)));
        put(&dir.path().join("a.png"));
        assert!(found.offered.recv_timeout(LIMIT).is_ok());
        assert!(found.watcher.is_polling());
    }

    #[test]
    fn a_folder_that_is_made_anew_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ingest");
        let found = start(quick(&folder));
        assert_eq!(found.announced.recv_timeout(LIMIT), Ok((true, false)));
        fs::remove_dir(&folder).unwrap();
        assert_eq!(found.announced.recv_timeout(LIMIT), Ok((false, false)));
        put(&folder.join("a.png"));
        assert_eq!(found.announced.recv_timeout(LIMIT), Ok((true, false)));
        assert_eq!(
            found.offered.recv_timeout(LIMIT).unwrap(),
            folder.join("a.png")
        );
    }

    #[test]
    fn an_overflow_of_the_system_makes_the_folder_be_looked_through() {
        let mailbox = Mailbox::default();
        let event = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        handle(&mailbox, Ok(event));
        assert!(mailbox.take(Duration::ZERO).rescan);

        handle(&mailbox, Err(notify::Error::new(ErrorKind::MaxFilesWatch)));
        let mail = mailbox.take(Duration::ZERO);
        assert!(mail.rescan && mail.exhausted);
    }

    #[test]
    fn notices_beyond_the_limit_become_a_look_at_the_folder() {
        let mailbox = Mailbox::default();
        for n in 0..=MAX_NOTICES {
            mailbox.touched(PathBuf::from(format!("/x/{n}")), Hint::Written);
        }
        let mail = mailbox.take(Duration::ZERO);
        assert_eq!(mail.touched.len(), MAX_NOTICES);
        assert!(mail.rescan);
    }
}
