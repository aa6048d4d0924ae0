//! The keys of the query language: their names, aliases, and what kind of value
//! each takes. One table; parser and evaluator read nothing else.

/// What a key takes after its colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A pattern: substring, glob or `/regex/`; commas are text.
    Text,
    /// Free words for the full-text index.
    Words,
    /// Names, separated by commas; any of them.
    List,
    /// Letters, separated by commas; `a` is another than `A`.
    Letters,
    /// One of a fixed set of words, separated by commas.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    Number,
    /// Bytes, with units.
    Size,
    /// `16:9` or a decimal.
    Ratio,
    /// Seconds, `1m30s` or `1:30`.
    Duration,
    /// A point or stretch of the calendar.
    Date,
    /// A length of time until now.
    Age,
    /// Names of colors or `#rrggbb`, each with a percentage behind it or none.
    Color,
    /// An id and options: `similar:ID,d<=10,n=50`.
    Similar,
    /// `name_asc`, `name_desc`.
    Order,
    /// A whole number.
    Count,
    /// A tag name, with globs or as `/regex/`.
    Tag,
    /// Nothing.
    Nothing,
}

/// What a term asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Tag,
    Direct,
    Text,
    Caption,
    Note,
    Name,
    Filename,
    Path,
    Folder,
    Ext,
    Url,
    Source,
    Site,
    Post,
    Src,
    Conf,
    Removed,
    /// All tags, or those of one category.
    Tagcount,
    Chars,
    Words,
    Tokens,
    Notecount,
    Urlcount,
    Sitecount,
    Childcount,
    Projectcount,
    Simcount,
    Type,
    Mask,
    Width,
    Height,
    Mpixels,
    Ratio,
    Filesize,
    Duration,
    Frames,
    Fps,
    Pages,
    Orient,
    Color,
    Date,
    Taken,
    Created,
    Imported,
    Modified,
    Filemod,
    Viewed,
    Age,
    Rating,
    Stars,
    Score,
    Favcount,
    Fav,
    Status,
    Project,
    Ordproject,
    Search,
    Mark,
    Selected,
    Is,
    Has,
    Needs,
    Id,
    Md5,
    Sha256,
    Pixel,
    Phash,
    Parent,
    Child,
    Of,
    Related,
    Similar,
    Dup,
    Embed,
    All,
    Order,
    Limit,
    Random,
}

/// The words of `type:`.
pub const TYPES: &[&str] = &[
    "image",
    "animation",
    "video",
    "mask",
    "crop",
    "video_frame",
    "frame",
];
/// The words of `rating:`.
pub const RATINGS: &[&str] = &[
    "g",
    "s",
    "q",
    "e",
    "general",
    "sensitive",
    "questionable",
    "explicit",
    "safe",
    "sfw",
    "nsfw",
    "rating_general",
    "rating_sensitive",
    "rating_questionable",
    "rating_explicit",
];
/// The words of `status:`.
pub const STATUSES: &[&str] = &[
    "inbox", "archived", "archive", "trash", "missing", "broken", "any",
];
/// The words of `is:`.
pub const IS: &[&str] = &[
    "fav",
    "favorite",
    "favourite",
    "inbox",
    "archived",
    "trash",
    "derived",
    "hidden",
    "animated",
    "portrait",
    "landscape",
    "square",
    "sfw",
    "nsfw",
    "tagged",
    "untagged",
    "rated",
    "captioned",
    "king",
    "dirty",
    "locked",
];
/// The words of `has:`; `mask:NAME` besides.
pub const HAS: &[&str] = &[
    "parent",
    "child",
    "relationship",
    "pool",
    "project",
    "video",
    "mask",
    "crop",
    "frame",
    "caption",
    "note",
    "url",
    "source",
    "alpha",
    "audio",
    "exif",
    "xmp",
    "iptc",
    "icc",
    "gps",
    "gen",
    "similar",
    "dup",
    "alternate",
    "phash",
    "embedding",
    "thumb",
    "sidecar",
    "upscaled",
];
/// The words of `needs:`.
pub const NEEDS: &[&str] = &[
    "tags",
    "caption",
    "rating",
    "metadata",
    "hash",
    "embedding",
    "thumb",
    "review",
];
/// The words of `orient:`.
pub const ORIENTATIONS: &[&str] = &["portrait", "landscape", "square"];

