//! One medium on disk: which sidecar and caption belong to an original, and what
//! they say. Knows files, not the index.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use super::{
    error::Error,
    files::{self, Replaced, Stat, Writes},
    index::{Packed, Row, Seen, Stamp},
    layout::Layout,
    library_file::Identity,
    remote_lock::RemoteLocks,
};
use crate::model::{
    entry::FileFacts,
    id::MediaId,
    media::{Media, is_extension},
    sidecar::{ForIndex, LeanTags, MAX_BYTES, Sidecar, SidecarError},
    tag::Tag,
};

/// Captions and tag lists above this size are not read.
const MAX_CAPTION_BYTES: usize = 1 << 20;

/// Whether a file name is that of an original.
pub(super) fn is_original(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    !stem.is_empty() && is_extension(extension)
}

/// A path without the extension of its file name.
pub(super) fn stem(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        _ => path,
    }
}

/// Where the sidecar and the caption of an original may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Library-relative path of the original.
    pub path: String,
    /// Paths a sidecar may have, the likeliest first.
    pub sidecars: Vec<String>,
    /// Other originals have this name with another extension.
    pub shares_stem: bool,
}

impl Spot {
    /// `siblings`: the originals that have this name with any extension, in order
    /// of their paths, this one among them. `is_name_of_another`: the stem is itself
    /// the name of an original (`a.png` beside `a.png.jpg`), whose sidecar it would be.
    pub(super) fn new(path: &str, siblings: &[String], is_name_of_another: bool) -> Self {
        let own = format!("{path}.json");
        let mut sidecars = vec![format!("{path}.tagloupe.json"), own];
        let is_first = siblings.first().is_none_or(|first| first == path);
        let by_stem = format!("{}.json", stem(path));
        if is_first && !is_name_of_another && !sidecars.contains(&by_stem) {
            sidecars.push(by_stem);
        }
        Self {
            path: path.to_owned(),
            sidecars,
            shares_stem: siblings.len() > 1 || is_name_of_another,
        }
    }

    /// Paths the caption may have, the one to write first.
    pub(super) fn captions(&self) -> Vec<String> {
        let by_stem = format!("{}.txt", stem(&self.path));
        if self.shares_stem {
            vec![format!("{}.txt", self.path), by_stem]
        } else {
            vec![by_stem]
        }
    }
}

/// What the files of one medium say now.
#[derive(Debug)]
pub(super) struct Loaded {
    pub facts: FileFacts,
    pub sidecar: Sidecar,
    /// Library-relative path of the sidecar that is there.
    pub sidecar_path: Option<String>,
    pub stamp: Option<Stamp>,
    /// The tags, where [`Shelf::load_for_index`] left the sidecar without them.
    pub tags: Option<LeanTags>,
    /// The text of the sidecar, where it could be read.
    pub text: Option<Text>,
    pub seen: Seen,
    /// Files at a sidecar's place that are those of other programs.
    pub foreign: Vec<String>,
    /// Why the sidecar that is there could not be read. It is not to be written.
    pub problem: Option<Error>,
}

impl Loaded {
    /// Neither original nor sidecar is left.
    pub(super) fn is_gone(&self) -> bool {
        self.facts.is_missing && !self.facts.has_sidecar
    }

    pub(super) fn into_row(self, id: MediaId) -> Row {
        Row {
            id,
            facts: self.facts,
            media: self.sidecar.media,
            tags: self.tags,
            sidecar: self.sidecar_path,
            stamp: self.stamp,
            text: match self.text {
                Some(Text::Whole(text)) => Packed::new(&text),
                Some(Text::Brief(text)) => Some(Packed::Brief(text)),
                None => None,
            },
            seen: self.seen,
            is_given_back: false,
        }
    }
}

/// The text of a sidecar.
#[derive(Debug)]
pub(super) enum Text {
    /// As it stands in the file.
    Whole(Vec<u8>),
    /// What it says, as an index remembers it: [`Sidecar::parse_brief`].
    Brief(String),
}

/// How the text of a sidecar is read.
type Parse = fn(&str) -> Result<Option<ForIndex>, SidecarError>;

/// The media files of one library.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    pub layout: Layout,
    pub identity: Identity,
    pub host: String,
    /// Where locks are taken besides the lock files.
    pub remote: OnceLock<Arc<dyn RemoteLocks>>,
}

impl Shelf {
    /// The absolute path of a library-relative one.
    pub(super) fn absolute(&self, path: &str) -> Result<PathBuf, Error> {
        self.layout
            .resolve(path)
            .ok_or_else(|| Error::library(self.layout.root(), format!("does not contain {path:?}")))
    }

