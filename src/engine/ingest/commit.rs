//! The commit stage: one thread that enters stored files into the index, in one
//! transaction with their neighbours, then lets go of their locks.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use super::{
    super::{
        companion::{CompanionFile, Companions},
        event::{Event, IngestEvent, IngestOutcome},
        job::{lock, panic_text, spawn},
    },
    IngestParts, IngestSettings, Shared,
    door::Stamp,
    run::Ending,
};
use crate::{
    model::{
        catalog::Change,
        entry::Entry,
        id::{Md5, MediaKey},
        operation::Operation,
    },
    storage::{Error, Library, Md5Lock, Question, Stored, Transfer},
};

/// Stored files that may wait for the committer before a worker has to.
const WAITING: usize = 64;

/// A file in the library that is not yet in the index.
pub(super) struct Filed {
    pub operation: Operation,
    pub stored: Stored,
    pub lock: Md5Lock,
    pub stamp: Stamp,
    pub companions: Companions,
    pub undecodable: Option<String>,
}

enum Message {
    Filed(Box<Filed>, Arc<Ending>),
    /// Someone waits: commit what is there.
    Hurry,
}

/// The way to the committing thread.
pub(super) struct Committer {
    sender: Mutex<Option<SyncSender<Message>>>,
    news: News,
}

/// The newest state of the ingest that was not told yet. The committer tells it:
/// whoever changes the state may be the thread that has to receive the event.
type News = Arc<Mutex<Option<IngestEvent>>>;

impl Committer {
    pub fn start(
        parts: &IngestParts,
        settings: &IngestSettings,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(WAITING);
        let (parts, settings) = (parts.clone(), settings.clone());
        let news = News::default();
        let to_tell = Arc::clone(&news);
        let thread = spawn("ingest-commit", move || {
            work(&parts, &settings, &receiver, &to_tell);
        })?;
        let sender = Mutex::new(Some(sender));
        Ok((Self { sender, news }, thread))
    }

    /// Gives a stored file to the committer, which ends it.
    pub fn hand_over(&self, filed: Filed, ending: &Arc<Ending>) {
        let undelivered = match self.sender() {
            Some(sender) => sender
                .send(Message::Filed(Box::new(filed), Arc::clone(ending)))
                .is_err(),
            None => true,
        };
        if undelivered {
            ending.committed(IngestOutcome::Failed {
                reason: "the ingest has ended".to_owned(),
            });
        }
    }

    /// Asks to commit what waits, without waiting for more.
    pub fn hurry(&self) {
        if let Some(sender) = self.sender() {
            // A full channel is being emptied anyway.
            let _ = sender.try_send(Message::Hurry);
        }
    }

    /// Sends an event on the committer's thread; a newer one takes its place.
    pub fn tell(&self, event: IngestEvent) {
        *lock(&self.news) = Some(event);
        self.hurry();
    }

    /// Lets the thread end after what waits.
    pub fn close(&self) {
        drop(lock(&self.sender).take());
    }

    fn sender(&self) -> Option<SyncSender<Message>> {
        lock(&self.sender).clone()
    }
}

