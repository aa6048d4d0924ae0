//! How a site is asked over HTTP: politely, within bounds, and that site alone.
//!
//! Invariants: credentials go to the configured site and into no error; requests begin
//! no closer together than the interval, whichever threads ask; a site that wants to be
//! left alone is.

use std::{
    io::Read,
    sync::{
        Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ureq::{
    Agent,
    http::{HeaderMap, Uri, header},
};

use super::{Trouble, settings::SourceSettings};
use crate::{
    engine::job::{self, Cancel, lock},
    model::text::display_text,
};

/// Answers above this size, unpacked, are none.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Enough of the answer to a refused request to tell why.
const MAX_REASON_BYTES: usize = 16 << 10;
const MAX_REASON_CHARS: usize = 200;
/// Of what a site says beside what is to be done.
const MAX_QUOTE_CHARS: usize = 80;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the whole of a request, until the last byte of its answer.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The bounds of what a site may ask for.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_hours(1);
/// How often a wait looks at the cancel flag.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How a site knows the user.
pub enum Credentials {
    None,
    /// HTTP Basic.
    Basic {
        login: String,
        key: String,
    },
    /// In the query of each request, each under the name that the site gives it.
    Query {
        login: (&'static str, String),
        key: (&'static str, String),
    },
}

impl Credentials {
    fn secrets(&self) -> Vec<String> {
        let mut secrets = match self {
            Self::None => Vec::new(),
            Self::Basic { login, key } => vec![key.clone(), basic(login, key)],
            Self::Query { key: (_, key), .. } => vec![key.clone(), encoded(key)],
        };
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}

fn basic(login: &str, key: &str) -> String {
    BASE64_STANDARD.encode(format!("{login}:{key}"))
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A client for one site; shared by threads.
pub struct Client {
    name: String,
    base: String,
    agent: Agent,
    credentials: Credentials,
    /// The key in each form in which a site may repeat it.
    secrets: Vec<String>,
    interval: Duration,
    gate: Mutex<Gate>,
}

/// When the next request may begin.
#[derive(Default)]
struct Gate {
    next: Option<Instant>,
    /// Until when the site wants to be left alone, and how it said so.
    closed: Option<(Instant, String)>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// When the address of the settings is none.
    pub fn new(
        settings: &SourceSettings,
        credentials: Credentials,
        user_agent: &str,
    ) -> Result<Self, String> {
        Self::with_timeouts(
            settings,
            credentials,
            user_agent,
            CONNECT_TIMEOUT,
            WHOLE_TIMEOUT,
        )
    }

    fn with_timeouts(
        settings: &SourceSettings,
        credentials: Credentials,
        user_agent: &str,
        connect: Duration,
        whole: Duration,
    ) -> Result<Self, String> {
        let base = settings.url.trim_end_matches('/');
        let uri = address(base).ok_or_else(|| {
            format!(
                "[sources.{}] url is no address of a site: https://…, without a query",
                settings.name
            )
        })?;
        let mut config = Agent::config_builder()
            .user_agent(user_agent)
            .https_only(uri.scheme_str() == Some("https"))
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(connect))
            .timeout_global(Some(whole));
        // A proxy, which the environment may name, leads away from this machine.
        if is_loopback(uri.host().unwrap_or_default()) {
            config = config.proxy(None);
        }
        Ok(Self {
            name: settings.name.clone(),
            base: base.to_owned(),
            agent: config.build().new_agent(),
            secrets: credentials.secrets(),
            credentials,
            interval: Duration::from_millis(settings.interval_ms),
            gate: Mutex::default(),
        })
    }

    /// The address of the site, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The answer to a request that went well. `now` (RFC 3339) is what a date in a
    /// `Retry-After` is compared with where the site does not tell its own time.
    pub fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        now: &str,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, Trouble> {
        self.wait(cancel)?;
        let answer = self.ask(path, query, cancel)?;
        self.judge(path, answer, now)
    }

    /// Trouble that a look at the configuration may end.
    pub fn wants_key(&self, why: &str) -> Trouble {
        let name = &self.name;
        let setting = format!("[sources.{name}] login and api_key in config.toml");
        // What to do must not drown in what the site says.
        let why: String = self.clean(why).chars().take(MAX_QUOTE_CHARS).collect();
        Trouble::Refused(match self.credentials {
            Credentials::None => format!("{name} wants an account, set {setting} ({why})"),
            _ => format!("{name} does not accept the account, check {setting} ({why})"),
        })
    }

    /// Trouble that may be over when the site is asked again.
    pub fn later(&self, path: &str, why: &str) -> Trouble {
        self.later_after(path, why, None)
    }

    fn later_after(&self, path: &str, why: &str, pause: Option<Duration>) -> Trouble {
        Trouble::Later {
            reason: format!("{}: {}{path}: {}", self.name, self.base, self.clean(why)),
            pause,
        }
    }

    /// Text from outside: one short line, without what nobody else may read.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        let line: Vec<&str> = text.split_whitespace().collect();
        let line: String = line.join(" ").chars().take(MAX_REASON_CHARS).collect();
        display_text(&line).into_owned()
    }

    /// Waits for this request's turn.
    fn wait(&self, cancel: &Cancel) -> Result<(), Trouble> {
        loop {
            if cancel.is_cancelled() {
                return Err(Trouble::Cancelled);
            }
            let now = Instant::now();
            let mut gate = lock(&self.gate);
            if let Some((until, reason)) = &gate.closed {
                if *until > now {
                    return Err(Trouble::Later {
                        reason: reason.clone(),
                        pause: Some(*until - now),
                    });
                }
                gate.closed = None;
            }
            let wait = gate
                .next
                .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
            if wait.is_zero() {
                gate.next = Some(now + self.interval);
                return Ok(());
            }
            drop(gate);
            std::thread::sleep(wait.min(LOOK_INTERVAL));
        }
    }

    /// Asks on a thread of its own, which a cancelled request leaves behind: whatever
    /// it waits for, it ends with the time-out.
    fn ask(&self, path: &str, query: &[(&str, &str)], cancel: &Cancel) -> Result<Answer, Trouble> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.base))
            .header(header::ACCEPT, "application/json")
            .query_pairs(query.iter().copied());
        match &self.credentials {
            Credentials::None => {}
            Credentials::Basic { login, key } => {
                let pair = format!("Basic {}", basic(login, key));
                request = request.header(header::AUTHORIZATION, pair);
            }
            Credentials::Query { login, key } => {
                request = request
                    .query(login.0, &login.1)
                    .query_raw(key.0, encoded(&key.1));
            }
        }
        let (tx, rx) = mpsc::sync_channel(1);
        let stop = cancel.clone();
        job::spawn("source", move || {
            let answer = request
                .call()
                .map_err(|error| describe(&error))
                .and_then(|response| receive(response, &stop));
            // Nobody waits for it any more.
            let _ = tx.send(answer);
        })
        .map_err(|error| self.later(path, &format!("no thread to ask on: {error}")))?;
        loop {
            if cancel.is_cancelled() {
                return Err(Trouble::Cancelled);
            }
            match rx.recv_timeout(LOOK_INTERVAL) {
                // What was cut short is no answer.
                Ok(_) if cancel.is_cancelled() => {}
                Ok(answer) => return answer.map_err(|why| self.later(path, &why)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.later(path, "the request ended by a panic"));
                }
            }
        }
    }

    fn judge(&self, path: &str, answer: Answer, now: &str) -> Result<Vec<u8>, Trouble> {
        let status = answer.status;
        let said = || {
            let text = String::from_utf8_lossy(&answer.body);
            // A page for people explains nothing in one line.
            let text = if text.trim_start().starts_with('<') {
                "".into()
            } else {
                message(&text).map_or(text, Into::into)
            };
            format!("{} {text}", status_text(status))
        };
        match status {
            200..=299 => Ok(answer.body),
            300..=399 => {
                let place = answer
                    .headers
                    .get(header::LOCATION)
                    .and_then(|place| place.to_str().ok())
                    .map(without_query)
                    .unwrap_or_default();
                Err(Trouble::Refused(format!(
                    "{name}: {base}{path} leads to {place}, check [sources.{name}] url in \
                     config.toml",
                    name = self.name,
                    base = self.base,
                    place = self.clean(&place),
                )))
            }
            401 | 403 => Err(self.wants_key(&said())),
            408 | 421 | 425 | 429 | 500..=599 => {
                let pause = pause(&answer.headers, now);
                let trouble = self.later_after(path, &said(), pause);
                if let (Some(pause), Trouble::Later { reason, .. }) = (pause, &trouble) {
                    let until = Instant::now() + pause;
                    let mut gate = lock(&self.gate);
                    let is_known = gate.closed.as_ref().is_some_and(|known| known.0 >= until);
                    if !is_known {
                        gate.closed = Some((until, reason.clone()));
                    }
                }
                Err(trouble)
            }
            _ if is_about_keys(&said()) => Err(self.wants_key(&said())),
            _ => Err(Trouble::Refused(format!(
                "{name}: {base}{path} answers {said}, check [sources.{name}] in config.toml",
                name = self.name,
                base = self.base,
                said = self.clean(&said()),
            ))),
        }
    }
}

