//! What media are sorted by and cut into ranges by, and queries name.

use super::tag::BUILT_IN_CATEGORIES;

/// One value of every medium that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Imported,
    Id,
    /// The best known date.
    Created,
    Modified,
    /// Of the file.
    Bytes,
    Width,
    Height,
    /// Millions of pixels.
    Mpixels,
    /// Width by height.
    Ratio,
    /// Milliseconds.
    Duration,
    Frames,
    Tags,
    Stars,
    Score,
    Favcount,
    Rating,
    /// Posts of sites.
    Posts,
    /// Of the path, in lower case.
    Extension,
    /// What to call it on the screen: its name, else its file name.
    Title,
    Path,
    /// The tags of one built-in category, by its place in the table of categories.
    CategoryTags(u8),
}

/// The place of the first column of a category.
const CATEGORIES: usize = 20;

impl Column {
    /// Those that people sort by and cut into ranges most, and those that take longest to
    /// make: a stored catalog holds their orders. Each takes four bytes a medium, so these
    /// are few.
    pub const KEPT: [Self; 8] = [
        Self::Imported,
        Self::Id,
        Self::Created,
        Self::Modified,
        Self::Bytes,
        Self::Tags,
        Self::Title,
        Self::Path,
    ];

    /// How many there are.
    pub(super) const COUNT: usize = CATEGORIES + BUILT_IN_CATEGORIES.len();

    /// Its place among all.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Imported => 0,
            Self::Id => 1,
            Self::Created => 2,
            Self::Modified => 3,
            Self::Bytes => 4,
            Self::Width => 5,
            Self::Height => 6,
            Self::Mpixels => 7,
            Self::Ratio => 8,
            Self::Duration => 9,
            Self::Frames => 10,
            Self::Tags => 11,
            Self::Stars => 12,
            Self::Score => 13,
            Self::Favcount => 14,
            Self::Rating => 15,
            Self::Posts => 16,
            Self::Extension => 17,
            Self::Title => 18,
            Self::Path => 19,
            Self::CategoryTags(place) => CATEGORIES + usize::from(place),
        }
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [
            Self::Imported,
            Self::Id,
            Self::Created,
            Self::Modified,
            Self::Bytes,
            Self::Width,
            Self::Height,
            Self::Mpixels,
            Self::Ratio,
            Self::Duration,
            Self::Frames,
            Self::Tags,
            Self::Stars,
            Self::Score,
            Self::Favcount,
            Self::Rating,
            Self::Posts,
            Self::Extension,
            Self::Title,
            Self::Path,
        ]
        .into_iter()
        .chain(
            (0..)
                .take(BUILT_IN_CATEGORIES.len())
                .map(Self::CategoryTags),
        )
    }

    /// Whether its values are numbers, not texts.
    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Id | Self::Extension | Self::Title | Self::Path)
    }

    /// Whether the largest value comes first where nobody asks for another direction:
    /// all but texts.
    pub fn is_descending(self) -> bool {
        self.is_number()
    }
}
