//! What a decoder does wrong is an answer, not an accident: its panic becomes an
//! error that names the file, and nothing of it is printed.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe, catch_unwind},
};

use crate::{engine::job::panic_text, model::text::display_text};

thread_local! {
    static IS_DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder; gives the text of its panic if it panics.
pub(super) fn guarded<T>(decoder: impl FnOnce() -> T) -> Result<T, String> {
    let was_decoding = IS_DECODING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decoder));
    IS_DECODING.set(was_decoding);
    outcome.map_err(|panic| {
        let text = panic_text(panic.as_ref());
        format!("the decoder failed: {}", display_text(&text))
    })
}

/// Keeps the panics of decoders from being printed, from now on and in all threads;
/// the log has them.
pub fn quiet_decoders() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if IS_DECODING.get() {
            tracing::warn!("caught in a decoder: {info}");
        } else {
            default(info);
        }
    }));
}
