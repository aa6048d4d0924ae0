//! Terms about what a medium is and has: facets, lists of words, ids, hashes.

use std::{borrow::Cow, collections::HashMap};

use roaring::{MultiOps, RoaringBitmap};

use super::{
    Evaluation, Media, Result,
    scalars::{category_place, column},
};
use crate::engine::{
    duplicate_groups::{self, DuplicateGroups},
    duplicates::exact_groups,
    search::explain::How,
    tag_similarity::Measure,
};
use crate::model::{
    color::Palette,
    column::Column,
    entry::Facets,
    fact::{Detail, Fact, PART},
    hash::PerceptualHash,
    id::{Md5, MediaId, MediaKey},
    media::{MediaKind, Rating, Status},
    query::{
        key::Key,
        tree::{Items, NumberTest, Pattern, Similar, Value},
    },
    text::display_text,
};

/// Bits by which `similar:` lets hashes differ when it does not say.
const DEFAULT_DISTANCE: u32 = 10;
/// Media that `similar:` finds by their tags when it does not say.
const DEFAULT_COUNT: usize = 50;
/// The shortest prefix of an id.
const MIN_PREFIX: usize = 4;
/// Relations that say how two similar media stand to each other: somebody decided.
const DECISIONS: [&str; 5] = [
    "duplicates",
    "not_duplicate",
    "variants",
    "alternates",
    "siblings",
];

