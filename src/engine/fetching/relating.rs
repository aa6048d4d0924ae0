//! Parents and children, as posts name them: which of them are both here is found out,
//! and written into both sidecars. Either may come first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::{Core, save::write_batch};
use crate::{
    engine::event::SaveReport,
    model::{
        edit::Edit,
        fact::{Detail, Fact, PART},
        id::{MediaId, MediaKey},
        media::{Media, post_name},
        operation::{Operation, OperationId},
    },
    storage::{Change, Error},
};

/// The relations, as sidecars name them.
const PARENT: &str = "parent";
const CHILDREN: &str = "children";
/// Media whose family is looked for together: all others are looked at for it.
const TOGETHER: usize = 2_000;

/// The step of the user that something was learned in.
type Step = Option<OperationId>;
/// The edits of media, by the number of an operation.
type Edits = BTreeMap<MediaKey, BTreeMap<usize, Vec<Edit>>>;
/// A child, its parent, and the step in which either was learned.
type Pair = (MediaKey, MediaKey, Step);

/// What a medium knows of its family.
struct Relatives {
    id: MediaId,
    parents: HashSet<String>,
    children: HashSet<String>,
}

/// Media whose posts were just learned, by the names of posts, `site#id`.
#[derive(Default)]
pub(super) struct Family {
    posts: HashMap<String, (MediaKey, Step)>,
    /// Those that have the post as their parent.
    parents: HashMap<String, Vec<(MediaKey, Step)>>,
}

impl Family {
    /// Notes what is said of a medium, by sites or by what came with it.
    pub(super) fn note(&mut self, key: MediaKey, step: Step, said: &Media) {
        for (site, id) in said.posts() {
            self.posts.insert(post_name(site, &id), (key, step));
        }
        for (site, id) in said.parent_posts() {
            let children = self.parents.entry(post_name(site, &id)).or_default();
            children.push((key, step));
        }
    }

    /// Whether there are so many that nobody waits for more.
    pub(super) fn is_large(&self) -> bool {
        self.posts.len() >= TOGETHER
    }
}

impl Core {
    /// Writes who is parent of whom, where that is not known yet, each pair in the name of
    /// its step.
    pub(super) fn relate(&self, family: &Family, warnings: &mut Vec<String>) {
        let mut operations: Vec<Operation> = Vec::new();
        let edits = self.relations(family, warnings, &mut |step| {
            let known = operations.iter().position(|known| known.group == step);
            known.unwrap_or_else(|| {
                operations.push(Operation {
                    group: step,
                    ..self.library.operation("relate parents and children")
                });
                operations.len() - 1
            })
        });
        self.write_relations(&operations, edits, warnings);
        for operation in &operations {
            self.library.finish(operation);
        }
    }

    /// As [`Core::relate`], all in the name of one operation, which goes on.
    pub(super) fn relate_as(
        &self,
        operation: &Operation,
        family: &Family,
        warnings: &mut Vec<String>,
    ) {
        let edits = self.relations(family, warnings, &mut |_| 0);
        self.write_relations(std::slice::from_ref(operation), edits, warnings);
    }

    /// What is not known yet; `operation` gives the number of the one for a step.
    fn relations(
        &self,
        family: &Family,
        warnings: &mut Vec<String>,
        operation: &mut dyn FnMut(Step) -> usize,
    ) -> Edits {
        let mut failed = |error: Error| {
            let reason = error.chain();
            warnings.push(format!("parents and children are not related: {reason}"));
        };
        let pairs = self.pairs(family).unwrap_or_else(|error| {
            failed(error);
            BTreeSet::new()
        });
        let both = pairs
            .iter()
            .flat_map(|(child, parent, _)| [*child, *parent]);
        let known = self.relatives(both.collect(), &mut failed);
        let mut edits = Edits::new();
        let mut add = |key: MediaKey, step: Step, relation: &str, id: &MediaId| {
            let of_medium = edits.entry(key).or_default();
            let of_step = of_medium.entry(operation(step)).or_default();
            of_step.push(Edit::AddRelation {
                relation: relation.to_owned(),
                id: id.as_str().to_owned(),
            });
        };
        for (child, parent, step) in pairs {
            // Where one of them may not be changed the other is not, either.
            let (Some(of_child), Some(of_parent)) = (known.get(&child), known.get(&parent)) else {
                continue;
            };
            if !of_child.parents.contains(of_parent.id.as_str()) {
                add(child, step, PARENT, &of_parent.id);
            }
            if !of_parent.children.contains(of_child.id.as_str()) {
                add(parent, step, CHILDREN, &of_child.id);
            }
        }
        edits
    }

    fn write_relations(&self, operations: &[Operation], edits: Edits, warnings: &mut Vec<String>) {
        let mut changes = edits.into_iter().map(|(key, steps)| Change {
            key,
            steps: steps.into_iter().collect(),
        });
        let mut report = SaveReport::default();
        while write_batch(
            &self.library,
            &self.catalog,
            operations,
            &mut changes,
            self.now(),
            &mut report,
        ) > 0
        {}
        let failed = report.failed.into_iter().map(|(_, reason)| reason);
        let merged = report.warnings.into_iter().chain(report.merged);
        warnings.extend(merged.chain(failed));
    }

    /// Asks the index, for the catalog may not be loaded.
    fn pairs(&self, family: &Family) -> Result<BTreeSet<Pair>, Error> {
        let mut pairs = BTreeSet::new();
        if !family.parents.is_empty() {
            self.library.details(Detail::Post, &mut |parent, post| {
                for (child, step) in family.parents.get(post).into_iter().flatten() {
                    pairs.insert((*child, parent, *step));
                }
            })?;
        }
        if !family.posts.is_empty() {
            let parents = Detail::Fact(Fact::ParentPosts);
            self.library.details(parents, &mut |child, posts| {
                for post in posts.split(PART) {
                    if let Some((parent, step)) = family.posts.get(post) {
                        pairs.insert((child, *parent, *step));
                    }
                }
            })?;
        }
        // Two posts of a site may be the same picture here.
        pairs.retain(|(child, parent, _)| child != parent);
        Ok(pairs)
    }

    /// What media know of their families; without those that are gone, those whose
    /// relations are locked, and those that cannot be read.
    fn relatives(
        &self,
        keys: BTreeSet<MediaKey>,
        failed: &mut dyn FnMut(Error),
    ) -> HashMap<MediaKey, Relatives> {
        let mut known = HashMap::new();
        for key in keys {
            match self.relatives_of(key) {
                Ok(Some(relatives)) => {
                    known.insert(key, relatives);
                }
                Ok(None) | Err(Error::UnknownKey(_)) => {}
                Err(error) => failed(error),
            }
        }
        known
    }

    fn relatives_of(&self, key: MediaKey) -> Result<Option<Relatives>, Error> {
        let media = self.read_media(key)?;
        if media.locked.iter().any(|locked| locked == "related") {
            return Ok(None);
        }
        let related = |relation| media.related(relation).iter().cloned().collect();
        let entry = self.library.entry(key)?;
        Ok(entry.map(|entry| Relatives {
            id: entry.id,
            parents: related(PARENT),
            children: related(CHILDREN),
        }))
    }
}
