//! Everything that goes to the terminal goes through one thread, so that nobody
//! else ever waits for a slow link.
//!
//! Text goes first: a frame overtakes every picture that waits, and passes between
//! two pieces of one that is under way. Pictures are sent only while little enough
//! is on its way ([`window`]): what matters over SSH is not how much is sent but how
//! much lies in buffers between the program and the eye when a key is pressed.
//!
//! Invariant: bytes leave in the order text, commands, pictures; commands and a new
//! picture never go between the pieces of another one.

pub mod window;

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use self::window::{Link, Pace, Window};

/// A picture given up in the middle saves at least so many pieces.
const WORTH_GIVING_UP: usize = 12;

/// A picture to be sent. The pieces are made when its turn comes.
pub struct Parcel {
    /// Tells it apart from all others of the session.
    pub ticket: u64,
    /// Text may go between two pieces, nothing else.
    pub pieces: Box<dyn FnOnce() -> Vec<Vec<u8>> + Send>,
    /// What is to be sent when no more pieces will come; empty when nothing is.
    pub give_up: Vec<u8>,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// What became of the parcels since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Written whole.
    pub sent: Vec<u64>,
    /// Given up in the middle; the terminal was told to forget what it has.
    pub given_up: Vec<u64>,
    /// Written in part.
    pub begun: Option<u64>,
}

/// One frame: what to write now, and which pictures to send from now on.
#[derive(Debug, Default)]
pub struct Frame {
    pub text: Vec<u8>,
    pub commands: Vec<u8>,
    pub parcels: Vec<Parcel>,
}

/// The way to the terminal. Cheap to clone; the thread ends with the process.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The thread waits here for work, and whoever pauses it for its answer.
    bell: Condvar,
}

struct State {
    text: Vec<u8>,
    commands: Vec<u8>,
    parcels: VecDeque<Parcel>,
    current: Option<Current>,
    report: Report,
    window: Window,
    /// A frame is being made: no other picture may be begun meanwhile.
    is_held: bool,
    is_paused: bool,
    is_writing: bool,
    /// Somebody waits for [`Writer::is_ready`].
    is_awaited: bool,
    error: Option<io::Error>,
}

struct Current {
    ticket: u64,
    pieces: VecDeque<Vec<u8>>,
    give_up: Vec<u8>,
}

/// What the thread writes next.
enum Load {
    Text(Vec<u8>),
    Commands(Vec<u8>),
    Piece(Vec<u8>),
}

