//! The truth of terms: which media each one matches.

mod color;
mod having;
mod noted;
mod scalars;
pub mod tags;
mod texts;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use jiff::tz::TimeZone;
use roaring::{MultiOps, RoaringBitmap};

use super::explain::{How, Notes};
use crate::{
    engine::{
        job::Cancel,
        suggest::nearest,
        tag_similarity::{self, Measure},
    },
    model::{
        catalog::{Catalog, Record},
        entry::Facets,
        fact::{Album, Detail},
        id::MediaKey,
        mark::{Mark, MediaRef},
        query::{
            Query, canonical,
            key::Key,
            print,
            tree::{Items, Node, Pattern, TagOrigin, Term, Test, Value},
        },
        text::display_text,
    },
};

/// Records between two looks at the cancel flag.
const STEP: usize = 4096;

/// What the catalog does not hold and the index does. Errors name their cause.
pub trait Lookup {
    /// Media whose texts match. `field` is `caption`, `name`, `note` or `filename`,
    /// or `None` for all of them; `words` is what the user wrote: words that must all
    /// be there, `"a phrase"`, `prefix*`.
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String>;

    /// Hands over one detail of every medium that has it, each medium's together.
    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String>;

    /// All projects.
    fn albums(&self) -> Result<Vec<Album>, String>;

    /// The named searches, name to query.
    fn searches(&self) -> Result<BTreeMap<String, String>, String>;

    /// The marks of the person who asks.
    fn marks(&self) -> Result<Vec<Mark>, String>;

    /// What that person looked at, each with the last time, in seconds since 1970.
    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String>;

    /// As [`tag_similarity::nearest`], which it may have answered before.
    fn alike(
        &self,
        catalog: &Catalog,
        key: MediaKey,
        measure: Measure,
        count: usize,
    ) -> Vec<tag_similarity::Similar> {
        tag_similarity::nearest(catalog, key, measure, count)
    }
}

/// A library without an index: finds nothing and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLookup;

/// What [`NoLookup`] answers.
const NO_INDEX: &str = "this library has no index yet";

impl Lookup for NoLookup {
    fn words(&self, _field: Option<&str>, _words: &str) -> Result<Vec<MediaKey>, String> {
        Err(NO_INDEX.to_owned())
    }

    fn each(&self, _detail: Detail, _on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        Err(NO_INDEX.to_owned())
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        Err(NO_INDEX.to_owned())
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        Err(NO_INDEX.to_owned())
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        Err(NO_INDEX.to_owned())
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        Err(NO_INDEX.to_owned())
    }
}

/// The search was cancelled.
pub struct Cancelled;

type Media<'a> = Cow<'a, RoaringBitmap>;
type Result<T, E = Cancelled> = std::result::Result<T, E>;

