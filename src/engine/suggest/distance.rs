//! How many letters are wrong: insertions, deletions, substitutions, and two
//! neighbors in the wrong order.

use super::words::words;

/// The most letters that may be wrong.
const MAX: u32 = 2;
/// Bytes of the shortest text in which two letters may be wrong.
const TWO_WRONG: usize = 5;

/// Texts this long have no typos.
const LONGEST: usize = 64;

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

/// How many letters of a text may be wrong.
pub fn max_wrong(typed: &str) -> u32 {
    if typed.len() < TWO_WRONG { 1 } else { MAX }
}

/// Whether texts with these letters can be as near as `limit`: each wrong letter
/// changes two bits at most.
pub fn may_be_near(a: u64, b: u64, limit: u32) -> bool {
    has_at_most(a ^ b, 2 * limit)
}

/// Whether so many bits are set. Without an instruction that counts them, which not
/// every processor has, taking them away one by one is less work than counting.
fn has_at_most(mut bits: u64, count: u32) -> bool {
    for _ in 0..count {
        bits &= bits.wrapping_sub(1);
    }
    bits == 0
}

/// The pairs of letters that stand beside each other, each as one of 64 bits; the first
/// letter stands beside nothing.
pub fn pairs(text: &str) -> u64 {
    inner_pairs(text) | text.chars().next().map_or(0, |first| pair(0, first.into()))
}

/// The same without the beginning: what a text has that has this one inside.
pub fn inner_pairs(text: &str) -> u64 {
    let letters = text.chars().map(u32::from);
    let pairs = letters.clone().zip(letters.skip(1));
    pairs.fold(0, |mask, (before, c)| mask | pair(before, c))
}

fn pair(before: u32, c: u32) -> u64 {
    1 << (before.wrapping_mul(37).wrapping_add(c) % 64)
}

/// Whether texts with these pairs can be as near as `limit`: two letters that change
/// places take three pairs away and bring three others, and nothing does more.
pub fn may_share_pairs(a: u64, b: u64, limit: u32) -> bool {
    has_at_most(a ^ b, 6 * limit)
}

/// How many letters tell a text from a whole text or word, when no more than `limit`.
pub fn wrong_letters(typed: &str, other: &str, limit: u32) -> Option<u32> {
    if typed.is_ascii() && other.is_ascii() {
        return bounded(typed.as_bytes(), other.as_bytes(), limit);
    }
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    bounded(&chars(typed), &chars(other), limit)
}

/// How many letters tell a text from the beginning of a longer one, when no more than
/// `limit`.
pub fn wrong_in_start(typed: &str, value: &str, limit: u32) -> Option<u32> {
    if typed.is_ascii() && value.is_ascii() {
        let start = value.as_bytes().get(..typed.len());
        let start = start.filter(|_| value.len() > typed.len());
        return bounded(typed.as_bytes(), start?, limit);
    }
    let (typed, value): (Vec<char>, Vec<char>) = (typed.chars().collect(), value.chars().collect());
    let start = value.get(..typed.len());
    bounded(&typed, start.filter(|_| value.len() > typed.len())?, limit)
}

/// How far what was typed is from a value, when no more than `limit` letters are wrong:
/// twice the number of wrong letters, and one more when it is like the start or one
/// word of the value and not like the whole.
pub fn typo(typed: &str, value: &str, limit: u32) -> Option<u32> {
    if typed.is_ascii() && value.is_ascii() {
        let parts = words(value).map(|(_, word)| word.as_bytes());
        return nearest_part(typed.as_bytes(), value.as_bytes(), parts, limit);
    }
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    let parts: Vec<Vec<char>> = words(value).map(|(_, word)| chars(word)).collect();
    nearest_part(
        &chars(typed),
        &chars(value),
        parts.iter().map(Vec::as_slice),
        limit,
    )
}

fn nearest_part<'a, T: PartialEq + 'a>(
    typed: &[T],
    value: &[T],
    words: impl Iterator<Item = &'a [T]>,
    limit: u32,
) -> Option<u32> {
    if let Some(distance) = bounded(typed, value, limit) {
        return Some(2 * distance);
    }
    let is_start = typed.first() == value.first() && value.len() > typed.len();
    let start = value
        .get(..typed.len())
        .filter(|_| is_start)
        .and_then(|start| bounded(typed, start, limit));
    let word = words
        .filter(|word| word.len() < value.len())
        .filter_map(|word| bounded(typed, word, limit))
        .min();
    start
        .into_iter()
        .chain(word)
        .min()
        .map(|distance| 2 * distance + 1)
}

/// The distance of two texts when it is at most `limit`. Only the diagonal band
/// that such a distance can lie in is looked at. Nobody completes a text of
/// [`LONGEST`] letters.
#[expect(
    clippy::indexing_slicing,
    reason = "rows have room for the longest text, and columns run to its length"
)]
fn bounded<T: PartialEq>(a: &[T], b: &[T], limit: u32) -> Option<u32> {
    let band = limit as usize;
    if a.len().abs_diff(b.len()) > band || b.len() >= LONGEST {
        return None;
    }
    // What both start with changes nothing.
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let limit = u8::try_from(limit).unwrap_or(u8::MAX).min(u8::MAX - 2);
    let far = limit + 1;
    // The row at hand, and the two above it.
    let mut rows = [[far; LONGEST]; 3];
    for (column, cost) in (0..=limit).zip(&mut rows[0]) {
        *cost = column;
    }
    for i in 1..=a.len() {
        let [row, above, before] = [i % 3, (i + 2) % 3, (i + 1) % 3];
        let columns = i.saturating_sub(band).max(1)..=(i + band).min(b.len());
        // The cells beside the band are read, and hold what an earlier row left.
        let first = if i <= band {
            u8::try_from(i).unwrap_or(far)
        } else {
            far
        };
        rows[row][columns.start() - 1] = if *columns.start() == 1 { first } else { far };
        let mut best = rows[row][columns.start() - 1];
        for j in columns.clone() {
            let is_same = a[i - 1] == b[j - 1];
            let mut cost = (rows[above][j - 1] + u8::from(!is_same))
                .min(rows[above][j] + 1)
                .min(rows[row][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[before][j - 2] + 1);
            }
            rows[row][j] = cost.min(far);
            best = best.min(cost);
        }
        if let Some(beside) = rows[row].get_mut(columns.end() + 1) {
            *beside = far;
        }
        if best > limit {
            return None;
        }
    }
    let distance = rows[a.len() % 3][b.len()];
    (distance <= limit).then_some(distance.into())
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
                prop_assert!(may_be_near(letters(&a), letters(&b), 2));
                prop_assert!(may_share_pairs(pairs(&a), pairs(&b), 2));
            }
            if naive(&x, &y) <= 1 {
                prop_assert!(may_share_pairs(pairs(&a), pairs(&b), 1));
            }
            let start = y.get(..x.len()).filter(|start| start.len() < y.len());
            let expected = start.map(|start| naive(&x, start)).filter(|distance| *distance <= 2);
            prop_assert_eq!(wrong_in_start(&a, &b, 2), expected);
        }

        #[test]
        fn a_text_has_the_letters_and_pairs_of_what_is_inside(
            before in "[a-eé_0-9]{0,6}",
            inside in "[a-eé_0-9]{0,6}",
            after in "[a-eé_0-9]{0,6}",
        ) {
            let whole = format!("{before}{inside}{after}");
            prop_assert_eq!(letters(&inside) & !letters(&whole), 0);
            prop_assert_eq!(inner_pairs(&inside) & !pairs(&whole), 0);
        }
    }
}
