//! The patch of an ordered list whose elements have a key: added, removed, changed
//! and moved elements. An element that stands twice is told apart by its number.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize};

/// What a list's patch found changed since, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Changed(String),
    Removed(String),
    Order,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct ListPatch<T> {
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change<T>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
}

/// Added without `before`, removed without `after`, changed in its place with both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Change<T> {
    key: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    before: Option<T>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    after: Option<T>,
    /// The index, and the key of the element before it, in the list that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<(usize, Option<String>)>,
}

/// All keys, when elements that are in both lists changed places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    before: Vec<String>,
    after: Vec<String>,
}

/// A key that is there has a value, even `null`.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl<T> Default for ListPatch<T> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            order: None,
        }
    }
}

impl<T> ListPatch<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.order.is_none()
    }

    /// The same patch over other elements with the same keys.
    pub(super) fn map<U>(&self, element: impl Fn(&T) -> U) -> ListPatch<U> {
        let change = |change: &Change<T>| Change {
            key: change.key.clone(),
            before: change.before.as_ref().map(&element),
            after: change.after.as_ref().map(&element),
            place: change.place.clone(),
        };
        ListPatch {
            changes: self.changes.iter().map(change).collect(),
            order: self.order.clone(),
        }
    }
}

impl<T: Clone + PartialEq> ListPatch<T> {
    pub(super) fn between(before: &[T], after: &[T], key: impl Fn(&T) -> String) -> Self {
        if before == after {
            return Self::default();
        }
        let (before_keys, after_keys) = (keys(before, &key), keys(after, &key));
        let (in_before, in_after) = (places(&before_keys), places(&after_keys));
        let mut changes = Vec::new();
        for (index, (key, element)) in before_keys.iter().zip(before).enumerate() {
            match in_after.get(key.as_str()) {
                Some(place) if after[*place] == *element => {}
                Some(place) => changes.push(Change {
                    key: key.clone(),
                    before: Some(element.clone()),
                    after: Some(after[*place].clone()),
                    place: None,
                }),
                None => changes.push(Change {
                    key: key.clone(),
                    before: Some(element.clone()),
                    after: None,
                    place: Some(place(&before_keys, index)),
                }),
            }
        }
        for (index, (key, element)) in after_keys.iter().zip(after).enumerate() {
            if !in_before.contains_key(key.as_str()) {
                changes.push(Change {
                    key: key.clone(),
                    before: None,
                    after: Some(element.clone()),
                    place: Some(place(&after_keys, index)),
                });
            }
        }
        let stayed_before = before_keys
            .iter()
            .filter(|key| in_after.contains_key(key.as_str()));
        let stayed_after = after_keys
            .iter()
            .filter(|key| in_before.contains_key(key.as_str()));
        let is_moved = stayed_before.ne(stayed_after);
        Self {
            changes,
            order: is_moved.then_some(Order {
                before: before_keys,
                after: after_keys,
            }),
        }
    }

    pub(super) fn inverse(&self) -> Self {
        let change = |change: &Change<T>| Change {
            key: change.key.clone(),
            before: change.after.clone(),
            after: change.before.clone(),
            place: change.place.clone(),
        };
        Self {
            changes: self.changes.iter().map(change).collect(),
            order: self.order.as_ref().map(|order| Order {
                before: order.after.clone(),
                after: order.before.clone(),
            }),
        }
    }

    pub(super) fn apply(&self, list: &mut Vec<T>, key: impl Fn(&T) -> String) -> Vec<Left> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut items = keyed(std::mem::take(list), key);
        let mut left = self.add(&mut items);
        left.extend(self.order(&mut items));
        left.extend(self.remove(&mut items));
        list.extend(items.into_iter().map(|(_, element)| element));
        left
    }

    /// The additions and changes.
    pub(super) fn add(&self, items: &mut Vec<(String, T)>) -> Vec<Left> {
        let mut left = Vec::new();
        let places: HashMap<String, usize> = items
            .iter()
            .enumerate()
            .map(|(index, (key, _))| (key.clone(), index))
            .collect();
        let mut additions = Vec::new();
        for change in &self.changes {
            let Some(after) = &change.after else {
                continue;
            };
            let current = places.get(&change.key).map(|place| &mut items[*place].1);
            match (current, &change.before) {
                (Some(current), _) if current == after => {}
                (Some(current), Some(before)) if current == before => {
                    current.clone_from(after);
                }
                (Some(_), _) => left.push(Left::Changed(change.key.clone())),
                (None, Some(_)) => left.push(Left::Removed(change.key.clone())),
                (None, None) => additions.push(change),
            }
        }
        if !additions.is_empty() {
            insert(items, additions);
        }
        left
    }

    /// The moves alone.
    pub(super) fn order(&self, items: &mut Vec<(String, T)>) -> Option<Left> {
        let order = self.order.as_ref()?;
        (!order.apply(items)).then_some(Left::Order)
    }

    /// The removals alone.
    pub(super) fn remove(&self, items: &mut Vec<(String, T)>) -> Vec<Left> {
        let mut left = Vec::new();
        let removals: HashMap<&str, &T> = self
            .changes
            .iter()
            .filter(|change| change.after.is_none())
            .filter_map(|change| Some((change.key.as_str(), change.before.as_ref()?)))
            .collect();
        items.retain(|(key, element)| match removals.get(key.as_str()) {
            Some(before) if *before == element => false,
            Some(_) => {
                left.push(Left::Changed(key.clone()));
                true
            }
            None => true,
        });
        left
    }
}

