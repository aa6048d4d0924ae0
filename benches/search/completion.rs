//! Completion on 200 000 tags, and a fuzzy matcher that looks at all of them.

use fuzzy_matcher::{FuzzyMatcher, skim::SkimMatcherV2};
use tagloupe::{engine::suggest::Suggester, model::catalog::Catalog};

use crate::{
    sheet::{Times, head, ratio, show},
    synthetic::{self, Dice, Vocabulary},
};

const TAGS: usize = 200_000;
const MEDIA: u32 = 100_000;
const OFFERED: usize = 10;

/// What is wrong with one letter.
const WRONG: [&str; 4] = ["swapped", "another", "missing", "one more"];

pub fn run() {
    let vocabulary = Vocabulary::new(TAGS);
    let catalog = synthetic::catalog(MEDIA, &vocabulary);
    head(&format!(
        "completion of {} tags, a key",
        catalog.vocabulary().1
    ));
    let suggester = Suggester::default();
    let start = std::time::Instant::now();
    suggester.suggest(&catalog, "x", &[], OFFERED);
    let first = start.elapsed();
    let mut dice = Dice::new(5);
    let ranks: Vec<usize> = (0..300).map(|_| vocabulary.draw(&mut dice)).collect();
    let values: Vec<&str> = ranks
        .iter()
        .map(|rank| vocabulary.names[*rank].value.as_str())
        .collect();

    let typed: Vec<&str> = values
        .iter()
        .flat_map(|value| (1..=value.len().min(9)).map(|end| &value[..end]))
        .collect();
    let ours = Times::of(&typed, |typed| {
        suggester.suggest(&catalog, typed, &[], OFFERED)
    });
    ours.print(
        &format!("every start of a tag ({})", typed.len()),
        "p99 ≤ 5 ms",
    );

    for (wrong, name) in WRONG.into_iter().enumerate() {
        let typos: Vec<(String, &str)> = values
            .iter()
            .filter(|value| value.len() >= 5)
            .map(|value| (typo(value, wrong, &mut dice), *value))
            .filter(|(typo, value)| typo != value)
            .collect();
        let times = Times::of(&typos, |(typo, _)| {
            suggester.suggest(&catalog, typo, &[], OFFERED)
        });
        let hits = typos.iter().filter(|(typo, value)| {
            let found = suggester.suggest(&catalog, typo, &[], OFFERED);
            found.iter().any(|found| found.name.value == *value)
        });
        let hits = hits.count() * 1000 / typos.len().max(1);
        let goal = format!("p99 ≤ 5 ms; {}.{} % in ten (≥ 95)", hits / 10, hits % 10);
        times.print(&format!("one letter {name} ({})", typos.len()), &goal);
    }

    let some: Vec<&str> = typed.iter().copied().step_by(97).collect();
    let skim = Times::once(&some, |typed| skim(&catalog, typed));
    skim.print(&format!("skim over all ({})", some.len()), "");
    println!(
        "skim takes {} times as long at the median; the index of words is made in {}",
        ratio(ours.median(), skim.median()),
        show(first),
    );
}

/// A value with one letter wrong, past the first.
fn typo(value: &str, wrong: usize, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = value.chars().collect();
    let at = 1 + dice.below(letters.len() - 2);
    let other = char::from(b'a' + u8::try_from(dice.below(26)).unwrap_or(0));
    match wrong {
        0 => letters.swap(at, at + 1),
        1 => letters[at] = other,
        2 => {
            letters.remove(at);
        }
        _ => letters.insert(at, other),
    }
    letters.into_iter().collect()
}

fn skim(catalog: &Catalog, typed: &str) -> Option<i64> {
    let matcher = SkimMatcherV2::default();
    let scores = catalog
        .tags()
        .filter_map(|(name, _)| matcher.fuzzy_match(&name.value, typed));
    scores.max()
}
