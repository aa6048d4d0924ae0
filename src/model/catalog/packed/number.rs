//! Numbers and texts as bytes, short ones in few.

/// The numbers packed one after another.
pub fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        // How many bytes a number has cannot be guessed, and guessing wrong takes longer
        // than to look at four at once: results of many media unpack millions of them.
        if let Some(word) = rest.first_chunk() {
            let word = u32::from_le_bytes(*word);
            let ends = !word & 0x8080_8080;
            if ends != 0 {
                let last = ends.trailing_zeros();
                rest = rest.get(last as usize / 8 + 1..).unwrap_or_default();
                let word = word & u32::MAX >> (31 - last);
                return Some(
                    word & 0x7f
                        | word >> 1 & 0x3f80
                        | word >> 2 & 0x1f_c000
                        | word >> 3 & 0xfe0_0000,
                );
            }
        }
        let mut reader = Reader(rest);
        let number = (!rest.is_empty()).then(|| u32::try_from(reader.number()).unwrap_or(u32::MAX));
        rest = reader.0;
        number
    })
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn optional(&mut self, number: Option<i64>) {
        match number {
            Some(number) => {
                self.number(1);
                self.signed(number);
            }
            None => self.number(0),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text_or_none(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.number(1);
                self.bytes(text.as_bytes());
            }
            None => self.number(0),
        }
    }
}

/// Reads what [`Writer`] wrote; past the end everything is zero or empty.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7f)
                .checked_shl(shift)
                .unwrap_or_default();
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    pub(super) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
    }

    pub(super) fn optional(&mut self) -> Option<i64> {
        (self.number() != 0).then(|| self.signed())
    }

    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (bytes, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        bytes
    }

    pub(super) fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    pub(super) fn text_or_none(&mut self) -> Option<&'a str> {
        (self.number() != 0).then(|| self.text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            written in prop::collection::vec((any::<u32>(), 0..32_u32).prop_map(|(n, by)| n >> by), 0..20),
        ) {
            let mut writer = Writer(Vec::new());
            for number in &written {
                writer.number(u64::from(*number));
            }
            prop_assert_eq!(numbers(&writer.0).collect::<Vec<_>>(), written);
        }
    }
}
