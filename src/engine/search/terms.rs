//! The truth of terms: which media each one matches.

use std::{borrow::Cow, collections::HashMap};

use jiff::{
    ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use roaring::{MultiOps, RoaringBitmap};

use super::text::{Matcher, glob};
use crate::{
    engine::{job::Cancel, suggest::nearest},
    model::{
        catalog::{Catalog, Record},
        entry::Facets,
        hash::PerceptualHash,
        id::{Md5, MediaId, MediaKey},
        media::{MediaKind, Rating, Status},
        query::{
            Query, canonical,
            key::{Key, SITES},
            tree::{
                DateTest, Items, Moment, Node, NumberTest, Pattern, Similar, TagOrigin, Term, Test,
                Value,
            },
        },
        tag::{TagName, normalize, normalize_category},
        text::display_text,
    },
};

/// Records between two looks at the cancel flag.
const STEP: usize = 4096;
/// Bits by which `similar:` lets hashes differ when it does not say.
const DEFAULT_DISTANCE: u32 = 10;
/// The shortest prefix of an id.
const MIN_PREFIX: usize = 4;

/// The full-text index, which only storage knows.
pub trait FullText {
    /// Media whose texts match. `field` is `caption`, `name`, `note` or `filename`,
    /// or `None` for all of them; `words` is what the user wrote: words that must all
    /// be there, `"a phrase"`, `prefix*`.
    ///
    /// # Errors
    /// When the index cannot be asked; the text names the cause.
    fn find(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String>;
}

/// A library without full-text index: finds nothing and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFullText;

impl FullText for NoFullText {
    fn find(&self, _field: Option<&str>, _words: &str) -> Result<Vec<MediaKey>, String> {
        Err("this library has no full-text index yet".to_owned())
    }
}

/// The search was cancelled.
pub struct Cancelled;

type Media<'a> = Cow<'a, RoaringBitmap>;
type Result<T, E = Cancelled> = std::result::Result<T, E>;

/// One run of one query.
pub struct Evaluation<'a> {
    query: &'a Query,
    pub catalog: &'a Catalog,
    full_text: &'a dyn FullText,
    pub now: i64,
    cancel: &'a Cancel,
    zone: TimeZone,
    /// What people should know of the result, the most important first.
    pub hints: Vec<String>,
    /// Every term evaluated so far, as a chip shows it.
    pub counted: Vec<(String, Media<'a>)>,
    /// Canonical form to the place in `counted`.
    known: HashMap<String, usize>,
    /// How far the media that `similar:` found are from what it names.
    pub distances: HashMap<u32, u32>,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        query: &'a Query,
        catalog: &'a Catalog,
        full_text: &'a dyn FullText,
        now: i64,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            query,
            catalog,
            full_text,
            now,
            cancel,
            zone: TimeZone::system(),
            hints: Vec::new(),
            counted: Vec::new(),
            known: HashMap::new(),
            distances: HashMap::new(),
        }
    }

    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Adds a line for people; parts that come from data are made safe to show.
    pub fn hint(&mut self, hint: String) {
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }

    pub fn node(&mut self, node: &Node) -> Result<Media<'a>> {
        self.check()?;
        match node {
            Node::Term(term) => self.term(term),
            Node::Not(inner) => {
                let unwanted = self.node(inner)?;
                Ok(Cow::Owned(self.catalog.all() - unwanted.as_ref()))
            }
            Node::Or(nodes) => {
                let parts = nodes
                    .iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Cow::Owned(parts.iter().map(AsRef::as_ref).union()))
            }
            Node::And(nodes) => {
                let (wanted, unwanted) = split(nodes);
                let mut wanted = wanted
                    .into_iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                let unwanted = unwanted
                    .into_iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                // The smallest first: every further step looks at no more than that.
                wanted.sort_by_key(|media| media.len());
                let mut wanted = wanted.into_iter();
                let mut found = wanted
                    .next()
                    .map_or_else(|| self.catalog.all().clone(), Cow::into_owned);
                for media in wanted {
                    found &= media.as_ref();
                }
                for media in unwanted {
                    found -= media.as_ref();
                }
                Ok(Cow::Owned(found))
            }
        }
    }

    fn term(&mut self, term: &Term) -> Result<Media<'a>> {
        let form = canonical::leaf(term);
        if let Some((_, media)) = self.known.get(&form).and_then(|at| self.counted.get(*at)) {
            return Ok(media.clone());
        }
        let mut text = self.query.source_of(term).to_owned();
        let media = match &term.test {
            Test::Tag {
                category, value, ..
            } => {
                let media = self.tag(category.as_deref(), value);
                if media.is_empty() {
                    self.unknown(term, value, &mut text)
                } else {
                    media
                }
            }
            Test::Wildcard {
                category,
                pattern,
                is_unfinished,
            } => {
                let media = self.wildcard(category.as_deref(), pattern)?;
                let is_text = *is_unfinished && category.is_none() && self.query.unknown_is_text();
                if media.is_empty() && is_text {
                    text = format!("text:{text}");
                    self.texts(None, &pattern.replace('_', " "))
                } else {
                    media
                }
            }
            Test::Key {
                key,
                category,
                value,
            } => self.key(*key, category.as_deref(), value)?,
        };
        self.known.insert(form, self.counted.len());
        self.counted.push((text, media.clone()));
        Ok(media)
    }

    /// A tag that nothing has: a word to look for in texts, or one to hint at.
    fn unknown(&mut self, term: &Term, value: &str, text: &mut String) -> Media<'a> {
        if is_word(term) && self.query.unknown_is_text() {
            *text = format!("text:{value}");
            return self.texts(None, &value.replace('_', " "));
        }
        let shown = display_text(value).into_owned();
        let hint = match nearest(self.catalog, value) {
            _ if !self.catalog.is_complete() => {
                format!("no tag {shown} among the media read so far")
            }
            Some((name, count)) => format!(
                "no tag {shown}; did you mean {} ({count})?",
                display_text(&name.to_string())
            ),
            None => match shown.split_once(':') {
                Some((key, _)) if is_word(term) && !key.is_empty() => {
                    format!("no tag {shown}, and no key {key}")
                }
                _ => format!("no tag {shown}"),
            },
        };
        self.hint(hint);
        Cow::default()
    }

    fn texts(&mut self, field: Option<&str>, words: &str) -> Media<'a> {
        match self.full_text.find(field, words) {
            Ok(keys) => Cow::Owned(keys.into_iter().map(|key| key.0).collect()),
            Err(error) => {
                self.hint(format!("cannot look into texts: {}", display_text(&error)));
                Cow::default()
            }
        }
    }

    fn tag(&self, category: Option<&str>, value: &str) -> Media<'a> {
        if let Some(category) = category {
            let name = TagName::new(category, value);
            return self
                .catalog
                .tagged(&name)
                .map_or_else(Cow::default, Cow::Borrowed);
        }
        let mut found: Vec<&RoaringBitmap> = (self.catalog.tagged_value(value))
            .map(|(_, media)| media)
            .collect();
        // `tag:category:value` reaches a category whose name is a key.
        if let Some((category, value)) = value.split_once(':') {
            found.extend(self.catalog.tagged(&TagName::new(category, value)));
        }
        match found.as_slice() {
            [one] => Cow::Borrowed(*one),
            many => Cow::Owned(many.iter().copied().union()),
        }
    }

    fn wildcard(&mut self, category: Option<&str>, pattern: &str) -> Result<Media<'a>> {
        if category.is_none() && pattern.bytes().all(|b| b == b'*') {
            return self.scan(|record| record.tag_count() > 0);
        }
        self.tags_where(|name| {
            category.is_none_or(|category| name.category == category) && glob(pattern, &name.value)
        })
    }

    /// The media with any tag of such a name.
    fn tags_where(&self, test: impl Fn(&TagName) -> bool) -> Result<Media<'a>> {
        let mut found = Vec::new();
        for (place, (name, media)) in self.catalog.tag_bitmaps().enumerate() {
            if place % STEP == 0 {
                self.check()?;
            }
            if test(name) {
                found.push(media);
            }
        }
        Ok(Cow::Owned(found.into_iter().union()))
    }

    /// The media of which a test is true: one pass over the records.
    fn scan(&self, mut test: impl FnMut(&Record<'a>) -> bool) -> Result<Media<'a>> {
        let mut found = Vec::new();
        for (place, key) in self.catalog.keys().enumerate() {
            if place % STEP == 0 {
                self.check()?;
            }
            if let Some(record) = self.catalog.record(key)
                && test(&record)
            {
                found.push(key.0);
            }
        }
        Ok(Cow::Owned(found.into_iter().collect()))
    }

    fn with(&self, facet: Facets) -> Media<'a> {
        Cow::Borrowed(self.catalog.with_facet(facet))
    }

    fn all_but(&self, media: &Media<'_>) -> Media<'a> {
        Cow::Owned(self.catalog.all() - media.as_ref())
    }

    fn union(parts: &[Media<'_>]) -> Media<'a> {
        Cow::Owned(parts.iter().map(AsRef::as_ref).union())
    }

    /// Understood, but nothing here can answer it yet.
    fn unavailable(&mut self, what: &str) -> Media<'a> {
        self.hint(format!("{what} finds nothing in this version"));
        Cow::default()
    }

    fn key(&mut self, key: Key, category: Option<&str>, value: &Value) -> Result<Media<'a>> {
        match &value.items {
            Items::Any => {
                if key == Key::Status {
                    return Ok(Cow::Borrowed(self.catalog.all()));
                }
                self.has_any(key, category)
            }
            Items::None => {
                let any = self.has_any(key, category)?;
                Ok(self.all_but(&any))
            }
            Items::Nothing => Ok(Cow::Borrowed(self.catalog.all())),
            Items::Numbers(tests) => self.numbers(key, category, tests),
            Items::Dates(tests) => self.dates(key, tests),
            Items::Pattern(pattern) => self.pattern(key, pattern, value),
            Items::Words(words) if key == Key::Text => Ok(self.texts(None, words)),
            Items::Flag(is_on) => {
                let media = Cow::Borrowed(self.catalog.favorites());
                Ok(if *is_on { media } else { self.all_but(&media) })
            }
            Items::List(words) => {
                let mut parts = Vec::with_capacity(words.len());
                for word in words {
                    parts.push(self.word(key, word)?);
                }
                Ok(match parts.pop() {
                    Some(only) if parts.is_empty() => only,
                    Some(last) => {
                        parts.push(last);
                        Self::union(&parts)
                    }
                    None => Cow::default(),
                })
            }
            Items::Similar(similar) => self.similar(similar),
            Items::Words(_) | Items::Order(_) | Items::Count(_) => {
                Ok(self.unavailable(&format!("{}:", key.name())))
            }
        }
    }

    /// The media that have a value of that key at all.
    fn has_any(&mut self, key: Key, category: Option<&str>) -> Result<Media<'a>> {
        Ok(match key {
            Key::Caption | Key::Text => self.with(Facets::CAPTION),
            Key::Note | Key::Notecount => self.with(Facets::NOTE),
            Key::Url | Key::Urlcount => self.with(Facets::URL),
            Key::Source | Key::Sitecount => self.with(Facets::SOURCE),
            Key::Parent => self.with(Facets::PARENT),
            Key::Child | Key::Childcount => self.with(Facets::CHILD),
            Key::Related => self.with(Facets::RELATION),
            Key::Simcount => self.with(Facets::SIMILAR),
            Key::Mask => self.with(Facets::MASK),
            Key::Fav => Cow::Borrowed(self.catalog.favorites()),
            Key::Md5 => Cow::Borrowed(self.catalog.with_md5()),
            Key::Rating => self.ratings(&Rating::ALL),
            Key::Status => Self::union(&[self.status("inbox"), self.status("archived")]),
            Key::Name => self.scan(|record| !record.name().is_empty())?,
            Key::Site | Key::Post => self.scan(|record| record.posts().next().is_some())?,
            Key::Phash => self.scan(|record| record.phash().is_some())?,
            Key::Of => self.scan(|record| record.origin().is_some())?,
            Key::Tag | Key::Direct => self.scan(|record| record.tag_count() > 0)?,
            Key::Tagcount | Key::Stars | Key::Frames => self.scan(|record| {
                number(record, key, category, 0).is_some_and(|number| number > 0.0)
            })?,
            Key::Width
            | Key::Height
            | Key::Mpixels
            | Key::Ratio
            | Key::Filesize
            | Key::Duration
            | Key::Score
            | Key::Favcount => self.scan(|record| number(record, key, category, 0).is_some())?,
            Key::Orient => self.scan(|record| record.width() > 0 && record.height() > 0)?,
            Key::Filename
            | Key::Path
            | Key::Folder
            | Key::Ext
            | Key::Type
            | Key::Id
            | Key::Date
            | Key::Created
            | Key::Taken
            | Key::Imported
            | Key::Modified
            | Key::Filemod
            | Key::Age => Cow::Borrowed(self.catalog.all()),
            Key::Conf
            | Key::Removed
            | Key::Src
            | Key::Chars
            | Key::Words
            | Key::Tokens
            | Key::Projectcount
            | Key::Fps
            | Key::Pages
            | Key::Color
            | Key::Viewed
            | Key::Project
            | Key::Ordproject
            | Key::Mark
            | Key::Selected
            | Key::Is
            | Key::Has
            | Key::Needs
            | Key::Sha256
            | Key::Pixel
            | Key::Similar
            | Key::Dup
            | Key::Embed
            | Key::All
            | Key::Order
            | Key::Limit
            | Key::Random => self.unavailable(&format!("{}:any", key.name())),
        })
    }

    fn numbers(
        &mut self,
        key: Key,
        category: Option<&str>,
        tests: &[NumberTest],
    ) -> Result<Media<'a>> {
        let is_known = matches!(
            key,
            Key::Tagcount
                | Key::Width
                | Key::Height
                | Key::Mpixels
                | Key::Ratio
                | Key::Filesize
                | Key::Duration
                | Key::Frames
                | Key::Age
                | Key::Stars
                | Key::Score
                | Key::Favcount
                | Key::Sitecount
        );
        if !is_known {
            return Ok(self.unavailable(&format!("{}:", key.name())));
        }
        if let Some(category) = category {
            return self.category_counts(category, tests);
        }
        let now = self.now;
        self.scan(|record| {
            number(record, key, None, now)
                .is_some_and(|number| tests.iter().any(|test| test.matches(number)))
        })
    }

    fn category_counts(&self, category: &str, tests: &[NumberTest]) -> Result<Media<'a>> {
        let (_, known) = self.catalog.vocabulary();
        let is_counted: Vec<bool> = (0..)
            .take(known)
            .map(|number| {
                let name = self.catalog.tag_at(number).map(|(name, _)| name);
                name.is_some_and(|name| name.category == category)
            })
            .collect();
        self.scan(|record| {
            let counted = record
                .tag_numbers()
                .filter(|number| is_counted.get(*number as usize) == Some(&true));
            let count = f64::from(u32::try_from(counted.count()).unwrap_or(u32::MAX));
            tests.iter().any(|test| test.matches(count))
        })
    }

    fn dates(&mut self, key: Key, tests: &[DateTest]) -> Result<Media<'a>> {
        let time: fn(&Record<'_>) -> i64 = match key {
            Key::Date | Key::Taken | Key::Created => |record| record.created(),
            Key::Imported => |record| record.imported(),
            Key::Modified | Key::Filemod => |record| record.modified(),
            _ => return Ok(self.unavailable(&format!("{}:", key.name()))),
        };
        let ranges: Vec<_> = tests.iter().filter_map(|test| self.range(test)).collect();
        self.scan(|record| {
            let time = time(record);
            ranges
                .iter()
                .any(|(from, until, is_negated)| (time >= *from && time < *until) != *is_negated)
        })
    }

    /// The seconds from (inclusive) and until (exclusive), and whether outside is meant.
    fn range(&self, test: &DateTest) -> Option<(i64, i64, bool)> {
        let bounds = |moment: &Option<Moment>| match moment {
            Some(moment) => self.bounds(*moment).map(Some),
            None => Some(None),
        };
        let (from, until) = (bounds(&test.from)?, bounds(&test.until)?);
        let (after, before) = (bounds(&test.after)?, bounds(&test.before)?);
        let start = from.map(|(start, _)| start).or(after.map(|(_, end)| end));
        let end = until.map(|(_, end)| end).or(before.map(|(start, _)| start));
        Some((
            start.unwrap_or(i64::MIN),
            end.unwrap_or(i64::MAX),
            test.is_negated,
        ))
    }

    /// The first second of a stretch of the local calendar, and the first after it.
    fn bounds(&self, moment: Moment) -> Option<(i64, i64)> {
        let today = || -> Option<Date> {
            let now = jiff::Timestamp::from_second(self.now).ok()?;
            Some(now.to_zoned(self.zone.clone()).date())
        };
        let days = |start: Date, span: jiff::Span| -> Option<(DateTime, DateTime)> {
            let end = start.checked_add(span).ok()?;
            Some((start.into(), end.into()))
        };
        let (start, end) = match moment {
            Moment::Year(year) => days(Date::new(year, 1, 1).ok()?, 1.year())?,
            Moment::Month(year, month) => days(Date::new(year, month, 1).ok()?, 1.month())?,
            Moment::Day(date) => days(date, 1.day())?,
            Moment::Today => days(today()?, 1.day())?,
            Moment::Yesterday => days(today()?.yesterday().ok()?, 1.day())?,
            Moment::ThisWeek => {
                let today = today()?;
                let since_monday = i64::from(today.weekday().to_monday_zero_offset());
                days(today.checked_sub(since_monday.days()).ok()?, 7.days())?
            }
            Moment::ThisMonth => days(today()?.first_of_month(), 1.month())?,
            Moment::ThisYear => days(today()?.first_of_year(), 1.year())?,
            Moment::Time { start, seconds } => {
                let span = if seconds { 1.second() } else { 1.minute() };
                (start, start.checked_add(span).ok()?)
            }
        };
        let second = |time: DateTime| -> Option<i64> {
            let zoned = time.to_zoned(self.zone.clone()).ok()?;
            Some(zoned.timestamp().as_second())
        };
        Some((second(start)?, second(end)?))
    }

    fn pattern(&mut self, key: Key, pattern: &Pattern, value: &Value) -> Result<Media<'a>> {
        if matches!(key, Key::Tag | Key::Direct) {
            return self.tag_pattern(pattern);
        }
        if matches!(key, Key::Caption | Key::Note) {
            let Pattern::Substring(words) = pattern else {
                return Ok(self.unavailable(&format!("{}: with a pattern", key.name())));
            };
            let words = if value.is_quoted {
                format!("\"{}\"", words.replace('"', " "))
            } else {
                words.clone()
            };
            return Ok(self.texts(Some(key.name()), &words));
        }
        if key == Key::Source {
            return self.source(pattern);
        }
        let Some(matcher) = Matcher::new(pattern) else {
            return Ok(Cow::default());
        };
        match key {
            Key::Name => self.scan(|record| matcher.matches(record.name())),
            Key::Filename => self.scan(|record| matcher.matches(&record.file_name())),
            Key::Path => self.scan(|record| matcher.matches(&record.path())),
            Key::Folder => self.scan(|record| {
                let path = record.path();
                matcher.matches(path.rsplit_once('/').map_or("", |(folder, _)| folder))
            }),
            _ => Ok(self.unavailable(&format!("{}:", key.name()))),
        }
    }

    fn tag_pattern(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        match pattern {
            Pattern::Substring(word) => {
                let value = normalize(word);
                let media = self.tag(None, &value);
                if media.is_empty() {
                    self.hint(format!("no tag {}", display_text(&value)));
                }
                Ok(media)
            }
            Pattern::Glob(pattern) => {
                let pattern = normalize(pattern);
                match pattern.split_once(':') {
                    Some((category, rest)) => {
                        let category = normalize_category(category);
                        self.tags_where(|name| {
                            glob(&pattern, &name.value)
                                || (name.category == category && glob(rest, &name.value))
                        })
                    }
                    None => self.wildcard(None, &pattern),
                }
            }
            Pattern::Regex { .. } => match Matcher::new(pattern) {
                Some(matcher) => self.tags_where(|name| matcher.matches(&name.value)),
                None => Ok(Cow::default()),
            },
        }
    }

    /// A known site, else a URL.
    fn source(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        if let Pattern::Substring(site) = pattern {
            let site = site.to_lowercase();
            let is_site =
                SITES.contains(&site.as_str()) || self.catalog.sites().any(|known| known == site);
            if is_site {
                return self.word(Key::Site, &site);
            }
        }
        Ok(self.unavailable("source: with a URL"))
    }

    fn ratings(&self, ratings: &[Rating]) -> Media<'a> {
        let parts = ratings.iter().map(|rating| self.catalog.of_rating(*rating));
        Cow::Owned(parts.union())
    }

    fn status(&self, word: &str) -> Media<'a> {
        match word {
            "inbox" => Cow::Borrowed(self.catalog.of_status(Status::Inbox)),
            "archive" | "archived" => Cow::Borrowed(self.catalog.of_status(Status::Archived)),
            "trash" => self.with(Facets::TRASHED),
            "missing" => self.with(Facets::MISSING),
            "any" => Cow::Borrowed(self.catalog.all()),
            _ => Cow::default(),
        }
    }

    fn derived(&self) -> Media<'a> {
        let kinds = MediaKind::ALL.into_iter().filter(|kind| kind.is_derived());
        Cow::Owned(kinds.map(|kind| self.catalog.of_kind(kind)).union())
    }

    fn oriented(&self, word: &str) -> Result<Media<'a>> {
        let wanted = match word {
            "portrait" => std::cmp::Ordering::Less,
            "landscape" => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        };
        self.scan(|record| {
            record.width() > 0
                && record.height() > 0
                && record.width().cmp(&record.height()) == wanted
        })
    }

    /// One word of a list.
    fn word(&mut self, key: Key, word: &str) -> Result<Media<'a>> {
        Ok(match key {
            Key::Rating => match word {
                "safe" => self.ratings(&[Rating::General]),
                "sfw" => self.ratings(&[Rating::General, Rating::Sensitive]),
                "nsfw" => self.ratings(&[Rating::Questionable, Rating::Explicit]),
                word => match word.parse() {
                    Ok(rating) => Cow::Borrowed(self.catalog.of_rating(rating)),
                    Err(_) => Cow::default(),
                },
            },
            Key::Type => {
                let word = if word == "frame" { "video_frame" } else { word };
                match word.parse() {
                    Ok(kind) => Cow::Borrowed(self.catalog.of_kind(kind)),
                    Err(_) => Cow::default(),
                }
            }
            Key::Status => self.status(word),
            Key::Orient => self.oriented(word)?,
            Key::Is => self.is(word)?,
            Key::Has => self.has(word)?,
            Key::Needs => self.needs(word)?,
            Key::Ext => self.scan(|record| has_extension(&record.path(), word))?,
            Key::Site => self.scan(|record| record.posts().any(|(site, _)| site == word))?,
            Key::Post => match word.split_once(':') {
                Some((site, id)) => Cow::Owned(
                    self.catalog
                        .keys_of_post(site, id)
                        .map(|key| key.0)
                        .collect(),
                ),
                None => self.scan(|record| record.posts().any(|(_, id)| id == word))?,
            },
            Key::Id => self.ids(word)?,
            Key::Md5 => self.md5(word)?,
            Key::Phash => self.scan(|record| {
                record
                    .phash()
                    .is_some_and(|hash| hash.to_string().starts_with(word))
            })?,
            Key::Of => {
                let ids = self.named(word)?;
                self.scan(|record| {
                    record
                        .origin()
                        .is_some_and(|of| ids.iter().any(|id| id == of))
                })?
            }
            Key::Parent => {
                let ids = self.named(word)?;
                let mut family = self.ids(word)?.into_owned();
                family |= self
                    .scan(|record| {
                        record
                            .parent()
                            .is_some_and(|of| ids.iter().any(|id| id == of))
                    })?
                    .as_ref();
                Cow::Owned(family)
            }
            Key::Child => {
                let parents: Vec<String> = self
                    .ids(word)?
                    .iter()
                    .filter_map(|key| self.catalog.record(MediaKey(key)))
                    .filter_map(|record| record.parent().map(str::to_owned))
                    .collect();
                let ids: Vec<MediaId> = parents.iter().filter_map(|id| id.parse().ok()).collect();
                Cow::Owned(
                    ids.iter()
                        .filter_map(|id| self.catalog.key_of(id))
                        .map(|key| key.0)
                        .collect(),
                )
            }
            _ => self.unavailable(&format!("{}:", key.name())),
        })
    }

    fn is(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "fav" | "favorite" | "favourite" => Cow::Borrowed(self.catalog.favorites()),
            "inbox" | "archived" | "trash" => self.status(word),
            "derived" => self.derived(),
            "animated" => Cow::Borrowed(self.catalog.of_kind(MediaKind::Animation)),
            "portrait" | "landscape" | "square" => self.oriented(word)?,
            "sfw" | "nsfw" => self.word(Key::Rating, word)?,
            "tagged" => self.has_any(Key::Tagcount, None)?,
            "untagged" => self.key(Key::Tagcount, None, &nothing())?,
            "rated" => self.has_any(Key::Rating, None)?,
            "captioned" => self.with(Facets::CAPTION),
            "locked" => self.with(Facets::LOCKED),
            _ => self.unavailable(&format!("is:{word}")),
        })
    }

    fn has(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "parent" => self.with(Facets::PARENT),
            "child" => self.with(Facets::CHILD),
            "relationship" => self.with(Facets::RELATION),
            "mask" => self.with(Facets::MASK),
            "crop" => self.with(Facets::CROP),
            "frame" => self.with(Facets::FRAME),
            "caption" => self.with(Facets::CAPTION),
            "note" => self.with(Facets::NOTE),
            "url" => self.with(Facets::URL),
            "source" => self.with(Facets::SOURCE),
            "alpha" => self.with(Facets::ALPHA),
            "gps" => self.with(Facets::GPS),
            "gen" => self.with(Facets::GENERATION),
            "similar" => self.with(Facets::SIMILAR),
            "sidecar" => self.with(Facets::SIDECAR),
            "phash" => self.has_any(Key::Phash, None)?,
            "video" => Cow::Borrowed(self.catalog.of_kind(MediaKind::Video)),
            "thumb" => self.all_but(&self.with(Facets::NEEDS_THUMBNAIL)),
            _ => self.unavailable(&format!("has:{}", display_text(word))),
        })
    }

    fn needs(&mut self, word: &str) -> Result<Media<'a>> {
        Ok(match word {
            "tags" => self.is("untagged")?,
            "caption" => self.all_but(&self.with(Facets::CAPTION)),
            "rating" => self.key(Key::Rating, None, &nothing())?,
            "metadata" => self.all_but(&self.with(Facets::SOURCE)),
            "hash" => self.scan(|record| record.md5().is_none() || record.phash().is_none())?,
            "thumb" => self.with(Facets::NEEDS_THUMBNAIL),
            _ => self.unavailable(&format!("needs:{word}")),
        })
    }

    /// An id, or all that start like it.
    fn ids(&mut self, word: &str) -> Result<Media<'a>> {
        let exact = word
            .parse()
            .ok()
            .and_then(|id: MediaId| self.catalog.key_of(&id));
        if let Some(key) = exact {
            return Ok(Cow::Owned(RoaringBitmap::from([key.0])));
        }
        if word.chars().count() < MIN_PREFIX {
            self.hint(format!(
                "an id starts with at least {MIN_PREFIX} characters"
            ));
            return Ok(Cow::default());
        }
        self.scan(|record| record.id().as_str().starts_with(word))
    }

    /// The ids that a word names; itself, when there is no such medium here.
    fn named(&mut self, word: &str) -> Result<Vec<String>> {
        let keys = self.ids(word)?;
        let mut ids: Vec<String> = keys
            .iter()
            .filter_map(|key| self.catalog.record(MediaKey(key)))
            .map(|record| record.id().as_str().to_owned())
            .collect();
        if ids.is_empty() {
            ids.push(word.to_owned());
        }
        Ok(ids)
    }

    fn md5(&mut self, word: &str) -> Result<Media<'a>> {
        if let Ok(md5) = word.parse::<Md5>() {
            let keys = self.catalog.keys_of_md5(&md5);
            return Ok(Cow::Owned(keys.into_iter().map(|key| key.0).collect()));
        }
        self.scan(|record| {
            record
                .md5()
                .is_some_and(|md5| md5.to_string().starts_with(word))
        })
    }

    fn similar(&mut self, similar: &Similar) -> Result<Media<'a>> {
        if let Some(by) = similar.by.as_deref().filter(|by| *by != "phash") {
            return Ok(self.unavailable(&format!("similar: by {}", display_text(by))));
        }
        let hashes: Vec<PerceptualHash> = self
            .ids(&similar.id)?
            .iter()
            .filter_map(|key| self.catalog.record(MediaKey(key))?.phash())
            .collect();
        if hashes.is_empty() {
            self.hint(format!(
                "{} has no perceptual hash here",
                display_text(&similar.id)
            ));
            return Ok(Cow::default());
        }
        let limit = similar.distance.unwrap_or(DEFAULT_DISTANCE);
        let mut near: Vec<(u32, u32)> = Vec::new();
        self.scan(|record| {
            let distance = record
                .phash()
                .and_then(|hash| {
                    hashes
                        .iter()
                        .filter_map(|known| known.distance(&hash))
                        .min()
                })
                .filter(|distance| *distance <= limit);
            near.extend(distance.map(|distance| (distance, record.key().0)));
            false
        })?;
        near.sort_unstable();
        near.truncate(similar.count.unwrap_or(usize::MAX));
        for (distance, key) in &near {
            let known = self.distances.entry(*key).or_insert(*distance);
            *known = (*known).min(*distance);
        }
        Ok(Cow::Owned(near.into_iter().map(|(_, key)| key).collect()))
    }
}

