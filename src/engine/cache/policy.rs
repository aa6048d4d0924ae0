//! How long entries of each family are good for, and in which tiers they lie.

use std::{collections::BTreeMap, time::Duration};

use super::key::Family;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Where entries lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process alone: what other processes number otherwise, and what is
    /// made faster than it is read from a disk.
    Memory,
    /// In memory and behind it.
    Both,
    /// Behind memory alone: what is large, and what must be the same for all.
    Behind,
}

/// What is done with entries of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `None`: until it makes room.
    pub ttl: Option<Duration>,
    /// As [`Self::ttl`], for the answer that there is none.
    pub negative_ttl: Option<Duration>,
    pub place: Place,
}

/// The policy of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Other times to live than those built in.
    pub ttl: BTreeMap<Family, Duration>,
}

impl Policies {
    pub fn of(&self, family: Family) -> Policy {
        let ttl = self
            .ttl
            .get(&family)
            .copied()
            .unwrap_or_else(|| default_ttl(family));
        Policy {
            ttl: (!ttl.is_zero()).then_some(ttl),
            negative_ttl: Some(negative_ttl(family).min(if ttl.is_zero() {
                Duration::MAX
            } else {
                ttl
            })),
            place: match family {
                Family::Media | Family::Search | Family::Analysis | Family::Suggest => {
                    Place::Memory
                }
                Family::Thumb | Family::Project | Family::Source => Place::Both,
                Family::Lowres | Family::Status | Family::Counter | Family::Lock => Place::Behind,
            },
        }
    }
}

/// How long an entry of a family lives unless the configuration says otherwise.
pub fn default_ttl(family: Family) -> Duration {
    Duration::from_secs(match family {
        // They go with their original; this only clears what nobody looks at.
        Family::Thumb | Family::Lowres => 30 * DAY,
        Family::Media | Family::Suggest => HOUR,
        Family::Project => 10 * MINUTE,
        Family::Search => 30 * MINUTE,
        Family::Analysis => DAY,
        Family::Status => 5 * MINUTE,
        Family::Source | Family::Counter => 7 * DAY,
        Family::Lock => MINUTE / 2,
    })
}

/// As [`default_ttl`], for the answer that there is none.
fn negative_ttl(family: Family) -> Duration {
    match family {
        // A site is asked at the rate it allows, and seldom learns of an old picture.
        Family::Source => default_ttl(family),
        _ => Duration::from_secs(MINUTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_time_counts_and_zero_means_for_ever() {
        let mut policies = Policies::default();
        assert_eq!(
            policies.of(Family::Search).ttl,
            Some(Duration::from_mins(30))
        );
        policies.ttl.insert(Family::Search, Duration::from_secs(5));
        let search = policies.of(Family::Search);
        assert_eq!(search.ttl, Some(Duration::from_secs(5)));
        assert_eq!(search.negative_ttl, search.ttl, "never longer than a find");
        policies.ttl.insert(Family::Thumb, Duration::ZERO);
        let thumb = policies.of(Family::Thumb);
        assert_eq!(thumb.ttl, None);
        assert_eq!(thumb.negative_ttl, Some(Duration::from_mins(1)));
    }
}
