//! The targets; each is a test of its own.

use std::{
    fs::{self, File},
    io::{Cursor, Write as _},
    ops::ControlFlow,
    path::Path,
    time::Duration,
};

use bolero::{TypeGenerator, check};
use image::{DynamicImage, ImageFormat, RgbImage};
use tagloupe::{
    engine::{
        companion,
        decode::{self, Limits, MemoryGate},
    },
    model::{
        query::{Query, Vocabulary},
        sidecar::Sidecar,
    },
    storage::{LayoutKind, Library, Which},
    tui::reader::parse::Parser,
};

/// Inputs of each target in an ordinary run.
const INPUTS: usize = 2_000;
/// Those of targets that go through files.
const INPUTS_ON_DISK: usize = 300;

/// A valid text with some of its bytes changed, left out or said twice.
#[derive(Clone, Debug, TypeGenerator)]
struct Damage {
    sample: u8,
    cuts: Vec<(u16, Change)>,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Change {
    Set(u8),
    Remove(u8),
    Repeat(u8),
    End,
}

impl Damage {
    fn of(&self, samples: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let sample = samples[usize::from(self.sample) % samples.len()].as_ref();
        let mut bytes = sample.to_vec();
        for (at, change) in self.cuts.iter().take(8) {
            if bytes.is_empty() {
                break;
            }
            let at = usize::from(*at) % bytes.len();
            let end = |n: &u8| (at + usize::from(*n)).min(bytes.len());
            match change {
                Change::Set(byte) => bytes[at] = *byte,
                Change::Remove(n) => {
                    bytes.drain(at..end(n));
                }
                Change::Repeat(n) => {
                    let again = bytes[at..end(n)].to_vec();
                    bytes.splice(at..at, again);
                }
                Change::End => bytes.truncate(at),
            }
        }
        bytes
    }
}

fn write(path: &Path, bytes: &[u8]) {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .unwrap();
}

const SIDECARS: [&str; 3] = [
    include_str!("../fixtures/sidecar/everything.json"),
    include_str!("../fixtures/sidecar/image-tagger.json"),
    include_str!("../fixtures/sidecar/oldest.json"),
];

/// What can be read can be written, and then says the same.
fn sidecar_is_sound(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(sidecar) = Sidecar::parse(text) {
        let written = sidecar.render();
        let again = Sidecar::parse(&written).unwrap_or_else(|error| {
            panic!("{error}\nread    {text}\nwritten {written}");
        });
        assert_eq!(again.media, sidecar.media, "read {text}\nwritten {written}");
    }
}

#[test]
fn sidecar() {
    check!().with_iterations(INPUTS).for_each(sidecar_is_sound);
}

#[test]
fn damaged_sidecar() {
    check!()
        .with_iterations(INPUTS)
        .with_type::<Damage>()
        .for_each(|damage| sidecar_is_sound(&damage.of(&SIDECARS)));
}

struct Categories;

impl Vocabulary for Categories {
    fn is_category(&self, name: &str) -> bool {
        ["artist", "character", "general"].contains(&name)
    }
}

const QUERIES: [&str; 6] = [
    "1girl -solo (blue_hair or red_hair) order:score limit:20",
    "rating:s,q id:1..50 -(a ~b) \"two words\" fav:me*",
    "system:width > 500\nsystem:has tags",
    "age:<1mo date:2024-01-01..2024-06-30 filesize:>=2MB ratio:16:9",
    "~a ~b -~c ((d)) -(-(e or -f)) artist:g* *h*",
    "md5:d41d8cd98f00b204e9800998ecf8427e caption:\"a \\\"b\\\" c\" order:-mpixels",
];

/// A query prints what reads back as itself, and an error points into the text.
fn query_is_sound(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Query::parse_typing(&text, &Categories);
    match Query::parse(&text, &Categories) {
        Ok(query) => {
            let _ = query.canonical();
        }
        Err(error) => {
            assert!(
                text.get(error.span.clone()).is_some(),
                "{error:?} in {text:?}"
            );
            assert!(!error.message.is_empty());
        }
    }
}

#[test]
fn query() {
    check!().with_iterations(INPUTS).for_each(query_is_sound);
}

#[test]
fn damaged_query() {
    check!()
        .with_iterations(INPUTS)
        .with_type::<Damage>()
        .for_each(|damage| query_is_sound(&damage.of(&QUERIES)));
}

#[test]
fn damaged_companion() {
    const NAMES: [&str; 4] = ["a.png.json", "a.json", "a.txt", "a.png.txt"];
    let samples = [
        SIDECARS[0],
        SIDECARS[1],
        r#"{"category": "danbooru", "id": 5, "tag_string": "a b", "rating": "g", "file_url": "https://x.example/a.png", "source": "", "tags": ["a"]}"#,
        "1girl, solo, blue hair\nhttps://x.example/post/1",
    ];
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    write(&picture, b"");
    check!()
        .with_iterations(INPUTS_ON_DISK)
        .with_type::<(u8, Damage)>()
        .for_each(|(name, damage)| {
            let path = folder.path().join(NAMES[usize::from(*name) % NAMES.len()]);
            write(&path, &damage.of(&samples));
            let found = companion::gather(&picture, "2026-01-01T00:00:00Z");
            assert!(found.files.len() + found.warnings.len() <= NAMES.len());
            fs::remove_file(path).unwrap();
        });
}

#[test]
fn damaged_picture() {
    let picture = DynamicImage::from(RgbImage::from_fn(24, 16, |x, y| {
        let [.., low] = ((x * 9) ^ (y * 13)).to_be_bytes();
        image::Rgb([low, low / 2, 255 - low])
    }));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let samples = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    let limits = Limits {
        max_decoded_bytes: 1 << 20,
        max_side: 4_096,
        deadline: Duration::from_secs(4),
    };
    let memory = MemoryGate::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    check!()
        .with_iterations(INPUTS_ON_DISK)
        .with_type::<Damage>()
        .for_each(|damage| {
            write(&path, &damage.of(&samples));
            let decoded = decode::decode(&path, &limits, &memory);
            if let Ok(decoded) = &decoded {
                assert!(u64::from(decoded.facts.width) * u64::from(decoded.facts.height) > 0);
            } else if let Err(error) = &decoded {
                let told = error.to_string();
                assert!(told.contains("a.png"), "{told}");
            }
            drop(decoded);
            assert_eq!(memory.in_use(), 0);
        });
}

/// What a terminal, or whoever sits at it, may say.
const SAID: [&[u8]; 6] = [
    b"\x1b[?62;4;22c\x1b[>1;4000;21c\x1b[0n",
    b"\x1bP>|kitty(0.41.1)\x1b\\\x1b_Gi=31;OK\x1b\\",
    b"\x1b[4;720;1280t\x1b[6;18;9t\x1b[8;40;142t\x1b[?2026;2$y",
    b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\\x1b]4;1;rgb:ff/00/00\x07",
    b"jjk\x1b[A\x1b[1;5C\x1bOP\x1b[<64;10;5M\xe3\x81\x82\x1bx",
    b"\x1b[200~two words\n\x1b[201~q\x1b[200~\x1b[31mred\x1b[201~",
];

