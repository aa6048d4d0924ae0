//! Implications that the names and the company of tags suggest, with what speaks for
//! each. Nothing here is ever applied by itself.

use std::collections::HashMap;

use crate::model::{
    catalog::Catalog,
    id::{MediaId, MediaKey},
    tag::TagName,
};

/// How sure a pattern of names is.
const COSTUME: f64 = 0.95;
const SERIES: f64 = 0.92;
/// Of the media of a character, how many have to have a tag, and how many at least.
const SHARE: f64 = 0.85;
const MIN_TOGETHER: u64 = 3;
/// Media of one character that are looked at.
const MAX_MEDIA: usize = 2_000;
const EXAMPLES: usize = 3;

/// The ends of general tags that tell of a lasting trait; what somebody wears or does
/// in most pictures is none.
const TRAITS: [&str; 14] = [
    "_hair",
    "_eyes",
    "_ears",
    "_ear",
    "_tail",
    "_tails",
    "_horns",
    "_horn",
    "_wings",
    "_skin",
    "_fur",
    "_scales",
    "_beard",
    "_freckles",
];

/// What speaks for an implication.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// `holo_(cosplay)_(series)` is a `holo_(series)`.
    Costume,
    /// `holo_(series)` is of `series`.
    Series,
    /// So many of so many media with the one have the other.
    Together { with: u64, of: u64 },
}

/// An implication that may be wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggested {
    pub from: TagName,
    pub to: TagName,
    /// From 0 to 1.
    pub confidence: f64,
    pub evidence: Evidence,
    /// Media that have the first tag.
    pub count: u64,
    pub examples: Vec<MediaId>,
}

/// What the tags of a library suggest, the surest and most useful first; without what
/// is implied already and what was refused.
pub fn suggest(catalog: &Catalog) -> Vec<Suggested> {
    let mut found = Vec::new();
    for (name, count) in catalog
        .tags()
        .filter(|(name, _)| name.category == "character")
    {
        by_name(catalog, name, count, &mut found);
        if count >= MIN_TOGETHER {
            by_company(catalog, name, count, &mut found);
        }
    }
    let tags = catalog.tag_database();
    found.retain(|suggested| {
        let row = tags.row(&suggested.from);
        let is_refused = row.is_some_and(|row| row.refuses.contains(&suggested.to));
        let is_implied = tags
            .implied(&suggested.from)
            .iter()
            .any(|(name, _)| *name == suggested.to);
        let is_alias = [&suggested.from, &suggested.to]
            .iter()
            .any(|name| tags.alias(&name.value).is_some());
        !is_refused && !is_implied && !is_alias
    });
    found.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(b.count.cmp(&a.count))
            .then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
    });
    found.dedup_by(|b, a| a.from == b.from && a.to == b.to);
    found
}

/// A name as its parts in parentheses tell it: `base`, then what stands in each.
fn parts(value: &str) -> Option<(&str, Vec<&str>)> {
    let (base, rest) = value.split_once("_(")?;
    let inner = rest.strip_suffix(')')?;
    let parts: Vec<&str> = inner.split(")_(").collect();
    let is_plain = |part: &&str| !part.is_empty() && !part.contains(['(', ')']);
    (!base.is_empty() && parts.iter().all(is_plain)).then_some((base, parts))
}

fn by_name(catalog: &Catalog, name: &TagName, count: u64, found: &mut Vec<Suggested>) {
    let Some((base, parts)) = parts(&name.value) else {
        return;
    };
    let Some(series) = parts.last() else {
        return;
    };
    let mut push = |to: TagName, confidence: f64, evidence: Evidence| {
        let examples = examples(catalog, name);
        found.push(Suggested {
            from: name.clone(),
            to,
            confidence,
            evidence,
            count,
            examples,
        });
    };
    if parts.len() > 1 {
        let plain = TagName::new("character", &format!("{base}_({series})"));
        let bare = TagName::new("character", base);
        let known = [plain, bare]
            .into_iter()
            .find(|name| is_used(catalog, name));
        if let Some(to) = known {
            push(to, COSTUME, Evidence::Costume);
            return;
        }
    }
    let series = TagName::new("copyright", series);
    if is_used(catalog, &series) {
        push(series, SERIES, Evidence::Series);
    }
}

