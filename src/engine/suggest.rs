//! Completion of tag names: exact, prefix, words, initials, substring, typo, and
//! letters in order, each class by how common the tag is.
//!
//! A fuzzy matcher over every tag costs tens of milliseconds at 200 000 tags and
//! finds no typo; so candidates are narrowed first, matched then, and an edit
//! distance takes over when few are found.

mod distance;
mod index;
mod known;
mod typed;
mod words;

use std::{
    cmp::Reverse,
    collections::HashSet,
    sync::{Arc, Mutex},
};

use fuzzy_matcher::{FuzzyMatcher, skim::SkimMatcherV2};
use serde::{Deserialize, Serialize};

use self::{
    index::Index,
    known::KnownNames,
    typed::{Class, Typed},
};
use super::job::lock;
use crate::model::{catalog::Catalog, tag::TagName};

/// Candidates of a class that the fuzzy matcher looks at.
const MATCHED: usize = 200;
/// Candidates whose company with the tags already there is counted, and how many
/// of those tags.
const ACCOMPANIED: usize = 16;
const COMPANY: usize = 2;
/// What one wrong letter costs, in hundredths: more than any difference in how common
/// tags are.
const WRONG_LETTER: i64 = 10_000;
/// Further tags that are looked at one by one before the index is made anew.
const MAX_NEW: usize = 512;

/// One row of the completion list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    pub name: TagName,
    /// How many media have it.
    pub count: u64,
    /// The alias that was typed, when it is one.
    pub via: Option<String>,
    /// Which characters (not bytes) of `name.value` matched, ascending.
    pub matched: Vec<usize>,
}

/// A tag that may be meant: twice the number of wrong letters, how common it is, and
/// its number.
type Candidate = (u32, Reverse<u64>, u32);

/// Completes tag names and keeps the index of words it needs for that.
#[derive(Default)]
pub struct Suggester {
    matcher: SkimMatcherV2,
    index: Mutex<Option<Arc<Index>>>,
    known: Mutex<Option<Arc<KnownNames>>>,
}

impl Suggester {
    /// The best completions of what was typed; `context` are tags that are there
    /// already. A leading `-` is ignored and `category:` narrows. The first call
    /// for a catalog builds the index; later ones use it until many tags are new.
    pub fn suggest(
        &self,
        catalog: &Catalog,
        typed: &str,
        context: &[TagName],
        limit: usize,
    ) -> Vec<Suggestion> {
        let typed = Typed::new(catalog, typed);
        let index = self.index(catalog);
        let mut found: Vec<Suggestion> = Vec::new();
        if limit == 0 {
            return found;
        }
        let mut seen = HashSet::new();
        for class in [
            Class::Exact,
            Class::Prefix,
            Class::Words,
            Class::Initials,
            Class::Substring,
            Class::Typo,
            Class::Letters,
        ] {
            // What has fewer wrong letters goes before what has more, which may be much.
            let mistakes = if class == Class::Typo {
                1..=typed.max_wrong()
            } else {
                0..=0
            };
            for wrong in mistakes {
                let candidates = candidates(&index, catalog, class, &typed, wrong, limit, &seen);
                let ranked = self.rank(catalog, class, &typed, candidates, context);
                for (number, suggestion) in ranked {
                    let is_old = catalog
                        .tag_database()
                        .row(&suggestion.name)
                        .is_some_and(|row| row.is_deprecated);
                    if seen.insert(number) && !is_old {
                        found.push(suggestion);
                    }
                    if found.len() == limit {
                        return found;
                    }
                }
            }
            if class == Class::Words {
                self.add_known(catalog, &typed, &mut found, limit);
                if found.len() == limit {
                    return found;
                }
            }
        }
        found
    }

