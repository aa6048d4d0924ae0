//! Giving files of a large drop to workers elsewhere (`engine::cluster`).
//!
//! Invariant: whatever is given away ends here exactly once: by the answer of a
//! worker, or in this process, which takes back what nobody answers for. A file may
//! be worked on twice; the door sees to it that it is filed once.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, mpsc::sync_channel},
    time::{Duration, Instant},
};

use super::{
    super::{
        cache::{
            Failure,
            layer::{Cache, Change},
        },
        cluster::{How, Job, NO_KEY, Place, Report, Verdict, Waiting, fingerprint_at},
        event::{Event, IngestEvent, IngestOutcome},
        job::{lock, spawn},
    },
    IngestPipeline, Shared,
    queue::Item,
};
use crate::{
    engine::cache::redis::board::{Board, Standing},
    model::id::MediaKey,
    storage::Question,
};

/// How often it is asked who is there, and where what was given away stands.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long nobody is there before it is asked again.
const NOBODY_PAUSE: Duration = Duration::from_secs(2);
/// How long to wait for an answer before turning to something else.
const TURN: Duration = Duration::from_millis(100);
/// Files a thread elsewhere has in hand and before it.
const EACH: usize = 2;
/// How long Redis may be away before what was given is done here.
const LOST: Duration = Duration::from_secs(3);
/// How long to wait for the answer about a file that somebody has taken away. The last
/// resort: whoever took it tells, unless it died, or Redis did.
const GONE_PATIENCE: Duration = Duration::from_secs(10);

/// Files that ended and of which the others were not told yet.
const MAX_NEWS: usize = 1_000;

/// What an ingest knows of those that help it.
pub(super) struct Others {
    /// This process, for those who answer.
    name: String,
    news: Mutex<News>,
}

/// What was heard for the thread that gives files away.
#[derive(Default)]
struct News {
    /// The numbers of the files that are given away and not heard of, by their
    /// fingerprints.
    given: BTreeMap<String, u64>,
    /// What was told of them, and not looked at yet.
    heard: Vec<(u64, Report)>,
}

impl Others {
    fn note_given(&self, fingerprint: &str, file: u64) {
        let mut news = lock(&self.news);
        news.given.insert(fingerprint.to_owned(), file);
    }

    /// Says no when it was told by now how that file ended.
    fn forget_given(&self, fingerprint: &str, file: u64) -> bool {
        let mut news = lock(&self.news);
        let is_its = |(of, report): &(u64, Report)| *of == file && report.verdict != Verdict::Taken;
        if news.heard.iter().any(is_its) {
            return false;
        }
        // It may have been given again under another number.
        if news.given.get(fingerprint) == Some(&file) {
            news.given.remove(fingerprint);
        }
        true
    }

    /// Notes how a file ended that was given away and is no longer where it was:
    /// somebody did it who does not know of this giver. Any other report comes back.
    fn note_end(&self, report: Report, path: &Path, root: &Path) -> Option<Report> {
        let Some(fingerprint) = &report.fingerprint else {
            return Some(report);
        };
        let is_given = lock(&self.news).given.contains_key(fingerprint);
        if !is_given || fingerprint_at(path, root).as_ref() == Some(fingerprint) {
            return Some(report);
        }
        let mut news = lock(&self.news);
        let Some(file) = news.given.remove(fingerprint) else {
            return Some(report);
        };
        news.heard.push((file, report));
        None
    }
}

/// A file that was given away.
struct Given {
    item: Item,
    entry: String,
    fingerprint: String,
    since: Instant,
    /// Whether the front end knows that somebody has it.
    is_shown: bool,
}

