//! The cache as the monitor shows it: what the engine told last.

use super::message::Effect;
use crate::engine::cache::stats::Stats;

/// The state of the panel; it stands in the place of the monitor's list.
#[derive(Clone, Debug, Default)]
pub struct CachePanel {
    pub is_open: bool,
    /// `None` until the first answer.
    pub stats: Option<Box<Stats>>,
    /// The second in which it was asked last.
    asked: u64,
}

impl CachePanel {
    /// Opens or closes it.
    pub fn toggle(&mut self, effects: &mut Vec<Effect>) {
        self.is_open = !self.is_open;
        if self.is_open {
            effects.push(Effect::AskCache);
        }
    }

    /// Asks again, once a second while it is seen.
    pub fn tick(&mut self, second: u64, effects: &mut Vec<Effect>) {
        if self.is_open && second > self.asked {
            self.asked = second;
            effects.push(Effect::AskCache);
        }
    }

    /// Takes an answer; says whether it differs from what is shown.
    pub fn receive(&mut self, stats: Box<Stats>) -> bool {
        if self.stats.as_ref() == Some(&stats) {
            return false;
        }
        self.stats = Some(stats);
        true
    }
}
