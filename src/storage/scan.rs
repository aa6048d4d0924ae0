//! Finding every medium of a library in its folders, and giving each its id.
//!
//! Links are not followed; hidden files and folders, nested libraries and what
//! `.tagloupeignore` names are left alone. The scan lists names and reads nothing.

use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::Error,
    files,
    ignore_rules::IgnoreRules,
    layout::{HIDDEN_HOME, LIBRARY_FILE, Layout, LayoutKind},
    path_text::{decode, encode},
    scan_list::{FoundMedia, Spots},
    shelf::{Spot, is_original, stem},
};

/// Leftovers younger than this may be files that another process is writing now.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);
/// Folders below one another in the trash: `ab/cd`.
const TRASH_DEPTH: usize = 2;

/// Everything in the folders of a library.
#[derive(Debug)]
pub(super) struct Scan {
    pub found: FoundMedia,
    /// Temporary files of ours.
    pub leftovers: Vec<PathBuf>,
    /// Links to folders and pictures, which are not followed.
    pub links: Vec<PathBuf>,
    /// Folders that could not be listed.
    pub errors: Vec<(PathBuf, String)>,
}

/// Lists the whole library; `on` hears how many media were found so far.
pub(super) fn scan(
    layout: &Layout,
    on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Scan, Error> {
    let rules = match layout.kind() {
        LayoutKind::InPlace => IgnoreRules::read(layout.root()),
        LayoutKind::Bucketed | LayoutKind::Flat => IgnoreRules::default(),
    };
    let (mut leftovers, mut links, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let mut spots = Spots::default();
    let walked = walk(layout, &rules, layout.images(), &mut |folder, listing| {
        match listing {
            Ok(listing) => {
                let place = |name: &String| folder.join(decode(name));
                leftovers.extend(listing.leftovers.iter().map(place));
                links.extend(listing.links.iter().map(place));
                listing.spots(&mut spots);
            }
            Err(error) => errors.push((folder.to_owned(), error.to_string())),
        }
        on(spots.len())
    });
    if walked.is_break() {
        return Err(Error::Cancelled);
    }
    Ok(Scan {
        found: spots.with_ids(layout),
        leftovers,
        links,
        errors,
    })
}

/// Hears of a folder and what is in it.
type Listed<'a> = dyn FnMut(&Path, Result<Listing, Error>) -> ControlFlow<()> + 'a;

/// Lists a folder and those below it, but for other libraries; `on` gets each of them
/// and may stop it.
fn walk(
    layout: &Layout,
    rules: &IgnoreRules,
    top: PathBuf,
    on: &mut Listed<'_>,
) -> ControlFlow<()> {
    let mut folders = vec![top];
    let mut is_top = true;
    while let Some(folder) = folders.pop() {
        let listing = Listing::read(layout, rules, &folder);
        let is_top = std::mem::take(&mut is_top);
        if let Ok(listing) = &listing {
            // What a folder holds says cheaply that it is no library, as nearly all are.
            if !is_top && listing.may_be_library && is_nested_library(&folder) {
                continue;
            }
            let names = listing.folders.iter().rev();
            folders.extend(names.map(|name| folder.join(decode(name))));
        }
        on(&folder, listing)?;
    }
    ControlFlow::Continue(())
}

/// Removes temporary files that a crash left behind; returns how many.
pub(super) fn sweep(layout: &Layout, leftovers: &[PathBuf]) -> usize {
    let old = old_leftovers(layout, leftovers);
    old.iter()
        .filter(|path| fs::remove_file(path).is_ok())
        .count()
}

/// Temporary files in the folders that a scan leaves out.
pub(super) fn leftovers_elsewhere(layout: &Layout) -> Vec<PathBuf> {
    let mut folders = vec![
        (layout.home(), 0),
        (layout.deleted(), TRASH_DEPTH),
        (layout.quarantine(), TRASH_DEPTH),
        (layout.projects(), 0),
    ];
    let mut leftovers = Vec::new();
    while let Some((folder, depth)) = folders.pop() {
        // One that is not there or cannot be listed has nothing to sweep.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && depth > 0 {
                folders.push((entry.path(), depth - 1));
            } else if !is_folder && files::is_leftover(&encode(&entry.file_name())) {
                leftovers.push(entry.path());
            }
        }
    }
    leftovers
}

/// Those temporary files that nobody is writing any more. What is old is judged by
/// the clock of the file system itself, so that a host with a wrong clock does no
/// harm.
pub(super) fn old_leftovers(layout: &Layout, leftovers: &[PathBuf]) -> Vec<PathBuf> {
    let now = || {
        let probe = tempfile::NamedTempFile::new_in(layout.locks()).ok()?;
        probe.as_file().metadata().ok()?.modified().ok()
    };
    if leftovers.is_empty() {
        return Vec::new();
    }
    let Some(now) = now() else {
        return Vec::new();
    };
    let is_old = |path: &&PathBuf| {
        let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| {
            now.duration_since(modified)
                .is_ok_and(|age| age > LEFTOVER_AGE)
        })
    };
    leftovers.iter().filter(is_old).cloned().collect()
}

