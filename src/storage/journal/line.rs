//! The lines of a journal: JSON objects, one a line, only ever appended.
//!
//! | state | what else the line holds | meaning |
//! |---|---|---|
//! | `pending` | `at host user action changes: [{ids, edits}]` | edits the user has made and not saved |
//! | `begin` | `at host user action`, `inverts?`, `group?` | the operation has begun |
//! | `part` | `kind: edit, move, store, purge, tags, searches`, `items`, `again?` | what is changed next: durable before any file of it is touched |
//! | `done` | | every file of it is written |
//! | `discarded` | | nothing more is to be done for it |
//!
//! `again` marks a part that takes the place of earlier items for the same media:
//! another program had changed their sidecars between reading and writing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{purge::Purge, trash::Moves};
use crate::model::{
    edit::Edit,
    id::{Md5, MediaId},
    operation::{Operation, OperationId},
    patch::Patch,
    tagdb::LineChange,
};

/// What one part of an operation changes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::storage) enum Part {
    Edit(Vec<EditItem>),
    Move(Vec<Moves>),
    Store(Vec<StoreItem>),
    Purge(Vec<Purge>),
    /// Lines of the tag database.
    Tags(Vec<LineChange>),
    /// Named searches.
    Searches(Vec<LineChange>),
}

/// The change of one sidecar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::storage) struct EditItem {
    pub id: MediaId,
    /// Library-relative path of the original.
    pub path: String,
    pub patch: Patch,
}

/// A picture that is filed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storage) struct StoreItem {
    pub id: MediaId,
    pub path: String,
    pub md5: Md5Text,
    /// Library-relative path of the sidecar and what is written into it.
    pub sidecar: String,
    pub text: String,
    /// There was no sidecar before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
    /// The source of a move, percent-encoded where it is not UTF-8: removed when
    /// the medium is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An md5 as its hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::storage) struct Md5Text(pub Md5);

impl TryFrom<String> for Md5Text {
    type Error = crate::model::id::ParseMd5Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Md5Text> for String {
    fn from(md5: Md5Text) -> Self {
        md5.0.to_string()
    }
}

/// Edits of one step that are not saved yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingChange {
    pub ids: Vec<MediaId>,
    pub edits: Vec<Edit>,
}

impl Part {
    pub(in crate::storage) fn is_empty(&self) -> bool {
        match self {
            Self::Edit(items) => items.is_empty(),
            Self::Move(items) => items.is_empty(),
            Self::Store(items) => items.is_empty(),
            Self::Purge(items) => items.is_empty(),
            Self::Tags(items) | Self::Searches(items) => items.is_empty(),
        }
    }

    /// The media it is about, one a item.
    pub(in crate::storage) fn ids(&self) -> Vec<&MediaId> {
        match self {
            Self::Edit(items) => items.iter().map(|item| &item.id).collect(),
            Self::Move(items) => items.iter().map(|item| &item.id).collect(),
            Self::Store(items) => items.iter().map(|item| &item.id).collect(),
            Self::Purge(items) => items.iter().map(|item| &item.id).collect(),
            Self::Tags(_) | Self::Searches(_) => Vec::new(),
        }
    }

    /// The items of a line that was read, where it is of a known form.
    pub(super) fn from_value(kind: &str, items: Value) -> Option<Self> {
        match kind {
            "edit" => serde_json::from_value(items).ok().map(Self::Edit),
            "move" => serde_json::from_value(items).ok().map(Self::Move),
            "store" => serde_json::from_value(items).ok().map(Self::Store),
            "purge" => serde_json::from_value(items).ok().map(Self::Purge),
            "tags" => serde_json::from_value(items).ok().map(Self::Tags),
            "searches" => serde_json::from_value(items).ok().map(Self::Searches),
            _ => None,
        }
    }
}

/// Who does something, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author<'a> {
    pub at: &'a str,
    pub host: &'a str,
    pub user: &'a str,
}

#[derive(Serialize)]
struct BeginLine<'a> {
    op: OperationId,
    state: &'static str,
    at: &'a str,
    host: &'a str,
    user: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inverts: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<OperationId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changes: &'a [PendingChange],
}

#[derive(Serialize)]
struct PartLine<'a, T> {
    op: OperationId,
    state: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    items: &'a [T],
}

#[derive(Serialize)]
struct StateLine {
    op: OperationId,
    state: &'static str,
}

/// A `begin` line.
pub(super) fn begin(operation: &Operation, author: Author<'_>) -> serde_json::Result<String> {
    opening("begin", operation, author, &[])
}

/// A `pending` line.
pub(super) fn pending(
    operation: &Operation,
    author: Author<'_>,
    changes: &[PendingChange],
) -> serde_json::Result<String> {
    opening("pending", operation, author, changes)
}

fn opening(
    state: &'static str,
    operation: &Operation,
    author: Author<'_>,
    changes: &[PendingChange],
) -> serde_json::Result<String> {
    line(&BeginLine {
        op: operation.id,
        state,
        at: author.at,
        host: author.host,
        user: author.user,
        action: &operation.action,
        inverts: operation.inverts,
        group: operation.group,
        changes,
    })
}

/// A `part` line.
pub(super) fn part(op: OperationId, part: &Part, again: bool) -> serde_json::Result<String> {
    fn of<T: Serialize>(
        op: OperationId,
        kind: &'static str,
        again: bool,
        items: &[T],
    ) -> serde_json::Result<String> {
        let state = "part";
        line(&PartLine {
            op,
            state,
            kind,
            again,
            items,
        })
    }
    match part {
        Part::Edit(items) => of(op, "edit", again, items),
        Part::Move(items) => of(op, "move", again, items),
        Part::Store(items) => of(op, "store", again, items),
        Part::Purge(items) => of(op, "purge", again, items),
        Part::Tags(items) => of(op, "tags", again, items),
        Part::Searches(items) => of(op, "searches", again, items),
    }
}

/// A `done` or `discarded` line.
pub(super) fn state(op: OperationId, state: &'static str) -> serde_json::Result<String> {
    line(&StateLine { op, state })
}

fn line<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    Ok(text)
}
