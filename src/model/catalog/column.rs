//! What the columns say of a medium: one value each, or none.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    natural::natural_cmp,
    packed::{Details, Row},
    record::Record,
    record::SortId,
};
use crate::model::{column::Column, tag::BUILT_IN_CATEGORIES};

impl Column {
    /// The number of a medium, when it has one; none of a text.
    pub(super) fn number(self, record: &Record<'_>) -> Option<f64> {
        match self {
            Self::Posts => Some(count(record.posts().count())),
            Self::CategoryTags(place) => {
                let category = BUILT_IN_CATEGORIES.get(usize::from(place)).copied();
                let tags = record.tags();
                let of_it = tags.filter(|tag| category == Some(tag.category.as_str()));
                Some(count(of_it.count()))
            }
            _ => self.plain_number(record.row, || record.details()),
        }
    }

    /// The number that follows from what is packed alone; `details` unpacks it, for those
    /// columns that need it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no count, size or time needs more than 52 bits"
    )]
    pub(super) fn plain_number<'a>(
        self,
        row: &Row,
        details: impl FnOnce() -> Details<'a>,
    ) -> Option<f64> {
        let (width, height) = (f64::from(row.width), f64::from(row.height));
        let known = |number: f64| (number > 0.0).then_some(number);
        match self {
            Self::Imported => Some(row.imported as f64),
            Self::Created => Some(details().created as f64),
            Self::Modified => Some(details().modified as f64),
            Self::Bytes => Some(row.bytes as f64),
            Self::Width => known(width),
            Self::Height => known(height),
            Self::Mpixels => known(width * height / 1e6),
            Self::Ratio => (width > 0.0 && height > 0.0).then(|| width / height),
            Self::Duration => details().duration_ms.map(|ms| ms as f64),
            Self::Frames => Some(f64::from(details().frames)),
            Self::Tags => Some(count(details().tag_count)),
            Self::Stars => Some(f64::from(row.stars())),
            Self::Score => details().score.map(|score| score as f64),
            Self::Favcount => details().favcount.map(|count| count as f64),
            Self::Rating => row.rating().map(|rating| f64::from(rating as u8)),
            Self::Id
            | Self::Posts
            | Self::Extension
            | Self::Title
            | Self::Path
            | Self::CategoryTags(_) => None,
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

#[expect(
    clippy::cast_precision_loss,
    reason = "no count needs more than 52 bits"
)]
fn count(count: usize) -> f64 {
    count as f64
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
