//! The catalog as a file, so that an opening need not make it from the index.
//!
//! It lies in the cache, may be deleted at any time, and is believed only when it
//! is whole (every part has a checksum of all before it) and was made from a state
//! that this very index was in: then what changed since is asked of the index.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use flate2::Crc;

use super::{Library, error::Error, index::Moment, md5_lock};

/// What such a file begins with.
const MAGIC: [u8; 8] = *b"tglpcat\n";
const FILE: &str = "catalog";

/// Takes a frame.
pub type Put<'a> = dyn FnMut(&[u8]) + 'a;

/// A file that holds frames of bytes, each checked.
struct Checked<F> {
    file: F,
    sum: Crc,
}

impl<F> Checked<F> {
    fn new(file: F) -> Self {
        let sum = Crc::new();
        Self { file, sum }
    }
}

impl<F: io::Write> Checked<F> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }

    fn seal(&mut self) -> io::Result<()> {
        self.file.write_all(&self.sum.sum().to_le_bytes())
    }
}

impl<F: io::Read> Checked<F> {
    fn get<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).ok()?;
        self.sum.update(&bytes);
        Some(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.file.read_exact(bytes).ok()?;
        self.sum.update(bytes);
        Some(())
    }

    fn check(&mut self) -> Option<()> {
        let mut sum = [0; 4];
        self.file.read_exact(&mut sum).ok()?;
        (u32::from_le_bytes(sum) == self.sum.sum()).then_some(())
    }
}

impl Library {
    /// Where the file is: in the cache, or beside an index that had to go elsewhere.
    fn snapshot_path(&self) -> PathBuf {
        let current = self.current();
        if current.index.folder() == self.layout().home() {
            self.layout().cache().join(FILE)
        } else {
            current.index.companion(FILE)
        }
    }

    /// The state the index is in.
    pub fn moment(&self) -> Result<Moment, Error> {
        self.current().index.moment()
    }

    /// How many media changed since the index was in a state; `None` when it never
    /// was, or too long ago to tell.
    pub fn changes_after(&self, moment: Moment) -> Result<Option<u64>, Error> {
        self.current().index.changes_after(moment)
    }

    /// The state from which the stored catalog was made, by what the file says.
    pub fn snapshot_moment(&self, format: u32) -> Option<Moment> {
        let file = File::open(self.snapshot_path()).ok()?;
        read_head(&mut Checked::new(file), format)
    }

