//! Learning from sources, with the real program, and sites on the loopback network.

use std::{fs, path::Path, sync::Mutex};

use super::{
    http_server::{HttpServer, Reply, Request},
    support::{Home, originals, write_picture, write_pictures},
};

/// A query that finds every picture.
const ALL: &str = "type:image";

/// An answer of Danbooru, to whoever asks for these among others.
fn posts(request: &Request, knows: impl Fn(&str) -> bool) -> String {
    let post = |md5: &String| {
        format!(
            r#"{{"id":1001,"md5":"{md5}","rating":"s","parent_id":null,"has_children":false,
            "source":"https://example.org/a/1","score":3,
            "tag_string":"fox blue_sky sample_artist sample_hero",
            "tag_string_general":"fox blue_sky","tag_string_artist":"sample_artist",
            "tag_string_character":"sample_hero","tag_string_copyright":"","tag_string_meta":""}}"#
        )
    };
    let known: Vec<String> = request
        .md5s()
        .iter()
        .filter(|md5| knows(md5))
        .map(post)
        .collect();
    format!("[{}]", known.join(","))
}

/// A site that knows every picture.
fn knowing() -> HttpServer {
    HttpServer::start(|request| Reply::json(posts(request, |_| true)))
}

/// A home whose configuration says this, and an empty library.
fn home(config: &str) -> Home {
    let home = Home::new();
    configure(&home, config);
    home.init();
    home
}

fn configure(home: &Home, config: &str) {
    super::support::write_text(&home.path().join("config/tagloupe/config.toml"), config);
}

fn danbooru(url: &str) -> String {
    format!("[sources.danbooru]\nenabled = true\nurl = \"{url}\"\ninterval_ms = 0\n")
}

/// A home with five pictures of which no source was asked.
fn unasked() -> Home {
    let home = home("");
    write_pictures(&home.path().join("source"), 0..5);
    home.on_library(&["ingest", "source"]).expect(0);
    home
}

fn count(home: &Home, query: &str) -> String {
    let run = home.on_library(&["search", "--count", query]);
    run.text().trim().to_owned()
}

fn sidecars(home: &Home) -> Vec<serde_json::Value> {
    let images = home.library().join("images");
    let read = |original: &Path| {
        let text = fs::read(images.join(original).with_extension("json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let all = originals(&home.library());
    all.iter().map(|original| read(original)).collect()
}

#[test]
fn nothing_is_asked_while_nothing_is_switched_on() {
    let server = knowing();
    let home = unasked();
    let off = danbooru(&server.url()).replace("true", "false");
    configure(&home, &off);
    write_picture(&home.path().join("more/9.png"), 9);
    home.on_library(&["ingest", "more"]).expect(0);
    let run = home.on_library(&["fetch", ALL]).expect(2);
    assert!(
        run.stderr.contains("no source is switched on"),
        "{}",
        run.stderr
    );
    assert_eq!(server.requests().len(), 0);
    assert!(!home.library().join("state.db").exists());
}

#[test]
fn what_is_ingested_is_asked_about_together_and_undone_together() {
    let server = knowing();
    let home = home(&danbooru(&server.url()));
    write_pictures(&home.path().join("source"), 0..5);
    let run = home.on_library(&["ingest", "source"]).expect(0);
    assert!(
        run.stderr
            .contains("asked the sources about 5 pictures: 5 known, 20 new tags"),
        "{}",
        run.stderr
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].md5s().len(), 5);
    for sidecar in sidecars(&home) {
        let tags: Vec<(&str, &str, &str)> = sidecar["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| {
                let word = |key| tag[key].as_str().unwrap();
                (word("category"), word("value"), word("src"))
            })
            .collect();
        assert!(
            tags.contains(&("character", "sample_hero", "danbooru")),
            "{tags:?}"
        );
        assert!(tags.contains(&("general", "fox", "danbooru")), "{tags:?}");
        assert_eq!(sidecar["rating"], "s");
        assert_eq!(sidecar["rating_src"], "danbooru");
        assert_eq!(sidecar["sources"]["danbooru"]["id"], "1001");
    }
    for query in [
        "char:sample_hero",
        "source:danbooru",
        "post:danbooru:1001",
        "rating:s",
    ] {
        assert_eq!(count(&home, query), "5", "{query}");
    }

    // What somebody does later is taken back first, although the answers came last.
    home.on_library(&["tag", ALL, "+mine"]).expect(0);
    home.on_library(&["undo"]).expect(0);
    assert_eq!(
        (count(&home, "mine"), count(&home, ALL)),
        ("0".into(), "5".into())
    );
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, ALL), "0");
    home.on_library(&["redo"]).expect(0);
    assert_eq!(count(&home, "char:sample_hero"), "5");
}

