//! Writing what sources said of media into their sidecars, or telling what that would
//! be.

use std::collections::HashMap;

use super::{super::Core, Fetched};
use crate::{
    model::{
        absorb::learn,
        catalog::Change,
        id::MediaKey,
        media::{Media, post_name},
        operation::{Operation, OperationId},
    },
    storage::Written,
};

/// What was said of a medium.
pub(super) struct Taught<'a> {
    pub key: MediaKey,
    pub step: Option<OperationId>,
    pub answer: &'a Media,
}

impl Taught<'_> {
    fn is_something(&self) -> bool {
        !self.answer.sources.is_empty()
    }
}

impl Core {
    /// Adds what was said to each medium, in the name of its step.
    pub(super) fn learn(
        &self,
        taught: &[Taught<'_>],
        action: &str,
        warnings: &mut Vec<String>,
    ) -> Vec<Fetched> {
        let mut operations: Vec<Operation> = Vec::new();
        let mut places: HashMap<Option<OperationId>, usize> = HashMap::new();
        let said: Vec<(usize, &Taught<'_>)> = taught
            .iter()
            .map(|taught| {
                let place = *places.entry(taught.step).or_insert_with(|| {
                    let operation = self.library.operation(action);
                    operations.push(Operation {
                        group: taught.step,
                        ..operation
                    });
                    operations.len() - 1
                });
                (place, taught)
            })
            .collect();
        let fetched = self.learn_as(&operations, &said, warnings);
        for operation in &operations {
            self.library.finish(operation);
        }
        fetched
    }

    /// As [`Core::learn`], each in the name of one of the operations.
    pub(super) fn learn_as(
        &self,
        operations: &[Operation],
        taught: &[(usize, &Taught<'_>)],
        warnings: &mut Vec<String>,
    ) -> Vec<Fetched> {
        let said: Vec<(usize, MediaKey, &Media)> = taught
            .iter()
            .filter(|(_, taught)| taught.is_something())
            .map(|(operation, taught)| (*operation, taught.key, taught.answer))
            .collect();
        let _writing = self.catalog.while_writing();
        let mut written = self
            .library
            .learn(operations, &said, self.now())
            .into_iter();
        let mut changes = Vec::new();
        let mut all = Vec::with_capacity(taught.len());
        for (_, taught) in taught {
            let mut fetched = Fetched {
                posts: posts(taught.answer),
                ..Fetched::nothing(taught.key)
            };
            let outcome = if taught.is_something() {
                written.next()
            } else {
                None
            };
            match outcome {
                None => {}
                Some(Ok(Written {
                    entry,
                    is_changed,
                    tags_before,
                    warning,
                    merged,
                })) => {
                    fetched.new_tags = entry.tags.len().saturating_sub(tags_before);
                    fetched.is_changed = is_changed;
                    warnings.extend(warning.into_iter().chain(merged));
                    changes.push(Change::Upsert(entry));
                }
                Some(Err(error)) => fetched.problem = Some(error.chain()),
            }
            all.push(fetched);
        }
        self.catalog.apply(&changes);
        all
    }

    /// As [`Core::learn_as`], and writes nothing.
    pub(super) fn would_learn(&self, taught: &[Taught<'_>]) -> Vec<Fetched> {
        let would = |taught: &Taught<'_>| {
            let mut fetched = Fetched {
                posts: posts(taught.answer),
                ..Fetched::nothing(taught.key)
            };
            match self.read_media(taught.key) {
                Ok(before) if taught.is_something() => {
                    let mut after = before.clone();
                    learn(&mut after, taught.answer);
                    fetched.new_tags = after.tags.len().saturating_sub(before.tags.len());
                    fetched.is_changed = after != before;
                }
                Ok(_) => {}
                Err(error) => fetched.problem = Some(error.chain()),
            }
            fetched
        };
        taught.iter().map(would).collect()
    }
}

/// `site#id` of each post in an answer.
fn posts(answer: &Media) -> Vec<String> {
    let posts = answer.posts().map(|(site, id)| post_name(site, &id));
    posts.collect()
}
