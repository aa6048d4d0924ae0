//! Terms about tags: aliases resolved, implied tags counted in.

use std::{borrow::Cow, collections::HashSet};

use roaring::{MultiOps, RoaringBitmap};

use super::{Evaluation, Media, Result, STEP};
use crate::{
    engine::search::{
        explain::How,
        text::{Glob, glob},
    },
    model::{
        catalog::{Catalog, Column},
        tag::TagName,
    },
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
                && let Some((name, media)) = catalog.tag_at(number)
                && is_of_category(name)
                && !media.is_empty()
            {
                found.push(media);
            }
        }
        let stored: Media<'a> = match found.as_slice() {
            [one] => Cow::Borrowed(*one),
            many => Cow::Owned(many.iter().copied().union()),
        };
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
