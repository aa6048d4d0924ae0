//! Inputs that break programs: the real program takes them in under a limit of
//! memory, and each is filed, put away or refused with its reason; nothing of them
//! steers a terminal.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Cursor,
    os::unix::{ffi::OsStringExt as _, fs::symlink},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use image::ImageFormat;

use super::support::{Home, Run, picture, program, write_bytes, write_picture, write_text};

/// Kilobytes of address space: a fraction of what the bombs below ask for.
const MEMORY: &str = "3000000";
/// A hang ends with code 124 after this many seconds.
const PATIENCE: &str = "120";

/// Runs the program on the library of a home, under limits.
pub(super) fn limited<S: AsRef<OsStr>>(home: &Home, arguments: &[S]) -> Run {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -v \"$0\" && exec timeout \"$@\"",
            MEMORY,
            PATIENCE,
        ])
        .arg(program())
        .arg("--library")
        .arg(home.library())
        .args(arguments);
    for name in Home::FOREIGN {
        command.env_remove(name);
    }
    let output = command
        .envs(home.environment())
        .env("LANG", "C.UTF-8")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Files do not look as if they were still being written.
pub(super) fn settle(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let past = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50);
            let file = File::options().append(true).open(entry.path()).unwrap();
            file.set_modified(past).unwrap();
        }
    }
}