    /// Aliases, and names that no picture has yet.
    fn add_known(
        &self,
        catalog: &Catalog,
        typed: &Typed,
        found: &mut Vec<Suggestion>,
        limit: usize,
    ) {
        let tags = catalog.tag_database();
        if tags.is_empty() {
            return;
        }
        let known = {
            let mut current = lock(&self.known);
            match current.as_ref() {
                Some(known) if known.are_of(tags) => Arc::clone(known),
                _ => {
                    let known = Arc::new(KnownNames::new(tags));
                    *current = Some(Arc::clone(&known));
                    known
                }
            }
        };
        for name in known.starting(catalog, typed, limit) {
            let is_there = found.iter().any(|suggestion| suggestion.name == name.name);
            if found.len() < limit && !is_there {
                let matched = match name.via {
                    Some(_) => Vec::new(),
                    None => (0..typed.text.chars().count()).collect(),
                };
                found.push(Suggestion {
                    name: name.name,
                    count: name.count,
                    via: name.via,
                    matched,
                });
            }
        }
    }

    /// The index of this catalog's vocabulary, made when it is missing or too old.
    fn index(&self, catalog: &Catalog) -> Arc<Index> {
        let mut current = lock(&self.index);
        match current.as_ref() {
            Some(index) if index.serves(catalog, MAX_NEW) => Arc::clone(index),
            _ => {
                let index = Arc::new(Index::new(catalog));
                *current = Some(Arc::clone(&index));
                index
            }
        }
    }

    /// Candidates of one class by score: how well they match, how common they are,
    /// and how often they come with the tags that are there already.
    fn rank(
        &self,
        catalog: &Catalog,
        class: Class,
        typed: &Typed,
        mut candidates: Vec<Candidate>,
        context: &[TagName],
    ) -> Vec<(u32, Suggestion)> {
        // The likeliest meaning of a typo is the one that takes the fewest changes,
        // however rare it is.
        candidates.sort_unstable();
        candidates.dedup();
        candidates.truncate(MATCHED);
        let company: Vec<_> = context
            .iter()
            .rev()
            .filter_map(|name| catalog.tagged(name))
            .take(COMPANY)
            .collect();
        let mut ranked: Vec<(i64, u32, Suggestion)> = Vec::with_capacity(candidates.len());
        for (place, (distance, Reverse(count), number)) in candidates.into_iter().enumerate() {
            let Some((name, media)) = catalog.tag_at(number) else {
                continue;
            };
            let (fit, matched) = self.fit(class, typed, &name.value);
            let mut score = fit + logarithm(count) - WRONG_LETTER * i64::from(distance) / 2;
            if place < ACCOMPANIED {
                for other in &company {
                    score += logarithm(media.intersection_len(other)) / 2;
                }
            }
            let suggestion = Suggestion {
                name: name.clone(),
                count,
                via: None,
                matched,
            };
            ranked.push((score, number, suggestion));
        }
        ranked.sort_by(|a, b| {
            b.0.cmp(&a.0)
                .then_with(|| a.2.name.value.len().cmp(&b.2.name.value.len()))
                .then_with(|| a.2.name.cmp(&b.2.name))
        });
        ranked
            .into_iter()
            .map(|(_, number, suggestion)| (number, suggestion))
            .collect()
    }

    /// How well a tag matches inside its class, in hundredths, and which characters.
    fn fit(&self, class: Class, typed: &Typed, value: &str) -> (i64, Vec<usize>) {
        match class {
            Class::Letters => {
                let (score, matched) = self.letters(value, &typed.text);
                (score * 20, matched)
            }
            _ => (0, typed.matched(class, value)),
        }
    }

    fn letters(&self, value: &str, letters: &str) -> (i64, Vec<usize>) {
        self.matcher
            .fuzzy_indices(value, letters)
            .unwrap_or_default()
    }
}

