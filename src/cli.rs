//! The command line: flags and subcommands, each turned into a few calls on the
//! engine. The screen is opened by `main`, which gets a [`ScreenRequest`] back.
//!
//! Invariant: exit codes are 0 done, 1 nothing matched or something found wrong,
//! 2 failed, 130 interrupted; a closed standard output is no failure.

mod arguments;
mod backup;
mod cache;
mod context;
mod demo;
mod doctor;
mod generate;
mod ingest;
mod journal;
pub mod log;
mod maintenance;
mod merge_driver;
pub mod output;
mod query;
pub mod settings;
mod tagdb;
mod tagdb_arguments;
mod trash;
mod verify;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;

use crate::{
    app::config::Graphics,
    engine::{LayoutKind, Library, Recognised, job::Cancel},
    model::{operation::OperationId, text::grouped},
};
use context::Context;
pub use context::engine_settings;
use output::{Output, OutputError};
use tagdb_arguments::TagDbArgs;

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
    disable_help_subcommand = true
)]
pub struct Cli {
    /// The library to open, or to run the command on.
    #[arg(value_name = "LIBRARY", value_hint = ValueHint::DirPath)]
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
    #[arg(long, global = true, value_name = "HOW", value_parser = graphics_parser())]
    pub graphics: Option<Graphics>,

    /// The theme of the screen.
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,

