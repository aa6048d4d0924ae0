//! Sorting many by a number, digit by digit: what compares two at a time looks at each
//! twenty times.

/// So many are worth it.
const MANY: usize = 4_096;
/// Bits of a digit, and how many there are of it.
const BITS: u32 = 11;
const DIGITS: usize = 1 << BITS;

/// Sorts by the first; those with the same keep their order.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for each digit, and the places add up to the rows"
)]
pub fn sort_by_code<T: Copy>(mut rows: Vec<(u64, T)>) -> Vec<(u64, T)> {
    if rows.len() < MANY {
        rows.sort_by_key(|(code, _)| *code);
        return rows;
    }
    let first = rows.first().map_or(0, |(code, _)| *code);
    // Numbers of one column have most bits in common.
    let varying = rows.iter().fold(0, |bits, (code, _)| bits | code ^ first);
    let mut sorted = rows.clone();
    let mut low = varying.trailing_zeros();
    while low < u64::BITS {
        let digit = |code: u64| usize::try_from(code >> low & (DIGITS as u64 - 1)).unwrap_or(0);
        let mut places = [0_usize; DIGITS];
        for (code, _) in &rows {
            places[digit(*code)] += 1;
        }
        let mut end = 0;
        for place in &mut places {
            (*place, end) = (end, end + *place);
        }
        for row in &rows {
            let place = &mut places[digit(row.0)];
            sorted[*place] = *row;
            *place += 1;
        }
        std::mem::swap(&mut rows, &mut sorted);
        let next = low + BITS;
        let rest = varying.checked_shr(next).unwrap_or(0);
        low = next + rest.trailing_zeros();
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn digits_sort_as_comparing_does(
            codes in prop::collection::vec(any::<u64>(), 1..40),
            mask in any::<u64>(),
            common in any::<u64>(),
        ) {
            let rows = (0..2 * MANY).map(|n| {
                let code = codes[n * 7 % codes.len()].rotate_left(u32::try_from(n % 5).unwrap());
                (code & mask | common & !mask, n)
            });
            let mut expected: Vec<(u64, usize)> = rows.collect();
            let sorted = sort_by_code(expected.clone());
            expected.sort_by_key(|(code, _)| *code);
            prop_assert!(sorted == expected);
        }
    }
}
