//! What the loop does with the terminal: what it hears from it, what is asked of it,
//! and how it is lent and taken back.

use std::{io, time::Instant};

use crossterm::{clipboard::CopyToClipboard, event::Event};

use super::Loop;
use crate::{
    app::{
        dialog::Dialog,
        message::{LayoutKind, Level, Message, ScreenEffect},
    },
    tui::{Ending, input, inquiry::Inquiry, load_theme, probe::Graphics, reader::Heard, terminal},
};

impl Loop {
    /// Says what was wrong in a theme file: the first in the status line, all in the log.
    pub(super) fn warn(&mut self, warnings: &[String]) {
        for warning in warnings.iter().rev() {
            tracing::warn!("{warning}");
            self.app.say(Level::Warning, warning);
        }
    }

    pub(super) fn perform_here(&mut self, effect: ScreenEffect) -> io::Result<()> {
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

    pub(super) fn hear(&mut self, heard: Heard) {
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

    /// Goes on with what the terminal has answered by now. At the start that may be
    /// too little, over a long way: the rest is heard when it comes.
    pub(super) fn hear_out(&mut self) {
        let Some(mut inquiry) = self.inquiry.take() else {
            return;
        };
        let is_first = !std::mem::replace(&mut self.has_asked, true);
        let is_answered = inquiry.is_answered();
        if is_answered || !is_first {
            self.reader.listen_for_status(false);
        }
        if !is_first && !is_answered {
            // What is known already stays.
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
            self.app.say(Level::Warning, &reason);
        }
        self.is_dirty = true;
        if !is_answered {
            inquiry.wait_on();
            self.inquiry = Some(inquiry);
        }
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
    pub(super) fn redraw(&mut self) {
        self.session.resize();
        let capabilities = &self.session.capabilities;
        self.screen
            .pictures
            .forget_sent(capabilities, &self.screen.theme);
        self.is_dirty = true;
    }

    /// Gives the terminal to the shell until the user comes back.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.reader.pause();
        self.session.leave();
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        self.come_back()
    }

    pub(super) fn come_back(&mut self) -> io::Result<()> {
        self.session.resume()?;
        self.reader.resume();
        self.redraw();
        Ok(())
    }

    /// Lets the session save what it has to and ends the loop.
    pub(super) fn leave(&mut self) {
        if self.ending.is_none() {
            self.ending = Some(Ending::Terminated);
            self.update(Message::Terminate);
        }
    }
}