impl Writer {
    /// Starts the thread. `write` writes all bytes and may block; `wake` is called
    /// when a picture was sent, or when a frame can be taken that could not before.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        write: impl Fn(&[u8]) -> io::Result<()> + Send + 'static,
        wake: impl Fn() + Send + 'static,
        pace: Pace,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                text: Vec::new(),
                commands: Vec::new(),
                parcels: VecDeque::new(),
                current: None,
                report: Report::default(),
                window: Window::new(pace, Instant::now()),
                is_held: false,
                is_paused: false,
                is_writing: false,
                is_awaited: false,
                error: None,
            }),
            bell: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || own.run(&write, &wake))?;
        Ok(Self { shared })
    }

    /// Whether a frame would leave at once. When not, it is called for.
    pub fn is_ready(&self) -> bool {
        let mut state = self.shared.lock();
        let is_ready = state.text.is_empty() && state.window.has_room_for_text(Instant::now());
        state.is_awaited = !is_ready;
        is_ready
    }

    /// Stops new pictures until [`Writer::submit`], and says what became of the
    /// earlier ones.
    pub fn hold(&self) -> Report {
        let mut state = self.shared.lock();
        state.is_held = true;
        let begun = state.current.as_ref().map(|current| current.ticket);
        Report {
            begun,
            ..std::mem::take(&mut state.report)
        }
    }

    /// Hands over a frame. Pictures that waited and are not in it any more are
    /// dropped, also one that was begun if much of it is left.
    ///
    /// # Errors
    /// What happened when the terminal was written to, once.
    pub fn submit(&self, frame: Frame) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.is_held = false;
        state.text.extend(frame.text);
        state.commands.extend(frame.commands);
        let begun = state.current.as_ref().map(|current| current.ticket);
        let is_wanted = frame
            .parcels
            .iter()
            .any(|parcel| Some(parcel.ticket) == begun);
        if !is_wanted {
            state.drop_current();
        }
        let begun = state.current.as_ref().map(|current| current.ticket);
        let sent = std::mem::take(&mut state.report.sent);
        state.parcels = frame
            .parcels
            .into_iter()
            .filter(|parcel| Some(parcel.ticket) != begun && !sent.contains(&parcel.ticket))
            .collect();
        state.report.sent = sent;
        let error = state.error.take();
        drop(state);
        self.shared.bell.notify_all();
        error.map_or(Ok(()), Err)
    }

    /// Writes a few bytes that belong to no frame, after those before it.
    pub fn say(&self, bytes: &[u8]) {
        self.shared.lock().text.extend_from_slice(bytes);
        self.shared.bell.notify_all();
    }

    /// The terminal answered a request for its status.
    pub fn acknowledge(&self) {
        self.shared.lock().window.acknowledge(Instant::now());
        self.shared.bell.notify_all();
    }

    /// How fast pictures may go from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.lock().window = Window::new(pace, Instant::now());
        self.shared.bell.notify_all();
    }

    /// What is known of the link.
    pub fn link(&self) -> Link {
        let state = self.shared.lock();
        let is_busy = state.current.is_some() || !state.parcels.is_empty();
        state.window.link(is_busy)
    }

    /// Drops what waits and keeps the thread from writing; waits until it does not,
    /// at most that long. Says whether it stands still.
    pub fn pause(&self, limit: Duration) -> bool {
        let mut state = self.shared.lock();
        state.is_paused = true;
        state.parcels.clear();
        state.commands.clear();
        state.text.clear();
        state.current = None;
        let (state, timeout) = self
            .shared
            .bell
            .wait_timeout_while(state, limit, |state| state.is_writing)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }

    /// Writes again.
    pub fn resume(&self) {
        let mut state = self.shared.lock();
        state.is_paused = false;
        state.window.forget(Instant::now());
        drop(state);
        self.shared.bell.notify_all();
    }
}

impl State {
    /// Nobody wants the picture that was begun.
    fn drop_current(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        if current.give_up.is_empty() {
            // Each piece stands for itself.
            self.current = None;
        } else if current.pieces.len() >= WORTH_GIVING_UP {
            // It goes before all commands, which would be taken for its next piece.
            let mut commands = std::mem::take(&mut current.give_up);
            commands.append(&mut self.commands);
            self.commands = commands;
            self.report.given_up.push(current.ticket);
            self.current = None;
        }
    }

    fn next(&mut self, now: Instant) -> Option<Load> {
        if self.current.is_none() && !(self.text.is_empty() && self.commands.is_empty()) {
            // Together, so that what moves on the screen moves at once.
            let mut bytes = std::mem::take(&mut self.text);
            if bytes.is_empty() {
                return Some(Load::Commands(std::mem::take(&mut self.commands)));
            }
            join(&mut bytes, &mut self.commands);
            return Some(Load::Text(bytes));
        }
        if !self.text.is_empty() {
            return Some(Load::Text(std::mem::take(&mut self.text)));
        }
        if !self.window.has_room(now) {
            return None;
        }
        if self.current.is_none() && !self.is_held {
            let parcel = self.parcels.pop_front()?;
            self.current = Some(Current {
                ticket: parcel.ticket,
                pieces: (parcel.pieces)().into(),
                give_up: parcel.give_up,
            });
        }
        let piece = self.current.as_mut()?.pieces.pop_front();
        piece.map(Load::Piece).or_else(|| {
            self.finish_current();
            None
        })
    }

    fn finish_current(&mut self) {
        if let Some(current) = self.current.take_if(|current| current.pieces.is_empty()) {
            self.report.sent.push(current.ticket);
        }
    }
}

