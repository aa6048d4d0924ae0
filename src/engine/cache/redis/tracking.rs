//! Being told by the server what changes in it, whoever did that and however: a key
//! deleted by hand, one that made room or whose time is over, what another host
//! writes, a database that is emptied (`CLIENT TRACKING`, since Redis 6).
//!
//! The messages of this program ([`super::hearing`]) say what its processes removed;
//! only the server knows of the rest. It tells names and no values, also of what this
//! process wrote itself, and each name once, however often it changed meanwhile. So
//! whoever holds an entry compares it with what the server has now, instead of
//! counting what it wrote.
//!
//! Invariant: this connection has the server tell another one. When either is lost
//! nobody knows what was missed, and both are made anew.

use std::time::{Duration, Instant};

use redis::{Client, Connection, RedisError, RedisResult, cmd, pipe};

use super::{
    super::{
        super::job::Cancel,
        Failure,
        entry::{CHECKSUM_BYTES, HEAD_BYTES, Mark},
        key::Keyspace,
        settings::RedisAddress,
    },
    client,
    lanes::{connect, is_said, reason},
};

/// Where the server tells it.
pub const CHANNEL: &str = "__redis__:invalidate";
/// How often it is asked whether the connection still stands.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The connection that has the server tell another one.
pub struct Tracking {
    connection: Connection,
    looked: Instant,
    /// What ended the connection.
    lost: Option<RedisError>,
}

impl Tracking {
    /// Has the server tell the connection of this number, from now on, of every key
    /// that begins so. The server remembers nothing for it but the prefix.
    pub fn begin(client: &Client, hearer: u64, prefix: &str, over: &Cancel) -> RedisResult<Self> {
        let mut connection = connect(client, over)?;
        let mut track = cmd("CLIENT");
        track.arg("TRACKING").arg("ON");
        track.arg("REDIRECT").arg(hearer);
        track.arg("BCAST").arg("PREFIX").arg(prefix);
        track.exec(&mut connection)?;
        Ok(Self {
            connection,
            looked: Instant::now(),
            lost: None,
        })
    }

    /// The marks of what the server has under these keys now, empty where it has
    /// nothing; `None` when that cannot be known.
    pub fn marks(&mut self, keys: &[&str]) -> Option<Vec<Mark>> {
        let mut questions = pipe();
        for key in keys {
            let head = questions.cmd("GETRANGE").arg(key);
            head.arg(0).arg(HEAD_BYTES - 1);
            let sum = questions.cmd("GETRANGE").arg(key);
            sum.arg(format!("-{CHECKSUM_BYTES}")).arg(-1);
        }
        match questions.query::<Vec<Vec<u8>>>(&mut self.connection) {
            Ok(parts) => Some(parts.chunks(2).map(<[Vec<u8>]>::concat).collect()),
            // Say, of a key that holds something else than bytes.
            Err(error) if is_said(&error) => None,
            Err(error) => {
                self.lost = Some(error);
                None
            }
        }
    }

    /// Looks now and then whether the connection still stands.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&mut self) -> RedisResult<()> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        if self.looked.elapsed() < LOOK_INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        cmd("PING").exec(&mut self.connection)
    }
}

/// The number by which the server knows a connection.
pub fn number(connection: &mut Connection) -> RedisResult<u64> {
    cmd("CLIENT").arg("ID").query(connection)
}

/// Why a server does not tell what changes in it; `None` when it does.
///
/// # Errors
/// When it does not answer.
pub fn refusal(address: &RedisAddress, library: &str) -> Result<Option<String>, Failure> {
    let client = client(address)?;
    // Its address was looked up a moment ago.
    let over = Cancel::default();
    let asked = connect(&client, &over).and_then(|mut connection| {
        let number = number(&mut connection)?;
        Tracking::begin(&client, number, &Keyspace::new(library).entries(), &over)
    });
    match asked {
        Ok(_) => Ok(None),
        Err(error) if is_said(&error) => Ok(Some(reason(&error))),
        Err(error) => Err(Failure::Unavailable(reason(&error))),
    }
}
