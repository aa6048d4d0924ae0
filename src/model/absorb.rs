//! What a picture takes over from another description of the same picture: when two
//! copies become one, and from sites that know it.

use serde_json::Value;

use super::{
    edit::{Edit, apply_all},
    media::{HASH_NAMES, Media},
    tag::{GENERAL, Tag},
};

/// Adds what another description of the same picture knows; what is there wins.
pub fn absorb(media: &mut Media, other: &Media) {
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(other.tags.iter().map(|tag| Edit::AddTag {
        tag: tag.clone(),
        position: None,
    }));
    edits.extend(other.urls.iter().cloned().map(Edit::AddUrl));
    for (relation, ids) in &other.related {
        edits.extend(ids.iter().map(|id| Edit::AddRelation {
            relation: relation.clone(),
            id: id.clone(),
        }));
    }
    let is_locked = |field: &str| media.locked.iter().any(|locked| locked == field);
    if media.caption.is_empty() && !other.caption.is_empty() && !is_locked("caption") {
        edits.push(Edit::SetCaption(other.caption.clone()));
    }
    if media.name.is_empty() && !other.name.is_empty() && !is_locked("name") {
        edits.push(Edit::SetName(other.name.clone()));
    }
    if media.rating.is_none() && other.rating.is_some() && !is_locked("rating") {
        edits.push(Edit::SetRating {
            rating: other.rating,
            src: other.rating_src.clone(),
        });
    }
    if other.stars > media.stars {
        edits.push(Edit::SetStars(other.stars));
    }
    if other.fav {
        edits.push(Edit::SetFav(true));
    }
    if is_locked("tags") {
        edits.retain(|edit| !matches!(edit, Edit::AddTag { .. }));
    }
    apply_all(&edits, media);
    fill(&mut media.sources, &other.sources);
    fill(&mut media.metadata, &other.metadata);
    fill(&mut media.derived, &other.derived);
    for note in &other.notes {
        if !media.notes.contains(note) {
            media.notes.push(note.clone());
        }
    }
    for name in HASH_NAMES {
        if let (Some(hash), Some(field)) = (other.hashes.get(name), media.hashes.get_mut(name))
            && field.is_none()
        {
            *field = Some(hash.to_owned());
        }
    }
}

/// Adds what a site says. What people said wins, and what they locked stays; what the
/// same site said earlier gives way, but for its tags, which stay.
pub fn learn(media: &mut Media, said: &Media) {
    let is_locked = |field: &str| media.locked.iter().any(|locked| locked == field);
    let (takes_tags, takes_rating) = (!is_locked("tags"), !is_locked("rating"));
    let (takes_urls, takes_name) = (!is_locked("urls"), !is_locked("name"));
    if takes_tags {
        for tag in &said.tags {
            add_site_tag(media, tag.clone());
        }
    }
    if takes_urls {
        for url in &said.urls {
            Edit::AddUrl(url.clone()).apply(media);
        }
    }
    let is_older = media.rating_src.is_some() && media.rating_src == said.rating_src;
    if takes_rating && said.rating.is_some() && (media.rating.is_none() || is_older) {
        (media.rating, media.rating_src) = (said.rating, said.rating_src.clone());
    }
    if takes_name && media.name.is_empty() {
        media.name.clone_from(&said.name);
    }
    for note in &said.notes {
        if !media.notes.contains(note) {
            media.notes.push(note.clone());
        }
    }
    for (site, says) in &said.sources {
        // That nothing is new is not worth a write.
        let is_known = media
            .sources
            .get(site)
            .is_some_and(|known| same(known, says));
        if !is_known {
            media.sources.insert(site.clone(), says.clone());
        }
    }
}

/// Whether a site says what it said, whenever that was.
fn same(known: &Value, says: &Value) -> bool {
    let (Some(known), Some(says)) = (known.as_object(), says.as_object()) else {
        return known == says;
    };
    let facts = |object: &serde_json::Map<String, Value>| {
        object.len() - usize::from(object.contains_key("fetched"))
    };
    let is_said =
        |(key, value): (&String, &Value)| key == "fetched" || says.get(key) == Some(value);
    facts(known) == facts(says) && known.iter().all(is_said)
}

/// How much a category says, for a value that two sources file differently.
fn specificity(category: &str) -> u8 {
    match category {
        "character" => 6,
        "species" => 5,
        "copyright" => 4,
        "artist" => 3,
        "meta" => 2,
        GENERAL => 1,
        _ => 0,
    }
}

