//! Two programs or two machines changed the same sidecar: what each of them did is
//! kept, by one rule per field.
//!
//! What only one side changed is taken from that side; a removal on one side wins
//! over what the other left alone. Where both changed the same thing:
//!
//! | field | rule |
//! |---|---|
//! | `name`, `active_source`, `metadata`, `hashes` | the newer sidecar by `rev` wins |
//! | `caption` | the longer stays, the other goes into `captions` |
//! | `tags` | union; of one tag the user's, else the later `at`; base order first |
//! | `tags_removed` | union; between tag and tombstone the later `at` wins, the tombstone when equal |
//! | `rating` | user, then site, then guess; among equals the stricter |
//! | `stars` `fav` `status` | the higher; yes; archived |
//! | `captions` `urls` `related` `locked` | union |
//! | `relations` | the later `at` |
//! | `notes` | union by name; the newer's other text becomes `name (2)` |
//! | `sources` | per site the later `fetched` |
//! | unknown keys, `ext` | entry by entry; ours where both changed one, and it is said |
//!
//! Laws: `merge(base, x, base)` and `merge(base, base, x)` give `x`; but for unknown
//! keys it does not matter which side is ours, as long as their `rev` differ.

mod list;
mod value;
mod vanished;

use serde_json::{Map, Value};

use self::{list::merge_list, value::Preference};
use super::{
    edit::keep_caption,
    entry::parse_time,
    media::{HASH_NAMES, Media, Rating, Revision, Status},
    patch::{note_key, tag_key},
    sidecar::Sidecar,
    tag::{RemovedTag, Tag, USER},
};

pub use vanished::restore_vanished;

type Object = Map<String, Value>;

/// What became of two sidecars.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    pub sidecar: Sidecar,
    /// What could not be kept from both sides, in words for people.
    pub notes: Vec<String>,
}

/// Merges two sidecars that come from `base`; without one everything that either
/// says is new.
pub fn merge(base: Option<&Sidecar>, ours: &Sidecar, theirs: &Sidecar) -> Merged {
    let empty = Sidecar::default();
    let known = base.unwrap_or(&empty);
    if base.is_some_and(|base| base == theirs) || ours == theirs {
        return unchanged(ours);
    }
    if base.is_some_and(|base| base == ours) {
        return unchanged(theirs);
    }
    let mut notes = Vec::new();
    let document = value::documents(
        &known.document,
        &ours.document,
        &theirs.document,
        &mut notes,
    );
    let (older, newer) = if is_newer(&ours.media, &theirs.media) {
        (&theirs.media, &ours.media)
    } else {
        (&ours.media, &theirs.media)
    };
    let sides = Sides {
        base: &known.media,
        older,
        newer,
    };
    let media = sides.merge(&mut notes);
    Merged {
        sidecar: Sidecar { media, document },
        notes,
    }
}

fn unchanged(sidecar: &Sidecar) -> Merged {
    Merged {
        sidecar: sidecar.clone(),
        notes: Vec::new(),
    }
}

/// Edits were made on what another program had written meanwhile (`theirs` became
/// `edited`): a tag or URL stands beside theirs by itself, but a single value may
/// have taken the place of one that the user never saw. There the rule of the field
/// decides between both. Returns what could not be kept, in words for people.
pub fn settle(base: &Media, theirs: &Media, edited: &mut Media) -> Vec<String> {
    let mut notes = Vec::new();
    let newer = edited.clone();
    let sides = Sides {
        base,
        older: theirs,
        newer: &newer,
    };
    let is_kept = |text: &str| {
        let captions = edited.captions.iter();
        let mut texts = captions.filter_map(|caption| caption.get("text")?.as_str());
        text.is_empty() || texts.any(|known| known == text)
    };
    if !is_kept(&theirs.caption) {
        (edited.caption, edited.captions) = sides.captions(&mut notes);
    }
    let rating = (edited.rating, edited.rating_src.clone());
    (edited.rating, edited.rating_src) = sides.rating();
    if rating != (edited.rating, edited.rating_src.clone()) {
        notes.push("the rating was changed on both sides: theirs stays".to_owned());
    }
    edited.stars = sides.stars();
    edited.fav = sides.fav();
    edited.status = sides.status();
    notes
}

/// Whether the first of two was written later, as far as their revisions say.
fn is_newer(one: &Media, other: &Media) -> bool {
    let rank = |media: &Media| {
        let rev = media.rev.as_ref();
        rev.map(|rev| (parse_time(&rev.at), rev.n, rev.host.clone()))
    };
    rank(one) > rank(other)
}

/// Whether the first of two instants is the later one; none at all is the oldest.
fn is_later(one: Option<&str>, other: Option<&str>) -> bool {
    let instant = |text: Option<&str>| text.map(|text| (parse_time(text), text.to_owned()));
    instant(one) > instant(other)
}

struct Sides<'m> {
    base: &'m Media,
    older: &'m Media,
    newer: &'m Media,
}

