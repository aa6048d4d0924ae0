//! What the screen shows, at several sizes, without a terminal: a session is fed
//! with messages and drawn into a buffer.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier},
};
use tagloupe::{
    app::{
        App, LibraryInfo,
        config::Config,
        key::parse_chord,
        keymap::Keymap,
        message::{Effect, Message, Now},
    },
    engine::{
        cache::{
            key::Family,
            stats::{Stats, Tally, Tier},
        },
        event::{
            Event, IndexLack, IndexOffer, IngestEvent, IngestOutcome, Level, PictureSize, Stage,
        },
        fetching::SourceState,
        search::Found,
        suggest::Suggestion,
    },
    model::{
        catalog::Catalog,
        entry::{Entry, FileFacts},
        id::MediaKey,
        media::{Media, Pixels, Rating},
        tag::{Tag, TagName},
    },
    tui::{
        image::Pictures,
        probe::{self, ColorDepth, Environment, Graphics, Replies, Window},
        screen::Screen,
        theme::Theme,
        writer::Report,
    },
};

const NAMES: [&str; 12] = [
    "beach at dusk",
    "fox shrine",
    "night rain over the harbor and its long name.png",
    "img_2201.jpg",
    "日本の庭園.jpg",
    "img_2203.jpg",
    "right\u{202e}left\u{1b}[2J.png",
    "harbor",
    "img_0007.png",
    "img_0008.png",
    "👩‍🚀 in space",
    "img_0010.png",
];

/// A session with its screen, and an engine that is played by hand.
struct Session {
    app: App,
    screen: Screen,
    media: Vec<(Entry, Media)>,
    size: (u16, u16),
    elapsed: Duration,
}

impl Session {
    fn new(size: (u16, u16), graphics: Graphics, variables: &[(&str, &str)], count: u32) -> Self {
        let environment = Environment::new(|name| {
            let known = variables.iter().find(|(variable, _)| *variable == name);
            let default = [("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")];
            let known = known.or_else(|| default.iter().find(|(variable, _)| *variable == name));
            known.map(|(_, value)| (*value).to_owned())
        });
        let capabilities = probe::decide(
            &Replies::default(),
            &environment,
            Window::default(),
            Some(graphics),
        );
        let (theme, warnings) = Theme::load("dark", None, capabilities.colors);
        assert_eq!(warnings, Vec::<String>::new());
        let pictures = Pictures::new(&capabilities, None, &theme, Arc::default(), || {}).unwrap();
        let library = LibraryInfo {
            name: "pictures".to_owned(),
            root: "/home/me/pictures".to_owned(),
            ingest_folder: Some("/home/me/pictures/ingest".to_owned()),
            folder: PathBuf::from("/home/me/pictures"),
        };
        let mut session = Self {
            app: App::new(library, Config::default(), Keymap::default()),
            screen: Screen::new(theme, pictures, capabilities.is_utf8),
            media: (0..count).map(medium).collect(),
            size,
            elapsed: Duration::ZERO,
        };
        session.draw();
        session
    }

    /// One with a library of `count` media, loaded.
    fn loaded(size: (u16, u16), graphics: Graphics, count: u32) -> Self {
        let mut session = Self::new(size, graphics, &[], count);
        session.load();
        session
    }

    fn load(&mut self) {
        self.take_catalog(true);
    }

    /// All there are, as if there were more that the index lacks.
    fn load_part(&mut self) {
        self.take_catalog(false);
    }

    fn take_catalog(&mut self, is_complete: bool) {
        let entries = self.media.iter().map(|(entry, _)| entry.clone()).collect();
        self.send(Message::Engine(Event::Catalog {
            catalog: Arc::new(Catalog::from_entries(entries, is_complete)),
            changed: None,
        }));
        self.draw();
    }

    fn send(&mut self, message: Message) {
        let now = Now {
            elapsed: self.elapsed,
            unix: 1_700_000_000,
        };
        let mut effects = self.app.update(Message::Tick(now));
        effects.extend(self.app.update(message));
        for effect in effects {
            self.answer(effect);
        }
    }

