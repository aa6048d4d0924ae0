//! How many letters are wrong: insertions, deletions, substitutions, and two
//! neighbors in the wrong order.

use super::words::words;

/// The most letters that may be wrong.
pub const MAX: u32 = 2;
/// The shortest text in which two letters may be wrong.
const TWO_WRONG: usize = 5;

/// The letters a text has, as bits.
pub fn letters(text: &str) -> u64 {
    text.chars().fold(0, |mask, c| {
        let bit = match c {
            'a'..='z' => u32::from(c) - u32::from('a'),
            '0'..='9' => 26 + u32::from(c) - u32::from('0'),
            // A separator says nothing.
            '_' => return mask,
            c => 36 + u32::from(c) % 28,
        };
        mask | 1 << bit
    })
}

/// Whether texts with these letters can be within [`MAX`]: each wrong letter
/// changes two bits at most.
pub fn may_be_near(a: u64, b: u64) -> bool {
    (a ^ b).count_ones() <= 2 * MAX
}

/// How far what was typed is from a value, when that is little enough to be a typo:
/// twice the number of wrong letters, and one more when it is like the start or one
/// word of the value and not like the whole.
pub fn typo(typed: &str, value: &str) -> Option<u32> {
    let typed: Vec<char> = typed.chars().collect();
    let limit = if typed.len() < TWO_WRONG { 1 } else { MAX };
    let value_chars: Vec<char> = value.chars().collect();
    if let Some(distance) = bounded(&typed, &value_chars, limit) {
        return Some(2 * distance);
    }
    let is_start = typed.first() == value_chars.first() && value_chars.len() > typed.len();
    let start = value_chars
        .get(..typed.len())
        .filter(|_| is_start)
        .and_then(|start| bounded(&typed, start, limit));
    let word = words(value)
        .filter(|(_, word)| word.len() < value.len())
        .filter_map(|(_, word)| {
            let word: Vec<char> = word.chars().collect();
            bounded(&typed, &word, limit)
        })
        .min();
    start
        .into_iter()
        .chain(word)
        .min()
        .map(|distance| 2 * distance + 1)
}

/// The distance of two texts when it is at most `limit`. Only the diagonal band
/// that such a distance can lie in is looked at.
#[expect(
    clippy::indexing_slicing,
    reason = "rows are one longer than the text, and columns run to its length"
)]
fn bounded(a: &[char], b: &[char], limit: u32) -> Option<u32> {
    let band = limit as usize;
    if a.len().abs_diff(b.len()) > band {
        return None;
    }
    let far = limit + 1;
    let mut before = vec![far; b.len() + 1];
    let mut above: Vec<u32> = (0..).take(b.len() + 1).collect();
    let mut row = vec![far; b.len() + 1];
    for i in 1..=a.len() {
        row.fill(far);
        if i <= band {
            row[0] = u32::try_from(i).unwrap_or(far);
        }
        let mut best = row[0];
        for j in i.saturating_sub(band).max(1)..=(i + band).min(b.len()) {
            let is_same = a[i - 1] == b[j - 1];
            let mut cost = (above[j - 1] + u32::from(!is_same))
                .min(above[j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row[j] = cost;
            best = best.min(cost);
        }
        if best > limit {
            return None;
        }
        (before, above, row) = (above, row, before);
    }
    above.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole table.
    fn naive(a: &[char], b: &[char]) -> u32 {
        let mut table = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    u32::try_from(i + j).unwrap()
                } else {
                    let mut cost = (table[i - 1][j - 1] + u32::from(a[i - 1] != b[j - 1]))
                        .min(table[i - 1][j] + 1)
                        .min(table[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        cost = cost.min(table[i - 2][j - 2] + 1);
                    }
                    cost
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_band_is_wide_enough(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let expected = Some(naive(&x, &y)).filter(|distance| *distance <= 2);
            prop_assert_eq!(bounded(&x, &y, 2), expected);
            if expected.is_some() {
                prop_assert!(may_be_near(letters(&a), letters(&b)));
            }
        }
    }
}
