//! The metadata stage: what stands beside the file.

use std::path::Path;

use super::{
    super::companion::{Companions, gather},
    Shared,
};
use crate::model::{entry::format_time, media::Media};

/// The medium as its companions describe it.
pub(super) fn collect(shared: &Shared, path: &Path) -> (Media, Companions) {
    let now = format_time((shared.settings.clock)());
    let mut companions = gather(path, &now);
    for warning in &companions.warnings {
        tracing::warn!("{warning}");
    }
    (std::mem::take(&mut companions.media), companions)
}