    /// Reads what is at a spot; every file may be missing.
    pub(super) fn load(&self, spot: &Spot) -> Result<Loaded, Error> {
        self.load_by(spot, |text| {
            Ok(Sidecar::parse_own(text)?.map(ForIndex::whole))
        })
    }

    /// As [`load`](Self::load), for an index alone: what
    /// [`Sidecar::parse_for_index`] leaves out is not there, and it cannot be saved.
    pub(super) fn load_for_index(&self, spot: &Spot) -> Result<Loaded, Error> {
        self.load_by(spot, Sidecar::parse_for_index)
    }

    fn load_by(&self, spot: &Spot, parse: Parse) -> Result<Loaded, Error> {
        let original = files::stat(&self.absolute(&spot.path)?)?;
        let mut loaded = Loaded {
            facts: FileFacts {
                path: spot.path.clone(),
                bytes: original.map_or(0, |stat| stat.bytes),
                modified: original.map_or(0, Stat::modified),
                has_sidecar: false,
                is_missing: original.is_none(),
            },
            sidecar: Sidecar::default(),
            sidecar_path: None,
            stamp: None,
            tags: None,
            text: None,
            seen: Seen::Read {
                gives_back: self.identity.gives_back,
            },
            foreign: Vec::new(),
            problem: None,
        };
        for path in &spot.sidecars {
            if self.read_sidecar(path, parse, &mut loaded)? {
                break;
            }
        }
        let media = &loaded.sidecar.media;
        let lean = loaded.tags.as_ref();
        let has_tags = !media.tags.is_empty() || lean.is_some_and(|tags| !tags.is_empty());
        if loaded.problem.is_none() && (media.caption.is_empty() || !has_tags) {
            let says_tags = loaded.sidecar.document.contains_key("tags");
            self.read_caption(spot, &mut loaded.sidecar.media, says_tags)?;
        }
        Ok(loaded)
    }

