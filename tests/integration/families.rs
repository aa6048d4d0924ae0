//! Parents and children as sites name them: written into the sidecars of both, whichever
//! came first, and taken back with the step that brought them.

use std::{collections::HashMap, path::Path};

use super::{
    http_server::{HttpServer, Reply, Request},
    support::{Home, write_picture, write_text},
};

/// The pictures of a test: number 0 is the parent of 1 and 2, 3 is nobody's.
const PICTURES: u32 = 4;

/// A site that knows them all; posts are 100 and more.
fn site() -> HttpServer {
    let folder = tempfile::tempdir().unwrap();
    let numbers: HashMap<String, u32> = (0..PICTURES)
        .map(|n| {
            let path = folder.path().join(format!("{n}.png"));
            write_picture(&path, n);
            let bytes = std::fs::read(path).unwrap();
            (format!("{:x}", md5::compute(bytes)), n)
        })
        .collect();
    let posts = move |request: &Request| {
        let known = request.md5s().into_iter().filter_map(|md5| {
            let n = *numbers.get(&md5)?;
            let parent = if matches!(n, 1 | 2) { "100" } else { "null" };
            Some(format!(
                r#"{{"id":{},"md5":"{md5}","rating":"g","parent_id":{parent},
                "tag_string":"picture_{n}","tag_string_general":"picture_{n}"}}"#,
                100 + n
            ))
        });
        known.collect::<Vec<_>>().join(",")
    };
    HttpServer::start(move |request| Reply::json(format!("[{}]", posts(request))))
}

fn switch_on(home: &Home, server: &HttpServer) {
    let config = format!(
        "[sources.danbooru]\nenabled = true\nurl = \"{}\"\ninterval_ms = 0\n",
        server.url()
    );
    write_text(&home.path().join("config/tagloupe/config.toml"), &config);
}

fn ingest(home: &Home, numbers: &[u32]) {
    let folder = home.path().join("drop");
    for n in numbers {
        write_picture(&folder.join(format!("{n}.png")), *n);
    }
    home.on_library(&["ingest", folder.to_str().unwrap()])
        .expect(0);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What a query finds, by the tags that number the pictures.
#[track_caller]
fn assert_found(home: &Home, query: &str, expected: &[u32]) {
    let found: Vec<u32> = (0..PICTURES)
        .filter(|n| {
            let of_one = format!("{query} picture_{n}");
            let run = home.on_library(&["search", "--count", &of_one]).expect(0);
            run.text().trim() == "1"
        })
        .collect();
    assert_eq!(found, expected, "{query}");
}

/// Every sidecar that names another is named by it.
fn assert_mutual(library: &Path) {
    let verify = std::process::Command::new(env!("CARGO_BIN_EXE_tagloupe"))
        .args(["verify", "--library"])
        .arg(library)
        .output()
        .unwrap();
    assert!(verify.status.success(), "{verify:?}");
}

#[test]
fn whichever_comes_first_both_know_each_other() {
    let server = site();
    for drops in [[&[1, 2][..], &[0, 3]], [&[0, 3], &[1, 2]]] {
        let home = Home::new();
        home.init();
        switch_on(&home, &server);
        for drop in drops {
            ingest(&home, drop);
        }
        assert_found(&home, "has:parent", &[1, 2]);
        assert_found(&home, "has:children", &[0]);
        assert_found(&home, "childcount:2", &[0]);
        let run = home.on_library(&["search", "--ids", "picture_0"]).expect(0);
        let family = format!("parent:{}", run.text().trim());
        assert_found(&home, &family, &[0, 1, 2]);
        assert_mutual(&home.library());

        // The second drop brought it, and takes it along.
        home.on_library(&["undo"]).expect(0);
        assert_found(&home, "has:parent", &[]);
        assert_found(&home, "has:children", &[]);
        home.on_library(&["redo"]).expect(0);
        assert_found(&home, "has:parent", &[1, 2]);
        assert_found(&home, "has:children", &[0]);
    }
}

#[test]
fn fetch_relates_what_is_there_in_one_step() {
    let server = site();
    let home = Home::new();
    home.init();
    ingest(&home, &[0, 1, 2, 3]);
    switch_on(&home, &server);
    home.on_library(&["fetch", "--dry-run", "type:image"])
        .expect(0);
    assert_found(&home, "has:parent", &[]);
    home.on_library(&["fetch", "type:image"]).expect(0);
    assert_found(&home, "has:parent", &[1, 2]);
    assert_found(&home, "has:children", &[0]);
    let steps = || {
        let run = home.on_library(&["history", "--json"]).expect(0);
        run.text().matches("fetch 4").count()
    };
    assert_eq!(steps(), 1);
    // Who knows it already is not told again.
    home.on_library(&["fetch", "type:image"]).expect(0);
    assert_eq!(steps(), 1);
    home.on_library(&["undo"]).expect(0);
    assert_found(&home, "has:parent", &[]);
    assert_found(&home, "has:children", &[]);
}

#[test]
fn what_came_with_a_picture_counts_and_a_lock_holds() {
    let server = site();
    let home = Home::new();
    home.init();
    switch_on(&home, &server);
    ingest(&home, &[0]);
    let folder = home.path().join("drop");
    write_picture(&folder.join("3.png"), 3);
    write_text(
        &folder.join("3.png.json"),
        r#"{"category": "danbooru", "id": 103, "parent_id": 100, "extension": "png",
            "tags": "picture_3"}"#,
    );
    write_picture(&folder.join("1.png"), 1);
    write_text(
        &folder.join("1.png.json"),
        r#"{"tags": [], "related": {}, "metadata": {}, "locked": ["related"]}"#,
    );
    home.on_library(&["ingest", folder.to_str().unwrap()])
        .expect(0);
    assert_found(&home, "has:parent", &[3]);
    assert_found(&home, "childcount:1", &[0]);
}