#[test]
fn what_people_and_companions_said_wins() {
    let server = knowing();
    let home = home(&danbooru(&server.url()));
    let source = home.path().join("source");
    write_picture(&source.join("0.png"), 0);
    super::support::write_text(
        &source.join("0.png.json"),
        r#"{"tags": [{"category": "meta", "value": "sample_artist", "src": "user"}],
            "tags_removed": [{"category": "general", "value": "fox"}],
            "related": {}, "metadata": {}, "rating": "e"}"#,
    );
    // gallery-dl says what this site would say: it is not asked.
    write_picture(&source.join("1.png"), 1);
    super::support::write_text(
        &source.join("1.png.json"),
        r#"{"category": "danbooru", "id": 7, "extension": "png", "tags": "owl"}"#,
    );
    home.on_library(&["ingest", "source"]).expect(0);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].md5s().len(), 1);
    for (query, expected) in [
        ("meta:sample_artist", "1"),
        ("artist:sample_artist", "0"),
        ("fox", "0"),
        ("blue_sky", "1"),
        ("rating:e", "1"),
        ("owl post:danbooru:7", "1"),
    ] {
        assert_eq!(count(&home, query), expected, "{query}");
    }
}

#[test]
fn answers_are_kept_also_that_there_is_none() {
    let asked = Mutex::new(Vec::new());
    let asked: &'static Mutex<Vec<usize>> = Box::leak(Box::new(asked));
    let server = HttpServer::start(|request| {
        asked.lock().unwrap().push(request.md5s().len());
        Reply::json(posts(request, |md5| md5 < "4"))
    });
    let home = unasked();
    let known = sidecars(&home)
        .iter()
        .filter(|sidecar| sidecar["hashes"]["md5"].as_str().unwrap() < "4")
        .count();
    assert!((1..5).contains(&known), "pictures of both kinds");
    configure(&home, &danbooru(&server.url()));

    let run = home
        .on_library(&["fetch", "--dry-run", "--json", ALL])
        .expect(0);
    assert_eq!(run.json()["known"], known);
    assert_eq!(run.json()["new_tags"], known * 4);
    assert_eq!(count(&home, "fox"), "0", "nothing was written");
    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["known"], known);
    assert_eq!(count(&home, "fox"), known.to_string());
    assert_eq!(*asked.lock().unwrap(), [5], "once, in one question");

    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["new_tags"], 0);
    let stats = home
        .on_library(&["cache", "stats", "--json"])
        .expect(0)
        .json();
    assert_eq!(stats["hits"], 10, "{stats}");

    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, "fox"), "0");
    home.on_library(&["fetch", "--again", ALL]).expect(0);
    assert_eq!(*asked.lock().unwrap(), [5, 5]);
    home.on_library(&["cache", "clear", "source:*"]).expect(0);
    home.on_library(&["fetch", ALL]).expect(0);
    assert_eq!(*asked.lock().unwrap(), [5, 5, 5]);

    // Another address may know other pictures.
    let other = knowing();
    configure(&home, &danbooru(&other.url()));
    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["known"], 5);
}

