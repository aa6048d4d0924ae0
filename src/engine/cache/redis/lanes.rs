//! The threads that own connections, and the queue in front of them.
//!
//! A caller hands over what it wants to know and waits for the answer for a limited
//! time, however long connecting, looking up the name, or a slow reply take. What it
//! no longer waits for is not begun.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use redis::{Client, Connection, ConnectionLike as _, RedisError, RedisResult};

use super::super::{
    super::job::{Cancel, lock, spawn},
    Failure,
    breaker::Breaker,
    key::PROBE,
};

/// Two: a large answer does not hold up a small one.
const LANES: usize = 2;
/// Questions that wait; with more the server is too slow to be asked.
const QUEUED: usize = 256;
const CONNECT_PATIENCE: Duration = Duration::from_millis(300);
/// How often it is looked whether connecting is still of use.
const OVER_INTERVAL: Duration = Duration::from_millis(20);
/// How long a connection waits for the next byte before it is given up.
const SILENCE: Duration = Duration::from_millis(400);
/// For steps of which the caller knows that they take longer.
const LONG_SILENCE: Duration = Duration::from_secs(3);
/// A connection that was used so recently is used again without asking whether it
/// still stands.
const FRESH: Duration = Duration::from_secs(1);
const FIRST_PROBE: Duration = Duration::from_millis(500);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a server is asked at a time whether it answers soon enough; once of them
/// will do.
const LOOKS: u32 = 3;

/// What a server begins its answer with that is of no use now: to strangers, while it
/// starts, while a script holds it up, as a copy of another one, and when it is full or
/// cannot save what it has.
const REFUSALS: [&str; 10] = [
    "NOAUTH",
    "WRONGPASS",
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "MISCONF",
    "OOM",
];
const LATE: &str = "it does not answer in time";
const UNTRUSTED: &str = "nobody who is trusted here vouches for its certificate: name the \
                         file of its authority (REDIS_CA, or cache.redis_ca)";
const REFUSED: &str = "it refuses the password";

type Work = Box<dyn FnOnce(&mut Connection) -> Result<(), RedisError> + Send>;

struct Question {
    work: Work,
    patience: Duration,
    /// Set when nobody waits for the answer any more.
    abandoned: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    questions: VecDeque<Question>,
    closed: bool,
    /// Whether the server has answered or refused once.
    is_known: bool,
}

struct Shared {
    client: Client,
    breaker: Arc<Breaker>,
    /// What a caller waits at most, unless it knows that it takes longer.
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// Ends what is waited for to connect.
    over: Cancel,
}

/// The threads of one server.
pub struct Lanes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    pub fn start(client: Client, breaker: Arc<Breaker>, patience: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            client,
            breaker,
            patience,
            state: Mutex::default(),
            changed: Condvar::new(),
            over: Cancel::default(),
        });
        let mut lanes = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for n in 0..LANES {
            let shared = Arc::clone(&shared);
            lanes
                .threads
                .push(spawn(&format!("redis-{n}"), move || work(&shared))?);
        }
        lanes
            .threads
            .push(spawn("redis-probe", move || probe(&shared))?);
        Ok(lanes)
    }

    /// Runs work with a connection and waits for its answer, for a limited time.
    pub fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> RedisResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let breaker = &self.shared.breaker;
        if !breaker.lets_pass() {
            let reason = if breaker.is_closed() {
                LATE.to_owned()
            } else {
                breaker.reason()
            };
            return Err(Failure::Unavailable(reason));
        }
        let (tell, told) = sync_channel(1);
        let abandoned = Arc::new(AtomicBool::new(false));
        let question = Question {
            work: Box::new(move |connection| match work(connection) {
                Ok(answer) => {
                    // A caller that has gone does not hear it.
                    let _ = tell.send(Ok(answer));
                    Ok(())
                }
                Err(error) => {
                    let _ = tell.send(Err(told_of(&error)));
                    Err(error)
                }
            }),
            patience,
            abandoned: Arc::clone(&abandoned),
        };
        {
            let mut state = lock(&self.shared.state);
            if state.questions.len() >= QUEUED {
                drop(state);
                breaker.was_late();
                return Err(Failure::Unavailable("too much is being asked".to_owned()));
            }
            state.questions.push_back(question);
        }
        self.shared.changed.notify_all();
        match told.recv_timeout(patience) {
            Ok(answer) => {
                breaker.answered();
                answer
            }
            Err(reason) => {
                abandoned.store(true, Ordering::Release);
                if reason == RecvTimeoutError::Timeout {
                    breaker.was_late();
                }
                Err(Failure::Unavailable(LATE.to_owned()))
            }
        }
    }

    /// Waits until the server has answered or refused for the first time.
    pub fn wait_until_known(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = lock(&self.shared.state);
        while !state.is_known && !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.closed = true;
            state.questions.clear();
        }
        self.shared.over.cancel();
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of Redis ended by a panic");
            }
        }
    }
}

