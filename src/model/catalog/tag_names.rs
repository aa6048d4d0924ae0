//! The names of tags by number, to be kept apart from all else.

use super::shared::Shared;
use crate::model::tag::TagName;

const CHUNK: usize = 64;

/// The names of the tags of one catalog by their numbers. A copy costs nothing and
/// keeps nothing else of the catalog in memory.
#[derive(Clone, Default)]
pub struct TagNames {
    chunks: Shared<Vec<TagName>>,
    len: usize,
}

impl TagNames {
    /// How many there are; numbers run from 0.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no tag was ever seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name that has a number.
    pub fn get(&self, number: u32) -> Option<&TagName> {
        let number = number as usize;
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    /// All names in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &TagName> {
        self.chunks.iter().flatten()
    }

    /// Gives a name the next number.
    pub(super) fn push(&mut self, name: TagName) {
        self.chunks.get_mut(self.len / CHUNK).push(name);
        self.len += 1;
    }
}

/// How many, not which.
impl std::fmt::Debug for TagNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TagNames")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
