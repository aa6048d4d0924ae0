//! Perceptual and colour hashes as values: bits, distance, hexadecimal text.

use std::{fmt, str::FromStr};

/// A hash of at most 256 bits, most significant bit first, as its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerceptualHash(Box<[u8]>);

/// A text that is not an even number of hexadecimal digits, 2 to 64.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a perceptual hash: {0:?}")]
pub struct ParseHashError(String);

impl PerceptualHash {
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number of bits that differ, or `None` when the lengths differ and the
    /// hashes cannot be compared.
    pub fn distance(&self, other: &Self) -> Option<u32> {
        (self.0.len() == other.0.len()).then(|| {
            self.0
                .iter()
                .zip(&other.0)
                .map(|(a, b)| (a ^ b).count_ones())
                .sum()
        })
    }
}

impl fmt::Display for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PerceptualHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseHashError(text.to_owned());
        let digits = text.as_bytes();
        if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 64 {
            return Err(error());
        }
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        digits
            .chunks_exact(2)
            .map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?))
            .collect::<Option<Box<[u8]>>>()
            .map(Self)
            .ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_differing_bits() {
        let hash = |text: &str| text.parse::<PerceptualHash>().unwrap();
        assert_eq!(hash("ff00").distance(&hash("ff01")), Some(1));
        assert_eq!(hash("ffff").distance(&hash("0000")), Some(16));
        assert_eq!(hash("ff").distance(&hash("ff00")), None);
    }

    #[test]
    fn text_round_trips() {
        assert_eq!(
            "00ab".parse::<PerceptualHash>().unwrap().to_string(),
            "00ab"
        );
        for text in ["", "a", "xy", "é"] {
            assert!(text.parse::<PerceptualHash>().is_err(), "{text}");
        }
    }
}