/// A connection that waits for the next question.
struct Idle {
    connection: Connection,
    /// How often the server had been lost when it was made.
    lost: u64,
    since: Instant,
}

impl Idle {
    /// The connection, when it is still one: the server may have been restarted since
    /// it was used last.
    fn take(self, shared: &Shared) -> Option<Connection> {
        let mut connection = self.connection;
        if self.lost != shared.breaker.opened() {
            return None;
        }
        let is_fresh = self.since.elapsed() < FRESH;
        (is_fresh || connection.check_connection()).then_some(connection)
    }
}

fn work(shared: &Shared) {
    let mut idle: Option<Idle> = None;
    while let Some(question) = next(shared) {
        if question.abandoned.load(Ordering::Acquire) {
            continue;
        }
        // Others found it gone, and this connection is no better.
        if !shared.breaker.is_closed() {
            idle = None;
            continue;
        }
        let lost = shared.breaker.opened();
        let open = match idle.take().and_then(|idle| idle.take(shared)) {
            Some(open) => Ok(open),
            None => connect(&shared.client, &shared.over),
        };
        let outcome = open.and_then(|mut open| {
            let is_long = question.patience > shared.patience;
            let silence = if is_long { LONG_SILENCE } else { SILENCE };
            open.set_read_timeout(Some(silence.max(shared.patience)))?;
            (question.work)(&mut open)?;
            Ok(open)
        });
        match outcome {
            Ok(connection) => {
                idle = Some(Idle {
                    connection,
                    lost,
                    since: Instant::now(),
                });
            }
            // It answered, and the connection is dropped to be sure what comes next.
            Err(error) if is_answer(&error) => {}
            Err(error) => shared.breaker.failed(&reason(&error)),
        }
    }
}

