//! The command line: flags and subcommands, each turned into a few calls on the
//! engine. The screen is opened by `main`, which gets a [`ScreenRequest`] back.
//!
//! Invariant: exit codes are 0 done, 1 nothing matched or something found wrong,
//! 2 failed, 130 interrupted; a closed standard output is no failure.

mod arguments;
pub mod output;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use output::Output;

const EXAMPLES: &str = "\
Examples:
  tagloupe demo                         a small library to try everything on
  tagloupe init ~/pictures              make a library
  tagloupe ingest ~/downloads           file pictures in it
  tagloupe ~/pictures                   open it
  tagloupe search 'fox -night' --count
  tagloupe tag 'fox' +animal -draft

A folder whose name is that of a command is opened as ./NAME.
Exit codes: 0 done, 1 nothing matched or something is wrong, 2 failed, 130 interrupted.";

/// Curate and tag a large picture library from a terminal.
///
/// Without a command, opens the screen on LIBRARY: a library, a folder of pictures
/// that becomes one, or by default the library around the current folder.
#[derive(Debug, Parser)]
#[command(
    name = "tagloupe",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// The library to open.
    #[arg(value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub options: Options,
}

/// Switches that every command understands, before or after its name.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// The library to work on [default: the one around the current folder].
    #[arg(long, global = true, value_name = "DIR", env = "TAGLOUPE_LIBRARY", value_hint = ValueHint::DirPath)]
    pub library: Option<PathBuf>,

    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,

    /// How pictures are drawn [default: what the terminal says it can].
    #[arg(long, global = true, value_name = "HOW")]
    pub graphics: Option<Graphics>,

    /// The theme of the screen.
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,

    /// Write more into the log; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The ways to draw a picture in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Graphics {
    Auto,
    Kitty,
    Sixel,
    Iterm2,
    /// Two pixels a cell, by colors alone.
    Halfblocks,
    /// No pictures.
    None,
}

impl Graphics {
    /// The word on the command line and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
            Self::Halfblocks => "halfblocks",
            Self::None => "none",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a small library on the spot and open it.
    Demo(DemoArgs),
    /// Make a library.
    Init(InitArgs),
    /// File pictures in the library.
    Ingest(IngestArgs),
    /// File whatever arrives in the library's ingest folder, until Ctrl-C.
    Watch,
    /// File what lies in the library's ingest folder, once.
    Scan,
    /// Find pictures.
    Search(SearchArgs),
    /// Change tags, ratings and captions of all that match.
    Tag(TagArgs),
    /// Make the index again from the files.
    Rebuild,
    /// Check files, sidecars and index against each other.
    Verify,
    /// Explain the environment: terminal, library, limits.
    Doctor,
    /// Report or remove duplicates.
    Dups(DupsArgs),
    /// Look at or empty the thumbnail cache.
    Cache(CacheArgs),
    /// Print a completion script.
    Completions { shell: Shell },
    /// Print the manual page.
    Man,
    /// Look at or begin a configuration.
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tagloupe demo
  tagloupe demo --fresh --dir /tmp/try")]
pub struct DemoArgs {
    /// Where the demo library is made [default: in your data folder].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Throw an earlier demo library away first.
    #[arg(long)]
    pub fresh: bool,
    /// Make the library and leave; no screen.
    #[arg(long)]
    pub no_screen: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
By default a new or empty folder becomes a managed library, which files originals
by their content, and a folder with pictures an in-place one, which never moves them.

Examples:
  tagloupe init ~/pictures
  tagloupe init --in-place ~/photos --name Family")]
pub struct InitArgs {
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Originals are filed under images/ by their md5.
    #[arg(long, conflicts_with = "in_place")]
    pub managed: bool,
    /// Originals stay where they lie; sidecars beside them.
    #[arg(long)]
    pub in_place: bool,
    /// The library's name [default: the folder's].
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Sources are copied unless you say otherwise; files in the library's own ingest
folder are moved. A copied or linked source is never touched, not even a duplicate.

Examples:
  tagloupe ingest ~/downloads
  tagloupe ingest --move *.png
  find . -newer stamp -name '*.jpg' -print0 | xargs -0 tagloupe ingest")]
pub struct IngestArgs {
    /// Files and folders.
    #[arg(required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

/// How an original gets into the library.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct TransferArgs {
    /// Copy each file (the default).
    #[arg(long)]
    pub copy: bool,
    /// Move each file; the source is removed once it is stored.
    #[arg(long = "move")]
    pub move_: bool,
    /// Make a hard link; a copy where that is impossible.
    #[arg(long)]
    pub link: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "tagloupe search [OPTIONS] QUERY...",
    after_help = "\
Prints one path a line. Words may begin with '-': they exclude a tag.

Examples:
  tagloupe search fox -night
  tagloupe search 'rating:g (fox or wolf)' --limit 20
  tagloupe search fox -0 | xargs -0 feh
  tagloupe search 'char:holo' --explain"
)]
pub struct SearchArgs {
    /// Words of the query, joined by spaces; none finds everything.
    #[arg(allow_hyphen_values = true)]
    pub query: Vec<String>,
    #[command(flatten)]
    pub form: SearchForm,
    /// At most this many.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// What a search prints; paths when nothing is chosen.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct SearchForm {
    /// One media id a line.
    #[arg(long)]
    pub ids: bool,
    /// One path a line (the default).
    #[arg(long)]
    pub paths: bool,
    /// Paths, each ended by a zero byte.
    #[arg(short = '0', long = "null")]
    pub zero: bool,
    /// How many match.
    #[arg(long)]
    pub count: bool,
    /// How the query was understood; needs no library.
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "tagloupe tag [OPTIONS] QUERY EDIT...",
    after_help = "\
The first word is the query, all others are edits; options stand before the query.

