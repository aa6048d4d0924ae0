//! The journal: what is about to change is written down and synced before the
//! first file is touched, so that a crash at any point can be finished, and so that
//! everything can be undone, in a later session too.
//!
//! One file per process, `journal/<host>-<pid>-<run>.open`, held by a lock while
//! its process lives, and renamed to `.jsonl` once nothing in it is open. A file
//! whose lock is free and whose name still ends in `.open` is what a crash left:
//! [`recover`](super::recover). [`mod@line`] describes the lines.
//!
//! Invariants: lines are only appended; a part is durable before a file of it is
//! touched; only the holder of a file's lock appends to it.

mod line;
mod read;
mod retain;

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::error::Error;
use crate::model::{
    entry::format_time,
    operation::{Operation, OperationId},
};

use line::Author;
pub use line::PendingChange;
pub(super) use line::{EditItem, Md5Text, Part, StoreItem};
pub(super) use read::{Record, Records, State, changes, is_open, parts, paths};
pub use retain::JournalSurvey;
pub(super) use retain::{survey, trim};

/// A file that grew beyond this is followed by another one, once nothing in it is
/// open, so that old ones can be dropped whole.
const ROTATE_BYTES: u64 = 16 << 20;
/// The end of the name of a file in use, and of one that is closed.
const OPEN: &str = "open";
const CLOSED: &str = "jsonl";

/// A new id, later than every id this process made before.
pub(super) fn new_id() -> OperationId {
    OperationId(uuid::Uuid::now_v7().as_u128())
}

/// The journal of one process for one library. Nothing is created before the
/// first line.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    host: String,
    user: String,
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    held: Option<Held>,
    /// Files that a broken-off session left, with the unsaved edits we took over.
    adopted: Vec<Held>,
    /// Operations with a `begin` line of this process.
    begun: HashSet<OperationId>,
    /// Operations of which something could not be written yet.
    troubled: HashSet<OperationId>,
    /// Those of them that nobody works on any more.
    waiting: Vec<OperationId>,
}

/// A journal file whose lock is ours.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Its last line may be cut off; the next one starts with a line break.
    may_be_torn: bool,
    /// Operations in it that are not closed.
    open: HashSet<OperationId>,
}

/// Lines that are appended together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    opened: Vec<OperationId>,
    begun: Vec<OperationId>,
    closed: Vec<OperationId>,
}