/// What people are told by the JSON with which a site refuses a request.
fn message(text: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    let said = |key: &&str| {
        let text = answer.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    ["message", "reason", "error"].iter().find_map(said)
}

/// The parts of an address that a site can be reached at.
fn address(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("https" | "http"));
    let is_plain = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    (is_http && is_plain && uri.query().is_none() && !url.contains('#')).then_some(uri)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether a site's complaint is that it does not know who asks.
pub fn is_about_keys(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "authenti",
        "api_key",
        "api key",
        "credential",
        "unauthorized",
    ]
    .iter()
    .any(|word| text.contains(word))
}

fn without_query(place: &str) -> String {
    let place = place.split(['?', '#']).next().unwrap_or_default();
    match (place.find("://"), place.find('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &place[..scheme + 3], &place[at + 1..])
        }
        _ => place.to_owned(),
    }
}

fn status_text(status: u16) -> String {
    let name = ureq::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    name.map_or_else(|| status.to_string(), |name| format!("{status} {name}"))
}

/// How long the site wants to be left alone.
fn pause(headers: &HeaderMap, now: &str) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |text: &str| {
        jiff::fmt::rfc2822::parse(text.trim())
            .ok()
            .map(|date| date.timestamp())
    };
    let wanted = text(header::RETRY_AFTER)?.trim();
    let pause = if let Some(until) = date(wanted) {
        let now = text(header::DATE)
            .and_then(date)
            .or_else(|| now.parse().ok())?;
        Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
    } else {
        let digits = wanted.trim_start_matches(['-', '+']);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if wanted.starts_with('-') {
            Duration::ZERO
        } else {
            // What does not even fit is more than any cap.
            digits.parse().map_or(MAX_PAUSE, Duration::from_secs)
        }
    };
    Some(pause.clamp(MIN_PAUSE, MAX_PAUSE))
}

