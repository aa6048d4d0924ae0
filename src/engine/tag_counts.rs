//! How often each tag occurs on some media.

use std::thread;

use crate::model::{catalog::Catalog, id::MediaKey};

/// Media between two looks at whether the answer is still wanted.
const STEP: usize = 1_024;
/// So many are counted by more than one thread.
const MANY: usize = 16_384;
const THREADS: usize = 2;

/// Counts the tags of media that differ, by the numbers of the tags; `None` when
/// nobody waits for it any more.
pub fn tag_counts(
    catalog: &Catalog,
    keys: &[MediaKey],
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<u64>> {
    let Some(others) = others(catalog, keys) else {
        let counts = each(catalog, keys, is_cancelled)?;
        return Some(counts.into_iter().map(u64::from).collect());
    };
    // Of most media: all that there are, but those of the others.
    let others = each(catalog, &others, is_cancelled)?;
    let all = (0..).map_while(|number| Some(catalog.tag_at(number)?.1.len()));
    Some(
        others
            .into_iter()
            .zip(all)
            .map(|(others, all)| all.saturating_sub(u64::from(others)))
            .collect(),
    )
}

/// All other media, when they are fewer.
fn others(catalog: &Catalog, keys: &[MediaKey]) -> Option<Vec<MediaKey>> {
    let last = catalog.all().max()? as usize;
    if keys.len() <= catalog.len() / 2 || last > 4 * catalog.len() + 4_096 {
        return None;
    }
    let mut is_among = vec![false; last + 1];
    for key in keys {
        // What is not there any more has no tags to leave out.
        if let Some(is_among) = is_among.get_mut(key.0 as usize) {
            *is_among = true;
        }
    }
    let is_other = |key: &MediaKey| is_among.get(key.0 as usize) == Some(&false);
    Some(catalog.keys().filter(is_other).collect())
}

fn each(
    catalog: &Catalog,
    keys: &[MediaKey],
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<u32>> {
    if keys.len() < MANY {
        return one_by_one(catalog, keys, is_cancelled);
    }
    thread::scope(|scope| {
        let parts: Vec<_> = keys
            .chunks(keys.len().div_ceil(THREADS))
            .map(|part| scope.spawn(|| one_by_one(catalog, part, is_cancelled)))
            .collect();
        let mut counts: Vec<u32> = Vec::new();
        for part in parts {
            let part = part.join().ok()??;
            counts.resize(part.len(), 0);
            for (count, more) in counts.iter_mut().zip(part) {
                *count += more;
            }
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
                assert_eq!(count, expected as u64);
            }
        }
        assert_eq!(tag_counts(&catalog, &keys, &|| true), Some(all(&catalog)));
        assert_eq!(tag_counts(&catalog, &keys[..18_000], &|| true), None);
    }

    fn all(catalog: &Catalog) -> Vec<u64> {
        (0..8)
            .map(|number| catalog.tag_at(number).unwrap().1.len())
            .collect()
    }
}
