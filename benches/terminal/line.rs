//! A terminal at the end of a link: the program in a pseudo terminal, its bytes
//! delayed as the link would, its questions answered, keys pressed in time.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::sheet::{Accountant, Sheet};

/// No byte for so long is the end of what an action caused.
const SILENCE: Duration = Duration::from_millis(700);
const LIMIT: Duration = Duration::from_mins(1);

/// What the terminal says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Kitty,
    Sixel,
    Iterm2,
    Plain,
}

/// A way for bytes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes a second; `None`: no limit.
    rate: Option<f64>,
    /// One way.
    delay: Duration,
    /// What lies in buffers before the program has to wait.
    buffer: usize,
}

impl Link {
    pub const fn direct() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            buffer: usize::MAX,
        }
    }

    pub const fn new(mbit: f64, round_trip_ms: u64, buffer_kib: usize) -> Self {
        Self {
            rate: Some(mbit * 125_000.0),
            delay: Duration::from_micros(round_trip_ms * 500),
            buffer: buffer_kib << 10,
        }
    }
}

/// Times from keys to text, in order.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn summary(&self) -> String {
        let mut times = self.0.clone();
        times.sort();
        let at = |share: usize| match times.len() {
            0 => "-".to_owned(),
            count => format!(
                "{:.1}",
                times[(count - 1) * share / 100].as_secs_f64() * 1e3
            ),
        };
        format!("p50 {} p99 {} max {} ms", at(50), at(99), at(100))
    }
}

struct State {
    accountant: Accountant,
    /// On its way to the terminal: when it arrives, and what.
    coming: VecDeque<(Instant, Vec<u8>)>,
    /// On its way to the program.
    going: VecDeque<(Instant, Vec<u8>)>,
    waiting: usize,
    link_free: Instant,
    last: Instant,
    /// The last key.
    pressed: Duration,
    is_closed: bool,
}

struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    start: Instant,
    link: Link,
    kind: Kind,
}

