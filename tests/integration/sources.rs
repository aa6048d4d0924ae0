//! Boorus over HTTP, asked by the real client: a server on this machine answers as
//! sites do, and as they should not.

use std::{
    fs::{self, File},
    io::Write,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use tagloupe::{
    engine::{
        job::{Cancel, spawn},
        source::{
            MetadataSource, Trouble,
            booru::open,
            settings::{Secret, SiteKind, SourceSettings, default_sites},
        },
    },
    model::{
        id::Md5,
        media::{Media, Rating},
    },
};

use super::http_server::{HttpServer, Reply, Request};

const NOW: &str = "2026-02-03T04:05:06Z";
/// What nobody but the site may see.
const SENTINEL: &str = "SENTINEL/key 0123";
/// It, and the account 4711, as HTTP Basic writes them.
const BASIC: &str = "NDcxMTpTRU5USU5FTC9rZXkgMDEyMw==";

fn settings(kind: SiteKind, url: &str) -> SourceSettings {
    SourceSettings {
        name: "site".to_owned(),
        kind,
        url: url.to_owned(),
        login: None,
        api_key: None,
        interval_ms: 0,
    }
}

fn with_key(kind: SiteKind, url: &str) -> SourceSettings {
    SourceSettings {
        login: Some("4711".to_owned()),
        api_key: Some(Secret(SENTINEL.to_owned())),
        ..settings(kind, url)
    }
}

fn source(kind: SiteKind, server: &HttpServer) -> Arc<dyn MetadataSource> {
    let settings = match kind {
        SiteKind::Gelbooru => with_key(kind, &server.url()),
        _ => settings(kind, &server.url()),
    };
    open(&settings).unwrap()
}

fn md5(n: u8) -> Md5 {
    Md5([n; 16])
}

fn look_up(source: &dyn MetadataSource, pictures: &[Md5]) -> Result<Vec<Option<Media>>, Trouble> {
    source.look_up(pictures, NOW, &Cancel::default())
}

/// The trouble with asking for one picture.
fn trouble(source: &dyn MetadataSource) -> Trouble {
    look_up(source, &[md5(1)]).unwrap_err()
}

fn names(media: &Media) -> Vec<String> {
    media
        .tags
        .iter()
        .map(|tag| tag.name().to_string())
        .collect()
}

/// A Danbooru that knows every picture that its request names, in another order, and
/// one more.
fn danbooru(request: &Request) -> Reply {
    let mut md5s = request.md5s();
    md5s.push("f".repeat(32));
    md5s.reverse();
    let posts: Vec<String> = md5s
        .iter()
        .map(|md5| {
            format!(r#"{{"id":7,"md5":"{md5}","rating":"s","tag_string_general":"t{md5}"}}"#)
        })
        .collect();
    Reply::json(format!("[{}]", posts.join(",")))
}

#[test]
fn many_pictures_are_one_request_and_answered_in_order() {
    let server = HttpServer::start(danbooru);
    let source = source(SiteKind::Danbooru, &server);
    let pictures: Vec<Md5> = (0..100).map(md5).collect();
    assert_eq!(source.most_at_once(), pictures.len());
    let found = look_up(&*source, &pictures).unwrap();
    for (picture, media) in pictures.iter().zip(&found) {
        let media = media.as_ref().unwrap();
        assert_eq!(names(media), [format!("t{picture}")]);
        assert_eq!(media.rating, Some(Rating::Sensitive));
    }
    assert_eq!(found.len(), pictures.len());
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((&*request.method, &*request.path), ("GET", "/posts.json"));
    assert_eq!(request.md5s().len(), 100);
    assert_eq!(request.value("limit"), "200");
    let program = concat!("tagloupe/", env!("CARGO_PKG_VERSION"));
    assert!(request.header("user-agent").starts_with(program));
    assert!(request.header("accept-encoding").contains("gzip"));
    assert_eq!(request.header("authorization"), "");
    assert!(request.line.len() < 4_000, "{}", request.line.len());
}

#[test]
fn each_family_is_asked_in_its_own_way() {
    let answer = |request: &Request| {
        let md5 = request.md5s().join("");
        Reply::json(match (&*request.path, request.value("s")) {
            ("/posts.json", _) if request.value("limit") == "320" => format!(
                r#"{{"posts":[{{"id":1,"file":{{"md5":"{md5}"}},"rating":"s","tags":{{"species":["fox"]}}}}]}}"#
            ),
            ("/posts.json", _) => {
                format!(r#"[{{"id":1,"md5":"{md5}","rating":"s","tag_string_character":"fox"}}]"#)
            }
            ("/post.json", _) => format!(
                r#"{{"posts":[{{"id":1,"md5":"{md5}","rating":"s","tags":"fox"}}],"tags":{{"fox":"copyright"}}}}"#
            ),
            ("/index.php", "post") if request.value("fields") == "tag_info" => format!(
                r#"[{{"id":1,"hash":"{md5}","rating":"safe","tags":"fox","tag_info":[{{"tag":"fox","type":"artist"}}]}}]"#
            ),
            ("/index.php", "post") => format!(
                r#"{{"@attributes":{{"count":1}},"post":[{{"id":1,"md5":"{md5}","rating":"general","tags":"fox"}}]}}"#
            ),
            ("/index.php", "tag") => {
                r#"{"@attributes":{"count":1},"tag":[{"id":3,"name":"fox","count":9,"type":5}]}"#
                    .to_owned()
            }
            other => panic!("{other:?}"),
        })
    };
    for (kind, most, line, tag, rating, page) in [
        (
            SiteKind::Danbooru,
            100,
            "/posts.json?tags=md5:H&limit=200",
            "character:fox",
            Rating::Sensitive,
            "/posts/1",
        ),
        (
            SiteKind::E621,
            100,
            "/posts.json?tags=md5:H status:any&limit=320",
            "species:fox",
            Rating::General,
            "/posts/1",
        ),
        (
            SiteKind::Moebooru,
            100,
            "/post.json?api_version=2&include_tags=1&tags=md5:H&limit=100",
            "copyright:fox",
            Rating::General,
            "/post/show/1",
        ),
        (
            SiteKind::Gelbooru,
            1,
            "/index.php?page=dapi&s=post&q=index&json=1&tags=md5:H",
            "meta:fox",
            Rating::General,
            "/index.php?page=post&s=view&id=1",
        ),
        (
            SiteKind::Dapi,
            1,
            "/index.php?page=dapi&s=post&q=index&json=1&fields=tag_info&tags=md5:H",
            "artist:fox",
            Rating::General,
            "/index.php?page=post&s=view&id=1",
        ),
    ] {
        let server = HttpServer::start(answer);
        let source = source(kind, &server);
        assert_eq!(source.most_at_once(), most, "{kind:?}");
        let found = look_up(&*source, &[md5(1)]).unwrap();
        let media = found[0].as_ref().unwrap();
        assert_eq!(names(media), [tag], "{kind:?}");
        assert_eq!(media.rating, Some(rating), "{kind:?}");
        assert_eq!(media.rating_src.as_deref(), Some("site"));
        assert_eq!(media.urls, [format!("{}{page}", server.url())], "{kind:?}");
        assert_eq!(media.sources["site"]["fetched"], NOW);
        let request = &server.requests()[0];
        let asked: Vec<String> = request
            .query
            .iter()
            .filter(|(name, _)| !["api_key", "user_id"].contains(&&**name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let asked = format!("{}?{}", request.path, asked.join("&"));
        assert_eq!(asked, line.replace('H', &md5(1).to_string()), "{kind:?}");
    }
}

#[test]
fn each_family_says_in_its_own_way_that_it_knows_nothing() {
    for (kind, empty) in [
        (SiteKind::Danbooru, "[]"),
        (SiteKind::E621, r#"{"posts":[]}"#),
        (SiteKind::Moebooru, "[]"),
        (SiteKind::Moebooru, r#"{"posts":[],"tags":{}}"#),
        (
            SiteKind::Gelbooru,
            r#"{"@attributes":{"limit":100,"offset":0,"count":0}}"#,
        ),
        (SiteKind::Dapi, ""),
        (SiteKind::Dapi, "[]"),
    ] {
        let server = HttpServer::start(move |_| Reply::json(empty));
        let source = source(kind, &server);
        assert_eq!(
            look_up(&*source, &[md5(1), md5(2)]),
            Ok(vec![None, None]),
            "{kind:?} {empty}"
        );
        // An older API takes one md5 a request.
        let requests = if source.most_at_once() == 1 { 2 } else { 1 };
        assert_eq!(server.requests().len(), requests);
    }
    let server = HttpServer::start(|_| Reply::json(""));
    let source = source(SiteKind::Danbooru, &server);
    assert!(matches!(trouble(&*source), Trouble::Later { .. }));
    assert_eq!(look_up(&*source, &[]), Ok(Vec::new()));
    assert_eq!(server.requests().len(), 1, "nothing is asked for nothing");
}

#[test]
fn the_types_of_gelbooru_tags_are_asked_for_once() {
    let server = HttpServer::start(|request| {
        Reply::json(if request.value("s") == "tag" {
            let tags: Vec<String> = request
                .value("names")
                .split(' ')
                .map(|name| {
                    let kind = u8::from(name.starts_with('a'));
                    let name = name.replace('\'', "&#039;");
                    format!(r#"{{"name":"{name}","type":"{kind}"}}"#)
                })
                .collect();
            format!(r#"{{"@attributes":{{}},"tag":[{}]}}"#, tags.join(","))
        } else {
            let md5 = request.md5s().join("");
            let tags: Vec<String> = (0..150).map(|n| format!("a{n}")).collect();
            format!(
                r#"{{"post":{{"id":"1","md5":"{md5}","has_children":"true","parent_id":"3",
                    "tags":"don&#039;t {}"}}}}"#,
                tags.join(" ")
            )
        })
    });
    let source = source(SiteKind::Gelbooru, &server);
    for n in 1..=2 {
        let found = look_up(&*source, &[md5(n)]).unwrap();
        let media = found[0].as_ref().unwrap();
        let names = names(media);
        assert_eq!(names.len(), 151);
        assert_eq!(names[0], "artist:a0");
        assert_eq!(names[150], "don't");
        assert_eq!(media.sources["site"]["has_children"], true);
        assert_eq!(media.sources["site"]["parent_id"], "3");
    }
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.value("s").to_owned())
        .collect();
    assert_eq!(asked, ["post", "tag", "tag", "post"]);
    for request in server.requests() {
        assert_eq!(request.value("api_key"), SENTINEL);
        assert_eq!(request.value("user_id"), "4711");
    }
}

#[test]
fn keys_go_where_they_belong_and_nowhere_else() {
    for (kind, login, key) in [
        (SiteKind::Danbooru, "", ""),
        (SiteKind::E621, "", ""),
        (SiteKind::Moebooru, "login", "password_hash"),
        (SiteKind::Gelbooru, "user_id", "api_key"),
        (SiteKind::Dapi, "user_id", "api_key"),
    ] {
        let elsewhere = HttpServer::start(|_| Reply::json("[]"));
        let place = format!("{}/found?api_key={SENTINEL}", elsewhere.url());
        let server = HttpServer::start(move |request| {
            let line = format!("{} {}", request.line, request.header("authorization"));
            match request.md5s().first().map_or("", |md5| &md5[..2]) {
                "01" => Reply::json("[]"),
                "02" => Reply::status(302, "").with("Location", &place),
                "03" => Reply::status(500, format!("no {line} {SENTINEL}")),
                "04" => Reply::status(401, format!("no {line} {SENTINEL}")),
                "05" => Reply::status(404, format!("no {line} {SENTINEL}")),
                "06" => Reply::json(format!("\"no {line}\"")),
                _ => Reply::json(format!(r#"{{"message":"key {SENTINEL} is odd"}}"#)),
            }
        });
        let source = open(&with_key(kind, &server.url())).unwrap();
        if kind != SiteKind::Gelbooru {
            assert_eq!(look_up(&*source, &[md5(1)]), Ok(vec![None]));
        }
        for n in 2..=7 {
            let trouble = look_up(&*source, &[md5(n)]).unwrap_err();
            let shown = format!("{trouble} {trouble:?}");
            assert!(!shown.contains("SENTINEL"), "{kind:?}: {shown}");
            assert!(!shown.contains(BASIC), "{kind:?}: {shown}");
            assert!(shown.contains("site"), "{shown}");
        }
        assert_eq!(elsewhere.requests().len(), 0, "a redirect is not followed");
        for request in server.requests() {
            if key.is_empty() {
                assert_eq!(request.header("authorization"), format!("Basic {BASIC}"));
                assert!(!request.line.contains("SENTINEL"));
            } else {
                assert_eq!(request.header("authorization"), "");
                assert_eq!(request.value(login), "4711");
                assert_eq!(request.value(key), SENTINEL);
            }
        }
    }
}

#[test]
fn a_redirect_names_where_to() {
    let server = HttpServer::start(|_| {
        Reply::status(301, "").with("Location", "https://b.example/posts.json?tags=secret")
    });
    let source = source(SiteKind::Danbooru, &server);
    assert_eq!(
        trouble(&*source),
        Trouble::Refused(format!(
            "site: {}/posts.json leads to https://b.example/posts.json, check [sources.site] url \
             in config.toml",
            server.url()
        ))
    );
}

#[test]
fn requests_keep_their_interval_whichever_threads_ask() {
    const INTERVAL: Duration = Duration::from_millis(60);
    let server = HttpServer::start(danbooru);
    let source = open(&SourceSettings {
        interval_ms: 60,
        ..settings(SiteKind::Danbooru, &server.url())
    })
    .unwrap();
    let started = Instant::now();
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let source = Arc::clone(&source);
            spawn("asks", move || {
                for n in 0..3 {
                    let picture = md5(thread * 3 + n);
                    let found = look_up(&*source, &[picture]).unwrap();
                    assert_eq!(names(found[0].as_ref().unwrap()), [format!("t{picture}")]);
                }
            })
            .unwrap()
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 9);
    for (n, request) in (0..).zip(&requests) {
        assert!(
            request.at >= started + INTERVAL * n,
            "request {n} came early"
        );
    }
}

#[test]
fn a_site_that_has_enough_is_left_alone_until_it_has_not() {
    let count = AtomicUsize::new(0);
    let server = HttpServer::start(move |request| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            Reply::status(429, "slow down").with("Retry-After", "1")
        } else {
            danbooru(request)
        }
    });
    let source = source(SiteKind::Danbooru, &server);
    let Trouble::Later { reason, pause } = trouble(&*source) else {
        panic!("not later")
    };
    assert_eq!(pause, Some(Duration::from_secs(1)));
    assert_eq!(
        reason,
        format!(
            "site: {}/posts.json: 429 Too Many Requests slow down",
            server.url()
        )
    );
    let mut refused = 0;
    let found = loop {
        match look_up(&*source, &[md5(1)]) {
            Ok(found) => break found,
            Err(Trouble::Later {
                reason: again,
                pause,
            }) => {
                assert_eq!(again, reason);
                assert!(pause.is_some_and(|pause| pause <= Duration::from_secs(1)));
                refused += 1;
                std::thread::yield_now();
            }
            Err(trouble) => panic!("{trouble}"),
        }
    };
    assert!(found[0].is_some());
    assert!(refused > 0);
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "nobody asked in the meantime");
    assert!(requests[1].at >= requests[0].at + Duration::from_secs(1));
}

#[test]
fn what_a_status_means_for_asking_again() {
    let later = |pause: Option<u64>| (true, pause);
    let refused = (false, None);
    for (status, retry, expected) in [
        (429, None, later(None)),
        (429, Some("99999"), later(Some(3_600))),
        (421, Some("7"), later(Some(7))),
        (503, Some("30"), later(Some(30))),
        (500, None, later(None)),
        (502, None, later(None)),
        (408, None, later(None)),
        (400, None, refused),
        (401, None, refused),
        (403, None, refused),
        (404, None, refused),
        (422, None, refused),
        (302, None, refused),
    ] {
        let server = HttpServer::start(move |_| {
            let reply = Reply::status(status, "<html>a page for people</html>");
            match retry {
                Some(retry) => reply.with("Retry-After", retry),
                None => reply,
            }
        });
        let source = source(SiteKind::Moebooru, &server);
        match trouble(&*source) {
            Trouble::Later { reason, pause } => {
                assert_eq!(
                    (true, pause.map(|pause| pause.as_secs())),
                    expected,
                    "{status}"
                );
                assert!(reason.contains(&status.to_string()), "{reason}");
                assert!(!reason.contains("html"), "{reason}");
            }
            Trouble::Refused(reason) => {
                assert_eq!(expected, refused, "{status}");
                assert!(reason.contains("[sources.site]"), "{reason}");
            }
            Trouble::Cancelled => panic!("nobody cancelled"),
        }
    }
}

#[test]
fn who_wants_a_key_is_understood_and_passed_on_with_what_to_set() {
    for (status, body) in [
        (401, ""),
        (403, "<html>go away</html>"),
        (
            200,
            r#""Missing authentication. Go to api.example for more information""#,
        ),
        (200, "Missing authentication."),
        (422, r#"{"success":false,"message":"Invalid API key"}"#),
    ] {
        let server = HttpServer::start(move |_| Reply::status(status, body));
        let url = server.url();
        for (settings, expected) in [
            (
                settings(SiteKind::Dapi, &url),
                "site wants an account, set [sources.site] login and api_key in config.toml (",
            ),
            (
                with_key(SiteKind::Dapi, &url),
                "site does not accept the account, check [sources.site] login and api_key in \
                 config.toml (",
            ),
        ] {
            let source = open(&settings).unwrap();
            let Trouble::Refused(reason) = trouble(&*source) else {
                panic!("{status} {body}: not refused")
            };
            assert!(reason.starts_with(expected), "{reason}");
        }
    }
}

type Make = Box<dyn Fn() -> Reply + Send + Sync>;

#[test]
fn what_is_no_answer_is_trouble_for_later() {
    let zipped = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = zipped(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let cases: Vec<(&str, &str, Make)> = vec![
        (
            "a page",
            "no JSON",
            Box::new(|| Reply::json("<html>busy</html>")),
        ),
        ("half", "", Box::new(|| Reply::json("[{\"id\":"))),
        ("short", "", Box::new(|| Reply::short("[]"))),
        ("nothing", "", Box::new(|| Reply::raw(""))),
        (
            "garbage",
            "",
            Box::new(|| Reply::raw("\u{1b}]0;x\u{7}garbage\r\n\r\n")),
        ),
        (
            "a huge header",
            "",
            Box::new(|| {
                Reply::raw(format!(
                    "HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n[]",
                    "x".repeat(1 << 20)
                ))
            }),
        ),
        (
            "an endless body",
            "larger than 8 MiB",
            Box::new(|| Reply::endless(" ".repeat(1 << 16))),
        ),
        (
            "a bomb",
            "larger than 8 MiB",
            Box::new(move || Reply::status(200, bomb.clone()).with("Content-Encoding", "gzip")),
        ),
        (
            "no gzip",
            "",
            Box::new(|| Reply::status(200, "[]").with("Content-Encoding", "gzip")),
        ),
        (
            "too many values",
            "more than anybody asked for",
            Box::new(|| Reply::json(format!("[{}0]", "0,".repeat(3_000_000)))),
        ),
        (
            "a deep one",
            "no JSON",
            Box::new(|| Reply::json("[".repeat(100_000))),
        ),
    ];
    for (what, expected, make) in cases {
        let server = HttpServer::start(move |_| make());
        let source = source(SiteKind::Danbooru, &server);
        let Trouble::Later { reason, pause } = trouble(&*source) else {
            panic!("{what}: not later")
        };
        assert_eq!(pause, None, "{what}");
        assert!(reason.contains(expected), "{what}: {reason}");
        let start = format!("site: {}/posts.json: ", server.url());
        assert!(reason.starts_with(&start), "{what}: {reason}");
        assert!(!reason.contains(char::is_control), "{what}: {reason:?}");
        assert!(reason.len() < 400, "{what}: {reason}");
    }
    let url = HttpServer::start(|_| Reply::silence()).url();
    let gone = open(&settings(SiteKind::Danbooru, &url)).unwrap();
    assert!(matches!(
        trouble(&*gone),
        Trouble::Later { pause: None, .. }
    ));
}

#[test]
fn answers_may_come_packed_and_in_parts() {
    let server = HttpServer::start(|request| {
        let posts = format!(
            r#"[{{"id":1,"md5":"{}","tag_string_general":"a"}}]"#,
            request.md5s()[0]
        );
        if request.md5s()[0].starts_with("01") {
            let (first, second) = posts.split_at(9);
            return Reply::chunked([first, second]);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(posts.as_bytes()).unwrap();
        Reply::status(200, encoder.finish().unwrap()).with("Content-Encoding", "gzip")
    });
    let source = source(SiteKind::Danbooru, &server);
    for n in 1..=2 {
        let found = look_up(&*source, &[md5(n)]).unwrap();
        assert_eq!(names(found[0].as_ref().unwrap()), ["a"]);
    }
}

#[test]
fn whoever_waits_hears_that_nobody_waits_for_them() {
    let silent: fn(&Request) -> Reply = |_| Reply::silence();
    let slow: fn(&Request) -> Reply = |_| Reply::trickle();
    for answer in [silent, slow] {
        let server = HttpServer::start(answer);
        let source = source(SiteKind::Danbooru, &server);
        let cancel = Cancel::default();
        let (tx, rx) = mpsc::channel();
        let stop = cancel.clone();
        let asks = spawn("asks", move || {
            tx.send(source.look_up(&[md5(1)], NOW, &stop)).unwrap();
        })
        .unwrap();
        server.wait_for(1);
        assert!(rx.try_recv().is_err(), "it waits");
        cancel.cancel();
        // Otherwise the time-out would end it, with another word.
        assert_eq!(rx.recv().unwrap(), Err(Trouble::Cancelled));
        asks.join().unwrap();
    }
    // While it waits for its turn.
    let server = HttpServer::start(danbooru);
    let source = open(&SourceSettings {
        interval_ms: 3_600_000,
        ..settings(SiteKind::Danbooru, &server.url())
    })
    .unwrap();
    assert!(look_up(&*source, &[md5(1)]).is_ok());
    let cancel = Cancel::default();
    let stop = cancel.clone();
    let (tx, rx) = mpsc::channel();
    let asks = spawn("asks", move || {
        tx.send(source.look_up(&[md5(2)], NOW, &stop)).unwrap();
    })
    .unwrap();
    let early = rx.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err(), "its turn is in an hour");
    cancel.cancel();
    assert_eq!(rx.recv().unwrap(), Err(Trouble::Cancelled));
    asks.join().unwrap();
    assert_eq!(server.requests().len(), 1);
}

/// A server with a certificate that nobody vouches for; it prints what it hears.
struct Impostor {
    child: Child,
    url: String,
}

impl Impostor {
    fn start(folder: &Path) -> Self {
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split(' ')).current_dir(folder);
            command.stdin(Stdio::piped()).stderr(Stdio::null());
            command.stdout(File::create(folder.join("heard")).unwrap());
            command
                .spawn()
                .expect("no openssl: install the Debian package openssl, as tests/run does")
        };
        let mut made = openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem \
             -out certificate.pem -days 30 -subj /CN=site -addext subjectAltName=IP:127.0.0.1",
        );
        assert!(made.wait().unwrap().success());
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap();
        let child = openssl(&format!(
            "s_server -quiet -accept {address} -cert certificate.pem -key key.pem"
        ));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "no server at {address}");
            std::thread::yield_now();
        }
        Self {
            child,
            url: format!("https://{address}"),
        }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn nothing_is_said_to_who_only_claims_to_be_the_site() {
    let folder = tempfile::tempdir().unwrap();
    let server = Impostor::start(folder.path());
    for kind in [SiteKind::Danbooru, SiteKind::Dapi] {
        let source = open(&with_key(kind, &server.url)).unwrap();
        let Trouble::Later { reason, pause } = trouble(&*source) else {
            panic!("not later")
        };
        assert_eq!(pause, None);
        assert!(reason.contains("certificate"), "{reason}");
    }
    // Nor to one who does not even know TLS.
    let plain = HttpServer::start(danbooru);
    let url = plain.url().replace("http:", "https:");
    let source = open(&with_key(SiteKind::Danbooru, &url)).unwrap();
    assert!(matches!(
        trouble(&*source),
        Trouble::Later { pause: None, .. }
    ));
    assert_eq!(plain.requests().len(), 0);
    drop(server);
    let heard = fs::read(folder.path().join("heard")).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), "");
}

#[test]
fn the_well_known_sites_are_asked_by_name_over_tls() {
    let sites = default_sites();
    let names: Vec<&str> = sites.iter().map(|site| &*site.name).collect();
    assert_eq!(
        names,
        [
            "danbooru",
            "e621",
            "gelbooru",
            "yandere",
            "konachan",
            "rule34",
            "safebooru"
        ]
    );
    for site in sites {
        assert!(site.url.starts_with("https://") && !site.url.ends_with('/'));
        assert!(site.interval_ms >= 500);
        assert_eq!((site.login, site.api_key), (None, None));
    }
}
