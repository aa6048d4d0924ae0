//! Settings: built-in defaults < file < environment < flags. Every unknown key is
//! reported with its line; what is wrong is left out, the rest counts.
//!
//! Also where the files of a user lie, and the few that are read and written here:
//! `config.toml`, `keymap.toml`, and how each library's screen was set up.

mod cache;
mod sources;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

pub use self::{cache::CacheConfig, sources::SourcesConfig};
use super::gallery::{DEFAULT_TILE_CELLS, TILE_CELLS};

/// How the environment is asked; tests pass their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name of a theme, or `auto`: dark or light as the terminal is.
    pub theme: String,
    pub graphics: Graphics,
    /// Another choice for some terminals: by the address that SSH comes from, or
    /// `local`.
    pub graphics_by_host: BTreeMap<String, Graphics>,
    /// How many tmux run inside each other, when any does.
    pub tmux_depth: u8,
    pub picture_quality: PictureQuality,
    /// The width of a tile unless the library remembers another.
    pub tile_cells: u16,
    pub ingest: IngestConfig,
    /// What an unknown word of a query means.
    pub unknown: Unknown,
    pub cache: CacheConfig,
    pub sources: SourcesConfig,
    /// How long the trash keeps what is in it, in days; 0: for ever.
    pub trash_days: u64,
    /// Whether Enter on an empty input saves and goes to the next picture.
    pub editor_flow: bool,
    /// Whether it is noted when a picture was looked at.
    pub note_viewed: bool,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// The best the terminal has.
    #[default]
    Auto,
    /// Placed by text, also in tmux.
    Kitty,
    /// Placed by commands.
    KittyDirect,
    Sixel,
    Iterm2,
    HalfBlocks,
    /// Not at all: a list.
    None,
}

impl Graphics {
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Kitty,
        Self::KittyDirect,
        Self::Sixel,
        Self::Iterm2,
        Self::HalfBlocks,
        Self::None,
    ];

    /// The word of the configuration and of `--graphics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kitty => "kitty",
            Self::KittyDirect => "kitty-direct",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
            Self::HalfBlocks => "halfblocks",
            Self::None => "none",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|graphics| graphics.name() == name)
    }
}

/// How many bytes a picture on the screen is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PictureQuality {
    /// In stages over SSH, all of it otherwise.
    #[default]
    Auto,
    Preview,
    Balanced,
    Lossless,
}

impl PictureQuality {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Preview, Self::Balanced, Self::Lossless];

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Preview => "preview",
            Self::Balanced => "balanced",
            Self::Lossless => "lossless",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.name() == name)
    }
}

/// The settings of the ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestConfig {
    /// 0: as many as fit the machine.
    pub workers: usize,
    /// How long a file must rest before it is taken, in milliseconds.
    pub settle_ms: u64,
    /// The folder that is watched; the library's own when none is given.
    pub folder: Option<PathBuf>,
    /// Look at the folder again and again instead of waiting for the system's word.
    pub polling: bool,
    /// Read originals whose md5 nobody knows in the background.
    pub hash_found: bool,
}

/// What an unknown word of a query means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Look for it in names and captions.
    #[default]
    Text,
    /// A tag that nothing has.
    Tag,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            theme: "auto".to_owned(),
            graphics: Graphics::Auto,
            graphics_by_host: BTreeMap::new(),
            tmux_depth: 1,
            picture_quality: PictureQuality::Auto,
            tile_cells: DEFAULT_TILE_CELLS,
            ingest: IngestConfig {
                workers: 0,
                settle_ms: 2000,
                folder: None,
                polling: false,
                hash_found: true,
            },
            unknown: Unknown::Text,
            cache: CacheConfig::default(),
            sources: SourcesConfig::default(),
            trash_days: 60,
            editor_flow: false,
            note_viewed: true,
        }
    }
}

/// Environment variables and the keys they set, the strongest last.
const VARIABLES: [(&str, &str); 6] = [
    ("TAGLOUPE_THEME", "theme"),
    ("TAGLOUPE_GRAPHICS", "graphics"),
    ("TAGLOUPE_PICTURE_QUALITY", "picture_quality"),
    ("CACHE_SIZE_MB", "cache.size_mb"),
    ("MAX_WORKERS", "ingest.workers"),
    ("TAGLOUPE_WORKERS", "ingest.workers"),
];

