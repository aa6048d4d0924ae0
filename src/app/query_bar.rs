//! The query bar: the text, its error, its history and its completion. A broken
//! query keeps the old result; the place of the error is marked.

use super::{
    completion::{Candidate, Completion},
    config::Unknown,
    context::Context,
    gallery::Sort,
    message::Effect,
    text_input::TextInput,
};
use crate::model::{
    query::{Query, QueryError},
    tag::{GENERAL, TagName},
    text::display_text,
};

/// Queries that are remembered.
const MAX_HISTORY: usize = 200;

/// Keys with a fixed set of values, for completion.
const VALUES: [(&str, &[&str]); 8] = [
    (
        "rating",
        &["general", "sensitive", "questionable", "explicit", "none"],
    ),
    (
        "is",
        &[
            "fav",
            "inbox",
            "archived",
            "tagged",
            "untagged",
            "rated",
            "animated",
            "derived",
            "portrait",
            "landscape",
            "square",
        ],
    ),
    (
        "has",
        &[
            "caption", "note", "url", "source", "parent", "child", "mask", "crop", "frame",
            "similar", "gps", "gen", "alpha",
        ],
    ),
    ("status", &["inbox", "archived", "trash", "missing", "any"]),
    (
        "type",
        &["image", "animation", "video", "mask", "crop", "video_frame"],
    ),
    (
        "order",
        &[
            "new", "old", "name", "date", "filesize", "width", "height", "tagcount", "stars",
            "modified", "viewed", "color", "random",
        ],
    ),
    (
        "color",
        &[
            "red", "yellow", "green", "cyan", "blue", "magenta", "white", "gray", "black", "any",
            "none",
        ],
    ),
    (
        "viewed",
        &[
            "today",
            "yesterday",
            "this_week",
            "this_month",
            "any",
            "none",
        ],
    ),
];

/// The state of the bar.
#[derive(Clone, Debug, Default)]
pub struct QueryBar {
    pub input: TextInput,
    /// Whether the bar hears the keys.
    pub is_editing: bool,
    pub error: Option<QueryMistake>,
    /// A remark about the query that ran: `no key re`, `text:word`.
    pub hint: Option<String>,
    pub completion: Completion,
    /// The number of the newest search.
    pub generation: u64,
    /// Whether the newest search has not been answered yet.
    pub is_searching: bool,
    /// Queries that were run, oldest first.
    pub history: Vec<String>,
    /// What the bar held when editing began; Esc goes back to it.
    pub before: String,
    /// Where in the history the user is.
    at: Option<usize>,
    /// What the newest search asked for.
    asked: String,
    /// What the result on the screen answers.
    answered: Option<String>,
    /// The catalog changed while a search was under way.
    search_again: bool,
    /// Changes with every shuffle.
    seed: u64,
}

/// Where and why a query does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMistake {
    /// Safe to draw.
    pub message: String,
    /// Bytes of the text, on character borders; may be empty at the end.
    pub span: std::ops::Range<usize>,
    pub hint: Option<String>,
}

impl QueryMistake {
    fn new(error: QueryError, text: &str) -> Self {
        let border = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = border(error.span.start);
        Self {
            message: display_text(&error.message).into_owned(),
            span: start..border(error.span.end).max(start),
            hint: error.hint.map(|hint| display_text(&hint).into_owned()),
        }
    }
}

impl QueryBar {
    pub fn begin(&mut self) {
        self.is_editing = true;
        self.before.clone_from(&self.input.text);
        self.at = None;
    }

    /// Goes back to what the bar held.
    pub fn leave(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        self.is_editing = false;
        self.completion.close();
        if self.input.text != self.before {
            let before = std::mem::take(&mut self.before);
            self.run(before, sort, ctx);
        }
    }

    /// Takes the chosen completion, or runs the query as it stands.
    pub fn accept(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        if let Some(candidate) = self.completion.chosen().cloned() {
            let range = self.completion.range.clone();
            self.input.replace(range, &candidate.text);
            if !candidate.text.ends_with(':') {
                self.input.insert(' ');
            }
            self.changed(sort, ctx);
            return;
        }
        if self.search(false, sort, ctx) {
            self.is_editing = false;
            self.completion.close();
            self.remember();
        }
    }

    /// Runs the query as it stands and lets go of the keys, to be named.
    pub fn keep(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        let text = self.input.text.clone();
        self.is_editing = false;
        self.run(text, sort, ctx);
    }

    /// Puts another query in the bar and runs it.
    pub fn run(&mut self, text: String, sort: Sort, ctx: &mut Context<'_>) {
        self.input.set(text);
        self.completion.close();
        if self.search(false, sort, ctx) {
            self.remember();
        }
    }

