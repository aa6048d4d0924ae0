//! Repairs of what can be derived from something else.
//!
//! Invariant: no original is touched, and nothing that a user wrote is lost: a
//! sidecar that cannot be read goes to quarantine before another takes its place,
//! and every change of a sidecar is in the journal, to be undone.

use std::path::PathBuf;

use serde_json::Value;

use super::Checked;
use crate::{
    model::{
        id::{Md5, MediaId, MediaKey},
        media::Media,
        operation::Operation,
    },
    storage::{
        change::Work,
        desk::Desk,
        error::Error,
        files::{self, Writes},
        findings::VerifySettings,
        index::Place,
        layout::Layout,
        rebuild,
        requests::Transfer,
        shelf::Spot,
    },
};

/// Facts that a sidecar lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub md5: Option<Md5>,
    pub bytes: Option<u64>,
    pub dimensions: Option<(u32, u32)>,
}

impl Facts {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a flaw is repaired.
#[derive(Clone, Debug)]
pub(super) enum Fix {
    /// The medium is indexed again from its files.
    Row,
    /// The index forgets a medium that is gone.
    Forget(MediaKey),
    /// The sidecar is completed.
    Facts(Facts),
    /// The sidecar is made again from what the index knows.
    Remake,
    /// What another program left out of the sidecar is written into it again.
    GiveBack,
    /// Another medium names this one as one of its masks.
    NameMask(Box<Place>, MediaId),
    /// This mask names the picture that names it.
    NameSource(Box<Place>, MediaId),
    /// A file of ours that nobody needs goes.
    Remove(PathBuf),
}

impl Fix {
    /// What the repair does, in words that fit behind the file's name.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Row => "indexed again".to_owned(),
            Self::Forget(_) => "taken out of the index".to_owned(),
            Self::Facts(facts) => {
                let mut parts = Vec::new();
                if let Some(md5) = facts.md5 {
                    parts.push(format!("md5 {md5}"));
                }
                if let Some(bytes) = facts.bytes {
                    parts.push(format!("{bytes} bytes"));
                }
                if let Some((width, height)) = facts.dimensions {
                    parts.push(format!("{width}x{height} pixels"));
                }
                format!("noted in the sidecar: {}", parts.join(", "))
            }
            Self::Remake => {
                "sidecar made again from the index; a broken one is in quarantine".to_owned()
            }
            Self::GiveBack => "given back what another program left out".to_owned(),
            Self::NameMask(_, mask) => format!("noted as the source of mask {mask}"),
            Self::NameSource(_, source) => format!("noted as a mask of {source}"),
            Self::Remove(_) => "removed".to_owned(),
        }
    }

    /// The file that is changed.
    pub(super) fn path(&self, layout: &Layout, of: &str) -> PathBuf {
        match self {
            Self::NameMask(place, _) | Self::NameSource(place, _) => {
                layout.root().join(&place.path)
            }
            Self::Remove(path) => path.clone(),
            Self::Row | Self::Forget(_) | Self::Facts(_) | Self::Remake | Self::GiveBack => {
                layout.root().join(of)
            }
        }
    }

    /// Does it, in the name of `operation`. `checked` is the medium with which
    /// something was wrong, if it was one.
    pub(super) fn perform(
        &self,
        desk: Desk<'_>,
        operation: &Operation,
        checked: Option<&Checked>,
        settings: &VerifySettings,
    ) -> Result<(), Error> {
        match (self, checked) {
            (Self::Row, Some((found, _))) => {
                if let (Some(row), _) = rebuild::load(desk.shelf, found)? {
                    desk.enter(&mut [row])?;
                }
                Ok(())
            }
            (Self::Forget(key), _) => desk.index.commit(&mut [], &[*key], &mut |_| {}).map(|_| ()),
            (Self::Facts(facts), Some((found, place))) => {
                let key = key_of(desk, &found.spot.path, place.as_ref())?;
                mend(desk, operation, key, settings.now, |media| {
                    note_facts(media, *facts);
                })
            }
            (Self::Remake, Some((found, Some(place)))) => {
                remake(desk, operation, place, &found.spot, settings.now)
            }
            (Self::GiveBack, Some((_, Some(place)))) => {
                // Whoever reads the sidecar to change it puts that back.
                mend(desk, operation, place.key, settings.now, |_| {})
            }
            (Self::NameMask(place, mask), _) => {
                mend(desk, operation, place.key, settings.now, |media| {
                    let masks = media.related.iter_mut().find(|(name, _)| name == "masks");
                    match masks {
                        Some((_, ids)) => ids.push(mask.as_str().to_owned()),
                        None => media
                            .related
                            .push(("masks".to_owned(), vec![mask.as_str().to_owned()])),
                    }
                })
            }
            (Self::NameSource(place, source), _) => {
                mend(desk, operation, place.key, settings.now, |media| {
                    let source = Value::from(source.as_str());
                    media.derived.insert("source_image".to_owned(), source);
                })
            }
            (Self::Remove(path), _) => {
                let mut writes = Writes::default();
                writes.remove(path)?;
                writes.finish()
            }
            (Self::Row | Self::Facts(_) | Self::Remake | Self::GiveBack, _) => Ok(()),
        }
    }
}