impl Config {
    /// The settings of file and environment, and what was wrong with them.
    pub fn load(environment: Environment<'_>) -> (Self, Vec<String>) {
        let mut config = Self::default();
        let mut problems = Vec::new();
        if let Some(folder) = config_dir(environment) {
            let path = folder.join("config.toml");
            match read(&path) {
                Ok(text) => {
                    let found = config.apply(&text.unwrap_or_default());
                    problems.extend(
                        found
                            .into_iter()
                            .map(|problem| format!("{}: {problem}", path.display())),
                    );
                }
                Err(error) => problems.push(error),
            }
        }
        for (variable, key) in VARIABLES {
            if let Some(value) = environment(variable).filter(|value| !value.is_empty())
                && let Err(error) = config.set(key, &Setting::of_text(&value))
            {
                problems.push(format!("{variable}: {error}"));
            }
        }
        config.cache.apply_environment(environment, &mut problems);
        (config, problems)
    }

    /// Takes over what a file says; gives what was wrong, each with its line.
    pub fn apply(&mut self, text: &str) -> Vec<String> {
        let mut problems: Vec<(usize, String)> = Vec::new();
        match DeTable::parse(text) {
            Ok(table) => self.apply_table(text, "", table.get_ref(), &mut problems),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                problems.push((line, error.message().to_owned()));
            }
        }
        problems.sort_by_key(|(line, _)| *line);
        problems
            .into_iter()
            .map(|(line, problem)| format!("line {line}: {problem}"))
            .chain(self.sources.problems())
            .collect()
    }

    fn apply_table(
        &mut self,
        text: &str,
        prefix: &str,
        table: &DeTable<'_>,
        problems: &mut Vec<(usize, String)>,
    ) {
        for (key, value) in table {
            let path = format!("{prefix}{}", key.get_ref());
            let outcome = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.apply_table(text, &format!("{path}."), inner, problems);
                    continue;
                }
                DeValue::String(word) => self.set(&path, &Setting::Text(word)),
                DeValue::Boolean(on) => self.set(&path, &Setting::Flag(*on)),
                DeValue::Integer(number) => {
                    match i64::from_str_radix(number.as_str(), number.radix()) {
                        Ok(number) => self.set(&path, &Setting::Number(number)),
                        Err(_) => Err(format!("{path} is too large")),
                    }
                }
                _ => self.set(&path, &Setting::Other),
            };
            if let Err(problem) = outcome {
                problems.push((line_of(text, key.span().start), problem));
            }
        }
    }

    fn set(&mut self, key: &str, value: &Setting<'_>) -> Result<(), String> {
        match key {
            "theme" => value.text(key)?.clone_into(&mut self.theme),
            "graphics" => self.graphics = graphics(key, value)?,
            "tmux_depth" => {
                self.tmux_depth = u8::try_from(value.number(key, 1..=2)?).unwrap_or(1);
            }
            "picture_quality" => {
                let word = value.text(key)?;
                self.picture_quality = PictureQuality::by_name(word).ok_or_else(|| {
                    let known = PictureQuality::ALL.map(PictureQuality::name);
                    format!("picture_quality is one of {}", known.join(" "))
                })?;
            }
            "thumbnails.size_cells" => {
                let (least, most) = (*TILE_CELLS.start(), *TILE_CELLS.end());
                let cells = value.number(key, least.into()..=most.into())?;
                self.tile_cells = u16::try_from(cells).unwrap_or(DEFAULT_TILE_CELLS);
            }
            "ingest.workers" => {
                self.ingest.workers =
                    usize::try_from(value.number(key, 0..=64)?).unwrap_or_default();
            }
            "ingest.settle_ms" => self.ingest.settle_ms = value.number(key, 0..=600_000)?,
            "ingest.folder" => self.ingest.folder = Some(PathBuf::from(value.text(key)?)),
            "ingest.polling" => self.ingest.polling = value.flag(key)?,
            "ingest.hash_found" => self.ingest.hash_found = value.flag(key)?,
            "search.unknown" => {
                self.unknown = match value.text(key)? {
                    "text" => Unknown::Text,
                    "tag" => Unknown::Tag,
                    _ => return Err("search.unknown is text or tag".to_owned()),
                };
            }
            "trash.days" => self.trash_days = value.number(key, 0..=36_500)?,
            "editor.flow" => self.editor_flow = value.flag(key)?,
            "viewer.note_viewed" => self.note_viewed = value.flag(key)?,
            _ => {
                let set = self.cache.set(key, value);
                if let Some(set) = set.or_else(|| self.sources.set(key, value)) {
                    return set;
                }
                let host = key.strip_prefix("graphics_by_host.");
                let host = host.ok_or_else(|| format!("unknown key {key}"))?;
                let graphics = graphics(key, value)?;
                self.graphics_by_host.insert(host.to_owned(), graphics);
            }
        }
        Ok(())
    }

    /// How pictures are drawn on the terminal at the other end.
    pub fn graphics_here(&self, environment: Environment<'_>) -> Graphics {
        if environment("TAGLOUPE_GRAPHICS").is_some_and(|value| !value.is_empty()) {
            return self.graphics;
        }
        let client = environment("SSH_CONNECTION").filter(|value| !value.is_empty());
        let host = client.as_deref().map_or("local", |client| {
            client.split_whitespace().next().unwrap_or_default()
        });
        let chosen = self.graphics_by_host.get(host).copied();
        chosen.unwrap_or(self.graphics)
    }

    /// These settings as a file, each with what it means.
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        line(format_args!("# auto, or the name of a theme"));
        line(format_args!("theme = {}", quoted(&self.theme)));
        let known = Graphics::ALL.map(Graphics::name).join(", ");
        line(format_args!("# {known}"));
        line(format_args!("graphics = {}", quoted(self.graphics.name())));
        let known = PictureQuality::ALL.map(PictureQuality::name).join(", ");
        line(format_args!("# {known}; auto: in stages over SSH"));
        let quality = quoted(self.picture_quality.name());
        line(format_args!("picture_quality = {quality}"));
        line(format_args!(
            "# how many tmux run inside each other, when any does"
        ));
        line(format_args!("tmux_depth = {}", self.tmux_depth));
        line(format_args!(
            "\n# graphics for the address that SSH comes from, or local"
        ));
        line(format_args!("[graphics_by_host]"));
        for (host, graphics) in &self.graphics_by_host {
            let graphics = quoted(graphics.name());
            line(format_args!("{} = {graphics}", quoted(host)));
        }
        line(format_args!("\n[thumbnails]"));
        line(format_args!(
            "# width of a tile, {} to {} cells",
            TILE_CELLS.start(),
            TILE_CELLS.end()
        ));
        line(format_args!("size_cells = {}", self.tile_cells));
        line(format_args!("\n[ingest]"));
        line(format_args!(
            "# files at once; 0: as many as fit the machine"
        ));
        line(format_args!("workers = {}", self.ingest.workers));
        line(format_args!(
            "# how long a file must rest before it is taken"
        ));
        line(format_args!("settle_ms = {}", self.ingest.settle_ms));
        line(format_args!(
            "# the folder that is watched; the library's own when none is given"
        ));
        match &self.ingest.folder {
            Some(folder) => line(format_args!(
                "folder = {}",
                quoted(&folder.to_string_lossy())
            )),
            None => line(format_args!("# folder = \"/home/me/downloads\"")),
        }
        line(format_args!(
            "# look at it again and again, where the system cannot notify"
        ));
        line(format_args!("polling = {}", self.ingest.polling));
        line(format_args!(
            "# read originals that were found, not ingested, in the background, so that duplicates are known"
        ));
        line(format_args!("hash_found = {}", self.ingest.hash_found));
        line(format_args!("\n[search]"));
        line(format_args!(
            "# an unknown word is looked for in names and captions (text), or is a tag that nothing has (tag)"
        ));
        let unknown = match self.unknown {
            Unknown::Text => "text",
            Unknown::Tag => "tag",
        };
        line(format_args!("unknown = {}", quoted(unknown)));
        self.cache.write(&mut line);
        self.sources.write(&mut line);
        line(format_args!("\n[trash]"));
        line(format_args!(
            "# days after which the trash is emptied by itself; 0: never"
        ));
        line(format_args!("days = {}", self.trash_days));
        line(format_args!("\n[editor]"));
        line(format_args!(
            "# Enter on an empty input saves and goes on to the next picture"
        ));
        line(format_args!("flow = {}", self.editor_flow));
        line(format_args!("\n[viewer]"));
        line(format_args!(
            "# note on this host when a picture was looked at, for viewed: and order:viewed"
        ));
        line(format_args!("note_viewed = {}", self.note_viewed));
        text
    }
}

