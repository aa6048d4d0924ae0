//! What can go wrong on disk. Every message names the path; the cause is the
//! error's source, and [`Error::chain`] prints both on one line.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::{
    id::{MediaId, MediaKey},
    sidecar::SidecarError,
    text::display_text,
};

/// A failure of the storage floor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} {}", show(.path))]
    File {
        /// What was being done, as in `cannot write sidecar x.json`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot understand sidecar {}", show(.path))]
    Sidecar { path: PathBuf, source: SidecarError },
    #[error("cannot understand {}", show(.path))]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot {action} in index {}", show(.path))]
    Index {
        action: &'static str,
        path: PathBuf,
        source: IndexCause,
    },
    /// The folder is not what it should be; nothing was changed.
    #[error("{} {problem}", show(.path))]
    Library { path: PathBuf, problem: String },
    /// Someone else held the lock for longer than the caller would wait.
    #[error("lock {} is still held after {} s", show(.path), .waited.as_secs())]
    Locked { path: PathBuf, waited: Duration },
    /// The lock passed to another host before this one had written; nothing was.
    #[error("{} is not written: its lock passed to another host", show(.path))]
    Superseded { path: PathBuf },
    #[error("no medium with key {} in the index", .0.0)]
    UnknownKey(MediaKey),
    #[error("{} holds {found}, not {expected}", show(.path))]
    WrongBytes {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("medium {} is in the library already", show_text(.0.as_str()))]
    AlreadyStored(MediaId),
    /// Written, but a folder could not be synced.
    #[error("{} may lose this change in a power cut", show(.path))]
    Unsynced { path: PathBuf, source: Box<Self> },
    /// What stopped a whole batch, told for one of its media.
    #[error("{text}")]
    Repeated { text: String, may_pass: bool },
    #[error("cancelled")]
    Cancelled,
}

/// What SQLite said.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct IndexCause {
    pub message: String,
    /// The file is no database, or a damaged one: a rebuild into another file helps.
    pub is_corrupt: bool,
}

impl Error {
    /// Turns an I/O error into one that says what was done to which path.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn library(path: &Path, problem: impl Into<String>) -> Self {
        Self::Library {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// The same failure for another medium of a batch.
    pub(crate) fn repeated(&self) -> Self {
        match self {
            Self::File {
                action,
                path,
                source,
            } => Self::File {
                action,
                path: path.clone(),
                source: match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                },
            },
            Self::Locked { path, waited } => Self::Locked {
                path: path.clone(),
                waited: *waited,
            },
            other => Self::Repeated {
                text: other.chain(),
                may_pass: other.may_pass(),
            },
        }
    }

    /// Whether the same may work later: the fault is that of the disk, the index or
    /// of someone else's lock, and not of what was asked for.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::Index { .. }
            | Self::Locked { .. }
            | Self::Superseded { .. }
            | Self::Unsynced { .. } => true,
            Self::Repeated { may_pass, .. } => *may_pass,
            _ => false,
        }
    }

    /// The kind of the I/O error below, if there is one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// The message and all its causes on one line, safe to print.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(without_number(&error.to_string()));
            cause = error.source();
        }
        display_text(&text).into_owned()
    }
}

/// What the system says, without its number of it, which helps nobody.
fn without_number(text: &str) -> &str {
    let number = text.rfind(" (os error ").filter(|_| text.ends_with(')'));
    number.map_or(text, |at| &text[..at])
}

fn show(path: &Path) -> String {
    show_text(&path.to_string_lossy())
}

fn show_text(text: &str) -> String {
    display_text(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_and_the_cause() {
        let error = Error::file("write sidecar", Path::new("a/b\u{1b}.json"))(io::Error::other(
            "no space left on device",
        ));
        assert_eq!(
            error.chain(),
            "cannot write sidecar a/b\u{fffd}.json: no space left on device"
        );
    }
}
