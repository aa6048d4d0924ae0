//! The ingest monitor: files in flight, outcomes, counters and rates. Bounded:
//! however many files pass, only the newest outcomes are kept.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use crate::engine::event::{IngestOutcome, Stage};

/// Seconds of history behind the sparklines.
pub const HISTORY_SECONDS: usize = 120;
/// Outcomes that are kept.
pub const MAX_OUTCOMES: usize = 2000;

/// The state of the monitor.
#[derive(Clone, Debug, Default)]
pub struct IngestLog {
    /// Files in flight, oldest first.
    pub running: Vec<Running>,
    /// Outcomes, newest first, at most [`MAX_OUTCOMES`].
    pub outcomes: VecDeque<Finished>,
    pub filter: Filter,
    /// The row under the cursor, of the rows that [`IngestLog::rows`] gives.
    pub cursor: usize,
    pub top_row: usize,
    /// Rows on the screen, as the screen told last.
    pub height: usize,
    /// Whether the details of the row under the cursor are shown.
    pub details: bool,
    /// Whether the table of stage times is shown instead of the list.
    pub times: bool,
    /// Files that wait.
    pub queue: u64,
    pub counts: Counts,
    /// Files finished in each second, oldest first, at most [`HISTORY_SECONDS`].
    pub rate: VecDeque<u64>,
    /// Files that waited at the end of each second, likewise.
    pub queue_history: VecDeque<u64>,
    pub paused: bool,
    pub workers: usize,
    /// The folder that is watched, safe to draw.
    pub watching: Option<String>,
    /// Watched by asking again and again.
    pub polling: bool,
}

/// Totals of this session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub failed: u64,
    pub waiting: u64,
}

/// A file in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    pub file: u64,
    /// Safe to draw.
    pub name: String,
    pub path: PathBuf,
    /// The stage it is in; those before are done.
    pub stage: Option<Stage>,
    /// When it started, since the start of the session.
    pub started: Duration,
}

/// A file that is through.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Safe to draw.
    pub name: String,
    pub path: PathBuf,
    pub outcome: IngestOutcome,
    /// One line about it, safe to draw: `duplicate of fox shrine: 2 tags merged`.
    pub text: String,
    pub kind: OutcomeKind,
    /// Time spent in each stage, microseconds.
    pub stage_micros: [u32; 6],
}

/// The sort of an outcome, for its glyph and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    Stored,
    Duplicate,
    Waiting,
    Failed,
}

/// Which rows are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    Running,
    Done,
    Duplicates,
    Errors,
}

/// One row of the list.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    Running(&'a Running),
    Finished(&'a Finished),
}

impl IngestLog {
    /// The rows the filter lets through: files in flight, then outcomes.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let running = self
            .running
            .iter()
            .filter(|_| matches!(self.filter, Filter::All | Filter::Running))
            .map(Row::Running);
        let finished = self
            .outcomes
            .iter()
            .filter(|row| self.filter.passes(row.kind))
            .map(Row::Finished);
        running.chain(finished)
    }
}

impl Filter {
    fn passes(self, kind: OutcomeKind) -> bool {
        match self {
            Self::All => true,
            Self::Running => false,
            Self::Done => kind == OutcomeKind::Stored,
            Self::Duplicates => kind == OutcomeKind::Duplicate,
            Self::Errors => kind == OutcomeKind::Failed,
        }
    }
}