fn graphics(key: &str, value: &Setting<'_>) -> Result<Graphics, String> {
    Graphics::by_name(value.text(key)?).ok_or_else(|| {
        let known = Graphics::ALL.map(Graphics::name);
        format!("{key} is one of {}", known.join(" "))
    })
}

/// A value as a file or the environment gives it.
enum Setting<'a> {
    Text(&'a str),
    Number(i64),
    Flag(bool),
    Other,
}

impl<'a> Setting<'a> {
    fn of_text(text: &'a str) -> Self {
        match (text.parse(), text) {
            (Ok(number), _) => Self::Number(number),
            (_, "true") => Self::Flag(true),
            (_, "false") => Self::Flag(false),
            _ => Self::Text(text),
        }
    }

    fn text(&self, key: &str) -> Result<&'a str, String> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(format!("{key} is a text")),
        }
    }

    fn number(&self, key: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
        match self {
            Self::Number(number) => u64::try_from(*number)
                .ok()
                .filter(|number| range.contains(number)),
            _ => None,
        }
        .ok_or_else(|| {
            format!(
                "{key} is a number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        match self {
            Self::Flag(on) => Ok(*on),
            _ => Err(format!("{key} is true or false")),
        }
    }
}

/// How the screen was set up when the library was last open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViewState {
    pub tile_cells: Option<u16>,
    pub captions: Option<bool>,
    pub info: Option<bool>,
    pub monitor: Option<bool>,
    pub theme: Option<String>,
    /// Queries that were run, oldest first.
    pub queries: Vec<String>,
}

