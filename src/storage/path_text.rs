//! File names as text and back, without loss.
//!
//! A name that is plain UTF-8 stands for itself. Bytes that are not UTF-8, and
//! control characters, become `%XX`; a `%` becomes `%25` only where it would
//! otherwise be taken for one of these, so that `100%.png` and `a%20b.png` stay.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
};

/// The text of a file name: valid UTF-8 without control characters.
pub(super) fn encode(name: &OsStr) -> String {
    let bytes = name.as_encoded_bytes();
    if !bytes.contains(&b'%')
        && let Some(text) = name.to_str()
        && !text.chars().any(char::is_control)
    {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    let mut position = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' && escaped(&bytes[position..]).is_some() {
                text.push_str("%25");
            } else if c.is_control() {
                push_bytes(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(c);
            }
            position += c.len_utf8();
        }
        push_bytes(&mut text, chunk.invalid());
        position += chunk.invalid().len();
    }
    text
}

/// The file name that [`encode`] made this text from.
pub(super) fn decode(text: &str) -> OsString {
    if !text.contains('%') {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut name = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        if let Some(byte) = escaped(&bytes[position..]) {
            name.push(byte);
            position += 3;
        } else {
            name.push(bytes[position]);
            position += 1;
        }
    }
    os_string(name)
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

/// Other systems name files in Unicode, so there is nothing that needs bytes.
#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

/// The byte of a `%XX` at the front that stands for something [`encode`] escapes.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    (!(0x20..0x7f).contains(&byte) || byte == b'%').then_some(byte)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stand_for_themselves() {
        for (name, text) in [
            (&b"a b.png"[..], "a b.png"),
            (b"100%.png", "100%.png"),
            (b"a%20b.png", "a%20b.png"),
            (b"a%0Ab", "a%250Ab"),
            (b"a\nb", "a%0Ab"),
            (b"a\xffb", "a%FFb"),
            ("日本.png".as_bytes(), "日本.png"),
            ("c1\u{85}".as_bytes(), "c1%C2%85"),
        ] {
            assert_eq!(encode(OsStr::from_bytes(name)), text);
        }
    }

    proptest! {
        #[test]
        fn every_name_round_trips(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'%'), Just(b'2'), Just(b'5')], 0..24)) {
            let name = OsString::from_vec(bytes);
            let text = encode(&name);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert_eq!(decode(&text), name);
        }
    }
}
