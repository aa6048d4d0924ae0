//! What the command line prints: lines on standard output and notes on standard
//! error, never by `println!`, which panics once the terminal has hung up.
//!
//! Invariant: nothing from data reaches a terminal as a control sequence. Into a
//! pipe or a file, paths go byte for byte.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fmt::Display,
    io::{self, BufWriter, IsTerminal, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::model::text::display_text;

/// Standard output is gone or full.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader closed its end, as `head` does: no failure.
    #[error("standard output was closed")]
    Closed,
    #[error("cannot write to standard output")]
    Io(#[source] io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Where one command prints. Cheap to clone; clones share the streams.
#[derive(Clone)]
pub struct Output {
    stdout: Arc<Mutex<Box<dyn Write + Send>>>,
    progress: MultiProgress,
    is_terminal: bool,
    shows_progress: bool,
}

impl Output {
    /// The streams of this process.
    pub fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let shows_progress = io::stderr().is_terminal();
        let target = if shows_progress {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            stdout: Arc::new(Mutex::new(Box::new(BufWriter::new(io::stdout())))),
            progress: MultiProgress::with_draw_target(target),
            is_terminal,
            shows_progress,
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// One line; may hold text from data.
    pub fn line(&self, text: &str) -> Result<(), OutputError> {
        if self.is_terminal {
            self.write(&[display_text(text).as_bytes(), b"\n"])
        } else {
            self.write(&[text.as_bytes(), b"\n"])
        }
    }

    /// Several lines written by this program, which may hold text from data.
    pub fn lines(&self, text: &str) -> Result<(), OutputError> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// A file name or path, ended by a new line.
    pub fn path(&self, path: &OsStr) -> Result<(), OutputError> {
        if self.is_terminal {
            self.line(&path.to_string_lossy())
        } else {
            self.write(&[path.as_bytes(), b"\n"])
        }
    }

    /// A file name or path, ended by a zero byte, which no path can hold.
    pub fn path_zero(&self, path: &OsStr) -> Result<(), OutputError> {
        self.write(&[path.as_bytes(), b"\0"])
    }

    /// One JSON document on one line, harmless on a terminal too.
    pub fn json(&self, value: &Value) -> Result<(), OutputError> {
        self.write(&[json_text(value).as_bytes(), b"\n"])
    }

    /// A list as one JSON document, one element a line.
    pub fn json_list(&self, values: impl Iterator<Item = Value>) -> Result<(), OutputError> {
        let mut before: &[u8] = b"[";
        for value in values {
            self.write(&[before, b"\n  ", json_text(&value).as_bytes()])?;
            before = b",";
        }
        if before == b"[" {
            return self.write(&[b"[]\n"]);
        }
        self.write(&[b"\n]\n"])
    }

    /// Bytes as they are: generated scripts, never data.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write(&[bytes])
    }

    /// Hands over what is buffered. Call it before leaving, since a failure to
    /// write must end in the exit code.
    pub fn flush(&self) -> Result<(), OutputError> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stdout.flush()?)
    }

    /// One line on standard error, above the progress bar if there is one. A
    /// standard error that is gone is nobody's concern.
    pub fn note(&self, text: &str) {
        self.progress.suspend(|| {
            let mut stderr = io::stderr().lock();
            for line in text.lines() {
                // Nobody is left to be told.
                let _ = writeln!(stderr, "{}", display_text(line));
            }
        });
    }

    /// What something failed for, and why, on standard error: a reason that many share
    /// is told once.
    pub fn failures<P: Display>(&self, failed: impl IntoIterator<Item = (P, String)>) {
        for line in failure_lines(failed) {
            self.note(&line);
        }
    }

    /// A bar on standard error, drawn only when that is a terminal. Without a
    /// total it is a spinner with a count.
    pub fn bar(&self, label: &str, total: Option<u64>) -> Bar {
        let bar = self.progress.add(ProgressBar::no_length());
        bar.set_prefix(display_text(label).into_owned());
        if self.shows_progress {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let bar = Bar { bar };
        bar.set(0, total);
        bar
    }

    fn write(&self, parts: &[&[u8]]) -> Result<(), OutputError> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            stdout.write_all(part)?;
        }
        if self.is_terminal {
            stdout.flush()?;
        }
        Ok(())
    }
}

