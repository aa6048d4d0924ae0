//! The trash: media that were put away, each with a note that says where it belongs.
//!
//! Every move is planned first and performed then, so that it can be written down in
//! between, and performing is idempotent, so that one that was cut off can be
//! finished. The note comes before the files on the way in and goes after them on
//! the way out: whatever a crash leaves, a note says where things belong.

mod listing;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    change::LOCK_TIMEOUT,
    desk::Desk,
    error::Error,
    files::{self, Writes},
    index::Place,
    intake::{free_name, shorten},
    journal::Part,
    md5_lock::{Md5Lock, Purpose},
    path_text::decode,
    requests::Trashed,
    shelf::stem,
};
use crate::model::{
    entry::{Entry, format_time},
    id::{MediaId, MediaKey},
    operation::Operation,
};

pub(super) use listing::list;

/// Media that are planned and moved together.
const BATCH: usize = 256;
/// What the name of a note adds to that of its original.
const NOTE_SUFFIX: &str = ".del.json";

/// The files of one medium on their way into the trash, or out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    pub id: MediaId,
    /// Library-relative path where the original belongs.
    pub path: String,
    /// Library-relative, from and to.
    pub files: Vec<(String, String)>,
    /// The note in the trash: its path and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<(String, String)>,
}

/// Where moves led.
pub(super) enum Landed {
    /// Into the trash, with the key it had where it was indexed.
    Away(Option<MediaKey>),
    Back(Box<Entry>),
}

impl Moves {
    /// What takes the moves back.
    pub(super) fn inverse(&self) -> Self {
        let back = |(from, to): &(String, String)| (to.clone(), from.clone());
        Self {
            files: self.files.iter().rev().map(back).collect(),
            ..self.clone()
        }
    }

    /// The files go where their note is.
    fn goes_in(&self) -> bool {
        let Some((note, _)) = &self.note else {
            return false;
        };
        let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        self.files.iter().all(|(_, to)| folder(to) == folder(note))
    }
}

/// Names that plans which are not performed yet will take: folder and stem.
pub(super) type Reserved = HashSet<PathBuf>;

