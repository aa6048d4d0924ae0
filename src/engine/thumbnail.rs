//! Small copies of pictures below the library's cache folder, so that a picture is
//! decoded once and shown often. Safe to delete at any time.
//!
//! Invariant: an entry carries the key it was made for and a checksum; one that is
//! cut, changed, or of another version of the original is never shown. Everything
//! here blocks and may be called from any number of threads and processes.

mod entry;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::cache::glob::matches_glob;
use super::{decode::resize, event::PictureSize};
use crate::model::{
    entry::FileFacts,
    id::{Md5, MediaId},
    media::Pixels,
};

/// An entry is at most this large; a file beyond it is none of ours.
const MAX_ENTRY_BYTES: u64 = 16 << 20;
const EXTENSIONS: [&str; 2] = ["jpg", "png"];
/// Pictures as a terminal reads them lie beside those that any viewer shows.
const PAYLOADS: &str = "payloads";
const PAYLOAD_EXTENSION: &str = "payload";
/// The folder and the kind (as in keys) of each stored size.
const KINDS: [(PictureSize, &str, &str); 2] = [
    (PictureSize::Thumbnail, "thumbnails", "thumb"),
    (PictureSize::Preview, "lowres", "lowres"),
];

/// Which version of an original a picture was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub bytes: u64,
    /// Seconds since 1970.
    pub modified: i64,
}

impl From<&FileFacts> for Stamp {
    fn from(facts: &FileFacts) -> Self {
        Self {
            bytes: facts.bytes,
            modified: facts.modified,
        }
    }
}

impl Stamp {
    /// The stamp of a file as it is now.
    ///
    /// # Errors
    /// When the file is gone or hidden.
    pub fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(path)?;
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.mtime(),
        })
    }
}

/// What a store did since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub hits: u64,
    pub misses: u64,
    pub sets: u64,
    pub errors: u64,
    pub files: u64,
    pub bytes: u64,
}

/// The stored thumbnails and previews of one library.
#[derive(Debug)]
pub struct ThumbnailStore {
    cache: PathBuf,
    hits: AtomicU64,
    misses: AtomicU64,
    sets: AtomicU64,
    errors: AtomicU64,
}

