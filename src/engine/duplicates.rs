//! Exact duplicates: media whose originals are byte for byte the same, which flat
//! and in-place libraries may hold. Keeps one of each group, merges what the others
//! know into it, and moves those to the trash.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::catalog_store::CatalogStore;
use crate::{
    model::{
        catalog,
        id::{Md5, MediaId, MediaKey},
        media::MediaKind,
        operation::Operation,
    },
    storage::Library,
};

/// One of several media with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub key: MediaKey,
    pub id: MediaId,
    /// Library-relative.
    pub path: String,
    pub bytes: u64,
}

/// Media with the same bytes, the one to keep first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub md5: Md5,
    pub copies: Vec<Copy>,
}

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalReport {
    pub groups: usize,
    pub removed: usize,
    pub saved_bytes: u64,
    /// What stayed, and why.
    pub failed: Vec<(String, String)>,
}

/// The groups of media with the same md5, ordered by path; inside a group the
/// first path comes first. Derived media count only among themselves.
pub fn exact_groups(catalog: &catalog::Catalog) -> Vec<Group> {
    let mut by_md5: BTreeMap<(Md5, bool), Vec<Copy>> = BTreeMap::new();
    let same = catalog.same_md5().into_keys();
    for record in same.filter_map(|key| catalog.record(key)) {
        let Some(md5) = record.md5() else { continue };
        let is_derived = MediaKind::is_derived(record.kind());
        by_md5.entry((md5, is_derived)).or_default().push(Copy {
            key: record.key(),
            id: record.id(),
            path: record.path().into_owned(),
            bytes: record.bytes(),
        });
    }
    let mut groups: Vec<Group> = by_md5
        .into_iter()
        .filter(|(_, copies)| copies.len() > 1)
        .map(|((md5, _), mut copies)| {
            copies.sort_by(|a, b| a.path.cmp(&b.path));
            Group { md5, copies }
        })
        .collect();
    groups.sort_by(|a, b| a.copies[0].path.cmp(&b.copies[0].path));
    groups
}

/// Keeps the first of each group. For every other one: compares the bytes (the md5
/// in a sidecar is a claim until then), merges its tags, URLs and sources into the
/// one that stays, and moves it to the trash. `on` hears (done, total) groups.
pub fn remove(
    library: &Library,
    store: &CatalogStore,
    groups: &[Group],
    now: i64,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> RemovalReport {
    let mut report = RemovalReport::default();
    for (done, group) in groups.iter().enumerate() {
        if on(done, groups.len()).is_break() {
            return report;
        }
        let Some((keep, others)) = group.copies.split_first() else {
            continue;
        };
        let before = report.removed;
        let operation = library.operation(format!("remove duplicates of {}", keep.path));
        for copy in others {
            match remove_one(library, store, &operation, keep, copy, now) {
                Ok(()) => {
                    report.removed += 1;
                    report.saved_bytes += copy.bytes;
                }
                Err(reason) => report.failed.push((copy.path.clone(), reason)),
            }
        }
        library.finish(&operation);
        report.groups += usize::from(report.removed > before);
    }
    report
}

fn remove_one(
    library: &Library,
    store: &CatalogStore,
    operation: &Operation,
    keep: &Copy,
    copy: &Copy,
    now: i64,
) -> Result<(), String> {
    let paths = [&keep.path, &copy.path].map(|path| library.original_path(path));
    let same = same_bytes(&paths[0], &paths[1])
        .map_err(|error| format!("cannot compare it with {}: {error}", keep.path))?;
    if !same {
        return Err(format!(
            "its bytes differ from {}, whatever its sidecar says",
            keep.path
        ));
    }
    let media = library
        .read_sidecar(copy.key)
        .map_err(|error| error.chain())?
        .media;
    let written = library
        .merge_duplicate(operation, keep.key, &media, now)
        .map_err(|error| error.chain())?;
    let reason = format!("exact duplicate of {}", keep.path);
    for outcome in library.trash(operation, &[copy.key], &reason, Some(&keep.id), now) {
        outcome.map_err(|error| error.chain())?;
    }
    store.apply(&[
        catalog::Change::Upsert(written.entry),
        catalog::Change::Remove(copy.key),
    ]);
    Ok(())
}

/// Whether two files hold the same bytes.
fn same_bytes(a: &std::path::Path, b: &std::path::Path) -> std::io::Result<bool> {
    use std::io::Read;

    let (mut a, mut b) = (std::fs::File::open(a)?, std::fs::File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let mut buffers = [vec![0; 1 << 16], vec![0; 1 << 16]];
    loop {
        let read = a.read(&mut buffers[0])?;
        if read == 0 {
            return Ok(true);
        }
        let [left, right] = &mut buffers;
        if let Err(error) = b.read_exact(&mut right[..read]) {
            return match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Ok(false),
                _ => Err(error),
            };
        }
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
