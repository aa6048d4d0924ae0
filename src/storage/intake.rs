//! Filing what comes in; [`inbox`] clears up behind it.
//!
//! Order of a store: picture and sidecar as synced temporary files, rename the
//! picture, rename the sidecar, sync the folder; then the caller commits to the
//! index; only then is the source of a move removed. A crash at any point leaves
//! the source, or the medium, or both, and at worst temporary files.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use serde_json::json;
use tempfile::TempPath;

use super::{
    desk::Desk,
    error::Error,
    files::{self, Replaced, Writes},
    inbox,
    journal::{Md5Text, Part, StoreItem},
    layout::{HIDDEN_HOME, LayoutKind},
    md5_lock::Purpose,
    path_text::{decode, encode},
    requests::{Incoming, Stored, Transfer},
    shelf::{Loaded, Spot, is_original, new_sidecar, stem},
};
use crate::model::{
    absorb::absorb,
    entry::{Entry, format_time, parse_time},
    id::{Md5, MediaId},
    media::Media,
    operation::Operation,
};

/// How long a store waits for another one into the same folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a file's name that are kept, so that suffixes still fit into 255.
const MAX_STEM_BYTES: usize = 180;
/// Numbers tried behind a name that is taken.
pub(super) const MAX_NUMBER: u32 = 100_000;

