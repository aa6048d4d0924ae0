//! The JSON sidecar: its schema, its old forms, and how it is written.

use serde_json::{Map, Value};

use super::media::Media;

/// A sidecar as read: the medium it describes, and the JSON object it came from,
/// so that unknown keys keep their place and their digits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sidecar {
    pub media: Media,
    /// The object as it stood in the file; empty for a new sidecar.
    pub document: Map<String, Value>,
}

/// A text that is no sidecar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    #[error("larger than {} MiB", .0 / (1 << 20))]
    TooLarge(usize),
    #[error("{0}")]
    Syntax(String),
    #[error("not a JSON object")]
    NotAnObject,
}

impl Sidecar {
    pub fn parse(text: &str) -> Result<Self, SidecarError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(document)) => Ok(Self {
                media: Media::default(),
                document,
            }),
            Ok(_) => Err(SidecarError::NotAnObject),
            Err(error) => Err(SidecarError::Syntax(error.to_string())),
        }
    }
}
