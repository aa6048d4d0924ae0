//! Keys, built in one place: `tl:{library}:g{generation}:` and a pattern as
//! `thumb:{id}:{w}x{h}:{protocol}`, whose first word is the family.
//!
//! Invariant: a name inside a key has no `:` and nothing that a pattern reads, so no
//! name can look like another key or match what it should not.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::model::id::{Md5, MediaId, MediaKey};

/// A longer name is cut, and its md5 stands for the rest.
const MAX_NAME_BYTES: usize = 160;
/// Written as `%3A` and the like: what separates, what patterns read, and what
/// would break a line.
const RESERVED: [char; 8] = [':', '*', '?', '[', ']', '\\', '%', ' '];

/// Written to see whether a server keeps anything; of no library.
#[cfg(feature = "redis")]
pub const PROBE: &str = "tl:probe";

/// What entries of one kind have in common: how long they live, where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Small pictures, and what a screen is sent for one.
    Thumb,
    /// Pictures that fill a screen.
    Lowres,
    /// What a sidecar says.
    Media,
    /// Albums, a page at a time.
    Project,
    /// The results of queries.
    Search,
    /// What was worked out from pictures and tags: similar ones, counts, hashes.
    Analysis,
    /// Completions.
    Suggest,
    /// Answers of sources.
    Source,
    /// How far something is.
    Status,
    /// Numbers that many add to.
    Counter,
    /// Who is at work on what.
    Lock,
}

impl Family {
    pub const ALL: [Self; 11] = [
        Self::Thumb,
        Self::Lowres,
        Self::Media,
        Self::Project,
        Self::Search,
        Self::Analysis,
        Self::Suggest,
        Self::Source,
        Self::Status,
        Self::Counter,
        Self::Lock,
    ];

    /// The first word of its keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Lowres => "lowres",
            Self::Media => "media",
            Self::Project => "project",
            Self::Search => "search",
            Self::Analysis => "analysis",
            Self::Suggest => "suggest",
            Self::Source => "source",
            Self::Status => "status",
            Self::Counter => "counter",
            Self::Lock => "lock",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// What an entry is found by, without the prefix of its library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub family: Family,
    text: String,
}

impl Key {
    /// A key of a family; each part is a name and escaped.
    pub fn new(family: Family, parts: &[&str]) -> Self {
        let mut text = String::with_capacity(64);
        text.push_str(family.name());
        for part in parts {
            text.push(':');
            push_name(&mut text, part);
        }
        Self { family, text }
    }

    /// `thumb:{id}:{w}x{h}:{protocol}`: what a screen is sent, or how it is stored.
    pub fn thumb(id: &MediaId, size: (u32, u32), protocol: &str) -> Self {
        let size = format!("{}x{}", size.0, size.1);
        Self::new(Family::Thumb, &[id.as_str(), &size, protocol])
    }

    /// `lowres:{id}:{w}x{h}:{protocol}`, for what fills a screen.
    pub fn lowres(id: &MediaId, size: (u32, u32), protocol: &str) -> Self {
        let size = format!("{}x{}", size.0, size.1);
        Self::new(Family::Lowres, &[id.as_str(), &size, protocol])
    }

    /// `media:{id}:metadata`
    pub fn metadata(id: &MediaId) -> Self {
        Self::new(Family::Media, &[id.as_str(), "metadata"])
    }

    /// `search:{hash}:results` of a canonical query.
    pub fn search(canonical: &str) -> Self {
        let hash = format!("{:x}", md5::compute(canonical));
        Self::new(Family::Search, &[&hash, "results"])
    }

    /// `analysis:{id}:similar:{by}:{count}`: the most similar media.
    pub fn similar(id: &MediaId, by: &str, count: usize) -> Self {
        let count = count.to_string();
        Self::new(Family::Analysis, &[id.as_str(), "similar", by, &count])
    }

    /// `analysis:projects:members`, as the index of this process numbers media.
    pub fn members() -> Self {
        Self::new(Family::Analysis, &["projects", "members"])
    }

    /// `analysis:tags:{hash}` of some media.
    pub fn tag_counts(media: &[MediaKey]) -> Self {
        let mut context = md5::Context::new();
        for key in media {
            context.consume(key.0.to_le_bytes());
        }
        let hash = format!("{:x}", context.finalize());
        Self::new(Family::Analysis, &["tags", &hash])
    }

    /// `suggest:{typed}:{context}:{count}`; the context is what is there already.
    pub fn suggestions(typed: &str, context: &str, count: usize) -> Self {
        let context = format!("{:x}", md5::compute(context));
        Self::new(Family::Suggest, &[typed, &context, &count.to_string()])
    }

    /// `source:{name}:{md5}`: what a source knows of a picture.
    pub fn source(name: &str, md5: &Md5) -> Self {
        Self::new(Family::Source, &[name, &md5.to_string()])
    }

    /// `project:list`
    pub fn projects() -> Self {
        Self::new(Family::Project, &["list"])
    }

