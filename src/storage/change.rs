//! The one way in which media change: read the sidecar now, apply the change,
//! write it if its bytes differ; and after all files of a batch are durable, one
//! index transaction.

use std::time::Duration;

use serde_json::Value;

use super::{
    error::Error,
    files::{self, Writes},
    index::{Index, Place, Row},
    marks::Marks,
    md5_lock::{self, Purpose},
    rebuild::is_current,
    requests::{Change, Written},
    shelf::{Loaded, Shelf, Spot, is_original, stem},
};
use crate::model::{
    edit::{Edit, apply_all},
    entry::{Entry, format_time},
    id::{MediaId, MediaKey},
    media::{Media, Revision},
    sidecar::Sidecar,
};

/// How long a change waits for another process that changes the same medium.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// What every change needs.
#[derive(Clone, Copy)]
pub(super) struct Desk<'l> {
    pub shelf: &'l Shelf,
    pub index: &'l Index,
    pub marks: &'l Marks,
}

/// A medium whose files are written and whose row is not.
struct Pending {
    key: MediaKey,
    row: Row,
    inverse: Vec<Edit>,
}

impl Desk<'_> {
    /// See [`Library::write`](super::Library::write).
    pub(super) fn write(&self, changes: Vec<Change>, now: i64) -> Vec<Result<Written, Error>> {
        let mut writes = Writes::default();
        let pending = changes
            .into_iter()
            .map(|change| {
                self.change(change.key, now, &mut writes, |media| {
                    apply_all(&change.edits, media)
                })
            })
            .collect();
        self.settle(pending, writes)
    }

    /// See [`Library::merge_duplicate`](super::Library::merge_duplicate).
    pub(super) fn merge(&self, key: MediaKey, other: &Media, now: i64) -> Result<Written, Error> {
        let mut writes = Writes::default();
        let pending = self.change(key, now, &mut writes, |media| merge(media, other));
        let mut written = self.settle(vec![pending], writes);
        written.pop().unwrap_or(Err(Error::UnknownKey(key)))
    }

    /// The sidecar of a medium now; the index is healed when its row was wrong.
    pub(super) fn read_sidecar(&self, key: MediaKey) -> Result<Sidecar, Error> {
        let place = self.place(key)?;
        let mut loaded = self.shelf.load(&self.spot(&place.path)?)?;
        if let Some(problem) = loaded.problem.take() {
            return Err(problem);
        }
        let sidecar = loaded.sidecar.clone();
        if loaded.is_gone() {
            let path = self.shelf.absolute(&place.path)?;
            let problem = "is gone, and its sidecar with it";
            self.forget(&[place])?;
            return Err(Error::library(&path, problem));
        }
        let is_right = place.stamp == loaded.stamp
            && place.sidecar == loaded.sidecar_path
            && place.is_missing == loaded.facts.is_missing;
        if !is_right {
            // A row that stays wrong costs a slower answer, nothing else.
            let _ = self.enter(&mut [loaded.into_row(place.id)]);
        }
        Ok(sidecar)
    }

    /// Reads a path's files again and brings its row up to date.
    pub(super) fn reindex(&self, path: &str) -> Result<(), Error> {
        let place = self.index.place_by_path(path)?;
        let loaded = self.shelf.load(&self.spot(path)?)?;
        if loaded.is_gone() {
            return self.forget(place.as_slice());
        }
        let id = match place {
            Some(place) => place.id,
            None => self.free_id(path)?,
        };
        self.enter(&mut [loaded.into_row(id)]).map(|_| ())
    }

    pub(super) fn place(&self, key: MediaKey) -> Result<Place, Error> {
        self.index.place(key)?.ok_or(Error::UnknownKey(key))
    }

    /// The spot of a path, with its siblings as the index knows them.
    pub(super) fn spot(&self, path: &str) -> Result<Spot, Error> {
        let mut siblings = self.index.paths_with_stem(stem(path))?;
        siblings.retain(|sibling| stem(sibling) == stem(path));
        if let Err(place) = siblings.binary_search_by(|sibling| sibling.as_str().cmp(path)) {
            siblings.insert(place, path.to_owned());
        }
        let name = stem(path);
        let is_name_of_another =
            is_original(name) && matches!(files::stat(&self.shelf.absolute(name)?), Ok(Some(_)));
        Ok(Spot::new(path, &siblings, is_name_of_another))
    }

    /// The id for a new path: the short form unless someone has it.
    pub(super) fn free_id(&self, path: &str) -> Result<MediaId, Error> {
        let short = super::scan::short_id(&self.shelf.layout, path);
        let long = super::scan::long_id(&self.shelf.layout, path);
        for id in [short, long] {
            if self.index.key_of(&id)?.is_none()
                && let Ok(id) = id.parse()
            {
                return Ok(id);
            }
        }
        path.parse()
            .map_err(|_| Error::library(self.shelf.layout.root(), "has a file without a name"))
    }

    /// Writes rows, each checked against its sidecar once no one else can commit.
    pub(super) fn enter(&self, rows: &mut [Row]) -> Result<Vec<Entry>, Error> {
        self.index.commit(rows, &[], &mut |row| {
            if is_current(self.shelf, row) {
                return;
            }
            // The spot of a row that is in the transaction cannot be asked from the
            // index; the sidecar it was read from is enough.
            let spot = Spot {
                path: row.facts.path.clone(),
                sidecars: row.sidecar.iter().cloned().collect(),
                shares_stem: false,
            };
            if let Ok(loaded) = self.shelf.load(&spot)
                && loaded.problem.is_none()
            {
                *row = loaded.into_row(row.id.clone());
            }
        })
    }

    pub(super) fn forget(&self, places: &[Place]) -> Result<(), Error> {
        let keys: Vec<MediaKey> = places.iter().map(|place| place.key).collect();
        self.index.commit(&mut [], &keys, &mut |_| {}).map(|_| ())
    }

    fn change(
        &self,
        key: MediaKey,
        now: i64,
        writes: &mut Writes,
        edit: impl FnOnce(&mut Media) -> Vec<Edit>,
    ) -> Result<Pending, Error> {
        let place = self.place(key)?;
        let spot = self.spot(&place.path)?;
        let lock = files::md5_of(place.id.as_str().as_bytes());
        let locks = self.shelf.layout.locks();
        let _lock = md5_lock::lock(&locks, Purpose::Sidecar, &lock, LOCK_TIMEOUT)?;
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
        let before = loaded.sidecar.media.clone();
        let inverse = edit(&mut loaded.sidecar.media);
        if loaded.sidecar.media != before {
            bump(&mut loaded, &self.shelf.host, now);
            self.shelf.save(&spot, &mut loaded, &before, writes)?;
        }
        Ok(Pending {
            key,
            row: loaded.into_row(place.id),
            inverse,
        })
    }

    /// Makes the files durable, then writes the rows.
    fn settle(
        &self,
        pending: Vec<Result<Pending, Error>>,
        writes: Writes,
    ) -> Vec<Result<Written, Error>> {
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
        let (mut entries, warning) = match entered {
            Ok(entries) => (entries.into_iter(), None),
            Err(error) => {
                self.marks
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
            if let Err(error) = &synced {
                return Err(Error::library(
                    self.shelf.layout.root(),
                    format!("may lose this change in a power cut: {}", error.chain()),
                ));
            }
            Ok(Written {
                entry,
                inverse: pending.inverse,
                warning: warning.clone(),
            })
        };
        let mut settle = settle;
        pending
            .into_iter()
            .map(|pending| pending.and_then(&mut settle))
            .collect()
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

/// Adds what another description of the same picture knows; what is there wins.
/// Returns the edits that take back what edits can express.
pub(super) fn merge(media: &mut Media, other: &Media) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(other.tags.iter().map(|tag| Edit::AddTag {
        tag: tag.clone(),
        position: None,
    }));
    edits.extend(other.urls.iter().cloned().map(Edit::AddUrl));
    for (relation, ids) in &other.related {
        edits.extend(ids.iter().map(|id| Edit::AddRelation {
            relation: relation.clone(),
            id: id.clone(),
        }));
    }
    let is_locked = |field: &str| media.locked.iter().any(|locked| locked == field);
    if media.caption.is_empty() && !other.caption.is_empty() && !is_locked("caption") {
        edits.push(Edit::SetCaption(other.caption.clone()));
    }
    if media.name.is_empty() && !other.name.is_empty() && !is_locked("name") {
        edits.push(Edit::SetName(other.name.clone()));
    }
    if media.rating.is_none() && other.rating.is_some() && !is_locked("rating") {
        edits.push(Edit::SetRating {
            rating: other.rating,
            src: other.rating_src.clone(),
        });
    }
    if other.stars > media.stars {
        edits.push(Edit::SetStars(other.stars));
    }
    if other.fav {
        edits.push(Edit::SetFav(true));
    }
    if is_locked("tags") {
        edits.retain(|edit| !matches!(edit, Edit::AddTag { .. }));
    }
    let inverse = apply_all(&edits, media);
    fill(&mut media.sources, &other.sources);
    fill(&mut media.metadata, &other.metadata);
    fill(&mut media.derived, &other.derived);
    for note in &other.notes {
        if !media.notes.contains(note) {
            media.notes.push(note.clone());
        }
    }
    for name in crate::model::media::HASH_NAMES {
        if let (Some(hash), Some(field)) = (other.hashes.get(name), media.hashes.get_mut(name))
            && field.is_none()
        {
            *field = Some(hash.to_owned());
        }
    }
    inverse
}

/// Takes over keys that are not there yet.
fn fill(object: &mut serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>) {
    for (key, value) in other {
        if !object.contains_key(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}
