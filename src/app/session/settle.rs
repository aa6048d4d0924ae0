//! What follows from a message that was heard: the editor's targets, the info panel,
//! masks and crops, the pictures and frames that are wanted.

use super::{
    super::{
        action::Action, config::Graphics, dialog::Dialog, info::Info, message::Effect,
        session::shared,
    },
    App,
};
use crate::{engine::event::PictureSize, model::id::MediaKey};

/// For what the derived panes were made last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    current: Option<MediaKey>,
    changes: u64,
    loaded: u64,
    catalog: u64,
    editor: bool,
    info: bool,
    masks: bool,
    crops: bool,
    insight: Option<MediaKey>,
}

impl App {
    /// Brings up to date what follows from the rest: the editor's targets, the info
    /// panel, masks and crops, the pictures that are wanted.
    pub(in crate::app) fn settle(&mut self) {
        let current = self.gallery.current();
        if current != self.settled.current {
            self.viewer.turn();
        }
        if self.panes.editor {
            let targets = self.gallery.targets();
            let mut ctx = shared!(self);
            self.editor.set_targets(targets, &mut ctx);
        }
        let now = Settled {
            current,
            changes: self.changes.version(),
            loaded: self.loaded.version(),
            catalog: self.catalog.version(),
            editor: self.panes.editor,
            info: self.panes.info,
            masks: self.panes.viewer && self.viewer.shown_mask > 0,
            crops: self.panes.viewer && self.viewer.shows_crops,
            insight: self.insight.as_ref().map(|insight| insight.key),
        };
        if now != self.settled {
            if self.panes.editor {
                let mut ctx = shared!(self);
                self.editor.refresh(&mut ctx);
            }
            if let Some(key) = current.filter(|_| now.info || now.masks || now.crops)
                && self.loaded.ask(key)
            {
                self.effects.push(Effect::LoadMedia(key));
            }
            self.show_info();
            self.ask_insight();
            self.find_derived();
            self.settled = Settled {
                loaded: self.loaded.version(),
                ..now
            };
        }
        self.reopen_tag_list();
        self.want_pictures();
        self.want_frame();
        self.follow_look();
        self.offer_index();
    }

    /// Makes the offer of an index, unless somebody types or is asked something else:
    /// the next key is not meant for it then.
    fn offer_index(&mut self) {
        let is_busy =
            !self.dialogs.is_empty() || self.layer().is_text() || !self.pending.keys.is_empty();
        if self.asks_about_index && !is_busy {
            self.asks_about_index = false;
            if let Some(offer) = &self.index_offer {
                let stop = self.keymap.key_of(self.layer(), Action::Cancel);
                self.dialogs.push(Dialog::index(offer, stop.as_deref()));
            }
        }
    }

    /// Asks what is like the picture under the cursor, once for each that is shown and
    /// whenever the library changed.
    fn ask_insight(&mut self) {
        let wanted = self.gallery.current().filter(|_| self.panes.info);
        let wanted = wanted.map(|key| (key, self.catalog.version()));
        if wanted.is_some() && wanted != self.asked_insight {
            self.asked_insight = wanted;
            self.effects
                .extend(wanted.map(|(key, _)| Effect::Insight(key)));
        }
    }

    fn show_info(&mut self) {
        self.info = Info::default();
        if !self.panes.info {
            return;
        }
        if let Some(key) = self.gallery.current()
            && let (Some(record), Some(media)) = (self.catalog.record(key), self.media(key))
        {
            self.info = Info::of(&self.catalog, &record, &media, &self.loaded);
            if let Some(insight) = self.insight.as_ref().filter(|insight| insight.key == key) {
                let accept = self.keymap.key_of(self.layer(), Action::RatingSuggested);
                self.info.add(insight, &self.catalog, accept.as_deref());
            }
        }
    }

    /// Asks for the frame of the animation that is looked at.
    fn want_frame(&mut self) {
        let (number, size) = (self.viewer.frame, self.viewport.viewer_picture);
        if let Some(key) = self
            .gallery
            .current()
            .filter(|_| self.panes.viewer && number > 0)
            && self.frames.ask(key, size, number)
        {
            self.effects.push(Effect::Frame { key, number, size });
        }
    }

    fn want_pictures(&mut self) {
        let mut wanted: Vec<(MediaKey, PictureSize)> = Vec::new();
        if self.config.graphics == Graphics::None {
            return;
        }
        if self.panes.viewer {
            let at = self.gallery.cursor;
            let neighbor = |index: Option<usize>| self.gallery.results.get(index?).copied();
            let size = self.viewport.viewer_picture;
            if let Some(key) = self.gallery.current() {
                // Something at once, then what is really wanted.
                wanted.push((key, PictureSize::Preview));
                if size != PictureSize::Preview {
                    wanted.push((key, size));
                }
                wanted.extend(self.viewer.masks.iter().map(|mask| (*mask, size)));
            }
            for key in [neighbor(at.checked_add(1)), neighbor(at.checked_sub(1))] {
                wanted.extend(key.map(|key| (key, PictureSize::Preview)));
            }
            if self.viewer.slideshow.is_some() && size != PictureSize::Preview {
                // There is time, and it comes for certain.
                wanted.extend(neighbor(at.checked_add(1)).map(|key| (key, size)));
            }
        } else {
            let size = self.viewport.tile_picture;
            wanted.extend(self.gallery.wanted().into_iter().map(|key| (key, size)));
        }
        if wanted == self.wanted {
            return;
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(key, size)| !self.pictures.touch(*key, *size))
            .copied()
            .collect();
        self.wanted = wanted;
        if !missing.is_empty() {
            self.effects.push(Effect::Pictures(missing));
        }
    }
}