impl Journal {
    pub(super) fn new(folder: PathBuf, host: &str) -> Self {
        Self {
            folder,
            host: host.to_owned(),
            user: user_name(),
            own: Mutex::default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The host as the names of journal files have it.
    pub(super) fn file_host(&self) -> String {
        self.host
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            .take(64)
            .collect()
    }

    /// Who works here, as the lines name him: host and user.
    pub(super) fn author(&self) -> (&str, &str) {
        (&self.host, &self.user)
    }

    /// Writes parts down, durably; from here on their files may be touched. An
    /// operation that has no `begin` line yet gets it.
    pub(super) fn part(
        &self,
        parts: &[(&Operation, Part)],
        again: bool,
        now: i64,
    ) -> Result<(), Error> {
        let mut own = self.own();
        let mut lines = Lines::default();
        let at = format_time(now);
        let author = Author {
            at: &at,
            host: &self.host,
            user: &self.user,
        };
        for (operation, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
            let id = operation.id;
            if !own.begun.contains(&id) && !lines.begun.contains(&id) {
                lines.text += &line::begin(operation, author).map_err(self.unwritable())?;
                lines.begun.push(id);
                lines.opened.push(id);
            }
            lines.text += &line::part(id, part, again).map_err(self.unwritable())?;
        }
        self.append(&mut own, lines, true)
    }

    /// Notes that every file of an operation is written. Nothing is lost when this
    /// line is: the operation is then found finished at the next start. One that is
    /// [`Journal::hold_open`] stays open, for [`recover`](super::recover) to finish.
    pub(super) fn done(&self, id: OperationId) -> Result<(), Error> {
        {
            let mut own = self.own();
            if own.troubled.contains(&id) {
                if !own.waiting.contains(&id) {
                    own.waiting.push(id);
                }
                return Ok(());
            }
        }
        self.close(id, "done", false)
    }

    /// Keeps operations from being called done: something of them could be written
    /// only in part, and is finished once the fault has gone away.
    pub(super) fn hold_open<'o>(&self, operations: impl IntoIterator<Item = &'o Operation>) {
        let mut own = self.own();
        let ids = operations.into_iter().map(|operation| operation.id);
        own.troubled.extend(ids);
    }

    /// Whether operations of this process wait to be finished.
    pub(super) fn has_waiting(&self) -> bool {
        !self.own().waiting.is_empty()
    }

    /// The operations of this process that wait to be finished, each with its file.
    pub(super) fn waiting(&self) -> Vec<(OperationId, PathBuf)> {
        let own = self.own();
        let files = || own.held.iter().chain(&own.adopted);
        let file_of = |id: &OperationId| files().find(|held| held.open.contains(id));
        let with_file = |id: &OperationId| Some((*id, file_of(id)?.path.clone()));
        own.waiting.iter().filter_map(with_file).collect()
    }

    /// What waited is finished after all.
    pub(super) fn finished(&self, id: OperationId) -> Result<(), Error> {
        {
            let mut own = self.own();
            own.troubled.remove(&id);
            own.waiting.retain(|waiting| *waiting != id);
        }
        self.close(id, "done", false)
    }

    /// Keeps unsaved edits, durably.
    pub(super) fn pending(
        &self,
        operation: &Operation,
        changes: &[PendingChange],
        now: i64,
    ) -> Result<(), Error> {
        let mut own = self.own();
        let at = format_time(now);
        let author = Author {
            at: &at,
            host: &self.host,
            user: &self.user,
        };
        let lines = Lines {
            text: line::pending(operation, author, changes).map_err(self.unwritable())?,
            opened: vec![operation.id],
            ..Lines::default()
        };
        self.append(&mut own, lines, true)
    }

    /// Drops unsaved edits, durably.
    pub(super) fn discard(&self, id: OperationId) -> Result<(), Error> {
        self.close(id, "discarded", true)
    }

    /// Takes over files that nobody holds because their unsaved edits are now ours.
    pub(super) fn adopt(&self, held: Held) {
        self.own().adopted.push(held);
    }

    fn close(&self, id: OperationId, state: &'static str, durable: bool) -> Result<(), Error> {
        let mut own = self.own();
        let text = line::state(id, state).map_err(self.unwritable())?;
        own.begun.remove(&id);
        if let Some(place) = own.adopted.iter().position(|held| held.open.contains(&id)) {
            own.adopted[place].close(id, &text)?;
            if own.adopted[place].open.is_empty() {
                own.adopted.swap_remove(place).seal();
            }
            return Ok(());
        }
        if !own
            .held
            .as_ref()
            .is_some_and(|held| held.open.contains(&id))
        {
            // It changed nothing, so it was never begun.
            return Ok(());
        }
        let lines = Lines {
            text,
            closed: vec![id],
            ..Lines::default()
        };
        self.append(&mut own, lines, durable)
    }

    fn append(&self, own: &mut Own, lines: Lines, durable: bool) -> Result<(), Error> {
        if lines.text.is_empty() {
            return Ok(());
        }
        let is_full = |held: &Held| held.bytes > ROTATE_BYTES && held.open.is_empty();
        if own.held.as_ref().is_some_and(is_full)
            && let Some(full) = own.held.take()
        {
            full.seal();
        }
        let held = match &mut own.held {
            Some(held) => held,
            none => none.insert(Held::create(&self.folder, &self.file_host())?),
        };
        if let Err(error) = held.append(&lines.text, durable) {
            // What an interrupted sync left is unknown: this file is not written to
            // again. Its open operations stay open in it.
            let path = held.path.clone();
            if durable && let Some(broken) = own.held.take() {
                own.adopted.push(broken);
            }
            return Err(Error::file("write journal", &path)(error));
        }
        held.open.extend(lines.opened);
        for id in &lines.closed {
            held.open.remove(id);
        }
        own.begun.extend(lines.begun);
        Ok(())
    }

    fn unwritable(&self) -> impl Fn(serde_json::Error) -> Error {
        let path = self.folder.clone();
        move |source| Error::Json {
            path: path.clone(),
            source,
        }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let own = self.own.get_mut().unwrap_or_else(PoisonError::into_inner);
        for held in own.held.take().into_iter().chain(own.adopted.drain(..)) {
            held.seal();
        }
    }
}

impl Held {
    /// A new file, locked before anybody can see it under its name.
    fn create(folder: &Path, host: &str) -> Result<Self, Error> {
        super::files::make_folder(folder)?;
        let run = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{host}-{}-{}", std::process::id(), &run[..12]);
        let temp = folder.join(format!(".{name}.tmp"));
        let path = folder.join(format!("{name}.{OPEN}"));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&temp)
            .map_err(Error::file("create journal", &path))?;
        // A file system without locks still has a journal; `doctor` tells of it.
        let _ = file.try_lock();
        if let Err(error) = fs::rename(&temp, &path) {
            // Without its name it is of no use; what removing says does not matter.
            let _ = fs::remove_file(&temp);
            return Err(Error::file("create journal", &path)(error));
        }
        super::files::sync(folder)?;
        Ok(Self {
            path,
            file,
            bytes: 0,
            may_be_torn: false,
            open: HashSet::new(),
        })
    }

