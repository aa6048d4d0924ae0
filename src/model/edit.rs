//! Edits: small invertible changes of one medium, the unit of undo.
//!
//! An edit is an operation, not an overwrite: applied to a sidecar that another
//! program changed meanwhile, it keeps that program's work.
//! Invariant: applying an edit and then its inverse gives back an equal medium.
//!
//! As JSON an edit is an object with one key, its name in snake case:
//! `{"add_tag": {"tag": {"category": "general", "value": "fox"}, "position": null}}`,
//! `{"set_stars": 4}`. Tags have the form of the sidecar, ratings and states its
//! words.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    media::{Media, Rating, Status},
    tag::{RemovedTag, Tag, TagName, USER},
};

/// One change of one medium.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Adds a tag at a position, or at the end. A tag that is there already stays
    /// as it is. A tombstone for it blocks the edit unless the tag is by the user,
    /// who thereby takes the tombstone back.
    AddTag {
        tag: Tag,
        position: Option<usize>,
    },
    /// Removes a tag. One that a site or model added leaves a tombstone, so that
    /// it is not added again.
    RemoveTag {
        name: TagName,
        at: String,
    },
    /// Moves a tag to a position; others keep their order.
    MoveTag {
        name: TagName,
        to: usize,
    },
    /// Gives a tag another category or value in its place. Merges into a tag of
    /// that name which is there already.
    RenameTag {
        from: TagName,
        to: Tag,
    },
    /// Whatever stands there. A program that showed the caption to its user says
    /// [`Edit::ReplaceCaption`] instead.
    SetCaption(String),
    /// Sets the caption the user wrote in the place of the one the user saw. Where
    /// another program changed that since, nobody's words are lost: the longer one
    /// stays the caption, the other becomes one of `captions`, of kind `conflict`.
    ReplaceCaption {
        seen: String,
        text: String,
    },
    SetName(String),
    SetRating {
        rating: Option<Rating>,
        src: Option<String>,
    },
    /// 0 to 5; more counts as 5.
    SetStars(u8),
    SetFav(bool),
    SetStatus(Option<Status>),
    AddUrl(String),
    RemoveUrl(String),
    AddRelation {
        relation: String,
        id: String,
    },
    RemoveRelation {
        relation: String,
        id: String,
    },
    /// Puts back exactly these tags and tombstones: what the inverse of a tag edit is.
    RestoreTags {
        tags: Vec<Tag>,
        tags_removed: Vec<RemovedTag>,
    },
    /// Puts back exactly these captions, the first and all further ones.
    RestoreCaptions {
        caption: String,
        captions: Vec<Value>,
    },
    RestoreRelated(Vec<(String, Vec<String>)>),
    RestoreUrls(Vec<String>),
}

