//! Settings: built-in defaults < file < environment < flags. Every unknown key is
//! reported with its line.

use super::gallery::DEFAULT_TILE_CELLS;

/// The settings of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name of a theme, or `auto`: dark or light as the terminal is.
    pub theme: String,
    pub graphics: Graphics,
    /// The width of a tile unless the library remembers another.
    pub tile_cells: u16,
    pub ingest: IngestConfig,
    /// What an unknown word of a query means.
    pub unknown: Unknown,
    /// How much the caches on disk may hold, in MB.
    pub cache_mb: u64,
    /// Whether Enter on an empty input saves and goes to the next picture.
    pub editor_flow: bool,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// The best the terminal has.
    #[default]
    Auto,
    Kitty,
    Sixel,
    Iterm2,
    HalfBlocks,
    /// Not at all: a list.
    None,
}

/// The settings of the ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestConfig {
    /// 0: as many as fit the machine.
    pub workers: usize,
    /// How long a file must rest before it is taken, in milliseconds.
    pub settle_ms: u64,
    /// The folder that is watched; the library's own when none is given.
    pub folder: Option<std::path::PathBuf>,
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
            tile_cells: DEFAULT_TILE_CELLS,
            ingest: IngestConfig {
                workers: 0,
                settle_ms: 500,
                folder: None,
            },
            unknown: Unknown::Text,
            cache_mb: 1000,
            editor_flow: false,
        }
    }
}

/// How the screen was set up when the library was last open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewState {
    pub tile_cells: Option<u16>,
    pub captions: Option<bool>,
    pub info: Option<bool>,
    pub monitor: Option<bool>,
    pub theme: Option<String>,
}

/// The line of a byte of a text, from 1.
pub fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}
