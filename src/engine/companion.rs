//! Files that travel with a picture: sidecars of ours and of other programs,
//! tag lists, captions and link lists, recognised by name and content.
//!
//! Nothing here writes. What was understood is handed back as a [`Media`] to merge,
//! with the list of files it came from, so that an ingest can clear them away after
//! its commit. A file that is not understood is reported and left alone.

mod gallery_dl;
mod text;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::source::post;
use crate::model::{
    absorb::add_site_tag,
    edit::Edit,
    media::{EXTENSIONS, Media},
    sidecar::Sidecar,
};

/// A companion above this size is not read: a JSON of 200 MB costs a gigabyte to parse.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Extensions that a companion may have instead of, or after, that of its picture;
/// the longer of two that fit comes first.
const SUFFIXES: [&str; 7] = [
    "err.json",
    "json",
    "tags.txt",
    "urls.txt",
    "notes.txt",
    "txt",
    "caption",
];

/// What the files beside a picture say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Companions {
    pub media: Media,
    /// The files that were understood, in the order they were read.
    pub files: Vec<CompanionFile>,
    /// One sentence per file that was not.
    pub warnings: Vec<String>,
}

/// One file beside a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionFile {
    pub path: PathBuf,
    pub kind: CompanionKind,
}

/// How a companion was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompanionKind {
    /// A sidecar of this program or its ancestor: everything in it is taken over.
    Own,
    /// Written by gallery-dl for this site: more in it than a sidecar has room for.
    Site(String),
    /// Another program's JSON of which tags and links were taken.
    Foreign,
    /// A caption, or a list of tags, links or notes.
    Text,
    /// Why the picture was put into quarantine the last time.
    Reason,
}

impl CompanionKind {
    /// The word under which the rest of the file is kept, when not all of it was taken.
    pub fn remainder(&self) -> Option<&str> {
        match self {
            Self::Own | Self::Text | Self::Reason => None,
            Self::Site(site) => Some(site),
            Self::Foreign => Some("json"),
        }
    }
}

