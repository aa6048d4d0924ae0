//! The default order of all media, and where each stands in it.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use super::Catalog;
use crate::model::id::MediaKey;

/// Media in order.
pub struct Order {
    keys: Arc<[MediaKey]>,
    /// The place of each key; empty where the keys lie too far apart.
    ranks: OnceLock<Arc<[u32]>>,
}

impl Order {
    pub fn new(keys: impl Into<Arc<[MediaKey]>>) -> Self {
        Self {
            keys: keys.into(),
            ranks: OnceLock::new(),
        }
    }

    fn ranks(&self) -> &Arc<[u32]> {
        self.ranks.get_or_init(|| {
            let last = self.keys.iter().map(|key| key.0 as usize).max();
            let Some(last) = last.filter(|last| *last < 4 * self.keys.len() + 4_096) else {
                return Arc::default();
            };
            let mut ranks = vec![u32::MAX; last + 1];
            for (place, key) in (0..).zip(self.keys.iter()) {
                if let Some(rank) = ranks.get_mut(key.0 as usize) {
                    *rank = place;
                }
            }
            ranks.into()
        })
    }
}

impl Catalog {
    fn order(&self) -> &Arc<Order> {
        self.order.get_or_init(|| {
            if let Some(earlier) = &self.earlier {
                return Arc::new(self.mend_order(&earlier.order.keys, &earlier.touched));
            }
            let mut keys: Vec<_> = self.keys().collect();
            self.sort_by_default(&mut keys);
            Arc::new(Order::new(keys))
        })
    }

    /// All media, hidden ones included, newest import first and ties by id. Made
    /// when first asked for; after an edit, from the order before it.
    pub fn default_order(&self) -> Arc<[MediaKey]> {
        Arc::clone(&self.order().keys)
    }

    /// The place of each key in the [default order](Self::default_order), by the
    /// number of the key; `None` where numbers are too sparse for that.
    pub fn default_ranks(&self) -> Option<Arc<[u32]>> {
        let ranks = self.order().ranks();
        (!ranks.is_empty()).then(|| Arc::clone(ranks))
    }

    fn mend_order(&self, order: &[MediaKey], touched: &BTreeSet<MediaKey>) -> Order {
        let mut moved: Vec<_> = touched
            .iter()
            .copied()
            .filter(|key| self.contains(*key))
            .collect();
        self.sort_by_default(&mut moved);
        let kept: Vec<_> = order
            .iter()
            .copied()
            .filter(|key| !touched.contains(key))
            .collect();
        let mut merged = Vec::with_capacity(kept.len() + moved.len());
        let mut rest = kept.as_slice();
        for key in moved {
            let place = rest.partition_point(|known| self.default_cmp(*known, key).is_lt());
            let (before, after) = rest.split_at(place);
            merged.extend_from_slice(before);
            merged.push(key);
            rest = after;
        }
        merged.extend_from_slice(rest);
        Order::new(merged)
    }

    /// Sorts media the way they stand in the default order.
    pub fn sort_by_default(&self, keys: &mut [MediaKey]) {
        keys.sort_by_cached_key(|key| {
            self.record(*key)
                .map(|record| (Reverse(record.imported()), record.sort_id()))
        });
    }

    /// By id, the tie of every order.
    pub fn id_cmp(&self, a: MediaKey, b: MediaKey) -> std::cmp::Ordering {
        let id = |key| self.record(key).map(|record| record.sort_id());
        id(a).cmp(&id(b))
    }

    /// Newest import first, ties by id.
    pub fn default_cmp(&self, a: MediaKey, b: MediaKey) -> std::cmp::Ordering {
        let (Some(a), Some(b)) = (self.record(a), self.record(b)) else {
            return a.cmp(&b);
        };
        b.imported()
            .cmp(&a.imported())
            .then_with(|| a.sort_id().cmp(&b.sort_id()))
    }
}
