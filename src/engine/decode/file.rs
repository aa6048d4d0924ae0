//! Opening files whose names and kinds others chose: pipes, sockets, devices,
//! links and sparse giants.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use super::{
    container,
    error::{DecodeError, printable},
    facts::Facts,
    format::{Format, SNIFF_BYTES},
};

/// Files beyond this size are neither read nor hashed.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// A file's format and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub format: Format,
    pub bytes: u64,
}

/// Opens a regular file for reading. Never waits (on a pipe) and never follows a
/// link in the last component.
///
/// # Errors
/// What the system says; `InvalidInput` when it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a symbolic link",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, metadata))
}

/// Tells the format of a file by its content.
///
/// # Errors
/// When it cannot be read or is no format known here.
pub fn probe(path: &Path) -> Result<Probe, DecodeError> {
    open_media(path).map(|(_, probe)| probe)
}

/// Opens a file and tells its format; the file stands at its start.
pub fn open_media(path: &Path) -> Result<(File, Probe), DecodeError> {
    let (mut file, metadata) = open_regular(path).map_err(|e| DecodeError::io(path, e))?;
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    (&mut file)
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(|e| DecodeError::io(path, e))?;
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy())
        .unwrap_or_default();
    let Some(mut format) = Format::sniff(&head, &extension) else {
        let reason = if head.is_empty() {
            "the file is empty"
        } else {
            "its content is of no known format"
        };
        return Err(DecodeError::not_media(path, reason));
    };
    let bytes = metadata.len();
    if bytes > MAX_FILE_BYTES {
        return Err(DecodeError::TooLarge {
            path: printable(path),
            reason: format!("{} MiB", bytes >> 20),
            facts: Box::new(Facts::new(format, bytes)),
        });
    }
    // A large color profile may stand before the mark of an animation.
    if format == Format::Png && container::png_is_animated(&mut file).unwrap_or(false) {
        format = Format::Apng;
    }
    file.rewind().map_err(|e| DecodeError::io(path, e))?;
    Ok((file, Probe { format, bytes }))
}
