//! The tags of a catalog: a number, a name and a bitmap of media each.
//!
//! Invariant: a number is never given to another name; a tag that is used no more
//! keeps its number and has an empty bitmap.

use std::{collections::HashMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    lookup::{Lookup, Quick, hash},
    shared::Shared,
};
use crate::model::{entry::Entry, tag::TagName};

const CHUNK: usize = 64;

#[derive(Clone)]
struct Slot {
    name: Arc<TagName>,
    media: Arc<RoaringBitmap>,
}

#[derive(Clone, Default)]
pub struct Tags {
    slots: Shared<Vec<Slot>>,
    len: usize,
    /// From the hash of a value to the numbers of the tags that have it.
    by_value: Lookup,
    categories: Arc<Vec<Arc<str>>>,
}

impl Tags {
    /// Numbers all tags of entries that are sorted by key, frequent ones first, and
    /// gives the numbers of every entry's tags, one entry after the other.
    #[expect(clippy::indexing_slicing, reason = "all indices were counted here")]
    pub fn build(entries: &[Entry]) -> (Self, Vec<u32>) {
        let mut numbers: HashMap<&TagName, u32, Quick> = HashMap::default();
        let mut names: Vec<&TagName> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        let mut used = Vec::with_capacity(entries.iter().map(|entry| entry.tags.len()).sum());
        for name in entries.iter().flat_map(|entry| &entry.tags) {
            let number = *numbers.entry(name).or_insert_with(|| {
                names.push(name);
                counts.push(0);
                u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
            });
            counts[number as usize] += 1;
            used.push(number);
        }
        let mut by_count: Vec<u32> = (0..).take(names.len()).collect();
        by_count.sort_by_key(|number| std::cmp::Reverse(counts[*number as usize]));
        let mut rank = vec![0_u32; names.len()];
        for (place, number) in (0..).zip(&by_count) {
            rank[*number as usize] = place;
        }
        for number in &mut used {
            *number = rank[*number as usize];
        }

        // The keys of every tag, one tag after the other.
        let mut starts = Vec::with_capacity(names.len());
        let mut total = 0;
        for number in &by_count {
            starts.push(total);
            total += counts[*number as usize];
        }
        let mut keys = vec![0_u32; total];
        let mut ends = starts.clone();
        let mut next = used.iter();
        for entry in entries {
            for number in next.by_ref().take(entry.tags.len()) {
                let end = &mut ends[*number as usize];
                keys[*end] = entry.key.0;
                *end += 1;
            }
        }

        let mut tags = Self::default();
        let mut pairs = Vec::with_capacity(names.len());
        for (place, number) in by_count.iter().enumerate() {
            let name = names[*number as usize];
            let media = keys[starts[place]..ends[place]].iter().copied();
            pairs.push((hash(&name.value), tags.len));
            tags.push(
                Arc::new(name.clone()),
                RoaringBitmap::from_sorted_iter(media.clone()).unwrap_or_else(|_| media.collect()),
            );
        }
        tags.by_value = Lookup::build(
            pairs
                .into_iter()
                .map(|(hash, place)| (hash, u32::try_from(place).unwrap_or(u32::MAX)))
                .collect(),
        );
        (tags, used)
    }

    /// How many numbers were given.
    pub fn len(&self) -> usize {
        self.len
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots
            .get(number as usize / CHUNK)?
            .get(number as usize % CHUNK)
    }

    pub fn name(&self, number: u32) -> Option<&TagName> {
        self.slot(number).map(|slot| slot.name.as_ref())
    }

    pub fn media(&self, number: u32) -> Option<&Arc<RoaringBitmap>> {
        self.slot(number).map(|slot| &slot.media)
    }

    /// The numbers of the tags with this value, of any category.
    pub fn with_value<'a, 'v>(&'a self, value: &'v str) -> impl Iterator<Item = u32> + use<'a, 'v> {
        self.by_value
            .find(hash(value))
            .filter(move |number| self.name(*number).is_some_and(|name| name.value == value))
    }

    pub fn find(&self, name: &TagName) -> Option<u32> {
        self.with_value(&name.value)
            .find(|number| self.name(*number) == Some(name))
    }

    /// The number of a tag; a new name gets the next one.
    pub fn number(&mut self, name: &TagName) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = u32::try_from(self.len).unwrap_or(u32::MAX);
        self.by_value.insert(hash(&name.value), number);
        self.push(Arc::new(name.clone()), RoaringBitmap::new());
        number
    }

    fn push(&mut self, name: Arc<TagName>, media: RoaringBitmap) {
        if !self
            .categories
            .iter()
            .any(|known| **known == *name.category)
        {
            Arc::make_mut(&mut self.categories).push(name.category.as_str().into());
        }
        self.slots.get_mut(self.len / CHUNK).push(Slot {
            name,
            media: Arc::new(media),
        });
        self.len += 1;
    }

    pub fn set(&mut self, number: u32, key: u32, is_on: bool) {
        let chunk = self.slots.get_mut(number as usize / CHUNK);
        if let Some(slot) = chunk.get_mut(number as usize % CHUNK) {
            let media = Arc::make_mut(&mut slot.media);
            if is_on {
                media.insert(key);
            } else {
                media.remove(key);
            }
        }
    }

    /// Every name that has a number, with its bitmap, in the order of the numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&TagName, &Arc<RoaringBitmap>)> {
        self.slots
            .iter()
            .flatten()
            .map(|slot| (slot.name.as_ref(), &slot.media))
    }

    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.categories.iter().map(AsRef::as_ref)
    }
}
