//! The command line: flags and subcommands, each turned into a few calls on the
//! engine. The screen is opened by `main`, which gets a [`ScreenRequest`] back.
//!
//! Invariant: exit codes are 0 done, 1 nothing matched or something found wrong,
//! 2 failed, 130 interrupted; a closed standard output is no failure.

mod arguments;
mod backup;
mod cache;
mod command;
mod context;
mod demo;
mod doctor;
mod fetch;
mod generate;
mod ingest;
mod journal;
pub mod log;
mod maintenance;
mod merge_driver;
pub mod output;
mod projects;
mod query;
pub mod settings;
mod tagdb;
mod tagdb_arguments;
mod trash;
mod verify;
mod worker;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use clap::{CommandFactory, FromArgMatches};

use crate::{
    app::config::Graphics,
    engine::{LayoutKind, Library, Recognised, job::Cancel},
    model::text::grouped,
};
pub use command::{Cli, Command, Options};
use context::Context;
pub use context::engine_settings;
use output::{Output, OutputError};

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
        Command::Worker(arguments) => worker::worker(context, &arguments)?,
        Command::Cache(arguments) => cache::cache(context, &arguments)?,
        Command::Backup(arguments) => backup::backup(context, &arguments)?,
        Command::Trash(arguments) => trash::trash(context, &arguments)?,
        Command::Undo(arguments) => journal::undo(context, &arguments)?,
        Command::Redo(arguments) => journal::redo(context, &arguments)?,
        Command::History(arguments) => journal::history(context, &arguments)?,
        Command::Recover => journal::recover(context)?,
        Command::Search(arguments) => query::search(context, &arguments)?,
        Command::Tag(arguments) => query::tag(context, &arguments)?,
        Command::Fetch(arguments) => fetch::fetch(context, &arguments)?,
        Command::Projects(arguments) => projects::projects(context, &arguments)?,
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
