//! The one function: drives a file through its stages, measures them, and sees to
//! it that every file ends exactly once.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    super::{
        event::{Event, Events, IngestEvent, IngestOutcome, PictureSize, Stage},
        job::{lock, panic_text},
    },
    Shared,
    commit::Filed,
    door, hashes, metadata,
    queue::{Failures, Item},
    telling::Telling,
};
use crate::{
    model::{entry::FileFacts, id::MediaId, media::Pixels},
    storage::Incoming,
};

/// Why a file does not go on to its next stage.
pub(super) enum End {
    Outcome(IngestOutcome),
    /// Not ready: try again after a pause.
    Later {
        reason: String,
        pause: Duration,
    },
}

impl End {
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Outcome(IngestOutcome::Failed {
            reason: reason.into(),
        })
    }
}

/// Brings one file in. Returns when the file was handed to the committer or ended.
pub(super) fn ingest(shared: &Shared, item: Item) {
    if shared.stop.is_cancelled() || item.submission.cancel.is_cancelled() {
        item.submission.end(&item.path, &IngestOutcome::Cancelled);
        return;
    }
    #[cfg(feature = "redis")]
    let item = shared.seen(item);
    let mut track = Track::start(&shared.parts.events, &item);
    let staged = catch_unwind(AssertUnwindSafe(|| stages(shared, &item, &mut track)));
    match staged {
        Ok(Ok(staged)) => hand_over(shared, item, track, staged),
        Ok(Err(End::Outcome(outcome))) => {
            let outcome = if matches!(outcome, IngestOutcome::Failed { .. }) && has_gone(&item) {
                IngestOutcome::Gone
            } else {
                outcome
            };
            end(shared, &item, &mut track, &outcome);
        }
        Ok(Err(End::Later { reason, pause })) => later(shared, item, track, reason, pause),
        Err(panic) => {
            let reason = format!("internal error: {}", panic_text(&*panic));
            tracing::error!("ingest of {} panicked: {reason}", item.path.display());
            end(shared, &item, &mut track, &IngestOutcome::Failed { reason });
        }
    }
}

