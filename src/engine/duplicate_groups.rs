//! Groups of duplicates of every kind, with names: media hang together that have the same
//! bytes or the same pixels, or of which one names the other as similar or as a duplicate,
//! unless somebody said that the two are none.
//!
//! A group is named after the member that came first, `G` and eight digits of the md5 of
//! its id. So the name stays while the group grows, through rebuilds and on other hosts,
//! and changes when that member goes.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Engine, job::lock};
use crate::{
    model::{
        catalog::Catalog,
        entry::Facets,
        fact::{Detail, PART},
        id::MediaKey,
    },
    storage::Error,
};

/// The shortest beginning of a name that finds a group.
const MIN_PREFIX: usize = 4;

/// Who merely looks at a medium hears of groups that were found earlier for as many times
/// as long as finding them took.
const REST: u32 = 50;

/// Media that hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateGroup {
    /// `G1a2b3c4d`
    pub name: String,
    /// In the order of their keys; two or more.
    pub keys: Vec<MediaKey>,
}

/// All groups of a library.
#[derive(Clone, Debug, Default)]
pub struct DuplicateGroups {
    groups: Vec<DuplicateGroup>,
    /// The place of the group of each member.
    of: HashMap<MediaKey, usize>,
}

impl DuplicateGroups {
    /// Finds them. `each` hands over one detail of all media that have it, or fails, in
    /// whatever way its caller fails.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn find<E>(
        catalog: &Catalog,
        mut each: impl FnMut(Detail, &mut dyn FnMut(MediaKey, &str)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut links = Links::default();
        // A mask is no duplicate of a picture, whatever it looks like.
        let is_derived = |key: MediaKey| {
            let record = catalog.record(key);
            record.map(|record| record.kind().is_derived())
        };
        let mut first: HashMap<_, MediaKey> = HashMap::new();
        for key in catalog.same_md5().into_keys() {
            let md5 = catalog.record(key).and_then(|record| record.md5());
            links.same(&mut first, (md5, is_derived(key)), key);
        }
        let mut first: HashMap<_, MediaKey> = HashMap::new();
        each(Detail::Hash("pixel"), &mut |key, hash| {
            if let Some(is_derived) = is_derived(key) {
                // A third of the memory that the texts take.
                links.same(&mut first, (md5::compute(hash).0, is_derived), key);
            }
        })?;
        let mut alike: Vec<(MediaKey, MediaKey)> = Vec::new();
        let mut different: HashSet<(MediaKey, MediaKey)> = HashSet::new();
        each(Detail::Relation, &mut |key, text| {
            let Some((kind, other)) = text.split_once(PART) else {
                return;
            };
            if !matches!(kind, "similar" | "duplicates" | "not_duplicate") || !catalog.contains(key)
            {
                return;
            }
            let other = other.parse().ok().and_then(|id| catalog.key_of(&id));
            let Some(other) = other.filter(|other| *other != key) else {
                return;
            };
            let pair = (key.min(other), key.max(other));
            if kind == "not_duplicate" {
                different.insert(pair);
            } else {
                alike.push(pair);
            }
        })?;
        for (a, b) in alike {
            if !different.contains(&(a, b)) {
                links.link(a, b);
            }
        }
        Ok(Self::of(catalog, links))
    }

    fn of(catalog: &Catalog, mut links: Links) -> Self {
        let members: Vec<MediaKey> = links.parents.keys().copied().collect();
        let mut sets: BTreeMap<MediaKey, Vec<MediaKey>> = BTreeMap::new();
        for key in members {
            sets.entry(links.root(key)).or_default().push(key);
        }
        let mut found = Self::default();
        for mut keys in sets.into_values().filter(|keys| keys.len() > 1) {
            keys.sort_unstable();
            let records = keys.iter().filter_map(|key| catalog.record(*key));
            let Some((_, oldest)) = records.map(|record| (record.imported(), record.id())).min()
            else {
                continue;
            };
            let digits = format!("{:x}", md5::compute(oldest.as_str()));
            for key in &keys {
                found.of.insert(*key, found.groups.len());
            }
            found.groups.push(DuplicateGroup {
                name: format!("G{}", digits.get(..8).unwrap_or(&digits)),
                keys,
            });
        }
        found
    }

