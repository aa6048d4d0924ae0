//! What is noted of the person at the screen: marks, and which pictures were looked at.
//! Written on a thread of its own; what was looked at some seconds later, together.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Core, Engine,
    event::{Event, Level},
    job::lock,
};
use crate::model::{
    id::{MediaId, MediaKey},
    mark::{Mark, MediaRef},
};

/// How long a look waits for others to be written with it.
const TOGETHER: Duration = Duration::from_secs(10);

/// What a letter stands on from now on; `None`: on nothing.
type Setting = (char, Option<MediaRef>);

/// What waits to be written, and what the screen was told.
#[derive(Default)]
pub(super) struct Noted {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Waiting {
    marks: Vec<Setting>,
    views: Vec<(MediaRef, i64)>,
    is_closed: bool,
}

#[derive(Default)]
struct Told {
    stamp: Option<(u64, i64)>,
    marks: Arc<[Mark]>,
    /// Whether people know that nothing can be noted.
    has_failed: bool,
}

impl Noted {
    pub(super) fn close(&self) {
        lock(&self.waiting).is_closed = true;
        self.changed.notify_all();
    }

    fn put(&self, add: impl FnOnce(&mut Waiting)) {
        add(&mut lock(&self.waiting));
        self.changed.notify_all();
    }

