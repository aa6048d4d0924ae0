//! The one way in which media change: lock, read the sidecars now, apply the
//! changes, write the journal, write the sidecars whose bytes differ; and after all
//! files of a batch are durable, one index transaction.
//!
//! Invariant: a sidecar is written only over the bytes it was read from. Where
//! another program wrote in between, the change is made again on what is there now.
//!
//! Where the sidecar is not what the index knew, another program wrote it since the
//! user saw it: the change is made on what that wrote, by the rules of
//! [`merge`](crate::model::merge), and keys of ours that it left out are given back.

use std::time::Duration;

use super::{
    desk::Desk,
    error::Error,
    files::{Replaced, Writes},
    index::{Place, Row, Seen},
    journal::{EditItem, Part},
    parallel,
    requests::{Change, Written},
    shelf::{Loaded, Spot},
};
use crate::model::{
    absorb::{absorb, learn},
    edit::apply_all,
    entry::{Entry, format_time},
    id::{MediaId, MediaKey},
    media::{Media, Revision},
    merge::{restore_vanished, settle},
    operation::Operation,
    patch::Patch,
};

/// How long a change waits for another process that changes the same medium.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts at a sidecar that another program keeps changing.
const MAX_ATTEMPTS: u32 = 8;

/// One change of a medium that can be made again, on what is there by then.
pub(super) type Editing<'e> = Box<dyn FnMut(&mut Media) + Send + 'e>;

/// What is to be done to one medium, step by step: the place of an operation in
/// the list that comes with it, and its change.
pub(super) struct Work<'e> {
    pub key: MediaKey,
    pub steps: Vec<(usize, Editing<'e>)>,
}

/// A medium that is read and changed in memory.
struct Prepared {
    key: MediaKey,
    id: MediaId,
    spot: Spot,
    loaded: Loaded,
    before: Media,
    patches: Vec<(usize, Patch)>,
    /// What is said of a sidecar that another program wrote too.
    merged: Option<String>,
}

/// What the index remembers of a sidecar that is not as it was left.
#[derive(Default)]
pub(super) struct Recalled {
    /// What it said when it was seen last, where another program changed it since.
    base: Option<Media>,
    /// What another program left out and was put back in memory.
    pub restored: Option<Patch>,
}

/// A medium whose files are written and whose row is not.
struct Pending {
    key: MediaKey,
    row: Row,
    is_changed: bool,
    tags_before: usize,
    merged: Option<String>,
    /// Its sidecar is written; its `.txt` is not.
    problem: Option<Error>,
}

