//! The session driven by keys: every test types a line of keys and looks at the
//! state and at what would be written. The engine's part is played by a desk that
//! answers each effect at once, from a library that exists in memory only.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tagloupe::{
    app::{
        App, LibraryInfo,
        action::{ACTIONS, Action, Layer},
        bulk::FoundEdits,
        config::Config,
        dialog::DialogKind,
        editor::EditorRow,
        facets,
        insight::Insight,
        key::{Key, KeyCode},
        keymap::Keymap,
        message::{Click, Effect, Message, Now, ScreenEffect, Target, Viewport},
        panes::Pane,
        runtime::Runtime,
    },
    engine::{
        Engine, EngineSettings, LayoutKind, Library,
        cache::stats::Stats,
        event::{
            Event, IndexLack, IndexOffer, IngestEvent, IngestOutcome, RevertReport, SaveReport,
            Unsaved, channel,
        },
        implications::{Evidence, Suggested},
        job::{Cancel, JobId, Progress},
        rating_guess::Guess,
        save::SaveStep,
        search::{Lookup, NoLookup, explain, search},
        suggest::suggest,
        tag_counts::tag_counts,
    },
    model::{
        catalog::{Catalog, Change},
        edit::{Edit, apply_all},
        entry::{Entry, FileFacts},
        fact::{Album, Detail},
        id::{MediaId, MediaKey},
        mark::{Mark, MediaRef},
        media::{Media, MediaKind, Rating, Status},
        query::Query,
        tag::{Tag, TagName},
        tagdb::{TagDb, TagEdit},
    },
};

/// An operation, and the edits of each medium that take it back.
type Done = (String, Vec<(MediaKey, Vec<Edit>)>);

/// A session with a library in memory.
struct Desk {
    app: App,
    media: BTreeMap<MediaKey, Media>,
    catalog: Arc<Catalog>,
    /// What the desk does not do itself, in order.
    asked: Vec<Effect>,
    /// Saving these fails.
    read_only: Vec<MediaKey>,
    /// Saves are kept back until [`Desk::finish_saves`].
    holds_saves: bool,
    held: Vec<Vec<SaveStep>>,
    /// What large edits change is kept back.
    holds_edits: bool,
    found_edits: Vec<FoundEdits>,
    /// Unsaved edits can be kept.
    has_journal: bool,
    /// What the journal has done, and undone, with what takes it back.
    done: Vec<Done>,
    undone: Vec<Done>,
    /// The marks, as they are kept.
    marks: BTreeMap<char, MediaKey>,
    now: Now,
}

/// Knows the marks, and else no more than the catalog.
struct DeskLookup<'a>(&'a [Mark]);

impl Lookup for DeskLookup<'_> {
    fn words(&self, field: Option<&str>, words: &str) -> Result<Vec<MediaKey>, String> {
        NoLookup.words(field, words)
    }

    fn each(&self, detail: Detail, on: &mut dyn FnMut(MediaKey, &str)) -> Result<(), String> {
        NoLookup.each(detail, on)
    }

    fn albums(&self) -> Result<Vec<Album>, String> {
        NoLookup.albums()
    }

    fn searches(&self) -> Result<BTreeMap<String, String>, String> {
        NoLookup.searches()
    }

    fn marks(&self) -> Result<Vec<Mark>, String> {
        Ok(self.0.to_vec())
    }

    fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, String> {
        NoLookup.viewed()
    }
}

const DAY: i64 = 86_400;

fn entry(key: MediaKey, media: &Media) -> Entry {
    let id: MediaId = format!("{:08x}", key.0).parse().unwrap();
    let facts = FileFacts {
        path: format!("images/{:03}.png", key.0),
        bytes: 1000 + u64::from(key.0),
        modified: DAY * (1000 - i64::from(key.0)),
        has_sidecar: true,
        is_missing: false,
    };
    Entry::new(key, id, &facts, media)
}

fn tagged(tags: &[&str]) -> Media {
    Media {
        tags: tags
            .iter()
            .map(|tag| match tag.split_once(':') {
                Some((category, value)) => Tag::new(category, value),
                None => Tag::new("", tag),
            })
            .collect(),
        ..Media::default()
    }
}

impl Desk {
    fn new(media: Vec<Media>) -> Self {
        Self::with_config(media, Config::default())
    }

    fn with_config(media: Vec<Media>, config: Config) -> Self {
        let media: BTreeMap<MediaKey, Media> = (0..).map(MediaKey).zip(media).collect();
        let entries = media
            .iter()
            .map(|(key, media)| entry(*key, media))
            .collect();
        let catalog = Arc::new(Catalog::from_entries(entries, true));
        let library = LibraryInfo {
            name: "test".into(),
            folder: "/library".into(),
            ..LibraryInfo::default()
        };
        let mut desk = Self {
            app: App::new(library, config, Keymap::default()),
            media,
            catalog: Arc::clone(&catalog),
            asked: Vec::new(),
            read_only: Vec::new(),
            holds_saves: false,
            held: Vec::new(),
            holds_edits: false,
            found_edits: Vec::new(),
            has_journal: true,
            done: Vec::new(),
            undone: Vec::new(),
            marks: BTreeMap::new(),
            now: Now {
                elapsed: Duration::ZERO,
                unix: 1_700_000_000,
            },
        };
        desk.tell(Message::Tick(desk.now));
        desk.tell(Message::Viewport(Viewport {
            columns: 5,
            rows: 3,
            editor_rows: 20,
            facet_rows: 20,
            monitor_rows: 10,
            help_rows: 20,
            ..Viewport::default()
        }));
        desk.tell(Message::Engine(Event::Catalog {
            catalog,
            changed: None,
        }));
        desk
    }

    /// Ten pictures: the even ones are foxes, every third has two tags.
    fn small() -> Self {
        Self::new(
            (0..10)
                .map(|n| match (n % 2, n % 3) {
                    (0, 0) => tagged(&["fox", "character:holo"]),
                    (0, _) => tagged(&["fox"]),
                    (_, 0) => tagged(&["cat", "blue_hair"]),
                    _ => tagged(&[]),
                })
                .collect(),
        )
    }

    fn tell(&mut self, message: Message) {
        for effect in self.app.update(message) {
            self.answer(effect);
        }
    }

    fn answer(&mut self, effect: Effect) {
        let event = match effect {
            Effect::Search { query, generation } => {
                let found = search(
                    &query,
                    &self.catalog,
                    &DeskLookup(&self.marks()),
                    self.now.unix,
                    &Cancel::default(),
                )
                .unwrap();
                Event::Found { generation, found }
            }
            Effect::Suggest {
                prefix,
                context,
                generation,
            } => Event::Suggestions {
                generation,
                suggestions: suggest(&self.catalog, &prefix, &context, 20),
            },
            Effect::LoadMedia(key) => Event::Media {
                key,
                outcome: Ok(Box::new(self.media[&key].clone())),
            },
            Effect::Facets {
                keys,
                pending,
                generation,
                ..
            } => {
                let rows = facets::count(&self.catalog, &keys, &pending, |keys| {
                    tag_counts(&self.catalog, keys, &|| false)
                })
                .unwrap();
                let rows = rows.into();
                return self.tell(Message::Facets { generation, rows });
            }
            Effect::Save(steps) if self.holds_saves => return self.held.push(steps),
            Effect::Save(steps) => return self.save(steps),
            Effect::Keep(step) => Event::Kept {
                number: step.number,
                result: if self.has_journal {
                    Ok(())
                } else {
                    Err("disk full".into())
                },
            },
            Effect::History => Event::History(Ok(Vec::new())),
            Effect::RevertNewest { is_redo } => return self.revert(is_redo),
            Effect::Trash(keys) => {
                let changes: Vec<Change> = keys.iter().map(|key| Change::Remove(*key)).collect();
                self.catalog = Arc::new(self.catalog.apply(&changes));
                Event::Catalog {
                    catalog: Arc::clone(&self.catalog),
                    changed: Some(keys),
                }
            }
            Effect::SetMark { letter, key } => {
                match key {
                    Some(key) => self.marks.insert(letter, key),
                    None => self.marks.remove(&letter),
                };
                Event::Marks(self.marks().into())
            }
            Effect::FindEdits(asked) => {
                let found = asked.find(&self.catalog);
                if self.holds_edits {
                    self.found_edits.push(found);
                } else {
                    self.tell(Message::Edits(Box::new(found)));
                }
                return;
            }
            Effect::Pictures(_) | Effect::Remember(_) => return,
            other => return self.asked.push(other),
        };
        self.tell(Message::Engine(event));
    }