impl Desk<'_> {
    /// See [`Library::store`](super::Library::store).
    pub(super) fn store(
        &self,
        operation: &Operation,
        incoming: Incoming,
        now: i64,
    ) -> Result<Stored, Error> {
        let layout = &self.shelf.layout;
        let source =
            fs::canonicalize(&incoming.source).map_err(Error::file("read", &incoming.source))?;
        if let Some(path) = layout.relative(&source)
            && source.starts_with(layout.images())
            && !source.starts_with(layout.root().join(HIDDEN_HOME))
        {
            return self.adopt(operation, &path, incoming, now);
        }
        match layout.kind() {
            LayoutKind::Bucketed => {
                let folder = format!("images/{}", incoming.md5.bucket());
                self.store_by_md5(operation, &folder, incoming, now)
            }
            LayoutKind::Flat => self.store_by_md5(operation, "images", incoming, now),
            LayoutKind::InPlace => self.store_by_name(operation, incoming, now),
        }
    }

    /// See [`Library::commit`](super::Library::commit).
    pub(super) fn commit(&self, stored: &[Stored]) -> Result<Vec<Entry>, Error> {
        let mut rows = Vec::with_capacity(stored.len());
        for stored in stored {
            // What a rebuild would read is what is entered.
            let spot = Spot {
                path: stored.facts.path.clone(),
                sidecars: vec![stored.sidecar.clone()],
                shares_stem: false,
            };
            let mut loaded = self.shelf.load(&spot)?;
            if let Some(problem) = loaded.problem.take() {
                return Err(problem);
            }
            rows.push(loaded.into_row(stored.id.clone()));
        }
        self.enter(&mut rows).inspect_err(|_| {
            // The operation stays open until it is committed.
            let _ = self
                .marks
                .add(stored.iter().map(|stored| stored.facts.path.as_str()));
        })
    }

    /// A file that lies among the originals already stays where it is.
    fn adopt(
        &self,
        operation: &Operation,
        path: &str,
        incoming: Incoming,
        now: i64,
    ) -> Result<Stored, Error> {
        let md5 = files::md5_of_file(&incoming.source, &mut || true)?;
        expect_md5(&incoming.source, incoming.md5, md5)?;
        let place = self.index.place_by_path(path)?;
        let id = match place {
            Some(place) => place.id,
            None => self.free_id(path)?,
        };
        let stays = Incoming {
            how: Transfer::Copy,
            ..incoming
        };
        let spot = self.spot(path)?;
        let lock = self.lock_sidecar(&id)?;
        let mut writes = Writes::under(std::slice::from_ref(&lock));
        let bytes = files::stat(&stays.source)?.map_or(0, |stat| stat.bytes);
        let described = self.describe(spot, id, &stays, bytes, now)?;
        self.note_store(operation, &described, &stays, now)?;
        let stored = self.complete(described, stays, &mut writes)?;
        writes.finish()?;
        Ok(stored)
    }

    fn store_by_md5(
        &self,
        operation: &Operation,
        folder: &str,
        incoming: Incoming,
        now: i64,
    ) -> Result<Stored, Error> {
        let extension = clean_extension(&incoming.extension);
        let path = format!("{folder}/{}.{extension}", incoming.md5);
        let target = self.shelf.absolute(&path)?;
        let id = MediaId::from(incoming.md5);
        let spot = Spot::new(&path, std::slice::from_ref(&path), false);
        let lock = self.lock_sidecar(&id)?;
        let mut writes = Writes::under(std::slice::from_ref(&lock));
        if let Some(stat) = files::stat(&target)? {
            // Left by a crash before its commit, or not what its name says.
            let found = files::md5_of_file(&target, &mut || true)?;
            expect_md5(&target, incoming.md5, found)?;
            let described = self.describe(spot, id, &incoming, stat.bytes, now)?;
            self.note_store(operation, &described, &incoming, now)?;
            let stored = self.complete(described, incoming, &mut writes)?;
            writes.finish()?;
            return Ok(stored);
        }
        let temp = bring(&incoming, &target)?;
        let bytes = files::stat(&temp)?.map_or(0, |stat| stat.bytes);
        let described = self.describe(spot, id, &incoming, bytes, now)?;
        self.note_store(operation, &described, &incoming, now)?;
        if !writes.place(&mut Some(temp), &target)? {
            return Err(Error::AlreadyStored(incoming.md5.into()));
        }
        let stored = self.complete(described, incoming, &mut writes)?;
        writes.finish()?;
        Ok(stored)
    }

    /// Under its own name in a folder by date, with a number where the name is taken.
    fn store_by_name(
        &self,
        operation: &Operation,
        incoming: Incoming,
        now: i64,
    ) -> Result<Stored, Error> {
        let folder = self.dated_folder(&incoming.media, now);
        let name = clean_name(&incoming);
        let (base, extension) = name.rsplit_once('.').unwrap_or((&name, "bin"));
        // Two stores that choose a name at once would give two files one stem.
        let lock = files::md5_of(folder.as_bytes());
        let lock = self.shelf.lock(Purpose::Sidecar, &lock, LOCK_TIMEOUT)?;
        let target = self.shelf.absolute(&format!("{folder}/{name}"))?;
        let mut writes = Writes::under(std::slice::from_ref(&lock));
        let mut temp = Some(bring(&incoming, &target)?);
        let bytes = match &temp {
            Some(temp) => files::stat(temp)?.map_or(0, |stat| stat.bytes),
            None => 0,
        };
        let taken = taken_stems(target.parent().unwrap_or(self.shelf.layout.root()));
        for number in 1..MAX_NUMBER {
            let numbered = match number {
                1 => base.to_owned(),
                n => format!("{base}-{n}"),
            };
            if taken.contains(&numbered.to_lowercase()) {
                continue;
            }
            let path = format!("{folder}/{numbered}.{extension}");
            let id = self.free_id(&path)?;
            let spot = Spot::new(&path, std::slice::from_ref(&path), false);
            let described = self.describe(spot, id, &incoming, bytes, now)?;
            self.note_store(operation, &described, &incoming, now)?;
            if writes.place(&mut temp, &self.shelf.absolute(&path)?)? {
                let stored = self.complete(described, incoming, &mut writes)?;
                writes.finish()?;
                return Ok(stored);
            }
        }
        Err(Error::library(&target, "has no free name beside it"))
    }

    /// What the sidecar of an original will say. One that is there already (its
    /// original was missing) is merged, not replaced.
    fn describe(
        &self,
        spot: Spot,
        id: MediaId,
        incoming: &Incoming,
        bytes: u64,
        now: i64,
    ) -> Result<Described, Error> {
        let mut loaded = self.shelf.load(&spot)?;
        if let Some(problem) = loaded.problem.take() {
            return Err(problem);
        }
        let before = loaded.sidecar.media.clone();
        let media = described(incoming, bytes, now);
        if loaded.facts.has_sidecar {
            absorb(&mut loaded.sidecar.media, &media);
            loaded.sidecar.media.hashes.md5 = Some(incoming.md5.to_string());
        } else {
            let (tags, caption) = (before.tags.clone(), before.caption.clone());
            loaded.sidecar.media = media;
            let ours = &mut loaded.sidecar.media;
            if ours.tags.is_empty() {
                ours.tags = tags;
            }
            if ours.caption.is_empty() {
                ours.caption = caption;
            }
        }
        Ok(Described {
            id,
            spot,
            loaded,
            before,
        })
    }

    /// Writes down what is about to be filed, so that it can be finished.
    fn note_store(
        &self,
        operation: &Operation,
        described: &Described,
        incoming: &Incoming,
        now: i64,
    ) -> Result<(), Error> {
        let source = (incoming.how == Transfer::Move)
            .then(|| encode_path(&incoming.source))
            .flatten();
        let item = StoreItem {
            id: described.id.clone(),
            path: described.spot.path.clone(),
            md5: Md5Text(incoming.md5),
            sidecar: described.sidecar_path(),
            text: described.loaded.sidecar.render(),
            is_new: !described.loaded.facts.has_sidecar,
            source,
        };
        self.journal
            .part(&[(operation, Part::Store(vec![item]))], false, now)
    }

    /// Writes the sidecar of an original that is in place.
    fn complete(
        &self,
        described: Described,
        incoming: Incoming,
        writes: &mut Writes,
    ) -> Result<Stored, Error> {
        let sidecar = described.sidecar_path();
        let Described {
            id,
            spot,
            mut loaded,
            before,
        } = described;
        if loaded.sidecar.media != before {
            let saved = self.shelf.save(&spot, &mut loaded, writes)?;
            if saved == Replaced::Changed {
                return Err(Error::library(
                    &self.shelf.absolute(&sidecar)?,
                    "was written by another program at this moment; try again",
                ));
            }
            self.shelf.save_text(&spot, &loaded, &before, writes)?;
        }
        if let Some(stat) = files::stat(&self.shelf.absolute(&spot.path)?)? {
            loaded.facts.is_missing = false;
            loaded.facts.bytes = stat.bytes;
            loaded.facts.modified = stat.modified();
        }
        Ok(Stored {
            id,
            facts: loaded.facts,
            media: loaded.sidecar.media,
            sidecar: loaded.sidecar_path.unwrap_or(sidecar),
            source: incoming.source,
            how: incoming.how,
        })
    }

    fn dated_folder(&self, media: &Media, now: i64) -> String {
        let time = ["taken", "created"]
            .iter()
            .find_map(|key| media.fact(key).and_then(parse_time))
            .unwrap_or(now);
        let date = format_time(time);
        let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or("0").to_owned();
        let folder = self
            .shelf
            .identity
            .ingest_folder
            .replace("{year}", &part(0..4))
            .replace("{month}", &part(5..7))
            .replace("{day}", &part(8..10));
        let parts: Vec<&str> = folder
            .split('/')
            .filter(|part| !part.is_empty() && !part.starts_with('.'))
            .collect();
        if parts.is_empty() {
            "ingested".to_owned()
        } else {
            parts.join("/")
        }
    }
}

