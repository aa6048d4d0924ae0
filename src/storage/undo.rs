//! History, undo and redo. Undoing an operation is an operation itself, which says
//! whom it inverts; so the state of everything follows from the journals alone, for
//! every session and every process.
//!
//! Invariant: an undo changes only what still is as the operation left it. What was
//! changed since stays, and is named.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use super::{
    change::Work,
    desk::Desk,
    error::Error,
    journal::{self, EditItem, Part, Record, Records, State, StoreItem},
    purge::Purge,
    requests::{Past, Reverted, Which},
    tag_database::inverse,
    trash::{Landed, Moves},
};
use crate::model::{
    id::{MediaId, MediaKey},
    media::Media,
    operation::{Operation, OperationId},
};

/// Media that are changed together; see the save queue of the engine.
const BATCH: usize = 256;
/// The kind of parts that file pictures.
pub(super) const STORE: &str = "store";
/// The kind of parts that nothing takes back.
const PURGE: &str = "purge";

/// An operation with everything that took it back or did it again.
struct Chain {
    root: Record,
    /// The last of those that are done; itself, when nothing followed.
    tip: Record,
    is_undone: bool,
}

/// What the user sees as one step: one operation, or a group of them.
struct Step {
    id: OperationId,
    chains: Vec<Chain>,
}

impl Step {
    fn is_undone(&self) -> bool {
        self.chains.iter().all(|chain| chain.is_undone)
    }

    fn is_ingest(&self) -> bool {
        self.newest_root()
            .is_some_and(|root| root.kind.as_deref() == Some(STORE))
    }

    /// Files are gone for good.
    fn is_final(&self) -> bool {
        let is_purge = |chain: &Chain| chain.root.kind.as_deref() == Some(PURGE);
        self.chains.iter().any(is_purge)
    }

    fn is_unfinished(&self) -> bool {
        self.chains
            .iter()
            .any(|chain| chain.root.state != State::Done)
    }

    /// What it is known by. An ingest is as old as its last file, whatever was learned
    /// of its pictures later.
    fn newest_root(&self) -> Option<&Record> {
        let roots = || self.chains.iter().rev().map(|chain| &chain.root);
        let stores = |root: &&Record| root.kind.as_deref() == Some(STORE);
        roots().find(stores).or_else(|| roots().next())
    }

    fn newest_tip(&self) -> OperationId {
        let tips = self.chains.iter().map(|chain| chain.tip.id);
        tips.max().unwrap_or(self.id)
    }

    fn past(&self) -> Option<Past> {
        let newest = self.newest_root()?;
        let same = |chain: &&Chain| chain.root.kind == newest.kind;
        let action = match self.chains.iter().filter(same).count() {
            1 => newest.action.clone(),
            n => format!("{} and {} more", newest.action, n - 1),
        };
        Some(Past {
            id: self.id,
            at: newest.at.clone(),
            host: newest.host.clone(),
            user: newest.user.clone(),
            action,
            media: self.chains.iter().map(|chain| chain.root.items).sum(),
            is_ingest: self.is_ingest(),
            is_undone: self.is_undone(),
            is_unfinished: self.is_unfinished(),
        })
    }
}

