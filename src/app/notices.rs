//! What the program says: one notice at a time in the status line, for a while,
//! and all of them in the log.

use std::{collections::VecDeque, time::Duration};

use crate::{engine::event::Level, model::text::display_text};

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
    pub fn say(&mut self, level: Level, text: &str, now: super::message::Now) {
        let shown = if level == Level::Info {
            SHOWN
        } else {
            SHOWN_LOUD
        };
        let notice = Notice {
            level,
            text: display_text(text).into_owned(),
            unix: now.unix,
            expires: now.elapsed + shown,
        };
        if self.log.len() == MAX_LOG {
            self.log.pop_front();
        }
        self.log.push_back(notice.clone());
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.level < Level::Error || level == Level::Error)
        {
            self.current = Some(notice);
        }
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
