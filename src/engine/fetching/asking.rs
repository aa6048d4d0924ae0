//! Asking the sources that are switched on: what is kept first, then the sites, and
//! what they say united by their priority.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    super::{
        cache::{
            entry::Version,
            key::Key,
            layer::{Cache, Lookup},
        },
        companion::merge,
        job::{Cancel, lock},
        source::{MetadataSource, Trouble, booru, settings::SourceSettings},
    },
    seconds,
};
use crate::model::{id::Md5, media::Media, sidecar::Sidecar};

/// How often it is told how the sources stand while one is asked.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether another process has asked and it is our turn.
const TURN_INTERVAL: Duration = Duration::from_millis(20);
/// After how long a site is asked again that was away; twice as long each time.
pub(super) const FIRST_PAUSE_SECONDS: i64 = 60;
const LONGEST_PAUSE_SECONDS: i64 = 6 * 3_600;
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
pub(in crate::engine) struct Sources {
    all: Vec<Source>,
    /// What is wrong with the others.
    pub problems: Vec<String>,
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
pub(super) struct Round<'r> {
    /// Whether the sites are asked although their answers are kept.
    pub again: bool,
    pub cancel: &'r Cancel,
    /// Whether a site may be asked now, of which there is an interval between questions.
    takes_turn: &'r dyn Fn(&str, Duration) -> bool,
    /// Sources that gave no answer. They are left alone for the rest of it: a site that
    /// is away would be asked in vain a thousand times, and waited for each time.
    pub troubles: BTreeMap<String, Trouble>,
}

impl<'r> Round<'r> {
    pub(super) fn new(
        again: bool,
        cancel: &'r Cancel,
        takes_turn: &'r dyn Fn(&str, Duration) -> bool,
    ) -> Self {
        Self {
            again,
            cancel,
            takes_turn,
            troubles: BTreeMap::new(),
        }
    }
}

/// What the sources say of some pictures.
pub(super) struct Said {
    /// As long as the pictures; what nobody knows is empty.
    pub answers: Vec<Media>,
    /// Why there may be more to know.
    pub troubles: Vec<Trouble>,
}

impl Sources {
    pub(in crate::engine) fn open(settings: &[SourceSettings]) -> Self {
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

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn wake(&self) {
        lock(&self.turn).is_woken = true;
        self.changed.notify_all();
    }

    pub(in crate::engine) fn close(&self) {
        lock(&self.turn).is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until it is woken, for so long at most; `false` when it is time to end.
    pub(super) fn wait(&self, patience: Option<Duration>) -> bool {
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

    pub(super) fn states(&self) -> Vec<SourceState> {
        let states = self.all.iter().map(|source| lock(&source.state).clone());
        states.collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|source| source.site.name())
    }

    /// Those that gave no answer lately: pictures that come one by one would each ask
    /// a site in vain that is away.
    pub(super) fn silent(&self) -> BTreeMap<String, Trouble> {
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
    pub(super) fn is_time_to_tell(&self) -> bool {
        let mut told = lock(&self.told);
        let is_time = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if is_time {
            *told = Some(Instant::now());
        }
        is_time
    }

    /// Why one of `only` cannot be asked.
    pub(super) fn unknown(&self, only: &[String]) -> Option<String> {
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
    pub(super) fn ask(
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
                let (new, trouble) = source.ask(cache, &missing, now, round, heard);
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
        round: &Round<'_>,
        heard: &mut dyn FnMut(usize),
    ) -> (Vec<(Md5, Media)>, Option<Trouble>) {
        let cancel = round.cancel;
        let mut known = Vec::new();
        let mut done = 0;
        for asked in pictures.chunks(self.site.most_at_once().max(1)) {
            // The site counts what all ask.
            while !cancel.is_cancelled() && !(round.takes_turn)(self.site.name(), self.interval) {
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

/// Seconds until a picture is asked about again: as long as the sites want, and longer
/// each time.
pub(super) fn pause(tries: u32, troubles: &[Trouble]) -> i64 {
    let doubled = FIRST_PAUSE_SECONDS << tries.saturating_sub(1).min(10);
    let wanted = troubles.iter().filter_map(|trouble| match trouble {
        Trouble::Later { pause, .. } => i64::try_from(pause.as_ref()?.as_secs() + 1).ok(),
        _ => None,
    });
    wanted.fold(doubled, i64::max).min(LONGEST_PAUSE_SECONDS)
}