/// A progress bar that clears itself when dropped.
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub fn set(&self, done: u64, total: Option<u64>) {
        let template = match (total, self.bar.length()) {
            (Some(total), None) => {
                self.bar.set_length(total);
                Some("{prefix} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta} {wide_msg}")
            }
            (Some(total), Some(known)) if total != known => {
                self.bar.set_length(total);
                None
            }
            (None, None) => Some("{prefix} {spinner} {human_pos} {per_sec} {wide_msg}"),
            _ => None,
        };
        if let Some(style) = template.and_then(|text| ProgressStyle::with_template(text).ok()) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_position(done);
    }

    /// What is being worked on; may hold text from data.
    pub fn message(&self, text: &str) {
        self.bar.set_message(display_text(text).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Compact JSON in which every character that steers a terminal is escaped. Such
/// characters can only stand inside strings, so the meaning stays the same.
fn json_text(value: &Value) -> String {
    let text = value.to_string();
    if text.is_ascii() {
        return text.replace('\x7f', "\\u007f");
    }
    let mut safe = String::with_capacity(text.len());
    let (mut buffer, mut units) = ([0; 4], [0; 2]);
    for c in text.chars() {
        let shown: &str = c.encode_utf8(&mut buffer);
        if display_text(shown) == shown {
            safe.push(c);
        } else {
            let escapes = c.encode_utf16(&mut units).iter();
            safe.extend(escapes.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    safe
}

/// Files that something failed for, as every `--json` lists them.
pub fn failures<P: AsRef<Path>>(failed: impl IntoIterator<Item = (P, String)>) -> Vec<Value> {
    let failure = |(path, reason): (P, String)| json!({"file": path.as_ref().to_string_lossy(), "reason": reason});
    failed.into_iter().map(failure).collect()
}

/// As people read it: a line for each, one for all that failed for the same reason, and
/// no more lines than a screen has.
fn failure_lines<P: Display>(failed: impl IntoIterator<Item = (P, String)>) -> Vec<String> {
    const NAMED: usize = 3;
    const LINES: usize = 20;
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut by_reason: Vec<(String, Vec<P>)> = Vec::new();
    let mut all = 0;
    for (what, reason) in failed {
        all += 1;
        let place = *places.entry(reason).or_insert_with_key(|reason| {
            by_reason.push((reason.clone(), Vec::new()));
            by_reason.len() - 1
        });
        by_reason[place].1.push(what);
    }
    let mut lines = Vec::new();
    let mut told = 0;
    for (reason, of) in by_reason {
        if lines.len() >= LINES {
            break;
        }
        told += of.len();
        if of.len() <= NAMED {
            lines.extend(of.iter().map(|what| format!("{what}: {reason}")));
        } else {
            let more = of.len() - 1;
            lines.push(format!("{} and {more} more: {reason}", of[0]));
        }
    }
    if told < all {
        lines.push(format!("and {} more, for like reasons", all - told));
    }
    lines
}

/// `1 file`, `2 files`.
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_many_share_is_told_once() {
        let failed = |n: u32| (0..n).map(|n| (format!("{n}.png"), "disk full".to_owned()));
        assert_eq!(
            failure_lines(failed(2)),
            ["0.png: disk full", "1.png: disk full"]
        );
        let other = ("x.png".to_owned(), "no permission".to_owned());
        assert_eq!(
            failure_lines(failed(500).chain([other])),
            ["0.png and 499 more: disk full", "x.png: no permission"]
        );
        let each = (0..100).map(|n| (n, format!("cannot write {n}")));
        let lines = failure_lines(each);
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[20], "and 80 more, for like reasons");
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(is_terminal: bool) -> (Output, Shared) {
        let shared = Shared::default();
        let output = Output {
            stdout: Arc::new(Mutex::new(Box::new(shared.clone()))),
            progress: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            is_terminal,
            shows_progress: false,
        };
        (output, shared)
    }

    #[test]
    fn a_terminal_never_sees_control_characters_and_a_pipe_sees_every_byte() {
        let hostile = OsStr::from_bytes(b"a\x1b]0;x\x07\xff.png");
        for (is_terminal, expected) in [
            (true, "a\u{fffd}]0;x\u{fffd}\u{fffd}.png\n".as_bytes()),
            (false, b"a\x1b]0;x\x07\xff.png\n".as_slice()),
        ] {
            let (output, shared) = output(is_terminal);
            output.path(hostile).unwrap();
            assert_eq!(shared.0.lock().unwrap().as_slice(), expected);
        }
    }

    #[test]
    fn json_is_harmless_and_means_the_same() {
        let value = json!({"name": "a\x1b\u{9b}31m\u{202e}é日\u{e0041}\u{7f}"});
        let text = json_text(&value);
        assert!(!text.chars().any(char::is_control), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        assert!(text.contains('日'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let value = json!("\x7f");
        assert_eq!(json_text(&value), "\"\\u007f\"");
    }

    #[test]
    fn lists_are_one_document() {
        for count in [0, 1, 3] {
            let (output, shared) = output(false);
            output.json_list((0..count).map(Value::from)).unwrap();
            let text = shared.0.lock().unwrap().clone();
            let list: Vec<u64> = serde_json::from_slice(&text).unwrap();
            assert_eq!(list, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_closed_reader_is_told_from_a_full_disk() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(error.into(), OutputError::Closed));
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(error.into(), OutputError::Io(_)));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(counted(1_usize, "file", "files"), "1 file");
        assert_eq!(counted(0_u64, "file", "files"), "0 files");
    }
}
