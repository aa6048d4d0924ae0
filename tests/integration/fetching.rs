//! Learning from sources, with the real program, and sites on the loopback network.

use std::{
    fs,
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use super::{
    http_server::{HttpServer, Reply, Request},
    support::{Home, originals, write_picture, write_pictures},
};

/// Whether a site was asked twice, and not at once.
#[track_caller]
fn assert_in_turns(server: &HttpServer) {
    let asked: Vec<_> = server.requests().iter().map(|request| request.at).collect();
    assert_eq!(asked.len(), 2);
    let between = asked[1] - asked[0];
    assert!(between >= std::time::Duration::from_secs(2), "{asked:?}");
}

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

/// A configuration by which a site is asked each three seconds.
fn slowly(server: &HttpServer) -> String {
    danbooru(&server.url()).replace("interval_ms = 0", "interval_ms = 3000")
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
    let library = tagloupe::engine::Library::open(&home.library()).unwrap();
    assert_eq!(library.count_questions().unwrap(), 0);
}

#[test]
fn processes_of_one_host_take_turns_at_a_site() {
    let server = knowing();
    let home = unasked();
    configure(&home, &slowly(&server));
    let run = home.on_library(&["search", "--ids", "limit:2"]);
    for id in run.text().lines() {
        let query = format!("id:{id}");
        home.on_library(&["fetch", "--dry-run", &query]).expect(0);
    }
    assert_in_turns(&server);
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

    // Who is told the same again changes nothing, and makes no step.
    home.on_library(&["fetch", "--again", ALL]).expect(0);
    assert_eq!(*asked.lock().unwrap(), [5, 5]);
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, "fox"), "0");
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
        run.stderr.contains("no source e621 is switched on"),
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

#[test]
fn a_site_that_is_away_is_asked_once_however_much_there_is_to_ask() {
    let away = HttpServer::start(|_| Reply::status(503, "down for a while"));
    let knows = knowing();
    let e621 = danbooru(&away.url())
        .replace("danbooru", "e621")
        .replace("enabled", "kind = \"danbooru\"\nenabled");
    let home = home(&format!("{}{e621}", danbooru(&knows.url())));
    write_pictures(&home.path().join("source"), 0..120);
    home.on_library(&["ingest", "source"]).expect(0);
    assert_eq!((knows.requests().len(), away.requests().len()), (2, 1));
    assert_eq!(count(&home, "source:danbooru"), "120");

    let run = home.on_library(&["fetch", "--again", ALL]).expect(2);
    assert!(run.stderr.contains("e621: "), "{}", run.stderr);
    assert_eq!((knows.requests().len(), away.requests().len()), (4, 2));
}

#[test]
fn pictures_that_come_one_by_one_do_not_ask_who_is_away_each_time() {
    let away = HttpServer::start(|_| Reply::status(503, "down for a while"));
    let knows = knowing();
    let e621 = danbooru(&away.url())
        .replace("danbooru", "e621")
        .replace("enabled", "kind = \"danbooru\"\nenabled");
    let home = home(&format!("{}{e621}", danbooru(&knows.url())));
    let mut watch = begun(&home, &["watch"]);
    for n in 0..3 {
        write_picture(&home.library().join(format!("ingest/{n}.png")), n);
        let learned = (n + 1).to_string();
        wait_until(|| count(&home, "source:danbooru") == learned);
    }
    let id = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    watch.wait().unwrap();
    assert_eq!((knows.requests().len(), away.requests().len()), (3, 1));
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    let left: i64 = state
        .query_row("SELECT count(*) FROM question", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 3);
}

#[test]
fn what_a_source_refuses_is_asked_when_it_is_set_right() {
    let server = HttpServer::start(|request| {
        if request.header("authorization").is_empty() {
            Reply::status(401, "who are you")
        } else {
            Reply::json(posts(request, |_| true))
        }
    });
    let home = home(&danbooru(&server.url()));
    write_pictures(&home.path().join("source"), 0..3);
    home.on_library(&["ingest", "source"]).expect(0);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state.execute("UPDATE question SET due = 1", []).unwrap();
    let account = "login = \"me\"\napi_key = \"key\"\n";
    configure(&home, &format!("{}{account}", danbooru(&server.url())));
    write_picture(&home.path().join("more/9.png"), 9);
    home.on_library(&["ingest", "more"]).expect(0);
    assert_eq!(count(&home, "source:danbooru"), "4");
}

