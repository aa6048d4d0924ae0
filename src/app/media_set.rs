//! A set of media, as small and quick as a selection of a whole library has to be: it
//! is asked and copied on the thread that draws.

use roaring::RoaringBitmap;

use crate::model::id::MediaKey;

/// Media, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaSet(RoaringBitmap);

impl MediaSet {
    pub fn contains(&self, key: MediaKey) -> bool {
        self.0.contains(key.0)
    }

    /// Says whether it is new.
    pub fn insert(&mut self, key: MediaKey) -> bool {
        self.0.insert(key.0)
    }

    /// Says whether it was there.
    pub fn remove(&mut self, key: MediaKey) -> bool {
        self.0.remove(key.0)
    }

    pub fn len(&self) -> usize {
        usize::try_from(self.0.len()).unwrap_or(usize::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The numbers of their keys.
    pub fn numbers(&self) -> &RoaringBitmap {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = MediaKey> {
        self.0.iter().map(MediaKey)
    }

    /// Those that the other one lacks.
    pub fn without(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Takes in all of the other one.
    pub fn unite(&mut self, other: &Self) {
        self.0 |= &other.0;
    }
}

impl Extend<MediaKey> for MediaSet {
    fn extend<T: IntoIterator<Item = MediaKey>>(&mut self, keys: T) {
        self.0.extend(keys.into_iter().map(|key| key.0));
    }
}

impl FromIterator<MediaKey> for MediaSet {
    fn from_iter<T: IntoIterator<Item = MediaKey>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| key.0).collect())
    }
}
