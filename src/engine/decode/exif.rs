//! Facts out of EXIF: orientation, time, camera, lens and place.

use std::io::Cursor;

use exif::{Exif, Field, In, Rational, Tag, Value};

use super::facts::{Facts, Place};
use crate::model::{entry::format_time, text::display_text};

/// Characters of a camera's or lens's name that are kept.
const MAX_NAME: usize = 100;

/// Reads an EXIF block (a TIFF structure, without any container) into the facts.
/// What is damaged or absurd in it is left out.
pub fn read(block: &[u8], facts: &mut Facts) {
    // WebP files often carry the prefix that only JPEG segments should have.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let exif = match reader.read_raw(block.to_vec()) {
        Ok(exif) => exif,
        Err(exif::Error::PartialResult(partial)) => partial.into_inner().0,
        Err(_) => return,
    };
    fill(&exif, facts);
}

/// The same for a TIFF file, whose own directory is the EXIF block.
pub fn read_tiff(file: &[u8], facts: &mut Facts) {
    if let Ok(exif) = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(file))
    {
        fill(&exif, facts);
    }
}

fn fill(exif: &Exif, facts: &mut Facts) {
    let field = |tag: Tag| exif.get_field(tag, In::PRIMARY);
    if let Some(orientation) = field(Tag::Orientation)
        .and_then(|field| field.value.get_uint(0))
        .filter(|orientation| (1..=8).contains(orientation))
    {
        facts.orientation = u8::try_from(orientation).unwrap_or(1);
    }
    let text = |tag: Tag| field(tag).and_then(ascii);
    facts.taken = taken(
        text(Tag::DateTimeOriginal)
            .or_else(|| text(Tag::DateTimeDigitized))
            .as_deref(),
        text(Tag::OffsetTimeOriginal)
            .or_else(|| text(Tag::OffsetTime))
            .as_deref(),
    );
    facts.camera = match (text(Tag::Make), text(Tag::Model)) {
        (Some(make), Some(model)) => {
            // "Canon" and "Canon EOS R" are one camera, not two words.
            let maker = make.split(' ').next().unwrap_or(&make);
            if model.to_lowercase().starts_with(&maker.to_lowercase()) {
                Some(model)
            } else {
                Some(format!("{make} {model}"))
            }
        }
        (make, model) => model.or(make),
    };
    facts.lens = text(Tag::LensModel);
    facts.gps = place(exif);
}

/// A text field, trimmed, safe to show, `None` when nothing is left.
fn ascii(field: &Field) -> Option<String> {
    let Value::Ascii(lines) = &field.value else {
        return None;
    };
    let text = String::from_utf8_lossy(lines.first()?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let text: String = display_text(text).chars().take(MAX_NAME).collect();
    (!text.is_empty()).then_some(text)
}

/// `2024:05:01 12:30:00` and `+02:00` as RFC 3339 in UTC.
fn taken(time: Option<&str>, offset: Option<&str>) -> Option<String> {
    let civil = jiff::civil::DateTime::strptime("%Y:%m:%d %H:%M:%S", time?).ok()?;
    let zone = offset
        .and_then(offset_seconds)
        .and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok())
        .unwrap_or(jiff::tz::Offset::UTC);
    let timestamp = zone.to_timestamp(civil).ok()?;
    Some(format_time(timestamp.as_second()))
}

fn offset_seconds(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let hours = hours.parse::<i32>().ok().filter(|h| (0..=15).contains(h))?;
    let minutes = minutes
        .parse::<i32>()
        .ok()
        .filter(|m| (0..60).contains(m))?;
    Some(sign * (hours * 3600 + minutes * 60))
}

