//! What the columns say of a medium: one value each, or none.

use std::{borrow::Cow, cmp::Ordering};

use super::{natural::natural_cmp, record::Record, record::SortId};
use crate::model::{column::Column, tag::BUILT_IN_CATEGORIES};

impl Column {
    /// The number of a medium, when it has one; none of a text.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no count, size or time needs more than 52 bits"
    )]
    pub(super) fn number(self, record: &Record<'_>) -> Option<f64> {
        let (width, height) = (f64::from(record.width()), f64::from(record.height()));
        let known = |number: f64| (number > 0.0).then_some(number);
        match self {
            Self::Imported => Some(record.imported() as f64),
            Self::Created => Some(record.created() as f64),
            Self::Modified => Some(record.modified() as f64),
            Self::Bytes => Some(record.bytes() as f64),
            Self::Width => known(width),
            Self::Height => known(height),
            Self::Mpixels => known(width * height / 1e6),
            Self::Ratio => (width > 0.0 && height > 0.0).then(|| width / height),
            Self::Duration => record.duration_ms().map(|ms| ms as f64),
            Self::Frames => Some(f64::from(record.frames())),
            Self::Tags => Some(record.tag_count() as f64),
            Self::Stars => Some(f64::from(record.stars())),
            Self::Score => record.score().map(|score| score as f64),
            Self::Favcount => record.favcount().map(|count| count as f64),
            Self::Rating => record.rating().map(|rating| f64::from(rating as u8)),
            Self::Posts => Some(record.posts().count() as f64),
            Self::CategoryTags(place) => {
                let category = BUILT_IN_CATEGORIES.get(usize::from(place)).copied();
                let tags = record.tags();
                Some(
                    tags.filter(|tag| category == Some(tag.category.as_str()))
                        .count() as f64,
                )
            }
            Self::Id | Self::Extension | Self::Title | Self::Path => None,
        }
    }

    /// The text of a medium, when it has one; none of a number.
    pub(super) fn text<'a>(self, record: &Record<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Title => Some(record.title()),
            Self::Path => Some(record.path()),
            Self::Extension => {
                let path = record.path();
                let (_, extension) = path.rsplit_once('.')?;
                Some(Cow::Owned(extension.to_ascii_lowercase()))
            }
            _ => None,
        }
    }

    pub(super) fn value<'a>(self, record: &Record<'a>) -> Option<Value<'a>> {
        match self {
            Self::Id => Some(Value::Id(record.sort_id())),
            Self::Extension | Self::Title | Self::Path => self.text(record).map(Value::Text),
            _ => self.number(record).map(Value::Number),
        }
    }

    /// Whether two versions of a medium may stand in different places, for any column:
    /// what takes long is compared once for all of them.
    pub(super) fn differing(old: &Record<'_>, new: &Record<'_>) -> impl Fn(Self) -> bool {
        let (old_details, new_details) = (old.details(), new.details());
        let has_tags = old_details.tags != new_details.tags;
        let has_id = old.sort_id() != new.sort_id();
        let has_texts = old_details.has_other_texts(&new_details);
        move |column| match column {
            // Ties stand by id.
            _ if has_id => true,
            Self::Id => false,
            Self::CategoryTags(_) => has_tags,
            Self::Extension | Self::Title | Self::Path | Self::Posts if !has_texts => false,
            _ => column.value(old) != column.value(new),
        }
    }
}

/// What a column says of a medium.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Id(SortId<'a>),
}

impl Ord for Value<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => natural_cmp(a, b),
            (Self::Id(a), Self::Id(b)) => a.cmp(b),
            // One column has values of one kind.
            _ => Ordering::Equal,
        }
    }
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value<'_> {}

/// A number as one that compares alike and needs no special order.
pub(super) fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}