/// Puts commands before the end of the frame's synchronized update, if it has one.
fn join(text: &mut Vec<u8>, commands: &mut Vec<u8>) {
    const END: &[u8] = b"\x1b[?2026l";
    let has_end = text.ends_with(END);
    if has_end {
        text.truncate(text.len() - END.len());
    }
    text.append(commands);
    if has_end {
        text.extend_from_slice(END);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, write: &dyn Fn(&[u8]) -> io::Result<()>, wake: &dyn Fn()) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let load = if state.is_paused {
                None
            } else {
                state.next(now)
            };
            let Some(load) = load else {
                state = self.rest(state, now, wake);
                continue;
            };
            let is_text = matches!(load, Load::Text(_));
            let (Load::Text(mut bytes) | Load::Commands(mut bytes) | Load::Piece(mut bytes)) = load;
            let question = state.window.sending(bytes.len(), is_text, now);
            // Inside a synchronized update the answer would wait for its end.
            bytes.extend_from_slice(question);
            state.is_writing = true;
            drop(state);
            let outcome = write(&bytes);
            state = self.lock();
            state.is_writing = false;
            if let Err(error) = outcome {
                state.error.get_or_insert(error);
                wake();
            }
            let sent = state.report.sent.len();
            state.finish_current();
            if state.report.sent.len() > sent {
                wake();
            }
            if state.is_paused {
                self.bell.notify_all();
            }
        }
    }

    /// Waits for work; says so to whoever waits for room.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        now: Instant,
        wake: &dyn Fn(),
    ) -> MutexGuard<'a, State> {
        if state.is_awaited && state.text.is_empty() && state.window.has_room_for_text(now) {
            state.is_awaited = false;
            wake();
        }
        let is_waiting = state.is_awaited || state.current.is_some() || !state.parcels.is_empty();
        match state.window.next_chance(now).filter(|_| is_waiting) {
            Some(wait) => {
                self.bell
                    .wait_timeout(state, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Line {
        writer: Writer,
        begun: mpsc::Receiver<Vec<u8>>,
        go: mpsc::Sender<()>,
        woken: mpsc::Receiver<()>,
    }

    /// A writer whose terminal takes each load only when the test says so.
    fn line(pace: Pace) -> Line {
        let (begin, begun) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let (wake, woken) = mpsc::channel();
        let write = move |bytes: &[u8]| {
            let closed = |()| io::Error::from(io::ErrorKind::BrokenPipe);
            begin.send(bytes.to_vec()).map_err(|_| closed(()))?;
            gone.recv().map_err(|_| closed(()))
        };
        let wake = move || {
            let _ = wake.send(());
        };
        Line {
            writer: Writer::start(write, wake, pace).unwrap(),
            begun,
            go,
            woken,
        }
    }

    impl Line {
        /// What is being written now, and stays so until [`Self::go`].
        fn begins(&self) -> String {
            let bytes = self.begun.recv_timeout(Duration::from_mins(1)).unwrap();
            String::from_utf8(bytes).unwrap()
        }

        fn go(&self) {
            self.go.send(()).unwrap();
        }

        fn next(&self) -> String {
            let text = self.begins();
            self.go();
            text
        }

        fn wait(&self) {
            self.woken.recv_timeout(Duration::from_mins(1)).unwrap();
        }
    }

    fn parcel(ticket: u64, pieces: &[&'static str]) -> Parcel {
        let pieces: Vec<Vec<u8>> = pieces
            .iter()
            .map(|piece| piece.as_bytes().to_vec())
            .collect();
        Parcel {
            ticket,
            pieces: Box::new(|| pieces),
            give_up: Vec::new(),
        }
    }

    fn frame(text: &str, commands: &str, parcels: Vec<Parcel>) -> Frame {
        Frame {
            text: text.into(),
            commands: commands.into(),
            parcels,
        }
    }

    #[test]
    fn text_overtakes_pictures_and_commands_do_not() {
        let line = line(Pace::Unlimited);
        let parcels = vec![parcel(1, &["p1", "p2", "p3"]), parcel(2, &["q1"])];
        line.writer.submit(frame("first", "", parcels)).unwrap();
        assert_eq!(line.next(), "first");
        assert_eq!(line.next(), "p1");
        assert_eq!(line.begins(), "p2");
        let report = line.writer.hold();
        assert_eq!(report.begun, Some(1));
        let parcels = vec![parcel(1, &[]), parcel(2, &["q1"])];
        line.writer
            .submit(frame("second", "move", parcels))
            .unwrap();
        line.go();
        assert_eq!(line.next(), "second");
        assert_eq!(line.next(), "p3");
        assert_eq!(line.next(), "move");
        assert_eq!(line.next(), "q1");
        line.wait();
        line.wait();
        let report = line.writer.hold();
        assert_eq!((report.sent, report.begun), (vec![1, 2], None));
    }

    #[test]
    fn what_left_the_screen_is_not_sent() {
        let line = line(Pace::Unlimited);
        let parcels = vec![parcel(1, &["p1", "p2"]), parcel(2, &["q1"])];
        line.writer.submit(frame("first", "", parcels)).unwrap();
        assert_eq!(line.next(), "first");
        assert_eq!(line.begins(), "p1");
        line.writer.hold();
        let parcels = vec![parcel(3, &["r1"])];
        line.writer.submit(frame("second", "", parcels)).unwrap();
        line.go();
        // Neither its rest nor the other one.
        assert_eq!(line.next(), "second");
        assert_eq!(line.next(), "r1");
    }

    #[test]
    fn a_transmission_given_up_is_ended_before_anything_else_is_commanded() {
        let line = line(Pace::Unlimited);
        let mut long = parcel(1, &["p"; 30]);
        long.give_up = b"end".to_vec();
        line.writer.submit(frame("a", "", vec![long])).unwrap();
        assert_eq!(line.next(), "a");
        assert_eq!(line.begins(), "p");
        line.writer.hold();
        line.writer.submit(frame("b", "c", vec![])).unwrap();
        line.go();
        assert_eq!(line.next(), "bendc");
    }

    #[test]
    fn commands_belong_to_the_frame_that_moves_with_them() {
        let mut text = b"\x1b[?2026htext\x1b[?2026l".to_vec();
        join(&mut text, &mut b"move".to_vec());
        assert_eq!(text, b"\x1b[?2026htextmove\x1b[?2026l");
    }

    #[test]
    fn a_pause_drops_what_waits_and_the_thread_stands_still() {
        let line = line(Pace::Unlimited);
        let parcels = vec![parcel(1, &["p1", "p2"])];
        line.writer.submit(frame("first", "", parcels)).unwrap();
        assert_eq!(line.next(), "first");
        assert_eq!(line.begins(), "p1");
        assert!(!line.writer.pause(Duration::ZERO));
        line.go();
        assert!(line.writer.pause(Duration::from_mins(1)));
        line.writer.resume();
        line.writer.say(b"again");
        assert_eq!(line.next(), "again");
    }

    #[test]
    fn a_terminal_that_is_gone_is_an_error_once() {
        let line = line(Pace::Unlimited);
        drop(line.go);
        line.writer.say(b"hello");
        line.woken.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(line.writer.submit(Frame::default()).is_err());
    }

    #[test]
    fn pictures_wait_for_answers_and_text_does_not() {
        let line = line(Pace::Acknowledged(window::STATUS));
        let big: &'static str = "x".repeat(window::MIN_WINDOW).leak();
        let parcels = vec![parcel(1, &[big, big, big, big])];
        line.writer.submit(frame("first", "", parcels)).unwrap();
        assert_eq!(line.next(), "first");
        let asks = |text: &str| text.ends_with("\x1b[5n");
        assert!(asks(&line.next()));
        assert!(asks(&line.next()));
        // The window is full; a frame goes all the same.
        line.writer.hold();
        let parcels = vec![parcel(1, &[])];
        line.writer.submit(frame("second", "", parcels)).unwrap();
        assert_eq!(line.next(), "second");
        for _ in 0..4 {
            line.writer.acknowledge();
        }
        assert_eq!(line.next().trim_end_matches("\x1b[5n"), big);
    }
}