    /// Plays the engine.
    fn answer(&mut self, effect: Effect) {
        match effect {
            Effect::Search { query, generation } => {
                let nothing = query.to_string().contains("nothing");
                let keys = self.media.iter().map(|(entry, _)| entry.key);
                let found = Found {
                    generation,
                    keys: keys.filter(|_| !nothing).collect(),
                    elapsed: Duration::from_micros(412),
                    terms: Vec::new(),
                    hint: nothing.then(|| "no tag nothing; did you mean northing?".to_owned()),
                };
                self.send(Message::Engine(Event::Found { generation, found }));
            }
            Effect::LoadMedia(key) => {
                let media = self.media.iter().find(|(entry, _)| entry.key == key);
                if let Some((_, media)) = media.cloned() {
                    let outcome = Ok(Box::new(media));
                    self.send(Message::Engine(Event::Media { key, outcome }));
                }
            }
            Effect::Suggest {
                prefix, generation, ..
            } => {
                let suggestions = [("long_hair", 30_112), ("long_sleeves", 8874)]
                    .map(|(tag, count)| Suggestion {
                        name: TagName::new("general", tag),
                        count,
                        via: None,
                        matched: (0..prefix.len()).collect(),
                    })
                    .to_vec();
                self.send(Message::Engine(Event::Suggestions {
                    generation,
                    suggestions,
                }));
            }
            _ => {}
        }
    }

    fn keys(&mut self, chord: &str) {
        for key in parse_chord(chord).unwrap() {
            self.send(Message::Key(key));
            self.draw();
        }
    }

    fn draw(&mut self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let viewport = self.screen.viewport(&self.app, buffer.area);
        if viewport != self.app.viewport {
            self.send(Message::Viewport(viewport));
        }
        self.screen.draw(&self.app, &mut buffer, Report::default());
        buffer
    }

