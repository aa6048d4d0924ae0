//! All media in the order of a column, and what follows from that: the default order,
//! the first media of any other, and what lies between two values.
//!
//! Invariant: an order is made when it is first asked for as a whole, or from that of the catalog
//! before and what was touched since; it never changes. Those that nobody asked for lately are
//! let go and made again.

mod digits;
mod first;
mod making;

use std::{
    cmp::Ordering,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{self, AtomicU64},
    },
};

use roaring::RoaringBitmap;

pub(super) use self::making::Marks;
use super::{Catalog, column::Value};
use crate::model::{column::Column, id::MediaKey};

/// Media in order; ties stand by id.
pub struct Order {
    column: Column,
    keys: Arc<[MediaKey]>,
    /// So many have a value; the others come last.
    valued: usize,
    /// Where another value begins.
    starts: OnceLock<Marks>,
    /// The place of each key; empty where the keys lie too far apart.
    ranks: OnceLock<Arc<[u32]>>,
}

/// The order of one column, as far as it was asked for.
#[derive(Default)]
pub(super) struct Slot(Mutex<State>);

/// What a slot holds. Nobody makes an order while he holds the lock on it.
#[derive(Default)]
struct State {
    /// Made by the first to ask; others wait for him.
    order: Arc<OnceLock<Arc<Order>>>,
    /// From what to make it; let go once it is made.
    earlier: Option<Earlier>,
    /// When it was asked for last: the later, the larger.
    asked: u64,
}

/// The order of an earlier catalog, and the media whose place in it is not right.
#[derive(Clone)]
struct Earlier {
    order: Arc<Order>,
    touched: Arc<RoaringBitmap>,
}

/// Orders that are kept beside those that the catalog is stored with. With all that there
/// are, a third of the memory of a large catalog would be orders.
const LATEST: usize = 8;

impl Clone for Slot {
    fn clone(&self) -> Self {
        let state = self.state();
        Self(Mutex::new(State {
            // What is made later, each makes for himself.
            order: Arc::new(OnceLock::clone(&state.order)),
            earlier: state.earlier.clone(),
            asked: state.asked,
        }))
    }
}

impl Slot {
    pub fn of(order: Arc<Order>) -> Self {
        let state = State {
            order: Arc::new(OnceLock::from(order)),
            ..State::default()
        };
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&mut self) -> &mut State {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made already.
    fn made(&self) -> Option<Arc<Order>> {
        self.state().order.get().cloned()
    }

    /// The order, made or not, and from what to make it, for who wants it now.
    fn ask(&self) -> (Arc<OnceLock<Arc<Order>>>, Option<Earlier>) {
        static NOW: AtomicU64 = AtomicU64::new(1);
        let mut state = self.state();
        state.asked = NOW.fetch_add(1, atomic::Ordering::Relaxed);
        (Arc::clone(&state.order), state.earlier.clone())
    }

    /// Keeps nothing but what it was asked for last.
    fn let_go(&self) {
        let mut state = self.state();
        (state.order, state.earlier) = Default::default();
    }

    /// The same for a catalog that is about to change.
    pub fn to_change(&self) -> Self {
        let state = self.state();
        let made = state.order.get().map(|order| Earlier {
            order: Arc::clone(order),
            touched: Arc::default(),
        });
        Self(Mutex::new(State {
            order: Arc::default(),
            earlier: made.or_else(|| state.earlier.clone()),
            asked: state.asked,
        }))
    }

    /// Whether there is an order from which another can be made.
    pub fn has_earlier(&mut self) -> bool {
        self.state_mut().earlier.is_some()
    }

    /// The place of a medium changes.
    pub fn touch(&mut self, key: MediaKey) {
        if let Some(earlier) = &mut self.state_mut().earlier {
            Arc::make_mut(&mut earlier.touched).insert(key.0);
        }
    }

    /// After the changes, of which `len` media are left.
    pub fn changed(&mut self, len: usize) {
        let state = self.state_mut();
        let earlier = &mut state.earlier;
        // An order of which too little is right is made anew.
        earlier.take_if(|earlier| earlier.touched.len() > 64 + len as u64 / 8);
        if let Some(earlier) = earlier.take_if(|earlier| earlier.touched.is_empty()) {
            state.order = Arc::new(OnceLock::from(earlier.order));
        }
    }
}

impl Order {
    /// Media in the order in which they stand, of which so many have a value.
    pub(super) fn new(column: Column, keys: impl Into<Arc<[MediaKey]>>, valued: usize) -> Self {
        Self {
            column,
            keys: keys.into(),
            valued,
            starts: OnceLock::new(),
            ranks: OnceLock::new(),
        }
    }