#[test]
fn without_a_cache_the_answers_are_the_same() {
    let server = knowing();
    let home = unasked();
    let off = format!("[cache]\nbackend = \"off\"\n{}", danbooru(&server.url()));
    configure(&home, &off);
    let dry = home
        .on_library(&["fetch", "--dry-run", "--json", ALL])
        .expect(0);
    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["new_tags"], 20);
    assert_eq!(dry.json()["media"], run.json()["media"]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn who_is_away_is_asked_later_and_holds_up_nobody() {
    let away = HttpServer::start(|_| Reply::status(503, "down for a while"));
    let knows = knowing();
    let e621 = danbooru(&away.url())
        .replace("danbooru", "e621")
        .replace("enabled", "kind = \"danbooru\"\nenabled");
    let both = format!("{}{e621}", danbooru(&knows.url()));
    let home = home(&both);
    write_pictures(&home.path().join("source"), 0..3);
    let run = home.on_library(&["ingest", "source"]).expect(0);
    assert!(run.stderr.contains("e621: "), "{}", run.stderr);
    assert!(run.stderr.contains("503"), "{}", run.stderr);
    assert_eq!(count(&home, "source:danbooru"), "3");
    assert_eq!((away.requests().len(), knows.requests().len()), (1, 1));

    // Not due yet: asked by nobody.
    write_picture(&home.path().join("more/9.png"), 9);
    home.on_library(&["ingest", "more"]).expect(0);
    assert_eq!(away.requests()[1].md5s().len(), 1);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    let left = |what: &str| -> i64 {
        let question = format!("SELECT {what} FROM question");
        state.query_row(&question, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((left("count(*)"), left("min(tries)")), (4, 1));
    let gone = away.url();
    drop(away);

    // Its hour has come, and it is back.
    state.execute("UPDATE question SET due = 1", []).unwrap();
    let back = knowing();
    configure(&home, &both.replace(&gone, &back.url()));
    write_picture(&home.path().join("last/10.png"), 10);
    home.on_library(&["ingest", "last"]).expect(0);
    assert_eq!(left("count(*)"), 0);
    assert_eq!(count(&home, "source:e621"), "5");
    let asked = knows.requests();
    assert_eq!(asked.len(), 3, "nobody is asked twice: {asked:?}");
}

#[test]
fn a_source_that_refuses_is_named_with_what_to_do() {
    let server = HttpServer::start(|_| Reply::status(401, "who are you"));
    let home = unasked();
    configure(&home, &danbooru(&server.url()));
    let run = home.on_library(&["fetch", ALL]).expect(2);
    assert!(
        run.stderr.contains("[sources.danbooru] login"),
        "{}",
        run.stderr
    );
    assert_eq!(server.requests().len(), 1);
    let run = home
        .on_library(&["fetch", "--source", "e621", ALL])
        .expect(2);
    assert!(
        run.stderr.contains("e621 is no source that is switched on"),
        "{}",
        run.stderr
    );
}

#[test]
fn pictures_that_were_found_are_asked_about_by_the_bytes_they_have() {
    let server = knowing();
    let home = Home::new();
    let folder = home.library();
    write_pictures(&folder, 0..3);
    home.run(&["init".as_ref(), "--in-place".as_ref(), folder.as_os_str()])
        .expect(0);
    configure(&home, &danbooru(&server.url()));
    home.on_library(&["rebuild"]).expect(0);
    assert_eq!(
        server.requests().len(),
        0,
        "what is found is nobody's business"
    );
    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["known"], 3, "{}", run.text());
    let mut asked = server.requests()[0].md5s();
    asked.sort();
    let mut md5s: Vec<String> = (0..3)
        .map(|n| fs::read(folder.join(format!("{n}.png"))).unwrap())
        .map(|bytes| format!("{:x}", md5::compute(bytes)))
        .collect();
    md5s.sort();
    assert_eq!(asked, md5s);
    assert_eq!(count(&home, "sample_hero"), "3");
}

#[cfg(feature = "redis")]
mod shared {
    use super::{
        super::{hosts::Site, redis_server::RedisServer},
        *,
    };

    #[test]
    fn hosts_that_share_a_redis_ask_once() {
        let redis = RedisServer::start_on_port(&[]);
        let server = HttpServer::start(|request| Reply::json(posts(request, |md5| md5 < "4")));
        let site = Site::new(&redis, 2);
        let folder = site.drop_pictures("drop", 0..5);
        site.hosts[0].text(&["ingest", folder.to_str().unwrap()]);
        for host in &site.hosts {
            configure(&host.home, &danbooru(&server.url()));
        }
        let ask = |host: usize, dry: &str| {
            let text = site.hosts[host].text(&["fetch", "--json", dry, ALL]);
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            (report["known"].clone(), report["media"].clone())
        };
        let first = ask(0, "--dry-run");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(ask(1, "--dry-run"), first);
        assert_eq!(server.requests().len(), 1, "the answers lie in Redis");
    }

    #[test]
    fn what_a_worker_files_is_asked_about_by_who_gave_it() {
        let redis = RedisServer::start_on_port(&[]);
        let server = knowing();
        let site = Site::new(&redis, 2);
        let folder = site.drop_pictures("drop", 0..40);
        for host in &site.hosts {
            configure(&host.home, &danbooru(&server.url()));
        }
        let worker = site.hosts[1].worker();
        site.hosts[0].text(&["ingest", folder.to_str().unwrap()]);
        let tally = worker.end();
        assert!(super::super::hosts::count(&tally, "stored") > 0, "{tally}");
        assert_eq!(site.hosts[0].find("source:danbooru").len(), 40);
        let asked: usize = server.requests().iter().map(|r| r.md5s().len()).sum();
        assert_eq!(asked, 40);
    }
}
