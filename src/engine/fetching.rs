//! Learning from sources: in the background what was just ingested, and what somebody
//! asks for.
//!
//! A drop of fifty thousand files is filed at its own speed, and asked about at that of
//! the sites: who is still to be asked is noted in `state.db` with the files, so that a
//! restart goes on, and up to a hundred pictures go into one question. Answers lie in
//! the cache, those that a site knows nothing too, so that nobody asks twice.
//!
//! Invariants: what people said wins (see `model::absorb::learn`); what an ingest
//! brought is undone with what was learned of it; a source that is away delays what it
//! knows and nothing else.

mod asking;
mod learning;
mod relating;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use self::asking::SourceState;
pub(super) use self::asking::Sources;
use self::{
    asking::{FIRST_PAUSE_SECONDS, Round, pause},
    learning::Taught,
    relating::Family,
};
use super::{
    Core, Engine,
    event::{Event, Level},
    job::{Cancel, JobId, Progress, lock, system_clock_ms},
    source::Trouble,
};
use crate::{
    model::{
        entry::format_time,
        id::{Md5, MediaId, MediaKey},
        media::Media,
    },
    storage::{Error, Question},
};

/// Pictures that are asked about, and written, together.
const BATCH: u32 = 100;
/// How long the first picture waits for others.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long pictures belong to a process that asks about them, and shows no sign of
/// life: each third of it, it says that it is still at it.
const LEASE_SECONDS: i64 = 900;
/// After so many tries, which take three days, a picture is let go.
const MOST_TRIES: u32 = 20;

/// What is asked, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// These sources alone; empty: all that are switched on.
    pub only: Vec<String>,
    /// Whether the sites are asked although their answers are kept.
    pub again: bool,
    /// Whether to tell what would be learned, and write nothing.
    pub is_dry_run: bool,
}

/// What was learned of one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub key: MediaKey,
    /// The posts that it is, `site#id`.
    pub posts: Vec<String>,
    /// Tags that it did not have, or had in another category.
    pub new_tags: usize,
    pub is_changed: bool,
    /// Why nothing could be learned of it, or written.
    pub problem: Option<String>,
}

/// What a fetch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// One for each picture that was got to, in order.
    pub fetched: Vec<Fetched>,
    /// Sources that gave no answers, and why.
    pub troubles: BTreeMap<String, String>,
    pub warnings: Vec<String>,
    pub is_cancelled: bool,
}

impl FetchReport {
    pub fn known(&self) -> usize {
        let known = |fetched: &&Fetched| !fetched.posts.is_empty();
        self.fetched.iter().filter(known).count()
    }

    pub fn new_tags(&self) -> usize {
        self.fetched.iter().map(|fetched| fetched.new_tags).sum()
    }
}

impl Engine {
    /// How the sources that are switched on stand; never waits long.
    pub fn sources(&self) -> Vec<SourceState> {
        self.core.sources.states()
    }

    /// Why sources that are switched on cannot be asked.
    pub fn source_problems(&self) -> &[String] {
        &self.core.sources.problems
    }

    /// From now on asks the sources about what is ingested, and was before.
    pub fn start_sources(&self) {
        let core = &self.core;
        for problem in &core.sources.problems {
            core.events.notice(Level::Error, problem.clone());
        }
        if core.sources.is_empty() {
            return;
        }
        core.tell_sources();
        core.asks.store(true, Ordering::Release);
        core.sources.wake();
    }

    /// Asks the sources about media in the background; answered by
    /// [`Event::JobDone`].
    pub fn fetch(&self, keys: Vec<MediaKey>, fetch: Fetch) -> JobId {
        self.run_job(move |core, job, cancel| {
            let label = "asking the sources";
            let mut progress = Progress::new(job, label);
            let fetched = core.fetch(&keys, &fetch, cancel, &mut |done, total| {
                progress.done = done;
                progress.total = Some(total);
                core.events.progress(progress.clone());
            });
            core.tell_sources();
            core.events
                .done(job, label, fetched.and_then(|report| outcome(&report)));
        })
    }