impl Desk<'_> {
    /// See [`Library::trash`](super::Library::trash).
    pub(super) fn trash(
        &self,
        operation: &Operation,
        keys: &[MediaKey],
        reason: &str,
        merged_into: Option<&MediaId>,
        now: i64,
    ) -> Vec<Result<(), Error>> {
        let in_batch = |keys: &[MediaKey]| {
            let mut reserved = Reserved::new();
            let places: Vec<_> = keys.iter().map(|key| self.place(*key)).collect();
            let locks = self.lock_sidecars(places.iter().flatten().map(|place| &place.id));
            let plan = |place: Result<Place, Error>| {
                let _locked = locks.as_ref().map_err(Error::repeated)?;
                self.plan_trash(&place?, reason, merged_into, now, &mut reserved)
            };
            let plans = places.into_iter().map(plan).collect();
            self.carry_out(Some(operation), plans, now)
        };
        let landed = keys.chunks(BATCH).flat_map(in_batch);
        let trashed = landed.map(|landed| landed.map(|_| ())).collect();
        self.tell_relations(operation, now);
        trashed
    }

    /// See [`Library::restore`](super::Library::restore).
    pub(super) fn restore(
        &self,
        operation: &Operation,
        items: &[Trashed],
        now: i64,
    ) -> Vec<Result<Entry, Error>> {
        let in_batch = |items: &[Trashed]| {
            let locks = self.lock_sidecars(items.iter().map(|item| &item.id));
            let plan = |item: &Trashed| {
                let _locked = locks.as_ref().map_err(Error::repeated)?;
                self.plan_restore(item)
            };
            let plans = items.iter().map(plan).collect();
            self.carry_out(Some(operation), plans, now)
        };
        let landed = items.chunks(BATCH).flat_map(in_batch);
        let restored = landed
            .map(|landed| match landed? {
                Landed::Back(entry) => Ok(*entry),
                Landed::Away(_) => Err(Error::library(
                    self.shelf.layout.root(),
                    "has a note in its trash that leads into the trash",
                )),
            })
            .collect();
        self.tell_relations(operation, now);
        restored
    }

    /// Relations to a medium whose id changed because one of its name came or went;
    /// what fails here is done after the next look at the files.
    fn tell_relations(&self, operation: &Operation, now: i64) {
        if let Err(error) = self.follow_departed(operation, now) {
            tracing::warn!("relations do not follow yet: {}", error.chain());
        }
    }

    /// Does what was planned: the journal, the moves, the folders, the rows. Without
    /// an operation the journal has it already. The caller holds the locks of the
    /// sidecars. One result per plan, in order.
    pub(super) fn carry_out(
        &self,
        operation: Option<&Operation>,
        plans: Vec<Result<Moves, Error>>,
        now: i64,
    ) -> Vec<Result<Landed, Error>> {
        if let Some(operation) = operation {
            let part = Part::Move(plans.iter().flatten().cloned().collect());
            if let Err(error) = self.journal.part(&[(operation, part)], false, now) {
                let failed = |plan: Result<Moves, Error>| plan.and_then(|_| Err(error.repeated()));
                return plans.into_iter().map(failed).collect();
            }
        }
        let mut writes = Writes::default();
        let moved: Vec<_> = plans
            .into_iter()
            .map(|plan| {
                let moves = plan?;
                match operation {
                    Some(operation) => self.try_moves(operation, &moves, &mut writes)?,
                    None => self.perform(&moves, &mut writes, &mut Vec::new())?,
                }
                Ok(moves)
            })
            .collect();
        let synced = writes.finish();
        if synced.is_err() {
            self.journal.hold_open(operation);
        }
        moved
            .into_iter()
            .map(|moves| {
                let moves = moves?;
                let landed = if moves.goes_in() {
                    Landed::Away(self.leave(operation, &moves.path))
                } else {
                    let entered = self.enter_restored(&moves);
                    let entry = entered.inspect_err(|_| self.mark(operation, &moves.path))?;
                    Landed::Back(Box::new(entry))
                };
                if let Err(error) = self.settle_ids(&moves.path) {
                    // The next look at the files gives them.
                    tracing::warn!("{}: ids beside it: {}", moves.path, error.chain());
                }
                match &synced {
                    Ok(()) => Ok(landed),
                    Err(error) => Err(self.unsynced(error)),
                }
            })
            .collect()
    }

    /// Moves the files of one medium, or none of them: what was moved before a fault
    /// is moved back. Where even that fails, the operation stays open and is
    /// finished later.
    fn try_moves(
        &self,
        operation: &Operation,
        moves: &Moves,
        writes: &mut Writes,
    ) -> Result<(), Error> {
        let mut moved = Vec::new();
        let Err(error) = self.perform(moves, writes, &mut moved) else {
            return Ok(());
        };
        let mut take_back = || {
            for (from, to) in moved.iter().rev() {
                writes.rename(to, from)?;
            }
            match &moves.note {
                Some((path, _)) if moves.goes_in() => writes.remove(&self.shelf.absolute(path)?),
                _ => Ok(()),
            }
        };
        if let Err(second) = take_back() {
            tracing::warn!("{}: moved by halves: {}", moves.path, second.chain());
            self.journal.hold_open([operation]);
        }
        Err(error)
    }

    /// The row of a medium that went into the trash goes. Its files are where they
    /// belong; a row that cannot be removed goes with the next re-index.
    fn leave(&self, operation: Option<&Operation>, path: &str) -> Option<MediaKey> {
        let place = self.index.place_by_path(path);
        let key = place
            .as_ref()
            .map(|place| place.as_ref().map(|place| place.key));
        let key = key.unwrap_or_default();
        if !place.is_ok_and(|place| self.forget(place.as_slice()).is_ok()) {
            self.mark(operation, path);
        }
        key
    }

    /// Indexes a medium that came back, under its old id where nobody has it.
    pub(super) fn enter_restored(&self, moves: &Moves) -> Result<Entry, Error> {
        let entered = || {
            let id = match self.index.place_by_path(&moves.path)? {
                Some(place) => place.id,
                None if self.index.key_of(moves.id.as_str())?.is_none() => moves.id.clone(),
                None => self.free_id(&moves.path)?,
            };
            let loaded = self.shelf.load(&self.spot(&moves.path)?)?;
            let entries = self.enter(&mut [loaded.into_row(id)])?;
            let path = self.shelf.absolute(&moves.path)?;
            let missing = || Error::library(&path, "was restored and is not in the index");
            entries.into_iter().next().ok_or_else(missing)
        };
        entered()
    }

    /// Marks a row that could not follow its files; where not even that can be
    /// written, the operation stays open.
    fn mark(&self, operation: Option<&Operation>, path: &str) {
        if !self.marks.add([path]) {
            self.journal.hold_open(operation);
        }
    }

    /// The lock under which the files of a medium are planned and moved.
    pub(super) fn lock_sidecar(&self, id: &MediaId) -> Result<Md5Lock, Error> {
        let bucket = files::md5_of(id.as_str().as_bytes());
        self.shelf.lock(Purpose::Sidecar, &bucket, LOCK_TIMEOUT)
    }

    /// What moving a medium to the trash takes. Several may be planned before the
    /// first is performed; `reserved` keeps them from choosing one name.
    pub(super) fn plan_trash(
        &self,
        place: &Place,
        reason: &str,
        merged_into: Option<&MediaId>,
        now: i64,
        reserved: &mut Reserved,
    ) -> Result<Moves, Error> {
        let spot = self.spot(&place.path)?;
        let loaded = self.shelf.load(&spot)?;
        let md5 = loaded.sidecar.media.hashes.md5.as_deref();
        let bucket = md5
            .and_then(|md5| md5.parse().ok())
            .unwrap_or_else(|| files::md5_of(place.id.as_str().as_bytes()));
        let folder = self.shelf.layout.deleted().join(bucket.bucket());
        let name = place.path.rsplit('/').next().unwrap_or(&place.path);
        let name = free_name(&folder, &shorten(name), |name| {
            reserved.contains(&folder.join(stem(name).to_lowercase()))
        })?;
        reserved.insert(folder.join(stem(&name).to_lowercase()));
        let mut files: Vec<(String, String)> = Vec::new();
        let mut put = |from: String, name: String| -> Result<(), Error> {
            let to = folder.join(decode(&name));
            let outside = || Error::library(&to, "is outside the library");
            files.push((from, self.shelf.layout.relative(&to).ok_or_else(outside)?));
            Ok(())
        };
        for path in self.shelf.companions(&spot, &loaded) {
            let suffix = path.rsplit_once('.').map_or("json", |(_, suffix)| suffix);
            let name = format!("{}.{suffix}", stem(&name));
            put(path, name)?;
        }
        if !loaded.facts.is_missing {
            put(place.path.clone(), name.clone())?;
        }
        let mut moves = Moves {
            id: place.id.clone(),
            path: place.path.clone(),
            files,
            note: None,
        };
        if !moves.files.is_empty() {
            let note = folder.join(decode(&format!("{name}{NOTE_SUFFIX}")));
            let outside = || Error::library(&note, "is outside the library");
            let path = self.shelf.layout.relative(&note).ok_or_else(outside)?;
            let text = note_text(&moves, reason, merged_into, &self.shelf.host, now);
            moves.note = Some((path, text));
        }
        Ok(moves)
    }

    /// What bringing a medium back takes; refused where its place is taken.
    pub(super) fn plan_restore(&self, item: &Trashed) -> Result<Moves, Error> {
        let moves = Moves {
            id: item.id.clone(),
            path: item.path.clone(),
            files: item.files.clone(),
            note: Some((item.note.clone(), item.note_text.clone())),
        };
        self.check_free(&moves)?;
        Ok(moves)
    }

    /// Refuses moves to where something lies already, before anything is moved.
    pub(super) fn check_free(&self, moves: &Moves) -> Result<(), Error> {
        let taken = |path: &str| -> Result<Error, Error> {
            let path = self.shelf.absolute(path)?;
            let problem = "is there already: move it away, or leave this in the trash";
            Ok(Error::library(&path, problem))
        };
        for (from, to) in &moves.files {
            if exists(&self.shelf.absolute(to)?)? && exists(&self.shelf.absolute(from)?)? {
                return Err(taken(to)?);
            }
        }
        if moves.goes_in() {
            return Ok(());
        }
        // A sidecar that lies there would become that of the medium that comes back.
        for sidecar in self.spot(&moves.path)?.sidecars {
            let is_own = moves.files.iter().any(|(_, to)| *to == sidecar);
            if !is_own && exists(&self.shelf.absolute(&sidecar)?)? {
                return Err(taken(&sidecar)?);
            }
        }
        Ok(())
    }

    /// Does what was planned, noting in `moved` what it moved, from and to. A move
    /// that is done already is skipped; where both files are there, or neither,
    /// nothing is guessed. The caller holds [`Desk::lock_sidecar`] of the medium.
    fn perform(
        &self,
        moves: &Moves,
        writes: &mut Writes,
        moved: &mut Vec<(PathBuf, PathBuf)>,
    ) -> Result<(), Error> {
        let goes_in = moves.goes_in();
        if let Some((path, text)) = &moves.note
            && goes_in
        {
            writes.replace(&self.shelf.absolute(path)?, text.as_bytes())?;
        }
        for (from, to) in &moves.files {
            let from = self.shelf.absolute(from)?;
            let to = self.shelf.absolute(to)?;
            match (exists(&from)?, exists(&to)?) {
                (true, false) => {
                    writes.rename(&from, &to)?;
                    moved.push((from, to));
                }
                (false, true) => {}
                // Cut off between the two halves of a move to another disk.
                (true, true)
                    if files::are_on_two_disks(&from, &to)?
                        && writes.finish_carrying(&from, &to)? =>
                {
                    moved.push((from, to));
                }
                (true, true) => {
                    let problem = format!("cannot be moved: {} is there too", to.display());
                    return Err(Error::library(&from, problem));
                }
                (false, false) => {
                    let problem = format!("is gone, and is not {} either", to.display());
                    return Err(Error::library(&from, problem));
                }
            }
        }
        if let Some((path, _)) = &moves.note
            && !goes_in
        {
            writes.remove(&self.shelf.absolute(path)?)?;
        }
        Ok(())
    }
}