/// However a terminal cuts what it says, it says the same; and a key that follows is
/// heard.
#[test]
fn terminal_replies() {
    let hear = |parser: &mut Parser, bytes: &[u8]| {
        let mut said = Vec::new();
        parser.feed(bytes, &mut |one| said.push(one));
        said
    };
    check!()
        .with_iterations(INPUTS)
        .with_type::<(u16, Damage)>()
        .for_each(|(cut, damage)| {
            let bytes = damage.of(&SAID);
            let whole = hear(&mut Parser::default(), &bytes);
            let mut parser = Parser::default();
            let (first, second) = bytes.split_at(usize::from(*cut) % (bytes.len() + 1));
            let mut said = hear(&mut parser, first);
            said.extend(hear(&mut parser, second));
            assert_eq!(said, whole);
            // The end of a paste and of an answer, if one was open; then silence.
            hear(&mut parser, b"\x1b[201~\x1b\\");
            while parser.is_waiting() {
                parser.rest(&mut |_| {});
            }
            assert_eq!(hear(&mut parser, b"q").len(), 1);
        });
}

/// Whatever stands in a journal: history, recovery and undo end, and what they leave
/// is sound.
#[test]
fn damaged_journal() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("library");
    let library = Library::create(&root, LayoutKind::InPlace, "Test").unwrap();
    for name in ["a.png", "b.png"] {
        write(&root.join(name), name.as_bytes());
    }
    let go_on = &mut |_| ControlFlow::Continue(());
    library.rebuild(go_on).unwrap();
    let samples = [journal(), journal().replace("\"done\"", "\"part\"")];
    let journals = library.layout().journal();
    drop(library);
    fs::create_dir_all(&journals).unwrap();
    check!()
        .with_iterations(INPUTS_ON_DISK / 3)
        .with_type::<(bool, Damage)>()
        .for_each(|(is_open, damage)| {
            let end = if *is_open { "open" } else { "jsonl" };
            let path = journals.join(format!("elsewhere-1-a.{end}"));
            write(&path, &damage.of(&samples));
            let library = Library::open(&root).unwrap();
            // What it says is refused or done; an I/O error has no place here.
            library.recover(0).unwrap();
            library.history(10).unwrap();
            library.take_pending().unwrap();
            let _ = library.undo(Which::Newest, 0, &mut |_, _| ControlFlow::Continue(()));
            for name in ["a.png", "b.png"] {
                let is_there = root.join(name).exists() || !library.trashed().unwrap().is_empty();
                assert!(is_there, "{name} is gone");
            }
            drop(library);
            for path in fs::read_dir(&journals).unwrap() {
                fs::remove_file(path.unwrap().path()).unwrap();
            }
        });
}

fn journal() -> String {
    let id = "01a1feb0b66573159c19b85440000001";
    [
        format!(r#"{{"op":"{id}","state":"begin","at":"2026-01-01T00:00:00Z","host":"elsewhere","user":"me","action":"tag"}}"#),
        format!(r#"{{"op":"{id}","state":"part","kind":"edit","items":[{{"id":"a","path":"a.png","patch":{{"tags":{{"changes":[{{"key":"general fox","after":{{"category":"general","value":"fox"}}}}]}}}}}}]}}"#),
        format!(r#"{{"op":"{id}","state":"part","kind":"move","items":[{{"id":"b","path":"b.png","files":[["b.png",".tagloupe/deleted/b.png"]],"note":[".tagloupe/deleted/b.png.del.json","{{}}"]}}]}}"#),
        format!(r#"{{"op":"{id}","state":"done"}}"#),
    ]
    .join("\n")
        + "\n"
}