/// One stored file.
struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl ThumbnailStore {
    /// A store below a library's cache folder. Creates nothing yet.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            sets: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// The stored picture of that version of the original, if there is one. A
    /// damaged one is deleted. [`PictureSize::Full`] is never stored.
    pub fn get(&self, id: &MediaId, size: PictureSize, stamp: impl Into<Stamp>) -> Option<Pixels> {
        let found = self.read(id, size, stamp.into());
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn read(&self, id: &MediaId, size: PictureSize, stamp: Stamp) -> Option<Pixels> {
        let key = key(id, size, stamp)?;
        for path in self.paths(id, size)? {
            let bytes = match read_entry(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.note("read", &path, &error);
                    continue;
                }
            };
            match entry::open(&bytes) {
                // Of an earlier version: the next put replaces it.
                Some((made_for, _)) if made_for != key => {}
                Some((_, picture)) => match entry::decode(picture, size.max_side()) {
                    Some(pixels) => return Some(pixels),
                    None => self.drop_damaged(&path),
                },
                None => self.drop_damaged(&path),
            }
        }
        None
    }

    fn drop_damaged(&self, path: &Path) {
        let damaged = io::Error::new(io::ErrorKind::InvalidData, "damaged, deleted");
        self.note("read", path, &damaged);
        self.remove(path);
    }

    /// Stores a picture, reduced to the size if it is larger. JPEG, or PNG for one
    /// that is not opaque. Storing [`PictureSize::Full`] does nothing.
    ///
    /// # Errors
    /// When the folder cannot be written; nothing half-written is left behind.
    pub fn put(
        &self,
        id: &MediaId,
        size: PictureSize,
        stamp: impl Into<Stamp>,
        pixels: &Pixels,
    ) -> io::Result<()> {
        let (Some(key), Some(paths)) = (key(id, size, stamp.into()), self.paths(id, size)) else {
            return Ok(());
        };
        let stored = self.write(&key, &paths, &resize(pixels, size.max_side()));
        match &stored {
            Ok(()) => {
                self.sets.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.note("write", &paths[0], error),
        }
        stored
    }

    fn write(&self, key: &str, paths: &[PathBuf; 2], pixels: &Pixels) -> io::Result<()> {
        let opaque = pixels.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
        let bytes = entry::seal(entry::encode(pixels, opaque)?, key);
        let (path, other) = if opaque {
            (&paths[0], &paths[1])
        } else {
            (&paths[1], &paths[0])
        };
        self.place(path, &bytes)?;
        self.remove(other);
        Ok(())
    }

    /// The bytes that were stored for that version of the original under a name of
    /// the caller's: what a screen of one kind is sent.
    pub fn payload(&self, id: &MediaId, name: &str, stamp: impl Into<Stamp>) -> Option<Vec<u8>> {
        let (path, key) = self.payload_place(id, name, stamp.into());
        let found = match read_entry(&path) {
            Ok(bytes) => {
                if let Some((made_for, payload)) = entry::open(&bytes) {
                    (made_for == key).then(|| payload.to_vec())
                } else {
                    self.drop_damaged(&path);
                    None
                }
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.note("read", &path, &error);
                }
                None
            }
        };
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Stores bytes for [`Self::payload`].
    ///
    /// # Errors
    /// When the folder cannot be written; nothing half-written is left behind.
    pub fn put_payload(
        &self,
        id: &MediaId,
        name: &str,
        stamp: impl Into<Stamp>,
        payload: Vec<u8>,
    ) -> io::Result<()> {
        let (path, key) = self.payload_place(id, name, stamp.into());
        let stored = self.place(&path, &entry::seal(payload, &key));
        match &stored {
            Ok(()) => {
                self.sets.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.note("write", &path, error),
        }
        stored
    }

    /// Where a payload lies, and the key it carries.
    fn payload_place(&self, id: &MediaId, name: &str, stamp: Stamp) -> (PathBuf, String) {
        let (md5, kind) = (Md5(md5::compute(id.as_str()).0), md5::compute(name));
        let file = format!("{md5}-{kind:x}.{PAYLOAD_EXTENSION}");
        let path = self.cache.join(PAYLOADS).join(md5.bucket()).join(file);
        let key = format!("payload:{id}:{}-{}:{name}", stamp.bytes, stamp.modified);
        (path, key)
    }

    /// Writes an entry all at once.
    fn place(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.cache);
        fs::create_dir_all(folder)?;
        let mut temporary = tempfile::Builder::new()
            .prefix(".tmp")
            .tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.persist(path)?;
        Ok(())
    }

    /// Makes the preview and from it the thumbnail, stores the thumbnail, and
    /// returns the preview. That the thumbnail could not be stored is logged only.
    ///
    /// A preview is worth its encoding when somebody looks at it; [`put`](Self::put)
    /// stores it then.
    pub fn make(&self, id: &MediaId, stamp: impl Into<Stamp>, pixels: &Pixels) -> Pixels {
        let preview = resize(pixels, PictureSize::Preview.max_side());
        // A failure is counted and logged by put itself.
        let _logged = self.put(id, PictureSize::Thumbnail, stamp, &preview);
        preview
    }

    /// Counters, and what lies on the disk now.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            sets: self.sets.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            ..Stats::default()
        };
        for (folder, _) in folders() {
            self.walk(folder, &mut |found| {
                stats.files += 1;
                stats.bytes += found.bytes;
            });
        }
        stats
    }

    /// Deletes the entries whose key matches, and returns how many. Keys are
    /// `thumb:{id}:{bytes}-{modified}`, `lowres:{id}:…` and `payload:{id}:…`; in the pattern `*` stands
    /// for any text, `?` for one character, and `\` takes the next one literally.
    pub fn clear(&self, pattern: &str) -> u64 {
        let mut cleared = 0;
        for (folder, kind) in folders() {
            let everything = pattern == "*" || pattern == format!("{kind}:*");
            let literal = pattern.split(['*', '?', '\\']).next().unwrap_or("");
            let prefix = format!("{kind}:");
            if !prefix.starts_with(literal) && !literal.starts_with(&prefix) {
                continue;
            }
            self.walk(folder, &mut |found| {
                let matches = everything
                    || read_entry(&found.path).is_ok_and(|bytes| {
                        entry::open(&bytes).is_some_and(|(key, _)| matches_glob(pattern, key))
                    });
                if matches && self.remove(&found.path) {
                    cleared += 1;
                }
            });
        }
        cleared
    }

    /// Deletes what was not looked at for longest until at most so many bytes are
    /// left, and returns how many files that took. As exact as the file system
    /// remembers reading: to the day, commonly.
    pub fn trim(&self, max_bytes: u64) -> u64 {
        let mut all = Vec::new();
        for (folder, _) in folders() {
            self.walk(folder, &mut |found| all.push(found));
        }
        let mut bytes: u64 = all.iter().map(|found| found.bytes).sum();
        all.sort_by_key(|found| found.used);
        let mut trimmed = 0;
        for found in all {
            if bytes <= max_bytes {
                break;
            }
            if self.remove(&found.path) {
                bytes -= found.bytes;
                trimmed += 1;
            }
        }
        trimmed
    }

    /// Entries of media that are none of these, with their bytes.
    pub fn strays<'i>(&self, ids: impl Iterator<Item = &'i MediaId>) -> Vec<(PathBuf, u64)> {
        let known: HashSet<String> = ids.map(name).collect();
        let mut strays = Vec::new();
        for (folder, _) in folders() {
            self.walk(folder, &mut |found| {
                let stem = found.path.file_stem().and_then(|stem| stem.to_str());
                let stem = stem.and_then(|stem| stem.split('-').next());
                if stem.is_none_or(|stem| !known.contains(stem)) {
                    strays.push((found.path, found.bytes));
                }
            });
        }
        strays
    }

    /// Deletes what [`Self::strays`] found; returns how many are gone.
    pub fn remove_strays(&self, strays: &[(PathBuf, u64)]) -> usize {
        let gone = strays.iter().filter(|(path, _)| self.remove(path));
        gone.count()
    }

    /// Deletes the entries of a medium that is gone for good.
    pub fn forget(&self, id: &MediaId) {
        for (size, _, _) in KINDS {
            for path in self.paths(id, size).into_iter().flatten() {
                self.remove(&path);
            }
        }
        let name = name(id);
        let bucket = Md5(md5::compute(id.as_str()).0).bucket();
        let folder = self.cache.join(PAYLOADS).join(bucket);
        for child in fs::read_dir(folder).into_iter().flatten().flatten() {
            let file = child.file_name();
            let file = file.to_string_lossy();
            if file.split('-').next() == Some(&name) {
                self.remove(&child.path());
            }
        }
    }

    /// Where an entry may lie: as JPEG, as PNG.
    fn paths(&self, id: &MediaId, size: PictureSize) -> Option<[PathBuf; 2]> {
        let (_, folder, _) = KINDS.iter().find(|kind| kind.0 == size)?;
        let name = Md5(md5::compute(id.as_str()).0);
        let folder = self.cache.join(folder).join(name.bucket());
        Some(EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}"))))
    }

    /// Whether the file was there and is gone now.
    fn remove(&self, path: &Path) -> bool {
        match fs::remove_file(path) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.note("remove", path, &error);
                }
                false
            }
        }
    }

    fn note(&self, what: &str, path: &Path, error: &io::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("cannot {what} {}: {error}", path.display());
    }

    /// Every entry of a kind. What vanishes meanwhile is left out.
    fn walk(&self, folder: &str, on: &mut dyn FnMut(Found)) {
        let mut folders = vec![(self.cache.join(folder), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let Ok(children) = fs::read_dir(&folder) else {
                continue;
            };
            for child in children.flatten() {
                let Ok(metadata) = child.metadata() else {
                    continue;
                };
                let path = child.path();
                if metadata.is_dir() && depth < 2 {
                    folders.push((path, depth + 1));
                } else if metadata.is_file()
                    && path.extension().is_some_and(|extension| {
                        let mut known = EXTENSIONS.iter().chain([&PAYLOAD_EXTENSION]);
                        known.any(|known| extension == *known)
                    })
                {
                    let times = [metadata.accessed(), metadata.modified()];
                    on(Found {
                        path,
                        bytes: metadata.len(),
                        used: times
                            .into_iter()
                            .flatten()
                            .max()
                            .unwrap_or(SystemTime::UNIX_EPOCH),
                    });
                }
            }
        }
    }
}

