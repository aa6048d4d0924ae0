//! Terms about texts: patterns over names, paths, captions, URLs and tag names.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Evaluation, Media, Result};
use crate::{
    engine::search::text::{Matcher, glob},
    model::{
        column::Column,
        fact::{Detail, Fact, PART},
        query::{
            BuiltIn, Query,
            key::{Key, SITES},
            tree::Pattern,
        },
        tag::{GENERAL, USER, normalize, normalize_category},
        text::display_text,
    },
};

impl<'a> Evaluation<'a> {
    pub(super) fn pattern(&mut self, key: Key, pattern: &Pattern) -> Result<Media<'a>> {
        match key {
            Key::Tag | Key::Direct => return self.tag_pattern(pattern),
            Key::Source => return self.source(pattern),
            Key::Project | Key::Ordproject => return self.project(pattern),
            Key::Search => return self.named_searches(pattern),
            _ => {}
        }
        let Some(matcher) = Matcher::new(pattern) else {
            return Ok(Cow::default());
        };
        match key {
            Key::Name => self.scan(|record| matcher.matches(record.name())),
            Key::Filename => self.scan(|record| matcher.matches(&record.file_name())),
            Key::Path => {
                let here = self.scan(|record| matcher.matches(&record.path()))?;
                let before = self.detail(Detail::Fact(Fact::OriginalPath), |path| {
                    matcher.matches(path)
                })?;
                Ok(Self::union(&[here, before]))
            }
            Key::Folder => self.scan(|record| {
                let path = record.path();
                matcher.matches(path.rsplit_once('/').map_or("", |(folder, _)| folder))
            }),
            Key::Caption => self.detail(Detail::Caption, |caption| matcher.matches(caption)),
            Key::Note => self.any_part(Fact::Notes, |note| matcher.matches(note)),
            Key::Url => self.any_part(Fact::Urls, |url| matcher.matches(url)),
            Key::Src => self.provenance(pattern, &matcher),
            Key::Mask => self.detail(Detail::Fact(Fact::MaskCategory), |mask| {
                is_named(pattern, &matcher, mask)
            }),
            Key::Removed => self.removed(pattern, &matcher),
            _ => Ok(self.unavailable(key, &format!("{}:", key.name()))),
        }
    }

    /// The media of which a part of a fact passes a test.
    pub(super) fn any_part(
        &mut self,
        fact: Fact,
        test: impl Fn(&str) -> bool,
    ) -> Result<Media<'a>> {
        self.detail(Detail::Fact(fact), |text| text.split(PART).any(&test))
    }

    fn tag_pattern(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        match pattern {
            Pattern::Substring(word) => {
                let value = normalize(word);
                let media = self.stored_tag(&value);
                if media.is_empty() {
                    self.hint(format!("no tag {}", display_text(&value)));
                }
                Ok(media)
            }
            Pattern::Glob(pattern) => {
                let pattern = normalize(pattern);
                match pattern.split_once(':') {
                    Some((category, rest)) => {
                        let category = normalize_category(category);
                        self.tags_where(|name| {
                            glob(&pattern, &name.value)
                                || (name.category == category && glob(rest, &name.value))
                        })
                    }
                    None => self.wildcard(None, &pattern),
                }
            }
            Pattern::Regex { .. } => match Matcher::new(pattern) {
                Some(matcher) => self.tags_where(|name| matcher.matches(&name.value)),
                None => Ok(Cow::default()),
            },
        }
    }

    /// Tombstones: `value` of any category, `category:value`, globs.
    fn removed(&mut self, pattern: &Pattern, matcher: &Matcher) -> Result<Media<'a>> {
        let wanted = match pattern {
            Pattern::Substring(text) | Pattern::Glob(text) => normalize(text),
            Pattern::Regex { .. } => String::new(),
        };
        let (category, wanted) = match wanted.split_once(':') {
            Some((category, value)) => (Some(normalize_category(category)), value.to_owned()),
            None => (None, wanted),
        };
        let is_regex = matches!(pattern, Pattern::Regex { .. });
        self.any_part(Fact::Removed, |name| {
            let (known, value) = name.split_once(':').unwrap_or((GENERAL, name));
            if is_regex {
                return matcher.matches(value);
            }
            let is_category = category.as_ref().is_none_or(|wanted| wanted == known);
            is_category && glob(&wanted, value)
        })
    }

    /// A known site, else a URL.
    fn source(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        if let Pattern::Substring(site) = pattern {
            let site = site.to_lowercase();
            let is_site =
                SITES.contains(&site.as_str()) || self.catalog.sites().any(|known| known == site);
            if is_site {
                return self.word(Key::Site, &site);
            }
        }
        self.pattern(Key::Url, pattern)
    }

    /// The user put tags there, too, where nobody is named.
    fn provenance(&mut self, pattern: &Pattern, matcher: &Matcher) -> Result<Media<'a>> {
        let named = self.any_part(Fact::Provenance, |source| {
            is_named(pattern, matcher, source)
        })?;
        if !is_named(pattern, matcher, USER) {
            return Ok(named);
        }
        let others = self.detail(Detail::Fact(Fact::Provenance), |_| true)?;
        let mut tagged = self.above(Column::Tags, 1.0)?.into_owned();
        tagged -= others.as_ref();
        Ok(Self::union(&[named, Cow::Owned(tagged)]))
    }

    /// Members of the projects with such a name, those that a smart album finds
    /// included; their places are kept for `order:project`.
    fn project(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        let Some(matcher) = Matcher::new(pattern) else {
            return Ok(Cow::default());
        };
        let mut parts = Vec::new();
        let mut names = Vec::new();
        for album in self.projects() {
            if is_named(pattern, &matcher, &album.name) {
                parts.push(self.members(&album)?);
            }
            names.push(album.name);
        }
        if parts.is_empty() && self.hints.is_empty() {
            names.truncate(8);
            self.hint(match names.as_slice() {
                [] => "there are no projects here".to_owned(),
                names => format!(
                    "no project of that name; there are {}",
                    display_text(&names.join(", "))
                ),
            });
        }
        Ok(Self::union(&parts))
    }

    /// The media of a project.
    pub(super) fn members(&mut self, album: &crate::model::fact::Album) -> Result<Media<'a>> {
        for key in &album.media {
            let next = self.places.len();
            self.places.entry(key.0).or_insert(next);
        }
        let listed: roaring::RoaringBitmap = album.media.iter().map(|key| key.0).collect();
        let listed = Cow::Owned(listed & self.catalog.all());
        let Some(query) = &album.query else {
            return Ok(listed);
        };
        let label = format!("the smart album {}", display_text(&album.name));
        let found = self.nested(&label, query)?;
        Ok(Self::union(&[listed, found]))
    }

    /// What the named searches of such a name find, without their orders and limits.
    pub(super) fn named_searches(&mut self, pattern: &Pattern) -> Result<Media<'a>> {
        let Some(matcher) = Matcher::new(pattern) else {
            return Ok(Cow::default());
        };
        let searches = self.lookup.searches().unwrap_or_else(|error| {
            let error = display_text(&error);
            self.hint(format!("cannot read the named searches: {error}"));
            BTreeMap::new()
        });
        let is_all = matches!(pattern, Pattern::Substring(name) if name == "all");
        let mut parts = Vec::new();
        for (name, query) in &searches {
            if is_all || is_named(pattern, &matcher, name) {
                let label = format!("the search {}", display_text(name));
                parts.push(self.nested(&label, query)?);
            }
        }
        if parts.is_empty() && self.hints.is_empty() {
            let names: Vec<&str> = searches.keys().take(8).map(String::as_str).collect();
            self.hint(if names.is_empty() {
                "no search has a name here; on the screen Ctrl-b gives one".to_owned()
            } else {
                let names = names.join(", ");
                format!("no search of that name; there are {}", display_text(&names))
            });
        }
        Ok(Self::union(&parts))
    }

    /// What a query finds that was kept under a name; nothing, and a hint, where it
    /// does not parse or asks for itself.
    fn nested(&mut self, label: &str, query: &str) -> Result<Media<'a>> {
        if self.within.iter().any(|outer| outer == label) {
            self.hint(format!("{label} asks for itself"));
            return Ok(Cow::default());
        }
        match Query::parse(query, &BuiltIn) {
            Ok(query) => {
                self.within.push(label.to_owned());
                let counted = self.counted.len();
                let found = match query.root() {
                    Some(root) => self.node(root)?,
                    None => Cow::Borrowed(self.catalog.all()),
                };
                // Its terms are no chips of the query that asks for it.
                self.forget_terms(counted);
                self.within.pop();
                Ok(found)
            }
            Err(error) => {
                self.hint(format!(
                    "the query of {label} does not parse: {}",
                    display_text(&error.message)
                ));
                Ok(Cow::default())
            }
        }
    }

    /// All projects; none, and a hint, when they cannot be read.
    pub(super) fn projects(&mut self) -> Vec<crate::model::fact::Album> {
        self.lookup.albums().unwrap_or_else(|error| {
            self.hint(format!(
                "cannot read the projects: {}",
                display_text(&error)
            ));
            Vec::new()
        })
    }
}

/// Whether a name is meant: the whole of it, or what stands before its colon, unless
/// the pattern says otherwise.
fn is_named(pattern: &Pattern, matcher: &Matcher, name: &str) -> bool {
    match pattern {
        Pattern::Substring(wanted) => {
            let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
            wanted == name
                || wanted.replace('_', " ") == name
                || name.split_once(':').is_some_and(|(kind, _)| kind == wanted)
        }
        Pattern::Glob(wanted) => matcher.matches(name) || glob(wanted, &name.replace(' ', "_")),
        Pattern::Regex { .. } => matcher.matches(name),
    }
}