impl Edit {
    /// Changes the medium and returns the edit that undoes it, or `None` when
    /// nothing changed.
    pub fn apply(&self, media: &mut Media) -> Option<Self> {
        match self {
            Self::AddTag { tag, position } => {
                edit_tags(media, |media| add_tag(media, tag, *position))
            }
            Self::RemoveTag { name, at } => edit_tags(media, |media| remove_tag(media, name, at)),
            Self::MoveTag { name, to } => edit_tags(media, |media| {
                if let Some(from) = position_of(media, name) {
                    let tag = media.tags.remove(from);
                    let to = (*to).min(media.tags.len());
                    media.tags.insert(to, tag);
                }
            }),
            Self::RenameTag { from, to } => edit_tags(media, |media| rename_tag(media, from, to)),
            Self::RestoreTags { tags, tags_removed } => edit_tags(media, |media| {
                media.tags.clone_from(tags);
                media.tags_removed.clone_from(tags_removed);
            }),
            Self::SetCaption(text) => set_caption(media, text),
            Self::ReplaceCaption { seen, text } => replace_caption(media, seen, text),
            Self::RestoreCaptions { caption, captions } => {
                let (old, others) = (media.caption.clone(), media.captions.clone());
                media.caption.clone_from(caption);
                media.captions.clone_from(captions);
                (media.caption != old || media.captions != others).then_some(
                    Self::RestoreCaptions {
                        caption: old,
                        captions: others,
                    },
                )
            }
            Self::SetName(name) => swap(&mut media.name, name).map(Self::SetName),
            Self::SetRating { rating, src } => {
                let old = Self::SetRating {
                    rating: media.rating,
                    src: media.rating_src.clone(),
                };
                (media.rating, media.rating_src) = (*rating, src.clone());
                (old != *self).then_some(old)
            }
            Self::SetStars(stars) => swap(&mut media.stars, &(*stars).min(5)).map(Self::SetStars),
            Self::SetFav(fav) => swap(&mut media.fav, fav).map(Self::SetFav),
            Self::SetStatus(status) => swap(&mut media.status, status).map(Self::SetStatus),
            Self::AddUrl(url) => edit_urls(media, |urls| {
                if !urls.contains(url) {
                    urls.push(url.clone());
                }
            }),
            Self::RemoveUrl(url) => edit_urls(media, |urls| urls.retain(|known| known != url)),
            Self::RestoreUrls(urls) => edit_urls(media, |known| known.clone_from(urls)),
            Self::AddRelation { relation, id } => edit_related(media, |related| {
                match related.iter_mut().find(|(name, _)| name == relation) {
                    Some((_, ids)) if ids.contains(id) => {}
                    Some((_, ids)) => ids.push(id.clone()),
                    None => related.push((relation.clone(), vec![id.clone()])),
                }
            }),
            Self::RemoveRelation { relation, id } => edit_related(media, |related| {
                for (_, ids) in related.iter_mut().filter(|(name, _)| name == relation) {
                    ids.retain(|known| known != id);
                }
                related.retain(|(name, ids)| name != relation || !ids.is_empty());
            }),
            Self::RestoreRelated(related) => edit_related(media, |known| known.clone_from(related)),
        }
    }
}

/// Applies edits in order and returns the ones that undo them, in the order in
/// which they must be applied; empty when nothing changed.
pub fn apply_all(edits: &[Edit], media: &mut Media) -> Vec<Edit> {
    let mut inverse: Vec<Edit> = edits.iter().filter_map(|edit| edit.apply(media)).collect();
    inverse.reverse();
    inverse
}

fn swap<T: Clone + PartialEq>(field: &mut T, value: &T) -> Option<T> {
    (field != value).then(|| std::mem::replace(field, value.clone()))
}

fn set_caption(media: &mut Media, text: &str) -> Option<Edit> {
    let old = swap(&mut media.caption, &text.to_owned())?;
    Some(Edit::ReplaceCaption {
        seen: text.to_owned(),
        text: old,
    })
}

fn replace_caption(media: &mut Media, seen: &str, text: &str) -> Option<Edit> {
    if media.caption == seen || media.caption == text {
        return set_caption(media, text);
    }
    if seen == text {
        return None;
    }
    let undo = Edit::RestoreCaptions {
        caption: media.caption.clone(),
        captions: media.captions.clone(),
    };
    let (other, src) = if text.chars().count() < media.caption.chars().count() {
        (text.to_owned(), USER)
    } else {
        (
            std::mem::replace(&mut media.caption, text.to_owned()),
            "file",
        )
    };
    let is_kept = keep_caption(&mut media.captions, &other, src);
    (is_kept || media.caption == text).then_some(undo)
}

/// Puts the words that did not become the caption among the further captions, once.
/// Says whether there was anything to keep.
pub(super) fn keep_caption(captions: &mut Vec<Value>, text: &str, src: &str) -> bool {
    let is_known = |caption: &Value| caption.get("text").and_then(Value::as_str) == Some(text);
    if text.is_empty() || captions.iter().any(is_known) {
        return false;
    }
    captions.push(json!({"kind": "conflict", "text": text, "src": src}));
    true
}

