//! Checks of what is not a medium: projects, the trash, temporary files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Fix, Flaw};
use crate::{
    model::{project::Project, sidecar::MAX_BYTES},
    storage::{
        error::Error, files, findings::Finding, path_text::encode, scan, shelf::Shelf, trash,
    },
};

/// Everything that is wrong with these, each with its repair.
pub(super) fn check(shelf: &Shelf, mut leftovers: Vec<PathBuf>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    projects(shelf, &mut flaws);
    match trash::list(shelf) {
        Ok(listing) => {
            leftovers.extend(listing.leftovers);
            flaws.extend(listing.bad_notes.into_iter().map(|(path, reason)| Flaw {
                finding: Finding::BadNote { path, reason },
                fix: None,
            }));
            flaws.extend(listing.empty_notes.into_iter().map(|path| Flaw {
                fix: Some(Fix::Remove(path.clone())),
                finding: Finding::BadNote {
                    path,
                    reason: "what it speaks of is not in the trash any more".to_owned(),
                },
            }));
            let unexplained = listing.unexplained.into_iter();
            flaws.extend(unexplained.map(|path| Flaw {
                finding: Finding::WithoutNote { path },
                fix: None,
            }));
        }
        Err(error) => flaws.push(unreadable(shelf.layout.deleted(), &error)),
    }
    let home = shelf.layout.home();
    for folder in [home, shelf.layout.projects(), shelf.layout.quarantine()] {
        leftovers.extend(leftovers_in(&folder));
    }
    let old = scan::old_leftovers(&shelf.layout, &leftovers);
    flaws.extend(old.into_iter().map(|path| Flaw {
        fix: Some(Fix::Remove(path.clone())),
        finding: Finding::Leftover { path },
    }));
    flaws
}

fn unreadable(path: PathBuf, error: &Error) -> Flaw {
    Flaw {
        finding: Finding::Unreadable {
            path,
            reason: error.chain(),
        },
        fix: None,
    }
}

fn leftovers_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| files::is_leftover(&encode(&entry.file_name())))
        .map(|entry| entry.path())
        .collect()
}

fn projects(shelf: &Shelf, flaws: &mut Vec<Flaw>) {
    let folder = shelf.layout.projects();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if files::is_absent(&error) => return,
        Err(error) => {
            flaws.push(unreadable(
                folder.clone(),
                &Error::file("list", &folder)(error),
            ));
            return;
        }
    };
    let mut found: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = files::read(&path, MAX_BYTES).map(|read| {
            read.and_then(|(bytes, _)| String::from_utf8(bytes).ok())
                .and_then(|text| Project::parse(&text))
        });
        match text {
            Ok(Some(project)) => {
                let members = project.items.into_iter().map(|item| item.path);
                found.insert(path, members.collect());
            }
            Ok(None) => flaws.push(Flaw {
                finding: Finding::BrokenProject {
                    path,
                    reason: "it is not a JSON object".to_owned(),
                },
                fix: None,
            }),
            Err(error) => flaws.push(unreadable(path, &error)),
        }
    }
    for (path, members) in found {
        let gone = members
            .into_iter()
            .filter(|member| !is_there(shelf, member));
        flaws.extend(gone.map(|member| Flaw {
            finding: Finding::DanglingMember {
                path: path.clone(),
                member,
            },
            fix: None,
        }));
    }
}

/// Whether a project's path leads to a file, from `images/` or from the root.
fn is_there(shelf: &Shelf, member: &str) -> bool {
    let below_images = shelf
        .layout
        .relative(&shelf.layout.images())
        .map(|images| format!("{images}/{member}"));
    [below_images.as_deref(), Some(member)]
        .into_iter()
        .flatten()
        .filter_map(|path| shelf.layout.resolve(path))
        .any(|path| matches!(files::stat(&path), Ok(Some(_))))
}
