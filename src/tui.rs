//! The screen: the event loop of a session, and everything it draws with.
//!
//! One thread owns the state, the terminal and the loop. A key press is drawn at
//! once; everything else waits for the next frame, and nothing happens while
//! nothing changes. Whatever takes time happens elsewhere and arrives as a message.

mod event_loop;
pub mod glyph;
pub mod image;
pub mod input;
pub mod inquiry;
pub mod layout;
pub mod paint;
pub mod pane;
pub mod probe;
pub mod reader;
pub mod screen;
mod signals;
pub mod surface;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use self::{
    event_loop::Loop,
    image::Quality,
    probe::Graphics,
    terminal::{Session, TerminalError},
    theme::Theme,
};
use crate::app::{
    App, LibraryInfo,
    config::{self, PictureQuality, ViewState},
    message::{LayoutKind, Message},
    runtime::Runtime,
};

/// How long leaving may take: when the user quits, and when the system wants it.
const QUIT_LIMIT: Duration = Duration::from_secs(5);
const TERMINATE_LIMIT: Duration = Duration::from_millis(1500);

/// How the screen is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with the user's themes.
    pub themes: Option<PathBuf>,
    /// Whether the mouse is left to the terminal.
    pub no_mouse: bool,
    /// Seconds since 1970.
    pub clock: fn() -> i64,
}

/// What a session begins with.
pub enum Start {
    /// A library that is open.
    Library(Box<Runtime>),
    /// A folder that is none: the session asks, and opens it with this.
    Folder(Opener),
}

/// Makes the folder that was given a library and opens it; or says why not.
pub type Opener = Box<dyn FnOnce(LayoutKind) -> Result<Opened, String>>;

/// A library that was made while the screen was there.
pub struct Opened {
    pub library: LibraryInfo,
    pub runtime: Runtime,
    /// How the screen was set up for it before.
    pub view: ViewState,
}

/// What ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user quit.
    Quit,
    /// The user did not want the folder to become a library, or it could not.
    Declined,
    /// A signal, or the terminal went away.
    Terminated,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub by: Ending,
    /// Whether everything in hand was finished in time.
    pub is_complete: bool,
    /// Media with edits that did not reach their files.
    pub unsaved: usize,
}

/// Runs the session until it ends.
///
/// # Errors
/// When the terminal cannot be used; then nothing was started.
pub fn run(app: App, start: Start, options: &Options) -> Result<Ended, TerminalError> {
    let session = Session::start(
        wanted_graphics(app.config.graphics),
        app.config.tmux_depth,
        !options.no_mouse,
    )?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let context = tokio.enter();
    let mut event_loop = Loop::new(app, start, session, options)?;
    let by = tokio.block_on(event_loop.run())?;
    let Loop {
        mut app,
        runtime,
        mut session,
        screen,
        ..
    } = event_loop;
    let limit = match by {
        Ending::Quit | Ending::Declined => QUIT_LIMIT,
        Ending::Terminated => TERMINATE_LIMIT,
    };
    let mut said = Vec::new();
    let is_complete = match runtime {
        Some(runtime) => tokio.block_on(runtime.shutdown(limit, &mut said)),
        None => true,
    };
    for event in said {
        // Only what it says of saved edits matters now; there is nobody to act.
        app.update(Message::Engine(event));
    }
    drop(screen);
    if by == Ending::Terminated {
        let_go(&mut session);
    }
    // Something may still hang in a system call; the process must end all the same.
    drop(context);
    tokio.shutdown_background();
    Ok(Ended {
        by,
        is_complete,
        unsaved: app.unsaved(),
    })
}

/// Asks the terminal what it can do and describes it, line by line.
///
/// # Errors
/// When there is no terminal, or it cannot be asked.
pub fn describe(
    graphics: config::Graphics,
    tmux_depth: u8,
) -> Result<Vec<(&'static str, String)>, TerminalError> {
    terminal::diagnose(wanted_graphics(graphics), tmux_depth)
        .map(|capabilities| capabilities.report())
}

fn wanted_graphics(graphics: config::Graphics) -> Option<Graphics> {
    match graphics {
        config::Graphics::Auto => None,
        config::Graphics::Kitty => Some(Graphics::Kitty),
        config::Graphics::KittyDirect => Some(Graphics::KittyDirect),
        config::Graphics::Sixel => Some(Graphics::Sixel),
        config::Graphics::Iterm2 => Some(Graphics::Iterm2),
        config::Graphics::HalfBlocks => Some(Graphics::Halfblocks),
        config::Graphics::None => Some(Graphics::None),
    }
}

fn wanted_quality(quality: PictureQuality) -> Option<Quality> {
    match quality {
        PictureQuality::Auto => None,
        PictureQuality::Preview => Some(Quality::Preview),
        PictureQuality::Balanced => Some(Quality::Balanced),
        PictureQuality::Lossless => Some(Quality::Lossless),
    }
}

/// Gives back the terminal if it is still there. The process must end even when
/// nobody reads the terminal any more.
fn let_go(session: &mut Session) {
    if rustix::termios::tcgetattr(io::stdin()).is_err() {
        session.abandon();
        return;
    }
    let watchdog = thread::Builder::new().name("leave".to_owned()).spawn(|| {
        thread::sleep(Duration::from_millis(400));
        std::process::exit(130);
    });
    if watchdog.is_err() {
        session.abandon();
    } else {
        session.leave();
    }
}

/// The theme of that name; `auto` follows the terminal's background.
fn load_theme(name: &str, folder: Option<&Path>, session: &Session) -> (Theme, Vec<String>) {
    let capabilities = &session.capabilities;
    let name = match name {
        "auto" | "" if capabilities.colors == probe::ColorDepth::Ansi16 => "ansi16",
        "auto" | "" if capabilities.is_light() == Some(true) => "light",
        "auto" | "" => "dark",
        name => name,
    };
    Theme::load(name, folder, capabilities.colors)
}
