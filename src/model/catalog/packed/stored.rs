//! A chunk as bytes and back.

use super::{CHUNK, Chunk, Reader, Row, Writer, chunk::Base, flag};

/// Bytes of a row before those that [`encode`](super::encode) made.
const ROW: usize = 16 + 3 * 8 + 2 * 4;

impl Chunk {
    /// Appends what is there: how many rows, and each with its place and its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let present = || (0..CHUNK).filter_map(|slot| Some((slot, self.row(slot)?)));
        let mut writer = Writer(std::mem::take(out));
        writer.number(present().count() as u64);
        for (slot, (row, bytes)) in present() {
            writer.number(slot as u64);
            writer.0.extend(row.md5);
            writer.0.extend(row.imported.to_le_bytes());
            writer.0.extend(row.bytes.to_le_bytes());
            writer.0.extend(row.flags.to_le_bytes());
            writer.0.extend(row.width.to_le_bytes());
            writer.0.extend(row.height.to_le_bytes());
            writer.bytes(bytes);
        }
        *out = writer.0;
    }

    /// Takes back what [`write`](Self::write) appended; `None` for anything else.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let rows = usize::try_from(reader.number()).ok()?;
        let start = *reader;
        let mut length = 0;
        for _ in 0..rows {
            reader.number();
            reader.take(ROW)?;
            length += reader.checked_bytes()?.len();
        }
        *reader = start;
        let mut chunk = Base {
            rows: vec![Row::default(); if rows == 0 { 0 } else { CHUNK }],
            bytes: Vec::with_capacity(length),
            ..Base::default()
        };
        for _ in 0..rows {
            let slot = usize::try_from(reader.number()).ok()?;
            let mut fixed = Reader(reader.take(ROW)?);
            let bytes = reader.checked_bytes()?;
            let row = Row {
                md5: fixed.array()?,
                imported: i64::from_le_bytes(fixed.array()?),
                bytes: u64::from_le_bytes(fixed.array()?),
                flags: u64::from_le_bytes(fixed.array()?),
                width: u32::from_le_bytes(fixed.array()?),
                height: u32::from_le_bytes(fixed.array()?),
                offset: u32::try_from(chunk.bytes.len()).ok()?,
                length: u32::try_from(bytes.len()).ok()?,
            };
            if !row.is(flag::PRESENT) {
                return None;
            }
            *chunk.rows.get_mut(slot)? = row;
            chunk.bytes.extend_from_slice(bytes);
        }
        Some(Self::of(chunk))
    }
}

impl<'a> Reader<'a> {
    /// As many bytes, when they are there.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Bytes behind their length, when all of them are there.
    pub fn checked_bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()).ok()?;
        self.take(length)
    }

    /// A text behind its length, when it is one.
    pub fn checked_text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.checked_bytes()?).ok()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}