/// Sites whose names are keys of their own (`danbooru:123`) and values of `source:`.
pub const SITES: &[&str] = &[
    "danbooru",
    "e621",
    "gelbooru",
    "yandere",
    "konachan",
    "pixiv",
    "twitter",
    "local_tagger",
];

struct Row(Key, &'static str, &'static [&'static str], ValueKind);

const TABLE: &[Row] = &[
    Row(Key::Tag, "tag", &[], ValueKind::Tag),
    Row(Key::Direct, "direct", &[], ValueKind::Tag),
    Row(Key::Text, "text", &["fts"], ValueKind::Words),
    Row(Key::Caption, "caption", &[], ValueKind::Text),
    Row(Key::Note, "note", &[], ValueKind::Text),
    Row(Key::Name, "name", &[], ValueKind::Text),
    Row(Key::Filename, "filename", &["file"], ValueKind::Text),
    Row(Key::Path, "path", &[], ValueKind::Text),
    Row(Key::Folder, "folder", &[], ValueKind::Text),
    Row(Key::Ext, "ext", &["filetype", "extension"], ValueKind::List),
    Row(Key::Url, "url", &[], ValueKind::Text),
    Row(Key::Source, "source", &[], ValueKind::Text),
    Row(Key::Site, "site", &[], ValueKind::List),
    Row(Key::Post, "post", &[], ValueKind::List),
    Row(Key::Src, "src", &[], ValueKind::Text),
    Row(Key::Conf, "conf", &[], ValueKind::Number),
    Row(Key::Removed, "removed", &[], ValueKind::Tag),
    Row(
        Key::Tagcount,
        "tagcount",
        &["tags", "tag-count", "tag_count", "num_tags"],
        ValueKind::Number,
    ),
    Row(Key::Chars, "chars", &[], ValueKind::Number),
    Row(Key::Words, "words", &[], ValueKind::Number),
    Row(Key::Tokens, "tokens", &[], ValueKind::Number),
    Row(Key::Notecount, "notecount", &[], ValueKind::Number),
    Row(Key::Urlcount, "urlcount", &[], ValueKind::Number),
    Row(Key::Sitecount, "sitecount", &[], ValueKind::Number),
    Row(Key::Childcount, "childcount", &[], ValueKind::Number),
    Row(Key::Projectcount, "projectcount", &[], ValueKind::Number),
    Row(Key::Simcount, "simcount", &[], ValueKind::Number),
    Row(Key::Type, "type", &[], ValueKind::Choice(TYPES)),
    Row(Key::Mask, "mask", &[], ValueKind::Text),
    Row(Key::Width, "width", &["w"], ValueKind::Number),
    Row(Key::Height, "height", &["h"], ValueKind::Number),
    Row(Key::Mpixels, "mpixels", &["mp"], ValueKind::Number),
    Row(Key::Ratio, "ratio", &["ar"], ValueKind::Ratio),
    Row(Key::Filesize, "filesize", &["size"], ValueKind::Size),
    Row(Key::Duration, "duration", &["dur"], ValueKind::Duration),
    Row(Key::Frames, "frames", &[], ValueKind::Number),
    Row(Key::Fps, "fps", &[], ValueKind::Number),
    Row(Key::Pages, "pages", &[], ValueKind::Number),
    Row(Key::Orient, "orient", &[], ValueKind::Choice(ORIENTATIONS)),
    Row(Key::Color, "color", &["colour"], ValueKind::Color),
    Row(Key::Date, "date", &[], ValueKind::Date),
    Row(Key::Taken, "taken", &[], ValueKind::Date),
    Row(Key::Created, "created", &[], ValueKind::Date),
    Row(
        Key::Imported,
        "imported",
        &["ingested", "added"],
        ValueKind::Date,
    ),
    Row(Key::Modified, "modified", &["edited"], ValueKind::Date),
    Row(Key::Filemod, "filemod", &[], ValueKind::Date),
    Row(Key::Viewed, "viewed", &[], ValueKind::Date),
    Row(Key::Age, "age", &[], ValueKind::Age),
    Row(Key::Rating, "rating", &[], ValueKind::Choice(RATINGS)),
    Row(Key::Stars, "stars", &[], ValueKind::Number),
    Row(Key::Score, "score", &["sitescore"], ValueKind::Number),
    Row(Key::Favcount, "favcount", &[], ValueKind::Number),
    Row(Key::Fav, "fav", &[], ValueKind::Flag),
    Row(Key::Status, "status", &[], ValueKind::Choice(STATUSES)),
    Row(Key::Project, "project", &["pool", "album"], ValueKind::Text),
    Row(Key::Ordproject, "ordproject", &["ordpool"], ValueKind::Text),
    Row(Key::Search, "search", &[], ValueKind::Text),
    Row(Key::Mark, "mark", &[], ValueKind::Letters),
    Row(Key::Selected, "sel", &[], ValueKind::List),
    Row(Key::Is, "is", &[], ValueKind::Choice(IS)),
    Row(Key::Has, "has", &[], ValueKind::Choice(HAS)),
    Row(Key::Needs, "needs", &[], ValueKind::Choice(NEEDS)),
    Row(Key::Id, "id", &[], ValueKind::List),
    Row(Key::Md5, "md5", &[], ValueKind::List),
    Row(Key::Sha256, "sha256", &[], ValueKind::List),
    Row(Key::Pixel, "pixel", &[], ValueKind::List),
    Row(Key::Phash, "phash", &[], ValueKind::List),
    Row(Key::Parent, "parent", &[], ValueKind::List),
    Row(Key::Child, "child", &[], ValueKind::List),
    Row(Key::Of, "of", &[], ValueKind::List),
    Row(Key::Related, "related", &[], ValueKind::List),
    Row(Key::Similar, "similar", &[], ValueKind::Similar),
    Row(Key::Dup, "dup", &[], ValueKind::List),
    Row(Key::Embed, "embed", &[], ValueKind::Words),
    Row(Key::All, "all", &[], ValueKind::Nothing),
    Row(Key::Order, "order", &["sort"], ValueKind::Order),
    Row(Key::Limit, "limit", &[], ValueKind::Count),
    Row(Key::Random, "random", &[], ValueKind::Count),
];

/// Keys that stand for a count of one category.
const CATEGORY_COUNTS: &[(&str, &str)] = &[
    ("gentags", "general"),
    ("arttags", "artist"),
    ("copytags", "copyright"),
    ("chartags", "character"),
    ("spectags", "species"),
    ("metatags", "meta"),
];

impl Key {
    /// The canonical name.
    pub fn name(self) -> &'static str {
        row(self).1
    }

    pub fn kind(self) -> ValueKind {
        row(self).3
    }

    /// The key of that name or alias, lower case.
    pub fn find(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.1 == name || row.2.contains(&name))
            .map(|row| row.0)
    }

    /// Order, limit and sample: they say how results are given, not which.
    pub fn is_modifier(self) -> bool {
        matches!(self, Self::Order | Self::Limit | Self::Random)
    }
}

#[expect(clippy::indexing_slicing, reason = "the table has a row for every key")]
fn row(key: Key) -> &'static Row {
    // A test asserts that the table is in the order of the enum.
    &TABLE[key as usize]
}

/// The category whose tags a key like `chartags` counts.
pub fn counted_category(name: &str) -> Option<&'static str> {
    CATEGORY_COUNTS
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, category)| *category)
}

/// All key names without aliases, for hints and completion.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, place, "{}", row.1);
        }
        assert_eq!(Key::Random as usize, TABLE.len() - 1);
    }

    #[test]
    fn no_name_has_two_meanings() {
        let mut seen = std::collections::BTreeSet::new();
        for row in TABLE {
            for name in std::iter::once(&row.1).chain(row.2) {
                assert!(seen.insert(*name), "{name}");
            }
        }
    }
}
