//! What every command works with: its switches, its output, the flag that Ctrl-C
//! sets, and the library it was given or stands in.

use std::{
    env,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    Options, log,
    output::{Bar, Output, counted},
    settings::variable,
};
use crate::app::config::Config;
use crate::engine::{
    Engine, EngineSettings, Error, IndexState, LayoutKind, Library, Recognised,
    event::{self, Events},
    job::Cancel,
};

/// The surroundings of one command.
#[derive(Clone)]
pub struct Context {
    pub options: Options,
    pub output: Output,
    /// Set by the first Ctrl-C, and by being asked to end.
    pub cancel: Cancel,
}

impl Context {
    /// What a loop with progress returns to the engine.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Draws how far a loop is and says whether it goes on.
    pub fn step(&self, bar: &Bar, done: u64, total: u64) -> ControlFlow<()> {
        bar.set(done, Some(total));
        self.flow()
    }

    /// The folder of the library to work on.
    pub fn root(&self) -> Result<PathBuf> {
        if let Some(root) = &self.options.library {
            return Ok(root.clone());
        }
        let here = env::current_dir().context("cannot tell the current folder")?;
        match Library::find_around(&here) {
            Some(root) => Ok(root),
            None => bail!(
                "no library here: name one with --library DIR, or make one with tagloupe init DIR"
            ),
        }
    }

    /// Opens the library as it is, its index rebuilt or not.
    pub fn library(&self) -> Result<Library> {
        let root = self.root()?;
        match Library::recognise(&root) {
            Recognised::Library => {
                if let Some(folder) = log::folder() {
                    self.start_log(&folder);
                }
                Ok(Library::open(&root)?)
            }
            Recognised::New => bail!("{} does not exist", root.display()),
            Recognised::NotADirectory => bail!("{} is not a folder", root.display()),
            Recognised::Empty | Recognised::PicturesInside(_) => bail!(
                "{root} is not a library; make one with: tagloupe init {root}",
                root = root.display()
            ),
        }
    }

    /// An engine whose events nobody hears, with its index in order and all media
    /// loaded.
    pub fn engine(&self) -> Result<Engine> {
        let (events, _) = event::channel();
        let engine = self.engine_with(events)?;
        self.load(&engine)?;
        Ok(engine)
    }

    /// An engine with its index in order and nothing loaded.
    pub fn engine_with(&self, events: Events) -> Result<Engine> {
        self.engine_with_settings(events, |_| {})
    }

    /// As [`Context::engine_with`], with the settings changed.
    pub fn engine_with_settings(
        &self,
        events: Events,
        change: impl FnOnce(&mut EngineSettings),
    ) -> Result<Engine> {
        let engine = self.start(events, change)?;
        match engine.index_state() {
            IndexState::Ready | IndexState::Stale => {}
            IndexState::Missing => self.rebuild(&engine)?,
            IndexState::Unusable(reason) => {
                self.output.note(&format!(
                    "the index cannot be used ({reason}); making another one"
                ));
                self.rebuild(&engine)?;
            }
        }
        for operation in engine.recover_now()? {
            self.output.note(&operation.to_string());
        }
        Ok(engine)
    }

    /// An engine on the library as it is.
    pub fn bare_engine(&self, events: Events) -> Result<Engine> {
        self.start(events, |_| {})
    }

    fn start(&self, events: Events, change: impl FnOnce(&mut EngineSettings)) -> Result<Engine> {
        let library = self.library()?;
        let (config, problems) = Config::load(&variable);
        for problem in &problems {
            self.output.note(problem);
        }
        let mut settings = engine_settings(&config);
        change(&mut settings);
        Engine::start(library, settings, events).context("cannot start the engine")
    }

    fn rebuild(&self, engine: &Engine) -> Result<()> {
        let bar = self.output.bar("making the index from the files", None);
        let summary =
            engine.rebuild_now(&mut |progress| self.step(&bar, progress.done, progress.total))?;
        drop(bar);
        if summary.is_cancelled {
            return Err(Error::Cancelled.into());
        }
        let media = counted(summary.media, "medium", "media");
        self.output
            .note(&format!("made the index from the files: {media}"));
        for (path, reason) in &summary.errors {
            self.output.note(&format!("{}: {reason}", path.display()));
        }
        Ok(())
    }

    fn load(&self, engine: &Engine) -> Result<()> {
        let mut bar = None;
        engine.load_catalog_now(&mut |done, total| {
            bar.get_or_insert_with(|| self.output.bar("loading", Some(total)))
                .set(done, Some(total));
            self.flow()
        })?;
        Ok(())
    }

    /// Starts the log in a folder. The program works without, so a failure is only
    /// told to those who want to know more.
    pub fn start_log(&self, folder: &Path) {
        if let Err(error) = log::start(folder, self.options.verbose)
            && self.options.verbose > 0
        {
            self.output.note(&format!("{error:#}"));
        }
    }

    /// Makes a library; without a name it gets that of its folder.
    pub fn create(root: &Path, kind: LayoutKind, name: Option<&str>) -> Result<Library> {
        let own_name = root
            .canonicalize()
            .ok()
            .as_deref()
            .unwrap_or(root)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.map(str::to_owned).or(own_name);
        Ok(Library::create(
            root,
            kind,
            name.as_deref().unwrap_or("library"),
        )?)
    }
}

/// What the settings say to an engine.
pub fn engine_settings(config: &Config) -> EngineSettings {
    let ingest = &config.ingest;
    EngineSettings {
        workers: (ingest.workers > 0).then_some(ingest.workers),
        settle: Duration::from_millis(ingest.settle_ms),
        force_polling: ingest.polling,
        cache: config.cache.settings(),
        trash_days: config.trash_days,
        hashes_found: ingest.hash_found,
        sources: config.sources.settings(),
        ..EngineSettings::default()
    }
}

/// How long a command waits for its engine's events before it looks at Ctrl-C again.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// Now, as sidecars write it.
pub fn rfc3339_now() -> String {
    let seconds = crate::engine::job::system_clock();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