impl ViewState {
    /// What was remembered; nothing when there is nothing that can be understood.
    pub fn load(path: &Path) -> Self {
        read(path)
            .ok()
            .flatten()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Remembers it, all at once or not at all.
    ///
    /// # Errors
    /// What could not be written and why.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let error = |cause: &dyn std::fmt::Display| {
            format!("cannot remember the view in {}: {cause}", path.display())
        };
        let folder = path.parent().ok_or_else(|| error(&"no folder"))?;
        let text = toml::to_string(self).map_err(|cause| error(&cause))?;
        std::fs::create_dir_all(folder).map_err(|cause| error(&cause))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|cause| error(&cause))?;
        file.write_all(text.as_bytes())
            .map_err(|cause| error(&cause))?;
        file.persist(path).map_err(|cause| error(&cause.error))?;
        Ok(())
    }
}

/// The folder of `config.toml`, `keymap.toml` and themes of one's own.
pub fn config_dir(environment: Environment<'_>) -> Option<PathBuf> {
    if let Some(folder) = set(environment, "TAGLOUPE_CONFIG_DIR") {
        return Some(folder);
    }
    Some(base(environment, "XDG_CONFIG_HOME", ".config")?.join("tagloupe"))
}

/// The file that remembers how the screen of this library was set up.
pub fn view_path(environment: Environment<'_>, library: &Path) -> Option<PathBuf> {
    let folder = match set(environment, "TAGLOUPE_CONFIG_DIR") {
        Some(folder) => folder,
        None => base(environment, "XDG_STATE_HOME", ".local/state")?.join("tagloupe"),
    };
    let name = md5::compute(library.as_os_str().as_encoded_bytes());
    Some(folder.join("views").join(format!("{name:x}.toml")))
}

/// The user's `keymap.toml`, if there is one.
///
/// # Errors
/// When it is there but cannot be read.
pub fn read_keymap(environment: Environment<'_>) -> Result<Option<String>, String> {
    match config_dir(environment) {
        Some(folder) => read(&folder.join("keymap.toml")),
        None => Ok(None),
    }
}

/// The line of a byte of a text, from 1.
pub fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