/// Whether a file that nobody named has gone: taken by another process that works on
/// the same folder, or by its owner. That is no failure.
fn has_gone(item: &Item) -> bool {
    let found = item.path.symlink_metadata();
    item.is_found && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A file that is on disk and not yet in the index.
struct Staged {
    filed: Filed,
    picture: Option<Pixels>,
}

fn stages(shared: &Shared, item: &Item, track: &mut Track) -> Result<Staged, End> {
    let how = item
        .submission
        .how
        .unwrap_or_else(|| shared.usual_transfer(&item.path));
    let goes_on = || {
        if shared.stop.is_cancelled() || item.submission.cancel.is_cancelled() {
            return Err(End::Outcome(IngestOutcome::Cancelled));
        }
        Ok(())
    };
    let admitted = door::enter(shared, item, how)?;
    goes_on()?;
    track.enter(Stage::Metadata);
    let (mut media, companions) = metadata::collect(shared, &item.path);
    goes_on()?;
    track.enter(Stage::Hashes);
    let looks = match hashes::look(shared, &admitted, &item.path, &mut media) {
        Ok(looks) => looks,
        Err(hashes::Trouble::Broken(reason)) => {
            drop(admitted);
            return Err(door::reject(shared, &item.path, how, &companions, &reason));
        }
        Err(hashes::Trouble::End(end)) => return Err(end),
    };
    goes_on()?;
    track.enter(Stage::Files);
    door::check_unchanged(&item.path, &admitted.stamp)?;
    door::check_held(&admitted)?;
    let operation = item.operation(&shared.parts.library);
    let stored = shared
        .parts
        .library
        .store(
            &operation,
            Incoming {
                source: item.path.clone(),
                how,
                md5: admitted.md5,
                extension: looks.extension,
                original_name: String::new(),
                media,
            },
            (shared.settings.clock)(),
        )
        .map_err(|error| door::storage_end(&error))?;
    Ok(Staged {
        filed: Filed {
            operation,
            stored,
            lock: admitted.lock,
            stamp: admitted.stamp,
            companions,
            undecodable: looks.undecodable,
        },
        picture: looks.preview,
    })
}

/// Gives the stored file to the committer, and makes its thumbnails meanwhile from
/// the pixels that are still in memory.
fn hand_over(shared: &Shared, item: Item, mut track: Track, staged: Staged) {
    track.enter(Stage::Commit);
    let Staged { filed, picture } = staged;
    let (id, facts) = (filed.stored.id.clone(), filed.stored.facts.clone());
    let ending = Arc::new(Ending::new(shared, item, track));
    shared.committer.hand_over(filed, &ending);
    let started = Instant::now();
    if let Some(picture) = picture {
        let made = catch_unwind(AssertUnwindSafe(|| {
            keep_pictures(shared, &id, &facts, &picture);
        }));
        if let Err(panic) = made {
            tracing::error!("thumbnails of {id}: {}", panic_text(&*panic));
        }
    }
    ending.pictures_made(started.elapsed());
}

/// A picture that could not be stored is made again when it is asked for.
fn keep_pictures(shared: &Shared, id: &MediaId, facts: &FileFacts, preview: &Pixels) {
    let thumbnails = &shared.parts.thumbnails;
    let mut sizes = vec![PictureSize::Thumbnail];
    if shared.settings.store_previews {
        sizes.push(PictureSize::Preview);
    }
    for size in sizes {
        if let Err(error) = thumbnails.put(id, size, facts, preview) {
            tracing::debug!("no picture of {id} stored: {error}");
        }
    }
}

fn end(shared: &Shared, item: &Item, track: &mut Track, outcome: &IngestOutcome) {
    shared.failures.note(item, outcome);
    shared.telling.tell(item, outcome);
    track.finish(outcome.clone());
    item.submission.end(&item.path, outcome);
}

fn later(shared: &Shared, item: Item, mut track: Track, reason: String, pause: Duration) {
    let outcome = if item.submission.is_watched || item.since.elapsed() < shared.settings.patience {
        IngestOutcome::Waiting { reason }
    } else {
        IngestOutcome::Failed { reason }
    };
    let is_over = item.submission.is_watched || matches!(outcome, IngestOutcome::Failed { .. });
    if is_over {
        end(shared, &item, &mut track, &outcome);
    } else {
        track.finish(outcome);
        if let Some(item) = shared.queue.delay(item, pause) {
            item.submission.end(&item.path, &IngestOutcome::Cancelled);
        }
    }
}

/// The two halves after the files stage, commit and pictures: whichever comes last
/// ends the file.
pub(super) struct Ending {
    item: Item,
    failures: Arc<Failures>,
    telling: Arc<Telling>,
    state: Mutex<EndingState>,
}

struct EndingState {
    track: Track,
    outcome: Option<IngestOutcome>,
    are_pictures_made: bool,
    has_ended: bool,
}

impl Ending {
    fn new(shared: &Shared, item: Item, track: Track) -> Self {
        Self {
            item,
            failures: Arc::clone(&shared.failures),
            telling: Arc::clone(&shared.telling),
            state: Mutex::new(EndingState {
                track,
                outcome: None,
                are_pictures_made: false,
                has_ended: false,
            }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.item.path
    }

    /// The committer is done with the file.
    pub fn committed(&self, outcome: IngestOutcome) {
        let mut state = lock(&self.state);
        state.track.enter(Stage::After);
        state.outcome = Some(outcome);
        self.finish(state);
    }

    fn pictures_made(&self, took: Duration) {
        let mut state = lock(&self.state);
        state.track.add(Stage::After, took);
        state.are_pictures_made = true;
        self.finish(state);
    }

    fn finish(&self, mut state: std::sync::MutexGuard<'_, EndingState>) {
        if !state.are_pictures_made || state.has_ended {
            return;
        }
        let Some(outcome) = state.outcome.take() else {
            return;
        };
        state.has_ended = true;
        state.track.finish(outcome.clone());
        drop(state);
        self.failures.note(&self.item, &outcome);
        self.telling.tell(&self.item, &outcome);
        self.item.submission.end(&self.item.path, &outcome);
    }
}

/// The way of one file through the stages, as events and times.
pub(super) struct Track {
    events: Events,
    file: u64,
    path: PathBuf,
    stage: Stage,
    since: Instant,
    micros: [u32; 6],
}

impl Track {
    fn start(events: &Events, item: &Item) -> Self {
        let track = Self {
            events: events.clone(),
            file: item.file,
            path: item.path.clone(),
            stage: Stage::Door,
            since: Instant::now(),
            micros: [0; 6],
        };
        track.send(IngestEvent::Started {
            file: track.file,
            path: track.path.clone(),
        });
        track.send(IngestEvent::Stage {
            file: track.file,
            stage: Stage::Door,
        });
        track
    }

    fn send(&self, event: IngestEvent) {
        self.events.send(Event::Ingest(event));
    }

    fn add(&mut self, stage: Stage, took: Duration) {
        let micros = &mut self.micros[stage as usize];
        *micros = micros.saturating_add(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    fn enter(&mut self, stage: Stage) {
        // What follows the commit is timed where the work is done.
        if self.stage != Stage::After {
            self.add(self.stage, self.since.elapsed());
        }
        (self.stage, self.since) = (stage, Instant::now());
        self.send(IngestEvent::Stage {
            file: self.file,
            stage,
        });
    }

    fn finish(&mut self, outcome: IngestOutcome) {
        if self.stage != Stage::After {
            self.add(self.stage, self.since.elapsed());
        }
        self.send(IngestEvent::Finished {
            file: self.file,
            path: self.path.clone(),
            outcome,
            stage_micros: self.micros,
        });
    }
}
