//! The values of keys: numbers with units, ranges, dates, lists, patterns.

use super::{
    key::{Key, ValueKind},
    tree::{DateTest, Items, Moment, NumberTest, Order, OrderBy, Pattern, Similar, Unit},
};
use crate::model::{
    color::{self, COLORS},
    column::Column,
    mark::is_letter,
    tag::BUILT_IN_CATEGORIES,
};

/// How far `~=` and a size with a unit may be off.
const ABOUT: f64 = 0.05;
/// How far a ratio may be off.
const RATIO_ABOUT: f64 = 0.01;

/// What is wrong with a value, and what to write instead.
pub struct Wrong {
    pub message: String,
    pub hint: Option<String>,
}

impl Wrong {
    fn new(key: Key, takes: &str) -> Self {
        Self {
            message: format!("{} takes {takes}", key.name()),
            hint: None,
        }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Understands a value that is not a regular expression.
pub fn parse(key: Key, raw: &str, is_quoted: bool) -> Result<Items, Wrong> {
    let lower = raw.to_lowercase();
    if !is_quoted && !key.is_modifier() {
        match lower.as_str() {
            "" if key.kind() == ValueKind::Nothing => return Ok(Items::Nothing),
            // There is one selection; it is not named.
            "" if key == Key::Selected => return Ok(Items::Any),
            "" | "none" => return Ok(Items::None),
            "any" => return Ok(Items::Any),
            _ => {}
        }
    }
    match key.kind() {
        ValueKind::Text | ValueKind::Tag => Ok(Items::Pattern(pattern(raw))),
        ValueKind::Words => Ok(Items::Words(if is_quoted {
            format!("\"{}\"", raw.replace('"', " "))
        } else {
            raw.to_owned()
        })),
        ValueKind::List => Ok(Items::List(if keeps_case(key) {
            list(raw, is_quoted)
        } else {
            list(&lower, is_quoted)
        })),
        ValueKind::Color => color::parse(&list(&lower, is_quoted))
            .map(Items::Colors)
            .ok_or_else(|| {
                let names = COLORS.map(|(name, _)| name).join(" ");
                Wrong::new(key, "a color").hint(&format!(
                    "one of {names}, or #rrggbb, and the least percentage: color:red,20"
                ))
            }),
        ValueKind::Letters => letters(key, &list(raw, is_quoted)),
        ValueKind::Choice(words) => choice(key, &list(&lower, is_quoted), words),
        ValueKind::Flag => match lower.as_str() {
            "true" | "yes" => Ok(Items::Flag(true)),
            "false" | "no" => Ok(Items::Flag(false)),
            // On a site they are a person's; here nobody else has any.
            _ => Ok(Items::List(vec![lower])),
        },
        kind @ (ValueKind::Number
        | ValueKind::Size
        | ValueKind::Ratio
        | ValueKind::Duration
        | ValueKind::Age) => list(&lower, is_quoted)
            .iter()
            .map(|item| number_test(key, kind, item))
            .collect::<Option<Vec<_>>>()
            .filter(|tests| !tests.is_empty())
            .map(Items::Numbers)
            .ok_or_else(|| match kind {
                ValueKind::Size => Wrong::new(key, "a size").hint("like 200kb, >1.5mb, ..3gb"),
                ValueKind::Ratio => Wrong::new(key, "a ratio").hint("like 16:9, >1.5"),
                ValueKind::Duration => Wrong::new(key, "a duration").hint("like 90s, 1m30s, >2:00"),
                ValueKind::Age => Wrong::new(key, "an age").hint("like <2w, 3d..1mo, >1y"),
                _ => Wrong::new(key, "a number").hint("like 5, >=10, 3..7"),
            }),
        ValueKind::Date => list(&lower, is_quoted)
            .iter()
            .map(|item| date_test(item))
            .collect::<Option<Vec<_>>>()
            .filter(|tests| !tests.is_empty())
            .map(Items::Dates)
            .ok_or_else(|| {
                Wrong::new(key, "a date")
                    .hint("like 2025-03, >=2025-01-15, today, >7_days_ago, 2024..2025")
            }),
        ValueKind::Similar => similar(raw).ok_or_else(|| {
            Wrong::new(key, "an id and options").hint("like similar:12ab,d<=8,n=50")
        }),
        ValueKind::Order => order(&lower).map(Items::Order).ok_or_else(|| {
            Wrong::new(key, "a name").hint("like new, old, id, name, filesize_asc, score, random")
        }),
        ValueKind::Count => lower
            .parse()
            .map(Items::Count)
            .map_err(|_| Wrong::new(key, "a whole number")),
        ValueKind::Nothing => Err(Wrong::new(key, "nothing")),
    }
}

/// Substring, or a glob when there is a `*`.
pub fn pattern(raw: &str) -> Pattern {
    if raw.contains('*') {
        Pattern::Glob(raw.to_owned())
    } else {
        Pattern::Substring(raw.to_owned())
    }
}

fn keeps_case(key: Key) -> bool {
    matches!(
        key,
        Key::Id | Key::Parent | Key::Child | Key::Of | Key::Related
    )
}

fn letters(key: Key, items: &[String]) -> Result<Items, Wrong> {
    let is_mark = |item: &String| {
        let mut letters = item.chars();
        letters.next().is_some_and(is_letter) && letters.next().is_none()
    };
    if items.is_empty() || !items.iter().all(is_mark) {
        return Err(Wrong::new(key, "a letter, or several with commas")
            .hint("like mark:a, mark:a,B, mark:any, mark:none"));
    }
    Ok(Items::List(items.to_vec()))
}

fn list(raw: &str, is_quoted: bool) -> Vec<String> {
    if is_quoted {
        return vec![raw.to_owned()];
    }
    raw.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn choice(key: Key, items: &[String], words: &[&str]) -> Result<Items, Wrong> {
    let is_known = |item: &str| {
        words.contains(&item) || (key == Key::Has && item.starts_with("mask:") && item.len() > 5)
    };
    match items.iter().find(|item| !is_known(item)) {
        None if !items.is_empty() => Ok(Items::List(items.to_vec())),
        _ => Err(Wrong::new(key, "one of its words").hint(&words.join(" "))),
    }
}

/// A number as written in the unit of its kind, and the interval it stands for
/// when no operator is given.
struct Scalar {
    value: f64,
    low: f64,
    high: f64,
}

impl Scalar {
    fn exact(value: f64) -> Self {
        Self::within(value, value, value)
    }

    fn within(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high }
    }

    fn about(value: f64, part: f64) -> Self {
        let off = value.abs() * part;
        Self::within(value, value - off, value + off)
    }
}

const OPERATORS: [&str; 8] = ["==", "!=", "<=", ">=", "~=", "=", "<", ">"];

/// Splits a leading comparison off; a missing one is empty.
fn operator(item: &str) -> (&'static str, &str) {
    OPERATORS
        .into_iter()
        .find_map(|op| Some((op, item.strip_prefix(op)?)))
        .unwrap_or(("", item))
}

fn number_test(key: Key, kind: ValueKind, item: &str) -> Option<NumberTest> {
    let test = |low, high| NumberTest {
        low,
        high,
        is_negated: false,
    };
    let (op, rest) = operator(item);
    if op.is_empty()
        && let Some((low, high)) = rest.split_once("..")
    {
        if low.is_empty() && high.is_empty() {
            return None;
        }
        let bound = |text: &str, open: f64| {
            if text.is_empty() {
                Some(open)
            } else {
                scalar(key, kind, text).map(|scalar| scalar.value)
            }
        };
        return Some(test(
            bound(low, f64::NEG_INFINITY)?,
            bound(high, f64::INFINITY)?,
        ));
    }
    let scalar = scalar(key, kind, rest)?;
    let exactly = match kind {
        ValueKind::Ratio | ValueKind::Duration => test(scalar.low, scalar.high),
        _ => test(scalar.value, scalar.value),
    };
    Some(match op {
        "" => test(scalar.low, scalar.high),
        "=" | "==" => exactly,
        "!=" => NumberTest {
            is_negated: true,
            ..exactly
        },
        "<" => test(f64::NEG_INFINITY, scalar.value.next_down()),
        "<=" => test(f64::NEG_INFINITY, scalar.value),
        ">" => test(scalar.value.next_up(), f64::INFINITY),
        ">=" => test(scalar.value, f64::INFINITY),
        _ => {
            let about = Scalar::about(scalar.value, ABOUT);
            test(about.low, about.high)
        }
    })
}

fn scalar(key: Key, kind: ValueKind, text: &str) -> Option<Scalar> {
    match kind {
        ValueKind::Size => size(text),
        ValueKind::Ratio => ratio(text).map(|value| Scalar::about(value, RATIO_ABOUT)),
        ValueKind::Duration => {
            duration_ms(text).map(|value| Scalar::within(value, value, value + 999.0))
        }
        ValueKind::Age => age(text),
        _ if key == Key::Mpixels => number(text).map(|value| Scalar::about(value, ABOUT)),
        _ => number(text).map(Scalar::exact),
    }
}

/// Digits with a fraction and a sign; no exponent, no `inf`.
fn plain(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = !digits.is_empty()
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse()
        .ok()
        .filter(|value: &f64| is_number && value.is_finite())
}

fn number(text: &str) -> Option<f64> {
    if let Some(thousands) = text.strip_suffix('k') {
        return plain(thousands).map(|value| value * 1e3);
    }
    if let Some(millions) = text.strip_suffix('m') {
        return plain(millions).map(|value| value * 1e6);
    }
    plain(text)
}

fn size(text: &str) -> Option<Scalar> {
    let (digits, unit) = split_unit(text);
    let value = plain(digits)?;
    let factor = match unit {
        "" | "b" => return Some(Scalar::exact(value)),
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(Scalar::about(value * factor, ABOUT))
}

/// Where the digits end.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn ratio(text: &str) -> Option<f64> {
    let value = match text.split_once([':', '/']) {
        Some((width, height)) => plain(width)? / plain(height)?,
        None => plain(text)?,
    };
    (value.is_finite() && value > 0.0).then_some(value)
}

fn duration_ms(text: &str) -> Option<f64> {
    if text.contains(':') {
        let mut seconds = 0.0;
        for part in text.split(':') {
            seconds = seconds * 60.0 + plain(part)?;
        }
        return Some(seconds * 1000.0);
    }
    if let Some(seconds) = plain(text) {
        return Some(seconds * 1000.0);
    }
    compound(text, |unit| match unit {
        "ms" => Some(1.0),
        "s" => Some(1e3),
        "m" | "min" => Some(60e3),
        "h" => Some(3600e3),
        _ => None,
    })
    .map(|(value, _)| value)
}

fn age(text: &str) -> Option<Scalar> {
    let (value, unit) = compound(text, |unit| match unit {
        "s" => Some(1.0),
        "mi" | "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        "w" => Some(7.0 * 86_400.0),
        "mo" => Some(30.44 * 86_400.0),
        "y" => Some(365.25 * 86_400.0),
        _ => None,
    })?;
    Some(Scalar::within(value, value, value + unit - 1.0))
}

/// The sum of `1m30s`, and its last unit.
fn compound(text: &str, factor: impl Fn(&str) -> Option<f64>) -> Option<(f64, f64)> {
    let mut rest = text;
    let mut sum = None;
    while !rest.is_empty() {
        let (digits, tail) = split_unit(rest);
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = factor(unit)?;
        let (before, _) = sum.unwrap_or((0.0, 0.0));
        sum = Some((before + plain(digits)? * unit, unit));
        rest = tail;
    }
    sum
}

fn date_test(item: &str) -> Option<DateTest> {
    let open = DateTest {
        from: None,
        until: None,
        after: None,
        before: None,
        is_negated: false,
    };
    let (op, rest) = operator(item);
    if op.is_empty()
        && let Some((from, until)) = rest.split_once("..")
    {
        let bound = |text: &str| -> Option<Option<Moment>> {
            if text.is_empty() {
                Some(None)
            } else {
                moment(text).map(Some)
            }
        };
        let (from, until) = (bound(from)?, bound(until)?);
        return (from.is_some() || until.is_some()).then_some(DateTest {
            from,
            until,
            ..open
        });
    }
    let moment = Some(moment(rest)?);
    Some(match op {
        "<" => DateTest {
            before: moment,
            ..open
        },
        "<=" => DateTest {
            until: moment,
            ..open
        },
        ">" => DateTest {
            after: moment,
            ..open
        },
        ">=" => DateTest {
            from: moment,
            ..open
        },
        op => DateTest {
            from: moment,
            until: moment,
            is_negated: op == "!=",
            ..open
        },
    })
}

fn moment(text: &str) -> Option<Moment> {
    match text {
        "today" => return Some(Moment::Today),
        "yesterday" => return Some(Moment::Yesterday),
        "this_week" => return Some(Moment::ThisWeek),
        "this_month" => return Some(Moment::ThisMonth),
        "this_year" => return Some(Moment::ThisYear),
        _ => {}
    }
    if let Some(past) = text.strip_suffix("_ago") {
        return ago(past);
    }
    if let Some((date, time)) = text.split_once(['t', ' ']) {
        let date = day(date)?;
        let mut parts = time.split(':');
        let hour = two_digits(parts.next()?)?;
        let minute = two_digits(parts.next()?)?;
        let second = parts.next().map(two_digits);
        if parts.next().is_some() || second == Some(None) {
            return None;
        }
        let time = jiff::civil::Time::new(hour, minute, second.flatten().unwrap_or(0), 0).ok()?;
        return Some(Moment::Time {
            start: date.to_datetime(time),
            seconds: second.is_some(),
        });
    }
    let mut parts = text.split('-');
    let year = four_digits(parts.next()?)?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => Some(Moment::Year(year)),
        (Some(month), None, _) => {
            let month = two_digits(month).filter(|month| (1..=12).contains(month))?;
            Some(Moment::Month(year, month))
        }
        (Some(_), Some(_), None) => day(text).map(Moment::Day),
        _ => None,
    }
}

/// `3_days`, `1_month`.
fn ago(past: &str) -> Option<Moment> {
    let (count, unit) = past.split_once('_')?;
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => Unit::Second,
        "minute" => Unit::Minute,
        "hour" => Unit::Hour,
        "day" => Unit::Day,
        "week" => Unit::Week,
        "month" => Unit::Month,
        "year" => Unit::Year,
        _ => return None,
    };
    let is_count = count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|_| is_count)?;
    Some(Moment::Ago(count, unit))
}

