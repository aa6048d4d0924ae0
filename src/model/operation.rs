//! Operations: what the user did, one step of undo. An operation may touch one
//! medium or fifty thousand; undoing it is an operation too.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The id of an operation: a UUID of version 7, so that ids order by time.
/// Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperationId(pub u128);

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of an operation: {0:?}")]
pub struct ParseOperationIdError(String);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperationId {
    type Err = ParseOperationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(number) if is_hex => Ok(Self(number)),
            _ => Err(ParseOperationIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for OperationId {
    type Error = ParseOperationIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OperationId> for String {
    fn from(id: OperationId) -> Self {
        id.to_string()
    }
}

/// One step of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub id: OperationId,
    /// What it does, for people: `tag +solo on 512`.
    pub action: String,
    /// Operations of one group are undone together and shown as one: the files of
    /// an ingest.
    pub group: Option<OperationId>,
    /// The operation that this one takes back.
    pub inverts: Option<OperationId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_order() {
        let id = OperationId(0x0192_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 32);
        for text in [
            "",
            "+1234567890123456789012345678901",
            "zz",
            "01920000-0000",
        ] {
            assert!(text.parse::<OperationId>().is_err(), "{text}");
        }
        assert!(OperationId(1).to_string() < OperationId(16).to_string());
    }
}
