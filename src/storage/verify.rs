//! Whether files, sidecars and index agree. Reads everything, changes nothing.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use super::{
    error::Error,
    files,
    index::{Index, Place},
    parallel,
    requests::{Finding, VerifyProgress, VerifyReport},
    scan::{self, Found},
    shelf::{Shelf, Spot},
};
use crate::model::{entry::Entry, media::Media, sidecar::Sidecar};

/// Media between two calls of the listener.
const STEP: usize = 100;
/// Relations that may name media which are gone: that is what they are for.
const LOOSE_RELATIONS: [&str; 2] = ["duplicates", "not_duplicate"];

pub(super) fn run(
    shelf: &Shelf,
    index: &Index,
    on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
) -> Result<VerifyReport, Error> {
    let mut report = VerifyReport::default();
    let scan = match scan::scan(&shelf.layout, &mut |found| {
        on(VerifyProgress {
            done: 0,
            total: count(found),
            findings: 0,
        })
    }) {
        Ok(scan) => scan,
        Err(Error::Cancelled) => {
            report.is_cancelled = true;
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let unreadable = scan.errors.into_iter();
    report
        .findings
        .extend(unreadable.map(|(path, reason)| Finding::Unreadable { path, reason }));
    let mut places = index.places()?;
    let paths: HashMap<String, String> = places
        .values()
        .filter_map(|place| Some((place.sidecar.clone()?, place.path.clone())))
        .collect();
    let ids: HashSet<String> = places
        .values()
        .map(|place| place.id.as_str().to_owned())
        .collect();
    let found: Vec<_> = scan
        .found
        .into_iter()
        .map(|found| {
            let mut place = places.remove(&found.spot.path);
            if place.is_none() && found.is_orphan {
                // A sidecar that lost its original is indexed under that one's path.
                let sidecar = found.spot.sidecars.first();
                let path = sidecar.and_then(|sidecar| paths.get(sidecar));
                place = path.and_then(|path| places.remove(path));
            }
            (found, place)
        })
        .collect();
    let gone = places.into_values();
    let gone: Vec<Place> = gone.collect();
    let total = count(found.len() + gone.len());
    for step in found.chunks(STEP) {
        let checks = parallel::map(step, |(found, place)| {
            check(shelf, index, &ids, found, place.as_ref())
        });
        for check in checks {
            report.findings.extend(check.findings);
            report.without_md5 += u64::from(check.is_without_md5);
            report.checked += 1;
        }
        let progress = VerifyProgress {
            done: report.checked,
            total,
            findings: count(report.findings.len()),
        };
        if on(progress).is_break() {
            report.is_cancelled = true;
            return Ok(report);
        }
    }
    for place in gone {
        report.checked += 1;
        report.findings.push(Finding::WrongRow {
            path: shelf.layout.root().join(&place.path),
            reason: "the index has a medium that is gone".to_owned(),
        });
    }
    Ok(report)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
    is_without_md5: bool,
}

fn check(
    shelf: &Shelf,
    index: &Index,
    ids: &HashSet<String>,
    found: &Found,
    place: Option<&Place>,
) -> Check {
    let mut check = Check::default();
    let spot = &found.spot;
    let path = shelf.layout.root().join(&spot.path);
    let mut loaded = match shelf.load(spot) {
        Ok(loaded) => loaded,
        Err(error) => {
            let reason = error.chain();
            check.findings.push(Finding::Unreadable { path, reason });
            return check;
        }
    };
    let is_stray =
        found.is_orphan && place.is_none() && !Sidecar::is_surely_own(&loaded.sidecar.document);
    if is_stray {
        return check;
    }
    if let Some(problem) = loaded.problem.take() {
        check.findings.push(Finding::BrokenSidecar {
            path: path.clone(),
            reason: problem.chain(),
        });
    }
    let media = &loaded.sidecar.media;
    if loaded.facts.is_missing {
        let path = path.clone();
        check.findings.push(Finding::MissingOriginal { path });
    } else {
        check_md5(shelf, spot, media, &mut check);
    }
    for (relation, ids_of_relation) in &media.related {
        let dangling = ids_of_relation
            .iter()
            .filter(|id| !LOOSE_RELATIONS.contains(&relation.as_str()) && !ids.contains(*id));
        for id in dangling {
            check.findings.push(Finding::DanglingRelation {
                path: path.clone(),
                relation: relation.clone(),
                id: id.clone(),
            });
        }
    }
    let reason = match place {
        None => Some("the index lacks this medium".to_owned()),
        Some(place) => match index.entry(place.key) {
            Ok(Some(entry)) => {
                let expected = Entry::new(place.key, place.id.clone(), &loaded.facts, media);
                difference(&entry, &expected)
            }
            Ok(None) => Some("the index lacks this medium".to_owned()),
            Err(error) => Some(error.chain()),
        },
    };
    if let Some(reason) = reason {
        check.findings.push(Finding::WrongRow { path, reason });
    }
    check
}

fn check_md5(shelf: &Shelf, spot: &Spot, media: &Media, check: &mut Check) {
    let Some(expected) = &media.hashes.md5 else {
        check.is_without_md5 = true;
        return;
    };
    let path = shelf.layout.root().join(&spot.path);
    let found = shelf
        .absolute(&spot.path)
        .and_then(|path| files::md5_of_file(&path, &mut || true));
    check.findings.extend(match found {
        Ok(Some(found)) if found.to_string().eq_ignore_ascii_case(expected) => None,
        Ok(found) => Some(Finding::WrongBytes {
            path,
            expected: expected.clone(),
            found: found.map_or_else(String::new, |md5| md5.to_string()),
        }),
        Err(error) => Some(Finding::Unreadable {
            path,
            reason: error.chain(),
        }),
    });
}

/// What differs between a row and what its files say, in words.
fn difference(entry: &Entry, expected: &Entry) -> Option<String> {
    if entry == expected {
        return None;
    }
    let parts = [
        ("id", entry.id == expected.id),
        ("type", entry.kind == expected.kind),
        ("name", entry.name == expected.name),
        ("md5", entry.md5 == expected.md5),
        ("tags", entry.tags == expected.tags),
        (
            "size",
            (entry.bytes, entry.width, entry.height)
                == (expected.bytes, expected.width, expected.height),
        ),
        (
            "rating",
            (entry.rating, entry.stars, entry.fav)
                == (expected.rating, expected.stars, expected.fav),
        ),
        (
            "times",
            (entry.imported, entry.created, entry.modified)
                == (expected.imported, expected.created, expected.modified),
        ),
    ];
    let wrong: Vec<&str> = parts
        .iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| *name)
        .collect();
    let wrong = if wrong.is_empty() {
        "other facts".to_owned()
    } else {
        wrong.join(", ")
    };
    Some(format!("the index differs from the files in {wrong}"))
}
