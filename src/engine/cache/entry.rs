//! The bytes of an entry: what kind it is, the version of what it was computed
//! from, the value, and a checksum over all that and the key.
//!
//! Invariant: bytes that were cut, changed, written by something else, or under
//! another key never open.

use std::{ops::Deref, sync::Arc};

use flate2::Crc;

use super::Value;

/// Changes whenever the form does; what has another one is no entry.
const FORM: u8 = 0xc1;
/// Form, kind, version and end.
pub const HEAD_BYTES: usize = 2 + 8 + 8;
/// Entries that live until they make room.
const FOR_EVER: i64 = i64::MAX;
/// Over the key and all that comes before.
pub const CHECKSUM_BYTES: usize = 4;

/// The state of what an entry was computed from. One that differs makes it a miss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

impl Version {
    /// A version that stands for all of these.
    pub fn of(parts: &[u64]) -> Self {
        let mut context = md5::Context::new();
        for part in parts {
            context.consume(part.to_le_bytes());
        }
        Self::folded(context)
    }

    /// A version that stands for a text.
    pub fn of_text(text: &str) -> Self {
        let mut context = md5::Context::new();
        context.consume(text);
        Self::folded(context)
    }

    fn folded(context: md5::Context) -> Self {
        let digest = context.finalize().0;
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self(u64::from_le_bytes(*first))
    }
}

/// A value inside the bytes that hold it.
#[derive(Clone, Debug)]
pub struct Bytes {
    sealed: Value,
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let end = self.sealed.len().saturating_sub(CHECKSUM_BYTES);
        self.sealed.get(HEAD_BYTES..end).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum Content {
    Found(Bytes),
    /// It was looked for, and there is none.
    Absent,
}

/// Makes an entry; without a value one that says that there is none. It ends at a
/// second since 1970, in whichever tier it lies then.
pub fn seal(key: &str, version: Version, value: Option<&[u8]>, ends: Option<i64>) -> Value {
    let bytes = value.unwrap_or_default();
    let mut sealed = Vec::with_capacity(HEAD_BYTES + bytes.len() + CHECKSUM_BYTES);
    sealed.extend([FORM, u8::from(value.is_some())]);
    sealed.extend(version.0.to_le_bytes());
    sealed.extend(ends.unwrap_or(FOR_EVER).to_le_bytes());
    sealed.extend(bytes);
    sealed.extend(checksum(key, &sealed).to_le_bytes());
    sealed.into()
}

/// Whether bytes are an entry of that key, and whole.
pub fn is_whole(key: &str, sealed: &[u8]) -> bool {
    sealed.len() >= HEAD_BYTES + CHECKSUM_BYTES
        && sealed[0] == FORM
        && sealed
            .split_last_chunk::<CHECKSUM_BYTES>()
            .is_some_and(|(rest, sum)| checksum(key, rest) == u32::from_le_bytes(*sum))
}

/// What tells two entries of one key apart: how they begin and end. Enough, since the
/// version is among it and the checksum is over the rest.
pub type Mark = Vec<u8>;

/// The mark of an entry.
pub fn mark(sealed: &[u8]) -> Mark {
    let head = sealed.first_chunk::<HEAD_BYTES>();
    let sum = sealed.last_chunk::<CHECKSUM_BYTES>();
    let mut mark = Vec::with_capacity(HEAD_BYTES + CHECKSUM_BYTES);
    mark.extend(head.into_iter().flatten());
    mark.extend(sum.into_iter().flatten());
    mark
}

/// The content of an entry that [`is_whole`]; `None` when it is of another version
/// or its time is over.
pub fn open(sealed: &Value, version: Version, now: i64) -> Option<Content> {
    let ([_, kind], rest) = sealed.split_first_chunk::<2>()?;
    let (found, rest) = rest.split_first_chunk::<8>()?;
    let (ends, _) = rest.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*found) != version.0 || i64::from_le_bytes(*ends) <= now {
        return None;
    }
    Some(if *kind == 0 {
        Content::Absent
    } else {
        Content::Found(Bytes {
            sealed: Arc::clone(sealed),
        })
    })
}

fn checksum(key: &str, bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(key.as_bytes());
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_opens_for_its_version_only() {
        let sealed = seal("key", Version(7), Some(b"cat"), Some(100));
        assert!(is_whole("key", &sealed));
        assert!(!is_whole("other", &sealed));
        let Some(Content::Found(bytes)) = open(&sealed, Version(7), 99) else {
            panic!("not found");
        };
        assert_eq!(&*bytes, b"cat");
        assert!(open(&sealed, Version(8), 99).is_none());
        assert!(open(&sealed, Version(7), 100).is_none(), "its time is over");
        let none = seal("key", Version(7), None, Some(100));
        assert!(matches!(open(&none, Version(7), 99), Some(Content::Absent)));
        let empty = seal("key", Version(7), Some(b""), Some(100));
        assert!(
            matches!(open(&empty, Version(7), 99), Some(Content::Found(bytes)) if bytes.is_empty())
        );
    }

    #[test]
    fn a_mark_differs_with_version_value_and_end() {
        let marked = |version, value, ends| mark(&seal("key", Version(version), value, ends));
        let first = marked(7, Some(&b"cat"[..]), Some(100));
        assert_eq!(first, marked(7, Some(b"cat"), Some(100)));
        assert_eq!(first.len(), HEAD_BYTES + CHECKSUM_BYTES);
        for other in [
            marked(8, Some(b"cat"), Some(100)),
            marked(7, Some(b"cot"), Some(100)),
            marked(7, Some(b"cat"), Some(101)),
            marked(7, Some(b""), Some(100)),
            marked(7, None, Some(100)),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn what_was_cut_changed_or_foreign_is_not_whole() {
        let sealed = seal("key", Version(7), Some(b"a picture"), Some(100));
        for length in 0..sealed.len() {
            assert!(!is_whole("key", &sealed[..length]), "{length}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 0x10;
            assert!(!is_whole("key", &changed), "{at}");
        }
        assert!(!is_whole("key", br#"{"json": "of somebody else"}"#));
    }

    #[test]
    fn versions_differ_with_their_parts() {
        assert_eq!(Version::of(&[1, 2]), Version::of(&[1, 2]));
        assert_ne!(Version::of(&[1, 2]), Version::of(&[2, 1]));
        assert_ne!(Version::of(&[1]), Version::of(&[1, 0]));
        assert_ne!(Version::of_text("a"), Version::of_text("b"));
    }
}