fn note_text(
    moves: &Moves,
    reason: &str,
    merged_into: Option<&MediaId>,
    host: &str,
    now: i64,
) -> String {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let files: Map<String, Value> = moves
        .files
        .iter()
        .map(|(from, to)| (name(to), Value::from(from.as_str())))
        .collect();
    let note = json!({
        "at": format_time(now),
        "by": host,
        "reason": reason,
        "merged_into": merged_into.map(MediaId::as_str),
        "restore_path": moves.path,
        "id": moves.id.as_str(),
        "files": files,
    });
    format!("{note:#}\n")
}

fn exists(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if files::is_absent(&error) => Ok(false),
        Err(error) => Err(Error::file("examine", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::storage::{LayoutKind, Library};

    const NOW: i64 = 1_700_000_000;

    fn put(root: &Path, name: &str, text: &str) {
        Writes::default()
            .replace(&root.join(name), text.as_bytes())
            .unwrap();
    }

    fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        Library::create(&root, LayoutKind::Flat, "Test").unwrap();
        for (name, text) in files {
            put(&root, name, text);
        }
        let library = Library::open(&root).unwrap();
        library.rebuild(&mut |_| ControlFlow::Continue(())).unwrap();
        (dir, library)
    }

    fn place(library: &Library, path: &str) -> Place {
        library
            .at_desk(|desk| desk.index.place_by_path(path))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_move_that_was_cut_off_anywhere_is_finished_either_way() {
        let files = [
            ("images/a.png", "picture"),
            ("images/a.json", "{\"tags\": [], \"caption\": \"x\"}"),
            ("images/a.txt", "x"),
        ];
        for cut in 0..=3 {
            let (_dir, library) = library(&files);
            let place = place(&library, "images/a.png");
            library.at_desk(|desk| {
                let mut reserved = Reserved::new();
                let moves = desk
                    .plan_trash(&place, "why", None, NOW, &mut reserved)
                    .unwrap();
                assert_eq!(moves.files.len(), 3);
                // What a crash left: the note and the first of the files.
                let mut partly = moves.clone();
                partly.files.truncate(cut);
                desk.perform(&partly, &mut Writes::default(), &mut Vec::new())
                    .unwrap();
                for _ in 0..2 {
                    desk.perform(&moves, &mut Writes::default(), &mut Vec::new())
                        .unwrap();
                }
                let item = list(desk.shelf).unwrap().items.remove(0);
                assert_eq!(item.reason, "why");
                let back = desk.plan_restore(&item).unwrap();
                let mut partly = back.clone();
                partly.files.truncate(cut);
                partly.note = None;
                desk.perform(&partly, &mut Writes::default(), &mut Vec::new())
                    .unwrap();
                for _ in 0..2 {
                    desk.perform(&back, &mut Writes::default(), &mut Vec::new())
                        .unwrap();
                }
            });
            for (name, text) in files {
                let found = fs::read_to_string(library.root().join(name)).unwrap();
                assert_eq!(found, text, "cut after {cut}");
            }
            let listing = list(&library.shelf).unwrap();
            assert!(listing.items.is_empty() && listing.empty_notes.is_empty());
        }
    }

    #[test]
    fn where_both_files_are_or_neither_nothing_is_guessed() {
        let (_dir, library) = library(&[("images/a.png", "picture")]);
        let place = place(&library, "images/a.png");
        library.at_desk(|desk| {
            let moves = desk
                .plan_trash(&place, "", None, NOW, &mut Reserved::new())
                .unwrap();
            let (_, to) = moves.files[0].clone();
            put(library.root(), &to, "another");
            let error = desk
                .perform(&moves, &mut Writes::default(), &mut Vec::new())
                .unwrap_err();
            assert!(error.to_string().contains("is there too"), "{error}");
            fs::remove_file(library.root().join(&to)).unwrap();
            fs::remove_file(library.root().join("images/a.png")).unwrap();
            let error = desk
                .perform(&moves, &mut Writes::default(), &mut Vec::new())
                .unwrap_err();
            assert!(error.to_string().contains("is gone"), "{error}");
        });
    }

    #[test]
    fn two_plans_never_choose_one_name() {
        let (_dir, library) = library(&[
            ("images/one/a.png", "picture"),
            ("images/two/a.png", "picture"),
        ]);
        let places = ["images/one/a.png", "images/two/a.png"].map(|path| place(&library, path));
        library.at_desk(|desk| {
            let mut reserved = Reserved::new();
            let to: Vec<String> = places
                .iter()
                .map(|place| {
                    let same = Place {
                        id: "same".parse().unwrap(),
                        ..place.clone()
                    };
                    let moves = desk.plan_trash(&same, "", None, NOW, &mut reserved);
                    moves.unwrap().files.remove(0).1
                })
                .collect();
            assert_ne!(to[0], to[1]);
        });
    }

    #[test]
    fn a_note_that_lists_no_files_means_those_of_its_name() {
        let (_dir, library) = library(&[
            ("deleted/ab/cd/a.png", "picture"),
            ("deleted/ab/cd/a.json", "{\"tags\": [\"fox\"]}"),
            (
                "deleted/ab/cd/a.png.del.json",
                "{\"restore_path\": \"images/x.png\"}",
            ),
            ("deleted/ab/cd/stranger.png", "picture"),
        ]);
        let listing = list(&library.shelf).unwrap();
        assert_eq!(listing.items.len(), 1);
        assert_eq!(listing.unexplained.len(), 1);
        let item = &listing.items[0];
        assert_eq!((item.id.as_str(), item.at), ("x", None));
        let restored = library
            .restore(&library.operation("restore"), &listing.items, NOW)
            .remove(0)
            .unwrap();
        assert_eq!(restored.path, "images/x.png");
        assert!(library.root().join("images/x.json").is_file());
    }
}
