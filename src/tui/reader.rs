//! The thread that reads the terminal. What the user does and what the terminal
//! answers come out apart; answers that pace the pictures go straight to the writer.

pub mod parse;

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossterm::event::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;

use self::parse::{Parser, Said};
use super::{probe::Tmux, writer::Writer};

/// Events that may wait for the screen.
const CAPACITY: usize = 256;
/// After this silence the beginning of a sequence was a key: long enough for the
/// halves of one that a link has cut, short enough for Escape to feel immediate.
const PAUSE: Duration = Duration::from_millis(30);

/// What the screen hears from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Event(Event),
    /// An answer to a question, as it came.
    Answer(Vec<u8>),
    /// What tmux said of itself.
    Tmux(Option<Tmux>),
    /// The terminal is gone.
    Gone,
}

/// The thread, and what it hears.
pub struct Reader {
    pub heard: mpsc::Receiver<Heard>,
    sender: mpsc::Sender<Heard>,
    gate: Arc<Gate>,
    /// Wakes the thread from waiting for bytes.
    bell: PipeWriter,
    wants_status: Arc<AtomicBool>,
}

/// Stops the thread from reading while the terminal is lent to somebody else.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    /// The thread has seen it and reads nothing.
    is_resting: bool,
}

impl Reader {
    /// Starts reading. The thread is never joined: it ends with the process, or when
    /// the terminal is gone.
    ///
    /// # Errors
    /// When the system has no thread or pipe to give.
    pub fn start(writer: Writer) -> io::Result<Self> {
        let (sender, heard) = mpsc::channel(CAPACITY);
        let (woken, bell) = io::pipe()?;
        let gate = Arc::new(Gate::default());
        let wants_status = Arc::new(AtomicBool::new(true));
        let thread = Thread {
            sender: sender.clone(),
            gate: Arc::clone(&gate),
            woken,
            writer,
            wants_status: Arc::clone(&wants_status),
        };
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            heard,
            sender,
            gate,
            bell,
            wants_status,
        })
    }

    /// Another way to be heard, for what is asked elsewhere.
    pub fn tell(&self) -> mpsc::Sender<Heard> {
        self.sender.clone()
    }

    /// Whether the answer that paces the pictures is to be heard here as well.
    pub fn listen_for_status(&self, wants: bool) {
        self.wants_status.store(wants, Ordering::Release);
    }

    /// Stops reading, and returns when nothing more is read.
    pub fn pause(&self) {
        let mut state = self.gate.lock();
        state.is_closed = true;
        if let Err(error) = (&self.bell).write_all(b"!") {
            tracing::warn!("cannot stop reading the terminal: {error}");
            return;
        }
        // It rests within a pause unless it has ended, and then nobody reads.
        let _rested =
            self.gate
                .changed
                .wait_timeout_while(state, Duration::from_millis(200), |state| !state.is_resting);
    }

    /// Reads again.
    pub fn resume(&self) {
        self.gate.lock().is_closed = false;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self) {
        let mut state = self.lock();
        while state.is_closed {
            state.is_resting = true;
            self.changed.notify_all();
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_resting = false;
    }
}

struct Thread {
    sender: mpsc::Sender<Heard>,
    gate: Arc<Gate>,
    woken: PipeReader,
    writer: Writer,
    wants_status: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self) {
        if let Err(error) = self.read() {
            tracing::warn!("cannot read the terminal: {error}");
        }
        // Nobody listens any more once the session has ended.
        let _ = self.sender.blocking_send(Heard::Gone);
    }

    fn read(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        let mut parser = Parser::default();
        let mut chunk = [0; 4096];
        loop {
            self.gate.pass();
            let pause = parser.is_waiting().then_some(PAUSE);
            let mut fds = [
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::new(&self.woken, PollFlags::IN),
            ];
            let pause = pause.map(Timespec::try_from).transpose().ok().flatten();
            match poll(&mut fds, pause.as_ref()) {
                Ok(0) => {
                    let mut said = Vec::new();
                    parser.rest(&mut |one| said.push(one));
                    if !self.say(said) {
                        return Ok(());
                    }
                    continue;
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if !fds[1].revents().is_empty() {
                let _count = self.woken.read(&mut chunk)?;
                continue;
            }
            let count = match rustix::io::read(stdin.as_fd(), &mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut said = Vec::new();
            parser.feed(&chunk[..count], &mut |one| said.push(one));
            if !self.say(said) {
                return Ok(());
            }
        }
    }

    /// Whether anybody still listens.
    fn say(&self, said: Vec<Said>) -> bool {
        said.into_iter().all(|said| {
            let heard = match said {
                Said::Event(event) => Heard::Event(event),
                Said::Answer(answer) => Heard::Answer(answer),
                Said::Status => {
                    self.writer.acknowledge();
                    if !self.wants_status.load(Ordering::Acquire) {
                        return true;
                    }
                    Heard::Answer(b"\x1b[0n".to_vec())
                }
            };
            self.sender.blocking_send(heard).is_ok()
        })
    }
}
