//! The catalog: everything the index knows of every medium, as one immutable
//! snapshot in memory.
//!
//! Records are packed in chunks, tags are numbers, and each tag and each yes-or-no
//! fact has a bitmap of [`MediaKey`]s.
//! Invariant: a catalog never changes; [`Catalog::apply`] gives a new one that
//! shares what did not change with the old one. A catalog with only the first
//! page is an ordinary catalog that says so.

mod building;
mod column;
mod lookup;
mod natural;
mod order;
mod packed;
mod record;
mod shared;
mod snapshot;
mod summaries;
mod tag_names;
mod tags;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use roaring::RoaringBitmap;

use self::{
    lookup::{Lookup, hash},
    order::Slot,
    packed::{CHUNK, Chunk, Row, flag},
    shared::Shared,
    tags::Tags,
};
use super::{
    column::Column,
    entry::{Entry, Facets},
    id::{Md5, MediaId, MediaKey},
    media::{MediaKind, Rating, Status},
    query::Vocabulary,
    tag::{BUILT_IN_CATEGORIES, TagName, normalize},
    tagdb::TagDb,
};

pub use self::{
    building::Building, order::Order, record::Record, snapshot::Restoring, tag_names::TagNames,
};

/// Sites that get a number; the names of further ones are stored with each post.
const MAX_SITES: usize = 255;

/// One change of the catalog.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "changes travel in vectors of upserts"
)]
pub enum Change {
    /// A medium is new, or this is what is known of it now.
    Upsert(Entry),
    /// A medium is gone.
    Remove(MediaKey),
}

/// All media of one library; cloning it is cheap.
#[derive(Clone)]
pub struct Catalog {
    chunks: Shared<Chunk>,
    tags: Tags,
    /// One bitmap for each bit of [`Row::flags`].
    flags: Vec<Arc<RoaringBitmap>>,
    /// Ids that are not the md5 of their medium.
    by_id: Lookup,
    by_md5: Lookup,
    by_post: Lookup,
    sites: Arc<Vec<Arc<str>>>,
    /// The orders of all columns.
    columns: Vec<Slot>,
    complete: bool,
    version: u64,
    lineage: u64,
    /// How the tags are to be read.
    tag_database: Arc<TagDb>,
}

fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Its size, not its contents.
impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog")
            .field("version", &self.version)
            .field("len", &self.len())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

/// An empty catalog that is not complete: nothing was read yet.
impl Default for Catalog {
    fn default() -> Self {
        Self::from_entries(Vec::new(), false)
    }
}

impl Catalog {
    /// A catalog of these media; `complete` says whether they are all there are.
    /// Of two entries with one key the later counts.
    pub fn from_entries(mut entries: Vec<Entry>, complete: bool) -> Self {
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            entries.reverse();
            entries.sort_by_key(|entry| entry.key);
            entries.dedup_by_key(|entry| entry.key);
        }
        let (tags, numbers) = Tags::build(&mut entries);
        let version = next_version();
        let mut catalog = Self {
            chunks: Shared::default(),
            tags,
            flags: Vec::new(),
            by_id: Lookup::default(),
            by_md5: Lookup::default(),
            by_post: Lookup::default(),
            sites: Arc::default(),
            columns: vec![Slot::default(); Column::COUNT],
            complete,
            version,
            lineage: version,
            tag_database: Arc::default(),
        };
        let mut with_flag: Vec<Vec<u32>> = vec![Vec::new(); flag::COUNT];
        let (mut ids, mut md5s, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = numbers.numbers.as_slice();
        let mut lengths = numbers.lengths.iter();
        for same_chunk in entries.chunk_by(|a, b| place(a.key).0 == place(b.key).0) {
            let mut chunk = Chunk::default();
            for entry in same_chunk {
                let (tags, others) = rest.split_at(lengths.next().copied().unwrap_or_default());
                rest = others;
                let flags = packed::flags(entry);
                for (bit, keys) in with_flag.iter_mut().enumerate() {
                    if flags >> bit & 1 == 1 {
                        keys.push(entry.key.0);
                    }
                }
                for (site, _) in &entry.posts {
                    catalog.add_site(site);
                }
                let (row, bytes) =
                    packed::encode(entry, flags, tags, |site| catalog.site_number(site));
                if let Some(id) = id_hash(&row, entry.id.as_str()) {
                    ids.push((id, entry.key.0));
                }
                md5s.extend(md5_hash(&row).map(|md5| (md5, entry.key.0)));
                posts.extend(post_hashes(entry).map(|post| (post, entry.key.0)));
                chunk.set(place(entry.key).1, row, &bytes);
            }
            chunk.shrink();
            if let Some(first) = same_chunk.first() {
                *catalog.chunks.get_mut(place(first.key).0) = chunk;
            }
        }
        catalog.flags = with_flag
            .into_iter()
            .map(|keys| Arc::new(keys.into_iter().collect()))
            .collect();
        catalog.by_id = Lookup::build(ids);
        catalog.by_md5 = Lookup::build(md5s);
        catalog.by_post = Lookup::build(posts);
        catalog
    }

