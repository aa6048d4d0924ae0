//! The signals that concern the screen.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that concern the screen.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    stop: Signal,
    resume: Signal,
    resize: Signal,
}

/// What a signal asks for.
pub(super) enum Asked {
    Leave,
    Suspend,
    Resume,
    Resize,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
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

    pub(super) async fn next(&mut self) -> Asked {
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
