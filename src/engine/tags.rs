//! The tag database at work: changed through the journal, read again when another
//! program changed it, and tags renamed on every medium that has them.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    Core, Engine,
    event::{Event, Level, SaveReport},
    implications,
    job::lock,
    save,
};
use crate::{
    model::{
        catalog::Catalog,
        edit::Edit,
        id::MediaKey,
        query::Query,
        tag::{Tag, TagName},
        tagdb::{DictionaryTag, ImportReport, TagDb, TagEdit},
    },
    storage::Change,
};

/// What renaming a tag did.
#[derive(Clone, Debug, Default)]
pub struct RenameReport {
    pub saved: SaveReport,
    /// What is worth knowing of the tag database.
    pub notes: Vec<String>,
}

impl Engine {
    /// Changes the tag database and waits: all of it or nothing. Returns what is
    /// worth knowing.
    ///
    /// # Errors
    /// When a change is refused, or the file cannot be read or written.
    pub fn change_tags_now(&self, action: &str, edits: &[TagEdit]) -> Result<Vec<String>, String> {
        let core = &self.core;
        core.change_tags(action, &mut |tags| {
            let mut notes = Vec::new();
            for edit in edits {
                notes.extend(tags.apply(edit).map_err(|mistake| mistake.to_string())?);
            }
            Ok(notes)
        })
    }

    /// As [`Engine::change_tags_now`], in the background; answered by a notice.
    pub fn change_tags(&self, action: String, edits: Vec<TagEdit>) {
        let core = Arc::clone(&self.core);
        self.order(move |_| {
            let made = core.change_tags(&action, &mut |tags| {
                let mut notes = Vec::new();
                for edit in &edits {
                    notes.extend(tags.apply(edit).map_err(|mistake| mistake.to_string())?);
                }
                Ok(notes)
            });
            match made {
                Ok(notes) => {
                    let notes = if notes.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", notes.join("; "))
                    };
                    core.events.notice(Level::Info, format!("{action}{notes}"));
                }
                Err(reason) => core.events.notice(Level::Error, reason),
            }
        });
    }

    /// Takes a dictionary into the tag database and waits; with `is_dry_run` only says
    /// what it would do.
    ///
    /// # Errors
    /// When the file of the tag database cannot be read or written.
    pub fn import_tags_now(
        &self,
        action: &str,
        dictionary: &[DictionaryTag],
        is_dry_run: bool,
    ) -> Result<ImportReport, String> {
        let core = &self.core;
        let catalog = core.catalog.load();
        let is_used = |value: &str| {
            catalog
                .tagged_value(value)
                .any(|(_, media)| !media.is_empty())
        };
        if is_dry_run {
            let mut tags = TagDb::clone(catalog.tag_database());
            return Ok(tags.import(dictionary, is_used));
        }
        core.change_tags(action, &mut |tags| Ok(tags.import(dictionary, is_used)))
    }

    /// Gives a tag another name on every medium that has it, and in the tag database,
    /// as one operation, and waits. `leaves_alias`: the old name still finds it.
    ///
    /// # Errors
    /// When nothing was begun; media that could not be saved are in the report.
    pub fn rename_tag_now(
        &self,
        from: &TagName,
        to: &TagName,
        leaves_alias: bool,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<RenameReport, String> {
        self.core.rename_tag(from, to, leaves_alias, on)
    }

    /// As [`Engine::rename_tag_now`], in the background, with its progress shown;
    /// answered by [`Event::JobDone`].
    pub fn rename_tag(&self, from: TagName, to: TagName, leaves_alias: bool) {
        let label = format!("renaming {from} to {to}");
        self.run_job(move |core, job, cancel| {
            let mut progress = super::job::Progress::new(job, &*label);
            let outcome = core.rename_tag(&from, &to, leaves_alias, &mut |done, total| {
                progress.done = done as u64;
                progress.total = Some(total as u64);
                core.events.progress(progress.clone());
                save::flow(cancel)
            });
            let outcome = outcome.map(|report| {
                let failed = match report.saved.failed.as_slice() {
                    [] => String::new(),
                    [(_, reason), ..] => {
                        format!(", {} failed: {reason}", report.saved.failed.len())
                    }
                };
                format!("{} media{failed}", report.saved.changed.len())
            });
            core.events.done(job, &label, outcome);
        });
    }
}

impl Engine {
    /// Looks for implications that the data suggest, in the background; answered by
    /// [`Event::Implication`] with the surest but `skip`.
    pub fn suggest_implication(&self, skip: usize) {
        let core = Arc::clone(&self.core);
        // After the changes that were ordered before.
        self.order(move |_| {
            let mut all = implications::suggest(&core.catalog.load()).into_iter();
            core.events.send(Event::Implication {
                left: all.len().saturating_sub(skip),
                suggested: all.nth(skip),
                skip,
            });
        });
    }

