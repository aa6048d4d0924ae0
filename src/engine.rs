//! The engine: everything that takes time. Front ends ask it and hear back by
//! events.

pub mod event;
pub mod job;
