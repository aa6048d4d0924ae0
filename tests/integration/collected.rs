//! Files collected from the tests of other projects, and made to break programs: a
//! folder with a `manifest.jsonl` that says of each whether it has to be opened
//! (`accept`), to be turned away (`reject`) or whether both are fine (`either`).
//!
//! `TAGLOUPE_HOSTILE` names the folder; without it the collector that lies beside
//! the project makes what can be made without a network.

use std::{
    collections::HashSet,
    env,
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    hostile::{assert_harmless, limited, settle},
    support::{Home, files_below, write_picture, write_text},
};

/// One line of the manifest.
struct Row {
    path: PathBuf,
    group: String,
    format: String,
    expect: String,
    text: String,
}

/// The plain files of a collection; `None` where there is no collection.
fn collected(scratch: &Path) -> Option<(PathBuf, Vec<Row>)> {
    let folder = env::var_os("TAGLOUPE_HOSTILE").map_or_else(
        || {
            let collector = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/hostile/collect");
            let made = Command::new(collector)
                .arg(scratch)
                .arg("--offline")
                .output();
            made.is_ok_and(|made| made.status.success())
                .then(|| scratch.to_owned())
        },
        |folder| Some(folder.into()),
    );
    let Some(folder) = folder else {
        println!("no collected files: not tried");
        return None;
    };
    let manifest = fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let rows = manifest.lines().filter_map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let path = folder.join(decoded(&word("path")));
        (word("kind") == "file" && path.is_file()).then(|| Row {
            path,
            group: word("group"),
            format: word("format"),
            expect: word("expect"),
            text: line.to_owned(),
        })
    });
    let rows = rows.collect();
    Some((folder, rows))
}

/// A path of a manifest, in which some bytes are written as `%` and two digits.
fn decoded(path: &str) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|code| str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

/// Copies a folder as it is: links, pipes, sockets and holes stay what they are.
fn copy_tree(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always", "--"])
        .args([from, to])
        .status();
    assert!(copied.unwrap().success(), "{}", from.display());
}

/// What became of the one file of an ingest: kept and shown, or a reason why not.
#[derive(Debug)]
enum Fate {
    Shown,
    /// Kept, with the reason why it is not shown.
    Unshown(String),
    TurnedAway(String),
}

/// Reads the fate of one file that nobody had; anything but exactly one is an error.
fn fate(told: &Value) -> Result<Fate, String> {
    let reasons = |key: &str| -> Vec<String> {
        let list = told[key].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(|failure| Some(failure["reason"].as_str()?.to_owned()))
            .collect()
    };
    let mut fates: Vec<Fate> = reasons("kept_unshown")
        .into_iter()
        .map(Fate::Unshown)
        .collect();
    for key in ["quarantined", "refused", "failed"] {
        fates.extend(reasons(key).into_iter().map(Fate::TurnedAway));
    }
    // Those that are kept and not shown are stored as well.
    let unshown = reasons("kept_unshown").len();
    for _ in unshown..usize::try_from(told["stored"].as_u64().unwrap_or(0)).unwrap() {
        fates.push(Fate::Shown);
    }
    match fates.pop() {
        Some(fate) if fates.is_empty() => Ok(fate),
        _ => Err(format!("not one end: {told}")),
    }
}