    pub(super) fn with_starts(self, starts: Marks) -> Self {
        Self {
            starts: OnceLock::from(starts),
            ..self
        }
    }

    /// In the direction that is the column's own.
    pub fn keys(&self) -> &Arc<[MediaKey]> {
        &self.keys
    }

    /// How many have a value; the others come last.
    pub(super) fn valued(&self) -> usize {
        self.valued
    }

    /// The place of each key, by the number of the key; `None` where numbers are too
    /// sparse for that.
    pub fn ranks(&self) -> Option<&[u32]> {
        let ranks = self.ranks.get_or_init(|| self.places().into());
        (!ranks.is_empty()).then_some(ranks)
    }

    /// The same for who does not need them again; empty where numbers are too sparse.
    fn places(&self) -> Vec<u32> {
        let last = self.keys.iter().map(|key| key.0 as usize).max();
        let Some(last) = last.filter(|last| *last < 4 * self.keys.len() + 4_096) else {
            return Vec::new();
        };
        let mut places = vec![u32::MAX; last + 1];
        for (place, key) in (0..).zip(self.keys.iter()) {
            if let Some(of_key) = places.get_mut(key.0 as usize) {
                *of_key = place;
            }
        }
        places
    }

    /// The same media in the same order are kept once: where pictures are filed by their
    /// ids, they stand alike by id, path and name.
    pub(super) fn sharing<'a>(mut self, others: impl Iterator<Item = &'a Arc<Self>>) -> Self {
        let mut same = others.filter(|other| other.keys == self.keys);
        if let Some(other) = same.next() {
            self.keys = Arc::clone(&other.keys);
        }
        self
    }

    /// Whether it is known where values begin, so that [`groups`](Self::groups) need not
    /// compare any.
    pub fn knows_groups(&self) -> bool {
        self.starts.get().is_some()
    }

    /// Where another value than that before begins.
    pub(super) fn starts(&self, catalog: &Catalog) -> &Marks {
        let find = || catalog.find_starts(self.column, &self.keys, self.valued);
        self.starts.get_or_init(find)
    }

    /// Those with the same value together, in the column's own direction or the other;
    /// in either those without a value come last. Who wants no more than a few lets them
    /// be compared one by one.
    pub fn groups<'a>(
        &'a self,
        catalog: &'a Catalog,
        is_reversed: bool,
        is_few: bool,
    ) -> impl Iterator<Item = &'a [MediaKey]> + use<'a> {
        let starts = if is_few {
            self.starts.get()
        } else {
            Some(self.starts(catalog))
        };
        let (mut first, mut end) = (0, self.valued);
        let mut others = self.keys.get(self.valued..).filter(|keys| !keys.is_empty());
        std::iter::from_fn(move || {
            if first >= end {
                return others.take();
            }
            let (from, until);
            if is_reversed {
                until = end;
                from = match starts {
                    Some(starts) => starts.last_before(end),
                    None => self.first_like_last(catalog, end),
                };
                end = from;
            } else {
                from = first;
                until = match starts {
                    Some(starts) => starts.next_after(first).min(end),
                    None => self.end_like_first(catalog, first),
                };
                first = until;
            }
            self.keys.get(from..until)
        })
    }

    /// Where those begin that have the value of the last before some end.
    fn first_like_last(&self, catalog: &Catalog, end: usize) -> usize {
        let value = |key: &MediaKey| catalog.value(self.column, *key);
        let before = self.keys.get(..end).unwrap_or_default();
        let last = before.last().and_then(value);
        let mut width = 2;
        loop {
            let from = end.saturating_sub(width);
            let some = before.get(from..).unwrap_or_default();
            if from == 0 || some.first().is_none_or(|key| value(key) != last) {
                return from + some.partition_point(|key| value(key) != last);
            }
            width *= 2;
        }
    }

    /// Where those end that have the value of the one at a place.
    fn end_like_first(&self, catalog: &Catalog, place: usize) -> usize {
        let value = |key: &MediaKey| catalog.value(self.column, *key);
        let valued = self.keys.get(..self.valued).unwrap_or_default();
        let behind = valued.get(place..).unwrap_or_default();
        let first = behind.first().and_then(value);
        let mut width = 2;
        loop {
            let some = behind.get(..width).unwrap_or(behind);
            if some.len() < width || some.last().is_none_or(|key| value(key) != first) {
                return place + some.partition_point(|key| value(key) == first);
            }
            width *= 2;
        }
    }
}

