//! What a decoder may use, and how many bytes of pixels may exist at once.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use super::super::job::lock;

/// The bytes of decoded pixels that may be in flight in the whole program.
pub const MAX_DECODED_BYTES: u64 = 256 << 20;

/// What one file may ask for, checked before anything is allocated: an allocation
/// that fails cannot be caught in Rust and would end the program.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the picture as the decoder hands it over.
    pub max_decoded_bytes: u64,
    /// Pixels of the longer side.
    pub max_side: u32,
    /// How long walking through an animation, or reading a huge picture row by
    /// row, may take.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_decoded_bytes: MAX_DECODED_BYTES,
            max_side: 65_535,
            deadline: Duration::from_secs(4),
        }
    }
}

/// A semaphore of bytes: whoever is about to decode takes the bytes it needs and
/// gives them back when the pixels are gone. First come, first served, so a large
/// picture is not overtaken for ever by small ones.
///
/// Invariant: one thread never waits for a permit while it holds another.
#[derive(Clone, Debug)]
pub struct MemoryGate(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    capacity: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    available: u64,
    next_ticket: u64,
    serving: u64,
}

/// Bytes taken from a [`MemoryGate`], given back on drop.
#[derive(Debug)]
pub struct MemoryPermit {
    gate: MemoryGate,
    bytes: u64,
}

impl Default for MemoryGate {
    fn default() -> Self {
        Self::new(MAX_DECODED_BYTES)
    }
}

impl MemoryGate {
    pub fn new(capacity: u64) -> Self {
        Self(Arc::new(Gate {
            capacity,
            state: Mutex::new(State {
                available: capacity,
                next_ticket: 0,
                serving: 0,
            }),
            changed: Condvar::new(),
        }))
    }

    /// Waits until `bytes` are free and takes them. A request beyond the capacity
    /// waits for, and takes, all of it: it then runs alone.
    pub fn acquire(&self, bytes: u64) -> MemoryPermit {
        let bytes = bytes.min(self.0.capacity);
        let mut state = lock(&self.0.state);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        while state.serving != ticket || state.available < bytes {
            state = self
                .0
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.serving += 1;
        state.available -= bytes;
        drop(state);
        self.0.changed.notify_all();
        MemoryPermit {
            gate: self.clone(),
            bytes,
        }
    }

    /// The bytes that are taken now.
    pub fn in_use(&self) -> u64 {
        self.0.capacity - lock(&self.0.state).available
    }
}

impl MemoryPermit {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps only `bytes` and gives the rest back.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.give_back(surplus);
    }

    fn give_back(&mut self, bytes: u64) {
        if bytes > 0 {
            self.bytes -= bytes;
            lock(&self.gate.0.state).available += bytes;
            self.gate.0.changed.notify_all();
        }
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn permits_come_back() {
        let gate = MemoryGate::new(100);
        let mut first = gate.acquire(60);
        assert_eq!(gate.in_use(), 60);
        first.shrink_to(10);
        assert_eq!(gate.in_use(), 10);
        drop(first);
        assert_eq!(gate.in_use(), 0);
        assert_eq!(gate.acquire(1_000).bytes(), 100);
    }

    #[test]
    fn a_large_request_is_not_overtaken() {
        let gate = MemoryGate::new(100);
        let held = gate.acquire(50);
        let (order, finished) = mpsc::channel();
        std::thread::scope(|scope| {
            let large = (gate.clone(), order.clone());
            scope.spawn(move || {
                let _permit = large.0.acquire(100);
                large.1.send("large").unwrap();
            });
            while lock(&gate.0.state).next_ticket < 2 {
                std::thread::yield_now();
            }
            let small = (gate.clone(), order);
            scope.spawn(move || {
                let _permit = small.0.acquire(1);
                small.1.send("small").unwrap();
            });
            while lock(&gate.0.state).next_ticket < 3 {
                std::thread::yield_now();
            }
            assert!(finished.try_recv().is_err());
            drop(held);
        });
        assert_eq!(finished.iter().collect::<Vec<_>>(), ["large", "small"]);
    }
}
