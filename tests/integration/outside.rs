//! Other programs at work on a library that is open: what they do to originals and
//! sidecars is seen, and nothing of it loses tags.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
    time::Duration,
};

use tagloupe::{
    engine::{
        Engine, EngineSettings,
        event::{self, Event},
    },
    model::{catalog::Catalog, entry::Facets},
    storage::{LayoutKind, Library, VerifySettings},
};

use super::support::{write_picture, write_text};

/// A generous limit: nothing waits for it to pass.
const LIMIT: Duration = Duration::from_mins(2);

/// An in-place library of three pictures, the first two with a sidecar, that is open.
struct Open {
    engine: Option<Engine>,
    events: Receiver<Event>,
    notices: Vec<String>,
    listener: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Open {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
            write_picture(&folder.path().join(format!("{name}.png")), seed);
        }
        for (name, tag) in [("a", "fox"), ("b", "snow")] {
            write_text(
                &folder.path().join(format!("{name}.json")),
                &sidecar(&[tag]),
            );
        }
        let library = Library::create(folder.path(), LayoutKind::InPlace, "test").unwrap();
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        // Pictures are known by their bytes.
        let keys = library.unhashed_keys(false).unwrap();
        let unhashed = library.unhashed(&keys).unwrap();
        let hashed: Vec<_> = unhashed
            .into_iter()
            .map(|file| {
                let bytes = fs::read(folder.path().join(&file.path)).unwrap();
                (file, tagloupe::model::id::Md5(md5::compute(bytes).0))
            })
            .collect();
        library.note_md5(&hashed).unwrap();

        let (events, mut receiver) = event::channel();
        let engine = Engine::start(library, EngineSettings::default(), events).unwrap();
        let (sender, heard) = channel();
        let listener = std::thread::Builder::new()
            .spawn(move || {
                while let Some(event) = receiver.events.blocking_recv() {
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            })
            .unwrap();
        engine.start_catalog();
        let mut open = Self {
            engine: Some(engine),
            events: heard,
            notices: Vec::new(),
            listener: Some(listener),
            folder,
        };
        open.wait("the catalog", |catalog| {
            catalog.is_complete() && catalog.len() == 3
        });
        open
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until the catalog is so; every event may have changed it.
    #[track_caller]
    fn wait(&mut self, what: &str, is_so: impl Fn(&Catalog) -> bool) {
        while !is_so(&self.engine.as_ref().unwrap().catalog()) {
            match self.events.recv_timeout(LIMIT) {
                Ok(Event::Notice { text, .. }) => self.notices.push(text),
                Ok(_) => {}
                Err(error) => panic!("{what}: {error}; heard {:?}", self.notices),
            }
        }
    }

    #[track_caller]
    fn wait_for_notice(&mut self, part: &str) {
        while !self.notices.iter().any(|text| text.contains(part)) {
            match self.events.recv_timeout(LIMIT) {
                Ok(Event::Notice { text, .. }) => self.notices.push(text),
                Ok(_) => {}
                Err(error) => panic!("{part}: {error}; heard {:?}", self.notices),
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.shutdown();
        }
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn sidecar(tags: &[&str]) -> String {
    let tags: Vec<String> = tags
        .iter()
        .map(|tag| format!("{{\"category\": \"general\", \"value\": \"{tag}\"}}"))
        .collect();
    format!(
        "{{\"schema\": 1, \"tags\": [{}], \"related\": {{}}, \"metadata\": {{}}}}\n",
        tags.join(", ")
    )
}

/// The tags of a medium, if there is one with this id.
fn tags(catalog: &Catalog, id: &str) -> Option<Vec<String>> {
    let record = catalog.record(catalog.key_of(&id.parse().unwrap())?)?;
    Some(record.tags().map(|tag| tag.value.clone()).collect())
}

fn has(catalog: &Catalog, id: &str, values: &[&str]) -> bool {
    tags(catalog, id).is_some_and(|found| found == values)
}

fn replace(path: &Path, text: &str) {
    let temporary = path.with_extension("part");
    write_text(&temporary, text);
    fs::rename(temporary, path).unwrap();
}

#[test]
fn sidecars_that_are_changed_made_broken_and_removed_are_seen() {
    let mut open = Open::new();
    write_text(&open.path("a.json"), &sidecar(&["fox", "night"]));
    open.wait("a tag more", |catalog| has(catalog, "a", &["fox", "night"]));
    replace(&open.path("a.json"), &sidecar(&["vixen"]));
    open.wait("another tag", |catalog| has(catalog, "a", &["vixen"]));
    write_text(&open.path("c.json"), &sidecar(&["tree"]));
    open.wait("a new sidecar", |catalog| has(catalog, "c", &["tree"]));
    write_text(&open.path("b.json"), "{\"tags\": [");
    open.wait_for_notice("broke the sidecar of b.png");
    write_text(&open.path("b.json"), &sidecar(&["ice"]));
    open.wait("a mended sidecar", |catalog| has(catalog, "b", &["ice"]));
    fs::remove_file(open.path("c.json")).unwrap();
    open.wait("no sidecar", |catalog| has(catalog, "c", &[]));
}

#[test]
fn originals_that_come_change_and_go_are_seen() {
    let mut open = Open::new();
    write_picture(&open.path("deep/er/d.png"), 4);
    open.wait("a new picture", |catalog| {
        tags(catalog, "deep/er/d").is_some()
    });
    fs::remove_file(open.path("b.png")).unwrap();
    open.wait("a lost one", |catalog| {
        catalog.with_facet(Facets::MISSING).len() == 1 && has(catalog, "b", &["snow"])
    });
    fs::remove_file(open.path("c.png")).unwrap();
    open.wait("one that is gone", |catalog| tags(catalog, "c").is_none());
    fs::remove_dir_all(open.path("deep")).unwrap();
    open.wait("a folder that is gone", |catalog| {
        tags(catalog, "deep/er/d").is_none()
    });
}

#[test]
fn a_renamed_original_keeps_its_tags() {
    let mut open = Open::new();
    fs::create_dir(open.path("elsewhere")).unwrap();
    fs::rename(open.path("a.png"), open.path("elsewhere/z.png")).unwrap();
    open.wait("the tags where it is now", |catalog| {
        has(catalog, "elsewhere/z", &["fox"]) && tags(catalog, "a").is_none()
    });
    open.wait_for_notice("elsewhere/z.png was renamed");
    assert!(!open.path("a.json").exists());
    assert!(open.path("elsewhere/z.json").exists());
    // One that is renamed with its sidecar needs no help.
    fs::rename(open.path("b.json"), open.path("y.json")).unwrap();
    fs::rename(open.path("b.png"), open.path("y.png")).unwrap();
    open.wait("both renamed", |catalog| has(catalog, "y", &["snow"]));
    // Another picture in the place of one that is gone is not it.
    fs::remove_file(open.path("y.png")).unwrap();
    write_picture(&open.path("x.png"), 9);
    open.wait("another picture", |catalog| has(catalog, "x", &[]));
    assert!(open.path("y.json").exists());

    let root = open.folder.path().to_owned();
    let engine = open.engine.take().unwrap();
    engine.shutdown();
    drop(engine);
    let library = Library::open(&root).unwrap();
    let past = library.history(9).unwrap();
    assert_eq!(past[0].action, "follow renamed originals");
    let go_on = &mut |_| ControlFlow::Continue(());
    let report = library.verify(&VerifySettings::looking(0), go_on).unwrap();
    assert_eq!(
        report.findings.len(),
        1,
        "the lost one: {:?}",
        report.findings
    );
}