/// Whether a file of this name is there for the sake of another one and never
/// ingested by itself.
pub fn is_companion_name(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        ["json", "jsonl", "txt", "caption", "xmp"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// The companions of a picture that exist as regular files, those that carry its
/// full name first.
pub fn find(picture: &Path) -> Vec<PathBuf> {
    let Some(name) = picture.file_name() else {
        return Vec::new();
    };
    let beside = |base: &OsStr, suffix: &str| {
        let mut file = OsString::from(base);
        file.push(".");
        file.push(suffix);
        picture.with_file_name(file)
    };
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let mut found: Vec<PathBuf> = SUFFIXES
        .iter()
        .map(|suffix| beside(name, suffix))
        .filter(is_file)
        .collect();
    if let Some(stem) = picture.file_stem().filter(|stem| *stem != name) {
        let by_stem: Vec<PathBuf> = SUFFIXES
            .iter()
            .map(|suffix| beside(stem, suffix))
            .filter(is_file)
            .collect();
        if !by_stem.is_empty() && owns_stem(picture, name, stem) {
            found.extend(by_stem);
        }
    }
    found
}

/// Of two pictures with the same stem, what is named by the stem belongs to the
/// one that sorts first.
fn owns_stem(picture: &Path, name: &OsStr, stem: &OsStr) -> bool {
    EXTENSIONS.iter().all(|extension| {
        let mut other = stem.to_owned();
        other.push(".");
        other.push(extension);
        other.as_os_str() >= name || !picture.with_file_name(other).exists()
    })
}

/// Whether a file that somebody named is there for a picture beside it, which brings
/// it along, or has gone with that picture already.
pub fn is_spoken_for(path: &Path) -> bool {
    let Some(name) = path.file_name().filter(|name| is_companion_name(name)) else {
        return false;
    };
    if !path.exists() {
        return true;
    }
    let name = name.as_bytes();
    SUFFIXES.iter().any(|suffix| {
        let base = name
            .strip_suffix(suffix.as_bytes())
            .and_then(|base| base.strip_suffix(b"."));
        base.is_some_and(|base| {
            let base = OsStr::from_bytes(base);
            path.with_file_name(base).is_file()
                || EXTENSIONS.iter().any(|extension| {
                    let mut name = base.to_owned();
                    name.push(".");
                    name.push(extension);
                    path.with_file_name(name).is_file()
                })
        })
    })
}

/// Reads what stands beside a picture; `now` (RFC 3339) dates what gives no date.
/// Blocks on the disk.
pub fn gather(picture: &Path, now: &str) -> Companions {
    let mut all = Companions::default();
    for path in find(picture) {
        match read(&path, now) {
            Ok((kind, media)) => {
                merge(&mut all.media, media);
                all.files.push(CompanionFile { path, kind });
            }
            Err(reason) => all
                .warnings
                .push(format!("{} is not used: {reason}", path.display())),
        }
    }
    all
}

fn read(path: &Path, now: &str) -> Result<(CompanionKind, Media), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let suffix = SUFFIXES.into_iter().find(|suffix| {
        name.strip_suffix(suffix)
            .is_some_and(|base| base.ends_with('.'))
    });
    if suffix == Some("err.json") {
        return Ok((CompanionKind::Reason, Media::default()));
    }
    let text = read_text(path)?;
    let media = match suffix {
        Some("json") => return read_json(&text, now),
        Some("tags.txt") => text::tag_lines(&text),
        Some("urls.txt") => text::urls(&text),
        Some("notes.txt") => text::notes(&text),
        _ => text::caption_or_tags(&text),
    };
    Ok((CompanionKind::Text, media))
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("larger than {} MiB", MAX_BYTES / 1024 / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

fn read_json(text: &str, now: &str) -> Result<(CompanionKind, Media), String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if is_own(&object) {
        let sidecar = Sidecar::parse(text).map_err(|error| error.to_string())?;
        return Ok((CompanionKind::Own, sidecar.media));
    }
    if gallery_dl::recognises(&object) {
        let (site, media) = gallery_dl::read(&object, now);
        return Ok((CompanionKind::Site(site), media));
    }
    let mut media = Media::default();
    guess(&object, &mut media, 0);
    if media == Media::default() {
        return Err("unknown JSON".to_owned());
    }
    Ok((CompanionKind::Foreign, media))
}

fn is_own(object: &Map<String, Value>) -> bool {
    if object.contains_key("schema") {
        return true;
    }
    let is_tag = |tag: &Value| tag.get("category").is_some() && tag.get("value").is_some();
    match object.get("tags") {
        Some(Value::Array(tags)) if tags.is_empty() => {
            object.contains_key("related") || object.contains_key("metadata")
        }
        Some(Value::Array(tags)) => tags.iter().all(is_tag),
        _ => false,
    }
}

/// Takes arrays of texts named `tags` and `urls` wherever they stand: the form in
/// which other programs export what they know under names of the user's choice.
fn guess(object: &Map<String, Value>, media: &mut Media, depth: usize) {
    let texts = |value: &Value| -> Option<Vec<String>> {
        value
            .as_array()?
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    for (key, value) in object {
        match (key.as_str(), texts(value)) {
            ("tags", Some(tags)) => merge(media, text::tag_lines(&tags.join("\n"))),
            ("urls", Some(urls)) => merge(media, text::urls(&urls.join("\n"))),
            _ => {
                if let (Value::Object(inner), true) = (value, depth < 4) {
                    guess(inner, media, depth + 1);
                }
            }
        }
    }
}

/// Adds what `from` says to `into`: lists are united, single values are taken where
/// there is none yet. Of two categories for one value the more specific one wins.
pub fn merge(into: &mut Media, from: Media) {
    if *into == Media::default() {
        *into = from;
        return;
    }
    for removed in from.tags_removed {
        let name = removed.name();
        if !into.has_tag(&name) && into.tags_removed.iter().all(|known| known.name() != name) {
            into.tags_removed.push(removed);
        }
    }
    for tag in from.tags {
        add_site_tag(into, tag);
    }
    for url in from.urls {
        Edit::AddUrl(url).apply(into);
    }
    for note in from.notes {
        if !into.notes.contains(&note) {
            into.notes.push(note);
        }
    }
    for caption in from.captions {
        if !into.captions.contains(&caption) {
            into.captions.push(caption);
        }
    }
    for (relation, ids) in from.related {
        for id in ids {
            Edit::AddRelation {
                relation: relation.clone(),
                id,
            }
            .apply(into);
        }
    }
    for (map, more) in [
        (&mut into.sources, from.sources),
        (&mut into.relations, from.relations),
        (&mut into.metadata, from.metadata),
        (&mut into.derived, from.derived),
    ] {
        for (key, value) in more {
            map.entry(key).or_insert(value);
        }
    }
    if into.name.is_empty() {
        into.name = from.name;
    }
    if into.caption.is_empty() {
        into.caption = from.caption;
    }
    if into.rating.is_none() {
        (into.rating, into.rating_src) = (from.rating, from.rating_src);
    }
    into.stars = into.stars.max(from.stars);
    into.fav |= from.fav;
    into.status = into.status.or(from.status);
    for field in from.locked {
        if !into.locked.contains(&field) {
            into.locked.push(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{post::outside_tag, *};

    const NOW: &str = "2025-01-01T00:00:00Z";

    #[expect(clippy::disallowed_methods, reason = "test data")]
    fn put(dir: &Path, name: &str, text: &str) {
        fs::write(dir.join(name), text).unwrap();
    }

    fn names(media: &Media) -> Vec<String> {
        media
            .tags
            .iter()
            .map(|tag| tag.name().to_string())
            .collect()
    }

    #[test]
    fn all_companions_are_read_and_merged() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "a.png", "");
        put(
            dir.path(),
            "a.png.json",
            r#"{"category": "danbooru", "extension": "png", "id": 1, "tags": "holo fox"}"#,
        );
        put(dir.path(), "a.txt", "fox, long hair");
        put(dir.path(), "a.urls.txt", "https://a.example");
        put(dir.path(), "a.png.tags.txt", "character:holo");
        put(dir.path(), "b.txt", "not its companion");
        let found = gather(&dir.path().join("a.png"), NOW);
        assert_eq!(found.warnings, [""; 0]);
        assert_eq!(names(&found.media), ["character:holo", "fox", "long_hair"]);
        assert_eq!(found.media.urls, ["https://a.example"]);
        assert_eq!(found.files.len(), 4);
        assert_eq!(found.files[0].kind, CompanionKind::Site("danbooru".into()));
    }

    #[test]
    fn what_is_not_understood_is_reported_and_left() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("{broken", "line 1"),
            ("[]", "invalid type"),
            (r#"{"a": 1}"#, "unknown JSON"),
        ] {
            put(dir.path(), "a.json", text);
            let found = gather(&dir.path().join("a.png"), NOW);
            assert!(found.files.is_empty());
            assert!(found.warnings[0].contains(expected), "{:?}", found.warnings);
        }
        File::create(dir.path().join("a.json"))
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        assert!(gather(&dir.path().join("a.png"), NOW).warnings[0].contains("16 MiB"));
    }

    #[test]
    fn a_shared_stem_belongs_to_the_picture_that_sorts_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "a.png", "a.txt", "a.png.txt"] {
            put(dir.path(), name, "x");
        }
        let of = |name: &str| find(&dir.path().join(name));
        assert_eq!(of("a.jpg"), [dir.path().join("a.txt")]);
        assert_eq!(of("a.png"), [dir.path().join("a.png.txt")]);
    }

    #[test]
    fn lists_in_the_json_of_other_programs_are_found() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            "a.png.json",
            r#"{"metadata": {"tags": ["creator:jane", "fox"], "urls": ["https://a.example"]}}"#,
        );
        let found = gather(&dir.path().join("a.png"), NOW);
        put(dir.path(), "a.png.err.json", "why it was in quarantine");
        assert_eq!(
            gather(&dir.path().join("a.png"), NOW).files[0].kind,
            CompanionKind::Reason
        );
        assert_eq!(found.files[0].kind, CompanionKind::Foreign);
        assert_eq!(names(&found.media), ["artist:jane", "fox"]);
    }

    #[test]
    fn a_tag_the_user_removed_stays_removed() {
        let mut media = Media::default();
        media.tags_removed.push(crate::model::tag::RemovedTag {
            category: crate::model::tag::GENERAL.into(),
            value: "fox".into(),
            src: None,
            at: None,
            raw: Map::new(),
        });
        let more = Media {
            tags: outside_tag("", "fox", "danbooru").into_iter().collect(),
            ..Media::default()
        };
        merge(&mut media, more);
        assert!(media.tags.is_empty());
    }

    #[test]
    fn a_named_companion_is_spoken_for_by_the_picture_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.txt", "a.png.json", "a.urls.txt", "b.txt"] {
            put(dir.path(), name, "x");
        }
        for (name, expected) in [
            ("a.txt", true),
            ("a.png.json", true),
            ("a.urls.txt", true),
            ("gone.txt", true),
            ("b.txt", false),
            ("a.png", false),
            ("gone.png", false),
        ] {
            assert_eq!(is_spoken_for(&dir.path().join(name)), expected, "{name}");
        }
    }

    #[test]
    fn companions_are_never_pictures_themselves() {
        for (name, expected) in [
            ("a.txt", true),
            ("a.png.JSON", true),
            ("a.xmp", true),
            ("a.png", false),
            ("txt", false),
        ] {
            assert_eq!(is_companion_name(OsStr::new(name)), expected, "{name}");
        }
    }
}
