//! What the engine keeps in its cache: the same answers with the cache and without,
//! and a folder that can be deleted at any moment.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use tagloupe::{
    engine::{
        Engine, EngineSettings, LayoutKind, Library,
        cache::settings::{CacheSettings, Choice},
        event,
        save::SaveStep,
    },
    model::{edit::Edit, id::MediaKey, query::Query, tag::Tag},
};

use super::support::{Home, write_picture, write_text};

const PICTURES: u32 = 60;

/// What a session may ask: each kind of term, order and limit.
const QUERIES: [&str; 34] = [
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
];

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

fn open(root: &Path, choice: Choice) -> Engine {
    let settings = EngineSettings {
        cache: CacheSettings {
            choice,
            ..CacheSettings::default()
        },
        ..EngineSettings::default()
    };
    let (events, _) = event::channel();
    let engine = Engine::start(Library::open(root).unwrap(), settings, events).unwrap();
    load(&engine);
    engine
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
    let with = open(&root, Choice::Auto);
    with.rebuild_now(&mut |_| ControlFlow::Continue(()))
        .unwrap();
    load(&with);
    let without = open(&root, Choice::Off);
    let compare = |when: &str| {
        for text in QUERIES {
            // The second time it comes from the cache.
            for _ in 0..2 {
                let (one, other) = (answer(&with, text), answer(&without, text));
                assert_eq!(one, other, "{when}: {text:?}");
            }
        }
    };
    compare("as it came");
    let hits = with.cache_stats_now().tally.hits;
    assert!(hits >= 20, "{hits}");

    let keys: Vec<MediaKey> = with.catalog().keys().collect();
    for (n, key) in keys.iter().take(5).enumerate() {
        tag(
            &with,
            *key,
            ["fox", "night", "nosuchtag", "forest", "owl"][n],
        );
        load(&without);
        compare("after an edit");
    }
    // By the other one, as another process does it.
    tag(&without, keys[7], "nosuchtag");
    load(&with);
    compare("after an edit elsewhere");

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
    assert_eq!(engine.clear_cache_now("thumb:a/*"), 20);
    let (made, _) = other.warm_cache_now(&keys, &mut |done, _| done < 30);
    assert!(made <= 20, "{made}");
}
