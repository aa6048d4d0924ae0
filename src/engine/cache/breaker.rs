//! Whether a server is asked at all: after it failed it is left alone, and somebody
//! looks now and then whether it is back.
//!
//! Invariant: each change of state is logged once.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::super::job::lock;

/// Answers in a row that came too late. With the 40 ms that each caller waits, and
/// [`RESPITE`], a frozen server is left alone well within half a second.
const LATE: u32 = 3;
/// How long nobody is made to wait after somebody waited in vain, so that what asks
/// several things in a row waits once.
const RESPITE: Duration = Duration::from_millis(100);

/// The state of one server.
#[derive(Debug)]
pub struct Breaker {
    name: &'static str,
    is_closed: AtomicBool,
    begun: Instant,
    /// When the respite ends, in milliseconds since then.
    respite: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    late: u32,
    /// Why it is left alone.
    reason: String,
    /// Times that it was.
    opened: u64,
    /// Whether the log says that it is gone.
    is_told: bool,
}

impl Breaker {
    /// A server nobody has asked yet; it is left alone until [`Self::succeeded`].
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            is_closed: AtomicBool::new(false),
            begun: Instant::now(),
            respite: AtomicU64::new(0),
            state: Mutex::new(State {
                late: 0,
                reason: "not connected yet".to_owned(),
                opened: 0,
                is_told: false,
            }),
        }
    }

    /// Whether the server counts as there.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether the server is asked now.
    pub fn lets_pass(&self) -> bool {
        self.is_closed() && self.now() >= self.respite.load(Ordering::Acquire)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Why it is not.
    pub fn reason(&self) -> String {
        lock(&self.state).reason.clone()
    }

    /// How often the server was lost.
    pub fn opened(&self) -> u64 {
        lock(&self.state).opened
    }

    /// The server is gone.
    pub fn failed(&self, reason: &str) {
        let mut state = lock(&self.state);
        state.late = 0;
        reason.clone_into(&mut state.reason);
        let was_closed = self.is_closed.swap(false, Ordering::AcqRel);
        state.opened += u64::from(was_closed);
        if was_closed || !state.is_told {
            state.is_told = true;
            tracing::warn!("cannot use {}, falling back: {reason}", self.name);
        }
    }

    /// Somebody waited in vain; several times in a row, and the server is gone.
    pub fn was_late(&self) {
        let respite = u64::try_from(RESPITE.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(respite);
        self.respite.store(until, Ordering::Release);
        let late = {
            let mut state = lock(&self.state);
            state.late += 1;
            state.late
        };
        if late >= LATE {
            self.failed("it does not answer in time");
        }
    }

    /// An answer came in time.
    pub fn answered(&self) {
        let mut state = lock(&self.state);
        state.late = 0;
    }

    /// The server can be asked; says whether that is new.
    pub fn succeeded(&self) -> bool {
        let mut state = lock(&self.state);
        state.late = 0;
        state.reason.clear();
        state.is_told = false;
        let is_new = !self.is_closed.swap(true, Ordering::AcqRel);
        if is_new {
            tracing::info!("using the {} cache backend", self.name);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_open_it_only_in_a_row() {
        let breaker = Breaker::new("test");
        assert!(!breaker.is_closed(), "nobody has asked yet");
        assert!(breaker.succeeded());
        assert!(!breaker.succeeded());
        assert!(breaker.lets_pass());
        breaker.was_late();
        assert!(breaker.is_closed() && !breaker.lets_pass(), "a respite");
        while !breaker.lets_pass() {
            std::thread::yield_now();
        }
        breaker.answered();
        for _ in 0..LATE - 1 {
            breaker.was_late();
        }
        assert!(breaker.is_closed());
        breaker.answered();
        for _ in 0..LATE {
            assert!(breaker.is_closed());
            breaker.was_late();
        }
        assert!(!breaker.is_closed());
        assert_eq!(breaker.opened(), 1);
        breaker.failed("again");
        assert_eq!((breaker.opened(), breaker.reason()), (1, "again".into()));
        assert!(breaker.succeeded());
    }
}