    fn marks(&self) -> Vec<Mark> {
        let mark = |(letter, key): (&char, &MediaKey)| {
            let medium = MediaRef::of(&self.catalog.record(*key)?);
            Some(Mark {
                letter: *letter,
                medium,
            })
        };
        self.marks.iter().filter_map(mark).collect()
    }

    /// What the journal does, for one session.
    fn revert(&mut self, is_redo: bool) {
        let (from, to) = if is_redo {
            (&mut self.undone, &mut self.done)
        } else {
            (&mut self.done, &mut self.undone)
        };
        let mut report = None;
        let mut keys = Vec::new();
        if let Some((action, edits)) = from.pop() {
            let mut back = Vec::new();
            for (key, edits) in edits {
                back.push((key, apply_all(&edits, self.media.get_mut(&key).unwrap())));
                keys.push(key);
            }
            to.push((action.clone(), back));
            report = Some(RevertReport {
                action,
                changed: keys.len(),
                ..RevertReport::default()
            });
        }
        self.change_files(&keys);
        self.tell(Message::Engine(Event::Reverted {
            is_redo,
            result: Ok(report),
        }));
    }

    fn save(&mut self, steps: Vec<SaveStep>) {
        let mut report = SaveReport::default();
        for step in steps {
            let mut inverses = Vec::new();
            for (key, edits) in step.changes {
                if self.read_only.contains(&key) {
                    report.failed.push((key, "disk full".into()));
                    continue;
                }
                let inverse = apply_all(&edits, self.media.get_mut(&key).unwrap());
                inverses.push((key, inverse));
                report.saved.push(key);
            }
            self.done.push((step.action, inverses));
        }
        let keys = report.saved.clone();
        self.change_files(&keys);
        self.tell(Message::Engine(Event::Saved {
            job: JobId::next(),
            report,
        }));
    }

    /// The catalog hears of what the files hold now.
    fn change_files(&mut self, keys: &[MediaKey]) {
        let changes: Vec<Change> = keys
            .iter()
            .map(|key| Change::Upsert(entry(*key, &self.media[key])))
            .collect();
        self.catalog = Arc::new(self.catalog.apply(&changes));
        self.tell(Message::Engine(Event::Catalog {
            catalog: Arc::clone(&self.catalog),
            changed: Some(keys.to_vec()),
        }));
    }

    fn finish_saves(&mut self) {
        self.holds_saves = false;
        for changes in std::mem::take(&mut self.held) {
            self.save(changes);
        }
    }

    /// Types keys, `<…>` for those with a name: `/cat<enter>jt solo<enter><c-s>`.
    fn keys(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let named = (c == '<')
                .then(|| rest.find('>'))
                .flatten()
                .and_then(|end| Some((rest[1..end].parse::<Key>().ok()?, end + 1)));
            let (key, length) = named.unwrap_or((Key::char(c), c.len_utf8()));
            rest = &rest[length..];
            self.tell(Message::Key(key));
        }
        self
    }

    fn tick(&mut self, ms: u64) {
        self.now.elapsed += Duration::from_millis(ms);
        self.tell(Message::Tick(self.now));
    }

    fn results(&self) -> Vec<u32> {
        self.app.gallery.results.iter().map(|key| key.0).collect()
    }

    fn current(&self) -> u32 {
        self.app.gallery.current().unwrap().0
    }

    /// The tags in the file.
    fn saved_tags(&self, key: u32) -> Vec<String> {
        names(&self.media[&MediaKey(key)])
    }

    /// The tags as they are shown.
    fn shown_tags(&self, key: u32) -> Vec<String> {
        names(&self.app.media(MediaKey(key)).unwrap())
    }

    fn notice(&self) -> &str {
        self.app
            .notices
            .current
            .as_ref()
            .map_or("", |notice| notice.text.as_str())
    }

    fn has_quit(&self) -> bool {
        self.asked.contains(&Effect::Screen(ScreenEffect::Quit))
    }
}

fn names(media: &Media) -> Vec<String> {
    media
        .tags
        .iter()
        .map(|tag| tag.name().to_string())
        .collect()
}

#[test]
fn search_move_tag_and_save() {
    let mut desk = Desk::small();
    desk.keys("/cat<enter>");
    assert_eq!(desk.results(), [3, 9]);
    desk.keys("lt solo<enter>");
    assert_eq!(desk.shown_tags(9), ["cat", "blue_hair", "solo"]);
    assert_eq!(desk.saved_tags(9), ["cat", "blue_hair"]);
    assert_eq!(desk.app.unsaved(), 1);
    assert!(desk.app.tile(1).unwrap().marks.unsaved);
    desk.keys("<c-s>");
    assert_eq!(desk.saved_tags(9), ["cat", "blue_hair", "solo"]);
    assert_eq!(desk.app.unsaved(), 0);
    assert!(!desk.app.tile(1).unwrap().marks.unsaved);
    assert_eq!(desk.notice(), "saved 1");
}

#[test]
fn results_follow_while_a_query_is_typed_and_errors_keep_them() {
    let mut desk = Desk::small();
    desk.keys("/fo");
    assert_eq!(
        desk.results(),
        [0, 2, 4, 6, 8],
        "an unfinished word is a prefix"
    );
    desk.keys("x (");
    let mistake = desk.app.query_bar.error.clone().unwrap();
    assert_eq!(desk.results(), [0, 2, 4, 6, 8]);
    assert!(mistake.span.end <= desk.app.query_bar.input.text.len());
    desk.keys("<enter>");
    assert!(desk.app.query_bar.is_editing, "a broken query does not run");
    desk.keys("<esc>");
    assert_eq!(
        desk.results().len(),
        10,
        "Esc goes back to the query before"
    );
    assert_eq!(desk.app.query_bar.error, None);
}

#[test]
fn completion_offers_tags_and_tab_takes_them() {
    let mut desk = Desk::small();
    desk.keys("/-blu");
    let texts: Vec<_> = desk
        .app
        .query_bar
        .completion
        .items
        .iter()
        .map(|item| item.text.as_str())
        .collect();
    assert_eq!(texts, ["blue_hair"]);
    desk.keys("<tab><enter>");
    assert_eq!(desk.app.query_bar.input.text, "-blue_hair ");
    desk.keys("<enter>");
    assert_eq!(desk.results(), [0, 1, 2, 4, 5, 6, 7, 8]);
    desk.keys("/<c-u>rating:");
    assert_eq!(desk.app.query_bar.completion.items.len(), 5);
}

#[test]
fn history_of_queries() {
    let mut desk = Desk::small();
    desk.keys("/fox<enter>/<c-u>cat<enter>/<up><up>");
    assert_eq!(desk.app.query_bar.input.text, "fox");
    desk.keys("<down><enter>");
    assert_eq!(desk.results(), [3, 9]);
}

#[test]
fn an_old_answer_is_dropped() {
    let mut desk = Desk::small();
    let effects = desk.app.update(Message::Action(Action::EditQuery));
    assert!(effects.is_empty());
    let mut searches = Vec::new();
    for c in "fox".chars() {
        searches.extend(
            desk.app
                .update(Message::Key(Key::char(c)))
                .into_iter()
                .filter(|effect| matches!(effect, Effect::Search { .. })),
        );
    }
    assert_eq!(searches.len(), 3);
    for effect in searches {
        desk.answer(effect);
    }
    assert_eq!(desk.results(), [0, 2, 4, 6, 8]);
    assert!(!desk.app.query_bar.is_searching);
}

#[test]
fn a_search_may_ask_for_the_selection_and_for_what_is_not_saved() {
    let mut desk = Desk::small();
    let all = desk.results();
    desk.keys("<space><space>/sel:<enter>");
    assert_eq!(desk.results(), all[..2]);
    desk.keys("/<c-u>-sel:<enter>");
    assert_eq!(desk.results(), all[2..]);
    desk.keys("<esc>/<c-u>is:dirty<enter>");
    assert!(desk.results().is_empty());
    desk.keys("/<c-u><enter>ggt solo<enter>/<c-u>is:dirty<enter>");
    assert_eq!(desk.results(), all[..1]);
}

