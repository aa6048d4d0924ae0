//! Reading journals: what every operation of every process did, and what is still
//! open. A line that cannot be understood (cut off by a crash, or by a newer
//! program) is passed over: no file was touched on its account.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    super::{error::Error, files},
    CLOSED, OPEN,
    line::{Part, PendingChange},
};
use crate::model::operation::OperationId;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum State {
    Pending,
    Begun,
    Done,
    Discarded,
}

/// One operation as the journals tell it, without its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Record {
    pub id: OperationId,
    pub at: String,
    pub host: String,
    pub user: String,
    pub action: String,
    pub inverts: Option<OperationId>,
    pub group: Option<OperationId>,
    pub state: State,
    /// The first kind of its parts: `edit`, `move`, `store` or `purge`.
    pub kind: Option<String>,
    /// Items in its parts.
    pub items: usize,
    /// The files it is in: one, but for an operation that another process finished.
    pub files: Vec<PathBuf>,
}

/// All operations of some journal files, in order of their ids, which is that of
/// time.
#[derive(Debug, Default)]
pub(in crate::storage) struct Records(pub Vec<Record>);

/// A line without its weight: items are only counted.
#[derive(Deserialize)]
struct Light {
    op: OperationId,
    state: String,
    #[serde(default)]
    at: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    action: String,
    inverts: Option<OperationId>,
    group: Option<OperationId>,
    kind: Option<String>,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    items: Vec<IgnoredAny>,
}

impl Records {
    /// Reads all journal files of a folder.
    pub(in crate::storage) fn read(folder: &Path) -> Result<Self, Error> {
        let mut records = HashMap::new();
        for path in paths(folder)? {
            read_into(&path, &mut records)?;
        }
        Ok(Self::sorted(records))
    }

    /// Reads one file.
    pub(in crate::storage) fn read_file(path: &Path) -> Result<Self, Error> {
        let mut records = HashMap::new();
        read_into(path, &mut records)?;
        Ok(Self::sorted(records))
    }

    fn sorted(records: HashMap<OperationId, Record>) -> Self {
        let mut records: Vec<Record> = records.into_values().collect();
        records.sort_by_key(|record| record.id);
        Self(records)
    }

    pub(in crate::storage) fn get(&self, id: OperationId) -> Option<&Record> {
        let place = self.0.binary_search_by_key(&id, |record| record.id).ok()?;
        self.0.get(place)
    }
}

/// The journal files of a folder, those in use too; none when there is no folder.
pub(in crate::storage) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if files::is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", folder)(error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == OPEN || end == CLOSED)
        })
        .collect();
    paths.sort();
    Ok(paths)
}

/// Whether a journal file may have open operations.
pub(in crate::storage) fn is_open(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == OPEN)
}

/// The parts of an operation, in order; items that a later attempt replaced are
/// left out.
pub(in crate::storage) fn parts(files: &[PathBuf], id: OperationId) -> Result<Vec<Part>, Error> {
    let mut parts: Vec<Part> = Vec::new();
    for file in files {
        read_parts(file, id, &mut parts)?;
    }
    Ok(parts)
}

fn read_parts(path: &Path, id: OperationId, parts: &mut Vec<Part>) -> Result<(), Error> {
    each_line(path, &mut |text| {
        // Most lines belong to others: a glance spares parsing them.
        if !text.contains(&id.to_string()) {
            return;
        }
        let Ok(Value::Object(mut line)) = serde_json::from_str(text) else {
            return;
        };
        let is = |key: &str, word: &str| line.get(key).and_then(Value::as_str) == Some(word);
        if !is("op", &id.to_string()) || !is("state", "part") {
            return;
        }
        let again = line.get("again").and_then(Value::as_bool) == Some(true);
        let kind = line.get("kind").and_then(Value::as_str).map(str::to_owned);
        let items = line.remove("items");
        let Some(part) = kind
            .zip(items)
            .and_then(|(kind, items)| Part::from_value(&kind, items))
        else {
            return;
        };
        if again && let Part::Edit(newer) = &part {
            for older in parts.iter_mut() {
                if let Part::Edit(items) = older {
                    items.retain(|item| newer.iter().all(|other| other.id != item.id));
                }
            }
        }
        parts.push(part);
    })
}

/// The unsaved edits that an operation holds.
pub(in crate::storage) fn changes(
    files: &[PathBuf],
    id: OperationId,
) -> Result<Vec<PendingChange>, Error> {
    #[derive(Deserialize)]
    struct Line {
        op: OperationId,
        changes: Vec<PendingChange>,
    }
    let mut found = Vec::new();
    for file in files {
        each_line(file, &mut |text| {
            if text.contains(&id.to_string())
                && let Ok(line) = serde_json::from_str::<Line>(text)
                && line.op == id
            {
                found = line.changes;
            }
        })?;
    }
    Ok(found)
}

fn read_into(path: &Path, records: &mut HashMap<OperationId, Record>) -> Result<(), Error> {
    each_line(path, &mut |text| {
        let Ok(line) = serde_json::from_str::<Light>(text) else {
            return;
        };
        let state = match line.state.as_str() {
            "pending" => State::Pending,
            "begin" | "part" => State::Begun,
            "done" => State::Done,
            "discarded" => State::Discarded,
            _ => return,
        };
        let record = records.entry(line.op).or_insert_with(|| Record {
            id: line.op,
            at: String::new(),
            host: String::new(),
            user: String::new(),
            action: String::new(),
            inverts: None,
            group: None,
            state,
            kind: None,
            items: 0,
            files: Vec::new(),
        });
        if record.files.last().is_none_or(|last| last != path) {
            record.files.push(path.to_owned());
        }
        // Files come in no order of time: an end is final, and a beginning stays one.
        record.state = match (record.state, state) {
            (State::Done, _) | (_, State::Done) => State::Done,
            (State::Discarded, _) | (_, State::Discarded) => State::Discarded,
            // Cut off before its first part: no file was touched, the intent stands.
            (State::Pending, State::Begun) if line.state == "begin" => State::Pending,
            (State::Begun, _) | (_, State::Begun) => State::Begun,
            _ => State::Pending,
        };
        match state {
            State::Pending | State::Begun if line.state != "part" => {
                record.at = line.at;
                record.host = line.host;
                record.user = line.user;
                record.action = line.action;
                record.inverts = line.inverts;
                record.group = line.group;
            }
            State::Begun if !line.again => {
                record.items += line.items.len();
                record.kind = record.kind.take().or(line.kind);
            }
            _ => {}
        }
    })
}

/// Hands over the lines of a file one by one; lines that are not text are left out.
fn each_line(path: &Path, on: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        // It was closed, and so renamed, or dropped since the folder was listed.
        Err(error) if files::is_absent(&error) && is_open(path) => {
            let closed = path.with_extension(CLOSED);
            match File::open(&closed) {
                Ok(file) => file,
                Err(error) if files::is_absent(&error) => return Ok(()),
                Err(error) => return Err(Error::file("read journal", &closed)(error)),
            }
        }
        Err(error) if files::is_absent(&error) => return Ok(()),
        Err(error) => return Err(Error::file("read journal", path)(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(Error::file("read journal", path))?;
        if read == 0 {
            return Ok(());
        }
        // A line without its end was not synced as a whole.
        if line.ends_with(b"\n")
            && let Ok(text) = str::from_utf8(&line)
        {
            on(text);
        }
    }
}
