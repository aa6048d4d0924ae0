//! Terms about numbers and times.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use jiff::{
    ToSpan,
    civil::{Date, DateTime},
};
use roaring::RoaringBitmap;

use super::{Evaluation, Media, Result};
use crate::model::{
    catalog::Record,
    entry::parse_time,
    fact::{Detail, Fact, PART},
    query::{
        key::Key,
        tree::{DateTest, Moment, NumberTest},
    },
};

impl<'a> Evaluation<'a> {
    pub(super) fn numbers(
        &mut self,
        key: Key,
        category: Option<&str>,
        tests: &[NumberTest],
    ) -> Result<Media<'a>> {
        if let Some(category) = category {
            return self.category_counts(category, tests);
        }
        let now = self.now;
        let is_met = |number: f64| tests.iter().any(|test| test.matches(number));
        match key {
            Key::Chars => self.counted_in(Detail::Caption, tests, |text| text.chars().count()),
            Key::Words => self.counted_in(Detail::Caption, tests, |text| {
                text.split_whitespace().count()
            }),
            Key::Tokens => self.counted_in(Detail::Caption, tests, |text| {
                text.split(',')
                    .filter(|item| !item.trim().is_empty())
                    .count()
            }),
            Key::Notecount => self.counted_in(Detail::Fact(Fact::Notes), tests, parts),
            Key::Urlcount => self.counted_in(Detail::Fact(Fact::Urls), tests, parts),
            Key::Simcount => {
                let similar = self.relatives("similar")?;
                Ok(self.with_counts(&similar, tests))
            }
            Key::Childcount => {
                let mut children = self.relatives("children")?;
                for key in self.catalog.keys() {
                    let record = self.catalog.record(key);
                    let Some((record, parent)) =
                        record.and_then(|record| Some((record, record.parent()?)))
                    else {
                        continue;
                    };
                    let parent = parent.parse().ok().and_then(|id| self.catalog.key_of(&id));
                    if let Some(parent) = parent {
                        let known = children.entry(parent.0).or_default();
                        known.insert(record.id().as_str().to_owned());
                    }
                }
                Ok(self.with_counts(&children, tests))
            }
            Key::Projectcount => {
                let mut projects: HashMap<u32, HashSet<String>> = HashMap::new();
                for album in self.projects() {
                    for key in self.members(&album)?.iter() {
                        projects.entry(key).or_default().insert(album.name.clone());
                    }
                }
                Ok(self.with_counts(&projects, tests))
            }
            Key::Fps => self.any_part(Fact::FrameRate, |rate| rate.parse().is_ok_and(is_met)),
            Key::Pages => self.any_part(Fact::Pages, |pages| pages.parse().is_ok_and(is_met)),
            Key::Conf => self.any_part(Fact::Confidences, |conf| conf.parse().is_ok_and(is_met)),
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
            | Key::Sitecount => {
                self.scan(|record| number(record, key, None, now).is_some_and(is_met))
            }
            _ => Ok(self.unavailable(&format!("{}:", key.name()))),
        }
    }

    /// Counts something in a text; media without one have none of it.
    fn counted_in(
        &mut self,
        detail: Detail,
        tests: &[NumberTest],
        count: impl Fn(&str) -> usize,
    ) -> Result<Media<'a>> {
        let is_met = |count: usize| is_met(count, tests);
        if !is_met(0) {
            return self.detail(detail, |text| is_met(count(text)));
        }
        let others = self.detail(detail, |text| !is_met(count(text)))?;
        Ok(self.all_but(&others))
    }

    /// The media that a relation names, by the key of who names them.
    fn relatives(&mut self, relation: &str) -> Result<HashMap<u32, HashSet<String>>> {
        let mut relatives: HashMap<u32, HashSet<String>> = HashMap::new();
        self.each(Detail::Relation, &mut |key, text| {
            if let Some((kind, other)) = text.split_once(PART)
                && kind == relation
            {
                relatives.entry(key).or_default().insert(other.to_owned());
            }
        })?;
        Ok(relatives)
    }

    /// The media that have such a number of something.
    fn with_counts(
        &self,
        counts: &HashMap<u32, HashSet<String>>,
        tests: &[NumberTest],
    ) -> Media<'a> {
        let mut found: RoaringBitmap = counts
            .iter()
            .filter(|(_, names)| is_met(names.len(), tests))
            .map(|(key, _)| *key)
            .collect();
        found &= self.catalog.all();
        if is_met(0, tests) {
            let counted: RoaringBitmap = counts.keys().copied().collect();
            found |= self.catalog.all() - counted;
        }
        Cow::Owned(found)
    }

    fn category_counts(&mut self, category: &str, tests: &[NumberTest]) -> Result<Media<'a>> {
        let is_counted = self.catalog.tags_of_category(category);
        self.scan(|record| {
            let count = record.tag_count_among(&is_counted);
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            tests.iter().any(|test| test.matches(count))
        })
    }

    pub(super) fn dates(&mut self, key: Key, tests: &[DateTest]) -> Result<Media<'a>> {
        let ranges: Vec<_> = tests.iter().filter_map(|test| self.range(test)).collect();
        let is_met = |time: i64| {
            ranges
                .iter()
                .any(|(from, until, is_negated)| (time >= *from && time < *until) != *is_negated)
        };
        match key {
            Key::Date => self.scan(|record| is_met(record.created())),
            Key::Imported => self.scan(|record| is_met(record.imported())),
            Key::Modified => self.scan(|record| is_met(record.modified())),
            Key::Taken => self.any_part(Fact::Taken, |time| parse_time(time).is_some_and(is_met)),
            Key::Created => {
                self.any_part(Fact::Created, |time| parse_time(time).is_some_and(is_met))
            }
            Key::Filemod => {
                self.detail(Detail::FileModified, |time| time.parse().is_ok_and(is_met))
            }
            _ => Ok(self.unavailable(&format!("{}:", key.name()))),
        }
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
}

fn parts(text: &str) -> usize {
    text.split(PART).count()
}

fn is_met(count: usize, tests: &[NumberTest]) -> bool {
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    tests.iter().any(|test| test.matches(count))
}

/// The number that a key means, when the medium has one.
#[expect(
    clippy::cast_precision_loss,
    reason = "no count, size or time here needs more than 52 bits"
)]
pub(super) fn number(
    record: &Record<'_>,
    key: Key,
    category: Option<&str>,
    now: i64,
) -> Option<f64> {
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
