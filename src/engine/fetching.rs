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

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    Core, Engine,
    cache::{
        entry::Version,
        key::Key,
        layer::{Cache, Lookup},
    },
    companion::merge,
    event::{Event, Level},
    job::{Cancel, JobId, Progress, lock},
    source::{MetadataSource, Trouble, booru, settings::SourceSettings},
};
use crate::{
    model::{
        absorb::learn,
        catalog::Change,
        entry::format_time,
        id::{Md5, MediaId, MediaKey},
        media::Media,
        operation::{Operation, OperationId},
        sidecar::Sidecar,
    },
    storage::{Error, Question, Written},
};

/// Pictures that are asked about, and written, together.
const BATCH: u32 = 100;
/// How long the first picture waits for others.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long pictures belong to a process that asks about them, and shows no sign of
/// life: each third of it, it says that it is still at it.
const LEASE_SECONDS: i64 = 900;
/// How often it is looked whether another host has asked and it is our turn.
const TURN_INTERVAL: Duration = Duration::from_millis(20);
/// How often it is told how the sources stand while one is asked.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// After how long a site is asked again that was away; twice as long each time.
const FIRST_PAUSE_SECONDS: i64 = 60;
const LONGEST_PAUSE_SECONDS: i64 = 6 * 3_600;
/// After so many tries, which take three days, a picture is let go.
const MOST_TRIES: u32 = 20;
/// Changes when an answer is kept in another form.
const FORM: u64 = 1;

/// How a source stands, as people see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    pub name: String,
    /// Pictures it was asked about in this session.
    pub asked: u64,
    /// Of those, how many it knew.
    pub known: u64,
    /// Pictures whose answer was kept from before.
    pub kept: u64,
    /// Why it gave no answer the last time.
    pub trouble: Option<String>,
}

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

/// One source and how it stands.
struct Source {
    site: Arc<dyn MetadataSource>,
    /// Of its answers: another address may know other pictures.
    version: Version,
    /// Between the beginnings of two questions.
    interval: Duration,
    state: Mutex<SourceState>,
    silence: Mutex<Silence>,
}

/// Since when a source gives no answers.
#[derive(Default)]
struct Silence {
    /// How often it was asked in vain.
    tries: u32,
    /// Until when nobody asks it without being told to, and why.
    until: Option<(Instant, Trouble)>,
}

/// All sources that are switched on, in the order of their priority.
#[derive(Default)]
pub(super) struct Sources {
    all: Vec<Source>,
    /// What is wrong with the others.
    problems: Vec<String>,
    turn: Mutex<Turn>,
    changed: Condvar,
    told: Mutex<Option<Instant>>,
}

/// What the thread that asks waits for.
#[derive(Default)]
struct Turn {
    is_woken: bool,
    is_closed: bool,
}

/// What holds for all batches of pictures that are asked about in one go.
struct Round<'r> {
    /// Whether the sites are asked although their answers are kept.
    again: bool,
    cancel: &'r Cancel,
    /// Sources that gave no answer. They are left alone for the rest of it: a site that
    /// is away would be asked in vain a thousand times, and waited for each time.
    troubles: BTreeMap<String, Trouble>,
}

impl<'r> Round<'r> {
    fn new(again: bool, cancel: &'r Cancel) -> Self {
        Self {
            again,
            cancel,
            troubles: BTreeMap::new(),
        }
    }
}

/// What the sources say of some pictures.
struct Said {
    /// As long as the pictures; what nobody knows is empty.
    answers: Vec<Media>,
    /// Why there may be more to know.
    troubles: Vec<Trouble>,
}

