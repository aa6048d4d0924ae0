//! The ingest over real libraries and real pictures: what comes in, what is turned
//! away, what is never touched; and several processes at one door.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use tagloupe::{
    engine::{
        cache::layer::Cache,
        catalog_store::CatalogStore,
        decode::MemoryGate,
        event::{Event, IngestEvent, IngestOutcome, PictureSize, Stage, channel},
        ingest::{IngestParts, IngestPipeline, IngestSettings, Submission, is_skipped_name},
        job::system_clock,
        thumbnail::{Stamp, ThumbnailStore},
        watch::WatchSettings,
    },
    model::{id::Md5, sidecar::Sidecar},
    storage::{LayoutKind, Library, Transfer},
};
use tempfile::TempDir;

use super::support::{files_below, originals, picture, write_picture, write_pictures, write_text};

/// A generous limit: nothing waits for it to pass.
const LIMIT: Duration = Duration::from_mins(2);

/// The events of an ingest, and a bell that rings with each.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<IngestEvent>>,
    bell: Condvar,
}

/// A library, its ingest, and everything that was heard from it.
struct Bench {
    folder: PathBuf,
    library: Arc<Library>,
    catalog: Arc<CatalogStore>,
    thumbnails: Arc<ThumbnailStore>,
    /// Dropped first, so that the events end.
    pipeline: Option<IngestPipeline>,
    heard: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut IngestSettings)) -> Self {
        Self::of_kind(LayoutKind::Bucketed, change)
    }

    fn of_kind(kind: LayoutKind, change: impl FnOnce(&mut IngestSettings)) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        Library::create(&folder.join("library"), kind, "test").unwrap();
        let bench = Self::open(folder, change);
        Self {
            _temporary: Some(temporary),
            ..bench
        }
    }

    fn open(folder: &Path, change: impl FnOnce(&mut IngestSettings)) -> Self {
        let library = Arc::new(Library::open(&folder.join("library")).unwrap());
        let catalog = Arc::new(CatalogStore::default());
        let thumbnails = Arc::new(ThumbnailStore::new(Cache::on_disk(
            &library.layout().cache(),
            system_clock,
        )));
        let (events, mut receiver) = channel();
        let heard: Arc<Heard> = Arc::default();
        let hears = Arc::clone(&heard);
        let listener = std::thread::Builder::new()
            .spawn(move || {
                while let Some(event) = receiver.events.blocking_recv() {
                    if let Event::Ingest(event) = event {
                        hears.events.lock().unwrap().push(event);
                        hears.bell.notify_all();
                    }
                }
            })
            .unwrap();
        let mut settings = IngestSettings {
            workers: 2,
            settle: Duration::ZERO,
            ..IngestSettings::default()
        };
        change(&mut settings);
        let parts = IngestParts {
            library: Arc::clone(&library),
            catalog: Arc::clone(&catalog),
            thumbnails: Arc::clone(&thumbnails),
            memory: MemoryGate::default(),
            events,
        };
        Self {
            folder: folder.to_owned(),
            _temporary: None,
            library,
            catalog,
            thumbnails,
            pipeline: Some(IngestPipeline::new(parts, settings).unwrap()),
            heard,
            listener: Some(listener),
        }
    }

    fn pipeline(&self) -> &IngestPipeline {
        self.pipeline.as_ref().unwrap()
    }

    /// Where the user keeps pictures, outside the library.
    fn outside(&self) -> PathBuf {
        self.folder.join("pictures")
    }

    fn inbox(&self) -> PathBuf {
        self.library.layout().ingest()
    }

    fn ingest(&self, path: &Path) -> Arc<Submission> {
        let submission = self.pipeline().submit(vec![path.to_owned()], None);
        assert!(submission.wait(LIMIT), "{:?}", submission.tally());
        submission
    }

    /// Ends the ingest and gives everything that was heard.
    fn end(&mut self) -> Vec<IngestEvent> {
        drop(self.pipeline.take());
        self.listener.take().unwrap().join().unwrap();
        std::mem::take(&mut self.heard.events.lock().unwrap())
    }

    /// Without the temporary files of a process that was killed.
    fn originals(&self) -> Vec<PathBuf> {
        let mut paths = originals(self.library.root());
        paths.retain(|path| !path.file_name().is_none_or(is_skipped_name));
        paths
    }

    fn sidecar(&self, original: &Path) -> Sidecar {
        let path = self.library.root().join("images").join(original);
        let text = fs::read_to_string(path.with_extension("json")).unwrap();
        Sidecar::parse(&text).unwrap()
    }

    fn tags(&self, original: &Path) -> Vec<String> {
        let media = self.sidecar(original).media;
        media
            .tags
            .iter()
            .map(|tag| tag.name().to_string())
            .collect()
    }
}

