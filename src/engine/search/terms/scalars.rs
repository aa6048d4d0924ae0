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
use crate::{
    engine::search::explain::How,
    model::{
        column::Column,
        entry::parse_time,
        fact::{Detail, Fact, PART},
        query::{
            key::Key,
            tree::{DateTest, Moment, NumberTest, Unit},
        },
        tag::BUILT_IN_CATEGORIES,
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
            Key::Age => {
                // Who is at least that old was there by then.
                let until = |age: f64| seconds(self.now) - age;
                let imported: Vec<NumberTest> = (tests.iter())
                    .map(|test| NumberTest {
                        // Ages are whole seconds; less would be lost in the difference.
                        low: until(test.high.floor()),
                        high: until(test.low.ceil()),
                        is_negated: test.is_negated,
                    })
                    .collect();
                self.in_column(Column::Imported, f64::NEG_INFINITY, &imported)
            }
            _ => match column(key) {
                Some((column, least)) => self.in_column(column, least, tests),
                None => Ok(self.unavailable(key, &format!("{}:", key.name()))),
            },
        }
    }

    /// The media whose number in a column is no less than the least that counts as one,
    /// and passes a test.
    pub(super) fn in_column(
        &mut self,
        column: Column,
        least: f64,
        tests: &[NumberTest],
    ) -> Result<Media<'a>> {
        self.did(How::Ordered);
        let mut found = RoaringBitmap::new();
        for test in tests {
            self.check()?;
            let inside = self.catalog.between(column, test.low.max(least), test.high);
            found |= if test.is_negated {
                self.catalog.between(column, least, f64::INFINITY) - inside
            } else {
                inside
            };
        }
        Ok(Cow::Owned(found))
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
        if let Some(place) = category_place(category) {
            return self.in_column(Column::CategoryTags(place), 0.0, tests);
        }
        let is_counted = self.catalog.tags_of_category(category);
        self.scan(|record| is_met(record.tag_count_among(&is_counted), tests))
    }

    pub(super) fn dates(&mut self, key: Key, tests: &[DateTest]) -> Result<Media<'a>> {
        let ranges: Vec<_> = tests.iter().filter_map(|test| self.range(test)).collect();
        let is_met = |time: i64| {
            ranges
                .iter()
                .any(|(from, until, is_negated)| (time >= *from && time < *until) != *is_negated)
        };
        let in_column = |this: &mut Self, column| {
            let tests: Vec<NumberTest> = (ranges.iter())
                .map(|(from, until, is_negated)| NumberTest {
                    low: seconds(*from),
                    high: seconds(until.saturating_sub(1)),
                    is_negated: *is_negated,
                })
                .collect();
            this.in_column(column, f64::NEG_INFINITY, &tests)
        };
        match key {
            Key::Date => in_column(self, Column::Created),
            Key::Imported => in_column(self, Column::Imported),
            Key::Modified => in_column(self, Column::Modified),
            Key::Taken => self.any_part(Fact::Taken, |time| parse_time(time).is_some_and(is_met)),
            Key::Created => {
                self.any_part(Fact::Created, |time| parse_time(time).is_some_and(is_met))
            }
            Key::Filemod => {
                self.detail(Detail::FileModified, |time| time.parse().is_ok_and(is_met))
            }
            Key::Viewed => self.viewed_when(is_met),
            _ => Ok(self.unavailable(key, &format!("{}:", key.name()))),
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
        let now = || -> Option<DateTime> {
            let now = jiff::Timestamp::from_second(self.now).ok()?;
            Some(now.to_zoned(self.zone.clone()).datetime())
        };
        let today = || -> Option<Date> { Some(now()?.date()) };
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
            Moment::Ago(count, unit) => {
                let span = jiff::Span::new();
                let span = match unit {
                    Unit::Second => span.try_seconds(count),
                    Unit::Minute => span.try_minutes(count),
                    Unit::Hour => span.try_hours(count),
                    Unit::Day => span.try_days(count),
                    Unit::Week => span.try_weeks(count),
                    Unit::Month => span.try_months(count),
                    Unit::Year => span.try_years(count),
                };
                let start = now()?.checked_sub(span.ok()?).ok()?;
                let until = |length: jiff::Span| start.checked_add(length).ok();
                match unit {
                    Unit::Second => (start, until(1.second())?),
                    Unit::Minute => (start, until(1.minute())?),
                    Unit::Hour => (start, until(1.hour())?),
                    Unit::Day | Unit::Week | Unit::Month | Unit::Year => {
                        days(start.date(), 1.day())?
                    }
                }
            }
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

/// The column of the number that a key means, and the least that counts as having one.
pub(super) fn column(key: Key) -> Option<(Column, f64)> {
    Some(match key {
        Key::Tagcount => (Column::Tags, 0.0),
        Key::Width => (Column::Width, 0.0),
        Key::Height => (Column::Height, 0.0),
        Key::Mpixels => (Column::Mpixels, 0.0),
        Key::Ratio => (Column::Ratio, 0.0),
        // A file without bytes has no size.
        Key::Filesize => (Column::Bytes, 1.0),
        Key::Duration => (Column::Duration, 0.0),
        Key::Frames => (Column::Frames, 0.0),
        Key::Stars => (Column::Stars, 0.0),
        Key::Score => (Column::Score, f64::NEG_INFINITY),
        Key::Favcount => (Column::Favcount, f64::NEG_INFINITY),
        Key::Sitecount => (Column::Posts, 0.0),
        _ => return None,
    })
}

/// The place of a built-in category.
pub(super) fn category_place(category: &str) -> Option<u8> {
    let place = BUILT_IN_CATEGORIES
        .iter()
        .position(|known| *known == category)?;
    u8::try_from(place).ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no time here needs more than 52 bits"
)]
fn seconds(time: i64) -> f64 {
    time as f64
}
