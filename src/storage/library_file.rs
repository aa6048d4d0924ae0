//! `library.json`: what makes a folder a library, and what it says about itself.
//! Keys that are not ours stay; opening a library never writes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    error::Error,
    files::{self, Writes},
    layout::{HIDDEN_HOME, LIBRARY_FILE, Layout, LayoutKind},
};
use crate::model::id::Md5;

/// Larger ones are no library of anybody; Image Tagger keeps its list of images here.
const MAX_BYTES: usize = 256 << 20;
/// What a library of ours tells git: what can be made again, and how sidecars merge.
const GIT_FILES: [(&str, &[u8]); 2] = [
    (
        ".gitignore",
        b"library*.db*\nstate.db*\ncache/\nlocks/\njournal/\n.tagloupe-*.tmp\n",
    ),
    (".gitattributes", b"images/**/*.json merge=tagloupe\n"),
];
/// The caption profile of folders whose `.txt` files are tag lists.
const TAGS_PROFILE: &str = "{tags}";

/// What `library.json` says that storage has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub name: String,
    pub id: String,
    pub kind: LayoutKind,
    /// The `.txt` beside a picture is its tag list, not its caption.
    pub txt_is_tags: bool,
    /// Keys of ours that another program left out of a sidecar are given back.
    pub gives_back: bool,
    /// Where an in-place library files what is ingested: `{year}/{month}/`.
    pub ingest_folder: String,
}

/// The `library.json` of a folder that is a library: one with a key of ours, or any
/// that lies beside an `images` folder.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    [
        root.join(HIDDEN_HOME).join(LIBRARY_FILE),
        root.join(LIBRARY_FILE),
    ]
    .into_iter()
    .find(|path| {
        read(path).is_ok_and(|object| {
            ["library_name", "layout", "images"]
                .iter()
                .any(|key| object.contains_key(*key))
                || root.join("images").is_dir()
                || path.with_file_name("images").is_dir()
        })
    })
}

pub(super) fn identify(root: &Path) -> Result<Identity, Error> {
    let path = find(root).ok_or_else(|| Error::library(root, "is not a library"))?;
    let object = read(&path)?;
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let is_hidden = path
        .parent()
        .is_some_and(|home| home.ends_with(HIDDEN_HOME));
    let kind = if is_hidden {
        LayoutKind::InPlace
    } else {
        text("layout")
            .and_then(LayoutKind::from_word)
            .filter(|kind| *kind != LayoutKind::InPlace)
            .unwrap_or_else(|| detect(root))
    };
    let folder_name = || {
        let name = root.file_name().unwrap_or(root.as_os_str());
        name.to_string_lossy().into_owned()
    };
    Ok(Identity {
        name: text("library_name")
            .or_else(|| text("name"))
            .filter(|name| !name.is_empty())
            .map_or_else(folder_name, str::to_owned),
        id: text("id")
            .filter(|id| is_safe_id(id))
            .map_or_else(|| path_id(root), str::to_owned),
        kind,
        txt_is_tags: active_template(&object) == Some(TAGS_PROFILE),
        gives_back: text("adopt_external") != Some("theirs"),
        ingest_folder: text("ingest_folder").unwrap_or("{year}/{month}").to_owned(),
    })
}

