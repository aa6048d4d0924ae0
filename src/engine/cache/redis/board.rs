//! The board where files to ingest are put up for all hosts: streams of one library,
//! on a connection of its owner's. Its owner is a thread in the background that may
//! wait for Redis; nobody else waits for it.
//!
//! What belongs together is one script, so that nobody sees half of it.

use std::time::{Duration, Instant};

use redis::{Cmd, Connection, FromRedisValue, cmd};

use super::{
    super::{Failure, key::Keyspace, settings::RedisAddress},
    client,
    lanes::{connect, reason},
};
use crate::engine::{
    cluster::{Job, Waiting},
    job::Cancel,
};

/// Who reads the stream together.
const GROUP: &str = "ingest";
/// How long a worker counts as alive that has not been heard of.
const ALIVE: Duration = Duration::from_secs(5);
/// What rests for so long is claimed by others: its worker, which would have renewed
/// it several times, is gone.
const RESTING: Duration = Duration::from_secs(5);
/// As if it had rested for a day.
const LEFT_MS: u64 = 86_400_000;
/// Answers that nobody came for are forgotten.
const ANSWERS_KEPT_MS: u64 = 3_600_000;
/// Files put aside that are remembered.
const DEAD_KEPT: usize = 1_000;
/// How long an answer may take beyond what it was to wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a failure nobody tries again for so long.
const PAUSE: Duration = Duration::from_millis(500);
/// The owner of what was handed back.
const NOBODY: &str = "nobody";

/// Makes the group; one that is there already is as good. What is no stream goes.
const JOIN: &str = "\
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then redis.call('DEL', KEYS[1]) end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], 'ingest', '0', 'MKSTREAM')
return 1";

/// Sign of life, and what is in hand is renewed, as long as nobody claimed it.
const BEAT: &str = "\
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
if redis.call('TYPE', KEYS[2]).ok ~= 'set' then redis.call('DEL', KEYS[2]) end
redis.call('SADD', KEYS[2], ARGV[1])
for n = 4, #ARGV do
  local held = redis.pcall('XPENDING', KEYS[1], 'ingest', ARGV[n], ARGV[n], 1)
  if held[1] and held[1][2] == ARGV[1] then
    redis.call('XCLAIM', KEYS[1], 'ingest', ARGV[1], 0, ARGV[n], 'JUSTID')
  end
end
return 1";

/// Who is alive; the dead are forgotten.
const ALIVE_NOW: &str = "\
local alive = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local told = redis.call('GET', ARGV[1] .. name)
  if told then table.insert(alive, told) else redis.call('SREM', KEYS[1], name) end
end
return alive";

/// Claims what rests, with how often it was handed out.
const TAKE_OVER: &str = "\
local found = redis.pcall('XAUTOCLAIM', KEYS[1], 'ingest', ARGV[1], ARGV[2], '0-0', 'COUNT', ARGV[3])
if found.err then return {} end
local taken = {}
for _, entry in ipairs(found[2]) do
  local held = redis.call('XPENDING', KEYS[1], 'ingest', entry[1], entry[1], 1)
  table.insert(taken, {entry[1], entry[2][2], held[1] and held[1][4] or 1})
end
return taken";

/// Acknowledges, deletes and answers.
const DONE: &str = "\
redis.pcall('XACK', KEYS[1], 'ingest', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
for n = 4, #KEYS do
  redis.call('XADD', KEYS[n], '*', 'report', ARGV[2])
  redis.call('PEXPIRE', KEYS[n], ARGV[4])
end
if ARGV[5] ~= '' then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'job', ARGV[5], 'report', ARGV[2]) end
redis.call('PUBLISH', ARGV[7], ARGV[3])
if redis.call('HGET', KEYS[3], 'entry') == ARGV[1] then redis.call('DEL', KEYS[3]) end
return 1";

/// Leaves entries to whoever comes next; that they were handed out does not count.
const HAND_BACK: &str = "\
for n = 3, #ARGV do
  local held = redis.pcall('XPENDING', KEYS[1], 'ingest', ARGV[n], ARGV[n], 1)
  if held[1] and held[1][2] == ARGV[1] then
    redis.call('XCLAIM', KEYS[1], 'ingest', 'nobody', 0, ARGV[n], 'IDLE', ARGV[2], 'RETRYCOUNT', 0, 'JUSTID')
  end
end
return 1";

/// Who has an entry: nobody yet, a name, or it is gone.
const WHOSE: &str = "\
local whose = {}
for n = 1, #ARGV do
  local there = redis.call('XRANGE', KEYS[1], ARGV[n], ARGV[n])
  if #there == 0 then table.insert(whose, '-')
  else
    local held = redis.pcall('XPENDING', KEYS[1], 'ingest', ARGV[n], ARGV[n], 1)
    if held[1] then table.insert(whose, held[1][2]) else table.insert(whose, '') end
  end
