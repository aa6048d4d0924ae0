//! What a scan found, packed: some sixty bytes for a medium, where its id, its path and
//! the paths of its sidecars as texts of their own would be six times as much. Who looks
//! through a million files has them all in memory until he knows which are new.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    layout::Layout,
    scan::{long_id, short_id},
    shelf::{Spot, stem},
};
use crate::model::id::MediaId;

/// A medium that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub id: MediaId,
    pub spot: Spot,
    /// There is no original, only a JSON file that may be the sidecar of one.
    pub is_orphan: bool,
}

/// Bits of [`Item::what`]; the lowest are those of the sidecars that are there, in the
/// order in which [`Spot::new`] names them.
const SIDECARS: usize = 3;
const SHARES_STEM: u8 = 1 << 3;
const IS_ORPHAN: u8 = 1 << 4;
/// The id begins where the file name does, and ends before the extension.
const ID_FROM_NAME: u8 = 1 << 5;
const ID_WITHOUT_EXTENSION: u8 = 1 << 6;

/// Bytes of text that lie together.
const PART: usize = 1 << 20;

/// Where the path of a medium lies, or that of the sidecar of an orphan.
#[derive(Clone, Copy, Debug)]
struct Item {
    part: u32,
    start: u32,
    length: u32,
    what: u8,
}

/// Media as they are found, folder by folder.
#[derive(Debug, Default)]
pub(super) struct Spots {
    items: Vec<Item>,
    texts: Texts,
}

/// All paths, one behind the other.
#[derive(Debug, Default)]
struct Texts(Vec<String>);

impl Texts {
    fn push(&mut self, folder: &str, name: &str, what: u8) -> Item {
        let length = folder.len() + name.len();
        let is_full = |part: &String| part.len() + length > PART;
        if self.0.last().is_none_or(is_full) {
            self.0.push(String::with_capacity(PART.max(length)));
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut item = Item {
            part: number(self.0.len() - 1),
            start: 0,
            length: number(length),
            what,
        };
        if let Some(part) = self.0.last_mut() {
            item.start = number(part.len());
            part.push_str(folder);
            part.push_str(name);
        }
        item
    }

    /// The text of a medium, and the path of its original.
    fn of(&self, item: &Item) -> (&str, &str) {
        let (start, length) = (item.start as usize, item.length as usize);
        let part = self.0.get(item.part as usize);
        let text = part.and_then(|part| part.get(start..start + length));
        let text = text.unwrap_or_default();
        let is_orphan = item.what & IS_ORPHAN != 0;
        (text, if is_orphan { stem(text) } else { text })
    }
}

impl Spots {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// An original in a folder (with a `/` at the end, unless it is the root), and
    /// which of its sidecars are there, as [`Spot::new`] names them.
    pub fn push(
        &mut self,
        folder: &str,
        name: &str,
        has_sidecar: impl IntoIterator<Item = bool>,
        shares_stem: bool,
    ) {
        let mut what = if shares_stem { SHARES_STEM } else { 0 };
        for (place, is_there) in has_sidecar.into_iter().take(SIDECARS).enumerate() {
            what |= u8::from(is_there) << place;
        }
        self.items.push(self.texts.push(folder, name, what));
    }

    /// A sidecar in a folder that may be one without an original.
    pub fn push_orphan(&mut self, folder: &str, sidecar: &str) {
        let item = self.texts.push(folder, sidecar, IS_ORPHAN);
        self.items.push(item);
    }

    /// Gives ids: the name without extension, with it where several share one, and
    /// the whole path where even that is not unique (one name in two buckets).
    pub fn with_ids(self, layout: &Layout) -> FoundMedia {
        let Self { mut items, texts } = self;
        // They come nearly in order, which makes this cheap.
        items.sort_by(|a, b| texts.of(a).1.cmp(texts.of(b).1));
        let forms = |item: &Item| {
            let (_, path) = texts.of(item);
            [short_id(layout, path), long_id(layout, path)]
        };
        // Nearly all are unique: only those whose hash is not are counted.
        let hash = |form: &str| xxh3_64(form.as_bytes());
        let mut hashes: Vec<u64> = items.iter().flat_map(forms).map(hash).collect();
        hashes.sort_unstable();
        let repeated = hashes.array_windows().filter(|[a, b]| a == b);
        let repeated: HashSet<u64> = repeated.map(|[hash, _]| *hash).collect();
        drop(hashes);
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for form in items.iter().flat_map(forms) {
            if repeated.contains(&hash(form)) {
                *counts.entry(form).or_default() += 1;
            }
        }
        for item in &mut items {
            let [short, long] = forms(item);
            // A name without extension counts for both forms.
            let once = if short == long { 2 } else { 1 };
            let is_unique = |form: &str| counts.get(form).is_none_or(|count| *count == once);
            let (_, path) = texts.of(item);
            let from_name = if long.len() < path.len() {
                ID_FROM_NAME
            } else {
                0
            };
            if is_unique(short) {
                item.what |= from_name | ID_WITHOUT_EXTENSION;
            } else if is_unique(long) {
                item.what |= from_name;
            }
        }
        FoundMedia { items, texts }
    }
}

/// All media that a scan found, in order of their paths.
#[derive(Debug)]
pub(super) struct FoundMedia {
    items: Vec<Item>,
    texts: Texts,
}

impl FoundMedia {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The path of the original at a place.
    pub fn path(&self, place: usize) -> Option<&str> {
        let item = self.items.get(place)?;
        Some(self.texts.of(item).1)
    }

    /// How many come first whose paths are no larger than one.
    pub fn up_to(&self, last: &str) -> usize {
        let is_before = |item: &Item| self.texts.of(item).1 <= last;
        self.items.partition_point(is_before)
    }

