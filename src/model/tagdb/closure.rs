//! What follows from what: which stored tags count as a tag, and why.

use std::collections::{HashSet, VecDeque};

use super::TagDb;
use crate::model::tag::TagName;

/// One step from a stored tag to the one it counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The stored tag is another name of this one.
    Alias(TagName),
    /// The one before implies this one.
    Implies(TagName),
}

/// The stored tags that count as one tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// Itself, and whatever implies it.
    pub names: Vec<TagName>,
    /// Other names of these, of whatever category.
    pub aliases: Vec<String>,
}

impl TagDb {
    /// Whether one tag implies another, directly or not.
    pub(super) fn implies(&self, from: &TagName, to: &TagName) -> bool {
        self.counting_as(to)
            .names
            .iter()
            .skip(1)
            .any(|name| name == from)
    }

    /// The stored tags that count as this one; the first name is itself.
    pub fn counting_as(&self, name: &TagName) -> Counting {
        let mut counting = Counting::default();
        let mut seen = HashSet::from([name]);
        let mut next = VecDeque::from([name]);
        while let Some(name) = next.pop_front() {
            counting.names.push(name.clone());
            let aliases = self.row(name).map_or(&[][..], |row| &row.aliases);
            let own = aliases
                .iter()
                .filter(|alias| self.alias(alias) == Some(name));
            counting.aliases.extend(own.cloned());
            for implying in self.implied_by.get(name).into_iter().flatten() {
                if seen.insert(implying) {
                    next.push_back(implying);
                }
            }
        }
        counting
    }

    /// All that a tag implies, the nearest first, each with the tag it follows from.
    pub fn implied(&self, name: &TagName) -> Vec<(TagName, TagName)> {
        let mut found: Vec<(TagName, TagName)> = Vec::new();
        let mut seen = HashSet::from([name.clone()]);
        let mut next = VecDeque::from([name.clone()]);
        while let Some(name) = next.pop_front() {
            for implied in self.implies.get(&name).into_iter().flatten() {
                if seen.insert(implied.clone()) {
                    next.push_back(implied.clone());
                    found.push((implied.clone(), name.clone()));
                }
            }
        }
        found
    }

    /// How a stored tag comes to count as another one; empty when it is that one,
    /// `None` when it does not.
    pub fn why(&self, stored: &TagName, wanted: &TagName) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut from = stored.clone();
        if from != *wanted {
            let resolved = self.resolve(stored);
            if resolved != from {
                steps.push(Step::Alias(resolved.clone()));
                from = resolved;
            }
        }
        if from == *wanted {
            return Some(steps);
        }
        let implied = self.implied(&from);
        let mut chain = Vec::new();
        let mut at = wanted;
        while *at != from {
            let (_, before) = implied.iter().find(|(name, _)| name == at)?;
            chain.push(Step::Implies(at.clone()));
            at = before;
        }
        chain.reverse();
        steps.extend(chain);
        Some(steps)
    }
}
