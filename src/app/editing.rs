//! Edits of the selection or of the picture under the cursor, undo and redo, and what
//! is copied from them.

use std::sync::Arc;

use super::{
    action::Action,
    changes::Turn,
    context::BULK,
    dialog::{Dialog, Purpose},
    message::Effect,
    session::{App, shared},
    typing::tag_of,
};
use crate::{
    engine::{event::Level, save::SaveStep},
    model::{
        edit::Edit,
        id::MediaKey,
        media::{Media, Rating, Status},
        tag::{TagName, USER},
    },
};

impl App {
    /// Edits of the targets; says whether the action was one.
    pub(super) fn perform_edit(&mut self, action: Action) -> bool {
        use Action as A;
        let simple = match action {
            A::Stars0 => Some(("stars 0", Edit::SetStars(0))),
            A::Stars1 => Some(("stars 1", Edit::SetStars(1))),
            A::Stars2 => Some(("stars 2", Edit::SetStars(2))),
            A::Stars3 => Some(("stars 3", Edit::SetStars(3))),
            A::Stars4 => Some(("stars 4", Edit::SetStars(4))),
            A::Stars5 => Some(("stars 5", Edit::SetStars(5))),
            A::RatingGeneral => Some(("rating general", rate(Some(Rating::General)))),
            A::RatingSensitive => Some(("rating sensitive", rate(Some(Rating::Sensitive)))),
            A::RatingQuestionable => {
                Some(("rating questionable", rate(Some(Rating::Questionable))))
            }
            A::RatingExplicit => Some(("rating explicit", rate(Some(Rating::Explicit)))),
            A::RatingClear => Some(("no rating", rate(None))),
            A::Archive => Some(("archive", Edit::SetStatus(Some(Status::Archived)))),
            A::Inbox => Some(("back to the inbox", Edit::SetStatus(Some(Status::Inbox)))),
            _ => None,
        };
        if let Some((label, edit)) = simple {
            let targets = self.targets();
            if self.has_picture(!targets.is_empty()) {
                let mut ctx = shared!(self);
                ctx.edit(label, &targets, vec![edit]);
            }
            return true;
        }
        match action {
            A::TagPrompt => self.ask_tags(true),
            A::UntagPrompt => self.ask_tags(false),
            A::RatingSuggested => self.rate_as_suggested(),
            A::Favorite => self.toggle_favorite(),
            A::RepeatEdit => self.repeat_edit(),
            A::YankTags => self.yank(),
            A::PasteTags => self.paste_tags(false),
            A::PasteTagsOver => self.paste_tags(true),
            A::Trash => self.trash(),
            A::CopyPath
            | A::CopyMd5
            | A::CopyTags
            | A::CopyCaption
            | A::CopyUrl
            | A::OpenSource => self.copy(action),
            _ => return false,
        }
        true
    }

    fn ask_tags(&mut self, adds: bool) {
        let targets = self.targets();
        if !self.has_picture(!targets.is_empty()) {
            return;
        }
        let verb = if adds { "Tag" } else { "Remove tags from" };
        let title = match &targets[..] {
            [key] => {
                let title = self.catalog.record(*key).map(|record| record.title());
                format!("{verb} {}", title.unwrap_or_default())
            }
            many => format!("{verb} {} pictures", many.len()),
        };
        let purpose = if adds {
            Purpose::Tag(targets)
        } else {
            Purpose::Untag(targets)
        };
        self.dialogs.push(Dialog::prompt(&title, purpose, ""));
        self.prompt_changed();
    }

    pub(super) fn toggle_favorite(&mut self) {
        let targets = self.targets();
        if !self.has_picture(!targets.is_empty()) {
            return;
        }
        let all = targets.iter().all(|key| self.is_favorite(*key));
        let label = if all { "no favorite" } else { "favorite" };
        let mut ctx = shared!(self);
        ctx.edit(label, &targets, vec![Edit::SetFav(!all)]);
    }

