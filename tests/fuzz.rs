//! Everything that is read from outside is hostile: whatever the bytes are, reading
//! them ends with a value or an error that says why, never with a panic.
//!
//! Each target runs as an ordinary test on generated inputs, valid ones with a few
//! bytes changed among them. `cargo bolero test fuzz::targets::query` runs one under
//! a fuzzer without end.

#[cfg(test)]
mod fuzz {
    mod targets;
}
