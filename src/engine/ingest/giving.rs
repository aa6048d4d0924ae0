//! Giving files of a large drop to workers elsewhere (`engine::cluster`).
//!
//! Invariant: whatever is given away ends here exactly once: by the answer of a
//! worker, or in this process, which takes back what nobody answers for. A file may
//! be worked on twice; the door sees to it that it is filed once.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, mpsc::sync_channel},
    time::{Duration, Instant},
};

use super::{
    super::{
        cache::{
            Failure,
            layer::{Cache, Change},
        },
        cluster::{How, Job, NO_KEY, Place, Report, Verdict, Waiting},
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
/// How long to wait for the answer about a file that somebody has taken away.
const GONE_PATIENCE: Duration = Duration::from_secs(10);

/// Files that ended and of which the others were not told yet.
const MAX_NEWS: usize = 1_000;

/// What an ingest knows of those that help it.
pub(super) struct Others {
    /// This process, for those who answer.
    name: String,
    /// What workers have taken, as far as it was heard and not looked at.
    taken: Mutex<Vec<(u64, String)>>,
}

/// A file that was given away.
struct Given {
    item: Item,
    entry: String,
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
                taken: Mutex::default(),
            }
        });
        others.name.clone()
    }

    /// Another process tells of a file.
    fn hear_of_others(&self, report: Report) {
        let Some(others) = self.others.get() else {
            return;
        };
        if let Some(file) = report.number_for(&others.name) {
            // How it ended comes to who gave it by a safer way.
            if report.verdict == Verdict::Taken {
                lock(&others.taken).push((file, report.by));
            }
            return;
        }
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
            let answer = self.board.give(&job);
            match self.noted(answer) {
                Some(entry) => {
                    let given = Given {
                        entry,
                        since: Instant::now(),
                        is_shown: false,
                        item,
                    };
                    self.given.insert(given.item.file, given);
                }
                None => self.shared.do_here(item),
            }
        }
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
        let others = self.shared.others.get();
        let taken = others.map(|others| std::mem::take(&mut *lock(&others.taken)));
        for (file, by) in taken.into_iter().flatten() {
            if let Some(given) = self.given.get_mut(&file) {
                show(self.shared, given, by);
            }
        }
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
        let Some(mut given) = file.and_then(|file| self.given.remove(&file)) else {
            return;
        };
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
        if is_due && let Some(given) = self.given.remove(&file) {
            self.do_here(given);
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
        for (_, given) in std::mem::take(&mut self.given) {
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
