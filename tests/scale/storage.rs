//! Figures of a large library on disk, which `TAGLOUPE_SCALE_LIBRARY` names; its
//! index is built anew. Times are printed; only what must hold at any speed is
//! asserted.

use std::{env, ops::ControlFlow, path::PathBuf, time::Instant};

use tagloupe::{
    model::{edit::Edit, tag::Tag},
    storage::{Change, IndexState, Library},
};

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("{what:<44} {:>10.1?}", started.elapsed());
    result
}

#[test]
#[ignore = "needs a large library: TAGLOUPE_SCALE_LIBRARY"]
fn storage_of_a_large_library() {
    let Some(root) = env::var_os("TAGLOUPE_SCALE_LIBRARY").map(PathBuf::from) else {
        println!("TAGLOUPE_SCALE_LIBRARY names no library: nothing to measure");
        return;
    };
    for suffix in ["", "-wal", "-shm"] {
        // What is not there needs no removing.
        let _ = std::fs::remove_file(root.join(format!("library.db{suffix}")));
    }
    let library = timed("open without index", || Library::open(&root)).unwrap();
    let summary = timed("rebuild from nothing", || {
        library.rebuild(&mut |_| ControlFlow::Continue(()))
    })
    .unwrap();
    println!(
        "{} media, {} without sidecar, {} without original, {} problems",
        summary.media,
        summary.without_sidecar,
        summary.missing_originals,
        summary.errors.len()
    );
    drop(library);
    let library = timed("open", || Library::open(&root)).unwrap();
    assert_eq!(library.index_state(), IndexState::Ready);
    let page = timed("first page of 200", || library.first_page(200)).unwrap();
    timed("first page again", || library.first_page(200)).unwrap();
    let mut tags = 0;
    timed("load in chunks", || {
        library.load_in_chunks(&mut |chunk, _, _| {
            tags += chunk.iter().map(|entry| entry.tags.len()).sum::<usize>();
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    let entries = timed("load all entries", || {
        library.load_entries(&mut |_, _| ControlFlow::Continue(()))
    })
    .unwrap();
    println!("{} media with {tags} tags", entries.len());
    timed("count", || library.count()).unwrap();
    let found = timed("full text, one word", || library.full_text(None, "horse")).unwrap();
    println!("{} found", found.len());
    timed("refresh, nothing changed", || {
        library.refresh(&mut |_| ControlFlow::Continue(()))
    })
    .unwrap();
    let change = |value: &str| -> Vec<Change> {
        page.iter()
            .map(|entry| Change {
                key: entry.key,
                steps: vec![(
                    0,
                    vec![Edit::AddTag {
                        tag: Tag::new("", value),
                        position: None,
                    }],
                )],
            })
            .collect()
    };
    let one: Vec<Change> = change("scale_one").into_iter().take(1).collect();
    let operations = [library.operation("one")];
    timed("save one edit", || {
        library.write(&operations, one, 1_700_000_000)
    });
    let many = change("scale_many");
    let operations = [library.operation("many")];
    let written = timed("save 200 edits", || {
        library.write(&operations, many, 1_700_000_000)
    });
    assert!(written.iter().all(Result::is_ok));
    timed("rebuild over the index", || {
        library.rebuild(&mut |_| ControlFlow::Continue(()))
    })
    .unwrap();
}
