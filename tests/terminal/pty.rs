//! A terminal for tests: a pseudo terminal with a screen that is parsed, keys that
//! are typed, and conditions that are waited for, never guessed by sleeping.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portable_pty::{
    Child, CommandBuilder, ExitStatus, MasterPty, PtySize, SlavePty, native_pty_system,
};
use rustix::process::{Pid, Signal, kill_process};
use vt100::{Parser, Screen};

use crate::support::{Home, program};

/// How long anything may take before a test gives up: long, for slow machines.
const LIMIT: Duration = Duration::from_secs(90);

/// What the terminal has received.
struct Received {
    parser: Parser,
    bytes: Vec<u8>,
    is_closed: bool,
}

struct Shared {
    received: Mutex<Received>,
    changed: Condvar,
    hang_up: AtomicBool,
    writer: Mutex<Option<Box<dyn Write + Send>>>,
}

/// What the terminal says about itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// A plain terminal: device attributes without graphics, cursor position.
    Plain,
    /// Nothing, whatever it is asked.
    Silent,
    /// Attributes and sizes that make no sense.
    Nonsense,
}

/// A running program in a pseudo terminal.
pub struct Terminal {
    shared: Arc<Shared>,
    master: Option<Box<dyn MasterPty + Send>>,
    /// Keeps the terminal's settings after the program has ended.
    slave: Option<Box<dyn SlavePty + Send>>,
    child: Box<dyn Child + Send + Sync>,
    reader: Option<JoinHandle<()>>,
    before: String,
}

impl Terminal {
    /// Starts tagloupe in a terminal of this size (columns, rows).
    pub fn start<S: AsRef<OsStr>>(home: &Home, size: (u16, u16), arguments: &[S]) -> Self {
        Self::start_with(home, size, Answers::Plain, program(), arguments, &[])
    }