/// Adds a tag that a site gave, unless it is there or was removed by hand; a less
/// specific namesake that no person put there gives way in its place.
pub fn add_site_tag(media: &mut Media, tag: Tag) {
    let name = tag.name();
    let rank = specificity(&name.category);
    let known = media
        .tags
        .iter()
        .find(|known| rank > 0 && known.name().value == name.value)
        .map(|known| (known.name(), known.is_by_user()));
    match known {
        Some((known, by_user)) if known.category != name.category => {
            let weight = specificity(&known.category);
            if weight == 0 {
                Edit::AddTag {
                    tag,
                    position: None,
                }
                .apply(media);
            } else if rank > weight && !by_user {
                let position = media.tags.iter().position(|tag| tag.name() == known);
                media.tags.retain(|tag| tag.name() != known);
                Edit::AddTag { tag, position }.apply(media);
            }
        }
        _ => {
            Edit::AddTag {
                tag,
                position: None,
            }
            .apply(media);
        }
    }
}

/// Takes over keys that are not there yet.
fn fill(object: &mut serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>) {
    for (key, value) in other {
        if !object.contains_key(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{
        media::Rating,
        tag::{RemovedTag, USER},
    };

    fn tag(category: &str, value: &str, src: &str) -> Tag {
        Tag {
            src: Some(src.to_owned()),
            ..Tag::new(category, value)
        }
    }

    fn said(rating: Rating, score: i64) -> Media {
        let mut said = Media {
            tags: vec![
                tag("character", "holo", "danbooru"),
                tag(GENERAL, "fox", "danbooru"),
                tag("artist", "jane", "danbooru"),
            ],
            urls: vec!["https://a.example/1".to_owned()],
            rating: Some(rating),
            rating_src: Some("danbooru".to_owned()),
            ..Media::default()
        };
        let source = json!({"id": "1", "score": score});
        said.sources.insert("danbooru".to_owned(), source);
        said
    }

    fn names(media: &Media) -> Vec<String> {
        media.tags.iter().map(|t| t.name().to_string()).collect()
    }

    #[test]
    fn a_site_is_believed_where_no_person_said_otherwise() {
        let mut media = Media {
            tags: vec![tag(GENERAL, "holo", "e621"), tag("meta", "jane", USER)],
            tags_removed: vec![RemovedTag {
                category: GENERAL.to_owned(),
                value: "fox".to_owned(),
                src: None,
                at: None,
                raw: serde_json::Map::new(),
            }],
            ..Media::default()
        };
        learn(&mut media, &said(Rating::Sensitive, 1));
        assert_eq!(names(&media), ["character:holo", "meta:jane"]);
        assert_eq!(media.rating, Some(Rating::Sensitive));
        assert_eq!(media.urls, ["https://a.example/1"]);
        assert_eq!(media.sources["danbooru"]["score"], 1);

        // The site thinks better of it, which changes no other thing.
        learn(&mut media, &said(Rating::General, 2));
        assert_eq!(media.rating, Some(Rating::General));
        assert_eq!(media.sources["danbooru"]["score"], 2);
        assert_eq!(names(&media).len(), 2);

        (media.rating, media.rating_src) = (Some(Rating::Explicit), None);
        learn(&mut media, &said(Rating::General, 3));
        assert_eq!(media.rating, Some(Rating::Explicit), "a person said so");
    }

    #[test]
    fn a_site_that_says_the_same_again_changes_nothing() {
        let on = |day: &str, score: i64| {
            let mut said = said(Rating::General, score);
            said.sources["danbooru"]["fetched"] = format!("2026-01-{day}T00:00:00Z").into();
            said
        };
        let mut media = Media::default();
        learn(&mut media, &on("01", 1));
        let before = media.clone();
        learn(&mut media, &on("02", 1));
        assert_eq!(media, before);
        learn(&mut media, &on("03", 2));
        assert_eq!(media.sources["danbooru"]["fetched"], "2026-01-03T00:00:00Z");
    }

    #[test]
    fn what_is_locked_stays() {
        let locked = ["tags", "rating", "urls"].map(str::to_owned).to_vec();
        let mut media = Media {
            locked,
            ..Media::default()
        };
        learn(&mut media, &said(Rating::General, 1));
        assert_eq!((media.tags.len(), media.urls.len()), (0, 0));
        assert_eq!(media.rating, None);
        assert_eq!(media.sources.len(), 1);
    }
}
