//! How a query is run: each part of it with the media it found and the time it took.

use std::time::{Duration, Instant};

use super::{
    order,
    terms::{Evaluation, Lookup},
};
use crate::{
    engine::job::Cancel,
    model::{catalog::Catalog, query::Query},
};

/// Where the media of a part come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A set that the catalog keeps.
    Kept,
    /// Sets put together.
    Union,
    /// The smallest of these sets, and of it what all others have.
    SmallestFirst,
    /// All but these.
    AllBut,
    /// Cut out of the order of a column.
    Ordered,
    /// Every name of a tag was looked at.
    Names,
    /// Every record was looked at.
    Records,
    /// The index was asked for one fact of all media.
    Index,
    /// The index was asked for words.
    FullText,
    /// It was asked before in this query.
    Known,
    /// The trash, hidden tags, masks, crops and frames are left out.
    Visible,
    /// Cut out of an order of all media.
    OrderKept,
    /// Sorted by a key made for each.
    OrderMade,
}

impl How {
    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept set",
            Self::Union => "union of sets",
            Self::SmallestFirst => "smallest set first",
            Self::AllBut => "all but these",
            Self::Ordered => "cut out of an order",
            Self::Names => "all tag names looked at",
            Self::Records => "all records looked at",
            Self::Index => "index asked for a fact",
            Self::FullText => "index asked for words",
            Self::Known => "known from above",
            Self::Visible => "what is hidden left out",
            Self::OrderKept => "cut out of the kept order",
            Self::OrderMade => "sorted",
        }
    }
}

/// One part of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// How many parts it is inside of.
    pub depth: usize,
    /// The term as it was written, or `and`, `or`, `not`, `visible`, `order`.
    pub text: String,
    pub how: How,
    /// How many media it found.
    pub rows: u64,
    /// Its own time and that of its parts.
    pub elapsed: Duration,
}

/// How a query was run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// A part stands before those it is made of.
    pub steps: Vec<PlanStep>,
    pub total: u64,
    pub elapsed: Duration,
    pub hint: Option<String>,
}

/// Runs a query and says how, with its first `size` media put in order; `None` when it
/// was cancelled.
pub fn explain(
    query: &Query,
    catalog: &Catalog,
    lookup: &dyn Lookup,
    now: i64,
    cancel: &Cancel,
    size: usize,
) -> Option<Plan> {
    let started = Instant::now();
    let mut evaluation = Evaluation::new(query, catalog, lookup, now, cancel);
    evaluation.notes = Some(Notes::default());
    let unseen = super::unseen(query, catalog);
    let took = started.elapsed();
    let found = super::matching(query, &mut evaluation, &unseen).ok()?;
    let ordering = Instant::now();
    let rows = found.len();
    let is_kept = order::is_kept(query);
    let (_, total) = order::arrange(query, &mut evaluation, found, size).ok()?;
    let ordering = ordering.elapsed();
    let mut steps = evaluation.notes.map(|notes| notes.steps)?;
    let step = |text: &str, how, rows, elapsed| PlanStep {
        depth: 0,
        text: text.to_owned(),
        how,
        rows,
        elapsed,
    };
    steps.push(step("visible", How::Visible, rows, took));
    let how = if is_kept {
        How::OrderKept
    } else {
        How::OrderMade
    };
    steps.push(step("order", how, total, ordering));
    Some(Plan {
        steps,
        total,
        elapsed: started.elapsed(),
        hint: evaluation.hints.into_iter().next(),
    })
}

/// What is noted of the parts while they are evaluated.
#[derive(Default)]
pub struct Notes {
    steps: Vec<PlanStep>,
    depth: usize,
    /// The most that had to be done for the term at hand.
    how: Option<How>,
}

/// A part that is being evaluated.
pub struct Open {
    place: usize,
    started: Instant,
}

impl Notes {
    pub fn open(&mut self, text: String) -> Open {
        let place = self.steps.len();
        self.steps.push(PlanStep {
            depth: self.depth,
            text,
            how: How::Kept,
            rows: 0,
            elapsed: Duration::ZERO,
        });
        self.depth += 1;
        self.how = None;
        Open {
            place,
            started: Instant::now(),
        }
    }

    /// Something was done for the term at hand.
    pub fn did(&mut self, how: How) {
        self.how = self.how.max(Some(how));
    }

    pub fn close(&mut self, open: &Open, how: Option<How>, rows: u64) {
        self.depth -= 1;
        if let Some(step) = self.steps.get_mut(open.place) {
            step.how = how.or(self.how.take()).unwrap_or(How::Kept);
            step.rows = rows;
            step.elapsed = open.started.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::search::NoLookup,
        model::{
            entry::{Entry, FileFacts},
            id::MediaKey,
            media::Media,
            tag::Tag,
        },
    };

    #[test]
    fn each_part_says_how_and_how_many() {
        let entry = |key: u32, tags: &[&str]| {
            let media = Media {
                tags: tags.iter().map(|tag| Tag::new("", tag)).collect(),
                ..Media::default()
            };
            let id = format!("m{key}").parse().unwrap();
            let facts = FileFacts {
                bytes: u64::from(key),
                ..FileFacts::default()
            };
            Entry::new(MediaKey(key), id, &facts, &media)
        };
        let catalog = Catalog::from_entries(
            vec![
                entry(1, &["fox", "snow"]),
                entry(2, &["fox"]),
                entry(3, &["snow"]),
                entry(4, &["fox", "night"]),
            ],
            true,
        );
        let text = "fox -night (snow or filesize:>1) (sn* or fox) -name:x order:random";
        let query = Query::parse(text, &catalog).unwrap();
        let plan = explain(&query, &catalog, &NoLookup, 0, &Cancel::default(), 10).unwrap();
        let told: Vec<(usize, &str, How, u64)> = plan
            .steps
            .iter()
            .map(|step| (step.depth, step.text.as_str(), step.how, step.rows))
            .collect();
        assert_eq!(
            told,
            [
                (0, "and", How::SmallestFirst, 2),
                (1, "fox", How::Kept, 3),
                (1, "or", How::Union, 4),
                (2, "snow", How::Kept, 2),
                (2, "filesize:>1", How::Ordered, 3),
                (1, "or", How::Union, 4),
                (2, "sn*", How::Names, 2),
                (2, "fox", How::Known, 3),
                (1, "night", How::Kept, 1),
                (1, "name:x", How::Records, 0),
                (0, "visible", How::Visible, 2),
                (0, "order", How::OrderMade, 2),
            ]
        );
        assert_eq!(plan.total, 2);
        let parts: Duration = plan
            .steps
            .iter()
            .filter(|step| step.depth == 0)
            .map(|step| step.elapsed)
            .sum();
        assert!(parts <= plan.elapsed);
    }
}