impl IngestPipeline {
    /// Gives files away from now on, while a worker is alive, and tells the front end
    /// of what others file.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn share(&self, board: Board, cache: &Arc<Cache>) -> io::Result<()> {
        let name = self.shared.join_others();
        let library = Arc::clone(&self.shared.parts.library);
        let (own, origin) = (name.clone(), cache.origin().to_owned());
        let board = board.until(&self.shared.stop);
        let (news, untold) = sync_channel::<Report>(MAX_NEWS);
        let mut teller = board.another();
        let thread = spawn("ingest-tell", move || {
            for report in untold {
                // Nobody misses it when it is lost.
                let _ = teller.tell(&report.news(&origin));
            }
        })?;
        let tell = move |item: &Item, outcome: &IngestOutcome| {
            let Some(place) = Place::of(&item.path, library.root()) else {
                return;
            };
            let report = Report {
                by: host_and_process(&own),
                givers: vec![Waiting {
                    giver: own.clone(),
                    file: item.file,
                }],
                place,
                fingerprint: item.fingerprint.clone(),
                verdict: Verdict::filed_in(&library, outcome),
            };
            // With so many untold nobody follows them anyway.
            let _ = news.try_send(report);
        };
        self.shared.telling.begin(tell, thread);
        let shared = Arc::downgrade(&self.shared);
        cache.subscribe("ingest", move |change| {
            if let (Change::Ingest(text), Some(shared)) = (change, shared.upgrade()) {
                let report = serde_json::from_str(text).map_err(|error| error.to_string())?;
                shared.hear_of_others(report);
            }
            Ok(())
        });
        let shared = Arc::clone(&self.shared);
        let thread = spawn("ingest-give", move || {
            Giver {
                shared: &shared,
                board,
                name,
                given: BTreeMap::new(),
                disowned: Vec::new(),
                lost: None,
                hands: 0,
            }
            .run();
        })?;
        lock(&self.helpers).push(thread);
        Ok(())
    }
}

impl Shared {
    /// The name of this process among those that share the library.
    pub(super) fn join_others(&self) -> String {
        let others = self.others.get_or_init(|| {
            let host = self.parts.library.host();
            let unique = uuid::Uuid::new_v4().simple().to_string();
            Others {
                name: format!("{host}:{}:{}", std::process::id(), &unique[..8]),
                news: Mutex::default(),
            }
        });
        others.name.clone()
    }

    /// Notes which file it is, before it may be moved, for those who are told how it
    /// ended.
    pub(super) fn seen(&self, item: Item) -> Item {
        if self.others.get().is_none() {
            return item;
        }
        let fingerprint = fingerprint_at(&item.path, self.parts.library.root());
        Item {
            fingerprint,
            ..item
        }
    }

    /// Another process tells of a file.
    fn hear_of_others(&self, report: Report) {
        let Some(others) = self.others.get() else {
            return;
        };
        if let Some(file) = report.number_for(&others.name) {
            // How it ended comes to who gave it by a safer way.
            if report.verdict == Verdict::Taken {
                lock(&others.news).heard.push((file, report));
            }
            return;
        }
        if matches!(report.verdict, Verdict::Taken | Verdict::Back) {
            return;
        }
        let root = self.parts.library.root();
        let path = report.place.path(root);
        if let Some(report) = others.note_end(report, &path, root) {
            self.show_of_others(report);
        }
    }

    /// Shows a file that is none of ours.
    fn show_of_others(&self, report: Report) {
        let path = report.place.path(self.parts.library.root());
        let key = self.key_of(&report.verdict, false);
        let Some(outcome) = report.verdict.outcome(key) else {
            return;
        };
        // A number that none of our own files has.
        let file = u64::MAX - report.givers.first().map_or(0, |waiting| waiting.file);
        let (path, by) = (path.clone(), report.by);
        self.send(IngestEvent::Started {
            file,
            path: path.clone(),
        });
        self.send(IngestEvent::Taken { file, by });
        self.send(IngestEvent::Finished {
            file,
            path,
            outcome,
            stage_micros: [0; 6],
        });
    }

    /// What this index calls the medium that another host filed.
    fn key_of(&self, verdict: &Verdict, enter: bool) -> MediaKey {
        let Some(filed) = verdict.filed() else {
            return NO_KEY;
        };
        let library = &self.parts.library;
        let known = || library.key_of(&filed.id).ok().flatten();
        if known().is_none() && enter && !filed.path.is_empty() && library.is_indexed() {
            let entered = library.enter_filed(std::slice::from_ref(&filed.path));
            if let Err(error) = entered {
                // A look at all files finds it later.
                tracing::warn!("what a worker filed is not indexed: {}", error.chain());
            }
        }
        known().unwrap_or(NO_KEY)
    }