  foo  +foo      add a tag             -foo         take it away
  char:foo       with a category       old>new      rename
  rating:s       stars:4  fav  -fav    caption:\"a red fox\"

Examples:
  tagloupe tag fox +animal -draft
  tagloupe tag --dry-run 'rating:none' rating:g
  tagloupe tag 'id:0a1b2c' 'char:holo' fav"
)]
pub struct TagArgs {
    /// Say what would change and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The query, then the edits.
    #[arg(required = true, num_args = 2.., value_names = ["QUERY", "EDIT"], allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tagloupe dups
  tagloupe dups remove --exact
  tagloupe dups remove --md5 d41d8cd98f00b204e9800998ecf8427e --keep images/a.png"
)]
pub struct DupsArgs {
    /// Files with equal bytes (the default).
    #[arg(long)]
    pub exact: bool,
    #[command(subcommand)]
    pub action: Option<DupsAction>,
}

#[derive(Debug, Subcommand)]
pub enum DupsAction {
    /// Move all but one of each group to the trash, its tags merged into the one
    /// that stays: the first by path.
    Remove(DupsRemoveArgs),
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true)]
pub struct DupsRemoveArgs {
    /// All groups of equal files.
    #[arg(long, group = "which", conflicts_with = "md5")]
    pub exact: bool,
    /// Only the group with this md5.
    #[arg(long, value_name = "MD5", group = "which", requires = "keep")]
    pub md5: Option<String>,
    /// The file of that group that stays.
    #[arg(long, value_name = "PATH", requires = "md5")]
    pub keep: Option<PathBuf>,
    /// Say what would be removed and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub action: CacheAction,
}

#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Files, bytes, hits and misses.
    Stats,
    /// Remove what is cached; it is made again when needed.
    Clear {
        /// Only entries that match: `thumb:*`, `lowres:0a1b*`.
        pattern: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigAction {
    /// The settings in force, as TOML.
    Show,
    /// Where the configuration file is read from.
    Path,
    /// Write a configuration file with every setting explained.
    Init,
}

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    /// Nothing matched, or a check found something.
    Nothing,
    /// Some of a batch failed; the summary names each.
    Partly,
    Interrupted,
}

impl Status {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Nothing => 1,
            Self::Partly => 2,
            Self::Interrupted => 130,
        }
    }
}

/// Reads the arguments of this process. Prints and returns the exit code when
/// there is nothing to run: help, the version, or a mistake.
///
/// # Errors
/// With the exit code.
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, u8> {
    let command = Cli::command();
    let arguments = arguments::separate_words(&command, arguments);
    command
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| {
            if error.use_stderr() {
                // The message repeats arguments, and a shell expands those from file names.
                Output::standard().note(&error.render().to_string());
                2
            } else {
                // Help on a closed output helps nobody.
                let _ = error.print();
                0
            }
        })
}
