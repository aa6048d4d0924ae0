//! Large values as files of their own, each written once under a name that is never
//! used again.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::Value;

const FOLDER: &str = "values";
const TEMPORARY: &str = ".tmp";
/// A file that is younger may belong to an entry that is being written.
const GRACE_SECONDS: i64 = 3_600;
/// Where earlier versions kept each entry as a file.
const FORMER: [&str; 3] = ["thumbnails", "lowres", "payloads"];

/// The files of a cache.
pub struct Files {
    cache: PathBuf,
}

impl Files {
    pub fn new(cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
        }
    }

    /// Writes a value and returns the name of its file.
    pub fn write(&self, value: &[u8]) -> io::Result<String> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = self.path(&name);
        let folder = path.parent().unwrap_or(&self.cache);
        fs::create_dir_all(folder)?;
        let mut temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(folder)?;
        temporary.write_all(value)?;
        temporary.persist(path)?;
        Ok(name)
    }

    /// `None` when it is gone.
    pub fn read(&self, name: &str) -> Option<Value> {
        fs::read(self.path(name)).ok().map(Value::from)
    }

    /// Whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("cannot remove {}: {error}", path.display());
                }
                false
            }
        }
    }

    /// The names of the files that have been there for a while, as a start finds
    /// them. Removes what earlier versions left.
    pub fn old_ones(&self, now: i64) -> Vec<String> {
        for former in FORMER {
            let folder = self.cache.join(former);
            if folder.is_dir()
                && let Err(error) = fs::remove_dir_all(&folder)
            {
                tracing::warn!("cannot remove {}: {error}", folder.display());
            }
        }
        let mut names = Vec::new();
        for folder in fs::read_dir(self.cache.join(FOLDER))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let is_old = file
                    .metadata()
                    .is_ok_and(|metadata| metadata.mtime() < now - GRACE_SECONDS);
                let Ok(name) = file.file_name().into_string() else {
                    continue;
                };
                if !is_old {
                    continue;
                }
                if name.starts_with(TEMPORARY) {
                    // A failure leaves it to the next start.
                    let _ = fs::remove_file(file.path());
                } else {
                    names.push(name);
                }
            }
        }
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        let bucket = name.get(..2).unwrap_or("00");
        self.cache.join(FOLDER).join(bucket).join(name)
    }
}
