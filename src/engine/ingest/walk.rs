//! The files below a folder, found while they are asked for: a million paths are
//! never held at once, only the folders on the way down.

use std::{
    ffi::OsStr,
    fs::{self, ReadDir},
    path::{Path, PathBuf},
};

use crate::engine::companion::is_companion_name;

/// Endings under which programs write what they have not finished.
const UNFINISHED: [&str; 13] = [
    ".part",
    ".partial",
    ".crdownload",
    ".filepart",
    ".download",
    ".opdownload",
    ".tmp",
    ".temp",
    ".swp",
    ".aria2",
    ".!qb",
    ".!ut",
    "~",
];

/// Whether a walk and a watcher leave a file or folder of this name alone: hidden
/// (as are the temporary files of rsync and of our own writes), or not finished.
pub fn is_skipped_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    name.starts_with('.') || UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

/// Walks a folder depth first. Hidden, temporary and companion names are skipped,
/// symbolic links are not followed, and a library inside is left alone.
#[derive(Debug)]
pub struct Walk {
    start: Option<PathBuf>,
    open: Vec<ReadDir>,
    /// Folders that could not be read, with the reason.
    pub errors: Vec<(PathBuf, String)>,
}

impl Walk {
    /// The folder itself may be anything the caller asks for; the rules are for
    /// what lies below.
    pub fn new(folder: &Path) -> Self {
        Self {
            start: Some(folder.to_owned()),
            open: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn enter(&mut self, folder: PathBuf) {
        match fs::read_dir(&folder) {
            Ok(entries) => self.open.push(entries),
            Err(error) => self.errors.push((folder, error.to_string())),
        }
    }
}

impl Iterator for Walk {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        if let Some(start) = self.start.take() {
            self.enter(start);
        }
        loop {
            let Some(entry) = self.open.last_mut()?.next() else {
                self.open.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if is_skipped_name(&name) {
                continue;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                let folder = entry.path();
                if !is_library(&folder) {
                    self.enter(folder);
                }
            } else if kind.is_file() && !is_companion_name(&name) {
                return Some(entry.path());
            }
        }
    }
}

fn is_library(folder: &Path) -> bool {
    folder.join("library.json").is_file() || folder.join(".tagloupe").is_dir()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn hidden_unfinished_linked_and_companion_files_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("sub/deeper")).unwrap();
        fs::create_dir(root.join(".hidden")).unwrap();
        for name in [
            "a.png",
            "sub/b.jpg",
            "sub/deeper/c.webp",
            ".hidden/d.png",
            ".x.png.Ab12Cd",
            "e.png.part",
            "f.crdownload",
            "g.FILEPART",
            "h.png.json",
            "h.txt",
            "i.png~",
        ] {
            File::create(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("a.png"), root.join("link.png")).unwrap();
        std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
        let mut found: Vec<PathBuf> = Walk::new(root).collect();
        found.sort();
        let expected = ["a.png", "sub/b.jpg", "sub/deeper/c.webp"];
        assert_eq!(found, expected.map(|name| root.join(name)));
    }

    #[test]
    fn a_library_inside_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        fs::create_dir(&library).unwrap();
        File::create(library.join("library.json")).unwrap();
        File::create(library.join("a.png")).unwrap();
        assert_eq!(Walk::new(dir.path()).count(), 0);
        assert_eq!(Walk::new(&library).count(), 1, "asked for by name");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_not_an_end() {
        let mut walk = Walk::new(Path::new("/nonexistent/folder"));
        assert_eq!(walk.next(), None);
        assert_eq!(walk.errors.len(), 1);
    }
}
