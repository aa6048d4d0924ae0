//! Long work: its number, its progress, how it is cancelled, and the bounded pools
//! of named threads that run it.
//!
//! Invariant: a panic in a task ends that task, never the thread or the program.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

/// Seconds since 1970. Passed in, so that tests need no clock.
pub type Clock = fn() -> i64;

/// The clock of this machine.
pub fn system_clock() -> i64 {
    system_clock_ms().div_euclid(1_000)
}

/// As [`system_clock`], in milliseconds: for what processes do in turns.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the machine's clock"
)]
pub fn system_clock_ms() -> i64 {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// The number of a job in this process; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl JobId {
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A flag that work looks at between two steps. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub job: JobId,
    /// What is being done, for people: `rebuilding the index`.
    pub label: String,
    pub done: u64,
    pub total: Option<u64>,
    pub errors: u64,
    pub started: std::time::Instant,
}

impl Progress {
    pub fn new(job: JobId, label: impl Into<String>) -> Self {
        Self {
            job,
            label: label.into(),
            done: 0,
            total: None,
            errors: 0,
            started: std::time::Instant::now(),
        }
    }
}

/// Starts a named thread. The one place that does.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
}

/// As [`spawn`] for a thread that ends before the scope does.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn_scoped<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> std::io::Result<std::thread::ScopedJoinHandle<'scope, ()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
}

/// Lets everybody else go first, for as long as this thread lives.
pub fn step_back() {
    // Elsewhere it would slow down the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!("cannot step back: {error}");
    }
}

/// Locks a mutex whose data stays valid when a holder panics.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}

type Task = Box<dyn FnOnce() + Send>;

struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A fixed number of named threads that take tasks in order.
///
/// Dropping the pool finishes the tasks that run, forgets those that wait, and
/// joins the threads.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// # Errors
    /// When not even one thread can be started; fewer than asked for is accepted.
    pub fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                tasks: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let mut started = Vec::new();
        for n in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            match spawn(&format!("{name}-{n}"), move || work(&shared)) {
                Ok(thread) => started.push(thread),
                Err(error) if started.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!("cannot start a thread of the pool {name}: {error}");
                    break;
                }
            }
        }
        Ok(Self {
            shared,
            threads: started,
        })
    }

    /// Queues a task and returns at once.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        lock(&self.shared.queue).tasks.push_back(Box::new(task));
        self.shared.changed.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut queue = lock(&self.shared.queue);
            queue.closed = true;
            queue.tasks.clear();
        }
        self.shared.changed.notify_all();
        let me = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be a task of this very pool.
            if thread.thread().id() != me && thread.join().is_err() {
                tracing::error!("a thread of a pool ended by a panic");
            }
        }
    }
}

fn work(shared: &Shared) {
    loop {
        let task = {
            let mut queue = lock(&shared.queue);
            loop {
                if let Some(task) = queue.tasks.pop_front() {
                    break task;
                }
                if queue.closed {
                    return;
                }
                queue = shared
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
            tracing::error!("a task panicked: {}", panic_text(&*panic));
        }
    }
}

/// A place for the newest request of a kind: a newer one replaces and cancels the
/// one before, whether it waits or runs. Blocking [`Slot::take`] is what its one
/// worker loops on.
pub struct Slot<T> {
    state: Mutex<SlotState<T>>,
    changed: Condvar,
}

struct SlotState<T> {
    waiting: Option<(T, Cancel)>,
    running: Cancel,
    closed: bool,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(SlotState {
                waiting: None,
                running: Cancel::default(),
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T> Slot<T> {
    /// Puts a request in place of the one before, and cancels that.
    pub fn put(&self, request: T) {
        let mut state = lock(&self.state);
        state.running.cancel();
        state.waiting = Some((request, Cancel::default()));
        self.changed.notify_one();
    }

    /// Waits for a request; `None` after [`Slot::close`].
    pub fn take(&self) -> Option<(T, Cancel)> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            if let Some((request, cancel)) = state.waiting.take() {
                state.running = cancel.clone();
                return Some((request, cancel));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Cancels what runs and ends the worker.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.running.cancel();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panicking_task_does_not_end_the_pool() {
        let pool = Pool::new("test", 1).unwrap();
        let (tx, rx) = mpsc::channel();
        pool.run(|| panic!("planned"));
        pool.run(move || tx.send(7).unwrap());
        assert_eq!(rx.recv(), Ok(7));
    }

    #[test]
    fn dropping_a_pool_forgets_waiting_tasks() {
        let pool = Pool::new("test", 1).unwrap();
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (ran, runs) = mpsc::channel();
        pool.run(move || {
            started.send(()).unwrap();
            may_go.recv().unwrap();
        });
        pool.run(move || ran.send(()).unwrap());
        has_started.recv().unwrap();
        let shared = Arc::clone(&pool.shared);
        let dropping = spawn("drop", move || drop(pool)).unwrap();
        while !lock(&shared.queue).closed {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        dropping.join().unwrap();
        assert!(runs.recv().is_err(), "the waiting task was dropped unrun");
    }

    #[test]
    fn a_slot_keeps_the_newest_and_cancels_the_older() {
        let slot = Slot::default();
        slot.put(1);
        slot.put(2);
        let (request, first) = slot.take().unwrap();
        assert_eq!(request, 2);
        assert!(!first.is_cancelled());
        slot.put(3);
        assert!(first.is_cancelled());
        slot.close();
        assert!(slot.take().is_none());
    }
}
