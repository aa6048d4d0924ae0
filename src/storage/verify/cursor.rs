//! How far a verification came before it was interrupted: a small file beside the
//! index. Losing it costs time, nothing else.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::storage::files::{self, Writes};

/// Of the file; one of another version is not read.
const VERSION: u32 = 1;
/// A cursor is written at most this often.
const PAUSE: Duration = Duration::from_secs(1);
/// With more media than this to look at again, it is better to begin anew.
const MAX_AGAIN: usize = 10_000;
/// Larger ones are none of ours.
const MAX_BYTES: usize = 64 << 20;

/// What was checked so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// The last path that was checked.
    pub after: String,
    /// Media up to there with which all was well.
    pub sound: u64,
    pub without_md5: u64,
    /// Media up to there with which something was wrong: they are looked at again.
    pub again: Vec<String>,
}

/// The file, written now and then.
pub(super) struct Cursor {
    path: PathBuf,
    written: Option<Instant>,
}

impl Cursor {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: None,
        }
    }

    /// Where an interrupted verification stopped.
    pub(super) fn read(&self) -> Option<State> {
        let (bytes, _) = files::read(&self.path, MAX_BYTES).ok()??;
        let state: State = serde_json::from_slice(&bytes).ok()?;
        (state.version == VERSION).then_some(state)
    }

    /// Notes how far it is, unless that was noted just now.
    pub(super) fn note(&mut self, state: &State) {
        if self.written.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.write(state);
        }
    }

    /// Notes how far it is.
    pub(super) fn write(&mut self, state: &State) {
        self.written = Some(Instant::now());
        if state.after.is_empty() || state.again.len() > MAX_AGAIN {
            return;
        }
        let state = State {
            version: VERSION,
            ..state.clone()
        };
        // Without a cursor the next verification begins anew.
        if let Ok(bytes) = serde_json::to_vec(&state) {
            let _ = Writes::default().replace(&self.path, &bytes);
        }
    }

    /// There is nothing to go on with any more.
    pub(super) fn remove(&self) {
        // One that stays makes the next verification shorter than it should be;
        // whoever cannot remove it could not have written it.
        let _ = fs::remove_file(&self.path);
    }
}