#[test]
#[ignore = "thousands of files, one process each; TAGLOUPE_HOSTILE names their folder"]
fn collected_pictures_are_shown_or_refused_as_they_should() {
    const OTHERS: [&str; 4] = ["special", "sidecars", "indexes", "answers"];
    let home = Home::new();
    home.init();
    let Some((_, rows)) = collected(&home.path().join("collected")) else {
        return;
    };
    let (mut shown, mut unshown, mut away, mut wrong) = (0, 0, 0, Vec::new());
    let mut seen = HashSet::new();
    for row in rows.iter().filter(|row| !OTHERS.contains(&&*row.group)) {
        let bytes = fs::read(&row.path).unwrap();
        if !seen.insert(md5::compute(&bytes).0) {
            continue;
        }
        let run = limited(
            &home,
            &["ingest".as_ref(), "--json".as_ref(), row.path.as_os_str()],
        );
        assert_harmless(&run);
        let fate = match run.code {
            Some(0 | 2) => fate(&run.json()),
            code => Err(format!("ended with {code:?}: {}", run.stderr)),
        };
        match &fate {
            Ok(Fate::Shown) => shown += 1,
            Ok(Fate::Unshown(_)) => unshown += 1,
            Ok(Fate::TurnedAway(_)) => away += 1,
            Err(_) => {}
        }
        let is_right = match (&*row.expect, &fate) {
            (_, Err(_)) => false,
            (_, Ok(Fate::Unshown(reason) | Fate::TurnedAway(reason))) if reason.is_empty() => false,
            // Textures of games are no pictures to this program.
            ("accept", Ok(Fate::TurnedAway(reason))) if row.format == "dds" => {
                reason.contains("neither picture nor video")
            }
            ("accept", Ok(fate)) => matches!(fate, Fate::Shown),
            ("reject", Ok(fate)) => !matches!(fate, Fate::Shown),
            (_, Ok(_)) => true,
        };
        let is_untouched = fs::read(&row.path).unwrap() == bytes;
        if !is_right || !is_untouched {
            wrong.push(format!("{}: {fate:?}", row.text));
        }
    }
    println!(
        "{} collected pictures: {shown} shown, {unshown} kept and not shown, {away} turned away, {} wrong",
        seen.len(),
        wrong.len()
    );
    assert!(!seen.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
    home.on_library(&["verify"]).expect(0);
}

#[test]
#[ignore = "needs collected sidecars; TAGLOUPE_HOSTILE names their folder"]
fn collected_sidecars_are_read_or_named_and_keep_what_they_say() {
    let home = Home::new();
    let Some((folder, rows)) = collected(&home.path().join("collected")) else {
        return;
    };
    let library = home.library();
    copy_tree(&folder.join("sidecars"), &library);
    assert_harmless(&home.run(&["init", "--in-place", "library"]).expect(0));
    let rebuilt = limited(&home, &["rebuild"]);
    assert_harmless(&rebuilt);
    assert!(matches!(rebuilt.code, Some(0 | 2)), "{}", rebuilt.stderr);
    let tagged = limited(&home, &["tag", "", "+seen"]);
    assert_harmless(&tagged);
    assert!(matches!(tagged.code, Some(0 | 2)), "{}", tagged.stderr);

    let (mut tried, mut wrong) = (0, Vec::new());
    for row in rows.iter().filter(|row| row.group == "sidecars") {
        if row
            .path
            .extension()
            .is_none_or(|extension| extension != "json")
        {
            continue;
        }
        tried += 1;
        let name = row.path.strip_prefix(folder.join("sidecars")).unwrap();
        let before = fs::read(&row.path).unwrap();
        let after = fs::read(library.join(name)).unwrap();
        let is_named = rebuilt.stderr.contains(name.to_str().unwrap());
        let is_right = match &*row.expect {
            // An empty file says nothing that could be lost.
            "reject" => (is_named && after == before) || before.is_empty(),
            "accept" => !is_named && keeps_all(&before, &after),
            _ => after == before || keeps_all(&before, &after),
        };
        if !is_right {
            wrong.push(format!("{} named: {is_named}", row.text));
        }
    }
    println!("{tried} collected sidecars, {} wrong", wrong.len());
    assert!(tried > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether an edit that added the tag `seen` left everything else of a sidecar.
fn keeps_all(before: &[u8], after: &[u8]) -> bool {
    let (Ok(before), Ok(Value::Object(after))) = (
        serde_json::from_slice::<Value>(before.strip_prefix(b"\xef\xbb\xbf").unwrap_or(before)),
        serde_json::from_slice::<Value>(after),
    ) else {
        return false;
    };
    let holds = |(key, value): (&String, &Value)| {
        if key != "tags" {
            return after.get(key) == Some(value);
        }
        // A tag without a value is none.
        let values = |tags: &Value| -> HashSet<String> {
            let tags = tags.as_array().into_iter().flatten();
            tags.filter_map(|tag| Some(tag["value"].as_str()?.trim().to_lowercase()))
                .filter(|value| !value.is_empty())
                .collect()
        };
        let now = values(&after["tags"]);
        now.contains("seen") && values(value).is_subset(&now)
    };
    before
        .as_object()
        .is_some_and(|before| before.iter().all(holds))
}

#[test]
#[ignore = "needs collected indexes; TAGLOUPE_HOSTILE names their folder"]
fn collected_indexes_cost_time_and_nothing_else() {
    let home = Home::new();
    let Some((_, rows)) = collected(&home.path().join("collected")) else {
        return;
    };
    let library = home.library();
    write_picture(&library.join("fox.png"), 1);
    write_text(
        &library.join("fox.json"),
        r#"{"tags": [{"category": "general", "value": "kept"}]}"#,
    );
    settle(&library);
    home.run(&["init", "--in-place", "library"]).expect(0);
    let sidecar = fs::read(library.join("fox.json")).unwrap();
    let (mut tried, mut wrong) = (0, Vec::new());
    for row in rows.iter().filter(|row| row.group == "indexes") {
        tried += 1;
        for file in files_below(&library.join(".tagloupe")) {
            if file.to_string_lossy().starts_with("library.") && !file.ends_with("library.json") {
                fs::remove_file(library.join(".tagloupe").join(file)).unwrap();
            }
        }
        fs::copy(&row.path, library.join(".tagloupe/library.db")).unwrap();
        for arguments in [vec!["search", "--count", "kept"], vec!["doctor"]] {
            let run = limited(&home, &arguments);
            assert_harmless(&run);
            if !matches!(run.code, Some(0..=2)) {
                wrong.push(format!("{}: {arguments:?}: {}", row.text, run.stderr));
            }
        }
        let rebuilt = limited(&home, &["rebuild"]);
        assert_harmless(&rebuilt);
        let found = limited(&home, &["search", "--count", "kept"]);
        if found.text().trim() != "1" || fs::read(library.join("fox.json")).unwrap() != sidecar {
            wrong.push(format!("{}: {}{}", row.text, rebuilt.stderr, found.stderr));
        }
    }
    println!("{tried} collected indexes, {} wrong", wrong.len());
    assert!(tried > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs a collected folder of links, pipes and holes; TAGLOUPE_HOSTILE names it"]
fn collected_links_pipes_and_holes_lead_nowhere() {
    let home = Home::new();
    let Some((folder, _)) = collected(&home.path().join("collected")) else {
        return;
    };
    copy_tree(&folder.join("special/library"), &home.library());
    for arguments in [
        vec!["init", "--in-place", "library"],
        vec!["rebuild"],
        vec!["search", "--json"],
        vec!["verify"],
        vec!["doctor"],
    ] {
        let run = if arguments[0] == "init" {
            home.run(&arguments)
        } else {
            limited(&home, &arguments)
        };
        assert_harmless(&run);
        assert!(
            matches!(run.code, Some(0..=2)),
            "{arguments:?}: {:?} {}",
            run.code,
            run.stderr
        );
    }
    let found = home.on_library(&["search", "--json"]).expect(0).text();
    assert!(found.contains("hard-link"), "{found}");
    for name in [
        "link-outside",
        "link-absolute",
        "link-zero",
        "pipe",
        "socket",
        "link-up",
    ] {
        assert!(!found.contains(name), "{name} in {found}");
    }
}
