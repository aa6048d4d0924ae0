//! Where metadata comes from besides the files themselves: the trait of a source,
//! and how the answers of several are merged by priority.
//!
//! Sources are registered in one place, where the engine fills
//! [`IngestSettings::sources`](super::ingest::IngestSettings::sources); their order
//! there is their priority. A source that fails never fails an ingest.

use std::{path::Path, sync::Arc};

use super::{companion::merge, job::Cancel};
use crate::model::{id::Md5, media::Media};

/// What a source is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    pub md5: Md5,
    /// The file itself, for sources that look at the picture.
    pub path: &'a Path,
    /// What the companions and the sources before it said; names may hold post ids.
    pub media: &'a Media,
}

/// What a source answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Found(Box<Media>),
    /// It does not know the picture.
    Absent,
    /// It could not say now: why, and that asking later may help.
    Later(String),
}

/// Something that may know a picture: a booru, a reverse search, a tagger.
///
/// Called from several workers at once; it blocks, keeps its own rate limit, and
/// looks at the cancel flag between two requests.
pub trait MetadataSource: Send + Sync {
    /// The name under which its answers are kept: `danbooru`.
    fn name(&self) -> &str;

    fn lookup(&self, lookup: &Lookup<'_>, cancel: &Cancel) -> Answer;
}

/// Asks the sources in order and merges what they say into `media`; what is there
/// wins. Returns the sources that should be asked again later, with the reason.
pub fn consult(
    sources: &[Arc<dyn MetadataSource>],
    md5: Md5,
    path: &Path,
    media: &mut Media,
    cancel: &Cancel,
) -> Vec<(String, String)> {
    let mut later = Vec::new();
    for source in sources {
        if cancel.is_cancelled() {
            break;
        }
        let answer = source.lookup(&Lookup { md5, path, media }, cancel);
        match answer {
            Answer::Found(found) => merge(media, *found),
            Answer::Absent => {}
            Answer::Later(reason) => later.push((source.name().to_owned(), reason)),
        }
    }
    later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tag::Tag;

    struct Fixed(&'static str, Answer);

    impl MetadataSource for Fixed {
        fn name(&self) -> &str {
            self.0
        }

        fn lookup(&self, _: &Lookup<'_>, _: &Cancel) -> Answer {
            self.1.clone()
        }
    }

    fn found(category: &str, value: &str, src: &str) -> Answer {
        Answer::Found(Box::new(Media {
            tags: vec![Tag {
                src: Some(src.to_owned()),
                ..Tag::new(category, value)
            }],
            name: src.to_owned(),
            ..Media::default()
        }))
    }

    #[test]
    fn answers_merge_by_priority_and_the_more_specific_category_wins() {
        let sources: Vec<Arc<dyn MetadataSource>> = vec![
            Arc::new(Fixed("one", found("general", "holo", "one"))),
            Arc::new(Fixed("two", Answer::Later("asleep".into()))),
            Arc::new(Fixed("three", found("character", "Holo", "three"))),
            Arc::new(Fixed("four", Answer::Absent)),
        ];
        let mut media = Media::default();
        let later = consult(
            &sources,
            Md5([0; 16]),
            Path::new("x.png"),
            &mut media,
            &Cancel::default(),
        );
        assert_eq!(later, [("two".to_owned(), "asleep".to_owned())]);
        assert_eq!(media.name, "one");
        let names: Vec<String> = media.tags.iter().map(|t| t.name().to_string()).collect();
        assert_eq!(names, ["character:holo"]);
    }
}
