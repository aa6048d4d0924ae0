//! Runs effects on the engine and brings back what it says: the one file of this
//! floor that knows threads and waiting. Nothing here blocks the thread that draws.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    config::ViewState,
    facets,
    insight::{Insight, Learned},
    message::{Counted, Effect, Message, ScreenEffect},
    pictures::Payloads,
};
use crate::{
    engine::{
        Engine, Which,
        event::{Event, EventReceiver, Level},
        fetching::Fetch,
        job::{Pool, spawn},
    },
    model::{id::MediaKey, query::Query},
};

/// Searches come no faster than this while somebody types.
const SEARCH_PAUSE: Duration = Duration::from_millis(30);

/// The engine as the session sees it.
pub struct Runtime {
    engine: Arc<Engine>,
    events: EventReceiver,
    /// What this file says by itself. Unbounded, but every message answers an effect,
    /// and of counts only the newest.
    own: mpsc::UnboundedReceiver<Message>,
    own_sender: mpsc::UnboundedSender<Message>,
    /// Counting, remembering: small work that would still hold up a frame.
    pool: Pool,
    newest_count: Arc<AtomicU64>,
    newest_selection_count: Arc<AtomicU64>,
    /// For what may take longer than a count.
    insights: Pool,
    newest_insight: Arc<AtomicU64>,
    learned: Arc<Mutex<Learned>>,
    /// The newest search, while the pause after the one before lasts.
    search: Option<(Query, u64)>,
    next_search: Instant,
    view_path: Option<PathBuf>,
}