fn place(exif: &Exif) -> Option<Place> {
    let field = |tag: Tag| exif.get_field(tag, In::PRIMARY);
    let degrees = |tag: Tag, reference: Tag, negative: &str, limit: f64| {
        let Value::Rational(parts) = &field(tag)?.value else {
            return None;
        };
        let part = |i: usize| parts.get(i).copied().map_or(Some(0.0), finite);
        let degrees = finite(*parts.first()?)? + part(1)? / 60.0 + part(2)? / 3600.0;
        let away = field(reference).and_then(ascii);
        let signed = if away.is_some_and(|away| away.eq_ignore_ascii_case(negative)) {
            -degrees
        } else {
            degrees
        };
        (signed.abs() <= limit).then_some(signed)
    };
    let latitude = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0)?;
    let longitude = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0)?;
    // Devices without a fix write zeros.
    if latitude == 0.0 && longitude == 0.0 {
        return None;
    }
    let below = field(Tag::GPSAltitudeRef).and_then(|field| field.value.get_uint(0)) == Some(1);
    let altitude = field(Tag::GPSAltitude).and_then(|field| match &field.value {
        Value::Rational(parts) => finite(*parts.first()?),
        _ => None,
    });
    Some(Place {
        latitude,
        longitude,
        altitude: altitude.map(|meters| if below { -meters } else { meters }),
    })
}

fn finite(value: Rational) -> Option<f64> {
    (value.denom != 0).then(|| value.to_f64())
}

#[cfg(test)]
mod tests {
    use exif::experimental::Writer;

    use super::*;
    use crate::engine::decode::format::Format;

    fn block(fields: &[(Tag, Value)]) -> Vec<u8> {
        let fields: Vec<Field> = fields
            .iter()
            .map(|(tag, value)| Field {
                tag: *tag,
                ifd_num: In::PRIMARY,
                value: value.clone(),
            })
            .collect();
        let mut writer = Writer::new();
        for field in &fields {
            writer.push_field(field);
        }
        let mut bytes = Cursor::new(Vec::new());
        writer.write(&mut bytes, false).unwrap();
        bytes.into_inner()
    }

    fn ascii(text: &str) -> Value {
        Value::Ascii(vec![text.as_bytes().to_vec()])
    }

    fn rational(numbers: &[(u32, u32)]) -> Value {
        Value::Rational(
            numbers
                .iter()
                .map(|(num, denom)| Rational {
                    num: *num,
                    denom: *denom,
                })
                .collect(),
        )
    }

    #[test]
    fn a_full_block_is_understood() {
        let mut facts = Facts::new(Format::Jpeg, 0);
        read(
            &block(&[
                (Tag::Orientation, Value::Short(vec![6])),
                (Tag::Make, ascii("Canon")),
                (Tag::Model, ascii("Canon EOS R5")),
                (Tag::LensModel, ascii("RF50mm \x1b[2J")),
                (Tag::DateTimeOriginal, ascii("2024:05:01 01:30:00")),
                (Tag::OffsetTimeOriginal, ascii("+02:00")),
                (Tag::GPSLatitude, rational(&[(48, 1), (30, 1), (0, 1)])),
                (Tag::GPSLatitudeRef, ascii("S")),
                (Tag::GPSLongitude, rational(&[(9, 1), (0, 1), (36, 1)])),
                (Tag::GPSLongitudeRef, ascii("E")),
            ]),
            &mut facts,
        );
        assert_eq!(facts.orientation, 6);
        assert_eq!(facts.camera.as_deref(), Some("Canon EOS R5"));
        assert_eq!(facts.lens.as_deref(), Some("RF50mm \u{fffd}[2J"));
        assert_eq!(facts.taken.as_deref(), Some("2024-04-30T23:30:00Z"));
        let place = facts.gps.unwrap();
        assert!((place.latitude + 48.5).abs() < 1e-9);
        assert!((place.longitude - 9.01).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_left_out() {
        let before = Facts::new(Format::Jpeg, 0);
        let mut facts = before.clone();
        read(
            &block(&[
                (Tag::Orientation, Value::Short(vec![9])),
                (Tag::DateTimeOriginal, ascii("0000:00:00 00:00:00")),
                (Tag::GPSLatitude, rational(&[(48, 0)])),
                (Tag::GPSLongitude, rational(&[(900, 1)])),
                (Tag::Make, ascii("   ")),
            ]),
            &mut facts,
        );
        read(b"garbage", &mut facts);
        read(b"", &mut facts);
        assert_eq!(facts, before);
    }
}