/// A medium whose sidecar is ready to be written.
struct Described {
    id: MediaId,
    spot: Spot,
    loaded: Loaded,
    before: Media,
}

impl Described {
    fn sidecar_path(&self) -> String {
        match &self.loaded.sidecar_path {
            Some(path) => path.clone(),
            None => new_sidecar(&self.spot, &self.loaded.foreign),
        }
    }
}

/// An absolute path as text from which [`decode`] gives it back.
fn encode_path(path: &Path) -> Option<String> {
    let text = encode(path.as_os_str());
    (Path::new(&decode(&text)) == path).then_some(text)
}

/// A synced temporary file with the source's bytes, which are checked: the
/// source may have changed since the door hashed it.
fn bring(incoming: &Incoming, target: &Path) -> Result<TempPath, Error> {
    let linked = match incoming.how {
        Transfer::Copy => None,
        Transfer::Move | Transfer::Link => files::temp_link(&incoming.source, target)?,
    };
    let (temp, md5) = match linked {
        Some(linked) => linked,
        None => files::temp_copy(&incoming.source, target)?,
    };
    expect_md5(&incoming.source, incoming.md5, Some(md5))?;
    Ok(temp)
}

/// See [`Library::finish_move`](super::Library::finish_move).
pub(super) fn finish_move(stored: &Stored) -> Result<(), Error> {
    match stored.how {
        Transfer::Move => inbox::clear_sources(&[&stored.source]),
        Transfer::Copy | Transfer::Link => Ok(()),
    }
}