/// The tags of a class, those that are too new for the index included, but those that
/// were seen.
fn candidates(
    index: &Index,
    catalog: &Catalog,
    class: Class,
    typed: &Typed,
    wrong: u32,
    limit: usize,
    seen: &HashSet<u32>,
) -> Vec<Candidate> {
    let candidate = |number: u32, distance: &dyn Fn(&str) -> Option<u32>| {
        let (name, count) = (catalog.tag_names().get(number)?, catalog.tag_size(number)?);
        let is_wanted = count > 0
            && !seen.contains(&number)
            && typed
                .category
                .as_ref()
                .is_none_or(|category| name.category == *category);
        let distance = distance(&name.value).filter(|_| is_wanted)?;
        Some((distance, Reverse(u64::from(count)), number))
    };
    let of_class = |value: &str| match class {
        Class::Typo => distance::typo(&typed.text, value, wrong),
        _ => typed.matches(class, value).then_some(0),
    };
    let mut found: Vec<Candidate> = if class == Class::Typo {
        // Of one word, no more than can be shown; what was seen takes places as well.
        let most = limit + seen.len();
        let typos = index.typos(typed, wrong, most).into_iter();
        typos
            .filter_map(|(number, distance)| candidate(number, &|_| Some(distance)))
            .collect()
    } else {
        let numbers = index.candidates(class, typed).into_iter();
        numbers
            .filter_map(|number| candidate(number, &of_class))
            .collect()
    };
    let (_, known) = catalog.vocabulary();
    let new = (index.len()..known).filter_map(|number| u32::try_from(number).ok());
    found.extend(new.filter_map(|number| candidate(number, &of_class)));
    found
}

/// 4 ln(count), in hundredths.
fn logarithm(count: u64) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a rank needs three digits"
    )]
    let hundredths = ((count as f64 + 1.0).ln() * 400.0) as i64;
    hundredths
}

/// Completes once, without an index that is kept.
pub fn suggest(
    catalog: &Catalog,
    typed: &str,
    context: &[TagName],
    limit: usize,
) -> Vec<Suggestion> {
    Suggester::default().suggest(catalog, typed, context, limit)
}