/// One session.
pub struct Line {
    shared: Arc<Shared>,
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Line {
    pub fn open(
        program: &str,
        library: &Path,
        home: &Path,
        (columns, rows): (u16, u16),
        kind: Kind,
        link: Link,
        variables: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize {
                rows,
                cols: columns,
                pixel_width: columns * 10,
                pixel_height: rows * 20,
            })
            .expect("a pseudo terminal");
        let mut command = CommandBuilder::new(program);
        command.arg(library);
        for name in [
            "TMUX",
            "STY",
            "SSH_TTY",
            "SSH_CONNECTION",
            "TAGLOUPE_GRAPHICS",
        ] {
            command.env_remove(name);
        }
        command.env("TAGLOUPE_CONFIG_DIR", home.join("config"));
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        if link.rate.is_some() {
            command.env("SSH_TTY", "/dev/pts/9");
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        let now = Instant::now();
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                accountant: Accountant::new((columns, rows)),
                coming: VecDeque::new(),
                going: VecDeque::new(),
                waiting: 0,
                link_free: now,
                last: now,
                pressed: Duration::ZERO,
                is_closed: false,
            }),
            bell: Condvar::new(),
            start: now,
            link,
            kind,
        });
        let reader = pair
            .master
            .try_clone_reader()
            .expect("the terminal can be read");
        let writer = pair
            .master
            .take_writer()
            .expect("the terminal can be written");
        for (name, work) in [
            (
                "near",
                Box::new({
                    let shared = Arc::clone(&shared);
                    move || shared.near_end(reader)
                }) as Box<dyn FnOnce() + Send>,
            ),
            (
                "far",
                Box::new({
                    let shared = Arc::clone(&shared);
                    move || shared.far_end(writer)
                }),
            ),
        ] {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .expect("a thread");
        }
        Self {
            shared,
            child,
            _master: pair.master,
        }
    }

    /// Presses keys, now.
    pub fn keys(&self, keys: &str) {
        let mut state = self.shared.lock();
        let at = Instant::now() + self.shared.link.delay;
        for key in keys.bytes() {
            state.going.push_back((at, vec![key]));
        }
        state.last = Instant::now();
        state.pressed = self.shared.start.elapsed();
        drop(state);
        self.shared.bell.notify_all();
    }

    /// Presses the keys in turn, so many times, at that pace as one who holds them
    /// does; gives how long each took to show.
    pub fn presses(&self, keys: &str, times: usize, pace: Duration) -> Times {
        let mut pressed = Vec::new();
        let start = Instant::now();
        for (number, key) in keys.chars().cycle().take(times).enumerate() {
            let due = start + pace * u32::try_from(number).unwrap_or(u32::MAX);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            pressed.push(self.shared.start.elapsed());
            self.keys(&key.to_string());
        }
        thread::sleep(pace + 4 * self.shared.link.delay + Duration::from_millis(50));
        let texts = self.sheet().texts;
        let shown = |pressed: &Duration| {
            let earliest = *pressed + 2 * self.shared.link.delay;
            let text = texts.iter().find(|text| **text >= earliest)?;
            text.checked_sub(*pressed)
        };
        Times(pressed.iter().filter_map(shown).collect())
    }

    /// How long after the last key the words of the screen were those that stay, and
    /// how long pictures came.
    pub fn rests(&self) -> (Duration, Duration) {
        self.settle();
        let state = self.shared.lock();
        let after = |time: Duration| time.saturating_sub(state.pressed);
        let sheet = &state.accountant.sheet;
        let pictures = sheet.last_picture.unwrap_or_default();
        (after(sheet.last_words), after(pictures))
    }

    /// Waits until nothing comes any more.
    pub fn settle(&self) {
        let limit = Instant::now() + LIMIT;
        loop {
            let state = self.shared.lock();
            let quiet = state.last.elapsed();
            let is_over = state.coming.is_empty() && (quiet >= SILENCE || state.is_closed);
            drop(state);
            assert!(Instant::now() < limit, "it never comes to rest");
            if is_over {
                return;
            }
            thread::sleep(SILENCE.saturating_sub(quiet).max(Duration::from_millis(5)));
        }
    }

    pub fn wait_for_text(&self) {
        let limit = Instant::now() + LIMIT;
        while self.sheet().first_picture.is_none() {
            assert!(Instant::now() < limit, "nothing is shown");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn sheet(&self) -> Sheet {
        self.shared.lock().accountant.sheet.clone()
    }

    /// Waits for the end of the program.
    pub fn end(mut self) -> Sheet {
        let status = self.child.wait().expect("the program ends");
        assert!(status.success(), "{status:?}");
        self.settle();
        self.sheet()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread has panicked")
    }

    /// Puts what the program writes on the link.
    fn near_end(&self, mut reader: Box<dyn Read + Send>) {
        let mut chunk = [0; 8192];
        loop {
            let count = reader.read(&mut chunk).unwrap_or(0);
            let mut state = self.lock();
            if count == 0 {
                state.is_closed = true;
                drop(state);
                self.bell.notify_all();
                return;
            }
            let now = Instant::now();
            let takes = self.link.rate.map_or(Duration::ZERO, |rate| {
                Duration::from_secs_f64(f64::from(u32::try_from(count).unwrap_or(0)) / rate)
            });
            state.link_free = state.link_free.max(now) + takes;
            let arrives = state.link_free + self.link.delay;
            state.coming.push_back((arrives, chunk[..count].to_vec()));
            state.waiting += count;
            self.bell.notify_all();
            while state.waiting > self.link.buffer {
                state = self.bell.wait(state).expect("no thread has panicked");
            }
        }
    }

    /// Takes bytes off the link when they arrive, and puts answers and keys on it.
    fn far_end(&self, mut writer: Box<dyn Write + Send>) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.coming.front().is_some_and(|(at, _)| *at <= now) {
                let (_, bytes) = state.coming.pop_front().expect("there is one");
                state.waiting -= bytes.len();
                state.last = now;
                let at = self.start.elapsed();
                for question in state.accountant.take(&bytes, at) {
                    if let Some(answer) = self.answer(&question) {
                        state.going.push_back((now + self.link.delay, answer));
                    }
                }
                self.bell.notify_all();
                continue;
            }
            if state.going.front().is_some_and(|(at, _)| *at <= now) {
                let (_, bytes) = state.going.pop_front().expect("there is one");
                drop(state);
                // The program may have ended already.
                let _ = writer.write_all(&bytes);
                let _ = writer.flush();
                state = self.lock();
                continue;
            }
            if state.is_closed && state.coming.is_empty() {
                return;
            }
            let next = [state.coming.front(), state.going.front()]
                .into_iter()
                .flatten()
                .map(|(at, _)| *at)
                .min();
            let wait = next.map_or(Duration::from_millis(50), |at| {
                at.saturating_duration_since(now)
            });
            state = self
                .bell
                .wait_timeout(state, wait)
                .expect("no thread has panicked")
                .0;
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(question);
        let answer = match (&*text, self.kind) {
            ("\x1b[5n", _) => "\x1b[0n",
            ("\x1b[c", Kind::Sixel) => "\x1b[?62;4;22c",
            ("\x1b[c", _) => "\x1b[?62;22c",
            ("\x1b[16t", _) => "\x1b[6;20;10t",
            ("\x1b[>q", Kind::Kitty) => "\x1bP>|kitty(0.41.1)\x1b\\",
            ("\x1b[>q", Kind::Iterm2) => "\x1bP>|iTerm2 3.5.0\x1b\\",
            ("\x1b[>q", Kind::Sixel) => "\x1bP>|foot(1.13.1)\x1b\\",
            (text, Kind::Kitty) if text.starts_with("\x1b_Gi=31,") => "\x1b_Gi=31;OK\x1b\\",
            _ => return None,
        };
        Some(answer.as_bytes().to_vec())
    }
}
