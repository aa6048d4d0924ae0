//! Terms about tags: aliases resolved, implied tags counted in.

use std::{borrow::Cow, collections::HashSet, thread};

use roaring::{MultiOps, RoaringBitmap};

use super::{Evaluation, Media, Result, STEP};
use crate::{
    engine::search::{
        explain::How,
        text::{Glob, glob},
    },
    model::{catalog::Catalog, column::Column, id::MediaKey, tag::TagName},
};

/// What a tag of a query stands for.
pub struct Meant {
    /// The tags of that name, by alias or as they are.
    pub names: Vec<TagName>,
    /// It was written as an alias of the only one of them.
    pub is_alias: bool,
}

/// The tags that a normalised name of a query means.
pub fn meant(catalog: &Catalog, category: Option<&str>, value: &str) -> Meant {
    let tags = catalog.tag_database();
    let mut names: Vec<TagName> = match category {
        Some(category) => vec![TagName::new(category, value)],
        None => catalog
            .tagged_value(value)
            .map(|(name, _)| name.clone())
            .chain(tags.with_value(value).iter().cloned())
            .chain(tags.targets().filter(|name| name.value == value).cloned())
            .collect(),
    };
    let alias = tags
        .alias(value)
        .filter(|name| category.is_none_or(|category| name.category == category));
    if let Some(name) = alias {
        names.clear();
        names.push(name.clone());
    }
    // `tag:category:value` reaches a category whose name is a key.
    if category.is_none()
        && let Some((category, value)) = value.split_once(':')
    {
        let name = TagName::new(category, value);
        if catalog.tagged(&name).is_some() || tags.knows(&name) {
            names.push(name);
        }
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Meant {
        is_alias: alias.is_some(),
        names,
    }
}

/// The media that count as having a tag.
pub fn counting<'a>(catalog: &'a Catalog, name: &TagName, parts: &mut Vec<&'a RoaringBitmap>) {
    let counting = catalog.tag_database().counting_as(name);
    parts.extend(
        counting
            .names
            .iter()
            .filter_map(|name| catalog.tagged(name)),
    );
    for alias in &counting.aliases {
        parts.extend(catalog.tagged_value(alias).map(|(_, media)| media));
    }
}

impl<'a> Evaluation<'a> {
    /// The media that count as having a tag of that name.
    pub(super) fn tag(&self, meant: &Meant) -> Media<'a> {
        let mut parts = Vec::new();
        for name in &meant.names {
            counting(self.catalog, name, &mut parts);
        }
        union(&parts)
    }

    /// The media on which a tag of that name is stored.
    pub(super) fn stored_tag(&self, value: &str) -> Media<'a> {
        let mut found: Vec<&RoaringBitmap> = (self.catalog.tagged_value(value))
            .map(|(_, media)| media)
            .collect();
        if let Some((category, value)) = value.split_once(':') {
            let category = self.catalog.tag_database().category_name(category);
            found.extend(self.catalog.tagged(&TagName::new(&category, value)));
        }
        union(&found)
    }

    /// `*` in any place of a name; implied tags count.
    pub(super) fn wildcard(&mut self, category: Option<&str>, pattern: &str) -> Result<Media<'a>> {
        if category.is_none() && pattern.bytes().all(|b| b == b'*') {
            return self.above(Column::Tags, 1.0);
        }
        let is_of_category =
            |name: &TagName| category.is_none_or(|category| name.category == category);
        let matches = |name: &TagName| is_of_category(name) && glob(pattern, &name.value);
        self.did(How::Names);
        let catalog = self.catalog;
        let matcher = Glob::new(pattern);
        let mut found = Vec::new();
        for (place, (number, value)) in catalog.tag_values().enumerate() {
            if place % STEP == 0 {
                self.check()?;
            }
            if matcher.matches(value)
                && (category.is_none()
                    || catalog.tag_names().get(number).is_some_and(is_of_category))
            {
                found.push(number);
            }
        }
        let stored: Media<'a> = match found.as_slice() {
            [one] => catalog
                .tag_at(*one)
                .map_or_else(Cow::default, |(_, media)| Cow::Borrowed(media)),
            many => Cow::Owned(any_of(catalog, many)),
        };
        self.check()?;
        let mut parts = vec![stored.as_ref()];
        for name in self.catalog.tag_database().targets() {
            if matches(name) {
                counting(self.catalog, name, &mut parts);
            }
        }
        Ok(match parts.len() {
            1 => stored,
            _ => Cow::Owned(parts.union()),
        })
    }

    /// The media with any stored tag of such a name.
    pub(super) fn tags_where(&mut self, test: impl Fn(&TagName) -> bool) -> Result<Media<'a>> {
        self.did(How::Names);
        let mut found = Vec::new();
        for (place, (name, media)) in self.catalog.tag_bitmaps().enumerate() {
            if place % STEP == 0 {
                self.check()?;
            }
            if test(name) {
                found.push(media);
            }
        }
        Ok(Cow::Owned(found.into_iter().union()))
    }
}