    /// Takes the rating that is suggested for the picture under the cursor: the user's
    /// own from now on.
    fn rate_as_suggested(&mut self) {
        let current = self.gallery.current();
        let insight = self.insight.as_ref();
        let insight = insight.filter(|insight| Some(insight.key) == current);
        let Some((key, rating)) =
            insight.and_then(|insight| Some((insight.key, insight.rating()?)))
        else {
            let text = "no rating is suggested here; the info panel shows it when there is one";
            self.say(Level::Info, text);
            return;
        };
        let label = format!("rating {}", rating.name());
        let mut ctx = shared!(self);
        ctx.edit(&label, &[key], vec![rate(Some(rating))]);
    }

    fn is_favorite(&self, key: MediaKey) -> bool {
        if self.changes.has_pending(key) {
            return self.media(key).is_some_and(|media| media.fav);
        }
        self.catalog.record(key).is_some_and(|record| record.fav())
    }

    fn repeat_edit(&mut self) {
        let Some(last) = self.last_edit.clone() else {
            self.say(Level::Info, "no edit to repeat yet");
            return;
        };
        let targets = self.targets();
        let mut ctx = shared!(self);
        ctx.edit(&last.label, &targets, last.edits);
    }

    fn yank(&mut self) {
        let mut yanked: Vec<TagName> = Vec::new();
        let targets = self.targets();
        if targets.len() > BULK {
            self.say(Level::Info, "too many pictures to yank the tags of all");
            return;
        }
        let ctx = shared!(self);
        for name in targets.iter().flat_map(|key| ctx.tag_names(*key)) {
            if !yanked.contains(&name) {
                yanked.push(name);
            }
        }
        let text = match yanked.len() {
            1 => "yanked 1 tag".to_owned(),
            n => format!("yanked {n} tags"),
        };
        self.yanked = yanked;
        self.say(Level::Info, &text);
    }

    fn paste_tags(&mut self, replaces: bool) {
        if self.yanked.is_empty() {
            self.say(Level::Info, "no tags yanked yet");
            return;
        }
        let targets = self.targets();
        if replaces && targets.len() > BULK {
            self.say(Level::Info, "too many pictures to replace the tags of all");
            return;
        }
        let yanked = self.yanked.clone();
        let mut ctx = shared!(self);
        let additions: Vec<Edit> = yanked
            .iter()
            .map(|name| Edit::AddTag {
                tag: ctx.user_tag(name),
                position: None,
            })
            .collect();
        let count = match yanked.len() {
            1 => "1 tag".to_owned(),
            n => format!("{n} tags"),
        };
        if !replaces {
            ctx.edit(&format!("paste {count}"), &targets, additions);
            return;
        }
        let at = ctx.now_text();
        let changes = targets
            .iter()
            .filter_map(|key| {
                let present = ctx.tag_names(*key);
                if present == yanked {
                    return None;
                }
                let removals = present
                    .iter()
                    .filter(|name| !yanked.contains(name))
                    .map(|name| Edit::RemoveTag {
                        name: name.clone(),
                        at: at.clone(),
                    });
                Some((*key, removals.chain(additions.clone()).collect()))
            })
            .collect();
        ctx.record(&format!("replace the tags by {count}"), changes);
    }

    pub(super) fn trash(&mut self) {
        let keys = self.targets();
        if !self.has_picture(!keys.is_empty()) {
            return;
        }
        let unsaved = keys
            .iter()
            .filter(|key| self.changes.has_pending(**key))
            .count();
        if keys.len() > 1 || unsaved > 0 {
            self.dialogs.push(Dialog::trash(keys, unsaved));
        } else {
            self.save_and_trash(keys);
        }
    }