impl Desk<'_> {
    /// See [`Library::write`](super::Library::write).
    pub(super) fn write(
        &self,
        operations: &[Operation],
        changes: Vec<Change>,
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        let work = changes
            .into_iter()
            .map(|change| Work {
                key: change.key,
                steps: change
                    .steps
                    .into_iter()
                    .map(|(operation, edits)| {
                        let apply = move |media: &mut Media| {
                            apply_all(&edits, media);
                        };
                        (operation, Box::new(apply) as Editing<'_>)
                    })
                    .collect(),
            })
            .collect();
        self.change(operations, work, now)
    }

    /// See [`Library::merge_duplicate`](super::Library::merge_duplicate).
    pub(super) fn merge(
        &self,
        operation: &Operation,
        key: MediaKey,
        other: &Media,
        now: i64,
    ) -> Result<Written, Error> {
        let work = Work {
            key,
            steps: vec![(0, Box::new(|media: &mut Media| absorb(media, other)))],
        };
        let operations = std::slice::from_ref(operation);
        let mut written = self.change(operations, vec![work], now);
        written.pop().unwrap_or(Err(Error::UnknownKey(key)))
    }

    /// See [`Library::learn`](super::Library::learn).
    pub(super) fn learn(
        &self,
        operations: &[Operation],
        said: &[(usize, MediaKey, &Media)],
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        let work = said
            .iter()
            .map(|(operation, key, said)| Work {
                key: *key,
                steps: vec![(
                    *operation,
                    Box::new(|media: &mut Media| learn(media, said)) as Editing<'_>,
                )],
            })
            .collect();
        self.change(operations, work, now)
    }

    /// Changes media: locks, reads, writes the journal, writes the files, makes all
    /// durable, writes the rows. One result per work, in order.
    pub(super) fn change(
        &self,
        operations: &[Operation],
        work: Vec<Work<'_>>,
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        self.change_all(operations, work, false, now)
    }

    /// As [`Desk::change`]; a medium without a sidecar first gets the one that the
    /// index remembers.
    pub(super) fn remake(
        &self,
        operations: &[Operation],
        work: Vec<Work<'_>>,
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        self.change_all(operations, work, true, now)
    }

    fn change_all(
        &self,
        operations: &[Operation],
        mut work: Vec<Work<'_>>,
        remakes: bool,
        now: i64,
    ) -> Vec<Result<Written, Error>> {
        let mut outcomes: Vec<Option<Result<Pending, Error>>> = work.iter().map(|_| None).collect();
        let mut writes = Writes::default();
        for attempt in 0..MAX_ATTEMPTS {
            let open: Vec<usize> = (0..work.len())
                .filter(|at| outcomes[*at].is_none())
                .collect();
            if open.is_empty() {
                break;
            }
            self.attempt(
                operations,
                &mut work,
                &open,
                &mut outcomes,
                &mut writes,
                (attempt, remakes),
                now,
            );
        }
        let keeps_changing = |work: &Work<'_>| {
            Err(Error::library(
                self.shelf.layout.root(),
                format!(
                    "has a medium (key {}) whose sidecar another program keeps changing; try again",
                    work.key.0
                ),
            ))
        };
        let pending = outcomes
            .into_iter()
            .zip(&work)
            .map(|(outcome, work)| outcome.unwrap_or_else(|| keeps_changing(work)))
            .collect();
        let (written, is_whole) = self.settle(pending, writes);
        if !is_whole {
            self.journal.hold_open(operations);
        }
        written
    }

    /// One attempt at those works that are still open. One whose sidecar another
    /// program changed between reading and writing stays open.
    #[expect(clippy::too_many_arguments, reason = "one step of the function above")]
    fn attempt(
        &self,
        operations: &[Operation],
        work: &mut [Work<'_>],
        open: &[usize],
        outcomes: &mut [Option<Result<Pending, Error>>],
        writes: &mut Writes,
        (attempt, remakes): (u32, bool),
        now: i64,
    ) {
        let mut places = Vec::with_capacity(open.len());
        for at in open {
            match self.place(work[*at].key) {
                Ok(place) => places.push((*at, place)),
                Err(error) => outcomes[*at] = Some(Err(error)),
            }
        }
        let ids = places.iter().map(|(_, place)| &place.id);
        let locks = match self.lock_sidecars(ids) {
            Ok(locks) => locks,
            Err(error) => return fail(outcomes, open, &error),
        };
        let mut works: Vec<Option<&mut Work<'_>>> = work.iter_mut().map(Some).collect();
        let places = places
            .into_iter()
            .filter_map(|(at, place)| works[at].take().map(|work| (at, place, work)))
            .collect();
        let read = parallel::write(places, |(at, place, work)| {
            (at, self.prepare(place, work, remakes, now))
        });
        let mut prepared = Vec::with_capacity(read.len());
        for (at, read) in read {
            match read {
                Ok(ready) => prepared.push((at, ready)),
                Err(error) => outcomes[at] = Some(Err(error)),
            }
        }
        if let Err(error) = self.note(operations, &prepared, attempt > 0, now) {
            return fail(outcomes, open, &error);
        }
        let written = parallel::write(prepared, |(at, ready)| {
            let mut writes = Writes::under(&locks);
            (at, self.save(ready, &mut writes), writes)
        });
        for (at, outcome, written) in written {
            outcomes[at] = outcome;
            writes.join(written);
        }
    }

    /// Writes the files of a medium; `None` when another program was quicker.
    fn save(&self, mut ready: Prepared, writes: &mut Writes) -> Option<Result<Pending, Error>> {
        let is_changed = !ready.patches.is_empty();
        if is_changed {
            match self.shelf.save(&ready.spot, &mut ready.loaded, writes) {
                Ok(Replaced::Yes) => {}
                Ok(Replaced::Changed) => return None,
                Err(error) => return Some(Err(error)),
            }
            let is_merged = ready.merged.is_some();
            ready.loaded.seen = Seen::Written { is_merged };
        }
        let problem = self
            .shelf
            .save_text(&ready.spot, &ready.loaded, &ready.before, writes)
            .err();
        Some(Ok(Pending {
            problem,
            key: ready.key,
            row: ready.loaded.into_row(ready.id),
            is_changed,
            tags_before: ready.before.tags.len(),
            merged: ready.merged.filter(|_| is_changed),
        }))
    }

    /// Reads a medium and changes it in memory.
    fn prepare(
        &self,
        place: Place,
        work: &mut Work<'_>,
        remakes: bool,
        now: i64,
    ) -> Result<Prepared, Error> {
        let spot = self.spot(&place.path)?;
        let mut loaded = self.shelf.load(&spot)?;
        if let Some(problem) = loaded.problem.take() {
            return Err(problem);
        }
        if loaded.is_gone() {
            return Err(Error::library(
                &self.shelf.absolute(&place.path)?,
                "is gone, and its sidecar with it",
            ));
        }
        let recalled = if remakes && !loaded.facts.has_sidecar {
            self.recall_lost(&place, &mut loaded)?
        } else {
            self.recall(&place, &mut loaded)?
        };
        let before = loaded.sidecar.media.clone();
        let mut notes = Vec::new();
        let mut patches = Vec::new();
        let last = work.steps.len().saturating_sub(1);
        for (number, (operation, edit)) in work.steps.iter_mut().enumerate() {
            let media = &mut loaded.sidecar.media;
            let earlier = media.clone();
            edit(media);
            if number == last {
                self.shelf.adopt_text(&spot, &before, media)?;
                if let Some(base) = &recalled.base {
                    notes = settle(base, &before, media);
                }
            }
            let patch = Patch::between(&earlier, media);
            if !patch.is_empty() {
                patches.push((*operation, patch));
            }
        }
        if loaded.sidecar.media == before {
            patches.clear();
        }
        if let Some(restored) = &recalled.restored {
            notes.push("what it left out is back".to_owned());
            // It is no part of what the user did, and not taken back with it; unless
            // nothing else was done.
            if patches.is_empty() {
                patches.push((work.steps.last().map_or(0, |(n, _)| *n), restored.clone()));
            }
        }
        if !patches.is_empty() {
            bump(&mut loaded, &self.shelf.host, now);
        }
        let is_merged = recalled.base.is_some() || recalled.restored.is_some();
        let merged = is_merged.then(|| told_of_merge(&place.path, &notes));
        Ok(Prepared {
            key: work.key,
            id: place.id,
            spot,
            loaded,
            before,
            patches,
            merged,
        })
    }

    /// Compares a sidecar with what the index knows of it, and puts back in memory
    /// what another program left out.
    pub(super) fn recall(&self, place: &Place, loaded: &mut Loaded) -> Result<Recalled, Error> {
        let is_as_known =
            place.stamp.map(|stamp| stamp.digest) == loaded.stamp.map(|stamp| stamp.digest);
        if loaded.problem.is_some() || loaded.stamp.is_none() || is_as_known && !place.is_owed {
            return Ok(Recalled::default());
        }
        let Some(base) = self.index.base(place.key)? else {
            return Ok(Recalled::default());
        };
        let before = (!is_as_known).then(|| base.media.clone());
        let whole = if !self.shelf.identity.gives_back {
            None
        } else if is_as_known {
            Some(base)
        } else {
            restore_vanished(&base, &loaded.sidecar)
        };
        let restored = whole.map(|whole| {
            let patch = Patch::between(&loaded.sidecar.media, &whole.media);
            loaded.sidecar = whole;
            patch
        });
        Ok(Recalled {
            base: before,
            restored,
        })
    }

    /// Puts what the index remembers in the place of a sidecar that is gone.
    fn recall_lost(&self, place: &Place, loaded: &mut Loaded) -> Result<Recalled, Error> {
        let Some(remembered) = self.index.remembered(place.key)? else {
            return Ok(Recalled::default());
        };
        let found = std::mem::replace(&mut loaded.sidecar, remembered).media;
        absorb(&mut loaded.sidecar.media, &found);
        Ok(Recalled {
            base: None,
            restored: Some(Patch::between(&found, &loaded.sidecar.media)),
        })
    }

    /// Writes down what is about to change.
    fn note(
        &self,
        operations: &[Operation],
        prepared: &[(usize, Prepared)],
        again: bool,
        now: i64,
    ) -> Result<(), Error> {
        let mut items: Vec<Vec<EditItem>> = operations.iter().map(|_| Vec::new()).collect();
        for (_, ready) in prepared {
            for (operation, patch) in &ready.patches {
                if let Some(items) = items.get_mut(*operation) {
                    items.push(EditItem {
                        id: ready.id.clone(),
                        path: ready.spot.path.clone(),
                        patch: patch.clone(),
                    });
                }
            }
        }
        let items = items.into_iter().map(Part::Edit);
        let parts: Vec<(&Operation, Part)> = operations.iter().zip(items).collect();
        self.journal.part(&parts, again, now)
    }

    /// Finishes the `.txt` files of edits whose sidecars are written; see
    /// [`Shelf::complete_text`](super::shelf::Shelf::complete_text).
    pub(super) fn complete_texts(&self, items: &[EditItem]) -> Result<(), Error> {
        let mut writes = Writes::default();
        for item in items {
            let _locks = self.lock_sidecars(std::iter::once(&item.id))?;
            let spot = self.spot(&item.path)?;
            let loaded = self.shelf.load(&spot)?;
            let media = &loaded.sidecar.media;
            let mut before = media.clone();
            let is_as_left = item.patch.inverse().apply(&mut before).is_empty();
            if loaded.problem.is_none() && loaded.facts.has_sidecar && is_as_left {
                self.shelf
                    .complete_text(&spot, &before, media, &mut writes)?;
            }
        }
        writes.finish()
    }

    /// Makes the files durable, then writes the rows. Says too whether all of what
    /// was begun is in place, or will be without the journal.
    fn settle(
        &self,
        pending: Vec<Result<Pending, Error>>,
        writes: Writes,
    ) -> (Vec<Result<Written, Error>>, bool) {
        let synced = writes.finish();
        let mut rows: Vec<Row> = pending
            .iter()
            .flatten()
            .map(|pending| pending.row.clone())
            .collect();
        let entered = if rows.is_empty() {
            Ok(Vec::new())
        } else {
            self.enter(&mut rows)
        };
        let has_texts = pending
            .iter()
            .flatten()
            .all(|pending| pending.problem.is_none());
        let mut is_whole = synced.is_ok() && has_texts;
        let (mut entries, warning) = match entered {
            Ok(entries) => (entries.into_iter(), None),
            Err(error) => {
                is_whole &= self
                    .marks
                    .add(rows.iter().map(|row| row.facts.path.as_str()));
                let warning = format!("saved, but the index has to catch up: {}", error.chain());
                (Vec::new().into_iter(), Some(warning))
            }
        };
        let settle = |pending: Pending| {
            let entry = entries.next().unwrap_or_else(|| {
                Entry::new(
                    pending.key,
                    pending.row.id.clone(),
                    &pending.row.facts,
                    &pending.row.media,
                )
            });
            if let Some(problem) = pending.problem {
                return Err(problem);
            }
            if let Err(error) = &synced {
                return Err(self.unsynced(error));
            }
            Ok(Written {
                entry,
                is_changed: pending.is_changed,
                tags_before: pending.tags_before,
                warning: warning.clone(),
                merged: pending.merged,
            })
        };
        let mut settle = settle;
        let written = pending
            .into_iter()
            .map(|pending| pending.and_then(&mut settle))
            .collect();
        (written, is_whole)
    }
}

fn told_of_merge(path: &str, notes: &[String]) -> String {
    let mut text = format!("{path}: merged with what another program wrote");
    for note in notes {
        text.push_str("; ");
        text.push_str(note);
    }
    text
}

/// Every open work has failed for the same reason.
fn fail(outcomes: &mut [Option<Result<Pending, Error>>], open: &[usize], error: &Error) {
    for at in open {
        let outcome = &mut outcomes[*at];
        if outcome.is_none() {
            *outcome = Some(Err(error.repeated()));
        }
    }
}

/// Counts the revision up, so that a lost update can be seen.
pub(super) fn bump(loaded: &mut Loaded, host: &str, now: i64) {
    let media = &mut loaded.sidecar.media;
    let n = media.rev.as_ref().map_or(0, |rev| rev.n);
    media.rev = Some(Revision {
        n: n.saturating_add(1),
        host: host.to_owned(),
        at: format_time(now),
    });
}
