//! The terminal as a borrowed thing: raw mode and the alternate screen behind a
//! guard that gives everything back, also when the program panics.
//!
//! What the terminal can do is judged in [`probe`].

use std::{
    io::{self, IsTerminal},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use crossterm::{
    cursor, event,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::layout::{Position, Rect, Size};
use rustix::termios::{OptionalActions, SpecialCodeIndex};

use super::{
    image::delete_picture,
    paint::Dialect,
    probe::{self, Capabilities, Environment, Graphics, Replies, Window},
    reader::parse::{Parser, Said},
    surface::Surface,
    writer::Writer,
};

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

/// Past std's own buffer, which would split a frame at its newlines.
pub fn write_all(mut bytes: &[u8]) -> io::Result<()> {
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
    tmux_depth: u8,
    /// Must stand still before anybody else writes.
    writer: OnceLock<Writer>,
    owner: ThreadId,
}

/// How long a writer that hangs may keep the terminal from being given back.
const PATIENCE: Duration = Duration::from_millis(300);

impl Borrowed {
    /// Gives the terminal back as it was. Safe to call twice.
    fn release(&self) {
        if !self.is_held.swap(false, Ordering::SeqCst) {
            return;
        }
        if let Some(writer) = self.writer.get()
            && !writer.pause(PATIENCE)
        {
            tracing::warn!("the terminal does not read; it is given back all the same");
        }
        // The pen is where the last frame left it.
        let mut bytes = b"\x1b[m".to_vec();
        let ids =
            std::mem::take(&mut *self.pictures.lock().unwrap_or_else(PoisonError::into_inner));
        for id in ids {
            bytes.extend(delete_picture(id, self.tmux_depth));
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

/// The terminal in our hands. Dropping it gives it back.
pub struct Session {
    pub surface: Surface,
    pub environment: Environment,
    pub capabilities: Capabilities,
    mouse: bool,
    borrowed: Arc<Borrowed>,
}

impl Session {
    /// Takes the terminal: raw mode, alternate screen, and a panic hook that gives
    /// it back first. What it can do is not known yet: see [`Session::adopt`].
    pub fn start(
        graphics: Option<Graphics>,
        tmux_depth: u8,
        mouse: bool,
    ) -> Result<Self, TerminalError> {
        check_streams()?;
        let environment = Environment::from_process().in_tmux_of(tmux_depth);
        if environment.term == "dumb" {
            return Err(TerminalError::Dumb(environment.term));
        }
        let borrowed = Arc::new(Borrowed {
            is_held: AtomicBool::new(true),
            keyboard: AtomicBool::new(false),
            pictures: Arc::default(),
            tmux_depth: environment.tmux_depth,
            writer: OnceLock::new(),
            owner: thread::current().id(),
        });
        terminal::enable_raw_mode()?;
        install_panic_hook(&borrowed);
        // What can be said before the terminal has said anything.
        let capabilities = probe::decide(&Replies::default(), &environment, window(), graphics);
        let surface = Surface::new(
            Rect::from((Position::ORIGIN, size())),
            Dialect {
                erases_in_color: !environment.in_screen,
                repeats: capabilities.repeats(),
                repeats_placeholders: capabilities.repeats_placeholders(),
            },
        );
        let session = Self {
            surface,
            environment,
            capabilities,
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

    /// Has everything go through this writer, which must not write while the
    /// terminal is lent to somebody else.
    pub fn attach(&self, writer: Writer) {
        // There is one for each session.
        let _ = self.borrowed.writer.set(writer);
    }

    /// Goes on with what the terminal turned out to be.
    pub fn adopt(&mut self, capabilities: Capabilities, writer: &Writer) -> io::Result<()> {
        self.capabilities = capabilities;
        self.surface.dialect.repeats = self.capabilities.repeats();
        self.surface.dialect.repeats_placeholders = self.capabilities.repeats_placeholders();
        if self.capabilities.keyboard && !self.borrowed.keyboard.swap(true, Ordering::SeqCst) {
            let mut bytes = Vec::new();
            push_keyboard(&mut bytes)?;
            writer.say(&bytes);
        }
        writer.set_pace(self.capabilities.pace());
        Ok(())
    }

    /// Gives the terminal back for a while: to an editor, or when suspended.
    pub fn leave(&self) {
        self.borrowed.release();
    }

    /// Takes the terminal again after [`Session::leave`]; everything must be redrawn.
    pub fn resume(&mut self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        self.borrowed.is_held.store(true, Ordering::SeqCst);
        self.enter()?;
        if let Some(writer) = self.borrowed.writer.get() {
            writer.resume();
        }
        self.resize();
        Ok(())
    }

    /// Lets go without writing to the terminal: it is gone.
    pub fn abandon(&self) {
        self.borrowed.is_held.store(false, Ordering::SeqCst);
    }

    /// Takes over the terminal's present size and forgets what was drawn.
    pub fn resize(&mut self) {
        self.capabilities.resize(window());
        self.surface.reset(Rect::from((Position::ORIGIN, size())));
    }

    fn enter(&self) -> io::Result<()> {
        let mut output = Vec::new();
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
            push_keyboard(&mut output)?;
            self.borrowed.keyboard.store(true, Ordering::SeqCst);
        }
        write_all(&output)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.borrowed.release();
    }
}

/// Asks the terminal what it can do and gives it back: for `tagloupe doctor`.
pub fn diagnose(graphics: Option<Graphics>, tmux_depth: u8) -> Result<Capabilities, TerminalError> {
    check_streams()?;
    let environment = Environment::from_process().in_tmux_of(tmux_depth);
    terminal::enable_raw_mode()?;
    let asked = ask(&environment);
    terminal::disable_raw_mode()?;
    Ok(probe::decide(&asked?, &environment, window(), graphics))
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
pub fn window() -> Window {
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

/// Has keys told apart that are one to older terminals, such as Ctrl-i and Tab.
fn push_keyboard(output: &mut Vec<u8>) -> io::Result<()> {
    let flags = event::KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
    crossterm::queue!(output, event::PushKeyboardEnhancementFlags(flags))
}

/// Writes the questions and waits for what comes back until all is answered or the
/// time is up. For a report; a session asks without waiting.
fn ask(environment: &Environment) -> io::Result<Replies> {
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
    let outcome = (|| {
        write_all(probe::questions(environment, replies.tmux.as_ref()).as_bytes())?;
        let start = std::time::Instant::now();
        let mut parser = Parser::default();
        let mut chunk = [0; 1024];
        while !replies.are_complete() && start.elapsed() < probe::DEADLINE {
            let count = match rustix::io::read(&stdin, &mut chunk) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => 0,
                Err(error) => return Err(error.into()),
            };
            parser.feed(&chunk[..count], &mut |said| match said {
                Said::Answer(answer) => replies.hear(&answer),
                Said::Status => replies.hear(b"\x1b[0n"),
                // Keys typed meanwhile have nowhere to go.
                Said::Event(_) => {}
            });
        }
        Ok(())
    })();
    rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
    outcome.map(|()| replies)
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