    /// The group of a medium, when it is in one.
    pub fn group_of(&self, key: MediaKey) -> Option<&DuplicateGroup> {
        self.groups.get(*self.of.get(&key)?)
    }

    /// The groups whose name begins like this, with the `G` or without its case; at least
    /// four digits of it must be there.
    pub fn named<'g>(&'g self, name: &str) -> impl Iterator<Item = &'g DuplicateGroup> {
        let digits = digits(name).map(str::to_lowercase);
        self.groups.iter().filter(move |group| {
            let own = group.name.get(1..).unwrap_or_default();
            digits
                .as_ref()
                .is_some_and(|digits| own.starts_with(digits))
        })
    }
}

/// The groups, what they were found in, and what that took.
pub(super) struct KnownGroups {
    /// Of the catalog and of the index.
    version: [u64; 2],
    groups: Arc<DuplicateGroups>,
    at: Instant,
    took: Duration,
}

impl Engine {
    /// The groups of duplicates of every kind; waits, where the library has changed since
    /// they were found last.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn duplicate_groups_now(&self) -> Result<Arc<DuplicateGroups>, Error> {
        self.groups_no_older_than(|_| false)
    }

    /// The group of a medium that is like another one, as its sidecar or its bytes say;
    /// one of some time ago where finding them takes long. Waits.
    ///
    /// # Errors
    /// As [`duplicate_groups_now`](Self::duplicate_groups_now).
    pub fn duplicate_group_now(&self, key: MediaKey) -> Result<Option<DuplicateGroup>, Error> {
        let catalog = self.catalog();
        let is_like_others = catalog.record(key).is_some_and(|record| {
            let has = record.has();
            let twins = record.md5().map(|md5| catalog.keys_of_md5(&md5).len());
            has.contains(Facets::SIMILAR) || has.contains(Facets::RELATION) || twins > Some(1)
        });
        if !is_like_others {
            return Ok(None);
        }
        let groups = self.groups_no_older_than(|known| known.at.elapsed() < known.took * REST)?;
        Ok(groups.group_of(key).cloned())
    }

    /// The groups as they are, or as they were when that will do.
    fn groups_no_older_than(
        &self,
        will_do: impl FnOnce(&KnownGroups) -> bool,
    ) -> Result<Arc<DuplicateGroups>, Error> {
        let core = &self.core;
        // Whoever comes second waits for the first instead of finding them as well.
        let mut known = lock(&core.groups);
        let catalog = core.catalog.load();
        let version = [catalog.version(), core.library.sequence()?];
        if let Some(known) = &*known
            && (known.version == version || will_do(known))
        {
            return Ok(Arc::clone(&known.groups));
        }
        let at = Instant::now();
        let groups =
            DuplicateGroups::find(&catalog, |detail, on| core.library.details(detail, on))?;
        let groups = Arc::new(groups);
        *known = Some(KnownGroups {
            version,
            groups: Arc::clone(&groups),
            at,
            took: at.elapsed(),
        });
        Ok(groups)
    }
}

/// What follows the `G` of a name that may be one of a group.
pub fn digits(name: &str) -> Option<&str> {
    let digits = name.strip_prefix(['g', 'G'])?;
    let is_name = digits.len() >= MIN_PREFIX && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_name.then_some(digits)
}

/// Which media hang together, directly or by way of others.
#[derive(Default)]
struct Links {
    parents: HashMap<MediaKey, MediaKey>,
}

impl Links {
    /// Links a medium with the first that had the same.
    fn same<K: std::hash::Hash + Eq>(
        &mut self,
        first: &mut HashMap<K, MediaKey>,
        what: K,
        key: MediaKey,
    ) {
        match first.entry(what) {
            hash_map::Entry::Occupied(known) => self.link(*known.get(), key),
            hash_map::Entry::Vacant(free) => {
                free.insert(key);
            }
        }
    }

