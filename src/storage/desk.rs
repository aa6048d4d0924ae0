//! What every change of a library needs at hand, and the small steps that they share.

use std::collections::BTreeMap;

use super::{
    change::LOCK_TIMEOUT,
    error::Error,
    files,
    index::{Index, Place, Row},
    journal::Journal,
    marks::Marks,
    md5_lock::{Md5Lock, Purpose},
    rebuild::is_current,
    shelf::{Shelf, Spot, is_original, stem},
    tombstones::Tombstones,
};
use crate::model::{
    entry::Entry,
    id::{Md5, MediaId, MediaKey},
    sidecar::Sidecar,
};

/// What every change needs.
#[derive(Clone, Copy)]
pub(super) struct Desk<'l> {
    pub shelf: &'l Shelf,
    pub index: &'l Index,
    pub marks: &'l Marks,
    pub journal: &'l Journal,
    pub tombstones: &'l Tombstones,
}

impl Desk<'_> {
    /// Takes the locks of all sidecars of these media, in one order, so that two
    /// callers never wait for each other.
    pub(super) fn lock_sidecars<'a>(
        &self,
        ids: impl Iterator<Item = &'a MediaId>,
    ) -> Result<Vec<Md5Lock>, Error> {
        let mut buckets: BTreeMap<u8, Md5> = BTreeMap::new();
        for id in ids {
            let md5 = files::md5_of(id.as_str().as_bytes());
            buckets.insert(md5.0[0], md5);
        }
        self.shelf
            .lock_all(Purpose::Sidecar, buckets.values(), LOCK_TIMEOUT)
    }

    /// The sidecar of a medium now; the index is healed when its row was wrong.
    pub(super) fn read_sidecar(&self, key: MediaKey) -> Result<Sidecar, Error> {
        let place = self.place(key)?;
        let mut loaded = self.shelf.load(&self.spot(&place.path)?)?;
        if let Some(problem) = loaded.problem.take() {
            return Err(problem);
        }
        if loaded.is_gone() {
            let path = self.shelf.absolute(&place.path)?;
            let problem = "is gone, and its sidecar with it";
            self.forget(&[place])?;
            return Err(Error::library(&path, problem));
        }
        self.recall(&place, &mut loaded)?;
        let sidecar = loaded.sidecar.clone();
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

    /// The id for a new path: the short form unless someone else has it. The path may
    /// have come into the index since it was looked for.
    pub(super) fn free_id(&self, path: &str) -> Result<MediaId, Error> {
        let short = super::scan::short_id(&self.shelf.layout, path);
        let long = super::scan::long_id(&self.shelf.layout, path);
        for id in [short, long] {
            let place = match self.index.key_of(id)? {
                Some(key) => self.index.place(key)?,
                None => None,
            };
            if place.is_none_or(|place| place.path == path)
                && let Ok(id) = id.parse()
            {
                return Ok(id);
            }
        }
        path.parse()
            .map_err(|_| Error::library(self.shelf.layout.root(), "has a file without a name"))
    }

    /// Gives media that share their name with a path, which came or went, the ids that
    /// a rebuild would give them now. [`Desk::follow_departed`] tells relations.
    pub(super) fn settle_ids(&self, path: &str) -> Result<(), Error> {
        let base = stem(path);
        let mut siblings = self.index.paths_with_stem(base)?;
        siblings.retain(|sibling| stem(sibling) == base);
        for sibling in &siblings {
            let layout = &self.shelf.layout;
            let id = match siblings.len() {
                1 => super::scan::short_id(layout, sibling),
                _ => super::scan::long_id(layout, sibling),
            };
            let Some(place) = self.index.place_by_path(sibling)? else {
                continue;
            };
            if place.id.as_str() == id || self.index.key_of(id)?.is_some() {
                continue;
            }
            let Ok(id) = id.parse::<MediaId>() else {
                continue;
            };
            let loaded = self.shelf.load(&self.spot(sibling)?)?;
            self.enter(&mut [loaded.into_row(id)])?;
        }
        Ok(())
    }

    /// Writes rows, each checked against its sidecar once no one else can commit.
    pub(super) fn enter(&self, rows: &mut [Row]) -> Result<Vec<Entry>, Error> {
        self.marks
            .tell_others(rows.iter().map(|row| row.facts.path.as_str()));
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
        self.marks
            .tell_others(places.iter().map(|place| place.path.as_str()));
        let keys: Vec<MediaKey> = places.iter().map(|place| place.key).collect();
        self.index.commit(&mut [], &keys, &mut |_| {}).map(|_| ())
    }

    pub(super) fn unsynced(&self, error: &Error) -> Error {
        Error::Unsynced {
            path: self.shelf.layout.root().to_owned(),
            source: Box::new(error.repeated()),
        }
    }
}
