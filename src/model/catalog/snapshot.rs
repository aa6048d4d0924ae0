//! A catalog as a row of frames, and back: what is packed in memory is packed alike
//! in a file, so that nothing has to be read from the index and packed again.
//!
//! Whoever stores the frames sees to it that they come back as they were, and in
//! their order; here no bytes, however wrong, do more than be refused.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{
    Catalog,
    lookup::Lookup,
    next_version,
    order::{Marks, Order, Slot},
    packed::{CHUNK, Chunk, Reader, Writer, flag},
    shared::Shared,
    tags::Tags,
};
use crate::model::{column::Column, id::MediaKey, tag::TagName};

/// Raised whenever frames change, or what is packed in a record, or a hash.
pub const FORMAT: u32 = 4;

/// Chunks of records, tags, pairs of a lookup and places of an order in one frame:
/// some hundreds of kilobytes.
const CHUNKS: usize = 16;
const TAGS: usize = 2_048;
const PAIRS: usize = 32_768;

/// What a frame holds: its first byte.
const RECORDS: u8 = 1;
const NAMES: u8 = 2;
const FLAGS: u8 = 3;
const IDS: u8 = 4;
const MD5S: u8 = 5;
const POSTS: u8 = 6;
const ORDER: u8 = 7;
const STARTS: u8 = 8;
const END: u8 = 9;

impl Catalog {
    /// What frames of this program look like; others are of no use to it.
    pub const FRAMES: u32 = FORMAT;

    /// Hands over everything but the tag database, frame by frame.
    pub fn frames(&self, on: &mut dyn FnMut(&[u8])) {
        let mut frame = Writer(Vec::new());
        let mut send = |kind: u8, fill: &mut dyn FnMut(&mut Writer)| {
            frame.0.clear();
            frame.0.push(kind);
            fill(&mut frame);
            on(&frame.0);
        };
        let mut chunks = (0_u64..).zip(self.chunks.iter()).peekable();
        while chunks.peek().is_some() {
            send(RECORDS, &mut |frame| {
                for (place, chunk) in chunks.by_ref().take(CHUNKS) {
                    frame.number(place);
                    chunk.write(&mut frame.0);
                }
            });
        }
        let mut tags = self.tags.iter().peekable();
        while tags.peek().is_some() {
            send(NAMES, &mut |frame| {
                for (name, media) in tags.by_ref().take(TAGS) {
                    frame.bytes(name.category.as_bytes());
                    frame.bytes(name.value.as_bytes());
                    bitmap(frame, media);
                }
            });
        }
        send(FLAGS, &mut |frame| {
            for media in &self.flags {
                bitmap(frame, media);
            }
            for site in self.sites.iter() {
                frame.bytes(site.as_bytes());
            }
        });
        for (kind, lookup) in [
            (IDS, &self.by_id),
            (MD5S, &self.by_md5),
            (POSTS, &self.by_post),
        ] {
            let mut pairs = lookup.pairs().peekable();
            while pairs.peek().is_some() {
                send(kind, &mut |frame| {
                    for (hash, number) in pairs.by_ref().take(PAIRS) {
                        frame.0.extend(hash.to_le_bytes());
                        frame.0.extend(number.to_le_bytes());
                    }
                });
            }
        }
        for column in Column::KEPT {
            let order = self.ordered(column);
            for keys in order.keys().chunks(PAIRS) {
                send(ORDER, &mut |frame| {
                    frame.number(column.place() as u64);
                    frame.number(order.valued() as u64);
                    for key in keys {
                        frame.0.extend(key.0.to_le_bytes());
                    }
                });
            }
            send(STARTS, &mut |frame| {
                frame.number(column.place() as u64);
                for word in order.starts(self).words() {
                    frame.0.extend(word.to_le_bytes());
                }
            });
        }
        send(END, &mut |frame| {
            frame.number(self.len() as u64);
            frame.number(self.tags.len() as u64);
        });
    }
}

fn bitmap(frame: &mut Writer, media: &RoaringBitmap) {
    frame.number(media.serialized_size() as u64);
    // A vector takes whatever it is given.
    let _ = media.serialize_into(&mut frame.0);
}

/// The order of a column as far as it came back.
#[derive(Default)]
struct RestoredOrder {
    /// How many have a value.
    valued: usize,
    keys: Vec<MediaKey>,
    /// Where another value begins.
    starts: Vec<u64>,
}