    /// Waits for something to write; `false` when nothing more will come.
    fn wait(&self) -> bool {
        let is_idle = |waiting: &mut Waiting| !waiting.is_closed && waiting.marks.is_empty();
        let waiting = lock(&self.waiting);
        let waiting = self
            .changed
            .wait_while(waiting, |waiting| {
                is_idle(waiting) && waiting.views.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let (waiting, _) = self
            .changed
            .wait_timeout_while(waiting, TOGETHER, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.is_closed
    }
}

impl Engine {
    /// Puts a mark on a medium, or takes it away; answered by [`Event::Marks`].
    pub fn set_mark(&self, letter: char, key: Option<MediaKey>) {
        let core = &self.core;
        let medium = key.and_then(|key| core.media_ref(key));
        if medium.is_some() == key.is_some() {
            core.noted
                .put(|waiting| waiting.marks.push((letter, medium)));
        }
    }

    /// Notes that a medium was looked at just now.
    pub fn note_viewed(&self, key: MediaKey) {
        let core = &self.core;
        if let Some(medium) = core.media_ref(key) {
            let now = core.now();
            core.noted.put(|waiting| waiting.views.push((medium, now)));
        }
    }

    /// When a medium was looked at last; waits.
    pub fn viewed_now(&self, id: &MediaId) -> Option<i64> {
        let core = &self.core;
        // What waits to be written with others goes on waiting.
        let waiting = {
            let waiting = lock(&core.noted.waiting);
            let mut views = waiting.views.iter().rev();
            views
                .find(|(medium, _)| medium.id == *id)
                .map(|(_, at)| *at)
        };
        waiting.or_else(|| core.library.viewed_at(id).ok().flatten())
    }
}

impl Core {
    fn media_ref(&self, key: MediaKey) -> Option<MediaRef> {
        let catalog = self.catalog.load();
        Some(MediaRef::of(&catalog.record(key)?))
    }

    /// Writes what waits, until the end.
    pub(super) fn do_noting(&self) {
        self.tell_marks();
        while self.noted.wait() {
            self.write_noted();
        }
        self.write_noted();
    }

    /// Writes what waits now. What cannot be written is forgotten, and people told once.
    fn write_noted(&self) {
        // Held meanwhile, lest an older mark of the same letter is written last.
        let mut told = lock(&self.noted.told);
        let (marks, views) = {
            let mut waiting = lock(&self.noted.waiting);
            (
                std::mem::take(&mut waiting.marks),
                std::mem::take(&mut waiting.views),
            )
        };
        let mut failed = None;
        if !marks.is_empty() {
            failed = self.library.set_marks(&marks).err();
        }
        if !views.is_empty() {
            failed = self.library.note_viewed(&views).err().or(failed);
        }
        // Who sets a mark is told each time, who merely looks at pictures once.
        if let Some(error) = failed
            && (!marks.is_empty() || !std::mem::replace(&mut told.has_failed, true))
        {
            let text = format!("not noted: {}", error.chain());
            self.events.notice(Level::Warning, text);
        }
        if !marks.is_empty() {
            told.stamp = None;
        }
        drop(told);
        if !marks.is_empty() {
            self.tell_marks();
        }
    }

    /// Tells the marks when they are others than before, whoever set them.
    pub(super) fn tell_marks(&self) {
        let stamp = self.library.state_stamp();
        let mut told = lock(&self.noted.told);
        if stamp.is_none() || stamp == told.stamp {
            return;
        }
        match self.library.marks() {
            Ok(marks) => {
                told.stamp = stamp;
                if *marks != *told.marks {
                    told.marks = marks.into();
                    self.events.send(Event::Marks(Arc::clone(&told.marks)));
                }
            }
            Err(error) => {
                // Tried again once the file is another one.
                told.stamp = stamp;
                tracing::warn!("marks: {}", error.chain());
            }
        }
    }

    /// The marks as they are now.
    pub(super) fn marks(&self) -> Result<Vec<Mark>, String> {
        self.write_noted();
        self.library.marks().map_err(|error| error.chain())
    }

    /// What was looked at, and when.
    pub(super) fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        self.write_noted();
        self.library.viewed().map_err(|error| error.chain())
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::ControlFlow, path::Path};

    use super::*;
    use crate::{
        engine::{EngineSettings, LayoutKind, Library, event},
        model::query::{BuiltIn, Query},
    };

    fn library(root: &Path) -> Library {
        use std::io::Write as _;
        let library = Library::create(root, LayoutKind::Bucketed, "Test").unwrap();
        let folder = root.join("images/ab/cd");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["fox", "owl"] {
            let mut file = std::fs::File::create(folder.join(name).with_extension("png")).unwrap();
            file.write_all(name.as_bytes()).unwrap();
        }
        library
    }

    fn started(library: Library) -> (Engine, event::EventReceiver) {
        let (events, receiver) = event::channel();
        let engine = Engine::start(library, EngineSettings::default(), events).unwrap();
        engine
            .rebuild_now(&mut |_| ControlFlow::Continue(()))
            .unwrap();
        engine
            .load_catalog_now(&mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        (engine, receiver)
    }

    fn next_marks(receiver: &mut event::EventReceiver) -> Vec<(char, String)> {
        loop {
            if let Event::Marks(marks) = receiver.events.blocking_recv().unwrap() {
                let name = |mark: &Mark| (mark.letter, mark.medium.id.to_string());
                return marks.iter().map(name).collect();
            }
        }
    }

    fn found(engine: &Engine, query: &str) -> Vec<String> {
        let catalog = engine.catalog();
        let query = Query::parse(query, &BuiltIn).unwrap();
        let keys = engine.search_now(&query).keys;
        let ids = keys
            .iter()
            .map(|key| catalog.record(*key).unwrap().id().to_string());
        ids.collect()
    }

    #[test]
    fn marks_and_views_are_found_at_once_and_by_the_next_session() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let (engine, mut receiver) = started(library(&root));
        let key = |engine: &Engine, id: &str| engine.catalog().key_of(&id.parse().unwrap());
        let (fox, owl) = (key(&engine, "fox"), key(&engine, "owl"));
        for expected in [["fox"; 0].as_slice(), &[]] {
            assert_eq!(found(&engine, "mark:a"), expected);
            assert_eq!(found(&engine, "viewed:today"), expected);
        }
        engine.set_mark('a', fox);
        assert_eq!(next_marks(&mut receiver), [('a', "fox".to_owned())]);
        assert_eq!(found(&engine, "mark:a"), ["fox"]);
        engine.set_mark('a', owl);
        engine.set_mark('b', owl);
        engine.set_mark('b', None);
        engine.note_viewed(owl.unwrap());
        // What is asked for is written first, and no older answer is kept.
        assert_eq!(found(&engine, "mark:any"), ["owl"]);
        assert_eq!(found(&engine, "viewed:any order:viewed limit:1"), ["owl"]);
        assert_eq!(found(&engine, "viewed:none"), ["fox"]);
        assert_eq!(found(&engine, "order:viewed"), ["owl", "fox"]);
        engine.note_viewed(fox.unwrap());
        assert!(engine.viewed_now(&"fox".parse().unwrap()).is_some());
        engine.shutdown();
        drop(engine);
        let (engine, mut receiver) = started(Library::open(&root).unwrap());
        assert_eq!(next_marks(&mut receiver), [('a', "owl".to_owned())]);
        assert_eq!(found(&engine, "viewed:any order:id"), ["fox", "owl"]);
        assert!(engine.viewed_now(&"fox".parse().unwrap()).is_some());
    }
}