    fn send(&self, event: IngestEvent) {
        self.parts.events.send(Event::Ingest(event));
    }
}

struct Giver<'s> {
    shared: &'s Shared,
    board: Board,
    name: String,
    given: BTreeMap<u64, Given>,
    /// Entries of files that were done here while Redis was away.
    disowned: Vec<String>,
    /// Since when Redis is away.
    lost: Option<Instant>,
    /// Threads of workers that are alive.
    hands: usize,
}

impl Giver<'_> {
    fn run(&mut self) {
        let mut looked: Option<Instant> = None;
        loop {
            self.look_at_news();
            if self.given.is_empty() {
                if !self.shared.queue.wait_for_plenty() {
                    return;
                }
                // While nobody is there, this costs one question every few seconds.
                if self.hands == 0 && looked.is_some_and(|at| at.elapsed() < NOBODY_PAUSE) {
                    self.shared.queue.rest(NOBODY_PAUSE);
                }
            }
            if self.shared.stop.is_cancelled() {
                return self.give_up();
            }
            if looked.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
                looked = Some(Instant::now());
                self.look();
            }
            self.give();
            self.hear();
            if self.lost.is_some_and(|since| since.elapsed() >= LOST) {
                self.take_all_back();
            }
        }
    }

    /// Notes whether Redis answered.
    fn noted<T>(&mut self, answer: Result<T, Failure>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.lost = None;
                Some(answer)
            }
            Err(failure) => {
                if self.lost.is_none() && !self.given.is_empty() {
                    tracing::warn!("workers are not heard any more: {failure}");
                }
                self.lost.get_or_insert_with(Instant::now);
                self.hands = 0;
                None
            }
        }
    }

    /// Who is there, and where what was given away stands.
    fn look(&mut self) {
        let alive = self.board.alive();
        let Some(alive) = self.noted(alive) else {
            return;
        };
        let hands: usize = alive.iter().map(|told| threads(told)).sum();
        if (self.hands == 0) != (hands == 0) {
            tracing::info!("{} workers help with the ingest", alive.len());
        }
        self.hands = hands;
        while let Some(entry) = self.disowned.pop() {
            let answer = self.board.take_back(&entry, true);
            if self.noted(answer).is_none() {
                self.disowned.push(entry);
                return;
            }
        }
        let asked: Vec<(u64, String)> = self
            .given
            .iter()
            .filter(|(_, given)| given.since.elapsed() >= LOOK_INTERVAL)
            .map(|(file, given)| (*file, given.entry.clone()))
            .collect();
        if asked.is_empty() {
            return;
        }
        let entries: Vec<&str> = asked.iter().map(|(_, entry)| entry.as_str()).collect();
        let answer = self.board.standing(&entries);
        let Some(standing) = self.noted(answer) else {
            return;
        };
        // What ended before the question has been answered by now.
        self.hear_for(Duration::ZERO);
        let is_idle = self.shared.queue.is_idle();
        for ((file, entry), standing) in asked.into_iter().zip(standing) {
            match standing {
                // Redis was emptied.
                Standing::Gone => self.take_back(file),
                Standing::Waiting if hands == 0 || is_idle => {
                    let answer = self.board.take_back(&entry, false);
                    if self.noted(answer) == Some(true) {
                        self.take_back(file);
                    }
                }
                // Nobody is left to claim it.
                Standing::With(_) if hands == 0 => {
                    let answer = self.board.take_back(&entry, true);
                    if self.noted(answer) == Some(true) {
                        self.take_back(file);
                    }
                }
                Standing::Waiting | Standing::With(_) => {}
            }
        }
    }

    fn give(&mut self) {
        while self.lost.is_none() && self.given.len() < self.hands * EACH {
            let Some(item) = self.shared.queue.take_to_give() else {
                return;
            };
            let Some(job) = self.job(&item) else {
                self.shared.do_here(item);
                continue;
            };
            let fingerprint = job.fingerprint();
            // Somebody may be faster with the file than this with noting its entry.
            if let Some(others) = self.shared.others.get() {
                others.note_given(&fingerprint, item.file);
            }
            let answer = self.board.give(&job);
            if let Some(entry) = self.noted(answer) {
                let given = Given {
                    entry,
                    fingerprint,
                    since: Instant::now(),
                    is_shown: false,
                    item,
                };
                self.given.insert(given.item.file, given);
            } else {
                self.forget_given(&fingerprint, item.file);
                self.shared.do_here(item);
            }
        }
    }

    /// As [`Others::forget_given`].
    fn forget_given(&self, fingerprint: &str, file: u64) -> bool {
        let others = self.shared.others.get();
        others.is_none_or(|others| others.forget_given(fingerprint, file))
    }

    /// What goes to others; `None` for what cannot be told.
    fn job(&self, item: &Item) -> Option<Job> {
        let library = &self.shared.parts.library;
        let found = item.path.symlink_metadata().ok()?;
        let submission = &item.submission;
        let how = submission.how;
        let how = how.unwrap_or_else(|| self.shared.usual_transfer(&item.path));
        let mut job = Job {
            giver: self.name.clone(),
            file: item.file,
            place: Place::of(&item.path, library.root())?,
            bytes: 0,
            modified: (0, 0),
            how: How::from(how),
            group: submission.group,
            is_found: item.is_found,
            is_watched: submission.is_watched,
            takes_purged: submission.takes_purged || self.shared.settings.takes_purged,
        };
        job.stamp(&found);
        Some(job)
    }

    fn hear(&mut self) {
        if self.given.is_empty() {
            return;
        }
        if self.lost.is_some() {
            // An answer that fails at once is no pause.
            self.shared.queue.rest(TURN);
        }
        self.hear_for(TURN);
    }

    /// Looks at what was heard of files that were given away.
    fn look_at_news(&mut self) {
        let others = self.shared.others.get();
        let heard = others.map(|others| std::mem::take(&mut lock(&others.news).heard));
        for (file, report) in heard.into_iter().flatten() {
            if report.verdict != Verdict::Taken {
                self.done_by_others(file, report);
            } else if let Some(given) = self.given.get_mut(&file) {
                show(self.shared, given, report.by);
            }
        }
    }

    /// Somebody did a file without taking it from the board: one who was asked for it
    /// as well, or who had given it, too, and took it back.
    fn done_by_others(&mut self, file: u64, report: Report) {
        let Some(given) = self.given.remove(&file) else {
            // It went back into the queue, where it is found gone.
            return self.shared.show_of_others(report);
        };
        // A worker that has it finds that, too.
        let answer = self.board.take_back(&given.entry, false);
        self.noted(answer);
        self.ended(given, report);
    }

    fn hear_for(&mut self, wait: Duration) {
        let answer = self.board.answers_for(&self.name, wait);
        for text in self.noted(answer).into_iter().flatten() {
            match serde_json::from_str::<Report>(&text) {
                Ok(report) => self.answered(report),
                Err(error) => tracing::warn!("an answer that cannot be read: {error}"),
            }
        }
    }

    fn answered(&mut self, report: Report) {
        // One that was taken back meanwhile, or answered twice.
        let file = report.number_for(&self.name);
        let Some((file, given)) = file.and_then(|file| self.given.remove_entry(&file)) else {
            return;
        };
        if self.forget_given(&given.fingerprint, file) {
            self.ended(given, report);
        } else {
            // The worker was too late, and it is known by now for whom.
            self.given.insert(file, given);
        }
    }

    fn ended(&mut self, mut given: Given, report: Report) {
        let key = self.shared.key_of(&report.verdict, true);
        let Some(outcome) = report.verdict.outcome(key) else {
            return self.do_here(given);
        };
        show(self.shared, &mut given, report.by);
        self.ask_about(&given.item, &outcome);
        self.end(&given.item, &outcome);
    }

    /// Notes that sources are to be asked about what a worker filed.
    fn ask_about(&self, item: &Item, outcome: &IngestOutcome) {
        let (IngestOutcome::Stored { key, .. } | IngestOutcome::Kept { key, .. }) = outcome else {
            return;
        };
        let library = &self.shared.parts.library;
        if self.shared.settings.asks_sources
            && let Ok(Some(entry)) = library.entry(*key)
            && let Some(md5) = entry.md5
        {
            let question = Question {
                id: entry.id,
                md5,
                step: item.submission.group,
                tries: 0,
            };
            if let Err(error) = library.queue_questions(&[question]) {
                tracing::warn!("no source is asked about what was filed: {}", error.chain());
            }
        }
    }

    fn end(&self, item: &Item, outcome: &IngestOutcome) {
        self.shared.failures.note(item, outcome);
        self.shared.send(IngestEvent::Finished {
            file: item.file,
            path: item.path.clone(),
            outcome: outcome.clone(),
            stage_micros: [0; 6],
        });
        item.submission.end(&item.path, outcome);
        self.shared.queue.ended();
    }

    /// Does a file here after all. One that is not where it was has been taken by
    /// somebody whose answer may still come.
    fn take_back(&mut self, file: u64) {
        let is_due = self.given.get(&file).is_some_and(|given| {
            given.since.elapsed() >= GONE_PATIENCE || given.item.path.symlink_metadata().is_ok()
        });
        if is_due && let Some((file, given)) = self.given.remove_entry(&file) {
            if self.forget_given(&given.fingerprint, file) {
                self.do_here(given);
            } else {
                // It is known by now how it ended.
                self.given.insert(file, given);
            }
        }
    }

    fn do_here(&self, given: Given) {
        let path = &given.item.path;
        tracing::info!("{} is done here after all", path.display());
        if given.is_shown {
            // It begins anew.
            self.shared.send(IngestEvent::Finished {
                file: given.item.file,
                path: path.clone(),
                outcome: IngestOutcome::Gone,
                stage_micros: [0; 6],
            });
        }
        self.shared.do_here(given.item);
    }

    /// Redis has been away for too long.
    fn take_all_back(&mut self) {
        let files: Vec<(u64, String)> = self
            .given
            .iter()
            .map(|(file, given)| (*file, given.entry.clone()))
            .collect();
        for (file, entry) in files {
            self.take_back(file);
            if !self.given.contains_key(&file) {
                self.disowned.push(entry);
            }
        }
    }

    /// The ingest ends at once: what nobody has begun is left where it is.
    fn give_up(&mut self) {
        for (file, given) in std::mem::take(&mut self.given) {
            self.forget_given(&given.fingerprint, file);
            // A worker that has it goes on; nobody here waits for that.
            let answer = self.board.take_back(&given.entry, false);
            self.noted(answer);
            self.end(&given.item, &IngestOutcome::Cancelled);
        }
    }
}

impl Shared {
    fn do_here(&self, item: Item) {
        if let Some(item) = self.queue.came_back(item) {
            item.submission.end(&item.path, &IngestOutcome::Cancelled);
        }
    }
}

/// What people are told of a name made by [`Shared::join_others`].
pub(super) fn host_and_process(name: &str) -> String {
    let (host_and_process, _) = name.rsplit_once(':').unwrap_or((name, ""));
    host_and_process.to_owned()
}

/// Shows that a worker has a file.
fn show(shared: &Shared, given: &mut Given, by: String) {
    let file = given.item.file;
    if !given.is_shown {
        given.is_shown = true;
        let path = given.item.path.clone();
        shared.send(IngestEvent::Started { file, path });
    }
    shared.send(IngestEvent::Taken { file, by });
}

/// The threads of a worker by what it tells of itself.
fn threads(told: &str) -> usize {
    let told: Option<serde_json::Value> = serde_json::from_str(told).ok();
    let threads = told.and_then(|told| told["threads"].as_u64());
    usize::try_from(threads.unwrap_or(1)).unwrap_or(1)
}