/// The tag most like a word that is none, with its count.
pub fn nearest(catalog: &Catalog, word: &str) -> Option<(TagName, u64)> {
    let (letters, pairs) = (distance::letters(word), distance::pairs(word));
    let limit = distance::max_wrong(word);
    catalog
        .tag_values()
        .filter(|(_, value)| {
            // A word may be like the start of a longer value, which shares fewer pairs.
            distance::may_be_near(letters, distance::letters(value), limit)
                && (value.len() > word.len() + limit as usize
                    || distance::may_share_pairs(pairs, distance::pairs(value), limit))
        })
        .filter_map(|(number, value)| {
            let distance = distance::typo(word, value, limit)?;
            let (name, media) = catalog
                .tag_at(number)
                .filter(|(_, media)| !media.is_empty())?;
            Some((distance, Reverse(media.len()), number, name))
        })
        .min_by_key(|(distance, count, number, _)| (*distance, *count, *number))
        .map(|(_, Reverse(count), _, name)| (name.clone(), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        catalog::Change,
        entry::{Entry, FileFacts},
        id::MediaKey,
        media::Media,
        tag::Tag,
    };

    fn entry(key: u32, tags: &[&str]) -> Entry {
        let media = Media {
            tags: tags
                .iter()
                .map(|tag| match tag.split_once(':') {
                    Some((category, value)) => Tag::new(category, value),
                    None => Tag::new("", tag),
                })
                .collect(),
            ..Media::default()
        };
        let id = format!("m{key}").parse().unwrap();
        Entry::new(MediaKey(key), id, &FileFacts::default(), &media)
    }

    fn catalog() -> Catalog {
        let common = ["blue_hair", "blush", "1girl", "long_hair"];
        let rare = [
            "blue_eyes",
            "character:suzumiya_haruhi",
            "blue",
            "character:holo",
            "copyright:spice_and_wolf",
            "artist:bluethebone",
            "dark_blue_hair",
            "everything_then_here",
        ];
        let mut entries: Vec<_> = (0..50).map(|key| entry(key, &common)).collect();
        entries.push(entry(50, &rare));
        entries.push(entry(51, &["blue_eyes", "character:holo", "blond_hair"]));
        Catalog::from_entries(entries, true)
    }

    fn first(typed: &str, expected: &[&str]) {
        let catalog = catalog();
        let found: Vec<String> = suggest(&catalog, typed, &[], 20)
            .iter()
            .map(|suggestion| suggestion.name.to_string())
            .collect();
        assert!(
            found.iter().zip(expected).all(|(a, b)| a == b) && found.len() >= expected.len(),
            "{typed}: {found:?}"
        );
    }

    #[test]
    fn classes_come_in_order_and_common_tags_first() {
        first(
            "blu",
            &[
                "blush",
                "blue_hair",
                "blue_eyes",
                "blue",
                "artist:bluethebone",
            ],
        );
        first("blue", &["blue", "blue_hair", "blue_eyes"]);
        first("haruhi", &["character:suzumiya_haruhi"]);
        first("hair_blue", &["blue_hair", "dark_blue_hair"]);
        first("/eth", &["everything_then_here"]);
        first("air", &["blue_hair", "long_hair"]);
        first("-char:ho", &["character:holo"]);
        first("char:", &["character:holo", "character:suzumiya_haruhi"]);
        first("", &["1girl", "blush"]);
    }

    #[test]
    fn typos_are_found() {
        first("bleu_hair", &["blue_hair"]);
        first("blue_hiar", &["blue_hair"]);
        first("lomg_hair", &["long_hair"]);
        first("suzumia_haruhi", &["character:suzumiya_haruhi"]);
        first("haruih", &["character:suzumiya_haruhi"]);
        first("bleu_ha", &["blue_hair"]);
        assert_eq!(
            nearest(&catalog(), "blue_hiar").map(|(name, _)| name.value),
            Some("blue_hair".to_owned())
        );
        assert_eq!(nearest(&catalog(), "zzzzzz"), None);
    }

    #[test]
    fn aliases_and_names_of_the_tag_database_are_offered() {
        let mut tags = crate::model::tagdb::TagDb::parse(
            r#"{"category":"character","tag":"holo","aliases":["wise_wolf"]}
{"category":"general","tag":"wisteria","count":500}
{"category":"general","tag":"wisp","deprecated":true}
"#,
        )
        .unwrap();
        let catalog = catalog().with_tag_database(Arc::new(tags.clone()));
        let found = suggest(&catalog, "wis", &[], 20);
        let told: Vec<_> = found
            .iter()
            .map(|found| (found.name.to_string(), found.via.as_deref(), found.count))
            .collect();
        assert_eq!(
            told,
            [
                ("character:holo".to_owned(), Some("wise_wolf"), 2),
                ("wisteria".to_owned(), None, 0),
            ]
        );
        // A tag that is not to be used any more is not offered, however many have it.
        let edit = crate::model::tagdb::TagEdit::Deprecate(TagName::new("", "blush"), true);
        tags.apply(&edit).unwrap();
        let catalog = catalog.with_tag_database(Arc::new(tags));
        let found = suggest(&catalog, "blus", &[], 20);
        assert!(found.iter().all(|found| found.name.value != "blush"));
    }

    #[test]
    fn company_counts() {
        let catalog = catalog();
        let context = [TagName::new("", "blond_hair")];
        let found = suggest(&catalog, "char:", &context, 2);
        assert_eq!(found[0].name.value, "holo");
        assert_eq!(found[0].count, 2);
    }

    #[test]
    fn matched_characters_are_given() {
        let catalog = catalog();
        assert_eq!(suggest(&catalog, "blus", &[], 1)[0].matched, [0, 1, 2, 3]);
        assert_eq!(
            suggest(&catalog, "haruhi", &[], 1)[0].matched,
            (9..15).collect::<Vec<_>>()
        );
    }

    #[test]
    fn new_tags_are_found_before_the_index_is_made_anew() {
        let suggester = Suggester::default();
        let catalog = catalog();
        assert!(suggester.suggest(&catalog, "violet", &[], 5).is_empty());
        let catalog = catalog.apply(&[Change::Upsert(entry(60, &["violet_eyes"]))]);
        let found = suggester.suggest(&catalog, "viol", &[], 5);
        assert_eq!(found.len(), 1);
        let catalog = catalog.apply(&[Change::Remove(MediaKey(60))]);
        assert!(suggester.suggest(&catalog, "viol", &[], 5).is_empty());
    }
}
