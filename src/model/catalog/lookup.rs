//! From a hash to the numbers filed under it: eight bytes an entry, because the
//! caller compares with the record itself. Copies share what did not change.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use super::shared::Shared;

/// Entries of one shard when an index is built; it is built anew at four times that.
const SHARD: usize = 64;

#[derive(Clone, Default)]
pub struct Lookup {
    /// Sorted by hash.
    shards: Shared<Vec<(u32, u32)>>,
    /// The number of shards is two to the power of this.
    bits: u32,
    len: usize,
}

impl Lookup {
    pub fn build(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self::of_sorted(&pairs)
    }

    /// A lookup of pairs that are ascending and differ.
    pub fn of_sorted(pairs: &[(u32, u32)]) -> Self {
        let shards = (pairs.len() / SHARD).max(1).next_power_of_two();
        let mut lookup = Self {
            shards: Shared::default(),
            bits: shards.trailing_zeros(),
            len: pairs.len(),
        };
        let bits = lookup.bits;
        for chunk in pairs.chunk_by(|a, b| shard(a.0, bits) == shard(b.0, bits)) {
            if let Some((hash, _)) = chunk.first() {
                *lookup.shards.get_mut(shard(*hash, bits)) = chunk.to_vec();
            }
        }
        lookup
    }

    pub fn insert(&mut self, hash: u32, number: u32) {
        if self.len > (SHARD * 4) << self.bits {
            *self = Self::build(self.pairs().collect());
        }
        let shard = self.shards.get_mut(shard(hash, self.bits));
        if let Err(place) = shard.binary_search(&(hash, number)) {
            shard.insert(place, (hash, number));
            self.len += 1;
        }
    }

    pub fn remove(&mut self, hash: u32, number: u32) {
        let shard = self.shards.get_mut(shard(hash, self.bits));
        if let Ok(place) = shard.binary_search(&(hash, number)) {
            shard.remove(place);
            self.len -= 1;
        }
    }

    /// All pairs, ascending.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.shards.iter().flatten().copied()
    }

    /// The pairs of each hash that has several.
    pub fn shared(&self) -> impl Iterator<Item = &[(u32, u32)]> {
        let shards = self.shards.iter();
        let groups = shards.flat_map(|shard| shard.chunk_by(|a, b| a.0 == b.0));
        groups.filter(|group| group.len() > 1)
    }

    /// All numbers under that hash, ascending.
    pub fn find(&self, hash: u32) -> impl Iterator<Item = u32> {
        let shard = self
            .shards
            .get(shard(hash, self.bits))
            .map_or(&[][..], Vec::as_slice);
        let start = shard.partition_point(|(known, _)| *known < hash);
        shard
            .iter()
            .skip(start)
            .take_while(move |(known, _)| *known == hash)
            .map(|(_, number)| *number)
    }
}

fn shard(hash: u32, bits: u32) -> usize {
    hash.checked_shr(32 - bits).unwrap_or(0) as usize
}

/// A fast hash for keys that no attacker gains anything by choosing: a collision
/// costs one more comparison.
#[derive(Clone, Copy, Default)]
pub struct QuickHasher(u64);

pub type Quick = BuildHasherDefault<QuickHasher>;

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for QuickHasher {
    fn write(&mut self, mut bytes: &[u8]) {
        while let Some((word, rest)) = bytes.split_first_chunk() {
            self.write_u64(u64::from_le_bytes(*word));
            bytes = rest;
        }
        // The tail as one word: the first and the last four bytes, which may overlap,
        // or up to three bytes one by one.
        let tail = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        self.write_u64(tail ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(MIX).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(MIX)
    }
}

/// The hash of a value, as [`Lookup`] takes it.
pub fn hash(value: impl Hash) -> u32 {
    u32::try_from(Quick::default().hash_one(value) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_finds_everything() {
        let mut lookup = Lookup::build((0..10).map(|n| (hash(n), n)).collect());
        for n in 10..20_000 {
            lookup.insert(hash(n), n);
        }
        lookup.insert(hash(5), 5);
        assert!((0..20_000).all(|n| lookup.find(hash(n)).any(|found| found == n)));
        lookup.remove(hash(7), 7);
        assert!(lookup.find(hash(7)).all(|found| found != 7));
        assert_eq!(lookup.len, 19_999);
    }
}