#[test]
fn a_source_that_cannot_be_asked_is_named_everywhere() {
    let server = knowing();
    let home = home(&danbooru(&server.url()));
    let gelbooru = "[sources.gelbooru]\nenabled = true\n";
    configure(&home, &format!("{}{gelbooru}", danbooru(&server.url())));
    write_pictures(&home.path().join("source"), 0..2);
    let says = "gelbooru wants an account, set [sources.gelbooru] login";
    let run = home.on_library(&["ingest", "source"]).expect(0);
    assert!(run.stderr.contains(says), "{}", run.stderr);
    let run = home.on_library(&["fetch", ALL]).expect(0);
    assert!(run.stderr.contains(says), "{}", run.stderr);
    let run = home.on_library(&["fetch", "--source", "gelbooru", ALL]);
    assert!(run.expect(2).stderr.contains(says));
    let run = home.on_library(&["doctor"]);
    assert!(run.text().contains(says), "{}", run.text());
}

/// A library whose pictures are all still to be asked about: the site was away.
fn put_off(seeds: std::ops::Range<u32>) -> Home {
    let away = HttpServer::start(|_| Reply::status(503, "down for a while"));
    let home = home(&danbooru(&away.url()));
    write_pictures(&home.path().join("source"), seeds);
    home.on_library(&["ingest", "source"]).expect(0);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state.execute("UPDATE question SET due = 1", []).unwrap();
    home
}

/// The program at work on the library of a home.
fn begun(home: &Home, arguments: &[&str]) -> std::process::Child {
    let library = home.library();
    let mut all = vec!["--library".as_ref(), library.as_os_str()];
    all.extend(
        arguments
            .iter()
            .map(|argument| AsRef::<std::ffi::OsStr>::as_ref(*argument)),
    );
    let mut command = home.command(&all);
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

/// Waits until this is so.
fn wait_until(is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed().as_secs() < 120, "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn who_is_killed_while_asking_leaves_the_questions_to_others() {
    let home = put_off(0..5);
    let silent = HttpServer::start(|_| Reply::silence());
    configure(&home, &danbooru(&silent.url()));
    let mut watch = begun(&home, &["watch"]);
    silent.wait_for(1);
    watch.kill().unwrap();
    watch.wait().unwrap();

    // Others wait until it is sure that nobody is at it.
    let server = knowing();
    configure(&home, &danbooru(&server.url()));
    write_picture(&home.path().join("more/9.png"), 9);
    home.on_library(&["ingest", "more"]).expect(0);
    assert_eq!(server.requests()[0].md5s().len(), 1);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    let left: i64 = state
        .query_row("SELECT count(*) FROM question WHERE tries = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 5);
    state.execute("UPDATE question SET due = 1", []).unwrap();
    write_picture(&home.path().join("more/10.png"), 10);
    home.on_library(&["ingest", "more"]).expect(0);
    assert_eq!(count(&home, "source:danbooru"), "7");
    home.on_library(&["verify"]).expect(0);
}

#[test]
fn who_is_killed_while_learning_has_learned_it_all_at_the_next_start() {
    let home = put_off(0..60);
    let server = knowing();
    configure(&home, &danbooru(&server.url()));
    let images = home.library().join("images");
    let is_learned = || {
        let knows = |file: &std::path::PathBuf| {
            let text = fs::read_to_string(images.join(file));
            text.is_ok_and(|text| text.contains("sample_hero"))
        };
        super::support::files_below(&images).iter().any(knows)
    };
    let mut watch = begun(&home, &["watch"]);
    // As soon as anything is learned; one that was faster is just as good.
    wait_until(is_learned);
    watch.kill().unwrap();
    watch.wait().unwrap();

    home.on_library(&["recover"]).expect(0);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state.execute("UPDATE question SET due = 1", []).unwrap();
    write_picture(&home.path().join("more/99.png"), 99);
    home.on_library(&["ingest", "more"]).expect(0);
    assert_eq!(count(&home, "char:sample_hero"), "61");
    home.on_library(&["verify"]).expect(0);
    // The second ingest, then the first, each with what was learned of it.
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, "char:sample_hero"), "60");
    home.on_library(&["undo"]).expect(0);
    assert_eq!(count(&home, ALL), "0");
    home.on_library(&["redo"]).expect(0);
    assert_eq!(count(&home, "char:sample_hero"), "60");
}

