//! The info panel: facts of the medium under the cursor. Also keeps the few full
//! sidecars that are loaded, for the panel and the editor.

use std::collections::{HashMap, VecDeque};

use super::insight::Insight;
use crate::model::{
    catalog::{Catalog, Record},
    entry::format_time,
    id::MediaKey,
    media::{Media, MediaKind},
    text::{display_text, human_bytes},
};

/// Related pictures of one kind that are named.
const MAX_RELATIVES: usize = 3;
/// Sidecars that are kept.
const MAX_LOADED: usize = 256;

/// The state of the panel; it is open when it is among the panes shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    /// Label and value, safe to draw; made anew when the cursor moves.
    pub facts: Vec<Fact>,
    /// Whether the sidecar is still being read: the facts are those of the index.
    pub is_loading: bool,
    /// Why the sidecar could not be read; safe to draw.
    pub error: Option<String>,
}

/// One line of the panel; a long value is wrapped by the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub label: &'static str,
    pub value: String,
}

/// The sidecars that were read, the newest kept.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    media: HashMap<MediaKey, State>,
    order: VecDeque<MediaKey>,
    version: u64,
}

#[derive(Clone, Debug)]
enum State {
    Asked,
    Read(Box<Media>),
    Failed(String),
}

impl Loaded {
    pub fn media(&self, key: MediaKey) -> Option<&Media> {
        match self.media.get(&key)? {
            State::Read(media) => Some(media),
            State::Asked | State::Failed(_) => None,
        }
    }

    /// Why it could not be read.
    pub fn failure(&self, key: MediaKey) -> Option<&str> {
        match self.media.get(&key)? {
            State::Failed(reason) => Some(reason),
            State::Asked | State::Read(_) => None,
        }
    }

    /// Whether it must be asked for; counts as asked from now on.
    pub fn ask(&mut self, key: MediaKey) -> bool {
        if self.media.contains_key(&key) {
            return false;
        }
        self.put(key, State::Asked);
        true
    }

    /// Takes the answer.
    pub fn receive(&mut self, key: MediaKey, outcome: Result<Box<Media>, String>) {
        self.put(
            key,
            match outcome {
                Ok(media) => State::Read(media),
                Err(reason) => State::Failed(display_text(&reason).into_owned()),
            },
        );
    }

    /// Forgets a medium that changed, so that it is asked for again.
    pub fn forget(&mut self, key: MediaKey) {
        if self.media.remove(&key).is_some() {
            self.order.retain(|known| *known != key);
            self.version += 1;
        }
    }

    pub fn clear(&mut self) {
        self.media.clear();
        self.order.clear();
        self.version += 1;
    }

    /// A number that grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn put(&mut self, key: MediaKey, state: State) {
        self.version += 1;
        self.order.retain(|known| *known != key);
        self.order.push_back(key);
        self.media.insert(key, state);
        if self.order.len() > MAX_LOADED
            && let Some(oldest) = self.order.pop_front()
        {
            self.media.remove(&oldest);
        }
    }
}

impl Info {
    /// The facts of a medium: `record` is what the index knows, `media` the sidecar
    /// with pending edits when it was read.
    pub fn of(catalog: &Catalog, record: &Record<'_>, media: &Media, loaded: &Loaded) -> Self {
        let key = record.key();
        let mut facts = Facts::default();
        facts.add("name", &record.title());
        facts.add("path", &record.path());
        facts.add("kind", record.kind().as_str());
        if record.width() > 0 {
            facts.add(
                "size",
                &format!(
                    "{} x {}, {}",
                    record.width(),
                    record.height(),
                    human_bytes(record.bytes())
                ),
            );
        } else if record.bytes() > 0 {
            facts.add("size", &human_bytes(record.bytes()));
        }
        if record.kind() != MediaKind::Image || record.frames() > 1 {
            if record.frames() > 1 {
                facts.add("frames", &record.frames().to_string());
            }
            if let Some(ms) = record.duration_ms() {
                facts.add("length", &format!("{}.{} s", ms / 1000, ms % 1000 / 100));
            }
        }
        if let Some(rating) = media.rating {
            facts.add("rating", rating.name());
        }
        if media.stars > 0 {
            facts.add("stars", &"★".repeat(usize::from(media.stars.min(5))));
        }
        if let Some(status) = media.status {
            facts.add("status", status.as_str());
        }
        facts.add("imported", &print_time(record.imported()));
        facts.add("created", &print_time(record.created()));
        facts.add("caption", &media.caption);
        for (name, by) in record.implied() {
            facts.add("implied", &format!("{name} (by {by})"));
        }
        for url in &media.urls {
            facts.add("url", url);
        }
        for (site, id) in record.posts() {
            facts.add("post", &format!("{site} {id}"));
        }
        for key in ["camera", "lens", "software", "model"] {
            if let Some(value) = media.fact(key) {
                facts.add(
                    match key {
                        "camera" => "camera",
                        "lens" => "lens",
                        "software" => "software",
                        _ => "model",
                    },
                    value,
                );
            }
        }
        for (relation, ids) in &media.related {
            facts.add("related", &relatives(catalog, relation, ids));
        }
        if let Some(md5) = record.md5() {
            facts.add("md5", &md5.to_string());
        }
        facts.add("id", record.id().as_str());
        Self {
            facts: facts.0,
            is_loading: loaded.media(key).is_none() && loaded.failure(key).is_none(),
            error: loaded.failure(key).map(str::to_owned),
        }
    }
}