fn edit_tags(media: &mut Media, change: impl FnOnce(&mut Media)) -> Option<Edit> {
    let (tags, tags_removed) = (media.tags.clone(), media.tags_removed.clone());
    change(media);
    (media.tags != tags || media.tags_removed != tags_removed)
        .then_some(Edit::RestoreTags { tags, tags_removed })
}

fn edit_urls(media: &mut Media, change: impl FnOnce(&mut Vec<String>)) -> Option<Edit> {
    let urls = media.urls.clone();
    change(&mut media.urls);
    (media.urls != urls).then_some(Edit::RestoreUrls(urls))
}

fn edit_related(
    media: &mut Media,
    change: impl FnOnce(&mut Vec<(String, Vec<String>)>),
) -> Option<Edit> {
    let related = media.related.clone();
    change(&mut media.related);
    (media.related != related).then_some(Edit::RestoreRelated(related))
}

fn position_of(media: &Media, name: &TagName) -> Option<usize> {
    media.tags.iter().position(|tag| tag.name() == *name)
}

fn add_tag(media: &mut Media, tag: &Tag, position: Option<usize>) {
    let name = tag.name();
    if name.value.is_empty() || position_of(media, &name).is_some() {
        return;
    }
    if media
        .tags_removed
        .iter()
        .any(|removed| removed.name() == name)
    {
        if !tag.is_by_user() {
            return;
        }
        media.tags_removed.retain(|removed| removed.name() != name);
    }
    let position = position.unwrap_or(media.tags.len()).min(media.tags.len());
    media.tags.insert(position, tag.clone());
}

fn remove_tag(media: &mut Media, name: &TagName, at: &str) {
    let Some(position) = position_of(media, name) else {
        return;
    };
    let tag = media.tags.remove(position);
    let known = media
        .tags_removed
        .iter()
        .any(|removed| removed.name() == *name);
    if !tag.is_by_user() && !known {
        media.tags_removed.push(RemovedTag {
            category: tag.category,
            value: tag.value,
            src: Some(USER.to_owned()),
            at: Some(at.to_owned()),
            raw: serde_json::Map::new(),
        });
    }
}