/// One run of one query.
pub struct Evaluation<'a> {
    query: &'a Query,
    pub catalog: &'a Catalog,
    lookup: &'a dyn Lookup,
    pub now: i64,
    cancel: &'a Cancel,
    zone: TimeZone,
    /// What people should know of the result, the most important first.
    pub hints: Vec<String>,
    /// Every term evaluated so far, as a chip shows it.
    pub counted: Vec<(String, Media<'a>)>,
    /// Canonical form to the place in `counted`.
    known: HashMap<String, usize>,
    /// How far the media that `similar:` found are from what it names.
    pub distances: HashMap<u32, u32>,
    /// The places in their projects of the media that `project:` found.
    pub places: HashMap<u32, usize>,
    /// The smart albums and named searches that are being evaluated, lest one asks for
    /// itself.
    within: Vec<String>,
    /// What is noted of each part, when somebody wants to know.
    pub notes: Option<Notes>,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        query: &'a Query,
        catalog: &'a Catalog,
        lookup: &'a dyn Lookup,
        now: i64,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            query,
            catalog,
            lookup,
            now,
            cancel,
            zone: TimeZone::system(),
            hints: Vec::new(),
            counted: Vec::new(),
            known: HashMap::new(),
            distances: HashMap::new(),
            places: HashMap::new(),
            within: Vec::new(),
            notes: None,
        }
    }

    /// Notes what is done for the term at hand.
    fn did(&mut self, how: How) {
        if let Some(notes) = &mut self.notes {
            notes.did(how);
        }
    }

    /// Evaluates a part, and notes how.
    fn noted(
        &mut self,
        text: impl FnOnce(&Self) -> String,
        how: Option<How>,
        part: impl FnOnce(&mut Self) -> Result<Media<'a>>,
    ) -> Result<Media<'a>> {
        if self.notes.is_none() {
            return part(self);
        }
        let text = text(self);
        let open = self.notes.as_mut().map(|notes| notes.open(text));
        let media = part(self)?;
        if let (Some(notes), Some(open)) = (&mut self.notes, open) {
            notes.close(&open, how, media.len());
        }
        Ok(media)
    }

    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Adds a line for people; parts that come from data are made safe to show.
    pub fn hint(&mut self, hint: String) {
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }

    pub fn node(&mut self, node: &Node) -> Result<Media<'a>> {
        self.check()?;
        let (name, how) = match node {
            Node::Term(term) => {
                let text = |this: &Self| this.query.source_of(term).to_owned();
                return self.noted(text, None, |this| this.term(term));
            }
            Node::Not(_) => ("not", How::AllBut),
            Node::Or(_) => ("or", How::Union),
            Node::And(_) => ("and", How::SmallestFirst),
        };
        self.noted(|_| name.to_owned(), Some(how), |this| this.combined(node))
    }

    fn combined(&mut self, node: &Node) -> Result<Media<'a>> {
        match node {
            Node::Term(term) => self.term(term),
            Node::Not(inner) => {
                let unwanted = self.node(inner)?;
                Ok(Cow::Owned(self.catalog.all() - unwanted.as_ref()))
            }
            Node::Or(nodes) => {
                let parts = nodes
                    .iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Cow::Owned(parts.iter().map(AsRef::as_ref).union()))
            }
            Node::And(nodes) => {
                let (wanted, unwanted) = split(nodes);
                let mut wanted = wanted
                    .into_iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                let unwanted = unwanted
                    .into_iter()
                    .map(|node| self.node(node))
                    .collect::<Result<Vec<_>>>()?;
                // The smallest first: every further step looks at no more than that.
                wanted.sort_by_key(|media| media.len());
                let mut wanted = wanted.into_iter();
                let mut found = wanted
                    .next()
                    .map_or_else(|| self.catalog.all().clone(), Cow::into_owned);
                for media in wanted {
                    found &= media.as_ref();
                }
                for media in unwanted {
                    found -= media.as_ref();
                }
                Ok(Cow::Owned(found))
            }
        }
    }

    fn term(&mut self, term: &Term) -> Result<Media<'a>> {
        let form = form(term);
        if let Some((_, media)) = self.known.get(&form).and_then(|at| self.counted.get(*at)) {
            let media = media.clone();
            self.did(How::Known);
            return Ok(media);
        }
        let mut text = self.query.source_of(term).to_owned();
        if is_system(&text) {
            text = print::term(term);
        }
        let media = match &term.test {
            Test::Tag {
                category, value, ..
            } => {
                let meant = tags::meant(self.catalog, category.as_deref(), value);
                let media = self.tag(&meant);
                let tags = self.catalog.tag_database();
                if media.is_empty() && !meant.names.iter().any(|name| tags.knows(name)) {
                    self.unknown(term, value, &mut text)
                } else {
                    self.note_meaning(&meant, &mut text);
                    media
                }
            }
            Test::Wildcard {
                category,
                pattern,
                is_unfinished,
            } => {
                let media = self.wildcard(category.as_deref(), pattern)?;
                let is_text = *is_unfinished && category.is_none() && self.query.unknown_is_text();
                if media.is_empty() && is_text {
                    text = format!("text:{text}");
                    self.texts(None, &pattern.replace('_', " "))
                } else {
                    media
                }
            }
            Test::Key {
                key,
                category,
                value,
            } => self.key(*key, category.as_deref(), value)?,
        };
        self.known.insert(form, self.counted.len());
        self.counted.push((text, media.clone()));
        Ok(media)
    }

    /// Shows what an alias stands for, and says of a tag that it is not used any more.
    fn note_meaning(&mut self, meant: &tags::Meant, text: &mut String) {
        if meant.is_alias
            && let Some(name) = meant.names.first()
        {
            *text = format!("{text} → {name}");
        }
        let tags = self.catalog.tag_database();
        let deprecated = meant.names.iter().find_map(|name| {
            let row = tags.row(name).filter(|row| row.is_deprecated)?;
            Some(match row.description.as_str() {
                "" => format!("{name} is not used any more"),
                description => format!("{name} is not used any more: {description}"),
            })
        });
        if let Some(hint) = deprecated {
            self.hint(display_text(&hint).into_owned());
        }
    }

    /// Forgets the terms evaluated since there were so many.
    fn forget_terms(&mut self, count: usize) {
        self.counted.truncate(count);
        self.known.retain(|_, place| *place < count);
    }

    /// A tag that nothing has: a word to look for in texts, or one to hint at.
    fn unknown(&mut self, term: &Term, value: &str, text: &mut String) -> Media<'a> {
        if is_word(term) && self.query.unknown_is_text() {
            *text = format!("text:{value}");
            return self.texts(None, &value.replace('_', " "));
        }
        let shown = display_text(value).into_owned();
        let hint = match nearest(self.catalog, value) {
            _ if !self.catalog.is_complete() => {
                format!("no tag {shown} among the media read so far")
            }
            Some((name, count)) => format!(
                "no tag {shown}; did you mean {} ({count})?",
                display_text(&name.to_string())
            ),
            None => match shown.split_once(':') {
                Some((key, _)) if is_word(term) && !key.is_empty() => {
                    format!("no tag {shown}, and no key {key}")
                }
                _ => format!("no tag {shown}"),
            },
        };
        self.hint(hint);
        Cow::default()
    }

    fn texts(&mut self, field: Option<&str>, words: &str) -> Media<'a> {
        self.did(How::FullText);
        match self.lookup.words(field, words) {
            Ok(keys) => Cow::Owned(keys.into_iter().map(|key| key.0).collect()),
            Err(error) => {
                self.hint(format!("cannot look into texts: {}", display_text(&error)));
                Cow::default()
            }
        }
    }

    /// Hands over a detail that only the index has; says so when it cannot be asked.
    fn each(&mut self, detail: Detail, on: &mut dyn FnMut(u32, &str)) -> Result<()> {
        self.did(How::Index);
        self.check()?;
        let answer = self.lookup.each(detail, &mut |key, text| on(key.0, text));
        if let Err(error) = answer {
            self.hint(format!("cannot ask the index: {}", display_text(&error)));
        }
        self.check()
    }

    /// The media of which a detail passes a test.
    fn detail(&mut self, detail: Detail, mut test: impl FnMut(&str) -> bool) -> Result<Media<'a>> {
        let mut found = Vec::new();
        self.each(detail, &mut |key, text| {
            if test(text) {
                found.push(key);
            }
        })?;
        let found: RoaringBitmap = found.into_iter().collect();
        Ok(Cow::Owned(found & self.catalog.all()))
    }

    /// The media of which a test is true: one pass over the records.
    fn scan(&mut self, mut test: impl FnMut(&Record<'a>) -> bool) -> Result<Media<'a>> {
        self.did(How::Records);
        let mut found = Vec::new();
        for (place, record) in self.catalog.records().enumerate() {
            if place % STEP == 0 {
                self.check()?;
            }
            if test(&record) {
                found.push(record.key().0);
            }
        }
        // They come in the order of their keys.
        let found = RoaringBitmap::from_sorted_iter(found);
        Ok(Cow::Owned(found.unwrap_or_default()))
    }

    fn with(&self, facet: Facets) -> Media<'a> {
        Cow::Borrowed(self.catalog.with_facet(facet))
    }

    fn all_but(&self, media: &Media<'_>) -> Media<'a> {
        Cow::Owned(self.catalog.all() - media.as_ref())
    }

    fn union(parts: &[Media<'_>]) -> Media<'a> {
        Cow::Owned(parts.iter().map(AsRef::as_ref).union())
    }

    /// Understood, but nothing here can answer it; the reason where there is one to say.
    fn unavailable(&mut self, key: Key, what: &str) -> Media<'a> {
        self.hint(match key {
            Key::Embed => "embed: finds nothing: there is no model that understands it".into(),
            Key::Fav => format!(
                "{what} finds nothing: favorites are the library's, not a person's; fav:yes \
                 finds them"
            ),
            _ => format!("{what} finds nothing in this version"),
        });
        Cow::default()
    }

    /// What is selected on the screen; `sel:none` is what is not.
    fn selected(&mut self, value: &Value) -> Media<'a> {
        let Some(session) = self.query.session() else {
            self.hint("sel: is the selection on the screen; here is none".to_owned());
            return Cow::default();
        };
        let selected = Cow::Owned(&session.selected & self.catalog.all());
        if value.items == Items::None {
            self.all_but(&selected)
        } else {
            selected
        }
    }

    fn key(&mut self, key: Key, category: Option<&str>, value: &Value) -> Result<Media<'a>> {
        if key == Key::Selected {
            return Ok(self.selected(value));
        }
        match &value.items {
            Items::Any => {
                if key == Key::Status {
                    return Ok(Cow::Borrowed(self.catalog.all()));
                }
                self.has_any(key, category)
            }
            Items::None => {
                let any = self.has_any(key, category)?;
                Ok(self.all_but(&any))
            }
            Items::Nothing => Ok(Cow::Borrowed(self.catalog.all())),
            Items::Numbers(tests) => self.numbers(key, category, tests),
            Items::Dates(tests) => self.dates(key, tests),
            Items::Pattern(pattern) => self.pattern(key, pattern),
            Items::Words(words) if key == Key::Text => Ok(self.texts(None, words)),
            Items::Flag(is_on) => {
                let media = Cow::Borrowed(self.catalog.favorites());
                Ok(if *is_on { media } else { self.all_but(&media) })
            }
            Items::List(words) => {
                let mut parts = Vec::with_capacity(words.len());
                for word in words {
                    parts.push(self.word(key, word)?);
                }
                Ok(match parts.pop() {
                    Some(only) if parts.is_empty() => only,
                    Some(last) => {
                        parts.push(last);
                        Self::union(&parts)
                    }
                    None => Cow::default(),
                })
            }
            Items::Similar(similar) => self.similar(similar),
            Items::Colors(tests) => self.colored(tests),
            Items::Words(_) | Items::Order(_) | Items::Count(_) => {
                Ok(self.unavailable(key, &format!("{}:", key.name())))
            }
        }
    }
}

/// The conditions of a list: those to meet, and those not to.
fn split(nodes: &[Node]) -> (Vec<&Node>, Vec<&Node>) {
    let mut wanted = Vec::new();
    let mut unwanted = Vec::new();
    for node in nodes {
        match node {
            Node::Not(inner) => unwanted.push(inner.as_ref()),
            node => wanted.push(node),
        }
    }
    (wanted, unwanted)
}

/// Whether a term is a plain word, which may be no tag at all.
fn is_word(term: &Term) -> bool {
    matches!(
        &term.test,
        Test::Tag {
            origin: TagOrigin::Word,
            ..
        }
    )
}

/// What two terms have in common exactly when they ask the same.
fn form(term: &Term) -> String {
    let mut form = canonical::leaf(term);
    if let Test::Key {
        value:
            Value {
                items: Items::Pattern(Pattern::Regex { .. }),
                ..
            },
        ..
    } = &term.test
    {
        form.push_str(" as a regular expression");
    }
    form
}

/// Whether a term was written in the words of hydrus.
fn is_system(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("system:"))
}
