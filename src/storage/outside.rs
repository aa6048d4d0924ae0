//! Files that somebody touched while the library is open: whether they are as the
//! index knows them, and what is to be read again.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    desk::Desk,
    error::Error,
    files,
    index::{Place, Row},
    requests::LookedAt,
    shelf::{is_original, stem},
};
use crate::model::id::{MediaId, MediaKey};

/// Seconds after which a file that is written again has another time for certain,
/// whatever file system it lies on.
const SETTLED: i64 = 3;

impl Desk<'_> {
    /// See [`Library::look_at`](super::Library::look_at).
    pub(super) fn look_at(&self, touched: &[PathBuf]) -> Result<LookedAt, Error> {
        let mut looked = LookedAt::default();
        let mut originals: BTreeSet<String> = BTreeSet::new();
        for path in touched {
            match self.meant_by(path)? {
                Meant::Nothing => {}
                Meant::Originals(paths) => originals.extend(paths),
                Meant::More => looked.is_more = true,
            }
        }
        let mut rows: Vec<Row> = Vec::new();
        for path in originals {
            let place = self.index.place_by_path(&path)?;
            let Some(place) = place else {
                // New ones get their ids from a look at all names.
                looked.is_more |= files::stat(&self.shelf.absolute(&path)?)?.is_some();
                continue;
            };
            if self.is_as_indexed(&place)? {
                continue;
            }
            let loaded = self.shelf.load(&self.spot(&path)?)?;
            if loaded.facts.is_missing {
                // It, or its sidecar, may be somewhere else now.
                looked.is_more = true;
                continue;
            }
            if let Some(problem) = &loaded.problem {
                looked.problems.push((path, problem.chain()));
            }
            rows.push(loaded.into_row(place.id));
        }
        if !rows.is_empty() {
            looked.changed = self.enter(&mut rows)?.len();
            let given_back = rows.iter().filter(|row| row.is_given_back);
            let root = self.shelf.layout.root();
            looked.given_back = given_back.map(|row| root.join(&row.facts.path)).collect();
        }
        Ok(looked)
    }

    /// What the files of a medium look like: its id, and a text that is another one
    /// after any of them was written. `None` where reading them may tell more than the
    /// index knows, or where a file was written less than [`SETTLED`] before `now`
    /// (seconds since 1970), since it may be written again without looking otherwise.
    pub(super) fn look_of(
        &self,
        key: MediaKey,
        now: i64,
    ) -> Result<Option<(MediaId, String)>, Error> {
        let place = self.place(key)?;
        if place.is_owed || !self.is_as_indexed(&place)? {
            return Ok(None);
        }
        let spot = self.spot(&place.path)?;
        let mut text = format!("{:?}", place.stamp);
        let captions = spot.captions();
        for path in spot.sidecars.iter().chain(&captions) {
            let found = match self.shelf.absolute(path)?.symlink_metadata() {
                Ok(found) => found,
                Err(error) if files::is_absent(&error) => continue,
                Err(_) => return Ok(None),
            };
            // The time of the last change of a file is the system's own: nobody sets
            // it back, as a copy sets the time of the bytes.
            if found.ctime() >= now - SETTLED {
                return Ok(None);
            }
            let (bytes, changed) = (found.size(), (found.ctime(), found.ctime_nsec()));
            // Writing to text cannot fail.
            let _ = write!(text, "\n{path} {bytes} {changed:?} {}", found.ino());
        }
        Ok(Some((place.id, text)))
    }

    /// Which originals a touched file belongs to.
    fn meant_by(&self, path: &Path) -> Result<Meant, Error> {
        let layout = &self.shelf.layout;
        let Some(text) = layout
            .relative(path)
            .filter(|_| path.starts_with(layout.images()))
        else {
            return Ok(Meant::Nothing);
        };
        if text.split('/').any(|part| part.starts_with('.')) {
            return Ok(Meant::Nothing);
        }
        let name = text.rsplit('/').next().unwrap_or(&text);
        if is_original(name) {
            return Ok(Meant::Originals(vec![text]));
        }
        for suffix in [".tagloupe.json", ".json", ".txt"] {
            let Some(base) = text.strip_suffix(suffix) else {
                continue;
            };
            if is_original(base) && self.index.place_by_path(base)?.is_some() {
                return Ok(Meant::Originals(vec![base.to_owned()]));
            }
            let mut paths = self.index.paths_with_stem(base)?;
            paths.retain(|path| stem(path) == base);
            if paths.is_empty() {
                // A sidecar alone; a caption alone is none of ours.
                let is_sidecar = suffix != ".txt";
                return Ok(if is_sidecar {
                    Meant::More
                } else {
                    Meant::Nothing
                });
            }
            return Ok(Meant::Originals(paths));
        }
        // A folder came or went; anything else is no file of ours.
        let is_folder = path.extension().is_none();
        Ok(if is_folder {
            Meant::More
        } else {
            Meant::Nothing
        })
    }

    /// Whether the files of a medium still have the sizes and times that the index
    /// noted.
    fn is_as_indexed(&self, place: &Place) -> Result<bool, Error> {
        let stat = |path: &str| files::stat(&self.shelf.absolute(path)?);
        let original = stat(&place.path)?;
        let is_same = original.is_some_and(|stat| {
            !place.is_missing && (stat.bytes, stat.modified()) == (place.bytes, place.modified)
        });
        if !is_same {
            return Ok(false);
        }
        match (&place.sidecar, place.stamp) {
            (Some(path), Some(stamp)) => Ok(stat(path)?.is_some_and(|stat| {
                (stat.bytes, stat.modified_ns) == (stamp.bytes, stamp.modified_ns)
            })),
            // Without a sidecar the `.txt` counts, and one may have come.
            _ => Ok(false),
        }
    }
}

/// What a touched file means.
enum Meant {
    Nothing,
    Originals(Vec<String>),
    /// Only a look at all names can tell.
    More,
}