fn rename_tag(media: &mut Media, from: &TagName, to: &Tag) {
    let Some(position) = position_of(media, from) else {
        return;
    };
    let name = to.name();
    if name.value.is_empty() {
        return;
    }
    if name != *from && position_of(media, &name).is_some() {
        media.tags.remove(position);
        return;
    }
    media.tags_removed.retain(|removed| removed.name() != name);
    let tag = &mut media.tags[position];
    tag.category.clone_from(&to.category);
    tag.value.clone_from(&to.value);
    tag.src.clone_from(&to.src);
    tag.conf = None;
    tag.at.clone_from(&to.at);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(value: &str, src: Option<&str>) -> Tag {
        Tag {
            src: src.map(str::to_owned),
            ..Tag::new("", value)
        }
    }

    fn values(media: &Media) -> Vec<&str> {
        media.tags.iter().map(|tag| tag.value.as_str()).collect()
    }

    fn media() -> Media {
        Media {
            tags: vec![tag("a", None), tag("b", Some("danbooru")), tag("c", None)],
            ..Media::default()
        }
    }

    #[test]
    fn removing_a_site_tag_leaves_a_tombstone_that_only_the_user_takes_back() {
        let mut media = media();
        let name = TagName::new("", "b");
        Edit::RemoveTag {
            name: name.clone(),
            at: "2025-01-01T00:00:00Z".into(),
        }
        .apply(&mut media);
        assert_eq!(values(&media), ["a", "c"]);
        assert_eq!(media.tags_removed.len(), 1);

        let by_site = Edit::AddTag {
            tag: tag("b", Some("e621")),
            position: None,
        };
        assert_eq!(by_site.apply(&mut media), None);
        assert!(!media.has_tag(&name));

        Edit::AddTag {
            tag: tag("b", Some(USER)),
            position: Some(0),
        }
        .apply(&mut media);
        assert_eq!(values(&media), ["b", "a", "c"]);
        assert!(media.tags_removed.is_empty());
    }

    #[test]
    fn removing_a_tag_of_the_user_leaves_nothing() {
        let mut media = media();
        Edit::RemoveTag {
            name: TagName::new("", "a"),
            at: String::new(),
        }
        .apply(&mut media);
        assert!(media.tags_removed.is_empty());
    }

    #[test]
    fn renaming_onto_a_present_tag_merges() {
        let mut media = media();
        Edit::RenameTag {
            from: TagName::new("", "c"),
            to: tag("A", None),
        }
        .apply(&mut media);
        assert_eq!(values(&media), ["a", "b"]);
        Edit::RenameTag {
            from: TagName::new("", "b"),
            to: Tag::new("artist", "b"),
        }
        .apply(&mut media);
        assert!(media.has_tag(&TagName::new("artist", "b")));
    }

    #[test]
    fn the_json_form_is_the_documented_one() {
        for (edit, text) in [
            (
                Edit::AddTag {
                    tag: tag("fox", Some("danbooru")),
                    position: None,
                },
                r#"{"add_tag":{"tag":{"category":"general","value":"fox","src":"danbooru"},"position":null}}"#,
            ),
            (
                Edit::RemoveTag {
                    name: TagName::new("char", "holo"),
                    at: "t".into(),
                },
                r#"{"remove_tag":{"name":{"category":"character","value":"holo"},"at":"t"}}"#,
            ),
            (
                Edit::SetRating {
                    rating: Some(Rating::Sensitive),
                    src: None,
                },
                r#"{"set_rating":{"rating":"s","src":null}}"#,
            ),
            (
                Edit::SetStatus(Some(Status::Archived)),
                r#"{"set_status":"archived"}"#,
            ),
            (Edit::SetStars(4), r#"{"set_stars":4}"#),
        ] {
            assert_eq!(serde_json::to_string(&edit).unwrap(), text);
            assert_eq!(serde_json::from_str::<Edit>(text).unwrap(), edit);
        }
    }

    #[test]
    fn an_edit_that_changes_nothing_has_no_inverse() {
        let mut media = media();
        for edit in [
            Edit::AddTag {
                tag: tag("A", None),
                position: Some(0),
            },
            Edit::RemoveTag {
                name: TagName::new("", "zzz"),
                at: String::new(),
            },
            Edit::MoveTag {
                name: TagName::new("", "a"),
                to: 0,
            },
            Edit::SetStars(0),
            Edit::RemoveUrl("x".into()),
        ] {
            assert_eq!(edit.apply(&mut media), None, "{edit:?}");
        }
    }

    #[test]
    fn nobody_loses_a_caption() {
        let replace = |media: &mut Media, text: &str| {
            let edit = Edit::ReplaceCaption {
                seen: "old".into(),
                text: text.into(),
            };
            edit.apply(media)
        };
        for (there, text, caption, other) in [
            ("old", "new", "new", None),
            ("new", "new", "new", None),
            ("theirs", "new", "theirs", Some(("new", "user"))),
            (
                "theirs",
                "newest words",
                "newest words",
                Some(("theirs", "file")),
            ),
            ("theirs", "equals", "equals", Some(("theirs", "file"))),
            ("theirs", "", "theirs", None),
            ("", "new", "new", None),
            ("theirs", "old", "theirs", None),
        ] {
            let before = Media {
                caption: there.into(),
                captions: vec!["kept".into()],
                ..Media::default()
            };
            let mut media = before.clone();
            let undo = replace(&mut media, text);
            assert_eq!(media.caption, caption, "{there} {text}");
            let conflict = other.map(
                |(text, src)| serde_json::json!({"kind": "conflict", "text": text, "src": src}),
            );
            assert_eq!(media.captions.get(1), conflict.as_ref(), "{there} {text}");
            assert_eq!(undo.is_some(), media != before, "{there} {text}");
            let mut again = media.clone();
            assert_eq!(replace(&mut again, text), None, "{there} {text}");
            if let Some(undo) = undo {
                undo.apply(&mut media);
                assert_eq!(media, before, "{there} {text}");
            }
        }
    }

    #[test]
    fn undoing_a_caption_keeps_what_was_written_since() {
        let mut media = Media::default();
        let undo = Edit::SetCaption("mine".into()).apply(&mut media).unwrap();
        media.caption = "theirs".into();
        assert_eq!(undo.apply(&mut media), None);
        assert_eq!(media.caption, "theirs");
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let word = prop::sample::select(vec!["a", "b", "c", "d", "E f"]);
        let src = prop::sample::select(vec![None, Some(USER), Some("danbooru")]);
        prop_oneof![
            (word.clone(), src.clone(), prop::option::of(0..5_usize)).prop_map(
                |(word, src, position)| Edit::AddTag {
                    tag: tag(word, src),
                    position
                }
            ),
            word.clone().prop_map(|word| Edit::RemoveTag {
                name: TagName::new("", word),
                at: "2025-01-01T00:00:00Z".into()
            }),
            (word.clone(), 0..5_usize).prop_map(|(word, to)| Edit::MoveTag {
                name: TagName::new("", word),
                to
            }),
            (word.clone(), word.clone(), src.clone()).prop_map(|(from, to, src)| Edit::RenameTag {
                from: TagName::new("", from),
                to: tag(to, src)
            }),
            "[ab]{0,4}".prop_map(Edit::SetCaption),
            ("[ab]{0,4}", "[ab]{0,4}").prop_map(|(seen, text)| Edit::ReplaceCaption { seen, text }),
            (0..9_u8).prop_map(Edit::SetStars),
            (
                prop::option::of(prop::sample::select(Rating::ALL.to_vec())),
                src.clone()
            )
                .prop_map(|(rating, src)| Edit::SetRating {
                    rating,
                    src: src.map(str::to_owned)
                }),
            prop::option::of(prop::sample::select(vec![Status::Inbox, Status::Archived]))
                .prop_map(Edit::SetStatus),
            any::<bool>().prop_map(Edit::SetFav),
            word.clone().prop_map(|word| Edit::AddUrl(word.into())),
            word.clone().prop_map(|word| Edit::RemoveUrl(word.into())),
            (word.clone(), word.clone()).prop_map(|(relation, id)| Edit::AddRelation {
                relation: relation.into(),
                id: id.into()
            }),
            (word.clone(), word).prop_map(|(relation, id)| Edit::RemoveRelation {
                relation: relation.into(),
                id: id.into()
            }),
        ]
    }

    proptest! {
        #[test]
        fn inverse_gives_back_the_medium(edits in prop::collection::vec(any_edit(), 0..12)) {
            let before = media();
            let mut after = before.clone();
            let inverse = apply_all(&edits, &mut after);
            apply_all(&inverse, &mut after);
            prop_assert_eq!(after, before);
        }

        #[test]
        fn json_round_trip(edit in any_edit()) {
            let text = serde_json::to_string(&edit).unwrap();
            prop_assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), edit);
        }

        #[test]
        fn inverses_round_trip_too(edits in prop::collection::vec(any_edit(), 0..12)) {
            for edit in apply_all(&edits, &mut media()) {
                let text = serde_json::to_string(&edit).unwrap();
                prop_assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), edit);
            }
        }

        #[test]
        fn names_stay_unique(edits in prop::collection::vec(any_edit(), 0..12)) {
            let mut media = media();
            apply_all(&edits, &mut media);
            let names: std::collections::BTreeSet<_> = media.tags.iter().map(Tag::name).collect();
            prop_assert_eq!(names.len(), media.tags.len());
        }
    }
}