end
return whose";

/// Ends a worker, and what the group remembers of it and of those that have gone without
/// a word; never of one that something is with, which would be lost.
const LEAVE: &str = "\
redis.call('DEL', KEYS[2])
for _, one in ipairs(redis.pcall('XINFO', 'CONSUMERS', KEYS[1], 'ingest')) do
  local name, pending, idle = one[2], one[4], one[6]
  if pending == 0 and (name == ARGV[1] or idle > tonumber(ARGV[2])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'ingest', name)
  end
end
return 1";

/// Takes an entry off the board unless somebody else than the named ones has it.
const TAKE_BACK: &str = "\
local held = redis.pcall('XPENDING', KEYS[1], 'ingest', ARGV[1], ARGV[1], 1)
if held[1] and held[1][2] ~= 'nobody' and ARGV[2] ~= 'force' then return 0 end
redis.pcall('XACK', KEYS[1], 'ingest', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1";

/// Puts a job up, unless it is up already; the answer goes to all who gave it.
const GIVE: &str = "\
local entry = redis.call('HGET', KEYS[2], 'entry')
if not entry or #redis.call('XRANGE', KEYS[1], entry, entry) == 0 then
  entry = redis.call('XADD', KEYS[1], '*', 'job', ARGV[1])
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'entry', entry)
end
redis.call('HSET', KEYS[2], 'for:' .. ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return entry";

/// Puts a job up again that was put aside, unless somebody else just did.
const PUT_UP_AGAIN: &str = "\
if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[1], '*', 'job', ARGV[2])
return 1";

/// A job that was put aside, since workers died over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub entry: String,
    /// The job and the answer to it, as text.
    pub job: String,
    pub report: String,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Done, or forgotten by Redis.
    Gone,
    /// Nobody has it.
    Waiting,
    /// A worker has it, alive or not.
    With(String),
}

/// A file that this worker has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub entry: String,
    /// The job as text.
    pub job: String,
    /// How often it was handed out, this time included.
    pub times: u64,
}

/// The answer to a job, and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Who waits for it.
    pub givers: &'a [Waiting],
    /// Of the file, which is no longer up.
    pub fingerprint: &'a str,
    pub report: &'a str,
    /// What all who hear are told.
    pub news: &'a str,
    /// The job, when it is put aside.
    pub dead: Option<&'a str>,
}

/// The board of one library.
pub struct Board {
    client: redis::Client,
    connection: Option<Connection>,
    failed: Option<(Instant, String)>,
    stream: String,
    workers: String,
    channel: String,
    /// Up to which answer this one has heard.
    heard: String,
    /// Ends what is waited for to connect.
    over: Cancel,
}

impl Board {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn open(address: &RedisAddress, library: &str) -> Result<Self, Failure> {
        let keys = Keyspace::new(library);
        Ok(Self {
            client: client(address)?,
            connection: None,
            failed: None,
            stream: keys.shared("ingest"),
            workers: keys.shared("ingest:workers"),
            channel: keys.channel(),
            heard: "0".to_owned(),
            over: Cancel::default(),
        })
    }

    /// The same, for an owner that waits for no connection once it is over.
    pub fn until(self, over: &Cancel) -> Self {
        Self {
            over: over.clone(),
            ..self
        }
    }

    /// The same board, on a connection of its own.
    pub fn another(&self) -> Self {
        Self {
            client: self.client.clone(),
            connection: None,
            failed: None,
            stream: self.stream.clone(),
            workers: self.workers.clone(),
            channel: self.channel.clone(),
            heard: "0".to_owned(),
            over: self.over.clone(),
        }
    }

    fn worker_key(&self, name: &str) -> String {
        format!("{}:{name}", self.workers)
    }

    fn answers(&self, giver: &str) -> String {
        format!("{}:done:{giver}", self.stream)
    }

    fn dead(&self) -> String {
        format!("{}:dead", self.stream)
    }

    /// What the workers that are alive say of themselves.
    ///
    /// # Errors
    /// When Redis does not answer, as with all that follow.
    pub fn alive(&mut self) -> Result<Vec<String>, Failure> {
        let mut script = script(ALIVE_NOW, &[&self.workers]);
        script.arg(format!("{}:", self.workers));
        self.ask(&script)
    }

    /// The jobs that workers died over, newest first.
    pub fn put_aside(&mut self) -> Result<Vec<Dead>, Failure> {
        let mut read = cmd("XREVRANGE");
        read.arg(self.dead()).arg("+").arg("-");
        let entries: Vec<(String, Vec<String>)> = self.ask(&read)?;
        let dead = |(entry, fields): (String, Vec<String>)| match &fields[..] {
            [_, job, _, report, ..] => Some(Dead {
                entry,
                job: job.clone(),
                report: report.clone(),
            }),
            _ => None,
        };
        Ok(entries.into_iter().filter_map(dead).collect())
    }

