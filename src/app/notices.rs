//! What the program says: one notice at a time in the status line, for a while,
//! and all of them in the log.

use std::{collections::VecDeque, time::Duration};

use super::message::Now;
use crate::{
    engine::event::Level,
    model::{entry::format_time, text::display_text},
};

/// How long a notice stays.
const SHOWN: Duration = Duration::from_secs(3);
/// How long a warning or an error stays.
const SHOWN_LOUD: Duration = Duration::from_secs(8);
/// Notices that the log keeps.
const MAX_LOG: usize = 1000;

/// A notice; its text is one line and safe to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub level: Level,
    pub text: String,
    /// When it was said, seconds since 1970.
    pub unix: i64,
    /// When it leaves the status line, since the start of the session.
    pub expires: Duration,
}

/// The notices of a session.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// What stands in the status line now.
    pub current: Option<Notice>,
    /// Oldest first.
    pub log: VecDeque<Notice>,
}

impl Notices {
    /// Shows and logs a notice. An error in the status line gives way to errors only.
    pub fn say(&mut self, level: Level, text: &str, now: Now) {
        self.log(level, text, now);
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.level < Level::Error || level == Level::Error)
        {
            self.current = self.log.back().cloned();
        }
    }

    /// Logs without showing.
    pub fn log(&mut self, level: Level, text: &str, now: Now) {
        let shown = if level == Level::Info {
            SHOWN
        } else {
            SHOWN_LOUD
        };
        if self.log.len() == MAX_LOG {
            self.log.pop_front();
        }
        self.log.push_back(Notice {
            level,
            text: display_text(text).into_owned(),
            unix: now.unix,
            expires: now.elapsed + shown,
        });
    }

    /// The log as lines, newest first.
    pub fn lines(&self) -> Vec<String> {
        self.log
            .iter()
            .rev()
            .map(|notice| {
                let time = format_time(notice.unix);
                let time = time.get(11..19).unwrap_or_default();
                let level = match notice.level {
                    Level::Info => "     ",
                    Level::Warning => "warn ",
                    Level::Error => "error",
                };
                format!("{time}  {level}  {}", notice.text)
            })
            .collect()
    }

    /// Takes an expired notice away; says whether there was one.
    pub fn tick(&mut self, elapsed: Duration) -> bool {
        let expired = self
            .current
            .as_ref()
            .is_some_and(|notice| notice.expires <= elapsed);
        if expired {
            self.current = None;
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            elapsed: Duration::from_secs(seconds),
            unix: 60,
        }
    }

    #[test]
    fn notices_go_and_stay_in_the_log() {
        let mut notices = Notices::default();
        notices.say(Level::Info, "saved\n3", at(0));
        assert!(!notices.tick(Duration::from_secs(2)));
        assert!(notices.tick(Duration::from_secs(3)));
        assert_eq!(notices.current, None);
        assert_eq!(notices.lines(), ["00:01:00         saved\u{fffd}3"]);
    }

    #[test]
    fn an_error_is_not_hidden_by_small_talk() {
        let mut notices = Notices::default();
        notices.say(Level::Error, "disk full", at(0));
        notices.say(Level::Info, "saved 2", at(1));
        assert_eq!(notices.current.as_ref().unwrap().text, "disk full");
        notices.say(Level::Error, "still full", at(2));
        assert_eq!(notices.current.as_ref().unwrap().text, "still full");
        for n in 0..2000 {
            notices.log(Level::Warning, "x", at(n));
        }
        assert_eq!(notices.log.len(), MAX_LOG);
    }
}