impl<'a> Evaluation<'a> {
    /// The media that have a value of that key at all.
    pub(super) fn has_any(&mut self, key: Key, category: Option<&str>) -> Result<Media<'a>> {
        Ok(match key {
            Key::Caption | Key::Text | Key::Chars | Key::Words | Key::Tokens => {
                self.with(Facets::CAPTION)
            }
            Key::Note | Key::Notecount => self.with(Facets::NOTE),
            Key::Url | Key::Urlcount => self.with(Facets::URL),
            Key::Source | Key::Sitecount => self.with(Facets::SOURCE),
            Key::Parent => self.with(Facets::PARENT),
            Key::Child | Key::Childcount => self.with(Facets::CHILD),
            Key::Related => self.with(Facets::RELATION),
            Key::Similar | Key::Simcount => self.with(Facets::SIMILAR),
            Key::Mask => self.detail(Detail::Fact(Fact::MaskCategory), |_| true)?,
            Key::Fav => Cow::Borrowed(self.catalog.favorites()),
            Key::Md5 => Cow::Borrowed(self.catalog.with_md5()),
            Key::Rating => self.ratings(&Rating::ALL),
            Key::Status => Self::union(&[self.status("inbox"), self.status("archived")]),
            Key::Name => self.scan(|record| !record.name().is_empty())?,
            Key::Site | Key::Post => self.scan(|record| record.posts().next().is_some())?,
            Key::Phash => self.scan(|record| record.phash().is_some())?,
            Key::Of => self.scan(|record| record.origin().is_some())?,
            Key::Tagcount if category.is_some() => {
                let category = category.unwrap_or_default();
                match category_place(category) {
                    Some(place) => self.above(Column::CategoryTags(place), 1.0)?,
                    None => self.tags_where(|name| name.category == category)?,
                }
            }
            Key::Tag | Key::Direct | Key::Src | Key::Tagcount => self.above(Column::Tags, 1.0)?,
            Key::Stars | Key::Frames => match column(key) {
                Some((column, _)) => self.above(column, 1.0)?,
                None => Cow::default(),
            },
            Key::Width
            | Key::Height
            | Key::Mpixels
            | Key::Ratio
            | Key::Filesize
            | Key::Duration
            | Key::Score
            | Key::Favcount => match column(key) {
                Some((column, least)) => self.above(column, least)?,
                None => Cow::default(),
            },
            Key::Orient => self.above(Column::Ratio, 0.0)?,
            Key::Filename
            | Key::Path
            | Key::Folder
            | Key::Ext
            | Key::Type
            | Key::Id
            | Key::Date
            | Key::Imported
            | Key::Modified
            | Key::Filemod
            | Key::Age => Cow::Borrowed(self.catalog.all()),
            Key::Conf => self.detail(Detail::Fact(Fact::Confidences), |_| true)?,
            Key::Removed => self.detail(Detail::Fact(Fact::Removed), |_| true)?,
            Key::Fps => self.detail(Detail::Fact(Fact::FrameRate), |_| true)?,
            Key::Pages => self.detail(Detail::Fact(Fact::Pages), |_| true)?,
            Key::Taken => self.detail(Detail::Fact(Fact::Taken), |_| true)?,
            Key::Created => self.detail(Detail::Fact(Fact::Created), |_| true)?,
            Key::Sha256 => self.detail(Detail::Hash("sha256"), |_| true)?,
            Key::Pixel => self.detail(Detail::Hash("pixel"), |_| true)?,
            Key::Project | Key::Ordproject | Key::Projectcount => {
                let mut parts = Vec::new();
                for album in self.projects() {
                    parts.push(self.members(&album)?);
                }
                Self::union(&parts)
            }
            Key::Search => self.named_searches(&Pattern::Glob("*".to_owned()))?,
            Key::Dup => self.duplicates()?,
            Key::Mark => self.marked_at_all(),
            Key::Viewed => self.viewed_when(|_| true)?,
            Key::Color => self.detail(super::color::HASH, |hash| Palette::parse(hash).is_some())?,
            Key::Selected
            | Key::Is
            | Key::Has
            | Key::Needs
            | Key::Embed
            | Key::All
            | Key::Order
            | Key::Limit
            | Key::Random => self.unavailable(key, &format!("{}:any", key.name())),
        })
    }

    fn ratings(&self, ratings: &[Rating]) -> Media<'a> {
        let parts = ratings.iter().map(|rating| self.catalog.of_rating(*rating));
        Cow::Owned(parts.union())
    }

    fn status(&self, word: &str) -> Media<'a> {
        match word {
            "inbox" => Cow::Borrowed(self.catalog.of_status(Status::Inbox)),
            "archive" | "archived" => Cow::Borrowed(self.catalog.of_status(Status::Archived)),
            "trash" => self.with(Facets::TRASHED),
            "missing" => self.with(Facets::MISSING),
            "broken" => self.with(Facets::NEEDS_THUMBNAIL),
            "any" => Cow::Borrowed(self.catalog.all()),
            _ => Cow::default(),
        }
    }

    fn derived(&self) -> Media<'a> {
        let kinds = MediaKind::ALL.into_iter().filter(|kind| kind.is_derived());
        Cow::Owned(kinds.map(|kind| self.catalog.of_kind(kind)).union())
    }

    /// The media with a number in a column that is no less than another.
    pub(super) fn above(&mut self, column: Column, least: f64) -> Result<Media<'a>> {
        let test = NumberTest {
            low: least,
            high: f64::INFINITY,
            is_negated: false,
        };
        self.in_column(column, least, &[test])
    }

    fn oriented(&mut self, word: &str) -> Result<Media<'a>> {
        let (low, high) = match word {
            "portrait" => (0.0, 1.0_f64.next_down()),
            "landscape" => (1.0_f64.next_up(), f64::INFINITY),
            _ => (1.0, 1.0),
        };
        let test = NumberTest {
            low,
            high,
            is_negated: false,
        };
        self.in_column(Column::Ratio, 0.0, &[test])
    }

    /// One word of a list.
    pub(super) fn word(&mut self, key: Key, word: &str) -> Result<Media<'a>> {
        Ok(match key {
            Key::Rating => match word {
                "safe" => self.ratings(&[Rating::General]),
                "sfw" => self.ratings(&[Rating::General, Rating::Sensitive]),
                "nsfw" => self.ratings(&[Rating::Questionable, Rating::Explicit]),
                word => match word.parse() {
                    Ok(rating) => Cow::Borrowed(self.catalog.of_rating(rating)),
                    Err(_) => Cow::default(),
                },
            },
            Key::Type => {
                let word = if word == "frame" { "video_frame" } else { word };
                match word.parse() {
                    Ok(kind) => Cow::Borrowed(self.catalog.of_kind(kind)),
                    Err(_) => Cow::default(),
                }
            }
            Key::Status => self.status(word),
            Key::Orient => self.oriented(word)?,
            Key::Is => self.is(word)?,
            Key::Has => self.has(word)?,
            Key::Needs => self.needs(word)?,
            Key::Ext => {
                self.did(How::Ordered);
                let word = word.to_ascii_lowercase();
                let mut found = RoaringBitmap::new();
                for extension in [word.as_str()].into_iter().chain(same_extension(&word)) {
                    found |= self.catalog.with_text(Column::Extension, extension);
                }
                Cow::Owned(found)
            }
            Key::Site => self.scan(|record| record.posts().any(|(site, _)| site == word))?,
            Key::Post => match word.split_once(':') {
                Some((site, id)) => Cow::Owned(
                    self.catalog
                        .keys_of_post(site, id)
                        .map(|key| key.0)
                        .collect(),
                ),
                None => self.scan(|record| record.posts().any(|(_, id)| id == word))?,
            },
            Key::Id => self.ids(word),
            Key::Md5 => self.md5(word)?,
            Key::Phash => self.scan(|record| {
                record
                    .phash()
                    .is_some_and(|hash| hash.to_string().starts_with(word))
            })?,
            Key::Of => {
                let ids = self.named(word);
                self.scan(|record| {
                    record
                        .origin()
                        .is_some_and(|of| ids.iter().any(|id| id == of))
                })?
            }
            Key::Parent => {
                let ids = self.named(word);
                let mut family = self.ids(word).into_owned();
                family |= self
                    .scan(|record| {
                        record
                            .parent()
                            .is_some_and(|of| ids.iter().any(|id| id == of))
                    })?
                    .as_ref();
                Cow::Owned(family)
            }
            Key::Child => {
                let parents: Vec<String> = self
                    .ids(word)
                    .iter()
                    .filter_map(|key| self.catalog.record(MediaKey(key)))
                    .filter_map(|record| record.parent().map(str::to_owned))
                    .collect();
                let ids: Vec<MediaId> = parents.iter().filter_map(|id| id.parse().ok()).collect();
                Cow::Owned(
                    ids.iter()
                        .filter_map(|id| self.catalog.key_of(id))
                        .map(|key| key.0)
                        .collect(),
                )
            }
            Key::Sha256 => self.detail(Detail::Hash("sha256"), |hash| hash.starts_with(word))?,
            Key::Pixel => self.detail(Detail::Hash("pixel"), |hash| hash.starts_with(word))?,
            Key::Related => {
                let (kind, id) = word.split_once(':').unwrap_or((word, ""));
                let ids = if id.is_empty() {
                    Vec::new()
                } else {
                    self.named(id)
                };
                self.related(|known, other| {
                    known == kind && (id.is_empty() || ids.iter().any(|id| id == other))
                })?
            }
            Key::Dup => self.duplicate(word)?,
            Key::Mark => self.marked(word),
            _ => self.unavailable(key, &format!("{}:", key.name())),
        })
    }

    /// The media with a relation that passes a test.
    fn related(&mut self, mut test: impl FnMut(&str, &str) -> bool) -> Result<Media<'a>> {
        self.detail(Detail::Relation, |text| {
            text.split_once(PART)
                .is_some_and(|(kind, other)| test(kind, other))
        })
    }

    fn duplicate(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "exact" => self.exact_duplicates(),
            "pixel" => self.pixel_duplicates()?,
            "near" => self.related(|kind, _| matches!(kind, "similar" | "duplicates"))?,
            "reviewed" => self.related(|kind, _| DECISIONS.contains(&kind))?,
            _ => self.duplicate_group(word)?,
        })
    }

    /// The members of a group of duplicates, by its name.
    fn duplicate_group(&mut self, word: &str) -> Result<Media<'a>> {
        let shown = display_text(word).into_owned();
        if duplicate_groups::digits(word).is_none() {
            self.hint(format!(
                "dup:{shown} is none of exact, pixel, near, reviewed, any, none, and no name of \
                 a group, like dup:G1a2b3c4d"
            ));
            return Ok(Cow::default());
        }
        let catalog = self.catalog;
        let groups = DuplicateGroups::find(catalog, |detail, on| {
            self.each(detail, &mut |key, text| on(MediaKey(key), text))
        })?;
        let members = groups.named(word).flat_map(|group| &group.keys);
        let found: RoaringBitmap = members.map(|key| key.0).collect();
        if found.is_empty() {
            self.hint(format!(
                "no duplicates are called {shown}; the info panel and tagloupe dups name them"
            ));
        }
        Ok(Cow::Owned(found))
    }

    /// All that are in a group of duplicates, whatever kind.
    fn duplicates(&mut self) -> Result<Media<'a>> {
        let parts = [
            self.exact_duplicates(),
            self.pixel_duplicates()?,
            self.duplicate("near")?,
        ];
        Ok(Self::union(&parts))
    }

    /// Media whose bytes another one has as well.
    fn exact_duplicates(&self) -> Media<'a> {
        let same = self.catalog.same_md5();
        Cow::Owned(same.into_keys().map(|key| key.0).collect())
    }

    /// Media whose pixels another one has as well.
    fn pixel_duplicates(&mut self) -> Result<Media<'a>> {
        let mut first: HashMap<String, u32> = HashMap::new();
        let mut found = RoaringBitmap::new();
        self.each(Detail::Hash("pixel"), &mut |key, hash| {
            if let Some(other) = first.insert(hash.to_owned(), key) {
                found.extend([other, key]);
            }
        })?;
        Ok(Cow::Owned(found & self.catalog.all()))
    }

    /// Media that look like another one, of which nobody has said what that means.
    fn unreviewed(&mut self) -> Result<Media<'a>> {
        let mut open: HashMap<u32, Vec<String>> = HashMap::new();
        let mut decided: HashMap<u32, Vec<String>> = HashMap::new();
        self.each(Detail::Relation, &mut |key, text| {
            let Some((kind, other)) = text.split_once(PART) else {
                return;
            };
            if kind == "similar" {
                open.entry(key).or_default().push(other.to_owned());
            } else if DECISIONS.contains(&kind) {
                decided.entry(key).or_default().push(other.to_owned());
            }
        })?;
        let is_open = |(key, others): &(&u32, &Vec<String>)| {
            let decided = decided.get(key).map_or(&[][..], Vec::as_slice);
            others.iter().any(|other| !decided.contains(other))
        };
        let found: RoaringBitmap = open.iter().filter(is_open).map(|(key, _)| *key).collect();
        Ok(Cow::Owned(found & self.catalog.all()))
    }

    /// What has a mask that covers such a thing.
    fn masked(&mut self, category: &str) -> Result<Media<'a>> {
        let masks = self.detail(Detail::Fact(Fact::MaskCategory), |mask| {
            mask.eq_ignore_ascii_case(category)
        })?;
        let origins = masks.iter().filter_map(|key| {
            let origin = self.catalog.record(MediaKey(key))?.origin()?;
            Some(self.catalog.key_of(&origin.parse().ok()?)?.0)
        });
        Ok(Cow::Owned(origins.collect()))
    }

    pub(super) fn is(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "fav" | "favorite" | "favourite" => Cow::Borrowed(self.catalog.favorites()),
            "inbox" | "archived" | "trash" => self.status(word),
            "derived" => self.derived(),
            "hidden" => Cow::Owned(crate::engine::search::hidden(self.catalog, &[])),
            "animated" => Cow::Borrowed(self.catalog.of_kind(MediaKind::Animation)),
            "portrait" | "landscape" | "square" => self.oriented(word)?,
            "sfw" | "nsfw" => self.word(Key::Rating, word)?,
            "tagged" => self.has_any(Key::Tagcount, None)?,
            "untagged" => self.key(Key::Tagcount, None, &nothing())?,
            "rated" => self.has_any(Key::Rating, None)?,
            "captioned" => self.with(Facets::CAPTION),
            "locked" => self.with(Facets::LOCKED),
            "dirty" => {
                if let Some(session) = self.query.session() {
                    Cow::Owned(&session.unsaved & self.catalog.all())
                } else {
                    let hint = "is:dirty is what is not saved on the screen; here is nothing";
                    self.hint(hint.to_owned());
                    Cow::default()
                }
            }
            // The copy that stays when the others go.
            "king" => {
                let groups = exact_groups(self.catalog);
                let kings = groups.iter().filter_map(|group| group.copies.first());
                Cow::Owned(kings.map(|copy| copy.key.0).collect())
            }
            _ => self.unavailable(Key::Is, &format!("is:{word}")),
        })
    }

    fn has(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "parent" => self.with(Facets::PARENT),
            "child" => self.with(Facets::CHILD),
            "relationship" => self.with(Facets::RELATION),
            "mask" => self.with(Facets::MASK),
            "crop" => self.with(Facets::CROP),
            "frame" => self.with(Facets::FRAME),
            "caption" => self.with(Facets::CAPTION),
            "note" => self.with(Facets::NOTE),
            "url" => self.with(Facets::URL),
            "source" => self.with(Facets::SOURCE),
            "alpha" => self.with(Facets::ALPHA),
            "gps" => self.with(Facets::GPS),
            "gen" => self.with(Facets::GENERATION),
            "similar" => self.with(Facets::SIMILAR),
            "sidecar" => self.with(Facets::SIDECAR),
            "phash" => self.has_any(Key::Phash, None)?,
            "video" => Cow::Borrowed(self.catalog.of_kind(MediaKind::Video)),
            "thumb" => self.all_but(&self.with(Facets::NEEDS_THUMBNAIL)),
            "pool" | "project" => self.has_any(Key::Project, None)?,
            "dup" => Self::union(&[
                self.exact_duplicates(),
                self.pixel_duplicates()?,
                self.related(|kind, _| kind == "duplicates")?,
            ]),
            "alternate" => {
                self.related(|kind, _| matches!(kind, "alternates" | "variants" | "siblings"))?
            }
            "audio" | "exif" | "xmp" | "iptc" | "icc" | "upscaled" => {
                self.any_part(Fact::Embedded, |part| part == word)?
            }
            _ => match word.strip_prefix("mask:") {
                Some(category) => self.masked(category)?,
                None => self.unavailable(Key::Has, &format!("has:{}", display_text(word))),
            },
        })
    }

    fn needs(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "tags" => self.is("untagged")?,
            "caption" => self.all_but(&self.with(Facets::CAPTION)),
            "rating" => self.key(Key::Rating, None, &nothing())?,
            "metadata" => self.all_but(&self.with(Facets::SOURCE)),
            "hash" => self.scan(|record| record.md5().is_none() || record.phash().is_none())?,
            "thumb" => self.with(Facets::NEEDS_THUMBNAIL),
            "review" => self.unreviewed()?,
            _ => self.unavailable(Key::Needs, &format!("needs:{word}")),
        })
    }

    /// An id, or all that start like it.
    fn ids(&mut self, word: &str) -> Media<'a> {
        let exact = word
            .parse()
            .ok()
            .and_then(|id: MediaId| self.catalog.key_of(&id));
        if let Some(key) = exact {
            return Cow::Owned(RoaringBitmap::from([key.0]));
        }
        if word.chars().count() < MIN_PREFIX {
            self.hint(format!(
                "an id starts with at least {MIN_PREFIX} characters"
            ));
            return Cow::default();
        }
        self.did(How::Ordered);
        Cow::Owned(self.catalog.with_id_prefix(word))
    }

    /// The ids that a word names; itself, when there is no such medium here.
    fn named(&mut self, word: &str) -> Vec<String> {
        let keys = self.ids(word);
        let mut ids: Vec<String> = keys
            .iter()
            .filter_map(|key| self.catalog.record(MediaKey(key)))
            .map(|record| record.id().as_str().to_owned())
            .collect();
        if ids.is_empty() {
            ids.push(word.to_owned());
        }
        ids
    }

    fn md5(&mut self, word: &str) -> Result<Media<'a>> {
        if let Ok(md5) = word.parse::<Md5>() {
            let keys = self.catalog.keys_of_md5(&md5);
            return Ok(Cow::Owned(keys.into_iter().map(|key| key.0).collect()));
        }
        self.scan(|record| {
            record
                .md5()
                .is_some_and(|md5| md5.to_string().starts_with(word))
        })
    }

    /// The pictures whose tags are most like those of one.
    fn similar_by_tags(&mut self, similar: &Similar, measure: Measure) -> Result<Media<'a>> {
        let wanted = self.ids(&similar.id);
        let count = similar.count.unwrap_or(DEFAULT_COUNT);
        let mut found = RoaringBitmap::new();
        for key in wanted.iter().map(MediaKey) {
            self.check()?;
            for near in self.lookup.alike(self.catalog, key, measure, count) {
                found.insert(near.key.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a score is between 0 and 1"
                )]
                let distance = ((1.0 - near.score) * 1e6) as u32;
                let known = self.distances.entry(near.key.0).or_insert(distance);
                *known = (*known).min(distance);
            }
        }
        Ok(Cow::Owned(found))
    }

    pub(super) fn similar(&mut self, similar: &Similar) -> Result<Media<'a>> {
        if let Some(Ok(measure)) = similar.by.as_deref().map(str::parse) {
            return self.similar_by_tags(similar, measure);
        }
        if let Some(by) = similar.by.as_deref().filter(|by| *by != "phash") {
            return Ok(self.unavailable(Key::Similar, &format!("similar: by {}", display_text(by))));
        }
        let hashes: Vec<PerceptualHash> = self
            .ids(&similar.id)
            .iter()
            .filter_map(|key| self.catalog.record(MediaKey(key))?.phash())
            .collect();
        if hashes.is_empty() {
            self.hint(format!(
                "{} has no perceptual hash here",
                display_text(&similar.id)
            ));
            return Ok(Cow::default());
        }
        let limit = similar.distance.unwrap_or(DEFAULT_DISTANCE);
        let mut near: Vec<(u32, u32)> = Vec::new();
        self.scan(|record| {
            let distance = record
                .phash()
                .and_then(|hash| {
                    hashes
                        .iter()
                        .filter_map(|known| known.distance(&hash))
                        .min()
                })
                .filter(|distance| *distance <= limit);
            near.extend(distance.map(|distance| (distance, record.key().0)));
            false
        })?;
        near.sort_unstable();
        near.truncate(similar.count.unwrap_or(usize::MAX));
        for (distance, key) in &near {
            let known = self.distances.entry(*key).or_insert(*distance);
            *known = (*known).min(*distance);
        }
        Ok(Cow::Owned(near.into_iter().map(|(_, key)| key).collect()))
    }
}

fn nothing() -> Value {
    Value {
        raw: "none".to_owned(),
        is_quoted: false,
        items: Items::None,
    }
}

/// The other way to write an extension.
fn same_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "jpg" => "jpeg",
        "jpeg" => "jpg",
        "tif" => "tiff",
        "tiff" => "tif",
        _ => return None,
    })
}