/// Reads an answer within bounds.
fn receive(
    mut response: ureq::http::Response<ureq::Body>,
    cancel: &Cancel,
) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let is_good = response.status().is_success();
    let most = if is_good {
        MAX_BODY_BYTES
    } else {
        MAX_REASON_BYTES
    };
    let mut body = Vec::new();
    let mut reader = response.body_mut().as_reader();
    let mut buffer = vec![0; 16 << 10];
    while !cancel.is_cancelled() {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if is_good => return Err(describe(&error.into())),
            // The status says enough.
            Err(_) => break,
        };
        body.extend_from_slice(&buffer[..n]);
        if body.len() > most {
            if is_good {
                return Err(format!("the answer is larger than {} MiB", most >> 20));
            }
            body.truncate(most);
            break;
        }
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// What went wrong before there was an answer. Errors that show an address are named
/// by their kind alone: a query may hold a key.
fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
            "no address that can be asked".to_owned()
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    #[test]
    fn of_a_refusal_people_read_the_message() {
        for (text, expected) in [
            (
                r#"{"success":false,"message":"no such key"}"#,
                Some("no such key"),
            ),
            (r#"{"message":" ","reason":"too busy"}"#, Some("too busy")),
            (r#"{"message":{"a":1}}"#, None),
            ("[]", None),
            ("down for a while", None),
        ] {
            assert_eq!(message(text).as_deref(), expected, "{text}");
        }
    }
    use crate::engine::source::settings::{Secret, SiteKind};

    fn settings(url: &str) -> SourceSettings {
        SourceSettings {
            name: "site".to_owned(),
            kind: SiteKind::Danbooru,
            url: url.to_owned(),
            login: None,
            api_key: Some(Secret("SENTINEL".to_owned())),
            interval_ms: 0,
        }
    }

    #[test]
    fn only_addresses_of_sites_are_taken() {
        for (url, expected) in [
            ("https://a.example", true),
            ("https://a.example/booru/", true),
            ("http://[::1]:8080", true),
            ("ftp://a.example", false),
            ("https://", false),
            ("https://jane:secret@a.example", false),
            ("https://a.example/?key=secret", false),
            ("https://a.example/#x", false),
            ("a.example", false),
            ("", false),
        ] {
            let made = Client::new(&settings(url), Credentials::None, "test");
            assert_eq!(made.is_ok(), expected, "{url}");
            assert!(!made.is_err_and(|error| error.contains("secret")));
        }
    }

    #[test]
    fn this_machine_is_asked_without_a_proxy() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("localhost", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("a.example", false),
            ("127.0.0.1.a.example", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_site_is_left_alone_for_as_long_as_it_wants_within_reason() {
        const NOW: &str = "2026-01-02T03:04:05Z";
        for (wanted, date, expected) in [
            ("30", None, Some(30)),
            ("0", None, Some(1)),
            ("-5", None, Some(1)),
            ("99999999", None, Some(3_600)),
            ("99999999999999999999999999", None, Some(3_600)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", None, Some(60)),
            ("Fri, 02 Jan 2026 03:04:00 GMT", None, Some(1)),
            ("Wed, 02 Jan 2036 03:04:00 GMT", None, Some(3_600)),
            (
                "Fri, 02 Jan 2026 05:00:10 GMT",
                Some("Fri, 02 Jan 2026 05:00:00 GMT"),
                Some(10),
            ),
            ("soon", None, None),
            ("", None, None),
            ("1.5", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, wanted.parse().unwrap());
            if let Some(date) = date {
                headers.insert(header::DATE, date.parse().unwrap());
            }
            assert_eq!(
                pause(&headers, NOW),
                expected.map(Duration::from_secs),
                "{wanted}"
            );
        }
        assert_eq!(pause(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn a_place_is_named_without_what_may_be_secret() {
        for (place, expected) in [
            ("https://b.example/x?api_key=1", "https://b.example/x"),
            ("https://jane:1@b.example/x#y", "https://b.example/x"),
            ("/posts?login=1", "/posts"),
        ] {
            assert_eq!(without_query(place), expected);
        }
    }

    /// Takes one request, writes `head` and then a space again and again.
    fn trickle(listener: TcpListener, head: &'static [u8]) {
        job::spawn("trickle", move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut send = |bytes: &[u8]| stream.write_all(bytes).is_ok();
            if send(head) {
                while send(b"1\r\n \r\n") {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        })
        .unwrap();
    }

    #[test]
    fn who_takes_too_long_is_not_waited_for() {
        const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for is_slow in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let client = Client::with_timeouts(
                &settings(&url),
                Credentials::None,
                "test",
                CONNECT_TIMEOUT,
                Duration::from_millis(200),
            )
            .unwrap();
            let silent = if is_slow {
                trickle(listener, HEAD);
                None
            } else {
                Some(listener)
            };
            let trouble = client
                .get("/posts.json", &[("a", "b")], "", &Cancel::default())
                .unwrap_err();
            assert_eq!(
                trouble,
                Trouble::Later {
                    reason: format!("site: {url}/posts.json: no answer in time"),
                    pause: None,
                }
            );
            drop(silent);
        }
    }
}
