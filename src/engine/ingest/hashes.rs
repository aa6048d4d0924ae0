//! The hashes stage: the file decoded once, for its facts, its hashes, and the
//! preview from which all smaller pictures are made.

use std::{io, path::Path};

use super::{
    super::{
        decode::{DecodeError, decode, resize},
        event::{IngestOutcome, PictureSize},
        hashing::hash_with_preview,
    },
    Shared,
    door::{Admitted, unreadable},
    run::End,
};
use crate::model::media::{Hashes, Media, Pixels};

/// What looking at the pixels gave besides what was written into the medium.
pub(super) struct Looks {
    /// Of the format found in the bytes.
    pub extension: String,
    pub preview: Option<Pixels>,
    /// Why it cannot be shown here.
    pub undecodable: Option<String>,
}

pub(super) enum Trouble {
    /// No picture can be had from it, here or elsewhere.
    Broken(String),
    End(End),
}

/// Fills in kind, facts and hashes.
pub(super) fn look(
    shared: &Shared,
    admitted: &Admitted,
    path: &Path,
    media: &mut Media,
) -> Result<Looks, Trouble> {
    // Hashes that came with the file may be those of another one.
    media.hashes = Hashes {
        md5: Some(admitted.md5.to_string()),
        rest: std::mem::take(&mut media.hashes.rest),
        ..Hashes::default()
    };
    // When it entered another library says nothing here.
    media.metadata.shift_remove("imported");
    let limits = &shared.settings.limits;
    let (facts, preview, undecodable) = match decode(path, limits, &shared.parts.memory) {
        Ok(decoded) => {
            let preview = resize(&decoded.pixels, PictureSize::Preview.max_side());
            let hashes = hash_with_preview(&decoded.pixels, &preview);
            media.hashes.pixel = Some(hashes.pixel);
            media.hashes.phash = Some(hashes.phash);
            media.hashes.dhash = Some(hashes.dhash);
            media.hashes.ahash = Some(hashes.ahash);
            media.hashes.whash = Some(hashes.whash);
            media.hashes.colorhash = Some(hashes.colorhash);
            (decoded.facts, Some(preview), None)
        }
        Err(error) => {
            let reason = error.reason();
            match error {
                DecodeError::TooLarge { facts, .. } | DecodeError::Unsupported { facts, .. } => {
                    (*facts, None, Some(reason))
                }
                DecodeError::Io { source, .. } => return Err(Trouble::End(io_end(&source))),
                DecodeError::Broken { .. } | DecodeError::NotMedia { .. } => {
                    return Err(Trouble::Broken(reason));
                }
            }
        }
    };
    if !media.kind.is_derived() {
        media.kind = facts.kind();
    }
    let extension = facts.format.extension().to_owned();
    facts.into_metadata(&mut media.metadata);
    match &undecodable {
        Some(reason) => {
            media
                .metadata
                .insert("undecodable".to_owned(), reason.as_str().into());
        }
        None => {
            media.metadata.shift_remove("undecodable");
        }
    }
    Ok(Looks {
        extension,
        preview,
        undecodable,
    })
}

fn io_end(error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::Interrupted {
        End::Outcome(IngestOutcome::Cancelled)
    } else {
        unreadable(error)
    }
}