/// Originals in and below a folder that is no library, counted up to a limit.
pub(super) fn count_originals(folder: &Path, limit: usize) -> usize {
    let layout = Layout::new(folder.to_owned(), LayoutKind::InPlace);
    let rules = IgnoreRules::default();
    let mut count = 0;
    let _ = walk(&layout, &rules, folder.to_owned(), &mut |_, listing| {
        count += listing.map_or(0, |listing| listing.originals.len());
        if count < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    count.min(limit)
}

/// The `.txt` files beside originals, at most `limit` of them.
pub(super) fn some_captions(folder: &Path, limit: usize) -> Vec<PathBuf> {
    let layout = Layout::new(folder.to_owned(), LayoutKind::InPlace);
    let rules = IgnoreRules::read(folder);
    let mut captions = Vec::new();
    let _ = walk(
        &layout,
        &rules,
        folder.to_owned(),
        &mut |folder, listing| {
            for original in listing.iter().flat_map(|listing| &listing.originals) {
                let caption = folder.join(decode(&format!("{}.txt", stem(original))));
                if caption.is_file() {
                    captions.push(caption);
                }
                if captions.len() >= limit {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        },
    );
    captions
}

/// The names in one folder, as text.
struct Listing {
    /// Library-relative, with a `/` at the end unless it is the root.
    prefix: String,
    /// In order, as are the others.
    originals: Vec<String>,
    json: Vec<String>,
    folders: Vec<String>,
    leftovers: Vec<String>,
    links: Vec<String>,
    /// Something in it has a name that a library has.
    may_be_library: bool,
}

impl Listing {
    fn read(layout: &Layout, rules: &IgnoreRules, folder: &Path) -> Result<Self, Error> {
        let prefix = layout
            .relative(folder)
            .map_or_else(String::new, |path| path + "/");
        let mut listing = Self {
            prefix,
            originals: Vec::new(),
            json: Vec::new(),
            folders: Vec::new(),
            leftovers: Vec::new(),
            links: Vec::new(),
            may_be_library: false,
        };
        let failed = || Error::file("list", folder);
        for entry in fs::read_dir(folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let kind = entry.file_type().map_err(failed())?;
            let name = encode(&entry.file_name());
            listing.may_be_library |= [HIDDEN_HOME, LIBRARY_FILE].contains(&name.as_str());
            if name.starts_with('.') {
                if kind.is_file() && files::is_leftover(&name) {
                    listing.leftovers.push(name);
                }
                continue;
            }
            let is_ignored = |is_folder| {
                !rules.is_empty() && rules.ignores(&format!("{}{name}", listing.prefix), is_folder)
            };
            if kind.is_symlink() {
                let is_folder = entry.path().is_dir();
                if (is_folder || is_original(&name)) && !is_ignored(is_folder) {
                    listing.links.push(name);
                }
            } else if kind.is_dir() {
                if !is_ignored(true) {
                    listing.folders.push(name);
                }
            } else if kind.is_file() {
                if is_original(&name) {
                    if !is_ignored(false) {
                        listing.originals.push(name);
                    }
                } else if has_extension(&name, "json") && name != LIBRARY_FILE {
                    listing.json.push(name);
                }
            }
        }
        listing.originals.sort_unstable();
        listing.json.sort_unstable();
        listing.folders.sort_unstable();
        Ok(listing)
    }

    /// Adds the media of this folder, each with the sidecars that exist for it.
    fn spots(&self, spots: &mut Spots) {
        let mut by_stem: HashMap<&str, Vec<String>> = HashMap::with_capacity(self.originals.len());
        for name in &self.originals {
            by_stem.entry(stem(name)).or_default().push(name.clone());
        }
        let place = |names: &[String], name: &str| {
            names
                .binary_search_by(|other| other.as_str().cmp(name))
                .ok()
        };
        let mut is_taken = vec![false; self.json.len()];
        for name in &self.originals {
            let siblings = by_stem.get(stem(name)).map_or(&[][..], Vec::as_slice);
            let is_name_of_another = place(&self.originals, stem(name)).is_some();
            let spot = Spot::new(name, siblings, is_name_of_another);
            let has_sidecar = spot.sidecars.iter().map(|sidecar| {
                let place = place(&self.json, sidecar);
                let is_taken = place.and_then(|place| is_taken.get_mut(place));
                is_taken.is_some_and(|is_taken| !std::mem::replace(is_taken, true))
            });
            spots.push(&self.prefix, name, has_sidecar, spot.shares_stem);
        }
        for (sidecar, is_taken) in self.json.iter().zip(is_taken) {
            if !is_taken {
                spots.push_orphan(&self.prefix, sidecar);
            }
        }
    }
}

fn has_extension(name: &str, wanted: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case(wanted))
}

pub(super) fn is_nested_library(folder: &Path) -> bool {
    folder.join(HIDDEN_HOME).is_dir() || super::library_file::find(folder).is_some()
}

/// The id of a medium that shares its name with no other.
pub(super) fn short_id<'p>(layout: &Layout, path: &'p str) -> &'p str {
    long_form(layout, stem(path))
}

/// The id of one that does.
pub(super) fn long_id<'p>(layout: &Layout, path: &'p str) -> &'p str {
    long_form(layout, path)
}

