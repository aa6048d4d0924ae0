//! An index built from the files is the index that incremental writes left:
//! compared table by table, without the numbers of rows.

#![expect(
    clippy::disallowed_methods,
    reason = "files of other programs are written by hand"
)]

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use rusqlite::{Connection, types::ValueRef};
use tagloupe::{
    model::{
        edit::Edit,
        id::{Md5, MediaKey},
        media::{Media, Rating},
        tag::{Tag, TagName},
    },
    storage::{Change, Incoming, IndexState, LayoutKind, Library, Transfer},
};

const NOW: i64 = 1_700_000_000;

/// Every table as sorted lines, with ids instead of keys.
const TABLES: [(&str, &str); 9] = [
    (
        "medium",
        "SELECT id, path, kind, derived, name, hex(md5), hex(phash), width, height, bytes,
            duration_ms, frames, imported, created, modified, rating, stars, fav, status, origin,
            parent, score, favcount, has, file_modified, sidecar, sidecar_bytes,
            sidecar_modified_ns, hex(sidecar_digest), hex(file_md5) FROM medium",
    ),
    ("tags", "SELECT * FROM tags"),
    (
        "tag",
        "SELECT category, value FROM tag WHERE id IN (SELECT tag FROM medium_tag)",
    ),
    (
        "relation",
        "SELECT id, relation.kind, position, other, relation.score
         FROM relation JOIN medium ON medium = key",
    ),
    (
        "hash",
        "SELECT id, algorithm, value FROM hash JOIN medium ON medium = key",
    ),
    (
        "post",
        "SELECT id, position, site, post FROM post JOIN medium ON medium = key",
    ),
    (
        "caption",
        "SELECT id, text FROM caption JOIN medium ON medium = key",
    ),
    (
        "fact",
        "SELECT id, fact.kind, text FROM fact JOIN medium ON key = medium",
    ),
    (
        "full_text",
        "SELECT term, id, col, offset FROM temp.words JOIN medium ON key = doc",
    ),
];

/// The parts of an index that have no table in [`TABLES`]: how it came to be, and
/// what it remembers of files that are no longer so.
const HISTORY: [&str; 7] = [
    "unworded",
    "removed",
    "departed",
    "library_metadata",
    "base",
    "merged",
    "stamp",
];

fn dump(root: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let connection = Connection::open(root.join("library.db")).unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, full_text, instance)")
        .unwrap();
    let mut dumped = BTreeMap::new();
    for (name, sql) in TABLES {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut lines: Vec<String> = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| Ok(show(row.get_ref(column)?)))
                    .collect::<rusqlite::Result<Vec<String>>>()
            })
            .unwrap()
            .map(|line| line.unwrap().join("|"))
            .collect();
        lines.sort();
        dumped.insert(name, lines);
    }
    dumped
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

/// Fails with the lines that only one of them has.
fn compare(what: &str, found: &BTreeMap<&str, Vec<String>>, wanted: &BTreeMap<&str, Vec<String>>) {
    for (table, wanted) in wanted {
        let found = &found[table];
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            let lines = these.iter().filter(|line| !those.contains(line));
            lines.cloned().collect()
        };
        assert_eq!(only(found, wanted), only(wanted, found), "{what}: {table}");
        assert_eq!(found.len(), wanted.len(), "{what}: {table}");
    }
}

#[test]
fn every_table_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("library");
    drop(Library::create(&root, LayoutKind::Bucketed, "x").unwrap());
    let connection = Connection::open(root.join("library.db")).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name: &String| !name.starts_with("sqlite_") && !name.starts_with("full_text_"))
        .filter(|name| name != "tagging" && !HISTORY.contains(&name.as_str()))
        .collect();
    for table in tables {
        assert!(TABLES.iter().any(|(name, _)| *name == table), "{table}");
    }
}

/// What may happen to a library.
#[derive(Clone, Debug)]
enum Step {
    Ingest(u8),
    Edit(usize, Vec<Edit>),
    Merge(usize, Vec<u8>),
    Trash(usize),
    /// Another program rewrites the sidecar.
    Rewrite(usize, u8),
    /// Another program removes the original.
    Lose(usize),
    /// A file is put among the originals.
    Find(u8),
    /// What has no md5 is hashed.
    Hash,
    Reopen,
}