/// A catalog that comes back frame by frame.
#[derive(Default)]
pub struct Restoring {
    chunks: Shared<Chunk>,
    tags: Vec<(TagName, RoaringBitmap)>,
    flags: Vec<Arc<RoaringBitmap>>,
    sites: Vec<Arc<str>>,
    lookups: [Vec<(u32, u32)>; 3],
    orders: [RestoredOrder; Column::KEPT.len()],
    is_at_end: bool,
}

impl Restoring {
    /// Takes the next frame; `None` when it is none that [`Catalog::frames`] makes.
    #[must_use]
    pub fn take(&mut self, frame: &[u8]) -> Option<()> {
        let (kind, rest) = frame.split_first()?;
        let mut reader = Reader(rest);
        if self.is_at_end {
            return None;
        }
        match *kind {
            RECORDS => {
                while !reader.0.is_empty() {
                    let place = usize::try_from(reader.number()).ok()?;
                    let chunk = Chunk::read(&mut reader)?;
                    // What lies further on is no chunk that a key can be in.
                    (place <= u32::MAX as usize / CHUNK).then_some(())?;
                    *self.chunks.get_mut(place) = chunk;
                }
            }
            NAMES => {
                while !reader.0.is_empty() {
                    let name = TagName {
                        category: reader.checked_text()?.to_owned(),
                        value: reader.checked_text()?.to_owned(),
                    };
                    self.tags.push((name, media(&mut reader)?));
                }
            }
            FLAGS => {
                for _ in 0..flag::COUNT {
                    self.flags.push(Arc::new(media(&mut reader)?));
                }
                while !reader.0.is_empty() {
                    self.sites.push(reader.checked_text()?.into());
                }
            }
            IDS..=POSTS => {
                let pairs = self.lookups.get_mut(usize::from(kind - IDS))?;
                let (taken, rest) = reader.0.as_chunks::<8>();
                pairs.extend(taken.iter().map(|[a, b, c, d, e, f, g, h]| {
                    (
                        u32::from_le_bytes([*a, *b, *c, *d]),
                        u32::from_le_bytes([*e, *f, *g, *h]),
                    )
                }));
                rest.is_empty().then_some(())?;
            }
            ORDER => {
                let order = self.order(&mut reader)?;
                order.valued = usize::try_from(reader.number()).ok()?;
                let (keys, rest) = reader.0.as_chunks::<4>();
                let keys = keys.iter().map(|key| MediaKey(u32::from_le_bytes(*key)));
                order.keys.extend(keys);
                rest.is_empty().then_some(())?;
            }
            STARTS => {
                let order = self.order(&mut reader)?;
                let (words, rest) = reader.0.as_chunks::<8>();
                let words = words.iter().map(|word| u64::from_le_bytes(*word));
                order.starts.extend(words);
                rest.is_empty().then_some(())?;
            }
            END => {
                let media = self.flags.get(flag::PRESENT as usize)?.len();
                let is_whole = media == reader.number()
                    && self.orders.iter().all(|order| {
                        media == order.keys.len() as u64 && order.valued <= order.keys.len()
                    })
                    && self.tags.len() as u64 == reader.number()
                    && self.flags.len() == flag::COUNT;
                is_whole.then_some(())?;
                self.is_at_end = true;
            }
            _ => return None,
        }
        Some(())
    }

    /// The order of the column that a frame names.
    fn order(&mut self, reader: &mut Reader<'_>) -> Option<&mut RestoredOrder> {
        let column = usize::try_from(reader.number()).ok()?;
        let mut columns = Column::KEPT.iter();
        let place = columns.position(|known| known.place() == column)?;
        self.orders.get_mut(place)
    }

    /// The catalog, complete, once all its frames were taken.
    pub fn finish(self) -> Option<Catalog> {
        self.is_at_end.then_some(())?;
        let [ids, md5s, posts] = self.lookups;
        for pairs in [&ids, &md5s, &posts] {
            pairs.is_sorted_by(|a, b| a < b).then_some(())?;
        }
        let version = next_version();
        let mut columns = vec![Slot::default(); Column::COUNT];
        let mut orders: Vec<Arc<Order>> = Vec::new();
        for (column, restored) in Column::KEPT.into_iter().zip(self.orders) {
            let starts = Marks::of(restored.starts, restored.valued)?;
            let order = Order::new(column, restored.keys, restored.valued);
            let order = Arc::new(order.with_starts(starts).sharing(orders.iter()));
            *columns.get_mut(column.place())? = Slot::of(Arc::clone(&order));
            orders.push(order);
        }
        let catalog = Catalog {
            chunks: self.chunks,
            tags: Tags::restore(self.tags),
            flags: self.flags,
            by_id: Lookup::of_sorted(&ids),
            by_md5: Lookup::of_sorted(&md5s),
            by_post: Lookup::of_sorted(&posts),
            sites: Arc::new(self.sites),
            columns,
            complete: true,
            version,
            lineage: version,
            tag_database: Arc::default(),
        };
        catalog.sum_up();
        Some(catalog)
    }
}