    /// Puts a job up again that was put aside; says whether it was still there.
    pub fn put_up_again(&mut self, dead: &str, job: &str) -> Result<bool, Failure> {
        let aside = self.dead();
        let mut script = script(PUT_UP_AGAIN, &[&self.stream, &aside]);
        script.arg(dead).arg(job);
        self.ask(&script)
    }

    /// Forgets a job that was put aside.
    pub fn forget_dead(&mut self, dead: &str) -> Result<(), Failure> {
        let mut delete = cmd("XDEL");
        delete.arg(self.dead()).arg(dead);
        self.ask::<u64>(&delete).map(drop)
    }

    /// Puts a file up, unless it is up already, and returns its entry. Its answer goes
    /// to all who gave it.
    pub fn give(&mut self, job: &Job) -> Result<String, Failure> {
        let text = serde_json::to_string(job);
        let text = text.map_err(|error| Failure::Refused(error.to_string()))?;
        let up = self.up(&job.fingerprint());
        let mut script = script(GIVE, &[&self.stream, &up]);
        script.arg(text).arg(&job.giver).arg(job.file);
        script.arg(ANSWERS_KEPT_MS);
        self.ask(&script)
    }

    /// The givers that wait for a file; none when that was forgotten.
    pub fn who_waits(&mut self, fingerprint: &str) -> Result<Vec<Waiting>, Failure> {
        let mut get = cmd("HGETALL");
        get.arg(self.up(fingerprint));
        let fields: Vec<(String, String)> = self.ask(&get)?;
        let waiting = |(name, value): &(String, String)| {
            Some(Waiting {
                giver: name.strip_prefix("for:")?.to_owned(),
                file: value.parse().ok()?,
            })
        };
        Ok(fields.iter().filter_map(waiting).collect())
    }

    fn up(&self, fingerprint: &str) -> String {
        format!("{}:up:{fingerprint}", self.stream)
    }

    /// Answers that came for a giver since the last time; waits for the first.
    pub fn answers_for(&mut self, giver: &str, wait: Duration) -> Result<Vec<String>, Failure> {
        let answers = self.answers(giver);
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(200);
        if !wait.is_zero() {
            read.arg("BLOCK").arg(whole_ms(wait));
        }
        read.arg("STREAMS").arg(&answers).arg(&self.heard);
        let entries = self.read(&read)?;
        let Some((last, _)) = entries.last() else {
            return Ok(Vec::new());
        };
        self.heard.clone_from(last);
        let mut trim = cmd("XDEL");
        trim.arg(&answers);
        for (entry, _) in &entries {
            trim.arg(entry);
        }
        // What was heard is not needed there. When this fails it expires; the answers
        // come only once.
        let _ = self.ask::<u64>(&trim);
        Ok(entries.into_iter().map(|(_, report)| report).collect())
    }

    /// Where entries stand.
    pub fn standing(&mut self, entries: &[&str]) -> Result<Vec<Standing>, Failure> {
        let mut script = script(WHOSE, &[&self.stream]);
        script.arg(entries);
        let whose: Vec<String> = self.ask(&script)?;
        let standing = whose.into_iter().map(|name| match name.as_str() {
            "-" => Standing::Gone,
            "" | NOBODY => Standing::Waiting,
            _ => Standing::With(name),
        });
        Ok(standing.collect())
    }

    /// Takes a file off the board, unless a worker has it and `force` is not set;
    /// says whether it is off.
    pub fn take_back(&mut self, entry: &str, force: bool) -> Result<bool, Failure> {
        let mut script = script(TAKE_BACK, &[&self.stream]);
        script.arg(entry).arg(if force { "force" } else { "" });
        self.ask(&script)
    }

    /// Tells that a worker is alive and has these in hand.
    pub fn beat(&mut self, name: &str, told: &str, entries: &[&str]) -> Result<(), Failure> {
        let own = self.worker_key(name);
        let mut script = script(BEAT, &[&self.stream, &self.workers, &own]);
        script.arg(name).arg(told).arg(whole_ms(ALIVE));
        script.arg(entries);
        self.ask(&script)
    }

    /// Takes files that nobody had yet; waits for the first.
    pub fn take(
        &mut self,
        name: &str,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Claimed>, Failure> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(name);
        read.arg("COUNT").arg(most);
        read.arg("BLOCK").arg(whole_ms(wait).max(1));
        read.arg("STREAMS").arg(&self.stream).arg(">");
        let entries = match self.read(&read) {
            Err(Failure::Refused(reason))
                if ["NOGROUP", "WRONGTYPE"]
                    .iter()
                    .any(|word| reason.contains(word)) =>
            {
                // The first worker, or the first after Redis forgot everything.
                let join = script(JOIN, &[&self.stream]);
                self.ask::<u64>(&join)?;
                return Ok(Vec::new());
            }
            read => read?,
        };
        Ok(entries
            .into_iter()
            .map(|(entry, job)| Claimed {
                entry,
                job,
                times: 1,
            })
            .collect())
    }