/// The spot of a medium whose sidecar the index knows.
pub(super) fn spot_of(place: &Place) -> Spot {
    Spot {
        path: place.path.clone(),
        sidecars: place.sidecar.iter().cloned().collect(),
        shares_stem: true,
    }
}

fn note_facts(media: &mut Media, facts: Facts) {
    if let Some(md5) = facts.md5
        && media.hashes.md5.is_none()
    {
        media.hashes.md5 = Some(md5.to_string());
    }
    let mut note = |key: &str, value: Value| {
        media.metadata.insert(key.to_owned(), value);
    };
    if let Some(bytes) = facts.bytes {
        note("bytes", bytes.into());
    }
    if let Some((width, height)) = facts.dimensions {
        note("width", width.into());
        note("height", height.into());
    }
}

/// Changes the sidecar of a medium in the name of the repairs.
fn mend(
    desk: Desk<'_>,
    operation: &Operation,
    key: MediaKey,
    now: i64,
    change: impl FnMut(&mut Media) + Send,
) -> Result<(), Error> {
    let work = Work {
        key,
        steps: vec![(0, Box::new(change))],
    };
    let written = desk.change(std::slice::from_ref(operation), vec![work], now);
    written.into_iter().try_for_each(|one| one.map(|_| ()))
}

/// Puts a broken sidecar into quarantine, and in its place, or in that of one that
/// is gone, the one which the index remembers.
fn remake(
    desk: Desk<'_>,
    operation: &Operation,
    place: &Place,
    spot: &Spot,
    now: i64,
) -> Result<(), Error> {
    let lock = desk.lock_sidecar(&place.id)?;
    let loaded = desk.shelf.load(spot)?;
    if let (Some(problem), Some(path)) = (&loaded.problem, &loaded.sidecar_path) {
        let absolute = desk.shelf.absolute(path)?;
        let reason = format!("a sidecar that could not be read: {}", problem.chain());
        desk.quarantine(&absolute, &[], Transfer::Move, &reason, now)?;
    } else if loaded.facts.has_sidecar {
        // Somebody mended it meanwhile.
        return Ok(());
    } else if let Some(expected) = desk
        .index
        .base(place.key)?
        .and_then(|base| base.media.hashes.md5)
    {
        let path = desk.shelf.absolute(&place.path)?;
        let found = files::md5_of_file(&path, &mut || true)?.map(|md5| md5.to_string());
        if found
            .as_ref()
            .is_none_or(|found| !found.eq_ignore_ascii_case(&expected))
        {
            return Err(Error::library(
                &path,
                "is another picture than the one whose sidecar is remembered",
            ));
        }
    }
    drop(lock);
    let work = Work {
        key: place.key,
        steps: vec![(0, Box::new(|_: &mut Media| {}))],
    };
    let written = desk.remake(std::slice::from_ref(operation), vec![work], now);
    written.into_iter().try_for_each(|one| one.map(|_| ()))
}

/// The key of a medium that is checked, which is indexed first where it is not.
fn key_of(desk: Desk<'_>, path: &str, place: Option<&Place>) -> Result<MediaKey, Error> {
    if let Some(place) = place {
        return Ok(place.key);
    }
    desk.reindex(path)?;
    let place = desk.index.place_by_path(path)?;
    place
        .map(|place| place.key)
        .ok_or_else(|| Error::library(desk.shelf.layout.root(), format!("has no {path:?}")))
}