fn read(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn set(environment: Environment<'_>, variable: &str) -> Option<PathBuf> {
    environment(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A folder of the XDG specification, which counts only when it is absolute.
fn base(environment: Environment<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    set(environment, variable)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(set(environment, "HOME")?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("config.toml"))
            .unwrap()
            .write_all(b"theme = \"light\"\ngraphics = \"sixel\"\n[ingest]\nworkers = 3\n")
            .unwrap();
        let environment = |name: &str| match name {
            "TAGLOUPE_CONFIG_DIR" => folder.path().to_str().map(str::to_owned),
            "TAGLOUPE_GRAPHICS" => Some("none".to_owned()),
            "MAX_WORKERS" => Some("x".to_owned()),
            _ => None,
        };
        let (config, problems) = Config::load(&environment);
        assert_eq!(config.theme, "light");
        assert_eq!(config.graphics, Graphics::None);
        assert_eq!(config.ingest.workers, 3);
        assert_eq!(
            problems,
            ["MAX_WORKERS: ingest.workers is a number from 0 to 64"]
        );
    }

    #[test]
    fn graphics_may_depend_on_where_one_comes_from() {
        let mut config = Config::default();
        let text = "graphics = \"kitty\"\n[graphics_by_host]\n\"10.0.0.7\" = \"sixel\"\n\
                    local = \"none\"\n\"::1\" = \"x\"\n";
        let problems = config.apply(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("line 5: graphics_by_host.::1 is one of auto kitty"));
        let here = |client: &str| {
            config.graphics_here(&|name| {
                (name == "SSH_CONNECTION" && !client.is_empty()).then(|| client.to_owned())
            })
        };
        assert_eq!(here("10.0.0.7 50022 10.0.0.1 22"), Graphics::Sixel);
        assert_eq!(here("10.0.0.8 50022 10.0.0.1 22"), Graphics::Kitty);
        assert_eq!(here(""), Graphics::None);
    }

    #[test]
    fn mistakes_are_reported_with_their_line_and_the_rest_counts() {
        let mut config = Config::default();
        let problems = config.apply(
            "theme = 3\ncolour = \"red\"\n\n[editor]\nflow = true\nfast = 1\n\
             [thumbnails]\nsize_cells = 500\n[cache]\nsize_mb = 20\n",
        );
        assert_eq!(
            problems,
            [
                "line 1: theme is a text",
                "line 2: unknown key colour",
                "line 6: unknown key editor.fast",
                "line 8: thumbnails.size_cells is a number from 8 to 40",
            ]
        );
        assert!(config.editor_flow);
        assert_eq!(config.cache.size_mb, 20);
        let problems = config.apply("theme = \n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("line 1: "));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let config = Config {
            theme: "high \"contrast\"".to_owned(),
            graphics: Graphics::Kitty,
            graphics_by_host: BTreeMap::from([("10.0.0.7".to_owned(), Graphics::Sixel)]),
            tmux_depth: 2,
            picture_quality: PictureQuality::Balanced,
            editor_flow: true,
            unknown: Unknown::Tag,
            ingest: IngestConfig {
                folder: Some("/in box".into()),
                ..Config::default().ingest
            },
            ..Config::default()
        };
        let mut read = Config::default();
        assert_eq!(read.apply(&config.to_toml()), Vec::<String>::new());
        assert_eq!(read, config);
    }

    #[test]
    fn views_are_remembered_per_library() {
        let folder = tempfile::tempdir().unwrap();
        let environment = |name: &str| {
            (name == "XDG_STATE_HOME").then(|| folder.path().to_string_lossy().into_owned())
        };
        let one = view_path(&environment, Path::new("/one")).unwrap();
        let two = view_path(&environment, Path::new("/two")).unwrap();
        let view = ViewState {
            tile_cells: Some(20),
            captions: Some(false),
            queries: vec!["1girl -sketch".to_owned()],
            ..ViewState::default()
        };
        view.save(&one).unwrap();
        assert_eq!(ViewState::load(&one), view);
        assert_eq!(ViewState::load(&two), ViewState::default());
    }

    #[test]
    fn only_absolute_folders_of_the_environment_count() {
        let environment = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("relative".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        assert_eq!(
            config_dir(&environment),
            Some("/home/me/.config/tagloupe".into())
        );
        assert_eq!(config_dir(&|_| None), None);
    }
}
