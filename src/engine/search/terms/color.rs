//! The colors of pictures, from the color hashes that the index has of them.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::{Evaluation, Media, Result};
use crate::model::{
    color::{ColorTest, Palette},
    entry::Facets,
    fact::Detail,
    media::MediaKind,
};

/// The detail that all of this goes by.
pub(super) const HASH: Detail = Detail::Hash("colorhash");

impl<'a> Evaluation<'a> {
    /// The media that show any of some colors; says how many may, for all that is known.
    pub(super) fn colored(&mut self, tests: &[ColorTest]) -> Result<Media<'a>> {
        let mut found = Vec::new();
        let mut known = Vec::new();
        self.each(HASH, &mut |key, hash| {
            if let Some(palette) = Palette::parse(hash) {
                known.push(key);
                if tests.iter().any(|test| palette.shows(test)) {
                    found.push(key);
                }
            }
        })?;
        let known: RoaringBitmap = known.into_iter().collect();
        let mut unknown = self.catalog.all() - known;
        // Nobody looks for the colors of a mask, or in the trash.
        unknown -= self.catalog.with_facet(Facets::TRASHED);
        for kind in MediaKind::ALL.into_iter().filter(|kind| kind.is_derived()) {
            unknown -= self.catalog.of_kind(kind);
        }
        if !unknown.is_empty() {
            let left = unknown.len();
            self.hint(format!(
                "color: knows nothing of the colors of {left} others, which only ingest notes"
            ));
        }
        let found: RoaringBitmap = found.into_iter().collect();
        Ok(Cow::Owned(found & self.catalog.all()))
    }

    /// The places of media in the order of their colors, of those that have any.
    pub fn color_places(&mut self) -> Result<Vec<(u32, u32)>> {
        let mut places = Vec::new();
        self.each(HASH, &mut |key, hash| {
            places.extend(Palette::parse(hash).map(|palette| (palette.place(), key)));
        })?;
        Ok(places)
    }
}
