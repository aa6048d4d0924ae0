//! What the rest of the library says of the picture under the cursor: which others
//! have much the same tags and why, and what it may be rated. Worked out on a thread
//! of its own, for the picture that was asked for last.

use std::sync::Arc;

use crate::{
    engine::{
        rating_guess::{Guess, Ratings},
        tag_similarity::{Measure, Similar, shared},
    },
    model::{catalog::Catalog, id::MediaKey, media::Rating, tag::TagName, text::display_text},
};

/// Pictures that are named, and the tags that are given as the reason for each.
const RELATED: usize = 4;
const REASONS: usize = 3;

/// What was found out of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Insight {
    pub key: MediaKey,
    /// The most similar first, with the rarest of the tags that both have.
    pub related: Vec<(MediaKey, Vec<TagName>)>,
    /// A rating that its tags speak for, when it has none.
    pub guess: Option<Guess>,
    /// When it was looked at last, in seconds since 1970.
    pub viewed: Option<i64>,
    /// The name of the group of duplicates it is in, and how many are in that.
    pub duplicates: Option<(String, usize)>,
}

/// What was learned of ratings, until the catalog changes.
#[derive(Default)]
pub struct Learned {
    version: Option<u64>,
    ratings: Option<Arc<Ratings>>,
}

impl Learned {
    fn ratings(&mut self, catalog: &Catalog) -> Option<Arc<Ratings>> {
        // Learning takes longer than a look: some edits more or less change nothing.
        let is_old = self
            .version
            .is_none_or(|version| catalog.version().abs_diff(version) > 64);
        if is_old {
            self.version = Some(catalog.version());
            self.ratings = Ratings::learn(catalog).map(Arc::new);
        }
        self.ratings.clone()
    }
}

impl Insight {
    /// Works it out; takes as long as it takes. `nearest` gives that many pictures with
    /// much the same tags.
    pub fn find(
        catalog: &Catalog,
        key: MediaKey,
        learned: &mut Learned,
        nearest: impl FnOnce(Measure, usize) -> Vec<Similar>,
    ) -> Self {
        let related = nearest(Measure::TfIdf, RELATED)
            .into_iter()
            .map(|similar| {
                let mut reasons = shared(catalog, key, similar.key);
                reasons.truncate(REASONS);
                (similar.key, reasons)
            })
            .collect();
        let is_rated = catalog
            .record(key)
            .is_none_or(|record| record.rating().is_some());
        let guess = if is_rated {
            None
        } else {
            let ratings = learned.ratings(catalog);
            ratings.and_then(|ratings| ratings.guess(catalog, key))
        };
        Self {
            key,
            related,
            guess,
            viewed: None,
            duplicates: None,
        }
    }

    /// The rating that is suggested.
    pub fn rating(&self) -> Option<Rating> {
        self.guess.as_ref().map(|guess| guess.rating)
    }

    /// The suggested rating as a line, and others as lines; safe to draw.
    pub fn lines(&self, catalog: &Catalog) -> (Option<String>, Vec<String>) {
        let names = |names: &[TagName]| {
            let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
            names.join(", ")
        };
        let guess = self.guess.as_ref().map(|guess| {
            let percent = guess.probability * 100.0;
            let mut line = format!("{} {percent:.0} %", guess.rating.name());
            if !guess.because.is_empty() {
                line.push_str(" by ");
                line.push_str(&names(&guess.because));
            }
            display_text(&line).into_owned()
        });
        let related = self.related.iter().filter_map(|(key, reasons)| {
            let record = catalog.record(*key)?;
            let line = format!("{}: {}", record.title(), names(reasons));
            Some(display_text(&line).into_owned())
        });
        (guess, related.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::tag_similarity::nearest,
        model::{
            entry::{Entry, FileFacts},
            media::Media,
            tag::Tag,
        },
    };

    fn find(catalog: &Catalog, key: MediaKey, learned: &mut Learned) -> Insight {
        Insight::find(catalog, key, learned, |measure, count| {
            nearest(catalog, key, measure, count)
        })
    }

    fn catalog(media: &[(&str, Option<Rating>)]) -> Catalog {
        let entries = (1..).zip(media).map(|(key, (tags, rating))| {
            let media = Media {
                rating: *rating,
                tags: tags.split(' ').map(|tag| Tag::new("", tag)).collect(),
                ..Media::default()
            };
            let id = format!("m{key}").parse().unwrap();
            Entry::new(MediaKey(key), id, &FileFacts::default(), &media)
        });
        Catalog::from_entries(entries.collect(), true)
    }

    #[test]
    fn it_says_what_is_like_it_and_why() {
        let catalog = catalog(&[
            ("cat moon", None),
            ("cat moon sky", None),
            ("dog sky", None),
        ]);
        let insight = find(&catalog, MediaKey(1), &mut Learned::default());
        assert_eq!(insight.related.len(), 1);
        let (key, reasons) = &insight.related[0];
        assert_eq!((*key, reasons.len()), (MediaKey(2), 2));
        assert_eq!(insight.guess, None, "nothing is rated");
        let (guess, related) = insight.lines(&catalog);
        assert_eq!(guess, None);
        assert!(related[0].ends_with("cat, moon") || related[0].ends_with("moon, cat"));
    }

    #[test]
    fn a_rating_is_suggested_where_there_is_none() {
        let mut media = vec![
            ("swimsuit beach", None),
            ("swimsuit beach", Some(Rating::General)),
        ];
        media.extend([("swimsuit beach", Some(Rating::Sensitive)); 60]);
        media.extend([("tree house", Some(Rating::General)); 60]);
        let catalog = catalog(&media);
        let mut learned = Learned::default();
        let insight = find(&catalog, MediaKey(1), &mut learned);
        assert_eq!(insight.rating(), Some(Rating::Sensitive));
        let (line, _) = insight.lines(&catalog);
        let line = line.unwrap();
        assert!(
            line.starts_with("sensitive ") && line.contains(" % by "),
            "{line}"
        );
        let rated = find(&catalog, MediaKey(2), &mut learned);
        assert_eq!(rated.rating(), None, "it has one");
    }
}
