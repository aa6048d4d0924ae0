//! Figures at the size of large libraries, printed and not asserted: run
//! `cargo test --release --test scale -- --ignored --nocapture`.

#[cfg(test)]
mod scale {
    mod catalog;
    mod saving;
    mod storage;
}
