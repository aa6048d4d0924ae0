//! An HTTP server of a test's own on the loopback network: it answers as the test
//! says, also wrongly, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tagloupe::engine::job;

/// What the server was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its head had come.
    pub at: Instant,
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// The line as it came.
    pub line: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of the query, empty where there is none.
    pub fn value(&self, name: &str) -> &str {
        find(&self.query, name)
    }

    /// The header of this lower-case name, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        find(&self.headers, name)
    }

    /// The md5s of `tags=md5:A,B`.
    pub fn md5s(&self) -> Vec<String> {
        let tags = self.value("tags");
        let list = tags.split(' ').find_map(|tag| tag.strip_prefix("md5:"));
        list.into_iter()
            .flat_map(|list| list.split(','))
            .map(str::to_owned)
            .collect()
    }
}

fn find<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value)
}

/// What the server answers.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    /// With its length.
    Whole(Vec<u8>),
    /// Each part a chunk.
    Chunked(Vec<Vec<u8>>),
    /// The same chunk until the client leaves.
    Endless(Vec<u8>),
    /// A byte, and a pause, until the client leaves.
    Trickle,
    /// Says that it is longer, and ends.
    Short(Vec<u8>),
    /// Instead of any answer, then the end.
    Raw(Vec<u8>),
    /// Instead of any answer, until the server ends.
    Silence,
}

impl Reply {
    fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    pub fn json(body: impl Into<String>) -> Self {
        Self::new(200, Body::Whole(body.into().into_bytes()))
            .with("Content-Type", "application/json; charset=utf-8")
    }

    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, Body::Whole(body.into()))
    }

    pub fn chunked(parts: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let parts = parts.into_iter().map(Into::into).collect();
        Self::new(200, Body::Chunked(parts))
    }

    pub fn endless(chunk: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Endless(chunk.into()))
    }

    pub fn trickle() -> Self {
        Self::new(200, Body::Trickle)
    }

    pub fn short(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Short(body.into()))
    }

    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(0, Body::Raw(bytes.into()))
    }

    pub fn silence() -> Self {
        Self::new(0, Body::Silence)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    answer: Box<Answer>,
    requests: Mutex<Vec<Request>>,
    asked: Condvar,
    connections: Mutex<Vec<TcpStream>>,
    ends: AtomicBool,
}

/// Dropping it ends every connection.
pub struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepts: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts one that answers so, from several threads at a time.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            requests: Mutex::default(),
            asked: Condvar::new(),
            connections: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let accepts = job::spawn("http", move || accept(&listener, &accepting)).unwrap();
        Self {
            address,
            shared,
            accepts: Some(accepts),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        job::lock(&self.shared.requests).clone()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, count: usize) {
        let requests = job::lock(&self.shared.requests);
        let (requests, _) = self
            .shared
            .asked
            .wait_timeout_while(requests, Duration::from_secs(20), |requests| {
                requests.len() < count
            })
            .unwrap();
        assert!(requests.len() >= count, "{} requests came", requests.len());
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        // Wakes who accepts.
        let _ = TcpStream::connect(self.address);
        for connection in job::lock(&self.shared.connections).drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        if let Some(accepts) = self.accepts.take() {
            accepts.join().unwrap();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        let mut connections = job::lock(&shared.connections);
        if shared.ends.load(Ordering::Acquire) {
            return;
        }
        connections.push(stream.try_clone().unwrap());
        drop(connections);
        let shared = Arc::clone(shared);
        job::spawn("http-connection", move || {
            // The client left, or the server ends.
            let _ = serve(&stream, &shared);
            let _ = stream.shutdown(Shutdown::Both);
        })
        .unwrap();
    }
}

/// Answers request after request.
fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        // First, so that who has the answer finds it among the requests.
        job::lock(&shared.requests).push(request.clone());
        shared.asked.notify_all();
        let reply = (shared.answer)(&request);
        if !send(stream, reply, shared)? {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let line = line.trim_end().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = find(&headers, "content-length").parse().unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect();
    Ok(Some(Request {
        at: Instant::now(),
        method,
        path: path.to_owned(),
        query,
        line,
        headers,
    }))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8(digits).unwrap();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Whether the connection can go on.
fn send(mut stream: &TcpStream, reply: Reply, shared: &Shared) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Planned\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    let chunk = |bytes: &[u8]| {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        chunk
    };
    match reply.body {
        Body::Whole(body) => {
            write!(head, "Content-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(&head)?;
            stream.write_all(&body)?;
            Ok(true)
        }
        Body::Chunked(parts) => {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(&head)?;
            for part in parts.iter().filter(|part| !part.is_empty()) {
                stream.write_all(&chunk(part))?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            Ok(true)
        }
        Body::Endless(part) => {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(&head)?;
            let part = chunk(&part);
            loop {
                stream.write_all(&part)?;
            }
        }
        Body::Trickle => {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(&head)?;
            while !shared.ends.load(Ordering::Acquire) {
                stream.write_all(&chunk(b" "))?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(false)
        }
        Body::Short(body) => {
            write!(head, "Content-Length: {}\r\n\r\n", body.len() + 1_000)?;
            stream.write_all(&head)?;
            stream.write_all(&body)?;
            Ok(false)
        }
        Body::Raw(bytes) => {
            stream.write_all(&bytes)?;
            Ok(false)
        }
        Body::Silence => {
            // Until either side ends the connection.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest)?;
            Ok(false)
        }
    }
}