/// The steps of all journals, oldest first.
fn steps(records: Records) -> Vec<Step> {
    let by_id: HashMap<OperationId, Option<OperationId>> = records
        .0
        .iter()
        .map(|record| (record.id, record.inverts))
        .collect();
    let root_of = |mut id: OperationId| {
        // Ids of inverted operations are older, so this ends; a journal that says
        // otherwise was tampered with.
        while let Some(Some(inverted)) = by_id.get(&id) {
            if *inverted >= id || !by_id.contains_key(inverted) {
                break;
            }
            id = *inverted;
        }
        id
    };
    let mut chains: BTreeMap<OperationId, Chain> = BTreeMap::new();
    for record in records.0 {
        if !matches!(record.state, State::Begun | State::Done) {
            continue;
        }
        let root = root_of(record.id);
        if by_id.get(&root).is_some_and(Option::is_some) {
            // What it took back is dropped, and so is no step of anybody any more.
            continue;
        }
        match chains.get_mut(&root) {
            Some(chain) => {
                chain.is_undone = !chain.is_undone;
                chain.tip = record;
            }
            None => {
                chains.insert(
                    root,
                    Chain {
                        is_undone: false,
                        tip: record.clone(),
                        root: record,
                    },
                );
            }
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut places: HashMap<OperationId, usize> = HashMap::new();
    for (root, chain) in chains {
        let id = chain.root.group.unwrap_or(root);
        let place = *places.entry(id).or_insert_with(|| {
            steps.push(Step {
                id,
                chains: Vec::new(),
            });
            steps.len() - 1
        });
        steps[place].chains.push(chain);
    }
    steps.sort_by_key(|step| step.newest_root().map(|root| root.id));
    steps
}

impl Desk<'_> {
    /// See [`Library::history`](super::Library::history).
    pub(super) fn history(&self, limit: usize) -> Result<Vec<Past>, Error> {
        let steps = steps(Records::read(self.journal.folder())?);
        Ok(steps
            .iter()
            .rev()
            .filter_map(Step::past)
            .take(limit)
            .collect())
    }

    /// See [`Library::undo`](super::Library::undo).
    pub(super) fn undo(
        &self,
        what: Which,
        now: i64,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Reverted>, Error> {
        let steps = steps(Records::read(self.journal.folder())?);
        let is_mine = |step: &&Step| self.is_mine(step) && !step.is_final();
        let step = match what {
            Which::Named(id) => {
                let step = self.named(&steps, id)?;
                if step.is_undone() {
                    return Err(self.refusal(id, "is undone already"));
                }
                if step.is_final() {
                    return Err(self.refusal(id, "removed files for good"));
                }
                Some(step)
            }
            Which::Newest => steps
                .iter()
                .rev()
                .filter(is_mine)
                .find(|step| !step.is_undone()),
            Which::NewestEdit => steps
                .iter()
                .rev()
                .filter(is_mine)
                .find(|step| !step.is_undone() && !step.is_ingest()),
        };
        step.map(|step| self.revert(step, false, now, on))
            .transpose()
    }

    /// See [`Library::redo`](super::Library::redo).
    pub(super) fn redo(
        &self,
        what: Which,
        now: i64,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Reverted>, Error> {
        let steps = steps(Records::read(self.journal.folder())?);
        let step = match what {
            Which::Named(id) => {
                let step = self.named(&steps, id)?;
                if !step.is_undone() {
                    return Err(self.refusal(id, "is not undone"));
                }
                Some(step)
            }
            Which::Newest | Which::NewestEdit => {
                let is_wanted = |step: &&Step| {
                    self.is_mine(step)
                        && !step.is_final()
                        && (what == Which::Newest || !step.is_ingest())
                };
                let undone = steps
                    .iter()
                    .filter(is_wanted)
                    .filter(|step| step.is_undone())
                    .max_by_key(|step| step.newest_tip());
                // What was done since may build on what was undone.
                undone.filter(|undone| {
                    steps
                        .iter()
                        .filter(is_wanted)
                        .filter(|step| !step.is_undone())
                        .filter_map(Step::newest_root)
                        .all(|root| root.id < undone.newest_tip())
                })
            }
        };
        step.map(|step| self.revert(step, true, now, on))
            .transpose()
    }

    fn is_mine(&self, step: &Step) -> bool {
        let (host, user) = self.journal.author();
        step.newest_root()
            .is_some_and(|root| root.host == host && root.user == user)
    }

    fn named<'s>(&self, steps: &'s [Step], id: OperationId) -> Result<&'s Step, Error> {
        let has =
            |step: &&Step| step.id == id || step.chains.iter().any(|chain| chain.root.id == id);
        let step = steps.iter().find(has);
        step.ok_or_else(|| self.refusal(id, "is not in it; tagloupe history lists what is"))
    }

    fn refusal(&self, id: OperationId, problem: &str) -> Error {
        Error::library(
            self.journal.folder(),
            format!("has operation {id}, which {problem}"),
        )
    }

    /// Takes back what is in force of a step, newest first, or does again what was undone
    /// of it, in the order in which it was done.
    fn revert(
        &self,
        step: &Step,
        is_undone: bool,
        now: i64,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Reverted, Error> {
        let mut reverted = Reverted {
            action: step.past().map_or_else(String::new, |past| past.action),
            ..Reverted::default()
        };
        let chains = step.chains.iter();
        let mut chains: Vec<&Chain> = chains
            .filter(|chain| chain.is_undone == is_undone)
            .collect();
        if !is_undone {
            chains.reverse();
        }
        let group = (chains.len() > 1).then(journal::new_id);
        let total = chains.iter().map(|chain| chain.tip.items).sum();
        let mut done = 0;
        for chain in chains {
            if chain.tip.state != State::Done {
                let action = &chain.root.action;
                reverted.left.push(format!("{action}: still under way"));
                continue;
            }
            let operation = Operation {
                id: journal::new_id(),
                action: chain.root.action.clone(),
                group,
                inverts: Some(chain.tip.id),
            };
            let flow = self.invert(
                &operation,
                &chain.tip,
                &HashMap::new(),
                now,
                &mut reverted,
                &mut |n| {
                    done += n;
                    on(done, total)
                },
            )?;
            if reverted.is_unfinished && flow.is_continue() {
                // What a passing fault prevented is taken back when it has gone.
                self.journal.hold_open([&operation]);
            }
            // One that is stopped half way ends here: doing it again puts back what
            // was taken back, and nothing goes on by itself.
            self.journal.done(operation.id)?;
            if flow.is_break() {
                reverted.is_cancelled = true;
                break;
            }
        }
        Ok(reverted)
    }

    /// Takes back what a record did, in the name of `operation`, leaving out the
    /// media in `except`, which an earlier attempt took back.
    pub(super) fn invert(
        &self,
        operation: &Operation,
        record: &Record,
        except: &HashMap<MediaId, usize>,
        now: i64,
        reverted: &mut Reverted,
        on: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut skip = except.clone();
        let mut is_covered = |id: &MediaId| match skip.get_mut(id) {
            Some(n) if *n > 0 => {
                *n -= 1;
                true
            }
            _ => false,
        };
        for part in journal::parts(&record.files, record.id)?.into_iter().rev() {
            match part {
                Part::Edit(mut items) => {
                    items.reverse();
                    items.retain(|item| !is_covered(&item.id));
                    for items in items.chunks(BATCH) {
                        self.invert_edits(operation, items, now, reverted);
                        if on(items.len()).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
                Part::Move(items) => {
                    for item in items.iter().rev().filter(|item| !is_covered(&item.id)) {
                        self.invert_move(operation, item, now, reverted);
                        if on(1).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
                Part::Tags(changes) => {
                    let changes: Vec<_> = changes.iter().map(inverse).collect();
                    self.apply_lines(Some(operation), &changes, now, reverted)?;
                    if on(changes.len()).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Part::Searches(changes) => {
                    let changes: Vec<_> = changes.iter().map(inverse).collect();
                    self.change_searches(Some(operation), &changes, now, reverted)?;
                    if on(changes.len()).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Part::Store(items) => {
                    for item in items.iter().rev().filter(|item| !is_covered(&item.id)) {
                        self.invert_store(operation, item, now, reverted);
                        if on(1).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
                Part::Purge(items) => {
                    let gone = |item: &Purge| format!("{}: removed for good", item.path);
                    reverted.left.extend(items.iter().map(gone));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Finishes moves that the journal has.
    pub(super) fn carry_out_again(&self, moves: &[Moves], now: i64, reverted: &mut Reverted) {
        for moves in moves {
            let landed = self
                .lock_sidecar(&moves.id)
                .map(|_lock| self.carry_out(None, vec![Ok(moves.clone())], now));
            note_landed(landed, &moves.path, reverted);
        }
    }

    fn invert_edits(
        &self,
        operation: &Operation,
        items: &[EditItem],
        now: i64,
        reverted: &mut Reverted,
    ) {
        let patches: Vec<_> = items
            .iter()
            .map(|item| (item, item.patch.inverse()))
            .collect();
        self.apply_patches(std::slice::from_ref(operation), &patches, now, reverted);
    }

    /// Applies patches where the fields still are as they say.
    pub(super) fn apply_patches(
        &self,
        operations: &[Operation],
        patches: &[(&EditItem, crate::model::patch::Patch)],
        now: i64,
        reverted: &mut Reverted,
    ) {
        let refusals: Mutex<BTreeMap<usize, Vec<String>>> = Mutex::default();
        let mut work = Vec::with_capacity(patches.len());
        let mut items = Vec::with_capacity(patches.len());
        for (place, (item, patch)) in patches.iter().enumerate() {
            let Some(key) = self.find(item, reverted) else {
                continue;
            };
            let refusals = &refusals;
            let apply = move |media: &mut Media| {
                // A second attempt says anew what it leaves.
                let left = patch.apply(media);
                let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
                refusals.insert(place, left);
            };
            work.push(Work {
                key,
                steps: vec![(0, Box::new(apply))],
            });
            items.push(*item);
        }
        let outcomes = self.change(operations, work, now);
        for (item, outcome) in items.into_iter().zip(outcomes) {
            match outcome {
                Ok(written) => {
                    reverted.changed.push(written.entry);
                    reverted.merged.extend(written.merged);
                    reverted.warning = written.warning.or(reverted.warning.take());
                }
                Err(error) => reverted.fail(&item.path, &error),
            }
        }
        let refusals = refusals.into_inner();
        for (place, reasons) in refusals.unwrap_or_else(PoisonError::into_inner) {
            let item = patches[place].0;
            let left = reasons.iter().map(|reason| told(item, reason));
            reverted.left.extend(left);
        }
    }

    fn invert_move(&self, operation: &Operation, moves: &Moves, now: i64, reverted: &mut Reverted) {
        let landed = self.lock_sidecar(&moves.id).map(|_lock| {
            let back = moves.inverse();
            let plan = self.check_free(&back).map(|()| back);
            self.carry_out(Some(operation), vec![plan], now)
        });
        note_landed(landed, &moves.path, reverted);
    }

    /// A picture whose ingest is taken back goes to the trash.
    fn invert_store(
        &self,
        operation: &Operation,
        item: &StoreItem,
        now: i64,
        reverted: &mut Reverted,
    ) {
        let landed = self.index.place_by_path(&item.path).and_then(|place| {
            let Some(place) = place else {
                // It never got its place, or has left it since.
                return Ok(Vec::new());
            };
            let _lock = self.lock_sidecar(&place.id)?;
            let mut reserved = HashSet::new();
            let plan = self.plan_trash(&place, "ingest undone", None, now, &mut reserved);
            Ok(self.carry_out(Some(operation), vec![plan], now))
        });
        note_landed(landed, &item.path, reverted);
    }

    fn find(&self, item: &EditItem, reverted: &mut Reverted) -> Option<MediaKey> {
        let found = match self.index.key_of(item.id.as_str()) {
            Ok(Some(key)) => Ok(Some(key)),
            // It was renamed in place, or the index lacks it.
            Ok(None) => self
                .reindex(&item.path)
                .and_then(|()| self.index.place_by_path(&item.path))
                .map(|place| place.map(|place| place.key)),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(key)) => Some(key),
            Ok(None) => {
                reverted.left.push(told(item, "no longer in the library"));
                None
            }
            Err(error) => {
                reverted.fail(&item.path, &error);
                None
            }
        }
    }
}

fn note_landed(
    landed: Result<Vec<Result<Landed, Error>>, Error>,
    path: &str,
    reverted: &mut Reverted,
) {
    let all = landed.unwrap_or_else(|error| vec![Err(error)]);
    for landed in all {
        match landed {
            Ok(Landed::Away(key)) => reverted.removed.extend(key),
            Ok(Landed::Back(entry)) => reverted.changed.push(*entry),
            Err(error) => reverted.fail(path, &error),
        }
    }
}

fn told(item: &EditItem, reason: &str) -> String {
    format!("{}: {reason}", item.path)
}
