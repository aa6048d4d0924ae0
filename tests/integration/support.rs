//! What the tests of the real program share: a private home, pictures made on the
//! spot, and the program run to its end.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// A folder that stands for a user's whole world: settings, caches and a library
/// live below it, and nothing outside is read or written.
pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// One that is made below this folder, such as one in memory.
    pub fn new_in(folder: &Path) -> Self {
        Self {
            folder: tempfile::Builder::new()
                .prefix("tagloupe-test.")
                .tempdir_in(folder)
                .unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where [`Home::init`] makes the library.
    pub fn library(&self) -> PathBuf {
        self.path().join("library")
    }

    /// The variables that keep the program inside this home.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        [
            ("HOME", ""),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
        ]
        .map(|(name, folder)| (name, self.path().join(folder)))
        .to_vec()
    }

    /// Variables of the tester's session that must not leak into a test.
    pub const FOREIGN: [&str; 17] = [
        "TAGLOUPE_LIBRARY",
        "TAGLOUPE_CONFIG_DIR",
        "TAGLOUPE_LOG",
        "NO_COLOR",
        "COLORTERM",
        "TERM_PROGRAM",
        "TMUX",
        "STY",
        "CACHE_SIZE_MB",
        "REDIS_CA",
        "REDIS_DB",
        "REDIS_ENABLED",
        "REDIS_HOST",
        "REDIS_PASSWORD",
        "REDIS_PORT",
        "REDIS_URL",
        "TAGLOUPE_REDIS_URL",
    ];

    /// The program with this home, not started yet. Its current folder is the home.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(program());
        for name in Self::FOREIGN {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .envs(self.environment())
            .env("LANG", "C.UTF-8")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the program on the library of this home.
    pub fn on_library<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        let library = self.library();
        let mut all = vec![OsStr::new("--library"), library.as_os_str()];
        all.extend(arguments.iter().map(AsRef::as_ref));
        self.run(&all)
    }

    /// Makes an empty managed library.
    pub fn init(&self) {
        self.run(&["init".as_ref(), self.library().as_os_str()])
            .expect(0);
    }
}

/// How a run of the program ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    /// The run again, if it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.text(), self.stderr))
    }
}

/// The program under test.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tagloupe")
}

/// A picture that differs from that of every other seed, in its bytes and to the eye.
pub fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
    let mix = |n: u32| n.wrapping_mul(2_654_435_761).rotate_left(13);
    let base = mix(seed + 1).to_be_bytes();
    RgbImage::from_fn(width, height, |x, y| {
        let block = mix(seed ^ ((x * 8 / width) << 8) ^ ((y * 8 / height) << 16)).to_be_bytes();
        Rgb([
            base[0] ^ (block[0] & 0x7f),
            base[1] ^ (block[1] & 0x7f),
            base[2] ^ (block[2] & 0x7f),
        ])
    })
}

/// Writes that picture; the name's extension says in which format.
pub fn write_picture(path: &Path, seed: u32) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).unwrap();
    }
    picture(seed, 64, 48).save(path).unwrap();
}

/// A folder with that many different pictures: `0.png`, `1.png`, …
pub fn write_pictures(folder: &Path, seeds: std::ops::Range<u32>) {
    for seed in seeds {
        write_picture(&folder.join(format!("{seed}.png")), seed);
    }
}

/// Writes a text file, folders included.
pub fn write_text(path: &Path, text: &str) {
    write_bytes(path, text.as_bytes());
}

/// Writes a file, folders included.
pub fn write_bytes(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .unwrap();
}

/// Every file below a folder, as sorted relative paths.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path().strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The originals in a managed library: everything below `images/` that is neither
/// sidecar nor caption.
pub fn originals(library: &Path) -> Vec<PathBuf> {
    let is_original = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        // What a killed program left half written.
        let is_leftover = name.as_encoded_bytes().starts_with(b".");
        !is_leftover
            && !matches!(
                path.extension().and_then(OsStr::to_str),
                Some("json" | "txt")
            )
    };
    let mut files = files_below(&library.join("images"));
    files.retain(is_original);
    files
}
