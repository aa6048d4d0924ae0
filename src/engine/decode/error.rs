//! Why a file gives no pixels, in words for people and variants for callers.

use std::{io, path::Path};

use super::{facts::Facts, format::Format};
use crate::model::text::display_text;

/// A file that gives no pixels. Every text names the file and is safe to print.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("cannot read {path}: {source}")]
    Io { path: String, source: io::Error },
    /// None of the formats known here.
    #[error("{path} is neither picture nor video: {reason}")]
    NotMedia { path: String, reason: String },
    #[error("{path} is a damaged {format} file: {reason}")]
    Broken {
        path: String,
        format: Format,
        reason: String,
    },
    /// Maybe sound, but beyond the limits of this program.
    #[error("{path} is too large to show here: {reason}")]
    TooLarge {
        path: String,
        reason: String,
        facts: Box<Facts>,
    },
    /// Recognized, but not decoded by this program.
    #[error("cannot show {} files here: {path}", facts.format)]
    Unsupported { path: String, facts: Box<Facts> },
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

    /// What is known of a file that is to be kept although it cannot be shown;
    /// `None` for files that are broken, unreadable or no media.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::TooLarge { facts, .. } | Self::Unsupported { facts, .. } => Some(facts),
            Self::Io { .. } | Self::NotMedia { .. } | Self::Broken { .. } => None,
        }
    }
}

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
