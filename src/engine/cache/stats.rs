//! What a cache did and holds, and the counters behind it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::key::Family;

/// What was done with entries of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub hits: u64,
    pub misses: u64,
    pub sets: u64,
    pub deletes: u64,
    pub errors: u64,
    /// Computations that were not done because another one was under way.
    pub coalesced: u64,
}

impl Tally {
    pub fn requests(&self) -> u64 {
        self.hits + self.misses
    }

    /// Of 1; 0 when nobody asked.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio for people: fifteen digits are enough"
    )]
    pub fn hit_ratio(&self) -> f64 {
        match self.requests() {
            0 => 0.0,
            requests => self.hits as f64 / requests as f64,
        }
    }

    /// As `86.02%`.
    pub fn hit_rate(&self) -> String {
        format!("{:.2}%", self.hit_ratio() * 100.0)
    }

    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.sets += other.sets;
        self.deletes += other.deletes;
        self.errors += other.errors;
        self.coalesced += other.coalesced;
    }

    /// Each figure, or that of the other where it is more.
    pub fn at_least(&self, other: &Self) -> Self {
        let mut more = *self;
        for ((name, own), (_, other)) in self.figures().into_iter().zip(other.figures()) {
            more.set(name, own.max(other));
        }
        more
    }

    /// What was added since an earlier state.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(earlier.hits),
            misses: self.misses.saturating_sub(earlier.misses),
            sets: self.sets.saturating_sub(earlier.sets),
            deletes: self.deletes.saturating_sub(earlier.deletes),
            errors: self.errors.saturating_sub(earlier.errors),
            coalesced: self.coalesced.saturating_sub(earlier.coalesced),
        }
    }

    /// The figures with their names, as counters keep them.
    pub fn figures(&self) -> [(&'static str, u64); 6] {
        [
            ("hits", self.hits),
            ("misses", self.misses),
            ("sets", self.sets),
            ("deletes", self.deletes),
            ("errors", self.errors),
            ("coalesced", self.coalesced),
        ]
    }

    /// Sets a figure by its name.
    pub fn set(&mut self, name: &str, figure: u64) {
        match name {
            "hits" => self.hits = figure,
            "misses" => self.misses = figure,
            "sets" => self.sets = figure,
            "deletes" => self.deletes = figure,
            "errors" => self.errors = figure,
            "coalesced" => self.coalesced = figure,
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Counter {
    hits: AtomicU64,
    misses: AtomicU64,
    sets: AtomicU64,
    deletes: AtomicU64,
    errors: AtomicU64,
    coalesced: AtomicU64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    Hit,
    Miss,
    Set,
    Delete,
    Error,
    Coalesced,
}

/// The counters of one process.
#[derive(Debug)]
pub struct Counters([Counter; Family::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Counters {
    pub fn note(&self, family: Family, what: Happening, times: u64) {
        let counter = &self.0[family as usize];
        let counter = match what {
            Happening::Hit => &counter.hits,
            Happening::Miss => &counter.misses,
            Happening::Set => &counter.sets,
            Happening::Delete => &counter.deletes,
            Happening::Error => &counter.errors,
            Happening::Coalesced => &counter.coalesced,
        };
        counter.fetch_add(times, Ordering::Relaxed);
    }

    pub fn of(&self, family: Family) -> Tally {
        let counter = &self.0[family as usize];
        Tally {
            hits: counter.hits.load(Ordering::Relaxed),
            misses: counter.misses.load(Ordering::Relaxed),
            sets: counter.sets.load(Ordering::Relaxed),
            deletes: counter.deletes.load(Ordering::Relaxed),
            errors: counter.errors.load(Ordering::Relaxed),
            coalesced: counter.coalesced.load(Ordering::Relaxed),
        }
    }
}

/// One tier as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    pub name: &'static str,
    /// Whether it is asked; with why not.
    pub state: Result<(), String>,
    pub entries: u64,
    pub bytes: u64,
    /// 0: unlimited.
    pub limit_bytes: u64,
    pub evicted: u64,
}

impl Tier {
    /// How full it is, of 100; 0 when it is unlimited.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio for people: fifteen digits are enough"
    )]
    pub fn usage_percent(&self) -> f64 {
        match self.limit_bytes {
            0 => 0.0,
            limit => self.bytes as f64 / limit as f64 * 100.0,
        }
    }
}

/// A cache as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The backend behind memory, or `memory`, or `off`.
    pub backend: &'static str,
    /// Why it is that one.
    pub reason: String,
    /// The first one asked first.
    pub tiers: Vec<Tier>,
    /// What this process did.
    pub tally: Tally,
    /// The same by the first word of the keys, those that were used.
    pub families: Vec<(Family, Tally)>,
    /// What all processes that ever shared the cache did, as far as they have told.
    pub everyone: Tally,
    /// Keys in the database behind.
    pub db_size: u64,
    /// How often Redis was lost.
    pub lost: u64,
}

impl Stats {
    /// The tier that holds most and lasts longest.
    pub fn last_tier(&self) -> Option<&Tier> {
        let usable = self.tiers.iter().rev().find(|tier| tier.state.is_ok());
        usable.or(self.tiers.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_as_people_write_them() {
        let tally = Tally {
            hits: 80,
            misses: 13,
            ..Tally::default()
        };
        assert_eq!(tally.hit_rate(), "86.02%");
        assert_eq!(Tally::default().hit_rate(), "0.00%");
    }

    #[test]
    fn figures_keep_their_names() {
        let tally = Tally {
            hits: 1,
            misses: 2,
            sets: 3,
            deletes: 4,
            errors: 5,
            coalesced: 6,
        };
        let mut back = Tally::default();
        for (name, figure) in tally.figures() {
            back.set(name, figure);
        }
        assert_eq!(back, tally);
        assert_eq!(tally.since(&tally), Tally::default());
    }

    #[test]
    fn families_are_counted_apart() {
        let counters = Counters::default();
        for family in Family::ALL {
            counters.note(family, Happening::Hit, 2);
        }
        counters.note(Family::Lock, Happening::Miss, 1);
        assert_eq!(counters.of(Family::Thumb).hits, 2);
        assert_eq!(counters.of(Family::Lock).misses, 1);
    }
}
