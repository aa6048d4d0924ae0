//! The log: a file, never the terminal, with nothing in it that steers one when it
//! is read there.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use crate::model::text::display_text;

/// A log that has grown beyond this is put aside when the program starts.
const MAX_BYTES: u64 = 4 << 20;

/// The folder for the log: `$XDG_STATE_HOME/tagloupe`.
pub fn folder() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("tagloupe"))
}

/// Starts logging into `tagloupe.log` in this folder. `TAGLOUPE_LOG` says what is
/// logged (`debug`, `tagloupe::engine=trace`); otherwise the number of `-v` does.
///
/// # Errors
/// When the file cannot be opened; the program works without.
pub fn start(folder: &Path, verbose: u8) -> Result<()> {
    let path = folder.join("tagloupe.log");
    let file = open(&path).with_context(|| format!("cannot write the log {}", path.display()))?;
    let level = match verbose {
        0 => "tagloupe=info,warn",
        1 => "tagloupe=debug,info",
        _ => "trace",
    };
    let filter = env::var("TAGLOUPE_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(level)))
        .with_ansi(false)
        .with_writer(Mutex::new(Clean(file)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).context("cannot start the log")
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Passes text on with every steering character made visible. The subscriber hands
/// over one whole event a call.
struct Clean<W>(W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut clean = String::with_capacity(text.len());
        for line in text.lines() {
            clean.push_str(&display_text(line));
            clean.push('\n');
        }
        self.0.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_steers_no_terminal() {
        let mut log = Clean(Vec::new());
        log.write_all(b"a name\x1b]0;x\x07 \xff\n").unwrap();
        assert_eq!(log.0, "a name\u{fffd}]0;x\u{fffd} \u{fffd}\n".as_bytes());
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/tagloupe.log");
        open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        drop(open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        let old = fs::metadata(path.with_extension("log.old")).unwrap();
        assert_eq!(old.len(), MAX_BYTES + 1);
    }
}