fn next(shared: &Shared) -> Option<Question> {
    let mut state = lock(&shared.state);
    loop {
        if state.closed {
            return None;
        }
        if let Some(question) = state.questions.pop_front() {
            return Some(question);
        }
        state = shared
            .changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// Looks whether the server is there, while it is not.
fn probe(shared: &Shared) {
    let mut pause = Duration::ZERO;
    loop {
        {
            let mut state = lock(&shared.state);
            let mut until = Instant::now() + pause;
            while !state.closed {
                // While it is there, this only waits to hear that it is not.
                if shared.breaker.is_closed() {
                    until = Instant::now() + FIRST_PROBE;
                } else if Instant::now() >= until {
                    break;
                }
                let left = until.saturating_duration_since(Instant::now());
                state = shared
                    .changed
                    .wait_timeout(state, left.min(FIRST_PROBE))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            if state.closed {
                return;
            }
        }
        match look(shared) {
            Ok(()) => {
                shared.breaker.succeeded();
            }
            Err(error) => shared.breaker.failed(&reason(&error)),
        }
        lock(&shared.state).is_known = true;
        shared.changed.notify_all();
        pause = PROBE_INTERVAL;
    }
}

/// A connection whose every read ends. Looking up its name may take as long as the
/// system likes: who is over before does not wait for that.
pub fn connect(client: &Client, over: &Cancel) -> RedisResult<Connection> {
    let client = client.clone();
    unless_over(over, move || open(&client))
}

/// What the work gives, unless it is over before.
fn unless_over<T: Send + 'static>(
    over: &Cancel,
    work: impl FnOnce() -> RedisResult<T> + Send + 'static,
) -> RedisResult<T> {
    let (tell, told) = sync_channel(1);
    // It ends by itself one day, or with the process.
    spawn("redis-connect", move || {
        // Nobody may wait for it any more.
        let _ = tell.send(work());
    })?;
    loop {
        match told.recv_timeout(OVER_INTERVAL) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if !over.is_cancelled() => {}
            Err(_) => return Err(io::Error::other("connecting was given up").into()),
        }
    }
}

fn open(client: &Client) -> RedisResult<Connection> {
    let mut connection = client.get_connection_with_timeout(CONNECT_PATIENCE)?;
    connection.set_read_timeout(Some(SILENCE))?;
    connection.set_write_timeout(Some(SILENCE))?;
    redis::cmd("PING").query::<String>(&mut connection)?;
    Ok(connection)
}

/// Whether the server keeps what it is given, and answers in the time that callers wait:
/// one that is slower would be left alone after three of them, again and again.
fn look(shared: &Shared) -> RedisResult<()> {
    let mut connection = connect(&shared.client, &shared.over)?;
    for _ in 0..LOOKS {
        let asked = Instant::now();
        try_to_write(&mut connection)?;
        if asked.elapsed() <= shared.patience {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, LATE).into())
}

/// Whether anything can be kept there: a server that is full, or a copy of another,
/// answers and is of no use.
fn try_to_write(connection: &mut Connection) -> RedisResult<()> {
    let mut set = redis::cmd("SET");
    set.arg(PROBE).arg("").arg("PX").arg(1);
    match set.exec(connection) {
        // The key may not be among those that this user may use; the command has to be.
        Err(error) if is_answer(&error) && !error.to_string().contains("to run") => Ok(()),
        tried => tried,
    }
}

/// Whether an error is what the server said to the question, and neither its loss nor
/// that it is of no use to anybody now.
pub fn is_answer(error: &RedisError) -> bool {
    is_said(error) && !is_refusal(error)
}

/// Whether an error is what the server said, and not its loss.
pub fn is_said(error: &RedisError) -> bool {
    !error.is_io_error() && !error.is_connection_dropped()
}

/// Whether the server lets nobody in, or keeps nothing.
fn is_refusal(error: &RedisError) -> bool {
    let of_pipeline = error.clone().into_server_errors();
    let first = of_pipeline.as_deref().and_then(<[_]>::first);
    let code = first.map_or(error.code(), |(_, error)| Some(error.code()));
    code.is_some_and(|code| REFUSALS.contains(&code))
        || error.kind() == redis::ErrorKind::AuthenticationFailed
}

fn told_of(error: &RedisError) -> Failure {
    if is_answer(error) {
        Failure::Refused(error.to_string())
    } else {
        Failure::Unavailable(reason(error))
    }
}

/// One line that says why, and no more than that.
pub fn reason(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH") => "it wants a password (REDIS_PASSWORD, or in cache.redis_url)".to_owned(),
        Some("WRONGPASS") => REFUSED.to_owned(),
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => REFUSED.to_owned(),
        _ if error.is_timeout() => LATE.to_owned(),
        _ => {
            let told = error.to_string();
            // As the TLS library says it: an authority that is not known, or another one
            // of the same name.
            let is_of_stranger = ["UnknownIssuer", "BadSignature"]
                .iter()
                .any(|word| told.contains(word));
            if told.contains("invalid peer certificate") && is_of_stranger {
                return UNTRUSTED.to_owned();
            }
            told
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_over_does_not_wait_for_a_name() {
        let (answer, answered) = sync_channel::<()>(1);
        let look_up = move || {
            answered.recv().unwrap();
            Ok(())
        };
        let over = Cancel::default();
        over.cancel();
        assert!(unless_over(&over, look_up).is_err());
        answer.send(()).unwrap();
        assert_eq!(unless_over(&Cancel::default(), || Ok(7)).unwrap(), 7);
    }
}
