//! What a library is asked: the index and single files are read, nothing changes.

use std::{collections::BTreeMap, fmt::Write as _, fs, ops::ControlFlow, path::PathBuf};

use super::{
    Library, error::Error, files, layout::LayoutKind, requests::Unhashed, tag_database::TagDbStamp,
    tombstones::Tombstone,
};
use crate::model::{
    entry::Entry,
    fact::{Album, Detail},
    id::{Md5, MediaId, MediaKey},
    project::{Project, ProjectItem},
    sidecar::Sidecar,
    tagdb::TagDb,
};

impl Library {
    /// The number of media, derived ones (masks, crops, frames) left out.
    pub fn count(&self) -> Result<u64, Error> {
        self.current().index.count()
    }

    /// The first media in default order (newest import first, ties by id), derived
    /// ones left out: one indexed query.
    pub fn first_page(&self, limit: usize) -> Result<Vec<Entry>, Error> {
        self.current().index.first_page(limit)
    }

    /// All media, derived ones too, in order of their keys. An index that is not
    /// complete is completed from the files first. `on` hears (done, total) and may
    /// stop it, which gives [`Error::Cancelled`].
    pub fn load_entries(
        &self,
        on: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        self.load_in_chunks(&mut |chunk, done, total| {
            if entries.is_empty() {
                entries.reserve(usize::try_from(total).unwrap_or(0));
            }
            entries.extend(chunk);
            on(done, total)
        })?;
        Ok(entries)
    }

