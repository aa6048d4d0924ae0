//! Whether files, sidecars, captions, projects, trash and index agree. Reads
//! everything; changes nothing unless it is asked to repair.
//!
//! Goes on where an earlier run was interrupted. Media with which something was
//! wrong are looked at again, so that a report is never shorter than it should be.

mod cursor;
mod others;
mod repair;

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
    path::Path,
};

use super::{
    desk::Desk,
    error::Error,
    files,
    findings::{Finding, Repair, Repaired, VerifyProgress, VerifyReport, VerifySettings},
    index::Place,
    journal, md5_lock, parallel, scan,
    scan_list::{Found, FoundMedia},
    shelf::{Loaded, tags_of},
};
use crate::model::{
    entry::{Entry, Facets},
    id::MediaId,
    media::{Media, MediaKind},
    operation::Operation,
    sidecar::Sidecar,
};
use cursor::Cursor;
use repair::{Facts, Fix, spot_of};

/// Media between two calls of the listener.
const STEP: usize = 100;
/// Relations that may name media which are gone: that is what they are for.
const LOOSE_RELATIONS: [&str; 2] = ["duplicates", "not_duplicate"];

/// A medium as the files have it, and its row.
type Checked = (Found, Option<Place>);

/// Something wrong, and how it is repaired where that is possible.
struct Flaw {
    finding: Finding,
    fix: Option<Fix>,
}

/// What was found out about one medium.
#[derive(Default)]
struct Check {
    flaws: Vec<Flaw>,
    /// What its sidecar lacks, which is no flaw.
    lacking: Facts,
    is_without_md5: bool,
}

impl Check {
    fn push(&mut self, finding: Finding, fix: Option<Fix>) {
        self.flaws.push(Flaw { finding, fix });
    }
}

pub(super) fn run(
    desk: Desk<'_>,
    settings: &VerifySettings,
    on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
) -> Result<VerifyReport, Error> {
    let shelf = desk.shelf;
    let lock = md5_lock::try_lock_file(&desk.index.companion("verifying"));
    let _only_one = lock.map_err(|error| match error {
        Error::Locked { .. } => {
            Error::library(shelf.layout.root(), "is being verified by another process")
        }
        error => error,
    })?;
    let operation = Operation {
        id: journal::new_id(),
        action: "repairs of a verification".to_owned(),
        group: None,
        inverts: None,
    };
    let report = look(desk, &operation, settings, on);
    desk.journal.done(operation.id)?;
    report
}

