//! Three versions of a sidecar that version control hands over, merged into ours.

use std::path::Path;

use super::{
    error::Error,
    files::{self, Writes},
};
use crate::model::{
    merge::{Merged, merge},
    sidecar::{MAX_BYTES, Sidecar},
};

/// Merges two versions of a sidecar that come from `base` (empty where there is
/// none) and writes the result over `ours`, whole or not at all. Returns what could
/// not be kept from both sides.
///
/// # Errors
/// When one of them is no sidecar of ours, or on a file that cannot be read or
/// written; `ours` is as it was then.
pub fn merge_files(base: &Path, ours: &Path, theirs: &Path) -> Result<Vec<String>, Error> {
    let (_, base) = read(base)?;
    let (old, our_side) = read(ours)?;
    let (_, their_side) = read(theirs)?;
    let (Some(our_side), Some(their_side)) = (our_side, their_side) else {
        let empty = if old.is_empty() { ours } else { theirs };
        return Err(Error::library(
            empty,
            "is empty, so there is no sidecar to merge",
        ));
    };
    let Merged { sidecar, notes } = merge(base.as_ref(), &our_side, &their_side);
    let text = sidecar.render();
    // What would not read back is not written.
    Sidecar::parse(&text).map_err(|source| Error::Sidecar {
        path: ours.to_owned(),
        source,
    })?;
    let mut writes = Writes::default();
    writes.replace(ours, text.as_bytes())?;
    writes.finish()?;
    Ok(notes)
}

/// The text of a version and the sidecar it holds; `None` for an empty one, which is
/// how git says that there was no file.
fn read(path: &Path) -> Result<(String, Option<Sidecar>), Error> {
    let Some((bytes, _)) = files::read(path, MAX_BYTES)? else {
        return Err(Error::library(path, "does not exist"));
    };
    let foreign = || Error::library(path, "is no sidecar of tagloupe");
    let text = String::from_utf8(bytes).map_err(|_| foreign())?;
    if text.is_empty() {
        return Ok((text, None));
    }
    let sidecar = Sidecar::parse_own(&text).map_err(|source| Error::Sidecar {
        path: path.to_owned(),
        source,
    })?;
    Ok((text, Some(sidecar.ok_or_else(foreign)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sidecars_are_merged_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            let mut writes = Writes::default();
            writes.replace(&path, text.as_bytes()).unwrap();
            path
        };
        let base = file("base", r#"{"tags": ["a"]}"#);
        let ours = file("ours", r#"{"tags": ["a", "b"]}"#);
        let theirs = file("theirs", r#"{"tags": ["a", "c"]}"#);
        let empty = file("empty", "");
        for (name, text) in [
            ("package", r#"{"name": "package", "version": "1"}"#),
            ("markers", "<<<<<<< ours\n{}\n"),
            ("bytes", "not json"),
        ] {
            let foreign = file(name, text);
            assert!(merge_files(&foreign, &ours, &theirs).is_err(), "{name}");
            assert!(merge_files(&base, &foreign, &theirs).is_err(), "{name}");
            assert!(merge_files(&base, &ours, &foreign).is_err(), "{name}");
            assert_eq!(std::fs::read_to_string(&foreign).unwrap(), text);
        }
        assert!(merge_files(&base, &ours, &empty).is_err());
        assert!(merge_files(&base, &empty, &theirs).is_err());
        assert!(merge_files(&base, &ours, &dir.path().join("absent")).is_err());
        assert_eq!(
            std::fs::read_to_string(&ours).unwrap(),
            r#"{"tags": ["a", "b"]}"#
        );
        for base in [&base, &empty] {
            assert_eq!(merge_files(base, &ours, &theirs).unwrap(), [""; 0]);
            let text = std::fs::read_to_string(&ours).unwrap();
            let media = Sidecar::parse(&text).unwrap().media;
            let values: Vec<_> = media.tags.iter().map(|tag| tag.value.as_str()).collect();
            assert_eq!(values, ["a", "b", "c"]);
        }
    }
}
