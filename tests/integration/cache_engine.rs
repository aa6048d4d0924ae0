//! What the engine keeps in its cache: the same answers with the cache and without,
//! and a folder that can be deleted at any moment.

use std::{
    fs,
    ops::{ControlFlow, Deref},
    path::Path,
    sync::Arc,
};

use tagloupe::{
    engine::{
        Engine, EngineSettings, LayoutKind, Library,
        cache::{
            key::Family,
            settings::{CacheSettings, Choice},
        },
        event::{self, Event, EventReceiver},
        save::SaveStep,
        tag_similarity::Measure,
    },
    model::{
        edit::Edit,
        id::MediaKey,
        query::Query,
        tag::{Tag, TagName},
    },
};

use super::support::{Home, write_picture, write_text};

const PICTURES: u32 = 60;

/// What a session may ask: each kind of term, order and limit.
const QUERIES: [&str; 44] = [
    "",
    "fox",
    "-fox",
    "fox or badger",
    "(fox or badger) -night",
    "character:anna",
    "char:anna",
    "fo*",
    "nosuchtag",
    "\"two words\"",
    "caption:river",
    "text:river",
    "name:picture",
    "folder:a",
    "ext:png",
    "width:>60",
    "width:>60 height:<100",
    "mpixels:<1",
    "ratio:>1",
    "rating:safe",
    "has:caption",
    "-has:caption",
    "tagcount:>2",
    "order:width",
    "order:-name fox",
    "order:name limit:5",
    "order:random:3",
    "order:random:4 limit:7",
    "similar:a/0",
    "related:a/0",
    "imported:>2000-01-01",
    "age:<1d",
    "project:none",
    "fox limit:3",
    "project:best order:project",
    "project:smart order:project",
    "project:nested night",
    "-project:best",
    "projectcount:>1",
    "project:recent",
    "similar:a/0,by=tags",
    "similar:a/0,by=tags order:similar",
    "similar:b/1,by=jaccard,count=3",
    "similar:a/,by=asymmetric",
];

/// What somebody may type, one key after the other and back again.
const TYPED: [&str; 8] = ["f", "fo", "fox", "fo", "ngiht", "char:", "two w", "zzz"];