/// The folder and the kind (as in keys) of everything that is stored.
fn folders() -> impl Iterator<Item = (&'static str, &'static str)> {
    let pictures = KINDS.into_iter().map(|(_, folder, kind)| (folder, kind));
    pictures.chain([(PAYLOADS, "payload")])
}

/// What the files of a medium are called, without extension.
fn name(id: &MediaId) -> String {
    Md5(md5::compute(id.as_str()).0).to_string()
}

/// The key of an entry; `None` for a size that is not stored.
fn key(id: &MediaId, size: PictureSize, stamp: Stamp) -> Option<String> {
    let (_, _, kind) = KINDS.iter().find(|kind| kind.0 == size)?;
    Some(format!("{kind}:{id}:{}-{}", stamp.bytes, stamp.modified))
}

fn read_entry(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_ENTRY_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs::FileTimes, time::Duration};

    use super::*;

    const STAMP: Stamp = Stamp {
        bytes: 100,
        modified: 1_700_000_000,
    };

    fn id(text: &str) -> MediaId {
        text.parse().unwrap()
    }

    fn plain(side: u32, color: [u8; 4]) -> Pixels {
        Pixels {
            width: side,
            height: side / 2,
            rgba: color.repeat((side * (side / 2)) as usize),
        }
    }

    fn store() -> (tempfile::TempDir, ThumbnailStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = ThumbnailStore::new(folder.path().join("cache"));
        (folder, store)
    }

    fn only_file(store: &ThumbnailStore) -> PathBuf {
        let mut files = Vec::new();
        store.walk("thumbnails", &mut |found| files.push(found.path));
        assert_eq!(files.len(), 1);
        files.remove(0)
    }

    #[test]
    fn a_stored_picture_comes_back_reduced() {
        let (_folder, store) = store();
        let cat = id("2024/cat");
        assert_eq!(store.get(&cat, PictureSize::Thumbnail, STAMP), None);
        let preview = store.make(&cat, STAMP, &plain(2048, [200, 100, 50, 255]));
        assert_eq!((preview.width, preview.height), (1024, 512));
        let thumbnail = store.get(&cat, PictureSize::Thumbnail, STAMP).unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), (256, 128));
        assert!(thumbnail.rgba[0].abs_diff(200) < 4);
        assert_eq!(store.get(&cat, PictureSize::Preview, STAMP), None);
        store
            .put(&cat, PictureSize::Preview, STAMP, &preview)
            .unwrap();
        assert!(store.get(&cat, PictureSize::Preview, STAMP).is_some());
        let stats = store.stats();
        assert_eq!((stats.hits, stats.misses, stats.sets), (2, 2, 2));
        assert_eq!((stats.files, stats.errors), (2, 0));
        assert!(only_file(&store).extension().unwrap() == "jpg");
    }

    #[test]
    fn transparency_survives_and_replaces_the_opaque_one() {
        let (_folder, store) = store();
        let cat = id("cat");
        for color in [[9, 8, 7, 255], [9, 8, 7, 100]] {
            store
                .put(&cat, PictureSize::Thumbnail, STAMP, &plain(64, color))
                .unwrap();
        }
        assert!(only_file(&store).extension().unwrap() == "png");
        let back = store.get(&cat, PictureSize::Thumbnail, STAMP).unwrap();
        assert_eq!(back, plain(64, [9, 8, 7, 100]));
    }

    #[test]
    fn a_changed_original_is_a_miss() {
        let (_folder, store) = store();
        let cat = id("cat");
        store.make(&cat, STAMP, &plain(64, [1, 2, 3, 255]));
        let touched = Stamp {
            modified: STAMP.modified + 1,
            ..STAMP
        };
        assert_eq!(store.get(&cat, PictureSize::Thumbnail, touched), None);
        store.make(&cat, touched, &plain(64, [3, 2, 1, 255]));
        assert!(store.get(&cat, PictureSize::Thumbnail, touched).is_some());
        assert_eq!(store.stats().files, 1);
    }

    #[test]
    fn a_damaged_entry_is_a_miss_and_gone() {
        type Damage = fn(&mut Vec<u8>);
        let (_folder, store) = store();
        let cat = id("cat");
        let damages: [Damage; 4] = [
            |bytes| bytes.truncate(bytes.len() / 2),
            |bytes| bytes.clear(),
            |bytes| bytes[300] ^= 1,
            |bytes| bytes.push(0),
        ];
        for damage in damages {
            store.make(&cat, STAMP, &plain(64, [1, 2, 3, 255]));
            let path = only_file(&store);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            File::create(&path).unwrap().write_all(&bytes).unwrap();
            assert_eq!(store.get(&cat, PictureSize::Thumbnail, STAMP), None);
            assert!(!path.exists());
        }
        assert_eq!(store.stats().errors, 4);
    }

    #[test]
    fn patterns_choose_what_is_cleared() {
        let (_folder, store) = store();
        let fill = || {
            for name in ["a/1", "a/2", "b*"] {
                let pixels = plain(8, [0, 0, 0, 255]);
                for size in [PictureSize::Thumbnail, PictureSize::Preview] {
                    store.put(&id(name), size, STAMP, &pixels).unwrap();
                }
            }
        };
        for (pattern, expected) in [
            ("*", 6),
            ("thumb:*", 3),
            ("thumb:a/1:*", 1),
            ("*:a/1:*", 2),
            ("lowres:a/?:*", 2),
            ("lowres:b\\*:*", 1),
            ("lowres:a", 0),
            ("other:*", 0),
        ] {
            fill();
            assert_eq!(store.clear(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn payloads_are_kept_by_name_and_version_and_go_with_their_medium() {
        let (_folder, store) = store();
        let (cat, dog) = (id("2024/cat"), id("dog"));
        for medium in [&cat, &dog] {
            store.make(medium, STAMP, &plain(64, [1, 2, 3, 255]));
            for name in ["kitty 16x8", "sixel 16x8"] {
                let payload = format!("{medium} {name}").into_bytes();
                store.put_payload(medium, name, STAMP, payload).unwrap();
            }
        }
        let get = |medium: &MediaId, name, stamp| store.payload(medium, name, stamp);
        assert_eq!(
            get(&cat, "sixel 16x8", STAMP).unwrap(),
            b"2024/cat sixel 16x8"
        );
        assert_eq!(get(&cat, "sixel 20x8", STAMP), None);
        let newer = Stamp {
            modified: STAMP.modified + 1,
            ..STAMP
        };
        assert_eq!(get(&cat, "sixel 16x8", newer), None);
        assert_eq!(store.stats().files, 6);
        assert_eq!(store.strays([&dog].into_iter()).len(), 3);
        store.forget(&cat);
        assert_eq!(store.stats().files, 3);
        assert_eq!(store.clear("payload:dog:*kitty*"), 1);
        let (path, _) = store.payload_place(&dog, "sixel 16x8", STAMP);
        let mut bytes = read_entry(&path).unwrap();
        bytes[3] ^= 1;
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        assert_eq!(get(&dog, "sixel 16x8", STAMP), None);
        assert!(!path.exists());
    }

    #[test]
    fn trimming_takes_the_longest_unused() {
        let (_folder, store) = store();
        for (i, name) in ["old", "older", "new"].iter().enumerate() {
            store.make(&id(name), STAMP, &plain(64, [1, 2, 3, 255]));
            let path = &store.paths(&id(name), PictureSize::Thumbnail).unwrap()[0];
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs([200, 100, 300][i]);
            File::open(path)
                .unwrap()
                .set_times(FileTimes::new().set_accessed(used).set_modified(used))
                .unwrap();
        }
        let bytes = store.stats().bytes;
        assert_eq!(store.trim(bytes), 0);
        assert_eq!(store.trim(bytes - 1), 1);
        assert_eq!(store.get(&id("older"), PictureSize::Thumbnail, STAMP), None);
        assert!(
            store
                .get(&id("old"), PictureSize::Thumbnail, STAMP)
                .is_some()
        );
        assert_eq!(store.trim(0), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache");
        File::create(&file).unwrap();
        let store = ThumbnailStore::new(&file);
        let pixels = plain(8, [0, 0, 0, 255]);
        assert!(
            store
                .put(&id("a"), PictureSize::Preview, STAMP, &pixels)
                .is_err()
        );
        assert_eq!(store.stats().errors, 1);
    }
}