    fn link(&mut self, a: MediaKey, b: MediaKey) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents.insert(a.max(b), a.min(b));
    }

    fn root(&mut self, key: MediaKey) -> MediaKey {
        let mut root = key;
        while let Some(parent) = self.parents.get(&root).filter(|parent| **parent != root) {
            root = *parent;
        }
        // The way is short the next time.
        let mut at = key;
        while at != root {
            at = self.parents.insert(at, root).unwrap_or(root);
        }
        self.parents.insert(root, root);
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        entry::{Entry, FileFacts},
        id::Md5,
        media::Media,
    };

    fn entry(key: u32, imported: i64, md5: Option<u8>) -> Entry {
        let facts = FileFacts {
            path: format!("images/{key}.png"),
            bytes: 1,
            modified: imported,
            has_sidecar: false,
            is_missing: false,
        };
        Entry {
            md5: md5.map(|byte| Md5([byte; 16])),
            imported,
            ..Entry::new(
                MediaKey(key),
                format!("id{key}").parse().unwrap(),
                &facts,
                &Media::default(),
            )
        }
    }

    fn groups(
        entries: &[Entry],
        relations: &[(u32, &str)],
        pixels: &[(u32, &str)],
    ) -> DuplicateGroups {
        let catalog = Catalog::from_entries(entries.to_vec(), true);
        DuplicateGroups::find(&catalog, |detail, on| {
            let rows = match detail {
                Detail::Relation => relations,
                Detail::Hash("pixel") => pixels,
                other => return Err(format!("{other:?}")),
            };
            for (key, text) in rows {
                on(MediaKey(*key), text);
            }
            Ok(())
        })
        .unwrap()
    }

    fn keys(groups: &DuplicateGroups) -> Vec<Vec<u32>> {
        let keys = |group: &DuplicateGroup| group.keys.iter().map(|key| key.0).collect();
        groups.groups.iter().map(keys).collect()
    }

    #[test]
    fn media_hang_together_by_bytes_pixels_and_relations() {
        let entries = [
            entry(1, 50, Some(7)),
            entry(2, 40, Some(7)),
            entry(3, 30, None),
            entry(4, 20, None),
            entry(5, 10, None),
            entry(6, 10, None),
            entry(7, 10, Some(9)),
        ];
        let pixels = [(2, "aa"), (3, "aa"), (7, "bb")];
        let relations = [
            (3, "similar\nid4"),
            (5, "similar\nid6"),
            (6, "not_duplicate\nid5"),
            (5, "variants\nid7"),
            (7, "similar\ngone"),
        ];
        let found = groups(&entries, &relations, &pixels);
        assert_eq!(keys(&found), [[1, 2, 3, 4]]);
        assert_eq!(found.group_of(MediaKey(5)), None);
        let name = found.group_of(MediaKey(1)).unwrap().name.clone();
        for (typed, count) in [
            (name.as_str(), 1),
            (&name.to_lowercase(), 1),
            (&name[..5], 1),
            (&name[..4], 0),
            ("G00000000", 0),
            ("Gxyz1234", 0),
        ] {
            assert_eq!(found.named(typed).count(), count, "{typed}");
        }

        // What joins later changes no name, whatever its key and its id.
        let mut more = entries.to_vec();
        more.push(entry(0, 60, Some(7)));
        let grown = groups(&more, &relations, &pixels);
        assert_eq!(keys(&grown), [[0, 1, 2, 3, 4]]);
        assert_eq!(grown.groups[0].name, name);
        // Nor does it matter which keys a rebuild gives.
        let renamed: Vec<Entry> = entries
            .iter()
            .map(|entry| Entry {
                key: MediaKey(100 - entry.key.0),
                ..entry.clone()
            })
            .collect();
        let pixels = [(98, "aa"), (97, "aa")];
        let again = groups(&renamed, &[(97, "similar\nid4")], &pixels);
        assert_eq!(again.groups[0].name, name);
    }
}
