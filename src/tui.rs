//! The screen: the event loop of a session, and everything it draws with.
//!
//! One thread owns the state, the terminal and the loop. A key press is drawn at
//! once; everything else waits for the next frame, and nothing happens while
//! nothing changes. Whatever takes time happens elsewhere and arrives as a message.

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
pub mod surface;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod writer;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossterm::{clipboard::CopyToClipboard, event::Event};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    time::sleep_until,
};

use crate::app::{
    App, LibraryInfo,
    config::{self, PictureQuality, ViewState},
    dialog::Dialog,
    message::{Effect, LayoutKind, Level, Message, Now, ScreenEffect},
    runtime::Runtime,
};
use image::{Pictures, Quality};
use input::Mouse;
use inquiry::Inquiry;
use probe::Graphics;
use reader::{Heard, Reader};
use screen::Screen;
use terminal::{Session, TerminalError};
use theme::Theme;
use writer::{Frame, Writer, window::Pace};

/// The least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(16);
/// A turn of the loop that takes longer is logged.
const SLOW_TURN: Duration = Duration::from_millis(50);
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

/// Panics on the thread of the screen when `TAGLOUPE_FAULT=panic`: how a test sees
/// that the terminal is given back. Not part of a release build.
#[cfg(debug_assertions)]
fn planned_fault() {
    let fault = std::env::var_os("TAGLOUPE_FAULT").unwrap_or_default();
    assert_ne!(fault, "panic", "planned fault");
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

/// The signals that concern the screen.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    stop: Signal,
    resume: Signal,
    resize: Signal,
}

/// What a signal asks for.
enum Asked {
    Leave,
    Suspend,
    Resume,
    Resize,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            resume: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            resize: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.hangup.recv() => Asked::Leave,
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.quit.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.stop.recv() => Asked::Suspend,
            _ = self.resume.recv() => Asked::Resume,
            _ = self.resize.recv() => Asked::Resize,
        }
    }
}

/// One turn's cause.
enum Turn {
    Signal(Asked),
    Input(Option<Heard>),
    /// The terminal has had time enough to answer.
    Unanswered,
    /// `None`: the engine has nothing more to say.
    Message(Option<Message>),
    PictureReady,
    Frame,
    Deadline,
}

impl Turn {
    fn name(&self) -> &'static str {
        match self {
            Self::Signal(_) => "signal",
            Self::Input(_) => "input",
            Self::Message(Some(Message::Engine(_))) => "engine event",
            Self::Message(_) => "message",
            Self::Unanswered => "unanswered",
            Self::PictureReady => "picture ready",
            Self::Frame => "frame",
            Self::Deadline => "deadline",
        }
    }
}

struct Loop {
    app: App,
    /// `None` while it is asked whether the folder is to become a library.
    runtime: Option<Runtime>,
    opener: Option<Opener>,
    session: Session,
    writer: Writer,
    screen: Screen,
    reader: Reader,
    signals: Signals,
    mouse: Mouse,
    /// Questions to the terminal that are on their way.
    inquiry: Option<Inquiry>,
    /// The first answers have come, or will not: there is something to draw with.
    has_asked: bool,
    /// The user's choice of graphics.
    wanted: Option<Graphics>,
    themes: Option<PathBuf>,
    picture_ready: Arc<Notify>,
    is_dirty: bool,
    /// A frame is due that the writer had no room for.
    is_late: bool,
    link_marked: Option<Instant>,
    last_frame: Instant,
    ending: Option<Ending>,
    /// The engine has nothing more to say.
    has_ended: bool,
    start: Instant,
    clock: fn() -> i64,
}

