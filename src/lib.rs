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
//!
//! # What is true, and in which order
//!
//! Files are the truth: originals, JSON sidecars, captions. The SQLite index is made
//! from them, the catalog from the index, thumbnails from the originals; each may be
//! deleted and is made again.
//!
//! Invariant: a change reaches the files first, then the index, then the catalog,
//! then whoever subscribed to the catalog. An index that cannot follow is a warning
//! and a mark to index again, never a failed save.
//!
//! Invariant: everything that changes user data goes through [`storage::Library`];
//! every file is written beside its place, synced, and renamed into it.
//!
//! Invariant: what is kept only to be fast goes through [`engine::cache`], carries the
//! version of what it was made from, and may be gone at any moment.
//!
//! # Three flows
//!
//! - **A dropped file.** [`engine::watch`] waits until it is at rest; a worker of
//!   [`engine::ingest`] takes it through the door (md5, known?, under a lock shared
//!   with other processes), metadata, hashes (one decode), files; a committer indexes
//!   neighbors in one transaction; thumbnails and events follow. Where sites are to be
//!   asked what they know of it, that is noted with it, and [`engine::fetching`] asks
//!   them at their pace and writes what they say as part of the same step.
//! - **An edit.** [`app`] keeps [`model::edit::Edit`]s pending and shows them at once.
//!   Saving queues them for [`engine::save`], which reads each sidecar as it is now,
//!   applies the edits, and writes: an edit is an operation, so what another program
//!   changed meanwhile stays.
//! - **A query.** Parsed on each key ([`model::query`], pure), evaluated over the
//!   catalog's bitmaps by [`engine::search`] on a thread of its own; a newer query
//!   cancels the older one, and an answer to an older one is dropped.
//!
//! # Threads
//!
//! One thread owns the session and draws; it never reads a file or waits for a lock
//! that a worker holds. It hears from all others through one bounded channel of
//! [`engine::event::Event`]s, and learns progress through a cell that keeps only the
//! latest. The catalog is an immutable snapshot that is swapped atomically
//! ([`engine::catalog_store`]), so readers never wait for a reload. A panic in a
//! worker is a failed outcome; a panic of the screen restores the terminal first.

pub mod app;
pub mod cli;
pub mod engine;
pub mod model;
pub mod storage;
pub mod tui;
