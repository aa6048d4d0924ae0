//! What becomes of files in front of the library: those that are in it now are
//! cleared away, what another program told about them is kept, and what cannot come
//! in goes to the quarantine with its reason.
//!
//! Every source is removed last, when what was made of it is durable: a crash in
//! between leaves it twice, never not at all.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    desk::Desk,
    error::Error,
    files::{self, Writes},
    intake::{MAX_NUMBER, free_name, shorten},
    path_text::{decode, encode},
    requests::Transfer,
    shelf::Shelf,
};
use crate::model::{entry::format_time, id::Md5};

/// More than any program tells about one picture.
const MAX_RAW_BYTES: usize = 64 << 20;
/// Of the name of a site, in that of a file.
const MAX_SITE_CHARS: usize = 40;

/// See [`Library::clear_sources`](super::Library::clear_sources).
pub(super) fn clear_sources(paths: &[&Path]) -> Result<(), Error> {
    let mut writes = Writes::default();
    for path in paths {
        writes.remove(path)?;
    }
    writes.finish()
}

/// See [`Library::keep_raw`](super::Library::keep_raw).
pub(super) fn keep_raw(shelf: &Shelf, md5: &Md5, site: &str, source: &Path) -> Result<(), Error> {
    let Some((bytes, _)) = files::read(source, MAX_RAW_BYTES)? else {
        return Ok(());
    };
    if bytes.len() > MAX_RAW_BYTES {
        return Err(Error::library(source, "is too large to be kept"));
    }
    let site: String = site
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .take(MAX_SITE_CHARS)
        .collect();
    let folder = shelf.layout.home().join("raw").join(md5.bucket());
    let mut writes = Writes::default();
    writes.replace(&folder.join(format!("{md5}.{site}.json")), &bytes)?;
    writes.finish()?;
    clear_sources(&[source])
}

impl Desk<'_> {
    /// See [`Library::quarantine`](super::Library::quarantine).
    pub(super) fn quarantine(
        &self,
        source: &Path,
        companions: &[PathBuf],
        how: Transfer,
        reason: &str,
        now: i64,
    ) -> Result<PathBuf, Error> {
        let folder = self.shelf.layout.quarantine();
        let wanted = source.file_name().map_or_else(String::new, encode);
        let mut writes = Writes::default();
        for _ in 0..MAX_NUMBER {
            let name = free_name(&folder, &shorten(&wanted), |_| false)?;
            let target = folder.join(decode(&name));
            if !bring(source, &target, how, &mut writes)? {
                continue;
            }
            let note = json!({
                "at": format_time(now),
                "reason": reason,
                "source": encode(source.as_os_str()),
            });
            let note_path = folder.join(decode(&format!("{name}.err.json")));
            writes.replace(&note_path, format!("{note:#}\n").as_bytes())?;
            let mut sources = Vec::new();
            for companion in companions {
                // One whose place is taken stays where it is.
                if let Some(place) = beside(source, &target, companion)
                    && bring(companion, &place, how, &mut writes)?
                {
                    sources.push(companion.as_path());
                }
            }
            sources.push(source);
            writes.finish()?;
            if how == Transfer::Move {
                clear_sources(&sources)?;
            }
            return Ok(target);
        }
        Err(Error::library(&folder, "has no free name"))
    }
}

/// A second name or a copy of a file; `false` where that name is taken.
fn bring(source: &Path, target: &Path, how: Transfer, writes: &mut Writes) -> Result<bool, Error> {
    let linked = match how {
        Transfer::Move => files::temp_link(source, target)?,
        Transfer::Copy | Transfer::Link => None,
    };
    let temp = match linked {
        Some((temp, _)) => temp,
        None => files::temp_copy(source, target)?.0,
    };
    writes.place(&mut Some(temp), target)
}

/// Where a companion of `from` goes when that is now `to`: the name's end is its own.
fn beside(from: &Path, to: &Path, companion: &Path) -> Option<PathBuf> {
    let name = encode(companion.file_name()?);
    let pairs = [
        (from.file_name()?, to.file_name()?),
        (from.file_stem()?, to.file_stem()?),
    ];
    pairs.into_iter().find_map(|(old, new)| {
        let end = name.strip_prefix(&encode(old))?;
        Some(to.with_file_name(decode(&format!("{}{end}", encode(new)))))
    })
}
