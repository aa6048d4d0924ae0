//! Small catalogs for tests.

use crate::model::{
    catalog::Catalog,
    entry::{Entry, FileFacts},
    id::MediaKey,
    media::Media,
    tag::Tag,
};

/// Media `m0000`, `m0001`, … with these tags, written `category:value` or `value`.
pub(super) fn catalog<T: AsRef<str>>(media: &[impl AsRef<[T]>]) -> Catalog {
    let entries = (0..).zip(media).map(|(key, tags)| {
        let tags = tags.as_ref().iter().map(|tag| {
            let tag = tag.as_ref();
            let (category, value) = tag.split_once(':').unwrap_or(("", tag));
            Tag::new(category, value)
        });
        let media = Media {
            tags: tags.collect(),
            ..Media::default()
        };
        let id = format!("m{key:04}").parse().unwrap();
        Entry::new(MediaKey(key), id, &FileFacts::default(), &media)
    });
    Catalog::from_entries(entries.collect(), true)
}
