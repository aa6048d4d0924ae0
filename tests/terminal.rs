//! The real program in a real pseudo terminal: what a person at the keyboard
//! would see, and the state in which the terminal is left.

#[path = "integration/support.rs"]
#[cfg(test)]
#[expect(dead_code, reason = "shared with the integration tests")]
mod support;

#[cfg(test)]
mod terminal {
    #[path = "../faults/editor.rs"]
    mod editor;
    mod faults;
    mod pty;
    mod session;
    mod soak;
}
