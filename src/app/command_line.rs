//! The command line: `:` and the words of the program, with completion, history,
//! and an error that says what was wrong.

use std::path::PathBuf;

use super::{
    completion::{Candidate, Completion},
    gallery::{Sort, SortKey},
    tag_database::TagCommand,
    text_input::TextInput,
};
use crate::model::{mark::is_letter, media::Rating};

/// Lines that are remembered.
const MAX_HISTORY: usize = 200;

/// The state of the line; it is open while `is_open`.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    pub is_open: bool,
    pub input: TextInput,
    pub completion: Completion,
    /// Why the line was refused; drawn until it changes. Safe to draw.
    pub error: Option<String>,
    /// Lines that were run, oldest first.
    pub history: Vec<String>,
    at: Option<usize>,
}

/// One row of the table of commands.
#[derive(Clone, Copy, Debug)]
pub struct CommandInfo {
    /// The word, or several separated by `|`.
    pub names: &'static str,
    pub usage: &'static str,
    pub help: &'static str,
}

/// What the line understands.
pub const COMMANDS: &[CommandInfo] = &[
    info("q|quit", "q", "quit; asks when edits are unsaved"),
    info("q!", "q!", "quit and discard unsaved edits"),
    info("w|save", "w", "save pending edits"),
    info("wq|x", "wq", "save and quit"),
    info("e!|discard", "e!", "discard unsaved edits"),
    info("tag", "tag EDIT…", "edit tags: foo -bar char:holo rating:s"),
    info("untag", "untag TAG…", "remove tags"),
    info(
        "rename",
        "rename OLD NEW",
        "rename a tag in the whole library",
    ),
    info("alias", "alias NAME TAG", "give a tag another name"),
    info("unalias", "unalias NAME", "take a name away again"),
    info(
        "imply",
        "imply TAG IMPLIED…",
        "let whatever has a tag be found by others, too",
    ),
    info(
        "merge-tag",
        "merge-tag OLD TAG",
        "make one tag of two, on every picture",
    ),
    info(
        "category",
        "category TAG CATEGORY",
        "move a tag to another category, on every picture",
    ),
    info(
        "tagdb",
        "tagdb [WORD]",
        "what is known of tags, to be changed there",
    ),
    info(
        "unimply",
        "unimply TAG IMPLIED…",
        "it does not imply them after all",
    ),
    info(
        "suggest",
        "suggest TAG SUGGESTED…",
        "offer tags where another one is",
    ),
    info("describe", "describe TAG TEXT", "what a tag stands for"),
    info(
        "color",
        "color CATEGORY COLOR [PLACE]",
        "how a category is shown: a name, #rrggbb or - and its place",
    ),
    info(
        "suggestions",
        "suggestions",
        "implications that the data suggest, one by one",
    ),
    info(
        "explain",
        "explain",
        "how the query is understood, and what each term finds",
    ),
    info("why", "why", "why this picture is in the result"),
    info("related", "related", "pictures with much the same tags"),
    info("name-search", "name-search NAME", "name the search"),
    info("searches", "searches", "the named searches"),
    info("caption", "caption TEXT", "set the caption"),
    info("rating", "rating g|s|q|e|-", "set the rating"),
    info("stars", "stars 0-5", "set the stars"),
    info("fav", "fav", "favorite or not"),
    info("archive", "archive", "archive"),
    info("trash", "trash", "move to the trash"),
    info("search", "search QUERY", "run a query"),
    info("similar", "similar", "pictures similar to this"),
    info("mark", "mark LETTER", "put a mark on this picture"),
    info("marks", "marks", "the marks that are set"),
    info("delmarks", "delmarks LETTERS", "take marks away"),
    info("select", "select all|none|invert", "select"),
    info("sort", "sort KEY|-KEY", "sort the gallery"),
    info("set", "set NAME[=VALUE]", "change a setting of the screen"),
    info("theme", "theme NAME", "change the theme"),
    info("scan", "scan", "scan the ingest folder now"),
    info(
        "ingest",
        "ingest PATH",
        "take files or a folder into the library",
    ),
    info("pause", "pause", "pause the ingest"),
    info("resume", "resume", "resume the ingest"),
    info("retry", "retry", "try all failed files again"),
    info(
        "workers",
        "workers N",
        "how many files are ingested at once",
    ),
    info(
        "cache",
        "cache stats|clear [PATTERN]|warm",
        "what is cached: look, forget (thumb:*), make thumbnails",
    ),
    info("fetch", "fetch [again]", "ask the sources about these"),
    info("rebuild", "rebuild", "make the index anew from the files"),
    info("verify", "verify", "compare files, sidecars and index"),
    info("reload", "reload", "read the library again"),
    info("undo", "undo", "undo"),
    info("redo", "redo", "redo"),
    info("log", "log", "notices and errors so far"),
    info("help", "help [WORD]", "help, searched for a word"),
];

