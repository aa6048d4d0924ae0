//! Repairs of what can be derived from something else.
//!
//! Invariant: no original is touched, and nothing that a user wrote is lost: a
//! sidecar that cannot be read goes to quarantine before another takes its place.

use std::path::PathBuf;

use serde_json::Value;

use super::Checked;
use crate::{
    model::{
        id::{Md5, MediaId, MediaKey},
        media::Media,
        sidecar::Sidecar,
    },
    storage::{
        change::{Desk, bump},
        error::Error,
        files::Writes,
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
                "broken sidecar put into quarantine and made again from the index".to_owned()
            }
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
            Self::Row | Self::Forget(_) | Self::Facts(_) | Self::Remake => layout.root().join(of),
        }
    }

    /// Does it. `checked` is the medium with which something was wrong, if it was one.
    pub(super) fn perform(
        &self,
        desk: Desk<'_>,
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
                let id = place.as_ref().map_or(&found.id, |place| &place.id);
                mend(desk, id, &found.spot, settings.now, |media| {
                    note_facts(media, *facts);
                })
            }
            (Self::Remake, Some((found, Some(place)))) => {
                remake(desk, place, &found.spot, settings.now)
            }
            (Self::NameMask(place, mask), _) => {
                mend(desk, &place.id, &spot_of(place), settings.now, |media| {
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
                mend(desk, &place.id, &spot_of(place), settings.now, |media| {
                    let source = Value::from(source.as_str());
                    media.derived.insert("source_image".to_owned(), source);
                })
            }
            (Self::Remove(path), _) => {
                let mut writes = Writes::default();
                writes.remove(path)?;
                writes.finish()
            }
            (Self::Row | Self::Facts(_) | Self::Remake, _) => Ok(()),
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

/// Changes the sidecar that is there, and its row.
fn mend(
    desk: Desk<'_>,
    id: &MediaId,
    spot: &Spot,
    now: i64,
    change: impl FnOnce(&mut Media),
) -> Result<(), Error> {
    let _lock = desk.lock_sidecar(id)?;
    let mut loaded = desk.shelf.load(spot)?;
    if let Some(problem) = loaded.problem.take() {
        return Err(problem);
    }
    let before = loaded.sidecar.media.clone();
    change(&mut loaded.sidecar.media);
    if loaded.sidecar.media == before {
        return Ok(());
    }
    bump(&mut loaded, &desk.shelf.host, now);
    let mut writes = Writes::default();
    desk.shelf.save(spot, &mut loaded, &before, &mut writes)?;
    writes.finish()?;
    desk.enter(&mut [loaded.into_row(id.clone())]).map(|_| ())
}

/// Puts a copy of a broken sidecar into quarantine, and in its place one with what
/// the index remembers.
fn remake(desk: Desk<'_>, place: &Place, spot: &Spot, now: i64) -> Result<(), Error> {
    let _lock = desk.lock_sidecar(&place.id)?;
    let loaded = desk.shelf.load(spot)?;
    let (Some(problem), Some(path)) = (loaded.problem, loaded.sidecar_path) else {
        // Somebody mended it meanwhile.
        return Ok(());
    };
    let mut media = desk.index.remembered(place.key)?.unwrap_or_default();
    if let Some((_, text)) = desk.shelf.caption_file(spot)?
        && media.caption.is_empty()
        && !desk.shelf.identity.txt_is_tags
    {
        media.caption = text;
    }
    let sidecar = Sidecar {
        media,
        ..Sidecar::default()
    };
    let text = sidecar.render();
    let absolute = desk.shelf.absolute(&path)?;
    let reason = format!("a sidecar that could not be read: {}", problem.chain());
    desk.quarantine(&absolute, Transfer::Copy, &reason, now)?;
    let mut writes = Writes::default();
    writes.replace(&absolute, text.as_bytes())?;
    writes.finish()?;
    let loaded = desk.shelf.load(spot)?;
    desk.enter(&mut [loaded.into_row(place.id.clone())])
        .map(|_| ())
}
