//! The catalog: everything the index knows of every medium, as one immutable
//! snapshot in memory.
//!
//! Invariant: a catalog never changes; [`Catalog::apply`] gives a new one that
//! shares what did not change with the old one. A catalog with only the first
//! page is an ordinary catalog that says so.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    entry::{Entry, Facets},
    hash::PerceptualHash,
    id::{Md5, MediaId, MediaKey},
    media::{MediaKind, Rating, Status},
    query::Vocabulary,
    tag::TagName,
};

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
#[derive(Clone, Default)]
pub struct Catalog {
    entries: Arc<BTreeMap<MediaKey, Arc<Entry>>>,
    complete: bool,
    version: u64,
}

impl Catalog {
    /// A catalog of these media; `complete` says whether they are all there are.
    pub fn from_entries(entries: Vec<Entry>, complete: bool) -> Self {
        Self {
            entries: Arc::new(
                entries
                    .into_iter()
                    .map(|entry| (entry.key, Arc::new(entry)))
                    .collect(),
            ),
            complete,
            version: 1,
        }
    }

    /// A catalog with these changes, in order.
    pub fn apply(&self, changes: &[Change]) -> Self {
        let mut entries = self.entries.as_ref().clone();
        for change in changes {
            match change {
                Change::Upsert(entry) => {
                    entries.insert(entry.key, Arc::new(entry.clone()));
                }
                Change::Remove(key) => {
                    entries.remove(key);
                }
            }
        }
        Self {
            entries: Arc::new(entries),
            complete: self.complete,
            version: self.version + 1,
        }
    }

    /// A number that no two different catalogs of this process share.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many media it holds, hidden ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it holds all media of the library, or only the first page so far.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn contains(&self, key: MediaKey) -> bool {
        self.entries.contains_key(&key)
    }

    pub fn record(&self, key: MediaKey) -> Option<Record<'_>> {
        self.entries.get(&key).map(|entry| Record { entry })
    }

    pub fn key_of(&self, id: &MediaId) -> Option<MediaKey> {
        self.entries
            .values()
            .find(|entry| entry.id == *id)
            .map(|entry| entry.key)
    }

    /// All media with these bytes: found libraries hold equal files.
    pub fn keys_of_md5(&self, md5: &Md5) -> Vec<MediaKey> {
        self.entries
            .values()
            .filter(|entry| entry.md5 == Some(*md5))
            .map(|entry| entry.key)
            .collect()
    }

    /// The medium that has this post of a site as a source.
    pub fn post(&self, site: &str, id: &str) -> Option<MediaKey> {
        self.entries
            .values()
            .find(|entry| entry.posts.iter().any(|(s, i)| s == site && i == id))
            .map(|entry| entry.key)
    }

    /// How many media have this tag.
    pub fn tag_count(&self, name: &TagName) -> u64 {
        self.tags()
            .find(|(tag, _)| *tag == name)
            .map_or(0, |(_, count)| count)
    }

    /// Every tag in use with its count, in no particular order.
    pub fn tags(&self) -> impl Iterator<Item = (&TagName, u64)> {
        let mut counts: BTreeMap<&TagName, u64> = BTreeMap::new();
        for tag in self.entries.values().flat_map(|entry| &entry.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        counts.into_iter()
    }

    /// The most frequent category under which a normalised tag value is in use.
    pub fn category_of(&self, value: &str) -> Option<&str> {
        self.tags()
            .filter(|(tag, _)| tag.value == value)
            .max_by_key(|(_, count)| *count)
            .map(|(tag, _)| tag.category.as_str())
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = MediaKey> {
        self.entries.keys().copied()
    }

    /// All media, hidden ones included, newest import first and ties by id.
    pub fn default_order(&self) -> Arc<[MediaKey]> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by(|a, b| b.imported.cmp(&a.imported).then_with(|| a.id.cmp(&b.id)));
        entries.into_iter().map(|entry| entry.key).collect()
    }
}

impl Vocabulary for Catalog {
    fn is_category(&self, name: &str) -> bool {
        super::tag::BUILT_IN_CATEGORIES.contains(&name)
            || self.tags().any(|(tag, _)| tag.category == name)
    }
}

/// A view of one medium in a catalog.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    entry: &'a Entry,
}

impl<'a> Record<'a> {
    pub fn key(&self) -> MediaKey {
        self.entry.key
    }

    pub fn id(&self) -> MediaId {
        self.entry.id.clone()
    }

    /// Library-relative path of the original.
    pub fn path(&self) -> Cow<'a, str> {
        Cow::Borrowed(&self.entry.path)
    }

    /// The display name the sidecar gives; empty when it gives none.
    pub fn name(&self) -> &'a str {
        &self.entry.name
    }

    /// What to call it on the screen: its name, else its file name. Not yet safe
    /// to draw: see [`display_text`](super::text::display_text).
    pub fn title(&self) -> Cow<'a, str> {
        Cow::Borrowed(self.entry.title())
    }

    pub fn kind(&self) -> MediaKind {
        self.entry.kind
    }

    pub fn md5(&self) -> Option<Md5> {
        self.entry.md5
    }

    pub fn phash(&self) -> Option<PerceptualHash> {
        self.entry.phash.clone()
    }

    /// Pixels; 0 when unknown.
    pub fn width(&self) -> u32 {
        self.entry.width
    }

    /// Pixels; 0 when unknown.
    pub fn height(&self) -> u32 {
        self.entry.height
    }

    pub fn bytes(&self) -> u64 {
        self.entry.bytes
    }

    pub fn duration_ms(&self) -> Option<u64> {
        self.entry.duration_ms
    }

    pub fn frames(&self) -> u32 {
        self.entry.frames
    }

    /// Seconds since 1970, as all times here.
    pub fn imported(&self) -> i64 {
        self.entry.imported
    }

    pub fn created(&self) -> i64 {
        self.entry.created
    }

    pub fn modified(&self) -> i64 {
        self.entry.modified
    }

    pub fn rating(&self) -> Option<Rating> {
        self.entry.rating
    }

    pub fn stars(&self) -> u8 {
        self.entry.stars
    }

    pub fn fav(&self) -> bool {
        self.entry.fav
    }

    pub fn status(&self) -> Option<Status> {
        self.entry.status
    }

    /// Normalised, in the sidecar's order.
    pub fn tags(&self) -> impl Iterator<Item = &'a TagName> + use<'a> {
        self.entry.tags.iter()
    }

    pub fn tag_count(&self) -> usize {
        self.entry.tags.len()
    }

    /// `(site, post id)`.
    pub fn posts(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.entry
            .posts
            .iter()
            .map(|(site, id)| (site.as_str(), id.as_str()))
    }

    /// The id of the medium this one is derived from.
    pub fn origin(&self) -> Option<&'a str> {
        self.entry.origin.as_deref()
    }

    pub fn parent(&self) -> Option<&'a str> {
        self.entry.parent.as_deref()
    }

    pub fn score(&self) -> Option<i64> {
        self.entry.score
    }

    pub fn favcount(&self) -> Option<i64> {
        self.entry.favcount
    }

    pub fn has(&self) -> Facets {
        self.entry.has
    }

    /// The whole of it as plain values.
    pub fn to_entry(&self) -> Entry {
        self.entry.clone()
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Catalog({} media, version {})",
            self.len(),
            self.version()
        )
    }
}