    /// How many from a place on have smaller paths than one: those that stand before it
    /// where both go through all paths in order.
    pub fn between(&self, place: usize, path: &str) -> usize {
        let rest = self.items.get(place..).unwrap_or_default().iter();
        rest.take_while(|item| self.texts.of(item).1 < path).count()
    }

    /// The medium at a place; `None` behind the last, or when its name is no id, which
    /// none is that comes from a path.
    pub fn get(&self, place: usize) -> Option<Found> {
        let item = self.items.get(place)?;
        let (text, path) = self.texts.of(item);
        let is = |bit: u8| item.what & bit != 0;
        let name = path.rsplit('/').next().filter(|_| is(ID_FROM_NAME));
        let id = name.unwrap_or(path);
        let id = if is(ID_WITHOUT_EXTENSION) {
            stem(id)
        } else {
            id
        };
        let mut spot = Spot::new(path, &[], false);
        if is(IS_ORPHAN) {
            spot.sidecars = vec![text.to_owned()];
        } else {
            let mut place = 0;
            spot.sidecars.retain(|_| {
                place += 1;
                is(1 << (place - 1))
            });
        }
        spot.shares_stem = is(SHARES_STEM);
        Some(Found {
            id: id.parse().ok()?,
            spot,
            is_orphan: is(IS_ORPHAN),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Found> {
        (0..self.len()).filter_map(|place| self.get(place))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::storage::layout::LayoutKind;

    /// A medium as it was pushed: folder, name, sidecars, and whether it shares its stem
    /// or is an orphan.
    type Pushed = (String, String, [bool; SIDECARS], bool, bool);

    /// What comes out when all texts are kept and all ids are counted.
    fn expected(layout: &Layout, pushed: &[Pushed]) -> Vec<Found> {
        let mut spots: Vec<(Spot, bool)> = pushed
            .iter()
            .map(|(folder, name, has_sidecar, shares_stem, is_orphan)| {
                let path = format!("{folder}{name}");
                if *is_orphan {
                    let mut spot = Spot::new(stem(&path), &[], false);
                    spot.sidecars = vec![path];
                    return (spot, true);
                }
                let mut spot = Spot::new(&path, &[], false);
                let sidecars = spot.sidecars.into_iter().zip(has_sidecar);
                let sidecars = sidecars.filter(|(_, is_there)| **is_there);
                spot.sidecars = sidecars.map(|(sidecar, _)| sidecar).collect();
                spot.shares_stem = *shares_stem;
                (spot, false)
            })
            .collect();
        spots.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let forms: Vec<[String; 2]> = spots
            .iter()
            .map(|(spot, _)| [short_id(layout, &spot.path), long_id(layout, &spot.path)])
            .map(|forms| forms.map(str::to_owned))
            .collect();
        let count = |id: &String| forms.iter().filter(|forms| forms.contains(id)).count();
        let found = spots.into_iter().zip(&forms);
        found
            .map(|((spot, is_orphan), forms)| {
                let unique = forms.iter().find(|form| count(form) == 1);
                let id = unique.unwrap_or(&spot.path).parse().unwrap();
                Found {
                    id,
                    spot,
                    is_orphan,
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back_in_order_with_its_id(
            kind in prop::sample::select(
                vec![LayoutKind::Bucketed, LayoutKind::Flat, LayoutKind::InPlace],
            ),
            pushed in prop::collection::btree_map(
                ("(|[ab]/|a/[bc]/|ünï/)", "[ab]{1,2}(\\.[bé])?(\\.png|\\.jpg)"),
                (any::<[bool; SIDECARS]>(), any::<bool>(), prop::bool::weighted(0.1)),
                0..30,
            ),
        ) {
            let layout = Layout::new(PathBuf::from("/library"), kind);
            let pushed: Vec<Pushed> = pushed
                .into_iter()
                .map(|((folder, name), (has_sidecar, shares_stem, is_orphan))| {
                    let name = if is_orphan { format!("{name}.json") } else { name };
                    (folder, name, has_sidecar, shares_stem, is_orphan)
                })
                .collect();
            let mut spots = Spots::default();
            for (folder, name, has_sidecar, shares_stem, is_orphan) in &pushed {
                if *is_orphan {
                    spots.push_orphan(folder, name);
                } else {
                    spots.push(folder, name, *has_sidecar, *shares_stem);
                }
            }
            let media = spots.with_ids(&layout);
            let expected = expected(&layout, &pushed);
            prop_assert_eq!(media.iter().collect::<Vec<_>>(), expected.clone());
            for (place, found) in expected.iter().enumerate() {
                prop_assert_eq!(media.path(place), Some(found.spot.path.as_str()));
                let before = expected.iter().filter(|other| other.spot.path < found.spot.path);
                prop_assert_eq!(media.between(0, &found.spot.path), before.count());
                let up_to = expected.iter().filter(|other| other.spot.path <= found.spot.path);
                prop_assert_eq!(media.up_to(&found.spot.path), up_to.count());
            }
            prop_assert_eq!(media.get(expected.len()), None);
        }
    }

    #[test]
    fn more_text_than_lies_together_comes_back() {
        let layout = Layout::new(PathBuf::from("/library"), LayoutKind::Flat);
        let name = |n: usize| format!("{n:0200}.png");
        let count = 2 * PART / 200;
        let mut spots = Spots::default();
        for n in (0..count).rev() {
            spots.push("images/", &name(n), [false; SIDECARS], false);
        }
        let media = spots.with_ids(&layout);
        assert!(media.texts.0.len() > 2);
        let paths = (0..media.len()).filter_map(|place| media.path(place));
        assert!(paths.eq((0..count).map(|n| format!("images/{}", name(n)))));
    }
}