    /// Says why a medium matches a query; answered by [`Event::Why`].
    pub fn why(&self, query: Query, key: MediaKey) {
        self.run_job(move |core, _, cancel| {
            let reasons = core.why(&query, key, cancel);
            core.events.send(Event::Why(reasons));
        });
    }

    /// Reads the named searches; answered by [`Event::Searches`].
    pub fn searches(&self) {
        self.run_job(|core, _, _| {
            let searches = core.library.searches().map_err(|error| error.chain());
            core.events.send(Event::Searches(searches));
        });
    }

    /// Names a search, or forgets one, in the background; answered by a notice.
    pub fn name_search(&self, name: String, query: Option<String>) {
        self.run_job(
            move |core, _, _| match core.name_search(&name, query.as_deref()) {
                Ok(()) => core
                    .events
                    .notice(Level::Info, format!("search {name} is kept")),
                Err(reason) => core.events.notice(Level::Error, reason),
            },
        );
    }
}

impl Core {
    fn name_search(&self, name: &str, query: Option<&str>) -> Result<(), String> {
        let action = match query {
            Some(_) => format!("name search {name}"),
            None => format!("forget search {name}"),
        };
        let operation = self.library.operation(action);
        let named = self
            .library
            .name_search(&operation, name, query, self.now());
        self.library.finish(&operation);
        named.map_err(|error| error.chain())
    }

    /// Reads the tag database again when its file is another than it was.
    pub(super) fn refresh_tags(&self) {
        let stamp = self.library.tag_database_stamp();
        let mut known = lock(&self.tags_read);
        if *known == Some(stamp) {
            return;
        }
        let is_first = known.is_none();
        *known = Some(stamp);
        drop(known);
        match self.library.tag_database() {
            Ok(tags) => {
                for problem in tags.problems() {
                    tracing::warn!("tagdb.jsonl: {problem}");
                }
                if !(is_first && tags.is_empty()) {
                    self.catalog.read_tags_with(tags);
                }
            }
            Err(error) => {
                let text = format!("aliases and implications are not read: {}", error.chain());
                self.events.notice(Level::Error, text);
            }
        }
    }

    fn change_tags<T>(
        &self,
        action: &str,
        change: &mut dyn FnMut(&mut TagDb) -> Result<T, String>,
    ) -> Result<T, String> {
        let operation = self.library.operation(action);
        let changed = self.library.change_tags(&operation, change, self.now());
        self.library.finish(&operation);
        let (tags, said) = changed.map_err(|error| error.chain())?;
        self.catalog.read_tags_with(tags);
        Ok(said)
    }

    fn rename_tag(
        &self,
        from: &TagName,
        to: &TagName,
        leaves_alias: bool,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<RenameReport, String> {
        if from == to || to.value.is_empty() {
            return Err(format!("{from} is the tag {to} already"));
        }
        let catalog = self.catalog.load();
        let edits: Arc<[Edit]> = Arc::new([Edit::RenameTag {
            from: from.clone(),
            to: Tag::new(&to.category, &to.value),
        }]);
        let keys = having(&catalog, from);
        if keys.is_empty() && !catalog.tag_database().knows(from) {
            return Err(format!("no medium has the tag {from}"));
        }
        let action = format!("rename tag {from} to {to} on {}", keys.len());
        let step = save::SaveStep {
            number: 0,
            action,
            changes: keys.iter().map(|key| (*key, Arc::clone(&edits))).collect(),
        };
        let operation = self.library.operation(&*step.action);
        let now = self.now();
        // A crash between the tag database and the last picture does not leave half.
        let intent = save::by_id(&self.catalog, &step.changes);
        let kept = self.library.keep_pending(&operation, &intent, now);
        kept.map_err(|error| error.chain())?;
        let renamed = self.library.change_tags(
            &operation,
            &mut |tags| {
                let rename = TagEdit::Rename {
                    from: from.clone(),
                    to: to.clone(),
                };
                let mut notes = tags.apply(&rename).map_err(|mistake| mistake.to_string())?;
                if leaves_alias && from.value != to.value {
                    let alias = TagEdit::Alias {
                        alias: from.value.clone(),
                        tag: to.clone(),
                    };
                    notes.extend(tags.apply(&alias).map_err(|mistake| mistake.to_string())?);
                }
                Ok(notes)
            },
            now,
        );
        let (tags, notes) = match renamed {
            Ok(renamed) => renamed,
            Err(error) => {
                let _ = self.library.discard_pending(operation.id);
                return Err(error.chain());
            }
        };
        let changes = keys
            .into_iter()
            .map(|key| Change {
                key,
                steps: vec![(0, edits.to_vec())],
            })
            .collect();
        let saved = save::save(&self.library, &self.catalog, &[operation], changes, now, on);
        self.catalog.read_tags_with(tags);
        Ok(RenameReport { saved, notes })
    }
}

/// The media on which exactly this tag is stored.
fn having(catalog: &Catalog, name: &TagName) -> Vec<MediaKey> {
    let media = catalog.tagged(name);
    media.into_iter().flatten().map(MediaKey).collect()
}
