//! The tags of a catalog: a number, a name and a bitmap of media each.
//!
//! Invariant: a number is never given to another name; a tag that is used no more
//! keeps its number and has an empty bitmap.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use roaring::RoaringBitmap;

use super::{
    lookup::{Lookup, Quick, hash},
    shared::Shared,
    tag_names::TagNames,
};
use crate::model::{entry::Entry, tag::TagName};

const CHUNK: usize = 64;

/// What lies side by side for all tags, because counting them looks at each.
#[derive(Clone)]
struct Slot {
    media: Tagged,
    /// How many media there are, so that nobody has to look for them.
    count: u32,
    /// The place of its category among those that there are.
    category: u32,
}

/// Changes of one set that are noted before it is copied.
const NOTED: usize = 1_024;

/// The media of a tag. An edit of many pictures touches most of the tags there are,
/// and copying all their sets would take longer than all else: what changes is noted,
/// and whoever asks for the set first puts it together.
#[derive(Clone)]
struct Tagged {
    base: Arc<RoaringBitmap>,
    /// Nothing for nearly all of the many tags there are.
    later: Option<Box<Later>>,
}

/// What changed since the base of a set was made.
#[derive(Clone, Default)]
struct Later {
    /// Keys, and whether they are in the set now; later ones count.
    changes: Vec<(u32, bool)>,
    /// The base with the changes, once somebody asked.
    now: OnceLock<Arc<RoaringBitmap>>,
}

impl Tagged {
    fn new(media: RoaringBitmap) -> Self {
        Self {
            base: Arc::new(media),
            later: None,
        }
    }

    fn now(&self) -> &Arc<RoaringBitmap> {
        let Some(later) = &self.later else {
            return &self.base;
        };
        later.now.get_or_init(|| {
            let mut media = RoaringBitmap::clone(&self.base);
            for (key, is_on) in &later.changes {
                put(&mut media, *key, *is_on);
            }
            Arc::new(media)
        })
    }

    fn set(&mut self, key: u32, is_on: bool) {
        let changes = self.later.as_ref().map_or(0, |later| later.changes.len());
        if changes == NOTED {
            self.now();
        }
        if let Some(now) = self.later.as_mut().and_then(|later| later.now.take()) {
            self.base = now;
            self.later = None;
        }
        match Arc::get_mut(&mut self.base) {
            Some(media) if self.later.is_none() => put(media, key, is_on),
            _ => {
                let later = self.later.get_or_insert_default();
                later.changes.push((key, is_on));
            }
        }
    }
}

fn put(media: &mut RoaringBitmap, key: u32, is_on: bool) {
    if is_on {
        media.insert(key);
    } else {
        media.remove(key);
    }
}

/// The names met so far, while a catalog is built.
///
/// A map from names would follow four pointers for each of some millions of tags;
/// here a look-up touches its slot and one short text.
#[derive(Default)]
pub struct Names {
    /// From a hash, or the next free one after it, to a number.
    numbers: HashMap<u64, u32, Quick>,
    /// Category and value of each number, and where the next one starts.
    text: String,
    ends: Vec<usize>,
    first: Vec<TagName>,
}

impl Names {
    /// The number of a name; a new one gets the next.
    pub fn number(&mut self, name: TagName) -> u32 {
        let mut hash = Quick::default().hash_one(&name);
        while let Some(number) = self.numbers.get(&hash).copied() {
            if self.is(number, &name) {
                return number;
            }
            hash = hash.wrapping_add(1);
        }
        let number = u32::try_from(self.first.len()).unwrap_or(u32::MAX);
        self.numbers.insert(hash, number);
        self.text.push_str(&name.category);
        self.text.push_str(&name.value);
        self.ends.push(self.text.len());
        self.first.push(name);
        number
    }

    /// The names, in the order of their numbers.
    pub fn into_names(self) -> impl Iterator<Item = TagName> {
        self.first.into_iter()
    }

    fn is(&self, number: u32, name: &TagName) -> bool {
        let number = number as usize;
        let start = match number.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let end = self.ends.get(number).copied().unwrap_or_default();
        let known = self.text.as_bytes().get(start..end).unwrap_or_default();
        // Of two names with the same text, one has a longer category.
        known.len() == name.category.len() + name.value.len()
            && known.ends_with(name.value.as_bytes())
            && known.starts_with(name.category.as_bytes())
            && self
                .first
                .get(number)
                .is_some_and(|first| first.value.len() == name.value.len())
    }
}

/// The numbers of the tags of all entries, one entry after the other.
pub struct Numbers {
    pub numbers: Vec<u32>,
    /// How many of them each entry has.
    pub lengths: Vec<usize>,
}

#[derive(Clone, Default)]
pub struct Tags {
    names: TagNames,
    slots: Shared<Vec<Slot>>,
    /// From the hash of a value to the numbers of the tags that have it.
    by_value: Lookup,
    categories: Arc<Vec<Arc<str>>>,
    /// Made when it is first asked for; may lack the last ones.
    values: OnceLock<Arc<Values>>,
}

/// The values of tags by number, in one text: to look at each costs a look at memory
/// that lies in a row.
struct Values {
    text: String,
    ends: Vec<u32>,
}