#[test]
fn processes_that_share_the_questions_ask_about_each_picture_once() {
    let home = put_off(0..250);
    let off = "[cache]\nbackend = \"off\"\n";
    let server = knowing();
    configure(&home, &format!("{off}{}", danbooru(&server.url())));
    let mut watches = [begun(&home, &["watch"]), begun(&home, &["watch"])];
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state
        .busy_timeout(std::time::Duration::from_mins(1))
        .unwrap();
    let left = || -> i64 {
        let count = state.query_row("SELECT count(*) FROM question", [], |row| row.get(0));
        count.unwrap()
    };
    wait_until(|| left() == 0);
    for watch in &mut watches {
        let id = rustix::process::Pid::from_child(watch);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        watch.wait().unwrap();
    }
    let mut asked: Vec<String> = server.requests().iter().flat_map(Request::md5s).collect();
    assert_eq!(asked.len(), 250);
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 250);
    assert_eq!(count(&home, "source:danbooru"), "250");
}

#[test]
fn who_interrupts_an_ingest_that_asks_is_asked_for_later() {
    let silent = HttpServer::start(|_| Reply::silence());
    let home = home(&danbooru(&silent.url()));
    write_pictures(&home.path().join("source"), 0..3);
    let mut ingest = begun(&home, &["ingest", "source"]);
    silent.wait_for(1);
    let id = rustix::process::Pid::from_child(&ingest);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(ingest.wait().unwrap().code(), Some(130));

    let server = knowing();
    configure(&home, &danbooru(&server.url()));
    write_picture(&home.path().join("more/9.png"), 9);
    let run = home.on_library(&["ingest", "--json", "more"]).expect(0);
    assert_eq!(run.json()["sources"]["known"], 4, "{}", run.text());
    assert_eq!(count(&home, "source:danbooru"), "4");
}

#[test]
fn a_state_that_cannot_be_used_is_named_and_stops_no_ingest() {
    let server = knowing();
    let home = home(&danbooru(&server.url()));
    super::support::write_text(&home.library().join("state.db"), "no database at all");
    write_pictures(&home.path().join("source"), 0..2);
    let run = home.on_library(&["ingest", "source"]).expect(0);
    assert!(
        run.stderr.contains("no source is asked about"),
        "{}",
        run.stderr
    );
    assert_eq!(count(&home, ALL), "2");
    let run = home.on_library(&["fetch", "--json", ALL]).expect(0);
    assert_eq!(run.json()["known"], 2);
}

#[test]
fn what_is_undone_before_the_answer_comes_stays_undone() {
    let home = put_off(0..3);
    let door = Arc::new((Mutex::new(false), Condvar::new()));
    let server = HttpServer::start({
        let door = Arc::clone(&door);
        move |request| {
            let (is_open, opened) = &*door;
            let closed = is_open.lock().unwrap();
            drop(opened.wait_while(closed, |is_open| !*is_open).unwrap());
            Reply::json(posts(request, |_| true))
        }
    });
    configure(&home, &danbooru(&server.url()));
    let mut watch = begun(&home, &["watch"]);
    server.wait_for(1);
    home.on_library(&["undo"]).expect(0);
    *door.0.lock().unwrap() = true;
    door.1.notify_all();
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state
        .busy_timeout(std::time::Duration::from_mins(1))
        .unwrap();
    wait_until(|| {
        let count = state.query_row("SELECT count(*) FROM question", [], |row| row.get(0));
        count == Ok(0_i64)
    });
    let id = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    watch.wait().unwrap();
    assert_eq!(count(&home, ALL), "0");
    home.on_library(&["verify"]).expect(0);
    home.on_library(&["redo"]).expect(0);
    assert_eq!(
        (count(&home, ALL), count(&home, "fox")),
        ("3".into(), "0".into())
    );
}

