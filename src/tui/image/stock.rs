//! What was encoded, and what of it the terminal holds. Both are bounded: the one
//! by bytes here, the other by pictures and by bytes there, which a terminal does
//! not tell us when it runs out of them.

use std::{collections::HashMap, sync::Arc};

use super::encode::{Body, Done, Look, Version};

/// Pictures that the terminal holds for us, and what they take there when they are
/// unpacked. kitty's own limit is 320 MB, beyond which it drops what it likes.
const MAX_ALIVE: usize = 500;
const MAX_ALIVE_BYTES: usize = 52 << 20;
/// Bytes of encoded pictures that are kept here: some ten thousand thumbnails.
const MAX_KEPT_BYTES: usize = 96 << 20;

#[derive(Debug, Default)]
pub struct Stock {
    looks: HashMap<Look, Kept>,
    /// Encoded, here.
    bytes: usize,
    alive: usize,
    /// Unpacked, in the terminal.
    alive_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    /// The best last.
    versions: Vec<Encoded>,
    used: u64,
}

#[derive(Debug)]
struct Encoded {
    version: Version,
    /// `None`: it could not be encoded.
    body: Option<Arc<Body>>,
    unpacked: usize,
    /// How the terminal knows it, if it does.
    id: Option<u32>,
}

impl Stock {
    /// Takes what became ready; `canvas` is its size in the terminal.
    pub fn keep(&mut self, done: Done, canvas: (u32, u32), frame: u64) {
        let version = done.job.version;
        self.bytes += done.body.as_ref().map_or(0, Body::weight);
        let kept = self.looks.entry(done.job.look).or_insert(Kept {
            versions: Vec::new(),
            used: frame,
        });
        let pixels = u64::from(canvas.0) * u64::from(canvas.1) * 4;
        let encoded = Encoded {
            version,
            body: done.body.map(Arc::new),
            unpacked: usize::try_from(pixels).unwrap_or(usize::MAX),
            id: None,
        };
        if kept.versions.iter().all(|known| known.version != version) {
            kept.versions.push(encoded);
            kept.versions.sort_by_key(|known| known.version);
        }
    }

    /// Counts as a use.
    pub fn touch(&mut self, look: &Look, frame: u64) {
        if let Some(kept) = self.looks.get_mut(look) {
            kept.used = frame;
        }
    }

    /// Whether there is an answer, good or bad.
    pub fn has(&self, look: &Look, version: Version) -> bool {
        self.find(look, version).is_some()
    }

    pub fn body(&self, look: &Look, version: Version) -> Option<Arc<Body>> {
        self.find(look, version)?.body.clone()
    }

    /// The best version there is here.
    pub fn best(&self, look: &Look) -> Option<(Version, Arc<Body>)> {
        let versions = &self.looks.get(look)?.versions;
        let mut known = versions.iter().rev();
        known.find_map(|known| Some((known.version, known.body.clone()?)))
    }

    /// The best version that the terminal holds.
    pub fn alive(&self, look: &Look) -> Option<(Version, u32)> {
        let versions = &self.looks.get(look)?.versions;
        let mut known = versions.iter().rev();
        known.find_map(|known| Some((known.version, known.id?)))
    }

    /// The terminal holds it now. Says no when it is not wanted here any more, or
    /// known by another number.
    pub fn born(&mut self, look: &Look, version: Version, id: u32) -> bool {
        let Some(kept) = self.looks.get_mut(look) else {
            return false;
        };
        let known = kept
            .versions
            .iter_mut()
            .find(|known| known.version == version);
        match known {
            Some(known) if known.id.is_none() => {
                known.id = Some(id);
                self.alive += 1;
                self.alive_bytes += known.unpacked;
                true
            }
            _ => false,
        }
    }

    /// Ids of the versions that are worse than this one; they are not alive any more.
    pub fn kill_worse(&mut self, look: &Look, than: Version) -> Vec<u32> {
        let mut ids = Vec::new();
        if let Some(kept) = self.looks.get_mut(look) {
            for known in kept
                .versions
                .iter_mut()
                .filter(|known| known.version < than)
            {
                ids.extend(known.id.take().inspect(|_| {
                    self.alive -= 1;
                    self.alive_bytes -= known.unpacked;
                }));
            }
        }
        ids
    }

    /// All ids; none is alive any more.
    pub fn kill_all(&mut self) -> Vec<u32> {
        (self.alive, self.alive_bytes) = (0, 0);
        self.looks
            .values_mut()
            .flat_map(|kept| &mut kept.versions)
            .filter_map(|known| known.id.take())
            .collect()
    }

    /// Forgets everything; gives the ids that were alive.
    pub fn clear(&mut self) -> Vec<u32> {
        let ids = self.kill_all();
        *self = Self::default();
        ids
    }

    /// Lets go of what was not shown for longest, never of what this frame shows;
    /// gives the ids that are not alive any more.
    pub fn evict(&mut self, frame: u64) -> Vec<u32> {
        let mut ids = Vec::new();
        if self.alive > MAX_ALIVE || self.alive_bytes > MAX_ALIVE_BYTES {
            for look in self.oldest(frame) {
                if self.alive <= MAX_ALIVE && self.alive_bytes <= MAX_ALIVE_BYTES {
                    break;
                }
                ids.extend(self.kill(&look));
            }
        }
        if self.bytes > MAX_KEPT_BYTES {
            for look in self.oldest(frame) {
                if self.bytes <= MAX_KEPT_BYTES {
                    break;
                }
                ids.extend(self.kill(&look));
                for known in self
                    .looks
                    .remove(&look)
                    .into_iter()
                    .flat_map(|kept| kept.versions)
                {
                    self.bytes -= known.body.map_or(0, |body| body.weight());
                }
            }
        }
        ids
    }

    /// The looks that this frame does not show, the longest unused first.
    fn oldest(&self, frame: u64) -> Vec<Look> {
        let unused = self.looks.iter().filter(|(_, kept)| kept.used < frame);
        let mut looks: Vec<(u64, Look)> = unused.map(|(look, kept)| (kept.used, *look)).collect();
        looks.sort_by_key(|(used, _)| *used);
        looks.into_iter().map(|(_, look)| look).collect()
    }

    fn kill(&mut self, look: &Look) -> Vec<u32> {
        let mut ids = Vec::new();
        for known in self
            .looks
            .get_mut(look)
            .into_iter()
            .flat_map(|kept| &mut kept.versions)
        {
            if let Some(id) = known.id.take() {
                self.alive -= 1;
                self.alive_bytes -= known.unpacked;
                ids.push(id);
            }
        }
        ids
    }

    /// How many versions of a medium there are answers for.
    #[cfg(test)]
    pub fn versions(&self, key: crate::model::id::MediaKey) -> usize {
        let looks = self.looks.iter().filter(|(look, _)| look.key == key);
        looks.map(|(_, kept)| kept.versions.len()).sum()
    }

    fn find(&self, look: &Look, version: Version) -> Option<&Encoded> {
        let versions = &self.looks.get(look)?.versions;
        versions.iter().find(|known| known.version == version)
    }
}
