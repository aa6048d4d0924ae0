//! A vector in two levels of shared parts: a copy of it costs nothing, and changing
//! one element of a copy clones one part of each level.
//!
//! A flat vector of `Arc`s would not do: copying it touches the counter of every
//! element, which for a million media is most of a millisecond in cache misses.

use std::sync::Arc;

const GROUP: usize = 64;

#[derive(Clone)]
pub struct Shared<T> {
    groups: Arc<Vec<Arc<Vec<Arc<T>>>>>,
    /// What stands where nothing was written yet.
    empty: Arc<Vec<Arc<T>>>,
}

impl<T: Clone + Default> Default for Shared<T> {
    fn default() -> Self {
        Self {
            groups: Arc::default(),
            empty: Arc::new(vec![Arc::default(); GROUP]),
        }
    }
}

impl<T: Clone> Shared<T> {
    pub fn get(&self, index: usize) -> Option<&T> {
        let part = self.groups.get(index / GROUP)?.get(index % GROUP)?;
        Some(part)
    }

    /// The element to change; everything up to it comes into being.
    #[expect(clippy::indexing_slicing, reason = "grown to that length before")]
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        let groups = Arc::make_mut(&mut self.groups);
        if groups.len() <= index / GROUP {
            groups.resize(index / GROUP + 1, Arc::clone(&self.empty));
        }
        let group = Arc::make_mut(&mut groups[index / GROUP]);
        Arc::make_mut(&mut group[index % GROUP])
    }

    /// The elements that were written, and some beside them, with their places.
    pub fn written(&self) -> impl Iterator<Item = (usize, &T)> {
        let groups = self.groups.iter().enumerate();
        groups
            .filter(|(_, group)| !Arc::ptr_eq(group, &self.empty))
            .flat_map(|(place, group)| {
                let first = place * GROUP;
                (first..).zip(group.iter().map(AsRef::as_ref))
            })
    }

    /// All elements in order, those never written included.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.groups
            .iter()
            .flat_map(|group| group.iter().map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut one: Shared<u32> = Shared::default();
        *one.get_mut(1000) = 7;
        let two = one.clone();
        *one.get_mut(1000) = 8;
        *one.get_mut(3) = 9;
        assert_eq!((two.get(1000), two.get(3)), (Some(&7), Some(&0)));
        assert_eq!((one.get(1000), one.get(3)), (Some(&8), Some(&9)));
        assert_eq!(one.get(5000), None);
        assert_eq!(one.iter().sum::<u32>(), 17);
    }
}
