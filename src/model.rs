//! The vocabulary: pure values, no I/O, no threads, no SQL, no terminal.

pub mod absorb;
pub mod catalog;
pub mod color;
pub mod column;
pub mod edit;
pub mod entry;
pub mod fact;
pub mod hash;
pub mod id;
pub mod mark;
pub mod media;
pub mod merge;
pub mod operation;
pub mod patch;
pub mod project;
pub mod query;
#[cfg(test)]
mod samples;
pub mod sidecar;
pub mod tag;
pub mod tag_line;
pub mod tagdb;
pub mod text;
