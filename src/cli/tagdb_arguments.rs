//! The words of `tagdb`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

#[derive(Debug, Args)]
#[command(after_help = "\
Everything here is virtual but rename, merge and category: it says how tags are read,
counts for all pictures at once, and is stored in tagdb.jsonl, one tag a line.
Each of these is one step for tagloupe undo.

Examples:
  tagloupe tagdb alias horo char:holo
  tagloupe tagdb imply char:holo copy:spice_and_wolf
  tagloupe tagdb merge blonde_hair blond_hair
  tagloupe tagdb suggest --min 0.9
  tagloupe tagdb import danbooru.csv --dry-run")]
pub struct TagDbArgs {
    #[command(subcommand)]
    pub action: TagDbAction,
}

#[derive(Debug, Subcommand)]
pub enum TagDbAction {
    /// List what is known of tags beyond their names.
    List {
        /// Only tags, aliases and categories that contain this.
        pattern: Option<String>,
    },
    /// Show one tag: what it implies, what implies it, how often it is found.
    Show { tag: String },
    /// Give a tag another name.
    Alias {
        alias: String,
        /// The tag that it stands for.
        tag: Option<String>,
        #[arg(long)]
        remove: bool,
    },
    /// Let whatever has a tag be found by others, too.
    Imply {
        tag: String,
        #[arg(required = true)]
        implied: Vec<String>,
        #[arg(long)]
        remove: bool,
    },
    /// List implications that the data suggest; with two tags, let one suggest the other.
    Suggest(TagDbSuggestArgs),
    /// Move a tag to another category, on every picture.
    Category { tag: String, category: String },
    /// Define a category, or change how it looks.
    Define {
        name: String,
        /// Another name; may be given several times.
        #[arg(long, value_name = "NAME")]
        alias: Vec<String>,
        /// A color name or #rrggbb.
        #[arg(long)]
        color: Option<String>,
        /// Its place among the categories.
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        order: Option<i64>,
        /// How much it counts when pictures are compared by their tags.
        #[arg(long, value_name = "X")]
        weight: Option<f64>,
    },
    /// Give a tag another name, on every picture.
    Rename {
        from: String,
        to: String,
        /// Let the old name still find it.
        #[arg(long)]
        leave_alias: bool,
    },
    /// Make one tag of two, on every picture; the first becomes an alias.
    Merge { from: String, into: String },
    /// Hide pictures with a tag unless it is asked for.
    Hide {
        tag: String,
        #[arg(long)]
        off: bool,
    },
    /// Mark a tag as not to be used any more.
    Deprecate {
        tag: String,
        #[arg(long)]
        off: bool,
    },
    /// Say what a tag is for.
    Describe { tag: String, text: Vec<String> },
    /// Take in a tag dictionary: selected_tags.csv of a tagger, or an A1111 list.
    Import {
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only tags that others use at least so often.
        #[arg(long, value_name = "N", default_value_t = 0)]
        min_count: u64,
        /// Only say what it would do.
        #[arg(long)]
        dry_run: bool,
    },
    /// List the ratings that tags suggest for unrated pictures, learned from the rated ones.
    Ratings {
        /// Among what this finds.
        #[arg(allow_hyphen_values = true)]
        query: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct TagDbSuggestArgs {
    /// A tag, and those that it suggests in the editor.
    pub tags: Vec<String>,
    /// They are no longer suggested.
    #[arg(long)]
    pub remove: bool,
    /// The first must never be said to imply the others.
    #[arg(long)]
    pub refuse: bool,
    /// Only what is at least so sure, from 0 to 1.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub min: f64,
    /// All of them, not only the surest.
    #[arg(long)]
    pub all: bool,
    /// Accept them all.
    #[arg(long)]
    pub accept: bool,
}
