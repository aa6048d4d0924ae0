//! Which key does what in which layer.

/// The bindings in force.
#[derive(Clone, Debug, Default)]
pub struct Keymap {}