    /// The screen as text, without the blanks at the ends of lines.
    fn text(&mut self) -> String {
        let buffer = self.draw();
        let mut text = String::new();
        for y in buffer.area.top()..buffer.area.bottom() {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                if skip == 0 {
                    line.push_str(symbol);
                    skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                } else {
                    skip -= 1;
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn medium(number: u32) -> (Entry, Media) {
    let name = NAMES[number as usize % NAMES.len()];
    let tag = |category, value| Tag::new(category, value);
    let mut tags = vec![tag("artist", "sample_artist"), tag("general", "1girl")];
    if number.is_multiple_of(2) {
        tags.push(tag("character", "holo"));
        tags.push(tag("general", "blue_hair"));
    }
    let mut media = Media {
        name: name.to_owned(),
        caption: "A wolf girl stands in a field of wheat.".to_owned(),
        tags,
        stars: if number % 5 == 1 { 4 } else { 0 },
        fav: number % 4 == 2,
        rating: (number % 6 == 3).then_some(Rating::Explicit),
        ..Media::default()
    };
    media.metadata.insert("width".to_owned(), 1920.into());
    media.metadata.insert("height".to_owned(), 1080.into());
    let facts = FileFacts {
        path: format!("images/{number:04}.png"),
        bytes: 1_234_567,
        modified: 1_600_000_000,
        has_sidecar: true,
        is_missing: false,
    };
    let id = format!("{number:032x}").parse().unwrap();
    (Entry::new(MediaKey(number), id, &facts, &media), media)
}

fn ingest(session: &mut Session) {
    let mut event = |event| session.send(Message::Engine(Event::Ingest(event)));
    event(IngestEvent::State {
        paused: false,
        workers: 2,
        watching: Some(PathBuf::from("/home/me/pictures/ingest")),
        polling: false,
    });
    event(IngestEvent::Queue { waiting: 1204 });
    let of = format!("{:032x}", 1).parse().unwrap();
    let outcomes = [
        (
            "IMG_2210.jpg",
            IngestOutcome::Failed {
                reason: "cannot read it: permission denied".to_owned(),
            },
        ),
        (
            "fox.png",
            IngestOutcome::Duplicate {
                key: MediaKey(1),
                of,
                of_name: "fox shrine".to_owned(),
                merged_tags: 2,
            },
        ),
    ];
    for (file, (name, outcome)) in (0..).zip(outcomes) {
        let path = PathBuf::from(format!("/home/me/pictures/ingest/{name}"));
        event(IngestEvent::Started {
            file,
            path: path.clone(),
        });
        event(IngestEvent::Finished {
            file,
            path,
            outcome,
            stage_micros: [1200, 300, 45_000, 8000, 900, 12_000],
        });
    }
    event(IngestEvent::Started {
        file: 9,
        path: PathBuf::from("/home/me/pictures/ingest/a_file_with_a_long_name_from_somewhere.png"),
    });
    event(IngestEvent::Stage {
        file: 9,
        stage: Stage::Hashes,
    });
}

#[test]
fn gallery() {
    for size in [(140, 45), (80, 24), (40, 12), (20, 5)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        session.keys("l Space j");
        let name = format!("gallery_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

/// Of the hints that do not fit, the one that tells all others is not the first to go.
#[test]
fn the_way_to_help_is_shown_on_narrow_screens() {
    for width in [40, 50, 60, 80, 140] {
        let mut session = Session::loaded((width, 20), Graphics::Halfblocks, 40);
        let text = session.text();
        let line = text.lines().last().unwrap();
        assert!(line.contains("Space select"), "{width}: {line}");
        assert!(line.contains("? help"), "{width}: {line}");
    }
}

#[test]
fn gallery_without_pictures_is_a_list() {
    for size in [(120, 16), (50, 12)] {
        let mut session = Session::loaded(size, Graphics::None, 40);
        session.keys("j Space");
        let name = format!("list_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

/// One picture that was found and not read yet: nobody knows its sides.
fn only_found(size: (u16, u16), graphics: Graphics) -> Session {
    let mut session = Session::new(size, graphics, &[], 1);
    let (_, mut media) = session.media.remove(0);
    media.metadata.clear();
    let facts = FileFacts {
        path: "images/0000.png".to_owned(),
        bytes: 1_234_567,
        modified: 1_600_000_000,
        has_sidecar: false,
        is_missing: false,
    };
    let id = format!("{:032x}", 0).parse().unwrap();
    let entry = Entry::new(MediaKey(0), id, &facts, &media);
    session.media.push((entry, media));
    session.load();
    session
}

#[test]
fn a_size_that_is_not_known_is_not_shown() {
    let mut session = only_found((120, 16), Graphics::None);
    let text = session.text();
    assert!(text.contains("1.2 MB") && !text.contains("0x0"), "{text}");
}

#[test]
fn a_picture_of_unknown_size_is_shown_larger_than_its_thumbnail() {
    let mut session = only_found((140, 45), Graphics::Halfblocks);
    session.keys("Enter");
    for (size, width, height) in [
        (PictureSize::Thumbnail, 40, 30),
        (PictureSize::Preview, 800, 600),
    ] {
        let pixels = Pixels {
            width,
            height,
            rgba: [200, 30, 30, 255].repeat((width * height) as usize),
        };
        session.send(Message::Engine(Event::Picture {
            key: MediaKey(0),
            size,
            outcome: Ok(Arc::new(pixels)),
        }));
        session.draw();
    }
    let red = Color::Rgb(200, 30, 30);
    let cells = session.draw().content.into_iter();
    let cells = cells.filter(|cell| cell.bg == red || cell.fg == red);
    assert!(cells.count() > 1000);
    assert!(!session.text().contains("0 x 0"));
}

/// A bar in reverse has the color of its frame as ink, unless the theme's own is kept.
#[test]
fn the_cursor_of_another_pane_is_readable_in_sixteen_colors() {
    let mut session = Session::loaded((140, 45), Graphics::Halfblocks, 4);
    session.screen.theme = Theme::load("ansi16", None, ColorDepth::Ansi16).0;
    session.keys("e");
    let buffer = session.draw();
    let caption: Vec<_> = buffer
        .content
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED) && cell.symbol() != " ")
        .collect();
    assert!(!caption.is_empty());
    for cell in caption {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{cell:?}");
    }
}

#[test]
fn gallery_in_ascii() {
    let mut session = Session::new((80, 24), Graphics::None, &[("LANG", "C")], 12);
    session.load();
    session.keys("j Space e");
    insta::assert_snapshot!("ascii_80x24", session.text());
}

#[test]
fn all_panes_at_once() {
    let mut session = Session::loaded((140, 45), Graphics::Halfblocks, 40);
    ingest(&mut session);
    session.keys("Space Space i w e");
    insta::assert_snapshot!("all_panes_140x45", session.text());
}

#[test]
fn editor() {
    for size in [(140, 30), (60, 24)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        session.keys("e l o n");
        let name = format!("editor_completion_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
        session.keys("Enter Esc");
        let name = format!("editor_list_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

#[test]
fn monitor() {
    for size in [(140, 40), (70, 20)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        ingest(&mut session);
        session.keys("w g w");
        let name = format!("monitor_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
        session.keys("j Enter");
        let name = format!("monitor_details_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

#[test]
fn monitor_with_sources() {
    let source = |name: &str, asked, trouble: Option<&str>| SourceState {
        name: name.to_owned(),
        asked,
        known: asked / 3,
        kept: asked / 10,
        trouble: trouble.map(str::to_owned),
    };
    let away = "e621: http://127.0.0.1:7101/posts.json: 503 Service Unavailable \
                {\"message\":\"画像 down for maintenance until the day after tomorrow\"}";
    for size in [(140, 40), (70, 20)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        ingest(&mut session);
        session.send(Message::Engine(Event::Sources(vec![
            source("danbooru", 12_345, None),
            source("e621", 100, Some(away)),
            source("mine", 0, None),
        ])));
        session.keys("w g w");
        let name = format!("monitor_sources_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

#[test]
fn cache() {
    let tier = |name, entries, bytes, limit_bytes| Tier {
        name,
        state: Ok(()),
        entries,
        bytes,
        limit_bytes,
        evicted: 0,
    };
    let tally = Tally {
        hits: 8_600,
        misses: 1_400,
        sets: 1_390,
        deletes: 2,
        ..Tally::default()
    };
    let lost = Tier {
        state: Err("it does not answer in time".to_owned()),
        ..tier("redis", 0, 0, 0)
    };
    let stats = Stats {
        backend: "disk",
        reason: "Redis at redis://***@nas:6379/0".to_owned(),
        tiers: vec![
            tier("memory", 812, 61_000_000, 64_000_000),
            tier("disk", 20_411, 612_000_000, 1_000_000_000),
            lost,
        ],
        tally,
        families: vec![
            (Family::Thumb, tally),
            (Family::Search, Tally { errors: 3, ..tally }),
        ],
        everyone: tally,
        db_size: 20_411,
        lost: 1,
    };
    for size in [(140, 40), (70, 20)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        session.send(Message::Engine(Event::Cache(Box::new(stats.clone()))));
        session.keys("w g w C");
        let name = format!("cache_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

#[test]
fn viewer() {
    let mut session = Session::loaded((100, 20), Graphics::Halfblocks, 40);
    session.keys("j l Enter");
    insta::assert_snapshot!("viewer_100x20", session.text());
    let reason = "cannot decode images/0006.png: unexpected end of file".to_owned();
    for size in [
        PictureSize::Thumbnail,
        PictureSize::Preview,
        PictureSize::Full,
    ] {
        let key = session.app.gallery.current().unwrap();
        session.send(Message::Engine(Event::Picture {
            key,
            size,
            outcome: Err(reason.clone()),
        }));
    }
    insta::assert_snapshot!("viewer_broken_100x20", session.text());
    session.keys("q");
    insta::assert_snapshot!("gallery_broken_100x20", session.text());
}

#[test]
fn query_bar() {
    let mut session = Session::loaded((100, 20), Graphics::Halfblocks, 40);
    session.keys("/ l o n");
    insta::assert_snapshot!("query_completion_100x20", session.text());
    session.keys("Ctrl-u ( f o x");
    insta::assert_snapshot!("query_mistake_100x20", session.text());
    session.keys("Ctrl-u n o t h i n g Enter");
    insta::assert_snapshot!("query_nothing_100x20", session.text());
}

#[test]
fn command_line_and_prompt() {
    let mut session = Session::loaded((100, 20), Graphics::Halfblocks, 40);
    session.keys(": s o");
    insta::assert_snapshot!("command_100x20", session.text());
    session.keys("Esc t l o n");
    insta::assert_snapshot!("tag_prompt_100x20", session.text());
}

#[test]
fn help_and_which_key() {
    for size in [(120, 30), (50, 14)] {
        let mut session = Session::loaded(size, Graphics::Halfblocks, 40);
        session.keys("g");
        session.elapsed += Duration::from_secs(1);
        let now = Now {
            elapsed: session.elapsed,
            unix: 0,
        };
        session.app.update(Message::Tick(now));
        let name = format!("which_key_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
        session.keys("Esc ? s e l");
        let name = format!("help_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, session.text());
    }
}

#[test]
fn dialog_and_notice() {
    let mut session = Session::loaded((80, 24), Graphics::Halfblocks, 40);
    session
        .app
        .say(Level::Error, "cannot save: No space left on device");
    insta::assert_snapshot!("notice_80x24", session.text());
    session.keys("f q");
    insta::assert_snapshot!("quit_dialog_80x24", session.text());
}

#[test]
fn an_index_is_offered() {
    let mut session = Session::loaded((100, 20), Graphics::Halfblocks, 40);
    session.load_part();
    session.send(Message::Engine(Event::IndexOffer(IndexOffer {
        lack: IndexLack::New,
        indexed: 40,
        total: 12_345,
    })));
    insta::assert_snapshot!("index_offer_100x20", session.text());
    session.keys("n");
    insta::assert_snapshot!("index_declined_100x20", session.text());
}

#[test]
fn nothing_to_show() {
    let mut session = Session::new((80, 20), Graphics::Halfblocks, &[], 0);
    insta::assert_snapshot!("opening_80x20", session.text());
    session.load();
    insta::assert_snapshot!("empty_80x20", session.text());
    for key in ["Enter", "e", "t", "T", "f", "a", "d", "S"] {
        session.app.notices.current = None;
        session.keys(key);
        let text = session.text();
        assert!(text.contains("there is no picture here"), "{key}: {text}");
    }
}

/// Whatever is open, no size of the terminal may bring the program down.
#[test]
fn no_size_is_a_problem() {
    let sizes = [
        (1, 1),
        (2, 1),
        (1, 40),
        (3, 2),
        (7, 3),
        (20, 5),
        (39, 11),
        (40, 12),
        (99, 9),
        (100, 3),
        (120, 4),
        (400, 120),
        (1000, 500),
    ];
    for graphics in Graphics::ALL {
        for size in sizes {
            for keys in [
                "j",
                "Space i w e l o n",
                "F Tab",
                "w g w Enter",
                "Enter",
                "/ ( f",
                ": s",
                "?",
                "f q",
            ] {
                let mut session = Session::loaded((80, 24), graphics, 40);
                ingest(&mut session);
                session.keys(keys);
                session.size = size;
                session.draw();
                session.keys("j");
                session.size = (80, 24);
                session.draw();
            }
        }
    }
}

/// No character that steers a terminal may reach a cell, whatever is drawn.
#[test]
fn hostile_names_are_harmless() {
    for graphics in [Graphics::Halfblocks, Graphics::None] {
        for keys in ["j", "e", "i", "Enter", "G k h Enter i"] {
            let mut session = Session::loaded((140, 45), graphics, 12);
            session.keys(keys);
            let buffer = session.draw();
            for cell in &buffer.content {
                let symbol = cell.symbol();
                assert_eq!(
                    tagloupe::model::text::display_text(symbol),
                    symbol,
                    "{keys}: {symbol:?}"
                );
            }
        }
    }
}

/// The place of a picture is the same before and after it has come.
#[test]
fn nothing_jumps_when_a_picture_arrives() {
    let mut session = Session::loaded((100, 30), Graphics::Halfblocks, 40);
    let before = session.text();
    let key = session.app.gallery.results[3];
    session.send(Message::Engine(Event::Picture {
        key,
        size: PictureSize::Thumbnail,
        outcome: Ok(Arc::new(Pixels {
            width: 192,
            height: 108,
            rgba: [200, 30, 30, 255].repeat(192 * 108),
        })),
    }));
    assert_eq!(
        session.text().replace('▀', " ").lines().count(),
        before.lines().count()
    );
    let strip = |text: &str| -> Vec<String> {
        text.replace('▀', " ")
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    assert_eq!(strip(&session.text()), strip(&before));
}
