//! Asking the terminal what it can do while the session goes on: the questions go
//! out like any text, the answers come in among the keys, and nobody waits.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::Sender;

use super::{
    probe::{
        self, Capabilities, Environment, Graphics, Replies, Tmux, Window, ask_tmux, questions,
    },
    reader::Heard,
    writer::Writer,
};

/// Questions on their way, and what came of them.
#[derive(Debug)]
pub struct Inquiry {
    environment: Environment,
    replies: Replies,
    until: Instant,
}

impl Inquiry {
    /// Asks. tmux is asked first, which takes a process and is done in a thread: what
    /// it says decides how the terminal around it can be asked.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn begin(
        environment: &Environment,
        writer: &Writer,
        tell: Sender<Heard>,
    ) -> io::Result<Self> {
        if environment.in_tmux {
            let (own, writer) = (environment.clone(), writer.clone());
            thread::Builder::new()
                .name("tmux".to_owned())
                .spawn(move || {
                    let tmux = ask_tmux();
                    let questions = questions(&own, tmux.as_ref());
                    // Nobody listens any more once the session has ended.
                    let _ = tell.blocking_send(Heard::Tmux(tmux));
                    writer.say(questions.as_bytes());
                })?;
        } else {
            writer.say(questions(environment, None).as_bytes());
        }
        Ok(Self {
            environment: environment.clone(),
            replies: Replies::default(),
            until: Instant::now() + probe::DEADLINE,
        })
    }

    pub fn hear(&mut self, answer: &[u8]) {
        self.replies.hear(answer);
    }

    pub fn hear_tmux(&mut self, tmux: Option<Tmux>) {
        self.replies.tmux = tmux;
    }

    /// Whether there is nothing more to wait for.
    pub fn is_over(&self, now: Instant) -> bool {
        self.replies.are_complete() || now >= self.until
    }

    /// Goes on listening for answers that are late.
    pub fn wait_on(&mut self) {
        self.until += probe::LATEST;
    }

    /// Whether all have answered.
    pub fn is_answered(&self) -> bool {
        self.replies.are_complete()
    }

    /// When it is over at the latest.
    pub fn deadline(&self) -> Instant {
        self.until + Duration::from_millis(1)
    }

    /// What follows from the answers so far.
    pub fn decide(&self, window: Window, wanted: Option<Graphics>) -> Capabilities {
        probe::decide(&self.replies, &self.environment, window, wanted)
    }
}
