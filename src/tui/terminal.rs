//! The terminal as a borrowed thing: raw mode and the alternate screen behind a
//! guard that gives everything back, also when the program panics.
//!
//! What the terminal can do is asked once, before the input thread starts, and
//! judged in [`probe`].

use std::{
    cell::RefCell,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
};

use crossterm::{
    cursor, event,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    layout::{Rect, Size},
};
use rustix::termios::{OptionalActions, SpecialCodeIndex};

use super::probe::{self, Capabilities, Environment, Graphics, Replies, Window};

/// The largest screen that is drawn. A terminal may claim any size, and a buffer
/// of 65535 x 65535 cells would need 200 GB.
pub const MAX_SIZE: Size = Size {
    width: 1000,
    height: 500,
};

/// A terminal that cannot show the program, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    #[error(
        "{stream} is not a terminal; run tagloupe in one, or use a subcommand (tagloupe --help)"
    )]
    NotATerminal { stream: &'static str },
    #[error(
        "TERM={0} can place no text; set TERM to what the terminal is, or use a subcommand (tagloupe --help)"
    )]
    Dumb(String),
    #[error("cannot use the terminal")]
    Io(#[from] io::Error),
}

/// Bytes on their way to the terminal. Everything of a frame is collected and
/// leaves in one go, so that a frame is never half shown.
#[derive(Clone, Default)]
pub struct Output(Rc<RefCell<Vec<u8>>>);

impl Output {
    pub fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes back everything after the first `len` bytes.
    pub fn truncate(&self, len: usize) {
        self.0.borrow_mut().truncate(len);
    }

    /// Writes what was collected; blocks while the terminal does not read.
    pub fn send(&self) -> io::Result<()> {
        let bytes = std::mem::take(&mut *self.0.borrow_mut());
        write_all(&bytes)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    /// Does nothing: a frame leaves by [`Output::send`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Past std's own buffer, which would split a frame at its newlines.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The state that must be given back, shared with the panic hook.
struct Borrowed {
    is_held: AtomicBool,
    keyboard: AtomicBool,
    /// Pictures of ours that the terminal holds: see [`Session::pictures`].
    pictures: Arc<Mutex<Vec<u32>>>,
    /// Whether commands for the outer terminal must be wrapped.
    in_tmux: AtomicBool,
    owner: ThreadId,
}

impl Borrowed {
    /// Gives the terminal back as it was. Safe to call twice.
    fn release(&self) {
        if !self.is_held.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut bytes = Vec::new();
        let ids =
            std::mem::take(&mut *self.pictures.lock().unwrap_or_else(PoisonError::into_inner));
        for id in ids {
            bytes.extend(delete_picture(id, self.in_tmux.load(Ordering::SeqCst)).as_bytes());
        }
        let keyboard = self.keyboard.load(Ordering::SeqCst);
        // Writing to a Vec cannot fail, and there is nobody to tell if the
        // terminal itself is gone.
        let _ = (|| -> io::Result<()> {
            if keyboard {
                crossterm::queue!(bytes, event::PopKeyboardEnhancementFlags)?;
            }
            crossterm::queue!(
                bytes,
                terminal::EndSynchronizedUpdate,
                event::DisableFocusChange,
                event::DisableBracketedPaste,
                event::DisableMouseCapture,
                LeaveAlternateScreen,
                cursor::Show
            )?;
            write_all(&bytes)
        })();
        let _ = terminal::disable_raw_mode();
    }
}

/// The command that makes a kitty-protocol terminal forget one picture.
pub fn delete_picture(id: u32, in_tmux: bool) -> String {
    if in_tmux {
        format!("\x1bPtmux;\x1b\x1b_Ga=d,d=I,i={id},q=2\x1b\x1b\\\x1b\\")
    } else {
        format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\")
    }
}

/// The terminal in our hands. Dropping it gives it back.
pub struct Session {
    pub terminal: Terminal<CrosstermBackend<Output>>,
    pub output: Output,
    pub capabilities: Capabilities,
    /// What the user typed while the terminal was being asked.
    pub typed_ahead: Vec<u8>,
    mouse: bool,
    borrowed: Arc<Borrowed>,
}

impl Session {
    /// Takes the terminal: raw mode, alternate screen, and a panic hook that gives
    /// it back first. Blocks at most half a second for the terminal's answers.
    pub fn start(graphics: Option<Graphics>, mouse: bool) -> Result<Self, TerminalError> {
        check_streams()?;
        let environment = Environment::from_process();
        if environment.term == "dumb" {
            return Err(TerminalError::Dumb(environment.term));
        }
        let borrowed = Arc::new(Borrowed {
            is_held: AtomicBool::new(true),
            keyboard: AtomicBool::new(false),
            pictures: Arc::default(),
            in_tmux: AtomicBool::new(environment.in_tmux),
            owner: thread::current().id(),
        });
        terminal::enable_raw_mode()?;
        install_panic_hook(&borrowed);
        let asked = ask(&environment);
        let (replies, typed_ahead) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                borrowed.release();
                return Err(error.into());
            }
        };
        let capabilities = probe::decide(&replies, &environment, window(), graphics);
        let output = Output::default();
        let terminal = Terminal::with_options(
            CrosstermBackend::new(output.clone()),
            TerminalOptions {
                viewport: Viewport::Fixed(Rect::from((ratatui::layout::Position::ORIGIN, size()))),
            },
        )?;
        let mut session = Self {
            terminal,
            output,
            capabilities,
            typed_ahead,
            mouse,
            borrowed,
        };
        session.enter()?;
        Ok(session)
    }