fn day(text: &str) -> Option<jiff::civil::Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (
        four_digits(parts.next()?)?,
        two_digits(parts.next()?)?,
        two_digits(parts.next()?)?,
    );
    if parts.next().is_some() {
        return None;
    }
    jiff::civil::Date::new(year, month, day).ok()
}

fn four_digits(text: &str) -> Option<i16> {
    (text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn two_digits(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn similar(raw: &str) -> Option<Items> {
    let mut parts = raw.split(',');
    let mut similar = Similar {
        id: parts.next().filter(|id| !id.is_empty())?.to_owned(),
        distance: None,
        count: None,
        by: None,
    };
    for option in parts {
        let end = option
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(option.len());
        let (name, value) = option.split_at(end);
        match (name, operator(value)) {
            ("d", ("<=" | "=" | "==", bits)) => similar.distance = Some(bits.parse().ok()?),
            ("d", ("<", bits)) => {
                similar.distance = Some(bits.parse::<u32>().ok()?.checked_sub(1)?);
            }
            ("n", ("<=" | "=" | "==", count)) => similar.count = Some(count.parse().ok()?),
            ("by", ("=" | "==", method)) if !method.is_empty() => {
                similar.by = Some(method.to_lowercase());
            }
            _ => return None,
        }
    }
    Some(Items::Similar(similar))
}

fn order(text: &str) -> Option<Order> {
    if let Some(seed) = text.strip_prefix("random:") {
        return Some(Order {
            by: OrderBy::Random(Some(seed.parse().ok()?)),
            is_descending: false,
        });
    }
    let ends_with = |end: &str| {
        let name = text.strip_suffix(end)?;
        name.strip_suffix(['_', ':'])
    };
    let (name, suffix) = if let Some(name) = ends_with("asc") {
        (name, Some(false))
    } else if let Some(name) = ends_with("desc") {
        (name, Some(true))
    } else {
        (text, None)
    };
    let (by, is_descending) = match name {
        "new" | "newest" | "recent" | "ingested" | "imported" => {
            (OrderBy::Column(Column::Imported), true)
        }
        "old" | "oldest" => (OrderBy::Column(Column::Imported), false),
        "id" => (OrderBy::Column(Column::Id), false),
        "date" | "taken" | "created" | "created_at" => (OrderBy::Column(Column::Created), true),
        "modified" | "edited" | "change" | "updated" => (OrderBy::Column(Column::Modified), true),
        "name" => (OrderBy::Column(Column::Title), false),
        "path" => (OrderBy::Column(Column::Path), false),
        "filesize" => (OrderBy::Column(Column::Bytes), true),
        "width" => (OrderBy::Column(Column::Width), true),
        "height" => (OrderBy::Column(Column::Height), true),
        "mpixels" => (OrderBy::Column(Column::Mpixels), true),
        "ratio" | "landscape" => (OrderBy::Column(Column::Ratio), true),
        "portrait" => (OrderBy::Column(Column::Ratio), false),
        "duration" => (OrderBy::Column(Column::Duration), true),
        "frames" => (OrderBy::Column(Column::Frames), true),
        "tagcount" => (OrderBy::Column(Column::Tags), true),
        "stars" => (OrderBy::Column(Column::Stars), true),
        "score" => (OrderBy::Column(Column::Score), true),
        "favcount" | "fav" => (OrderBy::Column(Column::Favcount), true),
        "rating" => (OrderBy::Column(Column::Rating), true),
        "similarity" => (OrderBy::Similarity, true),
        "random" => (OrderBy::Random(None), false),
        "none" => (OrderBy::None, false),
        "viewed" => (OrderBy::Viewed, true),
        "color" | "colour" => (OrderBy::Color, false),
        "dupsize" => (OrderBy::Dupsize, true),
        "project" | "custom" => (OrderBy::Project, false),
        _ => {
            let category = super::key::counted_category(name)?;
            let place = BUILT_IN_CATEGORIES
                .iter()
                .position(|known| *known == category)?;
            let column = Column::CategoryTags(u8::try_from(place).ok()?);
            (OrderBy::Column(column), true)
        }
    };
    Some(Order {
        by,
        is_descending: suffix.unwrap_or(is_descending),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(key: Key, raw: &str) -> Vec<NumberTest> {
        match parse(key, raw, false) {
            Ok(Items::Numbers(tests)) => tests,
            _ => panic!("{raw} is no number"),
        }
    }

    fn matches(key: Key, raw: &str, number: f64) -> bool {
        numbers(key, raw).iter().any(|test| test.matches(number))
    }

    #[test]
    fn numbers_have_operators_ranges_units_and_tolerance() {
        for (key, raw, number, expected) in [
            (Key::Width, "1k", 1000.0, true),
            (Key::Width, ">=1920", 1920.0, true),
            (Key::Width, ">1920", 1920.0, false),
            (Key::Height, "1080..2160", 2160.0, true),
            (Key::Height, "1080..", 1079.0, false),
            (Key::Height, "!=5", 5.0, false),
            (Key::Height, "3,5", 5.0, true),
            (Key::Filesize, "1mb", 1_080_000.0, true),
            (Key::Filesize, "1mb", 1_200_000.0, false),
            (Key::Filesize, "1048576b", 1_048_577.0, false),
            (Key::Filesize, "..200kb", 204_800.0, true),
            (Key::Filesize, "=1mb", 1_048_577.0, false),
            (Key::Ratio, "16:9", 1920.0 / 1080.0, true),
            (Key::Ratio, "16:9", 1.6, false),
            (Key::Ratio, ">16:9", 1920.0 / 1080.0, false),
            (Key::Duration, "1m30s", 90_500.0, true),
            (Key::Duration, "1:30", 90_000.0, true),
            (Key::Duration, "90", 91_000.0, false),
            (Key::Age, "<2w", 86_400.0, true),
            (Key::Age, "3d", 3.5 * 86_400.0, true),
            (Key::Score, "-5", -5.0, true),
            (Key::Score, "~=100", 104.0, true),
        ] {
            assert_eq!(matches(key, raw, number), expected, "{raw} {number}");
        }
        for (key, raw) in [
            (Key::Width, "wide"),
            (Key::Width, ".."),
            (Key::Width, ","),
            (Key::Width, "inf"),
            (Key::Width, "1e5"),
            (Key::Filesize, "5x"),
            (Key::Ratio, "1:0"),
            (Key::Age, "5m"),
            (Key::Age, ""),
        ] {
            assert!(
                !matches!(parse(key, raw, false), Ok(Items::Numbers(_))),
                "{raw}"
            );
        }
    }

    #[test]
    fn dates_may_be_partial() {
        for raw in [
            "2025",
            "2025-03",
            "2025-3-1",
            "2025-03-15t10:00",
            "2025-03-15 10:00:05",
            ">=2025-01-15",
            "today",
            "2024..this_year",
            "..yesterday",
            ">7_days_ago",
            "2_months_ago..1_week_ago",
        ] {
            assert!(
                matches!(parse(Key::Date, raw, false), Ok(Items::Dates(_))),
                "{raw}"
            );
        }
        for raw in ["25", "2025-13", "2025-02-30", "soon", "..", "2025-01-01-01"] {
            assert!(parse(Key::Date, raw, false).is_err(), "{raw}");
        }
    }
}