#[test]
fn a_picture_that_nobody_answers_about_is_let_go_with_a_word() {
    let home = put_off(0..2);
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    state.execute("UPDATE question SET tries = 19", []).unwrap();
    let away = HttpServer::start(|_| Reply::status(503, "down for a while"));
    configure(&home, &danbooru(&away.url()));
    write_picture(&home.path().join("more/9.png"), 9);
    let run = home.on_library(&["ingest", "more"]).expect(0);
    let says = "after 20 tries the sources are no longer asked about 2 pictures";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    let left: i64 = state
        .query_row("SELECT count(*) FROM question", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
}

#[test]
fn what_cannot_be_noted_is_told_and_asked_when_it_can() {
    let home = put_off(0..3);
    let server = knowing();
    configure(&home, &danbooru(&server.url()));
    let state = rusqlite::Connection::open(home.library().join("state.db")).unwrap();
    // Reading works, and noting when something is due does not.
    let broken = "CREATE INDEX broken ON question
                  (CASE WHEN due > 1000 THEN json_extract('no json', '$') END)";
    state.execute_batch(broken).unwrap();
    write_picture(&home.path().join("more/9.png"), 9);
    let run = home.on_library(&["ingest", "more"]).expect(0);
    let told = run
        .stderr
        .matches("no source is asked about what was ingested")
        .count();
    assert_eq!(told, 1, "{}", run.stderr);
    assert_eq!(server.requests().len(), 0);

    // One that stays tells it once, however often pictures come.
    let library = home.library();
    let arguments = ["--library".as_ref(), library.as_os_str(), "watch".as_ref()];
    let mut command = home.command(&arguments);
    command.stdout(std::process::Stdio::null());
    let notes = home.path().join("notes");
    command.stderr(fs::File::create(&notes).unwrap());
    let mut watch = command.spawn().unwrap();
    for n in 20..23 {
        write_picture(&library.join(format!("ingest/{n}.png")), n);
        let expected = (n - 15).to_string();
        wait_until(|| count(&home, ALL) == expected);
    }
    let told = || {
        let notes = fs::read_to_string(&notes).unwrap();
        notes
            .matches("no source is asked about what was ingested")
            .count()
    };
    wait_until(|| told() > 0);
    let id = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    watch.wait().unwrap();
    assert_eq!(told(), 1);

    state.execute_batch("DROP INDEX broken").unwrap();
    write_picture(&home.path().join("last/30.png"), 30);
    home.on_library(&["ingest", "last"]).expect(0);
    assert_eq!(count(&home, "source:danbooru"), "8");
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
    fn hosts_that_share_a_redis_take_turns_at_a_site() {
        let redis = RedisServer::start_on_port(&[]);
        let server = knowing();
        let site = Site::new(&redis, 2);
        let folder = site.drop_pictures("drop", 0..2);
        site.hosts[0].text(&["ingest", folder.to_str().unwrap()]);
        let slowly = slowly(&server);
        let ids: Vec<String> = site.hosts[0].find(ALL).into_iter().collect();
        for (host, id) in site.hosts.iter().zip(&ids) {
            configure(&host.home, &slowly);
            host.text(&["fetch", "--dry-run", &format!("id:{id}")]);
        }
        assert_in_turns(&server);
    }

    #[test]
    fn what_a_worker_files_is_asked_about_by_who_gave_it() {
        let redis = RedisServer::start_on_port(&[]);
        let server = knowing();
        let site = Site::new(&redis, 2);
        let folder = site.drop_pictures("drop", 0..100);
        for host in &site.hosts {
            configure(&host.home, &danbooru(&server.url()));
        }
        let worker = site.hosts[1].worker();
        site.hosts[0].text(&["ingest", folder.to_str().unwrap()]);
        let tally = worker.end();
        assert!(super::super::hosts::count(&tally, "stored") > 0, "{tally}");
        assert_eq!(site.hosts[0].find("source:danbooru").len(), 100);
        let asked: usize = server.requests().iter().map(|r| r.md5s().len()).sum();
        assert_eq!(asked, 100);
    }
}
