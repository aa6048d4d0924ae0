//! Hearing what other hosts tell: a thread with a connection of its own, which
//! comes back by itself after the server was gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use redis::{Client, Connection};

use super::{
    super::{super::job::spawn, Failure, settings::RedisAddress},
    client,
    lanes::connect,
};

/// How often a silent connection looks whether it is time to end.
const TURN: Duration = Duration::from_millis(250);
/// Turns between two tries to connect.
const RETRY_TURNS: u32 = 8;

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(String),
    /// The connection was lost, or is there again: what was told meanwhile is not
    /// known.
    Gap,
}

/// Hears one channel until it is dropped.
pub struct Hearing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hearing {
    /// # Errors
    /// When the address is none, or the system has no thread to give.
    pub fn start(
        address: &RedisAddress,
        channel: String,
        on: impl Fn(Heard) + Send + 'static,
    ) -> Result<Self, Failure> {
        let client = client(address)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn("redis-hear", move || hear(&client, &channel, &stopped, &on));
        let thread = thread.map_err(|error| {
            Failure::Unavailable(format!("cannot start a thread of Redis: {error}"))
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // What hears may have been the last to own this.
            let is_own = thread.thread().id() == std::thread::current().id();
            if !is_own && thread.join().is_err() {
                tracing::error!("the thread that hears Redis ended by a panic");
            }
        }
    }
}

fn hear(client: &Client, channel: &str, stop: &AtomicBool, on: &dyn Fn(Heard)) {
    while !stop.load(Ordering::Acquire) {
        if let Ok(mut connection) = connect(client) {
            // Whatever ended it: what was told meanwhile is not known.
            let _lost = hear_connected(&mut connection, channel, stop, on);
            on(Heard::Gap);
        }
        for _ in 0..RETRY_TURNS {
            if stop.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(TURN);
        }
    }
}

fn hear_connected(
    connection: &mut Connection,
    channel: &str,
    stop: &AtomicBool,
    on: &dyn Fn(Heard),
) -> redis::RedisResult<()> {
    let mut subscription = connection.as_pubsub();
    subscription.subscribe(channel)?;
    on(Heard::Gap);
    subscription.set_read_timeout(Some(TURN))?;
    let mut silent = 0_u32;
    while !stop.load(Ordering::Acquire) {
        match subscription.get_message() {
            Ok(message) => {
                silent = 0;
                if let Ok(text) = message.get_payload::<String>() {
                    on(Heard::Message(text));
                }
            }
            Err(error) if error.is_timeout() => {
                silent += 1;
                // A connection that died without a word looks just as silent.
                if silent.is_multiple_of(RETRY_TURNS) {
                    subscription.ping::<redis::Value>()?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