#[test]
fn a_busy_library_does_not_keep_a_search_from_finishing() {
    let mut desk = Desk::small();
    let change = |desk: &mut Desk| {
        let catalog = Arc::clone(&desk.catalog);
        desk.app.update(Message::Engine(Event::Catalog {
            catalog,
            changed: Some(vec![MediaKey(1)]),
        }))
    };
    let searches = |effects: &[Effect]| {
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Search { .. }))
            .count()
    };
    let first = change(&mut desk);
    assert_eq!(searches(&first), 1);
    assert_eq!(searches(&change(&mut desk)), 0, "one is under way");
    let Some(Effect::Search { query, generation }) = first
        .into_iter()
        .find(|effect| matches!(effect, Effect::Search { .. }))
    else {
        panic!("a search");
    };
    let found = search(&query, &desk.catalog, &NoLookup, 0, &Cancel::default()).unwrap();
    let after = desk
        .app
        .update(Message::Engine(Event::Found { generation, found }));
    assert_eq!(searches(&after), 1, "asked again once it was answered");
}

#[test]
fn counts_and_chords() {
    let mut desk = Desk::small();
    desk.keys("3l");
    assert_eq!(desk.current(), 3);
    desk.keys("G");
    assert_eq!(desk.current(), 9);
    desk.keys("4G");
    assert_eq!(desk.current(), 3);
    desk.keys("gg$");
    assert_eq!(desk.current(), 4);
    desk.keys("0");
    assert_eq!(desk.current(), 0);
    desk.keys("10l");
    assert_eq!(desk.current(), 9, "0 after a digit belongs to the count");
}

#[test]
fn a_waiting_chord_shows_what_may_follow() {
    let mut desk = Desk::small();
    desk.keys("g");
    assert!(desk.app.next_keys().is_empty());
    assert_eq!(desk.app.deadline(), Some(Duration::from_millis(400)));
    desk.tick(400);
    let next = desk.app.next_keys();
    assert!(next.iter().any(|next| next.key == Key::char('g')));
    assert!(next.iter().any(|next| next.help == "to the ingest monitor"));
    desk.keys("<esc>");
    assert!(desk.app.next_keys().is_empty());
    assert_eq!(desk.app.layer(), Layer::Gallery);
}