/// A line that was understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Quit {
        discard: bool,
    },
    Save,
    SaveAndQuit,
    Discard,
    Tag(String),
    Untag(String),
    Rename {
        from: String,
        to: String,
    },
    Tags(TagCommand),
    Caption(String),
    Rating(Option<Rating>),
    Stars(u8),
    Favorite,
    Archive,
    Trash,
    Search(String),
    Similar,
    Mark(char),
    Marks,
    /// Their letters.
    DeleteMarks(String),
    SelectAll,
    SelectNone,
    SelectInvert,
    Sort(Sort),
    Set(Setting),
    Theme(String),
    Scan,
    Ingest(PathBuf),
    Pause(bool),
    Retry,
    Workers(usize),
    Cache(CacheCommand),
    /// Ask the sources, although their answers are kept.
    Fetch {
        again: bool,
    },
    Rebuild,
    Verify,
    Reload,
    Undo,
    Redo,
    Log,
    Help(String),
}

/// What `cache` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheCommand {
    Stats,
    /// What matches this pattern.
    Clear(String),
    Warm,
}

/// A setting of the screen that can be changed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Captions(bool),
    Tiles(u16),
    Info(bool),
    Monitor(bool),
    Flow(bool),
}

const SORTS: [(&str, SortKey); 11] = [
    ("name", SortKey::Name),
    ("date", SortKey::Date),
    ("imported", SortKey::Imported),
    ("size", SortKey::Size),
    ("width", SortKey::Width),
    ("tags", SortKey::Tags),
    ("tagcount", SortKey::Tags),
    ("stars", SortKey::Stars),
    ("modified", SortKey::Modified),
    ("color", SortKey::Color),
    ("random", SortKey::Random),
];

const SETTINGS: [&str; 9] = [
    "captions",
    "nocaptions",
    "info",
    "noinfo",
    "monitor",
    "nomonitor",
    "flow",
    "noflow",
    "tiles=",
];

const fn info(names: &'static str, usage: &'static str, help: &'static str) -> CommandInfo {
    CommandInfo { names, usage, help }
}

impl CommandLine {
    /// Opens the line with some text in it.
    pub fn open(&mut self, text: &str) {
        self.is_open = true;
        self.input.set(text);
        self.error = None;
        self.at = None;
        self.completion.close();
    }

    pub fn close(&mut self) {
        self.is_open = false;
        self.input.clear();
        self.error = None;
        self.completion.close();
    }

    /// Takes the line for running; a mistake keeps it open and is shown.
    pub fn accept(&mut self) -> Option<Command> {
        if let Some(chosen) = self.completion.chosen().cloned() {
            self.input
                .replace(self.completion.range.clone(), &chosen.text);
            self.completion.close();
        }
        let line = self.input.text.trim().to_owned();
        if line.is_empty() {
            self.close();
            return None;
        }
        match parse(&line) {
            Ok(command) => {
                self.history.retain(|known| *known != line);
                self.history.push(line);
                if self.history.len() > MAX_HISTORY {
                    self.history.remove(0);
                }
                self.close();
                Some(command)
            }
            Err(error) => {
                self.completion.close();
                self.error = Some(error);
                None
            }
        }
    }

    /// The text was edited.
    pub fn changed(&mut self, themes: &[String]) {
        self.error = None;
        self.at = None;
        self.completion = complete(&self.input, themes);
    }

    pub fn older(&mut self) {
        let at = match self.at {
            Some(at) => at.saturating_sub(1),
            None if self.history.is_empty() => return,
            None => self.history.len() - 1,
        };
        self.input.set(self.history[at].clone());
        self.completion.close();
        self.at = Some(at);
    }

    pub fn newer(&mut self) {
        let Some(at) = self.at else {
            return;
        };
        if let Some(line) = self.history.get(at + 1) {
            self.input.set(line.clone());
            self.at = Some(at + 1);
        } else {
            self.input.clear();
            self.at = None;
        }
        self.completion.close();
    }
}