fn expect_md5(path: &Path, expected: Md5, found: Option<Md5>) -> Result<(), Error> {
    match found {
        Some(found) if found == expected => Ok(()),
        found => Err(Error::WrongBytes {
            path: path.to_owned(),
            expected: expected.to_string(),
            found: found.map_or_else(|| "nothing".to_owned(), |md5| md5.to_string()),
        }),
    }
}

/// The medium with what storage knows of every file it stores.
fn described(incoming: &Incoming, bytes: u64, now: i64) -> Media {
    let mut media = incoming.media.clone();
    media.hashes.md5 = Some(incoming.md5.to_string());
    let name = original_name(incoming);
    for (key, value) in [
        ("bytes", json!(bytes)),
        ("imported", json!(format_time(now))),
        ("original_name", json!(name)),
    ] {
        if !media.metadata.contains_key(key) {
            media.metadata.insert(key.to_owned(), value);
        }
    }
    media
}

fn original_name(incoming: &Incoming) -> String {
    if incoming.original_name.is_empty() {
        incoming.source.file_name().map_or_else(String::new, encode)
    } else {
        incoming.original_name.clone()
    }
}

/// An extension of ours: short, lower case, letters and digits.
fn clean_extension(extension: &str) -> String {
    let clean: String = extension
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    if clean.is_empty() {
        "bin".to_owned()
    } else {
        clean.to_ascii_lowercase()
    }
}

/// The file name under which an in-place library stores something: its own,
/// visible, not too long, with an extension by which a scan finds it.
fn clean_name(incoming: &Incoming) -> String {
    let name = original_name(incoming);
    let name = encode(&OsString::from(
        name.rsplit(['/', '\\']).next().unwrap_or_default(),
    ));
    let name = name.trim_start_matches('.');
    let extension = clean_extension(&incoming.extension);
    if is_original(name) {
        shorten(name)
    } else {
        let stem = if name.is_empty() { "unnamed" } else { name };
        shorten(&format!("{stem}.{extension}"))
    }
}

/// A name whose stem fits into a file name with the suffixes we add.
pub(super) fn shorten(name: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let end = (0..=stem.len().min(MAX_STEM_BYTES))
        .rev()
        .find(|end| stem.is_char_boundary(*end))
        .unwrap_or(0);
    let dot = if extension.is_empty() { "" } else { "." };
    let stem = if end == 0 { "unnamed" } else { &stem[..end] };
    let extension: String = extension.chars().take(16).collect();
    format!("{stem}{dot}{extension}")
}

/// The stems in a folder, lower case: some file systems know no difference.
fn taken_stems(folder: &Path) -> std::collections::HashSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| stem(&encode(&entry.file_name())).to_lowercase())
        .collect()
}

/// A name such that neither it nor any file with its stem is in the folder, nor
/// about to be.
pub(super) fn free_name(
    folder: &Path,
    name: &str,
    is_reserved: impl Fn(&str) -> bool,
) -> Result<String, Error> {
    let taken = taken_stems(folder);
    let base = stem(name);
    let rest = &name[base.len()..];
    (1..MAX_NUMBER)
        .map(|number| match number {
            1 => name.to_owned(),
            n => format!("{base}-{n}{rest}"),
        })
        .find(|name| {
            if is_reserved(name) {
                return false;
            }
            let name = name.to_lowercase();
            !taken.contains(stem(&name)) && !taken.contains(&name)
        })
        .ok_or_else(|| Error::library(folder, "has no free name"))
}
