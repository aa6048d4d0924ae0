//! What the index still knows of a medium whose sidecar is lost.

use rusqlite::Connection;

use super::Index;
use crate::{
    model::{entry::format_time, id::MediaKey, media::Media, sidecar::Sidecar, tag::Tag},
    storage::error::Error,
};

impl Index {
    /// The sidecar of a medium as it was known last. Of one that was indexed by an
    /// older program it is put together from its rows: kind, name, caption, tags,
    /// rating, stars, relations, hashes, posts, and the facts of its file.
    pub(in crate::storage) fn remembered(&self, key: MediaKey) -> Result<Option<Sidecar>, Error> {
        if let Some(base) = self.base(key)? {
            return Ok(Some(base));
        }
        let Some(entry) = self.entry(key)? else {
            return Ok(None);
        };
        let mut media = Media {
            kind: entry.kind,
            name: entry.name,
            rating: entry.rating,
            stars: entry.stars,
            fav: entry.fav,
            status: entry.status,
            tags: entry
                .tags
                .iter()
                .map(|tag| Tag::new(&tag.category, &tag.value))
                .collect(),
            ..Media::default()
        };
        for (site, post) in entry.posts {
            media
                .sources
                .insert(site, serde_json::json!({ "id": post }));
        }
        let mut fact = |name: &str, value: serde_json::Value| {
            media.metadata.insert(name.to_owned(), value);
        };
        for (name, time) in [("created", entry.created), ("imported", entry.imported)] {
            if time != 0 {
                fact(name, format_time(time).into());
            }
        }
        for (name, number) in [
            ("width", u64::from(entry.width)),
            ("height", u64::from(entry.height)),
            ("bytes", entry.bytes),
        ] {
            if number != 0 {
                fact(name, number.into());
            }
        }
        self.read("read", |connection| {
            media.caption = caption(connection, key)?;
            media.related = related(connection, key)?;
            let mut hashes =
                connection.prepare_cached("SELECT algorithm, value FROM hash WHERE medium = ?1")?;
            let hashes = hashes.query_map([key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for hash in hashes {
                let (algorithm, value): (String, String) = hash?;
                if let Some(field) = media.hashes.get_mut(&algorithm) {
                    *field = Some(value);
                }
            }
            Ok(())
        })?;
        if let (Some(origin), Some(name)) = (entry.origin, origin_key(media.kind)) {
            media.derived.insert(name.to_owned(), origin.into());
        }
        Ok(Some(Sidecar {
            media,
            ..Sidecar::default()
        }))
    }
}

/// The key under which a derived medium names what it is derived from.
fn origin_key(kind: crate::model::media::MediaKind) -> Option<&'static str> {
    use crate::model::media::MediaKind;
    match kind {
        MediaKind::Mask => Some("source_image"),
        MediaKind::VideoFrame => Some("source_video"),
        MediaKind::Crop => Some("parent_image"),
        _ => None,
    }
}

fn caption(connection: &Connection, key: MediaKey) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT text FROM caption WHERE medium = ?1")?
        .query_map([key.0], |row| row.get(0))?
        .next()
        .transpose()
        .map(Option::unwrap_or_default)
}

fn related(connection: &Connection, key: MediaKey) -> rusqlite::Result<Vec<(String, Vec<String>)>> {
    let mut related: Vec<(String, Vec<String>)> = Vec::new();
    let mut rows = connection.prepare_cached(
        "SELECT kind, other FROM relation WHERE medium = ?1 ORDER BY kind, position",
    )?;
    for row in rows.query_map([key.0], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (kind, other): (String, String) = row?;
        match related.last_mut().filter(|(last, _)| *last == kind) {
            Some((_, ids)) => ids.push(other),
            None => related.push((kind, vec![other])),
        }
    }
    Ok(related)
}