impl Runtime {
    /// Connects to an engine. `view_path` is where the view is remembered.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        engine: Arc<Engine>,
        events: EventReceiver,
        view_path: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        let (own_sender, own) = mpsc::unbounded_channel();
        Ok(Self {
            engine,
            events,
            own,
            own_sender,
            pool: Pool::new("session", 1)?,
            newest_count: Arc::default(),
            newest_selection_count: Arc::default(),
            insights: Pool::new("insight", 1)?,
            newest_insight: Arc::default(),
            learned: Arc::default(),
            search: None,
            next_search: Instant::now(),
            view_path,
        })
    }

    /// What the screen was sent for a picture before.
    pub fn payloads(&self) -> Payloads {
        self.engine.payloads()
    }

    /// Starts what an effect asks for and returns at once. What only the screen can do
    /// is handed back.
    pub fn run(&mut self, effect: Effect) -> Option<ScreenEffect> {
        let engine = &self.engine;
        match effect {
            Effect::Screen(effect) => return Some(effect),
            Effect::Search { query, generation } => {
                if Instant::now() >= self.next_search {
                    self.search_now(query, generation);
                } else {
                    self.search = Some((query, generation));
                }
            }
            Effect::Suggest {
                prefix,
                context,
                generation,
            } => engine.suggest(prefix, context, generation),
            Effect::Pictures(wanted) => engine.want_pictures(wanted),
            Effect::Facets {
                of,
                keys,
                pending,
                generation,
            } => {
                let newest = Arc::clone(match of {
                    Counted::Result => &self.newest_count,
                    Counted::Selection => &self.newest_selection_count,
                });
                newest.store(generation, Ordering::Release);
                let (engine, catalog) = (Arc::clone(engine), engine.catalog());
                let sender = self.own_sender.clone();
                self.pool.run(move || {
                    let is_old = || newest.load(Ordering::Acquire) != generation;
                    let tags_of =
                        |keys: &[MediaKey]| engine.tag_counts_now(&catalog, keys, &is_old);
                    if let Some(rows) = facets::count(&catalog, &keys, &pending, tags_of) {
                        // Nobody listens any more once the session has ended.
                        let _ = sender.send(Message::Facets {
                            generation,
                            rows: rows.into(),
                        });
                    }
                });
            }
            Effect::Frame { key, number, size } => engine.want_frame(key, number, size),
            Effect::LoadMedia(key) => engine.load_media(key),
            Effect::Insight(key) => self.find_insight(key),
            Effect::Explain(query) => {
                let engine = Arc::clone(engine);
                let sender = self.own_sender.clone();
                self.insights.run(move || {
                    let plan = Box::new(engine.explain_now(&query));
                    // Nobody listens any more once the session has ended.
                    let _ = sender.send(Message::Plan(query.canonical(), plan));
                });
            }
            Effect::FindEdits(asked) => {
                let catalog = engine.catalog();
                let sender = self.own_sender.clone();
                self.pool.run(move || {
                    let found = asked.find(&catalog);
                    // Nobody listens any more once the session has ended.
                    let _ = sender.send(Message::Edits(Box::new(found)));
                });
            }
            Effect::Keep(step) => engine.keep(step),
            Effect::Discard(numbers) => engine.discard(numbers),
            Effect::Forget(ids) => engine.forget_unsaved(ids),
            Effect::Save(steps) => {
                engine.save(steps);
            }
            Effect::RevertNewest { is_redo } => engine.revert(Which::NewestEdit, is_redo),
            Effect::Revert { id, is_redo } => engine.revert(Which::Named(id), is_redo),
            Effect::History => engine.history(),
            Effect::ChangeTags { action, edits } => engine.change_tags(action, edits),
            Effect::RenameTag {
                from,
                to,
                leaves_alias,
            } => engine.rename_tag(from, to, leaves_alias),
            Effect::SuggestImplication { skip } => engine.suggest_implication(skip),
            Effect::Why { query, key } => engine.why(query, key),
            Effect::NoteViewed(key) => engine.note_viewed(key),
            Effect::SetMark { letter, key } => engine.set_mark(letter, key),
            Effect::NameSearch { name, query } => engine.name_search(name, query),
            Effect::Searches => engine.searches(),
            Effect::Trash(keys) => {
                engine.trash(keys, "by hand");
            }
            Effect::Ingest(paths) => {
                engine.ingest(paths.into_iter().map(below_home).collect(), None);
            }
            Effect::Scan => {
                engine.scan_inbox();
            }
            Effect::PauseIngest(paused) => engine.pause_ingest(paused),
            Effect::SetWorkers(workers) => engine.set_ingest_workers(workers),
            Effect::Retry(path) => engine.retry(path),
            Effect::ReloadCatalog => {
                if let Err(error) = engine.reload_catalog() {
                    self.notice(Level::Info, format!("loading the library: {error}"));
                }
            }
            Effect::AskCache => engine.ask_cache(),
            Effect::ClearCache(pattern) => {
                engine.clear_cache(pattern);
            }
            Effect::WarmCache(keys) => {
                engine.warm_cache(keys);
            }
            Effect::Rebuild => {
                engine.rebuild();
            }
            Effect::Fetch { keys, again } => {
                engine.fetch(
                    keys,
                    Fetch {
                        again,
                        ..Fetch::default()
                    },
                );
            }
            Effect::Verify => {
                engine.verify();
            }
            Effect::Cancel(job) => engine.cancel(job),
            Effect::OpenUrl(url) => self.open(url),
            Effect::Remember(view) => self.remember(view),
        }
        None
    }

    fn find_insight(&self, key: MediaKey) {
        let number = self.newest_insight.fetch_add(1, Ordering::AcqRel) + 1;
        let newest = Arc::clone(&self.newest_insight);
        let learned = Arc::clone(&self.learned);
        let engine = Arc::clone(&self.engine);
        let sender = self.own_sender.clone();
        self.insights.run(move || {
            if newest.load(Ordering::Acquire) != number {
                return;
            }
            // Only this pool's one thread ever takes it.
            let mut learned = learned.lock().unwrap_or_else(PoisonError::into_inner);
            let catalog = engine.catalog();
            let id = catalog.record(key).map(|record| record.id());
            let viewed = id.and_then(|id| engine.viewed_now(&id));
            let insight = Insight::find(&catalog, key, &mut learned, |measure, count| {
                engine.similar_now(&catalog, key, measure, count)
            });
            let mut insight = Insight { viewed, ..insight };
            // Nobody listens any more once the session has ended.
            let _ = sender.send(Message::Insight(Box::new(insight.clone())));
            // Who has moved on does not wait for the groups of what was left behind.
            if newest.load(Ordering::Acquire) == number
                && let Ok(Some(group)) = engine.duplicate_group_now(key)
            {
                insight.duplicates = Some((group.name, group.keys.len()));
                let _ = sender.send(Message::Insight(Box::new(insight)));
            }
        });
    }

    /// The next thing to tell the session; `None` once the engine has ended. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let is_waiting = self.search.is_some();
            tokio::select! {
                biased;
                Some(message) = self.own.recv() => return Some(message),
                () = sleep_until(self.next_search), if is_waiting => {
                    if let Some((query, generation)) = self.search.take() {
                        self.search_now(query, generation);
                    }
                }
                Ok(()) = self.events.progress.changed() => {
                    let jobs = self.events.progress.borrow_and_update().clone();
                    return Some(Message::Progress(jobs));
                }
                event = self.events.events.recv() => return event.map(Message::Engine),
            }
        }
    }

    /// What has come already, without waiting.
    pub fn try_next(&mut self) -> Option<Message> {
        self.own
            .try_recv()
            .ok()
            .or_else(|| self.events.events.try_recv().ok().map(Message::Engine))
    }

    /// Ends the engine: saves that are queued are written, work in hand is finished.
    /// Says whether that was done within the limit; what it said last is in `said`.
    pub async fn shutdown(mut self, limit: Duration, said: &mut Vec<Event>) -> bool {
        let engine = Arc::clone(&self.engine);
        let work = tokio::task::spawn_blocking(move || engine.shutdown());
        // Workers may wait for room in the channel, so it is emptied meanwhile.
        let drain = async {
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    done = &mut work => break done.is_ok(),
                    Some(event) = self.events.events.recv() => said.push(event),
                }
            }
        };
        let is_done = timeout(limit, drain).await.unwrap_or(false);
        while let Ok(event) = self.events.events.try_recv() {
            said.push(event);
        }
        is_done
    }

    fn search_now(&mut self, query: Query, generation: u64) {
        self.search = None;
        self.next_search = Instant::now() + SEARCH_PAUSE;
        self.engine.search(query, generation);
    }

    fn notice(&self, level: Level, text: String) {
        // Nobody listens any more once the session has ended.
        let _ = self
            .own_sender
            .send(Message::Engine(Event::Notice { level, text }));
    }

    fn remember(&self, view: ViewState) {
        if let Some(path) = self.view_path.clone() {
            self.pool.run(move || {
                if let Err(error) = view.save(&path) {
                    tracing::warn!("{error}");
                }
            });
        }
    }

    /// Hands an address to the desktop; without one it is shown, for copying.
    fn open(&self, url: String) {
        let has_desktop = cfg!(target_os = "macos")
            || ["DISPLAY", "WAYLAND_DISPLAY"]
                .iter()
                .any(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()));
        if !has_desktop {
            self.notice(Level::Info, url);
            return;
        }
        let opener = if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        let sender = self.own_sender.clone();
        let address = url.clone();
        let opened = spawn("open", move || {
            let status = Command::new(opener)
                .arg(&address)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !status.is_ok_and(|status| status.success()) {
                // Nobody listens any more once the session has ended.
                let _ = sender.send(Message::Engine(Event::Notice {
                    level: Level::Info,
                    text: address,
                }));
            }
        });
        if let Err(error) = opened {
            self.notice(Level::Warning, format!("cannot open {url}: {error}"));
        }
    }
}

/// `~/x` as the shell would read it.
fn below_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path,
    }
}