    /// The text was edited: results follow while it is typed.
    pub fn changed(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        self.at = None;
        self.search(true, sort, ctx);
        self.complete(ctx);
    }

    /// The catalog changed: asks again, unless an answer is still on its way, lest a
    /// busy library never let any search finish.
    pub fn refresh(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        if self.is_searching {
            self.search_again = true;
        } else {
            self.search(self.is_editing, sort, ctx);
        }
    }

    /// An answer came. `None`: it is an old one; else whether it is to another query
    /// than the one before.
    pub fn receive(&mut self, generation: u64) -> Option<bool> {
        if generation != self.generation {
            return None;
        }
        self.is_searching = false;
        let is_new = self.answered.as_ref() != Some(&self.asked);
        self.answered = Some(self.asked.clone());
        Some(is_new)
    }

    /// Asks again when the catalog changed meanwhile.
    pub fn after_answer(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        if std::mem::take(&mut self.search_again) {
            self.search(self.is_editing, sort, ctx);
        }
    }

    /// Sorts anew; a shuffle is another one each time.
    pub fn resort(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        self.seed += 1;
        self.search(false, sort, ctx);
    }

    pub fn older(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        let at = match self.at {
            Some(0) => return,
            Some(at) => at - 1,
            None if self.history.is_empty() => return,
            None => self.history.len() - 1,
        };
        self.go_to(at, sort, ctx);
    }

    pub fn newer(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        match self.at {
            Some(at) if at + 1 < self.history.len() => self.go_to(at + 1, sort, ctx),
            Some(_) => {
                self.input.set(self.before.clone());
                self.changed(sort, ctx);
            }
            None => {}
        }
    }

    /// Puts `-` before the word at the cursor, or takes it away.
    pub fn negate(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        let range = self.input.word();
        let word = self.input.text[range.clone()].to_owned();
        if word.is_empty() {
            return;
        }
        let negated = match word.strip_prefix('-') {
            Some(plain) => plain.to_owned(),
            None => format!("-{word}"),
        };
        self.input.replace(range, &negated);
        self.changed(sort, ctx);
    }

    /// Makes `(word or )` of the word at the cursor, ready for the alternative.
    pub fn offer_or(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        let range = self.input.word();
        let word = self.input.text[range.clone()].to_owned();
        if !word.is_empty() {
            self.input.replace(range, &format!("({word} or )"));
            self.input.left();
            self.changed(sort, ctx);
        }
    }

    /// Makes `text:word` of the word at the cursor.
    pub fn as_text(&mut self, sort: Sort, ctx: &mut Context<'_>) {
        let range = self.input.word();
        let word = self.input.text[range.clone()].to_owned();
        if !word.is_empty() && !word.contains(':') {
            self.input.replace(range, &format!("text:{word}"));
            self.changed(sort, ctx);
        }
    }

    /// The query with a term more; a term that excludes the same tag goes.
    pub fn with_term(&self, term: &str) -> String {
        let opposite = match term.strip_prefix('-') {
            Some(plain) => plain.to_owned(),
            None => format!("-{term}"),
        };
        let words: Vec<&str> = self
            .input
            .text
            .split_whitespace()
            .filter(|word| *word != term && *word != opposite)
            .collect();
        let rest = words.join(" ");
        if rest.is_empty() {
            term.to_owned()
        } else if words.iter().any(|word| word.eq_ignore_ascii_case("or")) {
            format!("({rest}) {term}")
        } else {
            format!("{rest} {term}")
        }
    }

    fn go_to(&mut self, at: usize, sort: Sort, ctx: &mut Context<'_>) {
        if let Some(text) = self.history.get(at) {
            self.input.set(text.clone());
            self.changed(sort, ctx);
            self.completion.close();
            self.at = Some(at);
        }
    }

    fn remember(&mut self) {
        let text = self.input.text.trim().to_owned();
        if !text.is_empty() {
            self.history.retain(|known| *known != text);
            self.history.push(text);
            if self.history.len() > MAX_HISTORY {
                self.history.remove(0);
            }
        }
    }