    /// Whether there was a sidecar of ours at that path.
    fn read_sidecar(&self, path: &str, parse: Parse, loaded: &mut Loaded) -> Result<bool, Error> {
        let absolute = self.absolute(path)?;
        let (bytes, stat) = match files::read(&absolute, MAX_BYTES) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(false),
            Err(error) => {
                loaded.problem = Some(error);
                return Ok(false);
            }
        };
        let parsed = match str::from_utf8(&bytes) {
            Ok(text) => parse(text),
            Err(error) => Err(SidecarError::Syntax(error.to_string())),
        };
        match parsed {
            Ok(Some(read)) => {
                loaded.sidecar = read.sidecar;
                loaded.tags = read.tags;
                loaded.stamp = Some(stamp(&bytes, stat));
                loaded.text = Some(read.brief.map_or(Text::Whole(bytes), Text::Brief));
            }
            Ok(None) => {
                loaded.foreign.push(path.to_owned());
                return Ok(false);
            }
            Err(source) => {
                loaded.problem = Some(Error::Sidecar {
                    path: absolute,
                    source,
                });
                loaded.stamp = Some(stamp(&bytes, stat));
            }
        }
        loaded.sidecar_path = Some(path.to_owned());
        loaded.facts.has_sidecar = true;
        Ok(true)
    }

    /// Fills in from the `.txt` what the sidecar does not say.
    fn read_caption(&self, spot: &Spot, media: &mut Media, says_tags: bool) -> Result<(), Error> {
        let Some((_, text)) = self.caption_file(spot)? else {
            return Ok(());
        };
        if self.identity.txt_is_tags && is_tag_list(&text) {
            if !says_tags && media.tags.is_empty() {
                media.tags = tags_of(&text);
            }
        } else if media.caption.is_empty() {
            media.caption = text;
        }
        Ok(())
    }

    /// The caption file of a spot: its library-relative path, and its text without
    /// the last line end.
    pub(super) fn caption_file(&self, spot: &Spot) -> Result<Option<(String, String)>, Error> {
        for path in spot.captions() {
            let Some((bytes, _)) = files::read(&self.absolute(&path)?, MAX_CAPTION_BYTES)? else {
                continue;
            };
            if bytes.len() > MAX_CAPTION_BYTES {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            return Ok(Some((path, text)));
        }
        Ok(None)
    }

    /// What another program wrote into the `.txt` of a medium since it was saved:
    /// taken over before a change of ours replaces that file. A caption becomes one
    /// of `captions`, tags of a list are added.
    pub(super) fn adopt_text(
        &self,
        spot: &Spot,
        before: &Media,
        media: &mut Media,
    ) -> Result<(), Error> {
        let is_replaced = if self.identity.txt_is_tags {
            media.tags != before.tags
        } else {
            media.caption != before.caption
        };
        let Some(path) = spot.captions().into_iter().next().filter(|_| is_replaced) else {
            return Ok(());
        };
        let Some((bytes, _)) = files::read(&self.absolute(&path)?, MAX_CAPTION_BYTES)? else {
            return Ok(());
        };
        if bytes.len() > MAX_CAPTION_BYTES {
            return Err(Error::library(
                &self.absolute(&path)?,
                "is larger than a caption can be, and would be replaced",
            ));
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\n');
        if self.identity.txt_is_tags && is_tag_list(text) {
            for tag in tags_of(text) {
                let name = tag.name();
                let is_known = before.has_tag(&name)
                    || before.tags_removed.iter().any(|tag| tag.name() == name);
                if !is_known && !media.has_tag(&name) {
                    media.tags.push(tag);
                }
            }
        } else if !text.is_empty()
            && text != before.caption.trim_end_matches('\n')
            && text != media.caption.trim_end_matches('\n')
            && text != tag_list(&before.tags)
        {
            let kept = serde_json::json!({"kind": "conflict", "text": text, "src": "txt"});
            if !media.captions.contains(&kept) {
                media.captions.push(kept);
            }
        }
        Ok(())
    }

    /// Writes the sidecar of a changed medium; [`Shelf::save_text`] comes next.
    /// Nothing is written where another program changed the sidecar since it was
    /// loaded.
    pub(super) fn save(
        &self,
        spot: &Spot,
        loaded: &mut Loaded,
        writes: &mut Writes,
    ) -> Result<Replaced, Error> {
        let path = match &loaded.sidecar_path {
            Some(path) => path.clone(),
            None => new_sidecar(spot, &loaded.foreign),
        };
        let absolute = self.absolute(&path)?;
        let text = loaded.sidecar.render();
        // What would not read back is not written; and the index gets what a
        // rebuild would read.
        let read_back = Sidecar::parse(&text).map_err(|source| Error::Sidecar {
            path: absolute.clone(),
            source,
        })?;
        let expected = match &loaded.text {
            Some(Text::Whole(bytes)) => Some(files::md5_of(bytes)),
            Some(Text::Brief(_)) | None => None,
        };
        if writes.replace_expected(&absolute, text.as_bytes(), expected)? == Replaced::Changed {
            return Ok(Replaced::Changed);
        }
        if let Some(stat) = files::stat(&absolute)? {
            loaded.stamp = Some(stamp(text.as_bytes(), stat));
        }
        loaded.sidecar_path = Some(path);
        loaded.facts.has_sidecar = true;
        loaded.sidecar = read_back;
        loaded.text = Some(Text::Whole(text.into_bytes()));
        Ok(Replaced::Yes)
    }

    /// Writes the `.txt` that goes with a caption (or with the tags, where the folder
    /// keeps these there) when that changed.
    pub(super) fn save_text(
        &self,
        spot: &Spot,
        loaded: &Loaded,
        before: &Media,
        writes: &mut Writes,
    ) -> Result<(), Error> {
        let media = &loaded.sidecar.media;
        if self.identity.txt_is_tags {
            if media.tags != before.tags {
                self.save_caption(spot, &tag_list(&media.tags), writes)?;
            }
        } else if media.caption != before.caption {
            self.save_caption(spot, &media.caption, writes)?;
        }
        Ok(())
    }

    /// The `.txt` of a medium whose sidecar was written, where a crash came between
    /// the two: it still says what it said before.
    pub(super) fn complete_text(
        &self,
        spot: &Spot,
        before: &Media,
        media: &Media,
        writes: &mut Writes,
    ) -> Result<(), Error> {
        let text = |media: &Media| {
            if self.identity.txt_is_tags {
                tag_list(&media.tags)
            } else {
                media.caption.clone()
            }
        };
        let (old, new) = (text(before), text(media));
        let Some(path) = spot.captions().into_iter().next().filter(|_| old != new) else {
            return Ok(());
        };
        let found = files::read(&self.absolute(&path)?, MAX_CAPTION_BYTES)?;
        let found = found.map_or_else(Vec::new, |(bytes, _)| bytes);
        if found.trim_ascii_end() == old.as_bytes().trim_ascii_end() {
            self.save_caption(spot, &new, writes)?;
        }
        Ok(())
    }

    fn save_caption(&self, spot: &Spot, text: &str, writes: &mut Writes) -> Result<(), Error> {
        let Some(path) = spot.captions().into_iter().next() else {
            return Ok(());
        };
        let absolute = self.absolute(&path)?;
        if text.is_empty() {
            return writes.remove(&absolute);
        }
        let old = files::read(&absolute, MAX_CAPTION_BYTES)?;
        let mut text = text.to_owned();
        if old.is_some_and(|(old, _)| old.ends_with(b"\n")) && !text.ends_with('\n') {
            text.push('\n');
        }
        writes.replace(&absolute, text.as_bytes()).map(|_| ())
    }

    /// The files of a medium besides its original, as they are on disk.
    pub(super) fn companions(&self, spot: &Spot, loaded: &Loaded) -> Vec<String> {
        let mut paths: Vec<String> = loaded.sidecar_path.iter().cloned().collect();
        // A `.txt` that others share stays with them.
        paths.extend(spot.captions().into_iter().take(1).filter(|path| {
            self.absolute(path)
                .is_ok_and(|path| files::stat(&path).is_ok_and(|stat| stat.is_some()))
        }));
        paths
    }
}

/// The path for the sidecar of a medium that has none yet.
pub(super) fn new_sidecar(spot: &Spot, foreign: &[String]) -> String {
    let by_stem = format!("{}.json", stem(&spot.path));
    let own = format!("{}.json", spot.path);
    if !spot.shares_stem && !foreign.contains(&by_stem) {
        by_stem
    } else if foreign.contains(&own) {
        format!("{}.tagloupe.json", spot.path)
    } else {
        own
    }
}

pub(super) fn stamp(bytes: &[u8], stat: Stat) -> Stamp {
    Stamp {
        bytes: stat.bytes,
        modified_ns: stat.modified_ns,
        digest: files::digest_of(bytes),
    }
}

/// Whether a text looks like a list of tags rather than prose: a comma, or one
/// short line that ends no sentence.
pub(super) fn is_tag_list(text: &str) -> bool {
    let text = text.trim();
    let ends_sentence = text.ends_with(['.', '!', '?']);
    !text.is_empty()
        && (text.matches(',').count() >= 2
            || text.contains(',') && !ends_sentence
            || text
                .lines()
                .all(|line| line.split_whitespace().count() <= 4)
                && !ends_sentence)
}

/// The tags of a list: by commas, or one on a line where no line has any.
pub(super) fn tags_of(text: &str) -> Vec<Tag> {
    let separator = if text.contains(',') { ',' } else { '\n' };
    let mut names = std::collections::HashSet::new();
    text.split(separator)
        .map(|value| Tag::new("", value))
        .filter(|tag| !tag.value.is_empty() && names.insert(tag.name()))
        .collect()
}

fn tag_list(tags: &[Tag]) -> String {
    let values: Vec<&str> = tags.iter().map(|tag| tag.value.as_str()).collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_and_extensions() {
        for (path, expected) in [
            ("a/b.png", "a/b"),
            ("a.b/c", "a.b/c"),
            ("x.tar.gz", "x.tar"),
            ("a/.hidden", "a/.hidden"),
        ] {
            assert_eq!(stem(path), expected);
        }
        assert!(is_original("a.PNG") && is_original("b.webp"));
        assert!(!is_original("a.json") && !is_original("png") && !is_original(".png"));
    }

    #[test]
    fn in_a_clash_only_the_first_has_the_short_name() {
        let siblings = ["x.jpg".to_owned(), "x.png".to_owned()];
        let first = Spot::new("x.jpg", &siblings, false);
        let second = Spot::new("x.png", &siblings, false);
        assert!(first.sidecars.contains(&"x.json".to_owned()));
        assert!(!second.sidecars.contains(&"x.json".to_owned()));
        let nested = Spot::new("a.png.jpg", &["a.png.jpg".to_owned()], true);
        assert!(!nested.sidecars.contains(&"a.png.json".to_owned()));
    }

    #[test]
    fn lists_are_told_from_prose() {
        for (text, expected) in [
            ("1girl, solo, blue hair", true),
            ("fox", true),
            ("fox\nsnow", true),
            ("A fox sits in the snow and looks at us.", false),
            ("a photo of a fox sitting in deep snow", false),
            ("", false),
        ] {
            assert_eq!(is_tag_list(text), expected, "{text}");
        }
        let values: Vec<_> = tags_of("a, b,,A")
            .into_iter()
            .map(|tag| tag.value)
            .collect();
        assert_eq!(values, ["a", "b"]);
    }
}