fn is_used(catalog: &Catalog, name: &TagName) -> bool {
    catalog.tag_count(name) > 0 || catalog.tag_database().knows(name)
}

fn examples(catalog: &Catalog, name: &TagName) -> Vec<MediaId> {
    let media = catalog.tagged(name).into_iter().flatten();
    media
        .filter_map(|key| Some(catalog.record(MediaKey(key))?.id()))
        .take(EXAMPLES)
        .collect()
}

fn by_company(catalog: &Catalog, name: &TagName, count: u64, found: &mut Vec<Suggested>) {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    let mut of = 0;
    for key in catalog.tagged(name).into_iter().flatten().take(MAX_MEDIA) {
        if let Some(record) = catalog.record(MediaKey(key)) {
            of += 1;
            for number in record.tag_numbers() {
                *counts.entry(number).or_default() += 1;
            }
        }
    }
    for (number, with) in counts {
        let Some((other, _)) = catalog.tag_at(number) else {
            continue;
        };
        let is_lasting = match other.category.as_str() {
            "copyright" | "species" => true,
            "general" => TRAITS.iter().any(|end| other.value.ends_with(end)),
            _ => false,
        };
        let share = ratio(with, of);
        if !is_lasting || with < MIN_TOGETHER || share < SHARE || other == name {
            continue;
        }
        found.push(Suggested {
            from: name.clone(),
            to: other.clone(),
            // One more picture without it is always thinkable.
            confidence: ratio(with, of + 1).min(SERIES),
            evidence: Evidence::Together { with, of },
            count,
            examples: examples(catalog, name),
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs three digits")]
fn ratio(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// In words.
impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Costume => f.write_str("the name without the costume"),
            Self::Series => f.write_str("the series in the name"),
            Self::Together { with, of } => write!(f, "on {with} of {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::samples::catalog,
        model::tagdb::{TagDb, TagEdit},
    };

    fn told(catalog: &Catalog) -> Vec<String> {
        let told = |s: &Suggested| format!("{} → {}: {}", s.from, s.to, s.evidence);
        suggest(catalog).iter().map(told).collect()
    }

    #[test]
    fn names_and_company_suggest() {
        let holo: &[&str] = &[
            "character:holo_(spice_and_wolf)",
            "copyright:spice_and_wolf",
            "brown_hair",
            "smile",
        ];
        let catalog = catalog(&[
            holo,
            holo,
            holo,
            &["character:holo_(bunny)_(spice_and_wolf)"],
        ]);
        let expected = [
            "character:holo_(bunny)_(spice_and_wolf) → character:holo_(spice_and_wolf): the name without the costume",
            "character:holo_(spice_and_wolf) → copyright:spice_and_wolf: the series in the name",
            "character:holo_(spice_and_wolf) → brown_hair: on 3 of 3",
        ];
        assert_eq!(told(&catalog), expected);
        // What is known or refused is not suggested again.
        let mut tags = TagDb::default();
        let name = |text: &str| {
            let (category, value) = text.split_once(':').unwrap_or(("", text));
            TagName::new(category, value)
        };
        let from = name("character:holo_(spice_and_wolf)");
        tags.apply(&TagEdit::Refuse {
            from: from.clone(),
            to: name("brown_hair"),
        })
        .unwrap();
        tags.apply(&TagEdit::Imply {
            from,
            to: name("copyright:spice_and_wolf"),
        })
        .unwrap();
        let catalog = catalog.with_tag_database(Arc::new(tags));
        assert_eq!(told(&catalog), expected[..1]);
    }
}
