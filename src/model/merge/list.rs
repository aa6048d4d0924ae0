//! Ordered lists of three sides: what stays, and in which order.

use std::collections::{HashMap, HashSet};

use crate::model::patch::keys;

/// Merges base, older and newer by key. `both` decides about an element that both
/// sides changed, or one changed and the other removed: `(key, base, older, newer)`.
pub(super) fn merge_list<T: Clone + PartialEq>(
    [base, older, newer]: [&[T]; 3],
    key: impl Fn(&T) -> String,
    mut both: impl FnMut(&str, Option<&T>, Option<&T>, Option<&T>) -> Option<T>,
) -> Vec<T> {
    if older == newer || newer == base {
        return older.to_vec();
    }
    if older == base {
        return newer.to_vec();
    }
    let names = [base, older, newer].map(|list| keys(list, &key));
    let [in_base, in_older, in_newer] = [0, 1, 2].map(|side: usize| -> HashMap<&str, &T> {
        let list = [base, older, newer][side];
        names[side].iter().map(String::as_str).zip(list).collect()
    });
    order(&names)
        .into_iter()
        .filter_map(|name| {
            let base = in_base.get(name).copied();
            let older = in_older.get(name).copied();
            let newer = in_newer.get(name).copied();
            if older == newer || newer == base {
                older.cloned()
            } else if older == base {
                newer.cloned()
            } else {
                both(name, base, older, newer)
            }
        })
        .collect()
}

/// The keys of both sides: in the order of the one that moved something, with what
/// the other added behind what it followed there.
fn order([base, older, newer]: &[Vec<String>; 3]) -> Vec<&str> {
    let set = |keys: &'_ [String]| -> HashSet<String> { keys.iter().cloned().collect() };
    let (in_base, in_older, in_newer) = (set(base), set(older), set(newer));
    let is_moved = |side: &[String], in_side: &HashSet<String>| {
        let stayed = base.iter().filter(|key| in_side.contains(*key));
        stayed.ne(side.iter().filter(|key| in_base.contains(*key)))
    };
    let (first, second, in_first, in_second) = if is_moved(newer, &in_newer) {
        (newer, older, in_newer, in_older)
    } else {
        (older, newer, in_older, in_newer)
    };
    // What is put behind each element of the first list, the start being `None`;
    // elements that only the first has stay in front of additions of the second.
    let mut behind: HashMap<Option<&str>, Vec<&str>> = HashMap::new();
    let mut last = None;
    for key in second {
        if in_first.contains(key) {
            last = Some(key.as_str());
        } else {
            behind.entry(last).or_default().push(key);
        }
    }
    let mut list = Vec::with_capacity(first.len() + second.len());
    let mut waiting = behind.remove(&None).unwrap_or_default();
    for key in first {
        let is_own_addition = !in_base.contains(key) && !in_second.contains(key);
        if !is_own_addition {
            list.append(&mut waiting);
        }
        list.push(key.as_str());
        if let Some(mut additions) = behind.remove(&Some(key.as_str())) {
            waiting.append(&mut additions);
        }
    }
    list.append(&mut waiting);
    list
}
