//! tagloupe: curate and tag a large picture library from a terminal.
//!
//! # The floors
//!
//! From the ground up; a module uses the floors below it, never above or beside.
//! `tests/integration/architecture.rs` guards this.
//!
//! | floor | holds | knows nothing of |
//! |---|---|---|
//! | [`model`] | pure values: tags, media, sidecars, edits, queries, the catalog | files, time, threads |
//! | [`storage`] | one library on disk: files, the SQLite index, locks; synchronous | threads, the screen |
//! | [`engine`] | search, ingest, thumbnails, jobs; threads and time | ratatui |
//! | [`app`] | the state of one session: `update(Message) -> Vec<Effect>` | files, SQL, the terminal |
//! | [`tui`], [`cli`] | two faces of the same engine | SQL, each other |

pub mod app;
pub mod cli;
pub mod engine;
pub mod model;
pub mod storage;
pub mod tui;