fn nothing() -> Value {
    Value {
        raw: "none".to_owned(),
        is_quoted: false,
        items: Items::None,
    }
}

fn has_extension(path: &str, wanted: &str) -> bool {
    let Some((_, extension)) = path.rsplit_once('.') else {
        return false;
    };
    let same = |a: &str, b: &str| wanted == a && extension.eq_ignore_ascii_case(b);
    extension.eq_ignore_ascii_case(wanted)
        || same("jpg", "jpeg")
        || same("jpeg", "jpg")
        || same("tif", "tiff")
        || same("tiff", "tif")
}

/// The number that a key means, when the medium has one.
#[expect(
    clippy::cast_precision_loss,
    reason = "no count, size or time here needs more than 52 bits"
)]
fn number(record: &Record<'_>, key: Key, category: Option<&str>, now: i64) -> Option<f64> {
    let (width, height) = (f64::from(record.width()), f64::from(record.height()));
    let known = |number: f64| (number > 0.0).then_some(number);
    match key {
        Key::Tagcount => Some(match category {
            Some(category) => record.tags().filter(|tag| tag.category == category).count() as f64,
            None => record.tag_count() as f64,
        }),
        Key::Width => known(width),
        Key::Height => known(height),
        Key::Mpixels => known(width * height / 1e6),
        Key::Ratio => (width > 0.0 && height > 0.0).then(|| width / height),
        Key::Filesize => known(record.bytes() as f64),
        Key::Duration => record.duration_ms().map(|ms| ms as f64),
        Key::Frames => Some(f64::from(record.frames())),
        Key::Age => Some(now.saturating_sub(record.imported()) as f64),
        Key::Stars => Some(f64::from(record.stars())),
        Key::Score => record.score().map(|score| score as f64),
        Key::Favcount => record.favcount().map(|count| count as f64),
        Key::Sitecount => Some(record.posts().count() as f64),
        _ => None,
    }
}

/// The conditions of a list: those to meet, and those not to.
fn split(nodes: &[Node]) -> (Vec<&Node>, Vec<&Node>) {
    let mut wanted = Vec::new();
    let mut unwanted = Vec::new();
    for node in nodes {
        match node {
            Node::Not(inner) => unwanted.push(inner.as_ref()),
            node => wanted.push(node),
        }
    }
    (wanted, unwanted)
}

/// Whether a term is a plain word, which may be no tag at all.
fn is_word(term: &Term) -> bool {
    matches!(
        &term.test,
        Test::Tag {
            origin: TagOrigin::Word,
            ..
        }
    )
}
