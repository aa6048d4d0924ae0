//! Reading what is said of one medium, for those who look at it.

use super::{
    Core,
    cache::{entry::Version, key::Key},
};
use crate::{
    model::{catalog::Change, id::MediaKey, media::Media, sidecar::Sidecar},
    storage::Error,
};

impl Core {
    /// What the sidecar says now. What the index and the catalog said otherwise is put
    /// right. Files that look as they did when they were read are not read again.
    pub(super) fn read_media(&self, key: MediaKey) -> Result<Media, Error> {
        // Looked at before they are read: what is written in between makes another
        // version, so nothing older is ever taken for it.
        let look = self.library.look_of(key, self.now())?;
        let entry = look.map(|(id, look)| (Key::metadata(&id), Version::of_text(&look)));
        if let Some((entry, version)) = &entry
            && let Some(text) = self.cache.get(entry, *version).found()
            && let Some(sidecar) = parse(&text)
        {
            return Ok(sidecar.media);
        }
        let sidecar = self.library.read_sidecar(key)?;
        if let Some(entry) = self.library.entry(key)? {
            let catalog = self.catalog.load();
            if catalog.record(key).map(|record| record.to_entry()) != Some(entry.clone()) {
                self.catalog.apply(&[Change::Upsert(entry)]);
            }
        }
        if let Some((entry, version)) = entry {
            let text = sidecar.render();
            self.cache.set(&entry, version, Some(text.as_bytes()));
        }
        Ok(sidecar.media)
    }
}

fn parse(text: &[u8]) -> Option<Sidecar> {
    Sidecar::parse(str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, create_dir_all},
        io::Write as _,
        ops::ControlFlow,
        path::{Path, PathBuf},
    };

    use super::*;
    use crate::{
        engine::{
            Engine, EngineSettings,
            cache::{key::Family, stats::Tally},
            event,
            job::{Clock, system_clock},
        },
        model::tag::TagName,
        storage::{LayoutKind, Library},
    };

    const SIDECAR: &str = r#"{
  "tags": [{"category": "general", "value": "fox", "odd": [1]}],
  "unknown": {"b": 1, "a": 2},
  "related": {},
  "metadata": {}
}"#;

    /// Long after everything that a test writes.
    fn later() -> i64 {
        system_clock() + 3_600
    }

    fn put(path: &Path, text: &str) {
        let mut file = File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn engine(dir: &Path, clock: Clock) -> (Engine, MediaKey, PathBuf) {
        let root = dir.join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let folder = root.join("images/ab/cd");
        create_dir_all(&folder).unwrap();
        put(
            &folder.join("abcd.png"),
            "a picture, as far as storage knows",
        );
        put(&folder.join("abcd.json"), SIDECAR);
        let settings = EngineSettings {
            clock,
            watches_files: false,
            ..EngineSettings::default()
        };
        let (events, _) = event::channel();
        let engine = Engine::start(library, settings, events).unwrap();
        let go_on = ControlFlow::Continue(());
        engine.rebuild_now(&mut |_| go_on).unwrap();
        engine.load_catalog_now(&mut |_, _| go_on).unwrap();
        let key = engine.catalog().keys().next().unwrap();
        (engine, key, folder)
    }

    fn tally(engine: &Engine) -> Tally {
        let families = engine.cache_stats_now().families;
        let media = families.iter().find(|(family, _)| *family == Family::Media);
        media.map(|(_, tally)| *tally).unwrap_or_default()
    }

    #[test]
    fn a_sidecar_that_another_program_changed_is_seen_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for (n, clock) in [system_clock, later].into_iter().enumerate() {
            let (engine, key, folder) = engine(&dir.path().join(n.to_string()), clock);
            let version = engine.catalog().version();
            engine.media_now(key).unwrap();
            assert_eq!(engine.catalog().version(), version, "nothing had changed");

            put(&folder.join("abcd.json"), &SIDECAR.replace("fox", "badger"));
            engine.media_now(key).unwrap();
            let count = |value| engine.catalog().tag_count(&TagName::new("", value));
            assert_eq!((count("fox"), count("badger")), (0, 1));
        }
    }

    #[test]
    fn files_that_look_as_before_are_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, key, folder) = engine(dir.path(), later);
        let read = engine.media_now(key).unwrap();
        assert_eq!((tally(&engine).hits, tally(&engine).sets), (0, 1));
        assert_eq!(engine.media_now(key).unwrap(), read);
        assert_eq!((tally(&engine).hits, tally(&engine).sets), (1, 1));

        // As many bytes, of the same time: what a copy that keeps times leaves.
        let sidecar = folder.join("abcd.json");
        let modified = sidecar.metadata().unwrap().modified().unwrap();
        put(&sidecar, &SIDECAR.replace("fox", "owl"));
        let file = File::options().append(true).open(&sidecar).unwrap();
        file.set_modified(modified).unwrap();
        assert!(
            engine
                .media_now(key)
                .unwrap()
                .has_tag(&TagName::new("", "owl"))
        );

        put(&folder.join("abcd.txt"), "a caption beside it");
        assert_eq!(
            engine.media_now(key).unwrap().caption,
            "a caption beside it"
        );
        let hits = tally(&engine).hits;
        assert_eq!(
            engine.media_now(key).unwrap().caption,
            "a caption beside it"
        );
        assert_eq!(tally(&engine).hits, hits + 1);
        std::fs::remove_file(folder.join("abcd.txt")).unwrap();
        assert_eq!(engine.media_now(key).unwrap().caption, "");
    }

    #[test]
    fn what_was_written_just_now_is_read_every_time() {
        /// Behind the clock of the file system.
        fn earlier() -> i64 {
            system_clock() - 3_600
        }
        let dir = tempfile::tempdir().unwrap();
        let (engine, key, _) = engine(dir.path(), earlier);
        engine.media_now(key).unwrap();
        engine.media_now(key).unwrap();
        assert_eq!(tally(&engine).sets, 0);
    }
}
