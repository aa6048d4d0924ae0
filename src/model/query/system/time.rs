//! Times of `system:` predicates: days of the calendar, and how long ago.

use super::{one_word, plain};

/// A point of the calendar, or how long ago. "since" and "before" point to the same
/// side for both; a sign before a span compares the age.
pub(super) fn time(key: &str, operator: &str, value: &str) -> Option<String> {
    let value = value.trim_end_matches(" ago").trim();
    let is_day = value.starts_with(|c: char| c.is_ascii_digit()) && value.contains('-');
    if is_day || matches!(value, "today" | "yesterday") {
        let operator = match operator {
            "since" => ">=",
            "before" => "<",
            operator => plain(operator),
        };
        return Some(format!("{key}:{operator}{}", one_word(value)?));
    }
    let age = Span::parse(value)?;
    let (younger, older) = match operator {
        "<" | "<=" | "since" => (true, false),
        ">" | ">=" | "before" => (false, true),
        "=" | "~=" => (false, false),
        _ => return None,
    };
    if key == "imported" {
        let operator = match operator {
            "since" => "<=",
            "before" => ">",
            operator => plain(operator),
        };
        return Some(format!("age:{operator}{}", age.short()));
    }
    let operator = match (younger, older) {
        (true, _) => ">=",
        (_, true) => "<",
        _ => "",
    };
    Some(format!("{key}:{operator}{}_ago", age.in_one_unit()))
}

/// `2 years 1 month`, `7 days`, `7h`.
struct Span(Vec<(u64, Unit)>);

#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    short: &'static str,
    seconds: u64,
}

/// The largest first; a month and a year are as long as they are for `age:`.
const UNITS: [Unit; 7] = [
    unit("year", "y", 31_557_600),
    unit("month", "mo", 2_630_016),
    unit("week", "w", 604_800),
    unit("day", "d", 86_400),
    unit("hour", "h", 3_600),
    unit("minute", "mi", 60),
    unit("second", "s", 1),
];

const fn unit(name: &'static str, short: &'static str, seconds: u64) -> Unit {
    Unit {
        name,
        short,
        seconds,
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (count, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let tail = tail.trim_start();
            let end = tail.find(|c: char| !c.is_ascii_alphabetic());
            let (name, tail) = tail.split_at(end.unwrap_or(tail.len()));
            let unit = UNITS.into_iter().find(|unit| {
                unit.short == name || name.strip_suffix('s').unwrap_or(name) == unit.name
            })?;
            parts.push((u64::from(count.parse::<u32>().ok()?), unit));
            rest = tail.trim_start_matches([' ', ',']);
        }
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// `2y1mo`
    fn short(&self) -> String {
        let part = |(n, unit): &(u64, Unit)| format!("{n}{}", unit.short);
        self.0.iter().map(part).collect::<Vec<_>>().concat()
    }

    /// `25_months`: all of it in the smallest unit that it names.
    fn in_one_unit(&self) -> String {
        let seconds: u64 = self.0.iter().map(|(n, unit)| n * unit.seconds).sum();
        let units = self.0.iter().map(|(_, unit)| *unit);
        let Some(unit) = units.min_by_key(|unit| unit.seconds) else {
            return String::new();
        };
        let count = (seconds + unit.seconds / 2) / unit.seconds;
        format!("{count}_{}s", unit.name)
    }
}