fn media(reader: &mut Reader<'_>) -> Option<RoaringBitmap> {
    let mut bytes = reader.checked_bytes()?;
    let media = RoaringBitmap::deserialize_from(&mut bytes).ok()?;
    bytes.is_empty().then_some(media)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{assert_same, entry},
        *,
    };
    use crate::model::catalog::Change;

    fn frames(catalog: &Catalog) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        catalog.frames(&mut |frame| frames.push(frame.to_vec()));
        frames
    }

    fn restored<'a>(frames: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<Catalog> {
        let mut restoring = Restoring::default();
        for frame in frames {
            restoring.take(frame)?;
        }
        restoring.finish()
    }

    proptest! {
        #[test]
        fn what_comes_back_says_the_same_and_goes_on(
            start in prop::collection::btree_map(0..5_000_u32, any::<u64>(), 0..40),
            later in prop::collection::btree_map(0..5_000_u32, prop::option::of(any::<u64>()), 0..40),
        ) {
            let mut model: std::collections::BTreeMap<_, _> = start
                .iter()
                .map(|(key, seed)| (MediaKey(*key), entry(*key, *seed)))
                .collect();
            let catalog = Catalog::from_entries(model.values().cloned().collect(), true);
            let back = restored(&frames(&catalog)).unwrap();
            assert_same(&back, &model);
            prop_assert!(back.is_complete());
            for column in Column::KEPT {
                prop_assert!(back.has_order(column));
                let (ours, theirs) = (back.ordered(column), catalog.ordered(column));
                prop_assert_eq!(ours.keys(), theirs.keys());
                let groups = |catalog: &Catalog| {
                    let order = catalog.ordered(column);
                    let groups = order.groups(catalog, true, false);
                    groups.map(<[_]>::to_vec).collect::<Vec<_>>()
                };
                prop_assert!(ours.knows_groups());
                prop_assert_eq!(groups(&back), groups(&catalog));
            }
            prop_assert_eq!(back.sites().collect::<Vec<_>>(), catalog.sites().collect::<Vec<_>>());
            prop_assert_eq!(&back.flags, &catalog.flags);
            let changes: Vec<Change> = later
                .iter()
                .map(|(key, seed)| {
                    let media = MediaKey(*key);
                    if let Some(seed) = seed {
                        model.insert(media, entry(*key, *seed));
                        Change::Upsert(entry(*key, *seed))
                    } else {
                        model.remove(&media);
                        Change::Remove(media)
                    }
                })
                .collect();
            let next = back.apply(&changes);
            assert_same(&next, &model);
            assert_same(&restored(&frames(&next)).unwrap(), &model);
        }
    }

    #[test]
    fn what_lacks_a_frame_or_its_end_is_refused() {
        let entries = (0..9_000)
            .map(|key| entry(key, u64::from(key) << 13))
            .collect();
        let whole = frames(&Catalog::from_entries(entries, true));
        assert!(restored(&whole).is_some());
        assert!(whole.len() > 8, "{} frames", whole.len());
        let mut doubled = whole.clone();
        doubled.extend(whole.last().cloned());
        assert!(restored(&doubled).is_none());
        assert!(restored(&whole[..whole.len() - 1]).is_none());
        assert!(restored(&Vec::new()).is_none());
        for (place, frame) in whole.iter().enumerate() {
            for length in [0, 1, frame.len() / 2, frame.len() - 1] {
                let mut cut = whole.clone();
                cut[place].truncate(length);
                // Half of the records, or of a lookup, may look like a whole frame.
                let _ = restored(&cut);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            place in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            foreign in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let entries = (0..40).map(|key| entry(key, u64::from(key) << 13)).collect();
            let mut changed = frames(&Catalog::from_entries(entries, true));
            let frame = place.get_mut(&mut changed);
            *at.get_mut(frame) = byte;
            if let Some(catalog) = restored(&changed) {
                for key in catalog.keys() {
                    let _ = catalog.record(key).map(|record| record.to_entry());
                }
            }
            let _ = restored(&[foreign]);
        }
    }
}