/// Nothing that a terminal would act on.
#[track_caller]
pub(super) fn assert_harmless(run: &Run) {
    for text in [run.text(), run.stderr.clone()] {
        let steers = |c: char| {
            (c.is_control() && c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        let found: Vec<char> = text.chars().filter(|c| steers(*c)).collect();
        assert!(found.is_empty(), "{found:?} in {text:?}");
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture(7, width, height)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

/// A PNG that says it has this size, in an image header whose checksum is right.
fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(ImageFormat::Png, 4, 4);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The checksum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    };
    !bytes.iter().fold(!0, step)
}

/// A GIF of that many frames of one pixel.
fn gif_of_frames(frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff".to_vec();
    for _ in 0..frames {
        bytes.extend(b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00");
    }
    bytes.push(b';');
    bytes
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let half = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let padded = |head: &[u8]| [head, &[0; 500]].concat();
    let mut jpeg = encoded(ImageFormat::Jpeg, 32, 32);
    let size = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .expect("a baseline JPEG has a frame header");
    jpeg[size + 5..size + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let mut webp = encoded(ImageFormat::WebP, 32, 32);
    webp[4..8].copy_from_slice(&[0xff; 4]);
    let mut no_end = encoded(ImageFormat::Bmp, 8, 8);
    no_end[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    vec![
        ("bomb.png", png_of_size(60_000, 60_000)),
        ("wide.png", png_of_size(u32::MAX, 1)),
        ("nothing.png", png_of_size(0, 0)),
        ("half.png", half(encoded(ImageFormat::Png, 64, 64))),
        ("half.jpg", half(encoded(ImageFormat::Jpeg, 64, 64))),
        ("half.gif", half(encoded(ImageFormat::Gif, 64, 64))),
        ("half.webp", half(encoded(ImageFormat::WebP, 64, 64))),
        ("huge.jpg", jpeg),
        ("lying.webp", webp),
        ("endless.bmp", no_end),
        ("frames.gif", gif_of_frames(200_000)),
        // The only directory follows itself.
        ("loop.tiff", b"II*\0\x08\0\0\0\0\0\x08\0\0\0".to_vec()),
        ("empty.png", Vec::new()),
        ("text.png", b"this is no picture at all\n".to_vec()),
        ("header.png", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("zeros.jpg", vec![0; 100_000]),
        // Formats that are known by their first bytes and not shown.
        ("layers.psd", padded(b"8BPS\0\x01")),
        ("waves.jp2", padded(b"\0\0\0\x0cjP  \r\n\x87\n")),
        ("light.exr", padded(b"\x76\x2f\x31\x01\x02\0\0\0")),
    ]
}

#[test]
fn broken_pictures_are_put_away_with_their_reason() {
    let home = Home::new();
    home.init();
    let folder = home.path().join("source");
    for (name, bytes) in files() {
        write_bytes(&folder.join(name), &bytes);
    }
    write_picture(&folder.join("good.png"), 1);
    symlink("/etc/passwd", folder.join("link.png")).unwrap();
    let pipe = Command::new("mkfifo").arg(folder.join("pipe.png")).status();
    assert!(pipe.unwrap().success());
    fs::create_dir(folder.join("folder.png")).unwrap();
    settle(&folder);

    let run = limited(&home, &["ingest", "--json", "source"]);
    assert_harmless(&run);
    assert!(
        matches!(run.code, Some(0 | 2)),
        "{:?}: {}",
        run.code,
        run.stderr
    );
    let told = run.json();
    let text = run.text();
    let (named, quiet): (Vec<_>, Vec<_>) = files()
        .into_iter()
        .partition(|(name, _)| text.contains(name));
    // What is not named came in like any other picture.
    let unshown = told["kept_unshown"].as_array().unwrap().len();
    assert_eq!(told["stored"], quiet.len() + 1 + unshown, "{text}");
    assert!(named.len() > 10, "{text}");
    for (name, _) in named.iter().chain(&quiet) {
        assert!(
            folder.join(name).exists(),
            "the source of a copy stays: {name}"
        );
    }
    let found = home
        .on_library(&["search", "--json", "name:good"])
        .expect(0);
    assert!(found.text().contains("good"), "{}", found.text());
    let found = home.on_library(&["search", "--json"]).expect(0).text();
    assert!(
        !found.contains("passwd") && !found.contains("link.png"),
        "{found}"
    );
    home.on_library(&["verify"]).expect(0);
}

#[test]
fn hostile_names_come_in_and_steer_no_terminal() {
    let home = Home::new();
    home.init();
    let folder = home.path().join("source");
    let long = format!("{}.png", "x".repeat(251));
    let names: Vec<OsString> = [
        b"two\nlines.png".as_slice(),
        b"\x1b[31mred\x1b]0;title\x07.png",
        b"\xff\xfe not text.png",
        long.as_bytes(),
        "\u{202e}gnp.exe.png".as_bytes(),
        b"CON.png",
        b"-rf.png",
        b"trailing .png",
        b"a\r\x08b.png",
        "\u{9b}31m.png".as_bytes(),
        b"%2e%2e%2fup.png",
        b"*?[a].png",
    ]
    .map(|name| OsString::from_vec(name.to_vec()))
    .to_vec();
    for (seed, name) in names.iter().enumerate() {
        let temporary = folder.join("temporary.png");
        write_picture(&temporary, u32::try_from(seed).unwrap() + 10);
        fs::rename(temporary, folder.join(name)).unwrap();
    }
    settle(&folder);
    let run = limited(&home, &["ingest", "source"]).expect(0);
    assert_harmless(&run);
    for arguments in [
        vec!["search", "--count"],
        vec!["search"],
        vec!["search", "--json"],
        vec!["history"],
        vec!["verify"],
        vec!["dups"],
    ] {
        let run = home.on_library(&arguments);
        assert!(
            matches!(run.code, Some(0 | 1)),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_harmless(&run);
    }
    let count = home.on_library(&["search", "--count"]).expect(0);
    assert_eq!(count.text().trim(), names.len().to_string());
}

#[test]
fn hostile_sidecars_are_named_and_stay_as_they_are() {
    let home = Home::new();
    let library = home.path().join("library");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "truncated",
            br#"{"tags": [{"category": "general", "val"#.to_vec(),
        ),
        ("deep", format!(r#"{{"tags": {deep}}}"#).into_bytes()),
        (
            "types",
            br#"{"tags": 5, "caption": [], "rating": {}, "hashes": "x", "stars": "many"}"#.to_vec(),
        ),
        (
            "bytes",
            b"{\"tags\": [], \"caption\": \"\xff\xfe\"}".to_vec(),
        ),
        (
            "surrogate",
            br#"{"tags": [], "caption": "\ud800"}"#.to_vec(),
        ),
        ("number", br#"{"tags": [], "stars": 1e999999}"#.to_vec()),
        (
            "twice",
            br#"{"tags": [], "tags": [{"category": "general", "value": "a"}]}"#.to_vec(),
        ),
        ("empty", Vec::new()),
        (
            "escape",
            b"{\"tags\": [{\"category\": \"general\", \"value\": \"\\u001b[2J\\u202e\"}]}".to_vec(),
        ),
        (
            "up",
            br#"{"tags": [], "related": {"masks": ["../../../etc/passwd"]}, "md5": "../x"}"#
                .to_vec(),
        ),
    ];
    for (seed, (name, bytes)) in cases.iter().enumerate() {
        write_picture(
            &library.join(format!("{name}.png")),
            u32::try_from(seed).unwrap(),
        );
        write_bytes(&library.join(format!("{name}.json")), bytes);
    }
    write_text(&library.join("good.txt"), "a fox");
    write_picture(&library.join("good.png"), 99);
    let run = home.run(&["init", "--in-place", "library"]);
    assert_harmless(&run);
    let run = limited(&home, &["rebuild"]);
    assert!(matches!(run.code, Some(0 | 2)), "{}", run.stderr);
    assert_harmless(&run);
    assert!(run.stderr.contains("truncated.json"), "{}", run.stderr);
    for arguments in [vec!["search"], vec!["search", "--json"], vec!["verify"]] {
        let run = limited(&home, &arguments);
        assert!(
            matches!(run.code, Some(0 | 1)),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_harmless(&run);
    }
    // An edit of everything changes what can be read and leaves the rest alone.
    let run = limited(&home, &["tag", "", "+seen"]);
    assert_harmless(&run);
    for name in ["truncated", "deep", "bytes", "empty"] {
        let (_, before) = cases.iter().find(|(case, _)| case == &name).unwrap();
        let now = fs::read(library.join(format!("{name}.json"))).unwrap();
        let kept = now == *before || before.is_empty();
        assert!(kept, "{name}: {}", String::from_utf8_lossy(&now));
    }
    let tagged = home.on_library(&["search", "--count", "seen"]).expect(0);
    let count: usize = tagged.text().trim().parse().unwrap();
    assert!(count >= 3, "{count}");
}