    /// The same catalog, now that all media there are have been entered.
    pub fn into_complete(self) -> Self {
        Self {
            complete: true,
            ..self
        }
    }

    /// The same media, whose tags are read with another database.
    pub fn with_tag_database(self, tag_database: Arc<TagDb>) -> Self {
        Self {
            tag_database,
            version: next_version(),
            ..self
        }
    }

    /// Aliases, implications, categories.
    pub fn tag_database(&self) -> &Arc<TagDb> {
        &self.tag_database
    }

    /// A catalog with these changes, in order. Costs what changes, not what is there.
    pub fn apply(&self, changes: &[Change]) -> Self {
        let mut next = Self {
            columns: self.columns.iter().map(Slot::to_change).collect(),
            version: next_version(),
            ..self.clone()
        };
        for change in changes {
            match change {
                Change::Upsert(entry) => next.upsert(entry),
                Change::Remove(key) => next.remove(*key),
            }
        }
        let len = next.len();
        for slot in &mut next.columns {
            slot.changed(len);
        }
        next
    }

    fn upsert(&mut self, entry: &Entry) {
        let key = entry.key;
        for (site, _) in &entry.posts {
            self.add_site(site);
        }
        let mut tags = Vec::with_capacity(entry.tags.len());
        for name in &entry.tags {
            tags.push(self.tags.number(name));
        }
        let flags = packed::flags(entry);
        let (row, bytes) = packed::encode(entry, flags, &tags, |site| self.site_number(site));

        let old = self.record(key).map(|old| {
            let old_tags: Vec<u32> = packed::numbers(old.details().tags).collect();
            (*old.row, old_tags, old.id(), old.post_hashes())
        });
        let posts: Vec<u32> = post_hashes(entry).collect();
        self.touch(key, Some((&row, &bytes)));
        // Nothing is found by another name than before, most times.
        let is_renamed = old.as_ref().is_none_or(|(old_row, _, old_id, _)| {
            *old_id != entry.id || old_row.md5() != row.md5()
        });
        if let Some((old_row, _, old_id, _)) = old.as_ref().filter(|_| is_renamed) {
            self.forget_names(key, old_row, old_id);
        }
        let (old_row, old_tags, _, old_posts) =
            old.unwrap_or_else(|| (Row::default(), Vec::new(), entry.id.clone(), Vec::new()));
        for gone in only_in(&old_tags, &tags) {
            self.tags.set(gone, key.0, false);
        }
        for new in only_in(&tags, &old_tags) {
            self.tags.set(new, key.0, true);
        }
        for gone in old_posts.iter().filter(|post| !posts.contains(post)) {
            self.by_post.remove(*gone, key.0);
        }
        for new in posts.iter().filter(|post| !old_posts.contains(post)) {
            self.by_post.insert(*new, key.0);
        }
        if is_renamed {
            if let Some(hash) = id_hash(&row, entry.id.as_str()) {
                self.by_id.insert(hash, key.0);
            }
            if let Some(hash) = md5_hash(&row) {
                self.by_md5.insert(hash, key.0);
            }
        }
        self.flip(key, old_row.flags, row.flags);
        let (chunk, slot) = place(key);
        self.chunks.get_mut(chunk).set(slot, row, &bytes);
    }

    fn remove(&mut self, key: MediaKey) {
        let Some(old) = self.record(key) else {
            return;
        };
        let (row, id, posts) = (*old.row, old.id(), old.post_hashes());
        let tags: Vec<u32> = packed::numbers(old.details().tags).collect();
        self.touch(key, None);
        for tag in only_in(&tags, &[]) {
            self.tags.set(tag, key.0, false);
        }
        for post in posts {
            self.by_post.remove(post, key.0);
        }
        self.forget_names(key, &row, &id);
        self.flip(key, row.flags, 0);
        let (chunk, slot) = place(key);
        self.chunks.get_mut(chunk).clear(slot);
    }

