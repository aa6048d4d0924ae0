//! Identities: the md5 of a file, the id of a medium, the key of an index row,
//! and the bucket arithmetic that turns an md5 into a folder.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The md5 of an original's bytes.
///
/// MD5 is what boorus identify files by; it guards nothing against an attacker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Md5(pub [u8; 16]);

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an md5: {0:?}")]
pub struct ParseMd5Error(String);

impl Md5 {
    /// The folder below `images/` that holds a file with this md5: `ab/cd`.
    pub fn bucket(&self) -> String {
        format!("{:02x}/{:02x}", self.0[0], self.0[1])
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Md5 {
    type Err = ParseMd5Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseMd5Error(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(error());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or_else(error)?;
            let low = char::from(pair[1]).to_digit(16).ok_or_else(error)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

/// The id of a medium, unique in its library: the md5 of what we ingested, the
/// file's stem or relative path for what we found.
///
/// Invariant: not empty and free of control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaId(Arc<str>);

/// A text that cannot be an id: empty, or with control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a media id: {0:?}")]
pub struct ParseMediaIdError(String);

impl MediaId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaId {
    type Err = ParseMediaIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(ParseMediaIdError(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for MediaId {
    type Error = ParseMediaIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MediaId> for String {
    fn from(id: MediaId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl From<Md5> for MediaId {
    fn from(md5: Md5) -> Self {
        Self(md5.to_string().into())
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The number of a medium in the index of this machine: small, stable while the
/// index lives, and meaningless anywhere else. Result lists and bitmaps hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaKey(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_reads_and_prints_hexadecimal() {
        let text = "d41d8cd98f00b204e9800998ecf8427e";
        let md5: Md5 = text.parse().unwrap();
        assert_eq!(md5.to_string(), text);
        assert_eq!(md5.bucket(), "d4/1d");
        assert_eq!("D41D8CD98F00B204E9800998ECF8427E".parse(), Ok(md5));
    }

    #[test]
    fn md5_refuses_anything_else() {
        for text in [
            "",
            "d41d",
            "d41d8cd98f00b204e9800998ecf8427g",
            "é41d8cd98f00b204e9800998ecf8427",
        ] {
            assert!(text.parse::<Md5>().is_err(), "{text}");
        }
    }

    #[test]
    fn media_id_refuses_control_characters() {
        assert!("a\nb".parse::<MediaId>().is_err());
        assert!("".parse::<MediaId>().is_err());
        assert_eq!(
            "2024/日本 a".parse::<MediaId>().unwrap().as_str(),
            "2024/日本 a"
        );
    }
}