fn work(parts: &IngestParts, settings: &IngestSettings, receiver: &Receiver<Message>, news: &News) {
    let tell = || {
        let event = lock(news).take();
        if let Some(event) = event {
            parts.events.send(Event::Ingest(event));
        }
    };
    while let Ok(message) = receiver.recv() {
        tell();
        let Message::Filed(filed, ending) = message else {
            continue;
        };
        let mut batch = vec![(*filed, ending)];
        let deadline = Instant::now() + settings.batch_wait;
        while batch.len() < settings.batch_files.max(1) {
            let rest = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(rest) {
                Ok(Message::Filed(filed, ending)) => batch.push((*filed, ending)),
                Ok(Message::Hurry)
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let endings: Vec<Arc<Ending>> = batch.iter().map(|(_, e)| Arc::clone(e)).collect();
        let done = catch_unwind(AssertUnwindSafe(|| commit(parts, settings, batch)));
        if let Err(panic) = done {
            let reason = format!("internal error: {}", panic_text(&*panic));
            tracing::error!("a commit panicked: {reason}");
            for ending in endings {
                ending.committed(IngestOutcome::Failed {
                    reason: reason.clone(),
                });
            }
        }
    }
    tell();
}

fn commit(parts: &IngestParts, settings: &IngestSettings, batch: Vec<(Filed, Arc<Ending>)>) {
    let (files, endings): (Vec<Filed>, Vec<Arc<Ending>>) = batch.into_iter().unzip();
    let stored: Vec<Stored> = files.iter().map(|filed| filed.stored.clone()).collect();
    let entries: Vec<Result<Entry, Error>> = match parts.library.commit(&stored) {
        Ok(entries) => entries.into_iter().map(Ok).collect(),
        // One that the index refuses must not keep its neighbors out.
        Err(error) if stored.len() > 1 => {
            tracing::warn!("committing one by one: {}", error.chain());
            stored
                .iter()
                .map(|one| commit_one(&parts.library, one))
                .collect()
        }
        Err(error) => vec![Err(error)],
    };
    if settings.asks_sources {
        note_questions(&parts.library, &files, &entries);
    }
    let changes: Vec<Change> = entries
        .iter()
        .flatten()
        .map(|entry| Change::Upsert(entry.clone()))
        .collect();
    parts.catalog.apply(&changes);
    for ((filed, ending), entry) in files.into_iter().zip(endings).zip(entries) {
        let outcome = match entry {
            Ok(entry) => {
                let reason = filed.undecodable.clone();
                let finished = finish(parts, settings, &filed, ending.path());
                parts.library.finish(&filed.operation);
                match (finished, reason) {
                    (Err(problem), _) => stays(&problem),
                    (Ok(()), Some(reason)) => IngestOutcome::Kept {
                        key: entry.key,
                        id: entry.id,
                        reason,
                    },
                    (Ok(()), None) => IngestOutcome::Stored {
                        key: entry.key,
                        id: entry.id,
                    },
                }
            }
            Err(error) => IngestOutcome::Failed {
                reason: format!("stored, but not in the index yet: {}", error.chain()),
            },
        };
        // The lock goes last: who waits for it finds the file known and its source gone.
        drop(filed.lock);
        ending.committed(outcome);
    }
}

/// Notes that sources are to be asked about what was filed, as part of the same step.
fn note_questions(library: &Library, files: &[Filed], entries: &[Result<Entry, Error>]) {
    let question = |(filed, entry): (&Filed, &Result<Entry, Error>)| {
        let operation = &filed.operation;
        Some(Question {
            id: entry.as_ref().ok()?.id.clone(),
            md5: filed.stored.media.hashes.md5.as_ref()?.parse().ok()?,
            step: Some(operation.group.unwrap_or(operation.id)),
            tries: 0,
        })
    };
    let questions: Vec<Question> = files.iter().zip(entries).filter_map(question).collect();
    if let Err(error) = library.queue_questions(&questions) {
        tracing::warn!("no source is asked about what was filed: {}", error.chain());
    }
}

fn commit_one(library: &Library, stored: &Stored) -> Result<Entry, Error> {
    let mut entries = library.commit(std::slice::from_ref(stored))?;
    entries.pop().ok_or(Error::UnknownKey(MediaKey(0)))
}

/// How a move ends whose picture is in the library and whose source could not be
/// cleared away. Another try finds a duplicate and clears it.
pub(super) fn stays(problem: &str) -> IngestOutcome {
    IngestOutcome::Failed {
        reason: format!("is in the library, but its source stays: {problem}"),
    }
}

/// Clears the source of a move away. What traveled with it goes first: a crash in
/// between leaves a duplicate to clear, not companions of nothing.
fn finish(
    parts: &IngestParts,
    settings: &IngestSettings,
    filed: &Filed,
    source: &Path,
) -> Result<(), String> {
    if filed.stored.how != Transfer::Move {
        return Ok(());
    }
    if !Stamp::of(source).is_ok_and(|now| now == filed.stamp) {
        tracing::warn!("{} has changed and stays", source.display());
        return Ok(());
    }
    if let Some(md5) = filed
        .stored
        .media
        .hashes
        .md5
        .as_deref()
        .and_then(|md5| md5.parse().ok())
    {
        clear_companions(
            &parts.library,
            settings.keep_raw,
            &md5,
            &filed.companions.files,
        )?;
    }
    parts
        .library
        .finish_move(&filed.stored)
        .map_err(|error| error.chain())
}

/// Removes a file that is a duplicate, what traveled with it first, unless the file
/// is no longer the one that was compared.
pub(super) fn clear_source(
    shared: &Shared,
    path: &Path,
    stamp: &Stamp,
    md5: &Md5,
    companions: &Companions,
) -> Result<(), String> {
    if !Stamp::of(path).is_ok_and(|now| now == *stamp) {
        return Ok(());
    }
    let keep_raw = shared.settings.keep_raw;
    let library = &shared.parts.library;
    clear_companions(library, keep_raw, md5, &companions.files)?;
    library
        .clear_sources(&[path])
        .map_err(|error| error.chain())
}

/// Removes companions whose content is in the sidecar now; one that says more than
/// that is kept below `raw/`.
fn clear_companions(
    library: &Library,
    keep_raw: bool,
    md5: &Md5,
    files: &[CompanionFile],
) -> Result<(), String> {
    let mut done_with: Vec<&Path> = Vec::new();
    for file in files {
        match file.kind.remainder() {
            Some(site) if keep_raw => library
                .keep_raw(md5, site, &file.path)
                .map_err(|error| error.chain())?,
            _ => done_with.push(&file.path),
        }
    }
    library
        .clear_sources(&done_with)
        .map_err(|error| error.chain())
}