#[test]
fn a_mark_is_put_on_a_picture_and_found_again() {
    let mut desk = Desk::small();
    desk.keys("2lma").keys("mb").keys("3lmZ").keys("0'a");
    assert_eq!(desk.current(), 2);
    // Each tile says what stands on it.
    let letters = |desk: &Desk, index| desk.app.tile(index).unwrap().letters;
    let shown = [0, 2, 5].map(|index| letters(&desk, index));
    assert_eq!(shown, ["", "ab", "Z"]);
    desk.keys(":delmarks b<enter>");
    assert_eq!(letters(&desk, 2), "a");
    desk.keys("'Z");
    assert_eq!(desk.current(), 5);
    desk.keys("''");
    assert_eq!(desk.current(), 2, "back to where the jump began");
    desk.keys("''");
    assert_eq!(desk.current(), 5, "and there again");

    // What may follow is shown, with what the letters stand on.
    desk.keys("'");
    desk.tick(400);
    let help = |desk: &Desk| -> Vec<(String, String)> {
        let next = desk.app.next_keys();
        let next = next.into_iter();
        next.map(|next| (next.key.to_string(), next.help)).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let back = pair("'", "back to where the last jump began");
    let marks = [pair("Z", "005.png"), pair("a", "002.png")];
    assert_eq!(help(&desk), [&marks[..], &[back]].concat());
    desk.keys("<esc>");
    assert!(desk.app.next_keys().is_empty());
    desk.keys("m");
    desk.tick(800);
    assert_eq!(help(&desk)[1], pair("a", "moves here from 002.png"));
    desk.keys("7");
    assert!(desk.notice().contains("a mark is a letter"));
    assert_eq!(desk.current(), 5, "that was no count");

    // One that is elsewhere is asked for, and the way back leads to the old result.
    desk.keys("/cat<enter>gg'a");
    assert_eq!(desk.app.query_bar.input.text, "mark:a");
    assert_eq!(desk.results(), [2]);
    assert!(desk.notice().contains("was not in that result"));
    desk.keys("''");
    assert_eq!(desk.app.query_bar.input.text, "cat");
    assert_eq!((desk.results(), desk.current()), (vec![3, 9], 3));

    // Also to one that has nothing.
    desk.keys("/<c-u>cat fox<enter>'a''");
    assert_eq!(desk.app.query_bar.input.text, "cat fox");
    desk.keys("''");
    assert_eq!(desk.results(), [2]);
    desk.keys("/<c-u>cat<enter>gg");

    // A mark stands on one picture, and can be taken away.
    desk.keys("lma'Z'a");
    assert_eq!(desk.results(), [9]);
    desk.keys("/<c-u>mark:any<enter>");
    assert_eq!(desk.results(), [5, 9]);
    desk.keys(":delmarks ab<enter>");
    assert_eq!(desk.results(), [5], "what asks for marks follows them");
    desk.keys("'a");
    assert!(desk.notice().contains("mark a is not set"));
    desk.keys("/<c-u>mark:1<enter>");
    let error = desk.app.query_bar.error.as_ref().unwrap();
    assert!(error.message.contains("mark takes a letter"), "{error:?}");
}

#[test]
fn what_the_viewer_shows_for_a_second_was_looked_at() {
    let mut desk = Desk::small();
    let viewed = |desk: &mut Desk| -> Vec<u32> {
        let asked = std::mem::take(&mut desk.asked);
        let viewed = asked.into_iter().filter_map(|effect| match effect {
            Effect::NoteViewed(key) => Some(key.0),
            _ => None,
        });
        viewed.collect()
    };
    desk.tick(5_000);
    assert!(viewed(&mut desk).is_empty(), "the gallery is no look");
    desk.keys("<enter>");
    assert_eq!(desk.app.deadline(), Some(Duration::from_secs(6)));
    desk.tick(900);
    desk.keys("l");
    desk.tick(900);
    assert!(viewed(&mut desk).is_empty(), "leafed past");
    desk.tick(100);
    desk.tick(60_000);
    assert_eq!(viewed(&mut desk), [1], "once");
    desk.app.take_dirty();
    assert_eq!(desk.app.deadline(), None);
    desk.keys("q");
    desk.tick(70_000);
    assert!(viewed(&mut desk).is_empty());
    let config = Config {
        note_viewed: false,
        ..Config::default()
    };
    let mut desk = Desk::with_config(vec![tagged(&["fox"])], config);
    desk.keys("<enter>");
    desk.tick(5_000);
    assert!(viewed(&mut desk).is_empty());
}

#[test]
fn nothing_to_do_means_nothing_to_draw() {
    let mut desk = Desk::small();
    desk.app.take_dirty();
    desk.tick(60_000);
    assert!(!desk.app.take_dirty());
    assert_eq!(desk.app.deadline(), None);
    let viewport = desk.app.viewport;
    desk.tell(Message::Viewport(viewport));
    assert!(!desk.app.take_dirty());
    desk.keys("l");
    assert!(desk.app.take_dirty());
}

#[test]
fn a_selection_is_tagged_as_one_step() {
    let mut desk = Desk::small();
    desk.keys("<space><space>t+cute -fox<enter>");
    assert_eq!(desk.app.unsaved(), 2);
    assert_eq!(desk.shown_tags(0), ["character:holo", "cute"]);
    assert_eq!(desk.shown_tags(1), ["cute"]);
    desk.keys("u");
    assert_eq!(desk.app.unsaved(), 0);
    assert!(desk.notice().starts_with("undone: tag +cute -fox on 2"));
    desk.keys("<c-r><c-s>");
    assert_eq!(desk.saved_tags(1), ["cute"]);
    desk.keys("u<c-s>");
    assert_eq!(
        desk.saved_tags(0),
        ["fox", "character:holo"],
        "back through a save"
    );
    assert_eq!(desk.saved_tags(1), Vec::<String>::new());
}

#[test]
fn the_history_list_takes_steps_back() {
    let mut desk = Desk::small();
    desk.keys("ta<enter>tb<enter>tc<enter>U");
    assert!(matches!(
        desk.app.dialogs[0].kind,
        DialogKind::Choice { cursor: 0, .. }
    ));
    desk.keys("j<enter>");
    assert_eq!(desk.shown_tags(0), ["fox", "character:holo", "a"]);
    desk.keys("Ugg");
    desk.keys("<esc>");
    assert!(desk.app.dialogs.is_empty());
}

#[test]
fn marks_ratings_and_stars() {
    let mut desk = Desk::small();
    desk.keys("fs4rqa");
    let tile = desk.app.tile(0).unwrap();
    assert!(tile.marks.favorite);
    assert_eq!(tile.marks.stars, 4);
    assert_eq!(tile.marks.rating, Some(Rating::Questionable));
    assert_eq!(
        desk.app.media(MediaKey(0)).unwrap().status,
        Some(Status::Archived)
    );
    desk.keys("fr-");
    let tile = desk.app.tile(0).unwrap();
    assert!(!tile.marks.favorite);
    assert_eq!(tile.marks.rating, None);
    desk.keys("l.");
    assert_eq!(desk.notice(), "no rating: nothing to change");
    desk.keys("hs3l.");
    assert_eq!(desk.app.tile(1).unwrap().marks.stars, 3);
}

#[test]
fn to_quit_by_force_is_to_discard() {
    let mut desk = Desk::small();
    desk.keys("f");
    desk.asked.clear();
    desk.keys(":q!<enter>");
    assert_eq!(desk.app.unsaved(), 0);
    let is_told = |effect: &Effect| matches!(effect, Effect::Discard(steps) if steps.len() == 1);
    assert!(desk.asked.iter().any(is_told), "{:?}", desk.asked);
}

#[test]
fn edits_that_are_back_are_counted_by_their_pictures() {
    let mut desk = Desk::small();
    let key = desk.app.gallery.results[0];
    let step = |id: u32, edit| Unsaved {
        id: format!("{id:032x}").parse().unwrap(),
        action: "edit".to_owned(),
        changes: vec![(key, Arc::from([edit]))],
    };
    let steps = vec![
        step(1, Edit::SetFav(true)),
        step(2, Edit::SetStatus(Some(Status::Archived))),
    ];
    desk.tell(Message::Engine(Event::Unsaved(steps)));
    assert_eq!(desk.app.unsaved(), 1);
    let said = &desk.app.notices.current.as_ref().unwrap().text;
    assert!(said.starts_with("unsaved edits of 1 picture are"), "{said}");
}

#[test]
fn yank_and_paste() {
    let mut desk = Desk::small();
    desk.keys("yljp");
    assert_eq!(desk.shown_tags(6), ["fox", "character:holo"]);
    assert_eq!(desk.app.unsaved(), 0, "it has them already");
    desk.keys("gg3lp");
    assert_eq!(
        desk.app.notices.current.as_ref().unwrap().text,
        "paste 2 tags"
    );
    assert_eq!(
        desk.shown_tags(3),
        ["cat", "blue_hair", "fox", "character:holo"]
    );
    desk.keys("uP");
    assert_eq!(desk.shown_tags(3), ["fox", "character:holo"]);
    desk.keys("uTca<tab><enter>");
    assert_eq!(desk.shown_tags(3), ["blue_hair"]);
}

#[test]
fn a_refused_line_says_why_and_stays() {
    let mut desk = Desk::small();
    desk.keys("tstars:99<enter>");
    let prompt = desk.app.dialogs[0].as_prompt().unwrap();
    assert!(prompt.error.is_some());
    assert_eq!(prompt.input.text, "stars:99");
    desk.keys("<bs>");
    assert!(desk.app.dialogs[0].as_prompt().unwrap().error.is_none());
    desk.keys("<esc>");
    assert_eq!(desk.app.layer(), Layer::Gallery);
    assert_eq!(desk.app.unsaved(), 0);
}

#[test]
fn a_failed_save_keeps_the_edit_and_is_asked_about() {
    let mut desk = Desk::small();
    desk.read_only = vec![MediaKey(1)];
    desk.keys("<space><space>ta<enter><c-s>");
    assert_eq!(desk.app.unsaved(), 1);
    assert!(desk.app.tile(1).unwrap().marks.failed);
    assert!(desk.notice().ends_with("disk full"), "{}", desk.notice());
    desk.keys("q");
    assert!(!desk.has_quit());
    assert!(desk.app.dialogs[0].body[1].contains("disk full"));
    desk.keys("s");
    assert!(!desk.has_quit(), "it failed again, so it asks again");
    assert_eq!(desk.app.dialogs.len(), 1);
    desk.read_only.clear();
    desk.keys("s");
    assert!(desk.has_quit());
    assert_eq!(desk.saved_tags(1), ["a"]);
}

#[test]
fn what_a_fault_kept_from_being_saved_is_tried_again() {
    let mut desk = Desk::small();
    desk.read_only = vec![MediaKey(1)];
    desk.keys("<space><space>ta<enter><c-s>");
    assert!(desk.notice().contains("tried again"), "{}", desk.notice());
    // Not yet to be saved, in the same picture or in others.
    desk.keys("tb<enter>");
    desk.tick(5_000);
    let said = desk.app.notices.lines();
    let said = said.iter().filter(|line| line.contains("disk full"));
    assert_eq!(said.count(), 1, "said once");
    assert!(desk.app.tile(1).unwrap().marks.failed);
    desk.read_only.clear();
    desk.tick(9_999);
    assert_eq!(desk.saved_tags(1), [""; 0]);
    desk.tick(1);
    assert_eq!(desk.saved_tags(1), ["a"]);
    assert!(!desk.app.tile(1).unwrap().marks.failed);
    assert_eq!(desk.shown_tags(1), ["a", "b"]);
    assert_eq!(desk.app.unsaved(), 2, "what nobody saved stays unsaved");
}

#[test]
fn what_the_journal_could_not_take_is_given_to_it_again() {
    let mut desk = Desk::small();
    desk.has_journal = false;
    desk.keys("ta<enter>");
    assert!(
        desk.notice().contains("in memory only"),
        "{}",
        desk.notice()
    );
    desk.tick(5_000);
    desk.has_journal = true;
    desk.tick(10_000);
    desk.keys("q");
    assert!(desk.has_quit(), "the journal has them");
    assert!(!desk.saved_tags(0).contains(&"a".to_owned()));
}

#[test]
fn quitting_asks_only_about_unsaved_edits() {
    let mut desk = Desk::small();
    desk.keys("q");
    assert!(desk.has_quit());
    let mut desk = Desk::small();
    desk.keys("ta<enter>q");
    assert!(desk.has_quit(), "the journal has them");
    let mut desk = Desk::small();
    desk.has_journal = false;
    desk.keys("ta<enter>q<esc>");
    assert!(!desk.has_quit());
    desk.keys("qd");
    assert!(desk.has_quit());
    assert_eq!(desk.saved_tags(0), ["fox", "character:holo"]);
    let mut desk = Desk::small();
    desk.keys("ta<enter>ZZ");
    assert!(desk.has_quit());
    assert_eq!(desk.saved_tags(0), ["fox", "character:holo", "a"]);
}

#[test]
fn saving_and_quitting_waits_for_the_save() {
    let mut desk = Desk::small();
    desk.holds_saves = true;
    desk.keys("ta<enter><c-s>tb<enter>:wq<enter>");
    assert!(!desk.has_quit());
    desk.finish_saves();
    assert!(desk.has_quit());
    assert_eq!(desk.saved_tags(0), ["fox", "character:holo", "a", "b"]);
}

#[test]
fn a_lost_terminal_saves_and_leaves() {
    let mut desk = Desk::small();
    desk.keys("ta<enter>");
    desk.tell(Message::Terminate);
    assert!(desk.has_quit());
    assert_eq!(desk.saved_tags(0), ["fox", "character:holo", "a"]);
}

#[test]
fn an_edit_of_another_program_and_ours_are_both_kept() {
    let mut desk = Desk::small();
    desk.keys("tours<enter>");
    desk.media
        .get_mut(&MediaKey(0))
        .unwrap()
        .tags
        .push(Tag::new("", "theirs"));
    desk.change_files(&[MediaKey(0)]);
    assert!(desk.notice().contains("both"));
    assert_eq!(
        desk.shown_tags(0),
        ["fox", "character:holo", "theirs", "ours"]
    );
    desk.keys("<c-s>");
    assert_eq!(
        desk.saved_tags(0),
        ["fox", "character:holo", "theirs", "ours"]
    );
}

#[test]
fn what_goes_to_the_trash_leaves_the_grid() {
    let mut desk = Desk::small();
    desk.keys("lld");
    assert_eq!(desk.results().len(), 9);
    assert_eq!(desk.current(), 3);
    desk.keys("<space><space>d");
    assert_eq!(desk.app.layer(), Layer::Dialog, "several are asked about");
    desk.keys("n");
    assert_eq!(desk.results().len(), 9);
    desk.keys("dy");
    assert_eq!(desk.results(), [0, 1, 5, 6, 7, 8, 9]);
    assert!(desk.app.gallery.selection.is_empty());
}

#[test]
fn the_editor_shows_how_many_have_a_tag() {
    let mut desk = Desk::small();
    desk.keys("<space><space><space>e");
    assert_eq!(desk.app.layer(), Layer::EditorInput);
    let rows: Vec<String> = desk
        .app
        .editor
        .rows
        .iter()
        .map(|row| match row {
            EditorRow::Category { name, count } => format!("{name} {count}"),
            EditorRow::Tag(tag) => format!("{} {}/{}", tag.text, tag.have, tag.of),
        })
        .collect();
    assert_eq!(rows, ["character 1", "holo 1/3", "general 1", "fox 2/3"]);
    desk.keys("<esc>j<enter>");
    assert_eq!(desk.shown_tags(1), ["fox"], "Enter gives it to all");
    desk.keys("x");
    assert_eq!(desk.shown_tags(0), ["character:holo"]);
    assert_eq!(desk.shown_tags(1), Vec::<String>::new());
}

#[test]
fn the_editor_adds_moves_renames_and_recategorizes() {
    let mut desk = Desk::small();
    desk.keys("eblu<tab><enter>");
    assert_eq!(desk.shown_tags(0), ["fox", "character:holo", "blue_hair"]);
    assert!(desk.app.editor.input.is_empty());
    desk.keys("-fox<enter>");
    assert_eq!(desk.shown_tags(0), ["character:holo", "blue_hair"]);
    desk.keys("new tag<c-j>");
    assert_eq!(
        desk.shown_tags(0),
        ["character:holo", "blue_hair", "new_tag"]
    );
    desk.keys("<esc>,pggJ");
    assert_eq!(
        desk.shown_tags(0),
        ["blue_hair", "character:holo", "new_tag"]
    );
    desk.keys("Gr<c-u>char:wolf<enter>");
    assert_eq!(
        desk.shown_tags(0),
        ["blue_hair", "character:holo", "character:wolf"]
    );
    desk.keys("ggcm");
    assert_eq!(
        desk.shown_tags(0),
        ["meta:blue_hair", "character:holo", "character:wolf"]
    );
    desk.keys("gg<space><space>dd");
    assert_eq!(desk.shown_tags(0), ["character:wolf"]);
    desk.keys("6u<c-s>");
    assert_eq!(desk.saved_tags(0), ["fox", "character:holo", "blue_hair"]);
}

#[test]
fn the_editor_finds_and_edits_the_caption() {
    let mut desk = Desk::small();
    desk.media.get_mut(&MediaKey(0)).unwrap().caption = "a\nb".into();
    desk.keys("e<esc>/fo<enter>");
    assert_eq!(desk.app.editor.current().unwrap().text, "fox");
    desk.keys("C");
    assert_eq!(desk.app.dialogs[0].as_prompt().unwrap().input.text, "a⏎b");
    desk.keys("c<enter><c-s>");
    assert_eq!(desk.media[&MediaKey(0)].caption, "a\nbc");
}

#[test]
fn a_caption_that_another_program_wrote_meanwhile_is_not_lost() {
    let mut desk = Desk::small();
    let key = MediaKey(0);
    desk.media.get_mut(&key).unwrap().caption = "a fox".into();
    desk.keys("e<esc>C");
    desk.media.get_mut(&key).unwrap().caption = "a fox, asleep under a tree".into();
    desk.keys("es<enter><c-s>");
    assert_eq!(desk.media[&key].caption, "a fox, asleep under a tree");
    assert_eq!(desk.media[&key].captions[0]["text"], "a foxes");
    desk.keys("u<c-s>");
    assert_eq!(desk.media[&key].caption, "a fox, asleep under a tree");
    assert!(desk.media[&key].captions.is_empty());
}

#[test]
fn the_editor_goes_on_to_the_next_picture() {
    let config = Config {
        editor_flow: true,
        ..Config::default()
    };
    let mut desk = Desk::with_config(vec![tagged(&[]), tagged(&["x"])], config);
    desk.keys("ea<enter><enter>");
    assert_eq!(desk.saved_tags(0), ["a"]);
    assert_eq!(desk.current(), 1);
    assert_eq!(desk.app.panes.focus, Pane::Editor);
    assert_eq!(desk.app.editor.tags().count(), 1);
    let mut desk = Desk::small();
    desk.keys("e<enter>");
    assert_eq!(desk.app.panes.focus, Pane::Gallery);
}

#[test]
fn a_large_selection_is_counted_elsewhere() {
    let mut desk = Desk::new(
        (0..1000)
            .map(|n| tagged(if n % 4 == 0 { &["fox"] } else { &["cat"] }))
            .collect(),
    );
    desk.keys("%e");
    let have = |desk: &Desk, name: &str| {
        desk.app
            .editor
            .tags()
            .find(|row| row.text == name)
            .map(|row| row.have)
    };
    assert_eq!(have(&desk, "fox"), Some(250));
    desk.keys("solo<enter>");
    assert_eq!(have(&desk, "solo"), Some(1000), "pending edits count");
    assert_eq!(desk.app.unsaved(), 1000);
}

#[test]
fn a_tag_is_renamed_in_the_whole_library() {
    let mut desk = Desk::small();
    desk.keys("e<esc>/fox<enter>R");
    assert_eq!(desk.app.command_line.input.text, "rename fox ");
    desk.keys("vulpes<enter>");
    let renamed = Effect::RenameTag {
        from: TagName::new("", "fox"),
        to: TagName::new("", "vulpes"),
        leaves_alias: false,
    };
    assert_eq!(
        desk.asked,
        [renamed],
        "a job, whatever the number of pictures"
    );
}

#[test]
fn the_viewer_shows_what_is_under_the_cursor() {
    let mut desk = Desk::small();
    desk.keys("<enter>l<space>");
    assert_eq!(desk.app.layer(), Layer::Viewer);
    assert_eq!(desk.current(), 2);
    desk.keys("<bs>");
    assert_eq!(desk.current(), 1);
    desk.keys("<right>");
    assert_eq!(desk.current(), 2, "nothing to pan, so it turns the page");
    desk.keys("tx<enter>q");
    assert_eq!(desk.app.panes.focus, Pane::Gallery);
    assert_eq!(desk.app.unsaved(), 1);
}

#[test]
fn sorting_orders_what_the_query_does_not() {
    let mut desk = Desk::small();
    desk.keys("2l,N");
    assert_eq!(desk.results()[0], 9);
    assert_eq!(desk.current(), 2, "the cursor stays on its picture");
    desk.keys("/fox or cat<enter>");
    assert_eq!(desk.results(), [9, 8, 6, 4, 3, 2, 0]);
    desk.keys("/<c-u>fox order:name<enter>");
    assert_eq!(desk.results(), [0, 2, 4, 6, 8]);
}

#[test]
fn jumps_are_repeated() {
    let mut desk = Desk::small();
    desk.keys("]u");
    assert_eq!(desk.current(), 1);
    desk.keys("nn");
    assert_eq!(desk.current(), 7);
    desk.keys("N");
    assert_eq!(desk.current(), 5);
    desk.keys("[unnn");
    assert_eq!(desk.notice(), "no further one");
}

#[test]
fn the_sidebar_counts_and_narrows() {
    let mut desk = Desk::small();
    desk.keys("F");
    let rows: Vec<String> = desk
        .app
        .facets
        .rows
        .iter_from(0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    assert_eq!(rows, ["character:holo 2", "fox 5", "cat 2", "blue_hair 2"]);
    desk.keys("j<enter>");
    assert_eq!(desk.results(), [0, 2, 4, 6, 8]);
    assert_eq!(desk.app.facets.rows.len(), 2);
    desk.keys("gg-");
    assert_eq!(desk.app.query_bar.input.text, "fox -character:holo");
    assert_eq!(desk.results(), [2, 4, 8]);
    desk.keys("F");
    assert_eq!(desk.app.panes.focus, Pane::Gallery);
}

#[test]
fn the_sidebar_goes_back_to_the_tag_that_was_chosen() {
    let mut desk = Desk::small();
    desk.keys("Fjj");
    assert_eq!(desk.app.facets.term().as_deref(), Some("cat"));
    desk.keys("/fox");
    assert_eq!(desk.app.facets.rows.len(), 2, "there is no cat among them");
    desk.keys("<esc><esc>");
    assert_eq!(desk.app.facets.rows.len(), 4);
    assert_eq!(desk.app.facets.term().as_deref(), Some("cat"));
}

#[test]
fn copies_go_to_the_clipboard() {
    let mut desk = Desk::small();
    desk.media.get_mut(&MediaKey(0)).unwrap().urls = vec!["https://example.org/1".into()];
    desk.keys("ccctcugo");
    let copies: Vec<&Effect> = desk.asked.iter().collect();
    let copy = |text: &str| Effect::Screen(ScreenEffect::Copy(text.into()));
    assert_eq!(
        copies,
        [
            &copy("/library/images/000.png"),
            &copy("fox character:holo"),
            &copy("https://example.org/1"),
            &Effect::OpenUrl("https://example.org/1".into()),
        ]
    );
}

#[test]
fn the_monitor_shows_the_cache_and_asks_while_it_is_seen() {
    let mut desk = Desk::small();
    desk.keys("w<tab>C");
    assert_eq!(desk.asked, [Effect::AskCache]);
    let stats = Stats {
        backend: "disk",
        ..Stats::default()
    };
    desk.tell(Message::Engine(Event::Cache(Box::new(stats.clone()))));
    assert!(desk.app.take_dirty());
    desk.tell(Message::Engine(Event::Cache(Box::new(stats))));
    assert!(!desk.app.take_dirty(), "nothing new, nothing drawn");
    let tick = |seconds| {
        Message::Tick(Now {
            elapsed: Duration::from_secs(seconds),
            unix: 0,
        })
    };
    desk.asked.clear();
    desk.tell(tick(1));
    desk.tell(tick(1));
    desk.tell(tick(2));
    assert_eq!(desk.asked, [Effect::AskCache, Effect::AskCache]);
    assert!(desk.app.deadline().is_some());
    desk.keys("cthumb:a*<enter>W:cache warm<enter>C");
    let all = Effect::WarmCache(desk.app.gallery.results.clone());
    let clear = Effect::ClearCache("thumb:a*".to_owned());
    assert_eq!(desk.asked[2..], [clear, all.clone(), all]);
    desk.asked.clear();
    desk.tell(tick(9));
    assert_eq!(desk.asked, [], "nobody sees it");
    desk.keys(":cache<enter>");
    assert_eq!(desk.asked, [Effect::AskCache]);
}

#[test]
fn sources_are_asked_about_the_selected_pictures() {
    let mut desk = Desk::small();
    let first = desk.app.gallery.results[0];
    desk.asked.clear();
    desk.keys(":fetch<enter>:fetch again<enter>:fetch anything<enter>");
    let fetch = |again| Effect::Fetch {
        keys: vec![first],
        again,
    };
    assert_eq!(desk.asked, [fetch(false), fetch(true)]);
}

#[test]
fn the_monitor_steers_the_ingest() {
    let mut desk = Desk::small();
    desk.tell(Message::Engine(Event::Ingest(IngestEvent::State {
        paused: false,
        workers: 2,
        watching: None,
        polling: false,
    })));
    for n in 0..3 {
        desk.tell(Message::Engine(Event::Ingest(IngestEvent::Finished {
            file: n,
            path: format!("/in/{n}.png").into(),
            outcome: IngestOutcome::Failed {
                reason: "no space".into(),
            },
            stage_micros: [0; 6],
        })));
    }
    assert_eq!(
        desk.app.notices.current, None,
        "a busy ingest does not chatter"
    );
    assert_eq!(desk.app.notices.log.len(), 3);
    desk.keys("w<tab>fep+srR");
    assert_eq!(
        desk.asked,
        [
            Effect::PauseIngest(true),
            Effect::SetWorkers(3),
            Effect::Scan,
            Effect::Retry("/in/2.png".into()),
            Effect::Retry("/in/1.png".into()),
            Effect::Retry("/in/0.png".into()),
        ]
    );
    // What was put aside counts as failed, and is not to be found where it was.
    desk.tell(Message::Engine(Event::Ingest(IngestEvent::Finished {
        file: 3,
        path: "/in/3.png".into(),
        outcome: IngestOutcome::Quarantined {
            reason: "is a damaged PNG file".into(),
        },
        stage_micros: [0; 6],
    })));
    for key in ["r", "R"] {
        desk.app.notices.current = None;
        desk.keys(key);
        let said = desk.app.notices.current.as_ref().unwrap();
        assert!(said.text.contains("quarantine/"), "{key}: {}", said.text);
    }
    desk.keys("q");
    assert!(!desk.app.panes.monitor);
}

#[test]
fn what_was_ingested_is_shown_in_the_gallery() {
    let mut desk = Desk::small();
    desk.tell(Message::Engine(Event::Ingest(IngestEvent::Finished {
        file: 1,
        path: "/in/1.png".into(),
        outcome: IngestOutcome::Stored {
            key: MediaKey(7),
            id: "00000007".parse().unwrap(),
        },
        stage_micros: [1; 6],
    })));
    desk.keys("gwo");
    assert_eq!(desk.app.panes.focus, Pane::Gallery);
    assert_eq!(desk.current(), 7);
}

#[test]
fn jobs_are_cancelled_by_the_key_everybody_tries() {
    let mut desk = Desk::small();
    desk.keys("<c-c>");
    assert_eq!(desk.notice(), "q quits");
    let job = JobId::next();
    desk.tell(Message::Progress(vec![Progress::new(job, "verifying")]));
    desk.keys("<c-c>");
    assert_eq!(desk.asked, [Effect::Cancel(job)]);
    desk.keys("/fox<c-c>");
    assert_eq!(desk.app.layer(), Layer::Gallery);
    assert_eq!(desk.results().len(), 10);
}

fn offer(lack: IndexLack) -> Message {
    Message::Engine(Event::IndexOffer(IndexOffer {
        lack,
        indexed: 1_000,
        total: 12_345,
    }))
}

#[test]
fn an_index_that_is_missing_is_offered_once() {
    let mut desk = Desk::small();
    desk.tell(offer(IndexLack::Unusable("it is\x1b[2J newer".into())));
    let dialog = desk.app.dialogs.last().unwrap();
    assert!(dialog.body[0].contains("(it is\u{fffd}[2J newer) and stays as it is"));
    assert!(dialog.body[0].contains("12 345 media"));
    assert!(dialog.body[1].contains("only these 1 000"));
    assert!(
        dialog.body[2].contains("Ctrl-c stops it"),
        "{:?}",
        dialog.body[2]
    );
    desk.keys("n");
    assert!(desk.app.dialogs.is_empty());
    assert_eq!(desk.asked, []);
    desk.keys("jk<esc>");
    assert!(desk.app.dialogs.is_empty(), "not asked again");
    desk.keys(":rebuild<enter>");
    assert_eq!(desk.asked, [Effect::Rebuild]);
    // A whole catalog ends it.
    assert!(desk.app.index_offer.is_some());
    let catalog = Arc::clone(&desk.catalog);
    desk.tell(Message::Engine(Event::Catalog {
        catalog,
        changed: None,
    }));
    assert_eq!(desk.app.index_offer, None);
}

#[test]
fn an_offer_waits_until_nobody_types() {
    let mut desk = Desk::small();
    desk.keys("/b");
    desk.tell(offer(IndexLack::New));
    assert!(desk.app.dialogs.is_empty());
    desk.keys("n<enter>");
    assert_eq!(desk.app.query_bar.input.text, "bn");
    assert_eq!(desk.app.dialogs.len(), 1);
    desk.keys("b");
    assert_eq!(desk.asked, [Effect::Rebuild]);
}

#[test]
fn the_help_runs_what_it_finds() {
    let mut desk = Desk::small();
    desk.keys("?select the whole<enter>");
    assert!(!desk.app.help.is_open);
    assert_eq!(desk.app.gallery.selection.len(), 10);
    desk.keys("?sort -key<enter>");
    desk.keys("<esc>");
    desk.keys("?sort key|<enter>");
    assert_eq!(desk.app.command_line.input.text, "sort ");
}

#[test]
fn commands_do_what_keys_do() {
    let mut desk = Desk::small();
    desk.keys(":search cat<enter>:select all<enter>:tag solo<enter>:stars 5<enter>:w<enter>");
    assert_eq!(desk.saved_tags(3), ["cat", "blue_hair", "solo"]);
    assert_eq!(desk.media[&MediaKey(9)].stars, 5);
    desk.keys(":select none<enter>:untag cat<enter>:e!<enter>");
    assert_eq!(desk.app.unsaved(), 0);
    assert_eq!(desk.shown_tags(3), ["cat", "blue_hair", "solo"]);
    desk.keys(":nonsense<enter>");
    assert!(desk.app.command_line.error.is_some());
    desk.keys("<esc>:set tiles=30<enter>:theme dark<enter>:rebuild<enter>");
    assert_eq!(desk.app.gallery.tile_cells, 30);
    assert_eq!(
        desk.asked,
        [
            Effect::Discard(vec![3]),
            Effect::Screen(ScreenEffect::Theme("dark".into())),
            Effect::Rebuild
        ]
    );
}

#[test]
fn media_that_get_other_keys_keep_their_edits() {
    let mut desk = Desk::small();
    desk.keys("2l<space>ta<enter>");
    let entries = (0..10)
        .map(|n| {
            let old = MediaKey(n);
            Entry {
                key: MediaKey(n + 100),
                ..entry(old, &desk.media[&old])
            }
        })
        .collect();
    desk.catalog = Arc::new(Catalog::from_entries(entries, true));
    desk.media = std::mem::take(&mut desk.media)
        .into_iter()
        .map(|(key, media)| (MediaKey(key.0 + 100), media))
        .collect();
    let catalog = Arc::clone(&desk.catalog);
    desk.tell(Message::Engine(Event::Catalog {
        catalog,
        changed: None,
    }));
    assert_eq!(desk.current(), 103);
    assert!(desk.app.gallery.selection.contains(MediaKey(102)));
    assert_eq!(desk.shown_tags(102), ["fox", "a"]);
    desk.keys("<c-s>");
    assert_eq!(desk.saved_tags(102), ["fox", "a"]);
}

#[test]
fn the_mouse_selects_and_opens() {
    let mut desk = Desk::small();
    let click = |target| Click {
        target,
        is_double: false,
        ctrl: false,
        shift: false,
    };
    desk.tell(Message::Click(click(Target::Tile(4))));
    assert_eq!(desk.current(), 4);
    desk.tell(Message::Click(Click {
        shift: true,
        ..click(Target::Tile(6))
    }));
    assert_eq!(desk.app.gallery.selection.len(), 3);
    desk.tell(Message::Click(Click {
        ctrl: true,
        ..click(Target::Tile(5))
    }));
    assert_eq!(desk.app.gallery.selection.len(), 2);
    desk.tell(Message::Click(Click {
        is_double: true,
        ..click(Target::Tile(9))
    }));
    assert_eq!(desk.app.panes.focus, Pane::Viewer);
    desk.tell(Message::Scroll {
        target: Target::Pane(Pane::Viewer),
        lines: -3,
    });
    assert_eq!(desk.current(), 8);
    desk.keys("q:");
    desk.tell(Message::Click(click(Target::Tile(0))));
    assert_eq!(desk.app.layer(), Layer::Gallery);
}

#[test]
fn pasted_text_is_typed_where_text_is_typed() {
    let mut desk = Desk::small();
    desk.tell(Message::Paste("dd".into()));
    assert_eq!(desk.results().len(), 10, "pasted keys are no commands");
    desk.keys("/");
    desk.tell(Message::Paste("fox\n-holo".into()));
    assert_eq!(desk.app.query_bar.input.text, "fox -holo");
}

#[test]
fn pictures_are_wanted_where_one_looks() {
    let mut desk = Desk::small();
    let wanted = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|effect| match effect {
            Effect::Pictures(wanted) => Some(wanted),
            _ => None,
        })
    };
    let effects = desk.app.update(Message::Key(Key::plain(KeyCode::Enter)));
    let first = wanted(effects).unwrap();
    assert_eq!(first[0].0, MediaKey(0), "the picture before its neighbors");
    let effects = desk.app.update(Message::Key(Key::char('x')));
    assert_eq!(wanted(effects), None, "nothing moved");
}

