//! Parents and children, as posts name them: which of them are both here is found out,
//! and written into both sidecars. Either may come first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{Core, save::write_batch};
use crate::{
    engine::event::SaveReport,
    model::{
        edit::Edit,
        fact::{Detail, Fact, PART},
        id::MediaKey,
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
        let mut edits = Edits::new();
        let pairs = self.pairs(family).unwrap_or_else(|error| {
            let reason = error.chain();
            warnings.push(format!("parents and children are not related: {reason}"));
            BTreeSet::new()
        });
        for (child, parent, step) in pairs {
            let relations = [(child, PARENT, parent), (parent, CHILDREN, child)];
            let lacking = relations.map(|(of, relation, to)| self.lacking(of, relation, to));
            // Where one of them may not be changed the other is not, either.
            if let [Some(of_child), Some(of_parent)] = lacking {
                let new = [(child, of_child), (parent, of_parent)];
                for (key, new) in new.into_iter().filter(|(_, new)| !new.is_empty()) {
                    let of_medium = edits.entry(key).or_default();
                    of_medium.entry(operation(step)).or_default().extend(new);
                }
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

    /// What makes a medium related to another, nothing if it is; `None` when it cannot be.
    fn lacking(&self, of: MediaKey, relation: &str, to: MediaKey) -> Option<Vec<Edit>> {
        let id = self.library.entry(to).ok()??.id;
        let media = self.read_media(of).ok()?;
        if media.locked.iter().any(|locked| locked == "related") {
            return None;
        }
        let mut known = media.related(relation).iter();
        let is_known = known.any(|known| *known == id.as_str());
        let edit = || Edit::AddRelation {
            relation: relation.to_owned(),
            id: id.as_str().to_owned(),
        };
        Some((!is_known).then(edit).into_iter().collect())
    }
}