impl Info {
    /// Adds what the rest of the library says of it; `accept` is the key that takes the
    /// rating.
    pub fn add(&mut self, insight: &Insight, catalog: &Catalog, accept: Option<&str>) {
        let (guess, related) = insight.lines(catalog);
        let mut facts = Facts(std::mem::take(&mut self.facts));
        if let Some(guess) = guess {
            let key = accept.map_or_else(String::new, |key| format!("   {key} takes it"));
            facts.add("rating?", &format!("{guess}{key}"));
        }
        if let Some(viewed) = insight.viewed {
            facts.add("viewed", &print_time(viewed));
        }
        if let Some((name, count)) = &insight.duplicates {
            facts.add("dup", &format!("{name}, {count} pictures: dup:{name}"));
        }
        for line in related {
            facts.add("like", &line);
        }
        self.facts = facts.0;
    }
}

#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, label: &'static str, value: &str) {
        if !value.trim().is_empty() {
            self.0.push(Fact {
                label,
                value: display_text(value.trim()).into_owned(),
            });
        }
    }
}

/// `children: Fog, Rain and 12 more`: by name, and by id what is not here.
fn relatives(catalog: &Catalog, relation: &str, ids: &[String]) -> String {
    let name = |id: &String| {
        let key = id.parse().ok().and_then(|id| catalog.key_of(&id));
        let record = key.and_then(|key| catalog.record(key));
        record.map_or_else(|| id.clone(), |record| record.title().into_owned())
    };
    let names: Vec<String> = ids.iter().take(MAX_RELATIVES).map(name).collect();
    let more = match ids.len() - names.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{relation}: {}{more}", names.join(", "))
}

fn print_time(unix: i64) -> String {
    format_time(unix).replace('T', " ").replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{Entry, FileFacts};

    #[test]
    fn a_sidecar_is_asked_for_once_and_again_after_it_changed() {
        let mut loaded = Loaded::default();
        let key = MediaKey(1);
        assert!(loaded.ask(key));
        assert!(!loaded.ask(key));
        loaded.receive(key, Err("no\nsuch file".into()));
        assert_eq!(loaded.failure(key), Some("no\u{fffd}such file"));
        loaded.forget(key);
        assert!(loaded.ask(key));
    }

    #[test]
    fn relatives_are_named_and_many_are_counted() {
        let entry = |key: u32, name: &str| {
            let media = Media {
                name: name.to_owned(),
                ..Media::default()
            };
            let id = format!("m{key}").parse().unwrap();
            Entry::new(MediaKey(key), id, &FileFacts::default(), &media)
        };
        let catalog = Catalog::from_entries(vec![entry(1, "Fog"), entry(2, "Rain")], true);
        let relatives = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            relatives(&catalog, "children", &ids)
        };
        assert_eq!(
            relatives(&["m1", "gone", "m2"]),
            "children: Fog, gone, Rain"
        );
        assert_eq!(
            relatives(&["m1", "m2", "m1", "m2", "m1"]),
            "children: Fog, Rain, Fog and 2 more"
        );
    }

    #[test]
    fn only_the_newest_sidecars_are_kept() {
        let mut loaded = Loaded::default();
        for n in 0..1000 {
            loaded.receive(MediaKey(n), Ok(Box::default()));
        }
        assert!(loaded.media(MediaKey(0)).is_none());
        assert!(loaded.media(MediaKey(999)).is_some());
        assert_eq!(loaded.media.len(), MAX_LOADED);
    }
}