impl Loop {
    fn new(
        mut app: App,
        start: Start,
        session: Session,
        options: &Options,
    ) -> Result<Self, TerminalError> {
        let picture_ready = Arc::new(Notify::new());
        let (theme, warnings) = load_theme(&app.theme, options.themes.as_deref(), &session);
        let wake = Arc::clone(&picture_ready);
        let wake = move || wake.notify_one();
        let writer = Writer::start(terminal::write_all, wake, Pace::Unlimited)?;
        session.attach(writer.clone());
        let reader = Reader::start(writer.clone())?;
        let inquiry = Inquiry::begin(&session.environment, &writer, reader.tell())?;
        let wake = Arc::clone(&picture_ready);
        let pictures = Pictures::new(
            &session.capabilities,
            wanted_quality(app.config.picture_quality),
            &theme,
            session.pictures(),
            move || wake.notify_one(),
        )?;
        app.themes = Theme::names(options.themes.as_deref());
        let wanted = wanted_graphics(app.config.graphics);
        let (runtime, opener) = match start {
            Start::Library(runtime) => (Some(*runtime), None),
            Start::Folder(opener) => (None, Some(opener)),
        };
        if let Some(runtime) = &runtime {
            pictures.keep_in(runtime.payloads());
        }
        let mut event_loop = Self {
            screen: Screen::new(theme, pictures, session.capabilities.is_utf8),
            app,
            runtime,
            opener,
            session,
            writer,
            reader,
            inquiry: Some(inquiry),
            has_asked: false,
            wanted,
            signals: Signals::new()?,
            mouse: Mouse::default(),
            themes: options.themes.clone(),
            picture_ready,
            is_dirty: true,
            is_late: false,
            link_marked: None,
            last_frame: Instant::now(),
            ending: None,
            has_ended: false,
            start: Instant::now(),
            clock: options.clock,
        };
        event_loop.tick();
        event_loop.warn(&warnings);
        Ok(event_loop)
    }

    async fn run(&mut self) -> io::Result<Ending> {
        self.draw()?;
        #[cfg(debug_assertions)]
        planned_fault();
        loop {
            let turn = self.next().await;
            let (start, name) = (Instant::now(), turn.name());
            if let Err(error) = self.turn(turn) {
                tracing::warn!("cannot write to the terminal: {error}");
                self.leave();
            }
            let took = start.elapsed();
            if took > SLOW_TURN {
                tracing::warn!("a turn of the loop took {} ms: {name}", took.as_millis());
            }
            if let Some(ending) = self.ending.take() {
                return Ok(ending);
            }
        }
    }

    /// Waits for the next thing to do, the most urgent first.
    async fn next(&mut self) -> Turn {
        let frame =
            (self.is_dirty && !self.is_late && self.has_asked).then(|| self.last_frame + FRAME);
        let deadline = self.app.deadline().map(|deadline| {
            // Never twice in the same moment, whatever the session asks for.
            (self.start + deadline).max(Instant::now() + Duration::from_millis(1))
        });
        let asked = self.inquiry.as_ref().map(Inquiry::deadline);
        let at = |time: Option<Instant>| sleep_until(time.unwrap_or_else(Instant::now).into());
        tokio::select! {
            biased;
            asked = self.signals.next() => Turn::Signal(asked),
            heard = self.reader.heard.recv() => Turn::Input(heard),
            () = at(asked), if asked.is_some() => Turn::Unanswered,
            // A frame that is due must not starve while events pour in.
            () = at(frame), if frame.is_some() => Turn::Frame,
            message = next_message(&mut self.runtime), if !self.has_ended => Turn::Message(message),
            () = self.picture_ready.notified() => Turn::PictureReady,
            () = at(deadline), if deadline.is_some() => Turn::Deadline,
        }
    }

    fn turn(&mut self, turn: Turn) -> io::Result<()> {
        self.tick();
        match turn {
            Turn::Signal(Asked::Leave) | Turn::Input(None) => self.leave(),
            Turn::Signal(Asked::Resize) => self.redraw(),
            Turn::Unanswered => self.hear_out(),
            Turn::Signal(Asked::Suspend) => self.suspend()?,
            Turn::Signal(Asked::Resume) => self.come_back()?,
            Turn::Input(Some(heard)) => {
                self.hear(heard);
                // A held key is one frame, not one for each repetition.
                while let Ok(heard) = self.reader.heard.try_recv() {
                    self.hear(heard);
                }
                if self.is_dirty || self.app.take_dirty() {
                    self.draw()?;
                }
            }
            Turn::Message(None) => self.has_ended = true,
            Turn::Message(Some(message)) => {
                self.update(message);
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(8)
                    && let Some(message) = self.runtime.as_mut().and_then(Runtime::try_next)
                {
                    self.update(message);
                }
            }
            Turn::PictureReady => {
                self.is_dirty = true;
                self.is_late = false;
            }
            Turn::Frame => self.draw()?,
            // The tick above was all.
            Turn::Deadline => {}
        }
        if self.runtime.is_none() && self.app.dialogs.is_empty() {
            self.ending.get_or_insert(Ending::Declined);
        }
        self.is_dirty |= self.app.take_dirty();
        Ok(())
    }

