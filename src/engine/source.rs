//! Where metadata comes from besides the files themselves: sites on the network that
//! know a picture by its md5.
//!
//! Nothing here asks anybody until a source is switched on. What a source answers is
//! kept in the cache, also that it knows nothing, so that no site is asked twice for
//! the same.

pub mod booru;
mod http;
pub mod post;
pub mod settings;

use std::time::Duration;

use super::job::Cancel;
use crate::model::{id::Md5, media::Media};

/// Why a source gave no answers at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Not now: the site is away, or has enough of us.
    #[error("{reason}")]
    Later {
        reason: String,
        /// How long the site wants to be left alone, where it says so.
        pause: Option<Duration>,
    },
    /// Not without a change of the configuration: a wrong key, a site that is none.
    #[error("{0}")]
    Refused(String),
    #[error("cancelled")]
    Cancelled,
}

/// A site that may know pictures.
///
/// It blocks, keeps to its own rate limit, whichever threads ask, and looks at the
/// cancel flag between two requests and while it waits.
pub trait MetadataSource: Send + Sync {
    /// The name under which its answers are kept, in sidecars too: `danbooru`.
    fn name(&self) -> &str;

    /// Pictures that one request can ask for; at least one.
    fn most_at_once(&self) -> usize;

    /// What the site knows of each of these, at most [`Self::most_at_once`], in
    /// order; `None`: it does not know the picture. `now` (RFC 3339) dates the answers.
    ///
    /// # Errors
    /// When there are no answers; then nothing is known of any of them.
    fn look_up(
        &self,
        pictures: &[Md5],
        now: &str,
        cancel: &Cancel,
    ) -> Result<Vec<Option<Media>>, Trouble>;
}