fn union<'a>(parts: &[&'a RoaringBitmap]) -> Media<'a> {
    match parts {
        [] => Cow::default(),
        [one] => Cow::Borrowed(*one),
        many => Cow::Owned(many.iter().copied().union()),
    }
}

/// Tags whose sets are united before what is left is looked at; four times as many later.
const FIRST: usize = 64;
/// So many sets are united by two threads.
const MANY: usize = 512;
/// To look at the tags of one medium takes as long as to unite sets with so many media.
const LOOK: u64 = 160;

/// The media that have any of some tags, given by number. The common ones have the lowest
/// numbers: once most media have one of them, few are left to be looked at, and the sets
/// of thousands of rare tags are not.
fn any_of(catalog: &Catalog, numbers: &[u32]) -> RoaringBitmap {
    let size = |number: &u32| catalog.tag_size(*number).map_or(0, u64::from);
    let mut left: u64 = numbers.iter().map(size).sum();
    let mut found = RoaringBitmap::new();
    let (mut rest, mut step) = (numbers, FIRST);
    while !rest.is_empty() {
        let others = catalog.all().len().saturating_sub(found.len());
        if others.saturating_mul(LOOK) < left {
            let mut is_wanted = vec![false; catalog.vocabulary().1];
            for number in rest {
                if let Some(is_wanted) = is_wanted.get_mut(*number as usize) {
                    *is_wanted = true;
                }
            }
            let others = (catalog.all() - &found).into_iter().map(MediaKey);
            let others = others.filter_map(|key| catalog.record(key));
            found.extend(
                others
                    .filter(|record| record.tag_count_among(&is_wanted) > 0)
                    .map(|record| record.key().0),
            );
            break;
        }
        let (now, later) = rest.split_at(step.min(rest.len()));
        left -= now.iter().map(size).sum::<u64>();
        let part = |from: usize, by: usize| {
            let numbers = now.iter().skip(from).step_by(by);
            let sets = numbers.filter_map(|number| Some(catalog.tag_at(*number)?.1));
            sets.union()
        };
        if now.len() < MANY {
            found |= part(0, 1);
        } else {
            let second = thread::scope(|scope| {
                let second = scope.spawn(|| part(1, 2));
                found |= part(0, 2);
                second.join()
            });
            // It does not panic; if it did, it is done here.
            found |= second.unwrap_or_else(|_| part(1, 2));
        }
        (rest, step) = (later, step * 4);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        entry::{Entry, FileFacts},
        media::Media as Medium,
        tag::Tag,
    };

    /// Media with a common tag, but for one in so many, and some of many rare ones.
    fn assert_any(without: u32, rare: u32) {
        let entries: Vec<Entry> = (0..2_000_u32)
            .map(|key| {
                let common = (key % without != 0).then(|| Tag::new("", "common"));
                let others = (0..rare).map(|n| Tag::new("", &format!("t{}", key * 7 + n * 31)));
                let medium = Medium {
                    tags: common.into_iter().chain(others).collect(),
                    ..Medium::default()
                };
                let id = format!("m{key}").parse().unwrap();
                Entry::new(MediaKey(key), id, &FileFacts::default(), &medium)
            })
            .collect();
        let catalog = Catalog::from_entries(entries, true);
        for digits in [&['0', '1', '2', '3', '4', 'm'][..], &['3', '7', 'm']] {
            let is_wanted = |name: &TagName| name.value.contains(digits);
            let wanted = |number: &u32| catalog.tag_names().get(*number).is_some_and(is_wanted);
            let numbers: Vec<u32> = (0..).take(catalog.vocabulary().1).filter(wanted).collect();
            assert!(numbers.len() > FIRST * 5 + MANY, "{}", numbers.len());
            let all = catalog.records();
            let expected = all.filter(|record| record.tags().any(is_wanted));
            let expected: RoaringBitmap = expected.map(|record| record.key().0).collect();
            assert_eq!(any_of(&catalog, &numbers), expected, "{digits:?}");
        }
    }

    #[test]
    fn many_sets_are_united_however_their_media_are_found() {
        // Most have a common tag, and the rest is looked at.
        assert_any(100, 30);
        // All sets are united.
        assert_any(2, 1);
    }
}