    fn tick(&mut self) {
        let now = Now {
            elapsed: self.start.elapsed(),
            unix: (self.clock)(),
        };
        self.update(Message::Tick(now));
    }

    fn update(&mut self, message: Message) {
        let effects = self.app.update(message);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let effect = match (&mut self.runtime, effect) {
                (Some(runtime), effect) => runtime.run(effect),
                (None, Effect::Screen(effect)) => Some(effect),
                // There is no library yet to do it in.
                (None, _) => None,
            };
            if let Some(effect) = effect
                && let Err(error) = self.perform_here(effect)
            {
                tracing::warn!("cannot use the terminal: {error}");
                self.leave();
            }
        }
    }

    /// Says what was wrong in a theme file: the first in the status line, all in the log.
    fn warn(&mut self, warnings: &[String]) {
        for warning in warnings.iter().rev() {
            tracing::warn!("{warning}");
            self.app.say(Level::Warning, warning);
        }
    }

    fn perform_here(&mut self, effect: ScreenEffect) -> io::Result<()> {
        match effect {
            ScreenEffect::Copy(text) => {
                let mut output = Vec::new();
                crossterm::queue!(output, CopyToClipboard::to_clipboard_from(text))?;
                self.writer.say(&output);
            }
            ScreenEffect::Redraw => {
                self.redraw();
                self.ask();
            }
            ScreenEffect::Suspend => self.suspend()?,
            ScreenEffect::Theme(name) => {
                let (theme, warnings) = load_theme(&name, self.themes.as_deref(), &self.session);
                self.screen.theme = theme;
                self.warn(&warnings);
                self.redraw();
            }
            ScreenEffect::Create(kind) => self.open(kind),
            ScreenEffect::Quit => {
                self.ending.get_or_insert(Ending::Quit);
            }
        }
        Ok(())
    }

    /// Makes the folder a library, as the user wants it, and goes on with that.
    fn open(&mut self, kind: LayoutKind) {
        match self.opener.take().map(|open| open(kind)) {
            Some(Ok(opened)) => {
                self.app.library = opened.library;
                self.app.restore(&opened.view);
                self.screen.pictures.keep_in(opened.runtime.payloads());
                self.runtime = Some(opened.runtime);
                self.is_dirty = true;
            }
            Some(Err(reason)) => self.app.ask(Dialog::message("No library", [reason])),
            None => {}
        }
    }

    fn hear(&mut self, heard: Heard) {
        match (heard, &mut self.inquiry) {
            (Heard::Event(event), _) => self.input(event),
            (Heard::Answer(answer), Some(inquiry)) => {
                inquiry.hear(&answer);
                if inquiry.is_over(Instant::now()) {
                    self.hear_out();
                }
            }
            (Heard::Tmux(tmux), Some(inquiry)) => inquiry.hear_tmux(tmux),
            // What nobody asked, or too late to matter.
            (Heard::Answer(_) | Heard::Tmux(_), None) => {}
            (Heard::Gone, _) => self.leave(),
        }
    }

    /// Asks the terminal again what it can do.
    fn ask(&mut self) {
        self.reader.listen_for_status(true);
        let tell = self.reader.tell();
        match Inquiry::begin(&self.session.environment, &self.writer, tell) {
            Ok(inquiry) => self.inquiry = Some(inquiry),
            Err(error) => tracing::warn!("cannot ask the terminal: {error}"),
        }
    }

    /// Goes on with what the terminal has answered by now.
    fn hear_out(&mut self) {
        let Some(inquiry) = self.inquiry.take() else {
            return;
        };
        self.reader.listen_for_status(false);
        let is_first = !std::mem::replace(&mut self.has_asked, true);
        if !is_first && !inquiry.is_answered() {
            // It has answered before, and is only slow now.
            return;
        }
        let capabilities = inquiry.decide(terminal::window(), self.wanted);
        if is_first || capabilities != self.session.capabilities {
            tracing::info!("terminal: {capabilities:?}");
            if let Err(error) = self.session.adopt(capabilities, &self.writer) {
                tracing::warn!("cannot use what the terminal can: {error}");
            }
            let (theme, _) = load_theme(&self.app.theme, self.themes.as_deref(), &self.session);
            self.screen.theme = theme;
            self.redraw();
        }
        let capabilities = &self.session.capabilities;
        if is_first && capabilities.in_tmux && capabilities.graphics == Graphics::Halfblocks {
            // Whether tmux passes pictures on is the user's choice, and to be known.
            let reason = capabilities.reason.clone();
            self.app.say(Level::Info, &reason);
        }
        self.is_dirty = true;
    }

    fn input(&mut self, event: Event) {
        match event {
            Event::Key(key) => {
                if let Some(key) = input::key(&key) {
                    self.update(Message::Key(key));
                }
            }
            Event::Paste(text) => self.update(Message::Paste(text)),
            Event::Mouse(event) => {
                let message = self
                    .mouse
                    .message(&event, &self.screen.hits, Instant::now());
                if let Some(message) = message {
                    self.update(message);
                }
            }
            // Another terminal may be attached to the same tmux now, with no pictures.
            Event::FocusGained if self.session.capabilities.in_tmux => self.redraw(),
            Event::FocusGained | Event::FocusLost | Event::Resize(..) => {}
        }
    }

    /// Forgets what is on the screen and draws everything anew.
    fn redraw(&mut self) {
        self.session.resize();
        let capabilities = &self.session.capabilities;
        self.screen
            .pictures
            .forget_sent(capabilities, &self.screen.theme);
        self.is_dirty = true;
    }

    /// Gives the terminal to the shell until the user comes back.
    fn suspend(&mut self) -> io::Result<()> {
        self.reader.pause();
        self.session.leave();
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        self.come_back()
    }

    fn come_back(&mut self) -> io::Result<()> {
        self.session.resume()?;
        self.reader.resume();
        self.redraw();
        Ok(())
    }

    /// Lets the session save what it has to and ends the loop.
    fn leave(&mut self) {
        if self.ending.is_none() {
            self.ending = Some(Ending::Terminated);
            self.update(Message::Terminate);
        }
    }

    /// Says how fast pictures come while they do, if the way is long enough to notice.
    fn mark_link(&mut self) {
        let link = self.writer.link();
        let is_far = link
            .round_trip
            .is_some_and(|trip| trip >= Duration::from_millis(5));
        let is_due = self.link_marked.is_none_or(|at| at.elapsed() >= LINK_PAUSE);
        if link.is_busy && is_far && is_due {
            self.screen.link = link.mark(self.screen.glyphs().download);
            self.link_marked = Some(Instant::now());
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        if !self.has_asked {
            return Ok(());
        }
        if !self.writer.is_ready() {
            // The link is busy with the frame before: what changes meanwhile becomes
            // one frame, and the writer calls when there is room for it.
            self.is_late = true;
            return Ok(());
        }
        self.is_late = false;
        let area = self.session.surface.area();
        // What the session learns may change what it shows, but not its size again.
        for _ in 0..2 {
            let viewport = self.screen.viewport(&self.app, area);
            if viewport == self.app.viewport {
                break;
            }
            self.update(Message::Viewport(viewport));
        }
        self.mark_link();
        let report = self.writer.hold();
        let surface = &mut self.session.surface;
        if let Some(moved) = self.screen.scroll(&self.app, area)
            && surface.scroll(moved.top, moved.bottom, moved.up)
        {
            self.screen.pictures.scroll(moved);
        }
        let drawn = self.screen.draw(&self.app, surface.buffer(), report);
        for area in drawn.parts.stale {
            surface.forget(area);
        }
        let mut text = surface.finish(drawn.cursor);
        if !text.is_empty() || !drawn.parts.commands.is_empty() {
            text.splice(..0, *b"\x1b[?2026h");
            text.extend(b"\x1b[?2026l");
        }
        self.last_frame = Instant::now();
        self.app.take_dirty();
        self.is_dirty = false;
        self.writer.submit(Frame {
            text,
            commands: drawn.parts.commands,
            parcels: drawn.parts.parcels,
        })
    }
}

/// The least time between two words on how fast the link is.
const LINK_PAUSE: Duration = Duration::from_secs(1);

/// The next thing the engine says, which is nothing while there is none.
async fn next_message(runtime: &mut Option<Runtime>) -> Option<Message> {
    match runtime {
        Some(runtime) => runtime.next().await,
        None => std::future::pending().await,
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
fn load_theme(
    name: &str,
    folder: Option<&std::path::Path>,
    session: &Session,
) -> (Theme, Vec<String>) {
    let capabilities = &session.capabilities;
    let name = match name {
        "auto" | "" if capabilities.colors == probe::ColorDepth::Ansi16 => "ansi16",
        "auto" | "" if capabilities.is_light() == Some(true) => "light",
        "auto" | "" => "dark",
        name => name,
    };
    Theme::load(name, folder, capabilities.colors)
}