fn finished(heard: &[IngestEvent]) -> Vec<(&Path, &IngestOutcome)> {
    heard
        .iter()
        .filter_map(|event| match event {
            IngestEvent::Finished { path, outcome, .. } => Some((path.as_path(), outcome)),
            _ => None,
        })
        .collect()
}

fn md5_of(path: &Path) -> Md5 {
    Md5(md5::compute(fs::read(path).unwrap()).0)
}

#[test]
fn pictures_of_every_format_come_in_with_hashes_facts_and_thumbnails() {
    let mut bench = Bench::new();
    let names = [
        "a.png",
        "b.jpg",
        "c.gif",
        "d.bmp",
        "e.webp",
        "f.tiff",
        "wrong.txt.png",
    ];
    for (seed, name) in (0..).zip(names) {
        write_picture(&bench.outside().join("deep").join(name), seed);
    }
    // By its bytes a JPEG, whatever its name says.
    let jpeg = bench.outside().join("deep/b.jpg");
    fs::rename(&jpeg, bench.outside().join("deep/b.png")).unwrap();
    let submission = bench.ingest(&bench.outside());
    assert_eq!(submission.tally().stored, 7);
    let originals = bench.originals();
    assert_eq!(originals.len(), 7);
    for original in &originals {
        let media = bench.sidecar(original).media;
        let stored = bench.library.root().join("images").join(original);
        assert_eq!(media.hashes.md5, Some(md5_of(&stored).to_string()));
        assert_eq!(media.dimensions(), Some((64, 48)));
        for hash in ["phash", "dhash", "ahash", "whash", "colorhash", "pixel"] {
            assert!(media.hashes.get(hash).is_some(), "{hash} of {original:?}");
        }
    }
    let extensions: BTreeSet<&str> = originals
        .iter()
        .map(|path| path.extension().unwrap().to_str().unwrap())
        .collect();
    assert!(extensions.contains("jpg"), "by its bytes: {extensions:?}");
    let catalog = bench.catalog.load();
    assert_eq!(catalog.len(), 7);
    for key in catalog.keys() {
        let record = catalog.record(key).unwrap();
        let path = bench.library.original_path(&record.path());
        let stamp = Stamp::of(&path).unwrap();
        for size in [PictureSize::Thumbnail, PictureSize::Preview] {
            let stored = bench.thumbnails.get(&record.id(), size, stamp);
            assert!(stored.is_some(), "{size:?} of {path:?}");
        }
    }
    let heard = bench.end();
    let stages: Vec<Stage> = heard
        .iter()
        .filter_map(|event| match event {
            IngestEvent::Stage { file: 1, stage } => Some(*stage),
            _ => None,
        })
        .collect();
    assert_eq!(stages, Stage::ALL);
    assert_eq!(finished(&heard).len(), 7);
    assert_eq!(files_below(&bench.outside()).len(), 7, "copied, not moved");
}

#[test]
fn what_is_moved_leaves_nothing_and_takes_its_companions_along() {
    let bench = Bench::new();
    let inbox = bench.inbox();
    write_picture(&inbox.join("a.png"), 1);
    write_text(
        &inbox.join("a.png.json"),
        r#"{"category": "danbooru", "extension": "png",
        "filename": "old", "id": 7, "tags_character": "holo", "rating": "s"}"#,
    );
    write_text(&inbox.join("a.txt"), "fox, long hair");
    write_text(&inbox.join("a.urls.txt"), "https://a.example/1");
    assert_eq!(bench.ingest(&inbox).tally().stored, 1);
    assert!(files_below(&inbox).is_empty());
    let original = bench.originals().remove(0);
    assert_eq!(
        bench.tags(&original),
        ["character:holo", "fox", "long_hair"]
    );
    let media = bench.sidecar(&original).media;
    assert_eq!(media.urls, ["https://a.example/1"]);
    assert_eq!(media.sources["danbooru"]["id"], "7");
    assert_eq!(
        media.rating.map(tagloupe::model::media::Rating::letter),
        Some("s")
    );
    assert_eq!(media.fact("original_name"), Some("old.png"));
    let raw = files_below(&bench.library.root().join("raw"));
    assert_eq!(raw.len(), 1, "more than a sidecar has room for: {raw:?}");
}