    /// Asks the sources about media, and waits; `on` hears (done, total).
    ///
    /// # Errors
    /// When no source is switched on, or one is named that is none.
    pub fn fetch_now(
        &self,
        keys: &[MediaKey],
        fetch: &Fetch,
        cancel: &Cancel,
        on: &mut dyn FnMut(u64, u64),
    ) -> Result<FetchReport, String> {
        self.core.fetch(keys, fetch, cancel, on)
    }

    /// Asks the sources about what was ingested and not asked about yet, and waits; `on`
    /// hears (done, left). What a source that is away may know is left for later.
    pub fn ask_sources_now(&self, cancel: &Cancel, on: &mut dyn FnMut(u64, u64)) -> FetchReport {
        self.core.answer_due(cancel, on)
    }
}

/// What people are told of a fetch.
fn outcome(report: &FetchReport) -> Result<String, String> {
    let asked = report.fetched.len();
    let new_tags = match report.new_tags() {
        1 => "1 new tag".to_owned(),
        n => format!("{n} new tags"),
    };
    let stopped = if report.is_cancelled { "stopped; " } else { "" };
    let text = format!("{stopped}{} of {asked} known, {new_tags}", report.known());
    let problems = report.fetched.iter().filter_map(|f| f.problem.as_ref());
    match report.troubles.values().chain(problems).next() {
        // A line is short, and why nothing came is what counts.
        Some(problem) if report.known() == 0 => Err(problem.clone()),
        Some(problem) => Err(format!("{text}; {problem}")),
        None => Ok(text),
    }
}

impl Core {
    /// Hears of new pictures from now on.
    pub(super) fn follow_new_pictures(self: &Arc<Self>) {
        if self.sources.is_empty() {
            return;
        }
        let core = Arc::downgrade(self);
        let wake = move |_: &super::catalog_store::CatalogEvent| {
            if let Some(core) = core.upgrade() {
                core.sources.wake();
            }
            Ok(())
        };
        self.catalog.subscribe("sources", Box::new(wake));
    }

    /// Asks about what was ingested, each time that there is something, until the end.
    pub(super) fn ask_sources(&self) {
        if self.sources.is_empty() {
            return;
        }
        let mut patience = None;
        // What people heard already is not told each time that it is tried again.
        let mut told = BTreeSet::new();
        while self.sources.wait(patience) {
            patience = None;
            if !self.asks.load(Ordering::Acquire) {
                continue;
            }
            let now = self.now();
            match self.library.next_question(now) {
                Ok(None) => continue,
                Ok(Some(due)) if due > now => {
                    patience = Some(seconds(due - now));
                    continue;
                }
                // A picture that is not in the index yet cannot be found.
                Ok(_) if !self.library.is_indexed() => {
                    patience = Some(seconds(FIRST_PAUSE_SECONDS));
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    self.tell_new(&mut told, vec![unasked(&error)]);
                    patience = Some(seconds(FIRST_PAUSE_SECONDS));
                    continue;
                }
            }
            if self.stop.wait(TOGETHER) {
                return;
            }
            let (job, cancel) = (JobId::next(), Cancel::default());
            lock(&self.jobs).insert(job, cancel.clone());
            if self.stop.wait(Duration::ZERO) {
                cancel.cancel();
            }
            let mut progress = Progress::new(job, "asking the sources");
            let report = self.answer_due(&cancel, &mut |done, left| {
                progress.done = done;
                progress.total = Some(done + left);
                self.events.progress(progress.clone());
            });
            lock(&self.jobs).remove(&job);
            self.events.end_progress(job);
            let is_stuck = report.fetched.is_empty() && !report.warnings.is_empty();
            self.tell_new(&mut told, report.to_tell());
            if report.is_cancelled {
                self.asks.store(false, Ordering::Release);
                if !self.stop.wait(Duration::ZERO) {
                    let text = "no source is asked about what is ingested until the next start";
                    self.events.notice(Level::Info, text);
                }
            }
            if is_stuck {
                patience = Some(seconds(FIRST_PAUSE_SECONDS));
            } else {
                // What is left is due at some time.
                self.sources.wake();
            }
        }
    }