fn edit() -> impl Strategy<Value = Edit> {
    let word = prop::sample::select(vec!["fox", "Blue Hair", "snow", "日本", "a, b"]);
    prop_oneof![
        (word.clone(), prop::bool::ANY).prop_map(|(word, by_model)| Edit::AddTag {
            tag: Tag {
                src: by_model.then(|| "tagger:x".to_owned()),
                conf: by_model.then_some(0.123_456_7),
                ..Tag::new(if by_model { "character" } else { "" }, word)
            },
            position: None,
        }),
        word.clone().prop_map(|word| Edit::RemoveTag {
            name: TagName::new("", word),
            at: "2024-01-01T00:00:00Z".into(),
        }),
        word.clone().prop_map(|word| Edit::SetCaption(word.into())),
        Just(Edit::SetCaption(String::new())),
        word.clone().prop_map(|word| Edit::SetName(word.into())),
        (0..6_u8).prop_map(Edit::SetStars),
        Just(Edit::SetRating {
            rating: Some(Rating::Questionable),
            src: None
        }),
        (word.clone(), word).prop_map(|(relation, id)| Edit::AddRelation {
            relation: relation.into(),
            id: id.into()
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64_usize;
    prop_oneof![
        4 => (0..20_u8).prop_map(Step::Ingest),
        6 => (which.clone(), prop::collection::vec(edit(), 1..4)).prop_map(|(n, edits)| Step::Edit(n, edits)),
        1 => (which.clone(), prop::collection::vec(0..5_u8, 0..3)).prop_map(|(n, tags)| Step::Merge(n, tags)),
        1 => which.clone().prop_map(Step::Trash),
        1 => (which.clone(), 0..5_u8).prop_map(|(n, seed)| Step::Rewrite(n, seed)),
        1 => which.prop_map(Step::Lose),
        1 => (0..5_u8).prop_map(Step::Find),
        1 => Just(Step::Hash),
        1 => Just(Step::Reopen),
    ]
}

struct World {
    dir: tempfile::TempDir,
    library: Library,
}

impl World {
    fn new(kind: LayoutKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, kind, "world").unwrap();
        // What another program leaves out of a sidecar an index remembers, and one
        // that is built from nothing cannot know.
        let settings = library.layout().library_file();
        let text = fs::read_to_string(&settings).unwrap();
        let text = text.replacen('{', "{\"adopt_external\": \"theirs\",", 1);
        fs::write(settings, text).unwrap();
        let library = Library::open(&root).unwrap();
        Self { dir, library }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("library")
    }

    fn keys(&self) -> Vec<(MediaKey, String)> {
        let entries = self
            .library
            .load_entries(&mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.key, entry.path))
            .collect()
    }

    fn refresh(&self) {
        let summary = self
            .library
            .refresh(&mut |_| ControlFlow::Continue(()))
            .unwrap();
        assert!(!summary.is_cancelled);
    }

    fn run(&mut self, step: Step) {
        let keys = self.keys();
        let pick = |n: usize| keys.get(n % keys.len().max(1)).cloned();
        match step {
            Step::Ingest(seed) => self.ingest(seed),
            Step::Edit(n, edits) => {
                let Some((key, _)) = pick(n) else { return };
                let operation = self.library.operation("edit");
                let change = Change {
                    key,
                    steps: vec![(0, edits)],
                };
                for written in self.library.write(&[operation], vec![change], NOW) {
                    assert_eq!(written.unwrap().warning, None);
                }
            }
            Step::Merge(n, tags) => {
                let Some((key, _)) = pick(n) else { return };
                let mut other = Media {
                    tags: tags
                        .iter()
                        .map(|n| Tag::new("meta", &format!("m{n}")))
                        .collect(),
                    ..Media::default()
                };
                let site = serde_json::json!({"id": tags.len(), "score": 3});
                other.sources.insert("danbooru".into(), site);
                let operation = self.library.operation("merge");
                self.library
                    .merge_duplicate(&operation, key, &other, NOW)
                    .unwrap();
            }
            Step::Trash(n) => {
                let Some((key, _)) = pick(n) else { return };
                let operation = self.library.operation("trash");
                for result in self.library.trash(&operation, &[key], "test", None, NOW) {
                    result.unwrap();
                }
            }
            Step::Rewrite(n, seed) => {
                let Some((_, path)) = pick(n) else { return };
                let path = self.root().join(path).with_extension("json");
                let text = format!(
                    r#"{{"tags": [{{"category": "general", "value": "theirs{seed}"}}], "x": {seed}.50}}"#
                );
                fs::write(path, text).unwrap();
                self.refresh();
            }
            Step::Lose(n) => {
                let Some((_, path)) = pick(n) else { return };
                // An original that is missing already cannot be lost again.
                let _ = fs::remove_file(self.root().join(path));
                self.refresh();
            }
            Step::Find(seed) => {
                let images = self.library.layout().images();
                fs::write(images.join(format!("found{seed}.png")), [seed]).unwrap();
                self.refresh();
            }
            Step::Hash => hash(&self.library),
            Step::Reopen => self.library = Library::open(&self.root()).unwrap(),
        }
    }

    fn ingest(&self, seed: u8) {
        let source = self.dir.path().join(format!("source{seed}.png"));
        // A new file: the old one may be a second name of a stored original.
        let _ = fs::remove_file(&source);
        fs::write(&source, [b'x', seed]).unwrap();
        let md5 = Md5(md5::compute([b'x', seed]).0);
        if !self.library.find_md5(&md5).unwrap().is_empty() {
            return;
        }
        let mut media = Media {
            tags: vec![
                Tag::new("", "ingested"),
                Tag::new("artist", &format!("a{seed}")),
            ],
            caption: if seed.is_multiple_of(2) { "even" } else { "" }.into(),
            ..Media::default()
        };
        media.hashes.phash = Some(format!("{seed:016x}"));
        media.metadata.insert("width".into(), seed.into());
        media.metadata.insert("height".into(), 7.into());
        let incoming = Incoming {
            source,
            how: [Transfer::Copy, Transfer::Move, Transfer::Link][usize::from(seed % 3)],
            md5,
            extension: "png".into(),
            original_name: String::new(),
            media,
        };
        let operation = self.library.operation("ingest");
        let now = NOW + i64::from(seed);
        let stored = self.library.store(&operation, incoming, now).unwrap();
        self.library.commit(std::slice::from_ref(&stored)).unwrap();
        self.library.finish_move(&stored).unwrap();
    }

    /// Compares the index with one that is built over it, and with a new one.
    fn check(self) {
        let root = self.root();
        hash(&self.library);
        let supply = |library: &Library| while library.supply_words().unwrap() {};
        supply(&self.library);
        let incremental = dump(&root);
        let rebuild = |library: &Library| {
            let summary = library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(summary.errors, []);
            supply(library);
        };
        rebuild(&self.library);
        compare("rebuilt over the old one", &dump(&root), &incremental);
        drop(self.library);
        for suffix in ["", "-wal", "-shm"] {
            // A log that is not there needs no removing.
            let _ = fs::remove_file(root.join(format!("library.db{suffix}")));
        }
        let library = Library::open(&root).unwrap();
        assert_eq!(library.index_state(), IndexState::Missing);
        rebuild(&library);
        hash(&library);
        compare("built from nothing", &dump(&root), &incremental);
        assert_eq!(library.index_state(), IndexState::Ready);
    }
}

/// Hashes what has no md5, as the background does.
fn hash(library: &Library) {
    let keys = library.unhashed_keys(false).unwrap();
    let hashed: Vec<_> = library
        .unhashed(&keys)
        .unwrap()
        .into_iter()
        .map(|file| {
            assert!(library.is_as_noted(&file));
            let bytes = fs::read(library.original_path(&file.path)).unwrap();
            (file, Md5(md5::compute(bytes).0))
        })
        .collect();
    assert_eq!(library.note_md5(&hashed).unwrap().len(), hashed.len());
    assert_eq!(library.unhashed(&keys).unwrap(), []);
    assert_eq!(library.unhashed_keys(false).unwrap(), []);
}

/// A few worlds at every run; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => 12,
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rebuild_gives_what_incremental_writes_gave(
        flat in any::<bool>(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut world = World::new(if flat { LayoutKind::Flat } else { LayoutKind::Bucketed });
        for step in steps {
            world.run(step);
        }
        world.check();
    }
}