impl Order {
    /// Moves what stands in the old order into the new one; what came since stays
    /// in its place. False when the order was changed since.
    fn apply<T>(&self, items: &mut Vec<(String, T)>) -> bool {
        let (before, after) = (places(&self.before), places(&self.after));
        let current: Vec<&str> = items
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| after.contains_key(key))
            .collect();
        if current.is_sorted_by_key(|key| after.get(key)) {
            return true;
        }
        let stayed = current.iter().filter_map(|key| before.get(key));
        if !stayed.is_sorted() {
            return false;
        }
        let rank: Vec<Option<usize>> = items
            .iter()
            .map(|(key, _)| after.get(key.as_str()).copied())
            .collect();
        let mut slots: Vec<usize> = (0..items.len())
            .filter(|index| rank[*index].is_some())
            .collect();
        let mut sources = slots.clone();
        sources.sort_by_key(|index| rank[*index]);
        let mut taken: Vec<Option<(String, T)>> = items.drain(..).map(Some).collect();
        let mut ordered: Vec<Option<(String, T)>> = Vec::with_capacity(taken.len());
        ordered.resize_with(taken.len(), || None);
        for (slot, source) in slots.drain(..).zip(sources) {
            ordered[slot] = taken[source].take();
        }
        for (slot, rest) in ordered.iter_mut().zip(taken) {
            if slot.is_none() {
                *slot = rest;
            }
        }
        items.extend(ordered.into_iter().flatten());
        true
    }
}

/// Puts each addition behind the element it followed, or at its index where that
/// one is gone.
fn insert<T: Clone>(items: &mut Vec<(String, T)>, mut additions: Vec<&Change<T>>) {
    additions.sort_by_key(|change| change.place.as_ref().map(|(index, _)| *index));
    let mut waiting: HashMap<&str, Vec<&Change<T>>> = HashMap::new();
    let mut first = Vec::new();
    for change in additions.iter().rev() {
        match &change.place {
            Some((_, Some(follows))) => waiting.entry(follows).or_default().push(change),
            _ => first.push(*change),
        }
    }
    let mut list = Vec::with_capacity(items.len() + additions.len());
    let mut added = HashSet::with_capacity(additions.len());
    chain(first, &mut waiting, &mut added, &mut list);
    for (key, element) in items.drain(..) {
        let behind = waiting.remove(key.as_str()).unwrap_or_default();
        list.push((key, element));
        chain(behind, &mut waiting, &mut added, &mut list);
    }
    for change in additions {
        if added.contains(change.key.as_str()) {
            continue;
        }
        let mut run = Vec::new();
        chain(vec![change], &mut waiting, &mut added, &mut run);
        let index = change.place.as_ref().map_or(0, |(index, _)| *index);
        let index = index.min(list.len());
        list.splice(index..index, run);
    }
    *items = list;
}

/// Appends additions, the last one first, each with what follows it.
fn chain<'a, T: Clone>(
    mut stack: Vec<&'a Change<T>>,
    waiting: &mut HashMap<&'a str, Vec<&'a Change<T>>>,
    added: &mut HashSet<&'a str>,
    list: &mut Vec<(String, T)>,
) {
    while let Some(change) = stack.pop() {
        if let Some(element) = &change.after
            && added.insert(&change.key)
        {
            list.push((change.key.clone(), element.clone()));
            stack.extend(waiting.remove(change.key.as_str()).unwrap_or_default());
        }
    }
}

fn place(keys: &[String], index: usize) -> (usize, Option<String>) {
    (
        index,
        index.checked_sub(1).map(|before| keys[before].clone()),
    )
}

/// The key of every element; the second one of a name is marked with its number.
pub(in crate::model) fn keys<T>(list: &[T], key: impl Fn(&T) -> String) -> Vec<String> {
    let mut count: HashMap<String, usize> = HashMap::with_capacity(list.len());
    list.iter()
        .map(|element| {
            let key = key(element);
            let number = count.entry(key.clone()).or_default();
            *number += 1;
            // The mark itself is escaped, so that no two keys can be equal.
            if *number == 1 && !key.starts_with('\u{1}') {
                key
            } else {
                format!("\u{1}{number} {key}")
            }
        })
        .collect()
}

/// The elements with their keys.
pub(super) fn keyed<T>(list: Vec<T>, key: impl Fn(&T) -> String) -> Vec<(String, T)> {
    keys(&list, key).into_iter().zip(list).collect()
}

fn places(keys: &[String]) -> HashMap<&str, usize> {
    let places = keys.iter().enumerate();
    places.map(|(index, key)| (key.as_str(), index)).collect()
}
