//! Names that the tag database knows and no picture has: aliases, tags that are only
//! implied, and those of a dictionary.

use std::{collections::HashSet, sync::Arc};

use super::typed::Typed;
use crate::model::{catalog::Catalog, tag::TagName, tagdb::TagDb};

/// Names that are looked at for one request.
const MAX_LOOKED_AT: usize = 4_000;

/// One such name.
struct Known {
    /// What may be typed.
    text: String,
    name: TagName,
    /// Whether the text is an alias of the name.
    is_alias: bool,
}

/// All of them in alphabetical order.
pub struct KnownNames {
    /// What they were made from.
    tags: Arc<TagDb>,
    sorted: Vec<Known>,
}

/// A name that starts like what was typed.
pub struct Found {
    pub name: TagName,
    /// The alias that was typed.
    pub via: Option<String>,
    /// Media that count as having it.
    pub count: u64,
    /// How often others use it.
    pub elsewhere: u64,
}

impl KnownNames {
    pub fn new(tags: &Arc<TagDb>) -> Self {
        let aliases = tags.aliases().map(|(alias, name)| Known {
            text: alias.to_owned(),
            name: name.clone(),
            is_alias: true,
        });
        let names: HashSet<&TagName> = tags
            .rows()
            .map(|(name, _)| name)
            .chain(tags.targets())
            .collect();
        let names = names.into_iter().map(|name| Known {
            text: name.value.clone(),
            name: name.clone(),
            is_alias: false,
        });
        let mut sorted: Vec<Known> = aliases.chain(names).collect();
        sorted.sort_unstable_by(|a, b| (&a.text, &a.name).cmp(&(&b.text, &b.name)));
        Self {
            tags: Arc::clone(tags),
            sorted,
        }
    }

    /// Whether these are the names of that database.
    pub fn are_of(&self, tags: &Arc<TagDb>) -> bool {
        Arc::ptr_eq(&self.tags, tags)
    }

    /// Those that start like what was typed, the most used first; not those that
    /// pictures have, and none that is deprecated.
    pub fn starting(&self, catalog: &Catalog, typed: &Typed, limit: usize) -> Vec<Found> {
        let prefix = typed.text.as_str();
        if prefix.is_empty() {
            return Vec::new();
        }
        let start = self
            .sorted
            .partition_point(|known| known.text.as_str() < prefix);
        let mut found: Vec<Found> = self
            .sorted
            .iter()
            .skip(start)
            .take_while(|known| known.text.starts_with(prefix))
            .take(MAX_LOOKED_AT)
            .filter(|known| {
                let is_wanted = typed
                    .category
                    .as_ref()
                    .is_none_or(|wanted| known.name.category == *wanted);
                let row = self.tags.row(&known.name);
                let is_old = row.is_some_and(|row| row.is_deprecated);
                let is_stored = !known.is_alias && catalog.tag_count(&known.name) > 0;
                is_wanted && !is_old && !is_stored
            })
            .map(|known| Found {
                via: known.is_alias.then(|| known.text.clone()),
                count: catalog.tag_count(&known.name),
                elsewhere: self
                    .tags
                    .row(&known.name)
                    .and_then(|row| row.count)
                    .unwrap_or(0),
                name: known.name.clone(),
            })
            .collect();
        found.sort_by(|a, b| {
            (b.count, b.elsewhere)
                .cmp(&(a.count, a.elsewhere))
                .then_with(|| a.name.cmp(&b.name))
        });
        found.truncate(limit);
        found
    }
}
