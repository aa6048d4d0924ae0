//! Marks: letters that a person gives to pictures to come back to them; and how a
//! medium is named where the keys of an index do not reach.

use super::{
    catalog::{Catalog, Record},
    id::{Md5, MediaId, MediaKey},
};

/// A medium by its id and its md5, which outlive an index: the id survives a rebuild, and
/// the md5 finds a file again that was renamed or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRef {
    pub id: MediaId,
    pub md5: Option<Md5>,
}

impl MediaRef {
    pub fn of(record: &Record<'_>) -> Self {
        Self {
            id: record.id(),
            md5: record.md5(),
        }
    }

    /// The medium: the one with the id, else the only one with the bytes.
    pub fn key(&self, catalog: &Catalog) -> Option<MediaKey> {
        let by_bytes = || match catalog.keys_of_md5(self.md5.as_ref()?)[..] {
            [only] => Some(only),
            _ => None,
        };
        catalog.key_of(&self.id).or_else(by_bytes)
    }
}

/// A letter and the medium it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub letter: char,
    pub medium: MediaRef,
}

/// Whether a character can be a mark: `a` to `z` and `A` to `Z`, all of them different.
pub fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        entry::{Entry, FileFacts},
        media::Media,
    };

    #[test]
    fn a_medium_is_known_by_its_id_and_else_by_bytes_that_it_alone_has() {
        let entry = |key: u32, id: &str, md5: u8| Entry {
            md5: Some(Md5([md5; 16])),
            ..Entry::new(
                MediaKey(key),
                id.parse().unwrap(),
                &FileFacts {
                    path: format!("images/{id}.png"),
                    bytes: 1,
                    modified: 0,
                    has_sidecar: false,
                    is_missing: false,
                },
                &Media::default(),
            )
        };
        let entries = vec![entry(1, "a", 1), entry(2, "b", 2), entry(3, "c", 2)];
        let catalog = Catalog::from_entries(entries, true);
        for (id, md5, expected) in [
            ("a", None, Some(1)),
            ("a", Some(2), Some(1)),
            ("gone", Some(1), Some(1)),
            ("gone", Some(2), None),
            ("gone", None, None),
        ] {
            let medium = MediaRef {
                id: id.parse().unwrap(),
                md5: md5.map(|byte| Md5([byte; 16])),
            };
            let expected = expected.map(MediaKey);
            assert_eq!(medium.key(&catalog), expected, "{id} {md5:?}");
        }
    }
}
