//! The metadata stage: what stands beside the file, then what the sources say.

use std::path::Path;

use super::{
    super::{
        companion::{Companions, gather},
        job::Cancel,
        source::consult,
    },
    Shared,
};
use crate::model::{entry::format_time, id::Md5, media::Media};

/// The medium as its companions and the sources describe it.
pub(super) fn collect(
    shared: &Shared,
    path: &Path,
    md5: Md5,
    cancel: &Cancel,
) -> (Media, Companions) {
    let now = format_time((shared.settings.clock)());
    let mut companions = gather(path, &now);
    for warning in &companions.warnings {
        tracing::warn!("{warning}");
    }
    let mut media = std::mem::take(&mut companions.media);
    for (source, reason) in consult(&shared.settings.sources, md5, path, &mut media, cancel) {
        tracing::info!("{source} is to be asked again about {md5}: {reason}");
    }
    (media, companions)
}
