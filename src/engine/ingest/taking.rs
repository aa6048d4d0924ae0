//! Helping others with their ingest (`engine::cluster`): files are taken from the
//! board, go through the one pipeline like all others, and are answered for.
//!
//! Invariant: what this process has in hand it renews while it lives, answers for
//! when it ends, and hands back when it was not begun.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    super::{
        cache::Failure,
        cluster::{Job, Report, Verdict, Waiting, WorkerNews, WorkerTally},
        event::IngestOutcome,
        job::{Cancel, lock},
    },
    IngestPipeline, Listener, Submission,
    giving::host_and_process,
};
use crate::{
    engine::cache::redis::board::{Answer, Board, Claimed},
    storage::LayoutKind,
};

/// How often a worker tells that it is alive.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks for work that others left.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);
/// How long it waits for work, and for a file to end, before it looks around.
const TURN: Duration = Duration::from_millis(200);
const BUSY_TURN: Duration = Duration::from_millis(20);
/// Files in hand for each thread: one it works on, and one that is read next.
const EACH: usize = 2;
/// A file that was handed out more often is what its workers died over.
const MAX_TIMES: u64 = 3;
/// How long answers are tried to be told at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

type Ends = mpsc::Receiver<(String, PathBuf, IngestOutcome)>;

struct InHand {
    job: Job,
    submission: Arc<Submission>,
}

struct Untold {
    entry: String,
    /// Which file it was, whoever waits for it.
    fingerprint: String,
    report: Report,
    /// The job, when it is put aside.
    dead: Option<String>,
}

impl IngestPipeline {
    /// Takes files of others until it is cancelled, then ends what it has begun and
    /// hands back the rest. Waits.
    pub fn help(
        &self,
        board: Board,
        origin: &str,
        cancel: &Cancel,
        on: &mut dyn FnMut(WorkerNews),
    ) -> WorkerTally {
        let name = self.shared.join_others();
        let (tell, ends) = mpsc::channel();
        let threads = self.workers();
        Helper {
            pipeline: self,
            board,
            origin,
            told: json!({"name": name, "threads": threads}).to_string(),
            most: threads * EACH,
            tell: Arc::new(Mutex::new(tell)),
            in_hand: BTreeMap::new(),
            untold: VecDeque::new(),
            tally: WorkerTally::default(),
            lost: None,
            refusals: BTreeSet::new(),
            name,
            on,
        }
        .run(cancel, &ends)
    }
}

struct Helper<'p> {
    pipeline: &'p IngestPipeline,
    board: Board,
    origin: &'p str,
    name: String,
    /// What others are told of this one.
    told: String,
    most: usize,
    tell: Arc<Mutex<mpsc::Sender<(String, PathBuf, IngestOutcome)>>>,
    in_hand: BTreeMap<String, InHand>,
    untold: VecDeque<Untold>,
    tally: WorkerTally,
    /// Whether Redis is away; not known at first.
    lost: Option<bool>,
    /// What Redis refused, as the log says it.
    refusals: BTreeSet<String>,
    on: &'p mut dyn FnMut(WorkerNews),
}

