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
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
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
    storage::{Question, Written},
};

/// Pictures that are asked about, and written, together.
const BATCH: u32 = 100;
/// How long the first picture waits for others.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long pictures belong to a process that asks about them: longer than a site
/// that answers one at a time needs for a batch.
const LEASE_SECONDS: i64 = 900;
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
    state: Mutex<SourceState>,
}

/// All sources that are switched on, in the order of their priority.
#[derive(Default)]
pub(super) struct Sources {
    all: Vec<Source>,
    /// What is wrong with the others.
    problems: Vec<String>,
    turn: Mutex<Turn>,
    changed: Condvar,
}

/// What the thread that asks waits for.
#[derive(Default)]
struct Turn {
    is_woken: bool,
    is_closed: bool,
}

/// What the sources say of some pictures.
struct Said {
    /// As long as the pictures; what nobody knows is empty.
    answers: Vec<Media>,
    troubles: Vec<(String, Trouble)>,
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
                        state: Mutex::new(SourceState {
                            name,
                            ..SourceState::default()
                        }),
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

    /// The names of `only` that are no source here.
    fn unknown<'n>(&self, only: &'n [String]) -> Option<&'n String> {
        let is_there = |name: &&String| self.all.iter().any(|s| s.site.name() == *name);
        only.iter().find(|name| !is_there(name))
    }

    /// Asks each source about the pictures that it is to be asked about, what is kept
    /// first, and unites the answers by priority.
    fn ask(
        &self,
        cache: &Cache,
        pictures: &[Md5],
        wants: &dyn Fn(&str, usize) -> bool,
        again: bool,
        now: &str,
        cancel: &Cancel,
    ) -> Said {
        let mut said = Said {
            answers: vec![Media::default(); pictures.len()],
            troubles: Vec::new(),
        };
        for source in &self.all {
            let name = source.site.name();
            let wanted: Vec<usize> = (0..pictures.len()).filter(|at| wants(name, *at)).collect();
            let mut places: BTreeMap<Md5, Vec<usize>> = BTreeMap::new();
            for at in wanted {
                places.entry(pictures[at]).or_default().push(at);
            }
            let asked: Vec<Md5> = places.keys().copied().collect();
            let trouble = source.ask(cache, &asked, again, now, cancel, &mut |md5, answer| {
                for at in places.get(md5).into_iter().flatten() {
                    merge(&mut said.answers[*at], answer.clone());
                }
            });
            let text = trouble.as_ref().map(Trouble::to_string);
            lock(&source.state).trouble = text;
            if let Some(trouble) = trouble {
                let is_end = trouble == Trouble::Cancelled;
                said.troubles.push((name.to_owned(), trouble));
                if is_end {
                    break;
                }
            }
        }
        said
    }
}

