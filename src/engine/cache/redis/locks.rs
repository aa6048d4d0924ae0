//! Locks of a library at Redis, with leases that are renewed and numbers that only
//! grow (`storage::remote_lock` says what that is good for).
//!
//! A lock is a key with the token of its holder and a time to live; the newest number
//! of each is kept in a hash, which no lease ends.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use redis::{Cmd, cmd};

use super::{
    super::{Failure, key::Keyspace, settings::PATIENCE},
    Redis,
};
use crate::{
    engine::job::{lock, spawn},
    storage::{RemoteGuard, RemoteLocks, Taken},
};

/// How long a lock outlives a holder that died. A holder that is late with its renewal
/// takes the lock again, unless somebody had it meanwhile: then its number is old.
const LEASE: Duration = Duration::from_secs(3);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(1);
/// An answer so fresh is not asked for again.
const FRESH: Duration = Duration::from_millis(50);

/// Takes all or none; returns the number, 0 when one is held. A key that never ends is
/// no lock, and what cannot be counted on, or is no hash, begins anew.
const TAKE: &str = "\
for n = 3, #KEYS do if redis.call('PTTL', KEYS[n]) >= 0 then return 0 end end
local fence = redis.pcall('INCR', KEYS[1])
if type(fence) == 'table' then
  redis.call('SET', KEYS[1], 1)
  fence = 1
end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
for n = 3, #KEYS do
  redis.call('SET', KEYS[n], fence .. ':' .. ARGV[1], 'PX', ARGV[2])
  redis.call('HSET', KEYS[2], KEYS[n], fence .. ':' .. ARGV[1])
end
return fence";

/// Renews. One whose lease ran out, or that was forgotten, is taken again unless
/// somebody had it since; returns 0 for that.
const RENEW: &str = "\
for n = 3, #KEYS do
  local held = redis.call('GET', KEYS[n])
  local newest = redis.call('HGET', KEYS[2], KEYS[n])
  if held and held ~= ARGV[1] then return 0 end
  if newest and newest ~= ARGV[1] then return 0 end
end
for n = 3, #KEYS do
  redis.call('SET', KEYS[n], ARGV[1], 'PX', ARGV[2])
  redis.call('HSET', KEYS[2], KEYS[n], ARGV[1])
end
return 1";

/// Releases what is still this holder's.
const RELEASE: &str = "\
for n = 3, #KEYS do
  if redis.call('GET', KEYS[n]) == ARGV[1] then redis.call('DEL', KEYS[n]) end
end
return 1";

/// Where the hosts of one library take locks.
#[derive(Debug)]
pub struct Locks {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    redis: Arc<Redis>,
    counter: String,
    newest: String,
    prefix: String,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the log says that the server gives none.
    is_told: AtomicBool,
}

#[derive(Default)]
struct State {
    held: Vec<Weak<Held>>,
    closed: bool,
}

/// Locks that were taken together.
struct Held {
    shared: Arc<Shared>,
    keys: Vec<String>,
    token: String,
    standing: Mutex<Standing>,
}

#[derive(Clone, Copy)]
struct Standing {
    is_held: bool,
    /// When that was known.
    at: Instant,
}

impl Locks {
    /// # Errors
    /// When the system has no thread to give.
    pub fn new(redis: Arc<Redis>, library: &str) -> std::io::Result<Self> {
        let keys = Keyspace::new(library);
        let shared = Arc::new(Shared {
            redis,
            counter: keys.shared("fence"),
            newest: keys.shared("fences"),
            prefix: keys.shared("lock:"),
            state: Mutex::default(),
            changed: Condvar::new(),
            is_told: AtomicBool::new(false),
        });
        let renewing = Arc::clone(&shared);
        Ok(Self {
            thread: Some(spawn("redis-locks", move || renewing.renew_all())?),
            shared,
        })
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // The last lock may be dropped by the thread that renews.
            let is_own = thread.thread().id() == std::thread::current().id();
            if !is_own && thread.join().is_err() {
                tracing::error!("the thread that renews locks ended by a panic");
            }
        }
    }
}

impl RemoteLocks for Locks {
    fn try_take(&self, names: &[String]) -> Taken {
        let shared = &self.shared;
        // A command that has just begun may be faster than the connection.
        shared.redis.wait_until_known(PATIENCE);
        let keys: Vec<String> = names
            .iter()
            .map(|name| format!("{}{name}", shared.prefix))
            .collect();
        let holder = uuid::Uuid::new_v4().simple().to_string();
        // Before the question: the lease begins there no earlier.
        let at = Instant::now();
        let mut take = shared.script(TAKE, &keys);
        take.arg(&holder).arg(milliseconds(LEASE));
        let fence = match shared.redis.ask::<u64>(take) {
            Ok(0) => return Taken::Busy,
            Ok(fence) => fence,
            Err(Failure::Unavailable(_)) => return Taken::Away,
            Err(Failure::Refused(reason)) => {
                if !shared.is_told.swap(true, Ordering::Relaxed) {
                    tracing::warn!("Redis gives no locks, those of the storage hold: {reason}");
                }
                return Taken::Away;
            }
        };
        let held = Arc::new(Held {
            shared: Arc::clone(shared),
            keys,
            token: format!("{fence}:{holder}"),
            standing: Mutex::new(Standing { is_held: true, at }),
        });
        lock(&shared.state).held.push(Arc::downgrade(&held));
        shared.changed.notify_all();
        Taken::Held(held)
    }
}

impl Shared {
    fn script(&self, text: &str, keys: &[String]) -> Cmd {
        let mut script = cmd("EVAL");
        script.arg(text).arg(keys.len() + 2);
        script.arg(&self.counter).arg(&self.newest).arg(keys);
        script
    }

    fn renew_all(&self) {
        loop {
            let held: Vec<Arc<Held>> = {
                let mut state = lock(&self.state);
                // Without a lock there is nothing to renew, and nobody is woken.
                while state.held.is_empty() && !state.closed {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                let closed = |state: &mut State| !state.closed;
                let waited = self.changed.wait_timeout_while(state, RENEWAL, closed);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if state.closed {
                    return;
                }
                state.held.retain(|held| held.strong_count() > 0);
                state.held.iter().filter_map(Weak::upgrade).collect()
            };
            for held in held {
                held.ask();
            }
        }
    }
}

impl Held {
    /// Renews, and says whether it is still this holder's.
    fn ask(&self) -> bool {
        let mut standing = lock(&self.standing);
        // What was lost is never had again.
        if !standing.is_held {
            return false;
        }
        let at = Instant::now();
        let mut renew = self.shared.script(RENEW, &self.keys);
        renew.arg(&self.token).arg(milliseconds(LEASE));
        // Where nobody answers the lock files hold.
        if let Ok(is_held) = self.shared.redis.ask::<bool>(renew) {
            *standing = Standing { is_held, at };
            if !is_held {
                tracing::warn!("a lock passed to another host while it was held");
            }
        }
        standing.is_held
    }
}

impl RemoteGuard for Held {
    fn still_held(&self) -> bool {
        let standing = *lock(&self.standing);
        if standing.at.elapsed() < FRESH {
            return standing.is_held;
        }
        self.ask()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut release = self.shared.script(RELEASE, &self.keys);
        release.arg(&self.token);
        // When this fails the lease ends it.
        let _ = self.shared.redis.ask::<u64>(release);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("keys", &self.keys)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
