//! One computation at a time for each key in this process: who comes while it runs
//! waits for it and gets the same answer.
//!
//! Invariant: a computation that panics or is given up blocks nobody; one of those
//! who wait takes its place.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use super::super::job::lock;

/// The computations that run, by what they answer.
#[derive(Debug)]
pub struct Flights<T> {
    running: Mutex<HashMap<String, Arc<Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Running,
    Done(T),
    GivenUp,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
        }
    }
}

/// Ends a flight however its computation ends.
struct Landing<'f, T> {
    flights: &'f Flights<T>,
    flight: Arc<Flight<T>>,
    key: String,
}

impl<T> Landing<'_, T> {
    fn end(&self, state: State<T>) {
        lock(&self.flights.running).remove(&self.key);
        let mut ended = lock(&self.flight.state);
        if matches!(*ended, State::Running) {
            *ended = state;
        }
        drop(ended);
        self.flight.changed.notify_all();
    }
}

impl<T> Drop for Landing<'_, T> {
    fn drop(&mut self) {
        self.end(State::GivenUp);
    }
}

impl<T: Clone> Flights<T> {
    /// The answer, and whether somebody else computed it. Waits while another thread
    /// does.
    pub fn run(&self, key: &str, compute: impl FnOnce() -> T) -> (T, bool) {
        loop {
            let (flight, is_first) = {
                let mut running = lock(&self.running);
                let found = running.get(key).map(Arc::clone);
                let is_first = found.is_none();
                let flight = found.unwrap_or_else(|| {
                    let flight = Arc::new(Flight {
                        state: Mutex::new(State::Running),
                        changed: Condvar::new(),
                    });
                    running.insert(key.to_owned(), Arc::clone(&flight));
                    flight
                });
                (flight, is_first)
            };
            if is_first {
                let landing = Landing {
                    flights: self,
                    flight,
                    key: key.to_owned(),
                };
                let answer = compute();
                landing.end(State::Done(answer.clone()));
                return (answer, false);
            }
            let mut state = lock(&flight.state);
            loop {
                match &*state {
                    State::Running => {
                        state = flight
                            .changed
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                    State::Done(answer) => return (answer.clone(), true),
                    State::GivenUp => break,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    #[test]
    fn who_comes_while_it_runs_gets_the_same_answer() {
        let flights = Flights::default();
        let computed = AtomicUsize::new(0);
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                flights.run("key", || {
                    begun.wait();
                    // Until the other has found this flight.
                    while Arc::strong_count(&lock(&flights.running)["key"]) < 3 {
                        std::thread::yield_now();
                    }
                    computed.fetch_add(1, Ordering::SeqCst)
                })
            });
            begun.wait();
            let follower = flights.run("key", || computed.fetch_add(1, Ordering::SeqCst));
            assert_eq!(leader.join().unwrap(), (0, false));
            assert_eq!(follower, (0, true));
        });
        assert_eq!(computed.load(Ordering::SeqCst), 1);
        assert_eq!(flights.run("key", || 7), (7, false), "nothing is kept");
    }

    #[test]
    fn one_that_waits_takes_the_place_of_one_that_panics() {
        let flights = Flights::default();
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                catch_unwind(AssertUnwindSafe(|| {
                    flights.run("key", || -> i32 {
                        begun.wait();
                        while Arc::strong_count(&lock(&flights.running)["key"]) < 3 {
                            std::thread::yield_now();
                        }
                        panic!("planned")
                    })
                }))
            });
            begun.wait();
            assert_eq!(flights.run("key", || 7), (7, false));
            assert!(leader.join().unwrap().is_err());
        });
    }
}