/// Reads a line without its colon.
///
/// # Errors
/// What was wrong, for the user.
pub fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim();
    let (word, rest) = line
        .split_once(char::is_whitespace)
        .map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let Some(info) = COMMANDS
        .iter()
        .find(|info| info.names.split('|').any(|name| name == word))
    else {
        return Err(unknown(word));
    };
    // What is not understood is not run without it.
    if !rest.is_empty() && !info.usage.contains(' ') {
        return Err(format!("{word} takes nothing more; usage: {}", info.usage));
    }
    let needs = || {
        if rest.is_empty() {
            Err(format!("usage: {}", info.usage))
        } else {
            Ok(rest.to_owned())
        }
    };
    let command = match info.names.split('|').next().unwrap_or_default() {
        "q" => Command::Quit { discard: false },
        "q!" => Command::Quit { discard: true },
        "w" => Command::Save,
        "wq" => Command::SaveAndQuit,
        "e!" => Command::Discard,
        "tag" => Command::Tag(needs()?),
        "untag" => Command::Untag(needs()?),
        "rename" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [from, to] => Command::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            },
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "alias" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [alias, tag] => Command::Tags(TagCommand::Alias(alias.to_owned(), tag.to_owned())),
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "unalias" => Command::Tags(TagCommand::Unalias(needs()?)),
        "imply" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [tag, ref implied @ ..] if !implied.is_empty() => Command::Tags(TagCommand::Imply(
                tag.to_owned(),
                implied.iter().map(|tag| (*tag).to_owned()).collect(),
            )),
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "merge-tag" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [from, to] => Command::Tags(TagCommand::Merge(from.to_owned(), to.to_owned())),
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "category" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [tag, category] => {
                Command::Tags(TagCommand::Category(tag.to_owned(), category.to_owned()))
            }
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "tagdb" => Command::Tags(TagCommand::List(rest.to_owned())),
        "suggest" | "unimply" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [tag, ref others @ ..] if !others.is_empty() => {
                let tag = tag.to_owned();
                let others = others.iter().map(|tag| (*tag).to_owned()).collect();
                Command::Tags(if info.names == "suggest" {
                    TagCommand::SuggestTags(tag, others)
                } else {
                    TagCommand::Unimply(tag, others)
                })
            }
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "describe" => {
            let line = needs()?;
            let (tag, text) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            Command::Tags(TagCommand::Describe(tag.to_owned(), text.trim().to_owned()))
        }
        "color" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [category, color, ref place @ ..] if place.len() < 2 => {
                let place = match place.first().map(|place| place.parse()) {
                    Some(Err(_)) => return Err(format!("usage: {}", info.usage)),
                    Some(Ok(place)) => Some(place),
                    None => None,
                };
                Command::Tags(TagCommand::Look(
                    category.to_owned(),
                    color.to_owned(),
                    place,
                ))
            }
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "suggestions" => Command::Tags(TagCommand::Suggest),
        "explain" => Command::Tags(TagCommand::Explain),
        "why" => Command::Tags(TagCommand::Why),
        "related" => Command::Tags(TagCommand::Related),
        "name-search" => Command::Tags(TagCommand::NameSearch(needs()?)),
        "searches" => Command::Tags(TagCommand::Searches),
        "caption" => Command::Caption(rest.to_owned()),
        "rating" => match needs()?.as_str() {
            "-" | "none" => Command::Rating(None),
            word => Command::Rating(Some(
                word.parse()
                    .map_err(|_| "rating takes g, s, q, e or none".to_owned())?,
            )),
        },
        "stars" => match needs()?.parse::<u8>() {
            Ok(stars @ 0..=5) => Command::Stars(stars),
            _ => return Err("stars go from 0 to 5".to_owned()),
        },
        "fav" => Command::Favorite,
        "archive" => Command::Archive,
        "trash" => Command::Trash,
        "search" => Command::Search(rest.to_owned()),
        "similar" => Command::Similar,
        "mark" => match rest.chars().collect::<Vec<_>>()[..] {
            [letter] if is_letter(letter) => Command::Mark(letter),
            _ => return Err("a mark is a letter, a to z or A to Z".to_owned()),
        },
        "marks" => Command::Marks,
        "delmarks" => Command::DeleteMarks(needs()?),
        "select" => match rest {
            "all" => Command::SelectAll,
            "none" => Command::SelectNone,
            "invert" => Command::SelectInvert,
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "sort" => Command::Sort(parse_sort(&needs()?)?),
        "set" => Command::Set(parse_setting(&needs()?)?),
        "theme" => Command::Theme(needs()?),
        "scan" => Command::Scan,
        "ingest" => Command::Ingest(PathBuf::from(needs()?)),
        "pause" => Command::Pause(true),
        "resume" => Command::Pause(false),
        "retry" => Command::Retry,
        "workers" => match needs()?.parse::<usize>() {
            Ok(workers @ 1..=64) => Command::Workers(workers),
            _ => return Err("workers go from 1 to 64".to_owned()),
        },
        "cache" => Command::Cache(match rest.split_once(' ').unwrap_or((rest, "*")) {
            ("stats" | "", _) => CacheCommand::Stats,
            ("clear", pattern) => CacheCommand::Clear(pattern.trim().to_owned()),
            ("warm", _) => CacheCommand::Warm,
            _ => return Err(format!("usage: {}", info.usage)),
        }),
        "fetch" => match rest {
            "" | "again" => Command::Fetch {
                again: !rest.is_empty(),
            },
            _ => return Err(format!("usage: {}", info.usage)),
        },
        "rebuild" => Command::Rebuild,
        "verify" => Command::Verify,
        "reload" => Command::Reload,
        "undo" => Command::Undo,
        "redo" => Command::Redo,
        "log" => Command::Log,
        "help" => Command::Help(rest.to_owned()),
        _ => return Err(unknown(word)),
    };
    Ok(command)
}