    /// Starts any program, with further environment variables.
    pub fn start_with<S: AsRef<OsStr>>(
        home: &Home,
        size: (u16, u16),
        answers: Answers,
        program: &str,
        arguments: &[S],
        variables: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(pty_size(size)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for name in Home::FOREIGN {
            command.env_remove(name);
        }
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(home.path());
        let before = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shared = Arc::new(Shared {
            received: Mutex::new(Received {
                parser: Parser::new(size.1, size.0, 0),
                bytes: Vec::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
            hang_up: AtomicBool::new(false),
            writer: Mutex::new(Some(pair.master.take_writer().unwrap())),
        });
        let receiving = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name("pty".to_owned())
            .spawn(move || receive(&receiving, &mut *reader, answers))
            .unwrap();
        Self {
            shared,
            master: Some(pair.master),
            slave: Some(pair.slave),
            child,
            reader: Some(reader),
            before,
        }
    }

    /// Types text or control characters, byte for byte.
    pub fn keys(&self, keys: &str) {
        let mut writer = lock(&self.shared.writer);
        let writer = writer.as_mut().expect("the terminal has hung up");
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until the screen is as wanted; shows it when that never comes.
    #[track_caller]
    pub fn wait(&self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut received = lock(&self.shared.received);
        while !is_there(received.parser.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !received.is_closed,
                "waited for {what}; the screen ({}):\n{}",
                if received.is_closed { "closed" } else { "open" },
                received.parser.screen().contents()
            );
            (received, _) = self
                .shared
                .changed
                .wait_timeout(received, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the screen shows this text somewhere.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    /// Waits until more than this many bytes have arrived.
    #[track_caller]
    pub fn wait_for_more(&self, bytes: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut received = lock(&self.shared.received);
        while received.bytes.len() <= bytes {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !received.is_closed, "nothing was drawn");
            (received, _) = self
                .shared
                .changed
                .wait_timeout(received, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until these bytes have arrived somewhere.
    #[track_caller]
    pub fn wait_for_bytes(&self, wanted: &[u8]) {
        let deadline = Instant::now() + LIMIT;
        let mut received = lock(&self.shared.received);
        while !received.bytes.windows(wanted.len()).any(|w| w == wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !received.is_closed,
                "{wanted:?} never came"
            );
            (received, _) = self
                .shared
                .changed
                .wait_timeout(received, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is on the screen now.
    pub fn contents(&self) -> String {
        lock(&self.shared.received).parser.screen().contents()
    }

    /// Every byte the terminal was sent.
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.shared.received).bytes.clone()
    }

    /// Changes the size (columns, rows), as a window manager does.
    pub fn resize(&self, size: (u16, u16)) {
        lock(&self.shared.received)
            .parser
            .screen_mut()
            .set_size(size.1, size.0);
        let master = self.master.as_ref().expect("the terminal has hung up");
        master.resize(pty_size(size)).unwrap();
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the program goes on; the screen:\n{}",
                self.contents()
            );
            // Nothing announces the end of a process to us: asked again and again.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Asserts that the terminal is as it was before the program started.
    #[track_caller]
    pub fn assert_restored(&self) {
        let master = self.master.as_ref().expect("the terminal has hung up");
        assert_eq!(settings(&**master), self.before, "terminal settings");
        self.wait("the main screen", |screen| !screen.alternate_screen());
        let received = lock(&self.shared.received);
        let screen = received.parser.screen();
        assert!(!screen.hide_cursor(), "the cursor stays hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste stays on");
        assert_eq!(
            screen.mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "the mouse stays captured"
        );
    }

    /// The number of the program's process.
    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends the program a signal.
    pub fn end(&self, signal: Signal) {
        let id = i32::try_from(self.process()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Closes the terminal as a dropped connection does.
    pub fn hang_up(&mut self) {
        self.shared.hang_up.store(true, Ordering::SeqCst);
        // The reader wakes up when anything arrives, and then closes its end.
        self.keys("\x0c");
        drop(self.reader.take().map(JoinHandle::join));
        lock(&self.shared.writer).take();
        self.slave.take();
        self.master.take();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of a question to the terminal, at most.
const LONGEST_QUESTION: usize = 8;

fn receive(shared: &Shared, reader: &mut dyn Read, answers: Answers) {
    let mut chunk = [0; 16 * 1024];
    let mut answered = 0;
    loop {
        let read = reader.read(&mut chunk).unwrap_or(0);
        let mut received = lock(&shared.received);
        // What came before was looked at, but for a question that is cut in two.
        answered = received
            .bytes
            .len()
            .saturating_sub(LONGEST_QUESTION)
            .max(answered);
        received.parser.process(&chunk[..read]);
        received.bytes.extend_from_slice(&chunk[..read]);
        received.is_closed = read == 0 || shared.hang_up.load(Ordering::SeqCst);
        let is_closed = received.is_closed;
        let reply = reply(&received.bytes[answered..], answers);
        if !reply.is_empty() {
            answered = received.bytes.len();
        }
        drop(received);
        shared.changed.notify_all();
        if is_closed {
            return;
        }
        if !reply.is_empty()
            && let Some(writer) = lock(&shared.writer).as_mut()
        {
            writer.write_all(reply.as_bytes()).unwrap();
        }
    }
}

/// What a terminal says to the questions in these bytes.
fn reply(bytes: &[u8], answers: Answers) -> String {
    let text = String::from_utf8_lossy(bytes);
    let pairs: &[(&str, &str)] = match answers {
        Answers::Silent => &[],
        Answers::Plain => &[("\x1b[6n", "\x1b[1;1R"), ("\x1b[c", "\x1b[?62;22c")],
        Answers::Nonsense => &[
            ("\x1b[6n", "\x1b[999999999;;R"),
            ("\x1b[14t", "\x1b[4;65535;0t"),
            ("\x1b[16t", "\x1b[6;0;65535t"),
            (
                "\x1b[c",
                "\x1b]11;rgb:zz\x07\x1b_Gi=1;ENO\x1b\\\x1bP1+r=?\x1b\\\x1b[?4;4;99999999999c",
            ),
        ],
    };
    let asked = pairs.iter().filter(|(question, _)| text.contains(question));
    asked.map(|(_, answer)| *answer).collect()
}

fn settings(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("a terminal"))
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: cols * 8,
        pixel_height: rows * 16,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