    /// As [`Library::load_entries`], handing over a thousand media at a time, so
    /// that a caller who packs them never holds all of them unpacked.
    pub fn load_in_chunks(
        &self,
        on: &mut dyn FnMut(Vec<Entry>, u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if !self.is_indexed() {
            let summary =
                self.rebuild(&mut |progress| on(Vec::new(), progress.done, progress.total))?;
            if summary.is_cancelled {
                return Err(Error::Cancelled);
            }
        }
        self.load_indexed(on)
    }

    /// Whether the index holds the whole library. Otherwise it is a new one, or a
    /// rebuild of it was stopped half way.
    pub fn is_indexed(&self) -> bool {
        let current = self.current();
        current.is_complete() && !current.index.is_damaged()
    }

    /// As [`Library::load_in_chunks`], but hands over what the index holds now, the
    /// whole library or not.
    pub fn load_indexed(
        &self,
        on: &mut dyn FnMut(Vec<Entry>, u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if self.current().index.load(on)? {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    }

    /// One medium, or `None` when the index has no such key.
    pub fn entry(&self, key: MediaKey) -> Result<Option<Entry>, Error> {
        self.current().index.entry(key)
    }

    /// The key of a medium with exactly this id.
    pub fn key_of(&self, id: &MediaId) -> Result<Option<MediaKey>, Error> {
        self.current().index.key_of(id.as_str())
    }

    /// The media whose sidecar gives this md5; several in flat and in-place libraries.
    pub fn find_md5(&self, md5: &Md5) -> Result<Vec<(MediaKey, MediaId)>, Error> {
        self.current().index.find_md5(md5)
    }

    /// Media of this size whose md5 is not known: the door compares their bytes.
    pub fn find_size(&self, bytes: u64) -> Result<Vec<MediaKey>, Error> {
        self.current().index.find_size(bytes)
    }

    /// Media whose md5 is not known though their original is there, first those of
    /// whose size there are several; with `twins_only` no others: nothing else can
    /// be a duplicate.
    pub fn unhashed_keys(&self, twins_only: bool) -> Result<Vec<MediaKey>, Error> {
        self.current().index.unhashed_keys(twins_only)
    }

    /// The files of those of some media whose md5 is still not known.
    pub fn unhashed(&self, keys: &[MediaKey]) -> Result<Vec<Unhashed>, Error> {
        self.current().index.unhashed(keys)
    }

    /// Whether the file of a medium still has the size and the time that the index
    /// noted.
    pub fn is_as_noted(&self, file: &Unhashed) -> bool {
        let path = self.original_path(&file.path);
        matches!(files::stat(&path), Ok(Some(stat))
            if (stat.bytes, stat.modified()) == (file.bytes, file.modified))
    }

    /// Full text over caption, name, notes, file name and tags, or over one of them
    /// (`caption`, `name`, `note`, `filename`, `tag`): all words must be there;
    /// `"a phrase"` in quotes, `word*` for a prefix.
    pub fn full_text(&self, field: Option<&str>, query: &str) -> Result<Vec<MediaKey>, Error> {
        self.current().index.full_text(field, query)
    }

    /// Hands over one detail of every medium that has it, each medium's together.
    pub fn details(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), Error> {
        self.current().index.details(detail, on)
    }

    /// The projects with the media that the index knows of them.
    pub fn albums(&self) -> Result<Vec<Album>, Error> {
        let index = &self.current().index;
        let mut albums = Vec::new();
        for project in self.projects()? {
            let mut media = Vec::with_capacity(project.items.len());
            for item in &project.items {
                media.extend(index.key_of_path(&self.path_of_item(item))?);
            }
            albums.push(Album {
                name: project.name,
                media,
                query: project.query,
            });
        }
        Ok(albums)
    }

    /// The original that a project names: its path below the library.
    pub fn path_of_item(&self, item: &ProjectItem) -> String {
        // Paths of projects are relative to the folder of the originals.
        let prefix = match self.shelf.layout.kind() {
            LayoutKind::InPlace => "",
            LayoutKind::Bucketed | LayoutKind::Flat => "images/",
        };
        format!("{prefix}{}", item.path)
    }

    /// A number that changes when another process wrote to the index.
    pub fn data_version(&self) -> Result<i64, Error> {
        self.current().index.data_version()
    }

    /// What changed since a sequence number: the newest number, the media written,
    /// those removed. 0 gives everything.
    pub fn changed_since(
        &self,
        sequence: u64,
    ) -> Result<(u64, Vec<MediaKey>, Vec<MediaKey>), Error> {
        self.current().index.changed_since(sequence)
    }

    /// Those of some media that the index has, as they are now: a kilobyte or more
    /// for each.
    pub fn entries(&self, keys: &[MediaKey]) -> Result<Vec<Entry>, Error> {
        self.current().index.entries(keys)
    }

    /// The newest sequence number, to ask [`Library::changed_since`] later.
    pub fn sequence(&self) -> Result<u64, Error> {
        let sequence = self.current().index.setting("sequence")?;
        Ok(sequence.and_then(|n| n.parse().ok()).unwrap_or_default())
    }

    /// The sidecar of a medium as it is on disk now, an empty one when there is
    /// none. Heals the index when its row was wrong.
    pub fn read_sidecar(&self, key: MediaKey) -> Result<Sidecar, Error> {
        self.at_desk(|desk| desk.read_sidecar(key))
    }

    /// What the files of a medium look like from outside, for those who keep what
    /// [`read_sidecar`](Self::read_sidecar) gave: its id, and a text that is another one
    /// after any of the files was written. `None` where they are to be read. `now`: in
    /// seconds since 1970.
    pub fn look_of(&self, key: MediaKey, now: i64) -> Result<Option<(MediaId, String)>, Error> {
        self.at_desk(|desk| desk.look_of(key, now))
    }

    /// What is known of a file that was thrown away for good.
    pub fn tombstone(&self, md5: &Md5) -> Result<Option<Tombstone>, Error> {
        self.tombstones.find(md5)
    }

    /// The ids of all media in the index.
    pub fn ids(&self) -> Result<Vec<MediaId>, Error> {
        let places = self.current().index.places()?;
        Ok(places.into_values().map(|place| place.id).collect())
    }

    /// The projects of the library, by file name. One that cannot be read is left
    /// out here and stays as it is.
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        let paths = self.project_files()?;
        let read = |path: PathBuf| {
            let (bytes, _) = files::read(&path, crate::model::sidecar::MAX_BYTES).ok()??;
            let mut project = Project::parse(str::from_utf8(&bytes).ok()?)?;
            if project.name.is_empty() {
                project.name = path.file_stem()?.to_string_lossy().into_owned();
            }
            Some(project)
        };
        Ok(paths.into_iter().filter_map(read).collect())
    }

    /// What the files of the projects look like: name, bytes and time of each.
    /// Another text means that they have to be read again.
    pub fn projects_stamp(&self) -> Result<String, Error> {
        let mut stamp = String::new();
        for path in self.project_files()? {
            let Some(stat) = files::stat(&path)? else {
                continue;
            };
            // The library may be mounted elsewhere on another host.
            let name = path.file_name().unwrap_or_default().display();
            // Writing to a string cannot fail.
            let _ = writeln!(stamp, "{name} {} {}", stat.bytes, stat.modified_ns);
        }
        Ok(stamp)
    }

    /// Where the projects lie, by name.
    fn project_files(&self) -> Result<Vec<PathBuf>, Error> {
        let folder = self.shelf.layout.projects();
        let mut paths: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) if files::is_absent(&error) => Vec::new(),
            Err(error) => return Err(Error::file("list", &folder)(error)),
        };
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        paths.sort();
        Ok(paths)
    }

    /// The tag database as its file has it.
    pub fn tag_database(&self) -> Result<TagDb, Error> {
        self.at_desk(|desk| desk.tag_database())
    }

    /// The named searches, name to query.
    pub fn searches(&self) -> Result<BTreeMap<String, String>, Error> {
        self.at_desk(|desk| desk.searches())
    }

    /// What the file of the tag database looks like now.
    pub fn tag_database_stamp(&self) -> TagDbStamp {
        self.at_desk(|desk| desk.tag_database_stamp())
    }
}
