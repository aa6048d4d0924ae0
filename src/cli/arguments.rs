//! Words that begin with `-` and are no switches: `search fox -night` and
//! `tag fox -night` mean the tag `night`, taken away.
//!
//! clap cannot tell the two apart by itself, so the arguments are put into an
//! order that leaves no doubt: switches first, then `--`, then the words.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// Subcommands whose words may begin with `-`, and whether everything after the
/// first word is a word (so that `tag QUERY -v` removes the tag `v`).
const WORDY: [(&str, bool); 2] = [("search", false), ("tag", true)];

/// The arguments, program name included, with the words of a wordy subcommand
/// behind `--`. Others come back as they are.
pub fn separate_words(cli: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(at) = subcommand_at(cli, &arguments) else {
        return arguments;
    };
    let Some((name, rest_are_words)) = WORDY
        .into_iter()
        .find(|(name, _)| arguments[at] == OsStr::new(name))
    else {
        return arguments;
    };
    let subcommand = cli.find_subcommand(name);
    let known: Vec<&Command> = subcommand.into_iter().chain([cli]).collect();
    let mut rest = arguments[at + 1..].iter().cloned();
    let mut sorted = arguments[..=at].to_vec();
    let mut words = Vec::new();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            words.extend(rest.by_ref());
            break;
        }
        match option(&known, &argument) {
            Found::Switch => sorted.push(argument),
            Found::WithValue => {
                sorted.push(argument);
                sorted.extend(rest.next());
            }
            Found::Word => {
                words.push(argument);
                if rest_are_words {
                    // Those who guard their dashes by a `--` mean no word by it.
                    words.extend(rest.by_ref().filter(|word| word != "--"));
                }
            }
        }
    }
    sorted.push("--".into());
    sorted.extend(words);
    sorted
}

/// The place of the subcommand: a word before it is the library.
fn subcommand_at(cli: &Command, arguments: &[OsString]) -> Option<usize> {
    let (mut at, mut words) = (1, 0);
    while words < 2 {
        match option(&[cli], arguments.get(at)?) {
            Found::Switch => at += 1,
            Found::WithValue => at += 2,
            Found::Word if cli.find_subcommand(&arguments[at]).is_some() => return Some(at),
            Found::Word => (at, words) = (at + 1, words + 1),
        }
    }
    None
}

enum Found {
    Switch,
    /// A switch whose value is the next argument.
    WithValue,
    Word,
}

/// What an argument is to clap. An unknown `--long` counts as a switch: clap then
/// says what is wrong with it.
fn option(known: &[&Command], argument: &OsStr) -> Found {
    let text = argument.to_string_lossy();
    let arguments = || known.iter().flat_map(|command| command.get_arguments());
    let takes_value = |argument: &clap::Arg| argument.get_action().takes_values();
    if let Some(long) = text.strip_prefix("--") {
        let next_is_value = !long.contains('=')
            && arguments().any(|known| known.get_long() == Some(long) && takes_value(known));
        return if next_is_value {
            Found::WithValue
        } else {
            Found::Switch
        };
    }
    let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
        return Found::Word;
    };
    let is_switch = |letter| letter == 'h' || arguments().any(|a| a.get_short() == Some(letter));
    if letters.chars().all(is_switch) {
        Found::Switch
    } else {
        Found::Word
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn words_stand_behind_the_switches() {
        for (input, expected) in [
            ("search fox --count", "search --count -- fox"),
            ("search fox -night -0", "search -0 -- fox -night"),
            ("search -night fox", "search -- -night fox"),
            ("search --limit 5 fox", "search --limit 5 -- fox"),
            ("search fox --limit=5 -v", "search --limit=5 -v -- fox"),
            ("search fox --library l", "search --library l -- fox"),
            (
                "--library tag search -vv a",
                "--library tag search -vv -- a",
            ),
            ("library search -night", "library search -- -night"),
            ("-v library search -0 a", "-v library search -0 -- a"),
            ("search -- --count", "search -- --count"),
            ("search fox --wrong", "search --wrong -- fox"),
            ("tag --dry-run fox -v +b", "tag --dry-run -- fox -v +b"),
            ("tag fox +a -- -draft", "tag -- fox +a -draft"),
            ("tag -night -a --json", "tag -- -night -a --json"),
            ("ingest a --copy", "ingest a --copy"),
            ("folder", "folder"),
            ("-v", "-v"),
        ] {
            let arguments = format!("tagloupe {input}");
            let arguments = arguments.split(' ').map(OsString::from).collect();
            let sorted = separate_words(&Cli::command(), arguments);
            let sorted: Vec<_> = sorted[1..].iter().map(|a| a.to_string_lossy()).collect();
            assert_eq!(sorted.join(" "), expected, "{input}");
        }
    }
}