#[test]
fn a_duplicate_gives_its_tags_and_leaves_the_ingest_folder() {
    let mut bench = Bench::new();
    write_picture(&bench.outside().join("first.png"), 1);
    bench.ingest(&bench.outside());
    write_picture(&bench.inbox().join("second.png"), 1);
    write_text(&bench.inbox().join("second.txt"), "fox, tree");
    let submission = bench.ingest(&bench.inbox());
    assert_eq!(submission.tally().duplicates, 1);
    assert!(files_below(&bench.inbox()).is_empty());
    let originals = bench.originals();
    assert_eq!(originals.len(), 1);
    assert_eq!(bench.tags(&originals[0]), ["fox", "tree"]);
    let catalog = bench.catalog.load();
    let record = catalog.record(catalog.keys().next().unwrap()).unwrap();
    assert_eq!(record.tags().count(), 2, "the catalog follows");
    let heard = bench.end();
    let (_, outcome) = finished(&heard)[1];
    let IngestOutcome::Duplicate {
        of_name,
        merged_tags,
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!((of_name.as_str(), *merged_tags), ("first", 2));
}

#[test]
fn equal_files_in_one_folder_are_stored_once() {
    let bench = Bench::with(|settings| settings.workers = 4);
    for n in 0..20 {
        write_picture(&bench.inbox().join(format!("{n}.png")), n % 2);
    }
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!((tally.stored, tally.duplicates), (2, 18), "{tally:?}");
    assert_eq!(bench.originals().len(), 2);
    assert!(files_below(&bench.inbox()).is_empty());
}

#[test]
fn with_copy_and_link_the_source_is_never_touched() {
    for how in [Transfer::Copy, Transfer::Link] {
        let bench = Bench::new();
        let outside = bench.outside();
        write_picture(&outside.join("good.png"), 1);
        write_picture(&outside.join("same.png"), 1);
        write_text(&outside.join("good.txt"), "fox, tree");
        write_text(&outside.join("broken.png"), "\u{89}PNG no more");
        write_text(&outside.join("note.pdf"), "no picture");
        let before = snapshot(&outside);
        let submission = bench.pipeline().submit(vec![outside.clone()], Some(how));
        assert!(submission.wait(LIMIT));
        let tally = submission.tally();
        assert_eq!(
            (tally.stored, tally.duplicates, tally.failed),
            (1, 1, 2),
            "{tally:?}"
        );
        assert_eq!(snapshot(&outside), before);
        assert!(
            !bench
                .library
                .layout()
                .quarantine()
                .join("broken.png")
                .exists()
        );
    }
}

/// Names, bytes and times.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    files_below(folder)
        .into_iter()
        .map(|name| {
            let path = folder.join(&name);
            let modified = path.metadata().unwrap().modified().unwrap();
            (name, fs::read(&path).unwrap(), modified)
        })
        .collect()
}