    /// Write more into the log; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Reads the name of a way to draw pictures, and offers all of them.
fn graphics_parser() -> impl TypedValueParser<Value = Graphics> {
    PossibleValuesParser::new(Graphics::ALL.map(Graphics::name))
        .map(|name| Graphics::by_name(&name).unwrap_or_default())
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
    /// Aliases, implications, categories; tags renamed everywhere.
    Tagdb(TagDbArgs),
    /// Take an operation back: the newest of yours on this host, or the one named.
    Undo(RevertArgs),
    /// Do again what was undone.
    Redo(RevertArgs),
    /// List what was done, newest first.
    History(HistoryArgs),
    /// Finish what a crash interrupted, as every start does.
    Recover,
    /// Make the index again from the files.
    Rebuild,
    /// Check files, sidecars, captions, projects, trash and index against each other.
    Verify(VerifyArgs),
    /// Explain the environment: terminal, library, limits.
    Doctor,
    /// Report or remove duplicates.
    Dups(DupsArgs),
    /// Look into the trash, bring back, throw away for good.
    Trash(TrashArgs),
    /// Copy what cannot be made again to a folder elsewhere, or back from it.
    Backup(BackupArgs),
    /// Look at or empty the thumbnail cache.
    Cache(CacheArgs),
    /// Merge two versions of a sidecar; git calls this.
    MergeDriver(MergeDriverArgs),
    /// Print a completion script.
    Completions { shell: Shell },
    /// Print the manual page.
    Man,
    /// Look at or begin a configuration.
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
With this driver `git merge`, `rebase` and `pull` unite what two machines did to the
same picture: the tags of both but those that one of them removed, the later of a tag
and its removal, the longer of two captions (the other is kept among the captions).
The result replaces OURS. What is no sidecar is merged as text, as git does it without
a driver; where that leaves a conflict the exit code is 1.

Once on every machine:
  git config --global merge.tagloupe.name 'sidecars of tagloupe'
  git config --global merge.tagloupe.driver 'tagloupe merge-driver %O %A %B %P'

Which files it is for stands in .gitattributes of the library, which init writes (for
an in-place library where the folder is a git repository):
  images/**/*.json merge=tagloupe       a managed library
  *.json merge=tagloupe                 an in-place library")]
pub struct MergeDriverArgs {
    /// The common ancestor (%O); empty if there is none.
    #[arg(value_hint = ValueHint::FilePath)]
    pub base: PathBuf,
    /// Our version (%A), which the result replaces.
    #[arg(value_hint = ValueHint::FilePath)]
    pub ours: PathBuf,
    /// Their version (%B).
    #[arg(value_hint = ValueHint::FilePath)]
    pub theirs: PathBuf,
    /// The path in the repository (%P), for messages.
    pub path: Option<PathBuf>,
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
  tagloupe ingest --force ~/downloads/wanted-again.png
  find . -newer stamp -name '*.jpg' -print0 | xargs -0 tagloupe ingest")]
pub struct IngestArgs {
    /// Files and folders.
    #[arg(required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
    /// Take what was thrown away for good, too.
    #[arg(long)]
    pub force: bool,
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
    /// Why this medium matches or does not, term by term, with the tags that count.
    #[arg(long, value_name = "ID", conflicts_with = "SearchForm")]
    pub why: Option<String>,
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
#[command(after_help = "\
Reads every file once. One that was interrupted goes on where it was.

Repairs never touch an original and lose nothing that was written by hand: the index
is made to follow the files, sidecars get the md5, bytes and dimensions they lack,
masks and their sources name each other, leftovers of crashes go, and a sidecar that
cannot be read is put into quarantine and made again from what the index knows.

Examples:
  tagloupe verify
  tagloupe verify --repair --dry-run
  tagloupe verify --restart --json")]
pub struct VerifyArgs {
    /// Begin anew where an earlier one was interrupted.
    #[arg(long)]
    pub restart: bool,
    /// Repair what can be derived from something else.
    #[arg(long)]
    pub repair: bool,
    /// Say what would be repaired and repair nothing.
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A field that was changed since stays as it is, and is named. An undone ingest goes to
the trash. Undoing is an operation too: redo takes it back.

Examples:
  tagloupe undo
  tagloupe history
  tagloupe undo --id 01920f6e1c2b7d3f8a4b5c6d7e8f9a0b")]
pub struct RevertArgs {
    /// The operation, as `history` names it.
    #[arg(long, value_name = "ID")]
    pub id: Option<OperationId>,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tagloupe dups
  tagloupe dups remove --exact
  tagloupe dups remove --md5 d41d8cd98f00b204e9800998ecf8427e --keep images/a.png")]
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
#[command(after_help = "\
What is in the trash lies in deleted/ with a note that says where it belongs, and is
thrown away for good after 60 days (setting trash.days; 0: never). What is thrown
away for good is not taken in again, unless by ingest --force.

Examples:
  tagloupe trash list
  tagloupe trash restore images/ab/cd/abcd….png
  tagloupe trash restore --all
  tagloupe trash empty --older-than 30 --dry-run")]
pub struct TrashArgs {
    #[command(subcommand)]
    pub action: TrashAction,
}

#[derive(Debug, Subcommand)]
pub enum TrashAction {
    /// What is in the trash, the newest first: when, why, how large, where it was.
    List,
    /// Bring media back to where they were, with sidecar and caption.
    Restore(TrashRestoreArgs),
    /// Throw away for good.
    Empty(TrashEmptyArgs),
}

#[derive(Debug, Args)]
pub struct TrashRestoreArgs {
    /// Ids, or paths in the library where they were.
    #[arg(value_name = "ID|PATH", required_unless_present = "all")]
    pub items: Vec<String>,
    /// Everything.
    #[arg(long, conflicts_with = "items")]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct TrashEmptyArgs {
    /// What has been in the trash for at least that long.
    #[arg(long, value_name = "DAYS", required_unless_present = "all")]
    pub older_than: Option<u64>,
    /// Everything.
    #[arg(long, conflicts_with = "older_than")]
    pub all: bool,
    /// Say what would go and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Copies originals, sidecars, captions, projects, trash, journals and settings; index and
cache are made again. Only what is new or changed is copied, and nothing in a backup is
ever overwritten: what changed or vanished goes to DEST/old/<date>/. A backup that was
interrupted goes on.

Examples:
  tagloupe backup /mnt/disk/pictures
  tagloupe backup /mnt/disk/pictures --verify
  tagloupe backup /mnt/disk/pictures --restore ~/pictures-again")]
pub struct BackupArgs {
    /// A backup made before, or a new or empty folder outside the library.
    #[arg(value_hint = ValueHint::DirPath)]
    pub dest: PathBuf,
    /// Compare the bytes of all files, not only size and time.
    #[arg(long, conflicts_with = "restore")]
    pub verify: bool,
    /// Make the library again in a new or empty folder; every md5 is compared.
    #[arg(long, value_name = "INTO", value_hint = ValueHint::DirPath)]
    pub restore: Option<PathBuf>,
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

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    /// Nothing matched, or a check found something.
    Nothing,
    /// Some of a batch failed; the summary names each.
    Partly,
    Failed,
    Interrupted,
}

impl Status {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Nothing => 1,
            Self::Partly | Self::Failed => 2,
            Self::Interrupted => 130,
        }
    }
}

/// Asks the terminal what it can do and describes it, line by line.
pub type DescribeTerminal = fn(Option<Graphics>) -> Result<Vec<(&'static str, String)>, String>;

/// What the command line cannot do itself and gets from `main`.
#[derive(Clone)]
pub struct Surroundings {
    pub cancel: Cancel,
    pub describe_terminal: DescribeTerminal,
}

/// A library to open on the screen.
#[derive(Clone, Debug)]
pub struct ScreenRequest {
    pub root: PathBuf,
    pub graphics: Option<Graphics>,
    pub theme: Option<String>,
    pub verbose: u8,
    /// Where the log goes instead of its usual place.
    pub log: Option<PathBuf>,
    /// Printed after the screen is closed.
    pub farewell: Option<String>,
    /// The folder is no library: what it is, and what it would become. The screen asks.
    pub offer: Option<Offer>,
}

/// A folder that could become a library.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What the folder is, for people.
    pub what: String,
    pub kind: LayoutKind,
}

/// What `main` has to do after a command.
#[derive(Debug)]
pub enum Next {
    Exit(Status),
    OpenScreen(ScreenRequest),
}

/// Runs one command. Errors have been printed when this returns.
pub fn run(cli: Cli, surroundings: &Surroundings) -> Next {
    let mut context = Context {
        options: cli.options,
        output: Output::standard(),
        cancel: surroundings.cancel.clone(),
    };
    // A folder in the first place is what a person means, whatever the environment says.
    if let Some(folder) = cli.folder {
        context.options.library = Some(folder);
    }
    let next = dispatch(&context, cli.command, surroundings);
    let flushed = context.output.flush().map_err(anyhow::Error::from);
    let error = match (next, flushed) {
        (Ok(next), Ok(())) => return next,
        (Err(error), _) | (Ok(_), Err(error)) => error,
    };
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return Next::Exit(Status::Done);
    }
    if maintenance::is_cancelled(&error) {
        context.output.note("stopped");
        return Next::Exit(Status::Interrupted);
    }
    context.output.note(&format!("tagloupe: {error:#}"));
    Next::Exit(Status::Failed)
}

fn dispatch(
    context: &Context,
    command: Option<Command>,
    surroundings: &Surroundings,
) -> Result<Next> {
    let Some(command) = command else {
        return open_screen(context).map(Next::OpenScreen);
    };
    let status = match command {
        Command::Init(arguments) => maintenance::init(context, &arguments)?,
        Command::Ingest(arguments) => ingest::ingest(context, &arguments)?,
        Command::Watch => ingest::watch(context)?,
        Command::Scan => ingest::scan(context)?,
        Command::Cache(arguments) => cache::cache(context, &arguments)?,
        Command::Backup(arguments) => backup::backup(context, &arguments)?,
        Command::Trash(arguments) => trash::trash(context, &arguments)?,
        Command::Undo(arguments) => journal::undo(context, &arguments)?,
        Command::Redo(arguments) => journal::redo(context, &arguments)?,
        Command::History(arguments) => journal::history(context, &arguments)?,
        Command::Recover => journal::recover(context)?,
        Command::Search(arguments) => query::search(context, &arguments)?,
        Command::Tag(arguments) => query::tag(context, &arguments)?,
        Command::Tagdb(arguments) => tagdb::tagdb(context, &arguments)?,
        Command::Rebuild => maintenance::rebuild(context)?,
        Command::Verify(arguments) => verify::verify(context, &arguments)?,
        Command::Dups(arguments) => maintenance::dups(context, &arguments)?,
        Command::MergeDriver(arguments) => merge_driver::merge_driver(context, &arguments)?,
        Command::Doctor => doctor::doctor(context, surroundings)?,
        Command::Completions { shell } => generate::completions(context, shell)?,
        Command::Man => generate::man(context)?,
        Command::Config(arguments) => settings::config(context, arguments.action)?,
        Command::Demo(arguments) => return demo::demo(context, &arguments),
    };
    Ok(Next::Exit(status))
}

/// The library to open on the screen; one that does not exist yet is offered.
fn open_screen(context: &Context) -> Result<ScreenRequest> {
    let root = context.root()?;
    let recognised = Library::recognise(&root);
    if recognised == Recognised::New
        && let Some(command) = similar_command(&root)
    {
        let shown = root.display();
        bail!("there is no folder {shown}; did you mean the command {command}?");
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!("the screen needs a terminal; see tagloupe --help for what works without one");
    }
    let shown = root.display();
    let (what, kind) = match recognised {
        Recognised::Library => (String::new(), None),
        Recognised::NotADirectory => bail!("{shown} is not a folder"),
        Recognised::New => (
            format!("{shown} does not exist."),
            Some(LayoutKind::Bucketed),
        ),
        Recognised::Empty => (
            format!("{shown} is no library: there are no pictures in it."),
            Some(LayoutKind::Bucketed),
        ),
        Recognised::PicturesInside(pictures) => (
            format!(
                "{shown} is no library. {} in it and below.",
                match (
                    pictures,
                    grouped(u64::try_from(pictures).unwrap_or(u64::MAX))
                ) {
                    (1, _) => "There is a picture".to_owned(),
                    (n, count) if n < Recognised::COUNT_LIMIT =>
                        format!("There are {count} pictures"),
                    (_, count) => format!("There are {count} pictures or more"),
                }
            ),
            Some(LayoutKind::InPlace),
        ),
    };
    Ok(ScreenRequest {
        root,
        offer: kind.map(|kind| Offer { what, kind }),
        graphics: context.options.graphics,
        theme: context.options.theme.clone(),
        verbose: context.options.verbose,
        log: None,
        farewell: None,
    })
}

/// Makes a folder a library with the folder's name, as the screen was told to.
///
/// # Errors
/// When it cannot be written, or is one already.
pub fn create_library(root: &Path, kind: LayoutKind) -> Result<()> {
    Context::create(root, kind, None).map(drop)
}

/// The command that a word was probably meant to be.
fn similar_command(word: &Path) -> Option<String> {
    let word = word.to_str().filter(|word| !word.contains('/'))?;
    Cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .find(|name| distance(word, name) <= 2)
}

/// How many letters must be put in, left out or replaced to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistyped_command_is_guessed() {
        for (word, expected) in [
            ("serch", Some("search")),
            ("ingset", Some("ingest")),
            ("holiday", None),
            ("./serch", None),
        ] {
            assert_eq!(
                similar_command(Path::new(word)).as_deref(),
                expected,
                "{word}"
            );
        }
    }
}
