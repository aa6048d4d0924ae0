//! Where everything lives below a library folder, and how a path becomes text.
//!
//! Invariant: [`Layout::resolve`] never gives a path outside the library, whatever
//! a sidecar, a project or an index row says.

use std::path::{Component, Path, PathBuf};

use super::path_text::{decode, encode};

/// How a library keeps its originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutKind {
    /// `images/ab/cd/<md5>.<ext>`, ours by default.
    Bucketed,
    /// All files straight in `images/`, as Image Tagger makes it.
    Flat,
    /// Any folder of pictures; everything of ours but sidecars is in `.tagloupe/`.
    InPlace,
}

impl LayoutKind {
    /// The word in `library.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucketed => "bucketed",
            Self::Flat => "flat",
            Self::InPlace => "in-place",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Bucketed, Self::Flat, Self::InPlace]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// The folder of ours inside an in-place library.
pub(super) const HIDDEN_HOME: &str = ".tagloupe";
/// The file that makes a folder a library.
pub(super) const LIBRARY_FILE: &str = "library.json";

/// The folders of one library.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    kind: LayoutKind,
}

impl Layout {
    pub(super) fn new(root: PathBuf, kind: LayoutKind) -> Self {
        Self { root, kind }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn kind(&self) -> LayoutKind {
        self.kind
    }

    /// The folder that holds what is ours besides originals and sidecars.
    pub fn home(&self) -> PathBuf {
        match self.kind {
            LayoutKind::InPlace => self.root.join(HIDDEN_HOME),
            LayoutKind::Bucketed | LayoutKind::Flat => self.root.clone(),
        }
    }

    /// The folder below which originals lie.
    pub fn images(&self) -> PathBuf {
        match self.kind {
            LayoutKind::InPlace => self.root.clone(),
            LayoutKind::Bucketed | LayoutKind::Flat => self.root.join("images"),
        }
    }

    pub fn library_file(&self) -> PathBuf {
        self.home().join(LIBRARY_FILE)
    }

    pub fn ingest(&self) -> PathBuf {
        self.home().join("ingest")
    }

    pub fn quarantine(&self) -> PathBuf {
        self.home().join("quarantine")
    }

    pub fn deleted(&self) -> PathBuf {
        self.home().join("deleted")
    }

    /// The md5s of what was thrown away for good.
    pub fn tombstones(&self) -> PathBuf {
        self.home().join("tombstones.jsonl")
    }

    /// Aliases, implications, categories.
    pub fn tag_database(&self) -> PathBuf {
        self.home().join("tagdb.jsonl")
    }

    pub fn projects(&self) -> PathBuf {
        self.home().join("projects")
    }

    pub fn journal(&self) -> PathBuf {
        self.home().join("journal")
    }

    pub fn locks(&self) -> PathBuf {
        self.home().join("locks")
    }

    pub fn cache(&self) -> PathBuf {
        self.home().join("cache")
    }

    /// The folders of the library itself that hold what cannot be made again. Any of
    /// them may be a link to another disk.
    pub(super) fn own_folders(&self) -> [PathBuf; 6] {
        [
            self.images(),
            self.ingest(),
            self.quarantine(),
            self.deleted(),
            self.projects(),
            self.journal(),
        ]
    }

    /// The library-relative text of a path below the root, `/` between its parts;
    /// `None` for a path elsewhere.
    pub fn relative(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(&self.root).ok()?;
        let mut text = String::new();
        for part in below.components() {
            let Component::Normal(name) = part else {
                return None;
            };
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(&encode(name));
        }
        (!text.is_empty()).then_some(text)
    }

    /// The path of a library-relative text; `None` when it would lead outside.
    pub fn resolve(&self, text: &str) -> Option<PathBuf> {
        let mut path = self.root.clone();
        #[cfg(unix)]
        if !text.contains('%') {
            // Without escapes each part is the name itself.
            let is_name = |part: &str| !["", ".", ".."].contains(&part);
            path.push(text);
            return text.split('/').all(is_name).then_some(path);
        }
        for part in text.split('/') {
            let name = decode(part);
            let mut components = Path::new(&name).components();
            match (components.next(), components.next()) {
                (Some(Component::Normal(only)), None) if only == name => path.push(only),
                _ => return None,
            }
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_never_lead_outside() {
        let layout = Layout::new("/lib".into(), LayoutKind::Flat);
        for text in [
            "",
            "..",
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            ".",
            "a/.",
            "a/",
            "%2e%2e/x\0",
        ] {
            let path = layout.resolve(text);
            assert!(
                path.as_ref().is_none_or(|path| path.starts_with("/lib")
                    && !path.components().any(|part| part == Component::ParentDir)),
                "{text:?} {path:?}"
            );
        }
        assert_eq!(layout.resolve("../x"), None);
        assert_eq!(layout.resolve("/etc/passwd"), None);
        assert_eq!(
            layout.resolve("images/a b.png"),
            Some("/lib/images/a b.png".into())
        );
        assert_eq!(
            layout.relative(Path::new("/lib/images/é.png")).as_deref(),
            Some("images/é.png")
        );
        assert_eq!(layout.relative(Path::new("/other/x")), None);
    }
}