    /// `project:{name}:page:{size}:{number}`
    pub fn project_page(name: &str, size: usize, number: usize) -> Self {
        let (size, number) = (size.to_string(), number.to_string());
        Self::new(Family::Project, &[name, "page", &size, &number])
    }

    /// What follows the prefix, as patterns see it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Everything of a medium in a family, as a pattern.
pub fn of_medium(family: Family, id: &MediaId) -> String {
    let mut pattern = Key::new(family, &[id.as_str()]).text;
    pattern.push_str(":*");
    pattern
}

fn push_name(text: &mut String, name: &str) {
    let start = text.len();
    for character in name.chars() {
        if RESERVED.contains(&character) || character.is_control() {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(character);
        }
    }
    if text.len() - start > MAX_NAME_BYTES {
        let mut cut = start + MAX_NAME_BYTES - 33;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
        // As above.
        let _ = write!(text, "~{:x}", md5::compute(name));
    }
}

/// The keys of one library, as backends see them.
///
/// A newer generation leaves everything before it behind in one step.
#[derive(Debug)]
pub struct Keyspace {
    library: String,
    generation: AtomicU64,
}

impl Keyspace {
    pub fn new(library: &str) -> Self {
        let mut name = String::new();
        push_name(&mut name, library);
        Self {
            library: name,
            generation: AtomicU64::new(0),
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Goes on in a generation; never back. Says whether that is another one.
    pub fn enter(&self, generation: u64) -> bool {
        self.generation.fetch_max(generation, Ordering::AcqRel) < generation
    }

    /// The key, or the pattern, with the prefix of this generation.
    pub fn full(&self, text: &str) -> String {
        let mut full = String::with_capacity(self.library.len() + text.len() + 16);
        // Writing to a string cannot fail.
        let _ = write!(full, "tl:{}:g{}:{text}", self.library, self.generation());
        full
    }

    /// What follows the prefix of a full key.
    pub fn own<'k>(&self, full: &'k str) -> Option<&'k str> {
        let rest = full.strip_prefix("tl:")?.strip_prefix(&self.library)?;
        let (_, own) = rest.strip_prefix(":g")?.split_once(':')?;
        Some(own)
    }

    /// Everything of this library, of any generation.
    pub fn everything(&self) -> String {
        format!("tl:{}:g*", self.library)
    }

    /// What every full key begins with, of any generation, and nothing else does: no
    /// name of [`Self::shared`] begins with a `g`.
    pub fn entries(&self) -> String {
        format!("tl:{}:g", self.library)
    }

    /// Where the number of the generation is kept.
    pub fn generation_key(&self) -> String {
        format!("tl:{}:epoch", self.library)
    }

    /// What hosts share that is no cache: work, who is there, who holds what. No
    /// generation leaves it behind, and no pattern clears it.
    pub fn shared(&self, name: &str) -> String {
        format!("tl:{}:{name}", self.library)
    }

    /// Where changes are told.
    pub fn channel(&self) -> String {
        format!("tl:{}:changes", self.library)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_pretend_to_be_keys_or_patterns() {
        let key = Key::new(Family::Thumb, &["a:b*?[x] \\%\n", "1x1"]);
        assert_eq!(key.as_str(), "thumb:a%3Ab%2A%3F%5Bx%5D%20%5C%25%0A:1x1");
        let id: MediaId = "2024/é cat".parse().unwrap();
        let key = Key::thumb(&id, (256, 256), "jpeg");
        assert_eq!(key.as_str(), "thumb:2024/é%20cat:256x256:jpeg");
        assert_eq!(of_medium(Family::Thumb, &id), "thumb:2024/é%20cat:*");
        let similar = Key::similar(&id, "tfidf", 4);
        assert_eq!(similar.as_str(), "analysis:2024/é%20cat:similar:tfidf:4");
        let page = Key::project_page("a:page:9", 60, 2);
        assert_eq!(page.as_str(), "project:a%3Apage%3A9:page:60:2");
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = |last: char| {
            let name = format!("{}{last}", "é".repeat(300));
            Key::new(Family::Media, &[&name])
        };
        assert!(long('a').as_str().len() <= MAX_NAME_BYTES + "media:".len());
        assert_ne!(long('a'), long('b'));
        assert_eq!(long('a'), long('a'));
    }

    #[test]
    fn a_prefix_names_library_and_generation() {
        let keys = Keyspace::new("lib:1");
        assert_eq!(keys.full("a:b"), "tl:lib%3A1:g0:a:b");
        assert!(keys.enter(3));
        assert!(!keys.enter(2), "never back");
        assert_eq!(keys.full("a:b"), "tl:lib%3A1:g3:a:b");
        assert_eq!(keys.own("tl:lib%3A1:g17:a:b"), Some("a:b"));
        assert_eq!(keys.own("tl:other:g17:a:b"), None);
    }

    #[test]
    fn families_are_found_by_the_first_word_of_their_keys() {
        for family in Family::ALL {
            assert_eq!(Family::by_name(family.name()), Some(family));
        }
    }
}
