//! What of a queue goes to workers elsewhere, and what comes from others.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{Close, DELAYED, Item, Queue, State, Submission};
use crate::engine::job::lock;

impl Queue {
    /// Waits until more waits than the workers here take at once; false when nothing
    /// ever will.
    pub fn wait_for_plenty(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.has_plenty() {
                return true;
            }
            if state.closed == Some(Close::Now) || state.is_over() {
                return false;
            }
            // Those that were written to just now become ready by themselves.
            let due = state.delayed.keys().nth(state.workers);
            let pause = due.map(|(due, _)| due.saturating_duration_since(Instant::now()));
            state = match pause.filter(|_| !state.paused) {
                Some(pause) => {
                    // At once means in a moment: it may have come while this was asked.
                    let pause = pause.max(Duration::from_millis(1));
                    let waited = self.changed.wait_timeout(state, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits, unless the queue is closed at once.
    pub fn rest(&self, pause: Duration) {
        let state = lock(&self.state);
        let closed = |state: &mut State| state.closed != Some(Close::Now);
        drop(self.changed.wait_timeout_while(state, pause, closed));
    }

    /// A file for a worker elsewhere, when more wait than the workers here take at
    /// once. [`Queue::came_back`] or [`Queue::ended`] follows.
    pub fn take_to_give(&self) -> Option<Item> {
        let mut state = lock(&self.state);
        while state.has_plenty() {
            if state.has_more_ready() {
                let item = state.take_not_local()?;
                state.away += 1;
                return Some(item);
            }
            if state.delayed.len() >= DELAYED {
                return None;
            }
            let feed = state.feeds.pop_front()?;
            state = self.pull_into(state, feed);
        }
        None
    }

    /// A file that nobody did elsewhere is the next one here; handed back when the
    /// queue is closed.
    pub fn came_back(&self, item: Item) -> Option<Item> {
        let mut state = lock(&self.state);
        state.away -= 1;
        self.changed.notify_all();
        if state.closed == Some(Close::Now) || item.submission.cancel.is_cancelled() {
            return Some(item);
        }
        state.ready.push_front(Item {
            is_local: true,
            ..item
        });
        None
    }

    /// A file was done elsewhere.
    pub fn ended(&self) {
        lock(&self.state).away -= 1;
        self.changed.notify_all();
    }

    /// Adds a file of others behind all that waits.
    pub fn add(&self, path: &Path, submission: &Arc<Submission>, is_found: bool) -> bool {
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            return false;
        }
        submission.open(1);
        submission.exhaust();
        let item = self.item(path.to_owned(), submission, is_found);
        state.ready.push_back(Item {
            is_local: true,
            ..item
        });
        self.changed.notify_all();
        true
    }

    /// Takes a submission back whose only file nobody has begun.
    pub fn withdraw(&self, submission: &Arc<Submission>) -> bool {
        let mut state = lock(&self.state);
        let before = state.ready.len() + state.delayed.len();
        let is_other = |item: &Item| !Arc::ptr_eq(&item.submission, submission);
        state.ready.retain(is_other);
        state.delayed.retain(|_, item| is_other(item));
        state.ready.len() + state.delayed.len() < before
    }
}

impl State {
    /// Whether nothing will come any more.
    fn is_over(&self) -> bool {
        self.closed == Some(Close::Drain) && self.is_empty()
    }

    /// Whether more waits than the workers here take at once.
    fn has_plenty(&self) -> bool {
        let is_open = !self.paused && self.closed != Some(Close::Now);
        is_open && (self.has_more_ready() || !self.feeds.is_empty())
    }

    fn has_more_ready(&self) -> bool {
        let due = self.delayed.range(..(Instant::now(), 0));
        self.ready.len() + due.take(self.workers + 1).count() > self.workers
    }

    /// What is ready and may be done elsewhere.
    fn take_not_local(&mut self) -> Option<Item> {
        if let Some(place) = self.ready.iter().position(|item| !item.is_local) {
            return self.ready.remove(place);
        }
        let mut due = self.delayed.range(..(Instant::now(), 0));
        let key = *due.find(|(_, item)| !item.is_local)?.0;
        self.delayed.remove(&key)
    }
}