    /// The ids of the pictures that the terminal holds for us; whoever sends one
    /// adds it here, so that it is deleted on every way out.
    pub fn pictures(&self) -> Arc<Mutex<Vec<u32>>> {
        Arc::clone(&self.borrowed.pictures)
    }

    /// Gives the terminal back for a while: to an editor, or when suspended.
    pub fn leave(&mut self) {
        self.output.truncate(0);
        self.borrowed.release();
    }

    /// Takes the terminal again after [`Session::leave`]; everything must be redrawn.
    pub fn resume(&mut self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        self.borrowed.is_held.store(true, Ordering::SeqCst);
        self.enter()?;
        self.resize()
    }

    /// Lets go without writing to the terminal: it is gone.
    pub fn abandon(&mut self) {
        self.borrowed.is_held.store(false, Ordering::SeqCst);
    }

    /// Takes over the terminal's present size and forgets what was drawn.
    pub fn resize(&mut self) -> io::Result<()> {
        self.capabilities.resize(window());
        self.terminal
            .resize(Rect::from((ratatui::layout::Position::ORIGIN, size())))
    }

    fn enter(&mut self) -> io::Result<()> {
        let mut output = self.output.clone();
        crossterm::queue!(
            output,
            EnterAlternateScreen,
            event::EnableBracketedPaste,
            event::EnableFocusChange,
            cursor::Hide
        )?;
        if self.mouse {
            crossterm::queue!(output, event::EnableMouseCapture)?;
        }
        if self.capabilities.keyboard {
            let flags = event::KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
            crossterm::queue!(output, event::PushKeyboardEnhancementFlags(flags))?;
            self.borrowed.keyboard.store(true, Ordering::SeqCst);
        }
        output.send()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.borrowed.release();
    }
}

/// Asks the terminal what it can do and gives it back: for `tagloupe doctor`.
pub fn diagnose(graphics: Option<Graphics>) -> Result<Capabilities, TerminalError> {
    check_streams()?;
    let environment = Environment::from_process();
    terminal::enable_raw_mode()?;
    let asked = ask(&environment);
    terminal::disable_raw_mode()?;
    Ok(probe::decide(&asked?.0, &environment, window(), graphics))
}

fn check_streams() -> Result<(), TerminalError> {
    for (stream, is_terminal) in [
        ("standard input", io::stdin().is_terminal()),
        ("standard output", io::stdout().is_terminal()),
    ] {
        if !is_terminal {
            return Err(TerminalError::NotATerminal { stream });
        }
    }
    Ok(())
}

/// The size in cells, within what is sane; 80x24 when the terminal does not know.
pub fn size() -> Size {
    let (width, height) = terminal::size().unwrap_or((80, 24));
    Size {
        width: width.clamp(1, MAX_SIZE.width),
        height: height.clamp(1, MAX_SIZE.height),
    }
}

/// The window as the kernel knows it.
fn window() -> Window {
    let known = terminal::window_size().unwrap_or(terminal::WindowSize {
        rows: 0,
        columns: 0,
        width: 0,
        height: 0,
    });
    Window {
        columns: known.columns,
        rows: known.rows,
        width: known.width,
        height: known.height,
    }
}

/// Writes the questions and collects what comes back until the last question is
/// answered or the time is up. Never leaves a reader behind that could eat keys.
fn ask(environment: &Environment) -> io::Result<(Replies, Vec<u8>)> {
    let stdin = io::stdin();
    let raw = rustix::termios::tcgetattr(&stdin)?;
    let mut timed = raw.clone();
    // A read returns after a tenth of a second even when nothing came.
    timed.special_codes[SpecialCodeIndex::VMIN] = 0;
    timed.special_codes[SpecialCodeIndex::VTIME] = 1;
    rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &timed)?;
    let mut replies = Replies {
        tmux: environment.in_tmux.then(probe::ask_tmux).flatten(),
        ..Replies::default()
    };
    let mut unread = Vec::new();
    let outcome = (|| {
        write_all(probe::questions(environment, replies.tmux.as_ref()).as_bytes())?;
        let start = std::time::Instant::now();
        // tmux answers the last question itself, before the terminal around it has
        // answered the one that was passed through.
        let is_passed = replies
            .tmux
            .as_ref()
            .is_some_and(|tmux| tmux.passes_through);
        let mut chunk = [0; 1024];
        let is_done = |replies: &Replies| replies.is_complete && (replies.kitty || !is_passed);
        while !is_done(&replies) && start.elapsed() < probe::DEADLINE {
            match rustix::io::read(&stdin, &mut chunk) {
                Ok(read) => unread.extend_from_slice(&chunk[..read]),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
            replies.take_from(&mut unread);
        }
        Ok(())
    })();
    rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
    outcome.map(|()| (replies, unread))
}

/// Restores the terminal before a panic's message, if the panic ends the program:
/// one in a worker is caught there and must not disturb the screen.
fn install_panic_hook(borrowed: &Arc<Borrowed>) {
    let borrowed = Arc::downgrade(borrowed);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        match borrowed.upgrade() {
            Some(borrowed) if borrowed.is_held.load(Ordering::SeqCst) => {
                if thread::current().id() != borrowed.owner {
                    tracing::error!("caught in a worker: {info}");
                    return;
                }
                borrowed.release();
            }
            _ => {}
        }
        default(info);
    }));
}