    fn forget_names(&mut self, key: MediaKey, row: &Row, id: &MediaId) {
        if let Some(hash) = id_hash(row, id.as_str()) {
            self.by_id.remove(hash, key.0);
        }
        if let Some(hash) = md5_hash(row) {
            self.by_md5.remove(hash, key.0);
        }
    }

    /// Its place changes in those orders of which it gets another value.
    fn touch(&mut self, key: MediaKey, new: Option<(&Row, &[u8])>) {
        let mut columns = std::mem::take(&mut self.columns);
        let old = self.record(key);
        let new = new.map(|(row, bytes)| Record {
            catalog: self,
            key,
            row,
            bytes,
        });
        let differing = match (&old, &new) {
            (Some(old), Some(new)) => Some(Column::differing(old, new)),
            _ => None,
        };
        for (column, slot) in Column::all().zip(&mut columns) {
            if slot.has_earlier() && differing.as_ref().is_none_or(|differs| differs(column)) {
                slot.touch(key);
            }
        }
        drop(differing);
        self.columns = columns;
    }

    fn flip(&mut self, key: MediaKey, old: u64, new: u64) {
        for (bit, media) in self.flags.iter_mut().enumerate() {
            if (old ^ new) >> bit & 1 == 1 {
                let media = Arc::make_mut(media);
                if new >> bit & 1 == 1 {
                    media.insert(key.0);
                } else {
                    media.remove(key.0);
                }
            }
        }
    }

    fn add_site(&mut self, site: &str) {
        if self.sites.len() < MAX_SITES && self.site_number(site).is_none() {
            Arc::make_mut(&mut self.sites).push(site.into());
        }
    }

    fn site_number(&self, site: &str) -> Option<usize> {
        self.sites.iter().position(|known| **known == *site)
    }

    /// A number that no two different catalogs of this process share.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Equal for two catalogs exactly when they number the same tag names alike.
    pub fn vocabulary(&self) -> (u64, usize) {
        (self.lineage, self.tags.len())
    }

