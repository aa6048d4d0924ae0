//! Hearing what other hosts tell, and what the server tells of itself: a thread with
//! connections of its own, which come back by themselves after the server was gone.
//!
//! What this program changes for others it publishes, with what that means: entries
//! that are removed, files that changed, how an ingest goes on. What changes in the
//! server without a word of ours, the server tells ([`tracking`]), where it can and
//! may; without that such an entry stays in memory until its time is over.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use redis::{Client, Connection, ProtocolVersion, PubSub, RedisResult, Value, cmd};

use super::{
    super::{
        super::job::{Cancel, spawn},
        Failure,
        settings::RedisAddress,
    },
    client,
    lanes::{connect, is_said, reason},
    tracking::{self, Tracking},
};

/// How often a silent connection looks whether it is time to end.
const TURN: Duration = Duration::from_millis(250);
/// Turns between two tries to connect.
const RETRY_TURNS: u32 = 8;

/// What was heard.
pub enum Heard<'h> {
    Message(String),
    /// Somebody, maybe this process, wrote or deleted these at the server, or their
    /// time is over there; and what to ask for what it has now.
    Changed(Vec<String>, &'h mut Tracking),
    /// The server was emptied.
    Emptied,
    /// The connection was lost, or is there again: what was told meanwhile is not
    /// known.
    Gap,
}

/// Hears one channel, and of changes in the server, until it is dropped.
pub struct Hearing {
    stop: Cancel,
    thread: Option<JoinHandle<()>>,
}

impl Hearing {
    /// Hears the channel, and what becomes of keys that begin with the prefix.
    ///
    /// # Errors
    /// When the address is none, or the system has no thread to give.
    pub fn start(
        address: &RedisAddress,
        channel: String,
        prefix: String,
        on: impl Fn(Heard<'_>) + Send + 'static,
    ) -> Result<Self, Failure> {
        let client = older_protocol(&client(address)?)?;
        let stop = Cancel::default();
        let mut hearer = Hearer {
            client,
            channel,
            prefix,
            stop: stop.clone(),
            on,
            refusals: Vec::new(),
        };
        let thread = spawn("redis-hear", move || hearer.run()).map_err(|error| {
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
        self.stop.cancel();
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

/// In the newer protocol the server tells of changes in a way that the client library
/// does not wait for.
fn older_protocol(client: &Client) -> Result<Client, Failure> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP2);
    let client = Client::open(info.set_redis_settings(settings));
    client.map_err(|error| Failure::Refused(reason(&error)))
}

struct Hearer<F> {
    client: Client,
    channel: String,
    prefix: String,
    stop: Cancel,
    on: F,
    /// What the server refused, as the log says it.
    refusals: Vec<String>,
}

impl<F: Fn(Heard<'_>)> Hearer<F> {
    fn run(&mut self) {
        while !self.is_over() {
            let begun = Instant::now();
            if let Ok(mut connection) = connect(&self.client, &self.stop) {
                // Whatever ended it, it is tried again.
                let _lost = self.hear(&mut connection);
            }
            // One that lasted is missed at once.
            if begun.elapsed() >= TURN * RETRY_TURNS {
                continue;
            }
            for _ in 0..RETRY_TURNS {
                if self.is_over() {
                    return;
                }
                std::thread::park_timeout(TURN);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    fn hear(&mut self, connection: &mut Connection) -> RedisResult<()> {
        // While it hears it can be asked nothing.
        let number = tracking::number(connection);
        if let Err(error) = subscribe(connection, &self.channel) {
            if is_said(&error) {
                let reason = reason(&error);
                self.note_refusal(format!("other hosts are not heard: {reason}"));
            }
            return Err(error);
        }
        let mut subscription = connection.as_pubsub();
        let mut tracking = self.track(number, &mut subscription)?;
        (self.on)(Heard::Gap);
        let ended = self.listen(&mut subscription, tracking.as_mut());
        // What was told since is not known.
        (self.on)(Heard::Gap);
        ended
    }

    /// Has the server tell what changes in it, if it does.
    fn track(
        &mut self,
        number: RedisResult<u64>,
        subscription: &mut PubSub<'_>,
    ) -> RedisResult<Option<Tracking>> {
        let begun = number.and_then(|number| {
            subscription.subscribe(tracking::CHANNEL)?;
            Tracking::begin(&self.client, number, &self.prefix, &self.stop)
        });
        match begun {
            Ok(tracking) => Ok(Some(tracking)),
            Err(error) if is_said(&error) => {
                self.note_refusal(format!(
                    "Redis does not tell what changes in it: {}",
                    reason(&error)
                ));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn listen(
        &self,
        subscription: &mut PubSub<'_>,
        mut tracking: Option<&mut Tracking>,
    ) -> RedisResult<()> {
        subscription.set_read_timeout(Some(TURN))?;
        let mut silent = 0_u32;
        while !self.is_over() {
            match subscription.get_message() {
                Ok(message) => {
                    silent = 0;
                    if message.get_channel_name() != tracking::CHANNEL {
                        if let Ok(text) = message.get_payload::<String>() {
                            (self.on)(Heard::Message(text));
                        }
                    } else if let Some(tracking) = tracking.as_deref_mut() {
                        match message.get_payload::<Option<Vec<Vec<u8>>>>() {
                            Ok(Some(keys)) => {
                                // Ours are text.
                                let keys = keys.into_iter().map(String::from_utf8);
                                let keys = keys.filter_map(Result::ok).collect();
                                (self.on)(Heard::Changed(keys, tracking));
                            }
                            Ok(None) => (self.on)(Heard::Emptied),
                            Err(error) => tracing::debug!("not of the server: {error}"),
                        }
                    }
                }
                Err(error) if error.is_timeout() => {
                    silent += 1;
                    // A connection that died without a word looks just as silent.
                    if silent.is_multiple_of(RETRY_TURNS) {
                        subscription.ping::<Value>()?;
                    }
                }
                Err(error) => return Err(error),
            }
            if let Some(tracking) = tracking.as_deref_mut() {
                tracking.check()?;
            }
        }
        Ok(())
    }

    /// Each of them once.
    fn note_refusal(&mut self, text: String) {
        if !self.refusals.contains(&text) {
            tracing::warn!("{text}");
            self.refusals.push(text);
        }
    }
}

/// As the client library does, which passes over a refusal.
fn subscribe(connection: &mut Connection, channel: &str) -> RedisResult<()> {
    let mut subscribe = cmd("SUBSCRIBE");
    subscribe.arg(channel);
    connection.send_packed_command(&subscribe.get_packed_command())?;
    connection.recv_response()?.extract_error().map(drop)
}
