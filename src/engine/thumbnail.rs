//! Small copies of pictures in the cache, and what a screen is sent for them, so that
//! a picture is decoded and encoded once and shown often.
//!
//! Invariant: an entry is of one version of its original, told by size and time of
//! the file; one of another version is never shown. Everything here blocks and may
//! be called from any number of threads.

mod picture;

use std::{collections::HashSet, fs, io, path::Path, sync::Arc};

use super::{
    cache::{
        entry::Version,
        key::{Family, Key},
        layer::Cache,
    },
    decode::resize,
    event::PictureSize,
};
use crate::model::{entry::FileFacts, id::MediaId, media::Pixels};

/// What is kept of a medium here, behind memory too.
const FAMILIES: [Family; 2] = [Family::Thumb, Family::Lowres];
/// The protocol in the keys of pictures as they are stored.
const STORED: &str = "picture";

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

impl From<Stamp> for Version {
    fn from(stamp: Stamp) -> Self {
        Self::of(&[stamp.bytes, stamp.modified.cast_unsigned()])
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

/// The stored thumbnails and previews of one library.
pub struct ThumbnailStore {
    cache: Arc<Cache>,
}

impl ThumbnailStore {
    pub fn new(cache: Arc<Cache>) -> Self {
        Self { cache }
    }

    /// The stored picture of that version of the original, if there is one.
    /// [`PictureSize::Full`] is never stored.
    pub fn get(&self, id: &MediaId, size: PictureSize, stamp: impl Into<Stamp>) -> Option<Pixels> {
        let key = key(id, size)?;
        let bytes = self.cache.get(&key, stamp.into().into()).found()?;
        let pixels = picture::decode(&bytes, size.max_side());
        if pixels.is_none() {
            // Whole, and still no picture: of another program that shares the server.
            tracing::warn!("a cached picture of {id} cannot be decoded and is deleted");
            self.cache.forget(&key);
        }
        pixels
    }

    /// Whether there is one, without decoding it.
    pub fn has(&self, id: &MediaId, size: PictureSize, stamp: impl Into<Stamp>) -> bool {
        let key = key(id, size);
        key.is_some_and(|key| self.cache.get(&key, stamp.into().into()).found().is_some())
    }

    /// Stores a picture, reduced to the size if it is larger. JPEG, or PNG for one
    /// that is not opaque. Storing [`PictureSize::Full`] does nothing.
    ///
    /// # Errors
    /// When the picture cannot be encoded.
    pub fn put(
        &self,
        id: &MediaId,
        size: PictureSize,
        stamp: impl Into<Stamp>,
        pixels: &Pixels,
    ) -> io::Result<()> {
        let Some(key) = key(id, size) else {
            return Ok(());
        };
        let bytes = picture::encode(&resize(pixels, size.max_side()))?;
        self.cache.set(&key, stamp.into().into(), Some(&bytes));
        Ok(())
    }

    /// The bytes that were stored for that version of the original under a name of
    /// the caller's: what a screen of one kind is sent.
    pub fn payload(&self, id: &MediaId, name: &str, stamp: impl Into<Stamp>) -> Option<Vec<u8>> {
        let found = self.cache.get(&payload_key(id, name), stamp.into().into());
        found.found().map(|bytes| bytes.to_vec())
    }

    /// Stores bytes for [`Self::payload`].
    pub fn put_payload(&self, id: &MediaId, name: &str, stamp: impl Into<Stamp>, payload: &[u8]) {
        let key = payload_key(id, name);
        self.cache.set(&key, stamp.into().into(), Some(payload));
    }

    /// Makes the preview and from it the thumbnail, stores the thumbnail, and
    /// returns the preview.
    ///
    /// A preview is worth its encoding when somebody looks at it; [`put`](Self::put)
    /// stores it then.
    pub fn make(&self, id: &MediaId, stamp: impl Into<Stamp>, pixels: &Pixels) -> Pixels {
        let preview = resize(pixels, PictureSize::Preview.max_side());
        if let Err(error) = self.put(id, PictureSize::Thumbnail, stamp, &preview) {
            tracing::warn!("no thumbnail of {id} is stored: {error}");
        }
        preview
    }

    /// The keys of entries of media that are none of these, with their bytes.
    pub fn strays<'i>(&self, ids: impl Iterator<Item = &'i MediaId>) -> Vec<(String, u64)> {
        let known: HashSet<String> = ids
            .map(|id| Key::new(Family::Thumb, &[id.as_str()]).as_str().to_owned())
            .collect();
        let mut strays = Vec::new();
        for family in FAMILIES {
            for (key, bytes) in self.cache.list(&format!("{}:*", family.name())) {
                let mut parts = key.split(':');
                let id = parts.nth(1).unwrap_or_default();
                if !known.contains(&format!("{}:{id}", Family::Thumb.name())) {
                    strays.push((key, bytes));
                }
            }
        }
        strays
    }

    /// Deletes what [`Self::strays`] found; returns how many are gone.
    pub fn remove_strays(&self, strays: &[(String, u64)]) -> usize {
        let keys = strays.iter().map(|(key, _)| key.as_str());
        self.cache.remove_listed(keys)
    }

    /// Deletes the entries of media that are gone for good.
    pub fn forget(&self, ids: &[MediaId]) {
        let families = [Family::Thumb, Family::Lowres, Family::Media];
        self.cache.forget_media(&families, ids);
    }
}

/// The key of a stored picture; `None` for a size that is not stored.
fn key(id: &MediaId, size: PictureSize) -> Option<Key> {
    let side = size.max_side();
    match size {
        PictureSize::Thumbnail => Some(Key::thumb(id, (side, side), STORED)),
        PictureSize::Preview => Some(Key::lowres(id, (side, side), STORED)),
        PictureSize::Full => None,
    }
}

/// `thumb:{id}:{w}x{h}:{protocol}-{hash}` of what a screen is sent; its name begins
/// with the protocol and says among other things how large it is.
fn payload_key(id: &MediaId, name: &str) -> Key {
    let side = |text: &str| text.parse::<u32>().ok();
    let mut words = name.split_whitespace();
    let protocol = words.next().unwrap_or(STORED);
    let size = words.find_map(|word| {
        let (width, height) = word.split_once('x')?;
        Some((side(width)?, side(height)?))
    });
    let hash = Version::of_text(name).0;
    Key::thumb(
        id,
        size.unwrap_or_default(),
        &format!("{protocol}-{hash:016x}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::system_clock;

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
        let cache = Cache::on_disk(&folder.path().join("cache"), system_clock);
        (folder, ThumbnailStore::new(cache))
    }

    fn keys(store: &ThumbnailStore) -> Vec<String> {
        let listed = store.cache.list("*");
        listed.into_iter().map(|(key, _)| key).collect()
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
        assert!(store.has(&cat, PictureSize::Preview, STAMP));
        assert!(store.get(&cat, PictureSize::Preview, STAMP).is_some());
        store.put(&cat, PictureSize::Full, STAMP, &preview).unwrap();
        assert!(!store.has(&cat, PictureSize::Full, STAMP));
        assert_eq!(
            keys(&store),
            [
                "lowres:2024/cat:1024x1024:picture",
                "thumb:2024/cat:256x256:picture"
            ]
        );
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
        let back = store.get(&cat, PictureSize::Thumbnail, STAMP).unwrap();
        assert_eq!(back, plain(64, [9, 8, 7, 100]));
        assert_eq!(keys(&store).len(), 1);
    }

    #[test]
    fn a_changed_original_is_a_miss_and_takes_no_second_place() {
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
        assert_eq!(keys(&store).len(), 1);
    }

    #[test]
    fn an_entry_that_is_no_picture_is_a_miss_and_gone() {
        let (_folder, store) = store();
        let cat = id("cat");
        let key = key(&cat, PictureSize::Thumbnail).unwrap();
        store.cache.set(&key, STAMP.into(), Some(b"no picture"));
        assert_eq!(store.get(&cat, PictureSize::Thumbnail, STAMP), None);
        assert_eq!(keys(&store), [""; 0]);
    }

    #[test]
    fn payloads_are_kept_by_name_and_version_and_go_with_their_medium() {
        let (_folder, store) = store();
        let (cat, dog) = (id("2024/cat"), id("dog"));
        for medium in [&cat, &dog] {
            store.make(medium, STAMP, &plain(64, [1, 2, 3, 255]));
            for name in ["kitty 16x8", "sixel 16x8"] {
                let payload = format!("{medium} {name}").into_bytes();
                store.put_payload(medium, name, STAMP, &payload);
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
        assert_eq!(keys(&store).len(), 6);
        let strays = store.strays([&dog].into_iter());
        assert_eq!(strays.len(), 3);
        assert!(
            strays
                .iter()
                .all(|(key, bytes)| key.contains("cat") && *bytes > 0)
        );
        store.forget(std::slice::from_ref(&cat));
        assert_eq!(keys(&store).len(), 3);
        assert_eq!(store.cache.clear("thumb:dog:16x8:kitty-*").entries, 1);
        let strays = store.strays([].into_iter());
        assert_eq!(store.remove_strays(&strays), 2);
        assert_eq!(keys(&store), [""; 0]);
    }
}
