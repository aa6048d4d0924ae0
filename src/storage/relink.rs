//! Originals that another program renamed or moved: the sidecar that stayed behind,
//! the caption beside it, and the relations of other media follow the picture with
//! the same bytes.
//!
//! Invariants: a sidecar follows only a picture that has none, whose md5 is the one
//! its own picture had; the move is in the journal like one into the trash.

use super::{
    change::{Editing, Work},
    desk::Desk,
    error::Error,
    files,
    index::{Stray, Unlinked},
    requests::Followed,
    shelf::new_sidecar,
    trash::{Landed, Moves},
};
use crate::model::{id::MediaId, media::Media, operation::Operation};

impl Desk<'_> {
    /// See [`Library::follow_renamed`](super::Library::follow_renamed).
    pub(super) fn follow_renamed(
        &self,
        operation: &Operation,
        now: i64,
    ) -> Result<Vec<Followed>, Error> {
        let mut followed = Vec::new();
        for stray in self.index.strays()? {
            for candidate in self.index.unlinked(stray.bytes)? {
                if self.is_same_picture(&stray, &candidate)?
                    && let Some(one) = self.follow(operation, &stray, &candidate, now)?
                {
                    followed.push(one);
                    break;
                }
            }
        }
        self.follow_departed(operation, now)?;
        Ok(followed)
    }

    /// Lets relations follow media that are called something else now.
    pub(super) fn follow_departed(&self, operation: &Operation, now: i64) -> Result<(), Error> {
        for (from, to) in self.index.departed()? {
            self.redirect(operation, &from, &to, now)?;
        }
        Ok(())
    }

    fn is_same_picture(&self, stray: &Stray, candidate: &Unlinked) -> Result<bool, Error> {
        if let Some(md5) = candidate.md5 {
            return Ok(md5 == stray.md5);
        }
        let path = self.shelf.absolute(&candidate.path)?;
        if files::stat(&path)?.is_none() {
            return Ok(false);
        }
        Ok(files::md5_of_file(&path, &mut || true)? == Some(stray.md5))
    }

    /// Moves what belongs to a picture after it; `None` where that has changed since
    /// it was indexed.
    fn follow(
        &self,
        operation: &Operation,
        stray: &Stray,
        picture: &Unlinked,
        now: i64,
    ) -> Result<Option<Followed>, Error> {
        let ids: [&MediaId; 2] = [&stray.id, &picture.id];
        let locks = self.lock_sidecars(ids.into_iter())?;
        let old = self.shelf.absolute(&stray.sidecar)?;
        let spot = self.spot(&picture.path)?;
        let loaded = self.shelf.load(&spot)?;
        if files::stat(&old)?.is_none() || loaded.facts.has_sidecar || loaded.facts.is_missing {
            return Ok(None);
        }
        let sidecar = new_sidecar(&spot, &loaded.foreign);
        let mut moved = vec![(stray.sidecar.clone(), sidecar.clone())];
        let caption = |sidecar: &str| {
            let base = sidecar.strip_suffix(".json")?;
            Some(format!(
                "{}.txt",
                base.strip_suffix(".tagloupe").unwrap_or(base)
            ))
        };
        if let (Some(from), Some(to)) = (caption(&stray.sidecar), caption(&sidecar))
            && files::stat(&self.shelf.absolute(&from)?)?.is_some()
            && files::stat(&self.shelf.absolute(&to)?)?.is_none()
        {
            moved.push((from, to));
        }
        let moves = Moves {
            id: picture.id.clone(),
            path: picture.path.clone(),
            files: moved,
            note: None,
        };
        let plan = self.check_free_names(&moves).map(|()| moves);
        let landed = self.carry_out(Some(operation), vec![plan], now);
        drop(locks);
        for landed in landed {
            if let Landed::Away(_) = landed? {
                return Ok(None);
            }
        }
        self.index.inherit(&stray.id, &picture.id)?;
        self.reindex(&picture.path)?;
        self.reindex(&stray.path)?;
        self.redirect(operation, &stray.id, &picture.id, now)?;
        Ok(Some(Followed {
            from: stray.path.clone(),
            to: picture.path.clone(),
        }))
    }

    /// Relations follow a medium that has another id now.
    fn redirect(
        &self,
        operation: &Operation,
        from: &MediaId,
        to: &MediaId,
        now: i64,
    ) -> Result<(), Error> {
        if from == to {
            return Ok(());
        }
        let work = self.index.naming(from)?.into_iter().map(|key| {
            let redirect = |media: &mut Media| media.redirect(from.as_str(), to.as_str());
            Work {
                key,
                steps: vec![(0, Box::new(redirect) as Editing<'_>)],
            }
        });
        let written = self.change(std::slice::from_ref(operation), work.collect(), now);
        written
            .into_iter()
            .try_for_each(|written| written.map(drop))
    }

    fn check_free_names(&self, moves: &Moves) -> Result<(), Error> {
        for (_, to) in &moves.files {
            let to = self.shelf.absolute(to)?;
            if files::stat(&to)?.is_some() {
                return Err(Error::library(&to, "is there already"));
            }
        }
        Ok(())
    }
}