/// An album that lists one file that is not there, and smart ones.
fn make_projects(root: &Path) {
    for (name, text) in [
        (
            "best",
            r#"{"images": ["a/0.png", {"path": "b/1.png", "repeats": 3}, "gone.png", "c/2.png"]}"#,
        ),
        ("smart", r#"{"images": ["b/1.png"], "query": "fox night"}"#),
        ("nested", r#"{"images": [], "query": "project:smart"}"#),
    ] {
        let path = root.join(format!(".tagloupe/projects/{name}.json"));
        write_text(&path, text);
    }
}

/// A folder of pictures with tags and captions.
fn make_pictures(root: &Path) {
    for n in 0..PICTURES {
        let folder = root.join(["a", "b", "c"][(n % 3) as usize]);
        let path = folder.join(format!("{n}.png"));
        write_picture(&path, n);
        let mut tags = vec![("general", ["fox", "badger", "owl"][(n % 3) as usize])];
        if n % 4 == 0 {
            tags.push(("general", "night"));
        }
        if n % 5 == 0 {
            tags.push(("character", "anna"));
        }
        if n % 7 == 0 {
            tags.push(("general", "two words"));
        }
        let tags: Vec<_> = tags
            .iter()
            .map(|(category, value)| serde_json::json!({"category": category, "value": value}))
            .collect();
        let sidecar = serde_json::json!({"tags": tags, "related": {}, "metadata": {}});
        write_text(&path.with_extension("json"), &sidecar.to_string());
        if n % 2 == 0 {
            write_text(&path.with_extension("txt"), &format!("a river, number {n}"));
        }
    }
}

/// An engine, and what it says.
struct Session {
    engine: Engine,
    receiver: EventReceiver,
}

impl Deref for Session {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

fn open(root: &Path, choice: Choice) -> Session {
    let settings = EngineSettings {
        cache: CacheSettings {
            choice,
            ..CacheSettings::default()
        },
        ..EngineSettings::default()
    };
    let (events, receiver) = event::channel();
    let engine = Engine::start(Library::open(root).unwrap(), settings, events).unwrap();
    load(&engine);
    Session { engine, receiver }
}

impl Session {
    /// The completions of what is typed beside a tag.
    fn suggestions(&mut self, typed: &str, generation: u64) -> String {
        let context = vec![TagName::new("general", "night")];
        self.engine.suggest(typed.to_owned(), context, generation);
        loop {
            let event = self.receiver.events.blocking_recv();
            match event.expect("the engine goes on") {
                Event::Suggestions {
                    generation: of,
                    suggestions,
                } if of == generation => return format!("{suggestions:?}"),
                _ => {}
            }
        }
    }

    /// Everything besides searches that is kept, as text.
    fn lists(&mut self) -> String {
        let catalog = self.engine.catalog();
        let mut lists = Vec::new();
        for key in catalog.keys().take(12) {
            for measure in [Measure::TfIdf, Measure::Asymmetric] {
                let similar = self.engine.similar_now(&catalog, key, measure, 5);
                lists.push(format!("{key:?} {measure:?}: {similar:?}"));
            }
        }
        for text in ["", "fox", "-night", "nosuchtag"] {
            let query = Query::parse(text, &*catalog).unwrap();
            let found = self.engine.search_now(&query).keys;
            let counts = self
                .engine
                .tag_counts_now(&catalog, &found, &|| false)
                .unwrap();
            // A process numbers tags in the order in which they came to it.
            let mut named: Vec<String> = (0..)
                .zip(counts)
                .filter(|(_, count)| *count > 0)
                .map(|(number, count)| format!("{:?} {count}", catalog.tag_at(number).unwrap().0))
                .collect();
            named.sort();
            lists.push(format!("{text}: {named:?}"));
        }
        for (generation, typed) in (1..).zip(TYPED) {
            let suggestions = self.suggestions(typed, generation);
            lists.push(format!("{typed}: {suggestions}"));
        }
        lists.push(format!("{:?}", self.engine.projects_now()));
        for (name, size, number) in [
            ("best", 3, 0),
            ("best", 3, 1),
            ("best", 3, 2),
            ("smart", 60, 0),
            ("of no such name", 60, 0),
        ] {
            let page = self.engine.project_page_now(name, size, number);
            lists.push(format!("{name} {size} {number}: {page:?}"));
        }
        lists.join("\n")
    }
}

fn load(engine: &Engine) {
    engine
        .load_catalog_now(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
}

/// Everything an answer says, but how long it took.
fn answer(engine: &Engine, text: &str) -> String {
    let catalog = engine.catalog();
    let query = match Query::parse(text, &*catalog) {
        Ok(query) => query,
        Err(error) => return error.to_string(),
    };
    let found = engine.search_now(&query);
    format!("{:?} {:?} {:?}", found.keys, found.terms, found.hint)
}

fn tag(engine: &Engine, key: MediaKey, value: &str) {
    let edit = Edit::AddTag {
        tag: Tag::new("general", value),
        position: None,
    };
    let step = SaveStep {
        number: 0,
        action: "tag".to_owned(),
        changes: vec![(key, Arc::from([edit]))],
    };
    let report = engine.save_now(&step, &mut |_, _| ControlFlow::Continue(()));
    assert!(report.failed.is_empty());
}

#[test]
fn searches_find_the_same_with_the_cache_and_without() {
    let home = Home::new();
    let root = home.path().join("pictures");
    make_pictures(&root);
    Library::create(&root, LayoutKind::InPlace, "Test").unwrap();
    make_projects(&root);
    let mut with = open(&root, Choice::Auto);
    with.rebuild_now(&mut |_| ControlFlow::Continue(()))
        .unwrap();
    load(&with);
    let mut without = open(&root, Choice::Off);
    let compare = |with: &mut Session, without: &mut Session, when: &str| {
        // The second time it comes from the cache.
        for _ in 0..2 {
            for text in QUERIES {
                let (one, other) = (answer(with, text), answer(without, text));
                assert_eq!(one, other, "{when}: {text:?}");
            }
            assert_eq!(with.lists(), without.lists(), "{when}");
        }
    };
    compare(&mut with, &mut without, "as it came");
    let families = with.cache_stats_now().families;
    for (family, hits) in [
        // All but those of the hour and of chance.
        (Family::Search, 35),
        (Family::Analysis, 28),
        (Family::Suggest, 8),
        (Family::Project, 6),
    ] {
        let tally = families.iter().find(|(of, _)| *of == family).unwrap().1;
        assert!(tally.hits >= hits, "{family:?}: {tally:?}");
    }

    let keys: Vec<MediaKey> = with.catalog().keys().collect();
    for (n, key) in keys.iter().take(5).enumerate() {
        tag(
            &with,
            *key,
            ["fox", "night", "nosuchtag", "forest", "owl"][n],
        );
        load(&without);
        compare(&mut with, &mut without, "after an edit");
    }
    // By the other one, as another process does it.
    tag(&without, keys[7], "nosuchtag");
    load(&with);
    compare(&mut with, &mut without, "after an edit elsewhere");

    // Projects change without the catalog.
    let best = answer(&with, "project:best order:project");
    let page = with.project_page_now("best", 3, 0).unwrap();
    let path = root.join(".tagloupe/projects/best.json");
    write_text(&path, r#"{"images": ["c/2.png"]}"#);
    compare(&mut with, &mut without, "after a change of a project");
    assert_ne!(answer(&with, "project:best order:project"), best);
    assert_ne!(with.project_page_now("best", 3, 0).unwrap(), page);
    // What one finds in an hour is something else.
    let recent = root.join(".tagloupe/projects/recent.json");
    write_text(&recent, r#"{"images": [], "query": "age:<1d"}"#);
    compare(&mut with, &mut without, "with a project of the hour");
    fs::remove_file(path).unwrap();
    compare(&mut with, &mut without, "without the first project");

    let stats = without.cache_stats_now();
    assert_eq!(stats.backend, "off");
    assert_eq!(stats.tally.hits, 0);
}

#[test]
fn a_deleted_cache_folder_only_costs_time() {
    let home = Home::new();
    let root = home.path().join("pictures");
    make_pictures(&root);
    Library::create(&root, LayoutKind::InPlace, "Test").unwrap();
    let engine = open(&root, Choice::Disk);
    engine
        .rebuild_now(&mut |_| ControlFlow::Continue(()))
        .unwrap();
    load(&engine);
    let keys: Vec<MediaKey> = engine.catalog().keys().collect();
    let warm = || engine.warm_cache_now(&keys, &mut |_, _| true);
    assert_eq!(warm(), (u64::from(PICTURES), Vec::new()));
    assert_eq!(warm(), (0, Vec::new()), "all are there");
    let folder = root.join(".tagloupe/cache");
    fs::remove_dir_all(&folder).unwrap();
    // Memory may still have them; another process has nothing.
    let other = open(&root, Choice::Disk);
    let (made, failed) = other.warm_cache_now(&keys, &mut |_, _| true);
    assert_eq!((made, failed), (u64::from(PICTURES), Vec::new()));
    assert!(folder.join("cache.db").exists());
    assert_eq!(warm(), (0, Vec::new()));
    assert_eq!(engine.clear_cache_now("thumb:a/*").entries, 20);
    let (made, _) = other.warm_cache_now(&keys, &mut |done, _| done < 30);
    assert!(made <= 20, "{made}");
}