fn long_form<'a>(layout: &Layout, path: &'a str) -> &'a str {
    match layout.kind() {
        LayoutKind::InPlace => path,
        LayoutKind::Bucketed | LayoutKind::Flat => path.rsplit('/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn library(kind: LayoutKind, names: &[&str]) -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        let layout = Layout::new(dir.path().to_owned(), kind);
        (dir, layout)
    }

    fn ids(layout: &Layout) -> Vec<String> {
        let scan = scan(layout, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(scan.errors, []);
        let found = scan.found.iter();
        found
            .map(|found| {
                let sidecars = found.spot.sidecars.join(" ");
                format!("{} {} [{sidecars}]", found.id, found.spot.path)
            })
            .collect()
    }

    #[test]
    fn links_to_pictures_and_folders_are_counted_and_not_followed() {
        let (dir, layout) = library(LayoutKind::InPlace, &["a.png", "folder/b.png", "notes.md"]);
        for (target, link) in [
            ("a.png", "c.png"),
            ("folder", "d"),
            ("nowhere.png", "e.png"),
            ("notes.md", "f.md"),
        ] {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        let scan = scan(&layout, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(scan.found.len(), 2);
        let links = ["c.png", "d", "e.png"].map(|name| dir.path().join(name));
        assert_eq!(BTreeSet::from_iter(scan.links), BTreeSet::from(links));
    }

    #[test]
    fn managed_ids_are_stems_unless_these_clash() {
        let (_dir, layout) = library(
            LayoutKind::Bucketed,
            &[
                "images/aa/bb/one.png",
                "images/aa/bb/one.json",
                "images/aa/cc/x.jpg",
                "images/aa/cc/x.png",
                "images/aa/cc/x.json",
                "images/aa/cc/x.png.json",
                "images/b/same.png",
                "images/c/same.png",
                "images/orphan.json",
                "images/aa/notes.md",
                "other/z.png",
            ],
        );
        assert_eq!(
            ids(&layout),
            [
                "one images/aa/bb/one.png [images/aa/bb/one.json]",
                "x.jpg images/aa/cc/x.jpg [images/aa/cc/x.json]",
                "x.png images/aa/cc/x.png [images/aa/cc/x.png.json]",
                "images/b/same.png images/b/same.png []",
                "images/c/same.png images/c/same.png []",
                "orphan images/orphan [images/orphan.json]",
            ]
        );
    }

    #[test]
    fn in_place_ids_are_paths_and_strangers_are_left_alone() {
        let (dir, layout) = library(
            LayoutKind::InPlace,
            &[
                "2024/a.jpg",
                "2024/a.png",
                "2025/a.png",
                ".git/x.png",
                ".tagloupe/deleted/x.png",
                "nested/.tagloupe/library.json",
                "nested/y.png",
                "skip/z.png",
                ".tagloupe-abc.tmp",
                "empty",
            ],
        );
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(dir.path().join(".tagloupeignore"), "skip/\n").unwrap();
        assert_eq!(
            ids(&layout),
            [
                "2024/a.jpg 2024/a.jpg []",
                "2024/a.png 2024/a.png []",
                "2025/a 2025/a.png []",
            ]
        );
        assert_eq!(count_originals(dir.path(), 100), 4);
        assert_eq!(count_originals(dir.path(), 2), 2);
    }

    #[test]
    fn leftovers_are_swept_when_they_are_old() {
        let (dir, layout) = library(
            LayoutKind::Flat,
            &["images/.tagloupe-new.tmp", "images/.tagloupe-old.tmp"],
        );
        fs::create_dir_all(layout.locks()).unwrap();
        let old = dir.path().join("images/.tagloupe-old.tmp");
        let file = fs::File::options().write(true).open(&old).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let scan = scan(&layout, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(scan.leftovers.len(), 2);
        assert_eq!(sweep(&layout, &scan.leftovers), 1);
        assert!(!old.exists());
    }
}