    /// Hands over the frames of the stored catalog, while `on` takes them, and says
    /// which state of the index it was made from. `None` when there is none that is
    /// whole, of this format, and of a state that the index was in.
    pub fn snapshot(&self, format: u32, on: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<Moment> {
        let path = self.snapshot_path();
        let file = File::open(&path).ok()?;
        let bytes = file.metadata().ok()?.len();
        let read = self.read_snapshot(BufReader::with_capacity(1 << 17, file), bytes, format, on);
        if read.is_none() {
            tracing::info!("{} is of no use any more", path.display());
        }
        read
    }

    fn read_snapshot(
        &self,
        file: impl io::Read,
        bytes: u64,
        format: u32,
        on: &mut dyn FnMut(&[u8]) -> Option<()>,
    ) -> Option<Moment> {
        let mut file = Checked::new(file);
        let moment = read_head(&mut file, format)?;
        self.changes_after(moment).ok()??;
        let mut frame = Vec::new();
        loop {
            let length = u32::from_le_bytes(file.get()?);
            if length == 0 {
                file.check()?;
                return (file.file.read(&mut [0]).ok()? == 0).then_some(moment);
            }
            // A length that damage made would ask for memory that is not there.
            (u64::from(length) < bytes).then_some(())?;
            frame.resize(length as usize, 0);
            file.fill(&mut frame)?;
            file.check()?;
            on(&frame)?;
        }
    }

    /// Stores the frames that `write` hands to its argument, as the catalog of a
    /// state of the index. One process does so at a time; the others need not.
    ///
    /// # Errors
    /// When the cache cannot be written; an older file stays as it was.
    pub fn store_snapshot(
        &self,
        moment: Moment,
        format: u32,
        write: &mut dyn FnMut(&mut Put<'_>),
    ) -> Result<(), Error> {
        let path = self.snapshot_path();
        let _turn = match md5_lock::try_lock_file(&self.current().index.companion("snapshot")) {
            Ok(turn) => turn,
            Err(Error::Locked { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create folder", folder))?;
        }
        // Whoever has the turn may overwrite what a killed process left.
        let new = path.with_extension("new");
        write_snapshot(&new, moment, format, write)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| {
                let _ = fs::remove_file(&new);
                Error::file("write", &path)(error)
            })
    }
}

fn read_head(file: &mut Checked<impl io::Read>, format: u32) -> Option<Moment> {
    let is_ours = file.get::<8>()? == MAGIC && u32::from_le_bytes(file.get()?) == format;
    is_ours.then_some(())?;
    let moment = Moment {
        sequence: u64::from_le_bytes(file.get()?),
        stamp: file.get()?,
    };
    file.check()?;
    Some(moment)
}

/// Nothing is synced: what a crash leaves of the file is found out by its checksums.
fn write_snapshot(
    path: &Path,
    moment: Moment,
    format: u32,
    write: &mut dyn FnMut(&mut Put<'_>),
) -> io::Result<()> {
    let mut file = Checked::new(BufWriter::with_capacity(1 << 17, File::create(path)?));
    file.put(&MAGIC)?;
    file.put(&format.to_le_bytes())?;
    file.put(&moment.sequence.to_le_bytes())?;
    file.put(&moment.stamp)?;
    file.seal()?;
    let mut result = Ok(());
    write(&mut |frame| {
        let put = |file: &mut Checked<BufWriter<File>>| {
            let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
            file.put(&length.to_le_bytes())?;
            file.put(frame)?;
            file.seal()
        };
        if result.is_ok() {
            result = put(&mut file);
        }
    });
    result?;
    file.put(&0_u32.to_le_bytes())?;
    file.seal()?;
    file.file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LayoutKind;

    fn library() -> (tempfile::TempDir, Library) {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::create(dir.path(), LayoutKind::Bucketed, "Test").unwrap();
        (dir, library)
    }

    fn store(library: &Library, moment: Moment) -> Vec<u8> {
        library
            .store_snapshot(moment, 1, &mut |put| {
                put(b"one");
                put(&[7; 300]);
            })
            .unwrap();
        fs::read(library.layout().cache().join(FILE)).unwrap()
    }

    fn read(library: &Library, format: u32) -> Option<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        library.snapshot(format, &mut |frame| {
            frames.push(frame.to_vec());
            Some(())
        })?;
        Some(frames)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test spoils the file")]
    fn only_a_whole_file_of_this_index_is_believed() {
        let (_dir, library) = library();
        assert_eq!(read(&library, 1), None);
        let moment = library.moment().unwrap();
        let whole = store(&library, moment);
        let expected = vec![b"one".to_vec(), vec![7; 300]];
        assert_eq!(read(&library, 1), Some(expected));
        assert_eq!(read(&library, 2), None, "another format");

        let path = library.layout().cache().join(FILE);
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&library, 1), None, "cut after {length}");
        }
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                fs::write(&path, &flipped).unwrap();
                assert_eq!(read(&library, 1), None, "bit {bit} of byte {at}");
            }
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert_eq!(read(&library, 1), None, "longer");

        let (_other_dir, other) = super::tests::library();
        fs::create_dir_all(other.layout().cache()).unwrap();
        fs::write(other.layout().cache().join(FILE), &whole).unwrap();
        assert_eq!(read(&other, 1), None, "of another index");
        let later = Moment {
            sequence: moment.sequence + 1,
            ..moment
        };
        store(&library, later);
        assert_eq!(read(&library, 1), None, "of a state that never was");
    }

    #[test]
    fn a_reader_that_refuses_a_frame_gets_nothing() {
        let (_dir, library) = library();
        store(&library, library.moment().unwrap());
        let mut seen = 0;
        let read = library.snapshot(1, &mut |_| {
            seen += 1;
            None
        });
        assert_eq!((read, seen), (None, 1));
    }
}