impl Catalog {
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a slot for the place of each column"
    )]
    fn slot(&self, column: Column) -> &Slot {
        &self.columns[column.place()]
    }

    /// All media, hidden ones included, in the order of a column. Not for the thread
    /// that draws: the first to ask makes it, out of that of the catalog before or anew.
    pub fn ordered(&self, column: Column) -> Arc<Order> {
        let slot = self.slot(column);
        let (order, earlier) = slot.ask();
        if let Some(order) = order.get() {
            return Arc::clone(order);
        }
        let made = order.get_or_init(|| {
            let order = match earlier {
                Some(earlier) => self.mend_order(&earlier.order, &earlier.touched),
                None => self.make_order(column),
            };
            let others: Vec<Arc<Order>> = self.columns.iter().filter_map(Slot::made).collect();
            Arc::new(order.sharing(others.iter()))
        });
        slot.state().earlier = None;
        self.let_go_of_orders();
        Arc::clone(made)
    }

    /// Keeps no more orders than those that it is stored with and the latest ones.
    fn let_go_of_orders(&self) {
        let others = Column::all().zip(&self.columns);
        let others = others.filter(|(column, _)| !Column::KEPT.contains(column));
        let mut asked: Vec<(u64, &Slot)> = others
            .filter_map(|(_, slot)| {
                let state = slot.state();
                let is_there = state.order.get().is_some() || state.earlier.is_some();
                is_there.then_some((state.asked, slot))
            })
            .collect();
        asked.sort_unstable_by_key(|(asked, _)| std::cmp::Reverse(*asked));
        for (_, slot) in asked.into_iter().skip(LATEST) {
            slot.let_go();
        }
    }

    /// All media, hidden ones included, newest import first and ties by id.
    pub fn default_order(&self) -> Arc<[MediaKey]> {
        Arc::clone(self.ordered(Column::Imported).keys())
    }

    fn value(&self, column: Column, key: MediaKey) -> Option<Value<'_>> {
        column.value(&self.record(key)?)
    }

    /// The place of two values in the direction of their column, or the other.
    fn value_cmp(
        column: Column,
        is_reversed: bool,
        a: Option<&Value<'_>>,
        b: Option<&Value<'_>>,
    ) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if column.is_descending() != is_reversed => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    /// By id, the tie of every order.
    pub fn id_cmp(&self, a: MediaKey, b: MediaKey) -> Ordering {
        let id = |key| self.record(key).map(|record| record.sort_id());
        id(a).cmp(&id(b)).then(a.cmp(&b))
    }

    /// The first of some media as they stand in the order of a column, whose own
    /// direction may be reversed; of those with the same value favorites may go first.
    /// Takes long for many: see [`ordered`](Self::ordered).
    pub fn sorted_by(
        &self,
        column: Column,
        is_reversed: bool,
        favorites_first: bool,
        keys: impl Iterator<Item = MediaKey>,
        limit: usize,
    ) -> Vec<MediaKey> {
        let mut valued: Vec<(Option<Value<'_>>, MediaKey)> =
            keys.map(|key| (self.value(column, key), key)).collect();
        let is_favorite = |key: MediaKey| self.favorites().contains(key.0);
        let compare = |a: &(Option<Value<'_>>, MediaKey), b: &(Option<Value<'_>>, MediaKey)| {
            Self::value_cmp(column, is_reversed, a.0.as_ref(), b.0.as_ref())
                .then_with(|| {
                    (favorites_first && is_favorite(b.1))
                        .cmp(&(favorites_first && is_favorite(a.1)))
                })
                .then_with(|| self.id_cmp(a.1, b.1))
        };
        if limit > 0 && limit < valued.len() {
            valued.select_nth_unstable_by(limit - 1, compare);
            valued.truncate(limit);
        }
        valued.sort_unstable_by(compare);
        valued.into_iter().map(|(_, key)| key).collect()
    }

    /// The media whose number in a column is between two, both included.
    pub fn between(&self, column: Column, low: f64, high: f64) -> RoaringBitmap {
        let order = self.ordered(column);
        let number = |key: &MediaKey| {
            let record = self.record(*key);
            record.and_then(|record| column.number(&record))
        };
        // The largest come first.
        let valued = order.keys.get(..order.valued).unwrap_or_default();
        let start = valued.partition_point(|key| number(key).is_some_and(|number| number > high));
        let end = valued.partition_point(|key| number(key).is_some_and(|number| number >= low));
        self.cut(&order, start, end)
    }

    /// The media with exactly this text in a column.
    pub fn with_text(&self, column: Column, text: &str) -> RoaringBitmap {
        let order = self.ordered(column);
        let place = |key: &MediaKey| {
            let record = self.record(*key);
            record
                .and_then(|record| column.text(&record))
                .map_or(Ordering::Less, |known| {
                    super::natural::natural_cmp(&known, text)
                })
        };
        let valued = order.keys.get(..order.valued).unwrap_or_default();
        let start = valued.partition_point(|key| place(key).is_lt());
        let end = valued.partition_point(|key| place(key).is_le());
        self.cut(&order, start, end)
    }

    /// The media whose ids start like this.
    pub fn with_id_prefix(&self, prefix: &str) -> RoaringBitmap {
        let order = self.ordered(Column::Id);
        let is_before = |key: &MediaKey, is_equal: bool| {
            self.record(*key).is_some_and(|record| {
                let id = record.id();
                let start = id.as_str().as_bytes().get(..prefix.len());
                match start
                    .unwrap_or(id.as_str().as_bytes())
                    .cmp(prefix.as_bytes())
                {
                    Ordering::Equal => is_equal,
                    ordering => ordering.is_lt(),
                }
            })
        };
        let start = order.keys.partition_point(|key| is_before(key, false));
        let end = order.keys.partition_point(|key| is_before(key, true));
        self.cut(&order, start, end)
    }

    /// The media that stand at some places of an order.
    fn cut(&self, order: &Order, start: usize, end: usize) -> RoaringBitmap {
        let (before, rest) = order.keys.split_at(start.min(order.keys.len()));
        let (inside, after) = rest.split_at(end.saturating_sub(start).min(rest.len()));
        if inside.len() > order.keys.len() / 2 {
            self.all() - media([before, after])
        } else {
            media([inside, &[]])
        }
    }
}

/// Fewer keys are sorted, more are marked in a row of bits.
const FEW: usize = 2_048;

/// The set of some media.
fn media(parts: [&[MediaKey]; 2]) -> RoaringBitmap {
    let keys = || parts.into_iter().flatten().map(|key| key.0);
    let count = parts.iter().map(|part| part.len()).sum::<usize>();
    let last = keys().max().map_or(0, |key| key as usize);
    if count < FEW || last / 64 > count {
        let mut keys: Vec<u32> = keys().collect();
        keys.sort_unstable();
        return keys.into_iter().collect();
    }
    let mut bits = vec![0_u8; last / 8 + 1];
    for key in keys() {
        if let Some(byte) = bits.get_mut(key as usize / 8) {
            *byte |= 1 << (key % 8);
        }
    }
    RoaringBitmap::from_lsb0_bytes(0, &bits)
}