    /// The size of the packed records in memory, without bitmaps, names and indexes.
    pub fn record_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::size).sum()
    }

    /// How many media it holds, hidden ones included.
    pub fn len(&self) -> usize {
        usize::try_from(self.all().len()).unwrap_or(usize::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Whether it holds all media of the library, or only the first page so far.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn contains(&self, key: MediaKey) -> bool {
        self.all().contains(key.0)
    }

    pub fn record(&self, key: MediaKey) -> Option<Record<'_>> {
        let (chunk, slot) = place(key);
        let (row, bytes) = self.chunks.get(chunk)?.row(slot)?;
        Some(Record {
            catalog: self,
            key,
            row,
            bytes,
        })
    }

    /// All records, in the order of their keys.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.chunks.written().flat_map(move |(place, chunk)| {
            chunk.rows().filter_map(move |(slot, row, bytes)| {
                let key = MediaKey(u32::try_from(place * CHUNK + slot).ok()?);
                Some(Record {
                    catalog: self,
                    key,
                    row,
                    bytes,
                })
            })
        })
    }

    pub fn key_of(&self, id: &MediaId) -> Option<MediaKey> {
        let by_md5 = id.as_str().parse::<Md5>().ok().and_then(|md5| {
            self.records_of_md5(&md5)
                .find(|record| record.id() == *id)
                .map(|record| record.key)
        });
        by_md5.or_else(|| {
            self.by_id
                .find(hash(id.as_str()))
                .filter_map(|key| self.record(MediaKey(key)))
                .find(|record| record.id() == *id)
                .map(|record| record.key)
        })
    }

    fn records_of_md5(&self, md5: &Md5) -> impl Iterator<Item = Record<'_>> {
        self.by_md5
            .find(prefix(md5))
            .filter_map(|key| self.record(MediaKey(key)))
            .filter(|record| record.md5() == Some(*md5))
    }

    /// All media with these bytes: found libraries hold equal files.
    pub fn keys_of_md5(&self, md5: &Md5) -> Vec<MediaKey> {
        self.records_of_md5(md5).map(|record| record.key).collect()
    }

    /// The media whose bytes others have as well, with how many have them.
    pub fn same_md5(&self) -> HashMap<MediaKey, usize> {
        // In the order of the keys, so that each look is near the one before.
        let mut keys: Vec<u32> = self
            .by_md5
            .shared()
            .flatten()
            .map(|(_, key)| *key)
            .collect();
        keys.sort_unstable();
        let md5_of = |key: u32| Some((self.record(MediaKey(key))?.md5()?, MediaKey(key)));
        let mut md5s: Vec<(Md5, MediaKey)> = keys.into_iter().filter_map(md5_of).collect();
        // What has the same hash may differ.
        md5s.sort_unstable();
        let groups = md5s.chunk_by(|a, b| a.0 == b.0);
        let groups = groups.filter(|group| group.len() > 1);
        groups
            .flat_map(|group| group.iter().map(|(_, key)| (*key, group.len())))
            .collect()
    }

    /// The medium that has this post of a site as a source.
    pub fn post(&self, site: &str, id: &str) -> Option<MediaKey> {
        self.keys_of_post(site, id).next()
    }

    /// All media that have this post of a site as a source.
    pub fn keys_of_post<'a>(
        &'a self,
        site: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = MediaKey> + 'a {
        self.by_post
            .find(hash((site, id)))
            .map(MediaKey)
            .filter(move |key| {
                self.record(*key)
                    .is_some_and(|record| record.posts().any(|post| post == (site, id)))
            })
    }

    /// The names of sites that posts are known from.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.sites.iter().map(AsRef::as_ref)
    }

    /// How many media have this tag.
    pub fn tag_count(&self, name: &TagName) -> u64 {
        self.tagged(name).map_or(0, RoaringBitmap::len)
    }

    /// The media with this tag; `None` for a name never seen.
    pub fn tagged(&self, name: &TagName) -> Option<&RoaringBitmap> {
        self.tags.media(self.tags.find(name)?).map(AsRef::as_ref)
    }

    /// The tags with this normalised value, of any category, with their media.
    pub fn tagged_value<'a, 'v>(
        &'a self,
        value: &'v str,
    ) -> impl Iterator<Item = (&'a TagName, &'a RoaringBitmap)> + use<'a, 'v> {
        self.tags
            .with_value(value)
            .filter_map(|number| self.tag_at(number))
    }

    /// The tag with this number, with its media; numbers run from 0 to the second
    /// part of [`vocabulary`](Self::vocabulary).
    pub fn tag_at(&self, number: u32) -> Option<(&TagName, &RoaringBitmap)> {
        Some((self.tags.name(number)?, self.tags.media(number)?))
    }

    /// The names of all tags by number, to keep.
    pub fn tag_names(&self) -> &TagNames {
        self.tags.all_names()
    }

    /// The number of a tag that was ever seen.
    pub fn tag_number(&self, name: &TagName) -> Option<u32> {
        self.tags.find(name)
    }

    /// How many media have the tag with this number.
    pub fn tag_size(&self, number: u32) -> Option<u32> {
        self.tags.size(number)
    }

    /// Of every tag, by number, the place of its category among
    /// [`categories`](Self::categories) and how many media have it.
    pub fn tag_sizes(&self) -> impl Iterator<Item = (usize, u32)> {
        self.tags.sizes()
    }

    /// Whether a tag is of a category, by its number.
    pub fn tags_of_category(&self, category: &str) -> Vec<bool> {
        self.tags
            .names()
            .map(|name| name.category == category)
            .collect()
    }

    /// The values of all tags ever seen, with the numbers that
    /// [`tag_at`](Self::tag_at) takes.
    pub fn tag_values(&self) -> impl Iterator<Item = (u32, &str)> {
        self.tags.values()
    }

    /// Every tag in use with its count, in no particular order.
    pub fn tags(&self) -> impl Iterator<Item = (&TagName, u64)> {
        let names = self.tags.names().zip(self.tags.sizes());
        names
            .filter(|(_, (_, count))| *count > 0)
            .map(|(name, (_, count))| (name, u64::from(count)))
    }

    /// Every tag in use with its media, in no particular order.
    pub fn tag_bitmaps(&self) -> impl Iterator<Item = (&TagName, &RoaringBitmap)> {
        self.tags
            .iter()
            .map(|(name, media)| (name, media.as_ref()))
            .filter(|(_, media)| !media.is_empty())
    }

    /// The most frequent category under which a normalised tag value is in use.
    pub fn category_of(&self, value: &str) -> Option<&str> {
        self.tags
            .with_value(value)
            .filter_map(|number| self.tag_at(number))
            .filter(|(_, media)| !media.is_empty())
            .max_by_key(|(_, media)| media.len())
            .map(|(name, _)| name.category.as_str())
    }

    /// A tag as a person writes it who wants to change it where it stands on pictures,
    /// even if it is no more than another name of a tag by now.
    pub fn stored_name(&self, text: &str) -> TagName {
        let value = normalize(text);
        if self.tag_database.alias(&value).is_some()
            && let Some(category) = self.category_of(&value)
        {
            return TagName::new(category, &value);
        }
        let category = |value: &str| self.category_of(value).map(str::to_owned);
        self.tag_database.read_name(text, category)
    }

    /// The categories of the tags ever seen, in the order in which they were.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.tags.categories()
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = MediaKey> {
        self.all().iter().map(MediaKey)
    }

    /// All media, hidden ones included.
    pub fn all(&self) -> &RoaringBitmap {
        self.flag(flag::PRESENT)
    }

    pub fn of_kind(&self, kind: MediaKind) -> &RoaringBitmap {
        let bit = (0..).zip(MediaKind::ALL).find(|(_, known)| *known == kind);
        self.flag(bit.map_or(0, |(bit, _)| bit))
    }

    pub fn of_rating(&self, rating: Rating) -> &RoaringBitmap {
        let bit = (flag::RATING..)
            .zip(Rating::ALL)
            .find(|(_, known)| *known == rating);
        self.flag(bit.map_or(flag::RATING, |(bit, _)| bit))
    }

    pub fn of_status(&self, status: Status) -> &RoaringBitmap {
        self.flag(match status {
            Status::Inbox => flag::INBOX,
            Status::Archived => flag::ARCHIVED,
        })
    }

    /// The media with this many stars, 1 to 5.
    pub fn with_stars(&self, stars: u8) -> &RoaringBitmap {
        self.flag(flag::STARS + u32::from(stars.clamp(1, 5)) - 1)
    }

    pub fn favorites(&self) -> &RoaringBitmap {
        self.flag(flag::FAV)
    }

    pub fn with_md5(&self) -> &RoaringBitmap {
        self.flag(flag::MD5)
    }

    /// The media of which one such fact is true.
    pub fn with_facet(&self, facet: Facets) -> &RoaringBitmap {
        self.flag(flag::FACETS + facet.0.trailing_zeros().min(31))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "there is one for each of the 64 bits"
    )]
    fn flag(&self, bit: u32) -> &RoaringBitmap {
        &self.flags[bit as usize]
    }
}

