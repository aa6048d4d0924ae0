//! How often each tag occurs on some media.

use std::thread;

use crate::model::{catalog::Catalog, id::MediaKey};

/// Media between two looks at whether the answer is still wanted.
const STEP: usize = 1_024;
/// So many are counted by two threads.
const MANY: usize = 16_384;

/// Counts the tags of media that differ, by the numbers of the tags; `None` when
/// nobody waits for it any more.
pub fn tag_counts(
    catalog: &Catalog,
    keys: &[MediaKey],
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<u32>> {
    let bits = Bits::of(keys);
    if let Some(bits) = &bits
        && keys.len() > catalog.len() / 2
    {
        // Of most media: all that there are, but those of the others.
        let others: Vec<MediaKey> = catalog.keys().filter(|key| !bits.has(*key)).collect();
        let others = each(catalog, &others, is_cancelled)?;
        let all = catalog.tag_sizes().map(|(_, all)| all);
        let counts = all.zip(others);
        return Some(
            counts
                .map(|(all, other)| all.saturating_sub(other))
                .collect(),
        );
    }
    match bits {
        // Side by side as they lie in memory.
        Some(bits) if keys.len() >= MANY => {
            each(catalog, &bits.keys().collect::<Vec<_>>(), is_cancelled)
        }
        _ => each(catalog, keys, is_cancelled),
    }
}

/// A set of media, one bit each.
struct Bits(Vec<u64>);

impl Bits {
    /// `None` when they lie too far apart for that.
    fn of(keys: &[MediaKey]) -> Option<Self> {
        let last = keys.iter().map(|key| key.0 as usize).max()?;
        if last > 64 * keys.len() + 4_096 {
            return None;
        }
        let mut words = vec![0_u64; last / 64 + 1];
        for key in keys {
            if let Some(word) = words.get_mut(key.0 as usize / 64) {
                *word |= 1 << (key.0 % 64);
            }
        }
        Some(Self(words))
    }

    fn has(&self, key: MediaKey) -> bool {
        let word = self.0.get(key.0 as usize / 64);
        word.is_some_and(|word| word >> (key.0 % 64) & 1 == 1)
    }

    /// The media, ascending.
    fn keys(&self) -> impl Iterator<Item = MediaKey> {
        (0_u32..).zip(&self.0).flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(MediaKey(place * 64 + bit))
            })
        })
    }
}

fn each(
    catalog: &Catalog,
    keys: &[MediaKey],
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<u32>> {
    if keys.len() < MANY {
        return one_by_one(catalog, keys, is_cancelled);
    }
    let (first, second) = keys.split_at(keys.len() / 2);
    thread::scope(|scope| {
        let second = scope.spawn(|| one_by_one(catalog, second, is_cancelled));
        let mut counts = one_by_one(catalog, first, is_cancelled)?;
        let more = second.join().ok()??;
        for (count, more) in counts.iter_mut().zip(more) {
            *count += more;
        }
        Some(counts)
    })
}

fn one_by_one(
    catalog: &Catalog,
    keys: &[MediaKey],
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<u32>> {
    let (_, known) = catalog.vocabulary();
    let mut counts = vec![0_u32; known];
    for (n, key) in keys.iter().enumerate() {
        if n % STEP == 0 && is_cancelled() {
            return None;
        }
        let Some(record) = catalog.record(*key) else {
            continue;
        };
        for number in record.tag_numbers() {
            if let Some(count) = counts.get_mut(number as usize) {
                *count += 1;
            }
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        entry::{Entry, FileFacts},
        media::Media,
        tag::Tag,
    };

    #[test]
    fn a_few_most_and_many_are_counted_alike() {
        let entries = (0..40_000_u32).map(|key| {
            let names = (0..8).filter(|n| key >> n & 1 == 1);
            let media = Media {
                tags: names.map(|n| Tag::new("", &format!("t{n}"))).collect(),
                ..Media::default()
            };
            let id = format!("m{key}").parse().unwrap();
            Entry::new(MediaKey(key * 2), id, &FileFacts::default(), &media)
        });
        let catalog = Catalog::from_entries(entries.collect(), true);
        let keys: Vec<MediaKey> = catalog.default_order().to_vec();
        for count in [0, 7, 19_000, 21_000, 39_999, 40_000] {
            let some = &keys[..count];
            let counts = tag_counts(&catalog, some, &|| false).unwrap();
            for (number, count) in (0..).zip(counts) {
                let (_, media) = catalog.tag_at(number).unwrap();
                let expected = some.iter().filter(|key| media.contains(key.0)).count();
                assert_eq!(count as usize, expected);
            }
        }
        assert_eq!(tag_counts(&catalog, &keys, &|| true), Some(all(&catalog)));
        assert_eq!(tag_counts(&catalog, &keys[..18_000], &|| true), None);
    }

    fn all(catalog: &Catalog) -> Vec<u32> {
        catalog.tag_sizes().map(|(_, count)| count).collect()
    }
}