/// Whatever is typed in whatever order, nothing breaks and nothing is lost: what is
/// shown stays what the steps in force make of the files.
#[test]
fn any_keys_are_survived() {
    let keys: Vec<Key> = ACTIONS
        .iter()
        .flat_map(|info| info.keys)
        .flat_map(|(_, chords)| *chords)
        .flat_map(|chord| chord.split_whitespace())
        .filter_map(|key| key.parse().ok())
        .chain("abcfox12 9:-".chars().map(Key::char))
        .collect();
    let mut desk = Desk::small();
    let mut seed = 7_u64;
    for _ in 0..6000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(seed >> 33).unwrap() % keys.len();
        desk.tell(Message::Key(keys[pick]));
        assert!(desk.app.gallery.cursor <= desk.app.gallery.results.len());
        if seed >> 60 == 0 {
            desk.tick(250);
        }
    }
    desk.tell(Message::Terminate);
    assert_eq!(desk.app.changes.pending_keys().count(), 0);
    assert!(
        desk.app
            .catalog
            .tags()
            .all(|(name, _)| *name != TagName::new("", ""))
    );
}

/// Tells the session what the engine says until something is so; each thing said is
/// waited for, with a limit that only a hanging engine reaches.
async fn until(app: &mut App, runtime: &mut Runtime, is_so: impl Fn(&App) -> bool) {
    while !is_so(app) {
        let message = tokio::time::timeout(Duration::from_mins(1), runtime.next())
            .await
            .expect("the engine says something in time")
            .expect("the engine runs");
        run(app, runtime, message);
    }
}