impl Sources {
    pub(super) fn open(settings: &[SourceSettings]) -> Self {
        let mut sources = Self::default();
        for settings in settings {
            match booru::open(settings) {
                Ok(site) => {
                    let address = format!("{FORM} {} {}", settings.kind.name(), settings.url);
                    let name = settings.name.clone();
                    sources.all.push(Source {
                        site,
                        version: Version::of_text(&address),
                        interval: Duration::from_millis(settings.interval_ms),
                        state: Mutex::new(SourceState {
                            name,
                            ..SourceState::default()
                        }),
                        silence: Mutex::default(),
                    });
                }
                Err(problem) => sources.problems.push(problem),
            }
        }
        sources
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn wake(&self) {
        lock(&self.turn).is_woken = true;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        lock(&self.turn).is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until it is woken, for so long at most; `false` when it is time to end.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let is_idle = |turn: &mut Turn| !turn.is_woken && !turn.is_closed;
        let turn = lock(&self.turn);
        let mut turn = match patience {
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(turn, patience, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .changed
                .wait_while(turn, is_idle)
                .unwrap_or_else(PoisonError::into_inner),
        };
        turn.is_woken = false;
        !turn.is_closed
    }

    fn states(&self) -> Vec<SourceState> {
        let states = self.all.iter().map(|source| lock(&source.state).clone());
        states.collect()
    }

    /// Those that gave no answer lately: pictures that come one by one would each ask
    /// a site in vain that is away.
    fn silent(&self) -> BTreeMap<String, Trouble> {
        let now = Instant::now();
        let mut troubles = BTreeMap::new();
        for source in &self.all {
            if let Some((until, trouble)) = &lock(&source.silence).until
                && *until > now
            {
                troubles.insert(source.site.name().to_owned(), trouble.clone());
            }
        }
        troubles
    }

    /// Whether it is time to tell how they stand again.
    fn is_time_to_tell(&self) -> bool {
        let mut told = lock(&self.told);
        let is_time = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if is_time {
            *told = Some(Instant::now());
        }
        is_time
    }

    /// Why one of `only` cannot be asked.
    fn unknown(&self, only: &[String]) -> Option<String> {
        let is_there = |name: &&String| self.all.iter().any(|s| s.site.name() == *name);
        let name = only.iter().find(|name| !is_there(name))?;
        let of_it = |problem: &&String| problem.contains(&format!("[sources.{name}]"));
        let problem = self.problems.iter().find(of_it).cloned();
        Some(problem.unwrap_or_else(|| {
            format!(
                "no source {name} is switched on; [sources.{name}] enabled = true in config.toml does"
            )
        }))
    }

    /// Asks each source about the pictures that it is to be asked about, what is kept
    /// first, and unites the answers by priority. `heard` is told after each answer of a
    /// site about how many of the pictures are done.
    fn ask(
        &self,
        cache: &Cache,
        pictures: &[Md5],
        wants: &dyn Fn(&str, usize) -> bool,
        now: &str,
        round: &mut Round<'_>,
        heard: &mut dyn FnMut(usize),
    ) -> Said {
        let mut said = Said {
            answers: vec![Media::default(); pictures.len()],
            troubles: Vec::new(),
        };
        for (number, source) in self.all.iter().enumerate() {
            let name = source.site.name();
            let wanted = (0..pictures.len()).filter(|at| wants(name, *at));
            let mut places: BTreeMap<Md5, Vec<usize>> = BTreeMap::new();
            for at in wanted {
                places.entry(pictures[at]).or_default().push(at);
            }
            let asked: Vec<Md5> = places.keys().copied().collect();
            let (missing, kept) = source.kept(cache, &asked, round.again);
            let mut answers = kept;
            let trouble = if missing.is_empty() {
                None
            } else if let Some(trouble) = round.troubles.get(name) {
                Some(trouble.clone())
            } else {
                let heard = &mut |part: usize| {
                    let of_source = pictures.len() * part / missing.len();
                    heard((number * pictures.len() + of_source) / self.all.len());
                };
                let (new, trouble) = source.ask(cache, &missing, now, round.cancel, heard);
                answers.extend(new);
                trouble
            };
            for (md5, answer) in answers {
                for at in places.get(&md5).into_iter().flatten() {
                    merge(&mut said.answers[*at], answer.clone());
                }
            }
            if let Some(trouble) = trouble {
                let is_end = trouble == Trouble::Cancelled;
                round.troubles.insert(name.to_owned(), trouble.clone());
                said.troubles.push(trouble);
                if is_end {
                    break;
                }
            }
        }
        said
    }
}

impl Source {
    fn key(&self, md5: &Md5) -> Key {
        Key::source(self.site.name(), md5)
    }

    /// The pictures about which the site is to be asked, and the answers that are kept.
    fn kept(&self, cache: &Cache, pictures: &[Md5], again: bool) -> (Vec<Md5>, Vec<(Md5, Media)>) {
        if again {
            return (pictures.to_vec(), Vec::new());
        }
        let (mut missing, mut answers) = (Vec::new(), Vec::new());
        let keys: Vec<(Key, Version)> = pictures
            .iter()
            .map(|md5| (self.key(md5), self.version))
            .collect();
        for (md5, kept) in pictures.iter().zip(cache.get_many(&keys)) {
            match kept {
                Lookup::Absent => {}
                Lookup::Miss => missing.push(*md5),
                Lookup::Found(text) => match parse(&text) {
                    Some(answer) => answers.push((*md5, answer)),
                    None => missing.push(*md5),
                },
            }
        }
        lock(&self.state).kept += (pictures.len() - missing.len()) as u64;
        (missing, answers)
    }

    /// What the site says of pictures, and what kept it from answering the rest. `heard`
    /// is told after each answer of how many of them there is one.
    fn ask(
        &self,
        cache: &Cache,
        pictures: &[Md5],
        now: &str,
        cancel: &Cancel,
        heard: &mut dyn FnMut(usize),
    ) -> (Vec<(Md5, Media)>, Option<Trouble>) {
        let mut known = Vec::new();
        let mut done = 0;
        for asked in pictures.chunks(self.site.most_at_once().max(1)) {
            // The site counts what all hosts ask.
            while !cancel.is_cancelled() && !cache.takes_turn(self.site.name(), self.interval) {
                std::thread::sleep(TURN_INTERVAL);
            }
            if cancel.is_cancelled() {
                return (known, Some(Trouble::Cancelled));
            }
            let answers = match self.site.look_up(asked, now, cancel) {
                Ok(answers) => answers,
                Err(trouble) => {
                    // Who cancels has no trouble with the site.
                    if trouble != Trouble::Cancelled {
                        lock(&self.state).trouble = Some(trouble.to_string());
                        let mut silence = lock(&self.silence);
                        silence.tries += 1;
                        let pause = pause(silence.tries, std::slice::from_ref(&trouble));
                        let until = Instant::now() + seconds(pause);
                        silence.until = Some((until, trouble.clone()));
                    }
                    return (known, Some(trouble));
                }
            };
            let keys: Vec<Key> = asked.iter().map(|md5| self.key(md5)).collect();
            let texts: Vec<Option<String>> = answers
                .iter()
                .map(|answer| answer.as_ref().map(render))
                .collect();
            let entries: Vec<_> = keys
                .iter()
                .zip(&texts)
                .map(|(key, text)| (key, self.version, text.as_ref().map(String::as_bytes)))
                .collect();
            cache.set_many(&entries);
            let before = known.len();
            let pairs = asked.iter().zip(answers);
            known.extend(pairs.filter_map(|(md5, answer)| Some((*md5, answer?))));
            let mut state = lock(&self.state);
            state.asked += asked.len() as u64;
            state.known += (known.len() - before) as u64;
            state.trouble = None;
            drop(state);
            *lock(&self.silence) = Silence::default();
            done += asked.len();
            heard(done);
        }
        (known, None)
    }
}

fn render(answer: &Media) -> String {
    let sidecar = Sidecar {
        media: answer.clone(),
        ..Sidecar::default()
    };
    sidecar.render()
}

fn parse(text: &[u8]) -> Option<Media> {
    let sidecar = Sidecar::parse(str::from_utf8(text).ok()?).ok()?;
    Some(sidecar.media)
}

/// `site#id` of each post in an answer.
fn posts(answer: &Media) -> Vec<String> {
    let posts = answer.posts().map(|(site, id)| format!("{site}#{id}"));
    posts.collect()
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

    /// Asks about everything that is due; `on` hears (done, left).
    fn answer_due(&self, cancel: &Cancel, on: &mut dyn FnMut(u64, u64)) -> FetchReport {
        let mut report = FetchReport::default();
        if self.sources.is_empty() {
            return report;
        }
        // What others know already is not asked for.
        self.cache.settle();
        let mut round = Round::new(false, cancel);
        round.troubles = self.sources.silent();
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
            self.answer(questions, &mut round, &mut report, &mut on);
            self.tell_sources();
        }
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
        let sites = self.sources.all.iter();
        let n_sites = sites.filter(|source| is_asked(source.site.name())).count();
        let operation = self.library.operation(format!("fetch {}", keys.len()));
        let mut round = Round::new(fetch.again, cancel);
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
                self.learn_as(operations, &said, &mut report.warnings)
            };
            report.fetched.extend(fetched);
        }
        self.library.finish(&operation);
        report.note(round.troubles);
        report.is_cancelled |= cancel.is_cancelled();
        on(report.fetched.len() as u64, total);
        Ok(report)
    }

    /// Adds what was said to each medium, in the name of its step.
    fn learn(
        &self,
        taught: &[Taught<'_>],
        action: &str,
        warnings: &mut Vec<String>,
    ) -> Vec<Fetched> {
        let mut operations: Vec<Operation> = Vec::new();
        let mut places: HashMap<Option<OperationId>, usize> = HashMap::new();
        let said: Vec<(usize, &Taught<'_>)> = taught
            .iter()
            .map(|taught| {
                let place = *places.entry(taught.step).or_insert_with(|| {
                    let operation = self.library.operation(action);
                    operations.push(Operation {
                        group: taught.step,
                        ..operation
                    });
                    operations.len() - 1
                });
                (place, taught)
            })
            .collect();
        let fetched = self.learn_as(&operations, &said, warnings);
        for operation in &operations {
            self.library.finish(operation);
        }
        fetched
    }

    fn learn_as(
        &self,
        operations: &[Operation],
        taught: &[(usize, &Taught<'_>)],
        warnings: &mut Vec<String>,
    ) -> Vec<Fetched> {
        let said: Vec<(usize, MediaKey, &Media)> = taught
            .iter()
            .filter(|(_, taught)| taught.is_something())
            .map(|(operation, taught)| (*operation, taught.key, taught.answer))
            .collect();
        let _writing = self.catalog.while_writing();
        let mut written = self
            .library
            .learn(operations, &said, self.now())
            .into_iter();
        let mut changes = Vec::new();
        let mut all = Vec::with_capacity(taught.len());
        for (_, taught) in taught {
            let mut fetched = Fetched {
                posts: posts(taught.answer),
                ..Fetched::nothing(taught.key)
            };
            let outcome = if taught.is_something() {
                written.next()
            } else {
                None
            };
            match outcome {
                None => {}
                Some(Ok(Written {
                    entry,
                    is_changed,
                    tags_before,
                    warning,
                    merged,
                })) => {
                    fetched.new_tags = entry.tags.len().saturating_sub(tags_before);
                    fetched.is_changed = is_changed;
                    warnings.extend(warning.into_iter().chain(merged));
                    changes.push(Change::Upsert(entry));
                }
                Some(Err(error)) => fetched.problem = Some(error.chain()),
            }
            all.push(fetched);
        }
        self.catalog.apply(&changes);
        all
    }

    /// As [`Core::learn_as`], and writes nothing.
    fn would_learn(&self, taught: &[Taught<'_>]) -> Vec<Fetched> {
        let would = |taught: &Taught<'_>| {
            let mut fetched = Fetched {
                posts: posts(taught.answer),
                ..Fetched::nothing(taught.key)
            };
            match self.read_media(taught.key) {
                Ok(before) if taught.is_something() => {
                    let mut after = before.clone();
                    learn(&mut after, taught.answer);
                    fetched.new_tags = after.tags.len().saturating_sub(before.tags.len());
                    fetched.is_changed = after != before;
                }
                Ok(_) => {}
                Err(error) => fetched.problem = Some(error.chain()),
            }
            fetched
        };
        taught.iter().map(would).collect()
    }
}

/// What is said to somebody who asks where there is nobody to ask.
const NONE: &str =
    "no source is switched on; [sources.danbooru] enabled = true in config.toml does";

/// What was said of a medium.
struct Taught<'a> {
    key: MediaKey,
    step: Option<OperationId>,
    answer: &'a Media,
}

impl Taught<'_> {
    fn is_something(&self) -> bool {
        !self.answer.sources.is_empty()
    }
}

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

/// Seconds until a picture is asked about again: as long as the sites want, and longer
/// each time.
fn pause(tries: u32, troubles: &[Trouble]) -> i64 {
    let doubled = FIRST_PAUSE_SECONDS << tries.saturating_sub(1).min(10);
    let wanted = troubles.iter().filter_map(|trouble| match trouble {
        Trouble::Later { pause, .. } => i64::try_from(pause.as_ref()?.as_secs() + 1).ok(),
        _ => None,
    });
    wanted.fold(doubled, i64::max).min(LONGEST_PAUSE_SECONDS)
}

fn pictures(n: usize) -> String {
    match n {
        1 => "a picture".to_owned(),
        n => format!("{n} pictures"),
    }
}

/// Why nobody is asked about what was ingested.
fn unasked(error: &Error) -> String {
    format!(
        "no source is asked about what was ingested: {}",
        error.chain()
    )
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