/// Whether there is nothing in a folder, or only what a [`create`] wrote that came
/// to an untimely end.
pub(super) fn is_unused(root: &Path) -> Result<bool, Error> {
    let list = |folder: &Path| fs::read_dir(folder).map_err(Error::file("list", folder));
    for entry in list(root)? {
        let entry = entry.map_err(Error::file("list", root))?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let text = GIT_FILES.iter().find(|(file, _)| *file == name);
        let is_ours = match (name.as_ref(), text) {
            ("images" | "ingest" | "projects", _) => path.is_dir() && list(&path)?.next().is_none(),
            (_, Some((_, text))) => {
                matches!(files::read(&path, text.len())?, Some((bytes, _)) if bytes == *text)
            }
            (name, None) => files::is_leftover(name),
        };
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the files of a new library.
pub(super) fn create(layout: &Layout, name: &str, txt_is_tags: bool) -> Result<(), Error> {
    let (active, profiles) = if txt_is_tags {
        ("tags", json!([{"name": "tags", "template": TAGS_PROFILE}]))
    } else {
        ("", json!([]))
    };
    let object = json!({
        "library_name": name,
        "id": uuid::Uuid::new_v4().to_string(),
        "schema": 1,
        "layout": layout.kind().as_str(),
        "images": [],
        "projects": {},
        "similar_images": {},
        "metadata": {},
        "filters": {},
        "active_caption_profile": active,
        "caption_profiles": profiles,
        "hash_params": {
            "phash": "dct 8x8", "dhash": "gradient 16x16", "ahash": "mean 8x8", "whash": "haar 8x8",
        },
    });
    let mut writes = Writes::default();
    let mut text = format!("{object:#}");
    text.push('\n');
    let home = layout.home();
    files::make_folder(&home)?;
    if layout.kind() == LayoutKind::InPlace {
        writes.replace(&home.join(".gitignore"), b"*\n!.gitignore\n!library.json\n")?;
        // A folder that git does not know gets no file it has no use for, and one
        // with rules of its own keeps them.
        let (root, attributes) = (layout.root(), layout.root().join(".gitattributes"));
        if fs::symlink_metadata(root.join(".git")).is_ok()
            && fs::symlink_metadata(&attributes).is_err()
        {
            writes.replace(&attributes, b"*.json merge=tagloupe\n")?;
        }
    } else {
        for folder in [layout.images(), layout.ingest(), layout.projects()] {
            files::make_folder(&folder)?;
        }
        for (name, text) in GIT_FILES {
            writes.replace(&home.join(name), text)?;
        }
    }
    // A folder with this file is a library, so all else is durable before it.
    writes.finish()?;
    let mut writes = Writes::default();
    writes.replace(&layout.library_file(), text.as_bytes())?;
    writes.finish()
}

fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let Some((bytes, _)) = files::read(path, MAX_BYTES)? else {
        return Err(Error::library(path, "does not exist"));
    };
    serde_json::from_slice(&bytes).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })
}

/// The whole object, to change it, with the md5 of the bytes it was read from.
pub(super) fn read_for_change(path: &Path) -> Result<(Map<String, Value>, Md5), Error> {
    let Some((bytes, _)) = files::read(path, MAX_BYTES)? else {
        return Err(Error::library(path, "does not exist"));
    };
    let object = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    Ok((object, files::md5_of(&bytes)))
}

/// The template of the active caption profile.
fn active_template(object: &Map<String, Value>) -> Option<&str> {
    let active = object.get("active_caption_profile")?.as_str()?;
    let profiles = object.get("caption_profiles")?.as_array()?;
    let is_active = |profile: &&Value| profile.get("name").and_then(Value::as_str) == Some(active);
    profiles.iter().find(is_active)?.get("template")?.as_str()
}

/// An id becomes the name of a cache folder.
fn is_safe_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn path_id(root: &Path) -> String {
    let path = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    format!(
        "path-{}",
        files::md5_of(path.as_os_str().as_encoded_bytes())
    )
}

/// The layout of a library that does not say: folders of two hexadecimal digits
/// are buckets.
fn detect(root: &Path) -> LayoutKind {
    let entries = fs::read_dir(root.join("images")).into_iter().flatten();
    let mut has_files = false;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_bucket =
            name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && is_bucket => return LayoutKind::Bucketed,
            Ok(kind) => has_files |= kind.is_file(),
            Err(_) => {}
        }
    }
    if has_files {
        LayoutKind::Flat
    } else {
        LayoutKind::Bucketed
    }
}

/// The name of this computer, for `rev.host`.
pub(super) fn host_name() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