fn run(app: &mut App, runtime: &mut Runtime, message: Message) {
    for effect in app.update(message) {
        runtime.run(effect);
    }
}

#[test]
fn keys_end_in_files() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        super::support::write_picture(&folder.path().join(format!("{seed}.png")), seed);
    }
    let library = Library::create(folder.path(), LayoutKind::InPlace, "test").unwrap();
    let (events, receiver) = channel();
    let engine = Arc::new(Engine::start(library, EngineSettings::default(), events).unwrap());
    engine
        .rebuild_now(&mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio.block_on(async {
        let mut runtime = Runtime::start(Arc::clone(&engine), receiver, None).unwrap();
        let mut app = App::new(LibraryInfo::default(), Config::default(), Keymap::default());
        engine.start_catalog();
        until(&mut app, &mut runtime, |app| {
            app.gallery.results.len() == 3 && app.jobs.is_empty()
        })
        .await;
        // It would talk over what was wrong with theme and keymap.
        let lines = app.notices.lines();
        assert!(
            !lines.iter().any(|line| line.contains("loading")),
            "what went well is not news: {lines:?}"
        );
        for key in "%F".chars() {
            run(&mut app, &mut runtime, Message::Key(Key::char(key)));
        }
        for key in "gltsolo".chars() {
            run(&mut app, &mut runtime, Message::Key(Key::char(key)));
        }
        run(
            &mut app,
            &mut runtime,
            Message::Key(Key::plain(KeyCode::Enter)),
        );
        assert_eq!(app.unsaved(), 3);
        run(&mut app, &mut runtime, Message::Key(Key::ctrl('s')));
        until(&mut app, &mut runtime, |app| {
            app.unsaved() == 0
                && !app.query_bar.is_searching
                && app.facets.rows.iter_from(0).any(|(_, count)| count == 3)
        })
        .await;
        assert!(
            runtime
                .shutdown(Duration::from_mins(1), &mut Vec::new())
                .await
        );
    });
    let written = super::support::files_below(folder.path())
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter(|path| {
            std::fs::read_to_string(folder.path().join(path))
                .is_ok_and(|text| text.contains("\"solo\""))
        })
        .count();
    assert_eq!(written, 3, "each picture has its tag in its sidecar");
}

