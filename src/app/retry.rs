//! When to try again what a fault kept from being written: soon at first, then less
//! and less often.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(5);

/// When the next attempt is due. Times count from the start of the session.
#[derive(Debug, Default)]
pub struct Retry {
    due: Option<Duration>,
    pause: Duration,
}

impl Retry {
    /// An attempt failed. Several that fail before the next one count once.
    pub fn failed(&mut self, now: Duration) {
        if self.due.is_none() {
            self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
            self.due = Some(now + self.pause);
        }
    }

    /// The fault is gone.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether it is time; the next one waits for a failure.
    pub fn tick(&mut self, now: Duration) -> bool {
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due {
            self.due = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_the_fault() {
        let mut retry = Retry::default();
        let mut now = Duration::from_secs(100);
        assert!(!retry.tick(now));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            retry.failed(now);
            retry.failed(now + Duration::from_secs(1));
            let due = retry.due().unwrap();
            pauses.push(due.as_secs() - now.as_secs());
            assert!(!retry.tick(now));
            assert!(retry.tick(due));
            assert!(!retry.tick(due), "one attempt");
            now = due;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        retry.failed(now);
        retry.reset();
        assert_eq!(retry.due(), None);
        retry.failed(now);
        assert_eq!(retry.due(), Some(now + SHORTEST));
    }
}
