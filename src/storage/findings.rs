//! What a verification is asked, how far it is, and what it found: plain values.

use std::path::{Path, PathBuf};

/// What a verification does besides looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: it changes no file.
    #[default]
    No,
    /// Says what it would repair.
    Plan,
    /// Repairs what can be derived from something else.
    Do,
}

/// How a verification goes about it.
#[derive(Clone, Copy, Debug)]
pub struct VerifySettings {
    /// Begin anew where an earlier one was interrupted.
    pub restart: bool,
    pub repair: Repair,
    /// Width and height of a picture whose sidecar does not say them.
    pub dimensions: fn(&Path) -> Option<(u32, u32)>,
    /// Now, in seconds since 1970.
    pub now: i64,
}

impl VerifySettings {
    /// Looks and changes nothing; goes on where an earlier one was interrupted.
    pub fn looking(now: i64) -> Self {
        Self {
            restart: false,
            repair: Repair::No,
            dimensions: |_| None,
            now,
        }
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    pub done: u64,
    pub total: u64,
    pub findings: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The bytes are not those the sidecar names.
    WrongBytes {
        path: PathBuf,
        expected: String,
        found: String,
    },
    /// A sidecar without its original.
    MissingOriginal { path: PathBuf },
    /// It could not be read.
    Unreadable { path: PathBuf, reason: String },
    /// The sidecar is not JSON, or not a sidecar.
    BrokenSidecar { path: PathBuf, reason: String },
    /// The sidecar is gone, and the index remembers what it said.
    LostSidecar { path: PathBuf },
    /// Another program rewrote the sidecar without keys of ours.
    LeftOut { path: PathBuf },
    /// The index says something else than the files.
    WrongRow { path: PathBuf, reason: String },
    /// A relation names a medium that is not in the library.
    DanglingRelation {
        path: PathBuf,
        relation: String,
        id: String,
    },
    /// One of two media names the other, and not the other way round.
    OneSidedRelation { path: PathBuf, reason: String },
    /// The caption file says something else than the sidecar.
    CaptionDiffers { path: PathBuf, caption: PathBuf },
    /// A project that cannot be read.
    BrokenProject { path: PathBuf, reason: String },
    /// A project names a file that is not there.
    DanglingMember { path: PathBuf, member: String },
    /// A note in the trash that cannot be used, or has no files.
    BadNote { path: PathBuf, reason: String },
    /// A file in the trash of which no note says where it belongs.
    WithoutNote { path: PathBuf },
    /// A temporary file that a crash left behind.
    Leftover { path: PathBuf },
    /// Thumbnails of media that are neither in the library nor in its trash.
    StrayCache {
        path: PathBuf,
        files: u64,
        bytes: u64,
    },
}

/// Something that was repaired, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    pub path: PathBuf,
    /// What was done, as in `indexed again`.
    pub what: String,
    /// Why it could not be done.
    pub problem: Option<String>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    pub checked: u64,
    /// Media whose sidecar names no md5, so that their bytes prove nothing.
    pub without_md5: u64,
    /// What is still wrong.
    pub findings: Vec<Finding>,
    pub repairs: Vec<Repaired>,
    /// The last path that an interrupted verification had checked: what comes before
    /// it was found in order then, or is looked at again now.
    pub resumed_after: Option<String>,
    pub is_cancelled: bool,
}
