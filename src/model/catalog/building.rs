//! A catalog that is packed while its media are read: never more than a few of them
//! lie in memory unpacked.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{
    Catalog, Change, id_hash,
    lookup::Lookup,
    md5_hash,
    packed::{self, Chunk, flag},
    place, post_hashes,
    tags::{Names, Tags},
};
use crate::model::entry::Entry;

/// Takes media in the order of their keys.
pub struct Building {
    /// Records and sites; what else it has comes at the end.
    catalog: Catalog,
    names: Names,
    tagged: Vec<RoaringBitmap>,
    flagged: Vec<RoaringBitmap>,
    ids: Vec<(u32, u32)>,
    md5s: Vec<(u32, u32)>,
    posts: Vec<(u32, u32)>,
    /// The chunk that is being filled, and its place.
    open: (usize, Chunk),
    last: Option<u32>,
    numbers: Vec<u32>,
    /// What came out of order, in the order in which it came.
    late: Vec<Change>,
}

impl Default for Building {
    fn default() -> Self {
        Self {
            catalog: Catalog::default(),
            names: Names::default(),
            tagged: Vec::new(),
            flagged: vec![RoaringBitmap::new(); flag::COUNT],
            ids: Vec::new(),
            md5s: Vec::new(),
            posts: Vec::new(),
            open: (0, Chunk::default()),
            last: None,
            numbers: Vec::new(),
            late: Vec::new(),
        }
    }
}

impl Building {
    pub fn push(&mut self, mut entry: Entry) {
        let key = entry.key.0;
        if self.last.is_some_and(|last| key <= last) {
            self.late.push(Change::Upsert(entry));
            return;
        }
        self.last = Some(key);
        self.numbers.clear();
        for name in std::mem::take(&mut entry.tags) {
            let number = self.names.number(name);
            self.numbers.push(number);
            if number as usize >= self.tagged.len() {
                self.tagged.push(RoaringBitmap::new());
            }
            if let Some(media) = self.tagged.get_mut(number as usize) {
                media.insert(key);
            }
        }
        let flags = packed::flags(&entry);
        for (bit, media) in self.flagged.iter_mut().enumerate() {
            if flags >> bit & 1 == 1 {
                media.insert(key);
            }
        }
        for (site, _) in &entry.posts {
            self.catalog.add_site(site);
        }
        let catalog = &self.catalog;
        let (row, bytes) = packed::encode(&entry, flags, &self.numbers, |site| {
            catalog.site_number(site)
        });
        self.ids
            .extend(id_hash(&row, entry.id.as_str()).map(|hash| (hash, key)));
        self.md5s.extend(md5_hash(&row).map(|hash| (hash, key)));
        self.posts
            .extend(post_hashes(&entry).map(|hash| (hash, key)));
        let (chunk, slot) = place(entry.key);
        if chunk != self.open.0 {
            self.close_chunk();
            self.open.0 = chunk;
        }
        self.open.1.set(slot, row, &bytes);
    }

    fn close_chunk(&mut self) {
        let mut chunk = std::mem::take(&mut self.open.1);
        chunk.shrink();
        *self.catalog.chunks.get_mut(self.open.0) = chunk;
    }

    /// The catalog, not yet complete.
    pub fn finish(mut self) -> Catalog {
        if self.last.is_some() {
            self.close_chunk();
        }
        let mut catalog = self.catalog;
        // What grew has room for more, and a copy has not.
        let exact = |media: RoaringBitmap| RoaringBitmap::clone(&media);
        let tagged = self.tagged.into_iter().map(exact);
        catalog.tags = Tags::restore(self.names.into_names().zip(tagged));
        let flagged = self.flagged.into_iter().map(exact);
        catalog.flags = flagged.map(Arc::new).collect();
        catalog.by_id = Lookup::build(self.ids);
        catalog.by_md5 = Lookup::build(self.md5s);
        catalog.by_post = Lookup::build(self.posts);
        catalog.sum_up();
        match self.late.as_slice() {
            [] => catalog,
            late => catalog.apply(late),
        }
    }
}

impl Extend<Entry> for Building {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        for entry in entries {
            self.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{
        super::tests::{assert_same, entry},
        *,
    };
    use crate::model::id::MediaKey;

    proptest! {
        #[test]
        fn what_is_built_is_what_was_pushed(
            media in prop::collection::vec((0..3_000_u32, any::<u64>()), 0..60),
            is_sorted in any::<bool>(),
        ) {
            let mut media = media;
            if is_sorted {
                media.sort_unstable();
            }
            let mut building = Building::default();
            let mut model = BTreeMap::new();
            for (key, seed) in media {
                building.push(entry(key, seed));
                model.insert(MediaKey(key), entry(key, seed));
            }
            let catalog = building.finish();
            assert_same(&catalog, &model);
            prop_assert!(!catalog.is_complete());
            let changes: Vec<Change> = model.keys().map(|key| Change::Remove(*key)).collect();
            assert_same(&catalog.apply(&changes), &BTreeMap::new());
        }
    }
}