    /// Tells of what is not told yet; what is over is forgotten.
    fn tell_new(&self, told: &mut BTreeSet<String>, texts: Vec<String>) {
        let texts: BTreeSet<String> = texts.into_iter().collect();
        for text in texts.difference(told) {
            self.events.notice(Level::Warning, text.clone());
        }
        *told = texts;
    }

    fn tell_sources(&self) {
        self.events.send(Event::Sources(self.sources.states()));
    }

    /// As [`Core::tell_sources`], but not more often than people can read.
    fn tell_sources_now_and_then(&self) {
        if self.sources.is_time_to_tell() {
            self.tell_sources();
        }
    }

    /// Whether a site may be asked now: hosts that share a Redis ask one after the other,
    /// else the processes of this host.
    fn takes_turn(&self, site: &str, interval: Duration) -> bool {
        if interval.is_zero() {
            return true;
        }
        let here = || {
            let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
            let taken = self.library.take_turn(site, system_clock_ms(), interval);
            taken.unwrap_or_else(|error| {
                tracing::debug!("turns at {site} are not taken: {}", error.chain());
                true
            })
        };
        self.cache.takes_turn(site, interval).unwrap_or_else(here)
    }

    /// Asks about everything that is due; `on` hears (done, left).
    fn answer_due(&self, cancel: &Cancel, on: &mut dyn FnMut(u64, u64)) -> FetchReport {
        let mut report = FetchReport::default();
        if self.sources.is_empty() {
            return report;
        }
        // What others know already is not asked for.
        self.cache.settle();
        let takes_turn = |site: &str, interval| self.takes_turn(site, interval);
        let mut round = Round::new(false, cancel, &takes_turn);
        round.troubles = self.sources.silent();
        let mut family = Family::default();
        while !cancel.is_cancelled() {
            let now = self.now();
            let taken = self.library.take_questions(now, now + LEASE_SECONDS, BATCH);
            let questions = match taken {
                Ok(questions) => questions,
                Err(error) => {
                    report.warnings.push(unasked(&error));
                    break;
                }
            };
            if questions.is_empty() {
                break;
            }
            let before = report.fetched.len() as u64;
            let left = self.library.count_questions().unwrap_or(0);
            let mut on = |done: usize| {
                let done = done as u64;
                on(before + done, left.saturating_sub(done));
            };
            on(0);
            self.answer(questions, &mut round, &mut family, &mut report, &mut on);
            self.tell_sources();
            if family.is_large() {
                self.relate(&std::mem::take(&mut family), &mut report.warnings);
            }
        }
        self.relate(&family, &mut report.warnings);
        report.note(round.troubles);
        report.is_cancelled |= cancel.is_cancelled();
        report
    }

