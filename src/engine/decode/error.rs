//! Why a file gives no pixels, in words for people and variants for callers.

use std::{error::Error, fmt, io, path::Path};

use super::{facts::Facts, format::Format};
use crate::model::text::display_text;

/// A file that gives no pixels. Every text names the file and is safe to print.
#[derive(Debug)]
pub enum DecodeError {
    Io {
        path: String,
        source: io::Error,
    },
    /// None of the formats known here.
    NotMedia {
        path: String,
        reason: String,
    },
    Broken {
        path: String,
        format: Format,
        reason: String,
    },
    /// Maybe sound, but beyond the limits of this program.
    TooLarge {
        path: String,
        reason: String,
        facts: Box<Facts>,
    },
    /// Recognized, but not decoded by this program.
    Unsupported {
        path: String,
        facts: Box<Facts>,
    },
}

impl DecodeError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: printable(path),
            source,
        }
    }

    pub(crate) fn not_media(path: &Path, reason: impl Into<String>) -> Self {
        Self::NotMedia {
            path: printable(path),
            reason: reason.into(),
        }
    }

    /// What is the matter with the file, to stand behind its name.
    pub fn reason(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("cannot be read: {source}"),
            Self::NotMedia { reason, .. } => format!("is neither picture nor video: {reason}"),
            Self::Broken { format, reason, .. } => format!("is a damaged {format} file: {reason}"),
            Self::TooLarge { reason, .. } => format!("is too large to show here: {reason}"),
            Self::Unsupported { facts, .. } => format!("cannot be shown here: {}", facts.format),
        }
    }

    /// What is known of a file that is to be kept although it cannot be shown;
    /// `None` for files that are broken, unreadable or no media.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::TooLarge { facts, .. } | Self::Unsupported { facts, .. } => Some(facts),
            Self::Io { .. } | Self::NotMedia { .. } | Self::Broken { .. } => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Io { path, .. }
        | Self::NotMedia { path, .. }
        | Self::Broken { path, .. }
        | Self::TooLarge { path, .. }
        | Self::Unsupported { path, .. }) = self;
        write!(f, "{path} {}", self.reason())
    }
}

impl Error for DecodeError {}

/// A path as it may be printed.
pub fn printable(path: &Path) -> String {
    display_text(&path.to_string_lossy()).into_owned()
}

/// Why one decoder gave up, before anybody names the file.
#[derive(Debug)]
pub enum Failure {
    Broken(String),
    TooLarge(String),
}

impl Failure {
    pub fn broken(reason: impl std::fmt::Display) -> Self {
        Self::Broken(display_text(&reason.to_string()).into_owned())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::broken(error)
    }
}

impl From<image::ImageError> for Failure {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(limit) => {
                Self::TooLarge(display_text(&limit.to_string()).into_owned())
            }
            other => Self::broken(other),
        }
    }
}