#[test]
fn the_tag_database_is_changed_and_asked_on_the_command_line() {
    let mut desk = Desk::small();
    let holo = TagName::new("character", "holo");
    let wolf = TagName::new("", "wolf");
    desk.keys(":imply holo wolf<enter>");
    desk.keys(":alias horo holo<enter>");
    // A tag that pictures have is merged, not made an alias.
    desk.keys(":alias fox holo<enter>");
    desk.keys("/holo<enter>:why<enter>");
    desk.keys("/<c-u>fox<c-b>foxes<enter>");
    let asked = std::mem::take(&mut desk.asked);
    let expected = [
        Effect::ChangeTags {
            action: "character:holo implies wolf".into(),
            edits: vec![TagEdit::Imply {
                from: holo.clone(),
                to: wolf.clone(),
            }],
        },
        Effect::ChangeTags {
            action: "alias horo of character:holo".into(),
            edits: vec![TagEdit::Alias {
                alias: "horo".into(),
                tag: holo.clone(),
            }],
        },
        Effect::Why {
            query: Query::parse("holo", desk.catalog.as_ref()).unwrap(),
            key: MediaKey(0),
        },
        Effect::NameSearch {
            name: "foxes".into(),
            query: Some("fox".into()),
        },
    ];
    assert_eq!(asked, expected);
}