impl Vocabulary for Catalog {
    fn is_category(&self, name: &str) -> bool {
        BUILT_IN_CATEGORIES.contains(&name)
            || self.tags.categories().any(|known| known == name)
            || self.tag_database.category(name).is_some()
    }

    fn category_name(&self, name: &str) -> String {
        self.tag_database.category_name(name)
    }
}

/// The chunk of a key and its place in it.
fn place(key: MediaKey) -> (usize, usize) {
    (key.0 as usize / CHUNK, key.0 as usize % CHUNK)
}

/// The numbers that others lack, each once.
fn only_in<'a>(numbers: &'a [u32], others: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let numbered = numbers.iter().enumerate();
    let new = numbered.filter(|(place, number)| {
        let before = numbers.get(..*place).unwrap_or_default();
        !others.contains(number) && !before.contains(number)
    });
    new.map(|(_, number)| *number)
}

fn prefix(md5: &Md5) -> u32 {
    let [a, b, c, d, ..] = md5.0;
    u32::from_be_bytes([a, b, c, d])
}

fn md5_hash(row: &Row) -> Option<u32> {
    row.md5().map(|md5| prefix(&md5))
}

fn id_hash(row: &Row, id: &str) -> Option<u32> {
    (!row.is(flag::ID_IS_MD5)).then(|| hash(id))
}

fn post_hashes(entry: &Entry) -> impl Iterator<Item = u32> {
    entry
        .posts
        .iter()
        .map(|(site, id)| hash((site.as_str(), id.as_str())))
}

#[cfg(test)]
mod tests;