fn unknown(word: &str) -> String {
    let near = COMMANDS
        .iter()
        .flat_map(|info| info.names.split('|'))
        .find(|name| name.starts_with(word) || word.starts_with(*name) && name.len() > 2);
    let word = crate::model::text::display_text(word);
    match near {
        Some(near) => format!("unknown command {word}; did you mean {near}?"),
        None => format!("unknown command {word}; Tab lists them all"),
    }
}

fn parse_sort(word: &str) -> Result<Sort, String> {
    let (name, reverse) = match word.strip_prefix('-') {
        Some(name) => (name, true),
        None => (word, false),
    };
    SORTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, key)| Sort { key: *key, reverse })
        .ok_or_else(|| {
            let known: Vec<&str> = SORTS.iter().map(|(name, _)| *name).collect();
            format!("sort by one of {}", known.join(" "))
        })
}

fn parse_setting(text: &str) -> Result<Setting, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| {
        (name.trim(), Some(value.trim()))
    });
    let (bare, is_negated) = match name.strip_prefix("no") {
        Some(bare) if value.is_none() => (bare, true),
        _ => (name, false),
    };
    let flag = || match value {
        None => Ok(!is_negated),
        Some("on" | "true" | "yes") => Ok(true),
        Some("off" | "false" | "no") => Ok(false),
        Some(_) => Err(format!("{bare} is on or off")),
    };
    match bare {
        "captions" => Ok(Setting::Captions(flag()?)),
        "info" => Ok(Setting::Info(flag()?)),
        "monitor" => Ok(Setting::Monitor(flag()?)),
        "flow" => Ok(Setting::Flow(flag()?)),
        "tiles" => value
            .and_then(|value| value.parse().ok())
            .map(Setting::Tiles)
            .ok_or_else(|| "tiles=N takes a width in cells".to_owned()),
        _ => Err(format!("unknown setting; known are {}", SETTINGS.join(" "))),
    }
}

/// Completes the command, or the argument of one that has a fixed set of them.
fn complete(input: &TextInput, themes: &[String]) -> Completion {
    let before = input.before_cursor();
    let Some((word, rest)) = before.split_once(char::is_whitespace) else {
        let items = COMMANDS
            .iter()
            .flat_map(|info| info.names.split('|').map(move |name| (name, info)))
            .filter(|(name, _)| name.starts_with(before) && *name != before)
            .map(|(name, info)| Candidate {
                text: name.to_owned(),
                note: Some(info.help.to_owned()),
                ..Candidate::default()
            })
            .collect();
        return Completion {
            items,
            range: 0..input.cursor,
            ..Completion::default()
        };
    };
    let typed = rest.trim_start();
    let words: Vec<&str> = match word {
        "sort" => SORTS.iter().map(|(name, _)| *name).collect(),
        "set" => SETTINGS.to_vec(),
        "select" => vec!["all", "none", "invert"],
        "cache" => vec!["stats", "clear", "warm"],
        "rating" => Rating::ALL.iter().map(|rating| rating.name()).collect(),
        "theme" => themes.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    Completion {
        items: words
            .into_iter()
            .filter(|known| known.starts_with(typed) && *known != typed)
            .map(|known| Candidate {
                text: known.to_owned(),
                ..Candidate::default()
            })
            .collect(),
        range: input.cursor - typed.len()..input.cursor,
        ..Completion::default()
    }
}

#[cfg(test)]
mod tests;