impl Sides<'_> {
    fn merge(&self, notes: &mut Vec<String>) -> Media {
        let (tags, tags_removed) = self.tags();
        let (rating, rating_src) = self.rating();
        let (caption, captions) = self.captions(notes);
        let map =
            |what: &str, field: fn(&Media) -> &Object, preference, notes: &mut Vec<String>| {
                value::entries(
                    what,
                    [field(self.base), field(self.older), field(self.newer)],
                    preference,
                    notes,
                )
            };
        let metadata = map(
            "metadata",
            |media| &media.metadata,
            Preference::Newer,
            notes,
        );
        let derived = map("", |media| &media.derived, Preference::Newer, notes);
        let sources = map(
            "sources",
            |media| &media.sources,
            Preference::Fetched,
            notes,
        );
        let relations = map(
            "relations",
            |media| &media.relations,
            Preference::Dated,
            notes,
        );
        let text = |list: fn(&Media) -> &[String]| {
            merge_list(
                [list(self.base), list(self.older), list(self.newer)],
                String::clone,
                |_, _, _, newer| newer.cloned(),
            )
        };
        let kind = self.field(
            |media| media.kind,
            |_, newer| {
                notes
                    .push("the media type was changed on both sides: the newer is kept".to_owned());
                newer
            },
        );
        Media {
            kind,
            name: self.field(
                |media| media.name.clone(),
                |older, newer| {
                    notes.push(format!(
                        "the name was changed on both sides: {newer:?} is kept, {older:?} is not"
                    ));
                    newer
                },
            ),
            caption,
            captions,
            tags,
            tags_removed,
            related: self.related(),
            relations,
            rating,
            rating_src,
            stars: self.stars(),
            fav: self.fav(),
            status: self.status(),
            notes: self.notes(notes),
            urls: text(|media| &media.urls),
            sources,
            active_source: self.field(|media| media.active_source.clone(), |_, newer| newer),
            hashes: self.hashes(notes),
            metadata,
            locked: text(|media| &media.locked),
            rev: self.field(
                |media| media.rev.clone(),
                |older, newer| {
                    let n = |rev: &Option<Revision>| rev.as_ref().map_or(0, |rev| rev.n);
                    let n = n(&older).max(n(&newer));
                    newer.or(older).map(|rev| Revision { n, ..rev })
                },
            ),
            derived,
        }
    }

    /// A field that is one value: that of the side which changed it, or what `both`
    /// makes of the older and the newer.
    fn field<T: PartialEq>(&self, field: impl Fn(&Media) -> T, both: impl FnOnce(T, T) -> T) -> T {
        let (base, older, newer) = (field(self.base), field(self.older), field(self.newer));
        if older == newer || newer == base {
            older
        } else if older == base {
            newer
        } else {
            both(older, newer)
        }
    }

    fn stars(&self) -> u8 {
        self.field(|media| media.stars, std::cmp::Ord::max)
    }

    fn fav(&self) -> bool {
        self.field(|media| media.fav, |older, newer| older || newer)
    }

    fn status(&self) -> Option<Status> {
        let both = |older, newer| {
            let archived = Some(Status::Archived);
            if older == archived { older } else { newer }
        };
        self.field(|media| media.status, both)
    }

    fn captions(&self, notes: &mut Vec<String>) -> (String, Vec<Value>) {
        let mut captions = merge_list(
            [
                &self.base.captions,
                &self.older.captions,
                &self.newer.captions,
            ],
            Value::to_string,
            |_, _, _, newer| newer.cloned(),
        );
        let caption = self.field(
            |media| media.caption.clone(),
            |older, newer| {
                let weight = |text: &String| (text.chars().count(), text.clone());
                let newer_stays = weight(&newer) > weight(&older);
                let (stays, other, from) = if newer_stays {
                    (newer, older, self.older)
                } else {
                    (older, newer, self.newer)
                };
                let host = from.rev.as_ref().map(|rev| rev.host.as_str());
                let src = host.filter(|host| !host.is_empty()).unwrap_or("file");
                if keep_caption(&mut captions, &other, src) {
                    notes.push(
                        "the caption was changed on both sides: the longer stays, the other is among the captions"
                            .to_owned(),
                    );
                }
                stays
            },
        );
        (caption, captions)
    }

    fn tags(&self) -> (Vec<Tag>, Vec<RemovedTag>) {
        let removed_in = |media: &Media, tag: &Tag| {
            let name = tag.name();
            media
                .tags_removed
                .iter()
                .any(|removed| removed.name() == name)
        };
        let mut tags = merge_list(
            [&self.base.tags, &self.older.tags, &self.newer.tags],
            |tag: &Tag| tag_key(&tag.name()),
            |_, base, older, newer| match (older, newer) {
                (Some(older), Some(newer)) => Some(both_tags(base, older, newer)),
                // Changed on one side, removed on the other: a tombstone says when.
                (Some(tag), None) => removed_in(self.newer, tag).then(|| tag.clone()),
                (None, Some(tag)) => removed_in(self.older, tag).then(|| tag.clone()),
                (None, None) => None,
            },
        );
        let mut tombstones = merge_list(
            [
                &self.base.tags_removed,
                &self.older.tags_removed,
                &self.newer.tags_removed,
            ],
            |tag: &RemovedTag| tag_key(&tag.name()),
            |_, _, older, newer| match (older, newer) {
                (Some(older), Some(newer)) => {
                    let later = is_later(older.at.as_deref(), newer.at.as_deref());
                    Some(if later { older } else { newer }.clone())
                }
                (older, newer) => older.or(newer).cloned(),
            },
        );
        tags.retain(|tag| {
            let name = tag.name();
            let has_both = |media: &Media| media.has_tag(&name) && removed_in(media, tag);
            let Some(place) = tombstones.iter().position(|removed| removed.name() == name) else {
                return true;
            };
            if has_both(self.older) || has_both(self.newer) {
                return true;
            }
            if is_later(tag.at.as_deref(), tombstones[place].at.as_deref()) {
                tombstones.remove(place);
                return true;
            }
            false
        });
        (tags, tombstones)
    }

    fn related(&self) -> Vec<(String, Vec<String>)> {
        merge_list(
            [&self.base.related, &self.older.related, &self.newer.related],
            |(name, _): &(String, Vec<String>)| name.clone(),
            |_, base, older, newer| {
                let ids = |list: Option<&(String, Vec<String>)>| {
                    list.map_or_else(Vec::new, |(_, ids)| ids.clone())
                };
                let merged = merge_list(
                    [&ids(base), &ids(older), &ids(newer)],
                    String::clone,
                    |_, _, _, newer| newer.cloned(),
                );
                let stays = older.is_some() && newer.is_some() || !merged.is_empty();
                let (name, _) = older.or(newer)?;
                stays.then(|| (name.clone(), merged))
            },
        )
    }

    fn rating(&self) -> (Option<Rating>, Option<String>) {
        let rank = |(rating, src): &(Option<Rating>, Option<String>)| {
            let authority = match src.as_deref() {
                None | Some(USER) => 2,
                Some(src) if src == "infer" || src.starts_with("tagger") => 0,
                Some(_) => 1,
            };
            // No rating at all is no opinion.
            (rating.map(|rating| (authority, rating)), src.clone())
        };
        self.field(
            |media| (media.rating, media.rating_src.clone()),
            |older, newer| {
                if rank(&older) > rank(&newer) {
                    older
                } else {
                    newer
                }
            },
        )
    }

    fn notes(&self, left: &mut Vec<String>) -> Vec<Value> {
        let mut others = Vec::new();
        let mut notes = merge_list(
            [&self.base.notes, &self.older.notes, &self.newer.notes],
            note_key,
            |_, _, older, newer| {
                if let (Some(_), Some(newer)) = (older, newer) {
                    others.push(newer.clone());
                }
                older.or(newer).cloned()
            },
        );
        for mut note in others {
            let name = note_key(&note);
            let is_taken = |name: &str| notes.iter().any(|note| note_key(note) == name);
            let new_name = (2..=notes.len() + 2)
                .map(|n| format!("{name} ({n})"))
                .find(|name| !is_taken(name))
                .unwrap_or_default();
            left.push(format!(
                "the note {name} was changed on both sides: the newer is {new_name} now"
            ));
            if let Value::Object(note) = &mut note {
                note.insert("name".to_owned(), new_name.into());
            }
            notes.push(note);
        }
        notes
    }

    fn hashes(&self, notes: &mut Vec<String>) -> super::media::Hashes {
        let field = |media: &Media| media.hashes.rest.clone();
        let mut hashes = super::media::Hashes {
            rest: value::entries(
                "hashes",
                [&field(self.base), &field(self.older), &field(self.newer)],
                Preference::Newer,
                notes,
            ),
            ..Default::default()
        };
        for name in HASH_NAMES {
            let hash = self.field(
                |media| media.hashes.get(name).map(str::to_owned),
                |older, newer| newer.or(older),
            );
            if let Some(field) = hashes.get_mut(name)
                && hash.is_some()
            {
                *field = hash;
                hashes.rest.shift_remove(name);
            }
        }
        hashes
    }
}

/// A tag that both sides changed: the user's word before a program's, else the later
/// one; unknown keys of the other are kept where the first has none.
fn both_tags(base: Option<&Tag>, older: &Tag, newer: &Tag) -> Tag {
    let rank = |tag: &Tag| {
        (
            tag.src.as_deref() == Some(USER) || tag.src.is_none(),
            tag.at.clone(),
        )
    };
    let (first, other) = if rank(older) > rank(newer) {
        (older, newer)
    } else {
        (newer, older)
    };
    let mut tag = first.clone();
    let is_field = |key: &str| {
        matches!(
            key,
            "category" | "value" | "position" | "src" | "conf" | "at"
        )
    };
    for (key, value) in &other.raw {
        let is_old = base.is_some_and(|base| base.raw.contains_key(key));
        if !is_field(key) && !is_old && !tag.raw.contains_key(key) {
            tag.raw.insert(key.clone(), value.clone());
        }
    }
    tag
}

#[cfg(test)]
mod tests;