impl Source {
    /// Gives what the source knows of pictures to `on`, what is kept first; returns what
    /// kept it from answering the rest.
    fn ask(
        &self,
        cache: &Cache,
        pictures: &[Md5],
        again: bool,
        now: &str,
        cancel: &Cancel,
        on: &mut dyn FnMut(&Md5, Media),
    ) -> Option<Trouble> {
        let key = |md5: &Md5| Key::source(self.site.name(), md5);
        let mut missing = Vec::new();
        if again {
            missing.extend_from_slice(pictures);
        } else {
            let keys: Vec<(Key, Version)> = pictures
                .iter()
                .map(|md5| (key(md5), self.version))
                .collect();
            for (md5, kept) in pictures.iter().zip(cache.get_many(&keys)) {
                match kept {
                    Lookup::Absent => lock(&self.state).kept += 1,
                    Lookup::Miss => missing.push(*md5),
                    Lookup::Found(text) => match parse(&text) {
                        Some(answer) => {
                            lock(&self.state).kept += 1;
                            on(md5, answer);
                        }
                        None => missing.push(*md5),
                    },
                }
            }
        }
        for asked in missing.chunks(self.site.most_at_once().max(1)) {
            if cancel.is_cancelled() {
                return Some(Trouble::Cancelled);
            }
            let answers = match self.site.look_up(asked, now, cancel) {
                Ok(answers) => answers,
                Err(trouble) => return Some(trouble),
            };
            let keys: Vec<Key> = asked.iter().map(key).collect();
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
            for (md5, answer) in asked.iter().zip(answers) {
                let mut state = lock(&self.state);
                state.asked += 1;
                state.known += u64::from(answer.is_some());
                drop(state);
                if let Some(answer) = answer {
                    on(md5, answer);
                }
            }
        }
        None
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

    /// From now on asks the sources about what is ingested, and was before.
    pub fn start_sources(&self) {
        let core = &self.core;
        for problem in &core.sources.problems {
            core.events.notice(Level::Error, problem.clone());
        }
        if core.sources.is_empty() {
            return;
        }
        core.events.send(Event::Sources(core.sources.states()));
        core.asks.store(true, Ordering::Release);
        core.sources.wake();
    }

    /// Asks the sources about media in the background; answered by
    /// [`Event::JobDone`].
    pub fn fetch(&self, keys: Vec<MediaKey>, fetch: Fetch) -> JobId {
        self.run_job(move |core, job, cancel| {
            let label = "asking sources";
            let mut progress = Progress::new(job, label);
            let fetched = core.fetch(&keys, &fetch, cancel, &mut |done, total| {
                progress.done = done;
                progress.total = Some(total);
                core.events.progress(progress.clone());
            });
            core.events.send(Event::Sources(core.sources.states()));
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
    let text = format!(
        "{} of {asked} known, {} new tags",
        report.known(),
        report.new_tags()
    );
    let problems = report.fetched.iter().filter_map(|f| f.problem.as_ref());
    match report.troubles.values().chain(problems).next() {
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
        while self.sources.wait(patience) {
            patience = None;
            if !self.asks.load(Ordering::Acquire) {
                continue;
            }
            let now = self.now();
            match self.library.count_questions() {
                Ok((_, None)) => continue,
                Ok((_, Some(due))) if due > now => {
                    patience = Some(seconds(due - now));
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("no source is asked: {}", error.chain());
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
            let mut progress = Progress::new(job, "asking sources");
            let report = self.answer_due(&cancel, &mut |done, left| {
                progress.done = done;
                progress.total = Some(done + left);
                self.events.progress(progress.clone());
            });
            lock(&self.jobs).remove(&job);
            self.events.end_progress(job);
            if report.is_cancelled {
                // Until the next start.
                self.asks.store(false, Ordering::Release);
            }
            for trouble in report.troubles.values() {
                self.events.notice(Level::Warning, trouble.clone());
            }
            // What is left is due at some time.
            self.sources.wake();
        }
    }

    /// Asks about everything that is due.
    fn answer_due(&self, cancel: &Cancel, on: &mut dyn FnMut(u64, u64)) -> FetchReport {
        let mut report = FetchReport::default();
        if self.sources.is_empty() {
            return report;
        }
        loop {
            let now = self.now();
            let taken = self.library.take_questions(now, now + LEASE_SECONDS, BATCH);
            let questions = match taken {
                Ok(questions) => questions,
                Err(error) => {
                    report.warnings.push(error.chain());
                    return report;
                }
            };
            if questions.is_empty() {
                return report;
            }
            self.answer(questions, cancel, &mut report);
            self.events.send(Event::Sources(self.sources.states()));
            let left = self.library.count_questions().map_or(0, |(count, _)| count);
            on(report.fetched.len() as u64, left);
            if cancel.is_cancelled() {
                report.is_cancelled = true;
                return report;
            }
        }
    }

    /// Asks about pictures that were taken, and ends or postpones them.
    fn answer(&self, questions: Vec<Question>, cancel: &Cancel, report: &mut FetchReport) {
        let catalog = self.catalog.load();
        let key = |question: &Question| {
            let known = catalog.key_of(&question.id);
            known.or_else(|| self.library.key_of(&question.id).ok().flatten())
        };
        let mut gone: Vec<MediaId> = Vec::new();
        let mut asked: Vec<(Question, MediaKey, Media)> = Vec::new();
        for question in questions {
            // What went to the trash meanwhile is no longer asked about.
            match key(&question).and_then(|key| Some((key, self.read_media(key).ok()?))) {
                Some((key, media)) => asked.push((question, key, media)),
                None => gone.push(question.id),
            }
        }
        let md5s: Vec<Md5> = asked.iter().map(|(question, ..)| question.md5).collect();
        // What came with the picture is not asked for.
        let wants = |name: &str, at: usize| !asked[at].2.sources.contains_key(name);
        let now = self.now();
        let said = self
            .sources
            .ask(&self.cache, &md5s, &wants, false, &format_time(now), cancel);
        let taught: Vec<Taught<'_>> = asked
            .iter()
            .zip(&said.answers)
            .map(|((question, key, _), answer)| Taught {
                key: *key,
                step: question.step,
                answer,
            })
            .collect();
        let fetched = self.learn(&taught, "learn from sources", &mut report.warnings);
        drop(taught);
        let is_later = |trouble: &Trouble| !matches!(trouble, Trouble::Refused(_));
        let has_to_wait = said.troubles.iter().any(|(_, trouble)| is_later(trouble));
        let mut later: Vec<(Question, i64)> = Vec::new();
        for ((question, ..), fetched) in asked.into_iter().zip(&fetched) {
            let tries = question.tries + u32::from(!cancel.is_cancelled());
            if (has_to_wait || fetched.problem.is_some()) && tries < MOST_TRIES {
                let due = if cancel.is_cancelled() {
                    now
                } else {
                    now + pause(tries, &said.troubles)
                };
                later.push((Question { tries, ..question }, due));
            } else {
                gone.push(question.id);
            }
        }
        let noted = self.library.postpone_questions(&later);
        if let Err(error) = noted.and_then(|()| self.library.end_questions(&gone)) {
            report.warnings.push(error.chain());
        }
        report.fetched.extend(fetched);
        report.note(said.troubles);
    }

    /// Asks about media that somebody named.
    fn fetch(
        &self,
        keys: &[MediaKey],
        fetch: &Fetch,
        cancel: &Cancel,
        on: &mut dyn FnMut(u64, u64),
    ) -> Result<FetchReport, String> {
        if self.sources.is_empty() {
            let problem = self.sources.problems.first().cloned();
            return Err(problem.unwrap_or_else(|| NONE.to_owned()));
        }
        if let Some(name) = self.sources.unknown(&fetch.only) {
            return Err(format!("{name} is no source that is switched on"));
        }
        let mut report = FetchReport::default();
        let total = keys.len() as u64;
        let operation = self.library.operation(format!("fetch {}", keys.len()));
        for keys in keys.chunks(BATCH as usize) {
            if cancel.is_cancelled() {
                report.is_cancelled = true;
                break;
            }
            self.hash_these(keys, cancel)?;
            let catalog = self.catalog.load();
            let md5 = |key: &MediaKey| catalog.record(*key)?.md5();
            let mut asked: Vec<(MediaKey, Md5)> = Vec::new();
            for key in keys {
                match md5(key) {
                    Some(md5) => asked.push((*key, md5)),
                    None => report.fetched.push(Fetched {
                        problem: Some("its original cannot be read".to_owned()),
                        ..Fetched::nothing(*key)
                    }),
                }
            }
            let md5s: Vec<Md5> = asked.iter().map(|(_, md5)| *md5).collect();
            let wants =
                |name: &str, _| fetch.only.is_empty() || fetch.only.iter().any(|only| only == name);
            let now = format_time(self.now());
            let said = self
                .sources
                .ask(&self.cache, &md5s, &wants, fetch.again, &now, cancel);
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
            let is_over =
                !said.troubles.is_empty() && said.troubles.len() == self.asked_sources(fetch);
            report.note(said.troubles);
            on(report.fetched.len() as u64, total);
            if is_over {
                // Nobody is left to ask.
                break;
            }
        }
        self.library.finish(&operation);
        report.is_cancelled |= cancel.is_cancelled();
        Ok(report)
    }

    fn asked_sources(&self, fetch: &Fetch) -> usize {
        match fetch.only.len() {
            0 => self.sources.all.len(),
            only => only,
        }
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
    fn note(&mut self, troubles: Vec<(String, Trouble)>) {
        for (name, trouble) in troubles {
            if trouble == Trouble::Cancelled {
                self.is_cancelled = true;
            } else {
                self.troubles.insert(name, trouble.to_string());
            }
        }
    }
}

/// Seconds until a picture is asked about again: as long as the sites want, and longer
/// each time.
fn pause(tries: u32, troubles: &[(String, Trouble)]) -> i64 {
    let doubled = FIRST_PAUSE_SECONDS << tries.saturating_sub(1).min(10);
    let wanted = troubles.iter().filter_map(|(_, trouble)| match trouble {
        Trouble::Later { pause, .. } => i64::try_from(pause.as_ref()?.as_secs() + 1).ok(),
        _ => None,
    });
    wanted.fold(doubled, i64::max).min(LONGEST_PAUSE_SECONDS)
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
