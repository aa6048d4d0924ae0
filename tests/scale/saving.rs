//! What safety costs: saving edits, beside writing the same files as safely with
//! nothing else to do, in the same run.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use tagloupe::{
    model::{edit::Edit, entry::Entry, tag::Tag},
    storage::{Change, LayoutKind, Library},
};

/// Media of the bulk edit; also the folders hold a hundred each.
const MEDIA: usize = 10_000;
/// Media that one operation of the save queue takes at once.
const BATCH: usize = 256;
const SINGLE_EDITS: usize = 300;
const NOW: i64 = 1_700_000_000;

fn library(root: &Path) -> Library {
    drop(Library::create(root, LayoutKind::Flat, "Scale").unwrap());
    for n in 0..MEDIA {
        let folder = root.join(format!("images/{:02}", n / 100));
        fs::create_dir_all(&folder).unwrap();
        File::create(folder.join(format!("{n}.png")))
            .and_then(|mut file| file.write_all(n.to_string().as_bytes()))
            .unwrap();
        let tags: Vec<String> = (0..20)
            .map(|tag| {
                format!(
                    r#"    {{"category": "general", "value": "tag {}"}}"#,
                    n % 97 + tag
                )
            })
            .collect();
        let text = format!("{{\n  \"tags\": [\n{}\n  ]\n}}\n", tags.join(",\n"));
        File::create(folder.join(format!("{n}.json")))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap();
    }
    let library = Library::open(root).unwrap();
    library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
    library
}

fn edit(library: &Library, entries: &[Entry], tag: &str) {
    let operation = library.operation("measure");
    for entries in entries.chunks(BATCH) {
        let changes = entries
            .iter()
            .map(|entry| Change {
                key: entry.key,
                steps: vec![(
                    0,
                    vec![Edit::AddTag {
                        tag: Tag::new("", tag),
                        position: None,
                    }],
                )],
            })
            .collect();
        for written in library.write(std::slice::from_ref(&operation), changes, NOW) {
            assert!(written.unwrap().is_changed);
        }
    }
    library.finish(&operation);
}

/// The same files again, each written beside its place, synced and renamed, each
/// folder synced once a batch.
fn write_alike(paths: &[std::path::PathBuf]) {
    for paths in paths.chunks(BATCH) {
        let mut folders = std::collections::BTreeSet::new();
        for path in paths {
            let bytes = fs::read(path).unwrap();
            let temp = path.with_extension("tmp");
            let mut file = File::create(&temp).unwrap();
            file.write_all(&bytes).unwrap();
            file.sync_all().unwrap();
            fs::rename(&temp, path).unwrap();
            folders.insert(path.parent().unwrap().to_owned());
        }
        for folder in folders {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .unwrap();
        }
    }
}

#[test]
#[ignore = "prints figures; TAGLOUPE_SCALE_FOLDER says on which disk"]
fn cost_of_saving() {
    let folder = env::var_os("TAGLOUPE_SCALE_FOLDER").map_or_else(env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let root = folder.path().join("library");
    let library = library(&root);
    let entries = library
        .load_entries(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(entries.len(), MEDIA);

    let mut times: Vec<Duration> = entries
        .iter()
        .step_by(MEDIA / SINGLE_EDITS)
        .map(|entry| {
            let started = Instant::now();
            edit(&library, std::slice::from_ref(entry), "one");
            started.elapsed()
        })
        .collect();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("one edit: median {:.1?}, p99 {:.1?}", at(50), at(99));

    let paths: Vec<_> = entries
        .iter()
        .map(|entry| root.join(&entry.path).with_extension("json"))
        .collect();
    let started = Instant::now();
    write_alike(&paths);
    let alike = started.elapsed();
    let started = Instant::now();
    edit(&library, &entries, "all");
    let edited = started.elapsed();
    println!(
        "{MEDIA} edits: {edited:.1?}; writing the files alone: {alike:.1?}; ratio {:.2}",
        edited.as_secs_f64() / alike.as_secs_f64()
    );
    // What was measured is what is meant: every sidecar has the tag.
    let says = |path: &std::path::PathBuf| fs::read_to_string(path).unwrap().contains("\"all\"");
    assert!(paths.iter().all(says));
}