fn look(
    desk: Desk<'_>,
    operation: &Operation,
    settings: &VerifySettings,
    on: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
) -> Result<VerifyReport, Error> {
    let shelf = desk.shelf;
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
    let library = Known::read(desk)?;
    let (found, gone) = library.pair(&scan.found);
    let total = count(found.len() + gone.len());

    let mut cursor = Cursor::new(desk.index.companion("verify"));
    let earlier = cursor.read().filter(|_| !settings.restart);
    report.resumed_after = earlier.as_ref().map(|state| state.after.clone());
    let mut state = earlier.unwrap_or_default();
    let again: BTreeSet<String> = std::mem::take(&mut state.again).into_iter().collect();
    let (done, wanted): (Vec<Checked>, Vec<Checked>) = found.into_iter().partition(|(found, _)| {
        let path = &found.spot.path;
        *path <= state.after && !again.contains(path)
    });
    let skipped = count(done.len());
    for (at, step) in wanted.chunks(STEP).enumerate() {
        let checks = parallel::map(step, |checked| check(desk, &library, checked, settings));
        for (checked, check) in step.iter().zip(checks) {
            let path = &checked.0.spot.path;
            if check.flaws.is_empty() {
                state.sound += 1;
                state.without_md5 += u64::from(check.is_without_md5);
            } else {
                state.again.push(path.clone());
                report.without_md5 += u64::from(check.is_without_md5);
            }
            // The row is made from the sidecar: it comes after all else.
            let is_row = |flaw: &Flaw| matches!(flaw.fix, Some(Fix::Row));
            let (rows, flaws): (Vec<Flaw>, Vec<Flaw>) = check.flaws.into_iter().partition(is_row);
            for flaw in flaws {
                settle(desk, operation, flaw, Some(checked), settings, &mut report);
            }
            if !check.lacking.is_empty() {
                let fix = Fix::Facts(check.lacking);
                repair(desk, operation, &fix, Some(checked), settings, &mut report);
            }
            for flaw in rows {
                settle(desk, operation, flaw, Some(checked), settings, &mut report);
            }
            if *path > state.after {
                state.after.clone_from(path);
            }
        }
        cursor.note(&state);
        let progress = VerifyProgress {
            done: skipped + count((at + 1) * STEP).min(count(wanted.len())),
            total,
            findings: count(report.findings.len()),
        };
        if on(progress).is_break() {
            cursor.write(&state);
            report.checked = state.sound + count(state.again.len());
            report.without_md5 += state.without_md5;
            report.is_cancelled = true;
            return Ok(report);
        }
    }
    report.checked = state.sound + count(state.again.len() + gone.len());
    report.without_md5 += state.without_md5;
    for place in gone {
        let flaw = Flaw {
            finding: Finding::WrongRow {
                path: shelf.layout.root().join(&place.path),
                reason: "the index has a medium that is gone".to_owned(),
            },
            fix: Some(Fix::Forget(place.key)),
        };
        settle(desk, operation, flaw, None, settings, &mut report);
    }
    for flaw in others::check(shelf, scan.leftovers) {
        settle(desk, operation, flaw, None, settings, &mut report);
    }
    cursor.remove();
    Ok(report)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Repairs a flaw where that is wanted and possible; else it is a finding.
fn settle(
    desk: Desk<'_>,
    operation: &Operation,
    flaw: Flaw,
    checked: Option<&Checked>,
    settings: &VerifySettings,
    report: &mut VerifyReport,
) {
    let is_repaired = flaw
        .fix
        .is_some_and(|fix| repair(desk, operation, &fix, checked, settings, report));
    if !is_repaired {
        report.findings.push(flaw.finding);
    }
}

/// Whether the repair was made.
fn repair(
    desk: Desk<'_>,
    operation: &Operation,
    fix: &Fix,
    checked: Option<&Checked>,
    settings: &VerifySettings,
    report: &mut VerifyReport,
) -> bool {
    let outcome = match settings.repair {
        Repair::No => return false,
        Repair::Plan => Ok(()),
        Repair::Do => fix.perform(desk, operation, checked, settings),
    };
    let problem = outcome.err().map(|error| error.chain());
    let is_repaired = problem.is_none() && settings.repair == Repair::Do;
    let of = checked.map_or("", |(found, _)| &found.spot.path);
    report.repairs.push(Repaired {
        path: fix.path(&desk.shelf.layout, of),
        what: fix.words(),
        problem,
    });
    is_repaired
}

/// What the index knows, to be compared with what is there.
struct Known {
    by_id: HashMap<String, Place>,
    places: HashMap<String, Place>,
}

impl Known {
    fn read(desk: Desk<'_>) -> Result<Self, Error> {
        let places = desk.index.places()?;
        let by_id = places
            .values()
            .map(|place| (place.id.as_str().to_owned(), place.clone()))
            .collect();
        Ok(Self { by_id, places })
    }

    /// Each found medium with its row, and the rows of media that were not found.
    fn pair(&self, found: &FoundMedia) -> (Vec<Checked>, Vec<Place>) {
        let mut places = self.places.clone();
        let paths: HashMap<String, String> = places
            .values()
            .filter_map(|place| Some((place.sidecar.clone()?, place.path.clone())))
            .collect();
        let found = found
            .iter()
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
        (found, places.into_values().collect())
    }

    /// The medium that a relation names: by its id, or by its file's name.
    fn named(&self, name: &str) -> Option<&Place> {
        let by_id = self.by_id.get(name);
        by_id.or_else(|| self.by_id.get(super::shelf::stem(name)))
    }
}

fn check(
    desk: Desk<'_>,
    library: &Known,
    (found, place): &Checked,
    settings: &VerifySettings,
) -> Check {
    let mut check = Check::default();
    let shelf = desk.shelf;
    let spot = &found.spot;
    let path = shelf.layout.root().join(&spot.path);
    let mut loaded = match shelf.load(spot) {
        Ok(loaded) => loaded,
        Err(error) => {
            let reason = error.chain();
            check.push(Finding::Unreadable { path, reason }, None);
            return check;
        }
    };
    let is_stray =
        found.is_orphan && place.is_none() && !Sidecar::is_surely_own(&loaded.sidecar.document);
    if is_stray {
        return check;
    }
    if let Some(problem) = loaded.problem.take() {
        let reason = problem.chain();
        // One that cannot even be read may be sound.
        let fix = (loaded.sidecar_path.is_some() && place.is_some()).then_some(Fix::Remake);
        check.push(Finding::BrokenSidecar { path, reason }, fix);
        if loaded.facts.is_missing {
            let path = shelf.layout.root().join(&spot.path);
            check.push(Finding::MissingOriginal { path }, None);
        }
        // The row still knows what the sidecar said: it is not compared.
        return check;
    }
    if let Some(place) = place {
        check_memory(desk, place, &path, &mut loaded, &mut check);
    }
    if loaded.facts.is_missing {
        let path = path.clone();
        check.push(Finding::MissingOriginal { path }, None);
    } else {
        check_bytes(desk, &loaded, settings, &mut check);
        check_caption(desk, found, &loaded, &mut check);
    }
    let media = &loaded.sidecar.media;
    for (relation, ids) in &media.related {
        let dangling = ids.iter().filter(|id| {
            !LOOSE_RELATIONS.contains(&relation.as_str()) && library.named(id).is_none()
        });
        for id in dangling {
            let finding = Finding::DanglingRelation {
                path: path.clone(),
                relation: relation.clone(),
                id: id.clone(),
            };
            check.push(finding, None);
        }
    }
    let id = place.as_ref().map_or(&found.id, |place| &place.id);
    check_masks(desk, library, id, place.as_ref(), media, &mut check);
    let reason = match place {
        None => Some("the index lacks this medium".to_owned()),
        Some(place) => match desk.index.entry(place.key) {
            Ok(Some(entry)) => {
                let mut expected = Entry::new(place.key, place.id.clone(), &loaded.facts, media);
                // Where the sidecar names none it is that of the file.
                expected.md5 = expected.md5.or(entry.md5);
                let is_merged = entry.has.contains(Facets::MERGED);
                expected.has.set(Facets::MERGED, is_merged);
                difference(&entry, &expected)
            }
            Ok(None) => Some("the index lacks this medium".to_owned()),
            Err(error) => Some(error.chain()),
        },
    };
    if let Some(reason) = reason {
        check.push(Finding::WrongRow { path, reason }, Some(Fix::Row));
    }
    check
}

/// Compares a sidecar with the one that the index remembers: what another program
/// left out is put back in memory, and a sidecar that is gone is a flaw.
fn check_memory(
    desk: Desk<'_>,
    place: &Place,
    path: &Path,
    loaded: &mut Loaded,
    check: &mut Check,
) {
    let path = path.to_owned();
    if !loaded.facts.has_sidecar {
        if matches!(desk.index.base(place.key), Ok(Some(_))) {
            check.push(Finding::LostSidecar { path }, Some(Fix::Remake));
        }
        return;
    }
    match desk.recall(place, loaded) {
        Ok(recalled) if recalled.restored.is_some() => {
            check.push(Finding::LeftOut { path }, Some(Fix::GiveBack));
        }
        Ok(_) => {}
        Err(error) => {
            let reason = error.chain();
            check.push(Finding::WrongRow { path, reason }, None);
        }
    }
}

/// Compares the original's bytes with what the sidecar says of them, and finds out
/// what it does not say where that will be written down.
fn check_bytes(desk: Desk<'_>, loaded: &Loaded, settings: &VerifySettings, check: &mut Check) {
    let media = &loaded.sidecar.media;
    let facts = &loaded.facts;
    let path = desk.shelf.layout.root().join(&facts.path);
    check.is_without_md5 = media.hashes.md5.is_none();
    let writes = settings.repair != Repair::No && facts.has_sidecar;
    if media.hashes.md5.is_some() || writes {
        let found = desk
            .shelf
            .absolute(&facts.path)
            .and_then(|path| files::md5_of_file(&path, &mut || true));
        match (found, &media.hashes.md5) {
            (Ok(Some(found)), Some(expected))
                if !found.to_string().eq_ignore_ascii_case(expected) =>
            {
                let finding = Finding::WrongBytes {
                    path,
                    expected: expected.clone(),
                    found: found.to_string(),
                };
                check.push(finding, None);
                return;
            }
            (Ok(Some(found)), None) => check.lacking.md5 = Some(found),
            (Ok(_), _) => {}
            (Err(error), _) => {
                let reason = error.chain();
                check.push(Finding::Unreadable { path, reason }, None);
                return;
            }
        }
    }
    if !writes {
        return;
    }
    let is_locked = |field: &str| media.locked.iter().any(|locked| locked == field);
    if is_locked("hashes") {
        check.lacking.md5 = None;
    }
    if is_locked("metadata") {
        return;
    }
    if media.number("bytes") != Some(facts.bytes) {
        check.lacking.bytes = Some(facts.bytes);
    }
    if media.dimensions().is_none() {
        check.lacking.dimensions = (settings.dimensions)(&path);
    }
}

/// Compares a caption file with the sidecar that has words of its own.
fn check_caption(desk: Desk<'_>, found: &Found, loaded: &Loaded, check: &mut Check) {
    let Ok(Some((caption, text))) = desk.shelf.caption_file(&found.spot) else {
        return;
    };
    let media = &loaded.sidecar.media;
    let differs = if desk.shelf.identity.txt_is_tags {
        let names = |tags: &[crate::model::tag::Tag]| -> BTreeSet<String> {
            tags.iter().map(|tag| tag.name().value).collect()
        };
        super::shelf::is_tag_list(&text) && names(&tags_of(&text)) != names(&media.tags)
    } else {
        !media.caption.is_empty() && media.caption.trim_end() != text.trim_end()
    };
    if differs {
        let root = desk.shelf.layout.root();
        let finding = Finding::CaptionDiffers {
            path: root.join(&found.spot.path),
            caption: root.join(caption),
        };
        check.push(finding, None);
    }
}

/// A mask names its source, and the source its masks.
fn check_masks(
    desk: Desk<'_>,
    library: &Known,
    id: &MediaId,
    place: Option<&Place>,
    media: &Media,
    check: &mut Check,
) {
    let root = desk.shelf.layout.root();
    let read = |place: &Place| -> Option<Media> {
        let loaded = desk.shelf.load(&spot_of(place)).ok()?;
        loaded.problem.is_none().then_some(loaded.sidecar.media)
    };
    let is_named = |names: &[String], id: &MediaId| {
        names
            .iter()
            .any(|name| name == id.as_str() || super::shelf::stem(name) == id.as_str())
    };
    if media.kind == MediaKind::Mask
        && let Some(source) = media.origin().and_then(|origin| library.named(origin))
        && let Some(of_source) = read(source)
        && !is_named(of_source.related("masks"), id)
    {
        let finding = Finding::OneSidedRelation {
            path: root.join(&source.path),
            reason: format!("does not name its mask {id}"),
        };
        let fix = Fix::NameMask(Box::new(source.clone()), id.clone());
        check.push(finding, Some(fix));
    }
    let Some(own) = place else {
        return;
    };
    for mask in media.related("masks") {
        if let Some(mask) = library.named(mask)
            && let Some(of_mask) = read(mask)
            && of_mask.kind == MediaKind::Mask
        {
            let is_mutual = of_mask
                .origin()
                .and_then(|origin| library.named(origin))
                .is_some_and(|source| source.key == own.key);
            if is_mutual {
                continue;
            }
            let (reason, fix) = match of_mask.origin() {
                None => (
                    format!("does not name its source {id}"),
                    Some(Fix::NameSource(Box::new(mask.clone()), id.clone())),
                ),
                Some(other) => (format!("is named by {id}, but says it masks {other}"), None),
            };
            let path = root.join(&mask.path);
            check.push(Finding::OneSidedRelation { path, reason }, fix);
        }
    }
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
