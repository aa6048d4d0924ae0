//! The table of commands and their arguments, with the text of their help.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;

use super::tagdb_arguments::TagDbArgs;
use crate::{app::config::Graphics, model::operation::OperationId};

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
    /// Help the ingest of another host that shares the library, until Ctrl-C.
    Worker(WorkerArgs),
    /// Find pictures.
    Search(SearchArgs),
    /// Change tags, ratings and captions of all that match.
    Tag(TagArgs),
    /// Ask the sources that are switched on what they know of all that match.
    Fetch(FetchArgs),
    /// List the projects (albums), or what one of them lists.
    Projects(ProjectsArgs),
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

#[derive(Debug, Args)]
#[command(after_help = "\
Needs a Redis server that both know (cache.redis_url, REDIS_URL or REDIS_HOST) and the
library on storage that both see. Whatever is ingested while a worker is alive is shared
with it: by `ingest`, `scan` and `watch`, and by the inbox of an open gallery. Each file
is filed as the one who was asked would have filed it, and shown there.

Prints one line for each file. Ctrl-C, or a signal to end, finishes what is in hand and
hands back the rest. The work of a worker that died is taken over by the others within
seconds; a file that several of them died over is put aside.

Examples:
  tagloupe worker /mnt/nas/pictures
  REDIS_URL=rediss://nas:6380 tagloupe worker --threads 4
  tagloupe worker --dead               what three workers in a row died over
  tagloupe worker --retry-dead         put it up for the workers again")]
pub struct WorkerArgs {
    /// The library [default: as for all commands].
    #[arg(value_name = "LIBRARY", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// Files worked on at once [default: ingest.workers, else one fewer than cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// List the files that several workers died over, which were put aside for that,
    /// and end. They lie where they lay.
    #[arg(long, conflicts_with_all = ["threads", "retry_dead"])]
    pub dead: bool,
    /// Put those files up for the workers again, and end.
    #[arg(long, conflicts_with = "threads")]
    pub retry_dead: bool,
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
    /// With --explain: how the library is asked, part by part, with what each part finds
    /// and how long it takes.
    #[arg(long, requires = "explain")]
    pub plan: bool,
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
#[command(after_help = "\
Prints one path a line, in the order of the project, whether the picture is there or
not. What a smart album finds besides: tagloupe search 'project:NAME order:project'.

Examples:
  tagloupe projects
  tagloupe projects 'best of 2024' --page 2 --json")]
pub struct ProjectsArgs {
    /// The project whose pictures are listed.
    pub name: Option<String>,
    /// Which page of them, from 1 on.
    #[arg(long, value_name = "N", default_value = "1", requires = "name")]
    pub page: NonZeroUsize,
    /// How many pictures a page has.
    #[arg(long, value_name = "N", default_value = "60", requires = "name")]
    pub per_page: NonZeroUsize,
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
A source is a site that is asked by md5 (Danbooru, e621 and others); it is asked only when
it is switched on: enabled = true in [sources.NAME] of the configuration, which
`tagloupe config show` lists. Then it is also asked about everything that is ingested.

What it says is added: tags with their categories, the rating where there is none, links,
and the post for post: and source: queries. What you wrote, removed or locked wins. One
`tagloupe undo` takes a fetch back. Answers are kept in the cache for a week, also that a
site does not know a picture.

Examples:
  tagloupe fetch metadata:missing
  tagloupe fetch --dry-run 'date:today'
  tagloupe fetch --source danbooru --again 'tagcount:<5'")]
pub struct FetchArgs {
    /// The query.
    #[arg(required = true)]
    pub query: Vec<String>,
    /// Ask this source alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Ask the sites although their answers are kept.
    #[arg(long)]
    pub again: bool,
    /// Say what would be learned and write nothing.
    #[arg(long)]
    pub dry_run: bool,
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
#[command(group(ArgGroup::new("what").required(true)))]
pub struct TrashRestoreArgs {
    /// Ids, or paths in the library where they were.
    #[arg(value_name = "ID|PATH", group = "what")]
    pub items: Vec<String>,
    /// Everything.
    #[arg(long, group = "what")]
    pub all: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub struct TrashEmptyArgs {
    /// What has been in the trash for at least that long.
    #[arg(long, value_name = "DAYS", group = "what")]
    pub older_than: Option<u64>,
    /// Everything.
    #[arg(long, group = "what")]
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
    /// Backend, tiers, entries, bytes, hits and misses.
    Stats,
    /// Remove what is cached; it is made again when needed.
    Clear {
        /// Only entries that match: `thumb:*`, `lowres:0a1b*`. `*` stands for any
        /// text, `?` for one character.
        pattern: Option<String>,
    },
    /// Make the thumbnails that are not there yet.
    Warm {
        /// Only of what a query finds.
        query: Vec<String>,
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