#[test]
fn broken_files_go_to_quarantine_with_their_reason_and_stop_nobody() {
    let mut bench = Bench::new();
    let inbox = bench.inbox();
    write_pictures(&inbox, 0..3);
    write_picture(&inbox.join("whole.png"), 9);
    let whole = fs::read(inbox.join("whole.png")).unwrap();
    put(&inbox.join("cut.png"), &whole[..40]);
    put(&inbox.join("page.jpg"), b"<html>not found</html>");
    put(&inbox.join("empty.png"), b"");
    write_text(&inbox.join("cut.txt"), "kept, with, it");
    let tally = bench.ingest(&inbox).tally();
    assert_eq!((tally.stored, tally.quarantined), (4, 3), "{tally:?}");
    assert!(files_below(&inbox).is_empty());
    let quarantine = files_below(&bench.library.layout().quarantine());
    let names: Vec<&str> = quarantine.iter().filter_map(|path| path.to_str()).collect();
    for name in ["cut.png", "cut.txt", "page.jpg", "empty.png"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let heard = bench.end();
    for (path, outcome) in finished(&heard) {
        if let IngestOutcome::Quarantined { reason } = outcome {
            assert!(!reason.is_empty(), "{path:?}");
        }
    }
}

#[test]
fn what_was_mended_comes_back_from_quarantine() {
    let bench = Bench::new();
    put(&bench.inbox().join("a.png"), b"\x89PNG no more");
    write_text(&bench.inbox().join("a.txt"), "fox, tree");
    assert_eq!(bench.ingest(&bench.inbox()).tally().quarantined, 1);
    let quarantine = bench.library.layout().quarantine();
    write_picture(&quarantine.join("a.png"), 1);
    let tally = bench.ingest(&quarantine).tally();
    assert_eq!(tally.stored, 1, "{tally:?}");
    assert_eq!(bench.tags(&bench.originals()[0]), ["fox", "tree"]);
    assert!(files_below(&quarantine).is_empty());
}

#[test]
fn a_found_file_without_md5_is_known_by_its_bytes() {
    for kind in [LayoutKind::Flat, LayoutKind::InPlace] {
        let bench = Bench::of_kind(kind, |_| {});
        let found = bench.library.layout().images().join("found.png");
        write_picture(&found, 1);
        bench
            .library
            .rebuild(&mut |_| ControlFlow::Continue(()))
            .unwrap();
        write_picture(&bench.outside().join("same.png"), 1);
        write_picture(&bench.outside().join("other.png"), 2);
        let tally = bench.ingest(&bench.outside()).tally();
        assert_eq!(
            (tally.stored, tally.duplicates),
            (1, 1),
            "{kind:?} {tally:?}"
        );
        assert_eq!(bench.library.count().unwrap(), 2, "{kind:?}");
    }
}

fn put(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn what_cannot_be_shown_here_is_kept_and_marked() {
    let bench = Bench::with(|settings| settings.limits.max_side = 50);
    write_picture(&bench.inbox().join("wide.png"), 1);
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!(tally.kept, 1, "{tally:?}");
    let original = bench.originals().remove(0);
    assert!(bench.sidecar(&original).media.fact("undecodable").is_some());
}

#[test]
fn a_file_that_is_gone_or_no_file_fails_clearly() {
    let bench = Bench::new();
    fs::create_dir_all(bench.outside()).unwrap();
    write_picture(&bench.outside().join("real.png"), 1);
    let link = bench.outside().join("link.png");
    std::os::unix::fs::symlink(bench.outside().join("real.png"), &link).unwrap();
    for (path, expected) in [
        (bench.outside().join("never.png"), "gone"),
        (link, "symbolic link"),
        (
            bench.library.root().join("library.json"),
            "in the library already",
        ),
    ] {
        match bench.pipeline().ingest_one(&path, None) {
            IngestOutcome::Failed { reason } => assert!(reason.contains(expected), "{reason}"),
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn a_library_that_cannot_be_written_fails_clearly_and_a_retry_succeeds() {
    let bench = Bench::new();
    let images = bench.library.layout().images();
    if images.exists() {
        fs::remove_dir_all(&images).unwrap();
    }
    put(&images, b"in the way");
    write_pictures(&bench.inbox(), 0..3);
    let submission = bench.ingest(&bench.inbox());
    assert_eq!(submission.tally().failed, 3, "{:?}", submission.tally());
    assert_eq!(files_below(&bench.inbox()).len(), 3, "nothing is lost");
    fs::remove_file(&images).unwrap();
    assert_eq!(bench.pipeline().retry_all(), 3);
    assert!(submission.wait(LIMIT));
    assert_eq!(submission.tally().stored, 3, "{:?}", submission.tally());
    assert!(files_below(&bench.inbox()).is_empty());
    assert_eq!(bench.pipeline().retry_all(), 0);
}

/// What is to be done in the middle of an ingest.
struct Meddling {
    /// Of its library.
    locks: PathBuf,
    file: PathBuf,
    meddle: fn(&Path),
}

static MEDDLING: Mutex<Vec<Meddling>> = Mutex::new(Vec::new());

/// A clock that does it, once each, when it is asked by an ingest that is through the
/// door: which then holds a lock.
fn meddling_clock() -> i64 {
    // Named by the first byte of an md5.
    let is_door = |lock: &PathBuf| lock.file_name().is_some_and(|name| name.len() == 2);
    let is_inside = |locks: &Path| locks.is_dir() && files_below(locks).iter().any(is_door);
    let due = {
        let mut waiting = MEDDLING.lock().unwrap();
        let at = waiting.iter().position(|next| is_inside(&next.locks));
        at.map(|at| waiting.remove(at))
    };
    if let Some(Meddling { file, meddle, .. }) = due {
        meddle(&file);
    }
    system_clock()
}

/// A library in whose ingest folder one picture lies, to which something happens in
/// the middle of its ingest.
fn meddled(meddle: fn(&Path)) -> Bench {
    let bench = Bench::with(|settings| {
        settings.workers = 1;
        settings.clock = meddling_clock;
    });
    let locks = bench.library.layout().locks();
    let file = bench.inbox().join("a.png");
    write_picture(&file, 1);
    MEDDLING.lock().unwrap().push(Meddling {
        locks,
        file,
        meddle,
    });
    bench
}

#[test]
fn a_file_that_changes_in_the_middle_is_taken_as_it_is_in_the_end() {
    let bench = meddled(|path| write_picture(path, 2));
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!(tally.stored, 1, "{tally:?}");
    let original = bench.originals().remove(0);
    let stored = bench.library.root().join("images").join(&original);
    let media = bench.sidecar(&original).media;
    assert_eq!(media.hashes.md5, Some(md5_of(&stored).to_string()));
    assert_eq!(image::open(stored).unwrap().to_rgb8(), picture(2, 64, 48));
}

#[test]
fn a_file_that_vanishes_in_the_middle_leaves_nothing() {
    let bench = meddled(|path| fs::remove_file(path).unwrap());
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!(tally.done(), 1);
    assert_eq!(tally.stored, 0, "{tally:?}");
    assert!(files_below(&bench.library.layout().images()).is_empty());
}

#[test]
fn a_panic_is_the_failure_of_one_file() {
    let bench = meddled(|_| panic!("planned"));
    write_pictures(&bench.inbox(), 2..6);
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!((tally.stored, tally.failed), (4, 1), "{tally:?}");
}

#[test]
fn a_file_written_just_now_waits_until_its_owner_has_no_more_patience() {
    let bench = Bench::with(|settings| {
        settings.settle = Duration::from_secs(1 << 40);
        settings.patience = Duration::ZERO;
    });
    write_picture(&bench.inbox().join("a.png"), 1);
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!(tally.failed, 1, "{tally:?}");
    assert!(bench.inbox().join("a.png").exists());
}

#[test]
fn pause_holds_back_and_stop_forgets_or_drains() {
    let mut bench = Bench::new();
    write_pictures(&bench.inbox(), 0..30);
    bench.pipeline().pause(true);
    let submission = bench.pipeline().submit(vec![bench.inbox()], None);
    bench.pipeline().set_workers(3);
    bench.pipeline().stop(false);
    assert!(submission.wait(LIMIT));
    assert_eq!(submission.tally().stored, 0);
    assert_eq!(files_below(&bench.inbox()).len(), 30);
    let heard = bench.end();
    let is_state = |event: &IngestEvent| {
        matches!(
            event,
            IngestEvent::State {
                paused: true,
                workers: 3,
                ..
            }
        )
    };
    assert!(heard.iter().any(is_state), "{heard:?}");

    let again = Bench::open(&bench.folder, |_| {});
    let submission = again.pipeline().submit(vec![again.inbox()], None);
    again.pipeline().stop(true);
    assert_eq!(submission.tally().stored, 30, "{:?}", submission.tally());
    assert!(files_below(&again.inbox()).is_empty());
}

#[test]
fn a_cancelled_submission_ends_and_leaves_what_waits() {
    let bench = Bench::new();
    write_pictures(&bench.inbox(), 0..10);
    bench.pipeline().pause(true);
    let submission = bench.pipeline().submit(vec![bench.inbox()], None);
    bench.pipeline().cancel(&submission);
    assert!(submission.wait(LIMIT));
    assert_eq!(files_below(&bench.inbox()).len(), 10);
}

#[test]
fn thousands_of_files_dropped_at_once_all_come_in() {
    let bench = Bench::with(|settings| settings.workers = 4);
    let inbox = bench.inbox();
    bench
        .pipeline()
        .watch(WatchSettings {
            settle: Duration::from_millis(50),
            companion_grace: Duration::ZERO,
            ..WatchSettings::new(inbox.clone())
        })
        .unwrap();
    let files = 2_000_u32;
    for n in 0..files {
        let image = image::RgbImage::from_pixel(2, 2, image::Rgb(rgb(n)));
        let folder = inbox.join((n % 7).to_string());
        fs::create_dir_all(&folder).unwrap();
        image.save(folder.join(format!("{n}.png"))).unwrap();
    }
    let mut seen = BTreeSet::new();
    let is_done = |event: &IngestEvent| match event {
        IngestEvent::Finished {
            outcome: IngestOutcome::Stored { id, .. },
            ..
        } => {
            seen.insert(id.clone());
            seen.len() == files as usize
        }
        _ => false,
    };
    assert!(
        wait_for(&bench, is_done),
        "{} of {files}",
        bench.originals().len()
    );
    bench.pipeline().stop_watching();
    assert_eq!(bench.originals().len(), files as usize);
    assert!(files_below(&inbox).is_empty());
}

fn rgb(n: u32) -> [u8; 3] {
    let [_, r, g, b] = n.to_be_bytes();
    [r, g, b]
}

/// Waits until the test says so of an event; each event is seen once.
fn wait_for(bench: &Bench, mut is_it: impl FnMut(&IngestEvent) -> bool) -> bool {
    let mut next = 0;
    let events = bench.heard.events.lock().unwrap();
    let is_missing = |events: &mut Vec<IngestEvent>| {
        let found = events[next..].iter().any(&mut is_it);
        next = events.len();
        !found
    };
    let waited = bench
        .heard
        .bell
        .wait_timeout_while(events, LIMIT, is_missing);
    !waited.unwrap().1.timed_out()
}

/// The variable that makes [`child_ingests`] work for [`several_processes_store_each_file_once`].
const CHILD: &str = "TAGLOUPE_TEST_INGEST";

/// What [`child_ingests`] says of each file it stored.
const STORED: &str = "one more is stored";

/// Another process that ingests into the same library.
fn start(folder: &Path, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "integration::ingest::child_ingests",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD, format!("{}\n{}", folder.display(), path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn several_processes_store_each_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("library");
    let library = Library::create(&root, LayoutKind::Bucketed, "test").unwrap();
    let inbox = library.layout().ingest();
    let outside = folder.path().join("pictures");
    // Half of what lies in the inbox lies outside as well.
    write_pictures(&inbox, 0..120);
    write_pictures(&outside, 60..180);
    let children = [&inbox, &outside, &inbox].map(|path| start(folder.path(), path));
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }
    let stored: BTreeSet<Md5> = originals(&root)
        .iter()
        .map(|path| md5_of(&root.join("images").join(path)))
        .collect();
    assert_eq!(stored.len(), 180);
    assert_eq!(originals(&root).len(), 180, "none twice");
    assert!(files_below(&inbox).is_empty());
    assert_eq!(files_below(&outside).len(), 120);
    let library = Library::open(&root).unwrap();
    assert_eq!(library.count().unwrap(), 180);
    for md5 in &stored {
        assert_eq!(library.find_md5(md5).unwrap().len(), 1);
    }
}

#[test]
fn what_a_killed_process_leaves_is_finished_by_the_next() {
    let bench = Bench::new();
    write_pictures(&bench.inbox(), 0..60);
    let mut child = start(&bench.folder, &bench.inbox());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stored = lines
        .map_while(Result::ok)
        .filter(|line| line.contains(STORED));
    assert_eq!(stored.take(5).count(), 5, "it should be at work");
    child.kill().unwrap();
    child.wait().unwrap();
    let tally = bench.ingest(&bench.inbox()).tally();
    assert_eq!((tally.quarantined, tally.failed), (0, 0), "{tally:?}");
    assert!(files_below(&bench.inbox()).is_empty());
    assert_eq!(bench.originals().len(), 60);
    assert_eq!(bench.library.count().unwrap(), 60);
}

#[test]
#[ignore = "one of the processes of several_processes_store_each_file_once"]
fn child_ingests() {
    let work = std::env::var(CHILD).unwrap();
    let (folder, path) = work.split_once('\n').unwrap();
    let bench = Bench::open(Path::new(folder), |_| {});
    let listener = |_: &Path, outcome: &IngestOutcome| {
        if matches!(outcome, IngestOutcome::Stored { .. }) {
            println!("{STORED}");
        }
    };
    let paths = vec![PathBuf::from(path)];
    let submission = bench
        .pipeline()
        .submit_with(paths, None, Some(Box::new(listener)));
    assert!(submission.wait(LIMIT));
    assert_eq!(submission.tally().failed, 0, "{:?}", submission.tally());
}
