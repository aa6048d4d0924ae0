//! The loop of a session: what woke it, what it does about it, and the next frame.
//!
//! Invariant: a key press is drawn at once, everything else waits for the next frame;
//! a turn never waits for anything.

mod terminal_side;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep_until};

use super::{
    Ending, Opener, Options, Start,
    image::Pictures,
    input::Mouse,
    inquiry::Inquiry,
    load_theme,
    probe::Graphics,
    reader::{Heard, Reader},
    screen::Screen,
    signals::{Asked, Signals},
    terminal::{self, Session, TerminalError},
    theme::Theme,
    wanted_graphics, wanted_quality,
    writer::{Frame, Writer, window::Pace},
};
use crate::app::{
    App,
    message::{Effect, Message, Now},
    runtime::Runtime,
};

/// A frame this short arrives in one piece: nothing need hold it together.
const ONE_PACKET: usize = 512;
/// The least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(16);
/// A turn of the loop that takes longer is logged.
const SLOW_TURN: Duration = Duration::from_millis(50);

/// The least time between two words on how fast the link is.
const LINK_PAUSE: Duration = Duration::from_secs(1);

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

pub(super) struct Loop {
    pub(super) app: App,
    /// `None` while it is asked whether the folder is to become a library.
    pub(super) runtime: Option<Runtime>,
    opener: Option<Opener>,
    pub(super) session: Session,
    writer: Writer,
    pub(super) screen: Screen,
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
    pub(super) fn new(
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

    pub(super) async fn run(&mut self) -> io::Result<Ending> {
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
        if text.len() > ONE_PACKET || !drawn.parts.commands.is_empty() {
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

/// The next thing the engine says, which is nothing while there is none.
async fn next_message(runtime: &mut Option<Runtime>) -> Option<Message> {
    match runtime {
        Some(runtime) => runtime.next().await,
        None => std::future::pending().await,
    }
}

/// Panics on the thread of the screen when `TAGLOUPE_FAULT=panic`: how a test sees
/// that the terminal is given back. Not part of a release build.
#[cfg(debug_assertions)]
fn planned_fault() {
    let fault = std::env::var_os("TAGLOUPE_FAULT").unwrap_or_default();
    assert_ne!(fault, "panic", "planned fault");
}
