//! The ingest monitor: files in flight, outcomes, counters and rates. Bounded:
//! however many files pass, only the newest outcomes are kept.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{action::Action, list};
use crate::{
    engine::{
        cluster::NO_KEY,
        event::{IngestEvent, IngestOutcome, Stage},
        fetching::SourceState,
    },
    model::{id::MediaKey, text::display_text},
};

/// Seconds of history behind the sparklines.
pub const HISTORY_SECONDS: usize = 120;
/// Outcomes that are kept.
pub const MAX_OUTCOMES: usize = 2000;
/// Seconds over which the rate is averaged.
const RATE_SECONDS: usize = 5;

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
    /// The sources that are switched on.
    pub sources: Vec<Source>,
    /// The second that is being counted, since the start of the session.
    second: u64,
    finished_this_second: u64,
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

/// How a source stands; safe to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub asked: u64,
    pub known: u64,
    /// Answered from the cache.
    pub kept: u64,
    /// Why it gave no answer the last time.
    pub trouble: Option<String>,
}

impl Source {
    pub fn of(state: &SourceState) -> Self {
        let shown = |text: &String| display_text(text).into_owned();
        Self {
            name: shown(&state.name),
            asked: state.asked,
            known: state.known,
            kept: state.kept,
            trouble: state.trouble.as_ref().map(shown),
        }
    }
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
    /// The worker that has it, when that is another process.
    pub by: Option<String>,
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

/// The sort of an outcome, for its glyph and color.
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

impl Row<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Running(row) => &row.path,
            Self::Finished(row) => &row.path,
        }
    }
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

    pub fn row_count(&self) -> usize {
        self.rows().count()
    }

    /// Files finished per second, over the last few seconds.
    pub fn per_second(&self) -> f64 {
        let recent = self.rate.len().min(RATE_SECONDS);
        if recent == 0 {
            return 0.0;
        }
        let sum: u64 = self.rate.iter().rev().take(recent).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few files a second")]
        let rate = sum as f64 / recent as f64;
        rate
    }

    /// How long the queue will take at the present rate.
    pub fn remaining(&self) -> Option<Duration> {
        let rate = self.per_second();
        if self.queue == 0 || rate <= 0.0 || self.paused {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = self.queue as f64 / rate;
        Some(Duration::from_secs_f64(seconds.min(1e7)))
    }

    /// The median and the 95th percentile of the time spent in each stage, in
    /// microseconds, over the outcomes that are kept; `None` when nothing passed it.
    pub fn stage_times(&self) -> [Option<(u32, u32)>; 6] {
        let mut times = [None; 6];
        for (stage, time) in times.iter_mut().enumerate() {
            let mut micros: Vec<u32> = self
                .outcomes
                .iter()
                .map(|row| row.stage_micros[stage])
                .filter(|micros| *micros > 0)
                .collect();
            micros.sort_unstable();
            let at = |percent: usize| micros.get((micros.len().saturating_sub(1)) * percent / 100);
            *time = at(50).copied().zip(at(95).copied());
        }
        times
    }

    /// Takes an event.
    pub fn receive(&mut self, event: IngestEvent, elapsed: Duration) {
        // Rows come in above: a cursor that is not at the top stays on its file.
        let followed = (self.cursor > 0)
            .then(|| {
                self.rows()
                    .nth(self.cursor)
                    .map(|row| row.path().to_owned())
            })
            .flatten();
        let offset = self.cursor.saturating_sub(self.top_row);
        match event {
            IngestEvent::Queue { waiting } => self.queue = waiting,
            IngestEvent::Started { file, path } => {
                self.running.push(Running {
                    file,
                    name: name_of(&path),
                    path,
                    stage: None,
                    by: None,
                    started: elapsed,
                });
            }
            IngestEvent::Taken { file, by } => {
                if let Some(running) = self.running.iter_mut().find(|row| row.file == file) {
                    running.by = Some(display_text(&by).into_owned());
                }
            }
            IngestEvent::Stage { file, stage } => {
                if let Some(running) = self.running.iter_mut().find(|row| row.file == file) {
                    running.stage = Some(stage);
                }
            }
            IngestEvent::Finished {
                file,
                path,
                outcome,
                stage_micros,
            } => {
                let running = self.running.iter().position(|row| row.file == file);
                let by = running.and_then(|place| self.running.remove(place).by);
                self.finish(path, outcome, by, stage_micros);
            }
            IngestEvent::State {
                paused,
                workers,
                watching,
                polling,
            } => {
                self.paused = paused;
                self.workers = workers;
                self.watching =
                    watching.map(|path| display_text(&path.to_string_lossy()).into_owned());
                self.polling = polling;
            }
        }
        if let Some(place) =
            followed.and_then(|path| self.rows().position(|row| row.path() == path))
        {
            self.cursor = place;
            self.top_row = place.saturating_sub(offset);
        }
        self.show_cursor();
    }

    /// Fills the history up to now; says whether it changed.
    pub fn tick(&mut self, elapsed: Duration) -> bool {
        let now = elapsed.as_secs();
        let mut changed = false;
        // After a long pause only as many empty seconds as are kept.
        self.second = self.second.max(now.saturating_sub(HISTORY_SECONDS as u64));
        while self.second < now {
            push(
                &mut self.rate,
                std::mem::take(&mut self.finished_this_second),
            );
            push(&mut self.queue_history, self.queue);
            self.second += 1;
            changed = true;
        }
        changed && self.is_busy()
    }

    /// Whether the figures move, so that time must go on being told.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
            || self.finished_this_second > 0
            || self.rate.iter().rev().take(RATE_SECONDS).any(|n| *n > 0)
    }

    /// Runs an action of the list; says whether it was one.
    pub fn act(&mut self, action: Action, n: Option<usize>) -> bool {
        use Action as A;
        if let Some(cursor) = list::motion(action, n, self.cursor, self.row_count(), self.height) {
            self.move_to(cursor);
            return true;
        }
        match action {
            A::MonitorDetails => self.details = !self.details,
            A::MonitorTimes => self.times = !self.times,
            A::MonitorAll => self.show(Filter::All),
            A::MonitorRunning => self.show(Filter::Running),
            A::MonitorDone => self.show(Filter::Done),
            A::MonitorDuplicates => self.show(Filter::Duplicates),
            A::MonitorErrors => self.show(Filter::Errors),
            A::MonitorDrop => self.drop_row(),
            _ => return false,
        }
        true
    }

    pub fn move_to(&mut self, row: usize) {
        self.cursor = row;
        self.show_cursor();
    }

    pub fn scroll(&mut self, lines: i32) {
        (self.top_row, self.cursor) = list::wheel(
            lines,
            self.top_row,
            self.cursor,
            self.row_count(),
            self.height,
        );
    }

    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.show_cursor();
    }

    /// The outcome under the cursor.
    pub fn current(&self) -> Option<&Finished> {
        match self.rows().nth(self.cursor)? {
            Row::Finished(finished) => Some(finished),
            Row::Running(_) => None,
        }
    }

    /// The medium that the row under the cursor led to.
    pub fn current_key(&self) -> Option<MediaKey> {
        match self.current()?.outcome {
            IngestOutcome::Stored { key, .. }
            | IngestOutcome::Kept { key, .. }
            | IngestOutcome::Duplicate { key, .. } => Some(key).filter(|key| *key != NO_KEY),
            _ => None,
        }
    }

    /// Takes the failed file under the cursor out, to try it again.
    pub fn take_failed(&mut self) -> Option<PathBuf> {
        let path = self
            .current()
            .filter(|row| matches!(row.outcome, IngestOutcome::Failed { .. }))?
            .path
            .clone();
        self.forget_failed(&path);
        Some(path)
    }

    /// Whether the file under the cursor was put aside, where its ingest folder has it
    /// no longer.
    pub fn is_quarantined(&self) -> bool {
        self.current()
            .is_some_and(|row| matches!(row.outcome, IngestOutcome::Quarantined { .. }))
    }

    /// Takes every failed file out, to try them again.
    pub fn take_all_failed(&mut self) -> Vec<PathBuf> {
        let paths: Vec<PathBuf> = self
            .outcomes
            .iter()
            .filter(|row| matches!(row.outcome, IngestOutcome::Failed { .. }))
            .map(|row| row.path.clone())
            .collect();
        for path in &paths {
            self.forget_failed(path);
        }
        paths
    }

    fn forget_failed(&mut self, path: &Path) {
        let before = self.outcomes.len();
        self.outcomes
            .retain(|row| row.path != path || !matches!(row.outcome, IngestOutcome::Failed { .. }));
        let gone = (before - self.outcomes.len()) as u64;
        self.counts.failed = self.counts.failed.saturating_sub(gone);
        self.show_cursor();
    }

    fn finish(
        &mut self,
        path: PathBuf,
        outcome: IngestOutcome,
        by: Option<String>,
        stage_micros: [u32; 6],
    ) {
        let counts = &mut self.counts;
        let (kind, text) = match &outcome {
            // Who took it tells of it.
            IngestOutcome::Gone => return,
            IngestOutcome::Stored { .. } => {
                counts.stored += 1;
                (OutcomeKind::Stored, "stored".to_owned())
            }
            IngestOutcome::Kept { reason, .. } => {
                counts.stored += 1;
                (OutcomeKind::Stored, format!("kept: {reason}"))
            }
            IngestOutcome::Duplicate {
                of,
                of_name,
                merged_tags,
                ..
            } => {
                counts.duplicates += 1;
                let name = if of_name.is_empty() {
                    of.as_str()
                } else {
                    of_name
                };
                let merged = match merged_tags {
                    0 => String::new(),
                    1 => ": 1 tag merged".to_owned(),
                    n => format!(": {n} tags merged"),
                };
                (
                    OutcomeKind::Duplicate,
                    format!("duplicate of {name}{merged}"),
                )
            }
            IngestOutcome::Quarantined { reason } => {
                counts.quarantined += 1;
                (OutcomeKind::Failed, format!("quarantined: {reason}"))
            }
            IngestOutcome::Refused { reason } => {
                counts.duplicates += 1;
                (OutcomeKind::Duplicate, format!("refused: {reason}"))
            }
            IngestOutcome::Waiting { reason } => {
                counts.waiting += 1;
                (OutcomeKind::Waiting, format!("waiting: {reason}"))
            }
            IngestOutcome::Failed { reason } => {
                counts.failed += 1;
                (OutcomeKind::Failed, reason.clone())
            }
            IngestOutcome::Cancelled => (OutcomeKind::Waiting, "cancelled".to_owned()),
        };
        let text = match by {
            Some(by) => format!("{text}, by {by}"),
            None => text,
        };
        self.finished_this_second += 1;
        self.outcomes.push_front(Finished {
            name: name_of(&path),
            path,
            outcome,
            text: display_text(&text).into_owned(),
            kind,
            stage_micros,
        });
        self.outcomes.truncate(MAX_OUTCOMES);
    }

    fn show(&mut self, filter: Filter) {
        self.filter = filter;
        self.times = false;
        (self.cursor, self.top_row) = (0, 0);
    }

    fn drop_row(&mut self) {
        let Some(place) = self.current().and_then(|current| {
            self.outcomes
                .iter()
                .position(|row| std::ptr::eq(row, current))
        }) else {
            return;
        };
        self.outcomes.remove(place);
        self.show_cursor();
    }

    fn show_cursor(&mut self) {
        let count = self.row_count();
        self.cursor = self.cursor.min(count.saturating_sub(1));
        self.top_row = list::scrolled(self.top_row, self.cursor, count, self.height);
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

fn push(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY_SECONDS {
        history.pop_front();
    }
    history.push_back(value);
}

fn name_of(path: &Path) -> String {
    let name = path
        .file_name()
        .map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    display_text(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(n: u64, outcome: IngestOutcome) -> IngestEvent {
        IngestEvent::Finished {
            file: n,
            path: PathBuf::from(format!("/in/{n}.png")),
            outcome,
            stage_micros: [u32::try_from(n).unwrap() + 1; 6],
        }
    }

    fn failed() -> IngestOutcome {
        IngestOutcome::Failed {
            reason: "no\u{1b}space".into(),
        }
    }

    fn stored(n: u32) -> IngestOutcome {
        IngestOutcome::Stored {
            key: MediaKey(n),
            id: "x".parse().unwrap(),
        }
    }

    #[test]
    fn a_file_that_somebody_else_took_leaves_no_row() {
        let mut log = IngestLog::default();
        log.receive(
            IngestEvent::Started {
                file: 1,
                path: "/in/1.png".into(),
            },
            Duration::ZERO,
        );
        log.receive(finished(1, IngestOutcome::Gone), Duration::ZERO);
        assert_eq!((log.row_count(), log.counts), (0, Counts::default()));
    }

    #[test]
    fn files_pass_from_running_to_outcomes() {
        let mut log = IngestLog::default();
        log.resize(10);
        log.receive(
            IngestEvent::Started {
                file: 1,
                path: "/in/1.png".into(),
            },
            Duration::ZERO,
        );
        log.receive(
            IngestEvent::Stage {
                file: 1,
                stage: Stage::Hashes,
            },
            Duration::ZERO,
        );
        assert_eq!(log.running[0].stage, Some(Stage::Hashes));
        log.receive(finished(1, stored(7)), Duration::ZERO);
        assert!(log.running.is_empty());
        assert_eq!(log.counts.stored, 1);
        assert_eq!(log.current_key(), Some(MediaKey(7)));
    }

    #[test]
    fn failed_files_are_taken_out_to_be_tried_again() {
        let mut log = IngestLog::default();
        log.resize(10);
        for n in 0..4 {
            let outcome = if n % 2 == 0 { failed() } else { stored(0) };
            log.receive(finished(n, outcome), Duration::ZERO);
        }
        log.act(Action::MonitorErrors, None);
        assert_eq!(log.row_count(), 2);
        assert_eq!(log.current().unwrap().text, "no\u{fffd}space");
        assert_eq!(log.take_failed(), Some("/in/2.png".into()));
        assert_eq!(log.take_all_failed(), [PathBuf::from("/in/0.png")]);
        assert_eq!(log.counts.failed, 0);
        assert_eq!(log.take_failed(), None);
        log.act(Action::MonitorAll, None);
        log.act(Action::MonitorDrop, None);
        assert_eq!(log.row_count(), 1);
    }

    #[test]
    fn history_is_bounded_and_the_cursor_stays_on_its_row() {
        let mut log = IngestLog::default();
        log.resize(10);
        for n in 0..100 {
            log.receive(finished(n, stored(0)), Duration::ZERO);
        }
        log.act(Action::CursorDown, Some(5));
        let name = log.current().unwrap().name.clone();
        for n in 100..(MAX_OUTCOMES as u64 + 50) {
            log.receive(finished(n, stored(0)), Duration::ZERO);
        }
        assert_eq!(log.outcomes.len(), MAX_OUTCOMES);
        assert_eq!(log.current().unwrap().name, name);
        assert_eq!(log.outcomes[0].name, "2049.png");
    }

    #[test]
    fn seconds_become_bars() {
        let mut log = IngestLog::default();
        for n in 0..10 {
            log.receive(finished(n, stored(0)), Duration::from_millis(100 * n));
        }
        log.queue = 20;
        assert!(log.tick(Duration::from_secs(1)));
        assert_eq!(log.rate, [10]);
        assert!((log.per_second() - 10.0).abs() < 1e-9);
        assert_eq!(log.remaining(), Some(Duration::from_secs(2)));
        log.tick(Duration::from_secs(100_000));
        assert_eq!(log.rate.len(), HISTORY_SECONDS);
        assert!(!log.is_busy());
        assert!(!log.tick(Duration::from_secs(100_001)), "nothing to redraw");
    }

    #[test]
    fn stage_times_are_percentiles() {
        let mut log = IngestLog::default();
        assert_eq!(log.stage_times()[0], None);
        for n in 0..101 {
            log.receive(finished(n, stored(0)), Duration::ZERO);
        }
        assert_eq!(log.stage_times()[0], Some((51, 96)));
    }
}