#[test]
fn implications_are_offered_one_by_one_and_never_taken_unasked() {
    let mut desk = Desk::small();
    let suggested = Suggested {
        from: TagName::new("character", "holo"),
        to: TagName::new("", "wolf"),
        confidence: 0.9,
        evidence: Evidence::Together { with: 9, of: 9 },
        count: 9,
        examples: Vec::new(),
    };
    let offer = |skip| {
        Message::Engine(Event::Implication {
            suggested: Some(suggested.clone()),
            left: 1,
            skip,
        })
    };
    desk.tell(offer(0));
    desk.keys("l");
    assert_eq!(desk.asked, [Effect::SuggestImplication { skip: 1 }]);
    desk.asked.clear();
    desk.tell(offer(1));
    desk.keys("<esc>");
    assert_eq!(desk.asked, [], "leaving is no answer");
    desk.tell(offer(1));
    desk.keys("y");
    let is_change = |effect: &Effect| matches!(effect, Effect::ChangeTags { .. });
    assert_eq!(
        desk.asked.iter().filter(|effect| is_change(effect)).count(),
        1
    );
}

#[test]
fn the_tag_database_is_worked_in_as_a_list() {
    let mut desk = Desk::small();
    let holo = TagName::new("character", "holo");
    let wolf = TagName::new("", "wolf");
    let mut tags = TagDb::default();
    let imply = TagEdit::Imply {
        from: holo.clone(),
        to: wolf.clone(),
    };
    tags.apply(&imply).unwrap();
    let show = |desk: &mut Desk, tags: &TagDb| {
        let catalog = desk.catalog.as_ref().clone();
        desk.catalog = Arc::new(catalog.with_tag_database(Arc::new(tags.clone())));
        desk.tell(Message::Engine(Event::Catalog {
            catalog: Arc::clone(&desk.catalog),
            changed: Some(Vec::new()),
        }));
    };
    show(&mut desk, &tags);
    desk.keys(":tagdb<enter>a");
    assert_eq!(desk.app.command_line.input.text, "alias  character:holo");
    desk.keys("horo<enter>");
    let alias = TagEdit::Alias {
        alias: "horo".into(),
        tag: holo.clone(),
    };
    let changed = |effect: &Effect| match effect {
        Effect::ChangeTags { edits, .. } => edits.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(changed(&desk.asked.remove(0)), std::slice::from_ref(&alias));
    // The list is there again, and follows what came of it.
    tags.apply(&alias).unwrap();
    show(&mut desk, &tags);
    let shown = desk.app.dialogs.last().unwrap();
    let DialogKind::Choice { choices, .. } = &shown.kind else {
        panic!("{shown:?}");
    };
    assert_eq!(choices[0].label, "character:holo  = horo  → wolf");
    desk.keys("h");
    assert_eq!(
        changed(&desk.asked.remove(0)),
        [TagEdit::Hide(holo.clone(), true)]
    );
    desk.keys("x<down><enter>");
    let unimply = TagEdit::Unimply {
        from: holo,
        to: wolf,
    };
    assert_eq!(changed(&desk.asked.remove(0)), [unimply]);
    assert_eq!(desk.app.dialogs.len(), 1);
    desk.keys("i<esc>");
    assert_eq!(desk.app.dialogs.len(), 1, "leaving a command leads back");
    desk.keys("<esc>");
    assert!(desk.app.dialogs.is_empty() && desk.asked.is_empty());
}

#[test]
fn a_suggested_rating_is_the_users_when_it_is_taken() {
    let mut desk = Desk::small();
    desk.keys("ira");
    assert_eq!(desk.app.unsaved(), 0, "nothing is suggested yet");
    let asked: Vec<Effect> = std::mem::take(&mut desk.asked);
    assert_eq!(asked, [Effect::Insight(MediaKey(0))]);
    let insight = Insight {
        key: MediaKey(0),
        related: vec![(MediaKey(6), vec![TagName::new("", "fox")])],
        guess: Some(Guess {
            rating: Rating::Sensitive,
            probability: 0.834,
            because: vec![TagName::new("", "fox")],
        }),
        viewed: Some(1_700_000_000),
        duplicates: Some(("G1a2b3c4d".into(), 3)),
    };
    desk.tell(Message::Insight(Box::new(insight)));
    let fact = |desk: &Desk, label: &str| {
        let facts = desk.app.info.facts.iter();
        let found = facts.filter(|fact| fact.label == label);
        found.map(|fact| fact.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        fact(&desk, "rating?"),
        ["sensitive 83 % by fox   ra takes it"]
    );
    assert_eq!(fact(&desk, "like"), ["006.png: fox"]);
    desk.keys("ra");
    assert_eq!(
        desk.app.media(MediaKey(0)).unwrap().rating,
        Some(Rating::Sensitive)
    );
    desk.keys("lra");
    assert_eq!(desk.app.unsaved(), 1, "it was for the other one");
}

#[test]
fn the_viewer_steps_through_frames_and_finds_crops() {
    let mut media: Vec<Media> = vec![tagged(&["moving"]), tagged(&["still"]), Media::default()];
    media[0].metadata.insert("frames".into(), 5.into());
    media[1].related = vec![("crops".into(), vec!["00000002".into()])];
    media[2].kind = MediaKind::Crop;
    let rect = serde_json::json!([1, 2, 30, 40]);
    media[2].derived.insert("crop_rect".into(), rect);
    let mut desk = Desk::new(media);
    desk.keys("<enter>]");
    let size = desk.app.viewport.viewer_picture;
    let frame = |number| Effect::Frame {
        key: MediaKey(0),
        number,
        size,
    };
    desk.keys("[[");
    assert_eq!(desk.app.viewer.frame, 4, "before the first comes the last");
    assert_eq!(desk.asked, [frame(1), frame(4)]);
    desk.keys("lo");
    assert_eq!(desk.app.viewer.frame, 0);
    let areas: Vec<[u32; 4]> = desk.app.viewer.crops.iter().map(|crop| crop.area).collect();
    assert_eq!(areas, [[1, 2, 30, 40]]);
    desk.keys("o");
    assert!(desk.app.viewer.crops.is_empty());
}

#[test]
fn what_is_typed_after_a_large_edit_comes_after_it() {
    let pictures = |n: u32| {
        tagged(if n.is_multiple_of(2) {
            &["fox"]
        } else {
            &["cat"]
        })
    };
    let mut desk = Desk::new((0..3000).map(pictures).collect());
    desk.holds_edits = true;
    desk.keys("%:tag fox<enter>");
    assert_eq!(desk.app.unsaved(), 0, "it is being looked at");
    desk.keys("<esc>:tag solo<enter>u");
    let found = desk.found_edits.remove(0);
    desk.tell(Message::Edits(Box::new(found.clone())));
    let step = &desk.app.changes.steps[..];
    assert_eq!(step.len(), 1, "the second one was undone");
    assert_eq!(
        (step[0].label.as_str(), desk.app.unsaved()),
        ("tag fox on 1500", 1500)
    );
    assert_eq!(desk.shown_tags(1), ["cat", "fox"]);
    desk.tell(Message::Edits(Box::new(found)));
    assert_eq!(desk.app.unsaved(), 1500, "an answer counts once");
    // The end does not wait for anybody.
    desk.keys("%:untag cat<enter>");
    desk.tell(Message::Terminate);
    assert_eq!(desk.shown_tags(1), ["fox"]);
}

#[test]
fn a_query_is_explained_part_by_part() {
    let mut desk = Desk::small();
    desk.keys("/fox -holo<enter>:explain<enter>");
    let Effect::Explain(query) = desk.asked.remove(0) else {
        panic!("asked for something else");
    };
    let cancel = Cancel::default();
    let plan = explain(&query, &desk.catalog, &NoLookup, 0, &cancel, 10).unwrap();
    desk.tell(Message::Plan(query.canonical(), Box::new(plan)));
    let body = &desk.app.dialogs.last().unwrap().body;
    assert_eq!(body[0], "(and (not holo) fox)");
    let found = |part: &str| {
        let line = body.iter().find(|line| line.trim_start().starts_with(part));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|number| number.parse::<u64>().ok())
    };
    assert_eq!(
        [found("fox"), found("together")],
        [Some(5), Some(3)],
        "{body:?}"
    );
}
