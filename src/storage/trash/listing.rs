//! What lies in the trash, by its notes.
//!
//! Invariant: a note can put files nowhere but among the originals.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::NOTE_SUFFIX;
use crate::{
    model::{
        entry::parse_time,
        sidecar::{MAX_BYTES, Sidecar},
    },
    storage::{
        error::Error,
        files,
        path_text::{decode, encode},
        requests::Trashed,
        scan,
        shelf::{Shelf, is_original, stem},
    },
};

/// Folders below `deleted/` that are looked into: `ab/cd`, and one to spare.
const MAX_DEPTH: usize = 3;

/// What lies in the trash, the newest first, and the notes that cannot be used,
/// each with the reason.
#[derive(Debug, Default)]
pub(in crate::storage) struct Listing {
    pub items: Vec<Trashed>,
    pub bad_notes: Vec<(PathBuf, String)>,
    /// Notes whose files are all gone from the trash.
    pub empty_notes: Vec<PathBuf>,
    /// Files that no note speaks of.
    pub unexplained: Vec<PathBuf>,
    pub leftovers: Vec<PathBuf>,
}

/// Reads the whole trash.
pub(in crate::storage) fn list(shelf: &Shelf) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let mut folders = vec![(shelf.layout.deleted(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if files::is_absent(&error) => continue,
            Err(error) => return Err(Error::file("list", &folder)(error)),
        };
        let (mut notes, mut others) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(Error::file("list", &folder))?;
            let kind = entry.file_type().map_err(Error::file("list", &folder))?;
            let name = encode(&entry.file_name());
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if files::is_leftover(&name) {
                listing.leftovers.push(entry.path());
            } else if name.ends_with(NOTE_SUFFIX) {
                notes.push(entry.path());
            } else if kind.is_file() && !name.starts_with('.') {
                others.push(name);
            }
        }
        let mut explained = HashSet::new();
        for note in notes {
            match read_note(shelf, &note, &others) {
                Ok(item) => {
                    let names = item.files.iter().filter_map(|(from, _)| {
                        let name = from.rsplit('/').next()?.to_owned();
                        others.contains(&name).then_some(name)
                    });
                    let before = explained.len();
                    explained.extend(names);
                    if explained.len() > before {
                        listing.items.push(item);
                    } else {
                        listing.empty_notes.push(note);
                    }
                }
                Err(reason) => {
                    // What it was about is at least known by its name.
                    let name = note.file_name().map_or_else(String::new, encode);
                    let about = name.strip_suffix(NOTE_SUFFIX).unwrap_or_default();
                    let files = others.iter().filter(|name| stem(name) == stem(about));
                    explained.extend(files.cloned());
                    listing.bad_notes.push((note, reason));
                }
            }
        }
        let unexplained = others.iter().filter(|name| !explained.contains(*name));
        listing
            .unexplained
            .extend(unexplained.map(|name| folder.join(decode(name))));
    }
    listing
        .items
        .sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.path.cmp(&b.path)));
    Ok(listing)
}

/// The item of a note; `names` are the files beside it.
fn read_note(shelf: &Shelf, note: &Path, names: &[String]) -> Result<Trashed, String> {
    let text = match files::read(note, MAX_BYTES) {
        Ok(Some((bytes, _))) => {
            String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?
        }
        Ok(None) => return Err("it is gone".to_owned()),
        Err(error) => return Err(error.chain()),
    };
    let object: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("it is not a note: {error}"))?;
    let word = |key: &str| object.get(key).and_then(Value::as_str);
    let path = word("restore_path").ok_or("it does not say where the file belongs")?;
    let relative = |path: &Path| {
        let relative = shelf.layout.relative(path);
        relative.ok_or_else(|| "it is outside the library".to_owned())
    };
    let folder = note.parent().map(relative).transpose()?.unwrap_or_default();
    let name = note.file_name().map_or_else(String::new, encode);
    let name = name.strip_suffix(NOTE_SUFFIX).unwrap_or(&name);
    let files: Vec<(String, String)> = match object.get("files").and_then(Value::as_object) {
        Some(files) => files
            .iter()
            .filter_map(|(name, to)| Some((name.clone(), to.as_str()?.to_owned())))
            .collect(),
        None => usual_files(name, path, names),
    };
    for (name, to) in &files {
        if name.contains('/') || !belongs(shelf, to, path) {
            return Err(format!("it would put {name} at {to}"));
        }
    }
    let files: Vec<_> = files
        .into_iter()
        .map(|(name, to)| (format!("{folder}/{name}"), to))
        .collect();
    let short = scan::short_id(&shelf.layout, path);
    let id = word("id").unwrap_or(short);
    let id = id.parse().map_err(|_| format!("{id:?} is no id"))?;
    let original = files
        .iter()
        .find(|(_, to)| to == path)
        .map(|(from, _)| from.clone());
    let mut bytes = 0;
    let mut media = crate::model::media::Media::default();
    for (from, _) in &files {
        let Some(absolute) = shelf.layout.resolve(from) else {
            continue;
        };
        bytes += files::stat(&absolute)
            .ok()
            .flatten()
            .map_or(0, |stat| stat.bytes);
        if Path::new(from).extension().is_some_and(|end| end == "json")
            && let Ok(Some((bytes, _))) = files::read(&absolute, MAX_BYTES)
            && let Ok(text) = str::from_utf8(&bytes)
            && let Ok(sidecar) = Sidecar::parse(text)
        {
            media = sidecar.media;
        }
    }
    Ok(Trashed {
        id,
        path: path.to_owned(),
        original,
        at: word("at").and_then(parse_time),
        by: word("by").unwrap_or_default().to_owned(),
        reason: word("reason").unwrap_or_default().to_owned(),
        merged_into: word("merged_into").and_then(|id| id.parse().ok()),
        bytes,
        media,
        note: relative(note)?,
        note_text: text,
        files,
    })
}

/// The files of a note that does not list them: those with the name's stem.
fn usual_files(name: &str, path: &str, names: &[String]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for suffix in ["json", "txt"] {
        let companion = format!("{}.{suffix}", stem(name));
        if names.contains(&companion) {
            files.push((companion, format!("{}.{suffix}", stem(path))));
        }
    }
    if names.iter().any(|found| found == name) {
        files.push((name.to_owned(), path.to_owned()));
    }
    files
}

/// Whether a note may put a file there: an original or what goes with it, among the
/// originals, and nowhere hidden.
fn belongs(shelf: &Shelf, to: &str, restore_path: &str) -> bool {
    let layout = &shelf.layout;
    let Some(target) = layout.resolve(to) else {
        return false;
    };
    let is_hidden = to.split('/').any(|part| part.starts_with('.'));
    let is_original = to == restore_path && is_original(to);
    let is_companion = stem(to).starts_with(stem(restore_path))
        && target.parent()
            == layout
                .resolve(restore_path)
                .as_deref()
                .and_then(Path::parent)
        && [".json", ".txt"].iter().any(|suffix| to.ends_with(suffix));
    target.starts_with(layout.images()) && !is_hidden && (is_original || is_companion)
}