    /// Parses and asks; says whether the text is a query.
    fn search(&mut self, is_typing: bool, sort: Sort, ctx: &mut Context<'_>) -> bool {
        let text = self.input.text.as_str();
        let unknown_is_text = ctx.config.unknown == Unknown::Text;
        let parse = |text: &str| {
            let query = if is_typing {
                Query::parse_typing(text, ctx.catalog.as_ref())
            } else {
                Query::parse(text, ctx.catalog.as_ref())
            };
            query.map(|query| query.with_unknown_as_text(unknown_is_text))
        };
        let query = match parse(text) {
            Ok(query) => query,
            Err(error) => {
                self.error = Some(QueryMistake::new(error, text));
                return false;
            }
        };
        // An order in the query wins over the one of the gallery.
        let sorted = sort
            .order(self.seed)
            .filter(|_| query.order().is_none())
            .and_then(|order| parse(&ordered(&order, text)).ok());
        self.error = None;
        self.asked = text.trim().to_owned();
        self.generation = ctx.next_generation();
        self.is_searching = true;
        self.search_again = false;
        ctx.effect(Effect::Search {
            query: sorted.unwrap_or(query),
            generation: self.generation,
        });
        true
    }

    fn complete(&mut self, ctx: &mut Context<'_>) {
        self.completion.close();
        let mut range = self.input.word();
        range.end = self.input.cursor;
        let word = &self.input.text[range.clone()];
        let typed = word.trim_start_matches(['-', '~', '(']);
        if typed.is_empty() {
            return;
        }
        range.start = range.end - typed.len();
        if let Some((key, value)) = typed.split_once(':')
            && let Some((_, values)) = VALUES.iter().find(|(known, _)| *known == key)
        {
            self.completion.items = values
                .iter()
                .filter(|known| known.starts_with(value) && **known != value)
                .map(|known| Candidate {
                    text: format!("{key}:{known}"),
                    ..Candidate::default()
                })
                .collect();
            self.completion.range = range;
            return;
        }
        if let Some(value) = typed.strip_prefix("mark:") {
            let (before, value) = value.rsplit_once(',').unwrap_or(("", value));
            let comma = if before.is_empty() { "" } else { "," };
            let letters = ctx.marks.letters().map(String::from);
            self.completion.items = letters
                .chain(["any", "none"].map(str::to_owned))
                .filter(|known| known.starts_with(value) && known != value)
                .filter(|known| before.is_empty() || known.len() == 1)
                .map(|known| Candidate {
                    text: format!("mark:{before}{comma}{known}"),
                    ..Candidate::default()
                })
                .collect();
            self.completion.range = range;
            return;
        }
        let prefix = typed.to_owned();
        self.completion.generation = ctx.next_generation();
        self.completion.range = range;
        ctx.effect(Effect::Suggest {
            prefix,
            context: Vec::new(),
            generation: self.completion.generation,
        });
    }
}

/// A tag as a term of a query.
pub fn term_of(name: &TagName) -> String {
    let value = &name.value;
    let needs_quotes = value.contains(['"', '*', '\'', '\\'])
        || value.starts_with(['-', '~', '(', '.'])
        || ["or", "and"].contains(&value.as_str());
    let shown = if needs_quotes {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.clone()
    };
    if name.category != GENERAL {
        format!("{}:{shown}", name.category)
    } else if value.contains(':') && !needs_quotes {
        format!("tag:{shown}")
    } else {
        shown
    }
}

/// The query with an order, which must stand outside of every alternative.
fn ordered(order: &str, text: &str) -> String {
    if text
        .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
        .any(|word| word.eq_ignore_ascii_case("or"))
    {
        format!("{order} ({text})")
    } else {
        format!("{order} {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_terms() {
        for (category, value, expected) in [
            ("", "blue_hair", "blue_hair"),
            (
                "character",
                "holo_(spice_and_wolf)",
                "character:holo_(spice_and_wolf)",
            ),
            ("", "re:zero", "tag:re:zero"),
            ("", "or", "\"or\""),
            ("", "-_-", "\"-_-\""),
            ("artist", "a\"b", "artist:\"a\\\"b\""),
        ] {
            assert_eq!(term_of(&TagName::new(category, value)), expected);
        }
    }

    #[test]
    fn terms_are_added_once() {
        let bar = |text: &str| QueryBar {
            input: TextInput::new(text),
            ..QueryBar::default()
        };
        for (text, term, expected) in [
            ("", "fox", "fox"),
            ("fox", "fox", "fox"),
            ("solo fox", "-fox", "solo -fox"),
            ("solo -fox", "fox", "solo fox"),
            ("a or b", "fox", "(a or b) fox"),
        ] {
            assert_eq!(bar(text).with_term(term), expected, "{text} + {term}");
        }
    }

    #[test]
    fn an_order_stands_outside_of_alternatives() {
        assert_eq!(ordered("order:name", "a b"), "order:name a b");
        assert_eq!(ordered("order:name", "a or b"), "order:name (a or b)");
    }
}