impl Helper<'_> {
    fn run(mut self, cancel: &Cancel, ends: &Ends) -> WorkerTally {
        let (mut beat, mut claimed): (Option<Instant>, Option<Instant>) = (None, None);
        let mut ending: Option<Instant> = None;
        loop {
            while let Ok((entry, path, outcome)) = ends.try_recv() {
                self.ended(&entry, path, &outcome);
            }
            self.answer();
            if cancel.is_cancelled() {
                if ending.is_none() {
                    ending = Some(Instant::now());
                    self.hand_back();
                }
                let is_done = self.in_hand.is_empty() && self.untold.is_empty();
                let is_late = ending.is_some_and(|since| since.elapsed() >= LAST_WORDS);
                if is_done || (self.in_hand.is_empty() && is_late) {
                    break;
                }
            }
            if beat.is_none_or(|at| at.elapsed() >= BEAT_INTERVAL) {
                beat = Some(Instant::now());
                self.beat(&[]);
            }
            let room = self.most.saturating_sub(self.in_hand.len());
            if ending.is_some() || self.lost != Some(false) || room == 0 {
                if let Ok((entry, path, outcome)) = ends.recv_timeout(TURN) {
                    self.ended(&entry, path, &outcome);
                }
                continue;
            }
            if claimed.is_none_or(|at| at.elapsed() >= CLAIM_INTERVAL) {
                claimed = Some(Instant::now());
                let left = self.board.take_over(&self.name, room);
                self.begin_all(left);
            }
            let room = self.most.saturating_sub(self.in_hand.len());
            if room > 0 {
                let turn = if self.in_hand.is_empty() {
                    TURN
                } else {
                    BUSY_TURN
                };
                let taken = self.board.take(&self.name, room, turn);
                let is_refused = matches!(taken, Err(Failure::Refused(_)));
                self.begin_all(taken);
                // A refusal comes at once, and is no pause.
                if is_refused && let Ok((entry, path, outcome)) = ends.recv_timeout(TURN) {
                    self.ended(&entry, path, &outcome);
                }
            }
        }
        // When this fails it is known soon enough.
        let _ = self.board.leave(&self.name);
        self.tally
    }

    fn noted<T>(&mut self, answer: Result<T, Failure>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.lost.replace(false) != Some(false) {
                    let name = self.name.clone();
                    (self.on)(WorkerNews::Joined { name });
                }
                Some(answer)
            }
            Err(Failure::Refused(reason)) => {
                if !self.refusals.contains(&reason) {
                    tracing::warn!("Redis refuses: {reason}");
                    self.refusals.insert(reason);
                }
                None
            }
            Err(Failure::Unavailable(reason)) => {
                if self.lost.replace(true) != Some(true) {
                    (self.on)(WorkerNews::Lost(reason));
                }
                None
            }
        }
    }

    /// Tells that it is alive and has in hand what it has, and these.
    fn beat(&mut self, more: &[Claimed]) {
        let in_hand = self.in_hand.keys().map(String::as_str);
        let more = more.iter().map(|claimed| claimed.entry.as_str());
        let entries: Vec<&str> = in_hand.chain(more).collect();
        let answer = self.board.beat(&self.name, &self.told, &entries);
        self.noted(answer);
    }

    fn begin_all(&mut self, claimed: Result<Vec<Claimed>, Failure>) {
        let claimed = self.noted(claimed).unwrap_or_default();
        let kind = self.pipeline.shared.parts.library.kind();
        if kind == LayoutKind::InPlace && claimed.iter().any(|claimed| claimed.times > 1) {
            self.look_around(&claimed);
        }
        for claimed in claimed {
            // One that rested while Redis did; it is in work here already.
            if !self.in_hand.contains_key(&claimed.entry) {
                self.begin(claimed);
            }
        }
    }

    /// Where names say nothing, only the index knows what the worker before did. A large
    /// library takes longer than what is claimed may rest.
    fn look_around(&mut self, claimed: &[Claimed]) {
        let pipeline = self.pipeline;
        let library = &pipeline.shared.parts.library;
        let mut beat = Instant::now();
        let looked = library.refresh(&mut |_| {
            if beat.elapsed() >= BEAT_INTERVAL {
                beat = Instant::now();
                self.beat(claimed);
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = looked {
            tracing::warn!("cannot look for changed files: {}", error.chain());
        }
    }

    fn begin(&mut self, claimed: Claimed) {
        let Claimed { entry, job, times } = claimed;
        let job: Job = match serde_json::from_str(&job) {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!("an entry that is no job is removed: {error}: {job:.80}");
                let answer = self.board.take_back(&entry, true);
                self.noted(answer);
                return;
            }
        };
        let library = &self.pipeline.shared.parts.library;
        let path = job.place.path(library.root());
        if times > 1 {
            self.tally.taken_over += 1;
        }
        if times > MAX_TIMES {
            let reason = format!("put aside: {} workers ended over it", times - 1);
            self.tally.put_aside += 1;
            (self.on)(WorkerNews::PutAside {
                path,
                reason: reason.clone(),
            });
            return self.note(entry, &job, Verdict::Failed(reason), true);
        }
        if !path.symlink_metadata().is_ok_and(|found| job.is_of(&found)) {
            self.tally.handed_back += 1;
            return self.note(entry, &job, Verdict::Back, false);
        }
        let listener: Listener = {
            let (tell, entry) = (Arc::clone(&self.tell), entry.clone());
            Box::new(move |path, outcome| {
                // The receiver is gone only when nobody waits any more.
                let _ = lock(&tell).send((entry.clone(), path.to_owned(), outcome.clone()));
            })
        };
        let mut submission = Submission::new(Some(job.how.into()), job.is_watched, Some(listener));
        submission.group = job.group;
        submission.takes_purged = job.takes_purged;
        submission.is_of_others = true;
        let submission = Arc::new(submission);
        let shared = &self.pipeline.shared;
        let mut taken = self.report(&job, Verdict::Taken);
        self.note_givers(&job.fingerprint(), &mut taken);
        let in_hand = InHand {
            job,
            submission: Arc::clone(&submission),
        };
        let is_found = in_hand.job.is_found;
        self.in_hand.insert(entry, in_hand);
        // Nobody misses it when it is lost.
        let _ = self.board.tell(&taken.news(self.origin));
        if shared.queue.add(&path, &submission, is_found) {
            self.pipeline.start_workers();
        }
    }

    fn ended(&mut self, entry: &str, path: PathBuf, outcome: &IngestOutcome) {
        let Some(in_hand) = self.in_hand.remove(entry) else {
            return;
        };
        self.tally.ended.count(outcome);
        let verdict = Verdict::filed_in(&self.pipeline.shared.parts.library, outcome);
        (self.on)(WorkerNews::Ended {
            path,
            outcome: outcome.clone(),
        });
        self.note(entry.to_owned(), &in_hand.job, verdict, false);
    }

    fn report(&self, job: &Job, verdict: Verdict) -> Report {
        Report {
            givers: vec![Waiting {
                giver: job.giver.clone(),
                file: job.file,
            }],
            place: job.place.clone(),
            fingerprint: Some(job.fingerprint()),
            by: host_and_process(&self.name),
            verdict,
        }
    }

    /// Others than who gave it first may wait for a file by now.
    fn note_givers(&mut self, fingerprint: &str, report: &mut Report) {
        if let Ok(givers) = self.board.who_waits(fingerprint)
            && !givers.is_empty()
        {
            report.givers = givers;
        }
    }

    fn note(&mut self, entry: String, job: &Job, verdict: Verdict, is_dead: bool) {
        let dead = is_dead.then(|| json!(job).to_string());
        self.untold.push_back(Untold {
            entry,
            fingerprint: job.fingerprint(),
            report: self.report(job, verdict),
            dead,
        });
    }

    /// Answers for what ended; what cannot be told now is told later.
    fn answer(&mut self) {
        while let Some(mut untold) = self.untold.pop_front() {
            self.note_givers(&untold.fingerprint, &mut untold.report);
            let report = json!(untold.report).to_string();
            let news = untold.report.news(self.origin);
            let answer = Answer {
                givers: &untold.report.givers,
                fingerprint: &untold.fingerprint,
                report: &report,
                news: &news,
                dead: untold.dead.as_deref(),
            };
            let done = self.board.done(&untold.entry, answer);
            let is_told = !matches!(done, Err(Failure::Unavailable(_)));
            self.noted(done);
            if !is_told {
                self.untold.push_front(untold);
                return;
            }
        }
    }

    /// Leaves to the others what was not begun.
    fn hand_back(&mut self) {
        let queue = &self.pipeline.shared.queue;
        let mut left: Vec<String> = Vec::new();
        self.in_hand.retain(|entry, in_hand| {
            let is_begun = !queue.withdraw(&in_hand.submission);
            if !is_begun {
                left.push(entry.clone());
            }
            is_begun
        });
        if left.is_empty() {
            return;
        }
        let entries: Vec<&str> = left.iter().map(String::as_str).collect();
        let answer = self.board.hand_back(&self.name, &entries);
        // When Redis is away the others claim them by themselves.
        self.noted(answer);
        self.tally.handed_back += left.len() as u64;
        (self.on)(WorkerNews::HandedBack(left.len()));
    }
}