    /// Claims files whose worker has not been heard of.
    pub fn take_over(&mut self, name: &str, most: usize) -> Result<Vec<Claimed>, Failure> {
        let mut script = script(TAKE_OVER, &[&self.stream]);
        script.arg(name).arg(whole_ms(RESTING)).arg(most);
        let taken: Vec<(String, String, u64)> = self.ask(&script)?;
        Ok(taken
            .into_iter()
            .map(|(entry, job, times)| Claimed { entry, job, times })
            .collect())
    }

    /// Ends an entry with its answer.
    pub fn done(&mut self, entry: &str, answer: Answer<'_>) -> Result<(), Failure> {
        let (dead, up) = (self.dead(), self.up(answer.fingerprint));
        let givers = answer.givers.iter();
        let answers: Vec<String> = givers.map(|waiting| self.answers(&waiting.giver)).collect();
        let mut keys = vec![self.stream.as_str(), &dead, &up];
        keys.extend(answers.iter().map(String::as_str));
        let mut script = script(DONE, &keys);
        script.arg(entry).arg(answer.report).arg(answer.news);
        script.arg(ANSWERS_KEPT_MS).arg(answer.dead.unwrap_or(""));
        script.arg(DEAD_KEPT).arg(&self.channel);
        self.ask(&script)
    }

    /// Tells all who hear.
    pub fn tell(&mut self, news: &str) -> Result<(), Failure> {
        let mut publish = cmd("PUBLISH");
        publish.arg(&self.channel).arg(news);
        self.ask(&publish)
    }

    /// Leaves files to the other workers.
    pub fn hand_back(&mut self, name: &str, entries: &[&str]) -> Result<(), Failure> {
        let mut script = script(HAND_BACK, &[&self.stream]);
        script.arg(name).arg(LEFT_MS).arg(entries);
        self.ask(&script)
    }

    /// A worker ends.
    pub fn leave(&mut self, name: &str) -> Result<(), Failure> {
        let own = self.worker_key(name);
        let mut script = script(LEAVE, &[&self.stream, &own]);
        script.arg(name).arg(LEFT_MS);
        self.ask::<u64>(&script).map(drop)
    }

    /// Entries of a stream, each with its first value.
    fn read(&mut self, read: &Cmd) -> Result<Vec<(String, String)>, Failure> {
        type Streams = Option<Vec<(String, Vec<(String, Vec<String>)>)>>;
        let streams: Streams = self.ask(read)?;
        let entries = streams
            .into_iter()
            .flatten()
            .flat_map(|(_, entries)| entries);
        Ok(entries
            .filter_map(|(entry, fields)| Some((entry, fields.into_iter().nth(1)?)))
            .collect())
    }

    fn ask<T: FromRedisValue>(&mut self, question: &Cmd) -> Result<T, Failure> {
        if let Some((at, reason)) = &self.failed
            && at.elapsed() < PAUSE
        {
            return Err(Failure::Unavailable(reason.clone()));
        }
        let was_open = self.connection.is_some();
        let mut asked = self.try_ask(question);
        if was_open && asked.as_ref().is_err_and(is_broken_off) {
            // The server was restarted, or a signal came. Entries that were answered to
            // nobody rest, and are claimed like others that do.
            self.connection = None;
            asked = self.try_ask(question);
        }
        match asked {
            Ok(answer) => {
                self.failed = None;
                Ok(answer)
            }
            Err(error) if super::lanes::is_answer(&error) => {
                Err(Failure::Refused(error.to_string()))
            }
            Err(error) => {
                let reason = reason(&error);
                self.connection = None;
                self.failed = Some((Instant::now(), reason.clone()));
                Err(Failure::Unavailable(reason))
            }
        }
    }

    fn try_ask<T: FromRedisValue>(&mut self, question: &Cmd) -> redis::RedisResult<T> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            let made = connect(&self.client, &self.over)?;
            made.set_read_timeout(Some(PATIENCE))?;
            made
        };
        let answer = question.query(&mut connection);
        self.connection = Some(connection);
        answer
    }
}

/// Whether a connection ended, and not only the patience of who asked.
fn is_broken_off(error: &redis::RedisError) -> bool {
    error.is_io_error() && !error.is_timeout()
}

fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut script = cmd("EVAL");
    script.arg(text).arg(keys.len()).arg(keys);
    script
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
