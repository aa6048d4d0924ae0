//! The engine: everything that takes time. Front ends ask it and hear back by
//! events.

pub mod catalog_store;
pub mod event;
pub mod job;
pub mod search;
pub mod suggest;