    pub(super) fn copy(&mut self, action: Action) {
        let targets = self.targets();
        let Some(first) = targets.first().copied() else {
            return;
        };
        if matches!(
            action,
            Action::CopyCaption | Action::CopyUrl | Action::OpenSource
        ) && self.loaded.media(first).is_none()
            && self.loaded.failure(first).is_none()
        {
            // Only the sidecar knows; go on when it has been read.
            self.when_read = Some((first, action));
            if self.loaded.ask(first) {
                self.effects.push(Effect::LoadMedia(first));
            }
            return;
        }
        let folder = self.library.folder.clone();
        let mut ctx = shared!(self);
        let catalog = Arc::clone(ctx.catalog);
        let records = || targets.iter().filter_map(|key| catalog.record(*key));
        match action {
            Action::CopyPath => {
                let paths: Vec<String> = records()
                    .map(|record| {
                        folder
                            .join(record.path().as_ref())
                            .to_string_lossy()
                            .into_owned()
                    })
                    .collect();
                ctx.copy("path", paths.join("\n"));
            }
            Action::CopyMd5 => {
                let sums: Vec<String> = records()
                    .filter_map(|record| record.md5())
                    .map(|md5| md5.to_string())
                    .collect();
                ctx.copy("md5", sums.join("\n"));
            }
            Action::CopyTags => {
                let lines: Vec<String> = targets
                    .iter()
                    .map(|key| {
                        let names: Vec<String> =
                            ctx.tag_names(*key).iter().map(TagName::to_string).collect();
                        names.join(" ")
                    })
                    .collect();
                ctx.copy("tags", lines.join("\n"));
            }
            Action::CopyCaption => {
                let caption = ctx.media(first).map(|media| media.caption);
                ctx.copy("caption", caption.unwrap_or_default());
            }
            _ => {
                let url = ctx.media(first).and_then(|media| source_url(&media));
                match url {
                    Some(url) if action == Action::OpenSource => ctx.effect(Effect::OpenUrl(url)),
                    url => ctx.copy("source URL", url.unwrap_or_default()),
                }
            }
        }
    }

    pub(super) fn undo(&mut self, n: usize) {
        for _ in 0..n {
            match self.changes.undo() {
                Turn::Unsaved(step) => {
                    self.effects.push(Effect::Discard(vec![step.number]));
                    self.say(Level::Info, &format!("undone: {}", step.label));
                }
                Turn::Saved => self.effects.push(Effect::RevertNewest { is_redo: false }),
                Turn::Wait => self.say(Level::Info, "wait until it is saved"),
                Turn::Nothing => self.say(Level::Info, "nothing to undo"),
            }
        }
    }

    pub(super) fn redo(&mut self, n: usize) {
        for _ in 0..n {
            match self.changes.redo() {
                Turn::Unsaved(step) => {
                    self.say(Level::Info, &format!("done again: {}", step.label));
                    self.effects.push(Effect::Keep(SaveStep {
                        number: step.number,
                        action: step.label,
                        changes: step.changes.to_vec(),
                    }));
                }
                Turn::Saved => self.effects.push(Effect::RevertNewest { is_redo: true }),
                Turn::Wait | Turn::Nothing => self.say(Level::Info, "nothing to do again"),
            }
        }
    }

    /// Goes back to what is in the files.
    pub(super) fn discard(&mut self) {
        let numbers = self.changes.discard();
        let text = match numbers.len() {
            0 => "nothing to discard".to_owned(),
            1 => "1 edit discarded; redo brings it back".to_owned(),
            n => format!("{n} edits discarded; redo brings them back"),
        };
        if !numbers.is_empty() {
            self.effects.push(Effect::Discard(numbers));
        }
        self.say(Level::Info, &text);
    }

    /// Media go to the trash with everything that was said about them.
    pub(super) fn save_and_trash(&mut self, keys: Vec<MediaKey>) {
        if keys.iter().any(|key| self.changes.has_pending(*key)) {
            if self.changes.is_saving() {
                self.say(Level::Info, "wait until they are saved");
                return;
            }
            self.save();
        }
        self.effects.push(Effect::Trash(keys));
    }

    /// On every picture, as a job.
    pub(super) fn rename_everywhere(&mut self, from: &str, to: &str) {
        let mut ctx = shared!(self);
        let (Some(from), Some(to)) = (tag_of(from, &ctx), tag_of(to, &ctx)) else {
            ctx.say(Level::Error, "a tag needs a name");
            return;
        };
        self.rename_tag(from, to, false);
    }
}

pub(super) fn rate(rating: Option<Rating>) -> Edit {
    Edit::SetRating {
        rating,
        src: rating.map(|_| USER.to_owned()),
    }
}

/// Where a medium came from.
fn source_url(media: &Media) -> Option<String> {
    let site = media.sources.values().find_map(|source| {
        ["url", "post_url", "source"]
            .iter()
            .find_map(|key| source.get(*key)?.as_str().map(str::to_owned))
    });
    media
        .urls
        .first()
        .cloned()
        .or(site)
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
}