impl Tags {
    /// Numbers all tags of entries that are sorted by key, frequent ones first, and
    /// gives the numbers of every entry's tags. Takes the tags out of the entries on
    /// the way: text that was just read is freed at no cost, later it is not.
    #[expect(clippy::indexing_slicing, reason = "all indices were counted here")]
    pub fn build(entries: &mut [Entry]) -> (Self, Numbers) {
        let mut names = Names::default();
        let mut counts: Vec<usize> = Vec::new();
        let mut used = Vec::with_capacity(entries.iter().map(|entry| entry.tags.len()).sum());
        let mut lengths = Vec::with_capacity(entries.len());
        for entry in entries.iter_mut() {
            lengths.push(entry.tags.len());
            for name in std::mem::take(&mut entry.tags) {
                let number = names.number(name);
                if number as usize == counts.len() {
                    counts.push(0);
                }
                counts[number as usize] += 1;
                used.push(number);
            }
        }
        let mut names = names.first;
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
        for (entry, length) in entries.iter().zip(&lengths) {
            for number in next.by_ref().take(*length) {
                let end = &mut ends[*number as usize];
                keys[*end] = entry.key.0;
                *end += 1;
            }
        }

        let mut tags = Self::default();
        let mut pairs = Vec::with_capacity(names.len());
        for (place, number) in by_count.iter().enumerate() {
            let name = std::mem::replace(&mut names[*number as usize], TagName::new("", ""));
            let media = keys[starts[place]..ends[place]].iter().copied();
            pairs.push((hash(&name.value), tags.len()));
            tags.push(
                name,
                RoaringBitmap::from_sorted_iter(media.clone()).unwrap_or_else(|_| media.collect()),
            );
        }
        tags.by_value = Lookup::build(
            pairs
                .into_iter()
                .map(|(hash, place)| (hash, u32::try_from(place).unwrap_or(u32::MAX)))
                .collect(),
        );
        (
            tags,
            Numbers {
                numbers: used,
                lengths,
            },
        )
    }

    /// How many numbers were given.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots
            .get(number as usize / CHUNK)?
            .get(number as usize % CHUNK)
    }

    pub fn name(&self, number: u32) -> Option<&TagName> {
        self.names.get(number)
    }

    pub fn all_names(&self) -> &TagNames {
        &self.names
    }

    pub fn media(&self, number: u32) -> Option<&Arc<RoaringBitmap>> {
        self.slot(number).map(|slot| slot.media.now())
    }

    /// How many media there are.
    pub fn size(&self, number: u32) -> Option<u32> {
        self.slot(number).map(|slot| slot.count)
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
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.by_value.insert(hash(&name.value), number);
        self.push(name.clone(), RoaringBitmap::new());
        number
    }

    /// Tags that have numbers already, in the order of these, to be found by value.
    pub fn restore(names: impl IntoIterator<Item = (TagName, RoaringBitmap)>) -> Self {
        let mut tags = Self::default();
        let mut pairs = Vec::new();
        for (name, media) in names {
            pairs.push((
                hash(&name.value),
                u32::try_from(tags.len()).unwrap_or(u32::MAX),
            ));
            tags.push(name, media);
        }
        tags.by_value = Lookup::build(pairs);
        tags
    }

    fn push(&mut self, name: TagName, media: RoaringBitmap) {
        let mut known = self.categories.iter();
        let place = known.position(|known| **known == *name.category);
        let category = place.unwrap_or_else(|| {
            Arc::make_mut(&mut self.categories).push(name.category.as_str().into());
            self.categories.len() - 1
        });
        self.slots.get_mut(self.len() / CHUNK).push(Slot {
            count: u32::try_from(media.len()).unwrap_or(u32::MAX),
            media: Tagged::new(media),
            category: u32::try_from(category).unwrap_or(u32::MAX),
        });
        self.names.push(name);
    }

    /// Puts a medium into the set of a tag or takes it out; it was not there, or was.
    pub fn set(&mut self, number: u32, key: u32, is_on: bool) {
        let chunk = self.slots.get_mut(number as usize / CHUNK);
        if let Some(slot) = chunk.get_mut(number as usize % CHUNK) {
            slot.media.set(key, is_on);
            slot.count = if is_on {
                slot.count.saturating_add(1)
            } else {
                slot.count.saturating_sub(1)
            };
        }
    }

    /// Of every number the place of its category and how many media there are.
    pub fn sizes(&self) -> impl Iterator<Item = (usize, u32)> {
        let slots = self.slots.iter().flatten();
        slots.map(|slot| (slot.category as usize, slot.count))
    }

    /// The values of all tags, with their numbers.
    pub fn values(&self) -> impl Iterator<Item = (u32, &str)> {
        let values = self.values.get_or_init(|| {
            let mut values = Values {
                text: String::new(),
                ends: Vec::with_capacity(self.len()),
            };
            for name in self.names() {
                values.text.push_str(&name.value);
                let end = u32::try_from(values.text.len()).unwrap_or(u32::MAX);
                values.ends.push(end);
            }
            Arc::new(values)
        });
        let mut start = 0;
        let known = values.ends.iter().map(move |end| {
            let value = values.text.get(start..*end as usize);
            start = *end as usize;
            value.unwrap_or_default()
        });
        let new = (values.ends.len()..self.len()).filter_map(|number| {
            let number = u32::try_from(number).ok()?;
            Some(self.name(number)?.value.as_str())
        });
        (0..).zip(known.chain(new))
    }

    /// Every name that has a number, with its bitmap, in the order of the numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&TagName, &Arc<RoaringBitmap>)> {
        let slots = self.slots.iter().flatten();
        self.names().zip(slots.map(|slot| slot.media.now()))
    }

    /// Every name that has a number, in the order of the numbers.
    pub fn names(&self) -> impl Iterator<Item = &TagName> {
        self.names.iter()
    }

    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.categories.iter().map(AsRef::as_ref)
    }
}
