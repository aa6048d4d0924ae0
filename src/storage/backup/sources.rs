//! What of a library is backed up: everything but what can be made again (index,
//! cache), what this host alone notes (marks, views), locks, and temporary files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::storage::{
    files::{self, Stat},
    ignore_rules::IgnoreRules,
    layout::{HIDDEN_HOME, Layout, LayoutKind},
    path_text::encode,
    scan::is_nested_library,
    state::is_state,
};

/// Folders of ours that are made again.
const MADE_AGAIN: [&str; 2] = ["cache", "locks"];

/// A file to back up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Library-relative.
    pub path: String,
    pub stat: Stat,
}

/// The files of a library.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// In order of their paths.
    pub files: Vec<Source>,
    /// What could not be examined: nothing is known of what is there.
    pub errors: Vec<(PathBuf, String)>,
}

impl Sources {
    /// Whether a path lies where something could not be examined.
    pub(super) fn is_unknown(&self, path: &Path) -> bool {
        self.errors
            .iter()
            .any(|(unknown, _)| path.starts_with(unknown))
    }
}

/// Lists everything that is backed up. Links are not followed, but for the folders of
/// the library itself, which may be on another disk.
pub(super) fn list(layout: &Layout) -> Sources {
    let rules = match layout.kind() {
        LayoutKind::InPlace => IgnoreRules::read(layout.root()),
        LayoutKind::Bucketed | LayoutKind::Flat => IgnoreRules::default(),
    };
    let home = layout.home();
    let mut sources = Sources::default();
    let mut folders = vec![layout.root().to_owned()];
    while let Some(folder) = folders.pop() {
        let is_home = folder == home;
        let is_ours = folder.starts_with(&home);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                sources.errors.push((folder, error.to_string()));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    sources.errors.push((folder.clone(), error.to_string()));
                    break;
                }
            };
            let (path, name) = (entry.path(), encode(&entry.file_name()));
            let Some(text) = layout.relative(&path) else {
                continue;
            };
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) => {
                    sources.errors.push((path, error.to_string()));
                    continue;
                }
            };
            // What the rules of an in-place library leave alone is none of its own.
            let is_ignored = layout.kind() == LayoutKind::InPlace
                && !is_ours
                && rules.ignores(&text, kind.is_dir());
            let leads_away = kind.is_symlink() && layout.own_folders().contains(&path);
            if leads_away && let Err(error) = fs::read_dir(&path) {
                sources.errors.push((path, error.to_string()));
                continue;
            }
            if kind.is_dir() || leads_away {
                let is_hidden = name.starts_with('.') && path != home;
                let is_made_again = is_home && MADE_AGAIN.contains(&name.as_str());
                let is_foreign = name != HIDDEN_HOME && is_nested_library(&path);
                if !(is_hidden || is_made_again || is_ignored || is_foreign) {
                    folders.push(path);
                }
                continue;
            }
            let is_made_again =
                files::is_leftover(&name) || is_home && (is_index(&name) || is_state(&name));
            if kind.is_file() && !is_ignored && !is_made_again {
                match files::stat(&path) {
                    Ok(Some(stat)) => sources.files.push(Source { path: text, stat }),
                    Ok(None) => {}
                    Err(error) => sources.errors.push((path, error.chain())),
                }
            }
        }
    }
    sources.files.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The index, and what SQLite and we keep beside it.
fn is_index(name: &str) -> bool {
    ["library.db", "library.v1.db"]
        .iter()
        .any(|index| name.starts_with(index))
}
