//! The proof that nothing is lost: the real program is killed, refused and cut off
//! from its power at every call that changes a file, alone and in company, and what
//! it leaves is looked at.
//!
//! Each test says how much of its matrix it ran; `TAGLOUPE_LONG_TESTS=1` runs all
//! of it. `TAGLOUPE_FAULTS_REPORT` names a file that gets one line a test.

#[path = "integration/support.rs"]
#[cfg(test)]
#[expect(dead_code, reason = "shared with the integration tests")]
mod support;

#[cfg(test)]
mod faults {
    mod company;
    mod editor;
    mod errors;
    mod kill;
    mod power;
    mod scenario;
    mod scene;
    mod snapshot;
    mod trace;
}