    /// The medium a question is about; `None` when nobody needs the answer any more,
    /// say because the picture is in the trash.
    fn asked_about(&self, id: &MediaId) -> Result<Option<(MediaKey, Media)>, Error> {
        let key = match self.catalog.load().key_of(id) {
            Some(key) => Some(key),
            None => self.library.key_of(id)?,
        };
        let Some(key) = key else {
            return Ok(None);
        };
        match self.read_media(key) {
            Ok(media) => Ok(Some((key, media))),
            Err(Error::UnknownKey(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks about pictures that were taken, and ends or postpones them; `on` hears of how
    /// many of them the sites have said what they know.
    fn answer(
        &self,
        questions: Vec<Question>,
        round: &mut Round<'_>,
        family: &mut Family,
        report: &mut FetchReport,
        on: &mut dyn FnMut(usize),
    ) {
        let mut leased = self.now();
        let mut gone: Vec<MediaId> = Vec::new();
        let mut later: Vec<(Question, i64)> = Vec::new();
        let mut unread: Vec<String> = Vec::new();
        let mut asked: Vec<(Question, MediaKey, Media)> = Vec::new();
        for question in questions {
            match self.asked_about(&question.id) {
                Ok(Some((key, media))) => asked.push((question, key, media)),
                Ok(None) => gone.push(question.id),
                Err(error) => {
                    let tries = question.tries + 1;
                    unread.push(error.chain());
                    if tries < MOST_TRIES {
                        later.push((Question { tries, ..question }, leased + pause(tries, &[])));
                    } else {
                        gone.push(question.id);
                    }
                }
            }
        }
        if let Some(first) = unread.first() {
            report.warnings.push(format!(
                "the sources are asked later about {} that cannot be read now: {first}",
                pictures(unread.len())
            ));
        }
        let md5s: Vec<Md5> = asked.iter().map(|(question, ..)| question.md5).collect();
        // What came with the picture is not asked for.
        let wants = |name: &str, at: usize| !asked[at].2.sources.contains_key(name);
        let mut heard = |done: usize| {
            on(done);
            self.tell_sources_now_and_then();
            let now = self.now();
            if now - leased >= LEASE_SECONDS / 3 {
                leased = now;
                let until = now + LEASE_SECONDS;
                let mine: Vec<_> = asked.iter().map(|(q, ..)| (q.clone(), until)).collect();
                if let Err(error) = self.library.postpone_questions(&mine) {
                    tracing::warn!("others may ask the same: {}", error.chain());
                }
            }
        };
        let now = format_time(self.now());
        let said = self
            .sources
            .ask(&self.cache, &md5s, &wants, &now, round, &mut heard);
        let taught: Vec<Taught<'_>> = asked
            .iter()
            .zip(&said.answers)
            .map(|((question, key, _), answer)| Taught {
                key: *key,
                step: question.step,
                answer,
            })
            .collect();
        let mut fetched = self.learn(&taught, "learn from sources", &mut report.warnings);
        drop(taught);
        for ((question, key, media), answer) in asked.iter().zip(&said.answers) {
            family.note(*key, question.step, media);
            family.note(*key, question.step, answer);
        }
        let now = self.now();
        let is_cancelled = said.troubles.contains(&Trouble::Cancelled);
        let mut given_up = 0;
        for ((question, ..), fetched) in asked.into_iter().zip(&mut fetched) {
            // It went to the trash while the sites were asked.
            if fetched.problem.is_some() && matches!(self.asked_about(&question.id), Ok(None)) {
                fetched.problem = None;
                gone.push(question.id);
                continue;
            }
            let is_open = !said.troubles.is_empty() || fetched.problem.is_some();
            let tries = question.tries + u32::from(!is_cancelled);
            if is_open && tries < MOST_TRIES {
                let due = if is_cancelled {
                    now
                } else {
                    now + pause(tries, &said.troubles)
                };
                later.push((Question { tries, ..question }, due));
            } else {
                given_up += usize::from(is_open);
                gone.push(question.id);
            }
        }
        if given_up > 0 {
            report.warnings.push(format!(
                "after {MOST_TRIES} tries the sources are no longer asked about {}; \
                 tagloupe fetch asks again",
                pictures(given_up)
            ));
        }
        let noted = self.library.postpone_questions(&later);
        if let Err(error) = noted.and_then(|()| self.library.end_questions(&gone)) {
            report.warnings.push(error.chain());
        }
        report.fetched.extend(fetched);
    }

    /// Asks about media that somebody named; `on` hears (done, total).
    fn fetch(
        &self,
        keys: &[MediaKey],
        fetch: &Fetch,
        cancel: &Cancel,
        on: &mut dyn FnMut(u64, u64),
    ) -> Result<FetchReport, String> {
        if let Some(problem) = self.sources.unknown(&fetch.only) {
            return Err(problem);
        }
        if self.sources.is_empty() {
            let problem = self.sources.problems.first().cloned();
            return Err(problem.unwrap_or_else(|| NONE.to_owned()));
        }
        // What others know already is not asked for.
        self.cache.settle();
        let mut report = FetchReport::default();
        let total = keys.len() as u64;
        let is_asked = |name: &str| fetch.only.is_empty() || fetch.only.iter().any(|o| o == name);
        let n_sites = self.sources.names().filter(|name| is_asked(name)).count();
        let operation = self.library.operation(format!("fetch {}", keys.len()));
        let takes_turn = |site: &str, interval| self.takes_turn(site, interval);
        let mut round = Round::new(fetch.again, cancel, &takes_turn);
        let mut family = Family::default();
        for keys in keys.chunks(BATCH as usize) {
            // With nobody left to ask it ends, too.
            if cancel.is_cancelled() || round.troubles.len() == n_sites {
                break;
            }
            let before = report.fetched.len() as u64;
            on(before, total);
            let unreadable = self.hash_these(keys, cancel).unwrap_or_else(|problem| {
                report.warnings.push(problem);
                HashMap::new()
            });
            let catalog = self.catalog.load();
            let md5 = |key: &MediaKey| catalog.record(*key)?.md5();
            let mut asked: Vec<(MediaKey, Md5)> = Vec::new();
            for key in keys {
                match md5(key) {
                    Some(md5) => asked.push((*key, md5)),
                    None if cancel.is_cancelled() => {}
                    None => {
                        let reason = unreadable.get(key).map(String::as_str);
                        let reason = reason.unwrap_or("it changed meanwhile, or is gone");
                        report.fetched.push(Fetched {
                            problem: Some(format!("its original cannot be read: {reason}")),
                            ..Fetched::nothing(*key)
                        });
                    }
                }
            }
            let md5s: Vec<Md5> = asked.iter().map(|(_, md5)| *md5).collect();
            let now = format_time(self.now());
            let mut heard = |done: usize| {
                on(before + done as u64, total);
                self.tell_sources_now_and_then();
            };
            let said = self.sources.ask(
                &self.cache,
                &md5s,
                &|name, _| is_asked(name),
                &now,
                &mut round,
                &mut heard,
            );
            let taught: Vec<Taught<'_>> = asked
                .iter()
                .zip(&said.answers)
                .map(|((key, _), answer)| Taught {
                    key: *key,
                    step: None,
                    answer,
                })
                .collect();
            let fetched = if fetch.is_dry_run {
                self.would_learn(&taught)
            } else {
                let operations = std::slice::from_ref(&operation);
                let said: Vec<(usize, &Taught<'_>)> = taught.iter().map(|t| (0, t)).collect();
                let fetched = self.learn_as(operations, &said, &mut report.warnings);
                for taught in &taught {
                    family.note(taught.key, taught.step, taught.answer);
                }
                if family.is_large() {
                    let family = std::mem::take(&mut family);
                    self.relate_as(&operation, &family, &mut report.warnings);
                }
                fetched
            };
            report.fetched.extend(fetched);
        }
        self.relate_as(&operation, &family, &mut report.warnings);
        self.library.finish(&operation);
        report.note(round.troubles);
        report.is_cancelled |= cancel.is_cancelled();
        on(report.fetched.len() as u64, total);
        Ok(report)
    }
}

/// What is said to somebody who asks where there is nobody to ask.
const NONE: &str =
    "no source is switched on; [sources.danbooru] enabled = true in config.toml does";

impl Fetched {
    fn nothing(key: MediaKey) -> Self {
        Self {
            key,
            posts: Vec::new(),
            new_tags: 0,
            is_changed: false,
            problem: None,
        }
    }
}

impl FetchReport {
    fn note(&mut self, troubles: BTreeMap<String, Trouble>) {
        for (name, trouble) in troubles {
            if trouble == Trouble::Cancelled {
                self.is_cancelled = true;
            } else {
                self.troubles.insert(name, trouble.to_string());
            }
        }
    }

    /// What people have to hear who did not ask for it.
    fn to_tell(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.troubles.values().cloned().collect();
        texts.extend(self.warnings.iter().cloned());
        let mut problems = self.fetched.iter().filter_map(|f| f.problem.as_ref());
        if let Some(problem) = problems.next() {
            texts.push(format!(
                "what the sources said of {} is not written yet: {problem}",
                pictures(1 + problems.count())
            ));
        }
        texts
    }
}

/// Why nobody is asked about what was ingested.
fn unasked(error: &Error) -> String {
    format!(
        "no source is asked about what was ingested: {}",
        error.chain()
    )
}

fn pictures(n: usize) -> String {
    match n {
        1 => "a picture".to_owned(),
        n => format!("{n} pictures"),
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
