//! A library that never was: media with 20 to 40 tags each, drawn by Zipf's law, the
//! same at every run.

use tagloupe::model::{
    catalog::{Building, Catalog},
    entry::{Entry, Facets, FileFacts},
    id::{Md5, MediaId, MediaKey},
    media::{Media, MediaKind, Rating, Status},
    tag::TagName,
};

/// A number that looks random and follows from another.
pub fn mix(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// Numbers one after the other.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = mix(self.0);
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("below a size")
    }
}

/// Tags by how common they are.
pub struct Vocabulary {
    pub names: Vec<TagName>,
    /// The weight of each tag and all before it.
    sums: Vec<u64>,
}

impl Vocabulary {
    pub fn new(count: usize) -> Self {
        // In whole numbers, the chance of the most common one is 2^40.
        let weight = |rank: u64| (27_u64 << 40) / (rank * 10 + 27);
        let mut sum = 0;
        let sums = (0..count as u64)
            .map(|rank| {
                sum += weight(rank);
                sum
            })
            .collect();
        let mut known = std::collections::HashSet::new();
        let names = (0..count)
            .map(|rank| {
                let category = match mix(rank as u64) % 20 {
                    0 => "artist",
                    1 => "copyright",
                    2 | 3 => "character",
                    4 => "meta",
                    _ => "general",
                };
                let value = (0..1_000)
                    .map(|attempt| value(rank as u64 + attempt * 1_000_003))
                    .find(|value| known.insert(value.clone()))
                    .expect("there are more words than tags");
                TagName::new(category, &value)
            })
            .collect();
        Self { names, sums }
    }

    /// A rank, common ones more often.
    pub fn draw(&self, dice: &mut Dice) -> usize {
        let chance = dice.next() % self.sums.last().copied().unwrap_or(1);
        self.sums
            .partition_point(|sum| *sum <= chance)
            .min(self.names.len() - 1)
    }
}

/// One to three words of syllables.
fn value(seed: u64) -> String {
    const STARTS: [&str; 30] = [
        "b", "bl", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kr", "l", "m",
        "n", "p", "pl", "r", "s", "sh", "st", "t", "tr", "v", "w", "y", "z",
    ];
    const ENDS: [&str; 26] = [
        "a", "e", "i", "o", "u", "ai", "ee", "oo", "ar", "er", "or", "an", "en", "in", "on", "al",
        "el", "ing", "ish", "ack", "ock", "ight", "ast", "est", "ound", "ow",
    ];
    let mut dice = Dice::new(seed);
    let words = 1 + dice.below(3);
    let mut text = String::new();
    for word in 0..words {
        if word > 0 {
            text.push('_');
        }
        for _ in 0..2 + dice.below(2) {
            text.push_str(STARTS[dice.below(STARTS.len())]);
            text.push_str(ENDS[dice.below(ENDS.len())]);
        }
    }
    text
}

fn dice_of(key: u32) -> Dice {
    Dice::new(u64::from(key) | 1 << 40)
}

fn md5_of(dice: &mut Dice) -> Md5 {
    Md5(std::array::from_fn(|_| (dice.next() & 0xff) as u8))
}

/// The medium with a key. Every hundredth tag is drawn without regard to how common
/// it is, so that each is on some medium.
pub fn entry(key: u32, vocabulary: &Vocabulary) -> Entry {
    let mut dice = dice_of(key);
    let md5 = md5_of(&mut dice);
    let id: MediaId = md5.into();
    let facts = FileFacts {
        path: format!("images/{}/{md5}.jpg", md5.bucket()),
        bytes: 20_000 + dice.next() % 5_000_000,
        modified: 1_500_000_000 + i64::from(key) * 60,
        has_sidecar: true,
        is_missing: false,
    };
    let mut entry = Entry::new(MediaKey(key), id, &facts, &Media::default());
    // One in a hundred has the bytes of another.
    entry.md5 = Some(if key.is_multiple_of(100) {
        md5_of(&mut dice_of(key - 1))
    } else {
        md5
    });
    entry.width = 200 + (dice.next() % 4_000) as u32;
    entry.height = 200 + (dice.next() % 4_000) as u32;
    entry.created = entry.imported - (dice.next() % 100_000_000).cast_signed();
    entry.modified = entry.imported + (dice.next() % 1_000_000).cast_signed();
    entry.rating = Some(Rating::ALL[dice.below(4)]);
    entry.stars = (dice.next() % 6) as u8;
    entry.fav = dice.below(20) == 0;
    entry.status = [None, Some(Status::Inbox), Some(Status::Archived)][dice.below(3)];
    entry.kind = if dice.below(50) == 0 {
        MediaKind::Animation
    } else {
        MediaKind::Image
    };
    if entry.kind == MediaKind::Animation {
        entry.frames = 2 + (dice.next() % 200) as u32;
        entry.duration_ms = Some(u64::from(entry.frames) * 40);
    }
    entry.score = (dice.below(2) == 0).then(|| (dice.next() % 500).cast_signed());
    entry.favcount = entry.score.map(|score| score * 2);
    entry.phash = Some(tagloupe::model::hash::PerceptualHash::new(
        dice.next().to_be_bytes(),
    ));
    entry.posts = vec![("danbooru".to_owned(), (dice.next() % 9_000_000).to_string())];
    entry.has.set(Facets::SOURCE, true);
    let count = 20 + dice.below(21);
    let mut ranks: Vec<usize> = (0..count)
        .map(|place| {
            if place == 0 {
                dice.below(vocabulary.names.len())
            } else {
                vocabulary.draw(&mut dice)
            }
        })
        .collect();
    ranks.sort_unstable();
    ranks.dedup();
    entry.tags = ranks
        .into_iter()
        .map(|rank| vocabulary.names[rank].clone())
        .collect();
    entry
}

/// A catalog of media 1 to `count`.
pub fn catalog(count: u32, vocabulary: &Vocabulary) -> Catalog {
    let mut building = Building::default();
    for key in 1..=count {
        building.push(entry(key, vocabulary));
    }
    building.finish().into_complete()
}
