//! Pictures for the screen: the newest list of wishes wins, what is visible comes
//! first, and two threads at most work on it, so that scrolling never waits for
//! pictures that have left the screen.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
};

use super::{
    catalog_store::CatalogStore,
    decode::{Limits, MemoryGate, decode, resize},
    event::{Event, Events, PictureSize},
    job::{lock, panic_text, spawn},
    thumbnail::{Stamp, ThumbnailStore},
};
use crate::{
    model::{
        id::{MediaId, MediaKey},
        media::Pixels,
    },
    storage::Library,
};

/// Two: one may be busy with a huge picture while the other serves the rest.
const THREADS: usize = 2;

/// What fetching a picture takes.
pub struct PictureParts {
    pub library: Arc<Library>,
    pub catalog: Arc<CatalogStore>,
    pub thumbnails: Arc<ThumbnailStore>,
    pub memory: MemoryGate,
    pub events: Events,
}

impl PictureParts {
    /// Whether the thumbnail of the original as it is now is stored.
    pub fn has_thumbnail(&self, key: MediaKey) -> bool {
        let catalog = self.catalog.load();
        catalog.record(key).is_some_and(|record| {
            let path = self.library.original_path(&record.path());
            Stamp::of(&path).is_ok_and(|stamp| {
                let id = record.id();
                self.thumbnails.has(&id, PictureSize::Thumbnail, stamp)
            })
        })
    }
}

/// What a screen is sent for a picture, kept for the next time. Blocks; for threads
/// that make such bytes.
#[derive(Clone)]
pub struct Payloads {
    library: Arc<Library>,
    catalog: Arc<CatalogStore>,
    thumbnails: Arc<ThumbnailStore>,
}

impl Payloads {
    pub fn new(
        library: Arc<Library>,
        catalog: Arc<CatalogStore>,
        thumbnails: Arc<ThumbnailStore>,
    ) -> Self {
        Self {
            library,
            catalog,
            thumbnails,
        }
    }

    /// The bytes that were kept under that name for the original as it is now.
    pub fn get(&self, key: MediaKey, name: &str) -> Option<Vec<u8>> {
        let (id, stamp) = self.medium(key)?;
        self.thumbnails.payload(&id, name, stamp)
    }

    /// Keeps bytes under a name.
    pub fn put(&self, key: MediaKey, name: &str, payload: &[u8]) {
        if let Some((id, stamp)) = self.medium(key) {
            self.thumbnails.put_payload(&id, name, stamp, payload);
        }
    }

    fn medium(&self, key: MediaKey) -> Option<(MediaId, Stamp)> {
        let catalog = self.catalog.load();
        let record = catalog.record(key)?;
        let path = self.library.original_path(&record.path());
        Some((record.id(), Stamp::of(&path).ok()?))
    }
}

#[derive(Default)]
struct Wishes {
    waiting: VecDeque<(MediaKey, PictureSize)>,
    running: Vec<(MediaKey, PictureSize)>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

/// The threads that fetch pictures, and the list they work on.
pub struct Pictures {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pictures {
    /// # Errors
    /// When not even one thread can be started.
    pub fn start(parts: PictureParts) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let parts = Arc::new(parts);
        let mut threads = Vec::new();
        for n in 0..THREADS {
            let (shared, parts) = (Arc::clone(&shared), Arc::clone(&parts));
            match spawn(&format!("pictures-{n}"), move || work(&shared, &parts)) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error),
                Err(error) => tracing::warn!("one thread fewer for pictures: {error}"),
            }
        }
        Ok(Self { shared, threads })
    }

    /// Replaces the list of wishes, the most wanted first. What is being fetched
    /// now is finished and not fetched twice.
    pub fn want(&self, wanted: Vec<(MediaKey, PictureSize)>) {
        let mut wishes = lock(&self.shared.wishes);
        wishes.waiting = wanted.into();
        self.shared.changed.notify_all();
    }

    /// Forgets all wishes and waits for what is being fetched.
    pub fn stop(&mut self) {
        {
            let mut wishes = lock(&self.shared.wishes);
            wishes.closed = true;
            wishes.waiting.clear();
            self.shared.changed.notify_all();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a picture thread ended by a panic");
            }
        }
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.stop();
    }
}

fn next(shared: &Shared) -> Option<(MediaKey, PictureSize)> {
    let mut wishes = lock(&shared.wishes);
    loop {
        if wishes.closed {
            return None;
        }
        while let Some(wish) = wishes.waiting.pop_front() {
            if !wishes.running.contains(&wish) {
                wishes.running.push(wish);
                return Some(wish);
            }
        }
        wishes = shared
            .changed
            .wait(wishes)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

fn work(shared: &Shared, parts: &PictureParts) {
    while let Some((key, size)) = next(shared) {
        let outcome = catch_unwind(AssertUnwindSafe(|| fetch(parts, key, size)))
            .unwrap_or_else(|panic| Err(panic_text(&*panic)));
        lock(&shared.wishes)
            .running
            .retain(|wish| *wish != (key, size));
        parts.events.send(Event::Picture { key, size, outcome });
    }
}

/// The picture from the store, else from the original, which fills the store.
pub(super) fn fetch(
    parts: &PictureParts,
    key: MediaKey,
    size: PictureSize,
) -> Result<Arc<Pixels>, String> {
    let catalog = parts.catalog.load();
    let record = catalog
        .record(key)
        .ok_or("it is not in the library any more")?;
    let (id, path) = (record.id(), parts.library.original_path(&record.path()));
    let stamp = Stamp::of(&path)
        .map_err(|error| format!("cannot find its original {}: {error}", path.display()))?;
    if let Some(pixels) = parts.thumbnails.get(&id, size, stamp) {
        return Ok(Arc::new(pixels));
    }
    if size == PictureSize::Thumbnail
        && let Some(preview) = parts.thumbnails.get(&id, PictureSize::Preview, stamp)
    {
        let preview = parts.thumbnails.make(&id, stamp, &preview);
        return Ok(Arc::new(resize(&preview, size.max_side())));
    }
    let decoded =
        decode(&path, &Limits::default(), &parts.memory).map_err(|error| error.to_string())?;
    let pixels = match size {
        PictureSize::Full => resize(&decoded.pixels, size.max_side()),
        PictureSize::Preview | PictureSize::Thumbnail => {
            let preview = parts.thumbnails.make(&id, stamp, &decoded.pixels);
            if size == PictureSize::Preview {
                if let Err(error) = parts.thumbnails.put(&id, size, stamp, &preview) {
                    tracing::warn!("no preview of {id} is stored: {error}");
                }
                preview
            } else {
                resize(&preview, size.max_side())
            }
        }
    };
    Ok(Arc::new(pixels))
}
