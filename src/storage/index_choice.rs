//! Which index file a library uses: the usual one, or another place when that
//! one is newer, damaged, someone else's, or cannot be written.

use std::path::{Path, PathBuf};

use super::{
    error::Error,
    index::{Index, Refusal},
    layout::Layout,
    marks::Marks,
    requests::IndexState,
};

/// An index in use.
#[derive(Debug)]
pub(super) struct OpenIndex {
    pub index: Index,
    pub marks: Marks,
    /// Why the usual index is not used.
    refused: Option<String>,
}

impl OpenIndex {
    /// Opens the first index that can be used, and makes it if need be.
    pub(super) fn choose(layout: &Layout, id: &str) -> Result<Self, Error> {
        Self::among(&places(layout, id))
    }

    fn among(places: &[PathBuf]) -> Result<Self, Error> {
        let mut refused = None;
        let mut failed = None;
        let mut passed = Vec::new();
        for path in places {
            match Index::open(path) {
                Ok(index) => {
                    let marks = Marks::new(path, &passed);
                    return Ok(Self {
                        index,
                        marks,
                        refused,
                    });
                }
                Err(Refusal::Unusable(reason)) => {
                    refused.get_or_insert(reason);
                }
                Err(Refusal::NoAccess(error)) => failed = Some(error),
            }
            if path.exists() {
                passed.push(path.clone());
            }
        }
        Err(failed.unwrap_or_else(|| {
            let path = places
                .first()
                .map_or(Path::new("library.db"), PathBuf::as_path);
            Error::library(path, "cannot be used, nor any other index")
        }))
    }

    pub(super) fn state(&self) -> IndexState {
        if self.index.is_damaged() {
            return IndexState::Unusable("it is damaged".to_owned());
        }
        if !self.is_complete() {
            return match &self.refused {
                Some(reason) => IndexState::Unusable(reason.clone()),
                None => IndexState::Missing,
            };
        }
        if self.marks.is_empty() {
            IndexState::Ready
        } else {
            IndexState::Stale
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.index.setting("complete"), Ok(Some(value)) if value == "1")
    }
}

/// Where an index may be, the best place first.
fn places(layout: &Layout, id: &str) -> Vec<PathBuf> {
    let home = layout.home();
    let mut places = Vec::new();
    // SQLite's log needs shared memory, which other hosts do not share.
    if !is_on_network(&home) {
        places.extend(["library.db", "library.v1.db"].map(|name| home.join(name)));
    }
    if let Some(cache) = user_cache() {
        let folder = cache.join("tagloupe").join(id);
        places.extend(["library.db", "library.v1.db"].map(|name| folder.join(name)));
    }
    let name = format!("tagloupe-{id}-{}.db", std::process::id());
    places.push(std::env::temp_dir().join(name));
    places
}

/// Where what is kept only to be fast may lie, the best place first: other hosts do
/// not share the memory that SQLite needs.
pub(super) fn cache_folders(layout: &Layout, id: &str) -> Vec<PathBuf> {
    let own = (!is_on_network(&layout.home())).then(|| layout.cache());
    let of_user = user_cache().map(|cache| cache.join("tagloupe").join(id).join("cache"));
    own.into_iter().chain(of_user).collect()
}

fn user_cache() -> Option<PathBuf> {
    let variable = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))
}

#[cfg(target_os = "linux")]
fn is_on_network(folder: &Path) -> bool {
    /// NFS, SMB, SMB2, CIFS, 9p, Ceph, AFS.
    const NETWORK: [u32; 7] = [
        0x6969,
        0x517b,
        0xfe53_4d42,
        0xff53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
    ];
    let existing = folder.ancestors().find(|folder| folder.exists());
    let found = existing.and_then(|folder| rustix::fs::statfs(folder).ok());
    found.is_some_and(|found| {
        // The kernel's magic numbers have 32 bits, whatever the width of the field.
        u32::try_from(i128::from(found.f_type) & 0xffff_ffff)
            .is_ok_and(|magic| NETWORK.contains(&magic))
    })
}

#[cfg(not(target_os = "linux"))]
fn is_on_network(_folder: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_index_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("library.db");
        let other = dir.path().join("library.v1.db");
        let sqlite_of_others = {
            let path = dir.path().join("others.db");
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection
                .execute_batch("CREATE TABLE media (hash TEXT)")
                .unwrap();
            drop(connection);
            std::fs::read(path).unwrap()
        };
        for bytes in [
            b"this is not a database".to_vec(),
            vec![0; 4096],
            sqlite_of_others[..100].to_vec(),
            sqlite_of_others,
        ] {
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            std::fs::write(&usual, &bytes).unwrap();
            let open = OpenIndex::among(&[usual.clone(), other.clone()]).unwrap();
            assert!(matches!(open.state(), IndexState::Unusable(_)));
            open.index.complete().unwrap();
            assert_eq!(open.state(), IndexState::Ready);
            open.index
                .execute("UPDATE library_metadata SET value = '0' WHERE key = 'complete'")
                .unwrap();
            drop(open);
            assert_eq!(std::fs::read(&usual).unwrap(), bytes);
        }
    }

    #[test]
    fn a_newer_index_is_left_alone_and_an_empty_file_is_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("library.db");
        let other = dir.path().join("library.v1.db");
        std::fs::File::create(&usual).unwrap();
        let open = OpenIndex::among(&[usual.clone(), other.clone()]).unwrap();
        assert_eq!(open.state(), IndexState::Missing);
        drop(open);
        let connection = rusqlite::Connection::open(&usual).unwrap();
        connection
            .pragma_update(None, "user_version", 999_999)
            .unwrap();
        drop(connection);
        let before = std::fs::read(&usual).unwrap();
        let open = OpenIndex::among(&[usual.clone(), other]).unwrap();
        let IndexState::Unusable(reason) = open.state() else {
            panic!("{:?}", open.state());
        };
        assert!(reason.contains("newer"), "{reason}");
        drop(open);
        assert_eq!(std::fs::read(&usual).unwrap(), before);
    }

    #[test]
    fn a_trigger_of_a_stranger_makes_an_index_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("library.db");
        drop(OpenIndex::among(std::slice::from_ref(&usual)).unwrap());
        let connection = rusqlite::Connection::open(&usual).unwrap();
        connection
            .execute_batch(
                "CREATE TRIGGER evil AFTER INSERT ON medium BEGIN DELETE FROM medium; END",
            )
            .unwrap();
        drop(connection);
        let other = dir.path().join("other.db");
        let open = OpenIndex::among(&[usual, other]).unwrap();
        assert!(matches!(open.state(), IndexState::Unusable(_)));
    }

    #[test]
    fn a_damaged_index_is_found_out_and_not_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("library.db");
        let open = OpenIndex::among(std::slice::from_ref(&usual)).unwrap();
        drop(open);
        let mut bytes = std::fs::read(&usual).unwrap();
        // The first page holds the schema; every later one is overwritten.
        for page in bytes.chunks_mut(4096).skip(2) {
            page[..64].fill(0xa5);
        }
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&usual, &bytes).unwrap();
        let places = [usual.clone(), dir.path().join("other.db")];
        let open = OpenIndex::among(&places).unwrap();
        let failed = open.index.count().is_err() || open.index.places().is_err();
        assert!(failed || matches!(open.state(), IndexState::Unusable(_)));
        drop(open);
        let open = OpenIndex::among(&places).unwrap();
        assert!(open.index.count().is_ok());
        assert!(matches!(open.state(), IndexState::Unusable(_)));
    }
}