    /// Takes a file that nobody holds, to finish what is open in it.
    pub(super) fn take(path: &Path) -> Option<Self> {
        let file = OpenOptions::new().append(true).open(path).ok()?;
        file.try_lock().ok()?;
        let bytes = file.metadata().ok()?.len();
        Some(Self {
            path: path.to_owned(),
            file,
            bytes,
            may_be_torn: true,
            open: HashSet::new(),
        })
    }

    /// Replaces what is known to be open, after reading it under the lock.
    pub(super) fn set_open(&mut self, open: HashSet<OperationId>) {
        self.open = open;
    }

    /// Notes that one of its operations is done.
    pub(super) fn done(&mut self, id: OperationId) -> Result<(), Error> {
        let path = self.path.clone();
        let text = line::state(id, "done").map_err(|source| Error::Json { path, source })?;
        self.close(id, &text)
    }

    fn close(&mut self, id: OperationId, text: &str) -> Result<(), Error> {
        self.append(text, true)
            .map_err(Error::file("write journal", &self.path))?;
        self.open.remove(&id);
        Ok(())
    }

    fn append(&mut self, text: &str, durable: bool) -> io::Result<()> {
        super::files::step()?;
        let mut block = String::with_capacity(text.len() + 1);
        if self.may_be_torn {
            block.push('\n');
        }
        block.push_str(text);
        let written = self.file.write_all(block.as_bytes()).and_then(|()| {
            if durable {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) => self.bytes += block.len() as u64,
            // Half a line would spoil the next one.
            Err(_) => self.may_be_torn = self.file.set_len(self.bytes).is_err(),
        }
        written
    }

    /// Gives a file in which nothing is open its closed name. One with open
    /// operations keeps its name, for the next start to find.
    pub(super) fn seal(self) {
        if self.open.is_empty() && self.path.extension().is_some_and(|end| end == OPEN) {
            // Failing means that the next start looks into it once more.
            let _ = fs::rename(&self.path, self.path.with_extension(CLOSED));
        }
    }
}

fn user_name() -> String {
    ["LOGNAME", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
